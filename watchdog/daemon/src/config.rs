//! The configuration file, checked as a whole before anything starts.

mod limits;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use sandpit_contract::{MAX_LOOPS, Policy};
use serde::Deserialize;

pub(crate) use crate::secret::secret;
use crate::{
    admin::AdminConfig,
    alerts::{AlertsConfig, is_safe},
    drill::DrillConfig,
    error::Error,
    liveness::{Limits, LoopLimits},
    machine::{HostMode, Settings},
    proof::{Scope, Terms},
};

/// The longest path of a Unix socket.
const MAX_SOCKET_BYTES: usize = 107;
/// A restart back-off has at most so many steps.
const MAX_BACKOFF_STEPS: usize = 32;

/// The file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where armed file and latch live.
    pub(crate) state_dir: PathBuf,
    /// Where the host connects.
    pub(crate) socket: PathBuf,
    /// A file of any type here kills. `KILL_SWITCH_FILE` overrides it.
    #[serde(default)]
    pub(crate) kill_switch_file: PathBuf,
    /// Who starts the host, and how.
    pub(crate) host: HostConfig,
    /// The account.
    pub(crate) broker: BrokerConfig,
    /// What a kill does.
    #[serde(default)]
    pub(crate) kill: KillConfig,
    /// How long a loop may stand still.
    #[serde(default)]
    pub(crate) liveness: LivenessConfig,
    /// How much memory the host may use.
    #[serde(default)]
    pub(crate) memory: MemoryConfig,
    /// The kill, rehearsed.
    #[serde(default)]
    pub(crate) drill: DrillConfig,
    /// Where the file is.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    /// Who is told.
    #[serde(default)]
    pub(crate) alerts: AlertsConfig,
    /// The panic button, metrics, health.
    #[serde(default)]
    pub(crate) admin: AdminConfig,
    /// What the account may lose.
    #[serde(default)]
    limits: limits::LimitsConfig,
}

/// `[host]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostConfig {
    mode: Mode,
    /// Program and arguments, in mode `spawn`.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    #[serde(default = "default_backoff")]
    restart_backoff_ms: Vec<u64>,
    /// The user that the host runs as, when it is not the watchdog's own.
    pub(crate) uid: Option<u32>,
    /// The same by its name.
    user: Option<String>,
}

impl HostConfig {
    /// Looks the user up, so that the number is known before a host asks.
    fn find_user(&mut self) -> Result<(), String> {
        let Some(name) = &self.user else { return Ok(()) };
        let wrong = |why: String| format!("`[host] user = {name:?}` {why}");
        if self.uid.is_some() {
            return Err(wrong("and `uid` are both set: set one".into()));
        }
        let found = nix::unistd::User::from_name(name)
            .map_err(|cause| wrong(format!("cannot be looked up: {cause}")))?;
        let user =
            found.ok_or_else(|| wrong("is no user of this machine: create it, or mend the name".into()))?;
        self.uid = Some(user.uid.as_raw());
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    Spawn,
    Attach,
}

/// `[broker]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BrokerConfig {
    /// Without `/v2`.
    pub(crate) trading_url: String,
    /// The watchdog's share of the account's quota; a kill may burst.
    #[serde(default = "default_requests_per_minute")]
    requests_per_minute: u64,
}

/// `[kill]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KillConfig {
    scope: ScopeName,
    policy: Policy,
    confirm_ms: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ScopeName {
    Account,
    Ours,
}

/// `[liveness]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LivenessConfig {
    stall_ms: u64,
    replace_ms: u64,
    start_ms: u64,
    /// Loops with limits of their own, by name; `strategy:*` means every strategy.
    loops: BTreeMap<String, LoopConfig>,
}

/// One entry of `[liveness.loops]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoopConfig {
    stall_ms: u64,
    replace_ms: u64,
}

/// `[memory]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MemoryConfig {
    budget_mb: Option<u64>,
    drain_percent: u32,
    kill_percent: u32,
}

impl LoopConfig {
    fn limits(self) -> LoopLimits {
        let ms = Duration::from_millis;
        LoopLimits { stall: ms(self.stall_ms), replace: ms(self.replace_ms) }
    }
}

fn default_backoff() -> Vec<u64> {
    vec![100, 500, 1000, 2000, 5000]
}

fn default_requests_per_minute() -> u64 {
    20
}

impl Default for KillConfig {
    fn default() -> Self {
        Self { scope: ScopeName::Account, policy: Policy::Cancel, confirm_ms: 60_000 }
    }
}

impl Default for LivenessConfig {
    fn default() -> Self {
        Self { stall_ms: 2000, replace_ms: 3500, start_ms: 120_000, loops: BTreeMap::new() }
    }
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { budget_mb: None, drain_percent: 80, kill_percent: 92 }
    }
}

/// The watchdog's own key.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) key_id: String,
    pub(crate) secret_key: String,
}

impl Credentials {
    /// From the environment.
    ///
    /// # Errors
    /// When either half is missing, or is no secret.
    pub(crate) fn of(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let read = |name: &str| {
            let value = secret(&variable, name)?.map(|secret| secret.expose().to_owned());
            value.ok_or_else(|| {
                Error::Config(format!(
                    "the environment variable {name} is missing: set it to the broker key of the watchdog"
                ))
            })
        };
        Ok(Self { key_id: read("APCA_API_KEY_ID")?, secret_key: read("APCA_API_SECRET_KEY")? })
    }
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`Error::Config`], with the line and, for a misspelt key, the nearest valid name.
    pub(crate) fn load(path: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let wrong = |text: String| Error::Config(format!("{}: {text}", path.display()));
        let text =
            std::fs::read_to_string(path).map_err(|cause| wrong(format!("cannot be read: {cause}")))?;
        let mut config = parse(&text).map_err(wrong)?;
        if let Some(flag) = variable("KILL_SWITCH_FILE") {
            config.kill_switch_file = flag.into();
        }
        config.check().map_err(wrong)?;
        config.drill.check().map_err(wrong)?;
        config.host.find_user().map_err(wrong)?;
        config.path = path.into();
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let backoff = &self.host.restart_backoff_ms;
        let rules = [
            (
                !self.kill_switch_file.as_os_str().is_empty(),
                "`kill_switch_file` is missing, and KILL_SWITCH_FILE is not set",
            ),
            (
                [&self.state_dir, &self.socket, &self.kill_switch_file].iter().all(|path| path.is_absolute()),
                "`state_dir`, `socket` and `kill_switch_file` (or KILL_SWITCH_FILE) must be absolute paths: \
                 every command has to mean the same files, wherever it is run",
            ),
            (
                self.socket.as_os_str().len() <= MAX_SOCKET_BYTES,
                "`socket` is longer than the 107 bytes that a Unix socket's path may have",
            ),
            (
                self.host.mode == Mode::Attach || !self.host.command.is_empty(),
                "`[host] command` is missing: mode \"spawn\" needs the program and its arguments",
            ),
            (backoff.len() <= MAX_BACKOFF_STEPS, "`[host] restart_backoff_ms` has more than 32 steps"),
            (
                backoff.iter().all(|ms| (1..=600_000).contains(ms)),
                "`[host] restart_backoff_ms` holds a step outside 1..=600000",
            ),
            (
                is_safe(&self.broker.trading_url),
                "`[broker] trading_url` must begin with https://, or with http:// and this machine \
                 (127.0.0.1, ::1, localhost): keys do not go unencrypted over a network",
            ),
            (
                (1..=180).contains(&self.broker.requests_per_minute),
                "`[broker] requests_per_minute` must be within 1..=180",
            ),
            (
                self.kill.policy != Policy::Flatten || self.scope() == Scope::Account,
                "`[kill] policy = \"flatten\"` needs `scope = \"account\"`: positions are one netted pot, \
                 and nobody can tell which part of it is ours",
            ),
            (
                (1000..=3_600_000).contains(&self.kill.confirm_ms),
                "`[kill] confirm_ms` must be within 1000..=3600000",
            ),
            (
                500 <= self.liveness.stall_ms
                    && self.liveness.stall_ms < self.liveness.replace_ms
                    && self.liveness.replace_ms <= self.liveness.start_ms
                    && self.liveness.start_ms <= 3_600_000,
                "`[liveness]` must hold 500 <= stall_ms < replace_ms <= start_ms <= 3600000",
            ),
            (
                self.liveness.loops.len() <= MAX_LOOPS
                    && self.liveness.loops.values().all(|one| {
                        500 <= one.stall_ms
                            && one.stall_ms < one.replace_ms
                            && one.replace_ms <= self.liveness.start_ms
                    }),
                "`[liveness.loops]` must hold at most 120 loops, each with 500 <= stall_ms < replace_ms <= \
                 start_ms",
            ),
            (
                0 < self.memory.drain_percent
                    && self.memory.drain_percent < self.memory.kill_percent
                    && self.memory.kill_percent <= 100,
                "`[memory]` must hold 0 < drain_percent < kill_percent <= 100",
            ),
            (self.memory.budget_mb != Some(0), "`[memory] budget_mb` must be at least 1"),
        ];
        let broken = rules.iter().find(|(holds, _)| !holds);
        broken.map_or(Ok(()), |(_, sentence)| Err((*sentence).to_owned()))?;
        self.limits.check()?;
        self.alerts.check()?;
        self.admin.check()
    }

    /// For the machine; nonces count up from `first_nonce`.
    pub(crate) fn settings(&self, first_nonce: u64) -> Settings {
        let ms = Duration::from_millis;
        Settings {
            mode: match self.host.mode {
                Mode::Spawn => HostMode::Spawn,
                Mode::Attach => HostMode::Attach,
            },
            limits: Limits {
                stall: ms(self.liveness.stall_ms),
                replace: ms(self.liveness.replace_ms),
                start: ms(self.liveness.start_ms),
                loops: self.liveness.loops.iter().map(|(name, one)| (name.clone(), one.limits())).collect(),
            },
            restart_backoff: self.host.restart_backoff_ms.iter().copied().map(ms).collect(),
            terms: Terms {
                scope: self.scope(),
                policy: self.kill.policy,
                confirm: ms(self.kill.confirm_ms),
                requests_per_minute: self.broker.requests_per_minute,
            },
            drain_percent: self.memory.drain_percent,
            kill_percent: self.memory.kill_percent,
            first_nonce,
            account_limits: self.limits.terms(&self.broker),
        }
    }

    /// Whose orders a kill touches.
    pub(crate) fn scope(&self) -> Scope {
        match self.kill.scope {
            ScopeName::Account => Scope::Account,
            ScopeName::Ours => Scope::Ours,
        }
    }

    /// What a kill does.
    pub(crate) fn policy(&self) -> Policy {
        self.kill.policy
    }

    /// The host's memory budget, bytes.
    pub(crate) fn budget_bytes(&self) -> Option<u64> {
        self.memory.budget_mb.map(|mb| mb.saturating_mul(1 << 20))
    }
}

/// Reads the text; the error names the line and, for an unknown key, the nearest valid one.
fn parse(text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
        let message = error.message().replace('\n', " ");
        match nearest(&message) {
            Some((unknown, valid)) => {
                format!("line {line}: unknown key `{unknown}`; did you mean `{valid}`?")
            }
            None => format!("line {line}: {message}"),
        }
    })
}

/// From serde's "unknown field `a`, expected one of `b`, `c`": the unknown name and the valid one nearest to
/// it.
fn nearest(message: &str) -> Option<(&str, &str)> {
    let mut names = message.strip_prefix("unknown field")?.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let valid = names.max_by(|a, b| {
        let (a, b) = (strsim::jaro_winkler(unknown, a), strsim::jaro_winkler(unknown, b));
        a.total_cmp(&b)
    })?;
    Some((unknown, valid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
state_dir = "/s"
socket = "/s/lease.sock"
kill_switch_file = "/s/KILL"
[host]
mode = "spawn"
command = ["sandpit", "run"]
[broker]
trading_url = "http://127.0.0.1:1"
"#;

    fn check(change: (&str, &str), expected: Option<&str>) {
        let text = GOOD.replace(change.0, change.1);
        let error = parse(&text).and_then(|config| config.check()).err();
        match (&error, expected) {
            (None, None) => {}
            (Some(error), Some(expected)) if error.contains(expected) => {}
            other => panic!("{other:?} for {text}"),
        }
    }

    #[test]
    fn a_wrong_file_is_refused_with_the_place_and_the_remedy() {
        check(("", ""), None);
        check(("socket =", "sokcet ="), Some("line 3: unknown key `sokcet`; did you mean `socket`?"));
        check(("mode =", "mod ="), Some("line 6: unknown key `mod`; did you mean `mode`?"));
        check(("mode = \"spawn\"", "mode = \"swan\""), Some("line 6: "));
        check(("socket = \"/s/lease.sock\"\n", ""), Some("missing field `socket`"));
        check(("kill_switch_file = \"/s/KILL\"\n", ""), Some("KILL_SWITCH_FILE"));
        check(("command = [\"sandpit\", \"run\"]\n", ""), Some("`[host] command` is missing"));
        check(("http://", "ftp://"), Some("trading_url"));
        check(("http://127.0.0.1:1", "http://sim:8090"), Some("unencrypted"));
        check(("http://127.0.0.1:1", "https://sim:8090"), None);
        for policy in ["cancel", "cancel-keep-stops", "flatten"] {
            let both = |scope: &str| format!("[kill]\nscope = \"{scope}\"\npolicy = \"{policy}\"\n[broker]");
            check(("[broker]", &both("account")), None);
            let refused = (policy == "flatten").then_some("needs `scope = \"account\"`");
            check(("[broker]", &both("ours")), refused);
        }
        check(("[broker]", "[kill]\npolicy = \"flat\"\n[broker]"), Some("unknown variant `flat`"));
        check(("[broker]", "[kill]\nconfirm_ms = 999\n[broker]"), Some("confirm_ms"));
        check(("[broker]", "[liveness]\nstall_ms = 4000\n[broker]"), Some("stall_ms < replace_ms"));
        let own = |text: &str| format!("[liveness.loops]\n{text}\n[broker]");
        check(("[broker]", &own("\"strategy:*\" = { stall_ms = 900, replace_ms = 9000 }")), None);
        check(("[broker]", &own("ingest = { stall_ms = 900, replace_ms = 900 }")), Some("[liveness.loops]"));
        check(("[broker]", &own("ingest = { stall_ms = 900, replace = 9000 }")), Some("did you mean"));
        check(("[broker]", &own("ingest = { stall_ms = 900 }")), Some("missing field `replace_ms`"));
        check(("[broker]", "[memory]\nkill_percent = 101\n[broker]"), Some("kill_percent"));
        check(("[broker]", "[liveness]\nstal_ms = 4000\n[broker]"), Some("did you mean `stall_ms`"));
        check(("/s/lease.sock", &format!("/{}", "x".repeat(107))), Some("107 bytes"));
        check(("[broker]", "[admin]\nlisten = \"off\"\n[broker]"), None);
        check(("[broker]", "[admin]\nlisten = \"0.0.0.0:8081\"\n[broker]"), Some("loopback"));
        check(("[broker]", "[admin]\nlistn = \"off\"\n[broker]"), Some("did you mean `listen`"));
        check(("[broker]", "[limits]\ngross_percent = 151\n[broker]"), Some("gross_percent"));
        check(("= \"/s\"", "= "), Some("line 2"));
        check(("= \"/s\"", "= \"s\""), Some("must be absolute"));
        check(("\"/s/lease.sock\"", "\"lease.sock\""), Some("must be absolute"));
        check(("\"/s/KILL\"", "\"./KILL\""), Some("must be absolute"));
    }

    #[test]
    fn a_user_is_found_by_name() {
        let find = |lines: &str| {
            let text = GOOD.replace("[broker]", &format!("{lines}\n[broker]"));
            let mut config = parse(&text).expect("a good file");
            config.host.find_user().map(|()| config.host.uid)
        };
        assert_eq!(find(""), Ok(None));
        assert_eq!(find("user = \"root\""), Ok(Some(0)));
        assert!(
            find("user = \"no-such-user\"").is_err_and(|error| error.contains("no user of this machine"))
        );
        assert!(find("user = \"root\"\nuid = 0").is_err_and(|error| error.contains("set one")));
    }

    #[test]
    fn half_a_key_is_none() {
        let only = |name: &str| (name == "APCA_API_KEY_ID").then(|| OsString::from("k"));
        assert!(
            matches!(Credentials::of(only), Err(Error::Config(text)) if text.contains("APCA_API_SECRET_KEY"))
        );
        let both = |name: &str| (!name.ends_with("_FILE")).then(|| OsString::from("x"));
        assert!(Credentials::of(both).is_ok());
    }
}
