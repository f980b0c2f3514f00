//! A broker that does not do what it is asked, and orders that lie about whose they are.

use std::time::Duration;

use anyhow::ensure;
use sandpit_kill_tests::{Expect, HAND, OURS, Rig, Scope, Setup, scenario, wait_for};
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(30);

/// While `fault` is on, nothing is proved; when it is healed, all of it.
fn sick(fault: Value) {
    let act = |rig: &mut Rig| {
        rig.sim.rest(HAND, 10)?;
        rig.sim.rest(OURS, 10)?;
        let fault = rig.sim.fault(&fault)?;
        let (mark, before) = (rig.story.mark(), rig.put_flag()?);
        rig.said(mark, "[KILL] host gone", BOUND)?;
        // A lane that waits for an answer gives up after five seconds.
        rig.said(mark, "tried again", BOUND)?;
        ensure!(rig.sim.hits(fault)? > 0, "the fault never hit");
        let moments = rig.moments(0, before)?;
        ensure!(moments.zero_seen_ms.is_none() && moments.host_dead_ms.is_some(), "{moments:?}");
        rig.sim.heal()
    };
    scenario(Setup::default(), act, Expect::flagged());
}

#[test]
fn it_cuts_every_connection() {
    sick(json!({"kind": "reset", "api": "trading"}));
}

#[test]
fn it_never_answers() {
    sick(json!({"kind": "timeout", "hold_ms": 60000, "api": "trading"}));
}

#[test]
fn it_has_no_quota_left() {
    sick(json!({"kind": "rate_limit", "api": "trading"}));
}

#[test]
fn it_answers_500() {
    sick(json!({"kind": "server_error", "status": 500, "api": "trading"}));
}

#[test]
fn it_answers_503_though_it_did_it() {
    sick(json!({"kind": "server_error", "status": 503, "deed": "done", "api": "trading"}));
}

#[test]
fn a_proxy_answers_in_its_place() {
    sick(json!({"kind": "html", "status": 502, "api": "trading"}));
}

/// Half of what a bulk cancel is asked for fails: it is cancelled one by one.
#[test]
fn it_cancels_half_of_it() {
    let act = |rig: &mut Rig| {
        rig.sim.rest(HAND, 15)?;
        let fault = rig
            .sim
            .fault(&json!({"kind": "partial_failure", "status": 500, "path": "/v2/orders", "every": 2}))?;
        let mark = rig.story.mark();
        rig.put_flag()?;
        rig.said(mark, "CONFIRMED_ZERO", BOUND)?;
        ensure!(rig.sim.hits(fault)? > 0, "the fault never hit");
        Ok(())
    };
    scenario(Setup::default(), act, Expect::flagged());
}

/// What is being cancelled is still open, for as long as the broker does not say otherwise.
#[test]
fn its_cancels_do_not_end() {
    let act = |rig: &mut Rig| {
        rig.sim.rest(HAND, 10)?;
        rig.sim.fault(&json!({"kind": "stuck_cancels"}))?;
        let (mark, before) = (rig.story.mark(), rig.put_flag()?);
        rig.said(mark, "PENDING_AT_BROKER open=", BOUND)?;
        // Two more rounds of reads.
        sandpit_kill_tests::pass(Duration::from_secs(2));
        let moments = rig.moments(0, before)?;
        ensure!(moments.zero_seen_ms.is_none(), "{moments:?}");
        rig.sim.heal()
    };
    scenario(Setup::default(), act, Expect::flagged());
}

#[test]
fn five_hundred_orders_are_open() {
    let setup = Setup { trades: false, ..Setup::default() };
    let act = |rig: &mut Rig| {
        rig.sim.rest(HAND, 500)?;
        let (mark, before) = (rig.story.mark(), rig.put_flag()?);
        rig.said(mark, "ZERO_SEEN", BOUND)?;
        println!("{:?}", rig.moments(0, before)?);
        Ok(())
    };
    scenario(setup, act, Expect::flagged());
}

/// Orders of ours and of others, in each scope: a few that rest, brackets that wait, and those of `filled`,
/// whose exits are open.
fn whose(scope: Scope, filled: &[&str], left_open: u64, is_suspended: bool) {
    let act = |rig: &mut Rig| {
        for prefix in [HAND, OURS] {
            rig.sim.rest(prefix, 3)?;
            rig.sim.bracket(&format!("{prefix}waiting"), true)?;
        }
        for prefix in filled {
            rig.sim.bracket(&format!("{prefix}filled"), false)?;
            let path = format!("/v2/orders:by_client_order_id?client_order_id={prefix}filled");
            let filled = || Ok((rig.sim.get(&path)?["status"] == "filled").then_some(()));
            wait_for("open exits", BOUND, filled)?;
        }
        rig.put_flag().map(drop)
    };
    scenario(
        Setup { scope, ..Setup::default() },
        act,
        Expect { left_open, is_suspended, ..Expect::flagged() },
    );
}

#[test]
fn the_whole_account() {
    whose(Scope::Account, &[HAND, OURS], 0, true);
}

/// Three that rest, a bracket with its two exits, and two exits of what was bought stay.
#[test]
fn nothing_but_ours() {
    whose(Scope::Ours, &[HAND], 3 + 3 + 2, false);
}

/// The broker made their ids up: whose they are, only their entry says, which is over.
#[test]
fn exits_of_an_entry_of_ours_that_is_filled() {
    whose(Scope::Ours, &[OURS], 3 + 3, false);
}
