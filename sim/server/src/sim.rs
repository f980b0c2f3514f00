//! The simulator as a whole: the engine, the listeners, the quotas and the clock, shared by all connections.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sandpit_types::MarketTime;
use sandpit_venue::{EventKind, VenueConfig};

use crate::{
    clock::{Elapsed, SimClock},
    engine::Engine,
    keys::{KeyPair, Keys},
    limit::{Api, Quotas, Standing},
    market::Market,
    schedule::{RunPhase, Schedule},
    stream::{
        data::Subscription,
        hub::Hub,
        trades::{self, Listening, Places},
    },
    trading::Trading,
    wire::{self, account::Configuration, clock::NewYork},
};

/// Longest real time between two looks at the market: the clock of the venue goes on without events, too.
const LONGEST_NAP: Duration = Duration::from_millis(20);
/// Shortest, so that other tasks get their turn.
const SHORTEST_NAP: Duration = Duration::from_millis(1);

/// How the broker is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account and its rules.
    pub venue: VenueConfig,
    /// Requests a minute of market time, for each key and each of the two APIs.
    pub requests_per_minute: u32,
    /// Market seconds a real second.
    pub speed: u32,
    /// Who is let in.
    pub keys: Keys,
    /// Real time that a client of the data stream has to authenticate.
    pub auth_timeout: Duration,
    /// Most connections to the trade-updates stream at a time.
    pub trade_connections: usize,
}

impl Settings {
    /// The broker's limit on the trading API.
    pub const REQUESTS_PER_MINUTE: u32 = 200;
    /// What the broker's data stream grants.
    pub const AUTH_TIMEOUT: Duration = Duration::from_secs(10);
    /// The broker lets one program of an account listen to its trade updates.
    pub const TRADE_CONNECTIONS: usize = 1;
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OrderCounts {
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) fills: u64,
    pub(crate) cancels: u64,
}

/// Everything that is changed under the one lock.
pub struct Desk {
    /// The venue and its market.
    pub(crate) engine: Engine,
    /// Listeners of market data.
    pub(crate) data: Hub<Subscription>,
    /// Listeners of trade updates.
    pub(crate) trades: Hub<Listening>,
    /// What is remembered of the account's trading.
    pub(crate) trading: Trading,
    pub(crate) configuration: Configuration,
    pub(crate) counts: OrderCounts,
}

impl Desk {
    /// Plays everything that is due and tells the listeners, in order.
    fn catch_up(&mut self, now: MarketTime) {
        while let Some(due) = self.engine.next_due().filter(|due| *due <= now) {
            self.sample(due);
            let Some((tick, played)) = self.engine.step(now) else { break };
            if played && let Some((channel, symbol)) = wire::market::channel(&tick.event) {
                let number = self.engine.counts.trades;
                let wants = |topic: &Subscription| topic.wants(channel, symbol.as_str());
                self.data.publish(wants, || wire::market::message(&tick, number).into());
            }
            self.tell();
        }
        self.sample(now);
        self.engine.venue.advance(now);
        self.tell();
    }

    /// Notes what the account is worth when a minute has ended before `now`.
    fn sample(&mut self, now: MarketTime) {
        if self.trading.equity.is_due(now) {
            self.trading.note_fees(self.engine.venue.fees());
            self.trading.equity.sample(self.engine.venue.account().equity, now);
        }
    }

    /// Tells the listeners what happened to orders.
    fn tell(&mut self) {
        for event in self.engine.venue.drain_events() {
            self.counts.fills += u64::from(matches!(event.kind, EventKind::Fill | EventKind::PartialFill));
            self.counts.cancels += u64::from(event.kind == EventKind::Canceled);
            self.trading.record(&event, &self.engine.venue);
            for shape in [Listening::Json, Listening::Packed] {
                self.trades.publish(
                    |listening| *listening == shape,
                    || {
                        let update = wire::update::TradeUpdateJson::from(&event);
                        let json = serde_json::to_string(&update).expect("always JSON");
                        trades::in_shape(&json, shape)
                    },
                );
            }
        }
    }
}

/// The simulator.
pub struct Sim {
    settings: Settings,
    clock: SimClock,
    schedule: Arc<Schedule>,
    desk: Mutex<Desk>,
    quotas: Mutex<Quotas>,
    new_york: NewYork,
    /// Places at the trade-updates stream.
    pub(crate) trade_places: Places,
    requests: AtomicU64,
    too_many: AtomicU64,
}

impl Sim {
    /// Sets up a broker over a market. `elapsed` is the real time since the run began and must never go back.
    ///
    /// # Panics
    /// When the market has no session.
    pub fn new(settings: Settings, market: Market, elapsed: Elapsed) -> Arc<Self> {
        let schedule = Arc::new(Schedule::new(&market.days, settings.speed));
        let engine = Engine::new(settings.venue.clone(), market, schedule.clone());
        let desk = Desk {
            trading: Trading::new(settings.venue.seed, settings.venue.cash, engine.venue.now()),
            engine,
            data: Hub::default(),
            trades: Hub::default(),
            configuration: Configuration::default(),
            counts: OrderCounts::default(),
        };
        Arc::new(Self {
            clock: SimClock::new(schedule.clone(), elapsed),
            schedule,
            desk: Mutex::new(desk),
            quotas: Mutex::new(Quotas::new(settings.requests_per_minute)),
            new_york: NewYork::new(),
            trade_places: Places::new(settings.trade_connections),
            requests: AtomicU64::new(0),
            too_many: AtomicU64::new(0),
            settings,
        })
    }

    /// How the broker is set up.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Does something at the desk, at the present moment: all that happened until now has been played, and
    /// what the deed brings about is told before anybody else gets a turn.
    pub(crate) fn with<R>(&self, deed: impl FnOnce(&mut Desk, MarketTime) -> R) -> R {
        let mut desk = lock(&self.desk);
        // Read under the lock, so that the order of turns is the order of times.
        let now = self.clock.now();
        desk.catch_up(now);
        let result = deed(&mut desk, now);
        desk.tell();
        result
    }

    /// Keeps the market going; never returns.
    pub async fn run(self: Arc<Self>) {
        loop {
            let nap = self.with(|desk, now| {
                let next = desk.engine.next_due();
                let deadline = desk.engine.venue.deadline();
                self.nap(now, next.map_or(deadline, |at| at.min(deadline)))
            });
            tokio::time::sleep(nap).await;
        }
    }

    /// How long nothing has to be done, in real time, when the next thing is due at market time `due`.
    fn nap(&self, now: MarketTime, due: MarketTime) -> Duration {
        // At the end of the run the clock stands still before what is due next, which never comes.
        if self.schedule.phase(now) == RunPhase::Done {
            return LONGEST_NAP;
        }
        self.clock.real_until(due).clamp(SHORTEST_NAP, LONGEST_NAP)
    }

    /// Counts a request and says how its sender stands, with the time of the quota's reset in UNIX seconds.
    pub(crate) fn admit(&self, pair: &KeyPair, api: Api) -> (Standing, i64) {
        let standing = lock(&self.quotas).on_request(&pair.key, api, self.clock.flow());
        if !standing.admitted {
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
    use sandpit_types::{SessionDay, Symbol};

    use super::*;

    #[test]
    fn it_naps_until_what_is_due_and_long_when_all_is_over() {
        let at = |text: &str| MarketTime::parse(&format!("2026-03-16T{text}Z")).expect(text);
        let days = vec![SessionDay { open: at("13:30:00"), close: at("20:00:00") }];
        let market = Market { symbols: vec![Symbol::new("SPY")], days, feed: Box::new(std::iter::empty()) };
        let settings = Settings {
            venue: VenueConfig::default(),
            requests_per_minute: Settings::REQUESTS_PER_MINUTE,
            speed: 60,
            keys: Keys::any(),
            auth_timeout: Settings::AUTH_TIMEOUT,
            trade_connections: Settings::TRADE_CONNECTIONS,
        };
        // The clock stands at the start of the run.
        let sim = Sim::new(settings, market, Box::new(|| Duration::ZERO));
        let start = at("13:25:00");
        let check = |now, due, millis| assert_eq!(sim.nap(now, due), Duration::from_millis(millis));
        check(start, start, 1);
        check(start, start + Duration::from_millis(600), 10);
        check(start, at("13:30:00"), 20);
        check(at("20:01:00"), start, 20);
        check(at("20:01:00"), at("20:01:00") + Duration::from_secs(86_400), 20);
    }
}
