//! Which rows of the broker's activities are known already, and what of them was taken in.
//!
//! They are asked for by time, from a little before the newest one that was seen, so every answer brings some
//! again. Rows with a date only are made days after it, and the broker's answer goes that much further back
//! for them.
//!
//! A row is known by its id. One that was taken in and is canceled later, or moves something else, comes
//! again as long as it is asked for: then the difference is what moved. How long after a row the broker may
//! change it, the fact sheet (2.3) does not say; what is older than that is not seen.

use std::{collections::BTreeMap, time::Duration};

use sandpit_types::{Activity, Deed, MarketTime, Qty, Usd};
use serde::{Deserialize, Serialize};

/// Fills may be listed in another order than they happened in, so far apart.
const OVERLAP: Duration = Duration::from_secs(60);
/// Rows with a date only may come so long after it.
const LATE: Duration = Duration::from_secs(10 * 86_400);
/// Rows that are remembered. When full, the oldest is forgotten, and with it every older one counts as known.
const MAX_KNOWN: usize = 1_000;

/// What a row moved by no order, or moves otherwise than it did before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Money that came (above zero) or went.
    pub net: Usd,
    /// Shares that came or went.
    pub shares: Qty,
    /// Of these, what is the owner's and has no value by the broker.
    pub unvalued: Qty,
    /// What the owner moved, money and shares of which the broker tells a value.
    pub transferred: Usd,
}

impl Moved {
    /// What the row says by itself.
    fn of(row: &Activity) -> Self {
        let Deed::Other { net, .. } = &row.deed else { return Self::default() };
        let shares = row.deed.shares_moved().unwrap_or_default();
        match row.deed.transferred() {
            Some(transferred) => Self { net: *net, shares, unvalued: Qty::ZERO, transferred },
            None => Self { net: *net, shares, unvalued: shares, transferred: *net },
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            net: self.net - before.net,
            shares: self.shares - before.shares,
            unvalued: self.unvalued - before.unvalued,
            transferred: self.transferred - before.transferred,
        }
    }
}

/// A row as it was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    time: MarketTime,
    moved: Moved,
}

/// The rows that were taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRows {
    /// The newest fill's time, or when asking began.
    newest: MarketTime,
    /// What is older counts as known.
    horizon: MarketTime,
    known: BTreeMap<String, Taken>,
}

impl KnownRows {
    /// Nothing is known, and nothing before `start` is asked for.
    pub const fn new(start: MarketTime) -> Self {
        Self { newest: start, horizon: MarketTime::EPOCH, known: BTreeMap::new() }
    }

    /// From when on rows are to be asked for.
    pub fn since(&self) -> MarketTime {
        self.newest - OVERLAP
    }

    /// Whether the row was taken in before.
    pub fn has(&self, row: &Activity) -> bool {
        // Its time may have become more exact than the date that it was first listed with.
        row.time < self.horizon || self.known.contains_key(&row.id)
    }

    /// Takes a row in. Returns what it moved that was not taken in before; `None` when that is nothing and
    /// the row is known.
    pub fn take(&mut self, row: &Activity) -> Option<Moved> {
        let moved = Moved::of(row);
        if let Some(taken) = self.known.get_mut(&row.id) {
            let before = std::mem::replace(&mut taken.moved, moved);
            return (moved != before).then(|| moved.since(before));
        }
        if row.time < self.horizon {
            return None;
        }
        self.known.insert(row.id.clone(), Taken { time: row.time, moved });
        if self.known.len() > MAX_KNOWN {
            self.forget_oldest();
        }
        Some(moved)
    }

    /// Every fill up to this row is taken in.
    pub fn advance(&mut self, row: &Activity) {
        if matches!(row.deed, Deed::Fill { .. }) && row.time > self.newest {
            self.newest = row.time;
            self.known.retain(|_, taken| taken.time + LATE >= row.time);
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.known.iter().min_by_key(|(id, taken)| (taken.time, *id));
        if let Some((id, time)) = oldest.map(|(id, taken)| (id.clone(), taken.time)) {
            self.known.remove(&id);
            self.horizon = self.horizon.max(time + Duration::from_nanos(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::{Price, Symbol};

    use super::*;

    fn row(secs: i64, id: &str) -> Activity {
        moving(secs, id, "FEE", -1, 0, None)
    }

    fn moving(secs: i64, id: &str, kind: &str, net: i64, shares: i64, each: Option<i64>) -> Activity {
        let deed = Deed::Other {
            kind: kind.into(),
            net: Usd::new(net.into()),
            symbol: (shares != 0).then(|| Symbol::new("SPY")),
            qty: (shares != 0).then(|| Qty::new(shares.into())),
            per_share: each.map(|each| Price::new(each.into())),
        };
        Activity { id: id.to_owned(), time: MarketTime::from_secs(secs), deed }
    }

    #[test]
    fn a_row_is_new_once_even_when_older_ones_were_forgotten() {
        let mut rows = KnownRows::new(MarketTime::from_secs(1_000));
        assert_eq!(rows.since(), MarketTime::from_secs(940));
        for second in 0..3_000 {
            let row = row(second, &second.to_string());
            assert!(!rows.has(&row), "{second}");
            assert!(rows.take(&row).is_some(), "{second}");
            assert!(rows.has(&row), "{second}");
            assert_eq!(rows.take(&row), None, "{second}");
        }
        assert!(
            (0..3_000).all(|second| rows.take(&row(second, &second.to_string())).is_none()),
            "forgotten ones count as known"
        );
        assert!(!rows.has(&row(2_500, "b")), "another row of the same time is another row");
        assert!(rows.has(&row(2_999, "2500")), "the same row at a time that is more exact");
        assert_eq!(rows.since(), MarketTime::from_secs(940), "only fills move the time to ask from");
    }

    #[test]
    fn a_row_that_changes_moves_the_difference() {
        let mut rows = KnownRows::new(MarketTime::from_secs(1_000));
        let mut check = |row: &Activity, expected: Option<(i64, i64, i64, i64)>| {
            let moved =
                rows.take(row).map(|moved| (moved.net, moved.shares, moved.unvalued, moved.transferred));
            let usd = |usd: i64| Usd::new(usd.into());
            let qty = |qty: i64| Qty::new(qty.into());
            let expected = expected.map(|(net, shares, unvalued, transferred)| {
                (usd(net), qty(shares), qty(unvalued), usd(transferred))
            });
            assert_eq!(moved, expected, "{row:?}");
        };
        // Taken in, canceled, canceled again: the time it is listed with does not matter.
        check(&moving(1_000, "a", "CSW", -500, 0, None), Some((-500, 0, 0, -500)));
        check(&moving(1_000, "a", "CSW", 0, 0, None), Some((500, 0, 0, 500)));
        check(&moving(2_000, "a", "CSW", 0, 0, None), None);
        // Canceled before anybody saw it.
        check(&moving(1_000, "b", "CSW", 0, 0, None), Some((0, 0, 0, 0)));
        // Corrected.
        check(&moving(1_000, "c", "FEE", -3, 0, None), Some((-3, 0, 0, 0)));
        check(&moving(1_000, "c", "FEE", -2, 0, None), Some((1, 0, 0, 0)));
        // Shares, of which the broker says later what they are worth, and that go back in the end.
        check(&moving(1_000, "d", "JNLS", 0, 10, None), Some((0, 10, 10, 0)));
        check(&moving(1_000, "d", "JNLS", 0, 10, Some(100)), Some((0, 0, -10, 1_000)));
        check(&moving(1_000, "d", "JNLS", 0, 0, Some(100)), Some((0, -10, 0, -1_000)));
        check(&moving(1_000, "e", "SPLIT", 0, 10, None), Some((0, 10, 0, 0)));
    }
}
