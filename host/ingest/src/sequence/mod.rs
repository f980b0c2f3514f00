//! One ordered sequence out of stream and REST: no bar missing, none twice.
//!
//! Per symbol, bars are delivered in order of time, whatever their source, and one that comes out of turn is
//! marked. While a gap is being filled, the bars of the stream are held back, so that the gap's bars go
//! first; then the held ones follow, without those that the gap brought already. Quotes and trades never
//! wait, and nothing that was received is thrown away. A minute is complete when every
//! subscribed symbol has its bar, or a later bar comes, or no further bar has come for the grace: minutes
//! without trades have no bars, so one cannot wait for all of them.
//!
//! A bar that was not delivered before is *late* when its minute is past: declared complete, overtaken by a
//! newer bar of any symbol, or behind its closing bell. One that was, but with other figures, is *corrected*.

mod counts;
mod frame;
mod held;
mod memory;
mod symbols;

use std::time::{Duration, Instant};

pub(crate) use counts::Counts;
use held::Held;
use memory::Verdict;
use sandpit_broker::Subscription;
use sandpit_types::{Bar, BarMark, MarketEvent, MarketTime, SessionDay, Symbol};
use symbols::{Fate, Symbols};

use crate::sessions::{Bell, MINUTE, Sessions};

/// Where an event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The stream.
    Stream,
    /// The answer to a request, by its number.
    Rest {
        /// From [`Sequence::ask`].
        request: u32,
    },
}

/// When something happens, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// On the machine's clock, which graces are counted by.
    pub(crate) real: Instant,
    /// On the market's clock, as we know it.
    pub(crate) market: MarketTime,
}

/// The minute whose bars are coming in.
#[derive(Clone, Copy, Debug)]
struct Gathering {
    start: MarketTime,
    bars: usize,
    complete_at: Instant,
}

/// The sequencer of one subscription. What it delivers goes to the end of an `out`.
#[derive(Debug)]
pub(crate) struct Sequence {
    symbols: Symbols,
    grace: Duration,
    ahead_nanos: i64,
    since: MarketTime,
    gathering: Option<Gathering>,
    complete: Option<MarketTime>,
    sessions: Sessions,
    /// The newest closing bell that rang.
    closed: Option<MarketTime>,
    close_at: Option<Instant>,
    held: Option<Held>,
    requests: u32,
    counts: Counts,
}

impl Sequence {
    /// A sequence of bars from the minute of `since` on, and of quotes and trades from now on. The `canary`
    /// is counted, not delivered, where nobody subscribed to it. After the newest bar of a minute, others are
    /// waited for during `grace`, real time. Events stamped more than `ahead` after our market time are
    /// dropped.
    pub(crate) fn new(
        subscription: &Subscription,
        canary: Option<&Symbol>,
        days: Vec<SessionDay>,
        since: MarketTime,
        grace: Duration,
        ahead: Duration,
    ) -> Self {
        Self {
            symbols: Symbols::new(subscription, canary),
            grace,
            ahead_nanos: i64::try_from(ahead.as_nanos()).unwrap_or(i64::MAX),
            since: since.minute(),
            gathering: None,
            complete: None,
            sessions: Sessions::new(days, since),
            closed: None,
            close_at: None,
            held: None,
            requests: 0,
            counts: Counts::default(),
        }
    }

    /// What was delivered so far.
    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    /// The calendar.
    pub(crate) const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// A request begins: its number.
    pub(crate) const fn ask(&mut self) -> u32 {
        self.requests = self.requests.saturating_add(1);
        self.requests
    }

    /// Holds back the bars that the stream brings until [`Self::release`].
    pub(crate) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Whether bars are held back.
    pub(crate) const fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// The gap is filled, or nobody waits for it any more: delivers what was held, in the order it came.
    pub(crate) fn release(&mut self, now: Moment, out: &mut Vec<MarketEvent>) {
        for event in self.held.take().into_iter().flatten() {
            self.on(event, Source::Stream, now, out);
        }
    }

    /// Takes an event in and delivers what follows from it.
    pub(crate) fn on(
        &mut self,
        mut event: MarketEvent,
        source: Source,
        now: Moment,
        out: &mut Vec<MarketEvent>,
    ) {
        let time = event.time();
        if time > self.latest(now.market) {
            return self.drop_early(time, now.market);
        }
        if source == Source::Stream
            && let Some(held) = &mut self.held
        {
            let Some(tick) = held.push(event) else { return };
            event = tick;
        }
        match event {
            MarketEvent::Quote(ref quote) => {
                let known = self.symbols.find(&quote.symbol);
                let fate = known.map_or(Fate::Stranger, |known| known.quote(quote, source));
                if self.is_wanted(fate) {
                    self.counts.quotes += 1;
                    self.open_before(time, out);
                    out.push(event);
                }
            }
            MarketEvent::Trade(ref trade) => {
                let known = self.symbols.find(&trade.symbol);
                let fate = known.map_or(Fate::Stranger, |known| known.trade(trade, source));
                if self.is_wanted(fate) {
                    self.counts.trades += 1;
                    self.open_before(time, out);
                    out.push(event);
                }
            }
            MarketEvent::Bar(bar) => self.bar(bar, source, false, now.real, out),
            MarketEvent::MarkedBar(bar, mark) => {
                self.bar(bar, source, mark == BarMark::Corrected, now.real, out);
            }
            // Only this sequence makes these; a broker that did would be a second source of them. News has a
            // loop of its own.
            MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::News(_)
            | MarketEvent::Health(..) => self.counts.strangers += 1,
        }
    }

    /// Lets time pass: completes a minute whose grace is over, rings bells that are due.
    pub(crate) fn on_time(&mut self, now: Moment, out: &mut Vec<MarketEvent>) {
        if self.gathering.is_some_and(|minute| minute.complete_at <= now.real) {
            self.finish_minute(out);
        }
        // Bells wait while a gap is filled: its bars come first.
        while !self.is_holding()
            && let Some(bell) = self.sessions.next().filter(|bell| bell.time() <= now.market)
        {
            // The last bars of the session arrive just after its end, so the closing bell waits for the
            // grace.
            let at = match bell {
                Bell::Open(_) => now.real,
                Bell::Close(_) => *self.close_at.get_or_insert(now.real + self.grace),
            };
            if now.real < at {
                break;
            }
            self.ring(bell, out);
        }
    }

    /// When [`Self::on_time`] has something to do: a moment of market time, a moment of real time.
    pub(crate) fn deadline(&self) -> (Option<MarketTime>, Option<Instant>) {
        let minute = self.gathering.map(|minute| minute.complete_at);
        let bell = self.sessions.next().filter(|_| !self.is_holding());
        match (bell, self.close_at) {
            (Some(Bell::Close(_)), Some(at)) => (None, Some(minute.map_or(at, |minute| minute.min(at)))),
            (bell, _) => (bell.map(Bell::time), minute),
        }
    }

    /// What is stamped later is of the future.
    const fn latest(&self, market: MarketTime) -> MarketTime {
        MarketTime::from_nanos(market.as_nanos().saturating_add(self.ahead_nanos))
    }

    #[cold]
    fn drop_early(&mut self, time: MarketTime, market: MarketTime) {
        if self.counts.too_early == 0 {
            tracing::error!(%time, now = %market, "events of the future are dropped: is our clock behind?");
        }
        self.counts.too_early += 1;
    }

    #[cold]
    fn forgotten(&mut self, bar: &Bar) {
        if self.counts.forgotten == 0 {
            tracing::error!(symbol = %bar.symbol, start = %bar.start, "bars too old to judge are dropped");
        }
        self.counts.forgotten += 1;
        self.counts.too_old += 1;
    }

    /// Counts what is not to be delivered.
    const fn is_wanted(&mut self, fate: Fate) -> bool {
        match fate {
            Fate::Deliver => return true,
            Fate::Repeat => self.counts.repeats += 1,
            Fate::OutOfOrder => self.counts.let_go += 1,
            Fate::Pulse => self.counts.pulses += 1,
            Fate::Stranger => self.counts.strangers += 1,
        }
        false
    }

    fn bar(&mut self, bar: Bar, source: Source, correction: bool, now: Instant, out: &mut Vec<MarketEvent>) {
        let Some(known) = self.symbols.find(&bar.symbol) else {
            self.counts.strangers += 1;
            return;
        };
        if let Err(fate) = known.bars() {
            self.is_wanted(fate);
            return;
        }
        if bar.start < self.since {
            self.counts.too_old += 1;
            return;
        }
        match known.memory.judge(&bar, source, correction, self.requests) {
            Verdict::Repeat => self.counts.repeats += 1,
            Verdict::Forgotten => self.forgotten(&bar),
            Verdict::Corrected => {
                self.counts.corrected_bars += 1;
                out.push(MarketEvent::MarkedBar(bar, BarMark::Corrected));
            }
            Verdict::Overtaken => self.late(bar, out),
            Verdict::Next => {
                self.ring_before(bar.start + MINUTE, out);
                if self.is_past(bar.start) { self.late(bar, out) } else { self.gather(bar, now, out) }
            }
        }
    }

    fn is_past(&self, start: MarketTime) -> bool {
        self.complete.is_some_and(|complete| start <= complete)
            || self.gathering.is_some_and(|minute| start < minute.start)
            || self.closed.is_some_and(|closed| start < closed)
    }

    fn late(&mut self, bar: Bar, out: &mut Vec<MarketEvent>) {
        self.counts.bars += 1;
        self.counts.late_bars += 1;
        out.push(MarketEvent::MarkedBar(bar, BarMark::Late));
    }

    /// A bar in its turn.
    fn gather(&mut self, bar: Bar, now: Instant, out: &mut Vec<MarketEvent>) {
        if self.gathering.is_some_and(|minute| minute.start < bar.start) {
            self.finish_minute(out);
        }
        let bars = self.gathering.map_or(0, |minute| minute.bars) + 1;
        self.gathering = Some(Gathering { start: bar.start, bars, complete_at: now + self.grace });
        self.counts.bars += 1;
        out.push(MarketEvent::Bar(bar));
        if bars >= self.symbols.with_bars {
            self.finish_minute(out);
        }
    }

    fn finish_minute(&mut self, out: &mut Vec<MarketEvent>) {
        let Some(minute) = self.gathering.take() else { return };
        self.complete = Some(minute.start);
        self.counts.minutes += 1;
        out.push(MarketEvent::BarsComplete(minute.start));
    }

    /// Bells that rang before a bar: data is a clock too, and never runs ahead of its session.
    fn ring_before(&mut self, time: MarketTime, out: &mut Vec<MarketEvent>) {
        while let Some(bell) = self.sessions.next().filter(|bell| bell.time() < time) {
            self.ring(bell, out);
        }
    }

    /// The opening bell that rang before a quote or a trade. The closing bell waits for a bar or for the
    /// grace: quotes and trades of the minute after overtake the last bars.
    fn open_before(&mut self, time: MarketTime, out: &mut Vec<MarketEvent>) {
        while let Some(bell @ Bell::Open(SessionDay { open: at, .. })) = self.sessions.next()
            && at < time
        {
            self.ring(bell, out);
        }
    }

    fn ring(&mut self, bell: Bell, out: &mut Vec<MarketEvent>) {
        if self.gathering.is_some_and(|minute| minute.start + MINUTE <= bell.time()) {
            self.finish_minute(out);
        }
        if let Bell::Close(at) = bell {
            self.closed = Some(at);
        }
        self.sessions.ring();
        self.close_at = None;
        out.push(bell.event());
    }
}

#[cfg(test)]
mod tests;
