//! Random scripts: what holds after every step, whatever was asked, with every kind, class and realism, and
//! that all of it comes to an end. `PROPTEST_CASES=20000` makes the run longer.

use std::{collections::HashMap, time::Duration};

use proptest::prelude::*;
use rust_decimal::{Decimal, RoundingStrategy};
use sandpit_types::{
    Bar, BrokerOrderId, MarketEvent, MarketTime, Price, Qty, Quote, Side, Symbol, Trade, Usd,
};
use sandpit_venue::{
    Amount, Class, ClassKind, ClosePart, DayTradeRule, EventKind, Listing, NewOrder, OrderKind, OrderState,
    Phase, Realism, Replacement, StopLoss, TimeInForce, Trail, Venue, VenueAccount, VenueConfig, VenueEvent,
    VenueOrder,
};

const SYMBOLS: [&str; 2] = ["A", "B"];

/// Days before and after intraday margin began.
const STARTS: [&str; 2] = ["2026-06-03T09:00:00-04:00", "2026-06-08T09:00:00-04:00"];

/// Prices in cents and shares in nano at the ends of what there is.
const PRICES: [i64; 6] = [1, 99, 100, 12_345, 50_000_000_000, 99_999_999_999];
const NANOS: [i64; 6] = [
    1,
    999_999_999,
    1_000_000_000,
    123_456_789_012_345_678,
    999_999_999_999_999_999,
    1_000_000_000_000_000_000,
];

/// How a venue is set up.
#[derive(Clone, Debug)]
struct Setup {
    config: VenueConfig,
    start: &'static str,
    margin_limit: u32,
    /// Whether each symbol is bought on margin.
    marginable: [bool; SYMBOLS.len()],
    /// How exact sums of money are: wholly, unless they are absurdly large.
    exactness: Usd,
}

impl Setup {
    fn plain(seed: u64, realism: Realism) -> Self {
        let cash = Usd::new(Decimal::from(5_000));
        Self {
            config: VenueConfig { cash, seed, realism, ..VenueConfig::default() },
            start: STARTS[0],
            margin_limit: 4,
            marginable: [true; SYMBOLS.len()],
            exactness: Usd::ZERO,
        }
    }
}

fn setup() -> impl Strategy<Value = Setup> {
    let rule = prop_oneof![4 => Just(DayTradeRule::Intraday), 1 => Just(DayTradeRule::Legacy)];
    let cash = prop_oneof![6 => Just(5_000_i64), 1 => Just(1_900), 1 => Just(26_000)];
    let often = prop_oneof![5 => Just(true), 1 => Just(false)];
    let rarely = prop_oneof![7 => Just(false), 1 => Just(true)];
    let limit = prop_oneof![6 => Just(4_u32), 1 => Just(2), 1 => Just(1)];
    let start = proptest::sample::select(STARTS.to_vec());
    (any::<u64>(), realism(), rule, cash, (often.clone(), often), rarely, limit, start).prop_map(
        |(seed, realism, day_trade_rule, cash, marginable, always_open, margin_limit, start)| Setup {
            config: VenueConfig {
                cash: Usd::new(Decimal::from(cash)),
                seed,
                realism,
                always_open,
                day_trade_rule,
                ..VenueConfig::default()
            },
            start,
            margin_limit,
            marginable: [marginable.0, marginable.1],
            exactness: Usd::ZERO,
        },
    )
}

/// Cash without end, and sums beyond which decimals end.
fn large_setup() -> impl Strategy<Value = Setup> {
    setup().prop_map(|setup| Setup {
        config: VenueConfig { cash: Usd::new(Decimal::from(1_000_000_000_000_i64)), ..setup.config },
        exactness: Usd::new(Decimal::new(1, 6)),
        ..setup
    })
}

type Tif = Option<TimeInForce>;

/// One step of a script. Prices are in cents.
#[derive(Clone, Debug)]
enum Step {
    Quote { symbol: usize, bid: i64, spread: i64, sizes: (u64, u64) },
    Trade { symbol: usize, price: i64 },
    Bar { symbol: usize, price: i64, reach: i64, volume: u64 },
    Submit(Submit),
    Replace { nth: usize, qty: Option<i64>, price: Option<i64>, trail: Option<i64>, tif: Tif },
    Cancel { nth: usize },
    Close { symbol: usize, part: Option<i64>, is_percent: bool },
    Force { nth: usize, event: EventKind },
    Halt { symbol: usize, halted: bool },
    Stick { stuck: bool },
    Wait { seconds: u64 },
}

#[derive(Clone, Debug)]
struct Submit {
    symbol: usize,
    side: Side,
    nanos: i64,
    is_notional: bool,
    kind: u8,
    prices: (i64, i64, i64),
    time_in_force: TimeInForce,
    class: u8,
    extended: bool,
}

impl Submit {
    fn order(&self) -> NewOrder {
        let (a, b, c) = (cents(self.prices.0), cents(self.prices.1), cents(self.prices.2));
        let kind = match self.kind {
            0..=1 => OrderKind::Market,
            2..=5 => OrderKind::Limit { limit_price: a },
            6 | 10 => OrderKind::Stop { stop_price: a },
            7 | 11 => OrderKind::StopLimit { stop_price: a, limit_price: b },
            8 => OrderKind::TrailingStop { trail: Trail::Price(cents(1 + self.prices.1 % 10)) },
            _ => OrderKind::TrailingStop { trail: Trail::Percent(Decimal::new(1 + self.prices.1 % 20, 1)) },
        };
        let stop_loss = StopLoss { stop_price: c, limit_price: (self.prices.1 % 2 == 0).then_some(c) };
        let class = match self.class {
            0 => Class::Bracket { take_profit: b, stop_loss },
            1 => Class::Oco { stop_loss },
            2 => Class::OtoTakeProfit { take_profit: b },
            3 => Class::OtoStopLoss { stop_loss },
            _ => Class::Simple,
        };
        let amount = if self.is_notional {
            Amount::Notional(Usd::new(Qty::from_nanos(self.nanos).get()))
        } else {
            Amount::Qty(Qty::from_nanos(self.nanos))
        };
        NewOrder {
            client_order_id: None,
            symbol: Symbol::new(SYMBOLS[self.symbol]),
            side: self.side,
            amount,
            kind,
            time_in_force: self.time_in_force,
            extended_hours: self.extended,
            class,
            position_intent: None,
        }
    }
}

fn time_in_force() -> impl Strategy<Value = TimeInForce> {
    prop_oneof![
        8 => Just(TimeInForce::Day),
        4 => Just(TimeInForce::Gtc),
        1 => Just(TimeInForce::Ioc),
        1 => Just(TimeInForce::Fok),
        1 => Just(TimeInForce::Opg),
        1 => Just(TimeInForce::Cls),
    ]
}

fn submit() -> impl Strategy<Value = Step> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let nanos =
        prop_oneof![8 => (1_i64..300).prop_map(|shares| shares * 1_000_000_000), 1 => 1_i64..50_000_000_000];
    // Exits lie on either side of the entry, whichever way it goes.
    let prices = (985_i64..1015, 985_i64..1020, 975_i64..1030);
    let what = (nanos, prop_oneof![9 => Just(false), 1 => Just(true)], 0_u8..12, 0_u8..9);
    (0..SYMBOLS.len(), side, what, prices, time_in_force(), prop_oneof![6 => Just(false), 1 => Just(true)])
        .prop_map(|(symbol, side, (nanos, is_notional, kind, class), prices, time_in_force, extended)| {
            // Groups want certain kinds, times and prices: otherwise hardly one would be taken.
            let is_group = class < 4;
            let kind = if class == 1 {
                2
            } else if is_group {
                kind % 4
            } else {
                kind
            };
            // An exit of both sorts needs shares that are free.
            let nanos = if class == 1 { 1_000_000_000 * (1 + nanos / 1_000_000_000 % 20) } else { nanos };
            let (low, mid, high) = (prices.0.min(prices.1).min(prices.2) - 12, prices.0, prices.0 + 10);
            let exit_sells = (class == 1) == (side == Side::Sell);
            let prices = match (is_group, exit_sells) {
                (false, _) => prices,
                (true, true) if class == 1 => (1_008 + mid % 8, mid, 983 + low % 8),
                (true, false) if class == 1 => (992 - mid % 8, mid, 1_017 - low % 8),
                (true, true) => (mid, high, low),
                (true, false) => (mid, low, high + 5),
            };
            let time_in_force = if is_group && !matches!(time_in_force, TimeInForce::Gtc) {
                TimeInForce::Day
            } else {
                time_in_force
            };
            let submit =
                Submit { symbol, side, nanos, is_notional, kind, prices, time_in_force, class, extended };
            Step::Submit(submit)
        })
}

fn forced() -> impl Strategy<Value = EventKind> {
    proptest::sample::select(vec![
        EventKind::Rejected,
        EventKind::DoneForDay,
        EventKind::Stopped,
        EventKind::Suspended,
        EventKind::Calculated,
        EventKind::Canceled,
        EventKind::Expired,
        EventKind::New,
        EventKind::Fill,
    ])
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let symbol = 0..SYMBOLS.len();
    let price = 980_i64..1020;
    let size = 0_u64..300;
    let tif = proptest::option::of(time_in_force());
    let seconds = prop_oneof![3 => 60_u64..24_000, 1 => 24_000_u64..200_000];
    let option = |range: std::ops::Range<i64>| proptest::option::of(range);
    let step = prop_oneof![
        12 => (symbol.clone(), price.clone(), 0_i64..5, (size.clone(), size))
            .prop_map(|(symbol, bid, spread, sizes)| Step::Quote { symbol, bid, spread, sizes }),
        6 => (symbol.clone(), price.clone()).prop_map(|(symbol, price)| Step::Trade { symbol, price }),
        1 => (symbol.clone(), price.clone(), 0_i64..9, 0_u64..5000)
            .prop_map(|(symbol, price, reach, volume)| Step::Bar { symbol, price, reach, volume }),
        14 => submit(),
        3 => (0_usize..4, option(1..300), option(980..1020), option(1..20), tif)
            .prop_map(|(nth, qty, price, trail, tif)| Step::Replace { nth, qty, price, trail, tif }),
        3 => (0_usize..8).prop_map(|nth| Step::Cancel { nth }),
        2 => (symbol.clone(), option(1..200), any::<bool>())
            .prop_map(|(symbol, part, is_percent)| Step::Close { symbol, part, is_percent }),
        2 => (0_usize..3, forced()).prop_map(|(nth, event)| Step::Force { nth, event }),
        1 => (symbol, prop_oneof![1 => Just(true), 3 => Just(false)])
            .prop_map(|(symbol, halted)| Step::Halt { symbol, halted }),
        1 => prop_oneof![1 => Just(true), 3 => Just(false)].prop_map(|stuck| Step::Stick { stuck }),
        3 => seconds.prop_map(|seconds| Step::Wait { seconds }),
    ];
    proptest::collection::vec(step, 1..120)
}

/// Steps with the smallest and the largest numbers that are taken.
fn large_steps() -> impl Strategy<Value = Vec<Step>> {
    let symbol = 0..SYMBOLS.len();
    let cents = proptest::sample::select(PRICES.to_vec());
    let size = proptest::sample::select(vec![0_u64, 1, 1_000_000_000]);
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let nanos = proptest::sample::select(NANOS.to_vec());
    let what = (symbol.clone(), side, nanos, any::<bool>(), 0_u8..12, time_in_force());
    let submit = (what, (cents.clone(), cents.clone())).prop_map(
        |((symbol, side, nanos, is_notional, kind, time_in_force), (one, two))| {
            let time_in_force =
                if nanos % 1_000_000_000 == 0 && !is_notional { time_in_force } else { TimeInForce::Day };
            let (prices, class, extended) = ((one, two, one), 9, false);
            Step::Submit(Submit {
                symbol,
                side,
                nanos,
                is_notional,
                kind,
                prices,
                time_in_force,
                class,
                extended,
            })
        },
    );
    let step = prop_oneof![
        8 => (symbol.clone(), cents.clone(), 0_i64..5, (size.clone(), size))
            .prop_map(|(symbol, bid, spread, sizes)| Step::Quote { symbol, bid, spread, sizes }),
        3 => (symbol.clone(), cents.clone()).prop_map(|(symbol, price)| Step::Trade { symbol, price }),
        14 => submit,
        3 => (0_usize..4, proptest::option::of(1_i64..1_000_000_000), proptest::option::of(cents))
            .prop_map(|(nth, qty, price)| Step::Replace { nth, qty, price, trail: None, tif: None }),
        3 => (0_usize..8).prop_map(|nth| Step::Cancel { nth }),
        2 => (symbol, proptest::option::of(1_i64..200), any::<bool>())
            .prop_map(|(symbol, part, is_percent)| Step::Close { symbol, part, is_percent }),
        2 => (60_u64..90_000).prop_map(|seconds| Step::Wait { seconds }),
    ];
    proptest::collection::vec(step, 1..60)
}

/// What a group's orders did, by the order that was submitted first.
#[derive(Debug, Default)]
struct GroupCount {
    entered: Qty,
    exited: Qty,
    exits_filled: u32,
}

/// A venue under test, and what an outsider knows of it from its events alone.
struct Run {
    setup: Setup,
    realism: Realism,
    venue: Venue,
    now: MarketTime,
    events: Vec<VenueEvent>,
    states: HashMap<BrokerOrderId, OrderState>,
    /// The first order of a chain of replacements.
    firsts: HashMap<BrokerOrderId, BrokerOrderId>,
    /// Shares that a chain of replacements filled.
    filled: HashMap<BrokerOrderId, Qty>,
    groups: HashMap<BrokerOrderId, GroupCount>,
    held: HashMap<Symbol, Qty>,
    /// What each side of each symbol showed last, and what fills took of it; absent after a bar.
    shown: HashMap<(Symbol, Side), (Price, Qty)>,
    /// The price of the last trade or bar.
    last: HashMap<Symbol, Price>,
    /// At least and at most, what each share of an order that opens holds.
    reserves: HashMap<BrokerOrderId, (Decimal, Decimal)>,
}

impl Run {
    fn new(setup: Setup) -> Self {
        let now = MarketTime::parse(setup.start).expect("a time");
        let mut listings = SYMBOLS.map(Symbol::new).map(Listing::open);
        for (listing, marginable) in listings.iter_mut().zip(setup.marginable) {
            listing.marginable = marginable;
        }
        let mut venue = Venue::with_listings(setup.config.clone(), &listings, now);
        venue.set_margin_limit(setup.margin_limit);
        Self {
            realism: setup.config.realism,
            setup,
            venue,
            now,
            last: HashMap::new(),
            reserves: HashMap::new(),
            events: Vec::new(),
            states: HashMap::new(),
            firsts: HashMap::new(),
            filled: HashMap::new(),
            groups: HashMap::new(),
            held: HashMap::new(),
            shown: HashMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        self.now = self.now + Duration::from_millis(15);
        match step {
            Step::Quote { symbol, bid, spread, sizes } => self.quote(*symbol, *bid, bid + spread, *sizes),
            Step::Trade { symbol, price } => {
                let symbol = Symbol::new(SYMBOLS[*symbol]);
                self.last.insert(symbol.clone(), cents(*price));
                let (time, price) = (self.now, dollars(*price));
                self.venue.on_market(&MarketEvent::Trade(Trade { symbol, time, price, size: 100 }));
            }
            Step::Bar { symbol, price, reach, volume } => self.bar(*symbol, *price, *reach, *volume),
            Step::Submit(submit) => {
                let order = submit.order();
                let reserve = self.reserve(&order.symbol, order.side, order.kind);
                let made = self.request(|venue, now| venue.submit(order, now).ok());
                self.reserves.extend(made.zip(reserve));
            }
            Step::Replace { nth, qty, price, trail, tif } => {
                let id = self.nth(*nth);
                let kind = self.venue.order(&id).map(|order| order.kind);
                let change = Replacement {
                    qty: qty.map(|n| Qty::new(n.into())),
                    time_in_force: *tif,
                    limit_price: price.map(cents).filter(|_| kind.is_some_and(|k| k.limit_price().is_some())),
                    stop_price: price.map(cents).filter(|_| kind.is_some_and(|k| k.stop_price().is_some())),
                    trail: trail
                        .map(|n| Decimal::new(n, 1))
                        .filter(|_| kind.is_some_and(|k| k.trail().is_some())),
                    client_order_id: None,
                };
                self.request(|venue, now| venue.replace(&id, change, now).ok());
                self.note_reserve_of_newest();
            }
            Step::Cancel { nth } => {
                let id = self.nth(*nth);
                self.request(|venue, now| venue.cancel(&id, now).ok());
            }
            Step::Close { symbol, part, is_percent } => {
                let part = match part {
                    None => ClosePart::All,
                    Some(n) if *is_percent => ClosePart::Percent(Decimal::new(*n, 0)),
                    Some(n) => ClosePart::Qty(Qty::new((*n).into())),
                };
                let symbol = Symbol::new(SYMBOLS[*symbol]);
                self.request(|venue, now| venue.close_position(&symbol, part, now).ok());
            }
            Step::Force { nth, event } => {
                let id = self.nth(*nth);
                self.request(|venue, now| venue.force(&id, *event, now).ok());
            }
            Step::Halt { symbol, halted } => self.venue.set_halted(&Symbol::new(SYMBOLS[*symbol]), *halted),
            Step::Stick { stuck } => self.venue.set_stuck_cancels(*stuck),
            Step::Wait { seconds } => {
                self.now = self.now + Duration::from_secs(*seconds);
                self.venue.advance(self.now);
            }
        }
        self.collect();
        self.check();
    }

    fn nth(&self, nth: usize) -> BrokerOrderId {
        let id = self.venue.orders().rev().nth(nth).map(|order| order.id.clone());
        id.unwrap_or_else(|| BrokerOrderId::new("none"))
    }

    fn collect(&mut self) {
        let new = self.venue.drain_events();
        new.iter().for_each(|event| self.on_event(event));
        self.events.extend(new);
    }

    /// A request that is not taken changes nothing.
    fn request<T>(&mut self, ask: impl FnOnce(&mut Venue, MarketTime) -> Option<T>) -> Option<T> {
        self.venue.advance(self.now);
        self.collect();
        let known = |venue: &Venue| (venue.account(), venue.orders().cloned().collect::<Vec<_>>());
        let before = known(&self.venue);
        let made = ask(&mut self.venue, self.now);
        if made.is_none() {
            assert_eq!(known(&self.venue), before);
        }
        made
    }

    /// What each share of an order holds that opens, at least and at most: whether a quote may be met now is
    /// the venue's to say. `None` when there is no price for it.
    fn reserve(&self, symbol: &Symbol, side: Side, kind: OrderKind) -> Option<(Decimal, Decimal)> {
        let quote = self.venue.last_quote(symbol);
        let ask = quote.and_then(|quote| price_of(quote.ask));
        let middle =
            quote.and_then(|quote| Some((price_of(quote.bid)? + price_of(quote.ask)?) / Decimal::TWO));
        let last = self.last.get(symbol).map(|price| price.get());
        let offer = ask.or(last);
        let short = |own: Decimal| offer.map_or(own, |offer| own.max(offer * Decimal::new(103, 2)));
        let exactly = |price: Decimal| Some((price, price));
        match (side, kind) {
            (Side::Buy, OrderKind::Limit { limit_price } | OrderKind::StopLimit { limit_price, .. }) => {
                exactly(limit_price.get())
            }
            (Side::Buy, OrderKind::Stop { stop_price }) => exactly(elected_limit(stop_price.get())),
            (Side::Buy, OrderKind::TrailingStop { trail }) => {
                let mark = last.or(middle)?;
                let distance = match trail {
                    Trail::Price(price) => price.get(),
                    Trail::Percent(percent) => mark * percent / Decimal::ONE_HUNDRED,
                };
                let strategy = RoundingStrategy::MidpointAwayFromZero;
                let stop = (mark + distance).round_dp_with_strategy(decimals(mark + distance), strategy);
                exactly(elected_limit(stop))
            }
            (Side::Buy, OrderKind::Market) => {
                let next = offer? + Price::new(offer?).tick().get();
                Some((next, next.max(collar(offer?))))
            }
            (Side::Sell, OrderKind::Limit { limit_price } | OrderKind::StopLimit { limit_price, .. }) => {
                exactly(short(limit_price.get()))
            }
            (Side::Sell, OrderKind::Stop { stop_price }) => exactly(short(stop_price.get())),
            (Side::Sell, OrderKind::Market | OrderKind::TrailingStop { .. }) => {
                exactly(short(Decimal::ZERO)).filter(|_| offer.is_some())
            }
        }
    }

    /// A replacement is valued when it is asked for.
    fn note_reserve_of_newest(&mut self) {
        let Some(order) = self.venue.orders().next_back() else { return };
        let id = order.id.clone();
        if order.replaces.is_some() && !self.reserves.contains_key(&id) {
            let reserve = self.reserve(&order.symbol, order.side, order.kind);
            self.reserves.extend(reserve.map(|reserve| (id, reserve)));
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

    fn bar(&mut self, symbol: usize, price: i64, reach: i64, volume: u64) {
        let symbol = Symbol::new(SYMBOLS[symbol]);
        self.venue.advance(self.now);
        self.collect();
        self.last.insert(symbol.clone(), cents(price));
        let start = self.now - Duration::from_secs(60);
        self.venue.on_market(&MarketEvent::Bar(Bar {
            symbol: symbol.clone(),
            start,
            open: dollars(price),
            high: dollars(price + reach),
            low: dollars(price - reach),
            close: dollars(price),
            volume,
            vwap: dollars(price),
        }));
        // Whether it made a quote is the venue's to say; its size is not followed here.
        let quote = self.venue.last_quote(&symbol).cloned();
        if quote.is_some_and(|quote| quote.time == self.now && quote.bid == dollars(price)) {
            self.shown.remove(&(symbol.clone(), Side::Buy));
            self.shown.remove(&(symbol, Side::Sell));
        }
    }

    fn on_event(&mut self, event: &VenueEvent) {
        let order = &event.order;
        let has_filled = order.filled_qty.is_positive();
        // Nothing is announced of what is queued or held: an order that is new to us may have been that.
        let before = match self.states.insert(order.id.clone(), order.state) {
            Some(known) => vec![known, OrderState::Accepted],
            None => vec![OrderState::PendingNew, OrderState::Accepted, OrderState::Held],
        };
        let possible = before.iter().any(|state| state.after(event.kind, has_filled) == Ok(order.state));
        assert!(possible, "{before:?} {event:?}");
        let first = order.replaces.as_ref().and_then(|id| self.firsts.get(id)).unwrap_or(&order.id).clone();
        self.firsts.insert(order.id.clone(), first.clone());
        let (Some(qty), Some(price)) = (event.qty, event.price) else { return };
        assert!(qty.is_positive(), "{event:?}");
        assert!(order.qty().is_none_or(|all| order.filled_qty <= all), "{event:?}");
        let chain = self.filled.entry(first.clone()).or_default();
        *chain += qty;
        assert_eq!(*chain, order.filled_qty, "a chain of replacements counts each fill once: {event:?}");
        let held = self.held.entry(order.symbol.clone()).or_default();
        let before = *held;
        *held += order.side.signed(qty);
        assert_eq!(event.position_qty, Some(*held), "{event:?}");
        assert!((before.get() * held.get()) >= Decimal::ZERO, "a fill flipped the position: {event:?}");
        self.on_group_fill(event, &first, qty);
        check_limit(order, price);
        if self.realism == Realism::exact() {
            self.check_exact_price(event, qty, price);
        }
    }

    /// Legs never sell more than was entered, and one exit at most is filled.
    fn on_group_fill(&mut self, event: &VenueEvent, first: &BrokerOrderId, qty: Qty) {
        let order = &event.order;
        if order.class == ClassKind::Simple {
            return;
        }
        let parent = order.parent.as_ref().map(|id| self.firsts.get(id).unwrap_or(id).clone());
        let is_exit = parent.is_some() || order.class == ClassKind::Oco;
        let group = self.groups.entry(parent.unwrap_or_else(|| first.clone())).or_default();
        if order.class == ClassKind::Oco {
            let all = order.qty().expect("groups count in shares");
            // The stop-loss shrinks, so the take-profit's quantity is the measure.
            group.entered = group.entered.max(all);
        }
        if is_exit {
            group.exited += qty;
            group.exits_filled += u32::from(event.kind == EventKind::Fill);
        } else {
            group.entered += qty;
        }
        assert!(group.exited <= group.entered, "{group:?} {event:?}");
        assert!(group.exits_filled <= 1, "{group:?} {event:?}");
    }

    fn check_exact_price(&mut self, event: &VenueEvent, qty: Qty, price: Price) {
        let order = &event.order;
        let Some((shown, left)) = self.shown.get_mut(&(order.symbol.clone(), order.side)) else { return };
        let is_fractional = order.qty().is_none_or(|qty| !qty.get().fract().is_zero());
        let worse = order.side.signed(Qty::new((price - *shown).get()));
        if is_fractional {
            assert!(worse.is_zero(), "{event:?}");
            return;
        }
        if price == *shown {
            *left -= qty;
            assert!(*left >= Qty::ZERO, "more than was shown: {event:?}");
        }
        assert!(worse.is_zero() || left.is_zero(), "what was shown comes first: {event:?}");
        let is_at_market = working_limit(order).is_none();
        assert!(
            worse.is_zero() || (is_at_market && worse == Qty::new(shown.tick().get())),
            "a price that nobody showed: {event:?}"
        );
    }

    /// Nothing waits for ever: when nobody hinders it, all comes to an end within the time of a GTC order.
    fn finish(mut self) -> Vec<VenueEvent> {
        for symbol in SYMBOLS.map(Symbol::new) {
            self.venue.set_halted(&symbol, false);
        }
        self.venue.set_stuck_cancels(false);
        self.now = self.now + Duration::from_secs(100 * 86_400);
        self.venue.advance(self.now);
        self.collect();
        self.check();
        assert_eq!(self.venue.open_orders().next(), None, "an order that never ends");
        let account = self.venue.account();
        assert_eq!(account.held_for_orders, Usd::ZERO, "what nobody holds any more");
        for position in self.venue.positions() {
            assert_eq!(position.qty, position.qty_available, "shares that nobody reserves any more");
        }
        self.events
    }

    fn check(&self) {
        let account = self.venue.account();
        self.check_money(&account);
        self.check_holds(&account);
        self.check_legs();
        for symbol in SYMBOLS.map(Symbol::new) {
            self.check_position(&symbol);
        }
        let open = self.venue.open_orders().count();
        assert_eq!(open, self.venue.orders().filter(|order| order.is_open()).count());
        assert!(account.held_for_orders >= Usd::ZERO);
        if self.realism != Realism::live() && self.venue.phase() == Phase::Closed {
            assert!(self.venue.open_orders().all(|order| order.expires_at > Some(self.now)));
        }
        assert!(self.venue.deadline() > self.venue.now());
        for order in self.venue.orders() {
            let is_quiet =
                matches!(order.state, OrderState::Accepted | OrderState::Held | OrderState::PendingNew);
            assert!(is_quiet || self.states.get(&order.id) == Some(&order.state), "{order:?}");
        }
    }

    fn check_money(&self, account: &VenueAccount) {
        let values: Usd = self.venue.positions().map(|position| position.market_value).sum();
        let same = |one: Usd, two: Usd| {
            let apart = (one - two).abs();
            assert!(apart <= self.setup.exactness, "{one} is not {two}");
        };
        same(account.cash + values, account.equity);
        assert_eq!(self.venue.equity(), account.equity);
        same(account.long_market_value + account.short_market_value, values);
        let fees: Usd = self.venue.fees().iter().map(|fee| fee.amount).sum();
        assert!(fees.is_zero() || self.realism.has_fees);
        self.check_fees(fees + account.accrued_fees);
        let unrealized: Usd = self.venue.positions().map(|position| position.unrealized_pl).sum();
        let start = self.setup.config.cash;
        same(start + account.realized_pl + unrealized - fees, account.equity);
        let paid: Usd = self
            .events
            .iter()
            .filter_map(|event| Some(event.price? * event.order.side.signed(event.qty?)))
            .sum();
        same(start - paid - fees, account.cash);
        assert!(account.buying_power >= Usd::ZERO && account.accrued_fees >= Usd::ZERO);
        let gross = account.long_market_value - account.short_market_value;
        let own = (account.equity - gross - account.held_for_orders).max(Usd::ZERO);
        same(account.non_marginable_buying_power, own);
    }

    /// What each execution accrued comes to what was booked and is to be, but for the rounding up.
    fn check_fees(&self, asked: Usd) {
        let accrued: Usd = self.events.iter().filter_map(|event| event.fees).sum();
        let most = Decimal::new(self.venue.fees().len() as i64 + 3, 2);
        let rounding = (asked - accrued).get();
        assert!(rounding >= -self.setup.exactness.get() && rounding <= most + self.setup.exactness.get());
    }

    /// The replacement of an order that is under way.
    fn replacement_of(&self, old: &VenueOrder) -> Option<&VenueOrder> {
        let is_under_way = old.state == OrderState::PendingReplace;
        let mut open = self.venue.open_orders().filter(|_| is_under_way);
        open.find(|order| order.replaces.as_ref() == Some(&old.id))
    }

    /// Whether an order is a replacement that has not arrived.
    fn is_under_way(&self, order: &VenueOrder) -> bool {
        let old = order.replaces.as_ref().and_then(|old| self.venue.order(old));
        order.state == OrderState::PendingNew && old.is_some_and(|old| old.state != OrderState::Replaced)
    }

    /// What open orders hold is what the formula says of each.
    fn check_holds(&self, account: &VenueAccount) {
        let up = |money: Decimal| money.round_dp_with_strategy(9, RoundingStrategy::ToPositiveInfinity);
        let own = |order: &VenueOrder, filled: Qty| -> (Decimal, Decimal) {
            match order.amount {
                Amount::Notional(notional) => (notional.get(), notional.get()),
                Amount::Qty(qty) => {
                    let left = (qty - filled.min(qty)).get();
                    let (low, high) = self.reserves[&order.id];
                    (up(low.saturating_mul(left)), up(high.saturating_mul(left)))
                }
            }
        };
        let (mut least, mut most) = (Decimal::ZERO, Decimal::ZERO);
        let opening = self.venue.open_orders().filter(|order| order.position_intent.opens());
        for order in opening.filter(|order| !self.is_under_way(order)) {
            let mut holds = own(order, order.filled_qty);
            if let Some(new) = self.replacement_of(order) {
                let more = own(new, order.filled_qty);
                holds = (holds.0.max(more.0), holds.1.max(more.1));
            }
            assert!(holds.0 > Decimal::ZERO, "an order that opens holds something: {order:?}");
            least += holds.0;
            most += holds.1;
        }
        let held = account.held_for_orders.get();
        assert!(least <= held && held <= most, "{least} <= {held} <= {most}");
    }

    /// A leg is held for an entry that is open, or beside a take-profit that is.
    fn check_legs(&self) {
        for leg in self.venue.open_orders().filter(|order| order.state == OrderState::Held) {
            let parent = leg.parent.as_ref().and_then(|id| self.venue.order(id)).expect("a leg has a parent");
            let others = parent.legs.iter().filter(|id| **id != leg.id);
            let mut family = others.filter_map(|id| self.venue.order(id)).chain([parent]);
            assert!(family.any(VenueOrder::is_open), "a leg that nobody wakes or ends: {leg:?} {parent:?}");
        }
    }

    fn check_position(&self, symbol: &Symbol) {
        let position = self.venue.position(symbol);
        let (qty, free) = position.as_ref().map_or((Qty::ZERO, Qty::ZERO), |p| (p.qty, p.qty_available));
        assert_eq!(qty, self.held.get(symbol).copied().unwrap_or_default());
        let reserved = qty.abs() - free.abs();
        assert!(free.is_zero() || free.is_positive() == qty.is_positive(), "{free} free of {qty}");
        assert!(reserved >= Qty::ZERO && reserved <= qty.abs(), "{reserved} reserved of {qty}");
        // A held leg reserves nothing, and two exits of a group their shares once.
        let closing: Vec<&VenueOrder> = self
            .venue
            .open_orders()
            .filter(|order| &order.symbol == symbol && !order.position_intent.opens())
            .filter(|order| order.state != OrderState::Held && !self.is_under_way(order))
            .collect();
        let has_notional = closing.iter().any(|order| order.notional().is_some());
        // A held leg whose cancel is stuck looks like one that works.
        let is_unclear =
            closing.iter().any(|order| order.parent.is_some() && order.state == OrderState::PendingCancel);
        if !has_notional && !is_unclear {
            let wanted = |order: &VenueOrder| {
                let new = self.replacement_of(order).and_then(VenueOrder::qty).unwrap_or_default();
                order.remaining().max(new - order.filled_qty.min(new))
            };
            let expected: Qty = closing.iter().map(|order| wanted(order)).sum();
            assert_eq!(reserved, expected, "{closing:?}");
        }
    }
}

/// The limit that an order works with, if it has one.
fn working_limit(order: &VenueOrder) -> Option<Price> {
    match (order.kind, order.side) {
        (OrderKind::Stop { stop_price }, Side::Buy) => Some(Price::new(elected_limit(stop_price.get()))),
        (kind, _) => kind.limit_price(),
    }
}

/// What a buy without a limit of its own is valued with.
fn collar(price: Decimal) -> Decimal {
    price * if price < Decimal::from(50) { Decimal::new(104, 2) } else { Decimal::new(1025, 3) }
}

/// The limit of an elected buy stop.
fn elected_limit(stop: Decimal) -> Decimal {
    let limit = collar(stop);
    limit.round_dp_with_strategy(decimals(limit), RoundingStrategy::ToPositiveInfinity)
}

/// Decimals of a tick.
fn decimals(price: Decimal) -> u32 {
    if price >= Decimal::ONE { 2 } else { 4 }
}

/// A price of market data, which is in whole cents here; none from 10^9 on.
fn price_of(value: f64) -> Option<Decimal> {
    (value < 1e9).then(|| Decimal::new((value * 100.0).round() as i64, 2))
}

fn check_limit(order: &VenueOrder, price: Price) {
    if let Some(limit) = working_limit(order) {
        let through = order.side.signed(Qty::new((price - limit).get()));
        assert!(through <= Qty::ZERO, "filled at {price} through its limit: {order:?}");
    }
}

fn cents(cents: i64) -> Price {
    Price::new(Decimal::new(cents, 2))
}

fn dollars(cents: i64) -> f64 {
    cents as f64 / 100.0
}

fn log(setup: Setup, script: &[Step]) -> Vec<VenueEvent> {
    let mut run = Run::new(setup);
    script.iter().for_each(|step| run.step(step));
    run.finish()
}

/// At least so many cases, more if the environment says so.
fn cases(least: u32) -> ProptestConfig {
    let cases = ProptestConfig::default().cases.max(least);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn realism() -> impl Strategy<Value = Realism> {
    prop_oneof![Just(Realism::exact()), Just(Realism::paper()), Just(Realism::live())]
}

proptest! {
    #![proptest_config(cases(800))]

    #[test]
    fn the_books_balance_after_every_step(setup in setup(), script in steps()) {
        log(setup, &script);
    }

    #[test]
    fn the_books_balance_with_absurd_numbers(setup in large_setup(), script in large_steps()) {
        log(setup, &script);
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn the_same_seed_and_script_give_the_same_log(setup in setup(), script in steps()) {
        let first = log(setup.clone(), &script);
        prop_assert_eq!(format!("{:?}", log(setup.clone(), &script)), format!("{first:?}"));
        let mut another = setup;
        another.config.seed = another.config.seed.wrapping_add(1);
        let other = log(another, &script);
        if let (Some(one), Some(two)) = (first.first(), other.first()) {
            prop_assert_ne!(&one.order.id, &two.order.id);
        }
    }
}

/// The scripts above are worth something only if they reach everything often enough.
#[test]
fn the_scripts_reach_every_event() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for seed in 0..3600 {
        let script = steps().new_tree(&mut runner).expect("a script").current();
        let realism = if seed % 2 == 0 { Realism::exact() } else { Realism::live() };
        for event in log(Setup::plain(seed, realism), &script) {
            let order = &event.order;
            let mut count = |what: String| *counts.entry(what).or_default() += 1;
            count(event.kind.as_str().to_owned());
            if event.qty.is_some() {
                count(format!("{} fills", order.kind.as_str()));
                count(format!("{} fills", order.time_in_force.as_str()));
                let role = if order.parent.is_some() { "leg" } else { "parent" };
                count(format!("{:?} {role} fills", order.class));
                if order.notional().is_some() {
                    count("notional fills".to_owned());
                }
                if event.position_qty.is_some_and(|qty| qty < Qty::ZERO) {
                    count("short fills".to_owned());
                }
            }
        }
    }
    let mut words: Vec<String> = EventKind::ALL
        .into_iter()
        .filter(|kind| kind.is_announced())
        .map(|kind| kind.as_str().to_owned())
        .collect();
    let fills = ["market", "limit", "stop", "stop_limit", "trailing_stop", "day", "gtc", "ioc", "opg", "cls"];
    words.extend(fills.map(|word| format!("{word} fills")));
    let groups = ["Bracket parent", "Bracket leg", "Oco parent", "Oco leg", "Oto parent", "Oto leg"];
    words.extend(groups.map(|word| format!("{word} fills")));
    words.extend(["notional fills".to_owned(), "short fills".to_owned()]);
    let rare: Vec<_> = words.iter().filter(|word| counts.get(*word).copied().unwrap_or(0) < 3).collect();
    assert!(rare.is_empty(), "hardly reached: {rare:?} of {counts:?}");
}
