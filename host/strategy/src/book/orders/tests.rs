use std::time::Duration;

use sandpit_types::{Exit, OrderClass, Price, StopLoss, Symbol, TimeInForce};

use super::*;

fn shares(count: i64) -> Qty {
    Qty::from_nanos(count * 1_000_000_000)
}

fn usd(count: i64) -> Price {
    Price::from_nanos(count * 1_000_000_000)
}

fn submit(id: u64, class: OrderClass) -> Submit {
    Submit {
        id: StrategyOrderId(id),
        symbol: Symbol::new("A"),
        side: Side::Buy,
        qty: shares(10),
        kind: OrderKind::Limit { limit_price: usd(50) },
        time_in_force: TimeInForce::Day,
        extended_hours: false,
        time_to_live: Duration::ZERO,
        class,
        reprice: None,
    }
}

fn loss() -> StopLoss {
    StopLoss { stop_price: usd(40), limit_price: Some(usd(39)) }
}

fn bracket() -> OrderClass {
    OrderClass::Bracket { take_profit: usd(60), stop_loss: loss() }
}

/// What happens to the orders of a strategy that holds seven shares.
#[derive(Clone, Copy, Debug)]
enum Step {
    Submit(u64, OrderClass),
    Replace(u64, u64),
    Close(u64),
    Hold(i64),
    Told(u64, Option<Leg>, fn() -> OrderStatus, i64),
    Refused(u64, Refusal),
    /// The intent is not even noted.
    Denied(u64, u64, Refusal),
}

const P: Option<Leg> = Some(Leg::TakeProfit);
const L: Option<Leg> = Some(Leg::StopLoss);
const PENDING: fn() -> OrderStatus = || OrderStatus::PendingNew;
const NEW: fn() -> OrderStatus = || OrderStatus::New;
const HELD: fn() -> OrderStatus = || OrderStatus::Held;
const FILLED: fn() -> OrderStatus = || OrderStatus::Filled;
const CANCELED: fn() -> OrderStatus = || OrderStatus::Canceled;
const REPLACED: fn() -> OrderStatus = || OrderStatus::Replaced;

fn replacement(id: u64, new_id: u64) -> Replace {
    let change = Change { qty: Some(shares(12)), limit_price: Some(usd(51)), stop_price: None };
    let (id, new_id) = (StrategyOrderId(id), StrategyOrderId(new_id));
    Replace { id, new_id, change, time_to_live: Duration::ZERO }
}

fn after(steps: &[Step]) -> OpenOrders {
    let mut orders = OpenOrders::default();
    for step in steps {
        match *step {
            Step::Submit(id, class) => orders.submit(&submit(id, class), 0).expect("there is room"),
            Step::Replace(id, new_id) => orders.replace(&replacement(id, new_id)).expect("it is open"),
            Step::Close(id) => orders.close(StrategyOrderId(id), 0, shares(7)).expect("there is room"),
            Step::Hold(held) => orders.hold(0, shares(held)),
            Step::Told(id, leg, status, filled) => orders.on_update(&OrderUpdate {
                id: StrategyOrderId(id),
                leg,
                symbol: Symbol::new("A"),
                status: status(),
                filled_qty: shares(filled),
                time: sandpit_types::MarketTime::EPOCH,
            }),
            Step::Refused(id, refusal) => orders.on_refusal(StrategyOrderId(id), refusal),
            Step::Denied(id, new_id, refusal) => {
                assert_eq!(orders.replace(&replacement(id, new_id)), Err(refusal));
            }
        }
    }
    orders
}

fn check(steps: &[Step], expected: &[(u64, Option<Leg>)]) {
    let found: Vec<_> = after(steps).iter().map(|(id, leg, _)| (id.0, leg)).collect();
    assert_eq!(found, expected, "{steps:?}");
}

use Step::{Close, Denied, Hold, Refused, Replace as Rep, Submit as Sub, Told};

const ONE: OrderClass = OrderClass::Simple;
const MINE: [(u64, Option<Leg>); 1] = [(1, None)];

#[test]
fn open_orders_follow_submits_updates_and_refusals() {
    check(&[Sub(1, ONE)], &MINE);
    check(&[Sub(1, ONE), Told(1, None, NEW, 0)], &MINE);
    check(&[Sub(1, ONE), Told(1, None, NEW, 0), Told(1, None, FILLED, 10)], &[]);
    check(&[Sub(1, ONE), Refused(1, Refusal::NoLease)], &[]);
    check(&[Sub(1, ONE), Told(1, None, PENDING, 0), Refused(1, Refusal::Late)], &[]);
    // A twin is refused, whatever the reason: the order itself goes on.
    check(&[Sub(1, ONE), Told(1, None, NEW, 0), Sub(1, ONE), Refused(1, Refusal::DuplicateId)], &MINE);
    check(&[Sub(1, ONE), Told(1, None, NEW, 0), Sub(1, ONE), Refused(1, Refusal::NoLease)], &MINE);
    check(&[Sub(1, ONE), Sub(1, ONE), Refused(1, Refusal::NoLease)], &MINE);
    let both = [Sub(1, ONE), Sub(1, ONE), Refused(1, Refusal::NoLease), Refused(1, Refusal::NoLease)];
    check(&both, &[]);
    check(&[Sub(1, ONE), Told(1, None, NEW, 0), Refused(1, Refusal::UnknownOrder)], &[]);
    check(&[Told(1, None, NEW, 0)], &[]);
    check(&[Refused(1, Refusal::NoLease)], &[]);
}

#[test]
fn legs_come_with_their_order_and_end_by_themselves() {
    let (all, exits) = ([(1, None), (1, P), (1, L)], [(1, P), (1, L)]);
    let open = [Sub(1, bracket()), Told(1, None, NEW, 0), Told(1, P, HELD, 0), Told(1, L, HELD, 0)];
    let and = |more: &[Step]| [open.as_slice(), more].concat();
    check(&open[..1], &all);
    check(&open, &all);
    check(&[Sub(1, bracket()), Refused(1, Refusal::PriceCollar)], &[]);
    check(&and(&[Told(1, None, FILLED, 10)]), &exits);
    check(&and(&[Told(1, None, FILLED, 10), Told(1, P, FILLED, 10), Told(1, L, CANCELED, 0)]), &[]);
    check(&and(&[Told(1, None, CANCELED, 0)]), &[]);
    check(&and(&[Told(1, None, CANCELED, 4)]), &exits);
    check(&and(&[Told(1, None, REPLACED, 0)]), &exits);
    check(&and(&[Told(1, None, FILLED, 10), Refused(1, Refusal::UnknownOrder)]), &[]);
    // A twin whose first is over: refused, and the legs stay.
    let twin = [Told(1, None, FILLED, 10), Sub(1, bracket()), Refused(1, Refusal::DuplicateId)];
    check(&and(&twin), &exits);
    let oco = OrderClass::Oco { stop_loss: loss() };
    check(&[Sub(1, oco)], &[(1, None), (1, L)]);
    // Its other half may be what is filling.
    check(&[Sub(1, oco), Told(1, None, CANCELED, 0)], &[(1, L)]);
    check(&[Sub(1, oco), Told(1, None, CANCELED, 0), Told(1, L, FILLED, 10)], &[]);
    check(&[Sub(1, OrderClass::Oto(Exit::TakeProfit(usd(60))))], &[(1, None), (1, P)]);
    let orders = after(&open);
    let rows: Vec<_> = orders.iter().map(|(.., order)| (order.side, order.kind, &order.status)).collect();
    let (limit, stop) = (usd(60), OrderKind::StopLimit { stop_price: usd(40), limit_price: usd(39) });
    assert_eq!(rows[1], (Side::Sell, OrderKind::Limit { limit_price: limit }, &OrderStatus::Held));
    assert_eq!(rows[2], (Side::Sell, stop, &OrderStatus::Held));
    let orders = after(&[Sub(1, oco)]);
    assert!(orders.iter().all(|(.., order)| order.side == Side::Buy), "both halves go the same way");
}

#[test]
fn a_replacement_stands_beside_the_old_order_until_that_is_over() {
    let open = [Sub(1, ONE), Told(1, None, || OrderStatus::PartiallyFilled, 3), Rep(1, 2)];
    let and = |more: &[Step]| [open.as_slice(), more].concat();
    check(&open, &[(1, None), (2, None)]);
    check(&and(&[Told(1, None, REPLACED, 3), Told(2, None, NEW, 3)]), &[(2, None)]);
    check(&and(&[Told(2, None, NEW, 3), Told(1, None, REPLACED, 3)]), &[(2, None)]);
    check(&and(&[Refused(2, Refusal::NotReplaceable)]), &MINE);
    check(&and(&[Told(1, None, FILLED, 10), Refused(2, Refusal::NotReplaceable)]), &[]);
    check(&and(&[Rep(1, 2), Refused(2, Refusal::DuplicateId)]), &[(1, None), (2, None)]);
    check(&[Denied(1, 2, Refusal::UnknownOrder)], &[]);
    let orders = after(&open);
    let (.., new) = orders.iter().last().expect("two");
    let limit = OrderKind::Limit { limit_price: usd(51) };
    assert_eq!((new.qty, new.filled_qty, new.kind), (shares(12), shares(3), limit));
}

#[test]
fn a_closing_order_is_for_what_is_held_until_it_is_sent() {
    let row = |steps: &[Step]| {
        let orders = after(steps);
        let rows: Vec<_> = orders.iter().map(|(id, _, order)| (id.0, order.side, order.qty)).collect();
        rows
    };
    assert_eq!(row(&[Close(1)]), [(1, Side::Sell, shares(7))]);
    assert_eq!(row(&[Close(1), Hold(9)]), [(1, Side::Sell, shares(9))]);
    assert_eq!(row(&[Close(1), Hold(-2)]), [(1, Side::Buy, shares(2))]);
    assert_eq!(row(&[Close(1), Told(1, None, NEW, 0), Hold(3)]), [(1, Side::Sell, shares(7))]);
    check(&[Close(1), Refused(1, Refusal::NoPosition)], &[]);
    check(&[Close(1), Told(1, None, NEW, 0), Told(1, None, FILLED, 7)], &[]);
}

#[test]
fn legs_count_towards_the_bound() {
    let mut orders = OpenOrders::default();
    let mut taken = 0;
    while orders.submit(&submit(taken, bracket()), 0).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, OPEN_ORDERS_MAX as u64 / 3);
    for id in taken..taken + (OPEN_ORDERS_MAX % 3) as u64 {
        orders.submit(&submit(id, ONE), 0).expect("there is room for one");
    }
    assert_eq!(orders.iter().len(), OPEN_ORDERS_MAX);
    let taken = 2 * taken;
    assert_eq!(orders.replace(&replacement(0, taken)), Err(Refusal::OpenOrders));
    let closed = orders.close(StrategyOrderId(taken + 1), 0, shares(1));
    assert_eq!(closed, Err(Refusal::OpenOrders));
}

#[test]
fn a_change_touches_the_prices_that_a_kind_has() {
    let change = Change { qty: None, limit_price: Some(usd(2)), stop_price: Some(usd(3)) };
    let (limit_price, stop_price) = (usd(1), usd(1));
    let check = |kind, expected| assert_eq!(changed(kind, change), expected);
    check(OrderKind::Market, OrderKind::Market);
    check(OrderKind::Limit { limit_price }, OrderKind::Limit { limit_price: usd(2) });
    check(OrderKind::Stop { stop_price }, OrderKind::Stop { stop_price: usd(3) });
    let both = OrderKind::StopLimit { stop_price, limit_price };
    check(both, OrderKind::StopLimit { stop_price: usd(3), limit_price: usd(2) });
    assert_eq!(changed(both, Change::default()), both);
}
