//! One line of the log for an order's end, with the fields that find it.

use std::{cell::RefCell, fmt::Debug, sync::Once};

use sandpit_types::{Change, OrderClass, OrderKind, OrderStatus, Price, Side};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::{
    Intent,
    world::{Post, World, market, secs},
};

thread_local! {
    /// What this thread's test hears, once it listens.
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Keeps the lines of orders as `LEVEL event field=...`. There is one for all threads: one a thread would
/// miss lines that another thread was the first to say.
struct Ear;

/// The fields of one line.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }
}

impl Subscriber for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let value = |name| fields.0.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
        let Some(name) = value("event").filter(|name| name.starts_with("order-")) else { return };
        let shown = |own| value(own).map(|value| format!(" {own}={value}")).unwrap_or_default();
        let order = value("order").map(|id| format!(" order={}", id.rsplit('-').next().unwrap_or(id)));
        let level = event.metadata().level();
        let line =
            format!("{level} {name}{}{}{}", shown("strategy"), shown("symbol"), order.unwrap_or_default());
        HEARD.with_borrow_mut(|heard| heard.iter_mut().for_each(|heard| heard.push(line.clone())));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What the log says of orders while this happens in a fresh world, and their orders sent apart.
fn lines(happens: impl FnOnce(&mut World)) -> Vec<String> {
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| tracing::subscriber::set_global_default(Ear).expect("nobody else listens"));
    HEARD.set(Some(Vec::new()));
    let mut world = World::new();
    happens(&mut world);
    world.hear_all();
    world.calm_for(secs(120));
    let mut lines = HEARD.take().expect("it listens");
    lines.retain(|line| !line.contains("order-sent"));
    lines
}

fn limit(usd: i64) -> OrderKind {
    OrderKind::Limit { limit_price: Price::new(usd.into()) }
}

fn rests(world: &mut World) {
    world.submit_as(1, Side::Buy, 10, limit(99), OrderClass::Simple);
    world.calm();
    world.hear_all();
    world.calm();
}

const OF_FIRST: &str = "strategy=sma symbol=SPY order=1";

#[test]
fn an_orders_end_is_one_line_and_its_level_says_who_wanted_it() {
    let check = |happens: fn(&mut World), expected: &[&str]| {
        let expected: Vec<String> = expected.iter().map(|line| line.replace("FIRST", OF_FIRST)).collect();
        assert_eq!(lines(happens), expected);
    };
    check(
        |world| {
            rests(world);
            world.cancel(1);
            world.calm();
            world.cancel(1);
        },
        &["INFO order-cancelled FIRST"],
    );
    check(
        |world| {
            rests(world);
            world.venue.fill(0, 4);
            assert!(world.venue.cancel(0), "past us");
        },
        &["INFO order-filled FIRST", "WARN order-cancelled FIRST"],
    );
    check(
        |world| {
            rests(world);
            world.venue.stand(0, OrderStatus::Expired);
        },
        &["INFO order-expired FIRST"],
    );
    check(
        |world| {
            rests(world);
            world.venue.stand(0, OrderStatus::Rejected);
        },
        &["WARN order-rejected FIRST"],
    );
    check(
        |world| {
            rests(world);
            world.replace(1, 2, Change { limit_price: Some(Price::new(98.into())), ..Change::default() });
        },
        &["INFO order-replaced FIRST"],
    );
    check(
        |world| {
            rests(world);
            world.venue.fill(0, 10);
        },
        &["INFO order-filled FIRST"],
    );
    // Cancelled while its record is on the way to the disk.
    check(
        |world| {
            world.submit(1, Side::Buy, 10);
            let commit = world.turn();
            world.cancel(1);
            world.run(commit);
        },
        &["INFO order-cancelled FIRST"],
    );
}

#[test]
fn an_order_that_does_not_come_to_the_broker_is_one_line_with_its_name() {
    let check = |post: Post, expected: &[&str]| {
        let expected: Vec<String> = expected.iter().map(|line| line.replace("FIRST", OF_FIRST)).collect();
        let lines = lines(|world| {
            world.next_post = post;
            world.submit(1, Side::Buy, 10);
            world.calm_for(secs(100));
        });
        assert_eq!(lines, expected, "{post:?}");
    };
    check(Post::Rejected, &["WARN order-rejected FIRST"]);
    check(Post::NoLease, &["INFO order-refused FIRST"]);
    check(Post::Lost, &["WARN order-unknown FIRST", "INFO order-never-arrived FIRST"]);
}

#[test]
fn a_refusal_names_its_symbol_and_the_order_that_it_is_about() {
    let refused = lines(|world| {
        world.submit_as(1, Side::Buy, 10, limit(-1), OrderClass::Simple);
        world.calm();
        rests(world);
        world.intent(Intent::Submit(market(1, Side::Buy, 1)));
        world.cancel(77);
        world.calm();
        world.venue.fill(0, 10);
        world.hear_all();
        world.calm();
        world.replace(1, 3, Change { limit_price: Some(Price::new(98.into())), ..Change::default() });
        world.cancel(1);
    });
    assert_eq!(
        refused,
        [
            "INFO order-refused strategy=sma symbol=SPY",
            "INFO order-refused strategy=sma symbol=SPY",
            "INFO order-refused strategy=sma",
            "INFO order-filled strategy=sma symbol=SPY order=1",
            "INFO order-refused strategy=sma symbol=SPY order=1",
            "INFO order-refused strategy=sma symbol=SPY order=1",
        ]
    );
}
