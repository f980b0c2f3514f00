//! A broker on loopback with one account: orders with legs, suspension, and faults.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};

use super::pause;

/// The account.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) orders: Vec<Value>,
    pub(crate) positions: Vec<Value>,
    pub(crate) is_suspended: bool,
    /// Method, path and key of everything that came.
    pub(crate) requests: Vec<String>,
    /// Cancels are taken and do nothing.
    pub(crate) is_stuck: bool,
    /// Once it is suspended, one order is not cancelled, and only lists of all orders show it.
    pub(crate) hides_one: bool,
    /// Cancels take so long.
    pub(crate) cancel_ms: u64,
    /// Brackets are rejected.
    pub(crate) takes_no_brackets: bool,
    /// Orders are rejected from this number on.
    pub(crate) takes: Option<usize>,
}

impl Account {
    pub(crate) fn open(&self) -> usize {
        self.orders.iter().filter(|order| order["status"] == "new").count()
    }

    pub(crate) fn did(&self, method: &str) -> bool {
        self.requests.iter().any(|request| request.starts_with(method))
    }
}

/// It, on a port of its own.
pub(crate) struct Broker {
    pub(crate) url: String,
    account: Arc<Mutex<Account>>,
}

impl Broker {
    pub(crate) fn start(id: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let account = Arc::new(Mutex::new(Account { id: id.into(), ..Account::default() }));
        let shared = Arc::clone(&account);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || answer(&stream, &shared));
            }
        });
        Self { url, account }
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().expect("no test panics with it")
    }
}

/// One connection, kept open for as many requests as come.
fn answer(stream: &TcpStream, account: &Mutex<Account>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut line, mut length, mut key) = (String::new(), 0, String::new());
        if !matches!(reader.read_line(&mut line), Ok(bytes) if bytes > 0) {
            return;
        }
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).is_err() || header.trim().is_empty() {
                break;
            }
            let header = header.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            if let Some(value) = header.strip_prefix("apca-api-key-id:") {
                key = value.trim().into();
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let request = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let lock = || account.lock().expect("no test panics with it");
        let wait = if request.starts_with("DELETE") { lock().cancel_ms } else { 0 };
        pause(Duration::from_millis(wait));
        let mut account = lock();
        account.requests.push(format!("{request} {key}"));
        let (status, answer) = act(&request, &body, &mut account);
        drop(account);
        let text = if answer.is_null() { String::new() } else { answer.to_string() };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", text.len());
        let mut stream = stream;
        if stream.write_all((head + &text).as_bytes()).is_err() {
            return;
        }
    }
}

fn act(request: &str, body: &Value, account: &mut Account) -> (u16, Value) {
    let words: Vec<&str> = request.split(['?', ' ']).collect();
    match (words[0], words[1]) {
        ("GET", "/v2/account") => (200, json!({ "id": account.id, "equity": "1000", "cash": "1000" })),
        ("GET", "/v2/account/activities") => (200, json!([])),
        ("PATCH", _) => {
            account.is_suspended = body["suspend_trade"] == true;
            (200, json!({ "suspend_trade": account.is_suspended }))
        }
        ("GET", "/v2/account/configurations") => (200, json!({ "suspend_trade": account.is_suspended })),
        ("GET", "/v2/positions") => (200, json!(account.positions)),
        ("GET", "/v2/orders") => {
            let is_all = request.contains("status=all");
            let hides = account.hides_one && account.is_suspended;
            let mut listed: Vec<Value> = account.orders.clone();
            listed.retain(|order| is_all || order["status"] == "new");
            if hides && !is_all {
                listed.clear();
            }
            (200, json!(listed))
        }
        ("POST", "/v2/orders") => place(body, account),
        ("DELETE", path) => cancel(path.strip_prefix("/v2/orders/"), account),
        _ => (404, json!({ "message": "endpoint not found" })),
    }
}

fn place(body: &Value, account: &mut Account) -> (u16, Value) {
    let is_bracket = body["order_class"] == "bracket";
    if account.is_suspended || account.takes.is_some_and(|takes| takes <= account.orders.len()) {
        return (403, json!({ "message": "new orders are rejected by user request" }));
    }
    if is_bracket && account.takes_no_brackets {
        return (422, json!({ "message": "no brackets" }));
    }
    let id = format!("o{}", account.orders.len());
    let leg = |n| json!({ "id": format!("{id}-{n}"), "status": "held", "client_order_id": format!("x{n}") });
    let legs = if is_bracket { json!([leg(1), leg(2)]) } else { Value::Null };
    let client_id = &body["client_order_id"];
    let order =
        json!({ "id": id, "client_order_id": client_id, "status": "new", "symbol": "SPY", "legs": legs });
    account.orders.push(order.clone());
    (200, order)
}

fn cancel(which: Option<&str>, account: &mut Account) -> (u16, Value) {
    let (is_stuck, keeps) = (account.is_stuck, account.hides_one);
    let mut rows = Vec::new();
    for (n, order) in account.orders.iter_mut().enumerate() {
        let is_meant = which.is_none_or(|id| order["id"] == id) && order["status"] == "new";
        if is_meant {
            rows.push(json!({ "id": order["id"], "status": 200 }));
        }
        if is_meant && !is_stuck && !(keeps && n == 0) {
            order["status"] = json!("canceled");
            for leg in order["legs"].as_array_mut().into_iter().flatten() {
                leg["status"] = json!("canceled");
            }
        }
    }
    if which.is_some() { (if rows.is_empty() { 422 } else { 204 }, Value::Null) } else { (207, json!(rows)) }
}
