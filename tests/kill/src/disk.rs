//! A small disk that fills up, and a folder that cannot be written any more.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::ensure;
use nix::unistd::geteuid;

/// A file system of a few megabytes, in memory; it goes when this is dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts one at `at`; `None`, and says so, where that is not allowed.
    ///
    /// # Errors
    /// When it cannot be mounted though we are root.
    pub fn mount(at: &Path) -> anyhow::Result<Option<Self>> {
        if !geteuid().is_root() {
            eprintln!("a disk can only be mounted by root: nothing is tested");
            return Ok(None);
        }
        fs::create_dir_all(at)?;
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(at).status()?;
        ensure!(mount.success(), "no small disk at {}", at.display());
        Ok(Some(Self(at.to_owned())))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Until nothing more fits.
    ///
    /// # Errors
    /// When there is no file to fill it with.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut file = File::create(self.0.join("filler"))?;
        for size in [1 << 16, 1 << 9, 1] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A folder in which, while it is frozen, nothing can be put, renamed or removed, whoever asks: as on a disk
/// that the kernel has made read-only after an error. A mount cannot be made so while a file is open on it.
pub struct Frozen(PathBuf);

impl Frozen {
    /// Makes one; `None`, and says so, where folders cannot be frozen.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(at: &Path) -> anyhow::Result<Option<Self>> {
        fs::create_dir_all(at)?;
        let folder = Self(at.to_owned());
        if folder.set(true).and_then(|()| folder.set(false)).is_err() {
            eprintln!("a folder can only be frozen by root, and not on every file system: nothing is tested");
            return Ok(None);
        }
        Ok(Some(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Freezes it, or thaws it.
    ///
    /// # Errors
    /// When that is not allowed.
    pub fn set(&self, is_frozen: bool) -> anyhow::Result<()> {
        let how = if is_frozen { "+i" } else { "-i" };
        let changed = Command::new("chattr").arg(how).arg(&self.0).status()?;
        ensure!(changed.success(), "chattr {how} {}", self.0.display());
        Ok(())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = self.set(false);
    }
}
