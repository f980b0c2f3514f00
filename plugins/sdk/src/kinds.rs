//! The words for an order: which way, how long, at which price, how much, with which exits.

use crate::{Percent, Price, Qty, Usd};

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

/// How far a trailing stop stays behind the best price since it was sent; above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trail {
    /// US dollars a share.
    Price(Price),
    /// Percent of the best price; at least 0.1 %.
    Percent(Percent),
}

impl From<Price> for Trail {
    fn from(price: Price) -> Self {
        Self::Price(price)
    }
}

impl From<Percent> for Trail {
    fn from(percent: Percent) -> Self {
        Self::Percent(percent)
    }
}

/// What kind of order. Prices are whole numbers of ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// At whatever the market gives.
    Market,
    /// At this price or better.
    Limit(Price),
    /// A market order once a trade is at this price or beyond.
    Stop(Price),
    /// A limit order once a trade is at the stop price or beyond.
    StopLimit {
        /// What wakes it.
        stop: Price,
        /// The worst price that is acceptable then.
        limit: Price,
    },
    /// A market order once the price has turned back by the trail from its best.
    TrailingStop(Trail),
}

impl OrderKind {
    /// The limit price, if this kind has one.
    pub const fn limit_price(self) -> Option<Price> {
        match self {
            Self::Limit(price) | Self::StopLimit { limit: price, .. } => Some(price),
            Self::Market | Self::Stop(_) | Self::TrailingStop(_) => None,
        }
    }

    /// The stop price, if this kind has one from the start.
    pub const fn stop_price(self) -> Option<Price> {
        match self {
            Self::Stop(price) | Self::StopLimit { stop: price, .. } => Some(price),
            Self::Market | Self::Limit(_) | Self::TrailingStop(_) => None,
        }
    }
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Shares; above zero.
    Shares(Qty),
    /// Dollars; above zero. The host makes shares of them, rounded down, by the last quote it told (the ask
    /// of a buy, the bid of a sell), else by the last trade or bar. Without a price it refuses as
    /// `stale-data`, with less than the smallest quantity as `bad-quantity`: that is 10^-9 shares for
    /// simple day orders that are no trailing stops and leave nothing short, else one share.
    Notional(Usd),
}

impl From<Qty> for Amount {
    fn from(shares: Qty) -> Self {
        Self::Shares(shares)
    }
}

impl From<Usd> for Amount {
    fn from(usd: Usd) -> Self {
        Self::Notional(usd)
    }
}

/// An exit that limits a loss: a stop order, or a stop-limit order if it has a limit. A [`Price`] alone is
/// one without a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopLoss {
    /// What wakes it.
    pub stop: Price,
    /// The worst price that is acceptable then.
    pub limit: Option<Price>,
}

impl From<Price> for StopLoss {
    fn from(stop: Price) -> Self {
        Self { stop, limit: None }
    }
}

/// Which exit a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leg {
    /// The limit order that takes the profit.
    TakeProfit,
    /// The stop order that limits the loss.
    StopLoss,
}

/// Orders that the broker makes besides the order itself and watches over, even while no host runs: its legs.
///
/// A leg has the id of its order; updates and fills of it say which leg. For day and GTC orders in whole
/// shares, in the regular session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderClass {
    /// One order by itself.
    #[default]
    Simple,
    /// An entry. Once it has filled wholly, two exits of which one cancels the other.
    Bracket {
        /// The limit price of the exit with a profit.
        take_profit: Price,
        /// The exit with a loss.
        stop_loss: StopLoss,
    },
    /// Two exits of a position, of which one cancels the other: the order itself, a limit order that takes
    /// the profit, and this one.
    Oco(StopLoss),
    /// An entry. Once it has filled wholly, an exit with a profit, at this limit price.
    OtoTakeProfit(Price),
    /// An entry. Once it has filled wholly, an exit that limits the loss.
    OtoStopLoss(StopLoss),
}

impl OrderClass {
    /// The legs besides the order itself, each with its kind.
    pub(crate) fn legs(self) -> impl Iterator<Item = (Leg, OrderKind)> {
        let profit = |price| (Leg::TakeProfit, OrderKind::Limit(price));
        let loss = |StopLoss { stop, limit }: StopLoss| {
            (Leg::StopLoss, limit.map_or(OrderKind::Stop(stop), |limit| OrderKind::StopLimit { stop, limit }))
        };
        let legs = match self {
            Self::Simple => [None, None],
            Self::Bracket { take_profit, stop_loss } => [Some(profit(take_profit)), Some(loss(stop_loss))],
            Self::Oco(stop_loss) | Self::OtoStopLoss(stop_loss) => [Some(loss(stop_loss)), None],
            Self::OtoTakeProfit(price) => [Some(profit(price)), None],
        };
        legs.into_iter().flatten()
    }

    /// Which way the legs go, of an order that goes `side`.
    pub(crate) const fn side_of_legs(self, side: Side) -> Side {
        match self {
            Self::Oco(_) => side,
            Self::Simple | Self::Bracket { .. } | Self::OtoTakeProfit(_) | Self::OtoStopLoss(_) => {
                side.opposite()
            }
        }
    }
}
