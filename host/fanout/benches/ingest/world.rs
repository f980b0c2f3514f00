//! What the benchmark reads of the machine: steady time, processor time of a thread, memory; and on which
//! core a thread runs.

use std::{process::Command, time::Duration};

use nix::{
    time::{ClockId, clock_gettime},
    unistd::{Pid, gettid},
};

/// The core of what is measured.
pub(crate) const CORE: usize = 0;
/// The core of everything else.
pub(crate) const OTHER_CORE: usize = 1;

/// Nanoseconds of the machine's steady clock; other processes read the same.
pub(crate) fn nanos() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Nanoseconds of processor time that a thread of this process has used.
pub(crate) fn thread_nanos(thread: Pid) -> u64 {
    // The kernel's number for "scheduled time of that thread" (include/linux/posix-timers.h).
    read(ClockId::from_raw((!thread.as_raw() << 3) | 0b110))
}

/// The calling thread.
pub(crate) fn this_thread() -> Pid {
    gettid()
}

/// Keeps the calling thread on one core, where there is more than one.
pub(crate) fn pin(core: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut taskset = Command::new("taskset");
    taskset.args(["-cp", &core.to_string(), &gettid().to_string()]);
    let is_pinned = cores > core && taskset.output().is_ok_and(|output| output.status.success());
    if !is_pinned {
        eprintln!("a thread is not pinned to core {core}: there is no such core, or no `taskset`");
    }
}

/// Waits until the steady clock reads `due`.
#[expect(clippy::disallowed_methods, reason = "a benchmark keeps its own pace")]
pub(crate) fn sleep_until(due: u64) {
    let wait = due.saturating_sub(nanos());
    if wait > 0 {
        std::thread::sleep(Duration::from_nanos(wait));
    }
}

/// Waits until `is_so`, a minute at most.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = nanos() + 60_000_000_000;
    while !is_so() {
        assert!(nanos() < end, "a minute went by without this: {what}");
        sleep_until(nanos() + 500_000);
    }
}

/// Memory of this process, bytes.
pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().map_or(0, |kilobytes: u64| kilobytes * 1_024)
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("a clock of this machine");
    Duration::from(time).as_nanos() as u64
}
