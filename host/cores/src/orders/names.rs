//! What strategies call their orders.

use sandpit_types::{ClientOrderId, HostEpoch, Leg, MarketTime, OrderUpdate, StrategyName, StrategyOrderId};

use super::{Books, Order};

impl Books {
    /// The order a strategy means by its id: that of this life, else the newest one of an earlier life that
    /// is open or has legs that are.
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
            let heads = self.open_orders().flat_map(|order| [self.head(order), self.named(order)]).flatten();
            let meant = |order: &&Order| order.strategy() == strategy && order.strategy_id == Some(id);
            heads.filter(meant).max_by_key(|order| order.recorded_at)
        })
    }

    /// Whether the strategy has used this id in its present life: the life of its newest order.
    pub fn is_known(&self, strategy: &StrategyName, id: StrategyOrderId) -> bool {
        self.lives.get(strategy).is_some_and(|(epoch, incarnation)| {
            self.keys.contains_key(&(*epoch, strategy.clone(), *incarnation, id))
        })
    }

    /// The id by which the strategy knows an order now, and which exit of it this is: a leg goes by the id of
    /// the order that it was sent with, whatever took that one's place. `None` when the order was adopted, or
    /// when the strategy's present life has given the id to another one.
    pub fn known_as(&self, client_id: &ClientOrderId) -> Option<(StrategyOrderId, Option<Leg>)> {
        self.name(self.order(client_id)?)
    }

    fn name(&self, order: &Order) -> Option<(StrategyOrderId, Option<Leg>)> {
        let leg = order.links.leg_of.as_ref().map(|(_, leg)| *leg);
        let named = self.named(order)?;
        let id = named.strategy_id?;
        let strategy = order.strategy();
        let Some((epoch, incarnation)) = self.lives.get(strategy) else { return Some((id, leg)) };
        // In its own life nobody else has the id.
        if (*epoch, *incarnation) == (named.client_id().epoch, named.incarnation) {
            return Some((id, leg));
        }
        let present = self.keys.get(&(*epoch, strategy.clone(), *incarnation, id));
        present.is_none_or(|present| present == named.client_id()).then_some((id, leg))
    }

    /// The order by whose id an order goes.
    fn named<'a>(&'a self, order: &'a Order) -> Option<&'a Order> {
        match &order.links.leg_of {
            Some((parent, _)) => self.order(parent),
            None => Some(order),
        }
    }

    /// What is open of a strategy's orders, by the names that it has for them.
    pub fn open_as_told<'a>(
        &'a self,
        strategy: &'a StrategyName,
    ) -> impl Iterator<Item = (StrategyOrderId, Option<Leg>, &'a Order)> {
        self.open_of(strategy).filter_map(|order| {
            let (id, leg) = self.known_as(order.client_id())?;
            Some((id, leg, order))
        })
    }

    /// What the order's strategy is told of it; `None` when there is no name to tell it by.
    pub fn update(&self, client_id: &ClientOrderId, now: MarketTime) -> Option<OrderUpdate> {
        let order = self.order(client_id)?;
        Some(order.update(self.name(order)?, now))
    }

    /// Notes that the strategy has begun a life, in which all ids are unused.
    pub fn begin_life(&mut self, epoch: HostEpoch, strategy: &StrategyName, incarnation: u32) {
        self.lives.insert(strategy.clone(), (epoch, incarnation));
    }
}
