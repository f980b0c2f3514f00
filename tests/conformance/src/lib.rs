//! The official SDKs, unmodified, against `sandpit-sim`: alpaca-py (`python/`) and @alpacahq/alpaca-trade-api
//! (`node/`), each in its own language, used as its users do.
//!
//! A *suite* is one broker, started with certain flags, and the *topics* that one interpreter plays against it
//! in order. A topic is a file of checks; every check says which fact of the broker's API it looks at and
//! reports one line of JSON. `cargo xtask sdks` installs the SDKs; `cargo xtask test` does so by itself.

mod broker;
mod sdk;

pub use broker::Broker;
pub use sdk::Sdk;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    thread,
};

use serde::Deserialize;

/// One broker and what is played against it.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// Its name in messages.
    pub name: &'static str,
    /// The flags of `sandpit-sim` besides `--listen` and `--data`.
    pub flags: &'static [&'static str],
    /// Files of `data/` that are its market; none: the random one.
    pub data: &'static [&'static str],
    /// The topics, in order: each is a file in `python/` and in `node/`.
    pub topics: &'static [&'static str],
}

/// Every suite; each SDK plays all of them.
pub const SUITES: [Suite; 8] = [
    Suite {
        name: "trading",
        flags: &["--sessions", "all", "--cash", "1000000", "--rpm", "1000000"],
        data: &["market.csv"],
        topics: &[
            "account",
            "assets",
            "clock",
            "watchlists",
            "queued",
            "orders",
            "order_list",
            "refusals",
            "classes",
            "replace",
            "events",
            "updates",
            "positions",
            "margin",
            "activities",
            "closing",
            "portfolio",
        ],
    },
    Suite {
        name: "data",
        flags: &["--sessions", "all", "--rpm", "1000000"],
        data: &["bars.csv", "quotes.csv", "trades.csv"],
        topics: &["bars", "ticks", "latest", "news", "screener", "streams", "messages"],
    },
    Suite {
        name: "limits",
        flags: &["--sessions", "all", "--rpm", "60", "--key", "PKCONFORM", "--secret", "very-secret"],
        data: &["market.csv"],
        topics: &["keys", "quota"],
    },
    Suite {
        name: "trouble",
        flags: &["--sessions", "all", "--rpm", "1000000", "--realism", "paper"],
        data: &["market.csv"],
        topics: &["trouble"],
    },
    Suite {
        name: "plan",
        flags: &["--sessions", "all", "--plan", "basic"],
        data: &["bars.csv", "quotes.csv", "trades.csv"],
        topics: &["plan"],
    },
    Suite {
        name: "live",
        flags: &["--sessions", "all", "--rpm", "1000000", "--cash", "2000000", "--realism", "live"],
        data: &["market.csv"],
        topics: &["live"],
    },
    Suite {
        name: "legacy",
        flags: &["--sessions", "all", "--rpm", "1000000", "--cash", "20000", "--day-trade-rule", "legacy"],
        data: &["market.csv"],
        topics: &["day_trades"],
    },
    Suite {
        name: "small",
        flags: &["--sessions", "all", "--rpm", "1000000", "--cash", "1500"],
        data: &["market.csv"],
        topics: &["small"],
    },
];

/// What one check found.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Topic and name.
    pub check: String,
    /// The section of the broker's API, and what is so there, in our words.
    pub fact: String,
    /// Whether it is so here.
    pub ok: bool,
    /// What was found instead.
    pub detail: String,
}

/// Plays every suite with one SDK and returns what its checks found, in the order of the suites.
///
/// # Panics
/// When the broker or the SDK is not there, or a script ends otherwise than it should.
pub fn play(sdk: Sdk) -> Vec<Check> {
    let played: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = SUITES.iter().map(|suite| scope.spawn(move || sdk.play(suite))).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    // Every suite is waited for before the first panic goes on: no broker is left running.
    played
        .into_iter()
        .flat_map(|checks| checks.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        .collect()
}

/// Asserts that every check passed, that each names its fact once, and that there are at least `least`.
///
/// # Panics
/// When it is not so; the message lists the failed checks.
pub fn assert_all(checks: &[Check], least: usize) {
    let failed: Vec<_> = checks.iter().filter(|check| !check.ok).collect();
    for check in &failed {
        println!("FAILED {}\n    fact: {}\n    found: {}", check.check, check.fact, check.detail);
    }
    println!("{} checks, {} failed", checks.len(), failed.len());
    assert!(failed.is_empty(), "{} of {} checks failed", failed.len(), checks.len());
    let names: BTreeSet<_> = checks.iter().map(|check| check.check.as_str()).collect();
    assert_eq!(names.len(), checks.len(), "two checks have the same name");
    for check in checks {
        let has_section = check.fact.starts_with(|first: char| ('1'..='8').contains(&first));
        assert!(has_section && check.fact.contains(' '), "{} names no fact: {:?}", check.check, check.fact);
    }
    assert!(checks.len() >= least, "{} checks, but there were {least}: some are not played", checks.len());
}

/// A file of this crate.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What `cargo xtask test` built or installed, below `target/PROFILE` or `target`.
fn target(depth: usize) -> PathBuf {
    let here = std::env::current_exe().expect("a test knows its own path");
    here.ancestors().nth(depth).expect("target/PROFILE/deps/TEST").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, fact: &str, ok: bool) -> Check {
        Check { check: name.into(), fact: fact.into(), ok, detail: String::new() }
    }

    #[test]
    fn good_checks_pass() {
        assert_all(&[check("a.x", "2.5 it is so", true), check("a.y", "2.5 it is so", true)], 2);
    }

    #[test]
    #[should_panic(expected = "1 of 2 checks failed")]
    fn one_failure_fails_all() {
        assert_all(&[check("a.x", "2.5 it is so", true), check("a.y", "2.5 it is so", false)], 2);
    }

    #[test]
    #[should_panic(expected = "some are not played")]
    fn too_few_checks_fail() {
        assert_all(&[check("a.x", "2.5 it is so", true)], 2);
    }

    #[test]
    #[should_panic(expected = "names no fact")]
    fn a_check_without_a_fact_fails() {
        assert_all(&[check("a.x", "it is so", true)], 1);
    }

    #[test]
    #[should_panic(expected = "same name")]
    fn a_name_used_twice_fails() {
        assert_all(&[check("a.x", "2.5 it is so", true), check("a.x", "2.5 it is so", true)], 2);
    }

    /// Files beside the topics: the runner and its tools.
    const TOOLS: [&str; 4] = ["run", "desk", "market", "listen"];

    /// The topics that have a file.
    fn topics(sdk: Sdk) -> BTreeSet<String> {
        let entries = std::fs::read_dir(file(sdk.folder())).expect("the scripts are there");
        let paths = entries.map(|entry| entry.expect("readable").path());
        let scripts = paths.filter(|path| path.extension().is_some_and(|found| found == sdk.extension()));
        let names = scripts.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned());
        names.filter(|name| !TOOLS.contains(&name.as_str())).collect()
    }

    #[test]
    fn every_topic_is_played_by_both_and_no_file_is_forgotten() {
        for sdk in [Sdk::Python, Sdk::Node] {
            let played = SUITES.iter().flat_map(|suite| suite.topics).map(ToString::to_string).collect();
            assert_eq!(topics(sdk), played, "{sdk:?}");
        }
    }
}
