//! The host as a process: started, held by pidfd, signalled, reaped. Never by number.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, ChildStderr, Command, Stdio},
};

use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, getppid, pidfd_open, pidfd_send_signal, set_parent_process_death_signal,
};

use sandpit_contract::MANAGER_VARIABLES;

use crate::{machine::Ending, secret::OURS_ALONE};

/// A host that is, or was a moment ago, alive.
pub(crate) struct HostProcess {
    pid: u32,
    pidfd: OwnedFd,
    child: Option<Child>,
}

impl HostProcess {
    /// Starts `command` (program and arguments) as our child. It dies with us: an orphan would meet the host
    /// that the next watchdog starts. The kernel binds that to the calling *thread*, so it must live as
    /// long as we do. Waits until the program has been read from the disk.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn spawn(command: &[String]) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        // Who can stop everything is not the host's business, nor is our manager.
        for name in OURS_ALONE {
            command.env_remove(name).env_remove(format!("{name}_FILE"));
        }
        for name in MANAGER_VARIABLES {
            command.env_remove(name);
        }
        Self::start(command)
    }

    /// As [`Self::spawn`], with whatever else the command says.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        let parent = getpid();
        // SAFETY: between fork and exec only system calls are made: prctl, getppid, sigprocmask. No
        // allocation, no lock.
        #[expect(unsafe_code, reason = "the only way to set the child's death signal and signal mask")]
        unsafe {
            command.pre_exec(move || prepare_child(parent));
        }
        let mut child = command.spawn()?;
        let pid = child.id();
        // The child is not reaped yet, so its number cannot mean another process.
        let opened = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::SRCH);
        match opened.and_then(|pid| pidfd_open(pid, PidfdFlags::empty())) {
            Ok(pidfd) => Ok(Self { pid, pidfd, child: Some(child) }),
            Err(errno) => {
                child.kill()?;
                child.wait()?;
                Err(errno.into())
            }
        }
    }

    /// Takes a host that somebody else started; `pidfd` came with its connection.
    pub(crate) fn adopt(pid: u32, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd, child: None }
    }

    /// Its standard error, when that is a pipe; once.
    pub(crate) fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.as_mut().and_then(|child| child.stderr.take())
    }

    /// Its process id, for reading `/proc` and for showing.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) -> io::Result<()> {
        pidfd_send_signal(&self.pidfd, Signal::KILL).map_err(io::Error::from)
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        pidfd_send_signal(&self.pidfd, Signal::TERM).map_err(io::Error::from)
    }

    /// Reaps it; to be called once its pidfd is readable.
    pub(crate) fn ending(mut self) -> Ending {
        let status = self.child.as_mut().and_then(|child| child.wait().ok());
        status.map(|status| Ending { code: status.code(), signal: status.signal() }).unwrap_or_default()
    }
}

impl AsFd for HostProcess {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Lets the child of `command` begin with every signal open; it would inherit ours, which are blocked.
pub(crate) fn open_signals(command: &mut Command) {
    // SAFETY: between fork and exec one system call is made: sigprocmask. No allocation, no lock.
    #[expect(unsafe_code, reason = "the only way to set the child's signal mask")]
    unsafe {
        command.pre_exec(|| nix::sys::signal::SigSet::empty().thread_set_mask().map_err(io::Error::from));
    }
}

/// In the child, before exec.
fn prepare_child(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(parent) {
        return Err(io::ErrorKind::NotFound.into());
    }
    // The watchdog reads its signals from a descriptor and blocks them; a host expects them open.
    nix::sys::signal::SigSet::empty().thread_set_mask().map_err(io::Error::from)
}
