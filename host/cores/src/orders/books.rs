//! The books: every order, every sub-book, and whether they can be trusted just now.

use std::collections::{BTreeMap, BTreeSet};

use sandpit_types::{
    BrokerOrder, BrokerOrderId, ClientOrderId, Fill, HostEpoch, Leg, Links, MarketTime, OrderRequest, Qty,
    StrategyName, StrategyOrderId, Symbol,
};

use super::{
    ImpossiblePair, Order, OrderEvent, OrderState, StoredOrder, SubBook, advance::advance, closed::Closed,
    line::Lines, step,
};

/// An order that a strategy asked for and no gate refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// As it will be sent.
    pub request: OrderRequest,
    /// The id its strategy chose.
    pub strategy_id: StrategyOrderId,
    /// How it belongs to other orders.
    pub links: Links,
    /// The life of the strategy.
    pub incarnation: u32,
}

/// Why the books did not take something. They are unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The id is taken: the order exists already.
    #[error("the order exists already as {client_id}")]
    Duplicate {
        /// The order that has it.
        client_id: ClientOrderId,
    },
    /// No such order here. Ask the store, then adopt it.
    #[error("the books have no order {client_id}")]
    UnknownOrder {
        /// The id asked for.
        client_id: ClientOrderId,
    },
    /// The event cannot happen now. Report it; the order stays as it is.
    #[error("order {client_id}: {cause}")]
    Impossible {
        /// The order.
        client_id: ClientOrderId,
        /// The pair.
        cause: ImpossiblePair,
    },
    /// The broker shows another order under the same id. Report it to a human.
    #[error(
        "the broker shows a second order {broker_id} under our id {client_id}; look at both at the broker"
    )]
    Twin {
        /// Our id.
        client_id: ClientOrderId,
        /// The broker's id of the other one.
        broker_id: BrokerOrderId,
    },
    /// The broker shows shares filled of a replacement whose old order is not over by its word: how many of
    /// them were counted already is not certain. Ask for the old order, then again for this one.
    #[error("order {client_id} has filled, and {old}, of which it takes the place, is not over")]
    TooEarly {
        /// The replacement.
        client_id: ClientOrderId,
        /// What it replaces.
        old: ClientOrderId,
    },
    /// The broker reports fills of which no price is known. A later snapshot has to bring it.
    #[error("order {client_id}: the broker reports {filled_qty} filled without a price")]
    NoPrice {
        /// The order.
        client_id: ClientOrderId,
        /// What it reports.
        filled_qty: Qty,
    },
}

/// What an event changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Whether the state, the watermark or the broker's id is another one now.
    pub changed: bool,
    /// Fills that were not counted before; at most two.
    pub fills: Vec<Fill>,
    /// Whether the broker contradicts us: it has an order that we had concluded not to exist.
    pub revived: bool,
    /// Legs that stand elsewhere now because their parent does.
    pub legs: Vec<ClientOrderId>,
    /// Replacements that take over something else now.
    pub replacements: Vec<ClientOrderId>,
    /// The order that it replaces, if what took that one's place is certain only now.
    pub followed: Option<ClientOrderId>,
}

pub(super) type Key = (HostEpoch, StrategyName, u32, StrategyOrderId);

/// All orders and sub-books, folded from events.
#[derive(Clone, Debug, Default)]
pub struct Books {
    pub(super) orders: BTreeMap<ClientOrderId, Order>,
    pub(super) open: BTreeSet<ClientOrderId>,
    /// The open ones and those that the broker has to be asked about.
    pub(super) unsettled: BTreeSet<ClientOrderId>,
    pub(super) sub_books: BTreeMap<(StrategyName, Symbol), SubBook>,
    pub(super) keys: BTreeMap<Key, ClientOrderId>,
    pub(super) lives: BTreeMap<StrategyName, (HostEpoch, u32)>,
    pub(super) closed: Closed,
    pub(super) by_broker_id: BTreeMap<BrokerOrderId, ClientOrderId>,
    /// The legs of each order that has any.
    pub(super) legs: BTreeMap<ClientOrderId, Vec<ClientOrderId>>,
    /// The orders that were to take the place of each, the newest last.
    pub(super) replacements: BTreeMap<ClientOrderId, Vec<ClientOrderId>>,
    pub(super) lines: Lines,
    /// Orders of which the broker says that others took their place, which are not here.
    pub(super) owed: BTreeMap<ClientOrderId, BrokerOrderId>,
    /// These, and those of which it is not known yet by what they were replaced.
    pub(super) owing: BTreeSet<ClientOrderId>,
    /// What the broker holds of the symbols of which it surely holds another quantity than the sub-books.
    pub(super) disputed: BTreeMap<Symbol, Qty>,
    /// Why nothing may add risk, if so.
    pub(super) frozen: Option<String>,
    /// Strategies that may add no risk, and why.
    pub(super) paused: BTreeMap<StrategyName, String>,
    pub(super) reconciled: bool,
    pub(super) order_stream_up: bool,
}

impl Books {
    /// Takes in a new order, in state [`OrderState::Recorded`].
    ///
    /// # Errors
    /// [`BookError::Duplicate`] when the strategy used the id before in this life, or the client id is taken.
    pub fn record(&mut self, new: NewOrder, now: MarketTime) -> Result<(), BookError> {
        let client_id = new.request.client_id.clone();
        let key = (client_id.epoch, client_id.strategy.clone(), new.incarnation, new.strategy_id);
        if let Some(client_id) = self.keys.get(&key) {
            return Err(BookError::Duplicate { client_id: client_id.clone() });
        }
        if self.orders.contains_key(&client_id) {
            return Err(BookError::Duplicate { client_id });
        }
        self.lives.insert(client_id.strategy.clone(), (client_id.epoch, new.incarnation));
        self.insert(Order::new(new, now));
        Ok(())
    }

    /// Takes in an order that an earlier life of the host stored. Its sub-book comes separately.
    ///
    /// # Errors
    /// [`BookError::Duplicate`] when it is here already.
    pub fn restore(&mut self, stored: StoredOrder, now: MarketTime) -> Result<(), BookError> {
        let mut order = Order::from(stored);
        let client_id = order.client_id().clone();
        if self.orders.contains_key(&client_id) {
            return Err(BookError::Duplicate { client_id });
        }
        order.state = step(order.state, &OrderEvent::Reloaded { at: now })
            .map_err(|cause| BookError::Impossible { client_id, cause })?;
        self.insert(order);
        Ok(())
    }

    /// Sets a sub-book as it was stored.
    pub fn restore_sub_book(&mut self, strategy: StrategyName, symbol: Symbol, sub_book: SubBook) {
        self.sub_books.insert((strategy, symbol), sub_book);
    }

    /// Takes in an order of ours that neither books nor store have, with all its fills. Those of a
    /// replacement wait until the order that it replaces is over. `leg_of` says of which order it is which
    /// leg; what replaces a leg is one.
    ///
    /// # Errors
    /// [`BookError::Duplicate`] when it is here already; [`BookError::NoPrice`].
    pub fn adopt(
        &mut self,
        client_id: ClientOrderId,
        shown: &BrokerOrder,
        leg_of: Option<(ClientOrderId, Leg)>,
    ) -> Result<Applied, BookError> {
        if self.orders.contains_key(&client_id) {
            return Err(BookError::Duplicate { client_id });
        }
        let mut order = Order::adopted(client_id.clone(), shown);
        let replaces = shown.replaces.as_ref().and_then(|old| self.by_broker_id(old));
        order.links.replaces = replaces.or_else(|| self.owed_to(&shown.id)).cloned();
        let old = order.links.replaces.as_ref().and_then(|old| self.order(old));
        order.links.leg_of = leg_of.or_else(|| old?.links.leg_of.clone());
        self.insert(order);
        match self.apply(&client_id, &OrderEvent::Snapshot(shown.clone())) {
            Err(BookError::TooEarly { .. }) => Ok(Applied::default()),
            Err(error) => {
                self.forget(&client_id);
                Err(error)
            }
            Ok(applied) => Ok(applied),
        }
    }

    /// Applies one event to one order: the state by the table, fills by the watermark.
    ///
    /// # Errors
    /// See [`BookError`]; nothing has changed then.
    pub fn apply(&mut self, client_id: &ClientOrderId, event: &OrderEvent) -> Result<Applied, BookError> {
        let counts_no_more = self.counts_no_more(client_id);
        let awaited = self.awaited(client_id);
        let order = self
            .orders
            .get_mut(client_id)
            .ok_or_else(|| BookError::UnknownOrder { client_id: client_id.clone() })?;
        let before = (order.state.clone(), order.filled.qty(), order.broker_id.is_some());
        let was_unwanted = order.unwanted;
        let fills = advance(order, event, counts_no_more)?;
        order.keep_wish(&before.0, event);
        let revived = event.shown().is_some() && before.0.is_concluded();
        let changed = was_unwanted != order.unwanted
            || before != (order.state.clone(), order.filled.qty(), order.broker_id.is_some());
        if let Some(broker_id) = order.broker_id.clone().filter(|_| !before.2) {
            self.by_broker_id.insert(broker_id, client_id.clone());
        }
        for fill in &fills {
            let key = (client_id.strategy.clone(), fill.symbol.clone());
            self.sub_books.entry(key).or_default().apply(fill.side, fill.qty, fill.price);
            if let Some(at_broker) = self.disputed.get_mut(&fill.symbol) {
                *at_broker += fill.side.signed(fill.qty);
            }
        }
        self.realign(client_id);
        let awaits = self.awaited(client_id);
        let changed = changed || awaited.0 != awaits.0;
        self.file(client_id, &before.0);
        if !changed {
            return Ok(Applied { changed, fills, revived, ..Applied::default() });
        }
        let (replacements, legs) = (self.hand_over(client_id), self.hand_on(client_id));
        let old = self.order(client_id).and_then(|order| order.links.replaces.clone());
        let followed = old.filter(|_| awaited.1 && !awaits.1);
        Ok(Applied { changed, fills, revived, legs, replacements, followed })
    }

    /// Whether it has still to be learned what took the place of an order, and of the one that it replaces.
    fn awaited(&self, client_id: &ClientOrderId) -> (bool, bool) {
        let Some(order) = self.order(client_id) else { return (false, false) };
        let old = order.links.replaces.as_ref().and_then(|old| self.order(old));
        (self.awaits_successor(order), old.is_some_and(|old| self.awaits_successor(old)))
    }

    /// One order.
    pub fn order(&self, client_id: &ClientOrderId) -> Option<&Order> {
        self.orders.get(client_id)
    }

    pub(super) fn insert(&mut self, order: Order) {
        let client_id = order.client_id().clone();
        if let Some(id) = order.strategy_id {
            let key = (client_id.epoch, client_id.strategy.clone(), order.incarnation, id);
            self.keys.insert(key, client_id.clone());
        }
        if let Some(broker_id) = order.broker_id.clone() {
            self.by_broker_id.insert(broker_id, client_id.clone());
        }
        if let Some((parent, _)) = order.links.leg_of.clone() {
            self.legs.entry(parent).or_default().push(client_id.clone());
        }
        let old = order.links.replaces.clone();
        if let Some(old) = old.clone() {
            self.replacements.entry(old).or_default().push(client_id.clone());
        }
        self.begin_line(&order);
        let is_open = order.state.is_open();
        if !order.state.is_settled() {
            self.unsettled.insert(client_id.clone());
        }
        self.orders.insert(client_id.clone(), order);
        for changed in old.iter().chain([&client_id]) {
            self.hand_over(changed);
        }
        self.realign(&client_id);
        if is_open {
            self.open.insert(client_id);
        } else {
            self.close(&client_id);
        }
    }

    /// Puts an order where it belongs after it stood elsewhere `before`.
    pub(super) fn file(&mut self, client_id: &ClientOrderId, before: &OrderState) {
        let Some(order) = self.orders.get(client_id) else { return };
        let (was_open, is_open) = (before.is_open(), order.state.is_open());
        if order.state.is_settled() {
            self.unsettled.remove(client_id);
        } else {
            self.unsettled.insert(client_id.clone());
        }
        if was_open && !is_open {
            self.close(client_id);
        } else if is_open && !was_open {
            self.open.insert(client_id.clone());
            self.closed.reopened(client_id);
        }
    }
}
