//! The command lines.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use crate::{
    Surroundings, Verdict, WorkbenchError, build, check, dev, inspect, new, project::Language, test,
};

/// What stands below the flags of every command.
const MORE: &str = "\
A strategy's folder: a Cargo.toml (Rust), or one of NAME.js, NAME.py, NAME.c; beside it NAME.toml, what the
  operator grants it, and fixtures/, the events it is tested with. It is built to NAME.wasm in that folder.

Exit codes:
  0   done; `check`: nothing is wrong; `test`: it did what is expected
  2   wrong usage: a bad name, a folder that is there already, a file that is not
  10  the manifest NAME.toml, or the host's configuration, is wrong
  11  the plugin is wrong, does not build, or a tool to build it is missing; `check`: something is wrong;
      `test`: it did something else, or takes more work
  12  a file or folder cannot be read or written";

/// Begin, build, check and try a strategy.
#[derive(Debug, Subcommand)]
#[command(after_long_help = MORE)]
pub enum PluginCommand {
    /// Begin a strategy: a folder with everything it needs.
    New(NewArgs),
    /// Build a strategy to NAME.wasm.
    Build(BuildArgs),
    /// Say whether a plugin is fit for this host, and what its events cost.
    Check(PathArgs),
    /// Say what a plugin is, wants, and was built with.
    Inspect(PathArgs),
    /// Feed a plugin its fixtures, and compare what it wants with what is expected.
    Test(TestArgs),
    /// Build a strategy at every change, hand it to a host, and show the host's log of it until Ctrl-C.
    Dev(DevArgs),
}

/// Of `new`.
#[derive(Debug, Args)]
#[command(after_long_help = MORE)]
pub struct NewArgs {
    /// Its name, 1 to 32 of a-z, 0-9 and _, a letter first; and that of its folder
    pub(crate) name: String,

    /// What it is written in
    #[arg(long)]
    pub(crate) lang: Language,

    /// Rust: a checkout of Sandpit whose SDK it uses, instead of a copy of its own
    #[arg(long, value_name = "PATH")]
    pub(crate) sdk: Option<PathBuf>,

    /// The folder in which to make its folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
}

/// Of `build`.
#[derive(Debug, Args)]
#[command(after_long_help = MORE)]
pub struct BuildArgs {
    /// The strategy's folder
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,

    #[command(flatten)]
    pub(crate) how: How,
}

/// How to build.
#[derive(Clone, Debug, Args)]
pub struct How {
    /// Rust: where cargo keeps what it builds [default: target in the strategy's folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) target_dir: Option<PathBuf>,
}

/// Of `check` and `inspect`.
#[derive(Debug, Args)]
#[command(after_long_help = MORE)]
pub struct PathArgs {
    /// A .wasm file, or the folder of a strategy that is built
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
}

/// What stands below the flags of `test`.
const MORE_TEST: &str = "\
A fixture is a file fixtures/NAME.jsonl beside the plugin: one event a line, as JSON, in the order in which
  the host tells them. What has to come of it is in fixtures/NAME.expected.jsonl: the intents, each with the
  line of its event, and at the end what an event of each kind costs, in units of work (about one instruction
  of WebAssembly). More than 10 % above that is a failure. --bless writes what is found as what is expected.
  A first line {\"desk\":\"fills\"} makes a desk answer the orders: market orders and limits that the last
  price reaches fill, others work until they do or the session closes.

  {\"account\":{\"equity\":\"100000\",\"buying_power\":\"200000\"}}
  {\"session-open\":{\"open\":\"2026-03-02T14:30:00Z\",\"close\":\"2026-03-02T21:00:00Z\"}}
  {\"bar\":{\"symbol\":\"SPY\",\"start\":\"2026-03-02T14:30:00Z\",\"open\":500.0,\"high\":500.2,\"low\":499.9,
          \"close\":500.1,\"volume\":1000,\"vwap\":500.1}}          (in one line)
  And quote, trade, bars-complete, late-bar, corrected-bar, warmup, news, session-close, health, tick, order,
  fill, refused, position, open-order; a line that lacks something is told what.";

/// Of `test`.
#[derive(Debug, Args)]
#[command(after_long_help = MORE_TEST)]
pub struct TestArgs {
    /// A .wasm file with fixtures/ beside it, or the folder of a strategy that is built
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,

    /// Write what is found as what is expected
    #[arg(long)]
    pub(crate) bless: bool,
}

/// Of `dev`.
#[derive(Debug, Args)]
#[command(after_long_help = MORE)]
pub struct DevArgs {
    /// The strategy's folder
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,

    /// The host's plugins folder
    #[arg(long, value_name = "DIR", required_unless_present = "config", conflicts_with = "config")]
    pub(crate) plugins: Option<PathBuf>,

    /// The host's configuration file, which names the folder
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The host's log, of which the strategy's lines are shown
    #[arg(long, value_name = "FILE", conflicts_with = "journal")]
    pub(crate) log: Option<PathBuf>,

    /// The same, of a host whose log goes to systemd's journal: the name of its unit
    #[arg(long, value_name = "UNIT")]
    pub(crate) journal: Option<String>,

    #[command(flatten)]
    pub(crate) how: How,
}

/// Does it. `plugins_of` finds the plugins folder that a configuration file names; what there is to say goes
/// to `out`.
///
/// # Errors
/// One sentence, and whose fault it is.
pub fn run(
    command: &PluginCommand,
    surroundings: &Surroundings,
    plugins_of: &dyn Fn(&Path) -> Result<PathBuf, String>,
    out: &mut dyn Write,
) -> Result<Verdict, WorkbenchError> {
    match command {
        PluginCommand::New(args) => new::new(args, out),
        PluginCommand::Build(args) => {
            build::build(&args.folder, &args.how, surroundings, out).map(|_| Verdict::Good)
        }
        PluginCommand::Check(args) => check::check(&args.path, surroundings, out),
        PluginCommand::Inspect(args) => inspect::inspect(&args.path, surroundings, out),
        PluginCommand::Test(args) => test::test(args, surroundings, out),
        PluginCommand::Dev(args) => dev::dev(args, surroundings, plugins_of, out),
    }
}

/// Says a line.
///
/// # Errors
/// When nobody listens any more.
pub(crate) fn say(out: &mut dyn Write, line: impl std::fmt::Display) -> Result<(), WorkbenchError> {
    writeln!(out, "{line}").map_err(WorkbenchError::io("write", Path::new("standard output")))
}
