use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use sandpit_cores::orders::{NewOrder, OrderEvent};
use sandpit_risk::{Limits, Overrides};
use sandpit_types::{
    BrokerOrder, BrokerOrderId, HostEpoch, Leg, Links, OrderClass, OrderKind, OrderRequest, OrderStatus,
    SessionDay, StopLoss, StrategyOrderId, TimeInForce,
};

use super::*;

#[derive(Debug)]
struct Fixed(MarketTime);

impl MarketClock for Fixed {
    fn now(&self) -> MarketTime {
        self.0
    }

    fn real_until(&self, _: MarketTime) -> Duration {
        Duration::ZERO
    }
}

fn at(text: &str) -> MarketTime {
    MarketTime::parse(text).expect(text)
}

fn now() -> MarketTime {
    at("2013-10-07T15:00:00Z")
}

fn qty(shares: i64) -> Qty {
    Qty::new(shares.into())
}

fn price(whole: i64) -> Price {
    Price::new(whole.into())
}

fn spy() -> Symbol {
    Symbol::new("SPY")
}

fn strategy() -> StrategyName {
    StrategyName::new("sma")
}

/// Who asks, and what it was told.
#[derive(Debug, Default)]
struct World {
    may_trade: AtomicBool,
    entries_stopped: AtomicBool,
    tripped: Mutex<Vec<String>>,
}

impl World {
    fn told(&self) -> Vec<String> {
        self.tripped.lock().expect("nobody panics").clone()
    }
}

impl Outside for Arc<World> {
    fn may_trade(&self) -> bool {
        self.may_trade.load(Ordering::Relaxed)
    }

    fn entries_stopped(&self) -> bool {
        self.entries_stopped.load(Ordering::Relaxed)
    }

    fn real_now(&self) -> Duration {
        Duration::from_secs(1_000)
    }

    fn tripped(&self, trip: &Trip) {
        self.tripped.lock().expect("nobody panics").push(trip.to_string());
    }
}

fn reviewer(limits: Limits) -> (Reviewer<Arc<World>>, Arc<World>) {
    let day = SessionDay { open: at("2013-10-07T13:30:00Z"), close: at("2013-10-07T20:00:00Z") };
    let sessions = Sessions::new(vec![day]);
    let world = Arc::new(World { may_trade: true.into(), ..World::default() });
    let clock = Arc::new(Fixed(now()));
    let reviewer = Reviewer::new(limits, sessions, Arc::default(), Arc::default(), clock, world.clone());
    (reviewer, world)
}

fn account(equity: i64) -> Account {
    let usd = |whole: i64| Usd::new(whole.into());
    Account {
        id: "a".to_owned(),
        equity: usd(equity),
        last_equity: usd(100_000),
        cash: usd(0),
        buying_power: usd(100_000),
        trading_blocked: false,
    }
}

fn books() -> Books {
    let mut books = Books::default();
    books.set_reconciled(true);
    books.set_order_stream_up(true);
    books
}

fn submit(id: u64, side: Side, shares: i64) -> Submit {
    Submit {
        id: StrategyOrderId(id),
        symbol: spy(),
        side,
        qty: qty(shares),
        kind: OrderKind::Market,
        time_in_force: TimeInForce::Day,
        extended_hours: false,
        time_to_live: Duration::from_secs(30),
        class: OrderClass::Simple,
        reprice: None,
    }
}

fn id(sequence: u64) -> ClientOrderId {
    ClientOrderId { strategy: strategy(), epoch: HostEpoch(1), sequence }
}

/// Puts an order of ours into the books and to work; then fills so much of it.
fn work(books: &mut Books, sequence: u64, submit: &Submit, links: Links, filled: i64) {
    let request = OrderRequest {
        client_id: id(sequence),
        symbol: submit.symbol.clone(),
        side: submit.side,
        qty: submit.qty,
        kind: submit.kind,
        time_in_force: submit.time_in_force,
        extended_hours: false,
        class: submit.class,
    };
    let new = NewOrder { request, strategy_id: submit.id, links, incarnation: 0 };
    books.record(new, now()).expect("a new order");
    books.apply(&id(sequence), &OrderEvent::Sent).expect("it is recorded");
    let is_done = submit.qty == qty(filled);
    let shown = BrokerOrder {
        id: BrokerOrderId::new(format!("b{sequence}")),
        client_id: id(sequence).to_string(),
        symbol: submit.symbol.clone(),
        side: submit.side,
        qty: Some(submit.qty),
        filled_qty: qty(filled),
        filled_avg_price: Some(price(100)),
        limit_price: submit.kind.limit_price(),
        stop_price: submit.kind.stop_price(),
        replaces: None,
        replaced_by: None,
        legs: Vec::new(),
        status: if is_done { OrderStatus::Filled } else { OrderStatus::New },
        submitted_at: now(),
        updated_at: now(),
    };
    books.apply(&id(sequence), &OrderEvent::Snapshot(shown)).expect("the broker has it");
}

#[test]
fn a_breaker_that_trips_freezes_at_once_and_says_so_once() {
    for leased in [true, false] {
        let (mut reviewer, world) = reviewer(Limits::default());
        let mut books = books();
        work(&mut books, 1, &submit(1, Side::Buy, 10), Links::default(), 10);
        let ask = |reviewer: &mut Reviewer<_>, id, side| {
            reviewer.review(&strategy(), &submit(id, side, 10), None, &books, now()).map(drop)
        };
        reviewer.account(&account(100_000), Standing::Explained, now());
        assert_eq!(ask(&mut reviewer, 2, Side::Sell), Ok(()));
        assert!(world.told().is_empty());

        reviewer.account(&account(98_900), Standing::Explained, now());
        // No order is reviewed before whoever is outside knows.
        let told = world.told();
        assert!(matches!(&*told, [reason] if reason.contains("30 minutes")), "{told:?}");
        world.may_trade.store(!leased, Ordering::Relaxed);
        assert_eq!(ask(&mut reviewer, 3, Side::Buy), Err(Refusal::Frozen));
        // Where no lease is needed, what is held can still be left.
        assert_eq!(ask(&mut reviewer, 4, Side::Sell), if leased { Err(Refusal::NoLease) } else { Ok(()) });

        for equity in [98_800, 97_000, 89_000, 100_000] {
            reviewer.account(&account(equity), Standing::Explained, now());
        }
        assert_eq!(world.told().len(), 1, "said twice");
        assert_eq!(ask(&mut reviewer, 5, Side::Buy), Err(Refusal::Frozen), "a recovery does not thaw");
    }
}

#[test]
fn a_pause_is_of_one_strategy_and_lets_its_exits_pass() {
    let (mut reviewer, _) = reviewer(Limits::default());
    let mut books = books();
    work(&mut books, 1, &submit(1, Side::Buy, 10), Links::default(), 10);
    reviewer.account(&account(100_000), Standing::Explained, now());
    let other = StrategyName::new("other");
    books.set_paused(&strategy(), Some("ann paused it".to_owned()));
    let mut ask = |of: &StrategyName, id, side, books: &Books| {
        reviewer.review(of, &submit(id, side, 10), None, books, now()).map(drop)
    };
    assert_eq!(ask(&strategy(), 2, Side::Buy, &books), Err(Refusal::Paused));
    assert_eq!(ask(&strategy(), 3, Side::Sell, &books), Ok(()));
    assert_ne!(ask(&other, 4, Side::Buy, &books), Err(Refusal::Paused));
    books.set_paused(&strategy(), None);
    let unpriced = Err(Refusal::StaleData);
    assert_eq!(ask(&strategy(), 5, Side::Buy, &books), unpriced, "a later gate has no price to go by");
}

#[test]
fn a_signal_stops_entries_and_not_exits_until_it_is_over() {
    let (mut reviewer, world) = reviewer(Limits::default());
    reviewer.account(&account(100_000), Standing::Explained, now());
    let mut books = books();
    work(&mut books, 1, &submit(1, Side::Buy, 10), Links::default(), 10);
    let bid = Submit { kind: OrderKind::Limit { limit_price: price(100) }, ..submit(2, Side::Buy, 1) };
    let enter = |reviewer: &Reviewer<_>, books: &Books| {
        let situation = reviewer.situation(&strategy(), &bid, None, books, now());
        reviewer.gates.would_pass(&strategy(), &bid, &situation, now()).map(drop)
    };
    let before = enter(&reviewer, &books);
    assert_ne!(before, Err(Refusal::EntriesStopped));
    world.entries_stopped.store(true, Ordering::Relaxed);
    assert_eq!(enter(&reviewer, &books), Err(Refusal::EntriesStopped));
    let exit = reviewer.review(&strategy(), &submit(3, Side::Sell, 10), None, &books, now());
    assert!(exit.is_ok_and(|approved| approved.reduces()), "what is held can be left");
    world.entries_stopped.store(false, Ordering::Relaxed);
    assert_eq!(enter(&reviewer, &books), before, "as before");
    // What else forbids an entry forbids it still.
    world.entries_stopped.store(true, Ordering::Relaxed);
    books.set_frozen(Some("cash".into()));
    assert_eq!(enter(&reviewer, &books), Err(Refusal::Frozen));
    world.entries_stopped.store(false, Ordering::Relaxed);
    assert_eq!(enter(&reviewer, &books), Err(Refusal::Frozen));
}

#[test]
fn an_equity_that_jumped_lets_only_exits_pass() {
    let (mut reviewer, _) = reviewer(Limits::default());
    let mut books = books();
    work(&mut books, 1, &submit(1, Side::Buy, 10), Links::default(), 10);
    reviewer.account(&account(100_000), Standing::Explained, now());
    reviewer.account(&account(300_000), Standing::Explained, now());
    let situation = reviewer.situation(&strategy(), &submit(2, Side::Buy, 1), None, &books, now());
    assert_eq!(situation.equity, None);
    let exit = reviewer.review(&strategy(), &submit(3, Side::Sell, 10), None, &books, now());
    assert!(exit.is_ok_and(|approved| approved.reduces()));
}

#[test]
fn a_symbol_may_be_left_as_if_its_own_orders_were_gone() {
    let (mut reviewer, _) = reviewer(Limits::default());
    reviewer.account(&account(100_000), Standing::Explained, now());
    let mut books = books();
    work(&mut books, 1, &submit(1, Side::Buy, 10), Links::default(), 10);
    let exit = submit(7, Side::Sell, 10);
    let stop = Submit { kind: OrderKind::Stop { stop_price: price(90) }, ..submit(2, Side::Sell, 10) };
    work(&mut books, 2, &stop, Links::default(), 0);
    assert!(reviewer.review(&strategy(), &exit, None, &books, now()).is_err(), "the stop takes them");
    assert_eq!(reviewer.may_leave(&strategy(), &exit, &books, now()), Ok(()));
    books.set_reconciled(false);
    assert!(reviewer.may_leave(&strategy(), &exit, &books, now()).is_err());
}

#[test]
fn exits_of_one_group_and_replacements_stand_for_the_same_shares() {
    let (mut reviewer, _) = reviewer(Limits::default());
    reviewer.account(&account(100_000), Standing::Explained, now());
    let mut books = books();
    let stop_loss = StopLoss { stop_price: price(90), limit_price: None };
    let class = OrderClass::Bracket { take_profit: price(110), stop_loss };
    let entry = Submit { class, ..submit(1, Side::Buy, 10) };
    work(&mut books, 1, &entry, Links::default(), 0);
    let legs = [(Leg::TakeProfit, 2), (Leg::StopLoss, 3)];
    for ((leg, sequence), (_, kind)) in legs.into_iter().zip(class.legs()) {
        let links = Links { leg_of: Some((id(1), leg)), replaces: None };
        work(&mut books, sequence, &Submit { kind, ..submit(sequence, Side::Sell, 10) }, links, 0);
    }
    let seen = |books: &Books, replaces: Option<u64>| {
        let replaces = replaces.and_then(|sequence| books.order(&id(sequence)));
        working::open_orders(books, &spy(), replaces)
    };
    let open = seen(&books, None);
    assert_eq!(open.len(), 3);
    assert!(open.iter().all(|order| order.in_class && order.group == Some(id(1))));
    assert_eq!(open.iter().map(|order| order.dormant).collect::<Vec<_>>(), [false, true, true]);

    // The entry fills: the exits are awake.
    let mut filled = books.clone();
    let mut shown = BrokerOrder { status: OrderStatus::Filled, filled_qty: qty(10), ..shown_of(&books, 1) };
    filled.apply(&id(1), &OrderEvent::Snapshot(shown.clone())).expect("it fills");
    let open = seen(&filled, None);
    assert_eq!(open.iter().map(|order| order.dormant).collect::<Vec<_>>(), [false, false]);
    // Another exit is one too many; one in the place of an exit is not.
    let ask = |reviewer: &mut Reviewer<_>, books: &Books, submit: &Submit, replaces: Option<u64>| {
        reviewer.review(&strategy(), submit, replaces.map(id).as_ref(), books, now()).map(drop)
    };
    let exit = Submit { kind: OrderKind::Limit { limit_price: price(120) }, ..submit(9, Side::Sell, 10) };
    assert!(ask(&mut reviewer, &filled, &exit, None).is_err());
    assert_eq!(ask(&mut reviewer, &filled, &exit, Some(2)), Ok(()));

    // The entry is replaced: its exits wait for the new one, and old and new are one.
    shown = BrokerOrder { status: OrderStatus::PendingReplace, ..shown_of(&books, 1) };
    books.apply(&id(1), &OrderEvent::Snapshot(shown.clone())).expect("it is being replaced");
    let links = Links { leg_of: None, replaces: Some(id(1)) };
    work(&mut books, 4, &submit(4, Side::Buy, 12), links, 0);
    shown.status = OrderStatus::Replaced;
    books.apply(&id(1), &OrderEvent::Snapshot(shown)).expect("it was replaced");
    let open = seen(&books, None);
    assert_eq!(open.iter().filter(|order| order.dormant).count(), 2);
    assert!(open.iter().all(|order| order.group == Some(id(1))));
    assert_eq!(seen(&books, Some(4)).len(), 2, "the exits, on the other side");
}

#[test]
fn what_took_an_order_s_place_and_is_not_here_yet_keeps_its_shares() {
    let (mut reviewer, _) = reviewer(Limits::default());
    reviewer.account(&account(100_000), Standing::Explained, now());
    let mut books = books();
    work(&mut books, 1, &submit(1, Side::Buy, 10), Links::default(), 10);
    let sale = Submit { kind: OrderKind::Limit { limit_price: price(104) }, ..submit(2, Side::Sell, 10) };
    work(&mut books, 2, &sale, Links::default(), 0);
    let by = Some(BrokerOrderId::new("hand"));
    let gone = BrokerOrder { status: OrderStatus::Replaced, replaced_by: by, ..shown_of(&books, 2) };
    books.apply(&id(2), &OrderEvent::Snapshot(gone)).expect("a human replaced it");
    assert_eq!(books.open_count(), 0);
    let open = working::open_orders(&books, &spy(), None);
    assert_eq!(open.iter().map(|order| order.remaining).collect::<Vec<_>>(), [qty(10)]);
    let another = reviewer.review(&strategy(), &submit(3, Side::Sell, 10), None, &books, now());
    assert!(!another.is_ok_and(|approved| approved.reduces()), "the shares would be sold twice");
    let situation = reviewer.situation(&strategy(), &submit(3, Side::Sell, 10), None, &books, now());
    assert_eq!(situation.open_order_count, 1);
    // Whoever leaves the symbol has it cancelled first.
    assert_eq!(reviewer.may_leave(&strategy(), &submit(3, Side::Sell, 10), &books, now()), Ok(()));
}

/// The last report of an order, as far as the gates care.
fn shown_of(books: &Books, sequence: u64) -> BrokerOrder {
    let order = books.order(&id(sequence)).expect("it is in the books");
    BrokerOrder {
        id: BrokerOrderId::new(format!("b{sequence}")),
        client_id: id(sequence).to_string(),
        symbol: spy(),
        side: order.request.side,
        qty: Some(order.request.qty),
        filled_qty: Qty::ZERO,
        filled_avg_price: Some(price(100)),
        limit_price: None,
        stop_price: None,
        replaces: None,
        replaced_by: None,
        legs: Vec::new(),
        status: OrderStatus::New,
        submitted_at: now(),
        updated_at: now(),
    }
}

#[test]
fn the_fourth_day_trade_is_refused_on_request_and_over_a_restart() {
    let overrides = Overrides { day_trade_rule: Some(DayTradeRule::Legacy), ..Overrides::default() };
    let limits = Limits::tightened(&overrides).expect("tighter");
    let (mut reviewer, _) = reviewer(limits.clone());
    let fill = |side, sequence: u64| Fill {
        client_id: id(sequence),
        execution_id: sandpit_types::ExecutionId::new(format!("x{sequence}")),
        symbol: spy(),
        side,
        qty: qty(10),
        price: price(100),
        time: now(),
    };
    let mut poor = account(20_000);
    poor.last_equity = Usd::new(20_000.into());
    for round in 0..3 {
        reviewer.filled(&fill(Side::Buy, 2 * round), qty(10));
        reviewer.filled(&fill(Side::Sell, 2 * round + 1), qty(0));
    }
    let facts = reviewer.facts();
    let kept: BTreeMap<String, String> =
        facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();

    let (mut reviewer, _) = self::reviewer(limits);
    reviewer.restore(&kept);
    reviewer.account(&poor, Standing::Explained, now());
    let mut books = books();
    work(&mut books, 1, &submit(1, Side::Buy, 10), Links::default(), 10);
    reviewer.filled(&fill(Side::Buy, 9), qty(10));
    let exit = reviewer.review(&strategy(), &submit(2, Side::Sell, 10), None, &books, now());
    assert_eq!(exit.map(drop), Err(Refusal::DayTrades));
    poor.last_equity = Usd::new(25_000.into());
    reviewer.account(&poor, Standing::Explained, now());
    let exit = reviewer.review(&strategy(), &submit(2, Side::Sell, 10), None, &books, now());
    assert_eq!(exit.map(drop), Ok(()));
}

#[test]
fn what_a_strategy_is_granted_and_owns_is_looked_up_with_each_order() {
    let (mut reviewer, _) = reviewer(Limits::default());
    reviewer.account(&account(100_000), Standing::Explained, now());
    let mut books = books();
    let rests = |id| {
        let kind = OrderKind::Limit { limit_price: price(100) };
        Submit { kind, ..submit(id, Side::Buy, 10) }
    };
    work(&mut books, 1, &submit(1, Side::Buy, 10), Links::default(), 10);
    work(&mut books, 2, &rests(2), Links::default(), 0);
    let situation = |reviewer: &Reviewer<_>, of: &StrategyName| {
        reviewer.situation(of, &submit(3, Side::Buy, 1), None, &books, now())
    };
    let other = StrategyName::new("other");
    // Ten shares are held and ten more are open, at 100 where nobody knows a price.
    assert_eq!(situation(&reviewer, &strategy()).own_exposure, Usd::new(2_000.into()));
    assert_eq!(situation(&reviewer, &other).own_exposure, Usd::ZERO);
    assert_eq!(situation(&reviewer, &other).gross_exposure, Usd::new(2_000.into()));
    let grant = sandpit_risk::Grant { orders_per_minute: Some(7), ..Default::default() };
    reviewer.owners.take(&strategy(), &[spy()], grant.clone()).expect("it is nobody's");
    let found = situation(&reviewer, &strategy());
    assert_eq!((found.owner, found.grant), (Some(strategy()), grant));
    let asked = reviewer.review(&other, &submit(4, Side::Buy, 1), None, &books, now());
    assert_eq!(asked.map(drop), Err(Refusal::NotOwner));
    reviewer.owners.release(&strategy());
    assert_eq!(situation(&reviewer, &strategy()).owner, None);
}
