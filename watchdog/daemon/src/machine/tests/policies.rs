//! How the policy of a kill comes from the configuration or the latch, and whose the suspension is.

use super::*;
use crate::proof::Closes;

fn latch(policy: Policy) -> Latch {
    let reason = "x".into();
    Latch { at_unix_s: 1, layer: Layer::Flag, reason, epoch: 1, suspended: true, policy }
}

#[test]
fn a_next_life_does_what_the_latch_says() {
    // The configuration says `cancel`.
    for (policy, first, not) in [
        (Policy::Cancel, "Suspend { asks: false }", "CancelEach"),
        (Policy::CancelKeepStops, "Read(CancelKeepStops)", "CancelAll"),
        (Policy::Flatten, "Read(Flatten)", "Suspend"),
    ] {
        let mut bench = Bench::new(HostMode::Spawn, Some(latch(policy)));
        bench.files = LATCHED;
        bench.run(150);
        bench.check(State::Killed, &[first], &[not]);
    }
}

#[test]
fn flatten_suspends_last_and_lifts_only_what_is_ours() {
    for was_suspended in [false, true] {
        let mut bench = Bench::leased(HostMode::Spawn);
        bench.machine.settings.terms.policy = Policy::Flatten;
        bench.tell(Input::Broker(Report::Warmed(Ok(was_suspended))));
        bench.seen.clear();
        bench.tell(Input::Trip { reason: "limit".into() });
        bench.run(500);
        bench.check(State::Killing, &["CancelAll", "CloseAll", "policy: Flatten"], &["Broker(Suspend"]);
        bench.tell(Input::Broker(Report::Cancelled(Ok(Default::default()))));
        // What is held cannot be closed: is the account suspended?
        let refused = Closes { refused: 1, ..Closes::default() };
        bench.tell(Input::Broker(Report::Closed(Ok(refused))));
        let started = bench.now().boot;
        let position = crate::proof::Position { symbol: "A".into(), key: "A".into(), qty: Some(1), held: 0 };
        let seen = Sighting { positions: vec![position], ..Sighting::default() };
        bench.tell(Input::Broker(Report::Read { started, result: Ok(seen) }));
        bench.tell(Input::Broker(Report::Checked(Ok(true))));
        bench.run(500);
        let (seen, not): (&[_], &[_]) =
            if was_suspended { (&[], &["Broker(Lift)"]) } else { (&["Broker(Lift)"], &[]) };
        bench.check(State::Killing, seen, not);
    }
}
