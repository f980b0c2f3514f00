//! A disk that fills up while the host trades.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::unistd::geteuid;
use sandpit_system_tests::{Demo, wait_for};
use serde_json::Value;

const BOUND: Duration = Duration::from_secs(60);
/// More than the journal leaves to the database, 1 GiB, with what it wants beyond to begin again, 64 MiB.
const DISK_MIB: usize = 1_400;
/// Takes it below that.
const BALLAST_MIB: usize = 450;

/// A file system of its own, in memory, of which only what is written is taken; it goes when this is dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Self {
        let size = format!("size={DISK_MIB}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        assert!(mount.expect("mount runs").success(), "no disk at {}", at.display());
        Self(at.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        // Whoever made the folder could not remove it while it was a disk.
        let _ = fs::remove_dir(&self.0);
    }
}

fn number(status: &Value, part: &str, name: &str) -> u64 {
    status[part][name].as_u64().unwrap_or_else(|| panic!("no {part} {name} in {status}"))
}

#[test]
fn a_disk_that_fills_up_ends_the_journal_and_not_the_trading() {
    if !geteuid().is_root() {
        eprintln!("a disk can only be mounted by root: nothing is tested");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = Disk::mount(folder.path());
    let demo = Demo::start_in(folder, &["--speed", "120"]);
    let wait = |what: &str, look: &dyn Fn(&Value) -> bool| {
        wait_for(what, BOUND, || {
            demo.host_status().filter(|status| status["journal"].is_object() && look(status))
        })
        .0
    };
    let recorded = |status: &Value| number(status, "journal", "entries");
    let fills = |status: &Value| number(status, "orders", "fills");
    wait("a journal and fills", &|now| recorded(now) > 0 && fills(now) > 0);

    let ballast = disk.0.join("ballast");
    let mut file = File::create(&ballast).expect("a file");
    let block = vec![1; 1 << 20];
    (0..BALLAST_MIB).for_each(|_| file.write_all(&block).expect("there is room"));
    // A file that somebody holds open is not gone when it is removed.
    drop(file);
    let full = wait("the end of the journal", &|now| number(now, "journal", "failures") > 1);
    let later = wait("more fills and tries", &|now| {
        fills(now) >= fills(&full) + 5
            && number(now, "journal", "failures") > number(&full, "journal", "failures")
    });
    assert_eq!(recorded(&later), recorded(&full), "nothing more is recorded");
    assert_eq!(number(&later, "records", "commits_failed"), 0, "the database has its room");
    assert_eq!(later["refusals"].get("not-recorded"), None, "{later}");
    let said = demo.log().matches("the last 1024 MiB are left to the database").count();
    assert_eq!(said, 1, "once");

    fs::remove_file(&ballast).expect("removed");
    wait("the journal again", &|now| recorded(now) > recorded(&later));
    assert_eq!(demo.watchdog()["host_restarts"], 0);
}
