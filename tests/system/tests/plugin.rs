//! `sandpit plugin` by the real binary: its own compiling child, its exit codes. What each command does is
//! tested in `host/workbench`.

use std::{fs, path::Path, process::Command};

use sandpit_system_tests::{binary, plugin};

/// Runs a command in `folder`; it has to end with `code` and say every part of `says`.
fn check(folder: &Path, arguments: &[&str], code: i32, says: &[&str]) {
    let output = Command::new(binary("sandpit"))
        .current_dir(folder)
        .arg("plugin")
        .args(arguments)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env_remove("APCA_API_KEY_ID")
        .env_remove("APCA_API_SECRET_KEY")
        .output()
        .expect("it runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    says.iter().for_each(|part| assert!(said.contains(part), "{arguments:?}: no {part:?} in {said}"));
}

#[test]
fn a_plugin_is_begun_checked_and_tried_without_any_keys() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    check(
        folder,
        &["new", "trend", "--lang", "c"],
        0,
        &["trend: a strategy in C", "sandpit plugin build trend"],
    );
    check(folder, &["new", "trend", "--lang", "c"], 2, &["error: there is a trend already"]);
    check(folder, &["test", "trend"], 11, &["error: trend is not built yet"]);
    let built = folder.join("trend/trend.wasm");
    fs::copy(plugin("sma_cross"), &built).expect("copied");
    check(folder, &["check", "trend"], 0, &["cost         bar: ", "determinism  two runs of "]);
    check(folder, &["inspect", "trend/trend.wasm"], 0, &["sandpit:strategy 0.1.0", "built with  rustc"]);
    check(folder, &["test", "trend"], 0, &["good    up_and_down.jsonl: 208 events, 4 intents"]);
    fs::write(folder.join("trend/trend.toml"), "[parameters]\nfast = 0\n").expect("written");
    check(folder, &["check", "trend"], 11, &["wrong   parameters   fast must be at least 1, not 0"]);
    fs::write(&built, "ELF").expect("written");
    check(folder, &["inspect", "trend"], 11, &["error: trend/trend.wasm is not a WebAssembly file"]);
    check(folder, &["dev", "trend", "--config", "none"], 10, &["error: cannot read none: "]);
}
