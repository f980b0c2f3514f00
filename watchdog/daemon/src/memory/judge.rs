//! Whether the host's memory lasts, and if not, whether there is time to ask it to save and end. Pure.

use std::time::Duration;

use sandpit_contract::BootTime;

use super::Usage;
use crate::slope::Slope;

/// So many samples in a row above the drain limit, over so long, are a leak and no spike.
const DRAIN_ROW: (u32, Duration) = (3, Duration::from_secs(1));
/// And so many above the kill limit: when a compiling child ends, its pages are given back a moment after it
/// can be told no more whose they were, and that moment may fall into a sample or two.
const KILL_ROW: (u32, Duration) = (3, Duration::from_millis(500));
/// A leak that will be above the kill limit within two samples leaves no time to be watched longer.
const FORESIGHT: Duration = Duration::from_millis(500);
/// Below this share of its limit no host is ended for what it may come to, per cent: one that starts grows
/// fast, too, and stops.
const FORESIGHT_FROM_PERCENT: u32 = 50;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Nothing.
    Lasts,
    /// Ask the host to save and end.
    Drain(String),
    /// There is no time for that.
    Kill(String),
}

/// The bounds of one judgement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Per cent of the limit at which the host is drained.
    pub(crate) drain_percent: u32,
    /// And at which it is ended at once.
    pub(crate) kill_percent: u32,
    /// How long a drain may take, or what is left of the one that is under way.
    pub(crate) drain_left: Duration,
    /// One is under way.
    pub(crate) is_draining: bool,
}

/// The samples of one host.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    slope: Slope,
    newest: Option<Usage>,
    over: Row,
    overweight: Row,
}

impl Judge {
    /// Judges one more sample.
    pub(crate) fn on(&mut self, usage: Usage, bounds: Bounds, now: BootTime) -> Judgement {
        self.newest = Some(usage);
        self.slope.on(usage.used, now);
        let percent = usage.percent();
        self.over.on(percent >= bounds.drain_percent, now);
        self.overweight.on(percent >= bounds.kill_percent, now);
        let at = format!("memory at {percent} % of its limit");
        if self.overweight.is(KILL_ROW) {
            return Judgement::Kill(at);
        }
        let full = u128::from(usage.limit) * u128::from(bounds.kill_percent) / 100;
        let until = self.slope.time_to(u64::try_from(full).unwrap_or(u64::MAX));
        let is_within = |span: Duration| until.is_some_and(|until| until <= span);
        let is_over = self.over.is(DRAIN_ROW);
        let is_leaking = percent >= FORESIGHT_FROM_PERCENT && is_within(FORESIGHT);
        // Whoever drains is above the limit already, and lets go of memory while it ends.
        let outruns =
            (is_over || bounds.is_draining && self.over.samples > 0) && is_within(bounds.drain_left);
        if is_leaking || outruns {
            let ms = until.unwrap_or_default().as_millis();
            let growing = self.slope.per_second().unwrap_or_default() >> 20;
            let full = bounds.kill_percent;
            return Judgement::Kill(format!("{at}, growing by {growing} MB/s: at {full} % in {ms} ms"));
        }
        if is_over {
            self.over = Row::default();
            return Judgement::Drain(at);
        }
        Judgement::Lasts
    }

    /// The newest sample.
    pub(crate) fn newest(&self) -> Option<Usage> {
        self.newest
    }

    /// How it has grown.
    pub(crate) fn slope(&self) -> &Slope {
        &self.slope
    }
}

/// Samples in a row, and how long they have lasted.
#[derive(Debug, Default)]
struct Row {
    samples: u32,
    since: Option<BootTime>,
    lasted: Duration,
}

impl Row {
    fn on(&mut self, is_over: bool, now: BootTime) {
        if is_over {
            self.samples = self.samples.saturating_add(1);
            self.lasted = now.since(*self.since.get_or_insert(now));
        } else {
            *self = Self::default();
        }
    }

    fn is(&self, (samples, span): (u32, Duration)) -> bool {
        self.samples >= samples && self.lasted >= span
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;
    const DRAIN: Duration = Duration::from_secs(10);

    /// Samples, a quarter of a second apart, until one is judged; which, and how.
    fn first(
        limit: u64,
        used: impl IntoIterator<Item = u64>,
        is_draining: bool,
    ) -> Option<(usize, Judgement)> {
        let mut judge = Judge::default();
        let bounds = Bounds { drain_percent: 80, kill_percent: 92, drain_left: DRAIN, is_draining };
        let mut judge = |number: usize, used: u64| {
            let usage = Usage { used, limit, rss: used, psi_permille: None };
            judge.on(usage, bounds, BootTime::from_nanos(number as u64 * 250_000_000))
        };
        used.into_iter().enumerate().find_map(|(number, used)| match judge(number, used) {
            Judgement::Lasts => None,
            judgement => Some((number, judgement)),
        })
    }

    /// Of a limit of 1000 MiB: the first judgement's number and first letters.
    fn check(mib: &[u64], expected: Option<(usize, &str)>) {
        let got = first(1000 * MIB, mib.iter().map(|mib| mib * MIB), false);
        let got = got.map(|(number, judgement)| (number, format!("{judgement:?}")));
        match (&got, expected) {
            (None, None) => {}
            (Some((at, text)), Some((number, words))) if *at == number && text.starts_with(words) => {}
            other => panic!("{other:?} for {mib:?}"),
        }
    }

    #[test]
    fn a_second_above_is_a_leak_and_less_is_a_spike() {
        check(&[850, 850, 850, 850, 850], Some((4, "Drain(\"memory at 85 %")));
        check(&[850, 850, 850, 850, 700, 850, 850, 850, 850], None);
        check(&[500, 940, 940, 500, 940, 940, 500], None);
        check(&[500, 940, 940, 940], Some((3, "Kill(\"memory at 94 %")));
        // It rose to where it stays: a drain, and no kill.
        check(&[500, 650, 800, 810, 810, 810, 810], Some((6, "Drain")));
        // It still rises, and would be at the end before it has drained.
        check(
            &[780, 790, 805, 815, 825, 835, 845],
            Some((6, "Kill(\"memory at 84 % of its limit, growing by")),
        );
        // Slower than that, there is time.
        check(&[798, 799, 800, 801, 802, 803, 804], Some((6, "Drain")));
    }

    #[test]
    fn a_start_is_no_leak() {
        // To 45 % within a second; then, with a pause, to 70 %.
        check(&[0, 110, 230, 340, 450, 450, 450, 500, 600, 700, 700, 700, 700], None);
    }

    #[test]
    fn a_drain_that_is_outrun_is_not_waited_for() {
        let (_, judgement) =
            first(1000 * MIB, [810, 820, 830, 840].map(|mib| mib * MIB), true).expect("judged");
        assert!(matches!(judgement, Judgement::Kill(_)), "{judgement:?}");
        assert_eq!(first(1000 * MIB, [810, 820, 830, 790, 700, 600].map(|mib| mib * MIB), true), None);
    }

    /// From a megabyte a minute to 500 MB/s: caught before the limit, and drained where there is time.
    #[test]
    fn every_leak_is_caught() {
        const KIB: u64 = 1 << 10;
        for limit_mib in [768, 1024, 2048, 8192] {
            for kib_a_second in [17, 200, 1024, 10_240, 51_200, 102_400, 512_000] {
                let limit = limit_mib * MIB;
                // A slow one has been there for long.
                let from = if kib_a_second < 10_240 { limit * 79 / 100 } else { 200 * MIB };
                let used = |n: u64| from + n * kib_a_second * KIB / 4;
                let (number, judgement) = first(limit, (0..1 << 20).map(used), false).expect("caught");
                let used = used(number as u64);
                let what = format!("{limit_mib} MiB, {kib_a_second} KiB/s: {judgement:?} at {}", used / MIB);
                assert!(used < limit, "{what}");
                let at_the_end = limit * 80 / 100 + 12 * kib_a_second * KIB;
                let has_time = at_the_end < limit * 92 / 100;
                assert_eq!(matches!(judgement, Judgement::Drain(_)), has_time, "{what}");
            }
        }
    }

    proptest! {
        /// What stays below the drain limit and below a fast leak's reach is never judged.
        #[test]
        fn what_lasts_is_left_alone(used in proptest::collection::vec(0u64..500, 1..200)) {
            prop_assert_eq!(first(1000 * MIB, used.iter().map(|mib| mib * MIB), false), None);
        }

        /// Above the kill limit for half a second ends every host, whatever came before.
        #[test]
        fn above_is_the_end(before in proptest::collection::vec(0u64..790, 0..40)) {
            let used = before.iter().copied().chain([950; 5]);
            let got = first(1000 * MIB, used.map(|mib| mib * MIB), false);
            prop_assert!(matches!(got, Some((_, Judgement::Kill(_)))), "{:?}", got);
        }
    }
}
