//! What the books say of risk: positions, open orders and the worst they can become together.

use std::collections::BTreeSet;

use sandpit_types::{Price, Qty, Side, StrategyName, Symbol, Usd};

use super::{Books, Order, OrderState, SubBook};

impl Books {
    /// Open orders, oldest client id first.
    pub fn open_orders(&self) -> impl Iterator<Item = &Order> {
        self.open.iter().filter_map(|client_id| self.orders.get(client_id))
    }

    /// Orders that the broker may still have to be asked about: the open ones and those of which its no is
    /// not confirmed.
    pub fn unsettled(&self) -> impl Iterator<Item = &Order> {
        self.unsettled.iter().filter_map(|client_id| self.orders.get(client_id))
    }

    /// Orders in one symbol that we took to be unknown to the broker, the newest `count` of them. No legs:
    /// these stand where their parent does, and the broker does not know them by a name of ours.
    pub fn concluded_on(&self, symbol: &Symbol, count: usize) -> Vec<&Order> {
        let is_concluded = |order: &&Order| match order.state() {
            OrderState::NeverArrived { .. } | OrderState::Rejected { .. } => order.request.symbol == *symbol,
            OrderState::Recorded
            | OrderState::Sending { .. }
            | OrderState::Unknown { .. }
            | OrderState::Working(_)
            | OrderState::Cancelling(_)
            | OrderState::NotSent
            | OrderState::Terminal(_) => false,
        };
        let sent = self.orders.values().filter(|order| !order.is_leg());
        let mut concluded: Vec<&Order> = sent.filter(is_concluded).collect();
        concluded.sort_by_key(|order| std::cmp::Reverse(order.recorded_at));
        concluded.truncate(count);
        concluded
    }

    /// Open orders of one strategy.
    pub fn open_of<'a>(&'a self, strategy: &'a StrategyName) -> impl Iterator<Item = &'a Order> {
        self.open_orders().filter(move |order| order.strategy() == strategy)
    }

    /// Open orders in one symbol, of all strategies.
    pub fn open_on<'a>(&'a self, symbol: &'a Symbol) -> impl Iterator<Item = &'a Order> {
        self.open_orders().filter(move |order| order.request.symbol == *symbol)
    }

    /// How many orders are open.
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// What one strategy holds of one symbol.
    pub fn sub_book(&self, strategy: &StrategyName, symbol: &Symbol) -> SubBook {
        self.sub_books.get(&(strategy.clone(), symbol.clone())).copied().unwrap_or_default()
    }

    /// Every sub-book ever opened.
    pub fn sub_books(&self) -> impl Iterator<Item = (&StrategyName, &Symbol, &SubBook)> {
        self.sub_books.iter().map(|((strategy, symbol), sub_book)| (strategy, symbol, sub_book))
    }

    /// Realised profit and loss of one strategy over all symbols.
    pub fn realised(&self, strategy: &StrategyName) -> Usd {
        self.sub_books()
            .filter(|(owner, ..)| *owner == strategy)
            .map(|(.., sub_book)| sub_book.realised())
            .sum()
    }

    /// Shares held of one symbol by all strategies; negative when short.
    pub fn position(&self, symbol: &Symbol) -> Qty {
        self.sub_books().filter(|(_, held, _)| *held == symbol).map(|(.., sub_book)| sub_book.qty).sum()
    }

    /// Shares that open orders on one side of one symbol may still fill together. What took the place of one
    /// of ours and is not here yet counts as the rest of that one.
    pub fn pending(&self, symbol: &Symbol, side: Side) -> Qty {
        let is_it = |order: &&Order| order.request.symbol == *symbol && order.request.side == side;
        let open: Qty = self.open_on(symbol).filter(is_it).map(|order| self.to_fill(order)).sum();
        // Exits only reduce.
        let owing = self.owing_orders().filter(is_it).filter(|order| !order.is_leg());
        open + owing.map(Order::rest).sum()
    }

    /// The largest the position can become, in shares without sign, if the open orders of one side fill and
    /// those of the other do not. Of a disputed symbol, the broker's word counts if it is the worse.
    pub fn worst_position(&self, symbol: &Symbol) -> Qty {
        let (buys, sells) = (self.pending(symbol, Side::Buy), self.pending(symbol, Side::Sell));
        let worst = |held: Qty| (held + buys).abs().max((held - sells).abs());
        let ours = worst(self.position(symbol));
        self.disputed(symbol).map_or(ours, |at_broker| ours.max(worst(at_broker)))
    }

    /// Symbols with a position, here or at the broker by its word, or an open order.
    pub fn exposed_symbols(&self) -> BTreeSet<Symbol> {
        let held =
            self.sub_books().filter(|(.., sub_book)| !sub_book.qty.is_zero()).map(|(_, symbol, _)| symbol);
        let open = self.open_orders().chain(self.owing_orders()).map(|order| &order.request.symbol);
        held.chain(open).chain(self.disputes().keys()).cloned().collect()
    }

    /// The worst positions of all symbols together, at `price_of`; where that has none, at the highest of
    /// the open orders' limits, or stops where there is none, and average costs.
    pub fn gross_exposure(&self, price_of: impl Fn(&Symbol) -> Option<Price>) -> Usd {
        self.exposed_symbols().iter().map(|symbol| self.exposure_in(symbol, &price_of)).sum()
    }

    /// The same of the symbols in which a strategy holds something or has an order open. What others hold
    /// there, as former owners may, counts as well.
    pub fn exposure_of(&self, strategy: &StrategyName, price_of: impl Fn(&Symbol) -> Option<Price>) -> Usd {
        let is_own = |symbol: &&Symbol| {
            let open =
                self.open_on(symbol).chain(self.owing_orders().filter(|it| it.request.symbol == **symbol));
            !self.sub_book(strategy, symbol).qty.is_zero()
                || open.into_iter().any(|it| it.strategy() == strategy)
        };
        self.exposed_symbols().iter().filter(is_own).map(|symbol| self.exposure_in(symbol, &price_of)).sum()
    }

    fn exposure_in(&self, symbol: &Symbol, price_of: impl Fn(&Symbol) -> Option<Price>) -> Usd {
        let price = price_of(symbol).unwrap_or_else(|| self.price_in_books(symbol));
        price * self.worst_position(symbol)
    }

    fn price_in_books(&self, symbol: &Symbol) -> Price {
        let price = |order: &Order| order.request.kind.limit_price().or(order.request.kind.stop_price());
        let limits = self.open_on(symbol).filter_map(price);
        let costs = self
            .sub_books()
            .filter(|(_, held, _)| *held == symbol)
            .map(|(.., sub_book)| sub_book.avg_price());
        limits.chain(costs).max().unwrap_or(Price::ZERO)
    }
}
