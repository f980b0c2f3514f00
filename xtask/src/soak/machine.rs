//! What the kernel says of processes and of the machine.

use std::fs;

/// Length of a tick in `/proc/PID/stat`: Linux shows programs a hundred a second, whatever its own.
const TICK_MS: u64 = 10;

/// Memory and time of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Resident memory, kB.
    pub(crate) rss_kb: u64,
    /// Of it, what no file stands behind, kB.
    pub(crate) anonymous_kb: u64,
    /// CPU time since its start, milliseconds.
    pub(crate) cpu_ms: u64,
    /// Threads.
    pub(crate) threads: u64,
}

/// What process `pid` takes; `None` when there is none.
pub(crate) fn usage(pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse(&status, &stat)
}

fn parse(status: &str, stat: &str) -> Option<Usage> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()
    };
    let after_name = after_name(stat)?;
    let ticks = |n: usize| after_name.get(n)?.parse::<u64>().ok();
    Some(Usage {
        rss_kb: field("VmRSS")?,
        anonymous_kb: field("RssAnon")?,
        cpu_ms: TICK_MS * (ticks(11)? + ticks(12)?),
        threads: field("Threads")?,
    })
}

/// The fields of `/proc/PID/stat` from the third on: the second, a name, may contain anything.
fn after_name(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace().collect())
}

/// When process `pid` was started, in ticks since boot: with the number it names one process for good.
pub(crate) fn born(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    after_name(&stat)?.get(19)?.parse().ok()
}

/// Load average of the last minute.
pub(crate) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_text_is_read_by_name_and_place() {
        let status = "Name:\tx\nVmRSS:\t   2048 kB\nRssAnon:\t    1024 kB\nThreads:\t7\n";
        let stat = "12 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 7 0 4711 1 2";
        let expected = Usage { rss_kb: 2_048, anonymous_kb: 1_024, cpu_ms: 2_000, threads: 7 };
        assert_eq!(parse(status, stat), Some(expected));
        assert_eq!(after_name(stat).expect("fields")[19], "4711");
        assert_eq!(parse("Name:\tzombie\n", stat), None);
    }

    #[test]
    fn a_process_is_known_by_number_and_birth() {
        let own = std::process::id();
        assert!(usage(own).is_some_and(|usage| usage.rss_kb > 0 && usage.threads > 0));
        assert!(born(own).is_some() && born(own) == born(own));
        assert_eq!(born(u32::MAX), None);
    }
}
