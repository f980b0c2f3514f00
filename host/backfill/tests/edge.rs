//! The edge with archives of a few lines, real files and a clock that jumps to whatever is waited for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::civil::date;
use sandpit_backfill::{
    BackfillError, Bars, End, Folder, Job, MAX_PER_MINUTE, Origin, Silent, Source, Summary, calendar_days,
    quota, run,
};
use sandpit_broker::{Archive, BrokerError, Class, Gate, Page};
use sandpit_budget::Budget;
use sandpit_types::{Bar, MarketClock, MarketTime, News, Symbol};
use tokio::sync::mpsc;

struct JumpClock(AtomicI64);

impl MarketClock for JumpClock {
    fn now(&self) -> MarketTime {
        MarketTime::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn real_until(&self, at: MarketTime) -> Duration {
        self.0.fetch_max(at.as_nanos(), Ordering::SeqCst);
        Duration::ZERO
    }
}

/// Every request: who asked, when, for what.
type Heard = Arc<Mutex<Vec<(usize, i64, Symbol)>>>;

/// One bar a day, all in one page; or silence.
struct OneBar {
    key: usize,
    gate: Arc<Budget>,
    clock: Arc<JumpClock>,
    heard: Heard,
    is_silent: bool,
    /// Rows of each page that it says could not be read.
    unreadable: u64,
}

impl Archive for OneBar {
    async fn bars_page(
        &self,
        symbol: &Symbol,
        from: MarketTime,
        to: MarketTime,
        _: Option<&str>,
    ) -> Result<Page<Bar>, BrokerError> {
        self.gate.acquire(Class::Poll, None, None).await?;
        let secs = self.clock.now().as_nanos() / 1_000_000_000;
        self.heard.lock().expect("not poisoned").push((self.key, secs, symbol.clone()));
        if self.is_silent {
            std::future::pending::<()>().await;
        }
        let days = to.since(from).as_secs() / 86_400;
        let bar = |day: u64| Bar {
            symbol: symbol.clone(),
            start: from + Duration::from_secs(day * 86_400 + 43_200),
            open: 1.0,
            high: 1.0,
            low: 1.0,
            close: 1.0,
            volume: 1,
            vwap: 1.0,
        };
        Ok(Page { rows: (0..days).map(bar).collect(), next: None, unreadable: self.unreadable })
    }

    async fn news_page(
        &self,
        _: &Symbol,
        _: MarketTime,
        _: MarketTime,
        _: Option<&str>,
    ) -> Result<Page<News>, BrokerError> {
        Err(BrokerError::NotFound { message: "no news here".into() })
    }
}

fn job(out: &Path, symbols: usize, keys: usize, is_silent: bool) -> (Job<OneBar>, Heard) {
    damaged_job(out, symbols, keys, is_silent, 0)
}

fn damaged_job(
    out: &Path,
    symbols: usize,
    keys: usize,
    is_silent: bool,
    unreadable: u64,
) -> (Job<OneBar>, Heard) {
    let clock = Arc::new(JumpClock(AtomicI64::new(0)));
    let heard = Heard::default();
    let sources = (0..keys).map(|key| {
        let budget = Arc::new(Budget::new(quota(MAX_PER_MINUTE), clock.clone()));
        let (gate, clock, heard) = (budget.clone(), clock.clone(), heard.clone());
        let archive = Arc::new(OneBar { key, gate, clock, heard, is_silent, unreadable });
        Source { archive, budget, name: format!("key pair {key}") }
    });
    let job = Job {
        symbols: (0..symbols).map(|at| Symbol::new(format!("S{at}"))).collect(),
        days: calendar_days(date(2026, 3, 2), date(2026, 3, 4)),
        sources: sources.collect(),
        folder: Folder::open(out, Origin::new("bars", "sip")).expect("free"),
        clock,
    };
    (job, heard)
}

async fn go(job: Job<OneBar>, stops: usize) -> Result<Summary, BackfillError> {
    let (sender, mut receiver) = mpsc::channel(2);
    for _ in 0..stops {
        sender.try_send(()).expect("room for two");
    }
    let mut silent = Silent;
    let running = run::<Bars, _>(job, &mut receiver, &mut silent);
    tokio::time::timeout(Duration::from_secs(120), running).await.expect("it ends")
}

#[tokio::test]
async fn each_key_pair_keeps_to_its_own_budget_and_each_day_is_asked_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut job, heard) = job(folder.path(), 420, 2, false);
    job.days.truncate(1);
    let summary = go(job, 0).await.expect("done");
    assert!(summary.is_whole(), "{summary}");
    assert_eq!((summary.figures.days_done, summary.figures.requests), (420, 420));
    let heard = heard.lock().expect("not poisoned").clone();
    let symbols: BTreeSet<&Symbol> = heard.iter().map(|(_, _, symbol)| symbol).collect();
    assert_eq!((heard.len(), symbols.len()), (420, 420), "each symbol once");
    let mut by_key: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    heard.iter().for_each(|(key, secs, _)| by_key.entry(*key).or_default().push(*secs));
    assert_eq!(by_key.len(), 2);
    for times in by_key.values() {
        for start in times {
            let window = times.iter().filter(|at| (*start..*start + 60).contains(*at)).count();
            assert!(window <= 190, "{window} requests in the minute after {start}");
        }
        assert!(times.len() > 190, "the limit was reached");
    }
}

#[tokio::test]
async fn a_file_that_was_removed_is_fetched_again_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert!(go(job(folder.path(), 2, 1, false).0, 0).await.expect("done").is_whole());
    let path = folder.path().join("bars/S1/2026-03-03.parquet");
    let bytes = fs::read(&path).expect("there");
    fs::remove_file(&path).expect("removed");
    let summary = go(job(folder.path(), 2, 1, false).0, 0).await.expect("done");
    let figures = summary.figures;
    assert_eq!((figures.days, figures.days_before, figures.requests), (1, 5, 1));
    assert_eq!(fs::read(&path).expect("there again"), bytes);
    let summary = go(job(folder.path(), 2, 1, false).0, 0).await.expect("done");
    assert_eq!(summary.figures.requests, 0);
}

#[tokio::test]
async fn the_second_wish_to_stop_waits_for_nobody() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (job, _) = job(folder.path(), 3, 1, true);
    let summary = go(job, 2).await.expect("stopped");
    assert_eq!(summary.end, End::Stopped);
    assert!(!summary.is_whole());
}

#[tokio::test]
async fn a_disk_that_refuses_ends_it_and_what_was_written_counts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let in_the_way = folder.path().join("bars/S0/2026-03-04.parquet");
    fs::create_dir_all(&in_the_way).expect("made");
    let error = go(job(folder.path(), 1, 1, false).0, 0).await.expect_err("cannot write");
    assert!(matches!(error, BackfillError::File { .. }), "{error}");
    fs::remove_dir(in_the_way).expect("removed");
    let summary = go(job(folder.path(), 1, 1, false).0, 0).await.expect("done");
    assert_eq!((summary.figures.days_before, summary.figures.days_done), (2, 1), "{summary}");
}

#[tokio::test]
async fn days_with_rows_that_cannot_be_read_are_never_done() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for _ in 0..2 {
        let summary = go(damaged_job(folder.path(), 2, 1, false, 1).0, 0).await.expect("it ends");
        assert!(!summary.is_whole(), "{summary}");
        assert_eq!((summary.figures.days_before, summary.figures.days_done), (0, 6), "{summary}");
        let text = summary.to_string();
        assert!(text.contains("incomplete S0 3 days within 2026-03-02 to 2026-03-04: rows that"), "{text}");
        assert!(text.contains("2 rows could not be read"), "{text}");
    }
    let summary = go(job(folder.path(), 2, 1, false).0, 0).await.expect("done");
    assert!(summary.is_whole(), "{summary}");
    assert_eq!(summary.figures.days_done, 6);

    // A file that was removed is fetched again, and in doubt it does not count as done as it did before.
    fs::remove_file(folder.path().join("bars/S1/2026-03-03.parquet")).expect("removed");
    for _ in 0..2 {
        let summary = go(damaged_job(folder.path(), 2, 1, false, 1).0, 0).await.expect("it ends");
        assert_eq!((summary.figures.days_before, summary.figures.days_done), (5, 1), "{summary}");
        assert!(!summary.is_whole(), "{summary}");
    }
}
