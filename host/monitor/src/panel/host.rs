//! What the panel needs of the host: what may be done, and what is remembered. The host implements both.

use std::pin::Pin;

use serde::Serialize;
use tokio::sync::mpsc;

/// A future that somebody else may have made.
pub type Promise<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What an operator does by the panel. Each goes the way of the control socket, into the audit log, too.
pub trait Deeds: Send + Sync {
    /// Cancels the order with this client id. What came of it, in one sentence.
    fn cancel(&self, client_order_id: String) -> Promise<Result<String, Denied>>;
    /// Lets a strategy only reduce.
    fn pause(&self, strategy: String) -> Promise<Result<String, Denied>>;
    /// Lifts what `pause` began.
    fn resume(&self, strategy: String) -> Promise<Result<String, Denied>>;
    /// Stops all trading through the watchdog. It is under way when this returns, whoever drops the receiver.
    fn panic(&self, reason: String) -> mpsc::Receiver<PanicStep>;
    /// How the watchdog stands.
    fn fence(&self) -> Promise<Fence>;
}

/// What the records remember.
pub trait History: Send + Sync {
    /// The newest lines of the audit log, the newest first, at most so many.
    fn audit(&self, lines: usize) -> Promise<Result<Vec<AuditLine>, String>>;
    /// The account's equity after this market time, Unix milliseconds, in the order of time: one page. Empty
    /// when there is no more. Without a time, from as far back as the plot shows.
    fn equity(&self, after_ms: Option<i64>) -> Promise<Result<Vec<EquityPoint>, String>>;
}

/// Why nothing was done, or is not known to be; each in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It cannot be done as it was said.
    Wrong(String),
    /// Nothing was done; it may be tried again.
    Busy(String),
    /// It may be done or not.
    Unanswered(String),
}

/// What happens after a panic, step by step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum PanicStep {
    /// The watchdog has it: no right to trade is granted from here on.
    Taken,
    /// How it stands now.
    Stands(Fence),
    /// The watchdog was not reached, and the kill switch file is there instead.
    Flag {
        /// What that means.
        sentence: String,
    },
    /// Neither way worked.
    Failed {
        /// What to do.
        sentence: String,
    },
}

/// How the watchdog stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fence {
    /// Its state, as `sandpit-watchdog status` says it; `None` when it does not answer.
    pub state: Option<String>,
    /// What killed: `operator`, `flag`, `trip`, `limit`, `panic`, `chat` or `crash-loop`.
    pub layer: Option<String>,
    /// In words.
    pub reason: Option<String>,
    /// When, Unix seconds.
    pub killed_at_unix_s: Option<u64>,
    /// What the broker's answers prove since, such as `CONFIRMED_ZERO`.
    pub proof: Option<String>,
}

/// One line of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// When, market time, RFC 3339.
    pub time: String,
    /// What kind of actor: `strategy`, `operator`, `host` or `broker`.
    pub actor: String,
    /// Which one; empty for host and broker.
    pub name: String,
    /// What was done.
    pub action: String,
    /// To which order, if one.
    pub client_id: Option<String>,
    /// In which symbol, if one.
    pub symbol: Option<String>,
    /// In words.
    pub detail: String,
}

/// What the account was worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EquityPoint {
    /// When, market time, Unix milliseconds.
    pub at_ms: i64,
    /// US dollars.
    pub usd: f64,
}
