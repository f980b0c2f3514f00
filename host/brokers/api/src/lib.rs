//! The broker port: what the host needs of any broker, and what can go wrong.
//!
//! Every request passes a [`Gate`] first: an adapter cannot be built without one, so nothing but the request
//! budget can send. Every POST takes a [`Permit`] (in its [`SendTerms`]), which the adapter asks again
//! immediately before the bytes are written.

mod error;
mod gate;
mod stream;

use std::future::Future;

pub use error::{BrokerError, StreamError};
pub use gate::{Admission, Class, Gate, GateError, Permit, RateHint, SendTerms};
use sandpit_types::{
    Account, Activity, Bar, BrokerOrder, BrokerOrderId, Change, ClientOrderId, Clock, MarketTime, News,
    OrderRequest, Position, Quote, SessionDay, StrategyName, Symbol,
};
pub use stream::{DataFeed, DataSession, OrderFeed, OrderSession, Subscription};

/// The trading side of a broker. Each call is one request; none is ever repeated by the adapter.
pub trait Broker: Send + Sync + 'static {
    /// Sends an order, under `terms`: their permit is asked immediately before the request is written.
    ///
    /// # Errors
    /// [`BrokerError::OutcomeUnknown`] whenever the order may exist at the broker although no answer says so;
    /// [`BrokerError::Rejected`] only when the broker's own answer says that it does not.
    fn submit(
        &self,
        order: &OrderRequest,
        terms: SendTerms,
    ) -> impl Future<Output = Result<BrokerOrder, BrokerError>> + Send;

    /// Asks for one order of a strategy to be cancelled. `Ok` means that the request was taken, not that the
    /// order is gone. Of several strategies that cancel, the budget lets each in its turn.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when there is no such order, [`BrokerError::Rejected`] when it is already
    /// terminal.
    fn cancel(
        &self,
        id: &BrokerOrderId,
        strategy: Option<&StrategyName>,
    ) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// Puts an order with the id `by` and with this `change` in the place of a working one, under `terms`.
    /// `Ok` is the new order; that the old one is over, only a report of it says.
    ///
    /// # Errors
    /// As [`Broker::submit`]: of an unknown outcome, the broker is asked for `by`.
    fn replace(
        &self,
        id: &BrokerOrderId,
        by: &ClientOrderId,
        change: &Change,
        terms: SendTerms,
    ) -> impl Future<Output = Result<BrokerOrder, BrokerError>> + Send;

    /// One order by the broker's id, with its legs: these have no id of ours. `class` is [`Class::Reduce`] of
    /// an order that is ours, and [`Class::Poll`] of one that may be anybody's.
    ///
    /// # Errors
    /// As [`Broker::order_by_client_id`].
    fn order(
        &self,
        id: &BrokerOrderId,
        class: Class,
    ) -> impl Future<Output = Result<BrokerOrder, BrokerError>> + Send;

    /// All orders submitted at `since` or later, terminal or not, legs included: what a machine that lost its
    /// newest records has forgotten.
    ///
    /// # Errors
    /// As any read.
    fn orders_since(
        &self,
        since: MarketTime,
    ) -> impl Future<Output = Result<Vec<BrokerOrder>, BrokerError>> + Send;

    /// What moved shares or money at `since` or later, in the order of the rows' ids. Rows that are no fills
    /// may be older: they are made days after their date, so they come from a week earlier on, and the
    /// caller has to know by their ids which ones it has had.
    ///
    /// # Errors
    /// As any read.
    fn activities(
        &self,
        since: MarketTime,
    ) -> impl Future<Output = Result<Vec<Activity>, BrokerError>> + Send;

    /// One order by our id.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`], which is inconclusive for 60 s after a POST (DESIGN: orders).
    fn order_by_client_id(
        &self,
        id: &ClientOrderId,
    ) -> impl Future<Output = Result<BrokerOrder, BrokerError>> + Send;

    /// All orders that are not terminal, legs included.
    ///
    /// # Errors
    /// As any read: [`BrokerError::Unavailable`], [`BrokerError::Unauthorized`], [`BrokerError::RetryAfter`].
    fn open_orders(&self) -> impl Future<Output = Result<Vec<BrokerOrder>, BrokerError>> + Send;

    /// All positions.
    ///
    /// # Errors
    /// As any read.
    fn positions(&self) -> impl Future<Output = Result<Vec<Position>, BrokerError>> + Send;

    /// The account.
    ///
    /// # Errors
    /// As any read.
    fn account(&self) -> impl Future<Output = Result<Account, BrokerError>> + Send;

    /// The exchange's clock.
    ///
    /// # Errors
    /// As any read.
    fn clock(&self) -> impl Future<Output = Result<Clock, BrokerError>> + Send;

    /// Regular sessions from the New York date of `from` to that of `to`, both included.
    ///
    /// # Errors
    /// As any read.
    fn calendar(
        &self,
        from: MarketTime,
        to: MarketTime,
    ) -> impl Future<Output = Result<Vec<SessionDay>, BrokerError>> + Send;
}

/// The market-data side of a broker, over REST.
pub trait History: Send + Sync + 'static {
    /// Complete one-minute bars with `from <= start < to` of all `symbols`, in order of time, then symbol.
    ///
    /// # Errors
    /// As any read.
    fn bars(
        &self,
        symbols: &[Symbol],
        from: MarketTime,
        to: MarketTime,
    ) -> impl Future<Output = Result<Vec<Bar>, BrokerError>> + Send;

    /// The last quote of each symbol; symbols without one are absent.
    ///
    /// # Errors
    /// As any read.
    fn latest_quotes(
        &self,
        symbols: &[Symbol],
    ) -> impl Future<Output = Result<Vec<Quote>, BrokerError>> + Send;
}

/// News over REST.
pub trait NewsHistory: Send + Sync + 'static {
    /// News about any of `symbols` (`*` is all of them) whose newest version came out at `from` or later, in
    /// order of that time.
    ///
    /// # Errors
    /// As any read.
    fn news(
        &self,
        symbols: &[Symbol],
        from: MarketTime,
    ) -> impl Future<Output = Result<Vec<News>, BrokerError>> + Send;
}

/// Where a page of an archive ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, in the broker's order.
    pub rows: Vec<T>,
    /// What to ask the next page with; `None` after the last.
    pub next: Option<String>,
    /// Rows that could not be read and are left out.
    pub unreadable: u64,
}

/// The past, page by page: each call is one request, so that a long download can be stopped and resumed
/// between any two.
pub trait Archive: Send + Sync + 'static {
    /// One-minute bars of one symbol with `from <= start < to`, oldest first.
    ///
    /// # Errors
    /// As any read.
    fn bars_page(
        &self,
        symbol: &Symbol,
        from: MarketTime,
        to: MarketTime,
        page: Option<&str>,
    ) -> impl Future<Output = Result<Page<Bar>, BrokerError>> + Send;

    /// News about one symbol whose newest version came out in `from <= updated < to`, oldest first: that is
    /// what brokers search by.
    ///
    /// # Errors
    /// As any read.
    fn news_page(
        &self,
        symbol: &Symbol,
        from: MarketTime,
        to: MarketTime,
        page: Option<&str>,
    ) -> impl Future<Output = Result<Page<News>, BrokerError>> + Send;
}
