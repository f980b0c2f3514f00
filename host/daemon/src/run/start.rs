//! The wiring: reconcile, then start every loop.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use sandpit_broker::{Broker, History, OrderFeed, Permit};
use sandpit_contract::Exit;
use sandpit_cores::reconcile::Claim;
use sandpit_execution::{Desk, DeskConfig, DeskError, DeskInput, Reconciled};
use sandpit_risk::Gates;
use sandpit_store::{Database, Store};
use sandpit_strategy::{Runner, StrategyEvent};
use sandpit_types::{Bar, MarketClock, MarketTime, Pulse};
use tokio::sync::{mpsc, watch};

use super::{
    Ending, Endings, Failure,
    end::Host,
    marker,
    prepare::{Parts, Prepared},
    spawn::Spawner,
};
use crate::{
    config::ClaimRule,
    dry_run::DryRun,
    figures::Running,
    lease::{LeaseClient, LeaseParts, Order},
    losses::Losses,
    permit::{DryRunPermit, TradePermit},
    review::Reviewer,
    strategies::{self, Beginning, Strategy},
};

/// So long after a minute's end the broker's history has its bar, market time.
const SETTLE: Duration = Duration::from_secs(5);
/// Inputs that may wait for the desk.
const DESK_INPUTS: usize = 4_096;

/// Reconciles and starts every loop. `dry_run` is given when the venue in this process is the broker.
///
/// # Errors
/// When the store cannot be opened, the broker does not answer, or a strategy does not start.
pub(super) async fn start<B: Broker, O: OrderFeed>(
    prepared: Prepared,
    broker: Arc<B>,
    orders: Arc<O>,
    dry_run: Option<DryRun>,
    endings: &Endings,
) -> Result<Host, Failure> {
    let (stop, stopped) = watch::channel(false);
    endings.watch_task("monitor", tokio::spawn(prepared.monitor.serve(stopped.clone())));
    let prepared = prepared.parts;
    let lease = start_lease(&prepared, endings)?;
    let store_pulse = Arc::new(Pulse::default());
    let store = open_store(&prepared, store_pulse.clone()).await?;
    let mut desk = desk(&prepared, broker, store.clone(), endings)?;
    let found = desk.reconcile().await.map_err(|error| Failure::new(exit_of(&error), error))?;
    say(&found);
    prepared.figures.set_equity(found.account.equity);

    // The minute before this may not be complete at the broker yet: ingest asks for it later.
    let since = (prepared.clock.now() - SETTLE).minute();
    let warmup = warmup(&prepared, since).await;
    let (inputs, desk_inputs) = mpsc::channel(DESK_INPUTS);
    let beginning = Beginning { books: desk.books(), account: &found.account, warmup: &warmup };
    let runners = start_strategies(&prepared, &beginning, &inputs)?;

    let spawner = Spawner { prepared: &prepared, endings, stopped, inputs: &inputs };
    spawner.store(&store, store_pulse);
    spawner.retention(&store);
    let stats = desk.stats();
    let (desk, suspicions) = spawner.desk(desk, desk_inputs);
    let updates = spawner.updates(orders, suspicions);
    spawner.clock();
    spawner.ticks();
    // Last, so that no strategy sees the market before it knows what it holds.
    let ingest = spawner.ingest(since, dry_run);
    let news = spawner.news(since);
    let alpaca = prepared.alpaca.clone();
    prepared.figures.set_running(Running { desk: stats, ingest, updates, news, alpaca });
    tracing::info!(mode = prepared.config.mode.as_str(), epoch = %prepared.epoch, "trading");
    let Parts { config, strategies, budgets, lock, .. } = prepared;
    let kill_switch_file = config.kill_switch_file;
    Ok(Host { kill_switch_file, lease, runners, strategies, budgets, inputs, desk, stop, store, _lock: lock })
}

fn say(found: &Reconciled) {
    let (open, adopted, fills) = (found.open, found.adopted, found.fills);
    tracing::info!(open, adopted, fills, "reconciled with the broker");
    for difference in &found.positions {
        tracing::error!(?difference, "the broker holds another quantity than the books");
    }
}

fn exit_of(error: &DeskError) -> Exit {
    match error {
        DeskError::Broker(_) => Exit::Broker,
        DeskError::Store(_) | DeskError::Stored { .. } | DeskError::OtherAccount { .. } => Exit::State,
    }
}

/// A dry run needs no right to trade, but it is watched like any other host where there is a watchdog.
fn start_lease(prepared: &Parts, endings: &Endings) -> Result<LeaseClient, Failure> {
    let endings = endings.clone();
    let parts = LeaseParts {
        socket: prepared.config.watchdog_socket.clone(),
        epoch: prepared.epoch,
        mode: prepared.config.mode.as_str(),
        lease: prepared.lease.clone(),
        loops: prepared.figures.loops.clone(),
        orders: Box::new(move |order| match order {
            Order::Drain { reason } => endings.give(Ending::Drain { reason }),
        }),
    };
    LeaseClient::start(parts).map_err(|error| Failure::new(Exit::Failed, error))
}

async fn open_store(prepared: &Parts, pulse: Arc<Pulse>) -> Result<Store, Failure> {
    let database = prepared.config.records.database(prepared.config.mode, &prepared.folder);
    match &database {
        // The venue of a dry run starts flat, and so must its books.
        Database::Sqlite(path) if !prepared.config.mode.posts() => put_aside(path).map_err(|error| {
            Failure::new(Exit::State, format!("cannot move {} aside: {error}", path.display()))
        })?,
        Database::Sqlite(_) | Database::Postgres(_) => {}
    }
    if !prepared.config.mode.posts() {
        return open_database(&database, pulse).await;
    }
    marker::check(&prepared.folder, &database)?;
    let opened = Store::open_patiently(&database, pulse).await;
    let store = opened.map_err(|error| Failure::new(Exit::State, error))?;
    tracing::info!(%database, "records");
    marker::keep(&prepared.folder, &database)?;
    Ok(store)
}

/// Opens the records for a command.
///
/// # Errors
/// [`Exit::State`] when they cannot be opened.
pub(crate) async fn open_database(database: &Database, pulse: Arc<Pulse>) -> Result<Store, Failure> {
    let store = Store::open(database, pulse).await.map_err(|error| Failure::new(Exit::State, error))?;
    tracing::info!(%database, "records");
    Ok(store)
}

/// Keeps the database of the dry run before as `previous.db`.
fn put_aside(path: &Path) -> io::Result<()> {
    for ending in ["db", "db-wal", "db-shm"] {
        let (old, kept) = (path.with_extension(ending), path.with_file_name(format!("previous.{ending}")));
        for outcome in [fs::remove_file(&kept), fs::rename(&old, &kept)] {
            match outcome {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}

fn desk<B: Broker>(
    prepared: &Parts,
    broker: Arc<B>,
    store: Store,
    endings: &Endings,
) -> Result<Desk<B, Reviewer>, Failure> {
    let owners =
        strategies::owners(&prepared.strategies).map_err(|error| Failure::new(Exit::Plugin, error))?;
    let lease = prepared.figures.lease.clone();
    let permit: Arc<dyn Permit> = match &lease {
        Some(lease) => Arc::new(TradePermit::new(lease.clone(), prepared.config.kill_switch_file.clone())),
        None => Arc::new(DryRunPermit),
    };
    let review = Reviewer {
        gates: Gates::new(prepared.config.limits.clone()),
        losses: Losses::new(&prepared.config.limits, prepared.sessions.clone()),
        tape: prepared.figures.tape.clone(),
        sessions: prepared.sessions.clone(),
        owners,
        lease,
        clock: prepared.clock.clone(),
        endings: endings.clone(),
        account: None,
        day_trades: Default::default(),
        day_trades_given: String::new(),
    };
    let mut config = DeskConfig::new(prepared.epoch).at_speed(prepared.config.clock_speed);
    config.mode = prepared.config.mode.as_str();
    config.claims = claims(&prepared.config.claims, &prepared.strategies)?;
    let pulse = Arc::default();
    Ok(Desk::new(config, broker, store, review, permit, prepared.clock.clone(), pulse, prepared.seed))
}

/// Each rule with what its strategy trades. An order that is claimed for a strategy that is not there would
/// be nobody's.
fn claims(rules: &[ClaimRule], strategies: &[Arc<Strategy>]) -> Result<Vec<Claim>, Failure> {
    let claim = |rule: &ClaimRule| {
        let ClaimRule { client_id_prefix, strategy } = rule.clone();
        match strategies.iter().find(|there| there.name == strategy) {
            Some(there) => {
                Ok(Claim { client_id_prefix, strategy, symbols: there.instruments.iter().cloned().collect() })
            }
            None => {
                let what = format!(
                    "orders.claim gives {client_id_prefix:?} to the strategy {strategy}, of which there is \
                     no plugin"
                );
                Err(Failure::new(Exit::Config, what))
            }
        }
    };
    rules.iter().map(claim).collect()
}

/// Bars of the past, as many as the neediest strategy wants. Without them strategies start cold, which is
/// said.
async fn warmup(prepared: &Parts, until: MarketTime) -> Vec<Bar> {
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
    prepared: &Parts,
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
