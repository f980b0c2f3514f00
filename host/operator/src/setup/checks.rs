//! What is looked at before anything is written.

use sandpit_contract::Exit;
use serde_json::Value;

use super::{SetupArgs, answers::Answers};
use crate::{
    Failure, World,
    ask::{Answer, Broker, Skew},
    files::Settings,
    keys::KeyPair,
    place::user,
};

/// More than this, and stamps of orders and of market data contradict each other.
const MAX_SKEW_S: u64 = 5;

/// Looks at users, folders, clock, broker, keys and symbols; says what was found.
///
/// # Errors
/// At the first thing with which nobody should go on.
pub(super) fn check(args: &SetupArgs, answers: &Answers, world: &World) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for name in [&args.place.host_user, &args.place.watchdog_user] {
        if user(name).is_none() {
            lines.push(format!("note: there is no user {name}; the package makes it"));
        }
    }
    let kill_file = Settings::read(&args.place).kill_file();
    match kill_file.symlink_metadata() {
        Ok(_) => lines.push(format!(
            "note: the kill switch file {} is there: nothing trades until it is removed",
            kill_file.display()
        )),
        Err(_) if kill_file.parent().is_some_and(|folder| !folder.is_dir()) => {
            lines.push(format!("note: the folder of {} is made", kill_file.display()));
        }
        Err(_) => {}
    }
    if args.offline {
        lines.push("note: nothing was asked of the broker: keys, symbols and clock are not checked".into());
        return Ok(lines);
    }
    let broker = Broker::new(&answers.trading_url);
    lines.push(clock(&broker, answers, world)?);
    lines.extend(accounts(&broker, answers)?);
    if let Some(keys) = &answers.host_keys {
        answers.symbols.iter().try_for_each(|name| symbol(&broker, name, keys, &answers.trading_url))?;
        if !answers.symbols.is_empty() {
            lines.push(format!("ok: the broker trades {}", answers.symbols.join(", ")));
        }
    }
    Ok(lines)
}

fn clock(broker: &Broker, answers: &Answers, world: &World) -> Result<String, Failure> {
    let skew = broker.skew(answers.host_keys.as_ref(), world).map_err(|why| silent(answers, &why))?;
    match skew {
        Some(Skew { ahead_s }) if ahead_s.unsigned_abs() > MAX_SKEW_S => {
            let word = if ahead_s > 0 { "ahead of" } else { "behind" };
            let what = format!(
                "the machine's clock is {} s {word} the broker's: set it (timedatectl set-ntp true), then \
                 run this again; nothing was written",
                ahead_s.unsigned_abs()
            );
            Err(Failure::new(Exit::Config, what))
        }
        Some(_) => Ok(format!("ok: {} answers, and the clocks agree", answers.trading_url)),
        None => Ok(format!("note: {} answers without a date: the clock is not checked", answers.trading_url)),
    }
}

/// Both keys have to open the same account: a watchdog with another one would guard nothing.
fn accounts(broker: &Broker, answers: &Answers) -> Result<Vec<String>, Failure> {
    let Some(host) = &answers.host_keys else { return Ok(Vec::new()) };
    let own = account(broker, "host", host, answers)?;
    let mut lines = vec![format!("ok: the key of the host is accepted (account {})", id_end(&own))];
    if let Some(watchdog) = answers.watchdog_keys.as_ref().filter(|watchdog| *watchdog != host) {
        let other = account(broker, "watchdog", watchdog, answers)?;
        if own != other {
            let what = format!(
                "the key of the watchdog opens account {}, that of the host {}: both have to be of the \
                 account that is traded; nothing was written",
                id_end(&other),
                id_end(&own)
            );
            return Err(Failure::new(Exit::Config, what));
        }
        lines.push("ok: the key of the watchdog is accepted, of the same account".into());
    }
    Ok(lines)
}

fn account(broker: &Broker, whose: &str, keys: &KeyPair, answers: &Answers) -> Result<String, Failure> {
    let url = &answers.trading_url;
    match broker.account(keys) {
        Answer::Given(account) => Ok(account.get("id").and_then(Value::as_str).unwrap_or("none").to_owned()),
        Answer::NotAccepted(status) => {
            let mode = &answers.mode;
            let what = format!(
                "{url} does not accept the key of the {whose} ({status}): keys of a paper account work with \
                 mode paper only, and those of a live one with live; the mode is {mode}; nothing was written"
            );
            Err(Failure::new(Exit::Broker, what))
        }
        Answer::Silent(why) => Err(silent(answers, &why)),
        Answer::Nothing => Err(odd(url, 404)),
        Answer::Odd(status) => Err(odd(url, status)),
    }
}

fn symbol(broker: &Broker, name: &str, keys: &KeyPair, url: &str) -> Result<(), Failure> {
    match broker.asset(name, keys) {
        Answer::Given(asset) if asset["tradable"] == Value::Bool(true) => Ok(()),
        Answer::Given(_) => {
            Err(Failure::new(Exit::Config, format!("the broker does not trade {name}; nothing was written")))
        }
        Answer::Nothing => {
            Err(Failure::new(Exit::Config, format!("the broker does not know {name}; nothing was written")))
        }
        Answer::NotAccepted(status) | Answer::Odd(status) => Err(odd(url, status)),
        Answer::Silent(why) => {
            Err(Failure::new(Exit::Broker, format!("{url} does not answer: {why}; nothing was written")))
        }
    }
}

fn silent(answers: &Answers, why: &str) -> Failure {
    let what = format!(
        "{} cannot be reached: {why}; is the network there, and the address right? Nothing was written \
         (--offline sets up without asking)",
        answers.trading_url
    );
    Failure::new(Exit::Broker, what)
}

fn odd(url: &str, status: u16) -> Failure {
    let what = format!("{url} answers with status {status}: try again later; nothing was written");
    Failure::new(Exit::Broker, what)
}

/// Enough of an account's id to know it by.
fn id_end(id: &str) -> String {
    format!("…{}", id.get(id.len().saturating_sub(4)..).unwrap_or(id))
}
