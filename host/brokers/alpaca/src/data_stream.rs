//! The data and news streams: the edge around the greeting, then data.

use std::{mem, sync::Arc};

use sandpit_broker::{DataFeed, DataSession, StreamError, Subscription};
use sandpit_types::{MarketEvent, Symbol};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::{
    Alpaca, OddityCounts,
    config::Secret,
    decode::{Control, Decoder},
    greeting::{Greeting, Input, Message, Output},
    oddities::Oddities,
    socket::{Endpoint, Socket, down},
};

/// More events than this before the broker's last word of the greeting end the session.
const MAX_EARLY: usize = 10_000;
/// One call of `next` reads no further frames once it has so many events; a single frame may hold more.
const MAX_BATCH_EVENTS: usize = 4_096;
/// One call of `next` reads at most so many frames.
const MAX_BATCH_FRAMES: usize = 4_096;

/// One open data connection.
pub struct AlpacaData {
    socket: Socket,
    decoder: Decoder,
    greeting: Greeting,
    controls: Vec<Control>,
    /// Events that came before the broker's last word of the greeting.
    early: Vec<MarketEvent>,
    oddities: Arc<Oddities>,
}

/// The news stream of Alpaca, as a [`DataFeed`] of its own: it opens what `news` of a subscription names, and
/// nothing else of it.
pub struct AlpacaNews(pub Arc<Alpaca>);

impl DataFeed for Alpaca {
    type Session = AlpacaData;

    async fn open(&self, subscription: &Subscription) -> Result<AlpacaData, StreamError> {
        let wanted = Subscription { news: Vec::new(), ..subscription.clone() };
        let subscribe = json!({
            "action": "subscribe",
            "bars": names(&wanted.bars),
            "updatedBars": names(&wanted.bars),
            "quotes": names(&wanted.quotes),
            "trades": names(&wanted.trades),
        });
        AlpacaData::open(self, &self.data_stream, wanted, subscribe).await
    }
}

impl DataFeed for AlpacaNews {
    type Session = AlpacaData;

    async fn open(&self, subscription: &Subscription) -> Result<AlpacaData, StreamError> {
        let wanted = Subscription { news: subscription.news.clone(), ..Subscription::default() };
        let subscribe = json!({"action": "subscribe", "news": names(&wanted.news)});
        AlpacaData::open(&self.0, &self.0.news_stream, wanted, subscribe).await
    }
}

impl DataSession for AlpacaData {
    async fn next(&mut self, out: &mut Vec<MarketEvent>) -> Result<(), StreamError> {
        if !self.early.is_empty() {
            out.append(&mut self.early);
            self.early = Vec::new();
            return Ok(());
        }
        let enough = out.len() + MAX_BATCH_EVENTS;
        let frame = self.socket.frame().await?;
        self.read(&frame, out)?;
        // From here on nothing waits, so that nothing can be lost by giving up.
        for _ in 1..MAX_BATCH_FRAMES {
            if out.len() >= enough {
                break;
            }
            let Some(frame) = self.socket.arrived() else { break };
            self.read(&frame?, out)?;
        }
        Ok(())
    }
}

impl AlpacaData {
    /// What the data and news streams of this adapter said that nobody uses.
    pub fn oddities(&self) -> OddityCounts {
        self.oddities.counts()
    }

    async fn open(
        alpaca: &Alpaca,
        endpoint: &Endpoint,
        wanted: Subscription,
        subscribe: Value,
    ) -> Result<Self, StreamError> {
        let socket = Socket::connect(endpoint).await?;
        let oddities = Arc::clone(&alpaca.oddities);
        let mut session = Self {
            socket,
            decoder: Decoder::new(Arc::clone(&oddities)),
            greeting: Greeting::new(wanted, endpoint.timeout, Instant::now().into_std()),
            controls: Vec::new(),
            early: Vec::new(),
            oddities,
        };
        session.greet(&alpaca.key_id, &alpaca.secret, &subscribe).await?;
        Ok(session)
    }

    /// Does what the greeting says until it is over; data that comes before is kept.
    async fn greet(
        &mut self,
        key_id: &Secret,
        secret: &Secret,
        subscribe: &Value,
    ) -> Result<(), StreamError> {
        let mut is_open = false;
        while !is_open {
            let (deadline, _) = self.greeting.deadline().expect("it is neither open nor failed");
            let inputs = match timeout_at(deadline.into(), self.socket.frame()).await {
                Ok(frame) => self.heard(&frame?)?,
                Err(_) => vec![Input::Deadline],
            };
            for input in inputs {
                match self.greeting.on(input, Instant::now().into_std()) {
                    Output::Send(Message::Auth) => {
                        let (key, secret) = (key_id.expose(), secret.expose());
                        self.socket.send(&json!({"action": "auth", "key": key, "secret": secret})).await?;
                    }
                    Output::Send(Message::Subscribe) => self.socket.send(subscribe).await?,
                    Output::Wait => {}
                    Output::Open => is_open = true,
                    Output::Fail(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// The messages of a frame during the greeting.
    fn heard(&mut self, frame: &[u8]) -> Result<Vec<Input>, StreamError> {
        self.decoder.frame(frame, &mut self.early, &mut self.controls).map_err(|e| down(e.to_string()))?;
        if self.early.len() > MAX_EARLY {
            return Err(down(format!("more than {MAX_EARLY} events before the greeting is over")));
        }
        Ok(mem::take(&mut self.controls).into_iter().map(Input::Said).collect())
    }

    /// A frame of the open stream.
    fn read(&mut self, frame: &[u8], out: &mut Vec<MarketEvent>) -> Result<(), StreamError> {
        self.decoder.frame(frame, out, &mut self.controls).map_err(|error| down(error.to_string()))?;
        for control in self.controls.drain(..) {
            match self.greeting.on(Input::Said(control), Instant::now().into_std()) {
                Output::Wait => {}
                Output::Fail(error) => return Err(error),
                Output::Send(_) | Output::Open => return Err(down("the stream opened twice".to_owned())),
            }
        }
        Ok(())
    }
}

fn names(symbols: &[Symbol]) -> Vec<&str> {
    symbols.iter().map(Symbol::as_str).collect()
}
