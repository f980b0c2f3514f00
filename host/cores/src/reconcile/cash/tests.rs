//! The check against a broker whose stream is late or mute, whose readings lag, and whose rows come when they
//! are asked for.

use proptest::prelude::*;

use super::*;

const GRACE: Duration = Duration::from_secs(5);
const READ_EVERY: u64 = 10;
/// Until when money moves...
const MOVES: u64 = 400;
/// ...and how long it is watched.
const RUN: u64 = 900;

fn usd(value: i64) -> Usd {
    Usd::new(value.into())
}

fn account(cash: Usd) -> Account {
    // A tolerance of 100.
    let equity = usd(100_000);
    Account {
        id: "a".to_owned(),
        equity,
        last_equity: equity,
        cash,
        buying_power: equity,
        trading_blocked: false,
    }
}

fn at(second: u64) -> MarketTime {
    MarketTime::from_secs(1_000_000) + Duration::from_secs(second)
}

/// One movement of money.
#[derive(Clone, Copy, Debug)]
struct Flow {
    /// When it is in the account.
    happens: u64,
    net: i64,
    /// How long after that the stream tells of it, if ever.
    told_after: Option<u64>,
    /// How long after that its row is to be had.
    row_after: u64,
}

/// How slow the broker is with each reading and each answer about activities, in seconds.
#[derive(Clone, Copy, Debug)]
struct Delays {
    /// A reading is so much older than its question, or younger by up to `answer`.
    stale: u64,
    answer: u64,
    rows: u64,
}

/// What came of a run.
#[derive(Debug, Default)]
struct Ran {
    /// When it froze.
    frozen: Option<u64>,
    /// What readings before that were said to have too much or too little.
    unexplained: Vec<Usd>,
}

/// Runs the check through the flows; `stolen` at the given second is explained by nothing.
fn run(flows: &[Flow], delays: Delays, stolen: Option<(u64, i64)>) -> Ran {
    let mut ran = Ran::default();
    let mut check = CashCheck::new(GRACE);
    let mut told = vec![false; flows.len()];
    let (mut reading, mut asked): (Option<(u64, Usd)>, Option<u64>) = (None, None);
    for now in 0..RUN {
        for (flow, told) in flows.iter().zip(&mut told) {
            if !*told && flow.told_after.is_some_and(|after| flow.happens + after == now) {
                *told = true;
                check.flow(usd(flow.net), at(flow.happens));
            }
        }
        if now % READ_EVERY == 0 {
            check.begin();
            let seen_at = now.saturating_sub(delays.stale);
            let in_it = flows.iter().filter(|flow| flow.happens <= seen_at);
            let taken = stolen.filter(|(when, _)| *when <= seen_at).map_or(0, |(_, net)| net);
            reading = Some((now, usd(50_000 + in_it.map(|flow| flow.net).sum::<i64>() + taken)));
        }
        let mut verdict = CashVerdict::Quiet;
        if let Some((asked_at, cash)) = reading.filter(|(asked_at, _)| asked_at + delays.answer == now) {
            reading = None;
            verdict = check.read(&account(cash), at(asked_at));
            if let Standing::Unexplained(apart) = check.standing(&account(cash), at(asked_at), true) {
                ran.unexplained.push(apart);
            }
        }
        if let Some(since) = asked.filter(|since| since + delays.rows == now) {
            asked = None;
            for (flow, told) in flows.iter().zip(&mut told) {
                if !*told && flow.happens + flow.row_after <= since {
                    *told = true;
                    check.flow(usd(flow.net), at(flow.happens));
                }
            }
            // An answer that is older than the reason to ask is asked for again.
            if verdict == CashVerdict::Quiet {
                verdict = check.activities_read(true);
            }
        }
        match verdict {
            CashVerdict::Quiet => {}
            CashVerdict::AskActivities => asked = Some(now),
            CashVerdict::Freeze { .. } => {
                ran.frozen = Some(now);
                return ran;
            }
        }
    }
    ran
}

fn flows(most: i64) -> impl Strategy<Value = Vec<Flow>> {
    let told = prop_oneof![Just(None), (0_u64..30).prop_map(Some), Just(Some(0))];
    let flow = (0..MOVES, -most..=most, told);
    let flow = flow.prop_map(|(happens, net, told_after)| Flow { happens, net, told_after, row_after: 0 });
    prop::collection::vec(flow, 0..40)
}

fn delays() -> impl Strategy<Value = Delays> {
    // Each question is answered before the next reading.
    (0_u64..3, 0_u64..4, 1_u64..5).prop_map(|(stale, answer, rows)| Delays { stale, answer, rows })
}

/// Fees and the like: in the cash long before their rows, and small.
fn late_fees() -> impl Strategy<Value = Vec<Flow>> {
    let fee = (0..MOVES, 1_i64..=24, 0..RUN);
    let fee =
        fee.prop_map(|(happens, fee, row_after)| Flow { happens, net: -fee, told_after: None, row_after });
    prop::collection::vec(fee, 0..4)
}

/// Dividends, transfers and fills of others: large, and in the cash minutes before their rows.
fn late_rows() -> impl Strategy<Value = Vec<Flow>> {
    let row = (60..MOVES, -30_000_i64..=30_000, 0..DOUBT_FOR.as_secs() - 3 * READ_EVERY);
    let row = row.prop_map(|(happens, net, row_after)| Flow { happens, net, told_after: None, row_after });
    prop::collection::vec(row, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn explained_flows_never_freeze(flows in flows(30_000), delays in delays()) {
        let ran = run(&flows, delays, None);
        prop_assert_eq!(ran.frozen, None);
        prop_assert_eq!(ran.unexplained, [], "a fill under way is no difference");
    }

    #[test]
    fn late_fees_below_the_tolerance_never_freeze(
        flows in flows(30_000),
        fees in late_fees(),
        delays in delays(),
    ) {
        let all: Vec<Flow> = flows.into_iter().chain(fees).collect();
        prop_assert_eq!(run(&all, delays, None).frozen, None);
    }

    #[test]
    fn what_nothing_explains_freezes_minutes_later_once_it_is_quiet(
        flows in flows(30_000),
        delays in delays(),
        net in prop_oneof![-90_000_i64..=-101, 101_i64..=90_000],
    ) {
        // Quiet for long enough to have agreed, and afterwards.
        let mut flows = flows;
        flows.retain(|flow| flow.happens < 200);
        let stolen_at = 321;
        let ran = run(&flows, delays, Some((stolen_at, net)));
        let Some(when) = ran.frozen else { return Err(TestCaseError::fail("never froze")) };
        let took = when - stolen_at;
        let doubt = DOUBT_FOR.as_secs();
        prop_assert!((doubt..=doubt + 4 * READ_EVERY).contains(&took), "after {} s", took);
        prop_assert_eq!(ran.unexplained.is_empty(), net > 0, "what is missing is known before that");
    }

    #[test]
    fn rows_that_come_minutes_after_their_money_never_freeze(
        flows in flows(30_000),
        late in late_rows(),
        delays in delays(),
    ) {
        // Quiet at the beginning, so that what is agreed upon lacks none of them.
        let flows = flows.into_iter().filter(|flow| flow.happens >= 60);
        let all: Vec<Flow> = flows.chain(late).collect();
        let ran = run(&all, delays, None);
        prop_assert_eq!(ran.frozen, None);
        let is_loss = ran.unexplained.iter().any(|apart| apart.is_positive());
        prop_assert!(!is_loss, "{:?}", ran.unexplained);
    }
}

/// What is agreed upon to begin with: nothing is pending.
fn agreed_at_50_000() -> CashCheck {
    let mut check = CashCheck::new(GRACE);
    check.begin();
    assert_eq!(check.read(&account(usd(50_000)), at(10)), CashVerdict::AskActivities);
    assert_eq!(check.activities_read(true), CashVerdict::Quiet);
    assert_eq!(check.agreed(), Some(Agreed { expected: usd(50_000), residual: Usd::ZERO }));
    check
}

fn read(check: &mut CashCheck, second: u64, cash: i64) -> CashVerdict {
    check.begin();
    check.read(&account(usd(cash)), at(second))
}

#[test]
fn a_reading_about_a_fill_is_not_begun_with() {
    let mut check = CashCheck::new(GRACE);
    check.flow(usd(-1_000), at(8));
    assert_eq!(read(&mut check, 10, 50_000), CashVerdict::AskActivities);
    assert_eq!(check.activities_read(true), CashVerdict::Quiet);
    assert_eq!(check.agreed(), None, "it may be in the reading or not");
    read(&mut check, 20, 49_000);
    check.activities_read(true);
    assert_eq!(check.agreed(), Some(Agreed { expected: usd(49_000), residual: Usd::ZERO }));
}

#[test]
fn fees_of_many_days_may_be_booked_at_once() {
    let mut check = agreed_at_50_000();
    for day in 1..=10 {
        // Below the tolerance each time, far above it in all.
        assert_eq!(
            read(&mut check, day * 100, 50_000 - 45 * i64::try_from(day).expect("few")),
            CashVerdict::Quiet
        );
    }
    check.flow(usd(-450), at(1_050));
    read(&mut check, 1_060, 49_550);
    assert_eq!(read(&mut check, 1_100, 49_550), CashVerdict::Quiet);
    assert!(!check.is_doubtful());
    assert_eq!(check.agreed(), Some(Agreed { expected: usd(49_550), residual: Usd::ZERO }));
}

#[test]
fn a_fill_that_comes_to_light_between_the_readings_clears_them() {
    let mut check = agreed_at_50_000();
    assert_eq!(read(&mut check, 20, 45_000), CashVerdict::AskActivities);
    check.activities_read(true);
    assert_eq!(read(&mut check, 30, 45_000), CashVerdict::AskActivities);
    check.flow(usd(-5_000), at(15));
    assert_eq!(check.activities_read(true), CashVerdict::Quiet, "asked again, they had it");
    assert!(!check.is_doubtful());
}

#[test]
fn two_differences_that_are_each_explained_do_not_make_one_that_is_not() {
    let mut check = agreed_at_50_000();
    assert_eq!(read(&mut check, 20, 45_000), CashVerdict::AskActivities);
    check.activities_read(true);
    check.flow(usd(-5_000), at(15));
    // Another one that is not told yet.
    assert_eq!(read(&mut check, 40, 37_000), CashVerdict::AskActivities);
    assert_eq!(check.activities_read(true), CashVerdict::Quiet);
    assert_eq!(read(&mut check, 50, 37_000), CashVerdict::AskActivities);
    check.flow(usd(-8_000), at(35));
    assert_eq!(check.activities_read(true), CashVerdict::Quiet);
    assert!(!check.is_doubtful());
}

#[test]
fn a_frozen_check_stays_frozen_and_a_restored_one_goes_on() {
    let mut check = agreed_at_50_000();
    for second in [20, 30, 319, 320] {
        assert_eq!(read(&mut check, second, 49_000), CashVerdict::AskActivities);
        let verdict = check.activities_read(true);
        let freeze = CashVerdict::Freeze { cash: usd(49_000), expected: usd(50_000) };
        assert_eq!(verdict, if second == 320 { freeze } else { CashVerdict::Quiet }, "{second}");
    }
    assert_eq!(read(&mut check, 330, 50_000), CashVerdict::Quiet);
    assert_eq!(read(&mut check, 340, 10), CashVerdict::Quiet);

    let mut next = CashCheck::new(GRACE);
    next.restore(check.agreed().expect("agreed"));
    assert_eq!(read(&mut next, 350, 49_000), CashVerdict::AskActivities, "what was agreed survives");
    next.restore_frozen();
    assert_eq!(next.activities_read(true), CashVerdict::Quiet);
}

#[test]
fn nothing_is_proved_while_fills_are_not_heard() {
    let mut check = agreed_at_50_000();
    for second in (20..2_000).step_by(10) {
        assert_eq!(read(&mut check, second, 49_000), CashVerdict::AskActivities);
        assert_eq!(check.activities_read(false), CashVerdict::Quiet);
    }
    assert!(matches!(check.activities_read(true), CashVerdict::Freeze { .. }));
}

#[test]
fn a_leak_below_the_tolerance_is_found() {
    let check = |direction: i64| {
        let mut check = agreed_at_50_000();
        let mut have = 50_000;
        let frozen = (1..200).any(|number| {
            have += direction * 99;
            let _ = read(&mut check, number * 10, have);
            matches!(check.activities_read(true), CashVerdict::Freeze { .. })
        });
        assert!(frozen, "{have} left");
        let agreed = check.agreed().expect("agreed");
        assert!(agreed.residual.abs() <= usd(500), "{agreed:?}");
    };
    check(-1);
    check(1);
}

#[test]
fn the_standing_of_a_reading() {
    let stands =
        |check: &CashCheck, second: u64, cash: i64| check.standing(&account(usd(cash)), at(second), true);
    assert_eq!(
        CashCheck::new(GRACE).standing(&account(usd(7)), at(1), true),
        Standing::Explained,
        "by nothing yet"
    );
    let mut check = agreed_at_50_000();
    read(&mut check, 20, 30_000);
    assert_eq!(
        stands(&check, 20, 30_000),
        Standing::Doubtful(usd(20_000)),
        "a purchase that nobody told of yet"
    );
    assert_eq!(stands(&check, 20, 50_099), Standing::Explained);
    check.activities_read(true);
    read(&mut check, 30, 30_000);
    assert_eq!(stands(&check, 30, 30_000), Standing::Unexplained(usd(-20_000)));
    let while_mute = check.standing(&account(usd(30_000)), at(30), false);
    assert_eq!(while_mute, Standing::Doubtful(usd(20_000)));
    read(&mut check, 31, 20_000);
    assert_eq!(stands(&check, 31, 20_000), Standing::Doubtful(usd(30_000)), "another purchase, perhaps");
    read(&mut check, 32, 50_000);
    // A fill that the reading may lack: so does its equity lack the shares.
    check.flow(usd(-1_000), at(21));
    assert_eq!(stands(&check, 20, 50_000), Standing::Explained);
    assert_eq!(stands(&check, 20, 30_000), Standing::Doubtful(usd(20_000)));
    for second in [30, 40] {
        read(&mut check, second, 49_000);
    }
    // A transfer that it lacks is missing in the equity alone.
    check.flow_alone(usd(-20_000), at(41));
    assert_eq!(stands(&check, 40, 49_000), Standing::Unclear);
    assert_eq!(stands(&check, 40, 29_000), Standing::Explained);
    read(&mut check, 50, 49_000);
    for second in [60, 70, 80] {
        read(&mut check, second, 49_000);
        let perhaps_a_sale = Standing::Doubtful(Usd::ZERO);
        assert_eq!(stands(&check, second, 49_000), perhaps_a_sale, "that nobody told of");
        check.activities_read(true);
    }
    read(&mut check, 370, 49_000);
    assert!(matches!(check.activities_read(true), CashVerdict::Freeze { .. }));
    read(&mut check, 380, 49_000);
    assert_eq!(stands(&check, 380, 49_000), Standing::Unexplained(usd(20_000)));
}

#[test]
fn the_tolerance_is_the_larger_of_five_and_a_thousandth() {
    let check = |equity: i64, expected: &str| {
        assert_eq!(tolerance(usd(equity)).to_string(), expected, "{equity}");
    };
    check(100_000, "100");
    check(5_000, "5");
    check(100, "5");
    check(0, "5");
    check(-100_000, "5");
}
