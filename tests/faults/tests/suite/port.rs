//! The trading port against the real simulator, without trouble: every kind and class of order, replacements,
//! lists with legs, activities.

use std::{future::Future, sync::Arc};

use sandpit_alpaca::{Alpaca, AlpacaConfig, Encoding, Secret};
use sandpit_broker::{Admission, Broker, BrokerError, Class, Gate, GateError, Permit, RateHint, SendTerms};
use sandpit_faults::Sim;
use sandpit_types::{
    BrokerOrder, BrokerOrderId, Change, ClientOrderId, Deed, Exit, HostEpoch, Leg, MarketTime, OrderClass,
    OrderKind, OrderRequest, OrderStatus, Price, Qty, Side, StopLoss, StrategyName, Symbol, TimeInForce,
    Trail,
};
use serde_json::json;

use crate::common::secs;

/// Quotes of a few symbols, two cents wide around 600 for SPY, and nothing that moves them.
const MARKET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../conformance/data/market.csv");

/// Lets everything out.
struct Open;

impl Gate for Open {
    fn acquire<'a>(&'a self, _: Class, _: Option<&'a StrategyName>, _: Option<MarketTime>) -> Admission<'a> {
        Box::pin(async { Ok(()) })
    }

    fn observe(&self, _: RateHint) {}
}

impl Permit for Open {
    fn check(&self) -> Result<(), GateError> {
        Ok(())
    }
}

/// The adapter and the simulator whose clock stands unless a test moves it.
struct Desk {
    sim: Sim,
    alpaca: Alpaca,
    runtime: tokio::runtime::Runtime,
    next: u64,
}

impl Desk {
    /// A minute after the open; SPY stands at 600.
    fn start() -> Self {
        let flags = ["--data", MARKET, "--sessions", "all", "--realism", "exact", "--cash", "1000000"];
        let sim = Sim::start(&[&flags[..], &["--rpm", "1000000", "--paused"]].concat());
        sim.set_clock(&json!({"advance_to": "2026-06-08T13:31:00Z"}));
        let authority = sim.address();
        let config = AlpacaConfig {
            trading_url: format!("http://{authority}"),
            data_url: format!("http://{authority}"),
            trading_stream_url: format!("ws://{authority}/stream"),
            data_stream_url: format!("ws://{authority}/v2/iex"),
            news_stream_url: None,
            encoding: Encoding::Json,
            feed: "iex".to_owned(),
            key_id: Secret::new("PORT"),
            secret: Secret::new("S"),
            timeout: secs(10),
        };
        let alpaca = Alpaca::new(config, Arc::new(Open), Arc::new(Open)).expect("loopback addresses");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let desk = Self { sim, alpaca, runtime: runtime.expect("a runtime"), next: 0 };
        desk.stand_at(600.0);
        desk
    }

    /// A second later, SPY is quoted and traded at this price.
    fn stand_at(&self, price: f64) {
        self.sim.set_clock(&json!({"advance": "1s"}));
        self.sim.inject(&json!({"quote": {"symbol": "SPY", "bid": price, "bid_size": 1000,
            "ask": price + 0.01, "ask_size": 1000}}));
        self.sim.inject(&json!({"trade": {"symbol": "SPY", "price": price, "size": 100}}));
        self.sim.set_clock(&json!({"advance": "1s"}));
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn id(&mut self) -> ClientOrderId {
        self.next += 1;
        ClientOrderId {
            strategy: StrategyName::parse("port").expect("a name"),
            epoch: HostEpoch(1),
            sequence: self.next,
        }
    }

    fn take(&mut self, side: Side, kind: OrderKind, class: OrderClass) -> BrokerOrder {
        let order = OrderRequest {
            client_id: self.id(),
            symbol: Symbol::new("SPY"),
            side,
            qty: qty("10"),
            kind,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class,
        };
        let taken = self.wait(self.alpaca.submit(&order, terms()));
        taken.unwrap_or_else(|error| panic!("{kind:?} {class:?}: {error}"))
    }

    fn replace(&mut self, old: &BrokerOrderId, change: Change) -> Result<BrokerOrder, BrokerError> {
        let by = self.id();
        self.wait(self.alpaca.replace(old, &by, &change, terms()))
    }

    fn order(&self, id: &BrokerOrderId) -> BrokerOrder {
        self.wait(self.alpaca.order(id, Class::Reduce)).expect("a known order")
    }

    /// Ids of the open orders, each with those of its legs.
    fn open(&self) -> Vec<(BrokerOrderId, Vec<BrokerOrderId>)> {
        let open = self.wait(self.alpaca.open_orders()).expect("a list");
        let ids = |legs: &[BrokerOrder]| legs.iter().map(|leg| leg.id.clone()).collect();
        open.iter().map(|order| (order.id.clone(), ids(&order.legs))).collect()
    }

    fn cancel(&self, id: &BrokerOrderId) {
        self.wait(self.alpaca.cancel(id, None)).expect("an open order");
        self.sim.set_clock(&json!({"advance": "1s"}));
    }
}

fn terms() -> SendTerms {
    SendTerms { class: Class::Enter, deadline: None, permit: Arc::new(Open) }
}

fn price(text: &str) -> Price {
    text.parse().expect("a price")
}

fn qty(text: &str) -> Qty {
    text.parse().expect("a quantity")
}

fn limit(text: &str) -> OrderKind {
    OrderKind::Limit { limit_price: price(text) }
}

fn legs(order: &BrokerOrder) -> Vec<(Leg, OrderStatus)> {
    order.legs.iter().map(|leg| (leg.leg(), leg.status.clone())).collect()
}

const LOSS: &str = "550";

fn stop_loss() -> StopLoss {
    StopLoss { stop_price: price(LOSS), limit_price: Some(price("549")) }
}

#[test]
fn every_kind_is_taken_and_shown_with_its_prices() {
    let mut desk = Desk::start();
    let (stop_price, limit_price) = (price("650"), price("651"));
    let percent = "1.5".parse().expect("a number");
    for (kind, stop) in [
        (OrderKind::Stop { stop_price }, Some(stop_price)),
        (OrderKind::StopLimit { stop_price, limit_price }, Some(stop_price)),
        (OrderKind::TrailingStop { trail: Trail::Price(price("2")) }, Some(price("602"))),
        (OrderKind::TrailingStop { trail: Trail::Percent(percent) }, Some(price("609"))),
        (limit("500"), None),
    ] {
        let taken = desk.take(Side::Buy, kind, OrderClass::Simple);
        let shown = desk.order(&taken.id);
        assert_eq!((shown.limit_price, shown.stop_price), (kind.limit_price(), stop), "{kind:?}");
        assert_eq!((&shown.status, &shown.client_id), (&OrderStatus::New, &taken.client_id));
        assert_eq!(desk.open(), [(taken.id.clone(), Vec::new())]);
        desk.cancel(&taken.id);
    }
    let bought = desk.take(Side::Buy, OrderKind::Market, OrderClass::Simple);
    assert_eq!(desk.order(&bought.id).status, OrderStatus::Filled);
}

#[test]
fn legs_are_found_in_every_stage_of_a_bracket() {
    let mut desk = Desk::start();
    let class = OrderClass::Bracket { take_profit: price("650"), stop_loss: stop_loss() };
    let entry = desk.take(Side::Buy, limit("590"), class);
    let held = |leg| (leg, OrderStatus::Held);
    assert_eq!(legs(&entry), [held(Leg::TakeProfit), held(Leg::StopLoss)], "the answer shows them");
    let [profit, loss] = [0, 1].map(|leg| entry.legs[leg].id.clone());
    let both = vec![profit.clone(), loss.clone()];
    let row = |id: &BrokerOrderId| (id.clone(), Vec::new());
    assert_eq!(desk.open(), [(entry.id.clone(), both.clone()), row(&profit), row(&loss)]);

    desk.stand_at(589.0);
    let filled = desk.order(&entry.id);
    assert_eq!(filled.status, OrderStatus::Filled);
    assert_eq!(legs(&filled), [(Leg::TakeProfit, OrderStatus::New), held(Leg::StopLoss)]);
    assert_eq!(desk.open(), [row(&profit), row(&loss)], "the entry is over, both of its legs are not");

    let change = Change { stop_price: Some(price("560")), ..Change::default() };
    let new = desk.replace(&loss, change).expect("taken");
    assert_eq!((new.stop_price, new.replaces.as_ref()), (Some(price("560")), Some(&loss)));
    let old = desk.order(&loss);
    assert_eq!((old.status, old.replaced_by.as_ref()), (OrderStatus::Replaced, Some(&new.id)));
    assert_eq!(desk.open(), [row(&profit), row(&new.id)], "the new leg hangs on the same entry");
    let many = desk.replace(&profit, Change { qty: Some(qty("5")), ..Change::default() });
    assert!(matches!(many, Err(BrokerError::Rejected { http_status: 422, .. })), "{many:?}");

    desk.stand_at(651.0);
    let over = desk.order(&entry.id);
    assert_eq!(legs(&over), [(Leg::TakeProfit, OrderStatus::Filled), (Leg::StopLoss, OrderStatus::Canceled)]);
    assert_eq!(desk.open(), []);
    let all = desk.wait(desk.alpaca.orders_since(entry.submitted_at)).expect("a list");
    assert_eq!(all.len(), 4, "the entry, its legs and the new stop-loss: {all:?}");
    assert_eq!(all[0].legs.len(), 2);
}

#[test]
fn oco_and_oto_show_the_one_leg() {
    let mut desk = Desk::start();
    desk.take(Side::Buy, OrderKind::Market, OrderClass::Simple);
    let oco = desk.take(Side::Sell, limit("650"), OrderClass::Oco { stop_loss: stop_loss() });
    assert_eq!(oco.limit_price, Some(price("650")), "the order is its take-profit");
    assert_eq!(legs(&oco), [(Leg::StopLoss, OrderStatus::Held)]);
    let leg = oco.legs[0].id.clone();
    assert_eq!(desk.open(), [(oco.id.clone(), vec![leg.clone()]), (leg, Vec::new())]);
    desk.cancel(&oco.id);
    assert_eq!(desk.open(), []);

    for exit in [Exit::TakeProfit(price("650")), Exit::StopLoss(stop_loss())] {
        let entry = desk.take(Side::Buy, OrderKind::Market, OrderClass::Oto(exit));
        let filled = desk.order(&entry.id);
        assert_eq!(filled.status, OrderStatus::Filled);
        assert_eq!((filled.legs.len(), &filled.legs[0].status), (1, &OrderStatus::New), "{exit:?}");
        let leg = filled.legs[0].id.clone();
        assert_eq!(desk.open(), [(leg.clone(), Vec::new())]);
        desk.cancel(&leg);
    }
}

#[test]
fn a_replacement_carries_the_fills_on_and_activities_tell_them() {
    let mut desk = Desk::start();
    let began = desk.sim.clock().0;
    let old = desk.take(Side::Buy, limit("590"), OrderClass::Simple);
    desk.sim.inject(&json!({"quote": {"symbol": "SPY", "bid": 589.0, "bid_size": 4,
        "ask": 590.0, "ask_size": 4}}));
    desk.sim.set_clock(&json!({"advance": "1s"}));
    let partly = desk.order(&old.id);
    assert_eq!((partly.filled_qty, &partly.status), (qty("4"), &OrderStatus::PartiallyFilled));

    let change = Change { qty: Some(qty("6")), limit_price: Some(price("595")), stop_price: None };
    let new = desk.replace(&old.id, change).expect("taken");
    assert_eq!(
        (new.filled_qty, new.qty),
        (qty("4"), Some(qty("6"))),
        "what is filled is part of the new one"
    );
    desk.stand_at(594.0);
    assert_eq!(desk.order(&new.id).status, OrderStatus::Filled);
    let gone = desk.replace(&old.id, change);
    assert!(matches!(gone, Err(BrokerError::Rejected { http_status: 422, .. })), "{gone:?}");
    let nowhere = BrokerOrderId::new("b0b6dd9d-8b9b-48a9-ba46-b9d54906e415");
    let unknown = desk.replace(&nowhere, change);
    assert!(matches!(unknown, Err(BrokerError::Rejected { http_status: 404, .. })), "{unknown:?}");

    let rows = desk.wait(desk.alpaca.activities(began)).expect("rows");
    let told = rows.iter().map(|row| match &row.deed {
        Deed::Fill { order, qty, cumulative, .. } => (order.clone(), *qty, *cumulative),
        Deed::Other { .. } => panic!("{row:?}"),
    });
    let (first, second) = ((old.id, qty("4"), qty("4")), (new.id, qty("2"), qty("6")));
    assert_eq!(told.collect::<Vec<_>>(), [first, second]);
    let later = desk.wait(desk.alpaca.activities(rows[1].time)).expect("rows");
    assert_eq!(later, rows[1..]);
    assert_eq!(desk.alpaca.oddities(), sandpit_alpaca::OddityCounts::default());
}

/// More rows than a page has.
#[test]
fn pages_of_orders_and_activities_come_whole() {
    let mut desk = Desk::start();
    let began = desk.sim.clock().0;
    for _ in 0..130 {
        desk.take(Side::Buy, OrderKind::Market, OrderClass::Simple);
        desk.stand_at(600.0);
    }
    let rows = desk.wait(desk.alpaca.activities(began)).expect("rows");
    assert_eq!(rows.len(), 130);
    assert!(rows.is_sorted_by(|a, b| a.id < b.id && a.time <= b.time));
    let orders = desk.wait(desk.alpaca.orders_since(began)).expect("a list");
    assert_eq!(orders.len(), 130);
    assert_eq!(desk.open(), []);
}
