//! One life of one strategy: a store and its instance, every call with a deadline.
//!
//! A failure poisons the store, so a guest that failed is only good for giving back its book.

use std::time::Duration;

use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};

use crate::{
    Engine, Failure,
    bindings::{Strategy, StrategyPre, types},
    book::{Book, Instrument, Row},
    bounds::HOSTCALL_BYTES,
    check::one_line,
    deadline::Deadline,
    engine::processor_time,
    host::{Host, OverLimit},
    trial,
};

/// One instance of a strategy.
pub(crate) struct Guest {
    engine: Engine,
    store: Store<Host>,
    exports: Strategy,
}

/// What is left of a guest that failed.
pub(crate) struct Dead {
    pub(crate) failure: Failure,
    pub(crate) book: Book,
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
        let now = engine.ticks();
        host.deadline = Deadline::new(span, now);
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
        let outcome = component.instantiate(&mut store);
        trial::read(engine, &mut store);
        match outcome {
            Ok(exports) => Ok(Self { engine: engine.clone(), store, exports }),
            Err(error) => Err(Box::new(Dead {
                failure: failure("instantiation", &error, span),
                book: store.into_data().book,
            })),
        }
    }

    /// Grants a span for the calls that follow.
    pub(crate) fn allow(&mut self, span: Duration) {
        self.store.data_mut().deadline = Deadline::new(span, self.engine.ticks());
    }

    pub(crate) fn book(&mut self) -> &mut Book {
        &mut self.store.data_mut().book
    }

    pub(crate) fn into_book(self) -> Book {
        self.store.into_data().book
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

    pub(crate) fn stop(&mut self, reason: &str) -> Result<(), Failure> {
        self.call("stop", |exports, store| exports.call_stop(store, reason))
    }

    fn call<R>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&Strategy, &mut Store<Host>) -> wasmtime::Result<R>,
    ) -> Result<R, Failure> {
        let (now, deadline) = (self.engine.ticks(), &mut self.store.data_mut().deadline);
        let span = deadline.span();
        let ticks = match deadline.ticks_left(now) {
            0 => deadline.look(now, processor_time()),
            ticks => Some(ticks),
        };
        let Some(ticks) = ticks else { return Err(Failure::Timeout { call: name.into(), deadline: span }) };
        self.store.set_epoch_deadline(ticks);
        let outcome = call(&self.exports, &mut self.store);
        trial::read(&self.engine, &mut self.store);
        outcome.map_err(|error| failure(name, &error, span))
    }
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
    let message = format!("{}{}", error.root_cause(), place.unwrap_or_default());
    Failure::Trap { call: call.into(), message: one_line(&message) }
}
