//! What the panel shows: a broker whose market is always open, a watchdog that is armed, and a host.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use sandpit_system_tests::{Running, binary, get_json, plugin, test_plugin, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The panel's token.
pub const TOKEN: &str = "a-token-of-the-panel-tests";
const START_BOUND: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(30);

/// What a rig has beside a strategy that trades SPY and QQQ.
#[derive(Clone, Copy, Default)]
pub struct Beside<'a> {
    /// Names of further files in its plugins folder, which hold no plugin.
    pub files: &'a [&'a str],
    /// The strategy of harm, as this name and with this configuration.
    pub hostile: Option<(&'a str, &'a str)>,
    /// Whether the panel is read-only.
    pub is_read_only: bool,
}

/// All that runs.
pub struct Rig {
    host: Option<Running>,
    watchdog: Option<Running>,
    _sim: Running,
    broker: String,
    listen: String,
    folder: TempDir,
}

impl Rig {
    /// Broker, armed watchdog and a host that may trade.
    ///
    /// # Panics
    /// When they do not come up.
    pub fn start(beside: Beside<'_>) -> Self {
        let mut sim = Command::new(binary("sandpit-sim"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--symbols",
                "SPY,QQQ,IWM",
                "--always-open",
                "--realism",
                "exact",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sandpit-sim starts");
        let mut line = String::new();
        BufReader::new(sim.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
        let broker = line.trim().strip_prefix("listening ").expect("its address").to_owned();
        let listen = sandpit_ports::free_address().expect("a port");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut rig = Self { host: None, watchdog: None, _sim: Running(sim), broker, listen, folder };
        rig.write_files(beside);
        rig.watchdog = Some(rig.spawn("sandpit-watchdog", "watchdog.toml"));
        let answers = || (rig.watchdog_state() != Value::Null).then_some(());
        wait_for("a watchdog", START_BOUND, answers);
        let arm = rig.watchdog_command(&["arm", "--reason", "tests"]);
        assert!(arm.status.success(), "{arm:?}");
        rig.start_host();
        let leased = || (rig.status()["lease_ms_left"].as_u64() > Some(0)).then_some(());
        wait_for("the right to trade", START_BOUND, leased);
        rig
    }

    fn write_files(&self, beside: Beside<'_>) {
        let path = |name: &str| self.path(name);
        fs::create_dir(path("plugins")).expect("made");
        fs::copy(plugin("sma_cross"), path("plugins/sma_cross.wasm")).expect("copied");
        fs::write(path("plugins/sma_cross.toml"), "instruments = [\"SPY\", \"QQQ\"]\n").expect("written");
        for name in beside.files {
            fs::write(path("plugins").join(name), "no plugin").expect("written");
        }
        if let Some((name, text)) = beside.hostile {
            let file = path("plugins").join(name);
            fs::copy(test_plugin("hostile"), file.with_extension("wasm")).expect("copied");
            fs::write(file.with_extension("toml"), text).expect("written");
        }
        let (kill, lease, broker) = (path("kill"), path("lease.sock"), &self.broker);
        let host = format!(
            "mode = \"paper\"\nstate_dir = {:?}\nplugins_dir = {:?}\nlisten = \"{}\"\n\
             kill_switch_file = {kill:?}\n[broker]\nurl = \"http://{broker}\"\n\
             [watchdog]\nsocket = {lease:?}\n[panel]\nread_only = {}\n\
             [orders]\nclaim = [{{ client_id_prefix = \"hand-\", strategy = \"sma_cross\" }}]\n",
            path("state"),
            path("plugins"),
            self.listen,
            beside.is_read_only,
        );
        fs::write(path("sandpit.toml"), host).expect("written");
        let watchdog = format!(
            "state_dir = {:?}\nsocket = {lease:?}\nkill_switch_file = {kill:?}\n[host]\nmode = \"attach\"\n\
             [broker]\ntrading_url = \"http://{broker}\"\nrequests_per_minute = 180\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n\
             [kill]\nscope = \"account\"\npolicy = \"cancel\"\nconfirm_ms = 1000\n",
            path("watchdog"),
        );
        fs::create_dir_all(path("watchdog")).expect("made");
        fs::write(path("watchdog.toml"), watchdog).expect("written");
    }

    fn spawn(&self, program: &str, config: &str) -> Running {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).expect("a log file");
        let out = log.try_clone().expect("a second handle");
        let mut command = self.command(program);
        command.args(["run", "--config"]).arg(self.path(config)).stdout(out).stderr(log);
        Running(command.spawn().expect("it starts"))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(binary(program));
        command.env("APCA_API_KEY_ID", "k").env("APCA_API_SECRET_KEY", "s").env("PANEL_TOKEN", TOKEN);
        for name in ["DATABASE_URL", "RUNTIME_DIRECTORY", "PANIC_TOKEN", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        command
    }

    fn watchdog_command(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = self.command("sandpit-watchdog");
        command.args(arguments).arg("--config").arg(self.path("watchdog.toml"));
        command.output().expect("sandpit-watchdog runs")
    }

    fn start_host(&mut self) {
        self.host = Some(self.spawn("sandpit", "sandpit.toml"));
        wait_for("a host that trades", START_BOUND, || (self.status()["reconciled"] == true).then_some(()));
    }

    /// Waits until the host has ended.
    ///
    /// # Panics
    /// When it does not, or there is none.
    pub fn host_ends(&mut self) {
        let mut host = self.host.take().expect("a host");
        wait_for("the host's end", SOON, || host.0.try_wait().expect("our own child"));
    }

    /// Ends the watchdog, which does not come back.
    pub fn without_watchdog(&mut self) {
        self.watchdog = None;
    }

    /// A path in the rig's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the panel is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.listen)
    }

    /// The host's `/status`; null while it does not answer.
    pub fn status(&self) -> Value {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let request = agent.get(format!("http://{}/status", self.listen));
        let answer = request.header("Authorization", format!("Bearer {TOKEN}")).call();
        answer.ok().and_then(|mut answer| answer.body_mut().read_json().ok()).unwrap_or_default()
    }

    /// The watchdog's status; null while it does not answer.
    pub fn watchdog_state(&self) -> Value {
        serde_json::from_slice(&self.watchdog_command(&["status", "--json"]).stdout).unwrap_or_default()
    }

    /// How many orders are open at the broker.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn open_at_broker(&self) -> usize {
        let url = format!("http://{}/v2/orders?status=open&limit=500", self.broker);
        get_json(&url).expect("the broker answers").as_array().expect("a list").len()
    }

    /// Places an order past the host that rests and becomes the strategy's.
    ///
    /// # Panics
    /// When the broker does not take it.
    pub fn rests(&self, name: &str, symbol: &str, limit: &str) {
        let order = json!({"symbol": symbol, "qty": "2", "side": "buy", "type": "limit", "limit_price": limit,
            "time_in_force": "gtc", "client_order_id": format!("hand-{name}")});
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let request = agent.post(format!("http://{}/v2/orders", self.broker));
        let request = request.header("APCA-API-KEY-ID", "k").header("APCA-API-SECRET-KEY", "s");
        request.send_json(&order).expect("the broker takes it");
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}
