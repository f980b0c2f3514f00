//! Every rule fires and is quiet, in virtual time; and what holds whatever the readings.

mod properties;

use std::collections::BTreeMap;

use super::*;
use crate::HistogramFigures;

/// 14 November 2023, at a full hour.
const START: u64 = 1_699_999_200;

/// Where a script stands: seconds that were well, and seconds that were bad.
#[derive(Clone, Copy)]
struct Dose {
    well: u64,
    bad: u64,
    is_bad: bool,
}

impl Dose {
    /// One figure while all is well, another while it is bad.
    fn of<T>(&self, well: T, bad: T) -> T {
        if self.is_bad { bad } else { well }
    }

    /// A counter that grows by so much an hour while all is well, and by so much while it is bad.
    fn count(&self, well: u64, bad: u64) -> u64 {
        (self.well * well + self.bad * bad) / 3_600
    }
}

/// A script: seconds that are well, then bad, then well again, and the time between two readings.
#[derive(Clone, Copy)]
struct Script {
    before: u64,
    bad: u64,
    after: u64,
    step: u64,
}

const SHORT: Script = Script { before: 600, bad: 900, after: 7_200, step: 5 };
const DAYS: Script = Script { before: 48 * 3_600, bad: 4 * 3_600, after: 9 * 86_400, step: 600 };

struct Case {
    id: Id,
    script: Script,
    /// At most so many seconds of bad pass until it fires.
    within: u64,
    /// Fires while it is bad, and is over afterwards.
    fires: fn(Dose) -> Reading,
    /// Stays on the good side, though not by much.
    quiet: fn(Dose) -> Reading,
}

const fn short(id: Id, within: u64, fires: fn(Dose) -> Reading, quiet: fn(Dose) -> Reading) -> Case {
    Case { id, script: SHORT, within, fires, quiet }
}

const fn days(id: Id, within: u64, fires: fn(Dose) -> Reading, quiet: fn(Dose) -> Reading) -> Case {
    Case { id, script: DAYS, within, fires, quiet }
}

fn none() -> Reading {
    Reading::default()
}

fn map<T>(name: &str, value: T) -> Option<BTreeMap<String, T>> {
    Some([(name.to_owned(), value)].into())
}

fn looping(moved: u64) -> Reading {
    Reading { loops: map("store", moved), ..none() }
}

fn filling(due: u64, in_time: u64) -> Reading {
    Reading { fills: Some(FillCounts { due, in_time }), ..none() }
}

fn answered(all: u64, errors_4xx: u64, errors_5xx: u64, unauthorised: u64) -> Reading {
    Reading { answered: Some(AnswerCounts { all, errors_4xx, errors_5xx, unauthorised }), ..none() }
}

fn ordering(submitted: u64, rejected: u64, unknown_now: u64) -> Reading {
    let orders = Some(OrderCounts { submitted, rejected, unknown_now });
    let (budgets, polls_failed) = (Some(BTreeMap::new()), Some(0));
    Reading { orders, budgets, polls_failed, ..none() }
}

fn strategy(is_running: bool, orders: u64, pnl_usd: f64) -> Reading {
    let strategies = map("a", StrategyReading { is_running, orders, pnl_usd: Some(pnl_usd) });
    Reading { strategies, equity_usd: Some(100_000.0), ..none() }
}

fn holding(aapl: f64, msft: f64) -> Reading {
    let positions = [("AAPL".to_owned(), Some(aapl)), ("MSFT".to_owned(), Some(msft))].into();
    Reading { positions: Some(positions), equity_usd: Some(100_000.0), ..none() }
}

/// Durations of up to a second, of up to twenty, and longer.
fn times(fast: u64, slow: u64, slower: u64) -> HistogramFigures {
    let within_secs = vec![(0.5, fast / 2), (1.0, fast), (20.0, fast + slow)];
    let count = fast + slow + slower;
    HistogramFigures { count, sum_secs: fast as f64 * 0.5 + slow as f64 * 10.0, within_secs }
}

fn fill_times(fast: u64, slow: u64) -> Reading {
    Reading { fill_latency: Some(times(fast, slow, 0)), ..none() }
}

fn answers(count: u64, slow: u64, sum_secs: f64) -> Reading {
    let within_secs = vec![(0.2, count - slow), (1.0, count)];
    Reading { answers: Some(HistogramFigures { count, sum_secs, within_secs }), ..none() }
}

fn budget(http_429: u64, used: u64) -> Reading {
    let windows = vec![("requests".to_owned(), 62, used, 200)];
    Reading { budgets: map("trading", BudgetReading { http_429, windows }), ..none() }
}

fn costs(fills: u64, traded_usd: f64, slippage_usd: f64, fees_usd: f64) -> Reading {
    Reading { costs: Some(CostCounts { fills, traded_usd, slippage_usd, fees_usd }), ..none() }
}

fn memory(percent: u64) -> Reading {
    Reading { rss_bytes: Some(percent), memory_limit_bytes: Some(100), ..none() }
}

/// Every signal but `blind`, which has a test of its own.
const CASES: &[Case] = &[
    // A loop that moves every 55 seconds is slow, but alive.
    short(Id::Heartbeat, 65, |d| looping(d.well), |d| looping(d.well + d.bad / 55)),
    short(
        Id::FillRate,
        900,
        |d| filling(d.count(400, 400), d.count(400, 200)),
        |d| filling(d.count(400, 400), d.count(396, 390)),
    ),
    short(
        Id::ErrorRate,
        180,
        |d| answered(d.count(3_600, 3_600), d.count(0, 400), d.count(0, 400), 0),
        |d| answered(d.count(3_600, 3_600), d.count(0, 170), d.count(0, 170), 0),
    ),
    short(
        Id::KeyRotated,
        15,
        |d| answered(1_000, 0, 0, d.count(0, 3_600)),
        // Two a minute.
        |d| answered(1_000, 0, 0, d.count(0, 118)),
    ),
    short(
        Id::BrokerErrors,
        60,
        |d| answered(1_000, 0, d.count(0, 3_600), 0),
        |d| answered(1_000, 0, d.count(0, 500), 0),
    ),
    short(
        Id::OrderRejects,
        300,
        |d| ordering(d.count(720, 720), d.count(0, 180), 0),
        |d| ordering(d.count(720, 720), d.count(0, 70), 0),
    ),
    short(
        Id::OutcomeUnknown,
        65,
        |d| ordering(0, 0, d.of(0, 1)),
        |d| ordering(0, 0, u64::from(d.is_bad && d.bad % 60 > 5)),
    ),
    days(
        Id::DailyLoss,
        600,
        |d| strategy(true, 0, d.of(0.0, -2_100.0)),
        |d| strategy(true, 0, d.of(0.0, -1_900.0)),
    ),
    days(
        Id::Drawdown,
        600,
        |d| strategy(true, 0, d.of(9_000.0, 3_900.0)),
        |d| strategy(true, 0, d.of(9_000.0, 4_100.0)),
    ),
    short(
        Id::Inventory,
        35,
        |d| holding(d.of(0.0, -10_100.0), 9_000.0),
        |d| holding(d.of(0.0, -9_900.0), 9_000.0),
    ),
    short(
        Id::GrossExposure,
        35,
        |d| holding(d.of(0.0, -60_000.0), 41_000.0),
        |d| holding(d.of(0.0, -60_000.0), 39_000.0),
    ),
    short(
        Id::FillLatencyP50,
        400,
        |d| fill_times(d.count(1_200, 500), d.count(0, 700)),
        |d| fill_times(d.count(1_200, 700), d.count(0, 500)),
    ),
    short(
        Id::FillLatencyP95,
        400,
        |d| fill_times(d.count(1_200, 1_110), d.count(0, 90)),
        |d| fill_times(d.count(1_200, 1_160), d.count(0, 40)),
    ),
    short(
        Id::FillLatencyP99,
        400,
        |d| fill_times(d.count(1_200, 1_140), d.count(0, 60)),
        |d| fill_times(d.count(1_200, 1_195), d.count(0, 5)),
    ),
    short(
        Id::AnswerLatency,
        400,
        |d| answers(d.count(1_200, 1_200), d.count(0, 40), 0.0),
        |d| answers(d.count(1_200, 1_200), d.count(0, 6), 0.0),
    ),
    short(Id::RateLimited, 65, |d| budget(d.count(0, 60), 0), |_| budget(7, 0)),
    short(Id::BudgetUse, 125, |d| budget(0, d.of(20, 181)), |d| budget(0, d.of(20, 180))),
    short(
        Id::Balance,
        335,
        |d| Reading { unexplained_usd: Some(d.of(0.0, -1.01)), ..none() },
        |d| Reading { unexplained_usd: Some(d.of(0.0, 1.0)), ..none() },
    ),
    short(
        Id::Frozen,
        0,
        |d| Reading { frozen: Some(d.is_bad), ..none() },
        |_| Reading { frozen: Some(false), ..none() },
    ),
    short(
        Id::Slippage,
        900,
        |d| costs(0, d.count(90_000, 90_000) as f64, d.count(9, 180) as f64, 0.0),
        |d| costs(0, d.count(90_000, 90_000) as f64, d.count(9, 44) as f64, 0.0),
    ),
    // 24 an hour are usual.
    days(
        Id::OrderSurge,
        3_600,
        |d| strategy(true, d.count(24, 90), 0.0),
        |d| strategy(true, d.count(24, 66), 0.0),
    ),
    short(
        Id::StreamDown,
        125,
        |d| Reading { streams: map("news", !d.is_bad), ..none() },
        |d| Reading { streams: map("news", !(d.is_bad && d.bad % 120 > 5)), ..none() },
    ),
    short(
        Id::StrategyDown,
        305,
        |d| strategy(!d.is_bad, 0, 0.0),
        |d| strategy(!(d.is_bad && d.bad % 300 > 5), 0, 0.0),
    ),
    short(
        Id::Database,
        65,
        |d| Reading { database_failures: Some(d.count(0, 60)), ..none() },
        |_| Reading { database_failures: Some(3), ..none() },
    ),
    short(Id::Memory, 20, |d| memory(d.of(50, 86)), |d| memory(d.of(50, 85))),
    short(
        Id::Lease,
        20,
        |d| Reading { lease_secs_left: Some(d.of(2.0, 0.0)), ..none() },
        |d| Reading { lease_secs_left: Some(if d.is_bad && d.bad % 15 > 5 { 0.0 } else { 2.0 }), ..none() },
    ),
    // Wins 24 USD an hour as a rule; a loss of 0.3 % of equity within an hour is none.
    days(
        Id::UsualPnl,
        5_400,
        |d| strategy(true, 0, d.count(24, 0) as f64 - d.count(0, 300) as f64),
        |d| strategy(true, 0, d.count(24, 0) as f64 - d.count(0, 150) as f64),
    ),
    days(
        Id::UsualLatency,
        5_400,
        |d| answers(d.count(60, 60), 0, d.count(3, 18) as f64),
        |d| answers(d.count(60, 60), 0, d.count(3, 6) as f64),
    ),
    days(Id::UsualErrors, 5_400, |d| ordering(0, d.count(1, 18), 0), |d| ordering(0, d.count(1, 10), 0)),
    days(
        Id::UsualCost,
        5_400,
        |d| costs(d.count(60, 60), 0.0, d.count(3, 18) as f64, d.count(3, 3) as f64),
        |d| costs(d.count(60, 60), 0.0, d.count(3, 8) as f64, d.count(3, 3) as f64),
    ),
];

/// What changes about one signal in a script, and after how many bad seconds.
fn play(id: Id, script: Script, reading: fn(Dose) -> Reading) -> Vec<(u64, Change)> {
    let mut rules = Rules::default();
    let mut told = Vec::new();
    let end = script.before + script.bad + script.after;
    for at in (0..=end).step_by(usize::try_from(script.step).expect("small")) {
        let bad = at.saturating_sub(script.before).min(script.bad);
        let is_bad = at >= script.before && at < script.before + script.bad;
        let changes =
            rules.observe(Duration::from_secs(START + at), &reading(Dose { well: at - bad, bad, is_bad }));
        let own = changes.into_iter().filter(|change| change.signal == table::signal(id).name);
        told.extend(own.map(|change| (bad, change)));
    }
    told
}

#[test]
fn every_rule_fires_once_and_is_resolved_once() {
    for case in CASES {
        let told = play(case.id, case.script, case.fires);
        let [(after, firing), (_, resolved)] = told.as_slice() else {
            panic!("{:?}: not one firing and one end: {told:#?}", case.id)
        };
        let signal = table::signal(case.id);
        assert_eq!((firing.standing, resolved.standing), (Standing::Firing, Standing::Resolved), "{told:#?}");
        assert!(*after <= case.within, "{:?} fired only after {after} s", case.id);
        assert!(Duration::from_secs(*after) >= signal.hold, "{:?} fired after {after} s already", case.id);
        assert!(resolved.since == firing.since && firing.value.is_some(), "{told:#?}");
        let is_unusual = matches!(signal.test, Test::Usual(_) | Test::Surge { .. });
        assert_eq!(firing.typical.is_some(), is_unusual, "{firing:#?}");
        assert_eq!(firing.sentence.contains("usual is"), is_unusual, "{}", firing.sentence);
    }
}

#[test]
fn every_rule_is_quiet_short_of_its_threshold() {
    for case in CASES {
        let told = play(case.id, case.script, case.quiet);
        assert!(told.is_empty(), "{:?}: {told:#?}", case.id);
    }
}

#[test]
fn the_table_is_whole() {
    let mut named = BTreeMap::new();
    for signal in table::signals() {
        assert!(named.insert(signal.name, signal.id).is_none(), "{} is there twice", signal.name);
        assert!(!signal.what.is_empty() && signal.to_do.ends_with('.'), "{signal:?}");
        let is_beyond = match signal.side {
            Side::Above => signal.clears <= signal.limit,
            Side::Below => signal.clears >= signal.limit,
        };
        assert!(is_beyond, "{}: it would be good and bad at once", signal.name);
        let has_case = CASES.iter().filter(|case| case.id == signal.id).count();
        assert_eq!(has_case, usize::from(signal.id != Id::Blind), "{}", signal.name);
    }
    assert_eq!(named.len(), CASES.len() + 1);
}

fn at(secs: u64) -> Duration {
    Duration::from_secs(START + secs)
}

/// Observes at each second of a range; what was told of one signal.
fn told(rules: &mut Rules, name: &str, secs: std::ops::Range<u64>, reading: &Reading) -> Vec<Standing> {
    let changes = secs.step_by(5).flat_map(|secs| rules.observe(at(secs), reading)).collect::<Vec<_>>();
    changes.into_iter().filter(|change| change.signal == name).map(|change| change.standing).collect()
}

#[test]
fn missing_data_fires_nothing_ends_nothing_and_is_told() {
    let mut rules = Rules::default();
    assert_eq!(told(&mut rules, "inventory", 0..60, &holding(20_000.0, 0.0)), [Standing::Firing]);
    assert_eq!(told(&mut rules, "inventory", 60..600, &none()), []);
    let blind = told(&mut rules, "blind", 600..900, &none());
    // Both signals of positions had their figures.
    assert_eq!(blind, [Standing::Firing; 2]);
    assert_eq!(rules.firing().filter(|(signal, ..)| signal.name == "inventory").count(), 1);
    // A symbol without a price is not known either.
    let mut unpriced = holding(0.0, 0.0);
    unpriced.positions.as_mut().and_then(|all| all.insert("AAPL".to_owned(), None));
    assert_eq!(told(&mut rules, "inventory", 900..1_200, &unpriced), []);
    assert_eq!(told(&mut rules, "inventory", 1_200..1_300, &holding(0.0, 0.0)), [Standing::Resolved]);
    assert_eq!(rules.firing().count(), 0, "nothing is blind any more");
    for equity in [f64::NAN, f64::INFINITY, 0.0, 1e-300, -5.0] {
        let no_measure = Reading { equity_usd: Some(equity), ..holding(90_000.0, 0.0) };
        assert_eq!(told(&mut rules, "inventory", 1_400..1_600, &no_measure), [], "equity of {equity}");
    }
}

#[test]
fn a_loss_is_not_measured_by_next_to_no_equity() {
    let mut rules = Rules::default();
    for (secs, pnl_usd) in [(0, 0.0), (10, -1e6)] {
        let reading = Reading { equity_usd: Some(1e-300), ..strategy(true, 0, pnl_usd) };
        assert_eq!(rules.observe(at(secs), &reading), []);
    }
}

/// A start: what is held has no price for a while.
#[test]
fn what_nobody_can_value_is_not_lost() {
    let mut rules = Rules::default();
    let mut told = Vec::new();
    for secs in 0..600 {
        let mut reading = strategy(true, 0, 9_000.0);
        if (100..400).contains(&secs) {
            let strategies = reading.strategies.as_mut().expect("known");
            strategies.get_mut("a").expect("it is there").pnl_usd = None;
        }
        told.extend(rules.observe(at(secs), &reading).into_iter().map(|change| change.signal));
    }
    assert_eq!(told, [""; 0]);
}

#[test]
fn nothing_is_usual_before_a_day_has_passed() {
    let surges = |hours: u64| {
        let mut rules = Rules::default();
        let orders =
            |tick: u64| if tick < hours * 6 { tick * 4 } else { hours * 24 + (tick - hours * 6) * 30 };
        let ticks = 0..hours * 6 + 12;
        let changes =
            ticks.flat_map(|tick| rules.observe(at(tick * 600), &strategy(true, orders(tick), 0.0)));
        changes.filter(|change| change.signal == "order-surge").count()
    };
    assert_eq!((surges(20), surges(26)), (0, 1));
}

#[test]
fn what_was_never_known_is_not_missed() {
    assert_eq!(told(&mut Rules::default(), "blind", 0..3_600, &none()), []);
}

#[test]
fn what_is_gone_is_over() {
    let mut rules = Rules::default();
    assert_eq!(told(&mut rules, "inventory", 0..60, &holding(20_000.0, 0.0)), [Standing::Firing]);
    let sold = Reading { positions: Some(BTreeMap::new()), equity_usd: Some(1.0), ..none() };
    let changes = rules.observe(at(60), &sold);
    let [change] = changes.as_slice() else { panic!("{changes:#?}") };
    assert_eq!(change.sentence, "inventory (symbol AAPL): over after 30 s; it is gone.");
    assert_eq!((change.value, change.threshold, change.standing), (None, None, Standing::Resolved));
}

#[test]
fn a_sentence_has_value_threshold_and_what_is_usual() {
    let sentence = |id| {
        let case = CASES.iter().find(|case| case.id == id).expect("a case");
        play(id, case.script, case.fires)[0].1.sentence.clone()
    };
    assert_eq!(
        sentence(Id::Inventory),
        "inventory (symbol AAPL): what is held of a symbol, long or short, of equity is 10.1 %, above 10 %."
    );
    assert_eq!(
        sentence(Id::OrderSurge),
        "order-surge (strategy a): orders of a strategy within an hour, by the median hour of 7 days is 79, \
         above 72; usual is 24, half of 47 hours within 0."
    );
}

#[test]
fn a_restart_neither_repeats_nor_forgets() {
    let mut rules = Rules::default();
    assert_eq!(told(&mut rules, "inventory", 0..60, &holding(20_000.0, 0.0)), [Standing::Firing]);
    let json = serde_json::to_string(&rules.state()).expect("JSON");
    let state: State = serde_json::from_str(&json).expect("a state");
    let mut next = Rules::resume(state, at(100));
    assert_eq!(told(&mut next, "inventory", 100..200, &holding(20_000.0, 0.0)), []);
    assert_eq!(told(&mut next, "inventory", 200..300, &holding(0.0, 0.0)), [Standing::Resolved]);
}

#[test]
fn what_is_usual_outlives_a_restart_and_not_a_week() {
    let orders = |hour: u64, an_hour: u64| strategy(true, hour * an_hour, 0.0);
    let mut rules = Rules::default();
    for tick in 0..=300 {
        rules.observe(at(tick * 600), &strategy(true, tick * 4, 0.0));
    }
    let json = serde_json::to_string(&rules.state()).expect("JSON");
    let resume = |now| Rules::resume(serde_json::from_str(&json).expect("a state"), now);
    let surges = |rules: &mut Rules, from: u64| {
        let changes = (0..12).flat_map(|tick| rules.observe(at(from + tick * 600), &orders(tick, 15)));
        changes.filter(|change| change.signal == "order-surge").count()
    };
    assert_eq!(surges(&mut resume(at(181_000)), 181_000), 1);
    let later = 181_000 + 8 * 86_400;
    assert_eq!(surges(&mut resume(at(later)), later), 0, "what was usual is too long ago");
    // A state of the future is of no use, and does no harm.
    assert_eq!(surges(&mut resume(at(0)), 0), 0);
}

#[test]
fn actions_are_wanted_while_their_signal_fires() {
    let mut rules = Rules::default();
    assert!(!rules.wants(Action::StopEntries));
    for second in 0..60 {
        rules.observe(at(second), &answered(second, 0, 0, second));
    }
    assert!(rules.wants(Action::StopEntries) && !rules.wants(Action::Freeze));
    for second in 60..600 {
        rules.observe(at(second), &answered(second, 0, 0, 60));
    }
    assert!(!rules.wants(Action::StopEntries));
    let books = Reading { unexplained_usd: Some(5.0), ..none() };
    (600..929).for_each(|second| drop(rules.observe(at(second), &books)));
    assert!(!rules.wants(Action::Freeze), "the desk decides first");
    (929..935).for_each(|second| drop(rules.observe(at(second), &books)));
    assert!(rules.wants(Action::Freeze));
}

#[test]
fn a_snapshot_tells_nothing_of_the_books_before_they_are_reconciled() {
    let mut snapshot = crate::Snapshot { equity_usd: Some(1.0), ..crate::Snapshot::default() };
    let reading = Reading::of(&snapshot);
    assert!(reading.positions.is_none() && reading.streams.is_none() && reading.frozen.is_none());
    assert_eq!(reading.loops, Some(BTreeMap::new()));
    snapshot.reconciled = true;
    snapshot.orders.rejected = 3;
    snapshot.records.commits_late = 2;
    snapshot.streams = vec![crate::StreamFigures {
        name: "news".into(),
        state: "opening".into(),
        polls_failed: 7,
        ..crate::StreamFigures::default()
    }];
    let reading = Reading::of(&snapshot);
    assert_eq!(reading.orders, Some(OrderCounts { submitted: 0, rejected: 3, unknown_now: 0 }));
    assert_eq!((reading.database_failures, reading.polls_failed), (Some(2), Some(7)));
    assert_eq!(reading.streams, map("news", false));
    assert_eq!(reading.frozen, Some(false));
    // What a restart does not bring back is down, not gone; one whose new file is refused goes on as it was.
    let refused =
        |plugin: &str| crate::RefusedFigures { plugin: plugin.into(), reason: "quarantined".into() };
    snapshot.refused = vec![refused("lost"), refused("kept")];
    let kept = crate::StrategyFigures { name: "kept".into(), state: "running".into(), ..Default::default() };
    snapshot.strategies = vec![kept];
    let running = Reading::of(&snapshot).strategies.expect("the books are reconciled");
    let running: Vec<_> = running.iter().map(|(name, one)| (name.as_str(), one.is_running)).collect();
    assert_eq!(running, [("kept", true), ("lost", false)]);
    let page = crate::metrics::render(&snapshot, crate::metrics::Money::LeftOut);
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("sandpit_strategy_running{")).collect();
    let expected =
        ["kept\"} 1", "lost\"} 0"].map(|end| format!("sandpit_strategy_running{{strategy=\"{end}"));
    assert_eq!(rows, expected);
    // Where data has two ways, the way counts: at night an open connection owes nothing, by day one that
    // brings a little and falls silent again and again delivers nothing.
    for (state, health, delivers) in [
        ("live", "", true),
        ("proving", "", false),
        ("proving", "live", true),
        ("live", "fallback", false),
        ("live", "stale", false),
    ] {
        (snapshot.streams[0].state, snapshot.streams[0].health) = (state.into(), health.into());
        assert_eq!(Reading::of(&snapshot).streams, map("news", delivers), "{state} {health}");
        let page = crate::metrics::render(&snapshot, crate::metrics::Money::LeftOut);
        let line = format!("sandpit_stream_live{{stream=\"news\"}} {}", u8::from(delivers));
        assert!(page.contains(&line), "{line} is not in {page}");
    }
}
