//! The event log: every request that may change something, its outcome, every order event, every fault and
//! every act of control, numbered in the order in which they happened. One line of JSON each.
//!
//! Nothing in it depends on the world outside: the same seed and the same requests at the same market times
//! give the same lines, byte for byte.

use std::collections::VecDeque;

use sandpit_types::MarketTime;
use sandpit_venue::VenueEvent;
use serde::Serialize;

use crate::wire::Text;

/// Most lines that are kept; the oldest go.
pub(crate) const MAX_LINES: usize = 200_000;
/// Most bytes that are kept, over all lines; the oldest go.
pub(crate) const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Most bytes of a request's or an answer's body that a line shows.
pub(crate) const MAX_BODY_BYTES: usize = 4_096;

/// What a line tells. Keys and secrets travel in headers, which are not noted.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Note<'a> {
    /// A request that may change something came in.
    Request { method: &'a str, path: &'a str, body: Text<Excerpt<'a>> },
    /// How it ended, as its sender saw it: `status` is null when the connection was cut.
    Answer {
        /// The number of its line.
        request: u64,
        status: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<Text<Excerpt<'a>>>,
    },
    /// Something happened to an order.
    Order(OrderNote<'a>),
    /// A fault was applied.
    Fault { rule: u64, fault: &'a str, on: &'a str },
    /// Somebody worked the controls.
    Control { action: &'a str, with: serde_json::Value },
}

/// What a line tells of an order event.
#[derive(Serialize)]
pub(crate) struct OrderNote<'a> {
    event: &'static str,
    order_id: Text<&'a sandpit_types::BrokerOrderId>,
    client_order_id: &'a str,
    symbol: &'a str,
    side: sandpit_types::Side,
    status: &'static str,
    filled_qty: Text<sandpit_types::Qty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qty: Option<Text<sandpit_types::Qty>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Text<sandpit_types::Price>>,
}

/// The beginning of a text, as much as a line shows. What is not UTF-8 is replaced.
pub(crate) struct Excerpt<'a>(pub(crate) &'a [u8]);

impl std::fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = &self.0[..self.0.len().min(MAX_BODY_BYTES)];
        f.write_str(&String::from_utf8_lossy(shown))
    }
}

/// The lines, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    lines: VecDeque<Box<str>>,
    bytes: usize,
    /// Lines that have gone.
    gone: u64,
}

impl Journal {
    /// Writes a line and returns its number, counted from 1.
    pub(crate) fn note(&mut self, at: MarketTime, note: &Note<'_>) -> u64 {
        let number = self.gone + self.lines.len() as u64 + 1;
        let told = serde_json::to_string(note).expect("numbers, texts and string keys are always JSON");
        // A note is an object with at least its kind: its inside follows the number and the time.
        let line = format!("{{\"seq\":{number},\"at\":\"{at}\",{}", &told[1..]).into_boxed_str();
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len();
            self.gone += 1;
        }
        number
    }

    /// At most `limit` lines after number `after`, each with its line end. When the first one's number is not
    /// `after + 1`, the ones between have gone.
    pub(crate) fn after(&self, after: u64, limit: usize) -> String {
        let known = usize::try_from(after.saturating_sub(self.gone)).unwrap_or(usize::MAX);
        let wanted = self.lines.iter().skip(known).take(limit);
        wanted.flat_map(|line| [&**line, "\n"]).collect()
    }
}

impl<'a> From<&'a VenueEvent> for OrderNote<'a> {
    fn from(event: &'a VenueEvent) -> Self {
        let order = &event.order;
        Self {
            event: event.kind.as_str(),
            order_id: Text(&order.id),
            client_order_id: &order.client_order_id,
            symbol: order.symbol.as_str(),
            side: order.side,
            status: order.state.as_str(),
            filled_qty: Text(order.filled_qty),
            qty: event.qty.map(Text),
            price: event.price.map(Text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(journal: &mut Journal, body: &[u8]) -> u64 {
        let body = Text(Excerpt(body));
        journal.note(MarketTime::EPOCH, &Note::Request { method: "POST", path: "/v2/orders", body })
    }

    #[test]
    fn lines_are_numbered_and_read_from_anywhere() {
        let mut journal = Journal::default();
        for n in 1..=3 {
            assert_eq!(note(&mut journal, b"{\"a\":1}"), n);
        }
        let line = |n: u64| {
            format!(
                "{{\"seq\":{n},\"at\":\"1970-01-01T00:00:00Z\",\"kind\":\"request\",\"method\":\"POST\",\
                 \"path\":\"/v2/orders\",\"body\":\"{{\\\"a\\\":1}}\"}}\n"
            )
        };
        assert_eq!(journal.after(0, 2), line(1) + &line(2));
        assert_eq!(journal.after(2, 10), line(3));
        assert_eq!(journal.after(3, 10), "");
        assert_eq!(journal.after(u64::MAX, 10), "");
    }

    #[test]
    fn the_oldest_go_and_the_first_number_tells() {
        let mut journal = Journal::default();
        for _ in 0..MAX_LINES + 5 {
            note(&mut journal, b"");
        }
        assert!(journal.after(0, 1).starts_with("{\"seq\":6,"));
        let mut journal = Journal::default();
        let long = vec![b'x'; 2 * MAX_BODY_BYTES];
        let lines = MAX_BYTES / MAX_BODY_BYTES + 100;
        for _ in 0..lines {
            note(&mut journal, &long);
        }
        assert!(journal.bytes <= MAX_BYTES && journal.gone > 0, "{} bytes", journal.bytes);
        assert_eq!(journal.gone + journal.lines.len() as u64, lines as u64);
    }
}
