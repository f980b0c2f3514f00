//! Who may use the broker.

use axum::http::HeaderMap;

/// A key and its secret, as a client sends them.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The key's id.
    pub key: String,
    /// Its secret.
    pub secret: String,
}

impl KeyPair {
    /// The key of a client that shows an OAuth token instead of a pair; the token is its secret.
    pub const OAUTH: &str = "oauth";

    /// Who it is: the key or, as all clients with a token say the same key, the token.
    pub fn owner(&self) -> &str {
        if self.key == Self::OAUTH { &self.secret } else { &self.key }
    }

    /// From the headers of a request, in any of the broker's three ways: the two headers of its own,
    /// `Authorization: Basic` with key and secret, or `Authorization: Bearer` with a token. Its own headers
    /// go first, also when only one of them is there.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let own = ["apca-api-key-id", "apca-api-secret-key"];
        if own.iter().any(|name| headers.contains_key(*name)) {
            return Some(Self { key: text(own[0])?, secret: text(own[1])? });
        }
        let authorization = text("authorization")?;
        let (scheme, credentials) = authorization.split_once(' ')?;
        let credentials = credentials.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self { key: Self::OAUTH.to_owned(), secret: credentials.to_owned() });
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = String::from_utf8(base64(credentials)?).ok()?;
        let (key, secret) = pair.split_once(':')?;
        Some(Self { key: key.to_owned(), secret: secret.to_owned() })
    }
}

/// The bytes of a base64 text, with or without its padding; `None` when it is none.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    // One digit alone holds no byte.
    if digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for &digit in group {
            bits = bits << 6 | base64_digit(digit)?;
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

fn base64_digit(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

/// The secret stays out of logs.
impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Which key pairs are accepted.
#[derive(Clone, Debug, Default)]
pub struct Keys(Option<KeyPair>);

impl Keys {
    /// Any pair without an empty half.
    pub fn any() -> Self {
        Self(None)
    }

    /// This pair only.
    pub fn only(pair: KeyPair) -> Self {
        Self(Some(pair))
    }

    /// Whether a client with this pair is let in. The only pair's secret also counts as its OAuth token.
    pub fn accept(&self, pair: &KeyPair) -> bool {
        match &self.0 {
            Some(only) if pair.key == KeyPair::OAUTH => !pair.secret.is_empty() && pair.secret == only.secret,
            Some(only) => pair == only,
            None => !pair.key.is_empty() && !pair.secret.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn the_three_ways_to_show_a_key() {
        let check = |headers: &[(&'static str, &str)], expected: Option<(&str, &str)>| {
            let header = |(name, value): &(&'static str, &str)| {
                (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
            };
            let pair = KeyPair::from_headers(&headers.iter().map(header).collect());
            let pair = pair.as_ref().map(|pair| (pair.key.as_str(), pair.secret.as_str()));
            assert_eq!(pair, expected, "{headers:?}");
        };
        let (id, secret) = ("apca-api-key-id", "apca-api-secret-key");
        check(&[], None);
        check(&[(id, "K"), (secret, "S")], Some(("K", "S")));
        check(&[(id, "K")], None);
        check(&[(id, "K"), ("authorization", "Bearer T")], None);
        check(&[(id, "K\u{e9}"), (secret, "S")], None);
        check(&[("authorization", "Bearer T")], Some(("oauth", "T")));
        check(&[("authorization", "bearer  T ")], Some(("oauth", "T")));
        check(&[("authorization", "Basic SzpT")], Some(("K", "S")));
        check(&[("authorization", "basic UEs6YTpi")], Some(("PK", "a:b")));
        check(&[("authorization", "Basic S2V5OlNlY3JldA==")], Some(("Key", "Secret")));
        check(&[("authorization", "Basic S2V5OlNlY3JldA")], Some(("Key", "Secret")));
        for bad in ["Basic S2V5", "Basic !!!!", "Basic SzpTS", "Basic /////w==", "Basic", "Digest SzpT"] {
            check(&[("authorization", bad)], None);
        }
    }

    #[test]
    fn a_token_is_an_owner() {
        let owner = |key: &str| KeyPair { key: key.into(), secret: "S".into() }.owner().to_owned();
        assert_eq!([owner("K"), owner("oauth")], ["K", "S"]);
    }

    #[test]
    fn who_is_let_in() {
        let pair = |key: &str, secret: &str| KeyPair { key: key.into(), secret: secret.into() };
        let only = Keys::only(pair("K", "S"));
        for (key, secret, any, with_one) in [
            ("K", "S", true, true),
            ("K", "X", true, false),
            ("oauth", "S", true, true),
            ("oauth", "X", true, false),
            ("K", "", false, false),
            ("", "S", false, false),
        ] {
            let offered = pair(key, secret);
            assert_eq!((Keys::any().accept(&offered), only.accept(&offered)), (any, with_one), "{offered:?}");
        }
    }
}
