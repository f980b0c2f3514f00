//! What goes over the control socket, as JSON.

use std::{fmt, io, os::unix::fs::MetadataExt, path::Path};

use serde::{Deserialize, Serialize};

/// The longest reason that is taken, in characters.
pub const MAX_REASON_CHARS: usize = 1_000;
/// The longest name of a person that is taken, in characters.
pub(crate) const MAX_NAME_CHARS: usize = 64;

/// The header that says which state folder is meant, as [`place_of`] names it.
pub(crate) const PLACE: &str = "x-sandpit-place";
/// The header that says until when a request is worth anything: milliseconds since the machine booted.
pub(crate) const UNTIL_MS: &str = "x-sandpit-until-ms";

/// What tells one state folder from every other one on this machine, by whatever path it is reached.
///
/// # Errors
/// When it cannot be looked at.
pub fn place_of(state_dir: &Path) -> io::Result<String> {
    let folder = std::fs::metadata(state_dir)?;
    Ok(format!("{}:{}", folder.dev(), folder.ino()))
}

/// What an operator wants of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// What.
    pub deed: Deed,
    /// Why, for the audit log; up to [`MAX_REASON_CHARS`].
    pub reason: String,
    /// Who asks, by his own word: behind `sudo` the kernel only knows root.
    pub operator: Option<String>,
}

/// What can be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Deed {
    /// Cancel orders.
    Cancel(Scope),
    /// Send nothing but orders that reduce.
    Freeze,
    /// Lift what `Freeze` began.
    Unfreeze,
    /// Send nothing of one strategy but orders that reduce.
    Pause {
        /// Its name.
        strategy: String,
    },
    /// Lift what `Pause` began.
    Resume {
        /// Its name.
        strategy: String,
    },
}

/// Which orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The one with this client id.
    Order(String),
    /// All of a strategy.
    Strategy(String),
    /// All in a symbol.
    Symbol(String),
    /// All.
    All,
}

/// What was done. It stands in the records when this is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Done {
    /// Orders are being cancelled; each may still fill until the broker says that it is over.
    Cancelling {
        /// Their client ids.
        orders: Vec<String>,
        /// How many waited in the host and were withdrawn.
        withdrawn: usize,
    },
    /// The order is over.
    Over {
        /// How it ended.
        status: String,
        /// Shares of it that are filled.
        filled: String,
    },
    /// There is no such order.
    Unknown,
    /// Frozen.
    Frozen {
        /// What it was frozen for already.
        before: Option<String>,
        /// Entries that are cancelled because of it.
        orders: Vec<String>,
    },
    /// Frozen no longer.
    Unfrozen {
        /// What it was frozen for.
        was: String,
    },
    /// Nothing was frozen.
    NotFrozen,
    /// The strategy is paused.
    Paused {
        /// What it was paused for already.
        before: Option<String>,
        /// Entries of it that are cancelled because of it.
        orders: Vec<String>,
    },
    /// Paused no longer.
    Resumed {
        /// What it was paused for.
        was: String,
    },
    /// The strategy was not paused.
    NotPaused,
    /// Frozen over cash that nothing explains, which a running host cannot lift.
    StaysFrozen {
        /// What it is frozen for.
        reason: String,
    },
}

/// Why nothing was done, or is not known to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "refused", content = "what", rename_all = "kebab-case")]
pub enum Refused {
    /// Neither root nor the host's own user.
    NotAllowed(String),
    /// Another host than the one that is meant.
    OtherHost(String),
    /// The request says what cannot be done.
    Wrong(String),
    /// The request came too late, or there is no room for it: nothing was done.
    Busy(String),
    /// It was passed on and not answered in time: it may or may not be done.
    Unanswered(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NotAllowed(what)
        | Self::OtherHost(what)
        | Self::Wrong(what)
        | Self::Busy(what)
        | Self::Unanswered(what)) = self;
        f.write_str(what)
    }
}

/// Who is at the other end, by the kernel's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The user.
    pub uid: u32,
}

impl Wish {
    /// Checks what the sizes and characters of the texts may be: they go into logs and the audit log.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self) -> Result<(), Refused> {
        let is_plain = |text: &str| !text.chars().any(char::is_control);
        let (reason, name) = (self.reason.trim(), self.operator.as_deref());
        if !(1..=MAX_REASON_CHARS).contains(&reason.chars().count()) || !is_plain(reason) {
            let what = format!("the reason must be one line of 1 to {MAX_REASON_CHARS} characters");
            return Err(Refused::Wrong(what));
        }
        if name.is_some_and(|name| name.chars().count() > MAX_NAME_CHARS || !is_plain(name)) {
            return Err(Refused::Wrong(format!("a name has at most {MAX_NAME_CHARS} plain characters")));
        }
        Ok(())
    }
}
