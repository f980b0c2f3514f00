//! What backups are called: `sandpit-MODE-YYYYMMDDTHHMMSSZ.db` (SQLite) or `.pgdump` (PostgreSQL), and the
//! manifest beside them with `.json` after it. Names of one mode sort by their time.

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};

const FRONT: &str = "sandpit-";
/// What a manifest's name ends with, after the backup's.
const MANIFEST: &str = ".json";
const STAMP: &str = "%Y%m%dT%H%M%SZ";
const STAMP_CHARS: usize = 16;

/// Which database a backup is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An SQLite file.
    Sqlite,
    /// A dump of PostgreSQL in its custom format.
    Postgres,
}

/// The name of a backup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) mode: String,
    stamp: String,
    pub(crate) kind: Kind,
}

impl Kind {
    const fn ending(self) -> &'static str {
        match self {
            Self::Sqlite => ".db",
            Self::Postgres => ".pgdump",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

impl Name {
    pub(crate) fn new(mode: &str, now: Timestamp, kind: Kind) -> Self {
        let stamp = now.to_zoned(TimeZone::UTC).strftime(STAMP).to_string();
        Self { mode: mode.to_owned(), stamp, kind }
    }

    /// Reads the name of a backup, not that of its manifest.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(FRONT)?;
        let kinds = [Kind::Sqlite, Kind::Postgres];
        let (rest, kind) =
            kinds.into_iter().find_map(|kind| Some((rest.strip_suffix(kind.ending())?, kind)))?;
        let (mode, stamp) = rest.rsplit_once('-')?;
        let plain = mode.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !mode.is_empty();
        let digit = |at: usize, c: char| match at {
            8 => c == 'T',
            15 => c == 'Z',
            _ => c.is_ascii_digit(),
        };
        let stamped = stamp.len() == STAMP_CHARS && stamp.chars().enumerate().all(|(at, c)| digit(at, c));
        (plain && stamped).then(|| Self { mode: mode.to_owned(), stamp: stamp.to_owned(), kind })
    }

    /// Reads the name of a manifest.
    pub(crate) fn of_manifest(text: &str) -> Option<Self> {
        Self::parse(text.strip_suffix(MANIFEST)?)
    }

    pub(crate) fn manifest(&self) -> String {
        format!("{self}{MANIFEST}")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FRONT}{}-{}{}", self.mode, self.stamp, self.kind.ending())
    }
}

/// Of which backups there are manifests, the oldest first.
pub(crate) fn of_mode(names: &[String], mode: &str) -> Vec<Name> {
    let found = names.iter().filter_map(|name| Name::of_manifest(name));
    let mut found: Vec<_> = found.filter(|name| name.mode == mode).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_sort_by_time() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a stamp");
        let (old, new) = (at("2026-03-09T14:30:05.9Z"), at("2026-11-22T05:21:52+01:00"));
        let old = Name::new("dry-run", old, Kind::Postgres);
        let new = Name::new("dry-run", new, Kind::Sqlite);
        assert_eq!(old.to_string(), "sandpit-dry-run-20260309T143005Z.pgdump");
        assert_eq!(new.to_string(), "sandpit-dry-run-20261122T042152Z.db");
        for name in [&old, &new] {
            assert_eq!(Name::parse(&name.to_string()).as_ref(), Some(name));
            assert_eq!(Name::of_manifest(&name.manifest()).as_ref(), Some(name));
        }
        let other = Name::new("run", at("2026-01-01T00:00:00Z"), Kind::Sqlite);
        let names = [&new, &other, &old].map(|name| name.manifest());
        assert_eq!(of_mode(&names, "dry-run"), [old, new.clone()]);
        assert_eq!(of_mode(&[new.to_string()], "dry-run"), [], "no manifest, no backup");
    }

    #[test]
    fn what_is_no_backup_is_left_alone() {
        for text in [
            "sandpit-paper-20261122T042152Z.txt",
            "sandpit-paper-20261122T042152.db",
            "sandpit-paper-2026112XT042152Z.db",
            "sandpit--20261122T042152Z.db",
            "sandpit-a/b-20261122T042152Z.db",
            "sandpit.db",
            ".sandpit-paper-20261122T042152Z.db.partial",
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
