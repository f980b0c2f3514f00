//! By which way a request came: from whose address, under which name, from which page. Pure.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, header};

/// Names of this machine itself, which no other site can have: under any port, because a tunnel may have one
/// of its own.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What is known of the way in advance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways {
    /// Names, with a port when they are called with one, in lower case.
    pub(crate) hosts: Vec<String>,
    /// Proxies whose word for the client's address and for TLS is believed.
    pub(crate) proxies: Vec<IpAddr>,
    /// Addresses that may sign in without TLS, beside this machine's own.
    pub(crate) plain: Vec<IpAddr>,
}

/// How one request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Whose it is.
    pub(crate) client: IpAddr,
    /// Whether the browser spoke TLS.
    pub(crate) is_secure: bool,
}

impl Ways {
    /// The way of a request from `peer`.
    pub(crate) fn way(&self, peer: IpAddr, headers: &HeaderMap) -> Way {
        let peer = peer.to_canonical();
        if !self.proxies.contains(&peer) {
            return Way { client: peer, is_secure: false };
        }
        // The last one is the proxy's own word; what stands before it, anybody may have written.
        let last = |name: &str| {
            let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
            Some(value.rsplit(',').next().unwrap_or_default().trim().to_owned())
        };
        let client = last("x-forwarded-for").and_then(|text| text.parse::<IpAddr>().ok());
        let is_secure = last("x-forwarded-proto").is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
        Way { client: client.map_or(peer, |client| client.to_canonical()), is_secure }
    }

    /// Whether a token may be typed there: over TLS, or where nobody listens on the way.
    pub(crate) fn may_sign_in(&self, way: Way) -> bool {
        way.is_secure || way.client.is_loopback() || self.plain.contains(&way.client)
    }

    /// Whether the request calls us by a name that is ours: another site may have its name point at us.
    pub(crate) fn is_ours(&self, headers: &HeaderMap) -> bool {
        let Some(host) = only(headers, &header::HOST).map(str::to_ascii_lowercase) else { return false };
        if self.hosts.contains(&host) {
            return true;
        }
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            Some(_) | None => &host,
        };
        OWN_NAMES.contains(&name)
    }
}

/// Whether a deed comes from a page of ours, by the browser's word: cookies do not know ports, so that
/// another program on this machine shares ours.
pub(crate) fn is_own_page(headers: &HeaderMap, way: Way) -> bool {
    let site = only(headers, &HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    let Some(host) = only(headers, &header::HOST) else { return false };
    if !headers.contains_key(header::ORIGIN) {
        return site.is_some();
    }
    let scheme = if way.is_secure { "https" } else { "http" };
    only(headers, &header::ORIGIN)
        .is_some_and(|given| given.eq_ignore_ascii_case(&format!("{scheme}://{host}")))
}

/// Whether another site's page asks to read something, by the browser's word.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    site.is_some_and(|site| site != b"same-origin" && site != b"none")
}

/// The header's value when it is there once, and text.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs =
            pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("plain")));
        let mut map = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            map.append(name, value);
        });
        map
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn only_our_names() {
        let ways = Ways { hosts: vec!["panel.example.org".into()], ..Ways::default() };
        let check = |hosts: &[&str], expected: bool| {
            let pairs: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            assert_eq!(ways.is_ours(&headers(&pairs)), expected, "{hosts:?}");
        };
        for good in ["localhost", "LOCALHOST:8080", "127.0.0.1:9", "[::1]:8080", "Panel.Example.org"] {
            check(&[good], true);
        }
        for bad in
            ["evil.example", "evil.example:8080", "localhost.evil", "127.0.0.1.evil:1", "127.0.0.2", ""]
        {
            check(&[bad], false);
        }
        check(&["panel.example.org:81"], false);
        check(&["localhost:"], false);
        check(&[], false);
        check(&["localhost", "localhost"], false);
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let ways = Ways { proxies: vec![ip("10.0.0.1")], plain: vec![ip("10.0.0.9")], ..Ways::default() };
        let check = |peer: &str, pairs: &[(&'static str, &str)], client: &str, is_secure: bool| {
            let way = Way { client: ip(client), is_secure };
            assert_eq!(ways.way(ip(peer), &headers(pairs)), way, "{peer} {pairs:?}");
        };
        let told = [("x-forwarded-for", "6.6.6.6, 9.9.9.9"), ("x-forwarded-proto", "https")];
        check("10.0.0.1", &told, "9.9.9.9", true);
        check("::ffff:10.0.0.1", &told, "9.9.9.9", true);
        check("10.0.0.2", &told, "10.0.0.2", false);
        check("127.0.0.1", &told, "127.0.0.1", false);
        check("10.0.0.1", &[("x-forwarded-proto", "https, http")], "10.0.0.1", false);
        check("10.0.0.1", &[("x-forwarded-for", "junk")], "10.0.0.1", false);
        let may = |client: &str, is_secure| ways.may_sign_in(Way { client: ip(client), is_secure });
        assert!(
            may("9.9.9.9", true) && may("127.0.0.1", false) && may("::1", false) && may("10.0.0.9", false)
        );
        assert!(!may("9.9.9.9", false) && !may("10.0.0.1", false));
    }

    #[test]
    fn only_pages_of_ours_do_anything() {
        let check = |pairs: &[(&'static str, &str)], is_secure: bool, expected: bool| {
            let mut pairs = pairs.to_vec();
            pairs.push(("host", "localhost:8080"));
            let way = Way { client: ip("127.0.0.1"), is_secure };
            assert_eq!(is_own_page(&headers(&pairs), way), expected, "{pairs:?}");
        };
        check(&[("origin", "http://localhost:8080")], false, true);
        check(&[("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")], false, true);
        check(&[("sec-fetch-site", "same-origin")], false, true);
        check(&[("origin", "https://localhost:8080")], true, true);
        check(&[], false, false);
        for site in ["cross-site", "same-site", "none"] {
            check(&[("origin", "http://localhost:8080"), ("sec-fetch-site", site)], false, false);
            check(&[("sec-fetch-site", site)], false, false);
        }
        for origin in ["null", "", "http://localhost:3000", "http://localhost", "http://evil.example:8080"] {
            check(&[("origin", origin)], false, false);
            check(&[("origin", origin), ("sec-fetch-site", "same-origin")], false, false);
        }
        check(&[("origin", "https://localhost:8080")], false, false);
        check(&[("origin", "http://localhost:8080")], true, false);
        check(&[("origin", "http://localhost:8080"), ("origin", "http://localhost:8080")], false, false);
        assert!(is_foreign(&headers(&[("sec-fetch-site", "cross-site")])));
        assert!(is_foreign(&headers(&[("sec-fetch-site", "same-site")])));
        assert!(!is_foreign(&headers(&[("sec-fetch-site", "none")])) && !is_foreign(&headers(&[])));
    }
}
