//! Orders that the books do not have. Of those that are ours, by their prefix or by a claim, the store is
//! asked, and what it does not know either is adopted. The others are reported and left alone.

use std::collections::BTreeSet;

use sandpit_cores::{
    orders::{Order, OrderEvent},
    reconcile::{self, derived, is_claimed, out_of_reach},
};
use sandpit_store::{Actor, Audit, Record, StoreError};
use sandpit_types::{BrokerOrder, ClientOrderId, HostEpoch, Leg, MarketTime};
use tracing::warn;

use super::{Action, Fetched, Machine, errands::Errand};
use crate::{Review, rows};

/// Events of one stranger that are kept while the store is asked. What is past it, a poll brings again.
const MAX_KEPT: usize = 64;

/// Foreign orders that are remembered, so that each is reported once. When full, all are forgotten.
const MAX_FOREIGN: usize = 1000;

/// Lives of the host that are remembered. When full, all are forgotten, and a human may be told again.
const MAX_LIVES: usize = 20_000;

/// Strangers that are asked for at a time. The rest come again with the next list.
const MAX_FETCHING: usize = 256;

impl<R: Review> Machine<R> {
    /// Our id of an order that the broker shows; `None` of a foreign one.
    pub(crate) fn name_of(&self, shown: &BrokerOrder) -> Option<ClientOrderId> {
        reconcile::name(&self.books, &self.config.claims, shown)
    }

    /// Reports an order that is not ours, once, and leaves it alone.
    pub(crate) fn foreigner(&mut self, shown: &BrokerOrder, now: MarketTime) {
        if self.may_be_leg(shown, now)
            || self.may_be_successor(shown)
            || !self.is_unrecorded(&shown.id, Some(shown), now)
        {
            return;
        }
        if self.foreign.len() >= MAX_FOREIGN {
            self.foreign.clear();
        }
        if self.foreign.insert(shown.id.clone()) {
            let side = shown.side.as_str();
            let (id, symbol) = (&shown.id, &shown.symbol);
            let detail = match out_of_reach(&self.config.claims, shown) {
                None => format!("order {id} is not ours ({side} {symbol}) and is left alone"),
                Some(strategy) => format!(
                    "order {id} ({:?}, {side} {symbol}) fits a rule of orders.claim for {strategy}, which \
                     does not trade {symbol}: it is left alone",
                    shown.client_id
                ),
            };
            warn!("{detail}");
            self.stats.write(|counts| counts.foreign += 1);
            let symbol = Some(shown.symbol.clone());
            let (actor, action) = (Actor::Broker, "foreign-order");
            let audit = Audit { time: now, actor, action, client_id: None, symbol, detail };
            self.ledger.record(Record::Audit(audit));
        }
    }

    pub(super) fn stranger(&mut self, id: &ClientOrderId, event: &OrderEvent) {
        let Some(shown) = event.shown() else { return };
        if let Some(kept) = self.fetching.get_mut(id) {
            if kept.len() < MAX_KEPT {
                kept.push(event.clone());
            }
        } else if self.fetching.len() < MAX_FETCHING {
            self.fetching.insert(id.clone(), vec![event.clone()]);
            self.actions.push(Action::Fetch { id: id.clone(), broker_id: shown.id.clone() });
        }
    }

    pub(super) fn fetched(
        &mut self,
        id: &ClientOrderId,
        result: Result<Fetched, StoreError>,
        now: MarketTime,
    ) {
        let events = self.fetching.remove(id).unwrap_or_default();
        let is_new = matches!(result, Ok(None));
        // Its name: the store may have it under another one.
        let name = match result {
            // It came by another way meanwhile.
            Ok(_) if self.books.order(id).is_some() => Some(id.clone()),
            Ok(Some(found)) => self.take_recorded(found, now),
            Ok(None) => {
                if let Some(shown) = events.iter().find_map(OrderEvent::shown) {
                    self.adopt(id, shown, now);
                }
                self.books.order(id).map(|_| id.clone())
            }
            Err(error) => {
                self.alert(format!("order {id} cannot be taken into the books: {error}"), now);
                None
            }
        };
        if let Some(name) = name {
            for event in &events {
                self.absorb(&name, event, now, "found");
            }
            if is_new {
                self.ask_for_legs(&name, now);
            }
        }
        self.fetching_legs.remove(id);
    }

    /// Asks for the legs of an order that may have some and has none in the books: what adopted it may not
    /// have
    /// shown them, or an earlier life took them for gone with it.
    pub(super) fn ask_for_legs(&mut self, id: &ClientOrderId, now: MarketTime) {
        let may_have = |order: &&Order| !order.is_leg() && order.broker_id().is_some();
        if self.books.order(id).filter(may_have).is_some() && self.books.legs(id).next().is_none() {
            self.unshown.insert(id.clone());
            self.errands.urge(Errand::LookUp, id, now);
        }
    }

    /// The lives of the host that the store knows.
    pub(crate) fn set_lives(&mut self, lives: BTreeSet<HostEpoch>) {
        self.lives = lives;
    }

    /// An order of a life of which the store has never heard: then the store is older than that life.
    fn check_life(&mut self, id: &ClientOrderId, now: MarketTime) {
        let is_known = id.epoch == self.config.epoch || self.lives.contains(&id.epoch);
        let is_claim =
            self.books.order(id).and_then(|order| order.broker_id()).is_some_and(|at| is_claimed(id, at));
        if is_known || is_claim {
            return;
        }
        if self.lives.len() >= MAX_LIVES {
            self.lives.clear();
        }
        self.lives.insert(id.epoch);
        self.raise(
            format!(
                "the database does not know the life {} of the host that sent order {id}: it was restored \
                 from an older backup, or another one is in its place; orders are adopted from the broker, \
                 and symbols whose positions do not agree then are only reduced",
                id.epoch
            ),
            now,
        );
    }

    /// Takes in an order that neither books nor store have, and its legs with it.
    pub(crate) fn adopt(&mut self, id: &ClientOrderId, shown: &BrokerOrder, now: MarketTime) {
        self.adopt_one(id, shown, self.fetching_legs.get(id).cloned(), now);
        let replaces = |order: &Order| order.links.replaces.is_some();
        match self.books.order(id).map(replaces) {
            None => {}
            // Its legs are those of the order that it replaces.
            Some(true) => self.legs_shown(id, &shown.legs, now, "adopted"),
            Some(false) => {
                for leg in &shown.legs {
                    if self.books.by_broker_id(&leg.id).is_some() {
                        continue;
                    }
                    let leg_id = derived(&id.strategy, &leg.id);
                    self.adopt_one(&leg_id, leg, Some((id.clone(), leg.leg())), now);
                }
            }
        }
    }

    fn adopt_one(
        &mut self,
        id: &ClientOrderId,
        shown: &BrokerOrder,
        leg_of: Option<(ClientOrderId, Leg)>,
        now: MarketTime,
    ) {
        let applied = match self.books.adopt(id.clone(), shown, leg_of) {
            Ok(applied) => applied,
            Err(error) => {
                return self.alert(error.to_string(), now);
            }
        };
        let order = self.books.order(id).expect("it was adopted a moment ago");
        let parent = order.links.leg_of.as_ref().map(|(parent, _)| parent.clone());
        self.ledger.record(rows::order(order));
        self.keep(id, &applied, now, "adopted");
        self.followed(id, now);
        self.is_changed = true;
        // The next life has to read the parent for the sake of the leg.
        for order in parent.iter().flat_map(|parent| self.books.line(parent)) {
            self.ledger.record(rows::change(&self.books, order, now, "its leg is adopted"));
        }
        self.check_life(id, now);
        if shown.ours().is_none() && !applied.fills.is_empty() {
            // Before it was known whose it is, its fills may have been told as those of a stranger.
            self.cash.begin_anew();
        }
        let (action, detail) = if let Some(parent) = parent {
            ("adopt", format!("order {} is a leg of {parent} and is adopted as {id}", shown.id))
        } else if let (None, Some(old)) = (shown.ours(), &shown.replaces) {
            (
                "adopt",
                format!("order {} has taken the place of {old}, not by us, and is adopted as {id}", shown.id),
            )
        } else if is_claimed(id, &shown.id) {
            ("claim", format!("order {} ({:?}) is claimed by a rule as {id}", shown.id, shown.client_id))
        } else {
            ("adopt", format!("order {id} was not in the database and is adopted from the broker"))
        };
        warn!("{detail}");
        let (actor, client_id, symbol) = (Actor::Host, Some(id.clone()), Some(shown.symbol.clone()));
        self.ledger.record(Record::Audit(Audit { time: now, actor, action, client_id, symbol, detail }));
        self.stats.write(|counts| counts.adopted += 1);
        self.tend(id, now);
    }
}
