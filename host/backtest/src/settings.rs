//! What a run is made of, and what comes of it.

use std::time::Duration;

use sandpit_report::Material;
use sandpit_risk::{Grant, Limits};
use sandpit_strategy::{Bounds, Engine, Failure, Manifest, Plugin};
use sandpit_types::MarketTime;
use sandpit_venue::VenueConfig;

/// What is run, on what, within which limits.
#[derive(Clone)]
pub struct Settings {
    /// Runs the component.
    pub engine: Engine,
    /// The strategy.
    pub plugin: Plugin,
    /// The operator's word on it: parameters, instruments, limits.
    pub manifest: Manifest,
    /// What it may use.
    pub bounds: Bounds,
    /// What it is granted beside the limits of all.
    pub grant: Grant,
    /// The gates' limits.
    pub limits: Limits,
    /// Cash at the start, realism of the fills, and the seed of all chance.
    pub venue: VenueConfig,
    /// How the fills' realism is called, for the report.
    pub realism: String,
    /// Where the data comes from, for the report.
    pub data: Vec<String>,
    /// When the run begins: the bars before it are for the strategy's warm-up only. With the data, if `None`.
    pub start: Option<MarketTime>,
}

/// Bars of a regular session.
const SESSION_BARS: u64 = 390;

impl Settings {
    /// How long before its start the data has to begin for the strategy's warm-up: twice the sessions that
    /// these bars fill, for minutes without trades, and a long weekend.
    pub fn lead(&self) -> Duration {
        match u64::from(self.plugin.description().warmup_bars) {
            0 => Duration::ZERO,
            bars => Duration::from_secs(86_400 * (2 * bars.div_ceil(SESSION_BARS) + 4)),
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// All data was played.
    Finished,
    /// The strategy failed: no strike is given in a backtest, the first failure is the end.
    Failed {
        /// How.
        failure: Failure,
        /// What it was told when it failed.
        event: String,
        /// When.
        at: MarketTime,
    },
    /// A limit on losses was reached: a host would have been killed here.
    Tripped {
        /// Which limit.
        reason: String,
        /// When.
        at: MarketTime,
    },
    /// The strategy answered each answer with another order, without end, at one moment.
    Restless {
        /// When.
        at: MarketTime,
    },
    /// Whoever watches wanted no more.
    Interrupted {
        /// When.
        at: MarketTime,
    },
}

impl End {
    /// Whether all data was played.
    pub const fn is_whole(&self) -> bool {
        matches!(self, Self::Finished)
    }

    /// In one sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Finished => "finished".to_owned(),
            Self::Failed { failure, event, at } => {
                format!("the strategy failed at {at} on {event}: {failure}")
            }
            Self::Tripped { reason, at } => {
                format!("a limit was reached at {at}, and a host would have been killed there: {reason}")
            }
            Self::Restless { at } => {
                format!("the strategy answers each answer with another order at {at}, without end")
            }
            Self::Interrupted { at } => format!("interrupted at {at}"),
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What the report is made of.
    pub material: Material,
    /// Events that were played.
    pub events: u64,
}
