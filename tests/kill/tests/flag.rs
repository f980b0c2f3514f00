//! The flag, whatever it is made of, and the panic button.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use anyhow::ensure;
use nix::{
    sys::{signal::Signal, stat::Mode as Rights},
    unistd::mkfifo,
};
use sandpit_kill_tests::{Expect, HAND, Mode, Rig, Setup, boot_ms, scenario};

const BOUND: Duration = Duration::from_secs(20);
/// A debug build on a busy machine; the figures of the goals come from the benchmark.
const HOST_DEAD_MS: u64 = 1_000;
const ZERO_SEEN_MS: u64 = 5_000;

/// The flag is put there by `put`, and has its effect.
fn check(mode: Mode, put: impl Fn(&Path) -> anyhow::Result<()>) {
    let setup = Setup { mode, ..Setup::default() };
    let act = |rig: &mut Rig| {
        let before = boot_ms();
        put(&rig.flag())?;
        rig.said(0, "[KILL] CONFIRMED_ZERO", BOUND)?;
        let moments = rig.moments(0, before)?;
        println!("{moments:?}");
        ensure!(moments.host_dead_ms.is_some_and(|ms| ms <= HOST_DEAD_MS), "{moments:?}");
        ensure!(moments.zero_seen_ms.is_some_and(|ms| ms <= ZERO_SEEN_MS), "{moments:?}");
        // As long as it is there nobody can arm.
        let (status, text) = rig.ask(&["arm", "--reason", "too soon"])?;
        ensure!(!status.success(), "armed under the flag: {text}");
        Ok(())
    };
    scenario(setup, act, Expect::flagged());
}

#[test]
fn a_file() {
    check(Mode::Spawn, |path| Ok(fs::write(path, "")?));
}

#[test]
fn a_directory() {
    check(Mode::Attach, |path| Ok(fs::create_dir(path)?));
}

#[test]
fn a_link_to_nowhere() {
    check(Mode::Spawn, |path| Ok(symlink("nowhere", path)?));
}

#[test]
fn a_link_to_a_file() {
    check(Mode::Attach, |path| {
        let target = path.with_file_name("target");
        fs::write(&target, "")?;
        Ok(symlink(target, path)?)
    });
}

#[test]
fn a_pipe_that_nobody_reads() {
    check(Mode::Spawn, |path| Ok(mkfifo(path, Rights::from_bits_truncate(0o600))?));
}

/// The button works beside a host that does nothing any more, and for nobody who has not the token.
#[test]
fn the_panic_button_beside_a_host_that_is_stopped() {
    let act = |rig: &mut Rig| {
        rig.sim.rest(HAND, 10)?;
        rig.signal_host(Signal::SIGSTOP)?;
        let before = boot_ms();
        let answers = [rig.panic(false)?, rig.panic(true)?];
        ensure!(answers == [401, 202], "{answers:?}");
        rig.said(0, "ZERO_SEEN", BOUND)?;
        println!("{:?}", rig.moments(0, before)?);
        Ok(())
    };
    scenario(Setup::default(), act, Expect::killed(&["panic"]));
}

/// Twice: the second time is a kill once more, and nothing comes back between.
#[test]
fn the_panic_button_pressed_again_after_the_confirmation() {
    let act = |rig: &mut Rig| {
        rig.panic(true)?;
        rig.said(0, "CONFIRMED_ZERO", BOUND)?;
        let mark = rig.story.mark();
        rig.panic(true)?;
        rig.said(mark, "[KILL] again layer=panic", BOUND)?;
        rig.said(mark, "CONFIRMED_ZERO", BOUND).map(drop)
    };
    scenario(Setup::default(), act, Expect::killed(&["panic"]));
}
