//! What the review of each order asks of a host that trades.

use std::{sync::Arc, time::Duration};

use sandpit_cores::Trip;
use sandpit_review::{Outside, Reviewer};

use crate::{
    alarms::Alarms,
    ambient,
    lease::Lease,
    run::{Ending, Endings},
};

/// The review of a host's orders.
pub(crate) type HostReviewer = Reviewer<OfHost>;

/// The host as its review sees it.
pub(crate) struct OfHost {
    /// The right to trade; `None` in a mode that sends nothing.
    pub(crate) lease: Option<Arc<Lease>>,
    /// Whether a signal wants no entries.
    pub(crate) alarms: Arc<Alarms>,
    /// Where a breaker that trips says so.
    pub(crate) endings: Endings,
}

impl Outside for OfHost {
    fn may_trade(&self) -> bool {
        self.lease.as_ref().is_none_or(|lease| lease.holds(ambient::boot_now()))
    }

    fn entries_stopped(&self) -> bool {
        self.alarms.entries_stopped()
    }

    fn real_now(&self) -> Duration {
        Duration::from_nanos(ambient::boot_now().as_nanos())
    }

    /// The lease is gone with it, and the host's end tells the watchdog.
    fn tripped(&self, trip: &Trip) {
        self.endings.give(Ending::Kill { reason: trip.to_string() });
    }
}

#[cfg(test)]
mod tests {
    use sandpit_contract::BootTime;
    use sandpit_types::Usd;

    use super::*;

    #[test]
    fn a_tripped_limit_takes_the_right_to_trade_before_anybody_is_told() {
        let lease = Arc::new(Lease::default());
        lease.grant(BootTime::from_nanos(u64::MAX));
        let (endings, mut reasons) = Endings::new(lease.clone());
        let alarms = Arc::<Alarms>::default();
        let host = OfHost { lease: Some(lease.clone()), alarms: alarms.clone(), endings };
        assert!(host.may_trade() && !host.entries_stopped());
        alarms.set_entries_stopped(true);
        assert!(host.entries_stopped());
        let trip = Trip::Day { from: Usd::new(100.into()), to: Usd::new(97.into()) };
        host.tripped(&trip);
        assert!(!host.may_trade() && !lease.holds(BootTime::from_nanos(0)));
        assert_eq!(reasons.try_recv(), Ok(Ending::Kill { reason: trip.to_string() }));
    }
}
