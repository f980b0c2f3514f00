//! Days of one symbol that are asked for together, and how far that has come.

use std::{collections::BTreeSet, ops::Range};

use sandpit_types::MarketTime;

use crate::{
    days::Day,
    fault::Tries,
    kind::{self, Row},
};

/// Pages in a row that may finish no day: 5,000 news, 1,000,000 bars. More have no end.
const MAX_PAGES_A_DAY: u32 = 100;
/// Days in a row that may be refused one by one. Then it is about more than the day, and the rest is halved:
/// a plan may reach back to some day only.
const MAX_REFUSED_DAYS: u32 = 3;

/// Consecutive days of the plan.
#[derive(Debug)]
pub(super) struct Stretch<R> {
    /// Whose.
    pub(super) symbol: usize,
    /// Not to be asked before.
    pub(super) ready_at: MarketTime,
    /// Faults of the same request in a row.
    pub(super) tries: Tries,
    /// The days that are not finished yet.
    left: Range<usize>,
    /// The days of the question under way: a page is only valid with the times of its first.
    asked: Range<usize>,
    page: Option<String>,
    /// Rows so far of the first day left.
    rows: Vec<R>,
    /// Rows of the days before this one may be missing: a page had some that could not be read, and the next
    /// page has not shown yet how far they may have reached.
    doubt_end: usize,
    /// How many days the next question may cover.
    width: usize,
    /// Pages since a day was finished.
    pages: u32,
    /// Whether the question about the first day left was begun anew because a page of it was refused.
    is_second_start: bool,
    /// Days refused one after the other.
    refused_days: u32,
    /// The days between the last one refused and the first one left: asked if that one is to be had.
    held: Range<usize>,
}

/// A page that has come.
pub(super) struct Page<R> {
    pub(super) rows: Vec<R>,
    pub(super) next: Option<String>,
    /// Whether there were rows that could not be read.
    pub(super) is_damaged: bool,
}

/// A day to which nothing will be added.
pub(super) struct Finished<R> {
    pub(super) day: usize,
    pub(super) rows: Vec<R>,
    /// Whether rows may be missing.
    pub(super) is_in_doubt: bool,
}

/// What a page brought.
pub(super) struct Taken<R> {
    /// Days that are finished now.
    pub(super) finished: Vec<Finished<R>>,
    /// Days of this question that were finished before, and of which further rows came.
    pub(super) late: BTreeSet<usize>,
    /// Rows of no day that was asked for.
    pub(super) strays: u64,
    /// Page after page, and no day is finished.
    pub(super) never_ends: bool,
}

/// What to do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The same in another way.
    AskAgain,
    /// The first day left is not to be had.
    SkipDay,
    /// Nor are those held back; of the others, the second half may be.
    SkipHalf,
}

impl<R: Row> Stretch<R> {
    pub(super) fn new(symbol: usize, left: Range<usize>, ready_at: MarketTime) -> Self {
        let left_end = left.end;
        Self {
            symbol,
            ready_at,
            tries: Tries::default(),
            asked: left.start..left.start,
            width: usize::MAX,
            left,
            page: None,
            rows: Vec::new(),
            doubt_end: 0,
            pages: 0,
            is_second_start: false,
            refused_days: 0,
            held: left_end..left_end,
        }
    }

    /// The days that were held back, if there is something to be said for them: as a stretch of its own, of
    /// which the first refusal halves again.
    pub(super) fn let_go(&mut self) -> Option<Self> {
        let is_worth_it = self.refused_days == 0 || self.is_done();
        if self.held.is_empty() || !is_worth_it {
            return None;
        }
        let held = self.take_held();
        Some(Self {
            refused_days: MAX_REFUSED_DAYS - 1,
            width: 1,
            ..Self::new(self.symbol, held, self.ready_at)
        })
    }

    /// Gives up the days that were held back, and holds back the first half of those that are left.
    pub(super) fn halve(&mut self) -> Range<usize> {
        let given_up = self.take_held();
        let middle = self.left.start + self.left.len() / 2;
        self.held = self.left.start..middle;
        self.left.start = middle;
        self.width = 1;
        given_up
    }

    fn take_held(&mut self) -> Range<usize> {
        let end = self.held.end;
        std::mem::replace(&mut self.held, end..end)
    }

    pub(super) fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn days_left(&self) -> usize {
        self.left.len()
    }

    /// The times and the page to ask for.
    pub(super) fn question(&mut self, days: &[Day]) -> (MarketTime, MarketTime, Option<String>) {
        if self.page.is_none() {
            self.rows.clear();
            self.doubt_end = 0;
            let end = self.left.start.saturating_add(self.width).min(self.left.end);
            self.asked = self.left.start..end;
        }
        (days[self.asked.start].start, days[self.asked.end - 1].end, self.page.clone())
    }

    /// Gives the second half of its days away.
    pub(super) fn share(&mut self) -> Self {
        let middle = self.left.start + self.left.len() / 2;
        let end = std::mem::replace(&mut self.left.end, middle);
        Self::new(self.symbol, middle..end, self.ready_at)
    }

    /// Takes a page: a day is finished when a row of a later one, or the last page, has come.
    ///
    /// Within a page the order of the rows does not matter. A row that could not be read may lie anywhere
    /// between the page before and the first row of the page after.
    pub(super) fn take(&mut self, page: Page<R>, days: &[Day]) -> Taken<R> {
        let Page { mut rows, next, is_damaged } = page;
        self.tries = Tries::default();
        self.refused_days = 0;
        self.pages += 1;
        rows.sort_by_key(Row::time);
        let mut taken = Taken { finished: Vec::new(), late: BTreeSet::new(), strays: 0, never_ends: false };
        if is_damaged {
            self.doubt_end = usize::MAX;
        }
        for row in rows {
            let time = row.time();
            let at = days.partition_point(|day| day.end <= time);
            let is_asked = self.asked.contains(&at) && days[at].start <= time;
            if !is_asked {
                taken.strays += 1;
                continue;
            }
            if at < self.left.start {
                taken.late.insert(at);
                continue;
            }
            if !is_damaged {
                self.doubt_end = self.doubt_end.min(at + 1);
            }
            self.finish_before(at.min(self.left.end), &mut taken);
            if at >= self.left.end {
                // The rest was given away.
                break;
            }
            self.rows.push(row);
        }
        self.page = next;
        if self.page.is_none() {
            self.finish_before(self.asked.end.min(self.left.end), &mut taken);
            self.width = self.width.saturating_mul(2);
        }
        taken.never_ends = !self.is_done() && self.pages >= MAX_PAGES_A_DAY;
        taken
    }

    fn finish_before(&mut self, end: usize, taken: &mut Taken<R>) {
        while self.left.start < end {
            let mut rows = std::mem::take(&mut self.rows);
            kind::settle(&mut rows);
            let day = self.left.start;
            taken.finished.push(Finished { day, rows, is_in_doubt: day < self.doubt_end });
            self.next_day();
        }
    }

    /// Gives the first day left up.
    pub(super) fn skip(&mut self) -> usize {
        let day = self.left.start;
        self.next_day();
        self.page = None;
        self.tries = Tries::default();
        day
    }

    fn next_day(&mut self) {
        self.left.start += 1;
        self.pages = 0;
        self.is_second_start = false;
    }

    /// A refusal may be about the page, which may have grown too old, about one of many days, about the one
    /// day asked for, or about the symbol.
    pub(super) fn refused(&mut self) -> Refusal {
        let was_later_page = self.page.take().is_some();
        if was_later_page && !std::mem::replace(&mut self.is_second_start, true) {
            return Refusal::AskAgain;
        }
        if self.asked.end - self.left.start > 1 {
            self.width = 1;
            return Refusal::AskAgain;
        }
        self.refused_days += 1;
        if self.refused_days >= MAX_REFUSED_DAYS { Refusal::SkipHalf } else { Refusal::SkipDay }
    }
}
