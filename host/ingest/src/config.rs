//! What the market-data loop is told at its start.

use std::time::Duration;

use sandpit_broker::Subscription;
use sandpit_cores::{Channel, Watch};
use sandpit_types::{MarketTime, SessionDay, Symbol};

/// What ingest takes in, and its patience.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// The symbols.
    pub subscription: Subscription,
    /// A liquid symbol that is listened to although nobody wants it: where it is silent, the stream is mute.
    /// Usually [`Self::CANARY`]; `None` where the broker does not serve it. It is never delivered for that.
    pub canary: Option<Symbol>,
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

/// Another subscription for a loop that runs.
#[derive(Clone, Debug)]
pub struct Resubscription {
    /// What is wanted from now on, all of it.
    pub subscription: Subscription,
    /// Symbols that somebody else is told of from now on: their bars are delivered from `since` on, also
    /// those that were before. Symbols that are new in the subscription are fresh anyhow.
    pub fresh: Vec<Symbol>,
    /// From which minute on; what is older, whoever wants it has from elsewhere.
    pub since: MarketTime,
}

impl IngestConfig {
    /// How far ahead of our clock a stamp may be when time is not compressed.
    pub const AHEAD: Duration = Duration::from_secs(5);
    /// The usual grace for bars.
    pub const BARS_GRACE: Duration = Duration::from_millis(300);
    /// The usual canary: the most liquid fund there is, on every feed.
    pub const CANARY: &str = "SPY";

    /// The usual patience. With a canary, a stream of quotes is never silent for 10 s, without one, thin
    /// symbols are given a minute. Of bars alone one comes right after each minute, so 70 s will do; without
    /// a canary, REST is asked first whether there should have been one. Next to quotes, bars have three
    /// minutes, for they come only for minutes with trades, and trades have five. Where the canary sings, the
    /// channel is judged by its own data; elsewhere anything that comes will do.
    pub fn usual_watches(subscription: &Subscription, canary: Option<&Symbol>) -> Vec<Watch> {
        let only_bars = subscription.quotes.is_empty() && subscription.trades.is_empty();
        let quotes = !subscription.quotes.is_empty() || (canary.is_some() && !only_bars);
        [
            (Channel::Bars, !subscription.bars.is_empty(), if only_bars { 70 } else { 180 }),
            (Channel::Quotes, quotes, if canary.is_some() { 10 } else { 60 }),
            (Channel::Trades, !subscription.trades.is_empty(), 300),
        ]
        .into_iter()
        .filter(|(_, is_watched, _)| *is_watched)
        .map(|(channel, _, secs)| (channel, Duration::from_secs(secs)))
        .map(|(channel, patience)| {
            let steady = canary.is_some() && channel != Channel::Trades;
            Watch { channel, first: patience, gap: patience, steady }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_depends_on_what_the_canary_sings() {
        let one = || vec![Symbol::new("THIN")];
        let none = Vec::new;
        let check = |[bars, quotes, trades]: [Vec<Symbol>; 3], canary: bool, expected: &[(Channel, u64)]| {
            let subscription = Subscription { bars, quotes, trades, news: Vec::new() };
            let canary = canary.then(|| Symbol::new(IngestConfig::CANARY));
            let watches = IngestConfig::usual_watches(&subscription, canary.as_ref());
            let got: Vec<_> = watches.iter().map(|watch| (watch.channel, watch.gap.as_secs())).collect();
            assert_eq!(got, expected, "{subscription:?} {canary:?}");
            assert!(watches.iter().all(|watch| watch.first == watch.gap), "proof takes no longer");
            let sings = |watch: &Watch| canary.is_some() && watch.channel != Channel::Trades;
            assert!(watches.iter().all(|watch| watch.steady == sings(watch)), "{watches:?}");
        };
        use Channel::{Bars, Quotes, Trades};
        check([one(), one(), none()], true, &[(Bars, 180), (Quotes, 10)]);
        check([one(), one(), none()], false, &[(Bars, 180), (Quotes, 60)]);
        check([one(), none(), none()], true, &[(Bars, 70)]);
        check([one(), none(), none()], false, &[(Bars, 70)]);
        check([none(), none(), one()], true, &[(Quotes, 10), (Trades, 300)]);
        check([none(), none(), one()], false, &[(Trades, 300)]);
        check([none(), none(), none()], true, &[]);
    }
}
