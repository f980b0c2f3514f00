//! Names and numbers that say which is which.

use std::{cmp::Ordering, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A text that is not an id of the wanted kind.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct IdError {
    /// What was read.
    pub text: String,
    /// What a valid one looks like.
    pub wanted: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(Arc<str>);

        /// By the text. Most that are compared are copies of one.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// Wraps a text as it is: for what the broker sent.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

/// An exchange symbol, such as `SPY`. Case matters.
///
/// Up to 23 bytes are kept in place: a copy neither allocates nor counts references, so that threads that
/// hand quotes to each other do not fight over a counter. Every stock and option symbol is shorter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(SmolStr);

impl Symbol {
    /// Wraps a text as it is: for what the broker sent.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(SmolStr::new(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl Serialize for Symbol {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Symbol {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer).map(Self::new)
    }
}

impl std::borrow::Borrow<str> for Symbol {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

text_id! {
    /// The broker's id of an order (a UUID at Alpaca). It changes when an order is replaced.
    BrokerOrderId
}
text_id! {
    /// The broker's id of one execution: a fill applies once per id.
    ExecutionId
}
text_id! {
    /// A strategy's name: the file name of its plugin without `.wasm`. Make one with [`StrategyName::parse`].
    StrategyName
}

impl StrategyName {
    /// Reads a name of 1 to 32 characters out of `a-z`, `0-9` and `_`, starting with a letter.
    ///
    /// # Errors
    /// When the text has another form: it would not survive the way through a client order id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let fits = (1..=32).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let wanted = "a strategy name: 1 to 32 of a-z, 0-9 and _, a letter first";
        if fits { Ok(Self::new(text)) } else { Err(IdError { text: text.to_owned(), wanted }) }
    }
}

/// One life of the host: fresh randomness at every start, never from a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostEpoch(pub u64);

impl fmt::Display for HostEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The id a strategy chose for an order. It is the idempotency key within one life of the strategy: the same
/// id again is the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StrategyOrderId(pub u64);

impl fmt::Display for StrategyOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A strategy's order: who and which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OrderKey {
    /// The strategy that asked for it.
    pub strategy: StrategyName,
    /// Its own id for it.
    pub id: StrategyOrderId,
}

/// Our id of an order at the broker: `sp-STRATEGY-EPOCH-SEQUENCE`, at most 128 characters, parseable, so that
/// an order of ours is known as ours even if the books lost it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientOrderId {
    /// The strategy that asked for the order.
    pub strategy: StrategyName,
    /// The host's life in which it was sent.
    pub epoch: HostEpoch,
    /// Counts up within the epoch.
    pub sequence: u64,
}

impl ClientOrderId {
    /// What every client order id of ours starts with.
    pub const PREFIX: &'static str = "sp-";
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}-{}-{}", Self::PREFIX, self.strategy, self.epoch, self.sequence)
    }
}

impl FromStr for ClientOrderId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError {
            text: text.to_owned(),
            wanted: "a client order id of ours (sp-STRATEGY-EPOCH-SEQUENCE)",
        };
        let mut parts = text.strip_prefix(Self::PREFIX).ok_or_else(error)?.split('-');
        let (Some(strategy), Some(epoch), Some(sequence), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(error());
        };
        let id = Self {
            strategy: StrategyName::parse(strategy).map_err(|_| error())?,
            epoch: HostEpoch(u64::from_str_radix(epoch, 16).map_err(|_| error())?),
            sequence: sequence.parse().map_err(|_| error())?,
        };
        // One text per id: a twin that differs in leading zeros or case would be another order to the broker.
        if id.to_string() == text { Ok(id) } else { Err(error()) }
    }
}

impl Serialize for ClientOrderId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClientOrderId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn foreign_ids_are_not_ours() {
        for text in
            ["", "sp-", "sp-a-b", "sp-a-1-1", "sp-A-0000000000000001-1", "sp-a-0000000000000001-01", "x"]
        {
            assert!(text.parse::<ClientOrderId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn ids_have_the_order_of_their_texts() {
        let id = |text: &str| StrategyName::new(text);
        let all = [id("a"), id("a"), id("b"), id("ab")];
        for one in &all {
            assert_eq!(one.cmp(&one.clone()), Ordering::Equal);
            for other in &all {
                assert_eq!(one.cmp(other), one.as_str().cmp(other.as_str()), "{one} {other}");
                assert_eq!(one == other, one.as_str() == other.as_str(), "{one} {other}");
            }
        }
    }

    proptest! {
        #[test]
        fn client_order_ids_round_trip(
            name in "[a-z][a-z0-9_]{0,31}",
            epoch in any::<u64>(),
            sequence in any::<u64>(),
        ) {
            let strategy = StrategyName::parse(&name).expect("generated to fit");
            let id = ClientOrderId { strategy, epoch: HostEpoch(epoch), sequence };
            prop_assert!(id.to_string().len() <= 128);
            prop_assert_eq!(id.to_string().parse::<ClientOrderId>().expect("own text"), id);
        }
    }
}
