use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use sandpit_types::{Bar, BarMark, MarketTime, News, Quote, Trade};

use super::*;
use crate::{CONFLATE_ABOVE, NEWS_WAITING_MAX, WAITING_MAX, queue::PLACES_KEPT};

fn bar(symbol: &str, minute: i64) -> StrategyEvent {
    let start = MarketTime::from_secs(60 * minute);
    let symbol = Symbol::new(symbol);
    let bar = Bar { symbol, start, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1, vwap: 1.0 };
    StrategyEvent::Market(MarketEvent::Bar(bar))
}

fn quote(symbol: &str, secs: i64) -> StrategyEvent {
    StrategyEvent::Market(MarketEvent::Quote(Quote {
        symbol: Symbol::new(symbol),
        time: MarketTime::from_secs(secs),
        bid: 1.0,
        bid_size: 1,
        ask: 2.0,
        ask_size: 1,
    }))
}

fn trade(symbol: &str, secs: i64) -> StrategyEvent {
    let (symbol, time) = (Symbol::new(symbol), MarketTime::from_secs(secs));
    StrategyEvent::Market(MarketEvent::Trade(Trade { symbol, time, price: 1.0, size: 1 }))
}

fn marked(symbol: &str, minute: i64) -> StrategyEvent {
    let StrategyEvent::Market(MarketEvent::Bar(bar)) = bar(symbol, minute) else {
        unreachable!("made as one")
    };
    StrategyEvent::Market(MarketEvent::MarkedBar(bar, BarMark::Late))
}

fn news(symbols: &[&str]) -> StrategyEvent {
    StrategyEvent::Market(MarketEvent::News(Box::new(News {
        id: 1,
        created: MarketTime::from_secs(1),
        updated: MarketTime::from_secs(1),
        headline: "It moved".into(),
        summary: String::new(),
        author: String::new(),
        source: String::new(),
        url: String::new(),
        symbols: symbols.iter().map(Symbol::new).collect(),
    })))
}

fn inbox() -> Inbox {
    Inbox::new(["A", "B"].map(Symbol::new))
}

fn drain(inbox: &Inbox) -> Vec<StrategyEvent> {
    let mut events = Vec::new();
    while inbox.waiting() > 0 {
        let Next::Event(event) = inbox.pop() else { panic!("it overflowed") };
        events.push(event);
    }
    events
}

#[test]
fn a_strategy_that_keeps_up_sees_everything_in_order() {
    let inbox = inbox();
    let events = [quote("A", 1), quote("A", 2), bar("A", 1), trade("B", 3), quote("A", 4)];
    for event in &events {
        inbox.push(event.clone());
    }
    inbox.push(quote("FOREIGN", 5));
    inbox.push(bar("FOREIGN", 5));
    assert_eq!(drain(&inbox), events);
    assert_eq!(inbox.conflated(), 0);
}

#[test]
fn a_lagging_one_gets_all_bars_and_the_newest_quotes() {
    let inbox = inbox();
    for minute in 0..1_000 {
        inbox.push(bar("A", minute));
    }
    for secs in 0..1_000 {
        inbox.push(quote("A", secs));
        inbox.push(quote("B", secs));
        inbox.push(trade("A", secs));
    }
    assert_eq!(inbox.waiting(), 1_003);
    assert_eq!(inbox.conflated(), 2_997);
    let events = drain(&inbox);
    assert_eq!(events[..1_000], (0..1_000).map(|minute| bar("A", minute)).collect::<Vec<_>>());
    assert_eq!(events[1_000..], [quote("A", 999), quote("B", 999), trade("A", 999)]);
}

#[test]
fn only_the_newest_tick_waits() {
    let tick = |secs| StrategyEvent::Tick(MarketTime::from_secs(secs));
    let inbox = inbox();
    for event in [tick(1), bar("A", 1), tick(2), quote("A", 3), tick(4), bar("A", 2)] {
        inbox.push(event);
    }
    assert_eq!(drain(&inbox), [bar("A", 1), quote("A", 3), tick(4), bar("A", 2)]);
    // What was taken out is not taken for one that waits.
    inbox.push(tick(5));
    assert_eq!(drain(&inbox), [tick(5)]);
    (0..100_000).for_each(|secs| inbox.push(tick(secs)));
    assert_eq!((inbox.waiting(), inbox.conflated()), (1, 0));
}

#[test]
fn stop_overtakes() {
    let inbox = inbox();
    inbox.push(bar("A", 1));
    inbox.push(StrategyEvent::Stop("enough".into()));
    assert_eq!(inbox.pop(), Next::Event(StrategyEvent::Stop("enough".into())));
    assert_eq!(inbox.pop(), Next::Event(bar("A", 1)));
}

#[test]
fn overflow_is_said_once_and_probes_are_still_answered() {
    let inbox = inbox();
    for minute in 0..=WAITING_MAX as i64 {
        inbox.push(bar("A", minute));
    }
    inbox.push(bar("A", 1));
    inbox.push(quote("A", 1));
    inbox.push(StrategyEvent::Probe(7));
    assert_eq!(inbox.pop(), Next::Overflowed { limit: WAITING_MAX });
    assert_eq!(inbox.pop(), Next::Event(StrategyEvent::Probe(7)));
    assert_eq!(inbox.waiting(), 0);
}

#[test]
fn bars_out_of_turn_and_news_are_kept_and_foreign_ones_are_not() {
    let inbox = inbox();
    let ours = [marked("A", 1), news(&["X", "B"]), news(&[]), marked("B", 2)];
    for event in ours.iter().chain(&[marked("X", 1), news(&["X", "Y"])]) {
        inbox.push(event.clone());
    }
    (0..2_000).for_each(|secs| inbox.push(quote("A", secs)));
    assert_eq!(drain(&inbox)[..4], ours);
}

#[test]
fn too_much_news_is_an_overflow() {
    let inbox = inbox();
    (0..NEWS_WAITING_MAX).for_each(|_| inbox.push(news(&["A"])));
    assert_eq!(inbox.pop(), Next::Event(news(&["A"])));
    inbox.push(news(&["A"]));
    assert_eq!(inbox.waiting(), NEWS_WAITING_MAX);
    inbox.push(news(&["A"]));
    assert_eq!((inbox.pop(), inbox.waiting()), (Next::Overflowed { limit: NEWS_WAITING_MAX }, 0));
}

#[test]
fn a_burst_gives_its_places_back_once_it_was_handled() {
    let inbox = inbox();
    (0..10_000).for_each(|minute| inbox.push(bar("A", minute)));
    assert!(inbox.lock().queue.room() >= 10_000);
    drain(&inbox);
    assert!(inbox.lock().queue.room() <= PLACES_KEPT);
}

#[test]
fn a_strategy_that_hangs_costs_a_bounded_queue() {
    let inbox = inbox();
    for secs in 0..100_000 {
        inbox.push(quote("A", secs));
        inbox.push(StrategyEvent::Tick(MarketTime::from_secs(secs)));
    }
    let queue = &inbox.lock().queue;
    assert_eq!(queue.waiting(), CONFLATE_ABOVE);
    assert!(queue.places() <= 2 * queue.waiting() + 256, "{}", queue.places());
}

#[test]
fn a_sleeper_is_woken_by_a_batch() {
    let inbox = std::sync::Arc::new(inbox());
    let (told, heard) = std::sync::mpsc::channel();
    let sleeper = std::sync::Arc::clone(&inbox);
    let thread = std::thread::spawn(move || {
        for _ in 0..1_000 {
            told.send(sleeper.pop()).expect("somebody listens");
        }
    });
    let patience = std::time::Duration::from_secs(60);
    for secs in 0..1_000 {
        let StrategyEvent::Market(event) = quote("A", secs) else { unreachable!("made as one") };
        inbox.push_market([(&event, inbox.seat(&Symbol::new("A")))]);
        assert_eq!(heard.recv_timeout(patience), Ok(Next::Event(quote("A", secs))));
    }
    thread.join().expect("it counts");
}

/// The rules of the queue in their plainest form: ordered maps, and a search for each event taken out.
#[derive(Default)]
struct Model {
    next: u64,
    kept: VecDeque<(u64, StrategyEvent)>,
    conflatable: BTreeMap<u64, StrategyEvent>,
    newest: BTreeMap<(bool, Symbol), u64>,
    newest_tick: Option<u64>,
    conflated: u64,
    stop: Option<String>,
}

impl Model {
    fn push(&mut self, event: &StrategyEvent) {
        let (is_quote, symbol) = match event {
            StrategyEvent::Stop(reason) => {
                self.stop = Some(reason.clone());
                return;
            }
            StrategyEvent::Market(MarketEvent::Quote(quote)) => (true, &quote.symbol),
            StrategyEvent::Market(MarketEvent::Trade(trade)) => (false, &trade.symbol),
            StrategyEvent::Tick(_) => {
                if let Some(last) = self.newest_tick.replace(self.next) {
                    self.conflatable.remove(&last);
                }
                return self.add(event);
            }
            event => {
                self.kept.push_back((self.next, event.clone()));
                self.next += 1;
                return;
            }
        };
        if symbol.as_str() == "X" {
            return;
        }
        let lags = self.kept.len() + self.conflatable.len() >= CONFLATE_ABOVE;
        let last = self.newest.insert((is_quote, symbol.clone()), self.next);
        if lags && last.and_then(|last| self.conflatable.remove(&last)).is_some() {
            self.conflated += 1;
        }
        self.add(event);
    }

    fn add(&mut self, event: &StrategyEvent) {
        self.conflatable.insert(self.next, event.clone());
        self.next += 1;
    }

    fn pop(&mut self) -> StrategyEvent {
        if let Some(reason) = self.stop.take() {
            return StrategyEvent::Stop(reason);
        }
        let kept = self.kept.front().map_or(u64::MAX, |(sequence, _)| *sequence);
        match self.conflatable.first_entry().filter(|entry| *entry.key() < kept) {
            Some(entry) => entry.remove(),
            None => self.kept.pop_front().expect("something waits").1,
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(StrategyEvent, u16),
    Batch(Vec<StrategyEvent>, bool),
    Pop(u16),
}

fn market_events() -> impl Strategy<Value = StrategyEvent> {
    // Now and then a symbol that is not ours.
    let symbol = prop_oneof![6 => Just("A"), 6 => Just("B"), 1 => Just("X")];
    (symbol, 0_u8..8, 0_i64..1_000).prop_map(|(symbol, what, at)| match (what, symbol) {
        (0, "A" | "B") => bar(symbol, at),
        (1, "A" | "B") => marked(symbol, at),
        (2, _) => news(&["A", symbol]),
        (3 | 4, _) => trade(symbol, at),
        _ => quote(symbol, at),
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let other = (0_u8..3, 0_i64..1_000).prop_map(|(what, at)| match what {
        0 => StrategyEvent::Probe(at.unsigned_abs()),
        1 => StrategyEvent::Stop(at.to_string()),
        _ => StrategyEvent::Tick(MarketTime::from_secs(at)),
    });
    let event = prop_oneof![3 => market_events(), 1 => other];
    let step = prop_oneof![
        4 => (event, 1_u16..40).prop_map(|(event, times)| Step::Push(event, times)),
        2 => (prop::collection::vec(market_events(), 0..60), any::<bool>())
            .prop_map(|(events, seated)| Step::Batch(events, seated)),
        3 => (0_u16..80).prop_map(Step::Pop),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(steps in steps()) {
        let (inbox, mut model) = (inbox(), Model::default());
        for step in steps {
            match step {
                Step::Push(event, times) => for _ in 0..times {
                    inbox.push(event.clone());
                    model.push(&event);
                },
                Step::Batch(events, seated) => {
                    let market = |event: &StrategyEvent| match event {
                        StrategyEvent::Market(event) => event.clone(),
                        other => panic!("not of the market: {other:?}"),
                    };
                    let batch: Vec<_> = events.iter().map(market).collect();
                    let seat = |event: &MarketEvent| match event {
                        MarketEvent::Quote(quote) if seated => inbox.seat(&quote.symbol),
                        MarketEvent::Trade(trade) if seated => inbox.seat(&trade.symbol),
                        _ => None,
                    };
                    inbox.push_market(batch.iter().map(|event| (event, seat(event))));
                    events.iter().for_each(|event| model.push(event));
                }
                Step::Pop(times) => for _ in 0..times {
                    if inbox.waiting() == 0 && model.stop.is_none() {
                        break;
                    }
                    prop_assert_eq!(inbox.pop(), Next::Event(model.pop()));
                },
            }
            prop_assert_eq!(inbox.waiting(), model.kept.len() + model.conflatable.len());
            prop_assert_eq!(inbox.conflated(), model.conflated);
            let queue = &inbox.lock().queue;
            prop_assert!(queue.places() <= 2 * queue.waiting() + 257, "empty places are bounded");
        }
    }
}

#[test]
fn waiting_for_an_event_ends_with_it_or_in_time() {
    let inbox = std::sync::Arc::new(inbox());
    assert_eq!(inbox.pop_within(Duration::from_millis(1)), None);
    let other = std::sync::Arc::clone(&inbox);
    let taker = std::thread::spawn(move || other.pop_within(Duration::from_secs(60)));
    while !inbox.lock().sleeps {
        assert!(!taker.is_finished(), "it did not wait");
        std::thread::yield_now();
    }
    inbox.push(bar("A", 1));
    assert_eq!(taker.join().expect("whole"), Some(Next::Event(bar("A", 1))));
    assert_eq!(inbox.pop_within(Duration::ZERO), None);
}
