//! Where the time goes, by the host's own figures: distributions at two moments, and what lies between them.

use serde_json::Value;

/// The steps before the bytes of an order leave. What remains of the whole are the sockets, decoder, sequence
/// and fan-out, the waking of the desk, and the writing of the bytes.
const BEFORE: [&str; 4] = ["strategy", "decide", "record", "send"];
/// The one after.
const AFTER: &str = "answer";

/// Prints the parts of what happened between two readings of `/status`; `whole` is the median of all,
/// microseconds.
pub(crate) fn print(name: &str, before: &Value, after: &Value, whole: f64) {
    let mut rest = whole;
    for step in BEFORE.into_iter().chain([AFTER]) {
        let classes = between(&classes(before, step), &classes(after, step));
        println!("{name}_{step}_p50 {:.1} us", micros(&classes, 50));
        println!("{name}_{step}_p99 {:.1} us", micros(&classes, 99));
        if step != AFTER {
            rest -= micros(&classes, 50);
        }
    }
    println!("{name}_rest_p50 {rest:.1} us");
}

/// Bounds, microseconds, and how many were no longer; past the last bound nothing is known.
fn classes(status: &Value, step: &str) -> Vec<(f64, f64)> {
    let steps = status["steps"].as_array().expect("the host counts steps");
    let of = steps.iter().find(|of| of["step"] == step).expect("the host counts this step");
    let classes = of["times"]["within_secs"].as_array().expect("a distribution");
    let number = |value: &Value| value.as_f64().expect("a number");
    classes.iter().map(|class| (number(&class[0]) * 1e6, number(&class[1]))).collect()
}

fn between(before: &[(f64, f64)], after: &[(f64, f64)]) -> Vec<(f64, f64)> {
    before.iter().zip(after).map(|((_, old), (bound, new))| (*bound, new - old)).collect()
}

/// So many of a hundred were no longer than this: within its class, all are taken to be spread evenly.
fn micros(classes: &[(f64, f64)], percent: u32) -> f64 {
    let wanted = classes.last().map_or(0.0, |(_, all)| all * f64::from(percent) / 100.0);
    let (mut low, mut below) = (0.0, 0.0);
    for (high, within) in classes {
        if *within >= wanted && *within > below {
            return low + (high - low) * (wanted - below) / (within - below);
        }
        (low, below) = (*high, *within);
    }
    f64::NAN
}
