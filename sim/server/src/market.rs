//! The market of one run: which symbols, which sessions, and the feed.

use std::path::PathBuf;

use jiff::{ToSpan, civil::Date};
use sandpit_types::{SessionDay, Symbol};
use sandpit_venue::Calendar;

use crate::data::{DataError, Feed, FillIn, Generator, Survey, replay};

/// Makes a market's feed once more, from its first event, under a seed.
pub type Rewind = Box<dyn FnMut(u64) -> Result<Feed, DataError> + Send>;

/// How many sessions are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// Every one the data has.
    All,
    /// The first so many.
    First(usize),
}

impl Sessions {
    /// Most sessions that can be asked for by number: ten years.
    pub const MAX: usize = 2_520;
}

impl std::str::FromStr for Sessions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let count = text.parse().ok().filter(|count| (1..=Self::MAX).contains(count));
        count.map(Self::First).ok_or_else(|| format!("a number from 1 to {}, or all", Self::MAX))
    }
}

/// What is played.
pub struct Market {
    /// The symbols that can be traded.
    pub symbols: Vec<Symbol>,
    /// The sessions, in order; at least one.
    pub days: Vec<SessionDay>,
    /// The events, in order.
    pub feed: Feed,
    /// Makes the feed again; without it the market can be played once only.
    pub rewind: Option<Rewind>,
}

impl Market {
    /// A market out of data files, which are checked to their last line. Without `only` it trades all they
    /// hold.
    ///
    /// # Errors
    /// When a file is broken or cannot be read, or no row lies in a regular session.
    pub fn from_files(
        files: &[PathBuf],
        only: Option<&[Symbol]>,
        sessions: Sessions,
    ) -> Result<Self, DataError> {
        let mut survey = Survey::of(files, only)?;
        if let Sessions::First(count) = sessions {
            survey.days.truncate(count);
        }
        let feed = replay(files, &survey)?;
        let (symbols, days) = (survey.symbols.clone(), survey.days.clone());
        let files = files.to_owned();
        let rewind: Rewind = Box::new(move |_| replay(&files, &survey));
        Ok(Self { symbols, days, feed, rewind: Some(rewind) })
    }

    /// A seeded market that begins with the session of `first` and plays `count` of them.
    ///
    /// # Errors
    /// When `first` is not a trading day; the message names the next one.
    pub fn synthetic(
        seed: u64,
        symbols: Vec<Symbol>,
        first: Date,
        count: usize,
    ) -> Result<Self, NotATradingDay> {
        let calendar = Calendar::nyse();
        let mut sessions = first.series(1.day()).filter_map(|date| calendar.session(date)).peekable();
        let next = sessions.peek().map_or(first, |session| session.date);
        if next != first {
            return Err(NotATradingDay { date: first, next });
        }
        let days: Vec<SessionDay> =
            sessions.take(count).map(|day| SessionDay { open: day.open, close: day.close }).collect();
        let (traded, played) = (symbols.clone(), days.clone());
        let make = move |seed| -> Feed {
            let generator = Generator::new(seed, &traded, &played);
            Box::new(FillIn::new(generator, traded.iter().cloned().collect(), Default::default()))
        };
        let feed = make(seed);
        Ok(Self { symbols, days, feed, rewind: Some(Box::new(move |seed| Ok(make(seed)))) })
    }
}

/// A synthetic market cannot begin on a day without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{date} is not a trading day of the NYSE; the next one is {next}")]
pub struct NotATradingDay {
    /// The day that was asked for.
    pub date: Date,
    /// The first trading day after it.
    pub next: Date,
}
