//! `cargo demo`: sim, watchdog and host with two example strategies, in a temporary folder, on loopback
//! only.

mod figures;
pub(crate) mod layout;
pub(crate) mod process;
mod view;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::Args;
use figures::Figures;
use layout::Layout;
use process::{Binaries, Log, Stack};

use crate::ambient;

/// How often the processes are asked for their figures.
const LOOK: Duration = Duration::from_millis(250);
/// The host must show its first figures within this time: it compiles what lies in its folder first, which
/// takes up to half a minute for a strategy with an interpreter inside.
const START_LIMIT: Duration = Duration::from_secs(150);
/// The kill is confirmed after a minute of agreeing looks at the broker; the demo does not wait longer than
/// this.
const CONFIRM_LIMIT: Duration = Duration::from_secs(150);
/// Exit code after a kill, the same number as the host's own.
const KILLED: u8 = 20;

/// What a demo is made of.
#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Market data to replay: CSV or CSV.gz files of bars, quotes or trades. Without it the market is
    /// synthetic.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    data: Vec<PathBuf>,
    /// Market seconds in a real second.
    #[arg(long, default_value_t = 195)]
    speed: u32,
    /// End after so many seconds of real time, whatever the market says.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// How many sessions of the data to run: a number or `all`.
    #[arg(long, default_value = "1")]
    sessions: String,
    /// Seed of the synthetic market.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Print one JSON object at the end instead of the live view and the table.
    #[arg(long)]
    json: bool,
    /// Keep everything in this folder instead of a temporary one.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Use what is built already.
    #[arg(long)]
    no_build: bool,
    /// Keep the records in this PostgreSQL database instead of a file.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

impl Options {
    /// The arguments of the broker.
    fn of_sim(&self) -> Vec<OsString> {
        let (speed, seed) = (self.speed.to_string(), self.seed.to_string());
        let flags = ["--speed", &speed, "--sessions", &self.sessions, "--seed", &seed];
        let data = self.data.iter().flat_map(|file| ["--data".into(), file.clone().into()]);
        flags.into_iter().map(OsString::from).chain(data).collect()
    }
}

/// Builds what is missing, runs the demo, prints its summary.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let plugin_dir = crate::target_dir(root).join("plugins");
    let (binaries, plugins) = if options.no_build {
        (Binaries::built(root), layout::built_plugins(&plugin_dir)?)
    } else {
        (Binaries::build(root)?, crate::plugins::build(root, &plugin_dir)?)
    };
    let start = ambient::now();
    let temporary =
        tempfile::Builder::new().prefix("sandpit-demo-").tempdir().context("no temporary folder")?;
    let folder = options.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    ensure!(
        !folder.join("host").exists(),
        "{} holds an earlier demo: name another folder, or remove it",
        folder.display()
    );

    let asked_to_stop = Arc::new(AtomicBool::new(false));
    let flag = asked_to_stop.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;

    let mut view = view::Live::new(options.json);
    std::fs::create_dir_all(&folder).context("the demo's folder cannot be made")?;
    let log = if view.takes_terminal() { Log::File(folder.join("log")) } else { Log::Here };
    let sim = binaries.start_sim(options.of_sim(), &log)?;
    let layout = Layout::write(&folder, &binaries, &sim, &plugins, options)?;
    let mut stack = Stack::start(binaries, layout, sim, None, log.clone())?;
    eprint!("{}", stack.invitation());

    let mut figures = Figures::default();
    let end = watch(&mut stack, &mut figures, &mut view, &log, options, &asked_to_stop);
    stack.look(&mut figures);
    let stopped = stack.stop();
    figures.wall_s = ambient::now().duration_since(start).as_secs_f64();
    if options.json {
        println!("{}", figures.to_json());
    } else {
        log.notable().iter().for_each(|line| println!("{line}"));
        print!("{}", view::summary(&figures));
    }
    if end.is_err() || figures.killed() {
        eprintln!("Everything is kept in {}", temporary.keep().display());
    }
    let end = end?;
    stopped?;
    Ok(verdict(&end, &figures))
}

/// Why a demo ended.
enum End {
    /// The last session is over, or the time the user gave.
    Done,
    /// Ctrl-C.
    Interrupted,
    /// The kill was pulled, and confirmed or given up waiting for.
    Killed,
}

fn verdict(end: &End, figures: &Figures) -> ExitCode {
    if figures.killed() {
        let doubt =
            if figures.kill_is_confirmed() { "" } else { " NOT CONFIRMED: look at the broker yourself." };
        eprintln!("Killed: {}. The host was not restarted.{doubt}", figures.kill_text());
        return ExitCode::from(KILLED);
    }
    match end {
        End::Interrupted => {
            eprintln!("Stopped by Ctrl-C.");
            ExitCode::SUCCESS
        }
        End::Done | End::Killed => ExitCode::SUCCESS,
    }
}

/// Looks at the processes until there is a reason to end.
fn watch(
    stack: &mut Stack,
    figures: &mut Figures,
    view: &mut view::Live,
    log: &Log,
    options: &Options,
    asked_to_stop: &AtomicBool,
) -> anyhow::Result<End> {
    let start = ambient::now();
    let mut killed_at = None;
    loop {
        let since = ambient::now().duration_since(start);
        stack.look(figures);
        stack.check_alive()?;
        view.show(figures, &log.notable());
        if figures.killed() {
            let since_kill = ambient::now().duration_since(*killed_at.get_or_insert_with(ambient::now));
            if figures.kill_is_confirmed() || since_kill > CONFIRM_LIMIT {
                return Ok(End::Killed);
            }
        } else if figures.market_ended() || options.seconds.is_some_and(|limit| since.as_secs() >= limit) {
            return Ok(End::Done);
        }
        if asked_to_stop.load(Ordering::Relaxed) {
            return Ok(End::Interrupted);
        }
        ensure!(
            figures.host_was_seen() || since < START_LIMIT,
            "the host did not come up within {START_LIMIT:?}; see its log\n{}",
            log.notable().join("\n")
        );
        ambient::wait(LOOK);
    }
}
