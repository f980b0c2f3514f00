//! The table with thresholds of an operator's own.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    signal::{Action, Side, Signal, Test, Unit},
    table,
};

/// What an operator wants of one signal. What is not given stays as it is in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Own {
    /// Where it fires, in the base unit of the signal; `None` as well for one that has no fixed threshold.
    pub threshold: Option<f64>,
    /// Whether it is judged at all.
    pub enabled: Option<bool>,
}

/// Why a signal cannot be judged so. Each says what is allowed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LimitError {
    /// There is no signal of this name.
    #[error("there is no signal `{name}`")]
    Unknown {
        /// What was given.
        name: String,
    },
    /// Its threshold is no number, or moves with what is usual.
    #[error("`{name}` has no threshold to be set: only enabled = true or false")]
    Fixed {
        /// Which.
        name: &'static str,
    },
    /// A threshold that no value can be compared with.
    #[error("the threshold of `{name}` is {threshold}, it must be above 0{most}")]
    Senseless {
        /// Which.
        name: &'static str,
        /// What was given.
        threshold: f64,
        /// What else.
        most: &'static str,
    },
    /// The host acts on it, so that it can only be tightened.
    #[error("the host acts on `{name}`, so it can only be tightened: not looser than {limit}, nor disabled")]
    Loosened {
        /// Which.
        name: &'static str,
        /// The threshold of the table.
        limit: f64,
    },
}

/// The signals that are judged, with the thresholds in force.
#[derive(Clone, Debug)]
pub struct Table(Arc<[Signal]>);

impl Default for Table {
    fn default() -> Self {
        Self(table::signals().copied().collect())
    }
}

impl Table {
    /// The table with these changes, by the names of signals.
    ///
    /// # Errors
    /// See [`LimitError`]; the first in the order of names.
    pub fn with(own: &BTreeMap<String, Own>) -> Result<Self, LimitError> {
        if let Some(name) = own.keys().find(|name| !table::signals().any(|signal| signal.name == **name)) {
            return Err(LimitError::Unknown { name: name.clone() });
        }
        let one = |signal: &Signal| match own.get(signal.name) {
            None => Ok(Some(*signal)),
            Some(own) => changed(signal, *own),
        };
        let signals: Result<Vec<_>, _> = table::signals().map(one).collect();
        Ok(Self(signals?.into_iter().flatten().collect()))
    }

    /// Those that are judged, in the order of the table.
    pub fn signals(&self) -> impl Iterator<Item = &Signal> {
        self.0.iter()
    }

    /// What is in force of every signal there is, by its name.
    pub fn in_force(&self) -> BTreeMap<String, Own> {
        let one = |signal: &Signal| {
            let judged = self.signals().find(|judged| judged.id == signal.id);
            let threshold = has_threshold(signal).then(|| judged.unwrap_or(signal).limit);
            (signal.name.to_owned(), Own { threshold, enabled: Some(judged.is_some()) })
        };
        table::signals().map(one).collect()
    }
}

/// The signal as it is wanted; `None` when it is not to be judged.
fn changed(signal: &Signal, own: Own) -> Result<Option<Signal>, LimitError> {
    let (name, limit) = (signal.name, signal.limit);
    let acts = signal.action != Action::Tell;
    if own.enabled == Some(false) {
        return if acts { Err(LimitError::Loosened { name, limit }) } else { Ok(None) };
    }
    let Some(threshold) = own.threshold else { return Ok(Some(*signal)) };
    if !has_threshold(signal) {
        return Err(LimitError::Fixed { name });
    }
    let (most, limited) =
        if is_share(signal) { (" and at most 1", threshold <= 1.0) } else { ("", threshold <= 1e15) };
    if !(threshold > 0.0 && limited) {
        return Err(LimitError::Senseless { name, threshold, most });
    }
    let is_looser = match signal.side {
        Side::Above => threshold > limit,
        Side::Below => threshold < limit,
    };
    if acts && is_looser {
        return Err(LimitError::Loosened { name, limit });
    }
    let clears = match signal.side {
        Side::Above if limit > 0.0 => signal.clears * threshold / limit,
        Side::Above => signal.clears,
        Side::Below if signal.unit == Unit::Ratio => (threshold + signal.clears - limit).min(1.0),
        Side::Below => threshold + signal.clears - limit,
    };
    Ok(Some(Signal { limit: threshold, clears, ..*signal }))
}

/// Whether it is compared with a number of its own.
fn has_threshold(signal: &Signal) -> bool {
    signal.unit != Unit::Flag && !matches!(signal.test, Test::Usual(_))
}

/// Whether its value is a part of a whole.
fn is_share(signal: &Signal) -> bool {
    signal.unit == Unit::Ratio && matches!(signal.test, Test::Share { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Id;

    fn with(name: &str, threshold: Option<f64>, enabled: Option<bool>) -> Result<Table, LimitError> {
        Table::with(&[(name.to_owned(), Own { threshold, enabled })].into())
    }

    fn signal(table: &Table, id: Id) -> Option<Signal> {
        table.signals().find(|signal| signal.id == id).copied()
    }

    #[test]
    fn thresholds_are_moved_and_signals_left_out() {
        let table = with("inventory", Some(0.2), None).expect("may be loosened");
        let moved = signal(&table, Id::Inventory).expect("judged");
        assert_eq!((moved.limit, (moved.clears * 100.0).round()), (0.2, 18.0));
        let table = with("fill-rate", Some(0.99), None).expect("may be tightened");
        let moved = signal(&table, Id::FillRate).expect("judged");
        assert_eq!((moved.limit, moved.clears), (0.99, 1.0), "it can be over");
        let table = with("unusual-pnl", None, Some(false)).expect("may be left out");
        assert!(signal(&table, Id::UsualPnl).is_none());
        let in_force = table.in_force();
        assert_eq!(in_force["unusual-pnl"], Own { threshold: None, enabled: Some(false) });
        assert_eq!(in_force["inventory"], Own { threshold: Some(0.1), enabled: Some(true) });
        assert_eq!(in_force.len(), table::signals().count());
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_what_the_host_acts_on_is_not_loosened() {
        let refused =
            |name, threshold, enabled| with(name, threshold, enabled).map(drop).expect_err(name).to_string();
        assert_eq!(refused("slipage", Some(1.0), None), "there is no signal `slipage`");
        assert!(refused("frozen", Some(1.0), None).contains("no threshold"));
        assert!(refused("unusual-pnl", Some(1.0), None).contains("no threshold"));
        for senseless in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(refused("slippage", Some(senseless), None).contains("above 0"), "{senseless}");
        }
        assert!(refused("fill-rate", Some(1.1), None).contains("at most 1"));
        for acting in table::signals().filter(|signal| signal.action != Action::Tell) {
            assert!(refused(acting.name, Some(acting.limit * 2.0), None).contains("tightened"));
            assert!(refused(acting.name, None, Some(false)).contains("tightened"));
            assert!(with(acting.name, Some(acting.limit / 2.0), Some(true)).is_ok());
        }
    }
}
