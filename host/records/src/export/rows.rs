//! Which columns there are, and what stands in them.

use rust_decimal::Decimal;
use sandpit_store::{EquityRead, OrderRead, SignalRead};
use sandpit_types::{Exit, Fill, OrderClass, OrderKind, OrderRequest, Price, StopLoss, Trail};

use super::{Cell, Column, Kind};

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_optional: false }
}

const fn maybe(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_optional: true }
}

pub(super) const ORDERS: &[Column] = &[
    column("client_id", Kind::Text),
    column("strategy", Kind::Text),
    column("epoch", Kind::Text),
    column("incarnation", Kind::Number),
    maybe("strategy_id", Kind::Number),
    column("symbol", Kind::Text),
    column("side", Kind::Text),
    column("qty", Kind::Decimal),
    column("kind", Kind::Text),
    maybe("limit_price", Kind::Decimal),
    maybe("stop_price", Kind::Decimal),
    maybe("trail_price", Kind::Decimal),
    maybe("trail_percent", Kind::Decimal),
    column("class", Kind::Text),
    maybe("take_profit", Kind::Decimal),
    maybe("stop_loss", Kind::Decimal),
    maybe("stop_loss_limit", Kind::Decimal),
    column("time_in_force", Kind::Text),
    column("extended_hours", Kind::Flag),
    maybe("leg_of", Kind::Text),
    maybe("leg", Kind::Text),
    maybe("replaces", Kind::Text),
    column("state", Kind::Text),
    column("is_open", Kind::Flag),
    maybe("broker_id", Kind::Text),
    column("filled_qty", Kind::Decimal),
    column("filled_notional", Kind::Decimal),
    column("recorded_at", Kind::Time),
    column("changed_at", Kind::Time),
];

pub(super) const FILLS: &[Column] = &[
    column("client_id", Kind::Text),
    column("execution_id", Kind::Text),
    column("strategy", Kind::Text),
    column("symbol", Kind::Text),
    column("side", Kind::Text),
    column("qty", Kind::Decimal),
    column("price", Kind::Decimal),
    column("time", Kind::Time),
];

pub(super) const EQUITY: &[Column] =
    &[column("time", Kind::Time), column("equity", Kind::Decimal), column("cash", Kind::Decimal)];

pub(super) const SIGNALS: &[Column] = &[
    column("time", Kind::Time),
    column("strategy", Kind::Text),
    maybe("symbol", Kind::Text),
    column("reason", Kind::Text),
];

pub(super) fn order(read: OrderRead) -> Vec<Cell> {
    let OrderRead { order, changed_at } = read;
    let OrderRequest { client_id, symbol, side, qty, kind, time_in_force, extended_hours, class } =
        order.request;
    let (trail_price, trail_percent) = trail(kind);
    let (take_profit, stop_loss) = exits(class);
    let (leg_of, leg) = order.links.leg_of.map_or((None, None), |(id, leg)| (Some(id), Some(leg.as_str())));
    vec![
        text(&client_id),
        text(&client_id.strategy),
        text(client_id.epoch),
        Cell::Number(order.incarnation.into()),
        order.strategy_id.map_or(Cell::Nothing, |id| Cell::Number(id.0)),
        text(symbol),
        text(side.as_str()),
        Cell::Decimal(qty.get()),
        text(kind.as_str()),
        price(kind.limit_price()),
        price(kind.stop_price()),
        decimal(trail_price),
        decimal(trail_percent),
        text(if class == OrderClass::Simple { "simple" } else { class.as_str() }),
        price(take_profit),
        price(stop_loss.map(|loss| loss.stop_price)),
        price(stop_loss.and_then(|loss| loss.limit_price)),
        text(time_in_force.as_str()),
        Cell::Flag(extended_hours),
        leg_of.map_or(Cell::Nothing, text),
        leg.map_or(Cell::Nothing, text),
        order.links.replaces.map_or(Cell::Nothing, text),
        Cell::Text(order.state),
        Cell::Flag(order.is_open),
        order.broker_id.map_or(Cell::Nothing, text),
        Cell::Decimal(order.filled_qty.get()),
        Cell::Decimal(order.filled_notional.get()),
        Cell::Time(order.recorded_at),
        Cell::Time(changed_at),
    ]
}

pub(super) fn fill(fill: Fill) -> Vec<Cell> {
    vec![
        text(&fill.client_id),
        text(&fill.execution_id),
        text(&fill.client_id.strategy),
        text(&fill.symbol),
        text(fill.side.as_str()),
        Cell::Decimal(fill.qty.get()),
        Cell::Decimal(fill.price.get()),
        Cell::Time(fill.time),
    ]
}

pub(super) fn equity(read: EquityRead) -> Vec<Cell> {
    vec![Cell::Time(read.time), Cell::Decimal(read.equity.get()), Cell::Decimal(read.cash.get())]
}

pub(super) fn signal(read: SignalRead) -> Vec<Cell> {
    let symbol = read.signal.symbol.map_or(Cell::Nothing, text);
    vec![Cell::Time(read.time), text(read.strategy), symbol, Cell::Text(read.signal.reason)]
}

fn trail(kind: OrderKind) -> (Option<Decimal>, Option<Decimal>) {
    match kind {
        OrderKind::TrailingStop { trail: Trail::Price(price) } => (Some(price.get()), None),
        OrderKind::TrailingStop { trail: Trail::Percent(percent) } => (None, Some(percent)),
        OrderKind::Market
        | OrderKind::Limit { .. }
        | OrderKind::Stop { .. }
        | OrderKind::StopLimit { .. } => (None, None),
    }
}

fn exits(class: OrderClass) -> (Option<Price>, Option<StopLoss>) {
    match class {
        OrderClass::Simple => (None, None),
        OrderClass::Bracket { take_profit, stop_loss } => (Some(take_profit), Some(stop_loss)),
        OrderClass::Oco { stop_loss } | OrderClass::Oto(Exit::StopLoss(stop_loss)) => (None, Some(stop_loss)),
        OrderClass::Oto(Exit::TakeProfit(price)) => (Some(price), None),
    }
}

fn text(value: impl ToString) -> Cell {
    Cell::Text(value.to_string())
}

fn price(value: Option<Price>) -> Cell {
    decimal(value.map(Price::get))
}

fn decimal(value: Option<Decimal>) -> Cell {
    value.map_or(Cell::Nothing, Cell::Decimal)
}
