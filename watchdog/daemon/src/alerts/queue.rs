//! One sink's queue: what leaves next, when, and what is held back. No clock, no I/O.
//!
//! The same key again within the repeat window is held back and counted; at the window's end the newest of
//! them leaves with the count. An end that leaves closes the windows of what it ends, and the act of a human
//! is never held back: so a second kill after an `arm` is told at once. What comes and goes is told, at the
//! end of the window, as it then stands. The worst leaves first, among equals the
//! oldest.
//!
//! In quiet hours what is not worse than their severity is kept, and leaves at their end as one digest; to a
//! sink that resolves, what still stands leaves by itself then, and what is over is said at once: that wakes
//! nobody.

use std::{collections::BTreeMap, time::Duration};

use sandpit_contract::BootTime;

use super::{
    digest::Kept,
    letter::{Letter, Matter, Topic},
};
use crate::machine::Severity;

/// Letters that wait for a sink. In a full queue the least severe gives way, the oldest of those first; a
/// letter that is less severe than all that wait does not come in. Each is counted, and the first is said.
pub(crate) const MAX_WAITING: usize = 64;
/// Kinds whose windows are open; with more, the one that began first is forgotten.
const MAX_WINDOWS: usize = 64;
/// A letter that could not be sent for so long is given up...
pub(crate) const GIVE_UP: Duration = Duration::from_secs(3600);
/// ...and a critical one after this: what it says is said once, and may be true for as long.
const GIVE_UP_CRITICAL: Duration = Duration::from_secs(86_400);
/// The longest pause that a service may wish for.
pub(crate) const LONGEST_WISH: Duration = Duration::from_secs(600);
/// After the first failure in a row; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that is not the service's own wish.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What a sink takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Nothing below.
    pub(crate) min_severity: Severity,
    /// Length of the window.
    pub(crate) repeat: Duration,
    /// It is told what is over, of whatever severity.
    pub(crate) resolves: bool,
}

/// Why a letter did not leave. The text holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may leave later: not before `wait`, if the service said so.
    Later {
        /// In words.
        why: String,
        /// The service's own wish.
        wait: Option<Duration>,
    },
    /// The same again would be refused again.
    Refused(String),
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    expires: BootTime,
    letter: Letter,
}

/// A kind that has left, or is to leave, and what came of it since.
#[derive(Debug)]
struct Window {
    began: BootTime,
    severity: Severity,
    held: u64,
    newest: Option<Letter>,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    rules: Rules,
    waiting: Vec<Waiting>,
    windows: BTreeMap<Topic, Window>,
    next_number: u64,
    /// Failures in a row.
    failures: u32,
    not_before: BootTime,
    /// The part of it that the service itself asked for.
    wished: BootTime,
    /// Up to which severity it is quiet, and until when.
    quiet: Option<(Severity, BootTime)>,
    kept: Kept,
    /// In this row of failures it was said that letters are lost.
    said_lost: bool,
    lost: u64,
    lines: Vec<String>,
}

impl Queue {
    /// An empty one.
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            waiting: Vec::new(),
            windows: BTreeMap::new(),
            next_number: 0,
            failures: 0,
            not_before: BootTime::default(),
            wished: BootTime::default(),
            quiet: None,
            kept: Kept::default(),
            said_lost: false,
            lost: 0,
            lines: Vec::new(),
        }
    }

    /// Takes an alert in.
    pub(crate) fn raise(&mut self, letter: Letter, now: BootTime) {
        self.close_windows(now);
        self.outdate(&letter);
        let is_end = self.rules.resolves && !letter.ends.is_empty();
        if letter.matter == Matter::Unheard && !is_end {
            return;
        }
        if letter.severity < self.rules.min_severity && !is_end {
            // Not told here, but what a human has seen to and comes again is news.
            if letter.is_act() {
                self.close_ended(&letter);
            }
            return;
        }
        if let Some(window) = self.windows.get_mut(&letter.topic())
            && letter.severity <= window.severity
            && !letter.is_act()
        {
            window.held += letter.count;
            window.newest = Some(letter);
            return;
        }
        if self.is_quiet_for(&letter) {
            if letter.is_act() {
                self.close_ended(&letter);
            }
            return self.kept.keep(letter);
        }
        self.kept.over_by(&letter);
        self.close_ended(&letter);
        self.open_window(&letter, now);
        if letter.severity == Severity::Critical {
            // News of this kind is worth a try of its own, unless the service forbade it.
            self.not_before = self.not_before.min(self.wished.max(now));
        }
        self.put(letter, now);
    }

    /// Up to which severity it is quiet now, and until when; to be said before anything else is asked.
    pub(crate) fn set_quiet(&mut self, quiet: Option<(Severity, BootTime)>, now: BootTime) {
        let was_quiet = std::mem::replace(&mut self.quiet, quiet).is_some();
        if quiet.is_some() && !was_quiet {
            // What could not leave before the night waits for its end, too.
            let (quiet, loud) =
                std::mem::take(&mut self.waiting).into_iter().partition(|one| self.is_quiet_for(&one.letter));
            self.waiting = loud;
            let quiet: Vec<Waiting> = quiet;
            quiet.into_iter().for_each(|one| self.kept.keep(one.letter));
        } else if quiet.is_none() && !self.kept.is_empty() {
            let letters =
                if self.rules.resolves { self.kept.take() } else { self.kept.digest().into_iter().collect() };
            for letter in letters {
                self.open_window(&letter, now);
                self.put(letter, now);
            }
        }
    }

    fn is_quiet_for(&self, letter: &Letter) -> bool {
        let is_end = self.rules.resolves && !letter.ends.is_empty();
        !is_end && self.quiet.is_some_and(|(max_severity, _)| letter.severity <= max_severity)
    }

    /// What is to be sent now; to be answered by [`Self::answered`] before the next is asked for.
    pub(crate) fn due(&mut self, now: BootTime) -> Option<(u64, Letter)> {
        self.close_windows(now);
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.expires > now);
        let given_up = before - self.waiting.len();
        if given_up > 0 {
            self.lose(given_up, "could not be sent for too long and are given up");
        }
        if now < self.not_before {
            return None;
        }
        let next = self.waiting.iter().max_by_key(|one| (one.letter.severity, u64::MAX - one.number))?;
        Some((next.number, next.letter.clone()))
    }

    /// What became of letter `number`.
    pub(crate) fn answered(&mut self, number: u64, result: Result<(), Failure>, now: BootTime) {
        match result {
            Ok(()) => {
                self.waiting.retain(|waiting| waiting.number != number);
                if self.failures > 0 || self.said_lost {
                    self.lines.push(format!("arrive again; {} were lost", self.lost));
                }
                (self.failures, self.said_lost, self.lost) = (0, false, 0);
            }
            Err(Failure::Later { why, wait }) => {
                if self.failures == 0 {
                    self.lines.push(format!("do not arrive and are tried again: {why}"));
                }
                let doubled = FIRST_PAUSE * 2_u32.saturating_pow(self.failures.min(6));
                self.failures = self.failures.saturating_add(1);
                self.wished = now + wait.unwrap_or_default().min(LONGEST_WISH);
                self.not_before = self.wished.max(now + doubled.min(LONGEST_PAUSE));
            }
            Err(Failure::Refused(why)) => {
                self.waiting.retain(|waiting| waiting.number != number);
                self.lose(1, &format!("are refused: {why}"));
            }
        }
    }

    /// When [`Self::due`] has something to say without a further alert.
    pub(crate) fn deadline(&self) -> Option<BootTime> {
        let windows = self.windows.values().filter(|window| window.newest.is_some());
        let ends = windows.map(|window| window.began + self.rules.repeat);
        let quiet = self.quiet.filter(|_| !self.kept.is_empty()).map(|(_, until)| until);
        ends.chain(quiet).chain((!self.waiting.is_empty()).then_some(self.not_before)).min()
    }

    /// Whether nothing is to be sent but what failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// What belongs into the log since the last call, without the sink's name.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Alerts that never reached the queue.
    pub(crate) fn missed(&mut self, alerts: usize) {
        self.lose(alerts, "came too fast and are dropped");
    }

    /// What begins again is not over, and what is over is not told as if it were not. The act of a human
    /// stays told, as no end of what came after it.
    fn outdate(&mut self, letter: &Letter) {
        self.waiting.retain(|one| one.letter.is_act() || !one.letter.does_end(&letter.key));
        for waiting in &mut self.waiting {
            waiting.letter.ends.retain(|key| *key != letter.key);
        }
        for ((key, _), window) in &mut self.windows {
            let is_over = letter.does_end(key);
            window.newest.take_if(|newest| is_over || newest.does_end(&letter.key));
        }
    }

    /// What begins again after its end is news. What comes and goes is held back by the window of its end.
    fn close_ended(&mut self, letter: &Letter) {
        self.windows.retain(|(key, _), _| !letter.does_end(key));
    }

    fn close_windows(&mut self, now: BootTime) {
        let repeat = self.rules.repeat;
        let over =
            self.windows.iter().filter(|(_, w)| w.began + repeat <= now).map(|(topic, _)| topic.clone());
        let over: Vec<_> = over.collect();
        for topic in over {
            if let Some(window) = self.windows.remove(&topic)
                && let Some(newest) = window.newest
            {
                let letter = Letter { count: window.held, ..newest };
                if self.is_quiet_for(&letter) {
                    self.kept.keep(letter);
                } else {
                    self.open_window(&letter, now);
                    self.put(letter, now);
                }
            }
        }
    }

    fn open_window(&mut self, letter: &Letter, now: BootTime) {
        if self.windows.len() >= MAX_WINDOWS {
            let first =
                self.windows.iter().min_by_key(|(_, window)| window.began).map(|(topic, _)| topic.clone());
            first.and_then(|topic| self.windows.remove(&topic));
        }
        let window = Window { began: now, severity: letter.severity, held: 0, newest: None };
        self.windows.insert(letter.topic(), window);
    }

    fn put(&mut self, letter: Letter, now: BootTime) {
        if self.waiting.len() >= MAX_WAITING {
            let least = self.waiting.iter().enumerate();
            let least = least.min_by_key(|(_, one)| (one.letter.severity, one.number)).map(|(at, _)| at);
            match least {
                Some(at) if self.waiting[at].letter.severity <= letter.severity => {
                    self.waiting.remove(at);
                    self.lose(1, "found no place in the queue");
                }
                Some(_) | None => return self.lose(1, "found no place in the queue"),
            }
        }
        self.next_number += 1;
        let is_critical = letter.severity == Severity::Critical;
        let expires = now + if is_critical { GIVE_UP_CRITICAL } else { GIVE_UP };
        self.waiting.push(Waiting { number: self.next_number, expires, letter });
    }

    /// Said once until one arrives again.
    fn lose(&mut self, letters: usize, how: &str) {
        self.lost += letters as u64;
        if !std::mem::replace(&mut self.said_lost, true) {
            self.lines.push(how.into());
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
