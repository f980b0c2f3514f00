//! The task that judges, once a second.

use std::{path::Path, sync::Arc, time::Duration};

use sandpit_execution::DeskInput;
use sandpit_monitor::rules::{Action, Change, Standing, Table};
use sandpit_store::{Record, Store};
use sandpit_types::MarketClock;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    evaluator::Evaluator,
    keep::{Keep, Kept},
    tell,
};
use crate::{ambient, figures::Figures, run::Endings};

/// How often the figures are judged, real time.
const EVERY: Duration = Duration::from_secs(1);
/// How often what has to outlive the process is written, real time; and whenever a signal begins or ends to
/// fire.
const KEEP_EVERY: Duration = Duration::from_secs(300);

/// The evaluator with its ways out.
pub(crate) struct Watch {
    figures: Arc<Figures>,
    evaluator: Evaluator,
    keep: Keep,
    /// The desk's queue.
    inputs: mpsc::Sender<DeskInput>,
    records: mpsc::Sender<Vec<Record>>,
    clock: Arc<dyn MarketClock>,
    /// When it began: since the Unix epoch, and by the clock that nobody sets.
    began: (Duration, Instant),
    /// Why the desk has still to be told to freeze.
    freeze: Option<String>,
}

impl Watch {
    /// Goes on where the life before ended. A dry run begins anew, as its books do. Nothing is judged yet,
    /// but what had fired counts from here on.
    pub(crate) fn new(
        figures: Arc<Figures>,
        (folder, is_lasting): (&Path, bool),
        table: Table,
        inputs: mpsc::Sender<DeskInput>,
        store: &Store,
        clock: Arc<dyn MarketClock>,
    ) -> Self {
        let keep = Keep::within(folder);
        let kept = if is_lasting { keep.read() } else { Kept::default() };
        let began = (ambient::since_epoch(), Instant::now());
        let evaluator = Evaluator::resume(kept, table, began.0, &figures.alarms);
        let records = tell::writer(store.clone());
        Self { figures, evaluator, keep, inputs, records, clock, began, freeze: None }
    }

    /// Judges until the host has `stopped`. What comes back says that the state is kept then.
    pub(crate) fn start(self, endings: &Endings, stopped: watch::Receiver<bool>) -> oneshot::Receiver<()> {
        let (kept, is_kept) = oneshot::channel();
        endings.watch_task("the rules", tokio::spawn(self.run(stopped, kept)));
        is_kept
    }

    async fn run(mut self, mut stopped: watch::Receiver<bool>, kept: oneshot::Sender<()>) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut keep_at, mut keeping) = (Instant::now() + KEEP_EVERY, None::<JoinHandle<()>>);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    if self.tick() {
                        // A host that dies in the next minutes has to know what it had stopped.
                        keep_at = Instant::now();
                    }
                }
                // Also when the host is gone.
                _ = stopped.wait_for(|stop| *stop) => break,
            }
            // A disk that hangs holds up the next writing, not the rules.
            if Instant::now() >= keep_at && keeping.as_ref().is_none_or(JoinHandle::is_finished) {
                keep_at = Instant::now() + KEEP_EVERY;
                keeping = Some(self.write());
            }
        }
        if let Some(keeping) = keeping {
            let _ = keeping.await;
        }
        let _ = self.write().await;
        // Nobody waits for it when the host did not end in good order.
        let _ = kept.send(());
    }

    /// Whether anything has changed.
    fn tick(&mut self) -> bool {
        let snapshot = self.figures.snapshot();
        let alarms = self.figures.alarms.clone();
        // A wall clock that is set back would have the rules stand still until it has caught up.
        let now = self.began.0 + self.began.1.elapsed();
        let changes = self.evaluator.step(now, &snapshot, &alarms);
        for change in &changes {
            self.say(change);
        }
        if let Some(reason) = self.freeze.take()
            && let Err(mpsc::error::TrySendError::Full(DeskInput::Freeze { reason })) =
                self.inputs.try_send(DeskInput::Freeze { reason })
        {
            // The next tick finds room, or the one after.
            self.freeze = Some(reason);
        }
        !changes.is_empty()
    }

    fn say(&mut self, change: &Change) {
        tell::log(change);
        if self.records.try_send(tell::records(change, self.clock.now())).is_err() {
            tracing::warn!(signal = change.signal, "the records take nothing: this alarm is not in them");
        }
        if change.action == Action::Freeze && change.standing == Standing::Firing {
            self.freeze = Some(change.sentence.clone());
        }
    }

    fn write(&self) -> JoinHandle<()> {
        let (keep, kept) = (self.keep.clone(), self.evaluator.kept());
        spawn_blocking(move || {
            if let Err(error) = keep.write(&kept) {
                tracing::warn!(%error, "what fires, and what is usual, cannot be kept over a restart");
            }
        })
    }
}
