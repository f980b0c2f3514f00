//! Rows out of the database, as CSV or Parquet, page by page: a large table needs no more memory than a small
//! one.
//!
//! | | CSV | Parquet |
//! |---|---|---|
//! | prices, shares, US dollars | digits | `DECIMAL(38,9)`, exact; more decimals are rounded half to even |
//! | times | RFC 3339, UTC, as many decimals as needed | `TIMESTAMP(NANOS, UTC)` |
//! | numbers of ours | digits | `INT(64, unsigned)` |
//! | yes and no | `true`, `false` | `BOOLEAN` |
//! | nothing | empty | null |
//!
//! Decimals and not text, because pandas (with pyarrow) and polars read them as exact numbers and sum them.
//! Names and order of the columns stay; new ones come at the end.

mod csv_file;
mod parquet_file;
mod rows;

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use sandpit_store::{Cursor, Page, Reader, Span, StoreError};

use self::{csv_file::CsvFile, parquet_file::ParquetFile};
use crate::{RecordsError, files::sync_folder_of};

/// What can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Orders as they stand, by the time of their recording.
    Orders,
    /// Fills by their time.
    Fills,
    /// What the account was worth.
    Equity,
    /// Decisions that strategies recorded.
    Signals,
}

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text with a line of names.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Column {
    name: &'static str,
    kind: Kind,
    /// Whether it may be empty.
    is_optional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Decimal,
    Time,
    Number,
    Flag,
}

/// One value. It is of its column's kind, or `Nothing`.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Nothing,
    Text(String),
    Decimal(rust_decimal::Decimal),
    Time(sandpit_types::MarketTime),
    Number(u64),
    Flag(bool),
}

/// A file that takes rows of some columns.
trait Sink {
    fn row(&mut self, cells: Vec<Cell>) -> Result<(), RecordsError>;
    fn end(self: Box<Self>) -> Result<(), RecordsError>;
}

/// Writes the rows of a span of time to a file, which appears when it is whole, or to standard output.
/// Returns how many there were.
///
/// # Errors
/// [`RecordsError`]; an earlier file of that name is as it was then.
pub async fn export(
    reader: &Reader,
    subject: Subject,
    format: Format,
    span: Span,
    out: Option<&Path>,
) -> Result<u64, RecordsError> {
    let Some(path) = out else {
        let stdout = Box::new(BufWriter::new(std::io::stdout()));
        return write(reader, subject, sink(subject, format, stdout)?, span).await;
    };
    let aside = path.with_file_name(format!(
        ".{}.partial",
        path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default()
    ));
    let file = File::create(&aside).map_err(RecordsError::file("write", &aside))?;
    let copy = file.try_clone().map_err(RecordsError::file("write", &aside))?;
    let written = match sink(subject, format, Box::new(BufWriter::new(copy))) {
        Ok(sink) => write(reader, subject, sink, span).await,
        Err(error) => Err(error),
    };
    let placed = written.and_then(|rows| {
        file.sync_all().map_err(RecordsError::file("write", &aside))?;
        std::fs::rename(&aside, path).map_err(RecordsError::file("write", path))?;
        sync_folder_of(path)?;
        Ok(rows)
    });
    if placed.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&aside);
    }
    placed
}

fn sink(subject: Subject, format: Format, out: Box<dyn Write + Send>) -> Result<Box<dyn Sink>, RecordsError> {
    let (name, columns) = match subject {
        Subject::Orders => ("orders", rows::ORDERS),
        Subject::Fills => ("fills", rows::FILLS),
        Subject::Equity => ("equity", rows::EQUITY),
        Subject::Signals => ("signals", rows::SIGNALS),
    };
    Ok(match format {
        Format::Csv => Box::new(CsvFile::new(columns, out)?),
        Format::Parquet => Box::new(ParquetFile::new(name, columns, out)?),
    })
}

async fn write(
    reader: &Reader,
    subject: Subject,
    sink: Box<dyn Sink>,
    span: Span,
) -> Result<u64, RecordsError> {
    match subject {
        Subject::Orders => pages(sink, rows::order, async |after| reader.orders(span, after).await).await,
        Subject::Fills => pages(sink, rows::fill, async |after| reader.fills(span, after).await).await,
        Subject::Equity => pages(sink, rows::equity, async |after| reader.equity(span, after).await).await,
        Subject::Signals => pages(sink, rows::signal, async |after| reader.signals(span, after).await).await,
    }
}

async fn pages<T>(
    mut sink: Box<dyn Sink>,
    cells: fn(T) -> Vec<Cell>,
    page: impl AsyncFn(Option<&Cursor>) -> Result<Page<T>, StoreError>,
) -> Result<u64, RecordsError> {
    let (mut count, mut after) = (0, None);
    loop {
        let Page { rows, next } = page(after.as_ref()).await?;
        for row in rows {
            sink.row(cells(row))?;
            count += 1;
        }
        if next.is_none() {
            sink.end()?;
            return Ok(count);
        }
        after = next;
    }
}

#[cfg(test)]
mod tests;
