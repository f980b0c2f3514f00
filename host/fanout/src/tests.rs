use std::sync::Mutex;

use sandpit_strategy::{Next, StrategyEvent};
use sandpit_types::{Bar, BarMark, MarketTime, Quote, StreamHealth, Trade};

use super::*;

struct Trader {
    instruments: Vec<Symbol>,
    wants_news: bool,
    inbox: Inbox,
    counted: AtomicU64,
}

impl Listener for Trader {
    fn instruments(&self) -> &[Symbol] {
        &self.instruments
    }

    fn wants_news(&self) -> bool {
        self.wants_news
    }

    fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    fn count(&self, events: u64) {
        self.counted.fetch_add(events, Ordering::Relaxed);
    }
}

fn trader(symbols: &[&str], wants_news: bool) -> Arc<Trader> {
    let instruments: Vec<_> = symbols.iter().map(Symbol::new).collect();
    let inbox = Inbox::new(instruments.iter().cloned());
    Arc::new(Trader { instruments, wants_news, inbox, counted: AtomicU64::new(0) })
}

fn at(secs: i64) -> MarketTime {
    MarketTime::from_secs(secs)
}

fn quote(symbol: &str, secs: i64) -> MarketEvent {
    let symbol = Symbol::new(symbol);
    MarketEvent::Quote(Quote { symbol, time: at(secs), bid: 1.0, bid_size: 1, ask: 2.0, ask_size: 1 })
}

fn trade(symbol: &str, secs: i64) -> MarketEvent {
    MarketEvent::Trade(Trade { symbol: Symbol::new(symbol), time: at(secs), price: 3.0, size: 1 })
}

fn bar(symbol: &str, minute: i64) -> Bar {
    let (symbol, start) = (Symbol::new(symbol), at(60 * minute));
    Bar { symbol, start, open: 1.0, high: 1.0, low: 1.0, close: 4.0, volume: 1, vwap: 1.0 }
}

fn news(symbols: &[&str]) -> MarketEvent {
    MarketEvent::News(Box::new(News {
        id: 1,
        created: at(1),
        updated: at(1),
        headline: "It moved".into(),
        summary: String::new(),
        author: String::new(),
        source: String::new(),
        url: String::new(),
        symbols: symbols.iter().map(Symbol::new).collect(),
    }))
}

fn told(trader: &Trader) -> Vec<MarketEvent> {
    let mut events = Vec::new();
    while trader.inbox.waiting() > 0 {
        match trader.inbox.pop() {
            Next::Event(StrategyEvent::Market(event)) => events.push(event),
            other => panic!("{other:?}"),
        }
    }
    events
}

#[test]
fn everybody_is_told_what_concerns_them_in_order() {
    let traders =
        [trader(&["A", "B"], true), trader(&["B", "C"], false), trader(&["D"], true), trader(&[], true)];
    let (tape, counts) = (Arc::new(Tape::default()), Arc::new(DataCounts::default()));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let first = {
        let seen = seen.clone();
        move |events: &[MarketEvent]| seen.lock().expect("whole").extend_from_slice(events)
    };
    let mut fan_out =
        FanOut::new(first, tape.clone(), counts.clone(), Arc::new(Roster::of(traders.to_vec())));
    let (late, health) = (MarketEvent::MarkedBar(bar("A", 1), BarMark::Late), StreamHealth::Live);
    let events = [
        quote("A", 1),
        quote("B", 2),
        MarketEvent::BarsComplete(at(0)),
        trade("C", 3),
        quote("X", 4),
        MarketEvent::Bar(bar("B", 2)),
        late,
        news(&["A", "B", "C"]),
        news(&["X"]),
        news(&[]),
        MarketEvent::Health(health, at(9)),
    ];
    fan_out.deliver(&events[..6]);
    fan_out.deliver(&events[6..]);
    assert_eq!(*seen.lock().expect("whole"), events);
    let check = |trader: usize, expected: &[usize]| {
        let expected: Vec<_> = expected.iter().map(|at| events[*at].clone()).collect();
        assert_eq!(traders[trader].counted.load(Ordering::Relaxed), expected.len() as u64);
        assert_eq!(told(&traders[trader]), expected, "trader {trader}");
    };
    check(0, &[0, 1, 2, 5, 6, 7, 9, 10]);
    check(1, &[1, 2, 3, 5, 10]);
    check(2, &[2, 9, 10]);
    check(3, &[2, 9, 10]);
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((read(&counts.bars), read(&counts.quotes), read(&counts.trades)), (2, 3, 1));
    let last = |symbol: &str| tape.last(&Symbol::new(symbol));
    assert_eq!(last("B").quote.map(|quote| quote.time), Some(at(2)));
    assert_eq!(last("C").price.map(|last| last.price.to_string()).as_deref(), Some("3"));
    assert_eq!(last("A").price.map(|last| last.time), Some(at(120)));
    assert_eq!(last("X").quote.map(|quote| quote.time), Some(at(4)), "somebody may hold it");
}

#[test]
fn a_batch_longer_than_a_round_arrives_whole() {
    let trader = trader(&["A", "B"], false);
    let mut fan_out = FanOut::new(
        |_: &[MarketEvent]| {},
        Arc::default(),
        Arc::default(),
        Arc::new(Roster::of(vec![trader.clone()])),
    );
    let bars: Vec<_> = (0..3 * ROUND_EVENTS as i64 / 2).map(|at| MarketEvent::Bar(bar("A", at))).collect();
    fan_out.deliver(&bars);
    assert_eq!(told(&trader), bars);
    assert_eq!(trader.counted.load(Ordering::Relaxed), bars.len() as u64);
}

#[test]
fn who_comes_is_told_from_the_next_batch_on_and_who_left_is_not() {
    let (old, new) = (trader(&["A", "B"], false), trader(&["B", "C"], true));
    let roster = Arc::new(Roster::of(vec![old.clone()]));
    let tape = Arc::new(Tape::default());
    let mut fan_out = FanOut::new(|_: &[MarketEvent]| {}, tape.clone(), Arc::default(), roster.clone());
    let mut check = |events: &[MarketEvent], expected: [usize; 2]| {
        fan_out.deliver(events);
        assert_eq!([told(&old).len(), told(&new).len()], expected, "{events:?}");
    };
    let all = |secs| [quote("A", secs), quote("B", secs), quote("C", secs)];
    check(&all(1), [2, 0]);
    roster.change(|members| members.push(new.clone()));
    check(&all(2), [2, 2]);
    check(&[news(&["C"])], [0, 1]);
    roster.change(|members| members.retain(|member| !Arc::ptr_eq(member, &old)));
    check(&all(3), [0, 2]);
    roster.change(Vec::clear);
    check(&all(4), [0, 0]);
    for held in ["A", "B", "C"] {
        let last = tape.last(&Symbol::new(held));
        assert_eq!(last.quote.map(|quote| quote.time), Some(at(4)), "who has left may still hold {held}");
    }
}
