//! What was measured: by name, in the order in which the names came.

/// Samples of everything that one case measures, milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<(&'static str, Vec<u64>)>);

impl Figures {
    /// One sample.
    pub(crate) fn note(&mut self, name: &'static str, ms: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, samples)) => samples.push(ms),
            None => self.0.push((name, vec![ms])),
        }
    }

    /// A line a figure: `case_name p50 p99 max ms, runs`.
    pub(crate) fn print(mut self, case: &str) {
        for (name, samples) in &mut self.0 {
            samples.sort_unstable();
            let at = |percent: usize| samples[(samples.len() * percent).div_ceil(100).max(1) - 1];
            let (p50, p99, max) = (at(50), at(99), at(100));
            println!("{case}_{name} p50 {p50} ms, p99 {p99} ms, max {max} ms, {} runs", samples.len());
        }
    }
}
