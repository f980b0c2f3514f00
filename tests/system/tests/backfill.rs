//! `sandpit backfill`, the real program, against the real `sandpit-sim`: faults, signals, `kill -9`, and
//! every file read back.
//!
//! Waits of minutes are real in the program, too; `--clock-speed` makes its market minutes short.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::RowAccessor,
};
use sandpit_system_tests::{binary, get_json, wait_for};
use tempfile::TempDir;

const BOUND: Duration = Duration::from_secs(120);
/// Trading days of the data; the last one is not over when the sim has played it.
const DAYS: [&str; 5] = ["2013-10-03", "2013-10-04", "2013-10-07", "2013-10-08", "2013-10-09"];
/// Bars a symbol and day.
const BARS: usize = 4;
const INCOMPLETE: i32 = 16;

/// A market of so many symbols, and a sim that has played it to its end.
struct Market {
    child: Child,
    url: String,
    folder: TempDir,
    symbols: Vec<String>,
    _stdout: BufReader<ChildStdout>,
}

fn start_at(day: usize, minute: usize) -> String {
    format!("{}T13:{:02}:00Z", DAYS[day], 30 + minute)
}

fn close(symbol: usize, day: usize, minute: usize) -> f64 {
    10.0 + symbol as f64 + day as f64 / 10.0 + minute as f64 / 100.0
}

impl Market {
    fn play(symbols: usize, faults: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let symbols: Vec<String> = (0..symbols).map(|at| format!("S{at:03}.A")).collect();
        let mut text = "timestamp,symbol,open,high,low,close,volume\n".to_owned();
        for day in 0..DAYS.len() {
            for minute in 0..BARS {
                for (at, symbol) in symbols.iter().enumerate() {
                    let price = close(at, day, minute);
                    let time = start_at(day, minute);
                    text += &format!("{time},{symbol},{price},{price},{price},{price},{}\n", 100 + minute);
                }
            }
        }
        let (data, rules) = (folder.path().join("bars.csv"), folder.path().join("faults.toml"));
        fs::write(&data, text).expect("written");
        fs::write(&rules, faults).expect("written");
        let mut child = Command::new(binary("sandpit-sim"))
            .args(["--listen", "127.0.0.1:0", "--sessions", "all", "--speed", "100000", "--data"])
            .arg(&data)
            .arg("--faults")
            .arg(&rules)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sandpit-sim starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let address = line.trim_end().strip_prefix("listening ").expect("the first line");
        let url = format!("http://{address}");
        let market = Self { child, url, folder, symbols, _stdout: stdout };
        wait_for("the end of the data", BOUND, || {
            get_json(&format!("{}/sim/status", market.url)).filter(|status| status["ended"] == true)
        });
        market
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn backfill(&self, kind: &str, out: &str, flags: &[&str]) -> Command {
        let mut command = Command::new(binary("sandpit"));
        command
            .args(["backfill", kind, "--from", DAYS[0], "--to", DAYS[3], "--clock-speed", "1000"])
            .args(["--symbols", &self.symbols.join(","), "--url", &self.url, "--out"])
            .arg(self.out(out))
            .args(flags)
            .env("APCA_API_KEY_ID", "KEYISSECRET")
            .env("APCA_API_SECRET_KEY", "hunter2")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Every file of a finished bars folder has exactly its own rows.
    fn verify(&self, out: &str) {
        for (at, symbol) in self.symbols.iter().enumerate() {
            for (day, date) in DAYS[..4].iter().enumerate() {
                let path = self.out(out).join("bars").join(symbol).join(format!("{date}.parquet"));
                let rows = read(&path);
                assert_eq!(rows.num_rows(), BARS, "{}", path.display());
                for (minute, row) in rows.rows.iter().enumerate() {
                    assert_eq!(row.0, *symbol);
                    assert_eq!(row.1, nanos(day, minute), "{}", path.display());
                    assert!((row.2 - close(at, day, minute)).abs() < 1e-9, "{row:?}");
                    assert_eq!(row.3, 100 + minute as i64);
                }
            }
        }
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nanoseconds since 1970 of a minute of the data.
fn nanos(day: usize, minute: usize) -> i64 {
    // 2013-10-03T13:30:00Z
    const FIRST: i64 = 1_380_807_000;
    let days = [0, 1, 4, 5, 6][day];
    (FIRST + days * 86_400 + 60 * minute as i64) * 1_000_000_000
}

#[derive(Debug)]
struct Bars {
    rows: Vec<(String, i64, f64, i64)>,
}

impl Bars {
    fn num_rows(&self) -> usize {
        self.rows.len()
    }
}

fn read(path: &Path) -> Bars {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader = SerializedFileReader::new(file).expect("a whole Parquet file");
    let rows = reader.get_row_iter(None).expect("rows").map(|row| {
        let row = row.expect("a row");
        let text = row.get_string(0).expect("symbol").clone();
        let time = row.get_long(1).expect("time");
        (text, time, row.get_double(5).expect("close"), row.get_long(6).expect("volume"))
    });
    Bars { rows: rows.collect() }
}

/// Every Parquet file below a folder, by its path.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                let name = path.strip_prefix(root).expect("below").to_owned();
                found.insert(name, fs::read(&path).expect("readable"));
            }
        }
    }
    found
}

fn text(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).join("\n--\n");
    assert!(!text.contains("KEYISSECRET") && !text.contains("hunter2"), "a key was shown: {text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

fn ends(mut command: Command, code: i32) -> String {
    let output = command.output().expect("sandpit runs");
    let text = text(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// The number before `word` in the report.
fn count(report: &str, word: &str) -> usize {
    let before = report.split(word).next().unwrap_or_default();
    before.trim_end().rsplit(' ').next().and_then(|number| number.parse().ok()).expect(report)
}

#[test]
fn killed_again_and_again_it_makes_the_same_files() {
    let slow = "[[fault]]\nkind = \"latency\"\npath = \"/v2/stocks/bars\"\ndelay_ms = 50\n";
    let market = Market::play(200, slow, &[]);
    let report = ends(market.backfill("bars", "whole", &[]), 0);
    assert!(report.contains("800 of 800 days written, 0 skipped, 0 there before; 3200 rows"), "{report}");
    let requests = count(&report, "requests");
    market.verify("whole");

    let out = market.out("killed");
    let checkpoint = out.join(".sandpit-backfill-bars.json");
    let kept = || fs::read_to_string(&checkpoint).map_or(0, |text| text.matches("2013-10-03").count());
    // Once before anything was kept, once after.
    for least in [0, 90] {
        let mut child = market.backfill("bars", "killed", &[]).spawn().expect("starts");
        wait_for("something to kill", BOUND, || {
            assert!(child.try_wait().expect("our child").is_none(), "it ended before it was killed");
            (kept() >= least && !files(&out).is_empty()).then_some(())
        });
        child.kill().expect("killed");
        child.wait().expect("our child");
        for path in files(&out).keys() {
            assert_eq!(read(&out.join(path)).num_rows(), BARS, "a file that exists is whole");
        }
    }
    let kept = kept();
    let report = ends(market.backfill("bars", "killed", &[]), 0);
    assert!(count(&report, "requests") <= requests - kept, "{kept} symbols were kept: {report}");
    assert_eq!(count(&report, "there before"), 4 * kept, "{report}");
    assert_eq!(files(&out), files(&market.out("whole")), "byte for byte");
    eprintln!("{requests} requests uninterrupted; after kill -9: {report}");
}

#[test]
fn an_interrupt_keeps_everything_and_asks_nothing_twice() {
    let slow = "[[fault]]\nkind = \"latency\"\npath = \"/v2/stocks/bars\"\ndelay_ms = 50\n";
    let market = Market::play(60, slow, &[]);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let name = signal.as_str();
        let child = market.backfill("bars", name, &[]).spawn().expect("starts");
        let out = market.out(name);
        wait_for("some files", BOUND, || (files(&out).len() >= 20).then_some(()));
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        kill(pid, signal).expect("our child");
        let output = child.wait_with_output().expect("our child");
        let first = text(&output);
        assert_eq!(output.status.code(), Some(INCOMPLETE), "{first}");
        assert!(first.contains("stopped; the same command goes on from here"), "{first}");
        let before = files(&out).len();
        let second = ends(market.backfill("bars", name, &[]), 0);
        assert_eq!(count(&second, "there before"), before, "{second}");
        let asked = count(&first, "requests") + count(&second, "requests");
        // Those that still waited for their turn are asked again.
        assert!((60..=64).contains(&asked), "{asked} requests in all: {first} {second}");
        market.verify(name);
    }
}

#[test]
fn storms_of_every_kind_cost_time_and_no_day() {
    let faults = [
        "kind = \"rate_limit\"\nevery = 7\nat_most = 4",
        "kind = \"server_error\"\nstatus = 500\nevery = 5\nat_most = 8",
        "kind = \"reset\"\nevery = 6\nat_most = 6",
        "kind = \"html\"\nstatus = 502\nevery = 9\nat_most = 3",
    ];
    let faults: String =
        faults.iter().map(|rule| format!("[[fault]]\npath = \"/v2/stocks/bars\"\n{rule}\n")).collect();
    let market = Market::play(30, &faults, &[]);
    let output = market.backfill("bars", "out", &[]).output().expect("sandpit runs");
    let report = text(&output);
    assert!(report.contains("waits 1m00s: too many requests"), "{report}");
    assert!(report.contains("waits 30s: the broker cannot be reached"), "{report}");
    // Which request the storm meets depends on who asks first: four times in a row, its day is left out.
    if report.contains("\nskipped") {
        assert_eq!(output.status.code(), Some(INCOMPLETE), "{report}");
        ends(market.backfill("bars", "out", &[]), 0);
    } else {
        assert_eq!(output.status.code(), Some(0), "{report}");
    }
    market.verify("out");
}

#[test]
fn a_day_that_cannot_be_had_is_skipped_reported_and_asked_again() {
    let storm = "[[fault]]\nkind = \"rate_limit\"\npath = \"/v2/stocks/bars\"\nat_most = 24\n";
    let market = Market::play(1, storm, &[]);
    let report = ends(market.backfill("bars", "out", &[]), INCOMPLETE);
    assert!(
        report.contains("0 of 4 days written, 4 skipped, 0 there before; 0 rows, 24 requests"),
        "{report}"
    );
    let line = "skipped S000.A 4 days within 2013-10-03 to 2013-10-08: too many requests (HTTP 429)";
    assert!(report.contains(line), "{report}");
    assert_eq!(files(&market.out("out")).len(), 0);
    ends(market.backfill("bars", "out", &[]), 0);
    market.verify("out");
}

#[test]
fn key_pairs_work_side_by_side_and_a_bad_one_stops_alone() {
    let slow = "[[fault]]\nkind = \"latency\"\npath = \"/v2/stocks/bars\"\ndelay_ms = 20\n";
    let market = Market::play(40, slow, &["--key", "GOOD", "--secret", "hush"]);
    let refused = ends(market.backfill("bars", "none", &[]), 15);
    assert!(refused.contains("error: the broker accepts none of the key pairs"), "{refused}");
    let mut command = market.backfill("bars", "out", &[]);
    command.env("APCA_API_KEY_ID_2", "GOOD").env("APCA_API_SECRET_KEY_2", "hush");
    let report = ends(command, 0);
    assert!(report.contains("key pair 1 is not used any more"), "{report}");
    market.verify("out");
}

#[test]
fn news_lies_on_its_day_and_quiet_days_have_files() {
    let market = Market::play(3, "", &[]);
    let report = ends(market.backfill("news", "out", &[]), 0);
    // Six calendar days, the weekend included.
    assert!(report.contains("18 of 18 days written, 0 skipped"), "{report}");
    let found = files(&market.out("out"));
    assert_eq!(found.len(), 18);
    let mut rows = 0;
    for name in found.keys() {
        let file = File::open(market.out("out").join(name)).expect("there");
        let reader = SerializedFileReader::new(file).expect("a whole Parquet file");
        let date = name.file_stem().expect("a date").to_string_lossy().into_owned();
        let symbol =
            name.parent().and_then(Path::file_name).expect("a symbol").to_string_lossy().into_owned();
        for row in reader.get_row_iter(None).expect("rows") {
            let row = row.expect("a row");
            let symbols = format!("{:?}", row.get_list(8).expect("symbols").elements());
            assert!(symbols.contains(&symbol), "{symbols} in {}", name.display());
            assert!(!row.get_string(3).expect("headline").is_empty());
            let day = row.get_long(2).expect("updated") / 1_000_000_000 - 4 * 3_600;
            let first = nanos(0, 0) / 1_000_000_000 / 86_400;
            assert_eq!(date, format!("2013-10-{:02}", 3 + day / 86_400 - first));
            rows += 1;
        }
    }
    assert_eq!(count(&report, "rows"), rows, "{report}");
}

#[test]
fn what_cannot_work_is_one_sentence() {
    let market = Market::play(1, "", &[]);
    ends(market.backfill("bars", "out", &[]), 0);
    let check = |flags: &[&str], code: i32, says: &str| {
        let text = ends(market.backfill("bars", "out", flags), code);
        assert!(text.lines().any(|line| line.starts_with("error: ") && line.contains(says)), "{text}");
    };
    check(&["--feed", "iex"], 2, "feed \"sip\", not \"iex\"; choose another --out");
    let text = ends(
        {
            let mut command = Command::new(binary("sandpit"));
            command
                .args(["backfill", "bars", "--symbols", "S000.A", "--from", DAYS[0], "--to", DAYS[4]])
                .args(["--url", &market.url, "--out"])
                .arg(market.out("other"))
                .env("APCA_API_KEY_ID", "k")
                .env("APCA_API_SECRET_KEY", "s");
            command
        },
        2,
    );
    assert!(
        text.contains("2013-10-09 is not over in New York yet: the last whole day is 2013-10-08"),
        "{text}"
    );
    fs::write(market.out("out").join(".sandpit-backfill-bars.json"), "{").expect("written");
    check(&[], 14, "is broken");
    let mut command = market.backfill("bars", "out", &[]);
    command.env_remove("APCA_API_SECRET_KEY");
    let text = ends(command, 10);
    assert!(text.contains("APCA_API_SECRET_KEY is not"), "{text}");
    fs::write(market.out("file"), "").expect("written");
    let text = ends(market.backfill("bars", "file", &[]), 12);
    assert!(text.contains("error: cannot use"), "{text}");
}
