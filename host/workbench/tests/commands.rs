//! The commands as an author runs them: real processes in an empty folder.

mod bench;

use std::fs;

use bench::Bench;

#[test]
fn from_an_empty_folder_to_a_plugin_that_does_what_is_expected() {
    let bench = Bench::new();
    bench.run(&["new", "trend", "--lang", "rust"]).good("trend: a strategy in Rust");
    // Lines of a panic are looked for further down.
    let library = bench.path("trend/src/lib.rs");
    let built = bench.run(&["build", "trend", "--target-dir", &bench.shared_target()]);
    built.good("trend/trend.wasm (");
    bench.run(&["test", "trend"]).good("good    up_and_down.jsonl: 208 events, 4 intents");

    let checked = bench.run(&["check", "trend"]);
    checked.good("determinism  two runs of ");
    for part in ["good    imports      sandpit:strategy/host@", "cost         bar: ", "memory       "] {
        checked.good(part);
    }
    let inspected = bench.run(&["inspect", "trend"]);
    for part in
        ["kind        core module", "built with  rustc 1.", "wants       bars, quotes", "fast        "]
    {
        inspected.good(part);
    }

    // A cost is recorded by a blessing, and held to.
    bench.run(&["test", "trend"]).good("no cost is recorded yet: --bless does");
    bench
        .run(&["test", "trend", "--bless"])
        .good("blessed up_and_down.expected.jsonl: 4 intents of 208 events");
    let expected = bench.path("trend/fixtures/up_and_down.expected.jsonl");
    let blessed = fs::read_to_string(&expected).expect("expectations");
    let tampered =
        blessed.replace("\"qty\":\"10\"", "\"qty\":\"11\"").replacen("\"bar\":", "\"bar\":1,\"x\":", 1);
    assert_ne!(tampered, blessed);
    fs::write(&expected, tampered).expect("writes");
    let differing = bench.run(&["test", "trend"]);
    differing.bad(11, "wrong   up_and_down.jsonl: not what is expected (line of the fixture, - up_and_down.");
    differing.bad(11, "more than 10 % dearer; if that is meant, renew it with --bless");
    assert!(differing.out.contains("    60 - {\"submit\"") && differing.out.contains("    60 + {\"submit\""));

    // The manifest is held to the schema.
    fs::write(bench.path("trend/trend.toml"), "[parameters]\nfast = 0\n").expect("writes");
    bench.run(&["check", "trend"]).bad(11, "wrong   parameters   fast must be at least 1, not 0");
    bench
        .run(&["test", "trend"])
        .bad(11, "trend.wasm does not start: init refused: parameters: fast must be 1 to");
    fs::write(bench.path("trend/trend.toml"), "instrumnets = [\"SPY\"]\n").expect("writes");
    bench.run(&["check", "trend"]).bad(11, "wrong   load         trend.toml:1: unknown field `instrumnets`");
    bench.run(&["test", "trend"]).bad(10, "trend.toml:1: unknown field `instrumnets`");

    // A panic says what and where; a source that does not compile is no plugin.
    fs::remove_file(bench.path("trend/trend.toml")).expect("removes");
    let source = fs::read_to_string(&library).expect("the strategy");
    let panicking =
        source.replace("let trend = ", "assert!(bar.close > 500.0, \"so low: {}\", bar.close); let trend = ");
    assert_ne!(panicking, source);
    fs::write(&library, panicking).expect("writes");
    bench.run(&["build", "trend", "--target-dir", &bench.shared_target()]).good("trend.wasm");
    let panicked = bench.run(&["test", "trend"]);
    panicked.bad(11, "failed: on-bar trapped: ");
    assert!(panicked.err.contains("so low: 499.9"), "{}", panicked.err);
    assert!(panicked.err.contains("src/lib.rs:"), "{}", panicked.err);
    fs::write(&library, "nonsense").expect("writes");
    let refused = bench.run(&["build", "trend", "--target-dir", &bench.shared_target()]);
    refused.bad(11, "trend does not compile to WASM: cargo's messages are above");
}

#[test]
fn what_cannot_be_meant_is_said() {
    let bench = Bench::new();
    bench
        .run(&["new", "Trend", "--lang", "rust"])
        .bad(2, "\"Trend\" is no name for a strategy: take 1 to 32");
    bench.run(&["new", "trend", "--lang", "cobol"]).bad(2, "possible values: rust, js, python, c");
    bench.run(&["new", "trend", "--lang", "c", "--dir", "none"]).bad(12, "cannot create none/trend: ");
    bench
        .run(&["new", "trend", "--lang", "rust", "--sdk", "."])
        .bad(2, "there is no SDK in .: name the folder of");
    bench.run(&["new", "trend", "--lang", "c"]).good("trend: a strategy in C");
    bench
        .run(&["new", "trend", "--lang", "c"])
        .bad(2, "there is a trend already: take another name, or remove it");
    bench
        .run(&["build"])
        .bad(11, "there is no strategy in .: no Cargo.toml, NAME.js, NAME.py or NAME.c; begin");
    bench.run(&["build", "none"]).bad(12, "cannot read none: ");
    bench.run(&["check", "trend"]).bad(11, "trend is not built yet: run `sandpit plugin build trend`");
    bench
        .run(&["inspect", "x.wasm"])
        .bad(2, "there is no x.wasm: name a .wasm file or the folder of a strategy");
    fs::write(bench.path("x.wasm"), "ELF").expect("writes");
    bench
        .run(&["inspect", "x.wasm"])
        .bad(11, "x.wasm is not a WebAssembly file: build it with `sandpit plugin");
    fs::write(bench.path("x.wasm"), b"\0asm\x01\0\0\0").expect("writes");
    bench.run(&["check", "x.wasm"]).bad(11, "wrong   load         x.wasm does not say what interface it has");
    bench.run(&["inspect", "x.wasm"]).bad(11, "x.wasm does not say what interface it has");
    bench
        .run(&["test", "x.wasm"])
        .bad(11, "there is no fixture in fixtures: write events to NAME.jsonl there");
    fs::create_dir(bench.path("fixtures")).expect("a folder");
    fs::write(bench.path("fixtures/a.jsonl"), "{\"tock\":1}\n").expect("writes");
    bench
        .run(&["test", "x.wasm"])
        .bad(11, "fixtures/a.jsonl:1: unknown variant `tock`, expected one of `desk`, ");
    bench.run(&["dev", "trend"]).bad(2, "--plugins <DIR>");
    bench
        .run(&["dev", "trend", "--plugins", "none"])
        .bad(2, "there is no plugins folder none: name that of the");
    bench.run(&["dev", "trend", "--config", "none"]).bad(10, "none: No such file");
}

#[test]
fn a_missing_tool_is_named_with_its_version_and_remedy() {
    let bench = Bench::new();
    let check = |language: &str, parts: &[&str]| {
        let name = format!("x_{language}");
        bench.run(&["new", &name, "--lang", language]).good("a strategy in ");
        let outcome = bench.run_with(&["build", &name], &[("PATH", "/nowhere")]);
        parts.iter().for_each(|part| outcome.bad(11, part));
    };
    check("rust", &["rustc 1.95 or newer is missing: install Rust from https://rustup.rs"]);
    check("js", &["node", "apt-get install nodejs npm"]);
    check("python", &["python"]);
    check("c", &["clang"]);
}

#[test]
fn each_change_is_built_and_handed_over_and_the_log_is_shown() {
    // A name of its own: cargo takes packages of one name in one target folder for the same.
    let bench = Bench::new();
    bench.run(&["new", "drift", "--lang", "rust"]).good("drift");
    fs::create_dir(bench.path("plugins")).expect("a folder");
    fs::write(bench.path("host.toml"), bench.path("plugins").display().to_string()).expect("writes");
    fs::write(bench.path("host.log"), "").expect("writes");
    let target = bench.shared_target();
    let dev = ["dev", "drift", "--config", "host.toml", "--log", "host.log", "--target-dir", &target];
    let mut dev = bench.start(&dev);
    dev.wait_for("handed to the host: ");
    let plugin = bench.path("plugins/drift.wasm");
    let first = fs::read(&plugin).expect("handed over");
    assert!(bench.path("plugins/drift.toml").exists());
    fs::write(bench.path("host.log"), "INFO strategy=\"other\" x\nINFO strategy=\"drift\" it runs\n")
        .expect("writes");
    dev.wait_for("INFO strategy=\"drift\" it runs");
    let library = bench.path("drift/src/lib.rs");
    let source = fs::read_to_string(&library).expect("the strategy");
    fs::write(&library, "nonsense").expect("writes");
    dev.wait_for("drift does not compile to WASM");
    assert_eq!(fs::read(&plugin).expect("it stays"), first);
    fs::write(&library, source.replace("crossed up", "went up")).expect("writes");
    dev.wait_for("handed to the host: ");
    assert_ne!(fs::read(&plugin).expect("handed over"), first);
    assert!(!dev.seen().contains("strategy=\"other\""));
}
