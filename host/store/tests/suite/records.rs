//! What is written is what is read, on both databases.

use std::{collections::BTreeMap, sync::Arc};

use sandpit_store::{
    Actor, Audit, Database, OrderChange, OrderRow, PAGE_ROWS, Record, Span, Store, StoreError, facts,
};
use sandpit_types::{
    Activity, BrokerOrderId, Deed, ExecutionId, Exit, HostEpoch, Leg, Links, MarketTime, OrderClass,
    OrderKind, Price, Pulse, Refusal, Side, Signal, StopLoss, StrategyOrderId, Symbol, Trail, Usd,
};

use crate::common::{
    change, changed, fill, name, number, on_both, open, order, recorded, sub_book, try_open,
};

fn price(text: &str) -> Price {
    text.parse().expect("a price")
}

/// Orders of every kind and class, with every link.
fn all_orders() -> Vec<OrderRow> {
    let loss = StopLoss { stop_price: price("1.5"), limit_price: None };
    let limited = StopLoss { limit_price: Some(price("1.25")), ..loss };
    let kinds = [
        OrderKind::Market,
        OrderKind::Limit { limit_price: price("2") },
        OrderKind::Stop { stop_price: price("3.0001") },
        OrderKind::StopLimit { stop_price: price("4"), limit_price: price("4.10") },
        OrderKind::TrailingStop { trail: Trail::Price(price("0.50")) },
        OrderKind::TrailingStop { trail: Trail::Percent("1.5".parse().expect("percent")) },
    ];
    let classes = [
        OrderClass::Simple,
        OrderClass::Bracket { take_profit: price("9"), stop_loss: loss },
        OrderClass::Oco { stop_loss: limited },
        OrderClass::Oto(Exit::TakeProfit(price("9"))),
        OrderClass::Oto(Exit::StopLoss(limited)),
    ];
    let parent = order(0).request.client_id;
    let links = [
        Links::default(),
        Links { leg_of: Some((parent.clone(), Leg::TakeProfit)), replaces: None },
        Links { leg_of: Some((parent.clone(), Leg::StopLoss)), replaces: None },
        Links { leg_of: None, replaces: Some(parent) },
    ];
    let mut rows = Vec::new();
    for kind in kinds {
        for class in classes {
            for links in &links {
                let mut row = order(rows.len() as u64);
                (row.request.kind, row.request.class, row.links) = (kind, class, links.clone());
                rows.push(row);
            }
        }
    }
    rows[1].strategy_id = None;
    rows
}

#[tokio::test]
async fn every_kind_of_order_comes_back_as_it_was() {
    on_both(async |database| {
        let rows = all_orders();
        let store = open(&database).await;
        for chunk in rows.chunks(7) {
            store.commit(chunk.iter().map(recorded).collect()).await.expect("writes");
        }
        let stored = store.load().await.expect("reads");
        let read: Vec<_> = stored.open_orders.into_iter().map(|(row, _)| row).collect();
        assert_eq!(read, rows, "{database}");
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_committed_is_there_after_a_death() {
    on_both(async |database| {
        let (first, second) = (order(1), order(2));
        let epoch = HostEpoch(7);
        let fact = |name, value: &str| Record::Fact { name, value: Some(value.into()) };
        {
            let store = open(&database).await;
            let time = MarketTime::EPOCH;
            let start = Record::HostStart { epoch, mode: "paper".into(), time };
            store.commit(vec![start]).await.expect("writes");
            assert_eq!(
                store.load().await.expect("reads").newest,
                None,
                "a start says nothing of the records"
            );
            store.commit(vec![recorded(&first), recorded(&second)]).await.expect("writes");
            let partly = changed(&first, "{\"working\":\"partially_filled\"}", true);
            store.commit(vec![fill(&first, "x1"), partly]).await.expect("writes");
            store.commit(vec![changed(&second, "{\"terminal\":\"canceled\"}", false)]).await.expect("writes");
            store.commit(vec![fill(&second, "x9")]).await.expect("writes");
            store
                .commit(vec![fact(facts::PEAK_EQUITY, "1"), fact(facts::FREEZE, "why")])
                .await
                .expect("writes");
            let forgotten = Record::Fact { name: facts::FREEZE, value: None };
            store.commit(vec![fact(facts::PEAK_EQUITY, "2"), forgotten]).await.expect("writes");
            // By a command while the host is stopped.
            let time = MarketTime::from_nanos(second.recorded_at.as_nanos() + 2_400_000_000_000);
            let (actor, detail) = (Actor::Operator("root".into()), String::new());
            let line = Audit { time, actor, action: "unfreeze", client_id: None, symbol: None, detail };
            store.commit(vec![Record::Audit(line)]).await.expect("writes");
            store.sync().await.expect("is on the disk");
            // As a death: nobody says close. The session of a server ends with its connection.
            drop(store);
        }
        let store = open(&database).await;
        let stored = store.load().await.expect("reads");
        let expected = OrderRow {
            state: "{\"working\":\"partially_filled\"}".into(),
            broker_id: Some(BrokerOrderId::new("b1")),
            filled_qty: "4".parse().expect("qty"),
            filled_notional: "669.64".parse().expect("usd"),
            ..first
        };
        assert_eq!(stored.open_orders, [(expected, [ExecutionId::new("x1")].into())]);
        assert_eq!(stored.sub_books, [sub_book()]);
        assert_eq!(stored.facts, BTreeMap::from([(facts::PEAK_EQUITY.to_owned(), "2".to_owned())]));
        assert_eq!(stored.newest, Some(second.recorded_at));
        assert_eq!(stored.epochs, [epoch].into());
        let (closed, executions) =
            store.order(&second.request.client_id).await.expect("reads").expect("is there");
        assert!(!closed.is_open && executions.len() == 1);
        let at_broker = closed.broker_id.clone().expect("the broker has it");
        let found = store.order_at_broker(&at_broker).await.expect("reads");
        assert_eq!(found, Some((closed, executions)), "by the broker's id");
        let nobody = BrokerOrderId::new("somebody-else");
        assert_eq!(store.order_at_broker(&nobody).await.expect("reads"), None);
        assert!(store.order(&order(3).request.client_id).await.expect("reads").is_none());
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_commit_is_all_or_nothing_and_fails_alone() {
    on_both(async |database| {
        let store = open(&database).await;
        let row = order(1);
        store.commit(vec![recorded(&row)]).await.expect("writes");
        store.commit(vec![fill(&row, "x1")]).await.expect("writes");
        // Queued together: the second and the third change an order that is not there.
        let stranger = || changed(&order(9), "\"x\"", true);
        let (good, half, unknown) = tokio::join!(
            store.commit(vec![fill(&row, "x2")]),
            store.commit(vec![recorded(&order(3)), stranger()]),
            store.commit(vec![stranger()]),
        );
        good.expect("is not touched by the others");
        for bad in [half, unknown] {
            assert!(matches!(&bad, Err(error @ StoreError::Refused { .. }) if !error.is_final()), "{bad:?}");
        }
        assert!(store.order(&order(3).request.client_id).await.expect("reads").is_none(), "half a commit");
        let working = change(&row, "{\"working\":\"new\"}", true);
        store.commit(vec![Record::Change(Box::new(working.clone()))]).await.expect("writes");
        store.commit(vec![recorded(&row)]).await.expect("an order again is the same order");
        let (stored, executions) =
            store.order(&row.request.client_id).await.expect("reads").expect("is there");
        assert_eq!(stored.state, working.state, "what followed stands");
        assert_eq!(executions.len(), 2);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_text_that_no_server_takes_is_taken() {
    on_both(async |database| {
        let store = open(&database).await;
        let row = order(1);
        let time = MarketTime::from_secs(1);
        let signal = Signal { symbol: None, reason: "a\0b".into() };
        let note = OrderChange { note: "\0".into(), ..change(&row, "\"x\"", true) };
        let records = vec![
            recorded(&row),
            Record::Signal { time, strategy: name(), signal },
            Record::Notice { time, subject: "test", detail: "\0\0".into() },
            Record::Change(Box::new(note)),
            fill(&row, "x\u{0}1"),
        ];
        store.commit(records).await.expect("writes");
        let signals = store.reader().signals(Span::ALL, None).await.expect("reads").rows;
        assert_eq!(signals[0].signal.reason, "a\u{FFFD}b", "{database}");
        store.close().await;
    })
    .await;
}

/// One of every kind, orders included.
pub(crate) fn one_of_each(at: i64) -> Vec<Record> {
    let time = MarketTime::from_secs(at);
    let row = order(at.unsigned_abs());
    let deed = Deed::Fill {
        order: BrokerOrderId::new("b1"),
        symbol: Symbol::new("SPY"),
        side: Side::Buy,
        qty: "4".parse().expect("qty"),
        price: price("167.41"),
        cumulative: "4".parse().expect("qty"),
    };
    let net = "-1.5".parse().expect("usd");
    let fee = Deed::Other { kind: "FEE".into(), net, symbol: None, qty: None, per_share: None };
    let line = |actor, client_id| {
        let symbol = Some(Symbol::new("SPY"));
        Record::Audit(Audit { time, actor, action: "submit", client_id, symbol, detail: "10 SPY".into() })
    };
    vec![
        Record::HostStart { epoch: HostEpoch(at.unsigned_abs()), mode: "paper".into(), time },
        recorded(&row),
        fill(&row, "x1"),
        changed(&row, "{\"working\":\"new\"}", true),
        Record::Correction { time, qty: "1".parse().expect("qty"), cash: Usd::ZERO, after: sub_book() },
        Record::Equity { time, equity: "100001".parse().expect("usd"), cash: Usd::ZERO },
        Record::Refusal { time, strategy: name(), id: StrategyOrderId(u64::MAX), refusal: Refusal::Late },
        Record::Signal { time, strategy: name(), signal: Signal { symbol: None, reason: "crossed".into() } },
        Record::Notice { time, subject: "foreign-order", detail: "by hand".into() },
        Record::Alert { time, text: "look here".into() },
        Record::Activity(Activity { id: format!("a{at}"), time, deed }),
        Record::Activity(Activity { id: format!("b{at}"), time, deed: fee }),
        Record::Fact { name: facts::LAST_ACTIVITY, value: Some("b".into()) },
        Record::StrategyState { time, strategy: name(), version: "0.1.0".into(), state: vec![0, 255, 1] },
        line(Actor::Strategy(name()), Some(row.request.client_id.clone())),
        line(Actor::Operator("root".into()), None),
        line(Actor::Host, None),
        line(Actor::Broker, None),
    ]
}

#[tokio::test]
async fn a_row_that_the_broker_canceled_moves_nothing_in_the_records_either() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("host.db");
    let store = open(&Database::Sqlite(path.clone())).await;
    let row = |net: i64| {
        let net = Usd::new(net.into());
        let deed = Deed::Other { kind: "CSW".into(), net, symbol: None, qty: None, per_share: None };
        Record::Activity(Activity { id: "a".into(), time: MarketTime::from_secs(1), deed })
    };
    store.commit(vec![row(-7)]).await.expect("writes");
    let net = "SELECT CAST(net AS INTEGER) FROM activities";
    assert_eq!(number(&path, net).await, -7);
    store.commit(vec![row(0)]).await.expect("writes");
    assert_eq!(number(&path, net).await, 0);
    store.close().await;
}

#[tokio::test]
async fn what_an_operator_set_is_part_of_what_the_rows_make() {
    on_both(async |database| {
        let store = open(&database).await;
        let set = |second: i64, qty: &str, cash: &str| Record::Correction {
            time: MarketTime::from_secs(second),
            qty: qty.parse().expect("qty"),
            cash: cash.parse().expect("usd"),
            after: sub_book(),
        };
        let wrong = async || {
            let mut snapshot = Store::snapshot(&database).await.expect("opens");
            let found = snapshot.inspect().await.expect("reads").wrong;
            snapshot.close().await;
            found
        };
        store.commit(vec![set(1, "-5", "0.5"), set(2, "1", "670.14")]).await.expect("writes");
        assert_eq!(wrong().await, Vec::<String>::new(), "{database}");
        store.commit(vec![set(3, "1", "0")]).await.expect("writes");
        let found = wrong().await;
        assert!(
            found.len() == 1 && found[0].contains("fills and corrections make -3 and 670.64"),
            "{found:?}"
        );
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn records_written_again_are_there_once() {
    on_both(async |database| {
        let store = open(&database).await;
        let records = one_of_each(1);
        // All ways in which they are put together: by themselves, a few, all.
        for _ in 0..2 {
            for size in [records.len(), 1, 2, 5] {
                for chunk in records.chunks(size) {
                    store.commit(chunk.to_vec()).await.expect("writes");
                }
            }
        }
        let counts = store.reader().counts().await.expect("reads");
        let expected = [
            ("activities", 2),
            ("corrections", 1),
            ("alerts", 1),
            ("audit", 4),
            ("equity", 1),
            ("facts", 1),
            ("fills", 1),
            ("host_starts", 1),
            ("notices", 1),
            ("order_changes", 1),
            ("orders", 1),
            ("refusals", 1),
            ("signals", 1),
            ("strategy_state", 1),
            ("sub_books", 1),
        ];
        assert_eq!(counts, BTreeMap::from(expected), "{database}");
        let state = store.strategy_state(&name()).await.expect("reads");
        assert_eq!(state, Some(("0.1.0".to_owned(), vec![0, 255, 1])));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn pages_hold_everything_once_and_in_order() {
    on_both(async |database| {
        let store = open(&database).await;
        let wanted = PAGE_ROWS as i64 + 5;
        let mut records = Vec::new();
        for at in 0..wanted {
            // Pairs of one time, across the end of a page.
            let time = MarketTime::from_secs(at / 2);
            let row = OrderRow { recorded_at: time, ..order(at.unsigned_abs()) };
            records.push(recorded(&row));
            records.push(fill(&row, "x1"));
            let (equity, cash) = (Usd::ZERO, at.to_string().parse().expect("usd"));
            records.push(Record::Equity { time, equity, cash });
            let signal = Signal { symbol: Some(Symbol::new("SPY")), reason: at.to_string() };
            records.push(Record::Signal { time, strategy: name(), signal });
        }
        store.commit(records).await.expect("writes");
        let reader = Store::read_only(&database).await.expect("beside the host");
        macro_rules! all {
            ($read:ident, $span:expr) => {{
                let (mut rows, mut after) = (Vec::new(), None);
                loop {
                    let page = reader.$read($span, after.as_ref()).await.expect("reads");
                    assert!(page.rows.len() <= PAGE_ROWS);
                    rows.extend(page.rows);
                    after = page.next;
                    if after.is_none() {
                        break rows;
                    }
                }
            }};
        }
        let orders = all!(orders, Span::ALL);
        let mut ids: Vec<_> = orders.iter().map(|read| read.order.request.client_id.sequence).collect();
        assert!(orders.is_sorted_by_key(|read| read.order.recorded_at));
        ids.sort_unstable();
        assert_eq!(ids, (0..wanted.unsigned_abs()).collect::<Vec<_>>());
        assert_eq!(all!(fills, Span::ALL).len() as i64, wanted);
        let cash: Vec<_> = all!(equity, Span::ALL).iter().map(|read| read.cash.to_string()).collect();
        assert_eq!(cash, (0..wanted).map(|at| at.to_string()).collect::<Vec<_>>());
        let span = Span { from: MarketTime::from_secs(1), until: MarketTime::from_secs(3) };
        let reasons: Vec<_> = all!(signals, span).into_iter().map(|read| read.signal.reason).collect();
        assert_eq!(reasons, ["2", "3", "4", "5"]);
        assert!(all!(audit, Span::ALL).is_empty());
        reader.close().await;
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_newest_lines_of_the_audit_log_come_first() {
    on_both(async |database| {
        let store = open(&database).await;
        let line = |at: i64| Audit {
            time: MarketTime::from_secs(at / 2),
            actor: Actor::Operator("ann".into()),
            action: "cancel",
            client_id: None,
            symbol: (at % 2 == 0).then(|| Symbol::new("SPY")),
            detail: at.to_string(),
        };
        store.commit((0..9).map(|at| Record::Audit(line(at))).collect()).await.expect("writes");
        let reader = Store::read_only(&database).await.expect("beside the host");
        let newest = async |lines| {
            let read = reader.newest_audit(lines).await.expect("reads");
            read.into_iter().map(|read| read.detail).collect::<Vec<_>>()
        };
        assert_eq!(
            newest(3).await,
            ["8", "7", "6"],
            "two of one time in the order in which they were written"
        );
        assert_eq!(newest(usize::MAX).await.len(), 9);
        assert!(newest(0).await.is_empty());
        reader.close().await;
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn probes_go_through_the_queue() {
    on_both(async |database| {
        let pulse = Arc::new(Pulse::default());
        let store = Store::open(&database, pulse.clone()).await.expect("opens");
        assert!(store.probe(42));
        store.commit(vec![recorded(&order(1))]).await.expect("writes");
        store.commit(vec![]).await.expect("writes nothing");
        assert_eq!(pulse.nonce(), 42);
        assert!(pulse.progress() >= 2);
        let other = store.clone();
        store.close().await;
        assert!(matches!(other.commit(vec![]).await, Err(StoreError::Closed)));
        assert!(!other.probe(43));
        assert!(try_open(&database).await.is_ok(), "and another host may have it");
    })
    .await;
}
