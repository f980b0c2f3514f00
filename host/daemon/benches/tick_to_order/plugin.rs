//! The strategy of a few instructions that answers every quote with one limit order for one share: it buys
//! at the ask and sells at the bid, in turn. Its module is written after the interface itself, so that it
//! follows when a record of an order gains a field: all that is not named here is zero, which is the first
//! case of a variant and `none` of an option.

use std::fmt::Write;

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{
    Resolve, SizeAlign, Type, TypeDefKind, TypeId, WorldId, WorldItem,
    abi::{AbiVariant, WasmType},
};

const WIT: &str = include_str!("../../../../wit/strategy-0.1.0/strategy.wit");

/// Where things lie in the memory of the strategy. Below 64 all is zero: no intents, no error.
const NOTHING: usize = 0;
const DESCRIPTION: usize = 1_024;
const SCHEMA: usize = 2_048;
const ANSWER: usize = 4_096;
const INTENT: usize = 4_160;
const HEAP: usize = 65_536;

/// Nanos of a share, of a cent.
const SHARE: i64 = 1_000_000_000;
const CENT: i64 = 10_000_000;

/// A core module that is a strategy.
pub(crate) fn module() -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("strategy.wit", WIT).expect("a valid interface");
    let world = resolve.select_world(&[package], Some("strategy")).expect("one world");
    let mut module = wat::parse_str(text(&resolve, world)).expect("a module");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a valid module");
    module
}

fn text(resolve: &Resolve, world: WorldId) -> String {
    let layout = Layout::new(resolve);
    let mut out = String::from("(module\n");
    let types = resolve.worlds[world].exports.values().filter_map(|item| match item {
        WorldItem::Function(function) => Some(function),
        WorldItem::Interface { .. } | WorldItem::Type { .. } => None,
    });
    out += "  (import \"sandpit:strategy/host@0.1.0\" \"now\" (func (result i64)))\n";
    writeln!(out, "  (memory (export \"memory\") 2)\n  (global $heap (mut i32) (i32.const {HEAP}))")
        .expect("memory");
    out += "  (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (local $at i32)\n";
    out += "    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))\n";
    // What the host lowers is not kept: the next event writes over it.
    writeln!(out, "    (global.set $heap (i32.add (local.get $at) (local.get 3)))").expect("memory");
    out += "    (if (i32.gt_u (global.get $heap) (i32.const 120000))\n";
    writeln!(out, "      (then (global.set $heap (i32.const {HEAP}))))\n    (local.get $at))")
        .expect("memory");
    for function in types {
        let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
        let of = |types: &[WasmType]| types.iter().map(|it| wasm(*it)).collect::<Vec<_>>().join(" ");
        let (params, results) = (of(&signature.params), of(&signature.results));
        let body = match function.name.as_str() {
            "describe" => format!("(i32.const {DESCRIPTION})"),
            "on-quote" => layout.answer(),
            _ if results.is_empty() => String::new(),
            _ => format!("(i32.const {NOTHING})"),
        };
        let result = if results.is_empty() { String::new() } else { format!("(result {results})") };
        let name = &function.name;
        writeln!(out, "  (func (export \"{name}\") (param {params}) {result} {body})").expect("memory");
    }
    out + &layout.data() + ")"
}

fn wasm(of: WasmType) -> &'static str {
    match of {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}

/// Where the fields of the interface's types lie.
struct Layout<'a> {
    resolve: &'a Resolve,
    sizes: SizeAlign,
}

impl<'a> Layout<'a> {
    fn new(resolve: &'a Resolve) -> Self {
        let mut sizes = SizeAlign::default();
        sizes.fill(resolve);
        Self { resolve, sizes }
    }

    fn type_called(&self, name: &str) -> TypeId {
        let named = |(_, of): &(TypeId, &wit_parser::TypeDef)| {
            of.name.as_deref() == Some(name) && !matches!(of.kind, TypeDefKind::Type(_))
        };
        self.resolve.types.iter().find(named).expect(name).0
    }

    /// The offset of a field of a record, and its type.
    fn field(&self, record: &str, name: &str) -> (usize, Type) {
        let TypeDefKind::Record(of) = &self.resolve.types[self.type_called(record)].kind else {
            panic!("{record} is a record");
        };
        let offsets = self.sizes.field_offsets(of.fields.iter().map(|field| &field.ty));
        let mut both = of.fields.iter().zip(offsets);
        let (field, (offset, ty)) = both.find(|(field, _)| field.name == name).expect(name);
        assert_eq!(field.ty, *ty, "fields and offsets are in one order");
        (offset.size_wasm32(), *ty)
    }

    /// The number of a case of a variant, and the offset of what it holds.
    fn case(&self, variant: &str, name: &str) -> (usize, usize) {
        let TypeDefKind::Variant(of) = &self.resolve.types[self.type_called(variant)].kind else {
            panic!("{variant} is a variant");
        };
        let number = of.cases.iter().position(|case| case.name == name).expect(name);
        let offset = self.sizes.payload_offset(of.tag(), of.cases.iter().map(|case| case.ty.as_ref()));
        (number, offset.size_wasm32())
    }

    /// Where a field of the order lies in memory.
    fn of_order(&self, name: &str) -> usize {
        INTENT + self.case("intent", "submit").1 + self.field("submit", name).0
    }

    /// The body of the handler of quotes: instrument, time, bid, its size, ask, its size.
    fn answer(&self) -> String {
        let (id, side) = (self.of_order("id"), self.of_order("side"));
        let limit = self.of_order("kind") + self.case("order-kind", "limit").1;
        let price = |param: usize| {
            let cents = format!("(f64.nearest (f64.mul (local.get {param}) (f64.const 100)))");
            format!("(i64.mul (i64.trunc_f64_s {cents}) (i64.const {CENT}))")
        };
        let sells = format!("(i32.load8_u (i32.const {side}))");
        format!(
            "(i64.store (i32.const {id}) (i64.add (i64.load (i32.const {id})) (i64.const 1)))\n    \
             (i32.store8 (i32.const {side}) (i32.xor {sells} (i32.const 1)))\n    \
             (i64.store (i32.const {limit}) (select {bid} {ask} {sells}))\n    (i32.const {ANSWER})",
            bid = price(2),
            ask = price(4),
        )
    }

    fn data(&self) -> String {
        let wants = {
            let TypeDefKind::Flags(of) = &self.resolve.types[self.type_called("event-kinds")].kind else {
                panic!("the kinds of events are flags");
            };
            1_u8 << of.flags.iter().position(|flag| flag.name == "quote").expect("quotes are a kind")
        };
        let word = |value: usize| u32::try_from(value).expect("memory is small").to_le_bytes().to_vec();
        let words = |values: [usize; 2]| values.into_iter().flat_map(word).collect::<Vec<u8>>();
        let described = |name: &str| DESCRIPTION + self.field("description", name).0;
        let case = |variant, name| vec![u8::try_from(self.case(variant, name).0).expect("cases are few")];
        let pieces = [
            (described("parameters-schema"), words([SCHEMA, 2])),
            (described("wants"), vec![wants]),
            (SCHEMA, b"{}".to_vec()),
            (ANSWER, words([INTENT, 1])),
            (INTENT, case("intent", "submit")),
            (self.of_order("kind"), case("order-kind", "limit")),
            (self.of_order("amount"), case("amount", "shares")),
            (self.of_order("amount") + self.case("amount", "shares").1, SHARE.to_le_bytes().to_vec()),
            // The first order flips it, so that it buys.
            (self.of_order("side"), vec![1]),
        ];
        let bytes = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
        pieces.iter().map(|(at, piece)| format!("  (data (i32.const {at}) \"{}\")\n", bytes(piece))).collect()
    }
}
