//! A whole session, from market data to fills.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandpit_system_tests::{Demo, binary, get_json, plugin, wait_for};
use serde_json::Value;

/// A session of 390 minutes at 390 times takes a minute, with the lead and the build-up of three processes.
const BOUND: Duration = Duration::from_secs(120);

fn number(json: &Value, name: &str) -> u64 {
    json[name].as_u64().unwrap_or_else(|| panic!("{name} is not in {json}"))
}

#[test]
fn a_synthetic_session_ends_with_fills_of_both_strategies() {
    let ended = Demo::start(&["--speed", "390"]).end(BOUND);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let json = &ended.json;
    for name in ["bars", "quotes", "trades", "intents", "orders", "fills", "requests"] {
        assert!(number(json, name) > 0, "{name} is zero in {json}");
    }
    assert_eq!(number(json, "http_429"), 0, "{json}");
    assert_eq!(number(json, "host_restarts"), 0, "{json}");
    assert!(json["kill"].is_null(), "{json}");
    for strategy in json["strategies"].as_array().expect("strategies") {
        assert!(number(strategy, "fills") > 0, "no fills: {strategy}\n{}", ended.log);
        assert_eq!(number(strategy, "strikes"), 0, "{strategy}");
    }
    assert!(json["equity_start"].as_f64().is_some_and(|equity| equity > 0.0), "{json}");
    assert!(json["equity_end"].as_f64().is_some_and(|equity| equity > 0.0), "{json}");
}

/// A child that does not outlive the test.
struct Running(Child);

impl Running {
    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).expect("a pid"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sim(speed: &str) -> (Running, String) {
    let mut child = Command::new(binary("sandpit-sim"))
        .args(["--listen", "127.0.0.1:0", "--speed", speed, "--symbols", "SPY,QQQ,IWM,AAPL"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("sandpit-sim starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
    let address = line.trim().strip_prefix("listening ").expect("its address").to_owned();
    (Running(child), address)
}

#[test]
fn a_dry_run_fills_here_and_sends_nothing() {
    let (_sim, address) = sim("390");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("plugins")).expect("made");
    fs::copy(plugin("sma_cross"), path("plugins/sma_cross.wasm")).expect("copied");
    fs::write(path("plugins/sma_cross.toml"), "instruments = [\"SPY\", \"QQQ\", \"IWM\", \"AAPL\"]\n")
        .expect("written");
    let config = format!(
        "state_dir = {:?}\nplugins_dir = {:?}\nlisten = \"127.0.0.1:0\"\nkill_switch_file = {:?}\n\
         [broker]\nurl = \"http://{address}\"\nclock_speed = 390.0\n",
        path("state"),
        path("plugins"),
        path("kill"),
    );
    fs::write(path("sandpit.toml"), config).expect("written");
    let log = fs::File::create(path("log")).expect("a log file");
    let host = Command::new(binary("sandpit"))
        .args(["run", "--config"])
        .arg(path("sandpit.toml"))
        .env("APCA_API_KEY_ID", "k")
        .env("APCA_API_SECRET_KEY", "s")
        .stderr(log)
        .spawn();
    let mut host = Running(host.expect("sandpit starts"));
    let log = || fs::read_to_string(path("log")).unwrap_or_default();
    wait_for("fills in the dry run", Duration::from_secs(60), || {
        (log().matches(" fill ").count() >= 5).then_some(())
    });
    kill(host.pid(), Signal::SIGTERM).expect("our own child");
    let ended = || host.0.try_wait().expect("our own child");
    let (status, _) = wait_for("the host to end", Duration::from_secs(10), ended);
    assert_eq!(status.code(), Some(0), "{}", log());
    let status = get_json(&format!("http://{address}/sim/status")).expect("the sim answers");
    assert_eq!(number(&status, "orders_accepted") + number(&status, "orders_rejected"), 0, "{status}");
    assert!(path("state/dry-run/sandpit.db").exists(), "its own database");
}
