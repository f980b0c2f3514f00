//! From wire types to the host's vocabulary. What is missing and cannot be done without is an error that
//! names it.

use std::collections::BTreeSet;

use jiff::{civil, tz::TimeZone};
use sandpit_types::{
    Account, Activity, Bar, BrokerOrder, BrokerOrderId, Change, ClientOrderId, Clock, Deed, Exit, MarketTime,
    News, OrderClass, OrderKind, OrderRequest, Position, Price, Qty, Quote, SessionDay, Side, StopLoss,
    Symbol, Trade, TradeUpdate, Trail, Usd,
};

use crate::{
    decode::MAX_SYMBOL_BYTES,
    wire::{
        account::{AccountWire, CalendarWire, ClockWire, PositionWire},
        activity::ActivityWire,
        market::{BarWire, QuoteWire, TradeWire},
        news::NewsWire,
        order::{OrderWire, ReplaceWire, StopLossWire, SubmitWire, TakeProfitWire, UpdateWire},
        stamp,
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

/// The order as Alpaca wants it. An OCO is its own take-profit: its limit goes there, and not beside it.
pub(crate) fn submit(order: &OrderRequest) -> SubmitWire<'_> {
    let (take_profit, stop_loss) = exits(order);
    let is_oco = matches!(order.class, OrderClass::Oco { .. });
    let (trail_price, trail_percent) = match order.kind {
        OrderKind::TrailingStop { trail: Trail::Price(price) } => (Some(price.to_string()), None),
        OrderKind::TrailingStop { trail: Trail::Percent(percent) } => {
            (None, Some(percent.normalize().to_string()))
        }
        OrderKind::Market
        | OrderKind::Limit { .. }
        | OrderKind::Stop { .. }
        | OrderKind::StopLimit { .. } => (None, None),
    };
    SubmitWire {
        symbol: order.symbol.as_str(),
        qty: order.qty.to_string(),
        side: order.side.as_str(),
        kind: order.kind.as_str(),
        time_in_force: order.time_in_force.as_str(),
        limit_price: text(order.kind.limit_price().filter(|_| !is_oco)),
        stop_price: text(order.kind.stop_price()),
        trail_price,
        trail_percent,
        extended_hours: order.extended_hours,
        client_order_id: order.client_id.to_string(),
        order_class: order.class.as_str(),
        take_profit: text(take_profit).map(|limit_price| TakeProfitWire { limit_price }),
        stop_loss: stop_loss.map(|StopLoss { stop_price, limit_price }| StopLossWire {
            stop_price: stop_price.to_string(),
            limit_price: text(limit_price),
        }),
    }
}

/// What hangs on an order.
fn exits(order: &OrderRequest) -> (Option<Price>, Option<StopLoss>) {
    match order.class {
        OrderClass::Simple => (None, None),
        OrderClass::Bracket { take_profit, stop_loss } => (Some(take_profit), Some(stop_loss)),
        OrderClass::Oco { stop_loss } => (order.kind.limit_price(), Some(stop_loss)),
        OrderClass::Oto(Exit::TakeProfit(price)) => (Some(price), None),
        OrderClass::Oto(Exit::StopLoss(stop_loss)) => (None, Some(stop_loss)),
    }
}

/// The change as Alpaca wants it, under an id of ours for the new order.
pub(crate) fn replace(by: &ClientOrderId, change: &Change) -> ReplaceWire {
    ReplaceWire {
        qty: change.qty.map(|qty| qty.to_string()),
        limit_price: text(change.limit_price),
        stop_price: text(change.stop_price),
        client_order_id: by.to_string(),
    }
}

fn text(price: Option<Price>) -> Option<String> {
    price.map(|price| price.to_string())
}

/// One order, with those of its legs that the answer shows. A leg that cannot be read is an error: it may
/// fill.
pub(crate) fn order(wire: OrderWire) -> Result<BrokerOrder, MapError> {
    let legs = wire.legs.into_iter().flatten().map(order).collect::<Result<_, _>>()?;
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
        stop_price: wire.stop_price,
        replaces: other_order(wire.replaces.as_deref()),
        replaced_by: other_order(wire.replaced_by.as_deref()),
        legs,
        status: wire.status,
        submitted_at,
        updated_at: wire.updated_at.map_or(submitted_at, |stamp| stamp.0),
    })
}

/// Orders with their legs as rows of their own, and in their parents, too. An order that cannot be read is an
/// error if it is ours; somebody else's (an option spread has neither symbol nor side) is logged and left
/// out: it must not blind us.
pub(crate) fn flatten(wires: Vec<OrderWire>, into: &mut Vec<BrokerOrder>) -> Result<(), MapError> {
    wires.into_iter().try_for_each(|wire| add(wire, false, into).map(drop))
}

/// Adds an order and its legs; gives the place it has now, if it could be read. The parser bounds the depth.
fn add(
    mut wire: OrderWire,
    is_leg_of_ours: bool,
    into: &mut Vec<BrokerOrder>,
) -> Result<Option<usize>, MapError> {
    let legs = wire.legs.take().unwrap_or_default();
    let has_our_id = wire.client_order_id.as_deref().is_some_and(|id| id.parse::<ClientOrderId>().is_ok());
    let is_ours = is_leg_of_ours || has_our_id;
    let id = wire.id.clone();
    let place = match order(wire) {
        Ok(order) => {
            into.push(order);
            Some(into.len() - 1)
        }
        Err(error) if is_ours => return Err(error),
        Err(error) => {
            tracing::warn!(%id, %error, "an order of somebody else's cannot be read");
            None
        }
    };
    for leg in legs {
        let leg = add(leg, is_ours, into)?;
        if let (Some(place), Some(leg)) = (place, leg) {
            let leg = into[leg].clone();
            into[place].legs.push(leg);
        }
    }
    Ok(place)
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

fn other_order(id: Option<&str>) -> Option<BrokerOrderId> {
    id.filter(|id| !id.is_empty()).map(order_id)
}

/// One spelling of a UUID: some clients of Alpaca write it without dashes (fact sheet 2.0), and ids are
/// compared.
pub(crate) fn order_id(text: &str) -> BrokerOrderId {
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
        id: need("id of the account", wire.id.clone())?,
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

/// A row of the account's activities. One that was canceled moves nothing, and may have been told of before.
/// Its time is when it was booked, for that is when the money moved; a row that has only a date has the start
/// of that day.
pub(crate) fn activity(wire: ActivityWire) -> Result<Activity, MapError> {
    if wire.activity_type == "FILL" {
        return fill(wire);
    }
    let booked = wire.created_at.as_deref().and_then(stamp::parse);
    let booked = booked.or(wire.transaction_time.map(|stamp| stamp.0));
    let time = match booked {
        Some(time) => time,
        None => start_of_day(&need("date", wire.date)?)?,
    };
    let counts = wire.status.as_deref() != Some("canceled");
    let per_share = wire.per_share_amount.map(|each| each.to_string());
    let per_share = per_share.and_then(|text| text.trim_matches('"').parse().ok());
    let deed = Deed::Other {
        kind: wire.activity_type,
        net: wire.net_amount.filter(|_| counts).unwrap_or(Usd::ZERO),
        symbol: wire.symbol.filter(|symbol| !symbol.is_empty()).map(Symbol::new),
        qty: wire.qty.filter(|qty| counts && !qty.is_zero()),
        per_share,
    };
    Ok(Activity { id: wire.id, time, deed })
}

/// One execution.
fn fill(wire: ActivityWire) -> Result<Activity, MapError> {
    let qty = need("qty", wire.qty)?;
    if !qty.is_positive() {
        return Err(MapError { what: "qty of an execution", found: qty.to_string() });
    }
    let deed = Deed::Fill {
        order: order_id(&need("order_id", wire.order_id.filter(|id| !id.is_empty()))?),
        symbol: Symbol::new(need("symbol", wire.symbol.filter(|symbol| !symbol.is_empty()))?),
        side: side(&need("side", wire.side)?)?,
        qty,
        price: need("price", wire.price)?,
        cumulative: need("cum_qty", wire.cum_qty)?,
    };
    Ok(Activity { id: wire.id, time: need("transaction_time", wire.transaction_time)?.0, deed })
}

/// The first instant of a New York date.
fn start_of_day(date: &str) -> Result<MarketTime, MapError> {
    let odd = || MapError { what: "date", found: format!("{date:?}") };
    let day: civil::Date = date.parse().map_err(|_| odd())?;
    let start = day.to_zoned(new_york()).map_err(|_| odd())?;
    Ok(MarketTime::from(start.timestamp()))
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
