//! Quotes at their pace, and which order answered which.

use std::time::Duration;

use sandpit_types::MarketTime;

use crate::{
    broker::{Broker, Post},
    quotes, world,
};

/// One quote each.
const PACE: Duration = Duration::from_millis(20);
/// Quotes before the counted ones: connections, caches, branch predictors.
const WARM_UP: usize = 300;
/// Quotes that are counted.
pub(crate) const SAMPLES: usize = 2_500;
/// More unanswered quotes than these, of a hundred, are a fault and not a figure.
const UNANSWERED_PERCENT: usize = 2;
const MINUTE: Duration = Duration::from_secs(60);

/// What a subject did.
pub(crate) struct Tally {
    /// From the write of a quote to the last byte of its order, nanoseconds, the shortest first.
    waits: Vec<u64>,
    unanswered: usize,
}

/// Quotes until an order comes, then the warm-up. Gives back which quote is next.
pub(crate) fn warm_up(broker: &Broker) -> usize {
    world::wait_for("a subject that listens to quotes", || broker.encoding());
    let mut pacer = Pacer::new(broker, 0);
    let first = world::wait_for("the first order", || {
        pacer.quote();
        (!broker.take_posts().is_empty()).then_some(pacer.index)
    });
    while pacer.index < first + WARM_UP {
        pacer.quote();
    }
    pacer.index
}

/// The counted quotes, from this one on.
pub(crate) fn count(broker: &Broker, first: usize) -> Tally {
    broker.take_posts();
    let mut pacer = Pacer::new(broker, first);
    let sent: Vec<u64> = (0..SAMPLES).map(|_| pacer.quote()).collect();
    world::sleep_until(world::nanos() + 10 * PACE.as_nanos() as u64);
    tally(first, &sent, &broker.take_posts())
}

/// The first order at the price of a quote that came after it, and before the price came round again.
fn tally(first: usize, sent: &[u64], posts: &[Post]) -> Tally {
    let mut waits = vec![None; sent.len()];
    for post in posts {
        let before = sent.partition_point(|at| *at < post.at);
        let is_of = |at: &usize| (post.cents..=post.cents + 1).contains(&quotes::ask_cents(first + at));
        let near = before.saturating_sub(quotes::PRICES)..before;
        let answered = near.rev().find(|at| is_of(at));
        if let Some(at) = answered {
            waits[at].get_or_insert(post.at - sent[at]);
        }
    }
    let unanswered = waits.iter().filter(|wait| wait.is_none()).count();
    let mut waits: Vec<u64> = waits.into_iter().flatten().collect();
    waits.sort_unstable();
    Tally { waits, unanswered }
}

impl Tally {
    /// Prints the figures of a subject.
    pub(crate) fn print(&self, name: &str) {
        println!("{name}_p50 {:.1} us", self.micros(50));
        println!("{name}_p99 {:.1} us", self.micros(99));
        println!("{name}_unanswered {} orders", self.unanswered);
    }

    /// Holds a subject to its task.
    ///
    /// # Panics
    /// When too many quotes were not answered.
    pub(crate) fn check(&self, name: &str) {
        let bound = SAMPLES * UNANSWERED_PERCENT / 100;
        assert!(self.unanswered <= bound, "{name}: {} of {SAMPLES} quotes had no order", self.unanswered);
    }

    /// So many of a hundred waits are no longer than this.
    pub(crate) fn micros(&self, percent: usize) -> f64 {
        let at = (self.waits.len() * percent / 100).min(self.waits.len().saturating_sub(1));
        self.waits.get(at).map_or(f64::NAN, |wait| *wait as f64 / 1e3)
    }
}

/// Quotes one after the other, and a bar whenever a minute of the market has ended.
struct Pacer<'a> {
    broker: &'a Broker,
    due: u64,
    index: usize,
    minute: MarketTime,
}

impl<'a> Pacer<'a> {
    fn new(broker: &'a Broker, index: usize) -> Self {
        Self { broker, due: world::nanos(), index, minute: broker.now().minute() }
    }

    /// The next quote in its time; when its bytes began to be written.
    fn quote(&mut self) -> u64 {
        self.due += PACE.as_nanos() as u64;
        let Some(encoding) = self.broker.encoding() else {
            world::sleep_until(self.due);
            return world::nanos();
        };
        world::sleep_until(self.due - PACE.as_nanos() as u64 / 2);
        let minute = self.broker.now().minute();
        if minute > self.minute {
            self.broker.say(&quotes::bar(encoding, self.minute));
            self.minute = self.minute + MINUTE;
        }
        let frame = quotes::quote(encoding, self.index, self.broker.now());
        self.index += 1;
        world::sleep_until(self.due);
        self.broker.say(&frame)
    }
}
