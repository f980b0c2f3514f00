//! What changed in the plugins folder. Pure: listings go in, changes come out.
//!
//! A plugin is what lies at `NAME.wasm` and `NAME.toml` together. It is taken when two looks in a row saw the
//! same of it, and that is not what was taken last; so a file that is being written is left alone, and one
//! that is replaced by removing and writing it is no removal, if that goes faster than a look.

use std::collections::{BTreeMap, BTreeSet};

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Bytes.
    pub(crate) size: u64,
    /// When its content changed, nanoseconds.
    pub(crate) modified_ns: i128,
    /// When anything about it changed: some copies keep the time of the content.
    pub(crate) changed_ns: i128,
    /// Which file it is: one that is renamed over another is another one.
    pub(crate) inode: u64,
}

/// One plugin as it lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// The component.
    pub(crate) wasm: Stamp,
    /// What the operator grants it, where that is written.
    pub(crate) manifest: Option<Stamp>,
}

/// The plugins of the folder, by the name of the file without `.wasm`.
pub(crate) type Listing = BTreeMap<String, Files>;

/// Which folder it is, of all that may lie at its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file system.
    pub(crate) device: u64,
    /// The folder in it.
    pub(crate) inode: u64,
}

/// What to do about a plugin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// It is gone.
    Gone(String),
    /// It is new or another one.
    Take(String),
}

/// The folder as it was seen and taken.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    seen: Listing,
    taken: Listing,
    /// Of those taken, the ones that are to be taken once more.
    again: BTreeSet<String>,
    /// Which folder these were seen in.
    place: Option<Place>,
}

impl Folder {
    /// A folder of which everything was taken as it lay.
    pub(crate) fn taken(listing: Listing) -> Self {
        Self { seen: listing.clone(), taken: listing, ..Self::default() }
    }

    /// The same, of the folder that lies there.
    pub(crate) fn lies_at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    /// Whether this may be what became of the folder. Another one that is empty may not, while anything was
    /// there: it is what a mount point shows when its disk is gone.
    pub(crate) fn admits(&mut self, place: Place, now: &Listing) -> bool {
        let is_another = self.place.is_some_and(|known| known != place);
        let had_any = !(self.seen.is_empty() && self.taken.is_empty());
        if is_another && had_any && now.is_empty() {
            return false;
        }
        self.place = Some(place);
        true
    }

    /// One look. Who is gone comes first: what it owned may be what another one waits for.
    pub(crate) fn look(&mut self, now: Listing) -> Vec<Change> {
        let mut changes = Vec::new();
        let names = self.seen.keys().chain(now.keys()).chain(self.taken.keys());
        let mut names: Vec<String> = names.cloned().collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let (is, was) = (now.get(&name), self.seen.get(&name));
            if is != was {
                continue;
            }
            let is_again = self.again.remove(&name) && is.is_some();
            if is == self.taken.get(&name) && !is_again {
                continue;
            }
            match is {
                Some(files) => {
                    self.taken.insert(name.clone(), *files);
                    changes.push(Change::Take(name));
                }
                None => {
                    self.taken.remove(&name);
                    changes.push(Change::Gone(name));
                }
            }
        }
        self.seen = now;
        changes.sort_unstable();
        changes
    }

    /// What was taken was of no use at that time: it is taken once more with the next look.
    pub(crate) fn again(&mut self, name: &str) {
        self.again.insert(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stamp(version: u64) -> Stamp {
        Stamp { size: version, modified_ns: 0, changed_ns: 0, inode: 1 }
    }

    /// A word is a plugin: a letter and the version of its component, then that of its manifest, if any.
    fn listing(words: &str) -> Listing {
        let plugin = |word: &str| {
            let versions: Vec<u64> = word[1..].bytes().map(|digit| u64::from(digit - b'0')).collect();
            let files = Files { wasm: stamp(versions[0]), manifest: versions.get(1).copied().map(stamp) };
            (word[..1].to_owned(), files)
        };
        words.split_whitespace().map(plugin).collect()
    }

    fn text(changes: &[Change]) -> String {
        let words = changes.iter().map(|change| match change {
            Change::Take(name) => format!("+{name}"),
            Change::Gone(name) => format!("-{name}"),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn check(start: &str, looks: &[(&str, &str)]) {
        let mut folder = Folder::taken(listing(start));
        for (at, (look, expected)) in looks.iter().enumerate() {
            assert_eq!(text(&folder.look(listing(look))), *expected, "look {at} of {looks:?}");
        }
    }

    #[test]
    fn what_has_settled_is_taken_once() {
        check("a1", &[("a1", ""), ("a1", "")]);
        check("", &[("a1", ""), ("a1", "+a"), ("a1", "")]);
        // It is being written.
        check("", &[("a1", ""), ("a2", ""), ("a3", ""), ("a3", "+a"), ("a3", "")]);
        check("a1", &[("a2", ""), ("a2", "+a"), ("a2", "")]);
        // The manifest comes, changes and goes.
        check("a1", &[("a11", ""), ("a11", "+a"), ("a12", ""), ("a12", "+a"), ("a1", ""), ("a1", "+a")]);
        check("a1 b1", &[("b1", ""), ("b1", "-a"), ("b1", "")]);
        // Replaced the slow way between two looks, and back as it was.
        check("a1", &[("", ""), ("a2", ""), ("a2", "+a")]);
        check("a1", &[("", ""), ("a1", ""), ("a1", "")]);
        check("a1", &[("a2", ""), ("a1", ""), ("a1", "")]);
        // Who goes makes room for who comes.
        check("b1", &[("a1", ""), ("a1", "-b +a")]);
    }

    #[test]
    fn what_was_of_no_use_is_tried_again() {
        let mut folder = Folder::taken(listing("a1 b1"));
        assert_eq!(text(&folder.look(listing("a1 b1"))), "");
        folder.again("b");
        assert_eq!(text(&folder.look(listing("a1 b1"))), "+b");
        assert_eq!(text(&folder.look(listing("a1 b1"))), "");
        folder.again("b");
        assert_eq!(text(&folder.look(listing("a1"))), "", "it is going");
        assert_eq!(text(&folder.look(listing("a1"))), "-b", "what runs of that name has to end");
        assert_eq!(text(&folder.look(listing("a1"))), "");
    }

    proptest! {
        /// However files come, change and go: what rests for two looks is taken as it is, exactly once;
        /// nothing is taken that moved between two looks, and what is gone was there before.
        #[test]
        fn what_is_taken_is_what_lies_there(
            looks in prop::collection::vec(prop::collection::btree_map("[abc]", 0_u64..3, 0..3), 1..40),
        ) {
            let as_listing = |look: &BTreeMap<String, u64>| -> Listing {
                look.iter().map(|(name, version)| {
                    (name.clone(), Files { wasm: stamp(*version), manifest: None })
                }).collect()
            };
            let (mut folder, mut before) = (Folder::default(), Listing::new());
            let mut running = Listing::new();
            for look in &looks {
                let now = as_listing(look);
                for change in folder.look(now.clone()) {
                    match change {
                        Change::Take(name) => {
                            prop_assert_eq!(now.get(&name), before.get(&name), "it moved");
                            prop_assert!(running.get(&name) != now.get(&name), "twice");
                            running.insert(name.clone(), now[&name]);
                        }
                        Change::Gone(name) => {
                            prop_assert!(!now.contains_key(&name) && !before.contains_key(&name));
                            prop_assert!(running.remove(&name).is_some(), "it was not there");
                        }
                    }
                }
                for name in ["a", "b", "c"] {
                    if now.get(name) == before.get(name) {
                        prop_assert_eq!(running.get(name), now.get(name), "{} has settled", name);
                    }
                }
                before = now;
            }
        }
    }
}
