use sandpit_sdk::{Harness, OrderKind, Position, Submit, TimeInForce};

use super::*;

const SYMBOL: u32 = 0;
const QUICK: &str = r#"{"fast":1,"slow":2,"usd":1000}"#;

/// A desk whose averages are warm and below, so that the next close above 100 crosses up.
fn desk(parameters: &str) -> Harness<SmaCross> {
    let mut desk = Harness::new(parameters, &["SPY"]).expect("good parameters");
    desk.open_session();
    desk.close(SYMBOL, 101.0);
    desk.close(SYMBOL, 100.0);
    assert!(desk.submits().is_empty());
    desk
}

fn shares(submit: &Submit) -> Qty {
    submit.shares().expect("it says shares")
}

fn price(value: f64) -> Price {
    Price::from_f64(value).expect("fits")
}

fn held(desk: &Harness<SmaCross>) -> Qty {
    desk.position(SYMBOL).quantity
}

#[test]
fn crosses_become_positions() {
    let check = |closes: &[f64], expected: &[(Side, i64)]| {
        let mut desk = desk(QUICK);
        closes.iter().for_each(|&close| desk.close(SYMBOL, close));
        let found: Vec<(Side, Qty)> = desk.submits().iter().map(|it| (it.side, shares(it))).collect();
        let expected: Vec<(Side, Qty)> =
            expected.iter().map(|&(side, shares)| (side, Qty::shares(shares))).collect();
        assert_eq!(found, expected, "{closes:?}");
    };
    check(&[], &[]);
    check(&[99.0, 98.0], &[]);
    check(&[101.0], &[(Side::Buy, 9)]);
    check(&[101.0, 102.0, 103.0], &[(Side::Buy, 9)]);
    check(&[101.0, 102.0, 101.0], &[(Side::Buy, 9), (Side::Sell, 9)]);
    check(&[101.0, 100.0, 101.0], &[(Side::Buy, 9), (Side::Sell, 9), (Side::Buy, 9)]);
    // Equal averages are not above.
    check(&[100.0, 100.0], &[]);
    // No share at that price.
    check(&[1001.0], &[]);
}

#[test]
fn a_trend_that_is_there_at_the_start_is_no_cross() {
    let mut desk = Harness::<SmaCross>::new(QUICK, &["SPY"]).expect("good parameters");
    [100.0, 101.0, 102.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    assert!(desk.submits().is_empty());
}

#[test]
fn orders_are_limits_across_the_spread() {
    let mut desk = desk(QUICK);
    desk.quote(SYMBOL, 100.993, 101.011);
    desk.close(SYMBOL, 101.0);
    desk.quote(SYMBOL, 99.999, 100.01);
    desk.close(SYMBOL, 100.0);
    let submits = desk.submits();
    let [buy, sell] = submits.as_slice() else { panic!("{submits:?}") };
    assert_eq!(buy.kind, OrderKind::Limit(price(101.02)));
    assert_eq!(sell.kind, OrderKind::Limit(price(99.99)));
    assert_eq!(sell.time_in_force, TimeInForce::Day);
    assert!(held(&desk).is_zero());
}

#[test]
fn a_broken_quote_is_not_used() {
    for (bid, ask) in [(0.0, 101.0), (102.0, 101.0), (101.0, f64::INFINITY), (f64::NAN, 101.0)] {
        let mut desk = desk(QUICK);
        desk.quote(SYMBOL, bid, ask);
        desk.close(SYMBOL, 101.0);
        assert_eq!(desk.submits().iter().map(|it| it.kind).collect::<Vec<_>>(), [OrderKind::Market]);
    }
}

#[test]
fn a_budget_is_a_share_of_the_equity() {
    let mut desk = desk(r#"{"fast":1,"slow":2}"#);
    desk.close(SYMBOL, 101.0);
    // 5 % of 100,000 at 101.
    assert_eq!(held(&desk), Qty::shares(49));
}

#[test]
fn no_second_order_while_one_is_open() {
    let mut desk = desk(QUICK);
    desk.limit_fills(Some(Qty::ZERO));
    desk.close(SYMBOL, 101.0);
    let first = desk.submits()[0].id;
    assert_eq!(desk.open_orders().len(), 1);
    desk.close(SYMBOL, 102.0);
    assert_eq!((desk.submits().len(), desk.cancels()), (1, vec![first]));
    // Cancelled by now: the entry is tried again.
    desk.limit_fills(None);
    desk.close(SYMBOL, 103.0);
    assert_eq!(desk.submits().len(), 2);
    assert!(held(&desk).is_positive());
}

#[test]
fn an_entry_filled_in_part_is_kept_and_sold_in_parts() {
    let mut desk = desk(QUICK);
    desk.limit_fills(Some(Qty::shares(4)));
    desk.close(SYMBOL, 101.0);
    assert_eq!(held(&desk), Qty::shares(4));
    desk.limit_fills(Some(Qty::ZERO));
    // The rest is cancelled and not bought again.
    [102.0, 103.0, 104.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    assert_eq!((desk.submits().len(), desk.open_orders().len()), (1, 0));
    // The exit fills 3 of 4 and its rest is cancelled; the last share follows.
    desk.limit_fills(Some(Qty::shares(3)));
    desk.close(SYMBOL, 100.0);
    assert_eq!(held(&desk), Qty::shares(1));
    desk.limit_fills(Some(Qty::ZERO));
    desk.close(SYMBOL, 99.0);
    desk.limit_fills(None);
    desk.close(SYMBOL, 98.0);
    assert!(held(&desk).is_zero());
}

#[test]
fn a_refused_entry_is_tried_again_a_few_times() {
    let mut desk = desk(QUICK);
    desk.refuse(Some("stale-data"));
    (1..10).for_each(|step| desk.close(SYMBOL, 100.0 + f64::from(step)));
    assert_eq!(desk.submits().len(), usize::from(MAX_ENTRY_TRIES));
    desk.refuse(None);
    desk.close(SYMBOL, 120.0);
    assert!(held(&desk).is_zero(), "the cross was missed");
}

#[test]
fn a_refused_exit_is_tried_for_ever() {
    let mut desk = desk(QUICK);
    desk.close(SYMBOL, 101.0);
    desk.refuse(Some("no-lease"));
    (0..10).for_each(|step| desk.close(SYMBOL, 100.0 - f64::from(step)));
    assert_eq!(desk.submits().len(), 1 + 10);
    desk.refuse(None);
    desk.close(SYMBOL, 80.0);
    assert!(held(&desk).is_zero());
}

#[test]
fn a_closed_session_ends_the_tries() {
    let mut desk = desk(QUICK);
    desk.refuse(Some("session-closed"));
    [101.0, 102.0, 103.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    assert_eq!(desk.submits().len(), 1);
    desk.refuse(None);
    desk.open_session();
    desk.close(SYMBOL, 104.0);
    assert!(held(&desk).is_positive(), "the cross still stands");
}

#[test]
fn positions_are_sold_late_in_the_session() {
    let parameters = r#"{"fast":1,"slow":2,"usd":1000,"flatten_before_close_minutes":5}"#;
    let mut desk = Harness::<SmaCross>::new(parameters, &["SPY"]).expect("good parameters");
    desk.open_session_for(std::time::Duration::from_secs(10 * 60));
    [101.0, 100.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    [101.0, 102.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    assert!(held(&desk).is_positive());
    desk.close(SYMBOL, 103.0);
    assert!(held(&desk).is_zero(), "the fifth minute");
    [102.0, 103.0, 104.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    assert!(held(&desk).is_zero(), "no new entry");
}

#[test]
fn intents_ignored_in_warm_up_do_not_block() {
    let mut desk = Harness::<SmaCross>::new(QUICK, &["SPY"]).expect("good parameters");
    desk.ignore_intents(true);
    [101.0, 100.0, 101.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    desk.ignore_intents(false);
    [100.0, 99.0, 100.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    assert!(held(&desk).is_positive());
}

#[test]
fn a_position_of_an_earlier_life_is_sold() {
    let mut desk = desk(QUICK);
    desk.hold(SYMBOL, Position { quantity: Qty::shares(7), average_price: price(90.0) });
    desk.close(SYMBOL, 99.0);
    assert!(held(&desk).is_zero());
}

#[test]
fn symbols_do_not_disturb_each_other() {
    let mut desk = Harness::<SmaCross>::new(QUICK, &["SPY", "IBM"]).expect("good parameters");
    desk.closes(&[(0, 101.0), (1, 200.0)]);
    desk.closes(&[(0, 100.0), (1, 190.0)]);
    desk.closes(&[(0, 101.0), (1, 180.0)]);
    desk.closes(&[(0, 102.0), (1, 190.0)]);
    let found: Vec<(u32, Qty)> =
        desk.submits().iter().map(|it: &Submit| (it.instrument.0, shares(it))).collect();
    assert_eq!(found, [(0, Qty::shares(9)), (1, Qty::shares(5))]);
}

#[test]
fn defaults_trade_several_times_in_a_day() {
    let mut desk = Harness::<SmaCross>::new("", &["SPY"]).expect("good parameters");
    desk.open_session();
    let mut close = 167.41;
    for _ in 0..390 {
        // A seeded walk of a cent or so a minute.
        let step = (sandpit_sdk::Host::random(desk.host()) % 9) as f64 - 4.0;
        close += step * 0.01;
        desk.quote(SYMBOL, close - 0.01, close + 0.01);
        desk.close(SYMBOL, close);
    }
    let trades = desk.submits().len();
    assert!((6..60).contains(&trades), "{trades} orders");
    assert!(desk.open_orders().is_empty());
}

#[test]
fn the_warm_up_is_long_enough_for_the_longest_average() {
    let bars = SmaCross::describe().warmup_bars;
    assert_eq!(bars, 390);
    let mut desk =
        Harness::<SmaCross>::new(r#"{"fast":1,"slow":390}"#, &["SPY"]).expect("the largest there is");
    desk.ignore_intents(true);
    (1..=bars).for_each(|bar| desk.close(SYMBOL, 1_000.0 - f64::from(bar)));
    desk.ignore_intents(false);
    desk.open_session();
    desk.close(SYMBOL, 2_000.0);
    assert!(held(&desk).is_positive(), "the first live bar crosses");
}
