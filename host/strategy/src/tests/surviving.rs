//! What a strategy carries over from one life to the next.

use std::sync::Arc;

use sandpit_types::{
    Bar, Intent, MarketEvent, MarketTime, OrderStatus, OrderUpdate, Price, Qty, Refusal, SessionDay,
    StrategyOrderId, StreamHealth, Symbol, Usd,
};

use super::{
    Yard, at, bar, bar_of, bounds, outputs, quote, said, trade,
    wat::{LIST, LOAD_N, NOTHING, REFUSE, SAVE_N, Wat, Whole, Wire},
};
use crate::{
    Bounds, Failure, KEPT_EVENTS_MAX, Manifest, STATE_BYTES_MAX, Snapshot, StrategyEvent, StrategyOutput,
    session::{Session, Start},
};

/// Counts trades and says how many there were; a quote is its end.
pub(super) fn counter() -> Wat {
    Wat {
        on_trade: "(global.set $n (i64.add (global.get $n) (i64.const 1)))
            (call $hush) (call $say (global.get $n)) (i32.const 2000)",
        on_quote: "(unreachable)",
        save: SAVE_N,
        load: LOAD_N,
        ..Wat::default()
    }
}

/// Writes down the case of each event, as a digit, and says all of them on trades; a quote is its end.
pub(super) fn diarist() -> Wat {
    Wat {
        on_event: "(global.set $n (i64.add (i64.mul (global.get $n) (i64.const 10))
            (i64.extend_i32_u (local.get $case)))) (i32.const 16)",
        on_trade: "(call $hush) (call $say (global.get $n)) (i32.const 2000)",
        ..counter()
    }
}

pub(super) fn open_at(secs: i64) -> StrategyEvent {
    let day = SessionDay { open: at(secs), close: at(1_000_000) };
    StrategyEvent::Market(MarketEvent::SessionOpen(day))
}

pub(super) fn health(health: StreamHealth, secs: i64) -> StrategyEvent {
    StrategyEvent::Market(MarketEvent::Health(health, at(secs)))
}

/// What came out, in words.
pub(super) fn words(outputs: &[StrategyOutput]) -> Vec<String> {
    let number = |intent: &Intent| match intent {
        Intent::SetTimer { id, .. } => id.to_string(),
        other => format!("{other:?}"),
    };
    let word = |output: &StrategyOutput| match output {
        StrategyOutput::Intents { incarnation, intents, .. } => {
            let all: Vec<_> = intents.iter().map(number).collect();
            format!("{incarnation}: {}", all.join(" "))
        }
        StrategyOutput::Snapshot { snapshot, .. } => {
            let state: Result<[u8; 8], _> = snapshot.state.as_ref().try_into();
            format!(
                "saved {} at {}",
                state.map_or(-1, i64::from_le_bytes),
                snapshot.time.as_nanos() / 1_000_000_000
            )
        }
        StrategyOutput::Struck { reason, strikes, .. } => format!("strike {strikes}: {reason}"),
        StrategyOutput::Quarantined { reason, .. } => format!("quarantined: {reason}"),
        StrategyOutput::Swapped { incarnation, .. } => format!("swapped: {incarnation}"),
        StrategyOutput::SwapFailed { reason, .. } => format!("not swapped: {reason}"),
        StrategyOutput::Stopped { .. } => "stopped".to_owned(),
    };
    outputs.iter().map(word).collect()
}

/// The number of a strike is followed by its reason.
fn is_exact(expected: &str) -> bool {
    expected.ends_with(|last: char| last.is_ascii_digit()) && !expected.starts_with("strike")
}

/// What comes out of these events, in words; of what does not end in a number their start.
pub(super) fn check(session: &mut Session, events: &[StrategyEvent], expected: &[&str]) {
    let found = words(&outputs(session, events));
    let fit = |(found, expected): (&String, &&str)| {
        found == expected || found.starts_with(expected) && !is_exact(expected)
    };
    let fits = found.len() == expected.len() && found.iter().zip(expected).all(fit);
    assert!(fits, "{found:#?} is not {expected:#?}");
}

#[test]
fn a_new_life_has_the_state_and_what_came_since_but_not_the_poison() {
    let mut session = Yard::new().session(&counter()).expect("it starts");
    check(&mut session, &[trade("A", 100)], &["0: 1", "saved 1 at 100"]);
    check(&mut session, &[trade("A", 110), trade("A", 120)], &["0: 2", "0: 3"]);
    check(&mut session, &[quote("A", 130)], &["strike 1: on-quote trapped"]);
    // It rests: this one is missed, and told afterwards, as are the two before.
    check(&mut session, &[trade("A", 132)], &[]);
    check(&mut session, &[trade("A", 140)], &["1: 5"]);
    check(&mut session, &[trade("A", 160)], &["1: 6", "saved 6 at 160"]);
    check(&mut session, &[quote("A", 170), trade("A", 200)], &["strike 2: on-quote trapped", "2: 7"]);
}

#[test]
fn state_is_saved_once_a_minute_or_after_many_events_and_at_the_stop() {
    let on_trade = "(global.set $n (i64.add (global.get $n) (i64.const 1))) (i32.const 16)";
    let mut session = Yard::new().session(&Wat { on_trade, ..counter() }).expect("it starts");
    assert_eq!(outputs(&mut session, &[StrategyEvent::Warmup(bar_of("A", 0))]), [], "not while it warms up");
    check(&mut session, &[trade("A", 100)], &["saved 1 at 100"]);
    check(&mut session, &[trade("A", 159), trade("A", 160)], &["saved 3 at 160"]);
    let many: Vec<_> = (1..KEPT_EVENTS_MAX).map(|_| trade("A", 161)).collect();
    assert_eq!(outputs(&mut session, &many), []);
    let last = (KEPT_EVENTS_MAX + 3).to_string();
    check(&mut session, &[trade("A", 161)], &[&format!("saved {last} at 161")]);
    let mut found = Vec::new();
    session.stop("enough", &mut |output| found.push(output));
    assert_eq!(words(&found), [format!("saved {last} at 161"), "stopped".to_owned()]);
}

#[test]
fn one_that_rests_at_the_stop_leaves_what_came_since_all_the_same() {
    let stop = |mut session: Session| {
        check(&mut session, &[trade("A", 100), trade("A", 101)], &["0: 1", "saved 1 at 100", "0: 2"]);
        check(&mut session, &[quote("A", 110), trade("A", 111)], &["strike 1"]);
        let mut found = Vec::new();
        session.stop("other symbols", &mut |output| found.push(output));
        words(&found)
    };
    let yard = Yard::new();
    let session = yard.session(&counter()).expect("it starts");
    assert_eq!(stop(session), ["saved 3 at 111", "stopped"]);
    // The older state is left where that fails.
    let load = "(unreachable)";
    let session = yard.session(&Wat { load, ..counter() }).expect("it starts");
    assert_eq!(stop(session), ["stopped"]);
}

#[test]
fn nothing_is_saved_while_nothing_happens() {
    let mut session = Yard::new().session(&counter()).expect("it starts");
    let night = || (200..20_000).step_by(40).map(|secs| StrategyEvent::Tick(at(secs)));
    assert_eq!(outputs(&mut session, &night().collect::<Vec<_>>()), [], "nothing was ever told");
    check(&mut session, &[trade("A", 20_000)], &["0: 1", "saved 1 at 20000"]);
    let account = StrategyEvent::Account { equity: Usd::ZERO, buying_power: Usd::ZERO };
    let night =
        (20_100..40_000).step_by(40).flat_map(|secs| [StrategyEvent::Tick(at(secs)), account.clone()]);
    assert_eq!(outputs(&mut session, &night.collect::<Vec<_>>()), []);
    check(&mut session, &[trade("A", 40_010)], &["0: 2", "saved 2 at 40010"]);
    // What came within the minute is saved once it is over.
    check(&mut session, &[trade("A", 40_020), StrategyEvent::Tick(at(40_069))], &["0: 3"]);
    check(&mut session, &[StrategyEvent::Tick(at(40_070))], &["saved 3 at 40070"]);
}

#[test]
fn a_state_that_is_refused_is_given_up() {
    let mut session = Yard::new().session(&Wat { load: REFUSE, ..counter() }).expect("it starts");
    check(&mut session, &[trade("A", 100), trade("A", 110)], &["0: 1", "saved 1 at 100", "0: 2"]);
    check(&mut session, &[quote("A", 130)], &["strike 1: on-quote trapped"]);
    check(&mut session, &[trade("A", 140)], &["1: 1"]);
}

#[test]
fn failures_of_save_are_strikes_by_name() {
    let check = |plugin: Wat, expected: &str| {
        let mut session = Yard::new().session(&plugin).expect("it starts");
        let found = outputs(&mut session, &[bar("A", 1)]);
        let [StrategyOutput::Struck { reason, strikes: 1, .. }] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert!(reason.to_string().starts_with(expected), "{reason} is not {expected}");
    };
    let plugin = |save| Wat { save, memory_pages: 900, ..Wat::default() };
    check(plugin("(loop $again (br $again)) (unreachable)"), "save ran out of time (300 ms)");
    check(plugin("(unreachable)"), "save trapped: ");
    let giant = Failure::State { limit: STATE_BYTES_MAX }.to_string();
    let just_too_much = "(i32.store (i32.const 1724) (i32.const 4194305)) (i32.const 1720)";
    check(plugin(just_too_much), &giant);
    check(plugin("(i32.store (i32.const 1724) (i32.const 50000000)) (i32.const 1720)"), &giant);
    let fits = plugin("(i32.store (i32.const 1724) (i32.const 4194304)) (i32.const 1720)");
    let mut session = Yard::new().session(&fits).expect("it starts");
    assert!(matches!(outputs(&mut session, &[bar("A", 1)]).as_slice(), [StrategyOutput::Snapshot { .. }]));
}

#[test]
fn orders_of_events_that_nobody_handled_are_refused_as_late() {
    // Each trade wants an order; refusals are counted by tens of thousands.
    let plugin = Wat {
        on_trade: "(global.set $n (i64.add (global.get $n) (i64.const 1))) (i32.const 2000)",
        intents: vec![Wire::Whole(Whole { id: 7, ..Whole::default() })],
        on_event: "(global.set $n (i64.add (global.get $n) (i64.const 10000))) (i32.const 16)",
        on_quote: "(unreachable)",
        save: SAVE_N,
        load: LOAD_N,
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    outputs(&mut session, &[trade("A", 100), trade("A", 101), quote("A", 110), trade("A", 111)]);
    let found = outputs(&mut session, &[trade("A", 171)]);
    assert_eq!(words(&found).last().map(String::as_str), Some("saved 10004 at 171"), "{found:?}");
}

#[test]
fn a_timer_that_fails_loses_nothing_and_is_not_fired_again() {
    const SECOND: i64 = 1_000_000_000;
    let plugin = Wat {
        on_bar: "(if (result i32) (i32.eqz (local.get $of)) (then (i32.const 2000)) (else (i32.const 16)))",
        intents: vec![Wire::SetTimer(1, 130 * SECOND), Wire::SetTimer(2, 1_000 * SECOND)],
        on_event: "(if (i64.eq (local.get $0) (i64.const 1)) (then (unreachable)))
            (call $hush) (call $say (local.get $0)) (i32.const 2000)",
        on_trade: "(call $hush) (call $history (i32.const 1) (i32.const 9) (i32.const 128))
            (call $say (i64.load32_u (i32.const 132))) (i32.const 2000)",
        save: SAVE_N,
        load: LOAD_N,
        wants: 0b101,
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    // The snapshot has both timers.
    check(&mut session, &[bar("A", 1)], &["0: 1 2", "saved 0 at 120"]);
    check(&mut session, &[bar("B", 3)], &["strike 1: on-event trapped"]);
    check(&mut session, &[trade("A", 250)], &["1: 1", "saved 0 at 250"]);
    check(&mut session, &[StrategyEvent::Tick(at(1_001))], &["1: 2", "saved 0 at 1001"]);
}

#[test]
fn a_timer_that_fired_before_its_event_failed_is_not_fired_again() {
    const SECOND: i64 = 1_000_000_000;
    let plugin = Wat {
        on_bar: LIST,
        intents: vec![Wire::SetTimer(1, 130 * SECOND)],
        on_event: "(global.set $n (i64.add (global.get $n) (i64.const 1)))
            (call $hush) (call $say (local.get $0)) (i32.const 2000)",
        ..counter()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    check(&mut session, &[bar("A", 1)], &["0: 1", "saved 0 at 120"]);
    // The timer's order has gone; then the event itself fails.
    check(&mut session, &[quote("A", 140)], &["0: 1", "strike 1: on-quote trapped"]);
    // The new life knows that it fired: one timer, and this trade.
    check(&mut session, &[trade("A", 145)], &["1: 2"]);
}

#[test]
fn a_timer_that_fired_is_not_fired_again_where_more_came_than_is_kept() {
    const SECOND: i64 = 1_000_000_000;
    let plugin = Wat {
        on_bar: LIST,
        intents: vec![Wire::SetTimer(77, 130 * SECOND), Wire::SetTimer(78, 150 * SECOND)],
        on_event: "(call $hush) (call $say (local.get $0)) (i32.const 2000)",
        ..counter()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    check(&mut session, &[bar("A", 1)], &["0: 77 78", "saved 0 at 120"]);
    check(&mut session, &[quote("A", 140)], &["0: 77", "strike 1: on-quote trapped"]);
    let many: Vec<_> = (0..=KEPT_EVENTS_MAX).map(|_| trade("A", 142)).collect();
    assert_eq!(outputs(&mut session, &many), []);
    // The other one is still to come.
    check(&mut session, &[trade("A", 145), trade("A", 151)], &["1: 1", "1: 78 2"]);
}

#[test]
fn quotes_that_a_rest_misses_leave_room_for_all_else() {
    let plugin = Wat {
        on_bar: "(unreachable)",
        on_quote: "(global.set $n (i64.add (global.get $n) (i64.const 1000))) (i32.const 16)",
        ..counter()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    check(&mut session, &[trade("A", 100), trade("A", 110)], &["0: 1", "saved 1 at 100", "0: 2"]);
    check(&mut session, &[bar("A", 1)], &["strike 1: on-bar trapped"]);
    let many: Vec<_> = (0..2 * KEPT_EVENTS_MAX).map(|_| quote("A", 122)).collect();
    assert_eq!(outputs(&mut session, &many), []);
    check(&mut session, &[quote("B", 123), trade("A", 130)], &["1: 2003"]);
}

#[test]
fn a_new_life_with_a_state_is_told_that_the_session_is_open_and_that_data_are_stale() {
    let mut session = Yard::new().session(&diarist()).expect("it starts");
    let first = [open_at(30), health(StreamHealth::Stale, 40), trade("A", 100)];
    check(&mut session, &first, &["saved 5 at 30", "0: 57", "saved 57 at 100"]);
    check(&mut session, &[quote("A", 110), trade("A", 120)], &["strike 1", "1: 5757"]);
    // What came since the state was saved is told as what it is, once.
    check(&mut session, &[health(StreamHealth::Live, 130), quote("A", 140)], &["strike 2"]);
    check(&mut session, &[trade("A", 155), trade("A", 160)], &["2: 57577", "2: 57577", "saved 57577 at 160"]);
    // No strike is left: a new version is told the same.
    let close = StrategyEvent::Market(MarketEvent::SessionClose(at(4_000)));
    check(
        &mut session,
        &[trade("A", 3_900), quote("A", 3_901)],
        &["2: 57577", "saved 57577 at 3900", "strike 1"],
    );
    check(&mut session, &[close, trade("A", 4_010)], &["saved 5757756 at 4000", "3: 5757756"]);
    check(&mut session, &[quote("A", 4_011), trade("A", 4_050)], &["strike 2", "4: 5757756"]);
}

#[test]
fn more_than_is_kept_came_and_it_is_told_that_the_session_is_open() {
    let mut session = Yard::new().session(&diarist()).expect("it starts");
    let torn = |session: &mut Session, secs| {
        outputs(session, &(0..=KEPT_EVENTS_MAX).map(|_| trade("A", secs)).collect::<Vec<_>>());
    };
    check(&mut session, &[open_at(30), health(StreamHealth::Stale, 31)], &["saved 5 at 30"]);
    check(&mut session, &[quote("A", 40)], &["strike 1"]);
    torn(&mut session, 42);
    check(&mut session, &[trade("A", 50)], &["1: 557"]);
    let close = StrategyEvent::Market(MarketEvent::SessionClose(at(105)));
    check(&mut session, &[trade("A", 100), quote("A", 102)], &["1: 557", "saved 557 at 100", "strike 2"]);
    // It has missed the close, but is told of no session that is over.
    torn(&mut session, 104);
    check(&mut session, &[close, trade("A", 120)], &["2: 5577"]);
}

#[test]
fn of_an_open_that_is_told_again_it_sees_the_bars_before_and_keeps_its_timers() {
    const SECOND: i64 = 1_000_000_000;
    // An open counts the bars by hundreds and sets two timers; timers count by ones.
    let plugin = Wat {
        on_event: "(if (result i32) (i32.eq (local.get $case) (i32.const 5)) (then
            (call $history (i32.const 0) (i32.const 9) (i32.const 128))
            (global.set $n (i64.add (global.get $n)
              (i64.mul (i64.const 100) (i64.load32_u (i32.const 132))))) (i32.const 2000))
            (else (global.set $n (i64.add (global.get $n) (i64.const 1))) (i32.const 16)))",
        intents: vec![Wire::SetTimer(5, 110 * SECOND), Wire::SetTimer(6, 500 * SECOND)],
        ..diarist()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    check(&mut session, &[open_at(30)], &["0: 5 6", "saved 0 at 30"]);
    check(&mut session, &[bar("A", 0), bar("A", 1)], &["saved 1 at 120"]);
    check(&mut session, &[quote("A", 128)], &["strike 1"]);
    // This bar is told after the open, and was not complete when the state was saved.
    let missed = Bar { start: at(70), ..bar_of("A", 1) };
    check(&mut session, &[StrategyEvent::Market(MarketEvent::Bar(missed)), trade("A", 140)], &["1: 201"]);
    check(&mut session, &[trade("A", 501)], &["1: 202", "saved 202 at 501"]);
}

#[test]
fn an_open_that_it_failed_on_is_not_told_again() {
    let on_event = "(unreachable)";
    let with = |save| Wat { on_event, save, load: LOAD_N, ..counter() };
    let mut session = Yard::new().session(&with(SAVE_N)).expect("it starts");
    check(&mut session, &[trade("A", 10), open_at(30)], &["0: 1", "saved 1 at 10", "strike 1: on-event"]);
    check(&mut session, &[trade("A", 40), trade("A", 100)], &["1: 2", "1: 3", "saved 3 at 100"]);
    check(&mut session, &[quote("A", 101), trade("A", 150)], &["strike 2: on-quote", "2: 4"]);
    let mut session = Yard::new().session(&with(NOTHING)).expect("it starts");
    check(&mut session, &[open_at(30), trade("A", 40)], &["strike 1: on-event", "1: 1"]);
}

#[test]
fn timers_fire_by_the_market_never_between_a_position_and_its_fill() {
    const SECOND: i64 = 1_000_000_000;
    let plugin = Wat {
        on_bar: LIST,
        intents: vec![Wire::SetTimer(77, 130 * SECOND)],
        on_event: "(call $hush) (call $say (i64.extend_i32_u (local.get $case))) (i32.const 2000)",
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    assert_eq!(outputs(&mut session, &[bar("A", 1)]).len(), 1);
    let (id, symbol, time) = (StrategyOrderId(1), Symbol::new("A"), at(200));
    let (qty, avg_price) = (Qty::from_nanos(1), Price::from_nanos(1));
    let position = StrategyEvent::Position { symbol: symbol.clone(), qty, avg_price };
    let (status, filled_qty) = (OrderStatus::Filled, qty);
    let update = StrategyEvent::Order(OrderUpdate { id, leg: None, symbol, status, filled_qty, time });
    let refused = StrategyEvent::Refused { id, refusal: Refusal::Late, time };
    let (order, refusal, timer) = (1, 3, 4);
    assert_eq!(said(&mut session, &[position, update, refused]), [order, refusal]);
    assert_eq!(said(&mut session, &[StrategyEvent::Tick(at(201))]), [timer]);
}

#[test]
fn a_start_from_a_snapshot_sees_only_the_bars_since_and_keeps_its_timers() {
    const SECOND: i64 = 1_000_000_000;
    let plugin = Wat {
        on_bar: "(global.set $n (i64.add (global.get $n) (i64.const 1))) (i32.const 16)",
        on_event: "(call $hush) (call $say (local.get $0)) (i32.const 2000)",
        on_trade: "(call $hush) (call $say (global.get $n))
            (call $history (i32.const 0) (i32.const 9) (i32.const 128))
            (call $say (i64.load32_u (i32.const 132))) (i32.const 2000)",
        save: SAVE_N,
        load: LOAD_N,
        warmup_bars: 4,
        ..Wat::default()
    };
    let yard = Yard::new();
    let run = |plugin: &Wat, expected: &[&str]| {
        let plugin = yard.load("test.wasm", &plugin.module()).expect("it loads");
        let snapshot = Snapshot {
            version: "0.9".into(),
            time: at(180),
            timers: vec![(MarketTime::from_nanos(200 * SECOND), 9)],
            state: Arc::new(100_i64.to_le_bytes()),
        };
        let start = Start { snapshot: Some(snapshot), ..Start::new(1) };
        let mut session =
            Session::start(&yard.engine, &plugin, &Manifest::default(), bounds(), start, Arc::default())
                .expect("it starts");
        let warmup: Vec<_> = (0..4).map(|minute| StrategyEvent::Warmup(bar_of("A", minute))).collect();
        assert_eq!(outputs(&mut session, &warmup), []);
        check(&mut session, &[trade("A", 300)], expected);
    };
    // The bars of minutes 0, 1 and 2 were complete at 180.
    run(&plugin, &["0: 9 101 4", "saved 101 at 300"]);
    run(&Wat { load: REFUSE, ..plugin }, &["0: 4 4", "saved 4 at 300"]);
}

#[test]
fn too_many_intents_in_a_minute_are_a_strike() {
    let tight = Bounds { intents_per_minute: 3, ..bounds() };
    let plugin = Wat { on_trade: LIST, intents: vec![Wire::CancelAll], ..Wat::default() };
    let mut session = Yard::new().session_with(&plugin, tight, &Manifest::default()).expect("it starts");
    let calm = [trade("A", 60), trade("A", 90), trade("A", 119), trade("A", 120)];
    assert_eq!(outputs(&mut session, &calm).len(), 4);
    let found = outputs(&mut session, &[trade("A", 121), trade("A", 122), trade("A", 123)]);
    let expected = Failure::IntentRate { limit: 3 };
    assert!(
        matches!(&found[2..], [StrategyOutput::Struck { reason, .. }] if *reason == expected),
        "{found:?}"
    );
}
