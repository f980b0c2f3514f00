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
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{RecvFlags, SendFlags, recv, send},
    process::{Pid, Resource, Rlimit, prlimit},
};
use sandpit_contract::{PROTOCOL, State, ToWatchdog, encode};

use crate::{
    SECOND,
    bench::{self, Bench, bound, host::dial},
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

/// The lowest number that the process has not used for a descriptor, whatever it opens for a moment.
fn free_descriptor(pid: u32) -> u64 {
    let lowest = || (0..).find(|number| fs::symlink_metadata(format!("/proc/{pid}/fd/{number}")).is_err());
    (0..200).filter_map(|_| lowest()).min().expect("there is one")
}

/// The process may use descriptors below `end` only.
fn limit_descriptors(pid: u32, end: u64) -> u64 {
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let before = prlimit(process, Resource::Nofile, Rlimit { current: Some(end), maximum });
    before.expect("ours").current.expect("a number")
}

/// Processor time so far, in ticks of the kernel's.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields = stat.rsplit(')').next().expect("after the name").split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

#[test]
fn a_caller_without_a_descriptor_keeps_the_loop_from_nothing() {
    let bench = Bench::new("attach");
    bench.arm();
    let dog = bench.run();
    bench.wait(5 * SECOND, |status| status.state == State::Armed);
    let before = limit_descriptors(dog.pid(), free_descriptor(dog.pid()));
    let _caller = dial(&bench.state("lease.sock"));
    dog.line("a caller at the socket cannot be taken", 5 * SECOND);
    let from = ticks(dog.pid());
    assert!(bound(SECOND, || ticks(dog.pid()) - from > 40), "the loop spins");
    limit_descriptors(dog.pid(), before);
    bench.wait(5 * SECOND, |status| status.state == State::Armed);
}

#[test]
fn a_host_that_cannot_be_held_is_cut_off_and_may_come_again() {
    let bench = Bench::new("attach");
    bench.arm();
    let dog = bench.run();
    bench.wait(5 * SECOND, |status| status.state == State::Armed);
    // The last descriptor is for the connection, and none is left for the process behind it.
    let before = limit_descriptors(dog.pid(), free_descriptor(dog.pid()) + 1);
    let host = dial(&bench.state("lease.sock"));
    let hello = ToWatchdog::Hello { protocol: PROTOCOL, epoch: 1, mode: "paper".into() };
    // Cut off before or after it.
    let _: rustix::io::Result<usize> = send(&host, &encode(&hello).expect("short"), SendFlags::NOSIGNAL);
    let longest = Timespec { tv_sec: 5, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&host, PollFlags::IN)], Some(&longest)), Ok(1));
    let answer = recv(&host, &mut [0_u8; 1024][..], RecvFlags::empty());
    assert!(!matches!(answer, Ok((bytes, _)) if bytes > 0), "it is spoken to as if it could be killed");
    limit_descriptors(dog.pid(), before);
    let mut host = bench.start_host();
    assert_eq!(bench.leased(10 * SECOND).host_pid, Some(host.id()));
    drop(dog);
    host.wait().expect("it ends with its watchdog");
}
