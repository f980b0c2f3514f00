//! One file as events in order of time, with what is wrong in it refused or mended.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use sandpit_types::MarketEvent;

use crate::{
    DataError, Findings, Kind, Mend, Place, Trouble,
    cadence::Cadence,
    columns::Columns,
    csv_file::{CsvFile, Meter},
    findings::{COLUMNS, EMPTY, SAMPLES},
    group::Group,
    parquet_file::ParquetFile,
    row::{MINUTE, Row},
};

/// Rows that are looked at before anything is delivered: how far apart they are.
const HEAD_ROWS: usize = 2_000;

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
    pub(crate) path: Arc<PathBuf>,
    rows: Rows,
    head: VecDeque<Row>,
    pub(crate) kind: Kind,
    /// Whether every row lies on a whole minute: bars always, quotes if they are samples.
    is_minutely: bool,
    group: Group,
    /// Of a file that another program wrote: ours have bars of a minute.
    is_ours: bool,
    cadence: Cadence,
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
        let (rows, columns, is_ours): (Rows, Columns, bool) = if is_parquet {
            let file = ParquetFile::open(&path, mend, meter)?;
            let (columns, is_ours) = (file.columns.clone(), file.is_ours);
            (Rows::Parquet(Box::new(file)), columns, is_ours)
        } else {
            let file = CsvFile::open(&path, mend, meter)?;
            let columns = file.columns.clone();
            (Rows::Csv(Box::new(file)), columns, false)
        };
        let kind = columns.kind;
        let mut source = Self {
            path,
            rows,
            head: VecDeque::new(),
            kind,
            is_minutely: kind == Kind::Bars,
            group: Group::new(kind, mend.keep),
            is_ours,
            cadence: Cadence::default(),
            mend: mend.clone(),
            findings: Findings::default(),
        };
        if !columns.others.is_empty() {
            let file = source.path.display().to_string();
            source.findings.add(COLUMNS, || format!("{file}: {}", columns.others.join(", ")));
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
                self.refuse_long(&self.cadence)?;
                return self.end(into);
            };
            if self.is_minutely && row.stamp.as_nanos() % MINUTE != 0 {
                return Err(self.refused(row.line, Trouble::OffMinute { time: row.stamp }));
            }
            let before = self.group.last();
            if let Some(before) = before.filter(|before| row.stamp < *before) {
                return Err(self.refused(row.line, Trouble::Unsorted { before, after: row.stamp }));
            }
            if before == Some(row.stamp) {
                self.group.add(row);
                continue;
            }
            if self.kind == Kind::Bars {
                self.cadence.see(row.stamp);
            }
            let had_any = self.end(into)?;
            self.group.add(row);
            if had_any {
                return Ok(true);
            }
        }
    }

    /// Gives out what is there of the time that is over.
    fn end(&mut self, into: &mut VecDeque<MarketEvent>) -> Result<bool, DataError> {
        let ended = self.group.end(self.is_sample(), into, &mut self.findings, &self.path);
        ended.map_err(|(line, trouble)| self.refused(line, trouble))
    }

    /// Whether its quotes stand for whole minutes, each symbol's once.
    pub(crate) const fn is_sample(&self) -> bool {
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
                if row.is_cut(self.kind) {
                    let place = self.place(row.line);
                    self.findings.add("sizes cut to whole shares", || place.to_string());
                }
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
        if self.head.is_empty() {
            return self.without_a_row();
        }
        match self.kind {
            Kind::Bars => self.refuse_long(&Cadence::of(&self.head))?,
            Kind::Quotes => {
                // Ours are at the end of their minute already.
                self.is_minutely =
                    !self.is_ours && self.head.iter().all(|row| row.stamp.as_nanos() % MINUTE == 0);
                if self.is_minutely {
                    let path = self.path.display().to_string();
                    self.findings.add(SAMPLES, || path);
                }
            }
            Kind::Trades => {}
        }
        Ok(())
    }

    /// A table without a row is a day on which nothing happened, as a backfill writes it; an empty text is a
    /// mistake.
    fn without_a_row(&mut self) -> Result<(), DataError> {
        let path = self.path.to_path_buf();
        if self.is_ours {
            self.findings.add(EMPTY, || path.display().to_string());
            return Ok(());
        }
        let what = "has a header and no row that can be used: remove it, or fetch it again".to_owned();
        Err(DataError::File { path, what })
    }

    fn refuse_long(&self, cadence: &Cadence) -> Result<(), DataError> {
        let Some(minutes) = cadence.minutes().filter(|_| self.kind == Kind::Bars && !self.is_ours) else {
            return Ok(());
        };
        let what = format!(
            "its bars are {minutes} minutes apart: they are longer than a minute, and taken for minutes they \
             would show the future; take one-minute bars"
        );
        Err(DataError::File { path: self.path.to_path_buf(), what })
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
