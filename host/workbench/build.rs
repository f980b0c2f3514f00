//! Embeds what a strategy of an author's is built from: the SDKs and the interface, as they are in this
//! checkout.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// Each list of files: its name, and the folder it holds, from the root of the checkout.
const LISTS: [(&str, &str); 5] = [
    ("RUST_SDK", "plugins/sdk/src"),
    ("JS_SDK", "plugins/js/sandpit"),
    ("PYTHON_SDK", "plugins/python/sandpit"),
    ("C_SDK", "plugins/c/sandpit"),
    ("INTERFACE", "wit/strategy-0.1.0"),
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
    let root = root.canonicalize()?;
    let mut text = String::new();
    for (name, folder) in LISTS {
        let folder = root.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        collect(&folder, &mut files)?;
        files.sort();
        text += "/// The files of a folder, by their paths below it.\n";
        text += &format!("pub(crate) const {name}: &[(&str, &str)] = &[\n");
        for file in files {
            let below = file.strip_prefix(&folder).expect("found below it").display().to_string();
            text += &format!("    ({below:?}, include_str!({:?})),\n", file.display().to_string());
        }
        text += "];\n";
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("embedded.rs"), text)
}

/// Every file of a folder but tests and what interpreters leave behind.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "tests" || name.starts_with("tests.") || name.starts_with(['.', '_']) && path.is_dir() {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
