//! A file of the first version, with rows, is read by this one. A migration that is cut off in the middle has
//! done nothing, and the next start does it.

use std::time::Duration;

use sandpit_store::{Database, Span};
use sandpit_types::{OrderClass, OrderKind, StrategyOrderId};
use sqlx::{
    Connection, Executor, PgConnection, SqliteConnection, migrate::Migrator, sqlite::SqliteJournalMode,
};

use crate::common::{number, open, postgres, server, try_open};

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

/// The tables of a database and how they were made, without the migrations' own.
const SHAPE: &str = "SELECT COALESCE(group_concat(sql, ';'), '') FROM (SELECT sql FROM sqlite_schema WHERE \
                     name NOT LIKE '_sqlx%' ORDER BY name)";

/// One of the last tables that the migration makes is there already: all before it has run when it fails.
#[tokio::test]
async fn a_migration_of_a_file_that_fails_in_the_middle_has_done_nothing() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("host.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut first = SqliteConnection::connect_with(&options).await.expect("opens");
    MIGRATIONS.run_to(1, &mut first).await.expect("makes the first version");
    first.execute(ROWS).await.expect("fills it");
    first.execute("CREATE TABLE audit (x)").await.expect("is in the way");
    let shape = async |connection: &mut SqliteConnection| -> String {
        sqlx::query_scalar(SHAPE).fetch_one(connection).await.expect("reads")
    };
    let before = shape(&mut first).await;
    first.close().await.expect("closes");
    for start in 0..2 {
        let error = try_open(&Database::Sqlite(path.clone())).await.expect_err("it fails").to_string();
        assert!(error.contains("audit"), "start {start}: {error}");
        let mut look = SqliteConnection::connect_with(&options).await.expect("opens");
        assert_eq!(shape(&mut look).await, before, "start {start}");
        look.close().await.expect("closes");
        assert_eq!(number(&path, "SELECT MAX(version) FROM _sqlx_migrations").await, 1);
        assert_eq!(number(&path, "SELECT COUNT(*) FROM orders").await, 2);
    }
    let mut away = SqliteConnection::connect_with(&options).await.expect("opens");
    away.execute("DROP TABLE audit").await.expect("out of the way");
    away.close().await.expect("closes");
    let store = open(&Database::Sqlite(path)).await;
    assert_eq!(store.load().await.expect("reads").open_orders.len(), 1);
    store.close().await;
}

/// Somebody else makes a table of the same name and has not said whether it is to stay: the migration waits
/// there, with half of its tables made, until its session is ended.
#[tokio::test]
async fn a_migration_of_a_server_that_is_cut_off_in_the_middle_has_done_nothing() {
    let server = server();
    let database = postgres(&server.url());
    let mut other = PgConnection::connect(&server.url()).await.expect("connects");
    other.execute("BEGIN; CREATE TABLE audit (x INTEGER)").await.expect("is in the way");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sandpit' AND \
               wait_event_type = 'Lock'";
    let ended = async {
        while server.query(end).expect("asks").trim() != "t" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), ended);
    let (opened, ended) = tokio::join!(try_open(&database), ended);
    ended.expect("it waits there");
    let error = opened.map(drop).expect_err("its session is gone").to_string();
    println!("{error}");
    other.execute("ROLLBACK").await.expect("it is not to stay");
    let tables =
        "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '\\_sqlx%'";
    assert_eq!(server.query(tables).expect("asks").trim(), "0");
    let store = open(&database).await;
    assert_eq!(store.load().await.expect("reads").open_orders.len(), 0);
    store.close().await;
    assert_ne!(server.query(tables).expect("asks").trim(), "0");
}

/// As that of the file, by a table that stays.
#[tokio::test]
async fn a_migration_of_a_server_that_fails_in_the_middle_has_done_nothing() {
    let server = server();
    let database = postgres(&server.url());
    server.query("CREATE TABLE audit (x INTEGER)").expect("is in the way");
    let tables = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public' AND tablename \
                  NOT LIKE '\\_sqlx%'";
    for start in 0..2 {
        let error = try_open(&database).await.expect_err("it fails").to_string();
        assert!(error.contains("audit"), "start {start}: {error}");
        assert_eq!(server.query(tables).expect("asks").trim(), "audit", "start {start}");
    }
    server.query("DROP TABLE audit").expect("out of the way");
    open(&database).await.close().await;
}
