//! Where a session lies.

use std::path::{Path, PathBuf};

use sandpit_contract::Exit;
use sandpit_journal::latest;

use super::unreadable;
use crate::{
    ambient,
    config::{Config, Mode},
    recording::root,
    run::Failure,
};

/// A session on the disk.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    /// The folder of all sessions, beside which the components lie.
    pub(super) root: PathBuf,
}

/// Finds a session by its folder, its name or as the latest.
///
/// # Errors
/// When there is none, or nobody says where to look.
pub(super) fn find(text: &str, config: Option<&Path>, state_dir: Option<&Path>) -> Result<Session, Failure> {
    let usage = |what: String| Failure::new(Exit::Usage, what);
    let folder = Path::new(text);
    if folder.is_dir() {
        let folder = folder.canonicalize().map_err(|error| usage(format!("cannot use {text}: {error}")))?;
        return Ok(of(folder));
    }
    if text.contains('/') {
        return Err(usage(format!("there is no folder {text}: name one of a recorded session")));
    }
    let roots = roots(config, state_dir)?;
    let found = if text == "latest" { newest(&roots)? } else { named(&roots, text) };
    found.ok_or_else(|| {
        let places: Vec<_> = roots.iter().map(|root| root.display().to_string()).collect();
        let what = if text == "latest" { "no session".to_owned() } else { format!("no session {text}") };
        usage(format!("there is {what} in {}", places.join(" or ")))
    })
}

/// Where sessions lie: one folder a mode.
fn roots(config: Option<&Path>, state_dir: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    if let Some(path) = config {
        let (state_dir, mode) = Config::place(path, &ambient::environment())
            .map_err(|error| Failure::new(Exit::Config, error))?;
        return Ok(vec![root(&state_dir.join(mode.as_str()))]);
    }
    let Some(state_dir) = state_dir else {
        let what = "say with --config or --state-dir where the sessions lie, or name a session's folder";
        return Err(Failure::new(Exit::Usage, what));
    };
    Ok([Mode::Live, Mode::Paper, Mode::DryRun].map(|mode| root(&state_dir.join(mode.as_str()))).into())
}

fn newest(roots: &[PathBuf]) -> Result<Option<Session>, Failure> {
    let mut found = Vec::new();
    for root in roots {
        let name = latest(root).map_err(unreadable)?;
        found.extend(name.map(|name| of(root.join(name))));
    }
    Ok(found.into_iter().max_by(|a, b| a.name.cmp(&b.name)))
}

fn named(roots: &[PathBuf], name: &str) -> Option<Session> {
    roots.iter().map(|root| root.join(name)).find(|folder| folder.is_dir()).map(of)
}

fn of(folder: PathBuf) -> Session {
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
    let root = folder.parent().unwrap_or(&folder).to_owned();
    Session { name, folder, root }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_session_is_found_by_name_folder_and_as_the_latest() {
        let state = tempfile::tempdir().expect("a folder");
        for (mode, name) in [("paper", "20260101"), ("dry-run", "20260301"), ("paper", "20260201")] {
            let folder = state.path().join(mode).join("journal").join(name);
            fs::create_dir_all(&folder).expect("made");
            fs::write(folder.join("0000.journal"), "").expect("written");
        }
        let config = state.path().join("sandpit.toml");
        let text = format!("mode = \"paper\"\nstate_dir = {:?}\nplugins_dir = \"p\"\n", state.path());
        fs::write(&config, text).expect("written");
        let check = |text: &str, by_config: bool, expected: Result<&str, &str>| {
            let config = by_config.then_some(config.as_path());
            let found = find(text, config, (!by_config).then_some(state.path()));
            let found = found.map(|session| session.name).map_err(|failure| failure.sentence);
            match expected {
                Ok(name) => assert_eq!(found.as_deref(), Ok(name), "{text}"),
                Err(part) => assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{found:?}"),
            }
        };
        check("latest", true, Ok("20260201"));
        check("latest", false, Ok("20260301"));
        check("20260101", true, Ok("20260101"));
        check("20260301", true, Err("there is no session 20260301 in "));
        let folder = state.path().join("paper/journal/20260101");
        check(folder.to_str().expect("plain"), false, Ok("20260101"));
        check("/nowhere/at/all", true, Err("there is no folder /nowhere/at/all"));
        let nobody_says = find("latest", None, None).expect_err("where?").sentence;
        assert!(nobody_says.contains("--config or --state-dir"), "{nobody_says}");
    }
}
