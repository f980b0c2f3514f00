//! Where the broker is and who we are.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

/// The path of the news stream (fact sheet 1).
const NEWS_PATH: &str = "/v1beta1/news";

/// A text that must not show in logs: its `Debug` and `Display` give only stars.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How the data streams are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Text frames with times as text: 135 bytes a quote.
    Json,
    /// Binary frames with times as numbers: 77 bytes a quote, read in two thirds of the time
    /// (`benches/decode`).
    #[default]
    MessagePack,
}

/// The broker's addresses and our key pair.
#[derive(Clone, Debug)]
pub struct AlpacaConfig {
    /// Trading REST, such as `https://paper-api.alpaca.markets`; without `/v2`.
    pub trading_url: String,
    /// Market-data REST, such as `https://data.alpaca.markets`; without `/v2`.
    pub data_url: String,
    /// The whole address of the trade-updates stream, such as `wss://paper-api.alpaca.markets/stream`.
    pub trading_stream_url: String,
    /// The whole address of the data stream, such as `wss://stream.data.alpaca.markets/v2/iex`.
    pub data_stream_url: String,
    /// The whole address of the news stream; `None` is `/v1beta1/news` at the host of the data stream.
    pub news_stream_url: Option<String>,
    /// How the data and news streams are written.
    pub encoding: Encoding,
    /// The feed that REST data comes from, such as `iex`.
    pub feed: String,
    /// The key's id.
    pub key_id: Secret,
    /// The key's secret.
    pub secret: Secret,
    /// How long one request, or one step of a stream's greeting, may take; real time.
    pub timeout: Duration,
}

/// Why the adapter cannot be built. Each is a mistake in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// An address of the wrong form.
    #[error("{what} is {url:?}, which is not an address that starts with {plain} or {encrypted}")]
    Url {
        /// Which address.
        what: &'static str,
        /// What was given.
        url: String,
        /// What it may start with to this machine.
        plain: &'static str,
        /// What it may start with to any machine.
        encrypted: &'static str,
    },
    /// An address to which the keys would go unencrypted, over a network.
    #[error("{what} is {url:?}: keys go unencrypted only to this machine; use {wanted}")]
    Unencrypted {
        /// Which address.
        what: &'static str,
        /// What was given.
        url: String,
        /// What it has to start with.
        wanted: &'static str,
    },
    /// A key with characters that no HTTP header can carry.
    #[error("{variable} is empty or holds characters that no HTTP header can carry; copy it again")]
    Key {
        /// The environment variable it usually comes from.
        variable: &'static str,
    },
    /// The HTTP client could not be set up.
    #[error("the HTTP client cannot be set up: {message}")]
    Client {
        /// What it said.
        message: String,
    },
}

impl AlpacaConfig {
    /// Looks at the form of every address.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        const HTTP: [&str; 2] = ["http://", "https://"];
        const WS: [&str; 2] = ["ws://", "wss://"];
        let news_stream_url = self.news_stream_url();
        for (what, url, [plain, encrypted]) in [
            ("trading_url", &self.trading_url, HTTP),
            ("data_url", &self.data_url, HTTP),
            ("trading_stream_url", &self.trading_stream_url, WS),
            ("data_stream_url", &self.data_stream_url, WS),
            ("news_stream_url", &news_stream_url, WS),
        ] {
            let (plainly, safely) = (url.strip_prefix(plain), url.strip_prefix(encrypted));
            if plainly.or(safely).is_none_or(str::is_empty) {
                return Err(ConfigError::Url { what, url: url.clone(), plain, encrypted });
            }
            if plainly.is_some_and(|rest| !is_this_machine(rest)) {
                return Err(ConfigError::Unencrypted { what, url: url.clone(), wanted: encrypted });
            }
        }
        Ok(())
    }

    /// Where the news stream is.
    pub(crate) fn news_stream_url(&self) -> String {
        if let Some(url) = &self.news_stream_url {
            return url.clone();
        }
        let data = &self.data_stream_url;
        let host_at = data.find("://").map_or(0, |scheme| scheme + 3);
        let host_end = data[host_at..].find(['/', '?']).map_or(data.len(), |end| host_at + end);
        format!("{}{NEWS_PATH}", &data[..host_end])
    }
}

/// Whether an address without its scheme leads to this machine. Any doubt is a no.
fn is_this_machine(address: &str) -> bool {
    // A backslash ends the host for the HTTP client, as a slash does.
    let authority = address.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) if port.is_empty() || port.starts_with(':') => host,
        Some(_) => return false,
        None => host.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_unencrypted_only_to_this_machine() {
        let check = |address: &str, is_good: bool| {
            let config = |http: &str, ws: &str| AlpacaConfig {
                trading_url: format!("{http}{address}"),
                data_url: format!("{http}{address}"),
                trading_stream_url: format!("{ws}{address}"),
                data_stream_url: format!("{ws}{address}"),
                news_stream_url: None,
                encoding: Encoding::default(),
                feed: "iex".to_owned(),
                key_id: Secret::new("k"),
                secret: Secret::new("s"),
                timeout: Duration::from_secs(1),
            };
            let safe = config("https://", "wss://");
            assert!(safe.check().is_ok(), "{address}");
            let plain = [
                AlpacaConfig { trading_url: format!("http://{address}"), ..safe.clone() },
                AlpacaConfig { data_url: format!("http://{address}"), ..safe.clone() },
                AlpacaConfig { trading_stream_url: format!("ws://{address}"), ..safe.clone() },
                AlpacaConfig { data_stream_url: format!("ws://{address}"), ..safe.clone() },
                AlpacaConfig { news_stream_url: Some(format!("ws://{address}")), ..safe },
            ];
            for config in plain {
                let found = config.check();
                assert_eq!(found.is_ok(), is_good, "{address}: {found:?}");
                let is_named = matches!(found, Ok(()) | Err(ConfigError::Unencrypted { .. }));
                assert!(is_named, "{address}: {found:?}");
            }
        };
        for good in ["127.0.0.1:8090", "127.8.8.8/v2", "localhost", "LocalHost:1/x@y", "[::1]:8090/stream"] {
            check(good, true);
        }
        for bad in [
            "data.alpaca.markets",
            "10.0.0.7:8090",
            "0.0.0.0:8090",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "127.0.0.1@example.com",
            "user:127.0.0.1@example.com/",
            "example.com\\@127.0.0.1",
            "example.com#@127.0.0.1",
            "example.com?@127.0.0.1",
            "[2001:db8::1]:80",
            "[::ffff:10.0.0.7]",
            "[::1].example.com",
            "[::1",
            ":8090",
        ] {
            check(bad, false);
        }
    }

    #[test]
    fn secrets_never_show() {
        let secret = Secret::new("PK123");
        assert_eq!(format!("{secret} {secret:?}"), "*** Secret(***)");
        assert_eq!(secret.expose(), "PK123");
    }
}
