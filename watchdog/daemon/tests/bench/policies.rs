//! What each policy does at the broker, with the real binary.

use std::{fs, time::Duration};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use sandpit_contract::{BrokerProof, State};

use super::bench::{Bench, Desk, signal};

const SECOND: Duration = Duration::from_secs(1);

fn bench(policy: &str) -> Bench {
    let bench = Bench::new("spawn");
    bench.write_config(&bench.config_text().replace("[kill]", &format!("[kill]\npolicy = {policy:?}")));
    bench.arm();
    bench
}

fn ends_in(bench: &Bench, word: BrokerProof) {
    bench.wait(20 * SECOND, |status| status.state == State::Killed && status.broker == Some(word));
}

fn position(requests: &[String], beginning: &str) -> Option<usize> {
    requests.iter().rposition(|request| request.starts_with(beginning))
}

const SUSPENDS: &str = r#"PATCH /v2/account/configurations {"suspend_trade":true}"#;

#[test]
fn cancel_keep_stops_leaves_what_protects() {
    let bench = bench("cancel-keep-stops");
    bench.broker.desk(|desk| {
        desk.positions = [("A".into(), 10), ("B".into(), -5)].into();
        let parent = serde_json::json!({"id": "p", "client_order_id": "sp-p", "status": "filled", "symbol":
            "A", "order_class": "bracket", "legs": [
                Desk::order("t", "limit", "sell", "A", 10), Desk::order("s", "stop", "sell", "A", 10)]});
        desk.orders = vec![
            parent,
            Desk::order("b", "trailing_stop", "buy", "B", 5),
            Desk::order("over", "stop", "buy", "B", 1),
            Desk::order("entry", "limit", "buy", "C", 1),
            Desk::order("alone", "limit", "sell", "A", 1),
        ];
    });
    let dog = bench.run();
    bench.leased(10 * SECOND);
    fs::write(bench.flag(), b"").expect("a flag");
    dog.line("[KILL] ZERO_SEEN open=0 kept=3", 10 * SECOND);
    ends_in(&bench, BrokerProof::StopsOnly);
    let requests = bench.broker.requests();
    let mut gone: Vec<&str> = requests.iter().filter_map(|r| r.strip_prefix("DELETE /v2/orders")).collect();
    gone.sort_unstable();
    gone.dedup();
    assert_eq!(gone, ["/alone", "/entry", "/over"], "{requests:?}");
    assert!(bench.broker.is_suspended());
}

#[test]
fn flatten_closes_everything_and_suspends_last() {
    let bench = bench("flatten");
    bench.broker.desk(|desk| {
        desk.positions = [("A".into(), 10), ("B".into(), -5)].into();
        desk.orders = vec![Desk::order("s", "stop", "sell", "A", 10)];
    });
    let dog = bench.run();
    bench.leased(10 * SECOND);
    fs::write(bench.flag(), b"").expect("a flag");
    dog.line("[KILL] ZERO_SEEN open=0 positions=0", 10 * SECOND);
    ends_in(&bench, BrokerProof::Flat);
    let requests = bench.broker.requests();
    let (closed, suspended) = (position(&requests, "DELETE /v2/positions"), position(&requests, SUSPENDS));
    assert!(closed.is_some() && closed < suspended, "{requests:?}");
    assert!(position(&requests, "DELETE /v2/orders") < closed, "{requests:?}");
    // Arming lifts our suspension as after any kill.
    fs::remove_file(bench.flag()).expect("ours");
    let (code, text) = bench.command(&["arm", "--reason", "checked"]);
    assert!(code == Some(0) && text.contains("lifted") && !bench.broker.is_suspended(), "{code:?} {text}");
}

#[test]
fn a_next_life_goes_on_with_the_policy_of_the_latch() {
    let bench = bench("flatten");
    bench.broker.desk(|desk| {
        desk.positions = [("A".into(), 10)].into();
        desk.is_closed = true;
    });
    let dog = bench.run();
    bench.leased(10 * SECOND);
    fs::write(bench.flag(), b"").expect("a flag");
    dog.line("the market is closed, closing orders wait until it opens at 2026-11-23T09:30", 10 * SECOND);
    bench.wait(10 * SECOND, |status| status.state == State::Killed);
    signal(dog.pid(), "KILL");
    drop(dog);
    bench.write_config(&bench.config_text());
    let dog = bench.run();
    dog.line("the market is closed", 10 * SECOND);
    assert!(!bench.broker.is_suspended(), "a suspended account closes nothing");
    bench.broker.desk(|desk| {
        let open: Vec<&str> = desk.orders.iter().filter_map(|order| order["id"].as_str()).collect();
        assert_eq!(open, ["c1"], "the closing order is left at work");
        desk.is_closed = false;
    });
    ends_in(&bench, BrokerProof::Flat);
    assert!(bench.broker.is_suspended());
}

#[test]
fn a_kill_needs_no_new_descriptor_and_no_new_connection() {
    let bench = bench("cancel");
    bench.broker.open(3);
    let dog = bench.run();
    bench.leased(10 * SECOND);
    assert_eq!(bench.broker.connections(), 3, "one of each lane");
    let files = fs::read_dir(format!("/proc/{}/fd", dog.pid())).expect("it runs");
    let numbers = files.flatten().filter_map(|file| file.file_name().to_str()?.parse::<u64>().ok());
    let most = Some(numbers.max().unwrap_or(0) + 1);
    let pid = i32::try_from(dog.pid()).ok().and_then(Pid::from_raw);
    let limit = Rlimit { current: most, maximum: most };
    prlimit(pid, Resource::Nofile, limit).expect("it is ours");
    fs::write(bench.flag(), b"").expect("a flag");
    dog.line("[KILL] host gone signal=9", 10 * SECOND);
    dog.line("[KILL] CONFIRMED_ZERO", 20 * SECOND);
    assert_eq!(bench.broker.connections(), 3, "{:?}", bench.broker.requests());
}

#[test]
fn a_cancel_in_bulk_that_is_refused_for_a_while_or_done_in_part_is_finished() {
    let bench = bench("cancel");
    bench.broker.desk(|desk| {
        desk.orders = ["a", "b"].map(|id| Desk::order(id, "limit", "buy", "A", 1)).into();
        desk.busy = Some(("DELETE /v2/orders", 1));
        desk.fails_on = Some("b");
    });
    let dog = bench.run();
    bench.leased(10 * SECOND);
    fs::write(bench.flag(), b"").expect("a flag");
    dog.line("[KILL] cancel failed, tried again: the broker's quota is used up", 5 * SECOND);
    dog.line("[KILL] PENDING_AT_BROKER open=2", 5 * SECOND);
    dog.line("[KILL] cancel taken orders=1 failed=1", 5 * SECOND);
    dog.line("[KILL] ZERO_SEEN", 5 * SECOND);
    let requests = bench.broker.requests();
    let bulk = requests.iter().filter(|request| *request == "DELETE /v2/orders").count();
    assert!(bulk == 2 && position(&requests, "DELETE /v2/orders/b").is_some(), "{requests:?}");
}
