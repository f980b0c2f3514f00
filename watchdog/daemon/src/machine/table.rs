//! The watchdog's decisions: one table of state and event. No clock, no I/O; the daemon performs what it
//! answers.
//!
//! ```text
//!              arm                 hello / spawn            every loop brought a nonce back
//!  Disarmed ---------> Armed --------------------> Starting ------------------------------> Leased
//!     ^  ^               ^                            ^  |                                  |   ^
//!     |  +-- `armed` is gone, from any of these -+    |  | hung, or too late       stalled  |   | advancing
//!     |                  |                            |  v                                  v   |
//!     |                  +--- ended, final code --- Restarting <-- hung, memory out ------ Suspect
//!     |                                               ^  |
//!     |                         ended, or too late    |  | ended too often
//!     |             Leased/Suspect --80 %--> Draining +  |
//!     |                                                  v
//!     |   any state: flag, trip, operator, latch ---> Killing --host gone and latch on disk--> Killed
//!     +------------- an operator's `arm`: the latch was there, is gone, `armed` is there --------+
//! ```
//!
//! Only `Leased` grants. A host that says goodbye is waited for in `Draining` too, and no other is started.
//! `Stopping` (the watchdog itself was asked to stop) waits for its host, from any live state.

use sandpit_contract::{Layer, State};

/// What moves the machine. The reason travels beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A human armed it.
    Armed,
    /// `armed` is gone, or cannot be seen.
    Disarmed,
    /// A human re-armed it after a kill.
    Rearmed,
    /// A reason to kill.
    Kill(Layer),
    /// A host said hello.
    Joined,
    /// Every loop of the host advances.
    Advancing,
    /// A loop stands still.
    Stalled,
    /// A loop stands still too long.
    Hung,
    /// Memory is above the drain limit for some samples.
    Leaking,
    /// Memory is above the kill limit.
    Overweight,
    /// The host ended, and may be started again.
    EndedToRestart,
    /// The host ended with a code that forbids it.
    EndedForGood,
    /// The killed host is gone and the latch on disk.
    Sealed,
    /// The state's deadline has passed.
    Overdue,
    /// The host says that it ends as asked.
    Bye,
    /// The watchdog is to stop.
    Stop,
}

/// What the machine does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The state already says it, or somebody else acts.
    Stay,
    /// Nothing raises this event in this state.
    Impossible,
    /// Begin the kill.
    Kill,
    /// Kill again whatever is still, or again, there.
    KillAgain,
    /// Another reason while killed: a latch that is newer than whatever an `arm` has read.
    KillMore,
    /// The kill is sealed.
    Seal,
    /// Leave the kill.
    Rearm,
    /// Start the host, or watch the one that is there, or wait for one.
    Begin,
    /// Wait for the proof of a host that is there.
    Await,
    /// Grant.
    Lease,
    /// Withhold until the loops advance.
    Suspect,
    /// Ask the host to save and end.
    Drain,
    /// Let the host end, and start no other.
    LetGo,
    /// SIGKILL the host; its end brings the next.
    Replace,
    /// SIGKILL the host, no more.
    SignalKill,
    /// Ask the back-off when to start again.
    Schedule,
    /// Start the host if it is gone, else SIGKILL it again.
    Restart,
    /// `Armed` or `Disarmed`, as the file says.
    Rest,
    /// As `Rest` once the host is gone.
    RestIfGone,
    /// Stop, with the host.
    Stop,
    /// Stop when the kill is sealed.
    StopAfterKill,
    /// End the process.
    Exit,
    /// SIGKILL the host and end the process.
    KillAndExit,
}

use Event as E;

/// The table: a function per state, and each names every event.
pub(super) fn decide(state: State, event: Event) -> Action {
    match state {
        State::Disarmed => disarmed(event),
        State::Armed => armed(event),
        State::Starting => starting(event),
        State::Leased => leased(event),
        State::Suspect => suspect(event),
        State::Draining => draining(event),
        State::Restarting => restarting(event),
        State::Stopping => stopping(event),
        State::Killing => killing(event),
        State::Killed => killed(event),
    }
}

fn disarmed(event: Event) -> Action {
    match event {
        E::Kill(_) => Action::Kill,
        E::Stop => Action::Stop,
        E::Armed => Action::Begin,
        E::Overweight => Action::SignalKill,
        E::Disarmed | E::Joined | E::Advancing | E::Stalled | E::Hung => Action::Stay,
        E::Bye | E::Leaking | E::EndedToRestart | E::EndedForGood => Action::Stay,
        E::Rearmed | E::Sealed | E::Overdue => Action::Impossible,
    }
}

fn armed(event: Event) -> Action {
    match event {
        E::Kill(_) => Action::Kill,
        E::Stop => Action::Stop,
        E::Disarmed => Action::Rest,
        E::Joined => Action::Await,
        E::Bye | E::Leaking | E::Overweight => Action::Stay,
        E::Armed | E::Advancing | E::Stalled | E::Hung | E::EndedToRestart | E::EndedForGood => {
            Action::Impossible
        }
        E::Rearmed | E::Sealed | E::Overdue => Action::Impossible,
    }
}

fn starting(event: Event) -> Action {
    match event {
        E::Kill(_) => Action::Kill,
        E::Stop => Action::Stop,
        E::Bye => Action::LetGo,
        E::Disarmed => Action::Rest,
        E::Advancing => Action::Lease,
        E::Hung | E::Overweight | E::Overdue => Action::Replace,
        E::EndedToRestart => Action::Schedule,
        E::EndedForGood => Action::Rest,
        E::Joined | E::Stalled | E::Leaking => Action::Stay,
        E::Armed | E::Rearmed | E::Sealed => Action::Impossible,
    }
}

fn leased(event: Event) -> Action {
    match event {
        E::Kill(_) => Action::Kill,
        E::Stop => Action::Stop,
        E::Bye => Action::LetGo,
        E::Disarmed => Action::Rest,
        E::Joined => Action::Await,
        E::Stalled => Action::Suspect,
        E::Leaking => Action::Drain,
        E::Hung | E::Overweight => Action::Replace,
        E::EndedToRestart => Action::Schedule,
        E::EndedForGood => Action::Rest,
        E::Advancing => Action::Stay,
        E::Armed | E::Rearmed | E::Sealed | E::Overdue => Action::Impossible,
    }
}

fn suspect(event: Event) -> Action {
    match event {
        E::Kill(_) => Action::Kill,
        E::Stop => Action::Stop,
        E::Bye => Action::LetGo,
        E::Disarmed => Action::Rest,
        E::Joined => Action::Await,
        E::Advancing => Action::Lease,
        E::Leaking => Action::Drain,
        E::Hung | E::Overweight => Action::Replace,
        E::EndedToRestart => Action::Schedule,
        E::EndedForGood => Action::Rest,
        E::Stalled => Action::Stay,
        E::Armed | E::Rearmed | E::Sealed | E::Overdue => Action::Impossible,
    }
}

fn draining(event: Event) -> Action {
    match event {
        E::Kill(_) => Action::Kill,
        E::Stop => Action::Stop,
        E::Overweight | E::Overdue => Action::Replace,
        E::EndedToRestart => Action::Schedule,
        E::EndedForGood => Action::Rest,
        E::Armed | E::Disarmed | E::Joined | E::Advancing | E::Stalled | E::Leaking => Action::Stay,
        // Its loops end one by one; the deadline judges.
        E::Hung | E::Bye => Action::Stay,
        E::Rearmed | E::Sealed => Action::Impossible,
    }
}

fn restarting(event: Event) -> Action {
    match event {
        E::Kill(_) => Action::Kill,
        E::Stop => Action::Stop,
        E::Disarmed => Action::RestIfGone,
        E::Overdue => Action::Restart,
        E::EndedToRestart => Action::Schedule,
        E::EndedForGood => Action::Rest,
        E::Armed | E::Joined | E::Advancing | E::Stalled | E::Hung | E::Leaking | E::Overweight => {
            Action::Stay
        }
        E::Bye => Action::Stay,
        E::Rearmed | E::Sealed => Action::Impossible,
    }
}

fn stopping(event: Event) -> Action {
    match event {
        E::Kill(_) => Action::Kill,
        E::Stop | E::EndedToRestart | E::EndedForGood => Action::Exit,
        E::Overdue => Action::KillAndExit,
        E::Armed | E::Disarmed | E::Joined | E::Advancing | E::Stalled | E::Hung => Action::Stay,
        E::Bye | E::Leaking | E::Overweight => Action::Stay,
        E::Rearmed | E::Sealed => Action::Impossible,
    }
}

fn killing(event: Event) -> Action {
    match event {
        E::Sealed => Action::Seal,
        E::Joined | E::Overdue => Action::KillAgain,
        E::Stop => Action::StopAfterKill,
        E::Kill(_) => Action::KillMore,
        E::Advancing | E::Stalled | E::Hung | E::Leaking | E::Overweight => Action::Stay,
        E::Bye | E::EndedToRestart | E::EndedForGood => Action::Stay,
        E::Armed | E::Disarmed | E::Rearmed => Action::Impossible,
    }
}

fn killed(event: Event) -> Action {
    match event {
        E::Joined => Action::KillAgain,
        E::Rearmed => Action::Rearm,
        E::Stop => Action::Exit,
        E::Kill(_) => Action::KillMore,
        E::Bye | E::Leaking | E::Overweight => Action::Stay,
        E::Advancing | E::Stalled | E::Hung | E::EndedToRestart | E::EndedForGood => Action::Impossible,
        E::Armed | E::Disarmed | E::Sealed | E::Overdue => Action::Impossible,
    }
}
