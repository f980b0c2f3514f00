//! Is this file a strategy for this host? Answered from names alone, before anything is compiled or run.

use std::collections::BTreeSet;

use wasmparser::{ComponentTypeRef, Parser, Payload, TypeBounds};
use wit_component::ComponentEncoder;

use crate::{
    PluginError,
    bounds::{TEXT_BYTES, cut},
};

/// The version of `sandpit:strategy` that this host offers.
pub const INTERFACE_VERSION: &str = "0.1.0";
/// What every version of ours that is compatible with it starts with.
const COMPATIBLE: &str = "0.1.";
const PACKAGE: &str = "sandpit:strategy/";
const EXPORTS: [&str; 9] =
    ["describe", "init", "on-bar", "on-quote", "on-trade", "on-event", "save", "load", "stop"];

/// Checks names and makes a component of a core module.
///
/// # Errors
/// When `bytes` are no WASM, or want or lack something.
pub(crate) fn to_component(file: &str, bytes: Vec<u8>) -> Result<Vec<u8>, PluginError> {
    if !bytes.starts_with(b"\0asm") {
        return Err(PluginError::NotWasm { file: file.to_owned() });
    }
    if Parser::is_component(&bytes) {
        check_component(file, &bytes)?;
        return Ok(bytes);
    }
    check_module(file, &bytes)?;
    let component = encode(&bytes)
        .map_err(|error| PluginError::Damaged { file: file.to_owned(), detail: one_line(&error) })?;
    check_component(file, &component)?;
    Ok(component)
}

fn encode(module: &[u8]) -> Result<Vec<u8>, String> {
    let mut encoder = ComponentEncoder::default().module(module).map_err(|error| format!("{error:#}"))?;
    encoder.encode().map_err(|error| format!("{error:#}"))
}

/// Names a file has at its outer level, and whether it carries the type of its interface.
#[derive(Default)]
struct Names {
    imports: Vec<(String, String)>,
    exports: BTreeSet<String>,
    has_type: bool,
}

fn check_component(file: &str, bytes: &[u8]) -> Result<(), PluginError> {
    let names = names(bytes).map_err(|error| damaged(file, &error))?;
    check_names(file, &names)
}

fn check_module(file: &str, bytes: &[u8]) -> Result<(), PluginError> {
    let names = names(bytes).map_err(|error| damaged(file, &error))?;
    // Foreign imports first: they explain best why the interface is missing.
    check_imports(file, &names)?;
    if !names.has_type {
        return Err(PluginError::NoInterface { file: file.to_owned() });
    }
    check_names(file, &names)
}

fn names(bytes: &[u8]) -> Result<Names, wasmparser::BinaryReaderError> {
    let mut found = Names::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    found.imports.push((import.module.to_owned(), import.name.to_owned()));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    found.exports.insert(export?.name.to_owned());
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    // A type equal to a known one is a name, not a thing to be given.
                    if !matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                        found.imports.push((import.name.name.to_owned(), String::new()));
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    found.exports.insert(export?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if section.name().starts_with("component-type") => {
                found.has_type = true;
            }
            _ => {}
        }
    }
    Ok(found)
}

fn check_names(file: &str, names: &Names) -> Result<(), PluginError> {
    check_imports(file, names)?;
    let missing: Vec<&str> = EXPORTS.into_iter().filter(|name| !names.exports.contains(*name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(PluginError::MissingExport { file: file.to_owned(), missing: missing.join(", ") })
}

fn check_imports(file: &str, names: &Names) -> Result<(), PluginError> {
    for (module, item) in &names.imports {
        let Some(ours) = module.strip_prefix(PACKAGE) else {
            let import = if item.is_empty() { module.clone() } else { format!("{module} {item}") };
            return Err(PluginError::ForeignImport {
                file: file.to_owned(),
                import: one_line(&import),
                remedy: remedy(module),
            });
        };
        let wanted = ours.split_once('@').map_or("(none)", |(_, version)| version);
        if !wanted.starts_with(COMPATIBLE) {
            return Err(PluginError::Version {
                file: file.to_owned(),
                wanted: one_line(wanted),
                offered: INTERFACE_VERSION,
            });
        }
    }
    Ok(())
}

fn remedy(module: &str) -> &'static str {
    if module.starts_with("wasi") {
        "no WASI is offered: build for wasm32-unknown-unknown (other languages: without WASI, see the README)"
    } else if module.starts_with("__wbindgen") || module.contains("wasm-bindgen") {
        "it was built for a browser: leave out what brings wasm-bindgen in, often a crate's `js` feature"
    } else {
        "a strategy gets nothing but sandpit:strategy/host: leave out the dependency that wants it"
    }
}

fn damaged(file: &str, error: &wasmparser::BinaryReaderError) -> PluginError {
    PluginError::Damaged { file: file.to_owned(), detail: one_line(&error.to_string()) }
}

/// A message of others, made fit for a sentence: one line of bounded length, without what moves a cursor.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    cut(&words.join(" "), TEXT_BYTES).to_owned()
}
