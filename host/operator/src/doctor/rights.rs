//! Users, files and their modes, and the three files that allow or forbid trading.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use sandpit_contract::{ARMED_FILE, Armed, LATCH_FILE, Latch};

use super::{
    AS_ROOT, Finding,
    site::{Site, may_look},
};
use crate::{
    place::{HOST_KEY, PANIC_TOKEN, WATCHDOG_KEY, user},
    times::stamp,
};

/// A file of a kill or an arming is never longer.
const MAX_WORD_BYTES: u64 = 64 * 1024;

/// Whether files and folders are there, whose they are, and who may change or read them.
pub(super) fn files(site: &Site) -> Vec<Finding> {
    let name = "files";
    let mut found = Vec::new();
    for config in [site.place.config.clone(), site.place.watchdog_config()] {
        // One that is missing is said by the check of the configuration.
        if let Ok(of) = fs::metadata(&config)
            && of.mode() & 0o022 != 0
        {
            let (mode, path) = (of.mode() & 0o7777, config.display());
            let what = format!("{path} may be changed by others than its owner (mode {mode:04o})");
            found.push(Finding::fail(name, what, format!("chmod go-w {path}")));
        }
    }
    credentials(site, &mut found);
    let settings = &site.settings;
    let services =
        [(settings.state_dir(), &site.place.host_user), (settings.watchdog_dir(), &site.place.watchdog_user)];
    services.iter().for_each(|(folder, user)| state_folder(folder, user, &mut found));
    plugins(
        &crate::files::Settings::path(settings.host(&["plugins_dir"]), "/etc/sandpit/plugins"),
        &mut found,
    );
    if found.is_empty() {
        found.push(Finding::ok(name, "owners and modes are as they should be"));
    }
    found
}

fn credentials(site: &Site, found: &mut Vec<Finding>) {
    let name = "files";
    let folder = site.place.credentials();
    let path = folder.display();
    let of = match fs::metadata(&folder) {
        Ok(of) => of,
        // Keys may come from elsewhere, such as the environment of a container.
        Err(error) if error.kind() == io::ErrorKind::NotFound && site.host_keys.is_some() => return,
        Err(error) => {
            return found.push(Finding::fail(name, format!("{path}: {error}"), "sandpit setup"));
        }
    };
    if of.mode() & 0o077 != 0 {
        let what = format!("{path} may be looked into by others (mode {:04o})", of.mode() & 0o7777);
        found.push(Finding::fail(name, what, format!("chmod 0700 {path}")));
    }
    if !may_look(&folder) {
        return found.push(Finding::unseen(name, format!("{path} is root's"), AS_ROOT));
    }
    for name_of in HOST_KEY.iter().chain(&WATCHDOG_KEY).chain([&PANIC_TOKEN]) {
        let (plain, encrypted) = (site.place.credential(name_of), site.place.encrypted(name_of));
        let file = if encrypted.exists() && !plain.exists() { encrypted } else { plain };
        let path = file.display();
        match fs::metadata(&file) {
            Ok(of) if of.mode() & 0o077 != 0 => {
                let what = format!("{path} may be read by others (mode {:04o})", of.mode() & 0o7777);
                found.push(Finding::fail(name, what, format!("chmod 0600 {path}; have the key replaced")));
            }
            Ok(of) if of.uid() != 0 && nix::unistd::geteuid().is_root() => {
                let what = format!("{path} is not root's (user {})", of.uid());
                found.push(Finding::fail(name, what, format!("chown root:root {path}")));
            }
            Ok(_) if site.place.secret(name_of).is_none() => {
                let what = format!("{path} holds no secret that can be read here: one word is expected");
                found.push(Finding::fail(name, what, "sandpit setup"));
            }
            Ok(_) => {}
            Err(error) => found.push(Finding::fail(name, format!("{path}: {error}"), "sandpit setup")),
        }
    }
}

fn state_folder(folder: &Path, name: &str, found: &mut Vec<Finding>) {
    let path = folder.display();
    let of = match fs::metadata(folder) {
        Ok(of) => of,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let what = format!("there is no {path} yet");
            return found.push(Finding::warn("files", what, "sandpit setup, or start the service"));
        }
        Err(error) => return found.push(Finding::unseen("files", format!("{path}: {error}"), AS_ROOT)),
    };
    if of.mode() & 0o022 != 0 {
        let what = format!("{path} may be changed by others (mode {:04o})", of.mode() & 0o7777);
        found.push(Finding::fail("files", what, format!("chmod go-w {path}")));
    }
    if let Some((owner, _)) = user(name).filter(|(owner, _)| owner.as_raw() != of.uid()) {
        let what = format!("{path} belongs to user {}, not to {name} ({owner})", of.uid());
        found.push(Finding::fail("files", what, format!("chown -R {name}:{name} {path}")));
    }
}

/// Whoever may write there has a strategy of his own running.
fn plugins(folder: &Path, found: &mut Vec<Finding>) {
    let path = folder.display();
    match fs::metadata(folder) {
        Ok(of) if of.mode() & 0o002 != 0 => {
            let what = format!("everybody may put strategies into {path}");
            found.push(Finding::fail("files", what, format!("chmod o-w {path}")));
        }
        Ok(_) => {}
        Err(error) => {
            found.push(Finding::fail("files", format!("{path}: {error}"), format!("mkdir -p {path}")));
        }
    }
}

/// Whether the two users are there, and not one.
pub(super) fn users(site: &Site) -> Vec<Finding> {
    let name = "users";
    let names = [&site.place.host_user, &site.place.watchdog_user];
    let missing: Vec<_> =
        names.iter().filter(|name| user(name).is_none()).map(|name| name.as_str()).collect();
    if !missing.is_empty() {
        let what = format!("there is no user {}", missing.join(", nor "));
        let mend = "systemd-sysusers, or install the package again";
        // Without units nobody is going to be them.
        let is_service = site.place.unit("sandpit-host.service").is_some();
        return vec![if is_service {
            Finding::fail(name, what, mend)
        } else {
            Finding::warn(name, what, mend)
        }];
    }
    let [host, watchdog] = names.map(|name| user(name).map(|(user, _)| user));
    if host == watchdog {
        let what = "host and watchdog are one user: a host that was taken over could end the watchdog";
        return vec![Finding::warn(name, what, "give each its own, as the package does")];
    }
    vec![Finding::ok(name, format!("{} and {} are there", names[0], names[1]))]
}

/// Whether trading is allowed; if not, by what and why.
pub(super) fn arming(site: &Site) -> Vec<Finding> {
    let name = "arming";
    let arm = "sandpit-watchdog arm --reason \"…\"";
    let mut found = Vec::new();
    let flag = site.settings.kill_file();
    let path = flag.display();
    match flag.symlink_metadata() {
        Ok(_) => {
            let why = first_line(&flag).unwrap_or_else(|| "it says nothing".into());
            let mend = format!("find out why; rm {path}; {arm}");
            found.push(Finding::fail(name, format!("the kill switch file {path} is there: {why}"), mend));
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            found.push(Finding::unseen(name, format!("{path}: {error}"), AS_ROOT));
        }
        Err(_) if flag.parent().is_some_and(|folder| !folder.is_dir()) => {
            let what = format!("the folder of {path} is missing: nobody can pull the kill switch");
            found.push(Finding::fail(name, what, "systemd-tmpfiles --create, or mkdir it"));
        }
        Err(_) => {}
    }
    let folder = site.settings.watchdog_dir();
    if !may_look(&folder) {
        found.push(Finding::unseen(name, format!("{} is its user's alone", folder.display()), AS_ROOT));
        return found;
    }
    match read(&folder.join(LATCH_FILE)) {
        Ok(Some(bytes)) => {
            let why = Latch::from_bytes(&bytes).map_or_else(
                |error| error.to_string(),
                |latch| format!("{} (at {})", latch.reason, stamp(latch.at_unix_s)),
            );
            let mend = format!("find out why; look at positions and orders; then {arm}");
            found.push(Finding::fail(name, format!("it was killed: {why}"), mend));
        }
        Ok(None) => {}
        Err(error) => found.push(Finding::unseen(name, format!("the latch: {error}"), AS_ROOT)),
    }
    match read(&folder.join(ARMED_FILE)) {
        Ok(Some(_)) if !found.is_empty() => {}
        Ok(Some(bytes)) => found.push(Finding::ok(name, armed_words(&bytes))),
        Ok(None) => found.push(Finding::warn(name, "not armed: nothing trades until it is", arm)),
        Err(error) => found.push(Finding::unseen(name, format!("the armed file: {error}"), AS_ROOT)),
    }
    found
}

fn armed_words(bytes: &[u8]) -> String {
    match serde_json::from_slice::<Armed>(bytes) {
        Ok(armed) => format!("armed at {}: {}", stamp(armed.at_unix_s), armed.reason),
        Err(_) => "armed".into(),
    }
}

fn read(path: &PathBuf) -> io::Result<Option<Vec<u8>>> {
    use std::io::Read;
    match fs::File::open(path) {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(MAX_WORD_BYTES).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn first_line(path: &PathBuf) -> Option<String> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|of| of.is_file());
    let bytes = if is_file { read(path).ok()?? } else { return None };
    let text = String::from_utf8_lossy(&bytes).lines().next()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
