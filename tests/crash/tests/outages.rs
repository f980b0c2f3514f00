//! The database is gone for ten seconds: no order leaves without its record, strategies are told, an alert fires, and
//! the host trades on by itself as soon as the database is back.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    time::Duration,
};

use nix::unistd::geteuid;
use sandpit_crash::{
    campaign::{Tally, agree},
    rig::{Rig, Setup},
    waiting::{pass, wait_for},
};
use sandpit_postgres::{Options, Server, Stop};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

const SEED: u64 = 11;
/// Market seconds in a real second.
const SPEED: u32 = 60;
/// How long the database is gone.
const GONE: Duration = Duration::from_secs(10);
/// What is on its way to the broker when the database goes may still arrive.
const ON_THE_WAY: Duration = Duration::from_millis(1_500);
/// How soon strategies are told: a writer waits for a lock first.
const TOLD_BOUND: Duration = Duration::from_secs(8);
/// How soon it trades on.
const BACK_BOUND: Duration = Duration::from_secs(20);
/// What an alert of a failed commit says.
const ALERT: &str = "orders are refused until the database takes records again";

/// Lets it trade, takes the database away with `gone`, gives it back with `back`.
fn check<T>(rig: &mut Rig, gone: impl FnOnce() -> T, back: impl FnOnce(T)) {
    let accepted = |rig: &Rig| rig.broker.figure("orders_accepted").expect("the broker answers");
    rig.start_host(None).expect("starts");
    rig.reconciled().expect("comes up").expect("stays up");
    rig.work().expect("works");
    wait_for("orders", BACK_BOUND, || Ok((accepted(rig) > 20).then_some(()))).expect("it trades");

    let held = gone();
    pass(ON_THE_WAY);
    let before = accepted(rig);
    let refused = |rig: &Rig| rig.status().and_then(|status| status["refusals"]["not-recorded"].as_u64());
    let told = wait_for("refusals", TOLD_BOUND, || Ok(refused(rig).filter(|count| *count > 0)));
    pass(GONE.saturating_sub(ON_THE_WAY));
    let after = accepted(rig);
    back(held);
    assert_eq!(after, before, "orders left while nothing could be recorded\n{}", rig.log());
    assert!(told.is_ok(), "strategies are not told\n{}", rig.log());
    assert!(rig.log().contains(ALERT), "no alert\n{}", rig.log());

    let traded = wait_for("trading", BACK_BOUND, || Ok((accepted(rig) > after).then_some(())));
    let (_, taken) = traded.unwrap_or_else(|error| panic!("{error}\n{}", rig.log()));
    println!("back_to_trading {} ms", taken.as_millis());
    rig.rest().expect("rests");
    let database = rig.database().expect("a reader");
    let agreed = agree(rig, &database, &mut Tally::default());
    assert!(agreed.unwrap_or_else(|error| panic!("{error:#}\n{}", rig.log())), "the host has ended");
    // The next life reads what this one wrote.
    rig.kill_host().expect("it lives to its end");
    rig.start_host(None).expect("starts");
    rig.reconciled().expect("comes up").expect("stays up");
    assert!(agree(rig, &database, &mut Tally::default()).expect("they agree"), "the host has ended");
}

fn rig(folder: &Path, change: impl FnOnce(Setup) -> Setup) -> Rig {
    let setup = Setup { with_faults: false, ..Setup::new(SEED, SPEED) };
    Rig::start(folder, change(setup)).expect("a rig")
}

#[test]
fn a_file_that_somebody_else_has_locked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut rig = rig(folder.path(), |setup| setup);
    let path = rig.state_dir().join("paper/sandpit.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let lock = || {
        runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(&path).busy_timeout(TOLD_BOUND);
            let mut connection = options.connect().await.expect("it opens");
            sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.expect("it is locked");
            connection
        })
    };
    check(&mut rig, lock, |connection| runtime.block_on(connection.close()).expect("it closes"));
}

#[test]
fn a_server_that_is_stopped() {
    let server = Server::with(Options { fsync: false }).expect("a PostgreSQL server");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut rig = rig(folder.path(), |setup| Setup { postgres: Some(server.url()), ..setup });
    check(&mut rig, || server.stop(Stop::Fast).expect("it stops"), |()| server.start().expect("it starts"));
}

/// A file system of a few megabytes; it goes when this is dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Self {
        fs::create_dir_all(at).expect("a folder");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(at).status();
        assert!(mount.expect("mount runs").success(), "no small disk at {}", at.display());
        Self(at)
    }

    /// Until nothing more fits.
    fn fill(&self) -> std::path::PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).expect("a file");
        for size in [1 << 16, 1 << 9, 1] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_disk_that_is_full() {
    if !geteuid().is_root() {
        eprintln!("a small disk can only be mounted by root: nothing is tested");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path().join("small");
    let disk = SmallDisk::mount(&at);
    let mut rig = rig(folder.path(), |setup| Setup { state_dir: Some(at.clone()), ..setup });
    check(&mut rig, || disk.fill(), |filler| fs::remove_file(filler).expect("it goes"));
}
