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
    /// The events, bars first, in order: also those that came before a failure.
    pub(crate) events: Vec<MarketEvent>,
    /// Whether that is all.
    pub(crate) result: Result<(), BrokerError>,
}

/// Runs an errand.
pub(crate) fn fetch<H: History>(history: Arc<H>, wanted: Arc<Subscription>, errand: Errand) -> Task<Fetched> {
    Box::pin(async move {
        let mut events = Vec::new();
        let result = match errand {
            Errand::Fill { from, to } => bars(&*history, &wanted, from, to, &mut events).await,
            Errand::Poll { from, to } => poll(&*history, &wanted, from, to, &mut events).await,
        };
        Fetched { errand, events, result }
    })
}

async fn poll<H: History>(
    history: &H,
    wanted: &Subscription,
    from: MarketTime,
    to: MarketTime,
    into: &mut Vec<MarketEvent>,
) -> Result<(), BrokerError> {
    bars(history, wanted, from, to, into).await?;
    if !wanted.quotes.is_empty() {
        into.extend(history.latest_quotes(&wanted.quotes).await?.into_iter().map(MarketEvent::Quote));
    }
    Ok(())
}

async fn bars<H: History>(
    history: &H,
    wanted: &Subscription,
    from: MarketTime,
    to: MarketTime,
    into: &mut Vec<MarketEvent>,
) -> Result<(), BrokerError> {
    if wanted.bars.is_empty() || from >= to {
        return Ok(());
    }
    into.extend(history.bars(&wanted.bars, from, to).await?.into_iter().map(MarketEvent::Bar));
    Ok(())
}
