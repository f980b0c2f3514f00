use proptest::prelude::*;

use sandpit_contract::State;

use super::*;
use crate::{
    alerts::letter::Key,
    machine::{Alert, Kind},
};

const REPEAT: Duration = Duration::from_secs(900);

fn at(s: u64) -> BootTime {
    BootTime::from_nanos(s * 1_000_000_000)
}

fn letter(key: &'static str) -> Letter {
    let severity = Kind::of(key).map_or(Severity::Warning, |kind| kind.severity);
    Letter::own(&Alert { severity, key, text: key.into() }, State::Leased, 1)
}

fn queue(min_severity: Severity, resolves: bool) -> Queue {
    Queue::new(Rules { min_severity, repeat: REPEAT, resolves })
}

fn later(wait_s: Option<u64>) -> Result<(), Failure> {
    Err(Failure::Later { why: "no answer".into(), wait: wait_s.map(Duration::from_secs) })
}

/// Tests have written all keys down.
fn word(key: &Key) -> &'static str {
    match key {
        Key::Borrowed(word) => word,
        Key::Owned(_) => "another",
    }
}

/// Sends everything that is due; keys with their counts.
fn send(queue: &mut Queue, s: u64) -> Vec<(&'static str, u64)> {
    let mut sent = Vec::new();
    while let Some((number, letter)) = queue.due(at(s)) {
        queue.answered(number, Ok(()), at(s));
        sent.push((word(&letter.key), letter.count));
    }
    sent
}

/// A script of `(second, key)` and what leaves at which second when every letter arrives.
fn check(script: &[(u64, &'static str)], expected: &[(u64, &'static str, u64)]) {
    let mut queue = queue(Severity::Info, false);
    let mut sent = Vec::new();
    let mut raises = script.iter().peekable();
    for s in 0..4000 {
        while let Some((_, key)) = raises.next_if(|(when, _)| *when == s) {
            queue.raise(letter(key), at(s));
        }
        let is_due = queue.deadline().is_some_and(|deadline| deadline <= at(s));
        let now = send(&mut queue, s);
        assert!(is_due || now.is_empty(), "the deadline was wrong at {s}");
        sent.extend(now.into_iter().map(|(key, count)| (s, key, count)));
    }
    assert_eq!(sent, expected, "{script:?}");
    assert_eq!(queue.deadline(), None);
}

#[test]
fn the_same_again_is_held_back_counted_and_told_at_the_end_of_its_window() {
    let crash = "host-crashed";
    check(&[(0, crash)], &[(0, crash, 1)]);
    check(&[(0, crash), (5, crash), (899, crash)], &[(0, crash, 1), (900, crash, 2)]);
    check(&[(0, crash), (900, crash)], &[(0, crash, 1), (900, crash, 1)]);
    // The worst first, then the oldest.
    check(
        &[(0, "started"), (0, crash), (0, "kill"), (0, "pause")],
        &[(0, "kill", 1), (0, crash, 1), (0, "pause", 1), (0, "started", 1)],
    );
}

#[test]
fn what_is_over_and_begins_again_is_told_at_once() {
    let (kill, arm) = ("kill", "re-armed");
    let each = [(0, kill), (5, arm), (9, kill), (12, arm), (15, kill), (16, arm)];
    let told: Vec<_> = each.iter().map(|(s, key)| (*s, *key, 1)).collect();
    check(&each, &told);
    // A host that comes and goes is told twice, then as it stands in the end.
    let (lost, back) = ("host-replaced", "host-back");
    let script: Vec<_> = (0..10).flat_map(|i| [(i * 20, lost), (i * 20 + 10, back)]).collect();
    let told = [(0, lost, 1), (10, back, 1), (20, lost, 1)];
    check(&script, &[&told[..], &[(910, back, 9)]].concat());
    check(&[&script[..], &[(200, lost)]].concat(), &[&told[..], &[(920, lost, 9)]].concat());
}

#[test]
fn a_second_kill_after_an_arming_is_told_at_once_whatever_the_least_severity() {
    for least in [Severity::Info, Severity::Warning, Severity::Critical] {
        let mut queue = queue(least, false);
        queue.raise(letter("kill"), at(0));
        assert_eq!(send(&mut queue, 0), [("kill", 1)]);
        queue.raise(letter("re-armed"), at(10));
        send(&mut queue, 10);
        queue.raise(letter("kill"), at(20));
        assert_eq!(send(&mut queue, 20), [("kill", 1)], "{least:?}");
    }
    // What comes and goes by itself stays held back where its end is not told.
    let mut queue = queue(Severity::Warning, false);
    for s in [0, 20] {
        queue.raise(letter("host-replaced"), at(s));
        queue.raise(letter("host-back"), at(s + 10));
    }
    assert_eq!(send(&mut queue, 30), [("host-replaced", 1)]);
}

#[test]
fn an_end_is_no_end_of_what_began_again() {
    let mut queue = queue(Severity::Warning, true);
    queue.raise(letter("kill"), at(0));
    assert_eq!(send(&mut queue, 0), [("kill", 1)]);
    queue.raise(letter("re-armed"), at(1));
    let (number, _) = queue.due(at(1)).expect("it resolves, below the severity or not");
    queue.answered(number, later(None), at(1));
    queue.raise(letter("kill"), at(2));
    let (number, first) = queue.due(at(3)).expect("due");
    assert_eq!(first.key, "kill");
    queue.answered(number, Ok(()), at(3));
    let (_, end) = queue.due(at(3)).expect("due");
    assert!(!end.does_end(&"kill".into()) && end.does_end(&"pending".into()), "{end:?}");
    // Another that ends nothing stays below.
    queue.raise(letter("started"), at(3));
    assert_eq!(send(&mut queue, 3), [("re-armed", 1)]);
}

#[test]
fn failures_are_backed_off_from_and_given_up_in_the_end() {
    for (key, until) in [("host-back", 3_600), ("kill", 86_400)] {
        let mut queue = queue(Severity::Info, false);
        queue.raise(letter(key), at(0));
        let (mut tries, mut lines) = (Vec::new(), Vec::new());
        for s in 0..until + 400 {
            if let Some((number, _)) = queue.due(at(s)) {
                tries.push(s);
                queue.answered(number, later(None), at(s));
            }
            lines.extend(queue.lines());
        }
        assert_eq!(tries[..9], [0, 1, 3, 7, 15, 31, 63, 123, 183]);
        assert!(tries.last().is_some_and(|last| (until - 60..until).contains(last)), "{key}: {tries:?}");
        let expected = [
            "do not arrive and are tried again: no answer",
            "could not be sent for too long and are given up",
        ];
        assert_eq!(lines, expected, "each is said once");
        queue.raise(letter("pause"), at(until + 400));
        assert_eq!(send(&mut queue, until + 400), [("pause", 1)]);
        assert_eq!(queue.lines(), ["arrive again; 1 were lost"]);
    }
}

#[test]
fn a_service_that_names_a_pause_gets_it() {
    let mut queue = queue(Severity::Info, false);
    queue.raise(letter("kill"), at(0));
    let (number, _) = queue.due(at(0)).expect("due");
    queue.answered(number, later(Some(30)), at(0));
    assert_eq!((queue.due(at(29)), queue.deadline()), (None, Some(at(30))));
    let (number, _) = queue.due(at(30)).expect("due");
    // A pause without an end is none.
    queue.answered(number, later(Some(u64::MAX)), at(30));
    assert_eq!(queue.deadline(), Some(at(30) + LONGEST_WISH));
    assert!(queue.due(at(30) + LONGEST_WISH).is_some(), "and it is still there then");
}

#[test]
fn a_critical_one_does_not_wait_for_our_own_pause() {
    let mut queue = queue(Severity::Info, false);
    queue.raise(letter("pause"), at(0));
    for s in [0, 1, 3, 7] {
        let (number, _) = queue.due(at(s)).expect("due");
        queue.answered(number, later(None), at(s));
    }
    queue.raise(letter("host-crashed"), at(8));
    assert_eq!((queue.due(at(8)), queue.deadline()), (None, Some(at(15))));
    queue.raise(letter("kill"), at(9));
    let (number, _) = queue.due(at(9)).expect("at once");
    queue.answered(number, later(Some(100)), at(9));
    queue.raise(letter("pending"), at(10));
    assert_eq!((queue.due(at(108)), queue.deadline()), (None, Some(at(109))), "the service's own wish");
}

#[test]
fn what_is_refused_is_dropped_and_said_once() {
    let mut queue = queue(Severity::Info, false);
    for key in ["kill", "pause"] {
        queue.raise(letter(key), at(0));
        let (number, _) = queue.due(at(0)).expect("due");
        queue.answered(number, Err(Failure::Refused("status 404".into())), at(0));
    }
    assert_eq!((queue.lines(), queue.due(at(0))), (vec!["are refused: status 404".into()], None));
}

const KEYS: [&str; 8] =
    ["kill", "re-armed", "pending", "confirmed", "host-crashed", "host-back", "started", "pause"];

proptest! {
    /// Whatever comes and however it fails: nothing critical gives way to anything less, the queue is
    /// bounded, no kind leaves more often than it came, and no sink is asked before its time.
    #[test]
    fn the_queue_keeps_its_word(
        script in proptest::collection::vec((0..KEYS.len(), 0_u64..400, 0..4_u8), 1..300),
        resolves in any::<bool>(),
    ) {
        let mut queue = queue(Severity::Info, resolves);
        let (mut now, mut not_before) = (0, 0);
        let mut raised = BTreeMap::<&str, u64>::new();
        let mut left = BTreeMap::<&str, u64>::new();
        for (key, wait, answer) in script {
            now += wait;
            let key = KEYS[key];
            *raised.entry(key).or_default() += 1;
            queue.raise(letter(key), at(now));
            prop_assert!(queue.waiting.len() <= MAX_WAITING && queue.windows.len() <= MAX_WINDOWS);
            let Some((number, next)) = queue.due(at(now)) else { continue };
            prop_assert!(now >= not_before);
            let worst = queue.waiting.iter().map(|one| one.letter.severity).max();
            prop_assert_eq!(Some(next.severity), worst);
            match answer {
                0 => {
                    queue.answered(number, later(Some(60)), at(now));
                    not_before = now + 60;
                }
                _ => {
                    *left.entry(word(&next.key)).or_default() += next.count;
                    queue.answered(number, Ok(()), at(now));
                }
            }
        }
        for (key, count) in left {
            prop_assert!(count <= raised[key], "{} left more often than it was raised", key);
        }
    }

    #[test]
    fn a_full_queue_drops_the_least(severities in proptest::collection::vec(0..3_u8, 0..200)) {
        let mut queue = queue(Severity::Info, false);
        let of = |n: &u8| [Severity::Info, Severity::Warning, Severity::Critical][usize::from(*n)];
        for severity in &severities {
            // Past the windows, to fill it.
            queue.put(Letter { severity: of(severity), ..letter("pause") }, at(0));
        }
        let mut best: Vec<_> = severities.iter().map(of).collect();
        best.sort_by_key(|severity| std::cmp::Reverse(*severity));
        best.truncate(MAX_WAITING);
        let mut kept = Vec::new();
        while let Some((number, letter)) = queue.due(at(0)) {
            queue.answered(number, Ok(()), at(0));
            kept.push(letter.severity);
        }
        prop_assert_eq!(kept, best);
    }
}

const NIGHT: Option<(Severity, BootTime)> =
    Some((Severity::Warning, BootTime::from_nanos(3600 * 1_000_000_000)));

fn of_host(key: &'static str, severity: Severity, matter: Matter) -> Letter {
    let ends = if matter == Matter::Firing { Vec::new() } else { vec![key.into()] };
    Letter { key: key.into(), severity, matter, ends, ..letter("pause") }
}

#[test]
fn a_signal_of_the_host_ends_by_its_own_key() {
    let (firing, over) = ("host:a", "host:a");
    let raise = |queue: &mut Queue, matter, s| {
        let key = if matter == Matter::Firing { firing } else { over };
        queue.raise(of_host(key, Severity::Warning, matter), at(s));
        send(queue, s).len()
    };
    let mut queue = queue(Severity::Warning, false);
    assert_eq!(raise(&mut queue, Matter::Firing, 0), 1);
    assert_eq!(raise(&mut queue, Matter::Over, 10), 1, "as severe as it was, so it is told");
    assert_eq!(raise(&mut queue, Matter::Firing, 20), 1);
    assert_eq!(raise(&mut queue, Matter::Over, 30), 0, "what comes and goes is held back");
    assert_eq!(raise(&mut queue, Matter::Firing, 40), 0);
    assert_eq!(send(&mut queue, 930), [("host:a", 1)], "and told as it stands");
    assert_eq!(raise(&mut queue, Matter::Unheard, 2000), 0, "nobody was told");
    // One that was not sent yet is not told after its end as if it fired.
    let mut queue = super::tests::queue(Severity::Info, true);
    queue.raise(of_host("host:a", Severity::Info, Matter::Unheard), at(0));
    assert_eq!(send(&mut queue, 0), [("host:a", 1)], "for those who resolve");
}

#[test]
fn quiet_hours_hold_back_up_to_their_severity_and_end_in_one_digest() {
    let mut queue = queue(Severity::Info, false);
    queue.raise(letter("host-crashed"), at(0));
    let (number, _) = queue.due(at(0)).expect("due");
    queue.answered(number, later(None), at(0));
    queue.set_quiet(NIGHT, at(1));
    assert_eq!(queue.due(at(5)), None, "what could not leave waits for the end, too");
    for key in ["pause", "host-replaced", "host-back", "pause", "kill", "re-armed"] {
        queue.raise(letter(key), at(6));
        queue.set_quiet(NIGHT, at(7));
    }
    queue.raise(of_host("host:a", Severity::Warning, Matter::Firing), at(8));
    queue.raise(of_host("host:b", Severity::Warning, Matter::Firing), at(8));
    queue.raise(of_host("host:b", Severity::Warning, Matter::Over), at(9));
    queue.raise(of_host("host:old", Severity::Warning, Matter::Over), at(9));
    assert_eq!(send(&mut queue, 10), [("kill", 1)], "what is critical leaves");
    queue.raise(letter("kill"), at(20));
    assert_eq!(send(&mut queue, 20), [("kill", 1)], "a human has armed since");
    assert_eq!(queue.deadline(), Some(at(3600)));
    queue.set_quiet(None, at(3600));
    let (number, digest) = queue.due(at(3600)).expect("the end");
    assert_eq!((digest.matter, digest.severity, digest.count), (Matter::Digest, Severity::Warning, 9));
    assert_eq!(
        digest.text,
        "9 alerts in the quiet hours, 3 of them over again\n- warning pause (2 times): pause\n\
         - warning host:a: pause\n- warning over: host:old: pause\n- info host-back: host-back\n\
         - info re-armed: re-armed"
    );
    queue.answered(number, Ok(()), at(3600));
    assert_eq!((send(&mut queue, 9000), queue.deadline()), (vec![], None));
}

#[test]
fn who_resolves_is_told_what_stands_at_the_end_of_the_quiet_hours() {
    let mut queue = queue(Severity::Warning, true);
    queue.raise(letter("host-crashed"), at(0));
    assert_eq!(send(&mut queue, 0), [("host-crashed", 1)]);
    queue.set_quiet(NIGHT, at(1));
    queue.raise(letter("host-back"), at(2));
    assert_eq!(send(&mut queue, 2), [("host-back", 1)], "an end wakes nobody");
    queue.raise(of_host("host:a", Severity::Warning, Matter::Firing), at(3));
    queue.raise(of_host("host:b", Severity::Warning, Matter::Firing), at(3));
    queue.raise(of_host("host:b", Severity::Warning, Matter::Over), at(4));
    assert_eq!(send(&mut queue, 5), [("host:b", 1)], "resolved, if it was ever told");
    queue.set_quiet(None, at(3600));
    assert_eq!(send(&mut queue, 3600), [("host:a", 1)]);
}

proptest! {
    /// By day or night, whatever comes: nothing critical is kept, what is kept is bounded, and each alert
    /// leaves or is counted.
    #[test]
    fn a_night_loses_nothing_and_delays_nothing_critical(
        script in proptest::collection::vec((0..KEYS.len(), 0_u64..90, 0..5_u8), 1..200),
    ) {
        let mut queue = queue(Severity::Info, false);
        let (mut now, mut is_night) = (0, false);
        let (mut raised, mut left) = (0, 0);
        for (key, wait, toggle) in script {
            now += wait;
            is_night ^= toggle == 0;
            queue.set_quiet(is_night.then_some((Severity::Warning, at(now + 60))), at(now));
            let letter = letter(KEYS[key]);
            let (is_critical, is_new) = (letter.severity == Severity::Critical, letter.clone());
            raised += 1;
            let was_held = queue.windows.contains_key(&letter.topic());
            queue.raise(letter, at(now));
            let mut sent = Vec::new();
            while let Some((number, letter)) = queue.due(at(now)) {
                queue.answered(number, Ok(()), at(now));
                prop_assert!(!is_night || letter.severity == Severity::Critical, "{} at night", letter.key);
                left += letter.count;
                sent.push(letter.key);
            }
            prop_assert!(!is_critical || was_held || sent.contains(&is_new.key), "{} waits", is_new.key);
        }
        queue.set_quiet(None, at(now));
        for s in [now, now + 900, now + 1800] {
            while let Some((number, letter)) = queue.due(at(s)) {
                queue.answered(number, Ok(()), at(s));
                left += letter.count;
            }
        }
        prop_assert!(left <= raised && queue.kept.is_empty());
    }
}
