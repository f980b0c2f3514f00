//! Checks the generated files, with promtool where it is installed.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use super::*;
use crate::{
    HistogramFigures, LoopFigures, PositionFigures, QualityFigures, StepFigures, StrategyFigures,
    StreamFigures, WindowFigures, metrics,
    rules::{AnswerCounts, CostCounts, FillCounts, Own},
    snapshot::{BudgetFigures, Snapshot},
};

/// A snapshot that shows every family that a rule uses.
fn everything() -> Snapshot {
    let times = HistogramFigures { count: 1, sum_secs: 0.1, within_secs: vec![(0.5, 1)] };
    Snapshot {
        reconciled: true,
        lease_ms_left: Some(1),
        equity_usd: Some(1.0),
        loops: vec![LoopFigures::default()],
        strategies: vec![StrategyFigures { unrealised_usd: Some(0.0), ..StrategyFigures::default() }],
        streams: vec![StreamFigures::default()],
        budgets: vec![BudgetFigures { windows: vec![WindowFigures::default()], ..BudgetFigures::default() }],
        steps: vec![StepFigures { step: "answer", times: times.clone() }],
        quality: QualityFigures {
            answered: Some(AnswerCounts::default()),
            fills: Some(FillCounts::default()),
            fill_latency: Some(times.clone()),
            costs: Some(CostCounts::default()),
            unexplained_usd: Some(0.0),
            memory_limit_bytes: Some(1),
        },
        positions: vec![PositionFigures { value_usd: Some(1.0), ..PositionFigures::default() }],
        ..Snapshot::default()
    }
}

fn words(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.split(|c| !is_part(c)).filter(|word| word.starts_with("sandpit_")).collect()
}

#[test]
fn every_metric_of_a_rule_exists() {
    let page = metrics::render(&everything(), metrics::Money::Told);
    let shown: BTreeSet<_> = page.lines().filter(|line| !line.starts_with('#')).flat_map(words).collect();
    let rules = rules(&Table::default());
    let used: BTreeSet<_> =
        rules.lines().filter(|line| line.trim_start().starts_with("expr:")).flat_map(words).collect();
    assert!(used.len() > 20, "{used:?}");
    let missing: Vec<_> = used.difference(&shown).collect();
    assert_eq!(missing, [&"sandpit_watchdog_host_memory_used_ratio"]);
    let watchdog = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../watchdog/daemon/src/admin/metrics.rs");
    let watchdog = fs::read_to_string(watchdog).expect("the watchdog's metrics");
    assert!(watchdog.contains("\"host_memory_used_ratio\""), "the watchdog has another name for it");
}

#[test]
fn what_is_left_out_is_said() {
    let doc = include_str!("../prometheus.rs");
    let head: String = doc.lines().take_while(|line| line.starts_with("//!")).collect();
    let list = head.split("Left out of it").nth(1).and_then(|rest| rest.split(": the evaluator").next());
    let said: BTreeSet<_> = list.expect("a list").split('`').skip(1).step_by(2).collect();
    let said: BTreeSet<_> = said.into_iter().filter(|name| *name != "/metrics").collect();
    let only = table::signals().filter(|signal| signal.source == Source::BuiltInOnly);
    assert_eq!(said, only.map(|signal| signal.name).collect());
}

#[test]
fn every_rule_has_its_two_cases() {
    let exported = table::signals().filter(|signal| signal.source != Source::BuiltInOnly);
    let exported: BTreeSet<_> = exported.map(|signal| signal.id).collect();
    assert_eq!(CASES.iter().map(|case| case.id).collect::<BTreeSet<_>>(), exported);
    assert_eq!(CASES.len(), exported.len());
}

#[test]
fn thresholds_within_conditions_are_those_in_force() {
    for signal in table::signals().filter(|signal| matches!(signal.source, Source::Condition(_))) {
        for limit in [signal.limit, 7.0] {
            let signal = Signal { limit, ..*signal };
            let condition = condition(&signal).expect("it has one");
            match signal.test {
                Test::Stall => {
                    assert!(condition.contains(&format!("[{}]", span(Duration::from_secs_f64(limit)))))
                }
                Test::Surge { at_least } => {
                    assert!(condition.contains(&format!("> {limit} * quantile_over_time(0.5")));
                    assert!(condition.contains(&format!("> {at_least} and")), "{condition}");
                    assert!(condition.contains(&format!(">= {HOURS_AT_LEAST}")));
                }
                other => panic!("{other:?} can be given as a value"),
            }
        }
    }
}

/// A threshold of its own for every signal that may have one, and one that is not judged.
fn own() -> Table {
    let own = Table::default().in_force().into_iter().filter_map(|(name, own)| {
        let signal = table::signals().find(|signal| signal.name == name).expect("of the table");
        // Of what fires above zero nothing is tighter.
        let threshold = own.threshold.filter(|limit| *limit > 0.0).map(|limit| match signal.side {
            Side::Above => limit * 0.5,
            Side::Below => 1.0 - (1.0 - limit) * 0.5,
        });
        let enabled = Some(name != "budget-use");
        threshold.map(|_| (name, Own { threshold, enabled }))
    });
    Table::with(&own.collect()).expect("all are tighter")
}

#[test]
fn thresholds_of_an_operator_are_in_the_rules_and_their_cases_are_not() {
    let (own, text) = (own(), rules(&own()));
    assert!(!text.contains("SandpitBudgetUse"), "it is not judged");
    for signal in own.signals() {
        let Some(condition) = condition(signal) else { continue };
        assert!(text.contains(&quoted(&condition)), "{}: {condition}", signal.name);
        let moved = *signal != *table::signal(signal.id);
        let is_told = condition != super::condition(table::signal(signal.id)).expect("the same");
        assert_eq!(moved, is_told, "{}: {condition}", signal.name);
        let tests = [Pace::Minutes, Pace::Days].map(|pace| tests("rules.yml", pace, &own)).concat();
        assert_eq!(tests.contains(&format!("- name: {} fires", signal.name)), !moved, "{}", signal.name);
    }
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    if Command::new("promtool").arg("--version").output().is_err() {
        // On the real standard error: what a passing test prints is not shown.
        use std::io::Write as _;
        let _ = writeln!(
            std::io::stderr().lock(),
            "SKIPPED, promtool is not on the PATH: the rules for Prometheus were NOT checked; it comes with \
             the package prometheus"
        );
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let check = |arguments: &[&str], path: &Path| {
        let out = Command::new("promtool").args(arguments).arg(path).output().expect("promtool");
        let told = [out.stdout, out.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(out.status.success(), "promtool {arguments:?} {}:\n{told}", path.display());
        told
    };
    for table in [own(), Table::default()] {
        let rules = rules(&table);
        let told = check(&["check", "rules"], &write("rules.yml", rules.clone()));
        let count = rules.matches("- alert:").count() + rules.matches("- record:").count();
        assert!(told.contains(&format!("{count} rules found")), "{told}");
        for (name, pace) in [("minutes.yml", Pace::Minutes), ("days.yml", Pace::Days)] {
            check(&["test", "rules"], &write(name, tests("rules.yml", pace, &table)));
        }
    }
}
