//! A venue that forgets what is over beside one that does not: the same calls, and the same of everything
//! but the list of old orders. The one that keeps all is led from deadline to deadline besides.

use std::{fmt::Debug, time::Duration};

use rust_decimal::Decimal;
use sandpit_types::{
    Bar, BrokerOrderId, MarketEvent, MarketTime, Price, Qty, Quote, Side, Symbol, Trade, Usd,
};
use sandpit_venue::{
    Amount, CancelReject, Class, ClassKind, ClosePart, EventKind, NewOrder, OrderKind, OrderState, Realism,
    Replacement, StopLoss, TimeInForce, Trail, Venue, VenueConfig, VenueEvent,
};

const SCRIPTS: u64 = 1500;
const STEPS: usize = 80;
const SYMBOLS: [&str; 2] = ["A", "B"];

/// Numbers out of a seed (splitmix64).
struct Draws(u64);

impl Draws {
    /// Below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.below(these.len() as u64) as usize]
    }
}

/// What happened in all scripts together, so that the comparison is never of nothing.
#[derive(Debug, Default)]
struct Tally {
    gone: usize,
    gone_with_open_ones: usize,
    fills: usize,
    exits: usize,
    late_cancels: usize,
    late_replaces: usize,
    by_itself: usize,
}

struct Twins {
    seed: u64,
    draws: Draws,
    now: MarketTime,
    keeps: Venue,
    forgets: Venue,
    gone: usize,
    /// What happened by itself to the one that keeps all.
    by_itself: Vec<VenueEvent>,
}

fn cents(cents: u64) -> Price {
    Price::new(Decimal::new(cents as i64, 2))
}

impl Twins {
    fn new(seed: u64) -> Self {
        let now = MarketTime::parse("2026-06-02T13:31:00Z").expect("a time in a session");
        let mut draws = Draws(seed);
        let realism = draws.one_of(&[Realism::exact(), Realism::paper(), Realism::live(), Realism::live()]);
        let config =
            VenueConfig { seed, realism, always_open: draws.below(8) == 0, ..VenueConfig::default() };
        let symbols = SYMBOLS.map(Symbol::new);
        let venue = || Venue::new(config.clone(), &symbols, now);
        Self { seed, draws, now, keeps: venue(), forgets: venue(), gone: 0, by_itself: Vec::new() }
    }

    /// The same call to both.
    fn both<T: Debug>(&mut self, call: impl Fn(&mut Venue, MarketTime) -> T) {
        let (one, other) = (call(&mut self.keeps, self.now), call(&mut self.forgets, self.now));
        assert_eq!(format!("{one:?}"), format!("{other:?}"), "seed {}", self.seed);
    }

    fn step(&mut self, tally: &mut Tally) {
        let pause = match self.draws.below(40) {
            0 => 7 * 3_600_000,
            1..=5 => 60_000,
            _ => self.draws.one_of(&[1, 1, 2, 5, 20, 1000]),
        };
        self.now = self.now + Duration::from_millis(pause);
        self.wait();
        match self.draws.below(10) {
            0..=3 => self.market(),
            4 => self.about_an_order(|venue, id, now| format!("{:?}", venue.cancel(id, now))),
            5 => {
                let qty = Some(Qty::new((1 + self.draws.below(200)).into()));
                let change = Replacement { qty, ..Replacement::default() };
                self.about_an_order(move |venue, id, now| {
                    format!("{:?}", venue.replace(id, change.clone(), now))
                });
            }
            6 => {
                let limit_price = Some(cents(9000 + self.draws.below(2000)));
                let stop_price = Some(cents(9000 + self.draws.below(2000)));
                self.about_an_order(move |venue, id, now| {
                    let limit = Replacement { limit_price, ..Replacement::default() };
                    let stop = Replacement { stop_price, ..Replacement::default() };
                    let taken = (venue.replace(id, limit, now), venue.replace(id, stop, now));
                    format!("{taken:?}")
                });
            }
            7 => {
                let symbol = Symbol::new(self.draws.one_of(&SYMBOLS));
                self.both(move |venue, now| venue.close_position(&symbol, ClosePart::All, now));
            }
            _ => {
                let order = self.order();
                self.both(move |venue, now| venue.submit(order.clone(), now));
            }
        }
        self.forget(tally);
        self.compare();
    }

    /// Nothing happens before the deadline, and what happens then bears its time.
    fn wait(&mut self) {
        while self.keeps.deadline() <= self.now {
            let due = self.keeps.deadline();
            self.keeps.advance(due - Duration::from_nanos(1));
            assert_eq!(self.keeps.drain_events(), [], "seed {}: before {due}", self.seed);
            self.keeps.advance(due);
            assert_eq!(self.keeps.now(), due, "seed {}", self.seed);
            let events = self.keeps.drain_events();
            assert!(events.iter().all(|event| event.time == due), "seed {}: {events:?}", self.seed);
            self.by_itself.extend(events);
        }
        self.both(|venue, now| venue.advance(now));
    }

    fn market(&mut self) {
        let (symbol, time) = (Symbol::new(self.draws.one_of(&SYMBOLS)), self.now);
        let close = (9500 + self.draws.below(1000)) as f64 / 100.0;
        let size = self.draws.below(300);
        let event = match self.draws.below(4) {
            0 | 1 => MarketEvent::Quote(Quote {
                symbol,
                time,
                bid: close,
                bid_size: size,
                ask: close + 0.02,
                ask_size: size,
            }),
            2 => MarketEvent::Trade(Trade { symbol, time, price: close, size }),
            _ => MarketEvent::Bar(Bar {
                symbol,
                start: time.minute(),
                open: close,
                high: close + 0.3,
                low: close - 0.3,
                close,
                volume: 10 * size,
                vwap: close,
            }),
        };
        self.both(move |venue, _| venue.on_market(&event));
    }

    /// A request about an order that both have, open or not.
    fn about_an_order(&mut self, ask: impl Fn(&mut Venue, &BrokerOrderId, MarketTime) -> String) {
        let known: Vec<_> = self.forgets.orders().rev().take(6).map(|order| order.id.clone()).collect();
        if !known.is_empty() {
            let id = known[self.draws.below(known.len() as u64) as usize].clone();
            self.both(move |venue, now| ask(venue, &id, now));
        }
    }

    fn order(&mut self) -> NewOrder {
        let near = 9500 + self.draws.below(1000);
        let stop = StopLoss { stop_price: cents(9300), limit_price: None };
        let class = match self.draws.below(6) {
            0 => Class::Bracket { take_profit: cents(10_600), stop_loss: stop },
            1 => Class::Bracket { take_profit: cents(10_040), stop_loss: stop },
            2 => Class::OtoStopLoss { stop_loss: stop },
            3 => Class::Oco { stop_loss: stop },
            _ => Class::Simple,
        };
        let is_oco = matches!(class, Class::Oco { .. });
        let kind = match self.draws.below(5) {
            _ if is_oco => OrderKind::Limit { limit_price: cents(near + 100) },
            0 | 1 => OrderKind::Market,
            2 => OrderKind::Limit { limit_price: cents(near) },
            3 => OrderKind::Stop { stop_price: cents(near) },
            _ => OrderKind::TrailingStop { trail: Trail::Price(cents(20)) },
        };
        let is_sale = is_oco || (class == Class::Simple && self.draws.below(2) == 0);
        let amount = match self.draws.below(6) {
            0 => Amount::Notional(Usd::new((50 + self.draws.below(1000)).into())),
            _ => Amount::Qty(Qty::new((1 + self.draws.below(300)).into())),
        };
        let times = [TimeInForce::Day, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Cls];
        NewOrder {
            client_order_id: None,
            symbol: Symbol::new(self.draws.one_of(&SYMBOLS)),
            side: if is_sale { Side::Sell } else { Side::Buy },
            amount,
            kind,
            time_in_force: self.draws.one_of(&times[..if class == Class::Simple { 4 } else { 2 }]),
            extended_hours: false,
            class,
            position_intent: None,
        }
    }

    fn forget(&mut self, tally: &mut Tally) {
        let age = self.draws.one_of(&[0, 0, 1, 100, 60_000]);
        let gone = self.forgets.forget_closed_before(self.now - Duration::from_millis(age));
        self.gone += gone;
        tally.gone += gone;
        tally.gone_with_open_ones += if self.forgets.open_orders().len() > 0 { gone } else { 0 };
    }

    fn compare(&self) {
        let seed = self.seed;
        let (keeps, forgets) = (&self.keeps, &self.forgets);
        assert_eq!(keeps.account(), forgets.account(), "seed {seed}");
        assert!(keeps.positions().eq(forgets.positions()), "seed {seed}");
        assert!(keeps.open_orders().eq(forgets.open_orders()), "seed {seed}");
        assert_eq!((keeps.deadline(), keeps.fees()), (forgets.deadline(), forgets.fees()), "seed {seed}");
        assert!(keeps.orders().skip(self.gone).eq(forgets.orders()), "seed {seed}");
        let since = |venue: &Venue| venue.orders_while(|at| at < self.now);
        assert_eq!(since(keeps).saturating_sub(self.gone), since(forgets), "seed {seed}");
        for (place, order) in forgets.orders().enumerate() {
            assert_eq!(forgets.place(&order.id), Some(place), "seed {seed}");
            assert_eq!(forgets.orders_at(place..place + 1).next(), Some(order), "seed {seed}");
            assert_eq!(forgets.by_client_id(&order.client_order_id), Some(order), "seed {seed}");
        }
        if let Some(order) = keeps.orders().take(self.gone).next_back() {
            assert_eq!(forgets.order(&order.id), None, "seed {seed}");
            assert_eq!(forgets.place(&order.id), None, "seed {seed}");
            assert_eq!(forgets.by_client_id(&order.client_order_id), None, "seed {seed}");
        }
    }

    fn events(&mut self, tally: &mut Tally) {
        tally.by_itself += self.by_itself.len();
        let mut kept = std::mem::take(&mut self.by_itself);
        kept.extend(self.keeps.drain_events());
        let forgot = self.forgets.drain_events();
        assert_eq!(kept, forgot, "seed {}", self.seed);
        for event in kept {
            tally.fills += usize::from(event.qty.is_some());
            let is_exit = event.order.parent.is_some() || event.order.class == ClassKind::Oco;
            tally.exits += usize::from(event.kind == EventKind::Fill && is_exit);
            tally.late_cancels += usize::from(event.kind == EventKind::CancelRejected);
            tally.late_replaces += usize::from(event.kind == EventKind::ReplaceRejected);
        }
    }
}

#[test]
fn forgetting_changes_nothing_else() {
    let mut tally = Tally::default();
    for seed in 0..SCRIPTS {
        let mut twins = Twins::new(seed);
        for _ in 0..STEPS {
            twins.step(&mut tally);
            twins.events(&mut tally);
        }
        twins.now = twins.now + Duration::from_secs(100 * 86_400);
        twins.wait();
        twins.events(&mut tally);
        twins.forget(&mut tally);
        assert_eq!(twins.forgets.orders().len(), 0, "seed {seed}: nothing is open");
    }
    println!("{tally:?}");
    assert!(tally.gone > 10_000 && tally.gone_with_open_ones > 2000, "{tally:?}");
    assert!(tally.fills > 5000 && tally.exits > 200, "{tally:?}");
    assert!(tally.late_cancels > 50 && tally.late_replaces > 5, "{tally:?}");
    assert!(tally.by_itself > 5000, "{tally:?}");
}

/// The first order rests, the second is over, then the first one is.
#[test]
fn the_oldest_open_order_keeps_the_younger_ones() {
    let now = MarketTime::parse("2026-03-02T15:00:00Z").expect("a time in a session");
    let later = now + Duration::from_secs(1);
    let mut venue = Venue::new(VenueConfig::default(), &[Symbol::new("A")], now);
    let order = |id: &str| NewOrder {
        client_order_id: Some(id.to_owned()),
        symbol: Symbol::new("A"),
        side: Side::Buy,
        amount: Amount::Qty(Qty::new(1.into())),
        kind: OrderKind::Limit { limit_price: cents(1000) },
        time_in_force: TimeInForce::Day,
        extended_hours: false,
        class: Class::Simple,
        position_intent: None,
    };
    let first = venue.submit(order("first"), now).expect("taken");
    let second = venue.submit(order("second"), now).expect("taken");
    venue.cancel(&second, now).expect("it is open");
    assert_eq!(venue.forget_closed_before(later), 0, "the first one is open");
    assert_eq!(venue.order(&second).map(|order| order.state), Some(OrderState::Canceled));
    venue.cancel(&first, later).expect("it is open");
    assert_eq!(venue.forget_closed_before(later), 0, "the first one is as new as that");
    assert_eq!(venue.forget_closed_before(later + Duration::from_nanos(1)), 2);
    let not_found = venue.cancel(&first, later).expect_err("nobody finds it");
    assert!(matches!(not_found, CancelReject::NotFound { .. }), "{not_found}");
    assert!(venue.submit(order("first"), later).is_ok(), "its name is free again");
}
