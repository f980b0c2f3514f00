//! Logs that stop anywhere, are damaged anywhere, or grow while they are read.

use super::*;
use crate::{
    disk::Folder,
    frame::put,
    segments::{Origin, Segments},
};

/// A writer into `folder` with segments of about so many bytes.
pub(crate) fn segments(folder: &Path, limit: u64) -> Segments<Folder> {
    let origin = Origin { session: "20261122T143000Z-1".into(), host: "1.2.3".into() };
    Segments::new(Folder(folder.to_owned()), origin, limit)
}

pub(crate) fn append(segments: &mut Segments<Folder>, frame: &Frame) {
    let mut bytes = Vec::new();
    put(&mut bytes, frame);
    segments.append(&bytes).expect("written");
}

fn entries(first: u64, count: u32) -> Frame {
    Frame::Entries { strand: 0, first, count, payload: format!("{first}+{count}").into_bytes() }
}

/// The frames of a small session.
fn session() -> Vec<Frame> {
    vec![
        Frame::Named { strand: 0, name: "sma_cross".into() },
        entries(0, 3),
        entries(3, 1),
        Frame::Gap { strand: 0, first: 4, lost: 6 },
        entries(10, 2),
        Frame::Closed,
    ]
}

fn written(limit: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut segments = segments(folder.path(), limit);
    session().iter().for_each(|frame| append(&mut segments, frame));
    folder
}

/// All frames, without a look into the entries, and how it ends.
pub(crate) fn read(folder: &Path) -> Result<(Vec<Frame>, End), JournalError> {
    let mut reader = Reader::open(folder)?;
    let mut frames = Vec::new();
    while reader.end.is_none() {
        let piece = reader.frame()?;
        let Entries { strand, next, left, bytes, .. } = std::mem::take(&mut reader.entries);
        match piece {
            Some(Piece::Opened { strand, strategy }) => {
                frames.push(Frame::Named { strand, name: strategy.to_string() });
            }
            Some(Piece::Gap { strand, first, lost }) => frames.push(Frame::Gap { strand, first, lost }),
            Some(Piece::Entry { .. }) => unreachable!("they are not decoded here"),
            None if left > 0 => {
                frames.push(Frame::Entries { strand, first: next, count: left, payload: bytes });
            }
            None if reader.end == Some(End::Closed) => frames.push(Frame::Closed),
            None => {}
        }
    }
    Ok((frames, reader.end.expect("it ended")))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a listing").flatten().map(|file| file.path()).collect();
    files.sort();
    files
}

#[test]
fn what_was_written_is_read_over_all_segments() {
    for (limit, count) in [(1, 6), (150, 3), (SEGMENT_BYTES, 1)] {
        let folder = written(limit);
        assert_eq!(files(folder.path()).len(), count, "segments of {limit} bytes");
        let (frames, end) = read(folder.path()).expect("read");
        assert_eq!((frames, end), (session(), End::Closed), "segments of {limit} bytes");
    }
}

#[test]
fn a_log_that_stops_anywhere_is_cut_at_its_last_whole_frame() {
    for limit in [SEGMENT_BYTES, 150] {
        let folder = written(limit);
        let last = files(folder.path()).pop().expect("a segment");
        let bytes = fs::read(&last).expect("read");
        let mut lengths = Vec::new();
        for cut in (0..bytes.len()).rev() {
            fs::write(&last, &bytes[..cut]).expect("written");
            let (frames, end) = read(folder.path()).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
            assert!(session().starts_with(&frames), "cut at {cut}: {frames:?}");
            match end {
                End::Torn { path, offset } => assert!(path == last && offset as usize <= cut, "cut at {cut}"),
                End::Open => {}
                End::Closed => panic!("cut at {cut}: the end is gone"),
            }
            lengths.push(frames.len());
        }
        assert!(lengths.is_sorted_by(|a, b| a >= b), "{lengths:?}");
        assert!(lengths.contains(&(session().len() - 1)), "only the last frame is lost: {lengths:?}");
    }
}

#[test]
fn each_flipped_bit_is_named() {
    let folder = written(150);
    for file in files(folder.path()) {
        let bytes = fs::read(&file).expect("read");
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&file, &flipped).expect("written");
            match read(folder.path()) {
                Err(error @ JournalError::Damaged { .. }) => {
                    let JournalError::Damaged { path, offset, .. } = &error else { unreachable!() };
                    assert_eq!(*path, file, "{error}");
                    assert!(*offset <= (bit / 8) as u64, "bit {bit}: {error}");
                    assert!(error.is_damage() && error.to_string().contains(".journal is damaged at byte "));
                }
                other => panic!("bit {bit} of {}: {other:?}", file.display()),
            }
        }
        fs::write(&file, &bytes).expect("written");
    }
    assert!(read(folder.path()).is_ok());
}

#[test]
fn a_missing_or_shortened_segment_in_the_middle_is_named() {
    let check = |at: usize, spoil: &dyn Fn(&Path), expected: &str| {
        let folder = written(150);
        let file = files(folder.path()).remove(at);
        spoil(&file);
        let error = read(folder.path()).expect_err("it is not whole").to_string();
        let name = file.file_name().expect("a name").to_string_lossy();
        assert!(error.contains(&*name) && error.contains(expected), "{error}");
    };
    check(0, &|file| fs::remove_file(file).expect("removed"), "is missing");
    check(1, &|file| fs::remove_file(file).expect("removed"), "is missing");
    let shorten = |by: u64| {
        move |file: &Path| {
            let file = File::options().write(true).open(file).expect("opened");
            let length = file.metadata().expect("a length").len();
            file.set_len(length.saturating_sub(by)).expect("cut");
        }
    };
    check(0, &shorten(1), "damaged at byte");
    check(0, &shorten(1_000), "damaged at byte 0");
    check(1, &shorten(20), "damaged at byte");
}

#[test]
fn what_a_failed_write_left_behind_does_not_count() {
    let folder = written(150);
    let first = files(folder.path()).remove(0);
    let mut bytes = fs::read(&first).expect("read");
    bytes.extend(b"half a frame that could not be cut away");
    fs::write(&first, bytes).expect("written");
    assert_eq!(read(folder.path()).expect("read").0, session());
}

#[test]
fn a_newer_format_is_told_in_one_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bytes = MAGIC.to_vec();
    let header =
        Header { format: FORMAT + 1, number: 0, before_bytes: 0, session: "s".into(), host: "9.9.9".into() };
    put(&mut bytes, &Frame::Header(header));
    fs::write(folder.path().join("0000.journal"), bytes).expect("written");
    let error = Reader::open(folder.path()).expect_err("it is newer").to_string();
    let expected = format!(
        "0000.journal has format {} of the journal, this program reads up to {FORMAT}: use the sandpit that \
         wrote it (9.9.9)",
        FORMAT + 1
    );
    assert!(error.ends_with(&expected), "{error}");
}

#[test]
fn other_folders_are_no_sessions() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = Reader::open(folder.path()).expect_err("it is empty");
    assert!(matches!(error, JournalError::NoSession { .. }) && !error.is_damage(), "{error}");
    fs::write(folder.path().join("0000.journal"), "hello, this is a diary").expect("written");
    let error = Reader::open(folder.path()).expect_err("a diary");
    assert!(error.to_string().contains("does not begin like a journal"), "{error}");
    assert_eq!(latest(folder.path()).expect("a listing"), None);
    fs::create_dir(folder.path().join("components")).expect("made");
    for name in ["b", "a"] {
        fs::create_dir(folder.path().join(name)).expect("made");
        fs::write(folder.path().join(name).join("0000.journal"), "").expect("written");
    }
    assert_eq!(latest(folder.path()).expect("a listing").as_deref(), Some("b"));
}

#[test]
fn a_log_is_read_while_it_grows_and_rotates() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut segments = segments(folder.path(), 150);
    append(&mut segments, &Frame::Named { strand: 0, name: "a".into() });
    let mut reader = Reader::open(folder.path()).expect("open");
    assert!(matches!(reader.frame(), Ok(Some(Piece::Opened { .. }))));
    // Into the segment that was read already, and into further ones.
    (0..10).for_each(|first| append(&mut segments, &entries(first, 1)));
    let mut seen = Vec::new();
    while reader.end.is_none() {
        reader.frame().expect("whole");
        let Entries { next, left, .. } = std::mem::take(&mut reader.entries);
        seen.extend((left > 0).then_some(next));
    }
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    assert_eq!(reader.end, Some(End::Open));
}

#[test]
fn entries_that_do_not_follow_are_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut segments = segments(folder.path(), SEGMENT_BYTES);
    append(&mut segments, &Frame::Named { strand: 0, name: "a".into() });
    append(&mut segments, &entries(0, 2));
    append(&mut segments, &entries(3, 2));
    let error = read(folder.path()).expect_err("one is missing").to_string();
    assert!(error.contains("entry 3 of strand 0 follows, 2 was expected"), "{error}");
}
