//! The venue against a second, simple implementation of its rules.
//!
//! The model in `reference` is written from the crate's doc alone, as plain lists that are searched from
//! their start. Random scripts run on both, with exact realism. After each step the answers (status and
//! code), the events, every order, the positions and the account must be the same, and the books must
//! balance. A script that fails is shortened and printed with its seed. `SANDPIT_SCRIPTS=400000` makes the
//! run longer, `SANDPIT_SEED=N` runs the one script of that seed; both together run so many scripts of other
//! seeds, which follow from N.

mod drive;
mod generate;
mod reference;
mod run;
mod script;
mod shrink;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
};

use generate::Chance;
use run::Tally;

/// Scripts in all, unless the environment says otherwise.
const SCRIPTS: u64 = 16_000;
/// The tests they are spread over, so that every core has work.
const SHARDS: u64 = 4;

/// How often these have to be filled in one shard, so that the generator is never blind.
const LEAST_FILLS: [(&str, usize, &[&str]); 7] = [
    ("kind", 75, &["market", "limit", "stop", "stop_limit", "trailing_stop"]),
    ("time in force", 75, &["day", "gtc", "opg", "cls", "ioc", "fok"]),
    ("class", 75, &["simple", "bracket", "oco", "oto", "bracket leg", "oto leg"]),
    ("class", 10, &["oco leg"]),
    ("amount", 75, &["whole", "fraction", "notional"]),
    ("side", 75, &["buy", "sell"]),
    ("intent", 75, &["buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"]),
];

/// How often these events have to be told in one shard.
const LEAST_EVENTS: [(usize, &[&str]); 2] = [
    (75, &["pending_new", "new", "partial_fill", "fill", "canceled", "expired", "replaced"]),
    (5, &["pending_cancel", "rejected", "done_for_day", "stopped", "suspended", "calculated"]),
];

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn shard(shard: u64) {
    let mut tally = Tally::default();
    let (seed, scripts) = (number("SANDPIT_SEED"), number("SANDPIT_SCRIPTS"));
    let first = match (seed, scripts) {
        (Some(seed), None) => {
            check(seed, &mut tally);
            return;
        }
        (Some(seed), Some(_)) => Chance::new(seed).next(),
        (None, _) => 0,
    };
    let scripts = scripts.unwrap_or(SCRIPTS) / SHARDS;
    for nth in 0..scripts {
        check(first.wrapping_add(nth * SHARDS + shard), &mut tally);
    }
    println!("{tally}");
    if scripts >= SCRIPTS / SHARDS {
        covers(&tally);
    }
}

fn check(seed: u64, tally: &mut Tally) {
    let script = catch_unwind(AssertUnwindSafe(|| generate::script(seed)));
    let script =
        script.unwrap_or_else(|_| panic!("the model broke while the script of seed {seed} was written"));
    if let Err(difference) = shrink::attempt(&script, tally) {
        let (short, difference) = shrink::shrink(&script, difference);
        panic!("venue and model differ\n{short}{}", difference.text);
    }
}

/// The run is worth something only if everything happened often enough.
fn covers(tally: &Tally) {
    for (what, least, words) in LEAST_FILLS {
        for word in words {
            let count = tally.filled.get(&(what, *word)).copied().unwrap_or(0);
            assert!(count >= least, "only {count} fills of {what} {word}");
        }
    }
    for (least, events) in LEAST_EVENTS {
        for event in events {
            let count = tally.events.get(event).copied().unwrap_or(0);
            assert!(count >= least, "only {count} events {event}");
        }
    }
    assert!(tally.elections.iter().all(|&count| count >= 75), "elections: {:?}", tally.elections);
    let share = |count: usize| count * 100 / tally.steps.max(1);
    let (fills, refusals) = (share(tally.fills()), share(tally.refusals));
    assert!(fills >= 4, "{fills} fills for each 100 steps");
    assert!((5..40).contains(&refusals), "{refusals} % of the steps are refused");
}

#[test]
fn venue_and_model_agree_1() {
    shard(0);
}

#[test]
fn venue_and_model_agree_2() {
    shard(1);
}

#[test]
fn venue_and_model_agree_3() {
    shard(2);
}

#[test]
fn venue_and_model_agree_4() {
    shard(3);
}
