//! What a session is without a host around it.

use sandpit_types::MarketTime;

use super::Session;

impl Session {
    /// It is not asked to save its state while it runs: nobody would start from that.
    pub(crate) const fn never_save(&mut self) {
        self.past.never_save();
    }

    /// When its next timer is due.
    pub(crate) fn deadline(&self) -> Option<MarketTime> {
        self.timers.first()
    }
}
