use sandpit_types::MarketTime;
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use super::*;
use crate::{Record, Store, statements::statements};

async fn notices(path: &std::path::Path) -> i64 {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut reader = options.connect().await.expect("opens");
    sqlx::query_scalar("SELECT COUNT(*) FROM notices").fetch_one(&mut reader).await.expect("reads")
}

fn notices_of(sizes: &[usize], number: &mut i64) -> Vec<Statement> {
    let notice = |bytes: &usize| {
        *number += 1;
        let time = MarketTime::from_nanos(*number);
        statements(&Record::Notice { time, subject: "test", detail: "x".repeat(*bytes) })
    };
    sizes.iter().flat_map(notice).collect()
}

#[tokio::test]
async fn after_a_full_disk_commits_are_durable_again() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("host.db");
    let (mut file, connection, _) = File::open(&path).await.expect("opens");
    drop(connection);
    let options = file.options.clone();
    // The pragma holds for one connection, so each that the writer makes has it anew.
    file.options = options.clone().pragma("max_page_count", "100");
    let connection = file.connect().await.expect("opens");
    let mut writer = Writer::new(Source::Sqlite(file), connection);
    let mut number = 0;
    let mut write = async |writer: &mut Writer, sizes: &[usize]| {
        let statements = notices_of(sizes, &mut number);
        writer.write(&statements.iter().collect::<Vec<_>>()).await
    };
    write(&mut writer, &[1]).await.expect("fits");
    for _ in 0..3 {
        let error = write(&mut writer, &[1, 1_000_000]).await.expect_err("full");
        assert!(error.to_string().contains("full") && error.to_string().contains("free disk"), "{error}");
        assert_eq!(notices(&path).await, 1, "all or nothing");
    }
    write(&mut writer, &[1]).await.expect("what fits is taken");
    assert_eq!(notices(&path).await, 2, "and seen by others, so it is committed");
    let Source::Sqlite(file) = &mut writer.source else { unreachable!("it is a file") };
    file.options = options;
    write(&mut writer, &[1, 1_000_000]).await.expect_err("the connection is as full as it was");
    write(&mut writer, &[1, 1_000_000]).await.expect("there is room");
    // Dropped without close, as by a death.
    drop(writer);
    let store = Store::open(&Database::Sqlite(path.clone()), Arc::default()).await.expect("opens again");
    assert_eq!(notices(&path).await, 4);
    store.close().await;
}
