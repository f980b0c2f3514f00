//! Rows into a Parquet file, as a backfill writes them: times `TIMESTAMP(NANOS, UTC)`, prices US dollars as
//! `DOUBLE`, sizes shares as `INT64`, compressed with Snappy; nothing is ever null. The same rows make the
//! same bytes.

use std::{fs::File, path::Path, sync::Arc};

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
use sandpit_types::{MarketEvent, MarketTime, Symbol};

use crate::Kind;

/// Counts up whenever a column changes; that of a backfill's bars, too.
const SCHEMA_VERSION: &str = "1";

/// A table that is being written.
pub(crate) struct Table {
    kind: Kind,
    writer: SerializedFileWriter<File>,
}

impl Table {
    /// Begins one of one symbol.
    pub(crate) fn create(path: &Path, kind: Kind, symbol: &Symbol) -> Result<Self, ParquetError> {
        let schema = Arc::new(parse_message_type(&schema(kind))?);
        let writer = SerializedFileWriter::new(File::create(path)?, schema, properties(kind, symbol))?;
        Ok(Self { kind, writer })
    }

    /// Adds rows, as a row group.
    pub(crate) fn add(&mut self, rows: &[MarketEvent]) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        let symbols = rows.iter().filter_map(MarketEvent::symbol);
        let symbols: Vec<ByteArray> = symbols.map(|symbol| ByteArray::from(symbol.as_str())).collect();
        column::<ByteArrayType>(&mut group, &symbols)?;
        let times: Vec<i64> = rows.iter().map(|row| stamp(row).as_nanos()).collect();
        column::<Int64Type>(&mut group, &times)?;
        for at in 0..self.kind.figures().len() {
            if self.kind.sizes().contains(&at) {
                let sizes: Vec<i64> = rows.iter().map(|row| size(row, at)).collect();
                column::<Int64Type>(&mut group, &sizes)?;
            } else {
                let prices: Vec<f64> = rows.iter().map(|row| price(row, at)).collect();
                column::<DoubleType>(&mut group, &prices)?;
            }
        }
        group.close().map(|_| ())
    }

    /// Ends it; it is on the disk for sure then.
    pub(crate) fn end(self) -> Result<(), ParquetError> {
        Ok(self.writer.into_inner()?.sync_all()?)
    }
}

/// What stands in the column of timestamps: of a bar its start.
pub(crate) fn stamp(event: &MarketEvent) -> MarketTime {
    match event {
        MarketEvent::Bar(bar) => bar.start,
        other => other.time(),
    }
}

fn schema(kind: Kind) -> String {
    let column = |(at, name): (usize, &&str)| {
        let of = if kind.sizes().contains(&at) { "INT64" } else { "DOUBLE" };
        format!("REQUIRED {of} {name};")
    };
    let figures: String = kind.figures().iter().enumerate().map(column).collect();
    format!(
        "message {} {{ REQUIRED BYTE_ARRAY symbol (STRING); \
         REQUIRED INT64 timestamp (TIMESTAMP(NANOS,true)); {figures} }}",
        kind.name()
    )
}

fn properties(kind: Kind, symbol: &Symbol) -> Arc<WriterProperties> {
    let pair = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(format!("sandpit {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(Some(vec![
            pair("sandpit.kind", kind.name()),
            pair("sandpit.symbol", symbol.as_str()),
            pair("sandpit.feed", "import"),
            pair("sandpit.schema", SCHEMA_VERSION),
            pair("sandpit.version", env!("CARGO_PKG_VERSION")),
        ]));
    Arc::new(properties.build())
}

/// In the order of [`Kind::figures`].
fn price(event: &MarketEvent, at: usize) -> f64 {
    match event {
        MarketEvent::Bar(bar) => [bar.open, bar.high, bar.low, bar.close, f64::NAN, bar.vwap][at],
        MarketEvent::Quote(quote) => [quote.bid, f64::NAN, quote.ask, f64::NAN][at],
        MarketEvent::Trade(trade) => trade.price,
        _ => f64::NAN,
    }
}

fn size(event: &MarketEvent, at: usize) -> i64 {
    let size = match event {
        MarketEvent::Bar(bar) => bar.volume,
        MarketEvent::Quote(quote) => [0, quote.bid_size, 0, quote.ask_size][at],
        MarketEvent::Trade(trade) => trade.size,
        _ => 0,
    };
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.expect("the schema has as many columns as are filled");
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}
