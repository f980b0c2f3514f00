//! The host dies or hangs in the middle of trading: it is back soon, and its books are the broker's.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandpit_system_tests::{Demo, wait_for};

#[test]
fn kill_9_mid_session_loses_and_doubles_nothing() {
    let demo = Demo::trading("195");
    let (pid, _) = demo.host_pid(None, Duration::from_secs(5));
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the host is ours");
    let back = || demo.host_status().filter(|status| status["reconciled"] == true).map(|_| ());
    let (_, taken) = demo.host_pid(Some(pid), Duration::from_secs(5));
    let (_, ready) = wait_for("the host to be back", Duration::from_secs(5), back);
    let total = taken + ready;
    println!("kill_9_to_reconciled {} ms", total.as_millis());
    assert!(total <= Duration::from_secs(2), "back after {total:?}\n{}", demo.log());
    demo.books_agree();
    let before = demo.sim_status()["fills"].as_u64();
    let trades = || (demo.sim_status()["fills"].as_u64() > before).then_some(());
    wait_for("trading after the restart", Duration::from_secs(60), trades);
    demo.nothing_lost_or_doubled();
    demo.books_agree();
    assert_eq!(demo.watchdog()["host_restarts"], 1);
}

#[test]
fn a_stopped_host_is_noticed_and_replaced() {
    let demo = Demo::trading("195");
    let (pid, _) = demo.host_pid(None, Duration::from_secs(5));
    kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("the host is ours");
    let suspect = || (demo.watchdog()["state"] != "leased").then_some(());
    let (_, noticed) = wait_for("the hang to be noticed", Duration::from_secs(6), suspect);
    let (_, replaced) = demo.host_pid(Some(pid), Duration::from_secs(6));
    let total = noticed + replaced;
    println!("hang_to_noticed {} ms\nhang_to_replaced {} ms", noticed.as_millis(), total.as_millis());
    assert!(total <= Duration::from_secs(6), "replaced after {total:?}\n{}", demo.log());
    demo.books_agree();
    demo.nothing_lost_or_doubled();
}
