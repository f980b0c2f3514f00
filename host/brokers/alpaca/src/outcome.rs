//! What an answer means: one place that turns status and body into the caller's decision.
//!
//! | status | a read or a cancel | an order |
//! |---|---|---|
//! | 2xx, understood | done | done |
//! | 2xx, not understood | `Malformed` | `OutcomeUnknown` |
//! | 401; 403 that speaks of the key | `Unauthorized` | `Unauthorized` |
//! | 404 with the broker's words and code | `NotFound` | `Rejected` |
//! | 404 in other words, 408 | `Unavailable`: a load balancer may have said it | `OutcomeUnknown` |
//! | 404 with the broker's words only | as before; a page of the past: `Rejected` | `OutcomeUnknown` |
//! | 429 | `RetryAfter` | `RetryAfter` |
//! | 4xx with the broker's words | `Rejected` | `Rejected`; a client id used before: `OutcomeUnknown` |
//! | 4xx in other words | `Rejected` | `OutcomeUnknown`: a proxy may have said it |
//! | 5xx and the rest | `Unavailable` | `OutcomeUnknown` |

use std::time::Duration;

use sandpit_broker::BrokerError;
use serde::Deserialize;

use crate::limits::DEFAULT_PAUSE;

/// At most this much of a strange body goes into a message.
const EXCERPT_CHARS: usize = 200;
/// Alpaca's words for a client id that it has seen before; its code changes, the words do not (fact sheet
/// 2.1).
const USED_BEFORE: &str = "client_order_id must be unique";

/// The broker's answer to one request.
#[derive(Debug)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// The `Retry-After` header.
    pub(crate) retry_after: Option<Duration>,
    /// The body, whole.
    pub(crate) body: Vec<u8>,
}

/// The error body; market-data errors have no code.
#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    code: Option<i64>,
    message: String,
}

impl Answer {
    /// The value in the answer to a read.
    pub(crate) fn value<'a, T: Deserialize<'a>>(&'a self) -> Result<T, BrokerError> {
        self.done()?;
        serde_json::from_slice(&self.body)
            .map_err(|error| BrokerError::Malformed { message: format!("{error} in {}", self.excerpt()) })
    }

    /// A page of the past. Market-data errors have no code, so the broker's words alone make a 404 its own: a
    /// day that it does not have will not be there later either.
    pub(crate) fn page<'a, T: Deserialize<'a>>(&'a self) -> Result<T, BrokerError> {
        match self.words() {
            Some(Words { code: None, message }) if self.status == 404 => {
                Err(BrokerError::Rejected { http_status: self.status, code: None, message })
            }
            _ => self.value(),
        }
    }

    /// Whether the request was taken; the body does not matter.
    pub(crate) fn done(&self) -> Result<(), BrokerError> {
        if self.is_success() {
            return Ok(());
        }
        let (code, message) = self.words().map_or_else(|| (None, self.excerpt()), |w| (w.code, w.message));
        Err(match self.status {
            401 => BrokerError::Unauthorized { message },
            403 if speaks_of_the_key(code, &message) => BrokerError::Unauthorized { message },
            // It frees the exposure of an order, so a balancer that knows no such path must not say it.
            404 if code.is_some() => BrokerError::NotFound { message },
            status @ (404 | 408) => BrokerError::Unavailable { message: format!("HTTP {status}: {message}") },
            429 => BrokerError::RetryAfter { after: self.retry_after.unwrap_or(DEFAULT_PAUSE) },
            400..=499 => BrokerError::Rejected { http_status: self.status, code, message },
            status => BrokerError::Unavailable { message: format!("HTTP {status}: {message}") },
        })
    }

    /// The value in the answer to an order.
    pub(crate) fn submitted<'a, T: Deserialize<'a>>(&'a self) -> Result<T, BrokerError> {
        let unknown = |message: String| BrokerError::OutcomeUnknown { message };
        Err(match self.done() {
            Ok(()) => {
                return serde_json::from_slice(&self.body).map_err(|error| {
                    unknown(format!("the answer is not an order: {error} in {}", self.excerpt()))
                });
            }
            Err(BrokerError::Rejected { http_status, code, message }) => {
                self.rejected(http_status, code, message)
            }
            Err(BrokerError::NotFound { message }) => self.rejected(self.status, None, message),
            Err(
                BrokerError::Unavailable { message }
                | BrokerError::Malformed { message }
                | BrokerError::OutcomeUnknown { message },
            ) => unknown(message),
            Err(
                error @ (BrokerError::Unauthorized { .. }
                | BrokerError::RetryAfter { .. }
                | BrokerError::NotSent(_)),
            ) => error,
        })
    }

    /// A no to an order counts only in the broker's own words, and not if the order may be there already.
    fn rejected(&self, http_status: u16, code: Option<i64>, message: String) -> BrokerError {
        let own_words = self.words();
        if own_words.is_none() || message.contains(USED_BEFORE) {
            return BrokerError::OutcomeUnknown { message: format!("HTTP {http_status}: {message}") };
        }
        BrokerError::Rejected { http_status, code: code.or(own_words.and_then(|words| words.code)), message }
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn words(&self) -> Option<Words> {
        serde_json::from_slice(&self.body).ok()
    }

    fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let cut: String = text.chars().take(EXCERPT_CHARS).collect();
        format!("{cut:?}")
    }
}

/// A 403 is usually about one order; some are about the key (fact sheet 2.1: `forbidden.` and no more, code
/// 40110000).
fn speaks_of_the_key(code: Option<i64>, message: &str) -> bool {
    code == Some(40_110_000) || message.trim_end_matches('.') == "forbidden" || message.contains("access key")
}
