//! What a rig is made of, and the files that say so.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sandpit_system_tests::{binary, test_plugin};

use crate::sim::SYMBOLS;

/// The strategies; each has every second symbol.
pub(crate) const STRATEGIES: [&str; 2] = ["churn_a", "churn_b"];

/// What a strategy may hold beside what it grows by, megabytes.
const ROOM_MB: u64 = 64;

/// Who starts the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The watchdog.
    Spawn,
    /// The rig, as a service manager would.
    Attach,
}

/// Whose orders a kill touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything in the account.
    Account,
    /// Ours.
    Ours,
}

/// What a rig is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Who starts the host.
    pub mode: Mode,
    /// Whose orders a kill touches.
    pub scope: Scope,
    /// What becomes of the account.
    pub policy: &'static str,
    /// Length of the window that confirms, milliseconds.
    pub confirm_ms: u64,
    /// Of the market.
    pub seed: u64,
    /// Market seconds in a real second.
    pub speed: u32,
    /// Further sections of the watchdog's file, as TOML.
    pub sections: &'static str,
    /// Further lines of its section `[host]`.
    pub host_lines: &'static str,
    /// Variables for the host, and for the watchdog in mode `spawn`.
    pub variables: Vec<(&'static str, String)>,
    /// Where the watchdog keeps its state; `None` for a folder of the rig's.
    pub watchdog_dir: Option<PathBuf>,
    /// Whether there are strategies that trade from the start on.
    pub trades: bool,
    /// Whether they keep to market and limit orders by themselves.
    pub is_simple: bool,
    /// How far a strategy grows that is told to, megabytes.
    pub grow_mb: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            mode: Mode::Spawn,
            scope: Scope::Account,
            policy: "cancel",
            confirm_ms: 1_000,
            seed: 7,
            speed: 60,
            sections: "",
            host_lines: "",
            variables: Vec::new(),
            watchdog_dir: None,
            trades: true,
            is_simple: false,
            grow_mb: 0,
        }
    }
}

/// Where everything of a rig lies.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) folder: PathBuf,
    pub(crate) watchdog_dir: PathBuf,
    pub(crate) broker: String,
    pub(crate) listen: String,
}

impl Places {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Writes the files of a rig.
pub(crate) fn write_files(setup: &Setup, places: &Places) -> anyhow::Result<()> {
    fs::create_dir_all(places.path("sabotage"))?;
    fs::create_dir_all(&places.watchdog_dir)?;
    write_host(
        places,
        "host",
        &places.listen,
        if setup.trades { &STRATEGIES } else { &[] },
        setup.is_simple,
        setup.grow_mb,
    )?;
    let (mode, command) = match setup.mode {
        Mode::Attach => ("attach", String::new()),
        // A log of its own.
        Mode::Spawn => {
            let (program, config, log) =
                (binary("sandpit"), places.path("host.toml"), places.path("host.log"));
            let run = format!("exec {program:?} run --config {config:?} 2>> {log:?}");
            ("spawn", format!("command = [\"/bin/sh\", \"-c\", {run:?}]\n"))
        }
    };
    let scope = if setup.scope == Scope::Account { "account" } else { "ours" };
    let watchdog = format!(
        "state_dir = {state:?}\nsocket = {socket:?}\nkill_switch_file = {kill:?}\n\
         [host]\nmode = \"{mode}\"\n{command}{host_lines}\n\
         [broker]\ntrading_url = \"http://{broker}\"\nrequests_per_minute = 180\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n\
         [kill]\nscope = \"{scope}\"\npolicy = \"{policy}\"\nconfirm_ms = {confirm}\n{sections}\n",
        state = places.watchdog_dir,
        socket = places.path("lease.sock"),
        kill = places.path("flag/kill"),
        host_lines = setup.host_lines,
        broker = places.broker,
        policy = setup.policy,
        confirm = setup.confirm_ms,
        sections = setup.sections,
    );
    fs::create_dir_all(places.path("flag"))?;
    fs::write(places.path("watchdog.toml"), watchdog)?;
    fs::write(places.path("speed"), setup.speed.to_string())?;
    Ok(())
}

/// Writes the files of a host called `name`.
pub(crate) fn write_host(
    places: &Places,
    name: &str,
    listen: &str,
    strategies: &[&str],
    is_simple: bool,
    grow_mb: u64,
) -> anyhow::Result<()> {
    let plugins = places.path(&format!("{name}-plugins"));
    fs::create_dir_all(&plugins)?;
    for (at, strategy) in strategies.iter().enumerate() {
        fs::copy(test_plugin("churn"), plugins.join(format!("{strategy}.wasm")))?;
        let own: Vec<_> = SYMBOLS.iter().skip(at).step_by(strategies.len()).collect();
        let manifest = format!(
            "instruments = {own:?}\n[parameters]\nworks = true\nsimple = {is_simple}\ngrow_mb = {grow_mb}\n"
        );
        fs::write(plugins.join(format!("{strategy}.toml")), manifest)?;
    }
    let speed = fs::read_to_string(places.path("speed")).unwrap_or_default();
    let state = places.path(name);
    let text = format!(
        "mode = \"paper\"\nstate_dir = {state:?}\nplugins_dir = {plugins:?}\nlisten = \"{listen}\"\n\
         kill_switch_file = {kill:?}\n[broker]\nurl = \"http://{broker}\"\nclock_speed = {speed}.0\n\
         [strategies]\nmemory_mb = {memory_mb}\n\
         [watchdog]\nsocket = {socket:?}\n[journal]\nenabled = false\n",
        memory_mb = ROOM_MB + grow_mb,
        kill = places.path("flag/kill"),
        broker = places.broker,
        socket = places.path("lease.sock"),
    );
    fs::create_dir_all(&state)?;
    fs::write(places.path(&format!("{name}.toml")), text)?;
    warm(&state.join("paper/compiled"))
}

/// What was compiled once need not be compiled again: that is no part of what is tested.
fn warm(compiled: &Path) -> anyhow::Result<()> {
    copy_tree(&cache(), compiled)
}

/// Keeps what a host has compiled for the rigs after this one.
pub(crate) fn keep(compiled: &Path) -> anyhow::Result<()> {
    let cache = cache();
    if cache.exists() || !compiled.exists() {
        return Ok(());
    }
    // Whole or not at all: others do the same at the same time.
    let part = cache.with_extension(std::process::id().to_string());
    copy_tree(compiled, &part)?;
    if fs::rename(&part, &cache).is_err() {
        fs::remove_dir_all(&part)?;
    }
    Ok(())
}

/// Its name changes with the host: another engine may not take it.
fn cache() -> PathBuf {
    let host = binary("sandpit");
    let changed = fs::metadata(&host).and_then(|data| data.modified()).ok();
    let since = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    host.with_file_name(format!("kill-compiled-{}", since.as_secs()))
}

fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    fs::create_dir_all(to)?;
    // Only its user may enter a cache of compiled plugins.
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
