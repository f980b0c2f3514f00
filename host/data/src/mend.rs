//! What is repaired, as asked.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::DataError;

/// Which of two rows stays that have one symbol and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    First,
    Last,
}

/// What is repaired. Nothing, unless it is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mend {
    pub(crate) sort: bool,
    pub(crate) drop: bool,
    pub(crate) keep: Option<Keep>,
    pub(crate) offsets: bool,
    pub(crate) zone: Option<TimeZone>,
}

impl Mend {
    /// Reads words: `sort` (files that are not in order of time), `drop` (rows that cannot be), `first` or
    /// `last` (of two rows of one symbol and time), `offsets` (times of several zones in one file, each as it
    /// says), `zone=NAME` (times that say no zone).
    ///
    /// # Errors
    /// [`DataError::Mend`] for any other word.
    pub fn parse<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Self, DataError> {
        let mut mend = Self::default();
        for word in words {
            let wrong = || DataError::Mend { word: word.to_owned() };
            match word {
                "sort" => mend.sort = true,
                "drop" => mend.drop = true,
                "first" => mend.keep = Some(Keep::First),
                "last" => mend.keep = Some(Keep::Last),
                "offsets" => mend.offsets = true,
                _ => {
                    let name = word.strip_prefix("zone=").ok_or_else(wrong)?;
                    mend.zone = Some(TimeZoneDatabase::bundled().get(name).map_err(|_| wrong())?);
                }
            }
        }
        Ok(mend)
    }
}
