use std::time::Duration;

use sandpit_types::{OrderClass, StopLoss, TimeInForce};

use super::*;

fn submit(id: u64, side: Side, shares: i64, kind: OrderKind, class: OrderClass) -> Intent {
    Intent::Submit(Submit {
        id: StrategyOrderId(id),
        symbol: Symbol::new("A"),
        side,
        qty: Qty::from_nanos(shares * 1_000_000_000),
        kind,
        time_in_force: TimeInForce::Day,
        extended_hours: false,
        time_to_live: Duration::ZERO,
        class,
        reprice: None,
    })
}

fn price(text: &str) -> Price {
    text.parse().expect("a price")
}

/// Events in few words.
fn words(events: &[StrategyEvent]) -> String {
    let word = |event: &StrategyEvent| match event {
        StrategyEvent::Position { qty, avg_price, .. } => format!("hold {qty} at {avg_price}"),
        StrategyEvent::Fill { id, side, qty, price, .. } => {
            format!("{} {}: {qty} at {price}", id.0, side.as_str())
        }
        StrategyEvent::Order(update) => {
            let leg = update.leg.map(Leg::as_str).unwrap_or_default();
            format!("{}{leg} {:?}", update.id.0, update.status)
        }
        StrategyEvent::Refused { id, refusal, .. } => format!("{} {refusal}", id.0),
        other => format!("{other:?}"),
    };
    events.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn at(desk: &mut Desk, price: f64) -> String {
    words(&desk.price(&Symbol::new("A"), price, MarketTime::from_secs(1)))
}

#[test]
fn orders_fill_when_a_price_reaches_them() {
    let mut desk = Desk::default();
    let market = submit(1, Side::Buy, 2, OrderKind::Market, OrderClass::Simple);
    assert_eq!(words(&desk.perform(&market)), "1 New", "there is no price yet");
    assert_eq!(words(&desk.perform(&market)), "1 duplicate-id");
    assert_eq!(at(&mut desk, 10.0), "hold 2 at 10, 1 buy: 2 at 10, 1 Filled");
    let limit = OrderKind::Limit { limit_price: price("9") };
    assert_eq!(words(&desk.perform(&submit(2, Side::Buy, 2, limit, OrderClass::Simple))), "2 New");
    assert_eq!(at(&mut desk, 9.5), "");
    assert_eq!(at(&mut desk, 8.0), "hold 4 at 9, 2 buy: 2 at 8, 2 Filled");
    let stop = OrderKind::Stop { stop_price: price("7") };
    assert_eq!(words(&desk.perform(&submit(3, Side::Sell, 1, stop, OrderClass::Simple))), "3 New");
    assert_eq!(at(&mut desk, 6.0), "hold 3 at 9, 3 sell: 1 at 6, 3 Filled");
    let left = Intent::ClosePosition { id: StrategyOrderId(4), symbol: Symbol::new("A") };
    assert_eq!(words(&desk.perform(&left)), "4 New, hold 0 at 0, 4 sell: 3 at 6, 4 Filled");
    assert_eq!(words(&desk.perform(&left)), "4 no-position");
    assert_eq!(words(&desk.perform(&Intent::Cancel(StrategyOrderId(4)))), "4 unknown-order");
    assert_eq!(
        words(&desk.perform(&submit(5, Side::Sell, 0, OrderKind::Market, OrderClass::Simple))),
        "5 bad-quantity"
    );
}

#[test]
fn exits_wait_for_their_entry_and_cancel_each_other() {
    let mut desk = Desk::default();
    let stop_loss = StopLoss { stop_price: price("9"), limit_price: None };
    let class = OrderClass::Bracket { take_profit: price("11"), stop_loss };
    at(&mut desk, 10.0);
    let found = words(&desk.perform(&submit(1, Side::Buy, 2, OrderKind::Market, class)));
    let expected = "1 New, hold 2 at 10, 1 buy: 2 at 10, 1 Filled, 1take_profit New, 1stop_loss New";
    assert_eq!(found, expected);
    assert_eq!(at(&mut desk, 11.0), "hold 0 at 0, 1 sell: 2 at 11, 1take_profit Filled, 1stop_loss Canceled");
}

#[test]
fn what_is_left_at_the_close_expires() {
    let mut desk = Desk::default();
    at(&mut desk, 10.0);
    let limit = |price_of: &str| OrderKind::Limit { limit_price: price(price_of) };
    desk.perform(&submit(1, Side::Buy, 2, limit("9"), OrderClass::Simple));
    let change = sandpit_types::Change { limit_price: Some(price("8")), ..Default::default() };
    let (id, new_id) = (StrategyOrderId(1), StrategyOrderId(2));
    let replace = Intent::Replace(Replace { id, new_id, change, time_to_live: Duration::ZERO });
    assert_eq!(words(&desk.perform(&replace)), "1 Replaced, 2 New");
    assert_eq!(at(&mut desk, 8.5), "");
    assert_eq!(words(&desk.close(MarketTime::from_secs(2))), "2 Expired");
    assert_eq!(words(&desk.perform(&Intent::CancelAll)), "");
}
