//! When the folder was looked at last: a keeper that hangs would leave a removed plugin trading.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sandpit_contract::BootTime;

/// A look that is older than this is said, real time. What a look may wait for ends sooner by itself (bars of
/// the past 30 s, the desk twice 30 s, a version that is to take over 30 s; where a new version does not
/// start, the bars and the desk once more for the old one), and compiling holds none up.
const LATE: Duration = Duration::from_secs(180);

/// The last look of the keeper, and whether it is late.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<BootTime>,
    is_late: bool,
}

/// What has to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// No look for so long. Once, until there is one again.
    Late(Duration),
    /// There are looks again.
    Back,
}

impl Looks {
    /// A look has ended.
    pub(crate) fn looked(&self, now: BootTime) {
        self.lock().last = Some(now);
    }

    /// How long ago that was, real time; `None` before the first.
    pub(crate) fn age(&self, now: BootTime) -> Option<Duration> {
        self.lock().last.map(|last| now.since(last))
    }

    /// Judges, and says what has to be said.
    pub(crate) fn judge(&self, now: BootTime) -> Option<Said> {
        let mut state = self.lock();
        let age = now.since(state.last?);
        let was_late = std::mem::replace(&mut state.is_late, age >= LATE);
        match (was_late, state.is_late) {
            (false, true) => Some(Said::Late(age)),
            (true, false) => Some(Said::Back),
            (true, true) | (false, false) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    /// Into the log.
    pub(crate) fn log(self) {
        match self {
            Self::Late(age) => tracing::error!(
                "the plugins folder has not been looked at for {} s: what is put there, changed or removed \
                 counts only once it is; what runs goes on",
                age.as_secs()
            ),
            Self::Back => tracing::info!("the plugins folder is looked at again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_does_not_come_is_said_once_and_so_is_the_next_one() {
        let at = |secs: u64| BootTime::from_nanos(secs * 1_000_000_000);
        let looks = Looks::default();
        assert_eq!((looks.age(at(900)), looks.judge(at(900))), (None, None), "not before the first");
        looks.looked(at(1_000));
        assert_eq!(looks.judge(at(1_179)), None);
        assert_eq!(looks.age(at(1_180)), Some(LATE));
        assert_eq!(looks.judge(at(1_180)), Some(Said::Late(LATE)));
        assert_eq!(looks.judge(at(9_999)), None, "once");
        looks.looked(at(10_000));
        assert_eq!(looks.judge(at(10_001)), Some(Said::Back));
        assert_eq!(looks.judge(at(10_002)), None);
        assert_eq!(looks.judge(at(10_200)), Some(Said::Late(Duration::from_secs(200))), "and again");
    }
}
