//! What the watchdog costs beside a host that trades.

use std::{fs, time::Duration};

use anyhow::{Context, ensure};
use sandpit_kill_tests::{Expect, Rig, Setup, boot_ms, pass, scenario};

/// How long it is measured.
const SPAN: Duration = Duration::from_secs(30);
/// The goal.
const RSS_KIB: u64 = 12 * 1024;
/// Per mille of one core: the goal is 5, of a release build. This one is not optimized to the end.
const CPU_PER_MILLE: u64 = 15;
/// Clock ticks in a second, on every Linux that there is.
const TICKS_A_SECOND: u64 = 100;

#[test]
fn it_is_small() {
    let act = |rig: &mut Rig| {
        let pid = rig.watchdog_pid()?;
        let (ticks, began) = (cpu_ticks(pid)?, boot_ms());
        let mut rss = 0;
        while boot_ms() - began < u64::try_from(SPAN.as_millis())? {
            rss = rss.max(rss_kib(pid)?);
            pass(Duration::from_millis(500));
        }
        let cpu_ms = (cpu_ticks(pid)? - ticks) * 1_000 / TICKS_A_SECOND;
        let per_mille = cpu_ms * 1_000 / (boot_ms() - began);
        println!("watchdog_rss_max {rss} KiB\nwatchdog_cpu {per_mille} per mille of a core");
        ensure!(rss <= RSS_KIB, "{rss} KiB resident");
        ensure!(per_mille <= CPU_PER_MILLE, "{per_mille} per mille of a core");
        rig.put_flag().map(drop)
    };
    scenario(Setup::default(), act, Expect::flagged());
}

fn rss_kib(pid: i32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// In user and in system mode.
fn cpu_ticks(pid: i32) -> anyhow::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").context("the end of a name")?;
    let fields: Vec<_> = rest.split(' ').collect();
    // Fields 14 and 15; the third is the first behind the name.
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}
