//! The components that live again: the kept ones, or another in the place of one.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use sandpit_contract::Exit;
use sandpit_journal::{Lives, component};
use sandpit_strategy::{Birth, COMPILE_MEMORY_BYTES, Compiler, Engine, Plugin, PluginError, Replay};
use sandpit_types::StrategyName;

use super::unplayable;
use crate::{ambient, run::Failure};

/// Loads components as the host does: compiled by a child, kept in a cache. The cache is not the host's: that
/// belongs to the host alone while it runs.
pub(super) struct Components {
    engine: Engine,
    compiler: Compiler,
    /// The folder of all sessions.
    root: PathBuf,
    loaded: BTreeMap<(StrategyName, String), Plugin>,
    other: Option<Plugin>,
}

impl Components {
    /// Components of the sessions in `root`.
    ///
    /// # Errors
    /// When the engine or its compiler cannot be started here.
    pub(super) fn new(root: &Path) -> Result<Self, Failure> {
        let engine = Engine::new().map_err(|error| unplayable(&error))?;
        let program = std::env::current_exe().map_err(|error| {
            let what = format!("cannot find this program's own file to compile components with: {error}");
            Failure::new(Exit::Plugin, what)
        })?;
        let compiler = Compiler {
            command: vec![program.into(), "compile-plugin".into()],
            cache_dir: std::env::temp_dir().join(format!("sandpit-replay-{}", nix::unistd::geteuid())),
            memory_cap_bytes: COMPILE_MEMORY_BYTES,
        };
        Ok(Self { engine, compiler, root: root.to_owned(), loaded: BTreeMap::new(), other: None })
    }

    /// Has `file` play the part of this strategy.
    ///
    /// # Errors
    /// When it is not a strategy for this host.
    pub(super) fn replace(&mut self, file: &Path, strategy: &StrategyName) -> Result<(), Failure> {
        self.other = Some(self.load(file, strategy).map_err(|error| unplayable(&error))?);
        Ok(())
    }

    fn plugin(&mut self, birth: &Birth) -> Result<Plugin, PluginError> {
        if let Some(other) = &self.other {
            return Ok(other.clone());
        }
        let key = (birth.strategy.clone(), birth.sha256.clone());
        if let Some(plugin) = self.loaded.get(&key) {
            return Ok(plugin.clone());
        }
        let plugin = self.load(&component(&self.root, &birth.sha256), &birth.strategy)?;
        if plugin.sha256() != birth.sha256 {
            let detail = format!("the component kept as {} is another", birth.sha256);
            return Err(PluginError::Damaged { file: format!("{}.wasm", birth.strategy), detail });
        }
        self.loaded.insert(key, plugin.clone());
        Ok(plugin)
    }

    /// A strategy is named after its file, so the component is loaded from a copy that has its name.
    fn load(&self, file: &Path, strategy: &StrategyName) -> Result<Plugin, PluginError> {
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| PluginError::Io { action, path, source }
        };
        let random = ambient::fresh_u64().map_err(io("make a folder in", &std::env::temp_dir()))?;
        let folder = Scratch(std::env::temp_dir().join(format!("sandpit-replay-{random:016x}")));
        DirBuilder::new().mode(0o700).create(&folder.0).map_err(io("create", &folder.0))?;
        let copy = folder.0.join(format!("{strategy}.wasm"));
        fs::copy(file, &copy).map_err(io("read", file))?;
        Plugin::load(&self.engine, &self.compiler, &copy)
    }
}

impl Lives for Components {
    type Life = Replay;

    fn born(&mut self, birth: &Birth) -> Result<Replay, PluginError> {
        let plugin = self.plugin(birth)?;
        Ok(Replay::new(&self.engine, &plugin, birth))
    }

    fn before_swap(&mut self, life: &mut Replay, birth: &Birth) -> Result<(), PluginError> {
        let plugin = self.plugin(birth)?;
        life.know(plugin);
        Ok(())
    }
}

/// A folder that goes when nobody needs it any more.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // At worst a copy of a component stays among the temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
