use super::*;

use Policy::{Cancel, CancelKeepStops, Flatten};

/// `ID:KIND SIDE SIZE SYMBOL GROUP`, with `?` for a size or side that is not said.
fn orders(text: &str) -> Vec<Order> {
    let order = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [id, kind, side, size, symbol, group] = words[..] else {
            panic!("{line:?}");
        };
        Order {
            id: id.into(),
            symbol: symbol.into(),
            kind: match kind {
                "stop" => Kind::Stop,
                "market" => Kind::Market,
                _ => Kind::Other,
            },
            buys: match side {
                "buy" => Some(true),
                "sell" => Some(false),
                _ => None,
            },
            left: size.parse().ok(),
            group: group.parse().expect("a number"),
        }
    };
    text.split(';').map(str::trim).filter(|line| !line.is_empty()).map(order).collect()
}

/// `SYMBOL SIZE HELD`
fn positions(text: &str) -> Vec<Position> {
    let position = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [symbol, qty, held] = words[..] else {
            panic!("{line:?}");
        };
        let held = held.parse().expect("a number");
        Position { symbol: symbol.into(), key: symbol.into(), qty: qty.parse().ok(), held }
    };
    text.split(';').map(str::trim).filter(|line| !line.is_empty()).map(position).collect()
}

/// What has to go, and how many stay (as closing orders under `flatten`), are reserved, and are not closed.
#[track_caller]
fn check(policy: Policy, open: &str, held: &str, unwanted: &str, stay: usize, reserved: usize, idle: usize) {
    let seen = Sighting { open: orders(open), positions: positions(held), ..Sighting::default() };
    let judged = judge(policy, &seen);
    assert_eq!(judged.unwanted.join(" "), unwanted, "{judged:?}");
    let got = (judged.kept.len() + judged.closing.len(), judged.reserved, judged.unclosed.len());
    assert_eq!(got, (stay, reserved, idle), "{judged:?}");
}

#[test]
fn cancel_leaves_nothing() {
    check(Cancel, "", "", "", 0, 0, 0);
    check(Cancel, "s stop sell 5 A 0; m market sell 1 A 1", "A 5 5", "s m", 0, 1, 0);
    check(Cancel, "", "A 5 0; B 5 1", "", 0, 1, 0);
}

#[test]
fn keep_stops_leaves_stops_that_reduce_and_do_not_exceed() {
    let check = |open, held, unwanted, stay, reserved| {
        check(CancelKeepStops, open, held, unwanted, stay, reserved, 0);
    };
    check("s stop sell 5 A 0", "A 5 5", "", 1, 0);
    check("s stop buy 5 A 0", "A -5 5", "", 1, 0);
    // The wrong side, more than is held, no position, a size that nobody knows.
    check("s stop buy 5 A 0", "A 5 0", "s", 0, 0);
    check("s stop sell 6 A 0", "A 5 0", "s", 0, 0);
    check("s stop sell 5 A 0", "B 5 0", "s", 0, 0);
    check("s stop sell ? A 0", "A 5 0", "s", 0, 0);
    check("s stop ? 5 A 0", "A 5 0", "s", 0, 0);
    check("s stop sell 5 A 0", "A x 0", "s", 0, 0);
    // Together they exceed it.
    check("s stop sell 3 A 0; t stop sell 3 A 1", "A 5 3", "t", 1, 0);
    check("s stop sell 3 A 0; t stop sell 2 A 1", "A 5 5", "", 2, 0);
    // A lone take-profit and anything else goes.
    check("t limit sell 5 A 0; l limit buy 5 A 1; m market sell 1 A 2", "A 5 0", "t l m", 0, 0);
    // Exits of one bracket share their fate, and the shares.
    check("t limit sell 5 A 0; s stop sell 5 A 0", "A 5 5", "", 2, 0);
    check("t limit sell 5 A 0; s stop sell 5 A 1", "A 5 5", "t", 1, 0);
    // An entry that works takes its legs along.
    check("e limit buy 5 A 0; t limit sell 5 A 0; s stop sell 5 A 0", "A 5 0", "e t s", 0, 0);
    // Shares that are held for more than the kept stops.
    check("s stop sell 3 A 0", "A 5 5", "", 1, 1);
}

#[test]
fn only_what_may_be_an_exit_is_doubted() {
    let check = |open: &str, held: &str, doubtful: usize, legs: usize| {
        let seen = Sighting { open: orders(open), positions: positions(held), ..Sighting::default() };
        let judged = judge(CancelKeepStops, &seen);
        assert_eq!((judged.doubtful.len(), judged.legs.len()), (doubtful, legs), "{judged:?}");
    };
    // The entry was executed, or part of the exit, between the two halves of the read.
    check("t limit sell 5 A 0; s stop sell 5 A 0", "", 2, 0);
    check("s stop sell 5 A 0", "A 3 3", 1, 0);
    check("e limit buy 5 A 0; t limit sell 5 A 0; s stop sell 5 A 0", "", 0, 2);
    check("e stop sell 5 A 0; t limit buy 5 A 0; s stop buy 5 A 0", "A -5 5", 0, 2);
    check("s stop buy 5 A 0", "A 3 3", 0, 0);
    check("l limit buy 5 A 0", "", 0, 0);
}

#[test]
fn flatten_leaves_what_closes() {
    check(Flatten, "m market sell 5 A 0", "A 5 5", "", 1, 0, 0);
    check(Flatten, "m market buy 5 A 0", "A -5 5", "", 1, 0, 0);
    check(Flatten, "m market buy 5 A 0", "A 5 0", "m", 0, 0, 1);
    check(Flatten, "m market sell 6 A 0", "A 5 0", "m", 0, 0, 1);
    check(Flatten, "m market sell 5 A 0", "", "m", 0, 0, 0);
    check(Flatten, "m market sell 3 A 0; n market sell 3 A 1", "A 5 3", "n", 1, 0, 0);
    check(Flatten, "s stop sell 5 A 0", "A 5 5; B -1 0", "s", 0, 1, 2);
    check(Flatten, "", "A x 0", "", 0, 0, 1);
}

#[test]
fn somebody_elses_order_explains_a_reservation() {
    let position = positions("A 5 5");
    let seen = Sighting { positions: position, foreign: vec!["A".into()], ..Sighting::default() };
    assert_eq!(judge(Cancel, &seen).reserved, 0);
}
