//! The broker of a dry run: real market data, fills from the in-process venue, nothing leaves the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandpit_broker::{Broker, BrokerError, OrderFeed, OrderSession, SendTerms, StreamError};
use sandpit_types::{
    Account, Activity, BarMark, BrokerOrder, BrokerOrderId, Change, ClientOrderId, Clock, MarketClock,
    MarketEvent, MarketTime, OrderKind, OrderRequest, Position, SessionDay, StrategyName, Symbol,
    TimeInForce, TradeUpdate,
};
use sandpit_venue::{
    Amount, Calendar, Class as OrderClass, NewOrder, Realism, Venue, VenueConfig, VenueEvent, VenueOrder,
    VenuePosition,
};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

/// Updates that may wait for the desk. More are dropped, and found again by the desk's own polling.
const UPDATES: usize = 4_096;

/// An in-process venue behind the broker port.
#[derive(Clone)]
pub(crate) struct DryRun {
    venue: Arc<Mutex<Venue>>,
    calendar: Arc<Calendar>,
    clock: Arc<dyn MarketClock>,
    sender: mpsc::Sender<TradeUpdate>,
    receiver: Arc<AsyncMutex<mpsc::Receiver<TradeUpdate>>>,
}

impl DryRun {
    /// A fresh account with the venue's default cash.
    pub(crate) fn new(symbols: &[Symbol], clock: Arc<dyn MarketClock>, seed: u64) -> Self {
        let config = VenueConfig { seed, realism: Realism::exact(), ..VenueConfig::default() };
        let venue = Arc::new(Mutex::new(Venue::new(config, symbols, clock.now())));
        let (sender, receiver) = mpsc::channel(UPDATES);
        let receiver = Arc::new(AsyncMutex::new(receiver));
        Self { venue, calendar: Arc::new(Calendar::nyse()), clock, sender, receiver }
    }

    /// Lets the market move the venue. A late bar is a bar to it: it looks at the time itself, and an older
    /// one moves no price. One corrected has been for sale already: shown anew, it would be so twice.
    pub(crate) fn on_market(&self, events: &[MarketEvent]) {
        let mut venue = self.lock();
        for event in events {
            match event {
                MarketEvent::MarkedBar(bar, BarMark::Late) => {
                    venue.on_market(&MarketEvent::Bar(bar.clone()));
                }
                MarketEvent::MarkedBar(_, BarMark::Corrected) => {}
                event => venue.on_market(event),
            }
            self.pass_on(&mut venue);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Venue> {
        self.venue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> MutexGuard<'_, Venue> {
        let mut venue = self.lock();
        venue.advance(self.clock.now());
        self.pass_on(&mut venue);
        venue
    }

    fn pass_on(&self, venue: &mut Venue) {
        for event in venue.drain_events() {
            // A full queue drops the update: the desk polls its open orders and finds out.
            let _ = self.sender.try_send(update(event));
        }
    }
}

impl Broker for DryRun {
    async fn submit(&self, order: &OrderRequest, terms: SendTerms) -> Result<BrokerOrder, BrokerError> {
        terms.permit.check()?;
        let new = NewOrder {
            client_order_id: Some(order.client_id.to_string()),
            symbol: order.symbol.clone(),
            side: order.side,
            amount: Amount::Qty(order.qty),
            kind: kind(order.kind),
            time_in_force: time_in_force(order.time_in_force),
            extended_hours: order.extended_hours,
            class: OrderClass::Simple,
            position_intent: None,
        };
        let mut venue = self.now();
        let id = venue.submit(new, self.clock.now()).map_err(|reject| rejected(reject.http()))?;
        let taken = venue.order(&id).map(broker_order);
        self.pass_on(&mut venue);
        taken.ok_or_else(|| BrokerError::OutcomeUnknown { message: format!("the venue lost order {id}") })
    }

    async fn cancel(&self, id: &BrokerOrderId, _: Option<&StrategyName>) -> Result<(), BrokerError> {
        let mut venue = self.now();
        let result = venue.cancel(id, self.clock.now());
        self.pass_on(&mut venue);
        result.map_err(|reject| rejected(reject.http()))
    }

    async fn replace(
        &self,
        _: &BrokerOrderId,
        _: &ClientOrderId,
        _: &Change,
        _: SendTerms,
    ) -> Result<BrokerOrder, BrokerError> {
        Err(BrokerError::Unavailable { message: "FOUNDATION".into() })
    }

    async fn order(&self, _: &BrokerOrderId) -> Result<BrokerOrder, BrokerError> {
        Err(BrokerError::Unavailable { message: "FOUNDATION".into() })
    }

    async fn orders_since(&self, _: MarketTime) -> Result<Vec<BrokerOrder>, BrokerError> {
        Ok(Vec::new())
    }

    async fn activities(&self, _: MarketTime) -> Result<Vec<Activity>, BrokerError> {
        Ok(Vec::new())
    }

    async fn order_by_client_id(&self, id: &ClientOrderId) -> Result<BrokerOrder, BrokerError> {
        let venue = self.now();
        let not_found = || BrokerError::NotFound { message: format!("order not found for {id}") };
        venue.by_client_id(&id.to_string()).map(broker_order).ok_or_else(not_found)
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerError> {
        Ok(self.now().open_orders().map(broker_order).collect())
    }

    async fn positions(&self) -> Result<Vec<Position>, BrokerError> {
        Ok(self.now().positions().map(position).collect())
    }

    async fn account(&self) -> Result<Account, BrokerError> {
        let account = self.now().account();
        Ok(Account {
            equity: account.equity,
            last_equity: account.last_equity,
            cash: account.cash,
            buying_power: account.buying_power,
            trading_blocked: account.suspended,
        })
    }

    async fn clock(&self) -> Result<Clock, BrokerError> {
        let now = self.clock.now();
        let calendar = &self.calendar;
        Ok(Clock {
            now,
            is_open: calendar.is_open(now),
            next_open: calendar.next_open(now),
            next_close: calendar.next_close(now),
        })
    }

    async fn calendar(&self, from: MarketTime, to: MarketTime) -> Result<Vec<SessionDay>, BrokerError> {
        let days = self.calendar.sessions(self.calendar.date(from), self.calendar.date(to));
        Ok(days.map(|day| SessionDay { open: day.open, close: day.close }).collect())
    }
}

fn rejected((http_status, code, message): (u16, Option<i64>, String)) -> BrokerError {
    if http_status == 404 {
        BrokerError::NotFound { message }
    } else {
        BrokerError::Rejected { http_status, code, message }
    }
}

fn position(held: VenuePosition) -> Position {
    Position {
        symbol: held.symbol,
        qty: held.qty,
        qty_available: held.qty_available,
        avg_entry_price: held.avg_entry_price,
        current_price: Some(held.current_price),
    }
}

fn broker_order(order: &VenueOrder) -> BrokerOrder {
    BrokerOrder {
        id: order.id.clone(),
        client_id: order.client_order_id.to_string(),
        symbol: order.symbol.clone(),
        side: order.side,
        qty: order.qty(),
        filled_qty: order.filled_qty,
        filled_avg_price: order.filled_avg_price(),
        limit_price: order.limit_price,
        stop_price: None,
        replaces: None,
        replaced_by: None,
        legs: Vec::new(),
        status: order.state.into(),
        submitted_at: order.submitted_at,
        updated_at: order.updated_at,
    }
}

const fn kind(kind: OrderKind) -> sandpit_venue::OrderKind {
    match kind {
        OrderKind::Market => sandpit_venue::OrderKind::Market,
        OrderKind::Limit { limit_price } => sandpit_venue::OrderKind::Limit { limit_price },
        OrderKind::Stop { .. } | OrderKind::StopLimit { .. } | OrderKind::TrailingStop { .. } => {
            sandpit_venue::OrderKind::Market // FOUNDATION
        }
    }
}

const fn time_in_force(time_in_force: TimeInForce) -> sandpit_venue::TimeInForce {
    match time_in_force {
        TimeInForce::Day => sandpit_venue::TimeInForce::Day,
        TimeInForce::Gtc => sandpit_venue::TimeInForce::Gtc,
        TimeInForce::Ioc => sandpit_venue::TimeInForce::Ioc,
        TimeInForce::Fok => sandpit_venue::TimeInForce::Fok,
    }
}

fn update(event: VenueEvent) -> TradeUpdate {
    TradeUpdate {
        event: event.kind.into(),
        execution_id: event.execution_id,
        price: event.price,
        qty: event.qty,
        time: event.time,
        order: broker_order(&event.order),
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

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicI64, time::Duration};

    use sandpit_broker::Class;
    use sandpit_types::{Bar, HostEpoch, OrderStatus, Qty, Quote, Side, StrategyName, TradeEvent};

    use super::*;
    use crate::permit::DryRunPermit;

    struct Fixed(AtomicI64);

    impl MarketClock for Fixed {
        fn now(&self) -> MarketTime {
            MarketTime::from_nanos(self.0.load(std::sync::atomic::Ordering::Relaxed))
        }

        fn real_until(&self, at: MarketTime) -> Duration {
            at.since(self.now())
        }
    }

    #[tokio::test]
    async fn an_order_fills_at_the_quote_and_the_stream_says_so() {
        let now = MarketTime::parse("2013-10-07T14:00:00Z").expect("a time");
        let spy = Symbol::new("SPY");
        let clock = Arc::new(Fixed(AtomicI64::new(now.as_nanos())));
        let dry = DryRun::new(std::slice::from_ref(&spy), clock, 1);
        let quote =
            Quote { symbol: spy.clone(), time: now, bid: 167.4, bid_size: 500, ask: 167.41, ask_size: 500 };
        dry.on_market(&[MarketEvent::Quote(quote)]);
        let strategy = StrategyName::parse("a").expect("a name");
        let client_id = ClientOrderId { strategy, epoch: HostEpoch(1), sequence: 1 };
        let order = OrderRequest {
            client_id: client_id.clone(),
            symbol: spy,
            side: Side::Buy,
            qty: "10".parse::<Qty>().expect("a number"),
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class: sandpit_types::OrderClass::Simple,
        };
        let terms = SendTerms { class: Class::Enter, deadline: None, permit: Arc::new(DryRunPermit) };
        dry.submit(&order, terms.clone()).await.expect("taken");
        let twin = dry.submit(&order, terms).await;
        assert!(matches!(twin, Err(BrokerError::Rejected { .. })), "a client id is used once: {twin:?}");

        let found = dry.order_by_client_id(&client_id).await.expect("known");
        assert_eq!(found.status, OrderStatus::Filled);
        let mut session = OrderFeed::open(&dry).await.expect("never fails");
        let mut seen = Vec::new();
        while seen.last() != Some(&TradeEvent::Fill) {
            seen.extend(session.next().await.expect("never breaks").map(|update| update.event));
        }
        assert!(seen.contains(&TradeEvent::New), "{seen:?}");
        let held = dry.positions().await.expect("readable");
        assert_eq!(held.iter().map(|held| held.qty.to_string()).collect::<Vec<_>>(), ["10"]);
    }

    #[tokio::test]
    async fn what_a_bar_shows_is_for_sale_once() {
        let start = MarketTime::parse("2013-10-07T14:00:00Z").expect("a time");
        let spy = Symbol::new("SPY");
        let minute = Duration::from_secs(60);
        let clock = Arc::new(Fixed(AtomicI64::new((start + minute).as_nanos())));
        let dry = DryRun::new(std::slice::from_ref(&spy), clock, 1);
        let bar = |start, close| {
            let symbol = spy.clone();
            Bar { symbol, start, open: close, high: close, low: close, close, volume: 100, vwap: close }
        };
        dry.on_market(&[MarketEvent::Bar(bar(start, 167.4))]);
        let strategy = StrategyName::parse("a").expect("a name");
        let client_id = ClientOrderId { strategy, epoch: HostEpoch(1), sequence: 1 };
        let order = OrderRequest {
            client_id: client_id.clone(),
            symbol: spy.clone(),
            side: Side::Buy,
            qty: "500".parse::<Qty>().expect("a number"),
            kind: OrderKind::Limit { limit_price: "168".parse().expect("a price") },
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class: sandpit_types::OrderClass::Simple,
        };
        let terms = SendTerms { class: Class::Enter, deadline: None, permit: Arc::new(DryRunPermit) };
        dry.submit(&order, terms).await.expect("taken");
        let filled = async || dry.order_by_client_id(&client_id).await.expect("known").filled_qty;
        let first = filled().await;
        assert!(first.is_positive() && first < order.qty, "{first}");
        dry.on_market(&[MarketEvent::MarkedBar(bar(start, 167.5), BarMark::Corrected)]);
        assert_eq!(filled().await, first);
        dry.on_market(&[MarketEvent::MarkedBar(bar(start + minute, 167.5), BarMark::Late)]);
        assert!(filled().await > first);
    }
}
