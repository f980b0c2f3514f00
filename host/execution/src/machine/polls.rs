//! What is asked for regularly: open orders, account, positions, activities.

use std::{collections::BTreeSet, time::Duration};

use sandpit_broker::BrokerError;
use sandpit_cores::{
    Backoff,
    orders::OrderEvent,
    reconcile::{self, Difference},
};
use sandpit_store::Record;
use sandpit_types::{Account, BrokerOrder, ClientOrderId, MarketTime};
use tracing::{info, warn};

use super::{Action, Machine, errands::Errand};
use crate::{DeskOutput, Review};

const RETRY_BASE: Duration = Duration::from_secs(2);
/// The longest wait after failures, on average.
pub(super) const RETRY_CAP: Duration = Duration::from_secs(60);
/// The same for the list of open orders, which is all that is known of them while the stream is down.
pub(super) const LIST_RETRY_CAP: Duration = Duration::from_secs(15);

/// With no order open by the books, open orders are listed as often as this: one may have come to the broker
/// long after it was taken for gone.
const LIST_IDLE_EVERY: Duration = Duration::from_secs(600);

/// One regular request; never two of a kind at a time.
#[derive(Debug)]
pub(super) struct Poll {
    every: Duration,
    /// `None` while it runs; due from the start.
    due: Option<MarketTime>,
    /// When the last one was started.
    asked_at: MarketTime,
    /// Asked for while it ran: what it brings may be older than the reason.
    again: bool,
    /// Asked for: it runs the next time, needed or not, and until it has worked.
    forced: bool,
    backoff: Backoff,
}

impl Poll {
    pub(super) const fn new(every: Duration, retry_cap: Duration) -> Self {
        let backoff = Backoff::new(RETRY_BASE, retry_cap);
        let (due, asked_at) = (Some(MarketTime::EPOCH), MarketTime::EPOCH);
        Self { every, due, asked_at, again: false, forced: false, backoff }
    }

    pub(super) fn hurry(&mut self, now: MarketTime) {
        self.forced = true;
        match self.due {
            Some(due) => self.due = Some(due.min(now)),
            None => self.again = true,
        }
    }

    /// From now on it is due this often.
    pub(super) fn pace(&mut self, every: Duration, now: MarketTime) {
        self.every = every;
        self.due = self.due.map(|due| due.min(now + every));
    }

    pub(super) const fn deadline(&self) -> Option<MarketTime> {
        self.due
    }

    /// Whether it is due; then it runs or is put off until the next time.
    fn start(&mut self, now: MarketTime, is_needed: bool) -> bool {
        if self.due.is_none_or(|at| at > now) {
            return false;
        }
        let is_needed = is_needed || self.forced || now.since(self.asked_at) >= LIST_IDLE_EVERY;
        if is_needed {
            (self.due, self.asked_at) = (None, now);
        } else {
            self.due = Some(now + self.every);
        }
        is_needed
    }

    /// It ended. `true` when what it brought is newer than every reason to ask.
    pub(super) fn ended(&mut self, is_ok: bool, now: MarketTime, random: u64) -> bool {
        let is_new = !std::mem::take(&mut self.again);
        self.forced &= !(is_ok && is_new);
        let wait = if is_ok {
            self.backoff.succeed();
            self.every
        } else {
            self.backoff.fail(random).unwrap_or(self.every)
        };
        self.due = Some(if is_ok && !is_new { now } else { now + wait });
        is_ok && is_new
    }
}

/// Catching up after the order stream came up: it replays nothing.
#[derive(Debug, Default)]
pub(super) struct Sync {
    listed: bool,
    asking: BTreeSet<ClientOrderId>,
    /// The broker was asked and does not know them: they are not asked for again for the sake of this.
    pub(super) unknown: BTreeSet<ClientOrderId>,
}

impl<R: Review> Machine<R> {
    /// Starts the polls that are due.
    pub(super) fn poll(&mut self, now: MarketTime) {
        let has_open = self.books.open_orders().any(|order| order.state().is_at_broker());
        if self.list.start(now, has_open || self.sync.is_some()) {
            self.actions.push(Action::List);
        }
        if self.account.start(now, true) {
            self.begin_account();
            self.actions.push(Action::ReadAccount);
        }
        if self.activities.start(now, true) {
            let since = self.rows.asked_since(self.cash.is_doubtful(), now);
            self.actions.push(Action::ReadActivities(since));
        }
        if self.positions.start(now, true) {
            self.disputes.begin();
            self.actions.push(Action::ReadPositions);
        }
    }

    pub(super) fn listed(&mut self, result: Result<Vec<BrokerOrder>, BrokerError>, now: MarketTime) {
        let is_new = self.list.ended(result.is_ok(), now, self.chance.next());
        let listed = match result {
            Ok(listed) => listed,
            Err(error) => return info!(%error, "the list of open orders has to be asked for again"),
        };
        self.rows.listed_at = self.list.asked_at;
        let mut missing = BTreeSet::new();
        for difference in reconcile::orders(&self.books, &self.config.claims, &listed) {
            match difference {
                Difference::Known { client_id, shown } | Difference::Lost { client_id, shown } => {
                    self.see(&client_id, &shown, now);
                    self.absorb(&client_id, &OrderEvent::Snapshot(shown), now, "listed");
                }
                Difference::Foreign { shown } => self.foreigner(&shown, now),
                Difference::Missing { client_id } => {
                    if self.sync.is_some() {
                        self.errands.hurry(Errand::LookUp, &client_id, now);
                    } else {
                        self.errands.want(Errand::LookUp, &client_id, now);
                    }
                    missing.insert(client_id);
                }
            }
        }
        self.stats.write(|counts| counts.differences += missing.len() as u64);
        if let Some(sync) = self.sync.as_mut().filter(|_| is_new) {
            sync.listed = true;
            sync.asking = missing.difference(&sync.unknown).cloned().collect();
        }
    }

    /// The stream fell, or `sync` begins because it is up again: open orders are asked for at once, and often
    /// until they have been caught up with.
    pub(super) fn stream_ended(&mut self, sync: Option<Sync>, now: MarketTime) {
        if sync.is_some() {
            // A new reason to ask for whatever the list lacks, however often it was asked for before.
            self.errands.refresh_all(now);
        }
        self.sync = sync;
        self.books.set_order_stream_up(false);
        self.hearing.end();
        self.list.pace(self.config.poll_every_down, now);
        self.list.hurry(now);
    }

    /// Entries are allowed again once the broker has answered about every order that the list lacked.
    pub(super) fn check_sync(&mut self, now: MarketTime) {
        let Some(sync) = self.sync.as_mut().filter(|sync| sync.listed) else { return };
        // Over meanwhile, by the stream's word.
        sync.asking.retain(|id| self.errands.is_wanted(Errand::LookUp, id));
        if sync.asking.is_empty() {
            self.sync = None;
            self.books.set_order_stream_up(true);
            self.hearing.begin(&self.books);
            self.list.pace(self.config.poll_every, now);
            // What differed may have been the fills that are known now. Those of orders that came and went
            // meanwhile, and money that moved, only activities tell.
            self.positions.hurry(now);
            self.activities.hurry(now);
        }
    }

    /// The broker has answered about an order, be it that it knows no such order.
    pub(super) fn answered(&mut self, id: &ClientOrderId) {
        if let Some(sync) = &mut self.sync {
            sync.asking.remove(id);
        }
    }

    pub(super) fn account_read(&mut self, result: Result<Account, BrokerError>, now: MarketTime) {
        self.account.ended(result.is_ok(), now, self.chance.next());
        match result {
            Ok(account) => {
                self.check_cash(&account, self.account.asked_at, now);
                self.take_account(account, self.account.asked_at, now);
                self.cancel_entries(now);
            }
            Err(error) => {
                warn!(%error, "the account cannot be read");
                self.stats.write(|counts| counts.quality.unexplained = None);
            }
        }
    }

    /// The review is not told before the activities were read: a withdrawal would look like a loss.
    pub(crate) fn take_account(&mut self, account: Account, asked_at: MarketTime, now: MarketTime) {
        if self.rows.are_read {
            self.show_account(account.clone(), asked_at, now);
        }
        self.ledger.record(Record::Equity { time: now, equity: account.equity, cash: account.cash });
        self.actions.push(Action::Tell(DeskOutput::Account(account)));
    }
}
