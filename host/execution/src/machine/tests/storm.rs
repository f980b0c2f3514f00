//! Everything goes wrong at random, crashes included, and the books still end equal to the broker's.

use proptest::prelude::*;
use sandpit_types::{Qty, Side};

use super::world::{Post, World, name, qty, secs, spy};
use crate::{DeskInput, DeskOutput};

/// One step of the storm.
#[derive(Clone, Debug)]
enum Step {
    Submit(Side, i64),
    Cancel(u64),
    NextPost(u8),
    /// Carries out one action that is under way; others overtake it.
    CarryOut(usize),
    Fill(usize, i64),
    CancelAtBroker(usize),
    /// One message of the stream is heard, out of order; it may be heard again.
    Hear(usize, bool),
    Forget(usize),
    Wait(u64),
    Disk(bool),
    Network(bool),
    StreamUp,
    StreamDown,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), 1_i64..20).prop_map(|(buys, shares)| {
            Step::Submit(if buys { Side::Buy } else { Side::Sell }, shares)
        }),
        2 => (0_u64..20).prop_map(Step::Cancel),
        3 => (0_u8..7).prop_map(Step::NextPost),
        20 => any::<usize>().prop_map(Step::CarryOut),
        4 => (any::<usize>(), 1_i64..15).prop_map(|(index, shares)| Step::Fill(index, shares)),
        1 => any::<usize>().prop_map(Step::CancelAtBroker),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(index, again)| Step::Hear(index, again)),
        1 => any::<usize>().prop_map(Step::Forget),
        4 => (1_u64..40).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Disk),
        1 => any::<bool>().prop_map(Step::Network),
        1 => Just(Step::StreamUp),
        1 => Just(Step::StreamDown),
        1 => Just(Step::Crash),
    ]
}

fn act(world: &mut World, step: &Step, next_id: &mut u64) {
    match step {
        Step::Submit(side, shares) => {
            *next_id += 1;
            world.submit(*next_id, *side, *shares);
        }
        Step::Cancel(back) => world.cancel(next_id.saturating_sub(*back)),
        Step::NextPost(which) => {
            world.next_post = match which {
                0 => Post::AnswerLost,
                1 => Post::Lost,
                2 => Post::Late(secs(30)),
                3 => Post::NoLease,
                4 => Post::Rejected,
                5 => Post::RejectedButThere,
                _ => Post::Works,
            };
        }
        Step::CarryOut(which) => {
            let new = world.turn();
            world.under_way.extend(new);
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
        Step::CancelAtBroker(which) => {
            let open = world.venue.open();
            if !open.is_empty() {
                world.venue.cancel(open[which % open.len()]);
            }
        }
        Step::Hear(which, again) => hear(world, *which, *again),
        Step::Forget(which) => {
            let heard = which % world.venue.stream.len().max(1);
            world.venue.stream.remove(heard);
        }
        Step::Wait(span) => world.now = world.now + secs(*span),
        Step::Disk(works) => world.disk_works = *works,
        Step::Network(works) => world.network_works = *works,
        Step::StreamUp => world.machine.input(DeskInput::OrderStreamUp, world.now),
        Step::StreamDown => world.machine.input(DeskInput::OrderStreamDown, world.now),
        Step::Crash => {
            // The next host finds disk and network working, or it would not start.
            (world.disk_works, world.network_works) = (true, true);
            world.next_post = Post::Works;
            world.crash();
        }
    }
}

fn hear(world: &mut World, which: usize, again: bool) {
    if world.venue.stream.is_empty() {
        return;
    }
    let which = which % world.venue.stream.len();
    let update = world.venue.stream[which].clone();
    if !again {
        world.venue.stream.remove(which);
    }
    world.machine.input(DeskInput::Update(update), world.now);
}

/// Faults end, the market closes, and the desk gets the time to find out.
fn settle(world: &mut World) {
    (world.disk_works, world.network_works, world.next_post) = (true, true, Post::Works);
    world.calm_for(secs(100));
    for index in world.venue.open() {
        world.venue.cancel(index);
    }
    world.machine.input(DeskInput::OrderStreamUp, world.now);
    world.calm_for(secs(300));
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_is_doubled(steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::new();
        let mut next_id = 0;
        for step in &steps {
            act(&mut world, step, &mut next_id);
        }
        settle(&mut world);
        prop_assert_eq!(world.machine.unresolved(), 0);
        prop_assert_eq!(world.machine.books.open_count(), 0, "open in the books, over at the broker");
        prop_assert_eq!(world.machine.books.position(&spy()), world.venue.position());
        prop_assert_eq!(world.machine.books.disputed(&spy()), None);
        let stored = world.disk.sub_books.get(&(name(), spy())).map_or(Qty::ZERO, |row| row.qty);
        prop_assert_eq!(stored, world.venue.position(), "the disk is behind");
        for order in &world.venue.orders {
            let id = order.shown.ours().expect("ours");
            let row = world.disk.orders.get(&id).expect("recorded before it was sent");
            prop_assert_eq!(row.filled_qty, order.shown.filled_qty);
            prop_assert!(!row.is_open);
        }
        let mut told = std::collections::BTreeMap::<_, Qty>::new();
        for output in &world.told {
            if let DeskOutput::Fill { fill, .. } = output {
                *told.entry(fill.client_id.clone()).or_default() += fill.qty;
            }
        }
        for order in &world.venue.orders {
            let id = order.shown.ours().expect("ours");
            let told = told.get(&id).copied().unwrap_or_default();
            prop_assert!(told <= order.shown.filled_qty, "a fill was told twice");
        }
        prop_assert!(world.venue.position().abs() < qty(1_000_000));
    }
}
