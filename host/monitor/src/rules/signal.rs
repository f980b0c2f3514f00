//! What a signal is: a row of the [table](super::table::SIGNALS).

use std::time::Duration;

use serde::Serialize;

/// Which signal; `sample.rs` has what each takes from a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is described by its row of the table")]
pub enum Id {
    Heartbeat,
    FillRate,
    ErrorRate,
    KeyRotated,
    BrokerErrors,
    OrderRejects,
    OutcomeUnknown,
    DailyLoss,
    Drawdown,
    Inventory,
    GrossExposure,
    FillLatencyP50,
    FillLatencyP95,
    FillLatencyP99,
    AnswerLatency,
    RateLimited,
    BudgetUse,
    Balance,
    Frozen,
    Slippage,
    OrderSurge,
    StreamDown,
    StrategyDown,
    Database,
    Memory,
    Lease,
    UsualPnl,
    UsualLatency,
    UsualErrors,
    UsualCost,
    Blind,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing by day.
    Info,
    /// Somebody has to look at it today.
    Warning,
    /// Somebody has to look at it now.
    Critical,
}

impl Severity {
    /// Its name, as in labels and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What the host does by itself while the signal fires. The evaluator only says so; the desk does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing but to tell.
    Tell,
    /// No new entries; exits and cancels go on. Ends when the signal is resolved.
    StopEntries,
    /// Only orders that reduce, until an operator lifts it.
    Freeze,
}

impl Action {
    /// Its name, as in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tell => "tell",
            Self::StopEntries => "stop-entries",
            Self::Freeze => "freeze",
        }
    }
}

/// The unit of values and thresholds. Prometheus' base units, so ratios are fractions of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Fraction of one, shown in percent.
    Ratio,
    /// Fraction of one, shown in basis points, which are 1/10000.
    BasisPoints,
    /// Seconds of real time.
    Seconds,
    /// US dollars.
    Usd,
    /// How many.
    Count,
    /// 0 or 1.
    Flag,
}

/// Which side of the threshold is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Values above it.
    Above,
    /// Values below it.
    Below,
}

/// How a value is made of what is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Test {
    /// The newest figure itself.
    Level,
    /// Real time since a counter moved.
    Stall,
    /// How much counters grew within the window.
    Growth {
        /// How far back.
        window: Duration,
    },
    /// The growth of one counter within the window by that of another; nothing is judged below `at_least`
    /// of the other.
    Share {
        /// How far back.
        window: Duration,
        /// The least growth of the whole that is judged.
        at_least: f64,
    },
    /// A quantile of the durations of the window, interpolated within its class as Prometheus does.
    Quantile {
        /// How far back.
        window: Duration,
        /// Which quantile, above 0 and below 1.
        of: f64,
        /// The fewest durations that are judged.
        at_least: f64,
    },
    /// What was lost since the window began, by equity.
    Loss {
        /// How far back.
        window: Duration,
    },
    /// What was lost since the highest level of the window, by equity.
    Drawdown {
        /// How far back.
        window: Duration,
    },
    /// The growth of the last hour by the median of the hours of the last 7 days that had any.
    Surge {
        /// The least growth that is judged.
        at_least: f64,
    },
    /// How far the last hour departs from the hours of the last 7 days, see [`Departure`].
    Usual(Departure),
}

/// What is a departure from the usual: further from the median of the hours than `spreads` times their
/// interquartile range, plus `share` of the median, plus `floor`. The limit and the value of such a signal
/// are the hour's own; the limit of its row is not used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Departure {
    /// What the hour's value is.
    pub hour: Hour,
    /// How many interquartile ranges.
    pub spreads: f64,
    /// What share of the median.
    pub share: f64,
    /// How much at least, in the signal's unit.
    pub floor: f64,
    /// Whether a value that is unusually low counts as well.
    pub both_sides: bool,
}

/// What the value of an hour is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hour {
    /// The change of a level by equity; an hour without any is left out.
    Change,
    /// How much a counter grew.
    Growth,
    /// The growth of one counter by that of another; an hour in which the other did not grow is left out.
    Mean,
}

/// Where Prometheus finds the same. `{window}` stands for the signal's window, in a condition `{limit}` for
/// its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An expression of the value, and one of how much there is to judge, empty when it does not matter.
    Value(&'static str, &'static str),
    /// The whole condition.
    Condition(&'static str),
    /// Not in `/metrics`: only the evaluator in the host has the data.
    BuiltInOnly,
}

/// One signal: a number and what it triggers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signal {
    /// Which.
    pub id: Id,
    /// Its name in messages; also that of the alert in Prometheus, there `SandpitFillRate` for `fill-rate`.
    pub name: &'static str,
    /// What is measured, as the beginning of a sentence.
    pub what: &'static str,
    /// The unit of the value and of the limit.
    pub unit: Unit,
    /// How the value is made.
    pub test: Test,
    /// Which side of the limit is bad.
    pub side: Side,
    /// The threshold. A value on it is not bad.
    pub limit: f64,
    /// How far back into the good side a firing signal has to go before it can be resolved.
    pub clears: f64,
    /// How long it has to be bad before it fires.
    pub hold: Duration,
    /// How long it has to be good before it is resolved.
    pub settle: Duration,
    /// How bad it is.
    pub severity: Severity,
    /// What the host does by itself.
    pub action: Action,
    /// What a human does, one sentence.
    pub to_do: &'static str,
    /// Where Prometheus finds the same.
    pub source: Source,
}

impl Signal {
    /// How far back its test looks; zero when it looks at the newest figure only.
    pub const fn window(&self) -> Duration {
        match self.test {
            Test::Level | Test::Stall => Duration::ZERO,
            Test::Growth { window }
            | Test::Share { window, .. }
            | Test::Quantile { window, .. }
            | Test::Loss { window }
            | Test::Drawdown { window } => window,
            Test::Surge { .. } | Test::Usual(_) => HOUR,
        }
    }

    /// For how long what it has seen matters: 7 days where it knows what is usual.
    pub const fn memory(&self) -> Duration {
        match self.test {
            Test::Surge { .. } | Test::Usual(_) => WEEK,
            Test::Level
            | Test::Stall
            | Test::Growth { .. }
            | Test::Share { .. }
            | Test::Quantile { .. }
            | Test::Loss { .. }
            | Test::Drawdown { .. } => self.window(),
        }
    }
}

/// The piece of time of which it is known what is usual.
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// How far back the usual goes.
pub(super) const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// What is usual is known from so many hours on.
pub const HOURS_AT_LEAST: usize = 24;
