//! From an empty folder to real-money mode, with the real programs: setup, doctor, golive, and the host that
//! asks for the sign-off.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
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
    /// The account that is not traded: a sim with another seed has another account.
    drill: String,
    _drill: Running,
}

/// A sim that listens, and its address.
fn start_sim(log: &Path, seed: &str, speed: &str) -> (String, Running) {
    let mut sim = Command::new(binary("sandpit-sim"))
        .args(["--listen", "127.0.0.1:0", "--symbols", "SPY,IBM", "--speed", speed, "--sessions", "9"])
        .args(["--always-open", "--rpm", "1000000", "--seed", seed])
        .stdout(Stdio::piped())
        .stderr(fs::File::create(log).expect("a log"))
        .spawn()
        .expect("sandpit-sim starts");
    let mut line = String::new();
    BufReader::new(sim.stdout.take().expect("piped")).read_line(&mut line).expect("it says something");
    let address = line.trim().strip_prefix("listening ").expect("an address").to_owned();
    (address, Running(sim))
}

/// A service on loopback that takes alerts, or refuses them, and keeps what came.
struct AlertSink {
    url: String,
    takes: Arc<AtomicBool>,
    came: Arc<Mutex<Vec<String>>>,
}

impl AlertSink {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
        let (takes, came) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (own_takes, own_came) = (Arc::clone(&takes), Arc::clone(&came));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(&stream);
                let (mut bytes, mut line) = (0, String::new());
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    let length = line.to_ascii_lowercase();
                    let length = length.strip_prefix("content-length:").map(|text| text.trim().parse());
                    bytes = length.map_or(bytes, |length| length.expect("a length"));
                    line.clear();
                }
                let mut body = vec![0; bytes];
                if reader.read_exact(&mut body).is_ok() {
                    own_came.lock().expect("whole").push(String::from_utf8_lossy(&body).into_owned());
                }
                let status = if own_takes.load(Ordering::Relaxed) { "200 OK" } else { "404 Not Found" };
                let _ = write!(
                    &stream,
                    "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
                );
            }
        });
        Self { url, takes, came }
    }
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (sim, running) = start_sim(&folder.path().join("sim.log"), "7", "195");
        let (drill, second) = start_sim(&folder.path().join("drill-sim.log"), "8", "1");
        let listen = sandpit_ports::free_address().expect("a port");
        let bench = Self { folder, sim, listen, _sim: running, drill, _drill: second };
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
    alert_test(bench, &missing);
    missing("drill", "there was none: give watchdog.toml a [drill]");
    drill(bench, &missing);
    fs::rename(bench.path("backups"), bench.path("elsewhere")).expect("ours");
    missing("backup", "");
    fs::rename(bench.path("elsewhere"), bench.path("backups")).expect("ours");
    audit_log(bench, &missing);
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

/// A test that a sink refuses is none; one that it takes arrives there.
fn alert_test(bench: &Bench, missing: &dyn Fn(&str, &str)) {
    let sink = AlertSink::new();
    let test = || {
        let mut command = bench.command("sandpit-watchdog", &["alert-test"]);
        command.env("ALERT_WEBHOOK_URL", &sink.url).output().expect("it runs")
    };
    assert_eq!(test().status.code(), Some(INCOMPLETE));
    missing("alert test", "did not arrive (webhook)");
    sink.takes.store(true, Ordering::Relaxed);
    assert_eq!(good(&test()), "webhook: sent\ncommand: sent\n");
    let came = sink.came.lock().expect("whole");
    assert!(came.len() == 2 && came[1].contains("a test of the alerts"), "{came:?}");
    let (_, said) = bench.golive(&["--check"]);
    assert_eq!(item(&said, "alert test")["ok"], true, "{said}");
}

/// Real drills, on the account that is not traded: one that is too slow for its bounds, then a good one.
fn drill(bench: &Bench, missing: &dyn Fn(&str, &str)) {
    let guard = bench.log("watchdog.toml");
    let drill = |bound_ms: u32| {
        // A busy machine is slow: where the bounds are not the matter, they are wide.
        let names = ["fenced", "host_dead", "latched", "suspended", "first_cancel", "zero_seen", "resume"];
        let bounds = names.map(|name| format!("{name}_ms = {bound_ms}\n")).concat();
        let url = format!("http://{}", bench.drill);
        let section = format!("[drill]\ntrading_url = {url:?}\norders = 3\n[drill.bounds]\n{bounds}");
        fs::write(bench.path("watchdog.toml"), format!("{guard}\n{section}")).expect("written");
        let mut command = bench.with_keys("sandpit-watchdog", &["drill", "--json"]);
        command.env("DRILL_APCA_API_KEY_ID", "DRILLKEY").env("DRILL_APCA_API_SECRET_KEY", SECRET);
        let output = command.output().expect("it runs");
        let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
        (output.status.code(), said.concat())
    };
    let (code, said) = drill(1);
    assert_eq!(code, Some(INCOMPLETE), "{said}");
    missing("drill", "the newest ended slow");
    let (code, said) = drill(20_000);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    let (_, found) = bench.golive(&["--check"]);
    assert_eq!(item(&found, "drill")["ok"], true, "{found}");
    // Its own record, as it would be read eight days later.
    let (file, records) = (bench.path("guard/drills.jsonl"), bench.log("guard/drills.jsonl"));
    let mut last: Value = serde_json::from_str(records.lines().last().expect("a record")).expect("JSON");
    let at = last["at_unix_s"].as_u64().expect("a time");
    last["at_unix_s"] = json!(at - 8 * DAY_S);
    fs::write(&file, format!("{last}\n")).expect("written");
    missing("drill", "7 days are allowed");
    fs::write(&file, records).expect("written");
}

/// An audit log that lost a line is not complete.
fn audit_log(bench: &Bench, missing: &dyn Fn(&str, &str)) {
    let file = bench.path("state/paper/sandpit.db");
    let whole = fs::read(&file).expect("there");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        use sqlx::{Connection, Executor};
        let url = format!("sqlite://{}", file.display());
        let mut database = sqlx::SqliteConnection::connect(&url).await.expect("it opens");
        let drop_guards = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'";
        let guards: Vec<String> =
            sqlx::query_scalar(drop_guards).fetch_all(&mut database).await.expect("read");
        for guard in guards {
            let drop = format!("DROP TRIGGER {guard}");
            database.execute(sqlx::AssertSqlSafe(drop)).await.expect("dropped");
        }
        let lose =
            "DELETE FROM audit WHERE rowid = (SELECT rowid FROM audit ORDER BY rowid LIMIT 1 OFFSET 1)";
        let lost = database.execute(lose).await.expect("deleted");
        assert_eq!(lost.rows_affected(), 1);
        database.close().await.expect("closed");
    });
    missing("audit log", "sandpit db check");
    fs::write(&file, whole).expect("written");
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

/// Every file with its bytes and mode, but for the logs of the sims.
fn picture(folder: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let mode = path.metadata().expect("there").mode();
        if path.extension().is_some_and(|ending| ending == "log") {
            continue;
        }
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
    assert_eq!(picture(bench.folder.path()), done);
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

/// `sandpit setup` at a terminal of its own: `script` makes the terminal, its controlling one, and types.
struct Terminal {
    script: Running,
    keys: ChildStdin,
    screen: Arc<Mutex<String>>,
    /// Of the screen, what has been looked at.
    seen: usize,
    tty: PathBuf,
}

impl Terminal {
    fn new(bench: &Bench, config: &str) -> Self {
        let tty = bench.path("tty.log");
        let _ = fs::remove_file(&tty);
        let user = User::from_uid(geteuid()).expect("known").expect("there").name;
        let url = format!("http://{}", bench.sim);
        // A shell that is not interactive leaves the terminal as the program did.
        let line = format!(
            "trap : INT; tty > {tty:?}; {:?} setup --config {:?} --broker sim --url {url} --host-user {user} \
             --watchdog-user {user}; code=$?; stty -a; echo ended $code",
            binary("sandpit"),
            bench.path(config),
        );
        let mut command = Command::new("script");
        command.args(["-q", "-E", "always", "-c", &line, "/dev/null"]).env("SHELL", "/bin/sh");
        for name in ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY"] {
            command.env_remove(name).env_remove(format!("{name}_FILE"));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut script = command.spawn().expect("util-linux is there");
        let (keys, mut shown) = (script.stdin.take().expect("piped"), script.stdout.take().expect("piped"));
        let screen = Arc::new(Mutex::new(String::new()));
        let own = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = shown.read(&mut bytes) {
                own.lock().expect("whole").push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        Self { script: Running(script), keys, screen, seen: 0, tty }
    }

    /// Waits for this on the screen, behind what was waited for before.
    fn shows(&mut self, words: &str) {
        let found = wait_for(words, Duration::from_secs(20), || {
            let screen = self.screen.lock().expect("whole");
            screen[self.seen..].find(words).map(|at| self.seen + at + words.len())
        });
        self.seen = found.0;
    }

    fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).and_then(|()| self.keys.flush()).expect("it reads");
    }

    fn answers(&mut self, question: &str, answer: &str) {
        self.shows(question);
        self.types(&format!("{answer}\n"));
    }

    /// Types what must not be seen, once the terminal hides it.
    fn hides(&mut self, question: &str, answer: &str) {
        self.shows(question);
        let tty = fs::read_to_string(&self.tty).expect("it is named before anything is asked");
        wait_for("a terminal without echo", Duration::from_secs(20), || {
            let output = Command::new("stty").args(["-a", "-F", tty.trim()]).output().ok()?;
            String::from_utf8_lossy(&output.stdout).contains("-echo ").then_some(())
        });
        self.types(answer);
    }

    /// Its end: the exit code as a shell gives it, and all that the screen showed. The terminal shows what is
    /// typed, as before.
    fn ended(mut self) -> (i32, String) {
        self.shows("ended ");
        let code = wait_for("its code", Duration::from_secs(20), || {
            let screen = self.screen.lock().expect("whole");
            let (line, _) = screen[self.seen..].split_once('\n')?;
            line.trim().parse::<i32>().ok()
        });
        let screen = self.screen.lock().expect("whole").clone();
        assert!(!screen.contains(SECRET) && !screen.contains("PAPERKEY"), "a secret was shown: {screen}");
        let words: Vec<_> = screen.split_whitespace().collect();
        for word in ["echo", "icanon", "isig"] {
            assert!(words.contains(&word), "{word} is off: {screen}");
        }
        drop(self.keys);
        wait_for("the end of script", Duration::from_secs(20), || self.script.0.try_wait().ok().flatten());
        (code.0, screen)
    }
}

#[test]
fn setup_asks_at_a_terminal_until_the_answer_fits() {
    let bench = Bench::new();
    let mut terminal = Terminal::new(&bench, "sandpit.toml");
    terminal.answers("Mode (dry-run, paper, live) [dry-run]: ", "papyrus");
    terminal.answers("Mode (dry-run, paper, live) [dry-run]: ", "paper");
    terminal.answers("Symbols, with commas between them [SPY]: ", "");
    terminal.hides("Key id of the paper account (not shown): ", "PAPERKEY two words\n");
    terminal.shows("that is no key: one word is expected");
    terminal.hides("Key id of the paper account (not shown): ", "PAPERKEY\n");
    terminal.hides("Secret key (not shown): ", &format!("{SECRET}\n"));
    terminal.answers("Write this? (yes/no) [yes]: ", "perhaps");
    terminal.answers("Write this? (yes/no) [yes]: ", "y");
    terminal.answers("Arm the watchdog now, so that trading may begin? (yes/no) [no]: ", "yes");
    terminal.answers("Why (it is kept): ", "first run");
    let (code, screen) = terminal.ended();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("armed: first run"), "{screen}");
    assert_eq!(bench.log("credentials/host-key-id"), "PAPERKEY\n");
    assert_eq!(bench.log("credentials/host-secret-key"), format!("{SECRET}\n"));
    assert!(bench.log("sandpit.toml").contains("mode = \"paper\""));

    // Nothing is written after a no.
    let mut terminal = Terminal::new(&bench, "new/sandpit.toml");
    terminal.answers("Mode (dry-run, paper, live) [dry-run]: ", "paper");
    terminal.answers("Symbols, with commas between them [SPY]: ", "SPY,I B M");
    terminal.shows("\"I B M\" is no symbol such as SPY");
    terminal.answers("Symbols, with commas between them [SPY]: ", "SPY,IBM");
    terminal.hides("Key id of the paper account (not shown): ", "PAPERKEY\n");
    terminal.hides("Secret key (not shown): ", &format!("{SECRET}\n"));
    terminal.answers("Write this? (yes/no) [yes]: ", "no");
    let (code, screen) = terminal.ended();
    assert!(code == 2 && screen.contains("nothing was written, as you said"), "{screen}");
    assert!(!bench.path("new").exists());
}

/// Ctrl-C and the end of the input at each question: neither is an answer.
#[test]
fn a_setup_that_is_left_in_the_middle_writes_nothing() {
    let bench = Bench::new();
    let before = picture(bench.folder.path());
    for (key, left) in [("\u{3}", 130), ("\u{4}", 2)] {
        for question in 0..4 {
            let mut terminal = Terminal::new(&bench, "sandpit.toml");
            let asked = "Mode (dry-run, paper, live) [dry-run]: ";
            if question == 0 {
                terminal.shows(asked);
                terminal.types(key);
            } else {
                terminal.answers(asked, "paper");
                terminal.answers("Symbols, with commas between them [SPY]: ", "SPY");
                let text =
                    |own: u8, text: &str| if question == own { key.into() } else { format!("{text}\n") };
                terminal.hides("Key id of the paper account (not shown): ", &text(1, "PAPERKEY"));
                if question > 1 {
                    terminal.hides("Secret key (not shown): ", &text(2, SECRET));
                }
                if question > 2 {
                    terminal.shows("Write this? (yes/no) [yes]: ");
                    terminal.types(key);
                }
            }
            let (code, screen) = terminal.ended();
            assert_eq!(code, left, "{question}: {screen}");
            assert!(left == 130 || screen.contains("no answer could be read"), "{question}: {screen}");
            assert!(picture(bench.folder.path()) == before, "{question}: something was written: {screen}");
        }
    }
}
