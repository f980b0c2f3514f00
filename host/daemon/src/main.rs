//! `sandpit`: runs trading strategies. Configuration and wiring; every decision is made in a crate of its
//! own.

mod ambient;
mod backfill;
mod budgets;
mod clock;
mod config;
mod dry_run;
mod fan_out;
mod figures;
mod flag;
mod golive;
mod installation;
mod lease;
mod log;
mod loops;
mod losses;
mod permit;
mod plugin;
mod plugins;
mod recording;
mod records;
mod replay;
mod review;
mod run;
#[cfg(debug_assertions)]
mod sabotage;
mod sessions;
mod set_position;
mod stopped;
mod strategies;
mod unfreeze;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use config::Config;
use installation::InstallationCommand;
use log::Log;
use run::Failure;
use sandpit_contract::Exit;
use sandpit_workbench::PluginCommand;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

#[derive(Parser)]
#[command(name = "sandpit", version, about = "Runs trading strategies, unattended")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trade until told to stop.
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    Backfill(backfill::BackfillArgs),
    /// Back the records up, restore and check them.
    #[command(subcommand)]
    Db(records::DbCommand),
    Export(records::ExportArgs),
    Unfreeze(unfreeze::UnfreezeArgs),
    SetPosition(set_position::SetPositionArgs),
    /// Begin, build, check and try a strategy of your own.
    #[command(subcommand)]
    Plugin(PluginCommand),
    Replay(replay::ReplayArgs),
    #[command(flatten)]
    Installation(InstallationCommand),
    /// Look at a configuration without using it.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Compile one plugin, in a process of its own: the trading process never runs a compiler.
    #[command(hide = true)]
    CompilePlugin {
        /// A core module or component.
        input: PathBuf,
        /// Where the compiled form goes.
        output: PathBuf,
        /// For a trial, which counts what the plugin does.
        #[arg(long)]
        metered: bool,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Say whether the file, the environment and every plugin are valid.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Run { config } => {
            let log = log_to_stderr("info");
            let outcome = run(&config);
            drop(log);
            or_say(outcome, "stopped")
        }
        Command::Backfill(args) => {
            let log = log_to_stderr("warn");
            let outcome = backfill::backfill(args);
            drop(log);
            or_say(outcome, "every day is there")
        }
        Command::Db(command) => {
            log_to_stderr("warn");
            or_say(records::db(&command), "done")
        }
        Command::Export(args) => {
            log_to_stderr("warn");
            or_say(records::export(&args), "done")
        }
        Command::Unfreeze(args) => {
            log_to_stderr("warn");
            said(load(&args.config).and_then(|config| {
                unfreeze::unfreeze(&config, &args, &ambient::user(&ambient::environment()))
            }))
        }
        Command::SetPosition(args) => {
            log_to_stderr("warn");
            said(load(&args.config).and_then(|config| {
                set_position::set_position(&config, &args, &ambient::user(&ambient::environment()))
            }))
        }
        Command::Replay(args) => {
            log_to_stderr("warn");
            or_tell(replay::replay(&args))
        }
        Command::Installation(command) => installation::operate(command),
        Command::Config(ConfigCommand::Check { config }) => {
            let said = load(&config).and_then(|config| plugins::check(&config));
            or_say(said, "the configuration is valid, and so are the plugins")
        }
        Command::Plugin(command) => {
            let _log = log_to_stderr("info");
            plugin::plugin(&command).unwrap_or_else(|failure| or_say(Err(failure), ""))
        }
        Command::CompilePlugin { input, output, metered } => compile(&input, &output, metered),
    };
    exit.into()
}

fn load(path: &Path) -> Result<Config, Failure> {
    Config::load(path, &ambient::environment()).map_err(|error| Failure::new(Exit::Config, error))
}

fn run(path: &Path) -> Result<Exit, Failure> {
    let config = load(path)?;
    let signed = golive::gate(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let ending = runtime.block_on(async {
        if let Some(record) = signed {
            golive::stay_in_use(config.state_dir.clone(), record);
        }
        run::run(config).await
    });
    // What is still waiting for a peer that never answers must not keep the process.
    runtime.shutdown_background();
    ending
}

/// One sentence either way.
fn or_say(outcome: Result<Exit, Failure>, success: &str) -> Exit {
    match outcome {
        Ok(Exit::Ok) => {
            eprintln!("{success}");
            Exit::Ok
        }
        Ok(exit) => exit,
        Err(failure) => {
            eprintln!("error: {}", failure.sentence);
            failure.exit
        }
    }
}

/// One sentence either way, the good one made on the way.
fn said(outcome: Result<String, Failure>) -> Exit {
    match outcome {
        Ok(sentence) => or_say(Ok(Exit::Ok), &sentence),
        Err(failure) => or_say(Err(failure), ""),
    }
}

/// One sentence whatever came out.
fn or_tell(outcome: Result<(Exit, String), Failure>) -> Exit {
    match outcome {
        Ok((exit, sentence)) => {
            eprintln!("{sentence}");
            exit
        }
        Err(failure) => or_say(Err(failure), ""),
    }
}

fn compile(input: &Path, output: &Path, is_metered: bool) -> Exit {
    let compile = if is_metered { sandpit_strategy::compile_metered } else { sandpit_strategy::compile_file };
    match compile(input, output) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            eprintln!("{error}");
            Exit::Plugin
        }
    }
}

/// Lines on stderr; the level by `RUST_LOG`, `level` if it says nothing.
fn log_to_stderr(level: &str) -> Log {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = Log::start();
    let lines =
        tracing_subscriber::fmt::layer().with_writer(log.writer()).with_target(false).with_ansi(false);
    tracing_subscriber::registry().with(filter).with(lines).init();
    log
}
