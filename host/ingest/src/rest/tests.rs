use std::time::Instant;

use super::*;

#[expect(clippy::disallowed_methods, reason = "an Instant can be made in no other way; tests only add to it")]
fn zero() -> Instant {
    Instant::now()
}

fn at(secs: i64) -> MarketTime {
    MarketTime::from_secs(secs)
}

/// A schedule with bars whose market runs as fast as the machine, from the 10th minute on.
struct World {
    zero: Instant,
    rest: Rest,
}

impl World {
    fn new() -> Self {
        let zero = zero();
        let now = Moment { real: zero + Duration::from_secs(600), market: at(600) };
        Self { zero, rest: Rest::new(1, at(600), now) }
    }

    fn moment(&self, secs: f64) -> Moment {
        let nanos = (secs * 1e9) as i64;
        Moment { real: self.zero + Duration::from_secs_f64(secs), market: MarketTime::from_nanos(nanos) }
    }

    /// The request for bars that is due, as seconds and a purpose.
    fn ask(&mut self, mode: Mode, secs: f64) -> Option<(i64, i64, Purpose)> {
        let now = self.moment(secs);
        self.rest.ask_bars(mode, now).map(|errand| match errand {
            Errand::Bars { from, to, purpose } => (secs_of(from), secs_of(to), purpose),
            Errand::Quotes { .. } => panic!("bars were asked for"),
        })
    }

    /// Asks as soon as something is due from `secs` on, at quarters of a second.
    fn wait(&mut self, mode: Mode, secs: f64) -> (f64, (i64, i64, Purpose)) {
        let mut when = (0..4_000).map(|quarter| secs + f64::from(quarter) / 4.0);
        when.find_map(|secs| Some((secs, self.ask(mode, secs)?))).expect("something is due")
    }

    fn came(&mut self, (from, to, purpose): (i64, i64, Purpose), found: bool, secs: f64) -> bool {
        self.rest.bars_came((at(from), at(to), purpose), found, None, self.moment(secs))
    }
}

const fn secs_of(time: MarketTime) -> i64 {
    time.as_nanos() / 1_000_000_000
}

use Purpose::{Audit, Fill, Poll};

#[test]
fn a_poll_goes_out_at_once_and_then_as_each_minute_is_settled() {
    let mut world = World::new();
    world.rest.fell(world.moment(730.0));
    assert_eq!(world.wait(Mode::Carry, 730.0), (730.0, (600, 720, Poll)));
    world.came((600, 720, Poll), true, 730.5);
    // An overlap is asked for again.
    assert_eq!(world.wait(Mode::Carry, 730.5), (785.0, (660, 780, Poll)));
    // Failures are paced, and what was missed is asked for by the next.
    world.rest.bars_failed(Poll, world.moment(785.0), u64::MAX / 2);
    assert_eq!(world.ask(Mode::Carry, 785.5), None);
    assert_eq!(world.wait(Mode::Carry, 845.0), (845.0, (660, 840, Poll)));
    // Outside of sessions, and while nothing fell, REST is left alone.
    assert_eq!(world.ask(Mode::Rest, 900.0), None);
    assert_eq!(world.rest.bars_due(Mode::Rest, false), None);
}

#[test]
fn falls_in_a_row_do_not_make_a_storm_of_polls() {
    let mut world = World::new();
    let mut polls = 0;
    for quarter in 0..240 {
        let secs = 730.0 + f64::from(quarter) / 4.0;
        world.rest.fell(world.moment(secs));
        if let Some(asked) = world.ask(Mode::Carry, secs) {
            world.came(asked, false, secs);
            polls += 1;
        }
    }
    assert!((55..=61).contains(&polls), "{polls} in a minute");
}

#[test]
fn a_gap_is_filled_once_history_has_settled() {
    let within = Duration::from_secs(20);
    let check = |opened: f64, expected: Option<(f64, (i64, i64, Purpose))>| {
        let mut world = World::new();
        let has_gap = world.rest.opened(world.moment(opened), within);
        assert_eq!(has_gap, expected.is_some(), "{opened}");
        if let Some(expected) = expected {
            assert_eq!(world.wait(Mode::Audit, opened), expected, "{opened}");
        }
    };
    check(610.0, None);
    // Its minute ended when the stream was up, but by a clock that may be wrong.
    check(656.0, Some((665.0, (600, 660, Fill))));
    check(662.0, Some((665.0, (600, 660, Fill))));
    check(690.0, Some((690.0, (600, 660, Fill))));

    let mut world = World::new();
    world.rest.opened(world.moment(690.0), within);
    let (_, fill) = world.wait(Mode::Audit, 690.0);
    world.rest.bars_failed(Fill, world.moment(691.0), 0);
    assert_eq!(world.wait(Mode::Audit, 691.0), (691.25, fill), "it is tried again soon");
    assert!(world.came(fill, true, 691.5));
    assert_eq!(world.rest.from(), at(600));
    assert_eq!(
        world.rest.bars_due(Mode::Audit, false).map(|due| due.market),
        Some(at(991) + Duration::from_millis(500))
    );
    // What was verified over REST leaves no gap.
    world.rest.fell(world.moment(700.0));
    assert!(!world.rest.opened(world.moment(701.0), within));
}

#[test]
fn a_gap_that_takes_too_long_is_left_to_the_audit() {
    let mut world = World::new();
    world.rest.opened(world.moment(690.0), Duration::from_secs(20));
    let _ = world.wait(Mode::Audit, 690.0);
    assert_eq!(world.rest.give_up(world.moment(709.0)), None);
    assert_eq!(world.rest.bars_due(Mode::Audit, true).map(|due| due.real), Some(world.moment(710.0).real));
    assert_eq!(world.rest.give_up(world.moment(710.0)), Some(at(660)));
    assert_eq!(world.wait(Mode::Audit, 710.0), (711.0, (600, 660, Audit)), "nothing is given up for good");
    world.rest.bars_failed(Audit, world.moment(712.0), 0);
    let (when, _) = world.wait(Mode::Audit, 712.0);
    assert!((712.5..730.0).contains(&when), "{when}");
}

#[test]
fn audits_come_every_five_minutes_and_sooner_where_something_was_found() {
    let mut world = World::new();
    world.rest.opened(world.moment(610.0), Duration::from_secs(20));
    let (when, audit) = world.wait(Mode::Audit, 610.0);
    assert_eq!((when, audit), (910.0, (600, 900, Audit)));
    world.came(audit, true, when);
    let (when, audit) = world.wait(Mode::Audit, when);
    assert_eq!((when, audit), (970.0, (840, 960, Audit)), "the overlap again");
    world.came(audit, false, when);
    assert_eq!(world.wait(Mode::Audit, when).0, 1270.0);
    // The last one of a session waits for the corrections, and no longer.
    let now = world.moment(1270.0);
    world.rest.bars_came((at(900), at(1260), Audit), false, Some(at(1300)), now);
    assert_eq!(world.wait(Mode::Audit, 1270.0).0, 1335.0);
}

#[test]
fn without_bars_nothing_is_asked_nor_waited_for() {
    let zero = zero();
    let now = Moment { real: zero, market: at(600) };
    let mut rest = Rest::new(0, at(0), now);
    assert!(!rest.opened(now, Duration::from_secs(20)));
    for mode in [Mode::Carry, Mode::Audit, Mode::Rest] {
        assert_eq!(rest.bars_due(mode, false), None);
        assert_eq!(rest.ask_bars(mode, now), None);
    }
}

#[test]
fn a_long_stretch_is_asked_for_piece_by_piece() {
    let mut world = World::new();
    let symbols = 4_000;
    let now = world.moment(600.0);
    world.rest = Rest::new(symbols, at(600), now);
    // Five minutes a piece, one of them over again.
    world.rest.opened(world.moment(1_990.0), Duration::from_secs(20));
    let fill = world.wait(Mode::Audit, 1_990.0);
    assert_eq!(fill, (1_990.0, (600, 900, Fill)));
    assert!(!world.came(fill.1, true, 1_991.0), "there is more to come");
    let fill = world.wait(Mode::Audit, 1_991.0);
    assert_eq!(fill, (1_991.0, (840, 1_140, Fill)));
    // One that fails costs only itself, and what was answered stays answered when the gap is given up.
    world.rest.bars_failed(Fill, world.moment(1_995.0), 0);
    assert_eq!(world.wait(Mode::Audit, 1_995.0).1, fill.1);
    assert!(world.rest.give_up(world.moment(2_010.0)).is_some());
    let (mut secs, mut pieces) = (2_010.0, Vec::new());
    while world.rest.verified < at(1_980) {
        let (when, audit) = world.wait(Mode::Audit, secs);
        world.came(audit, true, when);
        pieces.push((audit.0, audit.1));
        secs = when;
    }
    assert_eq!(pieces, [(840, 1_140), (1_080, 1_380), (1_320, 1_620), (1_560, 1_860), (1_800, 1_980)]);
    assert!(secs < 2_014.0, "without a pause: {secs}");
    // Then the regular pace again.
    assert!(world.wait(Mode::Audit, secs).0 > secs + 50.0);
    // The largest universe gets on, too.
    world.rest = Rest::new(100_000, at(600), now);
    assert_eq!(world.wait(Mode::Audit, 1_990.0).1, (600, 780, Audit));
}

#[test]
fn quotes_are_asked_for_every_five_seconds() {
    let mut world = World::new();
    let symbols: Arc<[Symbol]> = Arc::new([Symbol::new("SPY")]);
    let mut check = |start: f64, first_found: usize, expected: &[i32]| {
        world.rest.fell(world.moment(start));
        let mut asked = Vec::new();
        for tenth in 0..150 {
            let now = world.moment(start + f64::from(tenth) / 10.0 + asked.len() as f64 / 1e4);
            if world.rest.ask_quotes(&symbols, now).is_some() {
                world.rest.quotes_came(asked.len() >= first_found, now);
                asked.push(tenth);
            }
        }
        assert_eq!(asked, expected);
    };
    // In tenths of a second.
    check(700.0, 0, &[0, 50, 100]);
    // The first that bring nothing are repeated soon, but not for ever.
    check(800.0, 2, &[0, 4, 8, 58, 108]);
    check(900.0, 99, &[0, 4, 8, 12, 16, 20, 70, 120]);
}

#[test]
fn who_comes_late_has_its_bars_asked_for() {
    let mut world = World::new();
    assert_eq!(world.wait(Mode::Audit, 610.0), (610.0, (600, 600, Audit)));
    world.came((600, 900, Audit), false, 910.0);
    // Somebody has bars up to minute 13 from elsewhere: the minutes from there on are asked for as soon as
    // they settle.
    world.rest.resubscribed(2, at(780), world.moment(912.0));
    assert_eq!(world.wait(Mode::Audit, 912.0), (912.0, (720, 900, Audit)));
    // From a minute on that is not over yet: only when it is.
    world.came((720, 900, Audit), false, 912.0);
    world.rest.resubscribed(3, at(900), world.moment(956.0));
    let (due, (from, ..)) = world.wait(Mode::Audit, 956.0);
    assert_eq!((due, from), (965.0, 840));
    // Nobody wants bars, and then somebody does.
    world.rest.resubscribed(0, at(960), world.moment(970.0));
    assert!((970..2_000).all(|secs| world.ask(Mode::Audit, f64::from(secs)).is_none()));
    world.rest.resubscribed(1, at(1_980), world.moment(2_000.0));
    let (_, (from, ..)) = world.wait(Mode::Audit, 2_000.0);
    assert_eq!(from, 1_980, "nothing before is anybody's");
}
