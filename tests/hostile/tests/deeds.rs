//! Every deed of the built plugin, each with a good neighbour beside it that is measured.

use sandpit_hostile::{Beside, Live, Logged, listen, manifest};
use sandpit_strategy::{Bounds, Failure, Plugin, StrategyOutput};
use sandpit_types::Intent;

/// Quotes that are told to one that lives.
const QUOTES: u64 = 20;
/// Log lines of one strategy and minute, bytes; with what the log itself adds to each line.
const LOG_MINUTE_MAX: u64 = 4 * (64 << 10);

fn parameters(deed: &str, at: &str) -> String {
    format!(r#"{{"deed":"{deed}","at":"{at}"}}"#)
}

/// Its failures until it is quarantined.
fn failures(live: &Live<'_>) -> Vec<Failure> {
    let mut failures = Vec::new();
    loop {
        match live.next() {
            StrategyOutput::Struck { reason, strikes, .. } => {
                failures.push(reason);
                assert_eq!(failures.len(), strikes as usize);
            }
            StrategyOutput::Quarantined { reason, .. } => {
                failures.push(reason);
                return failures;
            }
            StrategyOutput::Intents { .. } | StrategyOutput::Snapshot { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// It is struck twice and quarantined with these words, its thread lives on, and the neighbour hardly feels
/// it.
fn quarantined(deed: &str, at: &str, words: &str) {
    let beside = Beside::new();
    let plugin = beside.yard.hostile("hostile");
    let manifest = manifest(&parameters(deed, at));
    let mut nonce = 0;
    beside.measure(&format!("{deed} at {at}"), || {
        let live = beside
            .stage
            .start(&beside.yard, &plugin, &manifest, Bounds::default())
            .expect("it starts like any other");
        let failures = failures(&live);
        assert_eq!(failures.len(), 3, "{failures:?}");
        for failure in failures {
            let found = failure.to_string();
            assert!(found.starts_with(words), "{found:?} is not {words:?}");
            assert!(found.len() < 2_048 && !found.contains('\n'), "{found}");
        }
        nonce += 1;
        live.answers(nonce);
        live.stop();
    });
}

/// It does not start, with these words.
fn refused(deed: &str, words: &str) {
    let beside = Beside::new();
    let plugin = beside.yard.hostile("hostile");
    let manifest = manifest(&parameters(deed, "init"));
    beside.measure(&format!("{deed} at init"), || {
        let started = beside.stage.start(&beside.yard, &plugin, &manifest, Bounds::default());
        let found = started.err().expect("it does not start").to_string();
        assert!(found.starts_with(words), "{found:?} is not {words:?}");
        assert!(found.len() < 2_048 && !found.contains('\n'), "{found}");
    });
}

/// It lives: what it does is bounded, not forbidden. Calls `look` with what it did.
fn lives(deed: &str, mut look: impl FnMut(Vec<StrategyOutput>)) {
    let beside = Beside::new();
    let plugin: Plugin = beside.yard.hostile("hostile");
    let manifest = manifest(&parameters(deed, "quote"));
    let mut nonce = 0;
    beside.measure(deed, || {
        let live =
            beside.stage.start(&beside.yard, &plugin, &manifest, Bounds::default()).expect("it starts");
        live.works(QUOTES);
        let mut outputs = live.so_far();
        nonce += 1;
        live.answers(nonce);
        outputs.extend(live.stop());
        look(outputs);
    });
}

/// The intents of outputs that are nothing but these.
fn intents(outputs: Vec<StrategyOutput>) -> Vec<Vec<Intent>> {
    let intents = outputs.into_iter().filter_map(|output| match output {
        StrategyOutput::Intents { strategy, intents, .. } => {
            assert_eq!(strategy.as_str(), "hostile", "it speaks for itself");
            Some(intents)
        }
        StrategyOutput::Stopped { .. } | StrategyOutput::Snapshot { .. } => None,
        other => panic!("{other:?}"),
    });
    intents.collect()
}

#[test]
fn an_endless_loop_in_on_quote() {
    quarantined("loop", "quote", "on-quote ran out of time (100 ms): look for an endless loop");
}

#[test]
fn an_endless_loop_in_on_event() {
    quarantined("loop", "timer", "on-event ran out of time (100 ms): look for an endless loop");
}

#[test]
fn an_endless_loop_at_a_refusal() {
    quarantined("loop", "refusal", "on-event ran out of time (100 ms): look for an endless loop");
}

#[test]
fn an_endless_loop_in_init() {
    refused("loop", "hostile.wasm does not start: init ran out of time (2000 ms): look for an endless loop");
}

#[test]
fn an_endless_loop_in_stop() {
    let beside = Beside::new();
    let plugin = beside.yard.hostile("hostile");
    let manifest = manifest(&parameters("loop", "stop"));
    beside.measure("loop at stop", || {
        let live =
            beside.stage.start(&beside.yard, &plugin, &manifest, Bounds::default()).expect("it starts");
        let last = live.stop();
        assert!(matches!(last.last(), Some(StrategyOutput::Stopped { .. })), "{last:?}");
    });
}

#[test]
fn an_endless_loop_in_save() {
    quarantined("loop", "save", "save ran out of time (100 ms): look for an endless loop");
}

#[test]
fn a_panic_in_save() {
    quarantined("panic", "save", "save trapped: wasm trap: wasm `unreachable` instruction executed, in ");
}

#[test]
fn a_giant_state() {
    quarantined("giant-state", "save", "save gave more than 4194304 bytes of state: keep less");
}

#[test]
fn a_memory_bomb() {
    quarantined("memory", "quote", "on-quote asked for 6");
}

#[test]
fn a_memory_bomb_in_init() {
    refused("memory", "hostile.wasm does not start: init asked for 6");
}

#[test]
fn deep_recursion() {
    quarantined("recursion", "quote", "on-quote trapped: call stack exhausted");
}

#[test]
fn deep_recursion_in_init() {
    refused("recursion", "hostile.wasm does not start: init trapped: call stack exhausted");
}

#[test]
fn deep_recursion_with_frames_in_memory() {
    quarantined(
        "deep-frames",
        "quote",
        "on-quote trapped: wasm trap: out of bounds memory access (often a recursion that has used up its \
         stack, which is in memory), in ",
    );
}

#[test]
fn a_trap() {
    quarantined("trap", "quote", "on-quote trapped: wasm trap: wasm `unreachable` instruction executed, in ");
}

#[test]
fn a_panic_is_told_with_its_words_and_its_line() {
    listen();
    quarantined(
        "panic",
        "quote",
        "on-quote trapped: wasm trap: wasm `unreachable` instruction executed, in ",
    );
    let text = Logged::so_far().text();
    assert!(text.contains("deed.rs:") && text.contains("the deed of a hostile strategy"), "{text}");
}

#[test]
fn a_panic_with_a_megabyte_of_words() {
    listen();
    quarantined("long-panic", "quote", "on-quote trapped: ");
    assert!(Logged::so_far().longest_line < 2_048, "{}", Logged::so_far().longest_line);
}

#[test]
fn a_log_flood() {
    listen();
    quarantined("logs", "quote", "on-quote ran out of time (100 ms)");
    let logged = Logged::so_far();
    // Each life may fill its minute; the suite has eleven spells of them or more.
    assert!(logged.longest_line < 2_048, "{}", logged.longest_line);
}

#[test]
fn a_log_flood_within_its_time() {
    listen();
    let mut lives_so_far = 0;
    lives("chatter", |outputs| {
        assert!(intents(outputs).is_empty());
        lives_so_far += 1;
    });
    let logged = Logged::so_far();
    assert!(logged.bytes <= lives_so_far * LOG_MINUTE_MAX, "{} bytes of {lives_so_far} lives", logged.bytes);
    assert!(logged.longest_line < 2_048, "{}", logged.longest_line);
    assert!(logged.bytes > 0);
}

#[test]
fn a_line_larger_than_what_may_be_copied() {
    quarantined("huge-line", "quote", "on-quote trapped: ");
}

#[test]
fn an_intent_flood() {
    quarantined("intents", "quote", "one event caused 257 intents, at most 256 are taken");
}

#[test]
fn an_intent_flood_larger_than_what_may_be_copied() {
    quarantined("many-intents", "quote", "on-quote trapped: ");
}

#[test]
fn a_signal_larger_than_what_may_be_copied() {
    quarantined("huge-signal", "quote", "on-quote trapped: ");
}

#[test]
fn a_flood_of_timers() {
    quarantined("timers", "quote", "it set more than 1024 timers");
}

#[test]
fn refusals_answered_with_refusals() {
    quarantined("refused", "refusal", "one event caused 257 intents, at most 256 are taken");
}

#[test]
fn an_instrument_that_was_not_granted() {
    quarantined(
        "foreign",
        "quote",
        "on-quote trapped: position(1000000): there is no such instrument, 1 were granted",
    );
}

#[test]
fn reads_without_end() {
    quarantined("reads", "quote", "on-quote ran out of time (100 ms)");
}

#[test]
fn a_slow_start_within_its_time() {
    let beside = Beside::new();
    let plugin = beside.yard.hostile("hostile");
    let manifest = manifest(&parameters("slow", "init"));
    beside.measure("slow start", || {
        let live =
            beside.stage.start(&beside.yard, &plugin, &manifest, Bounds::default()).expect("it starts");
        live.stop();
    });
}

#[test]
fn as_much_as_one_event_may_cause_at_each() {
    quarantined("flood", "quote", "more than 6000 intents in one minute");
}

#[test]
fn orders_of_nothing_of_less_and_of_everything() {
    // They pass as they are, and the gates judge them: what counts against it is only how many there are.
    quarantined("absurd", "quote", "more than 6000 intents in one minute");
}

#[test]
fn orders_of_others() {
    lives("strangers", |outputs| {
        for intent in intents(outputs).into_iter().flatten() {
            // An order that it does not have cannot be replaced; a cancel is looked up among its own.
            assert!(matches!(intent, Intent::Cancel(_)), "{intent:?}");
        }
    });
}
