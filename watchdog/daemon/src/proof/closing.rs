//! The part of `flatten` that is not cancelling: close what is held, and know what is waited for.
//!
//! Trading is not suspended before nothing is held: a suspended account takes no closing order. A position
//! that comes later (an order of the dead host was executed) is closed after our suspension is lifted.
//! A closing order is an open order itself: nothing cancels it but its own standing still.

use std::{collections::BTreeMap, time::Duration};

use sandpit_contract::BootTime;

use super::{
    judge::Judged,
    pace::{Budget, Lane},
    vocabulary::{Closes, Command, Market, Trouble},
};

/// A closing order that is not executed for so long while the market is open, or may be, is replaced; longer
/// each time.
const STAND: Duration = Duration::from_secs(30);
/// And at most so long.
const STAND_MOST: Duration = Duration::from_secs(600);
/// Single closes in one round.
const ROUND: usize = 20;

/// A closing order as it was when it last moved.
#[derive(Clone, Copy, Debug)]
struct Standing {
    left: i128,
    since: BootTime,
}

/// Where the closing stands.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) close: Lane,
    pub(super) lift: Lane,
    /// Whether trading is suspended, as far as this life knows.
    pub(super) is_suspended: Option<bool>,
    /// Whether a suspension would be ours.
    pub(super) is_ours: bool,
    /// A close was sent, and no read that began after its answer has come yet.
    is_unseen: bool,
    answered: BootTime,
    rounds: usize,
    unclosed: Vec<String>,
    at_work: usize,
    standing: BTreeMap<String, Standing>,
    replaced: u32,
    /// Orders that hold shares which are to be closed.
    pub(super) holders: Vec<String>,
    market: Option<Market>,
}

impl Closing {
    /// With the first close at `first`.
    pub(super) fn new(first: BootTime, is_ours: bool) -> Self {
        Self {
            close: Lane::first(first),
            lift: Lane::default(),
            is_suspended: None,
            is_ours,
            is_unseen: false,
            answered: first,
            rounds: 0,
            unclosed: Vec::new(),
            at_work: 0,
            standing: BTreeMap::new(),
            replaced: 0,
            holders: Vec::new(),
            market: None,
        }
    }

    /// Whether a bulk cancel would take no closing order along.
    pub(super) fn may_cancel_all(&self) -> bool {
        !self.is_unseen && self.at_work == 0
    }

    /// So many orders are listed that may close a position; which is known only with the positions.
    pub(super) fn may_be_at_work(&mut self, orders: usize) {
        self.at_work = self.at_work.max(orders);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.close.busy || self.lift.busy
    }

    /// Whether a close is due and only waits for its credits.
    pub(super) fn waits(&self, now: BootTime) -> bool {
        self.close.is_ready(now) && !self.lift.busy && self.lift.due.is_none()
    }

    /// What is to be sent now.
    pub(super) fn due(&mut self, budget: &mut Budget, now: BootTime) -> Option<Command> {
        if self.lift.is_ready(now) && budget.take(1) {
            self.lift.sent();
            return Some(Command::Lift);
        }
        if !self.waits(now) {
            return None;
        }
        // Together and one by one in turn: when one way does not help, the other may.
        let one_by_one = !self.may_cancel_all() || !self.rounds.is_multiple_of(2);
        let skip = self.rounds / 2 % self.unclosed.len().div_ceil(ROUND).max(1) * ROUND;
        let keys: Vec<_> = self.unclosed.iter().skip(skip).take(ROUND).cloned().collect();
        if one_by_one && keys.is_empty() {
            self.close.due = None;
            return None;
        }
        let (command, requests) = if one_by_one {
            let requests = keys.len();
            (Command::CloseEach(keys), requests)
        } else {
            (Command::CloseAll, 1)
        };
        budget.take(requests).then(|| {
            self.close.sent();
            self.is_unseen = true;
            self.rounds += 1;
            command
        })
    }

    /// The answer to a close. True when the account may be suspended.
    pub(super) fn closed(&mut self, result: &Result<Closes, Trouble>, now: BootTime) -> bool {
        self.answered = now;
        match result {
            Ok(closes) => {
                self.close.answered();
                self.holders.clone_from(&closes.holders);
                if closes.taken > 0 {
                    self.is_suspended = Some(false);
                }
                closes.refused > 0
            }
            Err(trouble) => {
                self.close.failed(trouble.pause, now);
                trouble.is_refused
            }
        }
    }

    /// Whether the account is suspended just now, by its own word.
    pub(super) fn learned(&mut self, is_suspended: bool, now: BootTime) {
        self.is_suspended = Some(is_suspended);
        if is_suspended && self.is_ours && !self.unclosed.is_empty() {
            self.lift.by(now);
        }
    }

    pub(super) fn lifted(&mut self, result: &Result<(), Trouble>, now: BootTime) {
        match result {
            Ok(()) => {
                self.lift.answered();
                self.is_suspended = Some(false);
                self.close.by(now);
            }
            Err(trouble) => self.lift.failed(trouble.pause, now),
        }
    }

    /// Nothing is held and nothing is open.
    pub(super) fn saw_zero(&mut self) {
        self.close.due = None;
        self.lift.due = None;
        (self.rounds, self.at_work, self.replaced) = (0, 0, 0);
        self.is_unseen = false;
        self.unclosed.clear();
        self.holders.clear();
        self.standing.clear();
    }

    /// What a read that began at `started` says. Orders that stood still too long are put to the unwanted.
    pub(super) fn saw(
        &mut self,
        judged: &mut Judged,
        market: Option<Market>,
        started: BootTime,
        next: BootTime,
        now: BootTime,
    ) {
        self.market = market;
        self.watch(judged, now);
        self.at_work = judged.closing.len();
        if self.close.busy || (self.is_unseen && started < self.answered) {
            // It may not show what was sent.
            return;
        }
        self.is_unseen = false;
        self.unclosed.clone_from(&judged.unclosed);
        if self.unclosed.is_empty() {
            self.close.due = None;
        } else if self.is_suspended == Some(true) && self.is_ours {
            self.lift.by(now);
        } else {
            self.close.by(next);
        }
    }

    /// Nothing moves while the market is closed.
    fn watch(&mut self, judged: &mut Judged, now: BootTime) {
        let is_closed = self.market.as_ref().is_some_and(|market| !market.is_open);
        let before = std::mem::take(&mut self.standing);
        let limit = (STAND * 2_u32.pow(self.replaced.min(10))).min(STAND_MOST);
        let (mut stuck, mut at_work) = (Vec::new(), Vec::new());
        for (id, left) in std::mem::take(&mut judged.closing) {
            let known = before.get(&id).filter(|known| known.left == left && !is_closed);
            let standing = known.copied().unwrap_or(Standing { left, since: now });
            self.standing.insert(id.clone(), standing);
            if now.since(standing.since) >= limit {
                stuck.push(id);
            } else {
                at_work.push((id, left));
            }
        }
        if !stuck.is_empty() {
            self.replaced = self.replaced.saturating_add(1);
            for id in &stuck {
                // Judged afresh should the cancel not help.
                self.standing.remove(id);
            }
        }
        judged.closing = at_work;
        judged.unwanted.append(&mut stuck);
    }

    /// What is waited for, for the log.
    pub(super) fn waits_for(&self) -> String {
        let opening = match &self.market {
            Some(Market { is_open: false, next_open }) => {
                format!(": the market is closed, closing orders wait until it opens at {next_open}")
            }
            Some(_) | None if self.at_work > 0 => ": closing orders are at work".into(),
            Some(_) | None => String::new(),
        };
        if self.is_suspended == Some(true) && !self.is_ours && !self.unclosed.is_empty() {
            return ": somebody else suspended the account, it takes no closing order until that is lifted"
                .into();
        }
        opening
    }
}
