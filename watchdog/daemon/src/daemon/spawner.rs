//! The host is started on a thread of its own: until `exec` has read the program from the disk the caller
//! stands still, and a disk may hang for ever. The loop asks, and finds the answer later.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use super::Daemon;
use crate::{host::HostProcess, log::Level, machine::Input, mailbox::Mailbox};

/// No start is wanted.
const NONE: u64 = 0;

/// The way to the thread and back. The host dies when this is dropped, because the thread ends then.
pub(super) struct Spawner {
    asked: SyncSender<u64>,
    answers: Receiver<io::Result<HostProcess>>,
    /// The number of the start that is still wanted.
    wanted: Arc<AtomicU64>,
    newest: u64,
    is_under_way: bool,
}

impl Spawner {
    /// Starts the thread, which starts `command` (program and arguments) whenever it is asked to.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(command: Vec<String>, mailbox: Mailbox) -> io::Result<Self> {
        Self::with(move || HostProcess::spawn(&command), mailbox)
    }

    fn with(
        mut spawn: impl FnMut() -> io::Result<HostProcess> + Send + 'static,
        mailbox: Mailbox,
    ) -> io::Result<Self> {
        // One start is under way at most.
        let (asked, waiting) = sync_channel(1);
        let (tell, answers) = sync_channel(1);
        let wanted = Arc::new(AtomicU64::new(NONE));
        let still = Arc::clone(&wanted);
        let work = move || {
            while let Ok(number) = waiting.recv() {
                let is_wanted = still.load(Ordering::SeqCst) == number;
                let answer = if is_wanted { spawn() } else { Err(io::Error::other("it was taken back")) };
                if tell.send(answer).is_err() {
                    return;
                }
                mailbox.wake();
            }
        };
        std::thread::Builder::new().name("spawn".into()).stack_size(crate::STACK_BYTES).spawn(work)?;
        Ok(Self { asked, answers, wanted, newest: NONE, is_under_way: false })
    }

    /// Asks for a host; never waits. False when there is nobody to ask.
    pub(super) fn ask(&mut self) -> bool {
        self.newest += 1;
        self.wanted.store(self.newest, Ordering::SeqCst);
        self.is_under_way = self.asked.try_send(self.newest).is_ok();
        self.is_under_way
    }

    /// A start that has not begun yet does not begin. One that has is answered, and its host is to be ended
    /// by whoever takes it.
    pub(super) fn take_back(&self) {
        self.wanted.store(NONE, Ordering::SeqCst);
    }

    /// The answer, if it has come.
    pub(super) fn take(&mut self) -> Option<io::Result<HostProcess>> {
        let answer = self.answers.try_recv().ok()?;
        self.is_under_way = false;
        Some(answer)
    }

    /// A host was asked for, and the answer was not taken yet: there may be one already.
    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way
    }
}

impl Daemon {
    pub(super) fn signal(&self, signal: impl Fn(&HostProcess) -> std::io::Result<()>) {
        if let Some(Err(error)) = self.host.as_ref().map(signal)
            // Gone already: its end comes next.
            && error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error())
        {
            self.log.write(Level::Error, format!("the host could not be signalled: {error}"));
        }
    }

    /// Takes the host that was asked for, once it is there; a kill that came meanwhile ends it.
    pub(super) fn welcome(&mut self) {
        match self.spawner.take() {
            Some(Ok(host)) => {
                let pid = host.pid();
                self.log.write(Level::Notice, format!("host started pid={pid}"));
                self.host = Some(host);
                self.tell(Input::HostSpawned { pid });
            }
            Some(Err(error)) => self.tell(Input::SpawnFailed { cause: error.to_string() }),
            None => return,
        }
        self.judge_held();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::mailbox::{Inbox, mailbox};

    /// Each start tells of itself, and stands still until it is let go.
    fn stuck() -> (Spawner, Inbox, Receiver<()>, Sender<()>) {
        let (mailbox, inbox) = mailbox().expect("a descriptor");
        let ((tell, begun), (release, held)) = (channel(), channel());
        let spawn = move || {
            tell.send(()).expect("the test lives");
            held.recv().expect("the test lives");
            Err(io::Error::other("let go"))
        };
        (Spawner::with(spawn, mailbox).expect("a thread"), inbox, begun, release)
    }

    /// Waits as the main loop does.
    fn answer(spawner: &mut Spawner, inbox: &Inbox) -> String {
        let longest = Timespec { tv_sec: 10, tv_nsec: 0 };
        loop {
            let woken = poll(&mut [PollFd::new(inbox, PollFlags::IN)], Some(&longest));
            assert_eq!(woken, Ok(1), "the loop is not woken");
            assert!(inbox.take().is_empty());
            if let Some(answer) = spawner.take() {
                return answer.err().expect("none was started").to_string();
            }
        }
    }

    #[test]
    fn a_start_that_hangs_keeps_nobody_and_its_answer_wakes() {
        let (mut spawner, inbox, begun, release) = stuck();
        assert!(spawner.ask());
        begun.recv().expect("it begins");
        assert!(spawner.is_under_way() && spawner.take().is_none());
        release.send(()).expect("it waits");
        assert_eq!(answer(&mut spawner, &inbox), "let go");
        assert!(!spawner.is_under_way());
    }

    #[test]
    fn what_is_taken_back_before_it_begins_never_begins() {
        let (mut spawner, inbox, begun, release) = stuck();
        assert!(spawner.ask());
        begun.recv().expect("it begins");
        // It waits behind the one that hangs, and is taken back meanwhile.
        assert!(spawner.ask());
        spawner.take_back();
        release.send(()).expect("it waits");
        assert_eq!(answer(&mut spawner, &inbox), "let go");
        assert_eq!(answer(&mut spawner, &inbox), "it was taken back");
        assert!(begun.try_recv().is_err());
        // The next one begins again.
        assert!(spawner.ask());
        begun.recv().expect("it begins");
        release.send(()).expect("it waits");
        assert_eq!(answer(&mut spawner, &inbox), "let go");
    }
}
