//! The cross-check of the order stream: a mute one is noticed in time, a healthy one is never suspected.

use proptest::prelude::*;
use sandpit_types::{MarketTime, OrderKind, Price, Qty, Side, TradeUpdate};

use super::{
    alerts,
    lives::bracket,
    told,
    world::{Post, World, qty, secs, spy},
};
use crate::{
    DeskConfig, DeskInput, DeskOutput,
    machine::{Action, Mode},
};

/// A mute order stream has to be noticed within this.
const BOUND_SECS: u64 = 75;
/// A healthy stream is no further behind than this.
const BEHIND_SECS: u64 = 4;

fn down_and_up(world: &mut World) {
    world.machine.input(DeskInput::OrderStreamDown, world.now);
    world.machine.input(DeskInput::OrderStreamUp, world.now);
    world.calm();
}

/// Every second there is something to hear of others.
fn hear_of_others(world: &mut World, seconds: i64) {
    for _ in 0..seconds {
        world.calm_for(secs(1));
        world.venue.place_by_hand();
        world.hear_all();
    }
}

/// Runs a script over orders of 10 shares; `hear` hears what the stream has, `lose` loses it, `again` hears
/// what was heard last once more.
fn check(script: &str, suspicions: usize) {
    let world = played(script);
    assert_eq!(world.suspicions(), suspicions, "{script}");
    assert_eq!(world.disk.notices("order-stream-suspect").len(), suspicions, "{script}");
    assert_eq!(alerts(&world), 0, "{script}");
}

fn played(script: &str) -> World {
    let mut world = World::new();
    let mut next_id = 0;
    let mut heard: Option<TradeUpdate> = None;
    for word in script.split_whitespace() {
        let (word, number) = match word.split_once('=') {
            Some((word, number)) => (word, number.parse().expect(script)),
            None => (word, 10),
        };
        let last = world.venue.orders.len().saturating_sub(1);
        match word {
            "submit" => {
                next_id += 1;
                world.submit(next_id, Side::Buy, 10);
                world.calm();
            }
            "queues" => world.venue.queues = true,
            "route" => world.venue.route(last),
            "fill" => world.venue.fill(last, number),
            "first-fill" => world.venue.fill(0, number),
            "cancel" => {
                world.venue.cancel(last);
            }
            "cancel-asked" => world.cancel(next_id),
            "lost-cancels" => world.lost_cancels = 1000,
            "hear" => {
                heard = world.venue.stream.back().cloned().or(heard);
                world.hear_all();
            }
            "first-hear" => {
                let first = world.venue.stream.pop_front().expect(script);
                world.machine.input(DeskInput::Update(first), world.now);
            }
            "again" => world.machine.input(DeskInput::Update(heard.clone().expect(script)), world.now),
            "lose" => world.venue.stream.clear(),
            "busy" => hear_of_others(&mut world, number),
            "wait" => world.calm_for(secs(number.unsigned_abs())),
            // Nobody looks at the time for so long.
            "sleep" => world.now = world.now + secs(number.unsigned_abs()),
            "deaf" => world.machine.deaf(world.now),
            "down" => world.machine.input(DeskInput::OrderStreamDown, world.now),
            "up" => {
                world.machine.input(DeskInput::OrderStreamUp, world.now);
                world.calm();
            }
            "crash" => world.crash(),
            other => panic!("no word is {other:?}"),
        }
    }
    world.calm();
    world
}

#[test]
fn what_the_stream_owes_makes_it_suspect() {
    // Open and mute from the start: it has not even announced the order.
    check("submit lose wait=4", 0);
    check("submit lose wait=5", 1);
    // It is noticed whatever it is that is not told.
    check("submit hear fill=4 lose wait=31", 1);
    check("submit hear fill=10 lose wait=31", 1);
    check("submit hear cancel lose wait=31", 1);
    check("submit hear fill=4 hear fill=4 lose wait=31", 1);
    check("submit hear wait=3600", 0);
    // Said once, until it has been down and up.
    check("submit lose wait=100 submit lose wait=100", 1);
    check("submit lose wait=100 down up submit lose wait=100", 2);
    check("submit lose wait=100 down up wait=3600", 1);
}

#[test]
fn what_the_stream_cannot_tell_is_not_owed() {
    // It is a moment behind.
    check("submit wait=4 hear fill=10 wait=5 hear wait=3600", 0);
    check("submit hear wait=3 submit wait=1 fill=10 wait=2 first-hear wait=2 hear wait=60", 0);
    // It was faster than REST.
    check("submit hear fill=10 hear wait=3600", 0);
    // Repeated and late.
    check("submit hear again fill=4 hear again again wait=60 again fill=6 hear again wait=60", 0);
    // What happened while it was down, and what an earlier life left.
    check("submit hear down fill=10 lose wait=20 up wait=3600", 0);
    check("submit hear down cancel lose up wait=3600", 0);
    check("submit lose wait=2 crash wait=3600", 0);
    check("submit hear crash fill=4 hear wait=3600", 0);
    check("submit hear down up again wait=60", 0);
    // Queued orders are announced when they are routed, and not before.
    check("queues submit wait=3600", 0);
    check("queues submit wait=3600 route hear wait=60", 0);
    check("queues submit wait=3600 route lose wait=31", 1);
    check("queues submit down up wait=60 route lose wait=31", 1);
    check("queues submit down route lose up wait=60", 0);
    // The wish to cancel hides nothing of how far it has come.
    check("lost-cancels submit hear cancel-asked wait=60 down up wait=3600", 0);
}

#[test]
fn that_an_exit_works_is_not_owed_and_that_it_filled_is() {
    let mut world = World::new();
    world.submit_as(1, Side::Buy, 10, OrderKind::Limit { limit_price: Price::new(100.into()) }, bracket());
    world.calm();
    world.hear_all();
    world.venue.fill(0, 10);
    let entry = world.venue.orders[0].shown.id.clone();
    world.venue.stream.retain(|update| update.order.id == entry);
    world.hear_all();
    world.calm_for(secs(3600));
    assert_eq!(world.suspicions(), 0);
    world.venue.fill(1, 10);
    world.venue.stream.clear();
    world.calm_for(secs(31));
    assert_eq!(world.suspicions(), 1);
}

#[test]
fn a_debt_counts_from_when_we_could_hear() {
    check("submit sleep=60 hear wait=60", 0);
    check("submit sleep=60 wait=4 hear wait=60", 0);
    check("submit sleep=60 lose wait=5", 1);
    check("submit wait=4 deaf wait=4 hear wait=60", 0);
    check("submit lose wait=4 deaf wait=5", 1);
}

#[test]
fn a_stream_that_tells_some_things_is_suspected_now_and_then() {
    // A fill is never told, what others do is.
    let lossy = "submit hear first-fill=1 lose busy=40";
    check(lossy, 1);
    let again = "down up submit hear first-fill=1 lose busy=40";
    check(&format!("{lossy} {again}"), 1);
    check(&format!("{lossy} {again} {again}"), 1);
    check(&format!("{lossy} wait=600 {again}"), 2);
    // Only repeats: that is no life.
    check(
        "submit hear first-fill=1 lose wait=26 again wait=30 down up first-fill=1 lose wait=26 again wait=9",
        2,
    );
}

#[test]
fn a_quiet_stream_that_never_tells_of_one_kind_does_not_flap_for_ever() {
    // Fills are never told, orders that are routed are; nothing is heard between a fill and its list.
    let round = "submit hear fill=10 lose wait=40 down up wait=20 ";
    let check = |rounds: usize, suspicions: usize, pages: usize| {
        let world = played(&round.repeat(rounds));
        assert_eq!((world.suspicions(), alerts(&world)), (suspicions, pages), "after {rounds} rounds");
    };
    // A stream may well be mute twice: that is noticed as soon as the first time.
    check(1, 1, 0);
    check(2, 2, 0);
    check(10, 2, 0);
    // From then on once in ten minutes, and a human knows.
    check(14, 3, 1);
    check(50, 6, 1);
    // Another kind is another matter.
    let world = played(&format!("{}submit hear cancel lose wait=31", round.repeat(5)));
    assert_eq!(world.suspicions(), 3);
    // One that tells nothing at all is mute, however often.
    let world = played(&"submit lose wait=40 down up wait=20 ".repeat(10));
    assert_eq!((world.suspicions(), alerts(&world)), (10, 1));
}

#[test]
fn a_suspicion_names_its_connection() {
    let world = played("submit lose wait=40 down up wait=20 down up submit lose wait=40");
    let connections = world.told.iter().filter_map(|output| match output {
        DeskOutput::StreamSuspect { connection, .. } => Some(*connection),
        _ => None,
    });
    assert_eq!(connections.collect::<Vec<_>>(), [1, 3]);
}

/// How many lists are asked for in so many seconds.
fn lists(world: &mut World, seconds: u64) -> usize {
    let end = world.now + secs(seconds);
    let mut lists = 0;
    while world.now < end {
        let actions = world.turn();
        lists += actions.iter().filter(|action| matches!(action, Action::List)).count();
        world.run(actions);
        world.now = world.now + secs(1);
    }
    lists
}

#[test]
fn orders_are_listed_now_and_then_although_none_is_open() {
    let mut world = World::new();
    world.calm_for(secs(700));
    assert!((5..=6).contains(&lists(&mut world, 3_600)), "once in ten minutes");
    // A reason to ask is one although the books know of no order.
    world.machine.list.hurry(world.now);
    assert_eq!(lists(&mut world, 500), 1);
    // It is asked for until there is an answer.
    world.network_works = false;
    world.machine.list.hurry(world.now);
    assert!(lists(&mut world, 60) > 1);
    world.network_works = true;
    assert_eq!(lists(&mut world, 500), 1);
}

#[test]
fn orders_are_listed_at_once_and_often_while_the_stream_is_down() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 20);
    world.calm();
    world.hear_all();
    world.calm_for(secs(7));
    world.machine.input(DeskInput::OrderStreamDown, world.now);
    let actions = world.turn();
    assert!(actions.iter().any(|action| matches!(action, Action::List)), "{actions:?}");
    world.run(actions);
    let mut worst = 0;
    for _ in 0..10 {
        world.venue.fill(0, 1);
        let filled = world.venue.orders[0].shown.filled_qty;
        let mut waited = 0;
        while world.machine.books.position(&spy()) < filled {
            world.calm_for(secs(1));
            waited += 1;
        }
        worst = worst.max(waited);
    }
    assert!(worst <= 5, "a fill was found after {worst} s");
    assert_eq!(told(&world).iter().filter(|word| *word == "fill 1").count(), 10);

    // The broker cannot be reached either: it is asked again soon enough, and not all the time.
    world.network_works = false;
    let lists = lists(&mut world, 600);
    assert!((25..=80).contains(&lists), "{lists} lists in ten minutes");
}

#[test]
fn a_market_that_runs_faster_keeps_the_floors_in_real_time() {
    let check = |speed: f64, every: u64, down: u64, grace: u64| {
        let config = DeskConfig::new(sandpit_types::HostEpoch(1)).at_speed(speed);
        let spans = (config.poll_every, config.poll_every_down, config.stream_grace);
        assert_eq!(spans, (secs(every), secs(down), secs(grace)), "{speed}");
    };
    check(1.0, 25, 5, 5);
    check(10.0, 25, 5, 20);
    check(60.0, 60, 30, 120);
}

/// One step in the life of a stream that tells everything, though late, in any order and more than once.
#[derive(Clone, Debug)]
enum Step {
    Submit(Side, i64),
    Cancel(u64),
    NextPost(u8),
    Fill(usize, i64),
    CancelAtBroker(usize),
    Queue(bool),
    Route(usize),
    Hear(usize),
    Replay(usize),
    Wait(u64),
    Network(bool),
    Down,
    Up,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), 1_i64..20).prop_map(|(buys, shares)| {
            Step::Submit(if buys { Side::Buy } else { Side::Sell }, shares)
        }),
        2 => (0_u64..10).prop_map(Step::Cancel),
        2 => (0_u8..6).prop_map(Step::NextPost),
        6 => (any::<usize>(), 1_i64..15).prop_map(|(index, shares)| Step::Fill(index, shares)),
        1 => any::<usize>().prop_map(Step::CancelAtBroker),
        1 => any::<bool>().prop_map(Step::Queue),
        1 => any::<usize>().prop_map(Step::Route),
        4 => any::<usize>().prop_map(Step::Hear),
        2 => any::<usize>().prop_map(Step::Replay),
        8 => (1_u64..60).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Network),
        1 => Just(Step::Down),
        1 => Just(Step::Up),
        1 => Just(Step::Crash),
    ]
}

/// A world whose stream works as well as streams do.
struct Healthy {
    world: World,
    next_id: u64,
    is_up: bool,
    heard: Vec<TradeUpdate>,
}

impl Healthy {
    fn new() -> Self {
        Self { world: World::new(), next_id: 0, is_up: true, heard: Vec::new() }
    }

    fn hear(&mut self, which: usize) {
        if self.is_up && !self.world.venue.stream.is_empty() {
            let which = which % self.world.venue.stream.len();
            let update = self.world.venue.stream.remove(which).expect("it is there");
            self.world.machine.input(DeskInput::Update(update.clone()), self.world.now);
            self.heard.push(update);
        }
    }

    /// Time passes; what is told by then is told.
    fn wait(&mut self, span: u64) {
        for _ in 0..span {
            self.world.calm_for(secs(1));
            let newest = MarketTime::from_nanos(self.world.now.as_nanos()) - secs(BEHIND_SECS - 1);
            while let Some(late) = self.world.venue.stream.iter().position(|update| update.time <= newest) {
                if self.is_up {
                    self.hear(late);
                } else {
                    self.world.venue.stream.remove(late);
                }
            }
        }
    }

    fn up(&mut self) {
        // There is no replay.
        self.world.venue.stream.clear();
        self.is_up = true;
        self.world.machine.input(DeskInput::OrderStreamUp, self.world.now);
    }

    fn act(&mut self, step: &Step) {
        let open = self.world.venue.open();
        match step {
            Step::Submit(side, shares) => {
                self.next_id += 1;
                self.world.submit(self.next_id, *side, *shares);
                self.world.calm();
            }
            Step::Cancel(back) => self.world.cancel(self.next_id.saturating_sub(*back)),
            Step::NextPost(which) => {
                self.world.next_post = match which {
                    0 => Post::AnswerLost,
                    1 => Post::Lost,
                    2 => Post::Late(secs(30)),
                    3 => Post::Rejected,
                    4 => Post::RejectedButThere,
                    _ => Post::Works,
                };
            }
            Step::Fill(which, shares) if !open.is_empty() => {
                self.world.venue.fill(open[which % open.len()], *shares);
            }
            Step::CancelAtBroker(which) if !open.is_empty() => {
                self.world.venue.cancel(open[which % open.len()]);
            }
            Step::Route(which) if !open.is_empty() => self.world.venue.route(open[which % open.len()]),
            Step::Fill(..) | Step::CancelAtBroker(_) | Step::Route(_) => {}
            Step::Queue(queues) => self.world.venue.queues = *queues,
            Step::Hear(which) => self.hear(*which),
            Step::Replay(which) if self.is_up && !self.heard.is_empty() => {
                let update = self.heard[which % self.heard.len()].clone();
                self.world.machine.input(DeskInput::Update(update), self.world.now);
            }
            Step::Replay(_) => {}
            Step::Wait(span) => self.wait(*span),
            Step::Network(works) => self.world.network_works = *works,
            Step::Down => {
                self.is_up = false;
                self.world.venue.stream.clear();
                self.world.machine.input(DeskInput::OrderStreamDown, self.world.now);
            }
            Step::Up => self.up(),
            Step::Crash => {
                (self.world.network_works, self.world.next_post) = (true, Post::Works);
                self.world.venue.stream.clear();
                self.is_up = true;
                self.world.crash();
            }
        }
    }

    /// From here on nothing is heard; the suspicion has to come, and its fall to bring everything.
    fn mute(&mut self) -> Result<(), TestCaseError> {
        (self.world.network_works, self.world.next_post) = (true, Post::Works);
        self.world.venue.queues = false;
        self.wait(100);
        if !self.is_up {
            self.up();
            self.wait(10);
        }
        let before = self.world.suspicions();
        self.next_id += 1;
        self.world.submit(self.next_id, Side::Buy, 10);
        self.world.calm();
        let order = self.world.venue.orders.len() - 1;
        self.wait(10);
        prop_assert_eq!(self.world.suspicions(), before, "not mute yet");
        self.world.venue.fill(order, 4);
        for _ in 0..BOUND_SECS {
            self.world.venue.stream.clear();
            self.world.calm_for(secs(1));
        }
        prop_assert_eq!(self.world.suspicions(), before + 1, "noticed in time, and said once");
        self.world.machine.input(DeskInput::OrderStreamDown, self.world.now);
        self.up();
        self.wait(100);
        for index in self.world.venue.open() {
            self.world.venue.fill(index, 1);
            self.world.venue.cancel(index);
        }
        self.wait(300);
        prop_assert_eq!(self.world.suspicions(), before + 1, "healthy again");
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_healthy_stream_is_never_suspected(steps in prop::collection::vec(step(), 1..120)) {
        let mut healthy = Healthy::new();
        for step in &steps {
            healthy.act(step);
        }
        healthy.wait(100);
        prop_assert_eq!(healthy.world.suspicions(), 0);
    }

    #[test]
    fn a_mute_stream_is_noticed_and_no_fill_counts_twice(steps in prop::collection::vec(step(), 1..60)) {
        let mut healthy = Healthy::new();
        for step in &steps {
            healthy.act(step);
        }
        healthy.mute()?;
        let world = &healthy.world;
        prop_assert_eq!(world.machine.mode, Mode::Open);
        prop_assert_eq!(world.machine.books.open_count(), 0);
        prop_assert_eq!(world.machine.books.position(&spy()), world.venue.position());
        let told = world.told.iter().filter_map(|output| match output {
            DeskOutput::Fill { fill, .. } => Some(fill.side.signed(fill.qty)),
            _ => None,
        });
        let told: Qty = told.map(Qty::abs).sum();
        prop_assert!(told <= filled(world), "told twice");
        prop_assert!(world.venue.position().abs() < qty(1_000_000));
    }
}

fn filled(world: &World) -> Qty {
    world.venue.orders.iter().map(|order| order.shown.filled_qty).sum()
}

#[test]
fn a_suspect_stream_that_comes_back_has_missed_nothing() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.hear_all();
    world.venue.fill(0, 10);
    world.venue.stream.clear();
    world.calm_for(secs(BOUND_SECS));
    assert_eq!(world.suspicions(), 1);
    down_and_up(&mut world);
    assert!(world.machine.books.is_order_stream_up());
    assert_eq!(told(&world), ["PendingNew", "New", "fill 10", "Filled"]);
}
