//! An e-mail of an alert: a head that no text can add a line to, and a body in base64.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{Timestamp, fmt::rfc2822, tz::TimeZone};

use super::{
    letter::{Key, Letter, Matter},
    wording,
};

/// Characters of a subject.
const MAX_SUBJECT: usize = 160;
/// Bytes of text in one encoded word, which is no longer than 75 characters then (RFC 2047, 2).
const WORD_BYTES: usize = 42;
/// Characters of a line of base64 (RFC 2045, 6.8).
const LINE: usize = 76;

/// From whom and to whom; both are plain addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// The watchdog's.
    pub(crate) from: String,
    /// A human's.
    pub(crate) to: String,
}

impl Envelope {
    /// The whole message, as it goes over the wire but for its last dot. The same letter is always the same
    /// message, so that one which comes twice is known to be one.
    pub(crate) fn message(&self, letter: &Letter, host: &str) -> String {
        let domain = self.from.rsplit('@').next().unwrap_or_default();
        let same = format!("{host}/{}/{:?}/{}", letter.key, letter.matter, letter.at_unix_s);
        let id = wording::hex(&format!("{same}/{}/{}", letter.count, letter.text));
        // Messages that name one reference are one thread, whether or not there is a message of that name.
        let thread = |key: &Key| format!("<{}@{domain}>", wording::hex(&format!("{host}/{key}")));
        let mut threads: Vec<_> = letter.ends.iter().chain([&letter.key]).map(thread).collect();
        threads.dedup();
        let head = [
            ("From", format!("<{}>", self.from)),
            ("To", format!("<{}>", self.to)),
            ("Subject", encoded(&subject(letter, host))),
            ("Date", date(letter.at_unix_s)),
            ("Message-ID", format!("<{id}@{domain}>")),
            ("References", threads.join("\r\n ")),
            ("Auto-Submitted", "auto-generated".into()),
            ("MIME-Version", "1.0".into()),
            ("Content-Type", "text/plain; charset=utf-8".into()),
            ("Content-Transfer-Encoding", "base64".into()),
        ];
        let mut message: String = head.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        // Base64 has no dots, so that no line of it ends the message or has to be doubled.
        let body = STANDARD.encode(wording::lines(letter, host).replace('\n', "\r\n"));
        message += "\r\n";
        for at in (0..body.len()).step_by(LINE) {
            message += &body[at..body.len().min(at + LINE)];
            message += "\r\n";
        }
        message
    }
}

/// How bad, where, what.
fn subject(letter: &Letter, host: &str) -> String {
    let severity = wording::severity(letter.severity).to_uppercase();
    let over = if letter.is_over() { "over: " } else { "" };
    let key = match letter.matter {
        Matter::Digest => "what the quiet hours held back",
        Matter::Own | Matter::Firing | Matter::Over | Matter::Unheard => wording::name(letter),
    };
    let text = wording::plain(&format!("[{severity}] {host}: {over}{key}"));
    text.chars().take(MAX_SUBJECT).collect()
}

/// As it is when it is plain, or in encoded words, one a line.
fn encoded(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !text.contains("=?") {
        return text.into();
    }
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, later) = rest.split_at(rest.floor_char_boundary(WORD_BYTES));
        words.push(format!("=?UTF-8?B?{}?=", STANDARD.encode(word)));
        rest = later;
    }
    words.join("\r\n ")
}

fn date(unix_s: u64) -> String {
    let at = i64::try_from(unix_s).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or_default();
    // Years that the format has no place for are no times of ours.
    rfc2822::to_string(&at.to_zoned(TimeZone::UTC)).unwrap_or_default()
}

/// A plain address: what a mail server takes without quotes.
pub(crate) fn is_address(text: &str) -> bool {
    let is_atom = |part: &str| {
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&c);
        !part.is_empty() && part.bytes().all(is_plain)
    };
    text.len() <= 254
        && text.split_once('@').is_some_and(|(local, domain)| {
            local.len() <= 64
                && local.split('.').all(is_atom)
                && domain.split('.').all(|label| {
                    !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
                })
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sandpit_contract::State;

    use super::*;
    use crate::machine::{Alert, Kind, Severity};

    fn envelope() -> Envelope {
        Envelope { from: "dog@box.example".into(), to: "you@home.example".into() }
    }

    fn own(key: &'static str, text: &str) -> Letter {
        let severity = Kind::of(key).expect("of the table").severity;
        Letter::own(&Alert { severity, key, text: text.into() }, State::Killing, 1_772_461_800)
    }

    fn head<'a>(message: &'a str, name: &str) -> Option<&'a str> {
        let (head, _) = message.split_once("\r\n\r\n")?;
        let start = head.find(&format!("{name}: "))? + name.len() + 2;
        let end =
            head[start..].match_indices("\r\n").find(|(at, _)| !head[start + at + 2..].starts_with(' '));
        Some(&head[start..end.map_or(head.len(), |(at, _)| start + at)])
    }

    fn body(message: &str) -> String {
        let (_, body) = message.split_once("\r\n\r\n").expect("a body");
        let bytes = STANDARD.decode(body.replace("\r\n", "")).expect("base64");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_message_says_how_bad_where_and_what() {
        let kill = own("kill", "killed by flag: ä\nBcc: x@y.z");
        let message = envelope().message(&kill, "box");
        assert!(message.starts_with("From: <dog@box.example>\r\nTo: <you@home.example>\r\nSubject: "));
        assert_eq!(head(&message, "Subject"), Some("[CRITICAL] box: kill"));
        assert_eq!(head(&message, "Date"), Some("Mon, 2 Mar 2026 14:30:00 +0000"));
        let text = body(&message);
        assert!(text.starts_with("CRITICAL on box: killed by flag: ä Bcc: x@y.z\r\n2026-03-02T14"), "{text}");
        assert_eq!(message, envelope().message(&kill, "box"), "the same again is the same");
        let other = envelope().message(&own("kill", "killed by chat"), "box");
        assert_ne!(head(&message, "Message-ID"), head(&other, "Message-ID"));
        assert_eq!(head(&message, "References"), head(&other, "References"), "one thread");
        let end = envelope().message(&own("re-armed", "by an operator"), "box");
        let thread = head(&message, "References").expect("there");
        assert!(head(&end, "References").expect("there").contains(thread), "its end is in the thread");
    }

    #[test]
    fn an_address_is_plain() {
        for good in ["a@b", "a.b+c@d-e.example", "x_1@192.example"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "<a@b>",
            "a@b>\r\nBcc: x",
            "a,b@c",
            "\"a\"@b",
            "a@b..c",
            "ä@b",
            "a@b c",
            "a\n@b",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    proptest! {
        /// Whatever a host says: the head has its ten fields, each line is short and plain, and the body is
        /// what the other services are told.
        #[test]
        fn no_text_adds_a_line_to_the_head(
            key in "(\\PC|[\r\n.:?=<> \u{1f600}\u{2028}]){0,300}",
            text in "(\\PC|[\r\n.]){0,900}",
            count in 1..3_u64,
        ) {
            let letter = Letter {
                key: format!("host:{key}").into(), text, count, severity: Severity::Warning,
                matter: Matter::Firing, ..own("kill", "")
            };
            let message = envelope().message(&letter, "box\r\nBcc: x@y.z");
            let (head, rest) = message.split_once("\r\n\r\n").expect("head and body");
            let fields = head.split("\r\n").filter(|line| !line.starts_with(' ')).count();
            prop_assert_eq!(fields, 10, "{}", head);
            prop_assert!(!head.contains("Bcc:") || head.contains("box  Bcc:"), "{}", head);
            let is_plain = |line: &str| line.len() <= 200 && line.bytes().all(|c| (b' '..=b'~').contains(&c));
            prop_assert!(head.split("\r\n").all(is_plain), "{}", head);
            prop_assert!(rest.split("\r\n").all(|line| line.len() <= LINE && !line.starts_with('.')));
            prop_assert!(!body(&message).replace("\r\n", "").contains(['\r', '\n']));
        }
    }
}
