//! `sandpit-crash`: the crash suite for as long as one likes; `cargo xtask soak crash` runs it.
#![forbid(unsafe_code)]

mod progress;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use sandpit_crash::campaign::{self, Tally};
use sandpit_postgres::{Options, Server};

use crate::progress::Progress;

/// Kills under one broker and over one database; then everything begins anew, with the next seed.
const KILLS_A_RUN: u32 = 100;
/// A line is printed every so many kills.
const KILLS_A_LINE: u32 = 10;

/// Kills the host again and again, and compares it with its broker after every restart.
#[derive(Debug, Parser)]
#[command(name = "sandpit-crash")]
struct Args {
    /// How many kills there are to be in all, those of earlier runs in the state file included
    #[arg(long, value_name = "N", default_value_t = 500,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    kills: u32,
    /// Where the host writes
    #[arg(long, value_name = "WHICH", default_value = "sqlite")]
    database: Which,
    /// Repeats the run of this seed, `--kills` long; the state file is left alone
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// What has been done so far; the next run continues there
    #[arg(long, value_name = "FILE", default_value = "target/soak/crash.json")]
    state: PathBuf,
}

/// Where the host writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
enum Which {
    Sqlite,
    Postgres,
}

impl Which {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.seed {
        Some(seed) => run(&args, seed, args.kills, |tally| {
            say(tally, args.kills);
            Ok(())
        })
        .map(|tally| println!("{tally}")),
        None => go_on(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until there have been enough kills in all.
fn go_on(args: &Args) -> anyhow::Result<()> {
    let mut progress = Progress::read(&args.state)?;
    loop {
        let so_far = progress.of(args.database.as_str()).kills;
        let left = args.kills.saturating_sub(so_far);
        println!("{} kills on {}, {left} to go", so_far, args.database.as_str());
        if left == 0 {
            println!("{}", progress.of(args.database.as_str()));
            return Ok(());
        }
        let seed = progress.next_seed();
        progress.write(&args.state)?;
        let (before, kills) = (progress.clone(), left.min(KILLS_A_RUN));
        let result = run(args, seed, kills, |tally| {
            progress = before.clone();
            progress.of(args.database.as_str()).add(tally);
            say(tally, kills);
            progress.write(&args.state)
        });
        if let Err(error) = result {
            progress.failed(format!("{error:#}"));
            progress.write(&args.state)?;
            return Err(error);
        }
    }
}

fn say(tally: &Tally, kills: u32) {
    if tally.kills.is_multiple_of(KILLS_A_LINE) {
        let (orders, most) = (tally.orders, tally.restart(100).as_millis());
        println!("  {} of {kills} kills, {orders} orders, slowest restart {most} ms", tally.kills);
    }
}

/// One run, in a folder of its own that is kept when it fails.
fn run(
    args: &Args,
    seed: u64,
    kills: u32,
    tell: impl FnMut(&Tally) -> anyhow::Result<()>,
) -> anyhow::Result<Tally> {
    println!("seed {seed}");
    let server = match args.database {
        Which::Sqlite => None,
        Which::Postgres => Some(Server::with(Options { fsync: false })?),
    };
    let folder = tempfile::Builder::new().prefix("sandpit-crash-").tempdir()?;
    let result = campaign::run(folder.path(), seed, kills, server.as_ref().map(Server::url), tell);
    result.with_context(|| {
        let (kept, database) = (folder.keep(), args.database.as_str());
        format!(
            "seed {seed}; everything but a server's records is kept in {}; repeat: \
             cargo xtask soak crash --database {database} --seed {seed} --kills {kills}",
            kept.display()
        )
    })
}
