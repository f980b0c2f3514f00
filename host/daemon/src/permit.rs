//! The right to trade as a request asks for it, immediately before its bytes are written.

use std::{path::PathBuf, sync::Arc};

use sandpit_broker::{GateError, Permit};

use crate::{ambient, lease::Lease};

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
        // A flag of any type counts, a dangling link too, hence no `exists`.
        let flagged = std::fs::symlink_metadata(&self.kill_switch_file).is_ok();
        if !flagged && self.lease.holds(ambient::boot_now()) { Ok(()) } else { Err(GateError::NoLease) }
    }
}

/// In a dry run nothing leaves the process: there is nothing to ask.
pub(crate) struct DryRunPermit;

impl Permit for DryRunPermit {
    fn check(&self) -> Result<(), GateError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_lease_no_trade() {
        let permit = TradePermit::new(Arc::new(Lease::default()), "/nonexistent/kill".into());
        assert_eq!(permit.check(), Err(GateError::NoLease));
    }
}
