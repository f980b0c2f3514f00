//! The machine: boots, runs commands, boots again, ends.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use sandpit_system_tests::wait_for;

/// With the word `required` a machine without namespaces fails the suite.
const VARIABLE: &str = "SANDPIT_LAB";
/// It is up within this time, all its services started; and gone as soon.
const BOOT_BOUND: Duration = Duration::from_secs(30);
/// No command inside takes longer, seconds.
const COMMAND_S: &str = "90";
const SEARCH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How a command ended, and what it said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its exit code; 128 and the number of a signal.
    pub code: i32,
    /// Standard output and error, as they came, without the last end of line.
    pub text: String,
}

/// A running machine; it ends when this is dropped.
pub struct Lab {
    keeper: Child,
    folder: tempfile::TempDir,
}

impl Lab {
    /// Boots one. `None` where none can be had, which is said.
    ///
    /// # Errors
    /// When it does not come up, or none can be had though [`VARIABLE`] requires one.
    pub fn boot() -> anyhow::Result<Option<Self>> {
        let check = Command::new("bash").arg(script()).arg("check").output()?;
        if !check.status.success() {
            let why = String::from_utf8_lossy(&check.stdout).trim().to_owned();
            let is_required = std::env::var(VARIABLE).is_ok_and(|word| word == "required");
            ensure!(!is_required, "no lab can be had here: {why}");
            eprintln!("SKIPPED, NOT TESTED: no lab can be had here: {why}");
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("share"))?;
        let log = fs::File::create(folder.path().join("keeper.log"))?;
        let mut command = Command::new("bash");
        command.arg(script()).arg("run").arg(folder.path());
        let keeper = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut lab = Self { keeper, folder };
        lab.await_boot(None)?;
        Ok(Some(lab))
    }

    /// Runs a script of bash's inside.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn run(&self, script: &str) -> anyhow::Result<Said> {
        let process = self.process_1().context("the lab is not up")?.to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &process, "-m", "-u", "-i", "-n", "-p", "-C", "env", "-i", SEARCH, "HOME=/root"]);
        command.args([
            "LANG=C.UTF-8",
            "TERM=dumb",
            "SYSTEMD_COLORS=0",
            "SYSTEMD_PAGER=",
            "timeout",
            COMMAND_S,
        ]);
        command.args(["bash", "-c", &format!("exec 2>&1\n{script}")]).stdin(Stdio::null());
        let output = command.output()?;
        let code = output.status.code().or(output.status.signal().map(|signal| 128 + signal));
        let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        Ok(Said { code: code.unwrap_or_default(), text })
    }

    /// The same for one that has to succeed; what it said.
    ///
    /// # Errors
    /// When it does not.
    pub fn must(&self, script: &str) -> anyhow::Result<String> {
        let said = self.run(script)?;
        ensure!(said.code == 0, "{script}\nended with {}:\n{}", said.code, said.text);
        Ok(said.text)
    }

    /// An orderly reboot.
    ///
    /// # Errors
    /// When it does not come up again.
    pub fn reboot(&mut self) -> anyhow::Result<()> {
        let old = self.process_1();
        // It may end before it has answered.
        let _ = self.run("systemctl reboot");
        self.await_boot(old)
    }

    /// A power cut, and the boot after it.
    ///
    /// # Errors
    /// When it does not come up again.
    pub fn cut_power(&mut self) -> anyhow::Result<()> {
        let old = self.process_1().context("the lab is not up")?;
        fs::write(self.folder.path().join("again"), "")?;
        kill(old)?;
        self.await_boot(Some(old))
    }

    /// What is `/lab` inside.
    pub fn share(&self) -> PathBuf {
        self.folder.path().join("share")
    }

    /// Waits until another process 1 than `old` says that all is started.
    fn await_boot(&mut self, old: Option<u32>) -> anyhow::Result<()> {
        let is_new = || self.process_1().filter(|process| Some(*process) != old);
        wait_for("a lab that boots", BOOT_BOUND, || {
            let process = is_new()?;
            fs::metadata(format!("/proc/{process}/root/run/systemd/private")).ok()
        });
        let said = self.run("systemctl is-system-running --wait")?;
        let log = fs::read_to_string(self.folder.path().join("keeper.log")).unwrap_or_default();
        let failed = || self.run("systemctl --failed").map(|said| said.text).unwrap_or_default();
        ensure!(["running", "degraded"].contains(&said.text.as_str()), "{}\n{log}\n{}", said.text, failed());
        Ok(())
    }

    /// Process 1, by its number outside.
    fn process_1(&self) -> Option<u32> {
        let supervisor = fs::read_to_string(self.folder.path().join("supervisor")).ok()?;
        let supervisor = supervisor.trim();
        let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The keeper sees it end, and clears away.
        let _ = fs::remove_file(self.folder.path().join("again"));
        match self.process_1() {
            Some(process) => drop(kill(process)),
            None => drop(self.keeper.kill()),
        }
        let _ = self.keeper.wait();
    }
}

fn kill(process: u32) -> anyhow::Result<()> {
    let status = Command::new("kill").args(["-KILL", &process.to_string()]).status()?;
    ensure!(status.success(), "process 1 of the lab cannot be killed");
    Ok(())
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("lab.sh")
}
