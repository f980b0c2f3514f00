//! `sandpit backtest`: the command line, the files and the signals; the work is that of `sandpit_backtest`.

mod args;
mod many;
mod walk;

use std::{
    fs,
    io::{IsTerminal, stderr, stdout},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

pub(crate) use args::BacktestArgs;
use indicatif::{ProgressBar, ProgressStyle};
use sandpit_backtest::{BacktestError, End, Outcome, Settings, run};
use sandpit_contract::Exit;
use sandpit_data::{Files, Mend, Wanted, open};
use sandpit_risk::Limits;
use sandpit_strategy::{Bounds, COMPILE_MEMORY_BYTES, Compiler, Engine, Manifest, Plugin, Trust};
use sandpit_venue::VenueConfig;

use crate::{
    ambient,
    config::Config,
    data,
    run::Failure,
    strategies::{Loaded, bounds},
};

/// Runs a backtest, or many: what came of it, in one sentence.
///
/// # Errors
/// When there is nothing to run, or nothing to run it on; each has the exit code of its kind.
pub(crate) fn backtest(args: &BacktestArgs) -> Result<(Exit, String), Failure> {
    let asked = Asked::of(args)?;
    let goes_on = Arc::new(AtomicBool::new(true));
    watch_interrupts(goes_on.clone());
    if let Some(walk) = args.walk {
        return walk::walk(args, &asked, walk, &goes_on);
    }
    if !args.sweep.is_empty() {
        return many::sweep(args, &asked, &goes_on);
    }
    let mut files = open(&args.data, asked.wanted.clone()).map_err(data::failure)?;
    let bar = progress(files.bytes_total());
    let outcome = {
        let bar = bar.clone();
        let read = files.bytes_meter();
        let mut watch = move |_: sandpit_backtest::Progress| {
            bar.set_position(read());
            goes_on.load(Ordering::Relaxed)
        };
        run(&asked.settings, &mut files, &mut watch).map_err(failed)?
    };
    bar.finish_and_clear();
    tell(args, outcome, &files)
}

/// What is asked for, checked.
struct Asked {
    settings: Settings,
    wanted: Wanted,
}

impl Asked {
    fn of(args: &BacktestArgs) -> Result<Self, Failure> {
        let wanted = wanted(args)?;
        let (limits, bounds, trust) = match &args.config {
            None => (Limits::default(), Bounds::default(), Trust::default()),
            Some(path) => {
                let config = Config::without_keys(path, &ambient::environment());
                let config = config.map_err(|error| Failure::new(Exit::Config, error))?;
                (config.limits.clone(), bounds(&config), config.trust.clone())
            }
        };
        let engine = Engine::new().map_err(plugin)?;
        let program = std::env::current_exe().map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot find this program's own file: {error}"))
        })?;
        let compiler = Compiler {
            command: vec![program.into(), "compile-plugin".into()],
            cache_dir: std::env::temp_dir().join(format!("sandpit-backtest-{}", nix::unistd::geteuid())),
            memory_cap_bytes: COMPILE_MEMORY_BYTES,
        };
        let mut manifest = Manifest::beside(&args.strategy).map_err(plugin)?;
        for (name, value) in &args.parameters {
            manifest.parameters.insert(name.clone(), value.clone());
        }
        if !args.symbols.is_empty() {
            manifest.instruments = Some(args.symbols.clone());
        }
        let plugin_file =
            Plugin::load_granted(&engine, &compiler, &args.strategy, &manifest, &trust).map_err(plugin)?;
        let instruments = plugin_file.instruments(&manifest).map_err(plugin)?;
        let loaded = Loaded { plugin: plugin_file, manifest, instruments };
        let grant = loaded.grant();
        let wanted = Wanted { symbols: Some(loaded.instruments.iter().cloned().collect()), ..wanted };
        let Loaded { plugin, manifest, .. } = loaded;
        let venue = VenueConfig {
            cash: args.cash,
            seed: args.seed,
            realism: args.realism.of_venue(),
            ..VenueConfig::default()
        };
        let data = args.data.iter().map(|path| path.display().to_string()).collect();
        let realism = args.realism.name().to_owned();
        let start = wanted.from;
        let settings =
            Settings { engine, plugin, manifest, bounds, grant, limits, venue, realism, data, start };
        let from = start.map(|start| start - settings.lead());
        Ok(Self { settings, wanted: Wanted { from, ..wanted } })
    }
}

/// The range of time and the repairs.
fn wanted(args: &BacktestArgs) -> Result<Wanted, Failure> {
    let usage = |what: String| Failure::new(Exit::Usage, what);
    let mend =
        Mend::parse(args.repair.iter().map(String::as_str)).map_err(|error| usage(error.to_string()))?;
    let from = args.from.map(args::midnight);
    let to = args.to.map(|date| args::midnight(date.tomorrow().unwrap_or(date)));
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(usage("--to is before --from: name the earlier day first".to_owned()));
    }
    Ok(Wanted { symbols: None, from, to, mend })
}

/// Writes the report, and says what came of the run.
fn tell(args: &BacktestArgs, outcome: Outcome, files: &Files) -> Result<(Exit, String), Failure> {
    let Outcome { end, mut material, .. } = outcome;
    material.subject.notes.extend(files.findings().lines());
    let report = sandpit_report::report(&material);
    if let Some(file) = &args.json {
        let json = serde_json::to_string_pretty(&report).unwrap_or_default();
        write(file, &format!("{json}\n"))?;
    }
    if let Some(file) = &args.fills {
        write(file, &sandpit_report::fills_csv(&material.fills))?;
    }
    write(&args.report, &sandpit_report::page(&material, &report))?;
    let is_taken = |file: &Option<_>| file.as_deref() == Some(Path::new("-"));
    if !is_taken(&args.json) && !is_taken(&args.fills) {
        print!("{}", sandpit_report::summary(&report));
    }
    let exit = match end {
        End::Finished => Exit::Ok,
        End::Failed { .. } => Exit::Plugin,
        End::Tripped { .. } | End::Restless { .. } | End::Interrupted { .. } => Exit::Incomplete,
    };
    Ok((exit, format!("{}; the report is {}", end.sentence(), args.report.display())))
}

/// Writes a file whole or not at all; `-` is the standard output.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    if path == Path::new("-") {
        print!("{text}");
        return Ok(());
    }
    let state = |error: std::io::Error| {
        Failure::new(Exit::State, format!("cannot write {}: {error}", path.display()))
    };
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    fs::write(&part, text).map_err(state)?;
    fs::rename(&part, path).map_err(state)
}

/// A bar on a terminal, nothing elsewhere.
fn progress(total: u64) -> ProgressBar {
    if !stderr().is_terminal() || !stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {elapsed} of {duration}  {msg}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Ctrl-C ends the run where it is; the report is of what was played.
fn watch_interrupts(goes_on: Arc<AtomicBool>) {
    let watch = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime {
            // Without the signal the run goes on, and a second Ctrl-C does what it always does.
            let _ = runtime.block_on(tokio::signal::ctrl_c());
            goes_on.store(false, Ordering::Relaxed);
        }
    };
    // Without it, Ctrl-C ends the process.
    let _ = std::thread::Builder::new().name("interrupts".into()).spawn(watch);
}

fn plugin(error: sandpit_strategy::PluginError) -> Failure {
    Failure::new(Exit::Plugin, error)
}

fn failed(error: BacktestError) -> Failure {
    match error {
        BacktestError::Data(error) => data::failure(error),
        BacktestError::Plugin(error) => plugin(error),
        error @ (BacktestError::NoData | BacktestError::Unordered { .. }) => Failure::new(Exit::Data, error),
        error @ BacktestError::Desk(_) => Failure::new(Exit::Failed, error),
    }
}
