//! How fast the venue is: quotes with nothing resting, quotes over resting orders, orders that fill at once;
//! bars of whole sessions as a backtest has them, and the account between them.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use sandpit_types::{Bar, MarketEvent, MarketTime, Price, Qty, Quote, Side, Symbol, Trade};
use sandpit_venue::{Amount, Calendar, Class, NewOrder, OrderKind, Realism, TimeInForce, Venue, VenueConfig};

const SYMBOLS: usize = 25;
const QUOTES: u64 = 2_000_000;
const ORDERS: u64 = 100_000;
/// Orders that never fill, on each symbol.
const RESTING: usize = 10;
/// Bars and trades: the minutes of about forty sessions.
const BARS: usize = 400_000;
const ACCOUNTS: u64 = 1_000_000;

fn main() {
    let symbols: Vec<_> = (0..SYMBOLS).map(|n| Symbol::new(format!("S{n}"))).collect();
    figure("venue_quotes", QUOTES, quotes(&symbols, 0));
    figure("venue_quotes_with_250_resting", QUOTES, quotes(&symbols, RESTING));
    figure("venue_market_orders", ORDERS, orders(&symbols, false));
    figure("venue_market_orders_forgotten", ORDERS, orders(&symbols, true));
    let bars = bars(&symbols);
    let trades: Vec<_> = bars.iter().map(traded).collect();
    let far = OrderKind::Limit { limit_price: Price::new(10.into()) };
    let stop = OrderKind::Stop { stop_price: Price::new(900.into()) };
    for (realism, name) in [(Realism::exact(), "exact"), (Realism::live(), "live")] {
        let config = VenueConfig { realism, ..VenueConfig::default() };
        nanos(&format!("venue_bars_{name}"), bars.len(), market(&symbols, &config, None, &bars));
        nanos(&format!("venue_bars_{name}_limit"), bars.len(), market(&symbols, &config, Some(far), &bars));
        nanos(&format!("venue_bars_{name}_stop"), bars.len(), market(&symbols, &config, Some(stop), &bars));
    }
    let config = VenueConfig::default();
    nanos("venue_trades", trades.len(), market(&symbols, &config, None, &trades));
    nanos("venue_trades_stop", trades.len(), market(&symbols, &config, Some(stop), &trades));
    nanos("venue_account", ACCOUNTS as usize, accounts(&symbols, 1));
    nanos("venue_equity", ACCOUNTS as usize, equities(&symbols));
    let many: Vec<_> = (0..500).map(|n| Symbol::new(format!("S{n}"))).collect();
    nanos("venue_account_500_symbols", ACCOUNTS as usize, accounts(&many, 1));
    nanos("venue_account_10_positions", ACCOUNTS as usize, accounts(&many, 10));
}

fn nanos(name: &str, count: usize, took: Duration) {
    println!("{name} {:.0} ns", took.as_nanos() as f64 / count as f64);
}

/// The minutes of sessions one after the other, a bar of each symbol in each.
fn bars(symbols: &[Symbol]) -> Vec<MarketEvent> {
    let calendar = Calendar::nyse();
    let day = calendar.date(open());
    let sessions = calendar.sessions(day, day.saturating_add(jiff::Span::new().days(90)));
    let minutes = sessions
        .flat_map(|session| (0..390).map(move |minute| session.open + Duration::from_secs(60 * minute)));
    let all = minutes.flat_map(|start| symbols.iter().map(move |symbol| (start, symbol)));
    let bar = |(n, (start, symbol)): (usize, (MarketTime, &Symbol))| {
        let close = 100.0 + (n % 701) as f64 * 0.01;
        MarketEvent::Bar(Bar {
            symbol: symbol.clone(),
            start,
            open: close,
            high: close + 0.05,
            low: close - 0.05,
            close,
            volume: 5000,
            vwap: close,
        })
    };
    all.take(BARS).enumerate().map(bar).collect()
}

fn traded(event: &MarketEvent) -> MarketEvent {
    let MarketEvent::Bar(bar) = event else { unreachable!("only bars are made") };
    MarketEvent::Trade(Trade { symbol: bar.symbol.clone(), time: bar.start, price: bar.close, size: 100 })
}

/// All these events over a venue with at most one order on each symbol, which never fills.
fn market(
    symbols: &[Symbol],
    config: &VenueConfig,
    resting: Option<OrderKind>,
    events: &[MarketEvent],
) -> Duration {
    let mut venue = Venue::new(config.clone(), symbols, open());
    events[..symbols.len()].iter().for_each(|event| venue.on_market(event));
    for (kind, symbol) in
        resting.into_iter().flat_map(|kind| symbols.iter().map(move |symbol| (kind, symbol)))
    {
        let resting = NewOrder { time_in_force: TimeInForce::Gtc, ..order(symbol, Side::Buy, kind) };
        venue.submit(resting, open()).expect("within the buying power");
    }
    let took = timed(|| events.iter().for_each(|event| venue.on_market(event)));
    let open = if resting.is_some() { symbols.len() } else { 0 };
    assert_eq!(venue.open_orders().len(), open);
    took
}

fn accounts(symbols: &[Symbol], positions: usize) -> Duration {
    let venue = holding(symbols, positions);
    timed(|| (0..ACCOUNTS).for_each(|_| drop(black_box(venue.account()))))
}

fn equities(symbols: &[Symbol]) -> Duration {
    let venue = holding(symbols, 1);
    timed(|| (0..ACCOUNTS).for_each(|_| _ = black_box(black_box(&venue).equity())))
}

fn holding(symbols: &[Symbol], positions: usize) -> Venue {
    let mut venue = venue(symbols);
    for symbol in symbols.iter().rev().take(positions) {
        let now = venue.now();
        venue.submit(order(symbol, Side::Buy, OrderKind::Market), now).expect("within the buying power");
    }
    venue
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

fn orders(symbols: &[Symbol], forgets: bool) -> Duration {
    let mut venue = venue(symbols);
    timed(|| {
        for n in 0..ORDERS {
            let side = if n % 2 == 0 { Side::Buy } else { Side::Sell };
            let symbol = &symbols[(n / 2) as usize % symbols.len()];
            venue.submit(order(symbol, side, OrderKind::Market), open()).expect("bought before it is sold");
            drop(venue.drain_events());
            if forgets {
                venue.forget_closed_before(open() + Duration::from_secs(1));
            }
        }
    })
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
