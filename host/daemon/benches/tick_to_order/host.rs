//! The subject: a real host under a real watchdog, each an optimised binary in a process of its own, with
//! the usual configuration but for addresses and the speed of the market.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{broker::Broker, plugin, quotes::SYMBOL, world};

/// Real seconds of the market in one: 50 orders a second are then 50 a minute of the market, which the gates
/// and the request budget let pass. Both stay in force; the ceilings of the code are not touched.
pub(crate) const SPEED: f64 = 60.0;

/// A host that runs.
pub(crate) struct Host {
    folder: TempDir,
    watchdog: Child,
    address: String,
}

impl Host {
    /// Arms, then starts the watchdog, which starts the host.
    pub(crate) fn start(broker: &Broker) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["plugins", "host", "watchdog"] {
            fs::create_dir(at(name)).expect("a folder");
        }
        fs::write(at("plugins/quoter.wasm"), plugin::module()).expect("a plugin");
        fs::write(at("plugins/quoter.toml"), format!("instruments = [\"{SYMBOL}\"]\n")).expect("a manifest");
        let (address, url) = (world::free_address(), format!("http://{}", broker.address));
        let (socket, kill_flag) = (at("lease.sock"), at("kill"));
        let host = Path::new(env!("CARGO_BIN_EXE_sandpit"));
        let host_text = format!(
            "mode = \"paper\"\nstate_dir = {:?}\nplugins_dir = {:?}\nlisten = \"{address}\"\n\
             kill_switch_file = {kill_flag:?}\n\n[broker]\nurl = \"{url}\"\nclock_speed = {SPEED:?}\n\n\
             [watchdog]\nsocket = {socket:?}\n",
            at("host"),
            at("plugins"),
        );
        fs::write(at("host.toml"), host_text).expect("a configuration");
        let watchdog_text = format!(
            "state_dir = {:?}\nsocket = {socket:?}\nkill_switch_file = {kill_flag:?}\n\n[host]\n\
             mode = \"spawn\"\ncommand = [{host:?}, \"run\", \"--config\", {:?}]\n\n[broker]\n\
             trading_url = \"{url}\"\n",
            at("watchdog"),
            at("host.toml"),
        );
        fs::write(at("watchdog.toml"), watchdog_text).expect("a configuration");
        let log = File::create(at("log")).expect("a log");
        let mut arming = command(&at("watchdog.toml"), &["arm", "--reason", "a benchmark"], &log);
        assert!(arming.status().expect("sandpit-watchdog runs").success(), "it arms: {}", read(&at("log")));
        let watchdog = command(&at("watchdog.toml"), &["run"], &log).spawn().expect("sandpit-watchdog runs");
        Self { folder, watchdog, address }
    }

    /// The figures that the host shows.
    pub(crate) fn status(&self) -> Value {
        let mut socket = TcpStream::connect(&self.address).expect("the host listens");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a bound");
        let request = format!("GET /status HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        socket.write_all(request.as_bytes()).expect("the host reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("the host answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
        serde_json::from_str(body).expect("JSON")
    }

    /// What both processes logged.
    pub(crate) fn log(&self) -> String {
        read(&self.folder.path().join("log"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let status = self.status();
            eprintln!("{}\n{}\n{}", status["refusals"], status["orders"], status["data"]);
        }
        let pid = Pid::from_raw(i32::try_from(self.watchdog.id()).expect("a pid"));
        // It drains the host, which ends first.
        let _ = kill(pid, Signal::SIGTERM);
        let _ = self.watchdog.wait();
        if std::thread::panicking() {
            let log = self.log();
            let end: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("the end of the log:\n{}", end.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// The watchdog's binary lies beside the host's.
fn command(config: &Path, args: &[&str], log: &File) -> Command {
    let program: PathBuf = Path::new(env!("CARGO_BIN_EXE_sandpit")).with_file_name("sandpit-watchdog");
    let mut command = Command::new(&program);
    let stdio = || Stdio::from(log.try_clone().expect("a log"));
    command.args(args).arg("--config").arg(config).stdin(Stdio::null()).stdout(stdio()).stderr(stdio());
    command.env("APCA_API_KEY_ID", "bench").env("APCA_API_SECRET_KEY", "bench");
    for name in ["KILL_SWITCH_FILE", "DRY_RUN", "NAV_USD", "PANEL_TOKEN", "DATABASE_URL", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
