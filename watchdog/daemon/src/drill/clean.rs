//! The end of every drill, whatever became of it: no order of a drill open, trading not suspended.

use std::{path::Path, time::Duration};

use sandpit_contract::BootTime;

use super::{
    account::{DrillAccount, PREFIX},
    staging,
};
use crate::{ambient, error::Error};

/// Orders get so long to be over, and a broker that does not answer to answer.
const LONGEST: Duration = Duration::from_secs(20);
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(500);

/// Cancels what drills have left open, lifts the suspension, and removes the stage when nothing is left; what
/// is left otherwise, with ids. The account was not suspended before a drill, so whatever suspension there is
/// is ours.
pub(crate) fn clean(account: &DrillAccount, state_dir: &Path) -> Vec<String> {
    let mut left = Vec::new();
    let end = ambient::boot_time() + LONGEST;
    // First the orders: while it is suspended, nothing else can come.
    let unlifted = |error: Error| format!("the suspension at the broker ({error})");
    let uncancelled = |error: Error| format!("orders that begin with {PREFIX} ({error})");
    match again(end, || cancel_all(account)) {
        Ok(ids) => left.extend(ids.into_iter().map(|id| format!("order {id}"))),
        Err(error) => left.push(uncancelled(error)),
    }
    if let Err(error) = again(end, || lift(account).map(|()| Vec::new())) {
        left.push(unlifted(error));
    }
    match account.positions() {
        Ok(symbols) => left.extend(symbols.into_iter().map(|symbol| format!("position {symbol}"))),
        Err(error) => left.push(format!("perhaps a position ({error})")),
    }
    // The stage is the mark that there is something to clean: without anything left it goes.
    if left.is_empty()
        && let Err(error) = staging::remove(state_dir)
    {
        left.push(error.to_string());
    }
    left
}

/// Until nothing is named any more, or the end; at least once.
fn again(end: BootTime, mut round: impl FnMut() -> Result<Vec<String>, Error>) -> Result<Vec<String>, Error> {
    loop {
        let result = round();
        if matches!(&result, Ok(named) if named.is_empty()) || end <= ambient::boot_time() {
            return result;
        }
        ambient::pause(PAUSE);
    }
}

/// The ids that are still open.
fn cancel_all(account: &DrillAccount) -> Result<Vec<String>, Error> {
    let open = account.open_orders()?;
    let ours: Vec<_> = open.into_iter().filter(|order| order.client_id.starts_with(PREFIX)).collect();
    for order in &ours {
        account.cancel(&order.id)?;
    }
    if ours.is_empty() {
        return Ok(Vec::new());
    }
    let open = account.open_orders()?.into_iter().filter(|order| order.client_id.starts_with(PREFIX));
    Ok(open.map(|order| order.id).collect())
}

fn lift(account: &DrillAccount) -> Result<(), Error> {
    if account.is_suspended()? { account.lift() } else { Ok(()) }
}
