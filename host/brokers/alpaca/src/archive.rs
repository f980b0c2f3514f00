//! The past, page by page: one call is one request.

use reqwest::Method;
use sandpit_broker::{Archive, BrokerError, Page};
use sandpit_types::{Bar, MarketTime, News, Symbol};

use crate::{
    Alpaca, map,
    rest::Ask,
    wire::{
        market::{BarWire, BarsWire},
        news::{NewsPageWire, NewsWire},
    },
};

/// The most bars Alpaca gives a page.
const BARS_PER_PAGE: &str = "10000";
/// The most news Alpaca gives a page.
const NEWS_PER_PAGE: &str = "50";
/// The broker's `end` is inclusive, ours is not.
const ONE: std::time::Duration = std::time::Duration::from_nanos(1);

impl Archive for Alpaca {
    async fn bars_page(
        &self,
        symbol: &Symbol,
        from: MarketTime,
        to: MarketTime,
        page: Option<&str>,
    ) -> Result<Page<Bar>, BrokerError> {
        let (start, end) = (from.to_string(), (to - ONE).to_string());
        let mut query = vec![
            ("symbols", symbol.as_str()),
            ("timeframe", "1Min"),
            ("start", &*start),
            ("end", &*end),
            ("limit", BARS_PER_PAGE),
            ("adjustment", "raw"),
            ("feed", &*self.feed),
            ("sort", "asc"),
        ];
        query.extend(page.map(|token| ("page_token", token)));
        let answer = self.data.read(Method::GET, "/v2/stocks/bars", &query, Ask::POLL).await?;
        let wire: BarsWire<'_> = answer.page()?;
        let (mut rows, mut unreadable) = (Vec::new(), 0);
        for (name, found) in wire.bars.iter().flatten() {
            if name != symbol.as_str() {
                // Not asked for: counted as what it is to us.
                unreadable += found.as_ref().map_or(0, |rows| rows.len() as u64);
                continue;
            }
            let good = found.iter().flatten().filter_map(|row| row.good::<BarWire<'_>>(&mut unreadable));
            rows.extend(good.map(|row| map::bar(symbol.clone(), &row)));
        }
        Ok(Page { rows, next: token(wire.next_page_token), unreadable })
    }

    /// The broker searches and sorts by the stamp of a piece's newest version (fact sheet 5 is silent; its
    /// SDKs' documentation says "sorted by updated date"), so that is what `from` and `to` are about.
    async fn news_page(
        &self,
        symbol: &Symbol,
        from: MarketTime,
        to: MarketTime,
        page: Option<&str>,
    ) -> Result<Page<News>, BrokerError> {
        let (start, end) = (from.to_string(), (to - ONE).to_string());
        let mut query = vec![
            ("symbols", symbol.as_str()),
            ("start", &*start),
            ("end", &*end),
            ("limit", NEWS_PER_PAGE),
            ("sort", "asc"),
        ];
        query.extend(page.map(|token| ("page_token", token)));
        let answer = self.data.read(Method::GET, "/v1beta1/news", &query, Ask::POLL).await?;
        let wire: NewsPageWire<'_> = answer.page()?;
        let (mut rows, mut unreadable) = (Vec::new(), 0);
        for row in wire.news.into_iter().flatten() {
            match row.good::<NewsWire>(&mut unreadable).map(map::news) {
                Some(Ok(news)) => rows.push(news),
                Some(Err(_)) => unreadable += 1,
                None => {}
            }
        }
        Ok(Page { rows, next: token(wire.next_page_token), unreadable })
    }
}

/// An empty token is none.
fn token(found: Option<String>) -> Option<String> {
    found.filter(|token| !token.is_empty())
}
