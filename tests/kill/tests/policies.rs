//! What becomes of the account: each policy, with positions, and with a watchdog that dies on the way.

use std::time::Duration;

use anyhow::ensure;
use sandpit_kill_tests::{Expect, HAND, OURS, Rig, Setup, scenario};
use serde_json::json;

const BOUND: Duration = Duration::from_secs(30);

/// Positions with their exits, and orders that rest.
fn furnish(rig: &Rig) -> anyhow::Result<()> {
    rig.sim.rest(HAND, 5)?;
    rig.sim.rest(OURS, 5)?;
    rig.sim.bracket(&format!("{OURS}waiting"), true)?;
    rig.sim.bracket(&format!("{OURS}filled"), false)?;
    // All of it: the exits of an entry that has filled in part are held, and end with it.
    let path = format!("/v2/orders:by_client_order_id?client_order_id={OURS}filled");
    let filled = || Ok((rig.sim.get(&path)?["status"] == "filled").then_some(()));
    sandpit_kill_tests::wait_for("a position with its exits", BOUND, filled).map(drop)
}

/// Symbols that are held.
fn positions(rig: &Rig) -> anyhow::Result<Vec<String>> {
    let rows = rig.sim.get("/v2/positions")?;
    let rows = rows.as_array().into_iter().flatten();
    Ok(rows.filter_map(|row| row["symbol"].as_str().map(str::to_owned)).collect())
}

/// The two exits of the bracket that is filled stay, and with them what they are for.
fn keeps_stops(act: impl Fn(&mut Rig) -> anyhow::Result<()>) {
    let setup = Setup { policy: "cancel-keep-stops", is_simple: true, ..Setup::default() };
    let act = |rig: &mut Rig| {
        furnish(rig)?;
        act(rig)?;
        rig.said(0, "STOPS_ONLY", BOUND)?;
        ensure!(positions(rig)?.contains(&"MSFT".to_owned()), "the position is gone");
        Ok(())
    };
    scenario(setup, act, Expect { proof: "STOPS_ONLY", left_open: 2, ..Expect::flagged() });
}

#[test]
fn stops_are_kept() {
    keeps_stops(|rig| rig.put_flag().map(drop));
}

#[test]
fn stops_are_kept_by_the_next_watchdog_too() {
    keeps_stops(|rig| {
        rig.put_flag()?;
        rig.said(0, "[KILL] latch written", BOUND)?;
        rig.kill_watchdog()?;
        rig.start_watchdog()
    });
}

/// Nothing is open and nothing is held.
fn flattens(act: impl Fn(&mut Rig) -> anyhow::Result<()>) {
    let setup = Setup { policy: "flatten", ..Setup::default() };
    let act = |rig: &mut Rig| {
        furnish(rig)?;
        act(rig)?;
        rig.said(0, "[KILL] FLAT", BOUND)?;
        let held = positions(rig)?;
        ensure!(held.is_empty(), "held: {held:?}");
        Ok(())
    };
    scenario(setup, act, Expect { proof: "FLAT", ..Expect::flagged() });
}

#[test]
fn everything_is_closed() {
    flattens(|rig| rig.put_flag().map(drop));
}

#[test]
fn everything_is_closed_by_the_next_watchdog() {
    flattens(|rig| {
        let slow = json!({"kind": "latency", "method": "DELETE", "path": "/v2/positions", "delay_ms": 1500});
        rig.sim.fault(&slow)?;
        rig.put_flag()?;
        rig.said(0, "[KILL] latch written", BOUND)?;
        rig.saw(0, "a close", BOUND, |what| what.asks("DELETE", "/v2/positions"))?;
        rig.kill_watchdog()?;
        rig.sim.heal()?;
        rig.start_watchdog()
    });
}

/// Half of what is to be closed at once fails: it is closed one by one.
#[test]
fn everything_is_closed_though_half_of_it_fails() {
    flattens(|rig| {
        let fault = json!({"kind": "partial_failure", "status": 500, "path": "/v2/positions", "every": 2});
        rig.sim.fault(&fault)?;
        rig.put_flag().map(drop)
    });
}
