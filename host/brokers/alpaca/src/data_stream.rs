//! The data stream, in JSON: welcome, auth, subscribe, then data.

use std::time::Duration;

use sandpit_broker::{DataFeed, DataSession, StreamError, Subscription};
use sandpit_types::{MarketEvent, Symbol};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    Alpaca,
    decode::{Control, Decoder},
    socket::{Socket, down},
    wire::market::SubscriptionWire,
};

/// What to do about code 405 (fact sheet 4).
const SYMBOL_LIMIT: &str = "the data plan has a limit of symbols for quotes and trades (Basic: 30, bars are \
                            unlimited): subscribe to fewer of them";

/// One open data connection.
pub struct AlpacaData {
    socket: Socket,
    decoder: Decoder,
    early: Vec<MarketEvent>,
}

impl DataFeed for Alpaca {
    type Session = AlpacaData;

    async fn open(&self, subscription: &Subscription) -> Result<AlpacaData, StreamError> {
        let socket = Socket::connect(&self.data_stream).await?;
        let mut session = AlpacaData { socket, decoder: Decoder::default(), early: Vec::new() };
        let patience = self.data_stream.timeout;
        session.success("connected", patience).await?;
        let (key, secret) = (self.key_id.expose(), self.secret.expose());
        session.socket.send(json!({"action": "auth", "key": key, "secret": secret}).to_string()).await?;
        session.success("authenticated", patience).await?;
        let subscribe = json!({
            "action": "subscribe",
            "bars": names(&subscription.bars),
            "quotes": names(&subscription.quotes),
            "trades": names(&subscription.trades),
        });
        session.socket.send(subscribe.to_string()).await?;
        match session.control(patience).await? {
            Control::Subscription(current) => covers(&current, subscription)?,
            other @ (Control::Success(_) | Control::Error { .. }) => return Err(unexpected(other)),
        }
        Ok(session)
    }
}

impl DataSession for AlpacaData {
    async fn next(&mut self, out: &mut Vec<MarketEvent>) -> Result<(), StreamError> {
        if !self.early.is_empty() {
            out.append(&mut self.early);
            return Ok(());
        }
        let frame = self.socket.frame().await?;
        match self.decoder.frame(&frame, out) {
            Ok(None | Some(Control::Success(_) | Control::Subscription(_))) => Ok(()),
            Ok(Some(error @ Control::Error { .. })) => Err(unexpected(error)),
            Err(error) => Err(down(format!("a frame cannot be read: {error}"))),
        }
    }
}

impl AlpacaData {
    /// The next control message; data that comes before it is kept.
    async fn control(&mut self, patience: Duration) -> Result<Control, StreamError> {
        let waiting = async {
            loop {
                let frame = self.socket.frame().await?;
                let control = self.decoder.frame(&frame, &mut self.early);
                if let Some(control) = control.map_err(|e| down(format!("a frame cannot be read: {e}")))? {
                    return Ok(control);
                }
            }
        };
        timeout(patience, waiting).await.map_err(|_| down(format!("no answer within {patience:?}")))?
    }

    async fn success(&mut self, words: &str, patience: Duration) -> Result<(), StreamError> {
        match self.control(patience).await? {
            Control::Success(said) if said == words => Ok(()),
            other @ (Control::Success(_) | Control::Subscription(_) | Control::Error { .. }) => {
                Err(unexpected(other))
            }
        }
    }
}

/// Alpaca's error codes as decisions (fact sheet 4). 407 (slow client) means that data was lost: the session
/// ends, so that the gap is filled.
fn unexpected(control: Control) -> StreamError {
    match control {
        Control::Error { code, message } => {
            let message = format!("{message} (code {code})");
            match code {
                401 | 402 | 409 | 411 => StreamError::Unauthorized { message },
                // Asking again does not help: somebody has to ask for less.
                405 => StreamError::Unauthorized { message: format!("{message}: {SYMBOL_LIMIT}") },
                406 => StreamError::Occupied { message },
                _ => StreamError::Down { message },
            }
        }
        Control::Success(_) | Control::Subscription(_) => down(format!("{control:?} came out of turn")),
    }
}

/// The acknowledged set must hold all that we asked for.
fn covers(current: &SubscriptionWire, wanted: &Subscription) -> Result<(), StreamError> {
    for (what, wanted, current) in [
        ("bars", &wanted.bars, &current.bars),
        ("quotes", &wanted.quotes, &current.quotes),
        ("trades", &wanted.trades, &current.trades),
    ] {
        let has =
            |symbol: &Symbol| current.iter().flatten().any(|name| name == symbol.as_str() || name == "*");
        if let Some(missing) = wanted.iter().find(|symbol| !has(symbol)) {
            return Err(down(format!("the subscription to {what} lacks {missing}")));
        }
    }
    Ok(())
}

fn names(symbols: &[Symbol]) -> Vec<&str> {
    symbols.iter().map(Symbol::as_str).collect()
}
