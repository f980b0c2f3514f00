//! What a human sees while it runs: a bar on a terminal, a line now and then in a log.

use std::{
    io::{Write, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How far it has come. A day is one day of one symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Days of this run.
    pub days: u64,
    /// Of these, written.
    pub days_done: u64,
    /// Of these, given up.
    pub days_skipped: u64,
    /// Days asked for that earlier runs had written.
    pub days_before: u64,
    /// Rows written.
    pub rows: u64,
    /// Requests made.
    pub requests: u64,
    /// Of these, within the last minute.
    pub requests_last_minute: u64,
    /// Time since the start.
    pub elapsed: Duration,
}

impl Figures {
    /// Rows a second since the start.
    pub fn rows_per_sec(&self) -> u64 {
        let millis = self.elapsed.as_millis().max(1);
        u64::try_from(u128::from(self.rows) * 1_000 / millis).unwrap_or(u64::MAX)
    }

    /// How long the rest takes if it goes on like this; `None` until a day is finished.
    pub fn left(&self) -> Option<Duration> {
        let finished = self.days_done + self.days_skipped;
        let left = u32::try_from(self.days.saturating_sub(finished)).unwrap_or(u32::MAX);
        (finished > 0).then(|| {
            let each = self.elapsed.as_secs_f64() / finished as f64;
            Duration::from_secs_f64((each * f64::from(left)).min(1e9))
        })
    }

    fn rates(&self) -> String {
        let left = self.left().map_or_else(|| "?".to_owned(), hms);
        let (per_minute, rows) = (self.requests_last_minute, self.rows_per_sec());
        format!("{per_minute} requests/min, {rows} rows/s, {left} left")
    }
}

/// Hours, minutes and seconds.
pub(crate) fn hms(span: Duration) -> String {
    let secs = span.as_secs();
    match (secs / 3_600, secs / 60 % 60, secs % 60) {
        (0, 0, secs) => format!("{secs}s"),
        (0, minutes, secs) => format!("{minutes}m{secs:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

/// Whoever tells the human.
pub trait Reporter {
    /// Something to be kept: a wait, a skipped day, a lost key pair.
    fn say(&mut self, line: &str);

    /// How far it has come; called about once a second and at the end.
    fn show(&mut self, figures: &Figures);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn say(&mut self, _: &str) {}

    fn show(&mut self, _: &Figures) {}
}

/// A line about every 10 s, for logs.
#[derive(Debug)]
pub struct Lines<W> {
    to: W,
    shown: Option<Duration>,
}

impl<W: Write> Lines<W> {
    /// Lines that go there.
    pub fn new(to: W) -> Self {
        Self { to, shown: None }
    }
}

impl<W: Write> Reporter for Lines<W> {
    fn say(&mut self, line: &str) {
        // Nobody reads it any more; the files are what matters.
        let _ = writeln!(self.to, "{line}");
    }

    fn show(&mut self, figures: &Figures) {
        if self.shown.is_some_and(|shown| figures.elapsed < shown + LINE_EVERY) {
            return;
        }
        self.shown = Some(figures.elapsed);
        let Figures { days, days_done, days_skipped, .. } = figures;
        self.say(&format!("{days_done} of {days} days, {days_skipped} skipped, {}", figures.rates()));
    }
}

/// A bar on the terminal behind stderr.
#[derive(Debug)]
pub struct TerminalBar(ProgressBar);

impl TerminalBar {
    /// An empty bar.
    ///
    /// # Panics
    /// Never: the template is a constant.
    pub fn new() -> Self {
        let style =
            ProgressStyle::with_template("{bar:30} {pos}/{len} days, {msg}").expect("a sound template");
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        bar.set_style(style);
        Self(bar)
    }
}

impl Default for TerminalBar {
    fn default() -> Self {
        Self::new()
    }
}

impl Reporter for TerminalBar {
    fn say(&mut self, line: &str) {
        // A terminal that has gone must not end it: the files are what matters.
        self.0.suspend(|| drop(writeln!(stderr(), "{line}")));
    }

    fn show(&mut self, figures: &Figures) {
        let skipped = match figures.days_skipped {
            0 => String::new(),
            days => format!(", {days} skipped"),
        };
        self.0.set_length(figures.days);
        self.0.set_position(figures.days_done + figures.days_skipped);
        self.0.set_message(format!("{}{skipped}", figures.rates()));
    }
}

impl Drop for TerminalBar {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_the_time_left_follow_from_the_figures() {
        let figures = Figures {
            days: 100,
            days_done: 20,
            days_skipped: 5,
            days_before: 7,
            rows: 9_000,
            requests: 30,
            requests_last_minute: 12,
            elapsed: Duration::from_secs(60),
        };
        assert_eq!(figures.rates(), "12 requests/min, 150 rows/s, 3m00s left");
        assert_eq!(Figures::default().rates(), "0 requests/min, 0 rows/s, ? left");
        assert_eq!(hms(Duration::from_secs(7_260)), "2h01m");
        assert_eq!(hms(Duration::from_secs(59)), "59s");
    }

    #[test]
    fn a_line_is_written_every_ten_seconds() {
        let mut lines = Lines::new(Vec::new());
        for secs in 0..25 {
            lines.show(&Figures { elapsed: Duration::from_secs(secs), ..Figures::default() });
        }
        lines.say("note");
        let text = String::from_utf8(lines.to).expect("text");
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.starts_with("0 of 0 days, 0 skipped, 0 requests/min"), "{text}");
    }
}
