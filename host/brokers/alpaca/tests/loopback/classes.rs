//! Orders of every kind and class, and replacements: what is written, and what the answer means.

use std::sync::Arc;

use sandpit_broker::{Broker, Class};
use sandpit_types::{
    BrokerOrderId, Change, Exit, Leg, OrderClass, OrderKind, OrderRequest, OrderStatus, Price, StopLoss,
    Trail,
};

use crate::{
    rest::{CLIENT_ID, order, order_json, word},
    support::{Notes, Reply, alpaca, serve, terms},
};

fn price(text: &str) -> Price {
    text.parse().unwrap()
}

/// The body of what was heard, without its first fields, which all orders have.
fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn every_kind_and_class_is_written_in_the_brokers_words() {
    async fn check(kind: OrderKind, class: OrderClass, expected: &str) {
        let (authority, heard) = serve(vec![Reply::json(200, &order_json(CLIENT_ID, "accepted"))]).await;
        let request = OrderRequest { kind, class, ..order() };
        alpaca(&authority, Arc::new(Notes::default())).submit(&request, terms(Ok(()))).await.expect("taken");
        let (head, tail) =
            (r#"{"symbol":"SPY","qty":"10","side":"buy","type":""#, r#","extended_hours":false,"#);
        let (prices, groups) = expected.split_once(" | ").unwrap();
        let expected = format!(
            r#"{head}{}","time_in_force":"day"{prices}{tail}"client_order_id":"{CLIENT_ID}"{groups}}}"#,
            kind.as_str()
        );
        assert_eq!(body(&heard.lock().unwrap()[0]), expected);
    }
    let (stop_price, limit_price) = (price("95.50"), price("94.5"));
    let simple = OrderClass::Simple;
    check(OrderKind::Market, simple, " | ").await;
    check(OrderKind::Stop { stop_price }, simple, r#","stop_price":"95.5" | "#).await;
    let stop_limit = OrderKind::StopLimit { stop_price, limit_price };
    check(stop_limit, simple, r#","limit_price":"94.5","stop_price":"95.5" | "#).await;
    let by_price = OrderKind::TrailingStop { trail: Trail::Price(price("2.00")) };
    check(by_price, simple, r#","trail_price":"2" | "#).await;
    let by_percent = OrderKind::TrailingStop { trail: Trail::Percent("1.50".parse().unwrap()) };
    check(by_percent, simple, r#","trail_percent":"1.5" | "#).await;

    let limit = OrderKind::Limit { limit_price: price("100") };
    let stop_loss = StopLoss { stop_price, limit_price: None };
    let with_limit = StopLoss { stop_price, limit_price: Some(limit_price) };
    check(
        OrderKind::Market,
        OrderClass::Bracket { take_profit: price("110"), stop_loss: with_limit },
        concat!(
            r#" | ,"order_class":"bracket","take_profit":{"limit_price":"110"},"#,
            r#""stop_loss":{"stop_price":"95.5","limit_price":"94.5"}"#
        ),
    )
    .await;
    let oco =
        r#" | ,"order_class":"oco","take_profit":{"limit_price":"100"},"stop_loss":{"stop_price":"95.5"}"#;
    check(limit, OrderClass::Oco { stop_loss }, oco).await;
    let profit = r#","limit_price":"100" | ,"order_class":"oto","take_profit":{"limit_price":"110"}"#;
    check(limit, OrderClass::Oto(Exit::TakeProfit(price("110"))), profit).await;
    let loss = r#","limit_price":"100" | ,"order_class":"oto","stop_loss":{"stop_price":"95.5"}"#;
    check(limit, OrderClass::Oto(Exit::StopLoss(stop_loss)), loss).await;
}

#[tokio::test]
async fn the_answer_to_a_group_shows_its_legs() {
    let leg = |id: &str, price: &str| {
        let leg = order_json(&format!("brokers-{id}"), "held").replace("61e69015", id);
        leg.replace(r#""stop_price":null"#, price)
            .replace(r#""limit_price":"167.41""#, r#""limit_price":null"#)
    };
    let legs = format!(
        r#""legs":[{},{}]"#,
        leg("0000aaaa", r#""stop_price":null"#),
        leg("0000bbbb", r#""stop_price":"95.5""#)
    );
    let group = order_json(CLIENT_ID, "pending_new")
        .replace(r#""legs":null"#, &legs)
        .replace(r#""replaces":null"#, r#""replaces":"61E6901585494BFDB9C301E75843F47E""#)
        .replace(r#""replaced_by":null"#, r#""replaced_by":"""#);
    let odd = group.replacen(r#""symbol":"SPY""#, r#""symbol":null"#, 1);
    let (authority, heard) =
        serve(vec![Reply::json(200, &group), Reply::json(200, &group), Reply::json(200, &odd)]).await;
    let notes = Arc::new(Notes::default());
    let adapter = alpaca(&authority, notes.clone());
    let made = adapter.submit(&order(), terms(Ok(()))).await.expect("taken");
    let legs: Vec<_> = made.legs.iter().map(|leg| (leg.leg(), leg.id.as_str(), leg.stop_price)).collect();
    let ids = ["0000aaaa-8549-4bfd-b9c3-01e75843f47d", "0000bbbb-8549-4bfd-b9c3-01e75843f47d"];
    assert_eq!(legs, [(Leg::TakeProfit, ids[0], None), (Leg::StopLoss, ids[1], Some(price("95.5")))]);
    assert!(made.legs.iter().all(|leg| leg.status == OrderStatus::Held && leg.ours().is_none()));
    assert_eq!(made.replaces.as_ref().unwrap().as_str(), "61e69015-8549-4bfd-b9c3-01e75843f47e");
    assert_eq!(made.replaced_by, None);

    assert_eq!(adapter.order(&made.id, Class::Reduce).await.expect("the same"), made);
    let path = format!("GET /v2/orders/{}?nested=true ", made.id);
    assert!(heard.lock().unwrap()[1].starts_with(&path));
    assert_eq!(notes.asked.lock().unwrap()[1], (Class::Reduce, None));
    let odd = adapter.order(&made.id, Class::Poll).await;
    assert_eq!(word(odd), "malformed", "a leg that cannot be read may fill");
    assert_eq!(notes.asked.lock().unwrap()[2], (Class::Poll, None), "as urgent as whoever asks says");
}

#[tokio::test]
async fn a_replacement_says_what_changes_and_passes_the_gate_of_orders() {
    let old = BrokerOrderId::new("61e69015-8549-4bfd-b9c3-01e75843f47e");
    let answer =
        order_json(CLIENT_ID, "new").replace(r#""replaces":null"#, &format!(r#""replaces":"{old}""#));
    let (authority, heard) = serve(vec![Reply::json(200, &answer); 2]).await;
    let notes = Arc::new(Notes::default());
    let adapter = alpaca(&authority, notes.clone());
    let all = Change {
        qty: Some("12".parse().unwrap()),
        limit_price: Some(price("99.10")),
        stop_price: Some(price("99")),
    };
    let by = order().client_id;
    let made = adapter.replace(&old, &by, &all, terms(Ok(()))).await.expect("taken");
    assert_eq!((made.ours(), made.replaces), (Some(by.clone()), Some(old.clone())));
    let one = Change { limit_price: Some(price("98")), ..Change::default() };
    adapter.replace(&old, &by, &one, terms(Ok(()))).await.expect("taken");
    let heard = heard.lock().unwrap();
    assert!(heard[0].starts_with(&format!("PATCH /v2/orders/{old} HTTP/1.1\r\n")), "{}", heard[0]);
    let expected =
        format!(r#"{{"qty":"12","limit_price":"99.1","stop_price":"99","client_order_id":"{CLIENT_ID}"}}"#);
    assert_eq!(body(&heard[0]), expected);
    assert_eq!(body(&heard[1]), format!(r#"{{"limit_price":"98","client_order_id":"{CLIENT_ID}"}}"#));
    let asked = (Class::Enter, Some("sma_cross".to_owned()));
    assert_eq!(*notes.asked.lock().unwrap(), [asked.clone(), asked]);
}
