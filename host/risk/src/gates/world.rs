//! A calm world in which a small order passes every gate, for the tables of cases: each row changes one
//! thing.

use std::time::Duration;

use sandpit_types::{
    ClientOrderId, Exit, HostEpoch, MarketTime, OrderClass, OrderKind, Price, Qty, Quote, Refusal, Side,
    StopLoss, StrategyName, StrategyOrderId, Submit, Symbol, TimeInForce, Trail, Usd,
};

use super::{Case, Gate, Used};
use crate::{DayTradeRule, LastPrice, Limits, OpenOrder, Overrides, Situation};

/// Everything a case borrows from.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) strategy: StrategyName,
    pub(super) submit: Submit,
    pub(super) situation: Situation,
    pub(super) limits: Limits,
    pub(super) used: Used,
    pub(super) now: MarketTime,
}

/// A row: what it is about, what it changes in the calm world, and what the gate says then.
pub(super) type Row = (&'static str, fn(&mut World), Result<(), Refusal>);

/// Asks one gate about every row.
pub(super) fn check(gate: Gate, rows: &[Row]) {
    for (name, change, expected) in rows {
        let mut world = World::calm();
        change(&mut world);
        assert_eq!(gate(&world.case()), *expected, "{name}");
    }
}

pub(super) fn price(text: &str) -> Price {
    text.parse().expect(text)
}

pub(super) fn qty(text: &str) -> Qty {
    text.parse().expect(text)
}

pub(super) fn usd(text: &str) -> Usd {
    text.parse().expect(text)
}

impl World {
    /// Strategy `a` buys 10 SPY at 100 with a capital of 100,000, a quote of 99.99 to 100.01 and nothing else
    /// open.
    pub(super) fn calm() -> Self {
        let now = MarketTime::from_secs(1_000_000);
        let symbol = Symbol::new("SPY");
        let quote =
            Quote { symbol: symbol.clone(), time: now, bid: 99.99, bid_size: 1, ask: 100.01, ask_size: 1 };
        Self {
            strategy: StrategyName::new("a"),
            submit: Submit {
                id: StrategyOrderId(1),
                symbol,
                side: Side::Buy,
                qty: qty("10"),
                kind: OrderKind::Limit { limit_price: price("100") },
                time_in_force: TimeInForce::Day,
                extended_hours: false,
                time_to_live: Duration::from_secs(60),
                class: sandpit_types::OrderClass::Simple,
                reprice: None,
            },
            situation: Situation {
                frozen: false,
                entries_stopped: false,
                lease: true,
                reconciled: true,
                order_stream_up: true,
                session_open: true,
                extended_open: true,
                quote: Some(quote),
                last_price: Some(LastPrice { price: price("100"), time: now }),
                equity: Some(usd("100000")),
                buying_power: Some(usd("100000")),
                owner: Some(StrategyName::new("a")),
                ..Situation::default()
            },
            limits: Limits::default(),
            used: Used::default(),
            now,
        }
    }

    pub(super) fn case(&self) -> Case<'_> {
        let Self { strategy, submit, situation, limits, used, now } = self;
        Case::new(strategy, submit, situation, limits, *used, *now)
    }

    pub(super) fn buy(&mut self, shares: &str, limit: &str) {
        self.order(Side::Buy, shares, limit);
    }

    pub(super) fn sell(&mut self, shares: &str, limit: &str) {
        self.order(Side::Sell, shares, limit);
    }

    /// An order at a limit, or at the market when `limit` is empty.
    fn order(&mut self, side: Side, shares: &str, limit: &str) {
        self.submit.side = side;
        self.submit.qty = qty(shares);
        self.submit.kind = kind(limit);
    }

    /// The strategy holds this, and the account the same.
    pub(super) fn hold(&mut self, shares: &str) {
        self.situation.position = qty(shares);
        self.situation.account_position = qty(shares);
    }

    /// An order of `strategy` is open; at the market when `limit` is empty.
    pub(super) fn open(&mut self, strategy: &str, side: Side, shares: &str, limit: &str) {
        self.open_kind(strategy, side, shares, kind(limit));
    }

    pub(super) fn open_kind(&mut self, strategy: &str, side: Side, shares: &str, kind: OrderKind) {
        self.situation.open_orders.push(OpenOrder {
            strategy: StrategyName::new(strategy),
            side,
            remaining: qty(shares),
            kind,
            group: None,
            in_class: false,
            dormant: false,
        });
    }

    /// Two exits of the same shares, of which one cancels the other, are open.
    pub(super) fn exits(&mut self, strategy: &str, shares: &str, profit: &str, loss: &str) {
        let owner = StrategyName::new(strategy);
        let group = Some(ClientOrderId { strategy: owner, epoch: HostEpoch(1), sequence: 1 });
        for kind in [kind(profit), OrderKind::Stop { stop_price: price(loss) }] {
            self.open_kind(strategy, Side::Sell, shares, kind);
            let last = self.situation.open_orders.last_mut().expect("it was opened a moment ago");
            (last.group, last.in_class) = (group.clone(), true);
        }
    }

    /// The order waits for a stop; without a limit when that is empty.
    pub(super) fn stop(&mut self, stop: &str, limit: &str) {
        let stop_price = price(stop);
        self.submit.kind = match kind(limit).limit_price() {
            Some(limit_price) => OrderKind::StopLimit { stop_price, limit_price },
            None => OrderKind::Stop { stop_price },
        };
    }

    /// So many shares behind a stop.
    pub(super) fn stopped(&mut self, shares: &str, stop: &str, limit: &str) {
        self.buy(shares, "");
        self.stop(stop, limit);
    }

    pub(super) fn trail_price(&mut self, distance: &str) {
        self.submit.kind = OrderKind::TrailingStop { trail: Trail::Price(price(distance)) };
    }

    pub(super) fn trail_percent(&mut self, percent: &str) {
        let percent = percent.parse().expect(percent);
        self.submit.kind = OrderKind::TrailingStop { trail: Trail::Percent(percent) };
    }

    /// So many shares behind a trailing stop.
    pub(super) fn trailed(&mut self, shares: &str, distance: &str) {
        self.buy(shares, "");
        self.trail_price(distance);
    }

    /// The order is the entry of a bracket.
    pub(super) fn bracket(&mut self, profit: &str, loss: &str) {
        let stop_loss = StopLoss { stop_price: price(loss), limit_price: None };
        self.submit.class = OrderClass::Bracket { take_profit: price(profit), stop_loss };
    }

    /// The order is the entry of an OTO.
    pub(super) fn oto(&mut self, exit: Exit) {
        self.submit.class = OrderClass::Oto(exit);
    }

    /// The order is an OCO of ten shares that sells.
    pub(super) fn oco(&mut self, profit: &str, loss: &str) {
        self.sell("10", profit);
        let stop_loss = StopLoss { stop_price: price(loss), limit_price: None };
        self.submit.class = OrderClass::Oco { stop_loss };
    }

    /// The day-trade rule of old is on.
    pub(super) fn legacy(&mut self) {
        let overrides = Overrides { day_trade_rule: Some(DayTradeRule::Legacy), ..Overrides::default() };
        self.limits = Limits::tightened(&overrides).expect("tighter");
    }

    /// Both prices are this old.
    pub(super) fn age(&mut self, secs: u64) {
        let time = self.now - Duration::from_secs(secs);
        self.situation.quote.as_mut().expect("the calm world has a quote").time = time;
        self.situation.last_price.as_mut().expect("the calm world has a last price").time = time;
    }

    pub(super) fn nav(&mut self, nav: &str) {
        let overrides = Overrides { nav_usd: Some(usd(nav).get()), ..Overrides::default() };
        self.limits = Limits::tightened(&overrides).expect("tighter");
    }
}

fn kind(limit: &str) -> OrderKind {
    if limit.is_empty() { OrderKind::Market } else { OrderKind::Limit { limit_price: price(limit) } }
}
