//! The real processes: broker, watchdog and host.
//!
//! The watchdog runs in its mode `attach`, in which somebody else starts the host; here that is the suite, so
//! that it can say at which point a life of the host ends and need not wait for a back-off. Whoever ends too
//! often is killed for good in that mode, too: the suite starts another watchdog before.

use std::{
    fs,
    io::Write as _,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandpit_system_tests::{binary, get_json, test_plugin};
use serde_json::Value;

use crate::{
    broker::{Broker, SYMBOLS},
    database::{Database, Place},
    waiting::{pass, wait_for},
};

/// The strategies; each has every second symbol.
pub const STRATEGIES: [&str; 2] = ["churn_a", "churn_b"];
/// Bid sizes that the strategies take for an order; see `tests/crash/churn`.
const WORK: u64 = 900_001;
const REST: u64 = 900_002;
/// Looks at the figures of a strategy, so far apart, that have to be the same before it counts as resting.
const LOOK_APART: Duration = Duration::from_millis(100);
/// Ends of the host that one watchdog sees: before its back-off is used up.
const ENDS_A_WATCHDOG: u32 = 25;
/// How long a life may take until its books are reconciled.
const START_BOUND: Duration = Duration::from_secs(30);
/// How long a strategy may take to do something once it is told to.
const WORK_BOUND: Duration = Duration::from_secs(30);
/// How long a process may take to end.
const END_BOUND: Duration = Duration::from_secs(20);

/// What a rig is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Of the market and the faults.
    pub seed: u64,
    /// Market seconds in a real second.
    pub speed: u32,
    /// Whether the faults of `faults.toml` are on.
    pub with_faults: bool,
    /// Where the host writes; `None` for its own file.
    pub postgres: Option<String>,
    /// Where the host keeps its state; `None` for the rig's folder.
    pub state_dir: Option<PathBuf>,
    /// What each strategy is told at its start, as TOML; see `tests/crash/churn`.
    pub parameters: [&'static str; STRATEGIES.len()],
}

impl Setup {
    /// Everything on, in a file of the host's own; the strategies wait to be told to work.
    pub const fn new(seed: u64, speed: u32) -> Self {
        Self { seed, speed, with_faults: true, postgres: None, state_dir: None, parameters: ["", ""] }
    }
}

/// All that runs.
pub struct Rig {
    setup: Setup,
    // Processes end in this order when the rig is dropped.
    host: Option<Process>,
    watchdog: Option<Process>,
    /// The broker.
    pub broker: Broker,
    folder: PathBuf,
    listen: String,
    ends: u32,
}

impl Rig {
    /// Starts broker and watchdog in `folder`; no host yet.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn start(folder: &Path, setup: Setup) -> anyhow::Result<Self> {
        let folder = folder.canonicalize()?;
        let faults = setup.with_faults.then_some(include_str!("faults.toml"));
        let broker = Broker::start(&folder, setup.seed, setup.speed, faults)?;
        let listen = sandpit_ports::free_address()?;
        let mut rig = Self { setup, host: None, watchdog: None, broker, folder, listen, ends: 0 };
        rig.write_files()?;
        let config = rig.path("watchdog.toml");
        let arm = rig
            .command("sandpit-watchdog")
            .args(["arm", "--reason", "tests", "--config"])
            .arg(&config)
            .status()?;
        ensure!(arm.success(), "the watchdog could not be armed: {arm}");
        rig.start_watchdog()?;
        Ok(rig)
    }

    /// A path in the rig's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the host keeps its state.
    pub fn state_dir(&self) -> PathBuf {
        self.setup.state_dir.clone().unwrap_or_else(|| self.path("host"))
    }

    /// A reader of what the host writes.
    ///
    /// # Errors
    /// When there is no runtime for it.
    pub fn database(&self) -> anyhow::Result<Database> {
        Database::new(match &self.setup.postgres {
            Some(url) => Place::Postgres(url.clone()),
            None => Place::Sqlite(self.state_dir().join("paper/sandpit.db")),
        })
    }

    /// Starts the host; with `crash_at` it ends by itself there, such as `after-post:3`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_host(&mut self, crash_at: Option<&str>) -> anyhow::Result<()> {
        ensure!(self.host.is_none(), "one host at a time");
        if self.ends >= ENDS_A_WATCHDOG {
            self.watchdog = None;
            self.start_watchdog()?;
        }
        let config = self.path("host.toml");
        let mut command = self.command("sandpit");
        command.args(["run", "--config"]).arg(config);
        if let Some(url) = &self.setup.postgres {
            command.env("DATABASE_URL", url);
        }
        if let Some(place) = crash_at {
            command.env("SANDPIT_CRASH_AT", place);
        }
        self.host = Some(Process::start("host", &mut command, &self.path("host.log"))?);
        Ok(())
    }

    /// Waits until the host's books are reconciled; how long that took. `None`: it ended before.
    ///
    /// # Errors
    /// When neither happens.
    pub fn reconciled(&mut self) -> anyhow::Result<Option<Duration>> {
        let url = self.status_url();
        let host = self.host.as_mut().context("a host")?;
        let (is_up, taken) = wait_for("a reconciled host", START_BOUND, || {
            if host.status()?.is_some() {
                return Ok(Some(false));
            }
            Ok(get_json(&url).filter(|status| status["reconciled"] == true).map(|_| true))
        })?;
        Ok(is_up.then_some(taken))
    }

    /// The host's `/status`, if it answers.
    pub fn status(&self) -> Option<Value> {
        get_json(&self.status_url())
    }

    fn status_url(&self) -> String {
        format!("http://{}/status", self.listen)
    }

    /// Tells the strategies to work, until they do or the host has ended.
    ///
    /// # Errors
    /// When they do not.
    pub fn work(&mut self) -> anyhow::Result<()> {
        let url = self.status_url();
        let (host, broker) = (self.host.as_mut().context("a host")?, &self.broker);
        wait_for("strategies that work", WORK_BOUND, || {
            for symbol in &SYMBOLS[..STRATEGIES.len()] {
                broker.tell_quote(symbol, WORK)?;
            }
            let works = |strategy: &Value| strategy["intents"].as_u64() > Some(0);
            let all =
                |status: Value| status["strategies"].as_array().is_some_and(|all| all.iter().all(works));
            let is_over = host.status()?.is_some() || get_json(&url).is_some_and(all);
            Ok(is_over.then_some(()))
        })?;
        Ok(())
    }

    /// Tells the strategies to rest, until they do.
    ///
    /// # Errors
    /// When they do not.
    pub fn rest(&self) -> anyhow::Result<()> {
        let intents = || {
            let status = self.status().context("the host's figures")?;
            status["orders"]["intents"].as_u64().context("intents")
        };
        wait_for("strategies that rest", WORK_BOUND, || {
            for symbol in &SYMBOLS[..STRATEGIES.len()] {
                self.broker.tell_quote(symbol, REST)?;
            }
            let before = intents()?;
            pass(LOOK_APART);
            Ok((intents()? == before).then_some(()))
        })?;
        Ok(())
    }

    /// Waits for the host to end by itself.
    ///
    /// # Errors
    /// When it ended by anything but a SIGKILL.
    pub fn died(&mut self, bound: Duration) -> anyhow::Result<bool> {
        let host = self.host.as_mut().context("a host")?;
        let ended = wait_for("", bound, || host.status());
        let Ok((status, _)) = ended else { return Ok(false) };
        self.host = None;
        self.ends += 1;
        ensure!(status.signal() == Some(Signal::SIGKILL as i32), "the host ended with {status}");
        Ok(true)
    }

    /// Whether the host has ended.
    ///
    /// # Errors
    /// When its end cannot be asked for.
    pub fn is_over(&mut self) -> anyhow::Result<bool> {
        Ok(self.host.as_mut().context("a host")?.status()?.is_some())
    }

    /// SIGKILL, now. `false`: it was dead already.
    ///
    /// # Errors
    /// When it had ended by anything but a SIGKILL, or does not end.
    pub fn kill_host(&mut self) -> anyhow::Result<bool> {
        let host = self.host.as_mut().context("a host")?;
        let was_alive = host.status()?.is_none();
        host.signal(Signal::SIGKILL);
        ensure!(self.died(END_BOUND)?, "the host outlived a SIGKILL");
        Ok(was_alive)
    }

    /// The host's process.
    pub fn host_pid(&self) -> Option<i32> {
        self.host.as_ref().map(|host| host.pid().as_raw())
    }

    /// Everything the host has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("host.log")).unwrap_or_default()).into_owned()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(binary(program));
        command.env("APCA_API_KEY_ID", "crash").env("APCA_API_SECRET_KEY", "s").env("RUST_LOG", "info");
        for name in
            ["KILL_SWITCH_FILE", "DRY_RUN", "NAV_USD", "PANEL_TOKEN", "DATABASE_URL", "SANDPIT_CRASH_AT"]
        {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    fn start_watchdog(&mut self) -> anyhow::Result<()> {
        let socket = self.path("lease.sock");
        // That of a watchdog that is gone.
        let _ = fs::remove_file(&socket);
        let mut command = self.command("sandpit-watchdog");
        command.args(["run", "--config"]).arg(self.path("watchdog.toml"));
        self.watchdog = Some(Process::start("watchdog", &mut command, &self.path("watchdog.log"))?);
        self.ends = 0;
        wait_for("the watchdog's socket", END_BOUND, || Ok(socket.exists().then_some(())))?;
        Ok(())
    }

    fn write_files(&self) -> anyhow::Result<()> {
        for name in ["plugins", "watchdog"] {
            fs::create_dir_all(self.path(name))?;
        }
        fs::create_dir_all(self.state_dir())?;
        for (at, name) in STRATEGIES.iter().enumerate() {
            fs::copy(test_plugin("churn"), self.path("plugins").join(format!("{name}.wasm")))?;
            let own: Vec<_> = SYMBOLS.iter().skip(at).step_by(STRATEGIES.len()).collect();
            let manifest = format!("instruments = {own:?}\n[parameters]\n{}\n", self.setup.parameters[at]);
            fs::write(self.path("plugins").join(format!("{name}.toml")), manifest)?;
        }
        let (broker, socket, kill) = (&self.broker.address, self.path("lease.sock"), self.path("kill"));
        let host = format!(
            "mode = \"paper\"\nstate_dir = {state:?}\nplugins_dir = {plugins:?}\nlisten = \"{listen}\"\n\
             kill_switch_file = {kill:?}\n[broker]\nurl = \"http://{broker}\"\nclock_speed = {speed}.0\n\
             [watchdog]\nsocket = {socket:?}\n",
            state = self.state_dir(),
            plugins = self.path("plugins"),
            listen = self.listen,
            speed = self.setup.speed,
        );
        fs::write(self.path("host.toml"), host)?;
        let watchdog = format!(
            "state_dir = {state:?}\nsocket = {socket:?}\nkill_switch_file = {kill:?}\n\
             [host]\nmode = \"attach\"\nrestart_backoff_ms = [{steps}]\n[broker]\ntrading_url = \
             \"http://{broker}\"\n[admin]\nlisten = \"off\"\n",
            state = self.path("watchdog"),
            steps = ["1"; 32].join(", "),
        );
        fs::write(self.path("watchdog.toml"), watchdog)?;
        Ok(())
    }
}

/// A child that does not outlive its handle.
struct Process(Child);

impl Process {
    fn start(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let mut log = fs::OpenOptions::new().create(true).append(true).open(log)?;
        writeln!(log, "== a new {name}")?;
        let child = command.stdout(log.try_clone()?).stderr(log).spawn();
        Ok(Self(child.with_context(|| format!("the {name} cannot be started"))?))
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).expect("a pid"))
    }

    /// How it ended, if it has.
    fn status(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }

    fn signal(&self, signal: Signal) {
        // It is our own child, not waited for: its number is not taken again.
        let _ = kill(self.pid(), signal);
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGTERM);
        if wait_for("", END_BOUND, || self.status()).is_err() {
            self.signal(Signal::SIGKILL);
            bail!("process {} did not end", self.pid());
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.stop().is_err() {
            let _ = self.0.wait();
        }
    }
}
