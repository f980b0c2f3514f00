//! Who is quarantined, on disk: `STATE/MODE/quarantined/NAME`. A host that starts anew knows it by that.
//!
//! Only another version, or the removal of the plugin, lifts a quarantine. A version is its component and
//! what its manifest says, not how its files are written or when. A thread of its own writes, so that nobody
//! waits for the disk; what the disk does not take is tried again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use sandpit_strategy::{Limits, Manifest, OnRemoval, Plugin, Rounding};
use sandpit_types::StrategyName;
use sha2::{Digest, Sha256};

/// How every file begins.
const MAGIC: &str = "sandpit-quarantine-1";
/// Notes that are kept. A host has no more plugins, see `listing`; beyond that a quarantine ends with the
/// host.
const NOTES_MAX: usize = 4_096;
/// Strategies that wait for their quarantine at a time: a watchdog asks for a few.
const CONDEMNED_MAX: usize = 64;
/// What is kept of a reason.
const REASON_BYTES_MAX: usize = 8 << 10;
/// No file is longer: one that is was not written by us.
const FILE_BYTES_MAX: u64 = 16 << 10;
/// After so long the disk is tried again, real time.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What tells one version of a strategy from another: checksums in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    component: String,
    manifest: String,
}

impl Version {
    /// That of a component and what the operator grants it.
    pub(crate) fn of(plugin: &Plugin, manifest: &Manifest) -> Self {
        Self { component: plugin.sha256().to_owned(), manifest: checksum(manifest) }
    }
}

/// One that is quarantined.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    /// `None`: its file is damaged, and it is whichever comes first.
    version: Option<Version>,
    reason: String,
}

/// Keeps who is quarantined. Clones share one thread, which ends with the process.
#[derive(Clone)]
pub(crate) struct Quarantines(Arc<Desk>);

struct Desk {
    folder: PathBuf,
    notes: Mutex<Notes>,
    changed: Condvar,
}

#[derive(Default)]
struct Notes {
    all: BTreeMap<StrategyName, Note>,
    /// Of whom the disk does not know yet what is in `all`, or is not any more.
    unwritten: BTreeSet<StrategyName>,
    /// Who is to be quarantined, and why: whichever version runs, or is the first to start.
    condemned: BTreeMap<StrategyName, String>,
}

impl Quarantines {
    /// Where they lie in the state folder of a mode.
    pub(crate) const FOLDER: &str = "quarantined";

    /// Those of this folder, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made or read, or no thread can be started: who was quarantined is not known then.
    pub(crate) fn start(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let notes = Notes { all: read_all(&folder)?, ..Notes::default() };
        let desk = Arc::new(Desk { folder, notes: Mutex::new(notes), changed: Condvar::new() });
        let own = Arc::clone(&desk);
        thread::Builder::new().name("quarantined".into()).spawn(move || own.write_all())?;
        Ok(Self(desk))
    }

    /// This version is quarantined. Never waits.
    pub(crate) fn note(&self, strategy: &StrategyName, version: Version, reason: &str) {
        let reason = reason[..reason.floor_char_boundary(REASON_BYTES_MAX)].to_owned();
        let note = Note { version: Some(version), reason };
        let mut notes = self.0.lock();
        if notes.all.len() >= NOTES_MAX && !notes.all.contains_key(strategy) {
            let strategy = strategy.as_str();
            tracing::error!(strategy, "too many are quarantined: with the host this quarantine ends");
            return;
        }
        notes.all.insert(strategy.clone(), note);
        notes.unwritten.insert(strategy.clone());
        self.0.changed.notify_all();
    }

    /// The watchdog wants it in quarantine, maybe before it has started. It says so until it is.
    pub(crate) fn condemn(&self, strategy: StrategyName, reason: String) {
        let mut notes = self.0.lock();
        if notes.condemned.len() < CONDEMNED_MAX {
            notes.condemned.entry(strategy).or_insert(reason);
        }
    }

    /// Who is to be quarantined and is not yet.
    pub(crate) fn condemned(&self) -> Vec<StrategyName> {
        self.0.lock().condemned.keys().cloned().collect()
    }

    /// Notes that this version is quarantined, and says why, if it is to be.
    pub(crate) fn sentence(&self, strategy: &StrategyName, version: &Version) -> Option<String> {
        let reason = self.0.lock().condemned.remove(strategy)?;
        self.note(strategy, version.clone(), &reason);
        Some(reason)
    }

    /// Forgets that it is to be quarantined, if some version of it is already and none runs.
    pub(crate) fn was_sentenced(&self, strategy: &StrategyName) {
        let mut notes = self.0.lock();
        if notes.all.contains_key(strategy) {
            notes.condemned.remove(strategy);
        }
    }

    /// The plugin is removed, or another version has taken over.
    pub(crate) fn lift(&self, strategy: &StrategyName) {
        self.0.lock().condemned.remove(strategy);
        self.lift_if(strategy, |_| true);
    }

    /// This version runs. If it is the one that is quarantined, it is so since.
    pub(crate) fn runs(&self, strategy: &StrategyName, version: &Version) {
        self.lift_if(strategy, |note| note.version.as_ref() != Some(version));
    }

    fn lift_if(&self, strategy: &StrategyName, is_over: impl Fn(&Note) -> bool) {
        let mut notes = self.0.lock();
        if notes.all.get(strategy).is_some_and(is_over) {
            notes.all.remove(strategy);
            notes.unwritten.insert(strategy.clone());
            self.0.changed.notify_all();
        }
    }

    /// Why this version is quarantined, if it is.
    pub(crate) fn reason(&self, strategy: &StrategyName, version: &Version) -> Option<String> {
        let mut notes = self.0.lock();
        let note = notes.all.get_mut(strategy)?;
        if note.version.is_some() {
            return (note.version.as_ref() == Some(version)).then(|| note.reason.clone());
        }
        note.version = Some(version.clone());
        let reason = note.reason.clone();
        notes.unwritten.insert(strategy.clone());
        self.0.changed.notify_all();
        Some(reason)
    }

    /// Waits until the disk knows everything, at most so long; whether it does. Real time.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        let is_behind = |notes: &mut Notes| !notes.unwritten.is_empty();
        let waited = self.0.changed.wait_timeout_while(self.0.lock(), within, is_behind);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Desk {
    fn write_all(&self) {
        let mut is_failing = false;
        loop {
            let mut notes = self.lock();
            if is_failing {
                notes = self.wait(notes, AGAIN_AFTER);
            }
            while notes.unwritten.is_empty() {
                notes = self.changed.wait(notes).unwrap_or_else(PoisonError::into_inner);
            }
            let names: Vec<_> = notes.unwritten.iter().cloned().collect();
            drop(notes);
            let was_failing = std::mem::replace(&mut is_failing, false);
            for name in names {
                if let Err(error) = self.bring_to_disk(&name) {
                    if !was_failing && !is_failing {
                        let strategy = name.as_str();
                        tracing::error!(strategy, %error, "its quarantine cannot be written: tried again");
                    }
                    is_failing = true;
                }
            }
        }
    }

    /// Writes or removes what the disk has to know of one.
    fn bring_to_disk(&self, name: &StrategyName) -> io::Result<()> {
        let note = self.lock().all.get(name).cloned();
        match &note {
            Some(note) => write(&self.folder, name.as_str(), note)?,
            None => remove(&self.folder, name.as_str())?,
        }
        let mut notes = self.lock();
        // It may be another one by now.
        if notes.all.get(name) == note.as_ref() {
            notes.unwritten.remove(name);
            self.changed.notify_all();
        }
        Ok(())
    }

    fn wait<'n>(&self, notes: MutexGuard<'n, Notes>, within: Duration) -> MutexGuard<'n, Notes> {
        self.changed.wait_timeout(notes, within).unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of what a manifest says, not of its text: a comment is no other version. What says nothing is left out, so
/// that a later host, which knows further keys, reckons the same.
fn checksum(manifest: &Manifest) -> String {
    let Manifest {
        parameters,
        instruments,
        sha256,
        signature,
        budget_share,
        on_removal,
        rounding,
        limits:
            Limits {
                event_deadline_ms,
                memory_mb,
                intents_per_minute,
                log_kb_per_minute,
                order_notional_usd,
                position_notional_usd,
                orders_per_minute,
            },
    } = manifest;
    let instruments = instruments.as_ref().map(|list| list.iter().map(|it| it.as_str()).collect::<Vec<_>>());
    let parameters_text: Vec<_> = parameters.iter().map(|(key, json)| format!("{key:?}: {json}")).collect();
    let keep = (*on_removal == OnRemoval::Keep).then_some("keep");
    let passive = (*rounding == Rounding::Passive).then_some("passive");
    let said = [
        ("parameters", (!parameters.is_empty()).then(|| parameters_text.join(", "))),
        ("instruments", instruments.map(|it| format!("{it:?}"))),
        ("sha256", sha256.clone()),
        ("signature", signature.clone()),
        ("budget_share", budget_share.map(|it| it.to_string())),
        ("on_removal", keep.map(str::to_owned)),
        ("rounding", passive.map(str::to_owned)),
        ("event_deadline_ms", event_deadline_ms.map(|it| it.to_string())),
        ("memory_mb", memory_mb.map(|it| it.to_string())),
        ("intents_per_minute", intents_per_minute.map(|it| it.to_string())),
        ("log_kb_per_minute", log_kb_per_minute.map(|it| it.to_string())),
        ("order_notional_usd", order_notional_usd.map(|it| it.to_string())),
        ("position_notional_usd", position_notional_usd.map(|it| it.to_string())),
        ("orders_per_minute", orders_per_minute.map(|it| it.to_string())),
    ];
    let mut text = String::new();
    for (key, value) in said {
        if let Some(value) = value {
            writeln!(text, "{key} = {value:?}").expect("text takes everything");
        }
    }
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file whole and for good, or leaves the old one.
fn write(folder: &Path, name: &str, note: &Note) -> io::Result<()> {
    let Some(Version { component, manifest }) = &note.version else { return Ok(()) };
    let (new, place) = (folder.join(format!("{name}.new")), folder.join(name));
    let mut file = File::create(&new)?;
    writeln!(file, "{MAGIC}\n{component}\n{manifest}\n{}", note.reason)?;
    file.sync_all()?;
    fs::rename(&new, &place)?;
    File::open(folder)?.sync_all()
}

fn remove(folder: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    File::open(folder)?.sync_all()
}

fn read_all(folder: &Path) -> io::Result<BTreeMap<StrategyName, Note>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        // A name with a dot is no strategy's: a file that was not finished.
        let path = entry?.path();
        let name = path.file_name().and_then(|name| StrategyName::parse(name.to_str()?).ok());
        if let Some(name) = name
            && all.len() < NOTES_MAX
        {
            let unreadable = |error| unknown(format!("{} cannot be read: {error}", path.display()));
            all.insert(name, read(&path).unwrap_or_else(unreadable));
        }
    }
    Ok(all)
}

/// A file that says nothing is still there for a reason.
fn read(path: &Path) -> io::Result<Note> {
    let bytes = if fs::metadata(path)?.len() > FILE_BYTES_MAX { Vec::new() } else { fs::read(path)? };
    let text = String::from_utf8(bytes).unwrap_or_default();
    let known = text.strip_prefix(MAGIC).and_then(|rest| {
        let mut parts = rest.strip_prefix('\n')?.splitn(3, '\n');
        let [component, manifest, reason] = [parts.next()?, parts.next()?, parts.next()?];
        let version = Version { component: component.to_owned(), manifest: manifest.to_owned() };
        Some(Note { version: Some(version), reason: reason.trim_end().to_owned() })
    });
    Ok(known.unwrap_or_else(|| unknown(format!("{} is damaged", path.display()))))
}

/// One that cannot be read keeps one strategy from trading, and nobody else.
fn unknown(why: String) -> Note {
    Note { version: None, reason: format!("why is not known, {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn name(text: &str) -> StrategyName {
        StrategyName::parse(text).expect(text)
    }

    fn version(component: &str, manifest: &str) -> Version {
        Version { component: component.into(), manifest: manifest.into() }
    }

    /// A folder, and what a host finds in it that starts once the one before has written everything.
    fn folder() -> (tempfile::TempDir, impl Fn() -> Quarantines) {
        let dir = tempfile::tempdir().expect("a folder");
        let place = dir.path().join("quarantined");
        (dir, move || Quarantines::start(place.clone()).expect("readable"))
    }

    #[test]
    fn the_next_host_knows_who_is_quarantined_and_why() {
        let (_dir, start) = folder();
        let (a, first) = (name("a"), start());
        first.note(&a, version("c1", "m1"), "it trapped:\nunreachable");
        assert!(first.flush(LONG));
        let next = start();
        let check = |component: &str, manifest: &str, expected: Option<&str>| {
            let found = next.reason(&a, &version(component, manifest));
            assert_eq!(found.as_deref(), expected, "{component} {manifest}");
        };
        check("c1", "m1", Some("it trapped:\nunreachable"));
        check("c2", "m1", None);
        check("c1", "m2", None);
        check("c1", "m1", Some("it trapped:\nunreachable"));
        assert_eq!(next.reason(&name("b"), &version("c1", "m1")), None);
    }

    #[test]
    fn another_version_or_the_end_of_the_plugin_lifts_it() {
        let (_dir, start) = folder();
        let (a, b, c) = (name("a"), name("b"), name("c"));
        let (old, new) = (version("c1", "m1"), version("c2", "m1"));
        let first = start();
        [&a, &b, &c].into_iter().for_each(|it| first.note(it, old.clone(), "why"));
        assert!(first.flush(LONG));
        first.runs(&a, &new);
        first.runs(&b, &old);
        first.lift(&c);
        assert!(first.flush(LONG));
        let next = start();
        let found = [&a, &b, &c].map(|it| next.reason(it, &old).is_some());
        assert_eq!(found, [false, true, false]);
    }

    #[test]
    fn whoever_is_condemned_is_quarantined_once_and_stays_so() {
        let (_dir, start) = folder();
        let (a, b) = (name("a"), name("b"));
        let (old, new) = (version("c1", "m1"), version("c2", "m1"));
        let first = start();
        assert_eq!(first.sentence(&a, &old), None);
        for reason in ["memory", "again"] {
            first.condemn(a.clone(), reason.into());
        }
        assert_eq!((first.condemned(), first.reason(&a, &old)), (vec![a.clone()], None));
        assert_eq!(first.sentence(&a, &old).as_deref(), Some("memory"));
        // It is told again until its loop is gone, and that binds nobody else.
        first.condemn(a.clone(), "late".into());
        first.was_sentenced(&a);
        assert_eq!((first.condemned(), first.sentence(&a, &new)), (vec![], None));
        // One that is not there yet is waited for, and one whose plugin is removed is not.
        first.condemn(b.clone(), "memory".into());
        first.was_sentenced(&b);
        assert_eq!(first.condemned(), std::slice::from_ref(&b));
        first.lift(&b);
        assert_eq!(first.sentence(&b, &old), None);
        assert!(first.flush(LONG));
        let next = start();
        let found = [&old, &new].map(|version| next.reason(&a, version));
        assert_eq!(found, [Some("memory".to_owned()), None]);
        let many = (0..=CONDEMNED_MAX).map(|number| name(&format!("n{number}")));
        many.for_each(|strategy| next.condemn(strategy, "memory".into()));
        assert_eq!(next.condemned().len(), CONDEMNED_MAX);
    }

    #[test]
    fn what_the_disk_does_not_take_is_tried_again_and_what_is_damaged_lifts_nothing() {
        let (dir, start) = folder();
        let (a, first) = (name("a"), start());
        let place = dir.path().join("quarantined");
        fs::remove_dir(&place).expect("empty");
        first.note(&a, version("c1", "m1"), "why");
        assert!(!first.flush(Duration::from_millis(50)), "there is no folder");
        fs::create_dir(&place).expect("made");
        // Another note wakes the writer before its time.
        first.note(&name("b"), version("c1", "m1"), "why");
        assert!(first.flush(LONG));
        fs::write(place.join("a"), "rubbish").expect("written");
        fs::write(place.join("c.new"), "half").expect("written");
        fs::create_dir(place.join("d")).expect("made");
        let next = start();
        let found = next.reason(&name("d"), &version("c1", "m1")).expect("it is quarantined");
        assert!(found.contains("cannot be read"), "{found}");
        let found = next.reason(&a, &version("c3", "m3")).expect("it is quarantined");
        assert!(found.contains("is damaged"), "{found}");
        assert_eq!(next.reason(&a, &version("c4", "m3")), None, "another one than was found");
    }

    #[test]
    fn a_version_is_what_a_manifest_says_and_not_how() {
        let of = |text: &str| checksum(&Manifest::parse("a.toml", text).expect(text));
        let spy = "instruments = [\"SPY\"]\n";
        let same =
            [spy, "# a word\ninstruments = ['SPY']", "on_removal = \"cancel\"\ninstruments = [\"SPY\"]"];
        assert!(same.iter().all(|text| of(text) == of(spy)));
        let others = [
            "",
            "instruments = []",
            "instruments = [\"SPY\", \"QQQ\"]",
            "instruments = [\"SPY\"]\non_removal = \"keep\"",
            "instruments = [\"SPY\"]\nrounding = \"passive\"",
            "instruments = [\"SPY\"]\nbudget_share = 5.0",
            "instruments = [\"SPY\"]\n[parameters]\nfast = 5",
            "instruments = [\"SPY\"]\n[parameters]\nfast = 6",
            "instruments = [\"SPY\"]\n[limits]\nmemory_mb = 5",
            "instruments = [\"SPY\"]\n[limits]\norders_per_minute = 5",
        ];
        let all: BTreeSet<_> = others.iter().chain([&spy]).map(|text| of(text)).collect();
        assert_eq!(all.len(), others.len() + 1);
        // As the hosts before this one have it on their disks.
        assert_eq!(of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
