//! The commands of a human on the machine: arm, status, kill.

use std::{fs, io::Write, path::Path, time::Duration};

use sandpit_contract::{Armed, Status, ToObserver, ToWatchdog};

use crate::{
    ambient,
    broker::Client,
    config::{Config, Credentials},
    error::Error,
    latch,
    machine::Presence,
    socket::ask,
};

/// A running watchdog answers within this time.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// Arms, whether or not a watchdog runs; a running one notices. Lifts a suspension that our kill put there.
///
/// # Errors
/// While the flag is there, when the suspension cannot be lifted, or when the files cannot be written.
pub(crate) fn arm(config: &Config, reason: &str) -> Result<String, Error> {
    latch::create(&config.state_dir)?;
    if latch::presence(&config.kill_switch_file) == Presence::Present {
        return Err(Error::Flagged { path: config.kill_switch_file.clone() });
    }
    let client = match latch::read(&config.state_dir) {
        Some(latch) if latch.suspended => Some(client(config)?),
        Some(_) | None => None,
    };
    if let Some(client) = &client {
        client.suspend(false)?;
    }
    let armed = Armed { at_unix_s: ambient::now().unix_s, reason: reason.into() };
    let unusable = |cause| Error::StateUnusable { path: config.state_dir.clone(), cause };
    latch::arm(&config.state_dir, &armed).map_err(unusable)?;
    // The killed watchdog may have been about to suspend once more; from here on it will not.
    if let Some(client) = &client
        && client.is_suspended()?
    {
        client.suspend(false)?;
    }
    let lifted = if client.is_some() { "; the suspension at the broker is lifted" } else { "" };
    Ok(format!("armed: {reason}{lifted}"))
}

fn client(config: &Config) -> Result<Client, Error> {
    let credentials = Credentials::of(ambient::variable)?;
    Ok(Client::new(&config.broker.trading_url, credentials, config.scope()))
}

/// Kills through a running watchdog; without one it puts the flag there, which the next one finds.
///
/// # Errors
/// When neither works.
pub(crate) fn kill(config: &Config, reason: &str) -> Result<String, Error> {
    let asked = ask(&config.socket, &ToWatchdog::Kill { reason: reason.into() }, ANSWER_WAIT);
    match asked {
        Ok(ToObserver::KillTaken) => Ok("killed: the watchdog took it; `status` shows the proof".into()),
        Ok(ToObserver::Status(_)) | Err(_) => {
            put_flag(&config.kill_switch_file, reason)?;
            let flag = config.kill_switch_file.display();
            Ok(format!("no watchdog answers: the flag {flag} is there now, and kills when one runs"))
        }
    }
}

fn put_flag(path: &Path, reason: &str) -> Result<(), Error> {
    if latch::presence(path) == Presence::Present {
        return Ok(());
    }
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().create_new(true).write(true).open(path)?;
        writeln!(file, "{reason}")?;
        file.sync_all()
    };
    write().map_err(|cause| Error::StateUnusable { path: path.into(), cause })
}

/// Asks a running watchdog how it stands.
///
/// # Errors
/// When none answers.
pub(crate) fn status(config: &Config, json: bool) -> Result<String, Error> {
    let silent = |cause| Error::NoWatchdog { path: config.socket.clone(), cause };
    match ask(&config.socket, &ToWatchdog::Status, ANSWER_WAIT).map_err(silent)? {
        ToObserver::Status(status) if json => {
            Ok(serde_json::to_string(&status).expect("plain words and numbers are JSON"))
        }
        ToObserver::Status(status) => Ok(describe(&status)),
        ToObserver::KillTaken => Err(silent(std::io::ErrorKind::InvalidData.into())),
    }
}

fn describe(status: &Status) -> String {
    let word = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), String::from);
    let state = word(serde_json::json!(status.state));
    let pid = status.host_pid.map_or("none".into(), |pid| pid.to_string());
    let mut text = format!(
        "{state}; host pid {pid}, lease {} ms, restarts {}",
        status.lease_ms_left, status.host_restarts
    );
    for one in &status.loops {
        text += &format!("\n  loop {}: progress {}, {} ms ago", one.name, one.progress, one.age_ms);
    }
    if let Some(kill) = &status.kill {
        let layer = word(serde_json::json!(kill.layer));
        let broker = status.broker.map_or("", sandpit_contract::BrokerProof::word);
        text += &format!("\n  killed by {layer} at {} (Unix s): {}; {broker}", kill.at_unix_s, kill.reason);
    }
    text
}
