//! The way back from the worker threads into the main loop: a bounded queue and a descriptor that wakes its
//! poll.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use rustix::event::{EventfdFlags, eventfd};

use crate::machine::Input;

/// Reports that wait for the main loop; a worker waits when it is full.
const DEPTH: usize = 64;

/// The workers' end.
#[derive(Clone)]
pub(crate) struct Mailbox {
    sender: SyncSender<Input>,
    wake: Arc<OwnedFd>,
}

impl Mailbox {
    /// Delivers; false when the main loop is gone.
    pub(crate) fn post(&self, input: Input) -> bool {
        let is_there = self.sender.send(input).is_ok();
        self.wake();
        is_there
    }

    /// Wakes the main loop, to look at what else has come.
    pub(crate) fn wake(&self) {
        // Full or not, the counter is not zero, so the loop wakes.
        let _: rustix::io::Result<usize> = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }

    /// Delivers when there is room now.
    ///
    /// # Errors
    /// With the input itself when there is none.
    pub(crate) fn offer(&self, input: Input) -> Result<(), Input> {
        use std::sync::mpsc::TrySendError;
        self.sender.try_send(input).map_err(|error| match error {
            TrySendError::Full(input) | TrySendError::Disconnected(input) => input,
        })?;
        self.wake();
        Ok(())
    }
}

/// The main loop's end.
pub(crate) struct Inbox {
    receiver: Receiver<Input>,
    wake: Arc<OwnedFd>,
}

impl Inbox {
    /// What has come.
    pub(crate) fn take(&self) -> Vec<Input> {
        let mut counter = [0_u8; 8];
        let _: rustix::io::Result<usize> = rustix::io::read(&*self.wake, &mut counter);
        self.receiver.try_iter().take(DEPTH).collect()
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// Both ends.
///
/// # Errors
/// When no descriptor is left.
pub(crate) fn mailbox() -> io::Result<(Mailbox, Inbox)> {
    let (sender, receiver) = sync_channel(DEPTH);
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    Ok((Mailbox { sender, wake: Arc::clone(&wake) }, Inbox { receiver, wake }))
}
