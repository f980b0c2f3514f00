//! The data stream in MessagePack, the news stream, and batches of frames.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use sandpit_alpaca::{AlpacaNews, Encoding, OddityCounts};
use sandpit_broker::{DataFeed, DataSession, StreamError, Subscription};
use sandpit_types::{BarMark, MarketEvent, Symbol};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpListener};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
    },
};

use crate::{
    data::{Server, stream_kind},
    support::{Notes, alpaca_in},
};

/// What the handshakes asked for: path and content type.
type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

fn pack(value: &Value) -> Vec<u8> {
    use rmp::encode;
    let mut bytes = Vec::new();
    match value {
        Value::Array(values) => {
            encode::write_array_len(&mut bytes, values.len() as u32).unwrap();
            values.iter().for_each(|value| bytes.extend(pack(value)));
        }
        Value::Object(fields) => {
            encode::write_map_len(&mut bytes, fields.len() as u32).unwrap();
            for (name, value) in fields {
                encode::write_str(&mut bytes, name).unwrap();
                bytes.extend(pack(value));
            }
        }
        Value::String(text) => encode::write_str(&mut bytes, text).unwrap(),
        Value::Number(number) if number.is_u64() => {
            encode::write_uint(&mut bytes, number.as_u64().unwrap()).map(drop).unwrap();
        }
        other => encode::write_f64(&mut bytes, other.as_f64().expect("a number")).unwrap(),
    }
    bytes
}

/// What the client said, in either encoding.
fn unpack(message: &Message) -> Value {
    match message {
        Message::Text(text) => serde_json::from_str(text).unwrap(),
        Message::Binary(bytes) => rmp_serde::from_slice(bytes).unwrap(),
        other => panic!("the client said {other:?}"),
    }
}

/// A broker that greets in `encoding`, acknowledges what it is asked for, and then says `data`, all at once.
/// Gives its address, the handshakes and what it heard.
async fn broker(encoding: Encoding, data: Vec<Message>) -> (String, Asked, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let authority = listener.local_addr().expect("bound").to_string();
    let (asked, heard) = (Asked::default(), Arc::new(Mutex::new(Vec::new())));
    let (asked_there, heard_there) = (Arc::clone(&asked), Arc::clone(&heard));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        #[expect(clippy::result_large_err, reason = "the callback's type is not ours")]
        let note = |request: &Request, response: Response| {
            let kind = request.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
            asked_there.lock().unwrap().push((request.uri().path().to_owned(), kind));
            Ok(response)
        };
        let mut server = accept_hdr_async(stream, note).await.unwrap();
        let mut answer = json!([{"T": "success", "msg": "connected"}]);
        for next in ["authenticated", "subscription"] {
            say(&mut server, encoding, &answer).await;
            let mut words = unpack(&server.next().await.unwrap().unwrap());
            heard_there.lock().unwrap().push(words.clone());
            words["T"] = json!("subscription");
            answer =
                if next == "authenticated" { json!([{"T": "success", "msg": next}]) } else { json!([words]) };
        }
        let mut bytes = raw(&in_encoding(encoding, &answer));
        data.iter().for_each(|message| bytes.extend(raw(message)));
        server.get_mut().write_all(&bytes).await.unwrap();
        let _until_it_goes = server.next().await;
    });
    (authority, asked, heard)
}

fn in_encoding(encoding: Encoding, value: &Value) -> Message {
    match encoding {
        Encoding::Json => Message::text(value.to_string()),
        Encoding::MessagePack => Message::binary(pack(value)),
    }
}

async fn say(server: &mut Server, encoding: Encoding, value: &Value) {
    server.send(in_encoding(encoding, value)).await.unwrap();
}

/// A frame as a server writes it.
fn raw(message: &Message) -> Vec<u8> {
    let (op, data) = match message {
        Message::Text(text) => (0x81, text.as_bytes()),
        Message::Binary(bytes) => (0x82, &bytes[..]),
        Message::Close(_) => (0x88, &[][..]),
        other => panic!("{other:?} is none of the tests'"),
    };
    let length = u16::try_from(data.len()).expect("a frame of middle length");
    [&[op, 126][..], &length.to_be_bytes(), data].concat()
}

fn quote(symbol: &str) -> Value {
    json!([{"T": "q", "S": symbol, "bp": 1.5, "bs": 2, "ap": 3, "as": 4, "t": "2021-02-22T15:51:45Z"}])
}

fn wanted() -> Subscription {
    let symbols = |names: &[&str]| names.iter().map(Symbol::new).collect();
    Subscription {
        bars: symbols(&["SPY"]),
        quotes: symbols(&["SPY"]),
        news: symbols(&["*"]),
        ..<_>::default()
    }
}

#[tokio::test]
async fn both_encodings_say_the_same() {
    let bar = json!([{"T": "u", "S": "SPY", "o": 1, "h": 2, "l": 0.5, "c": 1.5, "v": 7, "n": 1, "vw": 1.25,
        "t": "2021-02-22T15:51:00Z"}, {"T": "zz"}, {"T": "q", "S": "SPY"}, {"T": "s"}]);
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let data = [quote("A"), quote("B"), bar.clone()].iter().map(|v| in_encoding(encoding, v)).collect();
        let (authority, asked, heard) = broker(encoding, data).await;
        let alpaca = alpaca_in(&authority, Arc::new(Notes::default()), encoding);
        let mut session = DataFeed::open(&alpaca, &wanted()).await.expect("open");
        let mut events = Vec::new();
        while events.len() < 3 {
            session.next(&mut events).await.expect("open");
        }
        let symbols: Vec<_> = events
            .iter()
            .map(|event| match event {
                MarketEvent::Quote(quote) => quote.symbol.to_string(),
                MarketEvent::MarkedBar(bar, BarMark::Corrected) => format!("{} {}", bar.symbol, bar.vwap),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(symbols, ["A", "B", "SPY 1.25"]);
        let content_type = match encoding {
            Encoding::Json => None,
            Encoding::MessagePack => Some("application/msgpack".to_owned()),
        };
        assert_eq!(*asked.lock().unwrap(), [("/v2/iex".to_owned(), content_type)]);
        let subscribe = json!({"action": "subscribe", "bars": ["SPY"], "updatedBars": ["SPY"],
            "quotes": ["SPY"], "trades": []});
        let auth = json!({"action": "auth", "key": "PKTEST", "secret": "hush"});
        assert_eq!(*heard.lock().unwrap(), [auth, subscribe]);
        let counts = OddityCounts { ignored: 1, unknown: 1, unreadable: 1 };
        assert_eq!((session.oddities(), alpaca.oddities()), (counts, counts));
    }
}

#[tokio::test]
async fn news_comes_over_a_stream_of_its_own() {
    let news = json!([{"T": "n", "id": 7, "headline": "H", "updated_at": "2021-02-22T15:51:45Z",
        "symbols": ["SPY"]}]);
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let (authority, asked, heard) = broker(encoding, vec![in_encoding(encoding, &news)]).await;
        let alpaca = AlpacaNews(Arc::new(alpaca_in(&authority, Arc::new(Notes::default()), encoding)));
        let mut session = alpaca.open(&wanted()).await.expect("open");
        let mut events = Vec::new();
        session.next(&mut events).await.expect("open");
        assert!(matches!(&events[..], [MarketEvent::News(news)] if news.headline == "H"), "{events:?}");
        assert_eq!(asked.lock().unwrap()[0].0, "/v1beta1/news");
        assert_eq!(heard.lock().unwrap()[1], json!({"action": "subscribe", "news": ["*"]}));
    }
}

/// Whatever has arrived comes in one batch, and what came before the end of the stream is not lost with it.
#[tokio::test]
async fn frames_that_are_here_come_together() {
    let encoding = Encoding::MessagePack;
    let mut data: Vec<Message> = (0..100).map(|n| in_encoding(encoding, &quote(&format!("S{n}")))).collect();
    data.push(Message::Close(None));
    let (authority, ..) = broker(encoding, data).await;
    let alpaca = alpaca_in(&authority, Arc::new(Notes::default()), encoding);
    let mut session = DataFeed::open(&alpaca, &wanted()).await.expect("open");
    let (mut events, mut calls) = (Vec::new(), 0);
    let error = loop {
        calls += 1;
        if let Err(error) = session.next(&mut events).await {
            break error;
        }
    };
    assert_eq!(stream_kind(&error), "down", "{error}");
    assert_eq!(events.len(), 100);
    assert!(calls < 20, "{calls} calls for 100 frames that were written at once");
}

#[tokio::test]
async fn what_comes_before_the_acknowledgement_is_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let authority = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut server = tokio_tungstenite::accept_async(stream).await.unwrap();
        let quote = r#"{"T":"q","S":"SPY","bp":1,"bs":2,"ap":3,"as":4,"t":"2021-02-22T15:51:45Z"}"#;
        let many = format!("[{}]", vec![quote; 2_000].join(","));
        while server.send(Message::text(many.clone())).await.is_ok() {}
    });
    let alpaca = alpaca_in(&authority, Arc::new(Notes::default()), Encoding::Json);
    let Err(error) = DataFeed::open(&alpaca, &wanted()).await else { panic!("without a welcome") };
    assert!(matches!(&error, StreamError::Down { message } if message.contains("10000 events")), "{error}");
}
