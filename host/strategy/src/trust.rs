//! Whether a plugin's file is the one that the operator means.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{PUBLIC_KEY_LENGTH, Signature, VerifyingKey};

use crate::Manifest;

/// Keys that are kept; more are refused.
const KEYS_MAX: usize = 64;

/// Whose signatures count. The default trusts every file, and no signature.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<VerifyingKey>,
    is_required: bool,
}

/// A configuration that is no use.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not an ed25519 public key.
    #[error("{text:?} is no ed25519 public key: 32 bytes in base64")]
    Key {
        /// What was read.
        text: String,
    },
    /// More keys than are kept.
    #[error("{count} trusted keys are too many, at most {KEYS_MAX} go")]
    Many {
        /// How many.
        count: usize,
    },
    /// Signatures are wanted, and nobody can make one that counts.
    #[error("require_signature = true needs trusted_keys")]
    NoKeys,
}

impl Trust {
    /// Trusts signatures of these ed25519 keys, 32 bytes in base64 each; where they are required, files without
    /// one are refused.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn new(keys: &[String], is_required: bool) -> Result<Self, TrustError> {
        if keys.len() > KEYS_MAX {
            return Err(TrustError::Many { count: keys.len() });
        }
        if is_required && keys.is_empty() {
            return Err(TrustError::NoKeys);
        }
        let keys = keys.iter().map(|text| key(text).ok_or_else(|| TrustError::Key { text: text.clone() }));
        Ok(Self { keys: keys.collect::<Result<_, _>>()?, is_required })
    }

    /// Whether this file, of this checksum, may be used under this manifest; else why not.
    pub(crate) fn admits(&self, manifest: &Manifest, bytes: &[u8], sha256: &str) -> Result<(), String> {
        if let Some(pinned) = &manifest.sha256
            && pinned != sha256
        {
            return Err(format!("it is pinned to another file: its sha256 is {sha256}, not {pinned}"));
        }
        let Some(text) = &manifest.signature else {
            return if self.is_required { Err("it is not signed".to_owned()) } else { Ok(()) };
        };
        let bytes_of = STANDARD.decode(text).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
        let signature = bytes_of.ok_or("its signature is not 64 bytes in base64")?;
        let is_trusted = self.keys.iter().any(|key| key.verify_strict(bytes, &signature).is_ok());
        is_trusted.then_some(()).ok_or_else(|| "its signature is by none of the trusted keys".to_owned())
    }
}

fn key(text: &str) -> Option<VerifyingKey> {
    let bytes: [u8; PUBLIC_KEY_LENGTH] = STANDARD.decode(text).ok()?.try_into().ok()?;
    VerifyingKey::from_bytes(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::cache::sha256;

    #[test]
    fn a_file_must_be_the_pinned_one_and_signed_by_a_trusted_key() {
        let (ours, theirs) = (SigningKey::from_bytes(&[7; 32]), SigningKey::from_bytes(&[8; 32]));
        let key = |of: &SigningKey| STANDARD.encode(of.verifying_key().as_bytes());
        let sign = |by: &SigningKey, bytes: &[u8]| Some(STANDARD.encode(by.sign(bytes).to_bytes()));
        let file = b"the strategy".as_slice();
        let check = |trust: &Trust,
                     pin: Option<&str>,
                     signature: Option<String>,
                     expected: Result<(), &str>| {
            let manifest = Manifest { sha256: pin.map(str::to_owned), signature, ..Manifest::default() };
            let found = trust.admits(&manifest, file, &sha256(file));
            match expected {
                Ok(()) => assert_eq!(found, Ok(())),
                Err(start) => assert!(found.as_ref().is_err_and(|text| text.starts_with(start)), "{found:?}"),
            }
        };
        let (nobody, right) = (Trust::default(), sha256(file));
        check(&nobody, None, None, Ok(()));
        check(&nobody, Some(&right), None, Ok(()));
        check(&nobody, Some(&"0".repeat(64)), None, Err("it is pinned to another file"));
        check(&nobody, None, sign(&ours, file), Err("its signature is by none"));
        let trust = Trust::new(&[key(&theirs), key(&ours)], true).expect("keys");
        check(&trust, None, None, Err("it is not signed"));
        check(&trust, Some(&right), sign(&ours, file), Ok(()));
        check(&trust, None, sign(&ours, b"another file"), Err("its signature is by none"));
        check(&trust, None, sign(&SigningKey::from_bytes(&[9; 32]), file), Err("its signature is by none"));
        check(&trust, None, Some("AAAA".into()), Err("its signature is not 64 bytes"));
        check(&Trust::new(&[key(&ours)], false).expect("a key"), None, None, Ok(()));
    }

    #[test]
    fn keys_are_read_or_refused() {
        let check = |keys: &[String], required, expected: &str| {
            let error = Trust::new(keys, required).expect_err("refused").to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check(&["AAAA".into()], false, "\"AAAA\" is no ed25519 public key");
        check(&[], true, "require_signature = true needs trusted_keys");
        check(&vec!["AAAA".into(); KEYS_MAX + 1], false, "65 trusted keys are too many");
    }
}
