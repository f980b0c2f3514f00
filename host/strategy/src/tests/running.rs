//! Strategies that behave: what they are told, what they can read, what they want.

use std::time::Duration;

use sandpit_types::{
    Bar, BarMark, Change, Exit, Intent, Leg, MarketEvent, News, OrderClass, OrderKind, OrderStatus,
    OrderUpdate, Price, Qty, Refusal, Replace, Reprice, SessionDay, Side, Signal, StopLoss, StrategyOrderId,
    StreamHealth, Submit, Symbol, TimeInForce, Trail, Usd,
};

use super::{
    Yard, at, bar, bar_of, intents, outputs, quote, said, trade,
    wat::{LIST, NOTHING, SAY, Wat, Whole, Wire},
};
use crate::{Manifest, StrategyEvent, StrategyOutput};

const SECOND: i64 = 1_000_000_000;

#[test]
fn every_kind_of_intent_arrives_as_it_was_meant() {
    let plugin = Wat {
        on_bar: LIST,
        intents: vec![
            Wire::Submit {
                id: 7,
                instrument: 1,
                side: 1,
                quantity: 5,
                limit: Some(290_120_000_000),
                tif: 2,
                late: 5,
            },
            Wire::Submit { id: 8, instrument: 0, side: 0, quantity: -3, limit: None, tif: 0, late: 0 },
            Wire::Replace { id: 7, new_id: 9, quantity: Some(6), limit: None, stop: Some(4), late: 5 },
            Wire::Replace { id: 7, new_id: 10, quantity: None, limit: Some(3), stop: None, late: 0 },
            Wire::ClosePosition(11, 1),
            Wire::Cancel(3),
            Wire::CancelAll,
            Wire::SetTimer(4, 60),
            Wire::CancelTimer(4),
            Wire::Signal(Some(1), "crossed up"),
        ],
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    let found = outputs(&mut session, &[bar("A", 1)]);
    let [StrategyOutput::Intents { strategy, incarnation: 0, intents, event_time }] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((strategy.as_str(), *event_time), ("test", at(120)));
    let submit = |id, symbol, side, nanos, kind, time_in_force, time_to_live| {
        Intent::Submit(Submit {
            id: StrategyOrderId(id),
            symbol: Symbol::new(symbol),
            side,
            qty: Qty::from_nanos(nanos),
            kind,
            time_in_force,
            extended_hours: true,
            time_to_live,
            class: sandpit_types::OrderClass::Simple,
            reprice: None,
        })
    };
    let replace = |new_id, change, time_to_live| {
        let (id, new_id) = (StrategyOrderId(7), StrategyOrderId(new_id));
        Intent::Replace(Replace { id, new_id, change, time_to_live })
    };
    let price = |nanos| Some(Price::from_nanos(nanos));
    let more = Change { qty: Some(Qty::from_nanos(6)), limit_price: None, stop_price: price(4) };
    let dearer = Change { limit_price: price(3), ..Change::default() };
    let limit = OrderKind::Limit { limit_price: "290.12".parse().expect("a price") };
    assert_eq!(
        *intents,
        [
            submit(7, "B", Side::Sell, 5, limit, TimeInForce::Ioc, Duration::from_millis(5)),
            // Judging a quantity below zero is the risk gate's office.
            submit(8, "A", Side::Buy, -3, OrderKind::Market, TimeInForce::Day, Duration::from_secs(60)),
            replace(9, more, Duration::from_millis(5)),
            replace(10, dearer, Duration::from_secs(60)),
            Intent::ClosePosition { id: StrategyOrderId(11), symbol: Symbol::new("B") },
            Intent::Cancel(StrategyOrderId(3)),
            Intent::CancelAll,
            Intent::SetTimer { id: 4, at: sandpit_types::MarketTime::from_nanos(60) },
            Intent::CancelTimer(4),
            Intent::Signal(Signal { symbol: Some(Symbol::new("B")), reason: "crossed up".into() }),
        ]
    );
}

#[test]
fn every_kind_and_class_of_order_arrives_as_it_was_meant() {
    let orders = [
        Whole { kind: (1, [5, 0]), reprice: Some(6), ..Whole::default() },
        Whole { kind: (2, [5, 0]), ..Whole::default() },
        Whole { kind: (3, [5, 6]), ..Whole::default() },
        Whole { kind: (4, [0, 7]), tif: 1, ..Whole::default() },
        Whole { kind: (4, [1, 1_500_000_000]), tif: 1, ..Whole::default() },
        Whole { class: (1, [9, 4, 1, 3]), ..Whole::default() },
        Whole { class: (2, [4, 0, 0, 0]), ..Whole::default() },
        Whole { class: (3, [9, 0, 0, 0]), ..Whole::default() },
        Whole { class: (4, [4, 1, 3, 0]), ..Whole::default() },
        // 22 dollars at 11 each, and at 10 each.
        Whole { amount: (1, 22 * SECOND), ..Whole::default() },
        Whole { amount: (1, 22 * SECOND), side: 1, tif: 1, ..Whole::default() },
    ];
    let with_id = |(id, order): (u64, Whole)| Wire::Whole(Whole { id, ..order });
    let plugin = Wat { on_bar: LIST, intents: (0..).zip(orders).map(with_id).collect(), ..Wat::default() };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    let found: Vec<Submit> = intents(&mut session, &[quote("A", 1), bar("A", 1)])
        .into_iter()
        .map(|intent| if let Intent::Submit(submit) = intent { submit } else { panic!("{intent:?}") })
        .collect();
    let price = Price::from_nanos;
    let (stop_price, limit_price) = (price(5), price(6));
    let kinds: Vec<_> = found[..5].iter().map(|submit| submit.kind).collect();
    let percent = "1.5".parse::<Price>().expect("a decimal").get();
    assert_eq!(
        kinds,
        [
            OrderKind::Limit { limit_price: price(5) },
            OrderKind::Stop { stop_price },
            OrderKind::StopLimit { stop_price, limit_price },
            OrderKind::TrailingStop { trail: Trail::Price(price(7)) },
            OrderKind::TrailingStop { trail: Trail::Percent(percent) },
        ]
    );
    assert_eq!(found[0].reprice, Some(Reprice { worst: price(6) }));
    assert!(found[1..].iter().all(|submit| submit.reprice.is_none()));
    let loss = |limit_price| StopLoss { stop_price: price(4), limit_price };
    let classes: Vec<_> = found[5..9].iter().map(|submit| submit.class).collect();
    assert_eq!(
        classes,
        [
            OrderClass::Bracket { take_profit: price(9), stop_loss: loss(Some(price(3))) },
            OrderClass::Oco { stop_loss: loss(None) },
            OrderClass::Oto(Exit::TakeProfit(price(9))),
            OrderClass::Oto(Exit::StopLoss(loss(Some(price(3))))),
        ]
    );
    let shares: Vec<_> = found[9..].iter().map(|submit| submit.qty.to_string()).collect();
    assert_eq!(shares, ["2", "2"]);
}

#[test]
fn legs_and_kinds_are_read_and_what_cannot_be_noted_is_refused_here() {
    let plugin = Wat {
        on_bar: LIST,
        intents: vec![
            Wire::Whole(Whole { id: 1, class: (1, [9, 4, 1, 3]), ..Whole::default() }),
            Wire::Replace { id: 8, new_id: 9, quantity: None, limit: None, stop: None, late: 0 },
            Wire::ClosePosition(10, 7),
            Wire::Whole(Whole { id: 11, amount: (1, SECOND), ..Whole::default() }),
        ],
        on_event: "(call $hush) (call $say (local.get $0)) (call $say (local.get $2))
            (i32.const 2000)",
        // How many, then of each the leg and whether there is one, the side, the kind, the status.
        on_trade: "(call $hush) (call $open-orders (i32.const 128))
            (call $say (i64.load32_u (i32.const 132)))
            (call $say_order (i32.load (i32.const 128)))
            (call $say_order (i32.add (i32.load (i32.const 128)) (i32.const 72)))
            (call $say_order (i32.add (i32.load (i32.const 128)) (i32.const 144)))
            (i32.const 2000)",
        extra: "(func $say_order (param $at i32)
            (call $say (i64.load8_u offset=8 (local.get $at)))
            (call $say (i64.load8_u offset=9 (local.get $at)))
            (call $say (i64.load8_u offset=16 (local.get $at)))
            (call $say (i64.load8_u offset=40 (local.get $at)))
            (call $say (i64.load8_u offset=64 (local.get $at))))",
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    let mut found = intents(&mut session, &[StrategyEvent::Market(MarketEvent::Bar(bar_of("B", 1)))]);
    assert!(matches!(found.remove(0), Intent::Submit(_)), "the bracket");
    let number = |intent| if let Intent::SetTimer { id, .. } = intent { id as usize } else { panic!() };
    let refusals: Vec<_> = found.into_iter().map(number).collect();
    let [unknown, instrument, stale] = ["unknown-order", "unknown-instrument", "stale-data"].map(str::len);
    assert_eq!(refusals, [9, unknown, 10, instrument, 11, stale]);
    let (buy, sell) = (0, 1);
    let (market, limit, stop_limit) = (0, 1, 3);
    let (pending, held) = (0, 7);
    let expected = [
        [3].as_slice(),
        &[0, 0, buy, market, pending],
        &[1, 0, sell, limit, held],
        &[1, 1, sell, stop_limit, held],
    ];
    assert_eq!(said(&mut session, &[trade("A", 130)]), expected.concat());
}

/// On every event, says each of its parameters as a whole number.
fn echo() -> Wat {
    Wat {
        on_bar: "(call $hush)
            (call $say (i64.extend_i32_u (local.get $of))) (call $say (local.get $start))
            (call $say (i64.trunc_f64_s (local.get $open))) (call $say (i64.trunc_f64_s (local.get $high)))
            (call $say (i64.trunc_f64_s (local.get $low))) (call $say (i64.trunc_f64_s (local.get $close)))
            (call $say (i64.trunc_f64_s (local.get $volume))) (i32.const 2000)",
        on_quote: "(call $hush)
            (call $say (i64.extend_i32_u (local.get $of))) (call $say (local.get $at))
            (call $say (i64.trunc_f64_s (local.get $bid))) (call $say (i64.trunc_f64_s (local.get $bid_size)))
            (call $say (i64.trunc_f64_s (local.get $ask))) (call $say (i64.trunc_f64_s (local.get $ask_size)))
            (i32.const 2000)",
        on_trade: "(call $hush)
            (call $say (i64.extend_i32_u (local.get $of))) (call $say (local.get $at))
            (call $say (i64.trunc_f64_s (local.get $price))) (call $say (i64.trunc_f64_s (local.get $size)))
            (i32.const 2000)",
        on_event: "(call $hush)
            (call $say (i64.extend_i32_u (local.get $case))) (call $say (local.get $0))
            (call $say (local.get $1)) (call $say (local.get $2)) (call $say (local.get $3))
            (call $say (local.get $4)) (call $say (local.get $5)) (call $say (local.get $6))
            (i32.const 2000)",
        ..Wat::default()
    }
}

#[test]
fn handlers_get_what_happened() {
    let mut session = Yard::new().session(&echo()).expect("it starts");
    let mut check = |event: StrategyEvent, expected: &[i64]| {
        let found = said(&mut session, std::slice::from_ref(&event));
        assert_eq!(found, expected, "{event:?}");
    };
    let (id, symbol, time) = (StrategyOrderId(9), Symbol::new("B"), at(500));
    check(bar("B", 5), &[1, 300 * SECOND, 5, 8, 4, 7, 100]);
    check(quote("A", 400), &[0, 400 * SECOND, 10, 1, 11, 2]);
    check(trade("B", 401), &[1, 401 * SECOND, 12, 3]);
    check(bar("FOREIGN", 5), &[]);
    check(StrategyEvent::Market(MarketEvent::BarsComplete(at(300))), &[0, 300 * SECOND, 0, 0, 0, 0, 0, 0]);
    let update_of = |leg, status| {
        let (symbol, filled_qty) = (symbol.clone(), Qty::from_nanos(5));
        StrategyEvent::Order(OrderUpdate { id, leg, symbol, status, filled_qty, time })
    };
    let update = |status| update_of(None, status);
    check(update_of(Some(Leg::TakeProfit), OrderStatus::New), &[1, 9, 1, 0, 1, 1, 5, 0]);
    check(update_of(Some(Leg::StopLoss), OrderStatus::Held), &[1, 9, 1, 1, 1, 7, 5, 0]);
    check(update(OrderStatus::PendingNew), &[1, 9, 0, 0, 1, 0, 5, 0]);
    check(update(OrderStatus::New), &[1, 9, 0, 0, 1, 1, 5, 0]);
    check(update(OrderStatus::PartiallyFilled), &[1, 9, 0, 0, 1, 2, 5, 0]);
    check(update(OrderStatus::Other("pending_review".into())), &[1, 9, 0, 0, 1, 1, 5, 0]);
    check(update(OrderStatus::Filled), &[1, 9, 0, 0, 1, 3, 5, 0]);
    check(update(OrderStatus::Canceled), &[1, 9, 0, 0, 1, 4, 5, 0]);
    check(update(OrderStatus::Replaced), &[1, 9, 0, 0, 1, 8, 5, 0]);
    check(update(OrderStatus::Expired), &[1, 9, 0, 0, 1, 5, 5, 0]);
    check(update(OrderStatus::Rejected), &[1, 9, 0, 0, 1, 6, 5, 0]);
    let (qty, price) = (Qty::from_nanos(2), Price::from_nanos(3));
    let fill =
        |leg| StrategyEvent::Fill { id, leg, symbol: symbol.clone(), side: Side::Sell, qty, price, time };
    check(fill(None), &[2, 9, 0, 0, 1, 1, 2, 3]);
    check(fill(Some(Leg::StopLoss)), &[2, 9, 1, 1, 1, 1, 2, 3]);
    let refused = StrategyEvent::Refused { id, refusal: Refusal::PositionLimit, time };
    let found = said(&mut session, &[refused]);
    assert_eq!((&found[..2], found[3]), ([3, 9].as_slice(), "position-limit".len() as i64));
    let mut check =
        |event, expected: &[i64]| assert_eq!(said(&mut session, &[event])[..expected.len()], *expected);
    let day = SessionDay { open: at(600), close: at(700) };
    check(StrategyEvent::Market(MarketEvent::SessionOpen(day)), &[5, 600 * SECOND, 700 * SECOND]);
    check(StrategyEvent::Market(MarketEvent::SessionClose(at(700))), &[6, 700 * SECOND]);
    check(StrategyEvent::Market(MarketEvent::Health(StreamHealth::Fallback, at(800))), &[7, 2]);
}

fn marked(symbol: &str, minute: i64, close: f64, mark: BarMark) -> StrategyEvent {
    StrategyEvent::Market(MarketEvent::MarkedBar(Bar { close, ..bar_of(symbol, minute) }, mark))
}

fn news(symbols: &[&str]) -> StrategyEvent {
    StrategyEvent::Market(MarketEvent::News(Box::new(piece(symbols))))
}

fn piece(symbols: &[&str]) -> News {
    News {
        id: 77,
        created: at(500),
        updated: at(560),
        headline: "h".repeat(5_000),
        summary: "sum".into(),
        author: "nobody".into(),
        source: "wire".into(),
        url: "u".into(),
        symbols: symbols.iter().map(Symbol::new).collect(),
    }
}

#[test]
fn bars_out_of_turn_are_told_as_such_and_stand_in_history_at_their_place() {
    let plugin = Wat {
        // Which, the instrument, its start, its close, its volume; then starts and closes of the history.
        on_event: "(call $hush)
            (call $say (i64.extend_i32_u (local.get $case))) (call $say (local.get $0))
            (call $say (local.get $1))
            (call $say (i64.trunc_f64_s (f64.reinterpret_i64 (local.get $5))))
            (call $say (i64.trunc_f64_s (f64.reinterpret_i64 (local.get $6))))
            (call $history (i32.const 1) (i32.const 9) (i32.const 128))
            (call $say (i64.load32_u (i32.const 132)))
            (call $say (i64.load (i32.load (i32.const 128))))
            (call $say (i64.load offset=8 (i32.load (i32.const 128))))
            (call $say (i64.load offset=16 (i32.load (i32.const 128))))
            (call $say (i64.trunc_f64_s (f64.load (i32.load (i32.const 160)))))
            (call $say (i64.trunc_f64_s (f64.load offset=8 (i32.load (i32.const 160)))))
            (i32.const 2000)",
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    assert!(said(&mut session, &[bar("B", 5), bar("B", 7)]).is_empty());
    let starts = [300, 360, 420].map(|secs: i64| secs * SECOND);
    let check = |found: Vec<i64>, expected: [&[i64]; 4]| assert_eq!(found, expected.concat());
    let found = said(&mut session, &[marked("B", 6, 60.0, BarMark::Late)]);
    check(found, [&[8, 1, 360 * SECOND, 60, 100], &[3], &starts, &[7, 60]]);
    let found = said(&mut session, &[marked("B", 5, 50.0, BarMark::Corrected)]);
    check(found, [&[9, 1, 300 * SECOND, 50, 100], &[3], &starts, &[50, 60]]);
    assert!(said(&mut session, &[marked("FOREIGN", 5, 50.0, BarMark::Late)]).is_empty());
}

#[test]
fn a_bar_out_of_turn_goes_into_history_though_bars_are_not_handled() {
    let plugin = Wat {
        wants: 0b010,
        on_event: "(unreachable)",
        on_quote: "(call $hush) (call $history (i32.const 0) (i32.const 9) (i32.const 128))
            (call $say (i64.load32_u (i32.const 132))) (i32.const 2000)",
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    let events = [marked("A", 6, 1.0, BarMark::Late), news(&["A"]), quote("A", 400)];
    assert_eq!(said(&mut session, &events), [1]);
}

#[test]
fn news_comes_with_the_instruments_it_speaks_of_and_its_texts_cut() {
    let plugin = Wat {
        // The id, the times, the lengths of the texts, how many instruments and the first.
        on_event: "(call $hush)
            (call $say (i64.extend_i32_u (local.get $case))) (call $say (local.get $0))
            (call $say (local.get $1)) (call $say (local.get $2)) (call $say (local.get $4))
            (call $say (local.get $6)) (call $say (i64.extend_i32_u (local.get $8)))
            (call $say (i64.extend_i32_u (local.get $10))) (call $say (i64.extend_i32_u (local.get $12)))
            (if (local.get $12) (then (call $say (i64.load32_u (local.get $11))))) (i32.const 2000)",
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    let head = [10, 77, 500 * SECOND, 560 * SECOND, 4_096, 3, 4, 1];
    let mut check = |symbols: &[&str], tail: &[i64]| {
        let expected = if tail.is_empty() { Vec::new() } else { [head.as_slice(), tail].concat() };
        assert_eq!(said(&mut session, &[news(symbols)]), expected, "{symbols:?}");
    };
    check(&["X", "B", "A"], &[2, 1]);
    check(&["A"], &[1, 0]);
    check(&[], &[0]);
    check(&["X"], &[]);
}

#[test]
fn unwanted_kinds_are_read_but_not_handled() {
    let plugin = Wat {
        wants: 0b001,
        on_quote: "(unreachable)",
        on_trade: "(unreachable)",
        // Says whether there is a quote, and how many bars there are.
        on_bar: "(call $hush) (call $last-quote (i32.const 0) (i32.const 128))
            (call $say (i64.load8_u (i32.const 128)))
            (call $history (i32.const 0) (i32.const 5000) (i32.const 256))
            (call $say (i64.load32_u (i32.const 260))) (i32.const 2000)",
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    assert_eq!(said(&mut session, &[quote("A", 1), trade("A", 1), bar("A", 1)]), [1, 1]);
}

#[test]
fn reads_are_folded_from_what_was_delivered() {
    let plugin = Wat {
        on_quote: "(call $hush) (call $say (call $now))
            (call $position (i32.const 0) (i32.const 128))
            (call $say (i64.load (i32.const 128))) (call $say (i64.load (i32.const 136)))
            (call $account (i32.const 128))
            (call $say (i64.load (i32.const 128))) (call $say (i64.load (i32.const 136)))
            (call $open-orders (i32.const 128)) (call $say (i64.load32_u (i32.const 132)))
            (call $history (i32.const 0) (i32.const 2) (i32.const 128))
            (call $say (i64.load32_u (i32.const 132)))
            (call $say (i64.load (i32.load (i32.const 128))))
            (call $say (i64.trunc_f64_s (f64.load offset=8 (i32.load (i32.const 160)))))
            (i32.const 2000)",
        wants: 0b010,
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    let order = |id| StrategyEvent::OpenOrder {
        id: StrategyOrderId(id),
        symbol: Symbol::new("B"),
        side: Side::Buy,
        qty: Qty::from_nanos(1),
        filled_qty: Qty::ZERO,
        kind: OrderKind::Market,
        status: OrderStatus::New,
        leg: None,
    };
    let done = StrategyEvent::Order(OrderUpdate {
        leg: None,
        id: StrategyOrderId(50),
        symbol: Symbol::new("B"),
        status: OrderStatus::Canceled,
        filled_qty: Qty::ZERO,
        time: at(1),
    });
    let (qty, avg_price) = (Qty::from_nanos(-7), Price::from_nanos(8));
    let position = StrategyEvent::Position { symbol: Symbol::new("A"), qty, avg_price };
    let account = StrategyEvent::Account { equity: Usd::from_nanos(11), buying_power: Usd::from_nanos(12) };
    let events = [bar("A", 1), bar("A", 2), bar("A", 3), position, account, order(50), order(51), done];
    assert!(said(&mut session, &events).is_empty());
    let found = said(&mut session, &[quote("A", 300)]);
    assert_eq!(found, [300 * SECOND, -7, 8, 11, 12, 1, 2, 120 * SECOND, 5]);
}

#[test]
fn an_order_is_open_from_the_moment_it_is_wanted_until_its_end() {
    let submit = Wire::Submit { id: 1, instrument: 0, side: 0, quantity: 5, limit: Some(9), tif: 0, late: 0 };
    let plugin = Wat {
        on_bar: LIST,
        intents: vec![submit],
        on_trade:
            "(call $hush) (call $open-orders (i32.const 128)) (call $say (i64.load32_u (i32.const 132)))
            (i32.const 2000)",
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    assert_eq!(intents(&mut session, &[bar("A", 1)]).len(), 1);
    assert_eq!(said(&mut session, &[trade("A", 130)]), [1]);
    let refused = StrategyEvent::Refused { id: StrategyOrderId(1), refusal: Refusal::NoLease, time: at(131) };
    assert_eq!(said(&mut session, &[refused, trade("A", 132)]), [0]);
}

#[test]
fn an_order_for_an_unknown_instrument_is_refused_here() {
    let submit =
        |id, instrument| Wire::Submit { id, instrument, side: 0, quantity: 5, limit: None, tif: 0, late: 0 };
    let plugin = Wat {
        on_bar: LIST,
        intents: vec![submit(5, 2), submit(6, 0), submit(7, u32::MAX)],
        // Says the ids and the lengths of the reasons.
        on_event: "(call $hush) (call $say (local.get $0)) (call $say (local.get $2))
            (i32.const 2000)",
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    let found = intents(&mut session, &[bar("A", 1)]);
    let Intent::Submit(first) = &found[0] else { panic!("{found:?}") };
    assert_eq!(first.id, StrategyOrderId(6));
    let numbers: Vec<_> = found[1..]
        .iter()
        .map(|intent| match intent {
            Intent::SetTimer { id, .. } => *id,
            other => panic!("{other:?}"),
        })
        .collect();
    let length = "unknown-instrument".len() as u64;
    assert_eq!(numbers, [5, length, 7, length]);
}

#[test]
fn warm_up_is_seen_and_readable_but_wants_nothing() {
    let plugin = Wat {
        warmup_bars: 2,
        on_bar: "(global.set $n (i64.add (global.get $n) (i64.const 1)))
            (call $hush) (call $say (global.get $n)) (call $say (call $now))
            (call $history (i32.const 0) (i32.const 1000) (i32.const 128))
            (call $say (i64.load32_u (i32.const 132))) (i32.const 2000)",
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    let warmup = |minute| StrategyEvent::Warmup(bar_of("A", minute));
    assert_eq!(outputs(&mut session, &[warmup(1), warmup(2)]), []);
    assert_eq!(said(&mut session, &[bar("A", 3)]), [3, 240 * SECOND, 3]);
}

#[test]
fn timers_fire_once_in_order_and_at_their_time() {
    let plugin = Wat {
        on_bar: LIST,
        intents: vec![
            Wire::SetTimer(2, 130 * SECOND),
            Wire::SetTimer(1, 130 * SECOND),
            Wire::SetTimer(3, 125 * SECOND),
            Wire::SetTimer(4, 125 * SECOND),
            Wire::CancelTimer(4),
            Wire::SetTimer(5, 1_000 * SECOND),
        ],
        // Says which timer and the time.
        on_event: "(call $hush) (call $say (local.get $0)) (call $say (call $now)) (i32.const 2000)",
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    assert_eq!(intents(&mut session, &[bar("A", 1)]).len(), 6);
    let mut check = |event, expected: &[i64]| assert_eq!(said(&mut session, &[event]), expected);
    check(StrategyEvent::Tick(at(124)), &[]);
    // A trade is as good as a tick: what is due comes before it.
    check(trade("A", 127), &[3, 125 * SECOND]);
    // Stamps that nobody has checked, of tomorrow for example, move nothing.
    let tomorrow = at(90_000);
    let news = News { id: 5, updated: tomorrow, ..piece(&["A"]) };
    check(StrategyEvent::Market(MarketEvent::News(Box::new(news))), &[5, 127 * SECOND]);
    let (symbol, qty, price) = (Symbol::new("A"), Qty::from_nanos(1), Price::from_nanos(1));
    let id = StrategyOrderId(6);
    check(
        StrategyEvent::Fill { id, leg: None, symbol, side: Side::Buy, qty, price, time: tomorrow },
        &[6, 127 * SECOND],
    );
    check(StrategyEvent::Tick(at(140)), &[1, 130 * SECOND, 2, 130 * SECOND]);
    check(StrategyEvent::Tick(at(141)), &[]);
}

#[test]
fn random_numbers_follow_from_the_seed() {
    let plugin = Wat { on_bar: "(call $hush) (call $say (call $random)) (i32.const 2000)", ..Wat::default() };
    let yard = Yard::new();
    let numbers = |events: &[StrategyEvent]| said(&mut yard.session(&plugin).expect("it starts"), events);
    let events = [bar("A", 1), bar("A", 2), bar("A", 3)];
    let first = numbers(&events);
    assert_eq!(first, numbers(&events));
    assert!(first[0] != first[1] && first[1] != first[2]);
}

#[test]
fn the_manifest_grants_and_init_may_refuse() {
    let yard = Yard::new();
    // Says the length of its parameters and the number of its symbols.
    let init =
        "(global.set $n (i64.extend_i32_u (i32.add (i32.mul (local.get 1) (i32.const 100)) (local.get 3))))
        (i32.const 32)";
    let on_bar = "(call $hush) (call $say (global.get $n)) (i32.const 2000)";
    let plugin = Wat { init, on_bar, ..Wat::default() };
    let manifest =
        Manifest::parse("test.toml", "instruments = [\"C\"]\n[parameters]\nfast = 5\n").expect("a manifest");
    let mut session = yard.session_with(&plugin, super::bounds(), &manifest).expect("it starts");
    let length = "{\"fast\":5}".len() as i64;
    assert_eq!(said(&mut session, &[bar("A", 1), bar("C", 1)]), [100 * length + 1]);

    let refusing = Wat { init: "(i32.const 48)", ..Wat::default() };
    let error = yard.session(&refusing).err().expect("it does not start");
    assert_eq!(error.to_string(), "test.wasm does not start: init refused: refused by the test");
}

#[test]
fn stop_is_called_and_said() {
    let plugin = Wat { stop: "(unreachable)", on_event: NOTHING, ..Wat::default() };
    let session = Yard::new().session(&plugin).expect("it starts");
    let mut found = Vec::new();
    session.stop("enough", &mut |output| found.push(output));
    assert!(matches!(found.as_slice(), [StrategyOutput::Stopped { .. }]), "{found:?}");
    assert_eq!(SAY, "(call $say)");
}
