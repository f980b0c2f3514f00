//! A machine that fails under all of it: its clock, its disk, its descriptors, itself.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandpit_kill_tests::{
    Disk, Expect, Frozen, HAND, Rig, Setup, clock_shift::ClockShift, pass, scenario, wait_for,
};
use serde_json::Value;

const BOUND: Duration = Duration::from_secs(30);
const DAY_SECS: i64 = 86_400;

/// The wall clock of watchdog and host jumps by years, both ways. See [`ClockShift`] for what that is worth.
#[test]
fn the_wall_clock_jumps() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ClockShift::build(folder.path()).expect("a C compiler");
    let setup = Setup { variables: clock.variables(), ..Setup::default() };
    let act = |rig: &mut Rig| {
        let pid = rig.host_pid()?;
        for days in [400, -4_000] {
            clock.set(days * DAY_SECS)?;
            // Longer than it takes to notice a hang.
            pass(Duration::from_millis(2_500));
            rig.sent_orders(rig.story.mark(), 3)?;
            ensure!(rig.host_pid()? == pid, "the host was replaced after {days} days");
        }
        rig.put_flag()?;
        rig.said(0, "CONFIRMED_ZERO", BOUND)?;
        // The record is of that wall clock: the watchdog did read it.
        let latch: Value = serde_json::from_slice(&fs::read(rig.watchdog_dir().join("latch"))?)?;
        let now = fs::metadata(rig.flag())?.modified()?.duration_since(std::time::UNIX_EPOCH)?;
        let shown = latch["at_unix_s"].as_i64().context("a moment")?;
        let shift = shown - i64::try_from(now.as_secs())?;
        ensure!((shift + 4_000 * DAY_SECS).abs() < 60, "the clock was shifted by {shift} s");
        Ok(())
    };
    scenario(setup, act, Expect::flagged());
}

/// Everything stands still for longer than a hang may last, as when the machine is moved.
#[test]
fn the_machine_pauses() {
    let act = |rig: &mut Rig| {
        let (host, mark) = (rig.host_pid()?, rig.story.mark());
        let others = [Pid::from_raw(host), Pid::from_raw(rig.watchdog_pid()?)];
        let all = |signal: Signal| -> anyhow::Result<()> {
            rig.sim.signal(signal);
            others.iter().try_for_each(|pid| Ok(kill(*pid, signal)?))
        };
        all(Signal::SIGSTOP)?;
        pass(Duration::from_secs(5));
        all(Signal::SIGCONT)?;
        rig.said(mark, "the watchdog stood still", BOUND)?;
        rig.sent_orders(rig.story.mark(), 3)?;
        ensure!(rig.host_pid()? == host, "the host was replaced for a pause of the machine");
        rig.put_flag().map(drop)
    };
    scenario(Setup::default(), act, Expect::flagged());
}

#[test]
fn the_disk_is_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = Disk::mount(&folder.path().join("small")).expect("a small disk") else { return };
    let setup = Setup { watchdog_dir: Some(disk.path().to_owned()), ..Setup::default() };
    let act = |rig: &mut Rig| {
        rig.sim.rest(HAND, 10)?;
        disk.fill()?;
        rig.put_flag().map(drop)
    };
    scenario(setup, act, Expect::flagged());
}

/// Nothing can be written: everything else of the kill is done, and the latch is as soon as it can be.
#[test]
fn the_disk_is_read_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(frozen) = Frozen::new(&folder.path().join("frozen")).expect("a folder") else { return };
    let setup = Setup { watchdog_dir: Some(frozen.path().to_owned()), ..Setup::default() };
    let act = |rig: &mut Rig| {
        rig.sim.rest(HAND, 10)?;
        frozen.set(true)?;
        let mark = rig.story.mark();
        rig.put_flag()?;
        rig.said(mark, "latch not written", BOUND)?;
        rig.said(mark, "[KILL] host gone", BOUND)?;
        rig.said(mark, "CONFIRMED_ZERO", BOUND)?;
        let status = rig.status()?.context("a watchdog that answers")?;
        ensure!(status["state"] == "killing" && status["lease_ms_left"] == 0, "{status}");
        frozen.set(false)
    };
    scenario(setup, act, Expect::flagged());
}

/// Not one descriptor more than the watchdog has when it leases: connections that a kill needs are open.
#[test]
fn no_descriptors_are_left() {
    let act = |rig: &mut Rig| {
        rig.sim.rest(HAND, 10)?;
        let pid = rig.watchdog_pid()?;
        let open = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        let limit = Command::new("prlimit")
            .args(["--pid", &pid.to_string(), &format!("--nofile={open}:")])
            .status()?;
        ensure!(limit.success(), "prlimit: {limit}");
        let mark = rig.story.mark();
        rig.put_flag()?;
        rig.said(mark, "CONFIRMED_ZERO", BOUND)?;
        // Whoever asks wants a descriptor, too.
        let free = Command::new("prlimit").args(["--pid", &pid.to_string(), "--nofile=512:"]).status()?;
        ensure!(free.success(), "prlimit: {free}");
        wait_for("an answer", BOUND, || rig.status()).map(drop)
    };
    scenario(Setup::default(), act, Expect::flagged());
}
