//! What the commands share that change the records of a host that is stopped.

use std::sync::Arc;

use sandpit_contract::Exit;
use sandpit_store::Store;
use sandpit_types::MarketTime;

use crate::{
    ambient,
    config::Config,
    run::{Failure, lock, marker, open_database, usable_folder},
};

/// The longest reason that is kept.
const MAX_REASON_CHARS: usize = 1_000;

/// Opens the records for `change`, which gets the reason and the time, while no host can.
///
/// # Errors
/// [`Exit::Usage`] without a reason; [`Exit::State`] while a host runs, or when the database cannot be used;
/// else what `change` says.
pub(crate) fn with_records<T>(
    config: &Config,
    reason: &str,
    change: impl AsyncFnOnce(&Store, &str, MarketTime) -> Result<T, Failure>,
) -> Result<T, Failure> {
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
    let database = config.records.database(config.mode, &folder);
    marker::check(&folder, &database)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    runtime.block_on(async {
        let store = open_database(&database, Arc::default()).await?;
        let changed = change(&store, reason, ambient::wall_now()).await;
        store.close().await;
        changed
    })
}
