//! Orders, and what may happen to them.
//!
//! ```text
//!  PendingNew ── Accepted ──> Accepted             (its session is not on)
//!      │  │ New                   │ New
//!      │  └─────────┬─────────────┘
//!      │ Held       v
//!      v   New     New ── PartialFill ──> PartiallyFilled ── PartialFill ──> (the same)
//!     Held ───────> │                           │
//!   (a leg)         └────────── Fill ───────────┴──> Filled
//!
//!  a working order ── PendingCancel ──> PendingCancel ── Canceled ──> Canceled
//!                                            └── CancelRejected ──> back to work
//!                  ── PendingReplace ─> PendingReplace ─ Replaced ──> Replaced
//!                                            └── ReplaceRejected ─> back to work
//!  both pending states still take PartialFill (the same) and Fill (Filled)
//!                  ── DoneForDay, Suspended, Calculated ──> set aside, no fills, New brings it back
//!                  ── Stopped ──> Stopped, still fills
//!  open states ── Canceled, Expired (not Held), Rejected (not once filled in part) ──> the end
//!  an order that is over takes CancelRejected and ReplaceRejected, and stays as it is
//! ```

mod event;
mod kind;
mod request;
mod state;

use std::sync::Arc;

use sandpit_types::{BrokerOrderId, MarketTime, Price, Qty, Side, Symbol, Usd};

pub use self::{
    event::{EventKind, VenueEvent},
    kind::{Amount, Class, ClassKind, OrderKind, StopLoss, TimeInForce, Trail},
    request::{ClosePart, NewOrder, PositionIntent, Replacement},
    state::{ImpossibleEvent, OrderState},
};

/// An order as the venue knows it: everything the order JSON needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueOrder {
    /// The venue's id, a UUID.
    pub id: BrokerOrderId,
    /// The sender's id, or a UUID.
    pub client_order_id: Arc<str>,
    /// The symbol's id, a UUID.
    pub asset_id: Arc<str>,
    /// Which symbol.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// What it does to the position.
    pub position_intent: PositionIntent,
    /// How much. The quantity of a stop-loss shrinks with the fills of its take-profit.
    pub amount: Amount,
    /// What kind.
    pub kind: OrderKind,
    /// The class of its group; legs have it too.
    pub class: ClassKind,
    /// What hangs on it, take-profit first; only on the order that was submitted.
    pub legs: Vec<BrokerOrderId>,
    /// The order it hangs on.
    pub parent: Option<BrokerOrderId>,
    /// The order whose place it took, or will take.
    pub replaces: Option<BrokerOrderId>,
    /// The order that took its place.
    pub replaced_by: Option<BrokerOrderId>,
    /// How long.
    pub time_in_force: TimeInForce,
    /// Whether it may fill outside the regular session.
    pub extended_hours: bool,
    /// The limit price it was given.
    pub limit_price: Option<Price>,
    /// The stop price; of a trailing stop the present one, `None` before the first price.
    pub stop_price: Option<Price>,
    /// The best price since a trailing stop began to work: highest for a sell, lowest for a buy.
    pub hwm: Option<Price>,
    /// Where it stands.
    pub state: OrderState,
    /// Shares filled so far, those of the orders it replaced included.
    pub filled_qty: Qty,
    /// What they cost together.
    pub filled_cost: Usd,
    /// When the venue took it. The same as `submitted_at`.
    pub created_at: MarketTime,
    /// When it was sent.
    pub submitted_at: MarketTime,
    /// When it last changed.
    pub updated_at: MarketTime,
    /// When the last shares filled.
    pub filled_at: Option<MarketTime>,
    /// When its time ran out.
    pub expired_at: Option<MarketTime>,
    /// When its time will run out, or would have.
    pub expires_at: Option<MarketTime>,
    /// When it was cancelled.
    pub canceled_at: Option<MarketTime>,
    /// When it was rejected by the exchange.
    pub failed_at: Option<MarketTime>,
    /// When another order took its place.
    pub replaced_at: Option<MarketTime>,
}

impl VenueOrder {
    /// Shares asked for; `None` for an order by notional.
    pub const fn qty(&self) -> Option<Qty> {
        self.amount.qty()
    }

    /// Dollars asked for; `None` for an order by quantity.
    pub const fn notional(&self) -> Option<Usd> {
        self.amount.notional()
    }

    /// Average price of what is filled, to nine decimals; `None` while nothing is.
    pub fn filled_avg_price(&self) -> Option<Price> {
        crate::account::average(self.filled_cost, self.filled_qty)
    }

    /// Shares not filled; none for an order by notional, which does not know.
    pub fn remaining(&self) -> Qty {
        self.amount.qty().map_or(Qty::ZERO, |qty| qty - self.filled_qty)
    }

    /// Whether something may still happen to it.
    pub const fn is_open(&self) -> bool {
        !self.state.is_terminal()
    }
}
