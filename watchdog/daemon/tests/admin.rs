//! The admin port of the real binary, asked over real sockets by good and bad clients.

mod bench;

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use bench::{Bench, Dog, boot_ms, bound, fake_host_main, signal};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use sandpit_contract::{BrokerProof, State};

const SECOND: Duration = Duration::from_secs(1);
const TOKEN: &str = "a-token-of-the-admin-tests";
const PRESS: &str = r#"{"reason": "a test"}"#;

/// Not a test: the process that the watchdog starts as its host.
#[test]
#[ignore = "it is the host of the other tests"]
fn fake_host() {
    fake_host_main();
}

fn bench() -> Bench {
    let bench = Bench::new("spawn");
    bench.write_config(&bench.config_text().replace("\"off\"", "\"127.0.0.1:0\""));
    bench
}

/// The port of a running watchdog.
#[derive(Clone, Copy)]
struct Port(SocketAddr);

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Port {
    fn of(dog: &Dog) -> Self {
        let line = dog.line("admin port at http://", 5 * SECOND);
        let address = line.split("http://").nth(1).expect("it is there");
        Self(address.split(';').next().expect("some").parse().expect("an address"))
    }

    fn connect(self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.0, 5 * SECOND).expect("it listens");
        stream.set_read_timeout(Some(15 * SECOND)).expect("set");
        stream
    }

    /// `lines` are a request line and headers, without `Host` unless they bring one.
    fn ask(self, lines: &str, body: &str) -> Reply {
        let host = if lines.contains("\r\nHost:") { String::new() } else { format!("\r\nHost: {}", self.0) };
        let length =
            if body.is_empty() { String::new() } else { format!("\r\nContent-Length: {}", body.len()) };
        let mut stream = self.connect();
        stream.write_all(format!("{lines}{host}{length}\r\n\r\n{body}").as_bytes()).expect("sent");
        reply(&mut stream)
    }

    fn get(self, path: &str) -> Reply {
        self.ask(&format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer {TOKEN}"), "")
    }

    fn press(self, body: &str, headers: &str) -> Reply {
        self.ask(&format!("POST /panic HTTP/1.1\r\nContent-Type: application/json{headers}"), body)
    }

    fn press_well(self) -> Reply {
        self.press(PRESS, &format!("\r\nAuthorization: Bearer {TOKEN}"))
    }
}

fn reply(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    // Whoever sends more than is read meets a broken connection behind the answer; no answer is status 0.
    let _: std::io::Result<usize> = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    Reply { status, head: head.to_ascii_lowercase(), body: body.into() }
}

#[test]
fn every_refusal_has_its_status_and_kills_nothing() {
    let bench = bench();
    bench.arm();
    let dog = bench.run_with(&[("PANIC_TOKEN", TOKEN)]);
    let port = Port::of(&dog);
    let leased = bench.leased(10 * SECOND);
    let right = format!("\r\nAuthorization: Bearer {TOKEN}");
    let check = |wanted: u16, reply: Reply| {
        assert_eq!(reply.status, wanted, "{reply:?}");
        assert!(reply.head.contains("\r\ncache-control: no-store"), "{reply:?}");
        assert!(!reply.body.contains(TOKEN) && reply.body.trim_end().lines().count() <= 1, "{reply:?}");
    };
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "BREW"] {
        let reply = port.ask(&format!("{method} /panic HTTP/1.1{right}"), "");
        assert!(reply.head.contains("\r\nallow: post"), "{reply:?}");
        check(405, reply);
    }
    for path in ["/", "/status", "/metrics", "/health"] {
        check(405, port.ask(&format!("POST {path} HTTP/1.1{right}"), PRESS));
    }
    check(404, port.get("/panic/"));
    check(404, port.get("/favicon.ico"));
    check(401, port.press(PRESS, ""));
    check(401, port.press(PRESS, "\r\nAuthorization: Basic YTpi"));
    check(401, port.press(PRESS, &format!("{right}{right}")));
    check(401, port.ask("GET /status HTTP/1.1", ""));
    let path = format!("/status?token={TOKEN}");
    check(401, port.ask(&format!("GET {path} HTTP/1.1"), ""));
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"]
    {
        check(415, port.ask(&format!("POST /panic HTTP/1.1\r\nContent-Type: {kind}{right}"), PRESS));
    }
    check(415, port.ask(&format!("POST /panic HTTP/1.1{right}"), PRESS));
    let reason = |text: &str| format!("{{\"reason\": {}}}", serde_json::json!(text));
    for body in ["", "{", "[]", "{}", "null", r#"{"reason": 1}"#, &"[".repeat(4000)] {
        check(400, port.press(body, &right));
    }
    for text in ["", "  ", "a\nb", "\u{1b}[2J", "\u{0}", &"x".repeat(201), &"é".repeat(201)] {
        check(400, port.press(&reason(text), &right));
    }
    check(413, port.press(&reason(&"x".repeat(5000)), &right));
    check(413, port.press(&" ".repeat(60_000), &right));
    check(413, port.press(&" ".repeat(100_000), &right));
    let mut half = port.connect();
    let head = "POST /panic HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100";
    half.write_all(format!("{head}{right}\r\nHost: {}\r\n\r\n{PRESS}", port.0).as_bytes()).expect("sent");
    half.shutdown(std::net::Shutdown::Write).expect("half open");
    check(400, reply(&mut half));
    let chunks = format!("POST /panic HTTP/1.1\r\nContent-Type: application/json{right}");
    let chunks = format!("{chunks}\r\nTransfer-Encoding: chunked\r\nX: y");
    let mut stream = port.connect();
    stream.write_all(format!("{chunks}\r\nHost: {}\r\n\r\n", port.0).as_bytes()).expect("sent");
    for _ in 0..6 {
        stream.write_all(format!("400\r\n{}\r\n", "x".repeat(1024)).as_bytes()).expect("sent");
    }
    stream.write_all(b"0\r\n\r\n").expect("sent");
    check(413, reply(&mut stream));
    for host in ["evil.example", "127.0.0.1", "localhost:1", "", &format!("{}@evil.example", port.0)] {
        for line in ["GET / HTTP/1.1", "GET /status HTTP/1.1", "GET /metrics HTTP/1.1"] {
            check(403, port.ask(&format!("{line}\r\nHost: {host}{right}"), ""));
        }
        check(403, port.press(PRESS, &format!("\r\nHost: {host}{right}")));
    }
    check(403, port.press(PRESS, &format!("\r\nHost: {0}\r\nHost: {0}{right}", port.0)));
    for origin in ["null", "https://evil.example", "http://127.0.0.1", "http://localhost:1", ""] {
        check(403, port.press(PRESS, &format!("\r\nOrigin: {origin}{right}")));
        check(403, port.ask(&format!("GET /status HTTP/1.1\r\nOrigin: {origin}{right}"), ""));
    }
    let many = "\r\nX: y".repeat(70);
    assert_eq!(port.press(PRESS, &format!("{many}{right}")).status, 431);
    assert_eq!(port.press(PRESS, &format!("\r\nX: {}{right}", "y".repeat(9000))).status, 431);
    // What is allowed: other names of loopback, and a page of this port.
    let good = port.0.port();
    for name in ["localhost", "LOCALHOST", "[::1]"] {
        let headers = format!("Host: {name}:{good}\r\nOrigin: http://{name}:{good}{right}");
        assert_eq!(port.ask(&format!("GET /status HTTP/1.1\r\n{headers}"), "").status, 200);
    }
    let status = bench.leased(SECOND);
    assert_eq!((status.host_pid, status.kill), (leased.host_pid, None), "nothing has happened");
}

#[test]
fn guessing_is_paused_and_the_owner_gets_in() {
    let bench = bench();
    let dog = bench.run_with(&[("PANIC_TOKEN", TOKEN)]);
    let port = Port::of(&dog);
    let guess = || port.press(PRESS, "\r\nAuthorization: Bearer a-token-of-the-admin-guesser").status;
    let got: Vec<_> = (0..7).map(|_| guess()).collect();
    assert_eq!(got, [401, 401, 401, 401, 429, 429, 429]);
    dog.line("5 wrong tokens within a minute", 5 * SECOND);
    assert_eq!(port.get("/status").status, 200);
    assert_eq!(port.press_well().status, 202);
    dog.line("[KILL] layer=panic reason=a test", 5 * SECOND);
}

#[test]
fn a_press_ends_in_proved_zero_though_the_host_stands_still() {
    let bench = bench();
    bench.broker.open(3);
    bench.arm();
    let file = bench.state("token");
    fs::write(&file, format!("{TOKEN}\n")).expect("written");
    let dog = bench.run_with(&[("PANIC_TOKEN_FILE", file.to_str().expect("plain"))]);
    let port = Port::of(&dog);
    let pid = bench.leased(10 * SECOND).host_pid.expect("a host");
    let environment = fs::read(format!("/proc/{pid}/environ")).expect("ours");
    assert!(!String::from_utf8_lossy(&environment).contains("PANIC_TOKEN"), "the host cannot stop itself");
    signal(pid, "STOP");
    let start = boot_ms();
    let reply = port.press_well();
    let answered_ms = boot_ms() - start;
    assert_eq!(reply.status, 202, "{reply:?}");
    let pressed: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
    assert_eq!((&pressed["taken"], &pressed["layer"]), (&true.into(), &"panic".into()), "{pressed}");
    assert!(["killing", "killed"].contains(&pressed["state"].as_str().expect("a word")), "{pressed}");
    assert!(pressed["proof"].as_str().is_some_and(|text| text.contains("/status")), "{pressed}");
    assert!(!bound(SECOND, || !bench::is_alive(pid)), "the host is gone");
    println!("press answered in {answered_ms} ms, host gone within {} ms", boot_ms() - start);
    dog.line("[KILL] ZERO_SEEN open=0 after_ms=", 5 * SECOND);
    dog.line("[KILL] CONFIRMED_ZERO", 5 * SECOND);
    let is_proved = || {
        let seen: sandpit_contract::Status = serde_json::from_str(&port.get("/status").body).expect("JSON");
        (seen.state, seen.broker) == (State::Killed, Some(BrokerProof::ConfirmedZero))
    };
    assert!(!bound(SECOND, is_proved));
    // A second one is a kill once more.
    bench.broker.open(1);
    let reply = port.press(r#"{"reason": "again"}"#, &format!("\r\nAuthorization: bearer {TOKEN}"));
    assert_eq!(reply.status, 202, "{reply:?}");
    dog.line("[KILL] again layer=panic reason=again", 5 * SECOND);
    dog.line("[KILL] cancel taken orders=1", 5 * SECOND);
    // Nothing over the network leads out.
    assert_eq!(port.ask(&format!("POST /arm HTTP/1.1\r\nAuthorization: Bearer {TOKEN}"), PRESS).status, 404);
    fs::remove_file(&file).expect("ours");
    assert_eq!(dog.stop(), Some(0));
}

#[test]
fn a_press_needs_no_broker() {
    let bench = bench();
    bench.arm();
    let dog = bench.run_with(&[("PANIC_TOKEN", TOKEN)]);
    let port = Port::of(&dog);
    bench.leased(10 * SECOND);
    bench.broker.go_down();
    let reply = port.press_well();
    assert!(reply.status == 202 && reply.body.contains("PENDING_AT_BROKER"), "{reply:?}");
    dog.line("[KILL] host gone signal=9", 5 * SECOND);
    assert!(!bound(5 * SECOND, || port.get("/status").body.contains("\"killed\"")));
}

#[test]
fn without_a_token_there_is_no_button_and_it_is_said() {
    let bench = bench();
    bench.arm();
    let dog = bench.run();
    let line = dog.line("admin port at http://", 5 * SECOND);
    assert!(line.contains("without PANIC_TOKEN the panic button and /status are off"), "{line}");
    let port = Port(
        line.split("http://")
            .nth(1)
            .and_then(|rest| rest.split(';').next())
            .expect("an address")
            .parse()
            .expect("an address"),
    );
    bench.leased(10 * SECOND);
    for reply in [port.get("/"), port.get("/status"), port.press_well()] {
        assert!(reply.status == 503 && reply.body.contains("PANIC_TOKEN"), "{reply:?}");
    }
    assert_eq!(port.get("/health").status, 200);
    assert_eq!(port.get("/metrics").status, 200);
    bench.leased(SECOND);
}

#[test]
fn a_flood_of_bad_clients_changes_nothing_and_keeps_nobody_out() {
    let bench = bench();
    bench.arm();
    let dog = bench.run_with(&[("PANIC_TOKEN", TOKEN)]);
    let port = Port::of(&dog);
    let pid = bench.leased(10 * SECOND).host_pid;
    // Half a head, half a body, nothing at all, garbage, and a reader who never reads.
    let right = format!("Authorization: Bearer {TOKEN}\r\nHost: {}", port.0);
    let body = format!(
        "POST /panic HTTP/1.1\r\n{right}\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{{"
    );
    let bad = [
        "GET /st",
        "",
        "\u{0}\u{1}garbage\r\n\r\n",
        "GET / HTTP/1.1\r\nX: ",
        &body,
        "GET /metrics HTTP/1.1\r\n\r\n",
    ];
    let mut clients = Vec::new();
    let mut slowest_ms = 0;
    for round in 0..4 {
        for n in 0..50 {
            let mut client = port.connect();
            // One that was ended meanwhile is what is tested here.
            let _: std::io::Result<()> = client.write_all(bad[n % bad.len()].as_bytes());
            clients.push(client);
        }
        let start = boot_ms();
        assert_eq!(port.get("/health").status, 200, "round {round}");
        slowest_ms = slowest_ms.max(boot_ms() - start);
    }
    println!("with {} bad clients a good one waited {slowest_ms} ms at most", clients.len());
    assert!(slowest_ms <= 3000, "a good client waited {slowest_ms} ms");
    let descriptors = fs::read_dir(format!("/proc/{}/fd", dog.pid())).expect("ours").count();
    assert!(descriptors <= 64 + 40, "{descriptors} descriptors are open");
    let status = bench.leased(SECOND);
    assert_eq!((status.host_pid, status.host_restarts), (pid, 0), "the lease was never lost");
    // The slow ones are all ended in time, though they never end by themselves.
    let mut last = clients.pop().expect("some");
    last.write_all(b"X").expect("sent");
    let mut rest = Vec::new();
    let start = boot_ms();
    let _: std::io::Result<usize> = last.read_to_end(&mut rest);
    assert!(boot_ms() - start <= 12_000, "a slow client was kept for {} ms", boot_ms() - start);
    assert_eq!(port.press_well().status, 202);
    dog.line("[KILL] layer=panic", 5 * SECOND);
}

#[test]
fn a_press_works_with_no_descriptor_left() {
    let bench = bench();
    bench.arm();
    let dog = bench.run_with(&[("PANIC_TOKEN", TOKEN)]);
    let port = Port::of(&dog);
    bench.leased(10 * SECOND);
    let numbers = || -> BTreeMap<u64, String> {
        let entries = fs::read_dir(format!("/proc/{}/fd", dog.pid())).expect("ours");
        let one = |entry: std::io::Result<fs::DirEntry>| {
            let path = entry.ok()?.path();
            let target = fs::read_link(&path).ok()?.to_string_lossy().into_owned();
            Some((path.file_name()?.to_str()?.parse().ok()?, target))
        };
        entries.filter_map(one).collect()
    };
    // The reserve is the last of its kind. The limit is a bound on numbers: peers of the other socket fill
    // the gaps below it, so that nothing but the reserve can come free.
    let reserve =
        *numbers().iter().rev().find(|(_, target)| target.contains("eventfd")).expect("it is there").0;
    let has_gaps = || (numbers().range(..=reserve).count() as u64) <= reserve;
    let mut peers = Vec::new();
    while has_gaps() {
        let before = numbers().len();
        peers.push(bench::host::dial(&bench.state("lease.sock")));
        assert!(!bound(5 * SECOND, || numbers().len() > before) && peers.len() < 16, "{:?}", numbers());
    }
    let limit = reserve + 1;
    let pid = Pid::from_raw(i32::try_from(dog.pid()).expect("a number"));
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(limit), maximum: Some(limit) }).expect("ours");
    for n in 0..3 {
        let reply = port.press_well();
        assert_eq!(reply.status, 202, "press {n}: {reply:?}");
    }
    dog.line("[KILL] layer=panic", 5 * SECOND);
    dog.line("[KILL] ZERO_SEEN", 5 * SECOND);
    // The one descriptor there is goes around, also when it is in bad hands.
    let idle: Vec<_> = (0..5).map(|_| port.connect()).collect();
    let reply = port.get("/status");
    assert_eq!(reply.status, 200, "behind {} idle ones: {reply:?}", idle.len());
}

#[test]
fn the_page_is_one_file_that_a_browser_may_not_leave() {
    let bench = bench();
    let dog = bench.run_with(&[("PANIC_TOKEN", TOKEN)]);
    let port = Port::of(&dog);
    let reply = port.get("/");
    assert_eq!(reply.status, 200);
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; script-src 'sha256-",
        "frame-ancestors 'none'",
        "x-frame-options: deny",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "connection: close",
    ] {
        assert!(reply.head.contains(header), "{header} is not in {}", reply.head);
    }
    assert!(!reply.head.contains("unsafe") && !reply.head.contains("access-control"), "{}", reply.head);
    for word in ["http:", "https:", "//", "src=", "href=", "url(", TOKEN] {
        assert!(!reply.body.contains(word), "{word}");
    }
    assert!(["ssh -L", "VPN", "TLS"].iter().all(|way| reply.body.contains(way)));
    let head = port.ask("HEAD / HTTP/1.1", "");
    assert!(head.status == 200 && head.body.is_empty(), "{head:?}");
}

/// Samples by name and labels; panics at whatever Prometheus would not take.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let mut kinds = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a kind");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(kinds.insert(name.to_owned(), kind).is_none(), "twice: {line}");
        } else if line.starts_with("# HELP ") {
            assert!(line.split(' ').count() > 4, "{line}");
        } else {
            let (name, number) = line.rsplit_once(' ').expect("a sample");
            assert!(kinds.contains_key(name.split('{').next().expect("some")), "no type: {line}");
            let number = number.parse().expect("a number");
            assert!(samples.insert(name.to_owned(), number).is_none(), "twice: {line}");
        }
    }
    samples
}

#[test]
fn the_metrics_are_what_prometheus_reads() {
    let bench = bench();
    bench.arm();
    let dog = bench.run();
    let port = Port::of(&dog);
    bench.leased(10 * SECOND);
    let metrics = || {
        let reply = port.ask("GET /metrics HTTP/1.1", "");
        assert!(reply.head.contains("content-type: text/plain; version=0.0.4"), "{}", reply.head);
        assert!(reply.body.ends_with('\n'));
        parsed(&reply.body)
    };
    let found = metrics();
    let of = |found: &BTreeMap<String, f64>, name: &str| {
        *found
            .get(&format!("sandpit_watchdog_{name}"))
            .unwrap_or_else(|| panic!("{name} is not in {found:?}"))
    };
    assert_eq!(of(&found, "state{state=\"leased\"}"), 1.0);
    assert_eq!(of(&found, "kill_proof{proof=\"ZERO_SEEN\"}"), 0.0);
    assert_eq!((of(&found, "host_up"), of(&found, "host_restarts_total")), (1.0, 0.0));
    let left = of(&found, "lease_remaining_seconds");
    assert!(0.0 < left && left <= 2.0, "{left}");
    assert!(of(&found, "loop_age_seconds") < 2.0);
    assert!(of(&found, "host_loop_age_seconds{loop=\"store\"}") < 2.0);
    assert!(of(&found, "host_loop_progress_total{loop=\"store\"}") >= 1.0);
    assert!(!bound(5 * SECOND, || of(&metrics(), "host_resident_memory_bytes") > 1e5));
    let ratio = of(&found, "host_memory_used_ratio");
    assert!((0.0..=1.0).contains(&ratio), "{ratio}");
    assert!(found.keys().all(|name| !name.contains("usd") && !name.contains("equity")), "no money");
    fs::write(bench.flag(), b"").expect("a flag");
    dog.line("[KILL] ZERO_SEEN", 5 * SECOND);
    let is_seen = || {
        let found = metrics();
        of(&found, "state{state=\"killed\"}") == 1.0
            && of(&found, "kill_proof{proof=\"ZERO_SEEN\"}")
                + of(&found, "kill_proof{proof=\"CONFIRMED_ZERO\"}")
                == 1.0
            && of(&found, "lease_remaining_seconds") == 0.0
    };
    assert!(!bound(5 * SECOND, is_seen));
}

#[test]
fn a_taken_port_is_said_and_had_later_while_the_watchdog_guards() {
    let bench = bench();
    let out = bench.state("alerts");
    let script = format!("cat >> {}", out.display());
    let alerts = format!("[alerts]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n");
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = taken.local_addr().expect("bound");
    let listen = bench.config_text().replace("\"off\"", &format!("\"{address}\""));
    bench.write_config(&(listen + &alerts));
    bench.arm();
    let dog = bench.run_with(&[("PANIC_TOKEN", TOKEN)]);
    dog.line(&format!("the admin address {address} cannot be used"), 5 * SECOND);
    bench.leased(10 * SECOND);
    let told = |key: &str| {
        let has = || fs::read_to_string(&out).is_ok_and(|text| text.contains(&format!("\"key\":\"{key}\"")));
        assert!(!bound(10 * SECOND, has), "{key} was not told");
    };
    told("admin-taken");
    drop(taken);
    let port = Port::of(&dog);
    assert_eq!(port.0, address);
    told("admin-back");
    assert_eq!(port.press_well().status, 202);
    bench.wait(5 * SECOND, |status| status.state == State::Killed);
}

#[test]
fn a_wrong_port_or_token_is_one_sentence_and_a_code() {
    let bench = bench();
    let good = bench.config_text();
    let check = |code: i32, words: &str| {
        let (got, text) = bench.command(&["run"]);
        assert!(got == Some(code) && text.contains(words), "{words}: {got:?} {text}");
        assert_eq!(text.trim().lines().count(), 1, "{text}");
    };
    for open in ["0.0.0.0:0", "[::]:0", "10.0.0.1:8081", "8081"] {
        bench.write_config(&good.replace("\"off\"", &format!("{open:?}")));
        check(10, "must be a loopback address");
    }
    bench.write_config(&good.replace("\"off\"", "\"off\"\nhosts = [\"http://x\"]"));
    check(10, "`[admin] hosts` holds `http://x`");
    let file = bench.state("short");
    fs::write(&file, "hush-hush").expect("written");
    bench.write_config(&good);
    let (code, text) = bench.command_with(&["run"], &[("PANIC_TOKEN_FILE", file.to_str().expect("plain"))]);
    assert!(code == Some(10) && text.contains("PANIC_TOKEN has 9 characters"), "{code:?} {text}");
    assert!(!text.contains("hush"), "{text}");
}
