//! Where segments are written: files, and in tests a disk that is full.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
};

/// A place for the segments of one session.
pub(crate) trait Disk: Send + 'static {
    /// A segment that is being written.
    type Segment: Segment;

    /// Makes a new, empty segment.
    fn create(&mut self, number: u32) -> io::Result<Self::Segment>;

    /// Takes one away of which nothing could be written.
    fn remove(&mut self, number: u32) -> io::Result<()>;
}

/// A segment that is being written.
pub(crate) trait Segment: Send {
    /// Writes all of it at the end; on an error some of it may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts what is behind `length`.
    fn cut(&mut self, length: u64) -> io::Result<()>;

    /// Waits until everything is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// The folder of a session. It is made with its first segment.
pub(crate) struct Folder(pub(crate) PathBuf);

/// The file of a segment in its session's folder.
pub(crate) fn segment_name(number: u32) -> String {
    format!("{number:04}.journal")
}

impl Disk for Folder {
    type Segment = File;

    fn create(&mut self, number: u32) -> io::Result<File> {
        fs::create_dir_all(&self.0)?;
        let path = self.0.join(segment_name(number));
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        // Sessions have names of their own: what is there already is what a full disk left of this one.
        file.set_len(0)?;
        // The name has to outlive the machine, too.
        File::open(&self.0)?.sync_all()?;
        Ok(file)
    }

    fn remove(&mut self, number: u32) -> io::Result<()> {
        fs::remove_file(self.0.join(segment_name(number)))
    }
}

impl Segment for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
