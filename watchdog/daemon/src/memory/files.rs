//! The running system's files, opened once and read again from their start: an open costs more than a read of
//! these, and four samples a second are taken.

use std::{cell::RefCell, collections::BTreeMap, fs::File, io, os::unix::fs::FileExt};

/// Files that stay open; those beyond are opened for each read.
const OPEN_MAX: usize = 48;
/// No more of a file is read: the longest, `/proc/stat`, counts what nobody asks for behind its first line.
const READ_MAX_BYTES: usize = 16 * 1024;

/// Files that were read in this sample or the last.
#[derive(Debug, Default)]
pub(crate) struct Files {
    open: RefCell<BTreeMap<String, Kept>>,
    bytes: RefCell<Vec<u8>>,
}

#[derive(Debug)]
struct Kept {
    file: File,
    is_used: bool,
}

impl Files {
    /// The file's text; `None` when it is not there. One that has gone since it was opened, as those of a
    /// process or cgroup do, is looked for again by its name.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let mut open = self.open.borrow_mut();
        if let Some(kept) = open.get_mut(path) {
            if let Ok(text) = self.text(&kept.file) {
                kept.is_used = true;
                return Some(text);
            }
            open.remove(path);
        }
        let file = File::open(path).ok()?;
        let text = self.text(&file).ok()?;
        if open.len() < OPEN_MAX {
            open.insert(path.into(), Kept { file, is_used: true });
        }
        Some(text)
    }

    /// Closes what this sample did not read.
    pub(crate) fn end_sample(&self) {
        self.open.borrow_mut().retain(|_, kept| std::mem::take(&mut kept.is_used));
    }

    /// Closes everything: a number may mean another process now.
    pub(crate) fn forget(&self) {
        self.open.borrow_mut().clear();
    }

    /// A read may give less than there is, so it goes on until nothing comes.
    fn text(&self, file: &File) -> io::Result<String> {
        let mut bytes = self.bytes.borrow_mut();
        bytes.resize(READ_MAX_BYTES, 0);
        let mut length = 0;
        while length < READ_MAX_BYTES {
            match file.read_at(&mut bytes[length..], length as u64) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_anew_and_one_that_has_gone_is_looked_for_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f").to_str().expect("plain").to_owned();
        let files = Files::default();
        assert_eq!(files.read(&path), None);
        std::fs::write(&path, "one").expect("written");
        assert_eq!(files.read(&path).as_deref(), Some("one"));
        std::fs::write(&path, "two").expect("written");
        assert_eq!(files.read(&path).as_deref(), Some("two"));
        // Those of a process end with it.
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("it starts");
        let status = format!("/proc/{}/status", child.id());
        assert!(files.read(&status).is_some());
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert_eq!(files.read(&status), None);
    }

    #[test]
    fn what_is_read_no_more_is_closed_and_there_is_a_bound() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Files::default();
        for n in 0..2 * OPEN_MAX {
            let path = dir.path().join(n.to_string());
            std::fs::write(&path, n.to_string()).expect("written");
            assert_eq!(files.read(path.to_str().expect("plain")), Some(n.to_string()));
        }
        assert_eq!(files.open.borrow().len(), OPEN_MAX);
        files.end_sample();
        assert_eq!(files.open.borrow().len(), OPEN_MAX);
        files.end_sample();
        assert_eq!(files.open.borrow().len(), 0);
        let long = dir.path().join("long");
        std::fs::write(&long, vec![b'x'; READ_MAX_BYTES + 1]).expect("written");
        assert_eq!(files.read(long.to_str().expect("plain")).expect("there").len(), READ_MAX_BYTES);
    }
}
