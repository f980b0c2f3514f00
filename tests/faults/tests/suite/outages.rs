//! A broker that is not there, or does not want us.

use std::time::Duration;

use sandpit_faults::{Cut, Figures, Heard, Host, Lanes, Mode, Setup, Sim, millis, now, pass, until};
use sandpit_ingest::StreamState;
use serde_json::json;

use crate::common::{
    FALLBACK, NOTICE, PATIENCE, SYMBOLS, all_quoted, assert_whole, cut_and_keep, first_data, notice, secs,
};

/// Of one core, at most so much is used while there is no connection.
const MOST_CPU: f64 = 0.05;
/// How long a connection that went still counts in `ghost_406`, real time.
const GHOST: Duration = Duration::from_secs(20);
/// Handshakes in that time; `1 + 2 + 4 + 8` s are 15 s, with jitter at least half of that.
const MOST_HANDSHAKES: u64 = 6;
/// The pause after a 429, market time.
const PAUSE: Duration = Duration::from_secs(60);

/// Nothing is compressed: the stream is kept away, REST carries the data.
#[test]
fn a_drop_in_real_time() {
    let sim = Sim::in_session(&["--seed", "31"], secs(640), 1);
    let lanes = Lanes::to(&sim);
    let host = Host::start(&sim, &lanes, &Setup::new(&sim, &SYMBOLS, 31));
    let (mut notices, mut fallbacks) = (Vec::new(), Vec::new());
    for how in [Cut::Reset, Cut::End] {
        host.live();
        all_quoted(&host);
        let (notice, fallback) = cut_and_keep(&host, &lanes, how);
        notices.push(notice);
        fallbacks.push(fallback);
        lanes.stream.set(Mode::Open);
    }
    host.live();
    let ledger = host.settle(&sim, PATIENCE);
    Figures::of("a_drop_in_real_time")
        .and("bars", ledger.told())
        .times("notice", &notices)
        .times("first fallback", &fallbacks)
        .tell();
    assert_whole(&ledger);
    assert!(notices.iter().all(|notice| *notice <= NOTICE), "{notices:?}");
    assert!(fallbacks.iter().all(|wait| *wait <= FALLBACK), "{fallbacks:?}");
}

/// Everything is gone for ten minutes of the market.
#[test]
fn ten_minute_outage() {
    const SPEED: u32 = 40;
    let sim = Sim::in_session(&["--seed", "32"], secs(630), SPEED);
    let lanes = Lanes::to(&sim);
    let host = Host::with_orders(&sim, &lanes, &Setup::new(&sim, &SYMBOLS, 32));
    host.live();
    for wire in lanes.all() {
        wire.set(Mode::Refuse);
    }
    let (began, market) = (now(), sim.clock().0);
    for wire in lanes.all() {
        wire.cut(Cut::Reset);
    }
    let noticed = notice(&host, began, PATIENCE);
    let (since, cpu) = (now(), host.cpu());
    until("ten minutes of the market", secs(30), || sim.clock().0 >= market + secs(600));
    let down = (host.cpu() - cpu).as_secs_f64() / since.elapsed().as_secs_f64();
    let back = now();
    for wire in lanes.all() {
        wire.set(Mode::Open);
    }
    until("data over REST", PATIENCE, || host.tape.first(back, Heard::is_data).is_some());
    let (since, cpu) = (now(), host.cpu());
    until("the stream", secs(60), || host.stats.connection.state() == StreamState::Live);
    let polling = (host.cpu() - cpu).as_secs_f64() / since.elapsed().max(secs(1)).as_secs_f64();
    let stream = back.elapsed();
    host.live();
    let ledger = host.settle(&sim, PATIENCE);
    Figures::of("ten_minute_outage")
        .and("bars", ledger.told())
        .and("notice", millis(noticed))
        .and("CPU while down", format!("{:.2} %", 100.0 * down))
        .and("while polling", format!("{:.2} %", 100.0 * polling))
        .and("stream again after", millis(stream))
        .tell();
    assert_whole(&ledger);
    assert!(noticed <= NOTICE, "noticed after {noticed:?}");
    assert!(down <= MOST_CPU && polling <= MOST_CPU, "{down} and {polling} of a core");
}

/// The old connection counts for a while after it is gone: 406 to every new one.
#[test]
fn ghost_406() {
    let sim = Sim::in_session(&["--seed", "33"], secs(640), 1);
    let lanes = Lanes::to(&sim);
    let host = Host::start(&sim, &lanes, &Setup::new(&sim, &SYMBOLS, 33));
    host.live();
    all_quoted(&host);
    let fault =
        sim.fault(&json!({"kind": "ghost", "stream": "data", "ghost_secs": GHOST.as_secs(), "at_most": 1}));
    let (began, before) = (lanes.stream.cut(Cut::Reset), lanes.stream.connections());
    let noticed = notice(&host, began, PATIENCE);
    let fallback = first_data(&host, began + noticed);
    until("the end of the ghost", 2 * GHOST, || began.elapsed() >= GHOST);
    assert_eq!(sim.hits(fault), 1, "there was a ghost");
    assert_eq!(host.stats.connection.opens(), 1, "nobody comes in past a ghost");
    let (handshakes, data) = (lanes.stream.connections() - before, host.tape.data_since(began + noticed));
    until("the stream", 2 * GHOST, || host.stats.connection.state() == StreamState::Live);
    let again = began.elapsed();
    host.live();
    let ledger = host.settle(&sim, PATIENCE);
    Figures::of("ghost_406")
        .and("bars", ledger.told())
        .and("notice", millis(noticed))
        .and("first fallback", millis(fallback))
        .and("events over REST", data)
        .and("handshakes", handshakes)
        .and("stream again after", millis(again))
        .tell();
    assert_whole(&ledger);
    assert!(noticed <= NOTICE && fallback <= FALLBACK, "{noticed:?} {fallback:?}");
    assert!((1..=MOST_HANDSHAKES).contains(&handshakes), "{handshakes} handshakes");
    assert!(data > 10, "REST carries the data meanwhile");
}

/// Market-data REST answers 429 for a minute: to a host that has just lost its stream, and to one that is
/// just starting and wants what was before.
#[test]
fn storm_of_429() {
    const SPEED: u32 = 2;
    let sim = Sim::in_session(&["--seed", "34"], secs(640), SPEED);
    let (lanes, late_lanes) = (Lanes::to(&sim), Lanes::to(&sim));
    let host = Host::start(&sim, &lanes, &Setup::new(&sim, &SYMBOLS, 34));
    host.live();
    let fault = sim.fault(&json!({"kind": "rate_limit", "api": "data", "path": "/v2/stocks"}));
    let began = lanes.stream.cut(Cut::End);
    let late = Host::start(&sim, &late_lanes, &Setup::new(&sim, &SYMBOLS, 35));
    let asked = |lanes: &Lanes| lanes.data.requests(began, now()).len() as u64;
    until("the first 429 of both", PATIENCE, || {
        asked(&lanes) > 0 && asked(&late_lanes) > 0 && sim.hits(fault) >= 2
    });
    let (pause, quiet) = (PAUSE / SPEED, now() + Duration::from_millis(200));
    pass(pause - secs(1));
    let end = now();
    sim.heal(fault);
    let during = |lanes: &Lanes| {
        [&lanes.data, &lanes.stream].map(|wire| wire.requests(quiet, end).len()).into_iter().sum::<usize>()
    };
    let requests = during(&lanes) + during(&late_lanes);
    host.live();
    late.live();
    let again = end.elapsed();
    let ledgers = [host.settle(&sim, PATIENCE), late.settle(&sim, PATIENCE)];
    Figures::of("storm_of_429")
        .and("bars", ledgers[0].told())
        .and("of the late one", ledgers[1].told())
        .and("requests in the pause", requests)
        .and("live again after", millis(again))
        .tell();
    assert_eq!(requests, 0, "{:?}", late_lanes.data.requests(quiet, end));
    ledgers.iter().for_each(assert_whole);
}
