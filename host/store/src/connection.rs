//! The two databases behind one face.
//!
//! `sqlx::Any` would be that, too, but it boxes every row and value, and has no way to run several statements
//! at once, which is what a commit costs the least with (see `batch.rs`).

use std::{sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection as _, Error, PgConnection, PgPool, Row as _, SqliteConnection, SqlitePool,
    postgres::{PgArguments, PgRow},
    query_with,
    sqlite::{SqliteArguments, SqliteRow},
};
use tokio::time::timeout;

use crate::{
    StoreError,
    batch::{Batch, Joiner},
    statements::{Statement, Value},
};

/// How long a server may take to answer who reads: longer than it lets a statement run.
const READ_WITHIN: Duration = Duration::from_secs(4);

/// A connection that writes.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Connections that only read.
#[derive(Clone, Debug)]
pub(crate) enum Readers {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// One row of an answer.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! answer {
    ($executor:expr, $row:path, $arguments:ty, $text:expr, $values:expr) => {{
        let mut arguments = <$arguments>::default();
        for value in $values {
            use sqlx::Arguments as _;
            let added = match value {
                Value::Text(text) => arguments.add(text.clone()),
                Value::Int(number) => arguments.add(*number),
                Value::Flag(flag) => arguments.add(*flag),
                Value::Bytes(bytes) => arguments.add(bytes.clone()),
            };
            added.map_err(Error::Encode)?;
        }
        let rows = query_with(AssertSqlSafe($text), arguments).fetch_all($executor).await?;
        Ok(rows.into_iter().map($row).collect())
    }};
}

impl Connection {
    /// Runs one text and returns its rows, of which most have none.
    pub(crate) async fn rows<'a>(
        &mut self,
        text: impl Into<Arc<str>>,
        values: impl IntoIterator<Item = &'a Value>,
    ) -> Result<Vec<Row>, Error> {
        let text = text.into();
        match self {
            Self::Sqlite(connection) => answer!(connection, Row::Sqlite, SqliteArguments, text, values),
            Self::Postgres(connection) => answer!(connection, Row::Postgres, PgArguments, text, values),
        }
    }

    /// Runs the statements, all or none of them, and returns the number of rows they answered. After an error
    /// a transaction may be open: the connection is to be closed.
    pub(crate) async fn write(
        &mut self,
        statements: &[&Statement],
        joiner: &mut Joiner,
    ) -> Result<usize, Error> {
        match joiner.join(statements) {
            Batch::Whole(text) => {
                let values = statements.iter().flat_map(|statement| &statement.values);
                self.rows(text, values).await.map(|rows| rows.len())
            }
            Batch::Single => {
                let mut answered = 0;
                self.rows("BEGIN", []).await?;
                for Statement { text, values, .. } in statements {
                    answered += self.rows(*text, values).await?.len();
                }
                self.rows("COMMIT", []).await.map(|_| answered)
            }
        }
    }

    /// # Panics
    /// When it is one to a file.
    pub(crate) fn into_postgres(self) -> PgConnection {
        match self {
            Self::Postgres(connection) => connection,
            Self::Sqlite(_) => unreachable!("it was made for a server"),
        }
    }

    /// Closing rolls back what is open.
    pub(crate) async fn close(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
    }
}

impl Readers {
    pub(crate) async fn rows(&self, text: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(pool) => {
                let read: Result<_, Error> =
                    async { answer!(pool, Row::Sqlite, SqliteArguments, text, values) }.await;
                read.map_err(StoreError::reading)
            }
            Self::Postgres(pool) => server_rows(pool, text, values).await,
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            // A server that does not answer needs no goodbye.
            Self::Postgres(pool) => drop(timeout(READ_WITHIN, pool.close()).await),
        }
    }
}

/// No step waits longer for a server than [`READ_WITHIN`]: it, or the way to it, may fall silent at any time.
async fn server_rows(pool: &PgPool, text: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
    let mut connection = pool.acquire().await.map_err(StoreError::reading)?;
    connection.close_on_drop();
    let read = async { answer!(&mut *connection, Row::Postgres, PgArguments, text, values) };
    let read: Result<Result<_, Error>, _> = timeout(READ_WITHIN, read).await;
    match read {
        Ok(rows) => {
            // The pool asks the server whether the connection is well before it takes it back.
            tokio::spawn(timeout(READ_WITHIN, connection.return_to_pool()));
            rows.map_err(StoreError::reading)
        }
        Err(_) => {
            drop(connection.detach());
            Err(StoreError::reading("no answer in time"))
        }
    }
}

macro_rules! cell {
    ($row:expr, $column:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($column),
            Row::Postgres(row) => row.try_get($column),
        }
        .map_err(StoreError::reading)
    };
}

impl Row {
    pub(crate) fn text(&self, column: &str) -> Result<Option<String>, StoreError> {
        cell!(self, column)
    }

    pub(crate) fn int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        cell!(self, column)
    }

    pub(crate) fn flag(&self, column: &str) -> Result<bool, StoreError> {
        cell!(self, column)
    }

    pub(crate) fn bytes(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        cell!(self, column)
    }
}
