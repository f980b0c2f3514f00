//! What an order costs in a backtest's desk: submitted, accepted, filled, and told of each.
//!
//! Prints `name value unit`, for other numbers of orders if they are given. The venue is the smallest there
//! can be, so nearly all of it is the desk's.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    hint::black_box,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use sandpit_broker::{
    Broker, BrokerError, Class, GateError, OrderFeed, OrderSession, Permit, SendTerms, StreamError,
};
use sandpit_cores::{orders::Books, reconcile::Standing};
use sandpit_execution::{DeskConfig, DeskInput, Review, StillDesk};
use sandpit_risk::{Approved, Gates, Limits, Situation};
use sandpit_types::{
    Account, Activity, BrokerOrder, BrokerOrderId, Change, ClientOrderId, Clock, ExecutionId, HostEpoch,
    Intent, MarketTime, OrderClass, OrderKind, OrderRequest, OrderStatus, Position, Price, Qty, Quote,
    Refusal, SessionDay, Side, StrategyName, StrategyOrderId, Submit, Symbol, TimeInForce, TradeEvent,
    TradeUpdate, Usd,
};
use tokio::time::Instant;

const SIZES: [u64; 3] = [1_000, 10_000, 100_000];
const ROUNDS: usize = 3;
const START: MarketTime = MarketTime::from_secs(1_381_152_600);
/// One order in this span of market time.
const EVERY: Duration = Duration::from_secs(6);

struct Always;

impl Permit for Always {
    fn check(&self) -> Result<(), GateError> {
        Ok(())
    }
}

/// The gates in a calm market.
struct Calm(Gates);

impl Review for Calm {
    fn review(
        &mut self,
        strategy: &StrategyName,
        submit: &Submit,
        _: Option<&ClientOrderId>,
        _: &Books,
        now: MarketTime,
    ) -> Result<Approved, Refusal> {
        let symbol = submit.symbol.clone();
        let rich = Some(Usd::new(1_000_000_000.into()));
        let situation = Situation {
            lease: true,
            reconciled: true,
            order_stream_up: true,
            session_open: true,
            quote: Some(Quote { symbol, time: now, bid: 99.99, bid_size: 1, ask: 100.01, ask_size: 1 }),
            equity: rich,
            buying_power: rich,
            position: Qty::new(100_000.into()),
            account_position: Qty::new(100_000.into()),
            ..Situation::default()
        };
        self.0.check(strategy, submit, &situation, now)
    }

    fn may_leave(&self, _: &StrategyName, _: &Submit, _: &Books, _: MarketTime) -> Result<(), Refusal> {
        Ok(())
    }

    fn account(&mut self, _: &Account, _: Standing, _: MarketTime) {}

    fn transfer(&mut self, _: Usd, _: MarketTime, _: MarketTime) {}

    fn quote(&self, _: &Symbol, _: MarketTime) -> Option<Quote> {
        None
    }
}

/// Takes every order and fills it at once.
#[derive(Clone, Default)]
struct Venue(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    orders: u64,
    held: Qty,
    cash: Usd,
    stream: VecDeque<TradeUpdate>,
}

const PRICE: Price = Price::new(rust_decimal::Decimal::ONE_HUNDRED);

impl State {
    fn take(&mut self, request: &OrderRequest) -> BrokerOrder {
        self.orders += 1;
        let shown = BrokerOrder {
            id: BrokerOrderId::new(format!("b{}", self.orders)),
            client_id: request.client_id.to_string(),
            symbol: request.symbol.clone(),
            side: request.side,
            qty: Some(request.qty),
            filled_qty: Qty::ZERO,
            filled_avg_price: None,
            limit_price: None,
            stop_price: None,
            replaces: None,
            replaced_by: None,
            legs: Vec::new(),
            status: OrderStatus::New,
            submitted_at: START,
            updated_at: START,
        };
        let update = |event, execution_id, order: &BrokerOrder| TradeUpdate {
            event,
            execution_id,
            price: Some(PRICE),
            qty: Some(request.qty),
            time: START,
            order: order.clone(),
        };
        self.stream.push_back(update(TradeEvent::New, None, &shown));
        let filled = BrokerOrder {
            filled_qty: request.qty,
            filled_avg_price: Some(PRICE),
            status: OrderStatus::Filled,
            ..shown.clone()
        };
        let execution = ExecutionId::new(format!("x{}", self.orders));
        self.stream.push_back(update(TradeEvent::Fill, Some(execution), &filled));
        let signed = request.side.signed(request.qty);
        self.held += signed;
        self.cash += PRICE * -signed;
        shown
    }
}

impl Venue {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn not_found<T>() -> Result<T, BrokerError> {
    Err(BrokerError::NotFound { message: "order not found".into() })
}

impl Broker for Venue {
    async fn submit(&self, order: &OrderRequest, _: SendTerms) -> Result<BrokerOrder, BrokerError> {
        Ok(self.with(|state| state.take(order)))
    }

    async fn cancel(&self, _: &BrokerOrderId, _: Option<&StrategyName>) -> Result<(), BrokerError> {
        not_found()
    }

    async fn replace(
        &self,
        _: &BrokerOrderId,
        _: &ClientOrderId,
        _: &Change,
        _: SendTerms,
    ) -> Result<BrokerOrder, BrokerError> {
        not_found()
    }

    async fn order(&self, _: &BrokerOrderId, _: Class) -> Result<BrokerOrder, BrokerError> {
        not_found()
    }

    async fn orders_since(&self, _: MarketTime) -> Result<Vec<BrokerOrder>, BrokerError> {
        Ok(Vec::new())
    }

    async fn activities(&self, _: MarketTime) -> Result<Vec<Activity>, BrokerError> {
        Ok(Vec::new())
    }

    async fn order_by_client_id(&self, _: &ClientOrderId) -> Result<BrokerOrder, BrokerError> {
        not_found()
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerError> {
        Ok(Vec::new())
    }

    async fn positions(&self) -> Result<Vec<Position>, BrokerError> {
        let qty = self.with(|state| state.held);
        let symbol = Symbol::new("SPY");
        let avg_entry_price = PRICE;
        Ok(vec![Position { symbol, qty, qty_available: qty, avg_entry_price, current_price: None }])
    }

    async fn account(&self) -> Result<Account, BrokerError> {
        let equity = Usd::new(1_000_000.into());
        Ok(Account {
            id: "bench".to_owned(),
            equity,
            last_equity: equity,
            cash: equity + self.with(|state| state.cash),
            buying_power: equity,
            trading_blocked: false,
        })
    }

    async fn clock(&self) -> Result<Clock, BrokerError> {
        Ok(Clock { now: START, is_open: true, next_open: START, next_close: START })
    }

    async fn calendar(&self, _: MarketTime, _: MarketTime) -> Result<Vec<SessionDay>, BrokerError> {
        Ok(Vec::new())
    }
}

struct Stream(Venue);

impl OrderFeed for Venue {
    type Session = Stream;

    async fn open(&self) -> Result<Stream, StreamError> {
        Ok(Stream(self.clone()))
    }
}

impl OrderSession for Stream {
    fn next(&mut self) -> impl Future<Output = Result<Option<TradeUpdate>, StreamError>> + Send {
        poll_fn(|_| match self.0.with(|state| state.stream.pop_front()) {
            Some(update) => Poll::Ready(Ok(Some(update))),
            None => Poll::Pending,
        })
    }
}

fn submit(id: u64) -> Intent {
    Intent::Submit(Submit {
        id: StrategyOrderId(id),
        symbol: Symbol::new("SPY"),
        side: if id.is_multiple_of(2) { Side::Sell } else { Side::Buy },
        qty: Qty::new(10.into()),
        kind: OrderKind::Market,
        time_in_force: TimeInForce::Day,
        extended_hours: false,
        time_to_live: Duration::from_secs(60),
        class: OrderClass::Simple,
        reprice: None,
    })
}

/// Nanoseconds an order, and how many outputs each made.
fn run(orders: u64) -> (f64, f64) {
    let review = Calm(Gates::new(Limits::default()));
    let venue = Arc::new(Venue::default());
    let mut desk = StillDesk::new(DeskConfig::still(HostEpoch(1)), venue, review, Arc::new(Always), 1);
    desk.open(START).expect("the venue answers");
    let strategy = StrategyName::parse("sma").expect("a name");
    let (mut now, mut outputs, mut told) = (START, Vec::new(), 0);
    let begun = Instant::now();
    for id in 1..=orders {
        now = now + EVERY;
        let intents = vec![submit(id)];
        desk.input(DeskInput::Intents { strategy: strategy.clone(), incarnation: 0, intents }, now);
        desk.turn(now, &mut outputs);
        told += black_box(&outputs).len();
        outputs.clear();
    }
    let took = begun.elapsed();
    let counts = desk.stats().read();
    assert_eq!((counts.fills, counts.open, counts.foreign, counts.adopted), (orders, 0, 0, 0));
    assert_eq!((counts.unknown, counts.alerts, counts.differences), (0, 0, 0));
    (took.as_nanos() as f64 / orders as f64, told as f64 / orders as f64)
}

fn main() {
    let asked: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    for orders in if asked.is_empty() { SIZES.to_vec() } else { asked } {
        let best = (0..ROUNDS).map(|_| run(orders)).min_by(|a, b| a.0.total_cmp(&b.0));
        let (nanos, told) = best.expect("there are rounds");
        println!("still_order_{orders} {nanos:.0} ns");
        println!("still_told_{orders} {told:.2} outputs");
    }
}
