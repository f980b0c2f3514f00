//! Rows of a text file, packed or not.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use csv::{ByteRecord, Reader, ReaderBuilder};
use flate2::read::MultiGzDecoder;
use jiff::tz::TimeZone;
use sandpit_types::Symbol;

use crate::{
    DataError, Mend, Place, Trouble,
    columns::Columns,
    row::{FIGURES, Row},
    stamp::{self, Zone},
};

/// What is read of the disk at once, bytes.
const BUFFER: usize = 1 << 16;

/// Bytes of a file that were read so far.
pub(crate) type Meter = Arc<AtomicU64>;

/// A text file.
pub(crate) struct CsvFile {
    path: Arc<PathBuf>,
    reader: Reader<Box<dyn Read + Send>>,
    record: ByteRecord,
    pub(crate) columns: Columns,
    zone: Option<TimeZone>,
    takes_offsets: bool,
    /// That of the first row.
    written_in: Option<Zone>,
    symbol: Symbol,
}

/// Counts what goes through.
struct Metered {
    file: File,
    meter: Meter,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.meter.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl CsvFile {
    /// Opens it and reads its header.
    pub(crate) fn open(path: &Arc<PathBuf>, mend: &Mend, meter: Meter) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: path.to_path_buf(), source };
        let file =
            BufReader::with_capacity(BUFFER, Metered { file: File::open(&**path).map_err(io)?, meter });
        let is_packed = path.extension().is_some_and(|extension| extension == "gz");
        let read: Box<dyn Read + Send> =
            if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let mut reader = ReaderBuilder::new().buffer_capacity(BUFFER).from_reader(read);
        let whole = |what: String| DataError::File { path: path.to_path_buf(), what };
        let header = reader.headers().map_err(|error| broken(path, &error))?;
        let names: Vec<String> =
            header.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        if names.is_empty() {
            return Err(whole("the file is empty: remove it, or fetch it again".to_owned()));
        }
        let columns = Columns::of(&names).map_err(whole)?;
        Ok(Self {
            path: path.clone(),
            reader,
            record: ByteRecord::new(),
            columns,
            zone: mend.zone.clone(),
            takes_offsets: mend.offsets,
            written_in: None,
            symbol: Symbol::new(""),
        })
    }

    /// The next row; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Row>, DataError> {
        let is_row = self.reader.read_byte_record(&mut self.record);
        if !is_row.map_err(|error| broken(&self.path, &error))? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        match self.row(line) {
            Ok(row) => Ok(Some(row)),
            Err(trouble) => {
                let place = Place { file: self.path.clone(), line };
                Err(DataError::Row { place, trouble })
            }
        }
    }

    fn row(&mut self, line: u64) -> Result<Row, Trouble> {
        let text = &self.record[self.columns.timestamp];
        let (stamp, zone) = stamp::parse(text, self.zone.as_ref())?;
        if *self.written_in.get_or_insert(zone) != zone && !self.takes_offsets {
            return Err(Trouble::MixedZones { text: String::from_utf8_lossy(text).into_owned() });
        }
        let symbol = self.record[self.columns.symbol].trim_ascii();
        if symbol != self.symbol.as_str().as_bytes() {
            self.symbol = named(symbol)?;
        }
        let mut figures = [f64::NAN; FIGURES];
        for (at, column) in self.columns.figures.iter().enumerate() {
            let Some(column) = column else { continue };
            let text = self.record[*column].trim_ascii();
            figures[at] =
                std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
                    let text = String::from_utf8_lossy(text).into_owned();
                    Trouble::Cell { column: self.columns.kind.figures()[at], text, wanted: "number" }
                })?;
        }
        Ok(Row { symbol: self.symbol.clone(), stamp, figures, line })
    }
}

/// A symbol as a cell has it.
pub(crate) fn named(text: &[u8]) -> Result<Symbol, Trouble> {
    let name = std::str::from_utf8(text)
        .ok()
        .filter(|name| (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic()));
    name.map(Symbol::new).ok_or_else(|| {
        let text = String::from_utf8_lossy(text).into_owned();
        Trouble::Cell { column: "symbol", text, wanted: "symbol" }
    })
}

/// What the reader of texts complains of.
fn broken(path: &Arc<PathBuf>, error: &csv::Error) -> DataError {
    let what = match error.kind() {
        csv::ErrorKind::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
            "the packed file ends in the midst: it was not copied whole, fetch it again".to_owned()
        }
        csv::ErrorKind::Io(source) => format!("cannot be read to its end: {source}"),
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => format!(
            "line {} has {len} cells and the header {expected_len}: correct the file",
            pos.as_ref().map_or(0, csv::Position::line)
        ),
        _ => format!("is no such text: {error}"),
    };
    DataError::File { path: path.to_path_buf(), what }
}
