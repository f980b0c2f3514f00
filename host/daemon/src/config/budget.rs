//! How many requests a minute, and how many tokens, of whom.

use std::{collections::BTreeSet, time::Duration};

use sandpit_cores::{Bound, Quota, Unit};

use super::file::{BudgetSection, SourceSection};

/// The host's part of the broker's 200 trading requests a minute; the watchdog keeps 20 for itself and 20 are
/// for what is on its way. Configuration can only tighten it.
pub(crate) const TRADING_CEILING: u32 = 160;
/// Market-data requests a minute unless told otherwise: the free plan allows 200.
pub(super) const DATA_DEFAULT: u32 = 180;
/// The most of them with any plan: the largest allows 10,000.
pub(crate) const DATA_CEILING: u32 = 9_500;
/// How many sources there may be beside the broker.
const MAX_SOURCES: usize = 16;
/// The longest name of one.
const MAX_NAME_CHARS: usize = 32;
/// Names that are taken.
const OWN: [&str; 2] = ["trading", "data"];
/// The largest limit that is believed.
const MAX_LIMIT: u64 = 1_000_000_000_000;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// The limits in force, checked.
#[derive(Debug)]
pub(crate) struct Quotas {
    /// Of the account's trading requests.
    pub(crate) trading: Quota,
    /// Of the data API, news included.
    pub(crate) data: Quota,
    /// Of everything else, by name.
    pub(crate) sources: Vec<(String, Quota)>,
}

impl Quotas {
    /// Checks what the file says.
    ///
    /// # Errors
    /// A sentence that names the key and what is allowed.
    pub(super) fn check(budget: &BudgetSection, sources: &[SourceSection]) -> Result<Self, String> {
        let within = |key: &str, value: u32, ceiling: u32| {
            let fits = (1..=ceiling).contains(&value);
            fits.then_some(value).ok_or(format!("budget.{key} is {value}, it must be 1 to {ceiling}"))
        };
        let trading = within("trading_per_minute", budget.trading_per_minute, TRADING_CEILING)?;
        let data = within("data_per_minute", budget.data_per_minute, DATA_CEILING)?;
        if sources.len() > MAX_SOURCES {
            let count = sources.len();
            return Err(format!("there are {count} [[sources]], at most {MAX_SOURCES} are allowed"));
        }
        let mut names: BTreeSet<&str> = OWN.into();
        let mut checked = Vec::new();
        for source in sources {
            let name = named(&source.name)?;
            if !names.insert(name) {
                return Err(format!("sources.name {name:?} is taken; give each source another name"));
            }
            checked.push((name.to_owned(), quota(source)?));
        }
        Ok(Self { trading: Quota::trading(trading), data: Quota::data(data), sources: checked })
    }
}

/// A name is a label of metrics, so it is short and plain.
fn named(name: &str) -> Result<&str, String> {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let fits = plain && (1..=MAX_NAME_CHARS).contains(&name.len());
    let what = || format!("sources.name {name:?} must be 1 to {MAX_NAME_CHARS} of a-z, 0-9 and _");
    fits.then_some(name).ok_or_else(what)
}

fn quota(source: &SourceSection) -> Result<Quota, String> {
    let name = &source.name;
    let windows = [
        ("requests_per_minute", Unit::Requests, MINUTE, source.requests_per_minute),
        ("requests_per_day", Unit::Requests, DAY, source.requests_per_day),
        ("tokens_per_minute", Unit::Tokens, MINUTE, source.tokens_per_minute),
        ("tokens_per_day", Unit::Tokens, DAY, source.tokens_per_day),
    ];
    let mut bounds = Vec::new();
    for (key, unit, span, limit) in windows {
        match limit {
            Some(limit @ 1..=MAX_LIMIT) => bounds.push(Bound::new(unit, span + Quota::ON_THE_WAY, limit)),
            Some(limit) => {
                return Err(format!("sources.{key} of {name:?} is {limit}, it must be 1 to {MAX_LIMIT}"));
            }
            None => {}
        }
    }
    if bounds.is_empty() {
        let keys = windows.map(|(key, ..)| key).join(", ");
        return Err(format!("the source {name:?} has no limit; give it at least one of {keys}"));
    }
    Ok(Quota { bounds, leave: 0, polls_first: 0 })
}
