//! The edge: asks the archives, writes what is whole, keeps the checkpoint, until the core says it is over.
//!
//! Files are written off the loop, one answer's at a time and in order, so that a checkpoint never speaks of
//! a file that is not there. Meanwhile the requests under way go on.

use std::{ops::Range, sync::Arc, time::Duration};

use jiff::civil::Date;
use sandpit_broker::{Archive, BrokerError, Page};
use sandpit_budget::Budget;
use sandpit_types::{MarketClock, MarketTime, Symbol};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    checkpoint::Checkpoint,
    core::{Core, End, Input, Note, Output, Plan, Request, Skip, Ticket},
    days::Day,
    error::BackfillError,
    fault::Fault,
    folder::Folder,
    kind::Kind,
    progress::{Figures, Reporter, hms},
};

/// The longest sleep, real time: the figures are shown about once a second.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// The shortest sleep, real time: a clock that rounds down must not make a busy loop.
const SHORTEST_NAP: Duration = Duration::from_millis(1);
/// Files of one run, counting one a symbol and day: ten years of 2,000 symbols.
const MAX_FILES: usize = 5_000_000;

/// One key pair.
pub struct Source<A> {
    /// Where it asks.
    pub archive: Arc<A>,
    /// What it may ask; the archive's gate.
    pub budget: Arc<Budget>,
    /// What a human calls it. Not the key.
    pub name: String,
}

/// What is to be done.
pub struct Job<A> {
    /// Of which symbols, in this order.
    pub symbols: Vec<Symbol>,
    /// On which days, oldest first.
    pub days: Vec<Day>,
    /// With which key pairs.
    pub sources: Vec<Source<A>>,
    /// Into which folder.
    pub folder: Folder,
    /// Time: of the budgets, the waits and the figures.
    pub clock: Arc<dyn MarketClock>,
}

/// Days of one symbol that were given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedDays {
    /// Which symbol.
    pub symbol: Symbol,
    /// The first day.
    pub first: Date,
    /// The last day.
    pub last: Date,
    /// How many days that count.
    pub days: usize,
    /// Why.
    pub reason: String,
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How it ended.
    pub end: End,
    /// The figures at the end.
    pub figures: Figures,
    /// What was given up; the next run tries it again.
    pub skipped: Vec<SkippedDays>,
    /// Rows that could not be read; the days around them are written without.
    pub unreadable: u64,
    /// Rows of no day that was asked for; they are in no file.
    pub strays: u64,
}

/// Fetches what is wanted and not there yet. The first of `stops` lets the requests under way come home, the
/// second does not; both keep the checkpoint.
///
/// # Errors
/// [`BackfillError::File`] and [`BackfillError::Parquet`] when something cannot be written,
/// [`BackfillError::TooMuch`]. Files that exist are whole then, too.
pub async fn run<K: Kind, A: Archive>(
    job: Job<A>,
    stops: &mut mpsc::Receiver<()>,
    reporter: &mut dyn Reporter,
) -> Result<Summary, BackfillError> {
    let Job { symbols, days, sources, folder, clock } = job;
    let files = symbols.len().saturating_mul(days.len());
    if files > MAX_FILES {
        return Err(BackfillError::TooMuch { symbols: symbols.len(), days: days.len(), limit: MAX_FILES });
    }
    let checkpoint = folder.load()?;
    let disk = Disk { folder, checkpoint, days: days.clone().into() };
    let wanted: Vec<_> = symbols.iter().map(|symbol| disk.missing(symbol)).collect();
    let missing: usize = wanted.iter().flatten().map(Range::len).sum();
    let figures =
        Figures { days: missing as u64, days_before: (files - missing) as u64, ..Figures::default() };
    // Before anything else is written, the folder says what it is for.
    let disk = disk.perform::<K>(vec![Deed::Checkpoint]).await?;
    let runner = Runner::<K, A> {
        core: Core::new(Plan { days, wanted, keys: sources.len() }),
        symbols,
        sources,
        started: clock.now(),
        clock,
        requests: JoinSet::new(),
        figures,
        skipped: Vec::new(),
        unreadable: 0,
    };
    runner.run(disk, stops, reporter).await
}

impl Summary {
    /// Whether every row of every day that was asked for is there.
    pub fn is_whole(&self) -> bool {
        self.end == End::Done && self.skipped.is_empty() && self.unreadable == 0
    }
}

/// The final report.
impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Figures { days, days_done, days_skipped, days_before, rows, requests, elapsed, .. } =
            self.figures;
        write!(
            f,
            "{days_done} of {days} days written, {days_skipped} skipped, {days_before} there before; "
        )?;
        write!(f, "{rows} rows, {requests} requests, {}", hms(elapsed))?;
        for skipped in &self.skipped {
            write!(f, "\nskipped {skipped}")?;
        }
        if self.unreadable > 0 {
            write!(f, "\n{} rows could not be read and are left out", self.unreadable)?;
        }
        if self.strays > 0 {
            write!(f, "\n{} rows of other days came along and are left out", self.strays)?;
        }
        if self.end == End::Stopped {
            write!(f, "\nstopped; the same command goes on from here")?;
        }
        Ok(())
    }
}

type Answer<R> = (Ticket, Result<Page<R>, BrokerError>);

struct Runner<K: Kind, A> {
    core: Core<K::Row>,
    symbols: Vec<Symbol>,
    sources: Vec<Source<A>>,
    clock: Arc<dyn MarketClock>,
    started: MarketTime,
    requests: JoinSet<Answer<K::Row>>,
    figures: Figures,
    skipped: Vec<SkippedDays>,
    unreadable: u64,
}

impl<K: Kind, A: Archive> Runner<K, A> {
    async fn run(
        mut self,
        mut disk: Disk,
        stops: &mut mpsc::Receiver<()>,
        reporter: &mut dyn Reporter,
    ) -> Result<Summary, BackfillError> {
        let mut input = Input::Tick;
        let mut is_stopping = false;
        loop {
            let outputs = self.core.on(input, self.clock.now());
            let (deeds, over) = self.start(outputs, &disk, reporter);
            disk = disk.perform::<K>(deeds).await?;
            self.count();
            reporter.show(&self.figures);
            if let Some(end) = over {
                return Ok(self.summary(end));
            }
            let nap = self.nap();
            input = tokio::select! {
                biased;
                Some(()) = stops.recv() => {
                    if std::mem::replace(&mut is_stopping, true) {
                        disk.perform::<K>(vec![Deed::Checkpoint]).await?;
                        return Ok(self.summary(End::Stopped));
                    }
                    reporter.say("stopping; once more to wait for nothing");
                    self.sources.iter().for_each(|source| source.budget.stop());
                    Input::Stop
                }
                Some(answer) = self.requests.join_next() => {
                    let answer = answer.map_err(|error| BackfillError::Broken { message: error.to_string() })?;
                    self.answer(answer)
                }
                () = tokio::time::sleep(nap) => Input::Tick,
            };
        }
    }

    /// Begins the requests, tells the notes, and hands on what is for the disk.
    fn start(
        &mut self,
        outputs: Vec<Output<K::Row>>,
        disk: &Disk,
        reporter: &mut dyn Reporter,
    ) -> (Vec<Deed<K::Row>>, Option<End>) {
        let (mut deeds, mut over) = (Vec::new(), None);
        for output in outputs {
            match output {
                Output::Ask(request) => self.ask(request),
                Output::Write { symbol, day, rows } => {
                    self.figures.days_done += 1;
                    self.figures.rows += rows.len() as u64;
                    deeds.push(Deed::Write { symbol: self.symbols[symbol].clone(), day, rows });
                }
                Output::Checkpoint => deeds.push(Deed::Checkpoint),
                Output::Tell(note) => self.tell(note, disk, reporter),
                Output::Over(end) => over = Some(end),
            }
        }
        (deeds, over)
    }

    fn ask(&mut self, request: Request) {
        let archive = Arc::clone(&self.sources[request.key.0].archive);
        let symbol = self.symbols[request.symbol].clone();
        self.requests.spawn(async move {
            let Request { ticket, from, to, page, .. } = request;
            (ticket, K::page(&*archive, &symbol, from, to, page.as_deref()).await)
        });
    }

    fn answer(&mut self, (ticket, answer): Answer<K::Row>) -> Input<K::Row> {
        match answer {
            Ok(Page { rows, next, unreadable }) => {
                self.unreadable += unreadable;
                Input::Page { ticket, rows, next }
            }
            Err(error) => Input::Failed { ticket, fault: Fault::from(&error) },
        }
    }

    fn tell(&mut self, note: Note, disk: &Disk, reporter: &mut dyn Reporter) {
        match note {
            Note::Waiting { key, pause, reason } => {
                let name = &self.sources[key.0].name;
                reporter.say(&format!("{name} waits {}: {reason}", hms(pause)));
            }
            Note::KeyLost { key, reason } => {
                let name = &self.sources[key.0].name;
                reporter.say(&format!("{name} is not used any more: {reason}"));
            }
            Note::Skipped(Skip { symbol, days, reason }) => {
                self.figures.days_skipped += days.len() as u64;
                let skipped = SkippedDays {
                    symbol: self.symbols[symbol].clone(),
                    first: disk.days[days.start].date,
                    last: disk.days[days.end - 1].date,
                    days: days.len(),
                    reason,
                };
                reporter.say(&format!("skipped {skipped}"));
                self.note_skipped(skipped);
            }
        }
    }

    /// A long outage is one line of the report, not one for each day.
    fn note_skipped(&mut self, skipped: SkippedDays) {
        match self.skipped.last_mut() {
            Some(last) if last.symbol == skipped.symbol && last.reason == skipped.reason => {
                last.first = last.first.min(skipped.first);
                last.last = last.last.max(skipped.last);
                last.days += skipped.days;
            }
            Some(_) | None => self.skipped.push(skipped),
        }
    }

    fn count(&mut self) {
        self.figures.requests = self.core.requests();
        self.figures.elapsed = self.clock.now().since(self.started);
        let used = self
            .sources
            .iter()
            .map(|source| source.budget.usage().windows.first().map_or(0, |window| window.used));
        self.figures.requests_last_minute = used.sum();
    }

    fn nap(&self) -> Duration {
        let nap = self.core.deadline().map_or(LONGEST_NAP, |at| self.clock.real_until(at));
        nap.clamp(SHORTEST_NAP, LONGEST_NAP)
    }

    fn summary(self, end: End) -> Summary {
        let strays = self.core.strays();
        Summary { end, figures: self.figures, skipped: self.skipped, unreadable: self.unreadable, strays }
    }
}

impl std::fmt::Display for SkippedDays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { symbol, first, last, days, reason } = self;
        if first == last {
            write!(f, "{symbol} {first}: {reason}")
        } else {
            write!(f, "{symbol} {days} days within {first} to {last}: {reason}")
        }
    }
}

enum Deed<R> {
    Write { symbol: Symbol, day: usize, rows: Vec<R> },
    Checkpoint,
}

/// The folder and what it holds.
struct Disk {
    folder: Folder,
    checkpoint: Checkpoint,
    days: Arc<[Day]>,
}

impl Disk {
    /// The days of a symbol that are not written: those the checkpoint does not know, and those whose file has
    /// gone.
    fn missing(&self, symbol: &Symbol) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (at, day) in self.days.iter().enumerate() {
            if self.checkpoint.has(symbol, day.date) && self.folder.day(symbol, day.date).exists() {
                continue;
            }
            match ranges.last_mut() {
                Some(range) if range.end == at => range.end += 1,
                Some(_) | None => ranges.push(at..at + 1),
            }
        }
        ranges
    }

    /// Does what is to be done, in order, on a thread that may wait for the disk.
    async fn perform<K: Kind>(mut self, deeds: Vec<Deed<K::Row>>) -> Result<Self, BackfillError> {
        if deeds.is_empty() {
            return Ok(self);
        }
        let work = move || {
            for deed in deeds {
                match deed {
                    Deed::Write { symbol, day, rows } => self.write::<K>(&symbol, day, &rows)?,
                    Deed::Checkpoint => self.folder.save(&self.checkpoint)?,
                }
            }
            Ok(self)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => Err(BackfillError::Broken { message: error.to_string() }),
        }
    }

    fn write<K: Kind>(&mut self, symbol: &Symbol, day: usize, rows: &[K::Row]) -> Result<(), BackfillError> {
        let bytes = K::encode(symbol, rows, self.folder.origin())?;
        let date_at = |at: usize| self.days.get(at).map(|day| day.date);
        let date = self.days[day].date;
        self.folder.write_day(symbol, date, &bytes)?;
        self.checkpoint.note(symbol, date, day.checked_sub(1).and_then(date_at), date_at(day + 1));
        Ok(())
    }
}
