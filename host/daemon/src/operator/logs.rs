//! `sandpit logs`: the journal of the units, or where there is none the file that the host writes to.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use clap::{Args, ValueEnum};
use sandpit_contract::Exit;
use serde_json::{Value, json};

use super::{Common, Told, ask, config};
use crate::run::Failure;

/// There where systemd runs the machine (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";
/// The most of a file's end that is looked at.
const MAX_TAIL_BYTES: u64 = 4 * 1024 * 1024;
/// The most lines.
const MAX_LINES: u32 = 100_000;

/// Show the log of host and watchdog.
///
/// It is that of the units in the journal; where there is no journal, the file that a running host writes to.
#[derive(Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// Whose. Without a journal only the host's.
    #[arg(long, value_enum, default_value_t = Unit::Both)]
    unit: Unit,
    /// How many of the newest lines.
    #[arg(short = 'n', long, default_value_t = 100, value_parser = line_count())]
    lines: u32,
    /// Go on with new ones until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// Only from then on, such as "today" or "1 hour ago"; the journal only.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only lines that have this in them, such as "[KILL]" or the name of a strategy.
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Unit {
    Host,
    Watchdog,
    Both,
}

fn line_count() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(MAX_LINES))
}

/// Shows the log.
///
/// # Errors
/// [`Exit::NoHost`] when there is neither a journal nor a host with a log file, [`Exit::Usage`] for what only
/// a journal can do.
pub(super) fn logs(args: &LogsArgs) -> Result<Told, Failure> {
    if Path::new(SYSTEMD).exists() {
        return show(journalctl(args), "journalctl");
    }
    if args.since.is_some() || args.unit == Unit::Watchdog {
        let what = "there is no journal here: --since and --unit watchdog need one";
        return Err(Failure::new(Exit::Usage, what));
    }
    let file = log_file(args)?;
    if !args.follow {
        return tail(&file, args);
    }
    if args.common.json || args.grep.is_some() {
        let what = "there is no journal here: --follow shows the file as it is, without --json and --grep";
        return Err(Failure::new(Exit::Usage, what));
    }
    let mut command = Command::new("tail");
    command.args(["-n", &args.lines.to_string(), "-F", "--"]).arg(file);
    show(command, "tail")
}

fn journalctl(args: &LogsArgs) -> Command {
    let mut command = Command::new("journalctl");
    command.args(["--no-pager", "--quiet", "-n", &args.lines.to_string()]);
    let units: &[&str] = match args.unit {
        Unit::Host => &["sandpit-host"],
        Unit::Watchdog => &["sandpit-watchdog"],
        Unit::Both => &["sandpit-host", "sandpit-watchdog"],
    };
    command.args(units.iter().flat_map(|unit| ["-u", *unit]));
    command.args(["-o", if args.common.json { "json" } else { "short-iso-precise" }]);
    if let Some(since) = &args.since {
        command.arg(format!("--since={since}"));
    }
    if let Some(text) = &args.grep {
        // It is a text, no pattern.
        let quoted: String = text.chars().flat_map(quoted).collect();
        command.arg(format!("--grep={quoted}"));
    }
    if args.follow {
        command.arg("--follow");
    }
    command
}

fn quoted(c: char) -> impl Iterator<Item = char> {
    let is_special = c.is_ascii_punctuation();
    is_special.then_some('\\').into_iter().chain([c])
}

/// Lets another program write to the terminal. What it complains of follows at its end: `journalctl --grep`
/// that finds nothing fails, too, but has nothing to say.
fn show(mut command: Command, name: &str) -> Result<Told, Failure> {
    let started = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
    let output = started.and_then(Child::wait_with_output);
    let output =
        output.map_err(|error| Failure::new(Exit::NoHost, format!("{name} cannot be run: {error}")))?;
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() || output.status.code() == Some(1) && complaint.is_empty() {
        return Ok(Told { text: String::new(), json: Value::Null, exit: Exit::Ok });
    }
    Err(Failure::new(Exit::NoHost, format!("{name} ended with {}: {complaint}", output.status)))
}

/// Where the standard error of the running host goes.
fn log_file(args: &LogsArgs) -> Result<PathBuf, Failure> {
    let host = ask::snapshot(&config(&args.common)?)?;
    let pid = host["pid"].as_u64().unwrap_or_default();
    let place = std::fs::read_link(format!("/proc/{pid}/fd/2")).map_err(|error| {
        let what =
            format!("where the host (pid {pid}) writes its log cannot be seen: {error}; try again with sudo");
        Failure::new(Exit::NotAllowed, what)
    })?;
    if place.is_file() {
        return Ok(place);
    }
    let place = place.display();
    let what = format!(
        "there is no journal here, and the host (pid {pid}) writes its log to {place}, which is no file: \
         look at where it was started"
    );
    Err(Failure::new(Exit::NoHost, what))
}

fn tail(file: &Path, args: &LogsArgs) -> Result<Told, Failure> {
    let text = end_of(file).map_err(|error| {
        Failure::new(Exit::NotAllowed, format!("the log {} cannot be read: {error}", file.display()))
    })?;
    let is_meant = |line: &&str| args.grep.as_ref().is_none_or(|text| line.contains(text));
    let mut lines: Vec<&str> = text.lines().rev().filter(is_meant).take(args.lines as usize).collect();
    lines.reverse();
    let json = json!({"file": file.display().to_string(), "lines": lines});
    Ok(Told { text: lines.join("\n"), json, exit: Exit::Ok })
}

fn end_of(file: &Path) -> std::io::Result<String> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(MAX_TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(MAX_TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The first line of a part may be half of one.
    Ok(if from == 0 {
        text
    } else {
        text.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned())
    })
}
