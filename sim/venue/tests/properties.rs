//! Random scripts: what holds after every step, whatever was asked.

use std::{collections::HashMap, time::Duration};

use proptest::prelude::*;
use rust_decimal::Decimal;
use sandpit_types::{BrokerOrderId, MarketEvent, MarketTime, Price, Qty, Quote, Side, Symbol, Trade, Usd};
use sandpit_venue::{
    Amount, Class, ClosePart, EventKind, NewOrder, OrderKind, OrderState, Phase, TimeInForce, Venue,
    VenueAccount, VenueConfig, VenueEvent,
};

const SYMBOLS: [&str; 2] = ["A", "B"];

/// One step of a script. Prices are in cents.
#[derive(Clone, Debug)]
enum Step {
    Quote {
        symbol: usize,
        bid: i64,
        spread: i64,
        sizes: (u64, u64),
    },
    Trade {
        symbol: usize,
        price: i64,
    },
    Submit {
        symbol: usize,
        side: Side,
        nanos: i64,
        limit: Option<i64>,
        time_in_force: TimeInForce,
        extended: bool,
    },
    Cancel {
        nth: usize,
    },
    Close {
        symbol: usize,
        shares: Option<i64>,
    },
    Wait {
        minutes: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let symbol = 0..SYMBOLS.len();
    let cents = 980_i64..1020;
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let time_in_force = prop_oneof![
        4 => Just(TimeInForce::Day),
        2 => Just(TimeInForce::Gtc),
        1 => Just(TimeInForce::Ioc),
        1 => Just(TimeInForce::Fok)
    ];
    let nanos =
        prop_oneof![6 => (1_i64..400).prop_map(|shares| shares * 1_000_000_000), 1 => 1_i64..5_000_000_000];
    let size = 0_u64..300;
    let step = prop_oneof![
        5 => (symbol.clone(), cents.clone(), 0_i64..5, (size.clone(), size))
            .prop_map(|(symbol, bid, spread, sizes)| Step::Quote { symbol, bid, spread, sizes }),
        1 => (symbol.clone(), cents.clone()).prop_map(|(symbol, price)| Step::Trade { symbol, price }),
        6 => (symbol.clone(), side, nanos, proptest::option::of(cents), time_in_force, any::<bool>())
            .prop_map(|(symbol, side, nanos, limit, time_in_force, extended)| Step::Submit {
                symbol, side, nanos, limit, time_in_force, extended
            }),
        2 => (0_usize..8).prop_map(|nth| Step::Cancel { nth }),
        1 => (symbol, proptest::option::of(1_i64..200))
            .prop_map(|(symbol, shares)| Step::Close { symbol, shares }),
        1 => (1_u64..400).prop_map(|minutes| Step::Wait { minutes }),
    ];
    proptest::collection::vec(step, 1..120)
}

/// A venue under test, and what an outsider knows of it from its events alone.
struct Run {
    venue: Venue,
    now: MarketTime,
    events: Vec<VenueEvent>,
    states: HashMap<BrokerOrderId, OrderState>,
    held: HashMap<Symbol, Qty>,
    /// What each side of each symbol showed last, and what fills took of it.
    shown: HashMap<(Symbol, Side), (Price, Qty)>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let now = MarketTime::parse("2013-10-07T09:00:00-04:00").expect("a time");
        let config = VenueConfig { cash: Usd::new(Decimal::from(5_000)), seed, ..VenueConfig::default() };
        Self {
            venue: Venue::new(config, &SYMBOLS.map(Symbol::new), now),
            now,
            events: Vec::new(),
            states: HashMap::new(),
            held: HashMap::new(),
            shown: HashMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        self.now = self.now + Duration::from_secs(1);
        match *step {
            Step::Quote { symbol, bid, spread, sizes } => self.quote(symbol, bid, bid + spread, sizes),
            Step::Trade { symbol, price } => self.venue.on_market(&MarketEvent::Trade(Trade {
                symbol: Symbol::new(SYMBOLS[symbol]),
                time: self.now,
                price: dollars(price),
                size: 100,
            })),
            Step::Submit { symbol, side, nanos, limit, time_in_force, extended } => {
                let order = NewOrder {
                    client_order_id: None,
                    symbol: Symbol::new(SYMBOLS[symbol]),
                    side,
                    amount: Amount::Qty(Qty::from_nanos(nanos)),
                    kind: limit
                        .map_or(OrderKind::Market, |limit| OrderKind::Limit { limit_price: cents(limit) }),
                    time_in_force,
                    extended_hours: extended,
                    class: Class::Simple,
                    position_intent: None,
                };
                self.request(|venue, now| venue.submit(order, now).is_ok());
            }
            Step::Cancel { nth } => {
                let id = self.venue.orders().rev().nth(nth).map(|order| order.id.clone());
                let id = id.unwrap_or_else(|| BrokerOrderId::new("none"));
                self.request(|venue, now| venue.cancel(&id, now).is_ok());
            }
            Step::Close { symbol, shares } => {
                let (symbol, qty) = (
                    Symbol::new(SYMBOLS[symbol]),
                    shares.map_or(ClosePart::All, |n| ClosePart::Qty(Qty::new(n.into()))),
                );
                self.request(|venue, now| venue.close_position(&symbol, qty, now).is_ok());
            }
            Step::Wait { minutes } => {
                self.now = self.now + Duration::from_secs(60 * minutes);
                self.venue.advance(self.now);
            }
        }
        self.collect();
        self.check();
    }

    fn collect(&mut self) {
        let new = self.venue.drain_events();
        new.iter().for_each(|event| self.on_event(event));
        self.events.extend(new);
    }

    /// A request that is not taken changes nothing.
    fn request(&mut self, ask: impl FnOnce(&mut Venue, MarketTime) -> bool) {
        self.venue.advance(self.now);
        self.collect();
        let known = |venue: &Venue| (venue.account(), venue.orders().cloned().collect::<Vec<_>>());
        let before = known(&self.venue);
        if !ask(&mut self.venue, self.now) {
            assert_eq!(known(&self.venue), before);
        }
    }

    fn quote(&mut self, symbol: usize, bid: i64, ask: i64, sizes: (u64, u64)) {
        let symbol = Symbol::new(SYMBOLS[symbol]);
        // What falls due before the quote still meets the old one.
        self.venue.advance(self.now);
        self.collect();
        self.shown.insert((symbol.clone(), Side::Buy), (cents(ask), Qty::new(sizes.1.into())));
        self.shown.insert((symbol.clone(), Side::Sell), (cents(bid), Qty::new(sizes.0.into())));
        self.venue.on_market(&MarketEvent::Quote(Quote {
            symbol,
            time: self.now,
            bid: dollars(bid),
            bid_size: sizes.0,
            ask: dollars(ask),
            ask_size: sizes.1,
        }));
    }

    fn on_event(&mut self, event: &VenueEvent) {
        let order = &event.order;
        let before = self.states.insert(order.id.clone(), order.state).unwrap_or(match event.kind {
            EventKind::PendingNew => OrderState::PendingNew,
            _ => OrderState::Accepted,
        });
        assert_eq!(before.after(event.kind, order.filled_qty.is_positive()), Ok(order.state), "{event:?}");
        let (Some(qty), Some(price)) = (event.qty, event.price) else { return };
        assert!(qty.is_positive() && Some(order.filled_qty) <= order.qty(), "{event:?}");
        let held = self.held.entry(order.symbol.clone()).or_default();
        *held += order.side.signed(qty);
        assert_eq!(event.position_qty, Some(*held), "{event:?}");
        let (shown, left) = self.shown.get_mut(&(order.symbol.clone(), order.side)).expect("it was quoted");
        if price == *shown {
            *left -= qty;
            assert!(*left >= Qty::ZERO, "more than was shown: {event:?}");
        }
        let worse = order.side.signed(Qty::new((price - *shown).get()));
        match order.kind {
            OrderKind::Stop { .. } | OrderKind::StopLimit { .. } | OrderKind::TrailingStop { .. } => {
                unreachable!()
            }
            OrderKind::Market => assert!(worse == Qty::ZERO || worse == Qty::new(price.tick().get())),
            OrderKind::Limit { limit_price } => {
                assert!(worse.is_zero(), "a price that nobody showed: {event:?}");
                let through = order.side.signed(Qty::new((price - limit_price).get()));
                assert!(through <= Qty::ZERO, "filled through its limit: {event:?}");
            }
        }
    }

    fn check(&self) {
        let account = self.venue.account();
        self.check_money(&account);
        for symbol in SYMBOLS.map(Symbol::new) {
            self.check_position(&symbol);
        }
        let open = self.venue.open_orders().count();
        assert_eq!(open, self.venue.orders().filter(|order| order.is_open()).count());
        let opening = self.venue.open_orders().filter(|order| order.position_intent.opens()).count();
        assert!(account.held_for_orders >= Usd::ZERO);
        assert_eq!(account.held_for_orders.is_zero(), opening == 0, "buying power is held by opening orders");
        if self.venue.phase() == Phase::Closed {
            assert!(self.venue.open_orders().all(|order| order.expires_at > Some(self.now)));
        }
        assert!(self.venue.deadline() > self.venue.now());
    }

    fn check_money(&self, account: &VenueAccount) {
        let values: Usd = self.venue.positions().map(|position| position.market_value).sum();
        assert_eq!(account.cash + values, account.equity);
        assert_eq!(account.long_market_value + account.short_market_value, values);
        let unrealized: Usd = self.venue.positions().map(|position| position.unrealized_pl).sum();
        assert_eq!(Usd::new(Decimal::from(5_000)) + account.realized_pl + unrealized, account.equity);
        let paid: Usd = self
            .events
            .iter()
            .filter_map(|event| Some(event.price? * event.order.side.signed(event.qty?)))
            .sum();
        assert_eq!(Usd::new(Decimal::from(5_000)) - paid, account.cash);
        assert!(account.buying_power >= Usd::ZERO);
    }

    fn check_position(&self, symbol: &Symbol) {
        let position = self.venue.position(symbol);
        let (qty, free) = position.as_ref().map_or((Qty::ZERO, Qty::ZERO), |p| (p.qty, p.qty_available));
        assert_eq!(qty, self.held.get(symbol).copied().unwrap_or_default());
        let closing = self
            .venue
            .open_orders()
            .filter(|order| &order.symbol == symbol && !order.position_intent.opens());
        let reserved: Qty = closing.map(|order| order.remaining()).sum();
        assert_eq!(qty.abs() - free.abs(), reserved);
        assert!(reserved <= qty.abs());
        for order in self.venue.orders().filter(|order| &order.symbol == symbol) {
            let fills = self.events.iter().filter(|event| event.order.id == order.id);
            let filled: Qty = fills.filter_map(|event| event.qty).sum();
            assert_eq!(filled, order.filled_qty);
        }
    }
}

fn cents(cents: i64) -> Price {
    Price::new(Decimal::new(cents, 2))
}

fn dollars(cents: i64) -> f64 {
    cents as f64 / 100.0
}

fn log(seed: u64, script: &[Step]) -> Vec<VenueEvent> {
    let mut run = Run::new(seed);
    script.iter().for_each(|step| run.step(step));
    run.events
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_books_balance_after_every_step(seed in any::<u64>(), script in steps()) {
        log(seed, &script);
    }

    #[test]
    fn the_same_seed_and_script_give_the_same_log(seed in any::<u64>(), script in steps()) {
        let first = log(seed, &script);
        prop_assert_eq!(format!("{:?}", log(seed, &script)), format!("{first:?}"));
        let other = log(seed.wrapping_add(1), &script);
        prop_assert_eq!(other.len(), first.len());
        if let (Some(one), Some(two)) = (first.first(), other.first()) {
            prop_assert_ne!(&one.order.id, &two.order.id);
        }
    }
}

/// The scripts above are worth something only if they fill, rest, expire and get rejected often enough.
#[test]
fn the_scripts_reach_every_event() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut counts: HashMap<EventKind, usize> = HashMap::new();
    let mut shorts = 0;
    for seed in 0..100 {
        let script = steps().new_tree(&mut runner).expect("a script").current();
        for event in log(seed, &script) {
            *counts.entry(event.kind).or_default() += 1;
            shorts += usize::from(event.position_qty.is_some_and(|qty| qty < Qty::ZERO));
        }
    }
    for kind in
        [EventKind::New, EventKind::PartialFill, EventKind::Fill, EventKind::Canceled, EventKind::Expired]
    {
        assert!(counts.get(&kind).is_some_and(|&count| count >= 50), "{kind:?}: {counts:?}");
    }
    assert!(shorts >= 50, "{shorts} fills of short positions");
}
