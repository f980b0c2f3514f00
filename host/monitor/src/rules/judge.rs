//! The value of a series, and what it means.

use std::time::Duration;

use super::{
    phase::Verdict,
    sample::Sample,
    signal::{Departure, HOURS_AT_LEAST, Hour, Side, Signal, Test},
    window::{Memory, Typical},
};

/// What a series' newest figures come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    /// In the signal's unit; `None` where there is too little to judge, which is good, or nothing is known.
    pub(super) value: Option<f64>,
    /// What the value is compared with.
    pub(super) threshold: f64,
    /// What is usual, of a signal that compares with it.
    pub(super) typical: Option<Typical>,
}

/// Takes the newest figures into the memory of a series and judges them.
pub(super) fn judge(
    signal: &Signal,
    memory: &mut Memory,
    sample: Option<&Sample>,
    now: Duration,
) -> Judgement {
    let blank = Judgement { verdict: Verdict::Unknown, value: None, threshold: signal.limit, typical: None };
    let Some(sample) = sample else { return blank };
    match (signal.test, measure(signal, memory, sample, now)) {
        (Test::Usual(departure), value) => departed(departure, memory, value, now),
        (Test::Surge { at_least }, Some(value)) => surged(signal, at_least, memory, value, now),
        (_, Some(value)) => Judgement { verdict: compare(signal, value), value: Some(value), ..blank },
        // It is known that there is too little to judge.
        (_, None) => Judgement { verdict: Verdict::Good, ..blank },
    }
}

/// The value; `None` when there is too little of it.
fn measure(signal: &Signal, memory: &mut Memory, sample: &Sample, now: Duration) -> Option<f64> {
    let window = signal.window();
    match (signal.test, sample) {
        (Test::Stall, Sample::Counts(counts)) => stalled(memory, *counts.first()?, now),
        (Test::Loss { .. }, Sample::OfEquity(level, equity)) => {
            memory.levels.add(now, *level, window);
            Some((memory.levels.first()? - level) / equity)
        }
        (Test::Drawdown { .. }, Sample::OfEquity(level, equity)) => {
            memory.levels.add(now, *level, window);
            Some((memory.levels.highest()? - level) / equity)
        }
        (Test::Usual(Departure { hour: Hour::Change, .. }), Sample::OfEquity(level, equity)) => {
            memory.levels.add(now, *level, window);
            Some((level - memory.levels.first()?) / equity).filter(|change| *change != 0.0)
        }
        (_, Sample::Counts(counts) | Sample::Times(_, counts)) => {
            memory.increases.add(now, counts, window);
            grown(signal.test, sample, &memory.increases.sums())
        }
        (_, Sample::Level(level)) => Some(*level),
        (_, Sample::OfEquity(level, equity)) => Some(level / equity),
    }
}

fn stalled(memory: &mut Memory, count: f64, now: Duration) -> Option<f64> {
    let (last, moved) = *memory.moved.get_or_insert((count, now));
    if last != count {
        memory.moved = Some((count, now));
        return Some(0.0);
    }
    Some(now.saturating_sub(moved).as_secs_f64())
}

/// The value of what counters grew by.
fn grown(test: Test, sample: &Sample, sums: &[f64]) -> Option<f64> {
    let ratio = |at_least: f64| {
        let (part, whole) = (*sums.first()?, *sums.get(1)?);
        (whole > 0.0 && whole >= at_least).then(|| part / whole)
    };
    match (test, sample) {
        (Test::Share { at_least, .. }, _) => ratio(at_least),
        (Test::Usual(Departure { hour: Hour::Mean, .. }), _) => ratio(0.0),
        (Test::Quantile { of, at_least, .. }, Sample::Times(bounds, _)) => {
            let all = *sums.last()?;
            (all >= at_least).then(|| within(bounds, sums, of * all)).flatten()
        }
        _ => sums.first().copied(),
    }
}

/// The duration below which `rank` of them lie, evenly spread within a class. Above the last bound it is the
/// last bound.
fn within(bounds: &[f64], sums: &[f64], rank: f64) -> Option<f64> {
    let at = bounds.iter().zip(sums).position(|(_, sum)| *sum >= rank);
    let Some(at) = at else { return bounds.last().copied() };
    let (from, below) = at.checked_sub(1).map_or((0.0, 0.0), |before| (bounds[before], sums[before]));
    let inside = sums[at] - below;
    let share = if inside > 0.0 { (rank - below) / inside } else { 1.0 };
    Some(from + (bounds[at] - from) * share)
}

fn compare(signal: &Signal, value: f64) -> Verdict {
    between(signal.side, value, signal.limit, signal.clears)
}

fn between(side: Side, value: f64, limit: f64, clears: f64) -> Verdict {
    let (is_bad, is_good) = match side {
        Side::Above => (value > limit, value <= clears),
        Side::Below => (value < limit, value >= clears),
    };
    match (is_bad, is_good) {
        (true, _) => Verdict::Bad,
        (false, true) => Verdict::Good,
        (false, false) => Verdict::Between,
    }
}

/// Is the hour far busier than the median hour?
fn surged(signal: &Signal, at_least: f64, memory: &mut Memory, value: f64, now: Duration) -> Judgement {
    let typical = typical(memory, Some(value).filter(|value| *value > 0.0), now);
    let median = typical.map(|typical| typical.median);
    let threshold = median.map_or(f64::INFINITY, |median| (signal.limit * median).max(at_least));
    let clears = median.map_or(f64::INFINITY, |median| (signal.clears * median).max(at_least));
    let verdict = between(Side::Above, value, threshold, clears);
    Judgement { verdict, value: Some(value), threshold, typical }
}

/// What was usual before this hour, once that is known.
fn typical(memory: &mut Memory, value: Option<f64>, now: Duration) -> Option<Typical> {
    let typical = memory.history.typical().filter(|typical| typical.hours >= HOURS_AT_LEAST);
    memory.history.add(now, value);
    typical
}

/// Is the hour far from the usual?
fn departed(departure: Departure, memory: &mut Memory, value: Option<f64>, now: Duration) -> Judgement {
    let typical = typical(memory, value, now);
    let blank = Judgement { verdict: Verdict::Good, value, threshold: f64::INFINITY, typical };
    let (Some(value), Some(usual)) = (value, typical) else { return blank };
    let margin = departure.spreads * usual.spread + departure.share * usual.median.abs() + departure.floor;
    let away = value - usual.median;
    let is_low = departure.both_sides && away < 0.0;
    let away = if is_low { -away } else { away };
    let threshold = if is_low { usual.median - margin } else { usual.median + margin };
    Judgement { verdict: between(Side::Above, away, margin, 0.8 * margin), threshold, ..blank }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_interpolated_within_its_class() {
        // Ten up to 1 s, ten more up to 2 s, five beyond.
        let (bounds, sums) = ([1.0, 2.0], [10.0, 20.0, 25.0]);
        assert_eq!(within(&bounds, &sums, 5.0), Some(0.5));
        assert_eq!(within(&bounds, &sums, 15.0), Some(1.5));
        assert_eq!(within(&bounds, &sums, 24.0), Some(2.0), "beyond the last bound");
    }
}
