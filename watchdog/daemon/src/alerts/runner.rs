//! A command of the operator's own: the alert on its standard input and in variables, no shell, no secret of
//! ours, and an end after a while.

use std::{
    ffi::OsString,
    io::{ErrorKind, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};
use serde_json::Value;

use super::queue::Failure;
use crate::{ambient, host};

/// It must end within this time; then its whole process group is killed.
pub(crate) const COMMAND_WAIT: Duration = Duration::from_secs(30);
/// What it inherits.
const INHERITED: [&str; 3] = ["PATH", "HOME", "LANG"];

/// Runs `argv` with `alert`, an object.
///
/// # Errors
/// When it cannot be started, takes too long, or ends with anything but 0.
pub(crate) fn run(argv: &[String], alert: &Value, wait: Duration) -> Result<(), Failure> {
    let later = |why: String| Failure::Later { why, wait: None };
    let (program, arguments) = argv.split_first().ok_or_else(|| later("there is no command".into()))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(variables(alert));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    host::open_signals(&mut command);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        kind @ (ErrorKind::NotFound | ErrorKind::PermissionDenied) => Failure::Refused(kind.to_string()),
        kind => later(kind.to_string()),
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // An alert is shorter than what a pipe takes at once, and who does not read it need not.
        let _: std::io::Result<()> = writeln!(stdin, "{alert}");
    }
    let has_ended = wait_for(&child, wait);
    // Also what it left behind. Not reaped yet, so the number is still its own.
    if let Some(group) = pid(&child) {
        let _: rustix::io::Result<()> = kill_process_group(group, Signal::KILL);
    }
    let status = child.wait().map_err(|error| later(error.kind().to_string()))?;
    match (has_ended, status.success()) {
        (false, _) => Err(later(format!("it did not end within {} s and was killed", wait.as_secs()))),
        (true, false) => Err(later(format!("it ended with {status}"))),
        (true, true) => Ok(()),
    }
}

fn variables(alert: &Value) -> Vec<(String, OsString)> {
    let inherited = INHERITED.iter().filter_map(|name| Some(((*name).into(), ambient::variable(name)?)));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
    let told = alert.as_object().into_iter().flatten();
    let told =
        told.map(|(name, value)| (format!("SANDPIT_ALERT_{}", name.to_uppercase()), text(value).into()));
    inherited.chain(told).collect()
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Whether it ends in time; it is not reaped.
fn wait_for(child: &Child, wait: Duration) -> bool {
    let Some(Ok(pidfd)) = pid(child).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
        return false;
    };
    let end = ambient::boot_time() + wait;
    loop {
        let left = end.since(ambient::boot_time());
        let Ok(left) = Timespec::try_from(left) else {
            return false;
        };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shell(script: &str, wait: Duration) -> Result<(), Failure> {
        let argv = ["/bin/sh", "-c", script].map(String::from);
        run(&argv, &json!({ "key": "kill", "count": 2 }), wait)
    }

    #[test]
    fn a_command_gets_the_alert_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let out = directory.path().join("out");
        let script = format!("{{ cat; env; }} > {}", out.display());
        shell(&script, COMMAND_WAIT).expect("it ends well");
        let got = std::fs::read_to_string(&out).expect("written");
        assert!(got.starts_with("{\"count\":2,\"key\":\"kill\"}\n"), "{got}");
        assert!(got.contains("SANDPIT_ALERT_KEY=kill\n") && got.contains("SANDPIT_ALERT_COUNT=2\n"), "{got}");
        let known = |line: &&str| {
            let name = line.split('=').next().unwrap_or_default();
            name.starts_with("SANDPIT_ALERT_")
                || ["PATH", "HOME", "LANG", "PWD", "_", "SHLVL", "OLDPWD"].contains(&name)
        };
        let other: Vec<_> = got.lines().skip(1).filter(|line| !known(line)).collect();
        assert!(other.is_empty(), "{other:?}");
    }

    #[test]
    fn a_command_that_does_not_end_is_killed_with_its_children() {
        let directory = tempfile::tempdir().expect("a directory");
        let pids = directory.path().join("pids");
        let script = format!("sleep 1000 & echo $! > {0}; trap '' TERM; sleep 1000", pids.display());
        let failure = shell(&script, Duration::from_millis(500)).expect_err("it hangs");
        assert!(matches!(&failure, Failure::Later { why, .. } if why.contains("killed")), "{failure:?}");
        let pid = std::fs::read_to_string(&pids).expect("written");
        let started = ambient::boot_time();
        let stat = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        while !(stat().is_empty() || stat().contains(") Z ")) {
            assert!(ambient::boot_time().since(started) < COMMAND_WAIT, "{} is alive", stat());
            std::thread::yield_now();
        }
        let failed = shell("exit 3", COMMAND_WAIT).expect_err("3");
        assert!(matches!(&failed, Failure::Later { why, .. } if why.contains('3')), "{failed:?}");
        let absent = run(&["/nowhere/x".into()], &json!({}), COMMAND_WAIT);
        assert!(matches!(absent, Err(Failure::Refused(_))), "{absent:?}");
    }
}
