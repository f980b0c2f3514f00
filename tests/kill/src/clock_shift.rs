//! A wall clock that can be set without touching the machine's: a small library in C, built here with the C
//! compiler that the workspace needs anyway, and preloaded into the processes under test.
//!
//! It stands before libc's `clock_gettime`, which the standard library uses for the wall clock. What asks the
//! kernel by itself, as the watchdog does for `CLOCK_BOOTTIME`, is not reached: that file of the watchdog
//! (`watchdog/daemon/src/ambient.rs`) is the only one which may read a clock at all, and asks for no other.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::ensure;

/// A wall clock in a folder.
#[derive(Clone, Debug)]
pub struct ClockShift(PathBuf);

impl ClockShift {
    /// Builds the library.
    ///
    /// # Errors
    /// When there is no C compiler.
    pub fn build(folder: &Path) -> anyhow::Result<Self> {
        let source = folder.join("clock_shift.c");
        fs::write(&source, include_str!("clock_shift.c"))?;
        let clock = Self(folder.to_owned());
        let mut compile = Command::new("cc");
        compile.args(["-O1", "-shared", "-fPIC", "-o"]).arg(clock.library()).arg(source);
        let built = compile.arg("-ldl").status()?;
        ensure!(built.success(), "the clock was not built: {built}");
        clock.set(0)?;
        Ok(clock)
    }

    /// What a process needs to have this wall clock.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.display().to_string();
        vec![("LD_PRELOAD", text(self.library())), ("SANDPIT_CLOCK_SHIFT", text(self.0.join("shift")))]
    }

    /// Sets it: so many seconds ahead of the machine's.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set(&self, seconds: i64) -> anyhow::Result<()> {
        let part = self.0.join("shift.part");
        fs::write(&part, seconds.to_string())?;
        Ok(fs::rename(part, self.0.join("shift"))?)
    }

    fn library(&self) -> PathBuf {
        self.0.join("clock_shift.so")
    }
}
