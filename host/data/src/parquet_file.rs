//! Rows of a Parquet file, some thousands at a time.

use std::{
    fs::File,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use jiff::tz::TimeZone;
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
    DataError, Mend, Place, Trouble,
    columns::Columns,
    csv_file::{Meter, named},
    row::{FIGURES, Row},
    stamp,
};

/// Rows decoded at once.
const BATCH: usize = 8_192;

/// Stands for a timestamp that is absent.
const NO_STAMP: i64 = i64::MIN;

/// A Parquet file.
pub(crate) struct ParquetFile {
    path: Arc<PathBuf>,
    reader: SerializedFileReader<File>,
    pub(crate) columns: Columns,
    unit: Unit,
    /// Whether the program that wrote it is ours: a backfill or an import.
    pub(crate) is_ours: bool,
    group: usize,
    open: Option<Open>,
    batch: Batch,
    at: usize,
    line: u64,
    symbol: Symbol,
    meter: Meter,
}

/// What the numbers of the timestamps mean.
#[derive(Clone)]
enum Unit {
    /// So many nanoseconds each, since 1970 in UTC.
    Nanos(i64),
    /// The same on the clocks of a zone.
    Civil(i64, TimeZone),
    /// It is not said: by their size.
    Unsaid,
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
    pub(crate) fn open(path: &Arc<PathBuf>, mend: &Mend, meter: Meter) -> Result<Self, DataError> {
        let file =
            File::open(&**path).map_err(|source| DataError::Io { path: path.to_path_buf(), source })?;
        let whole = |what: String| DataError::File { path: path.to_path_buf(), what };
        let reader = tried(path, || SerializedFileReader::new(file))?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let names: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
        let columns = Columns::of(&names).map_err(whole)?;
        let used = columns.figures.iter().flatten().chain([&columns.timestamp, &columns.symbol]);
        for column in used.map(|at| schema.column(*at)) {
            if column.max_rep_level() > 0 || column.max_def_level() > 1 {
                let name = column.path().string();
                return Err(whole(format!("column {name:?} holds lists: write one value a row")));
            }
        }
        let unit = Unit::of(&schema.column(columns.timestamp), mend.zone.as_ref()).map_err(whole)?;
        let pairs = reader.metadata().file_metadata().key_value_metadata();
        let is_ours = pairs.is_some_and(|pairs| pairs.iter().any(|pair| pair.key == "sandpit.kind"));
        let (open, batch, symbol) = (None, Batch::default(), Symbol::new(""));
        let path = path.clone();
        Ok(Self {
            path,
            reader,
            columns,
            unit,
            is_ours,
            group: 0,
            open,
            batch,
            at: 0,
            line: 0,
            symbol,
            meter,
        })
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
        let number = self.batch.stamps[at];
        let stamp = self.unit.time(number).ok_or_else(|| {
            let text = if number == NO_STAMP { String::new() } else { number.to_string() };
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
        Ok(Some(Row { symbol: self.symbol.clone(), stamp, figures, line: self.line }))
    }

    /// Decodes the next batch; false at the end.
    fn fill(&mut self) -> Result<bool, DataError> {
        let path = self.path.clone();
        tried(&path, || self.try_fill())
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
            ColumnReader::Int64ColumnReader(column) => read(column, &NO_STAMP, stamps)?,
            _ => return Err(ParquetError::General("timestamps are no whole numbers".into())),
        }
        match &mut open.symbol {
            ColumnReader::ByteArrayColumnReader(column) => read(column, &ByteArray::from(""), symbols)?,
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

/// Whatever the numbers of a column are, as floats; NaN where there is none.
fn numbers(column: &mut ColumnReader, into: &mut Vec<f64>) -> Result<(), ParquetError> {
    match column {
        ColumnReader::DoubleColumnReader(column) => read(column, &f64::NAN, into),
        ColumnReader::FloatColumnReader(column) => {
            let mut values = Vec::new();
            read(column, &f32::NAN, &mut values)?;
            into.extend(values.into_iter().map(f64::from));
            Ok(())
        }
        ColumnReader::Int64ColumnReader(column) => {
            let mut values = Vec::new();
            read(column, &i64::MIN, &mut values)?;
            into.extend(
                values.into_iter().map(|value| if value == i64::MIN { f64::NAN } else { value as f64 }),
            );
            Ok(())
        }
        ColumnReader::Int32ColumnReader(column) => {
            let mut values = Vec::new();
            read(column, &i32::MIN, &mut values)?;
            let float = |value| if value == i32::MIN { f64::NAN } else { f64::from(value) };
            into.extend(values.into_iter().map(float));
            Ok(())
        }
        _ => Err(ParquetError::General("a figure is no number".into())),
    }
}

/// The next values of a column, with a filling in each hole.
fn read<T: DataType>(
    column: &mut ColumnReaderImpl<T>,
    filling: &T::T,
    into: &mut Vec<T::T>,
) -> Result<(), ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (rows, ..) = column.read_records(BATCH, Some(&mut levels), None, &mut values)?;
    if values.len() == rows {
        into.append(&mut values);
        return Ok(());
    }
    let mut values = values.into_iter();
    into.extend(levels.iter().map(|level| {
        let value = if *level > 0 { values.next() } else { None };
        value.unwrap_or_else(|| filling.clone())
    }));
    Ok(())
}

impl Unit {
    fn of(column: &ColumnDescriptor, zone: Option<&TimeZone>) -> Result<Self, String> {
        if column.physical_type() != Type::INT64 {
            return Err("timestamps are no 64-bit numbers: write them as TIMESTAMP".to_owned());
        }
        let other = || Err("timestamps are of another kind: write them as TIMESTAMP".to_owned());
        match column.logical_type_ref() {
            Some(LogicalType::Timestamp(time)) => {
                let nanos = match time.unit {
                    TimeUnit::MILLIS => 1_000_000,
                    TimeUnit::MICROS => 1_000,
                    TimeUnit::NANOS => 1,
                };
                match zone {
                    _ if time.is_adjusted_to_u_t_c => Ok(Self::Nanos(nanos)),
                    Some(zone) => Ok(Self::Civil(nanos, zone.clone())),
                    None => {
                        Err("timestamps say no zone: write them as UTC, or say which one is meant, as in \
                                 --repair zone=America/New_York"
                            .to_owned())
                    }
                }
            }
            None => match column.converted_type() {
                ConvertedType::TIMESTAMP_MILLIS => Ok(Self::Nanos(1_000_000)),
                ConvertedType::TIMESTAMP_MICROS => Ok(Self::Nanos(1_000)),
                ConvertedType::NONE | ConvertedType::INT_64 => Ok(Self::Unsaid),
                _ => other(),
            },
            Some(LogicalType::Integer(_)) => Ok(Self::Unsaid),
            Some(_) => other(),
        }
    }

    fn time(&self, number: i64) -> Option<MarketTime> {
        match self {
            _ if number == NO_STAMP => None,
            Self::Nanos(nanos) => number.checked_mul(*nanos).map(MarketTime::from_nanos),
            Self::Civil(nanos, zone) => {
                let written = MarketTime::from_nanos(number.checked_mul(*nanos)?);
                stamp::on_clocks(written.to_jiff().to_zoned(TimeZone::UTC).datetime(), zone)
            }
            Self::Unsaid => stamp::numbered(number),
        }
    }
}

/// The library ends some broken files in a panic. What it was reading is not used after that.
fn tried<R>(path: &Arc<PathBuf>, read: impl FnOnce() -> Result<R, ParquetError>) -> Result<R, DataError> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(ParquetError::General(text.unwrap_or_else(|| "it cannot be read".to_owned())))
    });
    outcome.map_err(|error| broken(path, &error))
}

fn broken(path: &Arc<PathBuf>, error: &ParquetError) -> DataError {
    let what = format!("is no whole Parquet file: {error}: fetch it again");
    DataError::File { path: path.to_path_buf(), what }
}
