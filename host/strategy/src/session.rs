//! One strategy from its start to its end: what each event does to it. Runs on whatever thread calls it and
//! reads no clock but the market time in the events; real time comes in as ticks of the engine.
//!
//! ```text
//!             failure                    failure, the last allowed
//!   Running ----------> Resting    Running --------------------> Quarantined
//!      ^                   |          |
//!      +--- rest is over --+          +-- events were lost ----> Quarantined
//! ```

use std::{collections::VecDeque, sync::Arc};

use sandpit_types::{Intent, MarketEvent, MarketTime, Pulse, StrategyName};

use crate::{
    Bounds, Engine, Failure, Manifest, Plugin, PluginError, StrategyEvent, StrategyOutput,
    bindings::types,
    book::{Book, Instrument, Row, bar_end},
    bounds::TIMERS_MAX,
    compile::file_name,
    deadline::Deadline,
    engine::processor_time,
    guest::{Dead, Guest},
    host::Host,
    strikes::{Strikes, Verdict},
    timers::Timers,
    translate::{self, LocalRefusal},
};

/// Where outputs go.
pub(crate) type Output<'a> = &'a mut dyn FnMut(StrategyOutput);

pub(crate) struct Session {
    engine: Engine,
    plugin: Plugin,
    bounds: Bounds,
    parameters: String,
    seed: u64,
    incarnation: u32,
    strikes: Strikes,
    timers: Timers,
    /// Bars that a guest failed on: not re-fed to its successors.
    poison: Vec<(Instrument, MarketTime)>,
    life: Life,
    /// Each re-fed bar is a piece of work of the loop.
    pulse: Arc<Pulse>,
}

enum Life {
    Running(Box<Guest>),
    Resting { book: Book, until: MarketTime },
    Quarantined,
}

/// What the calls of one event asked for so far.
#[derive(Default)]
struct Asked {
    count: usize,
    intents: Vec<Intent>,
    refused: VecDeque<LocalRefusal>,
}

impl Session {
    /// Starts the first life.
    pub(crate) fn start(
        engine: &Engine,
        plugin: &Plugin,
        manifest: &Manifest,
        bounds: Bounds,
        seed: u64,
        pulse: Arc<Pulse>,
    ) -> Result<Self, PluginError> {
        let book = Book::new(plugin.instruments(manifest)?);
        let parameters =
            serde_json::to_string(&manifest.parameters).expect("a map with text keys is always JSON");
        let mut session = Self {
            engine: engine.clone(),
            plugin: plugin.clone(),
            bounds,
            parameters,
            seed,
            incarnation: 0,
            strikes: Strikes::new(&bounds),
            timers: Timers::default(),
            poison: Vec::new(),
            life: Life::Quarantined,
            pulse,
        };
        let guest = session
            .give_birth(book)
            .map_err(|dead| PluginError::Start { file: file_name(plugin.path()), failure: dead.failure })?;
        session.life = Life::Running(guest);
        Ok(session)
    }

    /// Takes one event in, within one event's deadline; where a rest ends, also within one start's and one
    /// re-feed's.
    pub(crate) fn on(&mut self, event: &StrategyEvent, output: Output<'_>) {
        self.wake(event, output);
        match std::mem::replace(&mut self.life, Life::Quarantined) {
            Life::Running(guest) => self.run(guest, event, output),
            Life::Resting { mut book, until } => {
                book.apply(event);
                self.life = Life::Resting { book, until };
            }
            Life::Quarantined => {}
        }
    }

    /// Events were lost: no strike, no restart, the end.
    pub(crate) fn overflowed(&mut self, limit: usize, output: Output<'_>) {
        if matches!(self.life, Life::Quarantined) {
            return;
        }
        self.quarantine(Failure::Overflow { limit }, output);
    }

    /// Our own code panicked in one of the other methods: the end, too.
    pub(crate) fn panicked(&mut self, message: String, output: Output<'_>) {
        self.quarantine(Failure::Host { message }, output);
    }

    fn quarantine(&mut self, reason: Failure, output: Output<'_>) {
        self.life = Life::Quarantined;
        output(StrategyOutput::Quarantined { strategy: self.strategy(), reason });
    }

    /// Lets go of the strategy. A failure of its `stop` is logged and changes nothing.
    pub(crate) fn stop(mut self, reason: &str, output: Output<'_>) {
        if let Life::Running(guest) = &mut self.life {
            guest.allow(self.bounds.event_deadline);
            if let Err(failure) = guest.stop(reason) {
                tracing::warn!(strategy = self.plugin.name().as_str(), %failure, "its stop failed");
            }
        }
        output(StrategyOutput::Stopped { strategy: self.strategy() });
    }

    fn strategy(&self) -> StrategyName {
        self.plugin.name().clone()
    }

    fn run(&mut self, mut guest: Box<Guest>, event: &StrategyEvent, output: Output<'_>) {
        guest.allow(self.bounds.event_deadline);
        let mut asked = Asked::default();
        let outcome = self.handle(&mut guest, event, &mut asked);
        // What completed calls asked for counts, even if a later call of the same event failed.
        if !asked.intents.is_empty() {
            output(StrategyOutput::Intents {
                strategy: self.strategy(),
                incarnation: self.incarnation,
                intents: asked.intents,
                event_time: guest.book().now,
            });
        }
        match outcome {
            Ok(()) => self.life = Life::Running(guest),
            Err(failure) => self.fail(failure, guest.into_book(), output),
        }
    }

    /// Fires what is due, folds the event in, calls its handler, brings back what was refused here.
    fn handle(&mut self, guest: &mut Guest, event: &StrategyEvent, asked: &mut Asked) -> Result<(), Failure> {
        if let Some(time) = event.time() {
            // Timers set while these fire wait for the next event: none can keep an event going.
            let due: Vec<_> = std::iter::from_fn(|| self.timers.pop_due(time)).collect();
            for (at, id) in due {
                guest.book().advance(at);
                let intents = guest.on_event(&types::Event::Timer(id))?;
                self.absorb(guest, intents, asked)?;
            }
        }
        guest.book().apply(event);
        if let Some(intents) = self.deliver(guest, event)? {
            self.absorb(guest, intents, asked)?;
        }
        while let Some(LocalRefusal { id, refusal }) = asked.refused.pop_front() {
            let intents = guest.on_event(&translate::refused(id, refusal))?;
            self.absorb(guest, intents, asked)?;
        }
        Ok(())
    }

    /// Calls the handler of an event, if it has one; what it returned, unless that is to be ignored.
    fn deliver(
        &mut self,
        guest: &mut Guest,
        event: &StrategyEvent,
    ) -> Result<Option<Vec<types::Intent>>, Failure> {
        let wants = self.plugin.description().wants;
        let event = match event {
            StrategyEvent::Warmup(bar) | StrategyEvent::Market(MarketEvent::Bar(bar)) => {
                let Some(of) = guest.book().number(&bar.symbol).filter(|_| wants.bars) else {
                    return Ok(None);
                };
                let is_live = matches!(event, StrategyEvent::Market(_));
                return match guest.on_bar(of, bar.into()) {
                    Ok(intents) => Ok(is_live.then_some(intents)),
                    Err(failure) => {
                        self.poison.push((of, bar.start));
                        Err(failure)
                    }
                };
            }
            StrategyEvent::Market(MarketEvent::Quote(quote)) => {
                let Some(of) = guest.book().number(&quote.symbol).filter(|_| wants.quotes) else {
                    return Ok(None);
                };
                return guest.on_quote(of, &quote.into()).map(Some);
            }
            StrategyEvent::Market(MarketEvent::Trade(trade)) => {
                let Some(of) = guest.book().number(&trade.symbol).filter(|_| wants.trades) else {
                    return Ok(None);
                };
                let (at, size) = (trade.time.as_nanos(), trade.size as f64);
                return guest.on_trade(of, at, trade.price, size).map(Some);
            }
            StrategyEvent::Market(MarketEvent::MarkedBar(bar, _)) => {
                let Some(event) = translate::event(event, guest.book()).filter(|_| wants.bars) else {
                    return Ok(None);
                };
                let of = guest.book().number(&bar.symbol);
                return guest.on_event(&event).map(Some).inspect_err(|_| {
                    self.poison.extend(of.map(|of| (of, bar.start)));
                });
            }
            StrategyEvent::Market(MarketEvent::News(_)) if !wants.news => return Ok(None),
            event => translate::event(event, guest.book()),
        };
        event.map(|event| guest.on_event(&event)).transpose()
    }

    fn absorb(
        &mut self,
        guest: &mut Guest,
        from: Vec<types::Intent>,
        asked: &mut Asked,
    ) -> Result<(), Failure> {
        asked.count += from.len();
        if asked.count > self.bounds.intents_per_event {
            return Err(Failure::TooManyIntents { count: asked.count, limit: self.bounds.intents_per_event });
        }
        for intent in from {
            match translate::intent(intent, guest.book(), self.bounds.time_to_live) {
                Ok(intent) => {
                    self.keep_timer(&intent)?;
                    asked.intents.push(intent);
                }
                Err(refusal) => asked.refused.push_back(refusal),
            }
        }
        Ok(())
    }

    fn keep_timer(&mut self, intent: &Intent) -> Result<(), Failure> {
        self.timers.follow(intent);
        if self.timers.len() > TIMERS_MAX {
            return Err(Failure::TooManyTimers { limit: TIMERS_MAX });
        }
        Ok(())
    }

    fn fail(&mut self, reason: Failure, book: Book, output: Output<'_>) {
        let verdict = self.strikes.record(book.now);
        let strategy = self.strategy();
        self.timers = Timers::default();
        self.life = match verdict {
            Verdict::RestUntil(until) => {
                output(StrategyOutput::Struck { strategy, reason, strikes: self.strikes.count() });
                Life::Resting { book, until }
            }
            Verdict::Quarantine => {
                output(StrategyOutput::Quarantined { strategy, reason });
                Life::Quarantined
            }
        };
    }

    /// Ends a rest when its time has come.
    fn wake(&mut self, event: &StrategyEvent, output: Output<'_>) {
        let Some(time) = event.time() else { return };
        if !matches!(self.life, Life::Resting { until, .. } if time >= until) {
            return;
        }
        let Life::Resting { book, .. } = std::mem::replace(&mut self.life, Life::Quarantined) else {
            unreachable!("it rests, as was just seen");
        };
        self.incarnation = self.incarnation.saturating_add(1);
        match self.restart(book) {
            Ok(guest) => {
                let incarnation = self.incarnation;
                tracing::info!(strategy = self.plugin.name().as_str(), incarnation, "it runs again");
                self.life = Life::Running(guest);
            }
            Err(dead) => self.fail(dead.failure, dead.book, output),
        }
    }

    /// A new life with the book of the old one: the bars it wants for its warm-up are fed again and between
    /// them the open of the session, while that is on; intents are ignored.
    fn restart(&mut self, mut book: Book) -> Result<Box<Guest>, Box<Dead>> {
        let now = std::mem::take(&mut book.now);
        let rows = book.take_bars();
        let (mut guest, mut outcome) = match self.give_birth(book) {
            Ok(guest) => (guest, Ok(())),
            Err(mut dead) => {
                rows.into_iter().for_each(|(of, row)| dead.book.add_bar(of, row));
                dead.book.advance(now);
                return Err(dead);
            }
        };
        let is_warmup = self.last_bars(&rows);
        let mut whole = Deadline::new(self.bounds.refeed_deadline, self.engine.ticks());
        let mut open = guest.book().session;
        for ((of, row), is_warmup) in rows.into_iter().zip(is_warmup) {
            let end = bar_end(row.start);
            if outcome.is_ok()
                && let Some(at) = open.take_if(|at| *at < end)
            {
                outcome = self.reopen(&mut guest, at);
            }
            guest.book().advance(end);
            guest.book().add_bar(of, row);
            if outcome.is_ok() && is_warmup && !self.poison.contains(&(of, row.start)) {
                outcome = self.feed_again(&mut guest, of, row, &mut whole);
            }
        }
        if outcome.is_ok()
            && let Some(at) = open
        {
            outcome = self.reopen(&mut guest, at);
        }
        guest.book().advance(now);
        match outcome {
            Ok(()) => Ok(guest),
            Err(failure) => Err(Box::new(Dead { failure, book: guest.into_book() })),
        }
    }

    /// Feeds one bar again, within one event's deadline and what is left of the `whole` one.
    fn feed_again(
        &mut self,
        guest: &mut Guest,
        of: Instrument,
        row: Row,
        whole: &mut Deadline,
    ) -> Result<(), Failure> {
        let now = self.engine.ticks();
        if whole.ticks_left(now) == 0 && whole.look(now, processor_time()).is_none() {
            return Err(Failure::Timeout {
                call: "on-bar, on all bars again,".into(),
                deadline: whole.span(),
            });
        }
        guest.allow(self.bounds.event_deadline);
        let outcome = guest.on_bar(of, row).map(drop);
        if outcome.is_err() {
            self.poison.push((of, row.start));
        }
        self.pulse.work();
        outcome
    }

    /// Tells a new life of the session that opened at `at`.
    fn reopen(&self, guest: &mut Guest, at: MarketTime) -> Result<(), Failure> {
        guest.book().advance(at);
        guest.allow(self.bounds.event_deadline);
        guest.on_event(&types::Event::SessionOpen(at.as_nanos())).map(drop)
    }

    /// For each row whether it is among the last ones of its instrument that the strategy wants for its
    /// warm-up.
    fn last_bars(&self, rows: &[(Instrument, Row)]) -> Vec<bool> {
        let description = self.plugin.description();
        let mut wanted = std::collections::HashMap::new();
        let mut marks: Vec<bool> = rows
            .iter()
            .rev()
            .map(|(of, _)| {
                let seen: &mut usize = wanted.entry(*of).or_default();
                *seen += 1;
                description.wants.bars && *seen <= description.warmup_bars as usize
            })
            .collect();
        marks.reverse();
        marks
    }

    fn give_birth(&self, book: Book) -> Result<Box<Guest>, Box<Dead>> {
        let host = Host::new(self.strategy(), book, &self.bounds, self.seed, self.incarnation);
        let mut guest = Guest::new(&self.engine, self.plugin.component(), host, self.bounds.start_deadline)?;
        let outcome = guest.describe().and_then(|_| guest.init(&self.parameters));
        match outcome {
            Ok(()) => Ok(Box::new(guest)),
            Err(failure) => Err(Box::new(Dead { failure, book: guest.into_book() })),
        }
    }
}
