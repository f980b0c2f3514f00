//! Between strategy and desk: what the world looks like to an order, and what the gates say of it.

mod working;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rust_decimal::Decimal;
use sandpit_contract::BootTime;
use sandpit_cores::{
    orders::{Books, Order},
    reconcile::Standing,
};
use sandpit_execution::Review;
use sandpit_fanout::Tape;
use sandpit_risk::{Approved, BUSINESS_DAYS, DayTradeRule, DayTrades, DayTrading, Gates, Situation};
use sandpit_types::{
    Account, ClientOrderId, Fill, MarketClock, MarketTime, Price, Qty, Quote, Refusal, Side, StrategyName,
    Submit, Symbol, Usd,
};

use crate::{
    alarms::Alarms,
    ambient,
    lease::Lease,
    losses::Losses,
    run::{Ending, Endings},
    sessions::Sessions,
    strategies::Owners,
};

/// An account read longer ago than this, in market time and in real time both, is not known any more.
const ACCOUNT_AGE: Duration = Duration::from_secs(60);
const ACCOUNT_AGE_REAL: Duration = Duration::from_secs(15);

/// The fact that outlives the process besides those of the breakers.
const DAY_TRADES: &str = "day-trades";

/// A price that says so may be this far ahead: clocks differ. Further, it would never grow old.
const MAX_AHEAD: Duration = Duration::from_secs(60);

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
    /// Who trades which symbol, and what each strategy is granted.
    pub(crate) owners: Arc<Owners>,
    /// The right to trade; `None` in a mode that sends nothing.
    pub(crate) lease: Option<Arc<Lease>>,
    /// Market time.
    pub(crate) clock: Arc<dyn MarketClock>,
    /// Whether a signal wants no entries.
    pub(crate) alarms: Arc<Alarms>,
    /// Where a breaker that trips says so.
    pub(crate) endings: Endings,
    /// The newest reading of the account.
    pub(crate) account: Option<Reading>,
    /// The day trades of the last days; kept only while they are bounded.
    pub(crate) day_trades: DayTrades,
    /// How the day trades were last given away.
    pub(crate) day_trades_given: String,
}

impl Review for Reviewer {
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
        let taken_at = ambient::boot_now();
        self.account = Some(Reading { account: account.clone(), asked_at, taken_at });
        if let Some(trip) = self.losses.on(account, cash, self.clock.now()) {
            // From here on the gates are frozen and the lease is gone; the host's end tells the watchdog.
            self.endings.give(Ending::Kill { reason: trip.to_string() });
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

impl Reviewer {
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
            entries_stopped: self.alarms.entries_stopped(),
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
        let old_in_real_time = ambient::boot_now().since(reading.taken_at) > ACCOUNT_AGE_REAL;
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
