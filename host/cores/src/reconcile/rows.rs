//! Which rows of the broker's activities are known already.
//!
//! They are asked for by time, from a little before the newest one that was seen, so every answer brings some
//! again. Rows with a date only are made days after it, and the broker's answer goes that much further back
//! for them.

use std::{collections::BTreeSet, time::Duration};

use sandpit_types::{Activity, Deed, MarketTime};
use serde::{Deserialize, Serialize};

/// Fills may be listed in another order than they happened in, so far apart.
const OVERLAP: Duration = Duration::from_secs(60);
/// Rows with a date only may come so long after it.
const LATE: Duration = Duration::from_secs(10 * 86_400);
/// Rows that are remembered. When full, the oldest is forgotten, and with it every older one counts as known.
const MAX_KNOWN: usize = 1_000;

/// The rows that were taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRows {
    /// The newest fill's time, or when asking began.
    newest: MarketTime,
    /// What is older counts as known.
    horizon: MarketTime,
    known: BTreeSet<(MarketTime, String)>,
}

impl KnownRows {
    /// Nothing is known, and nothing before `start` is asked for.
    pub const fn new(start: MarketTime) -> Self {
        Self { newest: start, horizon: MarketTime::EPOCH, known: BTreeSet::new() }
    }

    /// From when on rows are to be asked for.
    pub fn since(&self) -> MarketTime {
        self.newest - OVERLAP
    }

    /// Whether the row was taken in before.
    pub fn has(&self, row: &Activity) -> bool {
        // Its time may have become more exact than the date that it was first listed with.
        row.time < self.horizon || self.known.iter().any(|(_, id)| *id == row.id)
    }

    /// A row is taken in that must not be a second time.
    pub fn add(&mut self, row: &Activity) {
        self.known.insert((row.time, row.id.clone()));
        if self.known.len() > MAX_KNOWN
            && let Some((time, _)) = self.known.pop_first()
        {
            self.horizon = self.horizon.max(time + Duration::from_nanos(1));
        }
    }

    /// Every fill up to this row is taken in.
    pub fn advance(&mut self, row: &Activity) {
        if matches!(row.deed, Deed::Fill { .. }) && row.time > self.newest {
            self.newest = row.time;
            let old = |(time, _): &(MarketTime, String)| *time + LATE < row.time;
            while self.known.first().is_some_and(old) {
                self.known.pop_first();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::Usd;

    use super::*;

    fn row(secs: i64, id: &str) -> Activity {
        let net = Usd::new((-1).into());
        let deed = Deed::Other { kind: "FEE".into(), net, symbol: None, qty: None };
        Activity { id: id.to_owned(), time: MarketTime::from_secs(secs), deed }
    }

    #[test]
    fn a_row_is_new_once_even_when_older_ones_were_forgotten() {
        let mut rows = KnownRows::new(MarketTime::from_secs(1_000));
        assert_eq!(rows.since(), MarketTime::from_secs(940));
        for second in 0..3_000 {
            let row = row(second, &second.to_string());
            assert!(!rows.has(&row), "{second}");
            rows.add(&row);
            assert!(rows.has(&row), "{second}");
        }
        assert!(
            (0..3_000).all(|second| rows.has(&row(second, &second.to_string()))),
            "forgotten ones count as known"
        );
        assert!(!rows.has(&row(2_500, "b")), "another row of the same time is another row");
        assert!(rows.has(&row(2_999, "2500")), "the same row at a time that is more exact");
        assert_eq!(rows.since(), MarketTime::from_secs(940), "only fills move the time to ask from");
    }
}
