//! The bars that are over, for requests about the past.

use std::collections::{BTreeMap, VecDeque};

use sandpit_types::{Bar, MarketTime, Symbol};

/// Most bars kept of one symbol (about fifty days); the oldest go.
const MAX_BARS_PER_SYMBOL: usize = 50_000;

/// A bar and how many trades it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredBar {
    /// The bar.
    pub bar: Bar,
    /// Trades in it.
    pub trades: u64,
}

/// Bars by symbol, each in the order of time.
#[derive(Debug, Default)]
pub struct History {
    bars: BTreeMap<Symbol, VecDeque<StoredBar>>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct BarQuery {
    /// Which symbols, sorted, none twice.
    pub symbols: Vec<Symbol>,
    /// First start, inclusive.
    pub start: MarketTime,
    /// Last start, inclusive.
    pub end: MarketTime,
    /// Most bars of the page, over all symbols.
    pub limit: usize,
    /// Newest first, within each symbol.
    pub descending: bool,
    /// The last bar of the page before.
    pub after: Option<PageToken>,
}

/// Where a page ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    start: MarketTime,
    symbol: Symbol,
}

impl PageToken {
    /// Reads a token of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (nanos, symbol) = text.split_once('_')?;
        Some(Self { start: MarketTime::from_nanos(nanos.parse().ok()?), symbol: Symbol::new(symbol) })
    }
}

impl std::fmt::Display for PageToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}", self.start.as_nanos(), self.symbol)
    }
}

/// One page of bars: symbol by symbol, and where the next page goes on.
#[derive(Debug, PartialEq)]
pub struct Page<'a> {
    /// Symbols with bars on this page.
    pub bars: Vec<(&'a Symbol, Vec<&'a StoredBar>)>,
    /// `None` on the last page.
    pub next: Option<PageToken>,
}

impl History {
    /// Keeps a bar that has just ended.
    pub fn push(&mut self, bar: StoredBar) {
        let bars = self.bars.entry(bar.bar.symbol.clone()).or_default();
        if bars.len() == MAX_BARS_PER_SYMBOL {
            bars.pop_front();
        }
        bars.push_back(bar);
    }

    /// One page of what `query` asks for, by symbol and then by time.
    pub fn page(&self, query: &BarQuery) -> Page<'_> {
        let mut page = Page { bars: Vec::new(), next: None };
        let mut left = query.limit;
        let mut last: Option<&StoredBar> = None;
        for symbol in &query.symbols {
            let Some((symbol, bars)) = self.bars.get_key_value(symbol) else { continue };
            let mut wanted = select(bars, symbol, query).peekable();
            let taken: Vec<&StoredBar> = wanted.by_ref().take(left).collect();
            left -= taken.len();
            last = taken.last().copied().or(last);
            if !taken.is_empty() {
                page.bars.push((symbol, taken));
            }
            if wanted.peek().is_some() {
                page.next = last
                    .map(|stored| PageToken { start: stored.bar.start, symbol: stored.bar.symbol.clone() });
                return page;
            }
        }
        page
    }
}

/// The bars of one symbol that this page and the later ones show.
fn select<'a>(
    bars: &'a VecDeque<StoredBar>,
    symbol: &Symbol,
    query: &BarQuery,
) -> Box<dyn Iterator<Item = &'a StoredBar> + 'a> {
    let mut from = bars.partition_point(|stored| stored.bar.start < query.start);
    let mut to = bars.partition_point(|stored| stored.bar.start <= query.end).max(from);
    if let Some(after) = &query.after {
        match symbol.cmp(&after.symbol) {
            std::cmp::Ordering::Less => to = from,
            std::cmp::Ordering::Equal if query.descending => {
                to = bars.partition_point(|stored| stored.bar.start < after.start).clamp(from, to);
            }
            std::cmp::Ordering::Equal => {
                from = bars.partition_point(|stored| stored.bar.start <= after.start).clamp(from, to);
            }
            std::cmp::Ordering::Greater => {}
        }
    }
    if query.descending { Box::new(bars.range(from..to).rev()) } else { Box::new(bars.range(from..to)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let mut history = History::default();
        for minute in 0..5 {
            for name in ["A", "B", "C"] {
                let (symbol, start) = (Symbol::new(name), MarketTime::from_secs(60 * minute));
                let bar =
                    Bar { symbol, start, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1, vwap: 1.0 };
                history.push(StoredBar { bar, trades: 1 });
            }
        }
        history
    }

    fn pages(limit: usize, descending: bool, from: i64, to: i64) -> Vec<String> {
        let history = history();
        let mut query = BarQuery {
            symbols: ["A", "C", "X"].map(Symbol::new).to_vec(),
            start: MarketTime::from_secs(60 * from),
            end: MarketTime::from_secs(60 * to),
            limit,
            descending,
            after: None,
        };
        let mut pages = Vec::new();
        loop {
            let page = history.page(&query);
            let show = |(symbol, bars): &(&Symbol, Vec<&StoredBar>)| {
                let minutes = bars.iter().map(|b| (b.bar.start.as_nanos() / 60_000_000_000).to_string());
                format!("{symbol}{}", minutes.collect::<String>())
            };
            pages.push(page.bars.iter().map(show).collect::<Vec<_>>().join(" "));
            let Some(token) = page.next else { return pages };
            query.after = Some(PageToken::parse(&token.to_string()).expect("own token"));
        }
    }

    #[test]
    fn pages_cover_everything_once_by_symbol_then_time() {
        assert_eq!(pages(100, false, 0, 9), ["A01234 C01234"]);
        assert_eq!(pages(4, false, 0, 9), ["A0123", "A4 C012", "C34"]);
        assert_eq!(pages(5, false, 0, 9), ["A01234", "C01234"]);
        assert_eq!(pages(4, true, 0, 9), ["A4321", "A0 C432", "C10"]);
        assert_eq!(pages(2, false, 1, 3), ["A12", "A3 C1", "C23"], "both ends included");
        assert_eq!(pages(2, false, 7, 9), [""]);
        assert_eq!(pages(2, false, 3, 1), [""]);
    }

    #[test]
    fn a_foreign_token_is_no_token() {
        for text in ["", "x", "12", "x_A"] {
            assert_eq!(PageToken::parse(text), None, "{text}");
        }
    }
}
