//! What the market-data loop does when other symbols are wanted.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use sandpit_broker::{DataFeed, DataSession, History, Subscription};
use sandpit_cores::Channel;
use sandpit_types::Symbol;
use tokio::{sync::mpsc, time::timeout};

use super::{Ingest, NAME};
use crate::{
    IngestConfig, Resubscription,
    life::{Cause, Phase},
    sequence::Moment,
};

/// A connection that does not take our words for so long is as good as broken; real time. The loop waits for
/// it.
const SAY_WITHIN: Duration = Duration::from_millis(250);

/// The next change; waits for ever when there is nobody to make one. Cancel-safe.
pub(super) async fn next(changes: &mut Option<mpsc::Receiver<Resubscription>>) -> Resubscription {
    let Some(open) = changes else { return std::future::pending().await };
    match open.recv().await {
        Some(change) => change,
        None => {
            *changes = None;
            std::future::pending().await
        }
    }
}

impl<F: DataFeed, H: History> Ingest<F, H> {
    /// From now on something else is wanted. The open connection is told of it, and REST brings what it
    /// cannot.
    pub(super) fn resubscribe(&mut self, change: Resubscription, now: Moment) {
        let Resubscription { subscription, fresh, since } = change;
        let bars = subscription.bars.len();
        tracing::info!(stream = NAME, bars, trades = subscription.trades.len(), "other symbols are wanted");
        self.sequence.resubscribe(&subscription, self.plan.canary(), &fresh, since);
        let before = self.plan.asked();
        self.plan.want(subscription);
        self.over_rest = self.plan.over_rest().into();
        self.wanted_quotes = self.over_rest.quotes.as_slice().into();
        self.untold_quotes = self.plan.untold_quotes().into();
        self.stats.untold_quotes.store(self.untold_quotes.len() as u64, Relaxed);
        // What is being asked was asked for others.
        (self.bars, self.quotes) = (None, None);
        self.rest.resubscribed(bars, since, now);
        self.audits.changed(now.market);
        self.is_outdated = true;
        self.watch_anew(&before, now);
    }

    /// Judges silence by what is wanted now; `before`, this was asked for.
    fn watch_anew(&mut self, before: &Subscription, now: Moment) {
        let (asked, canary) = (self.plan.asked(), self.plan.canary());
        let watches = IngestConfig::usual_watches(self.plan.wanted(), canary);
        let is_kept = |channel| {
            let old = symbols(before, channel);
            symbols(&asked, channel).iter().any(|symbol| old.contains(symbol))
        };
        self.staleness.watch_anew(&watches, is_kept, now.market);
        for (channel, symbols) in [(Channel::Quotes, &asked.quotes), (Channel::Trades, &asked.trades)] {
            if symbols.is_empty() {
                self.staleness.forget(channel);
            }
        }
        self.answer_by = None;
    }

    /// Tells an open connection what it was not asked for when it was made.
    pub(super) async fn say_what_is_wanted(&mut self, now: Moment) {
        let Some(session) = self.session.as_mut().filter(|_| self.is_outdated) else { return };
        self.is_outdated = false;
        let asked = self.plan.asked();
        let said = timeout(SAY_WITHIN, session.resubscribe(&asked)).await;
        let cause = match said {
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                tracing::warn!(stream = NAME, %error, "the stream ended");
                self.cause(&error)
            }
            Err(_) => {
                tracing::warn!(stream = NAME, "the stream takes no words of ours");
                Cause::Down
            }
        };
        self.fall(cause, now);
    }

    /// When the life of the connection has something to do. Where nothing is wanted, none is made.
    pub(super) fn opens_at(&self) -> Option<std::time::Instant> {
        let rests = matches!(self.life.phase(), Phase::Waiting { .. }) && self.plan.is_empty();
        self.life.deadline().filter(|_| !rests)
    }
}

fn symbols(of: &Subscription, channel: Channel) -> &[Symbol] {
    match channel {
        Channel::Bars => &of.bars,
        Channel::Quotes => &of.quotes,
        Channel::Trades => &of.trades,
    }
}
