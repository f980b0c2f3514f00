//! Builds the strategies in other languages: the examples below `plugins/`, and what fails on purpose for
//! `tests/langs`.

pub(crate) mod bindings;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sandpit_toolchain::{ToolError, c, js, python};

/// The interface they are built for.
const WIT: &str = "wit/strategy-0.1.0";
/// What fails on purpose, one file a language.
const FAULTY: &str = "tests/langs/faulty";
/// The authoring library of each language, below its folder.
const LIBRARY: &str = "sandpit";

type Build = fn(&Path, &str, &Path, &Path, &Path) -> Result<(), ToolError>;

/// A language: its folder below `plugins/`, the ending of its files, how strategies are named after it.
struct Language {
    folder: &'static str,
    ending: &'static str,
    build: Build,
}

const LANGUAGES: [Language; 3] = [
    Language { folder: "js", ending: "js", build: js::build },
    Language { folder: "python", ending: "py", build: python::build },
    Language { folder: "c", ending: "c", build: c::build },
];

/// Builds everything into `target/plugins-langs` and returns the files. What has not changed is not built
/// again: tools and results are kept in `target/langs`.
///
/// # Errors
/// When a tool is missing, with its version and the remedy, or a strategy does not build. All languages are
/// tried first.
pub(crate) fn build_all(root: &Path, target: &Path) -> Result<Vec<PathBuf>> {
    let out = target.join("plugins-langs");
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    for language in &LANGUAGES {
        match language.build_both(root, &target.join("langs"), &out) {
            Ok(built) => files.extend(built),
            Err(error) => faults.push(format!("{}: {error:#}", language.folder)),
        }
    }
    if faults.is_empty() { Ok(files) } else { Err(Faults(faults).into()) }
}

/// What did not work, a line for each language.
#[derive(Debug)]
struct Faults(Vec<String>);

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not every language can be built\n  {}", self.0.join("\n  "))
    }
}

impl Language {
    fn build_both(&self, root: &Path, cache: &Path, out: &Path) -> Result<[PathBuf; 2]> {
        let examples = root.join("plugins").join(self.folder);
        let example = self.build_one(root, &examples, "sma_cross", cache, out)?;
        let staged = self.stage(root, cache)?;
        Ok([example, self.build_one(root, &staged, "faulty", cache, out)?])
    }

    fn build_one(&self, root: &Path, folder: &Path, name: &str, cache: &Path, out: &Path) -> Result<PathBuf> {
        let file = out.join(format!("{name}_{}.wasm", self.ending));
        (self.build)(folder, name, &root.join(WIT), cache, &file)
            .with_context(|| format!("{}", folder.join(format!("{name}.{}", self.ending)).display()))?;
        let size = fs::metadata(&file).with_context(|| format!("cannot read {}", file.display()))?.len();
        eprintln!("plugins: {} ({} KiB)", file.display(), size.div_ceil(1024));
        Ok(file)
    }

    /// A folder with the library and what fails on purpose, as an author's folder has them.
    fn stage(&self, root: &Path, cache: &Path) -> Result<PathBuf> {
        let folder = cache.join("faulty").join(self.folder);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        copy(&root.join("plugins").join(self.folder).join(LIBRARY), &folder.join(LIBRARY))?;
        let source = format!("faulty.{}", self.ending);
        fs::copy(root.join(FAULTY).join(&source), folder.join(&source))
            .with_context(|| format!("cannot copy {source}"))?;
        Ok(folder)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry.with_context(|| format!("cannot read {}", from.display()))?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}
