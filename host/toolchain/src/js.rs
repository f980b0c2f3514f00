//! JavaScript: Node.js runs componentize-js, which is installed by npm as our lock file pins it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    ToolError,
    error::Context,
    tools::{Inputs, at_least, once, provide, run, tool},
};

/// The files of `plugins/js` that decide what is installed, and the script that uses it.
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../../../plugins/js/package.json")),
    ("package-lock.json", include_str!("../../../plugins/js/package-lock.json")),
    ("build.mjs", include_str!("../../../plugins/js/build.mjs")),
];

const NODE: &str = "install it (Debian: `apt-get install nodejs npm`) and try again";
const REGISTRY: &str = "could not be installed: it comes once from npm's registry, which must be reached, \
                        directly or through a mirror that npm knows";

/// Builds `folder/NAME.js`, with what it imports from the folder, into the component `out`.
///
/// `wit` is the folder of the interface. Below `cache`, tools are installed once, and results kept.
///
/// # Errors
/// When Node.js or npm is missing or too old, the registry does not deliver, or the strategy does not build.
pub fn build(folder: &Path, name: &str, wit: &Path, cache: &Path, out: &Path) -> Result<(), ToolError> {
    let node = version()?;
    let texts = FILES.map(|(_, text)| text);
    let tools = [texts.as_slice(), &[&node]].concat();
    let inputs = Inputs::new(&[tools.as_slice(), &[name]].concat());
    let inputs = inputs.files(folder, &[".js", ".mjs", ".json"])?.files(wit, &[".wit"])?;
    once(cache, &inputs.key(), out, |to| {
        let script = install(cache, &Inputs::new(&tools).key())?;
        let mut node = tool("node");
        node.arg(script).arg("--wit").arg(absolute(wit)?);
        node.arg(absolute(folder)?.join(format!("{name}.js"))).arg(absolute(to)?);
        run(&mut node)
    })
}

/// The script, with its tools beside it.
fn install(cache: &Path, key: &str) -> Result<PathBuf, ToolError> {
    let folder = provide(cache, "js", key, |into| {
        for (file, text) in FILES {
            fs::write(into.join(file), text).context(format_args!("cannot write {file}"))?;
        }
        packages(into, "componentize-js")
    })?;
    absolute(&folder.join("build.mjs"))
}

/// The version of Node.js.
///
/// # Errors
/// When there is none, or it is too old: 18 is the first with `fetch`.
pub fn version() -> Result<String, ToolError> {
    at_least("node", (18, 0), NODE)
}

/// Installs what the `package-lock.json` in `folder` pins; `what` names it in errors.
///
/// # Errors
/// When npm is missing or too old, or its registry does not deliver.
pub fn packages(folder: &Path, what: &str) -> Result<(), ToolError> {
    at_least("npm", (8, 0), NODE)?;
    let mut npm = tool("npm");
    npm.current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    run(&mut npm).map_err(|error| ToolError::failed(format!("{what} {REGISTRY} ({error})")))
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf, ToolError> {
    std::path::absolute(path).context(format_args!("cannot find {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lock file names what to fetch, never where from: everybody uses the registry they are set up for.
    #[test]
    fn the_lock_is_whole_and_names_no_registry() {
        let [_, (_, lock), _] = FILES;
        let places: Vec<_> = lock.lines().filter(|line| line.contains("\"resolved\"")).collect();
        assert!(places.is_empty(), "{places:?}");
        let (packages, hashes) =
            (lock.matches("\"version\": ").count(), lock.matches("\"integrity\": \"sha512-").count());
        assert!(packages > 10 && packages == hashes, "{packages} packages, {hashes} hashes");
    }
}
