//! When what happened after a deed: what a measurement wants to know.

use crate::{
    rig::Rig,
    story::{Seen, What},
};

/// Milliseconds from a deed to each of these; `None` for what did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// The lease was gone: withheld, or the kill began.
    pub lease_gone_ms: Option<u64>,
    /// The host's process was gone.
    pub host_dead_ms: Option<u64>,
    /// The first cancel of the watchdog's came to the broker: in bulk, as only it does, or a single one
    /// behind the kill, where the host may have had one under way.
    pub first_cancel_ms: Option<u64>,
    /// The watchdog said `ZERO_SEEN`.
    pub zero_seen_ms: Option<u64>,
    /// The watchdog said `CONFIRMED_ZERO`.
    pub confirmed_ms: Option<u64>,
    /// A host held a lease again.
    pub leased_again_ms: Option<u64>,
    /// An order of a host came to the broker under that lease.
    pub trading_again_ms: Option<u64>,
}

impl Moments {
    /// What followed a deed of the moment `deed_ms`. Each figure is late by at most what the witness needs
    /// for a look, some milliseconds.
    fn after(story: &[Seen], deed_ms: u64) -> Self {
        let first = |from_ms: u64, is: &dyn Fn(&What) -> bool| {
            let later = story.iter().filter(|seen| seen.by_ms >= from_ms);
            later.filter(|seen| is(&seen.what)).map(|seen| seen.by_ms - deed_ms).min()
        };
        let find = |is: &dyn Fn(&What) -> bool| first(deed_ms, is);
        let gone = |what: &What| what.says("lease withheld") || what.says("[KILL] layer=");
        let is_bulk = |what: &What| what.asks("DELETE", "/v2/orders") && !what.asks("DELETE", "/v2/orders/");
        let kill_ms = find(&|what| what.says("[KILL] layer="));
        let single = |from_ms: u64| first(deed_ms + from_ms, &|what| what.asks("DELETE", "/v2/orders/"));
        let leased_again_ms = find(&|what| what.says("lease granted"));
        let trading = |from_ms: u64| first(deed_ms + from_ms, &|what| what.asks("POST", "/v2/orders"));
        Self {
            lease_gone_ms: find(&gone),
            host_dead_ms: find(&|what| matches!(what, What::HostGone(_))),
            first_cancel_ms: find(&is_bulk).or_else(|| kill_ms.and_then(single)),
            zero_seen_ms: find(&|what| what.says("[KILL] ZERO_SEEN")),
            confirmed_ms: find(&|what| what.says("[KILL] CONFIRMED_ZERO")),
            leased_again_ms,
            trading_again_ms: leased_again_ms.and_then(trading),
        }
    }
}

impl Rig {
    /// What has followed by now, of what happened after a mark, a deed of the moment `deed_ms`.
    ///
    /// # Errors
    /// When the witness stands still.
    pub fn moments(&self, mark: usize, deed_ms: u64) -> anyhow::Result<Moments> {
        self.story.catch_up()?;
        Ok(Moments::after(&self.story.seen()[mark..], deed_ms))
    }
}
