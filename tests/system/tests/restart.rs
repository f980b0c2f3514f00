//! The host dies or hangs in the middle of trading: it is back soon, and its books are the broker's.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandpit_system_tests::{Demo, differences, doubled, recorded, wait_for};
use serde_json::Value;

/// A demo in mid-session that has traded.
fn trading_demo() -> Demo {
    let demo = Demo::start(&["--speed", "195"]);
    wait_for("fills", Duration::from_secs(120), || {
        (demo.sim_status()["fills"].as_u64() > Some(5)).then_some(())
    });
    demo
}

/// Symbol to shares, as text.
fn positions(list: &Value) -> BTreeMap<String, String> {
    let entry = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_else(|| panic!("no {name} in {row}")).to_owned();
        (text("symbol"), text("qty"))
    };
    list.as_array().expect("a list").iter().map(entry).collect()
}

/// Client ids of open orders.
fn open_orders(list: &Value) -> BTreeSet<String> {
    let id = |row: &Value| row["client_order_id"].as_str().expect("an id").to_owned();
    list.as_array().expect("a list").iter().map(id).collect()
}

/// Waits until host and broker say the same of positions and open orders. The market moves on meanwhile, so
/// both are read until one look at the broker agrees with one at the host.
fn books_agree(demo: &Demo) {
    let mut last = String::new();
    let agree = || {
        let host = demo.host_status()?;
        let held = positions(&demo.broker("/v2/positions"));
        let open = open_orders(&demo.broker("/v2/orders?status=open&limit=500"));
        let (own_held, own_open) = (positions(&host["positions"]), open_orders(&host["open_orders"]));
        last = format!("broker {held:?} {open:?}\nhost   {own_held:?} {own_open:?}");
        (host["reconciled"] == true && held == own_held && open == own_open).then_some(())
    };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("books that agree", Duration::from_secs(20), agree);
    }));
    assert!(result.is_ok(), "the books differ:\n{last}");
}

/// Every order the broker ever took is one that the host recorded, with the same fills; none that it took is
/// missing; no entry was sent twice. Trading goes on meanwhile, so the books get a while to agree.
fn nothing_lost_or_doubled(demo: &Demo) {
    let database = demo.path("host/paper/sandpit.db");
    let mut last = Vec::new();
    let agree = || {
        let orders = demo.broker("/v2/orders?status=all&limit=500&direction=asc");
        let orders = orders.as_array().expect("a list");
        assert!((1..500).contains(&orders.len()), "{} orders do not fit one page", orders.len());
        let twice = doubled(orders, "sma_cross");
        assert!(twice.is_empty(), "{twice:?}\n{}", demo.log());
        last = differences(orders, &recorded(&database));
        last.is_empty().then_some(())
    };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("records that agree", Duration::from_secs(20), agree);
    }));
    assert!(result.is_ok(), "{last:#?}");
}

#[test]
fn kill_9_mid_session_loses_and_doubles_nothing() {
    let demo = trading_demo();
    let (pid, _) = demo.host_pid(None, Duration::from_secs(5));
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the host is ours");
    let back = || demo.host_status().filter(|status| status["reconciled"] == true).map(|_| ());
    let (_, taken) = demo.host_pid(Some(pid), Duration::from_secs(5));
    let (_, ready) = wait_for("the host to be back", Duration::from_secs(5), back);
    let total = taken + ready;
    println!("kill_9_to_reconciled {} ms", total.as_millis());
    assert!(total <= Duration::from_secs(2), "back after {total:?}\n{}", demo.log());
    books_agree(&demo);
    let before = demo.sim_status()["fills"].as_u64();
    let trades = || (demo.sim_status()["fills"].as_u64() > before).then_some(());
    wait_for("trading after the restart", Duration::from_secs(60), trades);
    nothing_lost_or_doubled(&demo);
    books_agree(&demo);
    assert_eq!(demo.watchdog()["host_restarts"], 1);
}

#[test]
fn a_stopped_host_is_noticed_and_replaced() {
    let demo = trading_demo();
    let (pid, _) = demo.host_pid(None, Duration::from_secs(5));
    kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("the host is ours");
    let suspect = || (demo.watchdog()["state"] != "leased").then_some(());
    let (_, noticed) = wait_for("the hang to be noticed", Duration::from_secs(6), suspect);
    let (_, replaced) = demo.host_pid(Some(pid), Duration::from_secs(6));
    let total = noticed + replaced;
    println!("hang_to_noticed {} ms\nhang_to_replaced {} ms", noticed.as_millis(), total.as_millis());
    assert!(total <= Duration::from_secs(6), "replaced after {total:?}\n{}", demo.log());
    books_agree(&demo);
    nothing_lost_or_doubled(&demo);
}

#[test]
fn a_host_that_outgrows_its_memory_is_drained_and_replaced() {
    let resident = {
        let demo = trading_demo();
        demo.host_status().expect("it trades")["rss_bytes"].as_u64().expect("a number")
    };
    // Of this budget the same host uses six sevenths: above the line of the drain, below that of the SIGKILL.
    let budget_mb = resident * 7 / 6 / (1 << 20) + 1;
    let demo = Demo::start(&["--speed", "195", "--memory-mb", &budget_mb.to_string()]);
    let (pid, _) = demo.host_pid(None, Duration::from_secs(10));
    let (_, taken) = demo.host_pid(Some(pid), Duration::from_secs(30));
    println!("memory_breach_to_replaced {} ms, of {resident} bytes in {budget_mb} MB", taken.as_millis());
    let log = demo.log();
    assert!(log.contains("drain"), "{log}");
    assert!(log.contains("host ended code=30"), "{log}");

    // That was before the opening bell. The new host needs as much memory, so the next drain is in
    // mid-session.
    let traded = || (demo.sim_status()["fills"].as_u64() > Some(0)).then_some(());
    wait_for("fills of a later life", Duration::from_secs(20), traded);
    let before = demo.watchdog()["host_restarts"].as_u64();
    let again = || (demo.watchdog()["host_restarts"].as_u64() > before).then_some(());
    wait_for("a drain in the middle of trading", Duration::from_secs(20), again);
    nothing_lost_or_doubled(&demo);
}
