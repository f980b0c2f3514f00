//! `sandpit replay`: a recorded session runs again and is compared with what was recorded, or with what
//! another component makes of it. Nothing of the host's is written, so it may run meanwhile.

mod components;
mod place;
mod report;

use std::path::PathBuf;

use clap::Args;
use sandpit_contract::Exit;
use sandpit_journal::{Cast, JournalError, Reader, Rerun, Stage, Step, Turns, strategies};
use sandpit_strategy::PluginError;
use sandpit_types::StrategyName;

use self::{
    components::Components,
    place::{Session, find},
    report::{Changes, Sameness},
};
use crate::run::Failure;

/// What stands below the flags.
const MORE: &str = "\
Examples:
  sandpit replay latest --config sandpit.toml
  sandpit replay 20261122T143000Z-5f0c9d2e --state-dir /var/lib/sandpit --strategy sma_cross
  sandpit replay latest --config sandpit.toml --with target/wasm32-unknown-unknown/release/sma_cross.wasm

With the components that ran, everything is compared to the byte, and the first difference ends it. With
another component only decisions are (intents, strikes), and all are told that change: the first in full. It
is told what the recorded one was told: later orders and fills are answers to what that one did.

Exit codes:
  0   everything is as it was recorded; with --with: every decision is the same
  2   there is no such session or strategy in it
  10  the configuration is wrong
  11  a component cannot be used, or was not kept
  12  the session cannot be read
  14  the journal is damaged; the message has segment and byte
  16  only a part could be replayed: entries were lost when they were recorded, or nothing was recorded
  17  something differs";

/// Run a recorded session again, and say whether it does the same. Needs no keys; the host may run.
#[derive(Debug, Args)]
#[command(after_long_help = MORE)]
pub(crate) struct ReplayArgs {
    /// Its name, its folder, or `latest`.
    session: String,
    /// Another component instead of the recorded one: shows which decisions change.
    #[arg(long, value_name = "NEW.wasm")]
    with: Option<PathBuf>,
    /// Only this strategy [default: all; with --with the one that the file is named after, or the only one]
    #[arg(long, value_name = "NAME", value_parser = |text: &str| StrategyName::parse(text))]
    strategy: Option<StrategyName>,
    /// The configuration file of the host, which says where the sessions lie.
    #[arg(long, value_name = "FILE", conflicts_with = "state_dir")]
    config: Option<PathBuf>,
    /// The host's state_dir itself.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// Replays a session: what came of it, in one sentence.
///
/// # Errors
/// When it cannot be replayed at all; each has the exit code of its kind.
pub(crate) fn replay(args: &ReplayArgs) -> Result<(Exit, String), Failure> {
    let session = find(&args.session, args.config.as_deref(), args.state_dir.as_deref())?;
    let reader = Reader::open(&session.folder).map_err(unreadable)?;
    let mut components = Components::new(&session.root)?;
    match &args.with {
        None => {
            let play = Play { turns: Turns::new(reader), only: args.strategy.clone(), session };
            play.on(Stage::new(components, Cast::Recorded), Sameness::default())
        }
        Some(file) => {
            let strategy = replaced(args, file, &session)?;
            components.replace(file, &strategy)?;
            let changes = Changes::new(&strategy, file);
            let play = Play { turns: Turns::new(reader), only: Some(strategy), session };
            play.on(Stage::new(components, Cast::Other), changes)
        }
    }
}

/// What is made of each turn that was played again.
trait Judge {
    /// Looks at one; a verdict if that is enough.
    fn look(&mut self, rerun: &Rerun) -> Option<(Exit, String)>;

    /// What to say when everything was seen; `session` is its name.
    fn verdict(&self, session: &str) -> (Exit, String);
}

/// A session that is played.
struct Play {
    turns: Turns,
    only: Option<StrategyName>,
    session: Session,
}

impl Play {
    /// Plays it to its end, or as far as it goes.
    fn on(mut self, mut stage: Stage<Components>, mut judge: impl Judge) -> Result<(Exit, String), Failure> {
        let (mut gaps, mut seen) = (Vec::new(), 0_u64);
        let damage = loop {
            let step = match self.turns.next_step() {
                Ok(Some(step)) => step,
                Ok(None) => break None,
                Err(error) if error.is_damage() => break Some(error),
                Err(error) => return Err(unreadable(error)),
            };
            let played = match step {
                Step::Turn(turn) if self.is_wanted(&turn.strategy) => {
                    seen += 1;
                    stage.play(turn).map_err(|error| unplayable(&error))?
                }
                Step::Gap { strand, strategy, first, lost } if self.is_wanted(&strategy) => {
                    gaps.push(format!("{lost} entries of {strategy} from number {first} on"));
                    stage.cut(strand).map_err(|error| unplayable(&error))?
                }
                Step::Turn(_) | Step::Gap { .. } => None,
            };
            if let Some(verdict) = played.and_then(|rerun| judge.look(&rerun)) {
                return Ok(verdict);
            }
        };
        while let Some(rerun) = stage.finish_next().map_err(|error| unplayable(&error))? {
            if let Some(verdict) = judge.look(&rerun) {
                return Ok(verdict);
            }
        }
        if seen == 0 && damage.is_none() {
            return Err(self.nothing());
        }
        Ok(self.whole(judge.verdict(&self.session.name), &gaps, damage))
    }

    fn is_wanted(&self, strategy: &StrategyName) -> bool {
        self.only.as_ref().is_none_or(|only| only == strategy)
    }

    /// The verdict, with what could not be looked at.
    fn whole(
        &self,
        (exit, mut sentence): (Exit, String),
        gaps: &[String],
        damage: Option<JournalError>,
    ) -> (Exit, String) {
        if let Some(error) = damage {
            return (Exit::Data, format!("{error}; before that: {sentence}"));
        }
        if let Some(gap) = gaps.first() {
            let more =
                if gaps.len() > 1 { format!(" (and {} more gaps)", gaps.len() - 1) } else { String::new() };
            sentence +=
                &format!("; {gap} were lost when they were recorded{more}: what follows was not replayed");
            return (if exit == Exit::Ok { Exit::Incomplete } else { exit }, sentence);
        }
        if let Some(end) = self.turns.end() {
            sentence += &report::end(end);
        }
        (exit, sentence)
    }

    fn nothing(&self) -> Failure {
        let name = &self.session.name;
        match &self.only {
            Some(strategy) => Failure::new(
                Exit::Usage,
                format!("session {name} has nothing of {strategy}{}", there(&self.session)),
            ),
            None => Failure::new(Exit::Incomplete, format!("nothing was recorded in session {name}")),
        }
    }
}

/// Which strategy the new component stands for.
fn replaced(args: &ReplayArgs, file: &std::path::Path, session: &Session) -> Result<StrategyName, Failure> {
    if let Some(strategy) = &args.strategy {
        return Ok(strategy.clone());
    }
    let names = strategies(&session.folder).map_err(unreadable)?;
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    let named = names.iter().find(|name| Some(name.as_str()) == stem);
    if let Some(strategy) = named.or(names.first().filter(|_| names.len() == 1)) {
        return Ok(strategy.clone());
    }
    let what = format!(
        "{} is named after no strategy of session {}: say with --strategy which one it stands for{}",
        file.display(),
        session.name,
        there(session)
    );
    Err(Failure::new(Exit::Usage, what))
}

/// The strategies of a session, as the end of a sentence.
fn there(session: &Session) -> String {
    let names = strategies(&session.folder).unwrap_or_default();
    let names: Vec<_> = names.iter().map(StrategyName::as_str).collect();
    if names.is_empty() { String::new() } else { format!("; it has {}", names.join(", ")) }
}

fn unreadable(error: JournalError) -> Failure {
    let exit = match &error {
        JournalError::Damaged { .. } | JournalError::Missing { .. } => Exit::Data,
        JournalError::NoSession { .. } => Exit::Usage,
        JournalError::Io { .. }
        | JournalError::Newer { .. }
        | JournalError::Changed { .. }
        | JournalError::Thread { .. } => Exit::State,
    };
    Failure::new(exit, error)
}

fn unplayable(error: &PluginError) -> Failure {
    Failure::new(Exit::Plugin, format!("cannot replay: {error}"))
}
