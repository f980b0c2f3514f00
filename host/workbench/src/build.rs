//! `sandpit plugin build`: the right toolchain for what is there.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use sandpit_toolchain::{PROFILE, TARGET, ToolError, Toolchain, c, js, python};

use crate::{
    Surroundings, WorkbenchError,
    anatomy::Anatomy,
    command::{How, say},
    project::{Language, Project},
    surroundings::write_changed,
};

/// Builds the strategy of that name in a folder, by the interface in another, with tools kept in a third.
type Foreign = fn(&Path, &str, &Path, &Path, &Path) -> Result<(), ToolError>;

/// Builds the strategy in `folder` and returns the plugin.
///
/// # Errors
/// When there is no strategy, a tool is missing, or it does not build; the tools' own words go to standard
/// error.
pub(crate) fn build(
    folder: &Path,
    how: &How,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<PathBuf, WorkbenchError> {
    let project = Project::find(folder)?;
    let file = project.wasm();
    let foreign = match project.language {
        Language::Rust => None,
        Language::Js => Some(js::build as Foreign),
        Language::Python => Some(python::build as Foreign),
        Language::C => Some(c::build as Foreign),
    };
    if let Some(build) = foreign {
        let (cache, interface) = (surroundings.cache.as_path(), surroundings.interface()?);
        fs::create_dir_all(cache).map_err(WorkbenchError::io("create", cache))?;
        let part = file.with_added_extension("new");
        build(&project.folder, project.name.as_str(), &interface, cache, &part)?;
        fs::rename(&part, &file).map_err(WorkbenchError::io("write", &file))?;
    } else {
        let built = rust(&project, how, surroundings)?;
        let bytes = fs::read(&built).map_err(WorkbenchError::io("read", &built))?;
        write_changed(&file, &bytes)?;
    }
    let size = Anatomy::of(&file)?.bytes;
    say(out, format_args!("{} ({} KiB)", file.display(), size.div_ceil(1024)))?;
    Ok(file)
}

/// Runs cargo and returns what it made.
fn rust(project: &Project, how: &How, surroundings: &Surroundings) -> Result<PathBuf, WorkbenchError> {
    let toolchain = Toolchain::find(&surroundings.rust())?;
    let own = || match toolchain.builds_std() {
        true => surroundings.cache.join("rust-target"),
        false => project.folder.join("target"),
    };
    let target = how.target_dir.clone().unwrap_or_else(own);
    let mut cargo = toolchain.cargo();
    cargo.envs(PROFILE).args(["build", "--release", "--lib", "--target", TARGET]);
    cargo.arg("--manifest-path").arg(project.folder.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(&target).args(toolchain.build_flags());
    let status = cargo.status().map_err(|error| ToolError::Missing {
        what: format!("cargo, of Rust 1.95 or later ({error})"),
        remedy: "install Rust from https://rustup.rs".into(),
    })?;
    if !status.success() {
        let name = &project.name;
        let words = format!("{name} does not compile to WASM: cargo's messages are above ({status})");
        return Err(WorkbenchError::Project(words));
    }
    Ok(target.join(TARGET).join("release").join(format!("{}.wasm", project.name)))
}
