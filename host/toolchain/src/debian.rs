//! Debian's newer Rust (`rustc-web`), unpacked beside the build.
//!
//! It conflicts with an installed Rust and need not be installed: its packages are fetched and unpacked, and
//! a stamp written last says that they are complete. The standard library for WASM is built from the source
//! package.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use crate::{
    ToolError,
    error::{Context, ensure},
    path::on_path,
    rust::OLDEST,
    tools::tool,
};

type Result<T> = std::result::Result<T, ToolError>;

/// The compiler, and the source of its standard library.
const ROOTS: [&str; 2] = ["rustc-web", "rust-web-src"];

/// Packages looked at before something must be wrong with the lists.
const MAX_PACKAGES: usize = 200;

/// Written last: the packages are complete.
const STAMP: &str = "complete";

/// Where Debian's Rust is unpacked.
pub(crate) struct DebianRust {
    root: PathBuf,
}

impl DebianRust {
    /// The compiler.
    pub(crate) fn rustc(&self) -> PathBuf {
        self.root.join("usr/bin/rustc")
    }

    /// The folder of the shared libraries it needs.
    pub(crate) fn libraries(&self) -> PathBuf {
        self.root.join("usr/lib").join(format!("{}-linux-gnu", env::consts::ARCH))
    }
}

/// The unpacked packages in `folder`, if they are complete.
pub(crate) fn unpacked(folder: &Path) -> Option<DebianRust> {
    let rust = DebianRust { root: folder.canonicalize().ok()?.join("root") };
    (folder.join(STAMP).is_file() && rust.rustc().is_file()).then_some(rust)
}

/// The unpacked packages in `folder`, fetched if they are not there yet.
///
/// # Errors
/// When this is no Debian, the packages are not to be had, too old, or do not unpack.
pub(crate) fn provide(folder: &Path) -> Result<DebianRust> {
    fs::create_dir_all(folder).context(format_args!("cannot create {}", folder.display()))?;
    let folder = folder.canonicalize().context(format_args!("cannot read {}", folder.display()))?;
    let lock = fs::File::create(folder.join("lock")).context("cannot lock the WASM toolchain")?;
    lock.lock().context("cannot lock the WASM toolchain")?;
    // Another build may have done it while this one waited for the lock.
    if let Some(rust) = unpacked(&folder) {
        return Ok(rust);
    }
    let packages = fetch(&folder)?;
    let rust = DebianRust { root: folder.join("root") };
    unpack(&folder, &rust.root)?;
    remove(&folder.join("apt"))?;
    ensure(rust.rustc().is_file(), || "Debian's packages brought no usr/bin/rustc".into())?;
    fs::write(folder.join(STAMP), packages.join("\n")).context("cannot write the toolchain's stamp")?;
    Ok(rust)
}

/// Downloads with the machine's package lists, and if they are missing or out of date, with fresh ones of our
/// own.
fn fetch(folder: &Path) -> Result<Vec<String>> {
    for tool in ["apt-get", "apt-cache", "dpkg"] {
        ensure(on_path(tool).is_some(), || format!("this is no Debian: there is no {tool}"))?;
    }
    let debs = folder.join("debs");
    remove(&debs)?;
    fs::create_dir_all(&debs).context(format_args!("cannot create {}", debs.display()))?;
    let system = Apt { options: Vec::new() };
    match system.fetch(&debs) {
        Ok(packages) => return Ok(packages),
        Err(error) => eprintln!("plugins: {error}; fetching fresh package lists (apt-get update)"),
    }
    let own = Apt::with_own_lists(&folder.join("apt"))?;
    own.run("apt-get", &["update", "--quiet"], &debs).context("the package lists cannot be fetched")?;
    own.fetch(&debs).context("the package mirror lacks Debian's Rust, or cannot be reached")
}

fn unpack(folder: &Path, root: &Path) -> Result<()> {
    eprintln!("plugins: unpacking under {} (0.7 GB)", folder.display());
    remove(root)?;
    let debs = folder.join("debs");
    for entry in fs::read_dir(&debs).context(format_args!("cannot read {}", debs.display()))? {
        let deb = entry.context("cannot read the packages")?.path();
        let status = tool("dpkg").arg("-x").args([&deb, root]).status().context("cannot run dpkg")?;
        ensure(status.success(), || format!("`dpkg -x {}` failed: is the disk full?", deb.display()))?;
    }
    remove(&debs)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(format_args!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Debian's package tool, which needs no root for what is asked of it here.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    /// With package lists in `folder` instead of the machine's.
    fn with_own_lists(folder: &Path) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).context(format_args!("cannot create {}", path.display()))?;
        }
        let options = vec![
            format!("-oDir::State::lists={}", folder.join("lists").display()),
            format!("-oDir::Cache={}", folder.join("cache").display()),
            // Root's apt would drop to a user who may not enter our folder.
            "-oAPT::Sandbox::User=root".to_owned(),
        ];
        Ok(Self { options })
    }

    /// Downloads what is needed into `debs` and returns the packages' names.
    fn fetch(&self, debs: &Path) -> Result<Vec<String>> {
        let packages = self.needed(debs)?;
        eprintln!("plugins: downloading {} (about 150 MB, once)", packages.join(", "));
        let mut arguments = vec!["download", "--quiet"];
        arguments.extend(packages.iter().map(String::as_str));
        self.run("apt-get", &arguments, debs).context("Debian's packages cannot be downloaded")?;
        Ok(packages)
    }

    /// The compiler's packages, and the libraries it loads that this machine lacks.
    fn needed(&self, folder: &Path) -> Result<Vec<String>> {
        let mut queue: Vec<String> = ROOTS.iter().map(|&root| root.to_owned()).collect();
        let mut seen: BTreeSet<String> = queue.iter().cloned().collect();
        let mut needed = Vec::new();
        while let Some(package) = queue.pop() {
            ensure(seen.len() <= MAX_PACKAGES, || "Debian's rustc-web depends on too many packages".into())?;
            if !is_wanted(&package) || (!is_of_rust(&package) && is_installed(&package)) {
                continue;
            }
            let text = self.run("apt-cache", &["depends", "--important", &package], folder)?;
            queue.extend(
                dependencies(&text).filter(|name| seen.insert((*name).to_owned())).map(str::to_owned),
            );
            needed.push(package);
        }
        needed.sort();
        check_release(&needed)?;
        Ok(needed)
    }

    /// Runs a tool of apt in `folder` and returns what it printed.
    fn run(&self, program: &str, arguments: &[&str], folder: &Path) -> Result<String> {
        let output = tool(program)
            .args(&self.options)
            .args(arguments)
            .current_dir(folder)
            .env("LC_ALL", "C")
            .env_remove("LD_LIBRARY_PATH")
            .output()
            .context(format_args!("cannot run {program}"))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let why = errors.lines().find(|line| line.starts_with("E:")).unwrap_or("no reason given");
            return Err(ToolError::Failed(format!("`{program} {}` failed: {why}", arguments.join(" "))));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The names on the `Depends:` lines of `apt-cache depends`; virtual packages stand in angle brackets.
fn dependencies(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(|line| line.trim_start_matches([' ', '|']).split_once("epends: "))
        .filter(|(kind, _)| matches!(*kind, "D" | "PreD"))
        .map(|(_, name)| name.trim())
        .filter(|name| !name.starts_with('<'))
}

fn is_of_rust(package: &str) -> bool {
    ROOTS.contains(&package) || package.starts_with("libstd-rust-web") || package.starts_with("libllvm")
}

/// Compilers, headers and the C library are the machine's own: a native build needs them anyway.
fn is_wanted(package: &str) -> bool {
    is_of_rust(package)
        || (package.starts_with("lib") && !package.ends_with("-dev") && !package.starts_with("libc6"))
}

fn is_installed(package: &str) -> bool {
    tool("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}\n", package])
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout.starts_with(b"installed"))
}

fn check_release(packages: &[String]) -> Result<()> {
    let release = packages.iter().find_map(|name| {
        let (major, minor) = name.strip_prefix("libstd-rust-web-")?.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    let (major, minor) =
        release.ok_or_else(|| ToolError::failed("Debian's rustc-web names no libstd-rust-web-VERSION"))?;
    let (oldest, minor_of_oldest) = OLDEST;
    ensure((major, minor) >= OLDEST, || {
        format!(
            "Debian's rustc-web is {major}.{minor} here, {oldest}.{minor_of_oldest} is needed: add the \
             security archive"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read() {
        let text = "rustc-web\n  Depends: libc6\n |Depends: libstd-rust-web-dev\n  Depends: <libc-dev>\n    \
                    libc6-dev\n  PreDepends: libgcc-s1\n  Conflicts: rustc\n  Recommends: cargo-web\n";
        assert_eq!(dependencies(text).collect::<Vec<_>>(), ["libc6", "libstd-rust-web-dev", "libgcc-s1"]);
    }

    #[test]
    fn only_libraries_and_rust_are_fetched() {
        let check = |package: &str, expected: bool| assert_eq!(is_wanted(package), expected, "{package}");
        check("rustc-web", true);
        check("rust-web-src", true);
        check("libstd-rust-web-dev", true);
        check("libllvm22", true);
        check("libz3-4", true);
        check("libc6", false);
        check("libc6-dev", false);
        check("gcc", false);
    }

    #[test]
    fn an_old_release_is_refused() {
        let check = |package: &str, fits: bool| {
            assert_eq!(check_release(&[package.to_owned()]).is_ok(), fits, "{package}");
        };
        check("libstd-rust-web-1.96", true);
        check("libstd-rust-web-1.95", true);
        check("libstd-rust-web-2.0", true);
        check("libstd-rust-web-1.85", false);
        check("rustc-web", false);
    }

    #[test]
    fn only_a_complete_toolchain_is_used() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let is_unpacked = || unpacked(folder.path()).is_some();
        let rustc = folder.path().join("root/usr/bin/rustc");
        fs::create_dir_all(rustc.parent().expect("a folder")).expect("creates");
        fs::write(&rustc, "").expect("writes");
        assert!(!is_unpacked(), "an unpacking that was cut short");
        fs::write(folder.path().join(STAMP), "").expect("writes");
        assert!(is_unpacked());
        assert!(provide(folder.path()).is_ok(), "nothing is fetched");
        fs::remove_file(&rustc).expect("removes");
        assert!(!is_unpacked(), "somebody tidied up");
    }
}
