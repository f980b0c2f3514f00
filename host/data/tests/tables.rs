//! Parquet files as other programs write them, and broken ones.

use std::{fs, path::PathBuf, sync::Arc};

use parquet::{
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type},
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use proptest::{collection::vec, proptest};
use sandpit_data::{DataError, Mend, Reel, Wanted, open};
use sandpit_types::{Bar, MarketEvent, MarketTime, Symbol};

/// 2013-10-07T13:30:00Z.
const OPEN: i64 = 1_381_152_600;

type Group<'g, 'b> = SerializedRowGroupWriter<'g, &'b mut Vec<u8>>;

fn column<T: DataType>(group: &mut Group<'_, '_>, values: &[T::T], levels: Option<&[i16]>) {
    let mut column = group.next_column().expect("good").expect("a column");
    column.typed::<T>().write_batch(values, levels, None).expect("written");
    column.close().expect("closed");
}

/// A file of some bars of SPY, a minute apart: `time` is what the stamps are, `close` what the closes are,
/// with a level each if they are optional, and `vwap` the last column, if it has one.
struct Table<'t> {
    time: &'t str,
    unit: i64,
    close: &'t [f64],
    levels: Option<&'t [i16]>,
    vwap: Option<&'t [f64]>,
}

impl Table<'_> {
    fn bytes(&self) -> Vec<u8> {
        let rows = self.levels.map_or(self.close.len(), <[i16]>::len);
        let close = if self.levels.is_some() { "OPTIONAL" } else { "REQUIRED" };
        let vwap = if self.vwap.is_some() { "REQUIRED DOUBLE vwap;" } else { "" };
        let schema = format!(
            "message bars {{ OPTIONAL INT64 timestamp {}; REQUIRED BYTE_ARRAY symbol (STRING);
             REQUIRED FLOAT open; REQUIRED DOUBLE high; REQUIRED DOUBLE low; {close} DOUBLE close;
             REQUIRED INT64 volume; {vwap} }}",
            self.time
        );
        let schema = Arc::new(parse_message_type(&schema).expect("a schema"));
        let mut bytes = Vec::new();
        let properties = Arc::new(WriterProperties::builder().build());
        let mut file = SerializedFileWriter::new(&mut bytes, schema, properties).expect("a file");
        let mut group = file.next_row_group().expect("a group");
        let stamps: Vec<i64> = (0..rows as i64).map(|at| (OPEN + 60 * at) * self.unit).collect();
        column::<Int64Type>(&mut group, &stamps, Some(&vec![1; rows]));
        column::<ByteArrayType>(&mut group, &vec![ByteArray::from("SPY"); rows], None);
        column::<FloatType>(&mut group, &vec![10.0; rows], None);
        column::<DoubleType>(&mut group, &vec![12.0; rows], None);
        column::<DoubleType>(&mut group, &vec![9.0; rows], None);
        column::<DoubleType>(&mut group, self.close, self.levels);
        column::<Int64Type>(&mut group, &vec![100; rows], None);
        if let Some(vwap) = self.vwap {
            column::<DoubleType>(&mut group, vwap, None);
        }
        group.close().expect("closed");
        file.close().expect("closed");
        bytes
    }
}

const PLAIN: Table<'static> = Table {
    time: "(TIMESTAMP(NANOS,true))",
    unit: 1_000_000_000,
    close: &[10.0, 10.5, 11.0],
    levels: None,
    vwap: Some(&[10.25, 0.0, 11.0]),
};

fn read(bytes: &[u8], mend: &[&str]) -> Result<Vec<Bar>, DataError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path: PathBuf = folder.path().join("t.parquet");
    fs::write(&path, bytes).expect("written");
    let mend = Mend::parse(mend.iter().copied())?;
    let mut files = open(&[path], Wanted { mend, ..Wanted::default() })?;
    let mut events = Vec::new();
    files.read(&mut events)?;
    let bar = |event| match event {
        MarketEvent::Bar(bar) => bar,
        other => panic!("{other:?}"),
    };
    Ok(events.into_iter().map(bar).collect())
}

fn bar(minute: i64, close: f64, vwap: f64) -> Bar {
    let (symbol, start) = (Symbol::new("SPY"), MarketTime::from_secs(OPEN + 60 * minute));
    Bar { symbol, start, open: 10.0, high: 12.0, low: 9.0, close, volume: 100, vwap }
}

#[test]
fn stamps_of_every_unit_and_holes_are_read() {
    let check = |table: Table<'_>, mend: &[&str], expected: Result<&[Bar], &str>| match (
        read(&table.bytes(), mend),
        expected,
    ) {
        (Ok(bars), Ok(expected)) => assert_eq!(bars, expected),
        (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}\nlacks {part:?}"),
        (found, expected) => panic!("{found:?} is not {expected:?}"),
    };
    let expected = [bar(0, 10.0, 10.25), bar(1, 10.5, (12.0 + 9.0 + 10.5) / 3.0), bar(2, 11.0, 11.0)];
    check(PLAIN, &[], Ok(&expected));
    check(Table { time: "(TIMESTAMP(MICROS,true))", unit: 1_000_000, ..PLAIN }, &[], Ok(&expected));
    check(Table { time: "(TIMESTAMP(MILLIS,true))", unit: 1_000, ..PLAIN }, &[], Ok(&expected));
    check(Table { time: "(TIMESTAMP_MILLIS)", unit: 1_000, ..PLAIN }, &[], Ok(&expected));
    check(Table { time: "", unit: 1, ..PLAIN }, &[], Ok(&expected));

    let bare = Table { time: "(TIMESTAMP(NANOS,false))", ..PLAIN };
    check(bare, &[], Err("timestamps say no zone"));
    let local = |table: Table<'static>| Table { time: "(TIMESTAMP(NANOS,false))", ..table };
    check(local(PLAIN), &["zone=UTC"], Ok(&expected));
    let later = read(&local(PLAIN).bytes(), &["zone=America/New_York"]).expect("good");
    assert_eq!(later[0].start, MarketTime::from_secs(OPEN + 4 * 3_600));

    let without = [bar(0, 10.0, 31.0 / 3.0), bar(1, 10.5, 31.5 / 3.0), bar(2, 11.0, 32.0 / 3.0)];
    check(Table { vwap: None, ..PLAIN }, &[], Ok(&without));
    check(Table { levels: Some(&[1, 1, 1]), ..PLAIN }, &[], Ok(&expected));
    let holey = || Table { close: &[10.0, 11.0], levels: Some(&[1, 0, 1]), ..PLAIN };
    check(holey(), &[], Err("t.parquet:2: close is NaN"));
    check(holey(), &["drop"], Ok(&[expected[0].clone(), expected[2].clone()]));
}

#[test]
fn a_table_of_others_without_a_row_is_refused() {
    let empty = Table { close: &[], vwap: Some(&[]), ..PLAIN };
    let error = read(&empty.bytes(), &[]).expect_err("empty").to_string();
    assert!(error.contains("has a header and no row"), "{error}");
}

proptest! {
    #[test]
    fn a_broken_table_is_read_or_refused(
        flips in vec((0..2_000_usize, 0..=255_u8), 0..4),
        length in 0..4_000_usize,
    ) {
        let mut bytes = PLAIN.bytes();
        let size = bytes.len();
        flips.into_iter().for_each(|(at, byte)| bytes[at % size] = byte);
        // As often whole as cut off.
        bytes.truncate(if length < size { length } else { size });
        let _ = read(&bytes, &["drop"]);
    }
}
