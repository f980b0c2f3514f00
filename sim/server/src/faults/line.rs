//! The line between a stream's source and its listeners, on which messages are delayed, swapped, doubled and
//! lost. Pure: what happens to each message, and the time, come in as arguments.
//!
//! One line serves all listeners of a stream: what happens on it does not depend on who listens.

use std::{collections::VecDeque, time::Duration};

use sandpit_types::MarketTime;

use super::{armed::Effect, rule::MAX_REPLAY};

/// Most messages that wait on a line; when it is full the oldest goes out before its time.
pub(crate) const MAX_WAITING: usize = 65_536;
/// Longest wait, market time, of a message that was to come after the next one.
const REORDER_PATIENCE: Duration = Duration::from_secs(1);

/// What goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Out<M> {
    /// A message to everybody who wants it; its stamp is wrong by so many seconds.
    Send(M, i64),
    /// Every connection is cut.
    Cut,
}

/// A message with the error of its stamp.
type Skewed<M> = (M, i64);

/// The line.
#[derive(Debug)]
pub(crate) struct Line<M> {
    /// In the order in which they go out.
    waiting: VecDeque<(MarketTime, Skewed<M>)>,
    /// The one that goes after the next, and when it goes if there is none.
    held: Option<(MarketTime, Skewed<M>)>,
    /// The newest that went out, for replays.
    sent: VecDeque<Skewed<M>>,
    /// Until when nothing goes out, and the rule that wants it.
    mute_until: Option<(MarketTime, u64)>,
}

impl<M> Default for Line<M> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), held: None, sent: VecDeque::new(), mute_until: None }
    }
}

impl<M: Clone> Line<M> {
    /// Whether messages can go past it: nothing waits and nothing is muted.
    pub(crate) fn is_clear(&self) -> bool {
        self.waiting.is_empty() && self.held.is_none() && self.mute_until.is_none()
    }

    /// Whether nothing is said at `now`; messages are lost then, and no rule is asked about them.
    pub(crate) fn is_mute(&mut self, now: MarketTime) -> bool {
        self.mute_until = self.mute_until.filter(|(until, _)| now < *until);
        self.mute_until.is_some()
    }

    /// A mute that a rule wanted ends; without one, whichever there is.
    pub(crate) fn unmute(&mut self, rule: Option<u64>) {
        self.mute_until = self.mute_until.filter(|(_, own)| rule.is_some_and(|rule| rule != *own));
    }

    /// A message comes in; returns what goes out now, in order.
    pub(crate) fn push(&mut self, message: M, effects: &[Effect], now: MarketTime) -> Vec<Out<M>> {
        if self.is_mute(now) {
            return Vec::new();
        }
        let (mut copies, mut replays, mut skew_secs, mut is_swapped) = (1, 0, 0, false);
        let mut delay = Duration::ZERO;
        for effect in effects {
            match *effect {
                Effect::Cut => return vec![Out::Cut],
                Effect::Mute(time, rule) => {
                    self.mute_until = Some((time.map_or(END_OF_TIME, |time| now + time), rule));
                    return Vec::new();
                }
                Effect::Lose => return Vec::new(),
                Effect::Duplicate => copies += 1,
                Effect::Reorder => is_swapped = true,
                Effect::Slow(time) => delay += time,
                Effect::Replay(count) => replays = count,
                Effect::Skew(secs) => skew_secs += secs,
            }
        }
        let message = (message, skew_secs);
        if is_swapped && self.held.is_none() {
            self.held = Some((now + delay + REORDER_PATIENCE, message));
            return Vec::new();
        }
        let again: Vec<_> = match replays {
            0 => Vec::new(),
            _ => self.newest(replays - 1).chain([message.clone()]).collect(),
        };
        let held = self.held.take().map(|(_, held)| held);
        let out = std::iter::repeat_n(message, copies).chain(held).chain(again);
        self.enqueue(out.collect(), now + delay, now)
    }

    /// What goes out by `now`, in order.
    pub(crate) fn due(&mut self, now: MarketTime) -> Vec<Out<M>> {
        if let Some((_, held)) = self.held.take_if(|(at, _)| *at <= now) {
            self.waiting.push_back((now, held));
        }
        let mut out = Vec::new();
        while let Some((_, message)) = self.waiting.pop_front_if(|(at, _)| *at <= now) {
            out.push(self.send(message));
        }
        if self.is_mute(now) { Vec::new() } else { out }
    }

    /// When something goes out next.
    pub(crate) fn deadline(&self) -> Option<MarketTime> {
        let held = self.held.as_ref().map(|(at, _)| *at);
        let waiting = self.waiting.front().map(|(at, _)| *at);
        match (held, waiting) {
            (Some(held), Some(waiting)) => Some(held.min(waiting)),
            (held, waiting) => held.or(waiting),
        }
    }

    /// Puts messages at the end of the line, where they wait until `at`, or longer behind others.
    fn enqueue(&mut self, messages: Vec<Skewed<M>>, at: MarketTime, now: MarketTime) -> Vec<Out<M>> {
        if at <= now && self.waiting.is_empty() {
            return messages.into_iter().map(|message| self.send(message)).collect();
        }
        let at = self.waiting.back().map_or(at, |(last, _)| at.max(*last));
        self.waiting.extend(messages.into_iter().map(|message| (at, message)));
        let mut out = Vec::new();
        while self.waiting.len() > MAX_WAITING {
            let Some((_, message)) = self.waiting.pop_front() else { break };
            out.push(self.send(message));
        }
        out
    }

    fn send(&mut self, message: Skewed<M>) -> Out<M> {
        if self.sent.len() == MAX_REPLAY {
            self.sent.pop_front();
        }
        self.sent.push_back(message.clone());
        Out::Send(message.0, message.1)
    }

    fn newest(&self, count: usize) -> impl Iterator<Item = Skewed<M>> {
        self.sent.iter().skip(self.sent.len().saturating_sub(count)).cloned()
    }
}

/// Later than every moment of a market.
const END_OF_TIME: MarketTime = MarketTime::from_nanos(i64::MAX);
