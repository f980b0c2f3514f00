//! Leaving a symbol: the strategy's orders in it are cancelled, and once the broker says that they are over,
//! what its sub-book holds then is sold or bought back at the market.
//!
//! ```text
//! asked ──own orders open──> Leaving ──all over──> exit (an order like any other)
//!   │ │                        │  └──too long──> refused: late
//!   │ └──flat, none open──> refused: no-position
//!   └──the exit would not pass the gates──> refused by that gate, and nothing is cancelled
//! ```
//!
//! An order that was replaced at the broker's own site is not over before what took its place is in the
//! books, is cancelled as well, and is over.
//!
//! While it is `Leaving`, new orders of the strategy in the symbol are refused as `closing`: the exit would
//! meet them, or they would fill after it.
//!
//! A drain lets it go on, because what protected the position is cancelled already. A stop ends it. It lives
//! in memory only: after a restart of the host the strategy asks again. The strategy's next life takes it
//! over.

use std::{collections::BTreeMap, time::Duration};

use sandpit_cores::{orders::Order, plan::Planned};
use sandpit_store::Actor;
use sandpit_types::{
    ClientOrderId, MarketTime, OrderClass, OrderKind, Qty, Refusal, Side, StrategyName, StrategyOrderId,
    Submit, Symbol, TimeInForce,
};

use super::{Machine, Mode, audit};
use crate::Review;

/// How long the cancels may take, market time: an order may be without an answer for half a minute, and its
/// outcome is resolved so long after that, [`INCONCLUSIVE`](sandpit_cores::orders::INCONCLUSIVE).
const CANCELS_WITHIN: Duration = Duration::from_secs(120);

/// How long the exit itself may wait for its place, market time.
const EXIT_WITHIN: Duration = Duration::from_secs(30);

/// Symbols that are being left at a time, by all strategies. One more is refused.
const MAX_CLOSINGS: usize = 1_000;

/// A moment after a deadline it is past.
const MOMENT: Duration = Duration::from_nanos(1);

/// What is being left.
#[derive(Debug, Default)]
pub(super) struct Closings(BTreeMap<(StrategyName, Symbol), Leaving>);

#[derive(Debug)]
struct Leaving {
    id: StrategyOrderId,
    incarnation: u32,
    until: MarketTime,
    /// The orders whose end is waited for.
    orders: Vec<ClientOrderId>,
}

impl Closings {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<MarketTime> {
        self.0.values().map(|leaving| leaving.until + MOMENT).min()
    }

    pub(super) fn holds(&self, strategy: &StrategyName, id: StrategyOrderId) -> bool {
        self.0.iter().any(|((owner, _), leaving)| owner == strategy && leaving.id == id)
    }

    /// Who leaves what.
    pub(super) fn all(&self) -> impl Iterator<Item = (&StrategyName, &Symbol)> {
        self.0.keys().map(|(strategy, symbol)| (strategy, symbol))
    }

    /// Whether a strategy waits for the end of its orders in a symbol.
    pub(super) fn is_leaving(&self, strategy: &StrategyName, symbol: &Symbol) -> bool {
        !self.0.is_empty() && self.0.contains_key(&(strategy.clone(), symbol.clone()))
    }

    /// What a strategy is leaving belongs to this life of it from now on.
    pub(super) fn inherit(&mut self, strategy: &StrategyName, incarnation: u32) {
        let own = self.0.iter_mut().filter(|((owner, _), _)| owner == strategy);
        own.for_each(|(_, leaving)| leaving.incarnation = incarnation);
    }

    /// Gives up those of a strategy that are meant; their ids.
    pub(super) fn give_up(
        &mut self,
        strategy: &StrategyName,
        is_meant: impl Fn(StrategyOrderId) -> bool,
    ) -> Vec<(StrategyOrderId, Symbol)> {
        let meant = |(owner, _): &(StrategyName, Symbol), leaving: &mut Leaving| {
            owner == strategy && is_meant(leaving.id)
        };
        let given_up = self.0.extract_if(.., meant);
        given_up.map(|((_, symbol), leaving)| (leaving.id, symbol)).collect()
    }
}

impl<R: Review> Machine<R> {
    /// Begins to leave a symbol.
    pub(super) fn close_position(
        &mut self,
        strategy: &StrategyName,
        incarnation: u32,
        (id, symbol): (StrategyOrderId, Symbol),
        now: MarketTime,
    ) {
        if let Err(refusal) = self.may_begin(strategy, id) {
            return self.refuse(strategy, (id, &symbol), refusal, now);
        }
        if self.closings.0.contains_key(&(strategy.clone(), symbol.clone())) {
            // It is being left already, under the other id.
            return self.refuse(strategy, (id, &symbol), Refusal::DuplicateId, now);
        }
        if self.closings.0.len() >= MAX_CLOSINGS {
            return self.refuse(strategy, (id, &symbol), Refusal::OrderRate, now);
        }
        // Before anything is cancelled: what protects the position stays while the exit cannot leave.
        if let Some(exit) = self.exit_of(strategy, &symbol, id)
            && let Err(refusal) = self.review.may_leave(strategy, &exit, &self.books, now)
        {
            return self.refuse(strategy, (id, &symbol), refusal, now);
        }
        let withdrawn = self.planning.take(strategy, |submit| submit.symbol == symbol);
        self.withdraw(withdrawn, now);
        let orders = self.to_end(strategy, Some(&symbol));
        let is_flat = self.books.sub_book(strategy, &symbol).qty.is_zero();
        if orders.is_empty() && is_flat {
            return self.refuse(strategy, (id, &symbol), Refusal::NoPosition, now);
        }
        self.end_orders(strategy, &orders, now);
        let leaving = Leaving { id, incarnation, until: now + CANCELS_WITHIN, orders };
        self.closings.0.insert((strategy.clone(), symbol), leaving);
        self.close_positions(now);
    }

    /// Cancels everything of a strategy in symbols that it does not trade any more, what waits included.
    pub(super) fn cancel_symbols(&mut self, strategy: &StrategyName, symbols: &[Symbol], now: MarketTime) {
        let reason = "the strategy does not trade it any more";
        self.cancel_in(strategy, symbols, &audit::host(), reason, now);
    }

    /// Cancels everything of a strategy in these symbols, what waits included. Which orders are open, and how
    /// many waited.
    pub(super) fn cancel_in(
        &mut self,
        strategy: &StrategyName,
        symbols: &[Symbol],
        actor: &Actor,
        reason: &str,
        now: MarketTime,
    ) -> (Vec<ClientOrderId>, usize) {
        let withdrawn = self.planning.take(strategy, |submit| symbols.contains(&submit.symbol));
        let mut waited = withdrawn.len();
        self.withdraw(withdrawn, now);
        let meant = |(owner, symbol): &(StrategyName, Symbol), _: &mut Leaving| {
            owner == strategy && symbols.contains(symbol)
        };
        let given_up = self.closings.0.extract_if(.., meant);
        let given_up: Vec<_> = given_up.map(|((_, symbol), leaving)| (leaving.id, symbol)).collect();
        waited += given_up.len();
        self.tell_given_up(strategy, given_up, now);
        let orders: Vec<_> = symbols.iter().flat_map(|symbol| self.to_end(strategy, Some(symbol))).collect();
        for id in &orders {
            self.ask_cancel(id, actor, reason, now);
        }
        (orders, waited)
    }

    /// The orders of a strategy that are not over, those included that were replaced by what the books do not
    /// have; in one symbol, or in all.
    pub(super) fn to_end(&self, strategy: &StrategyName, symbol: Option<&Symbol>) -> Vec<ClientOrderId> {
        let owing = self.books.owing_orders().filter(|order| order.strategy() == strategy);
        let orders = self.books.open_of(strategy).chain(owing);
        orders
            .filter(|order| symbol.is_none_or(|symbol| order.request.symbol == *symbol))
            .map(|order| order.client_id().clone())
            .collect()
    }

    fn end_orders(&mut self, strategy: &StrategyName, orders: &[ClientOrderId], now: MarketTime) {
        let is_wanted = |id: &&ClientOrderId| self.books.order(id).is_some_and(|order| !order.is_unwanted());
        let wanted: Vec<ClientOrderId> = orders.iter().filter(is_wanted).cloned().collect();
        for order in wanted {
            self.ask_cancel(&order, &audit::strategy(strategy), "the symbol is left", now);
        }
    }

    /// Sends the exits whose time has come, and refuses what takes too long.
    pub(super) fn close_positions(&mut self, now: MarketTime) {
        if self.closings.0.is_empty() {
            return;
        }
        let books = &self.books;
        let is_on = |order: &Order| order.state().is_open() || books.owes_successor(order);
        let ends = self.mode == Mode::Stopping;
        let is_due = |_: &(StrategyName, Symbol), leaving: &mut Leaving| {
            leaving.orders.retain(|id| books.order(id).is_some_and(is_on));
            leaving.orders.is_empty() || now > leaving.until || ends
        };
        let due: Vec<_> = self.closings.0.extract_if(.., is_due).collect();
        for ((strategy, symbol), mut leaving) in due {
            if leaving.orders.is_empty() && !ends {
                // What took the place of one of them may have come only now.
                leaving.orders = self.to_end(&strategy, Some(&symbol));
                self.end_orders(&strategy, &leaving.orders, now);
            }
            if ends {
                let text = format!(
                    "the host stops while {strategy} leaves {symbol}: its orders there may be cancelled, and \
                     the exit has not left"
                );
                self.alert(text, now);
                self.refuse(&strategy, (leaving.id, &symbol), Refusal::Frozen, now);
            } else if leaving.orders.is_empty() {
                self.exit(&strategy, symbol, &leaving, now);
            } else if now > leaving.until {
                self.refuse(&strategy, (leaving.id, &symbol), Refusal::Late, now);
            } else {
                self.closings.0.insert((strategy, symbol), leaving);
            }
        }
    }

    fn exit(&mut self, strategy: &StrategyName, symbol: Symbol, leaving: &Leaving, now: MarketTime) {
        let Some(exit) = self.exit_of(strategy, &symbol, leaving.id) else {
            return self.refuse(strategy, (leaving.id, &symbol), Refusal::NoPosition, now);
        };
        let planned = self.planned(strategy, leaving.incarnation, exit, now);
        self.plan(vec![Planned { ends_begun: true, ..planned }], now);
    }

    /// The order that leaves a symbol as it stands; `None` when nothing of it is there. While the broker
    /// holds less than the books say, it is for what is there beside what other strategies hold: the rest
    /// nobody can sell.
    fn exit_of(&self, strategy: &StrategyName, symbol: &Symbol, id: StrategyOrderId) -> Option<Submit> {
        let own = self.books.sub_book(strategy, symbol).qty;
        let there = self.books.disputed(symbol).map(|at_broker| {
            let others = self.books.position(symbol) - own;
            at_broker - others
        });
        let held = match there {
            Some(there) if own.is_positive() => own.min(there.max(Qty::ZERO)),
            Some(there) => own.max(there.min(Qty::ZERO)),
            None => own,
        };
        (!held.is_zero()).then(|| Submit {
            id,
            symbol: symbol.clone(),
            side: if held.is_positive() { Side::Sell } else { Side::Buy },
            qty: held.abs(),
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            time_to_live: EXIT_WITHIN,
            class: OrderClass::Simple,
            reprice: None,
        })
    }
}
