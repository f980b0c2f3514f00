//! Plays events to a strategy, with or without a desk that answers its orders, and adds up what they cost.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use sandpit_strategy::{StrategyEvent, StrategyOutput, Trial};
use sandpit_types::{Intent, MarketEvent};

use crate::desk::Desk;

/// What one event may cause, the desk's answers included; beyond it the strategy answers its own orders for
/// ever.
const CAUSED_MAX: usize = 10_000;

/// A strategy and what answers it.
pub(crate) struct Player {
    trial: Trial,
    desk: Option<Desk>,
    pub(crate) costs: Costs,
}

/// What came of one event.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) intents: Vec<Intent>,
    /// How it failed, in words.
    pub(crate) failures: Vec<String>,
    /// What it saved.
    pub(crate) states: Vec<Arc<[u8]>>,
}

impl Player {
    pub(crate) fn new(trial: Trial, desk: Option<Desk>) -> Self {
        Self { trial, desk, costs: Costs::default() }
    }

    /// Tells an event, and what the desk has to say then.
    pub(crate) fn tell(&mut self, event: &StrategyEvent) -> Outcome {
        let mut outcome = Outcome::default();
        let mut waiting = VecDeque::from([event.clone()]);
        waiting.extend(self.market(event));
        for _ in 0..CAUSED_MAX {
            let Some(event) = waiting.pop_front() else { return outcome };
            let step = self.trial.on(&event);
            self.costs.add(kind(&event), step.fuel);
            for output in step.outputs {
                match output {
                    StrategyOutput::Intents { intents, .. } => {
                        if let Some(desk) = &mut self.desk {
                            waiting.extend(intents.iter().flat_map(|intent| desk.perform(intent)));
                        }
                        outcome.intents.extend(intents);
                    }
                    StrategyOutput::Struck { reason, .. } => outcome.failures.push(reason.to_string()),
                    StrategyOutput::Quarantined { reason, .. } => {
                        outcome.failures.push(format!("quarantined: {reason}"));
                    }
                    StrategyOutput::Snapshot { snapshot, .. } => outcome.states.push(snapshot.state),
                    StrategyOutput::Swapped { .. }
                    | StrategyOutput::SwapFailed { .. }
                    | StrategyOutput::Stopped { .. } => {}
                }
            }
        }
        outcome
            .failures
            .push(format!("one event caused {CAUSED_MAX} others: it answers its own orders for ever"));
        outcome
    }

    pub(crate) fn trial(&self) -> &Trial {
        &self.trial
    }

    /// What the desk makes of the market.
    fn market(&mut self, event: &StrategyEvent) -> Vec<StrategyEvent> {
        let (Some(desk), StrategyEvent::Market(event)) = (&mut self.desk, event) else { return Vec::new() };
        match event {
            MarketEvent::Bar(bar) => desk.price(&bar.symbol, bar.close, event.time()),
            MarketEvent::Quote(quote) => desk.price(&quote.symbol, (quote.bid + quote.ask) / 2.0, quote.time),
            MarketEvent::Trade(trade) => desk.price(&trade.symbol, trade.price, trade.time),
            MarketEvent::SessionClose(at) => desk.close(*at),
            _ => Vec::new(),
        }
    }
}

/// The name of a kind of event, as fixtures have it.
pub(crate) const fn kind(event: &StrategyEvent) -> &'static str {
    match event {
        StrategyEvent::Market(event) => match event {
            MarketEvent::Bar(_) => "bar",
            MarketEvent::MarkedBar(..) => "marked-bar",
            MarketEvent::Quote(_) => "quote",
            MarketEvent::Trade(_) => "trade",
            MarketEvent::BarsComplete(_) => "bars-complete",
            MarketEvent::SessionOpen(_) => "session-open",
            MarketEvent::SessionClose(_) => "session-close",
            MarketEvent::News(_) => "news",
            MarketEvent::Health(..) => "health",
        },
        StrategyEvent::Warmup(_) => "warmup",
        StrategyEvent::Order(_) => "order",
        StrategyEvent::Fill { .. } => "fill",
        StrategyEvent::Refused { .. } => "refused",
        StrategyEvent::Account { .. } => "account",
        StrategyEvent::Position { .. } => "position",
        StrategyEvent::OpenOrder { .. } => "open-order",
        StrategyEvent::Tick(_) => "tick",
        StrategyEvent::Probe(_) => "probe",
        StrategyEvent::Stop(_) => "stop",
    }
}

/// Work by kind of event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Costs(BTreeMap<&'static str, Cost>);

/// Of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) events: u64,
    pub(crate) fuel: u64,
    pub(crate) most: u64,
}

impl Cost {
    /// Of one event, on average.
    pub(crate) const fn mean(self) -> u64 {
        match self.fuel.checked_div(self.events) {
            Some(mean) => mean,
            None => 0,
        }
    }
}

impl Costs {
    fn add(&mut self, kind: &'static str, fuel: u64) {
        let cost = self.0.entry(kind).or_default();
        cost.events += 1;
        cost.fuel += fuel;
        cost.most = cost.most.max(fuel);
    }

    /// Of each kind that cost anything, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, Cost)> {
        self.0.iter().filter(|(_, cost)| cost.fuel > 0).map(|(kind, cost)| (*kind, *cost))
    }
}
