//! What to ask next, what to write, when to wait, and when it is over. Pure, in virtual time.
//!
//! The days that are wanted of a symbol are taken in *stretches*: one question covers as many days as it may,
//! its pages are followed one after the other, and each day is handed out as soon as a later row, or the last
//! page, shows that it is whole. So a key pair never asks for less than a full page when there is more to
//! have. When nothing is left in the queue, the longest stretch under way gives its second half away.
//!
//! A fault holds back both the stretch and the key pair that met it; the others go on.

mod stretch;
#[cfg(test)]
mod tests;
mod words;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use sandpit_types::MarketTime;

use self::stretch::{Finished, Page, Refusal, Stretch};
pub use self::words::{End, Input, Key, Note, Output, Plan, Request, Skip, Ticket};
use crate::{days::Day, fault::Fault, kind::Row};

/// Requests of one key pair that may be under way at a time: enough to use up its quota when an answer takes
/// a second, few enough that a burst does not look like an attack.
const LANES: usize = 4;
/// Answers after which the state is kept.
const CHECKPOINT_EVERY: u32 = 100;
/// A stretch with fewer days left is not shared: each half should fill a page (25 days of 390 minutes).
const MIN_SHARED_DAYS: usize = 50;

#[derive(Clone, Copy, Debug)]
struct KeyState {
    is_good: bool,
    rests_until: MarketTime,
    under_way: usize,
}

/// The state of a backfill.
#[derive(Debug)]
pub struct Core<R> {
    days: Vec<Day>,
    keys: Vec<KeyState>,
    queue: VecDeque<Stretch<R>>,
    under_way: BTreeMap<Ticket, (Key, Stretch<R>)>,
    now: MarketTime,
    requests: u64,
    answers_unkept: u32,
    strays: u64,
    last_refusal: String,
    is_stopping: bool,
    is_over: bool,
}

impl<R: Row> Core<R> {
    /// A backfill that has asked nothing yet.
    pub fn new(plan: Plan) -> Self {
        let never = MarketTime::from_nanos(i64::MIN);
        let stretches = plan.wanted.into_iter().enumerate().flat_map(|(symbol, ranges)| {
            ranges.into_iter().map(move |days| Stretch::new(symbol, days, never))
        });
        Self {
            queue: stretches.filter(|stretch| !stretch.is_done()).collect(),
            days: plan.days,
            keys: vec![KeyState { is_good: true, rests_until: never, under_way: 0 }; plan.keys],
            under_way: BTreeMap::new(),
            now: never,
            requests: 0,
            answers_unkept: 0,
            strays: 0,
            last_refusal: String::new(),
            is_stopping: false,
            is_over: false,
        }
    }

    /// Requests made so far.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Rows that belong to no day that was asked for; they are in no file.
    pub fn strays(&self) -> u64 {
        self.strays
    }

    /// Takes what happened and says what to do.
    pub fn on(&mut self, input: Input<R>, now: MarketTime) -> Vec<Output<R>> {
        self.now = self.now.max(now);
        let mut out = Vec::new();
        if self.is_over {
            return out;
        }
        match input {
            Input::Tick => {}
            Input::Stop => self.is_stopping = true,
            Input::Page { ticket, rows, unreadable, next } => {
                self.take(ticket, Page { rows, next, is_damaged: unreadable > 0 }, &mut out);
            }
            Input::Failed { ticket, fault } => self.fail(ticket, fault, &mut out),
        }
        if self.answers_unkept >= CHECKPOINT_EVERY {
            self.answers_unkept = 0;
            out.push(Output::Checkpoint);
        }
        if !self.is_stopping {
            self.ask(&mut out);
        }
        if self.under_way.is_empty()
            && let Some(end) = self.end()
        {
            self.is_over = true;
            out.extend([Output::Checkpoint, Output::Over(end)]);
        }
        out
    }

    /// When to come back with a [`Input::Tick`] if nothing else happens before.
    pub fn deadline(&self) -> Option<MarketTime> {
        if self.is_over || self.is_stopping || self.queue.is_empty() {
            return None;
        }
        let stretches = self.queue.iter().map(|stretch| stretch.ready_at);
        let keys = self.keys.iter().filter(|key| key.is_good).map(|key| key.rests_until);
        stretches.chain(keys).filter(|at| *at > self.now).min()
    }

    fn end(&self) -> Option<End> {
        if self.queue.is_empty() {
            Some(End::Done)
        } else if self.is_stopping {
            Some(End::Stopped)
        } else if self.keys.iter().all(|key| !key.is_good) {
            Some(End::NoKey { reason: self.last_refusal.clone() })
        } else {
            None
        }
    }

    fn take(&mut self, ticket: Ticket, page: Page<R>, out: &mut Vec<Output<R>>) {
        let Some((_, mut stretch)) = self.home(ticket) else { return };
        let taken = stretch.take(page, &self.days);
        self.strays += taken.strays;
        let symbol = stretch.symbol;
        out.extend(taken.finished.into_iter().map(|finished| {
            let Finished { day, rows, is_in_doubt } = finished;
            Output::Write { symbol, day, rows, is_in_doubt }
        }));
        if !taken.late.is_empty() {
            out.extend(taken.late.into_iter().map(|day| Output::Forget { symbol, day }));
            // A kill now must not leave them as done.
            self.answers_unkept = CHECKPOINT_EVERY;
        }
        if taken.never_ends {
            skip(&mut stretch, "its pages do not end", out);
        }
        self.put_back(stretch);
    }

    fn fail(&mut self, ticket: Ticket, fault: Fault, out: &mut Vec<Output<R>>) {
        let Some((key, mut stretch)) = self.home(ticket) else { return };
        if self.is_stopping {
            // Requests that still waited for their budget come back like this; nothing is wrong with the day.
            return self.put_back(stretch);
        }
        match fault {
            Fault::TooMany { after } => {
                let pause = stretch.tries.too_many(after);
                self.wait_or_skip(key, &mut stretch, pause, "too many requests (HTTP 429)".into(), out);
            }
            Fault::Unreachable { message } => {
                let pause = stretch.tries.unreachable();
                self.wait_or_skip(key, &mut stretch, pause, message, out);
            }
            Fault::Refused { message } => match stretch.refused() {
                Refusal::AskAgain => {}
                Refusal::SkipDay => skip(&mut stretch, &message, out),
                Refusal::SkipHalf => {
                    skip(&mut stretch, &message, out);
                    let (symbol, days) = (stretch.symbol, stretch.halve());
                    if !days.is_empty() {
                        out.push(Output::Tell(Note::Skipped(Skip { symbol, days, reason: message })));
                    }
                }
            },
            Fault::KeyRefused { message } => {
                let was_good = std::mem::replace(&mut self.keys[key.0].is_good, false);
                self.last_refusal.clone_from(&message);
                if was_good {
                    out.push(Output::Tell(Note::KeyLost { key, reason: message }));
                }
            }
        }
        self.put_back(stretch);
    }

    fn wait_or_skip(
        &mut self,
        key: Key,
        stretch: &mut Stretch<R>,
        pause: Option<Duration>,
        reason: String,
        out: &mut Vec<Output<R>>,
    ) {
        let Some(pause) = pause else { return skip(stretch, &reason, out) };
        let until = self.now + pause;
        stretch.ready_at = until;
        let state = &mut self.keys[key.0];
        // The requests of one burst fail together: that is said once.
        if state.rests_until < until {
            state.rests_until = until;
            out.push(Output::Tell(Note::Waiting { key, pause, reason }));
        }
    }

    /// The stretch behind a request that has come home.
    fn home(&mut self, ticket: Ticket) -> Option<(Key, Stretch<R>)> {
        let (key, stretch) = self.under_way.remove(&ticket)?;
        self.keys[key.0].under_way -= 1;
        self.answers_unkept += 1;
        Some((key, stretch))
    }

    /// In front, so that what was begun is finished first.
    fn put_back(&mut self, mut stretch: Stretch<R>) {
        if let Some(held) = stretch.let_go() {
            self.queue.push_front(held);
        }
        if !stretch.is_done() {
            self.queue.push_front(stretch);
        }
    }

    fn ask(&mut self, out: &mut Vec<Output<R>>) {
        while let Some(key) = self.free_key()
            && let Some(mut stretch) = self.ready_stretch()
        {
            let ticket = Ticket(self.requests);
            self.requests += 1;
            let symbol = stretch.symbol;
            let (from, to, page) = stretch.question(&self.days);
            self.keys[key.0].under_way += 1;
            self.under_way.insert(ticket, (key, stretch));
            out.push(Output::Ask(Request { ticket, key, symbol, from, to, page }));
        }
    }

    /// The key pair with the least under way.
    fn free_key(&self) -> Option<Key> {
        let is_free = |key: &KeyState| key.is_good && key.rests_until <= self.now && key.under_way < LANES;
        let free = self.keys.iter().enumerate().filter(|(_, key)| is_free(key));
        free.min_by_key(|(_, key)| key.under_way).map(|(at, _)| Key(at))
    }

    fn ready_stretch(&mut self) -> Option<Stretch<R>> {
        if self.queue.is_empty() {
            return self.share();
        }
        let at = self.queue.iter().position(|stretch| stretch.ready_at <= self.now)?;
        self.queue.remove(at)
    }

    /// The second half of the longest stretch under way.
    fn share(&mut self) -> Option<Stretch<R>> {
        let stretches = self.under_way.values_mut().map(|(_, stretch)| stretch);
        let longest = stretches.max_by_key(|stretch| stretch.days_left())?;
        (longest.days_left() >= MIN_SHARED_DAYS).then(|| longest.share())
    }
}

fn skip<R: Row>(stretch: &mut Stretch<R>, reason: &str, out: &mut Vec<Output<R>>) {
    let day = stretch.skip();
    let skip = Skip { symbol: stretch.symbol, days: day..day + 1, reason: reason.to_owned() };
    out.push(Output::Tell(Note::Skipped(skip)));
}
