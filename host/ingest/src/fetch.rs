//! Market data over REST: for a gap, for an audit, or instead of the stream.

use std::{sync::Arc, time::Duration};

use sandpit_broker::{BrokerError, History, Subscription};
use sandpit_types::{MarketEvent, MarketTime, Symbol};
use tokio::time::timeout;

use crate::reins::Task;

/// A request that took longer, waits for the budget included, counts as failed; real time. It is for a piece
/// of a page or two, see [`Rest`](crate::rest::Rest).
const WITHIN: Duration = Duration::from_secs(30);

/// What bars are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new connection will not bring them.
    Fill,
    /// The stream is down.
    Poll,
    /// The stream may have lost one.
    Audit,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// All bars of the subscription.
    Bars {
        /// From this start on.
        from: MarketTime,
        /// Up to this start, which is not included.
        to: MarketTime,
        /// What for.
        purpose: Purpose,
    },
    /// The last quotes.
    Quotes {
        /// Of these.
        symbols: Arc<[Symbol]>,
    },
}

impl Errand {
    /// Whether anything is sent for it.
    pub(crate) fn is_request(&self) -> bool {
        match self {
            Self::Bars { from, to, .. } => from < to,
            Self::Quotes { symbols } => !symbols.is_empty(),
        }
    }
}

/// What came.
pub(crate) struct Fetched {
    /// What was asked for.
    pub(crate) errand: Errand,
    /// The number of the request.
    pub(crate) request: u32,
    /// The events, in order, or why there are none.
    pub(crate) result: Result<Vec<MarketEvent>, BrokerError>,
}

/// Runs an errand.
pub(crate) fn fetch<H: History>(
    history: Arc<H>,
    wanted: Arc<Subscription>,
    errand: Errand,
    request: u32,
) -> Task<Fetched> {
    Box::pin(async move {
        let late = |_| BrokerError::Unavailable { message: format!("no answer within {WITHIN:?}") };
        let result = timeout(WITHIN, answer(&*history, &wanted, &errand)).await.map_err(late).flatten();
        Fetched { errand, request, result }
    })
}

async fn answer<H: History>(
    history: &H,
    wanted: &Subscription,
    errand: &Errand,
) -> Result<Vec<MarketEvent>, BrokerError> {
    match errand {
        Errand::Bars { from, to, .. } if wanted.bars.is_empty() || from >= to => Ok(Vec::new()),
        Errand::Bars { from, to, .. } => {
            Ok(history.bars(&wanted.bars, *from, *to).await?.into_iter().map(MarketEvent::Bar).collect())
        }
        Errand::Quotes { symbols } => {
            Ok(history.latest_quotes(symbols).await?.into_iter().map(MarketEvent::Quote).collect())
        }
    }
}
