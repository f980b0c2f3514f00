//! A child that does not outlive its handle.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::waiting::wait_for;

/// A child.
pub struct Process(Child);

impl Process {
    /// Starts it; what it says is appended to the file `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let mut log = OpenOptions::new().create(true).append(true).open(log)?;
        writeln!(log, "== {:?}", command.get_program())?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        Ok(Self(child.with_context(|| format!("{command:?}"))?))
    }

    /// Its number.
    ///
    /// # Panics
    /// Never: the kernel's numbers fit.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid")
    }

    /// Sends a signal; none to a child that has been waited for.
    pub fn signal(&self, signal: Signal) {
        // It is our own child, not waited for: its number is not taken again.
        let _ = kill(Pid::from_raw(self.pid()), signal);
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn status(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }

    /// How it ends, within `bound`.
    ///
    /// # Errors
    /// When it does not.
    pub fn ended(&mut self, bound: Duration) -> anyhow::Result<ExitStatus> {
        Ok(wait_for("the end of a process", bound, || self.status())?.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be stopped: SIGKILL ends it all the same.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
