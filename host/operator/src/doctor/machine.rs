//! Disk, memory, ports, and programs that run though their files were replaced.

use std::{
    fs,
    io::ErrorKind,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nix::sys::statvfs::statvfs;
use socket2::{Domain, Socket, Type};

use super::{AS_ROOT, Finding, site::Site};
use crate::{
    child::Program,
    place::{HOST_KEY, PANIC_TOKEN, WATCHDOG_KEY},
};

const MIB: u64 = 1 << 20;
/// Less than this, and the journal of sessions gives way.
const FREE_WARN_BYTES: u64 = 1024 * MIB;
/// Less than this, and orders will be refused for want of a record.
const FREE_FAIL_BYTES: u64 = 256 * MIB;
/// Of the inodes.
const INODES_WARN_PERCENT: u64 = 5;
const INODES_FAIL_PERCENT: u64 = 1;
/// What the host needs beside its strategies.
const HOST_MB: u64 = 192;
const HEALTH_WAIT: Duration = Duration::from_secs(3);
const SYSTEMCTL_WAIT: Duration = Duration::from_secs(5);
/// Ticks a second of `/proc/PID/stat`: the kernel's own, the same on every Linux.
const TICKS: u64 = 100;
/// A file that is written while a process starts is read by it.
const START_SLACK: Duration = Duration::from_secs(2);

/// Whether there is room where records are kept.
pub(super) fn disk(site: &Site) -> Vec<Finding> {
    let folders = [site.settings.state_dir(), site.settings.watchdog_dir()];
    folders.iter().map(|folder| room(folder)).collect()
}

fn room(folder: &Path) -> Finding {
    let name = "disk";
    // A folder that is not there yet will be where its parent is.
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let found = match statvfs(there) {
        Ok(found) => found,
        Err(error) => return Finding::unseen(name, format!("{}: {error}", there.display()), AS_ROOT),
    };
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    let percent = (found.files_available() * 100).checked_div(found.files()).unwrap_or(100);
    let what = format!("{}: {} MiB free, {percent} % of the inodes", folder.display(), free / MIB);
    judge(name, what, free, percent)
}

fn judge(name: &'static str, what: String, free: u64, inodes_percent: u64) -> Finding {
    let mend = "sandpit db backup; then delete what is not needed, or enlarge the disk";
    if free < FREE_FAIL_BYTES || inodes_percent < INODES_FAIL_PERCENT {
        Finding::fail(name, what, mend)
    } else if free < FREE_WARN_BYTES || inodes_percent < INODES_WARN_PERCENT {
        Finding::warn(name, what, mend)
    } else {
        Finding::ok(name, what)
    }
}

/// Whether the limits on memory fit each other, the machine and the strategies.
pub(super) fn memory(site: &Site) -> Vec<Finding> {
    let unit = site.place.unit("sandpit-host.service");
    let of_file = || directive_mb(&fs::read_to_string(unit?).ok()?, "MemoryMax");
    let unit_mb = manager_mb().or_else(of_file);
    let machine_mb = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_mb(&text));
    let folder = crate::files::Settings::path(site.settings.host(&["plugins_dir"]), "/etc/sandpit/plugins");
    let plugins = fs::read_dir(folder).map_or(0, |entries| {
        let is_plugin = |path: &Path| path.extension().is_some_and(|ending| ending == "wasm");
        entries.flatten().filter(|entry| is_plugin(&entry.path())).count() as u64
    });
    let limits = Limits {
        budget_mb: site.settings.watchdog_number(&["memory", "budget_mb"]),
        drain_percent: site.settings.watchdog_number(&["memory", "drain_percent"]).unwrap_or(80),
        unit_mb,
        machine_mb,
        strategies_mb: plugins * site.settings.host_number(&["strategies", "memory_mb"]).unwrap_or(64),
    };
    vec![limits.judge()]
}

/// What systemd holds the host to, drop-ins included; `None` where it is not asked or has no limit.
fn manager_mb() -> Option<u64> {
    if !Path::new("/run/systemd/system").exists() {
        return None;
    }
    let asked = Program::new("systemctl").args(["show", "-P", "MemoryMax", "sandpit-host.service"]);
    let bytes: u64 = asked.run(SYSTEMCTL_WAIT).ok()?.out.trim().parse().ok()?;
    Some(bytes / MIB)
}

/// What was found of memory, all in MiB.
struct Limits {
    budget_mb: Option<u64>,
    drain_percent: u64,
    unit_mb: Option<u64>,
    machine_mb: Option<u64>,
    strategies_mb: u64,
}

impl Limits {
    fn judge(&self) -> Finding {
        let name = "memory";
        let Some(machine) = self.machine_mb else {
            return Finding::unseen(name, "/proc/meminfo does not say", "free -m");
        };
        // What the watchdog takes without either.
        let wall = [self.budget_mb, self.unit_mb].into_iter().flatten().min().unwrap_or(machine / 2);
        let edit = "edit [memory] budget_mb in watchdog.toml, or MemoryMax of the unit";
        if wall > machine {
            let what = format!("the host may use {wall} MiB, and the machine has {machine}");
            return Finding::fail(name, what, edit);
        }
        if let (Some(budget), Some(unit)) = (self.budget_mb, self.unit_mb)
            && unit < budget
        {
            let what =
                format!("the unit's limit of {unit} MiB is less than the budget of {budget}: it counts");
            return Finding::warn(name, what, edit);
        }
        let (drain, needs) = (wall * self.drain_percent / 100, self.strategies_mb + HOST_MB);
        if needs > drain {
            let what = format!(
                "strategies and host may need {needs} MiB together, and at {drain} the watchdog has the host \
                 drained"
            );
            return Finding::warn(
                name,
                what,
                "fewer strategies, a smaller [strategies] memory_mb, or more memory",
            );
        }
        Finding::ok(
            name,
            format!("{needs} MiB needed at most, drained at {drain}, the machine has {machine}"),
        )
    }
}

/// `NAME=` of a unit's text, MiB; `None` when it is absent, endless, or a share of the machine.
fn directive_mb(unit: &str, name: &str) -> Option<u64> {
    let line = unit.lines().rev().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?.trim();
    let (digits, unit) = line.split_at(line.find(|c: char| !c.is_ascii_digit()).unwrap_or(line.len()));
    let number: u64 = digits.parse().ok()?;
    let kib = match unit {
        "" => number / 1024,
        "K" => number,
        "M" => number << 10,
        "G" => number << 20,
        "T" => number << 30,
        _ => return None,
    };
    Some(kib >> 10)
}

fn total_mb(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib >> 10)
}

/// Whether a process of ours runs a program, a configuration or keys that are others by now.
pub(super) fn restart(site: &Site) -> Vec<Finding> {
    let name = "restart";
    let Ok(processes) = fs::read_dir("/proc") else {
        return vec![Finding::unseen(name, "there is no /proc", AS_ROOT)];
    };
    let (mut old, mut changed, mut hidden) = (Vec::new(), Vec::new(), false);
    for process in processes.flatten() {
        let Ok(comm) = fs::read_to_string(process.path().join("comm")) else { continue };
        // The kernel keeps 15 characters.
        if !["sandpit", "sandpit-watchdo"].contains(&comm.trim()) {
            continue;
        }
        match fs::read_link(process.path().join("exe")) {
            Ok(program) => {
                let is_ours = [&site.sandpit, &site.watchdog].contains(&&program);
                if let Some(file) =
                    is_ours.then(|| changed_since(site, comm.trim(), &process.path())).flatten()
                {
                    changed.push(format!("{} (of {})", file.display(), comm.trim()));
                }
                let program = program.display().to_string();
                let replaced = program.strip_suffix(" (deleted)");
                if replaced.is_some_and(|path| [&site.sandpit, &site.watchdog].contains(&&path.into())) {
                    old.push(format!("{} (process {})", comm.trim(), process.file_name().display()));
                }
            }
            Err(error) => hidden |= error.kind() == ErrorKind::PermissionDenied,
        }
    }
    let mut found = Vec::new();
    if !old.is_empty() {
        let what = format!("an upgrade waits for a restart: {} still runs the old program", old.join(", "));
        let mend = "systemctl restart sandpit-watchdog, then sandpit-host, outside market hours if you can";
        found.push(Finding::warn(name, what, mend));
    }
    if !changed.is_empty() {
        let what = format!("changed after the start, and not in force: {}", changed.join(", "));
        let mend = "systemctl restart sandpit-watchdog sandpit-host, while somebody looks";
        found.push(Finding::warn(name, what, mend));
    }
    if hidden {
        found.push(Finding::unseen(name, "what other users' processes run", AS_ROOT));
    }
    if found.is_empty() {
        found.push(Finding::ok(name, "nothing waits for a restart"));
    }
    found
}

/// A file that a running program has read at its start and that is another one by now.
fn changed_since(site: &Site, comm: &str, process: &Path) -> Option<PathBuf> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let up_s: u64 = uptime.split('.').next()?.parse().ok()?;
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // Behind the name, which may have anything in it: the twentieth is the start, in ticks since the boot.
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let age = Duration::from_secs(up_s.saturating_sub(ticks / TICKS));
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs((site.world.now_unix_s)()) - age;
    let (config, keys) = if comm == "sandpit" {
        (site.place.config.clone(), HOST_KEY.to_vec())
    } else {
        (site.place.watchdog_config(), [&WATCHDOG_KEY[..], &[PANIC_TOKEN]].concat())
    };
    let keys = keys.into_iter().flat_map(|name| [site.place.credential(name), site.place.encrypted(name)]);
    let is_newer = |path: &PathBuf| {
        let changed = fs::metadata(path).and_then(|found| found.modified());
        changed.is_ok_and(|changed| changed > started + START_SLACK)
    };
    [config].into_iter().chain(keys).find(is_newer)
}

/// Whether the addresses to listen on are free, or taken by ourselves.
pub(super) fn ports(site: &Site) -> Vec<Finding> {
    let host = site.settings.host(&["listen"]).unwrap_or("127.0.0.1:8080");
    let admin = site.settings.watchdog(&["admin", "listen"]).unwrap_or("127.0.0.1:8081");
    let mut found = vec![port("sandpit.toml", host, site.has_host())];
    if admin != "off" {
        found.push(port("watchdog.toml", admin, site.watchdog_says().is_some()));
    }
    found
}

fn port(of: &str, address: &str, runs: bool) -> Finding {
    let name = "ports";
    let mend = format!("ss -ltnp; then another address as `listen` in {of}");
    let Ok(parsed) = address.parse::<SocketAddr>() else {
        return Finding::fail(name, format!("{address:?} of {of} is no address"), mend);
    };
    match try_bind(parsed) {
        Ok(()) => Finding::ok(name, format!("{address} is free for {of}")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && (runs || answers_health(address)) => {
            Finding::ok(name, format!("{address} is taken by the service itself"))
        }
        Err(error) => Finding::fail(name, format!("{address} of {of} cannot be listened on: {error}"), mend),
    }
}

/// Whether somebody could listen there. It does not listen itself: a service that starts in this moment may.
fn try_bind(address: SocketAddr) -> std::io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

/// Whether what listens there is one of ours.
fn answers_health(address: &str) -> bool {
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(HEALTH_WAIT));
    let agent: ureq::Agent = config.build().into();
    let answer = agent.get(format!("http://{address}/health")).call();
    answer.is_ok_and(|mut answer| {
        let body = answer.body_mut().with_config().limit(MIB).read_json::<serde_json::Value>();
        body.is_ok_and(|body| body.is_object())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn room_is_judged_by_bytes_and_inodes() {
        let check = |free_mb: u64, percent: u64, level: Level| {
            assert_eq!(
                judge("disk", String::new(), free_mb * MIB, percent).level,
                level,
                "{free_mb} {percent}"
            );
        };
        check(2000, 50, Level::Ok);
        check(1000, 50, Level::Warn);
        check(100, 50, Level::Fail);
        check(2000, 4, Level::Warn);
        check(2000, 0, Level::Fail);
    }

    #[test]
    fn limits_of_memory_have_to_fit_each_other() {
        let good = || Limits {
            budget_mb: Some(1000),
            drain_percent: 80,
            unit_mb: Some(1200),
            machine_mb: Some(4000),
            strategies_mb: 320,
        };
        let check = |limits: Limits, level: Level, words: &str| {
            let found = limits.judge();
            assert_eq!(found.level, level, "{found:?}");
            assert!(found.found.contains(words), "{found:?}");
        };
        check(good(), Level::Ok, "512 MiB needed at most, drained at 800");
        check(Limits { unit_mb: Some(900), ..good() }, Level::Warn, "900 MiB is less than the budget");
        check(Limits { machine_mb: Some(900), ..good() }, Level::Fail, "the machine has 900");
        check(Limits { strategies_mb: 640, ..good() }, Level::Warn, "832 MiB together");
        check(Limits { machine_mb: None, ..good() }, Level::Warn, "could not be seen");
        check(Limits { budget_mb: None, unit_mb: None, ..good() }, Level::Ok, "drained at 1600");
        assert_eq!(directive_mb("[Service]\nMemoryMax=1G\n", "MemoryMax"), Some(1024));
        assert_eq!(directive_mb("MemoryMax=1G\nMemoryMax=infinity", "MemoryMax"), None);
        assert_eq!(directive_mb("MemoryMax=1073741824", "MemoryMax"), Some(1024));
        assert_eq!(total_mb("MemTotal:        2048 kB\n"), Some(2));
    }
}
