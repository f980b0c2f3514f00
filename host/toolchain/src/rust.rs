//! Finds a Rust toolchain that compiles to WASM, or makes one.
//!
//! In this order: the target as it is installed; what the last step below made earlier; `rustup target add`,
//! unless the environment forbids rustup to install (`RUSTUP_AUTO_INSTALL=0`); Debian's compiler and standard
//! library source, unpacked in a folder that the caller names. Nothing is installed on the machine by the
//! last one.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    ToolError,
    debian::{self, DebianRust},
    error::{Context, ensure},
    path::on_path,
    tools::{at_least, tool},
};

/// What plugins are compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// How plugins are compiled. They are small (the host compiles them again), keep no debug information, and
/// keep the names of their functions, so that a trap can say where it happened.
pub const PROFILE: [(&str, &str); 6] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "none"),
];

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

/// The oldest release of Rust that compiles the plugins.
pub(crate) const OLDEST: (u32, u32) = (1, 95);

/// A toolchain that compiles to WASM.
pub struct Toolchain(Kind);

enum Kind {
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
        match self.0 {
            Kind::Installed => write!(f, "the installed {TARGET} target"),
            Kind::Debian { .. } => f.write_str("Debian's rustc-web, which builds the standard library once"),
        }
    }
}

impl Toolchain {
    /// Finds one, or makes one, saying each step on standard error. What it has to unpack for that goes to
    /// `folder`, and is found there the next time.
    ///
    /// # Errors
    /// When every way fails; the message says what each way met, and what to do.
    pub fn find(folder: &Path) -> Result<Self, ToolError> {
        let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
        at_least(&rustc, OLDEST, "install Rust from https://rustup.rs, or run `rustup update`")?;
        let sysroot = sysroot(&rustc)?;
        if has_target(&sysroot) {
            return Ok(Self(Kind::Installed));
        }
        if let (Some(rust), Ok(linker)) = (debian::unpacked(folder), linker(&sysroot)) {
            return Ok(Self(Kind::Debian { rust, linker }));
        }
        let Err(no_rustup) = add_target_by_rustup(&sysroot) else { return Ok(Self(Kind::Installed)) };
        eprintln!("plugins: the {TARGET} target is missing and {no_rustup}; using Debian's packages");
        let by_debian = || {
            let linker = linker(&sysroot)?;
            Ok(Self(Kind::Debian { rust: debian::provide(folder)?, linker }))
        };
        by_debian().map_err(|no_debian| none(&no_rustup, &no_debian))
    }

    /// Cargo with this toolchain and nothing of the surrounding build.
    pub fn cargo(&self) -> Command {
        let mut cargo = tool(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        for variable in FOREIGN_VARIABLES {
            cargo.env_remove(variable);
        }
        match &self.0 {
            Kind::Installed => {}
            Kind::Debian { rust, linker } => {
                cargo
                    .env("RUSTC", rust.rustc())
                    .env("LD_LIBRARY_PATH", rust.libraries())
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            }
        }
        cargo
    }

    /// Whether it compiles the standard library for each folder of targets anew, which takes minutes.
    pub fn builds_std(&self) -> bool {
        matches!(self.0, Kind::Debian { .. })
    }

    /// What `cargo build` needs besides.
    pub fn build_flags(&self) -> &'static [&'static str] {
        match self.0 {
            Kind::Installed => &[],
            Kind::Debian { .. } => &["-Zbuild-std=std,panic_abort"],
        }
    }
}

fn none(no_rustup: &ToolError, no_debian: &ToolError) -> ToolError {
    ToolError::Missing {
        what: format!("a Rust toolchain that compiles plugins to WASM ({no_rustup}; {no_debian})"),
        remedy: format!(
            "run `rustup target add {TARGET}`, or install the {TARGET} standard library of the system's \
             Rust, or run on Debian 12 or newer with a reachable package mirror; then try again"
        ),
    }
}

/// Where the toolchain in use lives.
fn sysroot(rustc: &str) -> Result<PathBuf, ToolError> {
    let output = tool(rustc).args(["--print", "sysroot"]).stderr(Stdio::inherit()).output();
    let output = output.context(format_args!("{rustc} does not run"))?;
    ensure(output.status.success(), || format!("`rustc --print sysroot` failed ({})", output.status))?;
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
fn add_target_by_rustup(sysroot: &Path) -> Result<(), ToolError> {
    let may = may_install(env::var("RUSTUP_AUTO_INSTALL").ok().as_deref());
    ensure(may, || "RUSTUP_AUTO_INSTALL=0 forbids rustup".into())?;
    eprintln!("plugins: the {TARGET} target is missing, running `rustup target add {TARGET}`");
    let status = tool("rustup").args(["target", "add", TARGET]).status().context("rustup does not run")?;
    ensure(status.success() && has_target(sysroot), || "rustup could not add the target".into())
}

fn may_install(rustup_auto_install: Option<&str>) -> bool {
    rustup_auto_install != Some("0")
}

/// The linker that comes with the toolchain in use, or the system's.
fn linker(sysroot: &Path) -> Result<PathBuf, ToolError> {
    let hosts = sysroot.join("lib/rustlib");
    let of_rust = fs::read_dir(&hosts)
        .context(format_args!("cannot read {}", hosts.display()))?
        .filter_map(|host| Some(host.ok()?.path().join("bin/rust-lld")))
        .find(|path| path.is_file());
    of_rust.or_else(|| on_path("wasm-ld")).ok_or_else(|| ToolError::Missing {
        what: "a linker (`rust-lld` or `wasm-ld`)".into(),
        remedy: "install the package `lld`".into(),
    })
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
        let text = none(&ToolError::failed("rustup is forbidden"), &ToolError::failed("there is no apt-get"))
            .to_string();
        for part in ["rustup is forbidden", "there is no apt-get", "rustup target add", "Debian 12"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
