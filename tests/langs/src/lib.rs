//! Strategies in JavaScript, Python and C on the real engine: what they are built from lies in `plugins/js`,
//! `plugins/python` and `plugins/c`, and `cargo xtask plugins --all-langs` builds them before these tests
//! run.

mod desk;
mod lines;
mod live;

use std::path::PathBuf;

pub use desk::Desk;
pub use lines::Lines;
pub use live::{Live, Yard, bounds};

/// A language that is no Rust, by the ending of its files.
pub const LANGUAGES: [&str; 3] = ["js", "py", "c"];

/// A strategy in one of [`LANGUAGES`], as `cargo xtask plugins --all-langs` left it.
///
/// # Panics
/// When it is not there.
pub fn built(name: &str) -> PathBuf {
    compiled("plugins-langs", name)
}

/// A strategy in Rust, as `cargo xtask plugins` left it.
///
/// # Panics
/// When it is not there.
pub fn built_of_rust(name: &str) -> PathBuf {
    compiled("plugins", name)
}

fn compiled(folder: &str, name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("a path");
    let target = here.ancestors().find(|it| it.join(folder).is_dir());
    let path = target.map(|it| it.join(folder).join(format!("{name}.wasm"))).filter(|it| it.exists());
    path.unwrap_or_else(|| panic!("{name}.wasm is not built; run cargo xtask plugins --all-langs"))
}
