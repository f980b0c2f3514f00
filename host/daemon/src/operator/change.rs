//! Commands that change something: cancel, freeze, unfreeze, pause, resume.

use clap::Args;
use sandpit_contract::Exit;
use sandpit_control::{Deed, Done, Scope, Wish};
use serde_json::{Value, json};

use super::{Common, PauseArgs, Told, ask, config, show};
use crate::{
    ambient,
    config::Config,
    run::Failure,
    unfreeze::{self, UnfreezeArgs},
};

/// Cancel orders: one, all of a strategy, all in a symbol, or all.
///
/// What waits in the host is withdrawn. Orders of others are left alone. A strategy may place new ones;
/// `freeze` first if none shall come.
#[derive(Args)]
#[command(group(clap::ArgGroup::new("which").required(true)))]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The client id of one order, as `sandpit orders` shows it; with it go its legs.
    #[arg(group = "which", value_name = "ORDER")]
    order: Option<String>,
    /// All of this strategy.
    #[arg(long, group = "which", value_name = "NAME")]
    strategy: Option<String>,
    /// All in this symbol.
    #[arg(long, group = "which")]
    symbol: Option<String>,
    /// All.
    #[arg(long, group = "which")]
    all: bool,
    /// Why; it is kept in the audit log with your name.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl CancelArgs {
    fn scope(&self) -> Scope {
        match (&self.order, &self.strategy, &self.symbol) {
            (Some(order), _, _) => Scope::Order(order.clone()),
            (None, Some(strategy), _) => Scope::Strategy(strategy.clone()),
            (None, None, Some(symbol)) => Scope::Symbol(symbol.clone()),
            (None, None, None) => Scope::All,
        }
    }
}

/// Cancels.
///
/// # Errors
/// Those of [`ask::wish`]; [`Exit::Usage`] for an order or a strategy that is not known.
pub(super) fn cancel(args: &CancelArgs) -> Result<Told, Failure> {
    let config = config(&args.common)?;
    let scope = args.scope();
    let done = ask::wish(&config, &wish(Deed::Cancel(scope.clone()), &args.reason))?;
    match &done {
        Done::Unknown => {
            let what = format!(
                "no order {} is known: it never was one of this host's, or is over for long; see `sandpit \
                 orders`",
                args.order.as_deref().unwrap_or_default()
            );
            return Err(Failure::new(Exit::Usage, what));
        }
        Done::Cancelling { orders, withdrawn: 0 } if orders.is_empty() => {
            if let Scope::Strategy(name) = &scope {
                is_strategy(&config, name)?;
            }
        }
        _ => {}
    }
    Ok(told(&done))
}

/// A misspelt name must not look like a strategy without orders.
fn is_strategy(config: &Config, name: &str) -> Result<(), Failure> {
    let names = show::strategy_names(&ask::snapshot(config)?);
    if names.iter().any(|known| known == name) {
        return Ok(());
    }
    let names = names.join(", ");
    Err(Failure::new(
        Exit::Usage,
        format!("there is no strategy {name:?}, and no order of it; there are: {names}"),
    ))
}

/// Freezes.
///
/// # Errors
/// Those of [`ask::wish`].
pub(super) fn freeze(common: &Common, reason: &str) -> Result<Told, Failure> {
    Ok(told(&ask::wish(&config(common)?, &wish(Deed::Freeze, reason))?))
}

/// Pauses a strategy.
///
/// # Errors
/// Those of [`ask::wish`]; [`Exit::Usage`] for a strategy that is not known.
pub(super) fn pause(args: &PauseArgs) -> Result<Told, Failure> {
    let deed = Deed::Pause { strategy: args.strategy.clone() };
    Ok(told(&ask::wish(&config(&args.common)?, &wish(deed, &args.reason))?))
}

/// Lifts the pause of a strategy.
///
/// # Errors
/// Those of [`pause`].
pub(super) fn resume(args: &PauseArgs) -> Result<Told, Failure> {
    let deed = Deed::Resume { strategy: args.strategy.clone() };
    Ok(told(&ask::wish(&config(&args.common)?, &wish(deed, &args.reason))?))
}

/// Lifts a freeze: through the host while one runs, else in its records.
///
/// # Errors
/// Those of [`ask::wish`] while a host runs, with [`Exit::State`] for what only a stopped one can lift; those
/// of [`unfreeze::unfreeze`] else.
pub(crate) fn unfreeze(args: &UnfreezeArgs) -> Result<Told, Failure> {
    let config = config(&args.common)?;
    // Where nobody listens, the lock of the state folder says whether a host runs all the same.
    if !args.rebase
        && let Some(done) = ask::wish_if_there_is_a_host(&config, &wish(Deed::Unfreeze, &args.reason))?
    {
        return Ok(told(&done));
    }
    let sentence = unfreeze::unfreeze(&config, args, &ambient::user(&ambient::environment()))?;
    let json = json!({"result": "stopped-host", "what": sentence});
    Ok(Told { text: sentence, json, exit: Exit::Ok })
}

pub(super) fn wish(deed: Deed, reason: &str) -> Wish {
    // Behind `sudo` the kernel only knows root.
    let operator = ambient::environment().remove("SUDO_USER").filter(|name| !name.is_empty());
    Wish { deed, reason: reason.to_owned(), operator }
}

/// The answer in words.
pub(super) fn told(done: &Done) -> Told {
    let mut exit = Exit::Ok;
    let text = match done {
        Done::Cancelling { orders, withdrawn } => cancelling(orders, *withdrawn),
        Done::Over { status, filled } => format!("nothing to cancel: the order is {status}, {filled} filled"),
        Done::Unknown => "no such order".to_owned(),
        Done::Frozen { before: Some(before), orders } => {
            format!("frozen, as it was already: {before}{}", also(orders))
        }
        Done::Frozen { before: None, orders } => {
            format!("frozen: only orders that reduce are sent, until `sandpit unfreeze`{}", also(orders))
        }
        Done::Unfrozen { was } => format!("no longer frozen; it was: {was}"),
        Done::NotFrozen => "nothing was frozen".to_owned(),
        Done::Paused { before: Some(before), orders } => {
            format!("paused, as it was already: {before}{}", also(orders))
        }
        Done::Paused { before: None, orders } => {
            format!("paused: only its orders that reduce are sent, until `sandpit resume`{}", also(orders))
        }
        Done::Resumed { was } => format!("no longer paused; it was: {was}"),
        Done::NotPaused => "it was not paused".to_owned(),
        Done::StaysFrozen { reason } => {
            exit = Exit::State;
            format!(
                "still frozen: {reason}; what cash there should be is agreed upon anew at a start, when \
                 nothing is on its way: stop the host, then `sandpit unfreeze`"
            )
        }
    };
    let mut json: Value = serde_json::to_value(done).expect("texts, which JSON can hold");
    json["exit_code"] = exit.code().into();
    Told { text, json, exit }
}

fn cancelling(orders: &[String], withdrawn: usize) -> String {
    let waited =
        if withdrawn == 0 { String::new() } else { format!("; {withdrawn} that waited are withdrawn") };
    match orders {
        [] => format!("nothing is open{waited}"),
        orders => format!(
            "cancelling {}{waited}; each may fill until the broker says that it is over\n{}",
            count(orders.len()),
            orders.join("\n")
        ),
    }
}

fn also(orders: &[String]) -> String {
    match orders {
        [] => String::new(),
        orders => format!("; cancelling {} that would add risk\n{}", count(orders.len()), orders.join("\n")),
    }
}

fn count(orders: usize) -> String {
    if orders == 1 { "1 order".to_owned() } else { format!("{orders} orders") }
}
