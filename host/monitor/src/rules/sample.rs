//! What each signal takes from a reading.

use serde::{Deserialize, Serialize};

use super::{reading::Reading, signal::Id};
use crate::HistogramFigures;

/// Characters of a label's value that are kept.
const LABEL_CHARS: usize = 64;

/// What tells the series of one signal apart, such as `strategy` and its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    pub(super) fn of(labels: &[(&str, &str)]) -> Self {
        let cut = |text: &str| text.chars().take(LABEL_CHARS).collect();
        Self(labels.iter().map(|(name, value)| ((*name).to_owned(), cut(value))).collect())
    }

    /// Each name and value; at most three, values of at most 64 characters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether what was read from a file could have been made here.
    pub(super) fn is_sane(&self) -> bool {
        let is_short = |text: &String| text.chars().count() <= LABEL_CHARS;
        self.0.len() <= 3 && self.0.iter().all(|(name, value)| is_short(name) && is_short(value))
    }
}

/// The newest figures of one series.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sample {
    /// A level.
    Level(f64),
    /// A level, and the equity that it is measured by.
    OfEquity(f64, f64),
    /// Counters: one, or a part and its whole.
    Counts(Vec<f64>),
    /// A distribution: bounds, and counters of no longer than each; the last counts all.
    Times(Vec<f64>, Vec<f64>),
}

impl Sample {
    /// Whether every figure is a number of a size that can be reckoned with.
    fn is_sane(&self) -> bool {
        let is_sane = |number: &f64| number.abs() <= LARGEST;
        match self {
            Self::Level(level) => is_sane(level),
            Self::OfEquity(level, equity) => is_sane(level) && is_sane(equity) && *equity >= LEAST_EQUITY_USD,
            Self::Counts(counts) => counts.iter().all(is_sane),
            Self::Times(bounds, counts) => {
                bounds.iter().chain(counts).all(is_sane) && counts.len() <= MOST_CLASSES
            }
        }
    }
}

/// A number beyond this is none: sums of the largest stay finite, which a state in JSON needs.
const LARGEST: f64 = 1e30;

/// Nothing is measured by less equity than a cent: the share would be no number.
const LEAST_EQUITY_USD: f64 = 0.01;

/// A distribution of more classes than this is not taken.
pub(super) const MOST_CLASSES: usize = 64;

/// All series of a signal; what is `None` is not known now. `None` as a whole: nor is which there are.
pub(super) type Samples = Option<Vec<(Labels, Option<Sample>)>>;

/// The samples of a signal. What is no number is not known.
pub(super) fn samples(id: Id, reading: &Reading) -> Samples {
    let mut samples = raw(id, reading)?;
    for (_, sample) in &mut samples {
        *sample = sample.take().filter(Sample::is_sane);
    }
    Some(samples)
}

fn raw(id: Id, reading: &Reading) -> Samples {
    match id {
        Id::Heartbeat => {
            let loops = reading.loops.as_ref()?.iter();
            Some(loops.map(|(name, moved)| (Labels::of(&[("loop", name)]), counts(&[*moved]))).collect())
        }
        Id::StrategyDown | Id::DailyLoss | Id::Drawdown | Id::UsualPnl | Id::OrderSurge => {
            strategies(id, reading)
        }
        Id::Inventory | Id::GrossExposure => holdings(id, reading),
        Id::RateLimited | Id::BudgetUse => budgets(id, reading),
        Id::StreamDown => {
            let streams = reading.streams.as_ref()?.iter();
            let down = |live: bool| Some(Sample::Level(if live { 0.0 } else { 1.0 }));
            Some(streams.map(|(name, live)| (Labels::of(&[("stream", name)]), down(*live))).collect())
        }
        Id::FillRate
        | Id::ErrorRate
        | Id::KeyRotated
        | Id::BrokerErrors
        | Id::OrderRejects
        | Id::OutcomeUnknown
        | Id::FillLatencyP50
        | Id::FillLatencyP95
        | Id::FillLatencyP99
        | Id::AnswerLatency
        | Id::Balance
        | Id::Frozen
        | Id::Slippage
        | Id::Database
        | Id::Memory
        | Id::Lease
        | Id::UsualLatency
        | Id::UsualErrors
        | Id::UsualCost
        | Id::Blind => Some(vec![(Labels::default(), Some(one(id, reading)?))]),
    }
}

/// The sample of a signal that has one series.
fn one(id: Id, reading: &Reading) -> Option<Sample> {
    match id {
        Id::FillRate => reading.fills.and_then(|fills| counts(&[fills.in_time, fills.due])),
        Id::ErrorRate => {
            let answered = reading.answered?;
            counts(&[answered.errors_4xx.saturating_add(answered.errors_5xx), answered.all])
        }
        Id::KeyRotated => counts(&[reading.answered?.unauthorised]),
        Id::BrokerErrors => counts(&[reading.answered?.errors_5xx]),
        Id::OrderRejects => {
            let orders = reading.orders?;
            counts(&[orders.rejected, orders.rejected.saturating_add(orders.submitted)])
        }
        Id::OutcomeUnknown => Some(Sample::Level(reading.orders?.unknown_now as f64)),
        Id::FillLatencyP50 | Id::FillLatencyP95 | Id::FillLatencyP99 => times(reading.fill_latency.as_ref()?),
        Id::AnswerLatency => times(reading.answers.as_ref()?),
        Id::UsualLatency => {
            let answers = reading.answers.as_ref()?;
            Some(Sample::Counts(vec![answers.sum_secs, answers.count as f64]))
        }
        Id::Balance => Some(Sample::Level(reading.unexplained_usd?.abs())),
        Id::Frozen => Some(Sample::Level(if reading.frozen? { 1.0 } else { 0.0 })),
        Id::Slippage => {
            let costs = reading.costs?;
            Some(Sample::Counts(vec![costs.slippage_usd, costs.traded_usd]))
        }
        Id::UsualCost => {
            let costs = reading.costs?;
            Some(Sample::Counts(vec![costs.slippage_usd + costs.fees_usd, costs.fills as f64]))
        }
        Id::Database => counts(&[reading.database_failures?]),
        Id::Memory => {
            let limit = reading.memory_limit_bytes.filter(|limit| *limit > 0)?;
            Some(Sample::Level(reading.rss_bytes? as f64 / limit as f64))
        }
        Id::Lease => Some(Sample::Level(reading.lease_secs_left?)),
        Id::UsualErrors => {
            let limited: u64 = reading.budgets.as_ref()?.values().map(|budget| budget.http_429).sum();
            let rejected = reading.orders?.rejected;
            counts(&[rejected.saturating_add(limited).saturating_add(reading.polls_failed?)])
        }
        // Those of several series, and the one that the evaluator makes itself.
        Id::Heartbeat
        | Id::StrategyDown
        | Id::DailyLoss
        | Id::Drawdown
        | Id::UsualPnl
        | Id::OrderSurge
        | Id::Inventory
        | Id::GrossExposure
        | Id::RateLimited
        | Id::BudgetUse
        | Id::StreamDown
        | Id::Blind => None,
    }
}

fn strategies(id: Id, reading: &Reading) -> Samples {
    let strategies = reading.strategies.as_ref()?.iter();
    let of = |(name, strategy): (&String, &super::StrategyReading)| {
        let sample = match id {
            Id::StrategyDown => Some(Sample::Level(if strategy.is_running { 0.0 } else { 1.0 })),
            Id::OrderSurge => counts(&[strategy.orders]),
            _ => strategy.pnl_usd.zip(reading.equity_usd).map(|(pnl, equity)| Sample::OfEquity(pnl, equity)),
        };
        (Labels::of(&[("strategy", name)]), sample)
    };
    Some(strategies.map(of).collect())
}

fn holdings(id: Id, reading: &Reading) -> Samples {
    let positions = reading.positions.as_ref()?;
    let equity = reading.equity_usd.filter(|equity| *equity >= LEAST_EQUITY_USD);
    let share = |value: Option<f64>| Some(Sample::Level(value?.abs() / equity?));
    if id == Id::GrossExposure {
        let gross = positions.values().map(|value| value.map(f64::abs)).sum();
        return Some(vec![(Labels::default(), share(gross))]);
    }
    Some(positions.iter().map(|(name, value)| (Labels::of(&[("symbol", name)]), share(*value))).collect())
}

fn budgets(id: Id, reading: &Reading) -> Samples {
    let budgets = reading.budgets.as_ref()?.iter();
    if id == Id::RateLimited {
        let one = |(name, budget): (&String, &super::BudgetReading)| {
            (Labels::of(&[("source", name)]), counts(&[budget.http_429]))
        };
        return Some(budgets.map(one).collect());
    }
    let windows = budgets.flat_map(|(name, budget)| budget.windows.iter().map(move |window| (name, window)));
    let windows = windows.filter(|(_, (.., limit))| *limit > 0);
    let one = |(name, (unit, secs, used, limit)): (&String, &(String, u64, u64, u64))| {
        let labels = [("source", name.as_str()), ("unit", unit), ("window_seconds", &secs.to_string())];
        (Labels::of(&labels), Some(Sample::Level(*used as f64 / *limit as f64)))
    };
    Some(windows.map(one).collect())
}

fn counts(counts: &[u64]) -> Option<Sample> {
    Some(Sample::Counts(counts.iter().map(|count| *count as f64).collect()))
}

fn times(figures: &HistogramFigures) -> Option<Sample> {
    let (bounds, mut counts): (Vec<f64>, Vec<f64>) =
        figures.within_secs.iter().map(|(bound, count)| (*bound, *count as f64)).unzip();
    counts.push(figures.count as f64);
    Some(Sample::Times(bounds, counts))
}
