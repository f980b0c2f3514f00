//! From an approval to a recorded order.

use sandpit_cores::orders::NewOrder;
use sandpit_risk::Approved;
use sandpit_types::{ClientOrderId, MarketTime, OrderRequest, Refusal};
use tracing::info;

use super::{Machine, Then, sends::Terms};
use crate::{Review, rows};

impl<R: Review> Machine<R> {
    /// The order enters the books and the ledger; it leaves when the ledger is on the disk.
    pub(super) fn record_order(&mut self, approved: &Approved, incarnation: u32, now: MarketTime) {
        let (strategy, submit) = (approved.strategy(), approved.submit());
        self.sequence += 1;
        let client_id =
            ClientOrderId { strategy: strategy.clone(), epoch: self.config.epoch, sequence: self.sequence };
        let request = OrderRequest {
            client_id: client_id.clone(),
            symbol: submit.symbol.clone(),
            side: submit.side,
            qty: submit.qty,
            kind: submit.kind,
            time_in_force: submit.time_in_force,
            extended_hours: submit.extended_hours,
            class: submit.class,
        };
        let new =
            NewOrder { request, strategy_id: submit.id, links: sandpit_types::Links::default(), incarnation };
        if self.books.record(new, now).is_err() {
            return self.refuse(strategy, submit.id, Refusal::DuplicateId, now);
        }
        self.is_changed = true;
        let order = self.books.order(&client_id).expect("it was recorded a moment ago");
        let update = order.update(now);
        self.ledger.record(rows::order(order));
        let side = submit.side.as_str();
        info!(order = %client_id, symbol = %submit.symbol, side, qty = %submit.qty, "order");
        let terms = Terms { deadline: now + submit.time_to_live, reduces: approved.reduces() };
        self.sends.admit(client_id.clone(), terms);
        self.ledger.then(Then::Send { id: client_id, update });
        self.stats.write(|counts| {
            counts.orders += 1;
            counts.strategies.entry(strategy.clone()).or_default().orders += 1;
        });
    }
}
