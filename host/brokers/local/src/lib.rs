//! The broker in this process: fills from the venue, nothing leaves. A dry run feeds it real market data, a
//! backtest that of the past.
//!
//! `port` is the broker port over it, `words` its orders in the host's vocabulary, `ledger` what moved shares
//! or money.

#![forbid(unsafe_code)]

mod ledger;
mod port;
#[cfg(test)]
mod tests;
mod words;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandpit_broker::{GateError, OrderFeed, OrderSession, Permit, StreamError};
use sandpit_types::{BarMark, MarketClock, MarketEvent, Symbol, TradeUpdate};
use sandpit_venue::{Calendar, Venue, VenueConfig};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use self::ledger::Ledger;

/// Updates that may wait for the desk. More are dropped, and found again by the desk's own polling.
const UPDATES: usize = 4_096;

/// An in-process venue behind the broker port.
#[derive(Clone)]
pub struct LocalBroker {
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

impl LocalBroker {
    /// A fresh account of this kind, at which these symbols trade.
    pub fn new(config: VenueConfig, symbols: &[Symbol], clock: Arc<dyn MarketClock>) -> Self {
        let venue = Venue::new(config, symbols, clock.now());
        let account = Arc::new(Mutex::new(Account { venue, ledger: Ledger::default() }));
        let (sender, receiver) = mpsc::channel(UPDATES);
        let receiver = Arc::new(AsyncMutex::new(receiver));
        Self { account, calendar: Arc::new(Calendar::nyse()), clock, sender, receiver }
    }

    /// Trades these symbols, too, from now on.
    pub fn list(&self, symbols: &[Symbol]) {
        let mut account = self.lock();
        symbols.iter().for_each(|symbol| account.venue.list_symbol(symbol));
    }

    /// Lets the market move the venue. A late bar is a bar to it: it looks at the time itself, and an older
    /// one moves no price. One corrected has been for sale already: shown anew, it would be so twice.
    ///
    /// Whether anything happened to an order.
    pub fn on_market(&self, events: &[MarketEvent]) -> bool {
        let mut account = self.lock();
        let mut has_moved = false;
        for event in events {
            match event {
                MarketEvent::MarkedBar(bar, BarMark::Late) => {
                    account.venue.on_market(&MarketEvent::Bar(bar.clone()));
                }
                MarketEvent::MarkedBar(_, BarMark::Corrected) => {}
                event => account.venue.on_market(event),
            }
            has_moved |= self.pass_on(&mut account);
        }
        has_moved
    }

    /// Lets happen what falls due until now. Whether anything happened to an order.
    pub fn advance(&self) -> bool {
        let mut account = self.lock();
        account.venue.advance(self.clock.now());
        self.pass_on(&mut account)
    }

    /// The account as it stands at the time of the venue's newest event.
    pub fn reading(&self) -> sandpit_types::Account {
        port::reading(&self.lock().venue)
    }

    /// Asks the venue, as it stands at the time of its newest event.
    pub fn ask<T>(&self, question: impl FnOnce(&Venue) -> T) -> T {
        question(&self.lock().venue)
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

    fn pass_on(&self, account: &mut Account) -> bool {
        let mut has_moved = false;
        for event in account.venue.drain_events() {
            has_moved = true;
            account.ledger.on_event(&event);
            // A full queue drops the update: the desk polls its open orders and finds out.
            let _ = self.sender.try_send(words::update(event));
        }
        account.ledger.on_fees(account.venue.fees());
        has_moved
    }
}

impl OrderFeed for LocalBroker {
    type Session = LocalUpdates;

    async fn open(&self) -> Result<LocalUpdates, StreamError> {
        Ok(LocalUpdates(self.receiver.clone()))
    }
}

/// The venue's events as a stream that never breaks.
pub struct LocalUpdates(Arc<AsyncMutex<mpsc::Receiver<TradeUpdate>>>);

impl OrderSession for LocalUpdates {
    async fn next(&mut self) -> Result<Option<TradeUpdate>, StreamError> {
        let update = self.0.lock().await.recv().await;
        update.map(Some).ok_or_else(|| StreamError::Down { message: "the venue is gone".into() })
    }
}

/// Nothing leaves the process: there is nothing to ask.
pub struct LocalPermit;

impl Permit for LocalPermit {
    fn check(&self) -> Result<(), GateError> {
        Ok(())
    }
}
