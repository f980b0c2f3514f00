//! What goes into the machine and what comes out.

use std::time::Duration;

use sandpit_contract::{Beat, BootTime, DrillStatus, Event as Mark, Latch, Layer};
use serde::{Deserialize, Serialize};

use crate::{
    limits,
    liveness::Limits,
    log::Level,
    memory::{Condemned, Usage},
    proof::{Command, Report, Terms},
    starvation::Counts,
};

/// Who starts the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostMode {
    /// The watchdog.
    Spawn,
    /// Somebody else.
    Attach,
}

/// What does not change.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Who starts the host.
    pub(crate) mode: HostMode,
    /// How long a loop may stand still.
    pub(crate) limits: Limits,
    /// Delays of the second and later restarts in a row.
    pub(crate) restart_backoff: Vec<Duration>,
    /// How a kill seeks its proof.
    pub(crate) terms: Terms,
    /// Memory, per cent of its limit, at which the host is drained.
    pub(crate) drain_percent: u32,
    /// Memory, per cent of its limit, at which the host is replaced at once.
    pub(crate) kill_percent: u32,
    /// Nonces count up from here.
    pub(crate) first_nonce: u64,
    /// What the account may lose.
    pub(crate) account_limits: limits::Terms,
}

/// Both clocks at one moment: one decides, the other goes into records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Decides.
    pub(crate) boot: BootTime,
    /// Goes into records, seconds since 1970.
    pub(crate) unix_s: u64,
}

/// Whether a file is there. What cannot be known is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is not there, and could be.
    Absent,
    /// Something is there, of any type.
    Present,
    /// Nobody can tell.
    Unknown,
}

/// The files that decide, as seen in one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// The kill flag.
    pub(crate) flag: Presence,
    /// A human's permission.
    pub(crate) armed: Presence,
    /// The mark of a kill.
    pub(crate) latch: Presence,
}

impl Files {
    /// The first of them that cannot be seen, and what to do about it.
    pub(crate) fn unseen(self) -> Option<&'static str> {
        let all = [
            (self.flag, "the kill flag cannot be seen: its directory must be there and readable"),
            (self.armed, "the file `armed` cannot be seen: the state directory must be there and readable"),
            (self.latch, "the latch cannot be seen: the state directory must be there and readable"),
        ];
        all.into_iter().find_map(|(presence, text)| (presence == Presence::Unknown).then_some(text))
    }
}

/// What is known of the account since this watchdog started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// No read has succeeded yet: a kill might not reach it.
    Unread,
    /// A read has succeeded.
    Read,
    /// The broker does not take the key: a kill would not reach it.
    KeyRefused,
}

/// How a process ended. Both unknown when it was not our child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
}

/// What the daemon observed.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// The files, at the start of every turn.
    Files(Files),
    /// The host was started.
    HostSpawned {
        /// Its process.
        pid: u32,
    },
    /// The host could not be started.
    SpawnFailed {
        /// Why.
        cause: String,
    },
    /// A host of the right user and protocol said hello.
    HostJoined {
        /// Its process, by the kernel's word.
        pid: u32,
        /// Its life.
        epoch: u64,
        /// Its mode, for the log.
        mode: String,
    },
    /// The host's connection ended; the process may live.
    HostLeft,
    /// The host's report.
    Beat(Beat),
    /// The host asks to be killed.
    Trip {
        /// Why.
        reason: String,
    },
    /// The host says that it ends.
    Bye {
        /// Why.
        reason: String,
    },
    /// The host's process ended.
    HostEnded(Ending),
    /// A sample of the host's memory.
    Memory(Usage),
    /// What the kernel counts of the machine's processors.
    Machine(Counts),
    /// The latch is on disk, or why not.
    LatchWritten(Result<(), String>),
    /// The broker's answer.
    Broker(Report),
    /// Which `armed` file is there, while one is.
    ArmedAs(String),
    /// What an earlier life has measured the account from, and what is wrong with its file.
    Limits(Option<Box<limits::Saved>>, Option<String>),
    /// Somebody kills.
    Kill {
        /// By which way.
        layer: Layer,
        /// Why.
        reason: String,
    },
    /// A drill has ended and left its record.
    Drilled(DrillStatus),
    /// The drill that was started here is over; in words how.
    DrillEnded(String),
    /// The admin port cannot be had, and why; or it can be at last.
    AdminPort(Option<String>),
    /// The check-in service has not had a ping for long, and why; or it has at last.
    Ping(Option<String>),
    /// The watchdog is to stop.
    Stop,
    /// A turn has come.
    Tick,
}

/// How much of a hurry a human is in; later ones are worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Severity {
    /// It is over, or a human did it.
    Info,
    /// The watchdog put something right, or could not for a while.
    Warning,
    /// Trading has ended, or has to.
    Critical,
}

/// Something that a human has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alert {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// What it is about; the same again within a while is the same alert.
    pub(crate) key: &'static str,
    /// In words.
    pub(crate) text: String,
}

/// What the daemon is to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// To the host: trade until then.
    Grant {
        /// The life it is granted to.
        epoch: u64,
        /// When it ends.
        deadline: BootTime,
        /// To be brought back by every loop.
        nonce: u64,
    },
    /// To the host: do not trade.
    Withhold {
        /// Why.
        reason: String,
        /// To be brought back by every loop.
        nonce: u64,
    },
    /// To the host: save and end.
    Drain {
        /// Why.
        reason: String,
    },
    /// The peer that said hello is the host from now on.
    Accept,
    /// The peer that said hello is not: tell it, and close.
    Refuse {
        /// Why.
        reason: String,
    },
    /// To the host: quarantine this strategy.
    Quarantine {
        /// Its name.
        strategy: String,
        /// Why.
        reason: String,
    },
    /// SIGKILL the host; one that was asked for and has not begun to start does not.
    SignalKill,
    /// SIGTERM the host.
    SignalTerm,
    /// Start the host; answered by `HostSpawned` or `SpawnFailed`.
    StartHost,
    /// Put the latch on disk and remove `armed`; answered by `LatchWritten`.
    WriteLatch(Latch),
    /// Ask the broker; answered by `Broker`.
    Broker(Command),
    /// Start a drill; answered by `DrillEnded`.
    StartDrill,
    /// Keep it for a next life, if that can be done.
    KeepLimits(Box<limits::Saved>),
    /// The same for who is still to be quarantined.
    KeepQuarantines(Vec<Condemned>),
    /// A human has to know.
    Alert(Alert),
    /// A line for the log.
    Log(Level, String),
    /// A line that an operator looks for.
    Marked(Mark, Level, String),
    /// End the process.
    Exit,
    /// Do not end it yet: a kill has come, and `Exit` comes again once it is on disk, or too late.
    Remain,
}
