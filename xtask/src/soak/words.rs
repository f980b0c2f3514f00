//! Lines of the log that a person should see, grouped: what differs in figures only is one group.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// Most groups; what comes after them is counted as one.
const MAX_GROUPS: usize = 300;
/// A group's text is cut here.
const MAX_COLUMNS: usize = 220;
/// Fields whose value says of whom a line tells: it does not part groups.
const NAMED: [&str; 4] = ["order", "strategy", "symbol", "client_order_id"];
/// What is not known belongs here once there are too many groups.
const OTHERS: &str = "other lines";

/// Reads a file that grows.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    read_to: u64,
    rest: Vec<u8>,
}

impl Tail {
    /// Counts the new warnings and errors by group.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn count(&mut self, path: &Path, groups: &mut BTreeMap<String, u64>) -> anyhow::Result<()> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.read_to))?;
        self.read_to += file.read_to_end(&mut self.rest)? as u64;
        let whole = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        for line in String::from_utf8_lossy(&self.rest[..whole]).lines() {
            if let Some(group) = group(line) {
                add(groups, group, 1);
            }
        }
        self.rest.drain(..whole);
        Ok(())
    }
}

/// Counts some lines of a group.
pub(crate) fn add(groups: &mut BTreeMap<String, u64>, group: String, count: u64) {
    let has_room = groups.len() < MAX_GROUPS || groups.contains_key(&group);
    *groups.entry(if has_room { group } else { OTHERS.to_owned() }).or_default() += count;
}

/// The group of a line: its level and its words, with `#` for every figure and `*` for whom it tells of.
/// `None` for what only informs.
fn group(line: &str) -> Option<String> {
    let level = ["ERROR", "WARN"].into_iter().find(|level| line.contains(&format!(" {level} ")));
    let words = match level {
        Some(level) => {
            let at = line.find(&format!(" {level} "))?;
            line[at + 1..].to_owned()
        }
        None if line.contains("panicked at") => line.to_owned(),
        None => return None,
    };
    let plain = |word: &str| match word.split_once('=').filter(|(name, _)| NAMED.contains(name)) {
        Some((name, _)) => format!("{name}=*"),
        None => figures(word),
    };
    let words: Vec<String> = words.split_whitespace().map(plain).collect();
    Some(words.join(" ").chars().take(MAX_COLUMNS).collect())
}

/// A word with its figures, and letters among them, as `#`.
fn figures(word: &str) -> String {
    let mut out = String::new();
    let is_figure = |part: &str| part.chars().any(|c| c.is_ascii_digit());
    for part in word.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let (body, end) = match part.char_indices().last() {
            Some((at, last)) if !last.is_ascii_alphanumeric() => part.split_at(at),
            _ => (part, ""),
        };
        let body = if is_figure(body) { "#" } else { body };
        out.push_str(body);
        out.push_str(end);
    }
    while out.contains("#.#") || out.contains("#-#") || out.contains("#:#") {
        out = out.replace("#.#", "#").replace("#-#", "#").replace("#:#", "#");
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn lines_that_differ_in_figures_are_one_group() {
        let one = "2026-03-16T13:30:00.1Z  WARN stream down for 12.5s id=sp-sma_cross-00ff-12 after=\"3ms\"";
        let two = "2026-03-17T13:30:00.2Z  WARN stream down for 9s id=sp-sma_cross-01ab-3 after=\"77ms\"";
        let expected = "WARN stream down for # id=sp-sma_cross-# after=\"#\"";
        assert_eq!(group(one).as_deref(), Some(expected));
        assert_eq!(group(two).as_deref(), Some(expected));
        let told = group("Z  WARN rejected order=sp-a-1 strategy=a symbol=F code=3");
        assert_eq!(told.as_deref(), Some("WARN rejected order=* strategy=* symbol=* code=#"));
        assert_eq!(group("2026-03-17T13:30:00.2Z  INFO all is well"), None);
        assert!(group("thread 'main' panicked at src/main.rs:3:4").is_some());
    }

    #[test]
    fn a_growing_file_is_counted_once_and_by_whole_lines() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("log");
        let mut file = File::create(&path).expect("a file");
        let (mut tail, mut groups) = (Tail::default(), BTreeMap::new());
        let mut check = |text: &str, expected: u64| {
            file.write_all(text.as_bytes()).expect("writes");
            tail.count(&path, &mut groups).expect("reads");
            assert_eq!(groups.get("ERROR no #").copied().unwrap_or(0), expected, "{groups:?}");
        };
        check("Z ERROR no 1\nZ ERR", 1);
        check("OR no 2\n", 2);
        check("", 2);
        let mut many = BTreeMap::new();
        (0..2 * MAX_GROUPS).for_each(|n| add(&mut many, format!("a{n}"), 1));
        assert_eq!((many.len(), many.values().sum::<u64>()), (MAX_GROUPS + 1, 2 * MAX_GROUPS as u64));
    }
}
