//! Market data over REST: for a gap, or instead of the stream.

use std::sync::Arc;

use sandpit_broker::{BrokerError, History, Subscription};
use sandpit_types::{MarketEvent, MarketTime};

use crate::reins::Task;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// The bars that a new connection will not bring.
    Fill {
        /// From this start on.
        from: MarketTime,
        /// Up to this start, which is not included.
        to: MarketTime,
    },
    /// What the stream would have brought: bars, and the last quotes.
    Poll {
        /// From this start on.
        from: MarketTime,
        /// Up to this start, which is not included.
        to: MarketTime,
    },
}

impl Errand {
    /// Whether this fills a gap that ends before `end`.
    pub(crate) fn fills(self, end: MarketTime) -> bool {
        match self {
            Self::Fill { to, .. } => to == end,
            Self::Poll { .. } => false,
        }
    }
}

/// What came.
pub(crate) struct Fetched {
    /// What was asked for.
    pub(crate) errand: Errand,
    /// The events, bars first, in order.
    pub(crate) result: Result<Vec<MarketEvent>, BrokerError>,
}

/// Runs an errand.
pub(crate) fn fetch<H: History>(history: Arc<H>, wanted: Arc<Subscription>, errand: Errand) -> Task<Fetched> {
    Box::pin(async move {
        let result = match errand {
            Errand::Fill { from, to } => bars(&*history, &wanted, from, to).await,
            Errand::Poll { from, to } => poll(&*history, &wanted, from, to).await,
        };
        Fetched { errand, result }
    })
}

async fn poll<H: History>(
    history: &H,
    wanted: &Subscription,
    from: MarketTime,
    to: MarketTime,
) -> Result<Vec<MarketEvent>, BrokerError> {
    let mut events = bars(history, wanted, from, to).await?;
    if !wanted.quotes.is_empty() {
        events.extend(history.latest_quotes(&wanted.quotes).await?.into_iter().map(MarketEvent::Quote));
    }
    Ok(events)
}

async fn bars<H: History>(
    history: &H,
    wanted: &Subscription,
    from: MarketTime,
    to: MarketTime,
) -> Result<Vec<MarketEvent>, BrokerError> {
    if wanted.bars.is_empty() || from >= to {
        return Ok(Vec::new());
    }
    Ok(history.bars(&wanted.bars, from, to).await?.into_iter().map(MarketEvent::Bar).collect())
}
