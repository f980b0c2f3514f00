//! Orders that are over are forgotten when the caller says so: a long run's memory stays bounded.

use sandpit_types::MarketTime;
use uuid::Uuid;

use super::{Task, Venue};
use crate::{OrderState, book::OrderIx};

impl Venue {
    /// Forgets the oldest orders, as long as they are over and nothing happened to them since `at`; ends at
    /// the first that is open, newer, or needed by one that is open. Returns how many are gone.
    ///
    /// A forgotten order is as one that never was: nobody finds it, its client order id is free again, and
    /// the places of the others among [`Venue::orders`] move. Events, money and what is still open are the
    /// same with it and without. Costs by the number of open orders and of those forgotten, and next to
    /// nothing while the oldest order is open or newer.
    pub fn forget_closed_before(&mut self, at: MarketTime) -> usize {
        let (gone, is_early) = (self.entries.gone(), |venue: &Self| {
            let first = venue.entries.first().map(|entry| &entry.order);
            first.is_some_and(|order| !order.is_open() && order.updated_at < at)
        });
        if !is_early(self) {
            return 0;
        }
        let end = self.first_needed();
        while is_early(self) && self.entries.gone() < end {
            self.forget_first();
        }
        let kept = self.entries.gone();
        while self.groups.first().is_some_and(|group| group.members().all(|ix| (ix as usize) < kept)) {
            self.groups.pop_first();
        }
        kept - gone
    }

    fn forget_first(&mut self) {
        let Some(entry) = self.entries.pop_first() else { return };
        self.by_client_id.remove(&entry.order.client_order_id);
        let id = Uuid::parse_str(entry.order.id.as_str()).expect("the venue's ids are UUIDs");
        self.by_id.remove(&id);
    }

    /// The oldest order that is open, that an open one leans on, or for which something falls due.
    fn first_needed(&self) -> usize {
        let tasks = self.tasks.iter().map(|&(_, task)| task.order());
        let open = self.open.iter().map(|&ix| self.oldest_relative(ix));
        open.chain(tasks).min().map_or(self.entries.next_number(), |ix| ix as usize)
    }

    /// The oldest of an open order, the orders of its group and the one whose place it is to take.
    fn oldest_relative(&self, ix: OrderIx) -> OrderIx {
        let entry = self.entry(ix);
        let group = entry.group.into_iter().flat_map(|group| self.groups[group].members());
        let is_under_way = entry.is_dormant && entry.order.state == OrderState::PendingNew;
        let replaced = entry.order.replaces.as_ref().filter(|_| is_under_way);
        group.chain(replaced.and_then(|old| self.index(old))).fold(ix, OrderIx::min)
    }
}

impl Task {
    const fn order(self) -> OrderIx {
        match self {
            Self::Arrive(ix) | Self::ArriveCancel(ix) | Self::ArriveReplace(ix) | Self::End(ix) => ix,
        }
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::{MarketEvent, Price, Qty, Quote, Side, Symbol};

    use super::*;
    use crate::{Amount, Class, NewOrder, OrderKind, StopLoss, TimeInForce, VenueConfig};

    const ROUNDS: u64 = 2000;

    fn price(cents: i64) -> Price {
        Price::new(rust_decimal::Decimal::new(cents, 2))
    }

    /// An entry with its exits, of which one fills.
    fn round(venue: &mut Venue, symbol: &Symbol, now: MarketTime) {
        let quote = |bid: f64, ask: f64| {
            let symbol = symbol.clone();
            MarketEvent::Quote(Quote { symbol, time: now, bid, bid_size: 500, ask, ask_size: 500 })
        };
        venue.on_market(&quote(99.99, 100.0));
        let stop_loss = StopLoss { stop_price: price(9500), limit_price: None };
        let order = NewOrder {
            client_order_id: Some("again and again".to_owned()),
            symbol: symbol.clone(),
            side: Side::Buy,
            amount: Amount::Qty(Qty::new(10.into())),
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class: Class::Bracket { take_profit: price(10_100), stop_loss },
            position_intent: None,
        };
        venue.submit(order, now).expect("it is free again");
        venue.on_market(&quote(101.0, 101.01));
        assert_eq!(venue.open_orders().len(), 0);
    }

    #[test]
    fn nothing_grows_with_what_is_forgotten() {
        let symbol = Symbol::new("SPY");
        let mut now = MarketTime::parse("2026-03-02T15:00:00Z").expect("a time in a session");
        let config = VenueConfig::default();
        let mut venue = Venue::new(config, std::slice::from_ref(&symbol), now);
        let mut gone = 0;
        for _ in 0..ROUNDS {
            round(&mut venue, &symbol, now);
            now = now + std::time::Duration::from_secs(1);
            gone += venue.forget_closed_before(now);
            assert!(!venue.drain_events().is_empty());
            let kept = [venue.entries.len(), venue.groups.len(), venue.by_id.len(), venue.by_client_id.len()];
            assert_eq!(kept, [0; 4]);
            let under_way = [venue.open.len(), venue.closing.len(), venue.queued.len(), venue.tasks.len()];
            assert_eq!(under_way, [0; 4]);
        }
        assert_eq!(gone as u64, 3 * ROUNDS);
    }
}
