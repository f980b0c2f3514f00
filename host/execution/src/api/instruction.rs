//! What a person wants of the desk, and what is answered.

use sandpit_types::{ClientOrderId, OrderStatus, Qty, StrategyName, Symbol};

/// What a person wants of the desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Stands in the answer again.
    pub ticket: u64,
    /// Who, for the audit log.
    pub operator: String,
    /// Why, for the audit log.
    pub reason: String,
    /// What.
    pub deed: Deed,
}

/// What a person can have the desk do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Cancel what is open, and withdraw what only waits for its place.
    Cancel(CancelScope),
    /// Send nothing but orders that reduce, over restarts, until a person lifts it.
    Freeze,
    /// Lift what [`Deed::Freeze`] began. A freeze over cash that nothing explains is not lifted by it.
    Unfreeze,
    /// Send nothing of this strategy but orders that reduce, over restarts and new versions of its plugin,
    /// until a person lifts it. Its entries that rest are cancelled; it is told everything as before.
    Pause(StrategyName),
    /// Lift what [`Deed::Pause`] began.
    Resume(StrategyName),
}

/// Which orders a person wants cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelScope {
    /// This one, with what goes with it: its legs, and what takes its place.
    Order(ClientOrderId),
    /// Those of a strategy.
    Strategy(StrategyName),
    /// Those in a symbol.
    Symbol(Symbol),
    /// All of ours. Those of others are left alone.
    All,
}

/// What came of an [`Instruction`]. It is told when its records are in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These are being cancelled; each may still fill until the broker says that it is over.
    Cancelling {
        /// Which.
        orders: Vec<ClientOrderId>,
        /// How many waited for their place and are withdrawn.
        withdrawn: usize,
    },
    /// The order is over already.
    Over {
        /// How it ended.
        status: OrderStatus,
        /// Shares of it that are filled.
        filled: Qty,
    },
    /// The books have no such order: it never was one of ours, or is over for long.
    Unknown,
    /// Frozen.
    Frozen {
        /// What it was frozen for already.
        before: Option<String>,
        /// Entries that are being cancelled because of it.
        orders: Vec<ClientOrderId>,
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
        /// Entries that are being cancelled because of it.
        orders: Vec<ClientOrderId>,
    },
    /// Paused no longer.
    Resumed {
        /// What it was paused for.
        was: String,
    },
    /// The strategy was not paused.
    NotPaused,
    /// Cash does not agree: what was agreed upon has to be forgotten, which a host that trades cannot do.
    StaysFrozen {
        /// What it is frozen for.
        reason: String,
    },
}
