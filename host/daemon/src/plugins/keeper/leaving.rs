//! What a strategy leaves behind, and how one leaves that the watchdog wants in quarantine.

use std::{sync::Arc, time::Duration};

use sandpit_execution::DeskInput;
use sandpit_types::{StrategyName, Symbol};

use super::Keeping;
use crate::strategies::{StrategiesError, Strategy};

/// How long the disk is waited for, real time: the host may end any moment.
const NOTED_WITHIN: Duration = Duration::from_millis(500);

impl Keeping {
    /// Ends whoever is condemned and runs. One that does not run yet is refused when it would start.
    pub(super) fn quarantine_condemned(&mut self) {
        for name in self.parts.outlets.quarantines.condemned() {
            match self.running(name.as_str()) {
                Some(strategy) => self.quarantine(&strategy),
                None => self.parts.outlets.quarantines.was_sentenced(&name),
            }
        }
    }

    /// As after its third strike, and its thread ends, too: what counts is the memory that it gives back.
    fn quarantine(&mut self, strategy: &Arc<Strategy>) {
        let quarantines = self.parts.outlets.quarantines.clone();
        let version =
            || strategy.runs_other().map_or_else(|| strategy.version(), |running| running.version());
        let Some(reason) = quarantines.sentence(&strategy.name, &version()) else { return };
        quarantines.flush(NOTED_WITHIN);
        self.let_go(strategy, "the watchdog wants it in quarantine");
        // Another version may have taken over meanwhile, and lifted it.
        quarantines.note(&strategy.name, version(), &reason);
        self.refuse_sentenced(strategy, reason);
        self.say_what_stays(&strategy.name, |_| true);
        self.parts.owners.release(&strategy.name);
        self.tell_all(&[], self.parts.clock.now());
        self.retry();
    }

    /// What a strategy holds and nobody trades any more; `is_left` are the symbols that it has left.
    pub(super) fn say_what_stays(&self, name: &StrategyName, is_left: impl Fn(&Symbol) -> bool) {
        let books = self.parts.books.read();
        let held = books.sub_books.iter().filter(|((owner, symbol), _)| owner == name && is_left(symbol));
        let held = held.filter(|(_, (qty, _))| !qty.is_zero());
        let held: Vec<String> = held.map(|((_, symbol), (qty, _))| format!("{qty} {symbol}")).collect();
        if !held.is_empty() {
            let held = held.join(", ");
            tracing::warn!(
                strategy = name.as_str(),
                "the strategy has left and still holds {held}: nobody trades that until it is back"
            );
        }
    }

    fn refuse_sentenced(&mut self, strategy: &Strategy, reason: String) {
        let name = strategy.name.as_str();
        let event = "strategy-quarantined";
        tracing::error!(
            strategy = name,
            reason,
            event,
            "the strategy is quarantined; its orders are cancelled"
        );
        self.tell_desk(DeskInput::Quarantined { strategy: strategy.name.clone(), reason: reason.clone() });
        let error = StrategiesError::Quarantined { reason };
        self.parts.refusals.say(name, &error.to_string(), false);
        self.parts.again.put(name, error.hope());
    }
}
