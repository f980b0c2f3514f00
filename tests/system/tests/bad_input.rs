//! Bad input: one clear sentence, a documented exit code, nothing half-started.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use sandpit_system_tests::{binary, plugin};
use tempfile::TempDir;

const CONFIG: i32 = 10;
const PLUGIN: i32 = 11;
const STATE: i32 = 12;
const ADDRESS: i32 = 13;
const DATA: i32 = 14;
const BROKER: i32 = 15;

/// A folder with a configuration that would work if the broker were there.
struct Setting {
    folder: TempDir,
    listen: String,
    broker: String,
}

impl Setting {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("plugins")).expect("made");
        fs::copy(plugin("sma_cross"), folder.path().join("plugins/sma_cross.wasm")).expect("copied");
        let setting = Self { folder, listen: "127.0.0.1:0".into(), broker: "127.0.0.1:1".into() };
        setting.configure("state", "");
        setting
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, state: &str, extra: &str) {
        let text = format!(
            "state_dir = {:?}\nplugins_dir = {:?}\nlisten = {:?}\nkill_switch_file = {:?}\n\
             {extra}\n[broker]\nurl = \"http://{}\"\n",
            self.path(state),
            self.path("plugins"),
            self.listen,
            self.path("kill"),
            self.broker,
        );
        fs::write(self.path("sandpit.toml"), text).expect("written");
    }

    /// A plugin is of no use: a check of the configuration ends with a code for it, and a host says why and
    /// runs with the others. There is no broker, so it comes no further than that.
    fn check_plugin(&self, plugin: &str, says: &[&str]) {
        let mut parts = vec!["is not used", plugin];
        parts.extend(says);
        let output = self.sandpit(&["config", "check", "--config"]);
        check(&output, PLUGIN, &parts);
        let output = self.sandpit(&["run", "--config"]);
        assert_eq!(output.status.code(), Some(BROKER), "{output:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        let sentence = text.lines().find(|line| line.contains("is not used")).unwrap_or_default();
        assert!(
            parts.iter().all(|part| sentence.contains(part)),
            "{parts:?} is not in {sentence:?}:\n{text}"
        );
    }

    fn sandpit(&self, words: &[&str]) -> Output {
        Command::new(binary("sandpit"))
            .args(words)
            .arg(self.path("sandpit.toml"))
            .env("APCA_API_KEY_ID", "k")
            .env("APCA_API_SECRET_KEY", "s")
            .env_remove("DATABASE_URL")
            .output()
            .expect("sandpit runs")
    }

    /// Runs the host; it has to end with `code` and say one sentence that holds every part of `says`.
    fn check(&self, code: i32, says: &[&str]) {
        let output = self.sandpit(&["run", "--config"]);
        check(&output, code, says);
        assert!(
            !self.path("state/dry-run/sandpit.db").exists() || code == BROKER,
            "half-started: a database"
        );
    }
}

fn check(output: &Output, code: i32, says: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    let sentence = text.lines().rfind(|line| line.contains("error: ")).unwrap_or_default();
    for part in says {
        assert!(sentence.contains(part), "{part:?} is not in {sentence:?}; all of it:\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

/// A running `sandpit-sim`.
struct Sim {
    child: Child,
    address: String,
}

impl Sim {
    fn start() -> Self {
        let mut child = Command::new(binary("sandpit-sim"))
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sandpit-sim starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim_end().strip_prefix("listening ").expect("the first line").to_owned();
        Self { child, address }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("our own child");
    }
}

#[test]
fn a_good_configuration_fails_only_at_the_broker() {
    Setting::new().check(BROKER, &["http://127.0.0.1:1"]);
}

#[test]
fn no_plugins_folder() {
    let setting = Setting::new();
    fs::remove_dir_all(setting.path("plugins")).expect("removed");
    setting.check(PLUGIN, &["plugins"]);
}

#[test]
fn a_plugin_that_is_not_wasm() {
    let setting = Setting::new();
    fs::write(setting.path("plugins/broken.wasm"), "#!/bin/sh\n").expect("written");
    setting.check_plugin("broken", &["broken.wasm", "not a WebAssembly file"]);
}

#[test]
fn a_plugin_that_imports_what_is_not_offered() {
    // (module (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))))
    let mut module = b"\0asm\x01\0\0\0\x01\x09\x01\x60\x04\x7f\x7f\x7f\x7f\x01\x7f\x02\x23\x01\x16".to_vec();
    module.extend(b"wasi_snapshot_preview1\x08fd_write\0\0");
    let setting = Setting::new();
    fs::write(setting.path("plugins/greedy.wasm"), module).expect("written");
    setting.check_plugin("greedy", &["greedy.wasm", "wasi_snapshot_preview1", "wasm32-unknown-unknown"]);
}

#[test]
fn a_misspelt_key() {
    let setting = Setting::new();
    setting.configure("state", "plugin_dir = \"x\"");
    setting.check(CONFIG, &["sandpit.toml:5", "plugin_dir", "plugins_dir"]);
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut setting = Setting::new();
    setting.listen = taken.local_addr().expect("bound").to_string();
    setting.configure("state", "");
    setting.check(ADDRESS, &[&setting.listen]);

    let output = Command::new(binary("sandpit-sim")).args(["--listen", &setting.listen]).output();
    check(&output.expect("sandpit-sim runs"), ADDRESS, &[&setting.listen]);
}

#[test]
fn a_broken_line_in_a_data_file() {
    let setting = Setting::new();
    let data = setting.path("bars.csv");
    let rows = [
        "timestamp,symbol,open,high,low,close,volume",
        "2013-10-07T13:30:00.000Z,SPY,167.4,167.5,167.3,167.4,900",
        "2013-10-07T13:31:00.000Z,SPY,167.4,oops,167.3,167.4,900",
    ];
    fs::write(&data, rows.join("\n")).expect("written");
    let output =
        Command::new(binary("sandpit-sim")).args(["--listen", "127.0.0.1:0", "--data"]).arg(&data).output();
    check(&output.expect("sandpit-sim runs"), DATA, &["bars.csv:3", "oops"]);
}

/// What is wrong, where, and what to do: the broker is there, and the host sends it nothing.
#[test]
fn a_damaged_database() {
    let sim = Sim::start();
    let mut setting = Setting::new();
    setting.broker = sim.address.clone();
    setting.configure("state", "mode = \"paper\"");
    // Any command makes the database.
    let made = Command::new(binary("sandpit"))
        .args(["unfreeze", "--reason", "new", "--config"])
        .arg(setting.path("sandpit.toml"))
        .env("APCA_API_KEY_ID", "k")
        .env("APCA_API_SECRET_KEY", "s")
        .env_remove("DATABASE_URL")
        .output()
        .expect("sandpit runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let path = setting.path("state/paper/sandpit.db");
    let whole = fs::read(&path).expect("there");
    let says = [
        "state/paper/sandpit.db",
        "damaged",
        "-wal and -shm",
        "sandpit db restore",
        "start with an empty one",
    ];
    for damage in ["a page", "half", "text"] {
        let mut bytes = whole.clone();
        let middle = bytes.len() / 2;
        match damage {
            "a page" => bytes[middle..middle + 4_096].fill(0x5a),
            "half" => bytes.truncate(middle),
            _ => bytes = b"orders, fills and everything else".repeat(500),
        }
        fs::write(&path, bytes).expect("written");
        println!("{damage}");
        setting.check(STATE, &says);
    }
}

#[test]
fn a_state_folder_that_cannot_be_used() {
    let setting = Setting::new();
    fs::write(setting.path("file"), "not a folder").expect("written");
    setting.configure("file/state", "");
    setting.check(STATE, &["file/state"]);
    assert!(!Path::new("/proc/sandpit").exists());
    setting.configure("../../../../../../../../../../proc/sandpit", "");
    setting.check(STATE, &["proc/sandpit"]);
}
