//! What the monitor shows of the desk.

mod quality;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sandpit_cores::orders::OrderState;
use sandpit_types::{
    ClientOrderId, MarketTime, OrderKind, Price, Qty, Refusal, Side, StrategyName, Symbol, Times, Usd,
};

pub use self::quality::{LATENCY_BOUNDS_MS, Latencies, QualityCounts};

/// Counts since the start of this life of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeskCounts {
    /// Orders recorded and sent, or about to be.
    pub orders: u64,
    /// Fills counted.
    pub fills: u64,
    /// Cancels asked for at the broker, repetitions included.
    pub cancels: u64,
    /// Orders that the broker rejected.
    pub rejected: u64,
    /// Recorded orders that never left this machine.
    pub not_sent: u64,
    /// POSTs of unknown outcome.
    pub unknown: u64,
    /// Of these, orders that never arrived.
    pub never_arrived: u64,
    /// Orders adopted from the broker.
    pub adopted: u64,
    /// Orders that are not ours and were left alone.
    pub foreign: u64,
    /// Rows of the broker's activities that moved money without an order.
    pub activities: u64,
    /// Since when the broker's activities could not be read wholly, market time; `None` while they can.
    pub activities_missed_since: Option<MarketTime>,
    /// Times that the broker's truth and the books differed: an order of ours missing at the broker, another
    /// position, cash that was not explained at once.
    pub differences: u64,
    /// Why only orders that reduce are sent until an operator lifts it; `None` when nothing is frozen.
    pub frozen: Option<String>,
    /// Strategies that operators have paused, there or not, and why.
    pub paused: BTreeMap<StrategyName, String>,
    /// Times that the order stream was suspected of not telling.
    pub suspicions: u64,
    /// Alerts raised.
    pub alerts: u64,
    /// Commits that failed.
    pub failed_commits: u64,
    /// Commits that were not answered in time; each is waited for all the same.
    pub late_commits: u64,
    /// Records that the database refused, and that were put aside.
    pub put_aside: u64,
    /// Orders' changes and fills that strategies were not told of, because the database took nothing for
    /// long.
    pub not_told: u64,
    /// Orders that may still fill, just now.
    pub open: u64,
    /// Orders that wait in the plan for a place among those under way, just now.
    pub planned: u64,
    /// POSTs answered, for the latency.
    pub submits: u64,
    /// Real time from handing an order to the adapter to its answer, summed over `submits`. The wait for the
    /// request budget is in it.
    pub submit_total: Duration,
    /// The longest of these.
    pub submit_max: Duration,
    /// How long the steps of orders take.
    pub steps: Steps,
    /// How well orders fill.
    pub quality: QualityCounts,
    /// Refusals by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Orders that may still fill, just now.
    pub open_orders: BTreeMap<ClientOrderId, OpenOrder>,
    /// Shares held just now and their average price, by strategy and symbol; what is flat is absent.
    pub sub_books: BTreeMap<(StrategyName, Symbol), (Qty, Price)>,
    /// Each strategy.
    pub strategies: BTreeMap<StrategyName, StrategyCounts>,
}

/// An order that may still fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    /// Of what.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// Shares asked for.
    pub qty: Qty,
    /// Shares filled so far, those of the orders included of which it took the place.
    pub filled: Qty,
    /// What kind, with its prices.
    pub kind: OrderKind,
    /// Where it stands.
    pub state: OrderState,
    /// When it was recorded; of an adopted one, when the broker took it.
    pub since: MarketTime,
}

/// How long orders take on their way through the desk, real time, step by step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// From a strategy's intents to the begin of the commit that records the orders they became. A commit
    /// that is under way is waited for.
    pub decide: Times,
    /// Commits with an order in them.
    pub record: Times,
    /// From a record to the permit, which is asked when the order's bytes are about to be written: the wait
    /// for the request budget is in it.
    pub send: Times,
    /// From there to the broker's answer.
    pub answer: Times,
}

/// Counts of one strategy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StrategyCounts {
    /// Orders recorded.
    pub orders: u64,
    /// Fills counted.
    pub fills: u64,
    /// Orders refused.
    pub refused: u64,
    /// Refusals and signals of which no row was kept, because there were too many in one minute.
    pub not_kept: u64,
    /// Cancels asked for.
    pub cancels: u64,
    /// Realised profit and loss over all lives of the host.
    pub realised: Usd,
}

/// The counts as the desk writes and the monitor reads them.
#[derive(Debug, Default)]
pub struct DeskStats {
    counts: Mutex<DeskCounts>,
}

impl DeskStats {
    /// The counts of this moment.
    pub fn read(&self) -> DeskCounts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn write(&self, change: impl FnOnce(&mut DeskCounts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
