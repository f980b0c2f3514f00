//! Orders beyond market and limit, their legs, replacements, positions closed.

use super::*;

fn shares(count: i64) -> Qty {
    Qty::shares(count)
}

/// A desk whose strategy has wanted this at a quote of 99.99 to 100.01; what it was told is dropped.
fn after(order: fn(&mut Ctx<'_>)) -> Harness<Scripted> {
    let mut desk = desk();
    act(&mut desk, order);
    told();
    desk
}

/// Makes an action of a ticket in one line.
const fn sent(_: OrderId) {}

/// The open order that is no leg.
fn entry(ctx: &Ctx<'_>) -> OrderId {
    ctx.open_orders().iter().find(|order| order.leg.is_none()).expect("it is open").id
}

fn bracket(ctx: &mut Ctx<'_>) {
    ctx.buy(SYMBOL, shares(10)).bracket(price(105.0), price(95.0)).send();
}

#[test]
fn stops_wake_at_their_price_and_stay_awake() {
    let mut desk = after(|ctx| {
        ctx.sell(SYMBOL, shares(3)).stop(price(95.0)).send();
        ctx.buy(SYMBOL, shares(2)).stop(price(105.0)).limit(price(105.5)).send();
    });
    desk.quote(0, 95.01, 96.0);
    assert!(told().is_empty());
    desk.quote(0, 94.0, 94.1);
    assert_eq!(told(), ["Sell 3 at 94 held -3", "Filled 3 open true"]);
    desk.quote(0, 106.0, 106.1);
    assert!(told().is_empty(), "awake, but beyond its limit");
    desk.quote(0, 104.0, 104.1);
    assert_eq!(told(), ["Buy 2 at 104.1 held -1", "Filled 2 open false"]);
}

#[test]
fn trailing_stops_follow_the_best_price() {
    let check = |order: fn(&mut Ctx<'_>), quotes: &[f64], fills: bool| {
        let mut desk = after(order);
        for bid in quotes {
            assert!(told().is_empty(), "{quotes:?}");
            desk.quote(0, *bid, bid + 0.02);
        }
        assert_eq!(!told().is_empty(), fills, "{quotes:?}");
    };
    let by_price = |ctx: &mut Ctx<'_>| sent(ctx.sell(SYMBOL, shares(1)).trailing_stop(price(2.0)).send());
    check(by_price, &[98.0], false);
    check(by_price, &[97.99], true);
    check(by_price, &[103.0, 101.01], false);
    check(by_price, &[103.0, 101.0], true);
    let by_percent = |ctx: &mut Ctx<'_>| {
        ctx.sell(SYMBOL, shares(1)).trailing_stop(Percent::basis_points(150)).send();
    };
    check(by_percent, &[200.0, 197.01], false);
    check(by_percent, &[200.0, 197.0], true);
    let to_buy = |ctx: &mut Ctx<'_>| sent(ctx.buy(SYMBOL, shares(1)).trailing_stop(price(2.0)).send());
    check(to_buy, &[90.0, 91.98], false);
    check(to_buy, &[90.0, 91.98, 92.0], true);
}

#[test]
fn a_bracket_ends_with_its_profit() {
    let mut desk = desk();
    act(&mut desk, bracket);
    assert_eq!(
        told(),
        [
            "Pending 0 open true",
            "Working 0 open true",
            "profit: Held 0 open true",
            "loss: Held 0 open true",
            "Buy 10 at 100.01 held 10",
            "Filled 10 open true",
            "profit: Working 0 open true",
        ]
    );
    desk.limit_fills(Some(shares(4)));
    desk.quote(0, 105.0, 105.1);
    assert_eq!(told(), ["profit: Sell 4 at 105 held 6", "profit: PartiallyFilled 4 open true"]);
    desk.limit_fills(None);
    desk.quote(0, 106.0, 106.1);
    assert_eq!(
        told(),
        ["profit: Sell 6 at 106 held 0", "profit: Filled 10 open true", "loss: Canceled 0 open false"]
    );
}

#[test]
fn a_bracket_ends_with_its_loss_for_what_is_left() {
    let mut desk = after(bracket);
    desk.limit_fills(Some(shares(4)));
    desk.quote(0, 105.0, 105.1);
    desk.limit_fills(None);
    told();
    desk.quote(0, 95.0, 95.1);
    assert_eq!(
        told(),
        [
            "profit: Canceled 4 open true",
            "loss: Working 0 open true",
            "loss: Sell 6 at 95 held 0",
            "loss: Filled 6 open false"
        ]
    );
}

#[test]
fn legs_wait_for_the_whole_entry_and_go_with_it() {
    let mut desk = after(|ctx| {
        let ticket = ctx.buy(SYMBOL, shares(10)).limit(price(99.0));
        ticket.bracket(price(105.0), StopLoss { stop: price(95.0), limit: Some(price(94.0)) }).send();
    });
    desk.limit_fills(Some(shares(4)));
    desk.quote(0, 98.9, 99.0);
    assert_eq!(told(), ["Buy 4 at 99 held 4", "PartiallyFilled 4 open true"]);
    desk.quote(0, 90.0, 106.0);
    assert!(told().is_empty(), "neither exit has begun");
    assert_eq!(desk.open_orders().len(), 3);
    act(&mut desk, |ctx| {
        let entry = entry(ctx);
        ctx.cancel(entry);
    });
    assert_eq!(
        told(),
        ["Canceled 4 open true", "profit: Canceled 0 open true", "loss: Canceled 0 open false"]
    );
}

#[test]
fn one_exit_of_an_oco_cancels_the_other() {
    let oco = |ctx: &mut Ctx<'_>| {
        ctx.sell(SYMBOL, shares(5)).limit(price(105.0)).oco(price(95.0)).send();
    };
    let mut desk = after(oco);
    desk.quote(0, 105.0, 105.1);
    assert_eq!(told(), ["Sell 5 at 105 held -5", "Filled 5 open true", "loss: Canceled 0 open false"]);
    let mut desk = after(oco);
    desk.quote(0, 95.0, 95.1);
    let expected = [
        "Canceled 0 open true",
        "loss: Working 0 open true",
        "loss: Sell 5 at 95 held -5",
        "loss: Filled 5 open false",
    ];
    assert_eq!(told(), expected);
}

#[test]
fn one_triggers_the_other_and_a_cancel_of_what_is_over_ends_its_legs() {
    let mut desk = after(|ctx| {
        ctx.buy(SYMBOL, shares(5)).oto_stop_loss(price(95.0)).send();
        ctx.buy(Instrument(1), shares(5)).oto_take_profit(price(60.0)).send();
    });
    desk.quote(0, 94.0, 94.1);
    assert_eq!(told(), ["loss: Sell 5 at 94 held 0", "loss: Filled 5 open false"]);
    desk.close(1, 50.0);
    told();
    act(&mut desk, |ctx| {
        let [leg] = ctx.open_orders()[..] else { panic!("{:?}", ctx.open_orders()) };
        assert_eq!((leg.leg, leg.status), (Some(Leg::TakeProfit), OrderStatus::Working));
        ctx.cancel(leg.id);
    });
    assert_eq!(told(), ["profit: Canceled 0 open false"]);
}

#[test]
fn a_replacement_carries_on_what_is_filled() {
    let mut desk = after(|ctx| {
        ctx.buy(SYMBOL, shares(10)).limit(price(99.0)).send();
    });
    desk.limit_fills(Some(shares(4)));
    desk.quote(0, 98.9, 99.0);
    told();
    act(&mut desk, |ctx| {
        let old = ctx.open_orders()[0].id;
        let id = ctx.replace(old).quantity(shares(12)).limit(price(99.5)).send();
        let open = ctx.open_orders();
        assert_eq!(
            (open.len(), open[1].id, open[1].quantity, open[1].filled),
            (2, id, shares(12), shares(4))
        );
        assert_eq!(open[1].kind, OrderKind::Limit(price(99.5)));
    });
    assert_eq!(told(), ["Replaced 4 open true", "Pending 4 open true", "Working 4 open true"]);
    let [open] = desk.open_orders()[..] else { panic!("one takes the place of the other") };
    assert_eq!((open.quantity, open.filled), (shares(12), shares(4)));
    desk.limit_fills(None);
    desk.quote(0, 99.4, 99.5);
    assert_eq!(told(), ["Buy 8 at 99.5 held 12", "Filled 12 open false"]);
    let Replace { quantity, limit, stop, .. } = desk.replaces()[0];
    assert_eq!((quantity, limit, stop), (Some(shares(12)), Some(price(99.5)), None));
}

#[test]
fn what_cannot_be_replaced_is_refused_and_stays() {
    let check = |act_on: fn(&mut Ctx<'_>), reason: &str| {
        let mut desk = after(|ctx| {
            ctx.buy(SYMBOL, shares(10)).limit(price(99.0)).oto_stop_loss(price(95.0)).send();
        });
        act(&mut desk, act_on);
        assert_eq!(told(), [format!("refused {reason} open 2")]);
    };
    check(|ctx| sent(ctx.replace(OrderId(99)).limit(price(99.5)).send()), "unknown-order");
    let more = |ctx: &mut Ctx<'_>| {
        let id = entry(ctx);
        ctx.replace(id).quantity(shares(11)).send();
    };
    check(more, "not-replaceable");
    let stop = |ctx: &mut Ctx<'_>| {
        let id = entry(ctx);
        ctx.replace(id).stop(price(98.0)).send();
    };
    check(stop, "not-replaceable");
}

#[test]
fn the_legs_of_a_replaced_entry_follow_it() {
    let mut desk = after(|ctx| {
        ctx.buy(SYMBOL, shares(10)).limit(price(99.0)).oto_stop_loss(price(95.0)).send();
    });
    act(&mut desk, |ctx| {
        let entry = entry(ctx);
        ctx.replace(entry).limit(price(100.01)).send();
    });
    assert_eq!(told()[3..], ["Buy 10 at 100.01 held 10", "Filled 10 open true", "loss: Working 0 open true"]);
    desk.quote(0, 95.0, 95.1);
    assert_eq!(told(), ["loss: Sell 10 at 95 held 0", "loss: Filled 10 open false"]);
}

#[test]
fn a_position_is_closed_when_its_orders_are_gone() {
    let mut desk = after(bracket);
    act(&mut desk, |ctx| sent(ctx.close_position(SYMBOL)));
    assert_eq!(
        told(),
        [
            "profit: Canceled 0 open true",
            "loss: Canceled 0 open true",
            "Pending 0 open true",
            "Working 0 open true",
            "Sell 10 at 99.99 held 0",
            "Filled 10 open false",
        ]
    );
    act(&mut desk, |ctx| sent(ctx.close_position(SYMBOL)));
    assert_eq!(told(), ["refused no-position open 0"]);
    // What was bought in the same event is closed, too, and what is short is bought back.
    let mut desk = after(|ctx| {
        ctx.sell(SYMBOL, shares(4)).send();
        ctx.close_position(SYMBOL);
    });
    assert!(desk.position(0).quantity.is_zero() && desk.open_orders().is_empty());
    desk.refuse(Some("frozen"));
    act(&mut desk, |ctx| sent(ctx.close_position(SYMBOL)));
    assert_eq!(told(), ["refused frozen open 0"]);
}

#[test]
fn dollars_buy_shares_and_parts_of_them() {
    let check = |order: fn(&mut Ctx<'_>), expected: &str| {
        let mut desk = desk();
        desk.hold(0, Position { quantity: shares(1), average_price: price(1.0) });
        act(&mut desk, order);
        let told = told();
        assert!(told.iter().any(|line| line.starts_with(expected)), "{expected}: {told:?}");
    };
    check(|ctx| sent(ctx.buy(SYMBOL, Usd::dollars(250)).send()), "Buy 2.499750024 at 100.01");
    check(|ctx| sent(ctx.sell(SYMBOL, Usd::dollars(50)).send()), "Sell 0.500050005 at 99.99");
    check(|ctx| sent(ctx.sell(SYMBOL, Usd::dollars(250)).send()), "Sell 2 at 99.99");
    let gtc = |ctx: &mut Ctx<'_>| {
        ctx.buy(SYMBOL, Usd::dollars(250)).time_in_force(TimeInForce::Gtc).send();
    };
    check(gtc, "Buy 2 at");
    let little = |ctx: &mut Ctx<'_>| {
        ctx.buy(SYMBOL, Usd::dollars(50)).time_in_force(TimeInForce::Gtc).send();
    };
    check(little, "refused bad-quantity");
    check(|ctx| sent(ctx.buy(Instrument(1), Usd::dollars(50)).send()), "refused stale-data");
    let mut desk = desk();
    desk.trade(1, 25.0, 1.0);
    told();
    act(&mut desk, |ctx| {
        ctx.buy(Instrument(1), Usd::dollars(50)).send();
        assert!(ctx.open_orders()[0].quantity.is_zero(), "not known before the host has answered");
    });
    assert_eq!(desk.open_orders()[0].quantity, shares(2));
}

#[test]
fn legs_are_open_from_the_moment_they_are_sent() {
    let mut desk = desk();
    act(&mut desk, |ctx| {
        bracket(ctx);
        let legs: Vec<_> = ctx.open_orders().iter().map(|it| (it.leg, it.side, it.status)).collect();
        assert_eq!(
            legs,
            [
                (None, Side::Buy, OrderStatus::Pending),
                (Some(Leg::TakeProfit), Side::Sell, OrderStatus::Held),
                (Some(Leg::StopLoss), Side::Sell, OrderStatus::Held),
            ]
        );
    });
}

/// Whether a strategy that wants this makes its test fail.
fn is_mistake(order: fn(&mut Ctx<'_>)) -> bool {
    std::panic::catch_unwind(|| act(&mut desk(), order)).is_err()
}

#[test]
fn what_no_broker_takes_is_a_mistake() {
    assert!(!is_mistake(bracket));
    let mistakes: [fn(&mut Ctx<'_>); 11] = [
        |ctx| sent(ctx.buy(SYMBOL, shares(1)).bracket(price(95.0), price(105.0)).send()),
        |ctx| sent(ctx.buy(SYMBOL, shares(1)).bracket(price(105.0), price(95.001)).send()),
        |ctx| sent(ctx.sell(SYMBOL, shares(1)).oco(price(95.0)).send()),
        |ctx| sent(ctx.sell(SYMBOL, shares(1)).limit(price(90.0)).oco(price(95.0)).send()),
        |ctx| sent(ctx.buy(SYMBOL, shares(1)).reprice(price(95.0)).send()),
        |ctx| sent(ctx.buy(SYMBOL, shares(1)).extended_hours().send()),
        |ctx| sent(ctx.buy(SYMBOL, shares(1)).trailing_stop(Percent::basis_points(9)).send()),
        |ctx| sent(ctx.buy(SYMBOL, shares(1)).trailing_stop(price(1.0)).extended_hours().send()),
        |ctx| sent(ctx.buy(SYMBOL, Qty::from_nanos(1)).time_in_force(TimeInForce::Gtc).send()),
        |ctx| sent(ctx.buy(SYMBOL, Usd::ZERO).send()),
        |ctx| {
            let ticket = ctx.buy(SYMBOL, shares(1)).oto_take_profit(price(105.0));
            ticket.time_in_force(TimeInForce::Ioc).send();
        },
    ];
    for (at, mistake) in mistakes.into_iter().enumerate() {
        assert!(is_mistake(mistake), "number {at}");
    }
}
