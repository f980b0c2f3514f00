//! A mail server, asked to take one message: as much of RFC 5321 as that needs, and no more.
//!
//! A library for it costs the watchdog half a megabyte and ten packages, most of it for messages that we
//! never write. The connection is encrypted before anything secret is said, or does not leave the machine.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use sandpit_contract::BootTime;
use serde::Deserialize;

use super::{mail::Envelope, queue::Failure};
use crate::{ambient, lookup::Lookup, secret::Secret};

/// A connection to one address must stand within this time.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// The whole conversation must be over within this time.
pub(crate) const SESSION_WAIT: Duration = Duration::from_secs(30);
/// Addresses of the server that are tried.
const MAX_ADDRESSES: usize = 4;
/// A longer line is none (RFC 5321, 4.5.3.1.5, says 512).
const MAX_LINE: usize = 2048;
/// An answer with more lines is none.
const MAX_LINES: usize = 64;

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cover {
    /// From its first byte, usually on port 465.
    Implicit,
    /// After a word in the clear, usually on port 587; a server that does not know the word gets nothing.
    Starttls,
    /// Not at all: only to this machine.
    None,
}

/// A server, and what it takes to be let in.
#[derive(Clone)]
pub(crate) struct Server {
    /// Name or address.
    pub(crate) host: String,
    /// TCP.
    pub(crate) port: u16,
    /// Encryption.
    pub(crate) cover: Cover,
    /// Whom to trust.
    pub(crate) trust: Arc<ClientConfig>,
    /// User and password.
    pub(crate) login: Option<(Secret, Secret)>,
    /// Finds its addresses: one for all letters, as it bounds how many look-ups hang.
    pub(crate) lookup: Lookup,
}

impl fmt::Debug for Server {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}:{} {:?} {:?}", self.host, self.port, self.cover, self.login)
    }
}

impl Server {
    /// Has `message` sent to the one address of `envelope`, within `wait`.
    ///
    /// # Errors
    /// [`Failure::Later`] for what may pass: no connection, no trust, an answer of 4xx; the message may have
    /// been taken all the same. [`Failure::Refused`] for an answer of 5xx and for a server without the
    /// encryption or the log-in that is asked for.
    pub(crate) fn send(&self, envelope: &Envelope, message: &str, wait: Duration) -> Result<(), Failure> {
        let end = ambient::boot_time() + wait;
        let tcp = Timed { tcp: self.connect(end)?, end };
        match self.cover {
            Cover::None => {
                let mut line = Line::new(tcp);
                line.greeted()?;
                self.deliver(line, envelope, message)
            }
            Cover::Implicit => {
                let mut line = Line::new(self.encrypt(tcp)?);
                line.greeted()?;
                self.deliver(line, envelope, message)
            }
            Cover::Starttls => {
                let mut line = Line::new(tcp);
                line.greeted()?;
                if !line.hello()?.has("STARTTLS") {
                    return Err(Failure::Refused("the server offers no STARTTLS".into()));
                }
                line.ask("STARTTLS", 220, "STARTTLS")?;
                // What came in the clear behind the answer may be anybody's.
                if !line.read.is_empty() {
                    return Err(Failure::Refused("the server speaks before it is encrypted".into()));
                }
                self.deliver(Line::new(self.encrypt(line.stream)?), envelope, message)
            }
        }
    }

    fn connect(&self, end: BootTime) -> Result<TcpStream, Failure> {
        let left = || end.since(ambient::boot_time());
        let addresses = match self.host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, self.port)],
            Err(_) => self
                .lookup
                .addresses(format!("{}:{}", self.host, self.port), left().min(CONNECT_WAIT))
                .ok_or_else(|| later("the name of the mail server is not found"))?,
        };
        let mut failure = later("the mail server has no address");
        for address in addresses.iter().take(MAX_ADDRESSES) {
            let wait = left().min(CONNECT_WAIT);
            if wait.is_zero() {
                return Err(late());
            }
            match TcpStream::connect_timeout(address, wait) {
                Ok(tcp) => return Ok(tcp),
                Err(error) => failure = silence(&error),
            }
        }
        Err(failure)
    }

    fn encrypt(&self, tcp: Timed) -> Result<StreamOwned<ClientConnection, Timed>, Failure> {
        let untrusted = || later("no trusted TLS connection to the mail server");
        let name = ServerName::try_from(self.host.clone()).map_err(|_| untrusted())?;
        let tls = ClientConnection::new(Arc::clone(&self.trust), name).map_err(|_| untrusted())?;
        Ok(StreamOwned::new(tls, tcp))
    }

    fn deliver<S: Read + Write>(&self, mut line: Line<S>, to: &Envelope, text: &str) -> Result<(), Failure> {
        let offer = line.hello()?;
        self.log_in(&mut line, &offer)?;
        line.ask(&format!("MAIL FROM:<{}>", to.from), 250, "`[alerts.email] from`")?;
        line.ask(&format!("RCPT TO:<{}>", to.to), 250, "`[alerts.email] to`")?;
        line.ask("DATA", 354, "the message")?;
        line.ask(&format!("{text}."), 250, "the message")?;
        // It is taken. Whether the server hears a goodbye changes nothing.
        let _: Result<(), Failure> = line.say("QUIT");
        Ok(())
    }

    fn log_in<S: Read + Write>(&self, line: &mut Line<S>, offer: &Reply) -> Result<(), Failure> {
        let Some((user, password)) = &self.login else {
            return Ok(());
        };
        let (user, password) = (user.expose(), password.expose());
        let ours = "SMTP_USERNAME and SMTP_PASSWORD";
        if offer.has("AUTH PLAIN") {
            let words = STANDARD.encode(format!("\0{user}\0{password}"));
            return line.ask(&format!("AUTH PLAIN {words}"), 235, ours);
        }
        if !offer.has("AUTH LOGIN") {
            return Err(Failure::Refused("the server offers no log-in by PLAIN or LOGIN".into()));
        }
        line.ask("AUTH LOGIN", 334, ours)?;
        line.ask(&STANDARD.encode(user), 334, ours)?;
        line.ask(&STANDARD.encode(password), 235, ours)
    }
}

fn later(why: &str) -> Failure {
    Failure::Later { why: why.into(), wait: None }
}

fn late() -> Failure {
    later("no answer of the mail server in time")
}

/// Fixed words only.
fn silence(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => late(),
        io::ErrorKind::InvalidData => later("no trusted TLS connection to the mail server"),
        kind => later(&format!("the mail server: {kind}")),
    }
}

/// A connection whose every wait ends by the same time, however slowly the other side drips.
struct Timed {
    tcp: TcpStream,
    end: BootTime,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.end.since(ambient::boot_time());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(self.left()?)?;
        self.tcp.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(self.left()?)?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// An answer: its code, and what its lines say behind it, in capitals.
struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    /// Whether a line offers these words: the first, and each other anywhere behind it.
    fn has(&self, words: &str) -> bool {
        let mut words = words.split(' ');
        let first = words.next().unwrap_or_default();
        let rest: Vec<_> = words.collect();
        self.lines.iter().any(|line| {
            let mut offered = line.split([' ', '=']);
            offered.next() == Some(first) && {
                let offered: Vec<_> = offered.collect();
                rest.iter().all(|word| offered.contains(word))
            }
        })
    }
}

/// A conversation of lines.
struct Line<S> {
    stream: S,
    /// Read, and not looked at.
    read: Vec<u8>,
}

impl<S: Read + Write> Line<S> {
    fn new(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    fn greeted(&mut self) -> Result<(), Failure> {
        self.reply()?.expect(220, "us")
    }

    /// What the server offers.
    fn hello(&mut self) -> Result<Reply, Failure> {
        let name = ambient::host_name();
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'.';
        let is_good = (1..=255).contains(&name.len()) && name.bytes().all(is_plain);
        self.say(&format!("EHLO {}", if is_good { &name } else { "localhost" }))?;
        let reply = self.reply()?;
        reply.expect(250, "EHLO")?;
        Ok(reply)
    }

    fn ask(&mut self, words: &str, code: u16, about: &str) -> Result<(), Failure> {
        self.say(words)?;
        self.reply()?.expect(code, about)
    }

    fn say(&mut self, words: &str) -> Result<(), Failure> {
        let text = format!("{words}\r\n");
        let said = self.stream.write_all(text.as_bytes()).and_then(|()| self.stream.flush());
        said.map_err(|error| silence(&error))
    }

    fn reply(&mut self) -> Result<Reply, Failure> {
        let garbage = || later("the mail server's answer is not understood");
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok()).ok_or_else(garbage)?;
            let is_last = !line[3..].starts_with('-');
            lines.push(line.get(4..).unwrap_or_default().to_ascii_uppercase());
            if is_last {
                return Ok(Reply { code, lines });
            }
            if lines.len() >= MAX_LINES {
                return Err(garbage());
            }
        }
    }

    fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                // A code is ASCII, and nothing else of an answer is repeated to anybody.
                return Ok(line
                    .iter()
                    .map(|byte| char::from(*byte & 0x7f))
                    .collect::<String>()
                    .trim()
                    .into());
            }
            if self.read.len() > MAX_LINE {
                return Err(later("the mail server's answer is not understood"));
            }
            let mut some = [0; 512];
            match self.stream.read(&mut some) {
                Ok(0) => return Err(later("the mail server has hung up")),
                Ok(count) => self.read.extend_from_slice(&some[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(silence(&error)),
            }
        }
    }
}

impl Reply {
    /// The server's own words are not repeated: they may hold what we said.
    fn expect(&self, code: u16, about: &str) -> Result<(), Failure> {
        match self.code {
            own if own == code => Ok(()),
            400..=499 => {
                Err(later(&format!("the mail server does not take {about} now (code {})", self.code)))
            }
            _ => Err(Failure::Refused(format!("the mail server refuses {about} (code {})", self.code))),
        }
    }
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod tests;
