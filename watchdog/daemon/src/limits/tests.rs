//! The limits as a whole, in virtual time, against an account that a script moves.

use proptest::prelude::*;

use super::*;

/// What a broker answers whose account never moves.
pub(crate) fn steady(ask: &Ask) -> Told {
    let whole = |units| Some(Money::whole(units));
    match ask {
        Ask::Account => Told::Account(Ok(Reading {
            account: Some("acc-steady".into()),
            equity: whole(100_000),
            last_equity: whole(100_000),
            close_day: Some("2026-03-02".into()),
            cash: whole(100_000),
            positions: Some(Vec::new()),
        })),
        Ask::Transfers => Told::Transfers(Ok(Vec::new())),
        Ask::Orders(cursor) => Told::Orders(cursor.clone(), Ok(Vec::new())),
        Ask::Clock => Told::Clock(Err("404".into())),
    }
}

/// An account and the limits over it: every answer comes at once.
struct World {
    limits: Limits,
    seconds: u64,
    account: String,
    /// What the broker shows instead of the equity.
    shown: Option<Option<Money>>,
    cash: i64,
    qty: i64,
    price: i64,
    last_equity: i64,
    day: String,
    rows: Vec<Row>,
    orders: u64,
    answers: bool,
    market_speed: Option<u64>,
    asked: Vec<Ask>,
}

fn whole(units: i64) -> Money {
    Money::whole(units)
}

impl World {
    fn new() -> Self {
        Self::of(Terms::CEILINGS, None)
    }

    fn of(terms: Terms, saved: Option<Saved>) -> Self {
        let mut limits = Limits::new(terms, saved, BootTime::from_nanos(0));
        limits.armed_as("first", BootTime::from_nanos(0));
        limits.host_joined("paper");
        Self {
            limits,
            seconds: 0,
            account: "account-0001".into(),
            shown: None,
            cash: 100_000,
            qty: 0,
            price: 100,
            last_equity: 100_000,
            day: "2026-03-02".into(),
            rows: Vec::new(),
            orders: 0,
            answers: true,
            market_speed: None,
            asked: Vec::new(),
        }
    }

    /// Another life of the watchdog, which finds what this one has kept.
    fn restarted(mut self, loses_clock: bool) -> Self {
        self.limits.is_changed = true;
        let mut saved = self.limits.take_saved().expect("it has changed");
        if loses_clock {
            saved.losses.forget_minutes();
        }
        let text = serde_json::to_string(&saved).expect("plain data");
        let saved = serde_json::from_str(&text).expect("its own text");
        self.limits = Limits::new(self.limits.terms, Some(saved), self.now());
        self.limits.armed_as("first", self.now());
        self.limits.host_joined("paper");
        self
    }

    fn now(&self) -> BootTime {
        BootTime::from_nanos(self.seconds * 1_000_000_000)
    }

    fn equity(&self) -> i64 {
        self.cash + self.qty * self.price
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.seconds += 1;
            while let Some(ask) = self.limits.due(self.now()) {
                let told = self.answer(&ask);
                self.asked.push(ask);
                self.limits.on(told, 1, self.now());
            }
        }
    }

    fn answer(&self, ask: &Ask) -> Told {
        if !self.answers {
            return Told::failed(ask, "away".into());
        }
        let position =
            Position { symbol: "A".into(), qty: whole(self.qty), value: Some(whole(self.qty * self.price)) };
        match ask {
            Ask::Account => Told::Account(Ok(Reading {
                account: Some(self.account.clone()),
                equity: self.shown.unwrap_or(Some(whole(self.equity()))),
                last_equity: Some(whole(self.last_equity)),
                close_day: Some(self.day.clone()),
                cash: Some(whole(self.cash)),
                positions: Some(if self.qty == 0 { Vec::new() } else { vec![position] }),
            })),
            Ask::Transfers => Told::Transfers(Ok(self.rows.clone())),
            Ask::Orders(cursor) => Told::Orders(cursor.clone(), Ok(self.listed(cursor))),
            Ask::Clock => Told::Clock(
                self.market_speed
                    .map(|speed| i128::from(self.seconds * speed) * 1_000_000_000)
                    .ok_or(String::new()),
            ),
        }
    }

    /// One stamp for each order, a millisecond apart.
    fn listed(&self, cursor: &Cursor) -> Vec<Listed> {
        let stamp = |n: u64| format!("2026-03-02T15:{:02}:{:02}.{:03}Z", n / 60_000, n / 1000 % 60, n % 1000);
        let first = match cursor {
            Cursor::Newest => self.orders.saturating_sub(1),
            Cursor::Start => 0,
            Cursor::After(after) => (0..self.orders).find(|n| stamp(*n) > *after).unwrap_or(self.orders),
        };
        (first..self.orders).map(|n| Listed { id: n.to_string(), submitted_at: stamp(n) }).collect()
    }

    fn transfer(&mut self, net: i64) {
        self.cash += net;
        self.row(net);
    }

    fn row(&mut self, net: i64) {
        let id = format!("{:04}", self.rows.len());
        self.rows.push(Row { id, day: "2026-03-03".into(), net: whole(net) });
    }

    /// What is said about the lease, in few words.
    fn said(&self) -> String {
        match (self.limits.breach(), self.limits.block(self.now())) {
            (Some(breach), _) => breach.to_owned(),
            (None, Some(block)) => block.text,
            (None, None) => "fine".into(),
        }
    }

    fn check(&self, words: &str) {
        assert!(self.said().contains(words), "at {} s: {:?} and not {words:?}", self.seconds, self.said());
    }
}

/// An account that holds half of its worth in shares, with everything read.
fn invested() -> World {
    let mut world = World::new();
    (world.cash, world.qty) = (50_000, 500);
    world.run(30);
    world.check("fine");
    world
}

/// Runs to the next reading of the account, and says how long that took.
fn next_reading(world: &mut World) -> u64 {
    let start = world.seconds;
    let reads = |world: &World| world.asked.iter().filter(|ask| **ask == Ask::Account).count();
    let before = reads(world);
    while reads(world) == before {
        world.run(1);
    }
    world.seconds - start
}

#[test]
fn a_bad_print_is_neither_a_loss_nor_a_peak_and_what_stands_for_two_readings_is() {
    for bad in [90, 110] {
        let mut world = invested();
        world.price = bad;
        next_reading(&mut world);
        world.check("fine");
        world.price = 100;
        for _ in 0..5 {
            next_reading(&mut world);
            world.check("fine");
        }
    }
    let mut world = invested();
    world.price = 90;
    next_reading(&mut world);
    assert!(next_reading(&mut world) <= 3, "a fall is looked at again soon");
    world.check("loss in 30 minutes");
    // So is what is held: once is no exposure.
    let mut world = invested();
    (world.cash, world.qty) = (-60_000, 1600);
    next_reading(&mut world);
    world.check("fine");
    next_reading(&mut world);
    world.check("gross exposure");
}

#[test]
fn each_limit_kills() {
    // freqtrade#4837: ten per cent are ten per cent, and the quick limits come long before.
    let loose = Terms { half_hour_loss: 10_000, day_loss: 10_000, ..Terms::CEILINGS };
    let cases = [
        (Terms::CEILINGS, 98, "loss in 30 minutes: equity fell from 100000.00 to 99000.00, the limit is 1 %"),
        (Terms { half_hour_loss: 10_000, ..loose }, 80, "drawdown: equity fell from 100000.00 to 90000.00"),
        (Terms { day_loss: 50, ..loose }, 99, "loss of the day: equity fell from 100000.00 to 99500.00"),
    ];
    for (terms, price, words) in cases {
        let mut world = World::of(terms, None);
        (world.cash, world.qty) = (50_000, 500);
        world.run(30);
        world.price = price;
        world.run(11);
        world.check(words);
    }
    let mut world = invested();
    (world.cash, world.qty) = (-50_000, 1_500);
    world.run(11);
    world.check("fine");
    world.price = 101;
    (world.cash, world.qty) = (-51_500, 1_510);
    world.run(21);
    world.check("gross exposure: positions of 152510.00 on a capital of 101010.00, the limit is 150 %");
    let mut world = invested();
    world.orders = 150;
    world.run(21);
    world.check("fine");
    world.orders = 301;
    world.run(21);
    world.check("order rate: 301 orders accepted in a minute, the limit is 150");
}

#[test]
fn a_zero_equity_withholds_and_comes_back() {
    // hummingbot#1145, #1866.
    for shown in [Some(Money::ZERO), None, Some(whole(-5)), Some(whole(1_000_000))] {
        let mut world = invested();
        world.shown = Some(shown);
        world.run(60);
        world.check("unknown until two further reads agree");
        assert_eq!(world.limits.breach(), None);
        assert_eq!(world.limits.status(world.now()).equity_cents, None);
        world.shown = None;
        world.run(25);
        world.check("fine");
    }
}

#[test]
fn a_real_fall_that_is_first_seen_as_a_jump_kills() {
    let mut world = invested();
    world.price = 50;
    world.run(2);
    world.check("jumped from 100000.00 to 75000.00");
    assert_eq!(world.limits.breach(), None);
    world.run(20);
    world.check("loss in 30 minutes: equity fell from 100000.00 to 75000.00");
}

#[test]
fn the_owners_money_is_neither_loss_nor_profit() {
    for net in [-5_000, 5_000, -30_000, 80_000] {
        let mut world = invested();
        world.transfer(net);
        world.run(60);
        world.check("fine");
        let status = world.limits.status(world.now());
        assert_eq!((status.drawdown_bp, status.half_hour_loss_bp, status.day_loss_bp), (0, 0, 0), "{net}");
        assert_eq!(status.peak_cents, Some((100_000 + net) * 100), "{net}");
        // Afterwards a loss is one of what is there.
        world.price = 96;
        world.run(11);
        world.check("loss");
    }
    // The row first, and then the money.
    let mut world = invested();
    world.row(-5_000);
    world.cash += 20;
    world.qty += 1;
    world.run(11);
    world.cash -= 5_000;
    world.run(60);
    world.check("fine");
}

#[test]
fn what_nothing_explains_is_a_loss() {
    let mut world = invested();
    world.cash -= 1_500;
    world.run(11);
    world.check("fine");
    world.run(50);
    world.check("loss in 30 minutes: equity fell from 100000.00 to 98500.00");
    // A market loss beside it counts at once.
    let mut world = invested();
    world.cash -= 1_500;
    world.price = 97;
    world.run(11);
    world.check("loss in 30 minutes: equity fell from 100000.00 to 98500.00");
}

#[test]
fn the_half_hour_slides_and_the_day_begins_anew() {
    let mut world = invested();
    // 0.9 % every 31 minutes: only the day sees it.
    for (price, words) in [(9_910, "fine"), (9_820, "fine"), (9_730, "loss of the day")] {
        world.run(31 * 60);
        world.price = 100;
        (world.cash, world.qty) = (50_000 - (10_000 - price) * 10, 500);
        // As a loss without a row it takes a while to count.
        world.run(60);
        world.check(words);
    }
    let mut world = invested();
    world.run(31 * 60);
    world.price = 99;
    world.run(20);
    world.check("fine");
    (world.last_equity, world.day) = (99_500, "2026-03-03".into());
    world.run(31 * 60);
    world.check("fine");
    assert_eq!(world.limits.status(world.now()).day_loss_bp, 0);
}

#[test]
fn a_restart_forgets_neither_peak_nor_window_nor_transfers() {
    let mut world = invested().restarted(false);
    world.price = 98;
    world.run(5);
    world.check("loss in 30 minutes");
    // After a boot the window is gone, the peak and the day are not.
    let mut world = invested().restarted(true);
    world.price = 97;
    world.run(5);
    assert_eq!(world.limits.status(world.now()).half_hour_loss_bp, 0);
    assert_eq!(world.limits.status(world.now()).drawdown_bp, 150);
    // What the owner took out meanwhile.
    let mut world = invested().restarted(false);
    world.transfer(-10_000);
    world.run(60);
    world.check("fine");
    assert_eq!(world.limits.status(world.now()).peak_cents, Some(9_000_000));
}

#[test]
fn arming_accepts_the_loss() {
    let mut world = invested();
    world.price = 60;
    world.orders = 400;
    world.run(60);
    world.check("loss");
    assert!(!world.limits.armed_as("first", world.now()));
    assert!(world.limits.armed_as("second", world.now()));
    world.check("not read yet since");
    world.run(60);
    world.check("fine");
    assert_eq!(world.limits.status(world.now()).drawdown_bp, 0);
}

#[test]
fn another_account_has_no_lease() {
    let mut world = invested();
    world.limits.host_trades(Some(&"account-0002".into()));
    world.check("the host trades account …0002, but the watchdog's key is for …0001");
    world.limits.host_trades(None);
    world.check("the host trades account …0002");
    world.limits.host_joined("paper");
    world.limits.host_trades(Some(&"account-0001".into()));
    world.check("fine");
    world.account = "account-0003".into();
    world.run(11);
    world.check("shows account …0003 to the watchdog's key, it was …0001");
    world.account = "account-0001".into();
    world.run(11);
    world.check("fine");
    // Before the first reading nobody knows.
    let mut world = World::new();
    world.limits.host_trades(Some(&"account-0001".into()));
    world.check("not read yet");
    world.run(2);
    world.check("fine");
}

#[test]
fn out_of_sight_is_no_loss_and_no_lease() {
    let mut world = invested();
    world.answers = false;
    world.run(105);
    world.check("fine");
    world.run(30);
    world.check("cannot see the account since");
    world.check("away");
    world.answers = true;
    world.run(30);
    world.check("fine");
    // A machine that slept is not blind.
    world.seconds += 3_600;
    world.limits.slept(Duration::from_secs(3_600));
    world.check("fine");
}

#[test]
fn a_dry_run_is_not_judged() {
    let mut world = invested();
    world.limits.host_joined("dry-run");
    world.price = 10;
    world.run(60);
    world.check("fine");
    assert!(!world.limits.status(world.now()).is_judged);
    world.limits.host_joined("live");
    world.check("loss");
}

#[test]
fn a_fast_market_has_a_short_half_hour() {
    for (speed, words) in [(Some(200), "fine"), (Some(1), "loss in 30 minutes"), (None, "loss in 30 minutes")]
    {
        let terms = Terms { may_be_simulated: true, ..Terms::CEILINGS };
        let mut world = World::of(terms, None);
        (world.cash, world.qty, world.market_speed) = (50_000, 500, speed);
        world.run(60);
        world.price = 98;
        world.run(11);
        world.check(words);
    }
    // Only a simulator is asked.
    let mut world = invested();
    world.market_speed = Some(200);
    world.run(120);
    assert!(!world.asked.contains(&Ask::Clock));
}

proptest! {
    /// Prices that stay within one half per cent, trades at those prices, transfers of any size, and any odd
    /// equity in between: never a kill. And whatever went on, a fall of three per cent then is found.
    #[test]
    fn oddities_never_kill_and_hide_no_loss(
        steps in proptest::collection::vec((0_u8..5, -400_i64..400, 1_u64..90), 1..40)
    ) {
        let mut world = World::of(Terms { gross: 1_000_000, ..Terms::CEILINGS }, None);
        (world.cash, world.qty, world.price) = (5_000_000, 5_000, 1_000);
        world.last_equity = 10_000_000;
        world.run(30);
        for (kind, amount, seconds) in steps {
            world.shown = None;
            match kind {
                0 => world.price = 1_000 + amount / 200,
                1 => {
                    world.cash -= amount * world.price;
                    world.qty += amount;
                }
                2 if world.equity() + amount * 10_000 > 2_000_000 => world.transfer(amount * 10_000),
                3 => world.shown = Some(Some(whole(amount.max(0)))),
                _ => world.shown = Some(None),
            }
            world.run(seconds);
            prop_assert_eq!(world.limits.breach(), None, "{}", world.said());
        }
        world.shown = None;
        world.run(120);
        prop_assert_eq!(world.said(), "fine");
        let loss = world.equity() * 3 / 100;
        world.cash -= loss;
        world.run(120);
        prop_assert!(world.limits.breach().is_some(), "{}", world.said());
    }
}

/// One directory, first with a simulator, then with a broker whose clock is never asked.
#[test]
fn a_real_broker_has_the_whole_half_hour_whatever_was_before() {
    let simulated = Terms { may_be_simulated: true, ..Terms::CEILINGS };
    let mut world = World::of(simulated, None);
    world.market_speed = Some(60);
    world.run(300);
    assert!(world.limits.window < HALF_HOUR);
    let before = world.limits.window;
    let mut world = world.restarted(false);
    assert_eq!(world.limits.window.as_millis(), before.as_millis(), "as it was, until the clock is asked");
    world.limits.terms = Terms::CEILINGS;
    assert_eq!(world.restarted(false).limits.window, HALF_HOUR);
}
