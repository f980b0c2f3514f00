//! Drills on their schedule, and what is told of them.

use super::*;

#[test]
fn drills_are_held_while_nothing_is_killed_and_their_results_are_told() {
    let hour = Duration::from_secs(3600);
    let drill = |outcome| DrillStatus { at_unix_s: 7, outcome, text: "figures".into() };
    let alerts = |bench: &Bench| {
        let alert = |output: &Output| match output {
            Output::Alert(alert) if alert.key.starts_with("drill") => Some(alert.key),
            _ => None,
        };
        bench.seen.iter().filter_map(alert).collect::<Vec<_>>()
    };
    let starts = |bench: &Bench| bench.seen.iter().filter(|output| **output == Output::StartDrill).count();
    let mut bench = Bench::leased(HostMode::Spawn);
    let now = bench.now();
    bench.machine.plan_drills(Some(hour), Some(drill(DrillOutcome::WithinBounds)), Now { unix_s: 7, ..now });
    bench.run(3_550_000);
    assert_eq!(starts(&bench), 0, "not yet");
    bench.run(100_000);
    assert_eq!(starts(&bench), 1, "once, and it runs");
    bench.tell(Input::Drilled(drill(DrillOutcome::Slow)));
    bench.tell(Input::DrillEnded("it ended with exit status: 16".into()));
    assert_eq!(alerts(&bench), ["drill-slow"]);
    assert_eq!(bench.machine.status(None, bench.now().boot).last_drill, Some(drill(DrillOutcome::Slow)));
    // A kill is in force when the next one is due.
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "x".into() });
    bench.run(5_500_000);
    assert_eq!((starts(&bench), alerts(&bench)), (1, vec!["drill-slow", "drill-overdue"]));
    // A drill that says nothing.
    let mut bench = Bench::leased(HostMode::Spawn);
    let now = bench.now();
    let later = Now { unix_s: 1_000_000, ..now };
    bench.machine.plan_drills(Some(hour), Some(drill(DrillOutcome::WithinBounds)), later);
    bench.run(100);
    assert_eq!(starts(&bench), 1, "the last one was long ago");
    bench.tell(Input::DrillEnded("it was killed".into()));
    let last = bench.machine.status(None, bench.now().boot).last_drill.expect("known");
    assert!(last.outcome == DrillOutcome::Failed && last.text.contains("it was killed"), "{last:?}");
    bench.tell(Input::Drilled(drill(DrillOutcome::Failed)));
    bench.tell(Input::Drilled(drill(DrillOutcome::WithinBounds)));
    bench.tell(Input::Drilled(drill(DrillOutcome::WithinBounds)));
    assert_eq!(alerts(&bench), ["drill-overdue", "drill-failed", "drill-failed", "drill-passed"]);
}
