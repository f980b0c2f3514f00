//! `sandpit unfreeze` where no host runs: an operator has looked, and the host may trade again from its next
//! start: after a freeze, and with `--rebase` after a breaker that tripped for good, such as a drawdown from
//! a peak that stays.

use clap::Args;
use sandpit_contract::Exit;
use sandpit_store::{Actor, Audit, Record, Store, facts};
use sandpit_types::MarketTime;

use crate::{config::Config, operator::Common, run::Failure, stopped::with_records};

/// Lift a freeze: that of an operator at once, one over cash with the host stopped.
///
/// For a freeze over cash that nothing explains, and with `--rebase`, the host must be stopped; it trades
/// again from its next start: what was agreed upon of the account's cash is forgotten, and the next reading
/// is what is expected from then on.
#[derive(Args)]
pub(crate) struct UnfreezeArgs {
    #[command(flatten)]
    pub(crate) common: Common,
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
    let (cash, by_hand) = (known.remove(facts::FREEZE), known.remove(facts::OPERATOR_FREEZE));
    let reasons: Vec<&str> = [&cash, &by_hand].into_iter().flatten().map(String::as_str).collect();
    let freeze = (!reasons.is_empty()).then(|| reasons.join("; and "));
    let audit = |action, detail| {
        let actor = Actor::Operator(operator.to_owned());
        Record::Audit(Audit { time, actor, action, client_id: None, symbol: None, detail })
    };
    let forget = |name| Record::Fact { name, value: None };
    let mut records = Vec::new();
    if let Some(freeze) = &freeze {
        records.extend([forget(facts::FREEZE), forget(facts::OPERATOR_FREEZE)]);
        records.push(audit("unfreeze", format!("{reason} (frozen was: {freeze})")));
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
    // A freeze by hand says nothing of cash: what is missing stays missing.
    if cash.is_some() || rebase {
        records.push(forget(facts::AGREED_CASH));
    }
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
        let by_hand =
            vec![fact(facts::OPERATOR_FREEZE, "kim froze it: a look"), fact(facts::AGREED_CASH, "{}")];
        store.commit(by_hand).await.expect("writes");
        let lifted = lift(&store, "looked", false, "kim", time).await.expect("works");
        assert_eq!(lifted.as_deref(), Some("kim froze it: a look"));
        let left = store.load().await.expect("reads").facts;
        assert!(left.contains_key(facts::AGREED_CASH), "a hand's freeze says nothing of cash: {left:?}");
        store.commit(vec![Record::Fact { name: facts::AGREED_CASH, value: None }]).await.expect("writes");
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
        let args = |reason: &str| {
            let common = Common { config: std::path::PathBuf::new(), json: false };
            UnfreezeArgs { common, reason: reason.to_owned(), rebase: false }
        };
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
