//! Counting in a sliding window, within a bounded memory.

use std::{collections::VecDeque, time::Duration};

use sandpit_types::MarketTime;

/// Moments a window remembers, about; with a larger limit, what happens close together is remembered as one.
pub const MAX_MOMENTS: u32 = 16_384;

/// The newest happenings, so that no window of the given span ever holds more than a limit.
///
/// A happening at `t` counts in `[t, t + span)`. Happenings within one *grain* of each other are remembered
/// together and count until the span after the last of them is over. So a window with a grain counts some of
/// them for up to one grain longer than it has to, and none shorter: what it lets through is never above the
/// limit in any span. Without a grain it is exact.
///
/// The caller asks before it notes. The memory is then as long as the limit the caller keeps, or, with a
/// grain, `span / grain + 2` entries.
#[derive(Clone, Debug)]
pub struct Window {
    span: Duration,
    grain: Duration,
    entries: VecDeque<Entry>,
    /// The sum of all that has left the memory.
    before: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    first: MarketTime,
    last: MarketTime,
    /// The sum of all that happened until here, this entry included.
    through: u64,
}

impl Window {
    /// An empty, exact window of `span`.
    pub const fn new(span: Duration) -> Self {
        Self { span, grain: Duration::ZERO, entries: VecDeque::new(), before: 0 }
    }

    /// An empty window of `span` for a caller that keeps to `limit`: exact up to a limit of [`MAX_MOMENTS`],
    /// above it with a grain of `span / MAX_MOMENTS` (5.3 s for a day).
    pub fn for_limit(span: Duration, limit: u64) -> Self {
        let exact = limit <= u64::from(MAX_MOMENTS);
        let grain = if exact { Duration::ZERO } else { span / MAX_MOMENTS };
        Self { grain, ..Self::new(span) }
    }

    /// How many happened within the span that ends at `now`.
    pub fn used(&self, now: MarketTime) -> usize {
        usize::try_from(self.sum(now)).unwrap_or(usize::MAX)
    }

    /// The sum of the amounts within the span that ends at `now`.
    pub fn sum(&self, now: MarketTime) -> u64 {
        let over = self.entries.partition_point(|entry| entry.last + self.span <= now);
        self.total() - over.checked_sub(1).map_or(self.before, |newest| self.entries[newest].through)
    }

    /// One more happened at `now`. Time that goes back is taken to stand still.
    pub fn note(&mut self, now: MarketTime) {
        self.note_amount(1, now);
    }

    /// Something of this amount happened at `now`. Time that goes back is taken to stand still.
    pub fn note_amount(&mut self, amount: u64, now: MarketTime) {
        if amount == 0 {
            return;
        }
        let now = self.entries.back().map_or(now, |newest| newest.last.max(now));
        while let Some(oldest) = self.entries.front().filter(|oldest| oldest.last + self.span <= now) {
            self.before = oldest.through;
            self.entries.pop_front();
        }
        let through = self.total() + amount;
        match self.entries.back_mut() {
            Some(newest) if now.since(newest.first) <= self.grain => {
                newest.last = now;
                newest.through = through;
            }
            Some(_) | None => self.entries.push_back(Entry { first: now, last: now, through }),
        }
    }

    /// When `amount` (at most `ceiling`) more makes no more than `ceiling`; `None` when that is so whatever
    /// the time.
    pub fn room_at(&self, amount: u64, ceiling: u64) -> Option<MarketTime> {
        // All up to this sum has to be over first.
        let surplus = (self.total() + amount).checked_sub(ceiling)?.min(self.total());
        if surplus <= self.before {
            return None;
        }
        let newest_to_leave = self.entries.partition_point(|entry| entry.through < surplus);
        self.entries.get(newest_to_leave).map(|entry| entry.last + self.span)
    }

    fn total(&self) -> u64 {
        self.entries.back().map_or(self.before, |newest| newest.through)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: i64) -> MarketTime {
        MarketTime::from_secs(secs)
    }

    #[test]
    fn a_moment_counts_until_the_span_is_over() {
        let mut window = Window::new(Duration::from_secs(60));
        assert_eq!(window.room_at(1, 1), None);
        for secs in [0, 10, 10, 59] {
            window.note(at(secs));
        }
        let check = |secs, used| assert_eq!(window.used(at(secs)), used, "at {secs}");
        check(59, 4);
        check(60, 3);
        check(69, 3);
        check(70, 1);
        check(119, 0);
        let room = |amount, ceiling, secs: Option<i64>| {
            assert_eq!(window.room_at(amount, ceiling), secs.map(at), "{amount} below {ceiling}");
        };
        room(1, 5, None);
        room(1, 4, Some(60));
        room(1, 3, Some(70));
        room(2, 4, Some(70));
        room(1, 2, Some(70));
        room(1, 1, Some(119));
        room(5, 5, Some(119));
    }

    #[test]
    fn amounts_add_up() {
        let mut window = Window::for_limit(Duration::from_secs(60), 100);
        window.note_amount(70, at(0));
        window.note_amount(0, at(3));
        window.note_amount(30, at(5));
        assert_eq!((window.sum(at(59)), window.sum(at(60)), window.sum(at(65))), (100, 30, 0));
        assert_eq!((window.room_at(70, 100), window.room_at(71, 100)), (Some(at(60)), Some(at(65))));
        window.note_amount(60, at(61));
        assert_eq!(window.sum(at(61)), 90);
        assert_eq!(window.room_at(10, 100), None, "what is over is forgotten");
    }

    #[test]
    fn a_day_of_small_amounts_stays_small_in_memory() {
        const DAY: Duration = Duration::from_secs(86_400);
        let mut window = Window::for_limit(DAY, 1_000_000);
        for tick in 0..400_000 {
            window.note(MarketTime::from_nanos(tick * 500_000_000));
        }
        assert!(window.entries.len() <= MAX_MOMENTS as usize + 2, "{}", window.entries.len());
        let used = window.used(at(199_999));
        assert!((172_800..172_800 + 12).contains(&used), "at most one grain too many: {used}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

        #[test]
        fn nothing_is_counted_shorter_than_it_has_to_be(
            amounts in prop::collection::vec((0_u64..4, 0_i64..900), 1..60),
            limit in prop::sample::select(vec![1_u64, 1_000_000]),
        ) {
            // A grain of 61 ms, of the order of the steps.
            let span = Duration::from_secs(1_000);
            let mut window = Window::for_limit(span, limit);
            let mut diary = Vec::new();
            let mut now = at(0);
            for (amount, millis) in amounts {
                now = now + Duration::from_millis(millis as u64 / 3);
                window.note_amount(amount, now);
                diary.push((amount, now));
                for later in [now, now + span - Duration::from_millis(1), now + span] {
                    let sum = |since: Duration| -> u64 {
                        diary.iter().filter(|(_, t)| *t + since > later).map(|(amount, _)| amount).sum()
                    };
                    let (least, most) = (sum(span), sum(span + window.grain));
                    prop_assert!((least..=most).contains(&window.sum(later)));
                    prop_assert!(limit > 1 || least == window.sum(later), "exact without a grain");
                }
            }
        }
    }
}
