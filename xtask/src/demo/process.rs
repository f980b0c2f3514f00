//! The three processes of a demo.

use std::{
    ffi::OsStr,
    fs::OpenOptions,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::{figures::Figures, layout::Layout};
use crate::ambient;

/// How long a process may take to end after it was asked to.
const STOP_LIMIT: Duration = Duration::from_secs(15);

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
        Self::of(&crate::binaries(root))
    }

    /// The binaries in `folder`.
    pub(crate) fn of(folder: &Path) -> Self {
        let binary = |name: &str| folder.join(name);
        Self { host: binary("sandpit"), watchdog: binary("sandpit-watchdog"), sim: binary("sandpit-sim") }
    }

    /// Starts the broker with these arguments besides its address, which is known when this returns.
    pub(crate) fn start_sim<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        log: &Log,
    ) -> anyhow::Result<Sim> {
        let mut command = command(&self.sim, log)?;
        command.args(["--listen", "127.0.0.1:0"]).args(args);
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start sandpit-sim")?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim().strip_prefix("listening ") {
            Some(address) => Ok(Sim { address: address.to_owned(), process: Process("sandpit-sim", child) }),
            None => bail!("sandpit-sim ended with {}; {}", child.wait()?, log.place()),
        }
    }
}

/// Where the processes log.
#[derive(Clone)]
pub(crate) enum Log {
    /// To our own standard error.
    Here,
    /// To a file, because the live view has the terminal.
    File(PathBuf),
}

impl Log {
    /// Where a child writes.
    pub(crate) fn stdio(&self) -> anyhow::Result<Stdio> {
        match self {
            Self::Here => Ok(std::io::stderr().into()),
            Self::File(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                Ok(file.with_context(|| format!("cannot write {}", path.display()))?.into())
            }
        }
    }

    /// Where a reason is to be found, for the end of a sentence.
    fn place(&self) -> String {
        match self {
            Self::Here => "its reason is above".into(),
            Self::File(_) => format!("its last words are\n{}", self.notable().join("\n")),
        }
    }

    /// The last lines that a person should see: warnings, errors, and everything of the watchdog.
    pub(crate) fn notable(&self) -> Vec<String> {
        let Self::File(path) = self else { return Vec::new() };
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let is_notable = |line: &&str| NOTABLE.iter().any(|word| line.contains(word));
        let mut lines: Vec<_> =
            text.lines().rev().filter(is_notable).take(NOTABLE_LINES).map(str::to_owned).collect();
        lines.reverse();
        lines
    }
}

/// What makes a line of the log worth the live view.
const NOTABLE: [&str; 5] = [" WARN ", " ERROR ", "[KILL]", "watchdog: ", "error: "];
/// So many of these lines are shown.
const NOTABLE_LINES: usize = 6;

/// A command in a process group of its own: a Ctrl-C reaches the demo alone, which then ends everything in
/// order.
fn command(program: &Path, log: &Log) -> anyhow::Result<Command> {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stderr(log.stdio()?).process_group(0);
    Ok(command)
}

/// A child that does not outlive its handle.
struct Process(&'static str, Child);

impl Process {
    fn start(
        name: &'static str,
        program: &Path,
        args: &[&OsStr],
        panel_token: Option<&str>,
        log: &Log,
    ) -> anyhow::Result<Self> {
        let child = command(program, log)?
            .args(args)
            .env("APCA_API_KEY_ID", "demo")
            .env("APCA_API_SECRET_KEY", "demo")
            .env_remove("KILL_SWITCH_FILE")
            .env_remove("DRY_RUN")
            .env_remove("NAV_USD")
            .env_remove("PANEL_TOKEN")
            .envs(panel_token.map(|token| ("PANEL_TOKEN", token)))
            // Our own output is for the summary alone.
            .stdout(log.stdio()?)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self(name, child))
    }

    fn check_alive(&mut self, log: &Log) -> anyhow::Result<()> {
        match self.1.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}; {}", self.0, log.place()),
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
        // Only reached with a living child after an error, which is what is told; a watchdog ends its host
        // first.
        if self.stop().is_err() {
            let _ = self.1.kill();
        }
    }
}

/// The broker of a demo.
pub(crate) struct Sim {
    pub(crate) address: String,
    process: Process,
}

impl Sim {
    /// What it says of itself, if it answers.
    pub(crate) fn status(&self) -> Option<Value> {
        get_json(&format!("http://{}/sim/status", self.address))
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.process.1.id()
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
    pub(crate) sim: Sim,
    log: Log,
}

impl Stack {
    /// Arms, then starts the watchdog, which starts the host.
    /// With `panel_token` the host has a panel, and `/status` wants the token.
    pub(crate) fn start(
        binaries: Binaries,
        layout: Layout,
        sim: Sim,
        panel_token: Option<&str>,
        log: Log,
    ) -> anyhow::Result<Self> {
        let config = layout.watchdog_config.as_os_str();
        let arm = ["arm", "--reason", "cargo xtask", "--config"].map(OsStr::new);
        let start = |name, args: &[&OsStr]| {
            Process::start(name, &binaries.watchdog, &[args, &[config]].concat(), panel_token, &log)
        };
        let mut arming = start("sandpit-watchdog arm", &arm)?;
        ensure!(arming.1.wait()?.success(), "sandpit-watchdog could not arm; {}", log.place());
        let watchdog = start("sandpit-watchdog", &["run", "--config"].map(OsStr::new))?;
        Ok(Self { binaries, layout, watchdog, sim, log })
    }

    /// What a user can do with it, in commands.
    pub(crate) fn invitation(&self) -> String {
        let Layout { kill_flag, plugins_dir, free, .. } = &self.layout;
        let mut text = format!("Running. The emergency stop is: touch {}\n", kill_flag.display());
        if let (Some(symbol), Some(bin)) = (free, self.binaries.host.parent()) {
            text += &format!(
                "{symbol} is left to a strategy of yours. In another terminal, in any folder:\n  \
                 export PATH=\"{bin}:$PATH\"\n  \
                 sandpit plugin new trend --lang rust     # or js, python, c\n  \
                 sandpit plugin build trend\n  \
                 cp trend/trend.toml trend/trend.wasm {plugins}/\n",
                bin = bin.display(),
                plugins = plugins_dir.display(),
            );
        }
        text
    }

    /// Asks all three for their figures.
    pub(crate) fn look(&self, figures: &mut Figures) {
        figures.take_sim(self.sim.status());
        figures.take_host(get_json(&format!("http://{}/status", self.layout.host_address)));
        figures.take_watchdog(self.watchdog_status());
    }

    /// The watchdog's number.
    pub(crate) fn watchdog_pid(&self) -> u32 {
        self.watchdog.1.id()
    }

    /// What the watchdog says of itself and its host, if it answers.
    pub(crate) fn watchdog_status(&self) -> Option<Value> {
        let config = self.layout.watchdog_config.as_os_str();
        let args = [OsStr::new("status"), OsStr::new("--json"), OsStr::new("--config"), config];
        let output = Command::new(&self.binaries.watchdog).args(args).stderr(Stdio::null()).output().ok()?;
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Sim and watchdog have to live; the host may come and go.
    pub(crate) fn check_alive(&mut self) -> anyhow::Result<()> {
        self.sim.process.check_alive(&self.log)?;
        self.watchdog.check_alive(&self.log)
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
