//! `sandpit run`: prepare everything that can be wrong, reconcile, then trade until there is a reason to end.

mod ending;
mod prepare;
mod spawn;
mod trade;

use std::{fmt, sync::Arc};

pub(crate) use ending::Ending;
use sandpit_contract::Exit;

use crate::config::{Config, Mode};

/// Why the host did not run: one sentence and an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the process ends with.
    pub(crate) exit: Exit,
    /// What is wrong, where, and what to do.
    pub(crate) sentence: String,
}

impl Failure {
    /// Says `sentence`.
    pub(crate) fn new(exit: Exit, sentence: impl fmt::Display) -> Self {
        Self { exit, sentence: sentence.to_string() }
    }
}

/// Runs the host with a checked configuration.
///
/// # Errors
/// When something that is needed cannot be used. Nothing was half-started then: files and addresses are looked at
/// before the broker is asked, and the broker before the database is touched.
pub(crate) async fn run(config: Config) -> Result<Exit, Failure> {
    if std::fs::symlink_metadata(&config.kill_switch_file).is_ok() {
        let file = config.kill_switch_file.display();
        tracing::error!("[KILL] the kill switch file {file} exists: not starting");
        return Ok(Exit::Killed);
    }
    let mode = config.mode;
    let prepared = prepare::prepare(config).await?;
    let ending = match mode {
        Mode::DryRun => {
            let dry_run = prepared.dry_run();
            let (broker, orders) = (Arc::new(dry_run.clone()), Arc::new(dry_run.clone()));
            trade::trade(prepared, broker, orders, Some(dry_run)).await?
        }
        Mode::Paper | Mode::Live => {
            let alpaca = prepared.alpaca.clone();
            trade::trade(prepared, alpaca.clone(), alpaca, None).await?
        }
    };
    Ok(ending.exit())
}
