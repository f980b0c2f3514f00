//! A calm world in which a small order passes every gate, for the tables of cases: each row changes one
//! thing.

use std::time::Duration;

use sandpit_types::{
    MarketTime, OrderKind, Price, Qty, Quote, Refusal, Side, StrategyName, StrategyOrderId, Submit, Symbol,
    TimeInForce, Usd,
};

use super::{Case, Gate, Used};
use crate::{LastPrice, Limits, OpenOrder, Overrides, Situation};

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
        Case { strategy, submit, situation, limits, used: *used, now: *now }
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
        self.situation.open_orders.push(OpenOrder {
            strategy: StrategyName::new(strategy),
            side,
            remaining: qty(shares),
            limit_price: kind(limit).limit_price(),
        });
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
