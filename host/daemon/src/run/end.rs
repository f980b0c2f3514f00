//! The end of a host, in order and within bounds.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::fcntl::Flock;
use sandpit_contract::{Layer, ToWatchdog};
use sandpit_execution::{DeskEnd, DeskInput};
use sandpit_store::Store;
use sandpit_strategy::Runner;
use tokio::{
    sync::{
        mpsc::{Sender, UnboundedReceiver},
        oneshot, watch,
    },
    task::JoinHandle,
    time::timeout,
};

use super::Ending;
use crate::{
    budgets::Budgets,
    flag::{self, Flag},
    lease::LeaseClient,
    plugins::{Crew, Keeper, Quarantines, Snapshots, join_all},
    recording::Recording,
};

/// How long strategies, what they keep (as long as the store), and then desk and store may take to end; real
/// time. All together less than the 10 s that the watchdog waits.
const STRATEGIES_LIMIT: Duration = Duration::from_secs(3);
const DESK_LIMIT: Duration = Duration::from_secs(4);
const STORE_LIMIT: Duration = Duration::from_secs(1);

/// Of why a start failed, the watchdog's log has room for so much.
const MAX_GOODBYE_CHARS: usize = 300;

/// What has to be ended.
pub(super) struct Host {
    pub(super) kill_switch_file: PathBuf,
    pub(super) lease: LeaseClient,
    /// Starts and stops strategies as long as it is there.
    pub(super) keeper: Keeper,
    pub(super) crew: Arc<Crew>,
    pub(super) snapshots: Snapshots,
    pub(super) quarantines: Quarantines,
    pub(super) budgets: Arc<Budgets>,
    pub(super) inputs: Sender<DeskInput>,
    pub(super) desk: JoinHandle<DeskEnd>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) store: Store,
    pub(super) recording: Arc<Recording>,
    /// Comes when the state of the rules is on the disk.
    pub(super) alarms_kept: oneshot::Receiver<()>,
    /// Goes with the process: no other host may use the folder before.
    pub(super) _lock: Flock<File>,
}

impl Host {
    /// Ends everything for this reason, or for a kill that comes while it ends; gives back the one that
    /// counted.
    pub(super) async fn end(self, ending: Ending, reasons: &mut UnboundedReceiver<Ending>) -> Ending {
        match ending {
            Ending::Kill { reason } => self.kill(reason),
            ending @ (Ending::Asked | Ending::Drain { .. } | Ending::Broken { .. }) => {
                let file = self.kill_switch_file.clone();
                tokio::select! {
                    () = self.wind_down(&ending) => ending,
                    reason = killed(reasons) => {
                        // The watchdog was told goodbye already: the flag is the way that is left.
                        flag::raise(&file, &reason);
                        Ending::Kill { reason }
                    }
                }
            }
        }
    }

    /// Nothing is saved or resolved: what is open at the broker is the watchdog's now.
    fn kill(self, reason: String) -> Ending {
        let kill_layer = layer(&self.kill_switch_file);
        tracing::error!(kill_layer, event = "killed", "[KILL] {reason}: the host ends and is not restarted");
        if !self.lease.finish(&ToWatchdog::Trip { reason: reason.clone() }) {
            tracing::error!("[KILL] the watchdog does not hear the trip; raising the kill switch file");
            flag::raise(&self.kill_switch_file, &reason);
        }
        Ending::Kill { reason }
    }

    async fn wind_down(self, ending: &Ending) {
        match ending {
            Ending::Broken { what } => tracing::error!(reason = what, event = "broken", "ending"),
            Ending::Asked | Ending::Drain { .. } | Ending::Kill { .. } => {
                tracing::info!(reason = ending.text(), event = "stopped", "ending");
            }
        }
        // First of all the farewell: from here on loops that stand still are no hang, and nothing new is
        // sent.
        if matches!(ending, Ending::Asked | Ending::Drain { .. }) {
            self.lease.leave(&ToWatchdog::Bye { reason: ending.text() });
        }
        // From here on nobody comes. Who is just being started is not waited for.
        drop(self.keeper);
        let runners = self.crew.close(&ending.text());
        let joined = tokio::task::spawn_blocking(move || join_all(runners, Runner::join));
        if !matches!(timeout(STRATEGIES_LIMIT, joined).await, Ok(Ok(true))) {
            tracing::error!("a strategy did not end in good order");
        }
        let recording = self.recording;
        let recorded = tokio::task::spawn_blocking(move || recording.close());
        let (snapshots, quarantines) = (self.snapshots, self.quarantines);
        let saved = tokio::task::spawn_blocking(move || snapshots.flush(STORE_LIMIT));
        let noted = tokio::task::spawn_blocking(move || quarantines.flush(STORE_LIMIT));
        let (is_saved, is_noted) = (saved.await.unwrap_or_default(), noted.await.unwrap_or_default());
        if !is_saved {
            tracing::warn!("not all that the strategies saved is on the disk");
        }
        if !is_noted {
            tracing::error!("the disk does not know of all quarantines: the next host starts who is missing");
        }
        let (inputs, desk) = (self.inputs, self.desk);
        let drained = async move {
            // The desk is gone already when it was the part that broke.
            let _ = inputs.send(DeskInput::Drain).await;
            desk.await
        };
        match timeout(DESK_LIMIT, drained).await {
            Ok(Ok(DeskEnd::Drained { unresolved: 0 } | DeskEnd::Stopped)) => {}
            Ok(Ok(DeskEnd::Drained { unresolved })) => {
                tracing::warn!(unresolved, "orders of unknown outcome are left to the next start");
            }
            Ok(Ok(DeskEnd::Broken { why })) => {
                tracing::error!(why, "not everything could be recorded; the next start reconciles");
            }
            Ok(Err(_)) | Err(_) => {
                tracing::error!("the desk did not end in good order; the next start reconciles");
            }
        }
        // An error means that nobody is left to be stopped.
        let _ = self.stop.send(true);
        self.budgets.stop();
        let (closed, _) =
            tokio::join!(timeout(STORE_LIMIT, self.store.close()), timeout(STORE_LIMIT, self.alarms_kept));
        if closed.is_err() {
            tracing::warn!("the database did not close in time; what was committed is safe");
        }
        // It has a bound of its own, and ran beside the desk.
        let _ = recorded.await;
    }
}

/// A start that came to nothing, though the watchdog may have seen it: without a goodbye it would count as a
/// crash, and a broker that half works for long enough as a crash loop, which is a kill.
pub(super) fn goodbye(to_watchdog: Option<LeaseClient>, why: &str) {
    if let Some(lease) = to_watchdog {
        lease.leave(&ToWatchdog::Bye { reason: why.chars().take(MAX_GOODBYE_CHARS).collect() });
    }
}

/// A kill before the host stood: a breaker may trip at the very first reading. Where the watchdog does not
/// hear of it, the flag is the way to reach it.
pub(super) fn killed_at_start(to_watchdog: Option<LeaseClient>, kill_switch_file: &Path, reason: &str) {
    tracing::error!(
        kill_layer = layer(kill_switch_file),
        event = "killed",
        "[KILL] {reason}: the host does not start; if you accept the loss, or money was moved, have \
         it measured \
         anew: `sandpit unfreeze --rebase`"
    );
    if matches!(flag::look(kill_switch_file), Flag::Present) {
        return;
    }
    let trip = ToWatchdog::Trip { reason: reason.into() };
    if !to_watchdog.is_some_and(|lease| lease.finish(&trip)) {
        flag::raise(kill_switch_file, reason);
    }
}

/// What pulled a kill of this host's: the flag that is there, or a breaker of its own.
fn layer(kill_switch_file: &Path) -> &'static str {
    match flag::look(kill_switch_file) {
        Flag::Present => Layer::Flag.word(),
        Flag::Absent | Flag::Unknown(_) => Layer::Trip.word(),
    }
}

/// Waits for a kill among the reasons.
async fn killed(reasons: &mut UnboundedReceiver<Ending>) -> String {
    loop {
        match reasons.recv().await {
            Some(Ending::Kill { reason }) => return reason,
            Some(Ending::Asked | Ending::Drain { .. } | Ending::Broken { .. }) => {}
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_at_the_start_raises_the_flag_and_leaves_one_that_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kill");
        killed_at_start(None, &file, "loss of the day");
        assert_eq!(std::fs::read_to_string(&file).expect("raised"), "loss of the day\n");
        killed_at_start(None, &file, "another");
        assert_eq!(std::fs::read_to_string(&file).expect("still there"), "loss of the day\n");
    }
}
