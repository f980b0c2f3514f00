//! `cargo xtask test`: formatting, lints, documents, and every test, on the profile of the demo.

use std::path::Path;

use clap::Args;

/// What runs by itself, and the profile that says how: nothing else may disturb what it measures.
const SUITES: [(&str, &str); 6] = [
    ("whole systems", "system"),
    ("faults", "faults"),
    ("crashes", "crash"),
    ("kills", "kill"),
    ("services", "systemd"),
    ("the panel", "panel"),
];

/// Which checks to run.
#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Only the tests: no formatting, lint or document checks.
    #[arg(long)]
    tests_only: bool,
}

/// Runs the checks; the first that fails ends it, but for missing SDKs and tools of other languages: they
/// fail it at the end.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    if !options.tests_only {
        step("formatting");
        crate::cargo(root, ["fmt", "--all", "--check"])?;
    }
    step("plugins");
    crate::plugins::build_all(root, &crate::target_dir(root))?;
    step("SDKs");
    let sdks = crate::sdks::install(root, &crate::target_dir(root).join("sdk"));
    step("plugins in other languages");
    let langs = crate::langs::build_all(root, &crate::target_dir(root));
    step("binaries");
    crate::cargo(root, ["build", "--workspace", "--bins"])?;
    step("tests");
    let mut tests = vec!["nextest", "run", "--workspace", "--no-fail-fast"];
    for (made, package) in [(&sdks, "sandpit-conformance"), (&langs, "sandpit-langs-tests")] {
        if let Err(why) = made {
            eprintln!("error: {why:#}\nthe other tests run without them");
            tests.extend(["--exclude", package]);
        }
    }
    crate::cargo(root, tests)?;
    // Their profiles choose the package: with `-p` dependencies would be built again, with fewer features.
    for (name, profile) in SUITES {
        step(name);
        crate::cargo(root, ["nextest", "run", "--profile", profile, "--workspace", "--no-fail-fast"])?;
    }
    step("documentation examples");
    crate::cargo(root, ["test", "--workspace", "--doc", "--quiet"])?;
    if !options.tests_only {
        step("lints");
        crate::cargo(root, ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
    }
    sdks.map(drop).and(langs.map(drop))
}

fn step(name: &str) {
    eprintln!("== {name}");
}
