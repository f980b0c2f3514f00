//! What the monitor reads of the two loops: plain counters, written by the loop alone.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use sandpit_types::StreamHealth;

use crate::{life::Phase, sequence::Counts};

/// Where a stream stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// There is no connection; the next try is due soon.
    Waiting,
    /// A connection is being made.
    Opening,
    /// It is open and has yet to prove itself.
    Proving,
    /// It delivers.
    Live,
}

impl StreamState {
    /// One lower-case word, for labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Opening => "opening",
            Self::Proving => "proving",
            Self::Live => "live",
        }
    }
}

/// How one connection fares.
#[derive(Debug, Default)]
pub struct ConnectionStats {
    state: AtomicU8,
    failures: AtomicU32,
    opens: AtomicU64,
    falls: AtomicU64,
    pages: AtomicU64,
}

impl ConnectionStats {
    /// Where it stands.
    pub fn state(&self) -> StreamState {
        match self.state.load(Ordering::Relaxed) {
            0 => StreamState::Waiting,
            1 => StreamState::Opening,
            2 => StreamState::Proving,
            _ => StreamState::Live,
        }
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Connections opened since the start.
    pub fn opens(&self) -> u64 {
        self.opens.load(Ordering::Relaxed)
    }

    /// Connections lost, or not made, since the start.
    pub fn falls(&self) -> u64 {
        self.falls.load(Ordering::Relaxed)
    }

    /// Times that a human should have been called: the failures in a row reached the number for that.
    pub fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, phase: Phase, failures: u32) {
        let state = match phase {
            Phase::Waiting { .. } => 0,
            Phase::Opening => 1,
            Phase::Proving { .. } => 2,
            Phase::Live => 3,
        };
        self.state.store(state, Ordering::Relaxed);
        self.failures.store(failures, Ordering::Relaxed);
    }

    pub(crate) fn opened(&self) {
        self.opens.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fell(&self, page: bool) {
        self.falls.fetch_add(1, Ordering::Relaxed);
        self.pages.fetch_add(u64::from(page), Ordering::Relaxed);
    }
}

macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name {
            /// The connection.
            pub connection: ConnectionStats,
            pub(crate) health: AtomicU8,
            $(pub(crate) $field: AtomicU64,)*
        }

        impl $name {
            $(
                $(#[$field_doc])*
                pub fn $field(&self) -> u64 {
                    self.$field.load(Ordering::Relaxed)
                }
            )*
        }
    };
}

counters! {
    /// How market data comes in. Counts are of events since the start.
    IngestStats {
        /// Bars delivered.
        bars,
        /// Quotes delivered.
        quotes,
        /// Trades delivered.
        trades,
        /// Minutes completed.
        minutes,
        /// Bars delivered after their minute had been completed.
        late_bars,
        /// Events not delivered because they were before, or are older than what was.
        repeats,
        /// Events of symbols that nobody subscribed to.
        strangers,
        /// Quotes and trades that did not fit while a gap was filled.
        let_go,
        /// Events dropped because their stamps are in the future.
        too_early,
        /// Gaps filled from REST.
        gaps_filled,
        /// Gaps that could not be filled: bars may be missing.
        gaps_open,
        /// Polls over REST while the stream was down.
        polls,
        /// Polls that failed.
        polls_failed,
    }
}

impl IngestStats {
    /// The way data reaches us; `Stale` before the first connection.
    pub fn health(&self) -> StreamHealth {
        match self.health.load(Ordering::Relaxed) {
            1 => StreamHealth::Live,
            2 => StreamHealth::Fallback,
            _ => StreamHealth::Stale,
        }
    }

    pub(crate) fn set_health(&self, health: StreamHealth) {
        let number = match health {
            StreamHealth::Stale => 0,
            StreamHealth::Live => 1,
            StreamHealth::Fallback => 2,
        };
        self.health.store(number, Ordering::Relaxed);
    }

    pub(crate) fn set_counts(&self, counts: Counts) {
        let Counts { bars, quotes, trades, minutes, late_bars, repeats, strangers, let_go, too_early } =
            counts;
        for (counter, value) in [
            (&self.bars, bars),
            (&self.quotes, quotes),
            (&self.trades, trades),
            (&self.minutes, minutes),
            (&self.late_bars, late_bars),
            (&self.repeats, repeats),
            (&self.strangers, strangers),
            (&self.let_go, let_go),
            (&self.too_early, too_early),
        ] {
            counter.store(value, Ordering::Relaxed);
        }
    }
}

/// How trade updates come in.
#[derive(Debug, Default)]
pub struct UpdateStats {
    /// The connection.
    pub connection: ConnectionStats,
    pub(crate) updates: AtomicU64,
}

impl UpdateStats {
    /// Updates delivered since the start.
    pub fn updates(&self) -> u64 {
        self.updates.load(Ordering::Relaxed)
    }
}
