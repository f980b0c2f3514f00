//! Frames of the data stream, straight into events: nothing is built in between, symbols are shared.

use std::{borrow::Cow, collections::HashSet, fmt};

use sandpit_types::{MarketEvent, Symbol};
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
    },
};

use crate::{
    map,
    wire::market::{BarWire, NoticeWire, QuoteWire, SubscriptionWire, TradeWire},
};

/// Symbols beyond this many are not shared; there are about 12 000 US stocks.
const MAX_SYMBOLS: usize = 20_000;

/// A message of the data stream that is not data.
#[derive(Debug)]
pub(crate) enum Control {
    /// `success`: its words are `connected` or `authenticated`.
    Success(String),
    /// `subscription`: the complete current set.
    Subscription(SubscriptionWire),
    /// `error`.
    Error {
        /// Alpaca's code, such as 406.
        code: u16,
        /// Alpaca's words.
        message: String,
    },
}

/// Turns frames into events.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    symbols: HashSet<Symbol>,
    skipped: u64,
}

impl Decoder {
    /// Appends the events of one frame to `out`; the last control message in it is returned.
    ///
    /// A message that cannot be read is skipped and logged, its neighbours are not lost with it.
    ///
    /// # Errors
    /// When the frame as a whole is not a JSON array: then nobody knows what it carried.
    pub(crate) fn frame(
        &mut self,
        frame: &[u8],
        out: &mut Vec<MarketEvent>,
    ) -> Result<Option<Control>, serde_json::Error> {
        let before = out.len();
        let mut sink = Sink { symbols: &mut self.symbols, out, control: None };
        let mut json = serde_json::Deserializer::from_slice(frame);
        let fast = Messages(&mut sink).deserialize(&mut json).and_then(|()| json.end());
        if fast.is_err() {
            sink.out.truncate(before);
            sink.control = None;
            self.skipped += sink.slowly(frame)?;
            if self.skipped.is_power_of_two() {
                tracing::warn!(skipped = self.skipped, "messages of the data stream cannot be read");
            }
        }
        Ok(sink.control)
    }
}

struct Sink<'d> {
    symbols: &'d mut HashSet<Symbol>,
    out: &'d mut Vec<MarketEvent>,
    control: Option<Control>,
}

impl Sink<'_> {
    /// One message, whose `T` has been read already.
    fn message<'de, D: Deserializer<'de>>(&mut self, kind: &str, fields: D) -> Result<(), D::Error> {
        match kind {
            "q" => {
                let wire = QuoteWire::deserialize(fields)?;
                let symbol = self.symbol(&wire.symbol);
                self.out.push(MarketEvent::Quote(map::quote(symbol, &wire)));
            }
            "t" => {
                let wire = TradeWire::deserialize(fields)?;
                let symbol = self.symbol(&wire.symbol);
                self.out.push(MarketEvent::Trade(map::trade(symbol, &wire)));
            }
            "b" => {
                let wire = BarWire::deserialize(fields)?;
                let symbol = self.symbol(&wire.symbol);
                self.out.push(MarketEvent::Bar(map::bar(symbol, &wire)));
            }
            "success" => self.control = Some(Control::Success(NoticeWire::deserialize(fields)?.msg)),
            "subscription" => {
                self.control = Some(Control::Subscription(SubscriptionWire::deserialize(fields)?));
            }
            "error" => {
                let NoticeWire { code, msg: message } = NoticeWire::deserialize(fields)?;
                self.control = Some(Control::Error { code, message });
            }
            _ => {
                IgnoredAny::deserialize(fields)?;
            }
        }
        Ok(())
    }

    fn symbol(&mut self, name: &str) -> Symbol {
        if let Some(symbol) = self.symbols.get(name) {
            return symbol.clone();
        }
        let symbol = Symbol::new(name);
        if self.symbols.len() < MAX_SYMBOLS {
            self.symbols.insert(symbol.clone());
        }
        symbol
    }

    /// The frame again, message by message, for odd ones: `T` not first, a field of another type. Returns how
    /// many messages had to be skipped.
    fn slowly(&mut self, frame: &[u8]) -> Result<u64, serde_json::Error> {
        let mut skipped = 0;
        for message in serde_json::from_slice::<Vec<serde_json::Value>>(frame)? {
            let Some(kind) = message.get("T").and_then(|kind| kind.as_str()).map(str::to_owned) else {
                skipped += 1;
                continue;
            };
            skipped += u64::from(self.message(&kind, message).is_err());
        }
        Ok(skipped)
    }
}

/// The array of messages that a frame is.
struct Messages<'s, 'd>(&'s mut Sink<'d>);

impl<'de> DeserializeSeed<'de> for Messages<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Messages<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<(), A::Error> {
        while messages.next_element_seed(Message(self.0))?.is_some() {}
        Ok(())
    }
}

/// One message; Alpaca writes `T` first.
struct Message<'s, 'd>(&'s mut Sink<'d>);

impl<'de> DeserializeSeed<'de> for Message<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Message<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message that begins with its T")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        if fields.next_key::<Cow<'de, str>>()?.as_deref() != Some("T") {
            return Err(A::Error::custom("T does not come first"));
        }
        let kind: Cow<'de, str> = fields.next_value()?;
        self.0.message(&kind, MapAccessDeserializer::new(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(frame: &str) -> (Vec<String>, Option<Control>) {
        let mut out = Vec::new();
        let control = Decoder::default().frame(frame.as_bytes(), &mut out).expect(frame);
        let texts = out.iter().map(|event| match event {
            MarketEvent::Bar(b) => format!(
                "bar {} {} {}/{}/{}/{} {} {}",
                b.symbol, b.start, b.open, b.high, b.low, b.close, b.volume, b.vwap
            ),
            MarketEvent::Quote(q) => {
                format!("quote {} {} {}x{} {}x{}", q.symbol, q.time, q.bid, q.bid_size, q.ask, q.ask_size)
            }
            MarketEvent::Trade(t) => format!("trade {} {} {} {}", t.symbol, t.time, t.price, t.size),
            other => format!("{other:?}"),
        });
        (texts.collect(), control)
    }

    #[test]
    fn frames_become_events() {
        let check = |frame: &str, expected: &[&str]| assert_eq!(decoded(frame).0, expected, "{frame}");
        let bar = r#"{"T":"b","S":"SPY","o":388.985,"h":389.13,"l":388.975,
            "c":389.12,"v":49378,"n":461,"vw":389.062639,"t":"2021-02-22T19:15:00Z"}"#;
        let bar_text = "bar SPY 2021-02-22T19:15:00Z 388.985/389.13/388.975/389.12 49378 389.062639";
        let quote = r#"{"T":"q","S":"AMD","bx":"U","bp":87.66,"bs":100,
            "ax":"Q","ap":87.68,"as":400,"c":["R"],"z":"C","t":"2021-02-22T15:51:45.335689322Z"}"#;
        let quote_text = "quote AMD 2021-02-22T15:51:45.335689322Z 87.66x100 87.68x400";
        let trade = r#"{"T":"t","i":96921,"S":"AAPL","x":"D","p":126.55,
            "s":1,"t":"2021-02-22T15:51:44.208Z","c":["@","I"],"z":"C"}"#;
        let trade_text = "trade AAPL 2021-02-22T15:51:44.208Z 126.55 1";
        check(&format!("[{bar},{quote},{trade}]"), &[bar_text, quote_text, trade_text]);
        check("[]", &[]);
        // Unknown kinds pass by.
        check(&format!(r#"[{{"T":"s","S":"X","sc":"H"}},{trade},{{"T":"zz"}}]"#), &[trade_text]);
        // Odd neighbours cost only themselves.
        check(&format!(r#"[{quote},{{"T":"q","S":"X"}},{trade},17,{{"T":5}}]"#), &[quote_text, trade_text]);
        // Any order of fields, escapes, null sizes.
        check(
            r#"[{"S":"BRK\u002eB","t":"2021-02-22T15:51:44Z","bp":0,"ap":1.5,"as":null,"T":"q"}]"#,
            &["quote BRK.B 2021-02-22T15:51:44Z 0x0 1.5x0"],
        );
    }

    #[test]
    fn control_messages_are_told_apart() {
        let check = |frame: &str, expected: &str| {
            let (events, control) = decoded(frame);
            assert!(events.is_empty());
            assert_eq!(format!("{control:?}"), expected, "{frame}");
        };
        check(r#"[{"T":"success","msg":"connected"}]"#, r#"Some(Success("connected"))"#);
        check(
            r#"[{"T":"error","code":406,"msg":"connection limit exceeded"}]"#,
            r#"Some(Error { code: 406, message: "connection limit exceeded" })"#,
        );
        check(
            r#"[{"T":"subscription","trades":[],"quotes":["AMD"],"bars":["*"],"lulds":[]}]"#,
            concat!(
                r#"Some(Subscription(SubscriptionWire { bars: Some(["*"]), quotes: Some(["AMD"]), "#,
                "trades: Some([]) }))"
            ),
        );
    }

    #[test]
    fn frames_that_are_no_arrays_are_errors() {
        for bad in ["", "{}", "[", r#"[{"T":"q","S":"AMD""#, "[]]"] {
            assert!(Decoder::default().frame(bad.as_bytes(), &mut Vec::new()).is_err(), "{bad:?}");
        }
    }
}
