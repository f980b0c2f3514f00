//! The segments of one session while it is written: whole frames go in, or nothing does.

use std::io;

use crate::{
    FORMAT,
    disk::{Disk, Segment, Space},
    frame::{self, Frame, Header},
};

/// A segment ends before it would have more bytes than this.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// What every segment begins with.
pub(crate) const MAGIC: [u8; 8] = *b"sandpitJ";

/// What is written into every segment.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) session: String,
    pub(crate) host: String,
}

/// The one writer of a session.
pub(crate) struct Segments<D: Disk> {
    disk: D,
    origin: Origin,
    /// Of one segment, bytes.
    limit: u64,
    open: Option<Open<D::Segment>>,
    next: u32,
    /// How many bytes of the last closed segment count.
    before_bytes: u64,
    /// Whole bytes in closed segments.
    closed_bytes: u64,
}

struct Open<S> {
    file: S,
    number: u32,
    /// Whole bytes: up to here it can be read.
    bytes: u64,
    header_bytes: u64,
    is_dirty: bool,
}

impl<D: Disk> Segments<D> {
    pub(crate) fn new(disk: D, origin: Origin, limit: u64) -> Self {
        Self { disk, origin, limit, open: None, next: 0, before_bytes: 0, closed_bytes: 0 }
    }

    /// Bytes that can be read.
    pub(crate) fn bytes(&self) -> u64 {
        self.closed_bytes + self.open.as_ref().map_or(0, |open| open.bytes)
    }

    /// How many segments there are.
    pub(crate) fn count(&self) -> u32 {
        self.next
    }

    /// How much room there is for more.
    pub(crate) fn space(&self) -> io::Result<Space> {
        self.disk.space()
    }

    /// Whether frames of so many bytes begin a new segment.
    pub(crate) fn begins(&self, bytes: u64) -> bool {
        self.open
            .as_ref()
            .is_none_or(|open| open.bytes > open.header_bytes && open.bytes + bytes > self.limit)
    }

    /// Appends whole frames: all of them, or on an error none that a reader would see.
    pub(crate) fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        if self.begins(frames.len() as u64) {
            self.close();
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(begin(&mut self.disk, &self.origin, self.next, self.before_bytes)?),
        };
        self.next = open.number + 1;
        let outcome = open.file.append(frames);
        open.is_dirty = true;
        match outcome {
            Ok(()) => {
                open.bytes += frames.len() as u64;
                Ok(())
            }
            Err(error) => {
                // What is behind the whole bytes is cut, here or by the next segment's word on this one.
                let is_cut = open.file.cut(open.bytes).is_ok();
                if !is_cut || open.bytes > open.header_bytes {
                    self.close();
                }
                Err(error)
            }
        }
    }

    /// Brings everything to the disk that is not there yet.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let Some(open) = self.open.as_mut().filter(|open| open.is_dirty) else { return Ok(()) };
        let outcome = open.file.sync();
        open.is_dirty = false;
        if outcome.is_err() {
            // After a failed sync the system forgets what was not written: a later success proves nothing.
            self.close();
        }
        outcome
    }

    /// Ends the open segment. What cannot be synced now is told by the next sync that fails.
    fn close(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        if open.is_dirty && open.file.sync().is_err() {
            tracing::warn!(segment = open.number, "a segment of the journal may not be on the disk");
        }
        self.before_bytes = open.bytes;
        self.closed_bytes += open.bytes;
    }
}

/// Makes a segment with its header, or leaves nothing behind.
fn begin<D: Disk>(
    disk: &mut D,
    origin: &Origin,
    number: u32,
    before_bytes: u64,
) -> io::Result<Open<D::Segment>> {
    let mut file = disk.create(number)?;
    let mut bytes = MAGIC.to_vec();
    let Origin { session, host } = origin.clone();
    frame::put(&mut bytes, &Frame::Header(Header { format: FORMAT, number, before_bytes, session, host }));
    if let Err(error) = file.append(&bytes) {
        drop(file);
        // What cannot be removed either is emptied by the next try.
        let _ = disk.remove(number);
        return Err(error);
    }
    let header_bytes = bytes.len() as u64;
    Ok(Open { file, number, bytes: header_bytes, header_bytes, is_dirty: true })
}
