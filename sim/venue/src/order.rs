//! Orders, and the table of what may happen to them.
//!
//! ```text
//!  PendingNew ── Accepted ──> Accepted                  (its session is not on)
//!      │ New                      │ New
//!      └────────────┬─────────────┘
//!                   v
//!                  New ── PartialFill ──> PartiallyFilled ── PartialFill ──> (the same)
//!                   │                           │
//!                   └────────── Fill ───────────┴──> Filled
//!
//!  each of the four open states ── Canceled ──> Canceled, ── Expired ──> Expired
//! ```

use std::sync::Arc;

use sandpit_types::{
    BrokerOrderId, ExecutionId, MarketTime, OrderKind, OrderStatus, Price, Qty, Side, Symbol, TimeInForce,
    TradeEvent, Usd,
};

/// An order as it comes to the venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// The sender's id, at most 128 characters; the venue makes a UUID when it is absent or empty.
    pub client_order_id: Option<String>,
    /// Which symbol.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// How many shares.
    pub qty: Qty,
    /// What kind.
    pub kind: OrderKind,
    /// How long.
    pub time_in_force: TimeInForce,
    /// Whether it may fill outside the regular session.
    pub extended_hours: bool,
}

/// What an order does to the position. It is settled when the order is taken and never changes: the account
/// rules do not let an order flip a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PositionIntent {
    /// Begins or adds to a long position.
    BuyToOpen,
    /// Covers a short position.
    BuyToClose,
    /// Begins or adds to a short position.
    SellToOpen,
    /// Sells out of a long position.
    SellToClose,
}

impl PositionIntent {
    /// The wire word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BuyToOpen => "buy_to_open",
            Self::BuyToClose => "buy_to_close",
            Self::SellToOpen => "sell_to_open",
            Self::SellToClose => "sell_to_close",
        }
    }

    /// Whether it adds to a position, and so holds buying power while it is open.
    pub const fn opens(self) -> bool {
        match self {
            Self::BuyToOpen | Self::SellToOpen => true,
            Self::BuyToClose | Self::SellToClose => false,
        }
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderState {
    /// Taken, not yet routed.
    PendingNew,
    /// Queued until its session begins.
    Accepted,
    /// Working.
    New,
    /// Working, part done.
    PartiallyFilled,
    /// Done.
    Filled,
    /// Cancelled; may have filled in part before.
    Canceled,
    /// Its time ran out; may have filled in part before.
    Expired,
}

/// An event that cannot happen to an order in its state: a fault of the venue itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {state:?} cannot have the event {event:?}")]
pub struct ImpossibleEvent {
    /// Where the order stood.
    pub state: OrderState,
    /// What was to happen.
    pub event: EventKind,
}

impl OrderState {
    /// The wire word of the order's `status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingNew => "pending_new",
            Self::Accepted => "accepted",
            Self::New => "new",
            Self::PartiallyFilled => "partially_filled",
            Self::Filled => "filled",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }

    /// Whether nothing can happen to the order any more.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::Canceled | Self::Expired)
    }

    /// The state after an event.
    ///
    /// # Errors
    /// When the pair cannot happen.
    pub const fn after(self, event: EventKind) -> Result<Self, ImpossibleEvent> {
        use EventKind as E;
        match (self, event) {
            (Self::PendingNew, E::PendingNew) => Ok(Self::PendingNew),
            (Self::PendingNew, E::Accepted) => Ok(Self::Accepted),
            (Self::PendingNew | Self::Accepted, E::New) => Ok(Self::New),
            (Self::New | Self::PartiallyFilled, E::PartialFill) => Ok(Self::PartiallyFilled),
            (Self::New | Self::PartiallyFilled, E::Fill) => Ok(Self::Filled),
            (Self::PendingNew | Self::Accepted | Self::New | Self::PartiallyFilled, E::Canceled) => {
                Ok(Self::Canceled)
            }
            (Self::PendingNew | Self::Accepted | Self::New | Self::PartiallyFilled, E::Expired) => {
                Ok(Self::Expired)
            }
            (Self::PendingNew, E::PartialFill | E::Fill)
            | (Self::Accepted, E::PendingNew | E::Accepted | E::PartialFill | E::Fill)
            | (Self::New | Self::PartiallyFilled, E::PendingNew | E::Accepted | E::New)
            | (
                Self::Filled | Self::Canceled | Self::Expired,
                E::PendingNew | E::Accepted | E::New | E::PartialFill | E::Fill | E::Canceled | E::Expired,
            ) => Err(ImpossibleEvent { state: self, event }),
        }
    }
}

impl From<OrderState> for OrderStatus {
    fn from(state: OrderState) -> Self {
        match state {
            OrderState::PendingNew => Self::PendingNew,
            OrderState::Accepted => Self::Accepted,
            OrderState::New => Self::New,
            OrderState::PartiallyFilled => Self::PartiallyFilled,
            OrderState::Filled => Self::Filled,
            OrderState::Canceled => Self::Canceled,
            OrderState::Expired => Self::Expired,
        }
    }
}

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
    /// Cancelled.
    Canceled,
    /// Its time ran out.
    Expired,
}

impl EventKind {
    /// The wire word of a trade update's `event`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingNew => "pending_new",
            Self::Accepted => "accepted",
            Self::New => "new",
            Self::PartialFill => "partial_fill",
            Self::Fill => "fill",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }
}

impl From<EventKind> for TradeEvent {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::New => Self::New,
            EventKind::PartialFill => Self::PartialFill,
            EventKind::Fill => Self::Fill,
            EventKind::Canceled => Self::Canceled,
            EventKind::Expired => Self::Expired,
            EventKind::PendingNew | EventKind::Accepted => Self::Other(kind.as_str().to_owned()),
        }
    }
}

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
    /// How many shares.
    pub qty: Qty,
    /// What kind.
    pub kind: OrderKind,
    /// How long.
    pub time_in_force: TimeInForce,
    /// Whether it may fill outside the regular session.
    pub extended_hours: bool,
    /// Where it stands.
    pub state: OrderState,
    /// Shares filled so far.
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
}

impl VenueOrder {
    /// Average price of what is filled, to nine decimals; `None` while nothing is.
    pub fn filled_avg_price(&self) -> Option<Price> {
        crate::account::average(self.filled_cost, self.filled_qty)
    }

    /// Shares not filled.
    pub fn remaining(&self) -> Qty {
        self.qty - self.filled_qty
    }

    /// Whether something may still happen to it.
    pub const fn is_open(&self) -> bool {
        !self.state.is_terminal()
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
    /// When.
    pub time: MarketTime,
    /// The order after it.
    pub order: VenueOrder,
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [OrderState; 7] = [
        OrderState::PendingNew,
        OrderState::Accepted,
        OrderState::New,
        OrderState::PartiallyFilled,
        OrderState::Filled,
        OrderState::Canceled,
        OrderState::Expired,
    ];
    const EVENTS: [EventKind; 7] = [
        EventKind::PendingNew,
        EventKind::Accepted,
        EventKind::New,
        EventKind::PartialFill,
        EventKind::Fill,
        EventKind::Canceled,
        EventKind::Expired,
    ];

    #[test]
    fn the_table_of_an_orders_life() {
        // One row a state, one column an event, in the order above; `.` is impossible.
        let check = |state: OrderState, row: [&str; 7]| {
            for (event, expected) in EVENTS.into_iter().zip(row) {
                let word = state.after(event).map_or(".", OrderState::as_str);
                assert_eq!(word, expected, "{state:?} {event:?}");
            }
        };
        check(OrderState::PendingNew, ["pending_new", "accepted", "new", ".", ".", "canceled", "expired"]);
        check(OrderState::Accepted, [".", ".", "new", ".", ".", "canceled", "expired"]);
        for state in [OrderState::New, OrderState::PartiallyFilled] {
            check(state, [".", ".", ".", "partially_filled", "filled", "canceled", "expired"]);
        }
        for state in STATES.into_iter().filter(|state| state.is_terminal()) {
            check(state, ["."; 7]);
        }
    }

    #[test]
    fn words_are_the_brokers() {
        for state in STATES {
            let status = OrderStatus::from(state);
            assert_eq!(status.is_terminal(), state.is_terminal());
            assert_eq!(format!("{status:?}"), format!("{state:?}"));
        }
    }
}
