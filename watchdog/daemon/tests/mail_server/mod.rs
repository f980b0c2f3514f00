//! A mail server on loopback: it answers as told and remembers what came.
//!
//! Its key and certificates are of tests alone, and valid for a hundred years.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// A mail that never comes is waited for so long.
const LONGEST: Duration = Duration::from_secs(20);

/// How it is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    None,
    Starttls,
    Implicit,
}

/// One conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Talk {
    /// What was said in the clear.
    pub(crate) clear: Vec<String>,
    /// What was said behind encryption.
    pub(crate) covered: Vec<String>,
    /// The message, when it was taken, without its last dot.
    pub(crate) mail: Option<String>,
}

impl Talk {
    pub(crate) fn said(&self) -> Vec<&str> {
        self.clear.iter().chain(&self.covered).map(String::as_str).collect()
    }
}

#[derive(Default)]
struct Shared {
    talks: Vec<Talk>,
    /// What is answered to a command that begins so, once each.
    answers: Vec<(&'static str, &'static str)>,
}

/// The server.
pub(crate) struct MailServer {
    pub(crate) port: u16,
    shared: Arc<(Mutex<Shared>, Condvar)>,
}

impl MailServer {
    /// One that answers `answers` to commands that begin so, each once: `""` is nothing, for ever.
    pub(crate) fn new(cover: Cover, answers: &[(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let shared = Shared { talks: Vec::new(), answers: answers.to_vec() };
        let shared = Arc::new((Mutex::new(shared), Condvar::new()));
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let ours = Arc::clone(&ours);
                std::thread::spawn(move || {
                    let mut talk = Talk::default();
                    converse(stream, cover, &ours, &mut talk);
                    ours.0.lock().expect("no test panics with it").talks.push(talk);
                    ours.1.notify_all();
                });
            }
        });
        Self { port, shared }
    }

    /// The conversations, once there are so many.
    pub(crate) fn talks(&self, count: usize) -> Vec<Talk> {
        let (lock, came) = &*self.shared;
        let shared = lock.lock().expect("no test panics with it");
        let are_few = |shared: &mut Shared| shared.talks.len() < count;
        let (shared, late) = came.wait_timeout_while(shared, LONGEST, are_few).expect("as above");
        assert!(!late.timed_out(), "there are {:#?}", shared.talks);
        shared.talks.clone()
    }
}

/// The certificate's and key's files beside this one.
fn file(name: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail_server/");
    std::fs::read(format!("{path}{name}")).expect("it lies here")
}

fn encrypt(stream: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&file("server.pem")).collect();
    let key = PrivateKeyDer::from_pem_slice(&file("server.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain.expect("certificates"), key)
        .expect("a pair");
    StreamOwned::new(ServerConnection::new(Arc::new(config)).expect("a configuration"), stream)
}

type Answers = (Mutex<Shared>, Condvar);

fn converse(stream: TcpStream, cover: Cover, shared: &Answers, talk: &mut Talk) {
    match cover {
        Cover::Implicit => drop(serve(encrypt(stream), true, false, shared, talk)),
        Cover::None => drop(serve(stream, false, false, shared, talk)),
        Cover::Starttls => {
            if let Some(stream) = serve(stream, false, true, shared, talk) {
                drop(serve(encrypt(stream), true, false, shared, talk));
            }
        }
    }
}

/// The stream when it is to be encrypted.
fn serve<S: Read + Write>(
    stream: S,
    is_covered: bool,
    offers_tls: bool,
    shared: &Answers,
    talk: &mut Talk,
) -> Option<S> {
    let mut reader = BufReader::new(stream);
    let usual = |said: &str| match said {
        "EHLO" if offers_tls => "250-here\r\n250-8BITMIME\r\n250 STARTTLS",
        "EHLO" => "250-here\r\n250-AUTH LOGIN PLAIN\r\n250 SIZE 1000000",
        "greeting" | "STARTTLS" => "220 go on",
        "AUTH" | "login-2" => "235 welcome",
        "AUTH LOGIN" | "login-1" => "334 VXNlcm5hbWU6",
        "DATA" => "354 go on",
        "QUIT" => "221 bye",
        _ => "250 ok",
    };
    let answer = |reader: &mut BufReader<S>, said: &str| {
        let mut shared = shared.0.lock().expect("no test panics with it");
        let at = shared.answers.iter().position(|(begins, _)| said.starts_with(begins));
        let own = at.map(|at| shared.answers.remove(at).1);
        drop(shared);
        let word = if said == "AUTH LOGIN" { said } else { said.split(' ').next().unwrap_or_default() };
        let text = own.unwrap_or_else(|| usual(word));
        if text.is_empty() {
            // Until the other side gives up.
            while matches!(reader.read(&mut [0; 512]), Ok(bytes) if bytes > 0) {}
            return false;
        }
        let stream = reader.get_mut();
        stream.write_all(format!("{text}\r\n").as_bytes()).and_then(|()| stream.flush()).is_ok()
    };
    if (offers_tls || !is_covered || talk.clear.is_empty()) && !answer(&mut reader, "greeting") {
        return None;
    }
    let mut login = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let said = line.trim_end().to_owned();
        if is_covered { &mut talk.covered } else { &mut talk.clear }.push(said.clone());
        if said == "STARTTLS" && answer(&mut reader, &said) {
            return Some(reader.into_inner());
        }
        let word = match login {
            0 => said.clone(),
            step => format!("login-{step}"),
        };
        login = if said == "AUTH LOGIN" || login == 1 { login + 1 } else { 0 };
        if !answer(&mut reader, &word) {
            return None;
        }
        if said == "DATA" {
            let mut mail = String::new();
            while !mail.ends_with("\r\n.\r\n") {
                if reader.read_line(&mut mail).ok()? == 0 {
                    return None;
                }
            }
            if !answer(&mut reader, "message") {
                return None;
            }
            mail.truncate(mail.len() - 3);
            talk.mail = Some(mail);
        }
    }
}
