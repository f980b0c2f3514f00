//! What happens to each strategy: whether it is recorded, and how much of it is kept.

use std::ops::RangeInclusive;

use sandpit_journal::Retention;
use serde::{Deserialize, Serialize};

/// The longest is a century.
const KEEP_DAYS: RangeInclusive<u32> = 1..=36_500;
/// The least holds two segments; the most is a petabyte.
const MAX_MB: RangeInclusive<u64> = 128..=1_000_000_000;

#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct JournalSection {
    pub(super) enabled: bool,
    pub(super) keep_days: u32,
    pub(super) max_mb: u64,
}

impl Default for JournalSection {
    fn default() -> Self {
        let Retention { keep_days, max_bytes } = Retention::default();
        Self { enabled: true, keep_days, max_mb: max_bytes >> 20 }
    }
}

/// The section, checked; `None` when nothing is recorded.
///
/// # Errors
/// A sentence that names the key and what is allowed.
pub(super) fn check(section: &JournalSection) -> Result<Option<Retention>, String> {
    let JournalSection { enabled, keep_days, max_mb } = *section;
    if !KEEP_DAYS.contains(&keep_days) {
        let (least, most) = (KEEP_DAYS.start(), KEEP_DAYS.end());
        return Err(format!("journal.keep_days is {keep_days}, it must be {least} to {most}"));
    }
    if !MAX_MB.contains(&max_mb) {
        let (least, most) = (MAX_MB.start(), MAX_MB.end());
        return Err(format!("journal.max_mb is {max_mb}, it must be {least} to {most}"));
    }
    Ok(enabled.then_some(Retention { keep_days, max_bytes: max_mb << 20 }))
}
