//! The file `limits.json`: what the limits measure from, kept over a restart of the watchdog.
//!
//! Nothing waits for it, and a kill needs nothing of it: when it cannot be written, the next life begins with
//! an older peak or none.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::mpsc::{SyncSender, sync_channel},
};

use sandpit_contract::ARMED_FILE;
use serde::{Deserialize, Serialize};

use super::{losses::Losses, money::Money};
use crate::log::{Level, Log};

/// Its name in the state directory.
const FILE: &str = "limits.json";
/// Of somebody else's file no more is read.
const MAX_BYTES: u64 = 1 << 20;
/// The boot that times belong to.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    /// The boot of the times in it.
    pub(super) boot: String,
    /// The account.
    pub(super) account: Option<String>,
    /// The arming that it belongs to.
    pub(super) arming: Option<String>,
    /// The last equity that was believed.
    pub(super) equity: Option<Money>,
    /// The length of the window, when the market runs faster than the clock.
    pub(super) window_ms: Option<u64>,
    /// Peak, window and the session's start.
    pub(super) losses: Losses,
    /// Transfers that are known.
    pub(super) rows: Option<BTreeMap<String, Money>>,
}

/// Reads what an earlier life has kept. A file that is none is moved aside: the text says so.
pub(crate) fn load(state_dir: &Path) -> (Option<Saved>, Option<String>) {
    let path = state_dir.join(FILE);
    let cause = match read(&path) {
        Ok(None) => return (None, None),
        Ok(Some(bytes)) => match serde_json::from_slice::<Saved>(&bytes) {
            Ok(mut saved) => {
                if saved.boot.is_empty() || saved.boot != boot() {
                    saved.losses.forget_minutes();
                }
                return (Some(saved), None);
            }
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    let aside = state_dir.join(format!("{FILE}.corrupt"));
    let kept = match fs::rename(&path, &aside) {
        Ok(()) => format!("it is {} now", aside.display()),
        Err(error) => format!("it could not be moved aside ({error})"),
    };
    let text =
        format!("{} cannot be used: {cause}; {kept}; drawdown is measured from a new peak", path.display());
    (None, Some(text))
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn boot() -> String {
    fs::read_to_string(BOOT_ID).map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// Which `armed` file is there: every `arm` makes another.
pub(crate) fn arming(state_dir: &Path) -> Option<String> {
    let found = fs::symlink_metadata(state_dir.join(ARMED_FILE)).ok()?;
    Some(format!("{}:{}.{:09}", found.ino(), found.mtime(), found.mtime_nsec()))
}

/// The way to the thread that writes. What finds it busy is dropped: the next reading brings a newer one.
pub(crate) struct Keeper(SyncSender<Saved>);

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(state_dir: &Path, log: Log) -> io::Result<Self> {
        let (sender, waiting) = sync_channel::<Saved>(1);
        let state_dir = state_dir.to_owned();
        let boot = boot();
        let write_all = move || {
            let mut fails = false;
            while let Ok(mut saved) = waiting.recv() {
                saved.boot.clone_from(&boot);
                let result = write(&state_dir, &saved);
                if let (Err(error), false) = (&result, fails) {
                    let text =
                        format!("{FILE} could not be written: {error}; a restart forgets the newest peak");
                    log.write(Level::Warning, text);
                }
                fails = result.is_err();
            }
        };
        std::thread::Builder::new().name("limits".into()).stack_size(crate::STACK_BYTES).spawn(write_all)?;
        Ok(Self(sender))
    }

    /// Never waits.
    pub(crate) fn keep(&self, saved: Saved) {
        let _: Result<(), _> = self.0.try_send(saved);
    }
}

/// In place of the old one at once, or not at all.
fn write(state_dir: &Path, saved: &Saved) -> io::Result<()> {
    let fresh: PathBuf = state_dir.join(format!("{FILE}.new"));
    let mut file = File::create(&fresh)?;
    file.write_all(&serde_json::to_vec(saved)?)?;
    file.sync_all()?;
    fs::rename(&fresh, state_dir.join(FILE))?;
    File::open(state_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(boot: &str) -> Saved {
        let losses = serde_json::json!({
            "peak": "100000.5", "minutes": [[7, "100000.5"]], "start": "1", "close": null, "candidate": null,
            "moves": [["2026-03-02", "-5"]], "is_anew": false,
        });
        Saved {
            boot: boot.into(),
            account: Some("id".into()),
            arming: Some("1:2.3".into()),
            equity: Some(Money::whole(99)),
            window_ms: Some(9_000),
            losses: serde_json::from_value(losses).expect("its shape"),
            rows: Some([("a".to_owned(), Money::whole(1))].into()),
        }
    }

    #[test]
    fn what_is_written_is_read_and_times_belong_to_their_boot() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(matches!(load(dir.path()), (None, None)));
        for (boot, minutes) in [(boot(), 1), ("another".to_owned(), 0), (String::new(), 0)] {
            write(dir.path(), &saved(&boot)).expect("written");
            let (found, said) = load(dir.path());
            let text = serde_json::to_value(found.expect("a file")).expect("its shape");
            assert_eq!(said, None);
            assert_eq!(text["losses"]["peak"], "100000.500000000");
            assert_eq!(text["losses"]["minutes"].as_array().map(Vec::len), Some(minutes), "{boot}");
            assert_eq!((&text["account"], &text["rows"]["a"]), (&"id".into(), &"1.000000000".into()));
        }
    }

    #[test]
    fn a_corrupt_file_is_named_and_moved_aside() {
        for bytes in [&b"\0\0"[..], b"", b"{}", b"[]", br#"{"boot":1}"#] {
            let dir = tempfile::tempdir().expect("a directory");
            fs::write(dir.path().join(FILE), bytes).expect("written");
            let (found, said) = load(dir.path());
            assert!(found.is_none());
            assert!(said.is_some_and(|text| text.contains("limits.json") && text.contains("new peak")));
            assert_eq!(fs::read(dir.path().join("limits.json.corrupt")).expect("moved"), bytes);
            assert!(matches!(load(dir.path()), (None, None)));
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_an_error_and_no_more() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(write(&dir.path().join("gone"), &saved("x")).is_err());
        fs::create_dir(dir.path().join(FILE)).expect("in the way");
        assert!(write(dir.path(), &saved("x")).is_err());
        let (found, said) = load(dir.path());
        assert!(found.is_none() && said.is_some());
    }

    #[test]
    fn every_arming_is_another() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(arming(dir.path()), None);
        fs::write(dir.path().join(ARMED_FILE), b"a").expect("written");
        let first = arming(dir.path());
        assert_eq!(arming(dir.path()), first);
        fs::write(dir.path().join("new"), b"b").expect("written");
        fs::rename(dir.path().join("new"), dir.path().join(ARMED_FILE)).expect("moved");
        assert!(first.is_some() && arming(dir.path()) != first);
    }
}
