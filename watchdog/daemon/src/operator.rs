//! The commands of a human on the machine: arm, status, kill.

use std::{fs, io::Write, path::Path, time::Duration};

use sandpit_contract::{ALERT_TESTS_FILE, AlertTest, Armed, Exit, State, Status, ToObserver, ToWatchdog};

use crate::{
    alerts, ambient,
    broker::Client,
    config::{Config, Credentials},
    error::Error,
    latch,
    machine::Presence,
    socket::ask,
};

/// A running watchdog answers within this time.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// A `kill` waits so long until it is on disk and the host gone.
const SEAL_WAIT: Duration = Duration::from_secs(3);
/// Between two questions whether it is.
const SEAL_PAUSE: Duration = Duration::from_millis(50);

/// Tests of the alerts that are remembered.
const MAX_TESTS: usize = 100;

/// Arms, whether or not a watchdog runs; a running one notices. Lifts a suspension that our kill put there.
///
/// # Errors
/// While the flag is there, when the suspension cannot be lifted, or when the files cannot be written.
pub(crate) fn arm(config: &Config, reason: &str) -> Result<String, Error> {
    latch::create(&config.state_dir)?;
    latch::check_flag(&config.kill_switch_file)?;
    let unusable = |cause| Error::StateUnusable { path: config.state_dir.clone(), cause };
    // Before its words: a kill that comes from here on leaves another latch than this.
    let mark = latch::mark(&config.state_dir).map_err(unusable)?;
    let client = match latch::read(&config.state_dir) {
        Some(latch) if latch.suspended => Some(client(config)?),
        Some(_) | None => None,
    };
    if let Some(client) = &client {
        client.suspend(false)?;
    }
    let armed = Armed { at_unix_s: ambient::now().unix_s, reason: reason.into() };
    latch::arm(&config.state_dir, &config.kill_switch_file, mark.as_ref(), &armed)?;
    Ok(match client.map(|client| lift_again(&client)) {
        None => format!("armed: {reason}"),
        Some(Ok(())) => format!("armed: {reason}; the suspension at the broker is lifted"),
        Some(Err(error)) => {
            format!("armed, but whether trading is still suspended at the broker is not known: {error}")
        }
    })
}

/// The killed watchdog may have been about to suspend once more; once armed it will not.
fn lift_again(client: &Client) -> Result<(), Error> {
    if client.is_suspended()? { client.suspend(false) } else { Ok(()) }
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
        Ok(ToObserver::KillTaken) if is_sealed(config) => {
            Ok("killed: the watchdog took it; `status` shows the proof".into())
        }
        Ok(ToObserver::KillTaken) => Ok("taken: no lease is granted; but not on disk yet, or the host is \
                                         not gone yet; `status` shows when it is `killed`"
            .into()),
        Ok(ToObserver::Status(_)) | Err(_) => {
            put_flag(&config.kill_switch_file, reason)?;
            let flag = config.kill_switch_file.display();
            Ok(format!("no watchdog answers: the flag {flag} is there now, and kills when one runs"))
        }
    }
}

/// Whether the kill is sealed within [`SEAL_WAIT`].
fn is_sealed(config: &Config) -> bool {
    let end = ambient::boot_time() + SEAL_WAIT;
    loop {
        let answer = ask(&config.socket, &ToWatchdog::Status, ANSWER_WAIT);
        if matches!(&answer, Ok(ToObserver::Status(status)) if status.state == State::Killed) {
            return true;
        }
        if end <= ambient::boot_time() {
            return false;
        }
        ambient::pause(SEAL_PAUSE);
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

/// Sends a test to every sink, and says of each whether it arrived.
///
/// # Errors
/// When a secret is none, or there is no sink.
pub(crate) fn alert_test(config: &Config) -> Result<Exit, Error> {
    let sinks = config.alerts.sinks(ambient::variable)?;
    let ping = config.alerts.ping(ambient::variable)?;
    if sinks.is_empty() && ping.is_none() {
        let text = "no sink of alerts is configured: set the secret of one, `[alerts.email]` or \
                    `[alerts] command`";
        return Err(Error::Config(text.into()));
    }
    let post = alerts::Post::new();
    let (mut lines, mut all) = alerts::test(&sinks, &config.alerts.name(), &post);
    if let Some(ping) = ping {
        let (line, has_arrived) = ping.test(&config.alerts.name(), &post);
        lines.push(line);
        all &= has_arrived;
    }
    println!("{}", lines.join("\n"));
    record_test(&config.state_dir, &lines)?;
    Ok(if all { Exit::Ok } else { Exit::Incomplete })
}

/// For `sandpit golive`, which wants to know that somebody would be told.
fn record_test(state_dir: &Path, lines: &[String]) -> Result<(), Error> {
    let unusable = |cause| Error::StateUnusable { path: state_dir.into(), cause };
    let names = |was_sent: bool| {
        let named = lines.iter().filter_map(|line| line.split_once(": "));
        named.filter(|(_, how)| (*how == "sent") == was_sent).map(|(name, _)| name.to_owned()).collect()
    };
    let test = AlertTest { at_unix_s: ambient::now().unix_s, delivered: names(true), failed: names(false) };
    latch::create(state_dir)?;
    let path = state_dir.join(ALERT_TESTS_FILE);
    let before = fs::read_to_string(&path).unwrap_or_default();
    let kept: Vec<_> = before.lines().rev().take(MAX_TESTS - 1).collect();
    let line = serde_json::to_string(&test).expect("plain words and numbers are JSON");
    let all: Vec<_> = kept.into_iter().rev().chain([line.as_str()]).collect();
    let write = || -> std::io::Result<()> {
        let fresh = state_dir.join("alert-tests.new");
        let mut file = fs::File::create(&fresh)?;
        writeln!(file, "{}", all.join("\n"))?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        fs::File::open(state_dir)?.sync_all()
    };
    write().map_err(unusable)
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
    text += &format!("\n  {}", status.strain);
    if let Some(drill) = &status.last_drill {
        text += &format!(
            "\n  last drill at {} (Unix s): {}: {}",
            drill.at_unix_s,
            drill.outcome.word(),
            drill.text
        );
    }
    if let Some(kill) = &status.kill {
        let layer = word(serde_json::json!(kill.layer));
        let broker = status.broker.map_or("", sandpit_contract::BrokerProof::word);
        text += &format!("\n  killed by {layer} at {} (Unix s): {}; {broker}", kill.at_unix_s, kill.reason);
    }
    text
}
