//! The configuration: one TOML file, then the environment, then the defaults.
//!
//! A key that is not known is refused with its line and the nearest valid name: a misspelt limit must never
//! be silently ignored.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use sandpit_alpaca::Secret;
use sandpit_journal::Retention;
use sandpit_monitor::rules::Table;
use sandpit_risk::Limits;
use sandpit_strategy::Trust;
use sandpit_types::Usd;
use serde::{Deserialize, Serialize};

mod alerts;
mod budget;
mod database;
mod endpoints;
mod error;
mod file;
mod journal;
mod market_data;
mod orders;
mod panel;
mod secrets;
mod show;

pub(crate) use self::{
    budget::Quotas,
    database::Records,
    endpoints::Endpoints,
    error::ConfigError,
    market_data::{Encoding, MarketData},
    orders::ClaimRule,
    panel::PanelSection,
    secrets::{Unusable, with_files},
    show::{Shown, show},
};
use self::{
    endpoints::endpoints,
    error::invalid,
    file::{BrokerName, BrokerSection, File},
};

/// What the host does with orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Real data, fills from the in-process venue, nothing sent.
    #[default]
    DryRun,
    /// Orders go to a paper account or the sim.
    Paper,
    /// Orders go to a real account.
    Live,
}

impl Mode {
    /// The word in the configuration.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::DryRun => "dry-run",
            Self::Paper => "paper",
            Self::Live => "live",
        }
    }

    /// Whether orders leave the process, which needs a lease.
    pub(crate) const fn posts(self) -> bool {
        match self {
            Self::DryRun => false,
            Self::Paper | Self::Live => true,
        }
    }
}

/// The whole configuration, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// What happens with orders.
    pub mode: Mode,
    /// Database, compiled plugins, what strategies have saved, journal. One folder for each mode inside.
    pub(crate) state_dir: PathBuf,
    /// Where plugins are dropped.
    pub(crate) plugins_dir: PathBuf,
    /// Address of `/health`, `/metrics` and `/status`.
    pub(crate) listen: SocketAddr,
    /// A file whose existence kills.
    pub(crate) kill_switch_file: PathBuf,
    /// Where operators are heard; `None` for the usual place.
    pub(crate) control_socket: Option<PathBuf>,
    /// Bearer token of the panel, at least 16 characters; `/status` and money in `/metrics` need it when
    /// set.
    pub(crate) panel_token: Option<Secret>,
    /// How the panel may be reached, and whether it may do anything.
    pub(crate) panel: PanelSection,
    /// The watchdog's socket.
    pub(crate) watchdog_socket: PathBuf,
    /// Addresses of the broker.
    pub(crate) endpoints: Endpoints,
    /// Which data feed: `iex` or `sip`.
    pub(crate) feed: String,
    /// Market seconds in a real second: 1 but for a simulator.
    pub(crate) clock_speed: f64,
    /// API key id.
    pub(crate) key_id: Secret,
    /// API secret.
    pub(crate) secret: Secret,
    /// The request budgets.
    pub(crate) quotas: Quotas,
    /// Canary, encoding and news.
    pub(crate) market_data: MarketData,
    /// Whose orders become ours, though others placed them.
    pub(crate) claims: Vec<ClaimRule>,
    /// Where the records are, and how long they are kept.
    pub(crate) records: Records,
    /// How much is kept of what happens to strategies; `None` when it is not recorded.
    pub(crate) journal: Option<Retention>,
    /// The risk limits in force.
    pub(crate) limits: Limits,
    /// The signals that are judged, with their thresholds.
    pub(crate) alerts: Table,
    /// How long one event may take a strategy.
    pub(crate) event_deadline: Duration,
    /// How much memory one strategy may use.
    pub(crate) strategy_memory_bytes: usize,
    /// Whose signatures under plugins count.
    pub(crate) trust: Trust,
}

/// The variables with the broker's keys.
const KEYS: [&str; 2] = ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY"];
/// A panel token shorter than this can be guessed.
const MIN_TOKEN_CHARS: usize = 16;
/// The fastest market a simulator may be run at.
const MAX_CLOCK_SPEED: f64 = 10_000.0;
/// The longest one event may take a strategy: what is longer hangs.
const MAX_EVENT_DEADLINE_MS: u64 = 10_000;
/// The most memory a strategy may use: what 32-bit WebAssembly can address.
const MAX_MEMORY_MB: u64 = 4_096;
/// The longest name of a data feed.
const MAX_FEED_CHARS: usize = 32;

impl Config {
    /// Reads `path` and the variables in `env`.
    ///
    /// # Errors
    /// See [`ConfigError`]; each names the file and line or the variable.
    pub(crate) fn load(path: &Path, env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let env = with_files(env, secrets::NAMES)
            .map_err(|Unusable { variable, message }| bad_variable(variable, message))?;
        Self::check(read(path)?, path, &env)
    }

    /// Where the state of the host lies, and in which mode it runs: all that is needed to look at it, without
    /// the broker's keys.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub(crate) fn place(path: &Path, env: &BTreeMap<String, String>) -> Result<(PathBuf, Mode), ConfigError> {
        let file = read(path)?;
        let mode = mode(&file, env)?;
        Ok((file.state_dir, mode))
    }

    /// For commands that never talk to the broker: its keys may be missing.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub(crate) fn without_keys(path: &Path, env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut env = env.clone();
        for key in KEYS {
            // Nor is their file looked at: it may be for another user only.
            env.remove(&format!("{key}_FILE"));
            if variable(&env, key).is_none() {
                env.insert(key.to_owned(), "none".to_owned());
            }
        }
        Self::load(path, &env)
    }

    fn check(file: File, path: &Path, env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let not_allowed = |message: String| ConfigError::NotAllowed { path: path.to_owned(), message };
        let mode = mode(&file, env)?;
        let clock_speed = clock_speed(&file.broker, mode).map_err(not_allowed)?;
        if !is_feed(&file.broker.feed) {
            let feed = &file.broker.feed;
            return Err(not_allowed(format!("broker.feed is {feed:?}, it must be a name such as \"iex\"")));
        }
        let within = |key: &str, value: u64, ceiling: u64| {
            let fits = (1..=ceiling).contains(&value);
            let what = || not_allowed(format!("strategies.{key} is {value}, it must be 1 to {ceiling}"));
            fits.then_some(value).ok_or_else(what)
        };
        let deadline_ms =
            within("event_deadline_ms", file.strategies.event_deadline_ms, MAX_EVENT_DEADLINE_MS)?;
        let memory_mb = within("memory_mb", file.strategies.memory_mb, MAX_MEMORY_MB)?;
        let trust = Trust::new(&file.strategies.trusted_keys, file.strategies.require_signature);
        let trust = trust.map_err(|error| not_allowed(format!("strategies: {error}")))?;
        let quotas = Quotas::check(&file.budget, &file.sources).map_err(not_allowed)?;
        let market_data = MarketData::check(&file.market_data).map_err(not_allowed)?;
        let claims = orders::claims(&file.orders).map_err(not_allowed)?;
        let records = Records::check(&file.database, env)?.map_err(not_allowed)?;
        let journal = journal::check(&file.journal).map_err(not_allowed)?;
        let alerts = alerts::check(&file.alerts).map_err(not_allowed)?;
        panel::check(&file.panel).map_err(not_allowed)?;
        let mut overrides = file.limits;
        if let Some(text) = variable(env, "NAV_USD") {
            let amount: Usd =
                text.parse().map_err(|_| bad_variable("NAV_USD", format!("{text:?} is not an amount")))?;
            overrides.nav_usd = Some(amount.get());
        }
        let limits = Limits::tightened(&overrides).map_err(|error| not_allowed(error.to_string()))?;
        let kill_switch_file = variable(env, "KILL_SWITCH_FILE").map_or(file.kill_switch_file, PathBuf::from);
        Ok(Self {
            mode,
            state_dir: file.state_dir,
            plugins_dir: file.plugins_dir,
            listen: file.listen,
            kill_switch_file,
            control_socket: file.control_socket,
            panel_token: panel_token(env)?,
            panel: file.panel,
            watchdog_socket: file.watchdog.socket,
            endpoints: endpoints(&file.broker, mode),
            feed: file.broker.feed,
            clock_speed,
            key_id: secret(env, KEYS[0])?,
            secret: secret(env, KEYS[1])?,
            quotas,
            market_data,
            claims,
            records,
            journal,
            limits,
            alerts,
            event_deadline: Duration::from_millis(deadline_ms),
            strategy_memory_bytes: usize::try_from(memory_mb << 20).unwrap_or(usize::MAX),
            trust,
        })
    }
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
    toml::from_str(&text).map_err(|error| invalid(path, &text, &error))
}

fn mode(file: &File, env: &BTreeMap<String, String>) -> Result<Mode, ConfigError> {
    match variable(env, "DRY_RUN") {
        Some("1" | "true" | "yes") => Ok(Mode::DryRun),
        Some("0" | "false" | "no") | None => Ok(file.mode),
        Some(other) => Err(bad_variable("DRY_RUN", format!("{other:?} is neither 1 nor 0"))),
    }
}

/// Budgets count in market time: a compressed one with a broker whose market is not would let out as many
/// times too much.
fn clock_speed(broker: &BrokerSection, mode: Mode) -> Result<f64, String> {
    let speed = broker.clock_speed;
    if !(1.0..=MAX_CLOCK_SPEED).contains(&speed) {
        return Err(format!("broker.clock_speed is {speed}, it must be 1 to {MAX_CLOCK_SPEED}"));
    }
    let is_own = match (&broker.name, &broker.url) {
        (BrokerName::Alpaca, None) => true,
        (BrokerName::Alpaca, Some(_)) | (BrokerName::Sim, _) => false,
    };
    let real = if mode == Mode::Live {
        "in mode live"
    } else if is_own {
        "with the broker's own addresses"
    } else {
        return Ok(speed);
    };
    if speed != 1.0 {
        return Err(format!("broker.clock_speed must be 1 {real}: a real market is not compressed"));
    }
    Ok(speed)
}

/// A feed is a part of addresses, so it is short and plain.
fn is_feed(feed: &str) -> bool {
    let plain = feed.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    plain && (1..=MAX_FEED_CHARS).contains(&feed.len())
}

/// A variable that is set and not empty.
fn variable<'a>(env: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn bad_variable(name: impl Into<String>, message: String) -> ConfigError {
    ConfigError::Environment { name: name.into(), message }
}

fn secret(env: &BTreeMap<String, String>, name: &'static str) -> Result<Secret, ConfigError> {
    variable(env, name).map(Secret::new).ok_or_else(|| {
        let what = format!("is not set, nor is {name}_FILE; the sim takes any value, Alpaca takes yours");
        bad_variable(name, what)
    })
}

fn panel_token(env: &BTreeMap<String, String>) -> Result<Option<Secret>, ConfigError> {
    match variable(env, "PANEL_TOKEN") {
        None => Ok(None),
        Some(token) if token.chars().count() < MIN_TOKEN_CHARS => Err(bad_variable(
            "PANEL_TOKEN",
            format!("is shorter than {MIN_TOKEN_CHARS} characters; make it longer"),
        )),
        Some(token) => Ok(Some(Secret::new(token))),
    }
}

#[cfg(test)]
mod tests;
