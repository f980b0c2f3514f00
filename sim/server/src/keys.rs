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
    /// From the two headers of a request, if both are there.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        Some(Self { key: text("apca-api-key-id")?, secret: text("apca-api-secret-key")? })
    }
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

    /// Whether a client with this pair is let in.
    pub fn accept(&self, pair: &KeyPair) -> bool {
        match &self.0 {
            Some(only) => pair == only,
            None => !pair.key.is_empty() && !pair.secret.is_empty(),
        }
    }
}
