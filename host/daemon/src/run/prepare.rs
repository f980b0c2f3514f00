//! Everything that can be wrong is found here, in the order of its cost: files, plugins, address, broker.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::fcntl::{Flock, FlockArg};
use sandpit_alpaca::{Alpaca, AlpacaConfig};
use sandpit_broker::{Broker, BrokerError};
use sandpit_contract::Exit;
use sandpit_fanout::Roster;
use sandpit_local::LocalBroker;
use sandpit_monitor::Monitor;
use sandpit_review::{Owners, Sessions};
use sandpit_strategy::{PLUGINS_MAX, PluginError};
use sandpit_types::{HostEpoch, MarketClock, MarketTime, Symbol};
use sandpit_venue::VenueConfig;

use super::{Failure, calendar};
use crate::{
    ambient,
    budgets::Budgets,
    clock::BrokerClock,
    config::{Config, Encoding, MarketData},
    figures::Figures,
    golive,
    lease::Lease,
    log,
    panel::{self, Hands},
    plugins::{Again, Folder, Refusals, Workshop, list, place, wanted_data},
    service::Service,
    strategies::{Counters, Loaded, Loader, StrategiesError, Strategy, Totals},
};

/// How long a request to the broker may take, real time.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the plugins of the start are waited for in all, real time: less than the watchdog waits for the
/// first sign of a host (`start_ms`), with the start of everything else. The others are taken when they are
/// compiled.
const LOADED_WITHIN: Duration = Duration::from_secs(60);
/// How long another step of the start may take before the service manager ends it, real time: several
/// requests that wait for the budget of a minute.
pub(super) const STEP_WITHIN: Duration = Duration::from_secs(120);
/// The calendar is read for so many days before today, for warm-up.
const CALENDAR_BACK: Duration = Duration::from_secs(10 * 86_400);
/// And for so many after it; before it runs out, the host asks to be restarted.
const CALENDAR_AHEAD: Duration = Duration::from_secs(370 * 86_400);

/// What is needed to trade, all of it usable.
pub(super) struct Prepared {
    pub(super) parts: Parts,
    pub(super) monitor: Monitor,
}

/// Everything but the monitor, which is served while the rest starts.
pub(super) struct Parts {
    pub(super) config: Arc<Config>,
    pub(super) folder: PathBuf,
    /// Held for as long as the process lives.
    pub(super) lock: Flock<File>,
    pub(super) lease: Arc<Lease>,
    pub(super) epoch: HostEpoch,
    pub(super) seed: u64,
    pub(super) plugins: Plugins,
    pub(super) clock: Arc<BrokerClock>,
    pub(super) sessions: Sessions,
    pub(super) alpaca: Arc<Alpaca>,
    pub(super) budgets: Arc<Budgets>,
    pub(super) figures: Arc<Figures>,
    pub(super) hands: Arc<Hands>,
}

/// What comes of loading a plugin of the folder, by its name.
pub(crate) type Loading = Workshop<Result<Loaded, StrategiesError>>;

/// The strategies that are there, the folder they came from, and what is known of both.
pub(crate) struct Plugins {
    pub(crate) loader: Loader,
    /// Where plugins are loaded: those of the start that took too long still are.
    pub(crate) workshop: Option<Loading>,
    /// The folder as it was taken.
    pub(crate) folder: Folder,
    /// Plugins that are looked at again.
    pub(crate) again: Again,
    pub(crate) roster: Arc<Roster<Strategy>>,
    pub(crate) owners: Arc<Owners>,
    pub(crate) refusals: Arc<Refusals>,
    /// Of all strategies that ever were.
    pub(crate) totals: Arc<Totals>,
}

/// Prepares a host.
///
/// # Errors
/// See [`Failure`]; each has the exit code of its kind.
pub(super) async fn prepare(
    config: Config,
    lease: Arc<Lease>,
    service: &Service,
) -> Result<Prepared, Failure> {
    service.step("compiling strategies", LOADED_WITHIN + STEP_WITHIN);
    let folder = usable_folder(&config)?;
    let lock = lock(&folder)?;
    golive::note_paper_key(&config)?;
    let random = || ambient::fresh_u64().map_err(|error| Failure::new(Exit::Failed, error));
    let (epoch, seed) = (HostEpoch(random()?), random()?);
    log::set_epoch(epoch);
    let config = Arc::new(config);
    let plugins = load_plugins(&config, &folder.join("compiled"), LOADED_WITHIN)
        .map_err(|error| Failure::new(Exit::Plugin, error))?;

    let clock = Arc::new(BrokerClock::new(MarketTime::EPOCH, config.clock_speed, ambient::boot_now));
    let market_clock: Arc<dyn MarketClock> = clock.clone();
    let budgets = Arc::new(Budgets::new(&config.quotas, &market_clock));
    say_what_comes_in(&config);
    let needed = config.mode.posts().then(|| lease.clone());
    let figures = Figures::new(&config, epoch, needed, clock.clone(), &plugins, budgets.clone());
    let figures = Arc::new(figures);
    #[cfg(debug_assertions)]
    crate::sabotage::watch(&ambient::environment(), &figures.loops);
    let hands = Arc::new(Hands::new(&config, clock.clone()));
    let monitor = monitor(&config, &figures, &hands).await?;

    let alpaca = Alpaca::new(alpaca_config(&config), budgets.trading.clone(), budgets.data.clone())
        .map_err(|error| Failure::new(Exit::Config, error))?;
    let alpaca = Arc::new(alpaca);
    service.step("asking the broker for time and calendar", STEP_WITHIN);
    let sessions = meet_broker(&config, &alpaca, &clock, &budgets).await?;
    let parts = Parts {
        config,
        folder,
        lock,
        lease,
        epoch,
        seed,
        plugins,
        clock,
        sessions,
        alpaca,
        budgets,
        figures,
        hands,
    };
    Ok(Prepared { parts, monitor })
}

impl Parts {
    /// The in-process broker of a dry run.
    pub(super) fn dry_run(&self) -> LocalBroker {
        let config = VenueConfig { seed: self.seed, ..VenueConfig::default() };
        LocalBroker::new(config, &wanted_data(&self.strategies(), []).bars, self.clock.clone())
    }

    /// The strategies that run now.
    pub(super) fn strategies(&self) -> Arc<[Arc<Strategy>]> {
        self.plugins.roster.members()
    }
}

/// Finds, checks and compiles everything in the plugins folder. Nothing runs yet. One that is of no use does
/// not keep the others from trading: it is said, and looked at again when it changes. One that is not
/// compiled `within` this time in all is left to the keeper, which takes it when it is.
///
/// # Errors
/// When the folder cannot be read, or nothing can be compiled here.
pub(crate) fn load_plugins(
    config: &Config,
    cache_dir: &Path,
    within: Duration,
) -> Result<Plugins, StrategiesError> {
    let loader = Loader::new(config, cache_dir)?;
    let dir = &config.plugins_dir;
    let listed = place(dir).and_then(|place| Ok((place, list(dir)?)));
    let (place, listing) = listed.map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => PluginError::NoFolder { path: dir.clone() },
        _ => PluginError::Io { action: "read", path: dir.clone(), source },
    })?;
    let (owners, refusals, totals) = (Owners::default(), Refusals::default(), Arc::default());
    let (mut strategies, mut again) = (Vec::new(), Again::default());
    let mut workshop = workshop(&loader, dir);
    listing.keys().for_each(|name| workshop.add(name));
    let began = ambient::boot_now();
    while let left = within.saturating_sub(ambient::boot_now().since(began))
        && let Some((name, loaded)) = workshop.next(left)
    {
        let taken = loaded.and_then(|loaded| {
            if strategies.len() >= PLUGINS_MAX {
                return Err(StrategiesError::TOO_MANY);
            }
            own(&owners, &loaded)?;
            Ok(loaded)
        });
        match taken {
            Ok(loaded) => {
                let counters = Arc::new(Counters::new(Arc::clone(&totals)));
                strategies.push(Arc::new(Strategy::new(loaded, counters)));
            }
            Err(error) => {
                again.put(&name, error.hope());
                refusals.say(&name, &error.to_string(), false);
            }
        }
    }
    workshop.left().for_each(|name| refusals.say(name, &StrategiesError::Compiling.to_string(), false));
    if strategies.is_empty() {
        tracing::warn!("no strategy runs: waiting for one in {}", dir.display());
    }
    Ok(Plugins {
        loader,
        workshop: Some(workshop),
        folder: Folder::taken(listing).lies_at(place),
        again,
        roster: Arc::new(Roster::of(strategies)),
        owners: Arc::new(owners),
        refusals: Arc::new(refusals),
        totals,
    })
}

fn workshop(loader: &Loader, dir: &Path) -> Loading {
    let (loader, dir) = (loader.clone(), dir.to_owned());
    Workshop::new(Arc::new(move |name| loader.load(&dir.join(format!("{name}.wasm")))))
}

/// The first one of two that want a symbol, by name, has it.
fn own(owners: &Owners, loaded: &Loaded) -> Result<(), StrategiesError> {
    let name = loaded.plugin.name();
    owners
        .take(name, &loaded.instruments, loaded.grant())
        .map_err(|(first, symbol)| StrategiesError::Shared { first, second: name.clone(), symbol })
}

/// One folder a mode, so that a dry run never sees the orders of an account.
///
/// # Errors
/// [`Exit::State`] when it cannot be made or written.
pub(crate) fn usable_folder(config: &Config) -> Result<PathBuf, Failure> {
    let folder = config.state_dir.join(config.mode.as_str());
    let probe = folder.join(".writable");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&probe, ""))
        .and_then(|()| fs::remove_file(&probe))
        .map_err(|error| {
        let what = format!("the state folder {} cannot be used: {error}", folder.display());
        Failure::new(
            Exit::State,
            what + "; name another as state_dir or give this user the right to write there",
        )
    })?;
    Ok(folder)
}

/// One host a folder: two would write each other's orders.
///
/// # Errors
/// [`Exit::State`] while another one holds it.
pub(crate) fn lock(folder: &Path) -> Result<Flock<File>, Failure> {
    let path = folder.join("lock");
    let file = File::create(&path);
    let file =
        file.map_err(|error| Failure::new(Exit::State, format!("cannot open {}: {error}", path.display())))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| {
        let what = format!("{} is locked ({error}): another host runs with this state_dir", path.display());
        Failure::new(Exit::State, what)
    })
}

/// What was configured beside what strategies ask for, for the log.
fn say_what_comes_in(config: &Config) {
    let MarketData { canary, encoding, news } = &config.market_data;
    let text = |symbols: &[Symbol]| symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(" ");
    let canary = canary.as_ref().map_or("off", Symbol::as_str);
    let address = &config.endpoints.news_stream_url;
    tracing::info!(canary, ?encoding, news = text(news), address, "market data");
}

async fn monitor(config: &Config, figures: &Arc<Figures>, hands: &Arc<Hands>) -> Result<Monitor, Failure> {
    let token = config.panel_token.as_ref().map(|token| token.expose().to_owned());
    let source = figures.clone();
    let monitor = Monitor::bind(config.listen, Arc::new(move || source.snapshot()), token).await;
    monitor.map(|monitor| monitor.with_panel(panel::parts(config, hands))).map_err(|error| {
        let what = format!("cannot listen on {}: {error}; name another address as `listen`", config.listen);
        Failure::new(Exit::Address, what)
    })
}

fn alpaca_config(config: &Config) -> AlpacaConfig {
    let endpoints = config.endpoints.clone();
    AlpacaConfig {
        trading_url: endpoints.trading_url,
        data_url: endpoints.data_url,
        trading_stream_url: endpoints.trading_stream_url,
        data_stream_url: endpoints.data_stream_url,
        news_stream_url: Some(endpoints.news_stream_url),
        encoding: match config.market_data.encoding {
            Encoding::Json => sandpit_alpaca::Encoding::Json,
            Encoding::Msgpack => sandpit_alpaca::Encoding::MessagePack,
        },
        feed: config.feed.clone(),
        key_id: config.key_id.clone(),
        secret: config.secret.clone(),
        timeout: REQUEST_TIMEOUT,
    }
}

/// Sets the clock by the broker's, and reads its calendar.
async fn meet_broker(
    config: &Config,
    alpaca: &Alpaca,
    clock: &BrokerClock,
    budgets: &Budgets,
) -> Result<Sessions, Failure> {
    let failed = |error: BrokerError| {
        let what = format!("cannot start with the broker at {}: {error}", config.endpoints.trading_url);
        Failure::new(Exit::Broker, what)
    };
    let told = alpaca.clock().await.map_err(failed)?;
    clock.set(told.now);
    budgets.assume_a_former_life();
    let read = async |until| alpaca.calendar(told.now - CALENDAR_BACK, until).await;
    calendar::first(read, told, CALENDAR_AHEAD).await.map_err(failed)
}
