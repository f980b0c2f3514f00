//! When REST is asked, and for what. Pure: the edge says what time it is and how an errand went.
//!
//! Bars are verified: history was asked about every minute before [`Rest::verified`], at a time when it had
//! to know. Every request begins there, less an overlap, be it for a gap, a poll while the stream is down, or
//! the audit of a stream that seems to be well; so a bar that got lost anywhere is found by the next of them.

use std::{sync::Arc, time::Duration};

use sandpit_cores::Backoff;
use sandpit_types::{MarketTime, Symbol};

use crate::{
    fetch::{Errand, Purpose},
    sequence::Moment,
    sessions::MINUTE,
};

/// REST is asked for a bar this long after its minute, market time: sooner it may not have it yet, or, as our
/// clock may be ahead of the broker's, only a part of it.
const SETTLE: Duration = Duration::from_secs(5);
/// How far our clock may be behind the broker's, market time: so much longer a bar may have been sent before
/// we came.
pub(crate) const SKEW: Duration = Duration::from_secs(5);
/// How far before the verified minutes a request begins: bars change for half a minute after their end, and
/// history may have had them late.
const OVERLAP: Duration = MINUTE;
/// While the stream is down, REST is asked for quotes this often, market time.
const QUOTES_EVERY: Duration = Duration::from_secs(5);
/// But the first of these brought nothing newer than the stream had, when it fell in the midst of things: so
/// often, and at this pace in market time, they are repeated until one does. The first data is to be here 2 s
/// after the fall.
const FIRST_QUOTES: (u32, Duration) = (5, Duration::from_millis(400));
/// Bars, over all symbols and minutes, that one request asks for at most: about two pages. A longer stretch
/// is asked for piece by piece, so that each one that is answered is progress.
const BARS_A_REQUEST: u64 = 20_000;
/// But a piece is never shorter than this: some of it is overlap.
const SHORTEST_PIECE: u64 = 3;
/// A stream that is well is audited this often, market time; after an audit that found something, each
/// minute.
const AUDIT_EVERY: Duration = Duration::from_secs(300);
/// The last audit of a session, so long after its end, market time: corrections are in by then.
const AUDIT_AFTER_CLOSE: Duration = Duration::from_secs(35);
/// No two requests of a kind are closer than this, real time: market time may be compressed.
const FLOOR: Duration = Duration::from_millis(50);
/// A fall makes us ask at once, but not sooner than this after the poll before; real time.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// And no two audits.
const AUDIT_FLOOR: Duration = Duration::from_millis(500);
/// The shortest and longest wait between the tries to fill a gap; real time.
const FILL_WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// The shortest and longest wait after polls and audits that failed; real time.
const POLL_WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// What REST is for just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing: no session, or no failure yet.
    Rest,
    /// Carry the data: the stream is down in a session.
    Carry,
    /// Audit the stream, which is well.
    Audit,
}

/// Due once both clocks have come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// On the market's clock.
    pub(crate) market: MarketTime,
    /// On the machine's.
    pub(crate) real: std::time::Instant,
}

impl Due {
    const fn now(now: Moment) -> Self {
        Self { market: now.market, real: now.real }
    }

    fn is(self, now: Moment) -> bool {
        self.market <= now.market && self.real <= now.real
    }
}

/// A request that comes again and again.
#[derive(Debug)]
struct Slot {
    due: Due,
    asked: Option<std::time::Instant>,
    backoff: Backoff,
}

impl Slot {
    const fn new(now: Moment) -> Self {
        Self { due: Due::now(now), asked: None, backoff: Backoff::new(POLL_WAITS.0, POLL_WAITS.1) }
    }

    /// Due at once; but a connection that falls again and again does not make us ask each time.
    fn hurry(&mut self, now: Moment) {
        self.backoff.succeed();
        let real = self.asked.map_or(now.real, |asked| now.real.max(asked + ASK_AGAIN));
        self.due = Due { market: now.market, real };
    }

    fn next(&mut self, market: MarketTime, floor: Duration, now: Moment) {
        self.backoff.succeed();
        self.due = Due { market, real: now.real + floor };
    }

    fn fail(&mut self, now: Moment, random: u64) {
        let wait = self.backoff.fail(random).unwrap_or(POLL_WAITS.1);
        self.due = Due { market: now.market, real: now.real + wait };
    }
}

/// A gap that has to be filled before the stream's events go on.
#[derive(Debug)]
struct Fill {
    /// The gap ends before this minute: from here on, the stream has all bars.
    to: MarketTime,
    due: Due,
    /// When to go on without it, even if an answer is still awaited.
    until: Due,
    backoff: Backoff,
}

/// The schedule.
#[derive(Debug)]
pub(crate) struct Rest {
    has_bars: bool,
    /// The longest stretch that one request asks for.
    piece: Duration,
    since: MarketTime,
    verified: MarketTime,
    fill: Option<Fill>,
    bars: Slot,
    quotes: Slot,
    /// Requests for quotes since the fall, as long as they brought nothing.
    in_vain: Option<u32>,
    audit: Slot,
}

impl Rest {
    /// Nothing is verified from `since` on; without `symbols` that want bars there is nothing to verify.
    pub(crate) fn new(symbols: usize, since: MarketTime, now: Moment) -> Self {
        let since = since.minute();
        let (has_bars, piece) = (symbols > 0, piece(symbols));
        let slot = || Slot::new(now);
        let (bars, quotes, audit) = (slot(), slot(), slot());
        Self { has_bars, piece, since, verified: since, fill: None, bars, quotes, in_vain: None, audit }
    }

    /// So many symbols want bars now, some of them from `since` on: nothing is verified from there on, and as
    /// soon as history can know of the minutes that no stream has told them of, it is asked.
    pub(crate) fn resubscribed(&mut self, symbols: usize, since: MarketTime, now: Moment) {
        let since = since.minute();
        let had_bars = self.has_bars;
        (self.has_bars, self.piece) = (symbols > 0, piece(symbols));
        if !had_bars {
            (self.since, self.verified) = (since, since);
        }
        self.since = self.since.min(since);
        self.verified = self.verified.min(since);
        self.audit.due = Due { market: (now.market + SKEW).minute() + SETTLE, real: now.real };
        self.bars.due = Due::now(now);
        self.quotes.due = Due::now(now);
    }

    /// Where a request for bars begins.
    pub(crate) fn from(&self) -> MarketTime {
        (self.verified - OVERLAP).max(self.since)
    }

    /// The stream is down: REST is asked at once.
    pub(crate) fn fell(&mut self, now: Moment) {
        self.fill = None;
        self.bars.hurry(now);
        self.quotes.hurry(now);
        self.in_vain = Some(0);
    }

    /// The stream is open: what a new connection will not bring has to be filled. Says whether there is such
    /// a gap; `within` is how long the stream's events may wait for it, real time.
    pub(crate) fn opened(&mut self, now: Moment, within: Duration) -> bool {
        self.audit.next(now.market + AUDIT_EVERY, AUDIT_FLOOR, now);
        // A bar whose minute ended before we subscribed will not come again over the stream.
        let to = (now.market + SKEW).minute();
        let has_gap = self.has_bars && self.verified < to;
        self.fill = has_gap.then(|| {
            let due = Due { market: to + SETTLE, real: now.real };
            let until = Due { market: due.market, real: now.real + within };
            Fill { to, due, until, backoff: Backoff::new(FILL_WAITS.0, FILL_WAITS.1) }
        });
        has_gap
    }

    /// The next audit is due at once.
    pub(crate) const fn audit_now(&mut self, now: Moment) {
        self.audit.due = Due::now(now);
    }

    /// When bars are to be asked for, or a gap is to be given up.
    pub(crate) fn bars_due(&self, mode: Mode, is_asking: bool) -> Option<Due> {
        if !self.has_bars {
            return None;
        }
        match (&self.fill, mode) {
            (Some(fill), _) if is_asking => Some(fill.until),
            (Some(fill), _) if fill.due.real < fill.until.real => Some(fill.due),
            (Some(fill), _) => Some(fill.until),
            (None, _) if is_asking => None,
            (None, Mode::Carry) => Some(self.bars.due),
            (None, Mode::Audit) => Some(self.audit.due),
            (None, Mode::Rest) => None,
        }
    }

    /// When quotes are to be asked for.
    pub(crate) const fn quotes_due(&self) -> Due {
        self.quotes.due
    }

    /// The request for bars that is due.
    pub(crate) fn ask_bars(&mut self, mode: Mode, now: Moment) -> Option<Errand> {
        let (from, settled) = (self.from(), (now.market - SETTLE).minute());
        let (due, to, purpose) = match (&self.fill, mode) {
            (Some(fill), _) => (fill.due, fill.to, Purpose::Fill),
            (None, Mode::Carry) => (self.bars.due, settled, Purpose::Poll),
            (None, Mode::Audit) => (self.audit.due, settled, Purpose::Audit),
            (None, Mode::Rest) => return None,
        };
        if !self.has_bars || !due.is(now) {
            return None;
        }
        if purpose == Purpose::Poll {
            self.bars.asked = Some(now.real);
        }
        Some(Errand::Bars { from, to: to.min(from + self.piece).max(from), purpose })
    }

    /// The request for quotes that is due.
    pub(crate) fn ask_quotes(&mut self, symbols: &Arc<[Symbol]>, now: Moment) -> Option<Errand> {
        if !self.quotes.due.is(now) {
            return None;
        }
        self.quotes.asked = Some(now.real);
        Some(Errand::Quotes { symbols: Arc::clone(symbols) })
    }

    /// Bars were answered: says whether that filled the gap. Where they were only a piece of what is needed,
    /// the next one is due at once. `found` is whether bars had been missing, and
    /// `close` the end of the session under way.
    pub(crate) fn bars_came(
        &mut self,
        (from, to, purpose): (MarketTime, MarketTime, Purpose),
        found: bool,
        close: Option<MarketTime>,
        now: Moment,
    ) -> bool {
        if from <= self.verified {
            self.verified = self.verified.max(to);
        }
        self.bars.next(to + MINUTE + SETTLE, FLOOR, now);
        let regular = now.market + if found && purpose == Purpose::Audit { MINUTE } else { AUDIT_EVERY };
        let last = close.map(|close| close + AUDIT_AFTER_CLOSE).filter(|last| *last > now.market);
        let is_piece = purpose == Purpose::Audit && to < (now.market - SETTLE).minute();
        let next = if is_piece { now.market } else { last.map_or(regular, |last| regular.min(last)) };
        self.audit.next(next, if is_piece { FLOOR } else { AUDIT_FLOOR }, now);
        if let (Purpose::Fill, Some(fill)) = (purpose, &mut self.fill) {
            fill.due.real = now.real;
            fill.backoff.succeed();
        }
        self.fill.take_if(|fill| purpose == Purpose::Fill && fill.to <= to).is_some()
    }

    /// Bars were not answered.
    pub(crate) fn bars_failed(&mut self, purpose: Purpose, now: Moment, random: u64) {
        match (purpose, &mut self.fill) {
            (Purpose::Fill, Some(fill)) => {
                let wait = fill.backoff.fail(random).unwrap_or(FILL_WAITS.1);
                fill.due.real = now.real + wait;
            }
            (Purpose::Fill | Purpose::Poll, _) => self.bars.fail(now, random),
            (Purpose::Audit, _) => self.audit.fail(now, random),
        }
    }

    /// Quotes were answered; `found` is whether any of them was newer than what was known.
    pub(crate) fn quotes_came(&mut self, found: bool, now: Moment) {
        let tries = self.in_vain.filter(|tries| !found && *tries < FIRST_QUOTES.0);
        self.in_vain = tries.map(|tries| tries + 1);
        let pace = if tries.is_some() { FIRST_QUOTES.1 } else { QUOTES_EVERY };
        self.quotes.next(now.market + pace, FLOOR, now);
    }

    /// Quotes were not answered.
    pub(crate) fn quotes_failed(&mut self, now: Moment, random: u64) {
        self.quotes.fail(now, random);
    }

    /// Live data is worth more than old bars: after some time, the stream goes on without them. Gives the end
    /// of the gap. An audit will ask for them again.
    pub(crate) fn give_up(&mut self, now: Moment) -> Option<MarketTime> {
        let late = self.fill.take_if(|fill| fill.until.is(now))?;
        self.audit.due = Due { market: now.market, real: now.real + POLL_WAITS.0 };
        Some(late.to)
    }
}

/// The longest stretch of bars of so many symbols that one request asks for.
fn piece(symbols: usize) -> Duration {
    let minutes = BARS_A_REQUEST / (symbols as u64).max(1);
    Duration::from_secs(60 * minutes.max(SHORTEST_PIECE))
}

#[cfg(test)]
mod tests;
