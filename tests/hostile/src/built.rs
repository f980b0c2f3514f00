//! What `cargo xtask test` has built before it runs the suite.

use std::path::{Path, PathBuf};

/// The suite's own child, beside this test.
///
/// # Panics
/// When it is not there.
pub fn child() -> PathBuf {
    let here = std::env::current_exe().expect("a test knows its own path");
    let folder = here.parent().expect("target/PROFILE/deps, or where the binaries are");
    let folder = if folder.ends_with("deps") { folder.parent().expect("target/PROFILE") } else { folder };
    there(folder.join("sandpit-hostile"))
}

/// The plugin of the deeds, compiled to WebAssembly.
///
/// # Panics
/// When it is not there: run `cargo xtask plugins` first.
pub fn deeds() -> PathBuf {
    let target = child().ancestors().nth(2).map(Path::to_owned).expect("target/PROFILE/sandpit-hostile");
    there(target.join("test-plugins/hostile.wasm"))
}

fn there(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is not built; run cargo xtask test", path.display());
    path
}
