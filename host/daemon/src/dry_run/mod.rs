//! The broker of a dry run: real market data, fills from the in-process venue, nothing leaves the process.
//!
//! `port` is the broker port over it, `words` its orders in the host's vocabulary, `ledger` what moved shares
//! or money.

mod ledger;
mod port;
#[cfg(test)]
mod tests;
mod words;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandpit_broker::{OrderFeed, OrderSession, StreamError};
use sandpit_types::{BarMark, MarketClock, MarketEvent, Symbol, TradeUpdate};
use sandpit_venue::{Calendar, Realism, Venue, VenueConfig};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use self::ledger::Ledger;

/// Updates that may wait for the desk. More are dropped, and found again by the desk's own polling.
const UPDATES: usize = 4_096;

/// An in-process venue behind the broker port.
#[derive(Clone)]
pub(crate) struct DryRun {
    account: Arc<Mutex<Account>>,
    calendar: Arc<Calendar>,
    clock: Arc<dyn MarketClock>,
    sender: mpsc::Sender<TradeUpdate>,
    receiver: Arc<AsyncMutex<mpsc::Receiver<TradeUpdate>>>,
}

/// The venue, and what moved shares or money there.
struct Account {
    venue: Venue,
    ledger: Ledger,
}

impl DryRun {
    /// A fresh account with the venue's default cash.
    pub(crate) fn new(symbols: &[Symbol], clock: Arc<dyn MarketClock>, seed: u64) -> Self {
        let config = VenueConfig { seed, realism: Realism::exact(), ..VenueConfig::default() };
        let venue = Venue::new(config, symbols, clock.now());
        let account = Arc::new(Mutex::new(Account { venue, ledger: Ledger::default() }));
        let (sender, receiver) = mpsc::channel(UPDATES);
        let receiver = Arc::new(AsyncMutex::new(receiver));
        Self { account, calendar: Arc::new(Calendar::nyse()), clock, sender, receiver }
    }

    /// Trades these symbols, too, from now on.
    pub(crate) fn list(&self, symbols: &[Symbol]) {
        let mut account = self.lock();
        symbols.iter().for_each(|symbol| account.venue.list_symbol(symbol));
    }

    /// Lets the market move the venue. A late bar is a bar to it: it looks at the time itself, and an older
    /// one moves no price. One corrected has been for sale already: shown anew, it would be so twice.
    pub(crate) fn on_market(&self, events: &[MarketEvent]) {
        let mut account = self.lock();
        for event in events {
            match event {
                MarketEvent::MarkedBar(bar, BarMark::Late) => {
                    account.venue.on_market(&MarketEvent::Bar(bar.clone()));
                }
                MarketEvent::MarkedBar(_, BarMark::Corrected) => {}
                event => account.venue.on_market(event),
            }
            self.pass_on(&mut account);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> MutexGuard<'_, Account> {
        let mut account = self.lock();
        account.venue.advance(self.clock.now());
        self.pass_on(&mut account);
        account
    }

    fn pass_on(&self, account: &mut Account) {
        for event in account.venue.drain_events() {
            account.ledger.on_event(&event);
            // A full queue drops the update: the desk polls its open orders and finds out.
            let _ = self.sender.try_send(words::update(event));
        }
        account.ledger.on_fees(account.venue.fees());
    }
}

impl OrderFeed for DryRun {
    type Session = DryRunUpdates;

    async fn open(&self) -> Result<DryRunUpdates, StreamError> {
        Ok(DryRunUpdates(self.receiver.clone()))
    }
}

/// The venue's events as a stream that never breaks.
pub(crate) struct DryRunUpdates(Arc<AsyncMutex<mpsc::Receiver<TradeUpdate>>>);

impl OrderSession for DryRunUpdates {
    async fn next(&mut self) -> Result<Option<TradeUpdate>, StreamError> {
        let update = self.0.lock().await.recv().await;
        update.map(Some).ok_or_else(|| StreamError::Down { message: "the dry run is over".into() })
    }
}
