//! The right to trade as a request asks for it, immediately before its bytes are written.

use std::{path::PathBuf, sync::Arc};

use sandpit_broker::{GateError, Permit};

use crate::{
    ambient,
    flag::{self, Flag},
    lease::Lease,
};

/// A POST needs a valid lease, and no kill flag.
pub(crate) struct TradePermit {
    lease: Arc<Lease>,
    kill_switch_file: PathBuf,
}

impl TradePermit {
    /// A permit over `lease` and the flag.
    pub(crate) const fn new(lease: Arc<Lease>, kill_switch_file: PathBuf) -> Self {
        Self { lease, kill_switch_file }
    }
}

impl Permit for TradePermit {
    fn check(&self) -> Result<(), GateError> {
        let free = match flag::look(&self.kill_switch_file) {
            Flag::Absent => self.lease.holds(ambient::boot_now()),
            Flag::Present | Flag::Unknown(_) => false,
        };
        if free { Ok(()) } else { Err(GateError::NoLease) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flag_or_a_missing_lease_stops_every_post() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("kill");
        let lease = Arc::new(Lease::default());
        let permit = TradePermit::new(lease.clone(), file.clone());
        assert_eq!(permit.check(), Err(GateError::NoLease));
        lease.grant(ambient::boot_now() + Duration::from_secs(60));
        assert_eq!(permit.check(), Ok(()));
        std::fs::write(&file, "").expect("written");
        assert_eq!(permit.check(), Err(GateError::NoLease));
        std::fs::remove_file(&file).expect("removed");
        lease.revoke();
        lease.grant(ambient::boot_now() + Duration::from_secs(60));
        assert_eq!(permit.check(), Err(GateError::NoLease), "a revoked lease does not come back");
    }
}
