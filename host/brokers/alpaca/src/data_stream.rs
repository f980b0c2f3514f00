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
    channels: Channels,
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
        AlpacaData::open(self, &self.data_stream, subscription, Channels::Data).await
    }
}

impl DataFeed for AlpacaNews {
    type Session = AlpacaData;

    async fn open(&self, subscription: &Subscription) -> Result<AlpacaData, StreamError> {
        AlpacaData::open(&self.0, &self.0.news_stream, subscription, Channels::News).await
    }
}

/// What can be asked of a stream; what it does not have may not even be named (410, fact sheet 4).
#[derive(Clone, Copy, Debug)]
enum Channels {
    Data,
    News,
}

impl Channels {
    /// The request to hear something, or not to hear it any more.
    fn request(self, action: &str, what: &Subscription) -> Value {
        match self {
            Self::Data => json!({
                "action": action,
                "bars": names(&what.bars),
                "updatedBars": names(&what.bars),
                "quotes": names(&what.quotes),
                "trades": names(&what.trades),
            }),
            Self::News => json!({"action": action, "news": names(&what.news)}),
        }
    }

    /// What of a subscription this stream serves.
    fn of(self, wanted: &Subscription) -> Subscription {
        match self {
            Self::Data => Subscription { news: Vec::new(), ..wanted.clone() },
            Self::News => Subscription { news: wanted.news.clone(), ..Subscription::default() },
        }
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

    async fn resubscribe(&mut self, to: &Subscription) -> Result<(), StreamError> {
        let (before, to) = (self.greeting.wanted().clone(), self.channels.of(to));
        // First what goes: a small plan may have no room for both.
        let changes = [("unsubscribe", before.without(&to)), ("subscribe", to.without(&before))];
        let changes: Vec<_> = changes.into_iter().filter(|(_, what)| !what.is_empty()).collect();
        self.greeting.want(to, u32::try_from(changes.len()).expect("two at most"));
        for (action, what) in changes {
            self.socket.send(&self.channels.request(action, &what)).await?;
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
        subscription: &Subscription,
        channels: Channels,
    ) -> Result<Self, StreamError> {
        let socket = Socket::connect(endpoint).await?;
        let oddities = Arc::clone(&alpaca.oddities);
        let wanted = channels.of(subscription);
        let subscribe = channels.request("subscribe", &wanted);
        let mut session = Self {
            socket,
            channels,
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
