//! What the market says.

use serde::{Deserialize, Serialize};

use crate::{MarketTime, SessionDay, Symbol};

/// One minute of trading in one symbol. Prices are US dollars as floats: data, never orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// Which symbol.
    pub symbol: Symbol,
    /// Start of the minute; the bar is complete one minute later.
    pub start: MarketTime,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Shares traded.
    pub volume: u64,
    /// Volume-weighted average price.
    pub vwap: f64,
}

/// The best bid and offer at one moment. A price of zero means that side is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// Which symbol.
    pub symbol: Symbol,
    /// When it was quoted.
    pub time: MarketTime,
    /// Best bid, US dollars.
    pub bid: f64,
    /// Shares at the bid.
    pub bid_size: u64,
    /// Best offer, US dollars.
    pub ask: f64,
    /// Shares at the offer.
    pub ask_size: u64,
}

/// One trade on the tape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trade {
    /// Which symbol.
    pub symbol: Symbol,
    /// When it happened.
    pub time: MarketTime,
    /// Price, US dollars.
    pub price: f64,
    /// Shares.
    pub size: u64,
}

/// Why a bar comes out of turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BarMark {
    /// It came after its minute had been declared complete, or after a newer bar of its symbol. It was not
    /// delivered before.
    Late,
    /// The bar of this minute was delivered before, with other figures: late trades changed it.
    Corrected,
}

/// A piece of news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// The broker's id of it; an update has the same.
    pub id: u64,
    /// When it was first published.
    pub created: MarketTime,
    /// When this version of it was published.
    pub updated: MarketTime,
    /// The headline; it may hold entities of HTML.
    pub headline: String,
    /// A summary, often empty.
    pub summary: String,
    /// Who wrote it.
    pub author: String,
    /// Whose wire it is.
    pub source: String,
    /// Where to read it; empty when the broker names no place.
    pub url: String,
    /// The symbols it speaks of.
    pub symbols: Vec<Symbol>,
}

/// How market data reaches us just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamHealth {
    /// The stream delivers.
    Live,
    /// The stream is silent or down and nothing replaces it yet.
    Stale,
    /// REST polling carries the data.
    Fallback,
}

/// One event of the one sequence that every strategy sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarketEvent {
    /// A completed one-minute bar, in its turn.
    Bar(Bar),
    /// A one-minute bar that comes late, or that replaces one delivered before.
    MarkedBar(Bar, BarMark),
    /// A new best bid or offer.
    Quote(Quote),
    /// A trade.
    Trade(Trade),
    /// Every bar of the minute that starts here is in.
    BarsComplete(MarketTime),
    /// The regular session opened, and will close when the calendar says.
    SessionOpen(SessionDay),
    /// The regular session closed.
    SessionClose(MarketTime),
    /// A piece of news, or a new version of one.
    News(Box<News>),
    /// The way data reaches us changed.
    Health(StreamHealth, MarketTime),
}

impl MarketEvent {
    /// The symbol that a bar, a quote or a trade is of.
    pub const fn symbol(&self) -> Option<&Symbol> {
        match self {
            Self::Bar(bar) | Self::MarkedBar(bar, _) => Some(&bar.symbol),
            Self::Quote(quote) => Some(&quote.symbol),
            Self::Trade(trade) => Some(&trade.symbol),
            Self::BarsComplete(_)
            | Self::SessionOpen(_)
            | Self::SessionClose(_)
            | Self::News(_)
            | Self::Health(..) => None,
        }
    }

    /// When the event became true in market time: for a bar, the end of its minute; for news, when
    /// this version of it came out.
    pub fn time(&self) -> MarketTime {
        const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
        match self {
            Self::Bar(bar) | Self::MarkedBar(bar, _) => bar.start + MINUTE,
            Self::BarsComplete(start) => *start + MINUTE,
            Self::Quote(quote) => quote.time,
            Self::Trade(trade) => trade.time,
            Self::News(news) => news.updated,
            Self::SessionOpen(day) => day.open,
            Self::SessionClose(time) | Self::Health(_, time) => *time,
        }
    }
}
