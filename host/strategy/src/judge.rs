//! What [`crate::compile_file`] finds out before it compiles, without compiling: for whoever has very many
//! files to judge.

use wasmtime::Module;

use crate::{PluginError, check, engine};

/// Whether a file of these bytes would be compiled: its names, its interface, and the types of every
/// function. The functions of a component are not looked at, only those of a core module.
///
/// Some damaged files overflow the stack of the parser of interfaces, which ends the process: call it in a
/// child.
///
/// # Errors
/// As [`crate::compile_file`], for everything that does not take compiling.
pub fn judge(file: &str, bytes: &[u8]) -> Result<(), PluginError> {
    let component = check::to_component(file, bytes.to_vec())?;
    if component == bytes {
        return Ok(());
    }
    Module::validate(&engine::new_inner(false)?, bytes).map_err(|error| PluginError::Compile {
        file: file.to_owned(),
        detail: check::one_line(&format!("{error:#}")),
    })
}
