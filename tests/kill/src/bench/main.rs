//! `cargo xtask bench kill`: how long each way to the end takes, next to what a script of a few lines with
//! the broker's own SDK needs in the same run.
//!
//! Every figure comes from a whole system of real processes: a deed, and what a witness saw after it
//! ([`Moments`](sandpit_kill_tests::Moments)). Systems run side by side, each on ports of its own; each is
//! used again after its kill.

mod figures;
mod footprint;
mod peer;
mod runs;

use std::{path::PathBuf, sync::Mutex};

use anyhow::{Context, bail};

use figures::Figures;
use runs::{Case, Way};

/// Runs of a case, and of the one with a single open order.
const RUNS: (usize, usize) = (30, 200);
/// Runs of the peer for each number of open orders.
const PEER_RUNS: usize = 10;
/// Numbers of open orders.
const OPEN: [usize; 3] = [1, 50, 500];
/// Systems side by side, where nothing else is said.
const SIDE_BY_SIDE: usize = 2;

struct Options {
    python: Option<PathBuf>,
    only: Option<String>,
    side_by_side: usize,
    /// Instead of [`RUNS`].
    runs: Option<usize>,
}

fn options() -> anyhow::Result<Options> {
    let mut options = Options { python: None, only: None, side_by_side: SIDE_BY_SIDE, runs: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--python" => options.python = Some(value()?.into()),
            "--only" => options.only = Some(value()?),
            "--side-by-side" => options.side_by_side = value()?.parse()?,
            "--runs" => options.runs = Some(value()?.parse()?),
            _ => bail!("{word}: known are --python, --only, --side-by-side and --runs"),
        }
    }
    Ok(options)
}

fn cases() -> Vec<Case> {
    let kill = |way: Way| OPEN.map(|open| Case { way, open, runs: if open == 1 { RUNS.1 } else { RUNS.0 } });
    let mut cases = vec![Case { way: Way::Hang, open: 0, runs: RUNS.0 }];
    cases.extend(kill(Way::Flag));
    cases.extend(kill(Way::Panic));
    cases.push(Case { way: Way::Memory, open: 0, runs: RUNS.0 });
    cases
}

fn main() -> anyhow::Result<()> {
    let options = options()?;
    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    for case in cases().into_iter().filter(|case| wanted(&case.name())) {
        let runs = options.runs.unwrap_or(case.runs);
        measure(Case { runs, ..case }, options.side_by_side)?.print(&case.name());
    }
    if wanted("footprint") {
        footprint::print()?;
    }
    match &options.python {
        Some(python) if wanted("peer") => {
            for open in OPEN {
                let runs = options.runs.unwrap_or(PEER_RUNS);
                peer::measure(python, open, runs)?.print(&format!("peer_script_{open}_open"));
            }
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

/// The runs of a case, shared by the systems that run side by side.
fn measure(case: Case, side_by_side: usize) -> anyhow::Result<Figures> {
    let figures = Mutex::new(Figures::default());
    let share = |which: usize| case.runs / side_by_side + usize::from(which < case.runs % side_by_side);
    std::thread::scope(|scope| {
        let systems: Vec<_> = (0..side_by_side)
            .map(|which| {
                let figures = &figures;
                let one = Case { runs: share(which), ..case };
                scope.spawn(move || {
                    runs::run(one, which as u64, &|name, ms| {
                        figures.lock().expect("no panic holds it").note(name, ms);
                    })
                })
            })
            .collect();
        systems.into_iter().try_for_each(|system| system.join().expect("it says what is wrong"))
    })?;
    Ok(figures.into_inner().expect("no panic held it"))
}
