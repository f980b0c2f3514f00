//! Rows of the REST answers: the same facts as in the streams, without their symbol.

use sandpit_types::{MarketTime, Symbol};
use serde::Serialize;

use super::{Article, EXCHANGE, Stamp, Word, tape};
use crate::history::{Candle, DayRecord, StoredQuote, StoredTrade};

/// A bar.
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
    pub(crate) fn new(_: &Symbol, candle: &Candle) -> Self {
        Self {
            t: candle.start,
            o: candle.open,
            h: candle.high,
            l: candle.low,
            c: candle.close,
            v: candle.volume,
            n: candle.trades,
            vw: candle.vwap(),
        }
    }
}

/// A quote.
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

impl QuoteJson {
    pub(crate) fn new(symbol: &Symbol, quote: &StoredQuote) -> Self {
        Self {
            t: quote.time,
            ax: EXCHANGE,
            ap: quote.ask,
            ask_size: quote.ask_size,
            bx: EXCHANGE,
            bp: quote.bid,
            bs: quote.bid_size,
            c: ["R"],
            z: tape(symbol),
        }
    }
}

/// A trade; `u` says what became of it.
#[derive(Serialize)]
pub(crate) struct TradeJson {
    t: MarketTime,
    x: Word,
    p: f64,
    s: u64,
    c: Vec<Word>,
    i: u64,
    z: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    u: Option<&'static str>,
}

impl TradeJson {
    pub(crate) fn new(symbol: &Symbol, trade: &StoredTrade) -> Self {
        Self {
            t: trade.time,
            x: trade.exchange(),
            p: trade.price,
            s: trade.size,
            c: trade.conditions(),
            i: trade.id,
            z: tape(symbol),
            u: trade.update.as_str(),
        }
    }
}

/// The auctions of one day.
#[derive(Serialize)]
pub(crate) struct AuctionJson {
    d: String,
    o: Vec<PrintJson>,
    c: Vec<PrintJson>,
}

/// One auction.
#[derive(Serialize)]
pub(crate) struct PrintJson {
    t: MarketTime,
    x: &'static str,
    p: f64,
    s: u64,
    c: &'static str,
}

impl AuctionJson {
    /// The condition of an opening auction ("market center official open") and of a closing one.
    const CONDITIONS: [&str; 2] = ["Q", "M"];

    pub(crate) fn new(_: &Symbol, day: &DayRecord) -> Self {
        let [opening, closing] = [(day.opening, 0), (day.closing, 1)].map(|(print, which)| {
            let print = print.map(|(t, p, s)| PrintJson { t, x: EXCHANGE, p, s, c: Self::CONDITIONS[which] });
            print.into_iter().collect()
        });
        Self { d: day.date.to_string(), o: opening, c: closing }
    }
}

/// What is known of a symbol just now.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SnapshotJson {
    pub(crate) latest_trade: Option<TradeJson>,
    pub(crate) latest_quote: Option<QuoteJson>,
    pub(crate) minute_bar: Option<BarJson>,
    pub(crate) daily_bar: Option<BarJson>,
    pub(crate) prev_daily_bar: Option<BarJson>,
}

/// An article, its content only if that was asked for. There are no images.
#[derive(Serialize)]
pub(crate) struct NewsJson {
    id: u64,
    headline: String,
    author: String,
    created_at: Stamp,
    updated_at: Stamp,
    summary: String,
    content: String,
    url: Option<String>,
    images: [(); 0],
    symbols: Vec<Symbol>,
    source: String,
}

impl NewsJson {
    pub(crate) fn new(article: Article, with_content: bool) -> Self {
        Self {
            id: article.id,
            headline: article.headline,
            author: article.author,
            created_at: article.created_at,
            updated_at: article.updated_at,
            summary: article.summary,
            content: if with_content { article.content } else { String::new() },
            url: article.url,
            images: [],
            symbols: article.symbols,
            source: article.source,
        }
    }
}
