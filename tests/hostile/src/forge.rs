//! Plugins that no compiler would make, written as text against the canonical ABI.

use wit_component::StringEncoding;

/// The interface as released.
const WIT: &str = include_str!("../../../wit/strategy-0.1.0/strategy.wit");
/// An empty list, or success.
const NOTHING: &str = "(i32.const 16)";

/// A strategy that does nothing, until something is forged: one body for each export.
#[derive(Clone, Debug)]
pub struct Forged {
    /// More imports.
    pub imports: &'static str,
    /// The memory's limits, in pages.
    pub memory: &'static str,
    /// The body of `describe`: where the record lies.
    pub describe: &'static str,
    /// The body of `init`.
    pub init: &'static str,
    /// The body of `on-quote`: where the list lies.
    pub on_quote: &'static str,
    /// The body of `save`: where the list of bytes lies.
    pub save: &'static str,
    /// More of the module: tables, functions, segments. At 64 lies the description (three texts and a list,
    /// each an address and a length; then flags and the bars of the warm-up), at 32 a success.
    pub extra: &'static str,
}

impl Default for Forged {
    fn default() -> Self {
        Self {
            imports: "",
            memory: "2",
            describe: "(i32.const 64)",
            init: "(i32.const 32)",
            on_quote: NOTHING,
            save: NOTHING,
            extra: "",
        }
    }
}

impl Forged {
    /// The core module, without what it says of its interface.
    ///
    /// # Panics
    /// When what was forged is no text of a module.
    pub fn bare(&self) -> Vec<u8> {
        let text = self.text();
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// The core module as an author's build leaves it.
    ///
    /// # Panics
    /// As [`Forged::bare`].
    pub fn module(&self) -> Vec<u8> {
        with_interface(self.bare())
    }

    fn text(&self) -> String {
        let Self { imports, memory, describe, init, on_quote, save, extra } = self;
        format!(
            r#"(module
            (import "sandpit:strategy/host@0.1.0" "now" (func $now (result i64)))
            (import "sandpit:strategy/host@0.1.0" "history" (func $history (param i32 i32 i32)))
            (import "sandpit:strategy/host@0.1.0" "log" (func $log (param i32 i32 i32)))
            {imports}
            (memory (export "memory") {memory})
            (global $heap (mut i32) (i32.const 65536))
            (global $n (mut i32) (i32.const 0))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
              (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
              (global.set $heap (i32.add (local.get $at) (local.get 3)))
              (local.get $at))
            (func (export "describe") (result i32) {describe})
            (func (export "init") (param i32 i32 i32 i32) (result i32) {init})
            (func (export "on-bar") (param i32 i64 f64 f64 f64 f64 f64) (result i32) {NOTHING})
            (func (export "on-quote") (param i32 i64 f64 f64 f64 f64) (result i32) {on_quote})
            (func (export "on-trade") (param i32 i64 f64 f64) (result i32) {NOTHING})
            (func (export "on-event")
              (param i32 i64 i64 i64 i64 i64 i64 i64 i32 i32 i32 i32 i32 i32) (result i32) {NOTHING})
            (func (export "save") (result i32) {save})
            (func (export "load") (param i32 i32 i32 i32) (result i32) (i32.const 32))
            (func (export "stop") (param i32 i32))
            (data (i32.const 64) "\00\04\00\00\04\00\00\00\04\04\00\00\01\00\00\00")
            (data (i32.const 80) "\05\04\00\00\02\00\00\00\80\04\00\00\01\00\00\00")
            (data (i32.const 96) "\02\00\00\00\00\00\00\00")
            (data (i32.const 1024) "test1{{}}")
            (data (i32.const 1152) "\88\04\00\00\03\00\00\00SPY")
            {extra})"#
        )
    }
}

/// Adds the section that names the interface.
///
/// # Panics
/// When `module` is none.
pub fn with_interface(mut module: Vec<u8>) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("strategy.wit", WIT).expect("a valid interface");
    let world = resolve.select_world(&[package], Some("strategy")).expect("one world");
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("a valid module");
    module
}
