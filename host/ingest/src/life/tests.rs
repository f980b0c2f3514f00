use proptest::prelude::*;

use super::*;

#[expect(clippy::disallowed_methods, reason = "an Instant can be made in no other way; tests only add to it")]
fn zero() -> Instant {
    Instant::now()
}

/// Feeds `(second, input)` and compares the steps, waits left out.
fn check(proof: Proof, script: &[(u64, Input)], expected: &str) {
    let zero = zero();
    let mut life = Life::new(proof, 1, zero);
    let steps: Vec<String> = script
        .iter()
        .map(|&(secs, input)| match life.on(input, zero + Duration::from_secs(secs)) {
            Ok(Step::Stay) => "stay".to_owned(),
            Ok(Step::Open) => "open".to_owned(),
            Ok(Step::Drop { page, .. }) => if page { "page" } else { "drop" }.to_owned(),
            Err(_) => "impossible".to_owned(),
        })
        .collect();
    assert_eq!(steps.join(" "), expected, "{script:?}");
}

use Cause::{Down, NotSent, Occupied, Refused, Silent, Slow, Suspected};
use Input::{Data, Due, Failed, Lost, Opened};

#[test]
fn the_table() {
    let check_data = |script: &[(u64, Input)], expected: &str| check(Proof::Data, script, expected);
    check_data(&[(0, Due), (1, Opened), (2, Data), (3, Data)], "open stay stay stay");
    check_data(&[(0, Due), (1, Opened), (2, Lost(Down)), (2, Due), (9, Due)], "open stay drop stay open");
    check_data(&[(0, Due), (1, Opened), (2, Data), (3, Lost(Silent))], "open stay stay drop");
    check_data(&[(0, Due), (0, Failed(Down)), (9, Due), (9, Failed(NotSent))], "open drop open drop");
    // A refused key calls a human at once, and only once.
    check_data(&[(0, Due), (0, Failed(Refused)), (99, Due), (99, Failed(Refused))], "open page open drop");
    // What happens to no connection, or to an open one, cannot be.
    check_data(&[(0, Data)], "impossible");
    check_data(&[(0, Lost(Silent))], "impossible");
    check_data(&[(0, Due), (0, Lost(Down))], "open impossible");
    check_data(&[(0, Due), (0, Opened), (0, Opened)], "open stay impossible");
    check_data(&[(0, Due), (0, Opened), (0, Failed(Down))], "open stay impossible");
    let uptime = Proof::Uptime(Duration::from_secs(5));
    check(uptime, &[(0, Due), (0, Opened), (5, Due), (6, Lost(Suspected))], "open stay stay drop");
}

/// Every try to open fails for the `causes` in turn; what each wait was in seconds, with jitter rounded off
/// by `rounded`, and `!` for a page.
fn fail_with(causes: &[Cause]) -> Vec<(f64, bool)> {
    let mut now = zero();
    let mut life = Life::new(Proof::Data, 5, now);
    let mut waits = Vec::new();
    for &cause in causes {
        now = life.deadline().expect("it waits").max(now);
        assert_eq!(life.on(Due, now), Ok(Step::Open));
        let Ok(Step::Drop { wait, page, .. }) = life.on(Failed(cause), now) else {
            panic!("a failure is a fall")
        };
        waits.push((wait.as_secs_f64(), page));
    }
    waits
}

#[test]
fn each_cause_has_its_own_answer() {
    let check = |causes: &[Cause], expected: &[f64], paged_at: &[usize]| {
        let waits = fail_with(causes);
        for (n, (&(secs, page), &average)) in waits.iter().zip(expected).enumerate() {
            assert!((average * 0.5..=average * 1.5).contains(&secs), "{causes:?}: wait {n} is {secs} s");
            assert_eq!(page, paged_at.contains(&n), "{causes:?}: page {n}");
        }
    };
    let schedule = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0];
    for cause in [Down, NotSent, Slow] {
        // A connection that cannot even be opened for slowness waits like the row of slow falls.
        if cause != Slow {
            check(&[cause; 8], &schedule, &[4]);
        }
    }
    check(&[Cause::TooMany { trimmed: false }; 8], &schedule, &[4]);
    check(&[Cause::TooMany { trimmed: true }; 4], &[1.0; 4], &[0]);
    let waits = fail_with(&[Refused; 8]);
    assert!(waits.iter().all(|(secs, _)| *secs >= 60.0), "{waits:?}");
    assert_eq!(waits.iter().filter(|(_, page)| *page).count(), 1);
    // A ghost is no failure of theirs for two minutes, then the row begins.
    let waits = fail_with(&[Occupied; 30]);
    let ghost = waits.iter().scan(0.0, |at, (secs, _)| Some(std::mem::replace(at, *at + secs)));
    let patient = ghost.take_while(|at| *at < 120.0).count();
    assert!((9..=20).contains(&patient), "{patient} tries in two minutes");
    assert!(waits[..patient].iter().all(|(secs, page)| (5.0..=15.0).contains(secs) && !page), "{waits:?}");
    assert!(waits[patient].0 <= 1.5, "then the schedule starts at its beginning: {waits:?}");
    assert_eq!(waits.iter().position(|(_, page)| *page), Some(patient + 4));
    // Another failure in between ends the row of a ghost.
    let mixed: Vec<Cause> = (0..40).map(|n| if n % 2 == 0 { Occupied } else { Down }).collect();
    let waits = fail_with(&mixed);
    assert!(waits.iter().step_by(2).all(|(secs, _)| (5.0..=15.0).contains(secs)), "{waits:?}");
}

/// Opens, hears data, and is then called slow, every `uptime_secs`.
fn slow_falls(uptime_secs: u64, times: usize) -> Vec<(f64, bool)> {
    let mut now = zero();
    let mut life = Life::new(Proof::Data, 5, now);
    let mut waits = Vec::new();
    for _ in 0..times {
        now = life.deadline().expect("it waits").max(now);
        assert_eq!(life.on(Due, now), Ok(Step::Open));
        life.on(Opened, now).expect("it was opening");
        now += Duration::from_secs(uptime_secs);
        life.on(Data, now).expect("it is open");
        let Ok(Step::Drop { wait, page, .. }) = life.on(Lost(Slow), now) else { panic!("a fall") };
        waits.push((wait.as_secs_f64(), page));
    }
    waits
}

#[test]
fn a_slow_fall_is_mended_at_once_but_not_in_a_row() {
    let rare = slow_falls(61, 8);
    assert!(rare.iter().all(|wait| *wait == (0.0, false)), "{rare:?}");
    let row = slow_falls(1, 7);
    assert_eq!(row[0], (0.0, false));
    for (n, (secs, _)) in row.iter().enumerate().skip(1) {
        let average = f64::from(1 << (n - 1));
        assert!((average * 0.5..=average * 1.5).contains(secs), "{row:?}");
    }
    assert_eq!(row.iter().position(|(_, page)| *page), Some(5), "{row:?}");
    // The waits of the row do not end it.
    let long = slow_falls(1, 40);
    assert!(long[7..].iter().all(|(secs, _)| *secs >= 30.0), "{long:?}");
    assert_eq!(long.iter().filter(|(_, page)| *page).count(), 1, "{long:?}");
}

/// Connects and is dropped `n` times; `(failures, pages)` at the end.
fn flap(proof: Proof, data: bool, uptime_secs: u64, times: u32) -> (u32, u32) {
    let zero = zero();
    let mut life = Life::new(proof, 7, zero);
    let (mut now, mut pages) = (zero, 0);
    for _ in 0..times {
        now = life.deadline().expect("it waits").max(now);
        assert_eq!(life.on(Due, now), Ok(Step::Open));
        life.on(Opened, now).expect("it was opening");
        if data {
            life.on(Data, now).expect("it is open");
        }
        now += Duration::from_secs(uptime_secs);
        life.on(Due, now).expect("allowed at any time");
        if let Ok(Step::Drop { page: true, .. }) = life.on(Lost(Down), now) {
            pages += 1;
        }
    }
    (life.failures(), pages)
}

#[test]
fn only_proof_shortens_the_wait() {
    let uptime = Proof::Uptime(Duration::from_secs(30));
    assert_eq!(flap(Proof::Data, false, 100, 7), (7, 1), "mute");
    assert_eq!(flap(Proof::Data, true, 14, 7), (7, 1), "a little data is no proof of a stable stream");
    assert_eq!(flap(Proof::Data, true, 15, 7), (1, 0), "it lasted each time");
    assert_eq!(flap(uptime, true, 1, 7), (7, 1), "updates are no proof of a stable stream");
    assert_eq!(flap(uptime, false, 30, 7), (1, 0), "it lasted each time");
}

proptest! {
    /// Whatever happens, a connection is opened only from `Waiting`, and never sooner than half a second
    /// after the fall of the one before, but for the first slow fall in a minute; a human is called at most
    /// once in a row of failures.
    #[test]
    fn never_a_storm(
        seed in any::<u64>(), inputs in prop::collection::vec((0_u64..2_000, 0_u8..5, 0_u8..9), 1..300)
    ) {
        let zero = zero();
        let mut life = Life::new(Proof::Data, seed, zero);
        let (mut now, mut fell, mut slow) = (zero, None::<Instant>, None::<Instant>);
        let (mut pages, mut live) = (0, None::<Instant>);
        for (millis, pick, cause) in inputs {
            now += Duration::from_millis(millis);
            let cause = match cause {
                0 => Down,
                1 => Occupied,
                2 => Slow,
                3 => Cause::TooMany { trimmed: true },
                4 => Cause::TooMany { trimmed: false },
                5 => Refused,
                6 => NotSent,
                7 => Silent,
                _ => Suspected,
            };
            let input = match pick {
                0 => Due,
                1 => Opened,
                2 => Failed(cause),
                3 => Data,
                _ => Lost(cause),
            };
            let before = life.phase();
            if live.is_some_and(|since| now - since >= FORGIVEN_AFTER) {
                pages = 0;
            }
            match life.on(input, now) {
                Ok(Step::Open) => {
                    let waited = matches!(before, Phase::Waiting { .. });
                    prop_assert!(waited);
                    prop_assert!(fell.is_none_or(|at| now - at >= Duration::from_millis(500)));
                }
                Ok(Step::Drop { cause, page, .. }) => {
                    let again = slow.is_some_and(|at| now - at <= SLOW_AGAIN);
                    fell = Some(now).filter(|_| cause != Slow || again);
                    slow = Some(now).filter(|_| cause == Slow).or(slow);
                    pages += u32::from(page);
                    prop_assert!(pages <= 1);
                }
                Ok(Step::Stay) => {}
                Err(_) => prop_assert_eq!(life.phase(), before),
            }
            live = (life.phase() == Phase::Live).then(|| live.unwrap_or(now));
        }
    }
}
