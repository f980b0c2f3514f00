//! Strategies come and go while the desk works.

use sandpit_types::{OrderClass, OrderKind, OrderStatus, Price, Side, StrategyName, StrategyOrderId, Symbol};

use super::world::{World, name, qty, secs, spy};
use crate::{DeskInput, DeskOutput};

/// Ten shares are held, and a sale of them at 104 rests.
fn resting() -> World {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.venue.fill(0, 10);
    world.hear_all();
    world.calm_for(secs(30));
    let limit = OrderKind::Limit { limit_price: Price::new(104.into()) };
    world.submit_as(2, Side::Sell, 10, limit, OrderClass::Simple);
    world.calm();
    world.hear_all();
    world.calm();
    world.told.clear();
    world
}

fn introduced(world: &World) -> Vec<&DeskOutput> {
    world.told.iter().filter(|told| matches!(told, DeskOutput::Introduction { .. })).collect()
}

#[test]
fn who_comes_is_told_what_it_holds_and_what_is_open_behind_all_that_came_before() {
    let mut world = resting();
    // Some of it fills, and nobody was told yet when the strategy comes.
    world.venue.fill(1, 4);
    world.hear_all();
    world.machine.input(DeskInput::Introduce(name()), world.now);
    world.calm();
    let [DeskOutput::Introduction { strategy, held, open }] = introduced(&world)[..] else {
        panic!("{:?}", world.told)
    };
    assert_eq!((strategy, held.len(), held[0].0.clone(), held[0].1), (&name(), 1, spy(), qty(6)));
    let [order] = open.as_slice() else { panic!("{open:?}") };
    assert_eq!(
        (order.id, order.side, order.qty, order.filled_qty),
        (StrategyOrderId(2), Side::Sell, qty(10), qty(4))
    );
    let place = |is: fn(&DeskOutput) -> bool| world.told.iter().position(is).expect("it was told");
    let fill = place(|told| matches!(told, DeskOutput::Fill { .. }));
    assert!(fill < place(|told| matches!(told, DeskOutput::Introduction { .. })), "{:?}", world.told);
    // Somebody of whom the books know nothing.
    let stranger = StrategyName::parse("other").expect("a name");
    world.told.clear();
    world.machine.input(DeskInput::Introduce(stranger.clone()), world.now);
    world.calm();
    let nothing = DeskOutput::Introduction { strategy: stranger, held: Vec::new(), open: Vec::new() };
    assert_eq!(introduced(&world), [&nothing]);
}

#[test]
fn a_quarantine_is_told_to_a_human_with_its_reason_and_ends_the_orders() {
    let mut world = resting();
    let reason = "on-bar trapped: unreachable".to_owned();
    world.machine.input(DeskInput::Quarantined { strategy: name(), reason }, world.now);
    world.calm();
    world.hear_all();
    world.calm();
    let told = |told: &DeskOutput| matches!(told, DeskOutput::Alert(text) if text.contains("unreachable"));
    assert!(world.told.iter().any(told), "{:?}", world.told);
    assert_eq!(world.machine.books.open_count(), 0);
}

#[test]
fn what_is_left_behind_in_a_symbol_is_cancelled_and_nothing_else() {
    let mut world = resting();
    let leave = |symbols: &[&str]| {
        let symbols = symbols.iter().map(Symbol::new).collect();
        DeskInput::CancelSymbols { strategy: name(), symbols }
    };
    world.machine.input(leave(&["QQQ"]), world.now);
    world.calm();
    assert_eq!(world.machine.books.open_count(), 1, "it is of another symbol");
    world.machine.input(leave(&["QQQ", "SPY"]), world.now);
    world.calm();
    world.hear_all();
    world.calm();
    assert_eq!(world.machine.books.open_count(), 0);
    assert_eq!(world.venue.orders[1].shown.status, OrderStatus::Canceled);
    assert_eq!(world.machine.books.position(&spy()), qty(10), "what it holds stays");
}
