//! Checks that our own programs make: each in a process of its own, which can be ended.

use std::{collections::BTreeMap, path::Path, time::Duration};

use sandpit_contract::Exit;

use super::{
    AS_ROOT, Finding,
    site::{Site, may_look},
};
use crate::{
    child::{Ended, NoEnd, Program},
    golive,
    place::owner,
};

/// Every plugin is compiled for it.
const CONFIG_WAIT: Duration = Duration::from_secs(40);
const DATABASE_WAIT: Duration = Duration::from_secs(40);
const VERSION_WAIT: Duration = Duration::from_secs(10);

/// Whether both configurations are valid, and the plugins.
pub(super) fn configuration(site: &Site) -> Vec<Finding> {
    let name = "configuration";
    let config = &site.place.config;
    if !config.exists() {
        let what = format!("there is no {}, or it cannot be seen", config.display());
        return vec![Finding::fail(name, what, "sandpit setup")];
    }
    let mut findings = Vec::new();
    let variables = match &site.host_keys {
        Some(keys) => keys.variables(),
        None => {
            let what = format!("no key of the host in {}", site.place.credentials().display());
            findings.push(missing_key(site, what));
            // Any key is valid to the configuration.
            let any = |name: &str| (name.to_owned(), "doctor".to_owned());
            [any("APCA_API_KEY_ID"), any("APCA_API_SECRET_KEY")].into()
        }
    };
    let checked = Program::new(&site.sandpit).args(["config", "check", "--config"]).args([config]);
    let checked = checked.environment(&variables).by_user(owner(&site.settings.state_dir())).run(CONFIG_WAIT);
    findings.extend(said_of_configuration(config, checked));
    findings
}

fn missing_key(site: &Site, what: String) -> Finding {
    if may_look(&site.place.credentials()) {
        Finding::fail("keys", what, "sandpit setup")
    } else {
        Finding::unseen("keys", format!("{} is root's", site.place.credentials().display()), AS_ROOT)
    }
}

fn said_of_configuration(config: &Path, checked: Result<Ended, NoEnd>) -> Vec<Finding> {
    let valid = || Finding::ok("configuration", format!("{} is valid", config.display()));
    let again = format!("sandpit config check --config {}", config.display());
    match checked {
        Ok(ended) if ended.code == Some(0) => vec![valid(), Finding::ok("plugins", "every plugin is valid")],
        Ok(ended) if exit(&ended) == Some(Exit::Plugin) => {
            vec![valid(), Finding::fail("plugins", ended.sentence(), again)]
        }
        Ok(ended) => {
            vec![Finding::fail("configuration", ended.sentence(), format!("edit the file, then {again}"))]
        }
        Err(NoEnd::Hung) => {
            let what = format!("no end within {} s: plugins take long to compile", CONFIG_WAIT.as_secs());
            vec![Finding::warn("plugins", what, again)]
        }
        Err(NoEnd::NotStarted(why)) => vec![Finding::fail("configuration", why, "install the package again")],
    }
}

fn exit(ended: &Ended) -> Option<Exit> {
    ended.code.and_then(Exit::of)
}

/// Whether the watchdog's configuration is valid, it answers, and the host has a lease.
pub(super) fn watchdog(site: &Site) -> Vec<Finding> {
    let name = "watchdog";
    let config = site.place.watchdog_config();
    if !config.exists() {
        let what = format!("there is no {}, or it cannot be seen", config.display());
        return vec![Finding::fail(name, what, "sandpit setup")];
    }
    let start = "systemctl restart sandpit-watchdog; journalctl -u sandpit-watchdog -n 20";
    let ended = match site.status() {
        Ok(ended) => ended,
        Err(NoEnd::Hung) => return vec![Finding::fail(name, "it hangs: no answer within 8 s", start)],
        Err(NoEnd::NotStarted(why)) => {
            return vec![Finding::fail(name, why.clone(), "install the package again")];
        }
    };
    if exit(ended) == Some(Exit::Config) {
        return vec![Finding::fail("configuration", ended.sentence(), "edit the file it names")];
    }
    let valid = Finding::ok("configuration", format!("{} is valid", config.display()));
    let Some(status) = site.watchdog_says() else {
        return vec![valid, Finding::fail(name, ended.sentence(), start)];
    };
    let state = status["state"].as_str().unwrap_or("unknown").to_owned();
    let answers = Finding::ok(name, format!("it answers: {state}"));
    vec![valid, answers, lease(site, &status, &state)]
}

fn lease(site: &Site, status: &serde_json::Value, state: &str) -> Finding {
    let name = "lease";
    let left_ms = status["lease_ms_left"].as_u64().unwrap_or(0);
    if left_ms > 0 {
        return Finding::ok(name, format!("the host has it for {left_ms} ms more"));
    }
    if site.settings.mode() == "dry-run" {
        return Finding::ok(name, "a dry run needs none");
    }
    let why = status["limits"]["withheld"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    let mend = "sandpit-watchdog status; arming and units above say what is missing";
    Finding::warn(name, format!("the host has none (state {state}){why}: nothing is sent"), mend)
}

/// Whether the database of this mode opens, and its rows fit each other.
pub(super) fn database(site: &Site) -> Vec<Finding> {
    let name = "database";
    let folder = site.settings.state_dir().join(site.settings.mode());
    let seen = [site.settings.state_dir(), folder.clone()].iter().all(|folder| may_look(folder));
    if !seen {
        return vec![Finding::unseen(name, format!("{} is its user's alone", folder.display()), AS_ROOT)];
    }
    let variables = site.host_keys.as_ref().map(crate::keys::KeyPair::variables);
    let any =
        || ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY"].map(|name| (name.to_owned(), "doctor".to_owned()));
    let variables: BTreeMap<_, _> = variables.unwrap_or_else(|| any().into());
    // As its owner: whoever opens a database leaves files beside it.
    let checked = Program::new(&site.sandpit).args(["db", "check", "--config"]).args([&site.place.config]);
    let checked = checked.environment(&variables).by_user(owner(&folder)).run(DATABASE_WAIT);
    vec![match checked {
        Ok(ended) if ended.code == Some(0) => Finding::ok(name, "it opens, and its rows fit each other"),
        Ok(ended) if ended.err.contains("there is no database") => {
            Finding::ok(name, "there is none yet: the host makes it at its first start")
        }
        Ok(ended) if exit(&ended) == Some(Exit::Config) => {
            Finding::unseen(name, "the configuration is not valid", "see configuration")
        }
        Ok(ended) => Finding::fail(name, ended.sentence(), "docs/recovery.md; sandpit db restore"),
        Err(NoEnd::Hung) => {
            let what =
                format!("no end within {} s: it is large, or its server hangs", DATABASE_WAIT.as_secs());
            Finding::warn(name, what, "sandpit db check")
        }
        Err(NoEnd::NotStarted(why)) => Finding::fail(name, why, "install the package again"),
    }]
}

/// Whether host and watchdog are of one release.
pub(super) fn versions(site: &Site) -> Vec<Finding> {
    let name = "versions";
    let own = env!("CARGO_PKG_VERSION");
    vec![match Program::new(&site.watchdog).args(["--version"]).run(VERSION_WAIT) {
        Ok(ended) => match ended.out.split_whitespace().last() {
            Some(version) if version == own => Finding::ok(name, format!("host and watchdog are of {own}")),
            Some(version) if ended.code == Some(0) => {
                let what = format!("the host is {own}, {} is {version}", site.watchdog.display());
                Finding::fail(name, what, "apt install --reinstall sandpit")
            }
            Some(_) | None => {
                Finding::fail(name, "the watchdog does not say its version", "install the package again")
            }
        },
        Err(NoEnd::Hung) => Finding::fail(name, "the watchdog's program hangs", "look at the disk"),
        Err(NoEnd::NotStarted(why)) => Finding::fail(name, why, "install the package again"),
    }]
}

/// Whether mode `live` would be accepted.
pub(super) fn golive(site: &Site) -> Vec<Finding> {
    let name = "golive";
    if site.settings.mode() != "live" {
        return Vec::new();
    }
    let folder = site.settings.state_dir();
    if !may_look(&folder) {
        return vec![Finding::unseen(name, format!("{} is its user's alone", folder.display()), AS_ROOT)];
    }
    let signed = golive::signed(&folder);
    vec![match (signed, &site.host_keys) {
        (Err(why), _) => Finding::fail(name, why, "sandpit golive"),
        (Ok(_), None) => Finding::unseen(name, "the key cannot be read", AS_ROOT),
        (Ok(record), Some(keys)) => {
            let fresh = record.judge_time(&golive::Use::read(&folder), (site.world.now_unix_s)());
            match fresh.and_then(|()| record.judge_key(keys.id.expose())) {
                Ok(()) => Finding::ok(name, format!("signed off by {}", record.operator)),
                Err(why) => Finding::fail(name, why, "sandpit golive"),
            }
        }
    }]
}
