//! What the rules need to know, at one moment.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{HistogramFigures, Snapshot};

/// Figures at one moment. `None` is "not known now": nothing fires on it and nothing is resolved by it.
/// Counters only grow within a life of the host, and begin at zero in each.
///
/// [`Reading::of`] fills all of it from a [`Snapshot`].
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Progress of every loop.
    pub loops: Option<BTreeMap<String, u64>>,
    /// Orders so far.
    pub orders: Option<OrderCounts>,
    /// Every strategy, by name.
    pub strategies: Option<BTreeMap<String, StrategyReading>>,
    /// Equity, US dollars.
    pub equity_usd: Option<f64>,
    /// What is held, by symbol: its value at the newest price, US dollars, negative when short; `None` while
    /// there is no price. A symbol that is not here is not held.
    pub positions: Option<BTreeMap<String, Option<f64>>>,
    /// Whether each stream delivers, by name.
    pub streams: Option<BTreeMap<String, bool>>,
    /// Every request budget, by its name.
    pub budgets: Option<BTreeMap<String, BudgetReading>>,
    /// Whether only orders that reduce are sent until an operator lifts it.
    pub frozen: Option<bool>,
    /// What is left of the lease, seconds of real time; `None` as well in a mode that needs none.
    pub lease_secs_left: Option<f64>,
    /// Commits that failed or came late, and records that were refused for good, so far.
    pub database_failures: Option<u64>,
    /// Polls over REST in place of a stream that failed, so far.
    pub polls_failed: Option<u64>,
    /// How long the broker took to answer orders.
    pub answers: Option<HistogramFigures>,
    /// Resident memory of the host, bytes.
    pub rss_bytes: Option<u64>,

    /// Answers of the broker's so far, by class.
    pub answered: Option<AnswerCounts>,
    /// Orders that had to fill, so far: market orders and those whose limit was marketable when they were
    /// sent, counted once 30 s have passed since the broker took them or they are filled, whichever comes
    /// first.
    pub fills: Option<FillCounts>,
    /// From a strategy's signal to the whole fill, of orders that had to fill. Its bounds have to reach
    /// beyond 15 s, the highest limit.
    pub fill_latency: Option<HistogramFigures>,
    /// What fills cost so far.
    pub costs: Option<CostCounts>,
    /// Cash at the broker that the books do not explain, US dollars of either sign; zero while all is
    /// explained.
    pub unexplained_usd: Option<f64>,
    /// What the host's memory is limited to, bytes: `memory.max` of its control group or the smallest other
    /// limit.
    pub memory_limit_bytes: Option<u64>,
}

/// Orders so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderCounts {
    /// The broker took them.
    pub submitted: u64,
    /// The broker rejected them.
    pub rejected: u64,
    /// Nobody knows now whether the broker has them.
    pub unknown_now: u64,
}

/// One strategy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StrategyReading {
    /// Whether it runs.
    pub is_running: bool,
    /// Orders the broker took, so far.
    pub orders: u64,
    /// Realised and unrealised profit and loss over all lives of the host, US dollars; `None` while what is
    /// held has no price.
    pub pnl_usd: Option<f64>,
}

/// One request budget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetReading {
    /// Answers of 429 so far.
    pub http_429: u64,
    /// Of every window: its unit, its length in seconds, what is used, what it holds.
    pub windows: Vec<(String, u64, u64, u64)>,
}

/// Answers of the broker's to requests over REST, so far. A request that nobody answered counts as one of
/// 5xx.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AnswerCounts {
    /// All.
    pub all: u64,
    /// Of these, 4xx that mean an error: not 404 of an order that was asked for, not 422 of a cancel too
    /// late.
    pub errors_4xx: u64,
    /// Of these, 5xx.
    pub errors_5xx: u64,
    /// Of the 4xx, 401.
    pub unauthorised: u64,
}

/// Orders that had to fill, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FillCounts {
    /// All of which it is known whether they were in time.
    pub due: u64,
    /// Of these, filled wholly within 30 s.
    pub in_time: u64,
}

/// What fills cost, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CostCounts {
    /// How many fills.
    pub fills: u64,
    /// What was traded, price by shares, US dollars, never negative.
    pub traded_usd: f64,
    /// What the fills were worse than the price at the strategy's signal, US dollars. A counter: fills that
    /// were better count as zero.
    pub slippage_usd: f64,
    /// Fees, US dollars.
    pub fees_usd: f64,
}

impl Reading {
    /// What a snapshot tells. Before the books are reconciled it tells nothing of what they hold.
    pub fn of(snapshot: &Snapshot) -> Self {
        let books = snapshot.reconciled;
        let orders = snapshot.orders;
        let records = snapshot.records;
        let quality = &snapshot.quality;
        let answers = snapshot.steps.iter().find(|step| step.step == "answer");
        Self {
            loops: Some(snapshot.loops.iter().map(|one| (one.name.clone(), one.progress)).collect()),
            orders: books.then_some(OrderCounts {
                submitted: orders.submitted,
                rejected: orders.rejected,
                unknown_now: orders.unknown,
            }),
            strategies: books.then(|| strategies(snapshot)),
            equity_usd: snapshot.equity_usd,
            positions: books.then(|| {
                snapshot.positions.iter().map(|held| (held.symbol.clone(), held.value_usd)).collect()
            }),
            streams: books.then(|| {
                snapshot.streams.iter().map(|stream| (stream.name.clone(), stream.delivers())).collect()
            }),
            budgets: Some(snapshot.budgets.iter().map(budget).collect()),
            frozen: books.then_some(snapshot.frozen.is_some()),
            lease_secs_left: snapshot.lease_ms_left.map(|ms| ms as f64 / 1e3),
            database_failures: books
                .then_some(records.commits_failed + records.commits_late + records.put_aside),
            polls_failed: books.then(|| snapshot.streams.iter().map(|stream| stream.polls_failed).sum()),
            answers: answers.filter(|_| books).map(|step| step.times.clone()),
            rss_bytes: Some(snapshot.rss_bytes),
            answered: quality.answered,
            fills: quality.fills.filter(|_| books),
            fill_latency: quality.fill_latency.clone().filter(|_| books),
            costs: quality.costs.filter(|_| books),
            unexplained_usd: quality.unexplained_usd.filter(|_| books),
            memory_limit_bytes: quality.memory_limit_bytes,
        }
    }
}

fn strategies(snapshot: &Snapshot) -> BTreeMap<String, StrategyReading> {
    let one = |figures: &crate::StrategyFigures| StrategyReading {
        is_running: figures.state == "running",
        orders: figures.orders,
        pnl_usd: figures.unrealised_usd.map(|unrealised| figures.realised_usd + unrealised),
    };
    // One that is refused may hold what its life before has bought: it is down, and not gone.
    let missing = StrategyReading { is_running: false, orders: 0, pnl_usd: None };
    let refused = snapshot.refused.iter().map(|one| (one.plugin.clone(), missing));
    let listed = snapshot.strategies.iter().map(|figures| (figures.name.clone(), one(figures)));
    refused.chain(listed).collect()
}

fn budget(figures: &crate::BudgetFigures) -> (String, BudgetReading) {
    let windows = figures.windows.iter();
    let windows = windows.map(|one| (one.unit.clone(), one.span_secs, one.used, one.limit)).collect();
    (figures.name.clone(), BudgetReading { http_429: figures.http_429, windows })
}
