//! Key pairs: where they come from, and that nobody reads them by accident.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Read},
    path::Path,
};

use sandpit_contract::Exit;
use sha2::{Digest, Sha256};

use crate::Failure;

/// A secret is never longer; a longer file is the wrong file.
const MAX_SECRET_BYTES: u64 = 4_096;

/// A word that prints as `…`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// One word: it goes into headers.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = (1..=MAX_SECRET_BYTES).contains(&(text.len() as u64));
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        (fits && plain).then(|| Self(text.to_owned()))
    }

    /// The text itself, for a request or a file of mode 0600 and for nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("…")
    }
}

/// A key id and its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPair {
    pub(crate) id: Secret,
    pub(crate) secret: Secret,
}

impl KeyPair {
    /// From the variables, or from the files that the variables with `_FILE` behind their names name.
    pub(crate) fn of_environment(environment: &BTreeMap<String, String>) -> Option<Self> {
        let read = |name: &str| {
            let inline = environment.get(name).and_then(|text| Secret::new(text));
            let file = || environment.get(&format!("{name}_FILE")).and_then(|path| secret_of(path.as_ref()));
            inline.or_else(file)
        };
        Some(Self { id: read("APCA_API_KEY_ID")?, secret: read("APCA_API_SECRET_KEY")? })
    }

    /// From a file of two lines, the key id and the secret key; `-` is standard input.
    ///
    /// # Errors
    /// [`Exit::Usage`] when it cannot be read or has another shape. What is in it is never in the sentence.
    pub(crate) fn of_two_lines(path: &Path) -> Result<Self, Failure> {
        let wrong = |why: String| {
            let what = format!("{} {why}: two lines, the key id and the secret key", path.display());
            Failure::new(Exit::Usage, what)
        };
        let text =
            if path.as_os_str() == "-" { read(io::stdin()) } else { fs::File::open(path).and_then(read) };
        let text = text.map_err(|error| wrong(format!("cannot be read ({error})")))?;
        let mut lines = text.lines().filter(|line| !line.trim().is_empty()).map(Secret::new);
        match (lines.next().flatten(), lines.next().flatten(), lines.next()) {
            (Some(id), Some(secret), None) => Ok(Self { id, secret }),
            _ => Err(wrong("is no key file".into())),
        }
    }

    /// As the variables that our programs read.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let pair = |name: &str, secret: &Secret| (name.to_owned(), secret.expose().to_owned());
        [pair("APCA_API_KEY_ID", &self.id), pair("APCA_API_SECRET_KEY", &self.secret)].into()
    }
}

/// The one word in a file.
pub(crate) fn secret_of(path: &Path) -> Option<Secret> {
    Secret::new(&fs::File::open(path).and_then(read).ok()?)
}

fn read(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(MAX_SECRET_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// A key id that cannot be read back: SHA-256 of salt and id, in hex.
pub(crate) fn salted(salt: &str, id: &str) -> String {
    let digest = Sha256::digest(format!("{salt}:{id}"));
    hex(&digest)
}

/// In hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_files_and_print_as_dots() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        let check = |text: &str, good: bool| {
            fs::write(&path, text).expect("written");
            let read = KeyPair::of_two_lines(&path);
            assert_eq!(read.is_ok(), good, "{text:?}");
            if let Err(failure) = read {
                assert!(!failure.sentence.contains("hush"), "{}", failure.sentence);
            }
        };
        check("ID\nhush\n", true);
        check("ID\n\nhush", true);
        check("hush", false);
        check("ID\nhush hush\n", false);
        check("ID\nhush\nmore\n", false);
        let pair = KeyPair { id: Secret("hush".into()), secret: Secret("hush".into()) };
        assert_eq!(format!("{pair:?}"), "KeyPair { id: …, secret: … }");
        assert_ne!(salted("a", "ID"), salted("b", "ID"), "the salt counts");
    }
}
