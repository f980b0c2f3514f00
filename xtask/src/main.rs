//! The project's own commands: `cargo demo` and `cargo xtask …`.

mod ambient;
mod bench;
mod deb;
mod demo;
mod docs;
mod langs;
mod plugins;
mod sdks;
mod soak;
mod test;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Commands of the Sandpit workspace")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run sim, watchdog and host with both example strategies.
    Demo(demo::Options),
    /// Run every check and test of the workspace.
    Test(test::Options),
    /// Measure: one figure a line, `name value unit`.
    Bench(bench::Options),
    /// Fuzz the parsers and play random order scripts against the reference model, for as long as you like.
    Soak(soak::Options),
    /// Build the plugins to WebAssembly: the examples into target/plugins, those of the tests into
    /// target/test-plugins.
    Plugins {
        /// Also those in JavaScript, Python and C, into target/plugins-langs.
        #[arg(long)]
        all_langs: bool,
        /// Instead of that, make the bindings of plugins/c/sandpit anew, after a change of the interface.
        #[arg(long, conflicts_with = "all_langs")]
        c_bindings: bool,
    },
    /// Build the Debian package.
    Deb(deb::Options),
    /// Write manual pages and completions of both programs.
    Docs(docs::Options),
    /// Install the broker's official SDKs, which the conformance tests run, into target/sdk.
    Sdks,
}

fn main() -> ExitCode {
    let root = root();
    let result = match Cli::parse().command {
        Task::Demo(options) => demo::run(&root, &options),
        Task::Test(options) => test::run(&root, &options).map(|()| ExitCode::SUCCESS),
        Task::Bench(options) => bench::run(&root, &options).map(|()| ExitCode::SUCCESS),
        Task::Soak(options) => soak::run(&root, &options).map(|()| ExitCode::SUCCESS),
        Task::Plugins { c_bindings: true, .. } => langs::bindings::update(&root).map(|changed| {
            changed.iter().for_each(|file| println!("{file}"));
            ExitCode::SUCCESS
        }),
        Task::Plugins { all_langs, .. } => build_plugins(&root, all_langs).map(|files| {
            files.iter().for_each(|file| println!("{}", file.display()));
            ExitCode::SUCCESS
        }),
        Task::Deb(options) => deb::run(&root, &options).map(|file| {
            println!("{}", file.display());
            ExitCode::SUCCESS
        }),
        Task::Docs(options) => docs::run(&root, &options).map(|()| ExitCode::SUCCESS),
        Task::Sdks => sdks::install(&root, &target_dir(&root).join("sdk")).map(|folders| {
            folders.iter().for_each(|folder| println!("{}", folder.display()));
            ExitCode::SUCCESS
        }),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn build_plugins(root: &Path, all_langs: bool) -> anyhow::Result<Vec<PathBuf>> {
    let target = target_dir(root);
    let mut files = plugins::build_all(root, &target)?;
    if all_langs {
        files.extend(langs::build_all(root, &target)?);
    }
    Ok(files)
}

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// The folder of the workspace's binaries: this one lies among them.
fn binaries(root: &Path) -> PathBuf {
    let own = std::env::current_exe().ok();
    own.and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_else(|| root.join("target/debug"))
}

/// Where cargo puts what it builds.
fn target_dir(root: &Path) -> PathBuf {
    binaries(root).parent().map_or_else(|| root.join("target"), Path::to_owned)
}

/// Runs cargo in the workspace; its output is the user's to see.
fn cargo<A: AsRef<OsStr>>(root: &Path, args: impl IntoIterator<Item = A>) -> anyhow::Result<()> {
    let mut command = cargo_command(root);
    command.args(args);
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// What `cargo run` tells this program of its own package. Build scripts that look at it would run again, and
/// what depends on them be built again, whenever a user calls cargo by another way than this program does.
const OWN_PACKAGE: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_PRIMARY_PACKAGE"];

/// Cargo, in the workspace.
fn cargo_command(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        if OWN_PACKAGE.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}
