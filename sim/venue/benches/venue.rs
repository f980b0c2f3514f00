//! How fast the venue is: quotes with nothing resting, quotes over resting orders, orders that fill at once.

use std::time::{Duration, Instant};

use sandpit_types::{MarketEvent, MarketTime, Price, Qty, Quote, Side, Symbol};
use sandpit_venue::{Amount, Class, NewOrder, OrderKind, TimeInForce, Venue, VenueConfig};

const SYMBOLS: usize = 25;
const QUOTES: u64 = 2_000_000;
const ORDERS: u64 = 100_000;
/// Orders that never fill, on each symbol.
const RESTING: usize = 10;

fn main() {
    let symbols: Vec<_> = (0..SYMBOLS).map(|n| Symbol::new(format!("S{n}"))).collect();
    figure("venue_quotes", QUOTES, quotes(&symbols, 0));
    figure("venue_quotes_with_250_resting", QUOTES, quotes(&symbols, RESTING));
    figure("venue_market_orders", ORDERS, orders(&symbols));
}

fn figure(name: &str, count: u64, took: Duration) {
    println!("{name} {:.0} events/s", count as f64 / took.as_secs_f64());
}

fn open() -> MarketTime {
    MarketTime::parse("2026-03-02T15:00:00Z").expect("a time in a session")
}

fn quote(symbols: &[Symbol], n: u64) -> MarketEvent {
    let bid = 100.0 + (n % 7) as f64 * 0.01;
    let symbol = symbols[n as usize % symbols.len()].clone();
    let time = open() + Duration::from_micros(n);
    MarketEvent::Quote(Quote { symbol, time, bid, bid_size: 500, ask: bid + 0.02, ask_size: 500 })
}

fn order(symbol: &Symbol, side: Side, kind: OrderKind) -> NewOrder {
    NewOrder {
        client_order_id: None,
        symbol: symbol.clone(),
        side,
        amount: Amount::Qty(Qty::new(1.into())),
        kind,
        time_in_force: TimeInForce::Day,
        extended_hours: false,
        class: Class::Simple,
        position_intent: None,
    }
}

fn venue(symbols: &[Symbol]) -> Venue {
    let mut venue = Venue::new(VenueConfig::default(), symbols, open());
    for n in 0..symbols.len() as u64 {
        venue.on_market(&quote(symbols, n));
    }
    venue
}

fn quotes(symbols: &[Symbol], resting: usize) -> Duration {
    let mut venue = venue(symbols);
    let kind = OrderKind::Limit { limit_price: Price::new(10.into()) };
    for symbol in symbols.iter().flat_map(|symbol| std::iter::repeat_n(symbol, resting)) {
        venue.submit(order(symbol, Side::Buy, kind), open()).expect("within the buying power");
    }
    let events: Vec<_> = (0..10_000).map(|n| quote(symbols, n)).collect();
    timed(|| {
        for n in 0..QUOTES {
            venue.on_market(&events[n as usize % events.len()]);
        }
        drop(venue.drain_events());
    })
}

fn orders(symbols: &[Symbol]) -> Duration {
    let mut venue = venue(symbols);
    timed(|| {
        for n in 0..ORDERS {
            let side = if n % 2 == 0 { Side::Buy } else { Side::Sell };
            let symbol = &symbols[(n / 2) as usize % symbols.len()];
            venue.submit(order(symbol, side, OrderKind::Market), open()).expect("bought before it is sold");
            drop(venue.drain_events());
        }
    })
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
