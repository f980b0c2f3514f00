//! The trade-updates loop.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use sandpit_broker::StreamError;
use sandpit_ingest::{Fall, StreamState, Suspicion, UpdateLoop, UpdateSink};
use sandpit_types::{
    BrokerOrder, BrokerOrderId, MarketTime, OrderStatus, Qty, Side, Symbol, TradeEvent, TradeUpdate,
};

use tokio::sync::mpsc;

use crate::fakes::{Feed, opening, reins, until};

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn say(&self, word: &str) {
        self.0.lock().unwrap().push(word.to_owned());
    }

    fn words(&self) -> String {
        self.0.lock().unwrap().join(" ")
    }
}

impl UpdateSink for Told {
    async fn update(&mut self, update: TradeUpdate) {
        self.say(update.order.id.as_str());
    }

    async fn up(&mut self) {
        self.say("up");
    }

    async fn down(&mut self) {
        self.say("down");
    }
}

fn update(id: &str) -> TradeUpdate {
    TradeUpdate {
        event: TradeEvent::New,
        execution_id: None,
        price: None,
        qty: None,
        time: MarketTime::EPOCH,
        order: BrokerOrder {
            id: BrokerOrderId::new(id),
            client_id: String::new(),
            symbol: Symbol::new("SPY"),
            side: Side::Buy,
            qty: None,
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
        },
    }
}

fn down() -> StreamError {
    StreamError::Down { message: "pulled".to_owned() }
}

#[tokio::test]
async fn falls_are_told_once_and_nothing_is_lost() {
    let (first, one) = opening();
    let (second, two) = opening();
    let feed = Feed::new(vec![Some(Err(down())), Some(Err(down())), one, two, None]);
    let updates = UpdateLoop::new(feed, 9);
    let (stats, told) = (updates.stats(), Told::default());
    let (hands, reins) = reins();
    let task = tokio::spawn(updates.run(told.clone(), reins));
    for id in ["a", "b"] {
        first.send(Ok(update(id))).unwrap();
    }
    first.send(Err(down())).unwrap();
    second.send(Ok(update("c"))).unwrap();
    until("all of it", || told.words() == "down up a b down up c").await;
    assert_eq!((stats.updates(), stats.connection.opens(), stats.connection.falls()), (3, 2, 3));
    assert_eq!(stats.connection.state(), StreamState::Proving);
    hands.probes.send(7).await.expect("the loop runs");
    until("the answer", || hands.pulse.nonce() == 7).await;
    drop(second);
    until("the next fall", || told.words() == "down up a b down up c down").await;
    hands.stop.send(true).expect("the loop runs");
    task.await.expect("it ends in peace");
}

fn suspicion(connection: u64) -> Suspicion {
    Suspicion { connection, what: "an order is filled".to_owned() }
}

#[tokio::test]
async fn a_suspected_stream_is_made_again() {
    let (first, one) = opening();
    let (second, two) = opening();
    let (tell, suspicions) = mpsc::channel(8);
    let updates = UpdateLoop::new(Feed::new(vec![one, two]), 9).with_suspicions(suspicions);
    let (stats, told) = (updates.stats(), Told::default());
    let (hands, reins) = reins();
    let task = tokio::spawn(updates.run(told.clone(), reins));
    first.send(Ok(update("a"))).unwrap();
    until("the stream", || told.words() == "up a").await;
    // Many suspicions about one stream are one, and those told before the next is open are not about it.
    for _ in 0..3 {
        tell.send(suspicion(1)).await.unwrap();
    }
    until("the fall", || told.words() == "up a down").await;
    assert!(first.is_closed(), "the old socket was dropped");
    tell.send(suspicion(1)).await.unwrap();
    second.send(Ok(update("b"))).unwrap();
    until("the next stream", || told.words() == "up a down up b").await;
    // One that was long under way is about the first stream, too.
    tell.send(suspicion(1)).await.unwrap();
    until("it is heard", || tell.capacity() == tell.max_capacity()).await;
    second.send(Ok(update("c"))).unwrap();
    until("the same stream", || told.words() == "up a down up b c").await;
    assert_eq!(stats.connection.falls_by(Fall::Suspected), 1);
    // Nobody left to suspect anything is no reason to spin.
    drop(tell);
    let work = hands.pulse.progress();
    // A loop that spun would work at each of these turns of the runtime.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(hands.pulse.progress() < work + 20);
    hands.stop.send(true).expect("the loop runs");
    task.await.expect("it ends in peace");
}

#[tokio::test]
async fn a_handshake_that_hangs_is_given_up() {
    let (hand, two) = opening();
    let updates = UpdateLoop::new(Feed::new(vec![None, two]), 9).with_bound(Duration::from_millis(100));
    let told = Told::default();
    let (hands, reins) = reins();
    let task = tokio::spawn(updates.run(told.clone(), reins));
    hand.send(Ok(update("a"))).unwrap();
    until("the second try", || told.words() == "down up a").await;
    hands.stop.send(true).expect("the loop runs");
    task.await.expect("it ends in peace");
}
