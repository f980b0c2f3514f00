//! `cargo xtask docs`: manual pages and completions of both programs, for the package.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use clap::{Args, CommandFactory};

/// The watchdog's command line: compiled here as well, so that the watchdog itself carries no generator.
#[path = "../../watchdog/daemon/src/arguments.rs"]
mod watchdog;

/// Where the files go.
#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// A folder: man1/ and completions/ come into it.
    #[arg(long, value_name = "DIR", default_value = "target/docs")]
    out: PathBuf,
    /// The binaries are built already.
    #[arg(long)]
    no_build: bool,
}

/// Builds what they are made by, and writes them.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    if !options.no_build {
        crate::cargo(root, ["build", "--workspace", "--bins"])?;
    }
    write(&crate::binaries(root), &options.out)?;
    println!("{}", options.out.display());
    Ok(())
}

/// Writes them into this folder. Those of `sandpit` are made by the program itself, which lies in `binaries`.
///
/// # Errors
/// When it is not there, or a file cannot be written.
pub(crate) fn write(binaries: &Path, out: &Path) -> anyhow::Result<()> {
    let sandpit = binaries.join("sandpit");
    let status = Command::new(&sandpit).args(["docs", "--out"]).arg(out).stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run {}", sandpit.display()))?;
    ensure!(status.success(), "{} docs ended with {status}", sandpit.display());
    sandpit_operator::docs::write(watchdog::Arguments::command(), out)
        .map_err(|failure| anyhow::anyhow!(failure.sentence))
}
