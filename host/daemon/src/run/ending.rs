//! Reasons to end, and who watches for them.

use std::{path::PathBuf, time::Duration};

use sandpit_contract::Exit;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
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

/// Collects reasons; the first one counts.
#[derive(Clone)]
pub(crate) struct Endings(mpsc::UnboundedSender<Ending>);

impl Endings {
    /// The collector and where the first reason comes out. Few are ever sent: each part reports once.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Ending>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Gives a reason.
    pub(crate) fn give(&self, ending: Ending) {
        // Nobody listens any more once the first reason was taken.
        let _ = self.0.send(ending);
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
        tokio::spawn(async move {
            loop {
                // Any type of file counts, a dangling link too, hence no `exists`.
                if std::fs::symlink_metadata(&file).is_ok() {
                    endings.give(Ending::Kill {
                        reason: format!("the kill switch file {} exists", file.display()),
                    });
                    return;
                }
                tokio::time::sleep(FLAG_LOOK).await;
            }
        });
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
