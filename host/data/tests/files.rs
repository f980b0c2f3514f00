//! Files as they come: whole ones, and everything that may be wrong with them.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use proptest::{collection::vec, prop_assert, prop_assert_eq, proptest};
use sandpit_data::{DataError, Mend, Reel, Wanted, open, survey};
use sandpit_types::{MarketEvent, MarketTime, Symbol};
use tempfile::TempDir;

const HEADER: &str = "timestamp,symbol,open,high,low,close,volume\n";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, bytes).expect("written");
        path
    }
}

fn packed(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).expect("packed");
    packer.finish().expect("packed")
}

/// A bar's line; `minute` counts from 13:30 UTC.
fn bar(minute: u32, symbol: &str, close: f64) -> String {
    let (hour, minute) = (13 + (30 + minute) / 60, (30 + minute) % 60);
    format!("2013-10-07T{hour:02}:{minute:02}:00Z,{symbol},10,{},9,{close},100\n", close.max(10.0) + 1.0)
}

fn bars(rows: &[(u32, &str, f64)]) -> String {
    let rows: String = rows.iter().map(|(minute, symbol, close)| bar(*minute, symbol, *close)).collect();
    format!("{HEADER}{rows}")
}

fn read(path: &Path, mend: &[&str]) -> Result<(Vec<MarketEvent>, Vec<String>), DataError> {
    let mend = Mend::parse(mend.iter().copied())?;
    let mut files = open(&[path.to_owned()], Wanted { mend, ..Wanted::default() })?;
    let mut events = Vec::new();
    loop {
        let before = events.len();
        files.read(&mut events)?;
        if events.len() == before {
            return Ok((events, files.findings().lines()));
        }
    }
}

/// What was read, shortly: minute, symbol and close of each bar.
fn shown(events: &[MarketEvent]) -> Vec<String> {
    let one = |event: &MarketEvent| match event {
        MarketEvent::Bar(bar) => {
            format!("{}{}={}", bar.symbol, &bar.start.to_string()[11..16], bar.close)
        }
        MarketEvent::Quote(quote) => format!("{}{}q{}", quote.symbol, quote.time, quote.bid),
        MarketEvent::Trade(trade) => format!("{}{}t{}", trade.symbol, trade.time, trade.price),
        other => format!("{other:?}"),
    };
    events.iter().map(one).collect()
}

#[test]
fn a_text_is_read_packed_or_not() {
    let folder = Folder::new();
    let text = bars(&[(0, "SPY", 10.0), (0, "IBM", 11.0), (1, "SPY", 10.5)]);
    let expected = ["IBM13:30=11", "SPY13:30=10", "SPY13:31=10.5"];
    for path in [folder.put("a.csv", &text), folder.put("b.csv.gz", packed(&text))] {
        let (events, findings) = read(&path, &[]).expect("good");
        assert_eq!(shown(&events), expected, "bars of a minute are in order of their symbols");
        assert_eq!(findings, Vec::<String>::new());
    }
}

#[test]
fn what_is_wrong_is_refused_and_mended_as_asked() {
    let folder = Folder::new();
    let check = |text: &str, mend: &[&str], expected: Result<&[&str], &str>| {
        let path = folder.put("x.csv", text);
        match (read(&path, mend), expected) {
            (Ok((events, findings)), Ok(expected)) => {
                assert_eq!(shown(&events), expected, "{text}");
                assert!(mend.is_empty() || !findings.is_empty(), "a repair is told: {text}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}\nlacks {part:?}"),
            (found, expected) => panic!("{text}: {found:?} is not {expected:?}"),
        }
    };
    let good: &[&str] = &["SPY13:30=10", "SPY13:31=10.5"];
    let (first, second) = (bar(0, "SPY", 10.0), bar(1, "SPY", 10.5));
    check("", &[], Err("the file is empty"));
    check(HEADER, &[], Err("has a header and no row"));
    check("a,b\n1,2\n", &[], Err("the header \"a,b\" is not one of"));
    check("timestamp,open,high,low,close,volume\n", &[], Err("has no column \"symbol\": add it"));

    let unsorted = format!("{HEADER}{second}{first}");
    check(&unsorted, &[], Err("x.csv:3: the time goes back"));
    check(&unsorted, &["sort"], Ok(good));

    let twice = format!("{HEADER}{first}{first}{second}");
    check(&twice, &[], Ok(good));
    let differing = format!("{HEADER}{first}{}{second}", bar(0, "SPY", 10.25));
    check(&differing, &[], Err("x.csv:3: SPY has 2013-10-07T13:30:00Z twice"));
    check(&differing, &["first"], Ok(good));
    check(&differing, &["last"], Ok(&["SPY13:30=10.25", "SPY13:31=10.5"]));

    for (row, what) in [
        ("2013-10-07T13:31:00Z,SPY,10,11,9,NaN,100\n", "close is NaN"),
        ("2013-10-07T13:31:00Z,SPY,10,11,9,,100\n", "close is \"\", no number"),
        ("2013-10-07T13:31:00Z,SPY,10,11,9,ten,100\n", "close is \"ten\", no number"),
        ("2013-10-07T13:31:00Z,SPY,10,inf,9,10,100\n", "high is inf"),
        ("2013-10-07T13:31:00Z,SPY,10,11,-9,10,100\n", "low is -9"),
        ("2013-10-07T13:31:00Z,SPY,10,8,9,10,100\n", "high 8 is below low 9"),
        ("2013-10-07T13:31:00Z,SPY,10,11,9,12,100\n", "close 12 is outside of low 9 to high 11"),
        ("2013-10-07T13:31:00Z,SPY,0,11,0,10,100\n", "a price is 0"),
        ("2013-10-07T25:31:00Z,SPY,10,11,9,10,100\n", "timestamp is \"2013-10-07T25:31:00Z\", no time"),
        ("2013-10-07T13:31:00Z,,10,11,9,10,100\n", "symbol is \"\", no symbol"),
    ] {
        let text = format!("{HEADER}{first}{row}{}", bar(2, "SPY", 10.5));
        check(&text, &[], Err(what));
        check(&text, &[], Err("x.csv:3: "));
        check(&text, &["drop"], Ok(&["SPY13:30=10", "SPY13:32=10.5"]));
    }
    check(
        &format!("{HEADER}{first}2013-10-07T13:31:00Z,SPY,10\n"),
        &[],
        Err("line 3 has 3 cells and the header 7"),
    );
}

#[test]
fn zones_are_asked_about() {
    let folder = Folder::new();
    let row = |time: &str| format!("{time},SPY,10,11,9,10,100\n");
    let check = |rows: &[&str], mend: &[&str], expected: Result<&[&str], &str>| {
        let text: String = rows.iter().map(|time| row(time)).collect();
        let path = folder.put("z.csv", format!("{HEADER}{text}"));
        match (read(&path, mend), expected) {
            (Ok((events, _)), Ok(expected)) => assert_eq!(shown(&events), expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    };
    let mixed = ["2013-10-07T13:30:00Z", "2013-10-07T09:31:00-04:00"];
    check(&mixed, &[], Err("z.csv:3: the time \"2013-10-07T09:31:00-04:00\" is written in another zone"));
    check(&mixed, &["offsets"], Ok(&["SPY13:30=10", "SPY13:31=10"]));
    let bare = ["2013-10-07 09:30:00", "2013-10-07 09:31:00"];
    check(&bare, &[], Err("z.csv:2: the time \"2013-10-07 09:30:00\" has no zone"));
    check(&bare, &["zone=America/New_York"], Ok(&["SPY13:30=10", "SPY13:31=10"]));
    check(&["1381152600", "1381152660"], &[], Ok(&["SPY13:30=10", "SPY13:31=10"]));
    let error = Mend::parse(["zone=Mars"]).expect_err("no zone");
    assert!(error.to_string().contains("\"zone=Mars\" is no repair"), "{error}");
}

#[test]
fn what_would_show_the_future_is_refused() {
    let folder = Folder::new();
    let five: String = (0..5).map(|step| bar(5 * step, "SPY", 10.0)).collect();
    let error = read(&folder.put("five.csv", format!("{HEADER}{five}")), &[]).expect_err("five minutes");
    assert!(error.to_string().contains("its bars are 5 minutes apart"), "{error}");
    let off = format!("{HEADER}{}2013-10-07T13:31:30Z,SPY,10,11,9,10,100\n", bar(0, "SPY", 10.0));
    let error = read(&folder.put("off.csv", off), &[]).expect_err("half a minute");
    assert!(error.to_string().contains("off.csv:3: 2013-10-07T13:31:30Z is no whole minute"), "{error}");
}

#[test]
fn samples_of_quotes_are_known_at_the_end_of_their_minute() {
    let folder = Folder::new();
    let header = "timestamp,symbol,bid_price,bid_size,ask_price,ask_size\n";
    let quote = |time: &str| format!("{time},SPY,10,100,10.01,200\n");
    let text = format!("{header}{}{}", quote("2013-10-07T13:30:00Z"), quote("2013-10-07T13:31:00Z"));
    let (events, findings) = read(&folder.put("s.csv", text), &[]).expect("good");
    assert_eq!(
        shown(&events),
        ["SPY2013-10-07T13:30:59.999999999Zq10", "SPY2013-10-07T13:31:59.999999999Zq10"]
    );
    assert!(findings[0].starts_with("quotes taken as samples"), "{findings:?}");
    let text = format!("{header}{}{}", quote("2013-10-07T13:30:00Z"), quote("2013-10-07T13:30:01.5Z"));
    let (events, _) = read(&folder.put("q.csv", text), &[]).expect("good");
    assert_eq!(shown(&events), ["SPY2013-10-07T13:30:00Zq10", "SPY2013-10-07T13:30:01.5Zq10"]);
}

#[test]
fn a_packed_file_that_ends_in_the_midst_is_said_to() {
    let folder = Folder::new();
    let rows: Vec<_> = (0..300).map(|minute| (minute, "SPY", 10.0)).collect();
    let whole = packed(&bars(&rows));
    let path = folder.put("cut.csv.gz", &whole[..whole.len() - 20]);
    let error = read(&path, &[]).expect_err("cut");
    assert!(error.to_string().contains("ends in the midst: it was not copied whole"), "{error}");
    let error = read(&folder.put("p.parquet", "PAR1 and nothing more"), &[]).expect_err("no table");
    assert!(error.to_string().contains("is no whole Parquet file"), "{error}");
    let empty = Folder::new();
    let error = read(empty.0.path(), &[]).expect_err("an empty folder");
    assert!(error.to_string().contains("holds no .csv, .csv.gz or .parquet file"), "{error}");
    assert!(matches!(read(Path::new("/nowhere/at/all.csv"), &[]), Err(DataError::Io { .. })));
}

#[test]
fn files_of_a_folder_become_one_sequence_within_what_is_wanted() {
    let folder = Folder::new();
    folder.put("bars/SPY/1.csv", bars(&[(0, "SPY", 10.0), (1, "SPY", 10.5)]));
    folder.put("bars/SPY/2.csv", bars(&[(2, "SPY", 10.25)]));
    folder.put("bars/IBM/1.csv.gz", packed(&bars(&[(0, "IBM", 11.0), (2, "IBM", 12.0)])));
    folder.put("trades.csv", "timestamp,symbol,price,size\n2013-10-07T13:31:00Z,SPY,10.1,5\n");
    folder.put("news/SPY/1.csv", "no data");
    folder.put("README.md", "no data");
    let (events, _) = read(folder.0.path(), &[]).expect("good");
    let all = [
        "SPY2013-10-07T13:31:00Zt10.1",
        "IBM13:30=11",
        "SPY13:30=10",
        "SPY13:31=10.5",
        "IBM13:32=12",
        "SPY13:32=10.25",
    ];
    assert_eq!(shown(&events), all, "a trade at the end of a minute comes before its bar");
    let at = |text: &str| Some(MarketTime::parse(text).expect(text));
    let wanted = Wanted {
        symbols: Some([Symbol::new("SPY")].into()),
        from: at("2013-10-07T13:32:00Z"),
        to: at("2013-10-07T13:33:00Z"),
        mend: Mend::default(),
    };
    let mut files = open(&[folder.0.path().to_owned()], wanted).expect("good");
    let mut events = Vec::new();
    files.read(&mut events).expect("good");
    assert_eq!(shown(&events), ["SPY13:31=10.5"], "known at the first time, and before the second");
}

#[test]
fn a_survey_says_what_is_odd() {
    let folder = Folder::new();
    let mut text = HEADER.to_owned();
    let price = |minute: u32| 10.0 + f64::from(minute % 5) * 0.01;
    for minute in (0..60).filter(|minute| !(20..40).contains(minute)) {
        text += &bar(minute, "SPY", if minute == 50 { 19.0 } else { price(minute) });
    }
    text += "2013-10-08T13:30:00Z,SPY,5,5.1,4.9,5.01,100\n";
    let path = folder.put("odd.csv", text);
    let survey = survey(&[path], Wanted::default(), &mut |_, _| {}).expect("good");
    let found = survey.findings.lines().join("\n");
    assert!(
        found.contains("gaps in a session: 1, such as SPY: 20 minutes after 2013-10-07T13:49:00Z"),
        "{found}"
    );
    assert!(found.contains("outliers that come back at once: 1, such as SPY: 19 just before"), "{found}");
    assert!(found.contains("look like a split"), "{found}");
    let spy = survey.symbols.values().next().expect("one symbol");
    assert_eq!((spy.rows, spy.days), (41, 2));
}

#[test]
fn hours_of_another_zone_are_noticed() {
    let folder = Folder::new();
    let rows: String = (0..390)
        .map(|minute: u32| {
            let (hour, minute) = (9 + (30 + minute) / 60, (30 + minute) % 60);
            format!("2013-10-07T{hour:02}:{minute:02}:00Z,SPY,10,11,9,10,100\n")
        })
        .collect();
    let path = folder.put("local.csv", format!("{HEADER}{rows}"));
    let survey = survey(&[path], Wanted::default(), &mut |_, _| {}).expect("good");
    let found = survey.findings.lines().join("\n");
    assert!(found.contains("the busiest hours are 4 h earlier than the session in New York"), "{found}");
}

#[test]
fn a_bar_that_two_files_have_comes_once() {
    let check = |close: f64, mend: &[&str], expected: Result<f64, &str>| {
        let folder = Folder::new();
        folder.put("a.csv", bars(&[(0, "SPY", 10.0), (1, "SPY", 10.5)]));
        folder.put("b.csv", bars(&[(1, "SPY", close), (2, "SPY", 10.25)]));
        match (read(folder.0.path(), mend), expected) {
            (Ok((events, findings)), Ok(expected)) => {
                let second = format!("SPY13:31={expected}");
                assert_eq!(shown(&events), ["SPY13:30=10", &second, "SPY13:32=10.25"]);
                assert_eq!(findings.len(), 1, "{findings:?}");
                assert!(findings[0].contains("a.csv and "), "{findings:?}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    };
    check(10.5, &[], Ok(10.5));
    check(11.0, &[], Err("has SPY known at 2013-10-07T13:32:00Z with other figures than"));
    check(11.0, &["first"], Ok(10.5));
    check(11.0, &["last"], Ok(11.0));
}

#[test]
fn what_is_wanted_and_not_there_is_said() {
    let folder = Folder::new();
    let path = folder.put("a.csv", bars(&[(0, "SPY", 10.0)]));
    let read = |symbols: &[&str], from: Option<&str>| {
        let symbols = Some(symbols.iter().map(Symbol::new).collect());
        let from = from.map(|from| MarketTime::parse(from).expect(from));
        let wanted = Wanted { symbols, from, ..Wanted::default() };
        let mut files = open(std::slice::from_ref(&path), wanted)?;
        let mut events = Vec::new();
        files.read(&mut events)?;
        files.read(&mut events).map(|()| files.findings().lines())
    };
    assert_eq!(read(&["SPY"], None).expect("there"), Vec::<String>::new());
    assert_eq!(read(&["SPY", "IBM"], None).expect("one"), ["symbols without a row: 1, such as IBM"]);
    let error = read(&["SPY"], Some("2014-01-01T00:00:00Z")).expect_err("later").to_string();
    assert!(error.starts_with("the files have no row of SPY from 2014-01-01T00:00:00Z on:"), "{error}");
    assert!(read(&["IBM"], None).is_err());
}

#[test]
fn times_far_off_are_mistakes() {
    let folder = Folder::new();
    for time in
        ["9223372036854775807", "-9223372036854775808", "2201-01-01T00:00:00Z", "1899-01-01T00:00:00Z"]
    {
        let path = folder.put("t.csv", format!("{HEADER}{time},SPY,10,11,9,10,100\n"));
        let error = read(&path, &[]).expect_err("far off").to_string();
        assert!(error.contains("t.csv:2: timestamp is "), "{error}");
    }
}

#[test]
fn days_of_many_symbols_are_no_minutes() {
    let folder = Folder::new();
    let rows = (1..5).flat_map(|day| {
        (0..3_000).map(move |of| format!("2013-10-{day:02}T00:00:00Z,S{of},10,11,9,10,100\n"))
    });
    let path = folder.put("days.csv", format!("{HEADER}{}", rows.collect::<String>()));
    let error = read(&path, &[]).expect_err("days").to_string();
    assert!(error.contains("its bars are 1440 minutes apart"), "{error}");
}

proptest! {
    #[test]
    fn whatever_is_in_a_file_it_is_read_or_refused(bytes in vec(0_u8..=255, 0..400), kind in 0..3_usize) {
        let folder = Folder::new();
        let name = ["x.csv", "x.csv.gz", "x.parquet"][kind];
        let _ = read(&folder.put(name, &bytes), &[]);
        let mut text = HEADER.as_bytes().to_vec();
        text.extend(&bytes);
        let _ = read(&folder.put("y.csv", text), &["sort", "drop", "last", "offsets"]);
    }

    #[test]
    fn time_never_goes_back_and_nothing_is_lost(
        files in vec(vec((0..300_u32, 0..3_usize), 1..40), 1..5),
    ) {
        let folder = Folder::new();
        let mut expected = BTreeSet::new();
        for (number, rows) in files.iter().enumerate() {
            let mut rows: Vec<_> = rows.iter().map(|(minute, of)| (*minute, ["A", "B", "C"][*of])).collect();
            rows.sort_unstable();
            rows.dedup();
            // Bars of minutes, not of more.
            let steps = [(300, "D"), (301, "D")];
            let all: Vec<_> = rows.iter().chain(&steps).map(|(minute, of)| (*minute, *of, 10.0)).collect();
            expected.extend(all.iter().map(|(minute, of, _)| (*minute, *of)));
            folder.put(&format!("{number}.csv"), bars(&all));
        }
        let (events, _) = read(folder.0.path(), &[]).expect("good");
        prop_assert_eq!(events.len(), expected.len(), "a bar that two files have comes once");
        prop_assert!(events.is_sorted_by_key(MarketEvent::time));
    }

    #[test]
    fn a_mended_file_equals_its_clean_original(
        order in vec(0..60_u32, 60),
        noise in vec(0..60_u32, 0..10),
    ) {
        let folder = Folder::new();
        let clean: Vec<_> = (0..60).map(|minute| (minute, "SPY", 10.0 + f64::from(minute) / 100.0)).collect();
        let mut dirty: Vec<(u32, String)> =
            order.iter().zip(&clean).map(|(key, row)| (*key, bar(row.0, row.1, row.2))).collect();
        dirty.extend(noise.iter().map(|at| (*at, bar(*at, "SPY", f64::NAN))));
        dirty.extend(noise.iter().map(|at| (*at, bar(*at, "SPY", clean[*at as usize].2))));
        dirty.sort_by_key(|(key, _)| *key);
        let text: String = dirty.into_iter().map(|(_, row)| row).collect();
        let dirty = folder.put("d.csv", format!("{HEADER}{text}"));
        let (mended, _) = read(&dirty, &["sort", "drop"]).expect("mended");
        let (original, _) = read(&folder.put("c.csv", bars(&clean)), &[]).expect("clean");
        prop_assert_eq!(mended, original);
    }
}
