//! One order in the place of another.

use sandpit_types::{MarketTime, Refusal, Replace, StrategyName};

use super::Machine;
use crate::Review;

impl<R: Review> Machine<R> {
    /// FOUNDATION: the other half of this work has it.
    pub(super) fn replace(
        &mut self,
        strategy: &StrategyName,
        _incarnation: u32,
        replace: &Replace,
        now: MarketTime,
    ) {
        self.refuse(strategy, replace.new_id, Refusal::NotReplaceable, now);
    }
}
