//! A database as it is at one moment, whatever a host writes meanwhile.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use sandpit_types::MarketTime;
use sqlx::{ConnectOptions, Error, sqlite::SqliteConnectOptions};

use crate::{
    Database, Store, StoreError,
    connection::{Connection, Row},
    postgres,
    rows::required,
    sqlite::{self, BUSY_WITHIN},
    statements::Value,
};

/// One read transaction.
#[derive(Debug)]
pub struct Snapshot {
    database: Database,
    connection: Connection,
}

/// What is in a database, in short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The version of its schema; `None` when it has none of ours.
    pub schema_version: Option<i64>,
    /// Rows of each table.
    pub counts: BTreeMap<String, u64>,
    /// The newest life of the host that it knows: 16 hexadecimal digits.
    pub newest_epoch: Option<String>,
    /// When the newest order changed.
    pub newest_order: Option<MarketTime>,
    /// When the newest fill was.
    pub newest_fill: Option<MarketTime>,
    /// When the equity was last recorded.
    pub newest_equity: Option<MarketTime>,
}

const SQLITE_TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE \
                             'sqlite\\_%' ESCAPE '\\' ORDER BY name";
const POSTGRES_TABLES: &str = concat!(
    "SELECT tables.relname::TEXT AS name FROM pg_class AS tables JOIN pg_namespace AS schemas ON ",
    "schemas.oid = tables.relnamespace WHERE tables.relkind IN ('r', 'p') AND schemas.nspname NOT IN ",
    "('pg_catalog', 'information_schema') AND schemas.nspname NOT LIKE 'pg\\_toast%' ORDER BY 1"
);
const MIGRATIONS: &str = "_sqlx_migrations";

impl Store {
    /// Looks at a database as it is now. Nothing is made, migrated or locked.
    ///
    /// # Errors
    /// [`StoreError::Open`] or [`StoreError::Damaged`].
    pub async fn snapshot(database: &Database) -> Result<Snapshot, StoreError> {
        let mut connection = match database {
            Database::Sqlite(path) => {
                let connected = read_only(path).connect().await;
                Connection::Sqlite(connected.map_err(|error| StoreError::opening(database, &error))?)
            }
            Database::Postgres(url) => Connection::Postgres(postgres::reader(url).await?),
        };
        let begin = match database {
            Database::Sqlite(_) => "BEGIN",
            Database::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        let begun = connection.rows(begin, []).await;
        begun.map_err(|error| StoreError::opening(database, &error))?;
        Ok(Snapshot { database: database.clone(), connection })
    }

    /// The version of the schema that this program writes into such a database.
    pub fn version_of(database: &Database) -> i64 {
        match database {
            Database::Sqlite(_) => sqlite::version(),
            Database::Postgres(_) => postgres::version(),
        }
    }
}

impl Snapshot {
    /// Which database this is.
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// The name under which another session of a PostgreSQL server can see the same moment; it lasts as long
    /// as this one. `None` for an SQLite file.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn export(&mut self) -> Result<Option<String>, StoreError> {
        match self.database {
            Database::Sqlite(_) => Ok(None),
            Database::Postgres(_) => {
                let rows = self.rows("SELECT pg_export_snapshot() AS name", &[]).await?;
                rows.first().map(|row| required(row, "name")).transpose()
            }
        }
    }

    /// What is in it.
    ///
    /// # Errors
    /// [`StoreError::Read`] or [`StoreError::Damaged`].
    pub async fn contents(&mut self) -> Result<Contents, StoreError> {
        let mut contents = Contents::default();
        for name in self.tables().await? {
            let ask = format!("SELECT COUNT(*) AS rows FROM \"{}\"", name.replace('"', "\"\""));
            let count = self.number(ask, "rows").await?.unwrap_or(0);
            contents.counts.insert(name, u64::try_from(count).unwrap_or(0));
        }
        let has = |table: &str| contents.counts.contains_key(table);
        if has(MIGRATIONS) {
            let ask = "SELECT MAX(version) AS version FROM _sqlx_migrations";
            contents.schema_version = self.number(ask, "version").await?;
        }
        if has("host_starts") {
            let ask = "SELECT epoch FROM host_starts ORDER BY time DESC LIMIT 1";
            let rows = self.rows(ask, &[]).await?;
            contents.newest_epoch = rows.first().map(|row| required(row, "epoch")).transpose()?;
        }
        if has("orders") {
            contents.newest_order = self.newest("SELECT MAX(changed_at) AS time FROM orders").await?;
        }
        if has("fills") {
            contents.newest_fill = self.newest("SELECT MAX(time) AS time FROM fills").await?;
        }
        if has("equity") {
            contents.newest_equity = self.newest("SELECT MAX(time) AS time FROM equity").await?;
        }
        Ok(contents)
    }

    /// The version of the schema that this program writes.
    pub fn wanted_version(&self) -> i64 {
        Store::version_of(&self.database)
    }

    /// Ends the transaction and the connection.
    pub async fn close(self) {
        // It only read: there is nothing that could be lost.
        self.connection.close().await.ok();
    }

    pub(crate) async fn rows(
        &mut self,
        text: impl Into<Arc<str>>,
        values: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        let rows: Result<_, Error> = self.connection.rows(text, values).await;
        rows.map_err(|error| StoreError::looking(&self.database, &error))
    }

    pub(crate) async fn number(
        &mut self,
        text: impl Into<Arc<str>>,
        column: &str,
    ) -> Result<Option<i64>, StoreError> {
        let rows = self.rows(text, &[]).await?;
        Ok(rows.first().map(|row| row.int(column)).transpose()?.flatten())
    }

    async fn newest(&mut self, ask: &'static str) -> Result<Option<MarketTime>, StoreError> {
        Ok(self.number(ask, "time").await?.map(MarketTime::from_nanos))
    }

    async fn tables(&mut self) -> Result<Vec<String>, StoreError> {
        let ask = match self.database {
            Database::Sqlite(_) => SQLITE_TABLES,
            Database::Postgres(_) => POSTGRES_TABLES,
        };
        self.rows(ask, &[]).await?.iter().map(|row| required(row, "name")).collect()
    }
}

/// A file that is looked at only. The kind of its journal is left as it is: a copy has none.
pub(crate) fn read_only(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .read_only(true)
        .busy_timeout(BUSY_WITHIN)
        .disable_statement_logging()
}
