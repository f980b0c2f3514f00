//! Random scripts from a seed. The author of a script runs the model along, so that it mostly asks for what
//! is possible, and sends prices to where they matter; but now and then for anything at all.

use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Price, Qty, Side, Symbol, Usd};
use sandpit_venue::{
    Amount, Class, ClosePart, DayTradeRule, EventKind, Listing, NewOrder, OrderKind, PdtCheck,
    PositionIntent, Replacement, StopLoss, TimeInForce, Trail, VenueConfig,
};

use crate::{
    drive,
    reference::{Model, Work},
    script::{Action, Pick, SYMBOLS, Script, Step, Wait},
};

/// Chance from a seed (splitmix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number from `low` to `high`, both included.
    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).cast_unsigned()).cast_signed()
    }

    /// True so many times in a hundred.
    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.index(items.len())]
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a usize")
    }

    /// The place of one of these weights.
    fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (place, &weight) in weights.iter().enumerate() {
            if left < weight {
                return place;
            }
            left -= weight;
        }
        unreachable!("the number is below the sum")
    }
}

/// Days that matter: an ordinary one, the last ones before the intraday margin, later ones, early closes,
/// holidays, the change to summer time.
const STARTS: [&str; 12] = [
    "2013-10-07T09:30:00-04:00",
    "2013-10-07T09:30:01-04:00",
    "2013-10-07T09:31:00-04:00",
    "2026-06-03T10:00:00-04:00",
    "2026-06-03T15:58:00-04:00",
    "2026-06-04T09:00:00-04:00",
    "2026-07-14T11:00:00-04:00",
    "2026-07-17T15:30:00-04:00",
    "2025-11-28T12:40:00-05:00",
    "2025-12-24T09:45:00-05:00",
    "2026-03-06T14:00:00-05:00",
    "2026-07-20T08:00:00-04:00",
];

const CASH: [i64; 8] = [100_000, 100_000, 100_000, 100_000, 60_000, 24_000, 2_050, 1_990];

/// Where the symbols trade.
const CENTRES: [Decimal; SYMBOLS.len()] =
    [Decimal::ONE_HUNDRED, Decimal::from_parts(50, 0, 0, false, 0), Decimal::ONE];

const FORCED: [EventKind; 9] = [
    EventKind::Rejected,
    EventKind::DoneForDay,
    EventKind::Stopped,
    EventKind::Suspended,
    EventKind::Calculated,
    EventKind::Canceled,
    EventKind::Expired,
    EventKind::New,
    EventKind::Fill,
];

/// The script of a seed.
pub(crate) fn script(seed: u64) -> Script {
    let mut chance = Chance::new(seed);
    let legacy = chance.percent(15);
    let cash = if legacy && chance.percent(60) { 24_000 } else { chance.pick(&CASH) };
    let config = VenueConfig {
        cash: Usd::new(cash.into()),
        seed,
        always_open: chance.percent(15),
        shorting: chance.percent(92),
        day_trade_rule: if legacy { DayTradeRule::Legacy } else { DayTradeRule::Intraday },
        ..VenueConfig::default()
    };
    let listings = SYMBOLS.map(|name| Listing {
        symbol: Symbol::new(name),
        tradable: chance.percent(99),
        fractionable: chance.percent(95),
        shortable: chance.percent(95),
        marginable: chance.percent(95),
    });
    let start = MarketTime::parse(chance.pick(&STARTS)).expect("a time");
    let model = Model::new(&config, &listings, start);
    let style = match chance.below(100) {
        0..75 if legacy => Style::Brisk,
        0..70 => Style::Usual,
        70..85 => Style::Brisk,
        _ => Style::Patient,
    };
    let mut author = Author { chance, style, model, now: start, steps: Vec::new() };
    author.write();
    Script { seed, config, listings: listings.to_vec(), start, steps: author.steps }
}

/// How an author likes to trade.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Usual,
    /// In and out within minutes, at the market.
    Brisk,
    /// All that the buying power can carry, over many days.
    Patient,
}

/// Writes a script.
struct Author {
    chance: Chance,
    style: Style,
    model: Model,
    now: MarketTime,
    steps: Vec<Step>,
}

impl Author {
    fn write(&mut self) {
        // Something is known of the prices at first, mostly.
        for symbol in 0..SYMBOLS.len() {
            if self.chance.percent(85) {
                let quote = self.quote(symbol);
                self.add(Wait::Seconds(0), quote);
            }
            if self.chance.percent(60) {
                let trade = self.trade(symbol);
                self.add(Wait::Seconds(0), trade);
            }
        }
        for _ in 0..self.chance.between(10, 35) {
            let wait = self.wait();
            let action = self.action();
            self.add(wait, action);
        }
    }

    fn add(&mut self, wait: Wait, action: Action) {
        self.now = wait.end(self.now, &self.model.calendar);
        // A refusal is a step too.
        let _ = drive::act(&mut self.model, &action, self.now);
        self.model.take_events();
        self.steps.push(Step { wait, action });
    }

    fn wait(&mut self) -> Wait {
        let chance = &mut self.chance;
        if !self.model.calendar.is_open(self.now) && chance.percent(30) {
            return Wait::Open(chance.below(3));
        }
        let (open, days) = if self.style == Style::Patient { (150, 30) } else { (25, 7) };
        match chance.weighted(&[600, 240, 25, open, 40, 16, days]) {
            0 => Wait::Seconds(chance.below(2)),
            1 => Wait::Seconds(chance.below(90)),
            2 => Wait::Phase(chance.between(-2, 2)),
            3 => Wait::Open(chance.below(3)),
            4 => Wait::BeforeClose(chance.pick(&[0, 1, 30, 599, 601, 900, 3600])),
            5 => Wait::Seconds(chance.below(20_000)),
            _ => Wait::Days(chance.pick(&[1, 1, 2, 5, 31, 89, 90, 91])),
        }
    }

    fn action(&mut self) -> Action {
        let symbol = self.chance.weighted(&[55, 30, 15]);
        let open = self.open(symbol).len() as u64;
        let held = u64::from(!self.model.markets[symbol].held.is_zero());
        let off = |state: bool| if state { 60 } else { 3 };
        let weights = [
            260,
            140,
            35,
            330,
            if open > 0 { 80 } else { 5 },
            if open > 0 { 45 } else { 4 },
            held * if self.style == Style::Brisk { 250 } else { 30 } + 2,
            off(self.model.markets[symbol].halted) + 2,
            off(self.model.suspended),
            off(self.model.no_shorting),
            off(!self.model.fractional),
            4,
            off(self.model.stuck),
            if open > 0 { 9 } else { 1 },
            if self.model.config.day_trade_rule == DayTradeRule::Legacy { 10 } else { 1 },
            15,
        ];
        match self.chance.weighted(&weights) {
            0 => self.quote(symbol),
            1 => self.trade(symbol),
            2 => self.bar(symbol),
            3 => Action::Submit(Box::new(self.order(symbol))),
            4 => {
                let pick = self.pick(symbol);
                Action::Replace(pick, Box::new(self.replacement(symbol, pick)))
            }
            5 => Action::Cancel(self.pick(symbol)),
            6 => Action::Close(symbol, self.close_part(symbol)),
            7 => Action::Halt(symbol, !self.model.markets[symbol].halted),
            8 => Action::Suspend(!self.model.suspended),
            9 => Action::NoShorting(!self.model.no_shorting),
            10 => Action::Fractional(!self.model.fractional),
            11 => Action::MarginLimit(self.chance.pick(&[1, 2, 4, 4])),
            12 => Action::StuckCancels(!self.model.stuck),
            13 => Action::Force(self.pick(symbol), self.chance.pick(&FORCED)),
            14 => Action::Pdt(self.chance.pick(&[PdtCheck::Entry, PdtCheck::Exit, PdtCheck::Both])),
            _ => Action::Pass,
        }
    }

    fn open(&self, symbol: usize) -> Vec<usize> {
        let mut open = self.model.open();
        open.retain(|&order| self.model.orders[order].symbol == symbol);
        open
    }

    fn pick(&mut self, symbol: usize) -> Pick {
        let nth = self.chance.index(64);
        match self.chance.below(25) {
            0 => Pick::Unknown,
            1 | 2 => Pick::Any(nth),
            _ => Pick::Open(symbol, nth),
        }
    }

    /// Where the symbol trades now.
    fn middle(&self, symbol: usize) -> Decimal {
        self.model.markets[symbol].last.unwrap_or(CENTRES[symbol])
    }

    /// A price on a tick, so many thousandths away from `from`.
    fn near(&mut self, from: Decimal, low: i64, high: i64) -> Decimal {
        let parts = self.chance.between(low * 10, high * 10);
        on_tick(from + from * Decimal::new(parts, 4))
    }

    /// The price that an open order waits for, and whether it is a stop.
    fn awaited(&mut self, symbol: usize) -> Option<(Decimal, bool, Side)> {
        let open = self.open(symbol);
        let awaited: Vec<(Decimal, bool, Side)> = open
            .into_iter()
            .filter_map(|place| {
                let order = &self.model.orders[place];
                match order.work {
                    Work::Waits if !self.model.may_elect(place) => None,
                    Work::Waits => order.stop().map(|stop| (stop, true, order.side)),
                    Work::Limit(limit) => Some((limit, false, order.side)),
                    Work::Market => None,
                }
            })
            .collect();
        let stops: Vec<(Decimal, bool, Side)> =
            awaited.iter().copied().filter(|(_, stop, _)| *stop).collect();
        let from = if stops.is_empty() || self.chance.percent(35) { awaited } else { stops };
        (!from.is_empty()).then(|| from[self.chance.index(from.len())])
    }

    fn quote(&mut self, symbol: usize) -> Action {
        let wanted = if self.chance.percent(60) { self.awaited(symbol) } else { None };
        let mut bid = match wanted {
            Some((price, true, _)) => price,
            Some((price, false, Side::Buy)) => on_tick(price * Decimal::new(9995, 4)),
            Some((price, false, Side::Sell)) => price,
            None => {
                let centre = (self.middle(symbol) * Decimal::TWO + CENTRES[symbol]) / Decimal::from(3);
                self.near(centre, -8, 8)
            }
        };
        // Prices do not run away.
        let band = CENTRES[symbol] / Decimal::from(20);
        bid = on_tick(bid.clamp(CENTRES[symbol] - band, CENTRES[symbol] + band));
        let chance = &mut self.chance;
        let tick = if bid >= Decimal::ONE { Decimal::new(1, 2) } else { Decimal::new(1, 4) };
        let narrowest = if chance.percent(1) { -30 } else { 0 };
        let ask = on_tick(bid + tick * Decimal::from(chance.between(narrowest, 7)));
        let largest = [300, 600, 20_000][symbol];
        let mut size = || if chance.percent(8) { 0 } else { chance.below(largest) };
        let (bid_size, ask_size) = (size(), size());
        let none = |gone: bool, price: Decimal| if gone { Decimal::ZERO } else { price };
        Action::Quote {
            symbol,
            bid: none(chance.percent(2), bid),
            bid_size,
            ask: none(chance.percent(2), ask),
            ask_size,
            age_seconds: if chance.percent(3) { chance.below(30) } else { 0 },
        }
    }

    fn trade(&mut self, symbol: usize) -> Action {
        let market = &self.model.markets[symbol];
        let (bid, ask) = (market.bid.map(|level| level.price), market.ask.map(|level| level.price));
        let middle = bid.or(ask).unwrap_or(CENTRES[symbol]);
        let price = match self.chance.below(10) {
            0..4 => bid.zip(ask).map_or(middle, |(bid, ask)| on_tick((bid + ask) / Decimal::TWO)),
            4 => bid.unwrap_or(middle),
            5 => ask.unwrap_or(middle),
            6..9 => self.awaited(symbol).map_or(middle, |(price, ..)| price),
            _ => self.near(middle, -6, 6),
        };
        let band = CENTRES[symbol] / Decimal::TEN;
        let price = on_tick(price.clamp(CENTRES[symbol] - band, CENTRES[symbol] + band));
        Action::Trade {
            symbol,
            price,
            age_seconds: if self.chance.percent(3) { self.chance.below(30) } else { 0 },
        }
    }

    fn bar(&mut self, symbol: usize) -> Action {
        let close = self.near(CENTRES[symbol], -14, 14);
        let mut far = || Decimal::new(self.chance.between(0, 12), 3);
        let (high, low) = (on_tick(close + close * far()), on_tick(close - close * far()));
        let volume = self.chance.pick(&[0, 10, 999, 1_005, 5_000, 100_000]);
        Action::Bar { symbol, high, low, close, volume }
    }

    fn close_part(&mut self, symbol: usize) -> ClosePart {
        match self.chance.below(4) {
            0 | 1 => ClosePart::All,
            2 => ClosePart::Percent(self.chance.pick(&[
                Decimal::NEGATIVE_ONE,
                Decimal::ZERO,
                Decimal::new(333, 1),
                Decimal::from(50),
                Decimal::from(50),
                Decimal::ONE_HUNDRED,
                Decimal::from(101),
            ])),
            _ => ClosePart::Qty(self.quantity(symbol, Side::Sell)),
        }
    }

    fn quantity(&mut self, symbol: usize, side: Side) -> Qty {
        let largest = [150, 300, 15_000][symbol];
        let market = &self.model.markets[symbol];
        let free = market.held.abs() - self.model.reserved(symbol);
        let closes = (side == Side::Sell) == (market.held > Decimal::ZERO) && !market.held.is_zero();
        let chance = &mut self.chance;
        if closes && free > Decimal::ZERO && chance.percent(80) {
            let part = free * Decimal::from(chance.between(1, 4)) / Decimal::from(4);
            let part = if chance.percent(85) { part.ceil() } else { part };
            return Qty::new(part.min(free).normalize());
        }
        if self.style == Style::Patient && chance.percent(50) {
            let most = self.model.buying_power() / self.middle(symbol);
            return Qty::new(
                (most * Decimal::new(self.chance.between(80, 100), 2)).floor().max(Decimal::ONE),
            );
        }
        let chance = &mut self.chance;
        Qty::new(match chance.weighted(&[900, 40, 20, 5, 5]) {
            0 => chance.between(1, largest).into(),
            1 => Decimal::new(chance.between(1, 50_000_000_000), 9).normalize(),
            2 => Decimal::new(chance.between(1, 200), 1).normalize(),
            3 => chance.pick(&[Decimal::ZERO, Decimal::NEGATIVE_ONE, Decimal::new(12_345_678_901, 10)]),
            _ => chance.pick(&[Decimal::from(100_000), Decimal::from(2_000_000_000)]),
        })
    }

    fn money(&mut self, symbol: usize, side: Side) -> Usd {
        let worth = self.model.markets[symbol].worth();
        let chance = &mut self.chance;
        if side == Side::Sell && worth > Decimal::ZERO && chance.percent(75) {
            let part = worth * Decimal::from(chance.between(1, 10)) / Decimal::TEN;
            return Usd::new(part.round_dp(2).normalize());
        }
        Usd::new(match chance.weighted(&[85, 10, 5]) {
            0 => Decimal::new(chance.between(100, 900_000), 2).normalize(),
            1 => Decimal::from(chance.between(1, 50)),
            _ => chance.pick(&[
                Decimal::ZERO,
                Decimal::new(99, 2),
                Decimal::from(-5),
                Decimal::new(10_001, 4),
                Decimal::from(1_000_000),
            ]),
        })
    }

    fn order(&mut self, symbol: usize) -> NewOrder {
        let held = self.model.markets[symbol].held;
        let buys = if held.is_zero() {
            60
        } else if held > Decimal::ZERO {
            40
        } else {
            55
        };
        let mut side = if self.chance.percent(buys) { Side::Buy } else { Side::Sell };
        let fractional = self.chance.percent(13);
        let (kind, class) = if fractional || self.chance.percent(66) {
            (self.kind(symbol, side, fractional), Class::Simple)
        } else {
            let oco = if held.is_zero() { 2 } else { 75 };
            let oco = self.chance.percent(oco);
            if oco && self.chance.percent(95) {
                side = if held > Decimal::ZERO { Side::Sell } else { Side::Buy };
            }
            self.with_legs(symbol, side, oco)
        };
        let plain = class == Class::Simple;
        let amount = match self.chance.below(100) {
            0..50 if fractional => Amount::Notional(self.money(symbol, side)),
            _ if fractional => {
                Amount::Qty(Qty::new(Decimal::new(self.chance.between(1, 30_000), 3).normalize()))
            }
            _ => Amount::Qty(self.quantity(symbol, side)),
        };
        let time_in_force = self.time_in_force(kind, fractional, plain);
        let limit = matches!(kind, OrderKind::Limit { .. });
        let chance = &mut self.chance;
        NewOrder {
            client_order_id: chance.percent(5).then(|| format!("c{}", chance.below(12))),
            symbol: Symbol::new(if chance.percent(1) { "NONE" } else { SYMBOLS[symbol] }),
            side,
            amount,
            kind,
            time_in_force,
            extended_hours: chance.percent(if limit && plain { 18 } else { 1 }),
            class,
            position_intent: chance.percent(4).then(|| {
                chance.pick(&[
                    PositionIntent::BuyToOpen,
                    PositionIntent::BuyToClose,
                    PositionIntent::SellToOpen,
                    PositionIntent::SellToClose,
                ])
            }),
        }
    }

    fn time_in_force(&mut self, kind: OrderKind, fractional: bool, plain: bool) -> TimeInForce {
        let simple = matches!(kind, OrderKind::Market | OrderKind::Limit { .. });
        let open = self.model.calendar.is_open(self.now) && !self.model.config.always_open;
        if fractional && self.chance.percent(95) {
            TimeInForce::Day
        } else if plain && simple {
            self.choose(&[24, 20, if open { 2 } else { 40 }, 16, 13, 13])
        } else {
            self.choose(&[50, 46, 1, 1, 1, 1])
        }
    }

    fn choose(&mut self, weights: &[u64; 6]) -> TimeInForce {
        [
            TimeInForce::Day,
            TimeInForce::Gtc,
            TimeInForce::Opg,
            TimeInForce::Cls,
            TimeInForce::Ioc,
            TimeInForce::Fok,
        ][self.chance.weighted(weights)]
    }

    /// A price for an order, absurd now and then.
    fn order_price(&mut self, symbol: usize, low: i64, high: i64) -> Price {
        let middle = self.middle(symbol);
        let usual = self.near(middle, low, high);
        Price::new(match self.chance.below(200) {
            0 => Decimal::ZERO,
            1 => usual + Decimal::new(1, 5),
            2 => Decimal::NEGATIVE_ONE,
            3 => Decimal::from(10_000_000_000_000_i64),
            _ => usual,
        })
    }

    fn kind(&mut self, symbol: usize, side: Side, fractional: bool) -> OrderKind {
        let (low, high) = if side == Side::Buy { (-9, 8) } else { (-8, 9) };
        // Stops lie behind the market.
        let (near, far) = if side == Side::Buy { (-1, 9) } else { (-9, 1) };
        let market = if self.style == Style::Brisk { 200 } else { 26 };
        match self.chance.weighted(&[market, 34, 20, 24, if fractional { 1 } else { 22 }]) {
            0 => OrderKind::Market,
            1 => OrderKind::Limit { limit_price: self.order_price(symbol, low, high) },
            2 => OrderKind::Stop { stop_price: self.order_price(symbol, near, far) },
            3 => OrderKind::StopLimit {
                stop_price: self.order_price(symbol, near, far),
                limit_price: self.order_price(symbol, near - 3, far + 3),
            },
            _ => OrderKind::TrailingStop { trail: self.trail(symbol) },
        }
    }

    fn trail(&mut self, symbol: usize) -> Trail {
        let chance = &mut self.chance;
        if chance.percent(50) {
            let odd = if chance.percent(10) { 9 } else { 25 };
            return Trail::Percent(chance.pick(&[
                Decimal::new(1, 1),
                Decimal::new(15, 2),
                Decimal::new(5, 1),
                Decimal::new(5, 1),
                Decimal::new(175, 2),
                Decimal::from(3),
                Decimal::new(odd, 2),
            ]));
        }
        let ticks = [120, 60, 80][symbol];
        let trail = Decimal::new(chance.between(1, ticks), if symbol == 2 { 4 } else { 2 }).normalize();
        Trail::Price(Price::new(if chance.percent(3) { Decimal::ZERO } else { trail }))
    }

    /// An entry, or the first exit, and what hangs on it; the prices mostly make sense.
    fn with_legs(&mut self, symbol: usize, side: Side, oco: bool) -> (OrderKind, Class) {
        let middle = self.middle(symbol);
        let base = self.near(middle, -4, 5);
        // For OCO the side is the exit's.
        let up = (side == Side::Buy) != oco;
        let away = |chance: &mut Chance, up: bool, least: i64| {
            let up = up != chance.percent(2);
            let part = Decimal::new(chance.between(least, 9), 3);
            Price::new(on_tick(if up { base + base * part } else { base - base * part }))
        };
        let chance = &mut self.chance;
        let take_profit = away(chance, up, 1);
        let stop_price = away(chance, !up, 2);
        let limit_price =
            chance.percent(40).then(|| if chance.percent(70) { away(chance, !up, 2) } else { stop_price });
        let stop_loss = StopLoss { stop_price, limit_price };
        if oco {
            let limit = chance.percent(97);
            let kind = if limit { OrderKind::Limit { limit_price: take_profit } } else { OrderKind::Market };
            return (kind, Class::Oco { stop_loss });
        }
        let base = Price::new(base);
        let kind = match chance.below(100) {
            0..45 => OrderKind::Market,
            45..97 => OrderKind::Limit { limit_price: base },
            97 => OrderKind::Stop { stop_price: base },
            98 => OrderKind::StopLimit { stop_price: base, limit_price: base },
            _ => OrderKind::TrailingStop { trail: self.trail(symbol) },
        };
        let class = match self.chance.below(10) {
            0..6 => Class::Bracket { take_profit, stop_loss },
            6 | 7 => Class::OtoTakeProfit { take_profit },
            _ => Class::OtoStopLoss { stop_loss },
        };
        (kind, class)
    }

    fn replacement(&mut self, symbol: usize, pick: Pick) -> Replacement {
        let mut with = Replacement::default();
        let Some(order) = drive::pick(&self.model, pick).map(|place| self.model.orders[place].clone()) else {
            with.limit_price = Some(self.order_price(symbol, -8, 8));
            return with;
        };
        let simple = order.parent.is_none() && order.legs.is_empty();
        let any = self.chance.percent(6);
        if any || simple && self.chance.percent(45) {
            let more = Decimal::from(self.chance.between(-40, 60));
            with.qty = match self.chance.below(12) {
                0 => Some(self.quantity(symbol, order.side)),
                _ => order.qty.map(|qty| Qty::new(qty + more)),
            };
        }
        if self.chance.percent(10) {
            with.time_in_force = Some(self.choose(&[40, 40, 3, 3, 3, 3]));
        }
        if any || order.kind.limit_price().is_some() && self.chance.percent(70) {
            with.limit_price = Some(self.order_price(symbol, -8, 8));
        }
        if any || order.kind.stop_price().is_some() && self.chance.percent(60) {
            with.stop_price = Some(self.order_price(symbol, -8, 8));
        }
        if any || order.kind.trail().is_some() && self.chance.percent(70) {
            let trails =
                [Decimal::new(5, 1), Decimal::ONE, Decimal::new(2, 1), Decimal::new(2, 2), Decimal::ZERO];
            with.trail = Some(self.chance.pick(&trails));
        }
        if self.chance.percent(6) {
            with.client_order_id = Some(format!("c{}", self.chance.below(12)));
        }
        with
    }
}

fn on_tick(raw: Decimal) -> Decimal {
    raw.round_dp(if raw >= Decimal::ONE { 2 } else { 4 }).normalize()
}
