//! Whether the books can be trusted just now.

use std::collections::BTreeMap;

use sandpit_types::{Qty, StrategyName, Symbol};

use super::Books;

impl Books {
    /// Whether the books agree with the broker: they were reconciled since the start.
    pub const fn is_reconciled(&self) -> bool {
        self.reconciled
    }

    /// Notes that the books were reconciled, or have to be again.
    pub const fn set_reconciled(&mut self, reconciled: bool) {
        self.reconciled = reconciled;
    }

    /// Why only orders that reduce may leave; `None` while nothing is frozen.
    pub fn frozen(&self) -> Option<&str> {
        self.frozen.as_deref()
    }

    /// Freezes for this reason, or ends the freeze.
    pub fn set_frozen(&mut self, reason: Option<String>) {
        self.frozen = reason;
    }

    /// Why only orders of this strategy that reduce may leave; `None` while nobody has paused it.
    pub fn paused(&self, strategy: &StrategyName) -> Option<&str> {
        self.paused.get(strategy).map(String::as_str)
    }

    /// Every strategy that is paused, there or not, and why.
    pub const fn pauses(&self) -> &BTreeMap<StrategyName, String> {
        &self.paused
    }

    /// Pauses a strategy for this reason, or ends its pause. Why it was paused before.
    pub fn set_paused(&mut self, strategy: &StrategyName, reason: Option<String>) -> Option<String> {
        match reason {
            Some(reason) => self.paused.insert(strategy.clone(), reason),
            None => self.paused.remove(strategy),
        }
    }

    /// Whether an order of this strategy has to reduce to leave, and an entry of it that rests to go.
    pub fn is_held_back(&self, strategy: &StrategyName) -> bool {
        self.frozen.is_some() || self.paused.contains_key(strategy)
    }

    /// Whether fills are seen as they happen: the order stream is up, and what it missed was asked for.
    pub const fn is_order_stream_up(&self) -> bool {
        self.order_stream_up
    }

    /// Notes that the order stream is up or down.
    pub const fn set_order_stream_up(&mut self, up: bool) {
        self.order_stream_up = up;
    }

    /// What the broker holds of a symbol of which the sub-books say otherwise, by its last report and our
    /// fills since; `None` while both agree.
    pub fn disputed(&self, symbol: &Symbol) -> Option<Qty> {
        self.disputed.get(symbol).copied()
    }

    /// All disputed symbols, each with what the broker holds.
    pub const fn disputes(&self) -> &BTreeMap<Symbol, Qty> {
        &self.disputed
    }

    /// Notes what the broker holds of a disputed symbol; `None` ends the dispute.
    pub fn set_disputed(&mut self, symbol: &Symbol, at_broker: Option<Qty>) {
        match at_broker {
            Some(qty) => self.disputed.insert(symbol.clone(), qty),
            None => self.disputed.remove(symbol),
        };
    }
}
