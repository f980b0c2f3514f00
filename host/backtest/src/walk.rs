//! Walk-forward: parameters are chosen on some days and tried on the days after them, again and again.
//!
//! What is reported are the days that no choice had seen. The account goes on from one stretch of them to the
//! next; between them it is in cash, and each stretch begins with a strategy that is new and warmed up.

use std::ops::Range;

use sandpit_report::{Curve, Material};
use sandpit_types::{MarketTime, Usd};
use serde_json::{Map, Value};

use crate::{BacktestError, End, Open, Outcome, Settings, run::run_on, sweep};

/// How far a walk steps, in days that have data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Days on which the parameters are chosen.
    pub train: usize,
    /// Days after them on which the choice is tried; so far the next choice goes on.
    pub test: usize,
    /// Whether the days of each choice begin with the first of all.
    pub is_anchored: bool,
}

/// One step of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The parameters are chosen on these days.
    pub train: Range<MarketTime>,
    /// And tried on these.
    pub test: Vec<Range<MarketTime>>,
}

impl Window {
    /// The time from the first day of the trial to the last.
    pub fn tried(&self) -> Range<MarketTime> {
        let (first, last) = (self.test.first(), self.test.last());
        let start = first.map_or(self.train.end, |day| day.start);
        start..last.map_or(start, |day| day.end)
    }
}

impl Walk {
    /// Reads `TRAIN:TEST`, in days.
    ///
    /// # Errors
    /// One sentence when it is not that.
    pub fn parse(text: &str) -> Result<Self, String> {
        let days = |text: &str| text.parse::<usize>().ok().filter(|days| (1..=10_000).contains(days));
        let both = text.split_once(':').and_then(|(train, test)| Some((days(train)?, days(test)?)));
        let (train, test) = both.ok_or_else(|| {
            format!("{text:?} is no walk: write TRAIN:TEST in trading days from 1 to 10000, such as 60:20")
        })?;
        Ok(Self { train, test, is_anchored: false })
    }

    /// The steps over these days; the last may try fewer.
    ///
    /// # Errors
    /// One sentence when there are too few days for one.
    pub fn windows(&self, days: &[Range<MarketTime>]) -> Result<Vec<Window>, String> {
        let Some(tried) = days.get(self.train..).filter(|tried| !tried.is_empty()) else {
            return Err(format!(
                "the data has {} trading days: a walk that chooses on {} needs more; name fewer",
                days.len(),
                self.train
            ));
        };
        let window = |(step, test): (usize, &[Range<MarketTime>])| {
            let last = self.train + step * self.test;
            let first = if self.is_anchored { 0 } else { last - self.train };
            Window { train: days[first].start..days[last - 1].end, test: test.to_vec() }
        };
        Ok(tried.chunks(self.test).enumerate().map(window).collect())
    }
}

/// What came of one step.
#[derive(Debug)]
pub struct Step {
    /// The index of the variant that was tried; `None` when none could be chosen, and the days passed in
    /// cash.
    pub chosen: Option<usize>,
    /// What came of the trial.
    pub tried: Option<Outcome>,
}

/// What came of a walk.
#[derive(Debug)]
pub struct Walked {
    /// The steps that were made, in order.
    pub steps: Vec<Step>,
    /// The days of all trials as one; `None` when there was not one trial.
    pub material: Option<Material>,
    /// Why it ended before the last step; `None` if it did not.
    pub early: Option<String>,
}

/// Which variant is to be tried, by what came of each.
pub type Choose<'c> = dyn FnMut(&Window, Vec<Option<Result<Outcome, BacktestError>>>) -> Option<usize> + 'c;

/// Walks over these windows. `told` hears how many runs of choices have ended, and ends the walk by saying
/// false.
///
/// # Errors
/// When a trial cannot be begun. One that ends early, for a failure or a limit, ends the walk:
/// [`Walked::early`].
pub fn walk_forward(
    settings: &Settings,
    variants: &[Map<String, Value>],
    windows: &[Window],
    open: &Open<'_>,
    threads: usize,
    choose: &mut Choose<'_>,
    told: &(dyn Fn(usize) -> bool + Sync),
) -> Result<Walked, BacktestError> {
    let Some(first) = windows.first() else { return Err(BacktestError::NoData) };
    let mut curve = Curve::new(first.tried().start, settings.venue.cash.to_f64());
    let (mut steps, mut material, mut early) = (Vec::new(), None::<Material>, None);
    for (at, window) in windows.iter().enumerate() {
        let (train, range) = from(settings, &window.train);
        let is_told = |ended: usize| told(at * variants.len() + ended);
        let outcomes = sweep(&train, variants, Some(range), open, threads, &is_told);
        if outcomes.iter().any(was_interrupted) {
            early = Some("interrupted".to_owned());
            break;
        }
        let chosen = choose(window, outcomes);
        let Some(variant) = chosen.and_then(|chosen| variants.get(chosen)) else {
            pass(&mut curve, &window.test);
            steps.push(Step { chosen: None, tried: None });
            continue;
        };
        let Some(cash) = cents(curve.equity()) else {
            early = Some("nothing is left of the account".to_owned());
            break;
        };
        let (mut trial, range) = from(settings, &window.tried());
        trial.manifest.parameters.extend(variant.clone());
        trial.venue.cash = cash;
        let mut reel = open(Some(range))?;
        let (outcome, whole) =
            run_on(&trial, Some(curve), &mut *reel, &mut |_| told((at + 1) * variants.len()))?;
        curve = whole.expect("a curve that was given goes on");
        match &mut material {
            Some(material) => material.go_on(outcome.material.clone(), curve.clone()),
            None => material = Some(Material { curve: curve.clone(), ..outcome.material.clone() }),
        }
        early = (outcome.end != End::Finished).then(|| outcome.end.sentence());
        steps.push(Step { chosen, tried: Some(outcome) });
        if early.is_some() {
            break;
        }
    }
    if let Some(material) = &mut material {
        material.subject.cash = settings.venue.cash.to_f64();
        material.subject.parameters = Value::Object(settings.manifest.parameters.clone());
        material.curve = curve;
    }
    Ok(Walked { steps, material, early })
}

/// Settings that begin with the range, and the range with what a strategy's warm-up needs before it.
fn from(settings: &Settings, range: &Range<MarketTime>) -> (Settings, Range<MarketTime>) {
    let settings = Settings { start: Some(range.start), ..settings.clone() };
    let range = range.start - settings.lead()..range.end;
    (settings, range)
}

/// Whether a choice was not made on everything that was to be run for it.
fn was_interrupted(outcome: &Option<Result<Outcome, BacktestError>>) -> bool {
    match outcome {
        Some(Ok(outcome)) => matches!(outcome.end, End::Interrupted { .. }),
        Some(Err(_)) => false,
        None => true,
    }
}

/// Days in cash.
fn pass(curve: &mut Curve, days: &[Range<MarketTime>]) {
    let equity = curve.equity();
    for day in days {
        curve.push(day.end, equity, 0.0, 0.0);
        curve.end_day(day.end);
    }
}

/// As cash, in whole cents.
fn cents(equity: f64) -> Option<Usd> {
    let cash = Usd::from_f64((equity * 100.0).round() / 100.0).ok()?;
    cash.is_positive().then_some(cash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(at: i64) -> Range<MarketTime> {
        MarketTime::from_secs(86_400 * at)..MarketTime::from_secs(86_400 * (at + 1))
    }

    /// The days of each window, by number: those of the choice from first to last, and those of the trial.
    fn steps(walk: Walk, days: usize) -> Vec<(i64, i64, i64, i64)> {
        let days: Vec<_> = (0..days as i64).map(day).collect();
        let number = |at: MarketTime| at.as_nanos() / 86_400_000_000_000;
        let windows = walk.windows(&days).expect("windows");
        let step = |window: Window| {
            let (train, test) = (window.train.clone(), window.tried());
            (number(train.start), number(train.end), number(test.start), number(test.end))
        };
        windows.into_iter().map(step).collect()
    }

    #[test]
    fn every_day_after_the_first_choice_is_tried_once_and_after_its_choice() {
        let rolling = Walk { train: 3, test: 2, is_anchored: false };
        assert_eq!(steps(rolling, 8), [(0, 3, 3, 5), (2, 5, 5, 7), (4, 7, 7, 8)]);
        let anchored = Walk { is_anchored: true, ..rolling };
        assert_eq!(steps(anchored, 7), [(0, 3, 3, 5), (0, 5, 5, 7)]);
        for (train, test, days) in
            (1..6).flat_map(|a| (1..6).flat_map(move |b| (a + 1..30).map(move |c| (a, b, c))))
        {
            let all = steps(Walk { train, test, is_anchored: false }, days);
            assert!(all.iter().all(|(from, to, first, _)| to == first && to - from == train as i64));
            assert!(all.windows(2).all(|pair| pair[0].3 == pair[1].2), "{train} {test} {days}");
            let (first, last) = (all.first().expect("one"), all.last().expect("one"));
            assert_eq!((first.2, last.3), (train as i64, days as i64));
        }
    }

    #[test]
    fn a_walk_needs_days() {
        let walk = Walk::parse("60:20").expect("a walk");
        assert_eq!(walk, Walk { train: 60, test: 20, is_anchored: false });
        let days: Vec<_> = (0..60).map(day).collect();
        let why = walk.windows(&days).expect_err("no day is left to try");
        assert!(why.contains("60 trading days"), "{why}");
        for wrong in ["", "60", "60:", "0:5", "5:0", "a:b", "1:2:3", "-1:5", "99999:1"] {
            assert!(Walk::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cash_is_whole_cents_above_zero() {
        assert_eq!(cents(1_000.004_9).map(|cash| cash.to_string()), Some("1000".to_owned()));
        assert_eq!(cents(99.999).map(|cash| cash.to_string()), Some("100".to_owned()));
        assert!(
            [0.0, 0.004, -1.0, f64::NAN, f64::INFINITY].into_iter().all(|equity| cents(equity).is_none())
        );
    }
}
