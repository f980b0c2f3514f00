//! Secrets of the environment: the variable NAME holds one, or NAME_FILE names the file that does.

use std::{collections::BTreeMap, fs::File, io::Read};

/// What may be given as a file.
pub(crate) const NAMES: [&str; 4] = ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "DATABASE_URL", "PANEL_TOKEN"];
/// A secret is never longer; a longer file is the wrong file.
const MAX_BYTES: u64 = 4096;

/// A variable that cannot be used. The secret is never in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// Which variable.
    pub(crate) variable: String,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

/// The environment with the secrets of these names read from their files. White space around one (the newline
/// that ends a file) is not part of it.
///
/// # Errors
/// When NAME and NAME_FILE are both set, the file cannot be read, or what is in it is no secret: empty,
/// longer than 4096 bytes, or with a space or control character inside.
pub(crate) fn with_files(
    env: &BTreeMap<String, String>,
    names: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<BTreeMap<String, String>, Unusable> {
    let mut all = env.clone();
    let is_set = |name: &str| env.get(name).is_some_and(|value| !value.trim().is_empty());
    for name in names {
        let name = name.as_ref();
        let variable = format!("{name}_FILE");
        if !is_set(&variable) {
            continue;
        }
        if is_set(name) {
            let message = format!("is set, and so is {variable}: set one of the two");
            return Err(Unusable { variable: name.to_owned(), message });
        }
        let secret = read(env[&variable].trim());
        all.insert(name.to_owned(), secret.map_err(|message| Unusable { variable, message })?);
    }
    Ok(all)
}

fn read(path: &str) -> Result<String, String> {
    let unread = |cause| format!("names {path}, which cannot be read: {cause}");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unread)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unread)?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= MAX_BYTES);
    let word = text.as_deref().map(str::trim).filter(|text| is_word(text)).map(str::to_owned);
    word.ok_or_else(|| {
        format!("names {path}, which holds no secret: one word of 1 to {MAX_BYTES} characters is expected")
    })
}

/// It goes into headers and addresses.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
        let env = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        with_files(&env, ["T"]).map_err(|Unusable { variable, message }| format!("{variable} {message}"))
    }

    #[test]
    fn a_secret_is_a_word_from_one_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let path = path.to_str().expect("plain");
        assert_eq!(set(&[]).expect("none").get("T"), None);
        assert_eq!(set(&[("T", "abc")]).expect("one")["T"], "abc");
        std::fs::write(path, "from-file\n").expect("written");
        assert_eq!(set(&[("T_FILE", path)]).expect("one")["T"], "from-file");
        assert_eq!(set(&[("T_FILE", path), ("T", " ")]).expect("an empty one is none")["T"], "from-file");
        assert_eq!(set(&[("T_FILE", " "), ("T", "abc")]).expect("an empty one is none")["T"], "abc");
        let refused = |pairs: &[(&str, &str)], words: &str| {
            let error = set(pairs).expect_err(words);
            assert!(error.contains(words) && !error.contains("hush"), "{error}");
        };
        refused(&[("T", "hush"), ("T_FILE", path)], "T is set, and so is T_FILE");
        refused(&[("T_FILE", "/nowhere/token")], "T_FILE names /nowhere/token, which cannot be read");
        for text in ["", " \n", "hush\nhush\n", "hush hush", &"hush".repeat(1025)] {
            std::fs::write(path, text).expect("written");
            refused(&[("T_FILE", path)], "which holds no secret");
        }
    }
}
