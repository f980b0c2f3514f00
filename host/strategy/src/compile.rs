//! The compiling child: reads a plugin, checks it, compiles it, writes the result. It runs nothing of the
//! plugin.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
};

use crate::{PluginError, check, engine, manifest::open};

/// The largest plugin that is read, bytes. Interpreted ones have about 20 MB.
pub const PLUGIN_BYTES_MAX: u64 = 64 << 20;

/// Compiles the core module or component `input` into `output`, which appears whole or not at all.
///
/// Meant for a child process that [`crate::Compiler`] starts with a memory cap: compiling a hostile or merely
/// large file must not hurt the process that trades.
///
/// # Errors
/// When `input` cannot be read, is not a strategy for this host, or does not compile; when `output` cannot be
/// written.
pub fn compile_file(input: &Path, output: &Path) -> Result<(), PluginError> {
    compile(input, output, false)
}

/// The same for an [`crate::Engine::metered`].
///
/// # Errors
/// As [`compile_file`].
pub fn compile_metered(input: &Path, output: &Path) -> Result<(), PluginError> {
    compile(input, output, true)
}

fn compile(input: &Path, output: &Path, is_metered: bool) -> Result<(), PluginError> {
    await_caps();
    let file = file_name(input);
    let component = check::to_component(&file, read_plugin(input)?)?;
    let compiled = engine::new_inner(is_metered)?
        .precompile_component(&component)
        .map_err(|error| PluginError::Compile { file, detail: check::one_line(&format!("{error:#}")) })?;
    write_whole(output, &compiled)
}

/// The parent caps this process after it has started it, and then closes its input: nothing is read before
/// that. A person who runs the command by hand has no caps to wait for.
fn await_caps() {
    let mut input = io::stdin();
    if !input.is_terminal() {
        // An input that cannot be read is at its end as well.
        let _ = io::copy(&mut input, &mut io::sink());
    }
}

/// The whole file.
///
/// # Errors
/// When it is no regular file, cannot be read or is larger than [`PLUGIN_BYTES_MAX`].
pub(crate) fn read_plugin(path: &Path) -> Result<Vec<u8>, PluginError> {
    let mut bytes = Vec::new();
    let read = |file: File| match file.metadata()?.is_file() {
        true => file.take(PLUGIN_BYTES_MAX + 1).read_to_end(&mut bytes),
        false => Err(io::Error::other("it is no regular file")),
    };
    open(path).and_then(read).map_err(PluginError::io("read", path))?;
    if bytes.len() as u64 > PLUGIN_BYTES_MAX {
        return Err(PluginError::TooLarge { file: file_name(path), limit_bytes: PLUGIN_BYTES_MAX });
    }
    Ok(bytes)
}

/// Writes beside `path`, then renames over it. Not synced: what a crash tears, the checksum finds.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), PluginError> {
    let beside = path.with_added_extension("new");
    std::fs::write(&beside, bytes)
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(PluginError::io("write", path))
}

/// The last part of a path, for messages.
pub(crate) fn file_name(path: &Path) -> String {
    check::one_line(&path.file_name().unwrap_or(path.as_os_str()).to_string_lossy())
}
