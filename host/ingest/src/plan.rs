//! What is asked of the stream: what is wanted, the canary, and less of it where the data plan is small.
//!
//! The broker does not say how many symbols a plan allows, nor whether a symbol counts once for trades and
//! once for quotes; we count it twice, which is right or careful. Quotes that do not fit are polled over
//! REST. Trades that do not fit do not come at all: REST has no stream of them.

use std::sync::Arc;

use sandpit_broker::Subscription;
use sandpit_types::Symbol;

/// What the smallest plan allows of trades and quotes together; bars are free (Alpaca, Basic).
const SMALLEST_PLAN: usize = 30;

/// The subscription as wanted and as asked for.
#[derive(Debug)]
pub(crate) struct Plan {
    wanted: Arc<Subscription>,
    canary: Option<Symbol>,
    /// Trades and quotes asked for at most, once the broker said that it was too many.
    limit: Option<usize>,
}

impl Plan {
    /// Asks for all that is wanted, and for the canary: for its bars where bars are wanted, for its quotes
    /// where anything but bars is.
    pub(crate) fn new(wanted: Subscription, canary: Option<Symbol>) -> Self {
        Self { wanted: Arc::new(wanted), canary, limit: None }
    }

    /// From now on this is wanted. What the broker was found to allow stays known.
    pub(crate) fn want(&mut self, wanted: Subscription) {
        self.wanted = Arc::new(wanted);
    }

    /// Whether there is nothing to ask for.
    pub(crate) fn is_empty(&self) -> bool {
        self.full().is_empty()
    }

    /// The symbol that proves the stream alive.
    pub(crate) const fn canary(&self) -> Option<&Symbol> {
        self.canary.as_ref()
    }

    /// What is wanted.
    pub(crate) const fn wanted(&self) -> &Arc<Subscription> {
        &self.wanted
    }

    /// What to subscribe to: the canary first, then the wanted symbols in their order, as far as they fit.
    pub(crate) fn asked(&self) -> Subscription {
        let mut asked = self.full();
        let limit = self.limit.unwrap_or(usize::MAX);
        asked.quotes.truncate(limit);
        asked.trades.truncate(limit - asked.quotes.len());
        asked
    }

    /// Whether only bars are asked for, and no canary's: then silence proves little.
    pub(crate) fn is_thin(&self) -> bool {
        self.canary.is_none() && self.wanted.quotes.is_empty() && self.wanted.trades.is_empty()
    }

    /// What REST is asked for while the stream is down: what is wanted, and the canary, for where it sings on
    /// REST and not on the stream, the stream is mute.
    pub(crate) fn over_rest(&self) -> Subscription {
        self.full()
    }

    /// The wanted quotes that the stream is not asked for.
    pub(crate) fn untold_quotes(&self) -> Vec<Symbol> {
        let asked = self.asked().quotes;
        self.wanted.quotes.iter().filter(|symbol| !asked.contains(symbol)).cloned().collect()
    }

    /// Asks for fewer next time; false when there is nothing left to do without. Trades go first, then quotes
    /// from the end; one symbol always stays.
    pub(crate) fn trim(&mut self) -> bool {
        let asked = self.asked();
        let count = asked.quotes.len() + asked.trades.len();
        let limit = if count > SMALLEST_PLAN { SMALLEST_PLAN } else { count / 2 };
        let can = limit > 0;
        if can {
            self.limit = Some(limit);
        }
        can
    }

    fn full(&self) -> Subscription {
        let mut full = (*self.wanted).clone();
        full.news.clear();
        for symbols in [&mut full.bars, &mut full.quotes, &mut full.trades] {
            let mut seen = std::collections::HashSet::<_, foldhash::fast::FixedState>::default();
            symbols.retain(|symbol| seen.insert(symbol.clone()));
        }
        if let Some(canary) = &self.canary {
            let has_ticks = !full.quotes.is_empty() || !full.trades.is_empty();
            let places = [(!full.bars.is_empty(), &mut full.bars), (has_ticks, &mut full.quotes)];
            for (_, place) in places.into_iter().filter(|(is_asked, _)| *is_asked) {
                place.retain(|symbol| symbol != canary);
                place.insert(0, canary.clone());
            }
        }
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<Symbol> {
        text.split_whitespace().map(Symbol::new).collect()
    }

    fn text(symbols: &[Symbol]) -> String {
        symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(" ")
    }

    fn plan(bars: &str, quotes: &str, trades: &str, canary: &str) -> Plan {
        let (bars, quotes, trades) = (names(bars), names(quotes), names(trades));
        let wanted = Subscription { bars, quotes, trades, news: names("*") };
        Plan::new(wanted, names(canary).pop())
    }

    #[test]
    fn the_canary_sings_where_it_is_needed() {
        let check = |[bars, quotes, trades, canary]: [&str; 4], expected: [&str; 3]| {
            let asked = plan(bars, quotes, trades, canary).asked();
            assert_eq!([text(&asked.bars), text(&asked.quotes), text(&asked.trades)], expected);
            assert!(asked.news.is_empty(), "news has a stream of its own");
        };
        check(["A", "A", "", "SPY"], ["SPY A", "SPY A", ""]);
        check(["A", "", "", "SPY"], ["SPY A", "", ""]);
        assert!(plan("A", "", "", "").is_thin() && !plan("A", "", "", "SPY").is_thin());
        assert!(!plan("A", "A", "", "").is_thin());
        check(["A", "", "A", "SPY"], ["SPY A", "SPY", "A"]);
        check(["", "", "", "SPY"], ["", "", ""]);
        check(["A", "A A B", "", ""], ["A", "A B", ""]);
        check(["", "A SPY", "", "SPY"], ["", "SPY A", ""]);
    }

    #[test]
    fn too_many_become_fewer_and_rest_carries_the_others() {
        let many: Vec<String> = (0..40).map(|n| format!("S{n}")).collect();
        let mut plan = plan("A B", &many.join(" "), "S0 S1", "SPY");
        let mut counts = Vec::new();
        loop {
            let asked = plan.asked();
            assert_eq!(text(&asked.bars), "SPY A B", "bars are free");
            assert_eq!(asked.quotes[0].as_str(), "SPY");
            assert_eq!(plan.untold_quotes().len(), 40 - (asked.quotes.len() - 1));
            counts.push((asked.quotes.len(), asked.trades.len()));
            if !plan.trim() {
                break;
            }
        }
        assert_eq!(counts, [(41, 2), (30, 0), (15, 0), (7, 0), (3, 0), (1, 0)]);
        let mut small = self::plan("", "A", "A B C", "");
        assert!(small.trim());
        assert_eq!((text(&small.asked().quotes), text(&small.asked().trades)), ("A".into(), "A".into()));
        assert!(!self::plan("A", "", "", "SPY").trim());
    }
}
