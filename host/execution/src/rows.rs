//! Between the books and the store's rows.

use std::collections::BTreeSet;

use sandpit_cores::orders::{Books, Order, StoredOrder};
use sandpit_store::{OrderChange, OrderRow, Record, SubBookRow};
use sandpit_types::{ExecutionId, Fill, MarketTime};

use crate::DeskError;

/// The row of an order as it stands.
pub(crate) fn order(order: &Order) -> Record {
    Record::Order(Box::new(OrderRow {
        request: order.request.clone(),
        strategy_id: order.strategy_id,
        links: order.links.clone(),
        incarnation: order.incarnation,
        state: state(order),
        is_open: !order.state().is_settled(),
        broker_id: order.broker_id().cloned(),
        filled_qty: order.filled().qty(),
        filled_notional: order.filled().notional(),
        recorded_at: order.recorded_at,
    }))
}

/// An order after a change.
pub(crate) fn change(order: &Order, time: MarketTime, note: &str) -> Record {
    Record::Change(Box::new(OrderChange {
        client_id: order.client_id().clone(),
        state: state(order),
        is_open: !order.state().is_settled(),
        broker_id: order.broker_id().cloned(),
        filled_qty: order.filled().qty(),
        filled_notional: order.filled().notional(),
        time,
        note: note.to_owned(),
    }))
}

/// A fill, with the sub-book as it stands.
pub(crate) fn fill(books: &Books, fill: &Fill) -> Record {
    let strategy = &fill.client_id.strategy;
    let book = books.sub_book(strategy, &fill.symbol);
    let (strategy, symbol) = (strategy.clone(), fill.symbol.clone());
    let after = SubBookRow { strategy, symbol, qty: book.qty, cost: book.cost, cash: book.cash };
    Record::Fill { fill: fill.clone(), after }
}

/// An order read back.
pub(crate) fn stored(row: OrderRow, executions: BTreeSet<ExecutionId>) -> Result<StoredOrder, DeskError> {
    let state = serde_json::from_str(&row.state).map_err(|error| DeskError::Stored {
        what: format!("state {:?} of order {} ({error})", row.state, row.request.client_id),
    })?;
    Ok(StoredOrder {
        request: row.request,
        strategy_id: row.strategy_id,
        links: row.links,
        incarnation: row.incarnation,
        state,
        broker_id: row.broker_id,
        filled_qty: row.filled_qty,
        filled_notional: row.filled_notional,
        executions,
        recorded_at: row.recorded_at,
    })
}

fn state(order: &Order) -> String {
    serde_json::to_string(order.state()).expect("a state is words and times, which JSON can hold")
}
