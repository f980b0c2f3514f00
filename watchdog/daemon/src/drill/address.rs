//! Where a drill may place orders: Alpaca's paper account, or a broker on this machine.

use std::net::IpAddr;

use ureq::http::Uri;

/// The one host beyond this machine.
const PAPER: &str = "paper-api.alpaca.markets";

/// A place that the live account cannot be at. There is no other way to get one than [`Address::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    base: String,
}

impl Address {
    /// Takes `https://paper-api.alpaca.markets` and loopback addresses; nothing else, so that no misspelt or
    /// new address of a live account passes.
    ///
    /// # Errors
    /// With one sentence, for anything else.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| format!("`{}` is no address", plain(url)))?;
        let is_bare = matches!(uri.path(), "" | "/")
            && uri.query().is_none()
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if !is_bare || !may_be_drilled(&uri) {
            return Err(format!(
                "a drill places orders and suspends trading: its `trading_url` may be https://{PAPER} or a \
                 loopback address such as http://127.0.0.1:8090, and `{}` is neither",
                plain(url)
            ));
        }
        Ok(Self { base: url.trim_end_matches('/').into() })
    }

    /// To be put before a path.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Whether `url` leads to the same broker. An address that cannot be read may.
    pub(crate) fn is_same_place(&self, url: &str) -> bool {
        match (place(&self.base), place(url)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, _) | (_, None) => true,
        }
    }
}

fn may_be_drilled(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") if host.eq_ignore_ascii_case(PAPER) => matches!(uri.port_u16(), None | Some(443)),
        Some("http" | "https") => is_loopback(host),
        Some(_) | None => false,
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Host and port, whatever words name them.
fn place(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?.to_ascii_lowercase();
    let host = if is_loopback(&host) { "loopback".into() } else { host };
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    Some((host, uri.port_u16().unwrap_or(usual)))
}

/// What stands before an `@` may be a secret, and a sentence has an end.
fn plain(url: &str) -> String {
    let shown = match url.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => url.into(),
    };
    shown.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_paper_and_this_machine_is_drilled() {
        for url in [
            "https://paper-api.alpaca.markets",
            "https://paper-api.alpaca.markets/",
            "https://PAPER-api.alpaca.markets:443",
            "http://127.0.0.1:8090",
            "http://127.8.9.1",
            "https://localhost:1/",
            "http://[::1]:8090",
        ] {
            Address::parse(url).expect(url);
        }
        for url in [
            "https://api.alpaca.markets",
            "https://API.alpaca.markets:443/",
            "http://paper-api.alpaca.markets",
            "https://paper-api.alpaca.markets:8443",
            "https://paper-api.alpaca.markets.evil.example",
            "https://paper-api.alpaca.markets@api.alpaca.markets",
            "http://127.0.0.1@api.alpaca.markets",
            "http://user:secret@127.0.0.1:8090",
            "http://127.0.0.1:8090/v2",
            "http://127.0.0.1:8090?x=1",
            "http://0.0.0.0:8090",
            "http://10.0.0.1",
            "http://128.0.0.1",
            "http://localhost.example",
            "ftp://127.0.0.1",
            "127.0.0.1:8090",
            "paper-api.alpaca.markets",
            "",
        ] {
            let error = Address::parse(url).expect_err(url);
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn one_broker_has_many_names() {
        let address = Address::parse("http://127.0.0.1:8090").expect("loopback");
        for (url, is_same) in [
            ("http://localhost:8090/", true),
            ("http://[::1]:8090", true),
            ("not an address", true),
            ("http://127.0.0.1:8091", false),
            ("https://paper-api.alpaca.markets", false),
        ] {
            assert_eq!(address.is_same_place(url), is_same, "{url}");
        }
        let paper = Address::parse("https://paper-api.alpaca.markets").expect("paper");
        assert!(paper.is_same_place("https://PAPER-api.alpaca.markets:443/"));
        assert!(!paper.is_same_place("https://api.alpaca.markets"));
    }
}
