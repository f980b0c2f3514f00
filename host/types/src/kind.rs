//! Kinds of orders, and orders that belong together.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::Price;

/// What kind of order, with the prices that kind needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "snake_case", tag = "type")]
pub enum OrderKind {
    /// At whatever the market gives.
    Market,
    /// At this price or better.
    Limit {
        /// The worst price that is acceptable.
        limit_price: Price,
    },
    /// A market order once a trade is at this price or beyond.
    Stop {
        /// What wakes it.
        stop_price: Price,
    },
    /// A limit order once a trade is at the stop price or beyond.
    StopLimit {
        /// What wakes it.
        stop_price: Price,
        /// The worst price that is acceptable then.
        limit_price: Price,
    },
    /// A stop that follows the market at a distance and never goes back.
    TrailingStop {
        /// The distance.
        trail: Trail,
    },
}

/// How far a trailing stop stays behind the best price since it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trail {
    /// US dollars a share; above zero.
    Price(Price),
    /// Percent of the best price; at least 0.1.
    Percent(#[serde(with = "crate::binary::decimal")] Decimal),
}

impl OrderKind {
    /// The limit price, if this kind has one.
    pub const fn limit_price(self) -> Option<Price> {
        match self {
            Self::Limit { limit_price } | Self::StopLimit { limit_price, .. } => Some(limit_price),
            Self::Market | Self::Stop { .. } | Self::TrailingStop { .. } => None,
        }
    }

    /// The stop price, if this kind has one from the start.
    pub const fn stop_price(self) -> Option<Price> {
        match self {
            Self::Stop { stop_price } | Self::StopLimit { stop_price, .. } => Some(stop_price),
            Self::Market | Self::Limit { .. } | Self::TrailingStop { .. } => None,
        }
    }

    /// The wire word, such as `stop_limit`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Limit { .. } => "limit",
            Self::Stop { .. } => "stop",
            Self::StopLimit { .. } => "stop_limit",
            Self::TrailingStop { .. } => "trailing_stop",
        }
    }
}

/// Orders that belong together at the broker: it watches over them, even while no host runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "snake_case", tag = "class")]
pub enum OrderClass {
    /// One order by itself.
    #[default]
    Simple,
    /// An entry; once it has filled wholly, two exits of which one cancels the other.
    Bracket {
        /// The limit price of the exit with a profit.
        take_profit: Price,
        /// The exit with a loss.
        stop_loss: StopLoss,
    },
    /// Two exits of a position that is held, of which one cancels the other. The order itself is the limit
    /// order that takes the profit.
    Oco {
        /// The exit with a loss.
        stop_loss: StopLoss,
    },
    /// An entry; once it has filled wholly, one exit.
    Oto(Exit),
}

/// The exit of an [`OrderClass::Oto`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With a profit, at this limit price.
    TakeProfit(Price),
    /// With a loss.
    StopLoss(StopLoss),
}

/// An exit that limits a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopLoss {
    /// What wakes it.
    pub stop_price: Price,
    /// The worst price that is acceptable then; `None` takes what the market gives.
    pub limit_price: Option<Price>,
}

/// Which exit a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// The limit order that takes the profit.
    TakeProfit,
    /// The stop order that limits the loss.
    StopLoss,
}

impl Leg {
    /// The word in the database, such as `take_profit`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TakeProfit => "take_profit",
            Self::StopLoss => "stop_loss",
        }
    }
}

impl OrderClass {
    /// The legs that the broker makes besides the order itself, each with its kind.
    pub fn legs(self) -> Vec<(Leg, OrderKind)> {
        let profit = |limit_price| (Leg::TakeProfit, OrderKind::Limit { limit_price });
        let loss = |StopLoss { stop_price, limit_price }: StopLoss| {
            let kind = match limit_price {
                Some(limit_price) => OrderKind::StopLimit { stop_price, limit_price },
                None => OrderKind::Stop { stop_price },
            };
            (Leg::StopLoss, kind)
        };
        match self {
            Self::Simple => Vec::new(),
            Self::Bracket { take_profit, stop_loss } => vec![profit(take_profit), loss(stop_loss)],
            Self::Oco { stop_loss } => vec![loss(stop_loss)],
            Self::Oto(Exit::TakeProfit(price)) => vec![profit(price)],
            Self::Oto(Exit::StopLoss(stop_loss)) => vec![loss(stop_loss)],
        }
    }

    /// The wire word; empty for a simple order.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "",
            Self::Bracket { .. } => "bracket",
            Self::Oco { .. } => "oco",
            Self::Oto(_) => "oto",
        }
    }
}
