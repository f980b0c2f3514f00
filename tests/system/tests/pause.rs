//! What a pause of one strategy does and outlives, with the real programs over the real socket.

use std::{collections::BTreeMap, fs, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandpit_system_tests::{Demo, Desk, plugin, sandpit, wait_for};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(20);

/// Why the strategy is paused, as the strategies are shown; `None` also while it is not there.
fn paused(desk: &Desk) -> Option<String> {
    let shown = desk.ask(&["strategies"]).good();
    shown["strategies"].as_array()?.first()?["paused"].as_str().map(str::to_owned)
}

#[test]
fn a_pause_outlives_the_host_and_the_plugin_and_only_a_hand_lifts_it() {
    let mut desk = Desk::start();
    desk.rests("1", "SPY", "1.01");
    desk.rests("2", "QQQ", "1.02");
    let pause = ["pause", "sma_cross", "--reason", "the spread"];
    let answer = desk.ask(&pause).good();
    assert_eq!(answer["result"], "paused", "{answer}");
    assert_eq!(answer["orders"].as_array().map(Vec::len), Some(2), "its entries: {answer}");
    desk.none_is_open();
    let why = paused(&desk).expect("paused");
    assert!(why.contains("ann") && why.contains("the spread"), "{why}");
    assert_eq!(desk.ask(&["status"]).good()["paused"]["sma_cross"], why.as_str());
    let table = sandpit(&desk.config(), &["strategies"]).text;
    assert!(table.contains("running, paused") && table.contains("the spread"), "{table}");
    let again = desk.ask(&pause).good();
    assert_eq!(again["before"], why.as_str(), "the first reason stays: {again}");

    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        desk.host.take().expect("runs").ends(signal);
        desk.start_host();
        assert_eq!(paused(&desk).as_deref(), Some(why.as_str()), "after {signal}");
    }
    // A plugin that goes is paused when it comes back, and meanwhile the pause is shown.
    let file = desk.path("plugins/sma_cross.wasm");
    fs::remove_file(&file).expect("ours");
    wait_for("the strategy to go", SOON, || {
        desk.ask(&["strategies"]).good()["strategies"].as_array()?.is_empty().then_some(())
    });
    assert_eq!(desk.ask(&["status"]).good()["paused"]["sma_cross"], why.as_str());
    fs::copy(plugin("sma_cross"), &file).expect("copied");
    let (back, _) = wait_for("the strategy, as paused", SOON, || paused(&desk));
    assert_eq!(back, why);

    let lifted = desk.ask(&["resume", "sma_cross", "--reason", "looked"]).good();
    assert_eq!((lifted["result"].as_str(), lifted["was"].as_str()), (Some("resumed"), Some(why.as_str())));
    assert_eq!(paused(&desk), None);
    assert_eq!(desk.ask(&["resume", "sma_cross", "--reason", "again"]).good()["result"], "not-paused");
    desk.host.take().expect("runs").ends(Signal::SIGKILL);
    desk.start_host();
    assert_eq!(paused(&desk), None, "it stays lifted");
    let audits = desk.audits();
    for line in [" pause sma_cross: the spread", " resume sma_cross: looked (it was: "] {
        assert!(audits.iter().any(|audit| audit.contains("ann") && audit.contains(line)), "{audits:#?}");
    }
    let log = desk.log();
    for event in ["event=\"strategy-paused\"", "event=\"strategy-resumed\""] {
        assert!(log.contains(event), "{log}");
    }
}

#[test]
fn a_name_that_is_misspelt_is_refused_with_the_nearest() {
    let desk = Desk::start();
    let check = |args: &[&str], sentence: &str| {
        let said = desk.ask(args);
        assert_eq!((said.code, said.json()["exit_code"].as_i64()), (Some(2), Some(2)), "{said:?}");
        assert!(said.error.contains(sentence), "{said:?}");
    };
    let nearest = "there is no strategy smacross; did you mean sma_cross? there are: sma_cross";
    check(&["pause", "smacross", "--reason", "r"], nearest);
    check(&["resume", "smacross", "--reason", "r"], nearest);
    check(&["pause", "Not a name", "--reason", "r"], "Not a name");
    check(&["pause", "sma_cross", "--reason", " "], "the reason must be one line");
    assert_eq!(desk.ask(&["pause", "sma_cross"]).code, Some(2), "a reason is needed");
    assert_eq!(desk.ask(&["status"]).good()["paused"], serde_json::json!({}));
    assert!(!desk.audits().iter().any(|audit| audit.contains("pause")));
}

/// What the strategy holds, by symbol.
fn held(positions: &Value, strategy: &str) -> BTreeMap<String, f64> {
    let rows = positions["positions"].as_array().expect("a list").iter();
    let own = |row: &Value| {
        let holdings = row["holdings"].as_array().expect("a list").iter();
        let own = holdings
            .filter(|holding| holding["strategy"] == strategy)
            .find_map(|own| own["qty"].as_str()?.parse::<f64>().ok())?;
        Some((row["symbol"].as_str()?.to_owned(), own))
    };
    rows.filter_map(own).collect()
}

#[test]
fn a_paused_strategy_only_reduces_and_the_others_trade() {
    let demo = Demo::trading("60");
    let config = demo.path("host.toml");
    let ask = |args: &[&str]| sandpit(&config, &[args, &["--json"]].concat());
    let holds = || held(&ask(&["positions"]).good(), "rebalance");
    wait_for("a position", Duration::from_secs(60), || (!holds().is_empty()).then_some(()));
    ask(&["pause", "rebalance", "--reason", "enough of it"]).good();
    wait_for("no open order of it", SOON, || {
        ask(&["orders", "--strategy", "rebalance"]).good()["orders"].as_array()?.is_empty().then_some(())
    });
    let before = holds();
    let refused = |status: &Value| status["refusals"]["paused"].as_u64().unwrap_or(0);
    wait_for("an entry that is refused", Duration::from_secs(120), || {
        (refused(&demo.host_status()?) > 0).then_some(())
    });
    let (pid, _) = demo.host_pid(None, SOON);
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the host is ours");
    demo.host_pid(Some(pid), SOON);
    wait_for("the next host, which refuses as well", Duration::from_secs(120), || {
        (refused(&demo.host_status()?) > 0).then_some(())
    });
    for (symbol, shares) in holds() {
        let had = before.get(&symbol).copied().unwrap_or(0.0);
        assert!(shares <= had, "{symbol}: {had} before, {shares} now");
    }
    let orders = |name: &str| {
        let shown = ask(&["strategies"]).good();
        let rows = shown["strategies"].as_array().expect("a list").clone();
        rows.iter().find(|row| row["name"] == name).and_then(|row| row["orders"].as_u64())
    };
    let others = orders("sma_cross");
    wait_for("the other strategy's next order", Duration::from_secs(120), || {
        (orders("sma_cross") > others).then_some(())
    });
    ask(&["resume", "rebalance", "--reason", "go on"]).good();
    let own = orders("rebalance");
    wait_for("an order of it again", Duration::from_secs(120), || (orders("rebalance") > own).then_some(()));
    demo.books_agree();
    demo.nothing_lost_or_doubled();
}
