//! The processes of one segment: broker, watchdog and with it the host, and who compares their books.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{
    PANEL_TOKEN,
    plan::{Deed, Fault, Manner, Plan},
    probes::agent,
    state::State,
};
use crate::demo::{
    layout::Layout,
    process::{Binaries, Log, Sim, Stack},
};

/// Cash of the account, US dollars: so much that no limit of losses is ever near.
const CASH: &str = "10000000";
/// A session, seconds.
const SESSION_SECS: f64 = 6.5 * 3_600.0;
/// Longest wait for an answer of the processes.
const PATIENCE: Duration = Duration::from_secs(5);

/// The strategies: plugin, symbols, parameters. Each symbol has one owner, and each position is small beside
/// the account.
const STRATEGIES: [(&str, &[&str], &str); 6] = [
    (
        "sma_cross",
        &["SPY", "QQQ", "IWM", "DIA", "AAPL", "MSFT", "NVDA", "AMZN", "ORCL", "CRM", "ADBE", "CSCO"],
        "usd = 20000",
    ),
    ("mean_reversion", &["GOOGL", "META", "TSLA", "AMD", "INTC", "NFLX", "QCOM", "TXN"], "fraction = 0.002"),
    ("market_maker", &["JPM", "BAC", "XOM", "F", "T", "WFC"], "requote_seconds = 15\nmax_loss_usd = 1000000"),
    ("opening_range", &["WMT", "HD", "UNH", "CVX"], "fraction = 0.005"),
    ("pairs", &["KO", "PEP"], "fraction = 0.005\nentry_z = 1.5\nmax_half_life_minutes = 120"),
    (
        "rebalance",
        &["DIS", "NKE", "MCD", "PFE", "MRK", "ABT", "IBM", "GE"],
        "capital_fraction = 0.02\nevery_minutes = 10\ndrift = 0.0001",
    ),
];

/// All that runs.
pub(crate) struct Rig {
    // The comparing process goes first: it only reads.
    eye: Eye,
    stack: Stack,
    pub(crate) host: String,
    pub(crate) log: PathBuf,
    controls: Controls,
}

impl Rig {
    /// Starts everything in `folder`, which is emptied, for what is left of `state`. The broker has to take
    /// every fault of the plan, so that none is found wrong hours later. `save` keeps the state once there is
    /// a process to remember.
    pub(crate) fn start(
        root: &Path,
        bin: &Path,
        folder: &Path,
        state: &mut State,
        plan: &Plan,
        save: impl FnOnce(&State) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
        }
        let (layout, binaries) = (Layout::folders(folder)?, Binaries::of(bin));
        let log = folder.join("log");
        let to_file = Log::File(log.clone());
        let sim = binaries.start_sim(of_sim(state), &to_file)?;
        // Should the runner be killed while the rest starts.
        state.remember(&[sim.pid()]);
        save(state)?;
        let controls = Controls { address: sim.address.clone(), agent: agent(PATIENCE) };
        for (_, deed) in &plan.deeds {
            if let Deed::Fault(fault) = deed {
                controls.disarm(&controls.arm(fault)?)?;
            }
        }
        place_plugins(&crate::target_dir(root).join("plugins"), &layout.plugins_dir)?;
        layout.configure(&binaries, &sim, state.speed, None)?;
        let host = layout.host_address.clone();
        let eye = Eye::start(bin, &sim, &host, folder, &to_file)?;
        let stack = Stack::start(binaries, layout, sim, Some(PANEL_TOKEN), to_file)?;
        Ok(Self { eye, stack, host, log, controls })
    }

    /// The broker's status.
    pub(crate) fn broker(&self) -> anyhow::Result<Value> {
        self.stack.sim.status().context("sandpit-sim does not answer")
    }

    /// The host's status, if it answers.
    pub(crate) fn host_status(&self) -> Option<Value> {
        let request = self.controls.agent.get(format!("http://{}/status", self.host));
        let request = request.header("Authorization", format!("Bearer {PANEL_TOKEN}"));
        request.call().ok()?.body_mut().read_json().ok()
    }

    /// The watchdog's status, if it answers.
    pub(crate) fn watchdog_status(&self) -> Option<Value> {
        self.stack.watchdog_status()
    }

    /// Broker and watchdog have to live.
    pub(crate) fn check_alive(&mut self) -> anyhow::Result<()> {
        self.stack.check_alive()
    }

    /// The numbers of the watchdog and the broker.
    pub(crate) fn children(&self) -> [u32; 2] {
        [self.stack.watchdog_pid(), self.stack.sim.pid()]
    }

    /// Ends the host's life in its own manner.
    pub(crate) fn end_host(&self, pid: u32, manner: Manner) -> anyhow::Result<()> {
        signal(manner.signal(), pid)
    }

    /// Arms a fault; the numbers of its rules.
    pub(crate) fn arm(&self, fault: &Fault) -> anyhow::Result<Vec<u64>> {
        self.controls.arm(fault)
    }

    /// Takes rules away.
    pub(crate) fn disarm(&self, rules: &[u64]) -> anyhow::Result<()> {
        self.controls.disarm(rules)
    }

    /// Lets the market stand still.
    pub(crate) fn pause(&self) -> anyhow::Result<()> {
        self.controls.post("clock", &serde_json::json!({"pause": true})).map(drop)
    }

    /// Asks who compares the books; see `sandpit-agree`.
    pub(crate) fn ask(&mut self, question: &str) -> anyhow::Result<Value> {
        self.eye.ask(question)
    }

    /// Ends everything in order.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        let Self { eye, stack, .. } = self;
        drop(eye);
        stack.stop()
    }
}

/// The controls of the simulator.
struct Controls {
    address: String,
    agent: ureq::Agent,
}

impl Controls {
    fn arm(&self, fault: &Fault) -> anyhow::Result<Vec<u64>> {
        let arm = |rule: &Value| {
            let answer = self.post("faults", rule).with_context(|| format!("{}: {rule}", fault.name))?;
            answer["id"].as_u64().with_context(|| format!("{}: {answer}", fault.name))
        };
        fault.rules.iter().map(arm).collect()
    }

    fn disarm(&self, rules: &[u64]) -> anyhow::Result<()> {
        for id in rules {
            let url = format!("http://{}/sim/faults/{id}", self.address);
            let status = self.agent.delete(url).call().context("sandpit-sim does not answer")?.status();
            ensure!(status.is_success(), "rule {id} cannot be taken away: {status}");
        }
        Ok(())
    }

    fn post(&self, name: &str, what: &Value) -> anyhow::Result<Value> {
        let url = format!("http://{}/sim/{name}", self.address);
        let mut answer = self.agent.post(url).send_json(what).context("sandpit-sim does not answer")?;
        let body = answer.body_mut().read_to_string()?;
        ensure!(answer.status().is_success(), "sandpit-sim refuses: {body}");
        Ok(serde_json::from_str(&body)?)
    }
}

/// The broker's arguments: sessions of real trading days, of which the nights are jumped over.
fn of_sim(state: &State) -> Vec<String> {
    let sessions = (state.left_secs() / SESSION_SECS).ceil() + 1.0;
    let seed = state.seed.wrapping_add(u64::from(state.segments));
    let symbols: Vec<_> = STRATEGIES.iter().flat_map(|(_, symbols, _)| symbols.iter().copied()).collect();
    let flags = [
        ("--speed", state.speed.to_string()),
        ("--sessions", sessions.to_string()),
        ("--seed", seed.to_string()),
        ("--cash", CASH.to_owned()),
        ("--symbols", symbols.join(",")),
    ];
    flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

fn place_plugins(built: &Path, folder: &Path) -> anyhow::Result<()> {
    for (name, symbols, parameters) in STRATEGIES {
        let file = built.join(format!("{name}.wasm"));
        let copied = fs::copy(&file, folder.join(format!("{name}.wasm")));
        copied.with_context(|| format!("{} is not there: cargo xtask plugins", file.display()))?;
        let manifest = format!("instruments = {symbols:?}\n\n[parameters]\n{parameters}\n");
        fs::write(folder.join(format!("{name}.toml")), manifest)?;
    }
    Ok(())
}

/// Sends a signal, by its name as `kill` takes it.
pub(crate) fn signal(name: &str, pid: u32) -> anyhow::Result<()> {
    let status = Command::new("kill").args([name, &pid.to_string()]).status().context("cannot run kill")?;
    ensure!(status.success(), "kill {name} {pid} ended with {status}");
    Ok(())
}

/// `sandpit-agree`, which reads the books of all three.
struct Eye {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Eye {
    fn start(bin: &Path, sim: &Sim, host: &str, folder: &Path, log: &Log) -> anyhow::Result<Self> {
        let mut child = Command::new(bin.join("sandpit-agree"))
            .args(["--broker", &sim.address, "--host", host, "--cash", CASH, "--database"])
            .arg(folder.join("host/paper/sandpit.db"))
            .env("PANEL_TOKEN", PANEL_TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.stdio()?)
            .process_group(0)
            .spawn()
            .context("cannot start sandpit-agree")?;
        let (questions, answers) = (child.stdin.take(), child.stdout.take().context("piped")?);
        Ok(Self { child, questions, answers: BufReader::new(answers) })
    }

    fn ask(&mut self, question: &str) -> anyhow::Result<Value> {
        writeln!(self.questions.as_mut().context("asked before its end")?, "{question}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("sandpit-agree answers {line:?}"))
    }
}

impl Drop for Eye {
    fn drop(&mut self) {
        // It ends with its questions; a question that is open is of no interest any more.
        self.questions = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_symbol_has_one_owner_and_there_is_market_enough() {
        let symbols: Vec<_> = STRATEGIES.iter().flat_map(|(_, symbols, _)| symbols.iter()).collect();
        assert_eq!(symbols.iter().collect::<BTreeSet<_>>().len(), symbols.len());
        assert!(symbols.len() >= 36, "dozens of symbols");
        let mut state = State::new(7, 86_400, 60);
        let sessions = |state: &State| of_sim(state)[3].clone();
        assert_eq!(sessions(&state), "5");
        state.done_secs = 80_000.0;
        assert_eq!(sessions(&state), "2");
    }
}
