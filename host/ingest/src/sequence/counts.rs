//! How many events were delivered, and how many were not.

/// Counts of one sequence since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Bars delivered, corrections aside.
    pub(crate) bars: u64,
    /// Quotes delivered.
    pub(crate) quotes: u64,
    /// Trades delivered.
    pub(crate) trades: u64,
    /// Minutes completed.
    pub(crate) minutes: u64,
    /// Bars delivered out of turn.
    pub(crate) late_bars: u64,
    /// Bars delivered again with other figures.
    pub(crate) corrected_bars: u64,
    /// Events that were delivered before; over REST, also quotes older than what was.
    pub(crate) repeats: u64,
    /// Bars so old that nobody can tell whether they were delivered, or older than what was asked for.
    pub(crate) too_old: u64,
    /// Of these, the former.
    pub(crate) forgotten: u64,
    /// Events of the canary that nobody subscribed to.
    pub(crate) pulses: u64,
    /// Other events that nobody subscribed to.
    pub(crate) strangers: u64,
    /// Quotes and trades of the stream that are older than the newest of their symbol: out of order.
    pub(crate) let_go: u64,
    /// Events stamped in the future: one of them would make all that follow look old.
    pub(crate) too_early: u64,
}
