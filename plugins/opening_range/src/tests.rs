use proptest::prelude::{any, prop, prop_assert, proptest};
use sandpit_sdk::{Fate, Harness, Leg, OrderClass, Position, Price};

use super::*;

const SYMBOL: u32 = 0;
/// Three minutes of range, 1 % of 100,000 USD at risk.
const QUICK: &str = r#"{"range_minutes":3,"last_entry_minutes":20,"risk_fraction":0.01,"fraction":1}"#;
/// A range of 100 to 102: exits at 105 and 100, nothing bought above 102.50.
const RANGE: [f64; 3] = [101.0, 102.0, 100.0];

type Desk = Harness<OpeningRange>;

/// A desk whose range is complete.
fn desk(parameters: &str) -> Desk {
    desk_of(parameters, Duration::from_secs(390 * 60))
}

/// The same on a day whose session is that long.
fn desk_of(parameters: &str, session: Duration) -> Desk {
    let mut desk = Desk::new(parameters, &["SPY"]).expect("good parameters");
    desk.open_session_for(session);
    minutes(&mut desk, &RANGE);
    assert!(desk.submits().is_empty(), "the range is no breakout of itself");
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

fn quote(desk: &mut Desk, price: f64) {
    desk.quote(SYMBOL, price - 0.01, price + 0.01);
    desk.pass(SETTLE);
}

fn held(desk: &Desk) -> Qty {
    desk.position(SYMBOL).quantity
}

fn price(value: f64) -> Price {
    Price::from_f64(value).expect("fits")
}

/// Shares that exits guard now.
fn guarded(desk: &Desk) -> Qty {
    OpenOrder::guarded(Side::Sell, &desk.open_orders())
}

#[test]
fn a_close_above_the_range_is_bought_with_a_bracket() {
    let mut desk = desk(QUICK);
    minutes(&mut desk, &[101.0, 102.0, 102.2]);
    let submits = desk.submits();
    let [entry] = submits.as_slice() else { panic!("{submits:?}") };
    assert_eq!((entry.side, entry.kind), (Side::Buy, OrderKind::Limit(price(102.21))));
    let (take_profit, stop_loss) = (price(105.0), price(100.0).into());
    assert_eq!(entry.class, OrderClass::Bracket { take_profit, stop_loss });
    // 1,000 USD at risk, 2.21 a share.
    assert_eq!((held(&desk), guarded(&desk)), (Qty::shares(452), Qty::shares(452)));
}

#[test]
fn either_exit_ends_it_and_a_session_has_one_entry() {
    for exit in [105.1, 99.9] {
        let mut desk = desk(QUICK);
        minute(&mut desk, 102.2);
        quote(&mut desk, exit);
        assert_eq!((held(&desk), desk.open_orders().len()), (Qty::ZERO, 0), "{exit}");
        minutes(&mut desk, &[101.0, 102.2, 102.4]);
        assert_eq!(desk.submits().len(), 1, "no second entry");
        desk.close_session();
        desk.open_session();
        minutes(&mut desk, &RANGE);
        minute(&mut desk, 102.2);
        assert_eq!(desk.submits().len(), 2, "but in the next session");
    }
}

#[test]
fn what_is_not_entered() {
    let check = |parameters: &str, closes: &[f64], expected: usize| {
        let mut desk =
            Desk::new(&QUICK.replacen('{', &format!("{{{parameters}"), 1), &["SPY"]).expect("good");
        desk.open_session();
        minutes(&mut desk, closes);
        assert_eq!(desk.submits().len(), expected, "{parameters} {closes:?}");
    };
    check("", &[101.0, 102.0, 100.0, 102.2], 1);
    // Gone too far, and back.
    check("", &[101.0, 102.0, 100.0, 102.6, 103.0], 0);
    check("", &[101.0, 102.0, 100.0, 102.6, 102.3], 1);
    check("", &[101.0, 102.0, 100.0, 99.0, 95.0], 0);
    // Too narrow and too wide.
    check("", &[100.0, 100.1, 100.0, 100.11], 0);
    check("", &[100.0, 104.0, 100.0, 104.1], 0);
    check(r#""max_range_percent":5,"#, &[100.0, 104.0, 100.0, 104.1], 1);
    // The bar of the 20th minute is too late, that of the 19th is not.
    let after = |quiet: usize| RANGE.into_iter().chain(vec![101.0; quiet]).chain([102.2]).collect::<Vec<_>>();
    check("", &after(16), 0);
    check("", &after(15), 1);
    // One dollar of risk buys no share whose stop is 2.21 away.
    let mut poor = desk(r#"{"range_minutes":3,"risk_fraction":0.00001}"#);
    minute(&mut poor, 102.2);
    assert!(poor.submits().is_empty());
}

#[test]
fn nothing_is_entered_on_prices_that_are_not_live() {
    let mut stale = desk(QUICK);
    stale.stream_health(StreamHealth::Stale);
    minute(&mut stale, 102.2);
    assert!(stale.submits().is_empty());
    stale.stream_health(StreamHealth::Live);
    minute(&mut stale, 102.3);
    assert_eq!(stale.submits().len(), 1);
    // The quote is a minute old.
    let mut old = desk(QUICK);
    quote(&mut old, 102.0);
    old.close(SYMBOL, 102.2);
    assert!(old.submits().is_empty());
    // Nobody knows when the session began.
    let mut unknown = Desk::new(QUICK, &["SPY"]).expect("good parameters");
    minutes(&mut unknown, &[101.0, 102.0, 100.0, 102.2]);
    assert!(unknown.submits().is_empty());
}

#[test]
fn a_range_that_changes_afterwards_counts() {
    let mut desk = desk(QUICK);
    minute(&mut desk, 101.9);
    let start = Time::from_secs(60);
    let bar =
        Bar { instrument: Instrument(0), start, open: 1.0, high: 102.5, low: 100.5, close: 1.0, volume: 1.0 };
    desk.bar_out_of_turn(bar);
    minute(&mut desk, 102.3);
    assert!(desk.submits().is_empty(), "the high is 102.50 now");
    minute(&mut desk, 102.6);
    assert_eq!(desk.submits().len(), 1);
}

#[test]
fn what_fills_in_part_gets_exits_of_its_own() {
    for updates_first in [false, true] {
        let mut desk = desk(QUICK);
        desk.updates_first(updates_first);
        desk.limit_fills(Some(Qty::shares(7)));
        minute(&mut desk, 102.2);
        desk.limit_fills(Some(Qty::ZERO));
        assert_eq!((held(&desk), guarded(&desk)), (Qty::shares(7), Qty::ZERO));
        desk.pass(PATIENCE + SETTLE);
        assert_eq!((held(&desk), guarded(&desk)), (Qty::shares(7), Qty::shares(7)));
        let exits = desk.submits()[1];
        assert_eq!(
            (exits.kind, exits.class),
            (OrderKind::Limit(price(105.0)), OrderClass::Oco(price(100.0).into()))
        );
        desk.limit_fills(Some(Qty::shares(3)));
        quote(&mut desk, 99.9);
        assert_eq!((held(&desk), guarded(&desk)), (Qty::shares(4), Qty::shares(4)));
        desk.limit_fills(None);
        quote(&mut desk, 99.9);
        assert_eq!((held(&desk), desk.open_orders().len()), (Qty::ZERO, 0));
    }
}

#[test]
fn a_profit_taken_in_part_leaves_the_rest_guarded() {
    let mut desk = desk(QUICK);
    minute(&mut desk, 102.2);
    desk.limit_fills(Some(Qty::shares(100)));
    quote(&mut desk, 105.1);
    let stop = desk.open_orders().into_iter().find(|it| it.leg == Some(Leg::StopLoss)).expect("it is there");
    assert_eq!(held(&desk), Qty::shares(352));
    assert_eq!((stop.quantity, guarded(&desk)), (Qty::shares(452), Qty::shares(352)));
    minute(&mut desk, 104.0);
    assert_eq!((held(&desk), guarded(&desk)), (Qty::shares(352), Qty::shares(352)));
    assert_eq!((desk.submits().len(), desk.cancels().len()), (1, 0), "nothing to do");
}

#[test]
fn an_entry_that_does_not_fill_is_tried_three_times() {
    let mut desk = desk(QUICK);
    desk.limit_fills(Some(Qty::ZERO));
    minute(&mut desk, 102.2);
    assert_eq!(desk.open_orders().len(), 3, "entry and legs");
    desk.pass(PATIENCE);
    assert_eq!((desk.cancels().len(), desk.open_orders().len()), (1, 0));
    desk.refuse(Some("order-rate"));
    minutes(&mut desk, &[102.2; 5]);
    assert_eq!(desk.submits().len(), 3);
}

#[test]
fn no_second_order_while_one_is_open() {
    let mut desk = desk(QUICK);
    desk.limit_fills(Some(Qty::ZERO));
    desk.quoted_closes(&[(SYMBOL, 102.2)], 0.02);
    let start = Time::from_nanos(desk.now().nanos() - 55_000_000_000);
    let (instrument, open, high, low, close) = (Instrument(SYMBOL), 102.2, 102.3, 102.2, 102.3);
    desk.bar(Bar { instrument, start, open, high, low, close, volume: 1.0 });
    assert_eq!((desk.submits().len(), desk.cancels().len()), (1, 0), "five seconds later");
}

#[test]
fn it_is_flat_before_the_close() {
    // A half day: by default it leaves 15 minutes before its close.
    let mut desk = desk_of(QUICK, Duration::from_secs(21 * 60));
    minute(&mut desk, 102.2);
    assert!(held(&desk).is_positive());
    desk.refuse(Some("no-lease"));
    minutes(&mut desk, &[102.2, 102.2]);
    assert!(held(&desk).is_positive());
    desk.refuse(None);
    desk.pass(LOOK_EVERY);
    assert_eq!((held(&desk), desk.open_orders().len()), (Qty::ZERO, 0), "tried again without a bar");
    let mut late = desk_of(QUICK, Duration::from_secs(18 * 60));
    minute(&mut late, 102.2);
    assert!(late.submits().is_empty(), "too late to enter, whatever last_entry_minutes says");
}

#[test]
fn exits_that_are_not_taken_end_the_position() {
    let mut desk = desk(QUICK);
    desk.hold(SYMBOL, Position { quantity: Qty::shares(5), average_price: price(102.0) });
    desk.refuse(Some("bad-price"));
    minute(&mut desk, 101.0);
    assert_eq!((desk.submits().len(), held(&desk)), (1, Qty::shares(5)));
    desk.refuse(None);
    desk.pass(LOOK_EVERY);
    assert!(held(&desk).is_zero());
}

#[test]
fn a_position_that_nothing_explains_is_sold() {
    let mut desk = Desk::new(QUICK, &["SPY"]).expect("good parameters");
    desk.hold(SYMBOL, Position { quantity: Qty::shares(5), average_price: price(102.0) });
    minute(&mut desk, 101.0);
    assert!(held(&desk).is_zero(), "no session, no range, no exits");
}

#[test]
fn exits_of_more_than_is_held_are_made_to_fit_at_the_second_look() {
    let mut desk = desk(QUICK);
    minute(&mut desk, 102.2);
    let entry = desk.submits()[0].id;
    desk.hold(SYMBOL, Position { quantity: Qty::shares(100), average_price: price(102.21) });
    desk.pass(LOOK_EVERY);
    assert!(desk.cancels().is_empty(), "a fill may be on its way");
    desk.pass(3 * SETTLE);
    assert_eq!((desk.cancels(), guarded(&desk)), (vec![entry], Qty::shares(100)));
    minute(&mut desk, 102.2);
    assert_eq!(desk.submits().len(), 2, "and then it is quiet");
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let mut desk = desk(QUICK);
    minute(&mut desk, 102.2);
    let before = desk.open_orders();
    desk.restart(QUICK, &["SPY"]).expect("it takes what it saved");
    minute(&mut desk, 102.2);
    assert_eq!(desk.open_orders(), before, "the exits are there: nothing to do");
    quote(&mut desk, 99.9);
    desk.restart(QUICK, &["SPY"]).expect("it takes what it saved");
    minutes(&mut desk, &[101.0, 102.2]);
    assert_eq!(desk.submits().len(), 1, "this session has had its entry");
}

#[test]
fn an_entry_of_an_earlier_life_is_called_back() {
    let mut desk = desk(QUICK);
    desk.limit_fills(Some(Qty::ZERO));
    minute(&mut desk, 102.2);
    desk.restart(QUICK, &["SPY"]).expect("good parameters");
    minute(&mut desk, 101.0);
    assert_eq!((desk.cancels().len(), desk.open_orders().len()), (1, 0));
}

#[test]
fn state_that_is_none_is_refused_with_a_reason() {
    let mut desk = <OpeningRange as Strategy>::init(QUICK, &["SPY".into()]).expect("good parameters");
    assert_eq!(desk.load("", b""), Ok(()));
    assert!(desk.load("", b"[1]").expect_err("no map").starts_with("saved entries: invalid type"));
}

proptest! {
    #[test]
    fn one_entry_and_always_two_exits(steps in prop::collection::vec((-60_i32..60, any::<u32>()), 1..30)) {
        let mut desk = desk(QUICK);
        let mut cents = 10_190;
        for (step, number) in steps {
            desk.befall(Fate::pick(number));
            cents += step;
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
            prop_assert!(held(&desk).is_positive() || guarded(&desk).is_zero(), "exits of nothing: {open:?}");
        }
        desk.ease();
        desk.pass(Duration::from_secs(400 * 60));
        minutes(&mut desk, &[101.0, 101.0]);
        prop_assert!(held(&desk).is_zero() && desk.open_orders().is_empty(), "late in the session");
    }
}
