//! What keeps a program from the disk, or a process from its descriptors, keeps no kill.

use std::{
    fs::{self, File, Permissions},
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::Path,
};

use nix::{
    libc,
    sys::signal::{SigHandler, Signal, signal as handle},
};
use sandpit_contract::State;

use crate::{
    SECOND,
    bench::{self, Bench, bound},
};

/// Whoever executes `program` now stands still in `exec` until this is dropped.
fn hold(program: &Path) -> File {
    let file = File::open(program).expect("it is there");
    // SAFETY: both are system calls without memory of ours; nothing in this process handles SIGIO.
    #[expect(unsafe_code, reason = "no crate here wraps a file's lease")]
    let taken = unsafe {
        // The kernel tells the holder of a lease by a signal whose default is to end it.
        handle(Signal::SIGIO, SigHandler::SigIgn).expect("a signal that may be ignored");
        libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK)
    };
    assert_eq!(taken, 0, "a lease: {}", std::io::Error::last_os_error());
    file
}

#[test]
fn a_host_that_hangs_in_exec_delays_no_kill_and_is_ended() {
    let bench = Bench::new("spawn");
    bench.broker.open(3);
    let (program, itself) = (bench.state("host"), std::env::current_exe().expect("a path"));
    fs::write(&program, format!("#!/bin/sh\nexec {itself:?} \"$@\"\n")).expect("written");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("ours");
    let text = bench.config_text();
    bench.write_config(&text.replacen(&format!("[{itself:?},"), &format!("[{program:?},"), 1));
    bench.arm();
    let held = hold(&program);
    let dog = bench.run();
    let status = bench.wait(5 * SECOND, |status| status.state == State::Starting);
    assert_eq!(status.host_pid, None);
    fs::write(bench.flag(), b"").expect("a flag");
    dog.line("[KILL] layer=flag", 5 * SECOND);
    dog.line("[KILL] ZERO_SEEN open=0", 5 * SECOND);
    let status = bench.wait(5 * SECOND, |status| status.state == State::Killing);
    assert!(bench.state("latch").exists() && status.host_pid.is_none());
    drop(held);
    let line = dog.line("host started pid=", 5 * SECOND);
    dog.line("[KILL] host gone signal=9", 5 * SECOND);
    bench.wait(5 * SECOND, |status| status.state == State::Killed);
    let pid = line.rsplit("pid=").next().and_then(|pid| pid.trim().parse().ok()).expect("a number");
    assert!(!bound(5 * SECOND, || !bench::is_alive(pid)), "the host outlived the kill");
}
