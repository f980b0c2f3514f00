//! A watchdog that dies at every step of a kill and goes on in its next life, that is two, or that nobody
//! finds.

use std::{fs, process::Command, time::Duration};

use anyhow::ensure;
use nix::sys::signal::Signal;
use sandpit_kill_tests::{Expect, HAND, Mode, OURS, Rig, Setup, scenario};
use sandpit_system_tests::binary;
use serde_json::json;

const BOUND: Duration = Duration::from_secs(30);

/// An operator kills; the watchdog dies as soon as it has said `words`, while the broker is slow with what
/// comes next, and goes on in its next life.
fn dies_after(words: &str, next: Option<(&str, &str)>) {
    let act = |rig: &mut Rig| {
        rig.sim.rest(HAND, 10)?;
        rig.sim.rest(OURS, 10)?;
        if let Some((method, path)) = next {
            let slow = json!({"kind": "latency", "method": method, "path": path, "delay_ms": 3000});
            rig.sim.fault(&slow)?;
        }
        let mark = rig.story.mark();
        let _kill = rig.begin(&["kill", "--reason", "tests"])?;
        // Before that the kill is known to nobody else: the command does not call it sealed.
        rig.said(mark, "[KILL] latch written", BOUND)?;
        rig.said(mark, words, BOUND)?;
        rig.kill_watchdog()?;
        rig.sim.heal()?;
        rig.start_watchdog()
    };
    scenario(Setup::default(), act, Expect::killed(&["operator"]));
}

#[test]
fn it_dies_after_the_latch() {
    dies_after("[KILL] latch written", Some(("PATCH", "/v2/account")));
}

#[test]
fn it_dies_after_the_suspension() {
    dies_after("suspended after_ms", Some(("DELETE", "/v2/orders")));
}

#[test]
fn it_dies_after_the_cancel() {
    dies_after("cancel taken", Some(("GET", "/v2/orders")));
}

#[test]
fn it_dies_after_the_zero() {
    dies_after("ZERO_SEEN", None);
}

#[test]
fn it_dies_after_the_confirmation() {
    dies_after("CONFIRMED_ZERO", None);
}

/// Nothing is on disk yet but the flag, and in mode `attach` its host outlives it.
#[test]
fn it_dies_as_the_flag_comes() {
    let setup = Setup { mode: Mode::Attach, ..Setup::default() };
    let act = |rig: &mut Rig| {
        rig.sim.rest(HAND, 10)?;
        rig.put_flag()?;
        rig.kill_watchdog()?;
        rig.start_watchdog()
    };
    scenario(setup, act, Expect::flagged());
}

#[test]
fn both_die_and_only_the_watchdog_comes_back() {
    let setup = Setup { mode: Mode::Attach, ..Setup::default() };
    let act = |rig: &mut Rig| {
        rig.sim.rest(OURS, 10)?;
        rig.signal_host(Signal::SIGKILL)?;
        rig.kill_watchdog()?;
        rig.put_flag()?;
        rig.start_watchdog()
    };
    scenario(setup, act, Expect::flagged());
}

#[test]
fn both_die_in_the_middle_of_a_kill() {
    let act = |rig: &mut Rig| {
        rig.sim.rest(OURS, 10)?;
        let mark = rig.story.mark();
        let _kill = rig.begin(&["kill", "--reason", "tests"])?;
        rig.said(mark, "[KILL] layer=", BOUND)?;
        // Whatever was done by then; the host dies with it.
        rig.said(mark, "[KILL] latch written", BOUND)?;
        rig.kill_watchdog()?;
        rig.start_watchdog()
    };
    scenario(Setup::default(), act, Expect::killed(&["operator"]));
}

/// The host has its lease for two seconds, then it is silent, until there is a watchdog again.
#[test]
fn without_it_nobody_trades() {
    let setup = Setup { mode: Mode::Attach, ..Setup::default() };
    let act = |rig: &mut Rig| {
        rig.kill_watchdog()?;
        let gone = rig.story.mark();
        // Longer than the lease: what comes now would be without one.
        sandpit_kill_tests::pass(Duration::from_millis(3_500));
        rig.start_watchdog()?;
        rig.said(gone, "lease granted", BOUND)?;
        rig.sent_orders(rig.story.mark(), 3)?;
        rig.put_flag().map(drop)
    };
    scenario(setup, act, Expect::flagged());
}

#[test]
fn a_second_one_does_not_start() {
    let act = |rig: &mut Rig| {
        let config = fs::read_to_string(rig.path("watchdog.toml"))?;
        let (first, other) = (rig.watchdog_dir().display().to_string(), rig.path("other"));
        fs::write(rig.path("other.toml"), config.replace(&first, &other.display().to_string()))?;
        for name in ["watchdog.toml", "other.toml"] {
            let mut second = Command::new(binary("sandpit-watchdog"));
            second.env("APCA_API_KEY_ID", "rig").env("APCA_API_SECRET_KEY", "s");
            let ended = second.args(["run", "--config"]).arg(rig.path(name)).output()?;
            let said = String::from_utf8_lossy(&ended.stderr);
            ensure!(ended.status.code() == Some(12) && said.contains("another watchdog"), "{said}");
        }
        rig.sent_orders(rig.story.mark(), 3)?;
        rig.put_flag().map(drop)
    };
    scenario(Setup::default(), act, Expect::flagged());
}

#[test]
fn its_socket_is_removed() {
    let act = |rig: &mut Rig| {
        let (pid, socket) = (rig.host_pid()?, rig.path("lease.sock"));
        fs::remove_file(&socket)?;
        rig.sent_orders(rig.story.mark(), 3)?;
        // Nobody answers: the command leaves the flag.
        let (status, text) = rig.ask(&["kill", "--reason", "tests"])?;
        ensure!(status.success() && text.contains("flag"), "{text}");
        let mark = rig.story.mark();
        rig.said(0, "CONFIRMED_ZERO", BOUND)?;
        ensure!(!std::path::Path::new(&format!("/proc/{pid}/exe")).exists(), "the host lives");
        // A watchdog that nobody can ask is replaced; it must not forget.
        rig.kill_watchdog()?;
        rig.start_watchdog()?;
        rig.said(mark, "latch found", BOUND).map(drop)
    };
    scenario(Setup::default(), act, Expect::flagged());
}

#[test]
fn its_latch_is_damaged() {
    let act = |rig: &mut Rig| {
        rig.kill_watchdog()?;
        fs::write(rig.watchdog_dir().join("latch"), b"\0\0{")?;
        rig.start_watchdog()
    };
    scenario(Setup::default(), act, Expect::killed(&["operator"]));
}

/// The directory of the flag is gone: nobody could put a flag there, so nobody trades.
#[test]
fn the_folder_of_the_flag_is_gone() {
    let setup = Setup { mode: Mode::Attach, ..Setup::default() };
    let act = |rig: &mut Rig| {
        let mark = rig.story.mark();
        let folder = rig.flag().parent().expect("a folder").to_owned();
        fs::rename(&folder, rig.path("gone"))?;
        rig.said(mark, "not armed any more", BOUND)?;
        fs::rename(rig.path("gone"), &folder)?;
        rig.said(mark, "lease granted", BOUND)?;
        rig.sent_orders(rig.story.mark(), 1)?;
        rig.put_flag().map(drop)
    };
    scenario(setup, act, Expect::flagged());
}
