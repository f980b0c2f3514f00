//! PostgreSQL's own programs. The password reaches them in their environment, where other users of the
//! machine cannot see it; it never stands on a command line.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use reqwest::Url;
use sandpit_store::PostgresUrl;
use tokio::process::Command;

use crate::RecordsError;

/// Where Debian keeps them, one folder a version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// What a program says is shown up to so many characters.
const MAX_SAID: usize = 2_000;

/// Parameters of the address that PostgreSQL's library takes from a variable.
const PARAMETERS: [(&str, &str); 14] = [
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("sslmode", "PGSSLMODE"),
    ("ssl-mode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("ssl-root-cert", "PGSSLROOTCERT"),
    ("ssl-ca", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("ssl-cert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
];

/// What a program of PostgreSQL's has no business with: the password it needs goes another way.
const SECRETS: [&str; 6] = [
    "APCA_API_KEY_ID",
    "APCA_API_SECRET_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "DATABASE_URL",
    "PANEL_TOKEN",
];

/// Runs `program` against a database and returns what it printed.
pub(crate) async fn run(
    path: &str,
    program: &'static str,
    arguments: &[&str],
    file: &Path,
    database: Option<&PostgresUrl>,
) -> Result<String, RecordsError> {
    let found = find(path, program)?;
    let mut command = Command::new(&found);
    command.args(arguments).arg(file).stdin(Stdio::null()).kill_on_drop(true).env("LC_ALL", "C");
    for name in SECRETS {
        command.env_remove(name).env_remove(format!("{name}_FILE"));
    }
    command.envs(database.map(variables).unwrap_or_default());
    let output = command.output().await;
    let output = output.map_err(RecordsError::file("run", &found))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said.trim().chars().take(MAX_SAID).collect();
    Err(RecordsError::Tool(format!("{program} failed ({}): {said}", output.status)))
}

/// The name of the database, for programs that want it as an argument.
pub(crate) fn database_name(url: &PostgresUrl) -> String {
    let variables = variables(url);
    let of =
        |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
    of("PGDATABASE").or_else(|| of("PGUSER")).unwrap_or_else(|| "postgres".into())
}

/// The program on `path`, else the newest version that Debian has installed.
fn find(path: &str, program: &'static str) -> Result<PathBuf, RecordsError> {
    let on_path = std::env::split_paths(path).map(|folder| folder.join(program)).find(|path| path.is_file());
    let installed = || {
        let versions = fs::read_dir(VERSIONS).ok()?.filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse::<u32>().ok()?;
            let path = entry.path().join("bin").join(program);
            path.is_file().then_some((number, path))
        });
        versions.max().map(|(_, path)| path)
    };
    on_path.or_else(installed).ok_or_else(|| {
        RecordsError::Tool(format!(
            "{program} is not installed; it comes with PostgreSQL's client programs (Debian: apt-get install \
             postgresql-client), in the server's version or a newer one"
        ))
    })
}

/// What the address says, as variables of PostgreSQL's library.
fn variables(url: &PostgresUrl) -> Vec<(&'static str, String)> {
    // It was read by the database's driver before, which is stricter.
    let Ok(url) = Url::parse(url.expose()) else { return Vec::new() };
    let mut found: Vec<(&'static str, String)> = Vec::new();
    let parts = [
        ("PGHOST", url.host_str().unwrap_or_default()),
        ("PGUSER", url.username()),
        ("PGPASSWORD", url.password().unwrap_or_default()),
        ("PGDATABASE", url.path().trim_start_matches('/')),
    ];
    found.extend(
        parts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, plain(text))),
    );
    found.extend(url.port().map(|port| ("PGPORT", port.to_string())));
    for (key, value) in url.query_pairs() {
        if let Some((_, name)) = PARAMETERS.iter().find(|(parameter, _)| *parameter == key) {
            found.retain(|(known, _)| known != name);
            found.push((name, value.into_owned()));
        }
    }
    let has =
        |name: &str, value: &str| found.iter().any(|(n, v)| *n == name && (value.is_empty() || v == value));
    if has("PGSSLMODE", "verify-full") && !has("PGSSLROOTCERT", "") {
        // The driver trusts the roots of the web then; the library has to be told to.
        found.push(("PGSSLROOTCERT", "system".into()));
    }
    found
}

/// Without the percent signs of an address. A host in brackets is an address of IPv6.
fn plain(text: &str) -> String {
    let text = text.trim_start_matches('[').trim_end_matches(']');
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        match (first, after.get(..2).and_then(code)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_variables() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let url: PostgresUrl = text.parse().expect(text);
            let mut found = variables(&url);
            found.sort();
            let found: Vec<_> = found.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("postgres://u@db/books", &[("PGDATABASE", "books"), ("PGHOST", "db"), ("PGUSER", "u")]);
        check(
            "postgres://u%40x:p%2Fw%25@[::1]:5433/b%20k?sslmode=verify-full",
            &[
                ("PGDATABASE", "b k"),
                ("PGHOST", "::1"),
                ("PGPASSWORD", "p/w%"),
                ("PGPORT", "5433"),
                ("PGSSLMODE", "verify-full"),
                ("PGSSLROOTCERT", "system"),
                ("PGUSER", "u@x"),
            ],
        );
        check(
            "postgres://u@localhost/books?host=/run/pg&password=x&sslmode=verify-full&sslrootcert=/ca.pem",
            &[
                ("PGDATABASE", "books"),
                ("PGHOST", "/run/pg"),
                ("PGPASSWORD", "x"),
                ("PGSSLMODE", "verify-full"),
                ("PGSSLROOTCERT", "/ca.pem"),
                ("PGUSER", "u"),
            ],
        );
        assert_eq!(database_name(&"postgres://u@db".parse().expect("an address")), "u");
    }
}
