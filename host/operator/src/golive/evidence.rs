//! The items of the list: each looks at something that happened, not at somebody's word.

use std::{fs, io::Read, path::Path, time::Duration};

use sandpit_contract::{ALERT_TESTS_FILE, AlertTest, DRILLS_FILE, DrillNote, DrillOutcome, Exit};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    GoliveArgs, Inner, Proof, Record,
    gate::{PaperKeys, fresh_salt, watchdog_limits},
    record::{VALID_S, digest},
};
use crate::{
    Failure, World,
    ask::{Answer, Broker, Skew},
    child::{Ended, NoEnd, Program},
    files::Settings,
    keys::{KeyPair, salted},
    place::{own_program, owner},
    times::{span, stamp},
};

/// Records are read and a backup is unpacked for it.
const INNER_WAIT: Duration = Duration::from_secs(300);
/// Of a file that is longer only the end is read.
const MAX_READ_BYTES: u64 = 4 << 20;
const MAX_SKEW_S: u64 = 5;

/// What was found of an audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Lines.
    pub lines: u64,
    /// Orders that have been recorded.
    pub orders: u64,
    /// What is wrong with it, one sentence each.
    pub wrong: Vec<String>,
}

/// What was found of the newest backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Its name.
    pub file: String,
    /// When it was made, Unix seconds.
    pub at_unix_s: u64,
    /// What was done to check it, in words.
    pub checked: String,
}

/// One item of the list.
pub(super) struct Item {
    pub(super) name: &'static str,
    /// What was found, or what is missing and what to do.
    pub(super) proof: Result<String, String>,
}

/// Everything that the items look at.
pub(super) struct Look<'a> {
    args: &'a GoliveArgs,
    host_limits: &'a str,
    world: &'a World,
    settings: Settings,
    keys: Option<KeyPair>,
}

impl<'a> Look<'a> {
    pub(super) fn new(args: &'a GoliveArgs, host_limits: &'a str, world: &'a World) -> Self {
        let settings = Settings::read(&args.place);
        Self { args, host_limits, world, settings, keys: args.place.host_keys(world) }
    }

    /// All items but the limits.
    pub(super) fn items(&self) -> Vec<Item> {
        let words = |proof: Result<Proof, String>| proof.map(|proof| proof.words);
        vec![
            Item { name: "keys", proof: self.keys() },
            Item { name: "clock", proof: self.clock() },
            Item { name: "drill", proof: words(self.drill()) },
            Item { name: "alert test", proof: words(self.alert_test()) },
            Item { name: "backup", proof: words(self.backup()) },
            Item { name: "audit log", proof: self.audit() },
        ]
    }

    /// The limits of both programs, for a human to read.
    pub(super) fn limits(&self) -> String {
        let watchdog = watchdog_limits(&self.args.place.watchdog_config());
        let watchdog = watchdog.unwrap_or_else(|why| why);
        let of = |name: &str, text: &str| {
            text.lines().map(|line| format!("{name}: {line}")).collect::<Vec<_>>().join("\n")
        };
        format!("{}\n{}", of("host", self.host_limits), of("watchdog", &watchdog))
    }

    /// The sign-off.
    ///
    /// # Errors
    /// When something has gone since it was looked at.
    pub(super) fn record(&self, name: &str) -> Result<Record, Failure> {
        let gone = |why: String| Failure::new(Exit::Incomplete, why);
        let keys = self.keys.as_ref().ok_or_else(|| gone("the key has gone".into()))?;
        let salt = fresh_salt(self.world.random).map_err(|error| Failure::new(Exit::Failed, error))?;
        let watchdog = watchdog_limits(&self.args.place.watchdog_config()).map_err(gone)?;
        Ok(Record {
            signed_unix_s: self.now(),
            operator: name.to_owned(),
            login: self.world.operator.clone(),
            key: salted(&salt, keys.id.expose()),
            salt,
            drill: self.drill().map_err(gone)?,
            alert_test: self.alert_test().map_err(gone)?,
            backup: self.backup().map_err(gone)?,
            host_limits: self.host_limits.to_owned(),
            // A host is started from another folder.
            watchdog_config: fs::canonicalize(self.args.place.watchdog_config())
                .map_err(|error| gone(format!("the watchdog's configuration has gone: {error}")))?,
            watchdog_limits: digest(&watchdog),
        })
    }

    /// Has it written, with its line of the audit log, by the owner of the state folder.
    ///
    /// # Errors
    /// [`Exit::State`] when it cannot be.
    pub(super) fn sign(&self, record: &Record) -> Result<(), Failure> {
        let input = serde_json::to_vec(record).expect("plain words and numbers are JSON");
        let failed = |why: String| Failure::new(Exit::State, format!("not signed off: {why}"));
        let ended = self.inner(Inner::Sign, input).map_err(failed)?;
        if ended.code == Some(0) { Ok(()) } else { Err(failed(ended.sentence())) }
    }

    fn now(&self) -> u64 {
        (self.world.now_unix_s)()
    }

    fn keys(&self) -> Result<String, String> {
        let keys = self.keys.as_ref().ok_or("the host's key cannot be read: run it as root")?;
        let state = self.settings.state_dir();
        let known = PaperKeys::read(&state).map_err(|error| format!("{}: {error}", state.display()))?;
        let known = known.ok_or(
            "no host ever ran in mode paper on this state folder: run one first, with keys of its own",
        )?;
        if known.has(keys.id.expose()) {
            return Err("the key was used in paper: make a new one at the broker, then sandpit setup".into());
        }
        let url = self.settings.trading_url();
        match Broker::new(&url).account(keys) {
            Answer::Given(_) => Ok(format!("{url} accepts it, and no paper host has used it")),
            Answer::NotAccepted(status) => Err(format!("{url} does not accept the key ({status})")),
            Answer::Silent(why) => Err(format!("{url} cannot be reached: {why}")),
            Answer::Nothing => Err(format!("{url} is no broker")),
            Answer::Odd(status) => Err(format!("{url} answers with status {status}: try again")),
        }
    }

    fn clock(&self) -> Result<String, String> {
        let url = self.settings.trading_url();
        match Broker::new(&url).skew(self.keys.as_ref(), self.world)? {
            Some(Skew { ahead_s }) if ahead_s.unsigned_abs() <= MAX_SKEW_S => {
                Ok("it agrees with the broker's".into())
            }
            Some(Skew { ahead_s }) => {
                Err(format!("it is off by {} s: timedatectl set-ntp true", ahead_s.unsigned_abs()))
            }
            None => Err(format!("{url} does not say its time: the clock cannot be checked")),
        }
    }

    /// The newest drill has to be a good one: a later failure is not made up for by an earlier success.
    fn drill(&self) -> Result<Proof, String> {
        let path = self.settings.watchdog_dir().join(DRILLS_FILE);
        let hold = if self.settings.has_drill_account() {
            "sandpit-watchdog drill holds one"
        } else {
            "give watchdog.toml a [drill] with an account that is not traded, then sandpit-watchdog drill"
        };
        let last: DrillNote = newest(&path)?.ok_or_else(|| format!("there was none: {hold}"))?;
        let at = last.at_unix_s;
        if last.outcome != DrillOutcome::WithinBounds {
            return Err(format!("the newest ended {} at {}: {hold}", last.outcome.word(), stamp(at)));
        }
        self.fresh("the newest", at, hold)?;
        Ok(Proof { at_unix_s: at, words: format!("within bounds at {}", stamp(at)) })
    }

    fn alert_test(&self) -> Result<Proof, String> {
        let path = self.settings.watchdog_dir().join(ALERT_TESTS_FILE);
        let send = "sandpit-watchdog alert-test sends one";
        let last: AlertTest = newest(&path)?.ok_or_else(|| format!("there was none: {send}"))?;
        if let Some(sink) = last.failed.first() {
            return Err(format!("the newest did not arrive ({sink}): mend it, then {send}"));
        }
        if last.delivered.is_empty() {
            return Err(format!("the newest told nobody: {send}"));
        }
        self.fresh("the newest", last.at_unix_s, send)?;
        let words = format!("arrived at {} ({})", stamp(last.at_unix_s), last.delivered.join(", "));
        Ok(Proof { at_unix_s: last.at_unix_s, words })
    }

    fn backup(&self) -> Result<Proof, String> {
        let make = "sandpit db backup --to PLACE makes one";
        if self.args.backups.is_none() {
            return Err(format!("--backups PLACE says where they are; {make}"));
        }
        let found: Backup = self.answer(Inner::Backup)?;
        self.fresh(&format!("the newest, {},", found.file), found.at_unix_s, make)?;
        Ok(Proof { at_unix_s: found.at_unix_s, words: format!("{}: {}", found.file, found.checked) })
    }

    fn audit(&self) -> Result<String, String> {
        let found: Audit = self.answer(Inner::Audit)?;
        match found.wrong.first() {
            Some(first) => Err(format!("{first} ({} findings): sandpit db check", found.wrong.len())),
            None if found.lines == 0 => Err("it is empty: run in paper first".into()),
            None => Ok(format!("{} lines without a gap, {} orders all in it", found.lines, found.orders)),
        }
    }

    fn fresh(&self, what: &str, at: u64, again: &str) -> Result<(), String> {
        let age = self.now().saturating_sub(at);
        if age > VALID_S {
            return Err(format!("{what} is {} old, 7 days are allowed: {again}", span(age)));
        }
        Ok(())
    }

    fn answer<T: DeserializeOwned>(&self, part: Inner) -> Result<T, String> {
        let ended = self.inner(part, Vec::new())?;
        if ended.code != Some(0) {
            return Err(ended.sentence());
        }
        serde_json::from_str(&ended.out).map_err(|_| "its answer makes no sense: report it".into())
    }

    /// Runs a part of this command as the owner of the state folder: whoever opens records leaves files
    /// there.
    fn inner(&self, part: Inner, input: Vec<u8>) -> Result<Ended, String> {
        let keys = self.keys.as_ref().ok_or("the host's key cannot be read: run it as root")?;
        let mut program = Program::new(own_program())
            .args(["golive", "--inner", part.word(), "--config"])
            .args([&self.args.place.config]);
        if let Some(place) = &self.args.backups {
            program = program.args(["--backups", place]);
        }
        let program = program.environment(&keys.variables()).by_user(owner(&self.settings.state_dir()));
        program.input(input).run(INNER_WAIT).map_err(|end| match end {
            NoEnd::Hung => format!("no end within {} s: a disk or a server hangs", INNER_WAIT.as_secs()),
            NoEnd::NotStarted(why) => why,
        })
    }
}

/// The newest record of a file with one on each line.
fn newest<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {error}: run it as root", path.display())),
    };
    let unread = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let bytes = file.metadata().map_err(unread)?.len();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(bytes.saturating_sub(MAX_READ_BYTES)))
        .map_err(unread)?;
    let mut end = Vec::new();
    file.take(MAX_READ_BYTES).read_to_end(&mut end).map_err(unread)?;
    let text = String::from_utf8_lossy(&end);
    Ok(text.lines().rev().find_map(|line| serde_json::from_str(line).ok()))
}
