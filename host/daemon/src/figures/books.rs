//! What the books hold, for the monitor.

use std::collections::BTreeMap;

use sandpit_cores::orders::OrderState;
use sandpit_execution::{DeskCounts, OpenOrder};
use sandpit_fanout::Tape;
use sandpit_monitor::{HoldingFigures, OpenOrderFigures, PositionFigures};
use sandpit_types::{ClientOrderId, MarketTime, Price, Qty, StrategyName, Symbol, Usd};

/// The sum of all sub-books and what each strategy has of it; what is flat in sum is left out, as the broker
/// does.
pub(super) fn positions(desk: &DeskCounts, tape: &Tape) -> Vec<PositionFigures> {
    let mut by_symbol: BTreeMap<&Symbol, Vec<(&StrategyName, Qty, Price)>> = BTreeMap::new();
    for ((strategy, symbol), (qty, paid)) in &desk.sub_books {
        by_symbol.entry(symbol).or_default().push((strategy, *qty, *paid));
    }
    let held = by_symbol.into_iter().map(|(symbol, holders)| position(symbol, &holders, tape));
    held.flatten().collect()
}

fn position(
    symbol: &Symbol,
    holders: &[(&StrategyName, Qty, Price)],
    tape: &Tape,
) -> Option<PositionFigures> {
    let qty: Qty = holders.iter().map(|(_, qty, _)| *qty).fold(Qty::default(), |sum, qty| sum + qty);
    if qty.is_zero() {
        return None;
    }
    let mark = tape.last(symbol).mark();
    let value = |qty: Qty| mark.map(|mark| mark * qty);
    let gain = |qty: Qty, paid: Price| mark.map(|mark| mark * qty - paid * qty);
    let gains = holders.iter().map(|(_, qty, paid)| gain(*qty, *paid));
    let holding = |(strategy, qty, paid): &(&StrategyName, Qty, Price)| HoldingFigures {
        strategy: strategy.to_string(),
        qty: qty.to_string(),
        average_price: paid.to_string(),
        value_usd: value(*qty).map(Usd::to_f64),
        unrealised_usd: gain(*qty, *paid).map(Usd::to_f64),
    };
    Some(PositionFigures {
        symbol: symbol.to_string(),
        qty: qty.to_string(),
        value_usd: value(qty).map(Usd::to_f64),
        unrealised_usd: gains.sum::<Option<Usd>>().map(Usd::to_f64),
        holdings: holders.iter().map(holding).collect(),
    })
}

/// Every order that may still fill.
pub(super) fn open_orders(desk: &DeskCounts, now: MarketTime) -> Vec<OpenOrderFigures> {
    let figures = |(client_id, order): (&ClientOrderId, &OpenOrder)| OpenOrderFigures {
        client_order_id: client_id.to_string(),
        strategy: client_id.strategy.to_string(),
        symbol: order.symbol.to_string(),
        side: order.side.as_str().to_owned(),
        qty: order.qty.to_string(),
        filled_qty: order.filled.to_string(),
        kind: order.kind.as_str().to_owned(),
        limit_price: order.kind.limit_price().map(|price| price.to_string()),
        stop_price: order.kind.stop_price().map(|price| price.to_string()),
        status: status(&order.state),
        since: order.since.to_string(),
        age_secs: now.since(order.since).as_secs_f64(),
    };
    desk.open_orders.iter().map(figures).collect()
}

fn status(state: &OrderState) -> String {
    match state {
        OrderState::Cancelling(_) => "cancelling".to_owned(),
        OrderState::Recorded => "recorded".to_owned(),
        OrderState::Sending { cancel: false } => "sending".to_owned(),
        OrderState::Unknown { cancel: false, .. } => "unknown".to_owned(),
        state if state.is_unwanted() => "cancelling".to_owned(),
        state => state.status().word().to_owned(),
    }
}
