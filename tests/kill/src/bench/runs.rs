//! One system, used again and again: a deed, its moments, back to a host with a lease.

use std::{fs, time::Duration};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use sandpit_kill_tests::{OURS, Rig, Setup, boot_ms};

/// The longest that anything may take before the run has failed.
const BOUND: Duration = Duration::from_secs(60);
/// A restart back-off that thirty hangs in a row do not use up.
const PATIENT: &str = "restart_backoff_ms = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, \
                       1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]";

/// The host's budget of memory, and what the strategy takes at the most.
const BUDGET: &str = "[memory]\nbudget_mb = 600";
const GROW_MB: u64 = 480;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The host is stopped.
    Hang,
    /// The flag is put there.
    Flag,
    /// The button is pressed.
    Panic,
    /// A strategy of the host's grows beyond the memory that there is.
    Memory,
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) way: Way,
    /// Orders that are open then.
    pub(crate) open: usize,
    pub(crate) runs: usize,
}

impl Case {
    /// For the figures' names.
    pub(crate) fn name(&self) -> String {
        match self.way {
            Way::Hang => "hang".into(),
            Way::Flag => format!("flag_{}_open", self.open),
            Way::Panic => format!("panic_{}_open", self.open),
            Way::Memory => "memory".into(),
        }
    }

    fn setup(&self, seed: u64) -> Setup {
        let quiet = Setup { seed, trades: false, ..Setup::default() };
        match self.way {
            Way::Flag | Way::Panic => quiet,
            Way::Hang => Setup { host_lines: PATIENT, ..quiet },
            Way::Memory => Setup { sections: BUDGET, grow_mb: GROW_MB, trades: true, ..quiet },
        }
    }
}

/// Runs it; each figure goes to `note`.
pub(crate) fn run(case: Case, seed: u64, note: &dyn Fn(&'static str, u64)) -> anyhow::Result<()> {
    if case.way == Way::Memory {
        return (0..case.runs)
            .try_for_each(|run| memory(case, seed, note).with_context(|| format!("run {run}")));
    }
    let folder = tempfile::tempdir()?;
    let mut rig = Rig::start(folder.path(), case.setup(seed))?;
    rig.trade()?;
    for run in 0..case.runs {
        let outcome = match case.way {
            Way::Hang => hang(&rig, note),
            Way::Flag | Way::Panic | Way::Memory => kill(&rig, case, run, note),
        };
        outcome.with_context(|| format!("run {run} of {case:?}\n{}", rig.logs()))?;
    }
    Ok(())
}

fn hang(rig: &Rig, note: &dyn Fn(&'static str, u64)) -> anyhow::Result<()> {
    let mark = rig.story.mark();
    let deed = rig.signal_host(Signal::SIGSTOP)?;
    rig.said(mark, "lease granted", BOUND)?;
    let moments = rig.moments(mark, deed)?;
    note("lease_gone", moments.lease_gone_ms.context("a lease that was withheld")?);
    note("host_replaced", moments.leased_again_ms.context("a lease")?);
    Ok(())
}

fn kill(rig: &Rig, case: Case, run: usize, note: &dyn Fn(&'static str, u64)) -> anyhow::Result<()> {
    rig.sim.rest(&format!("{OURS}{run}-"), case.open)?;
    ensure!(rig.sim.figure("open_orders")? == case.open as u64, "the orders are not open");
    let mark = rig.story.mark();
    let deed = match case.way {
        Way::Panic => {
            let now = boot_ms();
            let status = rig.panic(true)?;
            ensure!(status == 202, "the button was answered with {status}");
            now
        }
        Way::Flag | Way::Hang | Way::Memory => rig.put_flag()?,
    };
    rig.said(mark, "[KILL] ZERO_SEEN", BOUND)?;
    rig.said(mark, "[KILL] sealed", BOUND)?;
    ensure!(rig.sim.figure("open_orders")? == 0, "zero was seen, and orders are open");
    let moments = rig.moments(mark, deed)?;
    note("host_dead", moments.host_dead_ms.context("a host that is dead")?);
    note("first_cancel", moments.first_cancel_ms.context("a cancel")?);
    note("zero_seen", moments.zero_seen_ms.context("zero")?);
    // Back to a host with a lease.
    let _ = fs::remove_file(rig.flag());
    let mark = rig.story.mark();
    rig.arm("the next run")?;
    rig.said(mark, "lease granted", BOUND).map(drop)
}

/// A system of its own for every run: the second breach within an hour is another thing.
fn memory(case: Case, seed: u64, note: &dyn Fn(&'static str, u64)) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut rig = Rig::start(folder.path(), case.setup(seed))?;
    breach(&mut rig, note).with_context(|| rig.logs())
}

fn breach(rig: &mut Rig, note: &dyn Fn(&'static str, u64)) -> anyhow::Result<()> {
    rig.trade()?;
    let mark = rig.story.mark();
    let breach = rig.grow()?;
    rig.said(mark, "lease granted", BOUND)?;
    rig.sent_orders(rig.story.mark(), 1)?;
    let moments = rig.moments(mark, breach.by_ms)?;
    note("leased_again", moments.leased_again_ms.context("a lease")?);
    note("trading_again", moments.trading_again_ms.context("an order")?);
    rig.books_agree()
}
