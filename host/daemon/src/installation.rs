//! The commands of an installation, around trading: what they do is in `sandpit_operator`, and in `golive`
//! where it needs the configuration and the records.

use std::path::PathBuf;

use clap::{CommandFactory, Subcommand};
use sandpit_contract::Exit;
use sandpit_operator::{docs, doctor, doctor::DoctorArgs, golive::GoliveArgs, setup, setup::SetupArgs};

use crate::{Cli, ambient, golive, log::Log, or_say, run::Failure};

/// What an operator does before and around trading.
#[derive(Subcommand)]
pub(crate) enum InstallationCommand {
    Setup(Box<SetupArgs>),
    Doctor(Box<DoctorArgs>),
    Golive(Box<GoliveArgs>),
    /// Write manual pages and completions, for a package.
    #[command(hide = true)]
    Docs {
        /// Where to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// Does it, and says how it went.
pub(crate) fn operate(command: InstallationCommand) -> Exit {
    match command {
        InstallationCommand::Setup(args) => match setup::setup(&args, &ambient::world()) {
            Ok(()) => Exit::Ok,
            Err(failure) => or_say(Err(failure.into()), ""),
        },
        InstallationCommand::Doctor(args) => {
            let (exit, said) = doctor::doctor(&args, &ambient::world());
            println!("{said}");
            exit
        }
        InstallationCommand::Golive(args) => {
            let _log = Log::start("warn");
            match golive::golive(&args) {
                Ok((exit, said)) => {
                    println!("{said}");
                    exit
                }
                Err(failure) => or_say(Err(failure), ""),
            }
        }
        InstallationCommand::Docs { out } => {
            let written = docs::write(Cli::command(), &out);
            or_say(written.map(|()| Exit::Ok).map_err(Failure::from), "written")
        }
    }
}
