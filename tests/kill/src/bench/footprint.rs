//! What the watchdog itself takes: its binary, its memory, its time, beside a host that trades.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context, ensure};
use sandpit_kill_tests::{Rig, Setup, boot_ms, pass};
use sandpit_system_tests::binary;

/// How long it is watched.
const SPAN: Duration = Duration::from_secs(60);
/// Of a clock that counts a process's time.
const TICKS_A_SECOND: f64 = 100.0;

/// Measures and prints.
pub(crate) fn print() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let stripped = folder.path().join("stripped");
    let strip = Command::new("strip").arg("-o").arg(&stripped).arg(binary("sandpit-watchdog")).status();
    match strip {
        Ok(status) if status.success() => {
            println!("watchdog_binary {:.1} MB, stripped", fs::metadata(&stripped)?.len() as f64 / 1e6);
        }
        Ok(_) | Err(_) => println!("watchdog_binary not measured: there is no `strip` (package binutils)"),
    }
    let mut rig = Rig::start(folder.path(), Setup::default())?;
    rig.trade()?;
    let pid = rig.watchdog_pid()?;
    let (start, before) = (boot_ms(), ticks(pid)?);
    let mut most_kib = 0;
    while boot_ms() - start < SPAN.as_millis() as u64 {
        pass(Duration::from_millis(500));
        most_kib = most_kib.max(rss_kib(pid)?);
    }
    let wall_s = (boot_ms() - start) as f64 / 1000.0;
    let cpu = (ticks(pid)? - before) / TICKS_A_SECOND / wall_s * 100.0;
    println!("watchdog_rss {:.1} MB, the most in {wall_s:.0} s", most_kib as f64 * 1024.0 / 1e6);
    println!("watchdog_cpu {cpu:.2} % of a core");
    Ok(())
}

fn rss_kib(pid: i32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse()?)
}

/// User and system time.
fn ticks(pid: i32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(") ").next().context("fields")?.split_whitespace().collect();
    ensure!(fields.len() > 13, "{stat}");
    Ok(fields[11].parse::<f64>()? + fields[12].parse::<f64>()?)
}
