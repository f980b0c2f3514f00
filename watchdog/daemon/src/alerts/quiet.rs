//! Quiet hours: from a time of day to another, in a zone of the world, on every day. No clock, no I/O.
//!
//! The zones are in the program: the watchdog needs them where a machine, or a container, has none. A night
//! is a span between two instants, so that the hour which a change of the clocks repeats is not quiet, loud
//! and quiet again. A time that the clocks leave out is the one as long after the gap.

use std::time::Duration;

use jiff::{Timestamp, ToSpan, civil, tz::TimeZone};
use serde::Deserialize;

use crate::machine::Severity;

/// `[alerts.quiet]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuietConfig {
    from: String,
    to: String,
    zone: String,
    /// What is worse leaves at once.
    #[serde(default = "default_max_severity")]
    max_severity: Severity,
}

fn default_max_severity() -> Severity {
    Severity::Warning
}

/// When it is quiet, and for what.
#[derive(Clone, Debug)]
pub(crate) struct Quiet {
    from: civil::Time,
    to: civil::Time,
    zone: TimeZone,
    /// The worst that is held back.
    pub(crate) max_severity: Severity,
}

impl QuietConfig {
    /// The hours, checked.
    ///
    /// # Errors
    /// The sentence about what is wrong.
    pub(crate) fn hours(&self) -> Result<Quiet, String> {
        let time = |name: &str, text: &str| {
            let wrong = || format!("`[alerts.quiet] {name} = {text:?}` is no time of day like \"22:00\"");
            text.split_once(':')
                .filter(|_| text.len() == 5 && text.bytes().all(|c| c.is_ascii_digit() || c == b':'))
                .and_then(|(hour, minute)| {
                    civil::Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
                })
                .ok_or_else(wrong)
        };
        let (from, to) = (time("from", &self.from)?, time("to", &self.to)?);
        if from == to {
            return Err(
                "`[alerts.quiet] from` and `to` are the same: leave the section out, or set a span".into()
            );
        }
        if self.max_severity == Severity::Critical {
            let text = "`[alerts.quiet] max_severity` must be \"info\" or \"warning\": what is critical \
                        leaves at once";
            return Err(text.into());
        }
        let zone = TimeZone::get(&self.zone).map_err(|_| {
            format!("`[alerts.quiet] zone = {:?}` is no zone like \"Europe/Berlin\" or \"UTC\"", self.zone)
        })?;
        Ok(Quiet { from, to, zone, max_severity: self.max_severity })
    }
}

impl Quiet {
    /// How long it is still quiet; `None` when it is not.
    pub(crate) fn left(&self, unix_s: u64) -> Option<Duration> {
        let now = i64::try_from(unix_s).ok().and_then(|s| Timestamp::from_second(s).ok())?;
        let today = now.to_zoned(self.zone.clone()).date();
        let begins = [today.checked_sub(1.day()).ok()?, today];
        begins.into_iter().find_map(|day| {
            let (begin, end) = self.night(day)?;
            (begin <= now && now < end)
                .then(|| Duration::from_secs(end.as_second().abs_diff(now.as_second())))
        })
    }

    /// The one that begins on this day.
    fn night(&self, day: civil::Date) -> Option<(Timestamp, Timestamp)> {
        let last = if self.from < self.to { day } else { day.checked_add(1.day()).ok()? };
        let at = |day: civil::Date, time| day.to_datetime(time).to_zoned(self.zone.clone()).ok();
        Some((at(day, self.from)?.timestamp(), at(last, self.to)?.timestamp()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(from: &str, to: &str, zone: &str) -> Result<Quiet, String> {
        let text = format!("from = {from:?}\nto = {to:?}\nzone = {zone:?}");
        toml::from_str::<QuietConfig>(&text).expect("a section").hours()
    }

    /// Minutes that are left at each instant, written as UTC.
    fn check(quiet: &Quiet, expected: &[(&str, Option<u64>)]) {
        for (at, left) in expected {
            let at: Timestamp = at.parse().expect("an instant");
            let got = quiet.left(at.as_second().unsigned_abs()).map(|left| left.as_secs() / 60);
            assert_eq!(got, *left, "{at}");
        }
    }

    #[test]
    fn a_night_ends_on_the_next_day_and_follows_the_clocks_of_its_zone() {
        let night = hours("22:00", "07:00", "Europe/Berlin").expect("hours");
        check(
            &night,
            &[
                ("2026-01-15T20:59:59Z", None),
                ("2026-01-15T21:00:00Z", Some(540)),
                ("2026-01-16T05:59:00Z", Some(1)),
                ("2026-01-16T06:00:00Z", None),
                // Summer time.
                ("2026-07-15T19:59:00Z", None),
                ("2026-07-15T20:00:00Z", Some(540)),
                ("2026-07-16T05:00:00Z", None),
                // The nights of the change have 8 and 10 hours.
                ("2026-03-28T21:00:00Z", Some(480)),
                ("2026-03-29T05:00:00Z", None),
                ("2026-10-24T20:00:00Z", Some(600)),
                ("2026-10-25T05:59:00Z", Some(1)),
                ("2026-10-25T06:00:00Z", None),
            ],
        );
        check(
            &hours("12:30", "13:30", "UTC").expect("hours"),
            &[
                ("2026-05-05T12:29:00Z", None),
                ("2026-05-05T12:30:00Z", Some(60)),
                ("2026-05-05T13:30:00Z", None),
            ],
        );
        check(
            &hours("00:00", "06:00", "America/New_York").expect("hours"),
            &[("2026-05-05T03:59:00Z", None), ("2026-05-05T04:00:00Z", Some(360))],
        );
    }

    #[test]
    fn a_repeated_hour_is_not_loud_in_between_and_a_left_out_one_moves_on() {
        // 02:30 comes twice: the first ends it.
        let quiet = hours("22:00", "02:30", "Europe/Berlin").expect("hours");
        check(&quiet, &[("2026-10-25T00:29:00Z", Some(1)), ("2026-10-25T00:30:00Z", None)]);
        check(&quiet, &[("2026-10-25T01:10:00Z", None), ("2026-10-25T01:29:00Z", None)]);
        // 02:30 does not come: it ends at 03:30.
        check(&quiet, &[("2026-03-29T01:29:00Z", Some(1)), ("2026-03-29T01:30:00Z", None)]);
    }

    #[test]
    fn what_is_wrong_is_a_sentence() {
        for (from, to, zone, words) in [
            ("22", "07:00", "UTC", "from"),
            ("22:00", "24:00", "UTC", "to"),
            ("2:00", "07:00", "UTC", "from"),
            ("+2:00", "07:00", "UTC", "from"),
            ("07:00", "07:00", "UTC", "the same"),
            ("22:00", "07:00", "Europe/Berlín", "zone"),
            ("22:00", "07:00", "../../etc/passwd", "zone"),
        ] {
            let error = hours(from, to, zone).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
        let text = "from = \"22:00\"\nto = \"07:00\"\nzone = \"UTC\"\nmax_severity = \"critical\"";
        let error = toml::from_str::<QuietConfig>(text).expect("a section").hours().expect_err("critical");
        assert!(error.contains("max_severity"), "{error}");
    }
}
