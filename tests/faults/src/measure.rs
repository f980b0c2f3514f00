//! What this process holds, by the kernel's word.

use std::fs;

/// Memory of this process that is resident, in KiB.
///
/// # Panics
/// When the kernel does not tell.
pub fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a process has a status");
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it tells the resident set");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

/// Files, sockets and pipes that this process has open.
///
/// # Panics
/// When the kernel does not tell.
pub fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").expect("a process has descriptors").count()
}
