//! The table as a table: every state, every event, and what comes of it.

use sandpit_types::{
    BrokerOrder, BrokerOrderId, ExecutionId, MarketTime, OrderStatus, Price, Qty, Side, Symbol,
};

use super::*;

const SINCE: i64 = 100;
const AGAIN: i64 = 500;

fn at(secs: i64) -> MarketTime {
    MarketTime::from_secs(secs)
}

fn shown(status: OrderStatus) -> BrokerOrder {
    BrokerOrder {
        id: BrokerOrderId::new("b"),
        client_id: String::new(),
        symbol: Symbol::new("SPY"),
        side: Side::Buy,
        qty: None,
        filled_qty: Qty::ZERO,
        filled_avg_price: None,
        limit_price: None,
        stop_price: None,
        replaces: None,
        replaced_by: None,
        legs: Vec::new(),
        status,
        submitted_at: at(0),
        updated_at: at(0),
    }
}

fn execution() -> Execution {
    let price = Price::new(100.into());
    Execution { id: ExecutionId::new("x"), qty: Qty::new(1.into()), price, time: at(1) }
}

/// The states by their names in the table; `+` is the wish to cancel.
fn states() -> Vec<(&'static str, OrderState)> {
    use OrderState::*;
    let unknown = |secs, cancel| Unknown { since: at(secs), cancel };
    vec![
        ("recorded", Recorded),
        ("sending", Sending { cancel: false }),
        ("sending+", Sending { cancel: true }),
        ("unknown", unknown(SINCE, false)),
        ("unknown+", unknown(SINCE, true)),
        ("works", Working(OrderStatus::New)),
        ("works+", Cancelling(OrderStatus::New)),
        ("not-sent", NotSent),
        ("rejected", Rejected { confirmed: false, cancel: false }),
        ("rejected+", Rejected { confirmed: false, cancel: true }),
        ("refuted", Rejected { confirmed: true, cancel: false }),
        ("refuted+", Rejected { confirmed: true, cancel: true }),
        ("never", NeverArrived { cancel: false }),
        ("never+", NeverArrived { cancel: true }),
        ("ended", Terminal(OrderStatus::Canceled)),
        ("filled", Terminal(OrderStatus::Filled)),
        // Only as results.
        ("doubt", unknown(AGAIN, false)),
        ("doubt+", unknown(AGAIN, true)),
        ("queued", Working(OrderStatus::PendingNew)),
        ("queued+", Cancelling(OrderStatus::PendingNew)),
        ("part", Working(OrderStatus::PartiallyFilled)),
        ("part+", Cancelling(OrderStatus::PartiallyFilled)),
    ]
}

fn events() -> Vec<(&'static str, OrderEvent)> {
    let stands = |state: OrderState| OrderEvent::ParentStands(state);
    vec![
        ("sent", OrderEvent::Sent),
        ("accept", OrderEvent::Accepted(shown(OrderStatus::PendingNew))),
        ("reject", OrderEvent::Rejected),
        ("unsent", OrderEvent::NotSent),
        ("lost", OrderEvent::OutcomeUnknown { at: at(AGAIN) }),
        ("404", OrderEvent::NotFound { at: at(SINCE + 59) }),
        ("404-60s", OrderEvent::NotFound { at: at(SINCE + 60) }),
        ("shown", OrderEvent::Snapshot(shown(OrderStatus::New))),
        ("done", OrderEvent::Snapshot(shown(OrderStatus::Filled))),
        ("cancelled", OrderEvent::Snapshot(shown(OrderStatus::Canceled))),
        ("exec", OrderEvent::Execution(execution(), shown(OrderStatus::PartiallyFilled))),
        ("activity", OrderEvent::Activity { execution: execution(), cumulative: Qty::new(1.into()) }),
        ("cancel", OrderEvent::CancelAsked),
        ("reload", OrderEvent::Reloaded { at: at(AGAIN) }),
        ("unmade", OrderEvent::NotMade),
        ("p-sends", stands(OrderState::Sending { cancel: true })),
        ("p-doubt", stands(OrderState::Unknown { since: at(AGAIN), cancel: true })),
        ("p-works", stands(OrderState::Working(OrderStatus::New))),
        ("p-ended", stands(OrderState::Terminal(OrderStatus::Filled))),
        ("p-unsent", stands(OrderState::NotSent)),
        ("p-refused", stands(OrderState::Rejected { confirmed: false, cancel: true })),
        ("p-never", stands(OrderState::NeverArrived { cancel: true })),
    ]
}

/// One row a state, one column an event; `.` leaves the state as it is, `!` cannot happen. First our own POST
/// and what is asked about it, then what the broker shows and what we want, then what becomes of a leg's
/// parent.
const TABLES: [&str; 3] = [
    "
state      sent     accept   reject     unsent    lost    404       404-60s
recorded   sending  !        !          not-sent  !       !         !
sending    !        queued   rejected   not-sent  doubt   .         .
sending+   !        queued+  rejected+  not-sent  doubt+  .         .
unknown    !        queued   !          !         .       .         never
unknown+   !        queued+  !          !         .       .         never+
works      !        queued   .          !         .       .         .
works+     !        queued+  .          !         .       .         .
not-sent   !        queued   !          !         !       .         .
rejected   !        queued   !          !         !       refuted   refuted
rejected+  !        queued+  !          !         !       refuted+  refuted+
refuted    !        queued   !          !         !       .         .
refuted+   !        queued+  !          !         !       .         .
never      !        queued   !          !         !       .         .
never+     !        queued+  !          !         !       .         .
ended      !        .        .          !         .       .         .
filled     !        .        .          !         .       .         .
",
    "
state      shown   done    cancelled  exec   activity  cancel     reload  unmade
recorded   !       !       !          !      !         not-sent   doubt   not-sent
sending    works   filled  ended      part   .         sending+   doubt   not-sent
sending+   works+  filled  ended      part+  .         .          doubt+  not-sent
unknown    works   filled  ended      part   .         unknown+   doubt   not-sent
unknown+   works+  filled  ended      part+  .         .          doubt+  not-sent
works      works   filled  ended      part   .         works+     .       !
works+     works+  filled  ended      part+  .         .          .       !
not-sent   works   filled  ended      part   .         .          .       .
rejected   works   filled  ended      part   .         rejected+  .       .
rejected+  works+  filled  ended      part+  .         .          .       .
refuted    works   filled  ended      part   .         refuted+   .       .
refuted+   works+  filled  ended      part+  .         .          .       .
never      works   filled  ended      part   .         never+     .       .
never+     works+  filled  ended      part+  .         .          .       .
ended      .       filled  .          .      .         .          .       .
filled     .       .       .          .      .         .          .       .
",
    "
state      p-sends   p-doubt  p-works   p-ended   p-unsent  p-refused  p-never
recorded   sending   doubt    sending   sending   not-sent  rejected   never
sending    .         doubt    .         .         not-sent  rejected   never
sending+   .         doubt+   .         .         not-sent  rejected+  never+
unknown    sending   doubt    .         .         not-sent  rejected   never
unknown+   sending+  doubt+   .         .         not-sent  rejected+  never+
works      .         .        .         .         .         .          .
works+     .         .        .         .         .         .          .
not-sent   sending   doubt    .         .         .         rejected   never
rejected   sending   doubt    sending   sending   not-sent  .          never
rejected+  sending+  doubt+   sending+  sending+  not-sent  .          never+
refuted    sending   doubt    sending   sending   not-sent  rejected   never
refuted+   sending+  doubt+   sending+  sending+  not-sent  rejected+  never+
never      sending   doubt    sending   sending   not-sent  rejected   .
never+     sending+  doubt+   sending+  sending+  not-sent  rejected+  .
ended      .         .        .         .         .         .          .
filled     .         .        .         .         .         .          .
",
];

#[test]
fn every_state_meets_every_event() {
    let named = |name: &str| {
        let found = states().into_iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("no state is called {name:?}")).1
    };
    let mut events = events().into_iter();
    for table in TABLES {
        let mut lines = table.trim().lines().map(str::split_whitespace);
        let columns: Vec<&str> = lines.next().expect("a head").skip(1).collect();
        let events: Vec<_> = events.by_ref().take(columns.len()).collect();
        assert_eq!(columns, events.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        assert_eq!(lines.clone().count(), 16, "one row for every state");
        for mut line in lines {
            let from = line.next().expect("a state");
            assert_eq!(line.clone().count(), columns.len(), "{from}");
            for (cell, (name, event)) in line.zip(&events) {
                let result = step(named(from), event);
                match cell {
                    "!" => {
                        let error = result.expect_err(&format!("{name} cannot happen to {from}"));
                        assert_eq!(error, ImpossiblePair { state: named(from), event: event.name() });
                    }
                    "." => assert_eq!(result, Ok(named(from)), "{name} leaves {from} as it is"),
                    to => assert_eq!(result, Ok(named(to)), "{name} makes {to} of {from}"),
                }
            }
        }
    }
    assert!(events.next().is_none(), "one column for every event");
}

/// Each word of alpaca-api.md 2.5: is it an end, and can an order that stands there be replaced?
#[test]
fn every_status_of_the_broker() {
    let check = |word: &str, is_end: bool, is_replaceable: bool| {
        let status = match word {
            "pending_new" => OrderStatus::PendingNew,
            "accepted" => OrderStatus::Accepted,
            "new" => OrderStatus::New,
            "partially_filled" => OrderStatus::PartiallyFilled,
            "filled" => OrderStatus::Filled,
            "pending_cancel" => OrderStatus::PendingCancel,
            "canceled" => OrderStatus::Canceled,
            "expired" => OrderStatus::Expired,
            "rejected" => OrderStatus::Rejected,
            "pending_replace" => OrderStatus::PendingReplace,
            "replaced" => OrderStatus::Replaced,
            "held" => OrderStatus::Held,
            "done_for_day" => OrderStatus::DoneForDay,
            other => OrderStatus::Other(other.to_owned()),
        };
        let sending = OrderState::Sending { cancel: false };
        let state = step(sending, &OrderEvent::Snapshot(shown(status.clone()))).expect("possible");
        let expected = if is_end { OrderState::Terminal(status) } else { OrderState::Working(status) };
        assert_eq!(state, expected, "{word}");
        assert_eq!((state.is_open(), state.is_replaceable()), (!is_end, is_replaceable), "{word}");
    };
    for word in ["filled", "canceled", "expired", "rejected", "replaced"] {
        check(word, true, false);
    }
    for word in ["new", "partially_filled", "held"] {
        check(word, false, true);
    }
    for word in [
        "pending_new",
        "accepted",
        "pending_cancel",
        "pending_replace",
        "done_for_day",
        "accepted_for_bidding",
        "stopped",
        "suspended",
        "calculated",
        "pending_review",
        "a_word_of_tomorrow",
    ] {
        check(word, false, false);
    }
}
