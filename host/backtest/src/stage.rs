//! Everything that a run moves, and the order in which it moves within one moment.

mod desk;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use sandpit_execution::{DeskConfig, DeskOutput, StillDesk};
use sandpit_fanout::Tape;
use sandpit_local::{LocalBroker, LocalPermit};
use sandpit_report::Curve;
use sandpit_review::{Owners, Reviewer, Sessions};
use sandpit_strategy::{Failure, Inline, Start, StrategyEvent};
use sandpit_types::{
    Bar, HostEpoch, Intent, MarketClock, MarketEvent, MarketTime, StrategyName, StreamHealth, Symbol,
};
use sandpit_venue::{Calendar, Venue};

use crate::{
    BacktestError, End, Settings, bells, bells::Bells, clock::StillClock, marks::Marks, outside::ThisRun,
    record::Record,
};

/// A minute: bars are that long.
const MINUTE: Duration = Duration::from_secs(60);

/// The gates know the sessions of so many days from the first event on.
const CALENDAR: Duration = Duration::from_secs(40 * 366 * 86_400);

/// So long that it never is.
const NEVER: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Breakers and strategy are told of the account when it has moved by this share: exact reads are dear, and a
/// host reads it every ten seconds only. Before every order it is read anyway.
const READ_SHARE: f64 = 1e-4;

/// The least span.
const NANOSECOND: Duration = Duration::from_nanos(1);

/// The least step of time when something is due again at once.
const STEP: Duration = Duration::from_millis(1);

/// Why a moment was not played to its end.
pub(crate) type Stop = Box<End>;

/// One run.
pub(crate) struct Stage {
    clock: Arc<StillClock>,
    broker: Arc<LocalBroker>,
    desk: StillDesk<LocalBroker, Reviewer<ThisRun>>,
    run: ThisRun,
    tape: Arc<Tape>,
    strategy: Inline,
    name: StrategyName,
    bells: Bells,
    /// When something falls due by itself, the bells included.
    due: MarketTime,
    /// Bars of each instrument that are still the past to the strategy.
    warmup: Vec<(Symbol, u32)>,
    /// What the strategy wants, one lot for each call.
    wanted: VecDeque<Vec<Intent>>,
    intents: Vec<Intent>,
    outputs: Vec<DeskOutput>,
    /// Whether the account was not read since something moved.
    is_stale: bool,
    /// What it was worth when it was read last.
    read_equity: f64,
    pub(crate) marks: Marks,
    pub(crate) curve: Curve,
    /// The curve of this run and those before it, when it is one of several stretches.
    pub(crate) whole: Option<Curve>,
    pub(crate) record: Record,
}

impl Stage {
    /// Opens everything as a host does at its start, at `now`.
    pub(crate) fn open(settings: &Settings, now: MarketTime) -> Result<Self, BacktestError> {
        let Settings { engine, plugin, manifest, bounds, venue, .. } = settings;
        let strategy = Inline::start(engine, plugin, manifest, *bounds, Start::new(venue.seed))?;
        let (name, instruments) = (plugin.name().clone(), strategy.instruments().to_vec());
        let clock = Arc::new(StillClock::at(now));
        let broker = Arc::new(LocalBroker::new(venue.clone(), &instruments, clock.clone()));
        let (tape, owners, run) = (Arc::<Tape>::default(), Arc::<Owners>::default(), ThisRun::default());
        owners.take(&name, &instruments, settings.grant.clone()).expect("nobody else owns anything");
        let calendar = if venue.always_open { Calendar::always_open() } else { Calendar::nyse() };
        let sessions = Sessions::new(bells::sessions(&calendar, now, now + CALENDAR));
        let (gates, as_clock) = (settings.limits.clone(), clock.clone() as Arc<dyn MarketClock>);
        let review = Reviewer::new(gates, sessions, tape.clone(), owners, as_clock, run.clone());
        let mut config = DeskConfig::still(HostEpoch(venue.seed));
        // What they would read is read here, when it is needed.
        (config.account_every, config.positions_every) = (NEVER, NEVER);
        (config.activities_every, config.poll_every) = (NEVER, NEVER);
        let mut desk = StillDesk::new(config, broker.clone(), review, Arc::new(LocalPermit), venue.seed);
        desk.open(now)?;
        let cash = venue.cash.to_f64();
        let warmup_bars = plugin.description().warmup_bars;
        let mut stage = Self {
            marks: Marks::new(&instruments, cash),
            warmup: instruments.into_iter().map(|symbol| (symbol, warmup_bars)).collect(),
            curve: Curve::new(now, cash),
            whole: None,
            record: Record::default(),
            bells: Bells::after(calendar, now),
            due: now,
            is_stale: true,
            read_equity: cash,
            wanted: VecDeque::new(),
            intents: Vec::new(),
            outputs: Vec::new(),
            clock,
            broker,
            desk,
            run,
            tape,
            strategy,
            name,
        };
        stage.warmup.retain(|(_, left)| *left > 0);
        Ok(stage)
    }

    /// Tells the strategy of bars from before the run.
    pub(crate) fn warm_up(&mut self, bars: Vec<Bar>, now: MarketTime) -> Result<(), Stop> {
        for bar in bars {
            if self.is_warmup(&bar.symbol) {
                self.tell(&StrategyEvent::Warmup(bar), now)?;
            }
        }
        Ok(())
    }

    /// What a strategy is told before the first event: the account, the session that is on, the state of the
    /// data.
    pub(crate) fn begin(&mut self, now: MarketTime) -> Result<(), Stop> {
        self.read_account(now)?;
        if let Some(day) = self.bells.session(now) {
            self.say(&MarketEvent::SessionOpen(day), now)?;
        }
        self.say(&MarketEvent::Health(StreamHealth::Live, now), now)?;
        self.settle(now)
    }

    /// Plays one moment: events that become known at the same time.
    pub(crate) fn play(&mut self, events: &[MarketEvent], at: MarketTime) -> Result<(), Stop> {
        if self.due < at {
            self.until(at - NANOSECOND)?;
        }
        // A session's last bar belongs to the session: the venue has it before the bell.
        let has_moved = self.broker.on_market(events);
        self.tape.write(events);
        self.is_stale = true;
        for event in events {
            self.marks.note(event);
        }
        if self.due <= at {
            self.until(at)?;
        }
        self.clock.advance(at);
        self.hear(events, at)?;
        if has_moved || !self.wanted.is_empty() {
            self.settle(at)?;
            self.look_ahead(at);
        }
        self.measure(at)
    }

    /// Lets everything happen that falls due until then.
    pub(crate) fn until(&mut self, at: MarketTime) -> Result<(), Stop> {
        while self.due <= at {
            let now = self.due;
            self.clock.advance(now);
            self.broker.advance();
            self.is_stale = true;
            while self.bells.next() <= now {
                let bell = self.bells.ring();
                self.say(&bell, now)?;
                if let MarketEvent::SessionClose(close) = bell {
                    self.broker.ask(|venue| self.marks.hold(venue));
                    self.measure(now)?;
                    self.curves().for_each(|curve| curve.end_day(close));
                }
            }
            if self.strategy.deadline().is_some_and(|timer| timer <= now) {
                self.tell(&StrategyEvent::Tick(now), now)?;
            }
            self.settle(now)?;
            self.look_ahead(now);
        }
        Ok(())
    }

    /// Ends the run: the strategy is let go of.
    pub(crate) fn close(&mut self) {
        self.broker.ask(|venue| self.marks.hold(venue));
    }

    /// Writes down what is held as sold at its last price.
    pub(crate) fn sell_out(&mut self, now: MarketTime) {
        let sold = self.marks.sell_out(now);
        if !sold.is_empty() {
            self.record
                .note(format!("{} positions at {now} are counted as closed at the last price", sold.len()));
        }
        self.record.fills.extend(sold);
    }

    /// The venue's fees: booked, and accrued today.
    pub(crate) fn fees(&self) -> f64 {
        self.broker.ask(|venue| {
            let booked: f64 = venue.fees().iter().map(|fee| fee.amount.to_f64()).sum();
            booked + venue.account().accrued_fees.to_f64()
        })
    }

    /// Tells the strategy what the market says; bars of the past as such.
    fn hear(&mut self, events: &[MarketEvent], at: MarketTime) -> Result<(), Stop> {
        let mut has_bars = false;
        for event in events {
            debug_assert!(event.time() <= at, "nothing is told before it is known");
            if let MarketEvent::Bar(bar) = event {
                has_bars = true;
                if !self.warmup.is_empty() && self.is_warmup(&bar.symbol) {
                    self.tell(&StrategyEvent::Warmup(bar.clone()), at)?;
                    continue;
                }
            }
            self.say(event, at)?;
        }
        if has_bars { self.say(&MarketEvent::BarsComplete(at - MINUTE), at) } else { Ok(()) }
    }

    fn is_warmup(&mut self, symbol: &Symbol) -> bool {
        let Some(at) = self.warmup.iter().position(|(of, _)| of == symbol) else { return false };
        self.warmup[at].1 -= 1;
        if self.warmup[at].1 == 0 {
            self.warmup.swap_remove(at);
        }
        true
    }

    fn say(&mut self, event: &MarketEvent, now: MarketTime) -> Result<(), Stop> {
        let told = self.strategy.on_market(event, &mut self.intents);
        self.heard(told, now, || described(event))
    }

    fn tell(&mut self, event: &StrategyEvent, now: MarketTime) -> Result<(), Stop> {
        let told = self.strategy.on(event, &mut self.intents);
        self.heard(told, now, || format!("{event:?}"))
    }

    /// Keeps what one call wanted. What it wanted before it failed counts, as in a host.
    fn heard(
        &mut self,
        told: Result<(), Failure>,
        at: MarketTime,
        event: impl FnOnce() -> String,
    ) -> Result<(), Stop> {
        if !self.intents.is_empty() {
            for intent in &self.intents {
                self.record.wanted(intent, |symbol| self.marks.last(symbol));
            }
            self.wanted.push_back(std::mem::take(&mut self.intents));
        }
        told.map_err(|failure| Box::new(End::Failed { failure, event: event(), at }))
    }

    /// When something falls due next.
    fn look_ahead(&mut self, now: MarketTime) {
        let own = [self.desk.deadline(), self.strategy.deadline(), Some(self.broker.ask(Venue::deadline))];
        let next = own.into_iter().flatten().fold(self.bells.next(), MarketTime::min);
        self.due = next.max(now + STEP);
    }

    /// Notes what the account is worth; for the breakers, too, when it has moved.
    fn measure(&mut self, now: MarketTime) -> Result<(), Stop> {
        let worth = self.marks.worth();
        let moved = (worth.equity - self.read_equity).abs();
        if self.marks.is_holding() && self.is_stale && moved > READ_SHARE * self.read_equity {
            self.read_account(now)?;
        }
        self.curves().for_each(|curve| curve.push(now, worth.equity, worth.gross, worth.net));
        Ok(())
    }

    fn curves(&mut self) -> impl Iterator<Item = &mut Curve> {
        std::iter::once(&mut self.curve).chain(&mut self.whole)
    }
}

/// An event in a few words.
fn described(event: &MarketEvent) -> String {
    match event {
        MarketEvent::Bar(bar) => format!("the bar of {} that starts at {}", bar.symbol, bar.start),
        MarketEvent::Quote(quote) => format!("the quote of {} at {}", quote.symbol, quote.time),
        MarketEvent::Trade(trade) => format!("the trade of {} at {}", trade.symbol, trade.time),
        other => format!("{other:?}"),
    }
}
