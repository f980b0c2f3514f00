//! The watchdog's own limits, beside a host that is of no help.

use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use sandpit_kill_tests::{Expect, Rig, Setup, scenario, wait_for};
use serde_json::json;

/// The account is read every ten seconds, and what is odd about it twice more.
const BOUND: Duration = Duration::from_secs(60);
/// A stopped host is let be: nobody but the watchdog's limits acts.
const PATIENT: &str = "[liveness]\nstall_ms = 100000\nreplace_ms = 200000\nstart_ms = 300000";
/// Shares for about a third of the account.
const SHARES: &str = "8000";

/// An account that reads zero is no loss: the lease is gone until it reads as before.
#[test]
fn an_equity_of_zero_withholds_the_lease_and_kills_nobody() {
    let act = |rig: &mut Rig| {
        rig.sim.fault(&json!({"kind": "equity", "amount": 0, "path": "/v2/account"}))?;
        let mark = rig.story.mark();
        rig.said(mark, "lease withheld: the account's worth is unknown", BOUND)?;
        rig.sim.heal()?;
        rig.said(mark, "lease granted", BOUND)?;
        ensure!(rig.story.first(mark, |what| what.says("[KILL]")).is_none(), "killed for an odd reading");
        rig.sent_orders(rig.story.mark(), 1)?;
        rig.put_flag().map(drop)
    };
    scenario(Setup::default(), act, Expect::flagged());
}

#[test]
fn a_loss_beside_a_host_that_is_stopped() {
    let setup = Setup { sections: PATIENT, trades: false, ..Setup::default() };
    let act = |rig: &mut Rig| {
        rig.signal_host(Signal::SIGSTOP)?;
        rig.sim.submit(&json!({
            "symbol": "MSFT", "qty": SHARES, "side": "buy", "type": "market", "time_in_force": "day",
            "client_order_id": "hand-loss",
        }))?;
        let held = || {
            let rows = rig.sim.get("/v2/positions")?;
            Ok(rows.as_array().is_some_and(|rows| !rows.is_empty()).then_some(()))
        };
        wait_for("a position", BOUND, held)?;
        rig.sim.control("inject", &json!({"gap": {"symbol": "MSFT", "percent": -20}}))?;
        let said = rig.said(0, "[KILL] layer=limit", BOUND)?;
        println!("{said:?}");
        let status = rig.status()?.context("a watchdog that answers")?;
        ensure!(status["kill"]["layer"] == "limit", "{status}");
        Ok(())
    };
    scenario(setup, act, Expect::killed(&["limit"]));
}
