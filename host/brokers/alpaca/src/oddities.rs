//! What the broker said that we do not use: counted, and logged once a kind, never once a message.

use std::{
    collections::BTreeSet,
    fmt::Display,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// So many kinds are logged; of further ones nothing is said, they are only counted.
const MAX_KINDS: usize = 32;
/// At most this much of a kind's name is kept.
const MAX_KIND_CHARS: usize = 24;

/// How many messages of the streams, and rows of the account's activities, were passed by since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OddityCounts {
    /// Of kinds that we know and have no use for: corrections, cancels, statuses.
    pub ignored: u64,
    /// Of kinds that nobody has told us of.
    pub unknown: u64,
    /// Of any kind, with a field that is missing or cannot be read.
    pub unreadable: u64,
}

/// The counters, shared by all sessions of an adapter.
#[derive(Debug, Default)]
pub(crate) struct Oddities {
    ignored: AtomicU64,
    unknown: AtomicU64,
    unreadable: AtomicU64,
    logged: Mutex<BTreeSet<(Oddity, String)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Oddity {
    Unknown,
    Unreadable,
}

impl Oddities {
    /// The counts by now.
    pub(crate) fn counts(&self) -> OddityCounts {
        OddityCounts {
            ignored: self.ignored.load(Ordering::Relaxed),
            unknown: self.unknown.load(Ordering::Relaxed),
            unreadable: self.unreadable.load(Ordering::Relaxed),
        }
    }

    /// A message of a kind that we have no use for.
    pub(crate) fn ignore(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
    }

    /// A message of an unknown kind.
    pub(crate) fn unknown(&self, kind: &str) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
        if self.is_first(Oddity::Unknown, kind) {
            tracing::warn!(
                kind = cut(kind),
                "the stream sends messages of an unknown kind; they are skipped"
            );
        }
    }

    /// A message or row that cannot be read; without its kind, `kind` is empty.
    pub(crate) fn unreadable(&self, kind: &str, error: &dyn Display) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        if self.is_first(Oddity::Unreadable, kind) {
            tracing::warn!(kind = cut(kind), %error, "what the broker says cannot be read; it is skipped");
        }
    }

    fn is_first(&self, oddity: Oddity, kind: &str) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.len() < MAX_KINDS && logged.insert((oddity, cut(kind).to_owned()))
    }
}

fn cut(kind: &str) -> &str {
    kind.char_indices().nth(MAX_KIND_CHARS).map_or(kind, |(end, _)| &kind[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_and_little_is_kept() {
        let oddities = Oddities::default();
        for n in 0..100 {
            oddities.unknown(&format!("{n}-{}", "ü".repeat(100)));
            oddities.unreadable("q", &"no symbol");
            oddities.ignore();
        }
        assert_eq!(oddities.counts(), OddityCounts { ignored: 100, unknown: 100, unreadable: 100 });
        let logged = oddities.logged.lock().expect("whole");
        assert_eq!(logged.len(), MAX_KINDS);
        assert_eq!(
            logged.iter().filter(|(oddity, _)| *oddity == Oddity::Unreadable).count(),
            1,
            "once a kind"
        );
        assert!(logged.iter().all(|(_, kind)| kind.chars().count() <= MAX_KIND_CHARS));
    }
}
