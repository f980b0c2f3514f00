use super::*;

const OURS: i64 = 5;

fn message(id: i64, chat: i64, date: u64, text: &str) -> Value {
    json!({ "update_id": id, "message": { "date": date, "chat": { "id": chat }, "text": text } })
}

fn answer(updates: &[Value]) -> Answer {
    Ok(json!({ "ok": true, "result": updates }))
}

fn conversation() -> Conversation {
    Conversation::new(&[OURS, -7], "box".into())
}

/// One poll with `updates`, which began at `began`.
fn poll(one: &mut Conversation, updates: &[Value], armed_at: Option<u64>, began: u64) -> Vec<Deed> {
    let orders = one.take(answer(updates));
    one.judge(orders, armed_at, began)
}

fn kills(deeds: &[Deed]) -> usize {
    deeds.iter().filter(|deed| matches!(deed, Deed::Kill { .. })).count()
}

#[test]
fn who_may_is_heard_and_nobody_else() {
    let mut one = conversation();
    let updates = [
        message(1, OURS, 10, "/panic too  hot\n"),
        message(2, -7, 10, "/PANIC@our_bot"),
        message(3, 6, 10, "/panic"),
        message(4, 6, 10, "/status"),
        message(5, OURS, 10, "/status"),
        message(6, OURS, 10, "/arm"),
        message(7, OURS, 10, "don't /panic"),
        message(8, OURS, 10, "/panicked"),
        json!({ "update_id": 9, "message": { "chat": { "id": OURS } } }),
        json!({ "update_id": 10, "edited_message": message(1, OURS, 10, "/panic")["message"] }),
    ];
    let deeds = poll(&mut one, &updates, None, 100);
    let say = |chat, text: &str| Deed::Say { chat, text: text.into() };
    let taken = "taken: no lease is granted any more; /status shows the proof";
    let expected = [
        Deed::Log("chat 6 spoke to the bot, is not in `telegram_chat_ids`, and gets no answer".into()),
        Deed::Kill { reason: "chat 5: too  hot".into() },
        say(OURS, taken),
        Deed::Kill { reason: "chat -7: no reason given".into() },
        say(-7, taken),
        Deed::Status { chat: OURS },
        say(OURS, HELP),
        say(OURS, HELP),
    ];
    assert_eq!(deeds, expected);
    assert_eq!(one.poll()["offset"], 11, "all of them are confirmed by the next poll");
    // Strangers are named once, and only so many.
    let many: Vec<_> = (0..60).map(|i| message(20 + i, 100 + i / 2, 10, "x")).collect();
    assert_eq!(poll(&mut one, &many, None, 101).len(), MAX_STRANGERS - 1);
}

#[test]
fn what_is_older_than_the_arming_kills_no_more() {
    let panic = |date| [message(1, OURS, date, "/panic")];
    let check = |date, armed_at, expected| {
        let deeds = poll(&mut conversation(), &panic(date), armed_at, 1000);
        assert_eq!(kills(&deeds), usize::from(expected), "{date} {armed_at:?}: {deeds:?}");
        assert!(deeds.iter().any(|deed| matches!(deed, Deed::Say { .. })), "he is told either way");
    };
    check(99, Some(100), false);
    check(100, Some(100), true);
    check(101, Some(100), true);
    check(1, None, true);
    // A message without a date is no old one.
    let undated = json!({ "update_id": 1, "message": { "chat": { "id": OURS }, "text": "/panic" } });
    assert_eq!(kills(&poll(&mut conversation(), &[undated], Some(100), 1000)), 1);
}

#[test]
fn a_clock_that_runs_ahead_loses_no_kill() {
    let mut one = conversation();
    // Ours is an hour ahead of the service's. Armed at 4000 by ours; a poll that began later was answered.
    poll(&mut one, &[], Some(4000), 4010);
    assert_eq!(kills(&poll(&mut one, &[message(1, OURS, 430, "/panic")], Some(4000), 4020)), 1);
    // Armed again, and no poll since: only the clocks can tell.
    assert_eq!(kills(&poll(&mut one, &[message(2, OURS, 440, "/panic")], Some(4025), 4030)), 0);
    // A full answer leaves older ones behind, and a failed one says nothing.
    let mut one = conversation();
    let full: Vec<_> = (0..10).map(|id| message(id, OURS, 1, "x")).collect();
    poll(&mut one, &full, Some(4000), 4010);
    let orders = one.take(Err(Failure::Refused("status 500".into())));
    one.judge(orders, Some(4000), 4015);
    assert_eq!(kills(&poll(&mut one, &[message(30, OURS, 2, "/panic")], Some(4000), 4020)), 0);
}

#[test]
fn a_message_counts_as_taken_with_the_next_poll_only() {
    let mut one = conversation();
    assert_eq!(one.poll()["offset"], 0);
    assert_eq!(kills(&poll(&mut one, &[message(41, OURS, 10, "/panic")], None, 11)), 1);
    assert_eq!(one.poll()["offset"], 42);
    one.take(Err(Failure::Later { why: "no answer in time".into(), wait: None }));
    assert_eq!(one.poll()["offset"], 42, "a failure takes nothing back");
    // The next life has confirmed nothing, and hears it again.
    let mut next = conversation();
    assert_eq!(kills(&poll(&mut next, &[message(41, OURS, 10, "/panic")], None, 12)), 1);
    let mut armed = conversation();
    assert_eq!(kills(&poll(&mut armed, &[message(41, OURS, 10, "/panic")], Some(13), 14)), 0);
}

#[test]
fn a_service_that_is_away_is_asked_gently_and_named_once() {
    let mut one = conversation();
    let fail = |one: &mut Conversation, failure: Failure| {
        let orders = one.take(Err(failure));
        (one.judge(orders, None, 1).len(), one.pause(Duration::ZERO).as_secs())
    };
    let away = || Failure::Later { why: "no answer in time".into(), wait: None };
    let told: Vec<_> = (0..7).map(|_| fail(&mut one, away())).collect();
    assert_eq!(told, [(1, 1), (0, 2), (0, 4), (0, 8), (0, 16), (0, 30), (0, 30)]);
    let orders = one.take(Err(Failure::Refused("status 409; x".into())));
    let deeds = one.judge(orders, None, 1);
    assert!(matches!(&deeds[..], [Deed::Log(text)] if text.contains("another program")), "{deeds:?}");
    assert_eq!(poll(&mut one, &[], None, 2), [Deed::Log("the service answers again".into())]);
    assert_eq!(one.pause(Duration::ZERO), SHORTEST_POLL);
    assert_eq!(one.pause(SHORTEST_POLL), Duration::ZERO);
    assert_eq!(
        fail(&mut one, Failure::Later { why: "status 429".into(), wait: Some(Duration::from_secs(9)) }),
        (1, 9)
    );
    assert_eq!(one.poll()["limit"], 1, "one message at a time may still be read");
    let garbage = one.take(Ok(json!({ "ok": true })));
    assert_eq!((garbage.len(), one.judge(garbage, None, 1).len()), (0, 1));
}

#[test]
fn a_status_is_a_few_lines() {
    let status = json!({
        "state": "killed", "host_pid": 3, "lease_ms_left": 0, "host_restarts": 2, "memory_percent": 40,
        "broker": "ZERO_SEEN", "kill": { "layer": "chat", "reason": "a\nb", "at_unix_s": 1 },
        "limits": { "equity_cents": 1_000_003 },
    });
    let expected = "box: killed\nhost 3, lease 0 ms, memory 40 % of its limit, restarts 2\nequity \
                    10000.03\nkilled by chat: a b\nZERO_SEEN";
    assert_eq!(conversation().describe(&status), expected);
    assert_eq!(conversation().describe(&json!({ "state": "disarmed" })), "box: disarmed\nno host");
}
