//! What the review keeps over restarts.

use std::collections::BTreeMap;

use sandpit_store::Record;
use sandpit_types::Side;

use super::world::{World, qty, secs};

#[test]
fn facts_are_written_with_what_changed_them_and_given_back() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.venue.fill(0, 4);
    world.hear_all();
    world.calm();
    world.venue.fill(0, 6);
    world.hear_all();
    world.calm();
    assert_eq!(world.machine.review.fills, [(qty(4), qty(4)), (qty(6), qty(10))]);
    let facts = |world: &World| -> Vec<String> {
        let value = |record: &Record| match record {
            Record::Fact { name, value } => Some(format!("{name} {}", value.as_deref().unwrap_or_default())),
            _ => None,
        };
        world.disk.story.iter().filter_map(value).collect()
    };
    assert_eq!(facts(&world), ["fills 1", "fills 2"]);
    world.machine.review.facts.push(("peak-equity", "100000".into()));
    world.calm_for(secs(30));
    assert_eq!(facts(&world).last().map(String::as_str), Some("peak-equity 100000"), "with the account");

    let kept = BTreeMap::from([("peak-equity".to_owned(), "100000".to_owned())]);
    world.machine.restore_facts(&kept);
    assert_eq!(world.machine.review.restored, kept);
}
