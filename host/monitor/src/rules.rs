//! What makes a number trigger: one [table](table::signals) of signals, an evaluator of it, and the same
//! table as a rule file for Prometheus.
//!
//! Pure: time is an argument, there is no chance and no input or output.
//!
//! **Missing data.** What a [`Reading`] does not know makes no signal fire, and ends none: a firing series
//! stays firing until its figures are back and good, or until it is known to be gone (a strategy that was
//! removed, a symbol that is not held any more), which its end says. A signal that had its figures in this
//! life of the host and lacks any of them for ten minutes fires `blind`. What is no number is not known.
//!
//! **Flapping.** A signal has to be bad for its `hold`, is over only beyond its `clears`, and only after its
//! `settle`: see the diagram in `phase.rs`. A series that fires is told once, and once when it is over, also
//! when the host was restarted meanwhile (see [`State`]).
//!
//! **Bounds.** At most [`MAX_SERIES`] series a signal; of further ones none is judged, and how often that
//! happened is counted. Windows are rings of buckets.

pub mod documents;
mod judge;
mod limits;
mod phase;
pub mod prometheus;
mod reading;
mod sample;
mod sentence;
mod signal;
pub mod table;
mod window;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use self::{
    judge::{Judgement, judge},
    phase::{Phase, Turn, Verdict},
    sample::{Sample, Samples, samples},
    window::Memory,
};
pub use self::{
    limits::{LimitError, Own, Table},
    reading::{AnswerCounts, BudgetReading, CostCounts, FillCounts, OrderCounts, Reading, StrategyReading},
    sample::Labels,
    signal::{Action, Departure, HOURS_AT_LEAST, Hour, Id, Severity, Side, Signal, Source, Test, Unit},
    window::Typical,
};

/// Series of one signal that are judged.
pub const MAX_SERIES: usize = 256;

/// What a series has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is bad, for long enough.
    Firing,
    /// It is over.
    Resolved,
}

/// A series that began to fire, or ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The signal's name.
    pub signal: &'static str,
    /// Which of its series. Name and labels together are the key of what is open.
    pub labels: Labels,
    /// What it has come to.
    pub standing: Standing,
    /// How bad the signal is.
    pub severity: Severity,
    /// What the host does by itself while it fires.
    pub action: Action,
    /// The unit of value and threshold.
    pub unit: Unit,
    /// The value; `None` when there is too little to judge, or the series is gone.
    pub value: Option<f64>,
    /// What it is compared with; `None` when it was compared with nothing.
    pub threshold: Option<f64>,
    /// What is usual, of a signal that compares with it.
    pub typical: Option<Typical>,
    /// When it began to fire, on the evaluator's clock.
    pub since: Duration,
    /// All of it in one sentence.
    pub sentence: String,
    /// What a human does, one sentence.
    pub to_do: &'static str,
}

/// One series of a signal.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Series {
    phase: Phase,
    /// When it was in a reading last, known or not.
    seen: Duration,
    #[serde(default)]
    memory: Memory,
}

/// What outlives a restart of the host: what fires, and what the last 7 days were like. Its form may be
/// written as JSON and read again by a later version, which leaves out what it does not know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    series: BTreeMap<String, Vec<(Labels, Series)>>,
}

/// The evaluator.
#[derive(Debug, Default)]
pub struct Rules {
    table: Table,
    /// By signal; what has nothing to remember is left out when the state is written.
    series: BTreeMap<Id, BTreeMap<Labels, Series>>,
    /// When each signal had all its figures last, in this life of the host.
    known: BTreeMap<Id, Duration>,
    now: Duration,
    left_out: u64,
}

impl Rules {
    /// Goes on where `state` ended. What is in it that is too old, in the future, too much or not known to
    /// this version is left out.
    pub fn resume(state: State, now: Duration) -> Self {
        let mut rules = Self { now, ..Self::default() };
        for signal in table::signals() {
            let Some(saved) = state.series.get(signal.name) else { continue };
            let sane = saved.iter().filter(|(labels, _)| labels.is_sane()).take(MAX_SERIES);
            let own = rules.series.entry(signal.id).or_default();
            for (labels, saved) in sane {
                let mut series = saved.clone();
                series.memory.mend(now, signal.window());
                series.seen = series.seen.min(now);
                series.phase = match series.phase.firing_since() {
                    Some(since) => Phase::Firing { since: since.min(now) },
                    None => Phase::Quiet,
                };
                own.insert(labels.clone(), series);
            }
        }
        rules
    }

    /// The same rules by other thresholds. What `table` leaves out does not fire any more.
    #[must_use]
    pub fn by(mut self, table: Table) -> Self {
        self.series.retain(|id, _| table.signals().any(|signal| signal.id == *id));
        self.table = table;
        self
    }

    /// What has to be kept for [`Rules::resume`].
    pub fn state(&self) -> State {
        let of = |signal: &Signal| {
            let keeps = signal.memory() >= signal::HOUR;
            let own = self.series.get(&signal.id)?.iter();
            let kept = own.filter(|(_, series)| keeps || series.phase.firing_since().is_some());
            let kept: Vec<_> = kept.map(|(labels, series)| (labels.clone(), series.clone())).collect();
            (!kept.is_empty()).then(|| (signal.name.to_owned(), kept))
        };
        State { series: self.table.signals().filter_map(of).collect() }
    }

    /// Judges a reading. `now` is real time since the Unix epoch, so that what is usual outlives a restart; a
    /// clock that is set back stands still here until it has caught up. At least one reading in five seconds
    /// is meant. What has changed comes in the order of the table.
    pub fn observe(&mut self, now: Duration, reading: &Reading) -> Vec<Change> {
        self.now = self.now.max(now);
        let mut changes = Vec::new();
        let table = self.table.clone();
        for signal in table.signals().filter(|signal| signal.id != Id::Blind) {
            let samples = samples(signal.id, reading);
            self.note_known(signal.id, &samples);
            self.judge_all(signal, samples, &mut changes);
        }
        let age = |(id, at): (&Id, &Duration)| {
            let labels = Labels::of(&[("signal", table::signal(*id).name)]);
            (labels, Some(Sample::Level(self.now.saturating_sub(*at).as_secs_f64())))
        };
        let ages: Vec<_> = self.known.iter().map(age).collect();
        if let Some(blind) = table.signals().find(|signal| signal.id == Id::Blind) {
            self.judge_all(blind, Some(ages), &mut changes);
        }
        changes
    }

    /// What fires now: signal, labels and since when.
    pub fn firing(&self) -> impl Iterator<Item = (&Signal, &Labels, Duration)> {
        let of = |signal| self.own(signal);
        self.table.signals().filter_map(of).flat_map(|(signal, own)| {
            own.iter()
                .filter_map(move |(labels, series)| Some((signal, labels, series.phase.firing_since()?)))
        })
    }

    /// Whether anything that fires wants this done.
    pub fn wants(&self, action: Action) -> bool {
        self.firing().any(|(signal, ..)| signal.action == action)
    }

    /// How often a series was not judged because its signal has [`MAX_SERIES`] already.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn own<'a>(&'a self, signal: &'a Signal) -> Option<(&'a Signal, &'a BTreeMap<Labels, Series>)> {
        self.series.get(&signal.id).map(|own| (signal, own))
    }

    fn note_known(&mut self, id: Id, samples: &Samples) {
        let is_known = |samples: &Vec<(Labels, Option<Sample>)>| samples.iter().all(|(_, one)| one.is_some());
        if samples.as_ref().is_some_and(is_known) {
            self.known.insert(id, self.now);
        }
    }

    fn judge_all(&mut self, signal: &Signal, samples: Samples, changes: &mut Vec<Change>) {
        let now = self.now;
        let own = self.series.entry(signal.id).or_default();
        let Some(samples) = samples else {
            for series in own.values_mut() {
                series.phase.on(Verdict::Unknown, now, signal);
            }
            return;
        };
        let mut judged = 0;
        for (labels, sample) in samples {
            if !own.contains_key(&labels) && own.len() >= MAX_SERIES && !make_room(own, now) {
                self.left_out += 1;
                continue;
            }
            let series = own.entry(labels.clone()).or_default();
            series.seen = now;
            judged += 1;
            let judgement = judge(signal, &mut series.memory, sample.as_ref(), now);
            if let Some(turn) = series.phase.on(judgement.verdict, now, signal) {
                changes.push(change(signal, labels, turn, &judgement, now));
            }
        }
        if judged < own.len() {
            end_gone(own, signal, now, changes);
        }
    }
}

/// Forgets a series that is not in the newest reading and does not fire; false when there is none.
fn make_room(own: &mut BTreeMap<Labels, Series>, now: Duration) -> bool {
    let idle = own.iter().filter(|(_, series)| series.seen < now && series.phase.firing_since().is_none());
    let oldest = idle.min_by_key(|(_, series)| series.seen).map(|(labels, _)| labels.clone());
    oldest.is_some_and(|labels| own.remove(&labels).is_some())
}

/// Ends what is not in the newest reading, and forgets it once its memory is of no use any more.
fn end_gone(own: &mut BTreeMap<Labels, Series>, signal: &Signal, now: Duration, changes: &mut Vec<Change>) {
    own.retain(|labels, series| {
        if series.seen >= now {
            return true;
        }
        let since = series.phase.firing_since();
        series.phase = Phase::Quiet;
        if let Some(since) = since {
            let gone =
                Judgement { verdict: Verdict::Good, value: None, threshold: f64::INFINITY, typical: None };
            changes.push(change(signal, labels.clone(), Turn::Resolves(since), &gone, now));
        }
        now.saturating_sub(series.seen) < signal.memory()
    });
}

fn change(signal: &Signal, labels: Labels, turn: Turn, judgement: &Judgement, now: Duration) -> Change {
    let (standing, since) = match turn {
        Turn::Fires => (Standing::Firing, now),
        Turn::Resolves(since) => (Standing::Resolved, since),
    };
    let threshold = Some(judgement.threshold).filter(|threshold| threshold.is_finite());
    let sentence = sentence::sentence(signal, &labels, standing, judgement, now.saturating_sub(since));
    Change {
        signal: signal.name,
        labels,
        standing,
        severity: signal.severity,
        action: signal.action,
        unit: signal.unit,
        value: judgement.value,
        threshold,
        typical: judgement.typical,
        since,
        sentence,
        to_do: signal.to_do,
    }
}
