//! Bars a second through a whole backtest, and what an order costs; next to NautilusTrader and backtesting.py
//! with the same bars, the same rule and the same number of orders in the same run.
//!
//! `backtest --sandpit PROGRAM --plugins FOLDER --scripts FOLDER [--python PYTHON] [--bars N,N]` prints
//! `name value unit`. Each run is a process of its own, so that the memory is its own. As with the peers, the
//! time is that of the run: starting the program, and reading the file before it, are told apart.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use sandpit_backtest::{End, Settings, run, value};
use sandpit_data::{Reel, Wanted, open};
use sandpit_risk::{Grant, Limits};
use sandpit_strategy::{Bounds, COMPILE_MEMORY_BYTES, Compiler, Engine, Manifest, Plugin};
use sandpit_types::{Symbol, Usd};
use sandpit_venue::VenueConfig;
use serde_json::{Value, json};

/// What is compared: a name, and the parameters of `ema_cross`.
const RUNS: [(&str, &[(&str, u64)]); 5] = [
    ("ema_10_20", &[("fast", 10), ("slow", 20)]),
    ("ema_2000_20000", &[("fast", 2_000), ("slow", 20_000)]),
    ("every_1000", &[("every", 1_000)]),
    ("every_100", &[("every", 100)]),
    ("every_10", &[("every", 10)]),
];

/// So much cash that no limit of size binds, as the peers have none.
const CASH: i64 = 10_000_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let Some(("--one", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return one(rest);
    }
    let named = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    let (Some(sandpit), Some(plugins), Some(scripts)) =
        (named("--sandpit"), named("--plugins"), named("--scripts"))
    else {
        return;
    };
    let sizes = named("--bars").unwrap_or_else(|| "100000,1000000".to_owned());
    let folder = std::env::temp_dir().join(format!("sandpit-bench-backtest-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the bars");
    for bars in sizes.split(',') {
        let file = folder.join(format!("{bars}.csv"));
        let bench = Bench {
            sandpit: sandpit.clone(),
            plugin: Path::new(&plugins).join("ema_cross.wasm"),
            scripts: PathBuf::from(&scripts),
            python: named("--python"),
            bars: bars.to_owned(),
            file,
        };
        bench.make_bars();
        for (name, parameters) in RUNS {
            bench.compare(name, parameters);
        }
    }
    fs::remove_dir_all(&folder).expect("our own folder");
}

/// One number of bars.
struct Bench {
    sandpit: String,
    plugin: PathBuf,
    scripts: PathBuf,
    python: Option<String>,
    bars: String,
    file: PathBuf,
}

impl Bench {
    fn make_bars(&self) {
        let mut command = Command::new("python3");
        command.arg(self.scripts.join("bars.py")).args(["--bars", &self.bars, "--out"]).arg(&self.file);
        assert!(command.status().expect("python3 runs").success(), "bars are made");
    }

    fn compare(&self, name: &str, parameters: &[(&str, u64)]) {
        let ours = self.ours("memory", parameters);
        let streamed = self.ours("stream", parameters);
        let name = format!("{name}_{}", self.bars);
        let bars: f64 = self.bars.parse().expect("a number");
        let seconds = figure(&ours, "seconds");
        println!("{name} {:.0} bars/s", bars / seconds);
        println!("{name}_orders {} orders", ours["orders"]);
        println!("{name}_with_reading {:.0} bars/s", bars / figure(&streamed, "seconds"));
        println!("{name}_rss {:.0} MB", figure(&streamed, "rss_mb"));
        for peer in ["nautilus", "backtesting"] {
            let Some(python) = &self.python else { continue };
            let mut command = Command::new(python);
            command.arg(self.scripts.join(format!("{peer}_ema.py"))).arg("--bars").arg(&self.file);
            for (name, value) in parameters {
                command.arg(format!("--{name}")).arg(value.to_string());
            }
            let theirs = told(&mut command);
            assert_eq!(theirs["orders"], ours["orders"], "{peer} sends as many orders: {name}");
            println!("{name}_{peer} {:.0} bars/s", bars / figure(&theirs, "seconds"));
            println!("{name}_{peer}_rss {:.0} MB", figure(&theirs, "rss_mb"));
            println!("{name}_times_{peer} {:.1} times", figure(&theirs, "seconds") / seconds);
        }
    }

    fn ours(&self, how: &str, parameters: &[(&str, u64)]) -> Value {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--one", how, &self.sandpit]).arg(&self.plugin).arg(&self.file);
        command.args(parameters.iter().map(|(name, value)| format!("{name}={value}")));
        told(&mut command)
    }
}

/// What a child says in its last line.
fn told(command: &mut Command) -> Value {
    let output = command.output().expect("the child runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last)
        .unwrap_or_else(|_| panic!("{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

fn figure(of: &Value, name: &str) -> f64 {
    of[name].as_f64().unwrap_or_else(|| panic!("{of} has {name}"))
}

/// One run: `memory|stream SANDPIT PLUGIN FILE [name=value…]`.
fn one(args: &[String]) {
    let [how, sandpit, plugin, file, parameters @ ..] = args else { panic!("one run: {args:?}") };
    let engine = Engine::new().expect("an engine");
    let compiler = Compiler {
        command: vec![sandpit.into(), "compile-plugin".into()],
        cache_dir: std::env::temp_dir().join("sandpit-bench-backtest-cache"),
        memory_cap_bytes: COMPILE_MEMORY_BYTES,
    };
    let plugin = Plugin::load(&engine, &compiler, plugin.as_ref()).expect("a plugin");
    let mut manifest = Manifest { instruments: Some(vec![Symbol::new("SPY")]), ..Manifest::default() };
    for parameter in parameters {
        let (name, text) = parameter.split_once('=').expect("name=value");
        manifest.parameters.insert(name.to_owned(), value(text));
    }
    let settings = Settings {
        engine,
        plugin,
        manifest,
        bounds: Bounds::default(),
        grant: Grant::default(),
        limits: Limits::default(),
        venue: VenueConfig { cash: Usd::new(CASH.into()), ..VenueConfig::default() },
        realism: "exact".to_owned(),
        data: Vec::new(),
        start: None,
    };
    let mut files = open(&[file.into()], Wanted::default()).expect("bars");
    let mut reel: Box<dyn Reel> = if how == "memory" {
        let mut events = Vec::new();
        loop {
            let before = events.len();
            files.read(&mut events).expect("bars");
            if events.len() == before {
                break;
            }
        }
        Box::new(events.into_iter())
    } else {
        Box::new(files)
    };
    let begun = now();
    let outcome = run(&settings, &mut *reel, &mut |_| true).expect("it runs");
    let seconds = (now() - begun).as_secs_f64();
    assert_eq!(outcome.end, End::Finished);
    let refused: BTreeMap<_, _> = outcome.material.refusals;
    assert!(refused.is_empty(), "the gates let all pass, as the peers do: {refused:?}");
    let orders = outcome.material.orders.sent;
    println!("{}", json!({ "seconds": seconds, "orders": orders, "rss_mb": peak_mb() }));
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::try_from(time).expect("it counts from the start of the machine")
}

/// The most memory of this process that was in RAM, MiB.
fn peak_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("it is told");
    let kib: f64 = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
    kib / 1_024.0
}
