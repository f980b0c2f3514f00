//! The peer: what many run instead, a script that waits for a file, kills the bot and cancels with alpaca-py.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use sandpit_kill_tests::{OURS, Sim, boot_ms};
use serde_json::Value;

use crate::figures::Figures;

const SCRIPT: &str = include_str!("peer.py");
const SEED: u64 = 11;

/// `runs` kills by the script, with `open` orders open.
pub(crate) fn measure(python: &Path, open: usize, runs: usize) -> anyhow::Result<Figures> {
    let folder = tempfile::tempdir()?;
    let sim = Sim::start(folder.path(), SEED, 1)?;
    let script = folder.path().join("peer.py");
    fs::write(&script, SCRIPT)?;
    let mut figures = Figures::default();
    for run in 0..runs {
        sim.rest(&format!("{OURS}{run}-"), open)?;
        let flag = folder.path().join(format!("kill-{run}"));
        let mut bot = Command::new("sleep").arg("600").spawn()?;
        let mut peer = Command::new(python)
            .arg(&script)
            .args([&format!("http://{}", sim.address), &bot.id().to_string()])
            .arg(&flag)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(peer.stdout.take().context("piped")?).lines();
        ensure!(lines.next().transpose()?.as_deref() == Some("waiting"), "the peer did not start");
        let deed = boot_ms();
        fs::write(&flag, "")?;
        let said: Value = serde_json::from_str(&lines.next().transpose()?.context("the peer's moments")?)?;
        for name in ["host_dead", "first_cancel", "zero_seen"] {
            let at = said[name].as_u64().with_context(|| format!("{name} in {said}"))?;
            figures.note(name, at.saturating_sub(deed));
        }
        ensure!(peer.wait()?.success(), "the peer failed");
        bot.wait()?;
        ensure!(sim.figure("open_orders")? == 0, "the peer left orders");
    }
    Ok(figures)
}
