//! The frames that a segment of the log consists of, as bytes. Pure.
//!
//! ```text
//! length of the body u32 | crc32 of the body u32 | crc32 of these eight bytes u32 | body
//! ```
//!
//! All numbers are little-endian. The second checksum tells a flipped bit in a length from an end that was
//! torn off: only a frame whose head is whole may run past the end of the file.

/// Bytes before the body.
pub(crate) const HEAD_BYTES: usize = 12;
/// The largest body, bytes: twice what one strand may have waiting.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 20;
/// The longest text in a frame, bytes.
const TEXT_BYTES_MAX: usize = u8::MAX as usize;

const HEADER: u8 = 0;
const NAMED: u8 = 1;
const ENTRIES: u8 = 2;
const GAP: u8 = 3;
const CLOSED: u8 = 4;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The first of every segment.
    Header(Header),
    /// From here on this strand is this strategy's.
    Named {
        /// A number that is used once in a session.
        strand: u32,
        /// The strategy.
        name: String,
    },
    /// Entries of one strand, one after the other.
    Entries {
        /// Whose.
        strand: u32,
        /// The number of the first one, counted from zero in its strand, lost ones included.
        first: u64,
        /// How many.
        count: u32,
        /// Their bytes.
        payload: Vec<u8>,
    },
    /// Entries of one strand that could not be kept.
    Gap {
        /// Whose.
        strand: u32,
        /// The number of the first lost one.
        first: u64,
        /// How many.
        lost: u64,
    },
    /// The session ended in good order. The last frame.
    Closed,
}

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Of everything in the segment, this frame's other fields included.
    pub(crate) format: u32,
    /// Counted from zero in its session.
    pub(crate) number: u32,
    /// How many bytes of the segment before this one count: what is behind them is a failed write.
    pub(crate) before_bytes: u64,
    /// Name of the session.
    pub(crate) session: String,
    /// Version of the host that wrote it.
    pub(crate) host: String,
}

/// What stands at some place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A frame, and how many bytes it has.
    Frame(Frame, usize),
    /// Nothing any more.
    End,
    /// The beginning of a frame, or zeros that a death of the machine left.
    Torn,
    /// Bytes that nobody wrote so.
    Damaged(&'static str),
}

/// Appends a frame of entries without copying the payload twice.
pub(crate) fn put_entries(to: &mut Vec<u8>, strand: u32, first: u64, count: u32, payload: &[u8]) {
    put_body(to, |to| {
        to.push(ENTRIES);
        to.extend(strand.to_le_bytes());
        to.extend(first.to_le_bytes());
        to.extend(count.to_le_bytes());
        to.extend_from_slice(payload);
    });
}

/// Appends a frame. Texts are cut to 255 bytes.
pub(crate) fn put(to: &mut Vec<u8>, frame: &Frame) {
    match frame {
        Frame::Header(header) => put_body(to, |to| {
            to.push(HEADER);
            to.extend(header.format.to_le_bytes());
            to.extend(header.number.to_le_bytes());
            to.extend(header.before_bytes.to_le_bytes());
            put_text(to, &header.session);
            put_text(to, &header.host);
        }),
        Frame::Named { strand, name } => put_body(to, |to| {
            to.push(NAMED);
            to.extend(strand.to_le_bytes());
            put_text(to, name);
        }),
        Frame::Entries { strand, first, count, payload } => put_entries(to, *strand, *first, *count, payload),
        Frame::Gap { strand, first, lost } => put_body(to, |to| {
            to.push(GAP);
            to.extend(strand.to_le_bytes());
            to.extend(first.to_le_bytes());
            to.extend(lost.to_le_bytes());
        }),
        Frame::Closed => put_body(to, |to| to.push(CLOSED)),
    }
}

/// Looks at the start of `bytes`, which go to the end of what there is.
pub(crate) fn look(bytes: &[u8]) -> Found {
    if bytes.is_empty() {
        return Found::End;
    }
    let Some(mut head) = bytes.get(..HEAD_BYTES) else { return Found::Torn };
    let (length, body_sum, head_sum) = (u32_of(&mut head), u32_of(&mut head), u32_of(&mut head));
    if head_sum != Some(crc32fast::hash(&bytes[..8])) {
        let is_blank = bytes.iter().all(|byte| *byte == 0);
        return if is_blank {
            Found::Torn
        } else {
            Found::Damaged("the head of a frame has a wrong checksum")
        };
    }
    let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
    if length > BODY_BYTES_MAX {
        return Found::Damaged("a frame is longer than any is written");
    }
    let Some(body) = bytes.get(HEAD_BYTES..HEAD_BYTES + length) else { return Found::Torn };
    if body_sum != Some(crc32fast::hash(body)) {
        return Found::Damaged("a frame has a wrong checksum");
    }
    match frame(body) {
        Some(frame) => Found::Frame(frame, HEAD_BYTES + length),
        None => Found::Damaged("a frame makes no sense"),
    }
}

fn put_body(to: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    to.extend([0; HEAD_BYTES]);
    body(to);
    let (head, body) = to[start..].split_at_mut(HEAD_BYTES);
    let length = u32::try_from(body.len()).expect("strands are bounded far below this");
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..8].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    let sum = crc32fast::hash(&head[..8]);
    head[8..].copy_from_slice(&sum.to_le_bytes());
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    to.push(u8::try_from(text.len()).expect("it was cut to what fits"));
    to.extend_from_slice(text.as_bytes());
}

fn frame(mut body: &[u8]) -> Option<Frame> {
    let from = &mut body;
    let frame = match array::<1>(from)?[0] {
        HEADER => Frame::Header(header(from)?),
        NAMED => Frame::Named { strand: u32_of(from)?, name: text(from)? },
        ENTRIES => {
            let (strand, first, count) = (u32_of(from)?, u64_of(from)?, u32_of(from)?);
            Frame::Entries { strand, first, count, payload: std::mem::take(from).to_vec() }
        }
        GAP => Frame::Gap { strand: u32_of(from)?, first: u64_of(from)?, lost: u64_of(from)? },
        CLOSED => Frame::Closed,
        _ => return None,
    };
    from.is_empty().then_some(frame)
}

/// Of a newer format only its number is certain: other fields may stand behind it.
fn header(from: &mut &[u8]) -> Option<Header> {
    let format = u32_of(from)?;
    let mut fields = || Some((u32_of(from)?, u64_of(from)?, text(from)?, text(from)?));
    let (number, before_bytes, session, host) = match fields() {
        Some(fields) => fields,
        None if format > crate::FORMAT => (0, 0, String::new(), "its version cannot be told".into()),
        None => return None,
    };
    if format > crate::FORMAT {
        *from = &[];
    }
    Some(Header { format, number, before_bytes, session, host })
}

fn array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

fn u32_of(from: &mut &[u8]) -> Option<u32> {
    array(from).map(u32::from_le_bytes)
}

fn u64_of(from: &mut &[u8]) -> Option<u64> {
    array(from).map(u64::from_le_bytes)
}

fn text(from: &mut &[u8]) -> Option<String> {
    let [length] = array(from)?;
    let (taken, rest) = from.split_at_checked(usize::from(length))?;
    *from = rest;
    String::from_utf8(taken.to_vec()).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn frames() -> impl Strategy<Value = Frame> {
        let text = || "[a-zß]{0,40}";
        prop_oneof![
            (any::<u32>(), any::<u64>(), text(), text()).prop_map(|(number, before_bytes, session, host)| {
                Frame::Header(Header { format: crate::FORMAT, number, before_bytes, session, host })
            }),
            (any::<u32>(), text()).prop_map(|(strand, name)| Frame::Named { strand, name }),
            (any::<u32>(), any::<u64>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..200))
                .prop_map(|(strand, first, count, payload)| Frame::Entries { strand, first, count, payload }),
            (any::<u32>(), any::<u64>(), any::<u64>()).prop_map(|(strand, first, lost)| Frame::Gap {
                strand,
                first,
                lost
            }),
            Just(Frame::Closed),
        ]
    }

    fn bytes_of(frames: &[Frame]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| put(&mut bytes, frame));
        bytes
    }

    proptest! {
        #[test]
        fn what_was_put_is_found(frames in prop::collection::vec(frames(), 0..10)) {
            let bytes = bytes_of(&frames);
            let (mut at, mut found) = (0, Vec::new());
            while let Found::Frame(frame, length) = look(&bytes[at..]) {
                found.push(frame);
                at += length;
            }
            prop_assert_eq!(look(&bytes[at..]), Found::End);
            prop_assert_eq!(found, frames);
        }

        #[test]
        fn a_frame_cut_anywhere_is_torn(frame in frames()) {
            let bytes = bytes_of(&[frame]);
            for cut in 1..bytes.len() {
                prop_assert_eq!(look(&bytes[..cut]), Found::Torn, "{}", cut);
            }
        }

        #[test]
        fn a_flipped_bit_is_damage(frame in frames()) {
            let mut bytes = bytes_of(&[frame, Frame::Closed]);
            let first = bytes.len() - HEAD_BYTES - 1;
            for bit in 0..8 * first {
                bytes[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(matches!(look(&bytes), Found::Damaged(_)), "{}", bit);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }

        #[test]
        fn nonsense_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            look(&bytes);
            let mut framed = Vec::new();
            put_body(&mut framed, |to| to.extend_from_slice(&bytes));
            look(&framed);
        }
    }

    #[test]
    fn zeros_at_the_end_are_torn() {
        for length in 1..40 {
            assert_eq!(look(&vec![0; length]), Found::Torn);
        }
    }

    #[test]
    fn a_newer_header_is_read_as_far_as_its_format() {
        let mut bytes = Vec::new();
        put_body(&mut bytes, |to| {
            to.push(HEADER);
            to.extend(99_u32.to_le_bytes());
        });
        let Found::Frame(Frame::Header(header), _) = look(&bytes) else { panic!("{:?}", look(&bytes)) };
        assert_eq!(header.format, 99);
    }
}
