//! What goes into a strategy and what comes out.

use std::time::Duration;

use sandpit_types::{
    Bar, Intent, Leg, MarketEvent, MarketTime, OrderKind, OrderStatus, OrderUpdate, Price, Qty, Refusal,
    Side, StrategyName, StrategyOrderId, Symbol, Usd,
};

use serde::{Deserialize, Serialize};

use crate::{Failure, Snapshot};

/// How long a bar is.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// One thing a strategy is told, in the order in which it became true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StrategyEvent {
    /// The market spoke.
    Market(MarketEvent),
    /// A bar from before the first live event: the strategy sees it, its intents are ignored.
    Warmup(Bar),
    /// An order of its own stands elsewhere now.
    Order(OrderUpdate),
    /// Some shares of an order of its own filled. Push the [`StrategyEvent::Position`] after the fill before
    /// it, so that the strategy reads the new position while it handles the fill.
    Fill {
        /// The strategy's id of the order.
        id: StrategyOrderId,
        /// Which exit, when a leg filled.
        leg: Option<Leg>,
        /// Which symbol.
        symbol: Symbol,
        /// Which way.
        side: Side,
        /// Shares of this fill.
        qty: Qty,
        /// Price of these shares.
        price: Price,
        /// When, by the broker's stamp.
        time: MarketTime,
    },
    /// An intent of its own was refused.
    Refused {
        /// The strategy's id of the order.
        id: StrategyOrderId,
        /// Why.
        refusal: Refusal,
        /// When.
        time: MarketTime,
    },
    /// The account, for reads; no handler is called.
    Account {
        /// Cash plus market values.
        equity: Usd,
        /// What may still be bought.
        buying_power: Usd,
    },
    /// The sub-book's position, at the start and after each change, for reads; no handler is called.
    Position {
        /// Which symbol.
        symbol: Symbol,
        /// Shares; negative when short.
        qty: Qty,
        /// Average price paid.
        avg_price: Price,
    },
    /// An order that was open before this start, for reads; no handler is called.
    OpenOrder {
        /// The strategy's id of the order; of a leg, that of the order it belongs to.
        id: StrategyOrderId,
        /// Which exit, when it is a leg.
        leg: Option<Leg>,
        /// Which symbol.
        symbol: Symbol,
        /// Which way.
        side: Side,
        /// Shares asked for.
        qty: Qty,
        /// Shares filled so far.
        filled_qty: Qty,
        /// What kind, with its prices.
        kind: OrderKind,
        /// Where it stands.
        status: OrderStatus,
    },
    /// Market time moved on: due timers fire, a rest after a strike ends.
    Tick(MarketTime),
    /// Answer this nonce on the pulse.
    Probe(u64),
    /// Let go of the strategy. Overtakes everything that waits.
    Stop(String),
}

impl StrategyEvent {
    /// The time by which timers fire before it. Only what comes from the market fires them: what the desk
    /// tells belongs together, as a position and the fill that made it, and a timer between the two would
    /// see half. A bar of the past fires none.
    pub(crate) fn fires(&self) -> Option<MarketTime> {
        match self {
            Self::Market(_) | Self::Tick(_) => self.time(),
            _ => None,
        }
    }

    /// The symbol that a bar, a quote or a trade is of.
    pub(crate) fn priced(&self) -> Option<&Symbol> {
        match self {
            Self::Market(MarketEvent::Bar(bar) | MarketEvent::MarkedBar(bar, _)) | Self::Warmup(bar) => {
                Some(&bar.symbol)
            }
            Self::Market(MarketEvent::Quote(quote)) => Some(&quote.symbol),
            Self::Market(MarketEvent::Trade(trade)) => Some(&trade.symbol),
            _ => None,
        }
    }

    /// The order of the strategy's own that it is about.
    pub(crate) fn order(&self) -> Option<StrategyOrderId> {
        match self {
            Self::Order(update) => Some(update.id),
            Self::Fill { id, .. } | Self::Refused { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// Whether it comes while the strategy runs, and not before.
    pub(crate) fn is_live(&self) -> bool {
        matches!(
            self,
            Self::Market(_) | Self::Order(_) | Self::Fill { .. } | Self::Refused { .. } | Self::Tick(_)
        )
    }

    /// The time that it carries market time on to, if any. News and fills bear stamps of the broker's that
    /// nobody has checked: one of tomorrow must not fire today's timers. Ticks tell the time soon enough.
    pub fn time(&self) -> Option<MarketTime> {
        match self {
            Self::Market(MarketEvent::News(_)) | Self::Fill { .. } => None,
            Self::Market(event) => Some(event.time()),
            Self::Warmup(bar) => Some(bar.start + MINUTE),
            Self::Order(update) => Some(update.time),
            Self::Refused { time, .. } | Self::Tick(time) => Some(*time),
            Self::Account { .. }
            | Self::Position { .. }
            | Self::OpenOrder { .. }
            | Self::Probe(_)
            | Self::Stop(_) => None,
        }
    }
}

/// One thing a strategy did, or that was done about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StrategyOutput {
    /// It wants something. Never empty.
    Intents {
        /// Who.
        strategy: StrategyName,
        /// Which life of it: zero at first, one more after each restart. Order ids are unique within one.
        incarnation: u32,
        /// What it wants, in order. Timers are kept here already: there is nothing to do about them.
        intents: Vec<Intent>,
        /// Market time of the event that caused it.
        event_time: MarketTime,
    },
    /// It failed and goes on after a rest: from its saved state, if it has one.
    Struck {
        /// Who.
        strategy: StrategyName,
        /// How.
        reason: Failure,
        /// Strikes that count now, this one included.
        strikes: u32,
        /// When its rest ends, market time: its next life begins with the first event from then on.
        until: MarketTime,
    },
    /// It failed once too often, or events were lost: it gets no more of them. Cancel its orders.
    Quarantined {
        /// Who.
        strategy: StrategyName,
        /// The last failure.
        reason: Failure,
    },
    /// It saved its state: keep it for the next start of the host. A newer one takes its place.
    Snapshot {
        /// Who.
        strategy: StrategyName,
        /// What to start from.
        snapshot: Snapshot,
    },
    /// A new version took over. A quarantine is lifted by it, and strikes begin anew.
    Swapped {
        /// Who.
        strategy: StrategyName,
        /// Checksum of the new version's file.
        sha256: String,
        /// The life that begins.
        incarnation: u32,
        /// The longest that no event could be handled, real time.
        pause: Duration,
    },
    /// A new version did not take over and is let go of. The one before goes on as it was.
    SwapFailed {
        /// Who.
        strategy: StrategyName,
        /// Checksum of the new version's file.
        sha256: String,
        /// Why.
        reason: Failure,
    },
    /// It was stopped as asked. The last output.
    Stopped {
        /// Who.
        strategy: StrategyName,
    },
}
