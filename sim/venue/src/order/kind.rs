//! What kind of order, how much, how long, and what hangs on it.

use rust_decimal::Decimal;
use sandpit_types::{Price, Qty, Usd};

/// What kind of order, with the prices that kind needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// At whatever the market gives.
    Market,
    /// At this price or better.
    Limit {
        /// The worst price that is acceptable.
        limit_price: Price,
    },
    /// Waits for a trade at or through the stop.
    Stop {
        /// The price that elects it.
        stop_price: Price,
    },
    /// Waits for the stop, then works as a limit order.
    StopLimit {
        /// The price that elects it.
        stop_price: Price,
        /// The worst price that is acceptable.
        limit_price: Price,
    },
    /// A stop that follows the market at a distance.
    TrailingStop {
        /// The distance.
        trail: Trail,
    },
}

impl OrderKind {
    /// The wire word of the order's `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Limit { .. } => "limit",
            Self::Stop { .. } => "stop",
            Self::StopLimit { .. } => "stop_limit",
            Self::TrailingStop { .. } => "trailing_stop",
        }
    }

    /// The limit price, if this kind has one.
    pub const fn limit_price(self) -> Option<Price> {
        match self {
            Self::Limit { limit_price } | Self::StopLimit { limit_price, .. } => Some(limit_price),
            Self::Market | Self::Stop { .. } | Self::TrailingStop { .. } => None,
        }
    }

    /// The stop price, if the order names one; a trailing stop's follows the market.
    pub const fn stop_price(self) -> Option<Price> {
        match self {
            Self::Stop { stop_price } | Self::StopLimit { stop_price, .. } => Some(stop_price),
            Self::Market | Self::Limit { .. } | Self::TrailingStop { .. } => None,
        }
    }

    /// The distance of a trailing stop.
    pub const fn trail(self) -> Option<Trail> {
        match self {
            Self::TrailingStop { trail } => Some(trail),
            Self::Market | Self::Limit { .. } | Self::Stop { .. } | Self::StopLimit { .. } => None,
        }
    }

    /// Whether it waits for an election before it can fill.
    pub const fn is_stop(self) -> bool {
        match self {
            Self::Stop { .. } | Self::StopLimit { .. } | Self::TrailingStop { .. } => true,
            Self::Market | Self::Limit { .. } => false,
        }
    }
}

/// The distance of a trailing stop from the best price since it began to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trail {
    /// So many dollars.
    Price(Price),
    /// So many per cent, at least 0.1.
    Percent(Decimal),
}

/// How long an order stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeInForce {
    /// Until the close of the session.
    Day,
    /// Until cancelled, at most 90 days.
    Gtc,
    /// For the open of the session only.
    Opg,
    /// For the close of the session only.
    Cls,
    /// At once, the rest is cancelled.
    Ioc,
    /// At once and wholly, or not at all.
    Fok,
}

impl TimeInForce {
    /// The wire word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Gtc => "gtc",
            Self::Opg => "opg",
            Self::Cls => "cls",
            Self::Ioc => "ioc",
            Self::Fok => "fok",
        }
    }

    /// Whether it meets one quote only.
    pub(crate) const fn is_immediate(self) -> bool {
        match self {
            Self::Opg | Self::Ioc | Self::Fok => true,
            Self::Day | Self::Gtc | Self::Cls => false,
        }
    }
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many shares.
    Qty(Qty),
    /// Shares worth so many dollars.
    Notional(Usd),
}

impl Amount {
    /// The shares, if it counts in shares.
    pub const fn qty(self) -> Option<Qty> {
        match self {
            Self::Qty(qty) => Some(qty),
            Self::Notional(_) => None,
        }
    }

    /// The dollars, if it counts in dollars.
    pub const fn notional(self) -> Option<Usd> {
        match self {
            Self::Qty(_) => None,
            Self::Notional(notional) => Some(notional),
        }
    }

    /// Whether the broker itself fills it: by notional, or with a fraction of a share.
    pub(crate) fn is_fractional(self) -> bool {
        match self {
            Self::Qty(qty) => !qty.get().fract().is_zero(),
            Self::Notional(_) => true,
        }
    }
}

/// The exit that limits a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopLoss {
    /// The price that elects it.
    pub stop_price: Price,
    /// Makes it a stop-limit.
    pub limit_price: Option<Price>,
}

impl StopLoss {
    /// The order kind of the leg.
    pub(crate) const fn kind(self) -> OrderKind {
        let stop_price = self.stop_price;
        match self.limit_price {
            Some(limit_price) => OrderKind::StopLimit { stop_price, limit_price },
            None => OrderKind::Stop { stop_price },
        }
    }
}

/// What hangs on an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing.
    Simple,
    /// Two exits that begin when it is filled; the end of one is the end of the other.
    Bracket {
        /// Limit price of the exit with profit.
        take_profit: Price,
        /// The exit with loss.
        stop_loss: StopLoss,
    },
    /// The order itself is the take-profit of a position; a stop hangs on it.
    Oco {
        /// The exit with loss.
        stop_loss: StopLoss,
    },
    /// One exit with profit.
    OtoTakeProfit {
        /// Its limit price.
        take_profit: Price,
    },
    /// One exit with loss.
    OtoStopLoss {
        /// The exit.
        stop_loss: StopLoss,
    },
}

impl Class {
    /// The wire word of `order_class`; empty for a simple order.
    pub const fn as_str(self) -> &'static str {
        self.kind().as_str()
    }

    /// The class without its prices.
    pub const fn kind(self) -> ClassKind {
        match self {
            Self::Simple => ClassKind::Simple,
            Self::Bracket { .. } => ClassKind::Bracket,
            Self::Oco { .. } => ClassKind::Oco,
            Self::OtoTakeProfit { .. } | Self::OtoStopLoss { .. } => ClassKind::Oto,
        }
    }

    /// Limit price of the take-profit that hangs on the order.
    pub const fn take_profit(self) -> Option<Price> {
        match self {
            Self::Bracket { take_profit, .. } | Self::OtoTakeProfit { take_profit } => Some(take_profit),
            Self::Simple | Self::Oco { .. } | Self::OtoStopLoss { .. } => None,
        }
    }

    /// The stop-loss that hangs on the order.
    pub const fn stop_loss(self) -> Option<StopLoss> {
        match self {
            Self::Bracket { stop_loss, .. } | Self::Oco { stop_loss } | Self::OtoStopLoss { stop_loss } => {
                Some(stop_loss)
            }
            Self::Simple | Self::OtoTakeProfit { .. } => None,
        }
    }
}

/// The class of an order or of the group it is a leg of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClassKind {
    /// Alone.
    Simple,
    /// An entry with two exits.
    Bracket,
    /// Two exits.
    Oco,
    /// An entry with one exit.
    Oto,
}

impl ClassKind {
    /// The wire word of `order_class`; empty for a simple order.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "",
            Self::Bracket => "bracket",
            Self::Oco => "oco",
            Self::Oto => "oto",
        }
    }
}
