//! The simulator as a whole: the desk, the quotas and the clock, shared by all connections.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sandpit_types::{MarketTime, SessionDay, Symbol, Usd};
use sandpit_venue::VenueConfig;

pub use crate::desk::Desk;
use crate::{
    clock::{Elapsed, SimClock},
    data::DataError,
    deeds::Deeds,
    engine::Engine,
    faults::{Rule, Target},
    keys::{KeyPair, Keys},
    limit::{Api, Quotas, Rates, Standing},
    market::{Market, Rewind},
    schedule::{RunPhase, Schedule},
    stream::{
        data::{Door, Plan},
        trades::Places,
    },
    wire::{clock::NewYork, market::MarketMessage},
};

/// Longest real time between two looks at the market: the clock of the venue goes on without events, too.
const LONGEST_NAP: Duration = Duration::from_millis(20);
/// Shortest, so that other tasks get their turn.
const SHORTEST_NAP: Duration = Duration::from_millis(1);
/// Most events that are played in one turn when the clock is set forward: listeners must be able to follow.
const SLICE_EVENTS: usize = 1_024;
/// Room that a listener must have for the next turn, in frames: an event makes a few at most.
const SLICE_FRAMES: usize = 4 * SLICE_EVENTS;
/// Longest real wait for listeners to make room, whoever has none then is dropped as too slow; and for those
/// that were cut to go.
const LISTENER_PATIENCE: Duration = Duration::from_secs(5);

/// How the broker is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account and its rules.
    pub venue: VenueConfig,
    /// Requests a minute of market time to the trading API, for each key.
    pub requests_per_minute: u32,
    /// The same for market data; `None`: as many as to the trading API.
    pub data_requests_per_minute: Option<u32>,
    /// Market seconds a real second.
    pub speed: u32,
    /// Whether the clock stands still at the start of the run until somebody works it.
    pub paused: bool,
    /// Who is let in.
    pub keys: Keys,
    /// Real time that a client of the data stream has to authenticate.
    pub auth_timeout: Duration,
    /// Real time between two pings of a stream's client; after three without any answer it is taken for gone.
    pub ping_every: Duration,
    /// Most connections to the trade-updates stream at a time.
    pub trade_connections: usize,
    /// What the account has paid for, as far as market data goes.
    pub plan: Plan,
    /// Connections that each key may have at each endpoint of the data stream.
    pub connections_per_endpoint: u32,
    /// What goes wrong from the start on; at most [`crate::faults::MAX_RULES`].
    pub faults: Vec<Rule>,
}

impl Settings {
    /// The broker's limit on the trading API.
    pub const REQUESTS_PER_MINUTE: u32 = Rates::BASIC.trading;
    /// Most cash, US dollars: beyond it positions would not fit into decimals.
    pub const MAX_CASH: i64 = 1_000_000_000_000;
    /// What the broker's data stream grants.
    pub const AUTH_TIMEOUT: Duration = Duration::from_secs(10);
    /// Clients of the broker are taken for gone after about a minute and a half of silence.
    pub const PING_EVERY: Duration = Duration::from_secs(30);
    /// The broker lets one program of an account listen to its trade updates.
    pub const TRADE_CONNECTIONS: usize = 1;
    /// The broker's limit on connections to the data stream.
    pub const CONNECTIONS_PER_ENDPOINT: u32 = 1;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            venue: VenueConfig::default(),
            requests_per_minute: Rates::BASIC.trading,
            data_requests_per_minute: None,
            speed: 1,
            paused: false,
            keys: Keys::any(),
            auth_timeout: Self::AUTH_TIMEOUT,
            ping_every: Self::PING_EVERY,
            trade_connections: Self::TRADE_CONNECTIONS,
            plan: Plan::default(),
            connections_per_endpoint: Self::CONNECTIONS_PER_ENDPOINT,
            faults: Vec::new(),
        }
    }
}

/// A run cannot begin anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResetError {
    /// The market was handed in as it came.
    #[error("this market can be played once only; start another simulator")]
    OnceOnly,
    /// Its files are not what they were.
    #[error("the market cannot be read again: {0}")]
    Data(#[from] DataError),
}

/// The right to move the clock over long stretches; there is one.
pub(crate) struct Turn<'a> {
    _only: tokio::sync::MutexGuard<'a, ()>,
}

/// The simulator.
pub struct Sim {
    settings: Settings,
    clock: SimClock,
    schedule: Arc<Schedule>,
    symbols: Vec<Symbol>,
    days: Vec<SessionDay>,
    desk: Mutex<Desk>,
    rewind: Mutex<Option<Rewind>>,
    quotas: Mutex<Quotas>,
    /// Held while the clock is being set forward.
    advancing: tokio::sync::Mutex<()>,
    /// How many wait for their turn to begin the run anew: an advance under way makes room for them.
    resets_wanted: AtomicUsize,
    /// What clients have asked for.
    pub(crate) deeds: Deeds,
    new_york: NewYork,
    /// Places at the trade-updates stream.
    pub(crate) trade_places: Places,
    door: Arc<Door>,
    requests: AtomicU64,
    too_many: AtomicU64,
    /// Whether any fault may hit a request: most runs have none, and no request should wait for that.
    has_request_faults: AtomicBool,
}

impl Sim {
    /// Sets up a broker over a market. `elapsed` is the real time since the run began and must never go back.
    ///
    /// # Panics
    /// When the market has no session, or there are more faults than rules are allowed.
    pub fn new(settings: Settings, market: Market, elapsed: Elapsed) -> Arc<Self> {
        let schedule = Arc::new(Schedule::new(&market.days, settings.speed));
        let Market { symbols, days, feed, rewind } = market;
        let setup = settings.venue.clone();
        let engine = Engine::new(setup.clone(), &symbols, &days, feed, schedule.clone());
        let mut desk = Desk::new(engine, setup, schedule.start(), schedule.end());
        desk.arm(&settings.faults, schedule.start());
        let trading = settings.requests_per_minute;
        let rates = Rates { trading, data: settings.data_requests_per_minute.unwrap_or(trading) };
        Arc::new(Self {
            clock: SimClock::new(schedule.clone(), settings.speed, settings.paused, elapsed),
            schedule,
            symbols,
            days,
            has_request_faults: AtomicBool::new(desk.faults.aim_at(Target::Request)),
            desk: Mutex::new(desk),
            rewind: Mutex::new(rewind),
            quotas: Mutex::new(Quotas::new(rates)),
            advancing: tokio::sync::Mutex::new(()),
            resets_wanted: AtomicUsize::new(0),
            deeds: Deeds::new(),
            new_york: NewYork::new(),
            trade_places: Places::new(settings.trade_connections),
            door: Door::new(settings.plan, settings.connections_per_endpoint),
            requests: AtomicU64::new(0),
            too_many: AtomicU64::new(0),
            settings,
        })
    }

    /// How the broker is set up.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The market's clock.
    pub(crate) fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// Which stretches of time are played.
    pub(crate) fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Does something at the desk, at the present moment: all that happened until now has been played, and
    /// what the deed brings about is told before anybody else gets a turn.
    pub(crate) fn with<R>(&self, deed: impl FnOnce(&mut Desk, MarketTime) -> R) -> R {
        let mut desk = lock(&self.desk);
        // Read under the lock, so that the order of turns is the order of times.
        let now = self.clock.now();
        desk.catch_up(now, self.clock.real());
        let result = deed(&mut desk, now);
        desk.tell();
        result
    }

    /// Puts a message of the data stream into the market, at the present moment.
    ///
    /// # Errors
    /// When it is none: see [`MarketMessage::read`].
    pub fn inject(&self, told: serde_json::Value) -> Result<(), String> {
        self.with(|desk, now| {
            let message = MarketMessage::read(told, now)?;
            desk.check_time(&message, now)?;
            desk.inject(message, now);
            Ok(())
        })
    }

    /// Does something to the rules of faults.
    pub(crate) fn with_rules<R>(&self, deed: impl FnOnce(&mut Desk, MarketTime) -> R) -> R {
        self.with(|desk, now| {
            let result = deed(desk, now);
            desk.rules_changed(now);
            self.has_request_faults.store(desk.faults.aim_at(Target::Request), Ordering::Release);
            result
        })
    }

    /// Whether any fault may hit a request.
    pub(crate) fn has_request_faults(&self) -> bool {
        self.has_request_faults.load(Ordering::Acquire)
    }

    /// Keeps the market going; never returns.
    pub async fn run(self: Arc<Self>) {
        loop {
            let nap = self.with(|desk, now| self.nap(now, desk.next_due()));
            tokio::time::sleep(nap).await;
        }
    }

    /// Waits until nobody else sets the clock forward or begins the run anew.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        Turn { _only: self.advancing.lock().await }
    }

    /// Sets the clock forward to where so much of the run has been played. Everything on the way is played in
    /// order, in turns that listeners can follow; requests that come meanwhile see the market where it is.
    /// Whether it got there: it stops on the way when somebody wants the run to begin anew.
    pub(crate) async fn advance_to(&self, _turn: &Turn<'_>, played: Duration) -> bool {
        while !self.advance_a_little(played) {
            self.wait_for_listeners().await;
            if self.resets_wanted.load(Ordering::SeqCst) > 0 {
                return false;
            }
        }
        true
    }

    /// One turn; whether it was the last.
    fn advance_a_little(&self, played: Duration) -> bool {
        let mut desk = lock(&self.desk);
        let target = self.schedule.at(played).max(self.clock.now());
        let mut reached = None;
        for _ in 0..SLICE_EVENTS {
            let Some(at) = desk.play_next(target) else {
                self.clock.forward_to(played);
                desk.catch_up(target, self.clock.real());
                return true;
            };
            reached = Some(at);
        }
        if let Some(at) = reached {
            self.clock.forward_to(self.schedule.played_at(at));
        }
        false
    }

    async fn wait_for_listeners(&self) {
        if !self.wait_for(|desk| desk.have_room(SLICE_FRAMES)).await {
            lock(&self.desk).drop_slow(SLICE_FRAMES);
        }
    }

    /// Waits for something that streams do, as long as is fair; whether they did it.
    async fn wait_for(&self, is_so: impl Fn(&Desk) -> bool) -> bool {
        let waiting = async {
            while !is_so(&lock(&self.desk)) {
                tokio::time::sleep(SHORTEST_NAP).await;
            }
        };
        tokio::time::timeout(LISTENER_PATIENCE, waiting).await.is_ok()
    }

    /// Begins the run anew: a fresh account and the market from its start. All streams and all requests under
    /// way are cut, the log is empty, and the faults are those of the settings. The clock's gait stays. Ends
    /// when the connections that were cut have gone, so that their places are free.
    pub(crate) async fn reset(&self, seed: Option<u64>, cash: Option<Usd>) -> Result<(), ResetError> {
        self.resets_wanted.fetch_add(1, Ordering::SeqCst);
        let turn = self.turn().await;
        self.resets_wanted.fetch_sub(1, Ordering::SeqCst);
        self.deeds.begin_anew(|| self.begin_anew(seed, cash))?;
        drop(turn);
        // Whoever does not let itself be cut in this time keeps its place a little longer.
        self.wait_for(|desk| !desk.presence.has_leavers()).await;
        Ok(())
    }

    fn begin_anew(&self, seed: Option<u64>, cash: Option<Usd>) -> Result<(), ResetError> {
        let mut desk = lock(&self.desk);
        let mut setup = desk.setup.clone();
        setup.seed = seed.unwrap_or(setup.seed);
        setup.cash = cash.unwrap_or(setup.cash);
        let mut rewind = lock(&self.rewind);
        let feed = rewind.as_mut().ok_or(ResetError::OnceOnly)?(setup.seed)?;
        let engine = Engine::new(setup.clone(), &self.symbols, &self.days, feed, self.schedule.clone());
        desk.reset(engine, setup, self.schedule.start());
        desk.arm(&self.settings.faults, self.schedule.start());
        self.has_request_faults.store(desk.faults.aim_at(Target::Request), Ordering::Release);
        self.clock.restart();
        lock(&self.quotas).clear();
        self.requests.store(0, Ordering::Relaxed);
        self.too_many.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// How long nothing has to be done, in real time, when the next thing is due at market time `due`.
    fn nap(&self, now: MarketTime, due: MarketTime) -> Duration {
        // At the end of the run the clock stands still before what is due next, which never comes.
        if self.schedule.phase(now) == RunPhase::Done {
            return LONGEST_NAP;
        }
        self.clock.real_until(due).map_or(LONGEST_NAP, |nap| nap.clamp(SHORTEST_NAP, LONGEST_NAP))
    }

    /// Counts a request and says how its sender stands, with the time of the quota's reset in UNIX seconds.
    /// Without keys nobody is charged.
    pub(crate) fn admit(&self, pair: Option<&KeyPair>, api: Api) -> (Standing, i64) {
        let mut quotas = lock(&self.quotas);
        let standing = match pair {
            Some(pair) => quotas.on_request(pair.owner(), api, self.clock.flow()),
            None => quotas.of_nobody(api),
        };
        drop(quotas);
        if pair.is_some() && !standing.admitted {
            self.too_many.fetch_add(1, Ordering::Relaxed);
        }
        let reset = self.clock.now() + standing.reset;
        (standing, reset.as_millis().div_euclid(1_000) + 1)
    }

    /// The number of a new request, counted from 1.
    pub(crate) fn number_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Requests so far, and how many of them were told to wait.
    pub(crate) fn request_counts(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.too_many.load(Ordering::Relaxed))
    }

    /// Where the run stands.
    pub(crate) fn phase(&self, now: MarketTime) -> RunPhase {
        match self.schedule.phase(now) {
            RunPhase::Pre | RunPhase::Post if self.settings.venue.always_open => RunPhase::Open,
            phase => phase,
        }
    }

    /// Who may come in to the data streams.
    pub(crate) fn door(&self) -> &Arc<Door> {
        &self.door
    }

    pub(crate) fn new_york(&self) -> &NewYork {
        &self.new_york
    }
}

/// Takes a lock. A panic under it is a bug that the client whose turn it was has seen; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use sandpit_types::{MarketEvent, Trade};

    use super::*;
    use crate::{data::Tick, faults::Stream};

    /// A run can begin anew, and a fault lets connections count on that have gone.
    fn haunted_sim() -> Arc<Sim> {
        let at = |text: &str| MarketTime::parse(&format!("2026-03-16T{text}Z")).expect(text);
        let days = vec![SessionDay { open: at("13:30:00"), close: at("20:00:00") }];
        let rewind: Rewind = Box::new(|_| Ok(Box::new(std::iter::empty())));
        let symbols = vec![Symbol::new("SPY")];
        let market = Market { symbols, days, feed: Box::new(std::iter::empty()), rewind: Some(rewind) };
        let faults = vec![Rule::from_json(br#"{"kind":"ghost"}"#).expect("a rule")];
        Sim::new(Settings { faults, ..Settings::default() }, market, Box::new(|| Duration::ZERO))
    }

    #[tokio::test]
    async fn a_reset_waits_for_those_it_cuts_and_they_leave_no_ghosts() {
        let sim = haunted_sim();
        let held = Arc::new(());
        let enter = || sim.with(|desk, _| desk.presence.enter());
        let leave = |run| sim.with(|desk, now| desk.leave(Stream::Data, run, Some(held.clone()), now));
        leave(enter());
        assert_eq!(Arc::strong_count(&held), 2, "a ghost");
        let run = enter();
        let reset = tokio::spawn({
            let sim = sim.clone();
            async move { sim.reset(None, None).await }
        });
        while sim.with(|desk, _| desk.presence.run()) == run {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        assert!(!reset.is_finished(), "it waits");
        assert_eq!(Arc::strong_count(&held), 1, "the old run's ghost has gone");
        leave(run);
        reset.await.expect("no panic").expect("a market that can be played again");
        assert_eq!(Arc::strong_count(&held), 1, "no ghost of the old run");
        assert_eq!(sim.with(|desk, _| desk.faults.rules()[0].chances), 0);
        leave(enter());
        assert_eq!(Arc::strong_count(&held), 2, "the new run has its own");
    }

    #[tokio::test]
    async fn a_reset_stops_an_advance_on_its_way() {
        let open = MarketTime::parse("2026-03-16T13:30:00Z").expect("a time");
        let symbol = Symbol::new("SPY");
        let trade = Trade { symbol: symbol.clone(), time: open, price: 1.0, size: 1 };
        let ticks =
            move || std::iter::repeat_n(Tick::new(MarketEvent::Trade(trade.clone())), 3 * SLICE_EVENTS);
        let (feed, again) = (Box::new(ticks()), ticks);
        let rewind: Rewind = Box::new(move |_| Ok(Box::new(again())));
        let days = vec![SessionDay { open, close: open + Duration::from_secs(23_400) }];
        let market = Market { symbols: vec![symbol], days, feed, rewind: Some(rewind) };
        let sim = Sim::new(Settings::default(), market, Box::new(|| Duration::ZERO));
        let turn = sim.turn().await;
        let reset = tokio::spawn({
            let sim = sim.clone();
            async move { sim.reset(None, None).await }
        });
        while sim.resets_wanted.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(!sim.advance_to(&turn, Duration::from_secs(3_600)).await, "it makes room");
        drop(turn);
        reset.await.expect("no panic").expect("a market that can be played again");
        let turn = sim.turn().await;
        assert!(sim.advance_to(&turn, Duration::from_secs(3_600)).await, "nobody wants another");
    }

    #[test]
    fn it_naps_until_what_is_due_and_long_when_all_is_over_or_paused() {
        let at = |text: &str| MarketTime::parse(&format!("2026-03-16T{text}Z")).expect(text);
        let days = vec![SessionDay { open: at("13:30:00"), close: at("20:00:00") }];
        let symbols = vec![Symbol::new("SPY")];
        let market = Market { symbols, days, feed: Box::new(std::iter::empty()), rewind: None };
        // The clock stands at the start of the run.
        let settings = Settings { speed: 60, ..Settings::default() };
        let sim = Sim::new(settings, market, Box::new(|| Duration::ZERO));
        let start = at("13:25:00");
        let check = |now, due, millis| assert_eq!(sim.nap(now, due), Duration::from_millis(millis));
        check(start, start, 1);
        check(start, start + Duration::from_millis(600), 10);
        check(start, at("13:30:00"), 20);
        check(at("20:01:00"), start, 20);
        check(at("20:01:00"), at("20:01:00") + Duration::from_secs(86_400), 20);
        sim.clock().set_paused(true);
        check(start, start, 20);
    }
}
