//! The market's clock: real time since the start, through its hands and the schedule. It can be stopped, set
//! forward and made faster, but never set back, except by starting the run anew.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sandpit_types::MarketTime;

use crate::schedule::Schedule;

/// Real time since the run began; each binary and test hands in its own.
pub type Elapsed = Box<dyn Fn() -> Duration + Send + Sync>;

/// Most market seconds a real second.
pub const MAX_SPEED: u32 = 100_000;

/// Where the clock was set last, and how it goes on from there. Pure: real time is an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hands {
    /// Real time when it was set.
    since: Duration,
    /// What had been played then.
    played: Duration,
    /// Market seconds a real second.
    speed: u32,
    paused: bool,
}

impl Hands {
    fn played_at(&self, real: Duration) -> Duration {
        if self.paused {
            return self.played;
        }
        self.played.saturating_add(real.saturating_sub(self.since).saturating_mul(self.speed))
    }

    /// The same moment, from which another gait can begin.
    fn set_at(self, real: Duration) -> Self {
        Self { since: real, played: self.played_at(real), ..self }
    }

    /// Real time from `real` until so much is played; `None` while the clock stands.
    fn until(&self, played: Duration, real: Duration) -> Option<Duration> {
        let left = played.saturating_sub(self.played_at(real));
        (!self.paused).then(|| left / self.speed)
    }
}

/// Tells market time.
pub struct SimClock {
    schedule: Arc<Schedule>,
    elapsed: Elapsed,
    hands: Mutex<Hands>,
}

impl SimClock {
    /// A clock that plays `schedule` at `speed` market seconds a real second, from its start on; if it is
    /// `paused`, it stands there. `elapsed` must never go back.
    pub fn new(schedule: Arc<Schedule>, speed: u32, paused: bool, elapsed: Elapsed) -> Self {
        let hands = Hands { since: Duration::ZERO, played: Duration::ZERO, speed, paused };
        Self { schedule, elapsed, hands: Mutex::new(hands) }
    }

    /// Market time now.
    pub fn now(&self) -> MarketTime {
        self.schedule.at(self.flow())
    }

    /// Real time since the program's start.
    pub fn real(&self) -> Duration {
        (self.elapsed)()
    }

    /// Market time that has passed since the start, jumps left out; it goes on after the end of the run, when
    /// market time stands still.
    pub fn flow(&self) -> Duration {
        self.hands().played_at((self.elapsed)())
    }

    /// Real time until market time `at`, zero if it is past; `None` while the clock is paused.
    pub fn real_until(&self, at: MarketTime) -> Option<Duration> {
        self.hands().until(self.schedule.played_at(at), (self.elapsed)())
    }

    /// Market seconds a real second, when it is not paused.
    pub fn speed(&self) -> u32 {
        self.hands().speed
    }

    /// Whether it stands still.
    pub fn is_paused(&self) -> bool {
        self.hands().paused
    }

    /// Stops it, or lets it go on.
    pub fn set_paused(&self, paused: bool) {
        self.change(|hands| hands.paused = paused);
    }

    /// Makes it go at `speed` market seconds a real second, at least 1.
    pub fn set_speed(&self, speed: u32) {
        self.change(|hands| hands.speed = speed.max(1));
    }

    /// Sets it forward to where so much of the run has been played; what is past changes nothing.
    pub fn forward_to(&self, played: Duration) {
        self.change(|hands| hands.played = hands.played.max(played));
    }

    /// Sets it back to the start of the run. Its gait stays.
    pub fn restart(&self) {
        self.change(|hands| hands.played = Duration::ZERO);
    }

    fn change(&self, change: impl FnOnce(&mut Hands)) {
        let mut hands = self.hands();
        *hands = hands.set_at((self.elapsed)());
        change(&mut hands);
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        // Every change is complete in itself: a panic elsewhere leaves sound hands.
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use sandpit_types::SessionDay;

    use super::*;

    #[test]
    fn it_stops_goes_on_and_is_set_forward_but_never_back() {
        let at = |text: &str| MarketTime::parse(&format!("2026-03-16T{text}Z")).expect(text);
        let days = [SessionDay { open: at("13:30:00"), close: at("20:00:00") }];
        let real = Arc::new(AtomicU64::new(0));
        let reads = real.clone();
        let elapsed = Box::new(move || Duration::from_secs(reads.load(Ordering::SeqCst)));
        let clock = SimClock::new(Arc::new(Schedule::new(&days, 1)), 1, false, elapsed);
        let check = |secs: u64, expected: &str| {
            real.fetch_add(secs, Ordering::SeqCst);
            assert_eq!(clock.now(), at(expected));
        };
        check(0, "13:25:00");
        check(10, "13:25:10");
        clock.set_paused(true);
        check(100, "13:25:10");
        assert_eq!(clock.real_until(at("13:30:00")), None);
        clock.forward_to(Duration::from_secs(60));
        check(0, "13:26:00");
        clock.forward_to(Duration::from_secs(30));
        check(0, "13:26:00");
        clock.set_speed(60);
        check(100, "13:26:00");
        clock.set_paused(false);
        check(1, "13:27:00");
        assert_eq!(clock.real_until(at("13:30:00")), Some(Duration::from_secs(3)));
        clock.set_speed(1);
        check(3, "13:27:03");
        clock.restart();
        check(2, "13:25:02");
        assert_eq!(clock.real_until(at("13:25:00")), Some(Duration::ZERO));
        let elapsed = Box::new(|| Duration::from_secs(100));
        let clock = SimClock::new(Arc::new(Schedule::new(&days, 1)), 1, true, elapsed);
        assert_eq!(clock.now(), at("13:25:00"), "it has never gone");
    }
}
