//! Frames of the data streams, straight into events: nothing is built in between.
//!
//! A frame is an array of messages. Quotes, trades and bars of the usual form are read in place (`quick` for
//! JSON, `msgpack`), without allocating; whatever looks different is read again by serde, field by field, and
//! what serde cannot read either is counted and skipped. Its neighbours are not lost with it.

mod bytes;
mod json;
mod msgpack;
mod quick;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use sandpit_types::{BarMark, MarketEvent, Symbol};
use serde::{Deserialize, Deserializer, de::Error as _};

pub(crate) use self::msgpack::pack;
use crate::{
    map,
    oddities::{Oddities, OddityCounts},
    wire::{
        market::{BarWire, NoticeWire, QuoteWire, SubscriptionWire, TradeWire},
        news::NewsWire,
    },
};

/// A longer name of a symbol is none. The longest there are, of options, have 21 characters.
pub(crate) const MAX_SYMBOL_BYTES: usize = 64;
/// An odd message in MessagePack that is longer is passed by: as values it is up to 50 times as large. The
/// longest that is known acknowledges every symbol there is, on four channels.
const MAX_ODD_BYTES: usize = 512 * 1024;
/// Control messages stand alone in their frames; of more than these in one, the others are not read.
const MAX_CONTROLS: usize = 16;
/// At most this much of the broker's words is kept.
const MAX_WORDS_CHARS: usize = 200;

/// A message of the data stream that is not data.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// `success`: its words are `connected` or `authenticated`.
    Success(String),
    /// `subscription`: the complete current set.
    Subscription(SubscriptionWire),
    /// `error`.
    Error {
        /// Alpaca's code, such as 406; 0 if it gave none.
        code: u16,
        /// Alpaca's words.
        message: String,
    },
}

/// A frame that is no array of messages: nobody knows what it carried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// Neither that in JSON...
    #[error("a frame is not an array of messages: {0}")]
    Json(#[from] serde_json::Error),
    /// (where it is JSON, but not an array)
    #[error("a frame is not an array of messages: byte {at} is not expected")]
    NoArray {
        /// Where.
        at: usize,
    },
    /// ...nor in MessagePack.
    #[error("a frame of MessagePack is cut off, or is no array, or holds more than one")]
    MessagePack,
}

/// Reads frames of either encoding: they differ in their first byte, so that a broker who answers in the
/// other one is understood, too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decoder {
    oddities: Arc<Oddities>,
}

impl Decoder {
    /// A decoder that counts into `oddities`.
    pub(crate) fn new(oddities: Arc<Oddities>) -> Self {
        Self { oddities }
    }

    /// Appends the events of one frame to `out`, and its other messages to `controls`.
    ///
    /// # Errors
    /// When the frame as a whole cannot be read; what was appended before is good.
    pub(crate) fn frame(
        &self,
        frame: &[u8],
        out: &mut Vec<MarketEvent>,
        controls: &mut Vec<Control>,
    ) -> Result<(), FrameError> {
        let mut sink = Sink { out, controls, oddities: &self.oddities };
        if msgpack::is_array(frame) {
            msgpack::frame(frame, &mut sink)
        } else {
            json::frame(frame, &mut sink)
        }
    }
}

/// The decoder without a connection, for benches and for tests from outside.
#[derive(Debug, Default)]
pub struct DataFrames {
    decoder: Decoder,
    controls: Vec<Control>,
}

impl DataFrames {
    /// Appends the events of one frame to `out`; gives the number of messages that are no events, such as
    /// acknowledgements. `None` when the frame cannot be read as a whole.
    pub fn read(&mut self, frame: &[u8], out: &mut Vec<MarketEvent>) -> Option<usize> {
        self.controls.clear();
        self.decoder.frame(frame, out, &mut self.controls).ok()?;
        Some(self.controls.len())
    }

    /// What was passed by so far.
    pub fn oddities(&self) -> OddityCounts {
        self.decoder.oddities.counts()
    }
}

/// Where messages go.
struct Sink<'d> {
    out: &'d mut Vec<MarketEvent>,
    controls: &'d mut Vec<Control>,
    oddities: &'d Oddities,
}

impl Sink<'_> {
    /// One message whose kind has been found out, in any form.
    fn message<'de, D: Deserializer<'de>>(&mut self, kind: &str, fields: D) {
        if let Err(error) = self.try_message(kind, fields) {
            self.oddities.unreadable(kind, &error);
        }
    }

    fn try_message<'de, D: Deserializer<'de>>(&mut self, kind: &str, fields: D) -> Result<(), D::Error> {
        let event = match kind {
            "q" => {
                let wire = QuoteWire::deserialize(fields)?;
                MarketEvent::Quote(map::quote(symbol(&wire.symbol)?, &wire))
            }
            "t" => {
                let wire = TradeWire::deserialize(fields)?;
                MarketEvent::Trade(map::trade(symbol(&wire.symbol)?, &wire))
            }
            "b" => {
                let wire = BarWire::deserialize(fields)?;
                MarketEvent::Bar(map::bar(symbol(&wire.symbol)?, &wire))
            }
            "u" => {
                let wire = BarWire::deserialize(fields)?;
                MarketEvent::MarkedBar(map::bar(symbol(&wire.symbol)?, &wire), BarMark::Corrected)
            }
            "n" => {
                let news = map::news(NewsWire::deserialize(fields)?).map_err(D::Error::custom)?;
                MarketEvent::News(Box::new(news))
            }
            "success" | "subscription" | "error" => return self.control(kind, fields),
            // Corrections and cancels of trades, statuses, price bands, imbalances, order books, daily bars.
            "c" | "x" | "s" | "l" | "i" | "o" | "d" => {
                self.oddities.ignore();
                return Ok(());
            }
            _ => {
                self.oddities.unknown(kind);
                return Ok(());
            }
        };
        self.out.push(event);
        Ok(())
    }

    fn control<'de, D: Deserializer<'de>>(&mut self, kind: &str, fields: D) -> Result<(), D::Error> {
        let control = if kind == "subscription" {
            Control::Subscription(SubscriptionWire::deserialize(fields)?)
        } else {
            let notice = NoticeWire::deserialize(fields)?;
            let message = notice.msg.unwrap_or_default().chars().take(MAX_WORDS_CHARS).collect();
            if kind == "error" {
                Control::Error { code: notice.code, message }
            } else {
                Control::Success(message)
            }
        };
        if self.controls.len() < MAX_CONTROLS {
            self.controls.push(control);
        }
        Ok(())
    }
}

fn symbol<E: serde::de::Error>(name: &str) -> Result<Symbol, E> {
    if name.is_empty() || name.len() > MAX_SYMBOL_BYTES {
        return Err(E::custom("it has no symbol, or one that is far too long"));
    }
    Ok(Symbol::new(name))
}
