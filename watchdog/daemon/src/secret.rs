//! Secrets of the environment: a variable holds one, or the variable NAME_FILE names the file that does.

use std::{ffi::OsString, fmt, fs::File, io::Read};

use crate::error::Error;

/// A secret is never longer; a longer file is the wrong file.
const MAX_SECRET_BYTES: u64 = 4096;

/// Secrets that are no business of the host's: it is started without them.
pub(crate) const OURS_ALONE: [&str; 11] = [
    "PANIC_TOKEN",
    "TELEGRAM_BOT_TOKEN",
    "DISCORD_WEBHOOK_URL",
    "PAGERDUTY_ROUTING_KEY",
    "ALERT_WEBHOOK_URL",
    "ALERT_WEBHOOK_SECRET",
    "ALERT_PING_URL",
    "SMTP_USERNAME",
    "SMTP_PASSWORD",
    "DRILL_APCA_API_KEY_ID",
    "DRILL_APCA_API_SECRET_KEY",
];

/// A text that nobody may read by accident: it prints as `…`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text itself, for a request and for nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("…")
    }
}

/// The secret `name`, from the variable itself or from the file that `{name}_FILE` names; `None` when neither
/// is set. White space around it (the newline that ends a file) is not part of it.
///
/// # Errors
/// [`Error::Config`] when both are set, the file cannot be read, or what is there is no secret: empty, longer
/// than 4096 bytes, or with a space or control character inside. The secret is never in the text.
pub(crate) fn secret(
    variable: impl Fn(&str) -> Option<OsString>,
    name: &str,
) -> Result<Option<Secret>, Error> {
    let file_name = format!("{name}_FILE");
    let wrong = |of: &str, why: String| Error::Config(format!("the environment variable {of} {why}"));
    let (of, text) = match (variable(name), variable(&file_name)) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(wrong(name, format!("and {file_name} are both set: set one"))),
        (Some(text), None) => (name, text.into_string().ok()),
        (None, Some(path)) => {
            let unread =
                |cause| wrong(&file_name, format!("names {}, which cannot be read: {cause}", path.display()));
            let mut bytes = Vec::new();
            let file = File::open(&path).map_err(unread)?;
            file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes).map_err(unread)?;
            (file_name.as_str(), String::from_utf8(bytes).ok())
        }
    };
    let text = text.as_deref().map(str::trim).filter(|text| is_plain(text));
    let text = text.ok_or_else(|| {
        wrong(of, format!("holds no secret: one word of 1 to {MAX_SECRET_BYTES} characters is expected"))
    })?;
    Ok(Some(Secret(text.into())))
}

/// It goes into headers and addresses.
fn is_plain(text: &str) -> bool {
    (1..=MAX_SECRET_BYTES).contains(&(text.len() as u64)) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_word_from_one_place() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        let set = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, OsString)> =
                pairs.iter().map(|(name, text)| ((*name).into(), text.into())).collect();
            secret(|name| pairs.iter().find(|(own, _)| own == name).map(|(_, text)| text.clone()), "T")
        };
        let path = path.to_str().expect("plain");
        assert_eq!(set(&[]).expect("none"), None);
        assert_eq!(set(&[("T", "abc")]).expect("one"), Some(Secret("abc".into())));
        std::fs::write(path, "from-file\n").expect("written");
        assert_eq!(set(&[("T_FILE", path)]).expect("one"), Some(Secret("from-file".into())));
        let refused = |pairs: &[(&str, &str)], words: &str| {
            let error = set(pairs).expect_err(words).to_string();
            assert!(error.contains(words) && !error.contains("hush"), "{error}");
        };
        refused(&[("T", "hush"), ("T_FILE", path)], "T and T_FILE are both set");
        refused(&[("T", "hush hush")], "variable T holds no secret");
        refused(&[("T", "hush\r\nHost:")], "variable T holds no secret");
        refused(&[("T_FILE", "/nowhere/token")], "T_FILE names /nowhere/token");
        for text in ["", " \n", "hush\nhush\n", &"hush".repeat(1025)] {
            std::fs::write(path, text).expect("written");
            refused(&[("T_FILE", path)], "variable T_FILE holds no secret");
        }
    }

    #[test]
    fn a_secret_prints_as_dots() {
        let secret = Some(Secret("hush".into()));
        assert_eq!(format!("{secret:?}"), "Some(…)");
    }
}
