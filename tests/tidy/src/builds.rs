//! What is built once and not twice.

use std::{collections::BTreeSet, process::Command};

use super::root;

/// Every dependency with its features, a line each, as these edges ask for it.
fn features(edges: &str) -> BTreeSet<String> {
    let format = ["--format", "{p}|{f}", "--prefix", "none", "--no-dedupe"];
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--offline", "--locked", "--workspace", "--edges", edges]).args(format);
    let out = tree.current_dir(root()).output().expect("cargo runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).expect("text");
    text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

/// Lines of the first that the second does not have.
fn only_in(programs: &BTreeSet<String>, tests: &BTreeSet<String>) -> Vec<String> {
    programs.difference(tests).cloned().collect()
}

/// A dependency that has more features for the tests than for the programs is built once for each, and so is
/// everything that uses it: minutes of every CI run.
#[test]
fn programs_and_tests_have_the_same_dependencies() {
    let set = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(only_in(&set(&["a v1|", "b v1|std"]), &set(&["a v1|std", "b v1|std", "c v1|"])), ["a v1|"]);
    let twice = only_in(&features("normal,build"), &features("normal,build,dev"));
    assert!(
        twice.is_empty(),
        "the tests build these with more features; ask for them in xtask/Cargo.toml as well:\n{}",
        twice.join("\n")
    );
}
