//! `/sim/inject`: something happens in the market, now.
//!
//! ```json
//! {"trade": {"symbol": "SPY", "price": 101.5, "size": 100}}
//! {"quote": {"symbol": "SPY", "bid": 101.4, "bid_size": 300, "ask": 101.5, "ask_size": 200}}
//! {"bar":   {"symbol": "SPY", "open": 1, "high": 2, "low": 1, "close": 2, "volume": 100}}
//! {"gap":   {"symbol": "SPY", "percent": -5}}
//! {"gap":   {"symbol": "SPY", "amount": 2.5}}
//! {"halt":  {"symbol": "SPY"}}
//! {"resume": {"symbol": "SPY"}}
//! {"message": {"T": "l", "S": "SPY", "u": 105, "d": 95, "i": "B"}}
//! {"news":  {"headline": "Something happened", "symbols": ["SPY"]}}
//! {"order": {"id": "61e69015-8549-4bfd-b9c3-01e75843f47d", "event": "rejected"}}
//! ```
//!
//! A bar is that of the minute which has just ended. A message is any of the data stream, as it has them;
//! what is left out becomes ordinary. A gap moves every price that the feed brings from now on, bars
//! included; gaps of one symbol add up. An order event is one of `rejected`, `done_for_day`, `stopped`,
//! `suspended`, `calculated`, `canceled`, `expired` and `new` (back to work).

use std::{sync::Arc, time::Duration};

use axum::{body::Bytes, extract::State, http::StatusCode, response::Response};
use sandpit_types::{Bar, BrokerOrderId, MarketEvent, MarketTime, Symbol};
use sandpit_venue::{EventKind, ForceReject};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{note, read, wrong};
use crate::{
    engine::Gap,
    history::Candle,
    rest::{ApiError, ok},
    sim::{Desk, Sim},
    wire::market::{BarMessage, MarketMessage},
};

/// Highest price, US dollars: as in data files.
const MAX_PRICE: f64 = 1e7;
/// Largest size and volume, shares: as in data files.
const MAX_SIZE: u64 = 1_000_000_000_000;
/// Largest gap, percent up.
const MAX_PERCENT: f64 = 10_000.0;
const MINUTE: Duration = Duration::from_secs(60);

/// What happens.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Injection {
    Trade(TradeBody),
    Quote(QuoteBody),
    Bar(BarBody),
    Gap(GapBody),
    Halt(SymbolBody),
    Resume(SymbolBody),
    Message(Value),
    News(Value),
    Order(OrderBody),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SymbolBody {
    symbol: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    id: BrokerOrderId,
    event: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TradeBody {
    symbol: String,
    price: f64,
    #[serde(default = "one_lot")]
    size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuoteBody {
    symbol: String,
    bid: f64,
    #[serde(default = "one_lot")]
    bid_size: u64,
    ask: f64,
    #[serde(default = "one_lot")]
    ask_size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BarBody {
    symbol: String,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    #[serde(default = "one_lot")]
    volume: u64,
    vwap: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GapBody {
    symbol: String,
    percent: Option<f64>,
    amount: Option<f64>,
}

const fn one_lot() -> u64 {
    100
}

pub(super) async fn inject(State(sim): State<Arc<Sim>>, body: Bytes) -> Result<Response, ApiError> {
    let injection: Injection = read(&body)?;
    let written: Value = read(&body)?;
    sim.with(|desk, now| {
        let act = injection.check(desk, now)?;
        if let Act::Message(message) = &act {
            desk.check_time(message, now).map_err(wrong)?;
        }
        note(desk, "inject", written, now);
        match act {
            Act::Message(message) => desk.inject(message, now),
            Act::Bar(bar) => {
                desk.engine.venue.on_market(&MarketEvent::Bar(bar.clone()));
                desk.inject(MarketMessage::Bar(BarMessage::new(&bar.symbol, &Candle::new(&bar, 1))), now);
            }
            Act::Gap(symbol, gaps) => desk.engine.set_gap(&symbol, gaps),
            Act::Halt(symbol, halted) => desk.set_halted(&symbol, halted, now),
            Act::Order(id, event) => desk.engine.venue.force(&id, event, now).map_err(|reject| {
                let status = match reject {
                    ForceReject::NotFound { .. } => StatusCode::NOT_FOUND,
                    ForceReject::Impossible(_) => StatusCode::UNPROCESSABLE_ENTITY,
                };
                ApiError::data(status, reject.to_string())
            })?,
        }
        Ok(ok(&json!({"market_time": now})))
    })
}

/// What is done at the desk.
enum Act {
    Message(MarketMessage),
    Bar(Bar),
    /// The gaps of a symbol become this.
    Gap(Symbol, Gap),
    Halt(Symbol, bool),
    Order(BrokerOrderId, EventKind),
}

impl Injection {
    fn check(self, desk: &Desk, now: MarketTime) -> Result<Act, ApiError> {
        let known = |name: &str| -> Result<Symbol, ApiError> {
            let symbol = desk.engine.venue.resolve(name).cloned();
            symbol.ok_or_else(|| wrong(format!("symbol not found: {name}")))
        };
        match self {
            Self::Trade(TradeBody { symbol, price, size }) => {
                let (symbol, price, size) = (known(&symbol)?, above_zero(price)?, sound(size)?);
                message(json!({"T": "t", "S": symbol, "p": price, "s": size}), now)
            }
            Self::Quote(QuoteBody { symbol, bid, bid_size, ask, ask_size }) => {
                let (symbol, bid, ask) = (known(&symbol)?, not_below_zero(bid)?, not_below_zero(ask)?);
                let (bid_size, ask_size) = (sound(bid_size)?, sound(ask_size)?);
                let told =
                    json!({"T": "q", "S": symbol, "bp": bid, "bs": bid_size, "ap": ask, "as": ask_size});
                message(told, now)
            }
            Self::Bar(body) => {
                let symbol = known(&body.symbol)?;
                body.into_bar(symbol, now).map(Act::Bar)
            }
            Self::Message(told) => message(told, now),
            Self::News(mut told) => {
                let fields = told.as_object_mut().ok_or_else(|| wrong("an article is an object"))?;
                fields.insert("T".into(), "n".into());
                message(told, now)
            }
            Self::Gap(GapBody { symbol, percent, amount }) => {
                let gap = match (percent, amount) {
                    (Some(percent), None) if percent > -100.0 && percent <= MAX_PERCENT => {
                        Gap::percent(percent)
                    }
                    (None, Some(amount)) if amount.abs() <= MAX_PRICE => Gap::amount(amount),
                    (Some(_), None) => return Err(wrong("percent is above -100 and at most 10000")),
                    (None, Some(_)) => return Err(wrong("amount is a price")),
                    _ => return Err(wrong("a gap has a percent or an amount")),
                };
                let symbol = known(&symbol)?;
                let gaps = desk.engine.widened(&symbol, gap);
                let gaps =
                    gaps.ok_or_else(|| wrong(format!("the gaps of {symbol} are too wide together")))?;
                Ok(Act::Gap(symbol, gaps))
            }
            Self::Halt(SymbolBody { symbol }) => Ok(Act::Halt(known(&symbol)?, true)),
            Self::Resume(SymbolBody { symbol }) => Ok(Act::Halt(known(&symbol)?, false)),
            Self::Order(OrderBody { id, event }) => {
                let kind = EventKind::ALL.into_iter().find(|kind| kind.as_str() == event);
                let kind = kind.ok_or_else(|| wrong(format!("{event} is no event of an order")))?;
                Ok(Act::Order(id, kind))
            }
        }
    }
}

impl BarBody {
    fn into_bar(self, symbol: Symbol, now: MarketTime) -> Result<Bar, ApiError> {
        let Self { open, high, low, close, volume, vwap, .. } = self;
        for price in [open, high, low, close, vwap.unwrap_or(close)] {
            above_zero(price)?;
        }
        if low > open.min(close) || high < open.max(close) {
            return Err(wrong("a bar's prices lie between its low and its high"));
        }
        let vwap = vwap.unwrap_or((open + high + low + close) / 4.0);
        let start = now.minute() - MINUTE;
        Ok(Bar { symbol, start, open, high, low, close, volume: sound(volume)?, vwap })
    }
}

/// A message of the data stream.
fn message(told: Value, now: MarketTime) -> Result<Act, ApiError> {
    MarketMessage::read(told, now).map(Act::Message).map_err(wrong)
}

fn above_zero(price: f64) -> Result<f64, ApiError> {
    if price > 0.0 && price <= MAX_PRICE { Ok(price) } else { Err(wrong("a price is above zero")) }
}

fn not_below_zero(price: f64) -> Result<f64, ApiError> {
    if price == 0.0 { Ok(price) } else { above_zero(price) }
}

fn sound(size: u64) -> Result<u64, ApiError> {
    if size <= MAX_SIZE { Ok(size) } else { Err(wrong(format!("at most {MAX_SIZE} shares"))) }
}
