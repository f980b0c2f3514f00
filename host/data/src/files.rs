//! Many files as one sequence.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, VecDeque},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use sandpit_types::{MarketEvent, MarketTime, Symbol};

use crate::{
    DataError, Finding, Findings, Kind, Mend, Reel,
    csv_file::Meter,
    group::{EARLIER_STAYS, IDENTICAL, LATER_STAYS},
    mend::Keep,
    source::{Source, is_data},
};

/// Events of one call, about.
const BATCH: usize = 4_096;

/// Files that are looked for below a folder.
const FILES_MAX: usize = 200_000;

/// What is wanted of files.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of which symbols; of all, if none are named.
    pub symbols: Option<BTreeSet<Symbol>>,
    /// What is known at this time or later.
    pub from: Option<MarketTime>,
    /// What is known before this time.
    pub to: Option<MarketTime>,
    /// What is repaired.
    pub mend: Mend,
}

/// The events of files, in one order.
pub struct Files {
    wanted: Wanted,
    /// Files that are not opened yet, the one that begins last first.
    later: Vec<(MarketTime, PathBuf)>,
    open: Vec<Option<Lane>>,
    heads: BinaryHeap<Reverse<Head>>,
    findings: Findings,
    kinds: BTreeSet<Kind>,
    meter: Meter,
    bytes: u64,
    /// Symbols that are wanted and had no event yet.
    unseen: BTreeSet<Symbol>,
    had_any: bool,
    is_over: bool,
}

/// A file that is open, and its events of one time.
struct Lane {
    source: Source,
    events: VecDeque<MarketEvent>,
}

/// The first event of a lane: by time, quotes before trades before bars, then by symbol.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    time: MarketTime,
    kind: Kind,
    symbol: Symbol,
    lane: usize,
}

/// Opens files, and all files of data below folders. Each is looked at: its header, and its first rows.
///
/// # Errors
/// When one cannot be read or is no data.
pub fn open(paths: &[PathBuf], wanted: Wanted) -> Result<Files, DataError> {
    let meter = Meter::default();
    let mut files = Files {
        later: Vec::new(),
        open: Vec::new(),
        heads: BinaryHeap::new(),
        findings: Findings::default(),
        kinds: BTreeSet::new(),
        bytes: 0,
        meter: meter.clone(),
        unseen: wanted.symbols.clone().unwrap_or_default(),
        had_any: false,
        is_over: false,
        wanted,
    };
    for path in all(paths)? {
        files.bytes += fs::metadata(&path).map_or(0, |data| data.len());
        let begins = files.first(&path)?;
        files.later.push((begins, path));
    }
    files.later.sort_by(|a, b| b.cmp(a));
    meter.store(0, Ordering::Relaxed);
    Ok(files)
}

/// The files that are meant, in order of their names.
pub(crate) fn all(paths: &[PathBuf]) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    for path in paths {
        let io = |source| DataError::Io { path: path.clone(), source };
        if fs::metadata(path).map_err(io)?.is_file() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        below(path, &mut found)?;
        if found.len() == before {
            return Err(DataError::NoFiles { path: path.clone() });
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn below(folder: &Path, into: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let io = |source| DataError::Io { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(io)?);
        if kind.is_dir() {
            // The news of a backfill is no market data; what begins with a dot is somebody's own.
            let name = entry.file_name();
            if name != "news" && !name.as_encoded_bytes().starts_with(b".") {
                below(&path, into)?;
            }
        } else if is_data(&path) {
            into.push(path);
        }
        if into.len() > FILES_MAX {
            let what = format!("has more than {FILES_MAX} files: name fewer");
            return Err(DataError::File { path: folder.to_owned(), what });
        }
    }
    Ok(())
}

impl Files {
    /// What was found on the way, and told: repairs, and what nobody has to do anything about.
    pub fn findings(&self) -> Findings {
        let mut findings = self.findings.clone();
        self.open.iter().flatten().for_each(|lane| findings.join(lane.source.findings.clone()));
        findings
    }

    /// What the files hold, as far as they were read.
    pub const fn kinds(&self) -> &BTreeSet<Kind> {
        &self.kinds
    }

    /// The size of all files, bytes.
    pub const fn bytes_total(&self) -> u64 {
        self.bytes
    }

    /// How much of that was read.
    pub fn bytes_read(&self) -> u64 {
        self.meter.load(Ordering::Relaxed).min(self.bytes)
    }

    /// Asks how much was read, while the files are read elsewhere.
    pub fn bytes_meter(&self) -> impl Fn() -> u64 + use<> {
        let (meter, bytes) = (self.meter.clone(), self.bytes);
        move || meter.load(Ordering::Relaxed).min(bytes)
    }

    /// When the first event of a file is known. A file that has none begins never, and says why once it is
    /// opened.
    fn first(&mut self, path: &Path) -> Result<MarketTime, DataError> {
        let mut source = Source::open(path, &self.wanted.mend, self.meter.clone())?;
        self.kinds.insert(source.kind);
        let mut events = VecDeque::new();
        source.next(&mut events)?;
        Ok(events.front().map_or(MarketTime::from_nanos(i64::MAX), MarketEvent::time))
    }

    /// The event of the first lane, which moves on. Other files may have it, too: it comes once.
    fn only(&mut self, head: &Head) -> Result<Option<MarketEvent>, DataError> {
        let (mut event, is_once, mut path) = self.take(head.lane)?;
        while is_once
            && let Some(Reverse(next)) = self.heads.peek()
            && (next.time, next.kind, &next.symbol) == (head.time, head.kind, &head.symbol)
            && self.is_once(next.lane)
            && let Some(Reverse(next)) = self.heads.pop()
        {
            let (other, _, place) = self.take(next.lane)?;
            let (Some(mine), Some(other)) = (&event, other) else { continue };
            let (symbol, time) = (&head.symbol, head.time);
            let is_earlier = place < path;
            let (what, takes_other) = match (*mine == other, self.wanted.mend.keep) {
                (true, _) => (IDENTICAL, false),
                (false, Some(Keep::First)) => (EARLIER_STAYS, is_earlier),
                (false, Some(Keep::Last)) => (LATER_STAYS, !is_earlier),
                (false, None) => {
                    let (a, b) = (path.display(), place.display());
                    let what = format!(
                        "has {symbol} known at {time} with other figures than {a}: take one of {a} and {b}, \
                         or keep one with --repair first or --repair last, in order of their names"
                    );
                    return Err(DataError::File { path: place.to_path_buf(), what });
                }
            };
            self.findings.add(what, || {
                format!("{} and {}: {symbol} known at {time}", path.display(), place.display())
            });
            if takes_other {
                (event, path) = (Some(other), place);
            }
        }
        Ok(event)
    }

    /// The first event of a lane, which moves on; whether a symbol has one at a time; its file.
    fn take(&mut self, at: usize) -> Result<(Option<MarketEvent>, bool, Arc<PathBuf>), DataError> {
        let is_once = self.is_once(at);
        let lane = self.open[at].as_mut().expect("a lane with a head is open");
        let (event, path) = (lane.events.pop_front(), lane.source.path.clone());
        self.advance(at)?;
        Ok((event, is_once, path))
    }

    /// Whether a symbol has one event of this lane at a time.
    fn is_once(&self, at: usize) -> bool {
        let is_once = |source: &Source| source.kind == Kind::Bars || source.is_sample();
        self.open[at].as_ref().is_some_and(|lane| is_once(&lane.source))
    }

    /// Says, once, what was wanted and not there.
    fn end(&mut self) -> Result<(), DataError> {
        if self.is_over {
            return Ok(());
        }
        self.is_over = true;
        if !self.had_any {
            return Err(DataError::NoRows { wanted: self.wanted.words() });
        }
        for symbol in std::mem::take(&mut self.unseen) {
            self.findings.add("symbols without a row", || symbol.to_string());
        }
        Ok(())
    }

    /// Opens every file that begins at this time or before.
    fn open_until(&mut self, time: MarketTime) -> Result<(), DataError> {
        while self.later.last().is_some_and(|(begins, _)| *begins <= time)
            && let Some((_, path)) = self.later.pop()
        {
            let source = Source::open(&path, &self.wanted.mend, self.meter.clone())?;
            let free = self.open.iter().position(Option::is_none).unwrap_or_else(|| {
                self.open.push(None);
                self.open.len() - 1
            });
            self.open[free] = Some(Lane { source, events: VecDeque::new() });
            self.advance(free)?;
        }
        Ok(())
    }

    /// Puts the next event of a lane in its place, or lets go of the lane.
    fn advance(&mut self, at: usize) -> Result<(), DataError> {
        let Some(lane) = &mut self.open[at] else { return Ok(()) };
        loop {
            if let Some(event) = lane.events.front() {
                let time = event.time();
                if self.wanted.is_over(time) {
                    break;
                }
                if self.wanted.is_of(event, time) {
                    let symbol = event.symbol().cloned().unwrap_or_else(|| Symbol::new(""));
                    let kind = lane.source.kind;
                    self.heads.push(Reverse(Head { time, kind, symbol, lane: at }));
                    return Ok(());
                }
                lane.events.pop_front();
            } else if !lane.source.next(&mut lane.events)? {
                break;
            }
        }
        if let Some(lane) = self.open[at].take() {
            self.findings.join(lane.source.findings);
        }
        Ok(())
    }
}

impl Wanted {
    /// In words.
    fn words(&self) -> String {
        let symbols = self.symbols.iter().map(|symbols| {
            let names: Vec<&str> = symbols.iter().take(10).map(Symbol::as_str).collect();
            format!(" of {}{}", names.join(","), if symbols.len() > names.len() { ",..." } else { "" })
        });
        let from = self.from.iter().map(|from| format!(" from {from} on"));
        let to = self.to.iter().map(|to| format!(" before {to}"));
        symbols.chain(from).chain(to).collect()
    }

    fn is_over(&self, time: MarketTime) -> bool {
        self.to.is_some_and(|to| time >= to)
    }

    fn is_of(&self, event: &MarketEvent, time: MarketTime) -> bool {
        let is_named =
            |symbols: &BTreeSet<Symbol>| event.symbol().is_some_and(|symbol| symbols.contains(symbol));
        self.from.is_none_or(|from| time >= from) && self.symbols.as_ref().is_none_or(is_named)
    }
}

impl Reel for Files {
    fn read(&mut self, into: &mut Vec<MarketEvent>) -> Result<(), DataError> {
        let full = into.len() + BATCH;
        while into.len() < full {
            let next = self.heads.peek().map(|Reverse(head)| head.time);
            let begins = self.later.last().map(|(begins, _)| *begins);
            if let Some(begins) = begins.filter(|begins| next.is_none_or(|next| *begins <= next)) {
                self.open_until(begins)?;
                continue;
            }
            let Some(Reverse(head)) = self.heads.pop() else { return self.end() };
            let event = self.only(&head)?;
            if !self.unseen.is_empty() {
                self.unseen.remove(&head.symbol);
            }
            self.had_any |= event.is_some();
            into.extend(event);
        }
        Ok(())
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, such as {}", self.count, self.examples.join("; "))
    }
}
