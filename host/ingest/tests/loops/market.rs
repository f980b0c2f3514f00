//! The market-data loop.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sandpit_broker::{StreamError, Subscription};
use sandpit_ingest::{Fall, Ingest, IngestConfig, IngestStats, MarketSink, Resubscription, StreamState};
use sandpit_types::{BarMark, MarketClock, MarketEvent, MarketTime, SessionDay, StreamHealth, Symbol};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use crate::fakes::{Books, FastClock, Feed, Hands, bar, opening, quote, reins, until};

/// A minute of the market is half a second here.
const SPEED: u32 = 120;

#[derive(Clone, Default)]
struct Delivered(Arc<Mutex<Vec<MarketEvent>>>, Arc<AtomicBool>);

/// Longer than any patience with a stream.
const STALL: Duration = Duration::from_millis(3_200);

impl MarketSink for Delivered {
    fn deliver(&mut self, events: &[MarketEvent]) {
        self.0.lock().unwrap().extend_from_slice(events);
        if self.1.swap(false, Ordering::SeqCst) {
            // The whole thread stands still: nobody ever sends this.
            let (_hand, never) = std::sync::mpsc::channel::<()>();
            never.recv_timeout(STALL).expect_err("it only takes time");
        }
    }
}

impl Delivered {
    fn health(&self) -> Vec<StreamHealth> {
        let events = self.0.lock().unwrap();
        events
            .iter()
            .filter_map(|event| match event {
                MarketEvent::Health(health, _) => Some(*health),
                _ => None,
            })
            .collect()
    }

    /// The starts of the bars of `symbol` that came with this mark, as minutes since the origin.
    fn marked(&self, symbol: &Symbol, wanted: BarMark) -> Vec<u64> {
        let events = self.0.lock().unwrap();
        let of = |event: &MarketEvent| match event {
            MarketEvent::MarkedBar(bar, mark) if bar.symbol == *symbol && *mark == wanted => {
                Some(bar.start.since(origin()).as_secs() / 60)
            }
            _ => None,
        };
        events.iter().filter_map(of).collect()
    }

    fn has_quote_of(&self, symbol: &Symbol) -> bool {
        let events = self.0.lock().unwrap();
        events.iter().any(|event| matches!(event, MarketEvent::Quote(quote) if quote.symbol == *symbol))
    }

    /// The starts of the bars of `symbol`, as minutes since the origin.
    fn minutes(&self, symbol: &Symbol) -> Vec<u64> {
        let events = self.0.lock().unwrap();
        events
            .iter()
            .filter_map(|event| match event {
                MarketEvent::Bar(bar) if bar.symbol == *symbol => {
                    Some(bar.start.since(origin()).as_secs() / 60)
                }
                _ => None,
            })
            .collect()
    }
}

struct Running {
    delivered: Delivered,
    stats: Arc<IngestStats>,
    books: Arc<Books>,
    clock: Arc<FastClock>,
    hands: Hands,
    task: JoinHandle<()>,
}

fn origin() -> MarketTime {
    MarketTime::parse("2013-10-07T13:30:00Z").unwrap()
}

fn symbol() -> Symbol {
    Symbol::new("SPY")
}

fn start(feed: Arc<Feed<Vec<MarketEvent>>>) -> Running {
    start_since(feed, origin())
}

fn start_since(feed: Arc<Feed<Vec<MarketEvent>>>, since: MarketTime) -> Running {
    start_with(feed, vec![symbol()], since)
}

/// A loop for the bars of [`symbol`] and the quotes of `quotes`, with the canary CNRY if there are any.
fn start_with(feed: Arc<Feed<Vec<MarketEvent>>>, quotes: Vec<Symbol>, since: MarketTime) -> Running {
    let canary = (!quotes.is_empty()).then(|| Symbol::new("CNRY"));
    // A second of real time.
    start_full(feed, quotes, canary, since, Duration::from_secs(u64::from(SPEED)))
}

fn start_full(
    feed: Arc<Feed<Vec<MarketEvent>>>,
    quotes: Vec<Symbol>,
    canary: Option<Symbol>,
    since: MarketTime,
    ahead: Duration,
) -> Running {
    let subscription = Subscription { bars: vec![symbol()], quotes, trades: vec![], news: vec![] };
    start_changing(feed, subscription, canary, since, ahead).0
}

fn start_changing(
    feed: Arc<Feed<Vec<MarketEvent>>>,
    subscription: Subscription,
    canary: Option<Symbol>,
    since: MarketTime,
    ahead: Duration,
) -> (Running, mpsc::Sender<Resubscription>) {
    let clock = FastClock::new(origin(), SPEED);
    let (no, fails) = (|| AtomicBool::new(false), AtomicBool::new(false));
    let halted = Mutex::new(None);
    let (quotes_fail, hangs, canary_sings) = (no(), no(), no());
    let books = Books { clock: Arc::clone(&clock), fails, quotes_fail, hangs, canary_sings, halted };
    let books = Arc::new(books);
    let config = IngestConfig {
        days: vec![SessionDay { open: origin(), close: origin() + Duration::from_secs(23_400) }],
        since,
        bars_grace: IngestConfig::BARS_GRACE,
        ahead,
        watches: IngestConfig::usual_watches(&subscription, canary.as_ref()),
        subscription,
        canary,
        seed: 1,
    };
    let ingest = Ingest::new(config, feed, Arc::clone(&books), Arc::clone(&clock) as Arc<dyn MarketClock>);
    let (changer, changes) = mpsc::channel(1);
    let ingest = ingest.with_bounds(Duration::from_secs(2), Duration::from_millis(500)).with_changes(changes);
    let (stats, delivered) = (ingest.stats(), Delivered::default());
    let (hands, reins) = reins();
    let task = tokio::spawn(ingest.run(delivered.clone(), reins));
    (Running { delivered, stats, books, clock, hands, task }, changer)
}

impl Running {
    async fn stop(self) {
        self.hands.stop.send(true).expect("the loop runs");
        self.task.await.expect("it ends in peace");
    }

    /// Waits while the stream says something now and then.
    async fn until_while(
        &self,
        what: &str,
        hand: &mpsc::UnboundedSender<Result<Vec<MarketEvent>, StreamError>>,
        holds: impl FnMut() -> bool,
    ) {
        let keeps_talking = async {
            loop {
                let sung = bar(&Symbol::new("CNRY"), self.clock.now().minute() - Duration::from_secs(60));
                hand.send(Ok([self.fresh_quote(), vec![MarketEvent::Bar(sung)]].concat())).unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            () = keeps_talking => unreachable!("it never ends"),
            () = until(what, holds) => {}
        }
    }

    fn fresh_quote(&self) -> Vec<MarketEvent> {
        vec![MarketEvent::Quote(quote(&symbol(), self.clock.now()))]
    }

    /// Bars of `symbol` are the minutes 0, 1, 2 and so on: none missing, none twice.
    fn assert_whole(&self) {
        let minutes = self.delivered.minutes(&symbol());
        let expected: Vec<u64> = (0..minutes.len() as u64).collect();
        assert_eq!(minutes, expected);
    }
}

#[tokio::test]
async fn rest_carries_the_data_and_the_gap_is_filled() {
    let (first, one) = opening();
    let (second, two) = opening();
    let feed = Feed::new(vec![one, two]);
    let running = start(Arc::clone(&feed));
    first.send(Ok(running.fresh_quote())).unwrap();
    until("the stream", || running.stats.connection.state() == StreamState::Live).await;
    until("health", || running.delivered.health() == [StreamHealth::Live]).await;
    let now = running.clock.now().minute();
    first.send(Ok(vec![MarketEvent::Bar(bar(&symbol(), now))])).unwrap();
    first.send(Err(StreamError::Down { message: "pulled".to_owned() })).unwrap();

    until("polls", || running.delivered.health().last() == Some(&StreamHealth::Fallback)).await;
    // Now REST is away, too, until the stream is back.
    running.books.fails.store(true, Ordering::SeqCst);
    until("the new connection", || running.stats.connection.opens() == 2).await;
    running.books.fails.store(false, Ordering::SeqCst);
    // While the gap is filled, the stream has the bar of this minute already, and REST has it too.
    let bar_now = MarketEvent::Bar(bar(&symbol(), running.clock.now().minute() - Duration::from_secs(60)));
    second.send(Ok(vec![bar_now])).unwrap();
    second.send(Ok(running.fresh_quote())).unwrap();
    until("health", || running.delivered.health().last() == Some(&StreamHealth::Live)).await;
    until("the gap", || running.stats.gaps_filled() >= 1).await;
    running.assert_whole();
    let health = running.delivered.health();
    let expected = [StreamHealth::Live, StreamHealth::Stale, StreamHealth::Fallback, StreamHealth::Stale];
    assert_eq!(health[..4], expected, "{health:?}");
    assert_eq!(health.last(), Some(&StreamHealth::Live));
    assert!(running.stats.fallback_latency_ms() < 100, "REST was asked at once");
    assert_eq!(running.stats.connection.falls(), 1);
    assert_eq!(running.stats.health(), StreamHealth::Live);
    running.stop().await;
}

#[tokio::test]
async fn a_mute_stream_counts_as_down() {
    let (mute, one) = opening();
    let (talks, two) = opening();
    let running = start(Feed::new(vec![one, two]));
    until("the first connection", || running.stats.connection.opens() == 1).await;
    until("its fall", || running.stats.connection.falls() == 1).await;
    assert!(mute.is_closed(), "the mute socket was dropped");
    assert!(running.delivered.health().contains(&StreamHealth::Fallback), "{:?}", running.delivered.health());
    until("the second connection", || running.stats.connection.opens() == 2).await;
    talks.send(Ok(running.fresh_quote())).unwrap();
    until("health", || running.delivered.health().last() == Some(&StreamHealth::Live)).await;
    running.assert_whole();
    running.stop().await;
}

#[tokio::test]
async fn without_rest_the_stream_goes_on_and_says_what_is_missing() {
    let (hand, one) = opening();
    let running = start_since(Feed::new(vec![one]), origin() - Duration::from_secs(600));
    running.books.fails.store(true, Ordering::SeqCst);
    until("the connection", || running.stats.connection.opens() == 1).await;
    running.until_while("the end of the tries", &hand, || running.stats.gaps_open() == 1).await;
    until("quotes", || running.stats.quotes() > 0).await;
    assert_eq!(running.stats.connection.falls(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_history_that_hangs_holds_nothing_up() {
    let (hand, one) = opening();
    let running = start_since(Feed::new(vec![one]), origin() - Duration::from_secs(600));
    running.books.hangs.store(true, Ordering::SeqCst);
    until("the connection", || running.stats.connection.opens() == 1).await;
    hand.send(Ok(running.fresh_quote())).unwrap();
    until("the open gap", || running.stats.gaps_open() == 1).await;
    assert_eq!(running.stats.quotes(), 1, "quotes do not wait for bars");
    running.stop().await;
}

#[tokio::test]
async fn a_connection_that_hangs_is_made_again() {
    let (_hand, two) = opening();
    let running = start(Feed::new(vec![None, two]));
    until("the second try", || running.stats.connection.opens() == 1).await;
    assert_eq!(running.stats.connection.falls(), 1);
    running.stop().await;
}

#[tokio::test]
async fn polled_bars_come_without_quotes_too() {
    let running = start(Feed::new(Vec::new()));
    running.books.quotes_fail.store(true, Ordering::SeqCst);
    until("bars", || running.stats.bars() >= 2).await;
    assert!(running.stats.polls_failed() > 0);
    assert_eq!(running.stats.quotes(), 0);
    running.assert_whole();
    running.stop().await;
}

#[tokio::test]
async fn probes_are_answered_while_a_connection_hangs() {
    let running = start(Feed::new(vec![None]));
    until("the try", || running.stats.connection.state() == StreamState::Opening).await;
    running.hands.probes.send(41).await.expect("the loop runs");
    until("the answer", || running.hands.pulse.nonce() == 41).await;
    running.stop().await;
}

#[tokio::test]
async fn tries_are_paced_while_the_broker_is_away() {
    let refused = || Some(Err(StreamError::Down { message: "refused".to_owned() }));
    let feed = Feed::new(vec![refused(), refused()]);
    let running = start(Arc::clone(&feed));
    until("three tries", || feed.opens.load(Ordering::SeqCst) == 3).await;
    assert!(
        running.clock.now().since(origin()) >= SPEED * Duration::from_millis(500 + 1_000),
        "half the schedule"
    );
    assert_eq!(running.stats.connection.opens(), 0);
    until("polls", || running.delivered.health().last() == Some(&StreamHealth::Fallback)).await;
    running.assert_whole();
    running.stop().await;
}

#[tokio::test]
async fn a_slow_fall_is_mended_at_once() {
    let (first, one) = opening();
    let (_second, two) = opening();
    let running = start(Feed::new(vec![one, two]));
    first.send(Ok(running.fresh_quote())).unwrap();
    until("the stream", || running.stats.connection.state() == StreamState::Live).await;
    let fell = Instant::now();
    first.send(Err(StreamError::Slow { message: "407".to_owned() })).unwrap();
    until("the second connection", || running.stats.connection.opens() == 2).await;
    assert!(fell.elapsed() < Duration::from_millis(500), "sooner than after any other fall");
    assert_eq!(running.stats.connection.falls_by(Fall::Slow), 1);
    assert_eq!(running.stats.connection.failures(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_ghost_is_no_failure_and_rest_carries_the_data_meanwhile() {
    let running = start(Feed::new(vec![Some(Err(StreamError::Occupied { message: "406".to_owned() }))]));
    until("the ghost", || running.stats.connection.falls_by(Fall::Occupied) == 1).await;
    until("polls", || running.delivered.health().last() == Some(&StreamHealth::Fallback)).await;
    assert_eq!((running.stats.connection.failures(), running.stats.connection.pages()), (0, 0));
    until("bars", || running.stats.bars() >= 2).await;
    running.assert_whole();
    running.stop().await;
}

#[tokio::test]
async fn too_many_symbols_become_fewer_and_rest_carries_the_others() {
    let (hand, two) = opening();
    let refused = Some(Err(StreamError::TooManySymbols { message: "405".to_owned() }));
    let feed = Feed::new(vec![refused, two]);
    let mut quotes = vec![symbol()];
    quotes.extend((0..39).map(|n| Symbol::new(format!("S{n}"))));
    let last = quotes.last().unwrap().clone();
    let running = start_with(Arc::clone(&feed), quotes, origin());
    until("the second try", || running.stats.connection.opens() == 1).await;
    let health = |health| running.delivered.health().last() == Some(&health);
    running.until_while("health", &hand, || health(StreamHealth::Live)).await;
    running.delivered.0.lock().unwrap().clear();
    let polled = || running.delivered.has_quote_of(&last);
    running.until_while("a quote of the last symbol", &hand, polled).await;
    let asked: Vec<usize> = feed.asked.lock().unwrap().iter().map(|asked| asked.quotes.len()).collect();
    assert_eq!(asked, [41, 30], "the canary is one of them");
    assert_eq!(running.stats.untold_quotes(), 11);
    assert_eq!(running.stats.connection.pages(), 1);
    assert_eq!(running.stats.health(), StreamHealth::Live);
    running.stop().await;
}

#[tokio::test]
async fn an_audit_finds_what_a_live_stream_lost() {
    let (hand, one) = opening();
    let running = start(Feed::new(vec![one]));
    let past = |minute: u64| origin() + Duration::from_secs(60 * minute);
    running.until_while("two minutes", &hand, || running.clock.now() > past(2)).await;
    // The bar of minute 0 got lost, and that of minute 1 came with figures of its own.
    let mut other = bar(&symbol(), past(1));
    other.volume = 77;
    hand.send(Ok(vec![MarketEvent::Bar(other)])).unwrap();
    let is_found = || running.delivered.marked(&symbol(), BarMark::Late) == [0];
    running.until_while("the audit", &hand, is_found).await;
    assert_eq!(running.delivered.marked(&symbol(), BarMark::Corrected), [1]);
    assert!(running.stats.audits() >= 1 && running.stats.audit_finds() >= 1);
    assert_eq!(running.stats.polls(), 0);
    assert_eq!(running.stats.connection.falls(), 0);
    running.stop().await;
}

#[tokio::test]
async fn in_a_halt_the_stream_is_not_at_fault() {
    let (first, one) = opening();
    let (_second, two) = opening();
    let running = start(Feed::new(vec![one, two]));
    first.send(Ok(running.fresh_quote())).unwrap();
    until("the stream", || running.stats.connection.state() == StreamState::Live).await;
    *running.books.halted.lock().unwrap() = Some(running.clock.now());
    until("the silence", || running.stats.connection.falls_by(Fall::Silent) == 1).await;
    assert!(running.stats.silence_ms() >= 3_000);
    until("an excuse", || running.stats.quiet() == 2).await;
    assert_eq!(running.stats.connection.falls(), 1);
    // The market goes on, but this stream does not tell.
    *running.books.halted.lock().unwrap() = None;
    until("the next silence", || running.stats.connection.falls_by(Fall::Silent) == 2).await;
    running.stop().await;
}

#[tokio::test]
async fn the_canary_is_a_pulse_and_not_delivered() {
    let (hand, one) = opening();
    let feed = Feed::new(vec![one]);
    let running = start(Arc::clone(&feed));
    until("the connection", || running.stats.connection.opens() == 1).await;
    let canary = Symbol::new("CNRY");
    let sung = || vec![MarketEvent::Quote(quote(&canary, running.clock.now()))];
    hand.send(Ok(sung())).unwrap();
    until("the pulse", || running.stats.pulses() == 1).await;
    until("health", || running.delivered.health() == [StreamHealth::Live]).await;
    assert!(!running.delivered.has_quote_of(&canary));
    let asked = feed.asked.lock().unwrap()[0].clone();
    assert_eq!((asked.bars, asked.quotes), (vec![canary.clone(), symbol()], vec![canary, symbol()]));
    running.stop().await;
}

#[tokio::test]
async fn an_outage_keeps_nobody_busy_and_its_bars_are_delivered() {
    let running = start(Feed::new(Vec::new()));
    until("polls", || running.delivered.health().last() == Some(&StreamHealth::Fallback)).await;
    running.books.fails.store(true, Ordering::SeqCst);
    let stale = || running.delivered.health().last() == Some(&StreamHealth::Stale);
    until("the end of REST", stale).await;
    // Ten minutes of the market without anything.
    let (work, back) = (running.hands.pulse.progress(), running.clock.now() + Duration::from_secs(600));
    until("ten minutes", || running.clock.now() > back).await;
    let wakeups = running.hands.pulse.progress() - work;
    assert!(wakeups < 60, "{wakeups} wakeups in five seconds");
    running.books.fails.store(false, Ordering::SeqCst);
    until("REST", || running.delivered.health().last() == Some(&StreamHealth::Fallback)).await;
    until("the bars", || running.stats.bars() >= 10).await;
    running.assert_whole();
    assert!(running.stats.connection.pages() <= 1);
    running.stop().await;
}

#[tokio::test]
async fn bars_alone_are_asked_about_before_the_stream_falls() {
    let (hand, one) = opening();
    let running = start_with(Feed::new(vec![one]), Vec::new(), origin());
    until("a minute", || running.clock.now() > origin() + Duration::from_secs(60)).await;
    *running.books.halted.lock().unwrap() = Some(running.clock.now());
    hand.send(Ok(vec![MarketEvent::Bar(bar(&symbol(), origin()))])).unwrap();
    // Nobody trades: that the stream is silent is no wonder.
    until("an excuse", || running.stats.quiet() == 1).await;
    assert_eq!(running.stats.connection.falls(), 0);
    // There are bars, but this stream does not tell.
    *running.books.halted.lock().unwrap() = None;
    until("the silence", || running.stats.connection.falls_by(Fall::Silent) == 1).await;
    until("bars", || running.stats.bars() >= 5).await;
    running.stop().await;
}

#[tokio::test]
async fn a_pause_of_ours_is_no_silence_of_the_stream() {
    let (hand, one) = opening();
    let feed = Feed::new(vec![one]);
    let running = start(Arc::clone(&feed));
    hand.send(Ok(running.fresh_quote())).unwrap();
    until("the stream", || running.stats.connection.state() == StreamState::Live).await;
    feed.lag_ms.store(5, Ordering::SeqCst);
    running.delivered.1.store(true, Ordering::SeqCst);
    hand.send(Ok(running.fresh_quote())).unwrap();
    let later = quote(&symbol(), running.clock.now() + Duration::from_secs(1));
    hand.send(Ok(vec![MarketEvent::Quote(later)])).unwrap();
    until("what came during the pause", || running.stats.quotes() == 3).await;
    assert!(!running.delivered.1.load(Ordering::SeqCst), "there was a pause");
    assert_eq!(running.stats.connection.falls(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_channel_of_the_canary_that_is_not_served_is_noticed() {
    let (hand, one) = opening();
    let running = start(Feed::new(vec![one]));
    // Quotes flow all the time; the bars that were acknowledged never come.
    until("its fall", || {
        let _gone = hand.send(Ok(running.fresh_quote()));
        running.stats.connection.falls_by(Fall::Silent) == 1
    })
    .await;
    assert!(running.clock.now().since(origin()) >= Duration::from_secs(180));
    running.stop().await;
}

#[tokio::test]
async fn a_thin_market_is_no_excuse_where_the_canary_sings() {
    let (first, one) = opening();
    let (_mute, two) = opening();
    let running = start(Feed::new(vec![one, two]));
    running.books.canary_sings.store(true, Ordering::SeqCst);
    first.send(Ok(running.fresh_quote())).unwrap();
    until("the stream", || running.stats.connection.state() == StreamState::Live).await;
    *running.books.halted.lock().unwrap() = Some(running.clock.now());
    first.send(Err(StreamError::Down { message: "pulled".to_owned() })).unwrap();
    until("the mute connection", || running.stats.connection.opens() == 2).await;
    until("its fall", || running.stats.connection.falls_by(Fall::Silent) == 1).await;
    assert_eq!(running.stats.quiet(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_stream_from_the_future_proves_nothing() {
    let (hand, one) = opening();
    let running = start(Feed::new(vec![one]));
    // Our clock is five minutes behind the broker's.
    until("its fall", || {
        let early = quote(&symbol(), running.clock.now() + Duration::from_secs(300));
        let _gone = hand.send(Ok(vec![MarketEvent::Quote(early)]));
        running.stats.connection.falls_by(Fall::Silent) == 1
    })
    .await;
    assert!(running.stats.too_early() > 0);
    assert!(!running.delivered.health().contains(&StreamHealth::Live), "{:?}", running.delivered.health());
    running.stop().await;
}

#[tokio::test]
async fn a_stream_that_audits_find_wanting_is_ended() {
    let (hand, one) = opening();
    let feed = Feed::new(vec![one]);
    let running = start_full(feed, vec![symbol()], None, origin(), IngestConfig::AHEAD);
    // Quotes flow, bars do not, and no canary tells that they should.
    until("its end", || {
        let _gone = hand.send(Ok(running.fresh_quote()));
        running.stats.connection.falls_by(Fall::Silent) == 1
    })
    .await;
    assert!(running.stats.audits() >= 2 && running.stats.audit_finds() >= 2);
    running.stop().await;
}

#[tokio::test]
async fn what_was_received_while_a_gap_was_filled_is_not_thrown_away() {
    let (hand, one) = opening();
    let running = start_since(Feed::new(vec![one]), origin() - Duration::from_secs(600));
    running.books.hangs.store(true, Ordering::SeqCst);
    until("the connection", || running.stats.connection.opens() == 1).await;
    hand.send(Ok(vec![MarketEvent::Bar(bar(&symbol(), origin()))])).unwrap();
    hand.send(Ok(running.fresh_quote())).unwrap();
    until("the quote", || running.stats.quotes() == 1).await;
    assert_eq!(running.stats.bars(), 0, "bars wait for the gap");
    hand.send(Err(StreamError::Down { message: "pulled".to_owned() })).unwrap();
    until("the bar", || running.stats.bars() == 1).await;
    running.stop().await;
}

/// Bars and quotes of these, from this minute on.
fn wanting(names: &[&str], since: MarketTime) -> Resubscription {
    let symbols: Vec<_> = names.iter().map(Symbol::new).collect();
    let (bars, quotes) = (symbols.clone(), symbols);
    let subscription = Subscription { bars, quotes, ..Subscription::default() };
    Resubscription { subscription, fresh: Vec::new(), since }
}

#[tokio::test]
async fn who_comes_late_is_subscribed_on_the_open_connection_and_has_all_bars() {
    let (hand, one) = opening();
    let feed = Feed::new(vec![one]);
    let first = wanting(&["SPY"], origin()).subscription;
    let second_of_ours = Duration::from_secs(u64::from(SPEED));
    let canary = Some(Symbol::new("CNRY"));
    let (running, changer) = start_changing(Arc::clone(&feed), first, canary, origin(), second_of_ours);
    let past = |minute: u64| running.clock.now() > origin() + Duration::from_secs(60 * minute);
    running.until_while("three minutes", &hand, || past(3)).await;
    let since = origin() + Duration::from_secs(60);
    changer.send(wanting(&["SPY", "QQQ"], since)).await.expect("the loop runs");
    let qqq = Symbol::new("QQQ");
    // Late or in their turn: the bars of the others come by the same audit.
    let bars = || [running.delivered.marked(&qqq, BarMark::Late), running.delivered.minutes(&qqq)].concat();
    running.until_while("the bars that it missed", &hand, || bars().contains(&2)).await;
    let mut told = bars();
    told.sort_unstable();
    assert_eq!(told[..2], [1, 2], "from its minute on");
    assert_eq!((running.stats.connection.opens(), running.stats.connection.falls()), (1, 0));
    let changed = feed.changed.lock().unwrap().clone();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].quotes, ["CNRY", "SPY", "QQQ"].map(Symbol::new));
    hand.send(Ok(vec![MarketEvent::Quote(quote(&qqq, running.clock.now()))])).unwrap();
    until("its quote", || running.delivered.has_quote_of(&qqq)).await;
    // Now it leaves again.
    changer.send(wanting(&["SPY"], since)).await.expect("the loop runs");
    until("the change", || feed.changed.lock().unwrap().len() == 2).await;
    let strangers = running.stats.strangers();
    hand.send(Ok(vec![MarketEvent::Quote(quote(&qqq, running.clock.now()))])).unwrap();
    until("a stranger", || running.stats.strangers() > strangers).await;
    running.stop().await;
}

#[tokio::test]
async fn where_nobody_wants_anything_no_connection_is_made() {
    let (hand, one) = opening();
    let feed = Feed::new(vec![one]);
    let nothing = Subscription::default();
    let (running, changer) = start_changing(Arc::clone(&feed), nothing, None, origin(), IngestConfig::AHEAD);
    until("two minutes", || running.clock.now() > origin() + Duration::from_secs(120)).await;
    assert_eq!(feed.opens.load(Ordering::SeqCst), 0);
    assert!(running.hands.pulse.progress() < 20, "it rests: {}", running.hands.pulse.progress());
    changer.send(wanting(&["SPY"], running.clock.now().minute())).await.expect("the loop runs");
    until("the connection", || running.stats.connection.opens() == 1).await;
    assert_eq!(feed.asked.lock().unwrap()[0].quotes, [symbol()]);
    hand.send(Ok(running.fresh_quote())).unwrap();
    until("its quote", || running.delivered.has_quote_of(&symbol())).await;
    assert!(feed.changed.lock().unwrap().is_empty(), "it was asked for at once");
    running.stop().await;
}
