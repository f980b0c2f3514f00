//! The core against a broker of a few lines, in virtual time.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::days::calendar_days;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Dot(MarketTime);

impl Row for Dot {
    type Id = MarketTime;

    fn time(&self) -> MarketTime {
        self.0
    }

    fn id(&self) -> MarketTime {
        self.0
    }
}

/// What the broker has: of each symbol, so many rows on each day.
#[derive(Clone, Debug)]
struct World {
    days: Vec<Day>,
    rows: Vec<Vec<usize>>,
    page: usize,
    /// Seeds the order of the rows of a question; without, they are sorted.
    order: Option<u64>,
}

impl World {
    fn new(rows: Vec<Vec<usize>>, page: usize) -> Self {
        let count = i64::try_from(rows[0].len()).expect("few");
        let first = date(2026, 3, 2);
        let days = calendar_days(first, first.saturating_add(jiff::Span::new().days(count - 1)));
        Self { days, rows, page, order: None }
    }

    fn day(&self, symbol: usize, day: usize) -> Vec<Dot> {
        (0..self.rows[symbol][day])
            .map(|n| Dot(self.days[day].start + Duration::from_secs(600 * n as u64)))
            .collect()
    }

    /// A page; its token is only good with the times of the first question.
    fn answer(&self, request: &Request) -> (Vec<Dot>, Option<String>) {
        let question = format!("{}-{}-", request.from.as_nanos(), request.to.as_nanos());
        let skip = request.page.as_ref().map_or(0, |token| {
            token.strip_prefix(&question).expect("the same question").parse().expect("a count")
        });
        let all = (0..self.days.len()).flat_map(|day| self.day(request.symbol, day));
        let mut asked: Vec<Dot> = all.filter(|dot| request.from <= dot.0 && dot.0 < request.to).collect();
        if let Some(seed) = self.order {
            shuffle(&mut asked, &mut chance(seed));
        }
        let mut rest = asked.into_iter().skip(skip).peekable();
        let rows: Vec<Dot> = rest.by_ref().take(self.page).collect();
        let next = rest.peek().map(|_| format!("{question}{}", skip + rows.len()));
        (rows, next)
    }

    fn plan(&self, keys: usize, done: &BTreeSet<(usize, usize)>) -> Plan {
        let wanted = (0..self.rows.len()).map(|symbol| {
            let days = (0..self.days.len()).filter(|day| !done.contains(&(symbol, *day)));
            days.map(|day| day..day + 1).fold(Vec::new(), |mut ranges: Vec<Range<usize>>, day| {
                match ranges.last_mut() {
                    Some(last) if last.end == day.start => last.end = day.end,
                    Some(_) | None => ranges.push(day),
                }
                ranges
            })
        });
        Plan { days: self.days.clone(), wanted: wanted.collect(), keys }
    }
}

/// One life of a backfill: what it asked and when, and what came of it.
#[derive(Debug, Default)]
struct Life {
    asked: Vec<(i64, Request)>,
    files: BTreeMap<(usize, usize), Vec<Dot>>,
    kept: BTreeSet<(usize, usize)>,
    skipped: Vec<Skip>,
    end: Option<End>,
}

/// Plays a life. `fault` says what is wrong with the n-th answer, `pick` which request is answered next;
/// after `kill_after` answers the process is gone.
fn play(
    world: &World,
    plan: Plan,
    mut fault: impl FnMut(usize, &Request) -> Option<Fault>,
    mut pick: impl FnMut(usize) -> usize,
    kill_after: Option<usize>,
    stop_after: Option<usize>,
) -> Life {
    let mut core = Core::new(plan);
    let mut life = Life::default();
    let mut now = MarketTime::from_secs(0);
    let mut open: Vec<Request> = Vec::new();
    let mut input = Input::Tick;
    let mut answers = 0;
    for _ in 0..1_000_000 {
        for output in core.on(input, now) {
            match output {
                Output::Ask(request) => {
                    life.asked.push((now.as_nanos() / 1_000_000_000, request.clone()));
                    open.push(request);
                }
                Output::Write { symbol, day, rows, is_in_doubt } => {
                    assert!(!is_in_doubt, "every row could be read");
                    assert_eq!(life.files.insert((symbol, day), rows), None, "written twice: {symbol} {day}");
                }
                Output::Forget { symbol, day } => panic!("in order: {symbol} {day}"),
                Output::Checkpoint => life.kept = life.files.keys().copied().collect(),
                Output::Tell(Note::Skipped(skip)) => life.skipped.push(skip),
                Output::Tell(_) => {}
                Output::Over(end) => life.end = Some(end),
            }
        }
        if life.end.is_some() {
            assert!(open.is_empty(), "over while requests are under way");
            return life;
        }
        if kill_after == Some(answers) {
            return life;
        }
        input = if open.is_empty() {
            now = core.deadline().expect("something to wait for");
            Input::Tick
        } else if stop_after == Some(answers) {
            answers += 1;
            Input::Stop
        } else {
            let request = open.remove(pick(open.len()));
            let wrong = fault(answers, &request);
            answers += 1;
            match wrong {
                Some(fault) => Input::Failed { ticket: request.ticket, fault },
                None => {
                    let (rows, next) = world.answer(&request);
                    Input::Page { ticket: request.ticket, rows, unreadable: 0, next }
                }
            }
        };
    }
    panic!("it does not end: {life:?}");
}

fn simple(world: &World, keys: usize, fault: impl FnMut(usize, &Request) -> Option<Fault>) -> Life {
    play(world, world.plan(keys, &BTreeSet::new()), fault, |_| 0, None, None)
}

fn too_many(after_secs: u64) -> Fault {
    Fault::TooMany { after: Duration::from_secs(after_secs) }
}

fn unreachable_fault() -> Fault {
    Fault::Unreachable { message: "HTTP 500".into() }
}

fn refused() -> Fault {
    Fault::Refused { message: "no".into() }
}

/// The truth of every day, and that each ended once.
fn verify(world: &World, life: &Life) {
    let mut ends: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    for ((symbol, day), rows) in &life.files {
        assert_eq!(*rows, world.day(*symbol, *day), "rows of {symbol} {day}");
        *ends.entry((*symbol, *day)).or_default() += 1;
    }
    for skip in &life.skipped {
        for day in skip.days.clone() {
            *ends.entry((skip.symbol, day)).or_default() += 1;
        }
    }
    assert!(ends.values().all(|times| *times == 1), "a day ended twice: {ends:?}");
}

#[test]
fn every_ladder_waits_as_written_and_then_gives_the_day_up() {
    let world = World::new(vec![vec![3]], 10);
    let check = |fault: &dyn Fn() -> Fault, times: usize, asked: &[i64], is_skipped: bool| {
        let life = simple(&world, 1, |n, _| (n < times).then(fault));
        let at: Vec<i64> = life.asked.iter().map(|(secs, _)| *secs).collect();
        assert_eq!(at, asked, "{:?} {times} times", fault());
        assert_eq!(!life.skipped.is_empty(), is_skipped, "{:?} {times} times", fault());
        assert_eq!(life.end, Some(End::Done));
        verify(&world, &life);
    };
    check(&|| too_many(60), 0, &[0], false);
    check(&|| too_many(60), 1, &[0, 60], false);
    check(&|| too_many(60), 5, &[0, 60, 180, 420, 660, 900], false);
    check(&|| too_many(60), 6, &[0, 60, 180, 420, 660, 900], true);
    check(&|| too_many(90), 2, &[0, 90, 210], false);
    check(&|| too_many(1_000_000), 1, &[0, 3_600], false);
    check(&unreachable_fault, 1, &[0, 30], false);
    check(&unreachable_fault, 3, &[0, 30, 60, 90], false);
    check(&unreachable_fault, 4, &[0, 30, 60, 90], true);
    check(&refused, 1, &[0], true);
}

#[test]
fn one_question_covers_as_many_days_as_it_may() {
    let world = World::new(vec![vec![10; 40]], 100);
    let life = simple(&world, 1, |_, _| None);
    assert_eq!(life.asked.len(), 4, "400 rows in pages of 100");
    verify(&world, &life);
    assert_eq!(life.files.len(), 40);
}

#[test]
fn lanes_and_key_pairs_share_a_long_stretch() {
    let world = World::new(vec![vec![10; 400]], 100);
    let check = |keys: usize, most_requests: usize| {
        let life = simple(&world, keys, |_, _| None);
        let used: BTreeSet<Key> = life.asked.iter().map(|(_, request)| request.key).collect();
        assert_eq!(used.len(), keys);
        assert!(life.asked.len() <= most_requests, "{} requests", life.asked.len());
        assert_eq!(life.files.len(), 400);
        verify(&world, &life);
    };
    check(1, 40 + 8);
    check(3, 40 + 16);
}

#[test]
fn days_that_are_refused_cost_only_themselves() {
    let world = World::new(vec![vec![5; 30]], 1_000);
    let bad = world.days[7];
    let covers = |request: &Request| request.from <= bad.start && bad.start < request.to;
    let life = simple(&world, 1, |_, request| covers(request).then(refused));
    assert_eq!(life.skipped, [Skip { symbol: 0, days: 7..8, reason: "no".into() }]);
    assert_eq!(life.files.len(), 29);
    assert!(life.asked.len() <= 20, "{} requests", life.asked.len());
    verify(&world, &life);
}

#[test]
fn a_symbol_the_broker_does_not_know_is_given_up_soon() {
    let world = World::new(vec![vec![5; 40], vec![5; 40]], 1_000);
    let life = simple(&world, 1, |_, request| (request.symbol == 0).then(refused));
    let days: usize = life.skipped.iter().map(|skip| skip.days.len()).sum();
    assert_eq!((days, life.files.len()), (40, 40));
    assert!(life.asked.len() <= 4 + 6 + 4, "{} requests", life.asked.len());
    verify(&world, &life);
}

#[test]
fn a_plan_that_reaches_back_to_some_day_costs_only_the_days_before() {
    let world = World::new(vec![vec![1; 300]], 1_000);
    for first in [1, 2, 3, 4, 150, 151, 298, 299] {
        let reach = world.days[first].start;
        let life = simple(&world, 1, |_, request| (request.from < reach).then(refused));
        let files: Vec<usize> = life.files.keys().map(|(_, day)| *day).collect();
        assert_eq!(files, (first..300).collect::<Vec<_>>(), "from {first}");
        assert!(life.asked.len() <= 60, "{} requests from {first}", life.asked.len());
        verify(&world, &life);
    }
}

#[test]
fn days_held_back_are_not_forgotten_when_those_behind_are_out_of_reach() {
    let world = World::new(vec![vec![1; 8]], 1_000);
    let life = simple(&world, 1, |_, request| {
        Some(if request.from < world.days[5].start { refused() } else { unreachable_fault() })
    });
    let skipped: Vec<usize> = life.skipped.iter().flat_map(|skip| skip.days.clone()).collect();
    assert_eq!(skipped.iter().collect::<BTreeSet<_>>().len(), 8, "{skipped:?}");
    verify(&world, &life);
}

#[test]
fn a_page_that_is_refused_is_not_held_against_the_day() {
    let world = World::new(vec![vec![30, 30]], 20);
    let mut hits = 0;
    let life = simple(&world, 1, |_, request| {
        (request.page.is_some() && std::mem::replace(&mut hits, 1) == 0).then(refused)
    });
    assert_eq!((life.files.len(), life.skipped.len()), (2, 0));
    verify(&world, &life);
}

#[test]
fn a_key_that_is_not_accepted_rests_for_good() {
    let world = World::new(vec![vec![5; 10]; 12], 1_000);
    let bad = |_: usize, request: &Request| {
        (request.key == Key(0)).then(|| Fault::KeyRefused { message: "unauthorized".into() })
    };
    let life = simple(&world, 2, bad);
    assert_eq!((life.end.clone(), life.files.len()), (Some(End::Done), 120));
    assert!(life.asked.iter().filter(|(_, request)| request.key == Key(0)).count() <= LANES);
    verify(&world, &life);

    let life = simple(&world, 1, bad);
    assert_eq!(life.end, Some(End::NoKey { reason: "unauthorized".into() }));
}

#[test]
fn a_fault_rests_the_key_pair_and_the_other_goes_on() {
    let world = World::new(vec![vec![5]; 40], 1_000);
    let life = simple(&world, 2, |n, _| (n == 0).then(|| too_many(60)));
    let at = |key: usize| -> Vec<i64> {
        life.asked.iter().filter(|(_, request)| request.key == Key(key)).map(|(secs, _)| *secs).collect()
    };
    assert!(at(1).len() >= 32, "{:?}", at(1));
    assert!(at(0)[LANES..].iter().all(|secs| *secs >= 60), "{:?}", at(0));
    verify(&world, &life);
}

#[test]
fn pages_without_an_end_cost_the_day_and_not_the_run() {
    let world = World::new(vec![vec![3; 2]], 10);
    let mut core = Core::<Dot>::new(world.plan(1, &BTreeSet::new()));
    let mut outputs = core.on(Input::Tick, MarketTime::EPOCH);
    let mut skipped = 0;
    for _ in 0..1_000 {
        let mut asked = None;
        for output in outputs {
            match output {
                Output::Ask(request) => asked = Some(request),
                Output::Tell(Note::Skipped(skip)) => skipped += skip.days.len(),
                Output::Over(_) => {
                    assert_eq!(skipped, 2);
                    return;
                }
                Output::Write { .. } | Output::Forget { .. } | Output::Checkpoint | Output::Tell(_) => {}
            }
        }
        let ticket = asked.expect("one request at a time").ticket;
        let answer = Input::Page { ticket, rows: Vec::new(), unreadable: 0, next: Some("again".into()) };
        outputs = core.on(answer, MarketTime::EPOCH);
    }
    panic!("it does not end");
}

#[test]
fn rows_out_of_place_are_counted_and_left_out() {
    let world = World::new(vec![vec![2; 3]], 10);
    let plan = Plan { days: world.days[..2].to_vec(), wanted: vec![vec![0..2]], keys: 1 };
    let mut core = Core::<Dot>::new(plan);
    let asked = core.on(Input::Tick, MarketTime::EPOCH);
    let Some(Output::Ask(request)) = asked.into_iter().next() else { panic!("it asks") };
    let (early, late) = (Dot(MarketTime::EPOCH), Dot(world.days[2].start));
    let mut rows = vec![early, world.day(0, 1)[0], world.day(0, 0)[0], world.day(0, 1)[0], late];
    rows.push(world.day(0, 1)[1]);
    let files =
        core.on(Input::Page { ticket: request.ticket, rows, unreadable: 0, next: None }, MarketTime::EPOCH);
    let written: Vec<_> = files
        .into_iter()
        .filter_map(
            |output| if let Output::Write { day, rows, .. } = output { Some((day, rows)) } else { None },
        )
        .collect();
    // Within a page the order does not matter.
    assert_eq!(written, [(0, world.day(0, 0)[..1].to_vec()), (1, world.day(0, 1))]);
    assert_eq!(core.strays(), 2);
}

/// What became of a life of one key pair whose pages are tampered with: the files, the days that were written
/// in doubt, and those that were taken back.
type Tampered = (BTreeMap<(usize, usize), Vec<Dot>>, BTreeSet<(usize, usize)>, BTreeSet<(usize, usize)>);

/// `tamper` gets the number of the answer and its rows, and says how many of them it made unreadable.
fn tampered(world: &World, mut tamper: impl FnMut(usize, &mut Vec<Dot>) -> u64) -> Tampered {
    let mut core = Core::new(world.plan(1, &BTreeSet::new()));
    let (mut files, mut in_doubt, mut forgotten) = Tampered::default();
    let mut open = VecDeque::new();
    let mut input = Input::Tick;
    for n in 0..100_000 {
        let mut is_kept = true;
        for output in core.on(input, MarketTime::EPOCH) {
            match output {
                Output::Ask(request) => open.push_back(request),
                Output::Write { symbol, day, rows, is_in_doubt } => {
                    assert_eq!(files.insert((symbol, day), rows), None, "written twice: {symbol} {day}");
                    in_doubt.extend(is_in_doubt.then_some((symbol, day)));
                }
                Output::Forget { symbol, day } => {
                    assert!(files.contains_key(&(symbol, day)), "{symbol} {day} was never written");
                    forgotten.insert((symbol, day));
                    is_kept = false;
                }
                Output::Checkpoint => is_kept = true,
                Output::Tell(note) => panic!("{note:?}"),
                Output::Over(end) => {
                    assert_eq!((end, files.len()), (End::Done, world.days.len() * world.rows.len()));
                    return (files, in_doubt, forgotten);
                }
            }
        }
        assert!(is_kept, "a kill would leave a day as done that is not");
        let request: Request = open.pop_front().expect("something is under way");
        let (mut rows, next) = world.answer(&request);
        let unreadable = tamper(n, &mut rows);
        input = Input::Page { ticket: request.ticket, rows, unreadable, next };
    }
    panic!("it does not end");
}

#[test]
fn rows_that_cannot_be_read_leave_in_doubt_the_days_they_may_belong_to() {
    // Pages of 10 rows: days 0, 1 and half of 2; the rest of 2, 3, 4; 5.
    let world = World::new(vec![vec![4; 6]], 10);
    let check = |damaged: &[usize], expected: &[usize]| {
        let (_, in_doubt, forgotten) = tampered(&world, |n, _| u64::from(damaged.contains(&n)));
        let days: Vec<usize> = in_doubt.into_iter().map(|(_, day)| day).collect();
        assert_eq!(days, expected, "pages {damaged:?}");
        assert_eq!(forgotten.len(), 0);
    };
    check(&[], &[]);
    check(&[0], &[0, 1, 2]);
    check(&[1], &[2, 3, 4, 5]);
    check(&[2], &[4, 5]);
    check(&[0, 2], &[0, 1, 2, 4, 5]);
}

#[test]
fn state_is_kept_every_hundred_answers() {
    let world = World::new(vec![vec![1]; 350], 10);
    let mut core = Core::<Dot>::new(world.plan(1, &BTreeSet::new()));
    let (mut open, mut answered, mut kept) = (VecDeque::new(), 0, Vec::new());
    let mut input = Input::Tick;
    loop {
        for output in core.on(input, MarketTime::EPOCH) {
            match output {
                Output::Ask(request) => open.push_back(request),
                Output::Checkpoint => kept.push(answered),
                Output::Write { .. } | Output::Forget { .. } | Output::Tell(_) | Output::Over(_) => {}
            }
        }
        let Some(request) = open.pop_front() else { break };
        let (rows, next) = world.answer(&request);
        answered += 1;
        input = Input::Page { ticket: request.ticket, rows, unreadable: 0, next };
    }
    assert_eq!(kept, [100, 200, 300, 350]);
}

/// Small, seeded chance.
fn chance(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below.max(1)
    }
}

fn any_fault(draw: u64) -> Option<Fault> {
    match draw {
        0..=9 => Some(unreachable_fault()),
        10..=19 => Some(too_many(60)),
        20..=24 => Some(refused()),
        25 => Some(Fault::KeyRefused { message: "unauthorized".into() }),
        _ => None,
    }
}

/// Puts `rows` into any order.
fn shuffle(rows: &mut [Dot], draw: &mut impl FnMut(u64) -> u64) {
    for at in (1..rows.len()).rev() {
        rows.swap(at, usize::try_from(draw(at as u64 + 1)).expect("small"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A file that does not hold all rows of its day never counts as done: neither when rows cannot be read,
    /// nor when they come in another order, within a page or over several.
    #[test]
    fn what_is_not_whole_is_never_done(
        rows in (1..4_usize, 1..40_usize).prop_flat_map(|(symbols, days)| {
            proptest::collection::vec(proptest::collection::vec(0..8_usize, days), symbols)
        }),
        // Small pages would meet the bound on pages that finish no day.
        page in 3..40_usize,
        damages in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut world = World::new(rows, page);
        let mut draw = chance(seed);
        if !damages {
            world.order = Some(seed ^ 0x5eed);
        }
        let (files, in_doubt, forgotten) = tampered(&world, |_, rows| {
            shuffle(rows, &mut draw);
            let is_damaged = damages && !rows.is_empty() && draw(3) == 0;
            if is_damaged {
                rows.pop();
            }
            u64::from(is_damaged)
        });
        for (at, rows) in files {
            let is_done = !in_doubt.contains(&at) && !forgotten.contains(&at);
            prop_assert!(!is_done || rows == world.day(at.0, at.1), "{:?} is done without all its rows", at);
        }
    }

    /// Whatever goes wrong and however often it is killed or stopped: in the end every day is written with
    /// its own rows or was given up in the last life, and no life asks again what an earlier one had kept.
    #[test]
    fn any_fault_and_any_kill_give_the_files_of_a_quiet_run(
        rows in (1..6_usize, 1..70_usize).prop_flat_map(|(symbols, days)| {
            proptest::collection::vec(proptest::collection::vec(0..8_usize, days), symbols)
        }),
        page in 1..40_usize,
        keys in 1..4_usize,
        kills in proptest::collection::vec((0..60_usize, any::<bool>()), 0..4),
        trouble in 26..400_u64,
        seed in any::<u64>(),
    ) {
        let world = World::new(rows, page);
        let mut draw = chance(seed);
        let mut order = chance(seed ^ 0x5eed);
        let mut done: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut files: BTreeMap<(usize, usize), Vec<Dot>> = BTreeMap::new();
        let lives = kills.iter().map(Some).chain([None]);
        for kill in lives {
            let is_last = kill.is_none();
            let (kill_after, stop_after) = match kill {
                Some((at, true)) => (Some(*at), None),
                Some((at, false)) => (None, Some(*at)),
                None => (None, None),
            };
            let life = play(
                &world,
                world.plan(keys, &done),
                |_, _| any_fault(draw(trouble)),
                |open| usize::try_from(order(open as u64)).expect("small"),
                kill_after,
                stop_after,
            );
            verify(&world, &life);
            for at in life.files.keys() {
                prop_assert!(!done.contains(at), "{at:?} was fetched again");
            }
            files.extend(life.files);
            done.extend(life.kept);
            if is_last {
                let given_up: usize = life.skipped.iter().map(|skip| skip.days.len()).sum();
                match life.end {
                    Some(End::Done) => {
                        prop_assert_eq!(done.len() + given_up, world.days.len() * world.rows.len());
                    }
                    Some(End::NoKey { .. }) => {}
                    other => prop_assert!(false, "{other:?}"),
                }
            }
        }
        for ((symbol, day), rows) in files {
            prop_assert_eq!(rows, world.day(symbol, day));
        }
    }
}
