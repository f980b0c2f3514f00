//! Whose signatures under plugins count.

use super::file::StrategiesSection;

/// Bytes of an ed25519 public key.
const KEY_BYTES: usize = 32;
/// Keys that may be trusted.
const MAX_KEYS: usize = 16;

/// Who may sign plugins, and whether somebody has to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// ed25519 public keys.
    pub(crate) keys: Vec<[u8; KEY_BYTES]>,
    /// Whether a plugin without a signature by one of them is refused.
    pub(crate) is_required: bool,
}

impl Trust {
    /// Reads the keys.
    ///
    /// # Errors
    /// When one is no key, there are too many, or a signature is required and nobody could give one.
    pub(super) fn check(section: &StrategiesSection) -> Result<Self, String> {
        if section.trusted_keys.len() > MAX_KEYS {
            let count = section.trusted_keys.len();
            return Err(format!("strategies.trusted_keys holds {count} keys, at most {MAX_KEYS} go"));
        }
        let key = |text: &String| {
            let bytes = base64(text).and_then(|bytes| bytes.try_into().ok());
            let what = "in base64, 44 characters that end in =";
            bytes.ok_or_else(|| {
                format!("strategies.trusted_keys holds {text:?}, it must be the {KEY_BYTES} bytes of an ed25519 key {what}")
            })
        };
        let keys: Vec<_> = section.trusted_keys.iter().map(key).collect::<Result<_, _>>()?;
        let is_required = section.require_signature;
        if is_required && keys.is_empty() {
            return Err("strategies.require_signature is true without strategies.trusted_keys: no plugin could be used; \
                        name a key"
                .into());
        }
        Ok(Self { keys, is_required })
    }
}

/// The bytes of a text in base64 with its usual alphabet and padding (RFC 4648, 4).
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let digit = |byte: u8| {
        Some(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            bits = bits << 6 | u32::from(digit(*byte)?);
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
        // What is left of the last digit has to be nothing: one text, one key.
        if bits & ((1 << (8 * (4 - group.len()))) - 1) != 0 {
            return None;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_or_refused() {
        let check =
            |text: &str, expected: Option<&[u8]>| assert_eq!(base64(text).as_deref(), expected, "{text}");
        check("", Some(b""));
        check("Zg==", Some(b"f"));
        check("Zm8=", Some(b"fo"));
        check("Zm9v", Some(b"foo"));
        check("Zm9vYmE=", Some(b"fooba"));
        check("+/+/", Some(&[0xfb, 0xff, 0xbf]));
        for bad in ["Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm9v====", "Zm 9", "Zm-_", "=Zm9"] {
            check(bad, None);
        }
    }

    #[test]
    fn keys_are_read_and_somebody_must_be_able_to_sign() {
        let check = |keys: &[&str], require_signature: bool, expected: Result<usize, &str>| {
            let trusted_keys = keys.iter().map(|&key| key.to_owned()).collect();
            let section =
                StrategiesSection { trusted_keys, require_signature, ..StrategiesSection::default() };
            match (Trust::check(&section), expected) {
                (Ok(trust), Ok(count)) => {
                    assert_eq!((trust.keys.len(), trust.is_required), (count, require_signature));
                }
                (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
                (found, expected) => panic!("{keys:?}: {found:?} is not {expected:?}"),
            }
        };
        // The key of the first example of RFC 8032, 7.1.
        let key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        check(&[], false, Ok(0));
        check(&[key], true, Ok(1));
        check(&[key, key], false, Ok(2));
        check(&[], true, Err("no plugin could be used"));
        check(&["d75a"], false, Err("it must be the 32 bytes"));
        check(&[&key[..40]], false, Err("it must be the 32 bytes"));
        check(&[key; 17], false, Err("holds 17 keys, at most 16"));
    }
}
