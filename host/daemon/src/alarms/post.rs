//! What the watchdog is to be told, kept until it can be: the newest word on each series.
//!
//! The lease's thread takes from it between two beats and must never wait, so it only tries the lock, and a
//! beat is followed by a few alarms at the most.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
};

use sandpit_contract::{Alarm, AlarmSeverity, AlarmStanding};

/// Series that fire and of which the watchdog is told.
const MAX_FIRING: usize = 512;
/// Words that wait for the watchdog.
const MAX_WAITING: usize = 1_024;
/// Alarms between two beats: with the longest texts, a third of what the socket holds.
pub(crate) const MOST_A_BEAT: usize = 4;

/// The words that wait.
#[derive(Debug, Default)]
pub(crate) struct Post(Mutex<Outbox>);

#[derive(Debug, Default)]
struct Outbox {
    /// What fires: told anew on every connection.
    firing: BTreeMap<String, Alarm>,
    /// What this connection has not been told, by key: a newer word replaces an older one.
    waiting: BTreeMap<String, Alarm>,
    /// Words that found no room.
    left_out: u64,
}

impl Post {
    /// Puts a word in. Says whether there was room for it.
    pub(crate) fn tell(&self, alarm: Alarm) -> bool {
        self.lock().put(alarm.bounded())
    }

    /// Sends what waits, the worst first, as far as `send` takes it (`Ok(true)`) and no more than
    /// [`MOST_A_BEAT`]. On a new connection all that fires is told again; the mark is taken away once that
    /// is noted. Never waits: while somebody else has the lock, the next beat is soon enough.
    ///
    /// # Errors
    /// What `send` fails with: the connection is over, and what it was to take waits for the next one.
    pub(crate) fn deliver<E>(
        &self,
        is_new: &mut bool,
        mut send: impl FnMut(&Alarm) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut outbox = match self.0.try_lock() {
            Ok(outbox) => outbox,
            Err(TryLockError::Poisoned(broken)) => broken.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        if std::mem::take(is_new) {
            outbox.begin_anew();
        }
        for _ in 0..MOST_A_BEAT {
            let Some(alarm) = outbox.next() else { break };
            if !send(alarm)? {
                break;
            }
            let key = alarm.key.clone();
            outbox.waiting.remove(&key);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox {
    fn put(&mut self, alarm: Alarm) -> bool {
        let has_room = match alarm.standing {
            AlarmStanding::Firing => self.firing.contains_key(&alarm.key) || self.firing.len() < MAX_FIRING,
            AlarmStanding::Over => {
                self.firing.remove(&alarm.key);
                self.waiting.contains_key(&alarm.key) || self.waiting.len() < MAX_WAITING
            }
        };
        if !has_room {
            self.left_out += 1;
            return false;
        }
        if alarm.standing == AlarmStanding::Firing {
            self.firing.insert(alarm.key.clone(), alarm.clone());
        }
        self.waiting.insert(alarm.key.clone(), alarm);
        true
    }

    fn begin_anew(&mut self) {
        for (key, alarm) in &self.firing {
            self.waiting.entry(key.clone()).or_insert_with(|| alarm.clone());
        }
    }

    /// The worst, and of these the oldest.
    fn next(&self) -> Option<&Alarm> {
        let rank = |alarm: &&Alarm| {
            let severity = match alarm.severity {
                AlarmSeverity::Critical => 0,
                AlarmSeverity::Warning => 1,
                AlarmSeverity::Info => 2,
            };
            (severity, alarm.since_unix_s)
        };
        self.waiting.values().min_by_key(rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(key: &str, severity: AlarmSeverity, standing: AlarmStanding) -> Alarm {
        let (text, remedy) = (format!("{key} is bad"), "look".to_owned());
        Alarm { key: key.into(), severity, standing, text, remedy, since_unix_s: 7 }
    }

    /// All that a connection is told in one go.
    fn told(post: &Post, is_new: bool) -> Vec<String> {
        let (mut told, mut is_new) = (Vec::new(), is_new);
        loop {
            let before = told.len();
            let done: Result<(), ()> = post.deliver(&mut is_new, |alarm| {
                let mark = if alarm.standing == AlarmStanding::Over { "-" } else { "+" };
                told.push(format!("{mark}{}", alarm.key));
                Ok(true)
            });
            done.expect("it is there");
            assert!(told.len() - before <= MOST_A_BEAT);
            if told.len() == before {
                return told;
            }
        }
    }

    #[test]
    fn each_word_is_told_once_and_what_fires_again_on_every_connection() {
        use AlarmSeverity::{Critical, Info, Warning};
        use AlarmStanding::{Firing, Over};
        let post = Post::default();
        for (key, severity) in [("a", Info), ("b", Critical), ("c", Warning), ("d", Critical), ("e", Info)] {
            assert!(post.tell(alarm(key, severity, Firing)));
        }
        assert_eq!(told(&post, true), ["+b", "+d", "+c", "+a", "+e"], "the worst first");
        assert_eq!(told(&post, false), [""; 0]);
        post.tell(alarm("b", Critical, Over));
        assert_eq!(told(&post, false), ["-b"]);
        // Nobody is connected: one ends, one begins and ends, one ends and begins again.
        post.tell(alarm("c", Warning, Over));
        post.tell(alarm("f", Info, Firing));
        post.tell(alarm("f", Info, Over));
        post.tell(alarm("a", Info, Over));
        post.tell(alarm("a", Info, Firing));
        assert_eq!(told(&post, true), ["+d", "-c", "+a", "+e", "-f"]);
        assert_eq!(told(&post, true), ["+d", "+a", "+e"], "what ended is told once");
    }

    #[test]
    fn what_a_connection_did_not_take_waits() {
        let post = Post::default();
        post.tell(alarm("a", AlarmSeverity::Info, AlarmStanding::Over));
        let mut is_new = true;
        assert_eq!(post.deliver(&mut is_new, |_| Err("gone")), Err("gone"));
        let full: Result<(), ()> = post.deliver(&mut is_new, |_| Ok(false));
        assert_eq!(full, Ok(()));
        assert_eq!(told(&post, false), ["-a"]);
    }

    #[test]
    fn it_is_bounded_and_whoever_beats_does_not_wait() {
        let post = Post::default();
        let fire =
            |at: usize, standing| post.tell(alarm(&format!("k{at:04}"), AlarmSeverity::Info, standing));
        let kept = (0..2 * MAX_WAITING).filter(|at| fire(*at, AlarmStanding::Firing)).count();
        assert_eq!(kept, MAX_FIRING);
        let kept = (0..2 * MAX_WAITING).filter(|at| fire(*at, AlarmStanding::Over)).count();
        assert_eq!(kept, MAX_WAITING);
        let held = post.lock();
        assert_eq!(held.left_out, (2 * MAX_WAITING - MAX_FIRING + MAX_WAITING) as u64);
        let mut is_new = true;
        let nothing: Result<(), ()> = post.deliver(&mut is_new, |_| panic!("somebody else has the lock"));
        assert!(nothing.is_ok() && is_new, "the connection is still to be told of all");
    }
}
