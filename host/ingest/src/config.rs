//! What the market-data loop is told at its start.

use std::time::Duration;

use sandpit_broker::Subscription;
use sandpit_cores::{Channel, Watch};
use sandpit_types::{MarketTime, SessionDay};

/// What ingest takes in, and its patience.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// The symbols.
    pub subscription: Subscription,
    /// Regular sessions to come, and the one under way.
    pub days: Vec<SessionDay>,
    /// Bars from this minute on are delivered, from history where the stream was not up yet.
    pub since: MarketTime,
    /// How long, after the newest bar of a minute, another one is waited for; real time.
    pub bars_grace: Duration,
    /// An event stamped further ahead of our clock than this is dropped; market time. In compressed time our
    /// clock lags by more: at least a second of real time has to fit in.
    pub ahead: Duration,
    /// When a silent stream counts as down, by channel; market time, sessions only.
    pub watches: Vec<Watch>,
    /// Feeds the jitter of the waits.
    pub seed: u64,
}

impl IngestConfig {
    /// How far ahead of our clock a stamp may be when time is not compressed.
    pub const AHEAD: Duration = Duration::from_secs(5);
    /// The usual grace for bars.
    pub const BARS_GRACE: Duration = Duration::from_millis(300);

    /// The usual patience: a minute for quotes, three for bars, which come only for minutes with trades, five
    /// for trades, which may be rare.
    pub fn usual_watches(subscription: &Subscription) -> Vec<Watch> {
        [
            (Channel::Bars, subscription.bars.is_empty(), 180),
            (Channel::Quotes, subscription.quotes.is_empty(), 60),
            (Channel::Trades, subscription.trades.is_empty(), 300),
        ]
        .into_iter()
        .filter(|(_, is_empty, _)| !is_empty)
        .map(|(channel, _, secs)| (channel, Duration::from_secs(secs)))
        .map(|(channel, patience)| Watch { channel, first: patience, gap: patience })
        .collect()
    }
}
