//! Is every loop alive? A loop is when its progress moved lately.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};

use crate::Snapshot;

/// A loop that has not moved for this long is not healthy. The watchdog probes each loop four times a second.
pub(crate) const STALL: Duration = Duration::from_secs(3);

/// What was last seen of each loop, and when it moved.
#[derive(Debug, Default)]
pub(crate) struct Health {
    seen: BTreeMap<String, (u64, Duration)>,
}

impl Health {
    /// Takes a reading at `now`, real time since any fixed start.
    pub(crate) fn on(&mut self, snapshot: &Snapshot, now: Duration) {
        self.seen.retain(|name, _| snapshot.loops.iter().any(|entry| entry.name == *name));
        for entry in &snapshot.loops {
            let moved = self.seen.entry(entry.name.clone()).or_insert((entry.progress, now));
            if moved.0 != entry.progress {
                *moved = (entry.progress, now);
            }
        }
    }

    /// The answer of `/health`: whether all is well, and one object a loop.
    pub(crate) fn answer(&self, snapshot: &Snapshot, now: Duration) -> (bool, Value) {
        let mut body = Map::new();
        let mut all = snapshot.reconciled;
        for entry in &snapshot.loops {
            let age = self.seen.get(&entry.name).map_or(Duration::ZERO, |(_, at)| now.saturating_sub(*at));
            let ok = age < STALL;
            all &= ok;
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            body.insert(entry.name.clone(), json!({"ok": ok, "progress": entry.progress, "age_ms": age_ms}));
        }
        body.insert("ok".into(), Value::Bool(all));
        body.insert("ts".into(), Value::String(snapshot.market_time.clone()));
        (all, Value::Object(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LoopFigures;

    #[test]
    fn a_loop_that_stops_makes_the_whole_unhealthy() {
        let mut health = Health::default();
        let mut check = |progress: u64, at_s: u64, expected: bool| {
            let loops = vec![LoopFigures { name: "store".into(), progress }];
            let snapshot = Snapshot { reconciled: true, loops, ..Snapshot::default() };
            let now = Duration::from_secs(at_s);
            health.on(&snapshot, now);
            let (ok, body) = health.answer(&snapshot, now);
            assert_eq!(
                (ok, body["store"]["ok"].as_bool()),
                (expected, Some(expected)),
                "{progress} at {at_s} s"
            );
        };
        check(1, 0, true);
        check(1, 2, true);
        check(1, 3, false);
        check(2, 4, true);
    }

    #[test]
    fn not_reconciled_is_not_healthy() {
        let (ok, _) = Health::default().answer(&Snapshot::default(), Duration::ZERO);
        assert!(!ok);
    }
}
