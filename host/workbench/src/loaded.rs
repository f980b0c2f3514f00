//! A plugin on the bench: found, compiled in a child, described, with its manifest.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sandpit_strategy::{Bounds, Engine, Manifest, Plugin, Start, Trial};

use crate::{Surroundings, WorkbenchError, project::Project};

/// The seed of the random numbers of every trial: the same each time.
const SEED: u64 = 42;

/// A plugin, and what runs it.
pub(crate) struct Loaded {
    pub(crate) plugin: Plugin,
    pub(crate) manifest: Manifest,
    pub(crate) engine: Engine,
}

impl Loaded {
    /// Checks and compiles the file.
    ///
    /// # Errors
    /// When it is no strategy for this host, or its manifest is wrong.
    pub(crate) fn open(file: &Path, surroundings: &Surroundings) -> Result<Self, WorkbenchError> {
        let engine = Engine::metered()?;
        let plugin = Plugin::load(&engine, &surroundings.compiler(), file)?;
        let manifest = Manifest::beside(file)?;
        Ok(Self { plugin, manifest, engine })
    }

    /// A fresh life of it.
    ///
    /// # Errors
    /// When it is granted no instruments, fails or refuses to start.
    pub(crate) fn trial(&self) -> Result<Trial, WorkbenchError> {
        Ok(Trial::start(&self.engine, &self.plugin, &self.manifest, bounds(), Start::new(SEED))?)
    }
}

/// Those of a host in what they count. Counting work makes it slower, and this machine may be busy with a
/// build: only an endless loop runs out of these times.
fn bounds() -> Bounds {
    let usual = Bounds::default();
    Bounds {
        event_deadline: Duration::from_secs(5),
        start_deadline: Duration::from_secs(60),
        memory_bytes: 256 << 20,
        ..usual
    }
}

/// The plugin that a path means: the file itself, or what was built in a strategy's folder.
///
/// # Errors
/// When there is none.
pub(crate) fn plugin_file(path: &Path) -> Result<PathBuf, WorkbenchError> {
    if !path.is_dir() {
        if path.is_file() {
            return Ok(path.to_owned());
        }
        let words = format!("there is no {}: name a .wasm file or the folder of a strategy", path.display());
        return Err(WorkbenchError::Usage(words));
    }
    let project = Project::find(path)?;
    let file = project.wasm();
    if file.is_file() {
        return Ok(file);
    }
    Err(WorkbenchError::Project(format!(
        "{} is not built yet: run `sandpit plugin build {}`",
        project.name,
        path.display()
    )))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_path_means_a_file_or_what_was_built_in_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let error = |path: &Path| plugin_file(path).expect_err("nothing there").to_string();
        assert!(error(&path.join("x")).contains("name a .wasm file or the folder of a strategy"));
        assert!(error(path).contains("there is no strategy in"));
        fs::write(path.join("a.py"), "").expect("a file");
        assert!(error(path).starts_with("a is not built yet: run `sandpit plugin build /"));
        fs::write(path.join("a.wasm"), "").expect("a file");
        assert_eq!(plugin_file(path).expect("it is there"), path.join("a.wasm"));
        assert_eq!(plugin_file(&path.join("a.py")).expect("whatever it is"), path.join("a.py"));
    }
}
