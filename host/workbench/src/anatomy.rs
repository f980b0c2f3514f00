//! What a file is, by its bytes alone: nothing of it is compiled or run.

use std::{collections::BTreeMap, fs, path::Path};

use sandpit_strategy::PLUGIN_BYTES_MAX;
use sha2::{Digest, Sha256};
use wasmparser::{ComponentTypeRef, Parser, Payload, ProducersSectionReader, TypeBounds};

use crate::WorkbenchError;

/// The package of the interface, before its version.
const PACKAGE: &str = "sandpit:strategy/";

/// What a file is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Anatomy {
    pub(crate) bytes: usize,
    pub(crate) sha256: String,
    /// Whether it is a component; else it is a core module, of which the host makes one.
    pub(crate) is_component: bool,
    /// Interfaces of a component, or functions of a module, in their order.
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    /// Core modules inside.
    pub(crate) modules: usize,
    /// What it was made with: field and name to version, such as `language Rust`.
    pub(crate) producers: BTreeMap<(String, String), String>,
}

impl Anatomy {
    /// Looks at a file.
    ///
    /// # Errors
    /// When it cannot be read, is too large, is no WebAssembly or damaged.
    pub(crate) fn of(path: &Path) -> Result<Self, WorkbenchError> {
        let length = fs::metadata(path).map_err(WorkbenchError::io("read", path))?.len();
        if length > PLUGIN_BYTES_MAX {
            let words = format!(
                "{} has more than {PLUGIN_BYTES_MAX} bytes: build it in release mode",
                path.display()
            );
            return Err(WorkbenchError::Project(words));
        }
        let bytes = fs::read(path).map_err(WorkbenchError::io("read", path))?;
        if !bytes.starts_with(b"\0asm") {
            let words =
                format!("{} is not a WebAssembly file: build it with `sandpit plugin build`", path.display());
            return Err(WorkbenchError::Project(words));
        }
        read(&bytes).map_err(|error| {
            WorkbenchError::Project(format!(
                "{} is damaged ({error}): build or copy it again",
                path.display()
            ))
        })
    }

    /// The versions of the interface it was built for, each once.
    pub(crate) fn interface_versions(&self) -> Vec<&str> {
        let mut versions: Vec<_> = self
            .imports
            .iter()
            .filter_map(|import| import.split(' ').next()?.strip_prefix(PACKAGE)?.split_once('@'))
            .map(|(_, version)| version)
            .collect();
        versions.sort_unstable();
        versions.dedup();
        versions
    }

    /// What it exports, without what tools add to a core module for their own use.
    pub(crate) fn exported(&self) -> Vec<&str> {
        let is_own = |name: &&str| *name != "memory" && !name.starts_with("cabi_") && !name.starts_with("__");
        self.exports.iter().map(String::as_str).filter(is_own).collect()
    }

    /// The interfaces it imports, each once, in order.
    pub(crate) fn imported(&self) -> Vec<&str> {
        let mut names: Vec<_> =
            self.imports.iter().map(|import| import.split(' ').next().unwrap_or(import)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn read(bytes: &[u8]) -> Result<Anatomy, wasmparser::BinaryReaderError> {
    let mut found = Anatomy {
        bytes: bytes.len(),
        sha256: Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
        is_component: Parser::is_component(bytes),
        ..Anatomy::default()
    };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        match payload {
            Payload::ModuleSection { .. } => {
                found.modules += 1;
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if section.name() == "producers" => {
                note_producers(
                    &mut found,
                    ProducersSectionReader::new(wasmparser::BinaryReader::new(
                        section.data(),
                        section.data_offset(),
                    ))?,
                )?;
            }
            _ if depth > 0 => {}
            other => note_names(&mut found, other)?,
        }
    }
    Ok(found)
}

/// Notes the names of the outer level.
fn note_names(found: &mut Anatomy, payload: Payload<'_>) -> Result<(), wasmparser::BinaryReaderError> {
    match payload {
        Payload::ImportSection(section) => {
            for import in section.into_imports() {
                let import = import?;
                found.imports.push(format!("{} {}", import.module, import.name));
            }
        }
        Payload::ExportSection(section) => {
            for export in section {
                found.exports.push(export?.name.to_owned());
            }
        }
        Payload::ComponentImportSection(section) => {
            for import in section {
                let import = import?;
                // A type equal to a known one is a name, not a thing to be given.
                if !matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                    found.imports.push(import.name.name.to_owned());
                }
            }
        }
        Payload::ComponentExportSection(section) => {
            for export in section {
                found.exports.push(export?.name.name.to_owned());
            }
        }
        _ => {}
    }
    Ok(())
}

fn note_producers(
    found: &mut Anatomy,
    section: ProducersSectionReader<'_>,
) -> Result<(), wasmparser::BinaryReaderError> {
    for field in section {
        let field = field?;
        for value in field.values {
            let value = value?;
            found.producers.insert((field.name.to_owned(), value.name.to_owned()), value.version.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Result<&str, &str>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.wasm");
        fs::write(&path, bytes).expect("a file");
        match (Anatomy::of(&path), expected) {
            (Ok(found), Ok(expected)) => {
                let shown = format!("{:?} {:?} {:?}", found.imports, found.exports, found.producers);
                assert_eq!(shown, expected);
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn files_are_read_or_refused() {
        check(b"ELF", Err("is not a WebAssembly file: build it with"));
        check(b"\0asm\x01\0\0\0", Ok("[] [] {}"));
        check(b"\0asm\x01\0\0\0\x01", Err("is damaged ("));
        // One import of a function, and a producers section.
        let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x07\x01\x01e\x01f\0\0\
            \0\x21\x09producers\x01\x08language\x01\x04Rust\x061.95.0";
        check(module, Ok("[\"e f\"] [] {(\"language\", \"Rust\"): \"1.95.0\"}"));
    }

    #[test]
    fn versions_of_the_interface_are_found() {
        let imports = ["sandpit:strategy/host@0.1.0 now", "sandpit:strategy/types@0.1.0", "wasi:io/x@0.2.0"];
        let anatomy = Anatomy { imports: imports.map(str::to_owned).into(), ..Anatomy::default() };
        assert_eq!(anatomy.interface_versions(), ["0.1.0"]);
        assert_eq!(anatomy.imported().len(), 3);
    }
}
