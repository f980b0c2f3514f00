//! Where segments are written, and how much room there is: files, and in tests a disk that is full.

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

    /// How much room there is.
    fn space(&self) -> io::Result<Space>;
}

/// The room on a disk, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// What may still be written by whoever is not root.
    pub(crate) free: u64,
    /// What the disk holds in all.
    pub(crate) total: u64,
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

    fn space(&self) -> io::Result<Space> {
        // The folder comes with its first segment: it will be where the nearest one is that is there.
        let there = self.0.ancestors().find(|folder| folder.exists()).unwrap_or(&self.0);
        let disk = rustix::fs::statvfs(there)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Space { free: bytes(disk.f_bavail), total: bytes(disk.f_blocks) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_that_of_the_disk_even_before_the_folder_is_there() {
        let root = tempfile::tempdir().expect("a folder");
        let space = Folder(root.path().join("not/yet/there")).space().expect("a disk");
        assert_eq!(space.total, Folder(root.path().to_owned()).space().expect("a disk").total);
        assert!(space.total > 0 && space.free <= space.total, "{space:?}");
    }
}
