//! The real binary's own limits: a broker on loopback whose account loses money, or seems to.

use std::{fs, time::Duration};

use sandpit_contract::{State, Status};

use super::{
    SECOND,
    bench::{self, Bench, Dog, bound},
};

/// With the largest share a reading comes every 1.1 s or so.
const READ: Duration = Duration::from_secs(4);

/// A bench whose watchdog reads often and has these limits.
fn bench(limits: &str) -> Bench {
    let bench = Bench::new("spawn");
    let text = bench.config_text().replace("[kill]", "requests_per_minute = 180\n[kill]");
    bench.write_config(&format!("{text}[limits]\n{limits}\n"));
    bench.broker.worth(|worth| (worth.cash, worth.shares) = (50_000, 500));
    bench.arm();
    bench
}

fn equity_cents(status: &Status) -> Option<i64> {
    status.limits.as_ref().and_then(|limits| limits.equity_cents)
}

/// Leased, with the account read and written down.
fn settled(bench: &Bench) {
    bench.wait(10 * SECOND, |status| {
        status.state == State::Leased && equity_cents(status) == Some(10_000_000)
    });
    assert!(!bound(READ, || bench.state("limits.json").exists()), "limits.json is written");
}

fn killed(bench: &Bench, dog: &Dog, words: &str) {
    let line = dog.line("[KILL] layer=limit reason=", 6 * READ);
    assert!(line.contains(words), "{line}");
    let status = bench.wait(10 * SECOND, |status| status.state == State::Killed);
    assert_eq!(status.kill.expect("killed").layer, sandpit_contract::Layer::Limit);
    assert!(bench.state("latch").exists() && !bench.state("armed").exists());
}

fn is_withheld(status: &Status, words: &str) -> bool {
    let reason = status.limits.as_ref().and_then(|limits| limits.withheld.as_deref());
    status.lease_ms_left == 0
        && status.state != State::Leased
        && reason.is_some_and(|reason| reason.contains(words))
}

type Change = fn(&mut bench::Worth);

#[test]
fn a_breach_of_each_limit_kills() {
    let cases: [(&str, Change, &str); 5] = [
        ("", |worth| worth.price = 98, "loss in 30 minutes: equity fell from 100000.00 to 99000.00"),
        ("day_loss_percent = 0.3", |worth| worth.price = 99, "loss of the day"),
        ("drawdown_percent = 0.3", |worth| worth.price = 99, "drawdown"),
        ("gross_percent = 60", |worth| (worth.cash, worth.shares) = (35_000, 650), "gross exposure"),
        ("orders_per_minute = 40", |worth| worth.accepted = 41, "order rate: 41 orders accepted in a minute"),
    ];
    std::thread::scope(|scope| {
        for (limits, change, words) in cases {
            scope.spawn(move || {
                let bench = bench(limits);
                let dog = bench.run();
                settled(&bench);
                // The orders of before are not counted: the first look has to be over.
                let looks =
                    || bench.broker.requests().iter().filter(|asked| asked.contains("status=all")).count();
                assert!(!bound(2 * READ, || looks() > 0), "no look at the orders");
                bench.broker.worth(change);
                killed(&bench, &dog, words);
            });
        }
    });
}

#[test]
fn a_zero_equity_withholds_and_comes_back() {
    let bench = bench("");
    let dog = bench.run();
    settled(&bench);
    bench.broker.worth(|worth| worth.equity = Some("0".into()));
    dog.line("lease withheld: the account's worth is unknown", READ);
    bench.wait(READ, |status| is_withheld(status, "equity"));
    // However often it is shown.
    let reads = || bench.broker.requests().iter().filter(|asked| *asked == "GET /v2/account").count();
    let before = reads();
    assert!(!bound(5 * READ, || reads() >= before + 6), "no reads");
    assert!(!bench.state("latch").exists(), "a reading of zero has killed");
    bench.broker.worth(|worth| worth.equity = None);
    bench.leased(2 * READ);
    assert_eq!(bench.host_starts(), 1);
}

#[test]
fn a_real_fall_that_is_first_seen_as_a_jump_kills() {
    let bench = bench("");
    let dog = bench.run();
    settled(&bench);
    bench.broker.worth(|worth| worth.price = 40);
    dog.line("the account's equity jumped from 100000.00 to 70000.00", READ);
    killed(&bench, &dog, "equity fell from 100000.00 to 70000.00");
}

#[test]
fn deposits_and_withdrawals_do_not_kill_and_a_restart_keeps_the_peak() {
    let bench = bench("");
    let dog = bench.run();
    settled(&bench);
    for (net, cents) in [(-10_000, 9_000_000), (4_000, 9_400_000)] {
        bench.broker.worth(|worth| {
            worth.cash += net;
            worth.transfers.push(("2026-03-03".into(), net));
        });
        let status = bench.wait(3 * READ, |status| {
            equity_cents(status) == Some(cents)
                && status.limits.as_ref().is_some_and(|limits| limits.peak_cents == Some(cents))
        });
        assert_eq!(status.state, State::Leased, "{status:?}");
    }
    assert!(!bench.state("latch").exists());
    let kept = || fs::read_to_string(bench.state("limits.json")).unwrap_or_default().contains("\"94000.");
    assert!(!bound(READ, kept), "the peak is kept");

    assert_eq!(dog.stop(), Some(0));
    bench.broker.worth(|worth| worth.price = 98);
    let dog = bench.run();
    killed(&bench, &dog, "loss in 30 minutes: equity fell from 94000.00 to 93000.00");
    drop(dog);

    // The same loss does not kill again once a human has armed, and the next one does.
    let dog = bench.run();
    bench.wait(10 * SECOND, |status| status.state == State::Killed);
    bench.arm();
    bench
        .wait(10 * SECOND, |status| status.state == State::Leased && equity_cents(status) == Some(9_300_000));
    bench.broker.worth(|worth| worth.price = 96);
    killed(&bench, &dog, "equity fell from 93000.00 to 92000.00");
}

#[test]
fn the_wrong_account_has_no_lease() {
    let bench = bench("");
    fs::write(bench.state("account"), "other-account-0002").expect("a word to the fake host");
    let dog = bench.run();
    dog.line("the host trades account …0002, but the watchdog's key is for …0001", 10 * SECOND);
    let status = bench.wait(READ, |status| is_withheld(status, "…0002"));
    assert_eq!(status.state, State::Starting);
    fs::write(bench.state("account"), "bench-account-0001").expect("a word to the fake host");
    bench.leased(10 * SECOND);
    bench.broker.worth(|worth| worth.id = "strange-account-0003".into());
    dog.line("the broker shows account …0003", READ);
    bench.wait(READ, |status| is_withheld(status, "…0003"));
    assert!(!bench.state("latch").exists());
}

#[test]
fn a_corrupt_or_unwritable_file_stops_no_kill() {
    let bench = bench("");
    fs::write(bench.state("limits.json"), b"\0").expect("written");
    // What is written next cannot take its place.
    fs::create_dir_all(bench.state("limits.json.new")).expect("in the way");
    let dog = bench.run();
    dog.line("limits.json cannot be used", 5 * SECOND);
    dog.line("limits.json could not be written", 10 * SECOND);
    assert!(bench.state("limits.json.corrupt").exists());
    bench.leased(10 * SECOND);
    bench.broker.worth(|worth| worth.price = 90);
    killed(&bench, &dog, "loss in 30 minutes");
}

#[test]
fn blind_is_no_loss_and_no_lease() {
    let bench = bench("blind_ms = 1000");
    let dog = bench.run();
    settled(&bench);
    bench.broker.go_down();
    dog.line("lease withheld: the watchdog cannot see the account", 3 * READ);
    bench.wait(READ, |status| is_withheld(status, "cannot see the account"));
    assert!(!bench.state("latch").exists());
}
