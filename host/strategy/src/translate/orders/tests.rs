use sandpit_types::{Bar, MarketEvent, MarketTime, Quote, Symbol, Trade};

use super::*;
use crate::StrategyEvent;

const DAY: types::TimeInForce = types::TimeInForce::Day;

/// A book that was told a quote, a trade, a position.
fn book(quote: Option<(f64, f64)>, trade: Option<f64>, held: i64) -> Book {
    let (symbol, time) = (Symbol::new("A"), MarketTime::from_secs(60));
    let mut book = Book::new(vec![symbol.clone()]);
    if let Some((bid, ask)) = quote {
        let quote = Quote { symbol: symbol.clone(), time, bid, bid_size: 1, ask, ask_size: 1 };
        book.apply(&StrategyEvent::Market(MarketEvent::Quote(quote)));
    }
    if let Some(price) = trade {
        let trade = Trade { symbol: symbol.clone(), time, price, size: 1 };
        book.apply(&StrategyEvent::Market(MarketEvent::Trade(trade)));
    }
    let qty = Qty::from_nanos(held * 1_000_000_000);
    book.apply(&StrategyEvent::Position { symbol, qty, avg_price: Price::ZERO });
    book
}

fn order(side: types::Side, usd: i64) -> types::Submit {
    types::Submit {
        id: 1,
        instrument: 0,
        side,
        amount: types::Amount::Notional(usd * 1_000_000_000),
        kind: types::OrderKind::Market,
        class: types::OrderClass::Simple,
        reprice: None,
        time_in_force: DAY,
        extended_hours: false,
        time_to_live_ms: 0,
    }
}

fn qty(order: &types::Submit, mut book: Book) -> Result<i64, Refusal> {
    let submit = submit(order, &mut book, Duration::ZERO, Rounding::Refuse);
    assert_eq!(book.orders.iter().len() > 0, submit.is_ok(), "what is refused is not open");
    submit.map(|submit| submit.qty.to_nanos().expect("fits"))
}

#[test]
fn dollars_become_shares_by_the_price_that_was_told() {
    use types::Side::{Buy, Sell};
    let check = |side, quote, trade, expected: Result<i64, Refusal>| {
        assert_eq!(qty(&order(side, 100), book(quote, trade, 50)), expected, "{side:?} {quote:?} {trade:?}");
    };
    check(Buy, Some((20.0, 25.0)), Some(50.0), Ok(4_000_000_000));
    check(Sell, Some((20.0, 25.0)), Some(50.0), Ok(5_000_000_000));
    check(Buy, Some((20.0, 0.0)), Some(50.0), Ok(2_000_000_000));
    check(Buy, Some((20.0, f64::NAN)), None, Err(Refusal::StaleData));
    check(Buy, None, Some(50.0), Ok(2_000_000_000));
    check(Buy, None, Some(-1.0), Err(Refusal::StaleData));
    check(Buy, None, None, Err(Refusal::StaleData));
    // Down, never up: 33.333333333 and not a bit more.
    check(Buy, Some((1.0, 3.0)), None, Ok(33_333_333_333));
    for usd in [0, -5] {
        assert_eq!(qty(&order(Buy, usd), book(None, Some(1.0), 0)), Err(Refusal::BadQuantity));
    }
}

#[test]
fn a_bar_is_a_price_too_but_not_one_out_of_turn() {
    let mut book = Book::new(vec![Symbol::new("A")]);
    let bar = |close| Bar {
        symbol: Symbol::new("A"),
        start: MarketTime::from_secs(60),
        open: 1.0,
        high: 1.0,
        low: 1.0,
        close,
        volume: 1,
        vwap: 1.0,
    };
    book.apply(&StrategyEvent::Market(MarketEvent::Bar(bar(20.0))));
    let late = sandpit_types::BarMark::Late;
    book.apply(&StrategyEvent::Market(MarketEvent::MarkedBar(bar(50.0), late)));
    assert_eq!(qty(&order(types::Side::Buy, 100), book), Ok(5_000_000_000));
}

#[test]
fn fractions_are_for_what_the_broker_takes_them_of() {
    use types::Side::{Buy, Sell};
    // 3.5 shares where fractions are taken.
    let check = |side, held, change: fn(&mut types::Submit), expected: i64| {
        let mut order = order(side, 70);
        change(&mut order);
        let found = qty(&order, book(Some((20.0, 20.0)), None, held));
        assert_eq!(found, Ok(expected), "{side:?} {held} {order:?}");
    };
    let (part, whole) = (3_500_000_000, 3_000_000_000);
    let plain: fn(&mut types::Submit) = |_| {};
    check(Buy, 0, plain, part);
    check(Buy, 5, plain, part);
    check(Buy, -9, plain, whole);
    check(Sell, 9, plain, part);
    check(Sell, 3, plain, whole);
    check(Sell, 0, plain, whole);
    check(Buy, 0, |it| it.kind = types::OrderKind::Limit(1), part);
    check(Buy, 0, |it| it.kind = types::OrderKind::Stop(1), part);
    let both = types::StopLimit { stop: 1, limit: 1 };
    assert!(matches!(OrderKind::from(types::OrderKind::StopLimit(both)), OrderKind::StopLimit { .. }));
    check(Buy, 0, |it| it.kind = types::OrderKind::TrailingStop(types::Trail::Price(1)), whole);
    check(Buy, 0, |it| it.time_in_force = types::TimeInForce::Gtc, whole);
    check(Buy, 0, |it| it.time_in_force = types::TimeInForce::Ioc, whole);
    check(Buy, 0, |it| it.class = types::OrderClass::OtoTakeProfit(1), whole);
    // Nothing is left of less than a share.
    let mut small = order(Buy, 19);
    assert_eq!(qty(&small, book(Some((20.0, 20.0)), None, 0)), Ok(950_000_000));
    small.time_in_force = types::TimeInForce::Gtc;
    assert_eq!(qty(&small, book(Some((20.0, 20.0)), None, 0)), Err(Refusal::BadQuantity));
}

#[test]
fn kinds_survive_the_way_there_and_back() {
    let trail = |trail| OrderKind::TrailingStop { trail };
    let (stop_price, limit_price) = (Price::from_nanos(3), Price::from_nanos(4));
    for kind in [
        OrderKind::Market,
        OrderKind::Limit { limit_price },
        OrderKind::Stop { stop_price },
        OrderKind::StopLimit { stop_price, limit_price },
        trail(Trail::Price(stop_price)),
        trail(Trail::Percent("1.5".parse::<Price>().expect("a decimal").get())),
    ] {
        assert_eq!(OrderKind::from(types::OrderKind::from(kind)), kind);
    }
}

proptest::proptest! {
    #[test]
    fn dollars_are_never_overspent(cents in 1_i64..1_000_000_000, price in 1_i64..100_000_000) {
        let ask = price as f64 / 10_000.0;
        let mut wanted = order(types::Side::Buy, 1);
        wanted.amount = types::Amount::Notional(cents * 10_000_000);
        let shares = qty(&wanted, book(Some((ask, ask)), None, 0)).unwrap_or(0);
        let spent = i128::from(shares) * i128::from(price) * 100_000;
        proptest::prop_assert!(spent <= i128::from(cents) * 10_000_000 * 1_000_000_000);
    }
}
