use std::{ffi::OsString, time::Duration};

use sandpit_contract::State;
use serde_json::json;

#[path = "../../tests/receiver/mod.rs"]
mod receiver;

use self::receiver::{Receiver, Reply, Request};
use super::*;
use crate::{
    alerts::{Alerts, News, Rules, letter::Matter},
    log::Log,
    machine::{Alert, Kind},
    secret::secret,
};

fn hush(text: &str) -> Secret {
    secret(|name| (name == "X").then(|| OsString::from(text)), "X").expect("plain").expect("set")
}

fn letter(key: &'static str, text: &str) -> Letter {
    let kind = Kind::of(key).expect("of the table");
    let alert = Alert { severity: kind.severity, key, text: text.into() };
    Letter { count: 2, ..Letter::own(&alert, State::Killing, 1_772_461_800) }
}

/// Every service at `url`.
fn services(url: &str) -> [Sink; 4] {
    [
        Sink::Discord { url: hush(&format!("{url}/api/webhooks/1/hush")) },
        Sink::Telegram { bot: Bot { url: url.into(), token: hush("1:hush") }, chat: -5 },
        Sink::PagerDuty { url: url.into(), routing_key: hush("hush-key") },
        Sink::Webhook { url: hush(&format!("{url}/hook?hush")), signing_key: Some(hush("hush-sign")) },
    ]
}

fn sent(sink: &Sink, receiver: &Receiver, letter: &Letter) -> Vec<Request> {
    sink.send(&Post::new(), letter, "box").expect("taken");
    receiver.requests()
}

fn check(sink: usize, line: &str, letter: &Letter, expected: &serde_json::Value) -> Request {
    let receiver = Receiver::new([]);
    let requests = sent(&services(&receiver.url)[sink], &receiver, letter);
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(request.line, line);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("user-agent"), Some("sandpit-watchdog"));
    assert_eq!(request.json(), *expected);
    request.clone()
}

#[test]
fn each_service_gets_what_it_documents() {
    let kill = letter("kill", "killed by flag: @everyone `x`\n# y");
    let to_do = Kind::of("kill").expect("there").remedy;
    let lines = format!(
        "CRITICAL on box: killed by flag: @everyone `x` # y\n2026-03-02T14:30:00Z, watchdog killing\n2 times \
         since the last message about it\nTo do: {to_do}"
    );
    let block = format!("```text\n{}\n```", lines.replace('`', "'"));
    let body = json!({ "content": block, "allowed_mentions": { "parse": [] } });
    check(0, "POST /api/webhooks/1/hush", &kill, &body);

    let body = json!({
        "chat_id": -5, "text": lines, "disable_notification": false,
        "link_preview_options": { "is_disabled": true },
    });
    let request = check(1, "POST /bot1:hush/sendMessage", &kill, &body);
    assert!(request.json().get("parse_mode").is_none(), "plain text");

    let body = json!({
        "routing_key": "hush-key", "event_action": "trigger", "dedup_key": "sandpit-watchdog/box/kill",
        "client": "sandpit-watchdog",
        "payload": {
            "summary": "box: killed by flag: @everyone `x` # y", "source": "box", "severity": "critical",
            "component": "sandpit-watchdog", "class": "kill", "timestamp": "2026-03-02T14:30:00Z",
            "custom_details": { "state": "killing", "count": 2, "to_do": to_do },
        },
    });
    check(2, "POST /v2/enqueue", &kill, &body);

    let body = json!({
        "source": "sandpit-watchdog", "host": "box", "severity": "critical", "key": "kill",
        "text": "killed by flag: @everyone `x` # y", "to_do": to_do, "state": "killing",
        "at_unix_s": 1_772_461_800, "count": 2, "ends": [],
    });
    let request = check(3, "POST /hook?hush", &kill, &body);
    let signature = super::sign(&hush("hush-sign"), &request.text);
    assert_eq!(request.header("x-sandpit-signature"), Some(signature.as_str()));
}

#[test]
fn a_signature_is_that_of_rfc_2104() {
    let text = "The quick brown fox jumps over the lazy dog";
    let expected = "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    assert_eq!(sign(&hush("key"), text), expected);
}

#[test]
fn what_is_over_is_resolved() {
    let receiver = Receiver::new([]);
    let requests = sent(&services(&receiver.url)[2], &receiver, &letter("host-back", "x"));
    let ended: Vec<_> = requests.iter().map(Request::json).collect();
    let resolve = |key: &&str| {
        let dedup_key = format!("sandpit-watchdog/box/{key}");
        json!({ "routing_key": "hush-key", "event_action": "resolve", "dedup_key": dedup_key })
    };
    assert_eq!(ended, Kind::ends("host-back").iter().map(resolve).collect::<Vec<_>>());
}

#[test]
fn a_service_says_when_to_come_again() {
    let check = |sink: usize, headers: &'static str, body: &str, wait_ms: Option<u64>| {
        let receiver = Receiver::new([Reply::Now(429, headers, body.into())]);
        let result = services(&receiver.url)[sink].send(&Post::new(), &letter("kill", "x"), "box");
        let why = "status 429".into();
        let wait = wait_ms.map(Duration::from_millis);
        assert_eq!(result, Err(Failure::Later { why, wait }), "{body}");
    };
    check(0, "Retry-After: 1\r\n", r#"{"message":"slow","retry_after":1.5,"global":false}"#, Some(1500));
    check(1, "", r#"{"ok":false,"error_code":429,"parameters":{"retry_after":7}}"#, Some(7000));
    check(2, "", "", None);
    check(3, "Retry-After: 3\r\n", "slow", Some(3000));
    check(3, "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n", "[]", None);
}

#[test]
fn no_failure_says_a_secret() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        format!("http://{}", listener.local_addr().expect("bound"))
    };
    let other = Receiver::new([]);
    let location = Box::leak(format!("Location: {}/hush\r\n", other.url).into_boxed_str());
    let echo = r#"{"description":"hush","message":"hush","errors":["hush"]}"#;
    for at in 0..4 {
        let fails = |reply: Option<Reply>| {
            let receiver = Receiver::new(reply.clone());
            let url = if reply.is_some() { &receiver.url } else { &closed };
            let sink = &services(url)[at];
            let failure = sink.send(&Post::new(), &letter("kill", "x"), "box").expect_err("it fails");
            assert!(!format!("{failure:?} {sink:?} {}", sink.name()).contains("hush"), "{failure:?}");
            failure
        };
        assert!(matches!(fails(None), Failure::Later { .. }));
        assert!(matches!(fails(Some(Reply::Now(503, "", echo.into()))), Failure::Later { .. }));
        for status in [401, 404] {
            assert!(matches!(fails(Some(Reply::Now(status, "", echo.into()))), Failure::Refused(_)));
        }
        for status in [302, 308] {
            let failure = fails(Some(Reply::Now(status, location, echo.into())));
            assert!(matches!(&failure, Failure::Refused(why) if why.contains("redirects")), "{failure:?}");
        }
    }
    assert_eq!(other.requests().len(), 0, "no redirect was followed");
}

#[test]
fn a_server_that_never_answers_is_left() {
    let receiver = Receiver::new([Reply::Never]);
    let result = Post::new().send(&receiver.url, None, "{}", Duration::from_millis(200), "");
    assert_eq!(result, Err(Failure::Later { why: "no answer in time".into(), wait: None }));
}

#[test]
fn one_that_hangs_delays_no_other_and_one_that_fails_is_tried_again() {
    let (hangs, fails, fine) = (
        Receiver::new([Reply::Never]),
        Receiver::new([Reply::Now(500, "", String::new())]),
        Receiver::new([]),
    );
    let rules = Rules { min_severity: Severity::Info, repeat: Duration::from_secs(60), resolves: false };
    let of = |at: usize, receiver: &Receiver| (services(&receiver.url)[at].clone(), rules);
    let sinks = vec![of(0, &hangs), of(1, &fails), of(3, &fine)];
    let alerts = Alerts::start(sinks, None, "box", &Post::new(), &Log::start(None).expect("a thread"))
        .expect("threads");
    let alert = Alert { severity: Severity::Critical, key: "kill", text: "killed".into() };
    alerts.raise(&alert, State::Killing, 1);
    hangs.request(|_| true);
    fine.request(|request| request.json()["key"] == "kill");
    let is_again = |request: &Request| request.json()["text"].as_str().is_some_and(|t| t.contains("killed"));
    fails.request(is_again);
    let started = crate::ambient::boot_time();
    while fails.requests().len() < 2 {
        assert!(crate::ambient::boot_time().since(started) < Duration::from_secs(20), "it is tried again");
        std::thread::yield_now();
    }
    assert_eq!(fails.requests()[0].text, fails.requests()[1].text);
    // What comes while a sink hangs, and then at the end, leaves by the others.
    let over = Alert { severity: Severity::Info, key: "re-armed", text: "re-armed".into() };
    alerts.raise(&over, State::Leased, 2);
    alerts.finish();
    let keys: Vec<_> = fine.requests().iter().map(|request| request.json()["key"].clone()).collect();
    assert_eq!(keys, ["kill", "re-armed"]);
}

fn news(key: &str, matter: Matter) -> News {
    News {
        matter,
        severity: Severity::Critical,
        key: format!("host:{key}"),
        text: "is 120 s, at most 60".into(),
        remedy: "look at `it`".into(),
    }
}

#[test]
fn each_service_gets_what_the_host_says_and_its_end_by_the_same_key() {
    let key = "stream-down{stream=\"market\"}";
    let firing = news(key, Matter::Firing).letter(State::Leased, 1_772_461_800);
    let over = news(key, Matter::Over).letter(State::Leased, 1_772_461_800);
    let lines = format!(
        "CRITICAL on box: {key}: is 120 s, at most 60\n2026-03-02T14:30:00Z, watchdog leased\nTo do: \
         look at `it`"
    );
    let block = format!("```text\n{}\n```", lines.replace('`', "'"));
    check(
        0,
        "POST /api/webhooks/1/hush",
        &firing,
        &json!({ "content": block, "allowed_mentions": { "parse": [] } }),
    );
    let end = format!("over: {key}: is 120 s, at most 60 (on box)");
    let block = format!("```text\n{end}\n```");
    check(
        0,
        "POST /api/webhooks/1/hush",
        &over,
        &json!({ "content": block, "allowed_mentions": { "parse": [] } }),
    );
    let body = json!({
        "chat_id": -5, "text": end, "disable_notification": true,
        "link_preview_options": { "is_disabled": true },
    });
    check(1, "POST /bot1:hush/sendMessage", &over, &body);

    let dedup_key = format!("sandpit-watchdog/box/host:{key}");
    let body = json!({
        "routing_key": "hush-key", "event_action": "trigger", "dedup_key": dedup_key,
        "client": "sandpit-watchdog",
        "payload": {
            "summary": format!("box: {key}: is 120 s, at most 60"), "source": "box", "severity": "critical",
            "component": "sandpit-host", "class": format!("host:{key}"), "timestamp": "2026-03-02T14:30:00Z",
            "custom_details": { "state": "leased", "count": 1, "to_do": "look at `it`" },
        },
    });
    check(2, "POST /v2/enqueue", &firing, &body);
    let body = json!({ "routing_key": "hush-key", "event_action": "resolve", "dedup_key": dedup_key });
    check(2, "POST /v2/enqueue", &over, &body);

    let body = json!({
        "source": "sandpit-host", "host": "box", "severity": "critical", "key": format!("host:{key}"),
        "text": end.trim_end_matches(" (on box)"), "to_do": "look at `it`", "state": "leased",
        "at_unix_s": 1_772_461_800, "count": 1, "ends": [format!("host:{key}")],
    });
    check(3, "POST /hook?hush", &over, &body);
}

#[test]
fn what_is_longest_is_within_the_limits_of_every_service() {
    let wide = |count: usize| "\u{1f600}".repeat(count);
    let name = "n".repeat(64);
    let long = News { text: wide(800), remedy: wide(800), ..news(&"k".repeat(256), Matter::Firing) };
    let letter = long.letter(State::Killing, 1);
    let units = |text: &serde_json::Value| text.as_str().expect("a text").encode_utf16().count();
    assert!(units(&wording::discord(&letter, &name)["content"]) <= wording::MAX_DISCORD);
    let text = wording::lines(&letter, &name);
    assert!(text.contains(&wide(790)), "a chat gets nearly all of it");
    let units_said = units(&wording::telegram(1, &text, false)["text"]);
    assert!((3000..=wording::MAX_TELEGRAM).contains(&units_said), "{units_said}");
    assert!(units(&wording::telegram(1, &wide(5000), false)["text"]) == wording::MAX_TELEGRAM);
    let event = &wording::pagerduty(&letter, &name, "k")[0];
    assert!(event["payload"]["summary"].as_str().is_some_and(|text| text.chars().count() <= 1024));
    let dedup_key = event["dedup_key"].as_str().expect("a text");
    assert!(dedup_key.len() <= wording::MAX_DEDUP_KEY, "{dedup_key}");
    let other = news(&format!("{}x", "k".repeat(255)), Matter::Over).letter(State::Killing, 1);
    assert_ne!(wording::pagerduty(&other, &name, "k")[0]["dedup_key"], dedup_key, "another is another");
}

/// A letter of the host's that hangs at the service, and a flood behind it: the kill leaves at once, by a
/// connection of its own.
#[test]
fn nothing_of_the_host_delays_a_kill_or_takes_its_place() {
    let receiver = Receiver::new([]);
    let rules = Rules { min_severity: Severity::Info, repeat: Duration::from_secs(60), resolves: false };
    let sinks = vec![(services(&receiver.url)[3].clone(), rules)];
    let log = Log::start(None).expect("a thread");
    let alerts = Alerts::start(sinks, None, "box", &Post::new(), &log).expect("threads");
    receiver.reply("/hook", Reply::Never);
    alerts.pass(news("first", Matter::Firing), State::Leased, 1);
    receiver.request(|request| request.json()["key"] == "host:first");
    for n in 0..10_000 {
        alerts.pass(news(&format!("n{n}"), Matter::Firing), State::Leased, 1);
    }
    let started = crate::ambient::boot_time();
    alerts.raise(
        &Alert { severity: Severity::Critical, key: "kill", text: "killed".into() },
        State::Killing,
        1,
    );
    receiver.request(|request| request.json()["key"] == "kill");
    let took = crate::ambient::boot_time().since(started);
    assert!(took < CALL_WAIT / 2, "it waited {took:?} for a letter of the host");
    let keys: Vec<_> = receiver.requests().iter().map(|request| request.json()["key"].clone()).collect();
    assert_eq!(keys, ["host:first", "kill"], "the host's lane hangs, and only that");
}

#[test]
fn a_check_in_service_gets_a_line_or_is_asked_where_it_takes_none() {
    let receiver = Receiver::new([]);
    let url = format!("{}/ping/hush", receiver.url);
    Post::new().check_in(&url, "box state=leased").expect("taken");
    let request = receiver.requests().remove(0);
    assert_eq!((&*request.line, &*request.text), ("POST /ping/hush", "box state=leased"));
    receiver.reply("POST", Reply::Now(405, "", String::new()));
    Post::new().check_in(&url, "box state=leased").expect("taken");
    assert_eq!(receiver.requests()[2].line, "GET /ping/hush");
    receiver.reply("", Reply::Now(404, "", "hush".into()));
    let refused = Post::new().check_in(&url, "x").expect_err("refused");
    assert_eq!(refused, Failure::Refused("status 404; check ALERT_PING_URL".into()));
    receiver.reply("", Reply::Now(503, "Retry-After: 7\r\n", "hush".into()));
    let why = "status 503".into();
    let wait = Some(Duration::from_secs(7));
    assert_eq!(Post::new().check_in(&url, "x"), Err(Failure::Later { why, wait }));
}
