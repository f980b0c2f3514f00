//! What must hold in every story, whatever is done to whom:
//!
//! 1. **No order without a lease.** A request of a host that sends an order comes to the broker while a lease
//!    is held. What comes within [`LANDING_MS`] of the lease's end is taken for one that was written before:
//!    on loopback a request is there in a millisecond, on a busy machine in some dozens. A later one was
//!    written behind the fence, whether or not the broker takes it.
//! 2. **Never armed without a human.** After a kill there is no lease until somebody has armed.
//! 3. **No zero that is none.** When the watchdog says `ZERO_SEEN`, there was a moment since the kill, and
//!    since it last said otherwise, in which nothing in scope was open, by the broker's own record; when it
//!    says `CONFIRMED_ZERO`, no order that was open when it said `ZERO_SEEN` still is, nor one that came so
//!    early that the last read must have shown it; and while it says either, no order stays open for long.
//!
//! Each thing was seen between two moments; where they leave a doubt, it counts for the watchdog.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    setup::Scope,
    sim::OURS,
    story::{Seen, What},
};

/// A request that was written under a lease is at the broker no later than this after its end.
pub const LANDING_MS: u64 = 400;
/// A dead watchdog's lease lasts so long.
const LEASE_MS: u64 = 2_000;
/// The line that tells of a lease is seen no later than this after the host has it.
const LOG_LATE_MS: u64 = 400;
/// The last read of a window begins no earlier than this before its end is said.
const LAST_READ_MS: u64 = 800;
/// An order that appears is seen by the watchdog within this time: between two reads, and one that is slow.
const UNSEEN_MS: u64 = 5_000;
/// Statuses of an order that is over.
pub(crate) const OVER: [&str; 5] = ["filled", "canceled", "expired", "rejected", "replaced"];

/// What the watchdog may call the account after a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Pending,
    Zero,
    Confirmed,
}

/// Everything that should not have happened, in words. `legs` are orders of the broker's making, each with
/// the client id of the order it hangs on; `kept` are orders that the policy leaves open.
pub fn judge(
    story: &[Seen],
    scope: Scope,
    legs: &BTreeMap<String, String>,
    kept: &BTreeSet<String>,
) -> Vec<String> {
    let mut wrong = without_lease(story);
    wrong.extend(without_human(story));
    wrong.extend(without_zero(story, &spans(story, scope, legs, kept)));
    wrong
}

/// Whether a host sent it.
fn is_hosts(client_id: &str) -> bool {
    client_id.starts_with("sp-") && !client_id.starts_with(OURS)
}

/// Words of lines behind which the host that was leased is not.
const ENDS: [&str; 8] = [
    "[KILL] layer=",
    "[KILL] latch found",
    "lease withheld",
    "not armed any more",
    "host drained",
    "host signal=9",
    "host ended",
    "host connected",
];

/// When leases were held, from and to.
fn leases(story: &[Seen]) -> Vec<(u64, u64)> {
    let (mut leases, mut open) = (Vec::new(), None);
    for seen in story {
        let end = match &seen.what {
            What::WatchdogGone => Some(seen.by_ms + LEASE_MS),
            what => ENDS.iter().any(|words| what.says(words)).then_some(seen.by_ms),
        };
        if seen.what.says("lease granted") {
            open.get_or_insert(seen.after_ms.saturating_sub(LOG_LATE_MS));
        } else if let (Some(end), Some(start)) = (end, open) {
            leases.push((start, end));
            open = None;
        }
    }
    leases.extend(open.map(|start| (start, u64::MAX - LANDING_MS)));
    leases
}

fn without_lease(story: &[Seen]) -> Vec<String> {
    let leases = leases(story);
    let held = |seen: &Seen| {
        leases.iter().any(|(start, end)| *start <= seen.by_ms && seen.after_ms <= end + LANDING_MS)
    };
    let sends = |what: &What| match what {
        What::Asked { method, client_id, .. } => {
            matches!(method.as_str(), "POST" | "PATCH") && is_hosts(client_id)
        }
        _ => false,
    };
    let late = story.iter().filter(|seen| sends(&seen.what) && !held(seen));
    late.map(|seen| format!("an order without a lease ({leases:?}): {seen:?}")).collect()
}

fn without_human(story: &[Seen]) -> Vec<String> {
    let (mut is_killed, mut wrong) = (false, Vec::new());
    for seen in story {
        if seen.what == What::Armed {
            is_killed = false;
        } else if seen.what.says("[KILL] layer=") || seen.what.says("[KILL] latch found") {
            is_killed = true;
        } else if is_killed && (seen.what.says("lease granted") || seen.what.says("re-armed")) {
            wrong.push(format!("nobody armed: {seen:?}"));
        }
    }
    wrong
}

/// An order in scope: surely open from the one moment to the other.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "the id is shown")]
struct Span<'a> {
    client_id: &'a str,
    from_ms: u64,
    to_ms: u64,
}

fn spans<'a>(
    story: &'a [Seen],
    scope: Scope,
    legs: &'a BTreeMap<String, String>,
    kept: &BTreeSet<String>,
) -> Vec<Span<'a>> {
    let mut spans = BTreeMap::new();
    for seen in story {
        let What::Order { id, client_id, status } = &seen.what else { continue };
        let owner = legs.get(id).unwrap_or(client_id);
        if kept.contains(id) || scope == Scope::Ours && !owner.starts_with("sp-") {
            continue;
        }
        let is_over = OVER.contains(&status.as_str());
        let new = Span { client_id: owner, from_ms: seen.by_ms, to_ms: u64::MAX };
        let span = spans.entry(id).or_insert(new);
        if is_over {
            span.to_ms = span.to_ms.min(seen.after_ms);
        }
    }
    spans.into_values().filter(|span| span.from_ms < span.to_ms).collect()
}

/// What the watchdog said of the account, from a kill on, and when. Its death takes its word back.
fn levels(story: &[Seen]) -> Vec<(&Seen, Level)> {
    let level = |what: &What| {
        let said = |words: &str| what.says(&format!("[KILL] {words}"));
        let is_pending = said("layer=") || said("latch found") || said("PENDING_AT_BROKER open");
        if is_pending || *what == What::WatchdogGone {
            Some(Level::Pending)
        } else if said("ZERO_SEEN open") {
            Some(Level::Zero)
        } else if ["CONFIRMED_ZERO", "STOPS_ONLY", "FLAT"].iter().any(|word| said(&format!("{word} open"))) {
            Some(Level::Confirmed)
        } else {
            None
        }
    };
    story.iter().filter_map(|seen| Some((seen, level(&seen.what)?))).collect()
}

fn without_zero(story: &[Seen], spans: &[Span<'_>]) -> Vec<String> {
    let end = story.iter().map(|seen| seen.by_ms).max().unwrap_or(0);
    let levels = levels(story);
    let mut wrong = Vec::new();
    let (mut pending_ms, mut zero_ms) = (0, 0);
    for (at, (seen, level)) in levels.iter().enumerate() {
        let next_ms = levels.get(at + 1).map_or(end, |(next, _)| next.after_ms);
        match level {
            Level::Pending => pending_ms = seen.after_ms,
            Level::Zero => {
                zero_ms = seen.by_ms;
                if is_covered(spans, pending_ms, seen.by_ms) {
                    let open = spans.iter().filter(|span| seen.after_ms < span.to_ms);
                    let open: Vec<_> = open.take(5).collect();
                    wrong.push(format!("{seen:?} while something was open since {pending_ms}: {open:?}"));
                }
            }
            Level::Confirmed => {
                let early_ms = zero_ms.max(seen.after_ms.saturating_sub(LAST_READ_MS));
                let shown = |span: &&Span<'_>| span.from_ms <= early_ms && seen.after_ms < span.to_ms;
                let shown = spans.iter().filter(shown);
                wrong.extend(shown.map(|span| format!("{seen:?} while open: {span:?}")));
            }
        }
        let is_long = |span: &&Span<'_>| {
            let (from, to) = (span.from_ms.max(seen.by_ms), span.to_ms.min(next_ms));
            *level != Level::Pending && to.saturating_sub(from) > UNSEEN_MS
        };
        let long = spans.iter().filter(is_long);
        wrong.extend(long.map(|span| format!("{level:?} stands since {seen:?} while open: {span:?}")));
    }
    wrong
}

/// Whether something was open at every moment from the one to the other.
fn is_covered(spans: &[Span<'_>], from_ms: u64, to_ms: u64) -> bool {
    let mut sorted: Vec<_> = spans.iter().map(|span| (span.from_ms, span.to_ms)).collect();
    sorted.sort_unstable();
    let mut reached = from_ms;
    for (from, to) in sorted {
        if from > reached {
            break;
        }
        reached = reached.max(to);
    }
    reached >= to_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ms what`, a line each; what the watchdog says as it says it.
    fn story(text: &str) -> Vec<Seen> {
        let seen = |line: &str| {
            let (ms, rest) = line.trim().split_once(' ').expect("a moment");
            let by_ms = ms.parse().expect("a number");
            let what = match rest.split(' ').collect::<Vec<_>>()[..] {
                ["POST", client_id] => What::Asked {
                    method: "POST".into(),
                    path: "/v2/orders".into(),
                    client_id: client_id.into(),
                },
                ["order", id, status] => {
                    What::Order { id: id.into(), client_id: id.into(), status: status.into() }
                }
                ["died"] => What::WatchdogGone,
                ["armed"] => What::Armed,
                _ => What::Said(rest.into()),
            };
            Seen { after_ms: by_ms, by_ms, what }
        };
        text.lines().filter(|line| !line.trim().is_empty()).map(seen).collect()
    }

    fn check(scope: Scope, text: &str, expected: &[&str]) {
        let wrong = judge(&story(text), scope, &BTreeMap::new(), &BTreeSet::new());
        assert_eq!(wrong.len(), expected.len(), "{text}\n{wrong:#?}");
        for (wrong, expected) in wrong.iter().zip(expected) {
            assert!(wrong.contains(expected), "{text}\n{wrong}");
        }
    }

    const KILL: &str = "9000 [KILL] layer=flag reason=x";

    #[test]
    fn an_order_needs_a_lease() {
        let check = |text: &str, expected: &[&str]| check(Scope::Account, text, expected);
        check("1000 POST sp-a-1-1", &["an order without a lease"]);
        check("1000 POST sp-rig-1\n1000 POST hand-1", &[]);
        let leased = "1000 watchdog: lease granted: x\n2000 POST sp-a-1-1";
        check(leased, &[]);
        for end in ["[KILL] layer=flag", "watchdog: lease withheld: a", "watchdog: host ended signal=9"] {
            check(&format!("{leased}\n3000 {end}\n3300 POST sp-a-1-2"), &[]);
            check(&format!("{leased}\n3000 {end}\n3500 POST sp-a-1-2"), &["without a lease"]);
        }
        check(&format!("{leased}\n3000 died\n5300 POST sp-a-1-2"), &[]);
        check(&format!("{leased}\n3000 died\n5500 POST sp-a-1-2"), &["without a lease"]);
    }

    #[test]
    fn only_a_human_arms() {
        let check = |text: &str, expected: &[&str]| check(Scope::Account, text, expected);
        check(&format!("{KILL}\n9100 watchdog: lease granted: x"), &["nobody armed"]);
        check("1000 [KILL] latch found\n1100 watchdog: re-armed by an operator", &["nobody armed"]);
        check(&format!("{KILL}\n9050 armed\n9100 watchdog: lease granted: x"), &[]);
    }

    #[test]
    fn zero_is_zero() {
        let check = |text: &str, expected: &[&str]| {
            check(Scope::Account, &text.replace("KILL!", KILL), expected);
        };
        let zero = "9500 [KILL] ZERO_SEEN open=0";
        let confirmed = "10600 [KILL] CONFIRMED_ZERO open=0";
        check(&format!("1000 order a new\nKILL!\n9400 order a canceled\n{zero}\n{confirmed}"), &[]);
        check(&format!("1000 order a new\nKILL!\n{zero}"), &["while something was open"]);
        // One goes as the other comes: there never was a moment of zero.
        let relay = "1000 order a new\nKILL!\n9200 order b new\n9400 order a filled";
        check(&format!("{relay}\n{zero}"), &["while something was open"]);
        check(&format!("{relay}\n9450 order b canceled\n{zero}"), &[]);
        // It came in the window and is open at its end.
        let late = format!("KILL!\n{zero}\n9700 order l new\n{confirmed}");
        check(&late, &["while open"]);
        check(&format!("KILL!\n{zero}\n10500 order l new\n{confirmed}\n10900 order l canceled"), &[]);
        // Nobody sees it.
        check(&format!("KILL!\n{zero}\n10500 order l new\n{confirmed}\n16000 x"), &["stands since"]);
        let pending = "11000 [KILL] PENDING_AT_BROKER open=1";
        check(&format!("KILL!\n{zero}\n10500 order l new\n{confirmed}\n{pending}\n19000 x"), &[]);
        // A dead watchdog says nothing.
        check(&format!("KILL!\n{zero}\n9600 died\n9700 order l new\n19000 x"), &[]);
    }

    #[test]
    fn whose_order_it_is() {
        let text = format!("1000 order hand-1 new\n{KILL}\n9500 [KILL] ZERO_SEEN open=0");
        check(Scope::Ours, &text, &[]);
        check(Scope::Account, &text, &["while something was open"]);
        let legs = BTreeMap::from([("hand-1".to_owned(), "sp-rig-1".to_owned())]);
        assert_eq!(judge(&story(&text), Scope::Ours, &legs, &BTreeSet::new()).len(), 1, "a leg of ours");
        let kept = BTreeSet::from(["hand-1".to_owned()]);
        assert_eq!(judge(&story(&text), Scope::Account, &BTreeMap::new(), &kept).len(), 0);
    }
}
