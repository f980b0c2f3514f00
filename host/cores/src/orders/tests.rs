//! Tables of the lifecycle and of races, and the property that order and repetition of events do not matter.

use std::time::Duration;

use proptest::prelude::*;
use rust_decimal::Decimal;
use sandpit_types::{
    BrokerOrder, BrokerOrderId, ClientOrderId, ExecutionId, HostEpoch, MarketTime, OrderKind, OrderRequest,
    OrderStatus, Price, Qty, Side, StrategyName, StrategyOrderId, Symbol, TimeInForce, TradeEvent,
    TradeUpdate, Usd,
};

use super::*;

fn at(secs: i64) -> MarketTime {
    MarketTime::from_secs(secs)
}

fn request(sequence: u64, side: Side, qty: u32) -> OrderRequest {
    OrderRequest {
        client_id: ClientOrderId {
            strategy: StrategyName::parse("sma").expect("a name"),
            epoch: HostEpoch(7),
            sequence,
        },
        symbol: Symbol::new("SPY"),
        side,
        qty: Qty::new(qty.into()),
        kind: OrderKind::Market,
        time_in_force: TimeInForce::Day,
        extended_hours: false,
        class: sandpit_types::OrderClass::Simple,
    }
}

fn new_order(request: OrderRequest) -> NewOrder {
    let strategy_id = StrategyOrderId(request.client_id.sequence);
    NewOrder { request, strategy_id, links: sandpit_types::Links::default(), incarnation: 1 }
}

fn shown(
    request: &OrderRequest,
    status: OrderStatus,
    filled: u32,
    average: Option<Decimal>,
    time: i64,
) -> BrokerOrder {
    BrokerOrder {
        id: BrokerOrderId::new(format!("b{}", request.client_id.sequence)),
        client_id: request.client_id.to_string(),
        symbol: request.symbol.clone(),
        side: request.side,
        qty: Some(request.qty),
        filled_qty: Qty::new(filled.into()),
        filled_avg_price: average.map(Price::new),
        limit_price: None,
        stop_price: None,
        replaces: None,
        replaced_by: None,
        legs: Vec::new(),
        status,
        submitted_at: at(0),
        updated_at: at(time),
    }
}

fn execution(id: &str, qty: u32, price: u32) -> Execution {
    Execution {
        id: ExecutionId::new(id),
        qty: Qty::new(qty.into()),
        price: Price::new(price.into()),
        time: at(1),
    }
}

/// One word of a script is one event; `!` before it means that the table has to refuse it.
fn event(word: &str, request: &OrderRequest) -> OrderEvent {
    let plain = |status, filled| shown(request, status, filled, Some(Decimal::from(100)), 5);
    match word {
        "sent" => OrderEvent::Sent,
        "accepted" => OrderEvent::Accepted(plain(OrderStatus::PendingNew, 0)),
        "rejected" => OrderEvent::Rejected,
        "not-sent" => OrderEvent::NotSent,
        "unknown" => OrderEvent::OutcomeUnknown { at: at(100) },
        "404@130" => OrderEvent::NotFound { at: at(130) },
        "404@159" => OrderEvent::NotFound { at: at(159) },
        "404@160" => OrderEvent::NotFound { at: at(160) },
        "cancel" => OrderEvent::CancelAsked,
        "reloaded" => OrderEvent::Reloaded { at: at(150) },
        "new" => OrderEvent::Snapshot(plain(OrderStatus::New, 0)),
        "odd" => OrderEvent::Snapshot(plain(OrderStatus::Other("pending_review".into()), 0)),
        "cancelled" => OrderEvent::Snapshot(plain(OrderStatus::Canceled, 0)),
        "cancelled-4" => OrderEvent::Snapshot(plain(OrderStatus::Canceled, 4)),
        "rest-4" => OrderEvent::Snapshot(plain(OrderStatus::PartiallyFilled, 4)),
        "rest-10" => OrderEvent::Snapshot(plain(OrderStatus::Filled, 10)),
        "old-4" => OrderEvent::Snapshot(shown(request, OrderStatus::New, 4, Some(Decimal::from(100)), 1)),
        "no-price" => OrderEvent::Snapshot(shown(request, OrderStatus::Filled, 10, None, 5)),
        "fill-a4" => OrderEvent::Execution(execution("a", 4, 100), plain(OrderStatus::PartiallyFilled, 4)),
        "fill-a4-late" => OrderEvent::Execution(execution("a", 4, 100), plain(OrderStatus::Filled, 10)),
        "fill-b6" => OrderEvent::Execution(execution("b", 6, 100), plain(OrderStatus::Filled, 10)),
        "twin" => {
            let mut other = plain(OrderStatus::New, 0);
            other.id = BrokerOrderId::new("other");
            OrderEvent::Snapshot(other)
        }
        other => panic!("no event is called {other:?}"),
    }
}

/// Runs a script over a fresh order of 10 shares; checks state, filled shares and number of fills at its end.
fn check(script: &str, state: OrderState, filled: u32, fills: usize) {
    let request = request(1, Side::Buy, 10);
    let mut books = Books::default();
    books.record(new_order(request.clone()), at(0)).expect("a fresh book");
    let mut counted = Vec::new();
    for word in script.split_whitespace() {
        let (word, refused) = word.strip_prefix('!').map_or((word, false), |word| (word, true));
        match books.apply(&request.client_id, &event(word, &request)) {
            Ok(applied) => {
                assert!(!refused, "{script:?}: {word} was taken");
                counted.extend(applied.fills);
            }
            Err(error) => assert!(refused, "{script:?}: {word}: {error}"),
        }
    }
    let order = books.order(&request.client_id).expect("recorded");
    assert_eq!(order.state(), &state, "{script:?}");
    assert_eq!(order.filled().qty(), Qty::new(filled.into()), "{script:?}");
    assert_eq!(counted.len(), fills, "{script:?}: {counted:?}");
    assert_eq!(counted.iter().map(|fill| fill.qty).sum::<Qty>(), order.filled().qty(), "{script:?}");
    assert_eq!(books.position(&request.symbol), order.filled().qty(), "{script:?}");
    assert_eq!(books.open_count(), usize::from(state.is_open()), "{script:?}");
}

#[test]
fn the_table() {
    use OrderState::*;
    let unknown = |since, cancel| Unknown { since: at(since), cancel };
    check("", Recorded, 0, 0);
    check("sent", Sending { cancel: false }, 0, 0);
    check("sent accepted", Working(OrderStatus::PendingNew), 0, 0);
    check("sent accepted new", Working(OrderStatus::New), 0, 0);
    let rejected = |confirmed, cancel| Rejected { confirmed, cancel };
    check("sent rejected", rejected(false, false), 0, 0);
    check("sent rejected reloaded cancel", rejected(false, true), 0, 0);
    check("sent rejected 404@130", rejected(true, false), 0, 0);
    check("sent cancel rejected 404@130", rejected(true, true), 0, 0);
    check("sent not-sent", NotSent, 0, 0);
    check("cancel", NotSent, 0, 0);
    check("!new !accepted !rejected !404@130 !unknown", Recorded, 0, 0);
    check("reloaded", unknown(150, false), 0, 0);
    check("sent cancel reloaded", unknown(150, true), 0, 0);
    check("sent unknown 404@130 404@159", unknown(100, false), 0, 0);
    check("sent unknown 404@130 404@160", NeverArrived { cancel: false }, 0, 0);
    check("sent unknown 404@160 new", Working(OrderStatus::New), 0, 0);
    // The wish to cancel survives our conclusions.
    check("sent cancel unknown 404@160 new", Cancelling(OrderStatus::New), 0, 0);
    check("sent unknown 404@160 cancel new", Cancelling(OrderStatus::New), 0, 0);
    check("sent cancel rejected 404@130 new", Cancelling(OrderStatus::New), 0, 0);
    check("sent unknown new", Working(OrderStatus::New), 0, 0);
    check("sent unknown cancel new", Cancelling(OrderStatus::New), 0, 0);
    check("sent cancel accepted new", Cancelling(OrderStatus::New), 0, 0);
    check("sent accepted cancel cancelled", Terminal(OrderStatus::Canceled), 0, 0);
    check("sent accepted odd", Working(OrderStatus::Other("pending_review".into())), 0, 0);
    check("sent accepted !sent !not-sent", Working(OrderStatus::PendingNew), 0, 0);
    // The broker has forgotten it: it is not over before the broker says so.
    check("sent accepted new 404@160", Working(OrderStatus::New), 0, 0);
    check("sent accepted new cancel 404@160", Cancelling(OrderStatus::New), 0, 0);
    check("sent rejected new", Working(OrderStatus::New), 0, 0);
    check("sent rejected !sent !not-sent !unknown", rejected(false, false), 0, 0);
    check("sent accepted !twin", Working(OrderStatus::PendingNew), 0, 0);
}

#[test]
fn races() {
    use OrderState::*;
    let filled = || Terminal(OrderStatus::Filled);
    // The fill is faster than the POST's answer (Lean.Brokerages.Alpaca#41).
    check("sent fill-a4 fill-b6 accepted", filled(), 10, 2);
    check("sent fill-a4 unknown", Working(OrderStatus::PartiallyFilled), 4, 1);
    check("sent fill-a4 rejected", Working(OrderStatus::PartiallyFilled), 4, 1);
    // The fill is faster than the cancel, or arrives after it.
    check("sent accepted cancel rest-10", filled(), 10, 1);
    check("sent accepted cancel cancelled-4 fill-a4", Terminal(OrderStatus::Canceled), 4, 1);
    check("sent accepted cancelled rest-10", filled(), 10, 1);
    check("sent accepted rest-10 cancelled", filled(), 10, 1);
    check("sent accepted rest-10 cancel", filled(), 10, 1);
    // Repeated and reordered.
    check("sent accepted fill-a4 fill-a4 fill-b6 fill-b6 fill-a4", filled(), 10, 2);
    check("sent accepted fill-b6 fill-a4", filled(), 10, 2);
    check("sent accepted fill-a4 fill-a4-late fill-b6", filled(), 10, 2);
    check("sent accepted rest-4 fill-a4 fill-b6 rest-10", filled(), 10, 2);
    check("sent accepted rest-10 rest-4 new", filled(), 10, 1);
    check("sent accepted rest-4 old-4 new", Working(OrderStatus::New), 4, 1);
    check("sent accepted rest-4 old-4", Working(OrderStatus::PartiallyFilled), 4, 1);
    check("sent accepted !no-price rest-10", filled(), 10, 1);
}

#[test]
fn only_a_fill_is_an_execution() {
    let request = request(1, Side::Buy, 10);
    let update = |event: TradeEvent| TradeUpdate {
        event,
        execution_id: Some(ExecutionId::new("a")),
        price: Some(Price::new(100.into())),
        qty: Some(Qty::new(10.into())),
        time: at(5),
        order: shown(&request, OrderStatus::PartiallyFilled, 4, Some(Decimal::from(100)), 5),
    };
    let check = |event: TradeEvent, filled: u32| {
        let mut books = Books::default();
        books.record(new_order(request.clone()), at(0)).expect("a fresh book");
        books.apply(&request.client_id, &OrderEvent::Sent).expect("recorded");
        books.apply(&request.client_id, &OrderEvent::from(update(event.clone()))).expect("sending");
        assert_eq!(books.position(&request.symbol), Qty::new(filled.into()), "{event:?}");
    };
    check(TradeEvent::PartialFill, 10);
    check(TradeEvent::Other("trade_bust".into()), 4);
    check(TradeEvent::Other("trade_correct".into()), 4);
    check(TradeEvent::Canceled, 4);
}

#[test]
fn ids_are_idempotent_within_one_life() {
    let mut books = Books::default();
    let first = new_order(request(1, Side::Buy, 10));
    books.record(first.clone(), at(0)).expect("fresh");
    let mut again = new_order(request(2, Side::Buy, 10));
    again.strategy_id = first.strategy_id;
    assert!(matches!(books.record(again.clone(), at(0)), Err(BookError::Duplicate { .. })));
    let strategy = &first.request.client_id.strategy;
    assert!(books.is_known(strategy, first.strategy_id));
    again.incarnation = 2;
    books.begin_life(HostEpoch(7), strategy, 2);
    assert!(!books.is_known(strategy, first.strategy_id));
    // An order of an earlier life is found as long as it is open.
    let found = books.find(HostEpoch(7), strategy, 2, first.strategy_id).expect("open");
    assert_eq!(found.client_id(), &first.request.client_id);
    assert_eq!(books.known_as(&first.request.client_id), Some((first.strategy_id, None)));
    books.record(again.clone(), at(1)).expect("another life");
    assert_eq!(books.known_as(&first.request.client_id), None, "the id means another order now");
    assert_eq!(books.known_as(&again.request.client_id), Some((first.strategy_id, None)));
    let found = books.find(HostEpoch(7), strategy, 2, first.strategy_id).expect("newest");
    assert_eq!(found.client_id(), &again.request.client_id);
}

#[test]
fn exposure_counts_what_is_held_and_what_may_fill() {
    let mut books = Books::default();
    let (buy, sell) = (request(1, Side::Buy, 10), request(2, Side::Sell, 3));
    for order in [&buy, &sell] {
        books.record(new_order(order.clone()), at(0)).expect("fresh");
        books.apply(&order.client_id, &OrderEvent::Sent).expect("recorded");
    }
    books.apply(&buy.client_id, &event("fill-a4", &buy)).expect("sending");
    let spy = Symbol::new("SPY");
    assert_eq!(books.position(&spy), Qty::new(4.into()));
    assert_eq!(books.pending(&spy, Side::Buy), Qty::new(6.into()));
    assert_eq!(books.pending(&spy, Side::Sell), Qty::new(3.into()));
    assert_eq!(books.worst_position(&spy), Qty::new(10.into()));
    assert_eq!(books.gross_exposure(|_| Some(Price::new(50.into()))), Usd::new(500.into()));
    assert_eq!(books.gross_exposure(|_| None), Usd::new(1000.into()), "at average cost");
}

#[test]
fn a_dispute_counts_the_worse_of_both_words_and_follows_our_fills() {
    let mut books = Books::default();
    let (spy, sell) = (Symbol::new("SPY"), request(1, Side::Sell, 10));
    let shares = |qty: i64| Qty::new(qty.into());
    books.record(new_order(sell.clone()), at(0)).expect("fresh");
    books.apply(&sell.client_id, &OrderEvent::Sent).expect("recorded");
    assert_eq!(books.disputed(&spy), None);
    for (at_broker, worst) in [(25, 25), (5, 10), (-5, 15)] {
        books.set_disputed(&spy, Some(shares(at_broker)));
        assert_eq!(books.worst_position(&spy), shares(worst), "{at_broker} at the broker");
    }
    books.apply(&sell.client_id, &event("fill-a4", &sell)).expect("sending");
    assert_eq!(books.disputed(&spy), Some(shares(-9)));
    // What only the broker has is exposed too.
    books.set_disputed(&Symbol::new("QQQ"), Some(shares(3)));
    assert_eq!(books.gross_exposure(|_| Some(Price::new(1.into()))), Usd::new((15 + 3).into()));
    books.set_disputed(&spy, None);
    assert_eq!(books.worst_position(&spy), shares(10));
}

/// What the broker does with one order: its executions, and whether the rest is cancelled at the end.
#[derive(Clone, Debug)]
struct Plan {
    side: Side,
    executions: Vec<(u32, u32)>,
    rest: u32,
}

impl Plan {
    fn request(&self, sequence: u64) -> OrderRequest {
        let qty = self.executions.iter().map(|(qty, _)| qty).sum::<u32>() + self.rest;
        request(sequence, self.side, qty)
    }

    /// The clean sequence of stream messages.
    fn messages(&self, sequence: u64) -> Vec<OrderEvent> {
        let request = self.request(sequence);
        let mut messages = vec![OrderEvent::Accepted(shown(&request, OrderStatus::New, 0, None, 1))];
        let (mut filled, mut value) = (0, Decimal::ZERO);
        for (n, (qty, price)) in self.executions.iter().enumerate() {
            filled += qty;
            value += Decimal::from(*qty) * Decimal::from(*price);
            let done = self.rest == 0 && n + 1 == self.executions.len();
            let status = if done { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
            let order = shown(&request, status, filled, Some(value / Decimal::from(filled)), 2 + n as i64);
            messages.push(OrderEvent::Execution(execution(&format!("x{sequence}-{n}"), *qty, *price), order));
        }
        if self.rest > 0 {
            let average = (filled > 0).then(|| value / Decimal::from(filled));
            messages.push(OrderEvent::Snapshot(shown(&request, OrderStatus::Canceled, filled, average, 99)));
        }
        messages
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    (side, prop::collection::vec((1_u32..50, 1_u32..500), 1..5), 0_u32..3)
        .prop_map(|(side, executions, rest)| Plan { side, executions, rest })
}

/// All messages of all plans, each up to three times, the third time as REST would show it; then shuffled and
/// cut.
fn messy() -> impl Strategy<Value = (Vec<Plan>, Vec<usize>, usize)> {
    prop::collection::vec(plan(), 1..4).prop_flat_map(|plans| {
        let count: usize = plans.iter().map(|plan| plan.messages(0).len()).sum();
        (Just(plans), Just((0..count * 3).collect::<Vec<_>>()).prop_shuffle(), 0..=count * 3)
    })
}

fn as_rest(event: &OrderEvent) -> OrderEvent {
    event.shown().map_or_else(|| event.clone(), |shown| OrderEvent::Snapshot(shown.clone()))
}

fn fresh(plans: &[Plan]) -> Books {
    let mut books = Books::default();
    for (sequence, plan) in (0..).zip(plans) {
        let request = plan.request(sequence);
        books.record(new_order(request.clone()), at(0)).expect("fresh");
        books.apply(&request.client_id, &OrderEvent::Sent).expect("recorded");
    }
    books
}

fn close_to(a: Usd, b: Usd) -> bool {
    (a - b).abs().get() < Decimal::new(1, 5)
}

proptest! {
    #[test]
    fn order_and_repetition_do_not_matter((plans, indices, cut) in messy()) {
        let clean: Vec<(u64, OrderEvent)> = (0..)
            .zip(&plans)
            .flat_map(|(sequence, plan): (u64, &Plan)| {
                plan.messages(sequence).into_iter().map(move |event| (sequence, event))
            })
            .collect();
        let mut expected = fresh(&plans);
        for (sequence, event) in &clean {
            expected.apply(&plans[*sequence as usize].request(*sequence).client_id, event).expect("clean");
        }
        let mut books = fresh(&plans);
        // Whatever was lost, the last message of each order is seen by a poll at the end.
        let finals = (0..).zip(&plans).map(|(sequence, plan)| {
            (sequence, as_rest(plan.messages(sequence).last().expect("at least two")))
        });
        let mut heard: Vec<(u64, OrderEvent)> = Vec::new();
        for index in &indices[..cut] {
            let (sequence, event) = &clean[index % clean.len()];
            heard.push((*sequence, if index / clean.len() == 2 { as_rest(event) } else { event.clone() }));
        }
        let mut ids = std::collections::BTreeSet::new();
        for (sequence, event) in heard.into_iter().chain(finals) {
            let client_id = plans[sequence as usize].request(sequence).client_id;
            let before = books.order(&client_id).expect("recorded").filled().qty();
            let applied = books.apply(&client_id, &event).expect("nothing is impossible here");
            let order = books.order(&client_id).expect("recorded");
            prop_assert!(order.filled().qty() >= before, "the watermark fell");
            prop_assert!(order.filled().qty() <= order.request.qty);
            prop_assert!(order.remaining() >= Qty::ZERO);
            for fill in applied.fills {
                prop_assert!(fill.qty.is_positive() && fill.price.is_positive());
                prop_assert!(ids.insert((fill.client_id, fill.execution_id)), "an execution counted twice");
            }
        }
        for (sequence, plan) in (0..).zip(&plans) {
            let client_id = plan.request(sequence).client_id;
            let ours = books.order(&client_id).expect("ours");
            let theirs = expected.order(&client_id).expect("theirs");
            prop_assert_eq!(ours.state(), theirs.state());
            prop_assert_eq!(ours.filled().qty(), theirs.filled().qty());
            prop_assert!(close_to(ours.filled().notional(), theirs.filled().notional()));
        }
        let (name, spy) = (StrategyName::parse("sma").expect("a name"), Symbol::new("SPY"));
        let (ours, theirs) = (books.sub_book(&name, &spy), expected.sub_book(&name, &spy));
        prop_assert_eq!(ours.qty, theirs.qty);
        prop_assert!(close_to(ours.cash, theirs.cash), "{:?} {:?}", ours, theirs);
        prop_assert!(close_to(ours.realised(), ours.cash + ours.cost));
        if plans.iter().all(|plan| plan.side == plans[0].side) {
            prop_assert!(close_to(ours.cost, theirs.cost), "{:?} {:?}", ours, theirs);
        }
        prop_assert_eq!(books.open_count(), 0);
    }

    #[test]
    fn a_404_proves_nothing_for_a_minute(asks in prop::collection::vec(0_u64..59_999, 0..20)) {
        let since = at(1_000);
        let mut state = OrderState::Unknown { since, cancel: false };
        for ask in asks {
            let at = since + Duration::from_millis(ask);
            state = step(state, &OrderEvent::NotFound { at }).expect("possible");
            prop_assert!(state.is_open());
        }
        state = step(state, &OrderEvent::NotFound { at: since + INCONCLUSIVE }).expect("possible");
        prop_assert_eq!(state, OrderState::NeverArrived { cancel: false });
    }
}
