//! What was recorded is played again, with the real programs: the same, another component, a damaged log, a
//! host that was killed.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandpit_system_tests::{binary, plugin, wait_for};
use tempfile::TempDir;

/// The market's speed: a session takes a minute.
const SPEED: &str = "390";

/// A child that does not outlive the test.
struct Running(Child);

impl Running {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).expect("a pid")), signal).expect("our own child");
    }

    fn ended(&mut self) -> Option<i32> {
        let ended = || self.0.try_wait().expect("our own child");
        wait_for("the host to end", Duration::from_secs(15), ended).0.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A simulated broker, and the folder of a host that makes a dry run with two strategies.
struct Rig {
    _sim: Running,
    folder: TempDir,
}

impl Rig {
    fn new() -> Self {
        let mut child = Command::new(binary("sandpit-sim"))
            .args(["--listen", "127.0.0.1:0", "--speed", SPEED, "--symbols", "SPY,QQQ,IWM,AAPL"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sandpit-sim starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
        let address = line.trim().strip_prefix("listening ").expect("its address").to_owned();
        let rig = Self { _sim: Running(child), folder: tempfile::tempdir().expect("a temporary folder") };
        fs::create_dir(rig.path("plugins")).expect("made");
        for (name, manifest) in [
            ("sma_cross", "instruments = [\"SPY\", \"IWM\"]\n"),
            (
                "rebalance",
                "instruments = [\"QQQ\", \"AAPL\"]\n[parameters]\nevery_minutes = 10\ndrift = 0.002\n",
            ),
        ] {
            fs::copy(plugin(name), rig.path(&format!("plugins/{name}.wasm"))).expect("copied");
            fs::write(rig.path(&format!("plugins/{name}.toml")), manifest).expect("written");
        }
        let config = format!(
            "state_dir = {:?}\nplugins_dir = {:?}\nlisten = \"127.0.0.1:0\"\nkill_switch_file = {:?}\n\
             [broker]\nurl = \"http://{address}\"\nclock_speed = {SPEED}.0\n",
            rig.path("state"),
            rig.path("plugins"),
            rig.path("kill"),
        );
        fs::write(rig.path("sandpit.toml"), config).expect("written");
        rig
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a host that logs into `log`, and waits until it has traded.
    fn trading(&self, log: &str) -> Running {
        let log = self.path(log);
        let host = Command::new(binary("sandpit"))
            .args(["run", "--config"])
            .arg(self.path("sandpit.toml"))
            .env("APCA_API_KEY_ID", "k")
            .env("APCA_API_SECRET_KEY", "s")
            .stderr(fs::File::create(&log).expect("a log file"))
            .spawn();
        let host = Running(host.expect("sandpit starts"));
        wait_for("fills in the dry run", Duration::from_secs(90), || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            (text.matches(" fill ").count() >= 8).then_some(())
        });
        host
    }

    /// Replays as an operator does, without the broker's keys.
    fn replay(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(binary("sandpit"))
            .args(["replay"])
            .args(args)
            .env_remove("APCA_API_KEY_ID")
            .env_remove("APCA_API_SECRET_KEY")
            .output()
            .expect("sandpit runs");
        println!("sandpit replay {args:?}: {:?}\n{}", output.status.code(), said(&output));
        (output.status.code(), said(&output))
    }

    fn segments(&self) -> Vec<PathBuf> {
        let root = self.path("state/dry-run/journal");
        let sessions = fs::read_dir(root).expect("a journal").flatten().map(|session| session.path());
        let files = sessions.filter_map(|session| fs::read_dir(session).ok()).flatten().flatten();
        let mut files: Vec<_> = files.map(|file| file.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "journal"));
        files.sort();
        files
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
fn a_session_replays_to_the_byte_and_another_component_shows_what_it_changes() {
    let rig = Rig::new();
    let config = rig.path("sandpit.toml");
    let latest = ["latest", "--config", text(&config)];
    let mut host = rig.trading("log");

    let (code, said) = rig.replay(&latest);
    assert_eq!(code, Some(0), "while the host runs: {said}");
    host.signal(Signal::SIGTERM);
    assert_eq!(host.ended(), Some(0));

    let (code, said) = rig.replay(&latest);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("identical: all ") && said.contains(" of rebalance, sma_cross in session "),
        "{said}"
    );
    assert!(said.ends_with("are the same to the byte\n"), "it was ended in good order: {said}");
    let state = rig.path("state");
    let (code, said) = rig.replay(&["latest", "--state-dir", text(&state), "--strategy", "sma_cross"]);
    assert!(code == Some(0) && said.contains(" of sma_cross in session "), "{said}");

    let (same, other) = (plugin("sma_cross"), plugin("rebalance"));
    let with = |file: &Path, strategy: &str| {
        let args = ["latest", "--config", text(&config), "--with", text(file), "--strategy", strategy];
        rig.replay(&args)
    };
    let (code, said) = with(&same, "sma_cross");
    assert!(code == Some(0) && said.contains(" decisions of sma_cross in session "), "{said}");
    let (code, said) = with(&other, "sma_cross");
    assert_eq!(code, Some(17), "{said}");
    // Whichever of the two wants something first.
    let is_shown = ["first changed decision: entry ", "\nrecorded  ", "\nnow       ", "Wants(", " changes "]
        .iter()
        .all(|part| said.contains(part));
    assert!(is_shown, "{said}");

    assert_eq!(rig.replay(&["latest", "--config", text(&config), "--strategy", "nobody"]).0, Some(2));
    assert_eq!(rig.replay(&["20250101", "--config", text(&config)]).0, Some(2));
    damaged(&rig, &latest);
}

/// A flipped bit in the middle is named.
fn damaged(rig: &Rig, latest: &[&str]) {
    let segment = rig.segments().pop().expect("a segment");
    let bytes = fs::read(&segment).expect("read");
    let at = bytes.len() / 2;
    let mut flipped = bytes.clone();
    flipped[at] ^= 16;
    fs::write(&segment, flipped).expect("written");
    let (code, said) = rig.replay(latest);
    assert_eq!(code, Some(14), "{said}");
    let (_, behind) = said.split_once("0000.journal is damaged at byte ").unwrap_or_else(|| panic!("{said}"));
    let offset: usize = behind.split(':').next().and_then(|number| number.parse().ok()).expect("an offset");
    assert!(offset <= at && at - offset < 1 << 20, "{at}: {said}");
    assert!(said.contains("; before that: identical: all "), "{said}");
    fs::write(&segment, bytes).expect("written");
    assert_eq!(rig.replay(latest).0, Some(0));
}

#[test]
fn the_session_of_a_killed_host_replays_as_far_as_it_was_written() {
    let rig = Rig::new();
    let mut host = rig.trading("log");
    host.signal(Signal::SIGKILL);
    assert_eq!(host.ended(), None);
    let config = rig.path("sandpit.toml");
    let (code, said) = rig.replay(&["latest", "--config", text(&config)]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("identical: all ") && said.contains(" the same to the byte; "), "{said}");
}
