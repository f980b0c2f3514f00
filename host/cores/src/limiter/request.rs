//! What wants to be sent, and what becomes of it.

use sandpit_types::{MarketTime, StrategyName};

/// How urgent a request is. Earlier variants go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Cancels.
    Cancel,
    /// Orders that lower the risk, and questions about an order with an unknown outcome.
    Reduce,
    /// Orders that add risk.
    Enter,
    /// Everything that can wait.
    Poll,
}

impl Priority {
    /// All, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Cancel, Self::Reduce, Self::Enter, Self::Poll];

    /// One lower-case word, for labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Reduce => "reduce",
            Self::Enter => "enter",
            Self::Poll => "poll",
        }
    }

    pub(super) const fn rank(self) -> usize {
        self as usize
    }
}

/// A request that wants to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How urgent it is.
    pub priority: Priority,
    /// For which strategy; `None` for the host itself, which has no share of its own.
    pub strategy: Option<StrategyName>,
    /// From this moment on it is late and must not be sent.
    pub deadline: Option<MarketTime>,
    /// What it costs beside being one request; zero where nothing is counted but requests.
    pub tokens: u64,
}

/// A place in the queue; a later ticket arrived later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// What became of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it now. It is counted from now on, sent or not.
    Go,
    /// Its deadline has come: it must not be sent.
    Late,
}

/// The request was not taken into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The queue is full.
    #[error("{limit} requests are waiting already: slow down or drop some")]
    Full {
        /// How many may wait.
        limit: usize,
    },
    /// It costs more than a whole window may hold, and would wait for ever.
    #[error("the request costs {tokens} tokens and {limit} are allowed at once: split it")]
    TooLarge {
        /// What it costs.
        tokens: u64,
        /// What the smallest window holds.
        limit: u64,
    },
}
