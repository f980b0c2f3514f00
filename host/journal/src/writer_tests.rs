//! The writer on disks that are full, slow or broken, and in a process that is killed.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        atomic::{AtomicBool, AtomicU64},
        mpsc::{Receiver, channel},
    },
};

use sandpit_types::MarketTime;

use super::*;
use crate::{
    End, Journal, Retention, Settings,
    disk::{Folder, Segment, Space},
    reader::tests::read,
    segments::{Origin, SEGMENT_BYTES},
    strand::{STRAND_BYTES_MAX, Strand, Waiting},
};

/// What the small disk holds, bytes: its reserve is a GiB.
const TOTAL: u64 = 16 << 30;
const GIB: u64 = 1 << 30;

/// A disk with so much room; what does not fit is written as far as it goes.
#[derive(Clone)]
struct Small {
    folder: PathBuf,
    room: Arc<AtomicU64>,
    /// Whether what was written too much can be cut away.
    cuts: Arc<AtomicBool>,
    /// What it says is free.
    free: Arc<AtomicU64>,
}

impl Small {
    fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            room: Arc::new(AtomicU64::new(u64::MAX)),
            cuts: Arc::new(AtomicBool::new(true)),
            free: Arc::new(AtomicU64::new(TOTAL)),
        }
    }
}

struct SmallSegment {
    file: File,
    disk: Small,
}

impl Disk for Small {
    type Segment = SmallSegment;

    fn create(&mut self, number: u32) -> io::Result<SmallSegment> {
        Folder(self.folder.clone()).create(number).map(|file| SmallSegment { file, disk: self.clone() })
    }

    fn remove(&mut self, number: u32) -> io::Result<()> {
        Folder(self.folder.clone()).remove(number)
    }

    fn space(&self) -> io::Result<Space> {
        Ok(Space { free: self.free.load(Ordering::Relaxed), total: TOTAL })
    }
}

impl Segment for SmallSegment {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = self.disk.room.load(Ordering::Relaxed);
        let fits = (bytes.len() as u64).min(room);
        self.disk.room.fetch_sub(fits, Ordering::Relaxed);
        self.file.write_all(&bytes[..usize::try_from(fits).expect("small")])?;
        if fits < bytes.len() as u64 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        if !self.disk.cuts.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        self.file.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Rig {
    dir: tempfile::TempDir,
    disk: Small,
    writer: Writer<Small>,
    opened: Opened,
    counters: Arc<Counters>,
    waiting: Arc<Waiting>,
    /// What was to become free, each time.
    pruned: Arc<Mutex<Vec<u64>>>,
    /// The bytes of the sessions that can be forgotten.
    old: Arc<AtomicU64>,
}

impl Rig {
    fn new(limit_bytes: u64) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = Small::new(dir.path().join("session"));
        let origin = Origin { session: "session".into(), host: "1".into() };
        let segments = Segments::new(disk.clone(), origin, SEGMENT_BYTES);
        let (opened, counters) = (Opened::default(), Arc::new(Counters::default()));
        let old = Arc::new(AtomicU64::new(0));
        let pruned = Arc::new(Mutex::new(Vec::new()));
        let prune = {
            let (pruned, free) = (Arc::clone(&pruned), Arc::clone(&disk.free));
            let old = Arc::clone(&old);
            Box::new(move |wanting| {
                pruned.lock().expect("nobody panicked").push(wanting);
                free.fetch_add(old.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            })
        };
        let writer = Writer::new(segments, limit_bytes, Arc::clone(&opened), Arc::clone(&counters), prune);
        Self { dir, disk, writer, opened, counters, waiting: Arc::default(), pruned, old }
    }

    fn strand(&self, number: u32, strategy: &str) -> Strand {
        let strand = Strand::new(Arc::clone(&self.waiting));
        let strategy = StrategyName::parse(strategy).expect("a name");
        let line = Line::new(number, strategy, strand.buffer());
        self.opened.lock().expect("nobody panicked").push(line);
        strand
    }

    fn rounds(&mut self, count: u32) {
        (0..count).for_each(|_| self.writer.round());
    }

    fn read(&self) -> (Vec<Frame>, End) {
        read(&self.dir.path().join("session")).unwrap_or_else(|error| panic!("{error}"))
    }
}

fn add(strand: &Strand, bytes: usize) {
    strand.add(true, |to| {
        to.resize(to.len() + bytes, 7);
        true
    });
}

/// Strand, first and how many: of entries, and of what is missing (below zero).
fn numbers(frames: &[Frame]) -> Vec<(u32, u64, i64)> {
    let number = |frame: &Frame| match frame {
        Frame::Entries { strand, first, count, .. } => Some((*strand, *first, i64::from(*count))),
        Frame::Gap { strand, first, lost } => Some((*strand, *first, -i64::try_from(*lost).expect("few"))),
        Frame::Header(_) | Frame::Named { .. } | Frame::Closed => None,
    };
    frames.iter().filter_map(number).collect()
}

#[test]
fn strands_are_written_in_rounds_and_closed() {
    let mut rig = Rig::new(u64::MAX);
    let (a, b) = (rig.strand(0, "a"), rig.strand(1, "b"));
    add(&a, 10);
    rig.rounds(1);
    add(&b, 10);
    add(&b, 10);
    add(&a, 10);
    rig.rounds(1);
    drop(a);
    rig.rounds(2);
    assert_eq!(rig.writer.lines.len(), 1, "an ended strand is let go");
    rig.writer.close();
    let (frames, end) = rig.read();
    assert_eq!(end, End::Closed);
    assert_eq!(numbers(&frames), [(0, 0, 1), (0, 1, 1), (1, 0, 2)]);
    assert_eq!(rig.counters.entries.load(Ordering::Relaxed), 4);
}

/// A full disk loses nothing that fits into memory, then marks what is lost, and goes on when there is room.
fn check_full_disk(room: u64, is_cut: bool) {
    let mut rig = Rig::new(u64::MAX);
    let strand = rig.strand(0, "a");
    rig.disk.cuts.store(is_cut, Ordering::Relaxed);
    rig.disk.room.store(room, Ordering::Relaxed);
    for _ in 0..3 {
        add(&strand, 1_000);
        rig.rounds(RETRY_ROUNDS);
    }
    assert!(rig.counters.failures.load(Ordering::Relaxed) > 0, "room {room}");
    add(&strand, STRAND_BYTES_MAX - 5_000);
    (0..10).for_each(|_| add(&strand, 1_000));
    rig.rounds(2 * RETRY_ROUNDS);
    rig.disk.room.store(u64::MAX, Ordering::Relaxed);
    rig.disk.cuts.store(true, Ordering::Relaxed);
    rig.rounds(RETRY_ROUNDS);
    add(&strand, 1_000);
    rig.writer.close();
    let (frames, end) = rig.read();
    assert_eq!(end, End::Closed, "room {room}");
    let lost: i64 = numbers(&frames).iter().map(|(.., count)| -count.min(&0)).sum();
    assert!((1..=10).contains(&lost), "room {room}: {:?}", numbers(&frames));
    assert_eq!(rig.counters.lost.load(Ordering::Relaxed), lost.unsigned_abs(), "room {room}");
    let (_, first, count) = *numbers(&frames).last().expect("entries");
    assert_eq!((first, count), (14, 1), "room {room}: each entry has its number");
}

#[test]
fn a_full_disk_loses_only_what_does_not_fit_and_marks_it() {
    // From no room for a header on, over frames cut anywhere, to room for nearly all.
    for room in (0..2_300).step_by(37) {
        check_full_disk(room, true);
        check_full_disk(room, false);
    }
}

#[test]
fn a_session_ends_at_its_limit_and_each_gap_is_bounded() {
    let mut rig = Rig::new(10_000);
    let strands: Vec<_> = (0..20).map(|number| rig.strand(number, "a")).collect();
    for strand in &strands {
        (0..2).for_each(|_| add(strand, 800));
        rig.rounds(1);
        (0..2).for_each(|_| add(strand, 800));
        rig.rounds(1);
    }
    assert!(rig.writer.segments.bytes() <= 10_000, "{} bytes", rig.writer.segments.bytes());
    rig.writer.close();
    assert!(rig.writer.segments.bytes() <= 10_000, "{} bytes", rig.writer.segments.bytes());
    let (frames, _) = rig.read();
    let written: i64 = numbers(&frames).iter().map(|(.., count)| (*count).max(0)).sum();
    assert!((8..=11).contains(&written), "{:?}", numbers(&frames));
    assert_eq!(rig.counters.entries.load(Ordering::Relaxed), written.unsigned_abs());
}

#[test]
fn who_floods_the_session_ends_the_recording_of_nobody_else() {
    let mut rig = Rig::new(100_000);
    let (flood, more, quiet) = (rig.strand(0, "a"), rig.strand(1, "b"), rig.strand(2, "c"));
    for round in 0..200 {
        add(&flood, 2_000);
        if round >= 100 {
            add(&more, 2_000);
        }
        add(&quiet, 10);
        rig.rounds(1);
    }
    drop(more);
    rig.rounds(1);
    add(&flood, 1);
    rig.rounds(TELL_ROUNDS);
    add(&flood, 1);
    rig.writer.close();
    let (frames, end) = rig.read();
    assert_eq!((end, rig.counters.failures.load(Ordering::Relaxed)), (End::Closed, 0));
    let of = |wanted: u32| -> Vec<(u64, i64)> {
        let own = numbers(&frames).into_iter().filter(|(strand, ..)| *strand == wanted);
        own.map(|(_, first, count)| (first, count)).collect()
    };
    let sums = |wanted| {
        let counts = of(wanted).into_iter().map(|(_, count)| count);
        counts.fold((0, 0), |(kept, lost), count| (kept + count.max(0), lost - count.min(0)))
    };
    assert_eq!(sums(2), (200, 0), "others are recorded to the end");
    let (kept, lost) = sums(0);
    assert!((22..=25).contains(&kept), "half of it: {kept}");
    assert_eq!(kept + lost, 202, "and each entry that is missing is told");
    let gaps: Vec<_> = of(0).into_iter().filter(|(_, count)| *count < 0).collect();
    assert_eq!(gaps.len(), 5, "at once, twice with the other one's, now and then, at the end: {gaps:?}");
    assert_eq!(gaps[0], (kept.unsigned_abs(), -1), "at once");
    let (kept, lost) = sums(1);
    assert!((10..=12).contains(&kept) && kept + lost == 100, "half of the rest: {kept}, {lost}");
    let missing = sums(0).1 + sums(1).1;
    assert_eq!(rig.counters.lost.load(Ordering::Relaxed), missing.unsigned_abs());
}

#[test]
fn the_last_of_the_disk_is_left_to_others_until_there_is_room_again() {
    let mut rig = Rig::new(u64::MAX);
    let strand = rig.strand(0, "a");
    add(&strand, 1_000);
    rig.rounds(SYNC_ROUNDS);
    rig.disk.free.store(GIB - 1, Ordering::Relaxed);
    rig.rounds(SYNC_ROUNDS);
    let written = rig.writer.segments.bytes();
    for _ in 0..10 {
        add(&strand, STRAND_BYTES_MAX / 4);
        rig.rounds(RETRY_ROUNDS);
    }
    assert_eq!(rig.writer.segments.bytes(), written, "nothing is written below the reserve");
    // The reserve alone is not enough: it would end and begin with every commit of the database.
    rig.disk.free.store(GIB, Ordering::Relaxed);
    rig.rounds(RETRY_ROUNDS);
    assert_eq!(rig.writer.segments.bytes(), written);
    rig.disk.free.store(GIB + SEGMENT_BYTES, Ordering::Relaxed);
    rig.rounds(RETRY_ROUNDS);
    assert!(rig.writer.segments.bytes() > written, "it goes on when there is room");
    add(&strand, 10);
    rig.writer.close();
    let (frames, end) = rig.read();
    assert_eq!(end, End::Closed);
    assert!(numbers(&frames).iter().any(|(.., count)| *count < 0), "the gap is marked");
    assert_eq!(numbers(&frames).last(), Some(&(0, 11, 1)));
}

#[test]
fn old_sessions_go_before_anything_is_lost() {
    let mut rig = Rig::new(u64::MAX);
    let strand = rig.strand(0, "a");
    rig.disk.free.store(GIB - 100, Ordering::Relaxed);
    rig.old.store(SEGMENT_BYTES + 100, Ordering::Relaxed);
    for _ in 0..3 {
        add(&strand, 1_000);
        rig.rounds(SYNC_ROUNDS);
    }
    assert_eq!(*rig.pruned.lock().expect("ours"), [SEGMENT_BYTES + 100], "once, and as much as is missing");
    assert_eq!(rig.counters.failures.load(Ordering::Relaxed), 0);
    assert_eq!(rig.counters.entries.load(Ordering::Relaxed), 3);
}

#[test]
fn each_segment_begins_with_a_look_at_the_room() {
    let mut rig = Rig::new(u64::MAX);
    let strand = rig.strand(0, "a");
    rig.disk.free.store(GIB - 1, Ordering::Relaxed);
    add(&strand, 1_000);
    rig.rounds(1);
    assert_eq!(rig.writer.segments.count(), 0, "within the first second, too");
    assert_eq!(rig.counters.failures.load(Ordering::Relaxed), 1);
}

#[test]
fn a_strand_that_comes_while_nothing_can_be_written_has_its_name_first() {
    let mut rig = Rig::new(u64::MAX);
    rig.disk.room.store(0, Ordering::Relaxed);
    let a = rig.strand(0, "a");
    add(&a, 10);
    rig.rounds(RETRY_ROUNDS + 1);
    let b = rig.strand(1, "b");
    add(&b, 10);
    drop(b);
    rig.rounds(RETRY_ROUNDS + 1);
    rig.disk.room.store(u64::MAX, Ordering::Relaxed);
    rig.rounds(RETRY_ROUNDS + 1);
    rig.writer.close();
    let (frames, end) = rig.read();
    assert_eq!((numbers(&frames), end), (vec![(0, 0, 1), (1, 0, 1)], End::Closed));
}

/// A disk that hangs until it is let go.
struct Hung(Receiver<()>);

impl Disk for Hung {
    type Segment = File;

    fn create(&mut self, _: u32) -> io::Result<File> {
        // The other end is dropped by the test when it is through.
        let _ = self.0.recv();
        Err(io::Error::from(io::ErrorKind::TimedOut))
    }

    fn remove(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        Err(io::Error::from(io::ErrorKind::TimedOut))
    }
}

fn settings(root: &Path) -> Settings {
    let (root, session, host) = (root.to_owned(), "session".into(), "1".into());
    Settings { root, session, host, retention: Retention::default() }
}

#[test]
fn a_strategy_never_waits_for_a_disk_that_hangs() {
    let dir = tempfile::tempdir().expect("a folder");
    let (hold, held) = channel();
    let journal =
        Journal::start_on(Hung(held), settings(dir.path()), || MarketTime::EPOCH).expect("it starts");
    let strand = journal.strand(&StrategyName::parse("a").expect("a name"));
    // Were there a wait in it, this would never end: the disk is let go only behind it.
    (0..200_000).for_each(|_| add(&strand, 100));
    assert!(
        strand
            .buffer()
            .take(&mut Vec::new(), false)
            .is_some_and(|taken| taken.bytes.len() <= STRAND_BYTES_MAX)
    );
    drop(hold);
}

#[test]
fn a_journal_is_written_by_its_thread() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = Small::new(dir.path().join("session"));
    let journal = Journal::start_on(disk, settings(dir.path()), || MarketTime::EPOCH).expect("it starts");
    let strand = journal.strand(&StrategyName::parse("a").expect("a name"));
    (0..1_000).for_each(|_| add(&strand, 100));
    assert!(journal.close());
    let (frames, end) = read(&dir.path().join("session")).expect("whole");
    let count: i64 = numbers(&frames).iter().map(|(.., count)| count).sum();
    assert_eq!((count, end), (1_000, End::Closed));
    assert!(journal.close(), "again is nothing");
}

const FOLDER: &str = "SANDPIT_JOURNAL_TEST_FOLDER";

/// The process that is killed. Not a test of its own:
/// [`a_process_killed_while_it_writes_leaves_whole_frames`] runs it.
#[test]
#[ignore = "run as a child by another test"]
fn writing_child() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("the folder"));
    let origin = Origin { session: "session".into(), host: "1".into() };
    let segments = Segments::new(Small::new(folder), origin, 1 << 20);
    let opened = Opened::default();
    let mut writer = Writer::new(segments, u64::MAX, Arc::clone(&opened), Arc::default(), Box::new(|_| ()));
    let strand = Strand::new(Arc::default());
    let strategy = StrategyName::parse("a").expect("a name");
    opened.lock().expect("ours").push(Line::new(0, strategy, strand.buffer()));
    for round in 0.. {
        (0..100).for_each(|size| add(&strand, size));
        writer.round();
        if round % 16 == 0 {
            println!("written");
        }
    }
}

#[test]
fn a_process_killed_while_it_writes_leaves_whole_frames() {
    for lines in [1, 2, 50] {
        let dir = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["writer::tests::writing_child", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("piped")).lines();
        let written =
            output.map_while(Result::ok).filter(|line| line.contains("written")).take(lines).count();
        child.kill().expect("SIGKILL");
        child.wait().expect("our own child");
        assert_eq!(written, lines, "it wrote");
        let (frames, end) = read(dir.path()).unwrap_or_else(|error| panic!("{error}"));
        let count: i64 = numbers(&frames).iter().map(|(.., count)| count).sum();
        let at_least = i64::try_from(100 * (16 * (lines - 1))).expect("few");
        assert!(count > at_least && count % 100 == 0, "{count} entries after {lines} lines");
        assert!(!matches!(end, End::Closed), "{end:?}");
    }
}

#[test]
fn names_of_newer_strands_do_not_need_the_old_ones() {
    let mut rig = Rig::new(u64::MAX);
    for number in 0..200 {
        let strand = rig.strand(number, "a");
        add(&strand, 5_000);
        drop(strand);
        rig.rounds(1);
    }
    assert!(rig.writer.lines.is_empty());
    rig.writer.close();
    assert_eq!(numbers(&rig.read().0).len(), 200);
}
