//! The measuring broker: as much of Alpaca as a host, an `alpaca-py` bot and the floor ask for, with a thread
//! for each connection and nothing between the socket and the stamps.
//!
//! Its market is compressed for whoever believes its clock. Every order is taken and filled at its limit at
//! once: that is told after the answer, by the order stream, so that whatever the subject does with it falls
//! into the pause before the next quote.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use sandpit_types::MarketTime;
use serde_json::{Value, json};

use crate::{
    http, quotes,
    quotes::{Encoding, SYMBOL},
    streams, world,
};

/// 2026-03-16T14:00:00Z, a Monday of summer time in New York: the exchange has been open for half an hour.
const START_SECS: i64 = 1_773_669_600;
/// US cents of the account at the start.
const CASH_CENTS: i64 = 10_000_000;

/// An order whose bytes have been read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Post {
    /// When the last of them was, nanoseconds of the machine's steady clock.
    pub(crate) at: u64,
    /// Its limit price, US cents.
    pub(crate) cents: u64,
}

/// The broker and the way to it.
pub(crate) struct Broker {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    posts: Receiver<Post>,
}

/// What its threads share.
pub(crate) struct Shared {
    began: u64,
    speed: f64,
    posts: Mutex<Sender<Post>>,
    data: Mutex<Option<(TcpStream, Encoding)>>,
    orders: Mutex<Option<TcpStream>>,
    book: Mutex<Book>,
}

/// The account.
#[derive(Default)]
struct Book {
    qty: i64,
    paid_cents: i64,
    orders: Vec<Value>,
}

impl Broker {
    /// A broker whose market runs `speed` times as fast as real time.
    pub(crate) fn start(speed: f64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (tell, posts) = channel();
        let shared = Arc::new(Shared {
            began: world::nanos(),
            speed,
            posts: Mutex::new(tell),
            data: Mutex::default(),
            orders: Mutex::default(),
            book: Mutex::default(),
        });
        let of_clients = Arc::clone(&shared);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let shared = Arc::clone(&of_clients);
                thread::spawn(move || serve(socket, &shared));
            }
        });
        Self { address, shared, posts }
    }

    /// Market time.
    pub(crate) fn now(&self) -> MarketTime {
        self.shared.now()
    }

    /// How the subject wants its data, once it is subscribed.
    pub(crate) fn encoding(&self) -> Option<Encoding> {
        lock(&self.shared.data).as_ref().map(|(_, encoding)| *encoding)
    }

    /// Writes a whole frame to the data stream; gives back when that was begun. Without a stream nothing is
    /// written.
    pub(crate) fn say(&self, frame: &[u8]) -> u64 {
        let mut data = lock(&self.shared.data);
        let at = world::nanos();
        if let Some((socket, _)) = &mut *data
            && socket.write_all(frame).is_err()
        {
            *data = None;
        }
        at
    }

    /// The orders read since they were last taken.
    pub(crate) fn take_posts(&self) -> Vec<Post> {
        self.posts.try_iter().collect()
    }
}

/// A connection until its end.
fn serve(socket: TcpStream, shared: &Shared) {
    // An error is the end of a client; what it lacks shows in the figures.
    let _ = socket.set_nodelay(true);
    match streams::wants_stream(&socket) {
        Some(true) => drop(streams::serve(socket, shared)),
        Some(false) => drop(http::serve(socket, shared)),
        None => {}
    }
}

impl Shared {
    /// Market time.
    pub(crate) fn now(&self) -> MarketTime {
        let real = world::nanos() - self.began;
        MarketTime::from_nanos(START_SECS * 1_000_000_000 + (real as f64 * self.speed) as i64)
    }

    /// A client listens to data.
    pub(crate) fn listens(&self, socket: TcpStream, encoding: Encoding) {
        *lock(&self.data) = Some((socket, encoding));
    }

    /// A client listens to what becomes of its orders.
    pub(crate) fn follows(&self, socket: TcpStream) {
        *lock(&self.orders) = Some(socket);
    }

    /// Takes the order of this body, which was read at `at`: the answer, and what is told after it.
    pub(crate) fn take(&self, body: &[u8], at: u64) -> Option<(Value, Value)> {
        let asked: Value = serde_json::from_slice(body).ok()?;
        let price = number(&asked["limit_price"])?;
        let qty = number(&asked["qty"])? as i64;
        let cents = (price * 100.0).round() as u64;
        // The receiver lives as long as the run.
        let _ = lock(&self.posts).send(Post { at, cents });
        let mut book = lock(&self.book);
        let number = book.orders.len();
        let side = asked["side"].as_str()?;
        let signed = if side == "sell" { -qty } else { qty };
        book.qty += signed;
        book.paid_cents += signed * cents as i64;
        let now = self.now().to_string();
        let order = json!({
            "id": format!("00000000-0000-4000-8000-{number:012}"),
            "client_order_id": asked["client_order_id"].as_str().unwrap_or("none"),
            "created_at": now, "updated_at": now, "submitted_at": now, "filled_at": null,
            "asset_id": "b28f4066-5c6d-479b-a2af-85dc1a8f16fb", "asset_class": "us_equity",
            "symbol": SYMBOL, "qty": qty.to_string(), "side": side, "type": "limit",
            "order_type": "limit", "order_class": "simple", "time_in_force": "day",
            "limit_price": quotes::usd(cents), "extended_hours": false, "legs": null,
            "status": "new", "filled_qty": "0", "filled_avg_price": null,
        });
        let mut filled = order.clone();
        filled["status"] = "filled".into();
        filled["filled_qty"] = qty.to_string().into();
        filled["filled_avg_price"] = quotes::usd(cents).into();
        filled["filled_at"] = now.clone().into();
        book.orders.push(filled.clone());
        let fill = json!({"stream": "trade_updates", "data": {
            "event": "fill", "execution_id": format!("10000000-0000-4000-8000-{number:012}"),
            "timestamp": now, "price": quotes::usd(cents), "qty": qty.to_string(),
            "position_qty": book.qty.to_string(), "order": filled,
        }});
        Some((order, fill))
    }

    /// Tells something by the order stream, if somebody listens.
    pub(crate) fn tell(&self, message: &Value) {
        let mut orders = lock(&self.orders);
        let frame = quotes::frame(Encoding::Json, message.to_string().as_bytes());
        if orders.as_mut().is_some_and(|socket| socket.write_all(&frame).is_err()) {
            *orders = None;
        }
    }

    /// The order with this id of its sender.
    pub(crate) fn order(&self, client_id: &str) -> Option<Value> {
        let book = lock(&self.book);
        book.orders.iter().rev().find(|order| order["client_order_id"] == client_id).cloned()
    }

    /// The account.
    pub(crate) fn account(&self) -> Value {
        let book = lock(&self.book);
        let cash = CASH_CENTS - book.paid_cents;
        let equity = cash + book.qty * quotes::ask_cents(0) as i64;
        let usd = |cents: i64| quotes::usd(cents.unsigned_abs());
        json!({
            "id": "20000000-0000-4000-8000-000000000000", "account_number": "BENCH", "status": "ACTIVE",
            "currency": "USD", "cash": usd(cash), "equity": usd(equity), "portfolio_value": usd(equity),
            "last_equity": usd(CASH_CENTS), "buying_power": usd(2 * cash), "trading_blocked": false,
            "account_blocked": false, "trade_suspended_by_user": false,
        })
    }

    /// What is held.
    pub(crate) fn positions(&self) -> Value {
        let book = lock(&self.book);
        if book.qty == 0 {
            return json!([]);
        }
        let price = quotes::usd(quotes::ask_cents(0));
        let side = if book.qty < 0 { "short" } else { "long" };
        let qty = book.qty.to_string();
        json!([{
            "symbol": SYMBOL, "side": side, "qty": qty, "qty_available": qty, "avg_entry_price": price,
            "current_price": price,
        }])
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number, which Alpaca takes as a text, too.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}
