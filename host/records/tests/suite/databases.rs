//! Backup, restore and check, on both databases.

use std::{fs, path::Path};

use sandpit_postgres::{Options, PASSWORD, Server};
use sandpit_records::{Manifest, Place, RecordsError, Restore, restore};
use sandpit_store::{AuditHoles, Database, Store, StoreError};
use tempfile::TempDir;

use crate::common::{audit_lines, back_up, bring_back, env, fill_books, now, open, sound};

/// Two empty places of the same kind, one after the other, and a folder.
async fn on_both(test: impl AsyncFn(&Path, Database, Database)) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| Database::Sqlite(folder.path().join(name).join("sandpit.db"));
    test(folder.path(), file("one"), file("two")).await;
    let server = Server::with(Options { fsync: false }).unwrap_or_else(|error| panic!("{error}"));
    let other = server.create_database("other").expect("made");
    let database = |url: &str| Database::Postgres(url.parse().expect("an address"));
    let folder = tempfile::tempdir().expect("a folder");
    test(folder.path(), database(&server.url()), database(&other)).await;
}

fn place(folder: &Path) -> Place {
    Place::parse(folder.to_str().expect("text"), &env(&[]), now).expect("a folder")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_a_writer_restores_to_the_same_books() {
    on_both(async |folder, from, to| {
        let (state, kept) = (folder.join("one"), folder.join("kept"));
        fs::create_dir_all(&state).expect("a folder");
        let store = open(&from).await;
        fill_books(&store, 1, 40).await;
        // The writer goes on while the copy is made.
        let place = place(&kept);
        let writing = fill_books(&store, 41, 120);
        let (done, ()) = tokio::join!(back_up(&from, &state, &place, None), writing);
        let done = done.unwrap_or_else(|error| panic!("{error}"));
        let Manifest { counts, file, newest_epoch, .. } = &done.manifest;
        assert!((40..=120).contains(&counts["orders"]), "{counts:?}");
        assert_eq!(counts["fills"], 2 * counts["orders"], "of one moment: {counts:?}");
        assert_eq!(newest_epoch.as_deref(), Some("0000000000000007"));
        assert_eq!(names(&kept), [file.clone(), format!("{file}.json")]);
        let manifest = fs::read_to_string(kept.join(format!("{file}.json"))).expect("there");
        assert!(!manifest.contains(PASSWORD), "{manifest}");

        let state = folder.join("two");
        // What strategies saved there is of another world; so was what was put aside before.
        for folder in ["snapshots", "snapshots.before-restore-1"] {
            fs::create_dir_all(state.join(folder)).expect("made");
            fs::write(state.join(folder).join("sma"), folder).expect("written");
        }
        let restored = bring_back(&to, &state, &place, None).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(restored.manifest, done.manifest);
        assert!(!state.join("snapshots").exists(), "no host starts from it");
        let aside = restored.states_aside.expect("it was there");
        assert_eq!(aside, state.join("snapshots.before-restore-2"));
        assert_eq!(fs::read_to_string(aside.join("sma")).expect("there"), "snapshots");
        assert_eq!(&sound(&to).await.counts, counts);
        let again = bring_back(&to, &state, &place, None).await;
        assert!(matches!(again, Err(RecordsError::NotEmpty(_))), "{again:?}");
        // It can be read before a host has opened it, and written again.
        let reader = Store::read_only(&to).await.unwrap_or_else(|error| panic!("{error}"));
        reader.close().await;
        let store = open(&to).await;
        fill_books(&store, 121, 121).await;
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_leaves_what_strategies_saved() {
    on_both(async |folder, from, to| {
        let (state, kept) = (folder.join("one"), folder.join("kept"));
        fs::create_dir_all(&state).expect("a folder");
        let store = open(&from).await;
        fill_books(&store, 1, 2).await;
        store.close().await;
        let place = place(&kept);
        back_up(&from, &state, &place, None).await.unwrap_or_else(|error| panic!("{error}"));
        let state = folder.join("two");
        fs::create_dir_all(state.join("snapshots")).expect("made");
        fs::write(state.join("snapshots").join("sma"), "state").expect("written");
        // Nothing can be put there: no such folder, and a program that does not run.
        let programs = folder.join("programs");
        fs::create_dir_all(&programs).expect("made");
        fs::write(programs.join("pg_restore"), "").expect("written");
        let nowhere = match &to {
            Database::Sqlite(_) => Database::Sqlite(folder.join("none").join("books.db")),
            Database::Postgres(_) => to.clone(),
        };
        let job = Restore {
            database: &nowhere,
            mode: "paper",
            state_folder: &state,
            place: &place,
            name: None,
            path: programs.to_str().expect("text"),
            states: "snapshots",
        };
        let failed = restore(&job).await.expect_err("it cannot be put in place");
        assert!(matches!(failed, RecordsError::File { .. }), "{failed}");
        assert_eq!(fs::read_to_string(state.join("snapshots").join("sma")).expect("there"), "state");
        let restored = bring_back(&to, &state, &place, None).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(restored.states_aside, Some(state.join("snapshots.before-restore-1")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_newest_are_kept_and_what_is_not_ours_stays() {
    on_both(async |folder, from, _| {
        let (state, kept) = (folder.join("one"), folder.join("kept"));
        fs::create_dir_all(&kept).expect("a folder");
        fs::create_dir_all(&state).expect("a folder");
        let store = open(&from).await;
        fill_books(&store, 1, 2).await;
        let strangers =
            ["notes.txt", "sandpit-live-20200101T000000Z.db", "sandpit-live-20200101T000000Z.db.json"];
        for name in strangers {
            fs::write(kept.join(name), "").expect("written");
        }
        let mut made = Vec::new();
        for _ in 0..4 {
            let done = back_up(&from, &state, &place(&kept), Some(2)).await;
            made.push(done.unwrap_or_else(|error| panic!("{error}")).manifest.file);
        }
        let own: Vec<_> = names(&kept).into_iter().filter(|name| !strangers.contains(&&**name)).collect();
        let both = |name: &String| [name.clone(), format!("{name}.json")];
        assert_eq!(own, made[2..].iter().flat_map(both).collect::<Vec<_>>());
        assert_eq!(names(&kept).len(), 4 + strangers.len());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_changed_is_not_put_in_place() {
    on_both(async |folder, from, to| {
        let (state, kept) = (folder.join("one"), folder.join("kept"));
        fs::create_dir_all(&state).expect("a folder");
        let store = open(&from).await;
        fill_books(&store, 1, 20).await;
        let done = back_up(&from, &state, &place(&kept), None).await.expect("backed up");
        let file = kept.join(&done.manifest.file);
        let work = folder.join("work");
        let verify = async |mode: &str| sandpit_records::verify(&place(&kept), mode, &work).await;
        fs::create_dir_all(&work).expect("a folder");
        assert_eq!(verify("paper").await.expect("good").as_ref(), Some(&done.manifest));
        assert_eq!(verify("live").await.expect("good"), None);
        assert_eq!(names(&work), [""; 0], "nothing of it stays");
        let mut bytes = fs::read(&file).expect("there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).expect("written");
        let state = folder.join("two");
        let refused = bring_back(&to, &state, &place(&kept), Some(&done.manifest.file)).await;
        let said = refused.expect_err("damaged").to_string();
        assert!(said.contains("is damaged") && said.contains("use another backup"), "{said}");
        let said = verify("paper").await.expect_err("damaged").to_string();
        assert!(said.contains("is damaged"), "{said}");
        fs::remove_file(kept.join(format!("{}.json", done.manifest.file))).expect("removed");
        let none = bring_back(&to, &state, &place(&kept), None).await.expect_err("no manifest").to_string();
        assert!(none.contains("has no backup of mode paper"), "{none}");
        if let Database::Sqlite(path) = &to {
            assert!(!path.exists());
        }
        drop(open(&to).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_waits_for_no_host_and_takes_no_other_mode() {
    let folder = tempfile::tempdir().expect("a folder");
    let (state, kept) = (folder.path().join("state"), folder.path().join("kept"));
    let database = Database::Sqlite(state.join("sandpit.db"));
    fs::create_dir_all(&state).expect("a folder");
    fs::create_dir_all(&kept).expect("a folder");
    let host = fs::File::create(state.join("lock")).expect("made");
    host.lock().expect("locked");
    let refused = bring_back(&database, &state, &place(&kept), None).await.expect_err("locked").to_string();
    assert!(refused.contains("stop it before a restore"), "{refused}");
    drop(host);
    let live = Some("sandpit-live-20260101T000000Z.db");
    let refused = bring_back(&database, &state, &place(&kept), live).await.expect_err("live").to_string();
    assert!(refused.contains("mode live"), "{refused}");
    let dump = Some("sandpit-paper-20260101T000000Z.pgdump");
    let refused = bring_back(&database, &state, &place(&kept), dump).await.expect_err("a dump").to_string();
    assert!(refused.contains("is a backup of PostgreSQL"), "{refused}");
}

async fn spoil(path: &Path, statement: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).foreign_keys(false);
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("opens");
    sqlx::query(statement).execute(&pool).await.expect(statement);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_true_are_found() {
    let check = async |statement: &'static str, expected: &[&str]| {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("sandpit.db");
        let database = Database::Sqlite(path.clone());
        let store = open(&database).await;
        // More than a page.
        fill_books(&store, 1, 600).await;
        store.close().await;
        sound(&database).await;
        spoil(&path, statement).await;
        let mut snapshot = Store::snapshot(&database).await.expect("opens");
        let found = snapshot.inspect().await.expect("readable").wrong;
        assert_eq!(found.len(), expected.len(), "{statement}: {found:#?}");
        for part in expected {
            assert!(found.iter().any(|one| one.contains(part)), "{part} in {found:#?}");
        }
        snapshot.close().await;
    };
    check(
        "UPDATE fills SET qty = '1.26' WHERE client_id LIKE '%-599' AND execution_id = 'b'",
        &[
            "shares are filled, its fills make 2.51",
            "USD, its fills make",
            "2.51 shares are filled of 2.5",
            "sub-book of sma in SPY",
        ],
    )
    .await;
    check("UPDATE sub_books SET cash = '0'", &["sub-book of sma in SPY: it holds 1500 shares and 0 USD"])
        .await;
    check("INSERT INTO sub_books VALUES ('sma', 'QQQ', '1', '1', '-1')", &["sub-book of sma in QQQ"]).await;
    check(
        "DELETE FROM order_changes WHERE change_number = 1 AND client_id LIKE '%-7'",
        &["its 1 changes are numbered 2 to 2"],
    )
    .await;
    check(
        "UPDATE orders SET client_id = 'mine' WHERE client_id LIKE '%-600'",
        &["rows of fills belong to an order that is not there", "rows of order_changes"],
    )
    .await;
    check("UPDATE orders SET side = 'up' WHERE client_id LIKE '%-300'", &["\"up\" is no such word"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_log_with_holes_is_found() {
    let check = async |statement: Option<&'static str>, expected: AuditHoles| {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("sandpit.db");
        let database = Database::Sqlite(path.clone());
        let store = open(&database).await;
        fill_books(&store, 1, 5).await;
        for sequence in 1..=5 {
            store.commit(audit_lines(sequence)).await.expect("kept");
        }
        store.close().await;
        if let Some(statement) = statement {
            spoil(&path, statement).await;
        }
        let reader = Store::read_only(&database).await.expect("opens");
        assert_eq!(reader.audit_holes().await.expect("readable"), expected, "{statement:?}");
        reader.close().await;
    };
    let whole = AuditHoles { lines: 10, orders: 5, ..AuditHoles::default() };
    check(None, whole).await;
    check(
        Some("DELETE FROM audit WHERE action = 'submit' AND client_id LIKE '%-3'"),
        AuditHoles { lines: 9, missing: 1, orders_without: 1, ..whole },
    )
    .await;
    check(
        Some("UPDATE audit SET action = 'fall' WHERE action = 'fill' AND client_id LIKE '%-5'"),
        AuditHoles { fills_without: 2, ..whole },
    )
    .await;
    // Legs, and what was adopted, are no strategy's orders.
    check(
        Some(
            "DELETE FROM audit WHERE sequence > 8; UPDATE orders SET strategy_id = NULL WHERE client_id LIKE \
              '%-5'",
        ),
        AuditHoles { lines: 8, orders: 4, fills_without: 2, ..whole },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_found() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("sandpit.db");
    let database = Database::Sqlite(path.clone());
    let store = open(&database).await;
    fill_books(&store, 1, 600).await;
    store.close().await;
    let mut bytes = fs::read(&path).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0x5a);
    fs::write(&path, bytes).expect("written");
    let looked = async {
        let mut snapshot = Store::snapshot(&database).await?;
        snapshot.inspect().await
    };
    match looked.await {
        Ok(found) => assert!(!found.wrong.is_empty()),
        Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "{error}"),
    }
    let backed_up = back_up(&database, folder.path(), &place(folder.path()), None).await;
    let said = backed_up.expect_err("damaged").to_string();
    assert!(said.contains("damaged"), "{said}");
    let made = names(folder.path()).into_iter().find(|name| name.starts_with("sandpit-"));
    assert_eq!(made, None, "nothing half-made");
}
