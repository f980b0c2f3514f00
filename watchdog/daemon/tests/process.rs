//! The real binary with a small host of this file's own, and a broker on loopback.

mod bench;
mod limits;
mod memory;
#[path = "bench/policies.rs"]
mod policies;
mod stuck;

use std::{fs, time::Duration};

use bench::{Bench, boot_ms, bound, fake_host_main, signal};
use sandpit_contract::{BrokerProof, State};

const SECOND: Duration = Duration::from_secs(1);

/// Not a test: the process that the watchdog starts as its host.
#[test]
#[ignore = "it is the host of the other tests"]
fn fake_host() {
    fake_host_main();
}

#[test]
fn a_stopped_host_is_replaced_and_a_killed_one_is_back_at_once() {
    let bench = Bench::new("spawn");
    bench.arm();
    let dog = bench.run();
    let first = bench.leased(10 * SECOND);
    let pid = first.host_pid.expect("a host");
    assert!(
        first.lease_ms_left > 0 && first.host_restarts == 0 && first.host_rss_bytes.is_some(),
        "{first:?}"
    );

    let start = boot_ms();
    signal(pid, "STOP");
    let second =
        bench.wait(10 * SECOND, |status| status.state == State::Leased && status.host_pid != Some(pid));
    let replaced_ms = boot_ms() - start;
    assert!(replaced_ms <= 6000, "a stopped host was replaced after {replaced_ms} ms");
    dog.line("host restarted reason=", 5 * SECOND);
    assert!(!bound(5 * SECOND, || !bench::is_alive(pid)), "the stopped host is gone");

    let start = boot_ms();
    let pid = second.host_pid.expect("a host");
    signal(pid, "KILL");
    let third =
        bench.wait(5 * SECOND, |status| status.state == State::Leased && status.host_pid != Some(pid));
    let back_ms = boot_ms() - start;
    assert!(back_ms <= 2000, "a killed host was back after {back_ms} ms");
    assert_eq!((third.host_restarts, bench.host_starts()), (2, 3));
    println!("stopped host replaced in {replaced_ms} ms, killed host back in {back_ms} ms");
    let start = boot_ms();
    assert_eq!(dog.stop(), Some(0));
    assert!(boot_ms() - start <= 5000, "the host heeds SIGTERM: its signals are not blocked");
    assert!(!bench::is_alive(third.host_pid.expect("a host")), "the host stops with its watchdog");
}

#[test]
fn the_flag_ends_in_proved_zero_and_only_a_human_leads_out() {
    let bench = Bench::new("spawn");
    bench.broker.open(3);
    bench.arm();
    let dog = bench.run();
    let pid = bench.leased(10 * SECOND).host_pid.expect("a host");
    let start = boot_ms();
    fs::create_dir(bench.flag()).expect("a flag of any type");
    dog.line("[KILL] layer=flag reason=", 5 * SECOND);
    dog.line("[KILL] host gone signal=9", 5 * SECOND);
    let gone_ms = boot_ms() - start;
    dog.line("[KILL] ZERO_SEEN open=0 after_ms=", 5 * SECOND);
    let zero_ms = boot_ms() - start;
    dog.line("[KILL] CONFIRMED_ZERO", 5 * SECOND);
    println!("flag -> host gone {gone_ms} ms, flag -> ZERO_SEEN {zero_ms} ms");
    assert!(gone_ms <= 1000 && !bench::is_alive(pid));
    let requests = bench.broker.requests();
    let position = |word: &str| requests.iter().position(|request| request.starts_with(word)).expect(word);
    assert!(
        position("PATCH /v2/account/configurations {\"suspend_trade\":true}") < position("DELETE /v2/orders")
    );
    let (latch, armed) = (bench.state("latch"), bench.state("armed"));
    assert!(latch.exists() && !armed.exists());
    let killed = bench.wait(5 * SECOND, |status| status.state == State::Killed);
    assert_eq!(killed.broker, Some(BrokerProof::ConfirmedZero));
    assert_eq!((killed.host_pid, bench.host_starts()), (None, 1));

    // A new life of the watchdog is killed too, and an order that appears is cancelled.
    assert_eq!(dog.stop(), Some(0));
    bench.broker.open(1);
    let dog = bench.run();
    dog.line("[KILL] latch found", 5 * SECOND);
    dog.line("[KILL] ZERO_SEEN", 5 * SECOND);
    assert_eq!(bench.host_starts(), 1);

    // Re-arming: not while the flag is there; then it lifts our suspension, and the running watchdog notices.
    let (code, text) = bench.command(&["arm", "--reason", "too early"]);
    assert_eq!(code, Some(20), "{text}");
    fs::remove_dir(bench.flag()).expect("ours");
    let (code, text) = bench.command(&["arm", "--reason", "checked"]);
    assert!(code == Some(0) && text.contains("lifted"), "{code:?} {text}");
    assert!(!bench.broker.is_suspended());
    bench.leased(10 * SECOND);
    assert_eq!(bench.host_starts(), 2);
    drop(dog);
}

#[test]
fn a_trip_and_an_operator_kill_as_well() {
    let bench = Bench::new("spawn");
    bench.arm();
    let dog = bench.run();
    bench.leased(10 * SECOND);
    fs::write(bench.state("trip"), b"").expect("a word to the fake host");
    dog.line("[KILL] layer=trip reason=loss limit", 5 * SECOND);
    bench.wait(5 * SECOND, |status| status.state == State::Killed);
    drop(dog);

    let bench = Bench::new("spawn");
    bench.arm();
    let dog = bench.run();
    bench.leased(10 * SECOND);
    let (code, text) = bench.command(&["kill", "--reason", "fire\ndrill"]);
    assert_eq!(code, Some(0), "{text}");
    dog.line("[KILL] layer=operator reason=fire drill", 5 * SECOND);
    bench.wait(5 * SECOND, |status| status.state == State::Killed);
}

#[test]
fn an_attached_host_is_held_by_its_connection() {
    let bench = Bench::new("attach");
    bench.arm();
    let dog = bench.run();
    bench.wait(5 * SECOND, |status| status.state == State::Armed);
    let mut host = bench.start_host();
    let leased = bench.leased(10 * SECOND);
    assert_eq!(leased.host_pid, Some(host.id()));
    // A second one is refused and ends; the first keeps its lease.
    let mut second = bench.start_host();
    dog.line("a host was refused", 5 * SECOND);
    assert!(second.wait().is_ok_and(|status| !status.success()));
    assert_eq!(bench.leased(5 * SECOND).host_pid, Some(host.id()));
    fs::write(bench.flag(), b"").expect("a flag");
    dog.line("[KILL] host gone", 5 * SECOND);
    let ending = host.wait().expect("our child");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ending), Some(9));
}

#[test]
fn a_host_of_the_version_before_has_the_lease_and_one_of_another_never() {
    let bench = Bench::new("attach");
    bench.arm();
    let dog = bench.run();
    bench.wait(5 * SECOND, |status| status.state == State::Armed);
    for (protocol, is_known) in [(1, false), (2, true), (4, false), (3, true)] {
        fs::write(bench.state("protocol"), protocol.to_string()).expect("written");
        let mut host = bench.start_host();
        if is_known {
            bench.wait(10 * SECOND, |status| status.host_pid == Some(host.id()) && status.lease_ms_left > 0);
            host.kill().expect("it runs");
        } else {
            dog.line(&format!("it speaks protocol {protocol}, this watchdog 2 to 3"), 10 * SECOND);
        }
        host.wait().expect("it ends");
    }
}

#[test]
fn the_host_dies_with_the_watchdog_that_started_it() {
    let bench = Bench::new("spawn");
    bench.arm();
    let dog = bench.run();
    let pid = bench.leased(10 * SECOND).host_pid.expect("a host");
    signal(dog.pid(), "KILL");
    assert!(!bound(5 * SECOND, || !bench::is_alive(pid)), "an orphan trades");
    drop(dog);
    let _dog = bench.run();
    bench.leased(10 * SECOND);
}

#[test]
fn a_broker_that_is_down_leaves_the_kill_pending() {
    let bench = Bench::new("spawn");
    bench.arm();
    let dog = bench.run();
    bench.leased(10 * SECOND);
    bench.broker.go_down();
    fs::write(bench.flag(), b"").expect("a flag");
    dog.line("[KILL] host gone signal=9", 5 * SECOND);
    dog.line("[KILL] PENDING_AT_BROKER read failed", 5 * SECOND);
    let killed = bench.wait(5 * SECOND, |status| status.state == State::Killed);
    assert_eq!(killed.broker, Some(BrokerProof::PendingAtBroker));
}

#[test]
fn a_trip_behind_the_last_beats_is_heard() {
    let bench = Bench::new("spawn");
    bench.arm();
    let dog = bench.run();
    bench.leased(10 * SECOND);
    fs::write(bench.state("flood"), b"").expect("a word to the fake host");
    dog.line("[KILL] layer=trip reason=behind the beats", 5 * SECOND);
    bench.wait(5 * SECOND, |status| status.state == State::Killed);
    assert_eq!(bench.host_starts(), 1);
}

#[test]
fn a_key_that_is_refused_has_no_lease() {
    let bench = Bench::new("spawn");
    bench.broker.refuse_key(true);
    bench.arm();
    let dog = bench.run();
    dog.line("the broker did not answer the watchdog", 5 * SECOND);
    let status = bench.wait(5 * SECOND, |status| status.loops.len() == 2);
    assert_eq!((status.state, status.lease_ms_left), (State::Starting, 0));
    bench.broker.refuse_key(false);
    bench.leased(10 * SECOND);
}

#[test]
fn arming_with_a_broker_that_fails_behind_it_is_said() {
    let bench = Bench::new("spawn");
    bench.arm();
    let dog = bench.run();
    bench.leased(10 * SECOND);
    let (code, text) = bench.command(&["kill", "--reason", "drill"]);
    assert!(code == Some(0) && text.contains("killed: the watchdog took it"), "{code:?} {text}");
    assert!(bench.state("latch").exists() && !bench.state("armed").exists());
    assert!(!bound(5 * SECOND, || bench.broker.is_suspended()), "suspended");
    drop(dog);
    bench.broker.fail_after_patch();
    let (code, text) = bench.command(&["arm", "--reason", "checked"]);
    assert!(code == Some(0) && text.contains("armed, but"), "{code:?} {text}");
    assert!(bench.state("armed").exists() && !bench.state("latch").exists());
}

#[test]
fn a_full_disk_keeps_no_watchdog_from_guarding() {
    let bench = Bench::new("spawn");
    bench.arm();
    std::os::unix::fs::symlink("/dev/full", bench.state("latch.spare")).expect("a full disk");
    bench.broker.open(3);
    let dog = bench.run();
    dog.line("the disk of `state_dir` is full", 5 * SECOND);
    bench.leased(10 * SECOND);
    fs::write(bench.flag(), b"").expect("a flag");
    dog.line("[KILL] ZERO_SEEN", 5 * SECOND);
    assert!(!bench.state("latch").exists() && !bench.state("armed").exists());
    fs::remove_file(bench.state("latch.spare")).expect("room again");
    bench.wait(20 * SECOND, |status| status.state == State::Killed);
}

#[test]
fn a_bad_start_is_one_sentence_and_a_code() {
    let bench = Bench::new("spawn");
    let check = |code: i32, words: &str, command: &[&str]| {
        let (got, text) = bench.command(command);
        assert!(got == Some(code) && text.contains(words), "{command:?}: {got:?} {text}");
        assert_eq!(text.trim().lines().count(), 1, "{text}");
    };
    check(31, "no watchdog answers", &["status"]);
    check(0, "no watchdog answers: the flag", &["kill", "--reason", "nobody there"]);
    assert!(bench.flag().exists());
    fs::remove_file(bench.flag()).expect("ours");
    let good = bench.config_text();
    bench.write_config(&good.replace("state_dir", "state_dri"));
    check(10, "line 1: unknown key `state_dri`; did you mean `state_dir`?", &["run"]);
    fs::write(bench.state("file"), b"").expect("written");
    bench.write_config(&good.replacen("state\"", "state/file/sub\"", 1));
    check(12, "cannot be used", &["run"]);
    bench.write_config(&good.replace("lease.sock", "file"));
    check(13, "socket", &["run"]);
    bench.write_config(&good);
    let _dog = bench.run();
    bench.wait(5 * SECOND, |status| status.state == State::Disarmed);
    check(12, "another watchdog runs", &["run"]);
    bench.write_config(&good.replacen("state\"", "state/other\"", 1));
    check(12, "another watchdog uses the socket", &["run"]);
    bench.write_config(&good.replacen(&format!("{:?}", bench.state("lease.sock")), "\"lease.sock\"", 1));
    check(10, "must be absolute", &["run"]);
    bench.write_config(&good);
    let (code, text) = bench.command_without_key(&["run"]);
    assert!(code == Some(10) && text.contains("APCA_API_KEY_ID"), "{code:?} {text}");
}
