//! Key pairs for a backfill: out of the environment or a file, never off the command line, never in a log.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::Path,
};

use sandpit_alpaca::Secret;

use crate::config::{Unusable, with_files};

/// Most key pairs of one run.
const MAX_KEYS: usize = 16;
/// A file of keys is never longer.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// Bits of a file's mode that let others in.
const OTHERS: u32 = 0o077;

/// One key pair. Its `Debug` shows only stars.
#[derive(Debug)]
pub(super) struct KeyPair {
    /// The key's id.
    pub(super) id: Secret,
    /// The key's secret.
    pub(super) secret: Secret,
}

/// The pairs `APCA_API_KEY_ID` and `APCA_API_SECRET_KEY`, then those with `_2`, `_3` and so on behind; each
/// may be in the file that NAME_FILE names.
///
/// # Errors
/// One sentence when there is none, or half of one.
pub(super) fn from_environment(env: &BTreeMap<String, String>) -> Result<Vec<KeyPair>, String> {
    let mut pairs = Vec::new();
    let names = |number: usize| {
        let suffix = if number == 1 { String::new() } else { format!("_{number}") };
        [format!("APCA_API_KEY_ID{suffix}"), format!("APCA_API_SECRET_KEY{suffix}")]
    };
    let env = with_files(env, (1..=MAX_KEYS).flat_map(names))
        .map_err(|Unusable { variable, message }| format!("environment variable {variable}: {message}"))?;
    for number in 1..=MAX_KEYS {
        let names = names(number);
        let values = [&names[0], &names[1]].map(|name| {
            env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty()).map(Secret::new)
        });
        match values {
            [Some(id), Some(secret)] => pairs.push(KeyPair { id, secret }),
            [None, None] => {}
            [None, Some(_)] => return Err(format!("{} is set, {} is not", names[1], names[0])),
            [Some(_), None] => return Err(format!("{} is set, {} is not", names[0], names[1])),
        }
    }
    if pairs.is_empty() {
        return Err(
            "APCA_API_KEY_ID and APCA_API_SECRET_KEY are not set; set them, or use --keys FILE".into()
        );
    }
    distinct(pairs)
}

/// The pairs in a file: one a line, id and secret with a space between; `#` begins a comment.
///
/// # Errors
/// One sentence when the file cannot be read, others may read it, or it holds something else.
pub(super) fn from_file(path: &Path) -> Result<Vec<KeyPair>, String> {
    let name = path.display();
    let unreadable = |error: std::io::Error| format!("cannot read the keys in {name}: {error}");
    let mut file = File::open(path).map_err(unreadable)?;
    let metadata: fs::Metadata = file.metadata().map_err(unreadable)?;
    if metadata.mode() & OTHERS != 0 {
        return Err(format!("others than its owner may use {name}; run chmod 600 on it"));
    }
    let mut text = String::new();
    file.by_ref().take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("{name} is longer than {MAX_FILE_BYTES} bytes: it is not a file of keys"));
    }
    let mut pairs = Vec::new();
    for (at, line) in text.lines().enumerate() {
        // A `#` inside a word belongs to it: it may be part of a secret.
        match *line.split_whitespace().take_while(|word| !word.starts_with('#')).collect::<Vec<_>>() {
            [] => {}
            [id, secret] => pairs.push(KeyPair { id: Secret::new(id), secret: Secret::new(secret) }),
            // Not even a part of the line is shown: it may be a key.
            _ => {
                return Err(format!("{name}:{}: not a key's id and its secret with a space between", at + 1));
            }
        }
    }
    match pairs.len() {
        0 => Err(format!("{name} holds no key pair")),
        1..=MAX_KEYS => distinct(pairs),
        many => Err(format!("{name} holds {many} key pairs, at most {MAX_KEYS} can be used")),
    }
}

/// The same pair twice would be given twice its budget.
fn distinct(pairs: Vec<KeyPair>) -> Result<Vec<KeyPair>, String> {
    let ids: BTreeSet<&str> = pairs.iter().map(|pair| pair.id.expose()).collect();
    if ids.len() == pairs.len() { Ok(pairs) } else { Err("the same key pair is given twice".into()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn ids(pairs: Result<Vec<KeyPair>, String>) -> Result<Vec<String>, String> {
        pairs.map(|pairs| pairs.iter().map(|pair| pair.id.expose().to_owned()).collect())
    }

    #[test]
    fn the_environment_numbers_its_pairs() {
        let check = |env: &[(&str, &str)], expected: Result<&[&str], &str>| {
            let env = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            match (ids(from_environment(&env)), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        };
        let one = [("APCA_API_KEY_ID", "a"), ("APCA_API_SECRET_KEY", "hush")];
        let two = [("APCA_API_KEY_ID_3", "b"), ("APCA_API_SECRET_KEY_3", "hush")];
        check(&one, Ok(&["a"]));
        check(&[one, two].concat(), Ok(&["a", "b"]));
        check(&[], Err("are not set"));
        check(&[one[0]], Err("APCA_API_SECRET_KEY is not"));
        check(&[&one[..], &two[1..]].concat(), Err("APCA_API_KEY_ID_3 is not"));
        let same = [("APCA_API_KEY_ID_2", "a"), ("APCA_API_SECRET_KEY_2", "hush")];
        check(&[one, same].concat(), Err("twice"));
    }

    #[test]
    fn a_file_of_keys_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("keys");
        let check = |text: &str, mode: u32, expected: Result<&[&str], &str>| {
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("allowed");
            match (ids(from_file(&path)), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        };
        check("# mine\na hush\n\nb hush # second\n", 0o600, Ok(&["a", "b"]));
        check("a hush\n#b hush\n", 0o600, Ok(&["a"]));
        check("a\n#b hush\n", 0o600, Err("keys:1: not a key's id"));
        let long = format!("a hush\n{}", "#".repeat(64 * 1024));
        check(&long, 0o600, Err("is longer than 65536 bytes"));
        check(&long[..64 * 1024], 0o600, Ok(&["a"]));
        check("a hush\n", 0o640, Err("chmod 600"));
        check("a hush\n", 0o604, Err("chmod 600"));
        check("a hush\nonlyid\n", 0o600, Err("keys:2: not a key's id and its secret"));
        check("# none\n", 0o600, Err("holds no key pair"));
        check("a hush\na hush\n", 0o600, Err("twice"));
    }

    #[test]
    fn a_secret_is_read_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("keys");
        fs::write(&path, "a hu#sh#\t# mine\n").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("allowed");
        let pairs = from_file(&path).expect("one pair");
        assert_eq!((pairs.len(), pairs[0].secret.expose()), (1, "hu#sh#"));
    }

    #[test]
    fn no_message_and_no_debug_shows_a_key() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("keys");
        fs::write(&path, "PKVISIBLE hunter2 hunter3\n").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("allowed");
        let error = from_file(&path).expect_err("three words");
        assert!(!error.contains("PKVISIBLE") && !error.contains("hunter"), "{error}");
        let pair = KeyPair { id: Secret::new("PKVISIBLE"), secret: Secret::new("hunter2") };
        let text = format!("{pair:?}");
        assert!(!text.contains("PKVISIBLE") && !text.contains("hunter"), "{text}");
    }
}
