//! What the thread of a strategy says of new versions.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use sandpit_strategy::Failure;

use super::{Loaded, lock};

/// Versions that were handed over and of whose end nothing was heard. Only the newest is waited for, and the
/// one before may just be taking over.
const HANDED_MAX: usize = 8;

/// How the swaps of a strategy ended. `V` is a version.
#[derive(Debug)]
pub(super) struct Swaps<V = Loaded> {
    versions: Mutex<Versions<V>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Versions<V> {
    running: V,
    /// In the order in which they were handed over.
    handed: VecDeque<V>,
    /// How the last one ended, by the version's checksum, until somebody asks: `Ok` when it took over.
    ended: Option<(String, Result<(), Failure>)>,
}

/// A version that goes by a checksum.
pub(super) trait Summed: Clone {
    /// That of its component, in hexadecimal digits.
    fn sha256(&self) -> &str;
}

impl Summed for Loaded {
    fn sha256(&self) -> &str {
        self.plugin.sha256()
    }
}

impl<V: Summed> Swaps<V> {
    /// Of a strategy that begins with this version.
    pub(super) fn of(running: V) -> Self {
        let versions = Versions { running, handed: VecDeque::new(), ended: None };
        Self { versions: Mutex::new(versions), changed: Condvar::new() }
    }

    /// This one is to take over from now on. No other of its checksum may be on its way: whose end it is
    /// could not be told.
    pub(super) fn hand_over(&self, version: V) {
        let mut versions = lock(&self.versions);
        versions.ended = None;
        if versions.handed.len() >= HANDED_MAX {
            versions.handed.pop_front();
        }
        versions.handed.push_back(version);
    }

    /// It took over, or did not.
    pub(super) fn end(&self, sha256: &str, how: Result<(), Failure>) {
        let mut versions = lock(&self.versions);
        if let Some(at) = versions.handed.iter().rposition(|it| it.sha256() == sha256) {
            // Those before it were passed over.
            let version = versions.handed.drain(..=at).next_back();
            if how.is_ok() {
                version.into_iter().for_each(|it| versions.running = it);
            }
        }
        versions.ended = Some((sha256.to_owned(), how));
        self.changed.notify_all();
    }

    /// The version that runs.
    pub(super) fn running(&self) -> V {
        lock(&self.versions).running.clone()
    }

    /// Waits for the end of the swap to this version, and takes it out.
    pub(super) fn wait(&self, sha256: &str, within: Duration) -> Option<Result<(), Failure>> {
        let is_its = |ended: &(String, Result<(), Failure>)| ended.0 == sha256;
        let is_open = |versions: &mut Versions<V>| !versions.ended.as_ref().is_some_and(is_its);
        let waited = self.changed.wait_timeout_while(lock(&self.versions), within, is_open);
        let mut versions = waited.unwrap_or_else(PoisonError::into_inner).0;
        versions.ended.take_if(|ended| is_its(ended)).map(|(_, how)| how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checksum and a manifest.
    type Version = (&'static str, u8);

    impl Summed for Version {
        fn sha256(&self) -> &str {
            self.0
        }
    }

    fn swaps() -> Swaps<Version> {
        Swaps::of(("first", 1))
    }

    #[test]
    fn the_end_of_a_swap_is_found_late_too_and_only_by_whoever_asked_for_that_version() {
        let swaps = swaps();
        assert_eq!(swaps.wait("new", Duration::ZERO), None);
        swaps.end("old", Err(Failure::Lost));
        assert_eq!(swaps.wait("new", Duration::ZERO), None, "that was another one");
        swaps.end("new", Ok(()));
        assert_eq!(swaps.wait("new", Duration::ZERO), Some(Ok(())));
        assert_eq!(swaps.wait("new", Duration::ZERO), None, "it was said");
    }

    #[test]
    fn who_waits_for_a_swap_is_woken() {
        let swaps = swaps();
        let found = std::thread::scope(|scope| {
            scope.spawn(|| swaps.end("new", Err(Failure::Lost)));
            swaps.wait("new", Duration::from_secs(60))
        });
        assert_eq!(found, Some(Err(Failure::Lost)));
    }

    #[test]
    fn what_runs_is_what_took_over_last_also_when_nobody_waited() {
        let swaps = swaps();
        assert_eq!(swaps.running(), ("first", 1));
        swaps.hand_over(("first", 2));
        swaps.end("first", Err(Failure::Lost));
        assert_eq!(swaps.running(), ("first", 1), "it failed");
        // The late one takes over at the last moment, and the one that comes after it fails.
        swaps.hand_over(("first", 3));
        swaps.hand_over(("second", 1));
        swaps.end("first", Ok(()));
        assert_eq!(swaps.wait("second", Duration::ZERO), None);
        swaps.end("second", Err(Failure::Lost));
        assert_eq!(swaps.wait("second", Duration::ZERO), Some(Err(Failure::Lost)));
        assert_eq!(swaps.running(), ("first", 3));
        for number in 0..20 {
            swaps.hand_over(("many", number));
        }
        swaps.end("many", Ok(()));
        assert_eq!(swaps.running(), ("many", 19));
    }
}
