//! What is missing, which version of it is needed, and what to do.

use std::fmt::Display;

/// Why there is no toolchain. One sentence, with the remedy where there is one.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// A tool is not there.
    #[error("{what} is missing: {remedy}")]
    Missing {
        /// The tool, with the version that is needed.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A tool is there and did not do what it was asked for.
    #[error("{0}")]
    Failed(String),
}

impl ToolError {
    /// A tool that did not work, in words.
    pub fn failed(words: impl Into<String>) -> Self {
        Self::Failed(words.into())
    }
}

/// Says what was tried when something fails.
pub(crate) trait Context<T> {
    /// # Errors
    /// `words`, and behind them the cause.
    fn context(self, words: impl Display) -> Result<T, ToolError>;
}

impl<T, E: Display> Context<T> for Result<T, E> {
    fn context(self, words: impl Display) -> Result<T, ToolError> {
        self.map_err(|cause| ToolError::Failed(format!("{words}: {cause}")))
    }
}

/// Fails with `words` unless `holds`.
pub(crate) fn ensure(holds: bool, words: impl FnOnce() -> String) -> Result<(), ToolError> {
    if holds { Ok(()) } else { Err(ToolError::Failed(words())) }
}
