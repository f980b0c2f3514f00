//! Frames of the trade-updates stream. They are binary at the paper endpoint, text elsewhere; both hold JSON.

use sandpit_broker::StreamError;
use sandpit_types::{ClientOrderId, OrderStatus, TradeEvent, TradeUpdate};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    map,
    oddities::Oddities,
    order_greeting::{OrderInput, TRADE_UPDATES},
    socket::down,
    wire::order::{Authorization, Listening, OwnerWire, StreamBody, StreamHead, UpdateWire, is_group},
};

/// Events that the fact sheet names (3) and that mean no more to us than the order inside them says.
const OTHER_EVENTS: [&str; 13] = [
    "accepted",
    "pending_new",
    "pending_cancel",
    "pending_replace",
    "done_for_day",
    "calculated",
    "stopped",
    "suspended",
    "restated",
    "order_replace_rejected",
    "order_cancel_rejected",
    "trade_bust",
    "trade_correct",
];
/// Statuses that Alpaca documents and that we have no use for.
const OTHER_STATUSES: [&str; 4] = ["calculated", "stopped", "suspended", "accepted_for_bidding"];

/// What a frame says.
#[derive(Debug, PartialEq)]
pub(crate) enum OrderFrame {
    /// Something about an order.
    Update(Box<TradeUpdate>),
    /// Something about the connection.
    Control(OrderInput),
    /// Nothing for us.
    Nothing,
}

/// Reads one frame. What is unknown is counted in `oddities` and passed by.
///
/// # Errors
/// When the frame is, or may be, an update of an order of ours and cannot be read: it may be a fill, so the
/// session has to end, and what the books lack is asked for over REST.
pub(crate) fn read(frame: &[u8], oddities: &Oddities) -> Result<OrderFrame, StreamError> {
    let head = match serde_json::from_slice::<StreamHead>(frame) {
        Ok(head) => head,
        Err(error) if may_be_update(frame) => return Err(unreadable(error)),
        Err(error) => {
            oddities.unreadable("order stream", &error);
            return Ok(OrderFrame::Nothing);
        }
    };
    let control = match &*head.stream {
        TRADE_UPDATES => {
            return Ok(
                update(frame, oddities)?.map_or(OrderFrame::Nothing, |u| OrderFrame::Update(Box::new(u)))
            );
        }
        "authorization" => data::<Authorization>(frame).map(|answer| match &*answer.status {
            "authorized" => OrderInput::Authorized,
            status => OrderInput::Refused(answer.message.unwrap_or_else(|| status.to_owned())),
        }),
        "listening" => data::<Listening>(frame).map(|answer| OrderInput::Listening(answer.streams)),
        other => {
            oddities.unknown(other);
            return Ok(OrderFrame::Nothing);
        }
    };
    Ok(control.map(OrderFrame::Control).unwrap_or_else(|error| {
        oddities.unreadable(&head.stream, &error);
        OrderFrame::Nothing
    }))
}

/// Whether a frame without a head may still tell of an order: it is cut off, or it names the stream.
fn may_be_update(frame: &[u8]) -> bool {
    let name = TRADE_UPDATES.as_bytes();
    serde_json::from_slice::<IgnoredAny>(frame).is_err() || frame.windows(name.len()).any(|part| part == name)
}

fn data<'a, T: Deserialize<'a>>(frame: &'a [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice::<StreamBody<T>>(frame).map(|body| body.data)
}

/// Somebody else's update that cannot be read (an option spread has neither symbol nor side) is left out: it
/// would come again after every new connection of ours.
fn update(frame: &[u8], oddities: &Oddities) -> Result<Option<TradeUpdate>, StreamError> {
    let read = data::<UpdateWire>(frame).map_err(unreadable).and_then(|wire| {
        map::update(wire).map_err(|error| down(format!("an update cannot be read: {error}")))
    });
    match read {
        Ok(update) => {
            note_words(&update, oddities);
            Ok(Some(update))
        }
        Err(error) if is_foreign(frame) => {
            oddities.unreadable("update of somebody else's order", &error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Words that nobody told us of are kept as they came, and counted.
fn note_words(update: &TradeUpdate, oddities: &Oddities) {
    if let TradeEvent::Other(event) = &update.event
        && !OTHER_EVENTS.contains(&&**event)
    {
        oddities.unknown(event);
    }
    if let OrderStatus::Other(status) = &update.order.status
        && !OTHER_STATUSES.contains(&&**status)
    {
        oddities.unknown(status);
    }
}

/// Whether an update tells of an order that certainly is not ours: without any client id, nobody knows, and a
/// leg of a group of ours has an id of the broker's making.
fn is_foreign(frame: &[u8]) -> bool {
    data::<OwnerWire>(frame).is_ok_and(|OwnerWire { order }| {
        order.client_order_id.parse::<ClientOrderId>().is_err() && !is_group(order.order_class.as_deref())
    })
}

fn unreadable(error: serde_json::Error) -> StreamError {
    down(format!("a frame cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OddityCounts;

    fn update(event: &str, status: &str, client_id: &str, more: &str) -> String {
        format!(
            r#"{{"stream":"trade_updates","data":{{"event":{event},"order":{{"id":"i","symbol":"SPY",
            "client_order_id":{client_id},"side":"buy","status":{status},"qty":"1",
            "submitted_at":"2021-03-16T18:38:01Z"{more}}}}}}}"#
        )
    }

    const OURS: &str = r#""sp-a-00000000000000ff-7""#;

    #[test]
    fn what_is_unknown_stops_nothing() {
        let check = |frame: &str, expected: &str, unknown: u64, unreadable: u64| {
            let oddities = Oddities::default();
            let said = match read(frame.as_bytes(), &oddities) {
                Ok(OrderFrame::Update(update)) => format!("{:?}", update.event),
                Ok(OrderFrame::Control(input)) => format!("{input:?}"),
                Ok(OrderFrame::Nothing) => "nothing".to_owned(),
                Err(_) => "end".to_owned(),
            };
            assert_eq!(said, expected, "{frame}");
            assert_eq!(oddities.counts(), OddityCounts { ignored: 0, unknown, unreadable }, "{frame}");
        };
        let new = r#""new""#;
        check(&update(new, new, OURS, ""), "New", 0, 0);
        check(&update(r#""restated""#, r#""stopped""#, OURS, ""), r#"Other("restated")"#, 0, 0);
        check(&update(r#""born""#, r#""alive""#, OURS, ""), r#"Other("born")"#, 2, 0);
        // Numbers that do not fit are somebody's fill if the order may be ours.
        check(&update(new, new, OURS, r#","filled_qty":1e400"#), "end", 0, 0);
        check(&update(new, new, "null", r#","filled_qty":"1e400""#), "end", 0, 0);
        check(&update(new, "7", OURS, ""), "end", 0, 0);
        check(&update(new, "7", r#""by-hand""#, ""), "nothing", 0, 1);
        check(&update(new, "7", r#""by-hand""#, r#","order_class":"mleg""#), "nothing", 0, 1);
        // It may be a leg of ours: these have ids of the broker's making.
        check(&update(new, "7", r#""by-hand""#, r#","order_class":"oto""#), "end", 0, 0);
        check(&update(r#""replaced""#, r#""replaced""#, OURS, r#","replaced_by":"j""#), "Replaced", 0, 0);
        for word in ["order_replace_rejected", "trade_bust", "trade_correct"] {
            let said = format!("Other({word:?})");
            check(&update(&format!("{word:?}"), new, OURS, ""), &said, 0, 0);
        }
        check(&update(new, new, OURS, r#","leg_count":1e400,"new_field":[{}]"#), "New", 0, 0);
        check(r#"{"stream":"trade_updates","data":17}"#, "end", 0, 0);
        check(r#"{"stream":["trade_updates"],"data":{}}"#, "end", 0, 0);
        check(r#"{"stream":"trade_upd"#, "end", 0, 0);
        check("", "end", 0, 0);
        for unreadable in ["[]", "{}", "1e400", r#"{"stream":7}"#, r#"{"stream":"listening","data":{}}"#] {
            check(unreadable, "nothing", 0, 1);
        }
        check(r#"{"stream":"account_updates","data":{"x":1e400}}"#, "nothing", 1, 0);
        check(r#"{"stream":"authorization","data":{"status":"authorized","x":1e400}}"#, "Authorized", 0, 0);
        check(r#"{"stream":"authorization","data":{"status":"odd"}}"#, r#"Refused("odd")"#, 0, 0);
        check(r#"{"stream":"listening","data":{"streams":[]}}"#, "Listening([])", 0, 0);
    }
}
