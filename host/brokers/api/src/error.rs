//! What can go wrong at a broker, one variant per decision the caller has to take.

use std::time::Duration;

use crate::GateError;

/// Why a request gave no result.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The broker answered no: the order does not exist, the cancel was not taken. Do not send it again as it
    /// is.
    #[error("the broker rejected it: {message} (HTTP {http_status}, code {code:?})")]
    Rejected {
        /// HTTP status of the answer.
        http_status: u16,
        /// The broker's code, if it gave one.
        code: Option<i64>,
        /// The broker's words.
        message: String,
    },
    /// There is no such thing at the broker.
    #[error("the broker knows no such thing: {message}")]
    NotFound {
        /// The broker's words.
        message: String,
    },
    /// The key pair is not accepted. Retrying will not help; a human has to look.
    #[error(
        "the broker does not accept the API key: {message}; check APCA_API_KEY_ID and APCA_API_SECRET_KEY"
    )]
    Unauthorized {
        /// The broker's words.
        message: String,
    },
    /// Too many requests: nothing was done, everything has to pause. The gate was told already.
    #[error("the broker asks to pause for {after:?}")]
    RetryAfter {
        /// How long, market time.
        after: Duration,
    },
    /// The order may or may not exist: time-out, reset, or a 5xx answer. Ask by client id; never send it
    /// again.
    #[error("the outcome is unknown: {message}")]
    OutcomeUnknown {
        /// What happened to the request.
        message: String,
    },
    /// Nothing was done: the connection failed before the request was written, or a read failed, by a 5xx
    /// answer for example. May be retried.
    #[error("the broker cannot be reached: {message}")]
    Unavailable {
        /// What happened.
        message: String,
    },
    /// Our own budget or lease did not let the request out. Nothing was sent.
    #[error(transparent)]
    NotSent(#[from] GateError),
    /// The answer has a shape that this adapter does not know. For a POST, this is reported as
    /// `OutcomeUnknown`.
    #[error("the broker's answer is not understood: {message}")]
    Malformed {
        /// What was expected and what came.
        message: String,
    },
}

/// Why a stream could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection could not be made, was closed or reset.
    #[error("the stream is down: {message}")]
    Down {
        /// What happened.
        message: String,
    },
    /// The key pair is not accepted, or the plan behind it does not allow the subscription. Trying again at
    /// once will not help; a human has to look.
    #[error("the stream refuses this account: {message}")]
    Unauthorized {
        /// The broker's words.
        message: String,
    },
    /// Too many connections: an old session of ours lives on at the broker. Wait it out (Alpaca: about 90 s).
    #[error("the broker still holds an older connection: {message}")]
    Occupied {
        /// The broker's words.
        message: String,
    },
    /// The plan behind the key does not allow as many symbols. Subscribe to fewer; REST carries the others.
    #[error("the data plan allows fewer symbols: {message}")]
    TooManySymbols {
        /// The broker's words.
        message: String,
    },
    /// We read too slowly and data was lost. Connect again at once and fill the gap.
    #[error("the broker calls us slow, data was lost: {message}")]
    Slow {
        /// The broker's words.
        message: String,
    },
    /// The request budget did not let the handshake out.
    #[error(transparent)]
    NotSent(#[from] GateError),
}
