//! What happens to orders.

use sandpit_types::{ExecutionId, MarketTime, Price, Qty, TradeEvent, Usd};

use super::VenueOrder;

/// What happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Taken.
    PendingNew,
    /// Queued until its session begins. The venue does not announce it (Alpaca-API#74): look at the order.
    Accepted,
    /// Routed: it works from now on.
    New,
    /// Some shares filled.
    PartialFill,
    /// The last shares filled.
    Fill,
    /// A cancel is under way.
    PendingCancel,
    /// A replace is under way.
    PendingReplace,
    /// Cancelled.
    Canceled,
    /// Its time ran out.
    Expired,
    /// The exchange would not have it.
    Rejected,
    /// Another order took its place; the event carries the old one.
    Replaced,
    /// A leg that waits for its parent. Not announced: look at the order.
    Held,
    /// The cancel that was under way came too late.
    CancelRejected,
    /// The replace that was under way came too late; the event carries the old order.
    ReplaceRejected,
    /// It fills no more today.
    DoneForDay,
    /// Its fill is guaranteed and still to come.
    Stopped,
    /// It may not trade for now.
    Suspended,
    /// It is being settled.
    Calculated,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::PendingNew,
        Self::Accepted,
        Self::New,
        Self::PartialFill,
        Self::Fill,
        Self::PendingCancel,
        Self::PendingReplace,
        Self::Canceled,
        Self::Expired,
        Self::Rejected,
        Self::Replaced,
        Self::Held,
        Self::CancelRejected,
        Self::ReplaceRejected,
        Self::DoneForDay,
        Self::Stopped,
        Self::Suspended,
        Self::Calculated,
    ];

    /// The wire word of a trade update's `event`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingNew => "pending_new",
            Self::Accepted => "accepted",
            Self::New => "new",
            Self::PartialFill => "partial_fill",
            Self::Fill => "fill",
            Self::PendingCancel => "pending_cancel",
            Self::PendingReplace => "pending_replace",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
            Self::Held => "held",
            Self::CancelRejected => "order_cancel_rejected",
            Self::ReplaceRejected => "order_replace_rejected",
            Self::DoneForDay => "done_for_day",
            Self::Stopped => "stopped",
            Self::Suspended => "suspended",
            Self::Calculated => "calculated",
        }
    }

    /// Whether the venue announces it: nothing is said of an order that is queued or held.
    pub const fn is_announced(self) -> bool {
        !matches!(self, Self::Accepted | Self::Held)
    }
}

impl From<EventKind> for TradeEvent {
    fn from(kind: EventKind) -> Self {
        use EventKind as E;
        match kind {
            E::New => Self::New,
            E::PartialFill => Self::PartialFill,
            E::Fill => Self::Fill,
            E::Canceled => Self::Canceled,
            E::Expired => Self::Expired,
            E::Rejected => Self::Rejected,
            E::Replaced => Self::Replaced,
            E::PendingNew
            | E::Accepted
            | E::PendingCancel
            | E::PendingReplace
            | E::Held
            | E::CancelRejected
            | E::ReplaceRejected
            | E::DoneForDay
            | E::Stopped
            | E::Suspended
            | E::Calculated => Self::Other(kind.as_str().to_owned()),
        }
    }
}

/// One thing that happened to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueEvent {
    /// What.
    pub kind: EventKind,
    /// Names the event; absent for `pending_new`.
    pub execution_id: Option<ExecutionId>,
    /// Price of this execution, for fills.
    pub price: Option<Price>,
    /// Shares of this execution only, for fills.
    pub qty: Option<Qty>,
    /// Shares held of the symbol after it, with sign, for fills.
    pub position_qty: Option<Qty>,
    /// What this execution adds to the fees of its day, for fills: not rounded, zero where nobody asks for
    /// any. The day's sums are rounded up by kind when they are booked, so that all of these together come to
    /// less than what leaves the cash, by less than three cents a day.
    pub fees: Option<Usd>,
    /// When.
    pub time: MarketTime,
    /// The order after it.
    pub order: VenueOrder,
}
