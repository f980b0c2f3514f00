//! Market data on the wire: messages of the streams, rows of REST.

mod message;
mod rows;
mod stamp;

pub use message::{
    Article, BarMessage, CancelErrorMessage, CorrectionMessage, ImbalanceMessage, LuldMessage, MarketMessage,
    QuoteMessage, StatusMessage, TradeMessage, Word,
};
pub(crate) use rows::{AuctionJson, BarJson, NewsJson, QuoteJson, SnapshotJson, TradeJson};
pub use stamp::Stamp;

use sandpit_types::{MarketTime, Quote, Symbol};

use crate::{
    history::{Candle, StoredTrade},
    listing,
};

/// The exchange all quotes and trades come from: the feed is IEX's.
pub(crate) const EXCHANGE: &str = "V";

/// The tape of a symbol.
pub(crate) fn tape(symbol: &Symbol) -> &'static str {
    listing::tape(listing::find(symbol.as_str()).exchange)
}

impl TradeMessage {
    /// A trade of the market.
    pub(crate) fn new(symbol: &Symbol, trade: &StoredTrade) -> Self {
        Self {
            symbol: symbol.clone(),
            i: trade.id,
            x: trade.exchange(),
            p: trade.price,
            s: trade.size,
            c: trade.conditions(),
            t: trade.time.into(),
            z: tape(symbol).into(),
        }
    }
}

impl From<&Quote> for QuoteMessage {
    fn from(quote: &Quote) -> Self {
        Self {
            symbol: quote.symbol.clone(),
            bx: EXCHANGE.into(),
            bp: quote.bid,
            bs: quote.bid_size,
            ax: EXCHANGE.into(),
            ap: quote.ask,
            ask_size: quote.ask_size,
            c: vec!["R".into()],
            t: quote.time.into(),
            z: tape(&quote.symbol).into(),
        }
    }
}

impl StatusMessage {
    /// Trading is halted, or goes on. The codes are those of the tapes' plans, from memory: the fact sheet is
    /// silent.
    pub(crate) fn halt(symbol: &Symbol, is_halted: bool, now: MarketTime) -> Self {
        let z = tape(symbol);
        let (sc, sm, rc, rm) = match (z, is_halted) {
            ("C", true) => ("H", "Trading Halt", "T1", "Halt News Pending"),
            ("C", false) => ("T", "Trading Resumption", "", ""),
            (_, true) => ("2", "Trading Halt", "P", "News Pending"),
            (_, false) => ("3", "Resume", "", ""),
        };
        let (sc, sm, rc, rm) = (sc.into(), sm.into(), rc.into(), rm.into());
        Self { symbol: symbol.clone(), sc, sm, rc, rm, t: now.into(), z: z.into() }
    }
}

impl BarMessage {
    /// A bar of the market.
    pub(crate) fn new(symbol: &Symbol, candle: &Candle) -> Self {
        Self {
            symbol: symbol.clone(),
            o: candle.open,
            h: candle.high,
            l: candle.low,
            c: candle.close,
            v: candle.volume,
            n: candle.trades,
            vw: candle.vwap(),
            t: candle.start.into(),
        }
    }
}

#[cfg(test)]
mod tests;
