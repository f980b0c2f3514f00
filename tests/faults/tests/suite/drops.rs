//! Connections that fall.

use std::time::{Duration, Instant};

use sandpit_alpaca::Encoding;
use sandpit_faults::{Cut, Dice, Figures, Host, Lanes, Ledger, Mode, Setup, Sim, now, pass, until};
use serde_json::json;

use crate::common::{FALLBACK, NOTICE, PATIENCE, SYMBOLS, assert_whole, cut_and_keep, secs};

/// Market seconds a real one: a bar of every symbol each second.
const SPEED: u32 = 60;

/// What one host measured.
#[derive(Default)]
struct Measured {
    notices: Vec<Duration>,
    fallbacks: Vec<Duration>,
}

/// One drop of some kind: how long until the host knew, and until it had data over REST where the stream was
/// kept away long enough to tell.
fn drop_once(host: &Host, lanes: &Lanes, sim: &Sim, dice: &mut Dice, into: &mut Measured) {
    let how = if dice.below(2) == 0 { Cut::Reset } else { Cut::End };
    match dice.below(4) {
        0 => {
            let (notice, fallback) = cut_and_keep(host, lanes, how);
            into.notices.push(notice);
            into.fallbacks.push(fallback);
            lanes.stream.set(Mode::Open);
        }
        1 => {
            // At the turn of the minute, when the bars are on their way.
            let (market, speed) = sim.clock();
            let left = (market.minute() + secs(60)).since(market) / speed;
            pass((left + Duration::from_millis(dice.below(20))).saturating_sub(Duration::from_millis(10)));
            into.notices.push(fall(host, || lanes.stream.cut(how)));
        }
        _ => into.notices.push(fall(host, || lanes.stream.cut(how))),
    }
}

/// Makes the stream fall; how long until the host counted it.
fn fall(host: &Host, make: impl FnOnce() -> Instant) -> Duration {
    let falls = host.stats.connection.falls();
    let since = make();
    until("the fall", PATIENCE, || host.stats.connection.falls() > falls);
    since.elapsed()
}

#[test]
fn hundred_random_drops() {
    let seed = 20_260_316;
    println!("seed {seed}");
    let sim = Sim::in_session(&["--seed", "7"], secs(30), SPEED);
    let (sim, hosts, each) = (&sim, 5, 20);
    let results: Vec<(Measured, Ledger)> = std::thread::scope(|scope| {
        let run = |n: u64| {
            let lanes = Lanes::to(sim);
            let mut setup = Setup::new(sim, &SYMBOLS, seed + n);
            setup.encoding = if n.is_multiple_of(2) { Encoding::Json } else { Encoding::MessagePack };
            // How the waits grow is tested elsewhere; here are many falls.
            setup.forgiven_after = Some(Duration::ZERO);
            let host = Host::start(sim, &lanes, &setup);
            let (mut dice, mut measured) = (Dice::new(seed + n), Measured::default());
            for _ in 0..each {
                until("a connection", secs(60), || {
                    host.stats.connection.state() == sandpit_ingest::StreamState::Live
                });
                pass(Duration::from_millis(dice.below(400)));
                drop_once(&host, &lanes, sim, &mut dice, &mut measured);
            }
            host.live();
            let ledger = host.settle(sim, PATIENCE);
            (measured, ledger)
        };
        let threads: Vec<_> = (0..hosts).map(|n| scope.spawn(move || run(n))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a host's test")).collect()
    });
    let notices: Vec<_> = results.iter().flat_map(|(measured, _)| measured.notices.clone()).collect();
    let fallbacks: Vec<_> = results.iter().flat_map(|(measured, _)| measured.fallbacks.clone()).collect();
    let ledger = Ledger::sum(results.into_iter().map(|(_, ledger)| ledger));
    Figures::of("hundred_random_drops")
        .and("drops", notices.len())
        .and("bars", ledger.told())
        .times("notice", &notices)
        .times("first fallback", &fallbacks)
        .tell();
    assert_eq!(notices.len(), 100);
    assert_whole(&ledger);
    assert!(notices.iter().all(|notice| *notice <= NOTICE), "{notices:?}");
    assert!(fallbacks.iter().all(|wait| *wait <= FALLBACK), "{fallbacks:?}");
}

#[test]
fn drops_at_the_open() {
    let seed = 930;
    println!("seed {seed}");
    let sim = Sim::start(&["--seed", "8", "--paused"]);
    sim.set_clock(&json!({"advance_to": (sim.open() - secs(180)).to_string()}));
    sim.set_clock(&json!({"speed": SPEED, "resume": true}));
    let sim = &sim;
    // When the stream falls, in market seconds before (-) and after the bell, and for how long it is gone.
    let plans: [(i64, u64); 5] = [(-20, 10), (-1, 45), (0, 5), (1, 120), (59, 62)];
    let results: Vec<(Vec<Duration>, usize, Ledger)> = std::thread::scope(|scope| {
        let run = |n: u64, (at, gone): (i64, u64)| {
            let lanes = Lanes::to(sim);
            let host = Host::start(sim, &lanes, &Setup::new(sim, &SYMBOLS, seed + n));
            let market = || sim.clock().0;
            let moment =
                if at < 0 { sim.open() - secs(at.unsigned_abs()) } else { sim.open() + secs(at as u64) };
            until("the moment", secs(30), || market() >= moment);
            lanes.stream.set(Mode::Refuse);
            let first = fall(&host, || lanes.stream.cut(Cut::Reset));
            until("the end of it", secs(30), || market() >= moment + secs(gone));
            lanes.stream.set(Mode::Open);
            host.live();
            let second = fall(&host, || lanes.stream.cut(Cut::End));
            host.live();
            until("six minutes", secs(30), || market() >= sim.open() + secs(360));
            let opens = host.tape.events().into_iter();
            let opens = opens.filter(|event| matches!(event, sandpit_types::MarketEvent::SessionOpen(_)));
            (vec![first, second], opens.count(), host.settle(sim, PATIENCE))
        };
        let threads: Vec<_> = (0..).zip(plans).map(|(n, plan)| scope.spawn(move || run(n, plan))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a host's test")).collect()
    });
    let notices: Vec<_> = results.iter().flat_map(|(notices, ..)| notices.clone()).collect();
    let bells: Vec<_> = results.iter().map(|(_, bells, _)| *bells).collect();
    let ledger = Ledger::sum(results.into_iter().map(|(.., ledger)| ledger));
    Figures::of("drops_at_the_open")
        .and("drops", notices.len())
        .and("bells of each host", format!("{bells:?}"))
        .and("bars", ledger.told())
        .times("notice", &notices)
        .tell();
    assert_whole(&ledger);
    assert_eq!(bells, [1; 5], "the bell rings once");
    assert!(notices.iter().all(|notice| *notice <= NOTICE), "{notices:?}");
}

#[test]
fn a_drop_of_the_broker_is_noticed() {
    let sim = Sim::in_session(&["--seed", "9"], secs(600), SPEED);
    let lanes = Lanes::to(&sim);
    let host = Host::start(&sim, &lanes, &Setup::new(&sim, &SYMBOLS, 9));
    let mut notices = Vec::new();
    for _ in 0..3 {
        host.live();
        notices.push(fall(&host, || {
            sim.fault(&json!({"kind": "drop", "stream": "data", "at_most": 1}));
            now()
        }));
    }
    host.live();
    let ledger = host.settle(&sim, PATIENCE);
    Figures::of("a_drop_of_the_broker_is_noticed")
        .and("bars", ledger.told())
        .times("notice", &notices)
        .tell();
    assert_whole(&ledger);
    assert!(notices.iter().all(|notice| *notice <= NOTICE), "{notices:?}");
}
