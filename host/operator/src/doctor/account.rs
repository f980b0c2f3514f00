//! The broker, the keys, and the clock that both sides stamp by.

use std::time::Duration;

use serde_json::Value;

use super::{AS_ROOT, Finding, site::Site};
use crate::{
    ask::{Answer, Broker, Skew},
    child::Program,
    keys::KeyPair,
};

/// More than this, and stamps contradict each other.
const MAX_SKEW_S: u64 = 5;
const TIMEDATECTL_WAIT: Duration = Duration::from_secs(5);
/// What keeps a clock right.
const SYNC: &str = "timedatectl set-ntp true";

/// Whether the clock is right, and kept so.
pub(super) fn clock(site: &Site) -> Vec<Finding> {
    let name = "clock";
    let url = site.settings.trading_url();
    let skew = match Broker::new(&url).skew(site.host_keys.as_ref(), &site.world) {
        Ok(Some(Skew { ahead_s })) if ahead_s.unsigned_abs() > MAX_SKEW_S => {
            let word = if ahead_s > 0 { "ahead of" } else { "behind" };
            let what = format!("the machine's clock is {} s {word} the broker's", ahead_s.unsigned_abs());
            Finding::fail(name, what, SYNC)
        }
        Ok(Some(_)) => Finding::ok(name, format!("it agrees with the one of {url}")),
        Ok(None) => Finding::unseen(name, format!("{url} answers without a date"), "date -u; compare"),
        Err(_) => Finding::unseen(name, "the broker does not answer", "see broker"),
    };
    vec![skew, synchronized()]
}

fn synchronized() -> Finding {
    let name = "clock";
    let asked = Program::new("timedatectl").args(["show", "-p", "NTPSynchronized", "--value"]);
    match asked.run(TIMEDATECTL_WAIT) {
        Ok(ended) if ended.out.trim() == "yes" => Finding::ok(name, "something keeps it right"),
        Ok(ended) if ended.out.trim() == "no" => {
            Finding::warn(name, "nothing keeps it right: it will drift", SYNC)
        }
        Ok(_) | Err(_) => {
            Finding::unseen(name, "timedatectl does not answer here", "is chrony or ntpd running?")
        }
    }
}

/// Whether the broker is reached and accepts both keys, and both are of one account.
pub(super) fn broker(site: &Site) -> Vec<Finding> {
    let name = "broker";
    let url = site.settings.trading_url();
    let mut found = Vec::new();
    if let Some(other) = site.settings.watchdog(&["broker", "trading_url"])
        && other.trim_end_matches('/') != url
    {
        let what = format!("the host trades at {url}, the watchdog guards {other}");
        found.push(Finding::fail(name, what, "sandpit setup"));
    }
    let Some(host) = &site.host_keys else {
        found.push(Finding::unseen(name, "the host's key cannot be read", AS_ROOT));
        return found;
    };
    let broker = Broker::new(&url);
    let own = account(&broker, &url, "host", host);
    let other = site.watchdog_keys.as_ref().filter(|other| *other != host);
    let other = other.map(|keys| account(&broker, &url, "watchdog", keys));
    match (own, other) {
        (Ok(own), Some(Ok(other))) if own != other => {
            let what = "the keys of host and watchdog open different accounts: one of them is not guarded";
            found.push(Finding::fail(name, what, "sandpit setup"));
        }
        (Ok(_), None | Some(Ok(_))) => {
            found.push(Finding::ok(name, format!("{url} answers and accepts the keys")));
        }
        (own, other) => {
            found.extend([own.err(), other.and_then(Result::err)].into_iter().flatten());
        }
    }
    if site.watchdog_keys.is_none() {
        found.push(Finding::unseen(name, "the watchdog's key cannot be read", AS_ROOT));
    }
    found
}

/// The id of the account behind the keys.
fn account(broker: &Broker, url: &str, whose: &str, keys: &KeyPair) -> Result<String, Finding> {
    let fail = |what: String, mend: &str| Err(Finding::fail("broker", what, mend));
    match broker.account(keys) {
        Answer::Given(account) => {
            for switch in ["trading_blocked", "account_blocked"] {
                if account[switch] == Value::Bool(true) {
                    return fail(format!("{url} says {switch} of the account"), "ask the broker");
                }
            }
            Ok(account["id"].as_str().unwrap_or("none").to_owned())
        }
        Answer::NotAccepted(status) => {
            fail(format!("{url} does not accept the key of the {whose} ({status})"), "sandpit setup")
        }
        Answer::Silent(why) => fail(
            format!("{url} cannot be reached: {why}"),
            "look at network, firewall, names and the address",
        ),
        Answer::Nothing => fail(format!("{url} is no broker (404)"), "sandpit setup"),
        Answer::Odd(status) => fail(format!("{url} answers with status {status}"), "wait, then run it again"),
    }
}
