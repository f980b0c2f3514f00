//! Bars and quotes over REST.

use std::time::Duration;

use reqwest::Method;
use sandpit_broker::{BrokerError, History};
use sandpit_types::{Bar, MarketTime, Quote, Symbol};

use crate::{
    Alpaca, map,
    rest::Ask,
    wire::market::{BarWire, BarsWire, QuoteWire, QuotesWire},
};

/// The most bars Alpaca gives a page.
const BARS_PER_PAGE: &str = "10000";
/// More pages than this of one request are not read: 2 000 000 bars.
const MAX_BAR_PAGES: usize = 200;
/// Symbols in one request, so that the address stays short.
pub(crate) const SYMBOLS_PER_REQUEST: usize = 200;

impl History for Alpaca {
    async fn bars(
        &self,
        symbols: &[Symbol],
        from: MarketTime,
        to: MarketTime,
    ) -> Result<Vec<Bar>, BrokerError> {
        let mut bars = Vec::new();
        if from >= to {
            return Ok(bars);
        }
        for chunk in symbols.chunks(SYMBOLS_PER_REQUEST) {
            self.bars_of(chunk, from, to, &mut bars).await?;
        }
        bars.retain(|bar| from <= bar.start && bar.start < to);
        bars.sort_by(|a, b| (a.start, &a.symbol).cmp(&(b.start, &b.symbol)));
        Ok(bars)
    }

    async fn latest_quotes(&self, symbols: &[Symbol]) -> Result<Vec<Quote>, BrokerError> {
        let mut quotes = Vec::new();
        for chunk in symbols.chunks(SYMBOLS_PER_REQUEST) {
            let names = joined(chunk);
            let query = [("symbols", &*names), ("feed", &*self.feed)];
            let answer = self.data.read(Method::GET, "/v2/stocks/quotes/latest", &query, Ask::QUOTES).await?;
            latest(&answer.value()?, &mut quotes);
        }
        Ok(quotes)
    }
}

impl Alpaca {
    /// All pages of one request: they are sorted by symbol first, and may be shorter than asked for (fact
    /// sheet 5), so only a null token ends them.
    async fn bars_of(
        &self,
        symbols: &[Symbol],
        from: MarketTime,
        to: MarketTime,
        into: &mut Vec<Bar>,
    ) -> Result<(), BrokerError> {
        let names = joined(symbols);
        // The broker's `end` is inclusive, ours is not.
        let (start, end) = (from.to_string(), (to - Duration::from_nanos(1)).to_string());
        let mut token: Option<String> = None;
        for _ in 0..MAX_BAR_PAGES {
            let mut query = vec![
                ("symbols", &*names),
                ("timeframe", "1Min"),
                ("start", &*start),
                ("end", &*end),
                ("limit", BARS_PER_PAGE),
                ("feed", &*self.feed),
                ("sort", "asc"),
            ];
            query.extend(token.as_deref().map(|token| ("page_token", token)));
            let answer = self.data.read(Method::GET, "/v2/stocks/bars", &query, Ask::POLL).await?;
            token = page(answer.value()?, into);
            if token.is_none() {
                return Ok(());
            }
        }
        Err(BrokerError::Malformed { message: format!("more than {MAX_BAR_PAGES} pages of bars") })
    }
}

/// Appends the bars of one page that can be read; gives the token of the next.
pub(crate) fn page(wire: BarsWire<'_>, into: &mut Vec<Bar>) -> Option<String> {
    let mut skipped = 0;
    for (name, rows) in wire.bars.iter().flatten() {
        let symbol = Symbol::new(&**name);
        let good = rows.iter().flatten().filter_map(|row| row.good::<BarWire<'_>>(&mut skipped));
        into.extend(good.map(|row| map::bar(symbol.clone(), &row)));
    }
    tell(skipped, "bars");
    wire.next_page_token.filter(|token| !token.is_empty())
}

/// Appends the latest quotes that can be read.
pub(crate) fn latest(wire: &QuotesWire<'_>, into: &mut Vec<Quote>) {
    let mut skipped = 0;
    let rows = wire.quotes.iter().flatten();
    let good =
        rows.filter_map(|(name, row)| Some((name, row.as_ref()?.good::<QuoteWire<'_>>(&mut skipped)?)));
    into.extend(good.map(|(name, quote)| map::quote(Symbol::new(&**name), &quote)));
    tell(skipped, "quotes");
}

/// Rows that cannot be read are left out, but not in silence.
pub(crate) fn tell(skipped: u64, what: &'static str) {
    if skipped > 0 {
        tracing::warn!(skipped, what, "rows of an answer cannot be read");
    }
}

pub(crate) fn joined(symbols: &[Symbol]) -> String {
    symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(",")
}
