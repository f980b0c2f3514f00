//! What a pause of one strategy lets out, keeps back and cancels, over lives of the host.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sandpit_store::facts;
use sandpit_types::{
    Change, ClientOrderId, Links, OrderClass, OrderKind, Price, Side, StrategyName, StrategyOrderId, Submit,
    Symbol, TimeInForce,
};

use super::{
    cash::settled,
    lives::{audits, bracket},
    operator::{answer, answered, instruct, rests},
    told,
    world::{Post, World, market, name, qty, secs, spy},
    *,
};
use crate::{Answer, Deed, Instruction};

fn limit(usd: i64) -> OrderKind {
    OrderKind::Limit { limit_price: Price::new(usd.into()) }
}

fn other() -> StrategyName {
    StrategyName::parse("other").expect("a name")
}

fn pause(world: &mut World, ticket: u64) -> Answer {
    answered(world, ticket, Deed::Pause(name()))
}

/// What the other strategy asks for, and what it is told.
fn other_buys(world: &mut World, id: u64) -> Vec<String> {
    let submit = Submit { symbol: Symbol::new("QQQ"), ..market(id, Side::Buy, 1) };
    let (strategy, intents) = (other(), vec![Intent::Submit(submit)]);
    let from = world.told.len();
    world.machine.input(DeskInput::Intents { strategy, incarnation: 0, intents }, world.now);
    world.calm();
    let is_its = |output: &&DeskOutput| match output {
        DeskOutput::Refused { strategy, .. } | DeskOutput::Order { strategy, .. } => *strategy == other(),
        _ => false,
    };
    let word = |output: &DeskOutput| match output {
        DeskOutput::Refused { refusal, .. } => refusal.to_string(),
        _ => "order".to_owned(),
    };
    world.told[from..].iter().filter(is_its).map(word).collect()
}

#[test]
fn a_pause_holds_one_strategy_over_lives_until_a_hand_lifts_it() {
    let mut world = settled();
    rests(&mut world, "sma", 2, "QQQ");
    rests(&mut world, "other", 1, "QQQ");
    let Answer::Paused { before: None, orders } = pause(&mut world, 1) else { panic!("{:?}", world.told) };
    assert_eq!(orders.iter().map(|id| id.strategy.clone()).collect::<Vec<_>>(), [name()], "its entry");
    world.hear_all();
    world.calm_for(secs(60));
    assert_eq!(world.machine.books.open_of(&other()).count(), 1, "those of others stay");
    for life in 0..3 {
        assert_eq!(world.machine.books.paused(&name()), Some("ann paused it: a look"), "life {life}");
        let shown = world.machine.stats.read().paused;
        assert_eq!(shown, BTreeMap::from([(name(), "ann paused it: a look".to_owned())]));
        world.told.clear();
        world.submit(10 + life, Side::Buy, 1);
        world.calm();
        assert_eq!(told(&world), ["paused"], "life {life}");
        world.submit(20 + life, Side::Sell, 1);
        world.calm();
        assert_eq!(told(&world)[1..], ["PendingNew", "New"], "life {life}: an exit leaves");
        assert_eq!(other_buys(&mut world, 30 + life), ["order", "order"], "life {life}: others trade");
        world.crash();
        world.calm_for(secs(30));
    }
    let (operator, reason, deed) = ("kim".to_owned(), "me too".to_owned(), Deed::Pause(name()));
    world.machine.input(DeskInput::Instruction(Instruction { ticket: 2, operator, reason, deed }), world.now);
    world.calm();
    let again = answer(&world, 2).expect("answered").clone();
    assert!(matches!(again, Answer::Paused { before: Some(_), .. }), "{again:?}");
    assert_eq!(world.machine.books.paused(&name()), Some("ann paused it: a look"), "the first reason");
    let was = "ann paused it: a look".to_owned();
    assert_eq!(answered(&mut world, 3, Deed::Resume(other())), Answer::NotPaused);
    assert_eq!(answered(&mut world, 4, Deed::Resume(name())), Answer::Resumed { was });
    assert_eq!(answered(&mut world, 5, Deed::Resume(name())), Answer::NotPaused);
    world.crash();
    world.calm_for(secs(30));
    world.told.clear();
    world.submit(50, Side::Buy, 1);
    world.calm();
    assert_eq!(told(&world), ["PendingNew", "New"]);
    assert!(!world.disk.facts().contains_key(facts::PAUSED), "nothing is left of it");
    let audits = audits(&world);
    let lines: Vec<&String> = audits.iter().filter(|line| line.starts_with("ann: ")).collect();
    let resumed = "ann: resume: sma: a look (it was: ann paused it: a look)";
    assert_eq!(lines, ["ann: pause: sma: a look", resumed]);
    assert!(audits.iter().any(|line| line == "kim: pause: sma: me too"), "{audits:?}");
}

#[test]
fn an_answer_follows_its_record_and_a_pause_that_was_not_answered_holds() {
    let mut world = World::new();
    world.disk_works = false;
    instruct(&mut world, 1, Deed::Pause(name()));
    world.calm_for(secs(5));
    let is_answered = |world: &World| {
        world.told.iter().any(|told| matches!(told, DeskOutput::Answer { answer: Answer::Paused { .. }, .. }))
    };
    assert!(!is_answered(&world), "it is not written");
    assert!(world.machine.books.paused(&name()).is_some(), "it holds all the same");
    world.disk_works = true;
    world.calm_for(secs(60));
    assert!(is_answered(&world));
    assert!(world.disk.facts()[facts::PAUSED].contains("\"sma\""));
}

#[test]
fn what_waits_and_adds_is_refused_and_what_reduces_goes_on() {
    let mut world = settled();
    let batch = (1..=24).map(|id| Intent::Submit(market(100 + id, Side::Buy, 1))).collect();
    let (strategy, incarnation) = (name(), 0);
    world.machine.input(DeskInput::Intents { strategy, incarnation, intents: batch }, world.now);
    world.told.clear();
    instruct(&mut world, 1, Deed::Pause(name()));
    let under_way = world.turn();
    assert!(world.machine.planning.is_empty(), "at once, not when its turn comes");
    world.run(under_way);
    world.calm();
    let refused = told(&world).iter().filter(|word| *word == "paused").count();
    assert_eq!(refused, 8, "16 entries are under way: {:?}", told(&world));
    assert!(world.machine.planning.is_empty());
    let mut world = settled();
    pause(&mut world, 1);
    world.told.clear();
    let leave = Intent::ClosePosition { id: StrategyOrderId(900), symbol: spy() };
    world.intent(leave);
    world.calm();
    assert_eq!(told(&world), ["PendingNew", "New"], "it may leave a symbol");
}

#[test]
fn exits_and_entries_that_brought_exits_stay_and_an_entry_is_not_replaced() {
    let mut world = World::new();
    world.submit_as(1, Side::Buy, 10, limit(100), bracket());
    world.calm();
    world.venue.fill(0, 10);
    world.hear_all();
    world.calm();
    rests(&mut world, "sma", 2, "QQQ");
    let Answer::Paused { orders, .. } = pause(&mut world, 1) else { panic!("{:?}", world.told) };
    assert_eq!(orders.len(), 1, "the entry in the other symbol, and no exit: {orders:?}");
    world.hear_all();
    world.calm_for(secs(60));
    assert_eq!(world.machine.books.open_of(&name()).count(), 2, "both exits protect what is held");
    // An entry whose cancel the broker never heard of is asked for again, and not replaced meanwhile.
    answered(&mut world, 2, Deed::Resume(name()));
    rests(&mut world, "sma", 3, "QQQ");
    world.lost_cancels = 1;
    pause(&mut world, 3);
    world.told.clear();
    world.replace(3, 4, Change { limit_price: Some(Price::new(98.into())), ..Change::default() });
    world.calm();
    assert_eq!(told(&world), ["not-replaceable"]);
    world.cancel(3);
    world.calm_for(secs(60));
    world.hear_all();
    assert_eq!(world.machine.books.open_of(&name()).count(), 2, "its own cancels go on");
}

#[test]
fn an_entry_that_turns_up_later_is_cancelled() {
    let mut world = World::new();
    world.next_post = Post::Late(secs(20));
    let submit = Submit {
        kind: limit(99),
        time_in_force: TimeInForce::Gtc,
        class: OrderClass::Simple,
        ..market(1, Side::Buy, 1)
    };
    world.intent(Intent::Submit(submit));
    world.calm();
    pause(&mut world, 1);
    world.calm_for(secs(300));
    world.hear_all();
    world.calm_for(secs(60));
    assert_eq!(world.venue.open().len(), 0, "it came late and went");
    // And one that only the broker knows, because the disk has lost it.
    let mut world = settled();
    rests(&mut world, "sma", 7, "QQQ");
    let row = world.disk.orders.values().find(|row| row.request.symbol == Symbol::new("QQQ"));
    let id: ClientOrderId = row.expect("it rests").request.client_id.clone();
    let is_bare = |links: &Links| links.leg_of.is_none();
    assert!(world.machine.books.order(&id).is_some_and(|order| is_bare(&order.links)));
    world.crash_with(|world| {
        let text = "{\"sma\":\"ann paused it: a look\"}".to_owned();
        world.disk.story.push(Record::Fact { name: facts::PAUSED, value: Some(text) });
        world.disk.orders.remove(&id);
    });
    world.calm_for(secs(300));
    world.hear_all();
    world.calm_for(secs(60));
    assert_eq!(world.machine.books.open_of(&name()).count(), 0, "adopted, and cancelled");
}

/// One step of whoever wants something while somebody else pauses and resumes.
#[derive(Clone, Debug)]
enum Step {
    Batch(Vec<(bool, i64, bool)>),
    Replace(u64, i64),
    Cancel(u64),
    Pause(bool),
    NextPost(u8),
    CarryOut(usize),
    Fill(usize, i64),
    Hear,
    Wait(u64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => prop::collection::vec((any::<bool>(), 1_i64..20, any::<bool>()), 1..22).prop_map(Step::Batch),
        2 => (0_u64..6, 97_i64..103).prop_map(|(back, usd)| Step::Replace(back, usd)),
        1 => (0_u64..20).prop_map(Step::Cancel),
        3 => any::<bool>().prop_map(Step::Pause),
        2 => (0_u8..4).prop_map(Step::NextPost),
        14 => any::<usize>().prop_map(Step::CarryOut),
        3 => (any::<usize>(), 1_i64..15).prop_map(|(which, shares)| Step::Fill(which, shares)),
        3 => Just(Step::Hear),
        3 => (1_u64..30).prop_map(Step::Wait),
        1 => Just(Step::Crash),
    ]
}

fn act(world: &mut World, step: &Step, next_id: &mut u64) {
    match step {
        Step::Batch(orders) => {
            let mut intents = Vec::new();
            for (buys, shares, rests) in orders {
                *next_id += 1;
                let side = if *buys { Side::Buy } else { Side::Sell };
                let kind = if *rests { limit(100) } else { OrderKind::Market };
                intents.push(Intent::Submit(Submit { kind, ..market(*next_id, side, *shares) }));
            }
            let (strategy, incarnation) = (name(), world.incarnation);
            world.machine.input(DeskInput::Intents { strategy, incarnation, intents }, world.now);
        }
        Step::Replace(back, usd) => {
            *next_id += 1;
            let change = Change { limit_price: Some(Price::new((*usd).into())), ..Change::default() };
            world.replace(next_id.saturating_sub(*back + 1), *next_id, change);
        }
        Step::Cancel(back) => world.cancel(next_id.saturating_sub(*back)),
        Step::Pause(is_paused) => {
            let deed = if *is_paused { Deed::Pause(name()) } else { Deed::Resume(name()) };
            instruct(world, 1, deed);
        }
        Step::NextPost(which) => {
            world.next_post =
                [Post::AnswerLost, Post::Lost, Post::Late(secs(30)), Post::Works][usize::from(*which)];
        }
        Step::CarryOut(which) => {
            if !world.under_way.is_empty() {
                let action = world.under_way.remove(which % world.under_way.len());
                world.run(vec![action]);
            }
        }
        Step::Fill(which, shares) => {
            let open = world.venue.open();
            if !open.is_empty() {
                world.venue.fill(open[which % open.len()], *shares);
            }
        }
        Step::Hear => world.hear_all(),
        Step::Wait(span) => {
            world.now = world.now + secs(*span);
            world.venue.arrive(world.now);
        }
        // The next host finds the network working, or it would not start.
        Step::Crash => {
            world.next_post = Post::Works;
            world.crash();
        }
    }
}

/// More shares than can be sold: whatever is bought adds, and whatever is sold reduces.
const HELD: i64 = 100_000;

proptest! {
    /// Whatever a paused strategy and the broker do: no entry leaves, what reduces does, and what rests and
    /// would add is gone in the end.
    #[test]
    fn no_entry_of_a_paused_strategy_leaves(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        world.submit(1, Side::Buy, HELD);
        world.calm();
        world.venue.fill(0, HELD);
        world.hear_all();
        world.calm();
        let mut next_id = 1;
        for step in &steps {
            act(&mut world, step, &mut next_id);
            let new = world.turn();
            for action in &new {
                let id = match action {
                    Action::Submit { request, .. } => &request.client_id,
                    Action::Replace { id, .. } => id,
                    _ => continue,
                };
                let order = world.machine.books.order(id).expect("it is recorded");
                if world.machine.books.paused(&name()).is_some() {
                    prop_assert_eq!(order.request.side, Side::Sell, "{} left while paused", id);
                }
            }
            world.under_way.extend(new);
        }
        world.next_post = Post::Works;
        instruct(&mut world, 2, Deed::Pause(name()));
        world.calm_for(secs(160));
        let (entry, exit) = (StrategyOrderId(next_id + 1), StrategyOrderId(next_id + 2));
        world.submit(entry.0, Side::Buy, 1);
        world.submit(exit.0, Side::Sell, 1);
        world.calm();
        let is_refused = |told: &DeskOutput| {
            matches!(told, DeskOutput::Refused { id, refusal: Refusal::Paused, .. } if *id == entry)
        };
        prop_assert!(world.told.iter().any(is_refused), "{:?}", told(&world));
        prop_assert!(world.disk.orders.values().any(|row| row.strategy_id == Some(exit)), "no way out");
        world.machine.input(DeskInput::OrderStreamUp, world.now);
        world.calm_for(secs(300));
        world.hear_all();
        world.calm_for(secs(300));
        for order in world.machine.books.open_of(&name()) {
            let stays = order.request.side == Side::Sell || !order.filled().qty().is_zero();
            prop_assert!(stays, "{:?}", order);
        }
    }
}

#[test]
fn a_pause_that_cannot_be_read_back_ends_the_start() {
    let stored = BTreeMap::from([(facts::PAUSED.to_owned(), "sma".to_owned())]);
    let mut world = World::bare();
    let read = world.machine.restore_cash(&stored, None, world.now);
    assert!(
        read.is_err_and(|error| error.to_string().contains("fact paused")),
        "trading would go on unpaused"
    );
    assert_eq!(qty(0), world.machine.books.position(&spy()));
}
