//! Orders, positions and what becomes of them.

use std::time::Duration;

use crate::{Amount, Instrument, Leg, OrderClass, OrderKind, Price, Qty, Side, Time, TimeInForce, Usd};

/// A strategy's own id of an order; [`crate::Ctx`] chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u64);

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
    /// A leg that waits for its order or for the other leg. Of a bracket whose entry has filled, the stop
    /// loss stays held while the broker watches over it.
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
    /// Shares in all; of two exits, what the other one has filled is not taken off. Of an order in dollars,
    /// zero until the handler that sent it has returned; of one that closes a position, what is held.
    pub quantity: Qty,
    /// Shares filled so far.
    pub filled: Qty,
    /// What kind, with the prices that were asked for.
    pub kind: OrderKind,
    /// Where it stands.
    pub status: OrderStatus,
}

impl OpenOrder {
    /// Shares that may still fill; of two exits, what the other one has filled is not taken off.
    pub fn left(&self) -> Qty {
        self.quantity - self.filled
    }

    /// Whether it is a stop that guards a position which `exit` reduces: a stop order of its own, or a leg
    /// whose entry is over. The legs of an entry that still fills do not guard yet.
    pub fn is_guard(&self, exit: Side, all: &[Self]) -> bool {
        let is_entry = |other: &Self| other.id == self.id && other.leg.is_none() && other.side != exit;
        let is_stop = self.kind.stop_price().is_some() || matches!(self.kind, OrderKind::TrailingStop(_));
        self.side == exit && is_stop && !(self.leg.is_some() && all.iter().any(is_entry))
    }

    /// Shares that stops guard, of a position which `exit` reduces: what the [guards](Self::is_guard) may
    /// still fill, less what the other exit of a pair has filled.
    pub fn guarded(exit: Side, all: &[Self]) -> Qty {
        let by_the_other = |guard: &Self| -> Qty {
            let is_other = |order: &&Self| order.id == guard.id && order.leg != guard.leg;
            all.iter().filter(is_other).map(|order| order.filled).sum()
        };
        let guards = all.iter().filter(|order| order.is_guard(exit, all));
        guards.map(|guard| (guard.left() - by_the_other(guard)).max(Qty::ZERO)).sum()
    }
}

/// Money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Cash plus the market value of all positions.
    pub equity: Usd,
    /// What new positions may cost.
    pub buying_power: Usd,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Trail;

    #[test]
    fn stops_guard_once_their_entry_is_over() {
        let price = Price::from_nanos(1_000_000_000);
        let order = |id, leg, side, kind| {
            let (quantity, filled, status) = (Qty::shares(9), Qty::shares(4), OrderStatus::Working);
            let (id, instrument) = (OrderId(id), Instrument(0));
            OpenOrder { id, leg, instrument, side, quantity, filled, kind, status }
        };
        let check = |all: &[OpenOrder], expected: i64| {
            assert_eq!(OpenOrder::guarded(Side::Sell, all), Qty::shares(expected), "{all:?}");
        };
        let entry = order(1, None, Side::Buy, OrderKind::Market);
        let leg = order(1, Some(Leg::StopLoss), Side::Sell, OrderKind::Stop(price));
        let profit = order(1, Some(Leg::TakeProfit), Side::Sell, OrderKind::Limit(price));
        let oco = order(1, None, Side::Sell, OrderKind::Limit(price));
        let trail = order(2, None, Side::Sell, OrderKind::TrailingStop(Trail::Price(price)));
        check(&[entry, leg, profit], 0);
        check(&[leg], 5);
        check(&[leg, profit], 1);
        check(&[oco, leg], 1);
        check(&[leg, trail], 10);
        check(&[entry, leg, trail], 5);
        check(&[order(3, None, Side::Buy, OrderKind::Stop(price))], 0);
    }
}
