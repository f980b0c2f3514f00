//! Files of any kind into Parquet, one a symbol and day of New York, laid out as a backfill does.
//!
//! Everything is written into a folder of its own first, and moved to its place when all of it is there: of
//! data that is refused, nothing is seen. What is in its place already with the same bytes stays, so that an
//! import that was cut off is just run again.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use jiff::civil::Date;
use parquet::errors::ParquetError;
use sandpit_types::{MarketEvent, Symbol};

use crate::{
    DataError, Findings, Kind, Reel, Wanted,
    day::Days,
    open,
    table::{Table, stamp},
};

/// Rows of one symbol and day that are written at once.
const GROUP_ROWS: usize = 1 << 16;

/// Rows that wait to be written, of all symbols: some 100 MB. Beyond that the most numerous are written.
const WAITING_MAX: usize = 1 << 20;

/// Where files are until all are there.
const STAGING: &str = ".sandpit-import";

/// Only one import writes there at a time.
const LOCK: &str = ".sandpit-import.lock";

/// What an import did.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Rows of all files.
    pub rows: u64,
    /// Files that were written.
    pub written: u64,
    /// Files that were there already, with the same rows.
    pub same: u64,
    /// What was told and repaired on the way.
    pub findings: Findings,
}

/// Reads files, and writes `OUT/bars|quotes|trades/SYMBOL/YYYY-MM-DD.parquet`. `watch` gets bytes read, and
/// how many there are.
///
/// # Errors
/// When the data is refused, OUT cannot be written or is being written, or has a file with other rows and
/// `replaces` is not set. Nothing has changed then, unless the disk fails while files are moved to their
/// places.
pub fn import(
    paths: &[PathBuf],
    wanted: Wanted,
    out: &Path,
    replaces: bool,
    watch: &mut dyn FnMut(u64, u64),
) -> Result<Imported, DataError> {
    let mut files = open(paths, wanted)?;
    let stage = Stage::open(out)?;
    let mut sheets = Sheets::new(stage.folder.clone());
    let mut events = Vec::new();
    loop {
        files.read(&mut events)?;
        if events.is_empty() {
            break;
        }
        for event in events.drain(..) {
            sheets.add(event)?;
        }
        watch(files.bytes_read(), files.bytes_total());
    }
    sheets.end_all()?;
    let mut imported = Imported { rows: sheets.rows, findings: files.findings(), ..Imported::default() };
    stage.settle(replaces, &mut imported)?;
    Ok(imported)
}

/// The file of one symbol and day while it is written.
#[derive(Default)]
struct Sheet {
    rows: Vec<MarketEvent>,
    table: Option<Table>,
}

/// The files of the days that are being written, one day of each kind.
struct Sheets {
    folder: PathBuf,
    days: Days,
    open: BTreeMap<Kind, (Date, BTreeMap<Symbol, Sheet>)>,
    waiting: usize,
    rows: u64,
}

impl Sheets {
    fn new(folder: PathBuf) -> Self {
        Self { folder, days: Days::new(), open: BTreeMap::new(), waiting: 0, rows: 0 }
    }

    fn add(&mut self, event: MarketEvent) -> Result<(), DataError> {
        let Some((kind, symbol)) = kind(&event).zip(event.symbol().cloned()) else { return Ok(()) };
        let date = self.days.of(stamp(&event)).date;
        if self.open.get(&kind).is_some_and(|(day, _)| *day != date) {
            self.end(kind)?;
        }
        let (_, sheets) = self.open.entry(kind).or_insert_with(|| (date, BTreeMap::new()));
        let sheet = sheets.entry(symbol.clone()).or_default();
        sheet.rows.push(event);
        (self.rows, self.waiting) = (self.rows + 1, self.waiting + 1);
        if sheet.rows.len() >= GROUP_ROWS {
            self.write(kind, &symbol)?;
        } else if self.waiting >= WAITING_MAX {
            let all =
                self.open.iter().flat_map(|(kind, (_, sheets))| sheets.iter().map(move |of| (kind, of)));
            let most = all.max_by_key(|(_, (_, sheet))| sheet.rows.len());
            if let Some((kind, symbol)) = most.map(|(kind, (symbol, _))| (*kind, symbol.clone())) {
                self.write(kind, &symbol)?;
            }
        }
        Ok(())
    }

    /// Writes the rows that wait of one symbol.
    fn write(&mut self, kind: Kind, symbol: &Symbol) -> Result<(), DataError> {
        let Some((date, sheet)) =
            self.open.get_mut(&kind).and_then(|(date, sheets)| Some((*date, sheets.get_mut(symbol)?)))
        else {
            return Ok(());
        };
        self.waiting -= sheet.rows.len();
        let folder = self.folder.join(kind.name()).join(folder_name(symbol)?);
        let path = folder.join(format!("{date}.parquet"));
        let mut write = || {
            if sheet.table.is_none() {
                fs::create_dir_all(&folder)?;
                sheet.table = Some(Table::create(&path, kind, symbol)?);
            }
            if let (Some(table), false) = (&mut sheet.table, sheet.rows.is_empty()) {
                table.add(&sheet.rows)?;
            }
            sheet.rows.clear();
            Ok(())
        };
        write().map_err(|error| unwritten(&path, error))
    }

    /// Ends the day of a kind.
    fn end(&mut self, kind: Kind) -> Result<(), DataError> {
        let Some((_, sheets)) = self.open.get(&kind) else { return Ok(()) };
        let symbols: Vec<Symbol> = sheets.keys().cloned().collect();
        for symbol in symbols {
            self.write(kind, &symbol)?;
            let sheet = self.open.get_mut(&kind).and_then(|(_, sheets)| sheets.remove(&symbol));
            if let Some(table) = sheet.and_then(|sheet| sheet.table) {
                table.end().map_err(|error| unwritten(&self.folder, error))?;
            }
        }
        self.open.remove(&kind);
        Ok(())
    }

    fn end_all(&mut self) -> Result<(), DataError> {
        [Kind::Quotes, Kind::Trades, Kind::Bars].into_iter().try_for_each(|kind| self.end(kind))
    }
}

/// The folder that files are in until all are there. It is gone when this goes.
struct Stage {
    out: PathBuf,
    folder: PathBuf,
    /// Held for as long as this lives; the kernel lets go of it when the process ends in whatever way.
    _lock: File,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What stays is removed by the next import.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Stage {
    fn open(out: &Path) -> Result<Self, DataError> {
        let folder = out.join(STAGING);
        let failed = |source| DataError::Write { path: out.to_owned(), source };
        fs::create_dir_all(out).map_err(failed)?;
        let lock = File::options().create(true).append(true).open(out.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataError::InUse { path: out.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        fs::create_dir(&folder).map_err(failed)?;
        Ok(Self { out: out.to_owned(), folder, _lock: lock })
    }

    /// Moves all files to their places, after it is sure that none is in the way.
    fn settle(&self, replaces: bool, imported: &mut Imported) -> Result<(), DataError> {
        self.each(&mut |from, to| {
            if !replaces && to.exists() && !is_same(from, to)? {
                return Err(DataError::Exists { path: to.to_owned() });
            }
            Ok(())
        })?;
        self.each(&mut |from, to| {
            if to.exists() && is_same(from, to)? {
                imported.same += 1;
                return Ok(());
            }
            let failed = |source| DataError::Write { path: to.to_owned(), source };
            let folder = to.parent().expect("a file has a folder");
            fs::create_dir_all(folder).map_err(failed)?;
            fs::rename(from, to).map_err(failed)?;
            imported.written += 1;
            Ok(())
        })?;
        self.sync()
    }

    /// Every file with its place.
    fn each(&self, with: &mut dyn FnMut(&Path, &Path) -> Result<(), DataError>) -> Result<(), DataError> {
        for kind in entries(&self.folder)? {
            for symbol in entries(&kind)? {
                for from in entries(&symbol)? {
                    let below = from.strip_prefix(&self.folder).expect("it lies in the folder");
                    with(&from, &self.out.join(below))?;
                }
            }
        }
        Ok(())
    }

    /// Makes the names last that were moved.
    fn sync(&self) -> Result<(), DataError> {
        let sync = |below: &Path| {
            let path = self.out.join(below);
            let synced = File::open(&path).and_then(|folder| folder.sync_all());
            synced.map_err(|source| DataError::Write { path, source })
        };
        let below = |path: &Path| path.strip_prefix(&self.folder).map(Path::to_owned).unwrap_or_default();
        for kind in entries(&self.folder)? {
            for symbol in entries(&kind)? {
                sync(&below(&symbol))?;
            }
            sync(&below(&kind))?;
        }
        sync(Path::new(""))
    }
}

/// What lies in a folder, in order of names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    let mut paths = read().map_err(|source| DataError::Io { path: folder.to_owned(), source })?;
    paths.sort();
    Ok(paths)
}

fn is_same(a: &Path, b: &Path) -> Result<bool, DataError> {
    let read = |path: &Path| fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source });
    let size = |path: &Path| fs::metadata(path).map(|data| data.len()).ok();
    Ok(size(a) == size(b) && read(a)? == read(b)?)
}

const fn kind(event: &MarketEvent) -> Option<Kind> {
    match event {
        MarketEvent::Bar(_) => Some(Kind::Bars),
        MarketEvent::Quote(_) => Some(Kind::Quotes),
        MarketEvent::Trade(_) => Some(Kind::Trades),
        _ => None,
    }
}

/// A symbol as the name of a folder: nothing that leads out of it.
fn folder_name(symbol: &Symbol) -> Result<&str, DataError> {
    let name = symbol.as_str();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_plain) {
        return Ok(name);
    }
    Err(DataError::Name { symbol: symbol.clone() })
}

fn unwritten(path: &Path, error: ParquetError) -> DataError {
    DataError::Write { path: path.to_owned(), source: io::Error::other(error) }
}
