//! The broker's half of a kill: suspend, cancel, and read until the answers prove that nothing is open.
//!
//! ```text
//!  PENDING_AT_BROKER --a read shows nothing--> ZERO_SEEN --every read of a window agrees--> CONFIRMED_ZERO
//!          ^                                      |                                              |
//!          +-----------a read shows something-----+----------------------------------------------+
//! ```
//!
//! Three lanes (suspend, cancel, read) run side by side, so a slow answer on one delays no other. The window
//! is needed because a request of the dead host may still land. It never ends: whatever appears is cancelled
//! again.

mod pace;

use std::time::Duration;

use sandpit_contract::{BootTime, BrokerProof};

use self::pace::{Budget, CREDITS, Lane, backoff};

/// The cancel waits at most so long for the suspension to be answered, and the first read for the cancel.
const STEP_WAIT: Duration = Duration::from_millis(200);
/// After an answered cancel the broker gets so long before it is asked.
const SETTLE: Duration = Duration::from_millis(50);
/// Refill while something is open: the host is dead, its share of the account's quota is free. With the burst
/// it stays within 180 in any minute.
const OPEN_PER_MINUTE: u64 = 120;
/// Single cancels in one round.
const ROUND: usize = 20;
/// A window must hold at least so many agreeing reads.
const AGREE: u32 = 3;

/// Whose orders a kill touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything in the account, and the account is suspended.
    Account,
    /// Orders whose client id begins with our prefix. Never suspends.
    Ours,
}

/// To the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Open the connection and learn whether the account is suspended, before it is needed.
    Warm,
    /// Suspend trading.
    Suspend {
        /// Ask first, for a bounded time, whether it is suspended already: answered by `SuspendedBefore`
        /// too.
        asks: bool,
    },
    /// Ask whether our suspension still stands.
    Check,
    /// Cancel every open order of the account.
    CancelAll,
    /// Cancel these.
    CancelEach(Vec<String>),
    /// Look for anything open.
    Read,
}

/// What a read saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// Ids of open orders in scope, legs included.
    pub(crate) open: Vec<String>,
    /// Symbols whose position is partly reserved by an order that was not listed.
    pub(crate) reserved: Vec<String>,
}

/// Why the account could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// The broker does not take the key (401 or 403).
    KeyRefused(String),
    /// Anything else: it may pass.
    Other(String),
}

/// From the broker.
#[derive(Clone, Debug)]
pub(crate) enum Report {
    /// Whether the account was suspended.
    Warmed(Result<bool, Unread>),
    /// Whether it was suspended before our first suspension; not said when the broker does not say.
    SuspendedBefore(bool),
    /// The suspension was taken.
    Suspended(Result<(), String>),
    /// Whether our suspension still stands.
    Checked(Result<bool, String>),
    /// So many cancels were taken.
    Cancelled(Result<usize, String>),
    /// A read that began at `started`.
    Read {
        /// Before its first request was written.
        started: BootTime,
        /// What it saw.
        result: Result<Sighting, String>,
    },
}

/// How the proof is sought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Whose orders.
    pub(crate) scope: Scope,
    /// Length of the window.
    pub(crate) confirm: Duration,
    /// Requests a minute once nothing is open.
    pub(crate) requests_per_minute: u64,
}

/// The search for the proof, from the kill on.
#[derive(Debug)]
pub(crate) struct Proof {
    terms: Terms,
    began: BootTime,
    level: BrokerProof,
    suspend: Lane,
    check: Lane,
    cancel: Lane,
    read: Lane,
    /// The first suspension asks whether it is the first.
    asks: bool,
    /// What a host may still send, no window can exclude.
    is_host_alive: bool,
    budget: Budget,
    last: Sighting,
    rounds: u32,
    agreed: u32,
    since: Option<BootTime>,
}

impl Proof {
    /// Begins with a kill.
    pub(crate) fn of_kill(terms: Terms, is_host_alive: bool, now: BootTime) -> Self {
        Self { asks: true, is_host_alive, ..Self::new(terms, now) }
    }

    /// Begins again, for the kill of an earlier life.
    pub(crate) fn new(terms: Terms, now: BootTime) -> Self {
        let first = Lane::first;
        let (suspend, cancel, read) = match terms.scope {
            Scope::Account => (first(now), first(now + STEP_WAIT), first(now + STEP_WAIT + STEP_WAIT)),
            Scope::Ours => (Lane::default(), Lane::default(), first(now)),
        };
        Self {
            terms,
            began: now,
            level: BrokerProof::PendingAtBroker,
            suspend,
            check: Lane::default(),
            cancel,
            read,
            asks: false,
            is_host_alive: false,
            budget: Budget::full(now),
            last: Sighting::default(),
            rounds: 0,
            agreed: 0,
            since: None,
        }
    }

    /// What is proved.
    pub(crate) fn level(&self) -> BrokerProof {
        self.level
    }

    /// A host process is there, or has ended. A request of its last moment may still land, so the window
    /// begins again either way.
    pub(crate) fn host_is(&mut self, is_alive: bool) {
        self.is_host_alive = is_alive;
        self.open_window();
    }

    /// Somebody kills once more: everything is done and proved again.
    pub(crate) fn insist(&mut self, now: BootTime) {
        if self.terms.scope == Scope::Account {
            self.suspend.by(now);
            self.cancel.by(now + STEP_WAIT);
        }
        self.read.by(now + STEP_WAIT);
        self.open_window();
    }

    fn open_window(&mut self) {
        self.since = None;
        self.agreed = 0;
        if self.level == BrokerProof::ConfirmedZero {
            self.level = BrokerProof::ZeroSeen;
        }
    }

    /// What is to be sent now. Each command must be answered by one report.
    pub(crate) fn due(&mut self, now: BootTime) -> Vec<Command> {
        let per_minute =
            if self.last.open.is_empty() { self.terms.requests_per_minute } else { OPEN_PER_MINUTE };
        self.budget.refill(per_minute, now);
        let mut commands = Vec::new();
        if self.suspend.is_ready(now) && self.budget.take(1 + usize::from(self.asks)) {
            self.suspend.sent();
            commands.push(Command::Suspend { asks: std::mem::take(&mut self.asks) });
        }
        // One after the other on their lane.
        if self.check.is_ready(now) && !self.suspend.busy && self.budget.take(1) {
            self.check.sent();
            commands.push(Command::Check);
        }
        if self.cancel.is_ready(now) {
            commands.extend(self.cancel_command());
        }
        if self.read.is_ready(now) && self.budget.take(self.read_requests()) {
            self.read.sent();
            commands.push(Command::Read);
        }
        commands
    }

    /// In bulk and one by one in turn: when one way does not help, the other may.
    fn cancel_command(&mut self) -> Option<Command> {
        let open = &self.last.open;
        let one_by_one = match self.terms.scope {
            Scope::Account => self.rounds > 0 && self.rounds.is_multiple_of(2) && !open.is_empty(),
            Scope::Ours if open.is_empty() => {
                self.cancel.due = None;
                return None;
            }
            Scope::Ours => true,
        };
        let (command, requests) = if one_by_one {
            // Another slice each round, so that orders which cannot be cancelled do not shadow the rest.
            let skip = self.rounds as usize % open.len().div_ceil(ROUND) * ROUND;
            let ids: Vec<_> = open.iter().skip(skip).take(ROUND.min(self.budget.left())).cloned().collect();
            let requests = ids.len();
            (Command::CancelEach(ids), requests.max(1))
        } else {
            (Command::CancelAll, 1)
        };
        self.budget.take(requests).then(|| {
            self.cancel.sent();
            command
        })
    }

    /// Takes an answer in; the lines belong into the log.
    pub(crate) fn on(&mut self, report: Report, now: BootTime) -> Vec<String> {
        match report {
            Report::Warmed(_) | Report::SuspendedBefore(_) => Vec::new(),
            Report::Checked(result) => self.checked(result, now),
            Report::Suspended(Ok(())) => {
                self.suspend.answered();
                self.check.by(now + self.steady() * 2);
                self.cancel_soon(now);
                vec![format!("suspended after_ms={}", self.after_ms(now))]
            }
            Report::Suspended(Err(cause)) => {
                self.suspend.failed(now);
                self.cancel_soon(now);
                vec![format!("suspend failed, tried again: {cause}")]
            }
            Report::Cancelled(Ok(orders)) => {
                self.cancel.answered();
                self.read.by(now + SETTLE);
                vec![format!("cancel taken orders={orders} after_ms={}", self.after_ms(now))]
            }
            Report::Cancelled(Err(cause)) => {
                self.cancel.failed(now);
                self.read.by(now + SETTLE);
                vec![format!("cancel failed, tried again: {cause}")]
            }
            // Asked for by an earlier kill: it says nothing about this one.
            Report::Read { started, .. } if started < self.began => Vec::new(),
            Report::Read { result: Ok(sighting), started } => {
                self.read.answered();
                self.saw(sighting, started, now)
            }
            Report::Read { result: Err(cause), .. } => {
                self.read.failed(now);
                if self.level != BrokerProof::ConfirmedZero {
                    self.since = None;
                }
                vec![format!("{} read failed, tried again: {cause}", self.level.word())]
            }
        }
    }

    /// An `arm` that failed half way, or somebody at the broker's site, may have lifted it.
    fn checked(&mut self, result: Result<bool, String>, now: BootTime) -> Vec<String> {
        match result {
            Ok(stands) => {
                self.check.answered();
                self.check.by(now + self.steady() * 2);
                if stands {
                    return Vec::new();
                }
                self.suspend.by(now);
                vec!["the suspension was lifted by somebody: suspended again".into()]
            }
            Err(cause) => {
                self.check.failed(now);
                vec![format!("the suspension could not be read, tried again: {cause}")]
            }
        }
    }

    fn cancel_soon(&mut self, now: BootTime) {
        if self.cancel.due.is_some() {
            self.cancel.by(now);
        }
    }

    fn saw(&mut self, sighting: Sighting, started: BootTime, now: BootTime) -> Vec<String> {
        let zero = sighting.open.is_empty() && sighting.reserved.is_empty();
        let before = std::mem::replace(&mut self.last, sighting);
        if zero { self.saw_zero(started, now) } else { self.saw_open(&before, now) }
    }

    fn saw_open(&mut self, before: &Sighting, now: BootTime) -> Vec<String> {
        let (was, is) =
            (before.open.len() + before.reserved.len(), self.last.open.len() + self.last.reserved.len());
        self.rounds = if is < was { 1 } else { self.rounds.saturating_add(1) };
        self.since = None;
        let is_news = was != is || self.level != BrokerProof::PendingAtBroker || self.rounds == 1;
        self.level = BrokerProof::PendingAtBroker;
        // Scope `ours` has nothing to cancel before its first read, so that one is acted upon at once.
        let is_first = self.terms.scope == Scope::Ours && self.rounds == 1;
        self.cancel.by(if is_first { now } else { now + backoff(self.rounds) });
        self.read.by(now + backoff(self.rounds));
        let (open, reserved) = (self.last.open.len(), self.last.reserved.len());
        let line =
            || format!("PENDING_AT_BROKER open={open} reserved={reserved} after_ms={}", self.after_ms(now));
        is_news.then(line).into_iter().collect()
    }

    fn saw_zero(&mut self, started: BootTime, now: BootTime) -> Vec<String> {
        self.rounds = 0;
        let since = *self.since.get_or_insert(now);
        self.agreed = if since == now { 1 } else { self.agreed.saturating_add(1) };
        let was = self.level;
        self.level = match was {
            BrokerProof::ConfirmedZero => was,
            BrokerProof::PendingAtBroker | BrokerProof::ZeroSeen => {
                let whole = started >= since + self.terms.confirm && self.agreed >= AGREE;
                if whole && !self.is_host_alive { BrokerProof::ConfirmedZero } else { BrokerProof::ZeroSeen }
            }
        };
        self.read.by(now + self.pace());
        let line = || format!("{} open=0 after_ms={}", self.level.word(), self.after_ms(now));
        (was != self.level).then(line).into_iter().collect()
    }

    /// Requests of one read, as long as one page holds the orders: one list, or two in scope `ours`, and the
    /// positions.
    fn read_requests(&self) -> usize {
        match self.terms.scope {
            Scope::Account => 2,
            Scope::Ours => 3,
        }
    }

    /// Between reads, within the rate.
    fn steady(&self) -> Duration {
        let credits = self.read_requests() as u64 * CREDITS;
        Duration::from_millis(credits / self.terms.requests_per_minute.max(1))
    }

    /// Between reads that show nothing; rarer once confirmed.
    fn pace(&self) -> Duration {
        let steady = self.steady();
        match self.level {
            BrokerProof::ConfirmedZero => steady * 2,
            BrokerProof::PendingAtBroker | BrokerProof::ZeroSeen => steady.min(self.terms.confirm / 4),
        }
    }

    fn after_ms(&self, now: BootTime) -> u128 {
        now.since(self.began).as_millis()
    }
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
