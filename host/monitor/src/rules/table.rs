//! The one table of signals. The evaluator, the rule file for Prometheus and the documents are made from it.

mod broker;
mod machine;
mod money;
mod usual;

use std::time::Duration;

use super::signal::{
    Action::{Freeze, StopEntries, Tell},
    Departure, Hour, Id,
    Severity::{Critical, Info, Warning},
    Side::{Above, Below},
    Signal,
    Source::{BuiltInOnly, Condition, Value},
    Test::{Drawdown, Growth, Level, Loss, Quantile, Share, Stall, Surge, Usual},
    Unit,
};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const ONE_MINUTE: Duration = secs(60);
const FIVE_MINUTES: Duration = secs(300);
const ONE_HOUR: Duration = secs(3_600);
const ONE_DAY: Duration = secs(86_400);
const SEVEN_DAYS: Duration = secs(7 * 86_400);

/// What rows have in common; each says what is its own.
const ROW: Signal = Signal {
    id: Id::Blind,
    name: "",
    what: "",
    unit: Unit::Count,
    test: Level,
    side: Above,
    limit: 0.0,
    clears: 0.0,
    hold: Duration::ZERO,
    settle: ONE_MINUTE,
    severity: Warning,
    action: Tell,
    to_do: "",
    source: BuiltInOnly,
};

/// From the signal to the fill.
const FILL_LATENCY: Signal = Signal { unit: Unit::Seconds, hold: ONE_MINUTE, ..ROW };

/// A quantile of five minutes; of fewer than 20 it says nothing.
const fn quantile(of: f64) -> super::signal::Test {
    Quantile { window: FIVE_MINUTES, of, at_least: 20.0 }
}

const SLOW: Signal = Signal {
    to_do: "Look at which step is slow in `sandpit_order_step_seconds`, and at limits far from the market.",
    ..FILL_LATENCY
};

const DEPARTURE: Departure =
    Departure { hour: Hour::Growth, spreads: 3.0, share: 0.5, floor: 0.0, both_sides: false };

const UNUSUAL: Signal = Signal { hold: FIVE_MINUTES, settle: secs(600), severity: Info, ..ROW };

/// The rows by subject.
const SUBJECTS: [&[Signal]; 4] = [money::ROWS, broker::ROWS, machine::ROWS, usual::ROWS];

/// Every signal.
pub fn signals() -> impl Iterator<Item = &'static Signal> {
    SUBJECTS.into_iter().flatten()
}

/// The row of a signal.
///
/// # Panics
/// When the table lacks it, which a test of it excludes.
pub fn signal(id: Id) -> &'static Signal {
    signals().find(|signal| signal.id == id).expect("every signal has its row")
}
