//! A rebalance of a hundred symbols against the broker's own limiter.

use std::{sync::Arc, time::Duration};

use sandpit_broker::{Broker, BrokerError, Class, GateError, Permit, SendTerms};
use sandpit_faults::{Figures, Host, Lanes, Setup, Sim, millis, now};
use sandpit_types::{
    BrokerOrder, ClientOrderId, HostEpoch, OrderKind, OrderRequest, Qty, Side, StrategyName, Symbol,
    TimeInForce,
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::common::secs;

/// Market seconds a real one: a minute of the quota is six.
const SPEED: u32 = 10;
/// Symbols of the rebalance.
const COUNT: u8 = 100;

struct Always;

impl Permit for Always {
    fn check(&self) -> Result<(), GateError> {
        Ok(())
    }
}

/// Names of symbols: `QA`, `QB`, ... `ZZ` would be 260.
fn symbols() -> Vec<Symbol> {
    let name = |n: u8| format!("{}{}", char::from(b'Q' + n / 26), char::from(b'A' + n % 26));
    (0..COUNT).map(|n| Symbol::new(name(n))).collect()
}

/// What one host sends; every request is one slot of its budget.
struct Desk {
    host: Arc<Host>,
    strategy: StrategyName,
    epoch: HostEpoch,
    sent: u64,
}

impl Desk {
    fn request(&mut self, symbol: &Symbol, side: Side, kind: OrderKind) -> OrderRequest {
        self.sent += 1;
        let client_id =
            ClientOrderId { strategy: self.strategy.clone(), epoch: self.epoch, sequence: self.sent };
        let qty: Qty = "1".parse().expect("a number of shares");
        let (symbol, time_in_force) = (symbol.clone(), TimeInForce::Day);
        OrderRequest {
            client_id,
            symbol,
            side,
            qty,
            kind,
            time_in_force,
            extended_hours: false,
            class: sandpit_types::OrderClass::Simple,
        }
    }

    /// Sends all at once, as a strategy does whose weights have moved; the broker's answers.
    fn submit(&self, orders: Vec<OrderRequest>, class: Class) -> Vec<Result<BrokerOrder, BrokerError>> {
        let alpaca = self.host.alpaca.clone();
        self.host.on_thread(async move {
            let mut sending = JoinSet::new();
            for order in orders {
                let alpaca = alpaca.clone();
                let terms = SendTerms { class, deadline: None, permit: Arc::new(Always) };
                sending.spawn(async move { alpaca.submit(&order, terms).await });
            }
            sending.join_all().await
        })
    }

    /// Sends everything of a rebalance at the same time: cancels, sells, buys, and a question after each.
    fn rebalance(&mut self, resting: &[BrokerOrder], symbols: &[Symbol]) -> Vec<Result<(), BrokerError>> {
        let (sells, buys) = symbols.split_at(symbols.len() / 2);
        let sells =
            sells.iter().map(|symbol| (self.request(symbol, Side::Sell, OrderKind::Market), Class::Reduce));
        let mut orders: Vec<_> = sells.collect();
        orders.extend(
            buys.iter().map(|symbol| (self.request(symbol, Side::Buy, OrderKind::Market), Class::Enter)),
        );
        let (alpaca, ids) = (self.host.alpaca.clone(), resting.iter().map(|order| order.id.clone()));
        let ids: Vec<_> = ids.collect();
        self.host.on_thread(async move {
            let mut sending = JoinSet::new();
            for id in ids {
                let alpaca = alpaca.clone();
                sending.spawn(async move { alpaca.cancel(&id, None).await });
            }
            for (order, class) in orders {
                let (alpaca, client_id) = (alpaca.clone(), order.client_id.clone());
                sending.spawn(async move {
                    let terms = SendTerms { class, deadline: None, permit: Arc::new(Always) };
                    alpaca.submit(&order, terms).await?;
                    alpaca.order_by_client_id(&client_id).await.map(drop)
                });
            }
            sending.join_all().await
        })
    }
}

/// A hundred symbols are bought; then fifty resting orders are cancelled, fifty positions sold and fifty
/// bought, each order asked after, all at once while prices jump: 450 requests against 200 a minute.
#[test]
fn rebalance_of_100_symbols_no_429() {
    let symbols = symbols();
    let names = symbols.iter().map(Symbol::as_str).collect::<Vec<_>>();
    let sim = Sim::in_session(&["--seed", "61", "--symbols", &names.join(",")], secs(300), SPEED);
    let lanes = Lanes::to(&sim);
    let setup = Setup { canary: None, ..Setup::new(&sim, &names[..5], 61) };
    let host = Arc::new(Host::with_orders(&sim, &lanes, &setup));
    host.live();
    let began = (now(), sim.clock().0);
    let strategy = StrategyName::new("rebalance");
    let mut desk = Desk { host: host.clone(), strategy, epoch: HostEpoch(61), sent: 0 };
    let buys = symbols.iter().map(|symbol| desk.request(symbol, Side::Buy, OrderKind::Market)).collect();
    let bought = desk.submit(buys, Class::Enter);
    assert!(bought.iter().all(Result::is_ok), "{:?}", bought.iter().find(|order| order.is_err()));
    let low = OrderKind::Limit { limit_price: "1.00".parse().expect("a price") };
    let resting = symbols[50..].iter().map(|symbol| desk.request(symbol, Side::Buy, low)).collect();
    let resting: Vec<BrokerOrder> =
        desk.submit(resting, Class::Enter).into_iter().map(|order| order.expect("it rests")).collect();
    for (n, name) in (0_i32..).zip(&names) {
        sim.inject(&json!({"gap": {"symbol": name, "percent": 4 - n % 9}}));
    }
    let outcomes = desk.rebalance(&resting, &symbols);
    let took = (began.0.elapsed(), sim.clock().0.since(began.1));
    let requests = lanes.trading.requests(began.0, now()).len();
    let (refused, accepted) = (sim.figure("http_429"), sim.figure("orders_accepted"));
    Figures::of("rebalance_of_100_symbols_no_429")
        .and("requests", requests)
        .and("orders accepted", accepted)
        .and("answers of 429", refused)
        .and("took", millis(took.0))
        .and("market seconds", took.1.as_secs())
        .tell();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.is_err()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(refused, 0, "not one 429");
    assert_eq!(accepted, 250);
    let least = Duration::from_secs(60) * u32::try_from(requests / 200).expect("a few minutes");
    assert!(took.1 >= least.saturating_sub(secs(60)), "the broker's own limit holds");
}
