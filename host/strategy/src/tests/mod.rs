//! Real strategies on the real engine, compiled by a real child process.

mod failing;
mod inline;
mod lessons;
mod loading;
mod replaying;
mod running;
mod surviving;
mod swapping;
mod threads;
mod trying;
mod wat;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use sandpit_types::{Bar, Intent, MarketEvent, MarketTime, Quote, Symbol, Trade};

use crate::{
    Bounds, COMPILE_MEMORY_BYTES, Compiler, Engine, Manifest, Plugin, PluginError, StrategyEvent,
    StrategyOutput, compile_file,
    session::{Session, Start},
};
use wat::Wat;

/// A plugins folder with a cache and an engine.
struct Yard {
    dir: tempfile::TempDir,
    engine: Engine,
}

impl Yard {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self { dir, engine: Engine::new().expect("an engine") }
    }

    fn write(&self, file: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(file);
        std::fs::write(&path, bytes).expect("a plugin file");
        path
    }

    /// Runs this very test program as the child: see [`compile_child`].
    fn compiler(&self) -> Compiler {
        let this = std::env::current_exe().expect("a path");
        let mut command = vec![this.into_os_string()];
        command.extend(["tests::compile_child", "--exact", "--ignored", "--nocapture"].map(OsString::from));
        Compiler { command, cache_dir: self.dir.path().join("cache"), memory_cap_bytes: COMPILE_MEMORY_BYTES }
    }

    /// The same for a metered engine: see [`trying::compile_metered_child`].
    fn metered_compiler(&self) -> Compiler {
        let mut compiler = self.compiler();
        compiler.command[1] = "tests::trying::compile_metered_child".into();
        compiler
    }

    fn load(&self, file: &str, bytes: &[u8]) -> Result<Plugin, PluginError> {
        Plugin::load(&self.engine, &self.compiler(), &self.write(file, bytes))
    }

    fn session(&self, plugin: &Wat) -> Result<Session, PluginError> {
        self.session_with(plugin, bounds(), &Manifest::default())
    }

    fn session_with(
        &self,
        plugin: &Wat,
        bounds: Bounds,
        manifest: &Manifest,
    ) -> Result<Session, PluginError> {
        let plugin = self.load("test.wasm", &plugin.module())?;
        Session::start(&self.engine, &plugin, manifest, bounds, Start::new(42), Arc::default())
    }
}

/// The compiling child. Not a test of its own: parents run it with the input and output paths added.
#[test]
#[ignore = "run as a child by other tests"]
fn compile_child() -> ExitCode {
    compile_as_child(compile_file)
}

fn compile_as_child(compile: impl FnOnce(&Path, &Path) -> Result<(), PluginError>) -> ExitCode {
    let paths: Vec<PathBuf> = std::env::args_os().skip(5).map(PathBuf::from).collect();
    let [input, output] = paths.as_slice() else { panic!("two paths wanted: {paths:?}") };
    match compile(input, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            // Past the test harness, which would add words of its own.
            std::process::exit(2);
        }
    }
}

/// Bounds with time enough for a loaded test machine, and little for a loop that never ends.
fn bounds() -> Bounds {
    Bounds { event_deadline: std::time::Duration::from_millis(300), ..Bounds::default() }
}

fn at(secs: i64) -> MarketTime {
    MarketTime::from_secs(secs)
}

fn bar_of(symbol: &str, minute: i64) -> Bar {
    let (symbol, start, base) = (Symbol::new(symbol), at(60 * minute), minute as f64);
    Bar {
        symbol,
        start,
        open: base,
        high: base + 3.0,
        low: base - 1.0,
        close: base + 2.0,
        volume: 100,
        vwap: base,
    }
}

fn bar(symbol: &str, minute: i64) -> StrategyEvent {
    StrategyEvent::Market(MarketEvent::Bar(bar_of(symbol, minute)))
}

fn quote(symbol: &str, secs: i64) -> StrategyEvent {
    let (symbol, time) = (Symbol::new(symbol), at(secs));
    let quote = Quote { symbol, time, bid: 10.0, bid_size: 1, ask: 11.0, ask_size: 2 };
    StrategyEvent::Market(MarketEvent::Quote(quote))
}

fn trade(symbol: &str, secs: i64) -> StrategyEvent {
    let (symbol, time) = (Symbol::new(symbol), at(secs));
    StrategyEvent::Market(MarketEvent::Trade(Trade { symbol, time, price: 12.0, size: 3 }))
}

/// What a session does on these events.
fn outputs(session: &mut Session, events: &[StrategyEvent]) -> Vec<StrategyOutput> {
    let mut outputs = Vec::new();
    for event in events {
        session.on(event, &mut |output| outputs.push(output));
    }
    outputs
}

/// What it wants on these events; anything but intents is a test failure.
fn intents(session: &mut Session, events: &[StrategyEvent]) -> Vec<Intent> {
    let outputs = outputs(session, events).into_iter();
    let intents = outputs.flat_map(|output| match output {
        StrategyOutput::Intents { intents, .. } => intents,
        other => panic!("not intents: {other:?}"),
    });
    intents.collect()
}

/// The numbers a test strategy says (see `wat::SAY`) on these events.
fn said(session: &mut Session, events: &[StrategyEvent]) -> Vec<i64> {
    let number = |intent| match intent {
        Intent::SetTimer { id, .. } => id.cast_signed(),
        other => panic!("not a number: {other:?}"),
    };
    intents(session, events).into_iter().map(number).collect()
}
