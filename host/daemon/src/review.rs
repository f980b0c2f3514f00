//! Between strategy and desk: what the world looks like to an order, and what the gates say of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sandpit_cores::orders::{Books, Order};
use sandpit_execution::Review;
use sandpit_risk::{Approved, Gates, OpenOrder, Situation};
use sandpit_types::{Account, MarketClock, MarketTime, Refusal, Side, StrategyName, Submit, Symbol, Usd};

use crate::{ambient, lease::Lease, sessions::Sessions, tape::Tape};

/// The gates, and everything they look at besides the books.
pub(crate) struct Reviewer {
    /// The gates with the limits in force.
    pub(crate) gates: Gates,
    /// Newest prices.
    pub(crate) tape: Arc<Tape>,
    /// When the market is open.
    pub(crate) sessions: Sessions,
    /// Who trades which symbol.
    pub(crate) owners: BTreeMap<Symbol, StrategyName>,
    /// The right to trade; `None` in a mode that sends nothing.
    pub(crate) lease: Option<Arc<Lease>>,
    /// Set when a breaker or an operator froze trading.
    pub(crate) frozen: Arc<AtomicBool>,
    /// Market time.
    pub(crate) clock: Arc<dyn MarketClock>,
    /// The account as last reported, and when.
    pub(crate) account: Option<(Account, MarketTime)>,
}

impl Review for Reviewer {
    fn review(
        &mut self,
        strategy: &StrategyName,
        submit: &Submit,
        books: &Books,
        now: MarketTime,
    ) -> Result<Approved, Refusal> {
        let situation = self.situation(strategy, submit, books, now);
        self.gates.check(strategy, submit, &situation, now)
    }

    fn account(&mut self, account: &Account) {
        self.account = Some((account.clone(), self.clock.now()));
    }
}

impl Reviewer {
    fn situation(
        &self,
        strategy: &StrategyName,
        submit: &Submit,
        books: &Books,
        now: MarketTime,
    ) -> Situation {
        let symbol = &submit.symbol;
        let last = self.tape.last(symbol);
        let account = self.account.as_ref().map(|(account, _)| account);
        Situation {
            frozen: self.frozen.load(Ordering::Relaxed)
                || account.is_none_or(|account| account.trading_blocked),
            lease: self.lease.as_ref().is_none_or(|lease| lease.holds(ambient::boot_now())),
            reconciled: books.is_reconciled(),
            order_stream_up: books.is_order_stream_up(),
            session_open: self.sessions.is_open(now),
            extended_open: self.sessions.is_extended_open(now),
            quote: last.quote,
            last_price: last.price,
            equity: account.map(|account| account.equity).filter(|equity| equity.is_positive()),
            buying_power: account.map(|account| account.buying_power),
            position: books.sub_book(strategy, symbol).qty,
            account_position: books.position(symbol),
            open_orders: books
                .open_on(symbol)
                .map(open_order)
                .filter(|order| order.remaining.is_positive())
                .collect(),
            open_order_count: books.open_count(),
            gross_exposure: books.gross_exposure(|symbol| self.tape.last(symbol).mark()),
            pending_exposure: self.pending_exposure(books),
            owner: self.owners.get(symbol).cloned(),
            known_id: books.is_known(strategy, submit.id),
        }
    }
}

impl Reviewer {
    /// What buys will cost that the broker's buying power does not show yet: those it has not confirmed, and those
    /// recorded since the account was read. What it has taken since is counted twice, which errs on the safe side.
    fn pending_exposure(&self, books: &Books) -> Usd {
        let read_at = self.account.as_ref().map_or(MarketTime::EPOCH, |(_, at)| *at);
        let is_new = |order: &Order| order.recorded_at >= read_at || !order.state().is_at_broker();
        let recent = books.open_orders().filter(|order| order.request.side == Side::Buy && is_new(order));
        let cost = |order: &Order| {
            let price =
                order.request.kind.limit_price().or_else(|| self.tape.last(&order.request.symbol).mark());
            price.map(|price| price * order.remaining())
        };
        recent.filter_map(cost).sum()
    }
}

fn open_order(order: &Order) -> OpenOrder {
    OpenOrder {
        strategy: order.strategy().clone(),
        side: order.request.side,
        remaining: order.remaining(),
        limit_price: order.request.kind.limit_price(),
    }
}
