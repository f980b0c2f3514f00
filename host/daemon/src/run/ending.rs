//! Reasons to end, and who watches for them.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sandpit_contract::Exit;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
};

use crate::{
    flag::{self, Flag},
    lease::Lease,
};

/// How often the kill switch file is looked for, real time.
const FLAG_LOOK: Duration = Duration::from_millis(50);

/// Why the host ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// SIGTERM or SIGINT.
    Asked,
    /// The watchdog wants a fresh process.
    Drain {
        /// Why.
        reason: String,
    },
    /// The kill switch file appeared, or a loss breaker tripped.
    Kill {
        /// Which.
        reason: String,
    },
    /// A part of the host ended that never should.
    Broken {
        /// Which part and how.
        what: String,
    },
}

impl Ending {
    /// The exit code.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Asked => Exit::Ok,
            Self::Drain { .. } => Exit::Drained,
            Self::Kill { .. } => Exit::Killed,
            Self::Broken { .. } => Exit::Failed,
        }
    }

    /// In words, for log and watchdog.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Asked => "stopped as asked".into(),
            Self::Drain { reason } => format!("drained: {reason}"),
            Self::Kill { reason } => format!("killed: {reason}"),
            Self::Broken { what } => format!("broken: {what}"),
        }
    }
}

/// Collects reasons; the first one counts, but a kill always does.
#[derive(Clone)]
pub(crate) struct Endings {
    sender: mpsc::UnboundedSender<Ending>,
    lease: Arc<Lease>,
}

impl Endings {
    /// The collector and where the reasons come out. Few are ever sent: each part reports once.
    pub(crate) fn new(lease: Arc<Lease>) -> (Self, mpsc::UnboundedReceiver<Ending>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, lease }, receiver)
    }

    /// Gives a reason. A kill takes the right to trade at this very moment, before anybody is told.
    pub(crate) fn give(&self, ending: Ending) {
        if matches!(ending, Ending::Kill { .. }) {
            self.lease.revoke();
        }
        // Nobody listens any more once the host has ended.
        let _ = self.sender.send(ending);
    }

    /// Watches for SIGTERM and SIGINT.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub(crate) fn watch_signals(&self) -> std::io::Result<()> {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let endings = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            endings.give(Ending::Asked);
        });
        Ok(())
    }

    /// Watches for the kill switch file.
    pub(crate) fn watch_flag(&self, file: PathBuf) {
        let endings = self.clone();
        let watch = async move {
            let mut said = false;
            loop {
                match flag::look(&file) {
                    Flag::Absent => said = false,
                    Flag::Present => {
                        let reason = format!("the kill switch file {} exists", file.display());
                        return endings.give(Ending::Kill { reason });
                    }
                    Flag::Unknown(error) if !said => {
                        tracing::error!(%error, file = %file.display(), "cannot see the kill switch file");
                        said = true;
                    }
                    Flag::Unknown(_) => {}
                }
                tokio::time::sleep(FLAG_LOOK).await;
            }
        };
        self.watch_task("the watch for the kill switch file", tokio::spawn(watch));
    }

    /// Watches a part that has to run for as long as the host does.
    pub(crate) fn watch_task<T: Send + 'static>(&self, name: &'static str, task: JoinHandle<T>) {
        let endings = self.clone();
        tokio::spawn(async move {
            let how = match task.await {
                Ok(_) => "ended".to_owned(),
                Err(error) => error.to_string(),
            };
            endings.give(Ending::Broken { what: format!("{name} {how}") });
        });
    }
}
