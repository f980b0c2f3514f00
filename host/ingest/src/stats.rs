//! What the monitor reads of the loops: plain counters, written by the loop alone.

use std::{
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use sandpit_types::StreamHealth;

use crate::{
    life::{Cause, Phase},
    sequence::Counts,
};

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
    falls: [AtomicU64; Fall::ALL.len()],
    pages: AtomicU64,
}

/// Why a connection was lost, or not made, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fall {
    /// Closed, reset, or not open in time.
    Down,
    /// The broker still held an older session of ours.
    Occupied,
    /// The broker found us slow; data was lost.
    Slow,
    /// The data plan allows fewer symbols.
    TooManySymbols,
    /// The broker does not accept our key or our plan.
    Refused,
    /// Our own budget did not let the handshake out.
    NotSent,
    /// It was open but mute.
    Silent,
    /// It was open, but REST showed what it had not told.
    Suspected,
}

impl Fall {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Down,
        Self::Occupied,
        Self::Slow,
        Self::TooManySymbols,
        Self::Refused,
        Self::NotSent,
        Self::Silent,
        Self::Suspected,
    ];

    /// Lower-case words with hyphens, for labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Occupied => "occupied",
            Self::Slow => "slow",
            Self::TooManySymbols => "too-many-symbols",
            Self::Refused => "refused",
            Self::NotSent => "not-sent",
            Self::Silent => "silent",
            Self::Suspected => "suspected",
        }
    }

    const fn of(cause: Cause) -> Self {
        match cause {
            Cause::Down => Self::Down,
            Cause::Occupied => Self::Occupied,
            Cause::Slow => Self::Slow,
            Cause::TooMany { .. } => Self::TooManySymbols,
            Cause::Refused => Self::Refused,
            Cause::NotSent => Self::NotSent,
            Cause::Silent => Self::Silent,
            Cause::Suspected => Self::Suspected,
        }
    }
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
        Fall::ALL.into_iter().map(|fall| self.falls_by(fall)).sum()
    }

    /// Those for one reason.
    pub fn falls_by(&self, fall: Fall) -> u64 {
        self.falls[fall as usize].load(Ordering::Relaxed)
    }

    /// Times that a human should have been called: the failures in a row reached the number for that, or one
    /// of them was such that nobody else can help.
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

    pub(crate) fn fell(&self, cause: Cause, page: bool) {
        self.falls[Fall::of(cause) as usize].fetch_add(1, Ordering::Relaxed);
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
        /// Bars delivered, corrections aside.
        bars,
        /// Quotes delivered.
        quotes,
        /// Trades delivered.
        trades,
        /// Minutes completed.
        minutes,
        /// Bars delivered out of turn: after their minute had been completed, or after a newer one.
        late_bars,
        /// Bars delivered again with other figures.
        corrected_bars,
        /// Events not delivered because they were before; over REST, also quotes older than what was.
        repeats,
        /// Bars too old to tell whether they were delivered.
        too_old,
        /// Events of the canary, which nobody subscribed to.
        pulses,
        /// Other events that nobody subscribed to.
        strangers,
        /// Quotes and trades of the stream that are older than the newest of their symbol, hence let go.
        let_go,
        /// Events dropped because their stamps are in the future.
        too_early,
        /// Gaps filled from REST.
        gaps_filled,
        /// Gaps that could not be filled in time: their bars come late, if at all.
        gaps_open,
        /// Polls over REST while the stream was down, or for quotes that the plan does not stream.
        polls,
        /// Polls and audits that failed.
        polls_failed,
        /// Audits of a stream that seemed to be well.
        audits,
        /// Bars that the stream had not told and an audit found.
        audit_finds,
        /// Silences that were not the stream's fault: REST had nothing newer either.
        quiet,
        /// Symbols whose quotes come over REST only, because the plan does not stream as many; a level.
        untold_quotes,
        /// How long the newest silence had lasted when it was noticed, ms of real time.
        silence_ms,
        /// From the newest notice of a fall to the first answer of REST, ms of real time.
        fallback_latency_ms,
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

    pub(crate) fn set_silence(&self, span: Duration) {
        self.silence_ms.store(millis(span), Ordering::Relaxed);
    }

    pub(crate) fn set_fallback_latency(&self, span: Duration) {
        self.fallback_latency_ms.store(millis(span), Ordering::Relaxed);
    }

    pub(crate) fn set_counts(&self, counts: Counts) {
        let Counts { bars, quotes, trades, minutes, late_bars, corrected_bars, repeats, .. } = counts;
        let Counts { too_old, pulses, strangers, let_go, too_early, .. } = counts;
        for (counter, value) in [
            (&self.bars, bars),
            (&self.quotes, quotes),
            (&self.trades, trades),
            (&self.minutes, minutes),
            (&self.late_bars, late_bars),
            (&self.corrected_bars, corrected_bars),
            (&self.repeats, repeats),
            (&self.too_old, too_old),
            (&self.pulses, pulses),
            (&self.strangers, strangers),
            (&self.let_go, let_go),
            (&self.too_early, too_early),
        ] {
            counter.store(value, Ordering::Relaxed);
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
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

/// How news comes in.
#[derive(Debug, Default)]
pub struct NewsStats {
    /// The connection.
    pub connection: ConnectionStats,
    pub(crate) news: AtomicU64,
    pub(crate) repeats: AtomicU64,
    pub(crate) strangers: AtomicU64,
    pub(crate) polls: AtomicU64,
    pub(crate) polls_failed: AtomicU64,
}

impl NewsStats {
    /// News delivered since the start, each version once.
    pub fn news(&self) -> u64 {
        self.news.load(Ordering::Relaxed)
    }

    /// Versions not delivered because they were before.
    pub fn repeats(&self) -> u64 {
        self.repeats.load(Ordering::Relaxed)
    }

    /// Events over this stream that were no news.
    pub fn strangers(&self) -> u64 {
        self.strangers.load(Ordering::Relaxed)
    }

    /// Times REST was asked: while the stream was down, and after its return.
    pub fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// Those that failed.
    pub fn polls_failed(&self) -> u64 {
        self.polls_failed.load(Ordering::Relaxed)
    }
}
