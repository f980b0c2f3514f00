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
use sandpit_risk::{Limits, Overrides};
use sandpit_types::Usd;
use serde::Deserialize;

/// What the host does with orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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

/// Where the broker is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// Trading REST, no path.
    pub(crate) trading_url: String,
    /// Market-data REST, no path.
    pub(crate) data_url: String,
    /// Trade updates, a complete WebSocket address.
    pub(crate) trading_stream_url: String,
    /// Market data, a complete WebSocket address.
    pub(crate) data_stream_url: String,
}

/// The whole configuration, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// What happens with orders.
    pub mode: Mode,
    /// Database and compiled plugins. One folder for each mode inside.
    pub(crate) state_dir: PathBuf,
    /// Where plugins are dropped.
    pub(crate) plugins_dir: PathBuf,
    /// Address of `/health`, `/metrics` and `/status`.
    pub(crate) listen: SocketAddr,
    /// A file whose existence kills.
    pub(crate) kill_switch_file: PathBuf,
    /// Bearer token of the panel, at least 16 characters; `/status` needs it when set.
    pub(crate) panel_token: Option<Secret>,
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
    /// Requests a minute that the host may make at the trading API.
    pub(crate) requests_per_minute: u32,
    /// The risk limits in force.
    pub(crate) limits: Limits,
    /// How long one event may take a strategy.
    pub(crate) event_deadline: Duration,
    /// How much memory one strategy may use.
    pub(crate) strategy_memory_bytes: usize,
}

/// Why a configuration cannot be used. Each is one sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}:{line}: {message}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where in it, from 1.
        line: usize,
        /// What is wrong and what to do.
        message: String,
    },
    /// A variable of the environment is not what it should be.
    #[error("environment variable {name}: {message}")]
    Environment {
        /// Its name.
        name: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// A value that is well-formed but not allowed.
    #[error("configuration {path}: {message}")]
    NotAllowed {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    mode: Mode,
    state_dir: PathBuf,
    plugins_dir: PathBuf,
    #[serde(default = "default_listen")]
    listen: SocketAddr,
    #[serde(default = "default_kill_switch_file")]
    kill_switch_file: PathBuf,
    #[serde(default)]
    broker: BrokerSection,
    #[serde(default)]
    watchdog: WatchdogSection,
    #[serde(default)]
    strategies: StrategiesSection,
    #[serde(default)]
    limits: Overrides,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BrokerName {
    #[default]
    Sim,
    Alpaca,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BrokerSection {
    name: BrokerName,
    url: Option<String>,
    feed: String,
    clock_speed: f64,
    requests_per_minute: u32,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WatchdogSection {
    socket: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StrategiesSection {
    event_deadline_ms: u64,
    memory_mb: usize,
}

impl Default for BrokerSection {
    fn default() -> Self {
        Self {
            name: BrokerName::Sim,
            url: None,
            feed: "iex".into(),
            clock_speed: 1.0,
            requests_per_minute: HOST_RPM,
        }
    }
}

impl Default for WatchdogSection {
    fn default() -> Self {
        Self { socket: "/run/sandpit/lease.sock".into() }
    }
}

impl Default for StrategiesSection {
    fn default() -> Self {
        Self { event_deadline_ms: 100, memory_mb: 64 }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

fn default_kill_switch_file() -> PathBuf {
    "/run/sandpit/kill".into()
}

/// The host's part of the broker's 200 requests a minute; the watchdog keeps 20 for itself.
const HOST_RPM: u32 = 160;
/// Where `sandpit-sim` listens unless told otherwise.
const SIM_URL: &str = "http://127.0.0.1:8090";
/// A panel token shorter than this can be guessed.
const MIN_TOKEN_CHARS: usize = 16;
/// The fastest market a simulator may be run at.
const MAX_CLOCK_SPEED: f64 = 10_000.0;

impl Config {
    /// Reads `path` and the variables in `env`.
    ///
    /// # Errors
    /// See [`ConfigError`]; each names the file and line or the variable.
    pub(crate) fn load(path: &Path, env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
        let file: File = toml::from_str(&text).map_err(|error| invalid(path, &text, &error))?;
        Self::check(file, path, env)
    }

    fn check(file: File, path: &Path, env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let not_allowed = |message: String| ConfigError::NotAllowed { path: path.to_owned(), message };
        let mode = match variable(env, "DRY_RUN") {
            Some("1" | "true" | "yes") => Mode::DryRun,
            Some("0" | "false" | "no") | None => file.mode,
            Some(other) => return Err(bad_variable("DRY_RUN", format!("{other:?} is neither 1 nor 0"))),
        };
        let speed = file.broker.clock_speed;
        if !(1.0..=MAX_CLOCK_SPEED).contains(&speed) {
            return Err(not_allowed(format!(
                "broker.clock_speed is {speed}, it must be 1 to {MAX_CLOCK_SPEED}"
            )));
        }
        if mode == Mode::Live && speed != 1.0 {
            return Err(not_allowed(
                "broker.clock_speed must be 1 in mode live: a real market is not compressed".into(),
            ));
        }
        let rpm = file.broker.requests_per_minute;
        if !(1..=HOST_RPM).contains(&rpm) {
            return Err(not_allowed(format!(
                "broker.requests_per_minute is {rpm}, it must be 1 to {HOST_RPM}"
            )));
        }
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
            panel_token: panel_token(env)?,
            watchdog_socket: file.watchdog.socket,
            endpoints: endpoints(&file.broker, mode),
            feed: file.broker.feed,
            clock_speed: speed,
            key_id: secret(env, "APCA_API_KEY_ID")?,
            secret: secret(env, "APCA_API_SECRET_KEY")?,
            requests_per_minute: rpm,
            limits,
            event_deadline: Duration::from_millis(file.strategies.event_deadline_ms.max(1)),
            strategy_memory_bytes: file.strategies.memory_mb.max(1) << 20,
        })
    }
}

fn endpoints(broker: &BrokerSection, mode: Mode) -> Endpoints {
    let own = |base: &str| {
        let base = base.trim_end_matches('/');
        let ws = base.replacen("http", "ws", 1);
        Endpoints {
            trading_url: base.to_owned(),
            data_url: base.to_owned(),
            trading_stream_url: format!("{ws}/stream"),
            data_stream_url: format!("{ws}/v2/{}", broker.feed),
        }
    };
    match (&broker.url, &broker.name) {
        (Some(url), BrokerName::Sim | BrokerName::Alpaca) => own(url),
        (None, BrokerName::Sim) => own(SIM_URL),
        (None, BrokerName::Alpaca) => {
            let host = if mode == Mode::Live { "api.alpaca.markets" } else { "paper-api.alpaca.markets" };
            Endpoints {
                trading_url: format!("https://{host}"),
                data_url: "https://data.alpaca.markets".into(),
                trading_stream_url: format!("wss://{host}/stream"),
                data_stream_url: format!("wss://stream.data.alpaca.markets/v2/{}", broker.feed),
            }
        }
    }
}

/// A variable that is set and not empty.
fn variable<'a>(env: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn bad_variable(name: &'static str, message: String) -> ConfigError {
    ConfigError::Environment { name, message }
}

fn secret(env: &BTreeMap<String, String>, name: &'static str) -> Result<Secret, ConfigError> {
    variable(env, name)
        .map(Secret::new)
        .ok_or_else(|| bad_variable(name, "is not set; the sim takes any value, Alpaca takes yours".into()))
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

/// One sentence with the line, and for a misspelt key the nearest valid one.
fn invalid(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let line = text[..start].matches('\n').count() + 1;
    let message = error.message();
    let message = match nearest_key(message) {
        Some((key, Some(nearest))) => format!("unknown key `{key}`; did you mean `{nearest}`?"),
        Some((key, None)) => format!("unknown key `{key}`; remove it or see the README for the valid keys"),
        None => message.to_owned(),
    };
    ConfigError::Invalid { path: path.to_owned(), line, message }
}

/// Reads serde's "unknown field `x`, expected one of `a`, `b`" into the key and its nearest valid name.
fn nearest_key(message: &str) -> Option<(&str, Option<&str>)> {
    let mut names = message.strip_prefix("unknown field `")?.split('`').step_by(2);
    let key = names.next()?;
    let nearest = names
        .map(|name| (strsim::damerau_levenshtein(key, name), name))
        .filter(|(distance, name)| !name.is_empty() && *distance <= name.len().div_ceil(2))
        .min_by_key(|(distance, _)| *distance);
    Some((key, nearest.map(|(_, name)| name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "state_dir = \"s\"\nplugins_dir = \"p\"\n";

    fn load(text: &str, env: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("sandpit.toml");
        std::fs::write(&path, text).expect("written");
        let keys = [("APCA_API_KEY_ID", "k"), ("APCA_API_SECRET_KEY", "s")];
        let env = keys.iter().chain(env).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Config::load(&path, &env).map_err(|error| error.to_string())
    }

    #[test]
    fn a_bad_file_is_one_sentence_with_its_line() {
        let check = |text: &str, expected: &str| {
            let error = load(text, &[]).expect_err(text);
            assert!(error.ends_with(expected), "{text:?} gave {error:?}");
        };
        check("plugins_dir = \"p\"\n", "missing field `state_dir`");
        check(
            &format!("{GOOD}plugin_dir = \"x\"\n"),
            ":3: unknown key `plugin_dir`; did you mean `plugins_dir`?",
        );
        check(
            &format!("{GOOD}[broker]\nclock_sped = 2\n"),
            ":4: unknown key `clock_sped`; did you mean `clock_speed`?",
        );
        check(
            &format!("{GOOD}[broker]\nclock_speed = 0.5\n"),
            "broker.clock_speed is 0.5, it must be 1 to 10000",
        );
        check(
            &format!("mode = \"live\"\n{GOOD}[broker]\nclock_speed = 2\n"),
            "a real market is not compressed",
        );
        check(
            &format!("{GOOD}[limits]\nnav_usd = -1\n"),
            "must be above zero; leave it out for the built-in value",
        );
        check(&format!("{GOOD}[limits]\nposition_percent = 50\n"), "set it to 10 or less");
        check(&format!("{GOOD}[broker]\nrequests_per_minute = 200\n"), "it must be 1 to 160");
    }

    #[test]
    fn the_environment_goes_over_the_file() {
        let config = load(&format!("mode = \"paper\"\n{GOOD}"), &[("DRY_RUN", "1"), ("NAV_USD", "2500.50")]);
        let config = config.expect("valid");
        assert_eq!(config.mode, Mode::DryRun);
        assert_eq!(config.limits.nav().map(|nav| nav.to_string()).as_deref(), Some("2500.5"));
        let check = |env: &[(&str, &str)], expected: &str| {
            let error = load(GOOD, env).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        };
        check(&[("DRY_RUN", "maybe")], "environment variable DRY_RUN: \"maybe\" is neither 1 nor 0");
        check(&[("NAV_USD", "much")], "environment variable NAV_USD: \"much\" is not an amount");
        check(&[("PANEL_TOKEN", "short")], "PANEL_TOKEN: is shorter than 16 characters");
        check(&[("APCA_API_SECRET_KEY", "")], "APCA_API_SECRET_KEY: is not set");
    }

    #[test]
    fn secrets_are_never_printed() {
        let config =
            load(GOOD, &[("APCA_API_SECRET_KEY", "hunter2hunter2"), ("PANEL_TOKEN", "0123456789abcdef")]);
        let text = format!("{:?}", config.expect("valid"));
        assert!(!text.contains("hunter2") && !text.contains("0123456789abcdef"), "{text}");
    }

    #[test]
    fn alpaca_addresses_follow_the_mode() {
        let text = |mode: &str| format!("mode = \"{mode}\"\n{GOOD}[broker]\nname = \"alpaca\"\n");
        let trading = |mode: &str| load(&text(mode), &[]).expect(mode).endpoints.trading_url;
        assert_eq!(trading("paper"), "https://paper-api.alpaca.markets");
        assert_eq!(trading("dry-run"), "https://paper-api.alpaca.markets");
        assert_eq!(trading("live"), "https://api.alpaca.markets");
    }
}
