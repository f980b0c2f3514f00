//! `sandpit`: runs trading strategies. Configuration and wiring; every decision is made in a crate of its
//! own.

mod alarms;
mod ambient;
mod backfill;
mod backtest;
mod budgets;
mod clock;
mod config;
mod control;
mod data;
mod fan_out;
mod figures;
mod flag;
mod golive;
mod installation;
mod lease;
mod log;
mod loops;
mod operator;
mod outside;
mod panel;
mod permit;
mod plugin;
mod plugins;
mod recording;
mod records;
mod replay;
mod run;
#[cfg(debug_assertions)]
mod sabotage;
mod service;
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
use service::Service;

#[derive(Parser)]
#[command(name = "sandpit", version, about = "Runs trading strategies, unattended")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Operator(operator::OperatorCommand),
    /// Trade until told to stop.
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    Backfill(backfill::BackfillArgs),
    Backtest(Box<backtest::BacktestArgs>),
    /// Look at market data of the past, check it, bring it into Parquet files.
    #[command(subcommand)]
    Data(data::DataCommand),
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
        #[arg(long, value_name = "FILE", default_value = operator::CONFIG)]
        config: PathBuf,
    },
    /// Show what is in force, defaults included, and where each value comes from. Secrets are never shown.
    Show(operator::Common),
}

fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Operator(command) => operator::operate(&command),
        Command::Run { config } => {
            let log = Log::start("info");
            let outcome = run(&config);
            if let Err(failure) = &outcome
                && log.is_journal()
            {
                tracing::error!(event = "not-started", "{}", failure.sentence);
            }
            drop(log);
            or_say(outcome, "stopped")
        }
        Command::Backfill(args) => {
            let log = Log::start("warn");
            let outcome = backfill::backfill(args);
            drop(log);
            or_say(outcome, "every day is there")
        }
        Command::Backtest(args) => {
            Log::start("error");
            or_tell(backtest::backtest(&args))
        }
        Command::Data(command) => {
            Log::start("error");
            or_tell(data::data(&command))
        }
        Command::Db(command) => {
            Log::start("warn");
            or_say(records::db(&command), "done")
        }
        Command::Export(args) => {
            Log::start("warn");
            or_say(records::export(&args), "done")
        }
        Command::Unfreeze(args) => {
            Log::start("warn");
            operator::tell(operator::unfreeze(&args), args.common.json)
        }
        Command::SetPosition(args) => {
            Log::start("warn");
            said(load_without_keys(&args.config).and_then(|config| {
                set_position::set_position(&config, &args, &ambient::user(&ambient::environment()))
            }))
        }
        Command::Replay(args) => {
            Log::start("warn");
            or_tell(replay::replay(&args))
        }
        Command::Config(ConfigCommand::Show(common)) => operator::show_config(&common),
        Command::Installation(command) => installation::operate(command),
        Command::Config(ConfigCommand::Check { config }) => {
            let said = load(&config).and_then(|config| plugins::check(&config));
            or_say(said, "the configuration is valid, and so are the plugins")
        }
        Command::Plugin(command) => {
            let _log = Log::start("info");
            plugin::plugin(&command).unwrap_or_else(|failure| or_say(Err(failure), ""))
        }
        Command::CompilePlugin { input, output, metered } => compile(&input, &output, metered),
    };
    exit.into()
}

fn load(path: &Path) -> Result<Config, Failure> {
    Config::load(path, &ambient::environment()).map_err(|error| Failure::new(Exit::Config, error))
}

/// For a command that never talks to the broker.
fn load_without_keys(path: &Path) -> Result<Config, Failure> {
    Config::without_keys(path, &ambient::environment()).map_err(|error| Failure::new(Exit::Config, error))
}

fn run(path: &Path) -> Result<Exit, Failure> {
    let service = Service::of(&ambient::environment());
    let outcome = load(path).and_then(|config| run_config(path, config, &service));
    if let Err(failure) = &outcome {
        service.stopping(&failure.sentence);
    }
    outcome
}

fn run_config(path: &Path, config: Config, service: &Service) -> Result<Exit, Failure> {
    let signed = golive::gate(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let ending = runtime.block_on(async {
        if let Some(record) = signed {
            golive::stay_in_use(path.to_owned(), config.state_dir.clone(), record);
        }
        // It is large: not on the stack of the thread that waits for it.
        Box::pin(run::run(config, service)).await
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
