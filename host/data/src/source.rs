//! One file as events in order of time, with what is wrong in it refused or mended.

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

use sandpit_types::{MarketEvent, MarketTime, Symbol};

use crate::{
    DataError, Findings, Kind, Mend, Place, Trouble,
    columns::Columns,
    csv_file::{CsvFile, Meter},
    group::Group,
    parquet_file::ParquetFile,
    row::{MINUTE, Row},
};

/// Rows that are looked at before anything is delivered: how far apart they are.
const HEAD_ROWS: usize = 2_000;

/// Steps of one symbol that are needed to say that bars are longer than a minute.
const STEPS_NEEDED: usize = 3;

/// Rows of a file that is sorted in memory, at most: some 3 GB.
const SORTED_ROWS_MAX: usize = 40_000_000;

/// The rows of a file, whatever it is.
enum Rows {
    Csv(Box<CsvFile>),
    Parquet(Box<ParquetFile>),
    /// Read whole, and sorted.
    Sorted(std::vec::IntoIter<Row>),
}

/// One file.
pub(crate) struct Source {
    path: Arc<PathBuf>,
    rows: Rows,
    head: VecDeque<Row>,
    pub(crate) kind: Kind,
    /// Whether every row lies on a whole minute: bars always, quotes if they are samples.
    is_minutely: bool,
    group: Group,
    mend: Mend,
    pub(crate) findings: Findings,
}

/// Whether a name is that of a file of data.
pub(crate) fn is_data(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    !name.starts_with('.') && [".csv", ".csv.gz", ".parquet"].iter().any(|end| name.ends_with(end))
}

impl Source {
    /// Opens a file and looks at its first rows.
    pub(crate) fn open(path: &Path, mend: &Mend, meter: Meter) -> Result<Self, DataError> {
        let path = Arc::new(path.to_owned());
        let is_parquet = path.extension().is_some_and(|extension| extension == "parquet");
        let (rows, columns): (Rows, Columns) = if is_parquet {
            let file = ParquetFile::open(&path, meter)?;
            let columns = file.columns.clone();
            (Rows::Parquet(Box::new(file)), columns)
        } else {
            let file = CsvFile::open(&path, mend, meter)?;
            let columns = file.columns.clone();
            (Rows::Csv(Box::new(file)), columns)
        };
        let kind = columns.kind;
        let mut source = Self {
            path,
            rows,
            head: VecDeque::new(),
            kind,
            is_minutely: kind == Kind::Bars,
            group: Group::new(kind, mend.keep),
            mend: mend.clone(),
            findings: Findings::default(),
        };
        if !columns.others.is_empty() {
            let file = source.path.display().to_string();
            source.findings.add("columns passed over", || format!("{file}: {}", columns.others.join(", ")));
        }
        if mend.sort {
            source.sort()?;
        }
        source.look()?;
        Ok(source)
    }

    /// The next events, those of one time; `None` at the end.
    pub(crate) fn next(&mut self, into: &mut VecDeque<MarketEvent>) -> Result<bool, DataError> {
        loop {
            let row = match self.head.pop_front() {
                Some(row) => Some(row),
                None => self.row()?,
            };
            let Some(row) = row else {
                let is_sample = self.is_sample();
                return Ok(self.group.end(is_sample, into));
            };
            if self.is_minutely && row.stamp.as_nanos() % MINUTE != 0 {
                return Err(self.refused(row.line, Trouble::OffMinute { time: row.stamp }));
            }
            if self.group.last().is_some_and(|last| row.stamp < last) {
                let before = self.group.last().unwrap_or(row.stamp);
                return Err(self.refused(row.line, Trouble::Unsorted { before, after: row.stamp }));
            }
            let (line, is_sample) = (row.line, self.is_sample());
            let closed = self.group.add(row, is_sample, into, &mut self.findings, &self.path);
            if closed.map_err(|trouble| self.refused(line, trouble))? {
                return Ok(true);
            }
        }
    }

    const fn is_sample(&self) -> bool {
        self.is_minutely && matches!(self.kind, Kind::Quotes)
    }

    /// The next row that can be.
    fn row(&mut self) -> Result<Option<Row>, DataError> {
        loop {
            let read = match &mut self.rows {
                Rows::Csv(file) => file.next(),
                Rows::Parquet(file) => file.next(),
                Rows::Sorted(rows) => return Ok(rows.next()),
            };
            let checked = read.and_then(|row| {
                let Some(row) = row else { return Ok(None) };
                let place = |trouble| DataError::Row { place: self.place(row.line), trouble };
                row.check(self.kind).map_err(place)?;
                Ok(Some(row))
            });
            match checked {
                Err(DataError::Row { place, trouble }) if self.mend.drop && trouble.is_of_the_row() => {
                    self.findings.add("rows left out", || format!("{place}: {}", short(&trouble)));
                }
                other => return other,
            }
        }
    }

    fn sort(&mut self) -> Result<(), DataError> {
        let (mut rows, mut is_sorted): (Vec<Row>, bool) = (Vec::new(), true);
        while let Some(row) = self.row()? {
            is_sorted &= rows.last().is_none_or(|last| last.stamp <= row.stamp);
            rows.push(row);
            if rows.len() > SORTED_ROWS_MAX {
                let what =
                    format!("has more than {SORTED_ROWS_MAX} rows, too many to be sorted here: split it");
                return Err(DataError::File { path: self.path.to_path_buf(), what });
            }
        }
        if !is_sorted {
            rows.sort_by_key(|row| row.stamp);
            let file = self.path.display().to_string();
            self.findings.add("files sorted", || file);
        }
        self.rows = Rows::Sorted(rows.into_iter());
        Ok(())
    }

    /// Looks at the first rows: whether there are any, whether bars are longer than a minute, whether quotes
    /// are samples.
    fn look(&mut self) -> Result<(), DataError> {
        let mut head = VecDeque::with_capacity(HEAD_ROWS);
        while head.len() < HEAD_ROWS
            && let Some(row) = self.row()?
        {
            head.push_back(row);
        }
        self.head = head;
        let file = |what: &str| DataError::File { path: self.path.to_path_buf(), what: what.to_owned() };
        if self.head.is_empty() {
            return Err(file("has a header and no row: remove it, or fetch it again"));
        }
        match self.kind {
            Kind::Bars => {
                if let Some(minutes) = step(&self.head) {
                    return Err(file(&format!(
                        "its bars are {minutes} minutes apart: they are longer than a minute, and taken for \
                         minutes they would show the future; take one-minute bars"
                    )));
                }
            }
            Kind::Quotes => {
                self.is_minutely = self.head.iter().all(|row| row.stamp.as_nanos() % MINUTE == 0);
                if self.is_minutely {
                    let path = self.path.display().to_string();
                    self.findings.add("quotes taken as samples, known at the end of their minute", || path);
                }
            }
            Kind::Trades => {}
        }
        Ok(())
    }

    fn refused(&self, line: u64, trouble: Trouble) -> DataError {
        DataError::Row { place: self.place(line), trouble }
    }

    fn place(&self, line: u64) -> Place {
        Place { file: self.path.clone(), line }
    }
}

/// What is wrong, without what to do.
fn short(trouble: &Trouble) -> String {
    let text = trouble.to_string();
    text.split_once(": correct").map_or(text.clone(), |(what, _)| what.to_owned())
}

/// How many minutes bars are apart, if all steps of all symbols are multiples of more than one.
fn step(rows: &VecDeque<Row>) -> Option<i64> {
    let mut last: BTreeMap<&Symbol, MarketTime> = BTreeMap::new();
    let (mut common, mut steps) = (0_i64, 0);
    for row in rows {
        if let Some(before) = last.insert(&row.symbol, row.stamp) {
            let step = (row.stamp.as_nanos() - before.as_nanos()).abs();
            if step > 0 {
                common = divisor(common, step);
                steps += 1;
            }
        }
    }
    (steps >= STEPS_NEEDED && common > MINUTE).then_some(common / MINUTE)
}

const fn divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { divisor(b, a % b) }
}
