//! What is written.

use sandpit_types::{
    Activity, BrokerOrderId, ClientOrderId, Fill, HostEpoch, Links, MarketTime, OrderRequest, Qty, Refusal,
    Signal, StrategyName, StrategyOrderId, Symbol, Usd,
};

/// One thing to be kept. The records of one commit are written together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A new order, or one adopted from the broker.
    Order(Box<OrderRow>),
    /// An order stands elsewhere now.
    Change(Box<OrderChange>),
    /// A fill, with the sub-book after it.
    Fill {
        /// The fill; a second one with the same order and execution id is not kept.
        fill: Fill,
        /// Of its strategy and symbol.
        after: SubBookRow,
    },
    /// An operator set by hand what a strategy holds: the fills do not make it.
    Correction {
        /// When; there is one a moment.
        time: MarketTime,
        /// Shares that came (above zero) or went by it.
        qty: Qty,
        /// What was added to the money received less money paid.
        cash: Usd,
        /// The sub-book after it.
        after: SubBookRow,
    },
    /// What the account was worth.
    Equity {
        /// When.
        time: MarketTime,
        /// Cash plus market values.
        equity: Usd,
        /// Cash.
        cash: Usd,
    },
    /// A strategy's recorded decision.
    Signal {
        /// When.
        time: MarketTime,
        /// Whose.
        strategy: StrategyName,
        /// What and why.
        signal: Signal,
    },
    /// An order that was not sent.
    Refusal {
        /// When.
        time: MarketTime,
        /// Who wanted it.
        strategy: StrategyName,
        /// The strategy's id for it.
        id: StrategyOrderId,
        /// Why not.
        refusal: Refusal,
    },
    /// A life of the host begins.
    HostStart {
        /// Its epoch.
        epoch: HostEpoch,
        /// Its mode, such as `paper`.
        mode: String,
        /// When.
        time: MarketTime,
    },
    /// A row of the broker's account activities; a second one with the same id is not kept.
    Activity(Activity),
    /// A value that outlives the process, such as the highest equity seen; a later one takes its place.
    Fact {
        /// Its name, such as `peak-equity`.
        name: &'static str,
        /// The value; `None` forgets it.
        value: Option<String>,
    },
    /// What a strategy gave to be kept; a later one takes its place.
    StrategyState {
        /// When.
        time: MarketTime,
        /// Whose.
        strategy: StrategyName,
        /// The version of the strategy that wrote it.
        version: String,
        /// Its bytes.
        state: Vec<u8>,
    },
    /// Something a human had to see.
    Alert {
        /// When.
        time: MarketTime,
        /// What.
        text: String,
    },
    /// Somebody did something: an operator's cancel and a strategy's have one shape.
    Audit(Audit),
    /// Something that a post-mortem wants to know.
    Notice {
        /// When.
        time: MarketTime,
        /// What kind of thing, such as `foreign-order`.
        subject: &'static str,
        /// What exactly.
        detail: String,
    },
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A strategy.
    Strategy(StrategyName),
    /// A person, by name as the system knows it.
    Operator(String),
    /// The host by itself.
    Host,
    /// The broker, or somebody at the broker past us.
    Broker,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// When.
    pub time: MarketTime,
    /// Who.
    pub actor: Actor,
    /// What, such as `submit`, `cancel`, `fill` or `freeze`.
    pub action: &'static str,
    /// Which order, if one.
    pub client_id: Option<ClientOrderId>,
    /// Which symbol, if one.
    pub symbol: Option<Symbol>,
    /// In words: how much, at which price, why.
    pub detail: String,
}

/// One order as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// As it was sent.
    pub request: OrderRequest,
    /// The id its strategy chose; `None` when it was adopted.
    pub strategy_id: Option<StrategyOrderId>,
    /// How it belongs to other orders.
    pub links: Links,
    /// The strategy's life within the epoch.
    pub incarnation: u32,
    /// Where it stands, as the writer of the record spells it.
    pub state: String,
    /// Whether it may still change: such orders are loaded at the next start.
    pub is_open: bool,
    /// The broker's id, if known.
    pub broker_id: Option<BrokerOrderId>,
    /// Shares filled.
    pub filled_qty: Qty,
    /// Shares times price, summed over what is filled.
    pub filled_notional: Usd,
    /// When it was recorded.
    pub recorded_at: MarketTime,
}

/// Where an order stands after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderChange {
    /// The order; it has to be recorded before.
    pub client_id: ClientOrderId,
    /// Where it stands.
    pub state: String,
    /// Whether it may still change.
    pub is_open: bool,
    /// The broker's id, if known.
    pub broker_id: Option<BrokerOrderId>,
    /// Shares filled.
    pub filled_qty: Qty,
    /// Shares times price, summed over what is filled.
    pub filled_notional: Usd,
    /// When it changed.
    pub time: MarketTime,
    /// Why, in words; may be empty.
    pub note: String,
}

/// What one strategy holds of one symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubBookRow {
    /// Whose.
    pub strategy: StrategyName,
    /// Of what.
    pub symbol: Symbol,
    /// Shares; negative when short.
    pub qty: Qty,
    /// What the shares held have cost, with the position's sign.
    pub cost: Usd,
    /// Money received less money paid.
    pub cash: Usd,
}
