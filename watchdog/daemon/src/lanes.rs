//! Three threads that talk to the broker, so that a slow answer to one command delays no other.
//!
//! Each has a client, and so a connection, of its own: nothing that happens on one closes another's.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use crate::{
    ambient,
    broker::Client,
    error::Error,
    machine::Input,
    mailbox::Mailbox,
    proof::{Command, Report, Trouble, Unread},
};

/// Commands that wait in a lane; the machine never sends more.
const DEPTH: usize = 4;

/// The three threads.
pub(crate) struct Lanes {
    suspend: SyncSender<Command>,
    cancel: SyncSender<Command>,
    read: SyncSender<Command>,
}

impl Lanes {
    /// Starts them.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(crate) fn start(client: &Client, mailbox: &Mailbox) -> io::Result<Self> {
        let lane = |name: &str| -> io::Result<SyncSender<Command>> {
            let (commands, waiting) = sync_channel(DEPTH);
            let (client, mailbox) = (client.apart(), mailbox.clone());
            let thread = std::thread::Builder::new().name(name.into()).stack_size(crate::STACK_BYTES);
            thread.spawn(move || work(&client, &waiting, &mailbox))?;
            Ok(commands)
        };
        Ok(Self { suspend: lane("suspend")?, cancel: lane("cancel")?, read: lane("read")? })
    }

    /// Never waits. False when the lane is full, which means that the machine lost count.
    pub(crate) fn send(&self, command: Command) -> bool {
        let lane = match &command {
            Command::Warm | Command::Suspend { .. } | Command::Check => &self.suspend,
            // Nothing is closed under a suspension, so these two never wait for each other.
            Command::Lift | Command::CloseAll | Command::CloseEach(_) => &self.suspend,
            Command::CancelAll | Command::CancelEach(_) | Command::Touch => &self.cancel,
            Command::Read(_) | Command::Account(_) => &self.read,
        };
        lane.try_send(command).is_ok()
    }
}

fn unread(error: Error) -> Unread {
    match error {
        Error::BrokerStatus { status: 401 | 403, .. } => Unread::KeyRefused(error.to_string()),
        error => Unread::Other(error.to_string()),
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let pause = if let Error::BrokerBusy { pause } = error { pause } else { None };
        let is_refused = matches!(error, Error::BrokerStatus { status: 403, .. });
        Self { cause: error.to_string(), pause, is_refused }
    }
}

fn work(client: &Client, waiting: &Receiver<Command>, mailbox: &Mailbox) {
    while let Ok(command) = waiting.recv() {
        let report = match command {
            Command::Warm => Report::Warmed(client.warm().map_err(unread)),
            Command::Touch => {
                // Whether it was answered is no matter: the next command opens what is not open.
                let _: Result<bool, Error> = client.warm();
                Report::Touched
            }
            Command::Check => Report::Checked(client.is_suspended().map_err(Trouble::from)),
            Command::Suspend { asks } => {
                if asks
                    && let Some(before) = client.was_suspended()
                    && !mailbox.post(Input::Broker(Report::SuspendedBefore(before)))
                {
                    return;
                }
                Report::Suspended(client.suspend(true).map_err(Trouble::from))
            }
            Command::Lift => Report::Lifted(client.suspend(false).map_err(Trouble::from)),
            Command::CancelAll => Report::Cancelled(client.cancel_all().map_err(Trouble::from)),
            Command::CancelEach(ids) => Report::Cancelled(client.cancel_each(&ids).map_err(Trouble::from)),
            Command::CloseAll => Report::Closed(client.close_all().map_err(Trouble::from)),
            Command::CloseEach(keys) => Report::Closed(client.close_each(&keys).map_err(Trouble::from)),
            Command::Account(ask) => client.account(&ask),
            Command::Read(policy) => {
                let started = ambient::boot_time();
                // When nobody hears it, the answer is not heard either, and that ends the thread.
                let tell = &mut |open| {
                    let _: bool = mailbox.post(Input::Broker(Report::Listed { started, open }));
                };
                Report::Read { started, result: client.look(policy, tell).map_err(Trouble::from) }
            }
        };
        if !mailbox.post(Input::Broker(report)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_key_is_told_from_a_broker_that_is_away() {
        let of = |status| unread(Error::BrokerStatus { status, message: String::new() });
        assert!(matches!(of(401), Unread::KeyRefused(_)));
        assert!(matches!(of(403), Unread::KeyRefused(_)));
        assert!(matches!(of(500), Unread::Other(_)));
        assert!(matches!(unread(Error::BrokerSilent("x".into())), Unread::Other(_)));
    }
}
