//! A plugins folder with a cache and an engine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sandpit_strategy::{COMPILE_MEMORY_BYTES, Compiler, Engine, Manifest, Plugin, PluginError};
use serde_json::Value;

use crate::{child, deeds};

/// The folder, and everything that turns a file in it into a strategy.
pub struct Yard {
    folder: tempfile::TempDir,
    engine: Engine,
}

impl Default for Yard {
    fn default() -> Self {
        Self::new()
    }
}

impl Yard {
    /// An empty one.
    ///
    /// # Panics
    /// When this machine has no room for it.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, engine: Engine::new().expect("an engine") }
    }

    /// The engine that all strategies share.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Compiles in a process of its own, with the caps of the host.
    pub fn compiler(&self) -> Compiler {
        Compiler {
            command: vec![child().into(), "compile-plugin".into()],
            cache_dir: self.path("cache"),
            memory_cap_bytes: COMPILE_MEMORY_BYTES,
        }
    }

    /// Writes a plugin and takes it the host's way.
    ///
    /// # Errors
    /// When the host would refuse it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn load(&self, file: &str, bytes: &[u8]) -> Result<Plugin, PluginError> {
        let path = self.path(file);
        fs::write(&path, bytes).expect("a plugin file");
        Plugin::load(&self.engine, &self.compiler(), &path)
    }

    /// The built plugin of the deeds, under this name.
    ///
    /// # Panics
    /// When it was not built, or the host does not take it.
    pub fn hostile(&self, name: &str) -> Plugin {
        let built = fs::read(deeds()).expect("readable");
        self.load(&format!("{name}.wasm"), &built).expect("the plugin of the deeds loads")
    }

    /// Removes what was compiled so far: the next load compiles again.
    pub fn forget(&self) {
        // It is not there before the first load.
        let _ = fs::remove_dir_all(self.path("cache"));
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A manifest with these parameters.
///
/// # Panics
/// When `parameters` is no JSON object.
pub fn manifest(parameters: &str) -> Manifest {
    let Ok(Value::Object(parameters)) = serde_json::from_str(parameters) else {
        panic!("no JSON object: {parameters}");
    };
    Manifest { parameters, ..Manifest::default() }
}
