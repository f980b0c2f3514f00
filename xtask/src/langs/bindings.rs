//! The part of `plugins/c/sandpit` that is made of the interface: types and calls by wit-bindgen, and the
//! type of the component as bytes in a custom section. It lies in the repository, so that an author needs
//! clang alone; a test holds it equal to what is made here.

use std::{fs, path::Path};

use anyhow::{Context, Result, anyhow};
use wit_bindgen_core::Files;
use wit_component::StringEncoding;
use wit_parser::Resolve;

use super::WIT;

/// Where they lie.
const FOLDER: &str = "plugins/c/sandpit";
const WORLD: &str = "strategy";
/// Bytes of the component's type in one line.
const BYTES_A_LINE: usize = 24;

/// Writes them anew. Returns what has changed.
///
/// # Errors
/// When the interface cannot be read, or a file not be written.
pub(crate) fn update(root: &Path) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    for (name, text) in generate(root)? {
        let path = root.join(FOLDER).join(&name);
        if fs::read(&path).is_ok_and(|old| old == text) {
            continue;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        changed.push(format!("{FOLDER}/{name}"));
    }
    Ok(changed)
}

/// Each file's name and text.
fn generate(root: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut resolve = Resolve::default();
    let wit = root.join(WIT);
    let read = resolve.push_dir(&wit).map_err(|error| anyhow!("{error:#}"));
    let (package, _) = read.with_context(|| format!("cannot read {}", wit.display()))?;
    let world = resolve.select_world(&[package], Some(WORLD)).map_err(|error| anyhow!("{error:#}"))?;
    let component_type = wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None)
        .map_err(|error| anyhow!("{error:#}"))?;
    let mut files = Files::default();
    let mut generator =
        wit_bindgen_c::Opts { no_object_file: true, ..wit_bindgen_c::Opts::default() }.build();
    generator.generate(&mut resolve, world, &mut files).map_err(|error| anyhow!("{error:#}"))?;
    let mut made: Vec<_> = files.iter().map(|(name, bytes)| (name.to_owned(), bytes.to_owned())).collect();
    made.push(("interface.c".to_owned(), section(&component_type).into_bytes()));
    Ok(made)
}

/// The type of the component, as the assembler puts it into the section where the host looks for it.
fn section(component_type: &[u8]) -> String {
    let mut text = format!(
        "/* The type of the component, by which the host knows what the module imports and exports.\n   \
         Made of {WIT} by `cargo xtask plugins --c-bindings`. DO NOT EDIT! */\n\n__asm__(\n    \
         \".section \\\".custom_section.component-type:{WORLD}\\\",\\\"\\\",@\\n\"\n"
    );
    for line in component_type.chunks(BYTES_A_LINE) {
        let bytes: Vec<String> = line.iter().map(u8::to_string).collect();
        text += &format!("    \".byte {}\\n\"\n", bytes.join(","));
    }
    // What the bindings call, so that a linker of archives would not leave this file out.
    text + &format!(");\n\nvoid __component_type_object_force_link_{WORLD}(void) {{}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_made_of_the_interface_as_it_is() {
        let root = crate::root();
        for (name, text) in generate(&root).expect("they can be made") {
            let found = fs::read(root.join(FOLDER).join(&name)).unwrap_or_default();
            assert!(found == text, "{FOLDER}/{name} is out of date: run `cargo xtask plugins --c-bindings`");
        }
    }
}
