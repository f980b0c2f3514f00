//! What an operator does with the records, with the real programs: the recovery drill, a damaged database,
//! and exports that other programs read.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandpit_system_tests::{Demo, binary, get_json, monotonic_ms, wait_for};
use serde_json::Value;

/// Runs `sandpit` as an operator does.
fn sandpit(args: &[&str]) -> Output {
    Command::new(binary("sandpit"))
        .args(args)
        .env("APCA_API_KEY_ID", "demo")
        .env("APCA_API_SECRET_KEY", "demo")
        .env_remove("DATABASE_URL")
        .output()
        .expect("sandpit runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn text(path: &Path) -> String {
    path.to_str().expect("a plain path").to_owned()
}

/// Symbol to shares, and client ids of open orders, of a list with those names.
fn rows(list: &Value, names: &[&str]) -> Vec<Vec<String>> {
    let row = |row: &Value| names.iter().map(|name| row[*name].as_str().unwrap_or("?").to_owned()).collect();
    let mut rows: Vec<Vec<String>> = list.as_array().into_iter().flatten().map(row).collect();
    rows.sort();
    rows
}

#[test]
fn a_backup_restored_elsewhere_has_the_brokers_books_and_trades_on() {
    drill(&Demo::trading("195"), None);
}

#[test]
fn a_backup_of_a_server_restored_into_another_database_trades_on() {
    let server = sandpit_postgres::Server::with(sandpit_postgres::Options { fsync: false });
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    let demo = Demo::trading_with(&["--speed", "195", "--database-url", &server.url()]);
    let new = server.create_database("elsewhere").unwrap_or_else(|error| panic!("{error}"));
    drill(&demo, Some(&new));
    // The old one was only read.
    let written = server.query("SELECT COUNT(*) FROM host_starts").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(written.trim(), "1", "the new host writes into the new database");
}

/// The drill of docs/recovery.md; `new` is the database of a host on PostgreSQL.
fn drill(demo: &Demo, new: Option<&str>) {
    let (config, backups) = (text(&demo.path("host.toml")), text(&demo.path("backups")));
    let output = sandpit(&["db", "backup", "--config", &config, "--to", &backups, "--keep", "3"]);
    assert!(output.status.success(), "{}", said(&output));
    println!("{}", said(&output).trim());
    // It trades on: these orders are in no backup.
    let filled = demo.sim_status()["fills"].as_u64();
    let more = || (demo.sim_status()["fills"].as_u64() > filled.map(|filled| filled + 3)).then_some(());
    wait_for("fills after the backup", Duration::from_secs(60), more);

    let (elsewhere, listen) = (demo.path("elsewhere"), sandpit_ports::free_address().expect("a port"));
    let start = monotonic_ms();
    let drill = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/recovery-drill.sh"))
        .args(new.iter().flat_map(|url| ["--database-url", url]))
        .args([&config, &backups, &text(&elsewhere), &listen])
        .env("SANDPIT", binary("sandpit"))
        .env("APCA_API_KEY_ID", "demo")
        .env("APCA_API_SECRET_KEY", "demo")
        .env_remove("DATABASE_URL")
        .output()
        .expect("the drill runs");
    assert!(drill.status.success(), "{}", said(&drill));
    println!("{}", said(&drill).trim());
    let restored = monotonic_ms();

    // The machine dies; the watchdog of the demo starts what its configuration now names.
    let (pid, _) = demo.host_pid(None, Duration::from_secs(5));
    fs::copy(elsewhere.join("host.toml"), demo.path("host.toml")).expect("copied");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the host is ours");
    let status = || get_json(&format!("http://{listen}/status"));
    let back = || status().filter(|status| status["reconciled"] == true);
    wait_for("the restored host", Duration::from_secs(20), back);
    let ready = monotonic_ms();
    println!("restore_and_check {} ms, kill_to_reconciled {} ms", restored - start, ready - restored);
    assert!(ready - start < 120_000, "minutes");

    let mut last = String::new();
    let agree = || {
        let status = status()?;
        let (held, open) = (demo.broker("/v2/positions"), demo.broker("/v2/orders?status=open&limit=500"));
        let pair = ["symbol", "qty"];
        let (held, own) = (rows(&held, &pair), rows(&status["positions"], &pair));
        let (open, known) =
            (rows(&open, &["client_order_id"]), rows(&status["open_orders"], &["client_order_id"]));
        last = format!("broker {held:?} {open:?}\nhost {own:?} {known:?}");
        (held == own && open == known).then_some(())
    };
    wait_for_books(agree, &mut || demo.log());
    let before = demo.sim_status()["fills"].as_u64();
    let trades = || (demo.sim_status()["fills"].as_u64() > before).then_some(());
    wait_for("trading after the restore", Duration::from_secs(60), trades);
    let check = sandpit(&["db", "check", "--config", &text(&demo.path("host.toml"))]);
    assert!(check.status.success(), "{}", said(&check));
}

fn wait_for_books(agree: impl FnMut() -> Option<()>, log: &mut dyn FnMut() -> String) {
    let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("books that agree", Duration::from_secs(30), agree)
    }));
    assert!(waited.is_ok(), "the books differ:\n{}", log());
}

/// A folder with the records of a host, and a configuration that names them.
struct Kept {
    folder: tempfile::TempDir,
}

impl Kept {
    /// Takes a backup from a demo and ends that.
    fn from_a_demo() -> Self {
        let demo = Demo::trading("195");
        let kept = Self { folder: tempfile::tempdir().expect("a folder") };
        let backups = text(&kept.path("backups"));
        let output = sandpit(&["db", "backup", "--config", &text(&demo.path("host.toml")), "--to", &backups]);
        assert!(output.status.success(), "{}", said(&output));
        let text = format!(
            "mode = \"paper\"\nstate_dir = {:?}\nplugins_dir = {:?}\nlisten = \"127.0.0.1:0\"\n\
             kill_switch_file = {:?}\n\n[broker]\nurl = \"http://127.0.0.1:1\"\n",
            kept.path("state"),
            kept.path("plugins"),
            kept.path("kill"),
        );
        fs::write(kept.path("host.toml"), text).expect("written");
        let restored = kept.sandpit(&["db", "restore"], &["--from", &backups]);
        assert!(restored.status.success(), "{}", said(&restored));
        kept
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sandpit(&self, command: &[&str], args: &[&str]) -> Output {
        let config = text(&self.path("host.toml"));
        sandpit(&[command, &["--config", &config], args].concat())
    }
}

#[test]
fn a_damaged_database_is_found_and_exports_are_read_by_pandas_and_polars() {
    let kept = Kept::from_a_demo();
    exports_read_back(&kept);
    let again = kept.sandpit(&["db", "restore"], &["--from", &text(&kept.path("backups"))]);
    assert_eq!(again.status.code(), Some(12), "{}", said(&again));
    assert!(said(&again).contains("there is a database"), "{}", said(&again));

    let path = kept.path("state/paper/sandpit.db");
    let mut bytes = fs::read(&path).expect("there");
    let middle = bytes.len() / 2;
    let end = (middle + 16_384).min(bytes.len());
    bytes[middle..end].fill(0x5a);
    fs::write(&path, bytes).expect("written");
    let check = kept.sandpit(&["db", "check"], &[]);
    assert_eq!(check.status.code(), Some(14), "{}", said(&check));
    let what = said(&check);
    assert!(what.contains("damaged") && what.contains("restore"), "{what}");
    fs::remove_file(&path).expect("removed");
    let back = kept.sandpit(&["db", "restore"], &["--from", &text(&kept.path("backups"))]);
    assert!(back.status.success(), "{}", said(&back));
    let check = kept.sandpit(&["db", "check"], &[]);
    assert!(check.status.success(), "{}", said(&check));
}

/// Sums that pandas and polars make of the exports, exactly.
const READ: &str = r#"
import sys, decimal, json
import pandas, polars
folder = sys.argv[1]
def both(name, column):
    p = pandas.read_parquet(f"{folder}/{name}.parquet")
    q = polars.read_parquet(f"{folder}/{name}.parquet")
    assert q[column].dtype == polars.Decimal(38, 9), q[column].dtype
    assert len(p) == len(q), (len(p), len(q))
    c = polars.read_csv(f"{folder}/{name}.csv", infer_schema=False)
    a = sum(p[column], decimal.Decimal(0))
    b = sum(q[column].to_list(), decimal.Decimal(0))
    d = sum(map(decimal.Decimal, c[column].to_list()), decimal.Decimal(0))
    assert a == b == d, (a, b, d)
    arrow = pandas.read_parquet(f"{folder}/{name}.parquet", dtype_backend="pyarrow")
    assert arrow[column].sum() == a, (arrow[column].sum(), a)
    return [len(p), str(a.normalize())]
times = polars.read_parquet(f"{folder}/fills.parquet")["time"]
assert times.dtype == polars.Datetime("ns", "UTC"), times.dtype
assert str(pandas.read_parquet(f"{folder}/fills.parquet")["time"].dtype) == "datetime64[ns, UTC]"
print(json.dumps({"orders": both("orders", "filled_notional"), "fills": both("fills", "qty"),
    "equity": both("equity", "equity"), "newest": int(times.cast(polars.Int64).max()),
    "signals": len(polars.read_parquet(f"{folder}/signals.parquet"))}))
"#;

fn exports_read_back(kept: &Kept) {
    for subject in ["orders", "fills", "equity", "signals"] {
        for format in ["csv", "parquet"] {
            let out = text(&kept.path(&format!("{subject}.{format}")));
            let output = kept.sandpit(&["export", subject], &["--format", format, "--out", &out]);
            assert!(output.status.success(), "{}", said(&output));
        }
    }
    let target = binary("xtask").ancestors().nth(2).map(Path::to_owned).expect("target/PROFILE/xtask");
    let output = Command::new(target.join("sdk/python/bin/python"))
        .args(["-E", "-s", "-c", READ])
        .arg(kept.folder.path())
        .output()
        .expect("python runs; run cargo xtask test");
    assert!(output.status.success(), "{}", said(&output));
    let read: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let database = kept.path("state/paper/sandpit.db");
    let one = |ask: &str| ask_database(&database, ask);
    println!("{read}");
    assert_eq!(read["fills"][0].to_string(), one("SELECT CAST(COUNT(*) AS TEXT) FROM fills"));
    assert_eq!(read["orders"][0].to_string(), one("SELECT CAST(COUNT(*) AS TEXT) FROM orders"));
    assert_eq!(read["newest"].to_string(), one("SELECT CAST(MAX(time) AS TEXT) FROM fills"));
    // In units of 10^-9, which SQLite adds without a float.
    let sum = one("SELECT CAST(SUM(CAST(ROUND(qty * 1000000000) AS INTEGER)) AS TEXT) FROM fills");
    let shown: f64 = read["fills"][1].as_str().expect("text").parse().expect("a number");
    assert_eq!(format!("{:.0}", shown * 1e9), sum);
}

fn ask_database(path: &Path, ask: &str) -> String {
    use sqlx::{AssertSqlSafe, ConnectOptions, Row, sqlite::SqliteConnectOptions};
    let read = async {
        let mut connection =
            SqliteConnectOptions::new().filename(path).read_only(true).connect().await.expect("opens");
        let row = sqlx::query(AssertSqlSafe(ask.to_owned())).fetch_one(&mut connection).await.expect("a row");
        row.get::<String, _>(0)
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(read)
}
