//! How many orders the broker accepted within a minute.
//!
//! Each read lists what is newer than the newest order seen, so every order is counted once, in the minute in
//! which it was first listed. The broker's own stamps have to say the same: a simulated market may run faster
//! than the clock, and then a minute of ours is an hour of its orders.

use std::{collections::VecDeque, time::Duration};

use sandpit_contract::BootTime;

/// The window.
const MINUTE: Duration = Duration::from_secs(60);
/// The same in the broker's stamps.
const MINUTE_NANOS: i128 = 60_000_000_000;
/// Orders that are remembered: more than any limit. When full, the oldest is forgotten.
const MAX_SEEN: usize = 1_000;

/// An order that the broker lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The broker's id.
    pub(crate) id: String,
    /// When the broker took it, in its own words.
    pub(crate) submitted_at: String,
}

/// Where the next read begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// Nothing is known: the newest order is where to begin.
    #[default]
    Newest,
    /// There was no order at all.
    Start,
    /// After this stamp.
    After(String),
}

#[derive(Clone, Debug)]
struct Seen {
    at: BootTime,
    id: String,
    /// Nanoseconds since 1970 by the broker; `None` when its stamp is not understood.
    stamp: Option<i128>,
}

/// The orders of the newest minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    cursor: Cursor,
    newest: Option<i128>,
    seen: VecDeque<Seen>,
}

impl Orders {
    /// Where to read from.
    pub(super) fn cursor(&self) -> Cursor {
        self.cursor.clone()
    }

    /// Takes in what was listed for `asked`.
    pub(super) fn on(&mut self, asked: &Cursor, listed: Vec<Listed>, now: BootTime) {
        if *asked != self.cursor {
            return;
        }
        if *asked == Cursor::Newest {
            self.cursor = Cursor::Start;
        }
        for Listed { id, submitted_at } in listed {
            let stamp = nanos(&submitted_at);
            if self.cursor == Cursor::Start || (stamp.is_some() && stamp > self.newest) {
                self.newest = stamp.max(self.newest);
                self.cursor = Cursor::After(submitted_at);
            }
            if *asked != Cursor::Newest && !self.seen.iter().any(|seen| seen.id == id) {
                if self.seen.len() == MAX_SEEN {
                    self.seen.pop_front();
                }
                self.seen.push_back(Seen { at: now, id, stamp });
            }
        }
        self.forget(now);
    }

    /// In the minute up to now, by both clocks.
    pub(super) fn a_minute(&self, now: BootTime) -> u32 {
        let recent = || self.seen.iter().filter(|seen| now.since(seen.at) < MINUTE);
        let mut stamps: Vec<i128> = recent().filter_map(|seen| seen.stamp).collect();
        stamps.sort_unstable();
        let mut first = 0;
        let mut most = 0;
        for (last, stamp) in stamps.iter().enumerate() {
            while stamp - stamps[first] >= MINUTE_NANOS {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        let unstamped = recent().filter(|seen| seen.stamp.is_none()).count();
        u32::try_from(most + unstamped).unwrap_or(u32::MAX)
    }

    fn forget(&mut self, now: BootTime) {
        while self.seen.front().is_some_and(|seen| now.since(seen.at) >= MINUTE) {
            self.seen.pop_front();
        }
    }
}

/// Nanoseconds since 1970 of a stamp such as `2026-01-02T03:04:05.678901234Z` or with an offset.
pub(crate) fn nanos(stamp: &str) -> Option<i128> {
    let (day, rest) = stamp.split_once('T')?;
    let mut day = day.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (day.next()?.ok()?, day.next()?.ok()?, day.next()?.ok()?);
    let end = rest.find(['Z', '+', '-'])?;
    let (time, zone) = rest.split_at(end);
    let mut parts = time.splitn(3, ':');
    let (hour, minute) = (parts.next()?.parse::<i64>().ok()?, parts.next()?.parse::<i64>().ok()?);
    let (second, fraction) = parts.next().map(|text| text.split_once('.').unwrap_or((text, "")))?;
    let fraction: i128 = format!("{:0<9}", fraction.get(..fraction.len().min(9))?).parse().ok()?;
    // Before anything is reckoned: these are any numbers that somebody sent.
    let is_day = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let second = second.parse::<i64>().ok()?;
    // A minute may end with a leap second.
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    if !is_day || !is_time {
        return None;
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(i128::from(seconds - offset_seconds(zone)?) * 1_000_000_000 + fraction)
}

fn offset_seconds(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    if !(0..24).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    let seconds = (hours * 60 + minutes) * 60;
    Some(if zone.starts_with('-') { -seconds } else { seconds })
}

/// Days since 1970-01-01 in the calendar of today (Howard Hinnant's `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_nanos(seconds * 1_000_000_000)
    }

    /// `n` orders, one every `apart_ms` of the broker's time from `first_ms` on.
    fn listed(first: u64, n: u64, apart_ms: u64) -> Vec<Listed> {
        let one = |k: u64| {
            let ms = (first + k) * apart_ms;
            let stamp = format!(
                "2026-03-02T{:02}:{:02}:{:02}.{:03}Z",
                14 + ms / 3_600_000,
                ms / 60_000 % 60,
                ms / 1000 % 60,
                ms % 1000
            );
            Listed { id: format!("o{}", first + k), submitted_at: stamp }
        };
        // The broker lists the newest first.
        (0..n).rev().map(one).collect()
    }

    fn read(orders: &mut Orders, listed: Vec<Listed>, seconds: u64) -> u32 {
        let asked = orders.cursor();
        orders.on(&asked, listed, at(seconds));
        orders.a_minute(at(seconds))
    }

    #[test]
    fn orders_are_counted_once_and_for_a_minute() {
        let mut orders = Orders::default();
        assert_eq!(read(&mut orders, listed(0, 1, 100), 0), 0, "what was there before is not counted");
        assert_eq!(read(&mut orders, listed(1, 50, 100), 20), 50);
        assert_eq!(read(&mut orders, listed(50, 51, 100), 40), 100, "one was listed twice");
        assert_eq!(orders.cursor(), Cursor::After("2026-03-02T14:00:10.000Z".into()));
        assert_eq!(read(&mut orders, Vec::new(), 79), 100);
        assert_eq!(read(&mut orders, Vec::new(), 80), 50);
        assert_eq!(read(&mut orders, Vec::new(), 100), 0);
    }

    #[test]
    fn the_first_order_of_an_account_counts() {
        let mut orders = Orders::default();
        assert_eq!(read(&mut orders, Vec::new(), 0), 0);
        assert_eq!(orders.cursor(), Cursor::Start);
        assert_eq!(read(&mut orders, listed(0, 7, 100), 20), 7);
    }

    #[test]
    fn a_fast_market_is_no_burst_and_odd_stamps_hide_none() {
        let mut orders = Orders::default();
        read(&mut orders, Vec::new(), 0);
        // One a market minute: a thousand times as fast as the clock.
        assert_eq!(read(&mut orders, listed(0, 300, 60_000), 20), 1);
        let mut orders = Orders::default();
        read(&mut orders, Vec::new(), 0);
        let odd = |n: u64| Listed { id: format!("x{n}"), submitted_at: "yesterday".into() };
        assert_eq!(read(&mut orders, (0..200).map(odd).collect(), 20), 200);
    }

    #[test]
    fn there_is_a_bound() {
        let mut orders = Orders::default();
        read(&mut orders, Vec::new(), 0);
        assert_eq!(read(&mut orders, listed(0, 1_200, 10), 20), MAX_SEEN as u32);
    }

    #[test]
    fn stamps_are_read() {
        let check = |stamp: &str, expected: Option<i128>| assert_eq!(nanos(stamp), expected, "{stamp}");
        check("1970-01-01T00:00:00Z", Some(0));
        check("2000-03-01T00:00:00Z", Some(951_868_800_000_000_000));
        check("2024-02-29T12:00:00.000000001Z", Some(1_709_208_000_000_000_001));
        check("2026-11-22T09:30:00-05:00", Some(1_795_357_800_000_000_000));
        check("2026-11-22T14:30:00.5+00:00", Some(1_795_357_800_500_000_000));
        check("2016-12-31T23:59:60Z", Some(1_483_228_800_000_000_000));
        for odd in [
            "",
            "x",
            "2026-11-22",
            "2026-11-22T14:30:00",
            "2026-13-22T14:30:00Z",
            "2026-11-22T14:30Z",
            "TZ",
            "a-b-cT1:2:3Z",
            // Numbers that no reckoning holds, or that would be later than every other stamp.
            "2026-01-01T9999999999999999:00:00Z",
            "2026-01-01T00:9223372036854775807:00Z",
            "2026-01-01T00:00:9223372036854775807Z",
            "9223372036854775807-01-01T00:00:00Z",
            "2026-01-01T00:00:00+9223372036854775807:00",
            "2026-01-01T00:00:00-00:9223372036854775807",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T-1:00:00Z",
            "2026-01-01T00:00:00+24:00",
        ] {
            check(odd, None);
        }
    }
}
