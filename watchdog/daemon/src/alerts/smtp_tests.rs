use std::ffi::OsString;

use base64::engine::general_purpose::STANDARD as BASE64;

#[path = "../../tests/mail_server/mod.rs"]
mod mail_server;

use mail_server::{Cover as At, MailServer, Talk};

use super::*;
use crate::alerts::email::trust;

const WAIT: Duration = Duration::from_secs(10);
const MAIL: &str = "Subject: x\r\n\r\naGk=\r\n";

fn envelope() -> Envelope {
    Envelope { from: "dog@box.example".into(), to: "you@home.example".into() }
}

fn hush(text: &str) -> Secret {
    let find = |name: &str| (name == "X").then(|| OsString::from(text));
    crate::secret::secret(find, "X").expect("plain").expect("set")
}

fn client(cover: Cover, server: &MailServer, ca: &str, login: bool) -> Server {
    let ca = format!("{}/tests/mail_server/{ca}", env!("CARGO_MANIFEST_DIR"));
    Server {
        host: "localhost".into(),
        port: server.port,
        cover,
        trust: Arc::new(trust(Some(ca.as_ref())).expect("certificates")),
        login: login.then(|| (hush("me"), hush("hush"))),
        lookup: Lookup::default(),
    }
}

/// One try, with what the server heard.
fn send(cover: Cover, at: At, answers: &[(&'static str, &'static str)]) -> (Result<(), Failure>, Talk) {
    let server = MailServer::new(at, answers);
    let result = client(cover, &server, "ca.pem", true).send(&envelope(), MAIL, WAIT);
    (result, server.talks(1).remove(0))
}

const LOGIN: &str = "AUTH PLAIN AG1lAGh1c2g=";

#[test]
fn a_message_is_taken_and_no_secret_is_said_before_it_is_encrypted() {
    let tail = ["MAIL FROM:<dog@box.example>", "RCPT TO:<you@home.example>", "DATA"];
    for (cover, at) in
        [(Cover::Implicit, At::Implicit), (Cover::Starttls, At::Starttls), (Cover::None, At::None)]
    {
        let (result, talk) = send(cover, at, &[]);
        assert_eq!(result, Ok(()), "{cover:?}");
        assert_eq!(talk.mail.as_deref(), Some(MAIL), "{cover:?}");
        let said: Vec<_> = talk.said().into_iter().filter(|said| !said.starts_with("EHLO")).collect();
        let start = if cover == Cover::Starttls { vec!["STARTTLS"] } else { vec![] };
        let expected: Vec<_> = start.into_iter().chain([LOGIN]).chain(tail).chain(["QUIT"]).collect();
        assert_eq!(said, expected, "{cover:?}");
        if cover != Cover::None {
            assert!(talk.clear.iter().all(|said| said.starts_with("EHLO") || said == "STARTTLS"), "{talk:?}");
        }
        assert_eq!(talk.covered.iter().any(|said| said.starts_with("EHLO")), cover != Cover::None);
    }
    // Another way to log in, and none.
    let (result, talk) = send(Cover::None, At::None, &[("EHLO", "250-here\r\n250 AUTH=LOGIN")]);
    let (user, password) = (BASE64.encode("me"), BASE64.encode("hush"));
    assert_eq!(result, Ok(()));
    assert_eq!(talk.clear[1..4], ["AUTH LOGIN".into(), user, password]);
    let server = MailServer::new(At::None, &[]);
    assert_eq!(client(Cover::None, &server, "ca.pem", false).send(&envelope(), MAIL, WAIT), Ok(()));
    assert!(server.talks(1)[0].clear.iter().all(|said| !said.starts_with("AUTH")));
}

#[test]
fn nobody_who_is_not_trusted_hears_anything() {
    let untrusted = || Err(later("no trusted TLS connection to the mail server"));
    for (cover, at) in [(Cover::Implicit, At::Implicit), (Cover::Starttls, At::Starttls)] {
        let server = MailServer::new(at, &[]);
        let another = client(cover, &server, "other.pem", true);
        assert_eq!(another.send(&envelope(), MAIL, WAIT), untrusted(), "another authority");
        let talk = &server.talks(1)[0];
        assert!(talk.covered.is_empty() && talk.mail.is_none(), "{talk:?}");
    }
    // A name that the certificate does not have.
    let server = MailServer::new(At::Implicit, &[]);
    let other = Server { host: "127.0.0.2".into(), ..client(Cover::Implicit, &server, "ca.pem", true) };
    assert!(other.send(&envelope(), MAIL, WAIT).is_err(), "nobody listens there, or it has no such name");
    // Who offers no encryption, or says more than was asked for in the clear.
    let (result, talk) = send(Cover::Starttls, At::Starttls, &[("EHLO", "250 here")]);
    assert_eq!(result, Err(Failure::Refused("the server offers no STARTTLS".into())));
    assert_eq!(talk.said().len(), 1, "{talk:?}");
    let (result, talk) = send(Cover::Starttls, At::Starttls, &[("STARTTLS", "220 go on\r\n250 taken")]);
    assert_eq!(result, Err(Failure::Refused("the server speaks before it is encrypted".into())));
    assert!(talk.covered.is_empty(), "{talk:?}");
    let (result, talk) = send(Cover::None, At::None, &[("EHLO", "250-here\r\n250 AUTH CRAM-MD5")]);
    assert_eq!(result, Err(Failure::Refused("the server offers no log-in by PLAIN or LOGIN".into())));
    assert_eq!(talk.clear.len(), 1, "{talk:?}");
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_refused() {
    let check = |step: &'static str, code: &'static str| send(Cover::None, At::None, &[(step, code)]).0;
    for (step, about) in [
        ("greeting", "us"),
        ("EHLO", "EHLO"),
        ("AUTH", "SMTP_USERNAME and SMTP_PASSWORD"),
        ("MAIL", "`[alerts.email] from`"),
        ("RCPT", "`[alerts.email] to`"),
        ("DATA", "the message"),
        ("message", "the message"),
    ] {
        let why = format!("the mail server does not take {about} now (code 450)");
        assert_eq!(check(step, "450 hush"), Err(later(&why)), "{step}");
        let why = format!("the mail server refuses {about} (code 554)");
        assert_eq!(check(step, "554-hush\r\n554 hush"), Err(Failure::Refused(why)), "{step}");
        assert!(matches!(check(step, "hush"), Err(Failure::Later { .. })), "{step}: no code");
    }
    let long = Box::leak(format!("250 {}", "x".repeat(5000)).into_boxed_str());
    assert!(matches!(check("EHLO", long), Err(Failure::Later { .. })), "a line without an end");
    let many = Box::leak(format!("{}250 x", "250-x\r\n".repeat(100)).into_boxed_str());
    assert!(matches!(check("EHLO", many), Err(Failure::Later { .. })), "an answer without an end");
}

#[test]
fn a_server_that_never_answers_is_left() {
    for (step, at, cover) in [
        ("greeting", At::None, Cover::None),
        ("message", At::None, Cover::None),
        // It speaks SMTP in the clear, and we wait for TLS.
        ("greeting", At::None, Cover::Implicit),
    ] {
        let server = MailServer::new(at, &[(step, "")]);
        let started = ambient::boot_time();
        let short = Duration::from_millis(400);
        let result = client(cover, &server, "ca.pem", true).send(&envelope(), MAIL, short);
        assert_eq!(result, Err(late()), "{step}");
        assert!(ambient::boot_time().since(started) < WAIT, "{step}");
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let server = MailServer::new(At::None, &[]);
    let closed = Server { port, ..client(Cover::None, &server, "ca.pem", true) };
    let result = closed.send(&envelope(), MAIL, WAIT);
    assert!(matches!(&result, Err(Failure::Later { why, .. }) if why.contains("refused")), "{result:?}");
}
