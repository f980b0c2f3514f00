//! One alert on its way to a human, whoever raised it.

use std::borrow::Cow;

use sandpit_contract::State;

use crate::machine::{Alert, Kind, Severity};

/// What an alert is about. Keys of the watchdog's own table have no colon; those of the host begin with
/// [`HOST_PREFIX`], so that no host can raise or end an alert of the watchdog's.
pub(crate) type Key = Cow<'static, str>;

/// What every key of the host's begins with.
pub(crate) const HOST_PREFIX: &str = "host:";

/// What a letter says about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matter {
    /// An alert of the watchdog's own; what it ends has other keys.
    Own,
    /// A signal of the host's fires.
    Firing,
    /// It is over.
    Over,
    /// It is over, and this watchdog has told nobody that it fired: only for those who resolve.
    Unheard,
    /// What quiet hours held back; a line of the text for each.
    Digest,
}

/// One alert on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) severity: Severity,
    pub(crate) key: Key,
    pub(crate) matter: Matter,
    pub(crate) text: String,
    /// What a human does about it; empty when nothing is to be done.
    pub(crate) remedy: Key,
    /// How the watchdog stood.
    pub(crate) state: State,
    /// When it was raised.
    pub(crate) at_unix_s: u64,
    /// How many alerts it stands for.
    pub(crate) count: u64,
    /// The keys that are over.
    pub(crate) ends: Vec<Key>,
}

/// What the same again is told by: a key, and whether it begins or is over.
pub(crate) type Topic = (Key, bool);

impl Letter {
    /// An alert of the watchdog's own.
    pub(crate) fn own(alert: &Alert, state: State, at_unix_s: u64) -> Self {
        Self {
            severity: alert.severity,
            key: alert.key.into(),
            matter: Matter::Own,
            text: alert.text.clone(),
            remedy: Kind::of(alert.key).map_or("", |kind| kind.remedy).into(),
            state,
            at_unix_s,
            count: 1,
            ends: Kind::ends(alert.key).iter().map(|key| (*key).into()).collect(),
        }
    }

    /// Whether it is the act of a human.
    pub(crate) fn is_act(&self) -> bool {
        self.matter == Matter::Own && Kind::is_act(&self.key)
    }

    /// Whether it says of its own key that it is over.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.matter, Matter::Over | Matter::Unheard)
    }

    /// Whether `key` is over by it.
    pub(crate) fn does_end(&self, key: &Key) -> bool {
        self.ends.contains(key)
    }

    /// What it is held back by.
    pub(crate) fn topic(&self) -> Topic {
        (self.key.clone(), self.is_over())
    }
}
