//! A broker in memory that can be told to go wrong.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sandpit_broker::{Broker, BrokerError, Class, SendTerms};
use sandpit_types::{
    Account, Activity, BrokerOrder, BrokerOrderId, ClientOrderId, Clock, Deed, ExecutionId, MarketTime,
    OrderRequest, OrderStatus, Position, Price, Qty, SessionDay, StrategyName, Symbol, TradeEvent,
    TradeUpdate, Usd,
};

use super::{PRICE, qty};

#[derive(Default)]
pub(crate) struct FakeBroker {
    pub(crate) orders: Mutex<Vec<BrokerOrder>>,
    /// POSTs are taken and never answered.
    pub(crate) answers_lost: AtomicBool,
    /// POSTs never arrive and never end.
    pub(crate) hangs: AtomicBool,
    pub(crate) panics: AtomicBool,
    pub(crate) panics_at_positions: AtomicBool,
    pub(crate) unauthorized: AtomicBool,
    pub(crate) look_ups: AtomicUsize,
    /// How urgent each question about an order by the broker's id was.
    pub(crate) asked: Mutex<Vec<Class>>,
    /// Look-ups wait until this is over.
    pub(crate) look_ups_hang: AtomicBool,
    /// The list of open orders has each of them twice.
    pub(crate) lists_twice: AtomicBool,
    /// Executions, in order: order, shares of it, and all of it that is filled then.
    pub(crate) executions: Mutex<Vec<(usize, Qty, Qty)>>,
    /// So many reads of the activities fail.
    pub(crate) activities_fail: AtomicUsize,
    /// What the owner moved: its row is listed.
    pub(crate) transferred: AtomicI64,
    /// Cash beside that of the executions.
    pub(crate) unexplained: AtomicI64,
    pub(crate) account: Mutex<String>,
    /// Requests for reading, and how long each takes.
    pub(crate) requests: AtomicUsize,
    pub(crate) latency: Duration,
}

impl FakeBroker {
    pub(crate) fn orders(&self) -> Vec<BrokerOrder> {
        self.orders.lock().expect("no panic holds it").clone()
    }

    pub(crate) async fn look_up(
        &self,
        is_it: impl Fn(&BrokerOrder) -> bool,
    ) -> Result<BrokerOrder, BrokerError> {
        self.look_ups.fetch_add(1, Ordering::SeqCst);
        while self.look_ups_hang.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let found = self.orders().into_iter().find(is_it);
        found.ok_or_else(|| BrokerError::NotFound { message: "order not found".into() })
    }

    pub(crate) fn accept(&self, request: &OrderRequest) -> BrokerOrder {
        let mut orders = self.orders.lock().expect("no panic holds it");
        let shown = BrokerOrder {
            id: BrokerOrderId::new(format!("b{}", orders.len())),
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
            submitted_at: MarketTime::EPOCH,
            updated_at: MarketTime::EPOCH,
        };
        orders.push(shown.clone());
        shown
    }

    pub(crate) fn fill(&self, index: usize, shares: i64) -> TradeUpdate {
        let mut orders = self.orders.lock().expect("no panic holds it");
        let order = &mut orders[index];
        let price = PRICE;
        order.filled_qty += qty(shares);
        let execution = (index, qty(shares), order.filled_qty);
        self.executions.lock().expect("no panic holds it").push(execution);
        order.filled_avg_price = Some(price);
        let is_done = Some(order.filled_qty) == order.qty;
        order.status = if is_done { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        TradeUpdate {
            event: TradeEvent::Fill,
            execution_id: Some(ExecutionId::new(format!("x{}", order.filled_qty))),
            price: Some(price),
            qty: Some(qty(shares)),
            time: MarketTime::EPOCH,
            order: order.clone(),
        }
    }

    pub(crate) fn submitted_at(&self, time: MarketTime) {
        self.orders.lock().expect("no panic holds it").iter_mut().for_each(|order| order.submitted_at = time);
    }

    pub(crate) async fn read<T>(&self, value: T) -> Result<T, BrokerError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.latency).await;
        if self.unauthorized.load(Ordering::SeqCst) {
            return Err(BrokerError::Unauthorized { message: "unauthorized.".into() });
        }
        Ok(value)
    }
}

impl Broker for FakeBroker {
    async fn submit(&self, order: &OrderRequest, terms: SendTerms) -> Result<BrokerOrder, BrokerError> {
        terms.permit.check()?;
        assert!(!self.panics.swap(false, Ordering::SeqCst), "a defect of the adapter");
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let shown = self.accept(order);
        if self.answers_lost.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(shown)
    }

    async fn cancel(&self, id: &BrokerOrderId, _: Option<&StrategyName>) -> Result<(), BrokerError> {
        let mut orders = self.orders.lock().expect("no panic holds it");
        let order = orders.iter_mut().find(|order| order.id == *id).expect("a known order");
        order.status = OrderStatus::Canceled;
        Ok(())
    }

    async fn replace(
        &self,
        id: &BrokerOrderId,
        by: &ClientOrderId,
        change: &sandpit_types::Change,
        terms: SendTerms,
    ) -> Result<BrokerOrder, BrokerError> {
        terms.permit.check()?;
        let mut orders = self.orders.lock().expect("no panic holds it");
        let new_id = BrokerOrderId::new(format!("b{}", orders.len()));
        let old = orders.iter_mut().find(|order| order.id == *id).expect("a known order");
        (old.status, old.replaced_by) = (OrderStatus::Replaced, Some(new_id.clone()));
        let new = BrokerOrder {
            id: new_id,
            client_id: by.to_string(),
            qty: change.qty.or(old.qty),
            limit_price: change.limit_price.or(old.limit_price),
            stop_price: change.stop_price.or(old.stop_price),
            replaces: Some(id.clone()),
            replaced_by: None,
            status: OrderStatus::New,
            ..old.clone()
        };
        orders.push(new.clone());
        Ok(new)
    }

    async fn order(&self, id: &BrokerOrderId, class: Class) -> Result<BrokerOrder, BrokerError> {
        self.asked.lock().expect("no panic holds it").push(class);
        self.look_up(|order| order.id == *id).await
    }

    async fn orders_since(&self, since: MarketTime) -> Result<Vec<BrokerOrder>, BrokerError> {
        let mut all = self.orders();
        all.retain(|order| order.submitted_at >= since);
        self.read(all).await
    }

    async fn activities(&self, _: MarketTime) -> Result<Vec<Activity>, BrokerError> {
        let orders = self.orders();
        let executions = self.executions.lock().expect("no panic holds it").clone();
        let row = |(number, (index, qty, cumulative)): (usize, (usize, Qty, Qty))| {
            let order = &orders[index];
            let deed = Deed::Fill {
                order: order.id.clone(),
                symbol: order.symbol.clone(),
                side: order.side,
                qty,
                price: PRICE,
                cumulative,
            };
            Activity { id: format!("{number:08}"), time: order.submitted_at, deed }
        };
        let fails = |left: usize| left.checked_sub(1);
        if self.activities_fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok() {
            return Err(BrokerError::Unavailable { message: "down".into() });
        }
        let mut rows: Vec<Activity> = executions.into_iter().enumerate().map(row).collect();
        let net = self.transferred.load(Ordering::SeqCst);
        if net != 0 {
            let deed = Deed::Other {
                kind: "CSW".into(),
                net: Usd::new(net.into()),
                symbol: None,
                qty: None,
                per_share: None,
            };
            rows.push(Activity { id: "t".into(), time: MarketTime::from_secs(1_000_000), deed });
        }
        self.read(rows).await
    }

    async fn order_by_client_id(&self, id: &ClientOrderId) -> Result<BrokerOrder, BrokerError> {
        self.look_up(|order| order.ours().as_ref() == Some(id)).await
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerError> {
        let mut open = self.orders();
        open.retain(|order| !order.status.is_terminal());
        if self.lists_twice.load(Ordering::SeqCst) {
            open.extend(open.clone());
        }
        self.read(open).await
    }

    async fn positions(&self) -> Result<Vec<Position>, BrokerError> {
        assert!(!self.panics_at_positions.load(Ordering::SeqCst), "a defect of the adapter");
        let held: Qty = self.orders().iter().map(|order| order.side.signed(order.filled_qty)).sum();
        self.read(vec![Position {
            symbol: Symbol::new("SPY"),
            qty: held,
            qty_available: held,
            avg_entry_price: Price::ZERO,
            current_price: None,
        }])
        .await
    }

    async fn account(&self) -> Result<Account, BrokerError> {
        let usd = Usd::new(100_000.into());
        let spent: Usd = self.orders().iter().map(|order| PRICE * order.side.signed(order.filled_qty)).sum();
        let moved = self.unexplained.load(Ordering::SeqCst) + self.transferred.load(Ordering::SeqCst);
        let unexplained = Usd::new(moved.into());
        let id = self.account.lock().expect("not poisoned").clone();
        self.read(Account {
            id,
            equity: usd,
            last_equity: usd,
            cash: usd - spent + unexplained,
            buying_power: usd,
            trading_blocked: false,
        })
        .await
    }

    async fn clock(&self) -> Result<Clock, BrokerError> {
        let now = MarketTime::EPOCH;
        self.read(Clock { now, is_open: true, next_open: now, next_close: now }).await
    }

    async fn calendar(&self, _: MarketTime, _: MarketTime) -> Result<Vec<SessionDay>, BrokerError> {
        self.read(Vec::new()).await
    }
}
