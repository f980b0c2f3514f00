//! `sandpit unfreeze`: an operator has looked, and the host may trade again from its next start: after a
//! freeze, and with `--rebase` after a breaker that tripped for good, such as a drawdown from a peak that
//! stays.

use std::path::PathBuf;

use clap::Args;
use sandpit_contract::Exit;
use sandpit_store::{Actor, Audit, Record, Store, facts};
use sandpit_types::MarketTime;

use crate::{config::Config, run::Failure, stopped::with_records};

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
    /// Forget the highest equity and the start of the day, too: losses are measured from the first reading
    /// of the next start, as after money went without a row, or a drawdown that you accept.
    #[arg(long)]
    pub(crate) rebase: bool,
}

/// Lifts the freeze, and says of what.
///
/// # Errors
/// [`Exit::Usage`] without a reason; [`Exit::State`] while a host runs, or when the database cannot be used.
pub(crate) fn unfreeze(config: &Config, args: &UnfreezeArgs, operator: &str) -> Result<String, Failure> {
    with_records(config, &args.reason, async |store, reason, time| {
        let lifted = lift(store, reason, args.rebase, operator, time).await;
        let frozen = match lifted.map_err(|error| Failure::new(Exit::State, error))? {
            Some(freeze) => format!("no longer frozen; it was: {freeze}"),
            None => "nothing was frozen".to_owned(),
        };
        Ok(if args.rebase { format!("{frozen}; losses are measured anew") } else { frozen })
    })
}

/// Removes the freeze and what it was measured against, and with `rebase` what losses are measured against.
/// Returns what was frozen for.
async fn lift(
    store: &Store,
    reason: &str,
    rebase: bool,
    operator: &str,
    time: MarketTime,
) -> Result<Option<String>, sandpit_store::StoreError> {
    let mut known = store.load().await?.facts;
    let freeze = known.remove(facts::FREEZE);
    let audit = |action, detail| {
        let actor = Actor::Operator(operator.to_owned());
        Record::Audit(Audit { time, actor, action, client_id: None, symbol: None, detail })
    };
    let forget = |name| Record::Fact { name, value: None };
    let mut records = Vec::new();
    if let Some(freeze) = &freeze {
        records
            .extend([forget(facts::FREEZE), audit("unfreeze", format!("{reason} (frozen was: {freeze})"))]);
    }
    if rebase {
        let was = |name| known.get(name).map_or("unknown", String::as_str);
        let (peak, start) = (was(facts::PEAK_EQUITY), was(facts::DAY_START));
        let detail = format!("{reason} (the peak was {peak}, the day started from {start})");
        let rebased = Record::Fact { name: facts::REBASED, value: Some(time.to_string()) };
        records.extend([forget(facts::PEAK_EQUITY), forget(facts::DAY_START), rebased]);
        records.push(audit("rebase", detail));
    }
    if records.is_empty() {
        return Ok(None);
    }
    records.push(forget(facts::AGREED_CASH));
    store.commit(records).await?;
    Ok(freeze)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use nix::fcntl::Flock;
    use sandpit_store::Database;

    use super::*;
    use crate::run::{lock, open_database, usable_folder};

    /// Of a host in paper mode whose state is in the folder.
    pub(crate) fn config(folder: &std::path::Path) -> Config {
        let path = folder.join("sandpit.toml");
        let text = format!("mode = \"paper\"\nstate_dir = {:?}\nplugins_dir = \"p\"\n", folder.join("state"));
        std::fs::write(&path, text).expect("written");
        let keys = ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY"].map(|key| (key.to_owned(), "k".to_owned()));
        Config::load(&path, &BTreeMap::from(keys)).expect("good")
    }

    #[tokio::test]
    async fn lifting_forgets_the_freeze_and_what_it_was_measured_against() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::Sqlite(folder.path().join("sandpit.db"));
        let store = open_database(&database, Arc::default()).await.expect("opens");
        let time = MarketTime::from_secs(1);
        assert_eq!(
            lift(&store, "looked", false, "kim", time).await.expect("works"),
            None,
            "nothing is frozen"
        );
        let fact = |name, value: &str| Record::Fact { name, value: Some(value.to_owned()) };
        let stored = vec![
            fact(facts::FREEZE, "100 USD are missing"),
            fact(facts::AGREED_CASH, "{}"),
            fact(facts::PEAK_EQUITY, "7"),
        ];
        store.commit(stored).await.expect("writes");
        let lifted = lift(&store, "looked", false, "kim", time).await.expect("works");
        assert_eq!(lifted.as_deref(), Some("100 USD are missing"));
        let left = store.load().await.expect("reads").facts;
        assert_eq!(left, BTreeMap::from([(facts::PEAK_EQUITY.to_owned(), "7".to_owned())]));
        assert_eq!(lift(&store, "looked", false, "kim", time).await.expect("works"), None);
        // The way out after a drawdown, frozen or not.
        assert_eq!(lift(&store, "accepted", true, "kim", time).await.expect("works"), None);
        let left = store.load().await.expect("reads").facts;
        assert_eq!(left, BTreeMap::from([(facts::REBASED.to_owned(), "1970-01-01T00:00:01Z".to_owned())]));
        store.close().await;
    }

    #[test]
    fn it_needs_a_reason_and_a_host_that_is_stopped() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path());
        let args =
            |reason: &str| UnfreezeArgs { config: PathBuf::new(), reason: reason.to_owned(), rebase: false };
        let check = |reason: &str, exit: Exit, sentence: &str| {
            let failure = unfreeze(&config, &args(reason), "kim").expect_err(sentence);
            assert_eq!(failure.exit, exit);
            assert!(failure.sentence.contains(sentence), "{}", failure.sentence);
        };
        check(" ", Exit::Usage, "--reason must say why");
        let state = usable_folder(&config).expect("usable");
        let host: Flock<std::fs::File> = lock(&state).expect("free");
        check("looked", Exit::State, "another host runs with this state_dir; stop it first");
        drop(host);
        assert_eq!(unfreeze(&config, &args("looked"), "kim").expect("free"), "nothing was frozen");
    }
}
