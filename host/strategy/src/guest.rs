//! One life of one strategy: a store and its instance, every call with a deadline.
//!
//! A failure poisons the store, so a guest that failed is only good for giving back its book.

use std::time::Duration;

use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};

use crate::{
    Engine, Failure,
    bindings::{Strategy, StrategyPre, types},
    book::{Book, Instrument, Row},
    bounds::{HOSTCALL_BYTES, STATE_BYTES_MAX},
    check::one_line,
    deadline::Deadline,
    engine::processor_time,
    host::{Estate, Host, OverLimit},
    trial,
};

/// Spans that a group of calls has in a replay, for one that it had.
const REPLAY_PATIENCE: u32 = 20;
/// What an author has to know of an access out of bounds: most compilers put their own stack below everything
/// else in linear memory, where it ends long before that of wasm.
const OUT_OF_BOUNDS: &str = " (often a recursion that has used up its stack, which is in memory)";
/// What wasmtime says when a guest makes the host copy too much.
const FUEL_IS_OUT: &str = "too much data is being copied";

/// One instance of a strategy.
pub(crate) struct Guest {
    engine: Engine,
    store: Store<Host>,
    exports: Strategy,
}

/// What is left of a guest that failed.
pub(crate) struct Dead {
    pub(crate) failure: Failure,
    pub(crate) estate: Box<Estate>,
}

type Intents = Result<Vec<types::Intent>, Failure>;

impl Guest {
    /// Makes an instance, which has `span` to come to life and for all calls until [`Guest::allow`].
    pub(crate) fn new(
        engine: &Engine,
        component: &StrategyPre<Host>,
        mut host: Host,
        span: Duration,
    ) -> Result<Self, Box<Dead>> {
        if let Some(failure) = host.estate.calls.next() {
            return Err(Box::new(Dead { failure, estate: host.estate }));
        }
        let now = engine.ticks();
        host.deadline = Deadline::new(patient(span, &host.estate), now);
        let mut store = Store::new(engine.inner(), host);
        store.limiter(|host| &mut host.usage);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        store.set_epoch_deadline(store.data().deadline.ticks_left(now));
        let ticking = engine.clone();
        store.epoch_deadline_callback(move |mut store| {
            let look = store.data_mut().deadline.look(ticking.ticks(), processor_time());
            Ok(look.map_or(UpdateDeadline::Interrupt, UpdateDeadline::Continue))
        });
        trial::fill(engine, &mut store);
        let instance = {
            let _running = engine.run();
            component.instantiate(&mut store)
        };
        trial::read(engine, &mut store);
        match instance {
            Ok(exports) => Ok(Self { engine: engine.clone(), store, exports }),
            Err(error) => {
                let failure = failure("instantiation", &error, span);
                let mut estate = store.into_data().estate;
                if failure.is_cut() {
                    estate.calls.cut(&failure);
                }
                Err(Box::new(Dead { failure, estate }))
            }
        }
    }

    /// Grants a span for the calls that follow.
    pub(crate) fn allow(&mut self, span: Duration) {
        let host = self.store.data_mut();
        host.deadline = Deadline::new(patient(span, &host.estate), self.engine.ticks());
    }

    pub(crate) fn book(&mut self) -> &mut Book {
        &mut self.store.data_mut().estate.book
    }

    pub(crate) fn estate(&mut self) -> &mut Box<Estate> {
        &mut self.store.data_mut().estate
    }

    /// Its linear memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().usage.memory()
    }

    pub(crate) fn into_estate(self) -> Box<Estate> {
        self.store.into_data().estate
    }

    /// What it logs was logged before, but for errors.
    pub(crate) fn mute(&mut self, is_muted: bool) {
        self.store.data_mut().is_muted = is_muted;
    }

    pub(crate) fn describe(&mut self) -> Result<types::Description, Failure> {
        self.call("describe", |exports, store| exports.call_describe(store))
    }

    pub(crate) fn init(&mut self, parameters: &str) -> Result<(), Failure> {
        let symbols: Vec<String> =
            self.book().symbols().iter().map(|symbol| symbol.as_str().to_owned()).collect();
        self.call("init", |exports, store| exports.call_init(store, parameters, &symbols))?
            .map_err(|message| Failure::Init { message: one_line(&message) })
    }

    pub(crate) fn on_bar(&mut self, of: Instrument, row: Row) -> Intents {
        self.call("on-bar", |exports, store| {
            let start = row.start.as_nanos();
            exports.call_on_bar(store, of, start, row.open, row.high, row.low, row.close, row.volume)
        })
    }

    pub(crate) fn on_quote(&mut self, of: Instrument, quote: &types::Quote) -> Intents {
        self.call("on-quote", |exports, store| {
            let types::Quote { time, bid, bid_size, ask, ask_size } = *quote;
            exports.call_on_quote(store, of, time, bid, bid_size, ask, ask_size)
        })
    }

    pub(crate) fn on_trade(&mut self, of: Instrument, at: types::Time, price: f64, size: f64) -> Intents {
        self.call("on-trade", |exports, store| exports.call_on_trade(store, of, at, price, size))
    }

    pub(crate) fn on_event(&mut self, event: &types::Event) -> Intents {
        self.call("on-event", |exports, store| exports.call_on_event(store, event))
    }

    /// Its state; empty when it has none.
    pub(crate) fn save(&mut self) -> Result<Vec<u8>, Failure> {
        // What is too much has a name of its own, if it is not beyond all measure.
        self.store.set_hostcall_fuel(STATE_BYTES_MAX + HOSTCALL_BYTES);
        let state = self.call("save", |exports, store| exports.call_save(store));
        self.store.set_hostcall_fuel(HOSTCALL_BYTES);
        match state {
            Ok(state) if state.len() > STATE_BYTES_MAX => Err(Failure::State { limit: STATE_BYTES_MAX }),
            Err(Failure::Trap { message, .. }) if message.contains(FUEL_IS_OUT) => {
                Err(Failure::State { limit: STATE_BYTES_MAX })
            }
            state => state,
        }
    }

    pub(crate) fn load(&mut self, version: &str, state: &[u8]) -> Result<(), Failure> {
        self.call("load", |exports, store| exports.call_load(store, version, state))?
            .map_err(|message| Failure::Load { message: one_line(&message) })
    }

    /// The time for calls that belong together ran out between two of them.
    pub(crate) fn ran_out(&mut self, failure: Failure) -> Failure {
        let calls = &mut self.estate().calls;
        if let Some(failure) = calls.next() {
            return failure;
        }
        calls.cut(&failure);
        failure
    }

    pub(crate) fn stop(&mut self, reason: &str) -> Result<(), Failure> {
        self.call("stop", |exports, store| exports.call_stop(store, reason))
    }

    fn call<R>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&Strategy, &mut Store<Host>) -> wasmtime::Result<R>,
    ) -> Result<R, Failure> {
        let host = self.store.data_mut();
        if let Some(failure) = host.estate.calls.next() {
            return Err(failure);
        }
        let lines = host.estate.lines.len();
        let (now, deadline) = (self.engine.ticks(), &mut host.deadline);
        let span = deadline.span();
        let ticks = match deadline.ticks_left(now) {
            0 => deadline.look(now, processor_time()),
            ticks => Some(ticks),
        };
        let outcome = match ticks {
            None => Err(Failure::Timeout { call: name.into(), deadline: span }),
            Some(ticks) => {
                self.store.set_epoch_deadline(ticks);
                let _running = self.engine.run();
                let outcome = call(&self.exports, &mut self.store);
                trial::read(&self.engine, &mut self.store);
                outcome.map_err(|error| failure(name, &error, span))
            }
        };
        trial::read(&self.engine, &mut self.store);
        if let Err(failure) = &outcome
            && failure.is_cut()
        {
            let estate = self.estate();
            estate.calls.cut(failure);
            estate.lines.truncate(lines);
        }
        outcome
    }
}

/// In a replay, nobody waits for the deadline and a busy machine strikes nobody: only what never ends is
/// ended.
fn patient(span: Duration, estate: &Estate) -> Duration {
    if estate.calls.is_scripted() { span.saturating_mul(REPLAY_PATIENCE) } else { span }
}

fn failure(call: &'static str, error: &wasmtime::Error, span: Duration) -> Failure {
    if let Some(&OverLimit { wanted, limit, unit }) = error.downcast_ref() {
        return Failure::Memory { call: call.into(), wanted, limit, unit: unit.into() };
    }
    if let Some(Trap::Interrupt) = error.downcast_ref() {
        return Failure::Timeout { call: call.into(), deadline: span };
    }
    if let Some(Trap::StackOverflow) = error.downcast_ref() {
        return Failure::Stack { call: call.into() };
    }
    let innermost = error.downcast_ref::<WasmBacktrace>().and_then(|trace| trace.frames().first());
    let place = innermost.and_then(|frame| frame.func_name()).map(|name| format!(", in {name}"));
    let hint = match error.downcast_ref() {
        Some(Trap::MemoryOutOfBounds) => OUT_OF_BOUNDS,
        _ => "",
    };
    let message = format!("{}{hint}{}", error.root_cause(), place.unwrap_or_default());
    Failure::Trap { call: call.into(), message: one_line(&message) }
}
