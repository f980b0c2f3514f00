//! The only place that reads the world: clocks and environment.

use std::ffi::OsString;

use rustix::time::{ClockId, clock_gettime};
use sandpit_contract::BootTime;

use crate::machine::Now;

/// `CLOCK_BOOTTIME`: no setting of the wall clock moves it.
pub(crate) fn boot_time() -> BootTime {
    let time = clock_gettime(ClockId::Boottime);
    let nanos = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    BootTime::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// Both clocks.
#[expect(clippy::disallowed_methods, reason = "this file is where the world is read")]
pub(crate) fn now() -> Now {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Now { boot: boot_time(), unix_s: since_1970.map_or(0, |since| since.as_secs()) }
}

/// A command that asks again waits between two questions; the watchdog's own loop never does.
#[expect(clippy::disallowed_methods, reason = "a command of an operator has no event to wait for")]
pub(crate) fn pause(span: std::time::Duration) {
    std::thread::sleep(span);
}

/// A variable of the environment; an empty one counts as absent.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// This machine's name, for whoever is told something from afar.
pub(crate) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}
