//! A moment as the data API writes it: RFC 3339 in JSON, the Timestamp extension in MessagePack.

use sandpit_types::MarketTime;
use serde::{Deserialize, Serialize, Serializer};

/// MessagePack's number for timestamps.
const TIMESTAMP: i8 = -1;

/// A moment on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Stamp(pub MarketTime);

impl From<MarketTime> for Stamp {
    fn from(time: MarketTime) -> Self {
        Self(time)
    }
}

impl Serialize for Stamp {
    /// The SDKs that speak MessagePack read nothing but the extension type, those that speak JSON nothing but
    /// text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&self.0);
        }
        let (buffer, length) = packed(self.0);
        let extension = (TIMESTAMP, Raw(&buffer[..length]));
        serializer.serialize_newtype_struct(rmp_serde::MSGPACK_EXT_STRUCT_NAME, &extension)
    }
}

/// Bytes that are written as bytes.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// The shortest of the three forms of the extension, and how many bytes of the buffer it takes.
fn packed(time: MarketTime) -> ([u8; 12], usize) {
    let (secs, nanos) =
        (time.as_nanos().div_euclid(1_000_000_000), time.as_nanos().rem_euclid(1_000_000_000));
    let nanos = u32::try_from(nanos).expect("less than a second of nanoseconds");
    let mut buffer = [0; 12];
    match u64::try_from(secs) {
        Ok(short) if nanos == 0 && u32::try_from(short).is_ok() => {
            buffer[..4].copy_from_slice(&(short as u32).to_be_bytes());
            (buffer, 4)
        }
        Ok(middle) if middle < 1 << 34 => {
            buffer[..8].copy_from_slice(&(u64::from(nanos) << 34 | middle).to_be_bytes());
            (buffer, 8)
        }
        Ok(_) | Err(_) => {
            buffer[..4].copy_from_slice(&nanos.to_be_bytes());
            buffer[4..].copy_from_slice(&secs.to_be_bytes());
            (buffer, 12)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_json_and_the_extension_in_message_pack() {
        let check = |nanos: i64, text: &str, bytes: &[u8]| {
            let stamp = Stamp(MarketTime::from_nanos(nanos));
            assert_eq!(serde_json::to_string(&stamp).expect("JSON"), format!("{text:?}"));
            assert_eq!(rmp_serde::to_vec_named(&stamp).expect("MessagePack"), bytes, "{text}");
        };
        // The format's own three forms: fixext 4, fixext 8, ext 8 of twelve bytes.
        check(1_000_000_000, "1970-01-01T00:00:01Z", &[0xd6, 0xff, 0, 0, 0, 1]);
        check(1_000_000_001, "1970-01-01T00:00:01.000000001Z", &[0xd7, 0xff, 0, 0, 0, 4, 0, 0, 0, 1]);
        check(
            -1,
            "1969-12-31T23:59:59.999999999Z",
            &[0xc7, 12, 0xff, 0x3b, 0x9a, 0xc9, 0xff, 255, 255, 255, 255, 255, 255, 255, 255],
        );
    }
}
