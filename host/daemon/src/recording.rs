//! The journal of this host's life, if one is wanted: what happens to each strategy is recorded beside the
//! trading. Nothing that goes wrong with it stops a trade.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sandpit_contract::Exit;
use sandpit_journal::{Counters, Journal, Settings};
use sandpit_strategy::{Plugin, Recorder};
use sandpit_types::{HostEpoch, MarketTime};

use crate::{ambient, config::Config, run::Failure};

/// The journal, or none.
#[derive(Debug)]
pub(crate) struct Recording(Option<Journal>);

/// Where the sessions of a host lie, in its state folder of one mode.
pub(crate) fn root(folder: &Path) -> PathBuf {
    folder.join("journal")
}

impl Recording {
    /// Begins a session in the state folder of this mode.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(config: &Config, folder: &Path, epoch: HostEpoch) -> Result<Self, Failure> {
        let Some(retention) = config.journal else { return Ok(Self(None)) };
        let (root, session) = (root(folder), name(ambient::wall_now(), epoch));
        tracing::info!(session, "what happens to strategies is recorded");
        let settings = Settings { root, session, host: env!("CARGO_PKG_VERSION").to_owned(), retention };
        let journal = Journal::start(settings, ambient::wall_now);
        journal.map(|journal| Self(Some(journal))).map_err(|error| Failure::new(Exit::Failed, error))
    }

    /// A recorder for a strategy that starts, and its component is kept.
    pub(crate) fn recorder(&self, plugin: &Plugin) -> Option<Box<dyn Recorder>> {
        let journal = self.0.as_ref()?;
        self.keep(plugin);
        Some(Box::new(journal.strand(plugin.name())))
    }

    /// Keeps a component that starts, or is about to take over.
    pub(crate) fn keep(&self, plugin: &Plugin) {
        let Some(journal) = &self.0 else { return };
        if let Err(error) = journal.keep(plugin.path(), plugin.sha256()) {
            let strategy = plugin.name();
            tracing::error!(%strategy, %error, "this session can be replayed with another component only");
        }
    }

    /// What was recorded so far, if anything is.
    pub(crate) fn counters(&self) -> Option<Arc<Counters>> {
        self.0.as_ref().map(Journal::counters)
    }

    /// Writes the end. What is recorded afterwards is lost.
    pub(crate) fn close(&self) {
        if let Some(journal) = &self.0
            && !journal.close()
        {
            tracing::error!("the journal did not end in time: its last moments may be missing");
        }
    }
}

/// The name of a session: when it began, so that names are in the order of time, and which life it is of.
fn name(now: MarketTime, epoch: HostEpoch) -> String {
    let stamp = now.to_jiff().strftime("%Y%m%dT%H%M%SZ");
    format!("{stamp}-{:08x}", epoch.0 >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_time() {
        let name = |second, epoch| name(MarketTime::from_secs(second), HostEpoch(epoch));
        assert_eq!(name(1_763_809_872, 0x5f0c_9d2e_0000_0000), "20251122T111112Z-5f0c9d2e");
        assert!(name(999_999_999, 2 << 60) < name(1_000_000_000, 0));
        assert_eq!(name(0, 0), "19700101T000000Z-00000000");
    }
}
