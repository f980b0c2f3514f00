//! Both ends over a real socket file.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sandpit_control::{AskError, Asker, ControlServer, Deed, Done, Obey, Peer, Refused, Scope, Wish};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};

/// Root, or whoever runs the tests.
fn own_uid(folder: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder).expect("there").uid()
}

struct Bench {
    folder: TempDir,
    obeyed: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Bench {
    async fn start(owner: Option<u32>, now_ms: fn() -> u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let obeyed = Arc::new(AtomicU64::new(0));
        let count = obeyed.clone();
        let obey: Obey = Arc::new(move |wish: Wish, _: Peer| {
            count.fetch_add(1, Ordering::Relaxed);
            let done = match wish.deed {
                Deed::Cancel(Scope::Order(order)) => Done::Cancelling { orders: vec![order], withdrawn: 0 },
                _ => Done::NotFrozen,
            };
            Box::pin(async move { Ok(serde_json::to_string(&done).expect("JSON")) })
        });
        let owner = owner.unwrap_or_else(|| own_uid(folder.path()));
        let path = folder.path().join("control.sock");
        let source = Arc::new(|| "{\"mode\":\"paper\"}".to_owned());
        let server = ControlServer::bind(&path, folder.path(), owner, now_ms, source, obey).await;
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(server.expect("bound").serve(stopped));
        Self { folder, obeyed, stop, server }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    async fn freeze(&self, state_dir: &Path, reason: &str) -> Result<Done, AskError> {
        let asker = Asker { state_dir, now_ms: || 1_000, within: Duration::from_secs(5) };
        asker.wish(&self.socket(), &wish(reason)).await
    }

    fn obeyed(&self) -> u64 {
        self.obeyed.load(Ordering::Relaxed)
    }
}

fn wish(reason: &str) -> Wish {
    Wish { deed: Deed::Freeze, reason: reason.to_owned(), operator: Some("ann".into()) }
}

#[tokio::test]
async fn a_wish_is_obeyed_and_the_status_told() {
    let bench = Bench::start(None, || 1_000).await;
    let asker = Asker { state_dir: bench.folder.path(), now_ms: || 1_000, within: Duration::from_secs(5) };
    assert_eq!(asker.status(&bench.socket()).await.expect("told"), "{\"mode\":\"paper\"}");
    let cancel = Wish { deed: Deed::Cancel(Scope::Order("sp-a".into())), ..wish("r") };
    let done = asker.wish(&bench.socket(), &cancel).await.expect("done");
    assert_eq!(done, Done::Cancelling { orders: vec!["sp-a".into()], withdrawn: 0 });
    let mode = fs::metadata(bench.socket()).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    bench.stop.send(true).expect("it listens");
    bench.server.await.expect("no panic");
    assert!(!bench.folder.path().join("control.sock").exists());
}

#[tokio::test]
async fn what_is_late_or_for_another_host_or_not_well_formed_is_not_obeyed() {
    let refused = |asked: Result<Done, AskError>| match asked {
        Err(AskError::Refused { refused }) => refused,
        other => panic!("{other:?}"),
    };
    let bench = Bench::start(None, || 1_000).await;
    let elsewhere = tempfile::tempdir().expect("another folder");
    let other = refused(bench.freeze(elsewhere.path(), "r").await);
    assert!(matches!(other, Refused::OtherHost(_)), "{other:?}");
    for reason in ["", "  ", "two\nlines", &"x".repeat(1_001)] {
        let wrong = refused(bench.freeze(bench.folder.path(), reason).await);
        assert!(matches!(wrong, Refused::Wrong(_)), "{reason:?}: {wrong:?}");
    }
    assert_eq!(bench.obeyed(), 0);
    bench.freeze(bench.folder.path(), &"x".repeat(1_000)).await.expect("as long as it may be");
    assert_eq!(bench.obeyed(), 1);
    // Its clock is past what the caller waited for.
    let late = Bench::start(None, || 6_001).await;
    let too_late = refused(late.freeze(late.folder.path(), "r").await);
    assert!(matches!(too_late, Refused::Busy(_)), "{too_late:?}");
    assert_eq!(late.obeyed(), 0);
}

#[tokio::test]
async fn somebody_else_is_not_obeyed() {
    let own = own_uid(tempfile::tempdir().expect("a folder").path());
    if own == 0 {
        // Root may everywhere; tests/system has nobody ask.
        return;
    }
    let bench = Bench::start(Some(own + 1), || 1_000).await;
    let refused = bench.freeze(bench.folder.path(), "r").await;
    assert!(matches!(refused, Err(AskError::NotAllowed { .. })), "{refused:?}");
    assert_eq!(bench.obeyed(), 0);
}

#[tokio::test]
async fn a_living_socket_and_a_file_are_left_alone() {
    let bench = Bench::start(None, || 1_000).await;
    let source = Arc::new(String::new);
    let obey: Obey = Arc::new(|_, _| Box::pin(async { Ok(String::new()) }));
    let folder = bench.folder.path();
    let bind = |path: PathBuf| {
        let (source, obey) = (source.clone(), obey.clone());
        async move { ControlServer::bind(&path, folder, 0, || 0, source, obey).await.map(drop) }
    };
    let taken = bind(bench.socket()).await.expect_err("somebody lives there");
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    bench.freeze(folder, "r").await.expect("the first one answers on");
    let file = folder.join("notes");
    fs::write(&file, "mine").expect("written");
    assert!(bind(file.clone()).await.is_err());
    assert_eq!(fs::read_to_string(&file).expect("there"), "mine");
    let stale = folder.join("stale");
    drop(std::os::unix::net::UnixListener::bind(&stale).expect("bound"));
    bind(stale).await.expect("nobody lives there");
}

#[tokio::test]
async fn one_caller_too_many_is_cut_off_and_there_is_room_when_others_go() {
    let bench = Bench::start(None, || 1_000).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(tokio::net::UnixStream::connect(bench.socket()).await.expect("it listens"));
    }
    // They are taken in the order in which they came.
    let cut = bench.freeze(bench.folder.path(), "r").await;
    assert!(matches!(cut, Err(AskError::Cut { .. })), "{cut:?}");
    assert_eq!(bench.obeyed(), 0);
    drop(silent);
    let has_room = async {
        while bench.freeze(bench.folder.path(), "r").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), has_room).await.expect("a place");
    assert_eq!(bench.obeyed(), 1);
}
