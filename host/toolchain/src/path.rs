//! Where programs are.

use std::{env, path::PathBuf};

/// Where a program is, as the shell would find it.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}
