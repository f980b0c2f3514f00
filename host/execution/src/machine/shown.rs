//! What the monitor is shown of the books.

use std::collections::BTreeMap;

use sandpit_cores::orders::Order;

use super::Machine;
use crate::{OpenOrder, Review};

impl<R: Review> Machine<R> {
    /// Shows the monitor the books.
    pub(crate) fn show(&self) {
        let open = |order: &Order| (order.client_id().clone(), shown(order));
        let open_orders: BTreeMap<_, _> = self.books.open_orders().map(open).collect();
        let held = self.books.sub_books().filter(|(.., book)| !book.qty.is_zero());
        let sub_books = held
            .map(|(strategy, symbol, book)| {
                ((strategy.clone(), symbol.clone()), (book.qty, book.avg_price()))
            })
            .collect();
        self.stats.write(|counts| {
            counts.open = open_orders.len() as u64;
            counts.open_orders = open_orders;
            counts.sub_books = sub_books;
        });
    }
}

fn shown(order: &Order) -> OpenOrder {
    let request = &order.request;
    OpenOrder {
        symbol: request.symbol.clone(),
        side: request.side,
        qty: request.qty,
        filled: order.filled_in_all(),
        kind: request.kind,
        state: order.state().clone(),
        since: order.recorded_at,
    }
}
