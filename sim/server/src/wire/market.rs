//! Market data: bars, quotes and trades, as REST and the stream show them.

use sandpit_types::{Bar, MarketEvent, MarketTime, Quote, Symbol, Trade};
use serde::Serialize;

use crate::{data::Tick, history::StoredBar, listing};

/// The exchange all quotes and trades come from: the feed is IEX's.
const EXCHANGE: &str = "V";

/// A bar without its symbol.
#[derive(Serialize)]
pub(crate) struct BarJson {
    t: MarketTime,
    o: f64,
    h: f64,
    l: f64,
    c: f64,
    v: u64,
    n: u64,
    vw: f64,
}

impl BarJson {
    fn new(bar: &Bar, trades: u64) -> Self {
        Self {
            t: bar.start,
            o: bar.open,
            h: bar.high,
            l: bar.low,
            c: bar.close,
            v: bar.volume,
            n: trades,
            vw: bar.vwap,
        }
    }
}

impl From<&StoredBar> for BarJson {
    fn from(stored: &StoredBar) -> Self {
        Self::new(&stored.bar, stored.trades)
    }
}

/// A quote without its symbol.
#[derive(Serialize)]
pub(crate) struct QuoteJson {
    t: MarketTime,
    ax: &'static str,
    ap: f64,
    #[serde(rename = "as")]
    ask_size: u64,
    bx: &'static str,
    bp: f64,
    bs: u64,
    c: [&'static str; 1],
    z: &'static str,
}

impl From<&Quote> for QuoteJson {
    fn from(quote: &Quote) -> Self {
        Self {
            t: quote.time,
            ax: EXCHANGE,
            ap: quote.ask,
            ask_size: quote.ask_size,
            bx: EXCHANGE,
            bp: quote.bid,
            bs: quote.bid_size,
            c: ["R"],
            z: tape(&quote.symbol),
        }
    }
}

#[derive(Serialize)]
struct TradeJson {
    t: MarketTime,
    x: &'static str,
    p: f64,
    s: u64,
    c: [&'static str; 1],
    i: u64,
    z: &'static str,
}

impl TradeJson {
    fn new(trade: &Trade, id: u64) -> Self {
        let z = tape(&trade.symbol);
        Self { t: trade.time, x: EXCHANGE, p: trade.price, s: trade.size, c: ["@"], i: id, z }
    }
}

#[derive(Serialize)]
struct StreamJson<'a, T> {
    #[serde(rename = "T")]
    kind: &'static str,
    #[serde(rename = "S")]
    symbol: &'a Symbol,
    #[serde(flatten)]
    body: T,
}

/// The channel a market event goes out on and its symbol; `None` for events that are not streamed.
pub(crate) fn channel(event: &MarketEvent) -> Option<(&'static str, &Symbol)> {
    match event {
        MarketEvent::Bar(bar) => Some(("bars", &bar.symbol)),
        MarketEvent::Quote(quote) => Some(("quotes", &quote.symbol)),
        MarketEvent::Trade(trade) => Some(("trades", &trade.symbol)),
        MarketEvent::BarsComplete(_)
        | MarketEvent::SessionOpen(_)
        | MarketEvent::SessionClose(_)
        | MarketEvent::Health(..) => None,
    }
}

/// Moves the stamp of an event by so many seconds, as a clock that is wrong would.
pub(crate) fn skew(event: &mut MarketEvent, skew_secs: i64) {
    let stamp = match event {
        MarketEvent::Bar(bar) => &mut bar.start,
        MarketEvent::Quote(quote) => &mut quote.time,
        MarketEvent::Trade(trade) => &mut trade.time,
        MarketEvent::BarsComplete(_)
        | MarketEvent::SessionOpen(_)
        | MarketEvent::SessionClose(_)
        | MarketEvent::Health(..) => return,
    };
    *stamp = crate::desk::skewed(*stamp, skew_secs);
}

/// A data message of the stream; `number` is the id of a trade.
pub(crate) fn message(tick: &Tick, number: u64) -> String {
    let written = match &tick.event {
        MarketEvent::Bar(bar) => write("b", &bar.symbol, BarJson::new(bar, tick.trades)),
        MarketEvent::Quote(quote) => write("q", &quote.symbol, QuoteJson::from(quote)),
        MarketEvent::Trade(trade) => write("t", &trade.symbol, TradeJson::new(trade, number)),
        MarketEvent::BarsComplete(_)
        | MarketEvent::SessionOpen(_)
        | MarketEvent::SessionClose(_)
        | MarketEvent::Health(..) => unreachable!("only events with a channel are streamed"),
    };
    written.expect("numbers and texts are always JSON")
}

fn write(kind: &'static str, symbol: &Symbol, body: impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(&StreamJson { kind, symbol, body })
}

fn tape(symbol: &Symbol) -> &'static str {
    listing::tape(listing::find(symbol.as_str()).exchange)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stream_messages_have_the_brokers_fields() {
        let symbol = || Symbol::new("SPY");
        let time = MarketTime::parse("2026-03-16T13:30:00.000000001Z").expect("a time");
        let check = |event, expected: serde_json::Value| {
            let text = message(&Tick { event, trades: 3 }, 9);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), expected);
        };
        check(
            MarketEvent::Quote(Quote {
                symbol: symbol(),
                time,
                bid: 1.5,
                bid_size: 2,
                ask: 2.0,
                ask_size: 3,
            }),
            json!({"T":"q","S":"SPY","bx":"V","bp":1.5,"bs":2,"ax":"V","ap":2.0,"as":3,"c":["R"],
                "t":"2026-03-16T13:30:00.000000001Z","z":"B"}),
        );
        check(
            MarketEvent::Trade(Trade { symbol: symbol(), time, price: 1.5, size: 2 }),
            json!({"T":"t","S":"SPY","i":9,"x":"V","p":1.5,"s":2,"c":["@"],
                "t":"2026-03-16T13:30:00.000000001Z","z":"B"}),
        );
        let start = time.minute();
        check(
            MarketEvent::Bar(Bar {
                symbol: symbol(),
                start,
                open: 1.0,
                high: 3.0,
                low: 0.5,
                close: 2.0,
                volume: 7,
                vwap: 1.25,
            }),
            json!({"T":"b","S":"SPY","o":1.0,"h":3.0,"l":0.5,"c":2.0,"v":7,"n":3,"vw":1.25,
                "t":"2026-03-16T13:30:00Z"}),
        );
    }
}
