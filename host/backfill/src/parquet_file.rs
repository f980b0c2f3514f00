//! One day of one symbol as a Parquet file: the same rows make the same bytes.
//!
//! Times are `TIMESTAMP(NANOS, UTC)`, prices US dollars as `DOUBLE`, the volume shares as `INT64`, texts
//! `STRING`, the symbols of a piece of news `LIST<STRING>`. Nothing is ever null. Columns are compressed with
//! Snappy. The symbol is a column, too, so that many files can be read as one table.

use std::sync::Arc;

use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use sandpit_types::{Bar, MarketTime, News, Symbol};

use crate::checkpoint::Origin;

/// Counts up whenever a column changes.
pub(crate) const SCHEMA_VERSION: u32 = 1;

const BARS_SCHEMA: &str = "message bars {
    REQUIRED BYTE_ARRAY symbol (STRING);
    REQUIRED INT64 timestamp (TIMESTAMP(NANOS,true));
    REQUIRED DOUBLE open;
    REQUIRED DOUBLE high;
    REQUIRED DOUBLE low;
    REQUIRED DOUBLE close;
    REQUIRED INT64 volume;
    REQUIRED DOUBLE vwap;
}";

const NEWS_SCHEMA: &str = "message news {
    REQUIRED INT64 id;
    REQUIRED INT64 created_at (TIMESTAMP(NANOS,true));
    REQUIRED INT64 updated_at (TIMESTAMP(NANOS,true));
    REQUIRED BYTE_ARRAY headline (STRING);
    REQUIRED BYTE_ARRAY summary (STRING);
    REQUIRED BYTE_ARRAY author (STRING);
    REQUIRED BYTE_ARRAY source (STRING);
    REQUIRED BYTE_ARRAY url (STRING);
    REQUIRED GROUP symbols (LIST) {
        REPEATED GROUP list {
            REQUIRED BYTE_ARRAY element (STRING);
        }
    }
}";

/// A file of bars.
pub(crate) fn bars(symbol: &Symbol, rows: &[Bar], origin: &Origin) -> Result<Vec<u8>, ParquetError> {
    write(BARS_SCHEMA, symbol, origin, |table| {
        table.text(rows.iter().map(|bar| bar.symbol.as_str()))?;
        table.times(rows.iter().map(|bar| bar.start))?;
        table.doubles(rows.iter().map(|bar| bar.open))?;
        table.doubles(rows.iter().map(|bar| bar.high))?;
        table.doubles(rows.iter().map(|bar| bar.low))?;
        table.doubles(rows.iter().map(|bar| bar.close))?;
        table.counts(rows.iter().map(|bar| bar.volume))?;
        table.doubles(rows.iter().map(|bar| bar.vwap))
    })
}

/// A file of news.
pub(crate) fn news(symbol: &Symbol, rows: &[News], origin: &Origin) -> Result<Vec<u8>, ParquetError> {
    write(NEWS_SCHEMA, symbol, origin, |table| {
        table.counts(rows.iter().map(|news| news.id))?;
        table.times(rows.iter().map(|news| news.created))?;
        table.times(rows.iter().map(|news| news.updated))?;
        table.text(rows.iter().map(|news| news.headline.as_str()))?;
        table.text(rows.iter().map(|news| news.summary.as_str()))?;
        table.text(rows.iter().map(|news| news.author.as_str()))?;
        table.text(rows.iter().map(|news| news.source.as_str()))?;
        table.text(rows.iter().map(|news| news.url.as_str()))?;
        table.lists(rows.iter().map(|news| &*news.symbols))
    })
}

fn write(
    schema: &str,
    symbol: &Symbol,
    origin: &Origin,
    fill: impl FnOnce(&mut Table<'_, '_, '_>) -> Result<(), ParquetError>,
) -> Result<Vec<u8>, ParquetError> {
    let schema = Arc::new(parse_message_type(schema)?);
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties(symbol, origin)))?;
    let mut group = file.next_row_group()?;
    fill(&mut Table { group: &mut group })?;
    group.close()?;
    file.close()?;
    Ok(bytes)
}

fn properties(symbol: &Symbol, origin: &Origin) -> WriterProperties {
    let pair = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(format!("sandpit {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(Some(vec![
            pair("sandpit.kind", &origin.kind),
            pair("sandpit.symbol", symbol.as_str()),
            pair("sandpit.feed", &origin.feed),
            pair("sandpit.adjustment", &origin.adjustment),
            pair("sandpit.schema", &origin.schema.to_string()),
            pair("sandpit.version", env!("CARGO_PKG_VERSION")),
        ]))
        .build()
}

/// The columns of the one row group, to be filled in the order of the schema.
struct Table<'a, 'g, 'b> {
    group: &'a mut SerializedRowGroupWriter<'g, &'b mut Vec<u8>>,
}

impl Table<'_, '_, '_> {
    fn text<'t>(&mut self, values: impl Iterator<Item = &'t str>) -> Result<(), ParquetError> {
        let values: Vec<ByteArray> = values.map(ByteArray::from).collect();
        self.column::<ByteArrayType>(&values, None)
    }

    fn times(&mut self, values: impl Iterator<Item = MarketTime>) -> Result<(), ParquetError> {
        self.column::<Int64Type>(&values.map(MarketTime::as_nanos).collect::<Vec<_>>(), None)
    }

    fn doubles(&mut self, values: impl Iterator<Item = f64>) -> Result<(), ParquetError> {
        self.column::<DoubleType>(&values.collect::<Vec<_>>(), None)
    }

    /// No count of a market comes near the end of the signed range, which more tools can read.
    fn counts(&mut self, values: impl Iterator<Item = u64>) -> Result<(), ParquetError> {
        let values: Vec<i64> = values.map(|value| i64::try_from(value).unwrap_or(i64::MAX)).collect();
        self.column::<Int64Type>(&values, None)
    }

    /// Lists: an element has definition level 1, an empty list one place of level 0; all but the first
    /// element of a row have repetition level 1.
    fn lists<'t>(&mut self, rows: impl Iterator<Item = &'t [Symbol]>) -> Result<(), ParquetError> {
        let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            if row.is_empty() {
                definition.push(0);
                repetition.push(0);
            }
            for (at, symbol) in row.iter().enumerate() {
                values.push(ByteArray::from(symbol.as_str()));
                definition.push(1);
                repetition.push(i16::from(at > 0));
            }
        }
        self.column::<ByteArrayType>(&values, Some((&definition, &repetition)))
    }

    fn column<T: DataType>(
        &mut self,
        values: &[T::T],
        levels: Option<(&[i16], &[i16])>,
    ) -> Result<(), ParquetError> {
        let mut column = self.group.next_column()?.expect("the schema has as many columns as are filled");
        let (definition, repetition) = levels.unzip();
        column.typed::<T>().write_batch(values, definition, repetition)?;
        column.close()
    }
}

#[cfg(test)]
mod tests {
    use parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::{Field, RowAccessor},
    };

    use super::*;

    fn origin() -> Origin {
        Origin::new("bars", "sip")
    }

    /// What a backtest makes of two files of bars.
    fn as_data(days: [&[Bar]; 2]) -> (Vec<Bar>, Vec<String>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (at, rows) in days.into_iter().enumerate() {
            let bytes = bars(&Symbol::new("BRK.B"), rows, &origin()).expect("written");
            std::fs::write(folder.path().join(format!("{at}.parquet")), bytes).expect("written");
        }
        let wanted = sandpit_data::Wanted::default();
        let mut files = sandpit_data::open(&[folder.path().to_owned()], wanted).expect("good files");
        let mut events = Vec::new();
        sandpit_data::Reel::read(&mut files, &mut events).expect("good rows");
        sandpit_data::Reel::read(&mut files, &mut events).expect("the end");
        let bar = |event| match event {
            sandpit_types::MarketEvent::Bar(bar) => bar,
            other => panic!("{other:?}"),
        };
        (events.into_iter().map(bar).collect(), files.findings().lines())
    }

    #[test]
    fn bars_are_read_by_a_backtest_and_days_without_any_are_no_fault() {
        // Every second minute only: ours are minutes all the same.
        let rows: Vec<Bar> = (0..60).map(|at| Bar { close: 499.5, open: 500.0, ..bar(2 * at) }).collect();
        let (read, told) = as_data([&rows, &[]]);
        assert_eq!(read, rows);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("files without a row: 1"), "{told:?}");
    }

    fn bar(minute: i64) -> Bar {
        Bar {
            symbol: Symbol::new("BRK.B"),
            start: MarketTime::from_secs(1_773_667_800 + 60 * minute),
            open: 0.1 + 0.2,
            high: 500.25,
            low: 499.0,
            close: f64::MIN_POSITIVE,
            volume: 12_345,
            vwap: 499.875,
        }
    }

    fn piece(id: u64, symbols: &[&str]) -> News {
        let time = MarketTime::from_nanos(1_773_667_800_123_456_789);
        News {
            id,
            created: time,
            updated: time,
            headline: "Grüße & \"quotes\"".into(),
            summary: String::new(),
            author: "A".into(),
            source: "benzinga".into(),
            url: "https://example.com".into(),
            symbols: symbols.iter().map(Symbol::new).collect(),
        }
    }

    fn reader(bytes: Vec<u8>) -> SerializedFileReader<bytes::Bytes> {
        SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("a Parquet file")
    }

    #[test]
    fn bars_read_back_bit_by_bit() {
        let rows: Vec<Bar> = (0..390).map(bar).collect();
        let bytes = bars(&rows[0].symbol, &rows, &origin()).expect("written");
        assert_eq!(bars(&rows[0].symbol, &rows, &origin()).expect("written"), bytes, "the same bytes");
        let file = reader(bytes);
        let read: Vec<Bar> = file
            .get_row_iter(None)
            .expect("rows")
            .map(|row| {
                let row = row.expect("a row");
                Bar {
                    symbol: Symbol::new(row.get_string(0).expect("text")),
                    start: MarketTime::from_nanos(row.get_long(1).expect("nanos")),
                    open: row.get_double(2).expect("double"),
                    high: row.get_double(3).expect("double"),
                    low: row.get_double(4).expect("double"),
                    close: row.get_double(5).expect("double"),
                    volume: u64::try_from(row.get_long(6).expect("volume")).expect("not negative"),
                    vwap: row.get_double(7).expect("double"),
                }
            })
            .collect();
        assert_eq!(read, rows);
    }

    #[test]
    fn a_day_without_rows_is_a_file_with_columns() {
        let file = reader(bars(&Symbol::new("SPY"), &[], &origin()).expect("written"));
        let metadata = file.metadata().file_metadata();
        assert_eq!((metadata.num_rows(), metadata.schema_descr().num_columns()), (0, 8));
        let pairs = metadata.key_value_metadata().expect("pairs");
        let value = |key: &str| pairs.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone());
        for (key, expected) in [
            ("sandpit.kind", "bars"),
            ("sandpit.symbol", "SPY"),
            ("sandpit.feed", "sip"),
            ("sandpit.adjustment", "raw"),
            ("sandpit.schema", "1"),
            ("sandpit.version", env!("CARGO_PKG_VERSION")),
        ] {
            assert_eq!(value(key).as_deref(), Some(expected), "{key}");
        }
    }

    #[test]
    fn news_reads_back_with_its_symbols() {
        let rows = [piece(1, &["SPY", "BRK.B"]), piece(2, &[]), piece(3, &["SPY"])];
        let file = reader(news(&Symbol::new("SPY"), &rows, &origin()).expect("written"));
        let read: Vec<_> = file.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect();
        assert_eq!(read.len(), rows.len());
        for (row, piece) in read.iter().zip(&rows) {
            assert_eq!(row.get_long(0).expect("id"), i64::try_from(piece.id).expect("small"));
            assert_eq!(row.get_long(2).expect("nanos"), piece.updated.as_nanos());
            assert_eq!(row.get_string(3).expect("text"), &piece.headline);
            let list = row.get_list(8).expect("a list");
            let names = list.elements().iter().map(|field| match field {
                Field::Str(name) => Symbol::new(name),
                other => panic!("{other:?}"),
            });
            assert_eq!(names.collect::<Vec<_>>(), piece.symbols);
        }
    }
}
