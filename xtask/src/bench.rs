//! `cargo xtask bench SUITE`: figures, one a line: `name value unit`.

use std::path::Path;

use clap::{Args, ValueEnum};

/// Which suite to run.
#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    suite: Suite,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Suite {
    /// The matching engine alone, market events and orders a second; then the server over real sockets.
    Venue,
}

/// Runs a suite, optimised as for a release.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    match options.suite {
        Suite::Venue => {
            crate::cargo(root, ["bench", "--quiet", "--package", "sandpit-venue", "--bench", "venue"])?;
            crate::cargo(root, ["bench", "--quiet", "--package", "sandpit-sim", "--bench", "server"])
        }
    }
}
