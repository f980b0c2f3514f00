//! The data stream.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use sandpit_broker::{DataFeed, DataSession, StreamError, Subscription};
use sandpit_types::{MarketEvent, Symbol};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};

use crate::support::{Notes, Reply, alpaca, serve};

pub(crate) type Server = WebSocketStream<TcpStream>;

/// Accepts one WebSocket after another and lets `script` speak on each.
pub(crate) async fn websocket<T, Fut>(script: T) -> String
where
    T: Fn(Server) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let authority = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(socket) = accept_async(stream).await {
                tokio::spawn(script(socket));
            }
        }
    });
    authority
}

pub(crate) async fn say(server: &mut Server, text: &str) {
    // A client that has gone already is part of some scripts.
    let _gone = server.send(Message::text(text)).await;
}

pub(crate) async fn hear(server: &mut Server) -> String {
    match server.next().await {
        Some(Ok(message)) => message.into_text().expect("text").to_string(),
        other => panic!("the client said {other:?}"),
    }
}

pub(crate) fn stream_kind(error: &StreamError) -> &'static str {
    match error {
        StreamError::Down { .. } => "down",
        StreamError::Unauthorized { .. } => "unauthorized",
        StreamError::Occupied { .. } => "occupied",
        StreamError::TooManySymbols { .. } => "too many symbols",
        StreamError::Slow { .. } => "slow",
        StreamError::NotSent(_) => "not sent",
    }
}

fn wanted() -> Subscription {
    let symbol = |name: &str| Symbol::new(name);
    let (bars, quotes) = (vec![symbol("SPY"), symbol("AAPL")], vec![symbol("SPY")]);
    Subscription { bars, quotes, trades: vec![], news: vec![] }
}

const WELCOME: &str = r#"[{"T":"success","msg":"connected"}]"#;
const AUTHENTICATED: &str = r#"[{"T":"success","msg":"authenticated"}]"#;
const SUBSCRIBED: &str = r#"[{"T":"subscription","trades":[],"quotes":["SPY"],"bars":["AAPL","SPY"]}]"#;
const QUOTE: &str = r#"[{"T":"q","S":"SPY","bp":1,"bs":2,"ap":3,"as":4,"t":"2021-02-22T15:51:45Z"}]"#;

const TOO_MANY: &str = r#"[{"T":"error","code":405,"msg":"symbol limit exceeded"}]"#;

/// The server says these, each after it heard the client; an empty text is said by not speaking.
async fn opens_with(
    welcome: &'static str,
    after_auth: &'static str,
    after_subscribe: &'static str,
) -> &'static str {
    let authority = websocket(move |mut server| async move {
        for text in [welcome, after_auth, after_subscribe] {
            if !text.is_empty() {
                say(&mut server, text).await;
            }
            if server.next().await.is_none_or(|message| message.is_err()) {
                return;
            }
        }
    })
    .await;
    let opened = alpaca(&authority, Arc::new(Notes::default())).open_data().await;
    opened.as_ref().map_or_else(stream_kind, |_| "open")
}

/// [`DataFeed::open`] and `OrderFeed::open` share their name.
trait OpenData {
    async fn open_data(&self) -> Result<sandpit_alpaca::AlpacaData, StreamError>;
}

impl OpenData for sandpit_alpaca::Alpaca {
    async fn open_data(&self) -> Result<sandpit_alpaca::AlpacaData, StreamError> {
        DataFeed::open(self, &wanted()).await
    }
}

#[tokio::test]
async fn every_greeting_means_one_thing() {
    async fn check(welcome: &'static str, auth: &'static str, subscribe: &'static str, expected: &str) {
        assert_eq!(opens_with(welcome, auth, subscribe).await, expected, "{welcome} {auth} {subscribe}");
    }
    check(WELCOME, AUTHENTICATED, SUBSCRIBED, "open").await;
    check("", "", "", "down").await;
    check(WELCOME, "", "", "down").await;
    check(WELCOME, AUTHENTICATED, "", "down").await;
    check(AUTHENTICATED, "", "", "down").await;
    check(WELCOME, r#"[{"T":"error","code":402,"msg":"auth failed"}]"#, "", "unauthorized").await;
    check(WELCOME, r#"[{"T":"error","code":406,"msg":"connection limit exceeded"}]"#, "", "occupied").await;
    check(WELCOME, r#"[{"T":"error","code":404,"msg":"auth timeout"}]"#, "", "down").await;
    check(
        WELCOME,
        AUTHENTICATED,
        r#"[{"T":"error","code":409,"msg":"insufficient subscription"}]"#,
        "unauthorized",
    )
    .await;
    check(WELCOME, AUTHENTICATED, TOO_MANY, "too many symbols").await;
    check(WELCOME, AUTHENTICATED, r#"[{"T":"subscription","quotes":["SPY"],"bars":["SPY"]}]"#, "down").await;
    check("not json", "", "", "down").await;
}

#[tokio::test]
async fn too_many_symbols_name_the_limit() {
    let authority = websocket(|mut server| async move {
        for text in [WELCOME, AUTHENTICATED] {
            say(&mut server, text).await;
            hear(&mut server).await;
        }
        say(&mut server, TOO_MANY).await;
        let _until_it_goes = server.next().await;
    })
    .await;
    let Err(error) = alpaca(&authority, Arc::new(Notes::default())).open_data().await else {
        panic!("refused")
    };
    assert!(error.to_string().contains("30 symbols"), "{error}");
}

#[tokio::test]
async fn a_refused_handshake_is_understood() {
    async fn check(status: u16, headers: &'static str, expected: &str, hints: usize) {
        let (authority, _) = serve(vec![Reply::Http(status, headers, "no".to_owned())]).await;
        let notes = Arc::new(Notes::default());
        let Err(error) = alpaca(&authority, notes.clone()).open_data().await else { panic!("refused") };
        assert_eq!(stream_kind(&error), expected, "{status}");
        assert_eq!(notes.hints.lock().unwrap().len(), hints, "{status}");
        assert_eq!(notes.asked.lock().unwrap().len(), 1, "a handshake passes the gate");
    }
    check(429, "", "occupied", 0).await;
    check(429, "X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 9\r\n", "occupied", 1).await;
    check(406, "", "occupied", 0).await;
    check(401, "", "unauthorized", 0).await;
    check(403, "", "unauthorized", 0).await;
    check(500, "", "down", 0).await;
    check(200, "", "down", 0).await;
    let shut = alpaca("127.0.0.1:1", Arc::new(Notes { shut: true, ..Notes::default() }));
    assert!(matches!(shut.open_data().await, Err(StreamError::NotSent(_))));
}

#[tokio::test]
async fn data_flows_until_the_stream_ends() {
    async fn check(ending: &'static str, expected: &str) {
        let authority = websocket(move |mut server| async move {
            say(&mut server, WELCOME).await;
            assert_eq!(hear(&mut server).await, r#"{"action":"auth","key":"PKTEST","secret":"hush"}"#);
            say(&mut server, AUTHENTICATED).await;
            let subscribe = hear(&mut server).await;
            assert_eq!(
                subscribe,
                concat!(
                    r#"{"action":"subscribe","bars":["SPY","AAPL"],"quotes":["SPY"],"trades":[],"#,
                    r#""updatedBars":["SPY","AAPL"]}"#
                )
            );
            // Data may overtake the acknowledgement, pings come in between, control messages stand alone.
            say(&mut server, QUOTE).await;
            say(&mut server, SUBSCRIBED).await;
            let _gone = server.send(Message::Ping("x".into())).await;
            say(&mut server, SUBSCRIBED).await;
            say(&mut server, QUOTE).await;
            match ending {
                "close" => drop(server.close(None).await),
                "drop" => {}
                text => {
                    say(&mut server, text).await;
                    let _until_it_goes = server.next().await;
                }
            }
        })
        .await;
        let mut session = alpaca(&authority, Arc::new(Notes::default())).open_data().await.expect("open");
        let mut events = Vec::new();
        let error = loop {
            if let Err(error) = session.next(&mut events).await {
                break error;
            }
        };
        assert_eq!(stream_kind(&error), expected, "{ending}: {error}");
        assert_eq!(events.len(), 2, "{ending}");
        assert!(matches!(&events[1], MarketEvent::Quote(quote) if quote.ask == 3.0), "{events:?}");
    }
    check("close", "down").await;
    check("drop", "down").await;
    check(r#"[{"T":"error","code":407,"msg":"slow client"}]"#, "slow").await;
    check(r#"[{"T":"q","S":"SPY""#, "down").await;
}

/// Half a frame has arrived when the wait is given up; the other half completes it later.
#[tokio::test]
async fn giving_up_a_wait_loses_nothing() {
    let given_up = Arc::new(Notify::new());
    let seen = Arc::clone(&given_up);
    let authority = websocket(move |mut server| {
        let seen = Arc::clone(&seen);
        async move {
            for text in [WELCOME, AUTHENTICATED] {
                say(&mut server, text).await;
                hear(&mut server).await;
            }
            say(&mut server, SUBSCRIBED).await;
            let frame = frame_bytes(QUOTE);
            let (first, second) = frame.split_at(20);
            server.get_mut().write_all(first).await.expect("open");
            seen.notified().await;
            server.get_mut().write_all(second).await.expect("open");
            std::future::pending::<()>().await;
        }
    })
    .await;
    let mut session = alpaca(&authority, Arc::new(Notes::default())).open_data().await.expect("open");
    let mut events = Vec::new();
    let waited = timeout(Duration::from_millis(50), session.next(&mut events)).await;
    assert!(waited.is_err() && events.is_empty(), "half a frame is none");
    given_up.notify_one();
    timeout(Duration::from_secs(5), session.next(&mut events)).await.expect("in time").expect("open");
    assert_eq!(events.len(), 1);
}

/// An unmasked text frame, as a server writes it.
fn frame_bytes(text: &str) -> Vec<u8> {
    assert!(text.len() < 126, "a short frame");
    let mut frame = vec![0x81, u8::try_from(text.len()).expect("short")];
    frame.extend_from_slice(text.as_bytes());
    frame
}
