//! The owner's transfers as the broker's activities list them: each counts once, and again by what changes.

use std::collections::BTreeMap;

use super::{Money, Row};

/// Rows that are remembered, the newest: more than a page has, so that none of a page is ever new again.
const MAX_ROWS: usize = 300;

/// Money that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// Its day.
    pub(super) day: String,
    /// How much came (above zero) or went.
    pub(super) net: Money,
    /// It was there before anybody watched this account.
    pub(super) is_history: bool,
}

/// What is known of the rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Transfers {
    /// `None` before the first answer of the first life.
    known: Option<BTreeMap<String, Money>>,
    are_read: bool,
}

impl Transfers {
    /// As an earlier life left it.
    pub(super) const fn restored(known: Option<BTreeMap<String, Money>>) -> Self {
        Self { known, are_read: false }
    }

    /// Whether an answer of this life was taken in.
    pub(super) const fn are_read(&self) -> bool {
        self.are_read
    }

    /// What has to survive.
    pub(super) fn to_keep(&self) -> Option<BTreeMap<String, Money>> {
        self.known.clone()
    }

    /// Takes a page in; what is new in it, the oldest first.
    pub(super) fn on(&mut self, mut rows: Vec<Row>) -> Vec<Moved> {
        let is_history = self.known.is_none();
        self.are_read = true;
        let known = self.known.get_or_insert_default();
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        let mut moved = Vec::new();
        for Row { id, day, net } in rows {
            let before = known.insert(id, net).unwrap_or_default();
            if net != before {
                moved.push(Moved { day, net: net - before, is_history });
            }
        }
        while known.len() > MAX_ROWS {
            known.pop_first();
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u32, net: i64) -> Row {
        Row { id: format!("2026{n:04}::x"), day: "2026-03-02".into(), net: Money::whole(net) }
    }

    fn nets(moved: &[Moved]) -> Vec<(Money, bool)> {
        moved.iter().map(|moved| (moved.net, moved.is_history)).collect()
    }

    #[test]
    fn each_row_counts_once_and_by_what_changes() {
        let mut transfers = Transfers::default();
        assert_eq!(nets(&transfers.on(vec![row(1, 500)])), [(Money::whole(500), true)]);
        assert_eq!(transfers.on(vec![row(1, 500)]), []);
        // The newest first, as the broker lists them; one is corrected, one canceled.
        let page = vec![row(3, -20), row(2, 70), row(1, 400)];
        let expected = [(-100, false), (70, false), (-20, false)].map(|(net, is)| (Money::whole(net), is));
        assert_eq!(nets(&transfers.on(page)), expected);
        assert_eq!(nets(&transfers.on(vec![row(2, 0)])), [(Money::whole(-70), false)]);
        // A page that is empty once makes nothing new.
        assert_eq!(transfers.on(Vec::new()), []);
        assert_eq!(transfers.on(vec![row(3, -20), row(2, 0), row(1, 400)]), []);
        let mut next = Transfers::restored(transfers.to_keep());
        assert!(!next.are_read());
        assert_eq!(nets(&next.on(vec![row(4, 9)])), [(Money::whole(9), false)]);
    }

    #[test]
    fn there_is_a_bound() {
        let mut transfers = Transfers::default();
        transfers.on((0..1_000).map(|n| row(n, 1)).collect());
        assert_eq!(transfers.to_keep().map(|rows| rows.len()), Some(MAX_ROWS));
        assert_eq!(transfers.on((900..1_000).map(|n| row(n, 1)).collect()), []);
    }
}
