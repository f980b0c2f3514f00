//! `sandpit unfreeze`: an operator has looked, and the host may trade again from its next start.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use sandpit_contract::Exit;
use sandpit_store::{Actor, Audit, Record, Store, facts};
use sandpit_types::MarketTime;

use crate::{
    ambient,
    config::Config,
    run::{Failure, lock, open_database, usable_folder},
};

/// The longest reason that is kept.
const MAX_REASON_CHARS: usize = 1_000;

/// Lift a freeze: the host must be stopped; it trades again from its next start. What was agreed upon of the
/// account's cash is forgotten, and the next reading is what is expected from then on.
#[derive(Args)]
pub(crate) struct UnfreezeArgs {
    /// The configuration file of the host.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Why it may trade again; it is kept in the audit log with your name.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// Lifts the freeze, and says of what.
///
/// # Errors
/// [`Exit::Usage`] without a reason; [`Exit::State`] while a host runs, or when the database cannot be used.
pub(crate) fn unfreeze(config: &Config, reason: &str, operator: &str) -> Result<String, Failure> {
    let reason = reason.trim();
    if !(1..=MAX_REASON_CHARS).contains(&reason.chars().count()) {
        let what = format!("--reason must say why, in 1 to {MAX_REASON_CHARS} characters");
        return Err(Failure::new(Exit::Usage, what));
    }
    let folder = usable_folder(config)?;
    let _lock = lock(&folder).map_err(|failure| {
        let what = format!("{}; stop it first, it would not see the change", failure.sentence);
        Failure::new(failure.exit, what)
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let failed = |error| Failure::new(Exit::State, error);
    runtime.block_on(async {
        let store = open_database(&folder, Arc::default()).await?;
        let lifted = lift(&store, reason, operator, ambient::wall_now()).await;
        store.close().await;
        match lifted.map_err(failed)? {
            Some(freeze) => Ok(format!("no longer frozen; it was: {freeze}")),
            None => Ok("nothing was frozen".to_owned()),
        }
    })
}

/// Removes the freeze and what it was measured against. Returns what was frozen for.
async fn lift(
    store: &Store,
    reason: &str,
    operator: &str,
    time: MarketTime,
) -> Result<Option<String>, sandpit_store::StoreError> {
    let Some(freeze) = store.load().await?.facts.remove(facts::FREEZE) else { return Ok(None) };
    let audit = Audit {
        time,
        actor: Actor::Operator(operator.to_owned()),
        action: "unfreeze",
        client_id: None,
        symbol: None,
        detail: format!("{reason} (frozen was: {freeze})"),
    };
    let forget = |name| Record::Fact { name, value: None };
    let records = vec![forget(facts::FREEZE), forget(facts::AGREED_CASH), Record::Audit(audit)];
    store.commit(records).await?;
    Ok(Some(freeze))
}
