//! Orders, positions and what becomes of them.

use std::time::Duration;

use crate::{Instrument, Price, Qty, Time, Usd};

/// A strategy's own id of an order; [`crate::Ctx`] chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u64);

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// More shares.
    Buy,
    /// Fewer shares.
    Sell,
}

impl Side {
    /// The other way.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// The quantity with the sign it has in a position: positive for a buy.
    pub fn signed(self, quantity: Qty) -> Qty {
        match self {
            Self::Buy => quantity,
            Self::Sell => -quantity,
        }
    }
}

/// How long an order stays at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeInForce {
    /// Until the close of the session.
    Day,
    /// Until cancelled.
    Gtc,
    /// At once, the rest is cancelled.
    Ioc,
    /// At once and wholly, or not at all.
    Fok,
}

/// What kind of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// At whatever the market gives.
    Market,
    /// At this price or better; a whole number of ticks.
    Limit(Price),
}

impl OrderKind {
    /// The limit price, if this kind has one.
    pub const fn limit_price(self) -> Option<Price> {
        match self {
            Self::Market => None,
            Self::Limit(price) => Some(price),
        }
    }
}

/// An order a strategy wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submit {
    /// The strategy's id for it.
    pub id: OrderId,
    /// Which symbol.
    pub instrument: Instrument,
    /// Which way.
    pub side: Side,
    /// Shares, above zero.
    pub quantity: Qty,
    /// Market or limit.
    pub kind: OrderKind,
    /// How long it stays at the broker.
    pub time_in_force: TimeInForce,
    /// Whether it may fill outside the regular session.
    pub extended_hours: bool,
    /// How long it may wait in the host's queue, market time; zero means the host's default.
    pub time_to_live: Duration,
}

/// One thing a strategy wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Send an order.
    Submit(Submit),
    /// Cancel one order of its own.
    Cancel(OrderId),
    /// Cancel all orders of its own.
    CancelAll,
    /// Wake it at this time; setting the same id again moves the timer.
    SetTimer {
        /// The strategy's name for the timer.
        id: u64,
        /// When.
        at: Time,
    },
    /// Forget a timer.
    CancelTimer(u64),
    /// Record a decision with its reason.
    Signal {
        /// Which symbol, if one.
        instrument: Option<Instrument>,
        /// What and why; the host cuts it at 1 KiB.
        reason: String,
    },
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    /// Taken by the host or broker, not yet at the exchange.
    Pending,
    /// At the exchange.
    Working,
    /// At the exchange, part done.
    PartiallyFilled,
    /// Done.
    Filled,
    /// Cancelled; may have filled in part before.
    Canceled,
    /// Its time ran out; may have filled in part before.
    Expired,
    /// The broker would not have it.
    Rejected,
}

impl OrderStatus {
    /// Whether nothing more can happen to the order.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Working | Self::PartiallyFilled => false,
            Self::Filled | Self::Canceled | Self::Expired | Self::Rejected => true,
        }
    }
}

/// News of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderUpdate {
    /// Which order.
    pub id: OrderId,
    /// Which symbol.
    pub instrument: Instrument,
    /// Where it stands.
    pub status: OrderStatus,
    /// Shares filled so far, cumulative.
    pub filled: Qty,
}

/// Some shares changed hands. The position has them already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Which order.
    pub id: OrderId,
    /// Which symbol.
    pub instrument: Instrument,
    /// Which way.
    pub side: Side,
    /// Shares of this fill.
    pub quantity: Qty,
    /// At which price.
    pub price: Price,
}

/// The host did not send an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which order.
    pub id: OrderId,
    /// A named reason, such as `position-limit`.
    pub reason: String,
}

/// Shares of one symbol in this strategy's own sub-book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Shares; negative when short.
    pub quantity: Qty,
    /// Average price paid.
    pub average_price: Price,
}

/// An order that may still fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    /// Which order.
    pub id: OrderId,
    /// Which symbol.
    pub instrument: Instrument,
    /// Which way.
    pub side: Side,
    /// Shares asked for.
    pub quantity: Qty,
    /// Shares filled so far.
    pub filled: Qty,
    /// Absent for a market order.
    pub limit_price: Option<Price>,
}

/// Money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Cash plus the market value of all positions.
    pub equity: Usd,
    /// What new positions may cost.
    pub buying_power: Usd,
}
