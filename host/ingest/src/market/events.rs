//! What the market-data loop does about what happened.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use sandpit_broker::{DataFeed, History, StreamError};
use sandpit_cores::{Channel, Watch};
use sandpit_types::{MarketEvent, MarketTime, StreamHealth};
use tokio::time::Instant;

use super::{ANSWER_WITHIN, Down, Ingest, NAME, SECOND_LOOK, SILENCE_FLOOR, STALL, pulse::Silence};
use crate::{
    fetch::{Errand, Fetched, Purpose},
    life::{Cause, Input, Phase},
    rest::SKEW,
    sequence::{Moment, Source},
};

/// A connection is ended for what audits found at most this often, market time.
const ENDED_AGAIN: Duration = Duration::from_secs(600);

/// What audits found lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Audits {
    opened: MarketTime,
    /// Audits in a row that found bars which the connection had not told.
    in_row: u32,
    ended: Option<MarketTime>,
}

impl Audits {
    pub(super) const fn opened(&mut self, now: MarketTime) {
        (self.opened, self.in_row) = (now, 0);
    }

    /// Other symbols are wanted: nothing that was before it is held against the connection but what audits
    /// have found.
    pub(super) const fn changed(&mut self, now: MarketTime) {
        self.opened = now;
    }

    /// Whether the connection has to tell a bar that ends then: it may come a little before its time by our
    /// clock.
    fn owes(&self, end: MarketTime) -> bool {
        end > self.opened + SKEW
    }

    /// Says whether the connection is to be ended.
    fn audited(&mut self, untold: u64, found: u64, now: MarketTime) -> bool {
        // Where all that was found may just have been on its way, nothing is known.
        if untold > 0 || found == 0 {
            self.in_row = if untold > 0 { self.in_row + 1 } else { 0 };
        }
        let is_due = self.in_row >= 2 && self.ended.is_none_or(|ended| now >= ended + ENDED_AGAIN);
        if is_due {
            self.ended = Some(now);
        }
        is_due
    }
}

impl<F: DataFeed, H: History> Ingest<F, H> {
    pub(super) fn opened(&mut self, result: Result<F::Session, StreamError>, now: Moment) {
        match result {
            Ok(session) => {
                self.step(Input::Opened, now);
                self.session = Some(session);
                self.silence = Silence::new(Instant::from_std(now.real));
                self.audits.opened(now.market);
                self.staleness.on_subscribed(now.market);
                self.excuse.opened(now.market);
                // A poll under way is dropped for the gap, which asks for the same and more.
                self.bars = None;
                if self.rest.opened(now, self.fill_within) {
                    self.sequence.hold();
                }
            }
            Err(error) => {
                tracing::warn!(stream = NAME, %error, "the stream does not open");
                let cause = self.cause(&error);
                if self.down.is_none() {
                    self.lost(now);
                }
                self.step(Input::Failed(cause), now);
            }
        }
    }

    pub(super) fn frame(&mut self, result: Result<(), StreamError>, now: Moment) {
        let heard = self.sequence.frame(&mut self.came, now, &mut self.out);
        // Events of the future, of which nobody is told, are no sign of life.
        if heard.any() {
            self.excuse.heard(now.market);
            self.answer_by = None;
            self.step(Input::Data, now);
            let heard = [
                (heard.bars, Channel::Bars),
                (heard.quotes, Channel::Quotes),
                (heard.trades, Channel::Trades),
            ];
            for (_, channel) in heard.into_iter().filter(|(is_heard, _)| *is_heard) {
                self.staleness.on_data(channel, now.market);
                self.silence.heard(channel, Instant::from_std(now.real));
            }
        }
        if let Err(error) = result {
            tracing::warn!(stream = NAME, %error, "the stream ended");
            let cause = self.cause(&error);
            self.fall(cause, now);
        }
    }

    /// What an error means; with too many symbols, the next try asks for fewer.
    pub(super) fn cause(&mut self, error: &StreamError) -> Cause {
        let is_too_many = matches!(error, StreamError::TooManySymbols { .. });
        let trimmed = is_too_many && self.plan.trim();
        if trimmed {
            self.untold_quotes = self.plan.untold_quotes().into();
            self.stats.untold_quotes.store(self.untold_quotes.len() as u64, Relaxed);
            let asked = self.plan.asked();
            let channels = [(Channel::Quotes, asked.quotes), (Channel::Trades, asked.trades)];
            for (channel, _) in channels.into_iter().filter(|(_, symbols)| symbols.is_empty()) {
                self.staleness.forget(channel);
            }
            let quotes = self.untold_quotes.len();
            tracing::error!(stream = NAME, quotes, "the data plan is too small: REST carries these quotes");
        }
        Cause::of(error, trimmed)
    }

    pub(super) fn fall(&mut self, cause: Cause, now: Moment) {
        // The old socket is gone before a new one is made: the broker allows one.
        self.session = None;
        self.answer_by = None;
        self.staleness.on_down();
        // What was received is not thrown away; the bars of a gap come late then.
        self.sequence.release(now, &mut self.out);
        // What is being asked is about a connection that is no more.
        (self.bars, self.quotes) = (None, None);
        self.lost(now);
        self.step(Input::Lost(cause), now);
    }

    /// REST has to carry the data from now on.
    fn lost(&mut self, now: Moment) {
        let noticed = Instant::from_std(now.real);
        self.down.get_or_insert(Down { noticed, bars: false, quotes: false, carried: false });
        self.rest.fell(now);
    }

    pub(super) fn bars_fetched(&mut self, fetched: Fetched, now: Moment) {
        let is_request = fetched.errand.is_request();
        let Fetched { errand: Errand::Bars { from, to, purpose }, request, result } = fetched else { return };
        match purpose {
            Purpose::Fill => {}
            Purpose::Poll => _ = self.stats.polls.fetch_add(1, Relaxed),
            Purpose::Audit => _ = self.stats.audits.fetch_add(1, Relaxed),
        }
        match result {
            Ok(events) => {
                let before = self.sequence.counts().bars;
                if is_request {
                    self.excuse.answered(&events, now.market);
                }
                let untold = self.take_answer(events, request, now);
                let found = self.sequence.counts().bars - before;
                let close = Some(now.market).filter(|now| self.sequence.sessions().is_open(*now));
                let close = close.and_then(|now| self.sequence.sessions().next_change(now));
                if self.rest.bars_came((from, to, purpose), found > 0, close, now) {
                    self.stats.gaps_filled.fetch_add(1, Relaxed);
                    self.sequence.release(now, &mut self.out);
                }
                self.carried(is_request, |down| down.bars = true, now);
                if purpose == Purpose::Audit {
                    self.stats.audit_finds.fetch_add(found, Relaxed);
                    self.audited(untold, found, now);
                }
            }
            Err(error) => {
                tracing::warn!(%error, ?purpose, "bars cannot be fetched");
                let random = self.life.draw();
                self.rest.bars_failed(purpose, now, random);
                if purpose != Purpose::Fill {
                    self.stats.polls_failed.fetch_add(1, Relaxed);
                }
                self.not_carried(|down| down.bars = false, now);
            }
        }
    }

    pub(super) fn quotes_fetched(&mut self, fetched: Fetched, now: Moment) {
        self.stats.polls.fetch_add(1, Relaxed);
        match fetched.result {
            Ok(events) => {
                let (before, count) = (self.sequence.counts(), events.len() as u64);
                self.excuse.answered(&events, now.market);
                self.take_answer(events, fetched.request, now);
                let counts = self.sequence.counts();
                self.rest.quotes_came(counts.quotes > before.quotes, now);
                if count > 0 && counts.too_early - before.too_early == count {
                    // Nobody was told of any of them.
                    self.not_carried(|down| down.quotes = false, now);
                } else {
                    self.carried(true, |down| down.quotes = true, now);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "quotes cannot be polled");
                self.stats.polls_failed.fetch_add(1, Relaxed);
                let random = self.life.draw();
                self.rest.quotes_failed(now, random);
                self.not_carried(|down| down.quotes = false, now);
            }
        }
    }

    /// Says how many of them were bars that the connection should have told.
    fn take_answer(&mut self, events: Vec<MarketEvent>, request: u32, now: Moment) -> u64 {
        let mut untold = 0;
        for event in events {
            let (end, before) = (event.time(), self.sequence.counts().bars);
            self.sequence.on(event, Source::Rest { request }, now, &mut self.out);
            let is_new = self.sequence.counts().bars > before;
            // A bar may just be on its way, or be older than the connection.
            untold += u64::from(is_new && self.audits.owes(end) && end + self.ahead <= now.market);
        }
        untold
    }

    /// A stream that is audited and found wanting again is as good as silent.
    fn audited(&mut self, untold: u64, found: u64, now: Moment) {
        if self.audits.audited(untold, found, now.market) && self.session.is_some() {
            tracing::error!(stream = NAME, untold, "the stream does not tell all of its bars");
            self.fall(Cause::Silent, now);
        }
    }

    /// REST answered: it carries the data once it has answered for all kinds that are wanted.
    fn carried(&mut self, is_request: bool, note: impl FnOnce(&mut Down), now: Moment) {
        let Some(down) = &mut self.down else { return };
        note(down);
        if is_request && !std::mem::replace(&mut down.carried, true) {
            let latency = Instant::from_std(now.real).duration_since(down.noticed);
            self.stats.set_fallback_latency(latency);
        }
        let wanted = self.plan.wanted();
        let is_carried = (down.bars || wanted.bars.is_empty()) && (down.quotes || wanted.quotes.is_empty());
        if is_carried && self.carries(now) {
            self.tell(StreamHealth::Fallback, now);
        }
    }

    fn not_carried(&mut self, note: impl FnOnce(&mut Down), now: Moment) {
        if let Some(down) = &mut self.down {
            note(down);
            self.tell(StreamHealth::Stale, now);
        }
    }

    /// Bells, minutes whose grace is over, gaps that take too long, silence, and what all that says about the
    /// health of the data.
    pub(super) fn look_at_the_clock(&mut self, now: Moment) {
        if let Some(to) = self.rest.give_up(now) {
            // What is being fetched is dropped, for it may hang.
            self.bars = None;
            let from = self.rest.from();
            tracing::error!(%from, %to, "bars are missing: history cannot be reached");
            self.stats.gaps_open.fetch_add(1, Relaxed);
            self.sequence.release(now, &mut self.out);
        }
        self.sequence.on_time(now, &mut self.out);
        let is_open = self.sequence.sessions().is_open(now.market);
        self.staleness.on_session(is_open, now.market);
        self.listen(now);
        let holding = self.sequence.is_holding();
        match self.life.phase() {
            // Before the bell an open stream owes nothing.
            Phase::Proving { .. } if !is_open && !holding => self.tell(StreamHealth::Live, now),
            Phase::Live if !holding => self.tell(StreamHealth::Live, now),
            Phase::Waiting { .. } if self.down.is_some() => {
                if self.health != Some(StreamHealth::Fallback) || !self.carries(now) {
                    self.tell(StreamHealth::Stale, now);
                }
            }
            // Before the first failure, the first connection is still being made.
            Phase::Waiting { .. } | Phase::Opening | Phase::Proving { .. } | Phase::Live => {}
        }
    }

    /// When the first channel counts as silent, and which.
    pub(super) fn silent_at(&self, now: Moment) -> Option<(Instant, Watch)> {
        let instant = Instant::from_std(now.real);
        let real = |at| if at <= now.market { instant } else { instant + self.clock.real_until(at) };
        let due =
            |(at, watch): (_, &Watch)| (real(at).max(self.silence.since(watch) + SILENCE_FLOOR), *watch);
        self.staleness.deadlines().map(due).min_by_key(|(at, _)| *at)
    }

    pub(super) fn is_overdue(&self, now: Moment) -> bool {
        self.silent_at(now).is_some_and(|(at, _)| at <= Instant::from_std(now.real))
    }

    fn listen(&mut self, now: Moment) {
        let instant = Instant::from_std(now.real);
        let Some((_, watch)) = self.silent_at(now).filter(|(at, _)| *at <= instant) else {
            self.silence.doubted = None;
            return;
        };
        let doubted = *self.silence.doubted.get_or_insert(instant);
        if instant > doubted + STALL && self.answer_by.is_none() {
            // We stood still ourselves between the two looks.
            self.silence.doubted = Some(instant);
            return;
        }
        if instant < doubted + SECOND_LOOK || self.wonders(now) {
            return;
        }
        let channel = watch.channel;
        self.answer_by = None;
        if self.excuse.take() {
            self.stats.quiet.fetch_add(1, Relaxed);
            tracing::info!(stream = NAME, ?channel, "nothing comes, but REST has nothing newer either");
            self.silence = Silence::new(instant);
            self.staleness.on_subscribed(now.market);
        } else {
            let silence = instant - self.silence.since(&watch);
            tracing::warn!(stream = NAME, ?channel, ?silence, "the stream is open but silent");
            self.stats.set_silence(silence);
            self.fall(Cause::Silent, now);
        }
    }

    /// Bars of thin symbols prove nothing by their absence: without a canary REST is asked first, for a few
    /// seconds. Says whether its answer is awaited.
    fn wonders(&mut self, now: Moment) -> bool {
        if self.down.is_some() || !self.plan.is_thin() {
            return false;
        }
        let instant = Instant::from_std(now.real);
        let answer_by = *self.answer_by.get_or_insert_with(|| {
            self.excuse.ask();
            // An answer to an earlier question says nothing about this silence.
            self.bars = None;
            self.rest.audit_now(now);
            instant + ANSWER_WITHIN
        });
        self.excuse.is_asked() && instant < answer_by
    }

    fn tell(&mut self, health: StreamHealth, now: Moment) {
        if health == StreamHealth::Live {
            self.down = None;
        }
        if self.health != Some(health) {
            self.health = Some(health);
            self.stats.set_health(health);
            self.out.push(MarketEvent::Health(health, now.market));
        }
    }
}
