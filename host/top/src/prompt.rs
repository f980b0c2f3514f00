//! What is asked before anything is done: it names what it is about, and goes on with that whatever the
//! screen shows meanwhile.

use crate::{Act, Key};

/// Characters that a reason may have, as the host takes them.
const MAX_REASON_CHARS: usize = 1_000;
/// Why an order is cancelled that is cancelled here.
const CANCELLED_HERE: &str = "cancelled in sandpit top";

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// Whether this order is to be cancelled.
    Cancel {
        /// Its client id.
        order: String,
        /// It in words.
        what: String,
    },
    /// Why it is to be done.
    Reason {
        /// What.
        wish: Wish,
        /// What is typed so far.
        text: String,
    },
}

/// What needs a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To pause this strategy.
    Pause(String),
    /// To resume this strategy.
    Resume(String),
    /// To freeze the host.
    Freeze,
}

/// What a key makes of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is asked on.
    Open(Prompt),
    /// Nothing is done.
    Dropped,
    /// It is done.
    Given(Act),
}

impl Prompt {
    /// Begins to ask for a reason.
    pub(crate) const fn why(wish: Wish) -> Self {
        Self::Reason { wish, text: String::new() }
    }

    /// What stands above it.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Cancel { .. } => "Cancel this order?".to_owned(),
            Self::Reason { wish: Wish::Pause(name), .. } => format!("Pause {name}?"),
            Self::Reason { wish: Wish::Resume(name), .. } => format!("Resume {name}?"),
            Self::Reason { wish: Wish::Freeze, .. } => "Freeze the host?".to_owned(),
        }
    }

    /// What it says, line by line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let (what, text) = match self {
            Self::Cancel { order, what } => {
                let keys = "y cancels it, any other key does not".to_owned();
                return vec![order.clone(), what.clone(), String::new(), keys];
            }
            Self::Reason { wish: Wish::Pause(_), text } => {
                ("Its entries are cancelled, and only its orders that reduce are sent.", text)
            }
            Self::Reason { wish: Wish::Resume(_), text } => ("It may open and add again.", text),
            Self::Reason { wish: Wish::Freeze, text } => {
                ("All entries are cancelled, and only orders that reduce are sent.", text)
            }
        };
        let keys = "Enter does it, Esc does not; the reason goes to the audit log".to_owned();
        vec![what.to_owned(), String::new(), format!("Reason: {text}_"), String::new(), keys]
    }

    /// What a key makes of it. Only the letter `y` cancels, and nothing goes on without a reason.
    pub(crate) fn on(self, key: Key) -> Answer {
        match (self, key) {
            (Self::Cancel { order, .. }, Key::Char('y')) => {
                Answer::Given(Act::Cancel { order, reason: CANCELLED_HERE.to_owned() })
            }
            (Self::Cancel { .. }, _) | (Self::Reason { .. }, Key::Esc) => Answer::Dropped,
            (Self::Reason { wish, text }, Key::Enter) => {
                let reason = text.trim().to_owned();
                if reason.is_empty() {
                    return Answer::Open(Self::Reason { wish, text });
                }
                Answer::Given(match wish {
                    Wish::Pause(strategy) => Act::Pause { strategy, reason },
                    Wish::Resume(strategy) => Act::Resume { strategy, reason },
                    Wish::Freeze => Act::Freeze { reason },
                })
            }
            (Self::Reason { wish, mut text }, key) => {
                match key {
                    Key::Backspace => drop(text.pop()),
                    Key::Char(letter) if !letter.is_control() && text.chars().count() < MAX_REASON_CHARS => {
                        text.push(letter);
                    }
                    _ => {}
                }
                Answer::Open(Self::Reason { wish, text })
            }
        }
    }
}
