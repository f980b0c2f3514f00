//! Alerts leave from here: a thread and a queue for each sink, so that one which hangs delays no other.

mod post;
mod queue;
mod runner;
mod settings;
mod sink;
mod wording;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use sandpit_contract::{BootTime, Event, State};

use self::queue::{Letter, Queue};
pub(crate) use self::{
    post::{Post, is_safe},
    queue::{Failure, Rules},
    settings::AlertsConfig,
    sink::{Bot, Sink},
    wording::{plain, telegram},
};
use crate::{
    ambient,
    log::{Entry, Level, Log},
    machine::{Alert, Kind, Severity},
};

/// Alerts on their way to a sink's queue while it sends. Only critical ones may fill the second half; what
/// finds no place is counted and said.
const DEPTH: usize = 64;
/// A sink without anything to do looks around so often.
const IDLE: Duration = Duration::from_secs(3600);
/// At the end what can leave at once gets so long.
const FLUSH_WAIT: Duration = Duration::from_secs(2);

/// The way out.
pub(crate) struct Alerts {
    sinks: Vec<Handle>,
}

struct Handle {
    letters: SyncSender<Letter>,
    traffic: Arc<Traffic>,
    done: Receiver<()>,
}

/// Between the main loop and a sink's thread.
#[derive(Default)]
struct Traffic {
    waiting: AtomicUsize,
    missed: AtomicUsize,
}

impl Alerts {
    /// Starts a thread for each sink; `name` is what this watchdog is called.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(crate) fn start(sinks: Vec<(Sink, Rules)>, name: &str, post: &Post, log: &Log) -> io::Result<Self> {
        let mut handles = Vec::new();
        for (sink, rules) in sinks {
            let (letters, waiting) = sync_channel(DEPTH);
            let (tell_done, done) = sync_channel(1);
            let traffic = Arc::new(Traffic::default());
            let courier = Courier {
                queue: Queue::new(rules),
                name: sink.name(),
                sink,
                host: name.to_owned(),
                post: post.clone(),
                log: log.clone(),
                traffic: Arc::clone(&traffic),
            };
            let thread = std::thread::Builder::new().name("alerts".into()).stack_size(crate::STACK_BYTES);
            thread.spawn(move || {
                courier.run(&waiting);
                let _: Result<(), _> = tell_done.try_send(());
            })?;
            handles.push(Handle { letters, traffic, done });
        }
        Ok(Self { sinks: handles })
    }

    /// Hands an alert to every sink. Never waits.
    pub(crate) fn raise(&self, alert: &Alert, state: State, at_unix_s: u64) {
        let letter = letter(alert, state, at_unix_s);
        for sink in &self.sinks {
            let room = if alert.severity == Severity::Critical { DEPTH } else { DEPTH / 2 };
            let has_room = sink.traffic.waiting.fetch_add(1, Ordering::Relaxed) < room;
            if !has_room || sink.letters.try_send(letter.clone()).is_err() {
                sink.traffic.waiting.fetch_sub(1, Ordering::Relaxed);
                sink.traffic.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits, for a bounded time, until what can leave at once has left.
    pub(crate) fn finish(self) {
        let end = ambient::boot_time() + FLUSH_WAIT;
        let waits: Vec<_> = self.sinks.into_iter().map(|sink| sink.done).collect();
        for done in waits {
            let _: Result<(), _> = done.recv_timeout(end.since(ambient::boot_time()));
        }
    }
}

fn letter(alert: &Alert, state: State, at_unix_s: u64) -> Letter {
    Letter {
        severity: alert.severity,
        key: alert.key,
        text: alert.text.clone(),
        state,
        at_unix_s,
        count: 1,
        ends: Kind::ends(alert.key).to_vec(),
    }
}

/// Sends one of each kind of message to every sink, one after the other; a line for each, and whether all
/// arrived.
pub(crate) fn test(sinks: &[(Sink, Rules)], host: &str, post: &Post) -> (Vec<String>, bool) {
    let at_unix_s = ambient::now().unix_s;
    let text = "a test of the alerts: nothing has happened".into();
    let alert = Alert { severity: Severity::Info, key: "test", text };
    let first = letter(&alert, State::Disarmed, at_unix_s);
    let over = Letter { ends: vec!["test"], ..first.clone() };
    let send = |sink: &Sink| {
        sink.send(post, &first, host)?;
        if sink.resolves() { sink.send(post, &over, host) } else { Ok(()) }
    };
    let mut all = true;
    let line = |(sink, _): &(Sink, Rules)| match send(sink) {
        Ok(()) => format!("{}: sent", sink.name()),
        Err(Failure::Later { why, .. } | Failure::Refused(why)) => {
            all = false;
            format!("{}: failed: {why}", sink.name())
        }
    };
    let lines = sinks.iter().map(line).collect();
    (lines, all)
}

/// One sink's thread.
struct Courier {
    queue: Queue,
    name: String,
    sink: Sink,
    host: String,
    post: Post,
    log: Log,
    traffic: Arc<Traffic>,
}

impl Courier {
    fn run(mut self, letters: &Receiver<Letter>) {
        loop {
            let now = ambient::boot_time();
            let wait = self.queue.deadline().map_or(IDLE, |deadline| deadline.since(now));
            match letters.recv_timeout(wait) {
                Ok(letter) => self.take(letter),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.finish(),
            }
            // Whatever came meanwhile may be worse than what was to leave next.
            letters.try_iter().for_each(|letter| self.take(letter));
            self.send_one(ambient::boot_time());
        }
    }

    fn take(&mut self, letter: Letter) {
        self.traffic.waiting.fetch_sub(1, Ordering::Relaxed);
        self.queue.raise(letter, ambient::boot_time());
    }

    /// The last letters of a process that ends: each once.
    fn finish(mut self) {
        while self.send_one(ambient::boot_time()) && !self.queue.is_failing() {}
    }

    fn send_one(&mut self, now: BootTime) -> bool {
        let missed = self.traffic.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            self.queue.missed(missed);
        }
        let due = self.queue.due(now);
        let is_due = due.is_some();
        if let Some((number, letter)) = due {
            let result = self.sink.send(&self.post, &letter, &self.host);
            self.queue.answered(number, result, ambient::boot_time());
        }
        for line in self.queue.lines() {
            self.log.write(Level::Warning, format!("alerts to {} {line}", self.name));
        }
        is_due
    }
}

/// The line about an alert; what has an event of its own is found by that.
pub(crate) fn entry(alert: &Alert) -> Entry {
    let level = match alert.severity {
        Severity::Critical => Level::Error,
        Severity::Warning => Level::Warning,
        Severity::Info => Level::Notice,
    };
    let event = match alert.key {
        "drill-passed" => Event::DrillPassed,
        "drill-failed" | "drill-slow" | "drill-overdue" => Event::DrillFailed,
        _ => Event::Alert,
    };
    Entry::of(event, level, format!("alert {}: {}", alert.key, alert.text))
}
