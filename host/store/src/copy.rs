//! A copy of an SQLite file while a host writes it.

use std::path::Path;

use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use crate::{Database, Store, StoreError, connection::Connection, snapshot::read_only, statements::Value};

impl Store {
    /// Writes a copy of an SQLite file to `to`, where nothing may be: one file, as of one moment, without
    /// what was deleted. A host that writes meanwhile does not wait. The copy is on the disk when this
    /// returns.
    ///
    /// # Errors
    /// [`StoreError::Open`] or [`StoreError::Damaged`] of the source; [`StoreError::Write`] of the copy.
    pub async fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
        let database = Database::Sqlite(from.to_owned());
        let options: SqliteConnectOptions = read_only(from);
        let connected = options.connect().await;
        let connected = connected.map_err(|error| StoreError::opening(&database, &error))?;
        let mut connection = Connection::Sqlite(connected);
        let target = to.to_str().ok_or_else(|| StoreError::Write {
            cause: format!("{} is no Unicode path", to.display()),
            remedy: "name another folder",
        })?;
        let copied = connection.rows("VACUUM INTO $1", &[Value::Text(Some(target.to_owned()))]).await;
        let closed = connection.close().await;
        copied.map_err(|error| StoreError::writing(&database, &error))?;
        closed.map_err(StoreError::reading)?;
        let synced = std::fs::File::open(to).and_then(|file| file.sync_all());
        synced.map_err(|error| StoreError::unsynced(&error.to_string()))
    }
}
