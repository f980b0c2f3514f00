//! The log as entries of systemd's journal, with fields that `journalctl` finds.
//!
//! Nobody waits for journald: an entry is put into a bounded queue, and a thread sends what is there every
//! few ms over a socket that never waits. A warning or an error is sent at once, with everything before, if
//! journald takes it at once. The crate `tracing-journald` is not used because its socket makes the caller
//! wait for journald.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, ErrorKind},
    os::{fd::AsFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sandpit_contract::{Event, JournalEntry};
use sandpit_types::HostEpoch;
use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::lock;

/// How long an entry that informs may wait, real time.
const WAIT: Duration = Duration::from_millis(WAIT_MS as u64);
const WAIT_MS: u8 = 20;
/// What waits for journald at most; what comes then is lost, counted, and the count is sent.
const MAX_BYTES: usize = 1 << 20;
/// How often a journald that does not read is waited for at the end, twice [`WAIT`] each.
const LAST_WAITS: usize = 50;
/// What tracing's fields are called in the journal.
const NAMES: [(&str, &str); 10] = [
    ("strategy", "STRATEGY"),
    ("plugin", "STRATEGY"),
    ("symbol", "SYMBOL"),
    ("order", "CLIENT_ORDER_ID"),
    ("stream", "STREAM"),
    ("kill_layer", "KILL_LAYER"),
    ("signal", "SIGNAL"),
    ("series", "SERIES"),
    ("severity", "SEVERITY"),
    ("epoch", "EPOCH"),
];

/// This life of the host, once it is known.
static EPOCH: OnceLock<String> = OnceLock::new();

/// From here on every entry says which life of the host it is from.
pub(crate) fn set_epoch(epoch: HostEpoch) {
    // Once in a life.
    let _ = EPOCH.set(epoch.to_string());
}

/// The log of a running process. Dropping it sends what is left, and gives up when nobody has read for two
/// seconds.
pub(super) struct Journald {
    queue: Queue,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Where entries go.
#[derive(Clone)]
pub(super) struct Queue(Arc<Parts>);

struct Parts {
    socket: UnixDatagram,
    path: PathBuf,
    waiting: Mutex<Waiting>,
    /// Held while entries are taken out and sent, so that they stay in order.
    out: Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<JournalEntry>,
    bytes: usize,
    lost: u64,
}

/// Why journald does not take an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// It does not read.
    Full,
    /// It is not there.
    Away,
}

impl Refusal {
    /// `None` when it is the entry that cannot be sent.
    fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::WouldBlock => Some(Self::Full),
            ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::NotConnected
            | ErrorKind::BrokenPipe
            | ErrorKind::NotFound => Some(Self::Away),
            _ => None,
        }
    }
}

impl Journald {
    /// Starts the thread that sends.
    ///
    /// # Errors
    /// When journald is not to be reached.
    pub(super) fn start(path: &Path) -> io::Result<Self> {
        let queue = Queue::connect(path)?;
        let (end, ended) = channel::<()>();
        let own = queue.clone();
        let send = move || {
            while ended.recv_timeout(WAIT) == Err(RecvTimeoutError::Timeout) {
                let _out = lock(&own.0.out);
                while own.send_all() == Err(Refusal::Full) && own.is_read_soon() {}
            }
        };
        let thread = Some(thread::Builder::new().name("log".into()).spawn(send)?);
        Ok(Self { queue, end: Some(end), thread })
    }

    /// What makes entries of events.
    pub(super) fn layer(&self) -> Queue {
        self.queue.clone()
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            // It has no way to panic, and there would be nobody to tell.
            let _ = thread.join();
        }
        let _out = lock(&self.queue.0.out);
        let mut waits = 0;
        while let Err(refusal) = self.queue.send_all()
            && waits < LAST_WAITS
        {
            if refusal == Refusal::Away || !self.queue.is_read_soon() {
                waits += 1;
                let _ = poll(&mut [], PollTimeout::from(WAIT_MS));
            }
        }
    }
}

impl Queue {
    fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect(path)?;
        let (path, waiting, out) = (path.to_owned(), Mutex::default(), Mutex::new(()));
        Ok(Self(Arc::new(Parts { socket, path, waiting, out })))
    }

    /// Takes an entry; an urgent one is sent at once, if nobody sends just now.
    fn add(&self, entry: JournalEntry, is_urgent: bool) {
        lock(&self.0.waiting).add(entry);
        if is_urgent && let Ok(_out) = self.0.out.try_lock() {
            // What does not leave now is sent by the thread.
            let _ = self.send_all();
        }
    }

    /// Sends what waits. To be called by whoever holds `out`.
    ///
    /// # Errors
    /// Why journald does not take it now: it does not read, or it is away.
    fn send_all(&self) -> Result<(), Refusal> {
        while let Some(entry) = { lock(&self.0.waiting).take() } {
            let sent = self.0.socket.send(entry.bytes()).or_else(|error| match Refusal::of(&error) {
                Some(Refusal::Away) => {
                    // Perhaps it was started anew.
                    self.0.socket.connect(&self.0.path)?;
                    self.0.socket.send(entry.bytes())
                }
                Some(Refusal::Full) | None => Err(error),
            });
            let Err(error) = sent else { continue };
            let mut waiting = lock(&self.0.waiting);
            match Refusal::of(&error) {
                Some(refusal) => {
                    waiting.put_back(entry);
                    return Err(refusal);
                }
                // It would be refused for ever, and everything behind it.
                None => waiting.lost += 1,
            }
        }
        Ok(())
    }

    /// Waits a moment until journald reads on; whether it does.
    fn is_read_soon(&self) -> bool {
        let mut fds = [PollFd::new(self.0.socket.as_fd(), PollFlags::POLLOUT)];
        let ready = poll(&mut fds, PollTimeout::from(WAIT_MS));
        let events = fds[0].revents().unwrap_or(PollFlags::empty());
        ready.is_ok_and(|ready| ready > 0) && events == PollFlags::POLLOUT
    }
}

impl Waiting {
    fn add(&mut self, entry: JournalEntry) {
        let bytes = self.bytes + entry.bytes().len();
        if bytes > MAX_BYTES {
            self.lost += 1;
            return;
        }
        self.bytes = bytes;
        self.entries.push_back(entry);
    }

    /// The next one. What was lost is said where it is missing: after all that was there before.
    fn take(&mut self) -> Option<JournalEntry> {
        let entry = self.entries.pop_front();
        if let Some(entry) = entry {
            self.bytes -= entry.bytes().len();
            return Some(entry);
        }
        let lost = std::mem::take(&mut self.lost);
        let text = || format!("{lost} lines of the log were lost: journald did not read them in time");
        (lost > 0).then(|| of_event(JournalEntry::new(PROGRAM, 4, &text()), Event::LinesDropped))
    }

    fn put_back(&mut self, entry: JournalEntry) {
        self.bytes += entry.bytes().len();
        self.entries.push_front(entry);
    }
}

const PROGRAM: &str = "sandpit";

impl<S: Subscriber> Layer<S> for Queue {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.add(line.entry(*event.metadata().level()), *event.metadata().level() <= Level::WARN);
    }
}

/// What an event says.
#[derive(Default)]
struct Line {
    message: String,
    /// The other fields, as standard error shows them.
    rest: String,
    fields: Vec<(&'static str, String)>,
    event: Option<Event>,
}

impl Line {
    fn entry(self, level: Level) -> JournalEntry {
        let priority = match level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO if self.event.is_some_and(|event| !event.is_routine()) => 5,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        let mut entry = JournalEntry::new(PROGRAM, priority, &(self.message + &self.rest));
        if let Some(event) = self.event {
            entry = of_event(entry, event);
        }
        if let Some(epoch) = EPOCH.get() {
            entry = entry.with("EPOCH", epoch);
        }
        self.fields.iter().fold(entry, |entry, (name, value)| entry.with(name, value))
    }

    fn note(&mut self, field: &Field, plain: impl FnOnce() -> String, shown: impl FnOnce() -> String) {
        match field.name() {
            "message" => self.message = plain(),
            "event" => self.event = Event::named(&plain()),
            name => {
                if let Some((_, own)) = NAMES.iter().find(|(other, _)| *other == name)
                    && (*own != "EPOCH" || EPOCH.get().is_none())
                {
                    self.fields.push((own, plain()));
                }
                self.rest.push_str(&format!(" {name}={}", shown()));
            }
        }
    }
}

fn of_event(entry: JournalEntry, event: Event) -> JournalEntry {
    entry.with("EVENT", event.name()).with("MESSAGE_ID", event.message_id())
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, || value.to_owned(), || format!("{value:?}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, || format!("{value:?}"), || format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    struct Journal {
        socket: UnixDatagram,
        path: PathBuf,
        _folder: tempfile::TempDir,
    }

    impl Journal {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("socket");
            let socket = UnixDatagram::bind(&path).expect("a socket");
            socket.set_read_timeout(Some(Duration::from_secs(20))).expect("bounded");
            Self { socket, path, _folder: folder }
        }

        fn next(&self) -> String {
            let mut packet = [0; 64 * 1024];
            let bytes = self.socket.recv(&mut packet).expect("sent within the bound");
            String::from_utf8_lossy(&packet[..bytes]).into_owned()
        }
    }

    #[test]
    fn an_event_becomes_an_entry_with_its_fields() {
        let journal = Journal::new();
        let journald = Journald::start(&journal.path).expect("it is there");
        let subscriber = tracing_subscriber::registry().with(journald.layer());
        tracing::subscriber::with_default(subscriber, || {
            let (order, reason) = ("sp-1", "a\nb");
            tracing::warn!(order, symbol = %"AAPL", reason, event = "order-rejected", "rejected");
            tracing::info!(strategy = "sma", "\nPRIORITY=0");
            tracing::info!(event = "stream-up", stream = "x", "open");
            tracing::info!(event = "order-sent", "order");
            tracing::debug!(many = 3, "looked");
        });
        let entry = journal.next();
        let id = Event::OrderRejected.message_id();
        let expected = format!(
            "MESSAGE=rejected order=\"sp-1\" symbol=AAPL reason=\"a\\nb\"\nPRIORITY=4\n\
             SYSLOG_IDENTIFIER=sandpit\n\
             EVENT=order-rejected\nMESSAGE_ID={id}\nCLIENT_ORDER_ID=sp-1\nSYMBOL=AAPL\n"
        );
        assert_eq!(entry, expected);
        let entry = journal.next();
        let forged = "\nPRIORITY=0 strategy=\"sma\"\nPRIORITY=6\n";
        assert!(entry.starts_with("MESSAGE\n") && entry.contains(forged), "{entry:?}");
        let priorities = [(5, "stream-up"), (6, "order-sent")];
        for (priority, event) in priorities {
            let entry = journal.next();
            assert!(entry.contains(&format!("PRIORITY={priority}\n")) && entry.contains(event), "{entry}");
        }
        assert!(journal.next().starts_with("MESSAGE=looked many=3\nPRIORITY=7\n"));
    }

    #[test]
    fn a_journal_that_does_not_read_keeps_nobody_and_learns_what_it_missed() {
        let journal = Journal::new();
        let mut journald = Journald::start(&journal.path).expect("it is there");
        // The thread stands still, as one that waits for journald would.
        journald.end.take();
        journald.thread.take().expect("started").join().expect("ended");
        let queue = journald.layer();
        let text = "x".repeat(1000);
        let many = MAX_BYTES / 1000 + 1000;
        let (own, (done, is_done)) = (queue.clone(), channel());
        thread::spawn(move || {
            for number in 0..many {
                // Urgent ones are tried at once: the socket is full after some, and nobody waits for it.
                own.add(JournalEntry::new(PROGRAM, 3, &format!("{number} {text}")), true);
            }
            done.send(()).expect("it is waited for");
        });
        if is_done.recv_timeout(Duration::from_secs(20)).is_err() {
            // Its end would wait, too.
            std::mem::forget(journald);
            panic!("somebody waits for the journal");
        }
        assert!(lock(&queue.0.waiting).bytes <= MAX_BYTES);
        let reader = thread::spawn(move || {
            let mut expected = 0;
            loop {
                let entry = journal.next();
                if let Some((_, rest)) = entry.split_once("MESSAGE=") {
                    let number = rest.split(' ').next().expect("a word");
                    if rest.contains("were lost") {
                        return (expected, number.parse::<usize>().expect("a count"));
                    }
                    assert_eq!(number, expected.to_string(), "in order");
                    expected += 1;
                }
            }
        });
        drop(journald);
        let (got, lost) = reader.join().expect("read");
        assert!(lost > 0 && got + lost == many, "{got} {lost}");
    }

    #[test]
    fn a_journal_that_comes_back_gets_what_waited() {
        let journal = Journal::new();
        let journald = Journald::start(&journal.path).expect("it is there");
        std::fs::remove_file(&journal.path).expect("removed");
        let Journal { socket, path, _folder } = journal;
        drop(socket);
        journald.layer().add(JournalEntry::new(PROGRAM, 3, "while away"), true);
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("bounded");
        let back = Journal { socket, path, _folder };
        assert!(back.next().starts_with("MESSAGE=while away\n"));
        assert!(Journald::start(Path::new("/nowhere/socket")).is_err());
    }
}
