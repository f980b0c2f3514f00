//! What the venue is asked to do.

use rust_decimal::Decimal;
use sandpit_types::{Price, Qty, Side, Symbol};

use super::{Amount, Class, OrderKind, TimeInForce};

/// An order as it comes to the venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// The sender's id, at most 128 characters; the venue makes a UUID when it is absent or empty.
    pub client_order_id: Option<String>,
    /// Which symbol.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// How much.
    pub amount: Amount,
    /// What kind.
    pub kind: OrderKind,
    /// How long.
    pub time_in_force: TimeInForce,
    /// Whether it may fill outside the regular session.
    pub extended_hours: bool,
    /// What hangs on it.
    pub class: Class,
    /// What the sender means it to do to the position; a wrong one is rejected.
    pub position_intent: Option<PositionIntent>,
}

/// What of an order is to change; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replacement {
    /// Shares in all, what is filled included; whole ones.
    pub qty: Option<Qty>,
    /// How long.
    pub time_in_force: Option<TimeInForce>,
    /// The limit price.
    pub limit_price: Option<Price>,
    /// The stop price.
    pub stop_price: Option<Price>,
    /// The distance of a trailing stop, in the unit that it has.
    pub trail: Option<Decimal>,
    /// The new order's own id; the venue makes a UUID when it is absent.
    pub client_order_id: Option<String>,
}

/// How much of a position is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosePart {
    /// All of it.
    All,
    /// So many shares.
    Qty(Qty),
    /// So many per cent, above 0 and at most 100; cut to nine decimals of a share.
    Percent(Decimal),
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

    /// The intent of an order of this side that closes.
    pub(crate) const fn closing(side: Side) -> Self {
        match side {
            Side::Buy => Self::BuyToClose,
            Side::Sell => Self::SellToClose,
        }
    }
}
