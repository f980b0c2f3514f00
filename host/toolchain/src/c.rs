//! C: clang makes a core module, and needs nothing but its own headers. The host makes a component of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    ToolError,
    error::Context,
    path::on_path,
    tools::{Inputs, at_least, once, run, tool},
};

const CLANG: &str = "install it (Debian: `apt-get install clang lld`) and try again";
const LINKER: &str =
    "clang links WebAssembly with it: install lld (Debian: `apt-get install lld`) and try again";

/// Warnings are errors of tomorrow, but the author's to decide on. The stack lies below the data, so that one
/// that overflows traps instead of writing over it; names stay, so that a trap can say where it happened.
const FLAGS: [&str; 8] = [
    "--target=wasm32-unknown-unknown",
    "-std=c11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-ffreestanding",
    "-nostdlib",
    "-Wl,--no-entry,--stack-first,-z,stack-size=262144",
];

/// Builds `folder/NAME.c` and all of `folder/sandpit/` into the module `out`.
///
/// `wit` is not read: the interface in C is part of `sandpit/`. Below `cache`, results are kept.
///
/// # Errors
/// When clang or its linker is missing or too old, or the strategy does not compile.
pub fn build(folder: &Path, name: &str, _wit: &Path, cache: &Path, out: &Path) -> Result<(), ToolError> {
    let clang = at_least("clang", (13, 0), CLANG)?;
    let inputs = Inputs::new(&[FLAGS.as_slice(), &[&clang, name]].concat());
    let inputs = inputs.files(folder, &[".c", ".h"])?;
    once(cache, &inputs.key(), out, |to| {
        let versioned = format!("wasm-ld-{}", clang.split('.').next().unwrap_or_default());
        if on_path("wasm-ld").is_none() && on_path(&versioned).is_none() {
            return Err(ToolError::Missing { what: "wasm-ld".to_owned(), remedy: LINKER.to_owned() });
        }
        let library = folder.join("sandpit");
        let mut clang = tool("clang");
        clang.args(FLAGS).arg("-I").arg(&library).arg("-I").arg(library.join("include"));
        clang.arg("-o").arg(to).arg(folder.join(format!("{name}.c"))).args(c_files(&library)?);
        run(&mut clang)
    })
}

fn c_files(folder: &Path) -> Result<Vec<PathBuf>, ToolError> {
    let entries = fs::read_dir(folder).context(format_args!("the library is not in {}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|it| it == "c")).collect();
    files.sort();
    Ok(files)
}
