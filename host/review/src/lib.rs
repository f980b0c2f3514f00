//! Between strategy and desk: what the world looks like to an order, and what the gates say of it.
//!
//! The same review stands in a host that trades and in a backtest. What differs between the two, the right to
//! trade, real time and what becomes of a tripped limit, is behind [`Outside`].

#![forbid(unsafe_code)]

mod losses;
mod owners;
mod sessions;
mod working;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rust_decimal::Decimal;
use sandpit_cores::{
    Trip,
    orders::{Books, Order},
    reconcile::Standing,
};
use sandpit_execution::Review;
use sandpit_fanout::Tape;
use sandpit_risk::{Approved, BUSINESS_DAYS, DayTradeRule, DayTrades, DayTrading, Gates, Limits, Situation};
use sandpit_types::{
    Account, ClientOrderId, Fill, MarketClock, MarketTime, Price, Qty, Quote, Refusal, Side, StrategyName,
    Submit, Symbol, Usd,
};

pub use self::{losses::Losses, owners::Owners, sessions::Sessions};

/// An account read longer ago than this, in market time and in real time both, is not known any more.
const ACCOUNT_AGE: Duration = Duration::from_secs(60);
const ACCOUNT_AGE_REAL: Duration = Duration::from_secs(15);

/// The fact that outlives the process besides those of the breakers.
const DAY_TRADES: &str = "day-trades";

/// A price that says so may be this far ahead: clocks differ. Further, it would never grow old.
const MAX_AHEAD: Duration = Duration::from_secs(60);

/// What a review asks of whom it works for.
pub trait Outside: Send + 'static {
    /// Whether the right to trade is held; always in a mode that sends nothing.
    fn may_trade(&self) -> bool;

    /// Whether a signal wants no new entries.
    fn entries_stopped(&self) -> bool;

    /// Real time since any fixed moment.
    fn real_now(&self) -> Duration;

    /// A limit on losses was reached: said once, at once.
    fn tripped(&self, trip: &Trip);
}

/// The account as the broker last reported it.
#[derive(Debug)]
struct Reading {
    account: Account,
    /// When it was asked for: orders recorded since may be missing in it.
    asked_at: MarketTime,
    taken_at: Duration,
}

/// The gates, and everything they look at besides the books.
pub struct Reviewer<O> {
    gates: Gates,
    losses: Losses,
    tape: Arc<Tape>,
    sessions: Sessions,
    owners: Arc<Owners>,
    clock: Arc<dyn MarketClock>,
    outside: O,
    account: Option<Reading>,
    /// The day trades of the last days; kept only while they are bounded.
    day_trades: DayTrades,
    /// How the day trades were last given away.
    day_trades_given: String,
}

impl<O: Outside> Reviewer<O> {
    /// Gates with these limits, over the newest prices of `tape`, in the market's time.
    pub fn new(
        limits: Limits,
        sessions: Sessions,
        tape: Arc<Tape>,
        owners: Arc<Owners>,
        clock: Arc<dyn MarketClock>,
        outside: O,
    ) -> Self {
        Self {
            losses: Losses::new(&limits, sessions.clone()),
            gates: Gates::new(limits),
            tape,
            sessions,
            owners,
            clock,
            outside,
            account: None,
            day_trades: DayTrades::default(),
            day_trades_given: String::new(),
        }
    }
}

impl<O: Outside> Review for Reviewer<O> {
    fn review(
        &mut self,
        strategy: &StrategyName,
        submit: &Submit,
        replaces: Option<&ClientOrderId>,
        books: &Books,
        now: MarketTime,
    ) -> Result<Approved, Refusal> {
        let replaces = replaces.and_then(|id| books.order(id));
        let situation = self.situation(strategy, submit, replaces, books, now);
        self.gates.check(strategy, submit, &situation, now)
    }

    fn may_leave(
        &self,
        strategy: &StrategyName,
        exit: &Submit,
        books: &Books,
        now: MarketTime,
    ) -> Result<(), Refusal> {
        let mut situation = self.situation(strategy, exit, None, books, now);
        let before = situation.open_orders.len();
        situation.open_orders.retain(|order| order.strategy != *strategy);
        let gone = before - situation.open_orders.len();
        situation.open_order_count = situation.open_order_count.saturating_sub(gone);
        self.gates.would_pass(strategy, exit, &situation, now).map(drop)
    }

    fn account(&mut self, account: &Account, cash: Standing, asked_at: MarketTime) {
        let taken_at = self.outside.real_now();
        self.account = Some(Reading { account: account.clone(), asked_at, taken_at });
        if let Some(trip) = self.losses.on(account, cash, self.clock.now()) {
            // From here on the gates are frozen.
            self.outside.tripped(&trip);
        }
    }

    fn transfer(&mut self, net: Usd, dated: MarketTime, now: MarketTime) {
        self.losses.transfer(net, dated, now);
    }

    fn quote(&self, symbol: &Symbol, now: MarketTime) -> Option<Quote> {
        let quote = self.tape.last(symbol).quote?;
        let is_young =
            now.since(quote.time) <= self.gates.limits().price_age() && quote.time.since(now) <= MAX_AHEAD;
        is_young.then_some(quote)
    }

    fn filled(&mut self, fill: &Fill, held: Qty) {
        if let Some(day) = self.counted_day(fill.time) {
            self.day_trades.filled(&fill.symbol, fill.side.signed(fill.qty), held, day);
        }
    }

    fn restore(&mut self, facts: &BTreeMap<String, String>) {
        self.losses.restore(facts);
        if let Some(kept) = facts.get(DAY_TRADES) {
            match DayTrades::from_text(kept) {
                Some(day_trades) => self.day_trades = day_trades,
                None => {
                    tracing::warn!(kept, "the day trades of earlier lives cannot be read; counting from none")
                }
            }
        }
    }

    fn facts(&mut self) -> Vec<(&'static str, String)> {
        let mut facts = self.losses.facts();
        if self.gates.limits().day_trade_rule() == DayTradeRule::Legacy {
            let text = self.day_trades.to_text();
            if text != self.day_trades_given {
                self.day_trades_given.clone_from(&text);
                facts.push((DAY_TRADES, text));
            }
        }
        facts
    }
}

impl<O: Outside> Reviewer<O> {
    fn situation(
        &self,
        strategy: &StrategyName,
        submit: &Submit,
        replaces: Option<&Order>,
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
                || self.losses.is_tripped()
                || disputed.is_some()
                || books.frozen().is_some(),
            paused: books.paused(strategy).is_some(),
            entries_stopped: self.outside.entries_stopped(),
            lease: self.outside.may_trade(),
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
            open_orders: working::open_orders(books, symbol, replaces),
            replaced_remaining: replaces.map_or(Qty::ZERO, Order::remaining),
            replaced_value: replaces.map_or(Usd::ZERO, |old| self.value(old)),
            replaces_in_class: replaces.is_some_and(working::is_in_class),
            open_order_count: books.open_count() + books.owing_orders().count(),
            gross_exposure: books.gross_exposure(|symbol| self.tape.last(symbol).mark()),
            pending_exposure: self.pending_exposure(books),
            own_exposure: books.exposure_of(strategy, |symbol| self.tape.last(symbol).mark()),
            grant: self.owners.grant(strategy),
            owner: self.owners.of(symbol),
            known_id: books.is_known(strategy, submit.id),
            day_trading: self.day_trading(submit, books, now),
        }
    }

    /// The trading day of a moment, while day trades are counted.
    fn counted_day(&self, at: MarketTime) -> Option<MarketTime> {
        match self.gates.limits().day_trade_rule() {
            DayTradeRule::Off => None,
            DayTradeRule::Legacy => self.sessions.trading_day(at),
        }
    }

    /// Where the day-trade rule of old stands. Orders that close what was opened today may each complete one
    /// more day trade, so they are counted as if they had.
    fn day_trading(&self, submit: &Submit, books: &Books, now: MarketTime) -> DayTrading {
        let Some(day) = self.counted_day(now) else { return DayTrading::default() };
        let first = self.sessions.days_back(day, BUSINESS_DAYS).unwrap_or(day);
        let closes = |order: &&Order| {
            let held = books.position(&order.request.symbol);
            !held.is_zero()
                && order.request.side.signed(order.request.qty).is_positive() != held.is_positive()
        };
        let open = books.open_orders().chain(books.owing_orders());
        let closing: BTreeSet<&Symbol> = open.filter(closes).map(|order| &order.request.symbol).collect();
        let pending = closing.iter().filter(|symbol| self.day_trades.is_new_on(symbol, day)).count();
        DayTrading {
            count: self.day_trades.since(first) + u32::try_from(pending).unwrap_or(u32::MAX),
            opened_today: self.day_trades.opened_on(&submit.symbol, day),
            closing: closing.contains(&submit.symbol) || !self.day_trades.is_new_on(&submit.symbol, day),
            last_equity: self.account.as_ref().map(|reading| reading.account.last_equity),
        }
    }

    /// What an order would cost that is open, at the worse of its own prices and the market's.
    fn value(&self, order: &Order) -> Usd {
        let kind = order.request.kind;
        let own = kind.limit_price().or(kind.stop_price());
        let price = own.or_else(|| self.tape.last(&order.request.symbol).mark());
        price.unwrap_or(UNPRICED) * order.remaining()
    }

    /// The newest reading, while it is young enough.
    fn known_account(&self, now: MarketTime) -> Option<&Account> {
        let reading = self.account.as_ref()?;
        let old = now.since(reading.asked_at) > ACCOUNT_AGE;
        let old_in_real_time = self.outside.real_now().saturating_sub(reading.taken_at) > ACCOUNT_AGE_REAL;
        (!(old && old_in_real_time)).then_some(&reading.account)
    }

    /// What buys will cost that the broker's buying power does not show yet: those it has not confirmed, and
    /// those recorded since the account was asked for. What it has taken since is counted twice, which
    /// errs on the safe side.
    fn pending_exposure(&self, books: &Books) -> Usd {
        let asked_at = self.account.as_ref().map_or(MarketTime::EPOCH, |reading| reading.asked_at);
        let is_new = |order: &Order| order.recorded_at >= asked_at || !order.state().is_at_broker();
        let buys = books.open_orders().filter(|order| order.request.side == Side::Buy);
        let recent = buys.filter(|order| order.links.leg_of.is_none() && is_new(order));
        recent.map(|order| self.value(order)).sum()
    }
}

/// What a share costs of which no price is known: more than any buying power.
const UNPRICED: Price = Price::new(Decimal::from_parts(1_000_000_000, 0, 0, false, 0));

#[cfg(test)]
mod tests;
