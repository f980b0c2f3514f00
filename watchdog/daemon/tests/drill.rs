//! Drills with the real binary: a whole kill on an account of its own, and everything that must not happen.

mod drill_bench;

use std::{fs, os::unix::process::CommandExt, process::Command, time::Duration};

use drill_bench::{Bench, signal, wait};
use rustix::{
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
        socket_with,
    },
    process::Signal,
};
use sandpit_contract::{DrillOutcome, DrillStatus, MAX_MESSAGE_BYTES, State, ToWatchdog, encode};
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

/// The traded account is asked who it is, and nothing else.
fn assert_traded_account_is_untouched(bench: &Bench) {
    let requests = bench.traded.account().requests.clone();
    let is_harmless = |request: &String| request.starts_with("GET /v2/account traded-key");
    assert!(requests.iter().all(is_harmless), "{requests:?}");
}

/// As it was before.
fn assert_drill_account_is_clean(bench: &Bench) {
    let account = bench.drill.account();
    assert!(account.open() == 0 && !account.is_suspended, "{:?}", account.orders);
    assert!(!bench.state().join("drill").exists(), "the stage is gone");
}

/// Not a test: a process of another user, who says that all is well.
#[test]
#[ignore = "it is the stranger of another test"]
fn stranger() {
    let Some(path) = std::env::var_os("STRANGER_SOCKET") else {
        return;
    };
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let socket = socket.expect("a socket");
    connect(&socket, &SocketAddrUnix::new(path).expect("short")).expect("it may connect");
    let text = "all is well".into();
    let drill = DrillStatus { at_unix_s: 1, outcome: DrillOutcome::WithinBounds, text };
    let packet = encode(&ToWatchdog::Drilled(drill)).expect("short");
    send(&socket, &packet, SendFlags::NOSIGNAL).expect("sent");
    let answer = recv(&socket, &mut [0; MAX_MESSAGE_BYTES][..], RecvFlags::empty());
    println!("answered: {}", matches!(answer, Ok((bytes, _)) if bytes > 0));
}

/// Needs root, to become somebody else: without, only the watchdog's own user is tried.
#[test]
fn drills_are_told_by_the_watchdogs_own_user_only() {
    let bench = Bench::new();
    let dog = bench.run();
    dog.line("watching at", 10 * SECOND);
    let socket = bench.open_to_all();
    let tell = |uid: Option<u32>| {
        let mut command = Command::new("/proc/self/exe");
        command.args(["--exact", "stranger", "--ignored", "--nocapture"]).env("STRANGER_SOCKET", &socket);
        uid.map(|uid| command.uid(uid));
        let output = command.output().expect("it runs");
        (String::from_utf8_lossy(&output.stdout).contains("answered: true"), output.status.success())
    };
    if rustix::process::getuid().is_root() {
        assert_eq!(tell(Some(65_534)), (false, true));
        dog.line("drills are told by the watchdog's own user only", 5 * SECOND);
        assert_eq!(bench.status().expect("it answers").last_drill, None);
    }
    assert_eq!(tell(None), (true, true));
    assert!(bench.status().expect("it answers").last_drill.is_some());
}

#[test]
fn a_drill_kills_twice_proves_it_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let (code, record, said) = bench.drill();
    assert_eq!(code, Some(0), "{said}");
    let record = record.expect("a record");
    println!("{record}");
    assert_eq!((&record["outcome"], &record["brackets"]), (&json!("within-bounds"), &json!(2)));
    for name in [
        "fenced_ms",
        "host_dead_ms",
        "latched_ms",
        "suspended_ms",
        "first_cancel_ms",
        "zero_seen_ms",
        "confirmed_ms",
        "resume_ms",
    ] {
        assert!(record["figures"][name].is_u64(), "{name} of {record}");
    }
    assert_eq!(bench.records(), [record]);
    assert_drill_account_is_clean(&bench);
    assert_traded_account_is_untouched(&bench);
    let account = bench.drill.account();
    let prefixed = |order: &serde_json::Value| {
        order["client_order_id"].as_str().is_some_and(|id| id.starts_with("sp-drill-"))
    };
    assert!(account.orders.len() == 11 && account.orders.iter().all(prefixed), "{:?}", account.orders);
    assert!(account.requests.iter().all(|request| request.ends_with(" drill-key")));
    assert_eq!(account.requests.iter().filter(|request| request.starts_with("POST")).count(), 11);
}

#[test]
fn an_account_without_brackets_and_slow_cancels_are_drilled_and_told() {
    let mut bench = Bench::new();
    bench.settings = bench.settings.replace("first_cancel_ms = 20000", "first_cancel_ms = 250");
    {
        let mut account = bench.drill.account();
        (account.takes_no_brackets, account.cancel_ms) = (true, 300);
    }
    let dog = bench.run();
    dog.line("watching at", 10 * SECOND);
    let (code, record, said) = bench.drill();
    assert_eq!(code, Some(16), "{said}");
    let record = record.expect("a record");
    assert_eq!((&record["slow"], &record["brackets"]), (&json!(["first_cancel_ms"]), &json!(0)));
    dog.line("alert drill-slow: drill slow: 6 orders; ", 5 * SECOND);
    let last = bench.status().and_then(|status| status.last_drill).expect("told");
    assert!(last.outcome == DrillOutcome::Slow && last.text.contains("(bound 250)"), "{last:?}");
    assert_drill_account_is_clean(&bench);
    // The next life knows it from the file.
    drop(dog);
    let dog = bench.run();
    dog.line("watching at", 10 * SECOND);
    assert_eq!(bench.status().and_then(|status| status.last_drill), Some(last));
}

#[test]
fn a_traded_account_and_a_busy_one_are_refused_and_untouched() {
    let refused = |bench: &Bench, code: i32, word: &str| {
        let (got, _, said) = bench.drill();
        assert!(got == Some(code) && said.contains(word), "{got:?} {said}");
        for broker in [&bench.drill, &bench.traded] {
            let account = broker.account();
            let is_touched = ["POST", "DELETE", "PATCH"].iter().any(|method| account.did(method));
            assert!(!is_touched, "{:?}", account.requests);
        }
    };
    let mut bench = Bench::new();
    let good = bench.drill.url.clone();
    for url in ["https://api.alpaca.markets", "https://paper-api.alpaca.markets:444", "http://10.0.0.1:1"] {
        bench.drill.url = url.into();
        refused(&bench, 10, "may be https://paper-api.alpaca.markets or a loopback address");
    }
    // Another key that leads to the same account, at the same broker, or to one with the same id elsewhere.
    bench.drill.url.clone_from(&bench.traded.url);
    refused(&bench, 10, "leads to the traded account");
    bench.drill.url = good;
    bench.drill.account().id = "traded-account".into();
    refused(&bench, 10, "leads to the traded account");
    // The very same key.
    bench.drill.account().id = "drill-account".into();
    bench.traded.url = bench.drill.url.replace("127.0.0.1", "localhost");
    bench.drill_key = "traded-key";
    refused(&bench, 10, "is the key of the traded account");
    // The same, and perhaps the same account by another way: nobody is there to say.
    bench.traded.url = "http://127.0.0.1:9".into();
    refused(&bench, 10, "DRILL_APCA_API_KEY_ID is APCA_API_KEY_ID");
    assert_eq!(bench.records(), [] as [serde_json::Value; 0], "nothing was held");

    let bench = Bench::new();
    bench.drill.account().is_suspended = true;
    refused(&bench, 15, "suspended there already");
    assert!(bench.drill.account().is_suspended, "somebody else's suspension stays");
    bench.drill.account().is_suspended = false;
    bench.drill.account().orders =
        vec![json!({ "id": "foreign", "client_order_id": "mine", "status": "new" })];
    refused(&bench, 15, "the order foreign is open there");
    bench.drill.account().orders.clear();
    bench.drill.account().positions = vec![json!({ "symbol": "QQQ", "qty": "1", "qty_available": "1" })];
    refused(&bench, 15, "a position in QQQ");
    assert_eq!(bench.records().len(), 3);
}

/// Needs root, as whoever makes this mistake.
#[test]
fn a_drill_of_another_user_is_refused_and_leaves_nothing() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let bench = Bench::new();
    fs::create_dir(bench.state()).expect("created");
    std::os::unix::fs::chown(bench.state(), Some(1), Some(1)).expect("root may");
    let (code, _, said) = bench.drill();
    assert!(code == Some(10) && said.contains("belongs to user 1"), "{code:?} {said}");
    assert_eq!(fs::read_dir(bench.state()).expect("readable").count(), 0);
    assert!(bench.drill.account().requests.is_empty());
}

#[test]
fn a_stage_that_cannot_be_set_is_cleaned_up() {
    let bench = Bench::new();
    bench.drill.account().takes = Some(3);
    let (code, record, said) = bench.drill();
    let record = record.expect("a record");
    assert!(code == Some(31) && said.contains("could not be placed"), "{said}");
    assert_eq!(record["left"], json!([]));
    assert_eq!(bench.drill.account().orders.len(), 3);
    assert_drill_account_is_clean(&bench);
}

#[test]
fn a_watchdog_that_is_wrong_about_zero_fails_the_drill() {
    let bench = Bench::new();
    bench.drill.account().hides_one = true;
    let (code, record, said) = bench.drill();
    let record = record.expect("a record");
    assert!(
        code == Some(31) && said.contains("our own look differs: the order o0 is not cancelled"),
        "{said}"
    );
    assert!(record["figures"]["zero_seen_ms"].is_u64(), "the watchdog was satisfied: {record}");
}

#[test]
fn what_cannot_be_cleaned_up_is_named_and_the_next_drill_cleans_it_up() {
    let mut bench = Bench::new();
    bench.settings = bench.settings.replace("20000", "1000");
    bench.drill.account().is_stuck = true;
    let dog = bench.run();
    dog.line("watching at", 10 * SECOND);
    let (code, record, said) = bench.drill();
    let record = record.expect("a record");
    assert!(code == Some(31) && said.contains("not proved: flag -> ZERO_SEEN"), "{said}");
    let left: Vec<_> = (0..6).map(|n| format!("order o{n}")).collect();
    assert_eq!(record["left"], json!(left), "lifted, but not cancelled");
    assert!(!bench.drill.account().is_suspended);
    assert!(bench.state().join("drill/account").exists(), "the mark stays");
    dog.line("alert drill-failed: drill failed: ", 5 * SECOND);

    bench.drill.account().is_stuck = false;
    bench.settings = bench.settings.replace("1000", "20000");
    let (code, _, said) = bench.drill();
    assert_eq!(code, Some(0), "{said}");
    assert_drill_account_is_clean(&bench);
    assert_traded_account_is_untouched_but_by_the_watchdog(&bench);
}

/// The real watchdog asks for the configuration and cancels nothing.
fn assert_traded_account_is_untouched_but_by_the_watchdog(bench: &Bench) {
    let account = bench.traded.account();
    assert!(!["POST", "DELETE", "PATCH"].iter().any(|method| account.did(method)), "{:?}", account.requests);
}

#[test]
fn a_stopped_drill_cleans_up_and_a_killed_one_leaves_that_to_the_next() {
    let bench = Bench::new();
    let drill = bench.start_drill();
    wait("orders", 30 * SECOND, || bench.drill.account().open() > 0);
    signal(&drill, Signal::TERM);
    let (code, record, said) = Bench::result(&drill.wait_with_output().expect("it ends"));
    assert!(code == Some(31) && said.contains("it was stopped"), "{said}");
    assert_eq!(record.expect("a record")["left"], json!([]));
    assert_drill_account_is_clean(&bench);

    let drill = bench.start_drill();
    wait("a suspension", 30 * SECOND, || bench.drill.account().is_suspended);
    // One at a time.
    let (code, record, said) = bench.drill();
    assert!(code == Some(31) && record.is_none() && said.contains("another drill runs"), "{said}");
    signal(&drill, Signal::KILL);
    drill.wait_with_output().expect("it ends");
    // Its watchdog dies with it: nobody suspends any more.
    assert!(bench.state().join("drill/account").exists(), "the mark stays");
    let (code, _, said) = bench.drill();
    assert_eq!(code, Some(0), "{said}");
    assert_drill_account_is_clean(&bench);
    assert_traded_account_is_untouched(&bench);
}

#[test]
fn a_watchdog_holds_drills_by_itself_but_not_while_killed() {
    let bench = Bench::new();
    let long_ago = json!({
        "at_unix_s": 1, "outcome": "within-bounds", "account": null, "orders": 1, "brackets": 0,
        "figures": {}, "bounds": {}, "slow": [], "failure": null, "left": [],
    });
    fs::create_dir_all(bench.state()).expect("created");
    fs::write(bench.state().join("drills.jsonl"), format!("{long_ago}\n")).expect("written");
    bench.put_flag();
    let dog = bench.run();
    dog.line("alert drill-overdue: no drill was held", 10 * SECOND);
    dog.line("[KILL] ZERO_SEEN", 10 * SECOND);
    assert_eq!(bench.status().map(|status| status.state), Some(State::Killed));
    assert!(bench.drill.account().requests.is_empty(), "a kill is in force");
    drop(dog);
    fs::remove_file(bench.state().join("latch")).expect("there");
    fs::remove_file(bench.state().parent().expect("a directory").join("KILL")).expect("there");

    let dog = bench.run();
    dog.line("drill started", 10 * SECOND);
    dog.line("alert drill-passed: drill within-bounds: 6 orders; ", 60 * SECOND);
    let last = bench.status().and_then(|status| status.last_drill).expect("told");
    assert_eq!(last.outcome, DrillOutcome::WithinBounds);
    assert_eq!(bench.records().len(), 2);
    assert_drill_account_is_clean(&bench);
    assert_eq!(bench.drill.account().orders.len(), 11, "one drill, no more");
}
