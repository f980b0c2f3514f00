//! The core: what files say, which rules hit, what a line makes of messages.

use std::time::Duration;

use sandpit_types::{MarketTime, Symbol};

use super::{
    line::{Line, Out},
    *,
};
use crate::limit::Api;

fn start() -> MarketTime {
    MarketTime::parse("2026-03-16T13:25:00Z").expect("a time")
}

fn at(secs: u64) -> MarketTime {
    start() + Duration::from_secs(secs)
}

fn rule(text: &str) -> Rule {
    Rule::from_json(text.as_bytes()).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn armed(seed: u64, rules: &[&str]) -> Faults {
    let mut faults = Faults::new(seed, start());
    for text in rules {
        faults.add(rule(text)).expect("room");
    }
    faults
}

fn post<'a>(path: &'a str) -> Request<'a> {
    Request { api: Api::of_path(path), method: "POST", path, is_handshake: false }
}

fn get<'a>(path: &'a str) -> Request<'a> {
    Request { method: "GET", ..post(path) }
}

#[test]
fn the_example_holds_every_kind_and_is_sound() {
    let rules = from_toml(include_str!("example.toml")).unwrap_or_else(|why| panic!("{why:?}"));
    let mut names: Vec<_> = rules.iter().map(Rule::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 20, "{names:?}");
    let Kind::Latency(spread) = rules[0].kind else { panic!("{:?}", rules[0]) };
    assert_eq!((spread.least_ms, spread.most_ms), (50, 250));
    // What is written out is read back as the same rule.
    for rule in &rules {
        let written = serde_json::to_vec(rule.as_written()).expect("JSON");
        assert_eq!(Rule::from_json(&written).as_ref(), Ok(rule));
    }
}

#[test]
fn a_wrong_file_is_explained_with_its_line() {
    let check = |text: &str, line: usize, words: &str| {
        let (found, message) = from_toml(text).expect_err(text);
        assert_eq!(found, line, "{text}: {message}");
        assert!(message.contains(words), "{text}: {message}");
    };
    check("[[fault]]\nkind = \"latncy\"", 2, "unknown word `latncy`; did you mean `latency`?");
    check("[[fault]]\nkind = \"drop\"\nstrem = \"data\"", 3, "unknown key `strem`; did you mean `stream`?");
    check("[[fualt]]\nkind = \"drop\"", 1, "unknown key `fualt`; did you mean `fault`?");
    check("[[fault]]\nkind = \"lose\"\nxyzzyx = 1", 3, "unknown key `xyzzyx`; sandpit-sim --help");
    check("\n[[fault]]\nkind = \"drop\"", 2, "needs stream");
    check("[[fault]]\nkind = \"reset\"\n\n[[fault]]\nkind = \"latency\"", 4, "needs delay_ms");
    check("[[fault]]\nkind = \"latency\"\ndelay_ms = \"x\"", 3, "number of milliseconds");
    check("[[fault]]\npath = \"/v2\"", 1, "missing field `kind`");
    check("[[fault]]\nkind = \"reset\"\nfirst = -1", 3, "u64");
    check("[[fault]\n", 1, "");
}

#[test]
fn a_rule_that_does_less_than_it_says_is_refused() {
    let check = |text: &str, words: &str| {
        let why = Rule::from_json(text.as_bytes()).expect_err(text);
        assert!(why.contains(words), "{text}: {why}");
    };
    check(r#"{"kind":"reset","delay_ms":5}"#, "`delay_ms` means nothing to a rule of kind `reset`");
    check(r#"{"kind":"reset","symbol":"SPY"}"#, "`symbol` means nothing");
    check(r#"{"kind":"halt"}"#, "needs symbol");
    check(r#"{"kind":"halt","symbol":"SPY","every":2}"#, "`every` means nothing");
    check(r#"{"kind":"stuck_cancels","symbol":"SPY"}"#, "`symbol` means nothing");
    check(r#"{"kind":"lose","stream":"data","path":"/"}"#, "`path` means nothing");
    check(r#"{"kind":"server_error","status":404}"#, "status 404 is none of 500, 502, 503, 504");
    check(r#"{"kind":"reset","every":0}"#, "every is at least 1");
    check(r#"{"kind":"reset","probability":1.5}"#, "above 0 and at most 1");
    check(r#"{"kind":"reset","probability":0}"#, "above 0 and at most 1");
    check(r#"{"kind":"reset","first":2,"every":3}"#, "every 3th of the first 2 is none");
    check(r#"{"kind":"reset","api":"data","path":"/v2/orders"}"#, "nothing of the data API is at /v2/orders");
    check(r#"{"kind":"reset","api":"trading","path":"/v2/stocks/bars"}"#, "nothing of the trading API");
    check(r#"{"kind":"equity","factor":2,"method":"POST"}"#, "is a GET, never a POST");
    check(r#"{"kind":"equity","factor":2,"api":"data"}"#, "at /v2/account only");
    check(r#"{"kind":"clock_skew","skew_secs":1,"path":"/v2/account"}"#, "at /v2/clock only");
    check(r#"{"kind":"handshake_429","path":"/v2/orders"}"#, "/stream only");
    check(r#"{"kind":"handshake_429","path":"/stream","api":"data"}"#, "/stream only");
    check(r#"{"kind":"partial_failure","path":"/v2/account"}"#, "at /v2/orders, /v2/positions only");
    check(r#"{"kind":"ghost","ghost_secs":0}"#, "ghost_secs is a number from 1");
    check(r#"{"kind":"reset","path":"v2"}"#, "slash");
    check(r#"{"kind":"reset","after_secs":5,"until_secs":5}"#, "ends before it begins");
    check(r#"{"kind":"latency","delay_ms":[5,4]}"#, "ends before it begins");
    check(r#"{"kind":"latency","delay_ms":600001}"#, "from 0 to 600000");
    check(r#"{"kind":"replay","stream":"trades","count":101}"#, "from 1 to 100");
    check(r#"{"kind":"equity","amount":1,"factor":2}"#, "only one of");
    check(r#"{"kind":"equity","factor":1e300}"#, "no number that an account can show");
    check(r#"{"kind":"clock_skew"}"#, "needs skew_secs");
    check(r#"{"kind":"reset","dead":"done"}"#, "did you mean `deed`");
    check("[]", "");
}

#[test]
fn a_rule_that_can_hit_is_taken() {
    for text in [
        r#"{"kind":"reset","first":3,"every":3}"#,
        r#"{"kind":"reset","api":"data","path":"/v2/s"}"#,
        r#"{"kind":"reset","api":"data","path":"/v2/iex"}"#,
        r#"{"kind":"reset","api":"trading","path":"/v2"}"#,
        r#"{"kind":"equity","factor":2,"method":"get","path":"/v2/acc"}"#,
        r#"{"kind":"clock_skew","skew_secs":1,"stamps":true,"path":"/v2/account"}"#,
        r#"{"kind":"handshake_429","api":"trading"}"#,
        r#"{"kind":"partial_failure","path":"/v2/pos"}"#,
    ] {
        rule(text);
    }
}

#[test]
fn only_its_own_rule_ends_a_mute() {
    let mut line = Line::default();
    assert_eq!(line.push('a', &[Effect::Mute(None, 7)], start()), []);
    line.unmute(Some(8));
    assert!(line.is_mute(start()), "another rule's");
    line.unmute(Some(7));
    assert_eq!(line.push('b', &[Effect::Mute(None, 9)], start()), []);
    line.unmute(None);
    assert_eq!(line.push('c', &[], start()), [Out::Send('c', 0)]);
}

#[test]
fn where_when_and_how_often() {
    // Each request comes in its second; what is expected says which are hit.
    let check = |fields: &str, requests: &[(u64, Request<'_>)], expected: &str| {
        let mut faults = armed(1, &[&format!(r#"{{"kind":"rate_limit"{fields}}}"#)]);
        let hit = |(secs, request): &(u64, Request<'_>)| {
            if faults.on_request(*request, at(*secs)).end.is_some() { 'x' } else { '.' }
        };
        assert_eq!(requests.iter().map(hit).collect::<String>(), expected, "{fields}");
        let hits = expected.matches('x').count() as u64;
        assert_eq!(faults.rules()[0].hits, hits, "{fields}");
    };
    let six: Vec<_> = (0..6).map(|n| (n, post("/v2/orders"))).collect();
    check("", &six, "xxxxxx");
    check(r#","first":2"#, &six, "xx....");
    check(r#","every":3"#, &six, "..x..x");
    check(r#","at_most":2"#, &six, "xx....");
    check(r#","first":4,"every":2,"at_most":1"#, &six, ".x....");
    check(r#","probability":1"#, &six, "xxxxxx");
    check(r#","after_secs":2"#, &six, "..xxxx");
    check(r#","until_secs":2"#, &six, "xx....");
    check(r#","from":"2026-03-16T13:25:01Z","until":"2026-03-16T13:25:03Z""#, &six, ".xx...");
    check(r#","from":"2026-03-16T13:25:01Z","after_secs":3,"every":2"#, &six, "....x.");
    let places = [
        (0, post("/v2/orders")),
        (0, get("/v2/orders/7")),
        (0, get("/v2/stocks/bars")),
        (0, get("/v1beta1/news")),
        (0, get("/v2/account")),
    ];
    check(r#","method":"post""#, &places, "x....");
    check(r#","path":"/v2/orders""#, &places, "xx...");
    check(r#","api":"data""#, &places, "..xx.");
    check(r#","api":"trading","method":"GET""#, &places, ".x..x");
}

#[test]
fn the_first_rule_that_decides_ends_the_asking() {
    let mut faults = armed(
        1,
        &[
            r#"{"kind":"latency","delay_ms":5}"#,
            r#"{"kind":"latency","delay_ms":[7,7]}"#,
            r#"{"kind":"server_error","status":504,"deed":"done","at_most":1}"#,
            r#"{"kind":"timeout","hold_ms":9}"#,
            r#"{"kind":"latency","delay_ms":100}"#,
        ],
    );
    let plan = faults.on_request(post("/v2/orders"), start());
    assert_eq!(plan.delay, Duration::from_millis(12));
    assert_eq!(plan.end, Some((Step::ServerError(504), Deed::Done)));
    assert_eq!(plan.hits.iter().map(|hit| hit.rule).collect::<Vec<_>>(), [1, 2, 3]);
    let plan = faults.on_request(post("/v2/orders"), start());
    assert_eq!(plan.end, Some((Step::Timeout(Duration::from_millis(9)), Deed::Undone)));
}

#[test]
fn readings_and_handshakes_have_their_own_places() {
    let mut faults = armed(
        1,
        &[
            r#"{"kind":"equity","factor":0.5}"#,
            r#"{"kind":"clock_skew","skew_secs":-3}"#,
            r#"{"kind":"handshake_429"}"#,
        ],
    );
    let account = faults.on_request(get("/v2/account"), start());
    assert!(matches!(account.equity, Some(Reading::Factor(_))) && account.end.is_none());
    assert_eq!(faults.on_request(get("/v2/clock"), start()).skew_secs, -3);
    assert!(faults.on_request(get("/v2/account/configurations"), start()).hits.is_empty());
    let handshake = Request { is_handshake: true, ..get("/stream") };
    assert_eq!(faults.on_request(handshake, start()).end, Some((Step::RateLimit, Deed::Undone)));
}

/// Rules of many shapes, made from a number.
fn some_rule(n: u64) -> String {
    let mut text = r#"{"kind":"latency","delay_ms":[0,1000]"#.to_owned();
    for (bit, field) in [(1, r#""probability":0.4"#), (2, r#""every":3"#), (4, r#""first":60"#)] {
        if n & bit != 0 {
            text.push(',');
            text.push_str(field);
        }
    }
    text + &format!(r#","at_most":{}}}"#, n % 11 + 1)
}

#[test]
fn no_rule_hits_more_often_than_it_may_and_the_seed_decides_all() {
    for seed in 0..20_u64 {
        let rules: Vec<String> = (0..32).map(|n| some_rule(n * 7 + seed)).collect();
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let run = |seed: u64, rules: &[&str]| {
            let mut faults = armed(seed, rules);
            let plans: Vec<Plan> =
                (0..300).map(|n| faults.on_request(post("/v2/orders"), at(n / 7))).collect();
            for armed in faults.rules() {
                let most = armed.rule.how_often.at_most.expect("every rule has one");
                assert!(armed.hits <= most, "seed {seed}: {armed:?}");
                let noted = plans.iter().flat_map(|plan| &plan.hits).filter(|hit| hit.rule == armed.id);
                assert_eq!(noted.count() as u64, armed.hits, "seed {seed}");
                // Without chance it does hit that often.
                if armed.rule.how_often.probability.is_none() {
                    assert_eq!(armed.hits, most, "seed {seed}: {armed:?}");
                }
            }
            plans
        };
        assert_eq!(run(seed, &rules), run(seed, &rules), "seed {seed}");
        assert_ne!(run(seed, &rules), run(seed + 1, &rules), "seed {seed}");
        // One rule more does not move the others.
        let mut more = rules.clone();
        more.push(r#"{"kind":"latency","delay_ms":[0,1000],"probability":0.5,"at_most":300}"#);
        let strip = |plans: Vec<Plan>| -> Vec<Vec<Hit>> {
            let old = |plan: Plan| plan.hits.into_iter().filter(|hit| hit.rule <= 32).collect();
            plans.into_iter().map(old).collect()
        };
        assert_eq!(strip(run(seed, &rules)), strip(run(seed, &more)), "seed {seed}");
    }
}

#[test]
fn a_probability_is_one_and_a_range_is_met_to_both_ends() {
    let mut faults = armed(7, &[r#"{"kind":"latency","delay_ms":[3,6],"probability":0.25}"#]);
    let plans: Vec<Plan> = (0..10_000).map(|_| faults.on_request(post("/"), start())).collect();
    let hits = faults.rules()[0].hits;
    assert!((2_300..2_700).contains(&hits), "{hits} of 10000");
    let delays: std::collections::BTreeSet<u128> =
        plans.iter().filter(|plan| !plan.hits.is_empty()).map(|plan| plan.delay.as_millis()).collect();
    assert_eq!(delays.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6]);
}

#[test]
fn rules_are_bounded_and_numbered_for_ever() {
    let mut faults = Faults::new(1, start());
    for n in 1..=MAX_RULES as u64 {
        assert_eq!(faults.add(rule(r#"{"kind":"reset"}"#)), Ok(n));
    }
    assert_eq!(faults.add(rule(r#"{"kind":"reset"}"#)), Err(TooManyRules));
    assert!(faults.remove(3) && !faults.remove(3));
    assert_eq!(faults.add(rule(r#"{"kind":"reset"}"#)), Ok(MAX_RULES as u64 + 1));
    assert_eq!(faults.clear(), MAX_RULES);
    assert!(faults.rules().is_empty());
}

#[test]
fn the_venue_is_switched_on_time() {
    let mut faults = armed(
        1,
        &[
            r#"{"kind":"halt","symbol":"SPY","after_secs":10,"until_secs":20}"#,
            r#"{"kind":"halt","symbol":"IBM","after_secs":15}"#,
            r#"{"kind":"stuck_cancels","until_secs":12}"#,
        ],
    );
    let mut check = |secs: u64, stuck: bool, halted: &[&str], next: Option<u64>, news: &[u64]| {
        let (venue, hits) = faults.venue(at(secs));
        let names: Vec<&str> = venue.halted.iter().map(Symbol::as_str).collect();
        assert_eq!((venue.has_stuck_cancels, &*names), (stuck, halted), "at {secs}");
        assert_eq!(hits.iter().map(|hit| hit.rule).collect::<Vec<_>>(), news, "at {secs}");
        assert_eq!(faults.next_change(at(secs)), next.map(at), "at {secs}");
    };
    check(0, true, &[], Some(10), &[3]);
    check(10, true, &["SPY"], Some(12), &[1]);
    check(12, false, &["SPY"], Some(15), &[]);
    check(15, false, &["IBM", "SPY"], Some(20), &[2]);
    check(20, false, &["IBM"], None, &[]);
}

#[test]
fn items_and_leavers() {
    let mut faults = armed(
        1,
        &[
            r#"{"kind":"partial_failure","status":422,"path":"/v2/orders","symbol":"SPY","every":2}"#,
            r#"{"kind":"ghost","stream":"data","at_most":1}"#,
        ],
    );
    let (spy, ibm) = (Symbol::new("SPY"), Symbol::new("IBM"));
    assert!(faults.on_item("/v2/orders", &spy, start()).is_none());
    assert!(faults.on_item("/v2/orders", &ibm, start()).is_none());
    assert!(faults.on_item("/v2/positions", &spy, start()).is_none());
    let failure = faults.on_item("/v2/orders", &spy, start());
    assert_eq!(failure.map(|(status, deed, _)| (status, deed)), Some((422, Deed::Undone)));
    assert!(faults.on_leave(Stream::Trades, start()).is_none());
    let ghost = faults.on_leave(Stream::Data, start()).map(|(time, _)| time);
    assert_eq!(ghost, Some(Duration::from_secs(90)));
    assert!(faults.on_leave(Stream::Data, start()).is_none());
}

/// Plays messages `a`, `b`, ... one a second, each under its effects, and compares what goes out in which
/// second, with a look at what is due in every second.
fn check_line(effects: &[&[Effect]], expected: &str) {
    let mut line = Line::default();
    let mut seen = String::new();
    for secs in 0..effects.len().max(6) {
        let now = at(secs as u64);
        let mut out = line.due(now);
        if let Some(effects) = effects.get(secs) {
            let name = char::from(b'a' + secs as u8);
            out.extend(line.push(name, effects, now));
        }
        for out in out {
            match out {
                Out::Send(name, 0) => seen.push(name),
                Out::Send(name, skew) => seen.push_str(&format!("{name}{skew:+}")),
                Out::Cut => seen.push('!'),
            }
        }
        seen.push(' ');
    }
    assert_eq!(seen.trim_end(), expected, "{effects:?}");
}

#[test]
fn what_a_line_makes_of_messages() {
    use Effect::{Cut, Duplicate, Lose, Mute, Reorder, Replay, Skew, Slow};
    let secs = Duration::from_secs;
    check_line(&[&[], &[], &[]], "a b c");
    check_line(&[&[], &[Lose], &[]], "a  c");
    check_line(&[&[Duplicate], &[]], "aa b");
    check_line(&[&[], &[Duplicate, Duplicate]], "a bbb");
    check_line(&[&[], &[Cut], &[]], "a ! c");
    check_line(&[&[], &[], &[Replay(2)], &[Replay(3)]], "a b cbc dbcd");
    check_line(&[&[Skew(-3)], &[Skew(1), Skew(1)]], "a-3 b+2");
    check_line(&[&[], &[Mute(Some(secs(2)), 1)], &[], &[], &[]], "a   d e");
    check_line(&[&[], &[Mute(None, 1)], &[], &[], &[]], "a");
    // The next message, at the latest a second later: it is let out before the one of that second.
    check_line(&[&[Reorder], &[]], " ab");
    // Behind a slow one everything waits, in order.
    check_line(&[&[], &[Slow(secs(2))], &[], &[], &[]], "a   bcd e");
    check_line(&[&[Slow(secs(3))], &[Cut], &[]], " !  ac");
}

#[test]
fn a_message_comes_after_the_next_one() {
    let mut line = Line::default();
    let mut push = |name: char, effects: &[Effect]| -> String {
        let out = line.push(name, effects, start());
        out.into_iter().map(|out| if let Out::Send(name, _) = out { name } else { '!' }).collect()
    };
    assert_eq!(push('a', &[Effect::Reorder]), "");
    assert_eq!(push('b', &[]), "ba");
    assert_eq!(push('c', &[Effect::Reorder]), "");
    assert_eq!(push('d', &[Effect::Reorder]), "dc");
    assert_eq!(push('e', &[Effect::Reorder]), "");
    assert_eq!(line.deadline(), Some(at(1)), "it does not wait for ever");
    assert_eq!(line.due(at(1)), [Out::Send('e', 0)]);
    assert!(line.is_clear());
}

#[test]
fn a_full_line_lets_the_oldest_out() {
    let mut line = Line::default();
    let slow = [Effect::Slow(Duration::from_secs(60))];
    for n in 0..line::MAX_WAITING {
        assert_eq!(line.push(n, &slow, start()), [], "{n}");
    }
    assert_eq!(line.push(line::MAX_WAITING, &slow, start()), [Out::Send(0, 0)]);
    assert_eq!(line.due(at(60)).len(), line::MAX_WAITING);
}
