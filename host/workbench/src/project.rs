//! A strategy's folder: which language, which name.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use sandpit_types::StrategyName;

use crate::WorkbenchError;

/// What a strategy is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Language {
    Rust,
    Js,
    Python,
    C,
}

impl Language {
    /// The endings of its sources.
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Rust => "rs",
            Self::Js => "js",
            Self::Python => "py",
            Self::C => "c",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Js => "JavaScript",
            Self::Python => "Python",
            Self::C => "C",
        })
    }
}

/// A strategy's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Project {
    pub(crate) folder: PathBuf,
    pub(crate) name: StrategyName,
    pub(crate) language: Language,
}

impl Project {
    /// What lies in `folder`: a `Cargo.toml`, or one source file whose ending tells the language.
    ///
    /// # Errors
    /// When there is no strategy or more than one, or its name is none.
    pub(crate) fn find(folder: &Path) -> Result<Self, WorkbenchError> {
        let listing = fs::read_dir(folder).map_err(WorkbenchError::io("read", folder))?;
        let manifest = folder.join("Cargo.toml");
        if manifest.is_file() {
            let name = package(&manifest)?;
            return Self::named(folder, &name, Language::Rust);
        }
        let mut sources: Vec<(String, Language)> = listing
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let ending = path.extension()?.to_str()?;
                let others = [Language::Js, Language::Python, Language::C].into_iter();
                let language = others.filter(|it| it.ending() == ending).find(|_| path.is_file())?;
                Some((path.file_stem()?.to_str()?.to_owned(), language))
            })
            .collect();
        sources.sort();
        match sources.as_slice() {
            [(name, language)] => Self::named(folder, name, *language),
            [] => Err(WorkbenchError::Project(format!(
                "there is no strategy in {}: no Cargo.toml, NAME.js, NAME.py or NAME.c; begin one with \
                 `sandpit plugin new NAME --lang rust`",
                folder.display()
            ))),
            several => {
                let names: Vec<_> =
                    several.iter().map(|(name, it)| format!("{name}.{}", it.ending())).collect();
                Err(WorkbenchError::Project(format!(
                    "{} has more than one strategy ({}): give each a folder of its own",
                    folder.display(),
                    names.join(", ")
                )))
            }
        }
    }

    fn named(folder: &Path, name: &str, language: Language) -> Result<Self, WorkbenchError> {
        let name = parse_name(name)?;
        Ok(Self { folder: folder.to_owned(), name, language })
    }

    /// Where it is built to: beside its manifest.
    pub(crate) fn wasm(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.name))
    }
}

/// # Errors
/// When it is no name of a strategy.
pub(crate) fn parse_name(name: &str) -> Result<StrategyName, WorkbenchError> {
    StrategyName::parse(name).map_err(|_| {
        WorkbenchError::Usage(format!(
            "{name:?} is no name for a strategy: take 1 to 32 of a-z, 0-9 and _, a letter first"
        ))
    })
}

/// The name of the package that a `Cargo.toml` makes.
fn package(manifest: &Path) -> Result<String, WorkbenchError> {
    let text = fs::read_to_string(manifest).map_err(WorkbenchError::io("read", manifest))?;
    let bad = |detail: &str| WorkbenchError::Project(format!("{}: {detail}", manifest.display()));
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| bad(error.message()))?;
    let name = table.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    let name = name.ok_or_else(|| bad("it makes no package: go to the strategy's own folder"))?;
    let kinds = table.get("lib").and_then(|lib| lib.get("crate-type")).and_then(toml::Value::as_array);
    if !kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind.as_str() == Some("cdylib"))) {
        return Err(bad("it makes no plugin: add `crate-type = [\"cdylib\", \"rlib\"]` under [lib]"));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_told_by_what_is_there() {
        let check = |files: &[(&str, &str)], expected: Result<(&str, Language), &str>| {
            let folder = tempfile::tempdir().expect("a folder");
            for (name, text) in files {
                fs::write(folder.path().join(name), text).expect("a file");
            }
            match (Project::find(folder.path()), expected) {
                (Ok(found), Ok((name, language))) => {
                    assert_eq!((found.name.as_str(), found.language), (name, language));
                }
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        };
        let cargo = |text| ("Cargo.toml", text);
        check(
            &[cargo("[package]\nname = \"a\"\n[lib]\ncrate-type = [\"cdylib\"]\n"), ("x.js", "")],
            Ok(("a", Language::Rust)),
        );
        check(&[("a.py", ""), ("b.toml", ""), ("README.md", "")], Ok(("a", Language::Python)));
        check(&[("a.js", "")], Ok(("a", Language::Js)));
        check(&[("a.c", "")], Ok(("a", Language::C)));
        check(&[], Err("there is no strategy in /"));
        check(&[("a.c", ""), ("b.py", "")], Err("more than one strategy (a.c, b.py)"));
        check(&[("A.c", "")], Err("\"A\" is no name for a strategy"));
        check(&[cargo("[package]\nname = \"a\"\n")], Err("it makes no plugin: add `crate-type"));
        check(&[cargo("[workspace]\n")], Err("it makes no package"));
        check(&[cargo("[package\n")], Err("Cargo.toml: "));
        assert!(
            Project::find(Path::new("/nowhere")).expect_err("none").to_string().starts_with("cannot read")
        );
    }
}
