//! News over REST.

use std::collections::BTreeMap;

use reqwest::Method;
use sandpit_broker::{BrokerError, NewsHistory};
use sandpit_types::{MarketTime, News, Symbol};

use crate::{
    Alpaca, history, map,
    rest::Ask,
    wire::news::{NewsPageWire, NewsWire},
};

/// The most news Alpaca gives a page.
const NEWS_PER_PAGE: &str = "50";
/// More pages than this of one request are not read: 5 000 pieces, several days of everything.
const MAX_NEWS_PAGES: usize = 100;
/// Stands for all symbols.
const ALL: &str = "*";

impl NewsHistory for Alpaca {
    async fn news(&self, symbols: &[Symbol], from: MarketTime) -> Result<Vec<News>, BrokerError> {
        let mut newest: BTreeMap<u64, News> = BTreeMap::new();
        let mut chunks: Vec<&[Symbol]> = symbols.chunks(history::SYMBOLS_PER_REQUEST).collect();
        if symbols.iter().any(|symbol| symbol.as_str() == ALL) {
            chunks = vec![&[]];
        }
        for chunk in chunks {
            // A piece that speaks of symbols in two requests comes twice, perhaps in two versions.
            for news in self.news_of(chunk, from).await? {
                if newest.get(&news.id).is_none_or(|known| known.updated <= news.updated) {
                    newest.insert(news.id, news);
                }
            }
        }
        let mut all: Vec<News> = newest.into_values().filter(|news| news.updated >= from).collect();
        all.sort_by_key(|news| (news.updated, news.id));
        Ok(all)
    }
}

impl Alpaca {
    /// All pages of one request, which are sorted by the stamp of the newest version; no symbols mean all.
    async fn news_of(&self, symbols: &[Symbol], from: MarketTime) -> Result<Vec<News>, BrokerError> {
        let names = history::joined(symbols);
        let start = from.to_string();
        let mut all = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_NEWS_PAGES {
            let mut query = vec![("start", &*start), ("sort", "asc"), ("limit", NEWS_PER_PAGE)];
            query.extend(Some(("symbols", &*names)).filter(|_| !symbols.is_empty()));
            query.extend(token.as_deref().map(|token| ("page_token", token)));
            let answer = self.data.read(Method::GET, "/v1beta1/news", &query, Ask::POLL).await?;
            token = page(answer.value()?, &mut all);
            if token.is_none() {
                return Ok(all);
            }
        }
        Err(BrokerError::Malformed { message: format!("more than {MAX_NEWS_PAGES} pages of news") })
    }
}

/// Appends what can be read of one page; gives the token of the next.
pub(crate) fn page(wire: NewsPageWire<'_>, into: &mut Vec<News>) -> Option<String> {
    let mut skipped = 0;
    for row in wire.news.into_iter().flatten() {
        let news = row.good::<NewsWire>(&mut skipped).map(map::news);
        match news {
            Some(Ok(news)) => into.push(news),
            Some(Err(_)) => skipped += 1,
            None => {}
        }
    }
    history::tell(skipped, "news");
    wire.next_page_token.filter(|token| !token.is_empty())
}
