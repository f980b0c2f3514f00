//! What the desk tells, folded into what a strategy reads: the real desk over a broker in memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use sandpit_broker::{Broker, BrokerError, Class, GateError, Permit, SendTerms};
use sandpit_cores::{orders::Books, reconcile::Standing};
use sandpit_execution::{Desk, DeskConfig, DeskInput, DeskOutput, Review};
use sandpit_risk::{Approved, Gates, Limits, Situation};
use sandpit_store::{Database, Store};
use sandpit_types::{
    Account, Activity, BrokerOrder, BrokerOrderId, Change, ClientOrderId, Clock, ExecutionId, Fill,
    HostEpoch, Intent, Leg, MarketClock, OrderClass, OrderKind, OrderRequest, OrderStatus, Position, Pulse,
    Refusal, Replace, SessionDay, Side, StopLoss, StrategyName, StrategyOrderId, Submit, TimeInForce,
    TradeEvent, TradeUpdate,
};
use tokio::{sync::mpsc, time::Instant};

use super::*;

const SPEED: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(100_000);

fn shares(count: i64) -> Qty {
    Qty::new(count.into())
}

fn usd(count: i64) -> Price {
    Price::new(count.into())
}

fn spy() -> Symbol {
    Symbol::new("SPY")
}

fn name() -> StrategyName {
    StrategyName::parse("sma").expect("a name")
}

struct FastClock(Instant);

impl MarketClock for FastClock {
    fn now(&self) -> MarketTime {
        MarketTime::from_secs(1_000_000) + self.0.elapsed() * SPEED
    }

    fn real_until(&self, at: MarketTime) -> Duration {
        at.since(self.now()) / SPEED
    }
}

struct Always;

impl Permit for Always {
    fn check(&self) -> Result<(), GateError> {
        Ok(())
    }
}

/// Every gate in a calm market.
struct Calm;

impl Review for Calm {
    fn review(
        &mut self,
        strategy: &StrategyName,
        submit: &Submit,
        _: Option<&ClientOrderId>,
        books: &Books,
        now: MarketTime,
    ) -> Result<Approved, Refusal> {
        let symbol = submit.symbol.clone();
        let quote = Quote { symbol, time: now, bid: 99.99, bid_size: 1000, ask: 100.01, ask_size: 1000 };
        let rich = Some(Usd::new(1_000_000_000.into()));
        let situation = Situation {
            lease: true,
            reconciled: books.is_reconciled(),
            order_stream_up: books.is_order_stream_up(),
            session_open: true,
            quote: Some(quote),
            equity: rich,
            buying_power: rich,
            ..Situation::default()
        };
        Gates::new(Limits::default()).check(strategy, submit, &situation, now)
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

/// Its orders, and what its stream has still to tell.
#[derive(Default)]
struct Venue {
    orders: Vec<BrokerOrder>,
    stream: VecDeque<TradeUpdate>,
}

#[derive(Default)]
struct Fake(Mutex<Venue>);

impl Venue {
    fn push(&mut self, client_id: String, side: Side, request: &OrderRequest, kind: OrderKind) -> usize {
        self.orders.push(BrokerOrder {
            id: BrokerOrderId::new(format!("b{}", self.orders.len())),
            client_id,
            symbol: request.symbol.clone(),
            side,
            qty: Some(request.qty),
            filled_qty: Qty::ZERO,
            filled_avg_price: None,
            limit_price: kind.limit_price(),
            stop_price: kind.stop_price(),
            replaces: None,
            replaced_by: None,
            legs: Vec::new(),
            status: OrderStatus::New,
            submitted_at: MarketTime::EPOCH,
            updated_at: MarketTime::EPOCH,
        });
        self.orders.len() - 1
    }

    /// As it is asked for: the first one and what takes its place have the legs.
    fn whole(&self, index: usize) -> BrokerOrder {
        let is_leg = |order: &&BrokerOrder| order.client_id.starts_with("leg");
        let mut shown = self.orders[index].clone();
        if !is_leg(&&shown) {
            shown.legs = self.orders.iter().filter(is_leg).cloned().collect();
        }
        shown
    }

    fn stand(&mut self, index: usize, status: OrderStatus, event: TradeEvent) {
        self.orders[index].status = status;
        self.tell(index, event, None);
    }

    fn tell(&mut self, index: usize, event: TradeEvent, qty: Option<Qty>) {
        let order = self.orders[index].clone();
        let execution_id = qty.map(|_| ExecutionId::new(format!("x{}", order.filled_qty)));
        let (price, time) = (qty.map(|_| usd(100)), MarketTime::EPOCH);
        self.stream.push_back(TradeUpdate { event, execution_id, price, qty, time, order });
    }

    fn fill(&mut self, index: usize, count: i64) {
        let order = &mut self.orders[index];
        order.filled_qty += shares(count);
        (order.filled_avg_price, order.status) = (Some(usd(100)), OrderStatus::PartiallyFilled);
        self.tell(index, TradeEvent::PartialFill, Some(shares(count)));
    }

    fn cancel(&mut self, index: usize) {
        let open: Vec<usize> = (index..self.orders.len())
            .chain(0..index)
            .filter(|at| !self.orders[*at].status.is_terminal())
            .collect();
        for at in open {
            self.stand(at, OrderStatus::Canceled, TradeEvent::Canceled);
        }
    }

    fn find(&self, is_it: impl Fn(&BrokerOrder) -> bool) -> Result<usize, BrokerError> {
        let found = self.orders.iter().position(is_it);
        found.ok_or_else(|| BrokerError::NotFound { message: "order not found".into() })
    }
}

impl Fake {
    fn with<T>(&self, act: impl FnOnce(&mut Venue) -> T) -> T {
        act(&mut self.0.lock().expect("no panic holds it"))
    }
}

impl Broker for Fake {
    async fn submit(&self, order: &OrderRequest, _: SendTerms) -> Result<BrokerOrder, BrokerError> {
        Ok(self.with(|venue| {
            let parent = venue.push(order.client_id.to_string(), order.side, order, order.kind);
            for (leg, kind) in order.class.legs() {
                let at = venue.push(format!("leg-{}", leg.as_str()), Side::Sell, order, kind);
                venue.orders[at].status = OrderStatus::Held;
            }
            venue.stand(parent, OrderStatus::New, TradeEvent::New);
            venue.whole(parent)
        }))
    }

    async fn cancel(&self, id: &BrokerOrderId, _: Option<&StrategyName>) -> Result<(), BrokerError> {
        self.with(|venue| venue.find(|order| order.id == *id).map(|index| venue.cancel(index)))
    }

    async fn replace(
        &self,
        id: &BrokerOrderId,
        by: &ClientOrderId,
        change: &Change,
        _: SendTerms,
    ) -> Result<BrokerOrder, BrokerError> {
        self.with(|venue| {
            let old = venue.find(|order| order.id == *id)?;
            let new_id = BrokerOrderId::new(format!("b{}", venue.orders.len()));
            let mut new = venue.orders[old].clone();
            (new.id, new.client_id, new.replaces) = (new_id.clone(), by.to_string(), Some(id.clone()));
            new.limit_price = change.limit_price.or(new.limit_price);
            venue.orders[old].replaced_by = Some(new_id);
            venue.stand(old, OrderStatus::Replaced, TradeEvent::Replaced);
            venue.orders.push(new);
            let index = venue.orders.len() - 1;
            venue.stand(index, OrderStatus::New, TradeEvent::New);
            Ok(venue.whole(index))
        })
    }

    async fn order(&self, id: &BrokerOrderId, _: Class) -> Result<BrokerOrder, BrokerError> {
        self.with(|venue| venue.find(|order| order.id == *id).map(|index| venue.whole(index)))
    }

    async fn order_by_client_id(&self, id: &ClientOrderId) -> Result<BrokerOrder, BrokerError> {
        self.with(|venue| {
            venue.find(|order| order.ours().as_ref() == Some(id)).map(|index| venue.whole(index))
        })
    }

    async fn orders_since(&self, _: MarketTime) -> Result<Vec<BrokerOrder>, BrokerError> {
        Ok(Vec::new())
    }

    async fn activities(&self, _: MarketTime) -> Result<Vec<Activity>, BrokerError> {
        Ok(Vec::new())
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerError> {
        Ok(self
            .with(|venue| venue.orders.iter().filter(|order| !order.status.is_terminal()).cloned().collect()))
    }

    async fn positions(&self) -> Result<Vec<Position>, BrokerError> {
        Ok(Vec::new())
    }

    async fn account(&self) -> Result<Account, BrokerError> {
        let usd = Usd::new(100_000.into());
        let (id, trading_blocked) = ("a".to_owned(), false);
        Ok(Account { id, equity: usd, last_equity: usd, cash: usd, buying_power: usd, trading_blocked })
    }

    async fn clock(&self) -> Result<Clock, BrokerError> {
        let now = MarketTime::EPOCH;
        Ok(Clock { now, is_open: true, next_open: now, next_close: now })
    }

    async fn calendar(&self, _: MarketTime, _: MarketTime) -> Result<Vec<SessionDay>, BrokerError> {
        Ok(Vec::new())
    }
}

/// A strategy, the desk and the broker.
struct Bench {
    venue: Arc<Fake>,
    book: Book,
    inputs: mpsc::Sender<DeskInput>,
    outputs: mpsc::Receiver<DeskOutput>,
    /// Of the fills it was told: of which order, and how many shares.
    fills: Vec<(u64, Option<Leg>, Qty)>,
    _place: tempfile::TempDir,
}

/// What a strategy reads of an order: its id, which leg, shares filled.
type Row = (u64, Option<Leg>, Qty);

impl Bench {
    async fn start() -> Self {
        let place = tempfile::tempdir().expect("a temporary folder");
        let path = Database::Sqlite(place.path().join("sandpit.db"));
        let pulse = Arc::new(Pulse::default());
        let store = Store::open(&path, pulse.clone()).await.expect("opens");
        let venue = Arc::new(Fake::default());
        let clock = Arc::new(FastClock(Instant::now()));
        let config = DeskConfig::new(HostEpoch(1));
        let mut desk = Desk::new(config, venue.clone(), store, Calm, Arc::new(Always), clock, pulse, 1);
        desk.reconcile().await.expect("starts");
        let (inputs, from_bench) = mpsc::channel(100);
        let (to_bench, outputs) = mpsc::channel(100);
        tokio::spawn(desk.run(from_bench, to_bench));
        let book = Book::new(vec![spy()]);
        let bench = Self { venue, book, inputs, outputs, fills: Vec::new(), _place: place };
        bench.tell(DeskInput::OrderStreamUp).await;
        bench
    }

    async fn tell(&self, input: DeskInput) {
        self.inputs.send(input).await.expect("the desk runs");
    }

    /// The strategy wants this: its book notes it, the desk gets it.
    async fn want(&mut self, intent: Intent) {
        match &intent {
            Intent::Submit(submit) => self.book.orders.submit(submit, 0).expect("there is room"),
            Intent::Replace(replace) => self.book.orders.replace(replace).expect("it is open"),
            _ => {}
        }
        let intents = vec![intent];
        self.tell(DeskInput::Intents { strategy: name(), incarnation: 0, intents }).await;
    }

    /// What the stream tells reaches the desk, and what the desk tells the strategy, until it reads these
    /// rows. Returns how they stand.
    async fn reads(&mut self, rows: &[Row]) -> Vec<OrderStatus> {
        let wait = async {
            while self.rows() != rows {
                for update in self.venue.with(|venue| std::mem::take(&mut venue.stream)) {
                    self.tell(DeskInput::Update(update)).await;
                }
                let output = self.outputs.recv().await.expect("the desk runs");
                self.deliver(output);
            }
        };
        let is_in_time = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        assert!(is_in_time, "it reads {:?}, not {rows:?}", self.rows());
        self.book.orders.iter().map(|(.., order)| order.status.clone()).collect()
    }

    fn rows(&self) -> Vec<Row> {
        self.book.orders.iter().map(|(id, leg, order)| (id.0, leg, order.filled_qty)).collect()
    }

    /// As the host's mail does it.
    fn deliver(&mut self, output: DeskOutput) {
        let time = self.book.now;
        self.book.apply(&match output {
            DeskOutput::Order { update, .. } => StrategyEvent::Order(update),
            DeskOutput::Fill { id, leg, fill, .. } => {
                let Fill { symbol, side, qty, price, time, .. } = fill;
                self.fills.push((id.0, leg, qty));
                StrategyEvent::Fill { id, leg, symbol, side, qty, price, time }
            }
            DeskOutput::Refused { id, refusal, .. } => StrategyEvent::Refused { id, refusal, time },
            DeskOutput::SubBook { symbol, qty, avg_price, .. } => {
                StrategyEvent::Position { symbol, qty, avg_price }
            }
            DeskOutput::Introduction { .. }
            | DeskOutput::Account(_)
            | DeskOutput::StreamSuspect { .. }
            | DeskOutput::Answer { .. }
            | DeskOutput::Alert(_) => return,
        });
    }
}

fn bracket(id: u64) -> Intent {
    let stop_loss = StopLoss { stop_price: usd(98), limit_price: None };
    Intent::Submit(Submit {
        id: StrategyOrderId(id),
        symbol: spy(),
        side: Side::Buy,
        qty: shares(10),
        kind: OrderKind::Limit { limit_price: usd(100) },
        time_in_force: TimeInForce::Gtc,
        extended_hours: false,
        time_to_live: LONG,
        class: OrderClass::Bracket { take_profit: usd(104), stop_loss },
        reprice: None,
    })
}

const P: Option<Leg> = Some(Leg::TakeProfit);
const L: Option<Leg> = Some(Leg::StopLoss);

#[tokio::test]
async fn a_bracket_that_fills_in_part_is_replaced_and_cancelled_is_read_as_the_desk_has_it() {
    let mut bench = Bench::start().await;
    let none = shares(0);
    let mut id = 0;
    // The desk takes nothing before it has caught up with the stream.
    loop {
        id += 1;
        bench.want(bracket(id)).await;
        let answer = async {
            loop {
                let output = bench.outputs.recv().await.expect("the desk runs");
                let is_answer = matches!(&output, DeskOutput::Order { .. } | DeskOutput::Refused { .. });
                bench.deliver(output);
                if is_answer {
                    break;
                }
            }
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("it is answered");
        if !bench.rows().is_empty() {
            break;
        }
    }
    bench.reads(&[(id, None, none), (id, P, none), (id, L, none)]).await;
    bench.venue.with(|venue| venue.fill(0, 3));
    let stand = bench.reads(&[(id, None, shares(3)), (id, P, none), (id, L, none)]).await;
    assert_eq!(stand, [OrderStatus::PartiallyFilled, OrderStatus::Held, OrderStatus::Held]);

    // The new order is read with what the old one has filled; the exits keep the old one's id.
    let (old, new_id) = (StrategyOrderId(id), StrategyOrderId(id + 1));
    let change = Change { limit_price: Some(usd(101)), ..Change::default() };
    bench.want(Intent::Replace(Replace { id: old, new_id, change, time_to_live: LONG })).await;
    bench.reads(&[(id, P, none), (id, L, none), (id + 1, None, shares(3))]).await;
    bench.venue.with(|venue| venue.fill(3, 2));
    bench.reads(&[(id, P, none), (id, L, none), (id + 1, None, shares(5))]).await;

    // What it cancels after a part is filled leaves its exits to their own end.
    bench.want(Intent::Cancel(new_id)).await;
    bench.reads(&[]).await;
    assert_eq!(bench.book.slot(0).map(|slot| slot.qty), Some(shares(5)));
    assert_eq!(bench.fills, [(id, None, shares(3)), (id + 1, None, shares(2))]);
}
