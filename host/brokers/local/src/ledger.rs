//! What moved shares or money at the venue, as the broker's activities tell it.

use std::collections::VecDeque;

use sandpit_types::{Activity, Deed, MarketTime};
use sandpit_venue::{EventKind, FeeCharge, VenueEvent};

/// Most rows kept; the oldest go.
const MAX_ROWS: usize = 65_536;

/// The newest rows, in the order they were booked.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    rows: VecDeque<Activity>,
    booked: u64,
    fees: usize,
}

impl Ledger {
    /// Books an event, if it is an execution.
    pub(super) fn on_event(&mut self, event: &VenueEvent) {
        if !matches!(event.kind, EventKind::Fill | EventKind::PartialFill) {
            return;
        }
        let (Some(qty), Some(price)) = (event.qty, event.price) else { return };
        let deed = Deed::Fill {
            order: event.order.id.clone(),
            symbol: event.order.symbol.clone(),
            side: event.order.side,
            qty,
            price,
            cumulative: event.order.filled_qty,
        };
        self.book(event.time, deed);
    }

    /// Books the venue's fees that are new; `all` only grows.
    pub(super) fn on_fees(&mut self, all: &[FeeCharge]) {
        for fee in &all[self.fees..] {
            let deed = Deed::Other {
                kind: "FEE".to_owned(),
                net: -fee.amount,
                symbol: None,
                qty: None,
                per_share: None,
            };
            self.book(fee.created_at, deed);
        }
        self.fees = all.len();
    }

    /// The rows of `since` or later, oldest first.
    pub(super) fn since(&self, since: MarketTime) -> Vec<Activity> {
        self.rows.iter().filter(|row| row.time >= since).cloned().collect()
    }

    /// Ids have the order of booking, and are not those of another run: every run begins later.
    fn book(&mut self, time: MarketTime, deed: Deed) {
        if self.rows.len() == MAX_ROWS {
            self.rows.pop_front();
        }
        self.booked += 1;
        let id = format!("{:019}::{:08}", time.as_nanos(), self.booked);
        self.rows.push_back(Activity { id, time, deed });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_bounded_and_in_order() {
        let mut ledger = Ledger::default();
        let deed = |number: usize| Deed::Other {
            kind: number.to_string(),
            net: sandpit_types::Usd::ZERO,
            symbol: None,
            qty: None,
            per_share: None,
        };
        for number in 0..=MAX_ROWS {
            let second = i64::try_from(number / 2).expect("small");
            ledger.book(MarketTime::from_secs(second), deed(number));
        }
        let all = ledger.since(MarketTime::EPOCH);
        assert_eq!((all.len(), &all[0].deed), (MAX_ROWS, &deed(1)), "the oldest went");
        assert!(all.is_sorted_by(|a, b| a.id < b.id));
        assert_eq!(ledger.since(all[MAX_ROWS - 1].time).len(), 1);
    }
}
