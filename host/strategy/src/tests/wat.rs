//! Test strategies, written as text against the canonical ABI: no WASM toolchain is needed.

use wit_component::StringEncoding;

/// The interface as released.
pub(super) const WIT: &str = include_str!("../../../../wit/strategy-0.1.0/strategy.wit");

/// Address of the list of intents that `Wat::intents` lays out.
pub(super) const LIST: &str = "(i32.const 2000)";
/// A `save` that gives the global `$n`, and the `load` that takes it back.
pub(super) const SAVE_N: &str = "(i64.store (i32.const 1704) (global.get $n))
    (i32.store (i32.const 1720) (i32.const 1704)) (i32.store (i32.const 1724) (i32.const 8)) (i32.const 1720)";
pub(super) const LOAD_N: &str = "(global.set $n (i64.load (local.get 2))) (i32.const 32)";
/// A `load` that says no.
pub(super) const REFUSE: &str = "(i32.const 48)";
/// An empty list.
pub(super) const NOTHING: &str = "(i32.const 16)";
/// Set a timer whose id is the i64 on the stack: how a test strategy says a number.
pub(super) const SAY: &str = "(call $say)";
const INTENT_BYTES: usize = 128;
const INTENTS_AT: usize = 2048;
const SIGNAL_AT: usize = 1600;

/// A strategy: one body for each export.
pub(super) struct Wat {
    pub(super) wit: String,
    pub(super) imports: &'static str,
    pub(super) memory_pages: u32,
    pub(super) instruments: Vec<&'static str>,
    pub(super) wants: u8,
    pub(super) warmup_bars: u32,
    pub(super) describe: &'static str,
    pub(super) init: &'static str,
    pub(super) on_bar: &'static str,
    pub(super) on_quote: &'static str,
    pub(super) on_trade: &'static str,
    pub(super) on_event: &'static str,
    pub(super) save: &'static str,
    pub(super) load: &'static str,
    pub(super) stop: &'static str,
    pub(super) extra: &'static str,
    pub(super) intents: Vec<Wire>,
}

impl Default for Wat {
    fn default() -> Self {
        Self {
            wit: WIT.to_owned(),
            imports: "",
            memory_pages: 4,
            instruments: vec!["A", "B"],
            wants: 0b1111,
            warmup_bars: 0,
            describe: "(i32.const 64)",
            init: "(i32.const 32)",
            on_bar: NOTHING,
            on_quote: NOTHING,
            on_trade: NOTHING,
            on_event: NOTHING,
            save: NOTHING,
            load: "(i32.const 32)",
            stop: "",
            extra: "",
            intents: Vec::new(),
        }
    }
}

/// An intent in the words of the interface.
#[derive(Clone, Copy)]
pub(super) enum Wire {
    Submit {
        id: u64,
        instrument: u32,
        side: u8,
        quantity: i64,
        limit: Option<i64>,
        tif: u8,
        late: u32,
    },
    /// Its variants by their numbers and payloads.
    Whole(Whole),
    Replace {
        id: u64,
        new_id: u64,
        quantity: Option<i64>,
        limit: Option<i64>,
        stop: Option<i64>,
        late: u32,
    },
    ClosePosition(u64, u32),
    Cancel(u64),
    CancelAll,
    SetTimer(u64, i64),
    CancelTimer(u64),
    Signal(Option<u32>, &'static str),
}

/// A submit of instrument 0, word for word.
#[derive(Clone, Copy, Default)]
pub(super) struct Whole {
    pub(super) id: u64,
    pub(super) side: u8,
    pub(super) amount: (u8, i64),
    /// The case, and its words: prices, or the case of the trail and its amount.
    pub(super) kind: (u8, [i64; 2]),
    /// The case, and its words; an option is a case and its price.
    pub(super) class: (u8, [i64; 4]),
    pub(super) reprice: Option<i64>,
    pub(super) tif: u8,
}

impl Wat {
    /// The text of the core module.
    pub(super) fn text(&self) -> String {
        let Self {
            imports,
            memory_pages,
            describe,
            init,
            on_bar,
            on_quote,
            on_trade,
            on_event,
            save,
            load,
            stop,
            extra,
            ..
        } = self;
        let version = if self.wit.contains("strategy@0.1.0") { "0.1.0" } else { "0.2.0" };
        let host = format!("\"sandpit:strategy/host@{version}\"");
        let data = [(32, vec![0; 12]), (64, self.description()), (INTENTS_AT, self.list())]
            .into_iter()
            .chain([(2000, header(INTENTS_AT, self.intents.len())), (SIGNAL_AT, self.reasons())])
            .chain([(1024, b"test1.2.3{}refused by the test".to_vec())])
            .chain([(48, [vec![1, 0, 0, 0], header(1035, 19)].concat())])
            .chain(
                self.instruments
                    .iter()
                    .enumerate()
                    .map(|(at, name)| (1400 + 8 * at, name.as_bytes().to_vec())),
            );
        let data: String = data.map(|(at, bytes)| segment(at, &bytes)).collect();
        format!(
            r#"(module
            (import {host} "now" (func $now (result i64)))
            (import {host} "position" (func $position (param i32 i32)))
            (import {host} "open-orders" (func $open-orders (param i32)))
            (import {host} "account" (func $account (param i32)))
            (import {host} "last-quote" (func $last-quote (param i32 i32)))
            (import {host} "history" (func $history (param i32 i32 i32)))
            (import {host} "random" (func $random (result i64)))
            (import {host} "log" (func $log (param i32 i32 i32)))
            {imports}
            (memory (export "memory") {memory_pages})
            (global $heap (mut i32) (i32.const 196608))
            (global $n (mut i64) (i64.const 0))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
              (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
              (global.set $heap (i32.add (local.get $at) (local.get 3)))
              (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
                (then (drop (memory.grow (i32.const 4)))))
              (local.get $at))
            ;; Appends set-timer(id, 0) to the list at 2000.
            (func $say (param $id i64) (local $at i32)
              (local.set $at (i32.add (i32.const {INTENTS_AT})
                (i32.mul (i32.load (i32.const 2004)) (i32.const {INTENT_BYTES}))))
              (i32.store8 (local.get $at) (i32.const 5))
              (i64.store offset=8 (local.get $at) (local.get $id))
              (i64.store offset=16 (local.get $at) (i64.const 0x7fffffffffffffff))
              (i32.store (i32.const 2000) (i32.const {INTENTS_AT}))
              (i32.store (i32.const 2004) (i32.add (i32.load (i32.const 2004)) (i32.const 1))))
            (func $hush (i32.store (i32.const 2004) (i32.const 0)))
            (func (export "describe") (result i32) {describe})
            (func (export "init") (param i32 i32 i32 i32) (result i32) {init})
            (func $on_bar (export "on-bar")
              (param $of i32) (param $start i64) (param $open f64) (param $high f64) (param $low f64)
              (param $close f64) (param $volume f64) (result i32) {on_bar})
            (func (export "on-quote")
              (param $of i32) (param $at i64) (param $bid f64) (param $bid_size f64) (param $ask f64)
              (param $ask_size f64) (result i32) {on_quote})
            (func (export "on-trade")
              (param $of i32) (param $at i64) (param $price f64) (param $size f64) (result i32) {on_trade})
            (func (export "on-event")
              (param $case i32) (param $0 i64) (param $1 i64) (param $2 i64) (param $3 i64) (param $4 i64)
              (param $5 i64) (param $6 i64) (param $7 i32) (param $8 i32) (param $9 i32) (param $10 i32)
              (param $11 i32) (param $12 i32) (result i32) {on_event})
            (func (export "save") (result i32) {save})
            (func (export "load") (param i32 i32 i32 i32) (result i32) {load})
            (func (export "stop") (param i32 i32) {stop})
            {extra}
            {data})"#
        )
    }

    /// The core module, without what it says of its interface.
    pub(super) fn bare_module(&self) -> Vec<u8> {
        let text = self.text();
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// The core module as a plugin author's build leaves it.
    pub(super) fn module(&self) -> Vec<u8> {
        with_interface(self.bare_module(), &self.wit)
    }

    fn description(&self) -> Vec<u8> {
        let names: Vec<u8> = self
            .instruments
            .iter()
            .enumerate()
            .flat_map(|(at, name)| header(1400 + 8 * at, name.len()))
            .collect();
        // The list of symbols follows the record itself.
        let list_at = 64 + 40;
        let mut bytes = [header(1024, 4), header(1028, 5), header(1033, 2)].concat();
        bytes.extend(header(list_at, self.instruments.len()));
        bytes.extend([self.wants, 0, 0, 0]);
        bytes.extend(self.warmup_bars.to_le_bytes());
        bytes.extend(names);
        bytes
    }

    fn reasons(&self) -> Vec<u8> {
        let reason = self.intents.iter().find_map(|intent| match intent {
            Wire::Signal(_, reason) => Some(reason.as_bytes().to_vec()),
            _ => None,
        });
        reason.unwrap_or_default()
    }

    fn list(&self) -> Vec<u8> {
        self.intents.iter().flat_map(|intent| intent.bytes()).collect()
    }
}

impl Wire {
    fn bytes(self) -> [u8; INTENT_BYTES] {
        let mut bytes = [0; INTENT_BYTES];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        match self {
            Self::Submit { id, instrument, side, quantity, limit, tif, late } => {
                let kind = limit.map_or((0, [0; 2]), |limit| (1, [limit, 0]));
                let whole = Whole { id, side, amount: (0, quantity), kind, tif, ..Whole::default() };
                bytes = Self::Whole(whole).bytes();
                bytes[16..20].copy_from_slice(&instrument.to_le_bytes());
                bytes[121] = 1;
                bytes[124..128].copy_from_slice(&late.to_le_bytes());
            }
            Self::Whole(Whole { id, side, amount, kind, class, reprice, tif }) => {
                put(8, &id.to_le_bytes());
                put(20, &[side]);
                put(24, &case(amount.0, &[amount.1]));
                put(40, &case(kind.0, &kind.1));
                put(64, &case(class.0, &class.1));
                put(104, &option(reprice));
                put(120, &[tif]);
            }
            Self::Replace { id, new_id, quantity, limit, stop, late } => {
                put(0, &[1]);
                put(8, &id.to_le_bytes());
                put(16, &new_id.to_le_bytes());
                put(24, &[option(quantity), option(limit), option(stop)].concat());
                put(72, &late.to_le_bytes());
            }
            Self::ClosePosition(id, instrument) => {
                put(0, &[2]);
                put(8, &id.to_le_bytes());
                put(16, &instrument.to_le_bytes());
            }
            Self::Cancel(id) => {
                put(0, &[3]);
                put(8, &id.to_le_bytes());
            }
            Self::CancelAll => put(0, &[4]),
            Self::SetTimer(id, at) => {
                put(0, &[5]);
                put(8, &id.to_le_bytes());
                put(16, &at.to_le_bytes());
            }
            Self::CancelTimer(id) => {
                put(0, &[6]);
                put(8, &id.to_le_bytes());
            }
            Self::Signal(instrument, reason) => {
                put(0, &[7]);
                if let Some(instrument) = instrument {
                    put(8, &[1]);
                    put(12, &instrument.to_le_bytes());
                }
                put(16, &header(SIGNAL_AT, reason.len()));
            }
        }
        bytes
    }
}

/// A variant of eight-byte words in memory.
fn case(number: u8, words: &[i64]) -> Vec<u8> {
    let words = words.iter().flat_map(|word| word.to_le_bytes());
    i64::from(number).to_le_bytes().into_iter().chain(words).collect()
}

fn option(value: Option<i64>) -> Vec<u8> {
    case(u8::from(value.is_some()), &[value.unwrap_or(0)])
}

/// Adds the section that names the interface `wit`.
pub(super) fn with_interface(mut module: Vec<u8>, wit: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("strategy.wit", wit).expect("a valid interface");
    let world = resolve.select_world(&[package], Some("strategy")).expect("one world");
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("a valid module");
    module
}

fn header(at: usize, length: usize) -> Vec<u8> {
    let word = |value: usize| u32::try_from(value).expect("small").to_le_bytes();
    [word(at), word(length)].concat()
}

fn segment(at: usize, bytes: &[u8]) -> String {
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!("(data (i32.const {at}) \"{escaped}\")")
}
