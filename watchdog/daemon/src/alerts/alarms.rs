//! What the host's own rules say, on its way to a human: told once while it fires, and once when it is over.
//! No clock, no I/O.
//!
//! A host may be mad. So many letters leave in a minute and no more, the last of them only for what is
//! critical; what finds none is told in one summary a minute, and is followed all the same. A signal that
//! was told by itself is also over by itself, as soon as a letter is free.
//!
//! A host that ends takes no alarm along: what fired fires on until the next host says otherwise. On each
//! connection the host says again all that fires; what it leaves out for [`RETELL_WAIT`] is over.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use sandpit_contract::{Alarm, AlarmSeverity, AlarmStanding, BootTime, State};

use super::{
    letter::{HOST_PREFIX, Letter, Matter},
    wording::plain,
};
use crate::machine::Severity;

/// Signals that are followed at a time. A further one takes the place of what nobody was told by itself and
/// is less severe, or is only counted in the summary.
pub(crate) const MAX_OPEN: usize = 256;
/// Letters in a row; services take 20 a minute and more.
pub(crate) const BURST: u32 = 12;
/// Those of them that are for critical ones alone.
pub(crate) const RESERVED: u32 = 4;
/// One more letter after so long.
pub(crate) const LETTER_EVERY: Duration = Duration::from_secs(5);
/// After the first that finds no letter others are waited for.
const GATHER: Duration = Duration::from_secs(10);
/// Between two summaries.
pub(crate) const SUMMARY_EVERY: Duration = Duration::from_secs(60);
/// A host that is connected says again within this time what fires.
pub(crate) const RETELL_WAIT: Duration = Duration::from_secs(600);
/// Signals that a summary names.
const MAX_NAMED: usize = 8;
/// The key of the summary.
pub(crate) const FLOOD: &str = "host-flood";

/// What a human is told of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// Firing, over, or over unheard.
    pub(crate) matter: Matter,
    /// How bad it is, or was at its worst.
    pub(crate) severity: Severity,
    /// With the prefix of a host's.
    pub(crate) key: String,
    /// In words.
    pub(crate) text: String,
    /// What a human does.
    pub(crate) remedy: String,
}

impl News {
    /// Whether it says that something is over.
    pub(crate) fn is_over(&self) -> bool {
        self.matter != Matter::Firing
    }

    /// On its way.
    pub(crate) fn letter(self, state: State, at_unix_s: u64) -> Letter {
        let ends = if self.is_over() { vec![self.key.clone().into()] } else { Vec::new() };
        Letter {
            severity: self.severity,
            key: self.key.into(),
            matter: self.matter,
            text: self.text,
            remedy: self.remedy.into(),
            state,
            at_unix_s,
            count: 1,
            ends,
        }
    }
}

/// What is still to be said of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    /// That it fires, in the next summary.
    Summary,
    /// That it is over, by the next letter.
    Over,
}

/// A signal that fires, or whose end is to be told.
#[derive(Debug)]
struct Open {
    severity: Severity,
    /// It was told by itself, and so is its end.
    was_told: bool,
    due: Due,
    /// By the host that is connected.
    is_said: bool,
}

/// Of the summary.
#[derive(Debug, Default)]
struct Flood {
    /// Since something waits for it.
    since: Option<BootTime>,
    last: Option<BootTime>,
    /// A human was told of one that is not over.
    is_open: bool,
    came_and_went: u64,
    not_followed: u64,
}

/// How many signals of the host fire, by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Firing {
    pub(crate) info: usize,
    pub(crate) warning: usize,
    pub(crate) critical: usize,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    open: BTreeMap<String, Open>,
    /// When the letters that were sent are paid for.
    paid: BootTime,
    flood: Flood,
    /// Until then the host says again what fires.
    retold_by: Option<BootTime>,
}

impl Alarms {
    /// A host is connected, and says again what fires.
    pub(crate) fn joined(&mut self, now: BootTime) {
        self.open.values_mut().for_each(|open| open.is_said = false);
        self.retold_by = Some(now + RETELL_WAIT);
    }

    /// It is not connected any more.
    pub(crate) fn left(&mut self) {
        self.retold_by = None;
    }

    /// Takes in what the host says.
    pub(crate) fn on(&mut self, alarm: &Alarm, now: BootTime) -> Option<News> {
        let key = format!("{HOST_PREFIX}{}", plain(&alarm.key));
        let severity = match alarm.severity {
            AlarmSeverity::Info => Severity::Info,
            AlarmSeverity::Warning => Severity::Warning,
            AlarmSeverity::Critical => Severity::Critical,
        };
        match alarm.standing {
            AlarmStanding::Firing => {
                let (text, remedy) = (plain(&alarm.text), plain(&alarm.remedy));
                self.fires(News { matter: Matter::Firing, severity, key, text, remedy }, now)
            }
            AlarmStanding::Over => self.is_over(key, severity, plain(&alarm.text), now),
        }
    }

    /// What is due by itself; to be asked every turn.
    pub(crate) fn turn(&mut self, now: BootTime) -> Vec<News> {
        let mut news = Vec::new();
        if self.retold_by.is_some_and(|by| by <= now) {
            self.retold_by = None;
            let gone = self.open.iter().filter(|(_, open)| !open.is_said && open.due != Due::Over);
            let gone: Vec<_> = gone.map(|(key, open)| (key.clone(), open.severity)).collect();
            let text = "the host that runs now does not say it";
            news.extend(gone.into_iter().filter_map(|(key, how)| self.is_over(key, how, text.into(), now)));
        }
        let due = self.open.iter().filter(|(_, open)| open.due == Due::Over);
        let due: Vec<_> = due.map(|(key, open)| (key.clone(), open.severity)).collect();
        for (key, severity) in due {
            news.extend(self.is_over(key, severity, "its end waited for others to leave".into(), now));
        }
        news.extend(self.summary(now));
        news
    }

    /// How many fire of each severity, by the host's last word.
    pub(crate) fn firing(&self) -> Firing {
        let of = |severity| {
            let fires = self.open.values().filter(|open| open.severity == severity && open.due != Due::Over);
            fires.count()
        };
        Firing { info: of(Severity::Info), warning: of(Severity::Warning), critical: of(Severity::Critical) }
    }

    fn fires(&mut self, news: News, now: BootTime) -> Option<News> {
        let before = self.open.get(&news.key).map(|open| (open.severity, open.was_told, open.due));
        let was_told = match before {
            // Its end was on its way: then it has not ended.
            Some((severity, was_told, due))
                if news.severity <= severity && (was_told || due != Due::Over) =>
            {
                let open = self.open.get_mut(&news.key)?;
                open.is_said = true;
                open.due = if due == Due::Over { Due::Nothing } else { due };
                return None;
            }
            Some((_, was_told, _)) => was_told,
            None if self.make_room(news.severity) => false,
            None => {
                self.flood.not_followed += 1;
                self.flood.since.get_or_insert(now);
                return None;
            }
        };
        let has_letter = self.take_letter(news.severity, now);
        let due = if has_letter { Due::Nothing } else { Due::Summary };
        let open = Open { severity: news.severity, was_told: was_told || has_letter, due, is_said: true };
        self.open.insert(news.key.clone(), open);
        if !has_letter {
            self.flood.since.get_or_insert(now);
        }
        has_letter.then_some(news)
    }

    fn is_over(&mut self, key: String, severity: Severity, text: String, now: BootTime) -> Option<News> {
        let (severity, was_told) = match self.open.get(&key) {
            Some(open) if open.was_told || open.due == Due::Over => (open.severity, open.was_told),
            Some(open) => {
                self.flood.came_and_went += u64::from(open.due == Due::Summary);
                self.open.remove(&key);
                return None;
            }
            // Somebody may have been told by an earlier watchdog; what does not fit in is left to the human.
            None if self.open.len() >= MAX_OPEN => return None,
            None => (severity, false),
        };
        if self.take_letter(severity, now) {
            self.open.remove(&key);
            let matter = if was_told { Matter::Over } else { Matter::Unheard };
            return Some(News { matter, severity, key, text, remedy: String::new() });
        }
        self.open.insert(key, Open { severity, was_told, due: Due::Over, is_said: true });
        None
    }

    /// One letter fewer, if there is one for this severity.
    fn take_letter(&mut self, severity: Severity, now: BootTime) -> bool {
        let most = if severity == Severity::Critical { BURST } else { BURST - RESERVED };
        let paid = self.paid.max(now) + LETTER_EVERY;
        let has_one = paid.since(now) <= LETTER_EVERY * most;
        if has_one {
            self.paid = paid;
        }
        has_one
    }

    fn make_room(&mut self, severity: Severity) -> bool {
        if self.open.len() < MAX_OPEN {
            return true;
        }
        let untold = self.open.iter().filter(|(_, open)| !open.was_told);
        let least = untold.min_by_key(|(_, open)| (open.due != Due::Over, open.severity));
        let least = least.filter(|(_, open)| open.due == Due::Over || open.severity < severity);
        let Some((key, is_firing)) = least.map(|(key, open)| (key.clone(), open.due != Due::Over)) else {
            return false;
        };
        self.flood.not_followed += u64::from(is_firing);
        self.open.remove(&key);
        true
    }

    /// What found no letter, in one; or that all of it is over.
    fn summary(&mut self, now: BootTime) -> Option<News> {
        let is_early = self.flood.last.is_some_and(|last| now.since(last) < SUMMARY_EVERY);
        let matter = match self.flood.since {
            _ if is_early => return None,
            Some(since) if now.since(since) >= GATHER => Matter::Firing,
            Some(_) => return None,
            None if self.flood.is_open && self.open.values().all(|open| open.was_told) => Matter::Over,
            None => return None,
        };
        let is_firing = matter == Matter::Firing;
        let (severity, text) = if is_firing {
            self.told_in_summary()
        } else {
            (Severity::Warning, "what was held back of the host is over, or told by itself".into())
        };
        let last = Some(now);
        self.flood = Flood { last, is_open: is_firing, ..Flood::default() };
        let remedy = if is_firing { "read them all in `sandpit alerts`, and the host's log" } else { "" };
        Some(News { matter, severity, key: FLOOD.into(), text, remedy: remedy.into() })
    }

    fn told_in_summary(&mut self) -> (Severity, String) {
        let mut due: Vec<_> = self.open.iter_mut().filter(|(_, open)| open.due == Due::Summary).collect();
        due.sort_by_key(|(_, open)| std::cmp::Reverse(open.severity));
        let worst = due.first().map_or(Severity::Warning, |(_, open)| open.severity);
        let critical = due.iter().filter(|(_, open)| open.severity == Severity::Critical).count();
        let mut text = format!("held back of the host: {} signals, {critical} critical", due.len());
        for (at, (key, _)) in due.iter().take(MAX_NAMED).enumerate() {
            let key = key.trim_start_matches(HOST_PREFIX);
            let short = &key[..key.floor_char_boundary(60)];
            write!(text, "{}{short}", if at == 0 { ": " } else { ", " }).expect("a text takes everything");
        }
        for (count, what) in [
            (due.len().saturating_sub(MAX_NAMED) as u64, "further"),
            (self.flood.came_and_went, "over again"),
            (self.flood.not_followed, "too many to follow"),
        ] {
            if count > 0 {
                write!(text, "; {count} {what}").expect("as above");
            }
        }
        due.iter_mut().for_each(|(_, open)| open.due = Due::Nothing);
        (worst, text)
    }
}

#[cfg(test)]
#[path = "alarms_tests.rs"]
mod tests;
