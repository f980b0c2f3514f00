//! Between the books and the store's rows.

use std::collections::BTreeSet;

use sandpit_cores::orders::{Books, Order, StoredOrder, Words};
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
pub(crate) fn change(books: &Books, order: &Order, time: MarketTime, note: &str) -> Record {
    Record::Change(Box::new(OrderChange {
        client_id: order.client_id().clone(),
        state: state(order),
        is_open: !books.is_settled(order),
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
    let words: Words = serde_json::from_str(&row.state).map_err(|error| DeskError::Stored {
        what: format!("state {:?} of order {} ({error})", row.state, row.request.client_id),
    })?;
    let Words { state, taken, unwanted } = words;
    Ok(StoredOrder {
        request: row.request,
        strategy_id: row.strategy_id,
        links: row.links,
        incarnation: row.incarnation,
        state,
        broker_id: row.broker_id,
        filled_qty: row.filled_qty,
        filled_notional: row.filled_notional,
        taken,
        unwanted,
        executions,
        recorded_at: row.recorded_at,
    })
}

fn state(order: &Order) -> String {
    serde_json::to_string(&order.words()).expect("a state is words, numbers and times, which JSON can hold")
}

#[cfg(test)]
mod tests {
    use sandpit_cores::orders::{OrderState, Stage, Taken};
    use sandpit_types::{OrderStatus, Qty, Usd};

    use super::*;

    #[test]
    fn what_was_taken_over_survives_the_store_and_old_words_are_read() {
        let check = |taken: Taken, text: Option<&str>| {
            let replaced = OrderState::Terminal(OrderStatus::Replaced);
            let words = Words { state: replaced, taken: taken.clone(), unwanted: true };
            let json = serde_json::to_string(&words).expect("writes");
            assert_eq!(serde_json::from_str::<Words>(&json).expect("reads"), words);
            let words = Words { state: OrderState::Working(OrderStatus::New), taken, unwanted: false };
            let json = serde_json::to_string(&words).expect("writes");
            assert_eq!(serde_json::from_str::<Words>(&json).expect("reads"), words);
            assert!(text.is_none_or(|text| text == json), "{json}");
        };
        check(Taken::default(), Some(r#"{"working":"new"}"#));
        let (qty, value) = (Qty::new(5.into()), Usd::new(500.into()));
        check(Taken { qty, value, stage: Stage::Fixed, apart: true }, None);
        check(Taken { qty, value, stage: Stage::Open, apart: false }, None);
    }
}
