//! Alerts leave from here: two threads and two queues for each sink, so that one which hangs delays no other,
//! and nothing that a host says delays or displaces what the watchdog itself has to say.

mod alarms;
mod digest;
mod email;
mod letter;
mod mail;
mod ping;
mod post;
mod queue;
mod quiet;
mod runner;
mod settings;
mod sink;
mod smtp;
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

pub(crate) use self::{
    alarms::{Alarms, Firing, News},
    post::{Post, is_safe},
    queue::{Failure, Rules},
    quiet::Quiet,
    settings::AlertsConfig,
    sink::{Bot, Sink},
    wording::{plain, telegram},
};
use self::{letter::Letter, queue::Queue};
use crate::{
    ambient,
    log::{Entry, Level, Log},
    machine::{Alert, Severity},
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

/// Of one sink.
struct Handle {
    own: Lane,
    host: Lane,
}

/// A queue with its thread.
struct Lane {
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
    /// Starts the threads of each sink; `name` is what this watchdog is called.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(crate) fn start(
        sinks: Vec<(Sink, Rules)>,
        quiet: Option<&Quiet>,
        name: &str,
        post: &Post,
        log: &Log,
    ) -> io::Result<Self> {
        let mut handles = Vec::new();
        for (sink, rules) in sinks {
            let lane = |whose: &str| {
                let traffic = Arc::new(Traffic::default());
                let courier = Courier {
                    queue: Queue::new(rules),
                    quiet: quiet.cloned(),
                    name: format!("{}{whose}", sink.name()),
                    sink: sink.clone(),
                    host: name.to_owned(),
                    post: post.clone(),
                    log: log.clone(),
                    traffic: Arc::clone(&traffic),
                };
                Lane::start(courier, traffic)
            };
            handles.push(Handle { own: lane("")?, host: lane(" of the host")? });
        }
        Ok(Self { sinks: handles })
    }

    /// Hands an alert of the watchdog's own to every sink. Never waits.
    pub(crate) fn raise(&self, alert: &Alert, state: State, at_unix_s: u64) {
        let letter = Letter::own(alert, state, at_unix_s);
        self.sinks.iter().for_each(|sink| sink.own.take(&letter));
    }

    /// Hands what the host says to every sink. Never waits, and leaves by other queues.
    pub(crate) fn pass(&self, news: News, state: State, at_unix_s: u64) {
        let letter = news.letter(state, at_unix_s);
        self.sinks.iter().for_each(|sink| sink.host.take(&letter));
    }

    /// Waits, for a bounded time, until what can leave at once has left.
    pub(crate) fn finish(self) {
        let end = ambient::boot_time() + FLUSH_WAIT;
        // All of them begin to end; what the watchdog says itself is waited for first.
        let ends = self.sinks.into_iter().map(|sink| (sink.own.done, sink.host.done));
        let (own, host): (Vec<_>, Vec<_>) = ends.unzip();
        for done in own.into_iter().chain(host) {
            let _: Result<(), _> = done.recv_timeout(end.since(ambient::boot_time()));
        }
    }
}

impl Lane {
    fn start(courier: Courier, traffic: Arc<Traffic>) -> io::Result<Self> {
        let (letters, waiting) = sync_channel(DEPTH);
        let (tell_done, done) = sync_channel(1);
        let thread = std::thread::Builder::new().name("alerts".into()).stack_size(crate::STACK_BYTES);
        thread.spawn(move || {
            courier.run(&waiting);
            let _: Result<(), _> = tell_done.try_send(());
        })?;
        Ok(Self { letters, traffic, done })
    }

    fn take(&self, letter: &Letter) {
        let room = if letter.severity == Severity::Critical { DEPTH } else { DEPTH / 2 };
        let has_room = self.traffic.waiting.fetch_add(1, Ordering::Relaxed) < room;
        if !has_room || self.letters.try_send(letter.clone()).is_err() {
            self.traffic.waiting.fetch_sub(1, Ordering::Relaxed);
            self.traffic.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends one of each kind of message to every sink, one after the other; a line for each, and whether all
/// arrived.
pub(crate) fn test(sinks: &[(Sink, Rules)], host: &str, post: &Post) -> (Vec<String>, bool) {
    let at_unix_s = ambient::now().unix_s;
    let text = "a test of the alerts: nothing has happened".into();
    let alert = Alert { severity: Severity::Info, key: "test", text };
    let first = Letter::own(&alert, State::Disarmed, at_unix_s);
    let over = Letter { ends: vec!["test".into()], ..first.clone() };
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

/// One lane's thread.
struct Courier {
    queue: Queue,
    quiet: Option<Quiet>,
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
            let letter = letters.recv_timeout(wait);
            self.look_at_the_clock();
            match letter {
                Ok(letter) => self.take(letter),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.finish(),
            }
            // Whatever came meanwhile may be worse than what was to leave next.
            letters.try_iter().for_each(|letter| self.take(letter));
            self.send_one(ambient::boot_time());
        }
    }

    fn look_at_the_clock(&mut self) {
        let now = ambient::now();
        let quiet = self.quiet.as_ref().and_then(|quiet| {
            let left = quiet.left(now.unix_s)?;
            Some((quiet.max_severity, now.boot + left))
        });
        self.queue.set_quiet(quiet, now.boot);
    }

    fn take(&mut self, letter: Letter) {
        self.traffic.waiting.fetch_sub(1, Ordering::Relaxed);
        self.queue.raise(letter, ambient::boot_time());
    }

    /// The last letters of a process that ends: each once, and also what the quiet hours have kept, which
    /// would be lost.
    fn finish(mut self) {
        self.queue.set_quiet(None, ambient::boot_time());
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

/// The line about what a host says; there are no more of them than letters.
pub(crate) fn entry_of_host(news: &News) -> Entry {
    let over = if news.is_over() { "over: " } else { "" };
    Entry::of(Event::Alert, level(news.severity), format!("alert {over}{}: {}", news.key, news.text))
}

fn level(severity: Severity) -> Level {
    match severity {
        Severity::Critical => Level::Error,
        Severity::Warning => Level::Warning,
        Severity::Info => Level::Notice,
    }
}

/// The line about an alert; what has an event of its own is found by that.
pub(crate) fn entry(alert: &Alert) -> Entry {
    let event = match alert.key {
        "drill-passed" => Event::DrillPassed,
        "drill-failed" | "drill-slow" | "drill-overdue" => Event::DrillFailed,
        _ => Event::Alert,
    };
    Entry::of(event, level(alert.severity), format!("alert {}: {}", alert.key, alert.text))
}
