//! Finds a Rust toolchain that compiles to WASM, or makes one.
//!
//! In this order: the target as it is installed; what the last step below made earlier; `rustup target add`,
//! unless the environment forbids rustup to install (`RUSTUP_AUTO_INSTALL=0`); Debian's compiler and standard
//! library source, unpacked under `target/wasm-toolchain`. Nothing is installed on the machine by the last
//! one.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow, ensure};

use crate::debian_rust::{self, DebianRust};

/// What plugins are compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// What a surrounding cargo, rustup or user may have set for native builds, and what would spoil this one.
const FOREIGN_VARIABLES: [&str; 12] = [
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
];

/// A toolchain that compiles to WASM.
pub(crate) enum Toolchain {
    /// The one in use has the target.
    Installed,
    /// Debian's compiler, which builds the standard library from source.
    Debian {
        /// Where it is unpacked.
        rust: DebianRust,
        /// The linker of the toolchain in use: Debian's compiler comes without one.
        linker: PathBuf,
    },
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed => write!(f, "the installed {TARGET} target"),
            Self::Debian { .. } => f.write_str("Debian's rustc-web, which builds the standard library once"),
        }
    }
}

impl Toolchain {
    /// Finds one for the repository at `root`, or makes one, saying each step on standard error.
    ///
    /// # Errors
    /// When every way fails; the message says what each way met, and what to do.
    pub(crate) fn find(root: &Path) -> Result<Self> {
        let sysroot = sysroot()?;
        if has_target(&sysroot) {
            return Ok(Self::Installed);
        }
        let folder = root.join("target/wasm-toolchain");
        if let (Some(rust), Ok(linker)) = (debian_rust::unpacked(&folder), linker(&sysroot)) {
            return Ok(Self::Debian { rust, linker });
        }
        let Err(no_rustup) = add_target_by_rustup(&sysroot) else { return Ok(Self::Installed) };
        eprintln!("plugins: the {TARGET} target is missing and {no_rustup:#}; using Debian's packages");
        let by_debian = || {
            let linker = linker(&sysroot)?;
            Ok(Self::Debian { rust: debian_rust::provide(&folder)?, linker })
        };
        by_debian().map_err(|no_debian| none(&no_rustup, &no_debian))
    }

    /// Cargo with this toolchain and nothing of the surrounding build.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.stdin(Stdio::null());
        for variable in FOREIGN_VARIABLES {
            cargo.env_remove(variable);
        }
        match self {
            Self::Installed => {}
            Self::Debian { rust, linker } => {
                cargo
                    .env("RUSTC", rust.rustc())
                    .env("LD_LIBRARY_PATH", rust.libraries())
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            }
        }
        cargo
    }

    /// What `cargo build` needs besides.
    pub(crate) fn build_flags(&self) -> &'static [&'static str] {
        match self {
            Self::Installed => &[],
            Self::Debian { .. } => &["-Zbuild-std=std,panic_abort"],
        }
    }
}

fn none(no_rustup: &anyhow::Error, no_debian: &anyhow::Error) -> anyhow::Error {
    anyhow!(
        "no Rust toolchain here compiles plugins to WASM ({no_rustup:#}; {no_debian:#}). Run `rustup target \
         add {TARGET}`, or install the {TARGET} standard library of the system's Rust, or run on Debian 12 \
         or newer with a reachable package mirror; then try again"
    )
}

/// Where the toolchain in use lives.
fn sysroot() -> Result<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc)
        .args(["--print", "sysroot"])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}: install Rust first", rustc.display()))?;
    ensure!(output.status.success(), "`rustc --print sysroot` failed ({})", output.status);
    let text = String::from_utf8(output.stdout).context("the path of the Rust toolchain is not UTF-8")?;
    Ok(PathBuf::from(text.trim_end()))
}

/// Whether the standard library for the target is there, not just a folder of that name.
fn has_target(sysroot: &Path) -> bool {
    let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    fs::read_dir(libraries).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|it| it.file_name().to_string_lossy().starts_with("libstd-")))
    })
}

/// # Errors
/// Why rustup could not, or may not.
fn add_target_by_rustup(sysroot: &Path) -> Result<()> {
    ensure!(
        may_install(env::var("RUSTUP_AUTO_INSTALL").ok().as_deref()),
        "RUSTUP_AUTO_INSTALL=0 forbids rustup"
    );
    eprintln!("plugins: the {TARGET} target is missing, running `rustup target add {TARGET}`");
    let status = Command::new("rustup")
        .args(["target", "add", TARGET])
        .stdin(Stdio::null())
        .status()
        .map_err(|error| anyhow!("rustup does not run ({error})"))?;
    ensure!(status.success() && has_target(sysroot), "rustup could not add the target");
    Ok(())
}

fn may_install(rustup_auto_install: Option<&str>) -> bool {
    rustup_auto_install != Some("0")
}

/// The linker that comes with the toolchain in use, or the system's.
fn linker(sysroot: &Path) -> Result<PathBuf> {
    let hosts = sysroot.join("lib/rustlib");
    let of_rust = fs::read_dir(&hosts)
        .with_context(|| format!("cannot read {}", hosts.display()))?
        .filter_map(|host| Some(host.ok()?.path().join("bin/rust-lld")))
        .find(|path| path.is_file());
    of_rust
        .or_else(|| debian_rust::on_path("wasm-ld"))
        .context("there is neither `rust-lld` nor `wasm-ld`: install the package `lld`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_folder_is_not_a_target() {
        let sysroot = tempfile::tempdir().expect("a temporary directory");
        assert!(!has_target(sysroot.path()));
        let libraries = sysroot.path().join("lib/rustlib").join(TARGET).join("lib");
        fs::create_dir_all(&libraries).expect("creates");
        assert!(!has_target(sysroot.path()));
        fs::write(libraries.join("libstd-0123.rlib"), "").expect("writes");
        assert!(has_target(sysroot.path()));
    }

    #[test]
    fn the_environment_may_forbid_rustup() {
        let check = |value: Option<&str>, expected: bool| assert_eq!(may_install(value), expected);
        check(None, true);
        check(Some("1"), true);
        check(Some("0"), false);
    }

    #[test]
    fn when_all_fails_the_message_names_the_remedies() {
        let text = none(&anyhow!("rustup is forbidden"), &anyhow!("there is no apt-get")).to_string();
        for part in ["rustup is forbidden", "there is no apt-get", "rustup target add", "Debian 12"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
