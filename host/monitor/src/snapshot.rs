//! Everything worth showing, at one moment. `/status` is this as JSON; `/metrics` and `/health` are made from
//! it.

mod budget;
mod times;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::{
    budget::{BudgetFigures, PriorityFigures, WindowFigures},
    times::{HistogramFigures, StepFigures},
};
use crate::{AlertFigures, QualityFigures};

/// The figures of the host. Times are RFC 3339 in market time, money is US dollars.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// Market time now.
    pub market_time: String,
    /// `dry-run`, `paper` or `live`.
    pub mode: String,
    /// This life of the host, hexadecimal.
    pub epoch: String,
    /// Its process.
    pub pid: u32,
    /// Whether the books were reconciled with the broker since the start.
    pub reconciled: bool,
    /// Why only orders that reduce are sent until an operator lifts it; `None` when nothing is frozen.
    pub frozen: Option<String>,
    /// Strategies of which only orders that reduce are sent until an operator lifts it, those included that
    /// are not there now: by name, who paused it and why.
    pub paused: BTreeMap<String, String>,
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
    /// What went into the records so far, and what did not.
    pub records: RecordFigures,
    /// What went into the journal of this life; `None` when nothing is recorded.
    pub journal: Option<JournalFigures>,
    /// One entry a strategy, by name.
    pub strategies: Vec<StrategyFigures>,
    /// How long ago the plugins folder was looked at last, seconds of real time; `None` before the first
    /// look.
    pub plugins_look_secs_ago: Option<f64>,
    /// Plugins that are not used; of one that was changed, the one before goes on.
    pub refused: Vec<RefusedFigures>,
    /// One entry a stream.
    pub streams: Vec<StreamFigures>,
    /// How the one sequence of market data came about.
    pub sequence: SequenceFigures,
    /// What the broker sent that is not known, and how often; each was passed over.
    pub unknown_messages: BTreeMap<String, u64>,
    /// One entry a request budget.
    pub budgets: Vec<BudgetFigures>,
    /// How often each reason refused an intent.
    pub refusals: BTreeMap<String, u64>,
    /// How long orders take, step by step.
    pub steps: Vec<StepFigures>,
    /// What the host's own books hold, by symbol.
    pub positions: Vec<PositionFigures>,
    /// Orders that are open in the host's own books.
    pub open_orders: Vec<OpenOrderFigures>,
    /// One entry a loop.
    pub loops: Vec<LoopFigures>,
    /// How well the broker answers and orders fill.
    pub quality: QualityFigures,
    /// What fires of the rules, in the order of their table.
    pub alerts: Vec<AlertFigures>,
}

/// A plugin that is not used.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RefusedFigures {
    /// Its file without `.wasm`.
    pub plugin: String,
    /// Why, in one sentence.
    pub reason: String,
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
    /// Pieces of news.
    pub news: u64,
}

/// How market data became one sequence, since the start.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct SequenceFigures {
    /// Minutes completed.
    pub minutes: u64,
    /// Bars delivered after their minute had been completed, or after a newer bar of their symbol.
    pub late_bars: u64,
    /// Bars delivered again because their figures had changed.
    pub corrected_bars: u64,
    /// Events not delivered because they were before, or are older than what was.
    pub repeats: u64,
    /// Bars not delivered because they are too old to tell whether they were.
    pub too_old: u64,
    /// Events of the canary: they prove that the stream is alive and are delivered to nobody.
    pub pulses: u64,
    /// Events not delivered because nobody subscribed to their symbol.
    pub strangers: u64,
    /// Quotes and trades not delivered because they did not fit while a gap was filled.
    pub let_go: u64,
    /// Events not delivered because their stamps are in the future.
    pub too_early: u64,
    /// Gaps filled from REST.
    pub gaps_filled: u64,
    /// Gaps that could not be filled in time: their bars come late, if at all.
    pub gaps_open: u64,
    /// Times that the bars of a stream that seemed well were compared with REST.
    pub audits: u64,
    /// Bars that the stream had not told and an audit found.
    pub audit_finds: u64,
    /// Silences that were not the stream's fault: REST had nothing newer either.
    pub quiet: u64,
    /// Symbols whose quotes come over REST only, because the data plan does not stream as many.
    pub quotes_over_rest: u64,
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
    /// Times that the order stream was suspected of not telling what REST shows.
    pub suspicions: u64,
    /// Times that the broker's truth and the books differed.
    pub differences: u64,
    /// Orders of others that were seen and left alone.
    pub foreign: u64,
    /// How long the broker's activities could not be read wholly, market time; zero while they can. Without
    /// them nobody knows what moved cash.
    pub activities_incomplete_secs: f64,
    /// Orders open now.
    pub open: u64,
    /// Orders that wait now for a place among those under way.
    pub planned: u64,
    /// Orders whose outcome is not known now.
    pub unknown: u64,
    /// From intent to the broker's answer.
    pub latency: LatencyFigures,
}

/// How the database takes the records, since the start.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct RecordFigures {
    /// Commits that failed; what must not be lost is committed again.
    pub commits_failed: u64,
    /// Commits that were not answered in time; no order was taken until they were.
    pub commits_late: u64,
    /// Records that the database refused for good; each stands in a notice instead.
    pub put_aside: u64,
}

/// What happened to strategies, as far as it was recorded for a replay.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct JournalFigures {
    /// Entries written.
    pub entries: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Entries that could not be kept; what was lost cannot be replayed.
    pub lost: u64,
    /// Tries to write that failed; one a second while there is no room.
    pub failures: u64,
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
    /// `running`, `resting` (after a strike), `quarantined` or `stopped`.
    pub state: String,
    /// Why it is quarantined; `None` when it is not.
    pub reason: Option<String>,
    /// Who has paused it, and why: only its orders that reduce are sent; `None` when nobody has.
    pub paused: Option<String>,
    /// How it failed last in this life of the host, be it back since; `None` when it has not.
    pub last_error: Option<String>,
    /// The symbols that it trades.
    pub symbols: Vec<String>,
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
    /// What its open position has gained since it was bought; `None` while a symbol of it has no price.
    pub unrealised_usd: Option<f64>,
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
    /// What it is worth at the newest price; `None` while there is none.
    pub value_usd: Option<f64>,
    /// What it has gained since it was bought; `None` while there is no price.
    pub unrealised_usd: Option<f64>,
    /// Whose it is.
    pub holdings: Vec<HoldingFigures>,
}

/// What one strategy holds of one symbol.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HoldingFigures {
    /// Whose.
    pub strategy: String,
    /// Shares as decimal text; negative when short.
    pub qty: String,
    /// The average price of these shares, US dollars as decimal text.
    pub average_price: String,
    /// What they are worth at the newest price; `None` while there is none.
    pub value_usd: Option<f64>,
    /// What they have gained since they were bought; `None` while there is no price.
    pub unrealised_usd: Option<f64>,
}

/// One open order of the books.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OpenOrderFigures {
    /// Our id at the broker.
    pub client_order_id: String,
    /// Whose.
    pub strategy: String,
    /// Which symbol.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// Shares asked for, as decimal text.
    pub qty: String,
    /// Shares filled so far, as decimal text.
    pub filled_qty: String,
    /// `market`, `limit`, `stop`, `stop_limit` or `trailing_stop`.
    pub kind: String,
    /// Its limit price, US dollars as decimal text; `None` when it has none.
    pub limit_price: Option<String>,
    /// Its stop price, US dollars as decimal text; `None` when it has none.
    pub stop_price: Option<String>,
    /// The broker's word for where it stands; `recorded`, `sending` or `unknown` while the broker has not
    /// said one; `cancelling` once a cancel is wanted.
    pub status: String,
    /// When it was recorded, market time.
    pub since: String,
    /// How long ago that was, market time.
    pub age_secs: f64,
}

/// One stream.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StreamFigures {
    /// `market-data`, `trade-updates` or `news`.
    pub name: String,
    /// `waiting`, `opening`, `proving` or `live`: the connection.
    pub state: String,
    /// `live`, `fallback` or `stale`: the way its data reaches us; empty where there is only one way.
    pub health: String,
    /// Connections made after the first.
    pub reconnects: u64,
    /// Failures in a row.
    pub failures: u64,
    /// Connections lost or not made, by reason.
    pub falls: BTreeMap<String, u64>,
    /// Times that a human should have been called.
    pub pages: u64,
    /// Messages that were of use.
    pub messages: u64,
    /// Polls over REST in its place.
    pub polls: u64,
    /// Polls that failed.
    pub polls_failed: u64,
    /// How long the newest silence had lasted when it was noticed, seconds of real time.
    pub silence_secs: f64,
    /// From the newest notice of a fall to the first data over REST, seconds of real time.
    pub fallback_secs: f64,
}

impl StreamFigures {
    /// Whether its data reaches us by it. A connection that is new proves itself by its first data, and
    /// before the market wakes up there is none: where data has two ways, the way counts and not the
    /// connection.
    pub(crate) fn delivers(&self) -> bool {
        if self.health.is_empty() { self.state == "live" } else { self.health == "live" }
    }
}

/// One loop.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LoopFigures {
    /// Its name.
    pub name: String,
    /// Pieces of work done.
    pub progress: u64,
}
