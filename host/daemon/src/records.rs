//! `sandpit db …` and `sandpit export`: the command lines; the work is that of `sandpit_records`.

use std::{
    io::{Write, stdout},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;
use sandpit_contract::Exit;
use sandpit_records::{Backup, Format, Manifest, Place, RecordsError, Restore, Subject};
use sandpit_store::{Contents, Database, Inspection, Span, Store, StoreError};
use sandpit_types::MarketTime;

use crate::{ambient, config::Config, load, plugins::Snapshots, run::Failure};

/// What stands below the flags of `db`.
const MORE_DB: &str = "\
A bucket: s3://BUCKET/PREFIX, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN if there is
  one, AWS_REGION, and AWS_ENDPOINT_URL for a server that is not Amazon's.

Exit codes:
  0   done; `check`: nothing is wrong
  2   wrong usage: a place, name or variable of a bucket that cannot be
  10  the configuration is wrong
  12  the database, a folder or a program of PostgreSQL cannot be used; a host runs there; `restore`:
      there is a database already
  14  `check`: something is wrong; `restore`: there is no such backup, or it is damaged
  15  the bucket refused
  16  the bucket could not be reached: try again
  31  internal failure";

#[derive(Debug, Subcommand)]
#[command(after_long_help = MORE_DB)]
pub(crate) enum DbCommand {
    Backup(BackupArgs),
    Restore(RestoreArgs),
    Check(CheckArgs),
}

/// Copy the database while the host trades, check the copy, and put it into a folder or a bucket.
#[derive(Debug, Args)]
#[command(after_long_help = MORE_DB)]
pub(crate) struct BackupArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = crate::operator::CONFIG)]
    config: PathBuf,

    /// A folder, or s3://BUCKET/PREFIX
    #[arg(long, value_name = "PLACE")]
    to: String,

    /// Backups of this mode that stay there; older ones are removed [default: all]
    #[arg(long, value_name = "N")]
    keep: Option<NonZeroUsize>,
}

/// Put a backup where there is no database. The host must be stopped; it adopts from the broker what
/// happened after the backup when it starts.
#[derive(Debug, Args)]
#[command(after_long_help = MORE_DB)]
pub(crate) struct RestoreArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = crate::operator::CONFIG)]
    config: PathBuf,

    /// A backup, or the folder or s3://BUCKET/PREFIX of which the newest is taken
    #[arg(long, value_name = "PLACE")]
    from: String,
}

/// Say whether the database is whole and its rows fit each other. A host may run meanwhile.
#[derive(Debug, Args)]
#[command(after_long_help = MORE_DB)]
pub(crate) struct CheckArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = crate::operator::CONFIG)]
    config: PathBuf,
}

/// What stands below the flags of `export`.
const MORE_EXPORT: &str = "\
Columns: prices, shares and US dollars are decimals (Parquet: DECIMAL(38,9)), times UTC in nanoseconds (CSV:
  RFC 3339). Read Parquet with polars.read_parquet(FILE) or pandas.read_parquet(FILE,
  dtype_backend=\"pyarrow\"):
  both have exact decimals then. Days are New York's. A host may run meanwhile.

Examples:
  sandpit export fills --config sandpit.toml --format csv --from 2026-03-01 --to 2026-03-31 --out march.csv
  sandpit export orders --config sandpit.toml --format parquet --out orders.parquet
  sandpit export equity --config sandpit.toml --format csv | head

Exit codes:
  0   done
  2   wrong usage
  10  the configuration is wrong
  12  the database or the output cannot be used
  14  the database is damaged";

/// Write records as CSV or Parquet.
#[derive(Debug, Args)]
#[command(after_long_help = MORE_EXPORT)]
pub(crate) struct ExportArgs {
    /// What
    subject: What,

    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = crate::operator::CONFIG)]
    config: PathBuf,

    /// In which form
    #[arg(long)]
    format: Form,

    /// First day, New York [default: the first there is]
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Option<Date>,

    /// Last day, New York [default: the last there is]
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: Option<Date>,

    /// A file, or - for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// As they stand, by the time of their recording
    Orders,
    Fills,
    /// What the account was worth
    Equity,
    /// Decisions that strategies recorded
    Signals,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Csv,
    Parquet,
}

/// Where a configured host keeps its records.
struct Records {
    mode: &'static str,
    folder: PathBuf,
    database: Database,
}

impl Records {
    fn of(path: &Path) -> Result<Self, Failure> {
        let config: Config = load(path)?;
        let folder = config.state_dir.join(config.mode.as_str());
        let database = config.records.database(config.mode, &folder);
        Ok(Self { mode: config.mode.as_str(), folder, database })
    }
}

/// Backs up, restores or checks.
///
/// # Errors
/// One sentence and an exit code.
pub(crate) fn db(command: &DbCommand) -> Result<Exit, Failure> {
    match command {
        DbCommand::Backup(args) => backup(args),
        DbCommand::Restore(args) => restore(args),
        DbCommand::Check(args) => check(&args.config),
    }
}

fn backup(args: &BackupArgs) -> Result<Exit, Failure> {
    let records = Records::of(&args.config)?;
    let env = ambient::environment();
    let place = Place::parse(&args.to, &env, ambient::wall_now).map_err(failure)?;
    let job = Backup {
        database: &records.database,
        mode: records.mode,
        state_folder: &records.folder,
        place: &place,
        keep: args.keep,
        now: ambient::wall_now,
        path: env.get("PATH").map_or("", String::as_str),
    };
    let done = block_on(sandpit_records::backup(&job))?.map_err(failure)?;
    say(&format!("{} is in {place}: {}", done.manifest.file, words(&done.manifest)));
    for name in done.pruned {
        say(&format!("{name} was removed"));
    }
    Ok(Exit::Ok)
}

fn restore(args: &RestoreArgs) -> Result<Exit, Failure> {
    let records = Records::of(&args.config)?;
    let env = ambient::environment();
    let (place, name) = Place::parse_file(&args.from, &env, ambient::wall_now).map_err(failure)?;
    std::fs::create_dir_all(&records.folder).map_err(|error| {
        Failure::new(Exit::State, format!("cannot make the folder {}: {error}", records.folder.display()))
    })?;
    let job = Restore {
        database: &records.database,
        mode: records.mode,
        state_folder: &records.folder,
        place: &place,
        name: name.as_deref(),
        path: env.get("PATH").map_or("", String::as_str),
        states: Snapshots::FOLDER,
    };
    let Manifest { file, made_at, .. } =
        &block_on(sandpit_records::restore(&job))?.map_err(failure).map(|done| {
            say(&format!("{} holds {}: {}", records.database, done.manifest.file, words(&done.manifest)));
            if let Some(place) = done.states_aside {
                say(&format!(
                    "What strategies had saved is put aside as {}: they start without it.",
                    place.display()
                ));
            }
            done.manifest
        })?;
    say(&format!(
        "Start the host now: it adopts from the broker what happened after {made_at}. {file} stays where \
        it is."
    ));
    Ok(Exit::Ok)
}

fn check(config: &Path) -> Result<Exit, Failure> {
    let records = Records::of(config)?;
    let database = &records.database;
    if let Database::Sqlite(path) = database
        && !path.exists()
    {
        let what = format!("there is no database {database}; the host makes one at its first start");
        return Err(Failure::new(Exit::State, what));
    }
    let looked = block_on(async {
        let mut snapshot = Store::snapshot(database).await?;
        let looked = async { Ok((snapshot.inspect().await?, snapshot.contents().await)) }.await;
        snapshot.close().await;
        looked
    })?;
    let (found, contents): (Inspection, _) = looked.map_err(|error: StoreError| failure(error.into()))?;
    report(database, &found, contents.ok().as_ref());
    if found.wrong.is_empty() {
        return Ok(Exit::Ok);
    }
    let what = format!(
        "{database} is damaged ({} findings). Stop the host, move the file with its -wal and -shm away, \
        and keep \
         them; restore the newest backup that is good (sandpit db restore), and start the host: it \
         adopts from the \
         broker what happened since",
        found.wrong.len()
    );
    Err(Failure::new(Exit::Data, what))
}

fn report(database: &Database, found: &Inspection, contents: Option<&Contents>) {
    say(&format!("{database}"));
    if let Some(contents) = contents {
        let time = |time: Option<MarketTime>| time.map_or_else(|| "none".into(), |time| time.to_string());
        let version = contents.schema_version.map_or_else(|| "none".into(), |version| version.to_string());
        say(&format!("schema version {version}, this program's is {}", Store::version_of(database)));
        for (table, rows) in &contents.counts {
            say(&format!("{rows:>9} {table}"));
        }
        say(&format!("newest order changed at {}", time(contents.newest_order)));
        say(&format!("newest fill at          {}", time(contents.newest_fill)));
        say(&format!("newest equity at        {}", time(contents.newest_equity)));
    }
    for skipped in &found.skipped {
        say(&format!("not looked at: {skipped}"));
    }
    for wrong in &found.wrong {
        say(&format!("WRONG {wrong}"));
    }
}

/// Exports what was asked for.
///
/// # Errors
/// One sentence and an exit code.
pub(crate) fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    let span = span(args)?;
    let records = Records::of(&args.config)?;
    let (subject, format) = (args.subject.subject(), args.format.format());
    let out = (args.out.as_os_str() != "-").then_some(args.out.as_path());
    let exported = block_on(async {
        let reader = Store::read_only(&records.database).await?;
        let exported = sandpit_records::export(&reader, subject, format, span, out).await;
        reader.close().await;
        exported
    })?;
    let rows = exported.map_err(failure)?;
    eprintln!("{rows} rows");
    Ok(Exit::Ok)
}

/// Whole days of New York.
fn span(args: &ExportArgs) -> Result<Span, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::new(Exit::Usage, error);
    let midnight = |date: Date| {
        let start = date.in_tz("America/New_York").map_err(|error| usage(&error))?;
        Ok::<_, Failure>(MarketTime::from(start.timestamp()))
    };
    let mut span = Span::ALL;
    if let Some(from) = args.from {
        span.from = midnight(from)?;
    }
    if let Some(to) = args.to {
        span.until = midnight(to.tomorrow().map_err(|error| usage(&error))?)?;
    }
    if span.from >= span.until {
        return Err(usage(&"--to is before --from"));
    }
    Ok(span)
}

impl What {
    const fn subject(self) -> Subject {
        match self {
            Self::Orders => Subject::Orders,
            Self::Fills => Subject::Fills,
            Self::Equity => Subject::Equity,
            Self::Signals => Subject::Signals,
        }
    }
}

impl Form {
    const fn format(self) -> Format {
        match self {
            Self::Csv => Format::Csv,
            Self::Parquet => Format::Parquet,
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(|error| Failure::new(Exit::Failed, error))?.block_on(work))
}

/// How much is in a backup, and how new it is.
fn words(manifest: &Manifest) -> String {
    let count = |table: &str| manifest.counts.get(table).copied().unwrap_or(0);
    let newest = manifest.newest_order.as_deref().unwrap_or("none");
    let (orders, fills) = (count("orders"), count("fills"));
    format!("{} bytes, {orders} orders, {fills} fills, newest order {newest}", manifest.bytes)
}

/// A terminal that has gone must not end it in a panic.
fn say(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}

fn failure(error: RecordsError) -> Failure {
    let exit = match &error {
        RecordsError::Usage(_) => Exit::Usage,
        RecordsError::Broken(_) | RecordsError::Store(StoreError::Damaged { .. }) => Exit::Data,
        RecordsError::Store(_)
        | RecordsError::File { .. }
        | RecordsError::InUse { .. }
        | RecordsError::NotEmpty(_)
        | RecordsError::Aside { .. }
        | RecordsError::Tool(_)
        | RecordsError::Output(_) => Exit::State,
        RecordsError::Refused { .. } => Exit::Broker,
        RecordsError::Unreachable { .. } => Exit::Incomplete,
    };
    Failure::new(exit, error)
}
