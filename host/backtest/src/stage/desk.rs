//! Between the strategy and the desk: intents in, what became of them back, until both are quiet.

use sandpit_cores::reconcile::Standing;
use sandpit_execution::{DeskInput, DeskOutput, Review};
use sandpit_strategy::StrategyEvent;
use sandpit_types::{Intent, MarketTime};

use super::{Stage, Stop};
use crate::End;

/// How often strategy and desk may answer each other at one moment.
const ROUNDS_MAX: usize = 10_000;

impl Stage {
    /// Lets strategy and desk answer each other until neither has anything to say.
    pub(super) fn settle(&mut self, now: MarketTime) -> Result<(), Stop> {
        for _ in 0..ROUNDS_MAX {
            let mut outputs = std::mem::take(&mut self.outputs);
            self.desk.turn(now, &mut outputs);
            let is_quiet = outputs.is_empty() && self.wanted.is_empty();
            for output in outputs.drain(..) {
                self.post(output, now)?;
            }
            self.outputs = outputs;
            if is_quiet {
                return Ok(());
            }
            while let Some(intents) = self.wanted.pop_front() {
                self.want(intents, now)?;
            }
        }
        Err(Box::new(End::Restless { at: now }))
    }

    /// Reads the account for the gates, the breakers and the strategy.
    pub(super) fn read_account(&mut self, now: MarketTime) -> Result<(), Stop> {
        let account = self.broker.reading();
        (self.is_stale, self.read_equity) = (false, account.equity.to_f64());
        self.desk.review_mut().account(&account, Standing::Explained, now);
        if let Some(reason) = self.run.tripped_by() {
            return Err(Box::new(End::Tripped { reason, at: now }));
        }
        let (equity, buying_power) = (account.equity, account.buying_power);
        self.tell(&StrategyEvent::Account { equity, buying_power }, now)
    }

    fn want(&mut self, intents: Vec<Intent>, now: MarketTime) -> Result<(), Stop> {
        if self.is_stale {
            self.read_account(now)?;
        }
        let strategy = self.name.clone();
        self.desk.input(DeskInput::Intents { strategy, incarnation: 0, intents }, now);
        Ok(())
    }

    /// Writes down what the desk told, and tells the strategy what concerns it.
    fn post(&mut self, output: DeskOutput, now: MarketTime) -> Result<(), Stop> {
        self.record.told(&output);
        let event = match output {
            DeskOutput::Order { update, .. } => StrategyEvent::Order(update),
            DeskOutput::Fill { id, leg, fill, .. } => {
                self.is_stale = true;
                self.broker.ask(|venue| self.marks.hold(venue));
                let (symbol, side, qty, price, time) =
                    (fill.symbol, fill.side, fill.qty, fill.price, fill.time);
                StrategyEvent::Fill { id, leg, symbol, side, qty, price, time }
            }
            DeskOutput::Refused { id, refusal, .. } => StrategyEvent::Refused { id, refusal, time: now },
            DeskOutput::SubBook { symbol, qty, avg_price, .. } => {
                StrategyEvent::Position { symbol, qty, avg_price }
            }
            DeskOutput::Account(_)
            | DeskOutput::Introduction { .. }
            | DeskOutput::StreamSuspect { .. }
            | DeskOutput::Answer { .. }
            | DeskOutput::Alert(_) => return Ok(()),
        };
        self.tell(&event, now)
    }
}
