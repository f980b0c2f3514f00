//! The request budgets of the host, each with its name.

use std::sync::Arc;

use sandpit_budget::Budget;
use sandpit_types::MarketClock;

use crate::config::Quotas;

/// One budget a source: whatever the host sends waits in one of these.
pub(crate) struct Budgets {
    /// The account's trading requests.
    pub(crate) trading: Arc<Budget>,
    /// The data API, news included.
    pub(crate) data: Arc<Budget>,
    /// The sources of the configuration, by name.
    sources: Vec<(String, Arc<Budget>)>,
}

impl Budgets {
    /// Budgets nothing of which is spent.
    pub(crate) fn new(quotas: &Quotas, clock: &Arc<dyn MarketClock>) -> Self {
        let budget = |quota: &sandpit_cores::Quota| Arc::new(Budget::new(quota.clone(), clock.clone()));
        Self {
            trading: budget(&quotas.trading),
            data: budget(&quotas.data),
            sources: quotas.sources.iter().map(|(name, quota)| (name.clone(), budget(quota))).collect(),
        }
    }

    /// All, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Arc<Budget>)> {
        let own = [("trading", &self.trading), ("data", &self.data)];
        own.into_iter().chain(self.sources.iter().map(|(name, budget)| (name.as_str(), budget)))
    }

    /// Assumes that another host has just stopped: with the account's and the data's budget it has spent half
    /// of a minute, until the broker's headers say what remains. To be told as soon as the clock is set.
    pub(crate) fn assume_a_former_life(&self) {
        [&self.trading, &self.data].into_iter().for_each(|budget| budget.assume_a_former_life());
    }

    /// From now on only cancels are let out.
    pub(crate) fn stop(&self) {
        self.all().for_each(|(_, budget)| budget.stop());
    }
}
