//! Places at which the crash suite ends the process as a SIGKILL would: no unwinding, no flush, no goodbye.
//!
//! `SANDPIT_CRASH_AT=after-post:3` ends the host the third time that it comes to [`Point::AfterPost`]. Only a build
//! with debug assertions has them: in a release build [`point`] is empty.

/// Where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Records are about to be written.
    BeforeCommit,
    /// Records are written, and nobody has heard of it yet.
    AfterCommit,
    /// A recorded order is about to be sent.
    BeforePost,
    /// The broker has answered a POST, and nothing of the answer is kept.
    AfterPost,
    /// The broker's word on an order is about to be written.
    BeforeAnswerStored,
    /// The broker has answered a PATCH, and nothing of the answer is kept.
    MidReplace,
    /// The broker has answered a DELETE, and nothing of the answer is kept.
    MidCancel,
}

/// Ends the process if this is where it is to end.
#[cfg(debug_assertions)]
pub(crate) fn point(at: Point) {
    armed::come_to(at);
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub(crate) const fn point(_at: Point) {}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    use nix::sys::signal::{Signal, raise};

    use super::Point;

    const VARIABLE: &str = "SANDPIT_CRASH_AT";

    /// What the variable asked for when it was first needed; it is not read again.
    static TRAP: OnceLock<Option<Trap>> = OnceLock::new();

    impl Point {
        pub(super) const ALL: [Self; 7] = [
            Self::BeforeCommit,
            Self::AfterCommit,
            Self::BeforePost,
            Self::AfterPost,
            Self::BeforeAnswerStored,
            Self::MidReplace,
            Self::MidCancel,
        ];

        pub(super) const fn as_str(self) -> &'static str {
            match self {
                Self::BeforeCommit => "before-commit",
                Self::AfterCommit => "after-commit",
                Self::BeforePost => "before-post",
                Self::AfterPost => "after-post",
                Self::BeforeAnswerStored => "before-answer-stored",
                Self::MidReplace => "mid-replace",
                Self::MidCancel => "mid-cancel",
            }
        }
    }

    /// One place, and how many times it is still passed.
    #[derive(Debug)]
    pub(super) struct Trap {
        at: Point,
        nth: u64,
        passed: AtomicU64,
    }

    impl Trap {
        /// Reads `NAME:NTH`; `NTH` counts from 1.
        pub(super) fn parse(text: &str) -> Option<Self> {
            let (name, nth) = text.split_once(':')?;
            let at = Point::ALL.into_iter().find(|point| point.as_str() == name)?;
            let nth = nth.parse().ok().filter(|nth| *nth > 0)?;
            Some(Self { at, nth, passed: AtomicU64::new(0) })
        }

        /// Whether this is the place and the time.
        pub(super) fn closes(&self, at: Point) -> bool {
            self.at == at && self.passed.fetch_add(1, Ordering::Relaxed) + 1 == self.nth
        }
    }

    pub(super) fn come_to(at: Point) {
        let trap = TRAP.get_or_init(|| {
            let text = std::env::var(VARIABLE).ok()?;
            let trap = Trap::parse(&text);
            assert!(trap.is_some(), "{VARIABLE}={text} is not NAME:NTH with a place that there is");
            trap
        });
        if trap.as_ref().is_some_and(|trap| trap.closes(at)) {
            // It does not return; if it did, going on would be the mildest thing to do.
            let _ = raise(Signal::SIGKILL);
        }
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::{Point, armed::Trap};

    #[test]
    fn a_place_is_named_with_its_time() {
        for point in Point::ALL {
            let trap = Trap::parse(&format!("{}:2", point.as_str())).expect("it has a name");
            let closed: Vec<_> = (0..4).map(|_| trap.closes(point)).collect();
            assert_eq!(closed, [false, true, false, false], "{point:?}");
            let others = || Point::ALL.into_iter().filter(|other| *other != point);
            assert!(others().all(|other| other.as_str() != point.as_str()));
            assert!(others().all(|other| !trap.closes(other)), "{point:?} stands for another one, too");
        }
        for wrong in ["", "before-commit", "before-commit:0", "before-commit:x", "before-lunch:1"] {
            assert!(Trap::parse(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn without_the_variable_nothing_happens() {
        assert_eq!(std::env::var_os("SANDPIT_CRASH_AT"), None, "the tests run without it");
        for point in Point::ALL {
            super::point(point);
        }
    }
}
