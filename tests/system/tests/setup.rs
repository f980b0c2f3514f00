//! From an empty folder to real-money mode, with the real programs: setup, doctor, golive, and the host that
//! asks for the sign-off.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};
use sandpit_system_tests::{binary, get_json, plugin, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

const CONFIG: i32 = 10;
const INCOMPLETE: i32 = 16;
/// A word that must never be seen.
const SECRET: &str = "hush-hush-hush";
const DAY_S: u64 = 86_400;

/// A child that ends with the test.
struct Running(Child);

impl Running {
    fn end(&mut self) -> Option<i32> {
        let _ = kill(Pid::from_raw(i32::try_from(self.0.id()).expect("a pid")), Signal::SIGTERM);
        let ended = || self.0.try_wait().expect("our own child");
        wait_for("the end of a program", Duration::from_secs(30), ended).0.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An installation in a folder, and a broker.
struct Bench {
    folder: TempDir,
    sim: String,
    listen: String,
    _sim: Running,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut sim = Command::new(binary("sandpit-sim"))
            .args(["--listen", "127.0.0.1:0", "--symbols", "SPY,IBM", "--speed", "195", "--sessions", "9"])
            .args(["--always-open", "--rpm", "1000000", "--seed", "7"])
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join("sim.log")).expect("a log"))
            .spawn()
            .expect("sandpit-sim starts");
        let mut line = String::new();
        BufReader::new(sim.stdout.take().expect("piped")).read_line(&mut line).expect("it says something");
        let address = line.trim().strip_prefix("listening ").expect("an address").to_owned();
        let free = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
        let bench = Self { folder, sim: address, listen: free.to_string(), _sim: Running(sim) };
        bench.write_configurations();
        bench
    }

    /// What a package would have put there, with places of our own.
    fn write_configurations(&self) {
        let host = format!(
            "# mine\nstate_dir = {:?}\nplugins_dir = {:?}\nlisten = {:?}\nkill_switch_file = {:?}\n\
             [broker]\nclock_speed = 195.0\n[watchdog]\nsocket = {:?}\n",
            self.path("state"),
            self.path("plugins"),
            self.listen,
            self.path("run/kill"),
            self.path("lease.sock")
        );
        fs::write(self.path("sandpit.toml"), host).expect("written");
        let watchdog = format!(
            "state_dir = {:?}\nsocket = {:?}\nkill_switch_file = {:?}\n[host]\nmode = \"spawn\"\n\
             command = [{:?}, \"run\", \"--config\", {:?}]\n[broker]\ntrading_url = \"http://none\"\n\
             [alerts]\ncommand = [\"/bin/cat\"]\n[admin]\nlisten = \"off\"\n",
            self.path("guard"),
            self.path("lease.sock"),
            self.path("run/kill"),
            binary("sandpit"),
            self.path("sandpit.toml")
        );
        fs::write(self.path("watchdog.toml"), watchdog).expect("written");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_keys(&self, id: &str) {
        fs::write(self.path("keys"), format!("{id}\n{SECRET}\n")).expect("written");
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(binary(program));
        command.args(words).arg("--config").arg(self.path(match program {
            "sandpit" => "sandpit.toml",
            _ => "watchdog.toml",
        }));
        for name in ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "DATABASE_URL", "KILL_SWITCH_FILE", "NAV_USD"]
        {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    /// `sandpit setup|doctor|golive`, whose flags name this user: the package's users are not there.
    fn operate(&self, words: &[&str]) -> Output {
        let user = User::from_uid(geteuid()).expect("known").expect("there").name;
        let mut command = self.command("sandpit", words);
        let output =
            command.args(["--host-user", &user, "--watchdog-user", &user]).output().expect("it runs");
        let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
        assert!(!said.concat().contains(SECRET), "a secret was said: {said:?}");
        output
    }

    fn setup(&self, words: &[&str]) -> Output {
        let (url, keys) = (format!("http://{}", self.sim), self.path("keys").display().to_string());
        let examples = plugin("sma_cross").parent().expect("a folder").display().to_string();
        let mut all = vec!["setup", "--yes", "--broker", "sim", "--url", &url, "--key-file", &keys];
        all.extend(["--examples", &examples]);
        all.extend(words);
        self.operate(&all)
    }

    fn doctor(&self) -> (Option<i32>, Value) {
        let output = self.operate(&["doctor", "--json"]);
        (output.status.code(), serde_json::from_slice(&output.stdout).expect("JSON"))
    }

    fn golive(&self, words: &[&str]) -> (Option<i32>, Value) {
        let backups = self.path("backups").display().to_string();
        let mut all = vec!["golive", "--json", "--backups", &backups];
        all.extend(words);
        let output = self.operate(&all);
        let said = serde_json::from_slice(&output.stdout);
        (output.status.code(), said.unwrap_or_else(|_| json!(String::from_utf8_lossy(&output.stderr))))
    }

    /// One of our programs with the keys of the files.
    fn with_keys(&self, program: &str, words: &[&str]) -> Command {
        let key = |name: &str| {
            let text = fs::read_to_string(self.path("credentials").join(name)).expect("there");
            text.trim().to_owned()
        };
        let mut command = self.command(program, words);
        command.env("APCA_API_KEY_ID", key("host-key-id"));
        command.env("APCA_API_SECRET_KEY", key("host-secret-key"));
        command
    }

    fn start(&self, program: &str, log: &str) -> Running {
        let log = fs::File::create(self.path(log)).expect("a log");
        let copy = log.try_clone().expect("a log");
        Running(self.with_keys(program, &["run"]).stdout(copy).stderr(log).spawn().expect("it starts"))
    }

    /// A host that is not let in: its exit code and sentence.
    fn refused(&self, words: &str) {
        let output = self.with_keys("sandpit", &["run"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(CONFIG), "{said}");
        let sentences: Vec<_> = said.lines().filter(|line| line.contains("error:")).collect();
        assert!(sentences.len() == 1 && sentences[0].contains(words), "{words}: {said}");
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

fn good(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn now_unix_s() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).expect("a clock");
    u64::try_from(now.tv_sec()).expect("after 1970")
}

/// The state of one item of the list.
fn item<'a>(said: &'a Value, name: &str) -> &'a Value {
    let items = said["items"].as_array().unwrap_or_else(|| panic!("no list: {said}"));
    items.iter().find(|item| item["item"] == name).unwrap_or_else(|| panic!("{name}: {said}"))
}

fn level<'a>(said: &'a Value, check: &str) -> Vec<&'a str> {
    let checks = said["checks"].as_array().expect("checks");
    checks.iter().filter(|one| one["check"] == check).filter_map(|one| one["level"].as_str()).collect()
}

#[test]
fn from_an_empty_folder_to_real_money() {
    let bench = Bench::new();
    bench.write_keys("PAPERKEY");
    let said = good(&bench.setup(&["--mode", "paper", "--symbols", "SPY,IBM", "--arm", "first paper run"]));
    assert!(said.contains("armed: first paper run") && said.contains("the clocks agree"), "{said}");
    let again = good(&bench.setup(&["--mode", "paper", "--symbols", "SPY,IBM"]));
    assert!(again.contains("nothing to change"), "{again}");

    // Before anything runs, the doctor says what is missing; then nothing fails.
    let (code, said) = bench.doctor();
    assert_eq!((code, level(&said, "watchdog")), (Some(INCOMPLETE), vec!["fail"]), "{said}");
    let mut watchdog = bench.start("sandpit-watchdog", "paper.log");
    let status = || get_json(&format!("http://{}/status", bench.listen));
    wait_for("fills", Duration::from_secs(90), || {
        let filled = status()?["strategies"].as_array()?.iter().any(|one| one["fills"].as_u64() > Some(0));
        filled.then_some(())
    });
    let (code, said) = bench.doctor();
    assert_eq!(code, Some(0), "{said}");
    for check in ["configuration", "plugins", "arming", "watchdog", "lease", "broker", "database", "ports"] {
        let levels = level(&said, check);
        assert!(!levels.is_empty() && levels.iter().all(|level| *level == "ok"), "{check}: {said}");
    }
    let backups = bench.path("backups").display().to_string();
    good(&bench.with_keys("sandpit", &["db", "backup", "--to", &backups]).output().expect("it runs"));
    let host = wait_for("the host's process", Duration::from_secs(10), || {
        let output = bench.command("sandpit-watchdog", &["status", "--json"]).output().ok()?;
        serde_json::from_slice::<Value>(&output.stdout).ok()?["host_pid"].as_i64()
    });
    assert_eq!(watchdog.end(), Some(0), "{}", bench.log("paper.log"));
    let _ = kill(Pid::from_raw(i32::try_from(host.0).expect("a pid")), Signal::SIGTERM);
    wait_for("the host's end", Duration::from_secs(30), || status().is_none().then_some(()));
    let hashes = bench.log("state/paper-keys.json");
    assert!(hashes.contains("salt") && !hashes.contains("PAPERKEY"), "{hashes}");

    go_live(&bench);
}

/// Everything that has to be there, one after the other; then the host starts, and what voids it.
fn go_live(bench: &Bench) {
    let output = bench.setup(&["--mode", "live"]);
    assert_eq!(output.status.code(), Some(CONFIG), "not in passing");
    // Real money has real time.
    let text = bench.log("sandpit.toml").replace("195.0", "1.0");
    fs::write(bench.path("sandpit.toml"), text).expect("written");
    good(&bench.setup(&["--mode", "live", "--overwrite-live"]));
    bench.refused("nothing is signed off yet");
    let missing = |name: &str, words: &str| {
        let (code, said) = bench.golive(&["--confirm-limits", "Kim Lee"]);
        let item = item(&said, name);
        assert_eq!((code, &item["ok"]), (Some(INCOMPLETE), &json!(false)), "{said}");
        assert!(item["said"].as_str().is_some_and(|said| said.contains(words)), "{words}: {said}");
        bench.refused("nothing is signed off yet");
    };
    missing("keys", "used in paper");
    bench.write_keys("LIVEKEY");
    good(&bench.setup(&["--mode", "live", "--overwrite-live"]));
    missing("alert test", "there was none");
    good(&bench.command("sandpit-watchdog", &["alert-test"]).output().expect("it runs"));
    missing("drill", "there was none");
    let drill = |at: u64| {
        let line = json!({ "at_unix_s": at, "outcome": "within-bounds" });
        fs::write(bench.path("guard/drills.jsonl"), format!("{line}\n")).expect("written");
    };
    drill(now_unix_s() - 7 * DAY_S - 60);
    missing("drill", "7 days are allowed");
    drill(now_unix_s() - 60);
    fs::rename(bench.path("backups"), bench.path("elsewhere")).expect("ours");
    missing("backup", "");
    fs::rename(bench.path("elsewhere"), bench.path("backups")).expect("ours");
    let (code, said) = bench.golive(&["--check"]);
    assert_eq!(code, Some(0), "{said}");
    bench.refused("nothing is signed off yet");

    let (code, said) = bench.golive(&["--confirm-limits", "Kim Lee"]);
    assert_eq!((code, &said["signed"]["operator"]), (Some(0), &json!("Kim Lee")), "{said}");
    assert!(!bench.log("state/golive.json").contains("LIVEKEY"));
    let mut host = bench.start("sandpit", "live.log");
    wait_for("the live host", Duration::from_secs(60), || {
        get_json(&format!("http://{}/status", bench.listen)).filter(|status| status["reconciled"] == true)
    });
    assert_eq!(host.end(), Some(0), "{}", bench.log("live.log"));
    voids(bench);
}

fn voids(bench: &Bench) {
    let config = bench.log("sandpit.toml");
    let tighter = format!("{config}\n[limits]\ngross_percent = 50\n");
    fs::write(bench.path("sandpit.toml"), tighter).expect("written");
    bench.refused("a limit was changed after the sign-off (gross_percent = 50)");
    fs::write(bench.path("sandpit.toml"), config).expect("written");
    // The same as a clock that is moved on: everything is eight days older, and nobody used it.
    let record = bench.log("state/golive.json");
    let mut older: Value = serde_json::from_str(&record).expect("JSON");
    let older_by_8_days = |at: &mut Value| *at = json!(at.as_u64().expect("a time") - 8 * DAY_S);
    older_by_8_days(&mut older["drill"]["at_unix_s"]);
    older_by_8_days(&mut older["signed_unix_s"]);
    fs::write(bench.path("state/golive.json"), older.to_string()).expect("written");
    bench.refused("the drill of the sign-off is 8 days old");
    fs::write(bench.path("state/golive.json"), record).expect("written");
    bench.write_keys("OTHERKEY");
    good(&bench.setup(&["--mode", "live", "--overwrite-live"]));
    bench.refused("the key is not the one that was signed off");
}

/// Every file with its bytes and mode.
fn picture(folder: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let mode = path.metadata().expect("there").mode();
        if path.is_dir() {
            found.extend(picture(&path));
        } else {
            found.push((path.clone(), mode, fs::read(&path).expect("readable")));
        }
    }
    found.sort();
    found
}

#[test]
fn a_setup_that_dies_leaves_whole_files_and_goes_on_the_next_time() {
    let bench = Bench::new();
    bench.write_keys("PAPERKEY");
    let before = bench.log("sandpit.toml");
    // The kernel ends it in the middle of the first file that is longer than so many KiB: of nothing, of the
    // keys, which are shorter, of the example's component.
    for limit in ["0", "1", "8"] {
        let user = User::from_uid(geteuid()).expect("known").expect("there").name;
        let script = format!("ulimit -c 0; ulimit -f {limit}; exec \"$@\"");
        let mut command = Command::new("/bin/bash");
        command.args(["-c", &script, "bash"]).arg(binary("sandpit"));
        command.args(["setup", "--yes", "--offline", "--mode", "paper", "--symbols", "SPY"]);
        command.arg("--config").arg(bench.path("sandpit.toml")).arg("--key-file").arg(bench.path("keys"));
        command.arg("--examples").arg(plugin("sma_cross").parent().expect("a folder"));
        command.args(["--host-user", &user, "--watchdog-user", &user]).stdin(Stdio::null());
        let output = command.output().expect("bash runs");
        assert_eq!(output.status.code(), None, "{limit}: it was not interrupted: {output:?}");
        assert_eq!(bench.log("sandpit.toml"), before, "the configuration is the last that is written");
        for (path, mode, bytes) in picture(&bench.path("credentials")) {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            assert_eq!(mode & 0o077, 0, "{name}");
            assert!(name.starts_with('.') || bytes.ends_with(b"\n"), "{name} is half a file");
        }
        assert!(!bench.path("plugins/sma_cross.wasm").exists(), "{limit}: half a component");
    }
    good(&bench.setup(&["--mode", "paper", "--symbols", "SPY"]));
    assert!(bench.path("plugins/sma_cross.wasm").exists() && bench.path("plugins/sma_cross.toml").exists());
    let is_hidden =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let left = picture(bench.folder.path()).into_iter().filter(|(path, ..)| is_hidden(path));
    assert_eq!(left.count(), 0, "nothing beside the files is left");
    let done = picture(bench.folder.path());
    good(&bench.setup(&["--mode", "paper", "--symbols", "SPY"]));
    let sim_log = |(path, ..): &(PathBuf, u32, Vec<u8>)| !path.ends_with("sim.log");
    let same = |all: Vec<_>| all.into_iter().filter(sim_log).collect::<Vec<_>>();
    assert_eq!(same(picture(bench.folder.path())), same(done));
}

#[test]
fn a_setup_that_the_broker_refuses_writes_nothing() {
    let bench = Bench::new();
    bench.write_keys("PAPERKEY");
    let refused = |words: &[&str], code: i32, said: &str| {
        let before = bench.log("sandpit.toml");
        let output = bench.setup(words);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said), "{text}");
        assert_eq!(bench.log("sandpit.toml"), before);
        assert!(!bench.path("credentials").exists());
    };
    refused(&["--mode", "paper", "--symbols", "SPY,NOPE"], CONFIG, "does not know NOPE");
    let nobody = "http://127.0.0.1:1";
    let output = bench.operate(&["setup", "--yes", "--url", nobody, "--key-file", "-", "--mode", "paper"]);
    assert_eq!(output.status.code(), Some(2), "an empty standard input is no key");
    let mut command = bench.command("sandpit", &["setup", "--yes", "--url", nobody, "--key-file", "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("runs");
    let mut pipe = child.stdin.take().expect("piped");
    pipe.write_all(format!("PAPERKEY\n{SECRET}\n").as_bytes()).expect("it reads");
    drop(pipe);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(15), "{output:?}");
    assert!(!bench.path("credentials").exists());
}

#[test]
fn a_doctor_without_anything_to_look_at_ends_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(binary("sandpit"))
        .args(["doctor", "--json", "--config"])
        .arg(folder.path().join("nothing.toml"))
        .env_clear()
        .output()
        .expect("it runs");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &said["ok"]), (Some(INCOMPLETE), &json!(false)), "{said}");
    assert_eq!(level(&said, "configuration"), ["fail"], "{said}");
    assert!(
        said["checks"]
            .as_array()
            .expect("checks")
            .iter()
            .all(|one| { one["level"] == "ok" || one["mend"].as_str().is_some_and(|mend| !mend.is_empty()) })
    );
}
