//! `sandpit golive`: the parts that know the configuration and the records. What is looked at and when a
//! sign-off is void is in `sandpit_operator::golive`.

use std::{
    fs,
    io::{Read, stdin},
    path::{Path, PathBuf},
    time::Duration,
};

use sandpit_contract::Exit;
use sandpit_operator::golive::{self, Audit, Backup, Gate, GoliveArgs, Inner, Record};
use sandpit_records::{Manifest, Place};
use sandpit_store::{Actor, Database, Store};

use crate::{
    ambient,
    config::{Config, Mode},
    run::Failure,
    stopped::with_records,
};

/// A live host notes so often that it runs on its sign-off, and looks whether it would start again; real
/// time.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// A sign-off is never longer.
const MAX_RECORD_BYTES: u64 = 256 * 1024;

/// Goes through the list, or does the part of it that was asked for.
///
/// # Errors
/// See [`Failure`].
pub(crate) fn golive(args: &GoliveArgs) -> Result<(Exit, String), Failure> {
    let world = ambient::world();
    let mut environment = world.environment.clone();
    for (name, key) in args.place.key_variables(&world) {
        environment.remove(&format!("{name}_FILE"));
        environment.insert(name, key);
    }
    let config = Config::load(&args.place.config, &environment);
    let config = config.map_err(|error| Failure::new(Exit::Config, error))?;
    if config.mode != Mode::Live {
        let what = format!(
            "{} says mode = {:?}: there is nothing to sign off; sandpit setup --mode live makes it live",
            args.place.config.display(),
            config.mode.as_str()
        );
        return Err(Failure::new(Exit::Config, what));
    }
    match args.inner {
        None => Ok(golive::golive(args, &config.limits.lines(), &world)?),
        Some(Inner::Audit) => answer(&block_on(audit(&config))??),
        Some(Inner::Backup) => answer(&backup(&config, args.backups.as_deref().unwrap_or_default())?),
        Some(Inner::Sign) => sign(&config),
    }
}

fn answer(found: &impl serde::Serialize) -> Result<(Exit, String), Failure> {
    Ok((Exit::Ok, serde_json::to_string(found).expect("plain words and numbers are JSON")))
}

/// A host in mode `live` needs a sign-off that holds; any other mode none.
///
/// # Errors
/// [`Exit::Config`] with the reason.
pub(crate) fn gate(config: &Config) -> Result<Option<Record>, Failure> {
    if config.mode != Mode::Live {
        return Ok(None);
    }
    let limits = config.limits.lines();
    gate_of(config, &limits).pass().map(Some).map_err(|why| Failure::new(Exit::Config, why))
}

fn gate_of<'a>(config: &'a Config, limits: &'a str) -> Gate<'a> {
    let key_id = config.key_id.expose();
    Gate { state_dir: &config.state_dir, key_id, limits, now_unix_s: ambient::unix_s() }
}

/// As long as the host runs, its sign-off is in use. What was changed since would keep its successor down, at
/// night perhaps: that is said while somebody is awake who has changed it.
pub(crate) fn stay_in_use(path: PathBuf, state_dir: PathBuf, record: Record) {
    let mut told = None;
    let mut look = move || {
        if let Err(error) = golive::keep_in_use(&state_dir, &record, ambient::unix_s()) {
            tracing::warn!(%error, "cannot note that the sign-off is in use");
        }
        let refused = would_start(&path).err();
        match &refused {
            Some(why) if told != refused => tracing::error!(
                event = "not-started",
                "this host would not start again, and does not as long as that is so: {why}"
            ),
            None if told.is_some() => tracing::info!("this host would start again"),
            Some(_) | None => {}
        }
        told = refused;
    };
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Ok(next) = tokio::task::spawn_blocking(move || {
                look();
                look
            })
            .await
            else {
                return;
            };
            look = next;
        }
    });
}

/// Whether the configuration as it is now would pass.
fn would_start(path: &Path) -> Result<(), String> {
    let config = Config::load(path, &ambient::environment()).map_err(|error| error.to_string())?;
    if config.mode != Mode::Live {
        return Ok(());
    }
    gate_of(&config, &config.limits.lines()).judge().map(drop)
}

/// A paper host leaves a salted hash of its key's id, so that the key is not taken for live.
///
/// # Errors
/// [`Exit::State`] when it cannot be written.
pub(crate) fn note_paper_key(config: &Config) -> Result<(), Failure> {
    if config.mode != Mode::Paper {
        return Ok(());
    }
    golive::note_paper_key(&config.state_dir, config.key_id.expose(), ambient::fill).map_err(|error| {
        let what = format!("cannot note the key in {}: {error}", config.state_dir.display());
        Failure::new(Exit::State, what)
    })
}

/// The audit log that was kept last: of the live host if one has run, else of the paper host.
async fn audit(config: &Config) -> Result<Audit, Failure> {
    let failed = |error: sandpit_store::StoreError| Failure::new(Exit::State, error);
    let mode = mode_of_records(config);
    let folder = config.state_dir.join(mode.as_str());
    let database = config.records.database(mode, &folder);
    if let Database::Sqlite(path) = &database
        && !path.exists()
    {
        let what = format!("there is no database {database}: run in paper first");
        return Err(Failure::new(Exit::State, what));
    }
    let mut snapshot = Store::snapshot(&database).await.map_err(failed)?;
    let inspected = snapshot.inspect().await;
    snapshot.close().await;
    let reader = Store::read_only(&database).await.map_err(failed)?;
    let holes = reader.audit_holes().await;
    reader.close().await;
    let (mut wrong, holes) = (inspected.map_err(failed)?.wrong, holes.map_err(failed)?);
    let missing = [
        (holes.missing, "lines of it are missing"),
        (holes.orders_without, "orders are not in it"),
        (holes.fills_without, "fills are not in it"),
    ];
    wrong.extend(
        missing.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")),
    );
    Ok(Audit { lines: holes.lines, orders: holes.orders, wrong })
}

/// Before the first live start the records are those of paper.
fn mode_of_records(config: &Config) -> Mode {
    let live = config.records.database(Mode::Live, &config.state_dir.join(Mode::Live.as_str()));
    match live {
        Database::Sqlite(path) if !path.exists() => Mode::Paper,
        Database::Sqlite(_) if golive::Use::was_ever(&config.state_dir) => Mode::Live,
        Database::Sqlite(_) => Mode::Paper,
        Database::Postgres(_) => Mode::Live,
    }
}

/// The newest backup, fetched and checked as a restore would.
fn backup(config: &Config, place: &str) -> Result<Backup, Failure> {
    let failed = |error: sandpit_records::RecordsError| Failure::new(Exit::State, error);
    let place = Place::parse(place, &ambient::environment(), ambient::wall_now).map_err(failed)?;
    let work = config.state_dir.join(".golive");
    fs::create_dir_all(&work)
        .map_err(|error| Failure::new(Exit::State, format!("cannot make {}: {error}", work.display())))?;
    let has_run = golive::Use::was_ever(&config.state_dir);
    let found = block_on(async {
        let live = sandpit_records::verify(&place, Mode::Live.as_str(), &work).await?;
        if live.is_some() || has_run {
            return Ok(live);
        }
        sandpit_records::verify(&place, Mode::Paper.as_str(), &work).await
    });
    // Nothing of it is wanted any more.
    let _ = fs::remove_dir_all(&work);
    let of = if has_run { "live" } else { "live or paper" };
    let none = format!("there is none of mode {of} in {place}: sandpit db backup makes one");
    let none = || Failure::new(Exit::State, none);
    let Manifest { file, made_at, .. } = found?.map_err(failed)?.ok_or_else(none)?;
    let at: jiff::Timestamp = made_at.parse().map_err(|error| Failure::new(Exit::Data, error))?;
    let checked = "fetched, its sum and its rows checked".into();
    Ok(Backup { file, at_unix_s: u64::try_from(at.as_second()).unwrap_or(0), checked })
}

/// First the line of the audit log: a sign-off without one never exists.
fn sign(config: &Config) -> Result<(Exit, String), Failure> {
    let mut text = String::new();
    let read = stdin().take(MAX_RECORD_BYTES).read_to_string(&mut text);
    read.map_err(|error| Failure::new(Exit::Usage, error))?;
    let record: Record = serde_json::from_str(&text).map_err(|error| Failure::new(Exit::Usage, error))?;
    let detail = format!(
        "signed off by {} ({}): drill {}; alert test {}; backup {}; limits of the host: {}",
        record.operator,
        record.login,
        record.drill.words,
        record.alert_test.words,
        record.backup.words,
        record.host_limits.replace('\n', ", ")
    );
    with_records(config, "golive", async |store, _, time| {
        let actor = Actor::Operator(record.operator.clone());
        let line =
            sandpit_store::Audit { time, actor, action: "golive", client_id: None, symbol: None, detail };
        let written = store.commit(vec![sandpit_store::Record::Audit(line)]).await;
        written.map_err(|error| Failure::new(Exit::State, error))
    })?;
    golive::sign(&config.state_dir, &record).map_err(|error| {
        Failure::new(Exit::State, format!("cannot write into {}: {error}", config.state_dir.display()))
    })?;
    Ok((Exit::Ok, "signed off".into()))
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(|error| Failure::new(Exit::Failed, error))?.block_on(work))
}
