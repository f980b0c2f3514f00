//! Builds the plugins of `plugins/`, and those of the tests, to WASM and puts them where a host finds them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail, ensure};
use sandpit_toolchain::{PROFILE, TARGET, Toolchain};
use serde::Deserialize;

/// The WASM build has a target directory of its own: it neither waits for nor invalidates a native build.
const TARGET_DIR: &str = "target/wasm";

/// Where the strategies lie that anybody may run.
const EXAMPLES: &str = "plugins";
/// Where those lie that only a test runs.
const OF_TESTS: &str = "tests";

/// Builds every plugin of the repository at `root` and copies each `NAME.wasm` to `out_dir`, whose files it
/// returns in the order of their names. A file that has not changed is not written.
///
/// # Errors
/// When there is no plugin, no toolchain for WASM, a plugin does not compile, or `out_dir` cannot be written.
pub(crate) fn build(root: &Path, out_dir: &Path) -> Result<Vec<PathBuf>> {
    build_under(EXAMPLES, root, out_dir)
}

/// The same for the examples and for those that only tests run, each into a folder of its own below `target`.
///
/// # Errors
/// As [`build`].
pub(crate) fn build_all(root: &Path, target: &Path) -> Result<Vec<PathBuf>> {
    let mut files = build(root, &target.join("plugins"))?;
    files.extend(build_under(OF_TESTS, root, &target.join("test-plugins"))?);
    Ok(files)
}

fn build_under(folder: &str, root: &Path, out_dir: &Path) -> Result<Vec<PathBuf>> {
    // Cargo names packages by their canonical path.
    let root = &root.canonicalize().with_context(|| format!("there is no {}", root.display()))?;
    let toolchain = Toolchain::find(&root.join("target/wasm-toolchain"))?;
    let names = plugin_names(root, folder, &toolchain)?;
    ensure!(!names.is_empty(), "there is no plugin under {}", root.join(folder).display());
    eprintln!("plugins: building {} with {toolchain}", names.join(", "));
    compile(root, &toolchain, &names)?;
    fs::create_dir_all(out_dir).with_context(|| format!("cannot create {}", out_dir.display()))?;
    let built = root.join(TARGET_DIR).join(TARGET).join("release");
    let mut files = Vec::new();
    for name in &names {
        let file = out_dir.join(format!("{name}.wasm"));
        let size = publish(&built.join(format!("{name}.wasm")), &file)?;
        eprintln!("plugins: {} ({} KiB)", file.display(), size.div_ceil(1024));
        files.push(file);
    }
    Ok(files)
}

/// The packages under `folder` that make a dynamic library: the SDK does not.
fn plugin_names(root: &Path, folder: &str, toolchain: &Toolchain) -> Result<Vec<String>> {
    let output = toolchain
        .cargo()
        .current_dir(root)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "`cargo metadata` failed: cargo's messages are above ({})",
        output.status
    );
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` is not JSON")?;
    Ok(metadata.plugins(&root.join(folder)))
}

/// What is wanted of `cargo metadata`.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

impl Metadata {
    fn plugins(&self, folder: &Path) -> Vec<String> {
        let is_dynamic = |target: &Target| target.crate_types.iter().any(|kind| kind == "cdylib");
        let mut names: Vec<String> = self
            .packages
            .iter()
            .filter(|it| it.manifest_path.starts_with(folder) && it.targets.iter().any(is_dynamic))
            .map(|it| it.name.clone())
            .collect();
        names.sort();
        names
    }
}

fn compile(root: &Path, toolchain: &Toolchain, names: &[String]) -> Result<()> {
    let mut cargo = toolchain.cargo();
    cargo.current_dir(root).envs(PROFILE);
    cargo.args(["build", "--release", "--lib", "--target", TARGET, "--target-dir", TARGET_DIR]);
    cargo.args(names.iter().flat_map(|name| ["--package", name]));
    cargo.args(toolchain.build_flags());
    let status = cargo.status().context("cannot start cargo")?;
    ensure!(status.success(), "the plugins do not compile to WASM: cargo's messages are above ({status})");
    Ok(())
}

/// Copies by way of a rename, so that a host that watches the folder never sees half a file. Returns the size
/// in bytes.
fn publish(built: &Path, file: &Path) -> Result<usize> {
    let bytes = fs::read(built).with_context(|| {
        format!("cargo did not leave {}: a plugin's file is named as its package", built.display())
    })?;
    if !bytes.starts_with(b"\0asm") {
        bail!("{} is not WASM: remove {TARGET_DIR} and build again", built.display());
    }
    if fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(bytes.len());
    }
    let part = file.with_extension("wasm.part");
    fs::write(&part, &bytes).with_context(|| format!("cannot write {}", part.display()))?;
    fs::rename(&part, file).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dynamic_libraries_under_plugins_are_plugins() {
        let package = |name: &str, folder: &str, kind: &str| {
            serde_json::json!({
                "name": name,
                "manifest_path": format!("/repo/{folder}/{name}/Cargo.toml"),
                "targets": [{ "crate_types": [kind] }, { "crate_types": ["rlib"] }],
            })
        };
        let packages = [
            package("sma_cross", "plugins", "cdylib"),
            package("sdk", "plugins", "lib"),
            package("rebalance", "plugins", "cdylib"),
            package("bridge", "host", "cdylib"),
        ];
        let metadata: Metadata =
            serde_json::from_value(serde_json::json!({ "packages": packages })).expect("its shape");
        assert_eq!(metadata.plugins(Path::new("/repo/plugins")), ["rebalance", "sma_cross"]);
    }

    #[test]
    fn only_what_changed_is_written() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let (built, file) = (folder.path().join("built"), folder.path().join("a.wasm"));
        fs::write(&built, b"\0asm1").expect("writes");
        assert_eq!(publish(&built, &file).expect("copies"), 5);
        let first = fs::metadata(&file).expect("is there").modified().expect("a time");
        publish(&built, &file).expect("nothing to do");
        assert_eq!(fs::metadata(&file).expect("is there").modified().expect("a time"), first);
        fs::write(&built, b"\0asm22").expect("writes");
        publish(&built, &file).expect("copies");
        assert_eq!(fs::read(&file).expect("is there"), b"\0asm22");
        fs::write(&built, b"ELF").expect("writes");
        assert!(publish(&built, &file).expect_err("not WASM").to_string().contains("not WASM"));
        assert!(publish(&folder.path().join("none"), &file).is_err());
    }
}
