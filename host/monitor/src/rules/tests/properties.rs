//! Whatever the readings.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Figures that may be anything, with a liking for what is odd.
fn figure() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        Just(None),
        Just(Some(f64::NAN)),
        Just(Some(f64::INFINITY)),
        Just(Some(0.0)),
        (-1e6..1e6_f64).prop_map(Some),
        any::<f64>().prop_map(Some),
    ]
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..1_000_u64, any::<u64>()]
}

prop_compose! {
    fn trade()(
        strategies in prop::collection::btree_map("[a-c]", (any::<bool>(), count(), figure()), 0..3),
        positions in prop::collection::btree_map("[A-D]", figure(), 0..4),
        equity_usd in figure(),
        known in any::<[bool; 2]>(),
    ) -> Reading {
        let strategies = strategies.into_iter().map(|(name, (is_running, orders, pnl))| {
            (name, StrategyReading { is_running, orders, pnl_usd: pnl })
        });
        let strategies = known[0].then(|| strategies.collect());
        Reading { strategies, positions: known[1].then_some(positions), equity_usd, ..none() }
    }
}

prop_compose! {
    fn reading()(
        trade in trade(),
        unexplained_usd in figure(),
        lease_secs_left in figure(),
        counts in prop::collection::vec(count(), 8),
        known in any::<[bool; 6]>(),
        classes in prop::collection::vec((any::<f64>(), count()), 0..5),
        frozen in any::<Option<bool>>(),
        costs in prop::collection::vec(figure(), 3),
    ) -> Reading {
        let times = HistogramFigures { count: counts[0], sum_secs: counts[1] as f64, within_secs: classes };
        Reading {
            loops: known[0].then(|| [("a".to_owned(), counts[2])].into()),
            orders: known[1].then_some(OrderCounts {
                submitted: counts[3], rejected: counts[4], unknown_now: counts[5],
            }),
            answered: known[2].then_some(AnswerCounts {
                all: counts[6], errors_4xx: counts[3], errors_5xx: counts[7], unauthorised: counts[5],
            }),
            database_failures: known[3].then_some(counts[7]),
            answers: known[4].then(|| times.clone()),
            fill_latency: known[5].then_some(times),
            costs: (costs.iter().any(Option::is_some)).then(|| CostCounts {
                fills: counts[2],
                traded_usd: costs[0].unwrap_or_default(),
                slippage_usd: costs[1].unwrap_or_default(),
                fees_usd: costs[2].unwrap_or_default(),
            }),
            frozen,
            unexplained_usd,
            lease_secs_left,
            ..trade
        }
    }
}

/// Seconds until the next reading; the clock may be set back.
fn steps() -> impl Strategy<Value = Vec<(i64, Reading)>> {
    let step = prop_oneof![0..90_i64, 0..8_000_i64, -100_000..700_000_i64];
    prop::collection::vec((step, reading()), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Never two `firing` without a `resolved` between, nor the other way round, restarts included.
    #[test]
    fn firing_and_resolved_take_turns(
        steps in steps(),
        restarts in prop::collection::btree_set(0..60_usize, 0..4),
    ) {
        let mut rules = Rules::default();
        let mut open = BTreeSet::new();
        let mut now = i64::try_from(START).expect("small");
        for (index, (step, reading)) in steps.into_iter().enumerate() {
            now = (now + step).max(0);
            let at = Duration::from_secs(now.unsigned_abs());
            if restarts.contains(&index) {
                let json = serde_json::to_string(&rules.state()).expect("JSON");
                rules = Rules::resume(serde_json::from_str(&json).expect("a state"), at);
            }
            for change in rules.observe(at, &reading) {
                let key = (change.signal, change.labels.clone());
                let is_next = match change.standing {
                    Standing::Firing => open.insert(key),
                    Standing::Resolved => open.remove(&key),
                };
                prop_assert!(is_next, "{change:#?}");
                prop_assert!(change.value.is_none_or(f64::is_finite), "{change:#?}");
                serde_json::to_string(&change).expect("JSON");
            }
            let firing = rules.firing().map(|(signal, labels, _)| (signal.name, labels.clone()));
            let firing: BTreeSet<_> = firing.collect();
            prop_assert_eq!(&firing, &open);
        }
    }
}

#[test]
fn memory_is_bounded_whatever_the_names_and_the_time() {
    let mut rules = Rules::default();
    let name = |at: u64, of: u64| format!("{at}-{of}{}", "x".repeat(80));
    for tick in 0..1_500_u64 {
        // New names all the time, and more at once than there is room for.
        let names = || (0..300).map(move |of| name(of % 2 * tick, of));
        let strategy = StrategyReading { is_running: false, orders: tick * 9, pnl_usd: Some(-(tick as f64)) };
        let reading = Reading {
            loops: Some(names().map(|name| (name, tick)).collect()),
            positions: Some(names().map(|name| (name, Some(1e6))).collect()),
            strategies: Some((0..6).map(|of| (name(0, of), strategy)).collect()),
            equity_usd: Some(100.0),
            answers: Some(times(tick, tick, tick)),
            fill_latency: Some(times(tick, tick, tick)),
            ..none()
        };
        rules.observe(at(tick * 1_000), &reading);
    }
    assert!(rules.left_out() > 0, "the bound was never reached");
    for (id, own) in &rules.series {
        assert!(own.len() <= MAX_SERIES, "{id:?} has {} series", own.len());
        for (labels, series) in own {
            assert!(series.memory.len() <= 1_000, "{id:?} {labels:?} keeps {} figures", series.memory.len());
            assert!(labels.is_sane(), "{labels:?}");
        }
    }
    let size = serde_json::to_string(&rules.state()).expect("JSON").len();
    assert!(size < 2_000_000, "the state has {size} bytes");
}
