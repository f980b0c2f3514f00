//! What a soak has done so far, in a file: it continues where it ended.

use std::{collections::BTreeMap, fmt, fs, io, path::Path, time::Duration};

use anyhow::Context;
use sandpit_crash::campaign::Tally;
use serde::{Deserialize, Serialize};

/// The first seed of all.
const FIRST_SEED: u64 = 1_000;
/// The newest failures that are kept.
const MAX_FAILURES: usize = 20;

/// The file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Progress {
    seeds_used: u64,
    databases: BTreeMap<String, Done>,
    failures: Vec<String>,
}

/// What was done over one kind of database.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Done {
    pub(crate) kills: u32,
    at_points: BTreeMap<String, u32>,
    orders: u64,
    fills: u64,
    restarts: u64,
    restart_total_ms: u64,
    restart_max_ms: u64,
}

impl Progress {
    /// Of the file at `path`, which need not be there yet.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        match fs::read(path) {
            Ok(text) => {
                serde_json::from_slice(&text).with_context(|| format!("{} is not ours", path.display()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    /// By way of a rename, so that whoever is killed here leaves a whole file.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let folder = path.parent().context("the state file lies in a folder")?;
        fs::create_dir_all(folder)?;
        let part = path.with_extension("part");
        fs::write(&part, serde_json::to_vec_pretty(self)?)?;
        fs::rename(&part, path).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// A seed that was not used before.
    pub(crate) const fn next_seed(&mut self) -> u64 {
        self.seeds_used += 1;
        FIRST_SEED + self.seeds_used - 1
    }

    /// Of one kind of database.
    pub(crate) fn of(&mut self, database: &str) -> &mut Done {
        self.databases.entry(database.to_owned()).or_default()
    }

    /// Something was found.
    pub(crate) fn failed(&mut self, what: String) {
        self.failures.push(what);
        let too_many = self.failures.len().saturating_sub(MAX_FAILURES);
        self.failures.drain(..too_many);
    }
}

impl Done {
    /// Adds what a run has done so far.
    pub(crate) fn add(&mut self, tally: &Tally) {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.kills += tally.kills;
        for (name, count) in &tally.at_points {
            *self.at_points.entry((*name).to_owned()).or_default() += count;
        }
        self.orders += tally.orders as u64;
        self.fills += tally.fills;
        self.restarts += tally.restarts.len() as u64;
        self.restart_total_ms += ms(tally.restarts.iter().sum());
        self.restart_max_ms = self.restart_max_ms.max(ms(tally.restart(100)));
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kills {}\norders {}\nfills {}", self.kills, self.orders, self.fills)?;
        for (name, count) in &self.at_points {
            writeln!(f, "kills_{} {count}", name.replace('-', "_"))?;
        }
        let mean = self.restart_total_ms.checked_div(self.restarts).unwrap_or(0);
        write!(
            f,
            "restart_to_reconciled_mean {mean} ms\nrestart_to_reconciled_max {} ms",
            self.restart_max_ms
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soak_continues_where_it_ended() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("soak/crash.json");
        let mut first = Progress::read(&path).expect("none is none");
        assert_eq!(first.next_seed(), FIRST_SEED);
        let tally = Tally { kills: 3, restarts: vec![Duration::from_millis(7)], ..Tally::default() };
        first.of("sqlite").add(&tally);
        first.write(&path).expect("writes");
        let mut second = Progress::read(&path).expect("reads");
        assert_eq!((second.next_seed(), second.of("sqlite").kills), (FIRST_SEED + 1, 3));
        second.of("sqlite").add(&tally);
        assert_eq!((second.of("sqlite").kills, second.of("postgres").kills), (6, 0));
        assert_eq!((second.of("sqlite").restarts, second.of("sqlite").restart_max_ms), (2, 7));
        (0..2 * MAX_FAILURES).for_each(|n| second.failed(n.to_string()));
        assert_eq!(second.failures.len(), MAX_FAILURES);
        fs::write(&path, "{\"other\":1}").expect("writes");
        assert!(Progress::read(&path).is_err(), "somebody else's file is not overwritten");
    }
}
