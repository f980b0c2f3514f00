//! The first look at data files: every line is checked before anything starts, nothing is kept.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
};

use jiff::civil::Date;
use sandpit_types::{MarketEvent, MarketTime, SessionDay, Symbol};
use sandpit_venue::{Calendar, Session};

use super::{DataError, Feed, FillIn, Kind, MAX_SYMBOLS, Merge, Rows};

/// What the files hold.
#[derive(Debug, Default)]
pub struct Survey {
    /// The symbols, in the order in which they first appear.
    pub symbols: Vec<Symbol>,
    /// The regular sessions that rows lie in, in order.
    pub days: Vec<SessionDay>,
    bars: HashSet<Symbol>,
    quotes: HashSet<Symbol>,
    trades: HashSet<Symbol>,
}

impl Survey {
    /// Reads all files to their end; with `only`, rows of other symbols count for nothing.
    ///
    /// # Errors
    /// When a line of any file is broken, a file cannot be read, or no row lies in a regular session.
    pub fn of(files: &[PathBuf], only: Option<&[Symbol]>) -> Result<Self, DataError> {
        let mut survey = Self::default();
        let mut days = Days::default();
        for file in files {
            let mut rows = Rows::open(file)?;
            let kind = rows.kind();
            while let Some(tick) = rows.next_tick()? {
                let (symbol, time) = key(&tick.event);
                if only.is_none_or(|only| only.contains(symbol)) {
                    days.see(time);
                    survey.see(kind, symbol);
                }
            }
            if survey.symbols.len() > MAX_SYMBOLS {
                let why = format!("with this file there are more than {MAX_SYMBOLS} symbols; use --symbols");
                return Err(DataError::File { file: file.display().to_string(), why });
            }
        }
        survey.days = days.sessions.into_values().collect();
        if survey.days.is_empty() {
            let file = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
            let why = "no row of the wanted symbols lies in a regular session of the NYSE".to_owned();
            return Err(DataError::File { file, why });
        }
        Ok(survey)
    }

    fn see(&mut self, kind: Kind, symbol: &Symbol) {
        let known =
            self.bars.contains(symbol) || self.quotes.contains(symbol) || self.trades.contains(symbol);
        if !known {
            self.symbols.push(symbol.clone());
        }
        let of_kind = match kind {
            Kind::Bars => &mut self.bars,
            Kind::Quotes => &mut self.quotes,
            Kind::Trades => &mut self.trades,
        };
        if !of_kind.contains(symbol) {
            of_kind.insert(symbol.clone());
        }
    }
}

/// Opens surveyed files again, as one feed, with the missing bars and quotes made from the rest.
///
/// # Errors
/// When a file cannot be read any more.
pub fn replay(files: &[PathBuf], survey: &Survey) -> Result<Feed, DataError> {
    let rows = files.iter().map(|file| Rows::open(file)).collect::<Result<Vec<_>, _>>()?;
    let wanted: HashSet<Symbol> = survey.symbols.iter().cloned().collect();
    let without_bars: HashSet<Symbol> = wanted.difference(&survey.bars).cloned().collect();
    let without_quotes: HashSet<Symbol> = wanted.difference(&survey.quotes).cloned().collect();
    let merged = Merge::new(rows).filter(move |tick| wanted.contains(key(&tick.event).0));
    Ok(Box::new(FillIn::new(merged, without_bars, without_quotes)))
}

/// The symbol of a row and the time in its first column.
fn key(event: &MarketEvent) -> (&Symbol, MarketTime) {
    match event {
        MarketEvent::Bar(bar) => (&bar.symbol, bar.start),
        MarketEvent::Quote(quote) => (&quote.symbol, quote.time),
        MarketEvent::Trade(trade) => (&trade.symbol, trade.time),
        MarketEvent::MarkedBar(..)
        | MarketEvent::News(_)
        | MarketEvent::BarsComplete(_)
        | MarketEvent::SessionOpen(_)
        | MarketEvent::SessionClose(_)
        | MarketEvent::Health(..) => unreachable!("files hold bars, quotes and trades only"),
    }
}

/// The sessions that times lie in. Rows come in order, so the last session seen answers for nearly all.
struct Days {
    calendar: Calendar,
    sessions: BTreeMap<Date, SessionDay>,
    last: Option<Session>,
}

impl Default for Days {
    fn default() -> Self {
        Self { calendar: Calendar::nyse(), sessions: BTreeMap::new(), last: None }
    }
}

impl Days {
    fn see(&mut self, time: MarketTime) {
        if !self.last.is_some_and(|day| (day.pre_open..day.post_close).contains(&time)) {
            self.last = self.calendar.session(self.calendar.date(time));
        }
        if let Some(day) = self.last.filter(|day| (day.open..day.close).contains(&time)) {
            self.sessions.insert(day.date, SessionDay { open: day.open, close: day.close });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("a test file");
        path
    }

    #[test]
    fn sessions_and_symbols_come_from_the_rows() {
        let dir = tempfile::tempdir().expect("a directory");
        let trades = file(
            dir.path(),
            "t.csv",
            "timestamp,symbol,price,size,exchange\n\
             2013-10-04T19:59:59Z,OLD,1,100,P\n\
             2013-10-07T12:00:00Z,SPY,1,100,P\n\
             2013-10-08T13:30:00Z,SPY,1,100,P\n\
             2013-10-08T13:30:30Z,IBM,1,100,P\n",
        );
        let days = |only: Option<&[Symbol]>| {
            let survey = Survey::of(std::slice::from_ref(&trades), only).expect("sound");
            let names: Vec<_> = survey.symbols.iter().map(Symbol::to_string).collect();
            (names.join(" "), survey.days.iter().map(|day| day.open.to_string()).collect::<Vec<_>>())
        };
        let (first, third) = ("2013-10-04T13:30:00Z".to_owned(), "2013-10-08T13:30:00Z".to_owned());
        assert_eq!(days(None), ("OLD SPY IBM".into(), vec![first, third.clone()]));
        assert_eq!(
            days(Some(&[Symbol::new("SPY")])),
            ("SPY".into(), vec![third]),
            "pre-market is no session"
        );
        let none = Survey::of(std::slice::from_ref(&trades), Some(&[Symbol::new("X")]));
        assert!(none.expect_err("no rows").to_string().ends_with("regular session of the NYSE"));
    }

    #[test]
    fn a_replay_of_trades_alone_has_bars_and_quotes() {
        let dir = tempfile::tempdir().expect("a directory");
        let trades = file(
            dir.path(),
            "t.csv",
            "timestamp,symbol,price,size,exchange\n2013-10-08T13:30:00Z,SPY,10,100,P\n",
        );
        let files = [trades];
        let survey = Survey::of(&files, None).expect("sound");
        let kinds: Vec<_> = replay(&files, &survey)
            .expect("still there")
            .map(|tick| match tick.event {
                MarketEvent::Trade(_) => "trade",
                MarketEvent::Bar(_) => "bar",
                MarketEvent::Quote(_) => "quote",
                _ => "?",
            })
            .collect();
        assert_eq!(kinds, ["trade", "quote", "bar"]);
    }
}
