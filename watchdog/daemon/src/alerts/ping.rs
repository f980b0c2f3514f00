//! A dead man's switch: a check-in service elsewhere is told every minute that we are there, and tells a
//! human when it hears nothing. So a dead machine is noticed, or one without a network.
//!
//! A ping says that the main loop turns, not that a thread does: when the loop hangs nothing leaves. A kill
//! is no reason for silence; how we stand is in the text. One thread, which delays nobody.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use sandpit_contract::{BootTime, Status};

use super::{
    post::Post,
    queue::Failure,
    wording::{plain, state},
};
use crate::{
    admin::Board,
    ambient,
    log::{Level, Log},
    machine::Input,
    mailbox::Mailbox,
    secret::Secret,
};

/// Between two pings.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(60);
/// A main loop that has not come around for so long hangs; it turns every 50 ms.
const HANGS_AFTER: Duration = Duration::from_secs(10);
/// Pings do not arrive for so long before a human is told by the other ways.
const LOST_AFTER: Duration = Duration::from_secs(600);
/// The service decides within this time whether we come again earlier than with the next ping.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The main loop is looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct Ping {
    /// Its address is its secret.
    pub(crate) url: Secret,
}

impl Ping {
    /// Starts the thread; it ends once the sender is dropped.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(
        self,
        name: String,
        board: Arc<Board>,
        mailbox: Mailbox,
        log: Log,
    ) -> io::Result<SyncSender<()>> {
        let (stop, stopped) = sync_channel(1);
        let thread = std::thread::Builder::new().name("ping".into()).stack_size(crate::STACK_BYTES);
        thread.spawn(move || self.run(&name, &board, &mailbox, &log, &stopped))?;
        Ok(stop)
    }

    fn run(&self, name: &str, board: &Board, mailbox: &Mailbox, log: &Log, stopped: &Receiver<()>) {
        // A client of its own: no connection is shared with the alerts.
        let post = Post::new();
        let mut pings = Pings::default();
        loop {
            let now = ambient::boot_time();
            if pings.is_due(board.turned(), now)
                && let Some(view) = board.view()
            {
                let result = post.check_in(self.url.expose(), &text(name, &view.status));
                let heard = pings.answered(result.as_ref().err(), ambient::boot_time());
                for line in pings.lines() {
                    log.write(Level::Warning, line);
                }
                // Not waited for: a main loop that hangs must not be what it is said to.
                if heard.is_some_and(|heard| mailbox.offer(Input::Ping(heard)).is_err()) {
                    pings.not_told();
                }
            }
            match stopped.recv_timeout(LOOK_EVERY) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// One ping, for `alert-test`: a line about it, and whether it arrived.
    pub(crate) fn test(&self, name: &str, post: &Post) -> (String, bool) {
        match post.check_in(self.url.expose(), &format!("{} test", plain(name))) {
            Ok(()) => ("ping: sent".into(), true),
            Err(Failure::Later { why, .. } | Failure::Refused(why)) => {
                (format!("ping: failed: {why}"), false)
            }
        }
    }
}

/// Who, and how it stands. Nothing that a host or a stranger has chosen.
fn text(name: &str, status: &Status) -> String {
    let killed = status.kill.as_ref().map_or("", |kill| kill.layer.word());
    let by = if killed.is_empty() { String::new() } else { format!(" by={killed}") };
    let host = if status.host_pid.is_some() { "there" } else { "gone" };
    format!("{} state={}{by} host={host} restarts={}", plain(name), state(status.state), status.host_restarts)
}

/// When to ping, and what to say of it. No clock, no I/O.
#[derive(Debug, Default)]
struct Pings {
    due: Option<BootTime>,
    /// Of pings that do not arrive.
    failing_since: Option<BootTime>,
    is_told: bool,
    lines: Vec<String>,
}

impl Pings {
    /// Whether to ping now, if the main loop has turned lately.
    fn is_due(&self, turned: BootTime, now: BootTime) -> bool {
        self.due.is_none_or(|due| due <= now) && now.since(turned) < HANGS_AFTER
    }

    /// What became of a ping; a human is told why it is lost, or with `None` inside that it is not any more.
    fn answered(&mut self, failure: Option<&Failure>, now: BootTime) -> Option<Option<String>> {
        let Some(failure) = failure else {
            self.due = Some(now + PING_EVERY);
            if self.failing_since.take().is_some() {
                self.lines.push("pings to the check-in service arrive again".into());
            }
            return std::mem::take(&mut self.is_told).then_some(None);
        };
        let (Failure::Later { why, .. } | Failure::Refused(why)) = failure;
        let wish =
            if let Failure::Later { wait, .. } = failure { wait.unwrap_or_default() } else { PING_EVERY };
        self.due = Some(now + wish.clamp(AGAIN_AFTER, PING_EVERY));
        if self.failing_since.is_none() {
            self.lines.push(format!("pings to the check-in service do not arrive: {why}"));
        }
        let since = *self.failing_since.get_or_insert(now);
        let is_lost = now.since(since) >= LOST_AFTER && !std::mem::replace(&mut self.is_told, true);
        is_lost.then(|| Some(format!("no ping has arrived at the check-in service for 10 minutes: {why}")))
    }

    /// The main loop had no room for it: said again with the next ping.
    fn not_told(&mut self) {
        self.is_told = !self.is_told;
    }

    fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

#[cfg(test)]
mod tests {
    use sandpit_contract::State;

    use super::*;
    use crate::admin::plain_status;

    fn at(s: u64) -> BootTime {
        BootTime::from_nanos(s * 1_000_000_000)
    }

    fn later(wait_s: Option<u64>) -> Failure {
        Failure::Later { why: "no answer in time".into(), wait: wait_s.map(Duration::from_secs) }
    }

    /// Seconds of the pings, and what was told when, with a main loop that turns up to `hangs`.
    fn check(hangs: u64, failure: impl Fn(u64) -> Option<Failure>) -> (Vec<u64>, Vec<(u64, bool)>, usize) {
        let (mut pings, mut sent, mut told, mut lines) = (Pings::default(), vec![], vec![], 0);
        for s in 0..3000 {
            if pings.is_due(at(s.min(hangs)), at(s)) {
                sent.push(s);
                let heard = pings.answered(failure(s).as_ref(), at(s));
                told.extend(heard.map(|heard| (s, heard.is_some())));
                lines += pings.lines().len();
            }
        }
        (sent, told, lines)
    }

    #[test]
    fn a_ping_leaves_every_minute_as_long_as_the_main_loop_turns() {
        let (sent, told, lines) = check(u64::MAX, |_| None);
        assert_eq!((&sent[..4], told, lines), (&[0, 60, 120, 180][..], vec![], 0));
        let (sent, _, _) = check(115, |_| None);
        assert_eq!(sent, [0, 60, 120], "it hangs from 115 on, and is silent ten seconds later");
        let (sent, _, _) = check(109, |_| None);
        assert_eq!(sent, [0, 60], "not at 120");
    }

    #[test]
    fn a_failure_is_logged_once_and_told_after_ten_minutes_and_so_is_its_end() {
        let (sent, told, lines) = check(u64::MAX, |s| (s < 1000).then(|| later(None)));
        assert_eq!(sent[..4], [0, 10, 20, 30], "tried again earlier");
        assert_eq!((told, lines), (vec![(600, true), (1000, false)], 2));
        let (sent, told, lines) = check(u64::MAX, |s| (s < 300).then(|| later(Some(45))));
        assert_eq!(sent[..3], [0, 45, 90], "as the service wishes");
        assert_eq!((told, lines), (vec![], 2), "not worth an alert");
        let (sent, _, _) = check(u64::MAX, |_| Some(Failure::Refused("status 404".into())));
        assert_eq!(sent[..3], [0, 60, 120]);
        let (sent, _, _) = check(u64::MAX, |_| Some(later(Some(9999))));
        assert_eq!(sent[1], 60, "a wish is not longer than a minute");
    }

    #[test]
    fn a_word_that_finds_no_room_is_said_again() {
        let mut pings = Pings::default();
        assert_eq!(pings.answered(Some(&later(None)), at(0)), None);
        assert!(pings.answered(Some(&later(None)), at(600)).is_some());
        pings.not_told();
        assert!(pings.answered(Some(&later(None)), at(610)).is_some(), "again");
        assert_eq!(pings.answered(None, at(620)), Some(None));
        pings.not_told();
        assert_eq!(pings.answered(None, at(680)), Some(None), "again");
        assert_eq!(pings.answered(None, at(740)), None);
    }

    #[test]
    fn a_ping_says_how_we_stand() {
        let text = text("b\nox", &plain_status(State::Killed));
        assert_eq!(text, "b ox state=killed host=gone restarts=0");
    }
}
