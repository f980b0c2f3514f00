//! The days on which NYSE does not trade, or stops early.

use jiff::{
    ToSpan,
    civil::{Date, Weekday, date},
};

/// Days of mourning, disaster, and elections (until 1980), on which nothing traded.
const CLOSED_ONCE: [Date; 18] = [
    date(1972, 11, 7),
    date(1972, 12, 28),
    date(1973, 1, 25),
    date(1976, 11, 2),
    date(1977, 7, 14),
    date(1980, 11, 4),
    date(1985, 9, 27),
    date(1994, 4, 27),
    date(2001, 9, 11),
    date(2001, 9, 12),
    date(2001, 9, 13),
    date(2001, 9, 14),
    date(2004, 6, 11),
    date(2007, 1, 2),
    date(2012, 10, 29),
    date(2012, 10, 30),
    date(2018, 12, 5),
    date(2025, 1, 9),
];

/// Early closes outside the rules.
const EARLY_ONCE: [Date; 3] = [date(1997, 12, 26), date(1999, 12, 31), date(2003, 12, 26)];

/// Early closes follow today's rules since then; the rare ones before are left out.
const EARLY_SINCE: i16 = 1993;

/// Whether nothing trades on this day.
pub(super) fn is_closed(day: Date) -> bool {
    is_weekend(day) || is_holiday(day) || CLOSED_ONCE.contains(&day)
}

/// Whether a trading day ends at 13:00.
pub(super) fn closes_early(day: Date) -> bool {
    use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};
    if day.year() < EARLY_SINCE {
        return false;
    }
    match (day.month(), day.day(), day.weekday()) {
        // Beside Independence Day. When that was a Thursday, the Friday after was short until 2012; since
        // 2013 it is the Wednesday before.
        (7, 3, Monday | Tuesday | Thursday) => day.year() >= 1995,
        (7, 3, Wednesday) => day.year() >= 2013,
        (7, 5, Friday) => (1995..2013).contains(&day.year()),
        (11, _, Friday) => nth(day.year(), 11, 4, Thursday).saturating_add(1.day()) == day,
        (12, 24, Monday | Tuesday | Wednesday | Thursday) => true,
        _ => EARLY_ONCE.contains(&day),
    }
}

fn is_holiday(day: Date) -> bool {
    let year = day.year();
    match day.month() {
        1 => is_new_year(day) || (year >= 1998 && day == nth(year, 1, 3, Weekday::Monday)),
        2 if year == 1970 => day == date(1970, 2, 23),
        2 => day == nth(year, 2, 3, Weekday::Monday),
        3 | 4 => day == good_friday(year),
        // In 1970 it was still the 30th, a Saturday, and not made up for.
        5 => year > 1970 && day == nth(year, 5, -1, Weekday::Monday),
        6 => year >= 2022 && day == observed(date(year, 6, 19)),
        7 => day == observed(date(year, 7, 4)),
        9 => day == nth(year, 9, 1, Weekday::Monday),
        11 => day == nth(year, 11, 4, Weekday::Thursday),
        12 => day == observed(date(year, 12, 25)),
        _ => false,
    }
}

/// New Year's Day moves from Sunday to Monday, but never to the last Friday of a business year.
fn is_new_year(day: Date) -> bool {
    day.day() == 1 || (day.day() == 2 && day.weekday() == Weekday::Monday)
}

/// A holiday on a Saturday is kept on Friday, one on a Sunday on Monday.
fn observed(day: Date) -> Date {
    match day.weekday() {
        Weekday::Saturday => day.saturating_sub(1.day()),
        Weekday::Sunday => day.saturating_add(1.day()),
        Weekday::Monday | Weekday::Tuesday | Weekday::Wednesday | Weekday::Thursday | Weekday::Friday => day,
    }
}

fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// The `n`th such weekday of a month; -1 is the last.
fn nth(year: i16, month: i8, n: i8, weekday: Weekday) -> Date {
    date(year, month, 1)
        .nth_weekday_of_month(n, weekday)
        .expect("every month has the weekdays that are asked for here")
}

/// Two days before Easter Sunday (Gregorian computus of Meeus, Jones and Butcher).
fn good_friday(year: i16) -> Date {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let h = (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
    let l = (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let days_after_march_22 = h + l - 7 * m;
    date(year, 3, 22).saturating_add((days_after_march_22 - 2).days())
}
