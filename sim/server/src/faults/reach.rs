//! Whether a rule can hit anything at all: one that cannot would prove nothing.

use super::rule::{HowOften, Kind, Scope, Target};
use crate::{limit::Api, stream::data::Feed};

/// The stream of trade updates.
const TRADES_PATH: &str = "/stream";

/// Checks what a rule says against what its kind is about.
///
/// # Errors
/// When nothing can be hit; the text says why.
pub(super) fn check(kind: &Kind, scope: &Scope, how_often: HowOften) -> Result<(), String> {
    if let HowOften { first: Some(first), every: Some(every), .. } = how_often
        && first < every
    {
        return Err(format!("every {every}th of the first {first} is none"));
    }
    let feeds = || Feed::ALL.into_iter().map(|feed| feed.path());
    let (method, paths): (_, Vec<&str>) = match kind {
        // The stamps of messages have no path.
        Kind::ClockSkew(_, true) => return Ok(()),
        Kind::ClockSkew(_, false) => (Some("GET"), vec!["/v2/clock"]),
        Kind::Equity(_) => (Some("GET"), vec!["/v2/account"]),
        Kind::Handshake429 => (Some("GET"), feeds().chain([TRADES_PATH]).collect()),
        Kind::PartialFailure(..) => (None, vec!["/v2/orders", "/v2/positions"]),
        kind if kind.target() == Target::Request => return check_api(scope),
        _ => return Ok(()),
    };
    if let (Some(method), Some(only)) = (method, &scope.method)
        && method != only
    {
        return Err(format!("what it is about is a {method}, never a {only}"));
    }
    let fits = |path: &&str| {
        scope.path.as_ref().is_none_or(|prefix| path.starts_with(prefix.as_str()))
            && scope.api.is_none_or(|api| api == Api::of_path(path))
    };
    if !paths.iter().any(fits) {
        return Err(format!("what it is about is at {} only", paths.join(", ")));
    }
    Ok(())
}

/// Whether an API has anything below a path.
fn check_api(scope: &Scope) -> Result<(), String> {
    match (scope.api, &scope.path) {
        (Some(api), Some(path)) if !api.has_any_below(path) => {
            Err(format!("nothing of the {} API is at {path}", api.as_str()))
        }
        _ => Ok(()),
    }
}
