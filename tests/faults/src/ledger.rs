//! What was delivered, held against the truth.

use std::collections::{BTreeMap, BTreeSet};

use sandpit_types::{Bar, BarMark, MarketEvent, MarketTime, Symbol};

/// Two readings of one number that differ by less than this share of it are the same.
const SAME: f64 = 1e-12;
/// Most faults that are kept in words; the count goes on.
const MAX_WORDS: usize = 20;

/// The verdict on one recording.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Bars of the truth.
    pub bars: usize,
    /// Bars of the truth that were never delivered.
    pub lost: usize,
    /// Bars that were delivered once more, not as a correction with other figures; quotes and trades that
    /// were delivered once more.
    pub twice: usize,
    /// Events that came out of turn without a mark.
    pub disorder: usize,
    /// Bars whose last figures are not those of the truth, or that it does not know.
    pub wrong: usize,
    /// Bars marked as late.
    pub late: usize,
    /// Bars marked as corrected.
    pub corrected: usize,
    /// Quotes and trades delivered.
    pub ticks: usize,
    /// The first faults, in words.
    pub words: Vec<String>,
}

/// What is known of one symbol on the way through a recording.
#[derive(Default)]
struct Known {
    newest_bar: Option<MarketTime>,
    newest_quote: Option<MarketTime>,
    newest_trade: Option<MarketTime>,
}

impl Ledger {
    /// Goes through what was `delivered`; `truth` holds every bar with `from <= start <= last`.
    pub fn of(delivered: &[MarketEvent], truth: &[Bar], (from, last): (MarketTime, MarketTime)) -> Self {
        let mut ledger = Self { bars: truth.len(), ..Self::default() };
        let mut bars = BTreeMap::new();
        let mut known = BTreeMap::new();
        let mut ticks = BTreeSet::new();
        let mut complete = None;
        for event in delivered {
            match event {
                MarketEvent::Bar(bar) => ledger.bar(bar, None, &mut bars, &mut known, complete),
                MarketEvent::MarkedBar(bar, mark) => {
                    ledger.bar(bar, Some(*mark), &mut bars, &mut known, complete);
                }
                MarketEvent::BarsComplete(start) => {
                    if complete.is_some_and(|complete| *start <= complete) {
                        ledger.disorder(format!("minute {start} is complete once more"));
                    }
                    complete = complete.max(Some(*start));
                }
                MarketEvent::Quote(quote) => {
                    let figures = [quote.bid.to_bits(), quote.bid_size, quote.ask.to_bits(), quote.ask_size];
                    let is_new = ticks.insert((&quote.symbol, quote.time, 'q', figures));
                    let newest = &mut known.entry(&quote.symbol).or_default().newest_quote;
                    ledger.tick(&quote.symbol, quote.time, is_new, newest);
                }
                MarketEvent::Trade(trade) => {
                    let figures = [trade.price.to_bits(), trade.size, 0, 0];
                    let is_new = ticks.insert((&trade.symbol, trade.time, 't', figures));
                    let newest = &mut known.entry(&trade.symbol).or_default().newest_trade;
                    ledger.tick(&trade.symbol, trade.time, is_new, newest);
                }
                MarketEvent::SessionOpen(_)
                | MarketEvent::SessionClose(_)
                | MarketEvent::News(_)
                | MarketEvent::Health(..) => {}
            }
        }
        ledger.compare(bars, truth, from, last);
        ledger
    }

    /// Whether nothing is wrong.
    pub const fn is_clean(&self) -> bool {
        self.lost + self.twice + self.disorder + self.wrong == 0
    }

    /// The figures that every test tells.
    pub fn told(&self) -> String {
        let Self { bars, lost, twice, disorder, wrong, late, corrected, ticks, .. } = self;
        format!(
            "{bars} of which lost {lost}, twice {twice}, out of turn {disorder}, wrong {wrong}, late {late}, \
             corrected {corrected}, ticks {ticks}"
        )
    }

    /// The verdicts on several hosts together.
    pub fn sum(ledgers: impl IntoIterator<Item = Self>) -> Self {
        ledgers.into_iter().fold(Self::default(), |mut all, one| {
            all.bars += one.bars;
            all.lost += one.lost;
            all.twice += one.twice;
            all.disorder += one.disorder;
            all.wrong += one.wrong;
            all.late += one.late;
            all.corrected += one.corrected;
            all.ticks += one.ticks;
            all.words.extend(one.words);
            all
        })
    }

    fn bar<'a>(
        &mut self,
        bar: &'a Bar,
        mark: Option<BarMark>,
        bars: &mut BTreeMap<(&'a Symbol, MarketTime), &'a Bar>,
        known: &mut BTreeMap<&'a Symbol, Known>,
        complete: Option<MarketTime>,
    ) {
        let newest = &mut known.entry(&bar.symbol).or_default().newest_bar;
        let is_late = newest.is_some_and(|newest| bar.start < newest)
            || complete.is_some_and(|complete| bar.start <= complete);
        *newest = (*newest).max(Some(bar.start));
        let before = bars.insert((&bar.symbol, bar.start), bar);
        let name = || format!("bar {} {}", bar.symbol, bar.start);
        match (mark, before) {
            (None, None) if is_late => self.disorder(format!("{} is late and not marked", name())),
            (None, None) => {}
            (Some(BarMark::Late), None) => {
                self.late += 1;
                if !is_late {
                    self.disorder(format!("{} is marked late and is not", name()));
                }
            }
            (Some(BarMark::Corrected), Some(before)) if !is_same(bar, before) => self.corrected += 1,
            (Some(BarMark::Corrected), None) => {
                self.disorder(format!("{} is marked corrected and was never delivered", name()));
            }
            (None | Some(BarMark::Late | BarMark::Corrected), Some(_)) => self.twice(name()),
        }
    }

    fn tick(&mut self, symbol: &Symbol, time: MarketTime, is_new: bool, newest: &mut Option<MarketTime>) {
        self.ticks += 1;
        if !is_new {
            self.twice(format!("a quote or trade of {symbol} at {time}"));
        } else if newest.is_some_and(|newest| time < newest) {
            self.disorder(format!("a quote or trade of {symbol} at {time} comes after a newer one"));
        }
        *newest = (*newest).max(Some(time));
    }

    fn compare<'a>(
        &mut self,
        mut bars: BTreeMap<(&'a Symbol, MarketTime), &'a Bar>,
        truth: &'a [Bar],
        from: MarketTime,
        last: MarketTime,
    ) {
        for bar in truth {
            match bars.remove(&(&bar.symbol, bar.start)) {
                None => {
                    self.lost += 1;
                    self.say(format!("bar {} {} is lost", bar.symbol, bar.start));
                }
                Some(delivered) if !is_same(delivered, bar) => {
                    self.wrong += 1;
                    self.say(format!("the last word is {delivered:?}, the truth {bar:?}"));
                }
                Some(_) => {}
            }
        }
        for (symbol, start) in bars.into_keys().filter(|(_, start)| (from..=last).contains(start)) {
            self.wrong += 1;
            self.say(format!("the truth knows nothing of bar {symbol} {start}"));
        }
    }

    fn twice(&mut self, what: String) {
        self.twice += 1;
        self.say(format!("{what} is delivered twice"));
    }

    fn disorder(&mut self, what: String) {
        self.disorder += 1;
        self.say(what);
    }

    fn say(&mut self, what: String) {
        if self.words.len() < MAX_WORDS {
            self.words.push(what);
        }
    }
}

fn is_same(a: &Bar, b: &Bar) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= SAME * a.abs().max(b.abs());
    (&a.symbol, a.start, a.volume) == (&b.symbol, b.start, b.volume)
        && near(a.open, b.open)
        && near(a.high, b.high)
        && near(a.low, b.low)
        && near(a.close, b.close)
        && near(a.vwap, b.vwap)
}

#[cfg(test)]
mod tests {
    use sandpit_types::Quote;

    use super::*;

    fn bar(minute: i64, close: f64) -> Bar {
        let (symbol, start) = (Symbol::new("SPY"), MarketTime::from_secs(60 * minute));
        Bar { symbol, start, open: 1.0, high: 9.0, low: 1.0, close, volume: 5, vwap: 2.0 }
    }

    /// Plays words against a truth of the bars 1, 2 and 3: `2` a bar, `2L` late, `2C` corrected to the truth,
    /// `2x` with other figures than the truth, `done2`, `q7` a quote. `(lost, twice, disorder, wrong)`.
    fn check(script: &str, expected: (usize, usize, usize, usize)) {
        let truth = [bar(1, 2.0), bar(2, 2.0), bar(3, 2.0)];
        let at = |text: &str| text.parse::<i64>().expect("a minute");
        let events: Vec<MarketEvent> = script
            .split_whitespace()
            .map(|word| {
                let minute = |ending| word.strip_suffix(ending).map(at);
                if let Some(start) = word.strip_prefix("done") {
                    return MarketEvent::BarsComplete(MarketTime::from_secs(60 * at(start)));
                }
                if let Some(time) = word.strip_prefix('q') {
                    let (symbol, time) = (Symbol::new("SPY"), MarketTime::from_secs(at(time)));
                    let quote = Quote { symbol, time, bid: 1.0, bid_size: 1, ask: 2.0, ask_size: 1 };
                    return MarketEvent::Quote(quote);
                }
                if let Some(minute) = minute('L') {
                    return MarketEvent::MarkedBar(bar(minute, 2.0), BarMark::Late);
                }
                if let Some(minute) = minute('C') {
                    return MarketEvent::MarkedBar(bar(minute, 2.0), BarMark::Corrected);
                }
                if let Some(minute) = minute('x') {
                    return MarketEvent::Bar(bar(minute, 3.0));
                }
                MarketEvent::Bar(bar(at(word), 2.0))
            })
            .collect();
        let span = (MarketTime::from_secs(60), MarketTime::from_secs(180));
        let ledger = Ledger::of(&events, &truth, span);
        let found = (ledger.lost, ledger.twice, ledger.disorder, ledger.wrong);
        assert_eq!(found, expected, "{script}: {:?}", ledger.words);
        assert_eq!(ledger.is_clean(), expected == (0, 0, 0, 0));
    }

    #[test]
    fn every_fault_is_found() {
        check("1 done1 2 done2 3 done3 q7 q8", (0, 0, 0, 0));
        check("1 3 2L", (0, 0, 0, 0));
        check("1 2x done2 2C 3", (0, 0, 0, 0));
        check("1 2 3 4", (0, 0, 0, 0));
        check("1 3", (1, 0, 0, 0));
        check("", (3, 0, 0, 0));
        check("1 2 2 3", (0, 1, 0, 0));
        check("1 2 2L 3", (0, 1, 0, 0));
        check("1 2 2C 3", (0, 1, 0, 0));
        check("1 3 2", (0, 0, 1, 0));
        check("1 done2 2 3", (0, 0, 1, 0));
        check("1 2L 3", (0, 0, 1, 0));
        check("1 2C 3", (0, 0, 1, 0));
        check("1 2 3 done3 done2", (0, 0, 1, 0));
        check("1 2x 3", (0, 0, 0, 1));
        check("1 2 3 q7 q7", (0, 1, 0, 0));
        check("1 2 3 q8 q7", (0, 0, 1, 0));
    }

    #[test]
    fn a_bar_that_nobody_traded_is_wrong() {
        let span = (MarketTime::from_secs(60), MarketTime::from_secs(180));
        let events = [MarketEvent::Bar(bar(1, 2.0)), MarketEvent::Bar(bar(2, 2.0))];
        assert_eq!(Ledger::of(&events, &[bar(1, 2.0)], span).wrong, 1);
    }
}
