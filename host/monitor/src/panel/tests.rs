//! The panel over real sockets: every rule of who may see and do what.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use super::*;
use crate::{Monitor, Snapshot, StrategyFigures};

const TOKEN: &str = "0123456789abcdef";
const SOON: Duration = Duration::from_secs(10);
const EVIL: &str = "</script><svg/onload=alert(1)>";

/// Notes what it is told to do.
#[derive(Default)]
struct Noted(Mutex<Vec<String>>);

impl Noted {
    fn note(&self, what: String) -> Promise<Result<String, Denied>> {
        let outcome = match what.as_str() {
            "cancel wrong" => Err(Denied::Wrong("no such order".into())),
            "cancel busy" => Err(Denied::Busy("no room".into())),
            "cancel late" => Err(Denied::Unanswered("maybe".into())),
            _ => Ok("done it".to_owned()),
        };
        self.0.lock().expect("no panic").push(what);
        Box::pin(async move { outcome })
    }
}

impl Deeds for Noted {
    fn cancel(&self, client_order_id: String) -> Promise<Result<String, Denied>> {
        self.note(format!("cancel {client_order_id}"))
    }

    fn pause(&self, strategy: String) -> Promise<Result<String, Denied>> {
        self.note(format!("pause {strategy}"))
    }

    fn resume(&self, strategy: String) -> Promise<Result<String, Denied>> {
        self.note(format!("resume {strategy}"))
    }

    fn panic(&self, reason: String) -> mpsc::Receiver<PanicStep> {
        drop(self.note(format!("panic {reason}")));
        let (steps, told) = mpsc::channel(2);
        steps.try_send(PanicStep::Taken).expect("there is room");
        told
    }

    fn fence(&self) -> Promise<Fence> {
        Box::pin(async { Fence { state: Some("leased".into()), ..Fence::default() } })
    }
}

impl History for Noted {
    fn audit(&self, lines: usize) -> Promise<Result<Vec<AuditLine>, String>> {
        let line = AuditLine { detail: format!("{EVIL} {lines}"), ..AuditLine::default() };
        Box::pin(async move { Ok(vec![line]) })
    }

    fn equity(&self, after_ms: Option<i64>) -> Promise<Result<Vec<EquityPoint>, String>> {
        let points = if after_ms.is_none() { vec![EquityPoint { at_ms: 5, usd: 1.5 }] } else { Vec::new() };
        Box::pin(async move { Ok(points) })
    }
}

/// A monitor with a panel, and a clock of the test's own.
struct Bench {
    address: SocketAddr,
    noted: Arc<Noted>,
    clock_s: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    fn cookie(&self) -> String {
        let cookie = self.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {self:?}"));
        cookie.split(';').next().expect("a first part").to_owned()
    }
}

fn random(bytes: &mut [u8]) -> std::io::Result<()> {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    bytes.fill(NEXT.fetch_add(1, Ordering::Relaxed));
    Ok(())
}

impl Bench {
    async fn new(adjust: impl FnOnce(&mut PanelParts)) -> Self {
        let (noted, clock_s) = (Arc::new(Noted::default()), Arc::new(AtomicU64::new(1)));
        let seconds = clock_s.clone();
        let mut parts = PanelParts {
            hosts: vec!["Panel.Example.org".into()],
            trusted_proxies: Vec::new(),
            plain_http_from: Vec::new(),
            is_read_only: false,
            random,
            clock: Arc::new(move || Duration::from_secs(seconds.load(Ordering::Relaxed))),
            deeds: noted.clone(),
            history: noted.clone(),
        };
        adjust(&mut parts);
        let source: crate::Source = Arc::new(|| Snapshot {
            mode: "paper".into(),
            equity_usd: Some(1.0),
            strategies: vec![StrategyFigures { name: EVIL.into(), ..StrategyFigures::default() }],
            ..Snapshot::default()
        });
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let monitor = Monitor::bind(any, source, Some(TOKEN.into())).await.expect("a port").with_panel(parts);
        let address = monitor.address().expect("bound");
        let (stop, stopped) = watch::channel(false);
        Self { address, noted, clock_s, stop, server: tokio::spawn(monitor.serve(stopped)) }
    }

    /// Sends bytes and reads until the end.
    async fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut bytes = Vec::new();
        timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("in time").expect("readable");
        let text = String::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// A request with these headers, and those that are always there unless a header of that name is given.
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let has = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !has("host") {
            text += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.raw(&text).await
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn sign_in(&self, token: &str, more: &[(&str, &str)]) -> Answer {
        let origin = self.origin();
        let mut headers = vec![("Content-Type", "application/x-www-form-urlencoded")];
        if !more.iter().any(|(name, _)| *name == "Origin") {
            headers.push(("Origin", &origin));
        }
        headers.extend_from_slice(more);
        self.ask("POST", "/panel/login", &headers, &format!("username=x&token={token}")).await
    }

    /// A session's cookie and key.
    async fn signed_in(&self) -> (String, String) {
        let answer = self.sign_in(TOKEN, &[]).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        let cookie = answer.cookie();
        let told = self.ask("GET", "/panel/session", &[("Cookie", &cookie)], "").await;
        let told: serde_json::Value = serde_json::from_str(&told.body).expect("JSON");
        (cookie, told["key"].as_str().expect("a key").to_owned())
    }

    /// What was done so far.
    fn done(&self) -> Vec<String> {
        self.noted.0.lock().expect("no panic").clone()
    }

    async fn end(self) {
        self.stop.send(true).expect("it listens");
        timeout(SOON, self.server).await.expect("it ends").expect("no panic").expect("a clean end");
    }
}

const DEEDS: [(&str, &str); 4] = [
    ("/panel/cancel", r#"{"client_order_id":"sp-1"}"#),
    ("/panel/pause", r#"{"strategy":"s"}"#),
    ("/panel/resume", r#"{"strategy":"s"}"#),
    ("/panel/panic", r#"{"reason":"r"}"#),
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_or_done_without_a_session() {
    let bench = Bench::new(|_| {}).await;
    let page = bench.ask("GET", "/", &[], "").await;
    assert!(page.status == 200 && page.body.contains("Sign in") && !page.body.contains("panel.js"));
    let origin = bench.origin();
    for cookie in ["", "sandpit-panel=", "sandpit-panel=00", "other=1; sandpit-panel=ff"] {
        let headers = [("Cookie", cookie), ("Origin", origin.as_str()), ("x-sandpit-key", "01")];
        for path in ["/panel/session", "/panel/events", "/panel/equity", "/panel/audit"] {
            assert_eq!(bench.ask("GET", path, &headers, "").await.status, 401, "{path} {cookie}");
        }
        for (path, body) in DEEDS {
            assert_eq!(bench.ask("POST", path, &headers, body).await.status, 401, "{path} {cookie}");
            assert_eq!(bench.ask("GET", path, &headers, "").await.status, 405, "{path}");
        }
    }
    assert_eq!(bench.done(), Vec::<String>::new());
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_wears_the_policy_and_no_answer_the_token() {
    let bench = Bench::new(|_| {}).await;
    let (cookie, _) = bench.signed_in().await;
    for path in
        ["/", "/panel/panel.js", "/panel/session", "/panel/audit", "/panel/nothing", "/panel/panel.css"]
    {
        let answer = bench.ask("GET", path, &[("Cookie", &cookie)], "").await;
        let policy = answer.header("content-security-policy").expect("a policy").to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name} of {path}");
        }
        assert!(!answer.body.contains(TOKEN) && !answer.head.contains(TOKEN), "{path}");
    }
    assert!(!cookie.contains(TOKEN));
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_for_this_site_only_and_no_script() {
    let bench = Bench::new(|parts| parts.trusted_proxies = vec!["127.0.0.1".parse().expect("one")]).await;
    let proxied = |proto| [("X-Forwarded-For", "9.9.9.9"), ("X-Forwarded-Proto", proto)];
    let host = ("Host", "panel.example.org");
    let https = [&proxied("https")[..], &[host, ("Origin", "https://panel.example.org")]].concat();
    let answer = bench.sign_in(TOKEN, &https).await;
    let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
    assert_eq!(answer.status, 303);
    for part in ["__Host-sandpit=", "; Path=/", "; HttpOnly", "; SameSite=Strict", "; Secure"] {
        assert!(cookie.contains(part), "{part} is not in {cookie}");
    }
    assert!(!cookie.to_lowercase().contains("domain"));
    let http = [&proxied("http")[..], &[host, ("Origin", "http://panel.example.org")]].concat();
    let refused = bench.sign_in(TOKEN, &http).await;
    assert!(refused.status == 403 && refused.body.contains("no TLS"), "{refused:?}");
    // The secure session is none where there is no TLS, and the other way round.
    let plain = bench.ask("GET", "/panel/session", &[("Cookie", &answer.cookie())], "").await;
    assert_eq!(plain.status, 401);
    bench.end().await;

    let bench = Bench::new(|_| {}).await;
    let cookie = bench.sign_in(TOKEN, &[]).await.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.starts_with("sandpit-panel=") && cookie.contains("; HttpOnly; SameSite=Strict"));
    // Nobody's word but a trusted proxy's makes it secure.
    let forged = bench.sign_in(TOKEN, &proxied("https")).await;
    assert!(forged.cookie().starts_with("sandpit-panel="), "{forged:?}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_locks_out_by_every_way_and_nobody_else() {
    let bench = Bench::new(|parts| parts.trusted_proxies = vec!["127.0.0.1".parse().expect("one")]).await;
    let from = |address| [("X-Forwarded-For", address), ("X-Forwarded-Proto", "https")];
    let own = ("Origin", format!("https://{}", bench.address));
    let sign_in = async |address, token: &str| {
        let headers = [&from(address)[..], &[("Origin", own.1.as_str())]].concat();
        bench.sign_in(token, &headers).await.status
    };
    let bearer = async |address, path, token: &str| {
        let token = format!("Bearer {token}");
        let headers = [&from(address)[..], &[("Authorization", token.as_str())]].concat();
        bench.ask("GET", path, &headers, "").await
    };
    // Three ways, one counter.
    assert_eq!(sign_in("9.9.9.9", "guess-1").await, 401);
    assert_eq!(sign_in("9.9.9.9", "guess-2").await, 401);
    assert_eq!(bearer("9.9.9.9", "/status", "guess-3").await.status, 401);
    assert!(!bearer("9.9.9.9", "/metrics", "guess-4").await.body.contains("_usd"));
    assert!(bearer("9.9.9.9", "/metrics", TOKEN).await.body.contains("_usd"), "four are free, and forgiven");
    for guess in ["guess-1", "guess-2", "guess-3", "guess-4", "guess-5"] {
        assert_eq!(bearer("9.9.9.9", "/status", guess).await.status, 401);
    }
    assert_eq!(sign_in("9.9.9.9", TOKEN).await, 429, "the right one is not looked at");
    let locked = bearer("9.9.9.9", "/status", TOKEN).await;
    assert_eq!((locked.status, locked.header("retry-after")), (429, Some("31")));
    assert!(!bearer("9.9.9.9", "/metrics", TOKEN).await.body.contains("_usd"));
    assert_eq!(bearer("8.8.8.8", "/status", TOKEN).await.status, 200, "somebody else's guesses");
    assert_eq!(sign_in("8.8.8.8", TOKEN).await, 303);
    bench.clock_s.fetch_add(30, Ordering::Relaxed);
    assert_eq!(sign_in("9.9.9.9", TOKEN).await, 303);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_own_page_does_anything() {
    let bench = Bench::new(|_| {}).await;
    let (cookie, key) = bench.signed_in().await;
    let origin = bench.origin();
    let port = bench.address.port();
    let localhost = format!("http://localhost:{port}");
    let good = [("Cookie", cookie.as_str()), ("Origin", origin.as_str()), ("x-sandpit-key", key.as_str())];
    let with = |at: usize, pair: (&'static str, &str)| {
        let mut headers = good.map(|(name, value)| (name, value.to_owned())).to_vec();
        headers[at] = (pair.0, pair.1.to_owned());
        headers
    };
    let mut cases = vec![
        with(1, ("Origin", "")),
        with(1, ("Origin", "null")),
        with(1, ("Origin", "http://evil.example")),
        with(1, ("Origin", "http://127.0.0.1:3000")),
        with(1, ("Origin", &localhost)),
        with(1, ("Sec-Fetch-Site", "cross-site")),
        with(1, ("Sec-Fetch-Site", "same-site")),
        with(2, ("x-sandpit-key", "")),
        with(2, ("x-sandpit-key", "00")),
        with(2, ("x-sandpit-key", &"00".repeat(32))),
    ];
    let mut cross = with(1, ("Origin", &origin));
    cross.push(("Sec-Fetch-Site", "cross-site".into()));
    cases.push(cross);
    let deeds = DEEDS.into_iter().chain([("/panel/logout", "{}")]);
    for (path, body) in deeds.clone() {
        for case in &cases {
            let headers: Vec<_> = case.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = bench.ask("POST", path, &headers, body).await;
            assert_eq!(answer.status, 403, "{path} {headers:?}: {answer:?}");
        }
    }
    for site in ["cross-site", "same-site"] {
        for path in ["/panel/session", "/panel/events", "/panel/equity", "/panel/audit"] {
            let headers = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", site)];
            assert_eq!(bench.ask("GET", path, &headers, "").await.status, 403, "{path} {site}");
        }
    }
    assert_eq!(bench.sign_in(TOKEN, &[("Origin", "http://evil.example")]).await.status, 403);
    assert_eq!(bench.done(), Vec::<String>::new());
    for (path, body) in DEEDS {
        let answer = bench.ask("POST", path, &good, body).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    assert_eq!(bench.done(), ["cancel sp-1", "pause s", "resume s", "panic r"]);
    // The key of another session is none.
    let (_, other) = bench.signed_in().await;
    let headers = [good[0], good[1], ("x-sandpit-key", other.as_str())];
    assert_eq!(bench.ask("POST", DEEDS[0].0, &headers, DEEDS[0].1).await.status, 403);
    assert_eq!(bench.ask("POST", "/panel/logout", &good, "{}").await.status, 204);
    assert_eq!(bench.ask("POST", DEEDS[0].0, &good, DEEDS[0].1).await.status, 401, "signed out");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_name_that_points_here_gets_nothing() {
    let bench = Bench::new(|_| {}).await;
    let (cookie, _) = bench.signed_in().await;
    for host in ["evil.example", "panel.example.org.evil", "127.0.0.1.evil:80"] {
        for path in ["/", "/panel/session", "/panel/panel.js", "/panel/events"] {
            let answer = bench.ask("GET", path, &[("Host", host), ("Cookie", &cookie)], "").await;
            assert_eq!(answer.status, 421, "{path} as {host}");
        }
        let origin = format!("http://{host}");
        assert_eq!(bench.sign_in(TOKEN, &[("Host", host), ("Origin", &origin)]).await.status, 421);
    }
    assert_eq!(bench.raw("GET / HTTP/1.0\r\n\r\n").await.status, 421, "no name at all");
    let headers = [("Host", "panel.example.org"), ("Cookie", cookie.as_str())];
    assert_eq!(bench.ask("GET", "/panel/session", &headers, "").await.status, 200);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_does_nothing_and_says_so() {
    let bench = Bench::new(|parts| parts.is_read_only = true).await;
    let (cookie, key) = bench.signed_in().await;
    let origin = bench.origin();
    let good = [("Cookie", cookie.as_str()), ("Origin", origin.as_str()), ("x-sandpit-key", key.as_str())];
    for (path, body) in DEEDS {
        let answer = bench.ask("POST", path, &good, body).await;
        assert!(answer.status == 403 && answer.body.contains("read-only"), "{path}: {answer:?}");
    }
    assert_eq!(bench.done(), Vec::<String>::new());
    let told = bench.ask("GET", "/panel/session", &good, "").await;
    assert!(told.body.contains("\"read_only\":true"));
    assert_eq!(bench.ask("POST", "/panel/logout", &good, "{}").await.status, 204);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_over_sees_nothing_more() {
    let bench = Bench::new(|_| {}).await;
    let (cookie, _) = bench.signed_in().await;
    let mut stream = TcpStream::connect(bench.address).await.expect("it listens");
    let request = format!("GET /panel/events HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut text = String::new();
    let mut bytes = vec![0; 65_536];
    while !text.contains("\n\n") || !text.contains("data: {") {
        let read = timeout(SOON, stream.read(&mut bytes)).await.expect("in time").expect("readable");
        assert_ne!(read, 0, "{text}");
        text += &String::from_utf8_lossy(&bytes[..read]);
    }
    assert!(text.contains("text/event-stream") && text.contains("\"leased\""), "{text}");
    assert!(!text.contains("event: over"));
    bench.clock_s.fetch_add(12 * 3_600, Ordering::Relaxed);
    for _ in 0..10 {
        if text.contains("event: over") {
            break;
        }
        let read = timeout(SOON, stream.read(&mut bytes)).await.expect("in time").expect("readable");
        assert_ne!(read, 0, "{text}");
        text += &String::from_utf8_lossy(&bytes[..read]);
    }
    assert!(text.contains("event: over"), "{text}");
    assert_eq!(bench.ask("GET", "/panel/audit", &[("Cookie", &cookie)], "").await.status, 401);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded_and_do_not_keep_the_host_from_ending() {
    let bench = Bench::new(|_| {}).await;
    let ((owner, _), (other, _)) = (bench.signed_in().await, bench.signed_in().await);
    let mut open = Vec::new();
    for (at, (cookie, status)) in
        [(&owner, "200"); 16].into_iter().chain([(&other, "503"), (&owner, "200")]).enumerate()
    {
        let request = format!("GET /panel/events HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
        let mut stream = TcpStream::connect(bench.address).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut bytes = [0; 12];
        timeout(SOON, stream.read_exact(&mut bytes)).await.expect("in time").expect("readable");
        assert_eq!(String::from_utf8_lossy(&bytes), format!("HTTP/1.1 {status}"), "{at}");
        open.push(stream);
    }
    // The last one has the place of the first, of the same session.
    let (mut rest, mut bytes) = (Vec::new(), [0; 4_096]);
    while !rest.ends_with(b"\r\n0\r\n\r\n") {
        let read = timeout(SOON, open[0].read(&mut bytes)).await.expect("it ends").expect("readable");
        rest.extend_from_slice(&bytes[..read]);
    }
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_from_outside_is_data_and_what_is_wrong_is_refused() {
    let bench = Bench::new(|_| {}).await;
    let (cookie, key) = bench.signed_in().await;
    let origin = bench.origin();
    let good = [("Cookie", cookie.as_str()), ("Origin", origin.as_str()), ("x-sandpit-key", key.as_str())];
    let audit = bench.ask("GET", "/panel/audit", &good, "").await;
    assert_eq!(audit.header("content-type"), Some("application/json"));
    assert!(audit.body.contains("onload") && audit.body.contains(" 50\""), "{audit:?}");
    assert_eq!(bench.ask("GET", "/panel/equity", &good, "").await.body, "[[5,1.5]]");
    let check = async |path, body: &str, status| {
        let answer = bench.ask("POST", path, &good, body).await;
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
    };
    for body in ["", "{}", "[]", r#"{"client_order_id":7}"#, r#"{"client_order_id":"a","more":1}"#] {
        check("/panel/cancel", body, 400).await;
    }
    check("/panel/cancel", &format!(r#"{{"client_order_id":"{}"}}"#, "x".repeat(129)), 400).await;
    check("/panel/cancel", r#"{"client_order_id":"a\nb"}"#, 400).await;
    check("/panel/cancel", &format!(r#"{{"client_order_id":"{}"}}"#, "x".repeat(5_000)), 413).await;
    assert_eq!(bench.done(), Vec::<String>::new());
    check("/panel/cancel", r#"{"client_order_id":"wrong"}"#, 409).await;
    check("/panel/cancel", r#"{"client_order_id":"busy"}"#, 503).await;
    check("/panel/cancel", r#"{"client_order_id":"late"}"#, 504).await;
    let answer = bench.ask("POST", "/panel/panic", &good, r#"{"reason":"fire\nhere"}"#).await;
    assert!(answer.body.contains(r#"{"step":"asked"}"#) && answer.body.contains(r#"{"step":"taken"}"#));
    assert_eq!(bench.done().last().map(String::as_str), Some("panic firehere"));
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_there_is_no_panel() {
    let noted = Arc::new(Noted::default());
    let parts = PanelParts {
        hosts: Vec::new(),
        trusted_proxies: Vec::<IpAddr>::new(),
        plain_http_from: Vec::new(),
        is_read_only: false,
        random,
        clock: Arc::new(|| Duration::ZERO),
        deeds: noted.clone(),
        history: noted.clone(),
    };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let monitor = Monitor::bind(any, Arc::new(Snapshot::default), None).await.expect("a port");
    let monitor = monitor.with_panel(parts);
    let address = monitor.address().expect("bound");
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(monitor.serve(stopped));
    let bench = Bench { address, noted, clock_s: Arc::default(), stop, server };
    for path in ["/", "/panel/session", "/panel/panel.js", "/panel/events"] {
        assert_eq!(bench.ask("GET", path, &[], "").await.status, 404, "{path}");
    }
    assert_eq!(bench.ask("GET", "/status", &[], "").await.status, 200);
    bench.end().await;
}
