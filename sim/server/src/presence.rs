//! Who is connected to the streams, in which run, and which of those that have gone still count.

use std::{any::Any, collections::VecDeque};

use sandpit_types::MarketTime;

/// Most connections that have gone and still count; the oldest are forgotten.
const MAX_GHOSTS: usize = 1_024;

/// The connections, as far as a run has to know them.
#[derive(Default)]
pub(crate) struct Presence {
    /// The number of the run; one that begins anew has the next.
    run: u64,
    /// Connections of this run.
    present: usize,
    /// Connections of the runs before that have not left yet.
    leaving: usize,
    ghosts: VecDeque<Ghost>,
}

/// What a connection held that has gone and still counts.
struct Ghost {
    until: MarketTime,
    /// The rule that wants it.
    rule: u64,
    _held: Box<dyn Any + Send>,
}

impl Presence {
    /// The number of the run.
    pub(crate) fn run(&self) -> u64 {
        self.run
    }

    /// A connection comes; returns its run.
    pub(crate) fn enter(&mut self) -> u64 {
        self.present += 1;
        self.run
    }

    /// A connection of that run goes; whether it is the present one.
    pub(crate) fn leave(&mut self, run: u64) -> bool {
        let is_present = run == self.run;
        *(if is_present { &mut self.present } else { &mut self.leaving }) -= 1;
        is_present
    }

    /// The next run: whoever is here belongs to the one before, and nobody who has gone counts.
    pub(crate) fn begin_anew(&mut self) {
        self.run += 1;
        self.leaving += std::mem::take(&mut self.present);
        self.ghosts.clear();
    }

    /// Whether a connection of a run before is still there.
    pub(crate) fn has_leavers(&self) -> bool {
        self.leaving > 0
    }

    /// What somebody held counts on until then, because of a rule.
    pub(crate) fn haunt(&mut self, rule: u64, until: MarketTime, held: impl Any + Send) {
        if self.ghosts.len() == MAX_GHOSTS {
            self.ghosts.pop_front();
        }
        self.ghosts.push_back(Ghost { until, rule, _held: Box::new(held) });
    }

    /// Forgets the ghosts whose time is over at `now`.
    pub(crate) fn pass(&mut self, now: MarketTime) {
        self.ghosts.retain(|ghost| now < ghost.until);
    }

    /// Forgets the ghosts of a rule, or all.
    pub(crate) fn forget(&mut self, rule: Option<u64>) {
        self.ghosts.retain(|ghost| rule.is_some_and(|rule| rule != ghost.rule));
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    #[test]
    fn ghosts_go_with_their_time_their_rule_and_their_run() {
        let mut presence = Presence::default();
        let held = Arc::new(());
        let at = |secs| MarketTime::EPOCH + Duration::from_secs(secs);
        for (rule, secs) in [(1, 10), (1, 20), (2, 30), (3, 40), (3, 40)] {
            presence.haunt(rule, at(secs), held.clone());
        }
        presence.pass(at(10));
        assert_eq!(Arc::strong_count(&held), 5);
        presence.forget(Some(1));
        assert_eq!(Arc::strong_count(&held), 4, "those of the other rules stay");
        presence.forget(None);
        assert_eq!(Arc::strong_count(&held), 1);
        presence.haunt(1, at(50), held.clone());
        presence.begin_anew();
        assert_eq!(Arc::strong_count(&held), 1);
        for _ in 0..=MAX_GHOSTS {
            presence.haunt(1, at(50), held.clone());
        }
        assert_eq!(Arc::strong_count(&held), MAX_GHOSTS + 1, "bounded");
    }

    #[test]
    fn who_has_to_leave_is_known_by_the_run() {
        let mut presence = Presence::default();
        let (old, _) = (presence.enter(), presence.enter());
        assert!(presence.leave(old) && !presence.has_leavers());
        presence.begin_anew();
        let new = presence.enter();
        assert!(presence.has_leavers() && new != old);
        assert!(!presence.leave(old) && !presence.has_leavers());
        assert!(presence.leave(new));
    }
}
