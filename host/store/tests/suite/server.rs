//! What can happen to a server.

use sandpit_postgres::{PASSWORD, Stop};
use sandpit_store::{Record, StoreError};

use crate::common::{open, order, postgres, recorded, server, try_open};

#[tokio::test]
async fn two_hosts_do_not_share_a_database_and_no_error_shows_the_password() {
    let server = server();
    let database = postgres(&server.url());
    let store = open(&database).await;
    let mut errors = vec![try_open(&database).await.expect_err("is in use")];
    assert!(matches!(errors[0], StoreError::InUse { .. }), "{}", errors[0]);
    let beside = server.create_database("beside").expect("makes one");
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
    let again = async || {
        for _ in 0..100 {
            if store.commit(vec![recorded(&order(1))]).await.is_ok() {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        false
    };
    assert!(again().await, "recovers by itself");
    let notice =
        Record::Notice { time: sandpit_types::MarketTime::EPOCH, subject: "test", detail: "x".into() };
    server.stop(Stop::Immediate).expect("crashes");
    server.start().expect("starts");
    store.commit(vec![notice]).await.expect("connects again within the commit");
    assert_eq!(server.query("SELECT COUNT(*) FROM orders").expect("reads"), "1");
    store.close().await;
}
