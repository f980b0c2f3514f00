//! The checks that grow with time, for as long as one likes. `cargo xtask soak fuzz`: fuzzing of everything
//! that reads what a stranger wrote, and random order scripts against the reference model, with fresh seeds
//! each round. `cargo xtask soak crash`: the host is killed again and again.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::Args;

use crate::ambient;

/// Random order scripts of a round.
const SCRIPTS: u32 = 200_000;
/// Cases of each property in a round.
const CASES: u32 = 5_000;
/// Damaged plugins of a round, and how many of those that pass for whole go the whole way.
const DAMAGED: u32 = 100_000;
const WHOLE_WAYS: u32 = 2_000;
/// How long each fuzz target runs in a round, as a part of the whole time.
const FUZZ_PARTS: u32 = 10;
/// Shortest and longest run of a fuzz target.
const FUZZ_MS: (u64, u64) = (10_000, 600_000);

/// How long to fuzz.
#[derive(Args, Debug, Clone)]
pub(crate) struct Fuzz {
    /// Minutes to run; the round that is under way at the end is finished
    #[arg(long, value_name = "N", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=10_080))]
    minutes: u32,
    /// Seed of the first round; each round takes the next one [default: drawn and printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Passed on to the crash suite as it is.
#[derive(Args, Debug, Clone)]
pub(crate) struct Crash {
    /// How many kills there are to be in all, those of earlier runs included
    #[arg(long, value_name = "N", default_value_t = 500)]
    kills: u32,
    /// Where the host writes: sqlite or postgres
    #[arg(long, value_name = "WHICH", default_value = "sqlite")]
    database: String,
    /// Repeat the run of this seed, --kills long; nothing is continued
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// What has been done so far [default: target/soak/crash.json]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

/// Runs rounds until the time is over; the first failure ends it.
pub(crate) fn fuzz(root: &Path, options: &Fuzz) -> anyhow::Result<()> {
    let time = Duration::from_secs(60 * u64::from(options.minutes));
    let fuzz_ms =
        u64::try_from((time / FUZZ_PARTS).as_millis()).unwrap_or(u64::MAX).clamp(FUZZ_MS.0, FUZZ_MS.1);
    let first = options.seed.unwrap_or_else(ambient::seed);
    // The damaged plugins are damaged from one that is whole.
    crate::plugins::build_all(root, &crate::target_dir(root))?;
    let start = ambient::now();
    for round in 0.. {
        let seed = first.wrapping_add(round);
        let left = time.saturating_sub(ambient::now().duration_since(start));
        if left.is_zero() {
            eprintln!("soak fuzz: {round} rounds, nothing found; the next seed would be {seed}");
            return Ok(());
        }
        eprintln!("== round {}, seed {seed}, {} minutes left", round + 1, left.as_secs().div_ceil(60));
        play(root, seed, fuzz_ms)?;
    }
    unreachable!("there are more numbers than minutes")
}

/// Has the crash suite kill the host until there have been enough kills.
pub(crate) fn crash(root: &Path, options: &Crash) -> anyhow::Result<()> {
    crate::plugins::build_all(root, &crate::target_dir(root))?;
    crate::cargo(root, ["build", "--workspace", "--bins"])?;
    let state = options.state.clone().unwrap_or_else(|| crate::target_dir(root).join("soak/crash.json"));
    let mut command = Command::new(crate::binaries(root).join("sandpit-crash"));
    command
        .args(["--kills", &options.kills.to_string(), "--database", &options.database, "--state"])
        .arg(state);
    if let Some(seed) = options.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    let status = command.status().context("the crash suite cannot be started")?;
    ensure!(status.success(), "a kill did not come out well: see above");
    Ok(())
}

fn play(root: &Path, seed: u64, fuzz_ms: u64) -> anyhow::Result<()> {
    let variables = [
        ("BOLERO_RANDOM_TEST_TIME_MS", fuzz_ms.to_string()),
        ("SANDPIT_FIRST_SEED", seed.wrapping_mul(SCRIPTS.into()).to_string()),
        ("SANDPIT_SCRIPTS", SCRIPTS.to_string()),
        ("PROPTEST_CASES", CASES.to_string()),
        ("PROPTEST_RNG_SEED", seed.to_string()),
        ("SANDPIT_DAMAGED", DAMAGED.to_string()),
        ("SANDPIT_WHOLE_WAYS", WHOLE_WAYS.to_string()),
    ];
    let filter = "test(/^fuzz/) | (package(sandpit-venue) & (binary(model) | binary(properties))) \
                  | (package(sandpit-alpaca) & test(/^decode::tests::/)) \
                  | (package(sandpit-hostile) & test(/^damaged_files/))";
    let mut command = crate::cargo_command(root);
    command.args([
        "nextest",
        "run",
        "--profile",
        "soak",
        "--package",
        "sandpit-venue",
        "--package",
        "sandpit-sim",
        "--package",
        "sandpit-alpaca",
        "--package",
        "sandpit-hostile",
    ]);
    let status = command.args(["-E", filter]).envs(variables).status()?;
    ensure!(
        status.success(),
        "the round of seed {seed} failed: what fails says how to repeat it, the model with SANDPIT_SEED, \
         a fuzz target with BOLERO_RANDOM_SEED, a property with PROPTEST_RNG_SEED={seed}"
    );
    Ok(())
}
