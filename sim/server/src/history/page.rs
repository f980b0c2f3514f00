//! Answers in pages: symbol by symbol, in the order of time, everything once.

use sandpit_types::{MarketTime, Symbol};

/// Most rows of one time that a token can say were shown; there are never more of one symbol's.
const MAX_SHOWN: usize = 100_000;

/// What can be put in the order of time.
pub(crate) trait Row {
    /// When it was.
    fn time(&self) -> MarketTime;
}

/// A stretch of time, both ends included, and the direction to read it in.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// First moment.
    pub start: MarketTime,
    /// Last moment.
    pub end: MarketTime,
    /// Newest first.
    pub descending: bool,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which symbols, sorted, none twice.
    pub symbols: Vec<Symbol>,
    /// From when to when.
    pub span: Span,
    /// Most rows of the page, over all symbols.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<PageToken>,
}

/// Where a page ended: a symbol, the time of its last row, and how many rows of that very time were shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    time: MarketTime,
    shown: usize,
    symbol: Symbol,
}

impl PageToken {
    /// Reads a token of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '_');
        let time = MarketTime::from_nanos(parts.next()?.parse().ok()?);
        let shown = parts.next()?.parse().ok().filter(|shown| *shown <= MAX_SHOWN)?;
        Some(Self { time, shown, symbol: Symbol::new(parts.next()?) })
    }

    /// The rest of a stretch that this token cut.
    fn rest(&self, span: Span) -> Span {
        if span.descending {
            Span { end: self.time.min(span.end), ..span }
        } else {
            Span { start: self.time.max(span.start), ..span }
        }
    }
}

impl std::fmt::Display for PageToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}_{}", self.time.as_nanos(), self.shown, self.symbol)
    }
}

/// One page: symbol by symbol, and where the next one goes on.
#[derive(Debug, PartialEq)]
pub struct Page<R> {
    /// Symbols with rows on this page.
    pub rows: Vec<(Symbol, Vec<R>)>,
    /// `None` on the last page.
    pub next: Option<PageToken>,
}

/// One page of what `query` asks for. `rows_of` gives a symbol's rows of a stretch of time in the order it
/// asks for.
pub(crate) fn page<'a, R: Row>(
    query: &Query,
    rows_of: impl Fn(&Symbol, Span) -> Box<dyn Iterator<Item = R> + 'a>,
) -> Page<R> {
    let mut page = Page { rows: Vec::new(), next: None };
    let mut left = query.limit;
    let mut last = query.after.clone();
    for symbol in &query.symbols {
        let cut = query.after.as_ref().filter(|token| token.symbol == *symbol);
        if cut.is_none() && query.after.as_ref().is_some_and(|token| *symbol < token.symbol) {
            continue;
        }
        let mut rows = match cut {
            Some(token) => rows_of(symbol, token.rest(query.span)),
            None => rows_of(symbol, query.span),
        }
        .peekable();
        if let Some(token) = cut {
            // The rows of the token's time stand first in the rest. Some may have gone since.
            let mut same = std::iter::from_fn(|| rows.next_if(|row| row.time() == token.time));
            same.by_ref().take(token.shown).for_each(drop);
        }
        let taken: Vec<R> = rows.by_ref().take(left).collect();
        left -= taken.len();
        if !taken.is_empty() {
            last = Some(token(symbol, &taken, cut));
            page.rows.push((symbol.clone(), taken));
        }
        if rows.peek().is_some() {
            page.next = last;
            return page;
        }
    }
    page
}

/// The token behind these rows, which are at least one.
fn token<R: Row>(symbol: &Symbol, taken: &[R], cut: Option<&PageToken>) -> PageToken {
    let time = taken[taken.len() - 1].time();
    let same = taken.iter().rev().take_while(|row| row.time() == time).count();
    let before = cut.filter(|token| token.time == time && same == taken.len()).map_or(0, |token| token.shown);
    PageToken { time, shown: before + same, symbol: symbol.clone() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Dot(i64, usize);

    impl Row for Dot {
        fn time(&self) -> MarketTime {
            MarketTime::from_secs(self.0)
        }
    }

    fn rows<'a>(
        all: &[(Symbol, Vec<Dot>)],
        symbol: &Symbol,
        span: Span,
    ) -> Box<dyn Iterator<Item = Dot> + 'a> {
        let rows = all.iter().find(|(name, _)| name == symbol).map(|(_, rows)| rows.clone());
        let mut rows: Vec<Dot> = rows.unwrap_or_default();
        rows.retain(|row| (span.start..=span.end).contains(&row.time()));
        if span.descending {
            rows.reverse();
        }
        Box::new(rows.into_iter())
    }

    proptest! {
        /// Many rows share their second, so that pages end between rows of the same time.
        #[test]
        fn pages_cover_everything_once_by_symbol_then_time(
            times in prop::collection::vec(prop::collection::vec(0..6_i64, 0..12), 1..4),
            limit in 1..7_usize, descending: bool, start in -1..4_i64, length in 0..7_i64,
        ) {
            let row_of = |(mut times, name): (Vec<i64>, &str)| {
                times.sort_unstable();
                (Symbol::new(name), times.into_iter().enumerate().map(|(at, t)| Dot(t, at)).collect())
            };
            let all: Vec<(Symbol, Vec<Dot>)> =
                times.into_iter().zip(["A", "B", "BRK.B"]).map(row_of).collect();
            let span = Span {
                start: MarketTime::from_secs(start),
                end: MarketTime::from_secs(start + length),
                descending,
            };
            let symbols = ["A", "AA", "B", "BRK.B"].map(Symbol::new).to_vec();
            let mut expected = Vec::new();
            for symbol in &symbols {
                expected.extend(rows(&all, symbol, span).map(|row| (symbol.clone(), row)));
            }
            let mut query = Query { symbols, span, limit, after: None };
            let mut got = Vec::new();
            loop {
                let page = page(&query, |symbol, span| rows(&all, symbol, span));
                let size: usize = page.rows.iter().map(|(_, rows)| rows.len()).sum();
                prop_assert!(size <= limit && (page.next.is_none() || size == limit), "{page:?}");
                got.extend(page.rows.into_iter().flat_map(|(symbol, rows)| {
                    rows.into_iter().map(move |row| (symbol.clone(), row))
                }));
                prop_assert!(got.len() <= expected.len(), "something comes twice: {got:?}");
                let Some(token) = page.next else { break };
                query.after = Some(PageToken::parse(&token.to_string()).expect("own token"));
            }
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn a_foreign_token_is_no_token() {
        for text in ["", "x", "12", "x_A", "1_A", "1_x_A", "1_-1_A", "0_18446744073709551615_A", "1_100001_A"]
        {
            assert_eq!(PageToken::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_skips_rows_of_its_own_time_only() {
        let all = [(Symbol::new("A"), vec![Dot(1, 0), Dot(2, 0), Dot(2, 1), Dot(3, 0)])];
        let span = Span { start: MarketTime::EPOCH, end: MarketTime::from_secs(9), descending: false };
        for (token, expected) in [("2000000000_1_A", 2), ("2000000000_100000_A", 1), ("0_100000_A", 4)] {
            let after = PageToken::parse(token);
            let query = Query { symbols: vec![Symbol::new("A")], span, limit: 9, after };
            let page = page(&query, |symbol, span| rows(&all, symbol, span));
            assert_eq!(page.rows[0].1.len(), expected, "{token}");
        }
    }
}
