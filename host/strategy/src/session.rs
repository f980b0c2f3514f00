//! One strategy from its start to its end: what each event does to it. Runs on whatever thread calls it and
//! reads no clock but the market time in the events; real time comes in as ticks of the engine.
//!
//! ```text
//!             failure                    failure, the last allowed
//!   Running ----------> Resting    Running --------------------> Quarantined
//!    ^   ^                 |          |                               |
//!    |   +--- rest is over-+          +-- events were lost ---> (for good)
//!    |                     |                                          |
//!    +---- a swap ---------+------------------------------------------+
//! ```

mod again;
mod handling;
mod idle;
mod inline;
mod lesson;
mod lives;
mod past;
mod swap;

use std::sync::Arc;

use sandpit_types::{MarketTime, Pulse, StrategyName};

pub use self::swap::Candidate;
use self::{
    handling::{Asked, Rate},
    lives::Poison,
    past::{Had, Past},
    swap::Heir,
};
use crate::{
    Birth, Bounds, Engine, EntryRef, Failure, INTERFACE_VERSION, Manifest, Plugin, PluginError, Recorder,
    Snapshot, StrategyEvent, StrategyOutput, book::Book, cache::sha256, compile::file_name, guest::Guest,
    host::Estate, strikes::Strikes, timers::Timers,
};

/// Where outputs go.
pub(crate) type Output<'a> = &'a mut dyn FnMut(StrategyOutput);

/// What a first life starts from, besides its plugin and what it is granted.
#[derive(Default)]
pub struct Start {
    /// Decides its random numbers; each life gets others.
    pub seed: u64,
    /// The number of the first life: higher than any other since the host started.
    pub incarnation: u32,
    /// What the strategy saved before.
    pub snapshot: Option<Snapshot>,
    /// Who keeps what happens.
    pub recorder: Option<Box<dyn Recorder>>,
}

impl Start {
    /// Without state, unrecorded.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    fn birth(&self, plugin: &Plugin, manifest: &Manifest, bounds: Bounds) -> Result<Birth, PluginError> {
        Ok(Birth {
            strategy: plugin.name().clone(),
            sha256: plugin.sha256().to_owned(),
            interface: INTERFACE_VERSION.to_owned(),
            parameters: serde_json::to_string(&manifest.parameters)
                .expect("a map with text keys is always JSON"),
            instruments: plugin.instruments(manifest)?,
            seed: self.seed,
            incarnation: self.incarnation,
            bounds: manifest
                .bounds(bounds)
                .map_err(|detail| PluginError::Grant { file: file_name(plugin.path()), detail })?,
            rounding: manifest.rounding,
            snapshot: self.snapshot.clone(),
        })
    }
}

pub(crate) struct Session {
    engine: Engine,
    plugin: Plugin,
    /// But for the snapshot, which is in the past.
    birth: Birth,
    incarnation: u32,
    strikes: Strikes,
    timers: Timers,
    rate: Rate,
    poison: Poison,
    past: Past,
    /// Timers that were due by then have fired, or ended with the life that set them.
    fired_until: MarketTime,
    /// Warm-up bars that were complete by then are in the state that it started from.
    starts_after: MarketTime,
    life: Life,
    /// Each event that is told again is a piece of work of the loop.
    pulse: Arc<Pulse>,
    recorder: Option<Box<dyn Recorder>>,
    /// The newest tick that caused nothing, while it is not recorded.
    idle: Option<MarketTime>,
    /// Who learns to take over.
    heir: Option<Box<Heir>>,
    /// Checksum of the one that is told something, or takes over, in this moment: so that a panic of ours
    /// in the midst of it leaves nobody waiting for its end.
    at_it: Option<String>,
    /// In a replay: the calls of the next input that are to be cut off.
    script: Option<Vec<(u32, Failure)>>,
}

enum Life {
    Running(Box<Guest>),
    Resting {
        estate: Box<Estate>,
        until: MarketTime,
    },
    /// With what a new version could take over, if it is not wrong.
    Quarantined(Option<Box<Estate>>),
}

impl Life {
    fn estate(&mut self) -> Option<&mut Box<Estate>> {
        match self {
            Self::Running(guest) => Some(guest.estate()),
            Self::Resting { estate, .. } => Some(estate),
            Self::Quarantined(estate) => estate.as_mut(),
        }
    }
}

impl Session {
    /// Starts the first life.
    pub(crate) fn start(
        engine: &Engine,
        plugin: &Plugin,
        manifest: &Manifest,
        bounds: Bounds,
        start: Start,
        pulse: Arc<Pulse>,
    ) -> Result<Self, PluginError> {
        let birth = start.birth(plugin, manifest, bounds)?;
        Self::born(engine, plugin, birth, pulse, start.recorder, None)
    }

    /// Starts the first life of this birth; in a replay, with the cuts that are to come while it starts.
    pub(crate) fn born(
        engine: &Engine,
        plugin: &Plugin,
        mut birth: Birth,
        pulse: Arc<Pulse>,
        mut recorder: Option<Box<dyn Recorder>>,
        script: Option<Vec<(u32, Failure)>>,
    ) -> Result<Self, PluginError> {
        if let Some(recorder) = &mut recorder {
            recorder.record(EntryRef::Born(&birth));
        }
        let mut estate = Box::new(Estate::new(Book::new(birth.instruments.clone())));
        estate.is_recorded = recorder.is_some();
        let snapshot = birth.snapshot.take();
        let mut session = Self {
            engine: engine.clone(),
            plugin: plugin.clone(),
            incarnation: birth.incarnation,
            strikes: Strikes::new(&birth.bounds),
            timers: Timers::default(),
            rate: Rate::default(),
            poison: Poison::default(),
            starts_after: snapshot.as_ref().map_or(MarketTime::EPOCH, |snapshot| snapshot.time),
            past: Past::starting_from(snapshot),
            fired_until: MarketTime::EPOCH,
            life: Life::Quarantined(Some(estate)),
            birth,
            pulse,
            recorder,
            idle: None,
            heir: None,
            at_it: None,
            script,
        };
        session.begin();
        let Life::Quarantined(Some(estate)) = std::mem::replace(&mut session.life, Life::Quarantined(None))
        else {
            unreachable!("as was just made");
        };
        match session.restart(estate) {
            Ok(mut guest) => {
                session.note(guest.estate());
                session.life = Life::Running(guest);
            }
            Err(dead) => {
                let file = file_name(session.plugin.path());
                return Err(PluginError::Start { file, failure: dead.failure });
            }
        }
        if session.past.snapshot().is_none() {
            // It would not have its state: all bars are news to it.
            session.starts_after = MarketTime::EPOCH;
        }
        Ok(session)
    }

    /// Takes one event in, within one event's deadline; where a rest ends, also within one start's and one
    /// re-feed's.
    pub(crate) fn on(&mut self, event: &StrategyEvent, output: Output<'_>) {
        if let StrategyEvent::Tick(time) = event
            && self.is_idle(*time)
        {
            return self.pass(*time);
        }
        self.record(EntryRef::Event(event));
        self.begin();
        self.wake(event, output);
        match std::mem::replace(&mut self.life, Life::Quarantined(None)) {
            Life::Running(guest) => self.run(guest, event, output),
            Life::Resting { mut estate, until } => {
                estate.book.apply(event);
                self.keep(event, Had::Missed, &estate.book);
                self.life = Life::Resting { estate, until };
            }
            Life::Quarantined(mut estate) => {
                if let Some(estate) = &mut estate {
                    estate.book.apply(event);
                    self.keep(event, Had::Missed, &estate.book);
                }
                self.life = Life::Quarantined(estate);
            }
        }
    }

    /// Events were lost: no strike, no restart, the end.
    pub(crate) fn overflowed(&mut self, limit: usize, output: Output<'_>) {
        self.record(EntryRef::Lost { limit });
        if let Life::Quarantined(estate) = &mut self.life {
            // What a new version could take over is wrong now.
            *estate = None;
            return self.bequeath_nothing(output);
        }
        self.quarantine(Failure::Overflow { limit }, output);
    }

    /// Our own code panicked in one of the other methods: the end, too.
    pub(crate) fn panicked(&mut self, message: String, output: Output<'_>) {
        self.record(EntryRef::Panicked { message: &message });
        self.quarantine(Failure::Host { message }, output);
    }

    fn quarantine(&mut self, reason: Failure, output: Output<'_>) {
        self.past.tear();
        self.life = Life::Quarantined(None);
        self.tell(StrategyOutput::Quarantined { strategy: self.strategy(), reason }, output);
        self.leave_no_fired_timers(output);
        self.bequeath_nothing(output);
    }

    /// Lets go of the strategy, with its state as it is now. A failure of its `save` or `stop` is logged and
    /// changes nothing.
    pub(crate) fn stop(mut self, reason: &str, output: Output<'_>) {
        self.record(EntryRef::Left { reason });
        self.begin();
        self.rest_no_more(output);
        let warn = |strategy: &StrategyName, failure| {
            tracing::warn!(strategy = strategy.as_str(), %failure, "its stop failed");
        };
        if let Life::Running(mut guest) = std::mem::replace(&mut self.life, Life::Quarantined(None)) {
            let saved = self.save(&mut guest, output).and_then(|()| {
                guest.allow(self.birth.bounds.event_deadline);
                guest.stop(reason)
            });
            self.note(guest.estate());
            if let Err(failure) = saved {
                warn(self.plugin.name(), failure);
            }
        }
        self.tell(StrategyOutput::Stopped { strategy: self.strategy() }, output);
    }

    /// Linear memory of the life that runs; one that rests or is quarantined has given it back.
    pub(crate) fn memory_bytes(&self) -> usize {
        match &self.life {
            Life::Running(guest) => guest.memory_bytes(),
            Life::Resting { .. } | Life::Quarantined(_) => 0,
        }
    }

    fn strategy(&self) -> StrategyName {
        self.plugin.name().clone()
    }

    fn run(&mut self, mut guest: Box<Guest>, event: &StrategyEvent, output: Output<'_>) {
        guest.allow(self.birth.bounds.event_deadline);
        let mut asked = Asked::default();
        let mut outcome = self.handle(&mut guest, event, &mut asked);
        self.note(guest.estate());
        // What completed calls asked for counts, even if a later call of the same event failed.
        if !asked.intents.is_empty() {
            let (strategy, incarnation, event_time) = (self.strategy(), self.incarnation, guest.book().now);
            self.tell(
                StrategyOutput::Intents { strategy, incarnation, intents: asked.intents, event_time },
                output,
            );
        }
        if outcome.is_ok() && event.is_live() {
            self.past.count();
            if self.past.is_due(guest.book().now) {
                outcome = self.save(&mut guest, output);
            }
        }
        match outcome {
            Ok(()) => self.life = Life::Running(guest),
            Err(failure) => self.fail(failure, guest.into_estate(), output),
        }
    }

    /// Has the strategy save its state.
    fn save(&mut self, guest: &mut Guest, output: Output<'_>) -> Result<(), Failure> {
        guest.allow(self.birth.bounds.event_deadline);
        let state = guest.save();
        self.note(guest.estate());
        let (state, time) = (state?, guest.book().now);
        let snapshot = (!state.is_empty()).then(|| Snapshot {
            version: self.plugin.description().version.clone(),
            time,
            timers: self.timers.list(),
            state: state.into(),
        });
        self.past.saved(snapshot.clone(), time, guest.book().standing);
        if let Some(snapshot) = snapshot {
            self.tell(StrategyOutput::Snapshot { strategy: self.strategy(), snapshot }, output);
        }
        Ok(())
    }

    /// The same of the one that runs. A failure ends its life.
    fn save_now(&mut self, output: Output<'_>) -> Result<(), Failure> {
        let Life::Running(mut guest) = std::mem::replace(&mut self.life, Life::Quarantined(None)) else {
            unreachable!("asked only of one that runs");
        };
        match self.save(&mut guest, output) {
            Ok(()) => {
                self.life = Life::Running(guest);
                Ok(())
            }
            Err(failure) => {
                self.fail(failure.clone(), guest.into_estate(), output);
                Err(failure)
            }
        }
    }

    /// A new input begins: calls are counted from here.
    fn begin(&mut self) {
        let script = self.script.take();
        if let Some(estate) = self.life.estate() {
            estate.calls.begin(script);
        }
    }

    /// In a replay: these calls of the next input are to be cut off.
    pub(crate) fn foresee(&mut self, cuts: Vec<(u32, Failure)>) {
        self.script = Some(cuts);
    }

    /// Records what guests did meanwhile that is no output.
    fn note(&mut self, estate: &mut Estate) {
        let Some(recorder) = &mut self.recorder else {
            estate.lines.clear();
            return;
        };
        for (level, line) in estate.lines.drain(..) {
            recorder.record(EntryRef::Log { level, line: &line });
        }
        for (call, failure) in estate.calls.take_cuts() {
            recorder.record(EntryRef::Cut { call, failure: &failure });
        }
    }

    fn tell(&mut self, told: StrategyOutput, output: Output<'_>) {
        match &told {
            _ if self.recorder.is_none() => {}
            StrategyOutput::Snapshot { snapshot, .. } => {
                let (bytes, sha256) = (snapshot.state.len(), sha256(&snapshot.state));
                self.record(EntryRef::Saved { bytes, sha256: &sha256 });
            }
            StrategyOutput::Swapped { strategy, sha256, incarnation, .. } => {
                let (strategy, sha256) = (strategy.clone(), sha256.clone());
                let (incarnation, pause) = (*incarnation, std::time::Duration::ZERO);
                let told = StrategyOutput::Swapped { strategy, sha256, incarnation, pause };
                self.record(EntryRef::Output(&told));
            }
            told => self.record(EntryRef::Output(told)),
        }
        output(told);
    }
}
