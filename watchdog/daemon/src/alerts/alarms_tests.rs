use proptest::prelude::*;

use super::*;

fn at(ms: u64) -> BootTime {
    BootTime::from_nanos(ms * 1_000_000)
}

fn alarm(key: &str, severity: AlarmSeverity, standing: AlarmStanding) -> Alarm {
    let (text, remedy) = (format!("{key} is 3, at most 2"), "look".into());
    Alarm { key: key.into(), severity, standing, text, remedy, since_unix_s: 5 }
}

fn fires(key: &str, severity: AlarmSeverity) -> Alarm {
    alarm(key, severity, AlarmStanding::Firing)
}

fn over(key: &str) -> Alarm {
    alarm(key, AlarmSeverity::Info, AlarmStanding::Over)
}

/// Everything that is told from `from` to `to` by itself, each with its second.
fn turns(alarms: &mut Alarms, from: u64, to: u64) -> Vec<(u64, String, Matter)> {
    let told = |s: u64| alarms.turn(at(s * 1000)).into_iter().map(move |news| (s, news.key, news.matter));
    (from..to).flat_map(told).collect()
}

use AlarmSeverity::{Critical, Info, Warning};

#[test]
fn a_signal_is_told_once_while_it_fires_and_once_when_it_is_over() {
    let mut alarms = Alarms::default();
    let news = alarms.on(&fires("fills\nx", Warning), at(0)).expect("news");
    assert_eq!((&*news.key, news.matter, news.severity), ("host:fills x", Matter::Firing, Severity::Warning));
    assert_eq!((&*news.text, &*news.remedy), ("fills x is 3, at most 2", "look"));
    assert_eq!(alarms.on(&fires("fills\nx", Warning), at(1)), None, "the same, told again");
    assert_eq!(alarms.on(&fires("fills\nx", Info), at(2)), None, "less bad");
    let worse = alarms.on(&fires("fills\nx", Critical), at(3)).expect("worse");
    assert_eq!(worse.severity, Severity::Critical);
    assert_eq!(alarms.on(&fires("fills\nx", Warning), at(4)), None);
    let end = alarms.on(&over("fills\nx"), at(5)).expect("over");
    assert_eq!((end.matter, end.severity), (Matter::Over, Severity::Critical), "as bad as it was told");
    let again = alarms.on(&over("fills\nx"), at(6)).expect("for those who resolve");
    assert_eq!(again.matter, Matter::Unheard);
    assert!(alarms.on(&fires("fills\nx", Warning), at(7)).is_some(), "it fires anew");
}

#[test]
fn no_host_speaks_for_the_watchdog() {
    let mut alarms = Alarms::default();
    for key in ["kill", "host:kill", "host-flood", ""] {
        let news = alarms.on(&fires(key, Critical), at(0)).expect("news");
        assert!(crate::machine::Kind::of(&news.key).is_none() && news.key != FLOOD, "{}", news.key);
        let letter = news.letter(State::Leased, 1);
        assert!(!letter.is_act() && letter.ends.is_empty());
    }
    let end = alarms.on(&over("kill"), at(1)).expect("news").letter(State::Leased, 1);
    assert_eq!(end.ends, ["host:kill"], "and ends nothing but its own");
}

#[test]
fn what_finds_no_letter_is_told_in_one_summary_a_minute_and_then_is_over_in_one() {
    let mut alarms = Alarms::default();
    let mut told = 0;
    for n in 0..100 {
        told += u32::from(alarms.on(&fires(&format!("w{n}"), Warning), at(0)).is_some());
    }
    assert_eq!(told, BURST - RESERVED);
    for n in 0..10 {
        told += u32::from(alarms.on(&fires(&format!("c{n}"), Critical), at(0)).is_some());
    }
    assert_eq!(told, BURST, "the last are for what is critical");
    let summary = (0..11).find_map(|s| alarms.turn(at(s * 1000)).pop()).expect("after ten seconds");
    assert_eq!(
        (&*summary.key, summary.matter, summary.severity),
        (FLOOD, Matter::Firing, Severity::Critical)
    );
    assert_eq!(
        summary.text,
        "held back of the host: 98 signals, 6 critical: c4, c5, c6, c7, c8, c9, w10, w11; 90 further"
    );
    // All of them again: nothing. All of them over: those that were told by themselves, and then the summary.
    for n in 0..100 {
        assert_eq!(alarms.on(&fires(&format!("w{n}"), Warning), at(11_000)), None);
    }
    for key in (0..100).map(|n| format!("w{n}")).chain((0..10).map(|n| format!("c{n}"))) {
        let news = alarms.on(&over(&key), at(120_000));
        assert!(news.is_none_or(|news| news.matter == Matter::Over));
    }
    let rest = turns(&mut alarms, 120, 400);
    let ends: Vec<_> = rest.iter().filter(|(_, key, _)| key == FLOOD).collect();
    assert!(matches!(ends[..], [(120, _, Matter::Over)]), "{rest:?}");
    assert!(rest.iter().all(|(_, _, matter)| *matter == Matter::Over), "{rest:?}");
    assert!(alarms.open.is_empty(), "all is over");
}

#[test]
fn an_end_that_finds_no_letter_waits_and_is_none_when_it_fires_again() {
    let mut alarms = Alarms::default();
    alarms.on(&fires("a", Warning), at(0)).expect("told");
    alarms.on(&fires("b", Warning), at(0)).expect("told");
    for n in 0..BURST {
        alarms.on(&fires(&format!("c{n}"), Critical), at(0));
    }
    assert_eq!((alarms.on(&over("a"), at(1)), alarms.on(&over("b"), at(1))), (None, None));
    assert_eq!(alarms.firing(), Firing { info: 0, warning: 0, critical: BURST as usize });
    assert_eq!(alarms.on(&fires("b", Warning), at(2)), None, "it has not ended");
    assert_eq!(alarms.firing().warning, 1);
    let told = turns(&mut alarms, 0, 200);
    let ends: Vec<_> = told.iter().filter(|(_, key, _)| key != FLOOD).collect();
    assert!(matches!(&ends[..], [(_, key, Matter::Over)] if key == "host:a"), "{told:?}");
}

#[test]
fn a_host_that_ends_takes_no_alarm_along_and_the_next_says_what_fires_on() {
    let mut alarms = Alarms::default();
    alarms.joined(at(0));
    alarms.on(&fires("a", Warning), at(0)).expect("told");
    alarms.on(&fires("b", Warning), at(0)).expect("told");
    alarms.left();
    assert_eq!(turns(&mut alarms, 0, 4000), [], "it is not over because nobody speaks");
    assert_eq!(alarms.firing(), Firing { warning: 2, ..Firing::default() });
    alarms.joined(at(4_000_000));
    assert_eq!(alarms.on(&fires("a", Warning), at(4_001_000)), None, "retold");
    let told = turns(&mut alarms, 4000, 6000);
    assert_eq!(told, [(4600, "host:b".into(), Matter::Over)]);
    assert_eq!(alarms.firing(), Firing { warning: 1, ..Firing::default() });
    // One that goes before it has said everything has left nothing out.
    alarms.joined(at(6_000_000));
    alarms.left();
    assert_eq!(turns(&mut alarms, 6000, 8000), []);
}

#[test]
fn what_is_followed_is_bounded_and_the_worst_of_it_stays() {
    let mut alarms = Alarms::default();
    for n in 0..2 * MAX_OPEN {
        alarms.on(&fires(&format!("w{n}"), Warning), at(0));
    }
    assert_eq!(alarms.open.len(), MAX_OPEN);
    alarms.on(&fires("last", Critical), at(0)).expect("it displaces one that nobody was told of");
    assert!(alarms.open.contains_key("host:last") && alarms.open.len() == MAX_OPEN);
    assert!((0..8).all(|n| alarms.open.contains_key(&format!("host:w{n}"))), "those that were told stay");
    let summary = turns(&mut alarms, 0, 12);
    assert_eq!(summary, [(10, FLOOD.into(), Matter::Firing)]);
    assert_eq!(alarms.on(&over("nobody"), at(13_000)), None, "no room for what is over unheard");
}

fn severity() -> impl Strategy<Value = AlarmSeverity> {
    prop_oneof![Just(Info), Just(Warning), Just(Critical)]
}

proptest! {
    /// Whatever a host says and how fast: no more letters than the bucket has, at most one firing of a key
    /// without an end between, no end without a beginning, and in the end everything that was told as firing
    /// is told as over.
    #[test]
    fn a_mad_host_is_bounded_and_followed(
        script in proptest::collection::vec((0..40_u32, severity(), any::<bool>(), 0..3000_u64), 1..400),
    ) {
        let mut alarms = Alarms::default();
        let mut told: Vec<(u64, News)> = Vec::new();
        let mut now = 0;
        for (key, severity, is_firing, wait) in script {
            now += wait / 10 * u64::from(wait % 10 == 0);
            let standing = if is_firing { AlarmStanding::Firing } else { AlarmStanding::Over };
            told.extend(alarms.on(&alarm(&format!("k{key}"), severity, standing), at(now)).map(|n| (now, n)));
            told.extend(alarms.turn(at(now)).into_iter().map(|news| (now, news)));
            prop_assert!(alarms.open.len() <= MAX_OPEN);
        }
        for key in 0..40 {
            told.extend(alarms.on(&over(&format!("k{key}")), at(now)).map(|news| (now, news)));
        }
        for _ in 0..1000 {
            now += 1000;
            told.extend(alarms.turn(at(now)).into_iter().map(|news| (now, news)));
        }
        let mut firing = BTreeMap::<&str, Severity>::new();
        for (_, news) in &told {
            match news.matter {
                Matter::Firing => {
                    let before = firing.insert(&news.key, news.severity);
                    let is_news = before.is_none_or(|before| news.severity > before) || news.key == FLOOD;
                    prop_assert!(is_news, "{} twice", news.key);
                }
                Matter::Over => prop_assert!(firing.remove(&*news.key).is_some(), "{} ended twice", news.key),
                Matter::Unheard => prop_assert!(!firing.contains_key(&*news.key), "{} was told", news.key),
                Matter::Own | Matter::Digest => prop_assert!(false),
            }
        }
        prop_assert!(firing.is_empty() && alarms.open.is_empty(), "left open: {firing:?}");
        for (start, _) in &told {
            let minute = told.iter().filter(|(when, _)| (*start..start + 60_000).contains(when));
            let (floods, singles): (Vec<_>, Vec<_>) = minute.partition(|(_, news)| news.key == FLOOD);
            prop_assert!(floods.len() <= 1 && singles.len() <= 2 * BURST as usize);
        }
    }
}
