//! The package on the machine: built, installed, given keys, a broker and a strategy.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use sandpit_system_tests::{binary, test_plugin, wait_for};
use serde_json::{Value, json};

use crate::Lab;

/// The host's unit.
pub const HOST: &str = "sandpit-host.service";
/// The watchdog's.
pub const WATCHDOG: &str = "sandpit-watchdog.service";
/// What every secret key and token of a stage begins with.
pub const SECRET: &str = "hush-hush-";

/// A host is started, reconciled and leased within this time; a strategy trades.
const START_BOUND: Duration = Duration::from_secs(40);
/// Market seconds in a real second.
pub const SPEED: u32 = 60;
const BROKER: &str = "http://127.0.0.1:8090";
const SYMBOLS: &str = "SPY,QQQ";
/// In mid-session.
const AFTER_OPEN: &str = "2026-03-16T13:31:00Z";
/// Sizes of a bid that make the strategy work and rest, see `tests/crash/churn`.
const WORK: u64 = 900_001;
const REST: u64 = 900_002;
/// How an operator's commands find the configuration.
const CONFIG: &str = "--config /etc/sandpit/watchdog.toml";

/// The machine with the package on it.
pub struct Stage {
    /// The machine.
    pub lab: Lab,
}

impl Stage {
    /// Boots a machine and installs the package, keys, configuration, a strategy that rests, and a running
    /// broker. Nothing of the package runs yet. `None` where no machine can be had.
    ///
    /// # Errors
    /// When any of it fails.
    pub fn set() -> anyhow::Result<Option<Self>> {
        let Some(lab) = Lab::boot()? else { return Ok(None) };
        let stage = Self { lab };
        let package = stage.package("1.0.0")?;
        stage.install(&package)?;
        for name in
            ["host-key-id", "host-secret-key", "watchdog-key-id", "watchdog-secret-key", "panic-token"]
        {
            let file = format!("/etc/sandpit/credentials/{name}");
            stage.lab.must(&format!("umask 077; echo {SECRET}{name} >{file}"))?;
        }
        fs::copy(test_plugin("churn"), stage.lab.share().join("churn.wasm"))?;
        stage.lab.must(&format!(
            "sed -i 's/^name = \"sim\".*/&\\nclock_speed = {SPEED}.0/' /etc/sandpit/sandpit.toml
             sed -i 's/^\\[broker\\].*/&\\nrequests_per_minute = 180/' /etc/sandpit/watchdog.toml
             cp /lab/churn.wasm /etc/sandpit/plugins/
             echo 'instruments = [\"SPY\", \"QQQ\"]' >/etc/sandpit/plugins/churn.toml
             printf '[parameters]\\nsimple = true\\n' >>/etc/sandpit/plugins/churn.toml"
        ))?;
        stage.start_broker()?;
        Ok(Some(stage))
    }

    /// Builds the package under this version, of the programs that the tests use or of those in the folder
    /// `SANDPIT_LAB_BINARIES` (`target/release`: what users install); its path inside.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn package(&self, version: &str) -> anyhow::Result<String> {
        let mut command = Command::new(binary("xtask"));
        let built = binary("sandpit").parent().map(Path::to_owned).unwrap_or_default();
        let binaries = std::env::var_os("SANDPIT_LAB_BINARIES").map_or(built, PathBuf::from);
        command.args(["deb", "--quick", "--version", version, "--binaries"]).arg(binaries);
        let output = command.arg("--out").arg(self.lab.share()).output()?;
        ensure!(output.status.success(), "xtask deb: {}", String::from_utf8_lossy(&output.stderr));
        let file = String::from_utf8(output.stdout)?;
        let name = Path::new(file.trim()).file_name().context("a file")?.to_string_lossy().into_owned();
        Ok(format!("/lab/{name}"))
    }

    /// Installs a package as a user would.
    ///
    /// # Errors
    /// When apt refuses it.
    pub fn install(&self, package: &str) -> anyhow::Result<String> {
        let options = "-y --no-install-recommends --allow-downgrades -o Dpkg::Use-Pty=0";
        self.lab.must(&format!("DEBIAN_FRONTEND=noninteractive apt-get install {options} {package}"))
    }

    /// Starts the broker, now and at every boot. It remembers nothing of a boot before.
    fn start_broker(&self) -> anyhow::Result<()> {
        let post = |what: &str| format!("curl -sSf -d '{what}' {BROKER}/sim/clock");
        let ready = format!(
            "until curl -sSf {BROKER}/sim/status; do sleep 0.05; done\n{}\n{}\n",
            post(&json!({"advance_to": AFTER_OPEN}).to_string()),
            post(&json!({"resume": true}).to_string()),
        );
        fs::write(self.lab.share().join("broker-ready"), ready)?;
        let unit = format!(
            "[Unit]\nBefore={WATCHDOG} {HOST}\n[Service]\nDynamicUser=yes\n\
             ExecStart=sandpit-sim --paused --sessions 2 --rpm 10000000 --speed {SPEED} --cash 10000000 \
             --symbols {SYMBOLS}\nExecStartPost=bash /lab/broker-ready\n[Install]\n\
             WantedBy=multi-user.target\n"
        );
        fs::write(self.lab.share().join("broker.service"), unit)?;
        self.lab.must("cp /lab/broker.service /etc/systemd/system/; systemctl enable --now broker").map(drop)
    }

    /// Arms, enables and starts both services, and waits for the lease.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start(&self) -> anyhow::Result<()> {
        self.arm()?;
        self.lab.must(&format!("systemctl enable --now {WATCHDOG} {HOST}"))?;
        self.await_state("leased");
        Ok(())
    }

    /// An operator arms.
    ///
    /// # Errors
    /// When it is refused.
    pub fn arm(&self) -> anyhow::Result<()> {
        let keys = "/etc/sandpit/credentials/watchdog";
        self.lab.must(&format!(
            "export APCA_API_KEY_ID_FILE={keys}-key-id APCA_API_SECRET_KEY_FILE={keys}-secret-key
             sandpit-watchdog arm --reason tests {CONFIG}"
        ))?;
        Ok(())
    }

    /// What the watchdog says of itself.
    pub fn status(&self) -> Option<Value> {
        let said = self.lab.run(&format!("sandpit-watchdog status --json {CONFIG}")).ok()?;
        serde_json::from_str(&said.text).ok()
    }

    /// Waits until the watchdog is in this state.
    ///
    /// # Panics
    /// When it never is; with what both services said last.
    pub fn await_state(&self, state: &str) {
        self.eventually(&format!("a watchdog that says {state}"), || {
            (self.status()?["state"] == state).then_some(())
        });
    }

    /// Waits for something; how long it took.
    ///
    /// # Panics
    /// When it never comes; with what both services said last.
    pub fn eventually<T>(&self, what: &str, look: impl FnMut() -> Option<T>) -> (T, Duration) {
        let last_words = LastWords(self);
        let found = wait_for(what, START_BOUND, look);
        std::mem::forget(last_words);
        found
    }

    /// A property of a unit.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub fn property(&self, unit: &str, name: &str) -> anyhow::Result<String> {
        self.lab.must(&format!("systemctl show -P {name} {unit}"))
    }

    /// The main process of a unit, by its number inside; 0 when it has none.
    pub fn process(&self, unit: &str) -> u32 {
        self.property(unit, "MainPID").ok().and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// Waits until a unit has another main process than `old`, and is started; the time it took.
    pub fn replaced(&self, unit: &str, old: u32) -> Duration {
        let what = format!("{unit} with another process than {old}");
        let found = self.eventually(&what, || {
            let is_new = ![0, old].contains(&self.process(unit));
            (is_new && self.property(unit, "ActiveState").ok()? == "active").then_some(())
        });
        found.1
    }

    /// What `journalctl` prints with these arguments; everything that was said before is in it.
    ///
    /// # Errors
    /// When it fails.
    pub fn journal(&self, arguments: &str) -> anyhow::Result<String> {
        self.lab.must(&format!("journalctl --sync; journalctl -q {arguments}"))
    }

    /// Asks the broker.
    ///
    /// # Errors
    /// When it does not answer with success.
    pub fn ask(&self, path: &str) -> anyhow::Result<Value> {
        let headers = "-H 'APCA-API-KEY-ID: eye' -H 'APCA-API-SECRET-KEY: s'";
        let text = self.lab.must(&format!("curl -sSf {headers} '{BROKER}{path}'"))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// One of the broker's controls.
    ///
    /// # Errors
    /// When it is refused.
    pub fn tell(&self, control: &str, what: &Value) -> anyhow::Result<()> {
        self.lab.must(&format!("curl -sSf -d '{what}' {BROKER}/sim/{control}")).map(drop)
    }

    /// Adds lines to a unit, as `systemctl edit` does.
    ///
    /// # Errors
    /// When systemd does not take them.
    pub fn edit(&self, unit: &str, lines: &str) -> anyhow::Result<()> {
        let folder = format!("/etc/systemd/system/{unit}.d");
        self.lab.must(&format!(
            "mkdir -p {folder}; printf '{lines}' >{folder}/test.conf; systemctl daemon-reload"
        ))?;
        Ok(())
    }

    /// What the host says of itself.
    pub fn host(&self) -> Option<Value> {
        let said = self.lab.run("curl -sSf http://127.0.0.1:8080/status").ok()?;
        serde_json::from_str(&said.text).ok()
    }

    /// Makes the strategy work, or rest.
    ///
    /// # Errors
    /// When the broker cannot be told.
    pub fn work(&self, works: bool) -> anyhow::Result<()> {
        let size = if works { WORK } else { REST };
        SYMBOLS.split(',').try_for_each(|symbol| self.tell_quote(symbol, size))
    }

    /// Makes the strategy work, until it has sent so many orders more.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub fn trade(&self, count: usize) -> anyhow::Result<()> {
        let before = self.orders()?.len();
        self.eventually("orders", || {
            self.work(true).ok()?;
            (self.orders().ok()?.len() >= before + count).then_some(())
        });
        Ok(())
    }

    /// The newest 500 orders that there ever were, newest first.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub fn orders(&self) -> anyhow::Result<Vec<Value>> {
        let orders = self.ask("/v2/orders?status=all&limit=500&direction=desc")?;
        orders.as_array().cloned().context("a list of orders")
    }

    fn tell_quote(&self, symbol: &str, size: u64) -> anyhow::Result<()> {
        let quote = self.ask(&format!("/v2/stocks/{symbol}/quotes/latest"))?["quote"].clone();
        let told = json!({"symbol": symbol, "bid": quote["bp"], "bid_size": size, "ask": quote["ap"]});
        self.tell("inject", &json!({ "quote": told }))
    }
}

/// A stamp of the broker's, nanoseconds since 1970.
///
/// # Errors
/// When it is none.
pub fn nanos(stamp: &str) -> anyhow::Result<i128> {
    Ok(stamp.parse::<jiff::Timestamp>()?.as_nanosecond())
}

/// What both services said last, for a failure.
struct LastWords<'a>(&'a Stage);

impl Drop for LastWords<'_> {
    fn drop(&mut self) {
        let units = format!("-n 60 -u {HOST} -u {WATCHDOG}");
        eprintln!("{}", self.0.journal(&units).unwrap_or_default());
        let said = self.0.lab.run(&format!("systemctl status --no-pager {HOST} {WATCHDOG}"));
        eprintln!("{}", said.map(|said| said.text).unwrap_or_default());
    }
}
