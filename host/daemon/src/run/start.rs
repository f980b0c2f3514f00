//! The wiring: reconcile, then start every loop.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use sandpit_broker::{Broker, History, OrderFeed, Permit};
use sandpit_contract::Exit;
use sandpit_cores::reconcile::Claim;
use sandpit_execution::{Desk, DeskConfig, DeskError, DeskInput, DeskStats, Reconciled};
use sandpit_ingest::{IngestStats, Resubscription};
use sandpit_local::{LocalBroker, LocalPermit};
use sandpit_store::{Database, Store, StoreError};
use sandpit_types::{Bar, MarketClock, MarketTime, Pulse, Symbol};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};

use super::{
    Ending, Endings, Failure,
    end::Host,
    marker,
    prepare::{Parts, Prepared, STEP_WITHIN},
    spawn::Spawner,
    strategies::start_strategies,
};
use crate::{
    alarms::Watch,
    config::ClaimRule,
    control::Tickets,
    figures::Running,
    lease::{LeaseClient, LeaseParts, Order},
    outside::{HostReviewer, OfHost},
    permit::TradePermit,
    plugins::{Crew, Keeper, KeeperParts, Quarantines, Snapshots, World, wanted_data},
    recording::Recording,
    service::Service,
    strategies::{Arrivals, Outlets, Strategy},
};

/// So long after a minute's end the broker's history has its bar, market time.
pub(crate) const SETTLE: Duration = Duration::from_secs(5);
/// Inputs that may wait for the desk.
const DESK_INPUTS: usize = 4_096;

/// Reconciles and starts every loop. `dry_run` is given when the venue in this process is the broker. The way
/// to the watchdog is left to the caller, who says goodbye should this fail or be cut short.
///
/// # Errors
/// When the store cannot be opened, the broker does not answer, or a strategy does not start.
pub(super) async fn start<B: Broker, O: OrderFeed>(
    prepared: Prepared,
    broker: Arc<B>,
    orders: Arc<O>,
    dry_run: Option<LocalBroker>,
    endings: &Endings,
    service: &Service,
    to_watchdog: &mut Option<LeaseClient>,
) -> Result<Host, Failure> {
    let (stop, stopped) = watch::channel(false);
    prepared.parts.hands.set_endings(endings.clone());
    endings.watch_task("monitor", tokio::spawn(prepared.monitor.serve(stopped.clone())));
    let mut prepared = prepared.parts;
    let quarantines = in_folder(&prepared, Quarantines::FOLDER, Quarantines::start)?;
    let account = Arc::new(OnceLock::new());
    *to_watchdog = Some(start_lease(&prepared, endings, quarantines.clone(), account.clone())?);
    let store_pulse = Arc::new(Pulse::default());
    service.step("opening the records", STEP_WITHIN);
    let store = open_store(&prepared, store_pulse.clone()).await?;
    prepared.hands.set_records(store.reader());
    let mut desk = desk(&prepared, broker, store.clone(), endings)?;
    service.step("reconciling with the broker", STEP_WITHIN);
    let found = desk.reconcile().await.map_err(|error| Failure::new(exit_of(&error), error))?;
    say(&found);
    if prepared.config.mode.posts() {
        // The first and only time.
        let _ = account.set(found.account.id.clone());
    }
    prepared.figures.set_equity(found.account.equity);

    // The minute before this may not be complete at the broker yet: ingest asks for it later.
    let since = (prepared.clock.now() - SETTLE).minute();
    service.step("reading bars to warm up", STEP_WITHIN);
    let warmup = warmup(&prepared, since).await;
    let (inputs, desk_inputs) = mpsc::channel(DESK_INPUTS);
    let crew = Arc::new(Crew::default());
    let world =
        World { account: found.account.id.clone(), epoch: prepared.epoch, lives: found.lives.clone() };
    let outlets = outlets(&prepared, &inputs, quarantines.clone(), world)?;
    // Before anybody trades: what stopped entries in the life before stops them still.
    let place = (prepared.folder.as_path(), prepared.config.mode.posts());
    let (figures, table) = (prepared.figures.clone(), prepared.config.alerts.clone());
    let watch = Watch::new(figures, place, table, inputs.clone(), &store, prepared.clock.clone());
    let alarms_kept = watch.start(endings, stopped.clone());
    start_strategies(&mut prepared, &crew, &desk, &found.account, &warmup, &outlets);

    let held = desk.books().sub_books().filter(|(.., book)| !book.qty.is_zero());
    let held = held.map(|(_, symbol, _)| symbol.clone()).collect();
    let spawner = Spawner { prepared: &prepared, endings, stopped, inputs: &inputs };
    spawner.store(&store, store_pulse);
    spawner.retention(&store);
    let stats = desk.stats();
    let arrivals = Arc::new(Arrivals::default());
    let tickets = Arc::new(Tickets::default());
    let (desk, suspicions) =
        spawner.desk(desk, desk_inputs, arrivals.clone(), found.account, tickets.clone());
    let updates = spawner.updates(orders, suspicions);
    spawner.clock();
    spawner.ticks();
    spawner.looks();
    // Last, so that no strategy sees the market before it knows what it holds.
    let (ingest, market) = spawner.ingest(since, held, dry_run.clone());
    let (news, wire) = spawner.news(since);
    let alpaca = prepared.alpaca.clone();
    prepared.figures.set_running(Running {
        desk: stats.clone(),
        ingest: ingest.clone(),
        updates,
        news,
        alpaca,
    });
    spawner.control(tickets);
    let mode = prepared.config.mode.as_str();
    tracing::info!(mode, epoch = %prepared.epoch, event = "started", "trading");
    let feeds = Feeds { market, wire, data: ingest, books: stats, arrivals, dry_run };
    let (snapshots, recording) = (outlets.snapshots.clone(), outlets.recording.clone());
    let keeper = keep(&mut prepared, feeds, crew.clone(), outlets, endings)?;
    let status = prepared.figures.clone();
    service.ready(status.loops.clone(), move || status.line());
    let Parts { config, budgets, lock, .. } = prepared;
    let kill_switch_file = config.kill_switch_file.clone();
    Ok(Host {
        kill_switch_file,
        lease: to_watchdog.take().expect("it was started above"),
        keeper,
        crew,
        snapshots,
        quarantines,
        budgets,
        inputs,
        desk,
        stop,
        store,
        recording,
        alarms_kept,
        _lock: lock,
    })
}

fn say(found: &Reconciled) {
    let (open, adopted, fills) = (found.open, found.adopted, found.fills);
    tracing::info!(open, adopted, fills, event = "reconciled", "reconciled with the broker");
    for difference in &found.positions {
        let event = "reconciled-with-differences";
        tracing::error!(?difference, event, "the broker holds another quantity than the books");
    }
}

fn exit_of(error: &DeskError) -> Exit {
    match error {
        DeskError::Broker(_) | DeskError::Store(StoreError::Open { may_pass: true, .. }) => Exit::Broker,
        DeskError::Store(_) | DeskError::Stored { .. } | DeskError::OtherAccount { .. } => Exit::State,
    }
}

/// A dry run needs no right to trade, but it is watched like any other host where there is a watchdog.
fn start_lease(
    prepared: &Parts,
    endings: &Endings,
    quarantines: Quarantines,
    account: Arc<OnceLock<String>>,
) -> Result<LeaseClient, Failure> {
    let endings = endings.clone();
    let parts = LeaseParts {
        socket: prepared.config.watchdog_socket.clone(),
        epoch: prepared.epoch,
        mode: prepared.config.mode.as_str(),
        lease: prepared.lease.clone(),
        loops: prepared.figures.loops.clone(),
        account,
        alarms: prepared.figures.alarms.clone(),
        orders: Box::new(move |order| match order {
            Order::Drain { reason } => endings.give(Ending::Drain { reason }),
            Order::Quarantine { strategy, reason } => quarantines.condemn(strategy, reason),
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
    let store = opened.map_err(|error| {
        // A server that is being started, or moved, is tried again, as a broker is.
        let passes = matches!(error, StoreError::Open { may_pass: true, .. });
        Failure::new(if passes { Exit::Broker } else { Exit::State }, error)
    })?;
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
) -> Result<Desk<B, HostReviewer>, Failure> {
    let lease = prepared.figures.lease.clone();
    let permit: Arc<dyn Permit> = match &lease {
        Some(lease) => Arc::new(TradePermit::new(lease.clone(), prepared.config.kill_switch_file.clone())),
        None => Arc::new(LocalPermit),
    };
    let outside = OfHost { lease, alarms: prepared.figures.alarms.clone(), endings: endings.clone() };
    let review = HostReviewer::new(
        prepared.config.limits.clone(),
        prepared.sessions.clone(),
        prepared.figures.tape.clone(),
        prepared.plugins.owners.clone(),
        prepared.clock.clone(),
        outside,
    );
    let mut config = DeskConfig::new(prepared.epoch).at_speed(prepared.config.clock_speed);
    config.mode = prepared.config.mode.as_str();
    config.claims = claims(&prepared.config.claims, &prepared.strategies());
    let is_idle = |rule: &&ClaimRule| config.claims.iter().all(|claim| claim.strategy != rule.strategy);
    for ClaimRule { client_id_prefix, strategy } in prepared.config.claims.iter().filter(is_idle) {
        tracing::warn!(
            "orders.claim gives {client_id_prefix:?} to the strategy {strategy}, which does not run: \
             such orders are left alone until it does"
        );
    }
    let pulse = Arc::default();
    Ok(Desk::new(config, broker, store, review, permit, prepared.clock.clone(), pulse, prepared.seed))
}

/// Each rule with what its strategy trades. An order that would be claimed for a strategy that is not there
/// would be nobody's: that rule waits for its strategy.
pub(crate) fn claims(rules: &[ClaimRule], strategies: &[Arc<Strategy>]) -> Vec<Claim> {
    let claim = |rule: &ClaimRule| {
        let ClaimRule { client_id_prefix, strategy } = rule.clone();
        let there = strategies.iter().find(|there| there.name == strategy)?;
        Some(Claim { client_id_prefix, strategy, symbols: there.instruments.iter().cloned().collect() })
    };
    rules.iter().filter_map(claim).collect()
}

/// Bars of the past, as many as the neediest strategy wants. Without them strategies start cold, which is
/// said.
async fn warmup(prepared: &Parts, until: MarketTime) -> Vec<Bar> {
    let strategies = prepared.strategies();
    let wanted = strategies.iter().map(|strategy| strategy.warmup_bars()).max().unwrap_or(0);
    let from = prepared.sessions.minutes_back(until, wanted);
    if wanted == 0 || from >= until {
        return Vec::new();
    }
    let symbols = wanted_data(&strategies, []).bars;
    prepared.alpaca.bars(&symbols, from, until).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "no bars of the past: strategies start without warm-up");
        Vec::new()
    })
}

/// Where strategies put what they want and save. A dry run starts flat, and so does what they have saved.
fn outlets(
    prepared: &Parts,
    inputs: &mpsc::Sender<DeskInput>,
    quarantines: Quarantines,
    world: World,
) -> Result<Outlets, Failure> {
    let snapshots = in_folder(prepared, Snapshots::FOLDER, |folder| Snapshots::start(folder, world))?;
    let recording = Recording::start(&prepared.config, &prepared.folder, prepared.epoch)?;
    if let Some(counters) = recording.counters() {
        prepared.figures.set_journal(counters);
    }
    let loops = prepared.figures.loops.clone();
    Ok(Outlets { desk: inputs.clone(), loops, snapshots, quarantines, recording: Arc::new(recording) })
}

/// Starts what keeps this folder of the state. A dry run finds it empty.
fn in_folder<T>(
    prepared: &Parts,
    name: &str,
    start: impl FnOnce(PathBuf) -> io::Result<T>,
) -> Result<T, Failure> {
    let folder = prepared.folder.join(name);
    let failed = |error: io::Error| {
        let what = format!("the folder {} cannot be used: {error}", folder.display());
        Failure::new(Exit::State, what)
    };
    if !prepared.config.mode.posts() {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
    }
    start(folder.clone()).map_err(failed)
}

/// What the keeper of the plugins needs of the loops that run.
struct Feeds {
    market: mpsc::Sender<Resubscription>,
    wire: mpsc::Sender<Vec<Symbol>>,
    data: Arc<IngestStats>,
    books: Arc<DeskStats>,
    arrivals: Arc<Arrivals>,
    dry_run: Option<LocalBroker>,
}

/// From here on, the plugins folder says who trades.
fn keep(
    prepared: &mut Parts,
    feeds: Feeds,
    crew: Arc<Crew>,
    outlets: Outlets,
    endings: &Endings,
) -> Result<Keeper, Failure> {
    let plugins = &mut prepared.plugins;
    Keeper::start(KeeperParts {
        config: prepared.config.clone(),
        loader: plugins.loader.clone(),
        workshop: plugins.workshop.take().expect("the host starts once"),
        folder: std::mem::take(&mut plugins.folder),
        again: std::mem::take(&mut plugins.again),
        roster: plugins.roster.clone(),
        owners: plugins.owners.clone(),
        refusals: plugins.refusals.clone(),
        crew,
        arrivals: feeds.arrivals,
        outlets,
        totals: plugins.totals.clone(),
        books: feeds.books,
        ingest: feeds.market,
        news: feeds.wire,
        data: feeds.data,
        history: prepared.alpaca.clone(),
        runtime: Handle::current(),
        sessions: prepared.sessions.clone(),
        clock: prepared.clock.clone(),
        dry_run: feeds.dry_run,
        endings: endings.clone(),
        looks: prepared.figures.looks.clone(),
        seed: prepared.seed.rotate_left(3),
    })
    .map_err(|error| Failure::new(Exit::Failed, error))
}
