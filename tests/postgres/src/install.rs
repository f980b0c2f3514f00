//! Where PostgreSQL is installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::ServerError;

/// What a server of a test's own needs.
const NEEDED: [&str; 5] = ["initdb", "pg_ctl", "postgres", "psql", "createdb"];

/// The folder that holds all the programs: of the newest version that Debian has installed, else one on PATH.
pub(crate) fn programs() -> Result<PathBuf, ServerError> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path);
    choose(versions.into_iter().rev().map(|(_, folder)| folder).chain(on_path))
}

fn choose(folders: impl Iterator<Item = PathBuf>) -> Result<PathBuf, ServerError> {
    let missing = |folder: &Path| NEEDED.into_iter().find(|program| !folder.join(program).exists());
    let mut nearest = NEEDED[0];
    for folder in folders {
        match missing(&folder) {
            None => return Ok(folder),
            Some(program) if program != NEEDED[0] => nearest = program,
            Some(_) => {}
        }
    }
    Err(ServerError::Missing { program: nearest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_it_is_told_what_to_install() {
        let directory = tempfile::tempdir().expect("tempdir");
        let words = choose(std::iter::once(directory.path().to_owned())).expect_err("empty").to_string();
        assert!(words.contains("no initdb") && words.contains("apt-get install"), "{words}");
        for program in &NEEDED[..2] {
            fs::write(directory.path().join(program), "").expect("writes");
        }
        let words = choose(std::iter::once(directory.path().to_owned())).expect_err("half").to_string();
        assert!(words.contains("no postgres on PATH"), "{words}");
    }
}
