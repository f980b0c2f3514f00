//! An entry of systemd's journal in its native form
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>), as bytes of one datagram.

/// Bytes of the message that are kept.
pub const MAX_MESSAGE_TEXT: usize = 16 * 1024;
/// Bytes of another field's value that are kept.
pub const MAX_FIELD_TEXT: usize = 512;
/// Bytes of a whole entry: well below what a socket takes at once. A field that does not fit is left out.
pub const MAX_ENTRY_BYTES: usize = 24 * 1024;
/// Where journald listens.
pub const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry(Vec<u8>);

impl JournalEntry {
    /// An entry of this program. `priority` is syslog's: 3 somebody must act, 4 put right by itself, 5 a
    /// change of state, 6 anything else, 7 for whoever looks for a fault.
    pub fn new(program: &str, priority: u8, message: &str) -> Self {
        let mut entry = Self(Vec::with_capacity(256));
        entry.put("MESSAGE", message, MAX_MESSAGE_TEXT);
        entry.put("PRIORITY", &priority.to_string(), MAX_FIELD_TEXT);
        entry.put("SYSLOG_IDENTIFIER", program, MAX_FIELD_TEXT);
        entry
    }

    /// Adds a field. Its name is of capital letters, digits and `_`, and begins with a letter.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.put(name, value, MAX_FIELD_TEXT);
        self
    }

    /// The datagram.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn put(&mut self, name: &str, value: &str, most: usize) {
        let value = &value[..value.floor_char_boundary(most)];
        // What the two forms need besides name and value.
        let fits = self.0.len() + name.len() + value.len() + 10 <= MAX_ENTRY_BYTES;
        if !is_name(name) || !fits {
            return;
        }
        self.0.extend_from_slice(name.as_bytes());
        if value.bytes().any(|byte| byte < b' ') {
            // The form with a length: a line's end in the value cannot forge a field.
            self.0.push(b'\n');
            self.0.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }
}

/// Whether standard error is the journal, by the variable `JOURNAL_STREAM` and the device and inode of that
/// descriptor.
pub fn is_journal(variable: Option<&str>, device: u64, inode: u64) -> bool {
    let both = variable.and_then(|text| text.split_once(':'));
    both.is_some_and(|(dev, ino)| dev.parse() == Ok(device) && ino.parse() == Ok(inode))
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    name.bytes().all(plain) && name.starts_with(|first: char| first.is_ascii_uppercase()) && name.len() <= 64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What journald reads out of a datagram.
    fn fields(mut bytes: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| matches!(byte, b'=' | b'\n')).expect("a name ends");
            let name = String::from_utf8(bytes[..end].to_vec()).expect("text");
            let (value, rest) = if bytes[end] == b'=' {
                let value = &bytes[end + 1..];
                let end = value.iter().position(|byte| *byte == b'\n').expect("a value ends");
                (&value[..end], &value[end + 1..])
            } else {
                let (length, value) = bytes[end + 1..].split_first_chunk::<8>().expect("a length");
                let length = usize::try_from(u64::from_le_bytes(*length)).expect("small");
                assert_eq!(value[length], b'\n');
                (&value[..length], &value[length + 1..])
            };
            fields.push((name, String::from_utf8(value.to_vec()).expect("text")));
            bytes = rest;
        }
        fields
    }

    #[test]
    fn an_entry_is_written_as_journald_reads_it() {
        let entry = JournalEntry::new("sandpit", 3, "[KILL] x").with("KILL_LAYER", "flag");
        let expected = b"MESSAGE=[KILL] x\nPRIORITY=3\nSYSLOG_IDENTIFIER=sandpit\nKILL_LAYER=flag\n";
        assert_eq!(entry.bytes(), expected);
        let entry = JournalEntry::new("a", 6, "1\n2");
        assert_eq!(entry.bytes(), b"MESSAGE\n\x03\0\0\0\0\0\0\x001\n2\nPRIORITY=6\nSYSLOG_IDENTIFIER=a\n");
        let zero = JournalEntry::new("a", 6, "x\0y");
        assert_eq!(fields(zero.bytes())[0], ("MESSAGE".into(), "x\0y".into()));
    }

    #[test]
    fn what_is_no_name_and_what_does_not_fit_is_left_out() {
        for name in ["", "lower", "_TRANSPORT", "1ST", "A=B", "A\nB", &"A".repeat(65)] {
            assert_eq!(
                JournalEntry::new("a", 6, "x").with(name, "v"),
                JournalEntry::new("a", 6, "x"),
                "{name}"
            );
        }
        let mut entry = JournalEntry::new("a", 6, &"ä".repeat(MAX_MESSAGE_TEXT));
        assert_eq!(fields(entry.bytes())[0].1.len(), MAX_MESSAGE_TEXT);
        for _ in 0..100 {
            entry = entry.with("FIELD", &"x".repeat(MAX_FIELD_TEXT + 1));
        }
        let kept = fields(entry.bytes());
        assert!(kept.len() > 10 && kept.last().expect("kept").1.len() == MAX_FIELD_TEXT);
        assert!(entry.bytes().len() <= MAX_ENTRY_BYTES);
    }

    #[test]
    fn a_journal_is_known_by_device_and_inode() {
        assert!(is_journal(Some("8:1234"), 8, 1234));
        for other in [None, Some(""), Some("8:1235"), Some("9:1234"), Some("8"), Some("a:b")] {
            assert!(!is_journal(other, 8, 1234), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn no_value_forges_a_field(message in "[a-zA-Z=ä\n\0]{0,40}", value in "[A-Z=ä\n\0]{0,600}") {
            let entry = JournalEntry::new("a", 6, &message).with("FIELD", &value);
            let names: Vec<_> = fields(entry.bytes()).into_iter().map(|(name, _)| name).collect();
            prop_assert_eq!(names, ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "FIELD"]);
            prop_assert_eq!(&fields(entry.bytes())[3].1, &value[..value.floor_char_boundary(MAX_FIELD_TEXT)]);
        }
    }
}
