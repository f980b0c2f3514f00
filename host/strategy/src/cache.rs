//! The parent's side of compiling: a child with caps, and a cache of what it made.
//!
//! Compiled code is executed, so it is loaded only from a folder that belongs to this user alone, and only
//! when its checksum is the one written beside it after this process had it compiled.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File},
    hash::{Hash, Hasher},
    io::{self, Read},
    os::unix::{
        fs::{DirBuilderExt, MetadataExt},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Resource, Rlimit, Signal},
};
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::{
    Engine, PluginError,
    check::one_line,
    compile::{file_name, write_whole},
};

/// A fair memory cap for the compiling child, bytes that it may hold: interpreters of 19 MB need 450 MiB.
pub const COMPILE_MEMORY_BYTES: u64 = 768 << 20;
/// Beside those it may have so much address space, bytes: for files that are mapped and what is only
/// reserved.
const COMPILE_ADDRESSES_BYTES: u64 = 1280 << 20;
/// How much processor time the child may take, all threads together. An interpreter of 20 MB needs a third.
pub const COMPILE_PROCESSOR_TIME: Duration = Duration::from_secs(120);
/// How long it may take in real time: long enough that on a busy machine, too, only a child that hangs is
/// ended by it.
pub const COMPILE_TIMEOUT: Duration = Duration::from_secs(300);
/// Processor seconds after which a child that would not hear of the limit is killed.
const KILLED_AFTER_SECS: u64 = COMPILE_PROCESSOR_TIME.as_secs() + 5;
/// The child's nice value, at least: on a small machine the threads that trade must not wait for it.
const COMPILE_NICE: i32 = 10;
/// Compiled plugins kept; the longest unused go first.
pub const CACHE_ENTRIES_MAX: usize = 64;
/// Threads of the child: each costs address space, and the trading process wants a core too.
const COMPILE_THREADS: &str = "2";
/// How readily the kernel ends the child where memory runs out, the machine's or the group's: before anybody
/// else, above all before the process that trades.
const COMPILE_OOM_SCORE: &str = "1000";
/// How much of what the child says is read, bytes.
const MESSAGE_BYTES_MAX: u64 = 8 << 10;
/// Exit codes whose words are no refusal of the plugin: a Rust program that panicked, and a program that
/// could not even be loaded, because the cap of its memory came first.
const NO_REFUSALS: [i32; 2] = [101, 127];
const COMPILED: &str = "component.cwasm";
const CHECKSUM: &str = "component.sha256";

/// Compiles plugins in a child process, once each.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The command of the child; the input and output paths are added. It has to call
    /// [`crate::compile_file`], and on failure print its error as one line to standard error and exit with a
    /// code other than zero.
    pub command: Vec<OsString>,
    /// Where compiled plugins are kept. Made with mode 0700 if it is not there.
    pub cache_dir: PathBuf,
    /// What the child may hold in memory, bytes, such as [`COMPILE_MEMORY_BYTES`].
    pub memory_cap_bytes: u64,
}

impl Compiler {
    /// The compiled component for the plugin with this content.
    pub(crate) fn component(
        &self,
        engine: &Engine,
        path: &Path,
        bytes: &[u8],
        sha256: &str,
    ) -> Result<Component, PluginError> {
        make_private(&self.cache_dir)?;
        let entry = self.cache_dir.join(format!("{sha256}-{}", engine_key(engine)));
        make_private(&entry)?;
        if let Some(component) = load(engine, &entry) {
            touch(&entry);
            return Ok(component);
        }
        self.compile(path, bytes, &entry)?;
        self.prune(&entry);
        load(engine, &entry).ok_or_else(|| PluginError::CompilerDied {
            file: file_name(path),
            limit_bytes: self.memory_cap_bytes,
            detail: "its output does not load".into(),
        })
    }

    /// Compiles a private copy, so that what is compiled is what was hashed.
    fn compile(&self, path: &Path, bytes: &[u8], entry: &Path) -> Result<(), PluginError> {
        let (copy, output) = (entry.join(file_name(path)), entry.join(COMPILED));
        remove_file(&entry.join(CHECKSUM))?;
        fs::write(&copy, bytes).map_err(PluginError::io("write", &copy))?;
        let outcome = self.run_child(&file_name(path), &copy, &output);
        remove_file(&copy)?;
        outcome?;
        let checksum = file_sha256(&output).map_err(PluginError::io("read", &output))?;
        write_whole(&entry.join(CHECKSUM), checksum.as_bytes())
    }

    fn run_child(&self, file: &str, input: &Path, output: &Path) -> Result<(), PluginError> {
        let (program, arguments) = self.command.split_first().expect("a compiler command is configured");
        let no_compiler =
            |source| PluginError::NoCompiler { command: program.to_string_lossy().into_owned(), source };
        // No environment: the child reads untrusted files and has no business with our credentials.
        let mut child = Command::new(program)
            .args(arguments)
            .args([input, output])
            .env_clear()
            .env("RAYON_NUM_THREADS", COMPILE_THREADS)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(no_compiler)?;
        let ended = cap(&child, self.memory_cap_bytes).and_then(|()| {
            // The end of its input is the child's sign to begin.
            drop(child.stdin.take());
            ended(&child, COMPILE_TIMEOUT)
        });
        if !matches!(ended, Ok(true)) {
            end(&mut child);
        }
        if !ended.map_err(|error| no_compiler(error.into()))? {
            return Err(PluginError::CompilerSlow { file: file.to_owned(), limit: COMPILE_TIMEOUT });
        }
        let status = child.wait().map_err(no_compiler)?;
        let message = last_words(&mut child);
        if status.success() {
            return Ok(());
        }
        if status.signal() == Some(Signal::XCPU.as_raw()) {
            return Err(PluginError::CompilerLong { file: file.to_owned(), limit: COMPILE_PROCESSOR_TIME });
        }
        if status.code().is_some_and(|code| !NO_REFUSALS.contains(&code)) && !message.is_empty() {
            return Err(PluginError::Refused(message));
        }
        Err(PluginError::CompilerDied {
            file: file.to_owned(),
            limit_bytes: self.memory_cap_bytes,
            detail: if message.is_empty() { status.to_string() } else { message },
        })
    }

    /// Keeps the newest entries. Best effort: a full cache costs disk, not trading.
    fn prune(&self, newest: &Path) {
        let Ok(listing) = fs::read_dir(&self.cache_dir) else { return };
        let mut entries: Vec<_> = listing
            .filter_map(|entry| {
                let entry = entry.ok()?;
                Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
            })
            .filter(|(_, path)| path != newest)
            .collect();
        entries.sort();
        let surplus = entries.len().saturating_sub(CACHE_ENTRIES_MAX - 1);
        for (_, path) in entries.drain(..surplus) {
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!(path = %path.display(), %error, "an old cache entry stays");
            }
        }
    }
}

/// Caps memory and processor time from outside, before the child begins, so that it has no chance to forget
/// it, keeps an abort for lack of memory from writing a core, and lets all who trade go first, also where
/// memory runs out. Threads that it starts afterwards inherit all of that.
fn cap(child: &Child, memory_bytes: u64) -> rustix::io::Result<()> {
    let pid = Some(Pid::from_child(child));
    let addresses_bytes = memory_bytes.saturating_add(COMPILE_ADDRESSES_BYTES);
    let limits = [
        (Resource::Data, memory_bytes, memory_bytes),
        (Resource::As, addresses_bytes, addresses_bytes),
        (Resource::Cpu, COMPILE_PROCESSOR_TIME.as_secs(), KILLED_AFTER_SECS),
        (Resource::Core, 0, 0),
    ];
    for (resource, current, maximum) in limits {
        rustix::process::prlimit(pid, resource, Rlimit { current: Some(current), maximum: Some(maximum) })?;
    }
    // Best effort: where it cannot be written, the kernel goes by size, and the child is mostly the larger
    // one.
    fs::write(format!("/proc/{}/oom_score_adj", child.id()), COMPILE_OOM_SCORE).ok();
    // Where this process is nicer already, so is the child, and being less nice is not for everybody.
    let nice = rustix::process::getpriority_process(pid)?.max(COMPILE_NICE);
    rustix::process::setpriority_process(pid, nice)
}

/// Waits for the child's end, at most `limit` of real time; whether it came.
fn ended(child: &Child, limit: Duration) -> rustix::io::Result<bool> {
    let pidfd = rustix::process::pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let limit = Timespec::try_from(limit).expect("some minutes are a valid span");
    let ready = rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)))?;
    Ok(ready > 0)
}

/// The last line that an ended child said.
fn last_words(child: &mut Child) -> String {
    let stderr = child.stderr.take().expect("standard error is piped");
    let mut bytes = Vec::new();
    // What cannot be read was not said: the exit status tells the rest.
    stderr.take(MESSAGE_BYTES_MAX).read_to_end(&mut bytes).ok();
    one_line(String::from_utf8_lossy(&bytes).trim_end().lines().next_back().unwrap_or_default())
}

fn end(child: &mut Child) {
    // Both fail only when it has ended already.
    child.kill().ok();
    child.wait().ok();
}

/// Loads an entry whose checksum holds; anything else is as good as missing.
fn load(engine: &Engine, entry: &Path) -> Option<Component> {
    let compiled = entry.join(COMPILED);
    let expected = fs::read_to_string(entry.join(CHECKSUM)).ok()?;
    if file_sha256(&compiled).ok()? != expected {
        tracing::warn!(path = %compiled.display(), "a damaged cache entry is compiled again");
        return None;
    }
    // SAFETY: the file was made by `precompile_component` in a child of ours, lies in a folder that only this
    // user can enter, and is byte for byte what was recorded after that. It is never written in place: a
    // newer one is renamed over it, which leaves the mapped file as it is.
    #[expect(
        unsafe_code,
        reason = "compiled code can only be loaded on trust; the trust is established above"
    )]
    let component = unsafe { Component::deserialize_file(engine.inner(), &compiled) };
    component.inspect_err(|error| tracing::warn!(%error, "a cache entry does not load")).ok()
}

/// Makes a folder for this user alone, or checks that it is one.
fn make_private(path: &Path) -> Result<(), PluginError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(PluginError::io("create", path))?;
    let metadata = fs::symlink_metadata(path).map_err(PluginError::io("read", path))?;
    let problem = if !metadata.is_dir() {
        "it is no folder".to_owned()
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        format!("it belongs to user {}", metadata.uid())
    } else if metadata.mode() & 0o077 != 0 {
        format!("its mode is {:o}", metadata.mode() & 0o7777)
    } else {
        return Ok(());
    };
    Err(PluginError::CacheNotPrivate { path: path.to_owned(), problem })
}

fn remove_file(path: &Path) -> Result<(), PluginError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PluginError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Marks an entry as used. Best effort: at worst it is compiled again one day.
fn touch(entry: &Path) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    utimensat(CWD, entry, &times, AtFlags::empty()).ok();
}

/// Everything beside the plugin's content that the compiled code depends on.
fn engine_key(engine: &Engine) -> String {
    let mut hasher = HashOf(Sha256::new());
    engine.inner().precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.update(env!("CARGO_PKG_VERSION"));
    hex(&hasher.0.finalize()[..8])
}

/// Feeds a `Hash` into a hash that is the same in every process.
struct HashOf(Sha256);

impl Hasher for HashOf {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

fn file_sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// The checksum of some bytes, in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_child_is_noticed_and_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep is there");
        assert!(!ended(&child, Duration::from_millis(20)).expect("pidfds work"));
        end(&mut child);
        assert!(ended(&child, Duration::ZERO).is_err(), "it is reaped");
    }

    #[test]
    fn the_child_is_capped_and_nice() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep is there");
        cap(&child, 1 << 30).expect("it can be capped");
        let pid = Pid::from_child(&child);
        let nice = rustix::process::getpriority_process(Some(pid)).expect("it runs");
        let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("it runs");
        let score = fs::read_to_string(format!("/proc/{}/oom_score_adj", child.id())).expect("it runs");
        // The second time changes nothing, though nobody may become less nice again.
        cap(&child, 1 << 30).expect("it can be capped again");
        end(&mut child);
        let own = rustix::process::getpriority_process(None).expect("we run");
        assert_eq!(nice, own.max(10));
        let row = |name: &str| {
            let row = limits.lines().find_map(|line| line.strip_prefix(name)).expect("a row");
            row.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(row("Max cpu time"), ["120", "125"]);
        assert_eq!(row("Max data size"), ["1073741824", "1073741824"]);
        assert_eq!(row("Max address space"), ["2415919104", "2415919104"]);
        assert_eq!(score.trim(), "1000", "it goes before whoever started it");
        assert_eq!(row("Max core file size"), ["0", "0"]);
        // What is slow because others are busy is not ended before its processor time is used up.
        assert!(COMPILE_TIMEOUT >= 2 * COMPILE_PROCESSOR_TIME);
    }

    /// Neither keys nor the way to our manager: the child reads files that nobody trusts.
    #[test]
    fn the_child_has_nothing_of_our_environment() {
        let dir = tempfile::tempdir().expect("a folder");
        let script = "read -r _; /bin/cat /proc/$$/environ > \"$2\"";
        let command = ["/bin/sh", "-c", script, "child"].map(OsString::from).to_vec();
        let cache_dir = dir.path().to_owned();
        let compiler = Compiler { command, cache_dir, memory_cap_bytes: COMPILE_MEMORY_BYTES };
        let output = dir.path().join("environment");
        assert!(std::env::vars_os().next().is_some(), "there is something to have");
        compiler.run_child("plugin.wasm", &dir.path().join("copy"), &output).expect("it is good");
        let environment = fs::read_to_string(&output).expect("written");
        // Names alone: what a failure prints may be read by anybody.
        let name = |variable: &str| variable.split('=').next().map(str::to_owned);
        let names: Vec<_> = environment.split_terminator('\0').filter_map(name).collect();
        assert_eq!(names, ["RAYON_NUM_THREADS"]);
    }

    #[test]
    fn old_entries_go_first() {
        let dir = tempfile::tempdir().expect("a folder");
        let compiler =
            Compiler { command: Vec::new(), cache_dir: dir.path().to_owned(), memory_cap_bytes: 0 };
        let entries: Vec<_> = (0..CACHE_ENTRIES_MAX + 2).map(|n| dir.path().join(n.to_string())).collect();
        for (age, entry) in (0..).zip(&entries) {
            fs::create_dir(entry).expect("an entry");
            let time = std::time::UNIX_EPOCH + Duration::from_secs(age);
            File::open(entry).and_then(|entry| entry.set_modified(time)).expect("its age");
        }
        touch(&entries[0]);
        compiler.prune(&entries[1]);
        let left = fs::read_dir(dir.path()).expect("a listing").count();
        assert_eq!(left, CACHE_ENTRIES_MAX);
        assert!(entries[0].exists() && entries[1].exists() && !entries[2].exists());
    }
}
