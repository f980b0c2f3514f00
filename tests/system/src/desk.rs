//! A host without a watchdog at a broker whose market is always open, and what an operator types there.

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
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{binary, get_json, monotonic_ms, plugin, wait_for};

/// A command answers or says why not within this time: it waits five seconds for a host, and starts.
const ANSWER_BOUND: Duration = Duration::from_secs(8);
const START_BOUND: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(20);

/// A child that does not outlive the test.
pub struct Running(pub Child);

impl Running {
    /// Its process.
    ///
    /// # Panics
    /// Never: a pid fits.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).expect("a pid"))
    }

    /// Signals it and waits for its end; the exit code, if it has one.
    ///
    /// # Panics
    /// When it does not end.
    pub fn ends(&mut self, signal: Signal) -> Option<i32> {
        kill(self.pid(), signal).expect("our own child");
        let (status, _) = wait_for("the end", SOON, || self.0.try_wait().expect("our own child"));
        status.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// The exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub text: String,
    /// Its standard error.
    pub error: String,
}

impl Said {
    /// What it said as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The answer of a command that went well.
    ///
    /// # Panics
    /// When it did not.
    pub fn good(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.json()
    }
}

/// What a command said that has ended.
pub fn said(output: &Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), text: text(&output.stdout), error: text(&output.stderr) }
}

/// `sandpit ARGS --config CONFIG`, as an operator without any keys types it.
pub fn command(config: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary("sandpit"));
    command.args(args).arg("--config").arg(config).env("SUDO_USER", "ann");
    for name in ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "DATABASE_URL", "PANEL_TOKEN", "RUNTIME_DIRECTORY"]
    {
        command.env_remove(name);
    }
    command
}

/// What `sandpit ARGS --config CONFIG` says.
///
/// # Panics
/// When it takes too long.
pub fn sandpit(config: &Path, args: &[&str]) -> Said {
    let began = monotonic_ms();
    let said = said(&command(config, args).output().expect("sandpit runs"));
    let took = Duration::from_millis(monotonic_ms() - began);
    assert!(took < ANSWER_BOUND, "{args:?} took {took:?}: {said:?}");
    said
}

/// A host in mode paper without a watchdog, at a broker whose market is always open. It may send no order,
/// and orders of others whose id begins with `hand-` are those of its strategy.
pub struct Desk {
    /// The host, while one runs.
    pub host: Option<Running>,
    _sim: Running,
    broker: String,
    folder: TempDir,
    listen: String,
}

impl Desk {
    /// Broker and host, which hears operators.
    ///
    /// # Panics
    /// When they do not come up.
    pub fn start() -> Self {
        let mut sim = Command::new(binary("sandpit-sim"))
            .args(["--listen", "127.0.0.1:0", "--symbols", "SPY,QQQ", "--always-open", "--realism", "exact"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sandpit-sim starts");
        let mut line = String::new();
        BufReader::new(sim.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
        let broker = line.trim().strip_prefix("listening ").expect("its address").to_owned();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listen = sandpit_ports::free_address().expect("a port");
        let mut desk = Self { host: None, _sim: Running(sim), broker, folder, listen };
        let path = |name: &str| desk.path(name);
        fs::create_dir(path("plugins")).expect("made");
        fs::copy(plugin("sma_cross"), path("plugins/sma_cross.wasm")).expect("copied");
        fs::write(path("plugins/sma_cross.toml"), "instruments = [\"SPY\", \"QQQ\"]\n").expect("written");
        let config = format!(
            "mode = \"paper\"\nstate_dir = {:?}\nplugins_dir = {:?}\nlisten = \"{}\"\n\
             kill_switch_file = {:?}\n[broker]\nurl = \"http://{}\"\n[watchdog]\nsocket = {:?}\n[orders]\n\
             claim = [{{ client_id_prefix = \"hand-\", strategy = \"sma_cross\" }}]\n",
            path("state"),
            path("plugins"),
            desk.listen,
            path("kill"),
            desk.broker,
            path("lease.sock"),
        );
        fs::write(path("sandpit.toml"), config).expect("written");
        desk.start_host();
        desk
    }

    /// Starts the host anew, and waits until it hears operators.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_host(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).expect("a log file");
        let host = command(&self.config(), &["run"])
            .env("APCA_API_KEY_ID", "k")
            .env("APCA_API_SECRET_KEY", "s")
            .stderr(log)
            .spawn();
        self.host = Some(Running(host.expect("sandpit starts")));
        let up = || (self.status()?["reconciled"] == true && self.socket().exists()).then_some(());
        wait_for("a host that hears operators", START_BOUND, up);
    }

    /// A path in the folder of both.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.path("sandpit.toml")
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.path("state/control.sock")
    }

    /// `/status`, if the host answers.
    pub fn status(&self) -> Option<Value> {
        get_json(&format!("http://{}/status", self.listen))
    }

    /// The log of all lives.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// `sandpit ARGS`; what it says as JSON.
    pub fn ask(&self, args: &[&str]) -> Said {
        sandpit(&self.config(), &[args, &["--json"]].concat())
    }

    /// Places an order past the host that rests, and waits until the host has it. Its id there.
    ///
    /// # Panics
    /// When either does not take it.
    pub fn rests(&self, name: &str, symbol: &str, limit: &str) -> String {
        let order = json!({"symbol": symbol, "qty": "2", "side": "buy", "type": "limit", "limit_price": limit,
            "time_in_force": "gtc", "client_order_id": format!("hand-{name}")});
        let known = self.orders().len();
        self.post("/v2/orders", &order);
        let (id, _) = wait_for("the order in the books", SOON, || {
            let orders = self.orders();
            let new =
                orders.iter().find(|order| order["limit_price"] == limit && order["symbol"] == symbol)?;
            (orders.len() > known).then(|| new["client_order_id"].as_str().expect("an id").to_owned())
        });
        id
    }

    /// The orders that the host shows as open.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn orders(&self) -> Vec<Value> {
        self.ask(&["orders"]).good()["orders"].as_array().expect("a list").clone()
    }

    /// How many orders are open at the broker.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn open_at_broker(&self) -> usize {
        self.broker("/v2/orders?status=open&limit=500").as_array().expect("a list").len()
    }

    /// Waits until none is open, here and there.
    ///
    /// # Panics
    /// When some stay.
    pub fn none_is_open(&self) {
        let none = || (self.orders().is_empty() && self.open_at_broker() == 0).then_some(());
        wait_for("no open order", SOON, none);
    }

    /// What the broker answers there.
    ///
    /// # Panics
    /// When it does not.
    pub fn broker(&self, path: &str) -> Value {
        get_json(&format!("http://{}{path}", self.broker)).expect("the broker answers")
    }

    /// Tells the broker something past the host.
    ///
    /// # Panics
    /// When it refuses it.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let request = agent.post(format!("http://{}{path}", self.broker));
        let request = request.header("APCA-API-KEY-ID", "k").header("APCA-API-SECRET-KEY", "s");
        let mut answer = request.send_json(body).expect("the broker answers");
        let text = answer.body_mut().read_to_string().expect("text");
        assert!(answer.status().is_success(), "{path} {body}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// The lines of the audit log as `actor action detail`, with the host stopped or not.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn audits(&self) -> Vec<String> {
        let url = format!("sqlite://{}?mode=ro", self.path("state/paper/sandpit.db").display());
        let read = async {
            use sqlx::{Connection, Row};
            let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("the database opens");
            let rows = sqlx::query("SELECT name, action, detail FROM audit ORDER BY sequence");
            let rows = rows.fetch_all(&mut connection).await.expect("the audit log reads");
            let text = |row: &sqlx::sqlite::SqliteRow, at: usize| row.get::<String, _>(at);
            rows.iter().map(|row| format!("{} {} {}", text(row, 0), text(row, 1), text(row, 2))).collect()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(read)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}
