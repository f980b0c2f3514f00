//! The broker, call by call.

use std::{sync::atomic::AtomicI64, time::Duration};

use sandpit_broker::{Broker, BrokerError, Class, GateError, Permit, SendTerms};
use sandpit_types::{
    Activity, Bar, BrokerOrder, BrokerOrderId, Change, ClientOrderId, Deed, Exit, HostEpoch, Leg, MarketTime,
    OrderClass, OrderKind, OrderRequest, OrderStatus, Price, Qty, Quote, Side, StopLoss, StrategyName,
    TimeInForce, Trade, TradeEvent, Trail,
};

use super::*;

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
    let broker = LocalBroker::new(VenueConfig::default(), std::slice::from_ref(&spy), clock);
    let quote =
        Quote { symbol: spy.clone(), time: now, bid: 167.4, bid_size: 500, ask: 167.41, ask_size: 500 };
    broker.on_market(&[MarketEvent::Quote(quote)]);
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
        class: OrderClass::Simple,
    };
    let terms = SendTerms { class: Class::Enter, deadline: None, permit: Arc::new(LocalPermit) };
    broker.submit(&order, terms.clone()).await.expect("taken");
    let twin = broker.submit(&order, terms).await;
    assert!(matches!(twin, Err(BrokerError::Rejected { .. })), "a client id is used once: {twin:?}");

    let found = broker.order_by_client_id(&client_id).await.expect("known");
    assert_eq!(found.status, OrderStatus::Filled);
    let mut session = OrderFeed::open(&broker).await.expect("never fails");
    let mut seen = Vec::new();
    while seen.last() != Some(&TradeEvent::Fill) {
        seen.extend(session.next().await.expect("never breaks").map(|update| update.event));
    }
    assert!(seen.contains(&TradeEvent::New), "{seen:?}");
    let held = broker.positions().await.expect("readable");
    assert_eq!(held.iter().map(|held| held.qty.to_string()).collect::<Vec<_>>(), ["10"]);
}

#[tokio::test]
async fn what_a_bar_shows_is_for_sale_once() {
    let start = MarketTime::parse("2013-10-07T14:00:00Z").expect("a time");
    let spy = Symbol::new("SPY");
    let minute = Duration::from_secs(60);
    let clock = Arc::new(Fixed(AtomicI64::new((start + minute).as_nanos())));
    let broker = LocalBroker::new(VenueConfig::default(), std::slice::from_ref(&spy), clock);
    let bar = |start, close| {
        let symbol = spy.clone();
        Bar { symbol, start, open: close, high: close, low: close, close, volume: 100, vwap: close }
    };
    broker.on_market(&[MarketEvent::Bar(bar(start, 167.4))]);
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
        class: OrderClass::Simple,
    };
    let terms = SendTerms { class: Class::Enter, deadline: None, permit: Arc::new(LocalPermit) };
    broker.submit(&order, terms).await.expect("taken");
    let filled = async || broker.order_by_client_id(&client_id).await.expect("known").filled_qty;
    let first = filled().await;
    assert!(first.is_positive() && first < order.qty, "{first}");
    broker.on_market(&[MarketEvent::MarkedBar(bar(start, 167.5), BarMark::Corrected)]);
    assert_eq!(filled().await, first);
    broker.on_market(&[MarketEvent::MarkedBar(bar(start + minute, 167.5), BarMark::Late)]);
    assert!(filled().await > first);
}

/// A broker at which SPY stands at 167.40 and a position of ten shares is held, bought under number 1.
struct Played {
    broker: LocalBroker,
    spy: Symbol,
    clock: Arc<Fixed>,
}

impl Played {
    async fn new() -> Self {
        let now = MarketTime::parse("2013-10-07T14:00:00Z").expect("a time");
        let clock = Arc::new(Fixed(AtomicI64::new(now.as_nanos())));
        let spy = Symbol::new("SPY");
        let played = Self {
            broker: LocalBroker::new(VenueConfig::default(), std::slice::from_ref(&spy), clock.clone()),
            spy,
            clock,
        };
        played.quote(167.4);
        played.take(1, Side::Buy, OrderKind::Market, OrderClass::Simple).await;
        played
    }

    /// A second later, a quote around this price and a trade at it.
    fn quote(&self, price: f64) {
        let symbol = &self.spy;
        let time = self.clock.now() + Duration::from_secs(1);
        self.clock.0.store(time.as_nanos(), std::sync::atomic::Ordering::Relaxed);
        let (bid, ask) = (price, price + 0.01);
        self.broker.on_market(&[
            MarketEvent::Quote(Quote {
                symbol: symbol.clone(),
                time,
                bid,
                bid_size: 500,
                ask,
                ask_size: 500,
            }),
            MarketEvent::Trade(Trade { symbol: symbol.clone(), time, price, size: 100 }),
        ]);
    }

    fn id(sequence: u64) -> ClientOrderId {
        let strategy = StrategyName::parse("a").expect("a name");
        ClientOrderId { strategy, epoch: HostEpoch(1), sequence }
    }

    fn terms() -> SendTerms {
        SendTerms { class: Class::Enter, deadline: None, permit: Arc::new(LocalPermit) }
    }

    async fn take(&self, number: u64, side: Side, kind: OrderKind, class: OrderClass) -> BrokerOrder {
        let order = OrderRequest {
            client_id: Self::id(number),
            symbol: self.spy.clone(),
            side,
            qty: "10".parse().expect("a number"),
            kind,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class,
        };
        self.broker.submit(&order, Self::terms()).await.expect("taken")
    }
}

fn price(text: &str) -> Price {
    text.parse().expect("a price")
}

/// An id that nobody has.
fn nowhere() -> BrokerOrderId {
    BrokerOrderId::new("b0b6dd9d-8b9b-48a9-ba46-b9d54906e415")
}

/// Legs with their prices and states.
fn legs(order: &BrokerOrder) -> Vec<(Leg, Option<Price>, OrderStatus)> {
    let legs = order.legs.iter();
    legs.map(|leg| (leg.leg(), leg.stop_price.or(leg.limit_price), leg.status.clone())).collect()
}

#[tokio::test]
async fn every_kind_and_class_is_taken_with_its_prices() {
    let played = Played::new().await;
    let (stop_price, limit_price) = (price("160"), price("159"));
    let check = async |number, kind, stop: Option<&str>| {
        let order = played.take(number, Side::Sell, kind, OrderClass::Simple).await;
        assert_eq!((order.status.clone(), order.stop_price), (OrderStatus::New, stop.map(price)), "{kind:?}");
        assert_eq!(order.limit_price, kind.limit_price());
        played.broker.cancel(&order.id, None).await.expect("open");
    };
    check(2, OrderKind::Stop { stop_price }, Some("160")).await;
    check(3, OrderKind::StopLimit { stop_price, limit_price }, Some("160")).await;
    check(4, OrderKind::TrailingStop { trail: Trail::Price(price("2")) }, Some("165.4")).await;
    let percent = Trail::Percent("10".parse().expect("a number"));
    check(5, OrderKind::TrailingStop { trail: percent }, Some("150.66")).await;

    let loss = StopLoss { stop_price, limit_price: None };
    let oco = OrderKind::Limit { limit_price: price("170") };
    let oco = played.take(6, Side::Sell, oco, OrderClass::Oco { stop_loss: loss }).await;
    assert_eq!(legs(&oco), [(Leg::StopLoss, Some(stop_price), OrderStatus::Held)]);
    let open = played.broker.open_orders().await.expect("orders");
    assert_eq!(
        open.iter().map(|order| order.legs.len()).collect::<Vec<_>>(),
        [1, 0],
        "the leg is a row, too"
    );
    played.broker.cancel(&oco.id, None).await.expect("open");
    assert!(played.broker.open_orders().await.expect("orders").is_empty(), "its leg goes with it");
    for (number, exit) in [(7, Exit::TakeProfit(price("180"))), (8, Exit::StopLoss(loss))] {
        let entry = OrderKind::Limit { limit_price: price("165") };
        let oto = played.take(number, Side::Buy, entry, OrderClass::Oto(exit)).await;
        assert_eq!(oto.legs.len(), 1, "{exit:?}");
    }
}

#[tokio::test]
async fn the_exits_of_a_bracket_work_once_it_has_filled() {
    let played = Played::new().await;
    let stop_loss = StopLoss { stop_price: price("160"), limit_price: Some(price("159")) };
    let class = OrderClass::Bracket { take_profit: price("170"), stop_loss };
    let entry = OrderKind::Limit { limit_price: price("166") };
    let entry = played.take(2, Side::Buy, entry, class).await;
    let held = |leg, at| (leg, Some(price(at)), OrderStatus::Held);
    assert_eq!(legs(&entry), [held(Leg::TakeProfit, "170"), held(Leg::StopLoss, "160")]);

    played.quote(165.9);
    let filled = played.broker.order(&entry.id, Class::Reduce).await.expect("known");
    assert_eq!(filled.status, OrderStatus::Filled);
    let working = (Leg::TakeProfit, Some(price("170")), OrderStatus::New);
    assert_eq!(legs(&filled), [working.clone(), held(Leg::StopLoss, "160")]);
    let by_client_id = played.broker.order_by_client_id(&Played::id(2)).await.expect("known");
    assert_eq!(by_client_id, filled);

    // The stop-loss is replaced: whoever names the old one names the new one.
    let old = filled.legs[1].id.clone();
    let change = Change { stop_price: Some(price("161")), ..Change::default() };
    let new = played.broker.replace(&old, &Played::id(3), &change, Played::terms()).await.expect("taken");
    assert_eq!((new.ours(), new.replaces.clone()), (Some(Played::id(3)), Some(old.clone())));
    let replaced = played.broker.order(&old, Class::Reduce).await.expect("known");
    assert_eq!((replaced.status, replaced.replaced_by), (OrderStatus::Replaced, Some(new.id.clone())));
    let filled = played.broker.order(&entry.id, Class::Reduce).await.expect("known");
    assert_eq!(legs(&filled), [working, held(Leg::StopLoss, "161")]);

    played.quote(170.0);
    let over = played.broker.order(&entry.id, Class::Reduce).await.expect("known");
    let states: Vec<_> = over.legs.iter().map(|leg| leg.status.clone()).collect();
    assert_eq!(states, [OrderStatus::Filled, OrderStatus::Canceled]);
    let all = played.broker.orders_since(MarketTime::EPOCH).await.expect("orders");
    assert_eq!(all.len(), 1 + 3 + 1, "the first one, the bracket, the new stop-loss");
    let later = played.broker.orders_since(new.submitted_at).await.expect("orders");
    assert_eq!(later.iter().map(|order| &order.id).collect::<Vec<_>>(), [&new.id]);
}

struct Never;

impl Permit for Never {
    fn check(&self) -> Result<(), GateError> {
        Err(GateError::NoLease)
    }
}

#[tokio::test]
async fn what_cannot_be_replaced_is_refused() {
    let played = Played::new().await;
    let limit = OrderKind::Limit { limit_price: price("160") };
    let old = played.take(2, Side::Buy, limit, OrderClass::Simple).await;
    let replace = async |id: &_, change: Change, terms| {
        played.broker.replace(id, &Played::id(3), &change, terms).await.map(|order| order.limit_price)
    };
    let lower = Change {
        limit_price: Some(price("159")),
        qty: Some("12".parse().expect("a number")),
        ..Change::default()
    };
    let never = SendTerms { permit: Arc::new(Never), ..Played::terms() };
    let held_back = replace(&old.id, lower, never).await;
    assert!(matches!(held_back, Err(BrokerError::NotSent(GateError::NoLease))), "{held_back:?}");
    let unknown = replace(&nowhere(), lower, Played::terms()).await;
    assert!(matches!(unknown, Err(BrokerError::Rejected { http_status: 404, .. })), "{unknown:?}");
    let stop = Change { stop_price: Some(price("150")), ..Change::default() };
    let wrong = replace(&old.id, stop, Played::terms()).await;
    assert!(matches!(wrong, Err(BrokerError::Rejected { http_status: 422, .. })), "{wrong:?}");
    assert_eq!(replace(&old.id, lower, Played::terms()).await.expect("taken"), Some(price("159")));
    let twice = replace(&old.id, lower, Played::terms()).await;
    assert!(matches!(twice, Err(BrokerError::Rejected { http_status: 422, .. })), "{twice:?}");
    let gone = played.broker.order(&nowhere(), Class::Reduce).await;
    assert!(matches!(gone, Err(BrokerError::NotFound { .. })), "{gone:?}");
}

#[tokio::test]
async fn activities_are_the_executions_oldest_first() {
    let played = Played::new().await;
    let bought = played.broker.order_by_client_id(&Played::id(1)).await.expect("known");
    played.quote(168.0);
    let sold = played.take(2, Side::Sell, OrderKind::Market, OrderClass::Simple).await;
    let rows = played.broker.activities(MarketTime::EPOCH).await.expect("rows");
    let told = |row: &Activity| match &row.deed {
        Deed::Fill { order, side, qty, price, cumulative, .. } => {
            (order.clone(), *side, qty.to_string(), price.to_string(), *cumulative)
        }
        Deed::Other { .. } => panic!("{row:?}"),
    };
    let ten: Qty = "10".parse().expect("a number");
    let row =
        |order: &BrokerOrder, side, price: &str| (order.id.clone(), side, "10".into(), price.into(), ten);
    let expected = [row(&bought, Side::Buy, "167.41"), row(&sold, Side::Sell, "168")];
    assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(played.broker.activities(rows[1].time).await.expect("rows"), rows[1..]);
}
