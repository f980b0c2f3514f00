//! Rows of a Parquet file, some thousands at a time.

use std::{
    fs::File,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit, Type},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, DataType},
    errors::ParquetError,
    file::{
        reader::{FileReader, RowGroupReader},
        serialized_reader::SerializedFileReader,
    },
    schema::types::ColumnDescriptor,
};
use sandpit_types::{MarketTime, Symbol};

use crate::{
    DataError, Place, Trouble,
    columns::Columns,
    csv_file::{Meter, named},
    row::{FIGURES, Row},
};

/// Rows decoded at once.
const BATCH: usize = 8_192;

/// A Parquet file.
pub(crate) struct ParquetFile {
    path: Arc<PathBuf>,
    reader: SerializedFileReader<File>,
    pub(crate) columns: Columns,
    /// What one unit of the timestamps is, nanoseconds.
    unit: i64,
    group: usize,
    open: Option<Open>,
    batch: Batch,
    at: usize,
    line: u64,
    symbol: Symbol,
    meter: Meter,
}

/// The columns of the row group that is being read.
struct Open {
    timestamp: ColumnReader,
    symbol: ColumnReader,
    figures: Vec<Option<ColumnReader>>,
}

#[derive(Default)]
struct Batch {
    stamps: Vec<i64>,
    symbols: Vec<ByteArray>,
    figures: [Vec<f64>; FIGURES],
}

impl ParquetFile {
    /// Opens it and reads its schema.
    pub(crate) fn open(path: &Arc<PathBuf>, meter: Meter) -> Result<Self, DataError> {
        let file =
            File::open(&**path).map_err(|source| DataError::Io { path: path.to_path_buf(), source })?;
        let whole = |what: String| DataError::File { path: path.to_path_buf(), what };
        let reader = SerializedFileReader::new(file).map_err(|error| broken(path, &error))?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let names: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
        let columns = Columns::of(&names).map_err(whole)?;
        let unit = unit(&schema.column(columns.timestamp)).map_err(whole)?;
        let optional = |at: &usize| schema.column(*at).max_def_level() > 0;
        let mut used = columns.figures.iter().flatten().chain([&columns.timestamp, &columns.symbol]);
        let holey = used.find(|at| optional(at) && !nothing_is_null(&reader, **at)).copied();
        drop(used);
        if let Some(column) = holey {
            let name = &names[column];
            return Err(whole(format!("column {name:?} has empty cells: fill them, or leave such rows out")));
        }
        let (open, batch, symbol) = (None, Batch::default(), Symbol::new(""));
        let path = path.clone();
        Ok(Self { path, reader, columns, unit, group: 0, open, batch, at: 0, line: 0, symbol, meter })
    }

    /// The next row; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Row>, DataError> {
        while self.at == self.batch.stamps.len() {
            if !self.fill()? {
                return Ok(None);
            }
        }
        let at = self.at;
        self.at += 1;
        self.line += 1;
        let row = |trouble| {
            let place = Place { file: self.path.clone(), line: self.line };
            DataError::Row { place, trouble }
        };
        let stamp = self.batch.stamps[at].checked_mul(self.unit).ok_or_else(|| {
            let text = self.batch.stamps[at].to_string();
            row(Trouble::Cell { column: "timestamp", text, wanted: "time" })
        })?;
        let symbol = self.batch.symbols[at].data();
        if symbol != self.symbol.as_str().as_bytes() {
            self.symbol = named(symbol).map_err(row)?;
        }
        let mut figures = [f64::NAN; FIGURES];
        for (figure, column) in figures.iter_mut().zip(&self.batch.figures) {
            *figure = column.get(at).copied().unwrap_or(f64::NAN);
        }
        let (symbol, stamp) = (self.symbol.clone(), MarketTime::from_nanos(stamp));
        Ok(Some(Row { symbol, stamp, figures, line: self.line }))
    }

    /// Decodes the next batch; false at the end.
    fn fill(&mut self) -> Result<bool, DataError> {
        let path = self.path.clone();
        let outcome = self.try_fill();
        outcome.map_err(|error| broken(&path, &error))
    }

    fn try_fill(&mut self) -> Result<bool, ParquetError> {
        self.at = 0;
        self.batch.stamps.clear();
        self.batch.symbols.clear();
        self.batch.figures.iter_mut().for_each(Vec::clear);
        if self.open.is_none() {
            if self.group == self.reader.num_row_groups() {
                return Ok(false);
            }
            let group = self.reader.get_row_group(self.group)?;
            let bytes = u64::try_from(group.metadata().compressed_size()).unwrap_or(0);
            self.meter.fetch_add(bytes, Ordering::Relaxed);
            self.group += 1;
            self.open = Some(Open::of(&*group, &self.columns)?);
        }
        let Some(open) = &mut self.open else { return Ok(false) };
        let Batch { stamps, symbols, figures } = &mut self.batch;
        match &mut open.timestamp {
            ColumnReader::Int64ColumnReader(column) => read(column, stamps)?,
            _ => return Err(ParquetError::General("timestamps are no whole numbers".into())),
        }
        match &mut open.symbol {
            ColumnReader::ByteArrayColumnReader(column) => read(column, symbols)?,
            _ => return Err(ParquetError::General("symbols are no texts".into())),
        }
        for (column, into) in open.figures.iter_mut().zip(figures.iter_mut()) {
            if let Some(column) = column {
                numbers(column, into)?;
                if into.len() != stamps.len() {
                    return Err(ParquetError::General("columns of one row group differ in length".into()));
                }
            }
        }
        if stamps.len() != symbols.len() {
            return Err(ParquetError::General("columns of one row group differ in length".into()));
        }
        if stamps.is_empty() {
            self.open = None;
        }
        Ok(true)
    }
}

impl Open {
    fn of(group: &dyn RowGroupReader, columns: &Columns) -> Result<Self, ParquetError> {
        let figures = columns.figures.iter().map(|at| at.map(|at| group.get_column_reader(at)).transpose());
        Ok(Self {
            timestamp: group.get_column_reader(columns.timestamp)?,
            symbol: group.get_column_reader(columns.symbol)?,
            figures: figures.collect::<Result<_, _>>()?,
        })
    }
}

/// Whatever the numbers of a column are, as floats.
fn numbers(column: &mut ColumnReader, into: &mut Vec<f64>) -> Result<(), ParquetError> {
    match column {
        ColumnReader::DoubleColumnReader(column) => read(column, into),
        ColumnReader::FloatColumnReader(column) => {
            let mut values = Vec::new();
            read(column, &mut values)?;
            into.extend(values.into_iter().map(f64::from));
            Ok(())
        }
        ColumnReader::Int64ColumnReader(column) => {
            let mut values = Vec::new();
            read(column, &mut values)?;
            into.extend(values.into_iter().map(|value| value as f64));
            Ok(())
        }
        ColumnReader::Int32ColumnReader(column) => {
            let mut values = Vec::new();
            read(column, &mut values)?;
            into.extend(values.into_iter().map(f64::from));
            Ok(())
        }
        _ => Err(ParquetError::General("a figure is no number".into())),
    }
}

fn read<T: DataType>(column: &mut ColumnReaderImpl<T>, into: &mut Vec<T::T>) -> Result<(), ParquetError> {
    // Levels are asked for although nothing is null: a column that may hold nulls is not read without.
    let mut levels = Vec::new();
    column.read_records(BATCH, Some(&mut levels), None, into)?;
    Ok(())
}

/// Nanoseconds in a unit of the timestamps.
fn unit(column: &ColumnDescriptor) -> Result<i64, String> {
    if column.physical_type() != Type::INT64 {
        return Err("timestamps are no 64-bit numbers: write them as TIMESTAMP, or as nanoseconds".to_owned());
    }
    match column.logical_type_ref() {
        Some(LogicalType::Timestamp(time)) if !time.is_adjusted_to_u_t_c => {
            Err("timestamps say no zone: write them as UTC".to_owned())
        }
        Some(LogicalType::Timestamp(time)) => Ok(match time.unit {
            TimeUnit::MILLIS => 1_000_000,
            TimeUnit::MICROS => 1_000,
            TimeUnit::NANOS => 1,
        }),
        None => match column.converted_type() {
            ConvertedType::TIMESTAMP_MILLIS => Ok(1_000_000),
            ConvertedType::TIMESTAMP_MICROS => Ok(1_000),
            ConvertedType::NONE => Ok(1),
            _ => Err("timestamps are of another kind: write them as TIMESTAMP".to_owned()),
        },
        Some(_) => Err("timestamps are of another kind: write them as TIMESTAMP".to_owned()),
    }
}

/// Whether the statistics of every row group say that no cell of a column is empty.
fn nothing_is_null(reader: &SerializedFileReader<File>, column: usize) -> bool {
    reader.metadata().row_groups().iter().all(|group| {
        let statistics = group.column(column).statistics();
        statistics.and_then(parquet::file::statistics::Statistics::null_count_opt) == Some(0)
    })
}

fn broken(path: &Arc<PathBuf>, error: &ParquetError) -> DataError {
    let what = format!("is no whole Parquet file: {error}: fetch it again");
    DataError::File { path: path.to_path_buf(), what }
}
