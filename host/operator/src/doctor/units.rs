//! What systemd knows of the services.

use std::{path::Path, time::Duration};

use super::{Finding, site::Site};
use crate::child::{NoEnd, Program};

const UNITS: [&str; 2] = ["sandpit-watchdog.service", "sandpit-host.service"];
const SYSTEMCTL_WAIT: Duration = Duration::from_secs(5);
/// It is there where systemd is process 1.
const SYSTEMD: &str = "/run/systemd/system";

/// Whether the units are installed, enabled and active.
pub(super) fn units(site: &Site) -> Vec<Finding> {
    let name = "units";
    let missing: Vec<_> = UNITS.into_iter().filter(|unit| site.place.unit(unit).is_none()).collect();
    if missing.len() == UNITS.len() {
        let what = "no unit is installed: systemd does not run it";
        return vec![Finding::warn(name, what, "install the package; fine in a container or by hand")];
    }
    if let Some(unit) = missing.first() {
        let what = format!("{unit} is not installed, and the other one is");
        return vec![Finding::fail(name, what, "apt install --reinstall sandpit")];
    }
    if !Path::new(SYSTEMD).exists() {
        let what = "systemd does not run here, though the units are installed";
        return vec![Finding::unseen(name, what, "look at whatever starts them here")];
    }
    let mut found: Vec<_> = UNITS.iter().filter_map(|unit| trouble(unit)).collect();
    if found.is_empty() {
        found.push(Finding::ok(name, "both are installed, enabled and active"));
    }
    found
}

fn trouble(unit: &str) -> Option<Finding> {
    let name = "units";
    let asked = Program::new("systemctl").args(["show", unit, "-p", "ActiveState,UnitFileState,Result"]);
    let said = match asked.run(SYSTEMCTL_WAIT) {
        Ok(ended) if ended.code == Some(0) => ended.out,
        Ok(ended) => return Some(Finding::unseen(name, ended.sentence(), "systemctl status")),
        Err(NoEnd::Hung) => return Some(Finding::fail(name, "systemctl hangs", "look at process 1")),
        Err(NoEnd::NotStarted(why)) => return Some(Finding::unseen(name, why, "install systemctl")),
    };
    judge(unit, &said)
}

/// What is wrong with a unit, by what `systemctl show` says of it.
fn judge(unit: &str, said: &str) -> Option<Finding> {
    let name = "units";
    let of =
        |key: &str| said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or("");
    let (active, enabled, result) = (of("ActiveState"), of("UnitFileState"), of("Result"));
    match (active, enabled) {
        ("failed", _) => {
            let what = format!("{unit} has failed ({result})");
            let mend =
                format!("journalctl -u {unit} -n 20; systemctl reset-failed {unit}; systemctl start {unit}");
            Some(Finding::fail(name, what, mend))
        }
        ("active" | "activating" | "reloading", "enabled" | "enabled-runtime" | "static" | "linked") => None,
        ("active" | "activating" | "reloading", _) => {
            let what = format!("{unit} runs, and would not after a reboot");
            Some(Finding::warn(name, what, format!("systemctl enable {unit}")))
        }
        _ => {
            let what = format!("{unit} is {active}");
            Some(Finding::fail(
                name,
                what,
                format!("systemctl enable --now {unit}; its condition is `armed`"),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_unit_is_judged_by_what_systemctl_says() {
        let check = |active: &str, enabled: &str, level: Option<Level>| {
            let said = format!("Result=success\nActiveState={active}\nUnitFileState={enabled}\n");
            let found = judge("x.service", &said);
            assert_eq!(found.as_ref().map(|found| found.level), level, "{active} {enabled}: {found:?}");
        };
        check("active", "enabled", None);
        check("activating", "enabled", None);
        check("active", "disabled", Some(Level::Warn));
        check("inactive", "enabled", Some(Level::Fail));
        check("failed", "enabled", Some(Level::Fail));
        check("", "", Some(Level::Fail));
        let found = judge("x.service", "Result=exit-code\nActiveState=failed\n").expect("a finding");
        assert!(found.found.contains("has failed (exit-code)"), "{found:?}");
        assert!(found.mend.is_some_and(|mend| mend.contains("systemctl reset-failed x.service")));
    }
}
