//! The three processes of a demo.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::{Options, figures::Figures, layout::Layout};
use crate::ambient;

/// How long a process may take to end after it was asked to.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The binaries of the workspace, built.
#[derive(Clone)]
pub(crate) struct Binaries {
    pub(crate) host: PathBuf,
    watchdog: PathBuf,
    sim: PathBuf,
}

impl Binaries {
    /// Builds the workspace's binaries with the one profile that the tests use too.
    pub(crate) fn build(root: &Path) -> anyhow::Result<Self> {
        crate::cargo(root, ["build", "--workspace", "--bins"])?;
        Ok(Self::built(root))
    }

    /// The binaries as an earlier build left them.
    pub(crate) fn built(root: &Path) -> Self {
        let target = crate::target_dir(root).join("debug");
        let binary = |name: &str| target.join(name);
        Self { host: binary("sandpit"), watchdog: binary("sandpit-watchdog"), sim: binary("sandpit-sim") }
    }

    /// Starts the broker; its address is known when this returns.
    pub(crate) fn start_sim(&self, options: &Options) -> anyhow::Result<Sim> {
        let mut command = Command::new(&self.sim);
        command.args(["--listen", "127.0.0.1:0", "--speed", &options.speed.to_string()]);
        command.args(["--sessions", &options.sessions, "--seed", &options.seed.to_string()]);
        for file in &options.data {
            command.arg("--data").arg(file);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start sandpit-sim")?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim().strip_prefix("listening ") {
            Some(address) => Ok(Sim { address: address.to_owned(), process: Process("sandpit-sim", child) }),
            None => bail!("sandpit-sim ended with {}; its reason is above", child.wait()?),
        }
    }
}

/// A child that does not outlive its handle.
struct Process(&'static str, Child);

impl Process {
    fn start(name: &'static str, program: &Path, args: &[&OsStr]) -> anyhow::Result<Self> {
        let child = Command::new(program)
            .args(args)
            .env("APCA_API_KEY_ID", "demo")
            .env("APCA_API_SECRET_KEY", "demo")
            .env_remove("KILL_SWITCH_FILE")
            .env_remove("DRY_RUN")
            .env_remove("NAV_USD")
            .env_remove("PANEL_TOKEN")
            .stdin(Stdio::null())
            // Our own output is for the summary alone.
            .stdout(std::io::stderr())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self(name, child))
    }

    fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.1.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}; its reason is above", self.0),
        }
    }

    /// SIGTERM, a bounded wait, SIGKILL.
    fn stop(&mut self) -> anyhow::Result<()> {
        if self.1.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = self.1.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().context("cannot run kill")?;
        let asked = ambient::now();
        while self.1.try_wait()?.is_none() {
            if ambient::now().duration_since(asked) > STOP_LIMIT {
                self.1.kill()?;
                self.1.wait()?;
                bail!("{} did not end within {STOP_LIMIT:?} and was killed", self.0);
            }
            ambient::wait(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only reached with a living child after an error; there is nothing better to do with another one.
        let _ = self.1.kill();
        let _ = self.1.wait();
    }
}

/// The broker of a demo.
pub(crate) struct Sim {
    pub(crate) address: String,
    process: Process,
}

impl Sim {
    fn status(&self) -> Option<Value> {
        get_json(&format!("http://{}/sim/status", self.address))
    }

    /// The symbols of its market.
    pub(crate) fn symbols(&self) -> anyhow::Result<Vec<String>> {
        let status = self.status().context("sandpit-sim does not answer")?;
        let symbols: Vec<_> = status["symbols"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        ensure!(!symbols.is_empty(), "the market has no symbols");
        Ok(symbols)
    }
}

/// Everything that runs.
pub(crate) struct Stack {
    binaries: Binaries,
    layout: Layout,
    watchdog: Process,
    sim: Sim,
}

impl Stack {
    /// Arms, then starts the watchdog, which starts the host.
    pub(crate) fn start(binaries: Binaries, layout: Layout, sim: Sim) -> anyhow::Result<Self> {
        let config = layout.watchdog_config.as_os_str();
        let arm = ["arm", "--reason", "cargo demo", "--config"].map(OsStr::new);
        let mut arming =
            Process::start("sandpit-watchdog arm", &binaries.watchdog, &[&arm[..], &[config]].concat())?;
        ensure!(arming.1.wait()?.success(), "sandpit-watchdog could not arm; its reason is above");
        let run = ["run", "--config"].map(OsStr::new);
        let watchdog =
            Process::start("sandpit-watchdog", &binaries.watchdog, &[&run[..], &[config]].concat())?;
        Ok(Self { binaries, layout, watchdog, sim })
    }

    pub(crate) fn kill_flag(&self) -> &Path {
        &self.layout.kill_flag
    }

    /// Asks all three for their figures.
    pub(crate) fn look(&self, figures: &mut Figures) {
        figures.take_sim(self.sim.status());
        figures.take_host(get_json(&format!("http://{}/status", self.layout.host_address)));
        figures.take_watchdog(self.watchdog_status());
    }

    fn watchdog_status(&self) -> Option<Value> {
        let config = self.layout.watchdog_config.as_os_str();
        let args = [OsStr::new("status"), OsStr::new("--json"), OsStr::new("--config"), config];
        let output = Command::new(&self.binaries.watchdog).args(args).stderr(Stdio::null()).output().ok()?;
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Sim and watchdog have to live; the host may come and go.
    pub(crate) fn check_alive(&mut self) -> anyhow::Result<()> {
        self.sim.process.check_alive()?;
        self.watchdog.check_alive()
    }

    /// Ends everything in order: watchdog and with it the host, then the broker.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let watchdog = self.watchdog.stop();
        self.sim.process.stop()?;
        watchdog
    }
}

fn get_json(url: &str) -> Option<Value> {
    let config =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(2))).proxy(None).build();
    ureq::Agent::from(config).get(url).call().ok()?.body_mut().read_json().ok()
}
