//! What can be wrong with a file.

use std::{path::Path, time::Duration};

use sandpit_store::{Record, SYNC_EVERY, StoreError};
use sandpit_types::MarketTime;
use sqlx::ConnectOptions;
use tokio::time::{Instant, timeout};

use crate::common::{fill, open_file, order, recorded};

/// A commit waits two seconds for a lock.
const WITHOUT_A_WAIT: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn what_cannot_be_opened_says_what_to_do() {
    let directory = tempfile::tempdir().expect("tempdir");
    let check = async |path: &Path, words: &str| {
        let error = open_file(path).await.expect_err("cannot be opened");
        assert!(error.to_string().contains(words), "{error}");
    };
    let file = directory.path().join("file");
    std::fs::write(&file, "not a directory").expect("writes");
    check(&file.join("host.db"), "make its directory exist and writable").await;
    check(directory.path(), "make its directory exist and writable").await;
    let garbage = directory.path().join("garbage.db");
    std::fs::write(&garbage, "this is no database, whatever its name says. ".repeat(100)).expect("writes");
    check(&garbage, "move it away").await;
    assert!(std::fs::read_to_string(&garbage).expect("reads").starts_with("this is"), "was changed");

    let newer = directory.path().join("newer.db");
    open_file(&newer).await.expect("opens").close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&newer);
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("opens");
    sqlx::query(
        "INSERT INTO _sqlx_migrations SELECT 9999, description, installed_on, success, checksum, \
         execution_time FROM _sqlx_migrations LIMIT 1",
    )
    .execute(&pool)
    .await
    .expect("writes");
    pool.close().await;
    check(&newer, "another version of sandpit").await;
}

#[tokio::test]
async fn a_damaged_page_is_found_before_it_is_traded_on() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("host.db");
    let store = open_file(&path).await.expect("opens");
    for number in 0..200 {
        store.commit(vec![recorded(&order(number)), fill(&order(number), "x1")]).await.expect("writes");
    }
    store.close().await;
    let mut bytes = std::fs::read(&path).expect("reads");
    let at = bytes.len() - 6 * 4096;
    bytes[at..at + 4096].fill(0xa5);
    std::fs::write(&path, bytes).expect("writes");
    let error = open_file(&path).await.expect_err("is damaged");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
    assert_eq!(error.to_string().lines().count(), 1, "one sentence: {error}");
}

#[tokio::test]
async fn a_file_that_vanishes_or_is_replaced_takes_no_more_commits() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("host.db");
    let store = open_file(&path).await.expect("opens");
    store.commit(vec![recorded(&order(1))]).await.expect("writes");
    let aside = directory.path().join("aside.db");
    std::fs::rename(&path, &aside).expect("moves");
    let error = store.commit(vec![recorded(&order(2))]).await.expect_err("would be lost");
    assert!(matches!(error, StoreError::Vanished { .. }), "{error}");
    std::fs::copy(&aside, &path).expect("another file of that name");
    let error = store.commit(vec![recorded(&order(3))]).await.expect_err("is another one");
    assert!(error.to_string().contains("restart the host"), "{error}");
    std::fs::rename(&aside, &path).expect("moves back");
    store.commit(vec![recorded(&order(4))]).await.expect("is the one that was opened");
    store.close().await;
}

#[tokio::test]
async fn a_file_that_another_process_holds_is_written_once_it_is_let_go() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("host.db");
    let store = open_file(&path).await.expect("opens");
    store.commit(vec![recorded(&order(1))]).await.expect("writes");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
    let mut holder = pool.expect("opens").acquire().await.expect("opens");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *holder).await.expect("holds");
    let row = order(2);
    let held = tokio::spawn({
        let (store, row) = (store.clone(), row.clone());
        async move { store.commit(vec![recorded(&row)]).await }
    });
    // Meanwhile the writer is not stuck: it answers.
    let error = held.await.expect("ends").expect_err("is locked");
    assert!(error.to_string().contains("end the other process"), "{error}");
    assert!(store.order(&row.request.client_id).await.expect("reads").is_none());
    sqlx::query("ROLLBACK").execute(&mut *holder).await.expect("lets go");
    store.commit(vec![recorded(&row)]).await.expect("recovers by itself");
    store.close().await;
}

#[tokio::test]
async fn a_log_that_is_deleted_under_the_host_is_seen() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("host.db");
    let store = open_file(&path).await.expect("opens");
    store.commit(vec![recorded(&order(0))]).await.expect("writes");
    std::fs::remove_file(directory.path().join("host.db-wal")).expect("was there");
    let mut number = 0;
    let error = loop {
        number += 1;
        if let Err(error) = store.commit(vec![recorded(&order(number))]).await {
            break error;
        }
        assert!(number < 1_000, "never seen");
        tokio::time::sleep(SYNC_EVERY / 10).await;
    };
    assert!(error.to_string().contains("its log was deleted") && error.is_final(), "{error}");
}

#[tokio::test]
async fn commits_do_not_wait_for_who_reads_long() {
    const MAX_LOG_BYTES: u64 = 64 << 20;
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("host.db");
    let store = open_file(&path).await.expect("opens");
    store.commit(vec![recorded(&order(0))]).await.expect("writes");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut reader = options.connect().await.expect("opens");
    sqlx::query("BEGIN").execute(&mut reader).await.expect("begins");
    let count = "SELECT COUNT(*) FROM orders";
    let seen: i64 = sqlx::query_scalar(count).fetch_one(&mut reader).await.expect("reads");
    let log = || std::fs::metadata(directory.path().join("host.db-wal")).map_or(0, |log| log.len());
    let note = |number, detail: &str| {
        let detail = detail.to_owned();
        Record::Notice { time: MarketTime::from_nanos(number), subject: "test", detail }
    };
    // Until the log is too long, and then over several ticks with enough commits for a checkpoint each.
    let long = "x".repeat(256 << 10);
    let (mut number, mut slowest, mut until) = (0, Duration::ZERO, None);
    loop {
        number += 1;
        let words = if until.is_none() { long.as_str() } else { "x" };
        let begun = Instant::now();
        let commit = timeout(WITHOUT_A_WAIT, store.commit(vec![note(number, words)])).await;
        commit.expect("waits for nobody").expect("writes");
        slowest = slowest.max(begun.elapsed());
        if until.is_none() && log() > MAX_LOG_BYTES {
            until = Some(Instant::now() + SYNC_EVERY * 8);
        }
        if until.is_some_and(|until| Instant::now() > until) {
            break;
        }
        assert!(until.is_some() || number < 5_000, "the log has only {} bytes", log());
    }
    eprintln!("{number} commits, the slowest took {slowest:?}");
    let again: i64 = sqlx::query_scalar(count).fetch_one(&mut reader).await.expect("reads");
    assert_eq!(seen, again);
    store.close().await;
}

#[tokio::test]
async fn the_log_does_not_grow_for_ever() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("host.db");
    let store = open_file(&path).await.expect("opens");
    let log = || std::fs::metadata(directory.path().join("host.db-wal")).map_or(0, |log| log.len());
    // The header of SQLite's log counts how often it was begun.
    let times_begun = || {
        let log = std::fs::read(directory.path().join("host.db-wal")).expect("is there");
        log[12..16].to_vec()
    };
    const COMMITS: u64 = 300;
    // Commits between two beginnings of the log, at most: a slow disk is copied to for longer.
    let (mut sizes, mut most) = (Vec::new(), COMMITS);
    for round in 0..5 {
        for number in 0..COMMITS {
            store.commit(vec![recorded(&order(round * COMMITS + number))]).await.expect("writes");
        }
        sizes.push(log());
        // It is copied beside the commits, and the next one after that begins it anew.
        let (begun, mut tries) = (times_begun(), 0);
        while times_begun() == begun {
            tries += 1;
            assert!(tries < 1_000, "never begun anew");
            tokio::time::sleep(SYNC_EVERY / 10).await;
            store.commit(vec![recorded(&order(10_000 + round * 1_000 + tries))]).await.expect("writes");
        }
        most = most.max(COMMITS + tries);
    }
    assert!(sizes[4] < 3 * sizes[0] * most / COMMITS, "{sizes:?}, {most} commits");
    store.close().await;
    assert_eq!(log(), 0, "all of it is in the file");
}
