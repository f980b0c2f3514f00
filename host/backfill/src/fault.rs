//! What a failed request means here, and how often it is tried again.
//!
//! | fault | what is done |
//! |---|---|
//! | 429 | wait 60, 120, 240, 240, 240 s (longer if the broker says so), then the day is skipped |
//! | 5xx, the network, an answer that is not understood | wait 30 s, three times, then the day is skipped |
//! | any other 4xx | asked day by day; a day refused alone is skipped, after three the rest is halved |
//! | the key is not accepted | the key pair rests for good; the day goes to another |

use std::time::Duration;

use sandpit_broker::BrokerError;

/// Waits after 429, one after the other, seconds.
pub const TOO_MANY_WAITS_SECS: [u64; 5] = [60, 120, 240, 240, 240];
/// The wait after a 5xx or a failure of the network, seconds.
pub const UNREACHABLE_WAIT_SECS: u64 = 30;
/// How often that wait is tried.
pub const UNREACHABLE_WAITS: u32 = 3;
/// The longest pause that is believed when the broker names one; a longer one is cut to this.
const MAX_PAUSE: Duration = Duration::from_secs(3_600);

/// Why a request brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Too many requests.
    TooMany {
        /// The pause the broker asks for.
        after: Duration,
    },
    /// It may work later.
    Unreachable {
        /// What happened.
        message: String,
    },
    /// The broker said no to just this.
    Refused {
        /// The broker's words.
        message: String,
    },
    /// The broker does not take the key.
    KeyRefused {
        /// The broker's words.
        message: String,
    },
}

/// How often one request has failed in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tries {
    too_many: u32,
    unreachable: u32,
}

impl Tries {
    /// The wait after one more 429; `None` when it was the last.
    pub(crate) fn too_many(&mut self, after: Duration) -> Option<Duration> {
        let secs = TOO_MANY_WAITS_SECS.get(self.too_many as usize)?;
        self.too_many += 1;
        Some(Duration::from_secs(*secs).max(after.min(MAX_PAUSE)))
    }

    /// The wait after one more failure to reach the broker; `None` when it was the last.
    pub(crate) fn unreachable(&mut self) -> Option<Duration> {
        self.unreachable += 1;
        (self.unreachable <= UNREACHABLE_WAITS).then_some(Duration::from_secs(UNREACHABLE_WAIT_SECS))
    }
}

impl From<&BrokerError> for Fault {
    fn from(error: &BrokerError) -> Self {
        let message = error.to_string();
        match error {
            BrokerError::RetryAfter { after } => Self::TooMany { after: *after },
            BrokerError::Unauthorized { .. } => Self::KeyRefused { message },
            BrokerError::Rejected { .. } | BrokerError::NotFound { .. } => Self::Refused { message },
            BrokerError::OutcomeUnknown { .. }
            | BrokerError::Unavailable { .. }
            | BrokerError::NotSent(_)
            | BrokerError::Malformed { .. } => Self::Unreachable { message },
        }
    }
}
