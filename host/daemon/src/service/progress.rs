//! Whether every loop has moved since the last sign of life.

use std::collections::BTreeMap;

use sandpit_contract::LoopBeat;

/// How far each loop had come at the last sign of life.
#[derive(Debug, Default)]
pub(super) struct Progress(BTreeMap<String, u64>);

impl Progress {
    /// Everything has to move from here on.
    pub(super) fn begin(&mut self, beats: &[LoopBeat]) {
        self.0 = beats.iter().map(|beat| (beat.name.clone(), beat.progress)).collect();
    }

    /// Whether each of these loops has moved. One that is new has to move from now on; one that is gone, in
    /// good order, is not waited for. Where there is no loop, there is no life.
    pub(super) fn have_all_moved(&mut self, beats: &[LoopBeat]) -> bool {
        self.0.retain(|name, _| beats.iter().any(|beat| beat.name == *name));
        let mut moved = !beats.is_empty();
        for beat in beats {
            let before = self.0.entry(beat.name.clone()).or_insert(beat.progress);
            // A successor under the same name counts from the start.
            *before = beat.progress.min(*before);
            moved &= beat.progress > *before;
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beats(of: &[(&str, u64)]) -> Vec<LoopBeat> {
        let beat = |&(name, progress): &(&str, u64)| LoopBeat {
            name: name.into(),
            progress,
            nonce: 9,
            memory_bytes: 0,
        };
        of.iter().map(beat).collect()
    }

    #[test]
    fn every_loop_has_to_move_and_nothing_else_counts() {
        let check = |looks: &[&[(&str, u64)]], expected: bool| {
            let mut progress = Progress::default();
            progress.begin(&beats(looks[0]));
            let mut moved = false;
            for look in &looks[1..] {
                moved = progress.have_all_moved(&beats(look));
            }
            assert_eq!(moved, expected, "{looks:?}");
        };
        check(&[&[("a", 1), ("b", 1)], &[("a", 2), ("b", 2)]], true);
        check(&[&[("a", 1), ("b", 1)], &[("a", 9), ("b", 1)]], false);
        check(&[&[("a", 1), ("b", 1)], &[("a", 2), ("b", 1)], &[("a", 2), ("b", 2)]], true);
        check(&[&[("a", 1)], &[("a", 2), ("new", 5)]], false);
        check(&[&[("a", 1)], &[("a", 2), ("new", 5)], &[("a", 2), ("new", 6)]], true);
        check(&[&[("a", 1), ("gone", 1)], &[("a", 2)]], true);
        check(&[&[("a", 9)], &[("a", 1)]], false);
        check(&[&[("a", 9)], &[("a", 1)], &[("a", 2)]], true);
        check(&[&[], &[]], false);
    }
}
