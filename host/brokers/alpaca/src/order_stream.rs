//! The trade-updates stream: the edge around its greeting, then updates.

use std::{collections::VecDeque, sync::Arc};

use sandpit_broker::{OrderFeed, OrderSession, StreamError};
use sandpit_types::TradeUpdate;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::{
    Alpaca,
    oddities::Oddities,
    order_frame::{self, OrderFrame},
    order_greeting::{OrderGreeting, OrderInput, OrderOutput, TRADE_UPDATES},
    socket::{Socket, down},
};

/// More updates than this before the greeting is over end the session.
const MAX_EARLY: usize = 1_000;

/// One open trade-updates connection.
pub struct AlpacaOrders {
    socket: Socket,
    greeting: OrderGreeting,
    oddities: Arc<Oddities>,
    /// Updates that came before the broker's last word of the greeting.
    early: VecDeque<TradeUpdate>,
}

impl OrderFeed for Alpaca {
    type Session = AlpacaOrders;

    async fn open(&self) -> Result<AlpacaOrders, StreamError> {
        let mut socket = Socket::connect(&self.order_stream).await?;
        // The newer, flat form; the older one is being deprecated (fact sheet 3).
        let (key, secret) = (self.key_id.expose(), self.secret.expose());
        socket.send(&json!({"action": "auth", "key": key, "secret": secret})).await?;
        let mut session = AlpacaOrders {
            socket,
            greeting: OrderGreeting::new(self.order_stream.timeout, Instant::now().into_std()),
            oddities: Arc::clone(&self.oddities),
            early: VecDeque::new(),
        };
        session.greet().await?;
        Ok(session)
    }
}

impl OrderSession for AlpacaOrders {
    async fn next(&mut self) -> Result<Option<TradeUpdate>, StreamError> {
        if let Some(update) = self.early.pop_front() {
            return Ok(Some(update));
        }
        let frame = self.socket.frame().await?;
        match order_frame::read(&frame, &self.oddities)? {
            OrderFrame::Update(update) => Ok(Some(*update)),
            OrderFrame::Nothing => Ok(None),
            OrderFrame::Control(input) => match self.greeting.on(input, Instant::now().into_std()) {
                OrderOutput::Wait => Ok(None),
                OrderOutput::Fail(error) => Err(error),
                OrderOutput::SendListen | OrderOutput::Open => {
                    Err(down("the stream opened twice".to_owned()))
                }
            },
        }
    }
}

impl AlpacaOrders {
    /// Does what the greeting says until it is over; updates that come before are kept.
    async fn greet(&mut self) -> Result<(), StreamError> {
        loop {
            let deadline = self.greeting.deadline().expect("it is neither open nor failed");
            let input = match timeout_at(deadline.into(), self.socket.frame()).await {
                Err(_) => OrderInput::Deadline,
                Ok(frame) => match order_frame::read(&frame?, &self.oddities)? {
                    OrderFrame::Control(input) => input,
                    OrderFrame::Nothing => continue,
                    OrderFrame::Update(update) => {
                        self.keep(*update)?;
                        continue;
                    }
                },
            };
            match self.greeting.on(input, Instant::now().into_std()) {
                OrderOutput::SendListen => {
                    self.socket
                        .send(&json!({"action": "listen", "data": {"streams": [TRADE_UPDATES]}}))
                        .await?;
                }
                OrderOutput::Wait => {}
                OrderOutput::Open => return Ok(()),
                OrderOutput::Fail(error) => return Err(error),
            }
        }
    }

    fn keep(&mut self, update: TradeUpdate) -> Result<(), StreamError> {
        if self.early.len() >= MAX_EARLY {
            return Err(down(format!("more than {MAX_EARLY} updates before the greeting is over")));
        }
        self.early.push_back(update);
        Ok(())
    }
}
