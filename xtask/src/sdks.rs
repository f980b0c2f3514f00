//! Installs the broker's official SDKs for `tests/conformance` and `cargo xtask bench ingest`: `alpaca-py`
//! from PyPI into `target/sdk/python`, `@alpacahq/alpaca-trade-api` from npm into `target/sdk/node`, both as
//! their lock files pin them. What is there already is left alone.
//!
//! With them come what reads exported records (`pandas`, `polars`, `pyarrow`), and `s3rver`, a server that
//! speaks S3 and verifies signatures, for the tests of the records.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow, bail, ensure};

/// Where the lock files lie.
const LOCKS: &str = "tests/conformance";
/// Says what an installed SDK was made from; written last.
const STAMP: &str = "stamp";
/// The oldest Node.js whose `fetch` and `Headers` the npm SDK can use.
const LEAST_NODE: u32 = 18;

/// What an SDK is installed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sdk {
    Python,
    Node,
}

impl Sdk {
    const ALL: [Self; 2] = [Self::Python, Self::Node];

    const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
        }
    }

    /// What has to be run, and what to say when that fails.
    const fn interpreter(self) -> (&'static str, &'static str) {
        match self {
            Self::Python => ("python3", PYTHON_REMEDY),
            Self::Node => ("node", NODE_REMEDY),
        }
    }

    /// The files, below [`LOCKS`], that decide what is installed.
    const fn locks(self) -> &'static [&'static str] {
        match self {
            Self::Python => &["python/requirements.txt"],
            Self::Node => &["node/package.json", "node/package-lock.json"],
        }
    }

    fn install(self, locks: &Path, into: &Path) -> Result<()> {
        match self {
            Self::Python => install_python(locks, into),
            Self::Node => install_node(locks, into),
        }
    }
}

const PYTHON_REMEDY: &str = "the tests against alpaca-py need Python 3.10 or newer with its venv module; \
                             install it (Debian: `apt-get install python3 python3-venv`) and try again";
const NODE_REMEDY: &str = "the tests against @alpacahq/alpaca-trade-api need Node.js 18 or newer and npm; \
                           install them (Debian: `apt-get install nodejs npm`) and try again";

const REGISTRY_REMEDY: &str = "the broker's SDKs could not be installed; they come once from PyPI and npm, \
                               which must be reached, directly or through a mirror that pip and npm know";

/// Installs what is missing or has changed, into `out`, and returns the folders.
///
/// # Errors
/// When an interpreter is missing, or a registry does not deliver what the lock files name.
pub(crate) fn install(root: &Path, out: &Path) -> Result<Vec<PathBuf>> {
    let locks = root.join(LOCKS);
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    Sdk::ALL.into_iter().map(|sdk| provide(sdk, &locks, out)).collect()
}

/// Installs what is missing of `alpaca-py` alone, into `out`, and returns the Python that has it.
///
/// # Errors
/// As [`install`].
pub(crate) fn python(root: &Path, out: &Path) -> Result<PathBuf> {
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    Ok(provide(Sdk::Python, &root.join(LOCKS), out)?.join("bin/python"))
}

/// One SDK: at once when its stamp is that of the locks and the interpreter; else made aside and moved there.
fn provide(sdk: Sdk, locks: &Path, out: &Path) -> Result<PathBuf> {
    let (interpreter, remedy) = sdk.interpreter();
    let version = version_of(interpreter).map_err(|error| anyhow!("{remedy} ({error:#})"))?;
    if sdk == Sdk::Node {
        ensure!(major(&version) >= LEAST_NODE, "{remedy} (this one is {version})");
    }
    let stamp = stamp(sdk, locks, &version)?;
    let folder = out.join(sdk.name());
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|old| old == stamp) {
        return Ok(folder);
    }
    eprintln!("sdks: installing {} for {interpreter} {version}", sdk.name());
    let made = tempfile::Builder::new()
        .prefix(&format!(".{}-", sdk.name()))
        .tempdir_in(out)
        .with_context(|| format!("cannot create a folder in {}", out.display()))?;
    sdk.install(locks, made.path())?;
    fs::write(made.path().join(STAMP), stamp).context("cannot write the stamp")?;
    replace(&folder, &made.keep())?;
    Ok(folder)
}

/// The locks' texts and the interpreter's version: any change installs anew.
fn stamp(sdk: Sdk, locks: &Path, version: &str) -> Result<String> {
    let mut stamp = format!("{version}\n");
    for lock in sdk.locks() {
        let path = locks.join(lock);
        stamp += &fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(stamp)
}

/// Puts a folder into the place of another by renames, so that a test never meets half of one.
fn replace(folder: &Path, made: &Path) -> Result<()> {
    let old = made.with_extension("old");
    if folder.exists() {
        fs::rename(folder, &old).with_context(|| format!("cannot move {}", folder.display()))?;
    }
    fs::rename(made, folder).with_context(|| format!("cannot move {}", made.display()))?;
    if old.exists() {
        fs::remove_dir_all(&old).with_context(|| format!("cannot remove {}", old.display()))?;
    }
    Ok(())
}

/// A virtual environment. It is used by its `bin/python` alone, which finds its packages from wherever the
/// folder is moved to.
fn install_python(locks: &Path, into: &Path) -> Result<()> {
    let mut venv = Command::new("python3");
    run(venv.args(["-m", "venv"]).arg(into)).map_err(|error| anyhow!("{PYTHON_REMEDY} ({error:#})"))?;
    let mut pip = Command::new(into.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    pip.args(["--require-hashes", "--requirement"]).arg(locks.join("python/requirements.txt"));
    run(&mut pip).map_err(|error| anyhow!("{REGISTRY_REMEDY} (PyPI: {error:#})"))
}

fn install_node(locks: &Path, into: &Path) -> Result<()> {
    for file in ["package.json", "package-lock.json"] {
        fs::copy(locks.join("node").join(file), into.join(file))
            .with_context(|| format!("cannot copy {file}"))?;
    }
    version_of("npm").map_err(|error| anyhow!("{NODE_REMEDY} ({error:#})"))?;
    let mut npm = Command::new("npm");
    npm.current_dir(into).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    run(&mut npm).map_err(|error| anyhow!("{REGISTRY_REMEDY} (npm: {error:#})"))
}

/// What `PROGRAM --version` prints, without its name and without `v`.
fn version_of(program: &str) -> Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} does not run"))?;
    ensure!(output.status.success(), "`{program} --version` ended with {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().last().unwrap_or_default();
    Ok(version.trim_start_matches('v').to_owned())
}

/// The first number of a version; 0 when there is none.
fn major(version: &str) -> u32 {
    version.split('.').next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

/// Runs a step; on failure the error holds what it said.
fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program} does not run"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    bail!("{program} ended with {}: {}", output.status, String::from_utf8_lossy(&said).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let check = |version: &str, expected: u32| assert_eq!(major(version), expected, "{version}");
        check("20.20.2", 20);
        check("8", 8);
        check("", 0);
        check("next", 0);
    }

    #[test]
    fn a_missing_interpreter_is_an_error() {
        assert!(version_of("no-such-program-of-ours").is_err());
    }

    #[test]
    fn a_changed_lock_changes_the_stamp() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("python")).expect("made");
        let lock = folder.path().join("python/requirements.txt");
        fs::write(&lock, "a==1\n").expect("written");
        let first = stamp(Sdk::Python, folder.path(), "3.13.1").expect("readable");
        assert_eq!(first, stamp(Sdk::Python, folder.path(), "3.13.1").expect("readable"));
        assert_ne!(first, stamp(Sdk::Python, folder.path(), "3.14.0").expect("readable"));
        fs::write(&lock, "a==2\n").expect("written");
        assert_ne!(first, stamp(Sdk::Python, folder.path(), "3.13.1").expect("readable"));
    }

    #[test]
    fn a_folder_takes_the_place_of_another_wholly() {
        let out = tempfile::tempdir().expect("a temporary folder");
        let (folder, made) = (out.path().join("node"), out.path().join(".node-x"));
        for round in ["1", "2"] {
            fs::create_dir(&made).expect("made");
            fs::write(made.join(round), "").expect("written");
            replace(&folder, &made).expect("moved");
        }
        assert!(folder.join("2").exists() && !folder.join("1").exists());
        assert_eq!(fs::read_dir(out.path()).expect("readable").count(), 1);
    }

    /// The lock files name what to fetch, never where from: everybody uses the registry they are set up for.
    #[test]
    fn the_locks_are_whole_and_name_no_registry() {
        let locks = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join(LOCKS);
        for sdk in Sdk::ALL {
            let text = stamp(sdk, &locks, "1").expect("readable");
            let places: Vec<_> = text.lines().filter(|line| line.contains("://")).collect();
            assert!(places.is_empty(), "{places:?}");
        }
        let python = stamp(Sdk::Python, &locks, "1").expect("readable");
        assert!(python.contains("\nalpaca-py==0.44.0 \\\n    --hash=sha256:"), "pinned with its hashes");
        assert!(stamp(Sdk::Node, &locks, "1").expect("readable").contains("\"integrity\": \"sha512-"));
    }
}
