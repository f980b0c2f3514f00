use proptest::prelude::{any, prop, prop_assert, proptest};
use sandpit_sdk::{Fate, Harness, Intent, Position};

use super::*;

/// A short window, a fifth of 100,000 USD, both legs.
const BOTH: &str = r#"{"window_minutes":30,"fraction":0.2,"shorts":true}"#;
/// The same, without the short one.
const LONG: &str = r#"{"window_minutes":30,"fraction":0.2}"#;

type Desk = Harness<Pairs>;

/// Closes of a minute whose spread, `ln a - ln b`, is the given one beside a small swing of its own.
fn closes(minute: i32, spread: f64) -> [(u32, f64); 2] {
    let b = 50.0 * (1.0 + 0.004 * (f64::from(minute) * 0.7).sin());
    [(0, b * (spread + swing(minute)).exp()), (1, b)]
}

fn swing(minute: i32) -> f64 {
    0.0005 * (f64::from(minute) * 0.9).sin()
}

/// Feeds minutes with these spreads, and what comes of them.
struct Market {
    desk: Desk,
    minute: i32,
}

impl Market {
    /// After a calm window.
    fn new(parameters: &str) -> Self {
        Self::of(parameters, Duration::from_secs(390 * 60))
    }

    /// The same on a day whose session is that long.
    fn of(parameters: &str, session: Duration) -> Self {
        let mut desk = Desk::new(parameters, &["KO", "PEP"]).expect("good parameters");
        desk.open_session_for(session);
        let mut market = Self { desk, minute: 0 };
        market.spreads(&[0.0; 30]);
        assert!(market.desk.submits().is_empty(), "a calm spread is none to trade");
        market
    }

    fn spreads(&mut self, spreads: &[f64]) {
        for &spread in spreads {
            self.desk.quoted_closes(&closes(self.minute, spread), 0.002);
            self.desk.pass(SETTLE);
            self.minute += 1;
        }
    }

    fn held(&self) -> [i64; 2] {
        [0, 1].map(|leg| self.desk.position(leg).quantity.nanos() / 1_000_000_000)
    }

    /// Shares of each leg that the last entry wanted.
    fn targets(&self) -> [i64; 2] {
        let submits = self.desk.submits();
        LEGS.map(|leg| {
            let is_entry = |it: &&sandpit_sdk::Submit| it.instrument == leg && it.kind != OrderKind::Market;
            let shares = submits.iter().rev().find(is_entry).and_then(|it| it.shares());
            shares.map_or(0, |shares| shares.nanos() / 1_000_000_000)
        })
    }

    fn is_flat(&self) -> bool {
        self.held() == [0, 0] && self.desk.open_orders().is_empty()
    }
}

/// A deviation of some three standard deviations, A too cheap.
const CHEAP: f64 = -0.0016;

#[test]
fn the_cheap_leg_is_bought_and_the_dear_one_sold() {
    for (spread, signs) in [(CHEAP, [1, -1]), (-CHEAP, [-1, 1])] {
        let mut market = Market::new(BOTH);
        market.spreads(&[spread]);
        let held = market.held();
        assert_eq!(held.map(i64::signum), signs, "{spread}");
        // 20,000 USD at about 50, hedged about one to one.
        assert!((380..400).contains(&(held[0].abs() + held[1].abs())), "{held:?}");
        let mut limits = market.desk.submits().into_iter().map(|submit| submit.kind);
        assert!(limits.all(|kind| matches!(kind, OrderKind::Limit(_))));
        market.spreads(&[0.0]);
        assert!(market.is_flat(), "the spread is back");
        assert_eq!(market.desk.submits().len(), 2);
    }
}

#[test]
fn without_shorts_only_the_cheap_leg_is_bought() {
    for (spread, signs) in [(CHEAP, [1, 0]), (-CHEAP, [0, 1])] {
        let mut market = Market::new(LONG);
        market.spreads(&[spread]);
        assert_eq!(market.held().map(i64::signum), signs);
        market.spreads(&[0.0]);
        assert!(market.is_flat());
    }
}

#[test]
fn a_spread_that_runs_away_is_given_up_until_it_is_back() {
    let mut market = Market::new(BOTH);
    market.spreads(&[CHEAP, 2.0 * CHEAP]);
    assert!(market.is_flat());
    market.spreads(&[3.0 * CHEAP]);
    let entries = market.desk.submits().len();
    market.spreads(&[-0.01, -0.02, -0.04, -0.08]);
    assert!(market.desk.submits().len() <= entries + 4, "at most three entries of two orders");
    assert!(market.is_flat());
}

#[test]
fn what_takes_too_long_is_given_up() {
    let mut market = Market::new(BOTH);
    market.spreads(&[CHEAP]);
    assert!(!market.is_flat());
    // A half-life of a minute or two: three of them are over soon, although the spread stays where it is.
    let (since, level) = (market.minute, CHEAP + swing(market.minute - 1));
    while market.held() != [0, 0] && market.minute < since + 15 {
        market.spreads(&[level - swing(market.minute)]);
    }
    assert!((since + 2..since + 13).contains(&market.minute), "{}", market.minute - since);
    assert!(
        market.desk.intents().iter().any(
            |it| matches!(it, Intent::Signal { reason, .. } if reason.ends_with("it has taken too long"))
        )
    );
}

#[test]
fn a_leg_that_is_missing_ends_the_other() {
    let mut market = Market::new(BOTH);
    // The first leg is taken in, then nothing fills any more.
    market.desk.limit_fills(Some(Qty::ZERO));
    market.spreads(&[CHEAP]);
    let orders = market.desk.open_orders();
    assert_eq!(orders.len(), 2);
    market.desk.limit_fills(None);
    market.desk.quote(0, 48.0, 48.01);
    market.desk.limit_fills(Some(Qty::ZERO));
    market.desk.pass(PATIENCE + SETTLE);
    assert_eq!(market.desk.cancels(), [orders[1].id]);
    market.desk.limit_fills(None);
    market.desk.pass(LOOK_EVERY);
    market.desk.quote(0, 48.0, 48.01);
    market.desk.pass(SETTLE);
    assert!(market.is_flat());
}

#[test]
fn a_host_that_takes_no_shorts_leaves_no_leg_behind() {
    let mut market = Market::new(BOTH);
    market.desk.refuse(Some("short-not-allowed"));
    market.spreads(&[CHEAP; 6]);
    assert!(market.is_flat());
    assert!(market.desk.submits().len() <= 2 * usize::from(MAX_ENTRY_TRIES));
}

#[test]
fn legs_that_fill_in_part_are_made_even() {
    let mut market = Market::new(BOTH);
    market.desk.limit_fills(Some(Qty::shares(20)));
    market.spreads(&[CHEAP]);
    // One more part for A, none for B, and their time is up.
    market.desk.quote(0, 48.0, 48.01);
    market.desk.limit_fills(Some(Qty::ZERO));
    assert_eq!(market.held(), [40, -20]);
    market.desk.pass(PATIENCE);
    market.desk.limit_fills(None);
    market.desk.pass(Duration::from_secs(1));
    market.desk.quote(0, 49.8, 49.81);
    market.desk.pass(SETTLE);
    let [a, b] = market.held();
    assert!((18..=22).contains(&a) && b == -20, "{a} {b}");
}

#[test]
fn nothing_is_entered_on_prices_that_are_not_live() {
    let check = |prepare: fn(&mut Desk)| {
        let mut market = Market::new(BOTH);
        prepare(&mut market.desk);
        market.desk.closes(&closes(30, CHEAP));
        assert!(market.desk.submits().is_empty());
    };
    check(|desk| desk.stream_health(StreamHealth::Stale));
    check(|desk| desk.stream_health(StreamHealth::Fallback));
    check(|_| ());
}

#[test]
fn a_minute_of_one_leg_says_nothing() {
    let mut market = Market::new(BOTH);
    let [a, _] = closes(30, CHEAP);
    market.desk.quoted_closes(&[a], 0.002);
    assert!(market.desk.submits().is_empty());
}

#[test]
fn unrelated_symbols_are_not_traded() {
    // A moves by `ratio` percent when B moves by one.
    let entries = |parameters: &str, ratio: f64, swing: f64| {
        let mut desk = Desk::new(parameters, &["KO", "PEP"]).expect("good parameters");
        desk.open_session();
        for minute in 0..60 {
            let slow = 0.001 * (f64::from(minute) * 0.15).sin() * swing;
            let shock = if minute == 59 { CHEAP } else { 0.0 };
            let [_, (_, b)] = closes(minute, 0.0);
            let more = (ratio - 1.0) * (b / 50.0).ln();
            desk.quoted_closes(&closes(minute, more + slow + shock), 0.002);
        }
        desk.submits().len()
    };
    assert_eq!([1.0, 3.0, 8.0, 0.1].map(|ratio| entries(BOTH, ratio, 0.0)), [2, 2, 0, 0]);
    // A slow swing: a deviation takes long to halve.
    let patient = |most: u32| {
        let more = format!(r#"{{"entry_z":1,"max_half_life_minutes":{most},"#);
        entries(&BOTH.replacen('{', &more, 1), 1.0, 3.0)
    };
    assert!(patient(390) > 0);
    assert_eq!(patient(1), 0);
}

#[test]
fn it_is_flat_before_the_close() {
    // A half day: by default it leaves 15 minutes before its close.
    let mut market = Market::of(BOTH, Duration::from_secs(47 * 60));
    market.spreads(&[CHEAP]);
    assert!(!market.is_flat());
    market.desk.pass(Duration::from_secs(90));
    assert!(market.is_flat(), "no bar was needed");
    market.spreads(&[CHEAP, CHEAP]);
    assert_eq!(market.desk.submits().len(), 2);
}

#[test]
fn a_restart_goes_on_with_its_trade() {
    let mut market = Market::new(BOTH);
    market.spreads(&[CHEAP]);
    let before = market.held();
    market.desk.restart(BOTH, &["KO", "PEP"]).expect("it takes what it saved");
    market.spreads(&[0.8 * CHEAP]);
    assert_eq!(market.held(), before);
    market.spreads(&[0.0006]);
    assert!(market.is_flat());
}

#[test]
fn a_position_without_its_trade_is_left() {
    let mut market = Market::new(BOTH);
    let position = |shares| Position { quantity: Qty::shares(shares), average_price: Price::ZERO };
    market.desk.hold(0, position(7));
    market.desk.hold(1, position(-7));
    market.spreads(&[0.0]);
    assert!(market.is_flat());
}

#[test]
fn entries_of_an_earlier_life_are_called_back() {
    let mut market = Market::new(BOTH);
    market.desk.limit_fills(Some(Qty::ZERO));
    market.spreads(&[CHEAP]);
    market.desk.restart(BOTH, &["KO", "PEP"]).expect("good parameters");
    market.spreads(&[0.0]);
    assert_eq!(market.desk.cancels().len(), 2);
    assert!(market.is_flat());
}

#[test]
fn orders_of_a_life_that_saved_nothing_are_called_back_first() {
    let mut market = Market::new(BOTH);
    market.desk.limit_fills(Some(Qty::ZERO));
    market.spreads(&[CHEAP]);
    let mut runner = sandpit_sdk::Runner::<Pairs>::new();
    runner.init(BOTH, &["KO".into(), "PEP".into()]).expect("good parameters");
    let start = market.desk.host().history(LEGS[0], 1).start[0];
    market.desk.quote(0, 49.99, 50.01);
    market.desk.quote(1, 49.99, 50.01);
    let intents = runner.on_event(market.desk.host(), &sandpit_sdk::Event::BarsComplete(start));
    assert!(matches!(intents.as_slice(), [Intent::Cancel(_), Intent::Cancel(_)]), "{intents:?}");
}

#[test]
fn a_pair_is_two() {
    let check = |symbols: &[&str]| Desk::new("", symbols).err().expect("refused");
    assert_eq!(check(&["KO"]), "a pair is two instruments, not 1: name two in the manifest");
    assert!(check(&["A", "B", "C"]).contains("not 3"));
    let mut pairs = <Pairs as Strategy>::init("", &["KO".into(), "PEP".into()]).expect("two");
    assert!(pairs.load("", b"PK").expect_err("no trade").starts_with("saved trade: "));
}

proptest! {
    #[test]
    fn legs_are_bounded_and_hedged(
        steps in prop::collection::vec((-0.003..0.003_f64, any::<u32>()), 1..80),
        shorts in any::<bool>(),
    ) {
        let mut market = Market::new(if shorts { BOTH } else { LONG });
        for (spread, number) in steps {
            market.desk.befall(Fate::pick(number));
            if number % 3 == 0 {
                market.desk.befall(Fate::FillsUpTo(Qty::ZERO));
            }
            market.spreads(&[spread]);
            if number % 3 == 0 {
                // One leg fills, at prices of which the other sees nothing.
                market.desk.befall(Fate::FillsWholly);
                market.desk.quote(number % 2, 55.0, 45.0);
            }
            market.desk.pass(PATIENCE + SETTLE);
            let open = market.desk.open_orders();
            for leg in LEGS {
                let entries = open.iter().filter(|it| it.instrument == leg && !reduces(it)).count();
                prop_assert!(entries <= 1, "{open:?}");
                let of_leg = market.desk.submits().into_iter().filter(|it| it.instrument == leg);
                let most = of_leg.filter_map(|it| it.shares()).max().unwrap_or(Qty::ZERO);
                let held = market.desk.position(leg.0).quantity;
                prop_assert!(held.abs() <= most && (shorts || held >= Qty::ZERO), "{held} of {most}");
            }
            let held = market.held();
            if open.is_empty() && !market.desk.is_refusing() && held != [0, 0] {
                let is_hedged = held[0].signum() * held[1].signum() == -1;
                prop_assert!(is_hedged || !shorts && held.contains(&0), "{held:?}");
                // Each leg has the same part of what was wanted, to the share.
                let targets = market.targets();
                let cross = (held[0] * targets[1]).abs() - (held[1] * targets[0]).abs();
                prop_assert!(!shorts || cross.abs() <= targets[0].max(targets[1]), "{held:?} of {targets:?}");
            }
        }
        market.desk.ease();
        market.desk.pass(Duration::from_secs(400 * 60));
        market.spreads(&[0.0; 2]);
        prop_assert!(market.is_flat(), "late in the session: {:?}", market.held());
    }
}
