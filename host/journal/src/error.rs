//! What can go wrong with a journal, each with what to do about it.

use std::{io, path::PathBuf};

/// Why a journal cannot be read, or a component not be kept. Every message is one sentence.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
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
    /// The folder holds no segment.
    #[error("{} is no recorded session: name one that `ls` shows in the journal folder", path.display())]
    NoSession {
        /// The folder.
        path: PathBuf,
    },
    /// A later host wrote it.
    #[error(
        "{} has format {format} of the journal, this program reads up to {known}: use the sandpit that wrote \
         it ({host})",
        path.display(),
        known = crate::FORMAT
    )]
    Newer {
        /// The segment.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The version of the host that wrote it, if it can be told.
        host: String,
    },
    /// Bytes are not what was written.
    #[error("{} is damaged at byte {offset}: {detail}", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the first frame stands that cannot be used.
        offset: u64,
        /// What is wrong.
        detail: String,
    },
    /// A segment in the middle is not there.
    #[error("{} is missing, though there are later ones: copy the whole session", path.display())]
    Missing {
        /// The segment.
        path: PathBuf,
    },
    /// The file is no longer what was loaded from it.
    #[error("{} has changed since it was loaded: the component that runs cannot be kept", path.display())]
    Changed {
        /// The component's file.
        path: PathBuf,
    },
    /// No thread could be started.
    #[error("cannot start the thread of the journal: {source}")]
    Thread {
        /// Why.
        source: io::Error,
    },
}

impl JournalError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Whether the data is broken, rather than the way to it.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Missing { .. } => true,
            Self::Io { .. }
            | Self::NoSession { .. }
            | Self::Newer { .. }
            | Self::Changed { .. }
            | Self::Thread { .. } => false,
        }
    }
}
