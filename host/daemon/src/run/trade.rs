//! The wiring: reconcile, start every loop, wait for a reason to end, end in order.

use std::{sync::Arc, time::Duration};

use sandpit_broker::{Broker, History, OrderFeed, Permit};
use sandpit_contract::{Exit, ToWatchdog};
use sandpit_execution::{Desk, DeskConfig, DeskEnd, DeskError, DeskInput};
use sandpit_risk::Gates;
use sandpit_store::{Record, Store};
use sandpit_strategy::{Runner, StrategyEvent};
use sandpit_types::{Bar, MarketClock, MarketTime, Pulse};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{Ending, Failure, ending::Endings, prepare::Prepared, spawn::Spawner};
use crate::{
    budget::Budget,
    dry_run::DryRun,
    figures::Running,
    lease::{LeaseClient, LeaseParts, Order},
    permit::{DryRunPermit, TradePermit},
    review::Reviewer,
    strategies::{self, Beginning, Strategy},
};

/// Inputs that may wait for the desk.
const DESK_INPUTS: usize = 4_096;
/// How long strategies and desk may take to end, each; real time.
const END_LIMIT: Duration = Duration::from_secs(7);

/// Runs until there is a reason to end. `dry_run` is given when the venue in this process is the broker.
///
/// # Errors
/// When the store cannot be opened, the broker does not answer, or a strategy does not start.
pub(super) async fn trade<B: Broker, O: OrderFeed>(
    prepared: Prepared,
    broker: Arc<B>,
    orders: Arc<O>,
    dry_run: Option<DryRun>,
) -> Result<Ending, Failure> {
    let (endings, mut reasons) = Endings::new();
    endings.watch_signals().map_err(|error| Failure::new(Exit::Failed, error))?;
    endings.watch_flag(prepared.config.kill_switch_file.clone());
    let lease = start_lease(&prepared, &endings)?;

    let store_pulse = Arc::new(Pulse::default());
    let store = open_store(&prepared, store_pulse.clone()).await?;
    let mut desk = desk(&prepared, broker.clone(), store.clone())?;
    let found = desk.reconcile().await.map_err(|error| Failure::new(exit_of(&error), error))?;
    tracing::info!(
        open = found.open,
        adopted = found.adopted,
        fills = found.fills,
        "reconciled with the broker"
    );
    for difference in &found.positions {
        tracing::error!(?difference, "the broker holds another quantity than the books");
    }

    let account = broker.account().await.map_err(|error| Failure::new(Exit::Broker, error))?;
    prepared.figures.set_equity(account.equity);
    let since = prepared.clock.now().minute();
    let warmup = warmup(&prepared, since).await;
    let (inputs, desk_inputs) = mpsc::channel(DESK_INPUTS);
    let beginning = Beginning { books: desk.books(), account: &account, warmup: &warmup };
    let runners = start_strategies(&prepared, &beginning, &inputs)?;

    let (stop, stopped) = watch::channel(false);
    let spawner =
        Spawner { prepared: &prepared, endings: &endings, stopped: stopped.clone(), inputs: &inputs };
    spawner.store(&store, store_pulse);
    let running = Running {
        desk: desk.stats(),
        ingest: spawner.ingest(since, dry_run),
        updates: spawner.updates(orders),
    };
    prepared.figures.set_running(running);
    let desk = spawner.desk(desk, desk_inputs);
    spawner.clock(broker);
    spawner.ticks(lease.is_none());
    tracing::info!(mode = prepared.config.mode.as_str(), epoch = %prepared.epoch, "trading");

    let (strategies, budgets) = (prepared.strategies.clone(), prepared.budgets.clone());
    endings.watch_task("monitor", tokio::spawn(prepared.monitor.serve(stopped)));
    let ending = reasons.recv().await.unwrap_or(Ending::Asked);
    let host = Host { lease, runners, strategies, budgets, inputs, desk, stop, store };
    host.end(&ending).await;
    Ok(ending)
}

/// What has to be ended.
struct Host {
    lease: Option<LeaseClient>,
    runners: Vec<Runner>,
    strategies: Vec<Arc<Strategy>>,
    budgets: [(&'static str, Arc<Budget>); 2],
    inputs: mpsc::Sender<DeskInput>,
    desk: JoinHandle<DeskEnd>,
    stop: watch::Sender<bool>,
    store: Store,
}

impl Host {
    /// Ends everything in order. After a kill nothing is saved or resolved here: what is open is the watchdog's.
    async fn end(self, ending: &Ending) {
        if let Ending::Kill { reason } = ending {
            tracing::error!("[KILL] {reason}: the host ends and is not restarted");
            if let Some(lease) = self.lease {
                lease.finish(ToWatchdog::Trip { reason: reason.clone() });
            }
            return;
        }
        tracing::info!(reason = ending.text(), "ending");
        for strategy in &self.strategies {
            strategy.inbox.push(StrategyEvent::Stop(ending.text()));
        }
        let runners = self.runners;
        let joined = tokio::task::spawn_blocking(move || runners.into_iter().all(Runner::join));
        if !matches!(timeout(END_LIMIT, joined).await, Ok(Ok(true))) {
            tracing::error!("a strategy did not end in good order");
        }
        // The desk is gone already when it was the part that broke.
        let _ = self.inputs.send(DeskInput::Drain).await;
        match timeout(END_LIMIT, self.desk).await {
            Ok(Ok(DeskEnd::Drained { unresolved: 0 } | DeskEnd::Stopped)) => {}
            Ok(Ok(DeskEnd::Drained { unresolved })) => {
                tracing::warn!(unresolved, "orders of unknown outcome are left to the next start");
            }
            Ok(Err(_)) | Err(_) => {
                tracing::error!("the desk did not end in good order; the next start reconciles")
            }
        }
        let _ = self.stop.send(true);
        for (_, budget) in &self.budgets {
            budget.stop();
        }
        self.store.close().await;
        if let Some(lease) = self.lease {
            lease.finish(ToWatchdog::Bye { reason: ending.text() });
        }
    }
}

fn exit_of(error: &DeskError) -> Exit {
    match error {
        DeskError::Broker(_) => Exit::Broker,
        DeskError::Store(_) | DeskError::Stored { .. } => Exit::State,
    }
}

fn start_lease(prepared: &Prepared, endings: &Endings) -> Result<Option<LeaseClient>, Failure> {
    let Some(lease) = prepared.figures.lease.clone() else { return Ok(None) };
    let endings = endings.clone();
    let parts = LeaseParts {
        socket: prepared.config.watchdog_socket.clone(),
        epoch: prepared.epoch,
        mode: prepared.config.mode.as_str(),
        lease,
        loops: prepared.figures.loops.clone(),
        orders: Box::new(move |order| match order {
            Order::Drain { reason } => endings.give(Ending::Drain { reason }),
        }),
    };
    LeaseClient::start(parts).map(Some).map_err(|error| Failure::new(Exit::Failed, error))
}

async fn open_store(prepared: &Prepared, pulse: Arc<Pulse>) -> Result<Store, Failure> {
    let path = prepared.folder.join("sandpit.db");
    if !prepared.config.mode.posts() {
        // The venue of a dry run starts flat, and so must its books.
        for ending in ["db", "db-wal", "db-shm"] {
            let (old, kept) =
                (path.with_extension(ending), prepared.folder.join(format!("previous.{ending}")));
            match std::fs::rename(&old, &kept) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Failure::new(
                        Exit::State,
                        format!("cannot move {} aside: {error}", old.display()),
                    ));
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
    let failed = |error| Failure::new(Exit::State, error);
    let store = Store::open(&path, pulse).await.map_err(failed)?;
    let (epoch, mode) = (prepared.epoch, prepared.config.mode.as_str().to_owned());
    let start = Record::HostStart { epoch, mode, time: prepared.clock.now() };
    store.commit(vec![start]).await.map_err(failed)?;
    Ok(store)
}

fn desk<B: Broker>(prepared: &Prepared, broker: Arc<B>, store: Store) -> Result<Desk<B, Reviewer>, Failure> {
    let owners =
        strategies::owners(&prepared.strategies).map_err(|error| Failure::new(Exit::Plugin, error))?;
    let lease = prepared.figures.lease.clone();
    let permit: Arc<dyn Permit> = match &lease {
        Some(lease) => Arc::new(TradePermit::new(lease.clone(), prepared.config.kill_switch_file.clone())),
        None => Arc::new(DryRunPermit),
    };
    let review = Reviewer {
        gates: Gates::new(prepared.config.limits.clone()),
        tape: prepared.figures.tape.clone(),
        sessions: prepared.sessions.clone(),
        owners,
        lease,
        frozen: Arc::default(),
        clock: prepared.clock.clone(),
        account: None,
    };
    let config = DeskConfig::new(prepared.epoch);
    let pulse = Arc::default();
    Ok(Desk::new(config, broker, store, review, permit, prepared.clock.clone(), pulse, prepared.seed))
}

/// Bars of the past, as many as the neediest strategy wants. Without them strategies start cold, which is said.
async fn warmup(prepared: &Prepared, until: MarketTime) -> Vec<Bar> {
    let wanted = prepared.strategies.iter().map(|strategy| strategy.warmup_bars()).max().unwrap_or(0);
    let from = prepared.sessions.minutes_back(until, wanted);
    if wanted == 0 || from >= until {
        return Vec::new();
    }
    prepared.alpaca.bars(&prepared.symbols(), from, until).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "no bars of the past: strategies start without warm-up");
        Vec::new()
    })
}

fn start_strategies(
    prepared: &Prepared,
    beginning: &Beginning<'_>,
    inputs: &mpsc::Sender<DeskInput>,
) -> Result<Vec<Runner>, Failure> {
    let start = |(index, strategy): (usize, &Arc<Strategy>)| {
        let seed = prepared.seed.wrapping_add(index as u64);
        let loops = &prepared.figures.loops;
        let (engine, config) = (&prepared.engine, &prepared.config);
        let runner = strategy.start(engine, config, seed, beginning, inputs.clone(), loops);
        let runner = runner.map_err(|error| Failure::new(Exit::Plugin, error))?;
        let inbox = strategy.inbox.clone();
        let probe = Box::new(move |nonce| inbox.push(StrategyEvent::Probe(nonce)));
        loops.add(strategy.loop_name(), strategy.pulse.clone(), probe);
        Ok(runner)
    };
    prepared.strategies.iter().enumerate().map(start).collect()
}
