//! What host and watchdog tell systemd and journald, which this test plays: and no secret is in any of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use sandpit_system_tests::{binary, test_plugin, wait_for};

/// A start, in a debug build on a busy machine.
const BOUND: Duration = Duration::from_secs(60);
/// Stands in every secret, and must be in nothing that anybody reads.
const MARK: &str = "hush";

/// The datagrams that came to a socket, in order.
#[derive(Clone)]
struct Ear {
    path: PathBuf,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Ear {
    fn new(path: PathBuf) -> Self {
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let own = heard.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            let mut packet = vec![0; 64 * 1024];
            while let Ok(bytes) = socket.recv(&mut packet) {
                own.lock().expect("whole").push(packet[..bytes].to_vec());
            }
        });
        Self { path, heard }
    }

    fn texts(&self) -> Vec<String> {
        let heard = self.heard.lock().expect("whole");
        heard.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// The first text with all of these words; waits for it.
    fn hears(&self, words: &[&str]) -> String {
        let found = || self.texts().into_iter().find(|text| words.iter().all(|word| text.contains(word)));
        wait_for(&format!("{words:?}"), BOUND, found).0
    }
}

/// A child that does not outlive the test.
struct Process(Child);

impl Process {
    fn stop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("our own child");
        wait_for("its end", BOUND, || self.0.try_wait().expect("our own child"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Bench {
    folder: tempfile::TempDir,
    /// The manager, as each of them hears it.
    host: Ear,
    watchdog: Ear,
    journal: Ear,
    broker: String,
    _sim: Process,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ear = |name: &str| Ear::new(folder.path().join(name));
        let (host, watchdog, journal) = (ear("host.notify"), ear("watchdog.notify"), ear("journal"));
        let mut sim = Command::new(binary("sandpit-sim"))
            .args(["--listen", "127.0.0.1:0", "--speed", "60", "--seed", "7", "--sessions", "2"])
            .args(["--rpm", "10000000", "--cash", "10000000", "--symbols", "SPY,QQQ"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sandpit-sim starts");
        let mut line = String::new();
        BufReader::new(sim.stdout.take().expect("piped")).read_line(&mut line).expect("it speaks");
        let broker = line.trim().strip_prefix("listening ").expect("an address").to_owned();
        let bench = Self { folder, host, watchdog, journal, broker, _sim: Process(sim) };
        bench.write_files();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_files(&self) {
        fs::create_dir(self.path("plugins")).expect("made");
        fs::copy(test_plugin("churn"), self.path("plugins/churn.wasm")).expect("copied");
        let manifest = "instruments = [\"SPY\"]\n[parameters]\nworks = true\nsimple = true\ngrow_mb = 0\n";
        fs::write(self.path("plugins/churn.toml"), manifest).expect("written");
        let (socket, kill, broker) = (self.path("lease.sock"), self.path("kill"), &self.broker);
        let host = format!(
            "mode = \"paper\"\nstate_dir = {:?}\nplugins_dir = {:?}\nlisten = \"127.0.0.1:0\"\n\
             kill_switch_file = {kill:?}\n[broker]\nurl = \"http://{broker}\"\nclock_speed = 60.0\n\
             [watchdog]\nsocket = {socket:?}\n",
            self.path("state"),
            self.path("plugins"),
        );
        fs::write(self.path("host.toml"), host).expect("written");
        let watchdog = format!(
            "state_dir = {:?}\nsocket = {socket:?}\nkill_switch_file = {kill:?}\n[host]\nmode = \"attach\"\n\
             [broker]\ntrading_url = \"http://{broker}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [kill]\nconfirm_ms = 1000\n[alerts]\ntelegram_chat_ids = [5]\n\
             telegram_url = \"http://127.0.0.1:1\"\npagerduty_url = \"http://127.0.0.1:1\"\n",
            self.path("watchdog"),
        );
        fs::create_dir(self.path("watchdog")).expect("made");
        fs::write(self.path("watchdog.toml"), watchdog).expect("written");
    }

    /// Secrets of both, each with the mark; the file of each NAME_FILE is written.
    fn secrets(&self) -> BTreeMap<&'static str, String> {
        let files = ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "PANEL_TOKEN", "PANIC_TOKEN"];
        for name in files {
            fs::write(self.path(name), format!("{MARK}-{name}-0123456789abcdef\n")).expect("written");
        }
        let file = |name: &str| self.path(name).display().to_string();
        BTreeMap::from([
            ("APCA_API_KEY_ID_FILE", file(files[0])),
            ("APCA_API_SECRET_KEY_FILE", file(files[1])),
            ("PANEL_TOKEN_FILE", file(files[2])),
            ("PANIC_TOKEN_FILE", file(files[3])),
            ("TELEGRAM_BOT_TOKEN", format!("1:{MARK}")),
            ("PAGERDUTY_ROUTING_KEY", format!("{MARK}-pager")),
            ("ALERT_WEBHOOK_URL", format!("http://127.0.0.1:1/{MARK}?token={MARK}")),
            ("ALERT_WEBHOOK_SECRET", format!("{MARK}-webhook")),
        ])
    }

    fn run(&self, program: &str, config: &str, manager: &Ear) -> Process {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("stderr")).expect("a file");
        let mut command = Command::new(binary(program));
        command.env_clear().envs(self.secrets()).env("RUST_LOG", "trace");
        command.env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "3000000");
        command.env("SANDPIT_JOURNAL_SOCKET", &self.journal.path);
        command.args(["run", "--config"]).arg(self.path(config)).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("shared")).stderr(log);
        Process(command.spawn().expect("it starts"))
    }

    /// What a command of an operator's says, good or bad.
    fn says(&self, program: &str, arguments: &[&str], env: &[(&str, &str)]) -> String {
        let mut command = Command::new(binary(program));
        command.env_clear().envs(self.secrets()).env("RUST_LOG", "trace").envs(env.iter().copied());
        let output = command.args(arguments).stdin(Stdio::null()).output().expect("it runs");
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
    }
}

/// That nobody who reads this learns a secret: not as it is, nor as a header would have it.
fn assert_hushed(what: &str, text: &str) {
    // "hush" at each of the three places that base64 can have it.
    for form in [MARK, "aHVza", "h1c2", "odXNo"] {
        let at = text.find(form);
        let around = at.map(|at| {
            let from = text.floor_char_boundary(at.saturating_sub(200));
            &text[from..text.ceil_char_boundary((at + 200).min(text.len()))]
        });
        assert!(at.is_none(), "{what} has a secret: {around:?}");
    }
}

/// What happened to orders, by its fields.
fn orders_are_found(journal: &Ear) {
    let order = journal.hears(&["EVENT=order-sent\n", "STRATEGY=churn\n", "PRIORITY=6\n"]);
    assert!(order.contains("CLIENT_ORDER_ID=") && order.contains("SYMBOL="), "{order}");
    // A strategy that cancels as it likes. Of each of its orders the end is said at most once.
    let over = journal.hears(&["EVENT=order-cancelled\n", "STRATEGY=churn\n", "PRIORITY=6\n"]);
    assert!(over.contains("CLIENT_ORDER_ID=") && over.contains("SYMBOL=SPY\n"), "{over}");
    let refused = journal.hears(&["EVENT=order-refused\n", "STRATEGY=churn\n", "SYMBOL="]);
    assert!(refused.contains("SYMBOL=SPY\n") && refused.contains("PRIORITY=6\n"), "{refused}");
}

fn no_end_is_said_twice(journal: &Ear) {
    let names = |text: &String| {
        let ends = ["order-cancelled", "order-expired", "order-replaced", "order-never-arrived"];
        let is_end = ends.iter().any(|end| text.contains(&format!("EVENT={end}\n")));
        let id = text.lines().find(|line| line.starts_with("CLIENT_ORDER_ID=")).map(str::to_owned);
        is_end.then(|| id.unwrap_or_else(|| panic!("no order: {text}")))
    };
    let ended: Vec<String> = journal.texts().iter().filter_map(names).collect();
    let each: BTreeSet<&String> = ended.iter().collect();
    assert_eq!(each.len(), ended.len(), "the end of an order is said twice");
}

#[test]
fn the_manager_and_the_journal_are_told_what_is_true_and_no_secret() {
    let bench = Bench::new();
    let mut watchdog = bench.run("sandpit-watchdog", "watchdog.toml", &bench.watchdog);
    let first = bench.watchdog.hears(&["READY=1"]);
    assert!(first.contains("STATUS=NOT ARMED") && first.contains("WATCHDOG=1"), "{first}");
    let config = bench.path("watchdog.toml").display().to_string();
    let armed = bench.says("sandpit-watchdog", &["arm", "--reason", "test", "--config", &config], &[]);
    bench.watchdog.hears(&["STATUS=armed"]);

    let mut host = bench.run("sandpit", "host.toml", &bench.host);
    bench.host.hears(&["READY=1", "STATUS=paper, trading; 1 strategy; 0 orders open"]);
    let texts = bench.host.texts();
    let ready = texts.iter().position(|text| text.contains("READY=1")).expect("heard");
    for step in ["compiling strategies", "opening the records", "reconciling with the broker"] {
        let at = texts.iter().position(|text| text.contains(step)).expect(step);
        assert!(at < ready && texts[at].contains("EXTEND_TIMEOUT_USEC="), "{step}: {texts:?}");
    }
    assert!(texts[..ready].iter().all(|text| !text.contains("WATCHDOG=1")), "{texts:?}");
    for ear in [&bench.host, &bench.watchdog] {
        let pings = || ear.texts().iter().filter(|text| text.contains("WATCHDOG=1")).count();
        wait_for("three signs of life", BOUND, || (pings() >= 3).then_some(()));
    }
    bench.host.hears(&["lease held"]);
    bench.watchdog.hears(&["the host holds the lease"]);

    // Each with what finds it.
    let host_is = "SYSLOG_IDENTIFIER=sandpit\n";
    for event in ["reconciled", "started", "stream-up", "lease-granted"] {
        bench.journal.hears(&[host_is, &format!("EVENT={event}\n"), "MESSAGE_ID=", "PRIORITY=5\n", "EPOCH="]);
    }
    orders_are_found(&bench.journal);
    let watchdog_is = "SYSLOG_IDENTIFIER=sandpit-watchdog\n";
    bench.journal.hears(&[watchdog_is, "EVENT=lease-granted\n", "PRIORITY=5\n", "EPOCH="]);

    fs::write(bench.path("kill"), "").expect("the flag is written");
    let killed = bench.journal.hears(&[watchdog_is, "EVENT=killed\n", "PRIORITY=3\n"]);
    // The host looks for it, too, and says so if it sees it first.
    let layer = ["flag", "trip"].into_iter().find(|layer| killed.contains(&format!("KILL_LAYER={layer}\n")));
    let layer = layer.unwrap_or_else(|| panic!("no layer: {killed}"));
    assert!(
        killed.contains(&format!("MESSAGE=[KILL] layer={layer}")) && killed.contains("EPOCH="),
        "{killed}"
    );
    bench.journal.hears(&["EVENT=kill-proved\n", &format!("KILL_LAYER={layer}\n")]);
    bench.watchdog.hears(&["STATUS=KILLED", layer, "CONFIRMED_ZERO"]);
    wait_for("the host's end", BOUND, || host.0.try_wait().expect("our own child"));
    watchdog.stop();
    bench.watchdog.hears(&["STOPPING=1"]);

    no_end_is_said_twice(&bench.journal);
    assert_hushed("arm", &armed);
    for (name, ear) in [("host", &bench.host), ("watchdog", &bench.watchdog), ("journal", &bench.journal)] {
        assert!(!ear.texts().is_empty(), "{name}");
        assert_hushed(name, &ear.texts().join("\n"));
    }
    assert_hushed(
        "standard error",
        &String::from_utf8_lossy(&fs::read(bench.path("stderr")).expect("there")),
    );
    assert!(bench.journal.texts().iter().any(|text| text.contains("PRIORITY=7\n")), "all was traced");
}

#[test]
fn a_host_that_is_asked_to_end_says_so_and_one_that_cannot_start_why() {
    let bench = Bench::new();
    let mut host = bench.run("sandpit", "host.toml", &bench.host);
    bench.host.hears(&["READY=1"]);
    host.stop();
    bench.host.hears(&["STOPPING=1\nSTATUS=stopped as asked\n"]);
    bench.journal.hears(&["EVENT=stopped\n"]);

    fs::write(bench.path("APCA_API_KEY_ID"), "two words\n").expect("written");
    let text = fs::read_to_string(bench.path("host.toml")).expect("there").replace("paper", "sideways");
    fs::write(bench.path("broken.toml"), text).expect("written");
    let mut broken = bench.run("sandpit", "broken.toml", &bench.host);
    wait_for("its end", BOUND, || broken.0.try_wait().expect("our own child"));
    bench.host.hears(&["STOPPING=1\nSTATUS=", "broken.toml:1"]);
    bench.journal.hears(&["EVENT=not-started\n", "PRIORITY=3\n"]);
}

#[test]
fn no_sentence_about_a_secret_has_it() {
    let bench = Bench::new();
    let path = |name: &str| bench.path(name).display().to_string();
    let (host, watchdog) = (path("host.toml"), path("watchdog.toml"));
    let check: [&str; 4] = ["config", "check", "--config", &host];
    let database = format!("postgres://who:{MARK}@127.0.0.1:1/records?password={MARK}");
    let wrong = format!("postgres//{MARK}");
    let file = path("database");
    fs::write(&file, format!("{database}\n")).expect("written");
    let both = [("APCA_API_SECRET_KEY", "hush-too")];
    let show: [&str; 4] = ["config", "show", "--config", &host];
    let as_json: [&str; 5] = ["config", "show", "--json", "--config", &host];
    // As values of the environment instead of files; an empty one says nothing.
    let plain = [
        ("APCA_API_KEY_ID_FILE", ""),
        ("APCA_API_KEY_ID", "hush-key"),
        ("APCA_API_SECRET_KEY_FILE", ""),
        ("APCA_API_SECRET_KEY", "hush-secret"),
        ("PANEL_TOKEN_FILE", ""),
        ("PANEL_TOKEN", "hush-0123456789abcdef"),
        ("DATABASE_URL", &database[..]),
    ];
    let said = [
        ("check", bench.says("sandpit", &check, &[]), "valid"),
        ("both", bench.says("sandpit", &check, &both), "and so is APCA_API_SECRET_KEY_FILE"),
        (
            "short",
            bench.says("sandpit", &check, &[("PANEL_TOKEN_FILE", ""), ("PANEL_TOKEN", MARK)]),
            "shorter",
        ),
        (
            "show",
            bench.says("sandpit", &show, &[("DATABASE_URL", &database[..])]),
            "APCA_API_SECRET_KEY_FILE",
        ),
        ("show --json", bench.says("sandpit", &as_json, &[("DATABASE_URL", &database[..])]), "\"values\""),
        ("show both", bench.says("sandpit", &show, &both), ""),
        ("show plainly", bench.says("sandpit", &as_json, &plain), "\"values\""),
        ("show wrong", bench.says("sandpit", &show, &[("DATABASE_URL", &wrong[..])]), ""),
        ("database", bench.says("sandpit", &check, &[("DATABASE_URL", &database[..])]), ""),
        ("wrong", bench.says("sandpit", &check, &[("DATABASE_URL", &wrong[..])]), "DATABASE_URL"),
        (
            "file",
            bench.says("sandpit", &["db", "check", "--config", &host], &[("DATABASE_URL_FILE", &file[..])]),
            "",
        ),
        ("nowhere", bench.says("sandpit", &check, &[("PANEL_TOKEN_FILE", "/nowhere")]), "cannot be read"),
        ("status", bench.says("sandpit-watchdog", &["status", "--config", &watchdog], &[]), ""),
        ("test", bench.says("sandpit-watchdog", &["alert-test", "--config", &watchdog], &[]), "webhook"),
    ];
    for (name, text, words) in said {
        assert_hushed(name, &text);
        assert!(text.contains(words), "{name}: {text}");
    }
}

#[test]
fn a_host_gets_neither_the_watchdogs_manager_nor_its_secrets() {
    let bench = Bench::new();
    let env = bench.path("environment");
    let command = format!("env > {0}.part && mv {0}.part {0}", env.display());
    let text = fs::read_to_string(bench.path("watchdog.toml")).expect("there");
    let spawn = format!("mode = \"spawn\"\ncommand = [\"/bin/sh\", \"-c\", {command:?}]");
    fs::write(bench.path("watchdog.toml"), text.replace("mode = \"attach\"", &spawn)).expect("written");
    let _watchdog = bench.run("sandpit-watchdog", "watchdog.toml", &bench.watchdog);
    bench.watchdog.hears(&["READY=1"]);
    let config = bench.path("watchdog.toml").display().to_string();
    bench.says("sandpit-watchdog", &["arm", "--reason", "test", "--config", &config], &[]);
    let (text, _) = wait_for("the host's environment", BOUND, || fs::read_to_string(&env).ok());
    assert!(text.contains("APCA_API_KEY_ID_FILE="), "the key it trades with: {text}");
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "PANIC_TOKEN", "TELEGRAM", "PAGERDUTY", "WEBHOOK"] {
        assert!(!text.contains(name), "{name}: {text}");
    }
}

/// The catalog, as systemd's own tool takes it.
#[test]
fn the_catalog_compiles_where_journalctl_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("usr/lib/systemd/catalog");
    fs::create_dir_all(&place).expect("made");
    fs::create_dir_all(folder.path().join("var/lib/systemd/catalog")).expect("made");
    let catalog = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd/catalog/sandpit.catalog");
    fs::copy(&catalog, place.join("sandpit.catalog")).expect("the catalog is there");
    let journalctl = |arguments: &[&str]| {
        let root = format!("--root={}", folder.path().display());
        Command::new("journalctl").arg(root).args(arguments).output()
    };
    let Ok(updated) = journalctl(&["--update-catalog"]) else {
        return eprintln!("SKIPPED: journalctl is not installed");
    };
    assert!(updated.status.success(), "{updated:?}");
    assert!(folder.path().join("var/lib/systemd/catalog/database").exists(), "{updated:?}");
    assert!(updated.stderr.is_empty(), "{}", String::from_utf8_lossy(&updated.stderr));
}
