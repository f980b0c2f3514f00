//! Orders, positions and what becomes of them.

use std::time::Duration;

use crate::{Instrument, Percent, Price, Qty, Time, Usd};

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
    /// Dollars; above zero. The host makes shares of them, rounded down, by the last quote it told (the ask of a
    /// buy, the bid of a sell), else by the last trade or bar. Without a price it refuses as `stale-data`, with
    /// less than the smallest quantity as `bad-quantity`: that is 10^-9 shares for simple day orders that are no
    /// trailing stops and leave nothing short, else one share.
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

/// An exit that limits a loss: a stop order, or a stop-limit order if it has a limit. A [`Price`] alone is one
/// without a limit.
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
/// A leg has the id of its order; updates and fills of it say which leg. For day and GTC orders in whole shares,
/// in the regular session.
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
    /// Two exits of a position, of which one cancels the other: the order itself, a limit order that takes the
    /// profit, and this one.
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

/// An order a strategy wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submit {
    /// The strategy's id for it.
    pub id: OrderId,
    /// Which symbol.
    pub instrument: Instrument,
    /// Which way.
    pub side: Side,
    /// Shares or dollars.
    pub amount: Amount,
    /// What kind.
    pub kind: OrderKind,
    /// What else the broker makes of it.
    pub class: OrderClass,
    /// The worst limit price when the limit follows the market while the order waits in the host's queue.
    pub reprice: Option<Price>,
    /// How long it stays at the broker.
    pub time_in_force: TimeInForce,
    /// Whether it may fill outside the regular session.
    pub extended_hours: bool,
    /// How long it may wait in the host's queue, market time; zero means the host's default.
    pub time_to_live: Duration,
}

impl Submit {
    /// The shares wanted, where they were said.
    pub const fn shares(&self) -> Option<Qty> {
        match self.amount {
            Amount::Shares(shares) => Some(shares),
            Amount::Notional(_) => None,
        }
    }
}

/// An order that takes the place of a working one. What is `None` stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replace {
    /// The working order.
    pub id: OrderId,
    /// The order that takes its place.
    pub new_id: OrderId,
    /// Shares in all, those already filled included.
    pub quantity: Option<Qty>,
    /// The limit price.
    pub limit: Option<Price>,
    /// The stop price.
    pub stop: Option<Price>,
    /// How long it may wait in the host's queue, market time; zero means the host's default.
    pub time_to_live: Duration,
}

impl Replace {
    /// The kind with the prices that change.
    pub(crate) fn changed(&self, kind: OrderKind) -> OrderKind {
        let new = |stays: Price, change: Option<Price>| change.unwrap_or(stays);
        match kind {
            OrderKind::Market | OrderKind::TrailingStop(_) => kind,
            OrderKind::Limit(limit) => OrderKind::Limit(new(limit, self.limit)),
            OrderKind::Stop(stop) => OrderKind::Stop(new(stop, self.stop)),
            OrderKind::StopLimit { stop, limit } => {
                OrderKind::StopLimit { stop: new(stop, self.stop), limit: new(limit, self.limit) }
            }
        }
    }
}

/// One thing a strategy wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Send an order.
    Submit(Submit),
    /// Put another order in the place of a working one.
    Replace(Replace),
    /// Leave a symbol.
    ClosePosition {
        /// The strategy's id for the order that leaves.
        id: OrderId,
        /// Which symbol.
        instrument: Instrument,
    },
    /// Cancel one order of its own, and its legs.
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
    /// A leg that waits for its order or for the other leg. Of a bracket whose entry has filled, the stop loss
    /// stays held while the broker watches over it.
    Held,
    /// Over: another order has taken its place. It may have filled in part before.
    Replaced,
}

impl OrderStatus {
    /// Whether nothing more can happen to the order.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Working | Self::PartiallyFilled | Self::Held => false,
            Self::Filled | Self::Canceled | Self::Expired | Self::Rejected | Self::Replaced => true,
        }
    }
}

/// News of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderUpdate {
    /// Which order.
    pub id: OrderId,
    /// Which leg of it, when it is about one.
    pub leg: Option<Leg>,
    /// Which symbol.
    pub instrument: Instrument,
    /// Where it stands.
    pub status: OrderStatus,
    /// Shares filled so far, cumulative; of an order that replaced another, the fills of that one included.
    pub filled: Qty,
}

/// Some shares changed hands. The position has them already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Which order.
    pub id: OrderId,
    /// Which leg of it, when one has filled.
    pub leg: Option<Leg>,
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
    /// Which order: the one that was not sent, or the one that a cancel was about.
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

/// An order, or a leg of one, that may still fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    /// Which order.
    pub id: OrderId,
    /// Which leg of it, when it is one.
    pub leg: Option<Leg>,
    /// Which symbol.
    pub instrument: Instrument,
    /// Which way.
    pub side: Side,
    /// Shares in all. Of an order in dollars, zero until the handler that sent it has returned; of one that
    /// closes a position, what is held.
    pub quantity: Qty,
    /// Shares filled so far.
    pub filled: Qty,
    /// What kind, with the prices that were asked for.
    pub kind: OrderKind,
    /// Where it stands.
    pub status: OrderStatus,
}

/// Money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Cash plus the market value of all positions.
    pub equity: Usd,
    /// What new positions may cost.
    pub buying_power: Usd,
}
