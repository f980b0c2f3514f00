//! Whole-system tests: the real binaries over loopback, started the way `cargo demo` starts them.
//!
//! `cargo xtask test` builds binaries and plugins before it runs these.

mod agree;
mod books;
mod demo;
mod desk;
mod terminal;

use std::path::PathBuf;

pub use books::{differences, doubled, recorded};
pub use demo::{Demo, Ended, get_json, monotonic_ms, wait_for};
pub use desk::{Desk, Running, Said, command, said, sandpit};
pub use terminal::OnTerminal;

/// The binary `name` as the workspace's build left it beside this test.
///
/// # Panics
/// When it is not there: build the workspace first.
pub fn binary(name: &str) -> PathBuf {
    let path = built().join(name);
    assert!(path.exists(), "{} is not built; run cargo xtask test", path.display());
    path
}

/// The example plugin `name`, compiled to WebAssembly.
///
/// # Panics
/// When it is not there: run `cargo xtask plugins` first.
pub fn plugin(name: &str) -> PathBuf {
    compiled("plugins", name)
}

/// The plugin `name` that only tests run, compiled to WebAssembly.
///
/// # Panics
/// When it is not there: run `cargo xtask plugins` first.
pub fn test_plugin(name: &str) -> PathBuf {
    compiled("test-plugins", name)
}

/// Where the binaries of this build are: target/PROFILE.
fn built() -> PathBuf {
    let here = std::env::current_exe().expect("a test knows its own path");
    let folder = here.parent().expect("target/PROFILE/deps, or where the binaries are");
    if folder.ends_with("deps") { folder.parent().expect("target/PROFILE").into() } else { folder.into() }
}

fn compiled(folder: &str, name: &str) -> PathBuf {
    let path = built().parent().expect("target/PROFILE").join(folder).join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is not built; run cargo xtask plugins", path.display());
    path
}
