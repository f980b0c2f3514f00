//! Imports: what is written is read back, all or nothing of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::{collection::vec, prelude::ProptestConfig, prop_assert_eq, proptest};
use sandpit_data::{DataError, Imported, Mend, Reel, Wanted, import, open};
use sandpit_types::{MarketEvent, MarketTime};
use tempfile::TempDir;

const BARS: &str = "timestamp,symbol,open,high,low,close,volume\n";
const QUOTES: &str = "timestamp,symbol,bid_price,bid_size,ask_price,ask_size\n";
const TRADES: &str = "timestamp,symbol,price,size\n";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn put(folder: &TempDir, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("written");
    path
}

fn brought(from: &Path, out: &Path, replaces: bool) -> Result<Imported, DataError> {
    import(&[from.to_owned()], Wanted::default(), out, replaces, &mut |_, _| {})
}

fn read(path: &Path) -> Vec<MarketEvent> {
    let mut files = open(&[path.to_owned()], Wanted::default()).expect("good files");
    let mut events = Vec::new();
    while let before = events.len()
        && files.read(&mut events).map(|()| events.len() > before).expect("good rows")
    {}
    events
}

/// All files below a folder, with dots, in order.
fn names(folder: &Path) -> Vec<String> {
    fn below(folder: &Path, top: &Path, into: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                below(&path, top, into);
            } else {
                into.push(path.strip_prefix(top).expect("below").display().to_string());
            }
        }
    }
    let mut into = Vec::new();
    below(folder, folder, &mut into);
    into.sort();
    into
}

fn bar(time: &str, close: f64) -> String {
    format!("{time},SPY,10,12,9,{close},100\n")
}

#[test]
fn days_are_those_of_new_york_and_stand_where_a_backfill_puts_them() {
    let (from, out) = (folder(), folder());
    let text = format!("{BARS}{}{}", bar("2013-10-08T03:59:00Z", 10.0), bar("2013-10-08T04:00:00Z", 10.5));
    put(&from, "a.csv", text);
    // At this moment the last bar of the day before is known, and the quote is of the new day.
    put(
        &from,
        "q.csv",
        format!("{QUOTES}2013-10-08T04:00:00Z,SPY,10,1,11,1\n2013-10-08T04:00:00.5Z,SPY,10,1,11,2\n"),
    );
    put(&from, "t.csv", format!("{TRADES}2013-10-08T03:59:59.9Z,BRK.B,10,1\n"));
    let imported = brought(from.path(), out.path(), false).expect("good");
    assert_eq!((imported.rows, imported.written, imported.same), (5, 4, 0));
    let expected = [
        ".sandpit-import.lock",
        "bars/SPY/2013-10-07.parquet",
        "bars/SPY/2013-10-08.parquet",
        "quotes/SPY/2013-10-08.parquet",
        "trades/BRK.B/2013-10-07.parquet",
    ];
    assert_eq!(names(out.path()), expected);
    assert_eq!(read(out.path()), read(from.path()));
}

#[test]
fn what_is_there_is_not_replaced_unasked() {
    let (from, out) = (folder(), folder());
    let path = put(&from, "a.csv", format!("{BARS}{}", bar("2013-10-07T13:30:00Z", 10.0)));
    brought(&path, out.path(), false).expect("new");
    let again = brought(&path, out.path(), false).expect("the same");
    assert_eq!((again.written, again.same), (0, 1), "an import that was cut off can be run again");
    let before = read(out.path());
    put(
        &from,
        "a.csv",
        format!("{BARS}{}{}", bar("2013-10-04T13:30:00Z", 9.5), bar("2013-10-07T13:30:00Z", 9.5)),
    );
    let error = brought(&path, out.path(), false).expect_err("in the way").to_string();
    assert!(error.contains("bars/SPY/2013-10-07.parquet is there already with other rows"), "{error}");
    assert_eq!(read(out.path()), before, "nothing has changed, nor come");
    let replaced = brought(&path, out.path(), true).expect("replaced");
    assert_eq!((replaced.written, replaced.same), (2, 0));
    assert_eq!(read(out.path()), read(&path));
}

#[test]
fn of_refused_data_nothing_is_seen() {
    let (from, out) = (folder(), folder());
    let check = |text: String, part: &str| {
        let error = brought(&put(&from, "a.csv", text), out.path(), false).expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
        let rest: Vec<_> = names(out.path()).into_iter().filter(|name| !name.ends_with(".lock")).collect();
        assert_eq!(rest, Vec::<String>::new());
    };
    let (day, next) = (bar("2013-10-07T13:30:00Z", 10.0), bar("2013-10-08T13:37:00Z", 10.0));
    check(format!("{BARS}{day}{next}{day}"), "a.csv:4: the time goes back");
    check(
        format!("{BARS}{day}2013-10-08T13:30:00Z,../../up,10,12,9,10,1\n"),
        "cannot be the name of a folder",
    );
    check(format!("{BARS}{day}2013-10-08T13:30:00Z,SPY,10,12,9,10,1e30\n"), "volume is 1000000");
}

#[test]
fn what_an_import_left_that_was_killed_is_no_harm() {
    let (from, out) = (folder(), folder());
    let path = put(&from, "a.csv", format!("{BARS}{}", bar("2013-10-07T13:30:00Z", 10.0)));
    let left = out.path().join(".sandpit-import/bars/IBM");
    fs::create_dir_all(&left).expect("made");
    fs::write(left.join("2013-10-07.parquet"), "PAR1").expect("written");
    brought(&path, out.path(), false).expect("good");
    assert_eq!(names(out.path()), [".sandpit-import.lock", "bars/SPY/2013-10-07.parquet"]);
}

#[test]
fn two_imports_do_not_share_a_folder() {
    let (from, out) = (folder(), folder());
    let path = put(&from, "a.csv", format!("{BARS}{}", bar("2013-10-07T13:30:00Z", 10.0)));
    let lock = fs::File::create(out.path().join(".sandpit-import.lock")).expect("made");
    lock.lock().expect("held");
    let error = brought(&path, out.path(), false).expect_err("held").to_string();
    assert!(error.starts_with("another import is writing to"), "{error}");
    drop(lock);
    brought(&path, out.path(), false).expect("free");
}

// Every file is made sure of on the disk, which takes its time.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_is_written_is_read_back(
        bars in vec((0..2_000_i64, 0..3_usize, 0..400_u32), 0..40),
        ticks in vec((0..2_000_000_i64, 0..3_usize, 1..400_u32, 0..1_000_u32), 1..80),
    ) {
        const FIRST: i64 = 1_381_152_600;
        let symbols = ["A", "BRK.B", "SPY"];
        let at = |millis: i64| MarketTime::from_nanos(FIRST * 1_000_000_000 + millis * 1_000_000);
        let (from, out) = (folder(), folder());
        let mut minutes: Vec<_> = bars.iter().map(|(minute, of, cents)| (*minute, *of, *cents)).collect();
        minutes.sort_unstable();
        minutes.dedup_by_key(|(minute, of, _)| (*minute, *of));
        let line = |(minute, of, cents): &(i64, usize, u32)| {
            let close = 10.0 + f64::from(*cents) / 300.0;
            format!("{},{},10,{},9,{close},{cents}\n", at(minute * 60_000), symbols[*of], close + 1.0)
        };
        // A minute after another: these are no longer bars, however few there are.
        let steps: String = [4_001, 4_002].iter().map(|minute| line(&(*minute, 0, 1))).collect();
        let text: String = minutes.iter().map(line).collect();
        put(&from, "bars.csv", format!("{BARS}{text}{steps}"));
        let mut ticks = ticks;
        ticks.sort_unstable();
        let price = |cents: u32| f64::from(cents) / 7.0;
        let trades: String = ticks
            .iter()
            .map(|(millis, of, cents, size)| {
                format!("{},{},{},{size}\n", at(*millis), symbols[*of], price(*cents))
            })
            .collect();
        put(&from, "trades.csv", format!("{TRADES}{trades}"));
        let quotes: String = ticks
            .iter()
            .map(|(millis, of, cents, size)| {
                let (bid, ask) = (price(*cents), price(*cents + 1));
                format!("{},{},{bid},{size},{ask},{cents}\n", at(*millis), symbols[*of])
            })
            .collect();
        put(&from, "quotes.csv", format!("{QUOTES}{quotes}"));
        let imported = brought(from.path(), out.path(), false).expect("good");
        let original = read(from.path());
        prop_assert_eq!(imported.rows, original.len() as u64);
        prop_assert_eq!(read(out.path()), original);
    }
}

#[test]
fn repairs_are_kept_and_told() {
    let (from, out) = (folder(), folder());
    let (first, second) = (bar("2013-10-07T13:30:00Z", 10.0), bar("2013-10-07T13:31:00Z", 10.5));
    let path = put(&from, "a.csv", format!("{BARS}{second}{first}"));
    let wanted = Wanted { mend: Mend::parse(["sort"]).expect("good"), ..Wanted::default() };
    let imported = import(&[path], wanted, out.path(), false, &mut |_, _| {}).expect("sorted");
    assert!(imported.findings.kinds.contains_key("files sorted"), "{:?}", imported.findings);
    assert_eq!(read(out.path()).len(), 2);
}
