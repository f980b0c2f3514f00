//! What each service is told: texts and JSON. Nothing in a reason, which a host or a stranger may have
//! chosen, can format, mention, link or end anything.

use ring::digest::{SHA256, digest};
use sandpit_contract::State;
use serde_json::{Value, json};

use super::letter::{HOST_PREFIX, Key, Letter, Matter};
use crate::machine::Severity;

/// Characters of an alert's own text; the rest is cut.
const MAX_TEXT: usize = 800;
/// Discord refuses a longer `content`. Counted here in UTF-16 units, of which there are never fewer.
pub(crate) const MAX_DISCORD: usize = 2000;
/// Telegram refuses a longer `text`; counted as for Discord.
pub(crate) const MAX_TELEGRAM: usize = 4096;
/// PagerDuty refuses a longer `summary`.
pub(crate) const MAX_SUMMARY: usize = 1024;
/// PagerDuty refuses a longer `dedup_key`.
pub(crate) const MAX_DEDUP_KEY: usize = 255;
/// Characters of the name and key before the digest of a long one.
const SHORT_DEDUP_KEY: usize = 40;

/// One line of plain characters: no control, nothing invisible that turns or hides text.
pub(crate) fn plain(text: &str) -> String {
    let hidden = ['\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2060}'..='\u{206f}'];
    let is_hidden = |c: char| c == '\u{feff}' || hidden.iter().any(|range| range.contains(&c));
    text.chars().take(MAX_TEXT).map(|c| if c.is_control() || is_hidden(c) { ' ' } else { c }).collect()
}

/// The word of a severity.
pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// The word of a state.
pub(crate) fn state(state: State) -> String {
    serde_json::to_value(state).ok().and_then(|word| word.as_str().map(String::from)).unwrap_or_default()
}

/// What it says: one line, or that of a digest and one for each that it stands for.
pub(crate) fn body(letter: &Letter) -> String {
    match letter.matter {
        Matter::Own => plain(&letter.text),
        // A host names its signals; what it says of one is a sentence about it.
        Matter::Firing => format!("{}: {}", plain(name(letter)), plain(&letter.text)),
        Matter::Over | Matter::Unheard => format!("over: {}: {}", plain(name(letter)), plain(&letter.text)),
        Matter::Digest => letter.text.lines().map(plain).collect::<Vec<_>>().join("\n"),
    }
}

/// Of a signal of the host's.
pub(crate) fn name(letter: &Letter) -> &str {
    letter.key.strip_prefix(HOST_PREFIX).unwrap_or(&letter.key)
}

/// Whose alert it is.
fn source(letter: &Letter) -> &'static str {
    match letter.matter {
        Matter::Own | Matter::Digest => "sandpit-watchdog",
        Matter::Firing | Matter::Over | Matter::Unheard => "sandpit-host",
    }
}

/// A few lines for a human; one for what is over.
pub(crate) fn lines(letter: &Letter, host: &str) -> String {
    let host = plain(host);
    if letter.is_over() {
        return format!("{} (on {host})", body(letter));
    }
    let severity = severity(letter.severity).to_uppercase();
    let (at, state) = (utc(letter.at_unix_s), state(letter.state));
    let mut text = format!("{severity} on {host}: {}\n{at}, watchdog {state}", body(letter));
    if letter.matter == Matter::Digest {
        return text;
    }
    if letter.count > 1 {
        text += &format!("\n{} times since the last message about it", letter.count);
    }
    if let Some(remedy) = remedy(letter) {
        text += &format!("\nTo do: {remedy}");
    }
    text
}

/// A code block: there no mark-up, mention, link or emoji is read, and only backticks end it.
pub(crate) fn discord(letter: &Letter, host: &str) -> Value {
    let inert = lines(letter, host).replace('`', "'");
    let content = format!("```text\n{}\n```", cut(&inert, MAX_DISCORD - 16));
    json!({ "content": content, "allowed_mentions": { "parse": [] } })
}

/// The beginning of a text, at most so many UTF-16 units.
fn cut(text: &str, most: usize) -> &str {
    let mut left = most;
    let end = text.char_indices().find(|(_, c)| {
        let fits = c.len_utf16() <= left;
        left = left.saturating_sub(c.len_utf16());
        !fits
    });
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

/// Without `parse_mode` a text is plain.
pub(crate) fn telegram(chat: i64, text: &str, is_silent: bool) -> Value {
    json!({
        "chat_id": chat,
        "text": cut(text, MAX_TELEGRAM),
        "disable_notification": is_silent,
        "link_preview_options": { "is_disabled": true },
    })
}

/// Events v2: a resolve for each kind that is over, or else a trigger.
pub(crate) fn pagerduty(letter: &Letter, host: &str, routing_key: &str) -> Vec<Value> {
    let dedup_key = |key: &str| dedup_key(host, key);
    if !letter.ends.is_empty() {
        let resolve = |key: &Key| {
            let dedup_key = dedup_key(key);
            json!({ "routing_key": routing_key, "event_action": "resolve", "dedup_key": dedup_key })
        };
        return letter.ends.iter().map(resolve).collect();
    }
    let summary: String = format!("{host}: {}", body(letter)).chars().take(MAX_SUMMARY).collect();
    vec![json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": dedup_key(&letter.key),
        "client": "sandpit-watchdog",
        "payload": {
            "summary": summary,
            "source": host,
            "severity": severity(letter.severity),
            "component": source(letter),
            "class": letter.key,
            "timestamp": utc(letter.at_unix_s),
            "custom_details": {
                "state": state(letter.state),
                "count": letter.count,
                "to_do": remedy(letter),
            },
        },
    })]
}

/// For the generic webhook and for commands.
pub(crate) fn generic(letter: &Letter, host: &str) -> Value {
    json!({
        "source": source(letter),
        "host": host,
        "severity": severity(letter.severity),
        "key": letter.key,
        "text": body(letter),
        "to_do": remedy(letter),
        "state": state(letter.state),
        "at_unix_s": letter.at_unix_s,
        "count": letter.count,
        "ends": letter.ends,
    })
}

fn remedy(letter: &Letter) -> Option<String> {
    Some(plain(&letter.remedy)).filter(|remedy| !remedy.is_empty())
}

/// The same for the same key, and never too long.
fn dedup_key(host: &str, key: &str) -> String {
    let whole = format!("sandpit-watchdog/{host}/{key}");
    if whole.len() <= MAX_DEDUP_KEY {
        return whole;
    }
    let beginning: String = key.chars().take(SHORT_DEDUP_KEY).collect();
    format!("sandpit-watchdog/{}/{beginning}", hex(&whole))
}

/// The beginning of a text's SHA-256.
pub(crate) fn hex(text: &str) -> String {
    let bytes = digest(&SHA256, text.as_bytes());
    bytes.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// As `2026-03-02T14:30:00Z`. The civil date by Howard Hinnant's `civil_from_days`.
fn utc(unix_s: u64) -> String {
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::machine::Alert;

    fn letter(text: &str) -> Letter {
        let (severity, state) = (Severity::Critical, State::Killing);
        let alert = Alert { severity, key: "kill", text: text.into() };
        Letter { ends: Vec::new(), ..Letter::own(&alert, state, 0) }
    }

    #[test]
    fn a_text_says_who_what_when_and_what_to_do() {
        let mut letter = letter("killed by flag: a\nb");
        letter.count = 3;
        let text = lines(&letter, "box");
        let expected = "CRITICAL on box: killed by flag: a b\n1970-01-01T00:00:00Z, watchdog killing\n3 \
                        times since the last message about it\nTo do: find out why";
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(generic(&letter, "box")["key"], "kill");
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let days = [
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_772_461_800, "2026-03-02T14:30:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (unix_s, expected) in days {
            assert_eq!(utc(unix_s), expected);
        }
    }

    fn hostile() -> impl Strategy<Value = String> {
        "(\\PC|[`*_@<>#\u{202e}\u{1f600}\n]){0,1500}"
    }

    proptest! {
        #[test]
        fn no_text_is_too_long_or_gets_out_of_its_block(text in hostile()) {
            let letter = letter(&text);
            let value = discord(&letter, "box");
            let content = value["content"].as_str().expect("a text");
            prop_assert!(content.encode_utf16().count() <= MAX_DISCORD);
            prop_assert_eq!(content.matches('`').count(), 6);
            prop_assert!(content.starts_with("```text\nCRITICAL") && content.ends_with("\n```"));
            let events = pagerduty(&letter, "box", "k");
            let summary = events[0]["payload"]["summary"].as_str().expect("a text");
            let is_one_line = !summary.contains(['\n', '\u{202e}']);
            prop_assert!(summary.chars().count() <= MAX_SUMMARY && is_one_line);
        }
    }
}
