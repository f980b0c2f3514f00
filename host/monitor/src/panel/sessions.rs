//! Who is signed in. Pure: time and chance are arguments, memory is bounded.

use std::{collections::BTreeMap, time::Duration};

use super::guard::{Print, print, same};

/// Sessions at a time; the one that was used longest ago gives way.
const MAX_SESSIONS: usize = 32;
/// How long one lasts.
const LASTS: Duration = Duration::from_secs(12 * 3_600);
/// How long one lasts that is not used.
const IDLE: Duration = Duration::from_secs(3_600);

/// What a browser gets when it signs in: the session's id goes into the cookie, and what a page has to show
/// with every deed into the page's memory. Both are 32 random bytes as hexadecimal text.
#[derive(Debug)]
pub(crate) struct Issued {
    /// The session's id.
    pub(crate) id: String,
}

#[derive(Debug)]
struct Session {
    key: String,
    key_print: Print,
    began: Duration,
    used: Duration,
}

/// The sessions, by the digests of their ids: what is kept here opens nothing.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: BTreeMap<Print, Session>,
}

impl Sessions {
    /// Opens one; `id` and `key` are fresh random bytes.
    pub(crate) fn open(&mut self, id: [u8; 32], key: [u8; 32], now: Duration) -> Issued {
        self.forget(now);
        if self.open.len() >= MAX_SESSIONS {
            let oldest = self.open.iter().min_by_key(|(_, session)| session.used).map(|(print, _)| *print);
            oldest.and_then(|oldest| self.open.remove(&oldest));
        }
        let (id, key) = (hexadecimal(&id), hexadecimal(&key));
        let key_print = print(key.as_bytes());
        self.open.insert(print(id.as_bytes()), Session { key, key_print, began: now, used: now });
        Issued { id }
    }

    /// Whether there is such a session at `now`; it is used with it.
    pub(crate) fn is_open(&mut self, id: &str, now: Duration) -> bool {
        self.forget(now);
        let session = self.open.get_mut(&print(id.as_bytes()));
        session.map(|session| session.used = now).is_some()
    }

    /// What the page has to show with every deed of this session.
    pub(crate) fn key(&self, id: &str) -> Option<&str> {
        self.open.get(&print(id.as_bytes())).map(|session| session.key.as_str())
    }

    /// Whether `key` is the one of this session.
    pub(crate) fn has_key(&self, id: &str, key: &str) -> bool {
        let session = self.open.get(&print(id.as_bytes()));
        session.is_some_and(|session| same(&session.key_print, &print(key.as_bytes())))
    }

    /// Ends one.
    pub(crate) fn close(&mut self, id: &str) {
        self.open.remove(&print(id.as_bytes()));
    }

    fn forget(&mut self, now: Duration) {
        let age = |since: Duration| now.saturating_sub(since);
        self.open.retain(|_, session| age(session.began) < LASTS && age(session.used) < IDLE);
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_session_ends_unused_after_an_hour_and_used_after_twelve() {
        let mut sessions = Sessions::default();
        let idle = sessions.open([1; 32], [2; 32], secs(0)).id;
        let busy = sessions.open([3; 32], [4; 32], secs(0)).id;
        assert!(sessions.has_key(&busy, &"04".repeat(32)) && !sessions.has_key(&idle, &"04".repeat(32)));
        for at in (0..12 * 3_600).step_by(1_800) {
            assert!(sessions.is_open(&busy, secs(at)), "{at}");
        }
        assert!(!sessions.is_open(&idle, secs(12 * 3_600 - 1)));
        assert!(sessions.is_open(&busy, secs(12 * 3_600 - 1)) && !sessions.is_open(&busy, secs(12 * 3_600)));
        assert_eq!((sessions.key(&busy), sessions.open.len()), (None, 0));
    }

    #[test]
    fn one_more_than_there_is_room_for_ends_the_oldest() {
        let mut sessions = Sessions::default();
        let ids: Vec<String> =
            (0..33).map(|n| sessions.open([n; 32], [0; 32], secs(u64::from(n))).id).collect();
        assert!(!sessions.is_open(&ids[0], secs(40)) && sessions.is_open(&ids[1], secs(40)));
        sessions.close(&ids[1]);
        assert!(!sessions.is_open(&ids[1], secs(40)) && sessions.is_open(&ids[32], secs(40)));
    }
}
