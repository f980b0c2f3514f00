//! The real program: its first line, its exit codes, its one sentence for what is wrong.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::{Value, json};

const BARS: &str = "timestamp,symbol,open,high,low,close,volume\n";

fn sim(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandpit-sim"));
    command.args(["--listen", "127.0.0.1:0"]).args(flags).stdin(Stdio::null());
    command
}

/// A program that listens; killed when dropped.
struct Running {
    child: Child,
    address: String,
    _stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(flags: &[&str]) -> Self {
        let mut child = sim(flags).stdout(Stdio::piped()).spawn().expect("starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let address = line.trim_end().strip_prefix("listening ").expect("the first line").to_owned();
        Self { child, address, _stdout: stdout }
    }

    /// The answer to a request, as text; with a body it is a POST.
    fn ask(&self, path: &str, body: Option<&Value>) -> String {
        // The environment's proxy knows nothing of our loopback.
        let agent = ureq::Agent::from(ureq::Agent::config_builder().proxy(None).build());
        let url = format!("http://{}{path}", self.address);
        let answer = match body {
            None => agent.get(url).call(),
            Some(body) => agent
                .post(url)
                .header("APCA-API-KEY-ID", "K")
                .header("APCA-API-SECRET-KEY", "S")
                .send(body.to_string()),
        };
        answer.expect("an answer").body_mut().read_to_string().expect("text")
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.ask("/sim/status", None)).expect("JSON")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn fails(mut command: Command, code: i32) -> String {
    let Output { status, stdout, stderr } = command.output().expect("runs");
    let stderr = String::from_utf8(stderr).expect("text");
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert!(stdout.is_empty(), "it must not have listened");
    stderr
}

fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).expect("a test file");
    path.to_str().expect("a plain path").to_owned()
}

#[test]
fn it_says_where_it_listens_and_ends_on_a_signal() {
    let mut running = Running::start(&["--seed", "7", "--speed", "600"]);
    let status = running.status();
    assert_eq!(status["symbols"].as_array().map(Vec::len), Some(25));
    assert_eq!(status["phase"], "pre");
    assert!(status["market_time"].as_str().is_some_and(|time| time.starts_with("2026-03-16T")));
    let pid = running.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("runs").success());
    assert_eq!(running.child.wait().expect("ends").code(), Some(0));
}

#[test]
fn the_same_seed_and_the_same_requests_give_the_same_log() {
    let run = |seed: &str| {
        let sim = Running::start(&["--paused", "--seed", seed, "--speed", "1000", "--realism", "live"]);
        assert_eq!(sim.status()["market_time"], "2026-03-16T12:40:00Z", "the start of the run");
        for n in 0..20_u32 {
            sim.ask("/sim/clock", Some(&json!({"advance": if n == 0 { "51m" } else { "77s" }})));
            let side = if n % 3 == 2 { "sell" } else { "buy" };
            sim.ask(
                "/v2/orders",
                Some(&json!({"symbol": "SPY", "qty": "3", "side": side, "type": "market",
                    "time_in_force": "day", "client_order_id": format!("order {n}")})),
            );
        }
        sim.ask("/sim/clock", Some(&json!({"advance": "1m"})));
        sim.ask("/sim/log?limit=100000", None)
    };
    let first = run("7");
    assert_eq!(run("7"), first);
    assert!(first.matches("\"event\":\"fill\"").count() >= 20, "{first}");
    assert_ne!(run("8"), first);
}

#[test]
fn it_plays_a_file_to_its_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let rows: String = (30..60).map(|m| format!("2013-10-07T13:{m}:00Z,SPY,10,11,9,10,100\n")).collect();
    let path = file(dir.path(), "bars.csv", &format!("{BARS}2013-10-04T21:00:00Z,SPY,1,1,1,1,1\n{rows}"));
    let running = Running::start(&["--data", &path, "--speed", "100000"]);
    let ended =
        (0..1_000_000).map(|_| running.status()).find(|status| status["ended"] == true).expect("it ends");
    assert_eq!(ended["phase"], "done");
    assert_eq!(ended["market_time"], "2013-10-07T20:01:00Z");
    // The quotes were made from the bars; the bar of the week before belongs to the lead at this speed.
    assert_eq!((ended["bars"].as_u64(), ended["quotes"].as_u64()), (Some(31), Some(31)));
}

#[test]
fn a_broken_line_is_named_and_nothing_is_started() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = file(dir.path(), "bad.csv", &format!("{BARS}2013-10-07T13:30:00Z,SPY,10,11,9,10,x\n"));
    let message = fails(sim(&["--data", &path]), 14);
    assert_eq!(
        message,
        format!("error: {path}:2: volume \"x\" is not a whole number from 0 to 1000000000000\n")
    );
    let message = fails(sim(&["--data", "/no/such/file.csv"]), 14);
    assert!(message.starts_with("error: /no/such/file.csv: No such file"), "{message}");
}

#[test]
fn a_wrong_file_of_faults_is_explained() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = file(dir.path(), "faults.toml", "[[fault]]\nkind = \"reset\"\nprobabilty = 0.5\n");
    let message = fails(sim(&["--faults", &path]), 10);
    assert_eq!(message, format!("error: {path}:3: unknown key `probabilty`; did you mean `probability`?\n"));
    let halt = file(dir.path(), "halt.toml", "[[fault]]\nkind = \"halt\"\nsymbol = \"SPX\"\n");
    let message = fails(sim(&["--faults", &halt]), 10);
    assert_eq!(message, format!("error: {halt}: fault 1: symbol not found: SPX\n"));
    let message = fails(sim(&["--faults", "/no/such/faults.toml"]), 10);
    assert!(message.starts_with("error: /no/such/faults.toml: No such file"), "{message}");
    let path = file(dir.path(), "sound.toml", "[[fault]]\nkind = \"reset\"\npath = \"/v2\"\n");
    let running = Running::start(&["--faults", &path]);
    assert_eq!(running.status()["phase"], "pre", "controls are not hit by faults");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandpit-sim"));
    command.args(["--listen", &address]);
    let message = fails(command, 13);
    assert!(message.starts_with(&format!("error: {address} is in use")), "{message}");
}

#[test]
fn wrong_usage_is_explained() {
    let check = |flags: &[&str], word: &str| {
        let message = fails(sim(flags), 2);
        assert!(message.contains(word), "{message}");
    };
    check(&["--date", "2026-03-15"], "the next one is 2026-03-16");
    check(&["--sessions", "all"], "--sessions all needs --data");
    check(&["--sped", "5"], "--speed");
    let help = sim(&["--help"]).output().expect("runs");
    let help = String::from_utf8(help.stdout).expect("text");
    for flag in [
        "--listen",
        "--symbols",
        "--data",
        "--sessions",
        "--seed",
        "--speed",
        "--paused",
        "--cash",
        "--always-open",
        "--realism",
        "--plan",
        "--connections",
        "--day-trade-rule",
        "--rpm",
        "--faults",
        "--key",
        "Exit codes",
        "/sim/inject",
        "/sim/reset",
        "partial_failure",
        "stuck_cancels",
    ] {
        assert!(help.contains(flag), "{flag} in {help}");
    }
}
