//! What is forgotten, and what is not.

use sandpit_store::{OrderChange, OrderRow, Record, Retention, Span, facts};
use sandpit_types::{Activity, Deed, HostEpoch, Leg, Links, MarketTime, Signal, Usd};

use crate::common::{change, fill, name, on_both, open, order, recorded};
use crate::records::one_of_each;

const DAY: i64 = 86_400;

fn signal(at: i64) -> Record {
    let signal = Signal { symbol: None, reason: at.to_string() };
    Record::Signal { time: MarketTime::from_secs(at), strategy: name(), signal }
}

fn activity(id: &str, at: i64) -> Record {
    let deed = Deed::Other { kind: "CSD".into(), net: Usd::ZERO, symbol: None, qty: None, per_share: None };
    Record::Activity(Activity { id: id.into(), time: MarketTime::from_secs(at), deed })
}

fn equity(at: i64) -> Record {
    Record::Equity { time: MarketTime::from_secs(at), equity: Usd::ZERO, cash: Usd::ZERO }
}

/// An order, and how it stands since then.
fn order_of(sequence: u64, at: i64, is_open: bool, links: Links) -> Vec<Record> {
    let recorded_at = MarketTime::from_secs(at);
    let row = OrderRow { recorded_at, links, ..order(sequence) };
    let changed = OrderChange { time: recorded_at, ..change(&row, "\"x\"", is_open) };
    vec![recorded(&row), fill(&row, "x1"), Record::Change(Box::new(changed))]
}

#[tokio::test]
async fn what_is_old_goes_and_orders_stay_unless_they_may_go() {
    on_both(async |database| {
        let now = 1_000 * DAY;
        let store = open(&database).await;
        let mut records = one_of_each(1);
        records.extend((1..=450).map(|number| signal(DAY * 900 + number)));
        records.extend([signal(now - 90 * DAY), signal(now)]);
        let parent = order(20).request.client_id;
        records.extend(order_of(20, 2, false, Links::default()));
        records.extend(order_of(
            21,
            2,
            true,
            Links { leg_of: Some((parent, Leg::StopLoss)), replaces: None },
        ));
        records.extend(order_of(22, now - DAY, false, Links::default()));
        let replaces = Some(order(23).request.client_id);
        records.extend(order_of(23, 2, false, Links::default()));
        records.extend(order_of(24, 2, true, Links { leg_of: None, replaces }));
        records.extend((30..250).flat_map(|number| order_of(number, 3, false, Links::default())));
        store.commit(records).await.expect("writes");

        let retention = Retention::default();
        let at = MarketTime::from_secs(now);
        assert_eq!(store.retain(retention, at).await.expect("forgets"), 454, "{database}");
        let counts = store.reader().counts().await.expect("reads");
        let story = ["signals", "refusals", "notices", "alerts"].map(|table| counts[table]);
        assert_eq!(story, [2, 0, 0, 0]);
        assert_eq!((counts["orders"], counts["audit"], counts["activities"]), (226, 4, 2));

        let forgotten =
            async || store.load().await.expect("reads").facts.get(facts::ORDERS_FORGOTTEN).cloned();
        assert_eq!(forgotten().await, None);
        let retention = Retention { keep_orders_days: Some(30), ..retention };
        // A life that has lasted since then knows them, and may change them again.
        assert_eq!(store.retain(retention, at).await.expect("forgets"), 6, "the audit and activities");
        assert_eq!((store.reader().counts().await.expect("reads")["orders"], forgotten().await), (226, None));
        let start = Record::HostStart { epoch: HostEpoch(7), mode: "paper".into(), time: at };
        store
            .commit(vec![start, activity("old", now - 91 * DAY), activity("known", now - 60 * DAY)])
            .await
            .expect("writes");
        store.retain(retention, at).await.expect("forgets");
        let orders = store.reader().orders(Span::ALL, None).await.expect("reads").rows;
        let left: Vec<_> = orders.iter().map(|read| read.order.request.client_id.sequence).collect();
        // The first one is open; the parent of an open leg, the leg, what an open one has replaced, that one,
        // and the new one.
        assert_eq!(left, [20, 21, 23, 24, 22, 1]);
        let counts = store.reader().counts().await.expect("reads");
        assert_eq!((counts["fills"], counts["audit"], counts["activities"]), (6, 0, 1));
        let before = (970 * DAY * 1_000_000_000).to_string();
        assert_eq!(forgotten().await, Some(before.clone()));
        store.retain(retention, MarketTime::from_secs(now + DAY)).await.expect("forgets nothing more");
        assert_eq!(forgotten().await, Some(before));
        assert_eq!(store.retain(retention, at).await.expect("forgets"), 0);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_equity_curve_gets_coarser() {
    on_both(async |database| {
        let now = 1_000 * DAY;
        let store = open(&database).await;
        // Every 20 s of an hour: 500 days ago, a month ago, and yesterday; some at the same time.
        let mut records = Vec::new();
        for day in [500, 970, 999] {
            records.extend((0..180).map(|number| equity(day * DAY + number * 20)));
            let cash = "1".parse().expect("usd");
            records.push(Record::Equity { time: MarketTime::from_secs(day * DAY), equity: Usd::ZERO, cash });
        }
        store.commit(records).await.expect("writes");
        let at = MarketTime::from_secs(now);
        let gone = store.retain(Retention::default(), at).await.expect("forgets");
        assert_eq!(gone, 180 + 121, "{database}: a row of the day, sixty of the hour");
        let left = store.reader().equity(Span::ALL, None).await.expect("reads").rows;
        let times: Vec<_> = left.iter().map(|read| read.time.as_nanos() / 1_000_000_000).collect();
        let mut expected = vec![500 * DAY];
        expected.extend((0..60).map(|minute| 970 * DAY + minute * 60));
        expected.push(999 * DAY);
        expected.extend((0..180).map(|number| 999 * DAY + number * 20));
        assert_eq!(times, expected);
        assert_eq!(store.retain(Retention::default(), at).await.expect("forgets"), 0);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn commits_do_not_wait_until_all_is_forgotten() {
    on_both(async |database| {
        let store = open(&database).await;
        store.commit((0..3_000).map(signal).collect()).await.expect("writes");
        let retain = tokio::spawn({
            let store = store.clone();
            async move { store.retain(Retention::default(), MarketTime::from_secs(1_000 * DAY)).await }
        });
        for number in 1..=5 {
            store.commit(vec![recorded(&order(number))]).await.expect("writes");
        }
        assert!(!retain.is_finished(), "it has pauses, which were not over");
        assert_eq!(retain.await.expect("ends").expect("forgets"), 3_000);
        store.close().await;
    })
    .await;
}
