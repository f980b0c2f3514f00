use sandpit_sdk::{Harness, OrderKind, Side};

use super::*;

const SYMBOL: u32 = 0;
/// Crosses up at a close above 10 after these, and down below.
const QUICK: &str = r#"{"fast":1,"slow":2}"#;

/// A desk whose averages are warm and equal.
fn desk(parameters: &str) -> Harness<EmaCross> {
    let mut desk = Harness::new(parameters, &["SPY", "IBM"]).expect("good parameters");
    desk.open_session();
    [10.0, 10.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    desk
}

fn orders(desk: &Harness<EmaCross>) -> Vec<(u32, Side, i64)> {
    let whole = |quantity: Qty| quantity.nanos() / Qty::shares(1).nanos();
    let order = |it: &sandpit_sdk::Submit| {
        assert_eq!(it.kind, OrderKind::Market);
        (it.instrument.0, it.side, whole(it.shares().expect("it says shares")))
    };
    desk.submits().iter().map(order).collect()
}

#[test]
fn crosses_become_orders() {
    let check = |parameters: &str, closes: &[f64], expected: &[(Side, i64)]| {
        let mut desk = desk(parameters);
        closes.iter().for_each(|&close| desk.close(SYMBOL, close));
        let expected: Vec<_> = expected.iter().map(|&(side, shares)| (SYMBOL, side, shares)).collect();
        assert_eq!(orders(&desk), expected, "{parameters} {closes:?}");
    };
    let (buy, sell) = ((Side::Buy, 100), (Side::Sell, 100));
    check(QUICK, &[], &[]);
    check(QUICK, &[11.0], &[buy]);
    check(QUICK, &[11.0, 12.0, 13.0], &[buy]);
    check(QUICK, &[11.0, 10.0, 11.0, 9.0], &[buy, sell, buy, sell]);
    // Nothing is held at the first cross downwards: it cannot go short.
    check(QUICK, &[11.0, 9.0, 8.0], &[buy, sell]);
    check(QUICK, &[9.0, 8.0, 11.0], &[buy]);
    check(r#"{"fast":1,"slow":2,"shares":7}"#, &[11.0], &[(Side::Buy, 7)]);
    check(r#"{"every":3}"#, &[10.0; 7], &[buy, sell, buy]);
}

#[test]
fn the_last_minute_of_a_session_waits_for_the_next() {
    let check = |after: &[f64], expected: &[(u32, Side, i64)]| {
        let mut desk = Harness::<EmaCross>::new(QUICK, &["SPY"]).expect("good parameters");
        desk.open_session_for(3 * MINUTE);
        [10.0, 10.0, 11.0].iter().for_each(|&close| desk.close(SYMBOL, close));
        assert_eq!(orders(&desk), [], "the session is over");
        desk.close_session();
        desk.close(SYMBOL, 11.0);
        assert_eq!(orders(&desk), [], "nothing is sent outside a session");
        desk.open_session();
        after.iter().for_each(|&close| desk.close(SYMBOL, close));
        assert_eq!(orders(&desk), expected, "{after:?}");
    };
    let buy = (SYMBOL, Side::Buy, 100);
    check(&[11.1, 11.2], &[buy]);
    // The purchase that was due is not any more.
    check(&[5.0, 4.0], &[]);
    check(&[5.0, 8.0], &[buy]);
}

#[test]
fn a_sale_that_is_refused_is_due_again() {
    let mut desk = desk(QUICK);
    desk.close(SYMBOL, 11.0);
    desk.refuse(Some("order-rate"));
    [9.0, 8.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    assert_eq!(orders(&desk).len(), 3, "at each bar");
    desk.refuse(None);
    desk.close(SYMBOL, 7.0);
    assert!(desk.position(SYMBOL).quantity.is_zero());
    desk.close(SYMBOL, 6.0);
    assert_eq!(orders(&desk).len(), 4);
}

#[test]
fn a_purchase_that_is_refused_waits_for_the_next_cross() {
    let mut desk = desk(QUICK);
    desk.refuse(Some("buying-power"));
    [11.0, 12.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    desk.refuse(None);
    desk.close(SYMBOL, 13.0);
    assert_eq!(orders(&desk).len(), 1);
    [9.0, 14.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    assert!(desk.position(SYMBOL).quantity.is_positive());
}

#[test]
fn symbols_do_not_mix() {
    let mut desk = desk(QUICK);
    [20.0, 20.0, 21.0].iter().for_each(|&close| desk.close(1, close));
    assert_eq!(orders(&desk), [(1, Side::Buy, 100)]);
    desk.close(SYMBOL, 11.0);
    assert_eq!(orders(&desk).len(), 2);
}

#[test]
fn an_open_order_is_waited_for() {
    let mut desk = desk(QUICK);
    desk.limit_fills(Some(Qty::ZERO));
    [11.0, 9.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    assert_eq!(orders(&desk).len(), 1);
    desk.limit_fills(None);
    [8.0, 7.0].iter().for_each(|&close| desk.close(SYMBOL, close));
    assert_eq!(orders(&desk).len(), 2, "bought late, sold after it");
    assert!(desk.position(SYMBOL).quantity.is_zero());
}
