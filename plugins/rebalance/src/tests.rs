use sandpit_sdk::{Harness, Intent, OrderKind, Position, Submit};

use super::*;

/// A tenth of 100,000 in each of two symbols, every five minutes, at once across the spread.
const EAGER: &str = r#"{"weights":{"A":0.1,"B":0.1},"every_minutes":5,"patience_minutes":0}"#;
const PATIENT: &str = r#"{"weights":{"A":0.1,"B":0.1},"every_minutes":30}"#;
const BOTH: [(u32, f64); 2] = [(0, 100.0), (1, 50.0)];

fn desk(parameters: &str) -> Harness<Rebalance> {
    let mut desk = Harness::new(parameters, &["A", "B"]).expect("good parameters");
    desk.open_session();
    desk
}

fn shares(submit: &Submit) -> Qty {
    submit.shares().expect("it says shares")
}

fn price(value: f64) -> Price {
    Price::from_f64(value).expect("fits")
}

fn held(desk: &Harness<Rebalance>) -> [Qty; 2] {
    [0, 1].map(|symbol| desk.position(symbol).quantity)
}

fn sides(submits: &[Submit]) -> Vec<(Side, u32, Qty)> {
    submits.iter().map(|it| (it.side, it.instrument.0, shares(it))).collect()
}

fn hold(desk: &mut Harness<Rebalance>, symbol: u32, shares: i64) {
    desk.hold(symbol, Position { quantity: Qty::shares(shares), average_price: price(1.0) });
}

#[test]
fn targets_are_reached_and_kept() {
    for updates_first in [false, true] {
        let mut desk = desk(EAGER);
        desk.updates_first(updates_first);
        desk.closes(&BOTH);
        assert_eq!(held(&desk), [Qty::shares(100), Qty::shares(200)]);
        (0..20).for_each(|_| desk.closes(&BOTH));
        assert_eq!(desk.submits().len(), 2, "nothing drifted");
    }
}

#[test]
fn drift_is_traded_at_the_next_rebalance_only() {
    let mut desk = desk(EAGER);
    desk.closes(&BOTH);
    // A doubles: 20,000 of 110,000 where 11,000 are wanted, and B 10,000 where 11,000 are.
    let after = [(0, 200.0), (1, 50.0)];
    (1..4).for_each(|_| desk.closes(&after));
    assert_eq!(desk.submits().len(), 2);
    desk.closes(&after);
    assert_eq!(
        sides(&desk.submits()[2..]),
        [(Side::Sell, 0, Qty::shares(45)), (Side::Buy, 1, Qty::shares(20)),]
    );
    assert_eq!(held(&desk), [Qty::shares(55), Qty::shares(220)]);
}

#[test]
fn a_small_drift_is_left_alone() {
    let check = |shares: i64, expected: usize| {
        let mut desk = desk(r#"{"weights":{"A":0.1,"B":0},"drift":0.05}"#);
        desk.quote(0, 100.0, 100.0);
        hold(&mut desk, 0, shares);
        desk.closes(&BOTH);
        assert_eq!(desk.submits().len(), expected, "{shares}");
    };
    // The equity is 100,000 and the position's worth: a target of 109 or 110.
    check(110, 0);
    check(105, 0);
    check(102, 1);
    check(120, 1);
}

#[test]
fn a_symbol_without_weight_is_sold() {
    let mut desk = desk(r#"{"weights":{"A":0.1},"patience_minutes":0}"#);
    hold(&mut desk, 1, 1);
    desk.closes(&BOTH);
    assert_eq!(held(&desk), [Qty::shares(100), Qty::ZERO]);
}

#[test]
fn buys_wait_for_sells() {
    let mut desk = desk(EAGER);
    hold(&mut desk, 0, 500);
    desk.limit_fills(Some(Qty::ZERO));
    // The sell rests, is cancelled as stale and sent anew.
    for expected in [1, 1, 2] {
        desk.closes(&BOTH);
        let submits = desk.submits();
        assert_eq!(submits.len(), expected);
        assert!(submits.iter().all(|it| it.side == Side::Sell), "{submits:?}");
    }
    desk.limit_fills(None);
    // It fills at the next bar of A, and the buy follows at once.
    desk.closes(&[(0, 100.0)]);
    assert_eq!(desk.submits()[2..].iter().map(|it| it.side).collect::<Vec<_>>(), [Side::Buy]);
}

#[test]
fn sells_that_cannot_be_do_not_block_buys_for_ever() {
    let mut desk = desk(EAGER.replace(":5", ":60").as_str());
    hold(&mut desk, 0, 500);
    desk.refuse(Some("stale-data"));
    (0..MAX_ORDERS).for_each(|_| desk.closes(&BOTH));
    desk.refuse(None);
    desk.closes(&BOTH);
    assert_eq!(desk.submits().last().map(|it| it.side), Some(Side::Buy));
}

#[test]
fn orders_rest_first_and_cross_later() {
    let mut desk = desk(PATIENT);
    desk.quote(0, 99.993, 100.021);
    desk.closes(&[(0, 100.0)]);
    assert_eq!(desk.submits()[0].kind, OrderKind::Limit(price(99.99)));
    desk.closes(&[(0, 100.0)]);
    assert!(desk.cancels().is_empty(), "one minute is not two");
    desk.closes(&[(0, 100.0)]);
    assert_eq!(desk.cancels(), [desk.submits()[0].id]);
    desk.closes(&[(0, 100.0)]);
    assert_eq!(desk.submits()[1].kind, OrderKind::Limit(price(100.03)));
    assert_eq!(held(&desk)[0], shares(&desk.submits()[0]));
    assert_eq!(desk.submits().len(), 2);
}

#[test]
fn an_order_that_crosses_may_follow_the_quote_to_its_worst_price() {
    let check = |slippage: &str, held: i64, expected: f64| {
        let parameters = EAGER.replacen('{', &format!(r#"{{"slippage":{slippage},"#), 1);
        let mut desk = desk(&parameters);
        hold(&mut desk, 0, held);
        desk.quote(0, 99.99, 100.01);
        desk.closes(&[(0, 100.0)]);
        assert_eq!(desk.submits()[0].reprice, Some(price(expected)), "{slippage} {held}");
    };
    // 100.01 and 99.99 and two in a thousand of them, to the tick on the near side.
    check("0.002", 0, 100.21);
    check("0.002", 5_000, 99.8);
    check("0", 0, 100.01);
    check("0.00001", 0, 100.01);
    let mut resting = desk(PATIENT);
    resting.quote(0, 99.99, 100.01);
    resting.closes(&[(0, 100.0)]);
    assert_eq!(resting.submits()[0].reprice, None, "it is to rest on our side");
}

#[test]
fn a_rest_of_an_order_is_bought_later() {
    let mut desk = desk(EAGER);
    desk.limit_fills(Some(Qty::shares(30)));
    (0..2).for_each(|_| desk.closes(&BOTH));
    desk.limit_fills(None);
    (0..2).for_each(|_| desk.closes(&BOTH));
    assert_eq!(held(&desk), [Qty::shares(100), Qty::shares(200)]);
}

#[test]
fn what_is_refused_waits_for_the_next_minute_and_ends() {
    let mut desk = desk(PATIENT);
    desk.refuse(Some("stale-data"));
    desk.closes(&BOTH);
    assert_eq!(desk.submits().len(), 2, "one each a minute");
    (0..20).for_each(|_| desk.closes(&BOTH));
    assert_eq!(desk.submits().len(), 2 * usize::from(MAX_ORDERS));
    desk.refuse(None);
    (0..10).for_each(|_| desk.closes(&BOTH));
    assert_eq!(held(&desk), [Qty::shares(100), Qty::shares(200)], "the next rebalance");
}

#[test]
fn a_busy_host_uses_up_no_tries() {
    let check = |reason: &str, tries: usize| {
        let mut desk = desk(EAGER.replace(":5", ":60").as_str());
        desk.refuse(Some(reason));
        (0..20).for_each(|_| desk.closes(&BOTH));
        assert_eq!(desk.submits().len(), 2 * tries, "{reason}");
        desk.refuse(None);
        desk.closes(&BOTH);
        assert_eq!(held(&desk)[0].is_positive(), tries == 20, "{reason}");
    };
    BUSY.iter().for_each(|reason| check(reason, 20));
    check("position-limit", usize::from(MAX_ORDERS));
}

#[test]
fn one_event_sends_and_cancels_a_bounded_number() {
    let symbols: Vec<String> = (0..300).map(|index| format!("S{index}")).collect();
    let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let prices: Vec<_> = (0..300).map(|symbol| (symbol, 100.0)).collect();
    let mut desk = Harness::<Rebalance>::new("", &names).expect("good parameters");
    desk.limit_fills(Some(Qty::ZERO));
    desk.closes(&prices);
    // Another life meets 300 orders of the first one, and 300 symbols to trade.
    assert_eq!(desk.open_orders().len(), 300, "updates let the rest follow");
    let mut runner = sandpit_sdk::Runner::<Rebalance>::new();
    runner.init("", &symbols).expect("good parameters");
    let complete = sandpit_sdk::Event::BarsComplete(desk.now());
    let is_deed = |intent: &&Intent| matches!(intent, Intent::Submit(_) | Intent::Cancel(_));
    let deeds = |intents: &[Intent]| intents.iter().filter(is_deed).count();
    assert_eq!(deeds(&runner.on_event(desk.host(), &complete)), MAX_DEEDS, "cancels");
    let mut fresh = Harness::<Rebalance>::new("", &names).expect("good parameters");
    fresh.ignore_intents(true);
    fresh.closes(&prices);
    assert_eq!(deeds(&fresh.intents()), MAX_DEEDS, "orders: nothing answered them");
    desk.limit_fills(None);
    (0..30).for_each(|_| desk.closes(&prices));
    assert!((0..300).all(|symbol| desk.position(symbol).quantity.is_positive()));
}

#[test]
fn a_refusal_that_ends_lets_the_order_through() {
    let mut desk = desk(EAGER);
    desk.refuse(Some("stale-data"));
    desk.closes(&BOTH);
    desk.refuse(None);
    desk.closes(&BOTH);
    assert_eq!(held(&desk), [Qty::shares(100), Qty::shares(200)]);
}

#[test]
fn nothing_is_sent_outside_the_session() {
    let mut desk = Harness::<Rebalance>::new(EAGER, &["A", "B"]).expect("good parameters");
    desk.refuse(Some("session-closed"));
    (0..50).for_each(|_| desk.closes(&BOTH));
    assert_eq!(desk.submits().len(), 2, "it learned from the first refusals");
    desk.refuse(None);
    desk.open_session();
    desk.closes(&BOTH);
    assert_eq!(held(&desk), [Qty::shares(100), Qty::shares(200)]);
    desk.close_session();
    (0..50).for_each(|_| desk.closes(&[(0, 10.0), (1, 500.0)]));
    assert_eq!(desk.submits().len(), 4);
}

#[test]
fn orders_of_an_earlier_life_are_cancelled() {
    let mut desk = desk(PATIENT);
    desk.limit_fills(Some(Qty::ZERO));
    desk.closes(&BOTH);
    let orphans: Vec<OrderId> = desk.submits().iter().map(|it| it.id).collect();
    desk.restart(PATIENT, &["A", "B"]).expect("good parameters");
    desk.limit_fills(None);
    desk.quote(0, 99.0, 101.0);
    desk.quote(1, 49.0, 51.0);
    desk.closes(&BOTH);
    assert_eq!(desk.cancels(), orphans);
    (0..4).for_each(|_| desk.closes(&BOTH));
    assert!(desk.open_orders().is_empty());
    assert!(held(&desk).iter().all(|shares| shares.is_positive()));
}

#[test]
fn one_cancel_a_minute_however_many_fills_come() {
    let symbols: Vec<String> = (0..25).map(|index| format!("S{index}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let mut desk = Harness::<Rebalance>::new("", &symbols).expect("good parameters");
    let minute = |desk: &mut Harness<Rebalance>| {
        (0..25).for_each(|symbol| desk.quote(symbol, 99.99, 100.01));
        desk.closes(&(0..25).map(|symbol| (symbol, 100.0)).collect::<Vec<_>>());
    };
    (0..4).for_each(|_| minute(&mut desk));
    let before = (desk.submits().len(), desk.cancels().len());
    assert_eq!(before, (50, 25), "each rests, is cancelled once and crosses");
    (0..20).for_each(|_| minute(&mut desk));
    assert_eq!((desk.submits().len(), desk.cancels().len()), before, "and then it is quiet");
    assert!(symbols.iter().zip(0..).all(|(_, symbol)| desk.position(symbol).quantity == Qty::shares(20)));
}

#[test]
fn symbols_without_a_price_are_left_out() {
    let mut desk = desk(EAGER);
    desk.closes(&[(1, 50.0)]);
    assert_eq!(held(&desk), [Qty::ZERO, Qty::shares(200)]);
}

#[test]
fn an_unknown_equity_sells_nothing() {
    let mut desk = desk(EAGER);
    // Short enough that the equity is below zero.
    hold(&mut desk, 0, -2_000);
    hold(&mut desk, 1, 100);
    desk.closes(&BOTH);
    assert!(desk.submits().is_empty());
    assert_eq!(desk.logs().len(), 1);
}
