//! Plugins that are looked at again although their files have not changed. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// Looks, one a second, after which what may have passed is tried again.
const LOOKS_BETWEEN: u32 = 60;

/// When a plugin that could not be taken may be of use without a change of its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hope {
    /// As soon as another strategy leaves.
    OthersLeave,
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
}

impl Again {
    /// The plugin could not be taken, or is taken or gone where there is no hope or no need of any.
    pub(crate) fn put(&mut self, name: &str, hope: Hope) {
        self.waiting.remove(name);
        self.passing.remove(name);
        match hope {
            Hope::OthersLeave => drop(self.waiting.insert(name.to_owned())),
            Hope::ItPasses => drop(self.passing.insert(name.to_owned(), LOOKS_BETWEEN)),
            Hope::None => {}
        }
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
    fn who_waits_for_others_does_not_wait_for_the_time() {
        let mut again = Again::default();
        again.put("a", Hope::ItPasses);
        again.put("a", Hope::OthersLeave);
        assert_eq!(looks(&mut again, 200), [""; 0]);
        assert_eq!(again.others_left(), BTreeSet::from(["a".to_owned()]));
        assert!(again.others_left().is_empty());
    }
}
