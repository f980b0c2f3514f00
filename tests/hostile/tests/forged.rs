//! Plugins that no compiler would make: forged descriptions, imports of what nobody gets, bombs in what is
//! there before anything runs. Each is refused by name, or struck; the neighbour hardly feels it.

use sandpit_hostile::{Beside, Forged, Yard, with_interface};
use sandpit_strategy::{Bounds, Manifest, StrategyOutput};

const LOOP: &str = "(loop $again (br $again)) (unreachable)";

/// The host does not take it, with these words; said in one line of bounded length.
fn refused(what: &str, bytes: &[u8], words: &str) {
    let beside = Beside::new();
    beside.measure(what, || check_refusal(&beside.yard, what, bytes, words));
}

fn check_refusal(yard: &Yard, what: &str, bytes: &[u8], words: &str) {
    yard.forget();
    let found = yard.load("forged.wasm", bytes).err().expect("refused").to_string();
    assert!(found.starts_with(words), "{what}: {found:?} is not {words:?}");
    assert!(found.len() < 2_048 && !found.contains('\n'), "{what}: {found}");
}

/// It loads and does not start, with these words.
fn does_not_start(what: &str, forged: &Forged, words: &str) {
    let beside = Beside::new();
    let plugin = beside.yard.load("forged.wasm", &forged.module()).expect("it loads");
    beside.measure(what, || {
        let started = beside.stage.start(&beside.yard, &plugin, &Manifest::default(), Bounds::default());
        let found = started.err().expect("it does not start").to_string();
        assert!(found.starts_with(words), "{what}: {found:?} is not {words:?}");
    });
}

/// It starts, and at its first quote fails with these words.
fn struck(what: &str, forged: &Forged, words: &str) {
    let beside = Beside::new();
    let plugin = beside.yard.load("forged.wasm", &forged.module()).expect("it loads");
    let mut nonce = 0;
    beside.measure(what, || {
        let live = beside
            .stage
            .start(&beside.yard, &plugin, &Manifest::default(), Bounds::default())
            .expect("it starts");
        let StrategyOutput::Struck { reason, .. } = live.next() else { panic!("no strike") };
        let found = reason.to_string();
        assert!(found.starts_with(words), "{what}: {found:?} is not {words:?}");
        nonce += 1;
        live.answers(nonce);
        live.stop();
    });
}

fn described(describe: &'static str) -> Vec<u8> {
    Forged { describe, ..Forged::default() }.module()
}

#[test]
fn a_description_that_never_ends() {
    refused(
        "describe loops",
        &described(LOOP),
        "forged.wasm does not start: describe ran out of time (2000 ms)",
    );
}

#[test]
fn a_description_that_lies_outside_its_memory() {
    let (yard, words) = (Yard::new(), "forged.wasm does not start: describe trapped: ");
    for describe in ["(i32.const 0x7ffffff0)", "(i32.const -4)", "(i32.const 131068)", "(i32.const 65)"] {
        check_refusal(&yard, describe, &described(describe), words);
    }
    refused("a description outside its memory", &described("(i32.const -4)"), words);
}

#[test]
fn a_description_whose_texts_are_not_there_or_no_texts() {
    let (yard, words) = (Yard::new(), "forged.wasm does not start: describe trapped: ");
    for (what, describe) in [
        ("a name of four gigabytes", "(i32.store (i32.const 68) (i32.const -1)) (i32.const 64)"),
        ("a name at the end of memory", "(i32.store (i32.const 64) (i32.const -2)) (i32.const 64)"),
        ("a name of another encoding", "(i32.store8 (i32.const 1024) (i32.const 255)) (i32.const 64)"),
        ("a billion symbols", "(i32.store (i32.const 92) (i32.const 1000000000)) (i32.const 64)"),
    ] {
        check_refusal(&yard, what, &described(describe), words);
        if what.contains("billion") {
            refused(what, &described(describe), words);
        }
    }
}

#[test]
fn a_description_larger_than_what_may_be_copied() {
    let text = Forged {
        memory: "64",
        describe: "(i32.store (i32.const 84) (i32.const 2097152)) (i32.const 64)",
        ..Forged::default()
    };
    refused("a schema of two megabytes", &text.module(), "forged.wasm does not start: describe trapped: ");
}

#[test]
fn a_description_that_names_what_is_no_symbol() {
    let beside = Beside::new();
    for (what, describe, words) in [
        (
            "no symbols",
            "(i32.store (i32.const 92) (i32.const 0)) (i32.const 64)",
            "forged.wasm: it names no instruments: set `instruments`",
        ),
        (
            "a path",
            "(i32.store (i32.const 1160) (i32.const 0x2f2e2e)) (i32.const 64)",
            "forged.wasm: \"../\" is no symbol",
        ),
        (
            "a symbol that ends a line",
            "(i32.store8 (i32.const 1161) (i32.const 10)) (i32.const 64)",
            "forged.wasm: \"S\\nY\" is no symbol",
        ),
        (
            "one symbol twice",
            "(i64.store (i32.const 1168) (i64.load (i32.const 1152)))
             (i32.store (i32.const 92) (i32.const 1)) (i32.store (i32.const 88) (i32.const 1168))
             (i64.store (i32.const 1176) (i64.load (i32.const 1152)))
             (i32.store (i32.const 92) (i32.const 2)) (i32.const 64)",
            "forged.wasm: it names SPY twice",
        ),
    ] {
        match beside.yard.load("forged.wasm", &described(describe)) {
            Ok(plugin) => {
                let found = plugin.instruments(&Manifest::default()).expect_err(what).to_string();
                assert!(found.starts_with(words), "{what}: {found:?} is not {words:?}");
                assert!(!found.contains('\n'), "{what}: {found}");
            }
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[test]
fn names_that_forge_the_log_are_one_line() {
    let beside = Beside::new();
    // "t\nst" and a warm-up of four billion bars.
    let forged = "(i32.store8 (i32.const 1025) (i32.const 10)) (i32.store (i32.const 100) (i32.const -1))
        (i32.const 64)";
    let plugin = beside.yard.load("forged.wasm", &described(forged)).expect("it loads");
    let it = plugin.description();
    assert_eq!((it.name.as_str(), it.warmup_bars), ("t st", 1_000));
}

#[test]
fn a_description_that_changes_is_the_first_one() {
    // Its second life says that it wants everything, and a symbol that was not granted.
    let forged = Forged {
        describe: "(if (i64.ne (call $now) (i64.const 0)) (then (i32.store8 (i32.const 96) (i32.const 15))
            (i32.store8 (i32.const 1160) (i32.const 65)))) (i32.const 64)",
        ..Forged::default()
    };
    let beside = Beside::new();
    let plugin = beside.yard.load("forged.wasm", &forged.module()).expect("it loads");
    let live = beside
        .stage
        .start(&beside.yard, &plugin, &Manifest::default(), Bounds::default())
        .expect("it starts");
    live.answers(1);
    assert_eq!(plugin.description().instruments[0].as_str(), "SPY");
    let last = live.stop();
    assert!(matches!(last.last(), Some(StrategyOutput::Stopped { .. })), "{last:?}");
}

#[test]
fn imports_of_files_and_sockets() {
    let no_wasi = ", which is not offered: no WASI is offered: build for wasm32-unknown-unknown";
    let yard = Yard::new();
    for import in ["wasi:filesystem/types@0.2.6", "wasi:filesystem/preopens@0.2.0", "wasi:sockets/tcp@0.2.6"]
    {
        let text = format!("(component (import \"{import}\" (instance)))");
        let component = wat::parse_str(&text).expect("a component");
        let words = format!("forged.wasm imports {import}{no_wasi}");
        check_refusal(&yard, import, &component, &words);
        if import.contains("sockets") {
            refused(import, &component, &words);
        }
    }
    for item in ["path_open", "fd_write", "sock_accept", "environ_get", "clock_time_get", "random_get"] {
        let text = format!("(module (import \"wasi_snapshot_preview1\" \"{item}\" (func)))");
        let module = with_interface(wat::parse_str(&text).expect("a module"));
        let words = format!("forged.wasm imports wasi_snapshot_preview1 {item}{no_wasi}");
        check_refusal(&yard, item, &module, &words);
    }
    let other = Forged { imports: "(import \"env\" \"system\" (func))", ..Forged::default() };
    let words = "forged.wasm imports env system, which is not offered: a strategy gets";
    check_refusal(&yard, "env", &other.module(), words);
}

#[test]
fn names_of_imports_that_forge_a_line() {
    let text = "(module (import \"env\\nerror: all is well\" \"\\1b[2Jf\" (func)))";
    let module = with_interface(wat::parse_str(text).expect("a module"));
    let words = "forged.wasm imports env error: all is well [2Jf, which is not offered: ";
    check_refusal(&Yard::new(), "names that forge a line", &module, words);
}

#[test]
fn imports_hidden_among_its_own() {
    // An interface of ours that does not exist, and a function that is not in the one that does.
    let other =
        Forged { imports: "(import \"sandpit:strategy/files@0.1.0\" \"open\" (func))", ..Forged::default() };
    refused("an interface that is not there", &other.module(), "forged.wasm ");
    let other =
        Forged { imports: "(import \"sandpit:strategy/host@0.1.0\" \"exec\" (func))", ..Forged::default() };
    refused("a function that is not there", &other.module(), "forged.wasm ");
}

#[test]
fn memory_that_is_there_from_the_start() {
    refused(
        "a memory of four gigabytes",
        &Forged { memory: "65536", ..Forged::default() }.module(),
        "forged.wasm does not start: instantiation asked for 4294967296 bytes of memory, at most 67108864",
    );
}

#[test]
fn features_that_nobody_gets() {
    for (what, extra) in [
        ("a shared memory", "(memory $m 1 1 shared)"),
        ("a memory of 64 bits", "(memory $m i64 1)"),
        ("a tag", "(tag $t)"),
    ] {
        check_refusal(&Yard::new(), what, &Forged { extra, ..Forged::default() }.module(), "forged.wasm ");
    }
}

#[test]
fn a_start_function_that_never_ends() {
    refused(
        "a start function",
        &Forged { extra: "(start $f) (func $f (loop $again (br $again)))", ..Forged::default() }.module(),
        "forged.wasm does not start: instantiation ran out of time",
    );
}

#[test]
fn a_table_bomb() {
    struck(
        "a table that grows",
        &Forged {
            extra: "(table $t 1 funcref)",
            on_quote: "(drop (table.grow $t (ref.null func) (i32.const 100000000))) (i32.const 16)",
            ..Forged::default()
        },
        "on-quote asked for 100000",
    );
    // In small steps, for which there is time.
    struck(
        "a table that grows slowly",
        &Forged {
            extra: "(table $t 1 funcref)",
            on_quote: "(loop $again (drop (table.grow $t (ref.null func) (i32.const 100))) (br $again))
                (unreachable)",
            ..Forged::default()
        },
        "on-quote asked for 1311",
    );
    refused(
        "a table that is there from the start",
        &Forged { extra: "(table $t 100000000 funcref)", ..Forged::default() }.module(),
        "forged.wasm does not start: instantiation asked for 100000",
    );
}

#[test]
fn a_list_that_is_not_there() {
    struck(
        "a list of four billion intents",
        &Forged {
            on_quote: "(i64.store (i32.const 2000) (i64.const -4294965248)) (i32.const 2000)",
            ..Forged::default()
        },
        "on-quote trapped: ",
    );
    struck(
        "an intent of a kind that is not there",
        &Forged {
            on_quote: "(i64.store (i32.const 2000) (i64.const 0x100000800))
                (i32.store8 (i32.const 2048) (i32.const 99)) (i32.const 2000)",
            ..Forged::default()
        },
        "on-quote trapped: ",
    );
}

#[test]
fn a_start_that_lies() {
    does_not_start(
        "a refusal larger than what may be copied",
        &Forged {
            memory: "64",
            init: "(i32.store (i32.const 32) (i32.const 1)) (i32.store (i32.const 36) (i32.const 1024))
                (i32.store (i32.const 40) (i32.const 2000000)) (i32.const 32)",
            ..Forged::default()
        },
        "forged.wasm does not start: init trapped: ",
    );
    does_not_start(
        "a refusal of half a megabyte of lines",
        &Forged {
            memory: "64",
            init: "(memory.fill (i32.const 65536) (i32.const 10) (i32.const 500000))
                (i32.store8 (i32.const 65536) (i32.const 65))
                (i32.store (i32.const 32) (i32.const 1)) (i32.store (i32.const 36) (i32.const 65536))
                (i32.store (i32.const 40) (i32.const 500000)) (i32.const 32)",
            ..Forged::default()
        },
        "forged.wasm does not start: init refused: A",
    );
}
