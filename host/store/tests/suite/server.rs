//! What can happen to a server.

use std::{sync::Arc, time::Duration};

use sandpit_postgres::{PASSWORD, Server, Stop};
use sandpit_store::{Database, Record, Store, StoreError};
use sandpit_types::{MarketTime, Pulse};

use crate::{
    common::{fill, open, order, postgres, recorded, server, try_open},
    proxy::{Cut, NEVER, Proxy},
    records::one_of_each,
};

#[tokio::test]
async fn two_hosts_do_not_share_a_database_and_no_error_shows_the_password() {
    let server = server();
    let database = postgres(&server.url());
    let store = open(&database).await;
    let mut errors = vec![try_open(&database).await.expect_err("is in use")];
    assert!(matches!(errors[0], StoreError::InUse { .. }), "{}", errors[0]);
    // Beside it there is room for another host, whose role owns its database and nothing else.
    server.query(&format!("CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")).expect("makes one");
    server.query("CREATE DATABASE beside OWNER plain").expect("makes one");
    let beside = server.url_of("beside").replace("sandpit:", "plain:");
    open(&postgres(&beside)).await.close().await;

    for (wrong, words) in [
        (server.url().replace("sandpit:", "nobody:"), "authentication failed"),
        (server.url().replace(PASSWORD, &format!("{PASSWORD}x")), "authentication failed"),
        (server.url_of("nowhere"), "does not exist"),
        (server.url() + "?sslmode=require", "TLS"),
    ] {
        let error = try_open(&postgres(&wrong)).await.expect_err("is wrong");
        assert!(error.to_string().contains(words), "{error}");
        errors.push(error);
    }
    server.stop(Stop::Fast).expect("stops");
    errors.push(try_open(&database).await.expect_err("is stopped"));
    errors.push(store.commit(vec![recorded(&order(1))]).await.expect_err("is stopped"));
    for error in errors {
        let said = format!("{error} {error:?}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
    server.start().expect("starts");
    written(&store, &[recorded(&order(1))]).await;
    let notice = Record::Notice { time: MarketTime::EPOCH, subject: "test", detail: "x".into() };
    server.stop(Stop::Immediate).expect("crashes");
    server.start().expect("starts");
    store.commit(vec![notice]).await.expect("connects again within the commit");
    assert_eq!(server.query("SELECT COUNT(*) FROM orders").expect("reads"), "1");
    store.close().await;
}

/// Every commit of a life is cut at every request that it makes, with the answer lost or the request:
/// afterwards everything is there once.
#[tokio::test]
async fn a_commit_that_is_cut_anywhere_is_done_once() {
    for cut in [Cut::BeforeTheServer, Cut::BeforeTheAnswer] {
        let server = server();
        let proxy = Proxy::new(server.port(), cut).await;
        let through = server.url().replace(&format!(":{}/", server.port()), &format!(":{}/", proxy.port()));
        let store = open(&postgres(&through)).await;
        let mut expected = 0;
        // Transactions in several steps, joined texts, and statements alone: what is over of 17.
        for size in [17, 5, 2] {
            for requests in 0.. {
                expected += 1;
                let records = one_of_each(expected);
                proxy.cut_after(requests);
                for chunk in records.chunks(size) {
                    written(&store, chunk).await;
                }
                if !proxy.has_cut() {
                    break;
                }
            }
        }
        proxy.cut_after(NEVER);
        assert!(proxy.cuts() > 20, "{cut:?}: {} cuts", proxy.cuts());
        let counts = store.reader().counts().await.expect("reads");
        let expected = expected.unsigned_abs();
        for table in
            ["orders", "fills", "order_changes", "equity", "signals", "alerts", "refusals", "notices"]
        {
            assert_eq!(counts[table], expected, "{cut:?} {table}");
        }
        assert_eq!((counts["audit"], counts["activities"]), (4 * expected, 2 * expected), "{cut:?}");
        let stored = store.load().await.expect("reads");
        let numbers: Vec<_> =
            stored.open_orders.iter().map(|(row, _)| row.request.client_id.sequence).collect();
        assert_eq!(numbers, (1..=expected).collect::<Vec<_>>(), "{cut:?}: numbers stay as they were given");
        let changes = "SELECT COUNT(*) FROM order_changes WHERE change_number <> 1";
        assert_eq!(server.query(changes).expect("reads"), "0", "{cut:?}");
        store.close().await;
    }
}

/// The way to the server is gone without a word, at each request of a commit and while something is read.
#[tokio::test]
async fn a_server_that_falls_silent_keeps_nobody_and_nothing_is_done_twice() {
    let server = server();
    let proxy = Proxy::new(server.port(), Cut::Silent).await;
    let through = server.url().replace(&format!(":{}/", server.port()), &format!(":{}/", proxy.port()));
    let store = open(&postgres(&through)).await;
    let row = order(1);
    store.commit(vec![recorded(&row)]).await.expect("writes");
    for requests in 0.. {
        let records = |part: &str| vec![fill(&row, &format!("{requests} {part}"))];
        written(&store, &records("warm")).await;
        proxy.cut_after(requests);
        written(&store, &records("cut")).await;
        if !proxy.has_cut() {
            break;
        }
    }
    assert!(proxy.cuts() >= 4, "{} cuts: BEGIN, two statements, COMMIT", proxy.cuts());
    proxy.cut_after(NEVER);
    let fills = 2 * (proxy.cuts() + 1);
    assert_eq!(store.reader().counts().await.expect("reads")["fills"], fills);
    // It may also be a ping of the pool that is not answered: then the reader gets another connection.
    let mut late = 0;
    for requests in 0..5 {
        proxy.cut_after(requests);
        let read = tokio::time::timeout(Duration::from_secs(10), store.load()).await.expect("ends");
        late += u32::from(read.is_err_and(|error| error.to_string().contains("no answer in time")));
        assert!(proxy.has_cut(), "{requests}");
    }
    assert!(late > 0, "no read was cut");
    tokio::time::timeout(Duration::from_secs(10), store.close()).await.expect("closes");
}

/// As the desk does it: the same records again until they are there.
async fn written(store: &Store, records: &[Record]) {
    for _ in 0..100 {
        match store.commit(records.to_vec()).await {
            Ok(()) => return,
            Err(StoreError::Write { .. } | StoreError::Open { .. } | StoreError::InUse { .. }) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it never recovers");
}

#[tokio::test]
async fn while_a_server_hangs_the_writer_answers_and_recovers() {
    let server = server();
    let pulse = Arc::new(Pulse::default());
    let store = Store::open(&postgres(&server.url()), pulse.clone()).await.expect("opens");
    store.commit(vec![recorded(&order(1))]).await.expect("writes");
    server.hold(true).expect("is held");
    let commit = tokio::spawn({
        let store = store.clone();
        async move { store.commit(vec![recorded(&order(2))]).await }
    });
    // The queue is emptied while the commit hangs.
    assert!(store.probe(7));
    while pulse.nonce() != 7 {
        tokio::task::yield_now().await;
        assert!(!commit.is_finished(), "the probe waited for the commit");
    }
    let error = commit.await.expect("ends").expect_err("nobody answers");
    assert!(error.to_string().contains("check"), "{error}");
    server.hold(false).expect("goes on");
    written(&store, &[recorded(&order(2))]).await;
    assert_eq!(server.query("SELECT COUNT(*) FROM orders").expect("reads"), "2");
    store.close().await;
}

/// Ends the sessions of all hosts, and returns when they are gone.
async fn end_sessions(server: &Server) {
    const OURS: &str = "FROM pg_stat_activity WHERE application_name = 'sandpit'";
    server.query(&format!("SELECT COUNT(pg_terminate_backend(pid)) {OURS}")).expect("ends them");
    for _ in 0..500 {
        if server.query(&format!("SELECT COUNT(*) {OURS}")).expect("counts") == "0" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("they do not end");
}

#[tokio::test]
async fn a_host_does_not_come_back_over_a_newer_one() {
    let server = server();
    let database = postgres(&server.url());
    let first = open(&database).await;
    first.commit(vec![recorded(&order(1))]).await.expect("writes");
    end_sessions(&server).await;
    first.commit(vec![recorded(&order(2))]).await.expect("nobody was there meanwhile");
    end_sessions(&server).await;
    let second = open(&database).await;
    let error = first.commit(vec![recorded(&order(3))]).await.expect_err("there is another one");
    assert!(matches!(error, StoreError::Superseded { .. }) && error.is_final(), "{error}");
    second.close().await;
    let error = first.commit(vec![recorded(&order(3))]).await.expect_err("it has not read what changed");
    assert!(error.to_string().contains("restart the host"), "{error}");
    first.close().await;
    let third = open(&database).await;
    assert_eq!(third.load().await.expect("reads").open_orders.len(), 2);
    third.close().await;
}

#[tokio::test]
async fn a_database_that_is_made_anew_under_a_host_is_not_traded_on() {
    let mark = "CREATE TABLE kept AS TABLE facts; DROP TABLE facts; ALTER TABLE kept RENAME TO facts";
    for change in [mark, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"] {
        let server = server();
        let store = open(&postgres(&server.url())).await;
        store.commit(vec![recorded(&order(1))]).await.expect("writes");
        server.query(change).expect("is done");
        end_sessions(&server).await;
        let error = store.commit(vec![recorded(&order(2))]).await.expect_err("is another database");
        assert!(matches!(error, StoreError::Superseded { .. }), "{change}: {error}");
        store.close().await;
    }
}

#[tokio::test]
async fn a_host_waits_for_a_server_that_starts_with_it_but_not_for_a_right_password() {
    let server = server();
    let database = postgres(&server.url());
    let wrong = postgres(&server.url().replace(PASSWORD, "another"));
    let patiently =
        async |database: Database| Store::open_patiently(&database, Arc::new(Pulse::default())).await;
    let error =
        tokio::time::timeout(Duration::from_secs(20), patiently(wrong)).await.expect("is told at once");
    assert!(error.expect_err("is wrong").to_string().contains("authentication failed"));
    server.stop(Stop::Fast).expect("stops");
    let (store, ()) = tokio::join!(patiently(database.clone()), async {
        try_open(&database).await.expect_err("nobody is there");
        server.start().expect("starts");
    });
    let store = store.expect("opens");
    // The session of a host that died holds the lock for a while.
    let (next, ()) = tokio::join!(patiently(database.clone()), async {
        let error = try_open(&database).await.expect_err("is in use");
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        store.close().await;
    });
    next.expect("opens").close().await;
}
