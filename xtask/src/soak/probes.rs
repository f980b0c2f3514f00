//! Asks the host's endpoints again and again, and measures how long each answer takes.
//!
//! Each endpoint has a thread and a connection of its own. An answer that takes longer than the time between
//! two questions keeps others from being asked: those are counted as well, with what they would have waited.
//!
//! The panel is asked as a browser does, with the session of a sign-in. A host that was restarted knows no
//! session any more: then there is another sign-in, whose time is not that of an answer.

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{PANEL_TOKEN, state::Endpoint};
use crate::ambient;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Largest answer.
const MAX_BYTES: u64 = 64 << 20;
/// Largest first event of the live feed.
const MAX_EVENT_BYTES: usize = 4 << 20;
/// What is asked.
const ASKED: [(&str, Kind); 5] = [
    ("/health", Kind::Plain),
    ("/metrics", Kind::Plain),
    ("/status", Kind::Plain),
    ("/", Kind::Page),
    ("/panel/events", Kind::Feed),
];
const NOT_FOUND: u16 = 404;
const UNAUTHORIZED: u16 = 401;
const OK: u16 = 200;
const SEE_OTHER: u16 = 303;
/// Where the token is given. Of the panel's two pages, only the one to sign in has it.
const SIGN_IN: &str = "/panel/login";
/// How an event of the live feed begins that is a view, and how one ends.
const VIEW: &[u8] = b"data: ";
const END_OF_EVENT: &[u8] = b"\n\n";

/// What an endpoint is, and so what of it is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Whatever status and text: `/health` may well say 503.
    Plain,
    /// The panel's page, and not the one to sign in.
    Page,
    /// Has no end: its first event.
    Feed,
}

impl Kind {
    /// Between two questions. The feed is what an open page looks at once a second, and each new one has a
    /// view made and the watchdog asked at once: more would be a load of our own.
    const fn every(self) -> Duration {
        match self {
            Self::Plain | Self::Page => Duration::from_millis(200),
            Self::Feed => Duration::from_secs(1),
        }
    }
}

/// Threads that ask.
pub(crate) struct Probes {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    visitor: Visitor,
    endpoints: Mutex<BTreeMap<String, Endpoint>>,
    is_replaced: AtomicBool,
    stop: AtomicBool,
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Status(u16),
    /// Something was said, but not what was asked for.
    Useless(u16),
    Timeout,
    Refused,
}

impl Probes {
    /// Begins to ask the host at `address`. Nothing counts until [`Self::host_is_replaced`] is told `false`.
    pub(crate) fn start(address: &str) -> Self {
        let shared = Arc::new(Shared {
            visitor: Visitor::new(address),
            endpoints: Mutex::default(),
            is_replaced: AtomicBool::new(true),
            stop: AtomicBool::new(false),
        });
        let ask = |(path, kind)| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.ask_on(path, kind))
        };
        let threads = ASKED.into_iter().map(ask).collect();
        Self { shared, threads }
    }

    /// Whether there is no host because the runner has ended it.
    pub(crate) fn host_is_replaced(&self, is_replaced: bool) {
        self.shared.is_replaced.store(is_replaced, Ordering::Relaxed);
    }

    /// What was measured since this was last called.
    pub(crate) fn take(&self) -> BTreeMap<String, Endpoint> {
        std::mem::take(&mut *self.shared.endpoints())
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic of a probe has been printed, and what it measured is kept.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn endpoints(&self) -> MutexGuard<'_, BTreeMap<String, Endpoint>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask_on(&self, path: &str, kind: Kind) {
        let agent = agent(PATIENCE);
        let mut next = ambient::now();
        while !self.stop.load(Ordering::Relaxed) {
            let was_replaced = self.is_replaced.load(Ordering::Relaxed);
            let (answer, taken) = self.visitor.ask(&agent, path, kind);
            let is_replaced = was_replaced || self.is_replaced.load(Ordering::Relaxed);
            let every = kind.every();
            self.endpoints().entry(path.to_owned()).or_default().take(answer, taken, every, is_replaced);
            next += every;
            let now = ambient::now();
            if next < now {
                next = now;
            }
            ambient::wait(next.duration_since(now));
        }
    }
}

/// An agent that takes an answer as it is.
pub(crate) fn agent(patience: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .into()
}

/// Who asks, with the session that all threads share.
struct Visitor {
    address: String,
    /// The cookie; empty before the first sign-in.
    cookie: Mutex<String>,
}

impl Visitor {
    fn new(address: &str) -> Self {
        Self { address: address.to_owned(), cookie: Mutex::default() }
    }

    /// Asks once, and once more after a sign-in when there is no session; how long the last of them took.
    fn ask(&self, agent: &ureq::Agent, path: &str, kind: Kind) -> (Answer, Duration) {
        let once = |cookie: &str| {
            let asked = ambient::now();
            let said = self.said(agent, path, kind, cookie);
            (said, ambient::now().duration_since(asked))
        };
        let cookie = self.cookie().clone();
        let (mut said, mut taken) = once(&cookie);
        if matches!(said, Ok(Said::SignInFirst(_)))
            && let Some(fresh) = self.sign_in(agent, &cookie)
        {
            (said, taken) = once(&fresh);
        }
        let answer = match said {
            Ok(Said::Wanted(status)) => Answer::Status(status),
            Ok(Said::SignInFirst(status) | Said::Other(status)) => Answer::Useless(status),
            Err(ureq::Error::Timeout(_)) => Answer::Timeout,
            Err(_) => Answer::Refused,
        };
        (answer, taken)
    }

    fn said(&self, agent: &ureq::Agent, path: &str, kind: Kind, cookie: &str) -> Result<Said, ureq::Error> {
        let request = agent.get(format!("http://{}{path}", self.address));
        let request = match kind {
            Kind::Plain => request.header("Authorization", format!("Bearer {PANEL_TOKEN}")),
            Kind::Page | Kind::Feed => request.header("Cookie", cookie),
        };
        let mut answer = request.call()?;
        let status = answer.status().as_u16();
        if kind == Kind::Feed && status == OK {
            let event = first_event(answer.body_mut().as_reader())?;
            return Ok(if event.starts_with(VIEW) { Said::Wanted(OK) } else { Said::SignInFirst(OK) });
        }
        let text = answer.body_mut().with_config().limit(MAX_BYTES).read_to_vec()?;
        Ok(match (kind, status) {
            (_, NOT_FOUND) => Said::Other(status),
            (Kind::Plain, _) => Said::Wanted(status),
            (Kind::Page, OK) if contains(&text, SIGN_IN.as_bytes()) => Said::SignInFirst(status),
            (Kind::Page, OK) => Said::Wanted(status),
            (_, UNAUTHORIZED) => Said::SignInFirst(status),
            _ => Said::Other(status),
        })
    }

    /// A session instead of that of the cookie `lost`; `None` when there is none to be had. Whoever finds
    /// out first signs in for all.
    fn sign_in(&self, agent: &ureq::Agent, lost: &str) -> Option<String> {
        let mut cookie = self.cookie();
        if *cookie == lost {
            let request = agent.post(format!("http://{}{SIGN_IN}", self.address));
            let request = request.header("Origin", format!("http://{}", self.address));
            let answer = request.send_form([("token", PANEL_TOKEN)]).ok()?;
            if answer.status().as_u16() != SEE_OTHER {
                return None;
            }
            let given = answer.headers().get("Set-Cookie")?.to_str().ok()?;
            *cookie = given.split(';').next()?.to_owned();
        }
        Some(cookie.clone())
    }

    fn cookie(&self) -> MutexGuard<'_, String> {
        self.cookie.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came back, with its status.
enum Said {
    Wanted(u16),
    SignInFirst(u16),
    Other(u16),
}

/// What a stream of events begins with, up to the end of the first of them.
fn first_event(mut stream: impl Read) -> std::io::Result<Vec<u8>> {
    let (mut event, mut part) = (Vec::new(), [0; 16 << 10]);
    while !contains(&event, END_OF_EVENT) {
        let count = stream.read(&mut part)?;
        if count == 0 || event.len() > MAX_EVENT_BYTES {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        event.extend_from_slice(&part[..count]);
    }
    Ok(event)
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|part| part == what)
}

impl Endpoint {
    fn take(&mut self, answer: Answer, taken: Duration, every: Duration, is_replaced: bool) {
        if is_replaced {
            self.while_replaced += 1;
            return;
        }
        match answer {
            Answer::Refused => {
                self.refused += 1;
                return;
            }
            Answer::Timeout => self.timeouts += 1,
            Answer::Status(status) | Answer::Useless(status) => {
                *self.answers.entry(status).or_default() += 1;
            }
        }
        if let Answer::Useless(_) = answer {
            // However fast it was: who asked has nothing.
            self.useless += 1;
            self.latencies.add(u64::try_from(PATIENCE.as_micros()).unwrap_or(u64::MAX));
            return;
        }
        let mut waited = Some(taken);
        while let Some(one) = waited {
            self.latencies.add(u64::try_from(one.as_micros()).unwrap_or(u64::MAX));
            waited = one.checked_sub(every).filter(|left| !left.is_zero());
        }
    }

    /// Takes what another run measured.
    pub(crate) fn merge(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        for (status, count) in other.answers {
            *self.answers.entry(status).or_default() += count;
        }
        self.useless += other.useless;
        self.timeouts += other.timeouts;
        self.refused += other.refused;
        self.while_replaced += other.while_replaced;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
    };

    use super::*;

    const EVERY: Duration = Kind::Plain.every();
    const PAGE: &str = include_str!("../../../host/monitor/src/panel/page/panel.html");
    const SIGN_IN_PAGE: &str = include_str!("../../../host/monitor/src/panel/page/sign-in.html");

    #[test]
    fn what_could_not_be_asked_meanwhile_counts_as_well() {
        let mut endpoint = Endpoint::default();
        endpoint.take(Answer::Status(200), Duration::from_millis(3), EVERY, false);
        assert_eq!(endpoint.latencies.count(), 1);
        endpoint.take(Answer::Timeout, Duration::from_millis(500), EVERY, false);
        assert_eq!((endpoint.latencies.count(), endpoint.timeouts), (4, 1), "500, 300 and 100 ms");
        assert_eq!(endpoint.latencies.percentile_us(50.0), Some(100_000));
        endpoint.take(Answer::Status(200), Duration::from_millis(500), Kind::Feed.every(), false);
        assert_eq!(endpoint.latencies.count(), 5, "the feed is asked once a second");
    }

    #[test]
    fn what_is_being_replaced_is_not_measured_and_what_is_no_answer_is_as_bad_as_none() {
        let mut endpoint = Endpoint::default();
        endpoint.take(Answer::Timeout, PATIENCE, EVERY, true);
        endpoint.take(Answer::Useless(401), Duration::ZERO, EVERY, true);
        endpoint.take(Answer::Refused, Duration::ZERO, EVERY, false);
        assert_eq!(endpoint.latencies.count(), 0);
        endpoint.take(Answer::Useless(404), Duration::from_millis(1), EVERY, false);
        assert_eq!(endpoint.latencies.percentile_us(99.0), Some(2_000_000));
        assert_eq!((endpoint.while_replaced, endpoint.refused, endpoint.answers[&404]), (2, 1, 1));
        let mut sum = endpoint.clone();
        sum.merge(endpoint);
        assert_eq!((sum.while_replaced, sum.refused, sum.answers[&404], sum.useless), (4, 2, 2, 2));
    }

    /// A panel of a few lines: it knows one session, none after a restart, and answers what it is told to.
    #[derive(Default)]
    struct Panel {
        session: Mutex<Option<u32>>,
        sign_ins: Mutex<u32>,
        is_locked: AtomicBool,
        is_full: AtomicBool,
        is_over: AtomicBool,
        is_mute: AtomicBool,
    }

    impl Panel {
        fn start() -> (Arc<Self>, String) {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("bound").to_string();
            let (panel, own) = (Arc::new(Self::default()), address.clone());
            let shared = panel.clone();
            std::thread::spawn(move || {
                let mut open = Vec::new();
                for mut stream in listener.incoming().flatten() {
                    let mut reader = BufReader::new(stream.try_clone().expect("cloned"));
                    let mut lines = Vec::new();
                    let mut line = String::new();
                    while reader.read_line(&mut line).is_ok_and(|count| count > 0) && line.trim() != "" {
                        lines.push(std::mem::take(&mut line).trim().to_owned());
                    }
                    let length = value(&lines, "content-length").and_then(|text| text.parse().ok());
                    let mut body = vec![0; length.unwrap_or(0)];
                    reader.read_exact(&mut body).expect("a body");
                    let answer = shared.answer(&lines, &body, &own);
                    stream.write_all(answer.as_bytes()).expect("written");
                    open.push(stream);
                }
            });
            (panel, address)
        }

        fn answer(&self, lines: &[String], body: &[u8], own: &str) -> String {
            let say = |status: &str, more: &str, text: &str| {
                let length = text.len();
                let end = "Connection: close\r\nContent-Length";
                format!("HTTP/1.1 {status} x\r\n{more}{end}: {length}\r\n\r\n{text}")
            };
            let mut session = self.session.lock().expect("whole");
            let cookie = value(lines, "cookie");
            let is_in = session.is_some() && cookie == session.map(|n| format!("name={n}"));
            match lines[0].as_str() {
                "POST /panel/login HTTP/1.1" => {
                    assert_eq!(value(lines, "origin"), Some(format!("http://{own}")), "a page of its own");
                    assert_eq!(body, format!("token={PANEL_TOKEN}").as_bytes());
                    if self.is_locked.load(Ordering::Relaxed) {
                        return say("429", "", SIGN_IN_PAGE);
                    }
                    let mut count = self.sign_ins.lock().expect("whole");
                    *count += 1;
                    *session = Some(*count);
                    say("303", &format!("Location: /\r\nSet-Cookie: name={count}; Path=/; HttpOnly\r\n"), "")
                }
                "GET / HTTP/1.1" => say("200", "", if is_in { PAGE } else { SIGN_IN_PAGE }),
                "GET /panel/events HTTP/1.1" if !is_in => say("401", "", "{}"),
                "GET /panel/events HTTP/1.1" if self.is_full.load(Ordering::Relaxed) => say("503", "", "{}"),
                "GET /panel/events HTTP/1.1" => {
                    let event = if self.is_over.load(Ordering::Relaxed) { "event: over\n" } else { "" };
                    // It goes on: whoever waits for its end waits in vain.
                    let start = "HTTP/1.1 200 x\r\nContent-Length: 9999\r\n\r\n";
                    let end = if self.is_mute.load(Ordering::Relaxed) { "" } else { "\n\n" };
                    format!("{start}{event}data: {{\"a\":1}}{end}")
                }
                other => panic!("{other}"),
            }
        }

        fn restart(&self) {
            *self.session.lock().expect("whole") = None;
        }

        fn sign_ins(&self) -> u32 {
            *self.sign_ins.lock().expect("whole")
        }
    }

    fn value(lines: &[String], name: &str) -> Option<String> {
        let pairs = lines.iter().filter_map(|line| line.split_once(": "));
        pairs.into_iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, it)| it.to_owned())
    }

    #[test]
    fn a_session_serves_all_until_a_restart_and_then_the_next_one_does() {
        let ((panel, address), agent) = (Panel::start(), agent(PATIENCE));
        let visitor = Visitor::new(&address);
        let ask = |path, kind| visitor.ask(&agent, path, kind).0;
        for life in 1..=3 {
            for _ in 0..2 {
                assert_eq!(ask("/", Kind::Page), Answer::Status(200));
                assert_eq!(ask("/panel/events", Kind::Feed), Answer::Status(200));
            }
            assert_eq!(panel.sign_ins(), life, "one for both");
            panel.restart();
        }
        assert_eq!(ask("/panel/events", Kind::Feed), Answer::Status(200), "the feed signs in, too");
        assert_eq!(panel.sign_ins(), 4);
    }

    #[test]
    fn the_page_to_sign_in_is_no_panel_and_a_feed_without_a_view_is_none() {
        assert!(contains(SIGN_IN_PAGE.as_bytes(), SIGN_IN.as_bytes()));
        assert!(!contains(PAGE.as_bytes(), SIGN_IN.as_bytes()));
        let ((panel, address), agent) = (Panel::start(), agent(PATIENCE));
        let visitor = Visitor::new(&address);
        let ask = |path, kind| visitor.ask(&agent, path, kind).0;
        panel.is_locked.store(true, Ordering::Relaxed);
        assert_eq!(ask("/", Kind::Page), Answer::Useless(200));
        assert_eq!(ask("/panel/events", Kind::Feed), Answer::Useless(401));
        panel.is_locked.store(false, Ordering::Relaxed);
        panel.is_full.store(true, Ordering::Relaxed);
        assert_eq!(ask("/panel/events", Kind::Feed), Answer::Useless(503), "too many look already");
        panel.is_full.store(false, Ordering::Relaxed);
        panel.is_over.store(true, Ordering::Relaxed);
        assert_eq!(ask("/panel/events", Kind::Feed), Answer::Useless(200), "it was signed out at once");
        panel.is_over.store(false, Ordering::Relaxed);
        panel.is_mute.store(true, Ordering::Relaxed);
        let hasty = super::agent(Duration::from_millis(100));
        assert_eq!(visitor.ask(&hasty, "/panel/events", Kind::Feed).0, Answer::Timeout);
    }
}
