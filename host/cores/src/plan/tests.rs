use std::collections::BTreeMap;

use proptest::prelude::*;
use sandpit_types::{OrderClass, Qty, Symbol, TimeInForce};

use super::*;

fn at(secs: i64) -> MarketTime {
    MarketTime::from_secs(secs)
}

fn planned(strategy: &str, id: u64, reduces: bool, value: i64, since: i64, lasts: u64) -> Planned {
    let submit = Submit {
        id: StrategyOrderId(id),
        symbol: Symbol::new("SPY"),
        side: Side::Buy,
        qty: Qty::new(1.into()),
        kind: OrderKind::Market,
        time_in_force: TimeInForce::Day,
        extended_hours: false,
        time_to_live: Duration::from_secs(lasts),
        class: OrderClass::Simple,
        reprice: None,
    };
    let (since, value) = (at(since), Usd::new(value.into()));
    let until = since + submit.time_to_live;
    let strategy = StrategyName::new(strategy);
    Planned { strategy, incarnation: 0, submit, reduces, value, since, until, ends_begun: false }
}

/// The ids in the order in which they leave, exits first.
fn drained(plan: &mut Plan) -> Vec<u64> {
    let mut ids = Vec::new();
    while let Some(planned) = plan.next(true).or_else(|| plan.next(false)) {
        ids.push(planned.submit.id.0);
    }
    assert!(plan.is_empty());
    ids
}

#[test]
fn exits_go_first_and_large_entries_before_small_ones() {
    let mut plan = Plan::default();
    let batch = [(1, false, 10), (2, true, 1), (3, false, 30), (4, true, 5), (5, false, 20)];
    let batch = batch.map(|(id, reduces, value)| planned("a", id, reduces, value, 0, 9)).to_vec();
    assert_eq!(plan.add(batch), []);
    assert_eq!(plan.add(vec![planned("a", 6, false, 99, 0, 9)]), []);
    assert_eq!(drained(&mut plan), [2, 4, 3, 5, 1, 6], "a later batch does not overtake");
}

#[test]
fn strategies_take_turns() {
    let mut plan = Plan::default();
    let many = (0..4).map(|id| planned("a", id, false, 1, 0, 9)).collect();
    assert_eq!(plan.add(many), []);
    assert_eq!(plan.next(false).map(|first| first.submit.id.0), Some(0));
    assert_eq!(plan.add(vec![planned("b", 10, false, 1, 0, 9), planned("b", 11, false, 1, 0, 9)]), []);
    assert_eq!(plan.add(vec![planned("c", 20, false, 1, 0, 9)]), []);
    assert_eq!(drained(&mut plan), [10, 20, 1, 11, 2, 3]);
}

#[test]
fn entries_leave_room_for_exits_and_for_others() {
    let mut plan = Plan::default();
    let flood = (0..1_000).map(|id| planned("a", id, false, id as i64, 0, 9)).collect();
    let full = plan.add(flood);
    assert_eq!(full.len(), 1_000 - MAX_PLANNED_EACH);
    assert!(full.iter().all(|given_back| given_back.value < Usd::new(500.into())), "the smallest ones");
    assert_eq!(plan.add(vec![planned("a", 5_000, true, 1, 0, 9)]), []);
    assert_eq!(plan.add(vec![planned("b", 1, false, 1, 0, 9)]), []);
    for strategy in ["c", "d", "e", "f"] {
        plan.add((0..500).map(|id| planned(strategy, id, false, 1, 0, 9)).collect());
    }
    assert_eq!(plan.len(), MAX_PLANNED + 1, "entries of all together, and the exit");
}

#[test]
fn late_is_after_the_time_to_live_and_not_at_its_end() {
    let mut plan = Plan::default();
    plan.add(vec![planned("a", 1, false, 1, 0, 9), planned("a", 2, true, 1, 0, 5)]);
    assert_eq!(plan.deadline(), Some(at(5) + MOMENT));
    assert_eq!(plan.late(at(5)), []);
    assert_eq!(plan.late(at(6)).len(), 1);
    assert!(!plan.holds(&StrategyName::new("a"), StrategyOrderId(2)));
    assert!(plan.holds(&StrategyName::new("a"), StrategyOrderId(1)));
    assert!(!plan.holds(&StrategyName::new("b"), StrategyOrderId(1)));
    assert_eq!(plan.late(plan.deadline().expect("one waits")).len(), 1);
    assert_eq!(plan.deadline(), None);
}

#[test]
fn a_new_price_is_the_far_side_and_never_worse_than_allowed() {
    let price = |text: &str| text.parse::<Price>().expect(text);
    let check = |side, limit: &str, worst: Option<&str>, (bid, ask): (f64, f64), expected: &str| {
        let quote = Quote { symbol: Symbol::new("SPY"), time: at(0), bid, bid_size: 1, ask, ask_size: 1 };
        let submit = Submit {
            side,
            kind: OrderKind::Limit { limit_price: price(limit) },
            reprice: worst.map(|worst| Reprice { worst: price(worst) }),
            ..planned("a", 1, false, 1, 0, 9).submit
        };
        let kind = repriced(&submit, Some(&quote));
        assert_eq!(kind.limit_price(), Some(price(expected)), "{side:?} {limit} {worst:?} {bid} {ask}");
        assert_eq!(repriced(&submit, None), submit.kind);
    };
    check(Side::Buy, "100", Some("101"), (100.3, 100.5), "100.5");
    check(Side::Buy, "100", Some("101"), (101.3, 101.5), "101");
    check(Side::Buy, "100", Some("101"), (98.0, 99.0), "99");
    check(Side::Buy, "100", Some("101"), (98.0, 100.504), "100.51");
    check(Side::Buy, "100", Some("101"), (98.0, 0.0), "100");
    check(Side::Buy, "100", Some("101"), (98.0, f64::NAN), "100");
    check(Side::Buy, "100", None, (98.0, 99.0), "100");
    check(Side::Sell, "100", Some("99"), (99.5, 99.6), "99.5");
    check(Side::Sell, "100", Some("99"), (98.5, 99.6), "99");
    check(Side::Sell, "100", Some("99"), (99.506, 99.6), "99.5");
}

/// One thing that happens to a plan.
#[derive(Clone, Debug)]
enum Step {
    Add { strategy: usize, batch: Vec<(bool, i64, u64)> },
    Next(bool),
    Wait(i64),
    Cancel(u64),
    Drop { entries_only: bool },
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let one = prop_oneof![
        4 => (0..3_usize, prop::collection::vec((any::<bool>(), 0_i64..50, 0_u64..20), 0..8))
            .prop_map(|(strategy, batch)| Step::Add { strategy, batch }),
        6 => any::<bool>().prop_map(Step::Next),
        2 => (0_i64..8).prop_map(Step::Wait),
        1 => (0_u64..40).prop_map(Step::Cancel),
        1 => any::<bool>().prop_map(|entries_only| Step::Drop { entries_only }),
    ];
    prop::collection::vec(one, 1..80)
}

proptest! {
    /// Every order comes out once: in turn, late, cancelled, dropped or given back. None that comes out in
    /// turn is late, and of one batch no entry overtakes a larger one.
    #[test]
    fn nothing_is_lost_and_nothing_late_leaves(steps in steps()) {
        let mut plan = Plan::default();
        let (mut now, mut next_id, mut batch_no) = (0, 0, 0_u64);
        let mut inside = BTreeMap::new();
        let mut left: BTreeMap<u64, Vec<Usd>> = BTreeMap::new();
        for step in steps {
            for planned in plan.late(at(now)) {
                prop_assert!(planned.until < at(now));
                prop_assert!(inside.remove(&planned.submit.id.0).is_some());
            }
            match step {
                Step::Add { strategy, batch } => {
                    batch_no += 1;
                    let name = ["a", "b", "c"][strategy];
                    let batch = batch.into_iter().map(|(reduces, value, lasts)| {
                        next_id += 1;
                        inside.insert(next_id, batch_no);
                        planned(name, next_id, reduces, value, now, lasts)
                    });
                    let batch = batch.collect();
                    for full in plan.add(batch) {
                        prop_assert!(inside.remove(&full.submit.id.0).is_some());
                    }
                }
                Step::Next(reduces) => {
                    if let Some(planned) = plan.next(reduces) {
                        prop_assert_eq!(planned.reduces, reduces);
                        prop_assert!(planned.until >= at(now), "a late one left");
                        let batch = inside.remove(&planned.submit.id.0);
                        prop_assert!(batch.is_some());
                        if !reduces {
                            left.entry(batch.unwrap_or_default()).or_default().push(planned.value);
                        }
                    }
                }
                Step::Wait(secs) => now += secs,
                Step::Cancel(back) => {
                    let id = next_id.saturating_sub(back);
                    for planned in plan.take(|planned| planned.submit.id.0 == id) {
                        prop_assert!(inside.remove(&planned.submit.id.0).is_some());
                    }
                }
                Step::Drop { entries_only } => {
                    for planned in plan.take(|planned| !entries_only || !planned.reduces) {
                        prop_assert!(inside.remove(&planned.submit.id.0).is_some());
                    }
                }
            }
            prop_assert_eq!(plan.len(), inside.len());
        }
        for values in left.values() {
            prop_assert!(values.is_sorted_by(|before, after| before >= after), "{values:?}");
        }
        for id in drained(&mut plan) {
            prop_assert!(inside.remove(&id).is_some());
        }
        prop_assert!(inside.is_empty());
    }
}
