//! The news loop.

use std::sync::{Arc, Mutex, atomic::Ordering};

use sandpit_broker::StreamError;
use sandpit_ingest::{Fall, MarketSink, NewsConfig, NewsLoop, StreamState};
use sandpit_types::{MarketClock, MarketEvent, MarketTime, News, Symbol};

use crate::fakes::{FastClock, Feed, Wire, opening, reins, until};

/// A minute of the market is half a second here.
const SPEED: u32 = 120;

#[derive(Clone, Default)]
struct Read(Arc<Mutex<Vec<String>>>);

impl MarketSink for Read {
    fn deliver(&mut self, events: &[MarketEvent]) {
        let mut read = self.0.lock().unwrap();
        read.extend(events.iter().map(|event| match event {
            MarketEvent::News(news) => format!("{}{}", news.id, news.headline),
            other => format!("{other:?}"),
        }));
    }
}

impl Read {
    fn words(&self) -> String {
        self.0.lock().unwrap().join(" ")
    }
}

fn news(id: u64, updated: MarketTime, headline: &str) -> News {
    let (headline, text) = (headline.to_owned(), String::new);
    let (summary, author, source, url) = (text(), text(), text(), text());
    News { id, created: updated, updated, headline, summary, author, source, url, symbols: Vec::new() }
}

fn event(news: &News) -> MarketEvent {
    MarketEvent::News(Box::new(news.clone()))
}

#[tokio::test]
async fn each_version_is_read_once_over_whatever_way() {
    let (first, one) = opening();
    let (second, two) = opening();
    let origin = MarketTime::parse("2013-10-07T13:30:00Z").unwrap();
    let clock = FastClock::new(origin, SPEED);
    let wire = Arc::new(Wire::default());
    let [a, b, c, d] = [(1, "a"), (2, "b"), (1, "c"), (3, "d")]
        .map(|(id, headline)| news(id, clock.now() + std::time::Duration::from_millis(id), headline));
    let newer = News { updated: clock.now() + std::time::Duration::from_secs(1), ..c };
    wire.news.lock().unwrap().push(news(9, origin - std::time::Duration::from_secs(60), "old"));
    wire.news.lock().unwrap().push(a.clone());
    let config = NewsConfig { symbols: vec![Symbol::new("*")], since: origin, seed: 4 };
    let away = || Some(Err(StreamError::Down { message: "away".to_owned() }));
    // Long enough away for a poll in between.
    let feed = Feed::new(vec![one, away(), away(), two]);
    let news_loop = NewsLoop::new(
        config,
        Arc::clone(&feed),
        Arc::clone(&wire),
        Arc::clone(&clock) as Arc<dyn MarketClock>,
    );
    let (stats, read) = (news_loop.stats(), Read::default());
    let (hands, reins) = reins();
    let task = tokio::spawn(news_loop.run(read.clone(), reins));
    // What came out before the stream was up comes from REST, and not again over the stream.
    until("the past", || read.words() == "1a").await;
    first.send(Ok(vec![event(&a), event(&b)])).unwrap();
    until("the stream", || read.words() == "1a 2b").await;
    // A new version while the stream is down.
    wire.news.lock().unwrap().extend([b.clone(), newer.clone()]);
    first.send(Err(StreamError::Down { message: "pulled".to_owned() })).unwrap();
    until("REST", || read.words() == "1a 2b 1c").await;
    // What came out between the last poll and the return is asked for after it, until REST answers.
    wire.fails.store(true, Ordering::SeqCst);
    until("the return", || stats.connection.opens() == 2).await;
    wire.news.lock().unwrap().push(d.clone());
    let asked = wire.asked.load(Ordering::SeqCst);
    until("a request in vain", || wire.asked.load(Ordering::SeqCst) > asked).await;
    wire.fails.store(false, Ordering::SeqCst);
    until("the gap", || read.words() == "1a 2b 1c 3d").await;
    second.send(Ok(vec![event(&newer), event(&d)])).unwrap();
    until("the repeats", || stats.repeats() >= 4).await;
    assert_eq!(read.words(), "1a 2b 1c 3d");
    // What was on its way to the stream and to REST when the stream opened is asked for a minute later.
    wire.news.lock().unwrap().push(news(4, clock.now(), "e"));
    until("the second look", || read.words() == "1a 2b 1c 3d 4e").await;
    assert_eq!(stats.connection.falls_by(Fall::Suspected), 0);
    assert_eq!((stats.news(), stats.connection.state()), (5, StreamState::Proving));
    assert_eq!(feed.asked.lock().unwrap()[0].news, [Symbol::new("*")]);
    hands.stop.send(true).expect("the loop runs");
    task.await.expect("it ends in peace");
}

#[tokio::test]
async fn a_mute_news_stream_is_found_out() {
    let (_mute, one) = opening();
    let origin = MarketTime::parse("2013-10-07T13:30:00Z").unwrap();
    // A quarter of an hour is three seconds.
    let clock = FastClock::new(origin, 300);
    let wire = Arc::new(Wire::default());
    let config = NewsConfig { symbols: vec![Symbol::new("*")], since: origin, seed: 4 };
    let feed = Feed::new(vec![one]);
    let market = Arc::clone(&clock) as Arc<dyn MarketClock>;
    let news_loop = NewsLoop::new(config, feed, Arc::clone(&wire), market);
    let (stats, read) = (news_loop.stats(), Read::default());
    let (hands, reins) = reins();
    let task = tokio::spawn(news_loop.run(read.clone(), reins));
    until("the second look", || stats.polls() == 2).await;
    assert_eq!(stats.connection.falls(), 0, "nothing to tell is no fault");
    wire.news.lock().unwrap().push(news(1, clock.now(), "a"));
    until("the audit", || stats.connection.falls_by(Fall::Suspected) == 1).await;
    assert_eq!(read.words(), "1a");
    hands.stop.send(true).expect("the loop runs");
    task.await.expect("it ends in peace");
}
