use serde_json::{Value, json};

use super::{
    super::tests::{client, client_of, serve},
    *,
};
use crate::limits::{Money, Position};

fn account(equity: &str, cash: &str) -> String {
    json!({"id": "acc-1", "equity": equity, "last_equity": "100", "cash": cash, "balance_asof": "2026-03-02"})
        .to_string()
}

fn told(client: &Client, ask: &Ask) -> (Told, usize) {
    match client.account(ask) {
        Report::Account { told, requests } => (*told, requests),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reading_is_two_requests_and_more_when_a_fill_came_between() {
    let position = r#"[{"symbol":"A","qty":"-2","market_value":"-20.5"}]"#;
    let (address, requests) = serve(vec![(200, account("100", "120.5")), (200, position.into())]);
    let (read, count) = told(&client(&address), &Ask::Account);
    let Told::Account(Ok(reading)) = read else { panic!("{read:?}") };
    let money = |text: &str| Money::parse(text);
    assert_eq!(
        (reading.equity, reading.cash, reading.last_equity),
        (money("100"), money("120.5"), money("100"))
    );
    assert_eq!(
        (reading.account.as_deref(), reading.close_day.as_deref()),
        (Some("acc-1"), Some("2026-03-02"))
    );
    let expected = Position { symbol: "A".into(), qty: Money::whole(-2), value: money("-20.5") };
    assert_eq!((reading.positions, count), (Some(vec![expected]), 2));
    assert_eq!(requests.try_iter().collect::<Vec<_>>(), ["GET /v2/account", "GET /v2/positions"]);

    let long = r#"[{"symbol":"A","qty":"2","market_value":"40"}]"#.to_owned();
    let answers = vec![(200, account("100", "100")), (200, long.clone()), (200, account("100", "60"))];
    let (address, _requests) = serve(answers);
    let (read, count) = told(&client(&address), &Ask::Account);
    assert!(matches!(read, Told::Account(Ok(reading)) if reading.cash == Some(Money::whole(60))));
    assert_eq!(count, 3);
    let zero = account("0", "100");
    let (address, _requests) =
        serve(vec![(200, zero.clone()), (200, long.clone()), (200, zero), (200, long)]);
    let (read, count) = told(&client(&address), &Ask::Account);
    assert!(matches!(read, Told::Account(Ok(reading)) if reading.equity == Some(Money::ZERO)));
    assert_eq!(count, 4);
}

#[test]
fn transfers_orders_and_clock_are_asked_for_as_documented() {
    let row = |id: &str, kind: &str, net: Value, status: &str| {
        let date = "2026-03-03";
        json!({"id": id, "activity_type": kind, "date": date, "net_amount": net, "status": status})
    };
    let page = json!([
        row("2::b", "CSW", json!("-500"), "executed"),
        row("1::a", "JNLC", json!(20), "canceled"),
        row("0::f", "DIV", json!("3"), "executed"),
    ]);
    let stamp = "2026-03-02T14:30:00.5+00:00";
    let order = |id: &str, client: &str| json!({"id": id, "client_order_id": client, "submitted_at": stamp});
    let orders = json!([order("a", "sp-x-1"), order("b", "mine")]).to_string();
    let clock = json!({"timestamp": "1970-01-01T00:00:01.5Z", "is_open": true}).to_string();
    let answers = vec![page.to_string(), orders.clone(), orders.clone(), orders, clock];
    let (address, requests) = serve(answers.into_iter().map(|body| (200, body)).collect());
    let client = client_of(&address, Scope::Ours);
    let (read, _) = told(&client, &Ask::Transfers);
    let Told::Transfers(Ok(found)) = read else { panic!("{read:?}") };
    assert_eq!(found.iter().map(|row| row.net).collect::<Vec<_>>(), [Money::whole(-500), Money::ZERO]);
    for (cursor, count) in [(Cursor::Newest, 2), (Cursor::Start, 1), (Cursor::After(stamp.into()), 1)] {
        let (read, _) = told(&client, &Ask::Orders(cursor));
        assert!(matches!(&read, Told::Orders(_, Ok(listed)) if listed.len() == count), "{read:?}");
    }
    assert!(matches!(told(&client, &Ask::Clock), (Told::Clock(Ok(1_500_000_000)), 1)));
    let requests: Vec<String> = requests.try_iter().collect();
    assert_eq!(
        requests,
        [
            "GET /v2/account/activities?activity_types=TRANS,CSD,CSW,JNL,JNLC,JNLS,ACATC,ACATS,FOPT\
             &direction=desc&page_size=100",
            "GET /v2/orders?status=all&limit=1&nested=true",
            "GET /v2/orders?status=all&limit=500&nested=true",
            "GET /v2/orders?status=all&after=2026-03-02T14:30:00.5%2B00:00&limit=500&nested=true",
            "GET /v2/clock",
        ]
    );
    assert!(matches!(told(&client, &Ask::Clock), (Told::Clock(Err(_)), 1)), "the server is gone");
}
