//! What the search for the proof is told to seek, what it asks of the broker, and what it hears.

use std::time::Duration;

use sandpit_contract::{BootTime, Policy};

use crate::limits::{Ask, Told};

/// Whose orders a kill touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything in the account, and the account is suspended.
    Account,
    /// Orders whose client id begins with our prefix. Never suspends.
    Ours,
}

/// How the proof is sought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Whose orders.
    pub(crate) scope: Scope,
    /// What becomes of the account.
    pub(crate) policy: Policy,
    /// Length of the window.
    pub(crate) confirm: Duration,
    /// Requests a minute once nothing is open.
    pub(crate) requests_per_minute: u64,
}

impl Terms {
    /// As these, with the policy that a latch holds. Positions are one netted pot, so `flatten` means the
    /// account, whatever the configuration says by now.
    pub(crate) fn with(self, policy: Policy) -> Self {
        let scope = if policy == Policy::Flatten { Scope::Account } else { self.scope };
        Self { scope, policy, ..self }
    }
}

/// To the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Open the connection and learn whether the account is suspended, before it is needed.
    Warm,
    /// Keep the connection open that cancels go over.
    Touch,
    /// Suspend trading.
    Suspend {
        /// Ask first, for a bounded time, whether it is suspended already: answered by `SuspendedBefore`
        /// too.
        asks: bool,
    },
    /// Lift our suspension: a position that came late cannot be closed under it.
    Lift,
    /// Ask whether our suspension still stands.
    Check,
    /// Cancel every open order of the account.
    CancelAll,
    /// Cancel these.
    CancelEach(Vec<String>),
    /// Cancel every open order and close every position.
    CloseAll,
    /// Close these positions.
    CloseEach(Vec<String>),
    /// Look for anything open, as far as the policy has to know it.
    Read(Policy),
    /// Read for the limits: answered by `Account`.
    Account(Ask),
}

/// What an order does when it is executed, as far as a policy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A stop of any kind.
    Stop,
    /// A plain market order of the day, or until cancelled: what the broker makes of a close.
    Market,
    /// Anything else.
    Other,
}

/// An open order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// The broker's id.
    pub(crate) id: String,
    /// What it trades.
    pub(crate) symbol: String,
    /// What it is.
    pub(crate) kind: Kind,
    /// Whether it buys; not said of an order without a known side.
    pub(crate) buys: Option<bool>,
    /// What is left of it, 10^-9 shares; not said of an order in money.
    pub(crate) left: Option<i128>,
    /// Orders of one number share their fate at the broker: cancel one, and the others go.
    pub(crate) group: usize,
}

/// A position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// What is held.
    pub(crate) symbol: String,
    /// By what it is closed: the asset's id, else its symbol.
    pub(crate) key: String,
    /// 10^-9 shares, negative when short; not said when it is no number.
    pub(crate) qty: Option<i128>,
    /// How much of it is reserved for orders, listed or not; 10^-9 shares.
    pub(crate) held: i128,
}

/// The market, as the broker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Market {
    /// Whether orders are executed now.
    pub(crate) is_open: bool,
    /// When it opens next, in the broker's words.
    pub(crate) next_open: String,
}

/// What a read saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// Open orders in scope, legs included.
    pub(crate) open: Vec<Order>,
    /// Every position.
    pub(crate) positions: Vec<Position>,
    /// Symbols on which somebody else has an open order that is not in scope.
    pub(crate) foreign: Vec<String>,
    /// An order changed between the two lists, so the positions read between them may fit neither. Only
    /// where both lists are read.
    pub(crate) is_moving: bool,
    /// Asked for by `flatten` only, while there is a position.
    pub(crate) market: Option<Market>,
}

#[cfg(test)]
impl Sighting {
    /// Of so many orders that every policy wants gone.
    pub(crate) fn of_orders(orders: impl Into<usize>) -> Self {
        let order = |n: usize| Order {
            id: format!("o{n}"),
            symbol: "A".into(),
            kind: Kind::Other,
            buys: Some(true),
            left: None,
            group: n,
        };
        Self { open: (0..orders.into()).map(order).collect(), ..Self::default() }
    }
}

/// Why the account could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// The broker does not take the key (401 or 403).
    KeyRefused(String),
    /// Anything else: it may pass.
    Other(String),
}

/// Why a command had no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// In words.
    pub(crate) cause: String,
    /// How long the broker wants to be left alone.
    pub(crate) pause: Option<Duration>,
    /// The broker understood and refused (403).
    pub(crate) is_refused: bool,
}

impl From<&str> for Trouble {
    fn from(cause: &str) -> Self {
        Self { cause: cause.into(), pause: None, is_refused: false }
    }
}

/// What became of cancels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cancels {
    /// So many were taken.
    pub(crate) taken: usize,
    /// The broker failed on these: they are to be cancelled one by one.
    pub(crate) failed: Vec<String>,
}

/// What became of closes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Closes {
    /// So many closing orders were taken.
    pub(crate) taken: usize,
    /// So many were refused for no order's sake: the account may be suspended.
    pub(crate) refused: usize,
    /// Orders that hold the shares; no list may show them.
    pub(crate) holders: Vec<String>,
}

/// From the broker.
#[derive(Clone, Debug)]
pub(crate) enum Report {
    /// Whether the account was suspended.
    Warmed(Result<bool, Unread>),
    /// The connection was used.
    Touched,
    /// Whether it was suspended before our first suspension; not said when the broker does not say.
    SuspendedBefore(bool),
    /// The suspension was taken.
    Suspended(Result<(), Trouble>),
    /// The suspension was lifted.
    Lifted(Result<(), Trouble>),
    /// Whether our suspension still stands.
    Checked(Result<bool, Trouble>),
    /// Cancels were asked for.
    Cancelled(Result<Cancels, Trouble>),
    /// Closes were asked for.
    Closed(Result<Closes, Trouble>),
    /// Of a read that began at `started` and goes on: what it knows already. It answers no command.
    Listed {
        /// Before its first request was written.
        started: BootTime,
        /// Open orders in scope; there may be more.
        open: Vec<Order>,
    },
    /// A read that began at `started`.
    Read {
        /// Before its first request was written.
        started: BootTime,
        /// What it saw.
        result: Result<Sighting, Trouble>,
    },
    /// For the limits.
    Account {
        /// What the broker said.
        told: Box<Told>,
        /// Requests that it took.
        requests: usize,
    },
}
