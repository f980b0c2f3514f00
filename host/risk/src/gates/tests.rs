use proptest::prelude::*;
use sandpit_types::{StrategyOrderId, TimeInForce};

use super::{
    world::{World, price},
    *,
};

/// What the gates say of a changed calm world.
fn outcome(change: impl FnOnce(&mut World)) -> Result<Approved, Refusal> {
    let mut world = World::calm();
    change(&mut world);
    let World { strategy, submit, situation, limits, used: _, now } = &world;
    Gates::new(limits.clone()).check(strategy, submit, situation, *now)
}

#[test]
fn what_passes_is_approved_as_it_is() {
    let approved = outcome(|_| ()).expect("a calm world");
    assert_eq!(approved.strategy().as_str(), "a");
    assert_eq!(approved.submit(), &World::calm().submit);
    assert!(!approved.reduces());
    let exit = outcome(|w| {
        w.hold("10");
        w.sell("10", "");
    });
    assert!(exit.expect("an exit").reduces());
}

#[test]
fn the_default_world_lets_nothing_pass() {
    let refused = outcome(|w| w.situation = Situation::default());
    assert_eq!(refused, Err(Refusal::NoLease));
}

#[test]
fn the_first_gate_that_objects_names_the_reason() {
    type Break = (fn(&mut World), Refusal);
    /// Each breaks one thing more, from the last gate to the first.
    const BREAKS: [Break; 17] = [
        (|w| w.situation.open_order_count = 500, Refusal::OpenOrders),
        (|w| w.open("b", Side::Sell, "1", "100"), Refusal::SelfCross),
        (|w| w.situation.buying_power = None, Refusal::BuyingPower),
        (|w| w.situation.gross_exposure = Usd::new(Decimal::MAX), Refusal::GrossExposure),
        (|w| w.hold("100"), Refusal::PositionLimit),
        (|w| w.buy("1000", "100"), Refusal::OrderNotional),
        (|w| w.buy("1000", "110"), Refusal::PriceCollar),
        (|w| w.bracket("120", "115"), Refusal::BadPrice),
        (|w| w.age(121), Refusal::StaleData),
        (|w| w.situation.session_open = false, Refusal::SessionClosed),
        (|w| w.situation.order_stream_up = false, Refusal::OrderStreamDown),
        (|w| w.situation.lease = false, Refusal::NoLease),
        (|w| w.situation.paused = true, Refusal::Paused),
        (|w| w.situation.frozen = true, Refusal::Frozen),
        (|w| w.situation.known_id = true, Refusal::DuplicateId),
        (|w| w.submit.time_in_force = TimeInForce::Ioc, Refusal::UnsupportedOrder),
        (|w| w.buy("1000", "110.001"), Refusal::OffTick),
    ];
    for broken in 1..=BREAKS.len() {
        let refused = outcome(|w| BREAKS[..broken].iter().for_each(|(change, _)| change(w)));
        assert_eq!(refused, Err(BREAKS[broken - 1].1));
    }
}

#[test]
fn a_burst_over_25_symbols_passes_and_a_runaway_does_not() {
    let world = World::calm();
    let mut gates = Gates::new(Limits::default());
    let mut send = |strategy: &str, secs: u64| {
        let now = world.now + std::time::Duration::from_secs(secs);
        gates.check(&StrategyName::new(strategy), &world.submit, &nobodys(&world), now)
    };
    // A rebalance of 25 symbols, twice within the minute, and ten more.
    assert!((0..60).all(|_| send("a", 0).is_ok()));
    assert_eq!(send("a", 59), Err(Refusal::OrderRate));
    assert!((0..60).all(|_| send("b", 59).is_ok()), "others have an allowance of their own");
    assert_eq!(send("c", 59), Err(Refusal::OrderRate), "within the account's");
    assert!(send("a", 60).is_ok(), "a refused order does not count");
}

fn nobodys(world: &World) -> Situation {
    Situation { owner: None, ..world.situation.clone() }
}

/// One try of a strategy: how many shares which way, at a limit so many cents from 100 or at the market.
#[derive(Clone, Debug)]
struct Try {
    side: Side,
    shares: i64,
    cents_off: Option<i64>,
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let one =
        (any::<bool>(), 1_i64..120, prop::option::of(-600_i64..600)).prop_map(|(buys, shares, cents_off)| {
            Try { side: if buys { Side::Buy } else { Side::Sell }, shares, cents_off }
        });
    prop::collection::vec(one, 1..60)
}

fn submit(one: &Try, id: u64) -> Submit {
    let limit = |cents| OrderKind::Limit { limit_price: Price::new(Decimal::new(10_000 + cents, 2)) };
    Submit {
        id: StrategyOrderId(id),
        side: one.side,
        qty: Qty::new(Decimal::from(one.shares)),
        kind: one.cents_off.map_or(OrderKind::Market, limit),
        ..World::calm().submit
    }
}

proptest! {
    /// Whatever a strategy tries and whichever of its orders fill: never short, never beyond the position
    /// limit.
    #[test]
    fn no_sequence_of_orders_gets_past_the_limits(
        tries in tries(),
        fills in prop::collection::vec(any::<bool>(), 60),
    ) {
        let World { strategy, mut situation, limits, now, .. } = World::calm();
        let largest = limits.position(limits.capital(situation.equity.expect("calm")));
        let mut gates = Gates::new(limits);
        for (id, (one, fills)) in tries.iter().zip(fills).enumerate() {
            let submit = submit(one, id as u64);
            let Ok(approved) = gates.check(&strategy, &submit, &situation, now) else { continue };
            let before = situation.position;
            if fills {
                situation.position += submit.side.signed(submit.qty);
                situation.account_position = situation.position;
            } else {
                situation.open_orders.push(OpenOrder {
                    strategy: strategy.clone(),
                    side: submit.side,
                    remaining: submit.qty,
                    kind: submit.kind,
                    group: None,
                    in_class: false,
                    dormant: false,
                });
            }
            let sold: Qty = working(&situation, Side::Sell);
            let bought: Qty = working(&situation, Side::Buy);
            prop_assert!(situation.position - sold >= Qty::ZERO, "short");
            prop_assert!(price("100") * (situation.position + bought) <= largest, "too large");
            prop_assert!(!approved.reduces() || situation.position <= before);
        }
    }

    /// A freeze, a pause, a missing equity and a broken order stream never keep anybody in.
    #[test]
    fn the_way_out_is_always_open(held in 1_i64..1_000_000, part in 1_i64..1_000_000) {
        let sold = part.min(held);
        let exit = outcome(|w| {
            w.hold(&held.to_string());
            w.sell(&sold.to_string(), "");
            w.situation.frozen = true;
            w.situation.paused = true;
            w.situation.order_stream_up = false;
            w.situation.equity = None;
            w.situation.buying_power = None;
            w.situation.gross_exposure = Usd::new(Decimal::MAX);
        });
        prop_assert!(exit.is_ok_and(|approved| approved.reduces()));
    }
}

fn working(situation: &Situation, side: Side) -> Qty {
    situation.open_orders.iter().filter(|order| order.side == side).map(|order| order.remaining).sum()
}
