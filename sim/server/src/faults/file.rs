//! Rules out of a TOML file: `[[fault]]`, as often as wanted.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Spanned;

use super::{
    armed::MAX_RULES,
    fields::{Fields, explain},
    rule::Rule,
};

/// Longest file, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A file of faults cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FaultsError {
    /// It cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{path}:{line}: {message}", path = path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong, and what was probably meant.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    #[serde(default)]
    fault: Vec<Spanned<Fields>>,
}

/// Reads the rules of a file.
///
/// # Errors
/// When it cannot be read, or a rule is not one.
pub fn read(path: &Path) -> Result<Vec<Rule>, FaultsError> {
    let mut text = String::new();
    let unreadable = |source| FaultsError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let length = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if length as u64 > MAX_FILE_BYTES {
        return Err(unreadable(std::io::Error::other(format!("longer than {MAX_FILE_BYTES} bytes"))));
    }
    from_toml(&text).map_err(|(line, message)| FaultsError::Invalid { path: path.to_owned(), line, message })
}

/// Reads rules.
///
/// # Errors
/// The line, from 1, and what is wrong with it.
pub fn from_toml(text: &str) -> Result<Vec<Rule>, (usize, String)> {
    let line = |start: usize| text[..start.min(text.len())].matches('\n').count() + 1;
    let rules: Rules = toml::from_str(text).map_err(|error| {
        (line(error.span().map_or(0, |span| span.start)), explain(error.message().trim_end()))
    })?;
    if rules.fault.len() > MAX_RULES {
        return Err((line(rules.fault[MAX_RULES].span().start), format!("more than {MAX_RULES} rules")));
    }
    let check = |fields: Spanned<Fields>| {
        let start = fields.span().start;
        fields.into_inner().check().map_err(|message| (line(start), message))
    };
    rules.fault.into_iter().map(check).collect()
}
