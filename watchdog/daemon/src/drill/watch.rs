//! Waiting, with an end: for a condition, until a bound, until the drill's own end, or until somebody stops
//! it.

use std::time::Duration;

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use sandpit_contract::BootTime;

use crate::{ambient, error::Error};

/// The watch over a whole drill.
pub(crate) struct Watch {
    signals: SignalFd,
    end: BootTime,
}

impl Watch {
    /// From now on SIGTERM and SIGINT end the drill's waits instead of the process: what is staged has to be
    /// cleaned up. To be called before the first thread starts.
    ///
    /// # Errors
    /// When the system refuses the descriptor.
    pub(crate) fn begin(longest: Duration) -> Result<Self, Error> {
        let stop = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
        stop.thread_block().map_err(std::io::Error::from)?;
        let signals = SignalFd::with_flags(&stop, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
        let signals = signals.map_err(std::io::Error::from)?;
        Ok(Self { signals, end: ambient::boot_time() + longest })
    }

    /// Looks every `pause` until `probe` has found something.
    ///
    /// # Errors
    /// [`Error::DrillFailed`] with `what` when it was not found within `longest`; the probe's own error.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        longest: Duration,
        pause: Duration,
        mut probe: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let start = ambient::boot_time();
        loop {
            if let Some(found) = probe()? {
                return Ok(found);
            }
            let now = ambient::boot_time();
            if matches!(self.signals.read_signal(), Ok(Some(_))) {
                return Err(Error::DrillFailed(format!("it was stopped while it waited for {what}")));
            }
            if now.since(start) >= longest || self.end <= now {
                let ms = now.since(start).as_millis();
                return Err(Error::DrillFailed(format!("{what} did not come within {ms} ms")));
            }
            ambient::pause(pause);
        }
    }
}
