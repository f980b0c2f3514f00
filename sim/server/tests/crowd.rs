//! Ten thousand connections that say nothing, or half a sentence: the others are served, memory is bounded.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    poll::{PollTimeout, poll},
    sys::resource::{Resource, getrlimit, setrlimit},
};

/// How many sockets do nothing.
const IDLE: usize = 10_000;
/// How many of them connect at once.
const BATCH: usize = 2_000;
/// Connections of the requests before that may not be closed yet when the descriptors are counted.
const CLOSING: usize = 2;
/// Descriptors that the test and the program need besides, each.
const SPARE_FILES: u64 = 1_000;
/// What one idle socket may cost the program, in bytes of resident memory.
const MOST_BYTES_EACH: u64 = 32 * 1024;
/// How often, and how far apart, a condition is looked at.
const LOOKS: usize = 1_500;
const LOOK_MS: u16 = 20;
const PATIENCE: Duration = Duration::from_secs(20);

struct Program {
    child: Child,
    address: String,
}

impl Program {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sandpit-sim"))
            .args(["--listen", "127.0.0.1:0", "--symbols", "SPY", "--always-open", "--rpm", "1000000"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim_end().strip_prefix("listening ").expect("the first line").to_owned();
        Self { child, address }
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }

    /// Open descriptors.
    fn files(&self) -> usize {
        fs::read_dir(self.proc("fd")).expect("it runs").count()
    }

    fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells");
        line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("kilobytes") * 1024
    }

    fn connect(&self, first_words: &str) -> TcpStream {
        let mut socket = TcpStream::connect(&self.address).expect("it accepts");
        socket.set_read_timeout(Some(PATIENCE)).expect("sockets have timeouts");
        socket.write_all(first_words.as_bytes()).expect("it listens");
        socket
    }

    /// The first line of the answer to a request.
    fn ask(&self, request: &str) -> String {
        let mut line = String::new();
        BufReader::new(self.connect(request)).read_line(&mut line).expect("an answer in time");
        line.trim_end().to_owned()
    }

    fn wait_for(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        for _ in 0..LOOKS {
            if is_so(self) {
                return;
            }
            poll(&mut [], PollTimeout::from(LOOK_MS)).expect("poll without descriptors");
        }
        panic!("waited in vain for: {what}; {} files are open", self.files());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already, which the test has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both this test and its child hold one end of every socket.
fn allow_files() {
    let wanted = IDLE as u64 + SPARE_FILES;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    if soft < wanted {
        let raised = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted));
        raised.unwrap_or_else(|error| panic!("{wanted} open files are needed, {hard} allowed: {error}"));
    }
}

#[test]
fn ten_thousand_idle_sockets() {
    allow_files();
    let program = Program::start();
    let keys = "APCA-API-KEY-ID: K\r\nAPCA-API-SECRET-KEY: S\r\n";
    let order = r#"{"symbol":"SPY","qty":"1","side":"buy","type":"market","time_in_force":"day"}"#;
    let post = format!(
        "POST /v2/orders HTTP/1.1\r\nHost: sim\r\n{keys}Content-Length: {}\r\n\
         Connection: close\r\n\r\n{order}",
        order.len()
    );
    program.wait_for("the first quote", |program| program.ask(&post) == "HTTP/1.1 200 OK");
    let (files, bytes) = (program.files(), program.resident_bytes());

    let handshake = format!(
        "GET /v2/iex HTTP/1.1\r\nHost: sim\r\n{keys}Connection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let half =
        format!("POST /v2/orders HTTP/1.1\r\nHost: sim\r\n{keys}Content-Length: 100\r\n\r\n{{\"symbol\":");
    let mut crowd: Vec<TcpStream> = Vec::with_capacity(IDLE);
    while crowd.len() < IDLE {
        // No more at once than the kernel queues: a connection it drops is tried again a second later.
        let batch = crowd.len()..(crowd.len() + BATCH).min(IDLE);
        crowd.extend(batch.map(|n| program.connect([&half, "GET /v2/acc", "", "", &handshake][n % 5])));
        program
            .wait_for("the crowd to be let in", |program| program.files() + CLOSING >= files + crowd.len());
    }
    let last = crowd.last_mut().expect("a crowd");
    let mut word = [0; 12];
    last.read_exact(&mut word).expect("the handshake's answer");
    assert_eq!(&word, b"HTTP/1.1 101");
    let each = program.resident_bytes().saturating_sub(bytes) / IDLE as u64;
    println!("{IDLE} idle sockets: {each} bytes each");
    assert!(each <= MOST_BYTES_EACH, "{each} bytes for each idle socket");
    assert_eq!(program.ask(&post), "HTTP/1.1 200 OK", "the others are served");

    drop(crowd);
    program.wait_for("all of them to be let go", |program| program.files() <= files);
    assert_eq!(program.ask(&post), "HTTP/1.1 200 OK");
}
