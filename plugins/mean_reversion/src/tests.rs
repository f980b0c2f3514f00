use proptest::prelude::{any, prop, prop_assert, proptest};
use sandpit_sdk::{Fate, Harness, OrderClass, OrderKind, Position, Price};

use super::*;

const SYMBOL: u32 = 0;
/// Five bars, stops two deviations away, half of 100,000 USD.
const QUICK: &str = r#"{"window_bars":5,"entry_z":1.5,"fraction":0.5,"max_stop_percent":5}"#;
/// Closes whose last one is 1.99 deviations below the mean of the five: mean 99.6, deviation 0.8.
const FALL: [f64; 5] = [100.0, 100.0, 100.0, 100.0, 98.0];

type Desk = Harness<MeanReversion>;

fn desk(parameters: &str) -> Desk {
    let mut desk = Desk::new(parameters, &["SPY"]).expect("good parameters");
    desk.open_session();
    desk
}

/// The next minute, and what comes of it.
fn minute(desk: &mut Desk, price: f64) {
    desk.quoted_closes(&[(SYMBOL, price)], 0.02);
    desk.pass(SETTLE);
}

fn minutes(desk: &mut Desk, prices: &[f64]) {
    prices.iter().for_each(|&price| minute(desk, price));
}

fn held(desk: &Desk) -> Qty {
    desk.position(SYMBOL).quantity
}

fn price(value: f64) -> Price {
    Price::from_f64(value).expect("fits")
}

/// Shares that stops guard now.
fn guarded(desk: &Desk) -> Qty {
    OpenOrder::guarded(Side::Sell, &desk.open_orders())
}

#[test]
fn a_fall_is_bought_with_its_stop() {
    let mut desk = desk(QUICK);
    minutes(&mut desk, &FALL[..4]);
    assert!(desk.submits().is_empty());
    minute(&mut desk, FALL[4]);
    let submits = desk.submits();
    let [entry] = submits.as_slice() else { panic!("{submits:?}") };
    // The ask, and two deviations of 0.8 below it.
    assert_eq!((entry.side, entry.kind), (Side::Buy, OrderKind::Limit(price(98.01))));
    assert_eq!(entry.class, OrderClass::OtoStopLoss(price(96.41).into()));
    assert_eq!((held(&desk), guarded(&desk)), (Qty::shares(510), Qty::shares(510)));
}

#[test]
fn the_mean_is_where_it_leaves() {
    let mut desk = desk(QUICK);
    minutes(&mut desk, &FALL);
    minute(&mut desk, 98.5);
    assert!(held(&desk).is_positive(), "the mean is 99.3");
    minute(&mut desk, 99.5);
    assert_eq!((held(&desk), desk.open_orders().len()), (Qty::ZERO, 0));
}

#[test]
fn the_stop_ends_it_and_it_waits_for_the_mean() {
    let mut desk = desk(QUICK);
    minutes(&mut desk, &FALL);
    desk.quote(SYMBOL, 96.3, 96.32);
    desk.pass(SETTLE);
    assert_eq!((held(&desk), desk.open_orders().len()), (Qty::ZERO, 0), "stopped out between two bars");
    let entries = |desk: &Desk| desk.submits().iter().filter(|it| it.side == Side::Buy).count();
    minutes(&mut desk, &[96.3, 93.0, 89.0, 84.0, 78.0, 71.0]);
    assert!(entries(&desk) <= 3, "a falling knife is caught three times, not at every bar");
    let before = entries(&desk);
    minutes(&mut desk, &[60.0, 45.0]);
    assert_eq!(entries(&desk), before);
    minutes(&mut desk, &[80.0, 80.0, 80.0, 80.0, 80.0, 78.0]);
    assert_eq!(entries(&desk), before + 1, "it was back at its mean");
}

#[test]
fn too_long_is_too_long_bars_or_none() {
    let mut desk = desk(&QUICK.replacen('{', r#"{"max_hold_minutes":3,"#, 1));
    minutes(&mut desk, &FALL);
    desk.stream_health(StreamHealth::Stale);
    desk.pass(Duration::from_secs(170));
    assert!(held(&desk).is_positive());
    desk.pass(Duration::from_secs(40));
    assert!(held(&desk).is_zero());
}

#[test]
fn it_is_flat_before_the_close() {
    let mut desk = Desk::new(QUICK, &["SPY"]).expect("good parameters");
    // A half day: by default it leaves 15 minutes before its close.
    desk.open_session_for(Duration::from_secs(21 * 60));
    minutes(&mut desk, &FALL);
    assert!(held(&desk).is_positive());
    minute(&mut desk, 97.9);
    assert!(held(&desk).is_zero(), "the sixth minute");
    minutes(&mut desk, &[90.0, 80.0]);
    assert_eq!(desk.submits().len(), 1, "no entry any more");
}

#[test]
fn what_fills_in_part_gets_a_stop_of_its_own() {
    for updates_first in [false, true] {
        let mut desk = desk(QUICK);
        desk.updates_first(updates_first);
        minutes(&mut desk, &FALL[..4]);
        desk.limit_fills(Some(Qty::shares(7)));
        minute(&mut desk, FALL[4]);
        desk.limit_fills(Some(Qty::ZERO));
        assert_eq!((held(&desk), guarded(&desk)), (Qty::shares(7), Qty::ZERO));
        desk.pass(PATIENCE + SETTLE);
        assert_eq!((held(&desk), guarded(&desk)), (Qty::shares(7), Qty::shares(7)));
        assert_eq!(desk.submits()[1].kind, OrderKind::Stop(price(96.41)), "where it was meant to be");
        desk.limit_fills(Some(Qty::shares(3)));
        desk.quote(SYMBOL, 96.0, 96.02);
        desk.pass(SETTLE);
        assert_eq!((held(&desk), guarded(&desk)), (Qty::shares(4), Qty::shares(4)), "it fills in parts, too");
    }
}

#[test]
fn an_entry_that_does_not_fill_is_called_back() {
    let mut desk = desk(QUICK);
    desk.limit_fills(Some(Qty::ZERO));
    minutes(&mut desk, &FALL);
    assert_eq!(desk.open_orders().len(), 2, "entry and leg");
    desk.pass(PATIENCE);
    assert_eq!((desk.cancels().len(), desk.open_orders().len()), (1, 0));
}

#[test]
fn nothing_is_entered_on_prices_that_are_not_live() {
    for (health, expected) in [(StreamHealth::Stale, 0), (StreamHealth::Fallback, 0), (StreamHealth::Live, 1)]
    {
        let mut desk = desk(QUICK);
        minutes(&mut desk, &FALL[..4]);
        desk.stream_health(health);
        minute(&mut desk, FALL[4]);
        assert_eq!(desk.submits().len(), expected, "{health:?}");
    }
    // The quote is a minute old at the end of the bar.
    let mut old = desk(QUICK);
    minutes(&mut old, &FALL[..4]);
    old.close(SYMBOL, FALL[4]);
    assert!(old.submits().is_empty());
}

#[test]
fn a_refused_entry_is_tried_a_few_times() {
    let mut desk = desk(QUICK);
    desk.refuse(Some("order-rate"));
    minutes(&mut desk, &FALL);
    minutes(&mut desk, &[95.0, 91.0, 86.0, 80.0, 73.0]);
    assert_eq!(desk.submits().len(), 3);
}

#[test]
fn a_stop_that_is_not_taken_ends_the_position() {
    let mut desk = desk(QUICK);
    minutes(&mut desk, &[100.0; 5]);
    desk.hold(SYMBOL, Position { quantity: Qty::shares(5), average_price: price(101.0) });
    desk.refuse(Some("bad-price"));
    minute(&mut desk, 99.9);
    assert_eq!(desk.submits().len(), 1, "a stop was tried");
    assert_eq!(held(&desk), Qty::shares(5));
    desk.refuse(None);
    desk.pass(LOOK_EVERY);
    assert!(held(&desk).is_zero());
}

#[test]
fn stops_of_more_than_is_held_are_made_to_fit_at_the_second_look() {
    let mut desk = desk(QUICK);
    minutes(&mut desk, &FALL);
    let stop = desk.submits()[0].id;
    // Somebody sold some of it, or a fill is on its way here.
    desk.hold(SYMBOL, Position { quantity: Qty::shares(100), average_price: price(98.01) });
    desk.pass(LOOK_EVERY);
    assert!(desk.cancels().is_empty(), "a fill may be on its way");
    desk.pass(3 * SETTLE);
    assert_eq!((desk.cancels(), guarded(&desk)), (vec![stop], Qty::shares(100)));
    minute(&mut desk, 98.0);
    assert_eq!(desk.submits().len(), 2, "and then it is quiet");
}

#[test]
fn a_restart_goes_on_where_it_was() {
    for is_saved in [true, false] {
        let mut desk = desk(QUICK);
        minutes(&mut desk, &FALL);
        let before = desk.open_orders();
        if is_saved {
            desk.restart(QUICK, &["SPY"]).expect("it takes what it saved");
        }
        minute(&mut desk, 98.0);
        assert_eq!(desk.open_orders(), before, "the stop is there: nothing to do");
        // Even if the stop was lost meanwhile, its price was not.
        let mut fresh = Desk::new(QUICK, &["SPY"]).expect("good parameters");
        fresh.hold(SYMBOL, desk.position(SYMBOL));
        minute(&mut fresh, 98.0);
        assert_eq!((guarded(&fresh), fresh.submits().len()), (held(&desk), 1), "a stop from the price paid");
    }
}

#[test]
fn what_is_saved_is_taken_back() {
    let mut one = MeanReversion::init(QUICK, &["SPY".into(), "IBM".into()]).expect("good parameters");
    let kept = Kept { stop_nanos: Some(7), since_nanos: Some(8) };
    one.symbols[1].kept = kept;
    // The symbols may come in another order.
    let mut other = MeanReversion::init(QUICK, &["IBM".into(), "QQQ".into()]).expect("good parameters");
    other.load("", &one.save()).expect("its own state");
    assert_eq!(other.symbols[0].kept, kept);
    assert_eq!(other.symbols[1].kept, Kept::default());
    assert_eq!(other.load("", b""), Ok(()));
    assert!(other.load("", b"PK").expect_err("no state").starts_with("saved stops: expected value"));
}

#[test]
fn an_entry_of_an_earlier_life_is_called_back() {
    let mut desk = desk(QUICK);
    desk.limit_fills(Some(Qty::ZERO));
    minutes(&mut desk, &FALL);
    desk.restart(QUICK, &["SPY"]).expect("good parameters");
    desk.pass(SETTLE);
    desk.quote(SYMBOL, 99.99, 100.01);
    desk.bar(sandpit_sdk::Bar {
        instrument: Instrument(SYMBOL),
        start: desk.now(),
        open: 100.0,
        high: 100.0,
        low: 100.0,
        close: 100.0,
        volume: 1.0,
    });
    assert_eq!((desk.cancels().len(), desk.open_orders().len()), (1, 0));
}

#[test]
fn a_gap_over_night_is_no_deviation() {
    let mut desk = desk(QUICK);
    minutes(&mut desk, &[100.0, 100.1, 99.9, 100.0, 100.1]);
    desk.close_session();
    desk.pass(Duration::from_secs(17 * 3600));
    desk.open_session();
    minutes(&mut desk, &[95.0, 95.1, 94.9, 95.0]);
    assert!(desk.submits().is_empty());
    minute(&mut desk, 94.0);
    assert_eq!(desk.submits().len(), 1, "five bars of its own say so");
}

#[test]
fn a_session_that_closed_early_leaves_the_stop() {
    let mut desk = desk(QUICK);
    minutes(&mut desk, &FALL);
    let before = held(&desk);
    desk.close_session();
    desk.pass(Duration::from_secs(3600));
    assert_eq!((held(&desk), guarded(&desk)), (before, before));
}

proptest! {
    #[test]
    fn one_entry_and_always_a_stop(steps in prop::collection::vec((-150_i32..150, any::<u32>()), 1..150)) {
        let mut desk = desk(QUICK);
        let mut cents = 10_000;
        for (step, number) in steps {
            desk.befall(Fate::pick(number));
            cents = (cents + step).max(5_000);
            minute(&mut desk, f64::from(cents) / 100.0);
            desk.pass(PATIENCE + SETTLE);
            let open = desk.open_orders();
            let entries = open.iter().filter(|order| is_entry(order)).count();
            prop_assert!(entries <= 1, "{open:?}");
            let bought = desk.submits().into_iter().filter(|it| it.side == Side::Buy);
            let most = bought.filter_map(|it| it.shares()).max().unwrap_or(Qty::ZERO);
            prop_assert!((Qty::ZERO..=most).contains(&held(&desk)), "{} of {most}", held(&desk));
            let is_under_way = entries == 1 || open.iter().any(is_leaving);
            prop_assert!(
                desk.is_refusing() || is_under_way || guarded(&desk) == held(&desk),
                "{} held, {open:?}",
                held(&desk)
            );
        }
        desk.ease();
        desk.pass(Duration::from_secs(400 * 60));
        minutes(&mut desk, &[100.0, 100.0]);
        prop_assert!(held(&desk).is_zero() && desk.open_orders().is_empty(), "late in the session");
    }
}
