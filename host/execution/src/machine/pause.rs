//! Pauses of single strategies: a person wants nothing of one of them sent that adds risk.
//!
//! A paused strategy runs on: it is told of the market, of its fills and timers, may cancel, and may reduce
//! what it holds. What opens or adds is refused as `paused`, so that it knows and a replay sees the same. Its
//! entries that rest are cancelled as by a freeze. A pause belongs to the name: a new version of the plugin,
//! a plugin that comes back and a new life of the host find it in force. Only a person lifts it.

use std::collections::BTreeMap;

use sandpit_store::{Actor, Audit, Record, facts};
use sandpit_types::{ClientOrderId, MarketTime, StrategyName};
use tracing::{info, warn};

use super::{Machine, cash::json};
use crate::{Answer, Review};

impl<R: Review> Machine<R> {
    /// Takes in what earlier lives left.
    pub(super) fn restore_pauses(&mut self, stored: Option<BTreeMap<StrategyName, String>>) {
        for (strategy, reason) in stored.unwrap_or_default() {
            warn!(%strategy, event = "strategy-paused", "still paused: {reason}");
            self.books.set_paused(&strategy, Some(reason));
        }
        self.show_pauses();
    }

    /// A person wants nothing of a strategy sent that adds risk.
    pub(super) fn pause(
        &mut self,
        strategy: &StrategyName,
        operator: String,
        reason: &str,
        now: MarketTime,
    ) -> Answer {
        let before = self.books.paused(strategy).map(str::to_owned);
        let actor = Actor::Operator(operator.clone());
        self.audit_pause(actor, "pause", format!("{strategy}: {reason}"), now);
        if before.is_none() {
            let text = format!("{operator} paused it: {reason}");
            warn!(%strategy, event = "strategy-paused", "only orders that reduce leave: {text}");
            self.books.set_paused(strategy, Some(text));
            self.keep_pauses();
        }
        let is_its = |id: &ClientOrderId| id.strategy == *strategy;
        let orders = self.cancel_entries(now).into_iter().filter(is_its).collect();
        Answer::Paused { before, orders }
    }

    /// A person lifts a pause.
    pub(super) fn resume(
        &mut self,
        strategy: &StrategyName,
        operator: String,
        reason: &str,
        now: MarketTime,
    ) -> Answer {
        let Some(was) = self.books.set_paused(strategy, None) else { return Answer::NotPaused };
        info!(%strategy, event = "strategy-resumed", "{operator} resumed it: {reason}; it was: {was}");
        self.keep_pauses();
        let detail = format!("{strategy}: {reason} (it was: {was})");
        self.audit_pause(Actor::Operator(operator), "resume", detail, now);
        Answer::Resumed { was }
    }

    fn keep_pauses(&mut self) {
        let pauses = self.books.pauses();
        let value = (!pauses.is_empty()).then(|| json(pauses));
        self.ledger.record(Record::Fact { name: facts::PAUSED, value });
        self.show_pauses();
    }

    fn show_pauses(&self) {
        let pauses = self.books.pauses().clone();
        self.stats.write(|counts| counts.paused = pauses);
    }

    fn audit_pause(&mut self, actor: Actor, action: &'static str, detail: String, now: MarketTime) {
        let (client_id, symbol) = (None, None);
        self.ledger.record(Record::Audit(Audit { time: now, actor, action, client_id, symbol, detail }));
    }
}
