//! What the builds of several languages share: programs that run or say why not, tools that are installed
//! once, and results that are kept by the content of everything they were made of.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sha2::{Digest, Sha256};

use crate::{
    ToolError,
    error::{Context, ensure},
};

/// Components kept, and installations of one tool; the longest unused go first.
const BUILT_MAX: usize = 32;
/// Source files of one strategy, and bytes of each.
const FILES_MAX: usize = 1_000;
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Folders below a strategy's that hold no sources.
const SKIPPED: [&str; 4] = ["node_modules", "target", ".git", "__pycache__"];

/// What no tool has any business with: it runs what strangers have published.
const SECRETS: [&str; 8] = [
    "APCA_API_KEY_ID",
    "APCA_API_SECRET_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "DATABASE_URL",
    "PANEL_TOKEN",
    "PGPASSWORD",
];

/// A program that is given nothing on its standard input, and no secrets.
pub(crate) fn tool(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    for name in SECRETS {
        command.env_remove(name).env_remove(format!("{name}_FILE"));
    }
    command
}

/// What `PROGRAM --version` prints, without names and without `v`.
pub(crate) fn version_of(program: &str) -> Option<String> {
    let output = tool(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_version = |word: &&str| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    let version = text.split_whitespace().find(is_version)?.trim_start_matches('v').to_owned();
    output.status.success().then_some(version)
}

/// The version of a program, which must be at least that.
///
/// # Errors
/// When it is not there or older, with the remedy.
pub(crate) fn at_least(program: &str, least: (u32, u32), remedy: &str) -> Result<String, ToolError> {
    let wanted = format!("{program} {}.{} or newer", least.0, least.1);
    let Some(version) = version_of(program) else {
        return Err(ToolError::Missing { what: wanted, remedy: remedy.to_owned() });
    };
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < least {
        let what = format!("{wanted} (this one is {version})");
        return Err(ToolError::Missing { what, remedy: remedy.to_owned() });
    }
    Ok(version)
}

/// Runs a step; on failure the error holds what it said.
pub(crate) fn run(command: &mut Command) -> Result<(), ToolError> {
    let program = command.get_program().display().to_string();
    let output = command.output().context(format_args!("{program} does not run"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure(output.status.success(), || format!("{program} ended with {}: {}", output.status, said.trim()))
}

/// The folder `cache/NAME-KEY`, made by `make` when it is not there. It appears whole or not at all.
pub(crate) fn provide(
    cache: &Path,
    name: &str,
    key: &str,
    make: impl FnOnce(&Path) -> Result<(), ToolError>,
) -> Result<PathBuf, ToolError> {
    let folder = cache.join(format!("{name}-{}", &key[..16]));
    if folder.exists() {
        return Ok(folder);
    }
    fs::create_dir_all(cache).context(format_args!("cannot create {}", cache.display()))?;
    eprintln!("plugins: installing what {name} needs into {}", folder.display());
    let aside = cache.join(format!(".{name}-{}", std::process::id()));
    remove(&aside)?;
    fs::create_dir_all(&aside).context(format_args!("cannot create {}", aside.display()))?;
    make(&aside).inspect_err(|_| drop(remove(&aside)))?;
    match fs::rename(&aside, &folder) {
        // Another build was quicker.
        Err(_) if folder.exists() => remove(&aside)?,
        outcome => outcome.context(format_args!("cannot write {}", folder.display()))?,
    }
    Ok(folder)
}

/// A hash of everything that a component is made of.
pub(crate) struct Inputs(Sha256);

impl Inputs {
    pub(crate) fn new(texts: &[&str]) -> Self {
        let mut inputs = Self(Sha256::new());
        texts.iter().for_each(|text| inputs.add("", text.as_bytes()));
        inputs
    }

    /// The files below a folder that end in one of these, in the order of their names.
    ///
    /// # Errors
    /// When one cannot be read, or there are too many.
    pub(crate) fn files(mut self, folder: &Path, endings: &[&str]) -> Result<Self, ToolError> {
        for file in sources(folder, endings)? {
            let bytes = fs::read(&file).context(format_args!("cannot read {}", file.display()))?;
            let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
            self.add(&name, &bytes);
        }
        Ok(self)
    }

    fn add(&mut self, name: &str, bytes: &[u8]) {
        for part in [name.as_bytes(), bytes] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    pub(crate) fn key(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The files below a folder that end in one of these, in the order of their names.
fn sources(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, ToolError> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).context(format_args!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry.context(format_args!("cannot read {}", folder.display()))?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let kind = entry.file_type().context(format_args!("cannot read {}", path.display()))?;
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                folders.push(path);
            } else if kind.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
        ensure(found.len() <= FILES_MAX, || {
            format!("{} has more than {FILES_MAX} source files", folder.display())
        })?;
    }
    for file in &found {
        let size = fs::metadata(file).map_or(0, |file| file.len());
        ensure(size <= FILE_BYTES_MAX, || format!("{} is too large for a source file", file.display()))?;
    }
    found.sort();
    Ok(found)
}

/// Writes the component to `out`: the one made of these inputs before, or a new one, which `make` writes to
/// the path that it is given.
pub(crate) fn once(
    cache: &Path,
    key: &str,
    out: &Path,
    make: impl FnOnce(&Path) -> Result<(), ToolError>,
) -> Result<(), ToolError> {
    let folder = cache.join("built");
    let kept = folder.join(format!("{key}.wasm"));
    if !kept.exists() {
        fs::create_dir_all(&folder).context(format_args!("cannot create {}", folder.display()))?;
        let aside = folder.join(format!(".{key}-{}.wasm", std::process::id()));
        make(&aside).inspect_err(|_| drop(fs::remove_file(&aside)))?;
        fs::rename(&aside, &kept).context(format_args!("cannot write {}", kept.display()))?;
        prune(&folder, &kept);
    }
    publish(&kept, out)
}

/// Copies by way of a rename, so that a host that watches the folder never sees half a file; nothing when it
/// is there already.
fn publish(built: &Path, out: &Path) -> Result<(), ToolError> {
    let bytes = fs::read(built).context(format_args!("cannot read {}", built.display()))?;
    if !bytes.starts_with(b"\0asm") {
        drop(fs::remove_file(built));
        return Err(ToolError::failed(format!("{} is no WebAssembly: build again", built.display())));
    }
    if fs::read(out).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let part = out.with_extension("wasm.part");
    let written = fs::write(&part, &bytes).and_then(|()| fs::rename(&part, out));
    written.context(format_args!("cannot write {}", out.display()))
}

/// Removes the oldest results beyond the bound. What cannot be removed stays: it is a cache.
fn prune(folder: &Path, newest: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let aged = |entry: fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
    let mut entries: Vec<_> =
        entries.filter_map(|entry| aged(entry.ok()?)).filter(|(_, path)| path != newest).collect();
    entries.sort();
    let too_many = (entries.len() + 1).saturating_sub(BUILT_MAX);
    entries.iter().take(too_many).for_each(|(_, path)| drop(fs::remove_file(path)));
}

fn remove(folder: &Path) -> Result<(), ToolError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).context(format_args!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_is_missing_or_old_is_named_with_its_remedy() {
        let missing = at_least("no-such-program-of-ours", (3, 10), "install it").expect_err("missing");
        assert_eq!(missing.to_string(), "no-such-program-of-ours 3.10 or newer is missing: install it");
        let version = at_least("cargo", (1, 0), "").expect("cargo runs these tests");
        let old = at_least("cargo", (900, 1), "wait").expect_err("old").to_string();
        assert_eq!(old, format!("cargo 900.1 or newer (this one is {version}) is missing: wait"));
    }

    #[test]
    fn a_step_that_fails_tells_what_it_said() {
        let error = run(tool("sh").args(["-c", "echo out; echo err >&2; exit 3"]));
        let error = error.expect_err("it fails").to_string();
        assert!(error.contains("exit status: 3") && error.contains("out\nerr"), "{error}");
        assert!(run(&mut tool("true")).is_ok());
    }

    #[test]
    fn a_tool_gets_no_secrets() {
        let tool = tool("true");
        let removed: Vec<_> = tool.get_envs().filter(|(_, value)| value.is_none()).collect();
        for name in ["APCA_API_SECRET_KEY", "DATABASE_URL", "AWS_SESSION_TOKEN"] {
            assert!(removed.contains(&(OsStr::new(name), None)), "{name}");
        }
    }

    #[test]
    fn a_change_of_any_source_is_another_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = |texts: &[&str]| Inputs::new(texts).files(folder.path(), &[".js"]).expect("readable").key();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        write("a.js", "1");
        let mut keys = vec![key(&[]), key(&["node 20"])];
        write("node_modules/b.js", "1");
        write("notes.txt", "1");
        assert_eq!(key(&[]), keys[0], "neither is a source");
        write("sandpit/b.js", "1");
        keys.push(key(&[]));
        write("a.js", "2");
        keys.push(key(&[]));
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn what_was_built_is_not_built_again_and_is_written_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let (cache, out) = (folder.path().join("cache"), folder.path().join("a.wasm"));
        let build = |key: &str, bytes: &'static [u8]| {
            once(&cache, key, &out, |to| fs::write(to, bytes).context("cannot write"))
        };
        build("k1", b"\0asm1").expect("built");
        build("k1", b"\0asm2").expect("kept");
        assert_eq!(fs::read(&out).expect("written"), b"\0asm1");
        build("k2", b"\0asm2").expect("built");
        assert_eq!(fs::read(&out).expect("written"), b"\0asm2");
        assert!(build("k3", b"ELF").expect_err("no component").to_string().contains("no WebAssembly"));
        build("k3", b"\0asm3").expect("the bad one is gone");
        for key in 0..BUILT_MAX + 3 {
            build(&format!("x{key}"), b"\0asm4").expect("built");
        }
        assert!(fs::read_dir(cache.join("built")).expect("there").count() <= BUILT_MAX);
    }

    #[test]
    fn tools_are_installed_once_and_wholly() {
        let cache = tempfile::tempdir().expect("a folder");
        let key = "0123456789abcdef0123";
        let fails = provide(cache.path(), "js", key, |_| Err(ToolError::failed("no network")));
        assert_eq!(fails.expect_err("it says why").to_string(), "no network");
        assert_eq!(fs::read_dir(cache.path()).expect("readable").count(), 0, "no half is left");
        let make = |to: &Path| fs::write(to.join("x"), "").context("cannot write");
        let folder = provide(cache.path(), "js", key, make).expect("installed");
        assert!(folder.join("x").exists());
        let again = provide(cache.path(), "js", key, |_| panic!("it is there")).expect("there");
        assert_eq!(again, folder);
    }
}
