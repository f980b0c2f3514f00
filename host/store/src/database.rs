//! Where the records are.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use sqlx::postgres::PgConnectOptions;

/// A database: a file, or a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// An SQLite file; it and its directory are made when there is none.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(PostgresUrl),
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

/// The address of a PostgreSQL database, such as
/// `postgres://user:password@host:5432/name?sslmode=verify-full`.
///
/// It holds a password, which no `Debug`, `Display` or error shows.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    text: Arc<str>,
    shown: Arc<str>,
}

/// A text that is no address of a PostgreSQL database. It does not say the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is no address.
    #[error("it must be an address such as postgres://user:password@host:5432/name?sslmode=verify-full")]
    Address,
    /// What stands behind the question mark is not known.
    #[error(
        "it has an unknown parameter after the question mark; known are sslmode, sslrootcert, sslcert, \
         sslkey, host, hostaddr, port, dbname, user, password, application_name, options and \
         statement-cache-capacity"
    )]
    Parameter,
}

/// What the driver knows. It ignores others, and writes them to the log with their values: a password after a
/// misspelt `password` would stand there.
const PARAMETERS: [&str; 19] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "",
];

fn has_known_parameters(text: &str) -> bool {
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    let parameters = text.split_once('?').map_or("", |(_, parameters)| parameters);
    parameters.split('&').all(|parameter| {
        let key = parameter.split_once('=').map_or(parameter, |(key, _)| key);
        PARAMETERS.contains(&key) && (!key.is_empty() || parameter.is_empty())
    })
}

impl PostgresUrl {
    /// The address with its password, for PostgreSQL's own programs: it must not be shown.
    pub fn expose(&self) -> &str {
        &self.text
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        self.text.parse().expect("it was parsed when it was made")
    }
}

impl FromStr for PostgresUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(UrlError::Address);
        }
        if !has_known_parameters(text) {
            return Err(UrlError::Parameter);
        }
        // What the driver says of a bad one may quote parts of it.
        let options: PgConnectOptions = text.parse().map_err(|_| UrlError::Address)?;
        let host = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => options.get_host().to_owned(),
        };
        let database = options.get_database().unwrap_or(options.get_username());
        let shown = format!("postgres://{host}:{}/{database}", options.get_port());
        Ok(Self { text: text.into(), shown: shown.into() })
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.fmt(f)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let check = |text: &str, shown: Option<&str>| {
            let url = text.parse::<PostgresUrl>();
            let said = format!("{url:?}");
            assert!(!said.contains("hunter2"), "{said}");
            assert_eq!(url.as_ref().ok().map(ToString::to_string).as_deref(), shown, "{text}");
            if let Err(error) = url {
                assert!(!error.to_string().contains("hunter2"), "{error}");
            }
        };
        check("postgres://u:hunter2@db.example:5433/books", Some("postgres://db.example:5433/books"));
        check("postgresql://u:hunter2@db/books?sslmode=require", Some("postgres://db:5432/books"));
        check(
            "postgres://u@localhost/books?host=/run/pg&password=hunter2",
            Some("postgres:///run/pg:5432/books"),
        );
        check("postgres://u:hunter2@db:port/books", None);
        check("postgres://u:hunter2@db/books?sslmode=hunter2", None);
        for parameters in
            ["pasword=hunter2", "sslmode=require&Password=hunter2", "hunter2", "=hunter2", "a%62=hunter2"]
        {
            let text = format!("postgres://u@db/books?{parameters}");
            check(&text, None);
            assert_eq!(text.parse::<PostgresUrl>(), Err(UrlError::Parameter), "{text}");
        }
        check("postgres://u:hunter2@db/books?", Some("postgres://db:5432/books"));
        check("mysql://u:hunter2@db/books", None);
        check("hunter2", None);
    }
}
