//! A strategy that does everything it should not, in a whole system: the others trade on, the host does not
//! start again, nobody pulls the kill.

use std::{fs, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandpit_system_tests::{Demo, monotonic_ms, test_plugin, wait_for};
use serde_json::Value;

/// A session of 390 minutes at 195 times takes two minutes, with the build-up of three processes.
const BOUND: Duration = Duration::from_secs(240);

/// What `/status` says of a strategy, if it says anything.
fn strategy(status: &Value, name: &str) -> Option<Value> {
    status["strategies"].as_array()?.iter().find(|it| it["name"] == name).cloned()
}

fn number(json: &Value, name: &str) -> u64 {
    json[name].as_u64().unwrap_or_else(|| panic!("{name} is not in {json}"))
}

#[test]
fn the_others_trade_on_beside_one_that_does_everything_in_turn() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).expect("made");
    // One has its deeds in turn, one loops until it is quarantined.
    for (name, symbol, deed) in [("hostile", "SPY", "all"), ("looping", "QQQ", "loop")] {
        fs::copy(test_plugin("hostile"), plugins.join(format!("{name}.wasm"))).expect("copied");
        let manifest = format!("instruments = [\"{symbol}\"]\n\n[parameters]\ndeed = \"{deed}\"\n");
        fs::write(plugins.join(format!("{name}.toml")), manifest).expect("written");
    }
    let start = monotonic_ms();
    let demo = Demo::start_in(folder, &["--speed", "195"]);
    let (host, _) = demo.host_pid(None, Duration::from_secs(30));

    let said =
        |name: &str, is_so: fn(&Value) -> bool| strategy(&demo.host_status()?, name).filter(is_so).map(drop);
    wait_for("a strike of the hostile", BOUND, || said("hostile", |it| it["strikes"].as_u64() > Some(0)));
    wait_for("the quarantine of the looping one", BOUND, || {
        said("looping", |it| it["state"] == "quarantined")
    });
    assert_eq!(demo.host_pid(None, Duration::from_secs(10)).0, host, "the host was not replaced");
    println!("struck and quarantined after {} ms", monotonic_ms() - start);

    let ended = demo.end(BOUND);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let json = &ended.json;
    assert_eq!(number(json, "host_restarts"), 0, "{json}");
    assert_eq!(number(json, "http_429"), 0, "{json}");
    assert!(json["kill"].is_null(), "{json}");
    for name in ["sma_cross", "rebalance"] {
        let it = strategy(json, name).unwrap_or_else(|| panic!("no {name} in {json}"));
        assert!(number(&it, "fills") > 0, "no fills: {it}\n{}", ended.log);
        assert_eq!(number(&it, "strikes"), 0, "{it}");
    }
    println!("{json}");
}

/// A demo at this speed with one plugin more, which loops until it is quarantined.
fn with_a_looping_one(speed: &str) -> Demo {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).expect("made");
    fs::copy(test_plugin("hostile"), plugins.join("looping.wasm")).expect("copied");
    fs::write(plugins.join("looping.toml"), manifest("loop")).expect("written");
    Demo::start_in(folder, &["--speed", speed])
}

fn manifest(deed: &str) -> String {
    format!("instruments = [\"QQQ\"]\n\n[parameters]\ndeed = \"{deed}\"\n")
}

#[test]
fn a_quarantine_outlives_the_host_until_another_version_comes() {
    let demo = with_a_looping_one("60");
    let (host, _) = demo.host_pid(None, Duration::from_secs(30));
    let state = || strategy(&demo.host_status()?, "looping")?["state"].as_str().map(str::to_owned);
    wait_for("the quarantine", BOUND, || (state()? == "quarantined").then_some(()));
    kill(Pid::from_raw(host), Signal::SIGKILL).expect("the host is ours");
    demo.host_pid(Some(host), BOUND);

    let refused = || {
        let status = demo.host_status()?;
        let of = status["refused"].as_array()?.iter().find(|it| it["plugin"] == "looping")?.clone();
        strategy(&status, "looping").is_none().then_some(of["reason"].as_str()?.to_owned())
    };
    let (reason, _) = wait_for("the next host, which refuses it", BOUND, refused);
    assert!(reason.starts_with("it is quarantined, until its .wasm or .toml changes: "), "{reason}");
    assert!(reason.contains("ran out of time"), "{reason}");
    let trades = || (strategy(&demo.host_status()?, "sma_cross")?["events"].as_u64()? > 0).then_some(());
    wait_for("events of another one", BOUND, trades);
    assert!(refused().is_some(), "nothing else lifts it");

    fs::write(demo.path("plugins/looping.toml"), manifest("echo")).expect("written");
    wait_for("the other version", BOUND, || (state()? == "running").then_some(()));
}
