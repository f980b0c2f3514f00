//! What an operator asks of a running host, and how it is told.
//!
//! Reading goes to the monitor's port, like any other reader; what changes something goes over the control
//! socket, where the kernel says who asks.

mod alerts;
mod ask;
mod change;
mod effective;
mod logs;
mod show;
mod table;
mod top;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sandpit_contract::Exit;
use serde_json::{Value, json};

pub(crate) use self::change::unfreeze;
use self::{alerts::AlertsArgs, change::CancelArgs, logs::LogsArgs};
use crate::{ambient, config::Config, run::Failure};

/// Where the configuration of an installed host is.
pub(crate) const CONFIG: &str = "/etc/sandpit/sandpit.toml";

/// What every command of an operator takes.
#[derive(Args)]
pub(crate) struct Common {
    /// The configuration file of the host.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    pub(crate) config: PathBuf,
    /// One JSON object with stable names instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Looking at a running host, and having it do something.
#[derive(Subcommand)]
pub(crate) enum OperatorCommand {
    /// How the host stands, on one screen.
    Status(Common),
    /// The orders that are open in the host's books.
    Orders {
        #[command(flatten)]
        common: Common,
        /// Only those of this strategy.
        #[arg(long, value_name = "NAME")]
        strategy: Option<String>,
        /// Only those in this symbol.
        #[arg(long)]
        symbol: Option<String>,
    },
    /// What the host's books hold.
    Positions(Common),
    /// The strategies: state, orders, profit and loss, last error.
    Strategies(Common),
    Alerts(AlertsArgs),
    Cancel(CancelArgs),
    /// Send nothing but orders that reduce, over restarts, until `unfreeze`.
    ///
    /// Entries that rest at the broker are cancelled; exits and stops stay. A dry run forgets it when it
    /// ends.
    Freeze {
        #[command(flatten)]
        common: Common,
        /// Why; it is kept in the audit log with your name.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Send nothing of one strategy but orders that reduce, over restarts, until `resume`.
    ///
    /// The strategy runs on: it is told of everything, may cancel, and may reduce what it holds; what opens
    /// or adds is refused as `paused`. Its entries that rest at the broker are cancelled; exits and stops
    /// stay. A new version of its plugin stays paused.
    Pause(PauseArgs),
    /// Lift the pause of a strategy.
    Resume(PauseArgs),
    Logs(LogsArgs),
    Top(top::TopArgs),
}

/// Which strategy, and why.
#[derive(Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The strategy, as `sandpit strategies` shows it.
    #[arg(value_name = "NAME")]
    strategy: String,
    /// Why; it is kept in the audit log with your name.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// What came of a command.
pub(crate) struct Told {
    /// For people.
    pub(crate) text: String,
    /// For programs.
    pub(crate) json: Value,
    /// What the process ends with.
    pub(crate) exit: Exit,
}

/// Runs a command and tells what came of it: text or JSON on standard output, a failure in one sentence.
pub(crate) fn operate(command: &OperatorCommand) -> Exit {
    let (common, told) = match command {
        OperatorCommand::Logs(args) => (&args.common, logs::logs(args)),
        OperatorCommand::Alerts(args) => (&args.common, alerts::alerts(args)),
        OperatorCommand::Top(args) => return shown(top::top(args)),
        OperatorCommand::Status(common) => (common, show(common, show::status)),
        OperatorCommand::Orders { common, strategy, symbol } => {
            let (strategy, symbol) = (strategy.as_deref(), symbol.as_deref());
            (common, show(common, |host| show::orders(host, strategy, symbol)))
        }
        OperatorCommand::Positions(common) => (common, show(common, show::positions)),
        OperatorCommand::Strategies(common) => (common, show(common, show::strategies)),
        OperatorCommand::Cancel(args) => (&args.common, change::cancel(args)),
        OperatorCommand::Freeze { common, reason } => (common, change::freeze(common, reason)),
        OperatorCommand::Pause(args) => (&args.common, change::pause(args)),
        OperatorCommand::Resume(args) => (&args.common, change::resume(args)),
    };
    tell(told, common.json)
}

/// Says what a command has not said itself.
fn shown(outcome: Result<Exit, Failure>) -> Exit {
    outcome.unwrap_or_else(|failure| {
        eprintln!("error: {}", failure.sentence);
        failure.exit
    })
}

/// Says what came of a command.
pub(crate) fn tell(told: Result<Told, Failure>, is_json: bool) -> Exit {
    let (text, json, exit) = match told {
        Ok(told) => (told.text, told.json, told.exit),
        Err(failure) => {
            eprintln!("error: {}", failure.sentence);
            let json = json!({"error": failure.sentence, "exit_code": failure.exit.code()});
            (String::new(), json, failure.exit)
        }
    };
    if is_json {
        // What another program has shown needs nothing more.
        if !json.is_null() {
            println!("{json}");
        }
    } else if !text.is_empty() {
        println!("{}", text.trim_end());
    }
    exit
}

/// `config show`: what is in force, and where each value comes from.
pub(crate) fn show_config(common: &Common) -> Exit {
    tell(effective::effective(common), common.json)
}

fn show(common: &Common, how: impl FnOnce(&Value) -> Told) -> Result<Told, Failure> {
    Ok(how(&ask::snapshot(&config(common)?)?))
}

/// The configuration as far as it matters to somebody who only wants to reach the host.
fn config(common: &Common) -> Result<Config, Failure> {
    Config::without_keys(&common.config, &ambient::environment())
        .map_err(|error| Failure::new(Exit::Config, error))
}
