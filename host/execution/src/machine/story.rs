//! How many rows of what strategies say, and of what they are refused, are kept: a strategy that is refused
//! on every quote must not fill the disk.

use std::collections::BTreeMap;

use sandpit_store::Record;
use sandpit_types::{MarketTime, StrategyName};

use super::Machine;
use crate::Review;

/// Rows of each kind that are kept for one strategy in one minute of market time. What is past it is counted.
pub(super) const MAX_ROWS_PER_MINUTE: u64 = 60;

/// What of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Refusal,
    Signal,
}

/// The present minute of each strategy that has said anything in it.
#[derive(Debug, Default)]
pub(super) struct Story {
    minutes: BTreeMap<StrategyName, Minute>,
}

#[derive(Debug)]
struct Minute {
    start: MarketTime,
    refusals: u64,
    signals: u64,
}

impl Story {
    /// Counts one more. `true` when it is kept.
    fn admit(&mut self, strategy: &StrategyName, kind: Kind, now: MarketTime) -> bool {
        let fresh = || Minute { start: now.minute(), refusals: 0, signals: 0 };
        let minute = self.minutes.entry(strategy.clone()).or_insert_with(fresh);
        let count = match kind {
            Kind::Refusal => &mut minute.refusals,
            Kind::Signal => &mut minute.signals,
        };
        *count += 1;
        *count <= MAX_ROWS_PER_MINUTE
    }

    /// Ends the minutes that are over, or `all`, and says what of them was not kept.
    fn close(&mut self, now: MarketTime, all: bool) -> Vec<String> {
        let is_over = |_: &StrategyName, minute: &mut Minute| all || minute.start != now.minute();
        let text = |(strategy, minute): (StrategyName, Minute)| {
            let past = |count: u64| count.saturating_sub(MAX_ROWS_PER_MINUTE);
            let (refusals, signals) = (past(minute.refusals), past(minute.signals));
            let start = minute.start;
            (refusals + signals > 0).then(|| {
                format!("{strategy}, {start}: {refusals} refusals and {signals} signals are not kept")
            })
        };
        self.minutes.extract_if(.., is_over).filter_map(text).collect()
    }
}

impl<R: Review> Machine<R> {
    /// Keeps a refusal or a signal, unless the strategy has had enough of them in this minute. Says which.
    pub(super) fn keep_story(
        &mut self,
        strategy: &StrategyName,
        kind: Kind,
        record: Record,
        now: MarketTime,
    ) -> bool {
        self.close_story(now, false);
        let is_kept = self.story.admit(strategy, kind, now);
        if is_kept {
            self.ledger.record(record);
        } else {
            self.stats.write(|counts| {
                counts.strategies.entry(strategy.clone()).or_default().not_kept += 1;
            });
        }
        is_kept
    }

    /// Writes down what of the minutes that are over was not kept.
    pub(super) fn close_story(&mut self, now: MarketTime, all: bool) {
        for detail in self.story.close(now, all) {
            self.ledger.record(Record::Notice { time: now, subject: "not-kept", detail });
        }
    }
}
