//! Which signals are judged, and by which thresholds.

use std::collections::BTreeMap;

use sandpit_monitor::rules::{LimitError, Own, Table, table};

/// The section: what is wanted of each signal, by its name.
pub(super) type AlertsSection = BTreeMap<String, Own>;

/// The section, checked.
///
/// # Errors
/// A sentence that names the signal and what is allowed, for a misspelt one with the nearest there is.
pub(super) fn check(section: &AlertsSection) -> Result<Table, String> {
    Table::with(section).map_err(|error| match &error {
        LimitError::Unknown { name } => match nearest(name) {
            Some(nearest) => format!("alerts: {error}; did you mean `{nearest}`?"),
            None => format!("alerts: {error}; remove it or see docs/signals.md for those there are"),
        },
        LimitError::Fixed { .. } | LimitError::Senseless { .. } | LimitError::Loosened { .. } => {
            format!("alerts: {error}")
        }
    })
}

fn nearest(name: &str) -> Option<&'static str> {
    let names = table::signals().map(|signal| (strsim::damerau_levenshtein(name, signal.name), signal.name));
    let near = names.filter(|(distance, known)| *distance <= known.len().div_ceil(2));
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}
