//! `sandpit golive`: what has to be true before mode `live` is accepted by `sandpit run`.
//!
//! The command gathers the evidence, a human signs it off with his name, and the record is what `run` asks
//! for. What makes a record void, and why:
//!
//! | void when | because |
//! |---|---|
//! | it was first used later than 7 days after its drill | the drill is what says that the stop works |
//! | it was used, and no live host ran for 7 days | whoever comes back after so long looks again |
//! | the key is another one, or one that a paper host has used | it was signed for that key |
//! | a limit of the host or the watchdog is another one | those were read and confirmed |
//! | the clock stands before its signing | then none of its times means anything |
//!
//! A restart or reboot in between does not ask again, however old the drill has become: a host that holds
//! positions has to come back by itself at night. `sandpit doctor` warns meanwhile.

mod evidence;
mod gate;
mod record;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use sandpit_contract::Exit;

use self::evidence::{Item, Look};
pub use self::{
    evidence::{Audit, Backup},
    gate::{Gate, keep_in_use, note_paper_key},
    record::{Proof, Record, Use, sign, signed},
};
use crate::{Failure, PlaceArgs, World, times::stamp};

/// The longest name.
const MAX_NAME_CHARS: usize = 100;

/// What stands below the flags.
const MORE: &str = "\
The configuration has to say mode = \"live\" already, and its keys to be there. Run it as root: the watchdog's
  records are its own, and so are the host's.

The sign-off is state_dir/golive.json, and a line of the audit log. It is void when its drill was 7 days old
  before a live host first used it, when no live host has used it for 7 days, and when the key or a limit of
  host or watchdog changes. A restart does not ask again.

Exit codes:
  0   signed off: sandpit run accepts mode live
  2   wrong usage, or the human did not confirm
  10  the configuration is wrong, or its mode is not live
  12  the sign-off cannot be written
  16  something is missing; every item says what to do";

/// Go through what has to be true before real money is traded, and sign it off.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = MORE)]
pub struct GoliveArgs {
    /// Where the files are.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Where backups are kept: a folder, or s3://BUCKET/PREFIX.
    #[arg(long, value_name = "PLACE")]
    pub backups: Option<String>,
    /// Confirm the limits that are printed, under this name, without being asked.
    #[arg(long, value_name = "NAME")]
    pub confirm_limits: Option<String>,
    /// Only look: sign nothing.
    #[arg(long)]
    pub check: bool,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
    /// A part that runs as the user of the state folder.
    #[arg(long, hide = true)]
    pub inner: Option<Inner>,
}

/// A part of the command that touches the records: it runs as their owner, or they would be root's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Inner {
    /// Is the audit log complete? Answers with an [`Audit`].
    Audit,
    /// Is the newest backup good? Answers with a [`Backup`].
    Backup,
    /// Write the sign-off that comes on standard input, and its line of the audit log.
    Sign,
}

impl Inner {
    /// Its word on the command line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Backup => "backup",
            Self::Sign => "sign",
        }
    }
}

/// Goes through the list. `limits` are the host's in force, one a line; the answer is for standard output.
///
/// # Errors
/// See [`Failure`]; nothing was signed then.
pub fn golive(args: &GoliveArgs, limits: &str, world: &World) -> Result<(Exit, String), Failure> {
    let look = Look::new(args, limits, world);
    let mut items = look.items();
    let all_limits = look.limits();
    let missing = items.iter().any(|item| item.proof.is_err());
    let name = if missing || args.check { None } else { Some(confirm(args, &all_limits)?) };
    items.push(match (&name, missing) {
        (Some(name), _) => Item { name: "limits", proof: Ok(format!("read and confirmed by {name}")) },
        (None, _) => {
            Item { name: "limits", proof: Err(format!("not confirmed yet:\n{}", indented(&all_limits))) }
        }
    });
    let signed = match (name, missing) {
        (Some(name), false) => {
            let record = look.record(&name)?;
            look.sign(&record)?;
            Some(record)
        }
        (Some(_) | None, _) => None,
    };
    let exit = if signed.is_some() || args.check && !missing { Exit::Ok } else { Exit::Incomplete };
    Ok((exit, if args.json { json(&items, signed.as_ref(), exit) } else { words(&items, signed.as_ref()) }))
}

/// A human reads them and says who he is.
fn confirm(args: &GoliveArgs, limits: &str) -> Result<String, Failure> {
    let unconfirmed = |what: &str| Failure::new(Exit::Usage, what);
    let name = if let Some(name) = &args.confirm_limits {
        name.clone()
    } else if args.json || !io::stdin().is_terminal() {
        return Err(unconfirmed("nobody can be asked here: read the limits, then add --confirm-limits NAME"));
    } else {
        println!("These limits are in force:\n{}", indented(limits));
        print!("Type your name to confirm that you have read them: ");
        let mut line = String::new();
        let read = io::stdout().flush().and_then(|()| io::stdin().read_line(&mut line));
        read.map_err(|error| unconfirmed(&format!("no answer could be read: {error}")))?;
        line
    };
    let name = name.trim().to_owned();
    let plain = name.chars().all(|c| !c.is_control());
    if !plain || !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) {
        return Err(unconfirmed("nothing was signed: limits are confirmed with a name"));
    }
    Ok(name)
}

fn indented(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| format!("    {line}")).collect();
    lines.join("\n")
}

fn words(items: &[Item], signed: Option<&Record>) -> String {
    let line = |item: &Item| match &item.proof {
        Ok(found) => format!("ok       {:<12} {found}", item.name),
        Err(missing) => format!("MISSING  {:<12} {missing}", item.name),
    };
    let mut lines: Vec<_> = items.iter().map(line).collect();
    lines.push(match signed {
        Some(record) => {
            format!("signed off by {} at {}: start the host", record.operator, stamp(record.signed_unix_s))
        }
        None => "not signed off".into(),
    });
    lines.join("\n")
}

fn json(items: &[Item], signed: Option<&Record>, exit: Exit) -> String {
    let item = |item: &Item| {
        let (is_there, said) = match &item.proof {
            Ok(found) => (true, found),
            Err(missing) => (false, missing),
        };
        serde_json::json!({ "item": item.name, "ok": is_there, "said": said })
    };
    let items: Vec<_> = items.iter().map(item).collect();
    serde_json::json!({ "exit": exit.code(), "items": items, "signed": signed }).to_string()
}

/// Where the sign-off of a state folder is.
pub(crate) fn file(state_dir: &std::path::Path) -> PathBuf {
    state_dir.join(record::FILE)
}

#[cfg(test)]
mod tests;
