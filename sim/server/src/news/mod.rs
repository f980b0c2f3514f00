//! The news desk: articles that were published, articles that are to come, and requests about the former.

mod writer;

use std::collections::VecDeque;

use sandpit_types::{MarketTime, SessionDay, Symbol};

use self::writer::Writer;
use crate::wire::market::Article;

/// Most articles kept; the oldest go.
const MAX_ARTICLES: usize = 10_000;

/// What is asked of the news desk.
#[derive(Clone, Debug)]
pub struct NewsQuery {
    /// About any of these; about anything when there is none.
    pub symbols: Vec<Symbol>,
    /// Updated not before.
    pub start: MarketTime,
    /// Updated not after.
    pub end: MarketTime,
    /// Oldest first.
    pub ascending: bool,
    /// Only articles with content.
    pub with_content: bool,
    /// Most articles of the page.
    pub limit: usize,
    /// The last article of the page before.
    pub after: Option<NewsToken>,
}

/// Where a page of news ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewsToken {
    updated: MarketTime,
    id: u64,
}

impl NewsToken {
    /// Reads a token of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (nanos, id) = text.split_once('_')?;
        Some(Self { updated: MarketTime::from_nanos(nanos.parse().ok()?), id: id.parse().ok()? })
    }

    fn of(article: &Article) -> Self {
        Self { updated: article.updated_at.0, id: article.id }
    }
}

impl std::fmt::Display for NewsToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}", self.updated.as_nanos(), self.id)
    }
}

/// Publishes what its writer writes, and what comes from outside.
#[derive(Debug)]
pub struct NewsDesk {
    writer: Writer,
    /// The articles of one day that are still to come, in the order of time.
    upcoming: VecDeque<Article>,
    /// Sorted by update and number.
    published: VecDeque<Article>,
    numbered: u64,
}

impl NewsDesk {
    /// News about these symbols on these days.
    pub fn new(seed: u64, symbols: &[Symbol], days: &[SessionDay]) -> Self {
        let mut desk = Self {
            writer: Writer::new(seed, symbols, days),
            upcoming: VecDeque::new(),
            published: VecDeque::new(),
            numbered: 0,
        };
        desk.refill();
        desk
    }

    /// When the next article comes; `None` after the last.
    pub fn next_due(&self) -> Option<MarketTime> {
        self.upcoming.front().map(|article| article.created_at.0)
    }

    /// Publishes the next article that is due.
    pub fn publish_next(&mut self, now: MarketTime) -> Option<Article> {
        if self.next_due()? > now {
            return None;
        }
        let article = self.upcoming.pop_front()?;
        if self.upcoming.is_empty() {
            self.refill();
        }
        Some(self.publish(article))
    }

    /// Publishes an article and numbers it, if it has no number yet.
    pub fn publish(&mut self, mut article: Article) -> Article {
        if article.id == 0 {
            article.id = self.numbered.saturating_add(1);
        }
        // Numbers go on behind those from outside.
        self.numbered = self.numbered.max(article.id);
        let place = NewsToken::of(&article);
        let at = self.published.partition_point(|other| NewsToken::of(other) <= place);
        self.published.insert(at, article.clone());
        if self.published.len() > MAX_ARTICLES {
            self.published.pop_front();
        }
        article
    }

    /// One page of published articles, and where the next one goes on.
    pub fn page(&self, query: &NewsQuery) -> (Vec<Article>, Option<NewsToken>) {
        let wanted = |article: &&Article| {
            let place = NewsToken::of(article);
            let is_about = |symbol| article.symbols.contains(symbol);
            (query.start..=query.end).contains(&place.updated)
                && (query.symbols.is_empty() || query.symbols.iter().any(is_about))
                && !(query.with_content && article.content.is_empty())
                && query.after.is_none_or(|after| if query.ascending { place > after } else { place < after })
        };
        let articles: Box<dyn Iterator<Item = &Article>> = if query.ascending {
            Box::new(self.published.iter())
        } else {
            Box::new(self.published.iter().rev())
        };
        let mut articles = articles.filter(wanted);
        let page: Vec<Article> = articles.by_ref().take(query.limit).cloned().collect();
        let next = articles.next().and_then(|_| page.last().map(NewsToken::of));
        (page, next)
    }

    fn refill(&mut self) {
        while self.upcoming.is_empty()
            && let Some(day) = self.writer.next_day()
        {
            self.upcoming.extend(day);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn day(text: &str) -> SessionDay {
        let at = |clock: &str| MarketTime::parse(&format!("{text}T{clock}:00Z")).expect("a time");
        SessionDay { open: at("13:30"), close: at("20:00") }
    }

    fn desk(seed: u64) -> NewsDesk {
        let symbols = ["SPY", "AAPL", "F"].map(Symbol::new);
        NewsDesk::new(seed, &symbols, &[day("2026-03-16"), day("2026-03-17")])
    }

    fn publish_all(desk: &mut NewsDesk) -> Vec<Article> {
        let ever = MarketTime::from_nanos(i64::MAX);
        std::iter::from_fn(|| desk.publish_next(ever)).collect()
    }

    #[test]
    fn the_seed_decides_and_articles_come_in_order() {
        let all = publish_all(&mut desk(5));
        assert_eq!(all, publish_all(&mut desk(5)));
        assert_ne!(all, publish_all(&mut desk(6)));
        assert!(all.windows(2).all(|pair| pair[0].created_at <= pair[1].created_at));
        assert!(all.len() > 8, "{}", all.len());
        let mut ids: Vec<u64> = all.iter().map(|article| article.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all.len());
        let first = all[0].created_at.0;
        let mut desk = desk(5);
        assert_eq!(desk.publish_next(first - Duration::from_nanos(1)), None, "not before its time");
        assert_eq!(desk.publish_next(first).as_ref(), Some(&all[0]));
    }

    #[test]
    fn pages_cover_all_wanted_articles_once() {
        let mut desk = desk(7);
        let all = publish_all(&mut desk);
        let spy = Symbol::new("SPY");
        for (symbols, with_content, ascending) in
            [(vec![], false, false), (vec![], true, true), (vec![spy.clone()], false, true)]
        {
            let mut expected: Vec<u64> = all
                .iter()
                .filter(|a| symbols.is_empty() || a.symbols.contains(&spy))
                .filter(|a| !with_content || !a.content.is_empty())
                .map(|a| a.id)
                .collect();
            if !ascending {
                expected.reverse();
            }
            let mut query = NewsQuery {
                symbols,
                start: MarketTime::EPOCH,
                end: MarketTime::from_nanos(i64::MAX),
                ascending,
                with_content,
                limit: 2,
                after: None,
            };
            let mut got = Vec::new();
            loop {
                let (page, next) = desk.page(&query);
                got.extend(page.iter().map(|article| article.id));
                assert!(got.len() <= expected.len(), "something comes twice: {got:?}");
                let Some(next) = next else { break };
                query.after = NewsToken::parse(&next.to_string());
            }
            assert_eq!(got, expected);
            assert!(!got.is_empty());
        }
    }

    #[test]
    fn a_number_from_outside_is_not_given_again() {
        let mut desk = desk(1);
        let ever = MarketTime::from_nanos(i64::MAX);
        let mut outside = desk.publish_next(ever).expect("an article");
        outside.id = 40;
        assert_eq!(desk.publish(outside).id, 40);
        assert_eq!(desk.publish_next(ever).map(|article| article.id), Some(41));
    }

    #[test]
    fn the_oldest_articles_go() {
        let mut desk = desk(1);
        let mut article = desk.publish_next(MarketTime::from_nanos(i64::MAX)).expect("an article");
        article.id = 0;
        for _ in 0..MAX_ARTICLES {
            desk.publish(article.clone());
        }
        assert_eq!(desk.published.len(), MAX_ARTICLES);
        assert_eq!(desk.published[0].id, 2);
    }
}
