//! `sandpit plugin` by the real binary: its own compiling child, its exit codes, and the README's way from an
//! empty folder to a strategy that trades in the demo. What each command does is tested in `host/workbench`.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use sandpit_system_tests::{Demo, binary, plugin, wait_for};
use serde_json::Value;

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

/// A build with tools that are there, a compilation on a busy machine, and the bars until two averages cross.
const BOUND: Duration = Duration::from_secs(200);

/// An empty folder of somebody who has `sandpit` and the languages' tools, and nothing of this checkout.
struct Author {
    folder: tempfile::TempDir,
}

impl Author {
    /// With what the suite has installed in the cache, so that nothing is fetched again.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cache = folder.path().join("cache/sandpit");
        fs::create_dir_all(&cache).expect("a folder");
        let target = binary("xtask").ancestors().nth(2).expect("target/PROFILE/xtask").to_owned();
        let installed = fs::read_dir(target.join("langs")).into_iter().flatten().flatten();
        let installed = installed.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().expect("a name").to_string_lossy();
            name == "built" || name.starts_with("js-") || name.starts_with("python-")
        });
        let rust = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/wasm-toolchain");
        for path in installed.chain(rust.exists().then_some(rust)) {
            let name = path.file_name().expect("a name");
            symlink(&path, cache.join(name)).expect("a link");
        }
        Self { folder }
    }

    /// Types a line of the README into a shell.
    fn types(&self, line: &str) -> String {
        let path = std::env::var("PATH").expect("a PATH");
        let programs = binary("sandpit").parent().expect("a folder").display().to_string();
        let output = Command::new("sh")
            .args(["-c", line])
            .current_dir(&self.folder)
            .env("PATH", format!("{programs}:{path}"))
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .env("CARGO_NET_OFFLINE", "true")
            .output()
            .expect("it runs");
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{line}: {said}");
        said
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// By three commands each, from an empty folder into the demo, where they trade. The first one wants the
/// symbol that the demo leaves to it; the others have another one in their manifests.
fn check_that_they_trade(languages: &[(&str, &str)]) {
    let author = Author::new();
    let strategies: Vec<_> = languages.iter().map(|(language, _)| format!("trend_{language}")).collect();
    let demo = tempfile::tempdir().expect("a temporary folder");
    let plugins = demo.path().join("plugins");
    fs::create_dir(&plugins).expect("a folder");
    for ((language, symbol), name) in languages.iter().zip(&strategies) {
        author.types(&format!("sandpit plugin new {name} --lang {language}"));
        if *symbol != "SPY" {
            let manifest = author.path(&format!("{name}/{name}.toml"));
            let text = fs::read_to_string(&manifest).expect("a manifest");
            fs::write(&manifest, text.replace("\"SPY\"", &format!("{symbol:?}"))).expect("written");
            // So that the demo's own leave it alone.
            fs::copy(manifest, plugins.join(format!("{name}.toml"))).expect("copied");
        }
        // The target folder of the checkout, as everything there is built for plugins already.
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/wasm");
        let said = author.types(&format!("sandpit plugin build {name} --target-dir {}", target.display()));
        assert!(said.contains(&format!("{name}/{name}.wasm (")), "{said}");
    }
    let demo = Demo::start_in(demo, &["--speed", "60"]);
    for name in &strategies {
        author.types(&format!("cp {name}/{name}.toml {name}/{name}.wasm {}/", plugins.display()));
    }
    for name in &strategies {
        let fills = |status: &Value| {
            let all = status["strategies"].as_array()?;
            let own = all.iter().find(|strategy| strategy["name"] == name.as_str())?;
            own["fills"].as_u64().filter(|fills| *fills > 0)
        };
        let (_, taken) = wait_for(&format!("a fill of {name}"), BOUND, || fills(&demo.host_status()?));
        println!("{name}: a fill {taken:?} after the one before");
    }
    let status = demo.host_status().expect("the host answers");
    assert_eq!(status["refused"].as_array().map(Vec::len), Some(0), "{status}");
    assert_eq!(demo.watchdog()["host_restarts"], 0);
    for name in &strategies {
        // The log is written behind the figures.
        let lines = [format!("the strategy runs strategy=\"{name}\""), format!(" fill order=sp-{name}-")];
        let are_there = || lines.iter().all(|line| demo.log().contains(line)).then_some(());
        wait_for("its lines in the log", Duration::from_secs(10), are_there);
    }
}

#[test]
fn from_an_empty_folder_to_a_trading_strategy_in_rust_and_c() {
    check_that_they_trade(&[("rust", "SPY"), ("c", "QQQ")]);
}

#[test]
fn from_an_empty_folder_to_a_trading_strategy_in_javascript_and_python() {
    check_that_they_trade(&[("js", "SPY"), ("python", "QQQ")]);
}
