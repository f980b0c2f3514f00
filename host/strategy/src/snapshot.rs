//! What a strategy carries over from one life to the next.

use std::{fmt, sync::Arc};

use sandpit_types::MarketTime;
use serde::{Deserialize, Serialize};

/// State of a strategy between two events, as its `save` gave it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The version of the strategy that saved it, as it described itself.
    pub version: String,
    /// Market time when it was saved: everything up to then is in it.
    pub time: MarketTime,
    /// The timers that were set then, by time and then by id.
    pub timers: Vec<(MarketTime, u64)>,
    /// What `save` gave, at most [`STATE_BYTES_MAX`](crate::STATE_BYTES_MAX) bytes.
    #[serde(with = "bytes")]
    pub state: Arc<[u8]>,
}

/// Without the bytes themselves: they may be millions.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, time, timers, state } = self;
        f.debug_struct("Snapshot")
            .field("version", version)
            .field("time", time)
            .field("timers", timers)
            .field("state_bytes", &state.len())
            .finish()
    }
}

mod bytes {
    use std::{fmt, sync::Arc};

    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(state: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(state)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
        deserializer.deserialize_byte_buf(Bytes)
    }

    struct Bytes;

    impl<'de> de::Visitor<'de> for Bytes {
        type Value = Arc<[u8]>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            Ok(bytes.into())
        }

        fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Self::Value, E> {
            Ok(bytes.into())
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = items.next_element()? {
                bytes.push(byte);
            }
            Ok(bytes.into())
        }
    }
}
