//! `sandpit doctor`: what is wrong, and the command that mends it.
//!
//! Every check is a function of the installation that looks and changes nothing. All run at the same time,
//! each on a thread of its own with a bound: a disk, a broker or a service manager that hangs costs its own
//! line and no more. What cannot be seen from here (no root, no systemd, no network) is a warning that says
//! so.

mod account;
mod machine;
mod programs;
mod rights;
mod site;
mod units;

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use clap::Args;
use sandpit_contract::Exit;
use serde::Serialize;

use self::site::Site;
use crate::{PlaceArgs, World};

/// What stands below the flags.
const MORE: &str = "\
Without root it looks at what its user may see, and warns of the rest. It changes nothing, and ends by itself:
  a check that hangs is given up after its bound, 45 s at most.

Exit codes:
  0   nothing failed; there may be warnings
  2   wrong usage
  16  something failed";

/// Say what is wrong with an installation, and how to mend it.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = MORE)]
pub struct DoctorArgs {
    /// Where the files are.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Ok,
    Warn,
    Fail,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    check: &'static str,
    level: Level,
    /// One sentence.
    found: String,
    /// The command, or the deed, that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, found: found.into(), mend: None }
    }

    fn warn(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, level: Level::Warn, found: found.into(), mend: Some(mend.into()) }
    }

    fn fail(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, level: Level::Fail, found: found.into(), mend: Some(mend.into()) }
    }

    /// What this user, or this machine, does not let us see.
    fn unseen(check: &'static str, why: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::warn(check, format!("could not be seen: {}", why.into()), mend)
    }
}

/// What to run to see more.
const AS_ROOT: &str = "sudo sandpit doctor";

/// A check: its name, what it does, and how long it may take.
struct Check {
    name: &'static str,
    look: fn(&Site) -> Vec<Finding>,
    bound: Duration,
}

const fn check(name: &'static str, look: fn(&Site) -> Vec<Finding>, bound_s: u64) -> Check {
    Check { name, look, bound: Duration::from_secs(bound_s) }
}

/// In the order in which they are shown.
const CHECKS: [Check; 15] = [
    check("configuration", programs::configuration, 45),
    check("files", rights::files, 10),
    check("users", rights::users, 10),
    check("units", units::units, 20),
    check("arming", rights::arming, 10),
    check("watchdog", programs::watchdog, 15),
    check("clock", account::clock, 15),
    check("broker", account::broker, 30),
    check("disk", machine::disk, 10),
    check("database", programs::database, 45),
    check("memory", machine::memory, 10),
    check("versions", programs::versions, 15),
    check("restart", machine::restart, 10),
    check("ports", machine::ports, 15),
    check("golive", programs::golive, 10),
];

/// Looks at everything; the exit code, and what is to be shown.
pub fn doctor(args: &DoctorArgs, world: &World) -> (Exit, String) {
    let findings = examine(&CHECKS, &Arc::new(Site::of(args.place.clone(), world.clone())));
    let exit = verdict(&findings);
    (exit, if args.json { json(&findings, exit) } else { words(&findings) })
}

fn verdict(findings: &[Finding]) -> Exit {
    let has_failed = findings.iter().any(|finding| finding.level == Level::Fail);
    if has_failed { Exit::Incomplete } else { Exit::Ok }
}

/// Runs the checks side by side. They begin together, so what one was waited for, all others had as well.
fn examine(checks: &[Check], site: &Arc<Site>) -> Vec<Finding> {
    let start = |check: &Check| {
        let (found, findings) = mpsc::channel();
        let (site, look) = (site.clone(), check.look);
        // One that hangs is left behind, and ends with the process.
        std::thread::spawn(move || found.send(look(&site)));
        findings
    };
    let running: Vec<_> = checks.iter().map(start).collect();
    let mut waited = Duration::ZERO;
    let mut all = Vec::new();
    for (check, findings) in checks.iter().zip(running) {
        match findings.recv_timeout(check.bound.saturating_sub(waited)) {
            Ok(findings) => all.extend(findings),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                waited = waited.max(check.bound);
                let what = format!("no end within {} s: given up", check.bound.as_secs());
                all.push(Finding::fail(
                    check.name,
                    what,
                    "find out what hangs: a disk, a network, a service",
                ));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                all.push(Finding::fail(check.name, "the check itself failed", "report it, with the output"));
            }
        }
    }
    all
}

fn words(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let level = match finding.level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        let mend = finding.mend.as_ref().map(|mend| format!("\n        mend: {mend}")).unwrap_or_default();
        format!("{level}  {:<14} {}{mend}", finding.check, finding.found)
    };
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (ok, warn, fail) = (count(Level::Ok), count(Level::Warn), count(Level::Fail));
    let lines: Vec<_> = findings.iter().map(line).collect();
    format!("{}\n{ok} ok, {warn} to look at, {fail} failed", lines.join("\n"))
}

fn json(findings: &[Finding], exit: Exit) -> String {
    let object = serde_json::json!({ "ok": exit == Exit::Ok, "exit": exit.code(), "checks": findings });
    object.to_string()
}

#[cfg(test)]
mod tests;
