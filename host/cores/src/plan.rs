//! The paced executor's plan: orders that wait for a place among those under way.
//!
//! Orders that lower the risk and orders that add to it wait in lanes of their own, so that neither the
//! number nor the place of entries ever keeps an exit waiting. Within a lane strategies take turns, one order
//! each; of one strategy the batches go in the order in which they came. Within a batch exits keep the
//! strategy's order, and entries go by value, the larger first: what moves most is done while prices are
//! fresh.
//!
//! What waits is no order yet: it is priced, reviewed and recorded when its turn comes. Past its time to live
//! it is late and does not leave.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use rust_decimal::Decimal;
use sandpit_types::{
    MarketTime, OrderKind, Price, Quote, Reprice, Side, StrategyName, StrategyOrderId, Submit, Usd,
};

/// Orders of one strategy that may wait in one lane. What comes when it is full is given back.
pub const MAX_PLANNED_EACH: usize = 500;

/// Orders of all strategies that may wait in one lane. What comes when it is full is given back.
pub const MAX_PLANNED: usize = 2_000;

/// The shortest span: a deadline is past a moment after it, not at it.
const MOMENT: Duration = Duration::from_nanos(1);

/// An order that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Whose.
    pub strategy: StrategyName,
    /// Which life of it.
    pub incarnation: u32,
    /// What.
    pub submit: Submit,
    /// Whether it lowers the risk, as far as could be seen when it came.
    pub reduces: bool,
    /// What it is worth, as far as could be seen when it came.
    pub value: Usd,
    /// When it came.
    pub since: MarketTime,
    /// The last moment at which it may leave.
    pub until: MarketTime,
    /// Whether it ends what has begun already, as the exit of a symbol in which all else is cancelled: it
    /// goes on while nothing new is begun.
    pub ends_begun: bool,
}

/// All that waits.
#[derive(Debug, Default)]
pub struct Plan {
    exits: Lane,
    entries: Lane,
}

#[derive(Debug, Default)]
struct Lane {
    queues: BTreeMap<StrategyName, VecDeque<Planned>>,
    /// Whose turn it was last.
    served: Option<StrategyName>,
    len: usize,
}

impl Plan {
    /// Takes one batch of one strategy. Gives back what there is no room for: the smallest entries, the last
    /// exits.
    pub fn add(&mut self, batch: Vec<Planned>) -> Vec<Planned> {
        let (mut exits, mut entries) = (Vec::new(), Vec::new());
        for planned in batch {
            if planned.reduces { exits.push(planned) } else { entries.push(planned) }
        }
        entries.sort_by_key(|planned| Reverse(planned.value));
        let mut full = self.exits.add(exits);
        full.extend(self.entries.add(entries));
        full
    }

    /// The next of a lane, of the strategy whose turn it is.
    pub fn next(&mut self, reduces: bool) -> Option<Planned> {
        self.lane(reduces).next()
    }

    /// Takes out what is late at `now`.
    pub fn late(&mut self, now: MarketTime) -> Vec<Planned> {
        self.take(|planned| now > planned.until)
    }

    /// Takes out everything that `is_meant`, exits first.
    pub fn take(&mut self, is_meant: impl Fn(&Planned) -> bool) -> Vec<Planned> {
        let mut taken = self.exits.take(&is_meant);
        taken.extend(self.entries.take(&is_meant));
        taken
    }

    /// What waits of a strategy belongs to this life of it from now on.
    pub fn inherit(&mut self, strategy: &StrategyName, incarnation: u32) {
        for lane in [&mut self.exits, &mut self.entries] {
            let queue = lane.queues.get_mut(strategy).into_iter().flatten();
            queue.for_each(|planned| planned.incarnation = incarnation);
        }
    }

    /// Whether an order of the strategy with this id waits.
    pub fn holds(&self, strategy: &StrategyName, id: StrategyOrderId) -> bool {
        [&self.exits, &self.entries]
            .into_iter()
            .filter_map(|lane| lane.queues.get(strategy))
            .any(|queue| queue.iter().any(|planned| planned.submit.id == id))
    }

    /// All that wait, exits first.
    pub fn iter(&self) -> impl Iterator<Item = &Planned> {
        [&self.exits, &self.entries].into_iter().flat_map(|lane| lane.queues.values().flatten())
    }

    /// How many wait.
    pub const fn len(&self) -> usize {
        self.exits.len + self.entries.len
    }

    /// Whether none waits.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the next one becomes late.
    pub fn deadline(&self) -> Option<MarketTime> {
        let all = [&self.exits, &self.entries].into_iter().flat_map(|lane| lane.queues.values().flatten());
        all.map(|planned| planned.until).min().map(|until| until + MOMENT)
    }

    const fn lane(&mut self, reduces: bool) -> &mut Lane {
        if reduces { &mut self.exits } else { &mut self.entries }
    }
}

impl Lane {
    fn add(&mut self, batch: Vec<Planned>) -> Vec<Planned> {
        let mut full = Vec::new();
        for planned in batch {
            let waiting = self.queues.get(&planned.strategy).map_or(0, VecDeque::len);
            if waiting >= MAX_PLANNED_EACH || self.len >= MAX_PLANNED {
                full.push(planned);
                continue;
            }
            self.len += 1;
            self.queues.entry(planned.strategy.clone()).or_default().push_back(planned);
        }
        full
    }

    fn next(&mut self) -> Option<Planned> {
        let after = self.served.as_ref().and_then(|served| {
            use std::ops::Bound::{Excluded, Unbounded};
            self.queues.range((Excluded(served.clone()), Unbounded)).next()
        });
        let strategy = after.or_else(|| self.queues.first_key_value())?.0.clone();
        let queue = self.queues.get_mut(&strategy)?;
        let planned = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&strategy);
        }
        self.len -= 1;
        self.served = Some(strategy);
        Some(planned)
    }

    fn take(&mut self, is_meant: &impl Fn(&Planned) -> bool) -> Vec<Planned> {
        let mut taken = Vec::new();
        for queue in self.queues.values_mut() {
            let (meant, kept): (VecDeque<_>, VecDeque<_>) = queue.drain(..).partition(|one| is_meant(one));
            *queue = kept;
            taken.extend(meant);
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        self.len -= taken.len();
        taken
    }
}

/// The kind of an order that has waited, by the quote of this moment: its limit is the far side, never worse
/// than it allows. Without a far side, and for kinds that do not follow the market, it stays.
pub fn repriced(submit: &Submit, quote: Option<&Quote>) -> OrderKind {
    let (Some(Reprice { worst }), OrderKind::Limit { .. }, Some(quote)) =
        (submit.reprice, submit.kind, quote)
    else {
        return submit.kind;
    };
    let far = match submit.side {
        Side::Buy => quote.ask,
        Side::Sell => quote.bid,
    };
    let Some(far) = Price::from_f64(far).ok().filter(|far| far.is_positive()) else { return submit.kind };
    let limit_price = match submit.side {
        Side::Buy => on_tick(far, true).min(worst),
        Side::Sell => on_tick(far, false).max(worst),
    };
    OrderKind::Limit { limit_price }
}

/// The next whole tick on the side of a price on which it still meets the quote.
fn on_tick(price: Price, up: bool) -> Price {
    let tick = price.tick().get();
    let ticks = price.get() / tick;
    let whole: Decimal = if up { ticks.ceil() } else { ticks.floor() };
    Price::new((whole * tick).normalize())
}

#[cfg(test)]
mod tests;
