//! What is done, across runs: which days of which symbol are written, and what they were asked for with.

use std::{collections::BTreeMap, path::Path};

use jiff::{ToSpan, civil::Date};
use sandpit_types::Symbol;
use serde::{Deserialize, Serialize};

use crate::{error::BackfillError, parquet_file::SCHEMA_VERSION};

/// The form of the file.
const VERSION: u32 = 1;

/// Where the rows come from. One folder holds rows of one origin only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `bars` or `news`.
    pub kind: String,
    /// The feed, such as `sip`.
    pub feed: String,
    /// How prices are adjusted for splits and dividends.
    pub adjustment: String,
    /// The version of the columns.
    pub schema: u32,
}

impl Origin {
    /// Rows as the broker has them, unadjusted, in today's columns.
    pub fn new(kind: &str, feed: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            feed: feed.to_owned(),
            adjustment: "raw".into(),
            schema: SCHEMA_VERSION,
        }
    }
}

/// A set of dates as ranges with both ends, which do not touch.
///
/// A range means: every day in it that counts, not its weekends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DateSet(Vec<(Date, Date)>);

impl DateSet {
    /// Whether the date is in it.
    pub fn contains(&self, date: Date) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < date);
        self.0.get(at).is_some_and(|(first, _)| *first <= date)
    }

    /// Adds a date. `before` and `after` are its neighbours among the days that count: what ends or begins
    /// with them is joined.
    pub fn insert(&mut self, date: Date, before: Option<Date>, after: Option<Date>) {
        if self.contains(date) {
            return;
        }
        let at = self.0.partition_point(|(_, last)| *last < date);
        let joins_left = at > 0 && before.is_some_and(|before| self.0[at - 1].1 >= before);
        let joins_right = after.is_some_and(|after| self.0.get(at).is_some_and(|(first, _)| *first <= after));
        match (joins_left, joins_right) {
            (true, true) => {
                self.0[at - 1].1 = self.0[at].1;
                self.0.remove(at);
            }
            (true, false) => self.0[at - 1].1 = date,
            (false, true) => self.0[at].0 = date,
            (false, false) => self.0.insert(at, (date, date)),
        }
    }

    /// Takes a date out. What is left of its range may then begin or end with a day that does not count.
    pub fn remove(&mut self, date: Date) {
        let at = self.0.partition_point(|(_, last)| *last < date);
        let Some((first, last)) = self.0.get(at).copied().filter(|(first, _)| *first <= date) else { return };
        let parts = [(first, date.saturating_sub(1.day())), (date.saturating_add(1.day()), last)];
        self.0.splice(at..=at, parts.into_iter().filter(|(first, last)| first <= last));
    }

    fn is_sound(&self) -> bool {
        self.0.iter().all(|(first, last)| first <= last) && self.0.windows(2).all(|two| two[0].1 < two[1].0)
    }
}

/// The state of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    version: u32,
    origin: Origin,
    done: BTreeMap<Symbol, DateSet>,
}

impl Checkpoint {
    /// Nothing done yet.
    pub fn new(origin: Origin) -> Self {
        Self { version: VERSION, origin, done: BTreeMap::new() }
    }

    /// Where the rows come from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether the file of this day was written.
    pub fn has(&self, symbol: &Symbol, date: Date) -> bool {
        self.done.get(symbol).is_some_and(|dates| dates.contains(date))
    }

    /// Takes note of a written file; see [`DateSet::insert`].
    pub fn note(&mut self, symbol: &Symbol, date: Date, before: Option<Date>, after: Option<Date>) {
        if !self.done.contains_key(symbol) {
            self.done.insert(symbol.clone(), DateSet::default());
        }
        self.done.get_mut(symbol).expect("just put there").insert(date, before, after);
    }

    /// This day is to be fetched again.
    pub fn forget(&mut self, symbol: &Symbol, date: Date) {
        if let Some(dates) = self.done.get_mut(symbol) {
            dates.remove(date);
        }
    }

    /// The text of the file.
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).expect("texts, numbers and lists always write");
        text.push(b'\n');
        text
    }

    /// Reads the text of the file at `path`, which has to be of `origin`.
    ///
    /// # Errors
    /// [`BackfillError::BrokenCheckpoint`], [`BackfillError::Incompatible`].
    pub fn parse(text: &[u8], path: &Path, origin: &Origin) -> Result<Self, BackfillError> {
        let broken = |message: String| BackfillError::BrokenCheckpoint { path: path.to_owned(), message };
        let found: Self = serde_json::from_slice(text).map_err(|error| broken(error.to_string()))?;
        let differs = |what: &'static str, found: &str, wanted: &str| {
            Err(BackfillError::Incompatible {
                path: path.to_owned(),
                what,
                found: found.to_owned(),
                wanted: wanted.to_owned(),
            })
        };
        let (is, want) = (&found.origin, origin);
        for (what, is, want) in [
            ("checkpoint version", &found.version.to_string(), &VERSION.to_string()),
            ("kind", &is.kind, &want.kind),
            ("feed", &is.feed, &want.feed),
            ("adjustment", &is.adjustment, &want.adjustment),
            ("columns of version", &is.schema.to_string(), &want.schema.to_string()),
        ] {
            if is != want {
                return differs(what, is, want);
            }
        }
        if found.done.values().all(DateSet::is_sound) {
            Ok(found)
        } else {
            Err(broken("its ranges of dates are not in order".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn days() -> Vec<Date> {
        // Every third day counts.
        (0..40).map(|at| date(2026, 1, 1) + (3 * at).days()).collect()
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in_and_no_other_day(
            order in proptest::collection::vec((0..40_usize, 0..4_u8), 0..80),
        ) {
            let days = days();
            let mut set = DateSet::default();
            let mut model = BTreeSet::new();
            let mut is_whole = true;
            for (at, what) in order {
                if what == 0 {
                    set.remove(days[at]);
                    is_whole &= !model.remove(&at);
                } else {
                    let before = at.checked_sub(1).map(|at| days[at]);
                    set.insert(days[at], before, days.get(at + 1).copied());
                    model.insert(at);
                }
                prop_assert!(set.is_sound(), "{set:?}");
                for (at, day) in days.iter().enumerate() {
                    prop_assert_eq!(set.contains(*day), model.contains(&at), "{:?} in {:?}", day, set);
                }
                let runs = model.iter().filter(|at| !model.contains(&(**at + 1))).count();
                // What is left of a range that was cut may hold no day that counts.
                prop_assert!(set.0.len() == runs || !is_whole && set.0.len() > runs, "neighbours are joined");
            }
        }
    }

    #[test]
    fn it_survives_its_file_and_refuses_another_origin() {
        let origin = Origin::new("bars", "sip");
        let mut checkpoint = Checkpoint::new(origin.clone());
        let (symbol, days) = (Symbol::new("SPY"), days());
        checkpoint.note(&symbol, days[0], None, Some(days[1]));
        checkpoint.note(&symbol, days[1], Some(days[0]), Some(days[2]));
        let (text, path) = (checkpoint.to_json(), Path::new("c.json"));
        assert_eq!(Checkpoint::parse(&text, path, &origin).expect("its own text"), checkpoint);
        assert!(checkpoint.has(&symbol, days[1]) && !checkpoint.has(&symbol, days[2]));
        let check = |text: &[u8], origin: &Origin, expected: &str| {
            let error = Checkpoint::parse(text, path, origin).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&text, &Origin::new("bars", "iex"), "with feed \"sip\", not \"iex\"; choose another --out");
        check(&text, &Origin::new("news", "sip"), "with kind \"bars\"");
        check(b"{\"version\":1", &origin, "c.json is broken");
        let newer = String::from_utf8(text).expect("text").replace("\"version\":1", "\"version\":2");
        check(newer.as_bytes(), &origin, "checkpoint version \"2\"");
    }
}
