//! The edge: asks the archives, writes what is whole, keeps the checkpoint, until the core says it is over.
//!
//! Files are written off the loop, one answer's at a time and in order, so that a checkpoint never speaks of
//! a file that is not there. Meanwhile the requests under way go on.

use std::{ops::Range, sync::Arc, time::Duration};

use jiff::civil::Date;
use sandpit_broker::{Archive, BrokerError, Page};
use sandpit_budget::Budget;
use sandpit_types::{MarketClock, MarketTime, Symbol};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};

use crate::{
    core::{Core, End, Input, Note, Output, Plan, Request, Skip, Ticket},
    days::Day,
    disk::{Deed, Disk},
    error::BackfillError,
    fault::Fault,
    folder::Folder,
    kind::Kind,
    progress::{Figures, Reporter, hms},
    summary::{LostDays, Summary},
};

/// The longest sleep, real time: the figures are shown about once a second.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// The shortest sleep, real time: a clock that rounds down must not make a busy loop.
const SHORTEST_NAP: Duration = Duration::from_millis(1);
/// Files of one run, counting one a symbol and day: ten years of 2,000 symbols.
const MAX_FILES: usize = 5_000_000;

/// Why a day with a file is not done.
const DAMAGED: &str = "rows that could not be read may belong to it";
const LATE: &str = "rows came after its file was written";

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
        in_doubt: Vec::new(),
        unreadable: 0,
    };
    runner.run(disk, stops, reporter).await
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
    skipped: Vec<LostDays>,
    in_doubt: Vec<LostDays>,
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
                    let broken = |error: JoinError| BackfillError::Broken { message: error.to_string() };
                    let answer = answer.map_err(broken)?;
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
                Output::Write { symbol, day, rows, is_in_doubt } => {
                    self.figures.days_done += 1;
                    self.figures.rows += rows.len() as u64;
                    let name = self.symbols[symbol].clone();
                    deeds.push(Deed::Write { symbol: name, day, rows, is_in_doubt });
                    if is_in_doubt {
                        self.doubt(symbol, disk.days[day].date, DAMAGED);
                    }
                }
                Output::Forget { symbol, day } => {
                    deeds.push(Deed::Forget { symbol: self.symbols[symbol].clone(), day });
                    self.doubt(symbol, disk.days[day].date, LATE);
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
                Input::Page { ticket, rows, unreadable, next }
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
                let skipped = LostDays {
                    symbol: self.symbols[symbol].clone(),
                    first: disk.days[days.start].date,
                    last: disk.days[days.end - 1].date,
                    days: days.len(),
                    reason,
                };
                reporter.say(&format!("skipped {skipped}"));
                skipped.note(&mut self.skipped);
            }
        }
    }

    fn doubt(&mut self, symbol: usize, date: Date, reason: &str) {
        let symbol = self.symbols[symbol].clone();
        let day = LostDays { symbol, first: date, last: date, days: 1, reason: reason.to_owned() };
        day.note(&mut self.in_doubt);
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
        let Self { figures, skipped, in_doubt, unreadable, .. } = self;
        Summary { end, figures, skipped, in_doubt, unreadable, strays }
    }
}
