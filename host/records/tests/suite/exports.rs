//! Exports against the rows that went in.

use std::fs;

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use sandpit_records::{Format, Subject, export};
use sandpit_store::{Database, Span, Store};
use sandpit_types::MarketTime;

use crate::common::{START, fill_books, open};

const ORDERS: u64 = 2_345;

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_exported_once_in_both_forms() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::Sqlite(folder.path().join("sandpit.db"));
    let store = open(&database).await;
    fill_books(&store, 1, ORDERS).await;
    let reader = Store::read_only(&database).await.expect("opens");
    for (subject, rows) in [
        (Subject::Orders, ORDERS),
        (Subject::Fills, 2 * ORDERS),
        (Subject::Equity, ORDERS),
        (Subject::Signals, ORDERS),
    ] {
        let (text, table) = (folder.path().join("x.csv"), folder.path().join("x.parquet"));
        let written = export(&reader, subject, Format::Csv, Span::ALL, Some(&text)).await.expect("written");
        assert_eq!(written, rows);
        let written =
            export(&reader, subject, Format::Parquet, Span::ALL, Some(&table)).await.expect("written");
        assert_eq!(written, rows);
        let mut csv = csv::Reader::from_path(&text).expect("there");
        let names: Vec<_> = csv.headers().expect("names").iter().map(str::to_owned).collect();
        let parquet = SerializedFileReader::new(fs::File::open(&table).expect("there")).expect("a table");
        let mut lines = csv.records();
        for row in parquet.get_row_iter(None).expect("rows") {
            let (row, line) = (row.expect("a row"), lines.next().expect("as many").expect("a line"));
            for ((name, value), (column, text)) in row.get_column_iter().zip(names.iter().zip(&line)) {
                assert_eq!(name, column);
                same(name, value, text);
            }
        }
        assert!(lines.next().is_none());
    }
}

fn same(name: &str, value: &Field, text: &str) {
    match value {
        Field::Null => assert_eq!(text, "", "{name}"),
        Field::Str(value) => assert_eq!(value, text, "{name}"),
        Field::Bool(value) => assert_eq!(value.to_string(), text, "{name}"),
        Field::ULong(value) => assert_eq!(value.to_string(), text, "{name}"),
        Field::Long(nanos) => {
            let time = MarketTime::parse(text).expect("a time");
            assert_eq!(*nanos, time.as_nanos(), "{name}");
        }
        Field::Decimal(value) => {
            let bytes: [u8; 16] = value.data().try_into().expect("16 bytes");
            let value = rust_decimal::Decimal::from_i128_with_scale(i128::from_be_bytes(bytes), 9);
            assert_eq!(value.normalize().to_string(), text, "{name}");
        }
        other => panic!("{name} is {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_has_its_first_moment_and_not_its_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::Sqlite(folder.path().join("sandpit.db"));
    let store = open(&database).await;
    fill_books(&store, 1, 9).await;
    let reader = Store::read_only(&database).await.expect("opens");
    let at = |seconds: i64| MarketTime::from_nanos(START + seconds * 1_000_000_000);
    let out = folder.path().join("x.csv");
    let count = async |from: i64, until: i64| {
        let span = Span { from: at(from), until: at(until) };
        export(&reader, Subject::Equity, Format::Csv, span, Some(&out)).await.expect("written")
    };
    assert_eq!(count(3, 5).await, 2);
    assert_eq!(count(20, 30).await, 0);
    assert_eq!(fs::read_to_string(&out).expect("there"), "time,equity,cash\n");
}
