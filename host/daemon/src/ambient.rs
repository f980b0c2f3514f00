//! The only place in the host that reads the world: clocks, chance, environment.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path, time::Duration};

use nix::time::{ClockId, clock_gettime};
use sandpit_contract::BootTime;
use sandpit_operator::World;
use sandpit_types::MarketTime;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

/// Time since the machine booted, asleep included.
pub(crate) fn boot_now() -> BootTime {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every Linux has CLOCK_BOOTTIME");
    let secs = u64::try_from(time.tv_sec()).unwrap_or(0);
    BootTime::from_nanos(secs * 1_000_000_000 + u64::try_from(time.tv_nsec()).unwrap_or(0))
}

/// The same in whole milliseconds.
pub(crate) fn boot_ms() -> u64 {
    boot_now().as_nanos() / 1_000_000
}

/// Fresh randomness for this life's epoch and seeds.
///
/// # Errors
/// When the kernel's random device cannot be read.
pub(crate) fn fresh_u64() -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Fills a buffer with fresh randomness.
///
/// # Errors
/// When the kernel's random device cannot be read.
pub(crate) fn fill(bytes: &mut [u8]) -> std::io::Result<()> {
    File::open("/dev/urandom")?.read_exact(bytes)
}

/// The wall clock, Unix seconds.
pub(crate) fn unix_s() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_REALTIME).expect("every Linux has CLOCK_REALTIME");
    u64::try_from(time.tv_sec()).unwrap_or(0)
}

/// The wall clock, since the Unix epoch.
pub(crate) fn since_epoch() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_REALTIME).expect("every Linux has CLOCK_REALTIME");
    let secs = u64::try_from(time.tv_sec()).unwrap_or(0);
    Duration::new(secs, u32::try_from(time.tv_nsec()).unwrap_or(0))
}

/// What the memory of this process is limited to, bytes: the smallest `memory.max` of its control group and
/// those above it; `None` where there is none.
pub(crate) fn memory_limit_bytes() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let limit = |folder: &Path| std::fs::read_to_string(folder.join("memory.max")).ok()?.trim().parse().ok();
    let root = Path::new("/sys/fs/cgroup");
    root.join(own).ancestors().take_while(|folder| folder.starts_with(root)).filter_map(limit).min()
}

/// What an operator's commands may read of the world.
pub(crate) fn world() -> World {
    let environment = environment();
    let operator = user(&environment);
    World { now_unix_s: unix_s, random: fill, environment, operator }
}

/// The environment, without what is not Unicode.
pub(crate) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Wall-clock time: for what an operator does while no broker's clock is at hand.
pub(crate) fn wall_now() -> MarketTime {
    let time = clock_gettime(ClockId::CLOCK_REALTIME).expect("every Linux has CLOCK_REALTIME");
    MarketTime::from_nanos(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

/// The name of whoever started this process, behind `sudo` too, as far as the environment tells.
pub(crate) fn user(environment: &BTreeMap<String, String>) -> String {
    let named = ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(|key| environment.get(key));
    named.filter(|name| !name.is_empty()).cloned().unwrap_or_else(|| format!("uid {}", nix::unistd::getuid()))
}

/// Memory of this process that is in RAM; zero when the system does not say.
pub(crate) fn resident_bytes() -> u64 {
    let (Ok(own), Ok(mut system)) = (sysinfo::get_current_pid(), System::new()) else { return 0 };
    let memory = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), true, memory);
    system.process(own).map_or(0, sysinfo::Process::memory)
}
