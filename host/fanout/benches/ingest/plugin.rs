//! A strategy of a few instructions on the real engine: it answers every quote with one signal, so that the
//! end of its handler shows.

use std::{path::Path, sync::Arc};

use sandpit_strategy::{
    Bounds, COMPILE_MEMORY_BYTES, Compiler, Engine, Inbox, Manifest, Plugin, Runner, Start, StrategyOutput,
};

use crate::frames::symbols;

const WIT: &str = include_str!("../../../../wit/strategy-0.1.0/strategy.wit");

/// At 64 the description, whose flags say "quotes"; at 2000 the list of one signal without words.
const TEXT: &str = r#"(module
  (import "sandpit:strategy/host@0.1.0" "now" (func (result i64)))
  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "describe") (result i32) (i32.const 64))
  (func (export "init") (param i32 i32 i32 i32) (result i32) (i32.const 32))
  (func (export "on-bar") (param i32 i64 f64 f64 f64 f64 f64) (result i32) (i32.const 16))
  (func (export "on-quote") (param i32 i64 f64 f64 f64 f64) (result i32) (i32.const 2000))
  (func (export "on-trade") (param i32 i64 f64 f64) (result i32) (i32.const 16))
  (func (export "on-event")
    (param i32 i64 i64 i64 i64 i64 i64 i64 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16))
  (func (export "save") (result i32) (i32.const 16))
  (func (export "load") (param i32 i32 i32 i32) (result i32) (i32.const 32))
  (func (export "stop") (param i32 i32))
  (data (i32.const 96) "\02")
  (data (i32.const 80) "\00\08\00\00\02\00\00\00")
  (data (i32.const 2000) "\00\09\00\00\01\00\00\00")
  (data (i32.const 2048) "{}")
  (data (i32.const 2304) "\07"))"#;

/// Starts the strategy; `output` gets what it says, on its thread.
pub(crate) fn start(inbox: Arc<Inbox>, output: impl FnMut(StrategyOutput) + Send + 'static) -> Runner {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("echo.wasm");
    std::fs::write(&file, module()).expect("a plugin file");
    let this = std::env::current_exe().expect("a path");
    let compiler = Compiler {
        command: vec![this.into_os_string(), "compile-plugin".into()],
        cache_dir: folder.path().join("cache"),
        memory_cap_bytes: COMPILE_MEMORY_BYTES,
    };
    let engine = Engine::new().expect("an engine");
    let plugin = Plugin::load(&engine, &compiler, &file).expect("a good plugin");
    let manifest = Manifest { instruments: Some(symbols()), ..Manifest::default() };
    let pulse = Arc::default();
    Runner::spawn(&engine, &plugin, &manifest, Bounds::default(), Start::new(1), inbox, output, pulse)
        .expect("it starts")
}

/// The child that compiles.
pub(crate) fn compile(input: &Path, output: &Path) {
    if let Err(error) = sandpit_strategy::compile_file(input, output) {
        eprintln!("{error}");
        std::process::exit(2);
    }
}

fn module() -> Vec<u8> {
    let mut module = wat::parse_str(TEXT).expect("a module");
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("strategy.wit", WIT).expect("a valid interface");
    let world = resolve.select_world(&[package], Some("strategy")).expect("one world");
    wit_component::embed_component_metadata(
        &mut module,
        &resolve,
        world,
        wit_component::StringEncoding::UTF8,
    )
    .expect("a valid module");
    module
}
