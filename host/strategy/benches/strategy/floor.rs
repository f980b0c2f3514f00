//! The floors: wasmtime alone, and no WASM at all.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex},
};

use sandpit_sdk::{
    Account, Bar, Bars, Host, Instrument, Level, OpenOrder, Position, Price, Qty, Quote, Runner, Time, Usd,
};
use sma_cross::SmaCross;
use wasmtime::{
    Config, Engine, Store,
    component::{Component, Linker},
};

use crate::{crowd, strategies, world};

#[allow(missing_docs, unreachable_pub, dead_code, clippy::all, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/strategy-0.1.0",
        world: "strategy",
        imports: { default: trappable },
    });
}

/// Calls of a batch.
const CALLS: usize = 10_000;

/// Nanoseconds of a bare call of `on-bar`, which does nothing: a typed call by wasmtime with the settings of
/// the host's engine, and an epoch deadline before it.
pub(crate) fn raw_call() -> f64 {
    let mut config = Config::new();
    config.concurrency_support(false).epoch_interruption(true).cranelift_nan_canonicalization(true);
    let engine = Engine::new(&config).expect("an engine");
    let component = wit_component::ComponentEncoder::default().module(&strategies::tiny_module());
    let component = component.and_then(|mut encoder| encoder.encode()).expect("a component");
    let component = Component::new(&engine, component).expect("it compiles");
    let mut linker = Linker::<()>::new(&engine);
    linker.define_unknown_imports_as_traps(&component).expect("imports");
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(1_000_000);
    let strategy = bindings::Strategy::instantiate(&mut store, &component, &linker).expect("it starts");
    let floor = world::each(
        |_| (0..CALLS).collect(),
        |number| {
            store.set_epoch_deadline(1_000_000);
            let found = strategy.call_on_bar(&mut store, 0, *number as i64, 1.0, 2.0, 3.0, 4.0, 5.0);
            assert!(found.expect("it does nothing").is_empty());
        },
    );
    world::print("floor_wasmtime_call", floor, "ns", "<= 300");
    floor
}

/// From handing a number to a thread that sleeps to the moment at which it has it, with nothing but a lock
/// and a condition: what the machine takes for waking anyone. Median and 99 of 100, microseconds.
pub(crate) fn wake() -> [f64; 2] {
    let place = Arc::new((Mutex::new(VecDeque::new()), Condvar::new()));
    let theirs = Arc::clone(&place);
    let sleeper = std::thread::spawn(move || {
        let take = |_| {
            let (held, filled) = &*theirs;
            let held = held.lock().expect("nobody panics");
            let mut held = filled.wait_while(held, |begins| begins.is_empty()).expect("nobody panics");
            world::nanos() - held.pop_front().expect("it was awaited")
        };
        (0..crowd::TIMED).map(take).collect::<Vec<u64>>()
    });
    crowd::by_the_other_core(|| {
        crowd::paced(|_| {
            place.0.lock().expect("nobody panics").push_back(world::nanos());
            place.1.notify_one();
        })
    });
    let mut waits = sleeper.join().expect("it had them all");
    [("p50", 500), ("p99", 990)].map(|(name, per_mille)| {
        let micros = world::quantile(&mut waits, per_mille) / 1e3;
        world::print(&format!("floor_wake_{name}"), micros, "us", "");
        micros
    })
}

/// Nanoseconds of a bar of the moving-average strategy as native code.
pub(crate) fn native_sma() -> f64 {
    let symbols: Vec<String> = (0..strategies::SYMBOLS).map(|n| format!("S{n}")).collect();
    let mut runner = Runner::<SmaCross>::new();
    runner.init("{}", &symbols).expect("it takes no parameters");
    let bar = |number: usize| {
        let base = 100.0 + (number as f64 / 40.0).sin() * 5.0;
        Bar {
            instrument: Instrument(0),
            start: Time::from_secs(number as i64 * 60),
            open: base,
            high: base + 0.1,
            low: base - 0.1,
            close: base + 0.05,
            volume: 1_000.0,
        }
    };
    let floor = world::each(
        |batch| (batch * CALLS..(batch + 1) * CALLS).map(bar).collect::<Vec<_>>(),
        |bar| drop(std::hint::black_box(runner.on_bar(&Nothing, bar))),
    );
    world::print("floor_native_sma", floor, "ns", "");
    floor
}

/// A host without a book.
struct Nothing;

impl Host for Nothing {
    fn now(&self) -> Time {
        Time::from_secs(0)
    }

    fn position(&self, _: Instrument) -> Position {
        Position { quantity: Qty::ZERO, average_price: Price::ZERO }
    }

    fn open_orders(&self) -> Vec<OpenOrder> {
        Vec::new()
    }

    fn account(&self) -> Account {
        Account { equity: Usd::ZERO, buying_power: Usd::ZERO }
    }

    fn last_quote(&self, _: Instrument) -> Option<Quote> {
        None
    }

    fn history(&self, _: Instrument, _: u32) -> Bars {
        Bars::default()
    }

    fn random(&self) -> u64 {
        4
    }

    fn log(&self, _: Level, _: &str) {}
}
