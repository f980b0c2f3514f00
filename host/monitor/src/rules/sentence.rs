//! A change in one sentence.

use std::{fmt::Write, time::Duration};

use super::{
    Labels, Standing,
    judge::Judgement,
    signal::{Side, Signal, Test, Unit},
};

/// Such as `inventory (symbol AAPL): what is held of a symbol, long or short, of equity is 12.3 %, above 10
/// %.`
pub(super) fn sentence(
    signal: &Signal,
    labels: &Labels,
    standing: Standing,
    judgement: &Judgement,
    lasted: Duration,
) -> String {
    let mut out = signal.name.to_owned();
    let series: Vec<_> = labels.iter().map(|(name, value)| format!("{name} {value}")).collect();
    if !series.is_empty() {
        let _ = write!(out, " ({})", series.join(", "));
    }
    match standing {
        Standing::Firing => out.push_str(": "),
        Standing::Resolved => {
            let _ = write!(out, ": over after {} s; ", lasted.as_secs());
        }
    }
    match (judgement.value, standing) {
        (Some(value), _) => {
            let _ = write!(out, "{} is {}", signal.what, amount(signal.unit, value));
            out.push_str(&comparison(signal, judgement, value, standing));
        }
        (None, Standing::Resolved) if judgement.threshold.is_infinite() => out.push_str("it is gone"),
        (None, _) => {
            let _ = write!(out, "{}: too little to judge", signal.what);
        }
    }
    if let Some(typical) = judgement.typical {
        let (median, spread) = (amount(signal.unit, typical.median), amount(signal.unit, typical.spread));
        let hours = typical.hours;
        let _ = write!(out, "; usual is {median}, half of {hours} hours within {spread}");
    }
    out.push('.');
    out
}

fn comparison(signal: &Signal, judgement: &Judgement, value: f64, standing: Standing) -> String {
    if signal.unit == Unit::Flag || !judgement.threshold.is_finite() {
        return String::new();
    }
    let threshold = amount(signal.unit, judgement.threshold);
    let word = match (standing, signal.side, signal.test) {
        (Standing::Resolved, ..) => "the limit is",
        (Standing::Firing, _, Test::Usual(_)) if value < judgement.threshold => "below",
        (Standing::Firing, Side::Above, _) => "above",
        (Standing::Firing, Side::Below, _) => "below",
    };
    format!(", {word} {threshold}")
}

/// A value for people.
pub(super) fn amount(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Ratio => format!("{} %", short(value * 100.0)),
        Unit::BasisPoints => format!("{} bp", short(value * 10_000.0)),
        Unit::Seconds => format!("{} s", short(value)),
        Unit::Usd => format!("{value:.2} USD"),
        Unit::Count => short(value),
        Unit::Flag => if value > 0.0 { "so" } else { "not so" }.to_owned(),
    }
}

/// Three digits behind the point at most, and no noughts at the end.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}
