//! What the broker remembers of an account's trading besides the orders themselves: trade updates,
//! activities, the equity curve and watchlists. Pure: time comes in as an argument, and everything is
//! bounded.

pub(crate) mod activities;
pub(crate) mod equity;
pub(crate) mod history;
pub(crate) mod ulid;
pub(crate) mod updates;
pub(crate) mod watchlists;

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use sandpit_types::{MarketTime, Usd};
use sandpit_venue::VenueEvent;
use uuid::{Builder, Uuid};

use self::{
    activities::{Activities, Activity},
    equity::EquityCurve,
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
    /// Lists of symbols.
    pub(crate) watchlists: Watchlists,
    ids: ChaCha8Rng,
}

impl Trading {
    /// A fresh account with this much cash.
    pub(crate) fn new(seed: u64, cash: Usd, now: MarketTime) -> Self {
        Self {
            updates: Updates::default(),
            activities: Activities::default(),
            equity: EquityCurve::new(cash, now),
            watchlists: Watchlists::default(),
            ids: ChaCha8Rng::seed_from_u64(seed ^ SEED_SPREAD),
        }
    }

    /// Remembers what happened to an order and tells the readers of the event stream.
    pub(crate) fn record(&mut self, event: VenueEvent) -> Arc<Update> {
        if let Some(row) = Activity::of(&event) {
            self.activities.push(row);
        }
        self.updates.record(event)
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
    use sandpit_types::{OrderKind, Price, Qty, Side, Symbol, TimeInForce};
    use sandpit_venue::NewOrder;

    /// A limit order that waits.
    pub(super) fn resting_order(symbol: Symbol) -> NewOrder {
        NewOrder {
            client_order_id: None,
            symbol,
            side: Side::Buy,
            qty: Qty::from_nanos(1_000_000_000),
            kind: OrderKind::Limit { limit_price: Price::from_nanos(1_000_000_000) },
            time_in_force: TimeInForce::Day,
            extended_hours: false,
        }
    }
}
