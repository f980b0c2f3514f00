//! Is the machine too slow for its loops? Then a loop that stands still may be no hang: it loses its lease
//! all the same, but its process gets more time.
//!
//! Told by what the hypervisor took (steal), by how late the watchdog's own turns come, and by how long
//! somebody waited for a processor (pressure). The last alone tells nothing: on a busy machine somebody
//! always waits, and everybody gets a turn.

use std::{collections::VecDeque, fmt, time::Duration};

use sandpit_contract::BootTime;

use crate::memory::Read;

/// A starved machine's loops are given so many times what they may stand still otherwise.
pub(crate) const PATIENCE: u32 = 3;

/// Figures are those of so long.
const WINDOW: Duration = Duration::from_secs(3);
/// Readings kept: four a second, and one at each end.
const READINGS_MAX: usize = 16;
/// Late turns kept: as many as there can be in a window.
const LATE_MAX: usize = 32;
/// A turn of 50 ms that comes later than this after the last one is late.
const LATE_FROM: Duration = Duration::from_millis(100);
/// Starved: steal of so much of all time, per mille.
const STARVED_STEAL_PERMILLE: u32 = 250;
/// Starved: own turns so late in sum, milliseconds; a tenth of the window.
const STARVED_LATE_MS: u64 = 300;
/// Starved: somebody waits so much of the time, per mille, and our own turns are noticeably late, too.
const STARVED_PRESSURE_PERMILLE: u32 = 800;
/// What is noticeable, milliseconds in sum.
const PRESSED_LATE_MS: u64 = 100;

/// What the kernel counts up. A count that it does not keep is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Microseconds in which somebody waited for a processor.
    pub(crate) waited_us: Option<u64>,
    /// Ticks that the hypervisor took, and all ticks.
    pub(crate) steal: Option<(u64, u64)>,
}

/// Reads the counts of this machine.
pub(crate) fn counts(read: Read<'_>) -> Counts {
    Counts {
        waited_us: read("/proc/pressure/cpu").and_then(|text| total(&text)),
        steal: read("/proc/stat").and_then(|text| ticks(&text)),
    }
}

/// From a pressure file: microseconds in all in which some waited.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    line.split_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

/// From `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; guests are in the first two.
fn ticks(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
    Some((*ticks.get(7)?, ticks.iter().sum()))
}

/// How slow the machine was in the last three seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Share of time in which somebody waited for a processor.
    pub(crate) pressure_permille: Option<u32>,
    /// Share of time that the hypervisor took.
    pub(crate) steal_permille: Option<u32>,
    /// How late the watchdog's turns came, in sum.
    pub(crate) late_ms: u64,
}

impl Figures {
    /// Too slow for its loops.
    pub(crate) fn is_starved(self) -> bool {
        let is_pressed = self.pressure_permille.is_some_and(|share| share >= STARVED_PRESSURE_PERMILLE);
        self.steal_permille.is_some_and(|share| share >= STARVED_STEAL_PERMILLE)
            || self.late_ms >= STARVED_LATE_MS
            || is_pressed && self.late_ms >= PRESSED_LATE_MS
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |share: Option<u32>| {
            share.map_or("unknown".into(), |share| format!("{}.{} %", share / 10, share % 10))
        };
        let (pressure, steal) = (share(self.pressure_permille), share(self.steal_permille));
        write!(formatter, "cpu pressure {pressure}, steal {steal}, own turns late {} ms", self.late_ms)
    }
}

/// The last seconds of the machine.
#[derive(Debug, Default)]
pub(crate) struct Starvation {
    readings: VecDeque<(BootTime, Counts)>,
    late: VecDeque<(BootTime, Duration)>,
}

impl Starvation {
    /// Takes a reading in.
    pub(crate) fn on(&mut self, counts: Counts, now: BootTime) {
        // One that is older than the window stays: the window begins at it.
        while self.readings.get(1).is_some_and(|(at, _)| now.since(*at) >= WINDOW)
            || self.readings.len() >= READINGS_MAX
        {
            self.readings.pop_front();
        }
        self.readings.push_back((now, counts));
    }

    /// A turn of ours came so long after the one before.
    pub(crate) fn turned(&mut self, gap: Duration, now: BootTime) {
        while self.late.front().is_some_and(|(at, _)| now.since(*at) >= WINDOW) || self.late.len() >= LATE_MAX
        {
            self.late.pop_front();
        }
        if gap > LATE_FROM {
            self.late.push_back((now, gap - LATE_FROM));
        }
    }

    /// The machine stood still: what was counted meanwhile says nothing about now.
    pub(crate) fn rebase(&mut self) {
        *self = Self::default();
    }

    /// As of now. Readings that ended long ago say nothing.
    pub(crate) fn figures(&self, now: BootTime) -> Figures {
        let late = self.late.iter().filter(|(at, _)| now.since(*at) < WINDOW).map(|(_, late)| *late);
        let late_ms = u64::try_from(late.sum::<Duration>().as_millis()).unwrap_or(u64::MAX);
        let both = self.readings.front().zip(self.readings.back());
        let Some((from, to)) = both.filter(|(from, to)| from.0 < to.0 && now.since(to.0) < WINDOW) else {
            return Figures { late_ms, ..Figures::default() };
        };
        let span_us = u64::try_from(to.0.since(from.0).as_micros()).unwrap_or(u64::MAX);
        let waited = from.1.waited_us.zip(to.1.waited_us);
        let ticks = from.1.steal.zip(to.1.steal);
        Figures {
            pressure_permille: waited.map(|(before, after)| permille(after.saturating_sub(before), span_us)),
            steal_permille: ticks.map(|(before, after)| {
                permille(after.0.saturating_sub(before.0), after.1.saturating_sub(before.1))
            }),
            late_ms,
        }
    }
}

fn permille(part: u64, whole: u64) -> u32 {
    let share = u128::from(part) * 1000 / u128::from(whole.max(1));
    u32::try_from(share.min(1000)).unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> BootTime {
        BootTime::from_nanos(ms * 1_000_000)
    }

    /// Four readings a second for five seconds in which somebody waited for `pressure` and the hypervisor
    /// took `steal` of a thousand, and turns that came with these gaps at the end.
    fn figures(pressure: u64, steal: u64, gaps: &[u64]) -> Figures {
        let mut starvation = Starvation::default();
        for n in 0..=20u64 {
            let counts = Counts {
                waited_us: Some(7 + n * 250 * pressure),
                steal: Some((9 + n * 50 * steal / 1000, 1000 + n * 50)),
            };
            starvation.on(counts, at(n * 250));
        }
        gaps.iter().for_each(|gap| starvation.turned(Duration::from_millis(*gap), at(4900)));
        starvation.figures(at(5000))
    }

    fn check(pressure: u64, steal: u64, gaps: &[u64], is_starved: bool) {
        let figures = figures(pressure, steal, gaps);
        assert_eq!(figures.is_starved(), is_starved, "{figures}");
    }

    #[test]
    fn busy_is_not_starved() {
        check(0, 0, &[], false);
        check(1000, 0, &[], false);
        check(1000, 100, &[120, 130], false);
        check(1000, 0, &[150, 150], true);
        check(700, 0, &[150, 150], false);
        check(0, 0, &[250, 250], true);
        check(0, 0, &[60, 100, 90], false);
        check(0, 240, &[], false);
        check(0, 260, &[], true);
        let text = figures(734, 40, &[350]).to_string();
        assert_eq!(text, "cpu pressure 73.4 %, steal 4.0 %, own turns late 250 ms");
        assert_eq!(
            Figures::default().to_string(),
            "cpu pressure unknown, steal unknown, own turns late 0 ms"
        );
    }

    #[test]
    fn it_is_over_when_it_is_over() {
        let mut starvation = Starvation::default();
        starvation.turned(Duration::from_millis(900), at(1000));
        for n in 0..=8u64 {
            starvation.on(Counts { waited_us: Some(n * 250_000), steal: None }, at(n * 250));
        }
        assert!(starvation.figures(at(2000)).is_starved());
        assert!(!starvation.figures(at(4000)).is_starved());
        for n in 9..=20u64 {
            starvation.on(Counts { waited_us: Some(2_000_000), steal: None }, at(n * 250));
        }
        assert_eq!(starvation.figures(at(5000)).pressure_permille, Some(0));
        // Nothing is read while no host is there.
        assert_eq!(starvation.figures(at(9000)), Figures::default());
        starvation.rebase();
        assert_eq!(starvation.figures(at(5000)), Figures::default());
    }

    #[test]
    fn the_kernels_words_are_read() {
        let stat = "cpu  10014859 667130 1331141 4807463 69708 0 42636 3945 5 6\ncpu0 1 2 3\nintr 1\n";
        let pressure =
            "some avg10=73.85 avg60=28.35 avg300=14.31 total=36136312526\nfull avg10=0.00 total=0\n";
        let read = |path: &str| match path {
            "/proc/stat" => Some(stat.to_owned()),
            "/proc/pressure/cpu" => Some(pressure.to_owned()),
            _ => None,
        };
        let all = 10_014_859 + 667_130 + 1_331_141 + 4_807_463 + 69_708 + 42_636 + 3945;
        assert_eq!(counts(&read), Counts { waited_us: Some(36_136_312_526), steal: Some((3945, all)) });
        // A kernel without pressure, an old one without steal, and none at all.
        assert_eq!(
            counts(&|path: &str| (path == "/proc/stat").then(|| "cpu  1 2 3 4\n".into())),
            Counts::default()
        );
        assert_eq!(counts(&|_: &str| None), Counts::default());
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(text in ".{0,80}") {
            let _: Counts = counts(&|_: &str| Some(text.clone()));
        }

        #[test]
        fn any_count_is_a_share(readings in proptest::collection::vec(
            (any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>()), 0..40,
        )) {
            let mut starvation = Starvation::default();
            let mut now = at(0);
            for (ms, waited, steal, all) in readings {
                now = now + Duration::from_millis(u64::from(ms % 2000));
                let counts = Counts { waited_us: Some(waited), steal: Some((steal, all)) };
                starvation.on(counts, now);
                starvation.turned(Duration::from_millis(u64::from(ms)), now);
                let figures = starvation.figures(now);
                prop_assert!(figures.pressure_permille.is_none_or(|share| share <= 1000));
                prop_assert!(figures.steal_permille.is_none_or(|share| share <= 1000));
                prop_assert!(starvation.readings.len() <= READINGS_MAX && starvation.late.len() <= LATE_MAX);
            }
        }
    }
}
