use serde_json::{Value, json};

use super::*;

/// A host with these orders and one strategy, paused or not.
fn host(orders: &[&str], is_paused: bool) -> Value {
    let order = |id: &&str| {
        json!({"client_order_id": id, "symbol": "SPY", "side": "buy", "qty": "10", "filled_qty": "0",
            "kind": "limit", "limit_price": "99.5", "status": "new", "age_secs": 5.0})
    };
    let paused = is_paused.then_some("ann paused it: the spread");
    json!({
        "mode": "paper", "reconciled": true, "open_orders": orders.iter().map(order).collect::<Vec<_>>(),
        "strategies": [{"name": "sma_cross", "state": "running", "paused": paused}],
    })
}

fn shown(orders: &[&str]) -> Input {
    Input::Shown(Ok(Box::new(Shown::read(&host(orders, false)))))
}

/// A screen that has heard of these orders.
fn top(orders: &[&str]) -> Top {
    let mut top = Top::default();
    top.on(shown(orders), 1_000);
    top
}

fn press(top: &mut Top, keys: &str) -> Effect {
    let mut effect = Effect::Draw;
    for letter in keys.chars() {
        let key = match letter {
            '\n' => Key::Enter,
            '\u{1b}' => Key::Esc,
            '\t' => Key::Tab,
            '\u{8}' => Key::Backspace,
            '↓' => Key::Down,
            '↑' => Key::Up,
            letter => Key::Char(letter),
        };
        effect = top.on(Input::Key(key), 1_000);
    }
    effect
}

fn cancel(order: &str) -> Effect {
    let reason = "cancelled in sandpit top".to_owned();
    Effect::Do(Act::Cancel { order: order.to_owned(), reason })
}

#[test]
fn only_the_letter_y_cancels_and_only_what_was_named() {
    for other in ["n", "\n", "\u{1b}", "c", "q", "Y", " "] {
        let mut top = top(&["a", "b"]);
        assert_eq!(press(&mut top, "c"), Effect::Draw);
        assert!(top.prompt().is_some(), "it asks");
        assert_eq!(press(&mut top, other), Effect::Draw, "{other:?}");
        assert!(top.prompt().is_none() && !top.is_busy, "{other:?}");
        assert_eq!(press(&mut top, "y"), Effect::Draw, "nothing is asked any more");
    }
    let mut top = top(&["a", "b", "c"]);
    press(&mut top, "↓c");
    // Other rows come and go while it is asked.
    top.on(shown(&["x", "a", "c"]), 2_000);
    top.on(shown(&[]), 3_000);
    assert_eq!(press(&mut top, "y"), cancel("b"));
}

#[test]
fn what_is_marked_stays_marked_when_rows_come_and_go() {
    let mut top = top(&["a", "b", "c"]);
    press(&mut top, "↓");
    let marked = |top: &Top| top.picked_row(Pane::Orders).map(|row| row.key.clone());
    let check = |top: &mut Top, orders: &[&str], expected: Option<&str>| {
        top.on(shown(orders), 2_000);
        assert_eq!(marked(top).as_deref(), expected, "{orders:?}");
    };
    check(&mut top, &["new", "a", "b", "c"], Some("b"));
    check(&mut top, &["b"], Some("b"));
    check(&mut top, &["x", "y"], Some("x"));
    check(&mut top, &[], None);
    check(&mut top, &["z"], Some("z"));
    assert_eq!(press(&mut top, "↑↑c"), Effect::Draw);
    assert_eq!(press(&mut top, "y"), cancel("z"));
}

#[test]
fn rows_end_at_both_ends() {
    let mut top = top(&["a", "b", "c"]);
    let check = |top: &mut Top, key: Key, expected: usize| {
        top.on(Input::Key(key), 1_000);
        assert_eq!(top.picked(Pane::Orders), Some(expected), "{key:?}");
    };
    check(&mut top, Key::Up, 0);
    check(&mut top, Key::PageDown, 2);
    check(&mut top, Key::Down, 2);
    check(&mut top, Key::Home, 0);
    check(&mut top, Key::End, 2);
    check(&mut top, Key::PageUp, 0);
}

#[test]
fn a_pause_needs_a_reason_and_is_lifted_where_there_is_one() {
    let mut screen = top(&[]);
    assert_eq!(press(&mut screen, "p\n \n"), Effect::Draw, "no reason");
    assert!(screen.prompt().is_some());
    let asked = press(&mut screen, "the sprees\u{8}\u{8}ad\n");
    let (strategy, reason) = ("sma_cross".to_owned(), "the spread".to_owned());
    assert_eq!(asked, Effect::Do(Act::Pause { strategy: strategy.clone(), reason }));
    screen.on(Input::Done(Ok("paused".to_owned())), 1_000);
    screen.on(Input::Shown(Ok(Box::new(Shown::read(&host(&[], true))))), 1_000);
    let reason = "looked".to_owned();
    assert_eq!(press(&mut screen, "plooked\n"), Effect::Do(Act::Resume { strategy, reason }));
    let mut screen = top(&[]);
    assert_eq!(press(&mut screen, "pq\u{1b}"), Effect::Draw, "q is a letter of the reason, and Esc leaves");
    assert!(screen.prompt().is_none());
    assert_eq!(press(&mut screen, "fenough\n"), Effect::Do(Act::Freeze { reason: "enough".to_owned() }));
}

#[test]
fn one_thing_is_asked_of_the_host_at_a_time() {
    let mut top = top(&["a", "b"]);
    assert_eq!(press(&mut top, "cy"), cancel("a"));
    assert_eq!(press(&mut top, "cy"), Effect::Draw);
    assert!(top.prompt().is_none());
    top.on(Input::Done(Err("no\u{1b}[2J room".to_owned())), 2_000);
    assert_eq!(top.word(), Some(("no [2J room", Tone::Bad)));
    assert_eq!(press(&mut top, "cy"), cancel("a"));
}

#[test]
fn no_single_key_does_anything_and_every_key_can_be_pressed_anywhere() {
    let keys = "abcdefghijklmnoprstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789?\n\u{1b}\t\u{8}↑↓";
    for key in keys.chars() {
        for orders in [&[][..], &["a"]] {
            assert_eq!(press(&mut top(orders), &key.to_string()), Effect::Draw, "{key:?}");
            assert_eq!(press(&mut Top::default(), &key.to_string()), Effect::Draw, "{key:?} without a host");
        }
    }
    assert_eq!(press(&mut top(&[]), "q"), Effect::Quit);
    assert_eq!(press(&mut top(&[]), "?q"), Effect::Draw, "it leaves the help");
    let mut asked = top(&["a"]);
    press(&mut asked, "c");
    assert_eq!(asked.on(Input::Key(Key::Interrupt), 1_000), Effect::Quit);
}

#[test]
fn panes_are_reached_by_number_and_one_after_the_other() {
    let mut top = top(&[]);
    assert_eq!(top.focus(), Pane::Orders);
    for (key, pane) in ["1", "2", "3", "4", "5"].into_iter().zip(Pane::ALL) {
        press(&mut top, key);
        assert_eq!(top.focus(), pane);
    }
    press(&mut top, "\t");
    assert_eq!(top.focus(), Pane::Positions);
    top.on(Input::Key(Key::BackTab), 1_000);
    assert_eq!(top.focus(), Pane::Alerts);
}

#[test]
fn figures_grow_stale_and_a_host_that_is_back_is_shown_again() {
    let mut top = top(&["a"]);
    assert!(!top.is_stale(1_000 + STALE_AFTER_MS) && top.is_stale(1_001 + STALE_AFTER_MS));
    top.on(Input::Shown(Err("no host answers".to_owned())), 1_500);
    assert!(top.is_stale(1_500), "at once, when it is known");
    assert_eq!((top.age_ms(9_000), top.rows(Pane::Orders).len()), (Some(8_000), 1), "what was seen stays");
    top.on(shown(&["b"]), 9_000);
    assert!(!top.is_stale(9_000) && top.trouble().is_none());
    assert!(Top::default().is_stale(0));
}
