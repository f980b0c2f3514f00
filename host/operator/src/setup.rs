//! `sandpit setup`: from nothing to two configurations, two key pairs and a checked broker.
//!
//! It asks, or takes everything by flags. Everything that can be wrong is looked at before the first byte is
//! written; every file is replaced as a whole. Run again it changes nothing.

mod answers;
mod checks;
mod edit;
mod plan;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use sandpit_contract::Exit;

use self::{answers::Answers, plan::Plan};
use crate::{
    Failure, PlaceArgs, World,
    child::{NoEnd, Program},
    place::program,
};

/// `sandpit-watchdog arm` may have to lift a suspension at the broker.
const ARM_WAIT: Duration = Duration::from_secs(30);
/// Asking the service manager takes no longer, else it is not asked.
const ASK_WAIT: Duration = Duration::from_secs(5);
/// The longest reason.
const MAX_REASON_CHARS: usize = 1_000;

/// What stands below the flags.
const MORE: &str = "\
Keys never stand on a command line: they come from --key-file, from APCA_API_KEY_ID and APCA_API_SECRET_KEY
  (or the same with _FILE behind), from the credential files of an earlier run, or are asked for without an
  echo. Files of keys are kept as root's, mode 0600, in the credentials folder.

Exit codes:
  0   set up, or nothing to change
  2   wrong usage, or a question was answered with no
  10  what was asked for cannot be: a key of the other kind, a symbol that is not traded, a live configuration
      that would be changed without --overwrite-live
  12  a file or folder cannot be written
  15  the broker cannot be reached, or does not accept the key; nothing was written
  16  everything is written, but it could not be armed";

/// Set up an installation: keys, mode, symbols; check clock, broker and permissions; arm when asked to.
#[derive(Args, Debug)]
#[command(after_long_help = MORE)]
pub struct SetupArgs {
    /// Where the files are.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// What happens with orders [default: as configured, else asked for].
    #[arg(long)]
    pub mode: Option<Mode>,
    /// The broker [default: as configured, else asked for].
    #[arg(long)]
    pub broker: Option<BrokerName>,
    /// Another address than the broker's own, such as that of a sim.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// What the strategy is to trade; the first is also the pulse of the market data.
    #[arg(long, value_name = "SYMBOLS", value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// The strategy of the plugins folder that gets the symbols, unless it has a manifest already.
    #[arg(long, value_name = "NAME", default_value = "sma_cross")]
    pub strategy: String,
    /// Where example strategies are: one is copied when the plugins folder has none of the name.
    #[arg(long, value_name = "DIR", default_value = "/usr/share/sandpit/plugins")]
    pub examples: PathBuf,
    /// Two lines: the host's key id and secret key; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The same for the watchdog: another key of the same account [default: the host's].
    #[arg(long, value_name = "FILE")]
    pub watchdog_key_file: Option<PathBuf>,
    /// Ask nothing: what is not given stays as it is.
    #[arg(long)]
    pub yes: bool,
    /// Arm at the end, for this reason.
    #[arg(long, value_name = "REASON")]
    pub arm: Option<String>,
    /// Change a configuration that says mode = "live", or make one so.
    #[arg(long)]
    pub overwrite_live: bool,
    /// Ask the broker nothing: keys, symbols and clock are not checked.
    #[arg(long)]
    pub offline: bool,
}

/// What happens with orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Real data, fills in the process, nothing sent.
    DryRun,
    /// A paper account, or the sim.
    Paper,
    /// A real account; `sandpit golive` has to pass before it runs.
    Live,
}

/// Who the broker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BrokerName {
    /// `sandpit-sim`.
    Sim,
    /// Alpaca.
    Alpaca,
}

impl Mode {
    const fn word(self) -> &'static str {
        match self {
            Self::DryRun => "dry-run",
            Self::Paper => "paper",
            Self::Live => "live",
        }
    }
}

impl BrokerName {
    const fn word(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Alpaca => "alpaca",
        }
    }
}

/// Sets up.
///
/// # Errors
/// See [`Failure`]; nothing was written then, unless the sentence says so.
pub fn setup(args: &SetupArgs, world: &World) -> Result<(), Failure> {
    let mut human = Human::of(args)?;
    let answers = Answers::gather(args, world, &mut human)?;
    for line in checks::check(args, &answers, world)? {
        say(&line);
    }
    let plan = Plan::make(args, &answers, world)?;
    plan.refuse_live(args, &mut human)?;
    let has_changed = !plan.is_empty();
    if plan.is_empty() {
        say("nothing to change: it is set up as asked for");
    } else {
        plan.describe().iter().for_each(|line| say(line));
        if human.asks() && !human.yes("Write this?", true)? {
            return Err(Failure::new(Exit::Usage, "nothing was written, as you said"));
        }
        plan.write()?.iter().for_each(|path| say(&format!("wrote {}", path.display())));
    }
    if let Some(path) = args.key_file.iter().chain(&args.watchdog_key_file).find(|path| path.is_file()) {
        say(&format!("note: {} is not needed any more: remove it", path.display()));
    }
    arm(args, &answers, world, &mut human)?;
    say(&next_step(&answers.mode, has_changed && runs()));
    Ok(())
}

/// What is to be done now. A service that runs goes on with what it has read at its start.
fn next_step(mode: &str, runs: bool) -> String {
    let check = if mode == "live" { "sandpit golive" } else { "sandpit doctor" };
    let start = if runs {
        "systemctl restart sandpit-watchdog sandpit-host: what runs has the old keys and configuration"
    } else {
        "start the services"
    };
    format!("next: {check}, then {start}")
}

/// Whether systemd runs one of the services.
fn runs() -> bool {
    let asked =
        Program::new("systemctl").args(["is-active", "sandpit-host.service", "sandpit-watchdog.service"]);
    asked.run(ASK_WAIT).is_ok_and(|ended| ended.out.lines().any(|line| line == "active"))
}

/// Never by itself: a reason has to come from a human.
fn arm(args: &SetupArgs, answers: &Answers, world: &World, human: &mut Human) -> Result<(), Failure> {
    let asked = match &args.arm {
        None if human.asks() && human.yes("Arm the watchdog now, so that trading may begin?", false)? => {
            Some(human.text("Why (it is kept)", None)?)
        }
        None => None,
        Some(reason) => Some(reason.clone()),
    };
    let Some(reason) = asked else {
        say("not armed: sandpit-watchdog arm --reason \"…\" allows trading");
        return Ok(());
    };
    let reason = reason.trim();
    if !(1..=MAX_REASON_CHARS).contains(&reason.chars().count()) {
        return Err(Failure::new(Exit::Usage, "arming needs a reason; everything else is set up"));
    }
    let mut arming = Program::new(program("sandpit-watchdog", &world.environment))
        .args(["arm", "--reason", reason, "--config"])
        .args([args.place.watchdog_config()]);
    if let Some(keys) = &answers.watchdog_keys {
        arming = arming.environment(&keys.variables());
    }
    let failed = |why: String| {
        Failure::new(Exit::Incomplete, format!("everything is set up, but it could not be armed: {why}"))
    };
    match arming.run(ARM_WAIT) {
        Ok(ended) if ended.code == Some(0) => say(ended.out.trim()),
        Ok(ended) => return Err(failed(ended.sentence())),
        Err(NoEnd::NotStarted(why)) => return Err(failed(why)),
        Err(NoEnd::Hung) => return Err(failed(format!("no answer within {} s", ARM_WAIT.as_secs()))),
    }
    Ok(())
}

/// Whoever sits at the terminal, if questions are allowed.
pub(crate) struct Human {
    asks: bool,
}

impl Human {
    fn of(args: &SetupArgs) -> Result<Self, Failure> {
        if !args.yes && !io::stdin().is_terminal() {
            let what =
                "nobody can be asked here, for standard input is no terminal: give --yes and the flags";
            return Err(Failure::new(Exit::Usage, what));
        }
        Ok(Self { asks: !args.yes })
    }

    fn asks(&self) -> bool {
        self.asks
    }

    /// # Errors
    /// [`Exit::Usage`] when there is no answer: the end of the input is none, or it would agree to anything.
    fn text(&mut self, question: &str, default: Option<&str>) -> Result<String, Failure> {
        let shown = default.map(|text| format!(" [{text}]")).unwrap_or_default();
        print!("{question}{shown}: ");
        let unanswered =
            |why: &str| Failure::new(Exit::Usage, format!("no answer could be read to {question:?}: {why}"));
        let mut line = String::new();
        match io::stdout().flush().and_then(|()| io::stdin().read_line(&mut line)) {
            Ok(0) => return Err(unanswered("the input has ended")),
            Ok(_) => {}
            Err(error) => return Err(unanswered(&error.to_string())),
        }
        let line = line.trim();
        Ok(if line.is_empty() { default.unwrap_or_default().to_owned() } else { line.to_owned() })
    }

    /// Asks until the answer is one of the two.
    fn yes(&mut self, question: &str, default: bool) -> Result<bool, Failure> {
        let question = format!("{question} (yes/no)");
        loop {
            let answer = self.text(&question, Some(if default { "yes" } else { "no" }))?;
            match answer.to_lowercase().as_str() {
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => {}
            }
        }
    }

    fn hidden(&mut self, question: &str) -> Result<String, Failure> {
        let failed = |why: &dyn std::fmt::Display| {
            Failure::new(Exit::Usage, format!("no answer could be read to {question:?}: {why}"))
        };
        // At Ctrl-C the library ends the process while the terminal still hides what is typed: the signal
        // has to wait until it shows it again.
        let held = SigSet::from(Signal::SIGINT).thread_swap_mask(SigmaskHow::SIG_BLOCK);
        let mask = held.map_err(|error| failed(&error))?;
        let answer = rpassword::prompt_password(format!("{question} (not shown): "));
        mask.thread_set_mask().map_err(|error| failed(&error))?;
        answer.map_err(|error| failed(&error))
    }
}

/// A terminal that has gone must not end it in a panic.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

#[cfg(test)]
mod tests;
