//! The rules in the real host: what the broker does wrong becomes an alarm, entries stop, the watchdog is
//! told, and all of it is over when it is.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    os::fd::{AsRawFd, RawFd},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use nix::{
    sys::{
        signal::{Signal, kill},
        socket::{
            AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept, bind, listen, recv, send,
            socket,
        },
    },
    time::{ClockId, clock_gettime},
    unistd::{Pid, close},
};
use sandpit_system_tests::{binary, get_json, test_plugin, wait_for};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Row, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(60);
/// A burst of 5xx counts for a minute and has to be over for two.
const OVER: Duration = Duration::from_secs(300);

/// A child that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A watchdog of the test's own: it grants the lease at every beat, and notes the alarms that it is told.
#[derive(Clone, Default)]
struct Watchdog(Arc<Mutex<Vec<Value>>>);

impl Watchdog {
    fn at(path: &PathBuf) -> Self {
        let own = Self::default();
        let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None);
        let listener = listener.expect("a socket");
        bind(listener.as_raw_fd(), &UnixAddr::new(path).expect("short")).expect("bound");
        listen(&listener, Backlog::new(1).expect("small")).expect("listens");
        let watchdog = own.clone();
        thread::spawn(move || {
            while let Ok(host) = accept(listener.as_raw_fd()) {
                watchdog.serve(host);
            }
        });
        own
    }

    fn serve(&self, host: RawFd) {
        let mut packet = vec![0; 1 << 16];
        let mut nonce = 0;
        while let Ok(bytes @ 1..) = recv(host, &mut packet, MsgFlags::empty()) {
            let message: Value = serde_json::from_slice(&packet[..bytes]).expect("JSON");
            if message["kind"] == "alarm" {
                self.0.lock().expect("no panic").push(message.clone());
            }
            if message["kind"] == "beat" {
                nonce += 1;
                let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every Linux has it");
                let deadline = (now.tv_sec() + 2) * 1_000_000_000 + now.tv_nsec();
                let lease =
                    json!({"kind": "lease", "epoch": message["epoch"], "deadline": deadline, "nonce": nonce});
                let _ = send(host, lease.to_string().as_bytes(), MsgFlags::MSG_NOSIGNAL);
            }
        }
        close(host).expect("it is ours");
    }

    /// Whether it was told of this.
    fn heard(&self, key: &str, standing: &str) -> bool {
        let all = self.0.lock().expect("no panic");
        all.iter().any(|alarm| alarm["key"] == key && alarm["standing"] == standing)
    }
}

/// A host that trades all the time, at a broker that does what it is told.
struct Bench {
    host: Running,
    _sim: Running,
    watchdog: Watchdog,
    broker: String,
    listen: String,
    folder: TempDir,
}

impl Bench {
    fn start(alerts: &str) -> Self {
        let mut sim = Command::new(binary("sandpit-sim"))
            .args(["--listen", "127.0.0.1:0", "--symbols", "SPY", "--always-open", "--speed", "20"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sandpit-sim starts");
        let mut line = String::new();
        BufReader::new(sim.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
        let broker = line.trim().strip_prefix("listening ").expect("its address").to_owned();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listen = sandpit_ports::free_address().expect("a port");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("plugins")).expect("made");
        fs::copy(test_plugin("churn"), path("plugins/churn.wasm")).expect("copied");
        let manifest = "instruments = [\"SPY\"]\n[parameters]\nworks = true\nsimple = true\n";
        fs::write(path("plugins/churn.toml"), manifest).expect("written");
        let config = format!(
            "mode = \"paper\"\nstate_dir = {:?}\nplugins_dir = {:?}\nlisten = \"{listen}\"\n\
             kill_switch_file = {:?}\n[broker]\nurl = \"http://{broker}\"\nclock_speed = 20\n[watchdog]\n\
             socket = {:?}\n[alerts]\n{alerts}\n",
            path("state"),
            path("plugins"),
            path("kill"),
            path("lease.sock"),
        );
        fs::write(path("sandpit.toml"), config).expect("written");
        let watchdog = Watchdog::at(&path("lease.sock"));
        let log = fs::File::create(path("log")).expect("a log file");
        let host = Command::new(binary("sandpit"))
            .args(["run", "--config"])
            .arg(path("sandpit.toml"))
            .env("APCA_API_KEY_ID", "k")
            .env("APCA_API_SECRET_KEY", "s")
            .env_remove("PANEL_TOKEN")
            .stderr(log)
            .spawn()
            .expect("sandpit starts");
        let bench = Self { host: Running(host), _sim: Running(sim), watchdog, broker, listen, folder };
        wait_for("orders", SOON, || {
            (bench.status()?["orders"]["submitted"].as_u64() > Some(3)).then_some(())
        });
        bench
    }

    fn status(&self) -> Option<Value> {
        get_json(&format!("http://{}/status", self.listen))
    }

    fn figure(&self, pointer: &str) -> u64 {
        self.status().and_then(|status| status.pointer(pointer)?.as_u64()).unwrap_or(0)
    }

    fn firing(&self) -> BTreeSet<String> {
        let status = self.status().expect("the host answers");
        let alerts = status["alerts"].as_array().expect("a list").clone();
        alerts.iter().map(|alert| alert["name"].as_str().expect("a name").to_owned()).collect()
    }

    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into()
    }

    fn fault(&self, rule: &Value) {
        let answer = Self::agent().post(format!("http://{}/sim/faults", self.broker)).send_json(rule);
        assert!(answer.expect("the broker answers").status().is_success(), "{rule}");
    }

    fn heal(&self) {
        let answer = Self::agent().delete(format!("http://{}/sim/faults", self.broker)).call();
        assert!(answer.expect("the broker answers").status().is_success());
    }

    /// `sandpit alerts ARGS`.
    fn alerts(&self, args: &[&str]) -> Output {
        let config = self.folder.path().join("sandpit.toml");
        let mut command = Command::new(binary("sandpit"));
        command.arg("alerts").args(args).arg("--config").arg(config).output().expect("sandpit runs")
    }

    /// Texts of a column of the records.
    fn records(&self, query: &'static str) -> Vec<String> {
        let path = self.folder.path().join("state/paper/sandpit.db");
        let read = async {
            let options = SqliteConnectOptions::new().filename(path).read_only(true);
            let mut connection = options.connect().await.expect("the host's database opens");
            let rows = sqlx::query(query).fetch_all(&mut connection).await.expect("the rows read");
            rows.iter().map(|row| row.get::<String, _>(0)).collect()
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(read)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

#[test]
fn a_burst_of_5xx_stops_entries_until_the_broker_answers_again() {
    let mut bench = Bench::start("");
    assert!(!bench.firing().contains("broker-errors"), "{:?}", bench.firing());
    assert_eq!(bench.figure("/refusals/entries-stopped"), 0);
    let text = bench.alerts(&["--json"]);
    assert_eq!(text.status.code(), Some(0));

    // The clock is asked for every few seconds, whatever the host does.
    bench.fault(&json!({"kind": "server_error", "status": 503, "path": "/v2/clock"}));
    wait_for("the alarm", OVER, || bench.firing().contains("broker-errors").then_some(()));
    wait_for("refusals", SOON, || (bench.figure("/refusals/entries-stopped") > 0).then_some(()));
    bench.heal();
    wait_for("the watchdog's word", SOON, || bench.watchdog.heard("broker-errors", "firing").then_some(()));
    let kept = bench.folder.path().join("state/paper/alarms.json");
    let knows = || fs::read_to_string(&kept).ok()?.contains("broker-errors").then_some(());
    wait_for("what a host that dies now is to know", SOON, knows);
    let told = bench.alerts(&["--json"]);
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let alert =
        told["alerts"].as_array().expect("a list").iter().find(|alert| alert["name"] == "broker-errors");
    let alert = alert.expect("it is listed");
    assert_eq!(
        (alert["severity"].as_str(), alert["action"].as_str()),
        (Some("critical"), Some("stop-entries"))
    );
    let text = String::from_utf8_lossy(&bench.alerts(&[]).stdout).into_owned();
    assert!(text.contains("CRITICAL broker-errors since "), "{text}");

    wait_for("its end", OVER, || (!bench.firing().contains("broker-errors")).then_some(()));
    wait_for("the watchdog's word", SOON, || bench.watchdog.heard("broker-errors", "over").then_some(()));
    // Entries are taken again, and nothing else forbids them.
    let (sent, refused) = (bench.figure("/orders/submitted"), bench.figure("/refusals/entries-stopped"));
    wait_for("orders", SOON, || (bench.figure("/orders/submitted") > sent + 3).then_some(()));
    assert_eq!(bench.figure("/refusals/entries-stopped"), refused);

    let rows = || {
        let rows = bench.records("SELECT text FROM alerts ORDER BY sequence");
        let has = |start: &str| rows.iter().any(|row| row.starts_with(start));
        (has("[critical] broker-errors: ") && has("[over] broker-errors: ")).then_some(())
    };
    wait_for("the records", SOON, rows);
    let audit = bench.records("SELECT action FROM audit WHERE actor = 'host' ORDER BY sequence");
    let of_it: Vec<&str> =
        audit.iter().map(String::as_str).filter(|action| action.starts_with("stop-entries")).collect();
    assert_eq!(of_it, ["stop-entries", "stop-entries-over"]);
    let log = bench.log();
    assert!(log.contains("event=\"alarm\"") && log.contains("event=\"alarm-over\""), "{log}");

    // What is usual outlives the host.
    let pid = Pid::from_raw(i32::try_from(bench.host.0.id()).expect("a pid"));
    kill(pid, Signal::SIGTERM).expect("our own child");
    let (ended, _) = wait_for("the end", SOON, || bench.host.0.try_wait().expect("our own child"));
    assert_eq!(ended.code(), Some(0), "{}", bench.log());
    let kept = fs::read_to_string(&kept).expect("kept");
    assert!(serde_json::from_str::<Value>(&kept).expect("JSON")["rules"]["series"].is_object());
}

/// Prometheus itself says whether the page of a running host follows its conventions.
#[test]
fn the_metrics_of_a_running_host_follow_the_conventions() {
    let bench = Bench::start("slippage = { threshold = 0.5 }\nbudget-use = { enabled = false }");
    let url = format!("http://{}/metrics", bench.listen);
    let page = Bench::agent().get(&url).call().expect("answered").body_mut().read_to_string().expect("text");
    let series = page.lines().filter(|line| !line.starts_with('#')).count();
    assert!((200..2_000).contains(&series), "{series} series");
    for family in
        ["sandpit_rest_answers_total", "sandpit_fill_latency_seconds_count", "sandpit_signal_firing"]
    {
        assert!(page.lines().any(|line| line.starts_with(family)), "{family} is not in {page}");
    }
    let helps: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    let types: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(helps, types);
    // Names are bounded, so that no label can grow without end.
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.len() < 400, "{line}");
    }
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr().lock(), "SKIPPED, promtool is not on the PATH");
        return;
    };
    let mut input = promtool.stdin.take().expect("piped");
    std::io::Write::write_all(&mut input, page.as_bytes()).expect("it reads");
    drop(input);
    let out = promtool.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{told}");
}
