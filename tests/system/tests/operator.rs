//! What operators do with a running host, with the real programs: they look, cancel, freeze and lift it; and
//! what they are told when there is no host, when it hangs, when they are nobody to ask.

use std::{
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    process::Command,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use sandpit_system_tests::{Demo, Desk, Said, binary, said, sandpit, wait_for};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

/// Somebody who is neither root nor a host's user.
const NOBODY: &str = "65534";

#[test]
fn orders_are_cancelled_by_id_symbol_strategy_and_all() {
    let desk = Desk::start();
    let first = desk.rests("1", "SPY", "1.01");
    desk.rests("2", "SPY", "1.02");
    desk.rests("3", "QQQ", "1.03");
    let shown = sandpit(&desk.config(), &["orders"]);
    assert!(shown.text.contains(&first) && shown.text.contains("limit 1.01"), "{shown:?}");
    assert!(shown.text.lines().all(|line| line.chars().count() <= 102), "ids are never cut off: {shown:?}");

    let cancelled = desk.ask(&["cancel", &first, "--reason", "one of them"]).good();
    assert_eq!(cancelled["orders"], json!([first]), "{cancelled}");
    wait_for("two left", SOON, || (desk.open_at_broker() == 2 && desk.orders().len() == 2).then_some(()));
    let over = desk.ask(&["cancel", &first, "--reason", "again"]).good();
    assert_eq!(
        (over["result"].as_str(), over["status"].as_str()),
        (Some("over"), Some("canceled")),
        "{over}"
    );

    desk.ask(&["cancel", "--symbol", "QQQ", "--reason", "that symbol"]).good();
    wait_for("one left", SOON, || (desk.open_at_broker() == 1 && desk.orders().len() == 1).then_some(()));
    desk.ask(&["cancel", "--strategy", "sma_cross", "--reason", "that strategy"]).good();
    desk.none_is_open();
    desk.rests("4", "QQQ", "1.04");
    let all = desk.ask(&["cancel", "--all", "--reason", "all of them"]).good();
    assert_eq!(all["orders"].as_array().map(Vec::len), Some(1), "{all}");
    desk.none_is_open();

    let check = |args: &[&str], code: i32, sentence: &str| {
        let said = desk.ask(args);
        assert_eq!(
            (said.code, said.json()["exit_code"].as_i64()),
            (Some(code), Some(code.into())),
            "{said:?}"
        );
        assert!(said.error.contains(sentence), "{said:?}");
    };
    let unknown = "sp-sma_cross-00000000000000aa-77";
    check(&["cancel", unknown, "--reason", "r"], 2, "no order sp-sma_cross-00000000000000aa-77 is known");
    check(&["cancel", "my-order", "--reason", "r"], 2, "is not a client order id of ours");
    check(&["cancel", "--strategy", "smacross", "--reason", "r"], 2, "there is no strategy \"smacross\"");
    check(&["cancel", "--all", "--reason", " "], 2, "the reason must be one line");
    assert_eq!(desk.ask(&["cancel", "--reason", "nothing named"]).code, Some(2));
    assert_eq!(desk.ask(&["cancel", "--all", "--symbol", "SPY", "--reason", "both"]).code, Some(2));

    let audits = desk.audits();
    let uid = geteuid();
    for (count, line) in [
        (1, "one of them"),
        (1, "again (nothing of it is open)"),
        (1, "that symbol (all in QQQ: 1 open, 0 waiting)"),
    ] {
        let found: Vec<&String> = audits.iter().filter(|audit| audit.contains(line)).collect();
        assert!(found.len() >= count, "{line}: {audits:#?}");
        assert!(found.iter().all(|audit| audit.contains("ann") && audit.contains(&format!("uid {uid}"))));
    }
    assert_eq!(desk.broker("/v2/positions"), json!([]), "nothing was bought");
}

#[test]
fn an_order_that_fills_while_it_is_cancelled_is_counted_once() {
    let desk = Desk::start();
    desk.rests("1", "SPY", "1.05");
    let fault = desk.post("/sim/faults", &json!({"kind": "stuck_cancels"}));
    assert!(fault["id"].is_u64(), "{fault}");
    desk.ask(&["cancel", "--all", "--reason", "too late"]).good();
    wait_for("the wish to be known", SOON, || {
        (desk.orders().first()?["status"] == "cancelling").then_some(())
    });
    let quote =
        json!({"quote": {"symbol": "SPY", "bid": 1.00, "bid_size": 900, "ask": 1.01, "ask_size": 900}});
    desk.post("/sim/inject", &quote);
    wait_for("the fill", SOON, || {
        desk.post("/sim/inject", &quote);
        (desk.open_at_broker() == 0 && desk.orders().is_empty()).then_some(())
    });
    let held = desk.ask(&["positions"]).good();
    let position = &held["positions"][0];
    assert_eq!(
        (position["qty"].as_str(), position["holdings"][0]["strategy"].as_str()),
        (Some("2"), Some("sma_cross"))
    );
    assert_eq!(desk.broker("/v2/positions")[0]["qty"], "2");
    let orders = desk.broker("/v2/orders?status=all&limit=500");
    assert_eq!(orders.as_array().map(Vec::len), Some(1), "none was sent: {orders}");
}

#[test]
fn a_freeze_outlives_the_host_and_is_lifted_running_or_stopped() {
    let mut desk = Desk::start();
    desk.rests("1", "SPY", "1.01");
    let frozen = desk.ask(&["freeze", "--reason", "to have a look"]).good();
    assert_eq!(frozen["orders"].as_array().map(Vec::len), Some(1), "the entry that rests: {frozen}");
    desk.none_is_open();
    let is_frozen = |desk: &Desk| desk.ask(&["status"]).good()["frozen"].as_str().map(str::to_owned);
    assert!(is_frozen(&desk).is_some_and(|why| why.contains("ann") && why.contains("to have a look")));

    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        desk.host.take().expect("runs").ends(signal);
        desk.start_host();
        assert!(is_frozen(&desk).is_some_and(|why| why.contains("to have a look")), "after {signal}");
    }
    let lifted = desk.ask(&["unfreeze", "--reason", "looked"]).good();
    assert_eq!(lifted["result"], "unfrozen");
    assert_eq!(is_frozen(&desk), None);
    assert_eq!(desk.ask(&["unfreeze", "--reason", "again"]).good()["result"], "not-frozen");

    desk.ask(&["freeze", "--reason", "once more"]).good();
    let rebase = desk.ask(&["unfreeze", "--rebase", "--reason", "measure anew"]);
    assert_eq!(rebase.code, Some(12), "a running host cannot be measured anew: {rebase:?}");
    desk.host.take().expect("runs").ends(Signal::SIGTERM);
    let stopped = desk.ask(&["unfreeze", "--reason", "looked, and stopped it"]).good();
    assert_eq!(stopped["result"], "stopped-host", "{stopped}");
    desk.start_host();
    assert_eq!(is_frozen(&desk), None);
    let audits = desk.audits();
    let count = |word: &str| audits.iter().filter(|audit| audit.contains(&format!(" {word} "))).count();
    assert_eq!((count("freeze"), count("unfreeze")), (2, 2), "{audits:#?}");
}

#[test]
fn where_no_host_runs_every_command_says_so_and_a_stale_socket_is_replaced() {
    let mut desk = Desk::start();
    let commands: [&[&str]; 8] = [
        &["status"],
        &["orders"],
        &["positions"],
        &["strategies"],
        &["cancel", "--all", "--reason", "r"],
        &["freeze", "--reason", "r"],
        &["pause", "sma_cross", "--reason", "r"],
        &["logs"],
    ];
    for args in commands {
        let said = desk.ask(args);
        assert!(said.code == Some(0) || args[0] == "logs", "{said:?}");
        assert!(said.text.is_empty() || said.json().is_object(), "{said:?}");
    }
    desk.ask(&["unfreeze", "--reason", "r"]).good();
    desk.host.take().expect("runs").ends(Signal::SIGKILL);
    assert!(desk.socket().exists(), "it could not take it away");
    for args in commands {
        let said = desk.ask(args);
        assert_eq!(said.code, Some(18), "{args:?}: {said:?}");
        assert!(said.error.contains("no host answers at"), "{args:?}: {said:?}");
    }
    desk.start_host();
    let mode = fs::metadata(desk.socket()).expect("made anew").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    wait_for("an answer", SOON, || (desk.ask(&["freeze", "--reason", "r"]).code == Some(0)).then_some(()));
    desk.host.take().expect("runs").ends(Signal::SIGTERM);
    assert!(!desk.socket().exists(), "a host that ends in good order leaves none");

    // Somebody else's socket, who says nothing and is no host: he keeps it, and is not believed.
    let _other = UnixListener::bind(desk.socket()).expect("bound");
    let said = desk.ask(&["freeze", "--reason", "r"]);
    assert_eq!(said.code, Some(18), "{said:?}");
    assert!(said.error.contains("does not answer within 5s"), "{said:?}");
    desk.host = None;
}

#[test]
fn a_host_that_hangs_is_given_up_and_does_nothing_late() {
    let desk = Desk::start();
    desk.rests("1", "SPY", "1.01");
    let pid = desk.host.as_ref().expect("runs").pid();
    kill(pid, Signal::SIGSTOP).expect("our own child");
    let asks: [&[&str]; 3] =
        [&["cancel", "--all", "--reason", "hangs"], &["freeze", "--reason", "hangs"], &["status"]];
    let given_up: Vec<Said> = std::thread::scope(|scope| {
        let asked = asks.map(|args| scope.spawn(|| desk.ask(args)));
        asked.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    kill(pid, Signal::SIGCONT).expect("our own child");
    for said in given_up {
        assert_eq!(said.code, Some(18), "{said:?}");
        assert!(said.error.contains("does not answer within 5s: it hangs or is stopped"), "{said:?}");
    }
    // What was asked for while it hung came to its ears by now: these answers came after it.
    for _ in 0..3 {
        assert_eq!(desk.ask(&["unfreeze", "--reason", "is it?"]).good()["result"], "not-frozen");
    }
    assert_eq!(desk.orders().len(), 1, "nothing was cancelled");
    assert!(!desk.audits().iter().any(|audit| audit.contains("hangs")), "{:?}", desk.audits());
}

#[test]
fn nobody_else_is_heard() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root can become somebody else");
        return;
    }
    let desk = Desk::start();
    desk.rests("1", "SPY", "1.01");
    // Nobody has to get as far as the socket, and to the program.
    for folder in ["", "state"] {
        fs::set_permissions(desk.path(folder), fs::Permissions::from_mode(0o755)).expect("ours");
    }
    fs::copy(binary("sandpit"), desk.path("sandpit")).expect("copied");
    let as_nobody = |args: &[&str]| {
        let output = Command::new("setpriv")
            .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
            .arg(desk.path("sandpit"))
            .args(args)
            .args(["--json", "--config"])
            .arg(desk.config())
            .env_remove("PANEL_TOKEN")
            .output();
        said(&output.expect("setpriv runs"))
    };
    let cancel = ["cancel", "--all", "--reason", "mischief"];
    assert_eq!(as_nobody(&["orders"]).good()["orders"].as_array().map(Vec::len), Some(1), "he may look");
    for mode in [0o600, 0o666] {
        // With a file that lets him through, the host itself asks the kernel.
        fs::set_permissions(desk.socket(), fs::Permissions::from_mode(mode)).expect("ours");
        let pause = ["pause", "sma_cross", "--reason", "mischief"];
        let resume = ["resume", "sma_cross", "--reason", "mischief"];
        let [freeze, unfreeze] = ["freeze", "unfreeze"].map(|deed| [deed, "--reason", "mischief"]);
        for args in [&cancel[..], &freeze, &unfreeze, &pause, &resume] {
            let said = as_nobody(args);
            assert_eq!(said.code, Some(19), "{mode:o} {said:?}");
            assert!(said.error.contains("for root and the host's own user only"), "{said:?}");
        }
    }
    assert_eq!((desk.orders().len(), desk.open_at_broker()), (1, 1));
    assert!(!desk.audits().iter().any(|audit| audit.contains("mischief")));
}

#[test]
fn callers_who_say_nothing_or_too_much_keep_nobody_out() {
    let desk = Desk::start();
    let connect = || std::os::unix::net::UnixStream::connect(desk.socket()).expect("it listens");
    let mut loud = connect();
    let head = "POST /wish HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    loud.write_all(head.as_bytes()).expect("taken");
    let _ = loud.write_all(&vec![b'x'; 1_000_000]);
    // All places are taken by the silent, and are free again when their time is over.
    let _silent: Vec<_> = (0..12).map(|_| connect()).collect();
    assert!(desk.status().is_some(), "the loops do not care");
    let full = desk.ask(&["unfreeze", "--reason", "r"]);
    assert_eq!(full.code, Some(18), "{full:?}");
    assert!(full.error.contains("no room for one more caller"), "{full:?}");
    wait_for("a place", Duration::from_secs(60), || {
        (desk.ask(&["unfreeze", "--reason", "r"]).code == Some(0)).then_some(())
    });
}

#[test]
fn the_configuration_and_the_log_are_shown() {
    let desk = Desk::start();
    let shown = desk.ask(&["config", "show"]).good();
    let values = shown["values"].as_array().expect("a list");
    let from = |key: &str| values.iter().find(|one| one["key"] == key).map(|one| one["from"].clone());
    assert_eq!(from("mode"), Some("file".into()));
    assert_eq!(from("limits.position_percent"), Some("default".into()));
    assert!(sandpit(&desk.config(), &["config", "show"]).text.contains("control_socket"));
    if Path::new("/run/systemd/system").exists() {
        eprintln!("SKIPPED: this machine has a journal, which is looked at instead of the host's file");
        return;
    }
    // The socket is made beside the start, and may be later than what `start` waits for.
    wait_for("the line", Duration::from_secs(20), || {
        let log = desk.ask(&["logs", "-n", "3", "--grep", "operators are heard"]).good();
        (log["lines"].as_array().map(Vec::len) == Some(1)).then_some(())
    });
    let log = sandpit(&desk.config(), &["logs", "-n", "2"]);
    assert_eq!((log.code, log.text.lines().count()), (Some(0), 2), "{log:?}");
}

#[test]
fn a_trading_host_is_looked_at_frozen_and_cancelled_and_nothing_is_lost_or_doubled() {
    let demo = Demo::trading("60");
    let config = demo.path("host.toml");
    let ask = |args: &[&str]| sandpit(&config, &[args, &["--json"]].concat());
    let status = ask(&["status"]).good();
    assert_eq!(
        (status["mode"].as_str(), status["reconciled"].as_bool()),
        (Some("paper"), Some(true)),
        "{status}"
    );
    assert!(status["lease_ms_left"].as_u64() > Some(0), "{status}");
    assert_eq!(ask(&["strategies"]).good()["strategies"].as_array().map(Vec::len), Some(2));
    wait_for("a position with a price", SOON, || {
        let held = ask(&["positions"]).good();
        held["positions"].as_array()?.iter().find(|row| row["value_usd"].is_number()).map(|_| ())
    });
    // Two at once, again and again, while it trades.
    for _ in 0..5 {
        std::thread::scope(|scope| {
            for whose in [["--strategy", "sma_cross"], ["--strategy", "rebalance"]] {
                let ask = &ask;
                scope.spawn(move || ask(&["cancel", whose[0], whose[1], "--reason", "two at once"]).good());
            }
        });
    }
    ask(&["freeze", "--reason", "enough"]).good();
    let refused = |status: Value| status["orders"]["refused"].as_u64().expect("a number");
    let before = refused(ask(&["status"]).good());
    wait_for("an entry that is refused", Duration::from_secs(120), || {
        (refused(ask(&["status"]).good()) > before).then_some(())
    });
    let (pid, _) = demo.host_pid(None, SOON);
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the host is ours");
    demo.host_pid(Some(pid), SOON);
    let back =
        || ask(&["status"]).json()["frozen"].as_str().map(|why| assert!(why.contains("enough"), "{why}"));
    wait_for("the next host, as frozen", SOON, back);
    wait_for("a host that hears", SOON, || {
        (ask(&["unfreeze", "--reason", "go on"]).code == Some(0)).then_some(())
    });
    let fills = demo.sim_status()["fills"].as_u64();
    wait_for("trading again", Duration::from_secs(120), || {
        (demo.sim_status()["fills"].as_u64() > fills).then_some(())
    });
    demo.books_agree();
    demo.nothing_lost_or_doubled();
}
