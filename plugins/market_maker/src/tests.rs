use proptest::prelude::{any, prop, prop_assert, proptest};
use sandpit_sdk::{Fate, Harness, Intent, Position, Usd};

use super::*;

const SYMBOL: u32 = 0;
const LOOK: Duration = Duration::from_secs(5);
/// Four shares a side, at most ten, six wanted, two cents about the reservation price.
const SMALL: &str = r#"{"quote_shares":4,"target_shares":6,"max_shares":10,"half_spread_sigmas":0}"#;

type Desk = Harness<MarketMaker>;

/// A desk that knows how much the price moves: a cent up and down every five seconds, about 100.
fn desk(parameters: &str) -> Desk {
    desk_of(parameters, Duration::from_secs(390 * 60))
}

/// The same on a day whose session is that long.
fn desk_of(parameters: &str, session: Duration) -> Desk {
    let mut desk = Desk::new(parameters, &["SPY"]).expect("good parameters");
    desk.open_session_for(session);
    desk.limit_fills(Some(Qty::ZERO));
    for step in 0..14 {
        look(&mut desk, 100.0 + f64::from(step % 2) * 0.01);
    }
    desk
}

/// A market of two cents about this price, seen at the next look.
fn look(desk: &mut Desk, price: f64) {
    look_at(desk, price - 0.01, price + 0.01);
}

fn look_at(desk: &mut Desk, bid: f64, ask: f64) {
    desk.pass(LOOK - Duration::from_secs(1));
    desk.quote(SYMBOL, bid, ask);
    desk.pass(Duration::from_secs(1));
}

fn held(desk: &Desk) -> Qty {
    desk.position(SYMBOL).quantity
}

fn hold(desk: &mut Desk, shares: i64) {
    desk.hold(SYMBOL, Position { quantity: Qty::shares(shares), average_price: Price::ZERO });
}

/// The quotes that rest, as side, cents and shares left.
fn resting(desk: &Desk) -> Vec<(Side, i64, i64)> {
    let cents = |price: Price| price.nanos() / 10_000_000;
    let mut rows: Vec<_> = desk
        .open_orders()
        .iter()
        .map(|it| (it.side, it.kind.limit_price().map_or(0, cents), it.left().nanos() / 1_000_000_000))
        .collect();
    rows.sort_by_key(|row| row.1);
    rows
}

#[test]
fn an_empty_inventory_leans_up_and_only_bids() {
    let desk = desk(SMALL);
    // A cent every five seconds is 3.5 cents in a minute: a reservation price of 100.03, two cents around it.
    let found = resting(&desk);
    let [(Side::Buy, cents, 4)] = found.as_slice() else { panic!("{found:?}") };
    assert!((10_000..=10_001).contains(cents), "below the ask of 100.02: {cents}");
}

#[test]
fn both_sides_rest_and_lean_against_the_inventory() {
    let middle = |shares: i64| {
        let mut desk = desk(SMALL);
        hold(&mut desk, shares);
        desk.pass(LOOK);
        look_at(&mut desk, 99.9, 100.1);
        look_at(&mut desk, 99.9, 100.1);
        let found = resting(&desk);
        let [(Side::Buy, bid, 4), (Side::Sell, ask, 4)] = found.as_slice() else { panic!("{found:?}") };
        bid + ask
    };
    let [short, even, long] = [4, 6, 6].map(middle);
    assert_eq!(even, long);
    assert!(short > even, "{short} {even}");
    assert!((even - 20_000).abs() <= 1, "about the middle at the target: {even}");
}

#[test]
fn the_bounds_are_never_passed() {
    let mut desk = desk(SMALL);
    hold(&mut desk, 8);
    look(&mut desk, 100.0);
    look(&mut desk, 100.0);
    let shares = |desk: &Desk, side| -> i64 {
        resting(desk).iter().filter(|row| row.0 == side).map(|row| row.2).sum()
    };
    assert_eq!([Side::Buy, Side::Sell].map(|side| shares(&desk, side)), [2, 4], "ten are the most");
    hold(&mut desk, 10);
    look(&mut desk, 100.0);
    assert_eq!(shares(&desk, Side::Buy), 0, "taken down");
    hold(&mut desk, 1);
    look(&mut desk, 100.0);
    look(&mut desk, 100.0);
    assert_eq!([Side::Buy, Side::Sell].map(|side| shares(&desk, side)), [4, 1]);
}

#[test]
fn a_quote_follows_the_market_by_replacement() {
    let mut desk = desk(SMALL);
    let (submits, replaces) = (desk.submits().len(), desk.replaces().len());
    look(&mut desk, 99.5);
    assert_eq!((desk.submits().len(), desk.replaces().len()), (submits, replaces + 1));
    let before = resting(&desk);
    look(&mut desk, 99.5);
    look(&mut desk, 99.5);
    let moved = desk.replaces().len() - replaces - 1;
    assert!(moved <= 2, "volatility fades and the quote with it");
    let tolerant = SMALL.replacen('{', r#"{"tolerance_bps":100,"#, 1);
    let mut desk = self::desk(&tolerant);
    look(&mut desk, 99.9);
    assert!(desk.replaces().is_empty(), "near enough: {before:?}");
}

#[test]
fn one_quote_waits_for_the_other_to_go() {
    let mut desk = desk(SMALL);
    hold(&mut desk, 6);
    look(&mut desk, 100.0);
    look(&mut desk, 100.0);
    let ask = desk.open_orders().into_iter().find(|order| order.side == Side::Sell).expect("it rests");
    let before = desk.replaces().len();
    // The market is above our ask, and so would be our bid.
    look(&mut desk, 101.0);
    assert_eq!(desk.replaces()[before..].iter().map(|it| it.id).collect::<Vec<_>>(), [ask.id]);
    look(&mut desk, 101.0);
    assert_eq!(desk.replaces().len(), before + 2, "the bid follows at the next look");
}

#[test]
fn it_earns_the_spread() {
    let mut desk = desk(SMALL);
    hold(&mut desk, 6);
    desk.limit_fills(None);
    for step in 0..40 {
        // Somebody sells down to our bid, somebody buys up to our ask.
        let swing = if step % 2 == 0 { -0.06 } else { 0.06 };
        look_at(&mut desk, 99.99, 100.01);
        desk.quote(SYMBOL, 99.99 + swing, 100.01 + swing);
    }
    look(&mut desk, 100.0);
    let worth = desk.account().equity - sandpit_sdk::START_EQUITY;
    assert!(worth > Usd::dollars(600), "600 is what was held from the start: {worth}");
}

#[test]
fn stale_prices_take_the_quotes_down() {
    let mut desk = desk(SMALL);
    assert_eq!(resting(&desk).len(), 1);
    desk.stream_health(StreamHealth::Stale);
    assert!(resting(&desk).is_empty(), "at once");
    look(&mut desk, 100.0);
    assert!(resting(&desk).is_empty());
    desk.stream_health(StreamHealth::Live);
    look(&mut desk, 100.0);
    assert_eq!(resting(&desk).len(), 1);
    // Nobody says that it is stale, but no quote comes.
    desk.pass(MAX_QUOTE_AGE + LOOK);
    assert!(resting(&desk).is_empty());
}

#[test]
fn a_refusal_is_followed_by_a_pause() {
    let mut desk = desk(SMALL);
    desk.stream_health(StreamHealth::Stale);
    desk.stream_health(StreamHealth::Live);
    let before = desk.submits().len();
    desk.refuse(Some("order-rate"));
    (0..8).for_each(|_| look(&mut desk, 100.0));
    assert_eq!(desk.submits().len(), before + 2, "once in thirty seconds");
    // The other side goes on.
    hold(&mut desk, 6);
    desk.refuse(None);
    look(&mut desk, 100.0);
    assert!(matches!(resting(&desk).as_slice(), [(Side::Sell, ..)]), "{:?}", resting(&desk));
    desk.pass(PAUSE);
    look(&mut desk, 100.0);
    assert_eq!(resting(&desk).len(), 2);
}

#[test]
fn a_loss_ends_the_session() {
    let mut desk = desk(&SMALL.replacen('{', r#"{"max_loss_usd":5,"#, 1));
    hold(&mut desk, 6);
    desk.limit_fills(None);
    // The six shares were not there at the first price: this session begins with them.
    desk.close_session();
    desk.pass(Duration::from_secs(3_600));
    desk.open_session();
    (0..3).for_each(|_| look_at(&mut desk, 99.8, 100.2));
    look_at(&mut desk, 99.3, 99.7);
    assert!(held(&desk).is_positive(), "three dollars");
    look_at(&mut desk, 98.0, 98.4);
    look_at(&mut desk, 98.0, 98.4);
    assert!(held(&desk).is_zero() && resting(&desk).is_empty());
    desk.restart(SMALL, &["SPY"]).expect("it takes what it saved");
    (0..20).for_each(|_| look(&mut desk, 100.0));
    assert!(resting(&desk).is_empty(), "a restart forgives nothing");
    desk.close_session();
    desk.open_session();
    desk.limit_fills(Some(Qty::ZERO));
    (0..3).for_each(|_| look(&mut desk, 100.0));
    assert_eq!(resting(&desk).len(), 1, "another session");
}

#[test]
fn it_is_flat_before_the_close() {
    // A half day: by default it leaves 15 minutes before its close.
    let mut desk = desk_of(SMALL, Duration::from_secs(17 * 60));
    hold(&mut desk, 6);
    desk.limit_fills(None);
    desk.refuse(Some("no-lease"));
    (0..12).for_each(|_| look(&mut desk, 100.0));
    assert!(held(&desk).is_positive());
    desk.refuse(None);
    desk.pass(LOOK);
    assert!(held(&desk).is_zero() && resting(&desk).is_empty(), "tried at each look");
}

#[test]
fn nothing_is_quoted_outside_a_session() {
    let mut desk = Desk::new(SMALL, &["SPY"]).expect("good parameters");
    (0..20).for_each(|_| look(&mut desk, 100.0));
    desk.open_session();
    desk.close_session();
    (0..20).for_each(|_| look(&mut desk, 100.0));
    assert!(desk.submits().is_empty());
}

#[test]
fn a_lost_timer_is_set_again() {
    let mut desk = Desk::new(SMALL, &["SPY"]).expect("good parameters");
    desk.limit_fills(Some(Qty::ZERO));
    desk.ignore_intents(true);
    desk.open_session();
    look(&mut desk, 100.0);
    desk.ignore_intents(false);
    (0..30).for_each(|step| look(&mut desk, 100.0 + f64::from(step % 2) * 0.01));
    assert_eq!(resting(&desk).len(), 1);
}

#[test]
fn quotes_of_an_earlier_life_are_gone_on_with() {
    let mut desk = desk(SMALL);
    let before = resting(&desk);
    desk.restart(SMALL, &["SPY"]).expect("it takes what it saved");
    look(&mut desk, 100.0);
    assert!(resting(&desk).is_empty(), "how much the price moves has to be learned again");
    (0..14).for_each(|step| look(&mut desk, 100.0 + f64::from(step % 2) * 0.01));
    assert_eq!(resting(&desk).len(), before.len());
    let mut one = <MarketMaker as Strategy>::init(SMALL, &["SPY".into()]).expect("good parameters");
    assert_eq!(one.load("", b""), Ok(()));
    assert!(one.load("", b"7").expect_err("no map").starts_with("saved profits: invalid type"));
}

#[test]
fn symbols_do_not_disturb_each_other() {
    let mut desk = Desk::new(SMALL, &["SPY", "IBM"]).expect("good parameters");
    desk.limit_fills(Some(Qty::ZERO));
    desk.open_session();
    for step in 0..14 {
        desk.quote(1, 50.0, 50.02 + f64::from(step % 2) * 0.01);
        look(&mut desk, 100.0 + f64::from(step % 2) * 0.01);
    }
    let mut symbols: Vec<u32> = desk.open_orders().iter().map(|order| order.instrument.0).collect();
    symbols.sort_unstable();
    assert_eq!(symbols, [0, 1]);
}

proptest! {
    #[test]
    fn never_too_much_and_never_short(
        steps in prop::collection::vec((-30_i32..30, 1_i32..20, any::<u32>()), 1..150),
        // With the bid that rests already, no more than the most.
        start in 0_i64..=6,
    ) {
        let mut desk = desk(SMALL);
        hold(&mut desk, start);
        desk.limit_fills(None);
        let mut cents = 10_000;
        for (step, half, number) in steps {
            desk.befall(Fate::pick(number));
            cents += step;
            let price = |cents: i32| f64::from(cents) / 100.0;
            look_at(&mut desk, price(cents - half), price(cents + half));
            let open = desk.open_orders();
            let left = |side| -> Qty {
                open.iter().filter(|it| it.side == side).map(OpenOrder::left).sum()
            };
            prop_assert!(open.iter().filter(|it| it.side == Side::Buy).count() <= 1, "{open:?}");
            prop_assert!(open.iter().filter(|it| it.side == Side::Sell).count() <= 1, "{open:?}");
            prop_assert!(held(&desk) + left(Side::Buy) <= Qty::shares(10), "{} and {open:?}", held(&desk));
            prop_assert!(held(&desk) >= left(Side::Sell), "{} and {open:?}", held(&desk));
            let limits = |side| {
                let own = open.iter().filter(move |it| it.side == side);
                own.filter_map(|it| it.kind.limit_price())
            };
            let meet = limits(Side::Buy).max().zip(limits(Side::Sell).min());
            prop_assert!(meet.is_none_or(|(bid, ask)| bid < ask), "{open:?}");
        }
        let is_sale = |intent: &Intent| matches!(intent, Intent::Submit(it) if it.kind == OrderKind::Market);
        prop_assert!(!desk.intents().iter().any(is_sale), "quotes are limits");
        desk.ease();
        desk.pass(Duration::from_secs(400 * 60));
        look(&mut desk, 100.0);
        prop_assert!(held(&desk).is_zero() && desk.open_orders().is_empty(), "late in the session");
    }
}
