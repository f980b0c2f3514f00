//! The broker's half of a kill: suspend, cancel, close, and read until the answers prove that nothing is
//! left.
//!
//! ```text
//!  PENDING_AT_BROKER --a read shows nothing--> ZERO_SEEN --every read of a window agrees--> CONFIRMED_ZERO
//!          ^                                      |                             (STOPS_ONLY, FLAT) |
//!          +-----------a read shows something-----+------------------------------------------------+
//! ```
//!
//! Three lanes (suspend, cancel, read) run side by side, so a slow answer on one delays no other. The window
//! is needed because a request of the dead host may still land. It never ends: whatever appears is cancelled
//! again. What counts as nothing, the policy says (`judge.rs`):
//!
//! | policy | steps | nothing is |
//! |---|---|---|
//! | `cancel` | suspend, cancel all, read | no order |
//! | `cancel-keep-stops` | suspend, read, cancel one by one | no order but stops that reduce a position |
//! | `flatten` | cancel all, close all, read, then suspend | no order and no position |
//!
//! Every step may be the last of a watchdog's life: the next one begins again from the latch, and does what
//! the broker shows to be left.

mod answers;
mod closing;
mod judge;
mod pace;
mod sighted;
mod vocabulary;

use std::{collections::BTreeMap, time::Duration};

use sandpit_contract::{BootTime, BrokerProof, Policy};

pub(crate) use self::vocabulary::{
    Cancels, Closes, Command, Kind, Market, Order, Position, Report, Scope, Sighting, Terms, Trouble, Unread,
};
use self::{
    closing::Closing,
    judge::Judged,
    pace::{Budget, CREDITS, Lane},
};

/// The cancel waits at most so long for the suspension to be answered, and the first read for the cancel.
const STEP_WAIT: Duration = Duration::from_millis(200);
/// After an answered cancel the broker gets so long before it is asked.
const SETTLE: Duration = Duration::from_millis(50);
/// Refill while something is open: the host is dead, its share of the account's quota is free. With the burst
/// it stays within 180 in any minute.
const OPEN_PER_MINUTE: u64 = 120;
/// Single cancels in one round.
const ROUND: usize = 20;
/// A read waits at most so long for a round that waits for its credits.
const HOLD: Duration = Duration::from_secs(15);
/// A window must hold at least so many agreeing reads.
const AGREE: u32 = 3;
/// The cancel lane's connection is used at least so often once there is nothing to cancel.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// The search for the proof, from the kill on.
#[derive(Debug)]
pub(crate) struct Proof {
    terms: Terms,
    began: BootTime,
    level: BrokerProof,
    suspend: Lane,
    check: Lane,
    cancel: Lane,
    touch: Lane,
    read: Lane,
    /// Under `flatten` only.
    closing: Option<Closing>,
    /// The first suspension asks whether it is the first.
    asks: bool,
    /// What a host may still send, no window can exclude.
    is_host_alive: bool,
    budget: Budget,
    last: Judged,
    /// What is to be cancelled: of the last sighting, and of the last bulk cancel.
    targets: Vec<String>,
    failed: Vec<String>,
    /// Cancelled one by one, and when that was answered: a read that began before says nothing of them.
    asked: BTreeMap<String, Option<BootTime>>,
    /// Orders that have to go by the list of the read under way, and of the newest that failed later.
    listed: Option<usize>,
    known: usize,
    rounds: u32,
    /// Since when a read is held back for a round of single cancels or closes.
    held: Option<BootTime>,
    agreed: u32,
    since: Option<BootTime>,
    /// The last line about what is open.
    said: String,
}

impl Proof {
    /// Begins with a kill. Of nothing that may need a moment anything is known: what can be sent, is.
    pub(crate) fn of_kill(terms: Terms, is_host_alive: bool, now: BootTime) -> Self {
        let begun = Self { asks: true, is_host_alive, ..Self::new(terms, false, now) };
        if begun.terms.policy != Policy::Flatten {
            return begun;
        }
        let (first, second) = (now + STEP_WAIT, now + STEP_WAIT + STEP_WAIT);
        let closing = Some(Closing::new(first, false));
        Self { cancel: Lane::first(now), closing, read: Lane::first(second), ..begun }
    }

    /// Begins again, for the kill of an earlier life, whose suspension may stand and be ours.
    pub(crate) fn new(terms: Terms, is_ours: bool, now: BootTime) -> Self {
        let terms = terms.with(terms.policy);
        let (idle, first) = (Lane::default, Lane::first);
        let (second, third) = (now + STEP_WAIT, now + STEP_WAIT + STEP_WAIT);
        let (suspend, cancel, read) = match (terms.scope, terms.policy) {
            (Scope::Account, Policy::Cancel) => (first(now), first(second), first(third)),
            (Scope::Account, Policy::CancelKeepStops) => (first(now), idle(), first(now)),
            // Closing orders of the earlier life may be at work: they are looked at before anything goes.
            (Scope::Account, Policy::Flatten) => (idle(), first(second), first(now)),
            (Scope::Ours, _) => (idle(), idle(), first(now)),
        };
        Self {
            terms,
            began: now,
            level: BrokerProof::PendingAtBroker,
            suspend,
            check: idle(),
            cancel,
            touch: first(now + TOUCH_EVERY),
            read,
            closing: (terms.policy == Policy::Flatten).then(|| Closing::new(third, is_ours)),
            asks: false,
            is_host_alive: false,
            budget: Budget::full(now),
            last: Judged::default(),
            targets: Vec::new(),
            failed: Vec::new(),
            asked: BTreeMap::new(),
            listed: None,
            known: 0,
            rounds: 0,
            held: None,
            agreed: 0,
            since: None,
            said: String::new(),
        }
    }

    /// What is proved.
    pub(crate) fn level(&self) -> BrokerProof {
        self.level
    }

    /// Whether a suspension at the broker is our own, to be lifted where a position has to be closed.
    pub(crate) fn owns_suspension(&mut self, is_ours: bool) {
        if let Some(closing) = &mut self.closing {
            closing.is_ours = is_ours;
        }
    }

    /// A host process is there, or has ended. A request of its last moment may still land, so the window
    /// begins again either way.
    pub(crate) fn host_is(&mut self, is_alive: bool) {
        self.is_host_alive = is_alive;
        self.open_window();
    }

    /// Somebody kills once more: everything is done and proved again.
    pub(crate) fn insist(&mut self, now: BootTime) {
        match (self.terms.scope, self.terms.policy) {
            (Scope::Account, Policy::Cancel) => {
                self.suspend.by(now);
                self.cancel.by(now + STEP_WAIT);
            }
            (Scope::Account, Policy::CancelKeepStops) => self.suspend.by(now),
            // Suspended only once it is flat; until then it is at it already.
            (Scope::Account, Policy::Flatten) => {
                if self.level != BrokerProof::PendingAtBroker {
                    self.suspend.by(now);
                }
                self.cancel.by(now);
            }
            (Scope::Ours, _) => {}
        }
        self.read.by(now + STEP_WAIT);
        self.open_window();
    }

    fn open_window(&mut self) {
        self.since = None;
        self.agreed = 0;
        if is_final(self.level) {
            self.level = BrokerProof::ZeroSeen;
        }
    }

    /// What is to be sent now. Each command must be answered by one report.
    pub(crate) fn due(&mut self, now: BootTime) -> Vec<Command> {
        let listed = self.known.max(self.listed.unwrap_or(0));
        let is_open = self.last.open() > 0 || listed > 0 || !self.failed.is_empty();
        let per_minute = if is_open { OPEN_PER_MINUTE } else { self.terms.requests_per_minute };
        self.budget.refill(per_minute, now);
        let mut commands = Vec::new();
        // One after the other on their lane.
        let is_closing = self.closing.as_ref().is_some_and(Closing::is_busy);
        if self.suspend.is_ready(now) && !is_closing && self.budget.take(1 + usize::from(self.asks)) {
            self.suspend.sent();
            commands.push(Command::Suspend { asks: std::mem::take(&mut self.asks) });
        }
        if self.check.is_ready(now) && !self.suspend.busy && !is_closing && self.budget.take(1) {
            self.check.sent();
            commands.push(Command::Check);
        }
        if self.cancel.is_ready(now) {
            commands.extend(self.cancel_command());
        }
        if let Some(closing) = self.closing.as_mut().filter(|_| !self.suspend.busy && !self.check.busy) {
            commands.extend(closing.due(&mut self.budget, now));
        }
        let may_touch = self.level != BrokerProof::PendingAtBroker && !self.cancel.busy;
        if may_touch && self.touch.is_ready(now) && self.budget.take(1) {
            self.touch.sent();
            commands.push(Command::Touch);
        }
        if self.read.is_ready(now) && !self.is_held(now) && self.budget.take(self.read_requests()) {
            self.read.sent();
            self.held = None;
            commands.push(Command::Read(self.terms.policy));
        }
        commands
    }

    /// A round goes out as a whole. Reads would take the credits that it waits for, one by one, and each is
    /// worth three cancels; but no proof comes without reads, so they are not held back for ever.
    fn is_held(&mut self, now: BootTime) -> bool {
        let is_next = self.cancel.busy && self.targets.len() > ROUND && !self.budget.has(ROUND);
        let is_close = self.closing.as_ref().is_some_and(|closing| closing.waits(now));
        let is_awaited = is_next || is_close || self.cancel.is_ready(now);
        is_awaited && now.since(*self.held.get_or_insert(now)) < HOLD
    }

    /// In bulk and one by one in turn: when one way does not help, the other may. What the broker failed on
    /// in bulk goes one by one at once.
    fn cancel_command(&mut self) -> Option<Command> {
        let is_account = self.terms.scope == Scope::Account;
        let may_bulk = match (&self.closing, self.terms.policy) {
            (Some(closing), _) => closing.may_cancel_all(),
            (None, policy) => is_account && policy == Policy::Cancel,
        };
        let is_odd = self.rounds == 0 || !self.rounds.is_multiple_of(2) || self.targets.is_empty();
        let (command, requests) = if may_bulk && is_odd && self.failed.is_empty() {
            (Command::CancelAll, 1)
        } else {
            let failed = !self.failed.is_empty();
            let from = if failed { &self.failed } else { &self.targets };
            if from.is_empty() {
                self.cancel.due = None;
                return None;
            }
            // Another slice each round, so that orders which cannot be cancelled do not shadow the rest.
            let skip = if failed { 0 } else { self.rounds as usize % from.len().div_ceil(ROUND) * ROUND };
            let ids: Vec<_> = from.iter().skip(skip).take(ROUND).cloned().collect();
            let requests = ids.len();
            (Command::CancelEach(ids), requests)
        };
        self.budget.take(requests).then(|| {
            self.failed.drain(..requests.min(self.failed.len()));
            if let Command::CancelEach(ids) = &command {
                self.asked.extend(ids.iter().map(|id| (id.clone(), None)));
            }
            self.cancel.sent();
            command
        })
    }

    /// Takes an answer in; the lines belong into the log.
    pub(crate) fn on(&mut self, report: Report, now: BootTime) -> Vec<String> {
        match report {
            Report::Warmed(_) | Report::SuspendedBefore(_) | Report::Account { .. } => Vec::new(),
            Report::Touched => {
                self.touch.answered();
                self.touch.by(now + TOUCH_EVERY);
                Vec::new()
            }
            Report::Checked(result) => self.checked(result, now),
            Report::Suspended(result) => self.suspended(result, now),
            Report::Lifted(result) => self.lifted(&result, now),
            Report::Cancelled(result) => self.cancelled(result, now),
            Report::Closed(result) => self.closed(&result, now),
            // Asked for by an earlier kill: it says nothing about this one.
            Report::Read { started, .. } | Report::Listed { started, .. } if started < self.began => {
                Vec::new()
            }
            Report::Listed { started, open } => {
                self.listed(open, started, now);
                Vec::new()
            }
            Report::Read { result: Ok(sighting), started } => {
                self.read.answered();
                self.saw(sighting, started, now)
            }
            Report::Read { result: Err(trouble), .. } => self.unread(&trouble, now),
        }
    }

    /// Requests of one read at the most, as long as one page holds the orders: two lists, the positions, and
    /// under `flatten` the clock while something is held.
    fn read_requests(&self) -> usize {
        match self.terms.policy {
            Policy::Flatten if self.last.positions > 0 => 4,
            Policy::Cancel | Policy::CancelKeepStops | Policy::Flatten => 3,
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
        if is_final(self.level) { steady * 2 } else { steady.min(self.terms.confirm / 4) }
    }

    fn after_ms(&self, now: BootTime) -> u128 {
        now.since(self.began).as_millis()
    }
}

fn is_final(level: BrokerProof) -> bool {
    match level {
        BrokerProof::ConfirmedZero | BrokerProof::StopsOnly | BrokerProof::Flat => true,
        BrokerProof::PendingAtBroker | BrokerProof::ZeroSeen => false,
    }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
