//! The state of the rules over a restart: what fires, and what the last 7 days were like.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use sandpit_monitor::rules::State;
use serde::{Deserialize, Serialize};

/// Its name in the folder of the mode.
const FILE: &str = "alarms.json";
/// Where one is kept that cannot be read.
const ASIDE: &str = "alarms.unreadable.json";
/// No file is longer: one that is was not written by us.
const MAX_BYTES: u64 = 64 << 20;

/// What is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The evaluator's.
    pub(super) rules: State,
    /// What was said of each series that fires, by its key.
    pub(super) sentences: BTreeMap<String, String>,
}

/// The folder in which it lies.
#[derive(Clone, Debug)]
pub(super) struct Keep(PathBuf);

impl Keep {
    /// That of this folder, which is there.
    pub(super) fn within(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// What was kept; nothing at a first start. What cannot be read is said, moved aside, and begun anew.
    pub(super) fn read(&self) -> Kept {
        let path = self.0.join(FILE);
        let error = match read(&path) {
            Ok(kept) => return kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Kept::default(),
            Err(error) => error,
        };
        let aside = self.0.join(ASIDE);
        let moved = match fs::rename(&path, &aside) {
            Ok(()) => format!("it is kept as {}", aside.display()),
            Err(error) => format!("it cannot be moved aside ({error})"),
        };
        let path = path.display();
        tracing::warn!(
            "what fired before this start, and what was usual, is not known: {path} cannot be read \
             ({error}); {moved}; the rules begin anew"
        );
        Kept::default()
    }

    /// Keeps this, whole or not at all.
    ///
    /// # Errors
    /// When the disk does not take it; what was kept before is there still.
    pub(super) fn write(&self, kept: &Kept) -> io::Result<()> {
        let new = self.0.join("alarms.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(kept)?)?;
        file.sync_all()?;
        fs::rename(&new, self.0.join(FILE))?;
        // Else the old one may be back after a power cut.
        File::open(&self.0)?.sync_all()
    }
}

fn read(path: &Path) -> io::Result<Kept> {
    let file = File::open(path)?;
    if file.metadata()?.len() > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("longer than {MAX_BYTES} bytes")));
    }
    Ok(serde_json::from_reader(io::BufReader::new(file))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_and_what_is_damaged_is_put_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let keep = Keep::within(folder.path());
        assert!(keep.read().sentences.is_empty(), "a first start");
        let sentences = BTreeMap::from([("memory".to_owned(), "memory is 90 %.".to_owned())]);
        keep.write(&Kept { rules: State::default(), sentences: sentences.clone() }).expect("written");
        assert_eq!(keep.read().sentences, sentences);
        assert!(!folder.path().join("alarms.new").exists(), "put in the old one's place");

        let path = folder.path().join(FILE);
        let whole = fs::read_to_string(&path).expect("text");
        fs::write(&path, &whole[..whole.len() / 2]).expect("cut");
        assert!(keep.read().sentences.is_empty());
        let aside = fs::read_to_string(folder.path().join(ASIDE)).expect("kept aside");
        assert_eq!(aside, whole[..whole.len() / 2]);
        assert!(!path.exists() && keep.read().sentences.is_empty(), "it is a first start again");
    }
}
