//! The one task that writes.

use std::sync::Arc;

use sandpit_types::Pulse;
use sqlx::{ConnectOptions, Connection, SqliteConnection, query, sqlite::SqliteConnectOptions};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::{OrderChange, OrderRow, Record, StoreError, SubBookRow};

/// Commits that go into one transaction at most.
pub const MAX_BATCH: usize = 256;

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    Commit { records: Vec<Record>, done: oneshot::Sender<Result<(), StoreError>> },
    Probe(u64),
    Close(oneshot::Sender<()>),
}

type Commit = (Vec<Record>, oneshot::Sender<Result<(), StoreError>>);

/// The connection that writes.
pub(crate) struct Writer {
    options: SqliteConnectOptions,
    /// `None` after a failed write. SQLite may have rolled back by itself (a full disk) while the driver
    /// still counts a transaction as open, and then no later commit of this connection can be believed.
    connection: Option<SqliteConnection>,
}

impl Writer {
    /// Writes by `connection`, and after a failure by new ones made with `options`.
    pub(crate) const fn new(options: SqliteConnectOptions, connection: SqliteConnection) -> Self {
        Self { options, connection: Some(connection) }
    }

    /// Writes until all handles are gone or one says close.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Job>, pulse: Arc<Pulse>) {
        let mut jobs = Vec::with_capacity(MAX_BATCH);
        let mut closing = None;
        while closing.is_none() && queue.recv_many(&mut jobs, MAX_BATCH).await > 0 {
            let mut commits = Vec::new();
            let mut nonce = None;
            for job in jobs.drain(..) {
                match job {
                    Job::Commit { records, done } => commits.push((records, done)),
                    Job::Probe(newest) => nonce = Some(newest),
                    Job::Close(done) => closing = Some(done),
                }
            }
            self.write_all(commits, &pulse).await;
            if let Some(nonce) = nonce {
                pulse.answer(nonce);
            }
        }
        // Whoever still waits sees the channel close.
        drop(queue);
        if let Some(connection) = self.connection {
            close(connection).await;
        }
        if let Some(done) = closing {
            done.send(()).ok();
        }
    }

    /// One transaction for all; if that fails, one each, so that one bad commit fails alone.
    async fn write_all(&mut self, commits: Vec<Commit>, pulse: &Pulse) {
        if commits.is_empty() {
            return;
        }
        let together = self.write(commits.iter().flat_map(|(records, _)| records)).await;
        let alone = commits.len() == 1;
        for (records, done) in commits {
            let result = match &together {
                Ok(()) => Ok(()),
                Err(error) if alone => Err(error.clone()),
                Err(_) => self.write(records.iter()).await,
            };
            if result.is_ok() {
                pulse.work();
            }
            // Nobody may be waiting any more; the records are written all the same.
            done.send(result).ok();
        }
    }

    async fn write(&mut self, records: impl Iterator<Item = &Record>) -> Result<(), StoreError> {
        let failed = |error: sqlx::Error| StoreError::Write { cause: error.to_string() };
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(failed)?,
        };
        match transact(&mut connection, records).await {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err(error) => {
                close(connection).await;
                Err(failed(error))
            }
        }
    }
}

/// Closing rolls back what is open.
async fn close(connection: SqliteConnection) {
    if let Err(error) = connection.close().await {
        warn!(%error, "the database did not close cleanly; nothing committed is lost");
    }
}

async fn transact(
    connection: &mut SqliteConnection,
    records: impl Iterator<Item = &Record>,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    for record in records {
        insert(&mut transaction, record).await?;
    }
    transaction.commit().await
}

async fn insert(connection: &mut SqliteConnection, record: &Record) -> Result<(), sqlx::Error> {
    match record {
        Record::Order(row) => insert_order(connection, row).await,
        Record::Change(change) => insert_change(connection, change).await,
        Record::Fill { fill, after } => {
            let client_id = fill.client_id.to_string();
            // Again after a failed commit that was written after all: the sub-book after it is the same.
            query(
                "INSERT INTO fills VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (client_id, \
                 execution_id) DO NOTHING",
            )
            .bind(client_id)
            .bind(fill.execution_id.as_str())
            .bind(fill.client_id.strategy.as_str())
            .bind(fill.symbol.as_str())
            .bind(fill.side.as_str())
            .bind(fill.qty.to_string())
            .bind(fill.price.to_string())
            .bind(fill.time.as_nanos())
            .execute(&mut *connection)
            .await?;
            upsert_sub_book(connection, after).await
        }
        other => insert_story(connection, other).await,
    }
}

/// The records that nothing is rebuilt from.
async fn insert_story(connection: &mut SqliteConnection, record: &Record) -> Result<(), sqlx::Error> {
    let statement = match record {
        Record::Equity { time, equity, cash } => query("INSERT INTO equity VALUES ($1, $2, $3)")
            .bind(time.as_nanos())
            .bind(equity.to_string())
            .bind(cash.to_string()),
        Record::Signal { time, strategy, signal } => query("INSERT INTO signals VALUES ($1, $2, $3, $4)")
            .bind(time.as_nanos())
            .bind(strategy.as_str())
            .bind(signal.symbol.as_ref().map(|symbol| symbol.as_str()))
            .bind(signal.reason.as_str()),
        Record::Refusal { time, strategy, id, refusal } => {
            query("INSERT INTO refusals VALUES ($1, $2, $3, $4)")
                .bind(time.as_nanos())
                .bind(strategy.as_str())
                .bind(id.to_string())
                .bind(refusal.to_string())
        }
        Record::HostStart { epoch, mode, time } => query("INSERT INTO host_starts VALUES ($1, $2, $3)")
            .bind(epoch.to_string())
            .bind(mode.as_str())
            .bind(time.as_nanos()),
        Record::Notice { time, subject, detail } => query("INSERT INTO notices VALUES ($1, $2, $3)")
            .bind(time.as_nanos())
            .bind(*subject)
            .bind(detail.as_str()),
        Record::Activity(_)
        | Record::Fact { .. }
        | Record::StrategyState { .. }
        | Record::Alert { .. }
        | Record::Audit(_) => return Ok(()), // FOUNDATION
        Record::Order(_) | Record::Change(_) | Record::Fill { .. } => return Ok(()),
    };
    statement.execute(connection).await.map(drop)
}

async fn insert_order(connection: &mut SqliteConnection, row: &OrderRow) -> Result<(), sqlx::Error> {
    let request = &row.request;
    // Again after a failed commit that was written after all: the changes that followed stand in the row.
    query(
        "INSERT INTO orders VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
         $17, $18) ON CONFLICT (client_id) DO NOTHING",
    )
    .bind(request.client_id.to_string())
    .bind(request.client_id.strategy.as_str())
    .bind(request.client_id.epoch.to_string())
    .bind(i64::from(row.incarnation))
    .bind(row.strategy_id.map(|id| id.to_string()))
    .bind(request.symbol.as_str())
    .bind(request.side.as_str())
    .bind(request.qty.to_string())
    .bind(request.kind.limit_price().map(|price| price.to_string()))
    .bind(request.time_in_force.as_str())
    .bind(request.extended_hours)
    .bind(row.state.as_str())
    .bind(row.is_open)
    .bind(row.broker_id.as_ref().map(|id| id.as_str()))
    .bind(row.filled_qty.to_string())
    .bind(row.filled_notional.to_string())
    .bind(row.recorded_at.as_nanos())
    .bind(row.recorded_at.as_nanos())
    .execute(connection)
    .await
    .map(drop)
}

async fn insert_change(connection: &mut SqliteConnection, change: &OrderChange) -> Result<(), sqlx::Error> {
    let client_id = change.client_id.to_string();
    let updated = query(
        "UPDATE orders SET state = $2, is_open = $3, broker_id = $4, filled_qty = $5, filled_notional = $6, \
         changed_at = $7 WHERE client_id = $1",
    )
    .bind(client_id.as_str())
    .bind(change.state.as_str())
    .bind(change.is_open)
    .bind(change.broker_id.as_ref().map(|id| id.as_str()))
    .bind(change.filled_qty.to_string())
    .bind(change.filled_notional.to_string())
    .bind(change.time.as_nanos())
    .execute(&mut *connection)
    .await?;
    if updated.rows_affected() != 1 {
        return Err(sqlx::Error::RowNotFound);
    }
    query(
        "INSERT INTO order_changes SELECT $1, COALESCE(MAX(change_number), 0) + 1, $2, $3, $4, $5 FROM \
         order_changes WHERE client_id = $1",
    )
    .bind(client_id.as_str())
    .bind(change.time.as_nanos())
    .bind(change.state.as_str())
    .bind(change.filled_qty.to_string())
    .bind(change.note.as_str())
    .execute(connection)
    .await
    .map(drop)
}

async fn upsert_sub_book(connection: &mut SqliteConnection, row: &SubBookRow) -> Result<(), sqlx::Error> {
    query(
        "INSERT INTO sub_books VALUES ($1, $2, $3, $4, $5) ON CONFLICT (strategy, symbol) DO UPDATE SET qty \
         = excluded.qty, cost = excluded.cost, cash = excluded.cash",
    )
    .bind(row.strategy.as_str())
    .bind(row.symbol.as_str())
    .bind(row.qty.to_string())
    .bind(row.cost.to_string())
    .bind(row.cash.to_string())
    .execute(connection)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use sandpit_types::MarketTime;

    use super::*;
    use crate::Store;

    async fn notices(path: &std::path::Path) -> i64 {
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        let mut reader = options.connect().await.expect("opens");
        sqlx::query_scalar("SELECT COUNT(*) FROM notices").fetch_one(&mut reader).await.expect("reads")
    }

    fn notice(bytes: usize) -> Record {
        Record::Notice { time: MarketTime::EPOCH, subject: "test", detail: "x".repeat(bytes) }
    }

    #[tokio::test]
    async fn after_a_full_disk_commits_are_durable_again() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("host.db");
        Store::open(&path, Arc::default()).await.expect("opens").close().await;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .disable_statement_logging();
        // The pragma holds for one connection, so each that the writer makes has it anew.
        let full = options.clone().pragma("max_page_count", "60");
        let connection = full.connect().await.expect("opens");
        let mut writer = Writer::new(full, connection);
        writer.write([notice(1)].iter()).await.expect("fits");
        for _ in 0..3 {
            let error = writer.write([notice(1), notice(1_000_000)].iter()).await.expect_err("full");
            assert!(error.to_string().contains("full"), "{error}");
            assert_eq!(notices(&path).await, 1, "all or nothing");
        }
        writer.write([notice(1)].iter()).await.expect("what fits is taken");
        assert_eq!(notices(&path).await, 2, "and seen by others, so it is committed");
        writer.options = options;
        writer
            .write([notice(1), notice(1_000_000)].iter())
            .await
            .expect_err("the connection is as full as it was");
        writer.write([notice(1), notice(1_000_000)].iter()).await.expect("there is room");
        // Dropped without close, as by a death.
        drop(writer);
        let store = Store::open(&path, Arc::default()).await.expect("opens again");
        assert_eq!(notices(&path).await, 4);
        store.close().await;
    }
}
