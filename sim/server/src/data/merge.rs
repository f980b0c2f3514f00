//! Several files as one, in the order of time.

use super::{Rows, Tick};

/// Rows of several files, merged by time; at the same instant quotes, trades, bars, then in order of the
/// files.
pub struct Merge {
    files: Vec<(Rows, Option<Tick>)>,
}

impl Merge {
    /// Merges files. They have been surveyed: a line that is broken now was changed meanwhile.
    pub fn new(files: Vec<Rows>) -> Self {
        Self {
            files: files
                .into_iter()
                .map(|mut rows| {
                    let first = advance(&mut rows);
                    (rows, first)
                })
                .collect(),
        }
    }
}

impl Iterator for Merge {
    type Item = Tick;

    fn next(&mut self) -> Option<Tick> {
        let due = |tick: &Tick| (tick.event.time(), tick.rank());
        let waiting = self.files.iter_mut().filter(|(_, tick)| tick.is_some());
        let (rows, slot) = waiting.min_by_key(|(_, tick)| tick.as_ref().map(due))?;
        std::mem::replace(slot, advance(rows))
    }
}

/// The next row; a file that broke since the survey ends there, with a word in the log.
fn advance(rows: &mut Rows) -> Option<Tick> {
    rows.next_tick().unwrap_or_else(|error| {
        tracing::error!(%error, "data file changed while in use; its rest is left out");
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_merged_by_the_time_they_are_known() {
        let read = |text: &'static str| Rows::read("x".into(), Box::new(text.as_bytes())).expect("header");
        let bars = read(
            "timestamp,symbol,open,high,low,close,volume\n\
             2013-10-07T13:30:00Z,A,1,1,1,1,1\n2013-10-07T13:31:00Z,A,1,1,1,1,1\n",
        );
        let quotes = read(
            "timestamp,symbol,bid_price,bid_size,ask_price,ask_size\n\
             2013-10-07T13:30:59Z,A,1,1,1,1\n2013-10-07T13:31:00Z,A,1,1,1,1\n\
             2013-10-07T13:31:01Z,A,1,1,1,1\n",
        );
        let order: Vec<_> = Merge::new(vec![bars, quotes])
            .map(|tick| (tick.event.time().as_nanos() / 1_000_000_000 % 3_600, tick.rank()))
            .collect();
        assert_eq!(order, [(1_859, 0), (1_860, 0), (1_860, 2), (1_861, 0), (1_920, 2)]);
    }
}
