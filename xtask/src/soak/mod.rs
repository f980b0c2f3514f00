//! `cargo xtask soak`: hours of market, at a multiple of its pace, with drops and restarts: the real host,
//! watchdog and simulator. Measured are memory, answers, books and what was logged; see `docs/soak.md`.
//!
//! Time is that of the open market: nights are jumped over by the simulator, and count for nothing here.

mod figures;
mod machine;
mod market;
mod plan;
mod probes;
mod report;
mod rig;
mod rounds;
mod state;
mod words;

use std::path::Path;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use self::{plan::HOUR_SECS, state::State};

/// The token of the host's panel: there is nothing to protect on a loopback address with virtual money.
const PANEL_TOKEN: &str = "soak-soak-soak-soak";
/// Seed of a run that names none: the figures of two runs are to be compared.
const SEED: u64 = 7;

/// How much market, or what else.
#[derive(Args, Debug, Clone)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: Option<What>,
    /// Hours of open market
    #[arg(long, value_name = "N", default_value_t = 24.0)]
    hours: f64,
    /// Market seconds in a real second
    #[arg(long, value_name = "N", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=600))]
    speed: u32,
    /// Seed of the market, the drops and the restarts [default: 7; with --resume that of the newest run]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Go on with a run that was stopped: what it has seen counts, hours and speed are its own
    #[arg(long, conflicts_with_all = ["hours", "speed"])]
    resume: bool,
    /// Run what is optimised for a release instead of what the tests run
    #[arg(long)]
    release: bool,
    /// Use what is built already
    #[arg(long)]
    no_build: bool,
}

#[derive(Subcommand, Debug, Clone)]
enum What {
    /// Fuzz the parsers and play random order scripts against the reference model, in rounds.
    Fuzz(rounds::Fuzz),
    /// Kill the host again and again, and compare it with its broker after every restart. It continues where
    /// it ended.
    Crash(rounds::Crash),
}

/// Shortest and longest run, hours.
const HOURS: std::ops::RangeInclusive<f64> = 0.1..=10_000.0;

/// Runs what was asked for.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    match &options.what {
        Some(What::Fuzz(fuzz)) => return rounds::fuzz(root, fuzz),
        Some(What::Crash(crash)) => return rounds::crash(root, crash),
        None => {}
    }
    let folder = crate::target_dir(root).join("soak");
    let mut state = if options.resume {
        State::resume(&folder, options.seed)?
    } else {
        let (first, last) = (HOURS.start(), HOURS.end());
        anyhow::ensure!(HOURS.contains(&options.hours), "--hours is a number from {first} to {last}");
        State::new(options.seed.unwrap_or(SEED), secs(options.hours), options.speed)
    };
    state.claim(&folder)?;
    let bin = build(root, options)?;
    state.segments += 1;
    let result = market::run(root, &bin, &folder, &mut state);
    if let Err(error) = &result {
        state.failure = Some(format!("{error:#}"));
    }
    let is_over = result.is_err() || state.left_secs() <= 0.0;
    state.finished = is_over;
    state.children.clear();
    state.runner = None;
    state.write(&folder)?;
    if !is_over {
        let (done, total) = (state.done_secs / HOUR_SECS as f64, state.total_secs as f64 / HOUR_SECS as f64);
        bail!(
            "stopped after {done:.1} of {total:.1} hours; go on with: cargo xtask soak --resume --seed {}",
            state.seed
        );
    }
    let report = report::Report::new(&state);
    let path = folder.join("report.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&report)?)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    print!("{report}");
    println!("everything is in {} and {}", path.display(), State::path(&folder, state.seed).display());
    result?;
    anyhow::ensure!(report.is_good(), "the soak missed a goal: see above");
    Ok(())
}

/// Builds what runs; the folder of the binaries.
fn build(root: &Path, options: &Options) -> anyhow::Result<std::path::PathBuf> {
    if !options.no_build {
        crate::plugins::build_all(root, &crate::target_dir(root))?;
        let release: &[&str] = if options.release { &["--release"] } else { &[] };
        crate::cargo(root, ["build", "--workspace", "--bins"].iter().chain(release))?;
    }
    let own = crate::binaries(root);
    Ok(if options.release { own.with_file_name("release") } else { own })
}

/// Whole seconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
fn secs(hours: f64) -> u64 {
    (hours * HOUR_SECS as f64).round() as u64
}
