//! `sandpit run`: prepare everything that can be wrong, reconcile, then trade until there is a reason to end.

mod calendar;
mod end;
mod ending;
pub(crate) mod marker;
mod prepare;
mod spawn;
mod start;
mod strategies;

use std::{fmt, sync::Arc};

pub(crate) use ending::{Ending, Endings};
pub(crate) use prepare::{Loading, Plugins, load_plugins, lock, usable_folder};
use sandpit_contract::Exit;
pub(crate) use start::{SETTLE, claims, open_database};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    config::{Config, Mode},
    flag::{self, Flag},
    lease::{Lease, LeaseClient},
    service::Service,
};

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

impl From<sandpit_operator::Failure> for Failure {
    fn from(failure: sandpit_operator::Failure) -> Self {
        Self { exit: failure.exit, sentence: failure.sentence }
    }
}

/// Runs the host with a checked configuration.
///
/// # Errors
/// When something that is needed cannot be used. Nothing was half-started then: files and addresses are
/// looked at before the broker is asked, and the broker before the database is touched.
pub(crate) async fn run(config: Config, service: &Service) -> Result<Exit, Failure> {
    let file = config.kill_switch_file.display().to_string();
    match flag::look(&config.kill_switch_file) {
        Flag::Absent => {}
        Flag::Present => {
            let text = format!("[KILL] the kill switch file {file} exists: not starting");
            tracing::error!(kill_layer = "flag", event = "killed", "{text}");
            service.stopping("killed: the kill switch file exists");
            return Ok(Exit::Killed);
        }
        Flag::Unknown(error) => {
            let what = format!("cannot look for the kill switch file {file}: {error}; name a readable place");
            return Err(Failure::new(Exit::Config, what));
        }
    }
    let lease = Arc::new(Lease::default());
    let (endings, mut reasons) = Endings::new(lease.clone());
    endings.watch_signals().map_err(|error| Failure::new(Exit::Failed, error))?;
    let kill_switch_file = config.kill_switch_file.clone();
    endings.watch_flag(kill_switch_file.clone());
    // A start may take long; it can be ended at any point, because nothing was sent yet.
    let mut to_watchdog = None;
    let started = tokio::select! {
        biased;
        ending = next(&mut reasons) => Err(Ok(ending)),
        host = start(config, lease, &endings, service, &mut to_watchdog) => match host {
            Err(failure) => Err(of_failed_start(failure, &mut reasons)),
            Ok(host) => match reasons.try_recv() {
                Ok(ending) => return Ok(end(host, ending, &mut reasons, service).await),
                Err(_) => Ok(host),
            },
        },
    };
    let host = match started {
        Ok(host) => host,
        Err(Err(failure)) => {
            end::goodbye(to_watchdog, &failure.sentence);
            return Err(failure);
        }
        Err(Ok(ending)) => {
            service.stopping(&ending.text());
            match &ending {
                Ending::Kill { reason } => end::killed_at_start(to_watchdog, &kill_switch_file, reason),
                Ending::Asked | Ending::Drain { .. } | Ending::Broken { .. } => {
                    tracing::warn!(reason = ending.text(), event = "stopped", "ended while it started");
                    end::goodbye(to_watchdog, &ending.text());
                }
            }
            return Ok(ending.exit());
        }
    };
    let ending = next(&mut reasons).await;
    Ok(end(host, ending, &mut reasons, service).await)
}

async fn end(
    host: end::Host,
    ending: Ending,
    reasons: &mut UnboundedReceiver<Ending>,
    service: &Service,
) -> Exit {
    service.stopping(&ending.text());
    let ended = host.end(ending, reasons).await;
    // A kill may have come while it ended.
    service.stopping(&ended.text());
    ended.exit()
}

async fn start(
    config: Config,
    lease: Arc<Lease>,
    endings: &Endings,
    service: &Service,
    to_watchdog: &mut Option<LeaseClient>,
) -> Result<end::Host, Failure> {
    let mode = config.mode;
    let prepared = prepare::prepare(config, lease, service).await?;
    match mode {
        Mode::DryRun => {
            let dry_run = prepared.parts.dry_run();
            let (broker, orders) = (Arc::new(dry_run.clone()), Arc::new(dry_run.clone()));
            start::start(prepared, broker, orders, Some(dry_run), endings, service, to_watchdog).await
        }
        Mode::Paper | Mode::Live => {
            let alpaca = prepared.parts.alpaca.clone();
            start::start(prepared, alpaca.clone(), alpaca, None, endings, service, to_watchdog).await
        }
    }
}

/// A breaker may trip in the same moment in which the start fails: then the trip is what counts. Parts of the
/// host that were started already end because of the failure, and that is no reason of its own.
fn of_failed_start(failure: Failure, reasons: &mut UnboundedReceiver<Ending>) -> Result<Ending, Failure> {
    let mut given = std::iter::from_fn(|| reasons.try_recv().ok());
    given.find(|ending| matches!(ending, Ending::Kill { .. })).ok_or(failure)
}

/// The next reason to end. The sender lives as long as the host, so there always is one.
async fn next(reasons: &mut UnboundedReceiver<Ending>) -> Ending {
    reasons.recv().await.unwrap_or(Ending::Asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_fails_says_why_unless_a_breaker_tripped() {
        let check = |given: &[Ending], expected: Result<&str, Exit>| {
            let (endings, mut reasons) = Endings::new(Arc::default());
            given.iter().for_each(|ending| endings.give(ending.clone()));
            let failure = Failure::new(Exit::State, "the database is damaged");
            let outcome = of_failed_start(failure, &mut reasons);
            let outcome = outcome.as_ref().map(Ending::text).map_err(|failure| failure.exit);
            assert_eq!(outcome, expected.map(str::to_owned), "{given:?}");
        };
        let broken = Ending::Broken { what: "monitor ended".into() };
        let kill = Ending::Kill { reason: "a loss".into() };
        check(&[], Err(Exit::State));
        check(std::slice::from_ref(&broken), Err(Exit::State));
        check(&[broken, kill], Ok("killed: a loss"));
    }
}
