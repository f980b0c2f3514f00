//! What is kept of one symbol.

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use jiff::civil::Date;
use sandpit_types::{MarketTime, Quote};

use super::{Candle, page::Row};
use crate::wire::market::{EXCHANGE, Word};

/// Most days kept of one symbol: ten years.
pub(super) const MAX_DAYS: usize = 2_520;

/// What became of a trade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TradeUpdate {
    /// It stands as it was.
    #[default]
    None,
    /// It was canceled.
    Canceled,
    /// It was wrong: another one corrects it.
    Incorrect,
    /// It corrects another one.
    Corrected,
}

impl TradeUpdate {
    /// The broker's word.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Canceled => Some("canceled"),
            Self::Incorrect => Some("incorrect"),
            Self::Corrected => Some("corrected"),
        }
    }
}

/// A trade of the past.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTrade {
    /// When it happened.
    pub time: MarketTime,
    /// US dollars.
    pub price: f64,
    /// Shares.
    pub size: u64,
    /// Its number.
    pub id: u64,
    /// What became of it.
    pub update: TradeUpdate,
    /// Exchange and conditions, if they are not the ordinary ones.
    pub marks: Option<Arc<(Word, Vec<Word>)>>,
}

impl StoredTrade {
    /// A trade like most, without a number yet.
    pub fn ordinary(time: MarketTime, price: f64, size: u64) -> Self {
        Self { time, price, size, id: 0, update: TradeUpdate::None, marks: None }
    }

    /// Where it happened.
    pub fn exchange(&self) -> Word {
        self.marks.as_ref().map_or(Cow::Borrowed(EXCHANGE), |marks| marks.0.clone())
    }

    /// Its conditions.
    pub fn conditions(&self) -> Vec<Word> {
        self.marks.as_ref().map_or_else(|| vec!["@".into()], |marks| marks.1.clone())
    }
}

impl Row for StoredTrade {
    fn time(&self) -> MarketTime {
        self.time
    }
}

/// A quote of the past.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredQuote {
    /// When it was made.
    pub time: MarketTime,
    /// US dollars; zero when nobody bids.
    pub bid: f64,
    /// Shares.
    pub bid_size: u64,
    /// US dollars; zero when nobody offers.
    pub ask: f64,
    /// Shares.
    pub ask_size: u64,
}

impl From<&Quote> for StoredQuote {
    fn from(quote: &Quote) -> Self {
        let Quote { symbol: _, time, bid, bid_size, ask, ask_size } = *quote;
        Self { time, bid, bid_size, ask, ask_size }
    }
}

impl Row for StoredQuote {
    fn time(&self) -> MarketTime {
        self.time
    }
}

/// Time, price and shares of an auction.
pub type Print = (MarketTime, f64, u64);

/// One day of a symbol in New York.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DayRecord {
    /// The day.
    pub date: Date,
    /// All its minutes, extended hours too; it begins at midnight. `None` while only trades are known.
    pub candle: Option<Candle>,
    /// When it begins.
    pub midnight: MarketTime,
    /// The session's first trade.
    pub opening: Option<Print>,
    /// The session's last trade; known when the session is over.
    pub closing: Option<Print>,
}

impl Row for DayRecord {
    fn time(&self) -> MarketTime {
        self.midnight
    }
}

/// Bars, days, trades and quotes of one symbol, each in the order of time.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) bars: VecDeque<Candle>,
    pub(super) days: VecDeque<DayRecord>,
    pub(super) trades: VecDeque<StoredTrade>,
    pub(super) quotes: VecDeque<StoredQuote>,
}

impl Shelf {
    /// The day that begins at `midnight`; a new one only behind all others.
    pub(super) fn day(&mut self, date: Date, midnight: MarketTime) -> Option<&mut DayRecord> {
        if self.days.back().is_none_or(|last| last.midnight < midnight) {
            if self.days.len() == MAX_DAYS {
                self.days.pop_front();
            }
            self.days.push_back(DayRecord { date, candle: None, midnight, opening: None, closing: None });
        }
        let at = self.days.binary_search_by_key(&midnight, |day| day.midnight).ok()?;
        self.days.get_mut(at)
    }

    /// The bar of this minute.
    pub(super) fn bar(&mut self, minute: MarketTime) -> Option<&mut Candle> {
        let at = self.bars.binary_search_by_key(&minute, |bar| bar.start).ok()?;
        self.bars.get_mut(at)
    }

    /// The sum of the minutes from `from` on as far as they `belong`.
    pub(super) fn sum(&self, from: MarketTime, belongs: impl Fn(&Candle) -> bool) -> Option<Candle> {
        let first = self.bars.partition_point(|bar| bar.start < from);
        let mut sum: Option<Candle> = None;
        for minute in self.bars.range(first..).take_while(|bar| belongs(bar)) {
            match &mut sum {
                Some(sum) => sum.append(minute),
                none => *none = Some(Candle { start: from, ..*minute }),
            }
        }
        sum
    }

    /// The trade of this number.
    pub(super) fn trade(&mut self, id: u64) -> Option<&mut StoredTrade> {
        // A correction comes soon after its trade.
        self.trades.iter_mut().rev().find(|trade| trade.id == id)
    }
}

/// Puts `row` behind all that are not later; of more than `most` the oldest go.
pub(super) fn keep<R: Row>(rows: &mut VecDeque<R>, row: R, most: usize) {
    if rows.back().is_none_or(|last| last.time() <= row.time()) {
        rows.push_back(row);
    } else {
        let at = rows.partition_point(|other| other.time() <= row.time());
        rows.insert(at, row);
    }
    if rows.len() > most {
        rows.pop_front();
    }
}
