//! A file of the first version, with rows, is read by this one.

use sandpit_store::{Database, Span};
use sandpit_types::{OrderClass, OrderKind, StrategyOrderId};
use sqlx::{Executor, migrate::Migrator, sqlite::SqliteJournalMode};

use crate::common::{number, open};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

const ROWS: &str = r#"
INSERT INTO host_starts VALUES ('00000000000000aa', 'paper', 5);
INSERT INTO orders VALUES ('sp-sma-00000000000000aa-1', 'sma', '00000000000000aa', 1, '18446744073709551615',
    'SPY', 'buy', '10', '167.41', 'day', 0, '{"working":"new"}', 1, 'b1', '4', '669.64', 10, 12);
INSERT INTO orders VALUES ('sp-sma-00000000000000aa-2', 'sma', '00000000000000aa', 1, NULL,
    'QQQ', 'sell', '1.5', NULL, 'gtc', 1, '{"terminal":"filled"}', 0, 'b2', '1.5', '3', 11, 13);
INSERT INTO order_changes VALUES ('sp-sma-00000000000000aa-1', 1, 12, '{"working":"new"}', '4', '');
INSERT INTO fills VALUES ('sp-sma-00000000000000aa-1', 'x1', 'sma', 'SPY', 'buy', '4', '167.41', 12);
INSERT INTO sub_books VALUES ('sma', 'SPY', '4', '669.64', '-669.64');
INSERT INTO equity VALUES (1, '100', '50'), (2, '101', '51');
INSERT INTO signals VALUES (3, 'sma', NULL, 'crossed');
INSERT INTO refusals VALUES (4, 'sma', '7', 'late');
INSERT INTO notices VALUES (5, 'foreign-order', 'by hand');
"#;

#[tokio::test]
async fn rows_of_the_first_version_are_kept() {
    for is_killed in [false, true] {
        check(is_killed).await;
    }
}

/// A host of the first version that was killed leaves its rows in the log.
async fn check(is_killed: bool) {
    let directory = tempfile::tempdir().expect("tempdir");
    let first = directory.path().join("first.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&first).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).pragma("wal_autocheckpoint", "0");
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("opens");
    MIGRATIONS.run_to(1, &pool).await.expect("makes the first version");
    pool.execute(ROWS).await.expect("fills it");
    let path = directory.path().join("host.db");
    if is_killed {
        std::fs::copy(&first, &path).expect("copies");
        let log = std::fs::copy(first.with_extension("db-wal"), path.with_extension("db-wal"));
        assert!(log.expect("copies") > 0, "all is in the log");
    }
    pool.close().await;
    if !is_killed {
        std::fs::rename(&first, &path).expect("renames");
    }

    let database = Database::Sqlite(path.clone());
    let store = open(&database).await;
    let stored = store.load().await.expect("reads");
    let [(row, executions)] = stored.open_orders.as_slice() else { panic!("one is open") };
    let limit_price = "167.41".parse().expect("price");
    assert_eq!(row.request.kind, OrderKind::Limit { limit_price });
    assert_eq!((row.request.class, row.strategy_id), (OrderClass::Simple, Some(StrategyOrderId(u64::MAX))));
    assert_eq!((executions.len(), stored.sub_books.len(), stored.epochs.len()), (1, 1, 1));
    let reader = store.reader();
    let orders = reader.orders(Span::ALL, None).await.expect("reads").rows;
    assert_eq!(orders[1].order.request.kind, OrderKind::Market);
    assert!(orders[1].order.request.extended_hours && !orders[1].order.is_open);
    assert_eq!(orders[1].changed_at.as_nanos(), 13);
    assert_eq!(reader.equity(Span::ALL, None).await.expect("reads").rows.len(), 2);
    assert_eq!(reader.signals(Span::ALL, None).await.expect("reads").rows.len(), 1);
    for table in ["refusals", "notices", "order_changes", "fills"] {
        assert_eq!(reader.counts().await.expect("reads")[table], 1, "{table}");
    }
    store.close().await;
    assert_eq!(number(&path, "SELECT COUNT(*) FROM pragma_foreign_key_check").await, 0);
}
