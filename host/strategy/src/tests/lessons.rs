//! A version that takes over from one without a state is told the past in lessons, while the other goes on.

use std::sync::mpsc;

use sandpit_types::{
    BarMark, MarketEvent, News, OrderStatus, OrderUpdate, Price, Pulse, Qty, SessionDay, Side,
    StrategyOrderId, StreamHealth, Symbol,
};

use super::{
    Yard, at, bar, bar_of, bounds, outputs, quote,
    replaying::Log,
    surviving::{check, diarist, health, open_at, words},
    trade,
    wat::{LIST, LOAD_N, NOTHING, Wat, Whole, Wire},
};
use crate::{
    Candidate, Entry, Inbox, KEPT_EVENTS_MAX, Manifest, Runner, Start, StrategyEvent, StrategyOutput,
    session::Session,
};

const HEAR: &str = "(func $hear (param $what i64)
    (global.set $n (i64.add (i64.mul (global.get $n) (i64.const 1000003)) (local.get $what))))";

/// Remembers the order of all that it is told but trades, when that was, and how many bars it could read
/// then; on trades it says which order that was. Quotes are its end.
fn scholar() -> Wat {
    Wat {
        warmup_bars: 1_000,
        on_bar: "(call $hear (i64.add (local.get $start) (i64.extend_i32_u (local.get $of))))
            (call $hear (call $now))
            (call $history (i32.const 0) (i32.const 1000) (i32.const 128))
            (call $hear (i64.load32_u (i32.const 132)))
            (call $history (i32.const 1) (i32.const 1000) (i32.const 128))
            (call $hear (i64.load32_u (i32.const 132)))
            (i32.const 16)",
        on_event: "(call $hear (i64.extend_i32_u (local.get $case))) (call $hear (local.get $0))
            (call $hear (call $now))
            (call $history (i32.const 0) (i32.const 1000) (i32.const 128))
            (call $hear (i64.load32_u (i32.const 132)))
            (i32.const 16)",
        on_trade: "(call $hush) (call $say (global.get $n)) (i32.const 2000)",
        on_quote: "(unreachable)",
        extra: HEAR,
        ..Wat::default()
    }
}

/// The same without a look at the bars of the past; it hears trades, too, before it answers them.
fn listener() -> Wat {
    Wat {
        on_bar: "(call $hear (i64.add (local.get $start) (i64.extend_i32_u (local.get $of))))
            (call $hear (call $now)) (i32.const 16)",
        on_event: "(call $hear (i64.extend_i32_u (local.get $case))) (call $hear (local.get $0))
            (call $hear (call $now)) (i32.const 16)",
        on_trade: "(call $hear (local.get $at)) (call $hush) (call $say (global.get $n)) (i32.const 2000)",
        ..scholar()
    }
}

/// Counts bars by ones and bars out of turn by thousands, and says them.
fn counter_of_bars() -> Wat {
    Wat {
        warmup_bars: 1_000,
        on_bar: "(global.set $n (i64.add (global.get $n) (i64.const 1))) (i32.const 16)",
        on_event: "(global.set $n (i64.add (global.get $n) (i64.const 1000))) (i32.const 16)",
        on_trade: "(call $hush) (call $say (global.get $n)) (i32.const 2000)",
        on_quote: "(unreachable)",
        ..Wat::default()
    }
}

/// A morning of bars of both symbols, with the bell after the thirtieth minute.
fn morning(minutes: i64) -> Vec<StrategyEvent> {
    let of_minute = |minute| {
        let bell = (minute == 31).then(|| {
            let day = SessionDay { open: at(60 * minute), close: at(1_000_000) };
            StrategyEvent::Market(MarketEvent::SessionOpen(day))
        });
        bell.into_iter().chain([bar("A", minute), bar("B", minute)])
    };
    (1..=minutes).flat_map(of_minute).collect()
}

fn swap(yard: &Yard, session: &mut Session, plugin: &Wat) -> Vec<String> {
    let plugin = yard.load("test.wasm", &plugin.module()).expect("it loads");
    let candidate = Candidate::prepare(&yard.engine, &plugin, &Manifest::default(), bounds(), 7);
    let mut found = Vec::new();
    session.swap(candidate.expect("it starts"), &mut |output| found.push(output));
    words(&found)
}

/// A whole one, however slow the machine.
fn lesson(session: &mut Session) -> Vec<String> {
    let mut found = Vec::new();
    session.teach_heir_again(32, &mut |output| found.push(output));
    words(&found)
}

/// The rest of the lessons, and how many that were.
fn lessons(session: &mut Session) -> (usize, Vec<String>) {
    let (mut count, mut found) = (0, Vec::new());
    while session.has_heir() {
        found.extend(lesson(session));
        count += 1;
        assert!(count < 1_000, "they end");
    }
    (count, found)
}

fn last_word(session: &mut Session, event: StrategyEvent) -> String {
    let found = words(&outputs(session, &[event]));
    let [only] = found.as_slice() else { panic!("{found:?}") };
    only.split_once(": ").expect("a life and its word").1.to_owned()
}

#[test]
fn lessons_tell_what_was_told_live_and_what_a_restart_tells() {
    let yard = Yard::new();
    let start = |plugin: &Wat| {
        let mut session = yard.session(plugin).expect("it starts");
        assert_eq!(outputs(&mut session, &morning(50)), []);
        session
    };
    let mut live = start(&scholar());
    let mut struck = start(&scholar());
    check(&mut struck, &[quote("A", 3_070)], &["strike 1"]);
    let mut swapped = start(&Wat { warmup_bars: 1_000, ..Wat::default() });
    assert_eq!(swap(&yard, &mut swapped, &scholar()), [""; 0]);
    assert_eq!(lessons(&mut swapped), (4, vec!["swapped: 1".to_owned()]), "100 bars, 32 at a time");
    let found = [&mut live, &mut struck, &mut swapped].map(|one| last_word(one, trade("A", 3_090)));
    assert!(found[1] == found[0] && found[2] == found[0], "{found:?}");
}

#[test]
fn the_one_that_runs_goes_on_and_its_heir_hears_what_it_hears_in_order() {
    let yard = Yard::new();
    let minute = |minute| [bar("B", minute), bar("A", minute), trade("A", 60 * minute + 70)];
    let close = StrategyEvent::Market(MarketEvent::SessionClose(at(60 * 54)));
    let later: Vec<_> = (51..54).flat_map(minute).chain([close, bar("B", 54)]).collect();
    let mut live = yard.session(&listener()).expect("it starts");
    outputs(&mut live, &morning(50));
    outputs(&mut live, &later);

    let old = Wat { on_trade: "(call $hush) (call $say (i64.const 5)) (i32.const 2000)", ..scholar() };
    let mut session = yard.session(&old).expect("it starts");
    outputs(&mut session, &morning(50));
    assert_eq!(swap(&yard, &mut session, &listener()), [""; 0]);
    let mut found = Vec::new();
    for (number, event) in later.iter().enumerate() {
        if number % 4 == 1 {
            assert_eq!(lesson(&mut session), [""; 0]);
        }
        found.extend(words(&outputs(&mut session, std::slice::from_ref(event))));
    }
    assert_eq!(found, ["0: 5"; 3], "the old one answers");
    assert_eq!(lessons(&mut session), (1, vec!["swapped: 1".to_owned()]));
    let after = trade("A", 4_000);
    assert_eq!(last_word(&mut session, after.clone()), last_word(&mut live, after));
}

#[test]
fn a_bar_out_of_turn_during_lessons_is_told_once() {
    let yard = Yard::new();
    let marked = |minute| StrategyEvent::Market(MarketEvent::MarkedBar(bar_of("B", minute), BarMark::Late));
    let mut session = yard.session(&counter_of_bars()).expect("it starts");
    let all: Vec<_> = (1..=100).filter(|minute| ![7, 8, 93].contains(minute)).map(|m| bar("B", m)).collect();
    outputs(&mut session, &all);
    assert_eq!(swap(&yard, &mut session, &counter_of_bars()), [""; 0]);
    assert_eq!(lesson(&mut session), [""; 0]);
    // One that has its turn yet, two that have had it, one from before all others, one of another symbol.
    outputs(&mut session, &[marked(93), marked(7), marked(8), marked(0), bar("A", 100)]);
    assert_eq!(lessons(&mut session).1, ["swapped: 1"]);
    assert_eq!(last_word(&mut session, trade("A", 6_100)), (97 + 1 + 3_000 + 1).to_string());
}

#[test]
fn an_heir_that_fails_leaves_everything_as_it_was() {
    let yard = Yard::new();
    let mut session = yard.session(&counter_of_bars()).expect("it starts");
    let all: Vec<_> = (1..=100).map(|minute| bar("A", minute)).collect();
    outputs(&mut session, &all);
    // In the second lesson.
    let on_bar =
        "(if (i64.eq (local.get $start) (i64.const 2400000000000)) (then (unreachable))) (i32.const 16)";
    assert_eq!(swap(&yard, &mut session, &Wat { on_bar, ..counter_of_bars() }), [""; 0]);
    assert_eq!(lesson(&mut session), [""; 0]);
    let found = lesson(&mut session);
    assert!(found[0].starts_with("not swapped: on-bar trapped"), "{found:?}");
    assert!(!session.has_heir());
    assert_eq!(last_word(&mut session, trade("A", 6_100)), "100");
    // On what came meanwhile.
    assert_eq!(swap(&yard, &mut session, &Wat { on_trade: "(unreachable)", ..counter_of_bars() }), [""; 0]);
    assert_eq!(last_word(&mut session, trade("A", 6_101)), "100");
    let (count, found) = lessons(&mut session);
    assert!(count == 4 && found[0].starts_with("not swapped: on-trade trapped"), "{found:?}");
    // A later life is told the bar that only the heir failed on.
    check(&mut session, &[quote("A", 6_110), trade("A", 6_120)], &["strike 1", "1: 100"]);
}

#[test]
fn lessons_go_on_while_the_old_one_rests_and_end_with_what_it_knew() {
    let yard = Yard::new();
    let mut session = yard.session(&counter_of_bars()).expect("it starts");
    let begin = |session: &mut Session| {
        outputs(session, &(1..=40).map(|minute| bar("A", minute)).collect::<Vec<_>>());
        assert_eq!(swap(&yard, session, &counter_of_bars()), [""; 0]);
        assert_eq!(lesson(session), [""; 0]);
    };
    begin(&mut session);
    // The poison is not told, what is missed is; a life begins and ends meanwhile.
    let meanwhile = [quote("A", 2_500), bar("B", 41), trade("A", 2_530), quote("A", 2_635), bar("B", 43)];
    check(&mut session, &meanwhile, &["strike 1", "1: 41", "strike 2"]);
    assert_eq!(lessons(&mut session), (1, vec!["swapped: 2".to_owned()]));
    assert_eq!(last_word(&mut session, trade("A", 2_700)), "42");

    let mut session = yard.session(&counter_of_bars()).expect("it starts");
    begin(&mut session);
    let mut found = Vec::new();
    session.overflowed(5, &mut |output| found.push(output));
    let found = words(&found);
    assert!(found[0].starts_with("quarantined: it is 5 events behind"), "{found:?}");
    assert_eq!(found[1..], ["not swapped: what it knew is lost: stop the strategy and start it anew"]);
    assert!(!session.has_heir());

    // The host keeps only so much for an heir that is told nothing.
    let mut session = yard.session(&Wat { on_trade: NOTHING, ..counter_of_bars() }).expect("it starts");
    begin(&mut session);
    let many: Vec<_> = (0..=KEPT_EVENTS_MAX).map(|_| trade("A", 2_500)).collect();
    assert_eq!(outputs(&mut session, &many), []);
    let (count, found) = lessons(&mut session);
    assert!(
        count == 1 && found[0].starts_with("not swapped: the new version learns too slowly: 4097 ev"),
        "{found:?}"
    );
    check(&mut session, &[trade("A", 2_501)], &[]);

    // A second candidate takes the place of the first.
    let mut session = yard.session(&counter_of_bars()).expect("it starts");
    begin(&mut session);
    assert_eq!(swap(&yard, &mut session, &scholar()), [""; 0]);
    assert_eq!(lessons(&mut session), (2, vec!["swapped: 1".to_owned()]));
}

#[test]
fn a_state_that_appears_during_lessons_goes_to_one_that_knows_nothing_else() {
    let yard = Yard::new();
    let save = "(if (result i32) (i64.eqz (global.get $n)) (then (i32.const 16)) (else
        (i64.store (i32.const 1704) (global.get $n))
        (i32.store (i32.const 1720) (i32.const 1704)) (i32.store (i32.const 1724) (i32.const 8))
        (i32.const 1720)))";
    let on_trade = "(global.set $n (i64.add (global.get $n) (i64.const 1)))
        (call $hush) (call $say (global.get $n)) (i32.const 2000)";
    let old = Wat { on_bar: NOTHING, on_trade, save, load: LOAD_N, ..counter_of_bars() };
    let mut session = yard.session(&old).expect("it starts");
    outputs(&mut session, &(1..=40).map(|minute| bar("A", minute)).collect::<Vec<_>>());
    let load = "(global.set $n (i64.add (i64.mul (global.get $n) (i64.const 1000)) (i64.load (local.get 2))))
        (i32.const 32)";
    assert_eq!(swap(&yard, &mut session, &Wat { load, save, on_trade, ..counter_of_bars() }), [""; 0]);
    check(&mut session, &[trade("A", 2_500)], &["0: 1"]);
    let expected = ["saved 1 at 2500", "swapped: 1"].map(str::to_owned);
    assert_eq!(lessons(&mut session), (2, expected.to_vec()));
    check(&mut session, &[trade("A", 2_501)], &["1: 2"]);
}

/// Ends with its first fill, or on a bar of minute 3.
fn fragile() -> Wat {
    Wat {
        on_bar: "(if (i64.eq (local.get $start) (i64.const 180000000000)) (then (unreachable)))
            (i32.const 16)",
        on_event: "(unreachable)",
        ..counter_of_bars()
    }
}

fn fill(secs: i64) -> StrategyEvent {
    let (symbol, qty, price) = (Symbol::new("A"), Qty::from_nanos(1), Price::from_nanos(1));
    let (id, side, leg) = (StrategyOrderId(1), Side::Buy, None);
    StrategyEvent::Fill { id, leg, symbol, side, qty, price, time: at(secs) }
}

#[test]
fn what_the_old_one_fails_on_is_told_to_another_code_and_not_to_the_same() {
    let yard = Yard::new();
    let begin = || {
        let mut session = yard.session(&fragile()).expect("it starts");
        check(&mut session, &(1..=4).map(|minute| bar("A", minute)).collect::<Vec<_>>(), &["strike 1"]);
        check(&mut session, &[bar("A", 5), bar("A", 6)], &[]);
        session
    };
    // A bar of the past, and a fill meanwhile.
    let mut session = begin();
    assert_eq!(swap(&yard, &mut session, &counter_of_bars()), [""; 0]);
    check(&mut session, &[fill(430), trade("A", 431)], &["strike 2", "2: 0"]);
    assert_eq!(lessons(&mut session).1, ["swapped: 3"]);
    assert_eq!(last_word(&mut session, trade("A", 500)), "1006");
    // The same code with another grant would only fail again.
    let mut session = begin();
    assert_eq!(swap(&yard, &mut session, &fragile()), [""; 0]);
    check(&mut session, &[fill(430)], &["strike 2"]);
    assert_eq!(lessons(&mut session).1, ["swapped: 2"]);
}

#[test]
fn what_waits_for_an_heir_is_bounded_by_bytes_too() {
    let news = |bytes: usize| {
        StrategyEvent::Market(MarketEvent::News(Box::new(News {
            id: 1,
            created: at(2_500),
            updated: at(2_500),
            headline: String::new(),
            summary: "x".repeat(bytes),
            author: String::new(),
            source: String::new(),
            url: String::new(),
            symbols: Vec::new(),
        })))
    };
    let yard = Yard::new();
    let mut session = yard.session(&counter_of_bars()).expect("it starts");
    let told = |session: &mut Session, count| outputs(session, &vec![news(1 << 20); count]);
    assert_eq!(swap(&yard, &mut session, &counter_of_bars()), [""; 0]);
    told(&mut session, 7);
    assert_eq!(lessons(&mut session).1, ["swapped: 1"]);
    assert_eq!(swap(&yard, &mut session, &counter_of_bars()), [""; 0]);
    told(&mut session, 9);
    let found = lessons(&mut session).1;
    assert!(
        found[0].starts_with("not swapped: the new version learns too slowly: 8 events wait"),
        "{found:?}"
    );
}

#[test]
fn a_hostile_heir_is_let_go_of_by_name_and_the_old_one_answers_all_the_while() {
    let yard = Yard::new();
    let mut session = yard.session(&counter_of_bars()).expect("it starts");
    outputs(&mut session, &(1..=40).map(|minute| bar("A", minute)).collect::<Vec<_>>());
    let hostile = |deed: &'static str| Wat { on_bar: deed, on_trade: deed, on_event: deed, ..scholar() };
    let deep = "(func $deep (call $deep) (global.set $n (i64.const 0)))";
    let flood = "(global.set $n (i64.add (global.get $n) (i64.const 1))) (call $log (i32.const 3)
        (i32.const 0) (i32.const 2000000)) (i32.const 16)";
    let deeds = [
        (hostile("(loop $again (br $again)) (unreachable)"), "on-bar ran out of time (300 ms)"),
        (hostile("(unreachable)"), "on-bar trapped: wasm trap: wasm `unreachable`"),
        (hostile("(drop (memory.grow (i32.const 5000))) (i32.const 16)"), "on-bar asked for"),
        (
            Wat { extra: deep, ..hostile("(call $deep) (i32.const 16)") },
            "on-bar trapped: call stack exhausted",
        ),
        (hostile(flood), "on-bar trapped"),
    ];
    for (number, (heir, words)) in deeds.iter().enumerate() {
        assert_eq!(swap(&yard, &mut session, heir), [""; 0]);
        let trade = trade("A", 2_500 + number as i64);
        assert_eq!(last_word(&mut session, trade.clone()), "40");
        let found = lesson(&mut session);
        assert!(found.len() == 1 && found[0].starts_with(&format!("not swapped: {words}")), "{found:?}");
        assert_eq!(last_word(&mut session, trade), "40");
    }
}

#[test]
fn a_version_whose_save_is_broken_can_be_replaced() {
    let yard = Yard::new();
    let bars: Vec<_> = (1..=40).map(|minute| bar("A", minute)).collect();
    let save = "(if (result i32) (i64.eqz (global.get $n)) (then (i32.const 16)) (else (unreachable)))";
    let on_trade = "(global.set $n (i64.add (global.get $n) (i64.const 1))) (i32.const 16)";
    let old = Wat { on_bar: NOTHING, on_trade, save, ..counter_of_bars() };
    // It breaks during the lessons.
    let mut session = yard.session(&old).expect("it starts");
    outputs(&mut session, &bars);
    assert_eq!(swap(&yard, &mut session, &counter_of_bars()), [""; 0]);
    check(&mut session, &[trade("A", 2_461)], &[]);
    let found = lessons(&mut session).1;
    assert!(found[0].starts_with("strike 1: save trapped") && found[1..] == ["swapped: 1"], "{found:?}");
    assert_eq!(last_word(&mut session, trade("A", 2_500)), "40");
    // It was broken before.
    let mut session = yard.session(&old).expect("it starts");
    outputs(&mut session, &bars);
    check(&mut session, &[trade("A", 2_461)], &[]);
    let found = swap(&yard, &mut session, &counter_of_bars());
    assert!(found[0].starts_with("strike 1: save trapped") && found[1..] == ["swapped: 1"], "{found:?}");
    assert_eq!(last_word(&mut session, trade("A", 2_500)), "40");
}

#[test]
fn a_panic_of_the_host_in_the_midst_of_a_lesson_leaves_nobody_waiting() {
    let yard = Yard::new();
    let save = "(if (result i32) (i64.eqz (global.get $n)) (then (i32.const 16)) (else
        (i32.store (i32.const 1720) (i32.const 1704)) (i32.store (i32.const 1724) (i32.const 8))
        (i32.const 1720)))";
    let on_trade = "(global.set $n (i64.const 1)) (i32.const 16)";
    let mut session = yard.session(&Wat { on_trade, save, ..Wat::default() }).expect("it starts");
    check(&mut session, &[bar("A", 1)], &[]);
    assert_eq!(swap(&yard, &mut session, &counter_of_bars()), [""; 0]);
    check(&mut session, &[trade("A", 130)], &[]);
    let fall_over =
        std::panic::AssertUnwindSafe(|| session.teach_heir(&mut |_| panic!("the disk fell over")));
    std::panic::catch_unwind(fall_over).expect_err("it panics on what was saved");
    let mut found = Vec::new();
    session.panicked("the disk fell over".into(), &mut |output| found.push(output));
    let found = words(&found);
    assert!(found[0].starts_with("quarantined: the host panicked"), "{found:?}");
    assert_eq!(found[1..], ["not swapped: what it knew is lost: stop the strategy and start it anew"]);
}

#[test]
fn orders_that_an_heir_wants_during_lessons_are_refused_unless_they_are_out() {
    let yard = Yard::new();
    // Each trade wants an order; refusals are counted, and said on quotes.
    let submits = || Wat {
        on_trade: LIST,
        intents: vec![Wire::Whole(Whole { id: 7, amount: (0, 1_000_000_000), ..Whole::default() })],
        on_event: "(global.set $n (i64.add (global.get $n) (i64.extend_i32_u (local.get $case))))
            (i32.const 16)",
        on_quote: "(call $hush) (call $say (global.get $n)) (i32.const 2000)",
        ..Wat::default()
    };
    let refusals = |old: &Wat, also: &[StrategyEvent]| {
        let mut session = yard.session(old).expect("it starts");
        outputs(&mut session, &[bar("A", 1)]);
        assert_eq!(swap(&yard, &mut session, &submits()), [""; 0]);
        outputs(&mut session, &[trade("A", 130)]);
        outputs(&mut session, also);
        assert_eq!(lessons(&mut session).1, ["swapped: 1"]);
        last_word(&mut session, quote("A", 140))
    };
    let refusal = 3;
    assert_eq!(refusals(&Wat::default(), &[]), refusal.to_string());
    assert_eq!(refusals(&submits(), &[]), "0", "it is open");
    let (symbol, status, time) = (Symbol::new("A"), OrderStatus::Filled, at(135));
    let (id, filled_qty) = (StrategyOrderId(7), Qty::from_nanos(1_000_000_000));
    let filled = StrategyEvent::Order(OrderUpdate { id, leg: None, symbol, status, filled_qty, time });
    assert_eq!(refusals(&submits(), &[filled]), "1", "its end is told");
}

#[test]
fn timers_that_it_sets_while_it_is_told_the_past_go_on() {
    // From the open on it wakes once a minute and counts.
    let clockwork = || Wat {
        on_event: "(if (i32.eq (local.get $case) (i32.const 4)) (then
              (global.set $n (i64.add (global.get $n) (i64.const 1)))))
            (if (result i32) (i32.or (i32.eq (local.get $case) (i32.const 4))
                (i32.eq (local.get $case) (i32.const 5))) (then
              (i32.store8 (i32.const 2048) (i32.const 5)) (i64.store (i32.const 2056) (i64.const 1))
              (i64.store (i32.const 2064) (i64.add (call $now) (i64.const 60000000000)))
              (i32.store (i32.const 2000) (i32.const 2048)) (i32.store (i32.const 2004) (i32.const 1))
              (i32.const 2000)) (else (i32.const 16)))",
        on_bar: NOTHING,
        ..counter_of_bars()
    };
    let yard = Yard::new();
    let start = |plugin: &Wat| {
        let mut session = yard.session(plugin).expect("it starts");
        outputs(&mut session, &morning(50));
        session
    };
    let mut live = start(&clockwork());
    let mut struck = start(&clockwork());
    check(&mut struck, &[quote("A", 3_070)], &["strike 1"]);
    let mut swapped = start(&Wat { warmup_bars: 1_000, ..Wat::default() });
    assert_eq!(swap(&yard, &mut swapped, &clockwork()), [""; 0]);
    assert_eq!(lessons(&mut swapped).1, ["swapped: 1"]);
    for one in [&mut live, &mut struck, &mut swapped] {
        assert_eq!(last_word(one, trade("A", 3_119)), "20");
        // The timer is set anew, and said before the word.
        assert_eq!(last_word(one, trade("A", 3_121)), "1 21");
    }
}

#[test]
fn a_timer_that_came_due_while_it_rested_fires_then() {
    let on_event = "(global.set $n (i64.add (i64.mul (global.get $n) (i64.const 10))
        (i64.extend_i32_u (local.get $case))))
        (if (result i32) (i32.eq (local.get $case) (i32.const 5)) (then (i32.const 2000))
        (else (i32.const 16)))";
    let intents = vec![Wire::SetTimer(1, 200_000_000_000), Wire::SetTimer(2, 212_000_000_000)];
    let plugin = Wat { on_event, intents, warmup_bars: 9, ..diarist() };
    let mut session = Yard::new().session(&Wat { save: NOTHING, ..plugin }).expect("it starts");
    outputs(&mut session, &[open_at(30), bar("A", 1), bar("A", 2)]);
    check(&mut session, &[trade("A", 205), quote("A", 210)], &["0: 54", "strike 1"]);
    check(&mut session, &[health(StreamHealth::Stale, 211)], &[]);
    // The first had fired before the end of that life, so it is only told of it; the second is its own.
    check(&mut session, &[trade("A", 216)], &["1: 5744"]);
}

/// Sets a timer at 200 whenever a session opens; the timer says what `on_timer` says. It never has a state.
fn alarm(on_timer: &'static str) -> Wat {
    let on_event = match on_timer {
        "" => {
            "(if (i32.eq (local.get $case) (i32.const 4)) (then (unreachable))) (global.set $n (i64.const 5))
            (i32.const 2000)"
        }
        _ => {
            "(global.set $n (i64.add (i64.mul (global.get $n) (i64.const 10))
            (i64.extend_i32_u (local.get $case))))
            (if (i32.eq (local.get $case) (i32.const 4)) (then (call $hush) (call $say (global.get $n))))
            (i32.const 2000)"
        }
    };
    Wat { on_event, intents: vec![Wire::SetTimer(1, 200_000_000_000)], save: NOTHING, ..diarist() }
}

#[test]
fn what_a_timer_did_before_it_does_not_do_again() {
    let yard = Yard::new();
    let said = |session: &mut Session, event| words(&outputs(session, &[event]));
    let begin = || {
        let mut session = yard.session(&alarm("says")).expect("it starts");
        outputs(&mut session, &[open_at(30)]);
        assert_eq!(said(&mut session, trade("A", 205)), ["0: 54 54"], "it fires, then the trade is told");
        session
    };
    let mut struck = begin();
    check(&mut struck, &[quote("A", 210)], &["strike 1"]);
    assert_eq!(
        said(&mut struck, trade("A", 216)),
        ["1: 54"],
        "it was told of its timer, and nobody heard it"
    );
    let mut swapped = begin();
    swap(&yard, &mut swapped, &alarm("says"));
    assert_eq!(lessons(&mut swapped).1, ["swapped: 1"]);
    assert_eq!(said(&mut swapped, trade("A", 216)), ["1: 54"]);
}

#[test]
fn a_timer_that_is_poison_is_one_strike() {
    let mut session = Yard::new().session(&alarm("")).expect("it starts");
    outputs(&mut session, &[open_at(30)]);
    check(&mut session, &[trade("A", 205)], &["strike 1"]);
    assert_eq!(words(&outputs(&mut session, &[trade("A", 211)])), ["1: 5"]);
}

#[test]
fn on_its_thread_lessons_and_events_take_turns() {
    let yard = Yard::new();
    let load = |plugin: &Wat| yard.load("test.wasm", &plugin.module()).expect("it loads");
    let (old, manifest) = (load(&counter_of_bars()), Manifest::default());
    let inbox = std::sync::Arc::new(Inbox::new(old.instruments(&manifest).expect("symbols")));
    (1..=200).for_each(|minute| inbox.push(bar("A", minute)));
    inbox.push(trade("A", 12_100));
    let ((go_on, is_on), (sender, found)) = (mpsc::channel::<()>(), mpsc::channel());
    let output = move |output| {
        sender.send(output).expect("the test listens");
        // Until the test lets go of it.
        let _ = is_on.recv();
    };
    let (engine, inbox_of_it) = (&yard.engine, inbox.clone());
    let pulse = std::sync::Arc::<Pulse>::default();
    let log = Log::default();
    let start = Start { recorder: Some(Box::new(log.clone())), ..Start::new(1) };
    let runner = Runner::spawn(engine, &old, &manifest, bounds(), start, inbox_of_it, output, pulse);
    let next = || found.recv_timeout(std::time::Duration::from_secs(20)).expect("an output in time");
    let mut all = vec![next()];
    let heir = Candidate::prepare(engine, &load(&scholar()), &manifest, bounds(), 2).expect("it starts");
    inbox.swap(heir);
    (0..20).for_each(|secs| inbox.push(trade("A", 12_101 + secs)));
    drop(go_on);
    all.extend((0..21).map(|_| next()));
    let lives: Vec<_> = all
        .iter()
        .map(|output| match output {
            StrategyOutput::Intents { incarnation, .. } => *incarnation,
            StrategyOutput::Swapped { .. } => 9,
            other => panic!("{other:?}"),
        })
        .collect();
    // Two lessons at the most are not enough for 200 bars: it takes over when nothing waits any more.
    assert_eq!(lives, [vec![0; 21], vec![9]].concat());
    inbox.push(StrategyEvent::Stop("the test is over".into()));
    assert!(runner.expect("it starts").join());
    // While events waited, eight of them came between two lessons.
    let entries = log.entries();
    let swap = entries.iter().position(|entry| matches!(entry, Entry::Swap(_))).expect("recorded");
    let inputs = entries[swap + 1..].iter().filter(|entry| entry.is_input());
    let is_lesson: Vec<_> = inputs.map(|entry| matches!(entry, Entry::Lesson { .. })).collect();
    let lessons: Vec<_> = (0..is_lesson.len()).filter(|place| is_lesson[*place]).collect();
    assert_eq!(lessons[..2], [7, 16], "the swap counts, too: {is_lesson:?}");
    assert!(lessons[2..].iter().all(|place| *place >= 22) && lessons.len() >= 7, "{is_lesson:?}");
}
