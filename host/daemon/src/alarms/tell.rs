//! A change in the log and in the records. The records may be away for long: what is to be written waits for
//! them in a queue of its own.

use std::time::Duration;

use sandpit_monitor::rules::{Action, Change, Severity, Standing};
use sandpit_store::{Actor, Audit, Record, Store, StoreError};
use sandpit_types::MarketTime;
use tokio::{sync::mpsc, time::sleep};

use super::evaluator::key;

/// Changes that wait for the records. Of further ones only the log tells.
const QUEUED: usize = 256;
/// Records that do not take anything are tried again after this, real time.
const AGAIN: Duration = Duration::from_secs(5);

/// Says it in the log.
pub(super) fn log(change: &Change) {
    let (signal, severity) = (change.signal, change.severity.as_str());
    let series = key(signal, &change.labels);
    let (sentence, to_do) = (&change.sentence, change.to_do);
    match (change.standing, change.severity) {
        (Standing::Resolved, _) => {
            tracing::info!(signal, severity, series, event = "alarm-over", "{sentence}")
        }
        (Standing::Firing, Severity::Critical) => {
            tracing::error!(signal, severity, series, event = "alarm", "{sentence} To do: {to_do}");
        }
        (Standing::Firing, Severity::Warning) => {
            tracing::warn!(signal, severity, series, event = "alarm", "{sentence} To do: {to_do}");
        }
        (Standing::Firing, Severity::Info) => {
            tracing::info!(signal, severity, series, event = "alarm", "{sentence} To do: {to_do}");
        }
    }
}

/// What the records keep of it: a row of the alerts, and one of the audit when the host does something.
pub(super) fn records(change: &Change, now: MarketTime) -> Vec<Record> {
    let word = match change.standing {
        Standing::Firing => change.severity.as_str(),
        Standing::Resolved => "over",
    };
    let mut records = vec![Record::Alert { time: now, text: format!("[{word}] {}", change.sentence) }];
    let action = match (change.action, change.standing) {
        (Action::Tell, _) | (Action::Freeze, Standing::Resolved) => None,
        (Action::StopEntries, Standing::Firing) => Some("stop-entries"),
        (Action::StopEntries, Standing::Resolved) => Some("stop-entries-over"),
        // The desk writes down that it freezes.
        (Action::Freeze, Standing::Firing) => None,
    };
    records.extend(action.map(|action| {
        let (client_id, symbol, detail) = (None, None, change.sentence.clone());
        Record::Audit(Audit { time: now, actor: Actor::Host, action, client_id, symbol, detail })
    }));
    records
}

/// Writes what comes, in order, until nobody sends any more or the records are closed.
pub(super) fn writer(store: Store) -> mpsc::Sender<Vec<Record>> {
    let (queue, mut waiting) = mpsc::channel::<Vec<Record>>(QUEUED);
    tokio::spawn(async move {
        while let Some(records) = waiting.recv().await {
            loop {
                match store.commit(records.clone()).await {
                    Ok(()) => break,
                    Err(StoreError::Closed) => return,
                    Err(error) => tracing::debug!(%error, "an alarm waits for the records"),
                }
                sleep(AGAIN).await;
            }
        }
    });
    queue
}
