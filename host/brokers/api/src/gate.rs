//! The two doors of every request: the request budget, and for POSTs the right to trade.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use sandpit_types::{MarketTime, StrategyName};

/// How urgent a request is. Earlier variants go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Cancels.
    Cancel,
    /// Orders that lower the risk, questions about an order with an unknown outcome, the handshakes of
    /// streams and the newest quotes.
    Reduce,
    /// Orders that add risk.
    Enter,
    /// Everything that can wait: polls, clocks, history.
    Poll,
}

/// Why a request was not let out. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The queue for the budget is full.
    #[error("the request queue is full ({limit} waiting)")]
    Full {
        /// How many may wait.
        limit: usize,
    },
    /// It waited until its deadline.
    #[error("the request waited past its deadline")]
    Late,
    /// There is no valid right to trade.
    #[error("there is no valid lease to trade")]
    NoLease,
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
}

/// What an answer said about the broker's own limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateHint {
    /// The broker's count, from its headers.
    Remaining {
        /// Requests left.
        requests: u32,
        /// When the quota is full again.
        reset: MarketTime,
    },
    /// A request was longer on its way than budgets assume, and has just been answered or given up: the
    /// broker may have counted it only now.
    Slow,
    /// A 429: everything pauses.
    TooMany {
        /// For how long, if the broker said so.
        after: Option<Duration>,
    },
}

/// The future of [`Gate::acquire`].
pub type Admission<'a> = Pin<Box<dyn Future<Output = Result<(), GateError>> + Send + 'a>>;

/// The request budget as an adapter sees it.
pub trait Gate: Send + Sync + 'static {
    /// Waits until one more request may be sent.
    ///
    /// `strategy` is charged inside the account's window when the request is made for one. Past `deadline`
    /// the request is not let out.
    ///
    /// # Errors
    /// See [`GateError`].
    fn acquire<'a>(
        &'a self,
        class: Class,
        strategy: Option<&'a StrategyName>,
        deadline: Option<MarketTime>,
    ) -> Admission<'a>;

    /// Takes note of what the broker said about its limit.
    fn observe(&self, hint: RateHint);
}

/// The right to trade, asked immediately before the bytes of a POST are written.
pub trait Permit: Send + Sync + 'static {
    /// Whether the right is held at this very moment.
    ///
    /// # Errors
    /// [`GateError::NoLease`] when it is not; [`GateError::Late`] when the order waited too long.
    fn check(&self) -> Result<(), GateError>;
}

/// Under which terms an order may leave: how urgent, until when, by which right.
#[derive(Clone)]
pub struct SendTerms {
    /// [`Class::Reduce`] or [`Class::Enter`].
    pub class: Class,
    /// Past this the request is not let out; `None` waits as long as the budget makes it.
    pub deadline: Option<MarketTime>,
    /// Asked immediately before the bytes are written.
    pub permit: Arc<dyn Permit>,
}

impl fmt::Debug for SendTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendTerms")
            .field("class", &self.class)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
