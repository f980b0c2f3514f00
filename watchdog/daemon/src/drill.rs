//! `sandpit-watchdog drill`: the whole kill, on an account that is not traded.
//!
//! A second, whole watchdog with a host of its own is staged in a private directory, orders are placed, the
//! flag is put there, and every step is measured and held against the broker's own lists; then once more,
//! with the watchdog ended in the middle. Whatever happens, the account is cleaned up, and a record is left.

mod account;
mod address;
mod clean;
mod course;
mod host;
mod judge;
mod record;
mod schedule;
mod settings;
mod staging;
mod watch;

use std::{os::unix::fs::MetadataExt, path::Path, time::Duration};

use sandpit_contract::{DrillOutcome, DrillStatus, Exit, ToWatchdog};

use self::{
    account::{DrillAccount, Guard, Traded},
    clean::clean,
    course::Course,
    record::Record,
    staging::Staging,
    watch::Watch,
};
pub(crate) use self::{
    host::run as run_host,
    schedule::{Act, Event, Schedule},
    settings::DrillConfig,
};
use crate::{
    ambient,
    config::{Config, Credentials},
    error::Error,
    latch,
    socket::ask,
};

/// A drill takes no longer; cleaning up has its own time after that.
const LONGEST: Duration = Duration::from_secs(420);
/// Held by the one drill of this state directory.
const LOCK_FILE: &str = "drill.lock";
/// The running watchdog takes the result within this time.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// A drill that nobody waits for yields to the real watchdog and its host.
const NICE: i32 = 10;

/// Holds a drill, records it, tells the running watchdog, and prints it. `is_scheduled` when the watchdog
/// itself began it.
///
/// # Errors
/// When it cannot even begin: no address, another drill runs, the state directory cannot be written; by hand
/// also when the account or its key is refused.
pub(crate) fn run(config: &Config, json: bool, is_scheduled: bool) -> Result<Exit, Error> {
    let watch = Watch::begin(LONGEST)?;
    let Some(url) = &config.drill.trading_url else {
        return Err(Error::Config(
            "`[drill] trading_url` is missing: name the broker of an account that may be drilled".into(),
        ));
    };
    latch::create(&config.state_dir)?;
    check_user(&config.state_dir)?;
    let unusable = |cause| Error::StateUnusable { path: config.state_dir.clone(), cause };
    let lock = latch::lock_file(&config.state_dir.join(LOCK_FILE)).map_err(unusable)?;
    let _lock = lock.ok_or(Error::DrillRunning)?;
    if is_scheduled {
        // Refused or not, it is a drill.
        let _: rustix::io::Result<i32> = rustix::process::nice(NICE);
    }
    let mut record = Record::new(config.drill.orders, config.drill.bounds.figures());
    let failure = hold(config, url, &watch, &mut record).err();
    if let (Some(Error::Config(_) | Error::DrillRefused(_)), false) = (&failure, is_scheduled) {
        return failure.map_or(Ok(Exit::Failed), Err);
    }
    record.judge(failure.as_ref().map(ToString::to_string), ambient::now().unix_s);
    let kept = record::append(&config.state_dir, &record);
    // Without a running watchdog the record is enough.
    let _: std::io::Result<_> = ask(&config.socket, &ToWatchdog::Drilled(record.status()), ANSWER_WAIT);
    println!("{}", if json { record.line() } else { record.table() });
    kept?;
    Ok(match (record.outcome, failure) {
        (DrillOutcome::WithinBounds, _) => Exit::Ok,
        (DrillOutcome::Slow, _) => Exit::Incomplete,
        (DrillOutcome::Failed, failure) => failure.map_or(Exit::Failed, |error| error.exit()),
    })
}

/// The newest drill that is on record.
pub(crate) fn last(state_dir: &Path) -> Option<DrillStatus> {
    record::last(state_dir).map(|record| record.status())
}

fn hold(config: &Config, url: &str, watch: &Watch, record: &mut Record) -> Result<(), Error> {
    let key = account::key(ambient::variable)?;
    let traded = Traded { url: config.broker.trading_url.clone(), key: Credentials::of(ambient::variable)? };
    let account = DrillAccount::open(url, key.clone(), &Guard::NotTraded(&traded))?;
    record.account = Some(account.id().into());
    clean_up_after_the_last(&account, &config.state_dir)?;
    check_is_idle(&account)?;
    let held = stage_and_run((config, url, key), watch, record, &account);
    // Every process of the stage has ended by now.
    record.left = clean(&account, &config.state_dir);
    held
}

/// What root leaves in the directory, its owner could not write, and no scheduled drill could be held again.
fn check_user(state_dir: &Path) -> Result<(), Error> {
    let unusable = |cause| Error::StateUnusable { path: state_dir.into(), cause };
    let owner = std::fs::metadata(state_dir).map_err(unusable)?.uid();
    if owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(Error::DrillRefused(format!(
        "{} belongs to user {owner}: hold the drill as that user, as with `sudo -u '#{owner}'`",
        state_dir.display()
    )))
}

fn stage_and_run(
    (config, url, key): (&Config, &str, Credentials),
    watch: &Watch,
    record: &mut Record,
    account: &DrillAccount,
) -> Result<(), Error> {
    let staging = Staging::build(&config.state_dir, url, key, account.id(), &config.drill.symbol)?;
    staging.arm()?;
    let mut course = Course {
        account,
        staging: &staging,
        watch,
        orders: config.drill.orders,
        longest_bound_ms: record.bounds.values().copied().max().unwrap_or(0),
        figures: judge::Figures::new(),
        brackets: 0,
    };
    let result = course.run();
    (record.figures, record.brackets) = (course.figures, course.brackets);
    result
}

/// A drill that was cut off has left its stage, and perhaps orders and a suspension that are its own.
fn clean_up_after_the_last(account: &DrillAccount, state_dir: &Path) -> Result<(), Error> {
    match staging::left_behind(state_dir)? {
        None => Ok(()),
        // It ended before it did anything.
        Some(id) if id.is_empty() => staging::remove(state_dir),
        Some(id) if id == account.id() => match clean(account, state_dir).join(", ") {
            left if left.is_empty() => Ok(()),
            left => Err(Error::DrillAccount(format!(
                "an earlier drill left behind what cannot be cleaned up: {left}"
            ))),
        },
        Some(id) => Err(Error::DrillRefused(format!(
            "an earlier drill on the account {id} was cut off: look there for open orders `{}…` and a \
             suspension, then remove the directory `drill` in the state directory",
            account::PREFIX
        ))),
    }
}

/// A kill spares nobody's orders.
fn check_is_idle(account: &DrillAccount) -> Result<(), Error> {
    let busy = |what: String| Err(Error::DrillAccount(what));
    if account.is_suspended()? {
        return busy("trading is suspended there already, and a drill would lift that: lift it first".into());
    }
    if let Some(order) = account.open_orders()?.first() {
        return busy(format!("the order {} is open there, and a drill would cancel it", order.id));
    }
    if let Some(symbol) = account.positions()?.first() {
        return busy(format!("there is a position in {symbol}; a drill needs an account with nothing in it"));
    }
    Ok(())
}
