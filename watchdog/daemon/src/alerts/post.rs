//! One HTTPS POST of an alert: no proxy, no redirect, short time-outs; and never an address in an error, for
//! addresses of these services hold their secrets.

use std::time::Duration;

use serde_json::Value;
use ureq::{
    Agent, Body, Error as Fault,
    http::{Response, Uri},
    unversioned::transport::DefaultConnector,
};

use super::queue::Failure;
use crate::lookup::Lookup;

/// A connection must stand within this time.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// A request must be answered within this time.
pub(crate) const CALL_WAIT: Duration = Duration::from_secs(10);
/// Connections are kept at least so long.
const IDLE: Duration = Duration::from_secs(40);
/// A longer answer is none: ten of the longest messages of a chat take about half of it.
const MAX_BODY_BYTES: u64 = 2 << 20;

/// The client of all sinks.
#[derive(Clone)]
pub(crate) struct Post {
    agent: Agent,
}

impl Post {
    /// A client.
    pub(crate) fn new() -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_WAIT))
            .timeout_global(Some(CALL_WAIT))
            .max_idle_age(IDLE)
            .user_agent("sandpit-watchdog")
            .build();
        Self { agent: Agent::with_parts(config, DefaultConnector::default(), Lookup::default()) }
    }

    /// Posts `body` to `url` and takes its answer as JSON, or as `Null` when it is none.
    ///
    /// # Errors
    /// Anything but success; `hint` says what to look at when the service refuses.
    pub(crate) fn send(
        &self,
        url: &str,
        header: Option<(&str, &str)>,
        body: &str,
        wait: Duration,
        hint: &str,
    ) -> Result<Value, Failure> {
        let mut request = self.agent.post(url).header("Content-Type", "application/json");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let request = request.config().timeout_global(Some(wait)).build();
        Self::judge(request.send(body), hint)
    }

    /// Says to a check-in service that we are there: a POST of a line, or a GET where that is not taken.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(crate) fn check_in(&self, url: &str, line: &str) -> Result<(), Failure> {
        let hint = "check ALERT_PING_URL";
        let request = self.agent.post(url).header("Content-Type", "text/plain; charset=utf-8");
        match request.send(line) {
            Ok(response) if matches!(response.status().as_u16(), 405 | 501) => {
                Self::judge(self.agent.get(url).call(), hint)?;
            }
            result => drop(Self::judge(result, hint)?),
        }
        Ok(())
    }

    fn judge(result: Result<Response<Body>, Fault>, hint: &str) -> Result<Value, Failure> {
        let mut response = result.map_err(|fault| later(silence(&fault)))?;
        let retry_after = seconds_of_header(&response);
        let read = response.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_string();
        let text = read.map_err(|fault| later(silence(&fault)))?;
        let answer = serde_json::from_str(&text).unwrap_or(Value::Null);
        match response.status().as_u16() {
            200..=299 => Ok(answer),
            status @ (408 | 425 | 429 | 500..=599) => Err(Failure::Later {
                why: format!("status {status}"),
                wait: seconds_of_body(&answer).max(retry_after),
            }),
            status @ 300..=399 => {
                Err(Failure::Refused(format!("status {status}: redirects are not followed; {hint}")))
            }
            status => Err(Failure::Refused(format!("status {status}; {hint}"))),
        }
    }
}

fn later(why: String) -> Failure {
    Failure::Later { why, wait: None }
}

/// Fixed words only: what `ureq` says may hold the address.
fn silence(fault: &Fault) -> String {
    match fault {
        Fault::Timeout(_) => "no answer in time".into(),
        Fault::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            "no trusted TLS connection".into()
        }
        Fault::Io(error) => error.kind().to_string(),
        Fault::HostNotFound => "the name of the service is not found".into(),
        Fault::ConnectionFailed => "no connection".into(),
        Fault::Tls(_) | Fault::Rustls(_) => "no trusted TLS connection".into(),
        _ => "no answer that is understood".into(),
    }
}

fn seconds_of_header(response: &Response<Body>) -> Option<Duration> {
    seconds(response.headers().get("Retry-After")?.to_str().ok()?.trim().parse().ok()?)
}

/// Discord says it in `retry_after`, Telegram in `parameters.retry_after`; PagerDuty says nothing.
fn seconds_of_body(answer: &Value) -> Option<Duration> {
    let found = answer.get("retry_after").or_else(|| answer.pointer("/parameters/retry_after"));
    seconds(found?.as_f64()?)
}

/// A number that is no time is no wish.
fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// HTTPS, or plain HTTP that does not leave the machine.
pub(crate) fn is_safe(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => is_loopback,
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_travel_encrypted_or_not_at_all() {
        for url in ["https://a.b/c", "http://127.0.0.1:1/x", "http://[::1]:1", "http://localhost/"] {
            assert!(is_safe(url), "{url}");
        }
        for url in
            ["http://a.b/c", "ftp://a", "a.b", "http://127.0.0.1.a.b/", "https://", "", "http://10.0.0.1"]
        {
            assert!(!is_safe(url), "{url}");
        }
        assert_eq!(seconds(-1.0), None);
        assert_eq!(seconds(f64::INFINITY), None);
        assert_eq!(seconds(0.5), Some(Duration::from_millis(500)));
    }

    #[test]
    fn no_fault_says_an_address() {
        let url = "https://a.b/hush";
        let faults = [
            Fault::BadUri(url.into()),
            Fault::RequireHttpsOnly(url.into()),
            Fault::ConnectProxyFailed(url.into()),
            Fault::Other(url.into()),
            Fault::Io(std::io::Error::other(url)),
            Fault::HostNotFound,
        ];
        for fault in faults {
            assert!(!silence(&fault).contains("hush"), "{fault:?}");
        }
    }
}
