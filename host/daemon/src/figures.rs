//! The host's figures, put together for the monitor from everybody's counters.

mod books;
mod line;
mod quality;
mod streams;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock, PoisonError, RwLock, atomic::Ordering},
};

use sandpit_alpaca::Alpaca;
use sandpit_budget::Budget;
use sandpit_cores::{Priority, Usage, WAIT_BUCKETS_MS, Waits};
use sandpit_execution::{DeskCounts, DeskStats};
use sandpit_fanout::{DataCounts, Roster, Tape};
use sandpit_ingest::{IngestStats, NewsStats, UpdateStats};
use sandpit_journal::Counters;
use sandpit_monitor::{
    BudgetFigures, DataFigures, HistogramFigures, JournalFigures, LatencyFigures, LoopFigures, OrderFigures,
    PriorityFigures, RecordFigures, RefusedFigures, Snapshot, StepFigures, StrategyFigures, WindowFigures,
};
use sandpit_types::{HostEpoch, MarketClock, MarketTime, StrategyName, Symbol, Times, Usd};

use crate::{
    alarms::Alarms,
    ambient,
    budgets::Budgets,
    clock::BrokerClock,
    config::Config,
    lease::Lease,
    loops::Loops,
    plugins::{Looks, Refusals},
    run::Plugins,
    strategies::{Strategy, Totals},
};

/// Where the figures come from.
pub(crate) struct Figures {
    mode: &'static str,
    epoch: HostEpoch,
    clock: Arc<BrokerClock>,
    roster: Arc<Roster<Strategy>>,
    refusals: Arc<Refusals>,
    /// Of all strategies that ever were.
    totals: Arc<Totals>,
    /// When the plugins were looked at.
    pub(crate) looks: Arc<Looks>,
    budgets: Arc<Budgets>,
    /// The right to trade, in a mode that needs one.
    pub(crate) lease: Option<Arc<Lease>>,
    /// Newest prices.
    pub(crate) tape: Arc<Tape>,
    /// Every loop.
    pub(crate) loops: Arc<Loops>,
    /// Market data delivered.
    pub(crate) data: Arc<DataCounts>,
    /// What fires.
    pub(crate) alarms: Arc<Alarms>,
    memory_limit_bytes: Option<u64>,
    equity: RwLock<Option<(Usd, Usd)>>,
    journal: OnceLock<Arc<Counters>>,
    running: OnceLock<Running>,
}

/// The counters of what runs only after the books are reconciled.
pub(crate) struct Running {
    /// The desk's.
    pub(crate) desk: Arc<DeskStats>,
    /// The market-data stream's.
    pub(crate) ingest: Arc<IngestStats>,
    /// The trade-updates stream's.
    pub(crate) updates: Arc<UpdateStats>,
    /// The news stream's.
    pub(crate) news: Arc<NewsStats>,
    /// The adapter, which counts what it does not understand.
    pub(crate) alpaca: Arc<Alpaca>,
}

impl Figures {
    /// Figures of a host that has not begun to trade.
    pub(crate) fn new(
        config: &Config,
        epoch: HostEpoch,
        lease: Option<Arc<Lease>>,
        clock: Arc<BrokerClock>,
        plugins: &Plugins,
        budgets: Arc<Budgets>,
    ) -> Self {
        Self {
            mode: config.mode.as_str(),
            epoch,
            clock,
            roster: plugins.roster.clone(),
            refusals: plugins.refusals.clone(),
            totals: plugins.totals.clone(),
            looks: Arc::default(),
            budgets,
            lease,
            tape: Arc::default(),
            loops: Arc::default(),
            data: Arc::default(),
            alarms: Arc::default(),
            memory_limit_bytes: ambient::memory_limit_bytes(),
            equity: RwLock::new(None),
            journal: OnceLock::new(),
            running: OnceLock::new(),
        }
    }

    /// The books are reconciled; these are the counters from here on.
    pub(crate) fn set_running(&self, running: Running) {
        // Called once in a life.
        let _ = self.running.set(running);
    }

    /// What happens to strategies is recorded; these are the counters of it.
    pub(crate) fn set_journal(&self, counters: Arc<Counters>) {
        // Called once in a life.
        let _ = self.journal.set(counters);
    }

    /// The account was read; the first reading is the start.
    pub(crate) fn set_equity(&self, equity: Usd) {
        let mut pair = self.equity.write().unwrap_or_else(PoisonError::into_inner);
        *pair = Some((pair.map_or(equity, |(start, _)| start), equity));
    }

    /// The strategies that are there.
    pub(crate) fn strategy_names(&self) -> BTreeSet<StrategyName> {
        self.roster.members().iter().map(|strategy| strategy.name.clone()).collect()
    }

    /// The strategies that operators have paused, there or not, and why.
    pub(crate) fn paused(&self) -> BTreeMap<StrategyName, String> {
        self.running.get().map(|running| running.desk.read().paused).unwrap_or_default()
    }

    /// Everything at this moment.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        let running = self.running.get();
        let desk = running.map(|running| running.desk.read()).unwrap_or_default();
        let strategies = self.roster.members();
        let has_news = strategies.iter().any(|strategy| strategy.wants_news());
        let equity = *self.equity.read().unwrap_or_else(PoisonError::into_inner);
        Snapshot {
            market_time: now.to_string(),
            mode: self.mode.to_owned(),
            epoch: self.epoch.to_string(),
            pid: std::process::id(),
            reconciled: running.is_some(),
            frozen: desk.frozen.clone(),
            paused: desk.paused.iter().map(|(name, why)| (name.to_string(), why.clone())).collect(),
            lease_ms_left: self.lease.as_ref().map(|lease| lease.left_nanos(ambient::boot_now()) / 1_000_000),
            equity_usd: equity.map(|(_, now)| now.to_f64()),
            equity_start_usd: equity.map(|(start, _)| start.to_f64()),
            rss_bytes: ambient::resident_bytes(),
            data: self.data(),
            orders: self.orders(&desk, now),
            records: RecordFigures {
                commits_failed: desk.failed_commits,
                commits_late: desk.late_commits,
                put_aside: desk.put_aside,
            },
            journal: self.journal.get().map(|counters| journal(counters)),
            strategies: strategies.iter().map(|strategy| self.strategy(strategy, &desk, now)).collect(),
            plugins_look_secs_ago: self.looks.age(ambient::boot_now()).map(|age| age.as_secs_f64()),
            refused: refused(&self.refusals),
            streams: running.map(|running| streams::streams(running, has_news)).unwrap_or_default(),
            sequence: running.map(|running| streams::sequence(&running.ingest)).unwrap_or_default(),
            unknown_messages: running.map(|running| streams::unknown(&running.alpaca)).unwrap_or_default(),
            budgets: self.budgets.all().map(|(name, budget)| budget_figures(name, budget, now)).collect(),
            refusals: desk.refused.iter().map(|(refusal, count)| (refusal.to_string(), *count)).collect(),
            steps: steps(&desk, &self.totals),
            positions: books::positions(&desk, &self.tape),
            open_orders: books::open_orders(&desk, now),
            loops: self
                .loops
                .beats()
                .into_iter()
                .map(|beat| LoopFigures { name: beat.name, progress: beat.progress })
                .collect(),
            quality: quality::quality(running, &desk, self.memory_limit_bytes),
            alerts: self.alarms.firing(),
        }
    }

    fn data(&self) -> DataFigures {
        DataFigures {
            bars: self.data.bars.load(Ordering::Relaxed),
            quotes: self.data.quotes.load(Ordering::Relaxed),
            trades: self.data.trades.load(Ordering::Relaxed),
            news: self.data.news.load(Ordering::Relaxed),
        }
    }

    fn orders(&self, desk: &DeskCounts, now: MarketTime) -> OrderFigures {
        let micros = |span: std::time::Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        OrderFigures {
            intents: self.totals.intents.load(Ordering::Relaxed),
            refused: desk.refused.values().sum(),
            submitted: desk.orders,
            rejected: desk.rejected,
            fills: desk.fills,
            cancels: desk.cancels,
            suspicions: desk.suspicions,
            differences: desk.differences,
            foreign: desk.foreign,
            activities_incomplete_secs: desk
                .activities_missed_since
                .map_or(0.0, |since| now.since(since).as_secs_f64()),
            open: desk.open,
            planned: desk.planned,
            unknown: desk.unknown,
            latency: LatencyFigures {
                count: desk.submits,
                mean_us: micros(desk.submit_total).checked_div(desk.submits).unwrap_or(0),
                max_us: micros(desk.submit_max),
            },
        }
    }

    fn strategy(&self, strategy: &Strategy, desk: &DeskCounts, now: MarketTime) -> StrategyFigures {
        let counts = desk.strategies.get(&strategy.name).cloned().unwrap_or_default();
        // Nothing is known of what is held without a price, as right after a start: then nobody has lost it.
        let gain = |symbol: &Symbol| {
            let Some((qty, paid)) = desk.sub_books.get(&(strategy.name.clone(), symbol.clone())) else {
                return Some(Usd::ZERO);
            };
            let mark = self.tape.last(symbol).mark()?;
            Some(mark * *qty - *paid * *qty)
        };
        let unrealised = strategy.instruments.iter().map(gain).sum::<Option<Usd>>();
        StrategyFigures {
            name: strategy.name.to_string(),
            state: strategy.counters.state(now).to_owned(),
            reason: strategy.counters.reason(),
            paused: desk.paused.get(&strategy.name).cloned(),
            last_error: strategy.counters.last_error(),
            symbols: strategy.instruments.iter().map(Symbol::to_string).collect(),
            events: strategy.counters.events.load(Ordering::Relaxed),
            intents: strategy.counters.intents.load(Ordering::Relaxed),
            refused: counts.refused,
            orders: counts.orders,
            fills: counts.fills,
            realised_usd: counts.realised.to_f64(),
            unrealised_usd: unrealised.map(Usd::to_f64),
            strikes: strategy.counters.strikes.load(Ordering::Relaxed),
        }
    }
}

fn steps(desk: &DeskCounts, totals: &Totals) -> Vec<StepFigures> {
    let steps = desk.steps;
    let named = [
        ("strategy", totals.answers()),
        ("decide", steps.decide),
        ("record", steps.record),
        ("send", steps.send),
        ("answer", steps.answer),
    ];
    named.into_iter().map(|(step, times)| StepFigures { step, times: of_times(&times) }).collect()
}

fn journal(counters: &Counters) -> JournalFigures {
    JournalFigures {
        entries: counters.entries.load(Ordering::Relaxed),
        bytes: counters.bytes.load(Ordering::Relaxed),
        lost: counters.lost.load(Ordering::Relaxed),
        failures: counters.failures.load(Ordering::Relaxed),
    }
}

fn refused(refusals: &Refusals) -> Vec<RefusedFigures> {
    refusals.all().into_iter().map(|(plugin, reason)| RefusedFigures { plugin, reason }).collect()
}

fn budget_figures(name: &str, budget: &Budget, now: MarketTime) -> BudgetFigures {
    let usage = budget.usage();
    let windows: Vec<_> = usage
        .windows
        .iter()
        .map(|window| WindowFigures {
            unit: window.unit.as_str().to_owned(),
            span_secs: window.span.as_secs(),
            used: window.used,
            limit: window.limit,
        })
        .collect();
    let (used, limit) = windows.first().map_or((0, 0), |window| (window.used, window.limit));
    BudgetFigures {
        name: name.to_owned(),
        used,
        limit,
        windows,
        queued: usage.waiting.iter().sum::<usize>() as u64,
        requests: usage.granted(),
        priorities: Priority::ALL.into_iter().enumerate().map(|of| priority_figures(&usage, of)).collect(),
        too_large: usage.tally.too_large,
        http_429: usage.tally.pauses,
        broker_left: usage.broker_left,
        pause_secs_left: usage.paused_until.map_or(0.0, |until| until.since(now).as_secs_f64()),
    }
}

fn priority_figures(usage: &Usage, (at, priority): (usize, Priority)) -> PriorityFigures {
    let tally = &usage.tally;
    PriorityFigures {
        priority: priority.as_str().to_owned(),
        queued: usage.waiting[at] as u64,
        waits: histogram(&tally.waits[at]),
        delayed: tally.waits[at].delayed,
        late: tally.late[at],
        full: tally.full[at],
    }
}

fn histogram(waits: &Waits) -> HistogramFigures {
    let bounds = WAIT_BUCKETS_MS.into_iter().map(|ms| ms as f64 / 1e3);
    HistogramFigures {
        count: waits.count,
        sum_secs: waits.sum.as_secs_f64(),
        within_secs: bounds.zip(waits.within).collect(),
    }
}

fn of_times(times: &Times) -> HistogramFigures {
    HistogramFigures {
        count: times.count,
        sum_secs: times.total.as_secs_f64(),
        within_secs: times.within_secs().collect(),
    }
}
