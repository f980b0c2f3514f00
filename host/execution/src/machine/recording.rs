//! From an approval to a recorded order.

use sandpit_cores::orders::NewOrder;
use sandpit_risk::Approved;
use sandpit_types::{ClientOrderId, Links, MarketTime, OrderClass, OrderRequest, Qty, Refusal, StrategyName};
use tracing::info;

use super::{Machine, Then, sends::Terms};
use crate::{Review, rows};

impl<R: Review> Machine<R> {
    /// The order enters the books and the ledger, its legs with it; it leaves when the ledger is on the disk.
    /// `qty` is its total: that of a replacement includes what the old order has filled. It takes its place
    /// among those under way `as_exit`, or as an entry.
    pub(super) fn record_order(
        &mut self,
        approved: &Approved,
        qty: Qty,
        links: Links,
        (incarnation, as_exit): (u32, bool),
        now: MarketTime,
    ) {
        let (strategy, submit) = (approved.strategy(), approved.submit());
        let client_id = self.next_id(strategy);
        let request = OrderRequest {
            client_id: client_id.clone(),
            symbol: submit.symbol.clone(),
            side: submit.side,
            qty,
            kind: submit.kind,
            time_in_force: submit.time_in_force,
            extended_hours: submit.extended_hours,
            class: submit.class,
        };
        let is_replacement = links.replaces.is_some();
        let new = NewOrder { request, strategy_id: submit.id, links, incarnation };
        if self.books.record(new, now).is_err() {
            return self.refuse(strategy, submit, Refusal::DuplicateId, now);
        }
        self.is_changed = true;
        let order = self.books.order(&client_id).expect("it was recorded a moment ago");
        self.ledger.record_with(|| rows::order(order));
        let update = self.books.update(&client_id, now);
        let side = submit.side.as_str();
        let symbol = &submit.symbol;
        info!(order = %client_id, %strategy, %symbol, side, %qty, event = "order-sent", "order");
        if !is_replacement {
            // A replacement takes over the legs that there are.
            self.record_legs(&client_id, submit.class, now);
        }
        self.audit_order(&client_id, now);
        self.watch_order(&client_id, submit, now);
        let terms = Terms { deadline: now + submit.time_to_live, reduces: approved.reduces(), as_exit };
        self.sends.admit(client_id.clone(), terms);
        self.ledger.then(Then::Send { id: client_id, update });
        self.stats.write(|counts| {
            counts.orders += 1;
            counts.strategies.entry(strategy.clone()).or_default().orders += 1;
        });
    }

    /// The legs that the broker will make. Their ids are ours alone: it never sees them.
    fn record_legs(&mut self, parent: &ClientOrderId, class: OrderClass, now: MarketTime) {
        for leg in class.legs() {
            let id = self.next_id(&parent.strategy);
            self.books.record_leg(id.clone(), parent, leg, now).expect("the parent is there, the id is new");
            let order = self.books.order(&id).expect("it was recorded a moment ago");
            self.ledger.record_with(|| rows::order(order));
        }
    }

    fn next_id(&mut self, strategy: &StrategyName) -> ClientOrderId {
        self.sequence += 1;
        ClientOrderId { strategy: strategy.clone(), epoch: self.config.epoch, sequence: self.sequence }
    }
}
