//! How much of its memory the host has used up.
//!
//! Numerator: the working set of its cgroup (usage without inactive file pages), or its resident memory where
//! the cgroup is ours too. What the host's compiling children hold for a while is left out: a restart would
//! only have them compile again. They are capped by the host, and the kernel ends them first where memory
//! runs out. Denominator: the smallest limit above it, else a budget, else half of the machine.

mod files;
mod judge;
mod waiting;

pub(crate) use self::{
    files::Files,
    judge::{Bounds, Judge, Judgement},
    waiting::{Condemned, WAITING_MAX, Waiting},
};

/// Reads one file of `/proc` or `/sys`; `None` when it is not there.
pub(crate) type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How a child that compiles is told from all else in the host's cgroup: by the first argument.
const COMPILING: &[u8] = b"compile-plugin";
/// No more than this is left out, bytes: the host compiles one plugin at a time, and caps it lower.
const COMPILING_MAX_BYTES: u64 = 1 << 30;
/// Processes of the cgroup that are looked at; more are not a host with a compiling child.
const PROCESSES_MAX: usize = 64;

/// One sample, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The numerator.
    pub(crate) used: u64,
    /// The denominator.
    pub(crate) limit: u64,
    /// The host's resident memory.
    pub(crate) rss: u64,
    /// For so much of the last ten seconds somebody in the host's cgroup, or else on the machine, waited for
    /// memory, per mille.
    pub(crate) psi_permille: Option<u32>,
}

impl Usage {
    /// Per cent of the limit.
    pub(crate) fn percent(self) -> u32 {
        u32::try_from(u128::from(self.used) * 100 / u128::from(self.limit.max(1))).unwrap_or(u32::MAX)
    }
}

/// The two layouts of the memory controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Version {
    fn root(self) -> &'static str {
        match self {
            Self::V1 => "/sys/fs/cgroup/memory",
            Self::V2 => "/sys/fs/cgroup",
        }
    }

    fn usage_file(self) -> &'static str {
        match self {
            Self::V1 => "memory.usage_in_bytes",
            Self::V2 => "memory.current",
        }
    }

    fn limit_file(self) -> &'static str {
        match self {
            Self::V1 => "memory.limit_in_bytes",
            Self::V2 => "memory.max",
        }
    }

    fn inactive_key(self) -> &'static str {
        match self {
            Self::V1 => "total_inactive_file",
            Self::V2 => "inactive_file",
        }
    }
}

/// Measures process `pid`; `budget` in bytes. `None` when the process is gone.
pub(crate) fn measure(pid: u32, budget: Option<u64>, read: Read<'_>) -> Option<Usage> {
    let rss = keyed(&read(&format!("/proc/{pid}/status"))?, "VmRSS:")? * 1024;
    let machine = read("/proc/meminfo").and_then(|text| keyed(&text, "MemTotal:")).map(|kib| kib * 1024);
    let theirs = read(&format!("/proc/{pid}/cgroup")).and_then(|text| cgroup_of(&text));
    let ours = read("/proc/self/cgroup").and_then(|text| cgroup_of(&text));
    let is_shared = theirs == ours;
    let folders = theirs.as_ref().map(|(version, path)| (*version, folders(*version, path, is_shared, read)));
    let smallest = folders.as_ref().and_then(|(version, folders)| {
        let limit = |folder: &String| number(&read(&format!("{folder}/{}", version.limit_file()))?);
        folders.iter().filter_map(limit).filter(|limit| machine.is_none_or(|machine| *limit < machine)).min()
    });
    let working_set = match &folders {
        Some((version, folders)) if !is_shared => folders.first().and_then(|folder| {
            let all = working_set(*version, folder, read)?;
            Some(all.saturating_sub(compiling(pid, folder, read)))
        }),
        Some(_) | None => None,
    };
    let limit = match (smallest, budget) {
        (Some(limit), Some(budget)) => limit.min(budget),
        (Some(limit), None) => limit,
        (None, Some(budget)) => budget,
        (None, None) => machine? / 2,
    };
    let own = folders.as_ref().filter(|_| !is_shared).and_then(|(_, folders)| folders.first());
    let psi_permille = pressure(own, read);
    Some(Usage { used: working_set.unwrap_or(rss), limit, rss, psi_permille })
}

/// Of the cgroup, where the kernel counts it (version 2), else of the machine.
fn pressure(folder: Option<&String>, read: Read<'_>) -> Option<u32> {
    let text = folder
        .and_then(|folder| read(&format!("{folder}/memory.pressure")))
        .or_else(|| read("/proc/pressure/memory"))?;
    let line = text.lines().find(|line| line.starts_with("some "))?;
    let share = line.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?;
    // Per cent with two places.
    let (whole, places) = share.split_once('.')?;
    let tenth = places.get(..1)?.parse::<u32>().ok()?;
    Some(whole.parse::<u32>().ok()?.saturating_mul(10).saturating_add(tenth))
}

/// From `/proc/PID/cgroup`: which layout carries the memory controller, and the path in it.
fn cgroup_of(text: &str) -> Option<(Version, String)> {
    let line = |line: &str| {
        let mut parts = line.splitn(3, ':');
        Some((parts.next()?.to_owned(), parts.next()?.to_owned(), parts.next()?.to_owned()))
    };
    let lines: Vec<_> = text.lines().filter_map(line).collect();
    let v1 = lines.iter().find(|(_, controllers, _)| controllers.split(',').any(|name| name == "memory"));
    let v2 = lines.iter().find(|(number, ..)| number == "0");
    v1.map(|line| (Version::V1, line.2.clone())).or_else(|| v2.map(|line| (Version::V2, line.2.clone())))
}

/// The cgroup's folder and those above it. A path from outside our namespace does not exist here: then the
/// root, if the cgroup is ours too; of another one nothing here tells.
fn folders(version: Version, path: &str, is_shared: bool, read: Read<'_>) -> Vec<String> {
    let root = version.root();
    let path = path.trim_end_matches('/');
    let exists = read(&format!("{root}{path}/{}", version.usage_file())).is_some();
    let mut rest = match (exists, is_shared) {
        (true, _) => path,
        (false, true) => "",
        (false, false) => return Vec::new(),
    };
    let mut folders = Vec::new();
    loop {
        folders.push(format!("{root}{rest}"));
        match rest.rsplit_once('/') {
            Some((above, _)) => rest = above,
            None => return folders,
        }
    }
}

fn working_set(version: Version, folder: &str, read: Read<'_>) -> Option<u64> {
    let usage = number(&read(&format!("{folder}/{}", version.usage_file()))?)?;
    let inactive = keyed(&read(&format!("{folder}/memory.stat"))?, version.inactive_key())?;
    Some(usage.saturating_sub(inactive))
}

/// What compiles for `host` holds in this cgroup, without the pages that are shared: its children, and those
/// of the same program that a host before it left behind when it was killed.
fn compiling(host: u32, folder: &str, read: Read<'_>) -> u64 {
    let Some(processes) = read(&format!("{folder}/cgroup.procs")) else { return 0 };
    let program = read(&format!("/proc/{host}/status"));
    let program = program.as_deref().and_then(|status| word(status, "Name:"));
    let held = |process: u32| {
        let status = read(&format!("/proc/{process}/status"))?;
        let is_child = keyed(&status, "PPid:")? == u64::from(host);
        let is_ours = is_child || (program.is_some() && word(&status, "Name:") == program);
        let command = read(&format!("/proc/{process}/cmdline")).filter(|_| is_ours)?;
        let is_compiling = command.as_bytes().split(|byte| *byte == 0).nth(1) == Some(COMPILING);
        is_compiling.then_some(keyed(&status, "RssAnon:")? * 1024)
    };
    let processes = processes.lines().filter_map(|line| line.parse().ok()).take(PROCESSES_MAX);
    processes.filter_map(held).sum::<u64>().min(COMPILING_MAX_BYTES)
}

/// A file of one number; `max` is none.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The number behind a key at a line's start.
fn keyed(text: &str, key: &str) -> Option<u64> {
    word(text, key)?.parse().ok()
}

/// The word behind a key at a line's start.
fn word<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut words = text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(key)).then_some(words)
    })?;
    words.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const STATUS: (&str, &str) =
        ("/proc/7/status", "Name:\tsandpit\nVmPeak:\t  9 kB\nVmRSS:\t   102400 kB\n");
    const MEMINFO: (&str, &str) = ("/proc/meminfo", "MemTotal:        2097152 kB\nMemFree: 1 kB\n");

    fn check(tree: &[(&str, &str)], budget_mb: Option<u64>, expected_mb: Option<(u64, u64)>) {
        let read =
            |path: &str| tree.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        let usage = measure(7, budget_mb.map(|mb| mb * MIB), &read);
        assert_eq!(usage.map(|usage| (usage.used / MIB, usage.limit / MIB)), expected_mb, "{tree:?}");
    }

    #[test]
    fn a_service_under_version_2() {
        let tree = [
            STATUS,
            MEMINFO,
            ("/proc/7/cgroup", "0::/system.slice/sandpit.service\n"),
            ("/proc/self/cgroup", "0::/system.slice/sandpit-watchdog.service\n"),
            ("/sys/fs/cgroup/system.slice/sandpit.service/memory.current", "314572800\n"),
            (
                "/sys/fs/cgroup/system.slice/sandpit.service/memory.stat",
                "anon 1\ninactive_file 104857600\nx 1\n",
            ),
            ("/sys/fs/cgroup/system.slice/sandpit.service/memory.max", "max\n"),
            ("/sys/fs/cgroup/system.slice/memory.max", "1073741824\n"),
        ];
        check(&tree, None, Some((200, 1024)));
        check(&tree, Some(512), Some((200, 512)));
        check(&tree, Some(4096), Some((200, 1024)));
    }

    #[test]
    fn a_service_under_version_1() {
        let tree = [
            STATUS,
            MEMINFO,
            ("/proc/7/cgroup", "9:name=systemd:/a\n4:memory:/a/b\n0::/\n"),
            ("/proc/self/cgroup", "4:memory:/a/c\n0::/\n"),
            ("/sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "209715200"),
            ("/sys/fs/cgroup/memory/a/b/memory.stat", "inactive_file 0\ntotal_inactive_file 52428800\n"),
            ("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "536870912"),
            ("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "268435456"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
        ];
        check(&tree, None, Some((150, 256)));
    }

    #[test]
    fn what_compiles_is_left_out_and_nothing_else() {
        const GROUP: &str = "/sys/fs/cgroup/a";
        let file = |name: &str, text: &str| (format!("{GROUP}/{name}"), text.to_owned());
        let compiles = "sandpit\0compile-plugin\0a\0b\0";
        let used_by = |name: &str, ppid: u32, command: &str, anon_mb: u64, procs: &str| {
            let mut tree = vec![
                file("memory.current", &(2_000 * MIB).to_string()),
                file("memory.stat", "inactive_file 0\n"),
                file("cgroup.procs", procs),
                (
                    "/proc/9/status".to_owned(),
                    format!("Name:\t{name}\nPPid:\t{ppid}\nRssAnon:\t {} kB\n", anon_mb << 10),
                ),
                ("/proc/9/cmdline".to_owned(), command.to_owned()),
                ("/proc/7/cgroup".to_owned(), "0::/a\n".to_owned()),
                ("/proc/self/cgroup".to_owned(), "0::/b\n".to_owned()),
            ];
            tree.extend([STATUS, MEMINFO].map(|(name, text)| (name.to_owned(), text.to_owned())));
            let read = |path: &str| tree.iter().find(|(name, _)| name == path).map(|(_, text)| text.clone());
            measure(7, None, &read).expect("it is there").used / MIB
        };
        let used =
            |ppid: u32, command: &str, anon_mb, procs: &str| used_by("other", ppid, command, anon_mb, procs);
        assert_eq!(used(7, compiles, 400, "7\n9\n"), 1_600);
        assert_eq!(used_by("sandpit", 1, compiles, 400, "7\n9\n"), 1_600, "left by a host before");
        assert_eq!(used_by("sandpit", 1, "sandpit\0run\0", 400, "7\n9\n"), 2_000, "it does not compile");
        assert_eq!(used(7, compiles, 400, "7\n"), 2_000, "it is elsewhere");
        assert_eq!(used(1, compiles, 400, "7\n9\n"), 2_000, "somebody else's child");
        assert_eq!(used(7, "sandpit\0run\0compile-plugin\0", 400, "7\n9\n"), 2_000, "another one");
        assert_eq!(used(7, compiles, 5_000, "7\n9\n"), 976, "at most so much");
    }

    /// A whole tree of files: `==> PATH <==`, then the text; `~` stands for the zeros of a command line.
    fn tree(text: &str) -> Vec<(&str, String)> {
        let files = text.split("==> ").filter_map(|file| file.split_once(" <==\n"));
        files.map(|(path, text)| (path, text.replace('~', "\0"))).collect()
    }

    /// Version 1 was recorded on a machine, with a host of 130 MB, a child of 70 MB that compiles, and a file
    /// of 25 MB read twice. Version 2 has the same processes in the files of the kernel's documentation:
    /// no machine with it was at hand.
    #[test]
    fn whole_trees_are_read() {
        const COMPILES: u64 = 72_428 << 10;
        let measured = |text: &'static str| {
            let tree = tree(text);
            let read = |path: &str| tree.iter().find(|(name, _)| *name == path).map(|(_, text)| text.clone());
            measure(407, None, &read).expect("it is there")
        };
        assert_eq!(
            measured(include_str!("memory/trees/version-1.txt")),
            Usage {
                used: 235_503_616 - 339_968 - COMPILES,
                limit: 768 * MIB,
                rss: 137_140 << 10,
                psi_permille: Some(0)
            }
        );
        assert_eq!(
            measured(include_str!("memory/trees/version-2.txt")),
            Usage {
                used: 235_503_616 - 20_447_232 - COMPILES,
                limit: 512 * MIB,
                rss: 137_140 << 10,
                psi_permille: Some(20)
            }
        );
    }

    #[test]
    fn a_shared_or_unlimited_cgroup_counts_resident_memory() {
        let shared = [
            STATUS,
            MEMINFO,
            ("/proc/7/cgroup", "4:memory:/pod/x\n"),
            ("/proc/self/cgroup", "4:memory:/pod/x\n"),
            // The path is one of outside; inside, the root is the pod.
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "999999999"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "419430400"),
        ];
        check(&shared, None, Some((100, 400)));
        // That of another container is not the root that we see.
        let mut other = shared;
        other[3].1 = "4:memory:/pod/y\n";
        check(&other, None, Some((100, 1024)));
        check(&other, Some(300), Some((100, 300)));
        check(&[STATUS, MEMINFO], None, Some((100, 1024)));
        check(&[STATUS, MEMINFO], Some(200), Some((100, 200)));
        check(&[MEMINFO], None, None);
    }

    #[test]
    fn per_cent_are_whole_and_bounded() {
        let usage = |used, limit| Usage { used, limit, rss: 0, psi_permille: None };
        assert_eq!(usage(80, 100).percent(), 80);
        assert_eq!(usage(u64::MAX, 0).percent(), u32::MAX);
    }

    #[test]
    fn this_very_process_can_be_measured() {
        let files = Files::default();
        let read = |path: &str| files.read(path);
        for _ in 0..3 {
            let usage = measure(std::process::id(), None, &read).expect("we are alive");
            assert!(usage.rss > 0 && usage.limit > 0, "{usage:?}");
            files.end_sample();
        }
    }

    #[test]
    fn pressure_is_that_of_the_cgroup_or_else_of_the_machine() {
        let line =
            |share: &str| format!("some avg10={share} avg60=1.00 avg300=0.00 total=9\nfull avg10=9.99\n");
        let measured = |own: Option<&str>, machine: Option<&str>| {
            let read = |path: &str| match path {
                "/sys/fs/cgroup/a/memory.current" => Some("1".into()),
                "/sys/fs/cgroup/a/memory.pressure" => own.map(line),
                "/proc/pressure/memory" => machine.map(line),
                "/proc/7/cgroup" => Some("0::/a\n".into()),
                "/proc/self/cgroup" => Some("0::/b\n".into()),
                path => {
                    [STATUS, MEMINFO].iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).into())
                }
            };
            measure(7, None, &read).expect("it is there").psi_permille
        };
        assert_eq!(measured(Some("12.34"), Some("56.00")), Some(123));
        assert_eq!(measured(None, Some("56.00")), Some(560));
        assert_eq!(measured(None, Some("x")), None);
        assert_eq!(measured(None, None), None);
    }
}
