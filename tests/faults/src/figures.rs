//! The figures of a test: printed, and kept in a file beside the build.

use std::{
    fmt::Display,
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    time::Duration,
};

/// One line of figures: `name: word value, word value`.
#[derive(Debug)]
pub struct Figures {
    name: &'static str,
    parts: Vec<String>,
}

impl Figures {
    /// The figures of the test `name`.
    pub const fn of(name: &'static str) -> Self {
        Self { name, parts: Vec::new() }
    }

    /// One more figure.
    #[must_use]
    pub fn and(mut self, word: &str, value: impl Display) -> Self {
        self.parts.push(format!("{word} {value}"));
        self
    }

    /// The median and the largest of some times.
    #[must_use]
    pub fn times(self, word: &str, times: &[Duration]) -> Self {
        let mut sorted = times.to_vec();
        sorted.sort();
        let Some(last) = sorted.last() else { return self.and(word, "never") };
        let middle = sorted[sorted.len() / 2];
        self.and(&format!("{word} p50/max"), format!("{}/{}", millis(middle), millis(*last)))
    }

    /// Prints the line and appends it to `faults/figures.txt` in the target folder. Call it before the
    /// assertions: a test that fails has figures, too.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn tell(self) {
        let line = format!("{}: {}\n", self.name, self.parts.join(", "));
        print!("{line}");
        let path = file();
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("the target folder is ours");
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the target folder");
        // One write a line: tests run side by side.
        file.write_all(line.as_bytes()).expect("the disk has room for a line");
    }
}

/// A time for people.
pub fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

fn file() -> PathBuf {
    let here = std::env::current_exe().expect("a test knows its own path");
    here.ancestors().nth(3).expect("target/PROFILE/deps/TEST").join("faults").join("figures.txt")
}
