//! Between strategy and desk: what the world looks like to an order, and what the gates say of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rust_decimal::Decimal;
use sandpit_contract::BootTime;
use sandpit_cores::orders::{Books, Order};
use sandpit_execution::Review;
use sandpit_fanout::Tape;
use sandpit_risk::{Approved, Gates, OpenOrder, Situation};
use sandpit_types::{
    Account, ClientOrderId, MarketClock, MarketTime, Price, Quote, Refusal, Side, StrategyName, Submit,
    Symbol, Usd,
};

use crate::{
    ambient,
    lease::Lease,
    losses::Losses,
    run::{Ending, Endings},
    sessions::Sessions,
};

/// An account read longer ago than this, in market time and in real time both, is not known any more.
const ACCOUNT_AGE: Duration = Duration::from_secs(60);
const ACCOUNT_AGE_REAL: Duration = Duration::from_secs(15);

/// The account as the broker last reported it.
#[derive(Debug)]
pub(crate) struct Reading {
    account: Account,
    /// When it was asked for: orders recorded since may be missing in it.
    asked_at: MarketTime,
    taken_at: BootTime,
}

/// The gates, and everything they look at besides the books.
pub(crate) struct Reviewer {
    /// The gates with the limits in force.
    pub(crate) gates: Gates,
    /// The loss breakers, and which equity can be believed.
    pub(crate) losses: Losses,
    /// Newest prices.
    pub(crate) tape: Arc<Tape>,
    /// When the market is open.
    pub(crate) sessions: Sessions,
    /// Who trades which symbol.
    pub(crate) owners: BTreeMap<Symbol, StrategyName>,
    /// The right to trade; `None` in a mode that sends nothing.
    pub(crate) lease: Option<Arc<Lease>>,
    /// Market time.
    pub(crate) clock: Arc<dyn MarketClock>,
    /// Where a breaker that trips says so.
    pub(crate) endings: Endings,
    /// The newest reading of the account.
    pub(crate) account: Option<Reading>,
}

impl Review for Reviewer {
    fn review(
        &mut self,
        strategy: &StrategyName,
        submit: &Submit,
        _: Option<&ClientOrderId>, // FOUNDATION
        books: &Books,
        now: MarketTime,
    ) -> Result<Approved, Refusal> {
        let situation = self.situation(strategy, submit, books, now);
        self.gates.check(strategy, submit, &situation, now)
    }

    fn account(&mut self, account: &Account, asked_at: MarketTime) {
        let taken_at = ambient::boot_now();
        self.account = Some(Reading { account: account.clone(), asked_at, taken_at });
        if let Some(trip) = self.losses.on(account, self.clock.now()) {
            self.endings.give(Ending::Kill { reason: trip.to_string() });
        }
    }

    fn transfer(&mut self, _: Usd, _: MarketTime) {} // FOUNDATION

    fn quote(&self, _: &Symbol, _: MarketTime) -> Option<Quote> {
        None // FOUNDATION
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
        let account = self.known_account(now);
        let disputed = books.disputed(symbol);
        Situation {
            // An account that is not known, a symbol of which the broker holds another quantity than the
            // books: no risk is added where the facts are missing.
            frozen: account.is_none_or(|account| account.trading_blocked)
                || disputed.is_some()
                || books.frozen().is_some(),
            lease: self.lease.as_ref().is_none_or(|lease| lease.holds(ambient::boot_now())),
            reconciled: books.is_reconciled(),
            order_stream_up: books.is_order_stream_up(),
            session_open: self.sessions.is_open(now),
            extended_open: self.sessions.is_extended_open(now),
            quote: last.quote,
            last_price: last.price,
            equity: account.and(self.losses.equity()),
            buying_power: account.map(|account| account.buying_power),
            position: books.sub_book(strategy, symbol).qty,
            account_position: disputed.unwrap_or_else(|| books.position(symbol)),
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

    /// The newest reading, while it is young enough.
    fn known_account(&self, now: MarketTime) -> Option<&Account> {
        let reading = self.account.as_ref()?;
        let old = now.since(reading.asked_at) > ACCOUNT_AGE;
        let old_in_real_time = ambient::boot_now().since(reading.taken_at) > ACCOUNT_AGE_REAL;
        (!(old && old_in_real_time)).then_some(&reading.account)
    }

    /// What buys will cost that the broker's buying power does not show yet: those it has not confirmed, and
    /// those recorded since the account was asked for. What it has taken since is counted twice, which
    /// errs on the safe side.
    fn pending_exposure(&self, books: &Books) -> Usd {
        let asked_at = self.account.as_ref().map_or(MarketTime::EPOCH, |reading| reading.asked_at);
        let is_new = |order: &Order| order.recorded_at >= asked_at || !order.state().is_at_broker();
        let recent = books.open_orders().filter(|order| order.request.side == Side::Buy && is_new(order));
        let cost = |order: &Order| {
            let limit = order.request.kind.limit_price();
            let price = limit.or_else(|| self.tape.last(&order.request.symbol).mark());
            price.unwrap_or(UNPRICED) * order.remaining()
        };
        recent.map(cost).sum()
    }
}

/// What a share costs of which no price is known: more than any buying power.
const UNPRICED: Price = Price::new(Decimal::from_parts(1_000_000_000, 0, 0, false, 0));

fn open_order(order: &Order) -> OpenOrder {
    OpenOrder {
        strategy: order.strategy().clone(),
        side: order.request.side,
        remaining: order.remaining(),
        limit_price: order.request.kind.limit_price(),
    }
}
