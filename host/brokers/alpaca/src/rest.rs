//! Requests: one gate before each, no retries, no redirects, no proxies.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Client, Method, RequestBuilder, Response,
    header::{HeaderMap, HeaderValue},
    redirect, retry,
};
use sandpit_broker::{BrokerError, Class, Gate, RateHint, SendTerms};
use sandpit_types::{MarketTime, StrategyName};
use tokio::time::Instant;

use crate::{
    answered::Answered,
    body::{Fate, OrderBody, Written},
    config::{AlpacaConfig, ConfigError, Secret},
    limits,
    outcome::Answer,
};

/// An answer longer than this is not read to its end: 10 000 bars are about 1.5 MB.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// Idle connections are closed early, so that an order rarely meets one that the broker is just closing.
const POOL_IDLE_SECS: u64 = 20;
/// Idle connections kept for each host.
const POOL_SIZE: usize = 4;
/// Budgets assume that a request is no longer on its way than this; real time.
const ON_THE_WAY: Duration = Duration::from_secs(2);

/// One host of the broker, behind its gate.
pub(crate) struct Rest {
    client: Client,
    base: String,
    gate: Arc<dyn Gate>,
    answered: Arc<Answered>,
}

/// How a request asks at the gate.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// How urgent.
    pub(crate) class: Class,
    /// Who is charged.
    pub(crate) strategy: Option<&'a StrategyName>,
    /// Until when.
    pub(crate) deadline: Option<MarketTime>,
}

impl Ask<'_> {
    /// For everything that can wait.
    pub(crate) const POLL: Self = Self { class: Class::Poll, strategy: None, deadline: None };
    /// For the newest prices: they stand in for a stream, and must not wait behind pages of history.
    pub(crate) const QUOTES: Self = Self { class: Class::Reduce, ..Self::POLL };
}

impl Rest {
    /// Requests to `base` with `client`, each of which passes `gate` and is counted when it has ended.
    pub(crate) fn new(client: Client, base: &str, gate: Arc<dyn Gate>, answered: Arc<Answered>) -> Self {
        Self { client, base: base.trim_end_matches('/').to_owned(), gate, answered }
    }

    /// A request that may be repeated: whatever goes wrong on the way is `Unavailable`.
    pub(crate) async fn read(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        ask: Ask<'_>,
    ) -> Result<Answer, BrokerError> {
        let request = self.client.request(method.clone(), format!("{}{path}", self.base)).query(query);
        self.gate.acquire(ask.class, ask.strategy, ask.deadline).await?;
        self.exchange(&method, request).await.map_err(|message| {
            self.answered.silence();
            BrokerError::Unavailable { message }
        })
    }

    /// An order, new (`POST`) or in the place of another (`PATCH`). It must not be repeated: once its bytes
    /// are out, whatever goes wrong is `OutcomeUnknown`.
    pub(crate) async fn send_order(
        &self,
        method: Method,
        path: &str,
        json: Vec<u8>,
        strategy: &StrategyName,
        terms: SendTerms,
    ) -> Result<Answer, BrokerError> {
        self.gate.acquire(terms.class, Some(strategy), terms.deadline).await?;
        let fate = Fate::default();
        let body = OrderBody::new(Bytes::from(json), terms.permit, fate.clone());
        let request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .body(reqwest::Body::wrap(body));
        self.exchange(&method, request).await.map_err(|message| {
            let written = fate.abandon();
            if !matches!(written, Written::Refused(_)) {
                self.answered.silence();
            }
            match written {
                Written::Yes => BrokerError::OutcomeUnknown { message },
                Written::Refused(error) => BrokerError::NotSent(error),
                Written::Abandoned => BrokerError::Unavailable { message },
            }
        })
    }

    /// The gate hears how long it took, and what the answer says of the limit: of a 429 the count first, so
    /// that one without `Retry-After` pauses until the reset.
    async fn exchange(&self, method: &Method, request: RequestBuilder) -> Result<Answer, String> {
        let under_way = UnderWay { gate: &*self.gate, since: Instant::now() };
        let sent = request.send().await;
        drop(under_way);
        let response = sent.map_err(|error| chain(&error))?;
        let status = response.status().as_u16();
        let retry_after = limits::retry_after(response.headers());
        if let Some(hint) = limits::remaining(response.headers()) {
            self.gate.observe(hint);
        }
        if status == 429 {
            self.gate.observe(RateHint::TooMany { after: retry_after });
        }
        let body = collect(response).await?;
        self.answered.answer(method, status);
        Ok(Answer { status, retry_after, body })
    }
}

/// A request that may still have to arrive. However it ends, dropped futures included, the gate is told if it
/// took long.
struct UnderWay<'a> {
    gate: &'a dyn Gate,
    since: Instant,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.since.elapsed() > ON_THE_WAY {
            self.gate.observe(RateHint::Slow);
        }
    }
}

/// The client for both hosts.
pub(crate) fn client(config: &AlpacaConfig, tls: rustls::ClientConfig) -> Result<Client, ConfigError> {
    let mut headers = HeaderMap::new();
    headers.insert("apca-api-key-id", header(&config.key_id, "APCA_API_KEY_ID")?);
    headers.insert("apca-api-secret-key", header(&config.secret, "APCA_API_SECRET_KEY")?);
    Client::builder()
        .user_agent(concat!("sandpit/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .tls_backend_preconfigured(tls)
        .retry(retry::never())
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(POOL_SIZE)
        .pool_idle_timeout(Duration::from_secs(POOL_IDLE_SECS))
        .connect_timeout(config.timeout)
        .read_timeout(config.timeout)
        .timeout(config.timeout)
        .build()
        .map_err(|error| ConfigError::Client { message: chain(&error) })
}

fn header(secret: &Secret, variable: &'static str) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| ConfigError::Key { variable })?;
    if value.is_empty() {
        return Err(ConfigError::Key { variable });
    }
    value.set_sensitive(true);
    Ok(value)
}

async fn collect(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(format!("the answer is longer than {MAX_ANSWER_BYTES} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error with its causes: reqwest's own text says only that something went wrong.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use sandpit_broker::Admission;

    use super::*;

    #[derive(Default)]
    struct Notes(Mutex<Vec<RateHint>>);

    impl Gate for Notes {
        fn acquire<'a>(
            &'a self,
            _: Class,
            _: Option<&'a StrategyName>,
            _: Option<MarketTime>,
        ) -> Admission<'a> {
            Box::pin(async { Ok(()) })
        }

        fn observe(&self, hint: RateHint) {
            self.0.lock().expect("no panic").push(hint);
        }
    }

    #[test]
    fn the_gate_hears_of_a_request_that_was_long_on_its_way() {
        let check = |took: Duration, expected: &[RateHint]| {
            let gate = Notes::default();
            drop(UnderWay { gate: &gate, since: Instant::now() - took });
            assert_eq!(*gate.0.lock().expect("no panic"), expected, "{took:?}");
        };
        check(Duration::ZERO, &[]);
        check(ON_THE_WAY + Duration::from_millis(1), &[RateHint::Slow]);
    }
}
