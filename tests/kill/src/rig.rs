//! All that runs: broker, watchdog and host, in a folder and on ports of their own.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context, ensure};
use nix::{
    fcntl::{FcntlArg, fcntl},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandpit_system_tests::binary;
use serde_json::Value;

use crate::{
    process::Process,
    setup::{Mode, Places, Setup, keep, write_files, write_host},
    sim::{Sim, agent},
    story::{Seen, Story, What},
    waiting::{boot_ms, wait_for},
};

/// A rig is up, a host leased and trading, within this time.
const START_BOUND: Duration = Duration::from_secs(60);
/// A process that is killed is gone, and a command ends, within this time.
const END_BOUND: Duration = Duration::from_secs(15);

/// Whoever has it may press the panic button.
const TOKEN: &str = "a-token-of-the-kill-tests";

/// All that runs.
pub struct Rig {
    setup: Setup,
    places: Places,
    /// What happened so far.
    pub story: Story,
    watchdog: Option<Process>,
    /// In mode `attach`.
    host: Option<Process>,
    /// The broker.
    pub sim: Sim,
}

impl Rig {
    /// Starts broker, watchdog and host in `folder`; not armed yet.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn start(folder: &Path, setup: Setup) -> anyhow::Result<Self> {
        let folder = folder.canonicalize()?;
        let sim = Sim::start(&folder, setup.seed, setup.speed)?;
        let listen = sandpit_ports::free_address()?;
        let watchdog_dir = setup.watchdog_dir.clone().unwrap_or_else(|| folder.join("watchdog"));
        let places = Places { folder, watchdog_dir, broker: sim.address.clone(), listen };
        fs::write(places.path("speed"), setup.speed.to_string())?;
        write_files(&setup, &places)?;
        let story = Story::begin(&places.path("watchdog.log"), &sim.address)?;
        let mut rig = Self { setup, places, story, watchdog: None, host: None, sim };
        rig.start_watchdog()?;
        rig.start_host()?;
        Ok(rig)
    }

    /// Arms, and waits until a host is leased, and trades if there is anything to trade.
    ///
    /// # Errors
    /// When it does not.
    pub fn trade(&mut self) -> anyhow::Result<()> {
        let mark = self.story.mark();
        self.arm("tests")?;
        self.said(mark, "lease granted", START_BOUND)?;
        if self.setup.trades {
            self.sent_orders(mark, 3)?;
        }
        keep(&self.path("host/paper/compiled"))
    }

    /// Waits until a host has sent so many orders since a mark.
    ///
    /// # Errors
    /// When it does not.
    pub fn sent_orders(&self, mark: usize, count: usize) -> anyhow::Result<()> {
        let sent = || {
            let seen = self.story.seen();
            let posts = seen.iter().skip(mark).filter(|seen| seen.what.asks("POST", "/v2/orders"));
            Ok((posts.count() >= count).then_some(()))
        };
        wait_for("orders", START_BOUND, sent).map(drop)
    }

    /// A path in the rig's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.places.path(name)
    }

    /// Where the host's monitor listens.
    pub(crate) fn listen(&self) -> &str {
        &self.places.listen
    }

    /// What it is made of.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The kill flag's path.
    pub fn flag(&self) -> PathBuf {
        self.path("flag/kill")
    }

    /// Where the watchdog keeps its state.
    pub fn watchdog_dir(&self) -> &Path {
        &self.places.watchdog_dir
    }

    /// Puts the flag there; the moment.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_flag(&self) -> anyhow::Result<u64> {
        let now = boot_ms();
        fs::write(self.flag(), "tests")?;
        Ok(now)
    }

    /// A human arms.
    ///
    /// # Errors
    /// When it is refused.
    pub fn arm(&self, reason: &str) -> anyhow::Result<()> {
        // Said before: it may have its effect before the command ends.
        self.story.note(What::Armed);
        let (status, text) = self.ask(&["arm", "--reason", reason])?;
        ensure!(status.success(), "arm: {text}");
        Ok(())
    }

    /// Begins a command of the watchdog's, which may wait.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn begin(&self, arguments: &[&str]) -> anyhow::Result<Process> {
        let mut command = self.command("sandpit-watchdog");
        command.args(arguments).arg("--config").arg(self.path("watchdog.toml"));
        Process::start(&mut command, &self.path("commands.log"))
    }

    /// Runs a command of the watchdog's; how it ended and what it said.
    ///
    /// # Errors
    /// When it cannot be run, or hangs.
    pub fn ask(&self, arguments: &[&str]) -> anyhow::Result<(ExitStatus, String)> {
        let said = self.path(&format!("said-{}", arguments.join("-").replace(['/', ' '], "_")));
        let _ = fs::remove_file(&said);
        let mut command = self.command("sandpit-watchdog");
        command.args(arguments).arg("--config").arg(self.path("watchdog.toml"));
        let status = Process::start(&mut command, &said)?.ended(END_BOUND)?;
        let text = fs::read_to_string(&said)?;
        Ok((status, text.lines().skip(1).collect::<Vec<_>>().join("\n")))
    }

    /// Presses the panic button: with the right token, or with another one. The status of the answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn panic(&self, is_right: bool) -> anyhow::Result<u16> {
        const WORDS: &str = "admin port at ";
        let said = self.story.seen().iter().rev().find_map(|seen| match &seen.what {
            What::Said(line) => line.split(WORDS).nth(1).map(str::to_owned),
            _ => None,
        });
        let said = said.context("a watchdog with an admin port")?;
        let url = format!("{}/panic", said.split(';').next().unwrap_or_default());
        let token = if is_right { TOKEN } else { "somebody-elses-token" };
        let request = agent(END_BOUND).post(url).header("Authorization", format!("Bearer {token}"));
        Ok(request.send_json(serde_json::json!({"reason": "tests"}))?.status().as_u16())
    }

    /// The watchdog's status, if it answers.
    ///
    /// # Errors
    /// When the question cannot be asked.
    pub fn status(&self) -> anyhow::Result<Option<Value>> {
        let (_, text) = self.ask(&["status", "--json"])?;
        Ok(serde_json::from_str(&text).ok())
    }

    /// Waits until the watchdog says this, after a mark.
    ///
    /// # Errors
    /// When it does not.
    pub fn said(&self, mark: usize, words: &str, bound: Duration) -> anyhow::Result<Seen> {
        self.saw(mark, words, bound, |what| what.says(words))
    }

    /// Waits until something happens, after a mark.
    ///
    /// # Errors
    /// When it does not.
    pub fn saw(
        &self,
        mark: usize,
        what: &str,
        bound: Duration,
        is: impl Fn(&What) -> bool,
    ) -> anyhow::Result<Seen> {
        Ok(wait_for(what, bound, || Ok(self.story.first(mark, &is)))?.0)
    }

    /// Starts a watchdog and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub fn start_watchdog(&mut self) -> anyhow::Result<()> {
        let mark = self.story.mark();
        let mut command = self.command("sandpit-watchdog");
        command.args(["run", "--config"]).arg(self.path("watchdog.toml"));
        self.watchdog = Some(Process::start(&mut command, &self.path("watchdog.log"))?);
        self.said(mark, "watching at", END_BOUND).map(drop)
    }

    /// The watchdog dies of a SIGKILL, and in mode `spawn` its host with it.
    ///
    /// # Errors
    /// When there is none, or it does not.
    pub fn kill_watchdog(&mut self) -> anyhow::Result<()> {
        let mut watchdog = self.watchdog.take().context("a watchdog")?;
        watchdog.signal(Signal::SIGKILL);
        self.story.note(What::WatchdogGone);
        watchdog.ended(END_BOUND).map(drop)
    }

    /// The watchdog's process.
    ///
    /// # Errors
    /// When there is none.
    pub fn watchdog_pid(&self) -> anyhow::Result<i32> {
        Ok(self.watchdog.as_ref().context("a watchdog")?.pid())
    }

    /// In mode `attach`: starts the host.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_host(&mut self) -> anyhow::Result<()> {
        if self.setup.mode == Mode::Attach {
            self.host = Some(self.another_host("host")?);
        }
        Ok(())
    }

    /// Starts a host with the files of `name`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn another_host(&self, name: &str) -> anyhow::Result<Process> {
        let mut command = self.command("sandpit");
        command.args(["run", "--config"]).arg(self.path(&format!("{name}.toml")));
        Process::start(&mut command, &self.path(&format!("{name}.log")))
    }

    /// Writes the files of a second host, with one strategy called `strategy` that wants everything.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_another(&self, name: &str, strategy: &str) -> anyhow::Result<()> {
        let listen = sandpit_ports::free_address()?;
        write_host(&self.places, name, &listen, &[strategy], true, 0)
    }

    /// The host's process, as the watchdog named it last.
    ///
    /// # Errors
    /// When it has named none.
    pub fn host_pid(&self) -> anyhow::Result<i32> {
        let status = self.status()?.context("a watchdog that answers")?;
        let pid = status["host_pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        pid.with_context(|| format!("a host in {status}"))
    }

    /// Sends the host a signal; the moment.
    ///
    /// # Errors
    /// When there is no host.
    pub fn signal_host(&self, signal: Signal) -> anyhow::Result<u64> {
        let pid = self.host_pid()?;
        let now = boot_ms();
        kill(Pid::from_raw(pid), signal)?;
        Ok(now)
    }

    /// Does something to the host, see `host/daemon/src/sabotage.rs`; the moment.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn sabotage(&self, name: &str, how: &str) -> anyhow::Result<u64> {
        let part = self.path("sabotage.part");
        fs::write(&part, how)?;
        let now = boot_ms();
        fs::rename(part, self.path("sabotage").join(name))?;
        Ok(now)
    }

    /// Takes the lock of the host's database that its writer needs, until the answer is dropped.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn hold_database(&self) -> anyhow::Result<File> {
        // Byte 120 of the index of the log is that lock: https://www.sqlite.org/walformat.html, 2.2.
        const WRITER: i64 = 120;
        let file = OpenOptions::new().read(true).write(true).open(self.path("host/paper/sandpit.db-shm"))?;
        let lock = nix::libc::flock {
            l_type: i16::try_from(nix::libc::F_WRLCK)?,
            l_whence: i16::try_from(nix::libc::SEEK_SET)?,
            l_start: WRITER,
            l_len: 1,
            l_pid: 0,
        };
        // Each commit of the host takes it for a moment.
        wait_for("the database's lock", END_BOUND, || Ok(fcntl(&file, FcntlArg::F_SETLK(&lock)).ok()))?;
        Ok(file)
    }

    /// Everything that was logged.
    pub fn logs(&self) -> String {
        let read = |name: &str| {
            let text = String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned();
            let lines: Vec<_> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(60)..];
            format!("== {name}\n{}\n", last.join("\n"))
        };
        ["sim.log", "host.log", "watchdog.log"].map(read).concat()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(binary(program));
        for name in
            ["KILL_SWITCH_FILE", "DRY_RUN", "NAV_USD", "PANEL_TOKEN", "DATABASE_URL", "JOURNAL_STREAM"]
        {
            command.env_remove(name);
        }
        command.env("APCA_API_KEY_ID", "rig").env("APCA_API_SECRET_KEY", "s").env("RUST_LOG", "info");
        command.env("PANIC_TOKEN", TOKEN);
        command.env("SANDPIT_SABOTAGE", self.path("sabotage"));
        command.envs(self.setup.variables.iter().map(|(name, value)| (*name, value)));
        command
    }
}
