//! What the broker remembers of an account's trading besides the orders themselves: trade updates,
//! activities, the equity curve and watchlists. Pure: time comes in as an argument, and everything is
//! bounded.

pub(crate) mod activities;
pub(crate) mod equity;
pub(crate) mod history;
pub(crate) mod today;
pub(crate) mod ulid;
pub(crate) mod updates;
pub(crate) mod watchlists;

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use sandpit_types::{MarketTime, Usd};
use sandpit_venue::{FeeCharge, Venue, VenueEvent};
use uuid::{Builder, Uuid};

use self::{
    activities::{Activities, Activity},
    equity::EquityCurve,
    today::{Execution, Today},
    updates::{Update, Updates},
    watchlists::Watchlists,
};

/// Keeps the ids of this module apart from the venue's, which come out of the same seed.
const SEED_SPREAD: u64 = 0x7472_6164_696e_6700;

/// The broker's memory of one account.
#[derive(Debug)]
pub(crate) struct Trading {
    /// Trade updates and those who read them.
    pub(crate) updates: Updates,
    /// Executions and fees.
    pub(crate) activities: Activities,
    /// What the account was worth.
    pub(crate) equity: EquityCurve,
    /// What was opened since the last close.
    pub(crate) today: Today,
    /// Lists of symbols.
    pub(crate) watchlists: Watchlists,
    ids: ChaCha8Rng,
    /// How many of the venue's fees are among the activities.
    fees: usize,
}

impl Trading {
    /// A fresh account with this much cash.
    pub(crate) fn new(seed: u64, cash: Usd, now: MarketTime) -> Self {
        Self {
            updates: Updates::default(),
            activities: Activities::default(),
            equity: EquityCurve::new(cash, now),
            today: Today::default(),
            watchlists: Watchlists::default(),
            fees: 0,
            ids: ChaCha8Rng::seed_from_u64(seed ^ SEED_SPREAD),
        }
    }

    /// Remembers what happened to an order of the venue; what is returned is to be told.
    pub(crate) fn record(&mut self, event: VenueEvent, venue: &Venue) -> Arc<Update> {
        if let Some(row) = Activity::of(&event) {
            self.activities.push(row);
        }
        if let (Some(qty), Some(price), Some(position)) = (event.qty, event.price, event.position_qty) {
            let fill = Execution { side: event.order.side, qty, price, position };
            self.today.on_fill(&event.order.symbol, fill, venue.calendar().next_close(event.time));
        }
        self.updates.record(event)
    }

    /// Books the venue's fees that are new.
    pub(crate) fn note_fees(&mut self, fees: &[FeeCharge]) {
        for fee in &fees[self.fees..] {
            self.activities.push(Activity::fee(fee));
        }
        self.fees = fees.len();
    }

    /// A new id.
    pub(crate) fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.ids.fill_bytes(&mut bytes);
        Builder::from_random_bytes(bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::{Price, Qty, Side, Symbol};
    use sandpit_venue::{Amount, Class, NewOrder, OrderKind, TimeInForce};

    /// A limit order that waits.
    pub(super) fn resting_order(symbol: Symbol) -> NewOrder {
        NewOrder {
            client_order_id: None,
            symbol,
            side: Side::Buy,
            amount: Amount::Qty(Qty::from_nanos(1_000_000_000)),
            kind: OrderKind::Limit { limit_price: Price::from_nanos(1_000_000_000) },
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class: Class::Simple,
            position_intent: None,
        }
    }
}
