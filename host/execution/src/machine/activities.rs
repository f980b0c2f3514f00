//! The rows of the broker's activities: fills that nobody told of, and money that moved without an order.
//!
//! A fill of ours raises the watermark of its order like any other word of the broker. The row of an order
//! that the books do not have is taken in once the broker has said whose order it is; until then it comes
//! again with every answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sandpit_broker::BrokerError;
use sandpit_cores::{
    orders::{Execution, Order, OrderEvent, OrderState},
    reconcile::{CashVerdict, KnownRows, Moved},
};
use sandpit_store::{Actor, Audit, Record};
use sandpit_types::{
    Activity, BrokerOrder, BrokerOrderId, ClientOrderId, Deed, ExecutionId, MarketTime, OrderStatus, Symbol,
    Usd,
};
use tracing::info;

use super::{Action, Machine, errands::Errand};
use crate::Review;

/// Orders that the broker is asked about at a time, because a row names them and the books do not. The next
/// ones are asked about when all of these are answered and the rows were read again.
const MAX_ASKING: usize = 8;
/// The most of them in a minute, market time. Past it they wait for the next one: the account's quota is
/// there for our own orders first.
const MAX_ASKED_A_MINUTE: usize = 24;
const MINUTE: Duration = Duration::from_secs(60);
/// Orders of others that are remembered. When full, all are forgotten and asked for again.
const MAX_OTHERS: usize = 1_000;
/// Rows of fills may be listed so much later than those of younger ones. The fact sheet is silent about it.
const LOOK_BACK: Duration = Duration::from_secs(900);
/// While cash is in doubt, they are looked for this often.
const LOOK_BACK_EVERY: Duration = Duration::from_secs(60);
/// So long without one complete answer, market time, and a human is told.
const MISSED_FOR: Duration = Duration::from_secs(600);
/// The first rows of a new account are asked for from so long before the start.
pub(super) const BEFORE_START: Duration = Duration::from_secs(600);

/// What is known of the rows.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// `None` before the first answer of the account's first life.
    pub(super) known: Option<KnownRows>,
    /// When to ask from while nothing is known.
    pub(super) start: MarketTime,
    /// Whether rows were read since they were last compared with what is written of them.
    pub(super) are_new: bool,
    /// Whether an answer of this life was taken in.
    pub(super) are_read: bool,
    /// Since when no answer was complete.
    missed_since: Option<MarketTime>,
    /// When rows were last asked for from further back.
    looked_back_at: MarketTime,
    asking: BTreeSet<BrokerOrderId>,
    /// When the minute began in which questions are counted, and how many there were in it.
    minute: MarketTime,
    asked: usize,
    /// Not ours by the broker's word, and since when that is known.
    others: BTreeMap<BrokerOrderId, MarketTime>,
    /// When the newest list of open orders was asked for that was read.
    pub(super) listed_at: MarketTime,
}

impl Rows {
    pub(super) fn since(&self) -> MarketTime {
        self.known.as_ref().map_or(self.start, KnownRows::since)
    }

    /// From when on to ask now: from further back now and then while cash is in doubt, for rows that were
    /// listed after younger ones.
    pub(super) fn asked_since(&mut self, is_doubtful: bool, now: MarketTime) -> MarketTime {
        if !is_doubtful || now.since(self.looked_back_at) < LOOK_BACK_EVERY {
            return self.since();
        }
        self.looked_back_at = now;
        self.since() - LOOK_BACK
    }

    /// How many more orders may be asked about now.
    fn room(&mut self, now: MarketTime) -> usize {
        if now.since(self.minute) >= MINUTE {
            (self.minute, self.asked) = (now, 0);
        }
        if self.asking.is_empty() { MAX_ASKING.min(MAX_ASKED_A_MINUTE - self.asked) } else { 0 }
    }
}

impl<R: Review> Machine<R> {
    /// Takes in the broker's answer.
    pub(crate) fn activities_read(&mut self, result: Result<Vec<Activity>, BrokerError>, now: MarketTime) {
        let is_new = self.activities.ended(result.is_ok(), now, self.chance.next());
        let rows = match result {
            Ok(rows) => rows,
            Err(error) => {
                info!(%error, "the activities have to be asked for again");
                return self.miss_rows(now);
            }
        };
        let is_complete = self.take_rows(&rows, now);
        if !std::mem::replace(&mut self.rows.are_read, true) {
            // Every transfer is told of now: the account that waited for that may be measured.
            self.account.hurry(now);
        }
        if is_complete && is_new {
            self.rows.missed_since = None;
            self.stats.write(|counts| counts.activities_missed_since = None);
            let was_doubtful = self.cash.is_doubtful();
            let verdict = self.cash.activities_read(self.books.is_order_stream_up());
            if was_doubtful && !self.cash.is_doubtful() && verdict == CashVerdict::Quiet {
                // Entries wait for a reading that is in no doubt.
                self.account.hurry(now);
            }
            self.obey_cash(verdict, now);
        } else if !is_complete {
            self.miss_rows(now);
        }
    }

    /// The answer was an error, or a row of it could not be taken in.
    fn miss_rows(&mut self, now: MarketTime) {
        let since = *self.rows.missed_since.get_or_insert(now);
        self.stats.write(|counts| counts.activities_missed_since = Some(since));
        if now.since(since) >= MISSED_FOR {
            self.alert(
                format!(
                    "the broker's activities cannot be read wholly since {since}: transfers are taken for \
                     unexplained cash, and cash that went is not found; look at the key's rights and the log"
                ),
                now,
            );
        }
    }

    /// Takes in what is new. `false` when a row could not be taken in yet.
    fn take_rows(&mut self, rows: &[Activity], now: MarketTime) -> bool {
        let is_first = self.rows.known.is_none();
        let mut known = self.rows.known.take().unwrap_or_else(|| KnownRows::new(self.rows.start));
        let mut is_complete = true;
        let mut room = self.rows.room(now);
        for row in rows {
            let is_taken = match &row.deed {
                Deed::Other { .. } => {
                    let is_new = !known.has(row);
                    if let Some(moved) = known.take(row) {
                        self.take_other(row, moved, is_new, is_first, now);
                    }
                    true
                }
                Deed::Fill { .. } if known.has(row) => true,
                Deed::Fill { order, .. } => match self.books.by_broker_id(order).cloned() {
                    Some(id) => {
                        self.rows.others.remove(order);
                        self.take_fill(&id, row, now)
                    }
                    None => self.take_strange_fill(&mut known, row, &mut room, now),
                },
            };
            is_complete &= is_taken;
            if is_complete {
                known.advance(row);
            }
        }
        self.rows.known = Some(known);
        self.rows.are_new = true;
        is_complete
    }

    /// A fill of an order of ours. `false` while it is not counted and still may be.
    fn take_fill(&mut self, id: &ClientOrderId, row: &Activity, now: MarketTime) -> bool {
        let Deed::Fill { qty, price, cumulative, .. } = &row.deed else { return true };
        let name = ExecutionId::new(row.id.as_str());
        // The report of a replacement may include what was filled before it.
        let is_counted = |order: &Order| {
            let is_whole = order.links.replaces.is_none() && order.filled().qty() >= *cumulative;
            is_whole || order.filled().has_counted(&name)
        };
        if self.books.order(id).is_none_or(is_counted) {
            return true;
        }
        let execution = Execution { id: name.clone(), qty: *qty, price: *price, time: row.time };
        let event = OrderEvent::Activity { execution, cumulative: *cumulative };
        self.absorb(id, &event, now, "activities");
        let Some(order) = self.books.order(id) else { return true };
        let is_open = |id: &ClientOrderId| self.books.order(id).is_some_and(|order| order.state().is_open());
        let may_count_yet = match &order.links.replaces {
            // How many of its shares are its own is certain once the old one is over.
            Some(old) => is_open(old),
            // What a replaced order has filled, its replacement's report may include.
            None => *order.state() != OrderState::Terminal(OrderStatus::Replaced),
        };
        let is_taken = is_counted(order) || !may_count_yet;
        if order.state().is_open() {
            // Where it stands now, only the order itself says.
            self.errands.hurry(Errand::LookUp, id, now);
        }
        is_taken
    }

    /// A fill of an order that the books do not have. `false` while it may yet be ours. `room` is how many
    /// orders may still be asked about.
    fn take_strange_fill(
        &mut self,
        known: &mut KnownRows,
        row: &Activity,
        room: &mut usize,
        now: MarketTime,
    ) -> bool {
        let Deed::Fill { order, symbol, side, qty, price, .. } = &row.deed else { return true };
        let Some(&since) = self.rows.others.get(order) else {
            if self.is_unrecorded(order, None, now) && *room > 0 && self.rows.asking.insert(order.clone()) {
                *room -= 1;
                self.rows.asked += 1;
                self.actions.push(Action::Identify(order.clone()));
            }
            return false;
        };
        if self.may_be_unbound(symbol, since, now) {
            return false;
        }
        known.take(row);
        self.ledger.record(Record::Activity(row.clone()));
        self.cash.flow(*price * -side.signed(*qty), row.time);
        let side = side.as_str();
        info!(order = %order, %symbol, side, %qty, %price, "a fill of an order that is not ours");
        true
    }

    /// Whether the broker may know an order of ours on this symbol by an id that we have not been told: its
    /// own, or that of what took its place. Orders that were open have to be listed since.
    fn may_be_unbound(&mut self, symbol: &Symbol, since: MarketTime, now: MarketTime) -> bool {
        let is_it = |order: &&Order| order.request.symbol == *symbol;
        if self.books.open_orders().any(|order| is_it(&order)) && self.rows.listed_at < since {
            self.list.hurry(now);
            return true;
        }
        let asked = self.errands.asked().filter_map(|id| self.books.order(id));
        let unbound = self.books.unsettled().filter(|order| order.broker_id().is_none());
        asked.chain(unbound).any(|order| is_it(&order))
    }

    /// Whose an order is that a row names.
    pub(super) fn identified(
        &mut self,
        broker_id: &BrokerOrderId,
        result: Result<BrokerOrder, BrokerError>,
        now: MarketTime,
    ) {
        self.rows.asking.remove(broker_id);
        let name = match &result {
            Ok(shown) => self.name_of(shown),
            Err(BrokerError::NotFound { .. }) => None,
            // An order that is none of the kinds we send is not ours.
            Err(BrokerError::Malformed { .. }) => None,
            Err(error) => return info!(order = %broker_id, %error, "whose it is has to be asked again"),
        };
        match (name, result) {
            (Some(id), Ok(shown)) => self.absorb(&id, &OrderEvent::Snapshot(shown), now, "named by a fill"),
            (_, shown) => {
                if self.rows.others.len() >= MAX_OTHERS {
                    self.rows.others.clear();
                }
                self.rows.others.insert(broker_id.clone(), now);
                if let Ok(shown) = shown {
                    self.foreigner(&shown, now);
                }
            }
        }
        // Its row is still to be taken in, with those of the others that were asked for. Of many strangers
        // the next ones come at the usual pace.
        if self.rows.room(now) > 0 {
            self.activities.hurry(now);
        }
    }

    /// What moved by no order, or moves otherwise than it did when the row was new. What was there before the
    /// first answer of all is history.
    fn take_other(&mut self, row: &Activity, moved: Moved, is_new: bool, is_history: bool, now: MarketTime) {
        let Deed::Other { kind, net, symbol, .. } = &row.deed else { return };
        self.ledger.record(Record::Activity(row.clone()));
        if is_history {
            return;
        }
        // Such rows have a date only, so nobody knows whether the last reading contains it.
        self.cash.flow_alone(moved.net, now);
        self.stats.write(|counts| counts.activities += 1);
        if kind == "FEE" {
            self.fee_paid(moved.net);
        }
        let is_transfer = row.deed.is_transfer();
        if is_transfer {
            self.review.transfer(moved.net, self.dated(row, moved.net, is_new, now), now);
        }
        let action = if is_transfer { "transfer" } else { "cash" };
        let detail = if is_new {
            format!("{kind} of {net} USD ({})", row.id)
        } else {
            format!("{kind} is of {net} USD now, it was of {} ({})", *net - moved.net, row.id)
        };
        info!("{detail}");
        let audit = Audit {
            time: now,
            actor: Actor::Broker,
            action,
            client_id: None,
            symbol: symbol.clone(),
            detail,
        };
        self.ledger.record(Record::Audit(audit));
        if !moved.shares.is_zero() {
            self.shares_moved(row, moved, now);
        }
    }

    /// When the owner's money moved. The row of one that changes still has its first date, and when it
    /// changed nobody tells: now, if the host was looking. Else the money may be in the close that the day is
    /// measured from or not, and then a day that starts too low costs less than one that starts too high.
    fn dated(&self, row: &Activity, net: Usd, is_new: bool, now: MarketTime) -> MarketTime {
        if is_new || (!self.rows.are_read && net.is_positive()) { row.time } else { now }
    }

    /// Shares came or went by no order: no strategy holds them, and nobody else will say so.
    fn shares_moved(&mut self, row: &Activity, moved: Moved, now: MarketTime) {
        let Deed::Other { kind, symbol: Some(symbol), .. } = &row.deed else { return };
        let (id, shares) = (&row.id, moved.shares);
        self.alert(
            format!(
                "{shares} {symbol} moved by no order ({kind}, {id}): what strategies hold of it is as \
                 before, and `sandpit set-position` changes that; the loss limits take shares that came for \
                 profit, and if they do not forgive those that went, stop the host and `sandpit unfreeze \
                 --rebase`"
            ),
            now,
        );
    }
}
