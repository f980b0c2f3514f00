//! What files hold and what is odd about it: one pass, for `sandpit data info` and `check`.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
};

use sandpit_types::{MarketEvent, MarketTime, Symbol};

use crate::{
    DataError, Findings, Kind, Reel, Wanted,
    day::{Day, Days},
    open,
};

/// Neighbours by which an outlier is judged.
const NEIGHBOURS: usize = 30;

/// Steps beyond this many typical ones that come back at once are outliers.
const TYPICAL_STEPS: f64 = 25.0;

/// Ratios of prices overnight that look like a split, and how near they have to be.
const SPLITS: [f64; 7] = [1.5, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0];
const NEAR_SPLIT: f64 = 0.03;

/// Minutes of the regular session without a bar that are told, in a row.
const GAP_MINUTES: i64 = 5;

/// One kind of data of one symbol.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SymbolSurvey {
    /// Rows.
    pub rows: u64,
    /// Days with any.
    pub days: u64,
    /// The first is known.
    pub first: MarketTime,
    /// The last is known.
    pub last: MarketTime,
    /// The lowest price.
    pub low: f64,
    /// The highest price.
    pub high: f64,
}

/// What files hold.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// By symbol and kind.
    pub symbols: BTreeMap<(Symbol, Kind), SymbolSurvey>,
    /// What is odd, and what was repaired.
    pub findings: Findings,
}

/// Reads files to their end.
///
/// # Errors
/// When they cannot be used as they are.
pub fn survey(
    paths: &[PathBuf],
    wanted: Wanted,
    watch: &mut dyn FnMut(u64, u64),
) -> Result<Survey, DataError> {
    let mut files = open(paths, wanted)?;
    let mut looker = Looker::new();
    let mut events = Vec::new();
    loop {
        files.read(&mut events)?;
        if events.is_empty() {
            break;
        }
        events.drain(..).for_each(|event| looker.see(&event));
        watch(files.bytes_read(), files.bytes_total());
    }
    let mut survey = looker.end();
    survey.findings.join(files.findings());
    Ok(survey)
}

/// What is remembered of a symbol while it is looked at.
#[derive(Default)]
struct Trail {
    /// The newest closes, for outliers.
    closes: VecDeque<f64>,
    last_start: Option<MarketTime>,
    day: Option<Day>,
}

struct Looker {
    days: Days,
    survey: Survey,
    trails: BTreeMap<Symbol, Trail>,
    /// Rows by hour in New York, for bars and trades on weekdays.
    hours: [u64; 24],
}

impl Looker {
    fn new() -> Self {
        Self { days: Days::new(), survey: Survey::default(), trails: BTreeMap::new(), hours: [0; 24] }
    }

    fn see(&mut self, event: &MarketEvent) {
        let Some(symbol) = event.symbol() else { return };
        let (kind, at, low, high) = match event {
            MarketEvent::Bar(bar) => (Kind::Bars, bar.start, bar.low, bar.high),
            MarketEvent::Trade(trade) => (Kind::Trades, trade.time, trade.price, trade.price),
            MarketEvent::Quote(quote) => (Kind::Quotes, quote.time, quote.bid, quote.ask),
            _ => return,
        };
        let day = self.days.of(at);
        let known = event.time();
        let fresh = SymbolSurvey { first: known, low, high, ..SymbolSurvey::default() };
        let of = self.survey.symbols.entry((symbol.clone(), kind)).or_insert(fresh);
        let is_new_day = of.rows == 0 || of.last < day.midnight;
        (of.rows, of.days, of.last) = (of.rows + 1, of.days + u64::from(is_new_day), known);
        (of.low, of.high) = (of.low.min(low), of.high.max(high));
        if kind != Kind::Quotes && day.is_weekday {
            let hour = at.since(day.midnight).as_secs() / 3_600;
            self.hours[usize::try_from(hour).unwrap_or(0).min(23)] += 1;
        }
        if let MarketEvent::Bar(bar) = event {
            self.follow(symbol, bar.start, bar.close, day);
        }
    }

    /// Looks at what is between a bar and the one before it.
    fn follow(&mut self, symbol: &Symbol, start: MarketTime, close: f64, day: Day) {
        let trail = self.trails.entry(symbol.clone()).or_default();
        let findings = &mut self.survey.findings;
        let minutes = |from: MarketTime, to: MarketTime| to.since(from).as_secs() as i64 / 60;
        let in_session = |at: MarketTime| day.is_weekday && day.open <= at && at < day.close;
        let is_same_day = trail.day.is_some_and(|last| last.date == day.date);
        if let Some(last) = trail.last_start.filter(|last| is_same_day && in_session(*last)) {
            let missing = minutes(last, start.min(day.close)) - 1;
            if missing >= GAP_MINUTES {
                findings.add("gaps in a session", || format!("{symbol}: {missing} minutes after {last}"));
            }
        } else if in_session(start) && minutes(day.open, start) >= GAP_MINUTES {
            let missing = minutes(day.open, start);
            findings
                .add("gaps in a session", || format!("{symbol}: the first {missing} minutes before {start}"));
        }
        if let Some(before) = trail.closes.back().filter(|_| !is_same_day && trail.day.is_some()) {
            let ratio = (before / close).max(close / before);
            if SPLITS.iter().any(|split| (ratio / split - 1.0).abs() < NEAR_SPLIT) {
                findings.add("jumps that look like a split; prices are taken to have none", || {
                    format!("{symbol}: from {before} to {close} before {start}")
                });
            }
        }
        if let Some(odd) = trail.outlier(close) {
            findings
                .add("outliers that come back at once", || format!("{symbol}: {odd} just before {start}"));
        }
        trail.closes.push_back(close);
        if trail.closes.len() > NEIGHBOURS {
            trail.closes.pop_front();
        }
        (trail.last_start, trail.day) = (Some(start), Some(day));
    }

    fn end(mut self) -> Survey {
        if let Some(hours) = shift(&self.hours) {
            let way = if hours > 0 { "later" } else { "earlier" };
            self.survey.findings.add("times that look like those of another zone", || {
                format!("the busiest hours are {} h {way} than the session in New York", hours.abs())
            });
        }
        self.survey
    }
}

impl Trail {
    /// The close before this one, if it is far off those before it and this one is not.
    fn outlier(&self, close: f64) -> Option<f64> {
        let [before @ .., odd] = &*self.closes.iter().copied().collect::<Vec<_>>() else { return None };
        if before.len() < NEIGHBOURS / 2 {
            return None;
        }
        let mut steps: Vec<f64> = before.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
        steps.sort_by(f64::total_cmp);
        let typical = steps[steps.len() / 2].max(odd.abs() * 1e-4);
        let last = before[before.len() - 1];
        let far = (odd - last).abs() > TYPICAL_STEPS * typical;
        let back = (close - last).abs() < (odd - last).abs() / 3.0;
        (far && back).then_some(*odd)
    }
}

/// By how many hours the busiest stretch of the day, as long as a session, is off the session. Nothing is
/// said of an hour: extended hours may make that.
fn shift(hours: &[u64; 24]) -> Option<i64> {
    const SESSION_HOURS: usize = 7;
    const SESSION_BEGINS: i64 = 9;
    let total: u64 = hours.iter().sum();
    let sum = |begin: usize| (0..SESSION_HOURS).map(|hour| hours[(begin + hour) % 24]).sum::<u64>();
    let best = (0..24).max_by_key(|begin| (sum(*begin), std::cmp::Reverse(*begin)))?;
    // A day that is busy all round says nothing.
    if total < 100 || sum(best) * 10 < total * 9 {
        return None;
    }
    let mut off = i64::try_from(best).ok()? - SESSION_BEGINS;
    if off > 12 {
        off -= 24;
    }
    (off.abs() > 1).then_some(off)
}
