//! Python: componentize-py, which pip installs into a virtual environment as our requirements pin it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    ToolError,
    error::{Context, ensure},
    js::absolute,
    tools::{Inputs, at_least, once, provide, run, tool},
};

/// What is installed, with the hashes of its files.
const REQUIREMENTS: &str = include_str!("../../../plugins/python/requirements.txt");

const PYTHON: &str =
    "install it with its venv module (Debian: `apt-get install python3 python3-venv`) and try again";
const REGISTRY: &str = "could not be installed: it comes once from PyPI, which must be reached, directly or \
                        through a mirror that pip knows";

/// Names that the tool, or the library, takes for itself.
const TAKEN: [&str; 3] = ["strategy", "sandpit", "wit_world"];

/// The tool's own entry: a virtual environment that was moved has no other that works.
const ENTRY: &str =
    "import sys; from componentize_py import script; sys.argv[0] = 'componentize-py'; sys.exit(script())";

/// Builds `folder/NAME.py`, with what it imports from the folder, into the component `out`.
///
/// `wit` is the folder of the interface. Below `cache`, tools are installed once, and results kept.
///
/// # Errors
/// When Python or its venv is missing or too old, PyPI does not deliver, the name is taken, or the strategy
/// does not build.
pub fn build(folder: &Path, name: &str, wit: &Path, cache: &Path, out: &Path) -> Result<(), ToolError> {
    ensure(!TAKEN.contains(&name), || {
        format!(
            "a strategy in Python cannot be called `{name}`: componentize-py uses that name; rename {name}.py"
        )
    })?;
    let python = version()?;
    let tools = [REQUIREMENTS, &python];
    let inputs = Inputs::new(&[tools.as_slice(), &[ENTRY, name]].concat());
    let inputs = inputs.files(folder, &[".py"])?.files(wit, &[".wit"])?;
    once(cache, &inputs.key(), out, |to| {
        let interpreter = install(cache, &Inputs::new(&tools).key())?;
        let mut builder = tool(interpreter);
        builder.args(["-c", ENTRY, "-d"]).arg(wit).args([
            "-w",
            "strategy",
            "componentize",
            "--stub-wasi",
            "-p",
        ]);
        builder.arg(folder).arg(name).arg("-o").arg(to);
        // Neither the packages of the user's own environment nor its ways of running Python belong into it.
        for variable in ["VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"] {
            builder.env_remove(variable);
        }
        run(&mut builder)
    })
}

/// The interpreter that has the tool.
fn install(cache: &Path, key: &str) -> Result<PathBuf, ToolError> {
    let folder = provide(cache, "python", key, |into| {
        let requirements = into.join("requirements.txt");
        fs::write(&requirements, REQUIREMENTS).context("cannot write requirements.txt")?;
        environment(into, &requirements, "componentize-py")
    })?;
    absolute(&folder.join("bin/python"))
}

/// The version of Python.
///
/// # Errors
/// When there is none, or it is too old.
pub fn version() -> Result<String, ToolError> {
    at_least("python3", (3, 10), PYTHON)
}

/// Makes a virtual environment in `folder` with what `requirements` pins by hashes; `what` names it in
/// errors. Its `bin/python` finds its packages wherever the folder is moved to; other entries do not.
///
/// # Errors
/// When Python has no venv, or PyPI does not deliver.
pub fn environment(folder: &Path, requirements: &Path, what: &str) -> Result<(), ToolError> {
    let mut venv = tool("python3");
    run(venv.args(["-m", "venv"]).arg(folder)).map_err(|error| ToolError::Missing {
        what: "python3's module venv".to_owned(),
        remedy: format!("{PYTHON} ({error})"),
    })?;
    let mut pip = tool(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    pip.args(["--require-hashes", "--requirement"]).arg(requirements);
    run(&mut pip).map_err(|error| ToolError::failed(format!("{what} {REGISTRY} ({error})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_pinned_with_their_hashes() {
        let lines: Vec<_> = REQUIREMENTS.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines[0].starts_with("componentize-py==") && lines[0].ends_with(" \\"), "{lines:?}");
        assert!(lines[1..].iter().all(|line| line.starts_with("    --hash=sha256:")), "{lines:?}");
    }

    #[test]
    fn names_that_the_tool_takes_are_refused() {
        let nowhere = Path::new("/nonexistent");
        let error = build(nowhere, "strategy", nowhere, nowhere, nowhere).expect_err("taken").to_string();
        assert!(error.contains("rename strategy.py"), "{error}");
    }
}
