//! Conversations of the data stream, in both encodings.

use super::*;

struct Stage {
    feed: Feed,
    plan: Plan,
}

fn pair() -> KeyPair {
    KeyPair { key: "K".into(), secret: "S".into() }
}

/// Plays a conversation in both encodings and looks for what is expected in every answer.
fn check(stage: &Stage, script: &[(&str, &str)]) {
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let (keys, door) = (Keys::only(pair()), Door::new(stage.plan, 1));
        let mut session = DataSession::new(stage.feed, encoding, &door, None, &keys);
        assert_eq!(session.hello(), [session.success("connected")]);
        for (said, expected) in script {
            let answer = match (encoding, serde_json::from_str::<Value>(said)) {
                (Encoding::MessagePack, Ok(value)) => {
                    session.on_binary(&rmp_serde::to_vec_named(&value).expect("MessagePack"), &keys)
                }
                (Encoding::MessagePack, Err(_)) => session.on_binary(said.as_bytes(), &keys),
                (Encoding::Json, _) => session.on(said, &keys),
            };
            let shown: Vec<String> = answer.messages.iter().map(show).collect();
            assert!(shown.concat().contains(expected), "{encoding:?}: {said} was answered {shown:?}");
        }
    }
}

fn show(payload: &Payload) -> String {
    match payload {
        Payload::Text(text) => text.to_string(),
        Payload::Packed(bytes) => encoding::unpack(bytes).expect("MessagePack").to_string(),
    }
}

const STOCKS: Stage = Stage { feed: Feed::Iex, plan: Plan::AlgoTraderPlus };
const AUTH: (&str, &str) =
    (r#"{"action":"auth","key":"K","secret":"S"}"#, r#"[{"T":"success","msg":"authenticated"}]"#);

#[test]
fn authentication() {
    check(
        &STOCKS,
        &[
            (r#"{"action":"subscribe","bars":["*"]}"#, r#""code":401"#),
            (r#"{"action":"auth","key":"K","secret":"no"}"#, r#""code":402"#),
            AUTH,
            (AUTH.0, r#""code":403"#),
        ],
    );
}

#[test]
fn only_who_waits_for_a_place_has_time() {
    let keys = Keys::only(pair());
    for (plan, most, is_overdue) in [(Plan::Basic, 1, true), (Plan::AlgoTraderPlus, 0, false)] {
        let door = Door::new(plan, most);
        let session = DataSession::new(Feed::Sip, Encoding::Json, &door, Some(&pair()), &keys);
        assert_eq!(session.is_overdue().is_some(), is_overdue, "{plan:?}");
    }
}

#[test]
fn the_complete_set_is_acknowledged() {
    check(
        &STOCKS,
        &[
            AUTH,
            (
                r#"{"action":"subscribe","trades":["SPY"],"quotes":["IBM","SPY"],"bars":["*"]}"#,
                r#"[{"T":"subscription","bars":["*"],"cancelErrors":["SPY"],"corrections":["SPY"],"#,
            ),
            (r#"{"action":"subscribe","imbalances":["SPY"]}"#, r#""imbalances":["SPY"]"#),
            (r#"{"action":"unsubscribe","quotes":["SPY"],"trades":["SPY"]}"#, r#""quotes":["IBM"]"#),
            (r#"{"action":"unsubscribe"}"#, r#""corrections":[]"#),
        ],
    );
    let test = Stage { feed: Feed::Test, plan: Plan::Basic };
    let acknowledged = r#"[{"T":"subscription","bars":[],"quotes":[],"trades":["FAKEPACA"]}]"#;
    check(&test, &[AUTH, (r#"{"action":"subscribe","trades":["FAKEPACA"]}"#, acknowledged)]);
    let news = Stage { feed: Feed::News, plan: Plan::Basic };
    let acknowledged = r#"[{"T":"subscription","news":["*"]}]"#;
    check(&news, &[AUTH, (r#"{"action":"subscribe","news":["*"]}"#, acknowledged)]);
}

#[test]
fn nonsense_is_refused_and_changes_nothing() {
    check(
        &STOCKS,
        &[
            AUTH,
            ("", r#""code":400"#),
            ("[1]", r#""code":400"#),
            (r#"{"action":"dance"}"#, r#""code":400"#),
            (r#"{"action":"subscribe","bars":"SPY"}"#, r#""code":400"#),
            (r#"{"action":"subscribe","bars":["spy!"]}"#, r#""code":400"#),
            (r#"{"action":"subscribe","bars":["SPY"],"orderbooks":["SPY"]}"#, r#""code":410"#),
            (r#"{"action":"subscribe","news":["SPY"]}"#, r#""code":410"#),
            (r#"{"action":"subscribe","news":[],"lulds":null}"#, r#""bars":[]"#),
        ],
    );
}

#[test]
fn the_free_plan_has_thirty_symbols_of_trades_and_quotes() {
    let names = |count: usize| (0..count).map(|n| format!("\"S{n}\"")).collect::<Vec<_>>().join(",");
    let subscribe =
        |channel: &str, count| format!(r#"{{"action":"subscribe","{channel}":[{}]}}"#, names(count));
    let (twenty, ten, all) = (subscribe("trades", 20), subscribe("quotes", 10), subscribe("bars", 500));
    let script = [
        AUTH,
        (&*twenty, "S19"),
        (&*ten, "S9"),
        (r#"{"action":"subscribe","quotes":["ONE"]}"#, r#""code":405"#),
        (r#"{"action":"subscribe","quotes":["*"]}"#, r#""code":405"#),
        (&*all, "S499"),
        (r#"{"action":"unsubscribe","quotes":["S1"]}"#, r#""quotes":["S0","S2""#),
        (r#"{"action":"subscribe","quotes":["ONE"]}"#, "ONE"),
    ];
    check(&Stage { feed: Feed::Iex, plan: Plan::Basic }, &script);
    let many = subscribe("quotes", 10_001);
    check(&STOCKS, &[AUTH, (&many, r#""code":405"#), (r#"{"action":"subscribe","quotes":["*"]}"#, "*")]);
}

#[test]
fn the_free_plan_lacks_sip() {
    let refused = (AUTH.0, r#"[{"T":"error","code":409,"msg":"insufficient subscription"}]"#);
    for feed in Feed::ALL {
        let answer = if feed.needs_plus() { refused } else { AUTH };
        check(&Stage { feed, plan: Plan::Basic }, &[answer]);
        check(&Stage { feed, plan: Plan::AlgoTraderPlus }, &[AUTH]);
    }
}

#[test]
fn who_is_turned_away_may_try_again_on_the_same_socket() {
    let (keys, door) = (Keys::only(pair()), Door::new(Plan::AlgoTraderPlus, 1));
    let open = |offered: &KeyPair| DataSession::new(Feed::Iex, Encoding::Json, &door, Some(offered), &keys);
    let first = open(&pair());
    assert_eq!(first.hello(), [first.success("connected"), first.success("authenticated")]);
    let mut second = open(&pair());
    let full = second.error(StreamError::ConnectionLimit);
    assert_eq!(second.hello(), [second.success("connected"), full.clone()]);
    assert_eq!(second.on(AUTH.0, &keys).messages, [full]);
    assert_eq!(second.is_overdue(), None, "it has shown its keys");
    drop(first);
    assert_eq!(second.on(AUTH.0, &keys).messages, [second.success("authenticated")]);
    let wrong = KeyPair { key: "K".into(), secret: "wrong".into() };
    let third = open(&wrong);
    assert_eq!(third.hello()[1], third.error(StreamError::AuthFailed));
    assert_eq!(third.is_overdue(), Some(third.error(StreamError::AuthTimeout)));
}
