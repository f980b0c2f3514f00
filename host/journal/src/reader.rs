//! Reads a session, one piece after the other, also while it is written. Nothing is changed.
//!
//! A log that just stops (the host was killed) is cut at its last whole frame. Everything else that is not as
//! it was written is named with its segment and offset.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use sandpit_strategy::Entry;
use sandpit_types::StrategyName;

use crate::{
    FORMAT, JournalError,
    disk::segment_name,
    frame::{self, BODY_BYTES_MAX, Found, Frame, Header},
    segments::{MAGIC, SEGMENT_BYTES},
};

/// The largest segment that is read, bytes.
const READ_BYTES_MAX: u64 = SEGMENT_BYTES + 2 * BODY_BYTES_MAX as u64;

/// The sessions in a journal's folder, oldest first: the folders in it that have a segment.
pub(crate) fn sessions(root: &Path) -> io::Result<Vec<String>> {
    let listing = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        outcome => outcome?,
    };
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && fs::read_dir(entry.path())
                .is_ok_and(|files| files.flatten().any(|file| is_segment_file(&file)))
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The newest session in a journal's folder.
///
/// # Errors
/// When the folder cannot be read.
pub fn latest(root: &Path) -> Result<Option<String>, JournalError> {
    sessions(root).map(|mut names| names.pop()).map_err(JournalError::io("read", root))
}

/// The strategies of a session, as far as it can be read.
///
/// # Errors
/// When it cannot be opened.
pub fn strategies(folder: &Path) -> Result<BTreeSet<StrategyName>, JournalError> {
    let mut reader = Reader::open(folder)?;
    let mut names = BTreeSet::new();
    while reader.end.is_none() {
        match reader.frame() {
            Ok(Some(Piece::Opened { strategy, .. })) => {
                names.insert(strategy);
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    Ok(names)
}

/// Whether a file of this name is a segment.
pub(crate) fn is_segment(name: &str) -> bool {
    name.strip_suffix(".journal").is_some_and(|number| number.len() >= 4 && number.parse::<u32>().is_ok())
}

fn is_segment_file(file: &fs::DirEntry) -> bool {
    file.file_name().to_str().is_some_and(is_segment)
}

/// One piece of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// From here on this strand is this strategy's.
    Opened {
        /// A number that is used once in a session.
        strand: u32,
        /// The strategy.
        strategy: StrategyName,
    },
    /// An entry.
    Entry {
        /// In which strand.
        strand: u32,
        /// Its number there, counted from zero.
        number: u64,
        /// The entry.
        entry: Box<Entry>,
    },
    /// Entries of a strand could not be kept.
    Gap {
        /// In which strand.
        strand: u32,
        /// The number of the first lost one.
        first: u64,
        /// How many.
        lost: u64,
    },
}

/// How a session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The host ended it.
    Closed,
    /// It just stops: the host runs still, or was killed.
    Open,
    /// It stops within a frame, which is left out.
    Torn {
        /// The segment.
        path: PathBuf,
        /// Where the last whole frame ends.
        offset: u64,
    },
}

/// Reads one session.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    host: String,
    segment: Segment,
    /// The number that is expected next, by strand.
    strands: BTreeMap<u32, u64>,
    /// Of the frame that was read last.
    entries: Entries,
    end: Option<End>,
}

/// A segment in memory.
#[derive(Debug)]
struct Segment {
    number: u32,
    path: PathBuf,
    bytes: Vec<u8>,
    at: usize,
    /// Whether its header is whole; without one nothing else is read.
    has_header: bool,
    /// Whether a later one was there before this one was read: then nothing is added to it any more.
    is_complete: bool,
}

#[derive(Debug, Default)]
struct Entries {
    strand: u32,
    next: u64,
    left: u32,
    bytes: Vec<u8>,
    at: usize,
    /// Where the frame stands.
    offset: u64,
}

impl Reader {
    /// Opens the session in this folder.
    ///
    /// # Errors
    /// When there is none, its first segment cannot be read, or a later host wrote it.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let has_segments = fs::read_dir(folder)
            .map(|files| files.flatten().any(|file| is_segment_file(&file)))
            .unwrap_or_default();
        if !has_segments {
            return Err(JournalError::NoSession { path: folder.to_owned() });
        }
        let Some((segment, header)) = load(folder, 0)? else {
            return Err(JournalError::Missing { path: folder.join(segment_name(0)) });
        };
        Ok(Self {
            folder: folder.to_owned(),
            host: header.map(|header| header.host).unwrap_or_default(),
            segment,
            strands: BTreeMap::new(),
            entries: Entries::default(),
            end: None,
        })
    }

    /// The version of the host that wrote it; empty when the log stops before that.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How the session ends, once [`Reader::next_piece`] has given its last piece.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the log is damaged there, or cannot be read. Nothing can be read after that.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, JournalError> {
        loop {
            if self.entries.left > 0 {
                return self.entry().map(Some);
            }
            if self.end.is_some() {
                return Ok(None);
            }
            if let Some(piece) = self.frame()? {
                return Ok(Some(piece));
            }
        }
    }

    /// The next entry of the frame that was read last.
    fn entry(&mut self) -> Result<Piece, JournalError> {
        let Entries { strand, next: number, offset, .. } = self.entries;
        let unreadable =
            |_| self.segment.damaged(offset, format!("entry {number} of strand {strand} makes no sense"));
        let (entry, rest) =
            postcard::take_from_bytes(&self.entries.bytes[self.entries.at..]).map_err(unreadable)?;
        self.entries.at = self.entries.bytes.len() - rest.len();
        self.entries.next += 1;
        self.entries.left -= 1;
        if self.entries.left == 0 && !rest.is_empty() {
            return Err(self.segment.damaged(offset, "a frame has more than its entries".into()));
        }
        Ok(Piece::Entry { strand, number, entry: Box::new(entry) })
    }

    /// Reads one frame; a piece, if it is one by itself.
    fn frame(&mut self) -> Result<Option<Piece>, JournalError> {
        let offset = self.segment.at as u64;
        let found = match self.segment.has_header {
            true => frame::look(&self.segment.bytes[self.segment.at..]),
            false => Found::Torn,
        };
        let (frame, length) = match found {
            Found::Frame(frame, length) => (frame, length),
            found @ (Found::End | Found::Torn) => {
                self.end_of_segment(found == Found::Torn)?;
                return Ok(None);
            }
            Found::Damaged(detail) => return Err(self.segment.damaged(offset, detail.into())),
        };
        self.segment.at += length;
        match frame {
            Frame::Header(_) => Err(self.segment.damaged(offset, "a header stands in the middle".into())),
            Frame::Closed => {
                self.end = Some(End::Closed);
                Ok(None)
            }
            Frame::Named { strand, name } => {
                let strategy = StrategyName::parse(&name)
                    .map_err(|error| self.segment.damaged(offset, error.to_string()))?;
                self.strands.insert(strand, 0);
                Ok(Some(Piece::Opened { strand, strategy }))
            }
            Frame::Gap { strand, first, lost } => {
                self.follow(offset, strand, first, lost)?;
                Ok(Some(Piece::Gap { strand, first, lost }))
            }
            Frame::Entries { strand, first, count, payload } => {
                self.follow(offset, strand, first, u64::from(count))?;
                self.entries = Entries { strand, next: first, left: count, bytes: payload, at: 0, offset };
                Ok(None)
            }
        }
    }

    /// Entries of a strand follow each other without a hole, or something is missing here.
    fn follow(&mut self, offset: u64, strand: u32, first: u64, count: u64) -> Result<(), JournalError> {
        let Some(next) = self.strands.get_mut(&strand) else {
            return Err(self.segment.damaged(offset, format!("strand {strand} has no name")));
        };
        if *next != first {
            let detail = format!("entry {first} of strand {strand} follows, {next} was expected");
            return Err(self.segment.damaged(offset, detail));
        }
        *next = next.saturating_add(count);
        Ok(())
    }

    fn end_of_segment(&mut self, is_torn: bool) -> Result<(), JournalError> {
        let offset = self.segment.at as u64;
        let next = self.segment.number + 1;
        if self.segment.is_complete {
            if is_torn {
                return Err(self.segment.damaged(offset, "a frame is not whole".into()));
            }
            let Some((segment, _)) = load(&self.folder, next)? else {
                return Err(JournalError::Missing { path: self.folder.join(segment_name(next)) });
            };
            self.segment = segment;
        } else if self.folder.join(segment_name(next)).exists() {
            // It was written on meanwhile, and the next one was begun, or died as it was.
            let (at, length) = (self.segment.at, self.segment.bytes.len());
            if let Some((segment, _)) = load(&self.folder, self.segment.number)? {
                self.segment = Segment { at, ..segment };
            }
            if !self.segment.is_complete && self.segment.bytes.len() == length {
                self.end = Some(End::Torn { path: self.folder.join(segment_name(next)), offset: 0 });
            }
        } else {
            let path = self.segment.path.clone();
            self.end = Some(if is_torn { End::Torn { path, offset } } else { End::Open });
        }
        Ok(())
    }
}

impl Segment {
    fn damaged(&self, offset: u64, detail: String) -> JournalError {
        JournalError::Damaged { path: self.path.clone(), offset, detail }
    }
}

/// A segment, cut to what counts of it; `None` when it is not there. A header that was torn off is none.
fn load(folder: &Path, number: u32) -> Result<Option<(Segment, Option<Header>)>, JournalError> {
    let later = first_behind(folder, number)?;
    if later.is_some_and(|later| later != number + 1) {
        return Err(JournalError::Missing { path: folder.join(segment_name(number + 1)) });
    }
    let Some((mut segment, header)) = load_alone(folder, number)? else { return Ok(None) };
    if later.is_none() {
        return Ok(Some((segment, header)));
    }
    if let Some((_, Some(after))) = load_alone(folder, number + 1)? {
        segment.is_complete = true;
        let counts = usize::try_from(after.before_bytes).unwrap_or(usize::MAX);
        if segment.bytes.len() < counts {
            let detail = format!("it has had {counts} bytes");
            return Err(segment.damaged(segment.bytes.len() as u64, detail));
        }
        segment.bytes.truncate(counts);
    }
    Ok(Some((segment, header)))
}

/// The lowest number of a segment behind this one.
fn first_behind(folder: &Path, number: u32) -> Result<Option<u32>, JournalError> {
    let listing = fs::read_dir(folder).map_err(JournalError::io("read", folder))?;
    let names = listing.flatten().filter_map(|file| file.file_name().into_string().ok());
    let numbers = names.filter(|name| is_segment(name));
    let numbers = numbers.filter_map(|name| name.strip_suffix(".journal")?.parse::<u32>().ok());
    Ok(numbers.filter(|other| *other > number).min())
}

fn load_alone(folder: &Path, number: u32) -> Result<Option<(Segment, Option<Header>)>, JournalError> {
    let path = folder.join(segment_name(number));
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(READ_BYTES_MAX + 1).read_to_end(&mut bytes)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        outcome => outcome.map_err(JournalError::io("read", &path))?,
    };
    let mut segment = Segment { number, path, bytes, at: 0, has_header: false, is_complete: false };
    if segment.bytes.len() as u64 > READ_BYTES_MAX {
        return Err(segment.damaged(0, "it is larger than a segment gets".into()));
    }
    let header = header(&segment)?;
    if let Some((_, length)) = &header {
        segment.at = *length;
        segment.has_header = true;
    }
    Ok(Some((segment, header.map(|(header, _)| header))))
}

/// The header and its bytes; `None` when it was torn off.
fn header(segment: &Segment) -> Result<Option<(Header, usize)>, JournalError> {
    let bytes = &segment.bytes;
    let begins = bytes.len().min(MAGIC.len());
    if bytes[..begins] != MAGIC[..begins] && bytes.iter().any(|byte| *byte != 0) {
        return Err(segment.damaged(0, "it does not begin like a journal".into()));
    }
    match frame::look(bytes.get(MAGIC.len()..).unwrap_or_default()) {
        Found::Frame(Frame::Header(header), _) if header.format > FORMAT => {
            Err(JournalError::Newer { path: segment.path.clone(), format: header.format, host: header.host })
        }
        Found::Frame(Frame::Header(header), _) if header.number != segment.number => {
            Err(segment.damaged(MAGIC.len() as u64, format!("it says that it is segment {}", header.number)))
        }
        Found::Frame(Frame::Header(header), length) => Ok(Some((header, MAGIC.len() + length))),
        Found::End | Found::Torn => Ok(None),
        Found::Frame(..) => Err(segment.damaged(MAGIC.len() as u64, "it has no header".into())),
        Found::Damaged(detail) => Err(segment.damaged(MAGIC.len() as u64, detail.into())),
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
pub(crate) mod tests;
