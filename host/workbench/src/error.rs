//! Why a command did not do what it was asked for.

use std::{
    io,
    path::{Path, PathBuf},
};

use sandpit_strategy::PluginError;
use sandpit_toolchain::ToolError;

/// Why a command did not do what it was asked for. Each is one sentence with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum WorkbenchError {
    /// What was asked for cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// The folder is no strategy's, or what is in it is not fit.
    #[error("{0}")]
    Project(String),
    /// A tool is missing or failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The plugin, or the manifest beside it, is wrong.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The host's configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// Whose fault it is: what the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Of who called.
    Usage,
    /// Of the configuration or the manifest.
    Config,
    /// Of the plugin, its sources, or the tools that build it.
    Plugin,
    /// Of the disk.
    Files,
}

impl WorkbenchError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Whose fault it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Usage(_) => Blame::Usage,
            Self::Config(_) | Self::Plugin(PluginError::Manifest { .. }) => Blame::Config,
            Self::Project(_) | Self::Tool(_) | Self::Plugin(_) => Blame::Plugin,
            Self::Io { .. } => Blame::Files,
        }
    }
}
