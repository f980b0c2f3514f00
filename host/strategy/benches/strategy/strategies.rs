//! The strategies that are measured, and what they are told.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sandpit_strategy::{
    Bounds, COMPILE_MEMORY_BYTES, Compiler, Engine, Manifest, Plugin, StrategyEvent, compile_file,
};
use sandpit_types::{Bar, MarketEvent, MarketTime, Quote, Symbol, Trade};

const WIT: &str = include_str!("../../../../wit/strategy-0.1.0/strategy.wit");

/// 2026-03-16T14:30:00Z, in mid-session.
const START_SECS: i64 = 1_773_671_400;
/// Symbols of one strategy.
pub(crate) const SYMBOLS: usize = 30;

/// A strategy of a few instructions: nothing on a bar, one signal on a quote, so that the end of its handler
/// shows; on a trade it reads the last hundred bars.
const TEXT: &str = r#"(module
  (import "sandpit:strategy/host@0.1.0" "history" (func $history (param i32 i32 i32)))
  (memory (export "memory") 4)
  (global $heap (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "describe") (result i32) (i32.const 64))
  (func (export "init") (param i32 i32 i32 i32) (result i32)
    (global.set $heap (i32.const 65536)) (i32.const 32))
  (func (export "on-bar") (param i32 i64 f64 f64 f64 f64 f64) (result i32) (i32.const 16))
  (func (export "on-quote") (param i32 i64 f64 f64 f64 f64) (result i32) (i32.const 2000))
  (func (export "on-trade") (param i32 i64 f64 f64) (result i32)
    (global.set $heap (i32.const 65536))
    (call $history (local.get 0) (i32.const 100) (i32.const 128)) (i32.const 16))
  (func (export "on-event")
    (param i32 i64 i64 i64 i64 i64 i64 i64 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16))
  (func (export "save") (result i32) (i32.const 16))
  (func (export "load") (param i32 i32 i32 i32) (result i32) (i32.const 32))
  (func (export "stop") (param i32 i32))
  (data (i32.const 96) "\07")
  (data (i32.const 80) "\00\08\00\00\02\00\00\00")
  (data (i32.const 2000) "\00\09\00\00\01\00\00\00")
  (data (i32.const 2048) "{}")
  (data (i32.const 2304) "\07"))"#;

/// Where plugins are compiled and run.
pub(crate) struct Yard {
    _folder: Option<tempfile::TempDir>,
    home: PathBuf,
    plugins: PathBuf,
    langs: Option<PathBuf>,
    pub(crate) engine: Engine,
}

impl Yard {
    pub(crate) fn new(plugins: PathBuf, langs: Option<PathBuf>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = folder.path().to_owned();
        Self { _folder: Some(folder), home, plugins, langs, engine: Engine::new().expect("an engine") }
    }

    /// In the folder of another process, with what it has compiled.
    pub(crate) fn at(home: PathBuf) -> Self {
        let (plugins, engine) = (PathBuf::new(), Engine::new().expect("an engine"));
        Self { _folder: None, home, plugins, langs: None, engine }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.home
    }

    /// The strategy of a few instructions.
    pub(crate) fn tiny(&self) -> Plugin {
        let path = self.home.join("tiny.wasm");
        fs::write(&path, tiny_module()).expect("a plugin file");
        self.load(&path)
    }

    /// The moving-average strategy, as built.
    pub(crate) fn sma(&self) -> Plugin {
        self.load(&self.sma_path())
    }

    pub(crate) fn sma_path(&self) -> PathBuf {
        self.path("sma_cross")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.plugins.join(name).with_extension("wasm")
    }

    /// The same strategy in other languages, those that are built: with the language.
    pub(crate) fn others(&self) -> Vec<(PathBuf, &'static str)> {
        let file = |(name, language)| Some((self.langs.as_ref()?.join(name), language));
        let all = [("sma_cross_c.wasm", "c"), ("sma_cross_js.wasm", "js"), ("sma_cross_py.wasm", "python")];
        all.into_iter().filter_map(file).filter(|(path, _)| path.is_file()).collect()
    }

    /// What a strategy takes, started and with its history, MiB: see [`crate::life::weigh`].
    pub(crate) fn weigh(&self, path: &Path) -> Vec<f64> {
        let this = std::env::current_exe().expect("a path");
        let scale = Command::new(this).arg("weigh").arg(path).arg(self.folder()).output().expect("it runs");
        assert!(scale.status.success(), "{}", String::from_utf8_lossy(&scale.stderr));
        let told = String::from_utf8(scale.stdout).expect("two numbers");
        told.split_whitespace().map(|number| number.parse().expect("a number")).collect()
    }

    pub(crate) fn load(&self, path: &Path) -> Plugin {
        Plugin::load(&self.engine, &self.compiler(), path).expect("a good plugin")
    }

    pub(crate) fn compiler(&self) -> Compiler {
        let this = std::env::current_exe().expect("a path");
        Compiler {
            command: vec![this.into_os_string(), "compile-plugin".into()],
            cache_dir: self.home.join("cache"),
            memory_cap_bytes: COMPILE_MEMORY_BYTES,
        }
    }

    /// Removes everything that was compiled.
    pub(crate) fn forget(&self) {
        let cache = self.compiler().cache_dir;
        if cache.exists() {
            fs::remove_dir_all(cache).expect("it is ours");
        }
    }
}

/// The child that compiles.
pub(crate) fn compile(input: &Path, output: &Path) {
    if let Err(error) = compile_file(input, output) {
        eprintln!("{error}");
        std::process::exit(2);
    }
}

/// With what it says of its interface.
pub(crate) fn tiny_module() -> Vec<u8> {
    let mut module = wat::parse_str(TEXT).expect("a module");
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("strategy.wit", WIT).expect("a valid interface");
    let world = resolve.select_world(&[package], Some("strategy")).expect("one world");
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).expect("a valid module");
    module
}

/// The symbols of strategy number `strategy`: nobody else's.
pub(crate) fn symbols(strategy: usize) -> Vec<Symbol> {
    (0..SYMBOLS).map(|n| Symbol::new(format!("S{strategy}X{n}"))).collect()
}

/// What strategy number `strategy` is granted.
pub(crate) fn manifest(strategy: usize) -> Manifest {
    Manifest { instruments: Some(symbols(strategy)), ..Manifest::default() }
}

/// It may signal as often as it likes; an interpreter takes more than others.
pub(crate) fn bounds() -> Bounds {
    Bounds { memory_bytes: 256 << 20, intents_per_minute: u32::MAX, ..Bounds::default() }
}

/// When bar or quote number `number` is, `step_ms` after the one before.
pub(crate) fn time(number: usize, step_ms: i64) -> MarketTime {
    MarketTime::from_nanos(START_SECS * 1_000_000_000 + number as i64 * step_ms * 1_000_000)
}

/// The bar of minute `number`; closes go up and down, so that averages cross.
pub(crate) fn bar(symbol: &Symbol, number: usize) -> StrategyEvent {
    let base = 100.0 + (number as f64 / 40.0).sin() * 5.0;
    StrategyEvent::Market(MarketEvent::Bar(Bar {
        symbol: symbol.clone(),
        start: time(number, 60_000),
        open: base,
        high: base + 0.1,
        low: base - 0.1,
        close: base + 0.05,
        volume: 1_000,
        vwap: base,
    }))
}

/// A quote at that time.
pub(crate) fn quote(symbol: &Symbol, time: MarketTime) -> StrategyEvent {
    let quote = Quote { symbol: symbol.clone(), time, bid: 100.0, bid_size: 3, ask: 100.01, ask_size: 4 };
    StrategyEvent::Market(MarketEvent::Quote(quote))
}

/// A trade at that time.
pub(crate) fn trade(symbol: &Symbol, time: MarketTime) -> StrategyEvent {
    StrategyEvent::Market(MarketEvent::Trade(Trade { symbol: symbol.clone(), time, price: 100.0, size: 7 }))
}
