//! A desk of chance and no sense: what a strategy wants is filled, left open, refused or rejected as the seed
//! has it. Two strategies that want the same are answered the same.

use std::collections::BTreeMap;

use sandpit_strategy::{StrategyEvent, StrategyOutput};
use sandpit_types::{
    Bar, Intent, MarketEvent, MarketTime, OrderStatus, OrderUpdate, Price, Qty, Quote, Refusal, SessionDay,
    Side, StrategyOrderId, Submit, Symbol, Usd,
};

use crate::Live;

/// When the session opens: 2026-11-20, 14:30 UTC.
const OPEN_SECS: i64 = 1_795_185_000;
const SESSION_SECS: i64 = 390 * 60;
const SYMBOL: &str = "SPY";

/// The desk of one strategy.
pub struct Desk {
    live: Live,
    random: Random,
    open: BTreeMap<u64, Order>,
    held: Qty,
    minute: i64,
    close: f64,
    wanted: Vec<(i64, Intent)>,
}

/// What is left of an order that works.
struct Order {
    side: Side,
    left: Qty,
    filled: Qty,
}

impl Desk {
    /// Tells the strategy what it has at the start: money, and bars of before.
    pub fn open(live: Live, seed: u64, warmup_bars: i64) -> Self {
        let mut desk = Self {
            live,
            random: Random(seed),
            open: BTreeMap::new(),
            held: Qty::ZERO,
            minute: -warmup_bars,
            close: 167.41,
            wanted: Vec::new(),
        };
        let usd = |dollars: i64| Usd::from_nanos(dollars * 1_000_000_000);
        desk.tell(StrategyEvent::Account { equity: usd(100_000), buying_power: usd(200_000) });
        for _ in 0..warmup_bars {
            let bar = desk.next_bar();
            desk.tell(StrategyEvent::Warmup(bar));
        }
        let (open, close) = (desk.now(), MarketTime::from_secs(OPEN_SECS + SESSION_SECS));
        desk.tell(StrategyEvent::Market(MarketEvent::SessionOpen(SessionDay { open, close })));
        desk
    }

    /// Plays that many minutes, each with a quote, mostly, and a bar.
    pub fn play(&mut self, minutes: usize) {
        for _ in 0..minutes {
            self.fill_what_works();
            let bar = self.next_bar();
            let time = self.now();
            let (bid, ask) = match self.random.below(12) {
                0 => (0.0, 0.0),
                1 => (self.close + 0.007, self.close - 0.003),
                _ => (self.close - 0.013, self.close + 0.011),
            };
            let quote = Quote { symbol: Symbol::new(SYMBOL), time, bid, bid_size: 100, ask, ask_size: 100 };
            self.tell(StrategyEvent::Market(MarketEvent::Quote(quote)));
            let start = bar.start;
            self.tell(StrategyEvent::Market(MarketEvent::Bar(bar)));
            self.tell(StrategyEvent::Market(MarketEvent::BarsComplete(start)));
        }
    }

    /// Everything it wanted, each with the minute, and its end.
    pub fn close(mut self) -> Vec<(i64, Intent)> {
        let now = self.now();
        self.tell(StrategyEvent::Market(MarketEvent::SessionClose(now)));
        self.live.stop();
        self.wanted
    }

    fn now(&self) -> MarketTime {
        MarketTime::from_secs(OPEN_SECS + 60 * self.minute)
    }

    /// A walk of some cents a minute, on cents, so that averages meet exactly now and then.
    fn next_bar(&mut self) -> Bar {
        let (symbol, start, open) = (Symbol::new(SYMBOL), self.now(), self.close);
        let cents = (open * 100.0).round() + self.random.below(9) as f64 - 4.0;
        self.close = cents / 100.0;
        self.minute += 1;
        let (high, low) = (open.max(self.close), open.min(self.close));
        Bar { symbol, start, open, high, low, close: self.close, volume: 100, vwap: open }
    }

    /// Hands it an event, and then what becomes of what it wanted, until it wants nothing more.
    fn tell(&mut self, event: StrategyEvent) {
        let mut waiting = std::collections::VecDeque::from([event]);
        while let Some(event) = waiting.pop_front() {
            for output in self.live.tell(event) {
                let StrategyOutput::Intents { intents, .. } = output else { panic!("it fails: {output:?}") };
                for intent in intents {
                    waiting.extend(self.answer(&intent));
                    self.wanted.push((self.minute, intent));
                }
            }
        }
    }

    fn answer(&mut self, intent: &Intent) -> Vec<StrategyEvent> {
        match intent {
            Intent::Submit(submit) => self.submit(submit),
            Intent::Cancel(id) => match self.open.remove(&id.0) {
                Some(order) => vec![self.update(*id, OrderStatus::Canceled, order.filled)],
                None => vec![self.refused(*id, "unknown-order")],
            },
            _ => Vec::new(),
        }
    }

    fn submit(&mut self, submit: &Submit) -> Vec<StrategyEvent> {
        let Submit { id, side, qty, .. } = *submit;
        match self.random.below(8) {
            0 => vec![self.refused(id, "stale-data")],
            1 => vec![self.update(id, OrderStatus::Rejected, Qty::ZERO)],
            2 => {
                self.open.insert(id.0, Order { side, left: qty, filled: Qty::ZERO });
                vec![self.update(id, OrderStatus::New, Qty::ZERO)]
            }
            3 if qty > Qty::from_nanos(1_000_000_000) => {
                let one = Qty::from_nanos(1_000_000_000);
                self.open.insert(id.0, Order { side, left: qty - one, filled: one });
                let mut told = vec![self.update(id, OrderStatus::PartiallyFilled, one)];
                told.splice(0..0, self.fill(id, side, one));
                told
            }
            _ => {
                let mut told: Vec<_> = self.fill(id, side, qty).into();
                told.push(self.update(id, OrderStatus::Filled, qty));
                told
            }
        }
    }

    /// Some of the orders that work fill now, unless a bar cancels them first.
    fn fill_what_works(&mut self) {
        let ids: Vec<u64> = self.open.keys().copied().collect();
        for id in ids {
            if self.random.below(3) != 0 {
                continue;
            }
            let Some(Order { side, left, filled }) = self.open.remove(&id) else { continue };
            let id = StrategyOrderId(id);
            let told = self.fill(id, side, left);
            told.into_iter().for_each(|event| self.tell(event));
            self.tell(self.update(id, OrderStatus::Filled, filled + left));
        }
    }

    /// The position first, as the host does.
    fn fill(&mut self, id: StrategyOrderId, side: Side, qty: Qty) -> [StrategyEvent; 2] {
        self.held += side.signed(qty);
        let (symbol, price) = (Symbol::new(SYMBOL), Price::from_nanos((self.close * 1e9) as i64));
        let position = StrategyEvent::Position { symbol: symbol.clone(), qty: self.held, avg_price: price };
        [position, StrategyEvent::Fill { id, leg: None, symbol, side, qty, price, time: self.now() }]
    }

    fn update(&self, id: StrategyOrderId, status: OrderStatus, filled_qty: Qty) -> StrategyEvent {
        let (symbol, time) = (Symbol::new(SYMBOL), self.now());
        StrategyEvent::Order(OrderUpdate { id, leg: None, symbol, status, filled_qty, time })
    }

    fn refused(&self, id: StrategyOrderId, name: &str) -> StrategyEvent {
        let refusal: Refusal = serde_json::from_value(name.into()).expect("a name of a refusal");
        StrategyEvent::Refused { id, refusal, time: self.now() }
    }
}

/// Sebastiano Vigna's SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
