//! Plugins that are looked at again although their files have not changed. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// Looks, one a second, after which what may have passed is tried again.
const LOOKS_BETWEEN: u32 = 60;
/// The same for what passes soon.
const LOOKS_UNTIL_SOON: u32 = 2;
/// The most of them for what may never pass.
const LOOKS_BETWEEN_MAX: u32 = 3_600;

/// When a plugin that could not be taken may be of use without a change of its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hope {
    /// As soon as another strategy leaves.
    OthersLeave,
    /// After a moment: it waits for another one of its name.
    Soon,
    /// After a while, and then after twice that, and so on: the machine lacked memory or time for it, or no
    /// machine has enough.
    Perhaps,
    /// After a while: the machine was busy, a disk full, a database away.
    ItPasses,
    /// Never.
    None,
}

/// Who waits, and for what. The folder holds a bounded number of files, see `listing`, and no more wait.
#[derive(Debug, Default)]
pub(crate) struct Again {
    waiting: BTreeSet<String>,
    /// Looks to go.
    passing: BTreeMap<String, u32>,
    /// The pause before the last try of those that may never pass, in looks.
    pauses: BTreeMap<String, u32>,
}

impl Again {
    /// The plugin could not be taken, or is taken or gone where there is no hope or no need of any.
    pub(crate) fn put(&mut self, name: &str, hope: Hope) {
        self.waiting.remove(name);
        self.passing.remove(name);
        let before = self.pauses.remove(name);
        let looks = match hope {
            Hope::OthersLeave => {
                self.waiting.insert(name.to_owned());
                return;
            }
            Hope::Soon => LOOKS_UNTIL_SOON,
            Hope::ItPasses => LOOKS_BETWEEN,
            Hope::Perhaps => {
                let pause = before.map_or(LOOKS_BETWEEN, |looks| LOOKS_BETWEEN_MAX.min(2 * looks));
                self.pauses.insert(name.to_owned(), pause);
                pause
            }
            Hope::None => return,
        };
        self.passing.insert(name.to_owned(), looks);
    }

    /// Somebody has left: gives out who waited for that.
    pub(crate) fn others_left(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.waiting)
    }

    /// A look goes by: gives out whose time has come.
    pub(crate) fn look(&mut self) -> Vec<String> {
        self.passing.values_mut().for_each(|left| *left -= 1);
        self.passing.extract_if(.., |_, left| *left == 0).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(again: &mut Again, count: u32) -> Vec<String> {
        (0..count).flat_map(|_| again.look()).collect()
    }

    #[test]
    fn what_may_pass_is_tried_after_a_minute_and_only_then() {
        let mut again = Again::default();
        again.put("a", Hope::ItPasses);
        assert_eq!(looks(&mut again, 59), [""; 0]);
        again.put("b", Hope::ItPasses);
        assert_eq!(looks(&mut again, 1), ["a"]);
        again.put("a", Hope::ItPasses);
        again.put("c", Hope::ItPasses);
        again.put("c", Hope::None);
        assert_eq!(looks(&mut again, 59), ["b"]);
        assert_eq!(looks(&mut again, 200), ["a"], "once");
        assert!(again.others_left().is_empty());
    }

    #[test]
    fn what_may_never_pass_is_tried_less_and_less_often_until_it_does() {
        let mut again = Again::default();
        let pause = |again: &mut Again| {
            again.put("a", Hope::Perhaps);
            (1..=9_999).find(|_| !again.look().is_empty())
        };
        let pauses: Vec<_> = (0..8).filter_map(|_| pause(&mut again)).collect();
        assert_eq!(pauses, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        again.put("a", Hope::None);
        assert_eq!(pause(&mut again), Some(60), "it was taken or removed");
        again.put("b", Hope::Soon);
        assert_eq!(looks(&mut again, 2), ["b"]);
    }

    #[test]
    fn who_waits_for_others_does_not_wait_for_the_time() {
        let mut again = Again::default();
        again.put("a", Hope::ItPasses);
        again.put("a", Hope::OthersLeave);
        assert_eq!(looks(&mut again, 200), [""; 0]);
        assert_eq!(again.others_left(), BTreeSet::from(["a".to_owned()]));
        assert!(again.others_left().is_empty());
    }
}
