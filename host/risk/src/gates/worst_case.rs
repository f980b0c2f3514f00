//! The gates in random worlds: what passes keeps every limit even if everything open fills in the worst
//! order.

use proptest::prelude::*;
use rust_decimal::Decimal;
use sandpit_types::{
    ClientOrderId, HostEpoch, OrderClass, OrderKind, Price, Qty, Refusal, Side, StopLoss, StrategyName,
    Trail, Usd,
};

use super::world::World;
use crate::{Gates, OpenOrder};

/// An order, in numbers: shares, and cents from 100 of its limit and of its stop.
#[derive(Clone, Debug)]
struct Draft {
    buys: bool,
    shares: i64,
    limit: i64,
    stop: i64,
    kind: u8,
    class: u8,
}

fn drafts() -> impl Strategy<Value = Draft> {
    (any::<bool>(), 1_i64..130, -700_i64..700, -700_i64..700, 0_u8..5, 0_u8..4)
        .prop_map(|(buys, shares, limit, stop, kind, class)| Draft { buys, shares, limit, stop, kind, class })
}

/// An order that is open: whose, in which group if any, and whether it waits for its entry.
#[derive(Clone, Debug)]
struct Open {
    draft: Draft,
    own: bool,
    group: Option<u64>,
    dormant: bool,
}

fn opens() -> impl Strategy<Value = Vec<Open>> {
    let one = (drafts(), any::<bool>(), prop::option::of(0_u64..3), prop::bool::weighted(0.2));
    let one = one.prop_map(|(draft, own, group, dormant)| Open { draft, own, group, dormant });
    prop::collection::vec(one, 0..6)
}

/// What may be wrong with a world.
#[derive(Clone, Debug)]
struct Wrong {
    frozen: bool,
    stream_down: bool,
    equity_unknown: bool,
    power: Option<i64>,
    gross: i64,
    stale: bool,
}

fn wrongs() -> impl Strategy<Value = Wrong> {
    let odd = || prop::bool::weighted(0.2);
    (odd(), odd(), odd(), prop::option::weighted(0.8, 0_i64..100_000), 0_i64..120_000, odd()).prop_map(
        |(frozen, stream_down, equity_unknown, power, gross, stale)| Wrong {
            frozen,
            stream_down,
            equity_unknown,
            power,
            gross,
            stale,
        },
    )
}

fn cents(off: i64) -> Price {
    Price::new(Decimal::new(10_000 + off, 2))
}

fn kind(draft: &Draft) -> OrderKind {
    let (limit_price, stop_price) = (cents(draft.limit), cents(draft.stop));
    match draft.kind {
        0 => OrderKind::Market,
        1 => OrderKind::Limit { limit_price },
        2 => OrderKind::Stop { stop_price },
        3 => OrderKind::StopLimit { stop_price, limit_price },
        _ => {
            OrderKind::TrailingStop { trail: Trail::Price(Price::new(Decimal::new(1 + draft.stop.abs(), 2))) }
        }
    }
}

fn class(draft: &Draft) -> OrderClass {
    let stop_loss = StopLoss { stop_price: cents(draft.stop), limit_price: None };
    match draft.class {
        0 => OrderClass::Bracket { take_profit: cents(draft.limit.abs() + 100), stop_loss },
        1 => OrderClass::Oco { stop_loss },
        _ => OrderClass::Simple,
    }
}

const fn side(draft: &Draft) -> Side {
    if draft.buys { Side::Buy } else { Side::Sell }
}

fn shares(count: i64) -> Qty {
    Qty::new(Decimal::from_parts(count.unsigned_abs() as u32, 0, 0, count < 0, 0))
}

/// A world in which strategy `a` wants the order.
fn world(draft: &Draft, open: &[Open], held: i64, others: i64, wrong: &Wrong) -> World {
    let mut world = World::calm();
    (world.submit.side, world.submit.qty) = (side(draft), shares(draft.shares));
    (world.submit.kind, world.submit.class) = (kind(draft), class(draft));
    let situation = &mut world.situation;
    situation.owner = None;
    situation.position = shares(held);
    situation.account_position = shares(held + others);
    situation.open_orders = open
        .iter()
        .map(|open| OpenOrder {
            strategy: StrategyName::new(if open.own { "a" } else { "b" }),
            side: side(&open.draft),
            remaining: shares(open.draft.shares),
            kind: kind(&open.draft),
            group: open.group.map(|sequence| ClientOrderId {
                strategy: StrategyName::new("a"),
                epoch: HostEpoch(1),
                sequence,
            }),
            in_class: open.group.is_some(),
            dormant: open.dormant,
        })
        .collect();
    situation.frozen = wrong.frozen;
    situation.order_stream_up = !wrong.stream_down;
    situation.buying_power = wrong.power.map(|power| Usd::new(power.into()));
    situation.gross_exposure = Usd::new(wrong.gross.into());
    if wrong.equity_unknown {
        situation.equity = None;
    }
    if wrong.stale {
        world.age(121);
    }
    world
}

/// What may still fill on one side: of a group its largest, of exits that wait for their entry nothing.
/// Written the long way round, by trying every choice of one order a group.
fn worst_fill(world: &World, side: Side, of: impl Fn(&OpenOrder) -> bool) -> Qty {
    let awake: Vec<&OpenOrder> = world
        .situation
        .open_orders
        .iter()
        .filter(|open| open.side == side && !open.dormant && of(open))
        .collect();
    let mut worst = Qty::ZERO;
    for choice in 0_u32..1 << awake.len() {
        let chosen: Vec<&&OpenOrder> = awake
            .iter()
            .enumerate()
            .filter(|(bit, _)| choice & (1 << bit) != 0)
            .map(|(_, open)| open)
            .collect();
        let twice = chosen.iter().enumerate().any(|(index, open)| {
            open.group.is_some() && chosen[..index].iter().any(|other| other.group == open.group)
        });
        if !twice {
            worst = worst.max(chosen.iter().map(|open| open.remaining).sum());
        }
    }
    worst
}

const HUNDRED: Price = Price::new(Decimal::ONE_HUNDRED);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_passes_keeps_every_limit_whatever_fills(
        draft in drafts(), open in opens(), held in 0_i64..120, others in 0_i64..40, wrong in wrongs(),
    ) {
        let world = world(&draft, &open, held, others, &wrong);
        let World { strategy, submit, situation, limits, now, .. } = &world;
        let Ok(approved) = Gates::new(limits.clone()).check(strategy, submit, situation, *now) else {
            return Ok(());
        };
        let own = |open: &OpenOrder| open.strategy == *strategy;
        if approved.reduces() {
            // Even if every sale of ours fills, nobody sells what is not there.
            prop_assert_eq!(submit.side, Side::Sell);
            prop_assert!(submit.qty + worst_fill(&world, Side::Sell, own) <= situation.position);
            prop_assert!(submit.qty + worst_fill(&world, Side::Sell, |_| true) <= situation.account_position);
            return Ok(());
        }
        // No short, and nothing that adds risk where anything is wrong.
        prop_assert_eq!(submit.side, Side::Buy);
        prop_assert!(!wrong.frozen && !wrong.stream_down && !wrong.equity_unknown && !wrong.stale);
        let capital = limits.capital(situation.equity.expect("it is known"));
        let bought = submit.qty + worst_fill(&world, Side::Buy, |_| true);
        let worst_position = HUNDRED * (situation.account_position + bought);
        prop_assert!(worst_position <= limits.position(capital), "{worst_position}");
        // At a plausible price: what the order says, or else what the market asks.
        let price = submit.kind.limit_price().or(submit.kind.stop_price()).unwrap_or(HUNDRED);
        let cost = price * submit.qty;
        prop_assert!(cost <= limits.order_notional(capital));
        prop_assert!(cost + situation.gross_exposure <= limits.gross(capital));
        prop_assert!(situation.buying_power.is_some_and(|power| cost <= power));
    }

    /// Whatever is granted, what passes keeps the grant and every limit of all; an exit passes as without.
    #[test]
    fn a_grant_only_ever_tightens(
        draft in drafts(), open in opens(), held in 0_i64..120, own in 0_i64..20_000,
        share in prop::option::of(1_i64..100), order in prop::option::of(1_i64..20_000),
        position in prop::option::of(1_i64..20_000), rate in prop::option::of(1_u32..100),
        used in 0_usize..30,
    ) {
        let fine = Wrong {
            frozen: false, stream_down: false, equity_unknown: false,
            power: Some(100_000), gross: 0, stale: false,
        };
        let plain = world(&draft, &open, held, 0, &fine);
        let mut granted = plain.clone();
        granted.situation.own_exposure = Usd::new(own.into());
        granted.situation.grant = crate::Grant {
            budget_share: share.map(Decimal::from),
            order_notional: order.map(|usd| Usd::new(usd.into())),
            position_notional: position.map(|usd| Usd::new(usd.into())),
            orders_per_minute: rate,
        };
        let ask = |world: &World| {
            let World { strategy, submit, situation, limits, now, .. } = world;
            let mut gates = Gates::new(limits.clone());
            (0..used).for_each(|_| gates.rates.note(strategy, *now));
            gates.check(strategy, submit, situation, *now).map(|approved| approved.reduces())
        };
        let (without, with) = (ask(&plain), ask(&granted));
        let Ok(reduces) = with else { return Ok(()) };
        prop_assert_eq!(without, Ok(reduces), "it never widens");
        let sooner = rate.map_or(60, |rate| rate as usize);
        let most = if reduces { 2 * sooner } else { sooner };
        prop_assert!(used < most);
        if !reduces {
            let kind = &granted.submit.kind;
            let price = kind.limit_price().or(kind.stop_price()).unwrap_or(HUNDRED);
            let cost = price * granted.submit.qty;
            prop_assert!(order.is_none_or(|order| cost <= Usd::new(order.into())));
            let bought = granted.submit.qty + worst_fill(&granted, Side::Buy, |_| true);
            let worst = HUNDRED * (granted.situation.account_position + bought);
            prop_assert!(position.is_none_or(|position| worst <= Usd::new(position.into())), "{}", worst);
            let all = cost + granted.situation.own_exposure;
            prop_assert!(share.is_none_or(|share| all <= Usd::new(Decimal::from(1_000 * share))));
        }
    }

    /// An exit is never stopped by what bounds risk.
    #[test]
    fn an_exit_is_stopped_by_nothing_that_bounds_risk(
        draft in drafts(), open in opens(), held in 0_i64..400, wrong in wrongs(),
        used in 0_usize..=60, open_orders in 0_usize..=500,
    ) {
        let mut world = world(&draft, &open, held, 0, &wrong);
        world.situation.open_order_count = open_orders;
        let World { strategy, submit, situation, limits, now, .. } = &world;
        if !world.case().reduces() {
            return Ok(());
        }
        let mut gates = Gates::new(limits.clone());
        for _ in 0..used {
            gates.rates.note(strategy, *now);
        }
        let refused = gates.check(strategy, submit, situation, *now).map(drop);
        let may = [
            Ok(()),
            Err(Refusal::UnsupportedOrder),
            Err(Refusal::BadPrice),
            Err(Refusal::PriceCollar),
            Err(Refusal::SelfCross),
        ];
        prop_assert!(may.contains(&refused), "{refused:?}");
        // At the market nothing but an order of ours in the way stops it.
        let mut at_market = world.clone();
        at_market.submit.kind = OrderKind::Market;
        at_market.submit.class = OrderClass::Simple;
        at_market.situation.open_orders.retain(|open| open.side == at_market.submit.side);
        let World { strategy, submit, situation, .. } = &at_market;
        let out = Gates::new(limits.clone()).check(strategy, submit, situation, *now);
        prop_assert!(out.is_ok(), "{out:?}");
    }

    /// Where the facts are missing or trading is frozen, only exits leave.
    #[test]
    fn only_exits_leave_a_frozen_world(
        draft in drafts(), open in opens(), held in -100_i64..120, which in 0_u8..4,
    ) {
        let fine = Wrong {
            frozen: false, stream_down: false, equity_unknown: false,
            power: Some(100_000), gross: 0, stale: false,
        };
        let wrong = match which {
            0 => Wrong { frozen: true, ..fine },
            1 => Wrong { stream_down: true, ..fine },
            2 => Wrong { equity_unknown: true, ..fine },
            _ => Wrong { stale: true, ..fine },
        };
        let world = world(&draft, &open, held, 0, &wrong);
        let World { strategy, submit, situation, limits, now, .. } = &world;
        if let Ok(approved) = Gates::new(limits.clone()).check(strategy, submit, situation, *now) {
            prop_assert!(approved.reduces());
            let after = situation.position + submit.side.signed(submit.qty);
            prop_assert!(after.abs() < situation.position.abs());
        }
    }

    /// Without a lease or before the books agree nothing leaves at all.
    #[test]
    fn nothing_leaves_without_a_lease(draft in drafts(), held in 0_i64..120, leased in any::<bool>()) {
        let fine = Wrong {
            frozen: false, stream_down: false, equity_unknown: false,
            power: Some(100_000), gross: 0, stale: false,
        };
        let mut world = world(&draft, &[], held, 0, &fine);
        (world.situation.lease, world.situation.reconciled) = (leased, !leased);
        let World { strategy, submit, situation, limits, now, .. } = &world;
        prop_assert!(Gates::new(limits.clone()).check(strategy, submit, situation, *now).is_err());
    }
}
