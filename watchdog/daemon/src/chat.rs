//! The Telegram bot: a chat that may kill, and ask how it stands. Nothing here re-arms.
//!
//! One thread polls for messages and performs what `conversation` decides. A message counts as taken once the
//! next poll names a later offset, so a crash between loses none; what comes a second time is a kill once
//! more, or is older than the arming since.

mod conversation;

use std::{
    io,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::Duration,
};

use sandpit_contract::{ARMED_FILE, Armed, Layer, ToObserver, ToWatchdog};
use serde_json::{Value, json};

use self::conversation::{Conversation, Deed, POLL_S};
use crate::{
    alerts::{Bot, Post, telegram},
    ambient,
    config::Config,
    log::{Level, Log},
    machine::Input,
    mailbox::Mailbox,
    socket::ask,
};

/// Beyond what the service was asked to wait, a poll waits so long.
const POLL_SLACK: Duration = Duration::from_secs(10);
/// An answer to a chat must be taken within this time.
const SAY_WAIT: Duration = Duration::from_secs(5);
/// Our own main loop answers within this time.
const STATUS_WAIT: Duration = Duration::from_secs(2);
/// The disk says within this time since when we are armed; else a message counts as newer.
const ARMED_WAIT: Duration = Duration::from_secs(1);

/// Starts the thread; it ends once the sender is dropped.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn start(
    bot: Bot,
    post: &Post,
    config: &Config,
    mailbox: &Mailbox,
    log: &Log,
) -> io::Result<SyncSender<()>> {
    let (stop, stopped) = sync_channel(1);
    let line = Line {
        bot,
        post: post.clone(),
        socket: config.socket.clone(),
        armed: ArmedSince { path: config.state_dir.join(ARMED_FILE), asked: None },
        mailbox: mailbox.clone(),
        log: log.clone(),
    };
    let conversation = Conversation::new(config.alerts.chats(), config.alerts.name());
    let thread = std::thread::Builder::new().name("chat".into()).stack_size(crate::STACK_BYTES);
    thread.spawn(move || line.run(conversation, &stopped))?;
    Ok(stop)
}

struct Line {
    bot: Bot,
    post: Post,
    socket: PathBuf,
    armed: ArmedSince,
    mailbox: Mailbox,
    log: Log,
}

impl Line {
    fn run(mut self, mut conversation: Conversation, stopped: &Receiver<()>) {
        loop {
            let began = ambient::now();
            let wait = Duration::from_secs(POLL_S) + POLL_SLACK;
            let answer = self.bot.call(&self.post, "getUpdates", &conversation.poll(), wait);
            let orders = conversation.take(answer);
            let armed_at =
                if orders.iter().any(|order| order.is_panic()) { self.armed.since() } else { None };
            // The kills first: an answer to somebody else may take its time.
            let mut deeds = conversation.judge(orders, armed_at, began.unix_s);
            deeds.sort_by_key(|deed| !matches!(deed, Deed::Kill { .. }));
            // One that does not leave keeps the next poll waiting, and more would as long again.
            let mut is_heard = true;
            for deed in deeds {
                is_heard = self.perform(deed, &conversation, is_heard) && is_heard;
            }
            let took = ambient::boot_time().since(began.boot);
            match stopped.recv_timeout(conversation.pause(took)) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// False when an answer did not leave; with `is_heard` false none is tried.
    fn perform(&self, deed: Deed, conversation: &Conversation, is_heard: bool) -> bool {
        match deed {
            Deed::Kill { reason } => self.mailbox.post(Input::Kill { layer: Layer::Chat, reason }),
            Deed::Log(text) => {
                self.log.write(Level::Warning, format!("telegram: {text}"));
                true
            }
            Deed::Status { .. } | Deed::Say { .. } if !is_heard => false,
            Deed::Status { chat } => {
                let text = match ask(&self.socket, &ToWatchdog::Status, STATUS_WAIT) {
                    Ok(ToObserver::Status(status)) => conversation.describe(&json!(status)),
                    Ok(ToObserver::KillTaken) | Err(_) => "the watchdog's main loop does not answer".into(),
                };
                self.say(chat, &text)
            }
            Deed::Say { chat, text } => self.say(chat, &text),
        }
    }

    /// Best effort: what was done is done, and alerts say so too.
    fn say(&self, chat: i64, text: &str) -> bool {
        let body = telegram(chat, text, false);
        let has_left = self.bot.call(&self.post, "sendMessage", &body, SAY_WAIT).is_ok();
        if !has_left {
            self.log.write(Level::Warning, format!("telegram: an answer to chat {chat} did not leave"));
        }
        has_left
    }
}

/// Reads the arming's time without waiting for a disk that hangs.
struct ArmedSince {
    path: PathBuf,
    /// A read that has not come back.
    asked: Option<Receiver<Option<u64>>>,
}

impl ArmedSince {
    /// `None` when not armed, or when it cannot be read in time.
    fn since(&mut self) -> Option<u64> {
        if self.asked.is_none() {
            let (tell, told) = sync_channel(1);
            let path = self.path.clone();
            let thread = std::thread::Builder::new().name("armed".into()).stack_size(crate::STACK_BYTES);
            let read = move || {
                let _: Result<(), _> = tell.try_send(read_armed(&path));
            };
            thread.spawn(read).ok()?;
            self.asked = Some(told);
        }
        let answer = self.asked.as_ref()?.recv_timeout(ARMED_WAIT);
        if !matches!(answer, Err(RecvTimeoutError::Timeout)) {
            self.asked = None;
        }
        answer.ok().flatten()
    }
}

fn read_armed(path: &Path) -> Option<u64> {
    let bytes = std::fs::read(path).ok()?;
    serde_json::from_slice::<Armed>(&bytes).ok().map(|armed| armed.at_unix_s)
}

/// What the service answers, or why it does not.
type Answer = Result<Value, crate::alerts::Failure>;
