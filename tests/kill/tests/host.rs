//! A host that is ill, in every way that can be thought of.

use std::time::Duration;

use anyhow::ensure;
use nix::sys::signal::Signal;
use sandpit_kill_tests::{Expect, Mode, Moments, Rig, Scope, Setup, scenario, story::What};
use serde_json::json;

const BOUND: Duration = Duration::from_secs(30);
/// Thresholds at which a hang costs little time; those by default are kept where the figures count.
const QUICK: &str = "[liveness]\nstall_ms = 700\nreplace_ms = 1200\nstart_ms = 60000";
/// The goals: noticed, and replaced.
const NOTICED_MS: u64 = 3_000;
const REPLACED_MS: u64 = 6_000;
/// A breach of the memory until an order of the next host: the goal is 3 s, of a release build by itself.
const AGAIN_MS: u64 = 6_000;

/// A host that hangs from the moment that `hang` answers is replaced, and the next one is killed by the flag.
fn replaced(
    setup: Setup,
    hang: impl Fn(&Rig) -> anyhow::Result<u64>,
    judge: impl Fn(&Rig, &Moments) -> anyhow::Result<()>,
) {
    let act = |rig: &mut Rig| {
        let mark = rig.story.mark();
        let began = hang(rig)?;
        rig.said(mark, "host signal=9", BOUND)?;
        rig.said(mark, "lease granted", BOUND)?;
        rig.sent_orders(rig.story.mark(), 1)?;
        let moments = rig.moments(0, began)?;
        println!("{moments:?}");
        judge(rig, &moments)?;
        rig.put_flag().map(drop)
    };
    scenario(setup, act, Expect { restarts: 1..=1, ..Expect::flagged() });
}

fn in_time(rig: &Rig, moments: &Moments) -> anyhow::Result<()> {
    // A starved machine is given more time, and the watchdog says so.
    if rig.story.first(0, |what| what.says("starved")).is_some() {
        println!("the machine was starved: the figures say nothing");
        return Ok(());
    }
    ensure!(moments.lease_gone_ms.is_some_and(|ms| ms <= NOTICED_MS), "{moments:?}");
    ensure!(moments.leased_again_ms.is_some_and(|ms| ms <= REPLACED_MS), "{moments:?}");
    Ok(())
}

#[test]
fn stopped() {
    replaced(Setup::default(), |rig| rig.signal_host(Signal::SIGSTOP), in_time);
}

#[test]
fn spinning() {
    replaced(Setup::default(), |rig| rig.sabotage("spin-execution", ""), in_time);
}

/// Loops that share the threads of the runtime: one that stands still may keep another from its turn, or from
/// what it waits for, and either may be named first.
const TASKS: [&str; 5] = ["execution", "store", "ingest", "updates", "news"];

/// One loop stands still, the others beat: it is named.
fn deadlocked(name: &'static str) {
    let hang = |rig: &Rig| {
        let mark = rig.story.mark();
        let began = rig.sabotage(&format!("hang-{name}"), "")?;
        let said = rig.said(mark, "lease withheld", BOUND)?;
        let named = |name: &&str| said.what.says(&format!("loop {name} stands still"));
        let is_named = named(&name) || TASKS.contains(&name) && TASKS.iter().any(named);
        ensure!(is_named, "{said:?} does not name {name}");
        Ok(began)
    };
    replaced(Setup { sections: QUICK, ..Setup::default() }, hang, |_, _| Ok(()));
}

#[test]
fn execution_is_deadlocked() {
    deadlocked("execution");
}

#[test]
fn the_store_is_deadlocked() {
    deadlocked("store");
}

#[test]
fn ingest_is_deadlocked() {
    deadlocked("ingest");
}

#[test]
fn trade_updates_are_deadlocked() {
    deadlocked("updates");
}

#[test]
fn a_strategy_is_deadlocked() {
    deadlocked("strategy:churn_b");
}

/// A host that leaks so many bytes a second is replaced, with these words in the log; the next one trades.
fn leaking(sections: &'static str, bytes_a_second: u64, words: &'static str) {
    let setup = Setup { sections, ..Setup::default() };
    let act = move |rig: &mut Rig| {
        let mark = rig.story.mark();
        let began = rig.sabotage("leak", &bytes_a_second.to_string())?;
        let is_breach = |what: &What| what.says("host drained") || what.says("host signal=9");
        let breach = rig.saw(mark, "a breach", BOUND, is_breach)?;
        rig.said(mark, "lease granted", BOUND)?;
        rig.sent_orders(rig.story.mark(), 1)?;
        let moments = rig.moments(0, breach.by_ms)?;
        println!("breach after {} ms, {moments:?}", breach.by_ms - began);
        ensure!(moments.trading_again_ms.is_some_and(|ms| ms <= AGAIN_MS), "{moments:?}");
        ensure!(rig.story.first(mark, |what| what.says(words)).is_some(), "not {words:?}");
        rig.books_agree()?;
        rig.put_flag().map(drop)
    };
    scenario(setup, act, Expect { restarts: 1..=1, ..Expect::flagged() });
}

/// So slowly that the drain is not outrun: it saves and ends by itself.
#[test]
fn leaking_slowly() {
    let sections = "[memory]\nbudget_mb = 120\ndrain_percent = 60\nkill_percent = 99";
    leaking(sections, 4 << 20, "host ended code=30");
}

#[test]
fn leaking_faster_than_it_drains() {
    leaking("[memory]\nbudget_mb = 600", 100 << 20, "host signal=9");
}

#[test]
fn leaking_fast() {
    leaking("[memory]\nbudget_mb = 600", 500 << 20, "host signal=9");
}

#[test]
fn crashing_until_the_kill() {
    let variables = vec![("SANDPIT_CRASH_AT", "after-post:2".to_owned())];
    let setup = Setup { variables, host_lines: "restart_backoff_ms = [1, 1, 1]", ..Setup::default() };
    scenario(setup, |_| Ok(()), Expect { restarts: 4..=4, ..Expect::killed(&["crash-loop"]) });
}

/// Its request is with the broker, and will be carried out, when the host dies.
#[test]
fn killed_in_the_middle_of_a_post() {
    let act = |rig: &mut Rig| {
        rig.sim
            .fault(&json!({"kind": "latency", "method": "POST", "path": "/v2/orders", "delay_ms": 700}))?;
        let mark = rig.story.mark();
        rig.saw(mark, "a POST", BOUND, |what| what.asks("POST", "/v2/orders"))?;
        rig.signal_host(Signal::SIGKILL)?;
        rig.said(mark, "lease granted", BOUND)?;
        rig.sim.heal()?;
        rig.sent_orders(rig.story.mark(), 1)?;
        rig.put_flag().map(drop)
    };
    scenario(Setup::default(), act, Expect { restarts: 1..=1, ..Expect::flagged() });
}

/// A request that was written under the lease lands when everything was cancelled.
fn lands_late(scope: Scope, is_suspended: bool) {
    let setup = Setup { scope, confirm_ms: 4_000, ..Setup::default() };
    let act = |rig: &mut Rig| {
        rig.sim
            .fault(&json!({"kind": "latency", "method": "POST", "path": "/v2/orders", "delay_ms": 2500}))?;
        let mark = rig.story.mark();
        rig.saw(mark, "a POST", BOUND, |what| what.asks("POST", "/v2/orders"))?;
        rig.put_flag()?;
        rig.said(mark, "ZERO_SEEN", BOUND)?;
        let is_one = |what: &What| what.asks("POST", "/v2/orders");
        let posts = rig.story.seen().iter().skip(mark).filter(|seen| is_one(&seen.what)).count();
        println!("{posts} requests land late");
        Ok(())
    };
    scenario(setup, act, Expect { is_suspended, ..Expect::flagged() });
}

#[test]
fn a_post_lands_after_the_cancel_and_is_cancelled() {
    lands_late(Scope::Ours, false);
}

#[test]
fn a_post_lands_after_the_suspension_and_is_refused() {
    lands_late(Scope::Account, true);
}

#[test]
fn a_host_that_is_started_after_the_kill_dies() {
    let setup = Setup { mode: Mode::Attach, ..Setup::default() };
    let act = |rig: &mut Rig| {
        let (status, text) = rig.ask(&["kill", "--reason", "tests"])?;
        ensure!(status.success(), "{text}");
        rig.said(0, "CONFIRMED_ZERO", BOUND)?;
        let mark = rig.story.mark();
        rig.start_host()?;
        rig.said(mark, "host connected", BOUND)?;
        rig.said(mark, "[KILL] host gone", BOUND).map(drop)
    };
    scenario(setup, act, Expect::killed(&["operator"]));
}

/// The clock answers and the account does not: no host can start, and that is nobody's crash.
#[test]
fn a_broker_that_half_works_lets_no_host_start_and_kills_nobody() {
    let setup = Setup { mode: Mode::Attach, ..Setup::default() };
    let act = |rig: &mut Rig| {
        let mark = rig.story.mark();
        rig.signal_host(Signal::SIGTERM)?;
        rig.said(mark, "the host has said goodbye", BOUND)?;
        rig.sim.fault(&json!({"kind": "server_error", "status": 503, "path": "/v2/account"}))?;
        for _ in 0..2 {
            let mark = rig.story.mark();
            rig.start_host()?;
            rig.said(mark, "host connected", BOUND)?;
            rig.said(mark, "the host has said goodbye", BOUND)?;
        }
        rig.sim.heal()?;
        rig.start_host()?;
        rig.sent_orders(rig.story.mark(), 3)?;
        rig.put_flag().map(drop)
    };
    scenario(setup, act, Expect::flagged());
}

/// A second host asks for the lease that the first one holds.
fn two(mode: Mode) {
    let act = |rig: &mut Rig| {
        let mark = rig.story.mark();
        rig.write_another("second", "lonely")?;
        let _second = rig.another_host("second")?;
        rig.said(mark, "a host was refused", BOUND)?;
        rig.sent_orders(rig.story.mark(), 3)?;
        rig.put_flag()?;
        rig.said(mark, "CONFIRMED_ZERO", BOUND)?;
        let seen = rig.story.seen();
        let is_lonely = |what: &What| {
            matches!(what, What::Asked { client_id, .. }
                if client_id.starts_with("sp-lonely"))
        };
        ensure!(!seen.iter().any(|seen| is_lonely(&seen.what)), "the second host sent orders");
        Ok(())
    };
    scenario(Setup { mode, ..Setup::default() }, act, Expect::flagged());
}

#[test]
fn two_hosts_beside_a_watchdog_that_starts_one() {
    two(Mode::Spawn);
}

#[test]
fn two_hosts_beside_a_watchdog_that_starts_none() {
    two(Mode::Attach);
}

#[test]
fn the_database_is_dead() {
    let act = |rig: &mut Rig| {
        let mark = rig.story.mark();
        let _held = rig.hold_database()?;
        rig.put_flag()?;
        rig.said(mark, "CONFIRMED_ZERO", BOUND).map(drop)
    };
    scenario(Setup::default(), act, Expect::flagged());
}
