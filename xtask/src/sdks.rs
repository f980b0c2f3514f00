//! Installs the broker's official SDKs for `tests/conformance` and `cargo xtask bench ingest`: `alpaca-py`
//! from PyPI into `target/sdk/python`, `@alpacahq/alpaca-trade-api` from npm into `target/sdk/node`, both as
//! their lock files pin them. What is there already is left alone.
//!
//! With them come what reads exported records (`pandas`, `polars`, `pyarrow`), and `s3rver`, a server that
//! speaks S3 and verifies signatures, for the tests of the records.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sandpit_toolchain::{js, python as py};

/// Where the lock files lie.
const LOCKS: &str = "tests/conformance";
/// Says what an installed SDK was made from; written last.
const STAMP: &str = "stamp";

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

    /// The version of its interpreter.
    fn version(self) -> Result<String> {
        let version = match self {
            Self::Python => py::version(),
            Self::Node => js::version(),
        };
        version.context("the tests against the broker's SDKs cannot run")
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
    let version = sdk.version()?;
    let stamp = stamp(sdk, locks, &version)?;
    let folder = out.join(sdk.name());
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|old| old == stamp) {
        return Ok(folder);
    }
    eprintln!("sdks: installing the SDK for {} {version}", sdk.name());
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

fn install_python(locks: &Path, into: &Path) -> Result<()> {
    Ok(py::environment(into, &locks.join("python/requirements.txt"), "alpaca-py")?)
}

fn install_node(locks: &Path, into: &Path) -> Result<()> {
    for file in ["package.json", "package-lock.json"] {
        fs::copy(locks.join("node").join(file), into.join(file))
            .with_context(|| format!("cannot copy {file}"))?;
    }
    Ok(js::packages(into, "@alpacahq/alpaca-trade-api")?)
}

#[cfg(test)]
mod tests {
    use super::*;

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
