//! One symbol: its z-score, and what has to outlive a restart.

use std::time::Duration;

use sandpit_sdk::{OrderId, Price, Qty, Side, Time, indicators::ZScore};
use serde::{Deserialize, Serialize};

use crate::parameters::Parameters;

/// The nearest a stop may lie to the entry, as a share of its price and in USD: twice what the broker wants
/// at least.
const MIN_STOP_DISTANCE: (f64, f64) = (0.002, 0.02);

/// How often an entry is tried while the price stays down.
const MAX_ENTRY_TRIES: u8 = 3;

/// One symbol.
pub(crate) struct Symbol {
    pub(crate) score: ZScore,
    /// Entries left until the price has been back at its mean.
    pub(crate) tries: u8,
    /// The order that opens a position, and when it is called back.
    pub(crate) entry: Option<(OrderId, Time)>,
    /// The stop that was sent for a position the entry's own does not guard.
    pub(crate) guard: Option<OrderId>,
    /// Whether stops guarded more than is held when it was last looked at.
    pub(crate) guards_too_much: bool,
    /// Whether to leave whatever the price: its stop was not taken.
    pub(crate) must_leave: bool,
    pub(crate) kept: Kept,
}

/// What has to outlive a restart while a position is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The stop price, units of 10^-9 USD.
    pub(crate) stop_nanos: Option<i64>,
    /// When the position was first seen, nanoseconds since 1970, UTC.
    pub(crate) since_nanos: Option<i64>,
}

impl Symbol {
    pub(crate) fn new(parameters: &Parameters) -> Self {
        Self {
            score: ZScore::new(parameters.window_bars),
            tries: MAX_ENTRY_TRIES,
            entry: None,
            guard: None,
            guards_too_much: false,
            must_leave: false,
            kept: Kept::default(),
        }
    }

    /// Takes the next close; a price that is back lets it enter again.
    pub(crate) fn on_close(&mut self, close: f64, parameters: &Parameters) {
        if self.score.push(close).is_some_and(|score| score >= -parameters.exit_z) {
            self.tries = MAX_ENTRY_TRIES;
        }
    }

    /// Begins anew with the closes of this session: a gap over night is no deviation.
    pub(crate) fn restart_window(&mut self, closes: impl Iterator<Item = f64>, parameters: &Parameters) {
        self.score = ZScore::new(parameters.window_bars);
        closes.for_each(|close| self.on_close(close, parameters));
    }

    /// Forgets the position that is gone.
    pub(crate) fn forget_position(&mut self) {
        self.kept = Kept::default();
        self.guard = None;
        self.guards_too_much = false;
        self.must_leave = false;
    }

    /// How long the position has been held.
    pub(crate) fn held_for(&mut self, now: Time) -> Duration {
        now.since(Time::from_nanos(*self.kept.since_nanos.get_or_insert(now.nanos())))
    }

    /// The stop of the position: the one of its entry, or, when that was forgotten, as for an entry now.
    pub(crate) fn stop(&mut self, average_price: Price, parameters: &Parameters) -> Price {
        let stop = self.kept.stop_nanos.map(Price::from_nanos);
        let stop = stop.unwrap_or_else(|| self.stop_below(average_price, parameters));
        self.kept.stop_nanos = Some(stop.nanos());
        stop
    }

    /// Where the stop of an entry at this price lies, on a tick. While nothing is known of the deviation it
    /// lies as far as it may.
    pub(crate) fn stop_below(&self, entry: Price, parameters: &Parameters) -> Price {
        let price = entry.to_f64();
        let farthest = price * parameters.max_stop_percent / 100.0;
        let distance = self.score.deviation().map_or(farthest, |deviation| parameters.stop_z * deviation);
        let (share, usd) = MIN_STOP_DISTANCE;
        let distance = distance.min(farthest).max(price * share).max(usd);
        Price::from_f64(price - distance).unwrap_or(entry).round_passive(Side::Buy)
    }
}

/// What is to be done about a position's guards: how many shares lack one, or that there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarded {
    Wholly,
    Lacks(Qty),
    TooMuch,
}

impl Guarded {
    pub(crate) fn new(held: Qty, guarded: Qty) -> Self {
        match guarded.cmp(&held) {
            std::cmp::Ordering::Less => Self::Lacks(held - guarded),
            std::cmp::Ordering::Equal => Self::Wholly,
            std::cmp::Ordering::Greater => Self::TooMuch,
        }
    }
}
