//! Why something did not work, and what to do about it.

use std::{io, path::PathBuf};

use sandpit_contract::Exit;

/// Each variant is a decision: for a command, the exit code; for a kill, whether a try may have had an
/// effect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration is wrong; the text says where and what is valid.
    #[error("{0}")]
    Config(String),
    /// The state directory cannot be created or written.
    #[error(
        "the state directory {path} cannot be used: {cause}; give the watchdog a directory that it may write"
    )]
    StateUnusable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Another watchdog has it.
    #[error("another watchdog runs on the state directory {path}; there is one watchdog a directory")]
    StateInUse {
        /// Which.
        path: PathBuf,
    },
    /// Another watchdog has the socket.
    #[error("another watchdog uses the socket {path}; give each watchdog a `socket` of its own")]
    SocketInUse {
        /// Which.
        path: PathBuf,
    },
    /// The socket cannot be bound.
    #[error("the socket {path} cannot be used: {cause}; name a free path of at most 107 bytes")]
    Address {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The kill flag exists, so nothing may be armed.
    #[error("the kill flag {path} is there: find out why, remove it, then arm again")]
    Flagged {
        /// Which.
        path: PathBuf,
    },
    /// Nobody can tell whether the kill flag exists.
    #[error("whether the kill flag {path} is there cannot be seen: its directory must be there and readable")]
    Unseen {
        /// Which.
        path: PathBuf,
    },
    /// A kill came while `arm` ran.
    #[error("not armed: a kill came meanwhile, its latch in {path} stays; find out why, then arm again")]
    KilledMeanwhile {
        /// The state directory.
        path: PathBuf,
    },
    /// No watchdog answers.
    #[error("no watchdog answers at {path}: {cause}; is `sandpit-watchdog run` running?")]
    NoWatchdog {
        /// Its socket.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The broker gave no answer, or half of one. What was asked may have happened.
    #[error("no answer from the broker: {0}")]
    BrokerSilent(String),
    /// The broker answered, but with no success.
    #[error("the broker answered with status {status}: {message}")]
    BrokerStatus {
        /// The HTTP status.
        status: u16,
        /// The broker's words, shortened.
        message: String,
    },
    /// The broker wants to be left alone for a while (429).
    #[error("the broker's quota is used up (status 429)")]
    BrokerBusy {
        /// For how long, if it says so.
        pause: Option<std::time::Duration>,
    },
    /// The broker answered with success, but not in the shape that proves it.
    #[error("the broker's answer proves nothing: {0}")]
    BrokerUnproven(&'static str),
    /// The account is, or may be, one that must not be drilled.
    #[error("the drill is refused: {0}")]
    DrillRefused(String),
    /// The account is not as a drill needs it.
    #[error("the drill account is not free for a drill: {0}")]
    DrillAccount(String),
    /// A step was not proved.
    #[error("the drill failed: {0}")]
    DrillFailed(String),
    /// One at a time.
    #[error("another drill runs on this state directory: wait for its end")]
    DrillRunning,
    /// The system refused a thread or a descriptor.
    #[error("the system refuses what the watchdog needs to start: {0}")]
    System(#[from] io::Error),
}

impl Error {
    /// The exit code of a command that ends with it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::DrillRefused(_) => Exit::Config,
            Self::DrillAccount(_) => Exit::Broker,
            Self::DrillFailed(_) | Self::DrillRunning => Exit::Failed,
            Self::StateUnusable { .. } | Self::StateInUse { .. } => Exit::State,
            Self::SocketInUse { .. } | Self::Unseen { .. } => Exit::State,
            Self::Address { .. } => Exit::Address,
            Self::Flagged { .. } | Self::KilledMeanwhile { .. } => Exit::Killed,
            Self::BrokerSilent(_) | Self::BrokerStatus { .. } | Self::BrokerUnproven(_) => Exit::Broker,
            Self::BrokerBusy { .. } => Exit::Broker,
            Self::NoWatchdog { .. } | Self::System(_) => Exit::Failed,
        }
    }
}

impl From<ureq::Error> for Error {
    fn from(error: ureq::Error) -> Self {
        Self::BrokerSilent(error.to_string())
    }
}
