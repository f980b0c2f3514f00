//! From wire types to the host's vocabulary. What is missing and cannot be done without is an error that
//! names it.

use std::collections::BTreeSet;

use jiff::{civil, tz::TimeZone};
use sandpit_types::{
    Account, Bar, BrokerOrder, BrokerOrderId, ClientOrderId, Clock, MarketTime, News, OrderRequest, Position,
    Qty, Quote, SessionDay, Side, Symbol, Trade, TradeUpdate,
};

use crate::{
    decode::MAX_SYMBOL_BYTES,
    wire::{
        account::{AccountWire, CalendarWire, ClockWire, PositionWire},
        market::{BarWire, QuoteWire, TradeWire},
        news::NewsWire,
        order::{OrderWire, SubmitWire, UpdateWire},
    },
};

/// The exchange's time zone.
const NEW_YORK: &str = "America/New_York";

/// A text of news that is longer is cut. It is as much as strategies are told.
const NEWS_TEXT_BYTES: usize = 4 * 1024;
/// Further symbols of a piece of news are left out.
const NEWS_SYMBOLS: usize = 200;

/// A value that we need is absent or odd.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {found}")]
pub(crate) struct MapError {
    what: &'static str,
    found: String,
}

fn need<T>(what: &'static str, value: Option<T>) -> Result<T, MapError> {
    value.ok_or_else(|| MapError { what, found: "absent".to_owned() })
}

/// The order as Alpaca wants it.
pub(crate) fn submit(order: &OrderRequest) -> SubmitWire<'_> {
    SubmitWire {
        symbol: order.symbol.as_str(),
        qty: order.qty.to_string(),
        side: order.side.as_str(),
        kind: order.kind.as_str(),
        time_in_force: order.time_in_force.as_str(),
        limit_price: order.kind.limit_price().map(|price| price.to_string()),
        extended_hours: order.extended_hours,
        client_order_id: order.client_id.to_string(),
    }
}

/// One order without its legs.
pub(crate) fn order(wire: OrderWire) -> Result<BrokerOrder, MapError> {
    let submitted_at = need("submitted_at", wire.submitted_at.or(wire.created_at).or(wire.updated_at))?.0;
    Ok(BrokerOrder {
        id: order_id(&wire.id),
        client_id: wire.client_order_id.unwrap_or_default(),
        symbol: Symbol::new(need("symbol", wire.symbol.filter(|symbol| !symbol.is_empty()))?),
        side: side(&need("side", wire.side)?)?,
        qty: wire.qty,
        filled_qty: wire.filled_qty.unwrap_or(Qty::ZERO),
        filled_avg_price: wire.filled_avg_price,
        limit_price: wire.limit_price,
        stop_price: None,
        replaces: None,
        replaced_by: None,
        legs: Vec::new(),
        status: wire.status,
        submitted_at,
        updated_at: wire.updated_at.map_or(submitted_at, |stamp| stamp.0),
    })
}

/// Orders with their legs as rows of their own. An order that cannot be read is an error if it is ours;
/// somebody else's (an option spread has neither symbol nor side) is logged and left out: it must not blind
/// us.
pub(crate) fn flatten(wires: Vec<OrderWire>, into: &mut Vec<BrokerOrder>) -> Result<(), MapError> {
    let mut waiting = wires;
    waiting.reverse();
    while let Some(mut wire) = waiting.pop() {
        let mut legs = wire.legs.take().unwrap_or_default();
        legs.reverse();
        waiting.append(&mut legs);
        let ours = wire.client_order_id.as_deref().is_some_and(|id| id.parse::<ClientOrderId>().is_ok());
        let id = wire.id.clone();
        match order(wire) {
            Ok(order) => into.push(order),
            Err(error) if ours => return Err(error),
            Err(error) => tracing::warn!(%id, %error, "an order of somebody else's cannot be read"),
        }
    }
    Ok(())
}

/// A trade update. Without a stamp of its own it happened when its order changed.
pub(crate) fn update(wire: UpdateWire) -> Result<TradeUpdate, MapError> {
    let order = order(wire.order)?;
    Ok(TradeUpdate {
        event: wire.event,
        execution_id: wire.execution_id,
        price: wire.price,
        qty: wire.qty,
        time: wire.timestamp.map_or(order.updated_at, |stamp| stamp.0),
        order,
    })
}

/// One spelling of a UUID: some clients of Alpaca write it without dashes (fact sheet 2.0), and ids are
/// compared.
fn order_id(text: &str) -> BrokerOrderId {
    let bare = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !bare {
        return BrokerOrderId::new(text.to_ascii_lowercase());
    }
    let (a, b, c, d, e) = (&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]);
    BrokerOrderId::new(format!("{a}-{b}-{c}-{d}-{e}").to_ascii_lowercase())
}

fn side(text: &str) -> Result<Side, MapError> {
    match text {
        "buy" => Ok(Side::Buy),
        "sell" | "sell_short" => Ok(Side::Sell),
        other => Err(MapError { what: "side", found: format!("{other:?}") }),
    }
}

/// The account. Blocked is blocked, whoever did it.
pub(crate) fn account(wire: &AccountWire) -> Result<Account, MapError> {
    let blocks = [wire.trading_blocked, wire.account_blocked, wire.trade_suspended_by_user];
    Ok(Account {
        equity: need("equity", wire.equity)?,
        last_equity: need("last_equity", wire.last_equity)?,
        cash: need("cash", wire.cash)?,
        buying_power: need("buying_power", wire.buying_power)?,
        trading_blocked: blocks.contains(&Some(true)),
    })
}

/// A position; a short one is negative, whether the broker writes the sign or only the side.
pub(crate) fn position(wire: PositionWire) -> Result<Position, MapError> {
    let qty = need("qty of a position", wire.qty)?;
    let is_short = wire.side.as_deref() == Some("short") || qty < Qty::ZERO;
    let signed = |qty: Qty| if is_short { -qty.abs() } else { qty };
    Ok(Position {
        symbol: Symbol::new(wire.symbol),
        qty: signed(qty),
        qty_available: signed(wire.qty_available.unwrap_or(qty)),
        avg_entry_price: need("avg_entry_price", wire.avg_entry_price)?,
        current_price: wire.current_price,
    })
}

/// The exchange's clock.
pub(crate) fn clock(wire: &ClockWire) -> Clock {
    Clock {
        now: wire.timestamp.0,
        is_open: wire.is_open,
        next_open: wire.next_open.0,
        next_close: wire.next_close.0,
    }
}

/// A trading day.
pub(crate) fn session(wire: &CalendarWire) -> Result<SessionDay, MapError> {
    let odd = |what, text: &str| MapError { what, found: format!("{text:?}") };
    let date: civil::Date = wire.date.parse().map_err(|_| odd("date", &wire.date))?;
    let at = |what: &'static str, text: &str| {
        let time = time_of_day(text).ok_or_else(|| odd(what, text))?;
        let zoned = date.to_datetime(time).to_zoned(new_york()).map_err(|_| odd(what, text))?;
        Ok(MarketTime::from(zoned.timestamp()))
    };
    Ok(SessionDay { open: at("open", &wire.open)?, close: at("close", &wire.close)? })
}

/// `09:30`, or `0930` as the calendar's other columns write it.
fn time_of_day(text: &str) -> Option<civil::Time> {
    let (hour, minute) = match text.split_once(':') {
        Some(parts) => parts,
        None if text.len() == 4 && text.is_ascii() => text.split_at(2),
        None => return None,
    };
    civil::Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

/// The New York date of an instant, as the calendar wants it.
pub(crate) fn new_york_date(time: MarketTime) -> String {
    time.to_jiff().to_zoned(new_york()).date().to_string()
}

fn new_york() -> TimeZone {
    TimeZone::get(NEW_YORK).expect("the time zone database is compiled in")
}

/// A bar of `symbol`. Without a volume-weighted price, the close stands in.
pub(crate) fn bar(symbol: Symbol, wire: &BarWire<'_>) -> Bar {
    Bar {
        symbol,
        start: wire.t.0,
        open: wire.o,
        high: wire.h,
        low: wire.l,
        close: wire.c,
        volume: wire.v,
        vwap: wire.vw.unwrap_or(wire.c),
    }
}

/// A quote of `symbol`.
pub(crate) fn quote(symbol: Symbol, wire: &QuoteWire<'_>) -> Quote {
    Quote { symbol, time: wire.t.0, bid: wire.bp, bid_size: wire.bs, ask: wire.ap, ask_size: wire.ask_size }
}

/// A trade of `symbol`.
pub(crate) fn trade(symbol: Symbol, wire: &TradeWire<'_>) -> Trade {
    Trade { symbol, time: wire.t.0, price: wire.p, size: wire.s }
}

/// A piece of news. One stamp stands for the other; news without any has no place in a sequence. What waits
/// in queues is no longer than this: texts are cut, symbols are named once and not without end.
pub(crate) fn news(wire: NewsWire) -> Result<News, MapError> {
    let updated = need("updated_at", wire.updated_at.or(wire.created_at))?.0;
    let mut seen = BTreeSet::new();
    let names =
        wire.symbols.iter().flatten().filter(|name| !name.is_empty() && name.len() <= MAX_SYMBOL_BYTES);
    let symbols =
        names.filter(|name| seen.insert(name.as_str())).take(NEWS_SYMBOLS).map(Symbol::new).collect();
    Ok(News {
        id: wire.id,
        created: wire.created_at.map_or(updated, |stamp| stamp.0),
        updated,
        headline: short(wire.headline),
        summary: short(wire.summary),
        author: short(wire.author),
        source: short(wire.source),
        url: short(wire.url),
        symbols,
    })
}

/// A text of news, cut between characters, in memory of its own length.
fn short(text: Option<String>) -> String {
    let mut text = text.unwrap_or_default();
    text.truncate(text.floor_char_boundary(NEWS_TEXT_BYTES));
    text.shrink_to_fit();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_is_bounded() {
        let long = format!("x{}", "é".repeat(4_000));
        let names: Vec<String> = (0..1_000).map(|number| format!("S{}", number / 3)).collect();
        let json = serde_json::json!({
            "id": 1, "headline": long, "summary": long, "author": long, "source": long, "url": long,
            "updated_at": "2013-10-07T13:30:00Z", "symbols": names,
        });
        let wire = serde_json::from_value(json).expect("it is news");
        let news = news(wire).expect("it can be read");
        for text in [&news.headline, &news.summary, &news.author, &news.source, &news.url] {
            assert_eq!((text.len(), text.capacity()), (4_095, 4_095), "cut before a character of two bytes");
        }
        let expected: Vec<Symbol> = (0..200).map(|number| Symbol::new(format!("S{number}"))).collect();
        assert_eq!(news.symbols, expected, "each once, in their order");
        assert_eq!(short(Some("short".into())), "short");
    }
}
