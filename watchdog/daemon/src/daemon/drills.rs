//! A drill as a process of its own. A thread waits for it; the loop does not.

use std::{
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal},
};

use sandpit_contract::MANAGER_VARIABLES;

use super::Daemon;
use crate::machine::Input;

/// This very program, also after its file was replaced by a newer one.
const PROGRAM: &str = "/proc/self/exe";
/// A drill is asked to stop after this time.
const LONGEST: Duration = Duration::from_secs(450);
/// It has so long to clean up, then it is killed.
const CLEAN_WAIT: Duration = Duration::from_secs(150);

impl Daemon {
    /// Starts a drill; its end, or the failure to start it, is told.
    pub(super) fn start_drill(&self) -> Option<Input> {
        let (path, mailbox) = (self.config.path.clone(), self.mailbox.clone());
        let hold = move || {
            let how = hold(&path).unwrap_or_else(|error| format!("it could not be started: {error}"));
            mailbox.post(Input::DrillEnded(how));
        };
        let thread = std::thread::Builder::new().name("drill".into()).stack_size(crate::STACK_BYTES);
        let failure = thread.spawn(hold).err()?;
        Some(Input::DrillEnded(format!("it could not be started: {failure}")))
    }
}

/// A drill has our environment, and with it the key of the drill account, but not our manager.
fn command(config: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg0("sandpit-watchdog").args(["drill", "--scheduled", "--config"]).arg(config);
    // What it has to say comes over the socket; in a group of its own, all of it can be ended at once.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    for name in MANAGER_VARIABLES {
        command.env_remove(name);
    }
    command
}

/// In words how it ended.
fn hold(config: &Path) -> io::Result<String> {
    let mut child = command(config).spawn()?;
    let ended = watch(child.id());
    if !matches!(ended, Ok(true)) {
        // Not reaped yet, so the number is still its own; its children die with it.
        if let Some(group) = pid(child.id()) {
            let _: rustix::io::Result<()> = kill_process_group(group, Signal::KILL);
        }
    }
    let status = child.wait()?;
    Ok(match ended {
        Ok(true) => format!("it ended with {status}"),
        Ok(false) => format!("it took longer than {} s and was killed", (LONGEST + CLEAN_WAIT).as_secs()),
        Err(error) => format!("it could not be watched and was killed: {error}"),
    })
}

/// Whether it has ended in time; before that it is asked to.
fn watch(number: u32) -> io::Result<bool> {
    let handle = pidfd_open(pid(number).ok_or(io::ErrorKind::InvalidInput)?, PidfdFlags::empty())?;
    let has_ended = |longest: Duration| -> io::Result<bool> {
        let longest = Timespec::try_from(longest).map_err(io::Error::other)?;
        Ok(poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&longest))? > 0)
    };
    if has_ended(LONGEST)? {
        return Ok(true);
    }
    pidfd_send_signal(&handle, Signal::TERM)?;
    has_ended(CLEAN_WAIT)
}

fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_does_not_speak_to_our_manager() {
        let command = command(Path::new("watchdog.toml"));
        let removed = |name: &str| command.get_envs().any(|(own, value)| own == name && value.is_none());
        for name in MANAGER_VARIABLES {
            assert!(removed(name), "{name}");
        }
        assert_eq!(command.get_envs().count(), MANAGER_VARIABLES.len(), "it has our environment else");
    }
}
