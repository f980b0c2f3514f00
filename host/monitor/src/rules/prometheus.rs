//! The [table] as a rule file for Prometheus, and unit tests of that file for `promtool`.
//!
//! Left out of it, because `/metrics` does not have its data, is `blind`: the evaluator in the host has it, a
//! test here keeps this true.
//!
//! `memory` is taken from the watchdog's `/metrics`, which therefore has to be scraped as well. Where money
//! is needed (`daily-loss`, `drawdown`, `inventory`, `gross-exposure`, `balance`, `slippage`, `unusual-pnl`,
//! `unusual-cost`), Prometheus needs the panel's token, or the host shows none. Windows of a minute need a
//! scrape every 15 seconds, `keep_firing_for` needs Prometheus 2.42. Prometheus has no second threshold: a
//! signal of its ends at `limit`, not at `clears`.

mod cases;

use std::{fmt::Write, time::Duration};

pub use self::cases::Pace;
use self::cases::{CASES, Case};
use super::{
    Table,
    sentence::amount,
    signal::{Action, Departure, HOURS_AT_LEAST, Side, Signal, Source, Test, Unit},
    table,
};

/// The rule file, YAML: of the signals that are judged, with the thresholds in force.
pub fn rules(table: &Table) -> String {
    let mut out = String::from(
        "# Made by `sandpit alerts --format prometheus` from the table of signals. Scrape the host and the\n\
         # watchdog every 15 s, the host with the panel's token: without it there is no money to judge.\n\
         groups:\n- name: sandpit\n  rules:\n",
    );
    for signal in table.signals() {
        if let (Test::Usual(_), Source::Value(value, _)) = (signal.test, signal.source) {
            let _ = writeln!(out, "  - record: {}\n    expr: {}", record(signal), quoted(value));
        }
        if let Some(condition) = condition(signal) {
            alert(&mut out, signal, &condition);
        }
    }
    out
}

/// Unit tests of the rule file that lies at `rules_file`, YAML: for each signal one case that fires and one
/// that does not. Those of either pace make a file. Their figures are made for the thresholds that come
/// with the program: signals that are judged by others are left out.
pub fn tests(rules_file: &str, pace: Pace, table: &Table) -> String {
    let step = match pace {
        Pace::Minutes => "15s",
        Pace::Days => "1h",
    };
    let mut out = format!("rule_files:\n- {}\nevaluation_interval: {step}\ntests:\n", quoted(rules_file));
    let is_as_it_came = |case: &&Case| table.signals().any(|signal| signal == table::signal(case.id));
    for case in CASES.iter().filter(|case| case.pace == pace).filter(is_as_it_came) {
        test(&mut out, case, case.firing, 1);
        test(&mut out, case, case.quiet, 0);
    }
    out
}

/// The name of a signal's alert.
pub fn alert_name(signal: &Signal) -> String {
    let mut name = String::from("Sandpit");
    for word in signal.name.split('-') {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.extend(letters);
    }
    name
}

fn alert(out: &mut String, signal: &Signal, condition: &str) {
    let action = match signal.action {
        Action::Tell => "tell",
        Action::StopEntries => "stop-entries",
        Action::Freeze => "freeze",
    };
    let (name, hold, settle) = (alert_name(signal), span(signal.hold), span(signal.settle));
    let (severity, summary) = (signal.severity.as_str(), quoted(signal.what));
    let _ = writeln!(out, "  - alert: {name}\n    expr: {}", quoted(condition));
    let _ = writeln!(out, "    for: {hold}\n    keep_firing_for: {settle}");
    let _ = writeln!(out, "    labels:\n      severity: {severity}\n      action: {action}");
    let _ = writeln!(out, "      signal: {}", signal.name);
    let _ = writeln!(out, "    annotations:\n      summary: {summary}");
    let _ = writeln!(out, "      value: {}", quoted(&value(signal)));
    let _ = writeln!(out, "      threshold: {}", quoted(&threshold(signal)));
    if let Test::Usual(_) = signal.test {
        let _ = writeln!(out, "      usual: {}", quoted(&usual(signal)));
    }
    let _ = writeln!(out, "      to_do: {}", quoted(signal.to_do));
}

/// When it fires; `None` when only the evaluator knows.
pub(super) fn condition(signal: &Signal) -> Option<String> {
    let window = span(signal.window());
    let fill = |text: &str| text.replace("{window}", &window);
    match signal.source {
        Source::BuiltInOnly => None,
        Source::Condition(condition) => Some(condition.replace("{limit}", &limit_within(signal))),
        Source::Value(value, enough) => match signal.test {
            Test::Usual(departure) => Some(unusual(signal, departure)),
            Test::Share { at_least, .. } | Test::Quantile { at_least, .. } => {
                let (value, enough) = (fill(value), fill(enough));
                Some(format!("({value}) {} and ({enough}) >= {at_least}", limit(signal)))
            }
            Test::Level
            | Test::Stall
            | Test::Growth { .. }
            | Test::Loss { .. }
            | Test::Drawdown { .. }
            | Test::Surge { .. } => Some(format!("({}) {}", fill(value), limit(signal))),
        },
    }
}

/// The threshold as a part of a condition: where that is how long something stands still, a span of time.
fn limit_within(signal: &Signal) -> String {
    match signal.test {
        Test::Stall => span(Duration::from_secs_f64(signal.limit.ceil())),
        _ => signal.limit.to_string(),
    }
}

fn limit(signal: &Signal) -> String {
    let side = match signal.side {
        Side::Above => '>',
        Side::Below => '<',
    };
    format!("{side} {}", signal.limit)
}

/// The hour's value, as a series of its own: what is usual is made of it.
pub(super) fn record(signal: &Signal) -> String {
    format!("sandpit:{}:1h", signal.name.replace('-', "_"))
}

fn unusual(signal: &Signal, departure: Departure) -> String {
    let hour = record(signal);
    let past = format!("{hour}[7d:1h] offset 1h");
    let at = |share: f64| format!("quantile_over_time({share}, {past})");
    let (median, low, high) = (at(0.5), at(0.25), at(0.75));
    let Departure { spreads, share, floor, both_sides, .. } = departure;
    let margin = format!("({spreads} * ({high} - {low}) + {share} * abs({median}) + {floor})");
    let above = format!("{hour} > {median} + {margin}");
    let both = if both_sides { format!("({above} or {hour} < {median} - {margin})") } else { above };
    format!("{both} and count_over_time({past}) >= {HOURS_AT_LEAST}")
}

/// Template of a value in the unit.
fn value(signal: &Signal) -> String {
    let how = match signal.unit {
        Unit::Ratio => "humanizePercentage",
        Unit::Seconds => "humanizeDuration",
        Unit::BasisPoints | Unit::Usd | Unit::Count | Unit::Flag => "humanize",
    };
    format!("{{{{ $value | {how} }}}}")
}

pub(super) fn threshold(signal: &Signal) -> String {
    match signal.test {
        Test::Usual(Departure { spreads, share, floor, .. }) => format!(
            "the median of 7 days, {spreads} interquartile ranges, {} % of the median and {} away",
            share * 100.0,
            amount(signal.unit, floor),
        ),
        Test::Surge { .. } => format!("{} times the median hour", signal.limit),
        Test::Level
        | Test::Stall
        | Test::Growth { .. }
        | Test::Share { .. }
        | Test::Quantile { .. }
        | Test::Loss { .. }
        | Test::Drawdown { .. } => amount(signal.unit, signal.limit),
    }
}

/// Template of the median that the value is compared with.
fn usual(signal: &Signal) -> String {
    let series = format!("{}{{instance=%q,strategy=%q}}", record(signal));
    let shown = value(signal).replace("$value", ". | first | value");
    format!(
        "{{{{ with printf \"quantile_over_time(0.5, {series}[7d:1h] offset 1h)\" $labels.instance \
         $labels.strategy | query }}}}{shown}{{{{ end }}}}"
    )
}

fn test(out: &mut String, case: &Case, series: &[(&str, &str)], expected: u8) {
    let signal = table::signal(case.id);
    let step = match case.pace {
        Pace::Minutes => "15s",
        Pace::Days => "10m",
    };
    let what = if expected > 0 { "fires" } else { "is quiet" };
    let _ = writeln!(out, "- name: {} {what}\n  interval: {step}\n  input_series:", signal.name);
    for (name, values) in series {
        let _ = writeln!(out, "  - series: {}\n    values: {}", quoted(name), quoted(values));
    }
    let name = alert_name(signal);
    let counted = format!("count(ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}}) or vector(0)");
    let _ = writeln!(out, "  promql_expr_test:\n  - expr: {}", quoted(&counted));
    let _ = writeln!(out, "    eval_time: {}\n    exp_samples:", case.at);
    let _ = writeln!(out, "    - labels: '{{}}'\n      value: {expected}");
}

/// A span in the largest unit that it is a whole number of.
pub(super) fn span(span: Duration) -> String {
    let secs = span.as_secs();
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let whole = units.into_iter().find(|(unit, _)| secs >= *unit && secs.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{secs}s"), |(unit, letter)| format!("{}{letter}", secs / unit))
}

/// A YAML scalar in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod check;
