//! What is wrong with a configuration, in one sentence: where, what, and what to do.

use std::path::{Path, PathBuf};

/// Why a configuration cannot be used. Each is one sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}:{line}: {message}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where in it, from 1.
        line: usize,
        /// What is wrong and what to do.
        message: String,
    },
    /// A variable of the environment is not what it should be.
    #[error("environment variable {name}: {message}")]
    Environment {
        /// Its name.
        name: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// A value that is well-formed but not allowed.
    #[error("configuration {path}: {message}")]
    NotAllowed {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
}

/// One sentence with the line, and for a misspelt key the nearest valid one.
pub(super) fn invalid(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let line = text[..start].matches('\n').count() + 1;
    let message = error.message();
    let message = match nearest_key(message) {
        Some((key, Some(nearest))) => format!("unknown key `{key}`; did you mean `{nearest}`?"),
        Some((key, None)) => format!("unknown key `{key}`; remove it or see the README for the valid keys"),
        None => message.to_owned(),
    };
    ConfigError::Invalid { path: path.to_owned(), line, message }
}

/// Reads serde's "unknown field `x`, expected one of `a`, `b`" into the key and its nearest valid name.
fn nearest_key(message: &str) -> Option<(&str, Option<&str>)> {
    let mut names = message.strip_prefix("unknown field `")?.split('`').step_by(2);
    let key = names.next()?;
    let nearest = names
        .map(|name| (strsim::damerau_levenshtein(key, name), name))
        .filter(|(distance, name)| !name.is_empty() && *distance <= name.len().div_ceil(2))
        .min_by_key(|(distance, _)| *distance);
    Some((key, nearest.map(|(_, name)| name)))
}
