//! `sandpit top`: the way from the screen to the host and back.

use std::{
    io::{IsTerminal, stdin, stdout},
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use sandpit_contract::Exit;
use sandpit_control::{Deed, Scope};
use sandpit_top::{Act, Ended, Host, Look};

use super::{CONFIG, ask, change};
use crate::{ambient, config::Config, run::Failure};

/// Columns of a picture whose width nobody says.
const LEAST_WIDTH: u16 = 40;

/// Watch a running host on the whole terminal, as over SSH: positions, orders, strategies, streams, alerts.
///
/// Cancels orders, pauses and resumes strategies and freezes the host, each after a question that names it.
/// `?` explains the keys. With NO_COLOR set there are no colours.
#[derive(Args)]
pub(crate) struct TopArgs {
    /// The configuration file of the host.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// Print one picture as text, and end.
    #[arg(long)]
    once: bool,
}

/// Shows the host until the operator leaves.
///
/// # Errors
/// [`Exit::Usage`] where there is no terminal; with `--once` those of [`ask::snapshot`].
pub(super) fn top(args: &TopArgs) -> Result<Exit, Failure> {
    let environment = ambient::environment();
    let config = Config::without_keys(&args.config, &environment)
        .map_err(|error| Failure::new(Exit::Config, error))?;
    if args.once {
        // Asked here, so that what a failure means is known.
        let host = ask::snapshot(&config)?;
        let width = environment.get("COLUMNS").and_then(|columns| columns.parse().ok());
        let width = width.map(|width: u16| width.max(LEAST_WIDTH));
        println!("{}", sandpit_top::picture(&host, width));
        return Ok(Exit::Ok);
    }
    if !(stdin().is_terminal() && stdout().is_terminal()) {
        let what = "sandpit top needs a terminal to draw on and to be typed at; `--once` prints one picture";
        return Err(Failure::new(Exit::Usage, what));
    }
    let has_colour = environment.get("NO_COLOR").is_none_or(String::is_empty);
    match sandpit_top::run(&host(config), Look { has_colour }) {
        Ok(Ended::Left | Ended::Signalled) => Ok(Exit::Ok),
        Err(error) => Err(Failure::new(Exit::Failed, format!("the terminal cannot be used: {error}"))),
    }
}

/// The same ways as those of every other command.
fn host(config: Config) -> Host {
    let config = Arc::new(config);
    let own = config.clone();
    Host {
        ask: Arc::new(move || ask::snapshot(&own).map_err(|failure| failure.sentence)),
        act: Arc::new(move |act| {
            let (deed, reason) = deed(act);
            let done =
                ask::wish(&config, &change::wish(deed, &reason)).map_err(|failure| failure.sentence)?;
            Ok(change::told(&done).text)
        }),
        now_ms: ambient::boot_ms,
    }
}

fn deed(act: Act) -> (Deed, String) {
    match act {
        Act::Cancel { order, reason } => (Deed::Cancel(Scope::Order(order)), reason),
        Act::Pause { strategy, reason } => (Deed::Pause { strategy }, reason),
        Act::Resume { strategy, reason } => (Deed::Resume { strategy }, reason),
        Act::Freeze { reason } => (Deed::Freeze, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_is_what_the_host_is_told() {
        let (name, reason) = (|| "sma".to_owned(), || "why".to_owned());
        let check = |act: Act, expected: Deed| assert_eq!(deed(act), (expected, reason()));
        let order = Act::Cancel { order: "sp-sma-1".to_owned(), reason: reason() };
        check(order, Deed::Cancel(Scope::Order("sp-sma-1".to_owned())));
        check(Act::Pause { strategy: name(), reason: reason() }, Deed::Pause { strategy: name() });
        check(Act::Resume { strategy: name(), reason: reason() }, Deed::Resume { strategy: name() });
        check(Act::Freeze { reason: reason() }, Deed::Freeze);
    }
}
