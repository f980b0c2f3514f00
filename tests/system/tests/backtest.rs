//! `sandpit backtest` with the real program, components and files: the figures of a week computed by hand,
//! the same again, nothing of the future, and everything that may be wrong.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use sandpit_system_tests::{binary, plugin, test_plugin};
use serde_json::Value;
use tempfile::TempDir;

/// The exit codes that are looked for.
const USAGE: i32 = 2;
const PLUGIN: i32 = 11;
const DATA: i32 = 14;
const INCOMPLETE: i32 = 16;

/// Where the Python programs are.
fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../backtest/python")
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).expect("written");
        self.path(name)
    }

    /// A component with what stands in its .toml.
    fn strategy(&self, file: &Path, manifest: &str) -> PathBuf {
        let name = file.file_stem().expect("a name").to_str().expect("a text").to_owned();
        fs::copy(file, self.path(&format!("{name}.wasm"))).expect("copied");
        self.put(&format!("{name}.toml"), manifest);
        self.path(&format!("{name}.wasm"))
    }

    /// Bars that a program of ours makes up.
    fn bars(&self, name: &str, args: &[&str]) -> PathBuf {
        let file = self.path(name);
        let mut command = Command::new("python3");
        command.arg(python().join("bars.py")).args(args).arg("--out").arg(&file);
        assert!(command.status().expect("python3 runs").success());
        file
    }

    fn backtest(&self, args: &[&str]) -> Output {
        let mut command = Command::new(binary("sandpit"));
        command.current_dir(self.0.path()).arg("backtest").args(args);
        command.output().expect("sandpit starts")
    }

    /// The figures, and the executions, of a run that ends with this code.
    fn figures(&self, code: i32, args: &[&str]) -> (Value, String) {
        let all = [args, &["--json", "figures.json", "--fills", "fills.csv"]].concat();
        let output = self.backtest(&all);
        check(&output, code, "");
        let json = fs::read(self.path("figures.json")).expect("figures");
        let fills = fs::read_to_string(self.path("fills.csv")).expect("fills");
        (serde_json::from_slice(&json).expect("JSON"), fills)
    }
}

/// It ended with this code, and said this.
fn check(output: &Output, code: i32, said: &str) {
    let text =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(said), "{text}\nlacks {said:?}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a text")
}

/// What was bought and sold of a symbol at the end of a minute: shares and US dollars, in 10^-9.
type Executed = BTreeMap<(String, String, String), (i128, i128)>;

fn add(all: &mut Executed, time: &str, symbol: &str, side: &str, qty: &str, price: &str) {
    let nanos = |text: &str| -> i128 {
        let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{rest:0<9}").parse().unwrap_or_else(|_| panic!("{text} is no number"))
    };
    // A session's last bar comes a nanosecond before the session ends.
    let minute = if time.ends_with(".999999999Z") { after(time) } else { time.to_owned() };
    let of = all.entry((minute, symbol.to_owned(), side.to_owned())).or_default();
    of.0 += nanos(qty);
    of.1 += nanos(qty) * nanos(price) / 1_000_000_000;
}

/// The minute that begins a nanosecond later.
fn after(time: &str) -> String {
    let (hour, minute): (u32, u32) =
        (time[11..13].parse().expect("hours"), time[14..16].parse().expect("minutes"));
    let (hour, minute) = if minute == 59 { (hour + 1, 0) } else { (hour, minute + 1) };
    format!("{}T{hour:02}:{minute:02}:00Z", &time[..10])
}

/// The script over these bars, by the program and by hand.
fn week(bars: &Path) {
    let folder = Folder::new();
    let script = python().join("week.script");
    let quoted = serde_json::to_string(&fs::read_to_string(&script).expect("a script")).expect("a text");
    let manifest = format!("instruments = [\"SPY\", \"IBM\", \"BAC\"]\n[parameters]\nscript = {quoted}\n");
    let strategy = folder.strategy(&test_plugin("scripted"), &manifest);
    let by_hand = Command::new("python3")
        .arg(python().join("week.py"))
        .args(["--bars", text(bars), "--script", text(&script), "--cash", "10000000"])
        .output()
        .expect("python3 runs");
    assert!(by_hand.status.success(), "{}", String::from_utf8_lossy(&by_hand.stderr));
    let args =
        ["--strategy", text(&strategy), "--data", text(bars), "--cash", "10000000", "--realism", "exact"];
    let (figures, fills) = folder.figures(0, &args);

    let (mut expected, mut found) = (Executed::new(), Executed::new());
    let (mut refused, mut profit) = (0_u64, 0.0);
    let mut cash = None;
    for line in String::from_utf8_lossy(&by_hand.stdout).lines() {
        match &*line.split(',').collect::<Vec<_>>() {
            ["fill", _, time, symbol, side, qty, price] => add(&mut expected, time, symbol, side, qty, price),
            ["refused", ..] => refused += 1,
            ["pnl", _, _, gain] => profit += gain.parse::<f64>().expect("a number"),
            ["cash", usd] => cash = Some(usd.to_string()),
            _ => {}
        }
    }
    for line in fills.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        add(&mut found, cells[0], cells[1], cells[2], cells[3], cells[4]);
    }
    assert!(expected.len() > 20, "{expected:?}");
    // An order of several executions is told with its average price, which has nine decimals.
    let to_the_cent = |all: Executed| -> Executed {
        all.into_iter().map(|(of, (qty, usd))| (of, (qty, (usd + 5_000_000) / 10_000_000))).collect()
    };
    assert_eq!(to_the_cent(found), to_the_cent(expected), "executions");
    let equity = figures["equity"].as_f64().expect("a number");
    assert!((equity - 10_000_000.0 - profit).abs() < 0.005, "{equity} and {profit}, cash {cash:?}");
    let refusals: u64 =
        figures["refusals"].as_object().expect("reasons").values().filter_map(Value::as_u64).sum();
    assert_eq!(refusals, refused, "{}", figures["refusals"]);
}

#[test]
fn a_made_up_week_comes_to_the_cent_as_computed_by_hand() {
    let folder = Folder::new();
    let days = ["--bars", "1560", "--symbols", "BAC,IBM,SPY", "--start", "2013-10-07", "--seed", "41"];
    week(&folder.bars("week.csv", &days));
}

#[test]
fn a_real_week_comes_to_the_cent_as_computed_by_hand() {
    let real =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/bars_1min_2013-10-07_10.csv.gz");
    if real.exists() {
        week(&real);
    } else {
        eprintln!("skipped: the real days are not on this machine");
    }
}

#[test]
fn the_same_run_comes_to_the_same_and_knows_nothing_of_the_future() {
    let folder = Folder::new();
    let bars = folder.bars("bars.csv", &["--bars", "1170", "--symbols", "SPY", "--start", "2013-10-07"]);
    let strategy = folder.strategy(&plugin("sma_cross"), "instruments = [\"SPY\"]\n");
    let run = |bars: &Path| {
        let args =
            ["--strategy", text(&strategy), "--data", text(bars), "--param", "fast=5", "--param", "slow=15"];
        folder.figures(0, &args)
    };
    let (figures, fills) = run(&bars);
    assert!(fills.lines().count() > 10, "{fills}");
    assert!(fs::read_to_string(folder.path("backtest.html")).expect("a page").contains("Equity, USD"));
    let (again, same) = run(&bars);
    assert_eq!((figures, &fills), (again, &same), "live realism draws all chance from the seed");

    // Another future changes nothing of the past.
    let lines: Vec<String> = fs::read_to_string(&bars).expect("bars").lines().map(str::to_owned).collect();
    let (past, future) = lines.split_at(700);
    let cut = past.last().expect("a bar").split(',').next().expect("a time").to_owned();
    let doubled = future.iter().map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let prices: Vec<String> = cells[2..6]
            .iter()
            .map(|cell| format!("{:.2}", cell.parse::<f64>().expect("a price") * 1.01))
            .collect();
        format!("{},{},{},{}", cells[0], cells[1], prices.join(","), cells[6])
    });
    let poisoned = past.iter().cloned().chain(doubled).collect::<Vec<_>>().join("\n");
    let (_, other) = run(&folder.put("poisoned.csv", &(poisoned + "\n")));
    let known = |fills: &str| {
        fills
            .lines()
            .filter(|line| line.split(',').next() <= Some(&cut))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(known(&fills).len() > 5);
    assert_eq!(known(&other), known(&fills));
    assert_ne!(other, fills, "the future does matter, once it is there");
}

#[test]
fn a_strategy_that_traps_ends_the_run_with_the_event() {
    let folder = Folder::new();
    let bars = folder.bars("bars.csv", &["--bars", "60", "--symbols", "SPY", "--start", "2013-10-07"]);
    let strategy = folder.strategy(&test_plugin("hostile"), "[parameters]\ndeed = \"trap\"\nat = \"bar\"\n");
    let output = folder.backtest(&["--strategy", text(&strategy), "--data", text(&bars), "--json", "f.json"]);
    check(&output, PLUGIN, "on the bar of SPY that starts at 2013-10-07T13:30:00Z");
    let json: Value =
        serde_json::from_slice(&fs::read(folder.path("f.json")).expect("written")).expect("JSON");
    assert_eq!(json["subject"]["is_whole"], false, "the report says that it is not whole");
}

#[test]
fn a_limit_on_losses_ends_the_run_as_it_would_end_a_host() {
    let folder = Folder::new();
    let minute = |minute: u32, price: f64| {
        let (hour, minute) = (13 + (30 + minute) / 60, (30 + minute) % 60);
        format!("2013-10-07T{hour:02}:{minute:02}:00Z,SPY,{price},{price},{price},{price},1000000\n")
    };
    // Up, so that it buys, and then half of everything is gone.
    let mut rows = "timestamp,symbol,open,high,low,close,volume\n".to_owned();
    (0..60)
        .for_each(|at| rows += &minute(at, if at < 30 { 100.0 } else { 100.0 + f64::from(at - 30) * 0.1 }));
    (60..70).for_each(|at| rows += &minute(at, 50.0));
    let bars = folder.put("fall.csv", &rows);
    let strategy = folder.strategy(&plugin("ema_cross"), "instruments = [\"SPY\"]\n");
    let args =
        ["--strategy", text(&strategy), "--data", text(&bars), "--param", "fast=3", "--param", "slow=10"];
    let output = folder.backtest(&[&args[..], &["--param", "shares=90"]].concat());
    check(&output, INCOMPLETE, "a host would have been killed there");
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let folder = Folder::new();
    let bars = folder.bars("bars.csv", &["--bars", "60", "--symbols", "SPY", "--start", "2013-10-07"]);
    let strategy = folder.strategy(&plugin("sma_cross"), "instruments = [\"SPY\"]\n");
    let (strategy, bars) = (text(&strategy), text(&bars));
    let say = |args: &[&str], code: i32, said: &str| check(&folder.backtest(args), code, said);
    say(&["--data", bars], USAGE, "--strategy");
    say(&["--strategy", strategy, "--data", bars, "--repair", "magic"], USAGE, "\"magic\" is no repair");
    say(&["--strategy", strategy, "--data", bars, "--sweep", "fast"], USAGE, "write it like fast=5..30:5");
    say(&["--strategy", "none.wasm", "--data", bars], PLUGIN, "none.wasm");
    say(&["--strategy", strategy, "--data", "nothing"], DATA, "cannot read nothing");
    say(&["--strategy", strategy, "--data", bars, "--symbols", "QQQ"], DATA, "the files have no row of QQQ");
    say(&["--strategy", strategy, "--data", bars, "--from", "2020-01-01"], DATA, "the files have no row");
    let holes = fs::read_to_string(bars).expect("bars").replace(",SPY,", ",SPY,NaN,");
    let holes = folder.put("holes.csv", &holes.replace("symbol,", "symbol,x,"));
    let rows: String = fs::read_to_string(bars).expect("bars");
    let mut lines: Vec<&str> = rows.lines().collect();
    lines.swap(10, 20);
    let unsorted = folder.put("unsorted.csv", &lines.join("\n"));
    say(&["--strategy", strategy, "--data", text(&unsorted)], DATA, "unsorted.csv:12: the time goes back");
    say(&["--strategy", strategy, "--data", text(&unsorted), "--repair", "sort"], 0, "files sorted: 1");
    say(&["--strategy", strategy, "--data", text(&holes)], 0, "columns passed over");
    say(&["--strategy", strategy, "--data", bars, "--report", "no/such/folder.html"], 12, "cannot write");
}

#[test]
fn a_sweep_runs_all_variants_in_their_order_and_counts_them() {
    let folder = Folder::new();
    let bars = folder.bars("bars.csv", &["--bars", "780", "--symbols", "SPY", "--start", "2013-10-07"]);
    let strategy = folder.strategy(&plugin("sma_cross"), "instruments = [\"SPY\"]\n");
    let run = |threads: &str| {
        let args =
            ["--strategy", text(&strategy), "--data", text(&bars), "--sweep", "fast=3..9:3", "--sweep"];
        let more = ["slow=12,20", "--by", "daily.total_return", "--threads", threads, "--json", "sweep.json"];
        check(&folder.backtest(&[&args[..], &more].concat()), 0, "6 variants were tried on the same data");
        fs::read_to_string(folder.path("sweep.json")).expect("written")
    };
    let one = run("1");
    assert_eq!(one, run("3"), "whatever runs at a time");
    let json: Value = serde_json::from_str(&one).expect("JSON");
    let values: Vec<String> =
        json["variants"].as_array().expect("variants").iter().map(|of| of["values"].to_string()).collect();
    assert_eq!(values, ["[3,12]", "[3,20]", "[6,12]", "[6,20]", "[9,12]", "[9,20]"]);
    assert!(fs::read_to_string(folder.path("backtest.html")).expect("a page").contains("class=\"heat\""));
}

#[test]
fn a_strategy_is_warm_when_the_first_day_asked_for_begins() {
    let folder = Folder::new();
    let bars = folder.bars("bars.csv", &["--bars", "780", "--symbols", "SPY", "--start", "2013-10-07"]);
    let text_of = fs::read_to_string(&bars).expect("bars");
    let is_second_day = |line: &&str| !line.starts_with("2013-10-07");
    let second = text_of.lines().filter(is_second_day).map(|line| format!("{line}\n")).collect::<String>();
    let second = folder.put("second.csv", &second);
    let strategy = folder.strategy(&plugin("sma_cross"), "instruments = [\"SPY\"]\n");
    let run = |bars: &Path| {
        let args = ["--strategy", text(&strategy), "--data", text(bars), "--from", "2013-10-08"];
        folder.figures(0, &[&args[..], &["--param", "fast=5", "--param", "slow=15"]].concat())
    };
    let ((warm, fills), (cold, later)) = (run(&bars), run(&second));
    assert_eq!(warm["subject"]["events"], cold["subject"]["events"], "the day asked for, and no other");
    assert_eq!(warm["subject"]["from"], cold["subject"]["from"]);
    // Its warm-up is longer than a day: without one before, it sees nothing but the past.
    assert!(fills.lines().count() > 5, "{fills}");
    assert_eq!(later.lines().count(), 1, "{later}");
}

#[test]
fn a_walk_tries_on_the_days_after_each_choice_what_a_sweep_finds_best() {
    let folder = Folder::new();
    let bars = folder.bars("bars.csv", &["--bars", "2340", "--symbols", "SPY", "--start", "2013-10-07"]);
    let strategy = folder.strategy(&plugin("sma_cross"), "instruments = [\"SPY\"]\n");
    let same =
        ["--strategy", text(&strategy), "--data", text(&bars), "--realism", "exact", "--json", "o.json"];
    let sweep = ["--sweep", "fast=3..9:3", "--sweep", "slow=12,20", "--by", "daily.total_return"];
    let run = |args: &[&str]| -> Value {
        check(&folder.backtest(&[&same[..], args].concat()), 0, "");
        serde_json::from_slice(&fs::read(folder.path("o.json")).expect("written")).expect("JSON")
    };
    let walk = run(&[&sweep[..], &["--walk", "3:2", "--threads", "2"]].concat());
    let days = ["2013-10-07", "2013-10-08", "2013-10-09", "2013-10-10", "2013-10-11", "2013-10-14"];
    let steps = walk["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 2, "{steps:?}");
    let mut equity = 100_000.0;
    for (step, (train, test)) in steps.iter().zip([((0, 2), (3, 4)), ((2, 4), (5, 5))]) {
        let found = run(&[&sweep[..], &["--from", days[train.0], "--to", days[train.1]]].concat());
        let figure = |variant: &Value| variant["report"]["daily"]["total_return"].as_f64().expect("a return");
        let all = found["variants"].as_array().expect("variants");
        let best = all.iter().max_by(|a, b| figure(a).total_cmp(&figure(b))).expect("one");
        assert_eq!((&step["values"], step["in_sample"].as_f64()), (&best["values"], Some(figure(best))));
        let (fast, slow) = (format!("fast={}", step["values"][0]), format!("slow={}", step["values"][1]));
        let cash = format!("{equity:.2}");
        let chosen = ["--param", &fast, "--param", &slow, "--cash", &cash];
        let tried = run(&[&chosen[..], &["--from", days[test.0], "--to", days[test.1]]].concat());
        assert_eq!(step["test_return"], tried["daily"]["total_return"], "{step}");
        equity = tried["equity"].as_f64().expect("a number");
    }
    let all = walk["report"]["equity"].as_f64().expect("a number");
    assert!((all - equity).abs() < 1e-6 && equity != 100_000.0, "{all} and {equity}");
    assert_eq!(walk["report"]["daily"]["days"], 3, "the days of both trials");
    let page = fs::read_to_string(folder.path("backtest.html")).expect("a page");
    assert!(!page.contains("Walk-forward"), "the last run was a plain one");
    let wrong = |args: &[&str], said: &str| check(&folder.backtest(&[&same[..], args].concat()), USAGE, said);
    wrong(&["--walk", "3:2"], "--sweep");
    wrong(&["--sweep", "fast=3,4", "--walk", "3"], "write TRAIN:TEST");
    wrong(&["--sweep", "fast=3,4", "--walk", "6:1"], "the data has 6 trading days");
}
