//! The books: every order, every sub-book, and whether they can be trusted just now.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sandpit_types::{
    BrokerOrder, BrokerOrderId, ClientOrderId, Fill, HostEpoch, Links, MarketTime, OrderRequest, Qty,
    StrategyName, StrategyOrderId, Symbol,
};

use super::{Execution, ImpossiblePair, Order, OrderEvent, OrderState, StoredOrder, SubBook, step};

/// Orders that are over and still remembered, for late and repeated events. Past it the oldest is forgotten
/// here; the store still has it.
pub const MAX_CLOSED: usize = 10_000;

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
}

type Key = (HostEpoch, StrategyName, u32, StrategyOrderId);

/// All orders and sub-books, folded from events.
#[derive(Clone, Debug, Default)]
pub struct Books {
    pub(super) orders: BTreeMap<ClientOrderId, Order>,
    pub(super) open: BTreeSet<ClientOrderId>,
    /// The open ones and those that the broker has to be asked about.
    pub(super) unsettled: BTreeSet<ClientOrderId>,
    pub(super) sub_books: BTreeMap<(StrategyName, Symbol), SubBook>,
    keys: BTreeMap<Key, ClientOrderId>,
    /// What the broker calls them.
    broker_ids: BTreeMap<BrokerOrderId, ClientOrderId>,
    lives: BTreeMap<StrategyName, (HostEpoch, u32)>,
    closed: VecDeque<ClientOrderId>,
    /// What the broker holds of the symbols of which it surely holds another quantity than the sub-books.
    disputed: BTreeMap<Symbol, Qty>,
    /// Why nothing may add risk, if so.
    frozen: Option<String>,
    reconciled: bool,
    order_stream_up: bool,
}

impl Books {
    /// Whether the books agree with the broker: they were reconciled since the start.
    pub const fn is_reconciled(&self) -> bool {
        self.reconciled
    }

    /// Notes that the books were reconciled, or have to be again.
    pub const fn set_reconciled(&mut self, reconciled: bool) {
        self.reconciled = reconciled;
    }

    /// Why only orders that reduce may leave; `None` while nothing is frozen.
    pub fn frozen(&self) -> Option<&str> {
        self.frozen.as_deref()
    }

    /// Freezes for this reason, or ends the freeze.
    pub fn set_frozen(&mut self, reason: Option<String>) {
        self.frozen = reason;
    }

    /// Whether fills are seen as they happen: the order stream is up, and what it missed was asked for.
    pub const fn is_order_stream_up(&self) -> bool {
        self.order_stream_up
    }

    /// Notes that the order stream is up or down.
    pub const fn set_order_stream_up(&mut self, up: bool) {
        self.order_stream_up = up;
    }

    /// What the broker holds of a symbol of which the sub-books say otherwise, by its last report and our
    /// fills since; `None` while both agree.
    pub fn disputed(&self, symbol: &Symbol) -> Option<Qty> {
        self.disputed.get(symbol).copied()
    }

    /// All disputed symbols, each with what the broker holds.
    pub const fn disputes(&self) -> &BTreeMap<Symbol, Qty> {
        &self.disputed
    }

    /// Notes what the broker holds of a disputed symbol; `None` ends the dispute.
    pub fn set_disputed(&mut self, symbol: &Symbol, at_broker: Option<Qty>) {
        match at_broker {
            Some(qty) => self.disputed.insert(symbol.clone(), qty),
            None => self.disputed.remove(symbol),
        };
    }

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

    /// Takes in an order of ours that neither books nor store have, with all its fills.
    ///
    /// # Errors
    /// [`BookError::Duplicate`] when it is here already; [`BookError::NoPrice`].
    pub fn adopt(&mut self, client_id: ClientOrderId, shown: &BrokerOrder) -> Result<Applied, BookError> {
        if self.orders.contains_key(&client_id) {
            return Err(BookError::Duplicate { client_id });
        }
        let order = Order::adopted(client_id.clone(), shown);
        self.insert(order);
        let applied = self.apply(&client_id, &OrderEvent::Snapshot(shown.clone()));
        if applied.is_err() {
            self.forget(&client_id);
        }
        applied
    }

    /// Applies one event to one order: the state by the table, fills by the watermark.
    ///
    /// # Errors
    /// See [`BookError`]; nothing has changed then.
    pub fn apply(&mut self, client_id: &ClientOrderId, event: &OrderEvent) -> Result<Applied, BookError> {
        let order = self
            .orders
            .get_mut(client_id)
            .ok_or_else(|| BookError::UnknownOrder { client_id: client_id.clone() })?;
        let before = (order.state.clone(), order.filled.qty(), order.broker_id.is_some());
        let fills = advance(order, event)?;
        let was_open = before.0.is_open();
        let is_open = order.state.is_open();
        let revived = event.shown().is_some() && is_concluded(&before.0);
        let changed = before != (order.state.clone(), order.filled.qty(), order.broker_id.is_some());
        if let Some(broker_id) = order.broker_id.clone().filter(|_| !before.2) {
            self.broker_ids.insert(broker_id, client_id.clone());
        }
        for fill in &fills {
            let key = (client_id.strategy.clone(), fill.symbol.clone());
            self.sub_books.entry(key).or_default().apply(fill.side, fill.qty, fill.price);
            if let Some(at_broker) = self.disputed.get_mut(&fill.symbol) {
                *at_broker += fill.side.signed(fill.qty);
            }
        }
        if order.state.is_settled() {
            self.unsettled.remove(client_id);
        } else {
            self.unsettled.insert(client_id.clone());
        }
        if was_open && !is_open {
            self.close(client_id);
        } else if is_open && !was_open {
            self.open.insert(client_id.clone());
            self.closed.retain(|closed| closed != client_id);
        }
        Ok(Applied { changed, fills, revived })
    }

    /// One order.
    pub fn order(&self, client_id: &ClientOrderId) -> Option<&Order> {
        self.orders.get(client_id)
    }

    /// The order that the broker knows by this id, as far as it has shown it.
    pub fn by_broker_id(&self, broker_id: &BrokerOrderId) -> Option<&ClientOrderId> {
        self.broker_ids.get(broker_id)
    }

    /// The order a strategy means by its id: that of this life, else the newest open one of an earlier life.
    pub fn find(
        &self,
        epoch: HostEpoch,
        strategy: &StrategyName,
        incarnation: u32,
        id: StrategyOrderId,
    ) -> Option<&Order> {
        let key = (epoch, strategy.clone(), incarnation, id);
        let current = self.keys.get(&key).and_then(|client_id| self.orders.get(client_id));
        current.or_else(|| {
            let meant = |order: &&Order| order.strategy() == strategy && order.strategy_id == Some(id);
            self.open_orders().filter(meant).max_by_key(|order| order.recorded_at)
        })
    }

    /// Whether the strategy has used this id in its present life: the life of its newest order.
    pub fn is_known(&self, strategy: &StrategyName, id: StrategyOrderId) -> bool {
        self.lives.get(strategy).is_some_and(|(epoch, incarnation)| {
            self.keys.contains_key(&(*epoch, strategy.clone(), *incarnation, id))
        })
    }

    /// The id by which the strategy knows an order now. `None` when the order was adopted, or when the
    /// strategy's present life has given the id to another one.
    pub fn known_as(&self, client_id: &ClientOrderId) -> Option<StrategyOrderId> {
        let id = self.order(client_id)?.strategy_id?;
        let strategy = &client_id.strategy;
        let present = self
            .lives
            .get(strategy)
            .and_then(|(epoch, incarnation)| self.keys.get(&(*epoch, strategy.clone(), *incarnation, id)));
        present.is_none_or(|present| present == client_id).then_some(id)
    }

    /// Notes that the strategy has begun a life, in which all ids are unused.
    pub fn begin_life(&mut self, epoch: HostEpoch, strategy: &StrategyName, incarnation: u32) {
        self.lives.insert(strategy.clone(), (epoch, incarnation));
    }

    fn insert(&mut self, order: Order) {
        let client_id = order.client_id().clone();
        if let Some(id) = order.strategy_id {
            let key = (client_id.epoch, client_id.strategy.clone(), order.incarnation, id);
            self.keys.insert(key, client_id.clone());
        }
        if let Some(broker_id) = &order.broker_id {
            self.broker_ids.insert(broker_id.clone(), client_id.clone());
        }
        let is_open = order.state.is_open();
        if !order.state.is_settled() {
            self.unsettled.insert(client_id.clone());
        }
        self.orders.insert(client_id.clone(), order);
        if is_open {
            self.open.insert(client_id);
        } else {
            self.close(&client_id);
        }
    }

    fn close(&mut self, client_id: &ClientOrderId) {
        self.open.remove(client_id);
        self.closed.push_back(client_id.clone());
        if self.closed.len() > MAX_CLOSED
            && let Some(oldest) = self.closed.pop_front()
        {
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, client_id: &ClientOrderId) {
        self.open.remove(client_id);
        self.unsettled.remove(client_id);
        let Some(order) = self.orders.remove(client_id) else { return };
        if let Some(broker_id) = &order.broker_id {
            self.broker_ids.remove(broker_id);
        }
        if let Some(id) = order.strategy_id {
            self.keys.remove(&(client_id.epoch, client_id.strategy.clone(), order.incarnation, id));
        }
    }
}

/// State, watermark and broker's id of one order after `event`; all or nothing.
fn advance(order: &mut Order, event: &OrderEvent) -> Result<Vec<Fill>, BookError> {
    let client_id = order.client_id().clone();
    let next = || {
        step(order.state.clone(), event)
            .map_err(|cause| BookError::Impossible { client_id: client_id.clone(), cause })
    };
    let Some(shown) = event.shown() else {
        order.state = next()?;
        return Ok(Vec::new());
    };
    if order.broker_id.as_ref().is_some_and(|known| *known != shown.id) {
        return Err(BookError::Twin { client_id, broker_id: shown.id.clone() });
    }
    // A late snapshot: what it says of fills still counts, where it says the order stands does not.
    let is_late = order.state.is_at_broker()
        && !shown.status.is_terminal()
        && order.shown_at.is_some_and(|newest| shown.updated_at < newest);
    let state = if is_late { order.state.clone() } else { next()? };
    let pieces = order
        .filled
        .advance(&client_id, execution(event), shown)
        .ok_or_else(|| BookError::NoPrice { client_id: client_id.clone(), filled_qty: shown.filled_qty })?;
    order.state = state;
    order.broker_id = Some(shown.id.clone());
    order.shown_at = order.shown_at.max(Some(shown.updated_at));
    let (symbol, side) = (&order.request.symbol, order.request.side);
    let fill = |piece: super::fills::Piece| Fill {
        client_id: client_id.clone(),
        execution_id: piece.execution_id,
        symbol: symbol.clone(),
        side,
        qty: piece.qty,
        price: piece.price,
        time: piece.time,
    };
    Ok(pieces.into_iter().map(fill).collect())
}

const fn execution(event: &OrderEvent) -> Option<&Execution> {
    match event {
        OrderEvent::Execution(execution, _) => Some(execution),
        OrderEvent::Sent
        | OrderEvent::Accepted(_)
        | OrderEvent::Rejected
        | OrderEvent::NotSent
        | OrderEvent::OutcomeUnknown { .. }
        | OrderEvent::NotFound { .. }
        | OrderEvent::Snapshot(_)
        | OrderEvent::CancelAsked
        | OrderEvent::Reloaded { .. } => None,
    }
}

const fn is_concluded(state: &OrderState) -> bool {
    matches!(state, OrderState::NotSent | OrderState::Rejected { .. } | OrderState::NeverArrived { .. })
}
