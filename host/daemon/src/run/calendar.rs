//! Whether the broker's calendar is still the one that this host trades by.
//!
//! Sessions are shared by all boxes and never change while a host runs. So the calendar is read again once a
//! market day, and when the broker's clock contradicts it: after an unscheduled closure, or when a close is
//! moved. If the session that is next or under way is another one now, only a restart helps; what differs
//! later is told and waits for its day.
//!
//! One answer is not enough for that: a list may lack a day by somebody's mistake. The broker's clock is the
//! second witness, and where it is silent, a second list. The calendar of the start is held against the
//! clock, too, so that a restart never leads to the next one.

use std::time::Duration;

use jiff::{civil::Date, tz::TimeZone};
use sandpit_broker::{Broker, BrokerError};
use sandpit_review::Sessions;
use sandpit_types::{Clock, MarketTime, SessionDay};

/// With less of the calendar left the host asks to be restarted, market time.
const LEFT: Duration = Duration::from_secs(3 * 86_400);
/// So much of the calendar is read again, market time.
const AHEAD: Duration = Duration::from_secs(30 * 86_400);
/// It is never read more often than this, market time: after a failure, or when the clock and the calendar of
/// the broker go on contradicting each other.
const AT_MOST_EVERY: Duration = Duration::from_secs(900);

/// The calendar that the host started with, and when it was last compared with the broker's.
pub(super) struct Almanac {
    sessions: Sessions,
    new_york: TimeZone,
    /// The day in New York of the last good answer.
    read_on: Date,
    asked_at: Option<MarketTime>,
    /// How the last answer differed, while the clock was silent.
    unconfirmed: Option<String>,
    /// Past this the calendar runs out; `None` when it did so before the start, as a simulator's may.
    renew_at: Option<MarketTime>,
}

/// How an answer of the broker differs from what the host trades by.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Not at all.
    Same,
    /// In a session after the next one.
    Later(String),
    /// In the session that is under way or next: the host trades by a wrong one.
    Changed(String),
    /// It names no session to come, so it says nothing.
    Unusable,
}

impl Almanac {
    /// Of sessions that were read at `now`.
    pub(super) fn new(sessions: Sessions, now: MarketTime) -> Self {
        let new_york = TimeZone::get("America/New_York").expect("the time zone database is compiled in");
        let read_on = date(&new_york, now);
        let last_close = sessions.days().last().map(|day| day.close);
        let renew_at = last_close.map(|close| close - LEFT).filter(|at| *at > now);
        Self { sessions, new_york, read_on, asked_at: None, unconfirmed: None, renew_at }
    }

    /// Reads the calendar when that is due. `told` is what the broker's clock has just said. Gives back why
    /// the host has to be started afresh, if it has to.
    pub(super) async fn keep(
        &mut self,
        broker: &impl Broker,
        told: Option<Clock>,
        now: MarketTime,
    ) -> Option<String> {
        if self.renew_at.is_some_and(|at| now > at) {
            return Some("the calendar has to be read again".into());
        }
        if !self.is_due(told, now) {
            return None;
        }
        self.asked_at = Some(now);
        let fresh = match broker.calendar(now, now + AHEAD).await {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::warn!(%error, "the calendar cannot be read; it is asked for again later");
                return None;
            }
        };
        self.conclude(fresh, told, now)
    }

    fn conclude(&mut self, fresh: Vec<SessionDay>, told: Option<Clock>, now: MarketTime) -> Option<String> {
        let fresh_fits = told.is_some_and(|told| !contradicts(&Sessions::new(fresh.clone()), told));
        let before = self.unconfirmed.take();
        match compare(self.sessions.days(), fresh, now) {
            Verdict::Unusable => {
                tracing::warn!("the broker's calendar names no session to come; it is asked for again later");
                return None;
            }
            Verdict::Changed(what) => {
                let is_certain = match told {
                    Some(told) => contradicts(&self.sessions, told) && fresh_fits,
                    None => before.as_ref() == Some(&what),
                };
                if !is_certain {
                    tracing::warn!(%what, ?told, "the calendar has changed, by one answer; it is read again");
                    self.unconfirmed = told.is_none().then_some(what);
                    return None;
                }
                tracing::error!(%what, "the broker has changed its calendar: starting afresh");
                return Some(format!("the broker has changed its calendar: {what}"));
            }
            Verdict::Later(what) => {
                tracing::error!(%what, "the broker has changed its calendar: taken over on that day");
            }
            Verdict::Same if told.is_some_and(|told| contradicts(&self.sessions, told)) => {
                tracing::warn!(?told, "the broker's clock and its calendar do not agree on the next bell");
            }
            Verdict::Same => tracing::debug!("the calendar is as it was"),
        }
        self.read_on = date(&self.new_york, now);
        None
    }

    fn is_due(&self, told: Option<Clock>, now: MarketTime) -> bool {
        if self.asked_at.is_some_and(|at| now.since(at) < AT_MOST_EVERY) {
            return false;
        }
        date(&self.new_york, now) != self.read_on
            || told.is_some_and(|told| contradicts(&self.sessions, told))
    }
}

/// The calendar to start with: until `ahead`, unless the clock, which has just `told`, contradicts that. Then
/// one that reaches less far is read, as it will be every day. `read` reads up to the time given to it.
pub(super) async fn first(
    read: impl AsyncFn(MarketTime) -> Result<Vec<SessionDay>, BrokerError>,
    told: Clock,
    ahead: Duration,
) -> Result<Sessions, BrokerError> {
    let sessions = Sessions::new(read(told.now + ahead).await?);
    if !contradicts(&sessions, told) {
        return Ok(sessions);
    }
    tracing::warn!(
        ?told,
        "the broker's clock and its calendar do not agree on the next bell; reading it again"
    );
    let shorter = Sessions::new(read(told.now + AHEAD).await?);
    let lasts = shorter.days().last().is_some_and(|day| day.close - LEFT > told.now);
    let is_better = lasts && !contradicts(&shorter, told);
    Ok(if is_better { shorter } else { sessions })
}

/// Whether the broker's clock names other bells than the calendar. What the calendar does not reach is no
/// contradiction.
fn contradicts(sessions: &Sessions, told: Clock) -> bool {
    let after =
        |bell: fn(&SessionDay) -> MarketTime| sessions.days().iter().map(bell).find(|at| *at > told.now);
    after(|day| day.open).is_some_and(|open| open != told.next_open)
        || after(|day| day.close).is_some_and(|close| close != told.next_close)
}

/// Compares what is still to come of both, as far as both reach.
fn compare(known: &[SessionDay], mut fresh: Vec<SessionDay>, now: MarketTime) -> Verdict {
    fresh.retain(|day| day.close > now);
    fresh.sort_by_key(|day| day.open);
    let known: Vec<SessionDay> = known.iter().filter(|day| day.close > now).copied().collect();
    let (Some(last_known), Some(last_fresh)) = (known.last(), fresh.last()) else {
        return Verdict::Unusable;
    };
    let until = last_known.open.min(last_fresh.open);
    if known.first() != fresh.first() {
        return Verdict::Changed(difference("the next session", known.first(), fresh.first()));
    }
    let both = |days: &[SessionDay]| -> Vec<SessionDay> {
        days.iter().filter(|day| day.open <= until).copied().collect()
    };
    let (known, fresh) = (both(&known), both(&fresh));
    let differs = (0..known.len().max(fresh.len())).find(|index| known.get(*index) != fresh.get(*index));
    differs.map_or(Verdict::Same, |index| {
        Verdict::Later(difference("a later session", known.get(index), fresh.get(index)))
    })
}

fn difference(which: &str, known: Option<&SessionDay>, fresh: Option<&SessionDay>) -> String {
    let text = |day: Option<&SessionDay>| {
        day.map_or_else(|| "none".to_owned(), |day| format!("{} to {}", day.open, day.close))
    };
    format!("{which} is {}, it was {}", text(fresh), text(known))
}

fn date(new_york: &TimeZone, now: MarketTime) -> Date {
    new_york.to_datetime(now.to_jiff()).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> MarketTime {
        MarketTime::parse(text).expect(text)
    }

    /// Regular sessions from these days of October 2013, each at its hour of closing in UTC.
    fn days(closes: &[(u32, u32)]) -> Vec<SessionDay> {
        let day = |(day, close): &(u32, u32)| SessionDay {
            open: at(&format!("2013-10-{day:02}T13:30:00Z")),
            close: at(&format!("2013-10-{day:02}T{close:02}:00:00Z")),
        };
        closes.iter().map(day).collect()
    }

    const WEEK: [(u32, u32); 5] = [(7, 20), (8, 20), (9, 20), (10, 20), (11, 20)];

    #[test]
    fn only_another_next_session_is_a_reason_to_start_afresh() {
        let check = |now: &str, fresh: &[(u32, u32)], expected: &str| {
            let verdict = compare(&days(&WEEK), days(fresh), at(now));
            let word = match &verdict {
                Verdict::Same => "same",
                Verdict::Later(_) => "later",
                Verdict::Changed(_) => "changed",
                Verdict::Unusable => "unusable",
            };
            assert_eq!(word, expected, "at {now}: {fresh:?}: {verdict:?}");
        };
        let (night, noon, evening) = ("2013-10-08T04:10:00Z", "2013-10-08T16:00:00Z", "2013-10-08T21:00:00Z");
        check(night, &WEEK, "same");
        // It reaches further or less far, is in another order, or lacks what is over.
        check(night, &[(8, 20), (9, 20), (10, 20), (11, 20), (14, 20)], "same");
        check(night, &[(8, 20), (9, 20)], "same");
        check(night, &[(9, 20), (7, 17), (8, 20), (10, 20)], "same");
        check(evening, &[(9, 20), (10, 20)], "same");
        // A closure, an early close, a session that nobody knew of.
        check(night, &[(9, 20), (10, 20), (11, 20)], "changed");
        check(night, &[(8, 17), (9, 20), (10, 20), (11, 20)], "changed");
        check(noon, &[(8, 18), (9, 20), (10, 20), (11, 20)], "changed");
        check(noon, &[(8, 15), (9, 20), (10, 20), (11, 20)], "changed");
        check(evening, &[(8, 22), (9, 20), (10, 20), (11, 20)], "changed");
        check("2013-10-12T12:00:00Z", &[(14, 20)], "unusable");
        // The same, later in the week.
        check(night, &[(8, 20), (9, 17), (10, 20), (11, 20)], "later");
        check(night, &[(8, 20), (10, 20), (11, 20)], "later");
        // Nothing is concluded from an answer that says nothing.
        check(night, &[], "unusable");
        check(night, &[(7, 20)], "unusable");
    }

    fn almanac(now: &str) -> Almanac {
        Almanac::new(Sessions::new(days(&WEEK)), at(now))
    }

    fn clock(now: &str, next_open: &str, next_close: &str) -> Option<Clock> {
        let (now, next_open, next_close) = (at(now), at(next_open), at(next_close));
        Some(Clock { now, is_open: false, next_open, next_close })
    }

    #[test]
    fn it_is_read_once_a_market_day_and_when_the_clock_contradicts_it() {
        let mut almanac = almanac("2013-10-07T15:00:00Z");
        let check = |almanac: &Almanac, now: &str, told: Option<Clock>, expected: bool| {
            assert_eq!(almanac.is_due(told, at(now)), expected, "{now}, {told:?}");
        };
        check(&almanac, "2013-10-07T15:01:00Z", None, false);
        // Midnight in New York, not in Greenwich.
        check(&almanac, "2013-10-08T03:59:00Z", None, false);
        check(&almanac, "2013-10-08T04:00:00Z", None, true);
        let noon = "2013-10-07T16:00:00Z";
        let right = clock(noon, "2013-10-08T13:30:00Z", "2013-10-07T20:00:00Z");
        check(&almanac, noon, right, false);
        let early = clock(noon, "2013-10-08T13:30:00Z", "2013-10-07T17:00:00Z");
        check(&almanac, noon, early, true);
        check(&almanac, noon, clock(noon, "2013-10-09T13:30:00Z", "2013-10-07T20:00:00Z"), true);
        // Not again and again.
        almanac.asked_at = Some(at("2013-10-07T15:59:00Z"));
        check(&almanac, noon, early, false);
        check(&almanac, "2013-10-07T16:14:00Z", early, true);
        // What the calendar does not reach.
        let end = "2013-10-11T21:00:00Z";
        almanac.read_on = date(&almanac.new_york, at(end));
        check(&almanac, end, clock(end, "2013-10-14T13:30:00Z", "2013-10-14T20:00:00Z"), false);
    }

    #[test]
    fn an_unusable_answer_is_asked_for_again_the_same_day() {
        let mut almanac = almanac("2013-10-07T15:00:00Z");
        let night = at("2013-10-08T04:10:00Z");
        assert_eq!(almanac.conclude(Vec::new(), None, night), None);
        assert!(almanac.is_due(None, night));
        assert_eq!(
            almanac.conclude(days(&[(8, 20), (9, 17), (10, 20)]), None, night),
            None,
            "told, and its day waited for"
        );
        assert!(!almanac.is_due(None, night));
    }

    #[test]
    fn one_answer_is_not_enough_to_start_afresh() {
        let mut almanac = almanac("2013-10-07T15:00:00Z");
        let night = at("2013-10-08T04:10:00Z");
        let (same, early) = (days(&WEEK), days(&[(8, 17), (9, 20)]));
        let lacks_it = days(&[(9, 20), (10, 20)]);
        let mut check = |fresh: &[SessionDay], told: Option<Clock>, expected: Option<&str>| {
            let reason = almanac.conclude(fresh.to_vec(), told, night);
            let is_as_expected = match (&reason, expected) {
                (Some(reason), Some(words)) => reason.contains(words),
                (reason, words) => reason.is_none() && words.is_none(),
            };
            assert!(is_as_expected, "{fresh:?}, {told:?}: {reason:?}");
            almanac.is_due(None, night)
        };
        let bells = "is 2013-10-08T13:30:00Z to 2013-10-08T17:00:00Z, it was 2013-10-08T13:30:00Z to";
        let clock = |close| clock("2013-10-08T04:10:00Z", "2013-10-08T13:30:00Z", close);
        // The clock knows better than the list, and the list is asked for again.
        let as_known = clock("2013-10-08T20:00:00Z");
        for _ in 0..3 {
            assert!(check(&lacks_it, as_known, None));
        }
        // The clock contradicts both: another list would not help.
        let other = clock("2013-10-08T18:00:00Z");
        assert!(check(&early, other, None));
        // Both say the same.
        let as_told = clock("2013-10-08T17:00:00Z");
        check(&early, as_told, Some(bells));
        // The clock is silent: two lists in a row that say the same.
        assert!(check(&early, None, None));
        assert!(check(&lacks_it, None, None));
        assert!(check(&early, None, None));
        assert!(!check(&same, None, None));
        check(&early, None, None);
        check(&early, None, Some(bells));
    }

    #[tokio::test]
    async fn the_first_calendar_is_held_against_the_clock() {
        let noon = "2013-10-07T16:00:00Z";
        let right = clock(noon, "2013-10-08T13:30:00Z", "2013-10-07T20:00:00Z").expect("a clock");
        let year = Duration::from_secs(370 * 86_400);
        let lacks_it = days(&[(7, 20), (9, 20)]);
        let check = async |long: &[SessionDay], short: &[SessionDay], expected: &[SessionDay]| {
            let read = async |until: MarketTime| {
                Ok(if until == right.now + year { long.to_vec() } else { short.to_vec() })
            };
            let sessions = first(read, right, year).await.expect("it can be read");
            assert_eq!(sessions.days(), expected);
        };
        let week = days(&WEEK);
        check(&week, &lacks_it, &week).await;
        check(&lacks_it, &week, &week).await;
        // No better than the other.
        check(&lacks_it, &week[..2], &lacks_it).await;
        check(&lacks_it, &[], &lacks_it).await;
        check(&lacks_it, &days(&[(7, 17)]), &lacks_it).await;
    }
}
