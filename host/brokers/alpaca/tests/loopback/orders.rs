//! The trade-updates stream.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use sandpit_alpaca::AlpacaOrders;
use sandpit_broker::{OrderFeed, OrderSession, StreamError};
use sandpit_types::TradeEvent;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    data::{hear, say, stream_kind, websocket},
    support::{Notes, Reply, alpaca, serve},
};

const AUTHORIZED: &str =
    r#"{"stream":"authorization","data":{"status":"authorized","action":"authenticate"}}"#;
const LISTENING: &str = r#"{"stream":"listening","data":{"streams":["trade_updates"]}}"#;

async fn open(authority: &str) -> Result<AlpacaOrders, StreamError> {
    OrderFeed::open(&alpaca(authority, Arc::new(Notes::default()))).await
}

fn update(event: &str, extra: &str) -> String {
    format!(
        r#"{{"stream":"trade_updates","data":{{"event":"{event}"{extra},"order":{{
        "id":"61E6901585494BFDB9C301E75843F47D","client_order_id":"sp-a-00000000000000ff-7","symbol":"SPY",
        "side":"buy","qty":"10","filled_qty":"4","filled_avg_price":167.4,"status":"partially_filled",
        "created_at":"2021-03-16T18:38:01Z","submitted_at":"2021-03-16T18:38:01Z",
        "updated_at":"2021-03-16T18:38:02Z","legs":null}}}}}}"#
    )
}

#[tokio::test]
async fn every_greeting_means_one_thing() {
    async fn check(auth: &'static str, listen: &'static str, expected: &str) {
        let authority = websocket(move |mut server| async move {
            for text in [auth, listen] {
                if server.next().await.is_none_or(|message| message.is_err()) {
                    return;
                }
                if !text.is_empty() {
                    say(&mut server, text).await;
                }
            }
            let _until_it_goes = server.next().await;
        })
        .await;
        let opened = open(&authority).await;
        assert_eq!(opened.as_ref().map_or_else(stream_kind, |_| "open"), expected, "{auth} {listen}");
    }
    check(AUTHORIZED, LISTENING, "open").await;
    check("", "", "down").await;
    check(AUTHORIZED, "", "down").await;
    let no = r#"{"stream":"authorization","data":{"status":"unauthorized","action":"authenticate"}}"#;
    check(no, "", "unauthorized").await;
    check(AUTHORIZED, no, "unauthorized").await;
    check(AUTHORIZED, r#"{"stream":"listening","data":{"streams":[]}}"#, "down").await;
    check("[]", "", "down").await;
    check("[", "", "down").await;
    let (authority, _) = serve(vec![Reply::json(429, "")]).await;
    let refused = open(&authority).await;
    assert_eq!(refused.as_ref().map_or_else(stream_kind, |_| "open"), "occupied");
}

#[tokio::test]
async fn updates_come_in_text_and_binary() {
    updates_until_one_cannot_be_read(true).await;
    updates_until_one_cannot_be_read(false).await;
}

/// The last update is one of `ours` that lacks its symbol, or one of nobody knows which order.
async fn updates_until_one_cannot_be_read(ours: bool) {
    let authority = websocket(move |mut server| async move {
        assert_eq!(hear(&mut server).await, r#"{"action":"auth","key":"PKTEST","secret":"hush"}"#);
        say(&mut server, AUTHORIZED).await;
        let listen = hear(&mut server).await;
        assert_eq!(listen, r#"{"action":"listen","data":{"streams":["trade_updates"]}}"#);
        // One update overtakes the acknowledgement.
        say(&mut server, &update("new", r#","execution_id":null"#)).await;
        let _gone = server.send(Message::binary(LISTENING.to_owned())).await;
        let fill = r#","execution_id":"e1","price":"167.4","qty":"4","timestamp":"2021-03-16T18:38:03Z""#;
        let _gone = server.send(Message::binary(update("partial_fill", fill))).await;
        say(&mut server, r#"{"stream":"account_updates","data":17}"#).await;
        say(&mut server, &update("restated", "")).await;
        // Somebody else's spread has no symbol, and a stop of his a status that is no text.
        for (field, odd) in
            [(r#""symbol":"SPY""#, r#""symbol":null"#), (r#""status":"#, r#""status":7,"x":"#)]
        {
            let foreign =
                update("fill", "").replace("sp-a-00000000000000ff-7", "by-hand").replace(field, odd);
            say(&mut server, &foreign).await;
        }
        let odd = match ours {
            true => update("fill", "").replace(r#""symbol":"SPY""#, r#""symbol":null"#),
            false => r#"{"stream":"trade_updates","data":{"event":"fill"}}"#.to_owned(),
        };
        say(&mut server, &odd).await;
        let _until_it_goes = server.next().await;
    })
    .await;
    let mut session = open(&authority).await.expect("open");
    let mut rows = Vec::new();
    let error = loop {
        match session.next().await {
            Ok(Some(update)) => {
                assert_eq!(update.order.id.as_str(), "61e69015-8549-4bfd-b9c3-01e75843f47d");
                let (qty, price) = (update.qty.map(|q| q.to_string()), update.price.map(|p| p.to_string()));
                rows.push((
                    update.event,
                    update.execution_id.map(|id| id.to_string()),
                    qty,
                    price,
                    update.time,
                ));
            }
            Ok(None) => {}
            Err(error) => break error,
        }
    };
    // A fill that cannot be read ends the session: the books are then compared over REST.
    assert_eq!(stream_kind(&error), "down", "{error}");
    let rows: Vec<String> = rows.into_iter().map(|row| format!("{row:?}")).collect();
    let text = |s: &str| Some(s.to_owned());
    let at = |s: &str| sandpit_types::MarketTime::parse(s).expect(s);
    let none = || None::<String>;
    let expected = [
        format!("{:?}", (TradeEvent::New, none(), none(), none(), at("2021-03-16T18:38:02Z"))),
        format!(
            "{:?}",
            (TradeEvent::PartialFill, text("e1"), text("4"), text("167.4"), at("2021-03-16T18:38:03Z"))
        ),
        format!(
            "{:?}",
            (TradeEvent::Other("restated".into()), none(), none(), none(), at("2021-03-16T18:38:02Z"))
        ),
    ];
    assert_eq!(rows, expected);
}
