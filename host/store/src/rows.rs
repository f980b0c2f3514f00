//! From rows back to what was written.

use std::{fmt::Display, str::FromStr};

use sandpit_types::{
    BrokerOrderId, ClientOrderId, ExecutionId, Exit, Fill, Leg, Links, MarketTime, OrderClass, OrderKind,
    OrderRequest, Price, Side, StopLoss, StrategyName, StrategyOrderId, Symbol, TimeInForce, Trail,
};

use crate::{OrderRow, StoreError, SubBookRow, connection::Row};

/// The columns of [`order`].
macro_rules! order_columns {
    () => {
        "client_id, incarnation, strategy_id, symbol, side, qty, kind, limit_price, stop_price, trail_price, \
         trail_percent, class, take_profit, stop_loss, stop_loss_limit, time_in_force, extended_hours, \
         leg_of, leg, replaces, state, is_open, broker_id, filled_qty, filled_notional, recorded_at, \
         changed_at"
    };
}
pub(crate) use order_columns;

pub(crate) fn order(row: &Row) -> Result<OrderRow, StoreError> {
    let incarnation = row.int("incarnation")?.unwrap_or_default();
    Ok(OrderRow {
        request: OrderRequest {
            client_id: parsed(row, "client_id")?,
            symbol: Symbol::new(required(row, "symbol")?),
            side: side(row)?,
            qty: parsed(row, "qty")?,
            kind: kind(row)?,
            time_in_force: word(row, "time_in_force", &TIMES_IN_FORCE, TimeInForce::as_str)?,
            extended_hours: row.flag("extended_hours")?,
            class: class(row)?,
        },
        strategy_id: maybe(row, "strategy_id")?.map(StrategyOrderId),
        links: links(row)?,
        incarnation: u32::try_from(incarnation).map_err(StoreError::reading)?,
        state: required(row, "state")?,
        is_open: row.flag("is_open")?,
        broker_id: row.text("broker_id")?.map(BrokerOrderId::new),
        filled_qty: parsed(row, "filled_qty")?,
        filled_notional: parsed(row, "filled_notional")?,
        recorded_at: time(row, "recorded_at")?,
    })
}

pub(crate) fn sub_book(row: &Row) -> Result<SubBookRow, StoreError> {
    Ok(SubBookRow {
        strategy: strategy(row)?,
        symbol: Symbol::new(required(row, "symbol")?),
        qty: parsed(row, "qty")?,
        cost: parsed(row, "cost")?,
        cash: parsed(row, "cash")?,
    })
}

pub(crate) fn fill(row: &Row) -> Result<Fill, StoreError> {
    Ok(Fill {
        client_id: parsed(row, "client_id")?,
        execution_id: ExecutionId::new(required(row, "execution_id")?),
        symbol: Symbol::new(required(row, "symbol")?),
        side: side(row)?,
        qty: parsed(row, "qty")?,
        price: parsed(row, "price")?,
        time: time(row, "time")?,
    })
}

pub(crate) fn strategy(row: &Row) -> Result<StrategyName, StoreError> {
    StrategyName::parse(&required(row, "strategy")?).map_err(StoreError::reading)
}

pub(crate) fn time(row: &Row, column: &str) -> Result<MarketTime, StoreError> {
    let nanos = row.int(column)?.ok_or_else(|| missing(column))?;
    Ok(MarketTime::from_nanos(nanos))
}

pub(crate) fn required(row: &Row, column: &str) -> Result<String, StoreError> {
    row.text(column)?.ok_or_else(|| missing(column))
}

pub(crate) fn parsed<T: FromStr<Err: Display>>(row: &Row, column: &str) -> Result<T, StoreError> {
    maybe(row, column)?.ok_or_else(|| missing(column))
}

pub(crate) fn maybe<T: FromStr<Err: Display>>(row: &Row, column: &str) -> Result<Option<T>, StoreError> {
    let wrong = |text: &str, error| StoreError::reading(format!("column {column}: {text:?}: {error}"));
    row.text(column)?.map(|text| text.parse().map_err(|error| wrong(&text, error))).transpose()
}

const TIMES_IN_FORCE: [TimeInForce; 4] =
    [TimeInForce::Day, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok];

fn side(row: &Row) -> Result<Side, StoreError> {
    word(row, "side", &[Side::Buy, Side::Sell], Side::as_str)
}

fn kind(row: &Row) -> Result<OrderKind, StoreError> {
    Ok(match required(row, "kind")?.as_str() {
        "market" => OrderKind::Market,
        "limit" => OrderKind::Limit { limit_price: parsed(row, "limit_price")? },
        "stop" => OrderKind::Stop { stop_price: parsed(row, "stop_price")? },
        "stop_limit" => OrderKind::StopLimit {
            stop_price: parsed(row, "stop_price")?,
            limit_price: parsed(row, "limit_price")?,
        },
        "trailing_stop" => OrderKind::TrailingStop {
            trail: match maybe(row, "trail_price")? {
                Some(price) => Trail::Price(price),
                None => Trail::Percent(parsed(row, "trail_percent")?),
            },
        },
        other => return Err(StoreError::reading(format!("{other:?} is no kind of order"))),
    })
}

fn class(row: &Row) -> Result<OrderClass, StoreError> {
    let stop_price: Option<Price> = maybe(row, "stop_loss")?;
    let limit_price = maybe(row, "stop_loss_limit")?;
    let loss = stop_price.map(|stop_price| StopLoss { stop_price, limit_price });
    let stop_loss = loss.ok_or_else(|| missing("stop_loss"));
    Ok(match required(row, "class")?.as_str() {
        "" => OrderClass::Simple,
        "bracket" => OrderClass::Bracket { take_profit: parsed(row, "take_profit")?, stop_loss: stop_loss? },
        "oco" => OrderClass::Oco { stop_loss: stop_loss? },
        "oto" => OrderClass::Oto(match maybe(row, "take_profit")? {
            Some(price) => Exit::TakeProfit(price),
            None => Exit::StopLoss(stop_loss?),
        }),
        other => return Err(StoreError::reading(format!("{other:?} is no class of orders"))),
    })
}

fn links(row: &Row) -> Result<Links, StoreError> {
    let leg_of = match maybe::<ClientOrderId>(row, "leg_of")? {
        Some(parent) => Some((parent, word(row, "leg", &[Leg::TakeProfit, Leg::StopLoss], Leg::as_str)?)),
        None => None,
    };
    Ok(Links { leg_of, replaces: maybe(row, "replaces")? })
}

fn word<T: Copy>(row: &Row, column: &str, all: &[T], as_str: fn(T) -> &'static str) -> Result<T, StoreError> {
    let word = required(row, column)?;
    let found = all.iter().copied().find(|one| as_str(*one) == word);
    found.ok_or_else(|| StoreError::reading(format!("column {column}: {word:?} is no such word")))
}

fn missing(column: &str) -> StoreError {
    StoreError::reading(format!("column {column} is empty"))
}
