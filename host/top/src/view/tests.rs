use ratatui::{Terminal, backend::TestBackend};
use serde_json::{Value, json};

use super::*;
use crate::{Act, Effect, Input, Key, Shown};

fn host() -> Value {
    let order = |number: u32| {
        json!({"client_order_id": format!("sp-sma_cross-00000000000000ff-{number}"), "symbol": "SPY",
            "side": "buy", "qty": "10", "filled_qty": "2.5", "kind": "limit", "limit_price": "99.5",
            "status": "new", "age_secs": 192.0})
    };
    json!({
        "mode": "paper", "market_time": "2026-03-16T14:03:12Z", "reconciled": true, "lease_ms_left": 1840,
        "equity_usd": 100_012.0, "equity_start_usd": 100_000.0, "frozen": null, "paused": {},
        "orders": {"open": 2, "planned": 0, "unknown": 0},
        "positions": [{"symbol": "SPY", "holdings": [{"strategy": "sma_cross", "qty": "20",
            "average_price": "100.5", "value_usd": 2_020.0, "unrealised_usd": 10.0}]}],
        "open_orders": [order(1), order(2)],
        "strategies": [{"name": "sma_cross", "state": "running", "orders": 7, "fills": 5,
            "realised_usd": -12.5, "unrealised_usd": 10.0}],
        "refused": [{"plugin": "bad", "reason": "it is no component"}],
        "streams": [{"name": "market-data", "state": "live", "health": "live", "messages": 9,
            "reconnects": 0}],
        "budgets": [{"name": "trading", "used": 3, "limit": 160, "queued": 0, "http_429": 0}],
        "alerts": [{"name": "slippage", "labels": [["strategy", "sma_cross"]], "severity": "warning",
            "sentence": "6 bp, more than 5.", "to_do": "Look at the quotes."}],
    })
}

fn top(host: &Value) -> Top {
    let mut top = Top::default();
    top.on(Input::Shown(Ok(Box::new(Shown::read(host)))), 10_000);
    top
}

fn press(top: &mut Top, keys: &str) {
    for letter in keys.chars() {
        top.on(Input::Key(Key::Char(letter)), 10_000);
    }
}

fn screen(top: &Top, now_ms: u64, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("no terminal is needed");
    let look = Look { has_colour: true };
    terminal.draw(|frame| draw(top, look, now_ms, frame.area(), frame.buffer_mut())).expect("drawn");
    terminal
}

fn seen(top: &Top, now_ms: u64, width: u16, height: u16) -> Vec<String> {
    lines(screen(top, now_ms, width, height).backend().buffer())
}

#[test]
fn the_whole_host_is_on_the_screen() {
    let seen = seen(&top(&host()), 10_400, 110, 30).join("\n");
    let expected = "\
PAPER  2026-03-16T14:03:12Z  lease 1.8 s  equity 100012.00 USD, +12.00 (+0.01 %) in this life   seen 0.4 s ago
books reconciled; 2 open, 0 waiting, 0 of unknown outcome
─ 1 Positions (1) ────────────────────────────────────────────────────────────────────────────────────────────
SYMBOL  QTY  AVERAGE    VALUE   GAIN  STRATEGY
SPY      20    100.5  2020.00  10.00  sma_cross
─ 2 Open orders (2) ──────────────────────────────────────────────────────────────────────────────────────────
SYMBOL  SIDE  QTY  FILLED  PRICE         AGE  STATUS  ORDER
SPY     buy    10     2.5  limit 99.5  3m12s  new     sp-sma_cross-00000000000000ff-1
SPY     buy    10     2.5  limit 99.5  3m12s  new     sp-sma_cross-00000000000000ff-2
─ 3 Strategies (2) ───────────────────────────────────────────────────────────────────────────────────────────
STRATEGY   STATE     ORDERS  FILLS  REALISED  UNREALISED  LAST WORD
sma_cross  running        7      5    -12.50       10.00  -
bad        not used       -      -         -           -  it is no component
─ 4 Streams and requests (2) ─────────────────────────────────────────────────────────────────────────────────
NAME               STATE     DETAIL
market-data        live      data live, 9 messages, 0 reconnects
requests: trading  3 of 160  0 wait, 0 times 429
─ 5 Alerts (1) ───────────────────────────────────────────────────────────────────────────────────────────────
SEVERITY  ALERT               WHAT
warning   slippage sma_cross  6 bp, more than 5. Look at the quotes.";
    assert!(seen.starts_with(expected), "\n{seen}\n--\n{expected}");
    assert!(seen.ends_with("K kill  ? help"), "{seen}");
}

#[test]
fn what_keeps_it_from_trading_is_said_the_gravest_first() {
    let check = |change: fn(&mut Value), expected: &str| {
        let mut host = host();
        change(&mut host);
        let seen = seen(&top(&host), 10_000, 100, 24).join("\n");
        assert!(seen.contains(expected), "{expected}\n{seen}");
    };
    check(|host| host["lease_ms_left"] = json!(0), "NO LEASE: only cancels leave");
    check(|host| host["lease_ms_left"] = Value::Null, "no lease needed");
    check(|host| host["reconciled"] = json!(false), "starting: books not reconciled");
    check(|host| host["paused"] = json!({"gone": "ann paused it: x"}), "PAUSED: gone (ann paused it: x)");
    check(
        |host| {
            host["paused"] = json!({"gone": "x"});
            host["frozen"] = json!("ann froze it: a look");
        },
        "FROZEN: ann froze it: a look",
    );
    check(|host| host["strategies"][0]["paused"] = json!("ann paused it"), "running, PAUSED");
}

#[test]
fn figures_that_are_old_are_said_to_be() {
    let mut top = top(&host());
    assert!(!seen(&top, 13_000, 100, 24).join("\n").contains("STALE"));
    assert!(seen(&top, 25_000, 100, 24)[1].starts_with("STALE, 15s old"), "nobody has answered");
    top.on(Input::Shown(Err("no host answers at 127.0.0.1:1".to_owned())), 12_000);
    let shown = seen(&top, 14_000, 100, 24);
    assert_eq!(shown[1], "STALE, 4s old: no host answers at 127.0.0.1:1");
    assert!(shown.iter().any(|line| line.contains("sp-sma_cross")), "what was seen last stays");
    let mut without = Top::default();
    without.on(Input::Shown(Err("no host answers at 127.0.0.1:1".to_owned())), 0);
    assert_eq!(seen(&without, 0, 100, 24)[1], "no host answers at 127.0.0.1:1");
}

#[test]
fn a_question_names_what_it_is_about() {
    let mut cancel = top(&host());
    press(&mut cancel, "c");
    let shown = seen(&cancel, 10_000, 100, 24).join("\n");
    for part in
        ["Cancel this order?", "sp-sma_cross-00000000000000ff-1", "SPY buy 10 2.5 limit 99.5", "y cancels it"]
    {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let mut pause = top(&host());
    press(&mut pause, "pthe spread");
    let shown = seen(&pause, 10_000, 100, 24).join("\n");
    assert!(shown.contains("Pause sma_cross?") && shown.contains("Reason: the spread_"), "{shown}");
    let mut help = top(&host());
    press(&mut help, "?");
    assert!(seen(&help, 10_000, 100, 24).join("\n").contains("sandpit-watchdog kill --reason TEXT"));
}

#[test]
fn any_size_can_be_drawn_and_the_pane_with_the_keys_is_always_there() {
    let mut many = host();
    let order = many["open_orders"][0].clone();
    many["open_orders"] = (0..300)
        .map(|at| {
            let mut order = order.clone();
            order["client_order_id"] = json!(format!("order-{at}"));
            order
        })
        .collect();
    for width in [0, 1, 2, 7, 40, 80, 130] {
        for height in [0, 1, 2, 3, 4, 5, 10, 24, 60] {
            for keys in ["", "c", "p", "f", "?"] {
                let mut top = top(&many);
                press(&mut top, keys);
                let _ = screen(&top, 10_000, width, height);
            }
        }
    }
    let mut top = top(&many);
    for _ in 0..200 {
        top.on(Input::Key(Key::Down), 10_000);
    }
    for height in [6, 10, 24, 50] {
        let shown = seen(&top, 10_000, 100, height).join("\n");
        assert!(shown.contains("2 Open orders (300)") && shown.contains("order-200"), "{height}\n{shown}");
    }
}

#[test]
fn the_room_is_shared_and_none_of_it_is_lost() {
    let check = |room: u16, wanted: [u16; 5], expected: [u16; 5]| {
        assert_eq!(parts::heights(room, wanted, Pane::Orders), expected, "{room} {wanted:?}");
    };
    check(10, [3, 3, 1, 1, 1], [3, 3, 1, 1, 1]);
    check(11, [9, 9, 1, 1, 1], [3, 5, 1, 1, 1]);
    check(30, [9, 9, 4, 1, 1], [9, 9, 4, 1, 1]);
    check(17, [9, 9, 9, 1, 1], [3, 9, 3, 1, 1]);
    check(8, [3, 3, 3, 3, 3], [0, 8, 0, 0, 0]);
    check(0, [3, 3, 3, 3, 3], [0; 5]);
}

#[test]
fn without_colours_nothing_is_coloured_and_what_matters_is_still_marked() {
    let mut host = host();
    host["frozen"] = json!("ann froze it");
    let top = top(&host);
    let area = Rect { x: 0, y: 0, width: 100, height: 24 };
    let styles = |has_colour: bool| {
        let mut buffer = Buffer::empty(area);
        draw(&top, Look { has_colour }, 10_000, area, &mut buffer);
        let cells: Vec<_> = buffer.content().iter().map(|cell| (cell.fg, cell.bg, cell.modifier)).collect();
        cells
    };
    let is_plain =
        |(front, back, _): &(Color, Color, Modifier)| (*front, *back) == (Color::Reset, Color::Reset);
    assert!(styles(false).iter().all(is_plain));
    assert!(!styles(true).iter().all(is_plain));
    assert!(styles(false)[100].2.contains(Modifier::BOLD), "the freeze");
}

#[test]
fn a_picture_has_every_row() {
    let text = crate::picture(&host(), Some(100));
    assert!(text.contains("sp-sma_cross-00000000000000ff-2") && text.contains("slippage"), "{text}");
    let wide = crate::picture(&json!({"strategies": [{"name": "日本", "state": "running"}]}), Some(60));
    assert!(wide.contains("日本      running"), "wide letters take two columns:\n{wide}");
}

#[test]
fn a_picture_of_no_width_cuts_nothing() {
    let mut host = host();
    let name = "a_strategy_whose_name_is_as_long_as_names_may_be";
    let order = format!("sp-{name}-00000000000000ff-18446744073709551615");
    let sentence = "It is as it is. ".repeat(20).trim().to_owned();
    host["open_orders"][1]["client_order_id"] = order.clone().into();
    host["strategies"][0]["name"] = name.into();
    host["alerts"][0]["sentence"] = sentence.clone().into();
    let text = crate::picture(&host, None);
    for whole in [order.as_str(), name, sentence.as_str()] {
        assert!(text.contains(whole), "{whole} is not whole in\n{text}");
    }
    assert!(!crate::picture(&host, Some(100)).contains(&order), "a width that is given is kept");
}

/// What the eye finds marked is what the key means: the row in reverse is the one that is asked about.
#[test]
fn the_row_that_is_marked_is_the_one_that_is_cancelled() {
    let mut host = host();
    let order = |number: u32| {
        let mut order = host["open_orders"][0].clone();
        order["client_order_id"] = format!("sp-sma_cross-00000000000000ff-{number}").into();
        order
    };
    let orders: Vec<Value> = (1..=40).map(order).collect();
    host["open_orders"] = orders.into();
    for steps in [0, 1, 7, 25, 39, 60] {
        let mut top = top(&host);
        press(&mut top, "2");
        for _ in 0..steps {
            top.on(Input::Key(Key::Down), 10_000);
        }
        let screen = screen(&top, 10_400, 120, 30);
        let buffer = screen.backend().buffer();
        let is_marked =
            |row: &u16| (0..60).all(|column| buffer[(column, *row)].modifier.contains(Modifier::REVERSED));
        let marked: Vec<String> =
            (0..30).filter(is_marked).map(|row| lines(buffer)[usize::from(row)].clone()).collect();
        let [marked] = marked.as_slice() else { panic!("{steps}: {marked:?}") };
        let (first, y) = (Input::Key(Key::Char('c')), Input::Key(Key::Char('y')));
        top.on(first, 10_000);
        let Effect::Do(Act::Cancel { order, .. }) = top.on(y, 10_000) else { panic!("{steps}: nothing") };
        assert!(marked.split_whitespace().any(|word| word == order), "{steps}: {order} is not in {marked}");
    }
}
