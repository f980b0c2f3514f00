//! The one task that writes.
//!
//! While the database is slow it goes on answering probes and taking what is to be written next: it waits for
//! the database, and is not stuck.

use std::{pin::pin, sync::Arc, time::Duration};

use sandpit_types::Pulse;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};
use tracing::{info, warn};

use crate::{
    Database, StoreError,
    batch::{Joiner, Joining},
    connection::Connection,
    error::{is_ended, is_lost},
    flush::{Flusher, Shared},
    postgres::Server,
    sqlite::File,
    statements::Statement,
};

/// Commits that go into one transaction at most, and that wait for the next one beside the queue.
pub const MAX_BATCH: usize = 256;

/// How long a server may take for one commit, and so much longer for each statement in it: after an outage
/// many come together. Then the connection counts as broken.
const WRITE_WITHIN: Duration = Duration::from_millis(2_500);
const STATEMENT_WITHIN: Duration = Duration::from_millis(20);
/// After a failure to connect the next try waits so long, and twice as long each time,
const RETRY_BASE: Duration = Duration::from_millis(100);
/// up to so long. Until then commits fail at once.
const RETRY_CAP: Duration = Duration::from_secs(5);

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    Write(Write),
    Probe(u64),
    Close(oneshot::Sender<()>),
}

/// Statements of which all are done or none, and who waits for it. The answer is the number of rows that the
/// statements returned.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) statements: Vec<Statement>,
    /// Nobody is in a hurry, and the number of rows is wanted: to be done by itself, after the others.
    pub(crate) is_chore: bool,
    pub(crate) done: oneshot::Sender<Result<usize, StoreError>>,
}

/// Where connections come from.
#[derive(Debug)]
pub(crate) enum Source {
    Sqlite(File),
    Postgres(Server),
}

/// The connection that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    database: Database,
    source: Source,
    /// `None` after a failed write. SQLite may have rolled back by itself (a full disk) while a transaction
    /// counts as open, and then no later commit of this connection can be believed.
    connection: Option<Connection>,
    joiner: Joiner,
    shared: Arc<Shared>,
    refused: Option<Refused>,
}

/// The last connection could not be made.
#[derive(Debug)]
struct Refused {
    error: StoreError,
    wait: Duration,
    until: Instant,
}

/// What waits for the next write.
#[derive(Debug, Default)]
struct Waiting {
    writes: Vec<Write>,
    closing: Option<oneshot::Sender<()>>,
    is_over: bool,
}

impl Waiting {
    fn take(&mut self, jobs: &mut Vec<Job>, pulse: &Pulse) {
        for job in jobs.drain(..) {
            match job {
                Job::Write(write) => self.writes.push(write),
                Job::Probe(nonce) => pulse.answer(nonce),
                Job::Close(done) => {
                    self.closing = Some(done);
                    self.is_over = true;
                }
            }
        }
    }
}

impl Writer {
    /// Writes by `connection`, and after a failure by new ones from `source`.
    pub(crate) fn new(source: Source, connection: Connection) -> Self {
        let (database, joining) = match &source {
            Source::Sqlite(file) => (Database::Sqlite(file.path().to_owned()), Joining::Sequence),
            Source::Postgres(server) => (server.database().clone(), Joining::With),
        };
        let (joiner, shared) = (Joiner::new(joining), Arc::default());
        Self { database, source, connection: Some(connection), joiner, shared, refused: None }
    }

    /// Writes until all handles are gone or one says close.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Job>, pulse: Arc<Pulse>) {
        let flusher = match &self.source {
            Source::Sqlite(file) => {
                Some(Flusher::start(file.path(), file.options.clone(), self.shared.clone()))
            }
            Source::Postgres(_) => None,
        };
        let mut jobs = Vec::with_capacity(MAX_BATCH);
        let mut waiting = Waiting::default();
        loop {
            if waiting.writes.is_empty() {
                if waiting.is_over || queue.recv_many(&mut jobs, MAX_BATCH).await == 0 {
                    break;
                }
                waiting.take(&mut jobs, &pulse);
            }
            let mut writing = pin!(self.write_all(std::mem::take(&mut waiting.writes), &pulse));
            loop {
                let has_room = waiting.writes.len() < MAX_BATCH && !waiting.is_over;
                tokio::select! {
                    biased;
                    () = &mut writing => break,
                    taken = queue.recv_many(&mut jobs, MAX_BATCH), if has_room => {
                        waiting.is_over |= taken == 0;
                        waiting.take(&mut jobs, &pulse);
                    }
                }
            }
        }
        // Whoever still waits sees the channel close.
        drop(queue);
        if let Some(flusher) = flusher {
            flusher.stop().await;
        }
        if let Some(connection) = self.connection {
            close(connection).await;
        }
        if let Some(done) = waiting.closing {
            done.send(()).ok();
        }
    }

    /// One transaction for all commits; if that fails, one each, so that one bad commit fails alone.
    async fn write_all(&mut self, writes: Vec<Write>, pulse: &Pulse) {
        let (chores, commits): (Vec<_>, Vec<_>) = writes.into_iter().partition(|write| write.is_chore);
        let all: Vec<&Statement> = commits.iter().flat_map(|commit| &commit.statements).collect();
        let together = self.write(&all).await;
        let alone = commits.len() == 1;
        for Write { statements, done, .. } in commits {
            let result = match &together {
                Err(_) if !alone => self.write(&statements.iter().collect::<Vec<_>>()).await,
                same => same.clone(),
            };
            answer(done, result, pulse);
        }
        for Write { statements, done, .. } in chores {
            let result = self.write(&statements.iter().collect::<Vec<_>>()).await;
            answer(done, result, pulse);
        }
    }

    async fn write(&mut self, statements: &[&Statement]) -> Result<usize, StoreError> {
        if statements.is_empty() {
            return Ok(0);
        }
        let is_used = self.connection.is_some();
        match self.attempt(statements).await {
            Ok(answered) => Ok(answered),
            // A server that was restarted meanwhile, or an idle connection that something on the way forgot.
            // Whether the commit was done is not known; done again, it changes nothing.
            Err((_, Outcome::Unknown)) if is_used => {
                info!(database = %self.database, "the connection to the database broke; connecting again");
                self.attempt(statements).await.map_err(|(error, _)| error)
            }
            Err((error, _)) => Err(error),
        }
    }

    async fn attempt(&mut self, statements: &[&Statement]) -> Result<usize, (StoreError, Outcome)> {
        let known = |error| (error, Outcome::NotDone);
        if let Some(cause) = self.shared.broken() {
            return Err(known(StoreError::Broken { cause: cause.to_owned() }));
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await.map_err(known)?,
        };
        let write = connection.write(statements, &mut self.joiner);
        let written = match &self.source {
            Source::Sqlite(_) => Some(write.await),
            Source::Postgres(_) => {
                let each = STATEMENT_WITHIN.saturating_mul(statements.len().try_into().unwrap_or(u32::MAX));
                timeout(WRITE_WITHIN + each, write).await.ok()
            }
        };
        let error = match written {
            Some(Ok(answered)) => {
                if let Source::Sqlite(file) = &self.source {
                    file.check().map_err(known)?;
                    self.shared.committed();
                }
                self.connection = Some(connection);
                return Ok(answered);
            }
            Some(Err(error)) => {
                let is_unknown = is_lost(&error) || is_ended(&error);
                let outcome = if is_unknown { Outcome::Unknown } else { Outcome::NotDone };
                (StoreError::writing(&self.database, &error), outcome)
            }
            None => (StoreError::late("a commit"), Outcome::Unknown),
        };
        match connection {
            Connection::Sqlite(_) => close(connection).await,
            // To say goodbye to a server that does not answer could take for ever.
            Connection::Postgres(_) => drop(connection),
        }
        Err(error)
    }

    async fn connect(&mut self) -> Result<Connection, StoreError> {
        if let Some(refused) = &self.refused
            && (refused.error.is_final() || Instant::now() < refused.until)
        {
            return Err(refused.error.clone());
        }
        let connected = match &mut self.source {
            Source::Sqlite(file) => return file.connect().await,
            Source::Postgres(server) => server.connect().await,
        };
        match connected {
            Ok(connection) => {
                self.refused = None;
                Ok(connection)
            }
            Err(error) => {
                let wait = self.refused.take().map_or(RETRY_BASE, |last| (last.wait * 2).min(RETRY_CAP));
                let until = Instant::now() + wait;
                self.refused = Some(Refused { error: error.clone(), wait, until });
                Err(error)
            }
        }
    }
}

/// What is known of a write that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing of it is in the database.
    NotDone,
    /// The connection broke.
    Unknown,
}

/// Nobody may be waiting any more; it is written all the same.
fn answer(
    done: oneshot::Sender<Result<usize, StoreError>>,
    result: Result<usize, StoreError>,
    pulse: &Pulse,
) {
    if result.is_ok() {
        pulse.work();
    }
    done.send(result).ok();
}

/// Closing rolls back what is open.
async fn close(connection: Connection) {
    if let Err(error) = connection.close().await {
        warn!(%error, "the database did not close cleanly; nothing committed is lost");
    }
}

#[cfg(test)]
mod tests;
