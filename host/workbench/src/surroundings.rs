//! Where this program keeps what it makes once for all strategies of a user.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use sandpit_strategy::{COMPILE_MEMORY_BYTES, Compiler};

use crate::{WorkbenchError, embedded::INTERFACE};

/// What a command has to know of the machine.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The command of the compiling child: it gets an input and an output path, and has to call
    /// `sandpit_strategy::compile_metered`.
    pub compiler: Vec<std::ffi::OsString>,
    /// Toolchains, packages and compiled plugins, for all strategies of this user.
    pub cache: PathBuf,
}

impl Surroundings {
    /// The usual place for caches: `$XDG_CACHE_HOME/sandpit`, else `~/.cache/sandpit`, else a folder of this
    /// working directory.
    pub fn new(compiler: Vec<std::ffi::OsString>, environment: &BTreeMap<String, String>) -> Self {
        let set =
            |name: &str| environment.get(name).filter(|value| value.starts_with('/')).map(PathBuf::from);
        let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        let cache = base.map_or_else(|| PathBuf::from(".sandpit-cache"), |base| base.join("sandpit"));
        Self { compiler, cache }
    }

    /// Compiles for a metered engine, once each.
    pub(crate) fn compiler(&self) -> Compiler {
        Compiler {
            command: self.compiler.clone(),
            cache_dir: self.cache.join("compiled"),
            memory_cap_bytes: COMPILE_MEMORY_BYTES,
        }
    }

    /// Where Rust's toolchain is unpacked if there is none for WASM.
    pub(crate) fn rust(&self) -> PathBuf {
        self.cache.join("wasm-toolchain")
    }

    /// A folder with the interface in words, for the tools of other languages.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn interface(&self) -> Result<PathBuf, WorkbenchError> {
        let folder = self.cache.join("wit").join(sandpit_strategy::INTERFACE_VERSION);
        for (name, text) in INTERFACE {
            write_changed(&folder.join(name), text.as_bytes())?;
        }
        Ok(folder)
    }
}

/// Writes a file, with the folders above it, unless it has this content already. It appears whole, so that
/// whoever watches the folder never sees half of it.
pub(crate) fn write_changed(path: &Path, bytes: &[u8]) -> Result<(), WorkbenchError> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(WorkbenchError::io("create", folder))?;
    }
    let part = path.with_added_extension("part");
    fs::write(&part, bytes).and_then(|()| fs::rename(&part, path)).map_err(WorkbenchError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_the_environment_says() {
        let check = |variables: &[(&str, &str)], expected: &str| {
            let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
            let found = Surroundings::new(Vec::new(), &variables.collect());
            assert_eq!(found.cache, Path::new(expected));
        };
        check(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")], "/c/sandpit");
        check(&[("XDG_CACHE_HOME", "relative"), ("HOME", "/h")], "/h/.cache/sandpit");
        check(&[("HOME", "/h")], "/h/.cache/sandpit");
        check(&[], ".sandpit-cache");
    }
}
