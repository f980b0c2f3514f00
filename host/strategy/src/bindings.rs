//! The generated side of the interface. Nothing of it leaves the crate.
#![allow(missing_docs, unreachable_pub, clippy::too_many_arguments, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../../wit/strategy-0.1.0",
    world: "strategy",
    imports: { default: trappable },
});

pub(crate) use sandpit::strategy::{host, types};
