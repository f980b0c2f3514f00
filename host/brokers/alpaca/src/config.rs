//! Where the broker is and who we are.

use std::{fmt, sync::Arc, time::Duration};

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
    #[error("{what} is {url:?}, which is not an address that starts with {wanted}")]
    Url {
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
        const HTTP: (&[&str], &str) = (&["http://", "https://"], "http:// or https://");
        const WS: (&[&str], &str) = (&["ws://", "wss://"], "ws:// or wss://");
        let news_stream_url = self.news_stream_url();
        for (what, url, (schemes, wanted)) in [
            ("trading_url", &self.trading_url, HTTP),
            ("data_url", &self.data_url, HTTP),
            ("trading_stream_url", &self.trading_stream_url, WS),
            ("data_stream_url", &self.data_stream_url, WS),
            ("news_stream_url", &news_stream_url, WS),
        ] {
            let host = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
            if host.is_none_or(str::is_empty) {
                return Err(ConfigError::Url { what, url: url.clone(), wanted });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_never_show() {
        let secret = Secret::new("PK123");
        assert_eq!(format!("{secret} {secret:?}"), "*** Secret(***)");
        assert_eq!(secret.expose(), "PK123");
    }
}
