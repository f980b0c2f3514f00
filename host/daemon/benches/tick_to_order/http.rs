//! The REST side: kept-alive HTTP/1.1, read and written whole.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use jiff::{ToSpan, civil::Date};
use sandpit_types::MarketTime;
use serde_json::{Value, json};

use crate::{
    broker::Shared,
    quotes::{self, SYMBOL},
    world,
};

/// A request is never longer.
const MAX_REQUEST_BYTES: usize = 64 * 1024;
const MINUTE: Duration = Duration::from_secs(60);
/// The bells of the day that is played.
const CLOSE: &str = "2026-03-16T20:00:00Z";
const NEXT_OPEN: &str = "2026-03-17T13:30:00Z";

/// Answers requests until the client goes.
pub(crate) fn serve(mut socket: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut room = Vec::with_capacity(MAX_REQUEST_BYTES);
    loop {
        let Some(length) = request(&mut socket, &mut room)? else { return Ok(()) };
        let at = world::nanos();
        let (head, body) = split(&room[..length]).expect("it is whole");
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut told = None;
        let answer = match (method, path) {
            ("POST", "/v2/orders") => shared.take(body, at).map(|(order, fill)| {
                told = Some(fill);
                order
            }),
            ("GET", _) => read(path, query, shared),
            ("DELETE", _) => Some(json!([])),
            _ => None,
        };
        room.drain(..length);
        write(&mut socket, answer)?;
        if let Some(told) = told {
            shared.tell(&told);
        }
    }
}

/// Reads until `room` begins with a whole request; its length, or `None` at the end.
fn request(socket: &mut TcpStream, room: &mut Vec<u8>) -> io::Result<Option<usize>> {
    let mut piece = [0; 4_096];
    loop {
        if let Some(length) = whole(room) {
            return Ok(Some(length));
        }
        let count = socket.read(&mut piece)?;
        if count == 0 || room.len() > MAX_REQUEST_BYTES {
            return Ok(None);
        }
        room.extend_from_slice(&piece[..count]);
    }
}

fn whole(room: &[u8]) -> Option<usize> {
    let (head, body) = split(room)?;
    let is_length =
        |line: &&str| line.get(..15).is_some_and(|key| key.eq_ignore_ascii_case("content-length:"));
    let length = head.lines().find(is_length).map_or(0, |line| line[15..].trim().parse().unwrap_or(0));
    (body.len() >= length).then(|| room.len() - body.len() + length)
}

fn split(room: &[u8]) -> Option<(&str, &[u8])> {
    let end = room.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((str::from_utf8(&room[..end]).ok()?, &room[end + 4..]))
}

fn write(socket: &mut TcpStream, answer: Option<Value>) -> io::Result<()> {
    let (status, body) = match answer {
        Some(body) => ("200 OK", body.to_string()),
        None => ("404 Not Found", json!({"code": 40_410_000, "message": "not found"}).to_string()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
    socket.write_all((head + &body).as_bytes())
}

fn read(path: &str, query: &str, shared: &Shared) -> Option<Value> {
    Some(match path {
        "/v2/clock" => json!({
            "timestamp": shared.now().to_string(), "is_open": true, "next_open": NEXT_OPEN,
            "next_close": CLOSE,
        }),
        "/v2/calendar" => calendar(parameter(query, "start")?, parameter(query, "end")?)?,
        "/v2/account" => shared.account(),
        "/v2/account/configurations" => json!({"suspend_trade": false}),
        "/v2/positions" => shared.positions(),
        "/v2/orders:by_client_order_id" => shared.order(parameter(query, "client_order_id")?)?,
        "/v2/stocks/bars" => bars(query, shared)?,
        "/v2/stocks/quotes/latest" => json!({"quotes": {}}),
        // Nothing is ever open, and nothing but orders moves money.
        "/v2/orders" | "/v2/account/activities" => json!([]),
        _ => return None,
    })
}

/// The value of a parameter; only `:` and `,` come encoded here.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, of)| of)
}

/// Every weekday is a session.
fn calendar(start: &str, end: &str) -> Option<Value> {
    let (start, end): (Date, Date) = (start.parse().ok()?, end.parse().ok()?);
    let days = start.series(1.day()).take_while(|day| *day <= end);
    let sessions = days.filter(|day| day.weekday().to_monday_zero_offset() < 5);
    Some(sessions.map(|day| json!({"date": day.to_string(), "open": "09:30", "close": "16:00"})).collect())
}

/// The bars of complete minutes, as the stream has sent them.
fn bars(query: &str, shared: &Shared) -> Option<Value> {
    let time = |name| MarketTime::parse(&parameter(query, name)?.replace("%3A", ":")).ok();
    let (start, end) = (time("start")?, time("end")?.min(shared.now().minute() - Duration::from_nanos(1)));
    let first = (start + (MINUTE - Duration::from_nanos(1))).minute();
    let minutes = std::iter::successors(Some(first), |minute| Some(*minute + MINUTE));
    let rows: Vec<_> = minutes.take_while(|minute| *minute <= end).map(quotes::bar_row).collect();
    Some(json!({"bars": {SYMBOL: rows}, "next_page_token": null}))
}
