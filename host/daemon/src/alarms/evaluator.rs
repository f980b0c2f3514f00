//! From a snapshot to what has changed: the rules, and the words for whatever fires.

use std::{collections::BTreeMap, time::Duration};

use sandpit_contract::{Alarm, AlarmSeverity, AlarmStanding};
use sandpit_monitor::{
    AlertFigures, Snapshot,
    rules::{Action, Change, Labels, Reading, Rules, Severity, Signal, Standing, Table},
};

use super::{Alarms, keep::Kept};

/// The rules with what was said of each series that fires.
#[derive(Debug)]
pub(super) struct Evaluator {
    rules: Rules,
    sentences: BTreeMap<String, String>,
}

impl Evaluator {
    /// Goes on where an earlier life ended, and says so to `alarms`: what fired then fires until it is known
    /// to be over.
    pub(super) fn resume(kept: Kept, table: Table, now: Duration, alarms: &Alarms) -> Self {
        let Kept { rules, sentences } = kept;
        let mut own = Self { rules: Rules::resume(rules, now).by(table), sentences };
        let firing = own.rules.firing().map(|(signal, labels, since)| own.alarm(signal, labels, since));
        let firing: Vec<Alarm> = firing.collect();
        let is_gone = |key: &String, _: &mut String| firing.iter().all(|alarm| alarm.key != *key);
        let gone: Vec<_> = own.sentences.extract_if(.., is_gone).collect();
        for alarm in gone.into_iter().map(|(key, text)| not_judged(key, &text)).chain(firing) {
            alarms.post.tell(alarm);
        }
        own.publish(alarms);
        own
    }

    /// Judges a snapshot; `now` is real time since the Unix epoch. Gives back what has changed, after others
    /// can see it.
    pub(super) fn step(&mut self, now: Duration, snapshot: &Snapshot, alarms: &Alarms) -> Vec<Change> {
        let changes = self.rules.observe(now, &Reading::of(snapshot));
        for change in &changes {
            let key = key(change.signal, &change.labels);
            match change.standing {
                Standing::Firing => self.sentences.insert(key.clone(), change.sentence.clone()),
                Standing::Resolved => self.sentences.remove(&key),
            };
            let alarm = Alarm {
                key,
                severity: severity(change.severity),
                standing: match change.standing {
                    Standing::Firing => AlarmStanding::Firing,
                    Standing::Resolved => AlarmStanding::Over,
                },
                text: change.sentence.clone(),
                remedy: change.to_do.to_owned(),
                since_unix_s: change.since.as_secs(),
            };
            if !alarms.post.tell(alarm) {
                tracing::warn!(
                    signal = change.signal,
                    "too many alarms: the watchdog is not told of this one"
                );
            }
        }
        if !changes.is_empty() {
            self.publish(alarms);
        }
        changes
    }

    /// Whether a signal that fires wants this.
    pub(super) fn wants(&self, action: Action) -> bool {
        self.rules.wants(action)
    }

    /// What has to outlive the process.
    pub(super) fn kept(&self) -> Kept {
        Kept { rules: self.rules.state(), sentences: self.sentences.clone() }
    }

    fn publish(&self, alarms: &Alarms) {
        let shown = |(signal, labels, since): (&Signal, &Labels, Duration)| AlertFigures {
            name: signal.name.to_owned(),
            labels: labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            severity: signal.severity.as_str().to_owned(),
            action: signal.action.as_str().to_owned(),
            since_unix_s: since.as_secs(),
            sentence: self.sentence(signal, labels),
            to_do: signal.to_do.to_owned(),
        };
        alarms.show(self.rules.firing().map(shown).collect());
        alarms.stop_entries(self.wants(Action::StopEntries));
    }

    fn alarm(&self, signal: &Signal, labels: &Labels, since: Duration) -> Alarm {
        Alarm {
            key: key(signal.name, labels),
            severity: severity(signal.severity),
            standing: AlarmStanding::Firing,
            text: self.sentence(signal, labels),
            remedy: signal.to_do.to_owned(),
            since_unix_s: since.as_secs(),
        }
    }

    /// What was said when it began to fire.
    fn sentence(&self, signal: &Signal, labels: &Labels) -> String {
        let said = self.sentences.get(&key(signal.name, labels)).cloned();
        said.unwrap_or_else(|| format!("{}: {}, since before this start.", signal.name, signal.what))
    }
}

/// The end of what fired in an earlier life and is not judged any more, as by the configuration.
fn not_judged(key: String, said: &str) -> Alarm {
    Alarm {
        key,
        severity: AlarmSeverity::Info,
        standing: AlarmStanding::Over,
        text: format!("not judged any more: {said}"),
        remedy: "Nothing: the configuration leaves it out.".to_owned(),
        since_unix_s: 0,
    }
}

/// A series in one word, such as `stream-down{stream="market-data"}`.
pub(super) fn key(signal: &str, labels: &Labels) -> String {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    if labels.is_empty() { signal.to_owned() } else { format!("{signal}{{{}}}", labels.join(",")) }
}

const fn severity(severity: Severity) -> AlarmSeverity {
    match severity {
        Severity::Info => AlarmSeverity::Info,
        Severity::Warning => AlarmSeverity::Warning,
        Severity::Critical => AlarmSeverity::Critical,
    }
}

#[cfg(test)]
mod tests {
    use sandpit_monitor::{
        BudgetFigures, LoopFigures, QualityFigures, StreamFigures,
        rules::{AnswerCounts, Own},
    };

    use super::*;

    const START: u64 = 1_700_000_000;

    /// A host in virtual time.
    struct Host {
        evaluator: Evaluator,
        alarms: Alarms,
        snapshot: Snapshot,
        now: u64,
    }

    impl Host {
        fn new(kept: Kept, table: Table, now: u64) -> Self {
            let alarms = Alarms::default();
            let evaluator = Evaluator::resume(kept, table, Duration::from_secs(now), &alarms);
            let stream =
                StreamFigures { name: "news".into(), state: "live".into(), ..StreamFigures::default() };
            let loops = vec![LoopFigures { name: "store".into(), progress: now }];
            let answered = Some(AnswerCounts::default());
            let quality = QualityFigures { answered, ..QualityFigures::default() };
            let budgets = vec![BudgetFigures { name: "trading".into(), ..BudgetFigures::default() }];
            let streams = vec![stream];
            let snapshot =
                Snapshot { reconciled: true, streams, loops, budgets, quality, ..Snapshot::default() };
            Self { evaluator, alarms, snapshot, now }
        }

        /// Lets so many seconds pass, judged each second; what changed.
        fn pass(&mut self, secs: u64, mut each: impl FnMut(&mut Snapshot)) -> Vec<String> {
            let mut all = Vec::new();
            for _ in 0..secs {
                self.now += 1;
                self.snapshot.loops[0].progress += 1;
                each(&mut self.snapshot);
                let now = Duration::from_secs(self.now);
                for change in self.evaluator.step(now, &self.snapshot, &self.alarms) {
                    all.push(format!("{:?} {}", change.standing, key(change.signal, &change.labels)));
                }
            }
            all
        }

        /// What the watchdog is told on a new connection.
        fn told(&self) -> Vec<(String, AlarmStanding)> {
            let (mut told, mut is_new) = (Vec::new(), true);
            let done: Result<(), ()> = self.alarms.post.deliver(&mut is_new, |alarm| {
                told.push((alarm.key.clone(), alarm.standing));
                Ok(true)
            });
            done.expect("it is there");
            told
        }
    }

    const DOWN: &str = "stream-down{stream=\"news\"}";

    #[test]
    fn a_stream_that_is_down_is_seen_by_all_and_is_over_when_it_is_back() {
        let mut host = Host::new(Kept::default(), Table::default(), START);
        assert_eq!(host.pass(60, |_| ()), [""; 0]);
        let down = |snapshot: &mut Snapshot| snapshot.streams[0].state = "waiting".into();
        assert_eq!(host.pass(200, down), [format!("Firing {DOWN}")]);
        let shown = host.alarms.firing();
        assert_eq!((shown.len(), shown[0].name.as_str()), (1, "stream-down"));
        assert_eq!(shown[0].labels, [("stream".to_owned(), "news".to_owned())]);
        assert!(shown[0].sentence.contains("a stream does not deliver"), "{shown:?}");
        assert_eq!(shown[0].since_unix_s, START + 60 + 121);
        assert!(!host.alarms.entries_stopped());
        assert_eq!(host.told(), [(DOWN.to_owned(), AlarmStanding::Firing)]);
        let up = |snapshot: &mut Snapshot| snapshot.streams[0].state = "live".into();
        assert_eq!(host.pass(60, up), [format!("Resolved {DOWN}")]);
        assert!(host.alarms.firing().is_empty());
        assert_eq!(host.told(), [(DOWN.to_owned(), AlarmStanding::Over)]);
    }

    #[test]
    fn a_burst_of_5xx_stops_entries_until_it_is_over() {
        let mut host = Host::new(Kept::default(), Table::default(), START);
        host.pass(5, |_| ());
        let burst = |snapshot: &mut Snapshot| {
            let answered = snapshot.quality.answered.as_mut().expect("known");
            (answered.all, answered.errors_5xx) = (answered.all + 1, answered.errors_5xx + 1);
        };
        assert_eq!(host.pass(9, burst), [""; 0], "nine are not many");
        assert_eq!(host.pass(1, burst), ["Firing broker-errors"]);
        assert!(host.alarms.entries_stopped());
        // All of them are older than a minute after 60 s, and it has to stay so for two minutes.
        assert_eq!(host.pass(170, |_| ()), [""; 0]);
        assert!(host.alarms.entries_stopped());
        assert_eq!(host.pass(30, |_| ()), ["Resolved broker-errors"]);
        assert!(!host.alarms.entries_stopped());
    }

    #[test]
    fn what_fired_before_a_restart_fires_after_it_and_is_told_again() {
        let mut host = Host::new(Kept::default(), Table::default(), START);
        let burst = |snapshot: &mut Snapshot| {
            let answered = snapshot.quality.answered.as_mut().expect("known");
            (answered.all, answered.errors_5xx) = (answered.all + 1, answered.errors_5xx + 1);
            snapshot.streams[0].state = "waiting".into();
        };
        host.pass(200, burst);
        let before = host.alarms.firing();
        // Both, and the share of errors among the answers.
        assert_eq!(before.len(), 3, "{before:?}");
        let kept = || {
            let text = serde_json::to_string(&host.evaluator.kept()).expect("JSON");
            serde_json::from_str::<Kept>(&text).expect("what was written")
        };
        let mut next = Host::new(kept(), Table::default(), host.now + 5);
        assert_eq!(next.alarms.firing(), before, "with the words of then");
        assert!(next.alarms.entries_stopped(), "before anything is judged");
        assert_eq!(next.told().len(), 3);
        assert_eq!(next.pass(400, |_| ()).len(), 3, "all is well again");
        assert!(!next.alarms.entries_stopped());
        // What is not judged any more is over.
        let own = [("stream-down".to_owned(), Own { enabled: Some(false), threshold: None })];
        let table = Table::with(&own.into()).expect("may be left out");
        let next = Host::new(kept(), table, host.now + 5);
        assert_eq!(next.alarms.firing().len(), 2);
        assert!(next.told().contains(&(DOWN.to_owned(), AlarmStanding::Over)));
    }
}
