//! The server.
//!
//! One session writes. It holds an advisory lock as long as it lives, so that two hosts cannot share a
//! database: each would trade on books that the other changes. The server must therefore be reached directly
//! or through a pooler that gives whole sessions.
//!
//! Whoever opens a database to write leaves its mark in it ([`facts::WRITER`]). A host that lost its session
//! goes on only where its own mark is still the last one: meanwhile another may have had the lock, or the
//! database may be another one (a restored backup, an empty one of the same name).

use std::{fmt, time::Duration};

use sqlx::{
    ConnectOptions, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Database, PostgresUrl, StoreError,
    connection::{Connection, Row},
    facts,
    statements::{Statement, Value, fact, text},
};

/// How long a connection may take to make, its first statements included.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long the session before may take to end: the server sees a dead peer when its next byte does not
/// arrive.
const LOCK_WITHIN: Duration = Duration::from_secs(5);
const LOCK_AGAIN: Duration = Duration::from_millis(50);
/// How long all migrations together may take.
const MIGRATE_WITHIN: Duration = Duration::from_secs(60);
/// Connections for reading, besides the writer's.
const READERS: u32 = 2;
/// The lock: `sandpit` in ASCII.
const LOCK: i64 = 0x0073_616e_6470_6974;

/// What a session is asked to be like; anybody may ask for these.
const SETTINGS: [(&str, &str); 7] = [
    // A commit is on the disk when it is answered.
    ("synchronous_commit", "on"),
    // Nothing that the host asks takes long; what does has met a lock or a sick disk.
    ("statement_timeout", "2000"),
    ("idle_in_transaction_session_timeout", "5000"),
    // The session of a host whose machine died ends, and its lock with it.
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "10000"),
];

const WHO: &str = "SELECT CAST(pid AS BIGINT) AS pid, CAST(EXTRACT(EPOCH FROM backend_start) * 1000000 AS \
                   BIGINT) AS since FROM pg_stat_activity WHERE pid = pg_backend_pid()";
const TABLE: &str = "SELECT CAST(to_regclass('facts')::oid AS BIGINT) AS number";
const END: &str = "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity WHERE pid = $1 AND \
                   CAST(EXTRACT(EPOCH FROM backend_start) * 1000000 AS BIGINT) = $2";

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");

/// The version of this schema.
pub(crate) fn version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// A PostgreSQL server that is in use.
pub(crate) struct Server {
    database: Database,
    options: PgConnectOptions,
    /// The session that writes: its process at the server and since when, in microseconds.
    session: Option<(i64, i64)>,
    /// What this host left in the database when it opened it.
    mark: Option<Mark>,
}

/// Who was the last to open a database, and which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    writer: String,
    /// The number that the server gave the table: a restored one has another.
    table: i64,
}

impl Server {
    /// Connects, takes the lock, and brings the database to this version.
    pub(crate) async fn open(url: &PostgresUrl) -> Result<(Self, PgConnection, PgPool), StoreError> {
        let options = options(url);
        let database = Database::Postgres(url.clone());
        let mut server = Self { database, options, session: None, mark: None };
        let mut connection = server.connect_within(LOCK_WITHIN).await?;
        let migrated = timeout(MIGRATE_WITHIN, MIGRATIONS.run(&mut connection)).await;
        let migrated = migrated.map_err(|_| StoreError::silent(&server.database))?;
        migrated.map_err(|error| StoreError::migrating(&server.database, &error))?;
        let mut connection = Connection::Postgres(connection);
        let marked = timeout(CONNECT_WITHIN, server.leave_mark(&mut connection)).await;
        marked.map_err(|_| StoreError::silent(&server.database))??;
        let readers = readers(&server.options);
        Ok((server, connection.into_postgres(), readers))
    }

    pub(crate) const fn database(&self) -> &Database {
        &self.database
    }

    /// A new connection in the place of one that broke.
    pub(crate) async fn connect(&mut self) -> Result<Connection, StoreError> {
        self.connect_within(CONNECT_WITHIN).await.map(Connection::Postgres)
    }

    async fn connect_within(&mut self, lock_within: Duration) -> Result<PgConnection, StoreError> {
        let connected = timeout(CONNECT_WITHIN, self.options.connect()).await;
        let connected = connected.map_err(|_| StoreError::silent(&self.database))?;
        let connection = connected.map_err(|error| StoreError::opening(&self.database, &error))?;
        let mut connection = Connection::Postgres(connection);
        let locked = timeout(lock_within + CONNECT_WITHIN, self.lock(&mut connection, lock_within)).await;
        locked.map_err(|_| StoreError::silent(&self.database))??;
        Ok(connection.into_postgres())
    }

    /// Once this session has the lock, what the one before was still doing is over: done, or rolled back.
    async fn lock(&mut self, connection: &mut Connection, within: Duration) -> Result<(), StoreError> {
        let opening = |error: sqlx::Error| StoreError::opening(&self.database, &error);
        if let Some((pid, since)) = self.session {
            connection.rows(END, &[Value::Int(pid), Value::Int(since)]).await.map_err(opening)?;
        }
        self.check_mark(connection).await?;
        let until = Instant::now() + within;
        let ask = "SELECT pg_try_advisory_lock($1) AS is_ours";
        loop {
            let rows = connection.rows(ask, &[Value::Int(LOCK)]).await.map_err(opening)?;
            if rows.first().map(|row| row.flag("is_ours")).transpose()?.unwrap_or(false) {
                break;
            }
            if Instant::now() >= until {
                return Err(StoreError::InUse { database: self.database.to_string() });
            }
            sleep(LOCK_AGAIN).await;
        }
        let rows = connection.rows(WHO, []).await.map_err(opening)?;
        let who = |row: &Row| Ok((row.int("pid")?.unwrap_or(0), row.int("since")?.unwrap_or(0)));
        self.session = rows.first().map(who).transpose()?;
        // Another may have had the lock and left it before.
        self.check_mark(connection).await
    }

    async fn check_mark(&self, connection: &mut Connection) -> Result<(), StoreError> {
        match &self.mark {
            Some(mark) if self.find_mark(connection).await?.as_ref() != Some(mark) => {
                Err(StoreError::Superseded { database: self.database.to_string() })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The session's own name is one that no other session of the server has had.
    async fn leave_mark(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        let (pid, since) = self.session.unwrap_or_default();
        let Statement { text, values, .. } = fact(facts::WRITER, Some(&format!("{pid} {since}")));
        let left = connection.rows(text, &values).await;
        left.map_err(|error| StoreError::opening(&self.database, &error))?;
        self.mark = self.find_mark(connection).await?;
        Ok(())
    }

    /// The mark that is in the database; `None` when it has no such table or nobody has left one.
    async fn find_mark(&self, connection: &mut Connection) -> Result<Option<Mark>, StoreError> {
        let opening = |error: sqlx::Error| StoreError::opening(&self.database, &error);
        let rows = connection.rows(TABLE, []).await.map_err(opening)?;
        let Some(table) = rows.first().map(|row| row.int("number")).transpose()?.flatten() else {
            return Ok(None);
        };
        let rows = connection.rows(facts::READ, &[text(facts::WRITER)]).await.map_err(opening)?;
        let writer = rows.first().map(|row| row.text("value")).transpose()?.flatten();
        Ok(writer.map(|writer| Mark { writer, table }))
    }
}

/// It holds the password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, options: _, session, mark } = self;
        f.debug_struct("Server")
            .field("database", database)
            .field("session", session)
            .field("mark", mark)
            .finish_non_exhaustive()
    }
}

/// One connection for who looks at all of a database; it may take its time.
pub(crate) async fn reader(url: &PostgresUrl) -> Result<PgConnection, StoreError> {
    let database = Database::Postgres(url.clone());
    let patient = [("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")];
    let options = url.options().application_name("sandpit").options(patient).disable_statement_logging();
    let connected = timeout(CONNECT_WITHIN, options.connect()).await;
    let connected = connected.map_err(|_| StoreError::unopened(&database, "no answer in time"))?;
    connected.map_err(|error| StoreError::opening(&database, &error))
}

/// Connections to read a database that somebody else may be writing.
pub(crate) async fn read_only(url: &PostgresUrl) -> Result<PgPool, StoreError> {
    let database = Database::Postgres(url.clone());
    let pool = readers(&options(url));
    let first = timeout(CONNECT_WITHIN, pool.acquire()).await;
    let first = first.map_err(|_| StoreError::silent(&database))?;
    first.map_err(|error| StoreError::opening(&database, &error))?;
    Ok(pool)
}

fn options(url: &PostgresUrl) -> PgConnectOptions {
    url.options().application_name("sandpit").options(SETTINGS).disable_statement_logging()
}

fn readers(options: &PgConnectOptions) -> PgPool {
    let options = options.clone().options([("default_transaction_read_only", "on")]);
    let pool = PgPoolOptions::new().max_connections(READERS).acquire_timeout(CONNECT_WITHIN);
    pool.connect_lazy_with(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_does_not_show_its_password() {
        let url: PostgresUrl = "postgres://u:hunter2@db/books".parse().expect("an address");
        let options = options(&url);
        let server = Server { database: Database::Postgres(url), options, session: None, mark: None };
        let said = format!("{server:?}");
        assert!(said.contains("books") && !said.contains("hunter2"), "{said}");
    }

    #[test]
    fn the_lock_is_our_name() {
        assert_eq!(LOCK.to_be_bytes(), *b"\0sandpit");
    }
}
