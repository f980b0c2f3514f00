//! Streams: one session is one connection; a new one is made only after the old one was dropped.

use std::future::Future;

use sandpit_types::{MarketEvent, Symbol, TradeUpdate};

use crate::StreamError;

/// What a data session subscribes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Symbols for one-minute bars.
    pub bars: Vec<Symbol>,
    /// Symbols for quotes.
    pub quotes: Vec<Symbol>,
    /// Symbols for trades.
    pub trades: Vec<Symbol>,
    /// Symbols for news, which comes over a stream of its own; `*` is all of them.
    pub news: Vec<Symbol>,
}

impl Subscription {
    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        [&self.bars, &self.quotes, &self.trades, &self.news].into_iter().all(Vec::is_empty)
    }

    /// What of this is not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let less = |own: &[Symbol], other: &[Symbol]| {
            own.iter().filter(|symbol| !other.contains(symbol)).cloned().collect()
        };
        Self {
            bars: less(&self.bars, &other.bars),
            quotes: less(&self.quotes, &other.quotes),
            trades: less(&self.trades, &other.trades),
            news: less(&self.news, &other.news),
        }
    }
}

/// Opens market-data sessions.
pub trait DataFeed: Send + Sync + 'static {
    /// The session this feed opens.
    type Session: DataSession;

    /// Connects, authenticates and subscribes; returns once the broker acknowledged the subscription.
    ///
    /// # Errors
    /// See [`StreamError`].
    fn open(
        &self,
        subscription: &Subscription,
    ) -> impl Future<Output = Result<Self::Session, StreamError>> + Send;
}

/// One open market-data connection.
pub trait DataSession: Send + 'static {
    /// Appends the events of the next frames to `out`, at least of one and of as many as have arrived; pings
    /// and unknown messages may append nothing. Cancel-safe. What was appended before an error is good.
    ///
    /// # Errors
    /// Any error ends the session.
    fn next(&mut self, out: &mut Vec<MarketEvent>) -> impl Future<Output = Result<(), StreamError>> + Send;

    /// Says to the broker what is wanted from now on, in the place of what was: what is not among it any
    /// more, and what is new. Whether the broker agrees, [`DataSession::next`] finds out.
    ///
    /// # Errors
    /// Any error ends the session, and so does giving up before it is said.
    fn resubscribe(&mut self, to: &Subscription) -> impl Future<Output = Result<(), StreamError>> + Send;
}

/// Opens trade-update sessions.
pub trait OrderFeed: Send + Sync + 'static {
    /// The session this feed opens.
    type Session: OrderSession;

    /// Connects, authenticates and listens; returns once the broker acknowledged.
    ///
    /// # Errors
    /// See [`StreamError`].
    fn open(&self) -> impl Future<Output = Result<Self::Session, StreamError>> + Send;
}

/// One open trade-updates connection.
pub trait OrderSession: Send + 'static {
    /// The next update, `None` for frames that carry none. Cancel-safe.
    ///
    /// # Errors
    /// Any error ends the session.
    fn next(&mut self) -> impl Future<Output = Result<Option<TradeUpdate>, StreamError>> + Send;
}
