//! Whether the order stream tells what REST shows: the one sign of a stream that is open and mute.
//!
//! An order stream may rightly be quiet all day, so silence alone proves nothing. Of each order, what the
//! stream has told is kept next to what REST has shown, and what REST shows beyond it is *owed*: that the
//! order was routed (the broker announces it; what is queued for the next session is announced only then,
//! Alpaca-API#74), shares filled, its end. A debt that is not paid within the grace makes the stream suspect.
//!
//! Nothing is owed of what the stream could not tell to this connection: the orders as they stood when it had
//! been caught up with, those of earlier lives, those of others. Nor of ends that brokers are known to reach
//! without a word: a rejection, and the rest of an order that is good only at once (Alpaca-API#171).

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use sandpit_cores::orders::{Books, Order};
use sandpit_store::Record;
use sandpit_types::{
    BrokerOrder, ClientOrderId, MarketTime, OrderClass, OrderStatus, Qty, TimeInForce, TradeEvent,
    TradeUpdate,
};
use tracing::warn;

use super::{Action, Machine};
use crate::{DeskOutput, Review};

/// A stream that tells some things and not others is suspected no more often than this: a broker that never
/// tells of one kind of event must not keep us from trading. Market time.
const LOSSY_EVERY: Duration = Duration::from_secs(600);
/// Suspicions are remembered for so long, market time: of too many a human is told...
const REMEMBERED: Duration = Duration::from_secs(3_600);
/// ...that is, of so many.
const HABIT: usize = 3;
/// After so many for debts of one kind, a stream that tells anything at all counts as one that never tells of
/// that kind, although it may have been quiet since the debt began.
const SAME_KIND: usize = 2;
/// More are not remembered, the oldest are forgotten.
const MAX_PAST: usize = 64;

/// How far an order has come, by one of the two words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    routed: bool,
    filled: Qty,
    over: bool,
}

/// What the stream owes of an order, the gravest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Debt {
    Shares,
    End,
    Routed,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    told: Progress,
    shown: Progress,
    /// Since when REST has shown more than the stream has told.
    owed_since: Option<MarketTime>,
}

/// What the stream has told of each order, next to what REST has shown.
#[derive(Debug)]
pub(super) struct Hearing {
    grace: Duration,
    /// The open orders, and those whose end is owed; `None` while nothing can be owed, because the stream is
    /// down, is being caught up with or is suspected already.
    orders: Option<BTreeMap<ClientOrderId, Entry>>,
    /// When this connection last told something new, of whichever order.
    heard_at: Option<MarketTime>,
    /// The broker's newest stamp: what is not newer is repeated. No later than when it was heard.
    newest: MarketTime,
    /// When it was last suspected although it told other things.
    lossy_at: Option<MarketTime>,
    /// When it was suspected, and of owing what; the newest last.
    past: VecDeque<(MarketTime, Debt)>,
    /// When a human was last told that it happens again and again.
    told_at: Option<MarketTime>,
}

impl Hearing {
    /// Not listening yet. `grace` is how far the stream may be behind REST, market time.
    pub(super) const fn new(grace: Duration) -> Self {
        Self {
            grace,
            orders: None,
            heard_at: None,
            newest: MarketTime::EPOCH,
            lossy_at: None,
            past: VecDeque::new(),
            told_at: None,
        }
    }

    /// The stream is up and has been caught up with: from here on it has to tell.
    pub(super) fn begin(&mut self, books: &Books) {
        let at_broker = books.open_orders().filter_map(|order| {
            let status = order.state().at_broker()?;
            let told = Progress { routed: !is_queued(status), filled: order.filled().qty(), over: false };
            Some((order.client_id().clone(), Entry { told, ..Entry::default() }))
        });
        self.orders = Some(at_broker.collect());
        self.heard_at = None;
    }

    /// The stream is down: nothing is owed.
    pub(super) fn end(&mut self) {
        self.orders = None;
    }

    /// An order leaves: all there is to tell of it is still to be told.
    pub(super) fn sent(&mut self, id: &ClientOrderId) {
        if let Some(orders) = &mut self.orders {
            orders.insert(id.clone(), Entry::default());
        }
    }

    /// The stream told. `is_new` when it names an execution that was not heard of before.
    pub(super) fn told(
        &mut self,
        update: &TradeUpdate,
        order: Option<&Order>,
        is_new: bool,
        now: MarketTime,
    ) {
        // What is repeated shows no life.
        if update.time > self.newest {
            (self.heard_at, self.newest) = (Some(now), update.time.min(now));
        }
        let (Some(orders), Some(order)) = (&mut self.orders, order) else { return };
        let entry = orders.entry(order.client_id().clone()).or_default();
        let before = entry.told;
        entry.told.routed |= update_is_routed(update);
        entry.told.over |= update_is_end(&update.event) || update.order.status.is_terminal();
        // The order inside may be older than the execution that it comes with.
        let executed = update.qty.filter(|_| is_new).unwrap_or_default();
        let counted = (entry.told.filled + executed).min(order.request.qty);
        entry.told.filled = entry.told.filled.max(counted).max(update.order.filled_qty);
        if entry.told != before {
            // A part is paid. What is still owed may be younger than that part was.
            entry.owed_since = None;
        }
        entry.settle(now);
    }

    /// REST showed the order `shown`, which is `order` in the books.
    pub(super) fn shown(&mut self, order: Option<&Order>, shown: &BrokerOrder, now: MarketTime) {
        let (Some(orders), Some(order)) = (&mut self.orders, order) else { return };
        let progress = progress(order, shown);
        match orders.get_mut(order.client_id()) {
            Some(entry) => {
                entry.shown.routed |= progress.routed;
                entry.shown.over |= progress.over;
                entry.shown.filled = entry.shown.filled.max(progress.filled);
                entry.settle(now);
            }
            // How it came this far was not for this connection to tell.
            None => {
                let told = Progress { routed: !is_queued(&shown.status), ..progress };
                let entry = Entry { told, shown: told, owed_since: None };
                orders.insert(order.client_id().clone(), entry);
            }
        }
    }

    /// The order is over: kept only for as long as its end is owed.
    pub(super) fn over(&mut self, id: &ClientOrderId) {
        if let Some(orders) = &mut self.orders
            && orders.get(id).is_some_and(|entry| entry.owed_since.is_none())
        {
            orders.remove(id);
        }
    }

    /// What the stream told may be waiting unread: the grace of every debt starts again.
    pub(super) fn deaf(&mut self, now: MarketTime) {
        for entry in self.orders.iter_mut().flat_map(BTreeMap::values_mut) {
            entry.owed_since = entry.owed_since.map(|since| since.max(now));
        }
    }

    pub(super) fn deadline(&self) -> Option<MarketTime> {
        let since = self.orders.iter().flat_map(BTreeMap::values).filter_map(|entry| entry.owed_since);
        since.min().map(|since| since + self.grace)
    }

    /// What the stream should have told by now and has not, once; afterwards nothing is owed until it has
    /// been down and up again.
    pub(super) fn check(&mut self, now: MarketTime) -> Option<String> {
        let due = self.deadline().filter(|due| *due <= now)?;
        if now.since(due) > self.grace / 4 {
            // We were asleep, or the clock was set: so may be what the stream told.
            self.deaf(now);
            return None;
        }
        let orders = self.orders.as_mut()?;
        let grace = self.grace;
        let is_due = |entry: &Entry| entry.owed_since.is_some_and(|since| since + grace <= now);
        let (id, owed) = orders.iter().find(|(_, entry)| is_due(entry))?;
        let (since, debt) = (owed.owed_since?, owed.debt());
        let text = format!(
            "the order stream has not told within {grace:?} what REST shows of order {id}: {}; it is suspect",
            owed.text()
        );
        let is_lossy = self.heard_at.is_some_and(|at| at >= since);
        let same_kind = || self.past.iter().rev().filter(|(_, past)| *past == debt).map(|(at, _)| *at);
        let same_kind_often = same_kind().filter(|at| now.since(*at) < REMEMBERED).count() >= SAME_KIND;
        let last = [
            self.lossy_at.filter(|_| is_lossy),
            same_kind().next().filter(|_| same_kind_often && self.heard_at.is_some()),
        ];
        if last.into_iter().flatten().any(|at| now.since(at) < LOSSY_EVERY) {
            orders.retain(|_, entry| !is_due(entry));
            return None;
        }
        if is_lossy {
            self.lossy_at = Some(now);
        }
        if self.past.len() >= MAX_PAST {
            self.past.pop_front();
        }
        self.past.push_back((now, debt));
        self.orders = None;
        Some(text)
    }

    /// How often it was suspected lately, if that is often enough for a human to be told, once in a while.
    pub(super) fn habit(&mut self, now: MarketTime) -> Option<usize> {
        let count = self.past.iter().filter(|(at, _)| now.since(*at) < REMEMBERED).count();
        let is_told = self.told_at.is_some_and(|at| now.since(at) < REMEMBERED);
        if count < HABIT || is_told {
            return None;
        }
        self.told_at = Some(now);
        Some(count)
    }
}

impl Entry {
    fn settle(&mut self, now: MarketTime) {
        let (told, shown) = (self.told, self.shown);
        let owes = (shown.routed && !told.routed) || shown.filled > told.filled || (shown.over && !told.over);
        self.owed_since = owes.then(|| self.owed_since.unwrap_or(now));
    }

    /// Of one that owes something.
    fn debt(&self) -> Debt {
        if self.shown.filled > self.told.filled {
            Debt::Shares
        } else if self.shown.over && !self.told.over {
            Debt::End
        } else {
            Debt::Routed
        }
    }

    fn text(&self) -> String {
        match self.debt() {
            Debt::Shares => {
                let end = if self.shown.over && !self.told.over { ", and its end" } else { "" };
                format!("{} shares filled, {} told{end}", self.shown.filled, self.told.filled)
            }
            Debt::End => "its end".to_owned(),
            Debt::Routed => "that it was routed".to_owned(),
        }
    }
}

/// What REST shows, as far as the stream is sure to tell it.
fn progress(order: &Order, shown: &BrokerOrder) -> Progress {
    let rests = match order.request.time_in_force {
        // That an exit is cancelled because the other one filled is not always told (alpaca-py#198).
        TimeInForce::Day | TimeInForce::Gtc => !order.is_leg() && order.request.class == OrderClass::Simple,
        TimeInForce::Ioc | TimeInForce::Fok => false,
    };
    let filled = shown.filled_qty;
    let over = match shown.status {
        OrderStatus::Filled => true,
        OrderStatus::Canceled | OrderStatus::Expired => rests,
        _ => false,
    };
    // That an exit works once its entry has filled is not told for sure: the fact sheet (2.5) is silent.
    let routed = filled.is_positive() || (is_routed(&shown.status) && !order.is_leg());
    Progress { routed, filled, over }
}

/// Certainly announced as routed. Of orders in other states, a pending cancel for example, nobody knows.
const fn is_routed(status: &OrderStatus) -> bool {
    matches!(status, OrderStatus::New | OrderStatus::PartiallyFilled | OrderStatus::Filled)
}

/// Certainly not announced yet.
const fn is_queued(status: &OrderStatus) -> bool {
    matches!(status, OrderStatus::PendingNew | OrderStatus::Accepted | OrderStatus::Held)
}

fn update_is_routed(update: &TradeUpdate) -> bool {
    match update.event {
        // An order gets no further without having been routed.
        TradeEvent::New
        | TradeEvent::Fill
        | TradeEvent::PartialFill
        | TradeEvent::Canceled
        | TradeEvent::Expired
        | TradeEvent::Rejected
        | TradeEvent::Replaced => true,
        TradeEvent::Other(_) => !is_queued(&update.order.status),
    }
}

const fn update_is_end(event: &TradeEvent) -> bool {
    match event {
        TradeEvent::Fill
        | TradeEvent::Canceled
        | TradeEvent::Expired
        | TradeEvent::Rejected
        | TradeEvent::Replaced => true,
        TradeEvent::New | TradeEvent::PartialFill | TradeEvent::Other(_) => false,
    }
}

impl<R: Review> Machine<R> {
    /// The order stream brought something.
    pub(super) fn hear(&mut self, update: &TradeUpdate, now: MarketTime) {
        let order = self.name_of(&update.order).and_then(|id| self.books.order(&id));
        let is_fill = matches!(update.event, TradeEvent::Fill | TradeEvent::PartialFill);
        let is_new = match (order, update.execution_id.as_ref().filter(|_| is_fill)) {
            (Some(order), Some(execution)) => !order.filled().has_counted(execution),
            (Some(_), None) | (None, Some(_) | None) => false,
        };
        self.hearing.told(update, order, is_new, now);
    }

    /// REST showed an order of ours.
    pub(super) fn see(&mut self, id: &ClientOrderId, shown: &BrokerOrder, now: MarketTime) {
        self.hearing.shown(self.books.order(id), shown, now);
    }

    /// What the stream told may be waiting unread.
    pub(crate) fn deaf(&mut self, now: MarketTime) {
        self.hearing.deaf(now);
    }

    /// Says that the order stream is suspect, when it is. Whoever holds the connection drops it, and its fall
    /// does the rest.
    pub(super) fn suspect(&mut self, now: MarketTime) {
        if let Some(reason) = self.hearing.check(now) {
            warn!("{reason}");
            self.stats.write(|counts| counts.suspicions += 1);
            let detail = reason.clone();
            self.ledger.record(Record::Notice { time: now, subject: "order-stream-suspect", detail });
            let connection = self.connection;
            self.actions.push(Action::Tell(DeskOutput::StreamSuspect { connection, reason }));
            if let Some(count) = self.hearing.habit(now) {
                self.raise(
                    format!(
                        "the order stream was suspect {count} times within {REMEMBERED:?}, and entries are \
                         refused for some seconds each time; look for what the broker does not tell"
                    ),
                    now,
                );
            }
        }
    }
}
