//! Everything worth showing, at one moment. `/status` is this as JSON; `/metrics` and `/health` are made from
//! it.

use std::collections::BTreeMap;

use serde::Serialize;

/// The figures of the host. Times are RFC 3339 in market time, money is US dollars.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// Market time now.
    pub market_time: String,
    /// `dry-run`, `paper` or `live`.
    pub mode: String,
    /// This life of the host, hexadecimal.
    pub epoch: String,
    /// Whether the books were reconciled with the broker since the start.
    pub reconciled: bool,
    /// Real time the right to trade still lasts, milliseconds; `None` in a mode that needs none.
    pub lease_ms_left: Option<u64>,
    /// Equity as the broker last said.
    pub equity_usd: Option<f64>,
    /// Equity when this life of the host began.
    pub equity_start_usd: Option<f64>,
    /// Resident memory of the process.
    pub rss_bytes: u64,
    /// Market data so far.
    pub data: DataFigures,
    /// Orders so far, all strategies.
    pub orders: OrderFigures,
    /// One entry a strategy, by name.
    pub strategies: Vec<StrategyFigures>,
    /// One entry a stream.
    pub streams: Vec<StreamFigures>,
    /// One entry a request budget.
    pub budgets: Vec<BudgetFigures>,
    /// How often each reason refused an intent.
    pub refusals: BTreeMap<String, u64>,
    /// What the host's own books hold, by symbol.
    pub positions: Vec<PositionFigures>,
    /// Orders that are open in the host's own books.
    pub open_orders: Vec<OpenOrderFigures>,
    /// One entry a loop.
    pub loops: Vec<LoopFigures>,
}

/// Market data delivered to strategies since the start.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct DataFigures {
    /// One-minute bars.
    pub bars: u64,
    /// Quotes.
    pub quotes: u64,
    /// Trades.
    pub trades: u64,
}

/// Orders since the start.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct OrderFigures {
    /// Intents that strategies gave.
    pub intents: u64,
    /// Intents that a risk gate refused.
    pub refused: u64,
    /// Orders the broker took.
    pub submitted: u64,
    /// Orders the broker rejected.
    pub rejected: u64,
    /// Fills.
    pub fills: u64,
    /// Cancels asked for.
    pub cancels: u64,
    /// Orders open now.
    pub open: u64,
    /// Orders whose outcome is not known now.
    pub unknown: u64,
    /// From intent to the broker's answer.
    pub latency: LatencyFigures,
}

/// A latency in microseconds of real time.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LatencyFigures {
    /// How many were measured.
    pub count: u64,
    /// Their mean.
    pub mean_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// One strategy.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StrategyFigures {
    /// Its name.
    pub name: String,
    /// `running`, `restarting`, `quarantined` or `stopped`.
    pub state: String,
    /// Events it handled.
    pub events: u64,
    /// Intents it gave.
    pub intents: u64,
    /// Of these, refused.
    pub refused: u64,
    /// Of these, orders the broker took.
    pub orders: u64,
    /// Fills of its orders.
    pub fills: u64,
    /// Realised profit and loss of its own fills.
    pub realised_usd: f64,
    /// What its open position has gained since it was bought.
    pub unrealised_usd: f64,
    /// Times its store was discarded.
    pub strikes: u64,
}

/// What the books hold of one symbol.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PositionFigures {
    /// Which symbol.
    pub symbol: String,
    /// Shares as decimal text; negative when short.
    pub qty: String,
}

/// One open order of the books.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OpenOrderFigures {
    /// Our id at the broker.
    pub client_order_id: String,
    /// Which symbol.
    pub symbol: String,
}

/// One stream.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StreamFigures {
    /// `market-data` or `trade-updates`.
    pub name: String,
    /// `connecting`, `live`, `silent` or `down`.
    pub state: String,
    /// Connections made after the first.
    pub reconnects: u64,
}

/// One request budget.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BudgetFigures {
    /// `trading` or `data`.
    pub name: String,
    /// Requests let out in the last minute.
    pub used: u64,
    /// How many a minute may hold.
    pub limit: u64,
    /// Requests waiting.
    pub queued: u64,
    /// Requests let out since the start.
    pub requests: u64,
    /// Times the broker answered 429.
    pub http_429: u64,
}

/// One loop.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LoopFigures {
    /// Its name.
    pub name: String,
    /// Pieces of work done.
    pub progress: u64,
}
