//! The command line, and nothing else: `cargo xtask docs` compiles this file, too, and makes the manual of
//! it, so that the program itself carries no generator.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Grants the host its right to trade, and takes it away.
#[derive(Parser)]
#[command(name = "sandpit-watchdog", version)]
pub(crate) struct Arguments {
    /// What is to be done.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is to be done.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Watch the host until stopped.
    Run {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Say whether a configuration is valid; nothing else is done.
    Check {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Allow trading; after a kill, allow it again.
    Arm {
        /// Why, for the record.
        #[arg(long)]
        reason: String,
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Show how a running watchdog stands.
    Status {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Send a test to every sink of alerts.
    AlertTest {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Kill: no lease, no host, no open order, until `arm`.
    Kill {
        /// Why, for the record.
        #[arg(long)]
        reason: String,
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Rehearse the whole kill on an account that is not traded, and measure it.
    Drill {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// One JSON object.
        #[arg(long)]
        json: bool,
        /// Begun by the watchdog itself.
        #[arg(long, hide = true)]
        scheduled: bool,
    },
    /// The host of a drill.
    #[command(hide = true)]
    DrillHost {
        /// What it is to do.
        #[arg(long)]
        plan: PathBuf,
    },
}
