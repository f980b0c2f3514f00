"""Clock and calendar. The clock stands a few minutes before an opening."""

from datetime import date, timedelta

from alpaca.trading.requests import GetCalendarRequest
from desk import check, equal, matches

NEW_YORK_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?-0[45]:00"


@check("2.7 before the opening the market is not open and the opening comes first")
def before_open(desk):
    clock = desk.trading.get_clock()
    equal(clock.is_open, False, "is_open")
    assert clock.timestamp < clock.next_open < clock.next_close
    equal(clock.next_open.strftime("%H:%M"), "09:30", "next_open")
    equal(clock.next_close.strftime("%H:%M"), "16:00", "next_close")


@check("2.7 times of the clock have New York's offset")
def new_york(desk):
    clock = desk.raw.get_clock()
    for name in ("timestamp", "next_open", "next_close"):
        matches(NEW_YORK_STAMP, clock[name])


@check("2.7 the calendar has trading days only, with both ends included")
def trading_days(desk):
    days = desk.trading.get_calendar(GetCalendarRequest(start=date(2025, 1, 1), end=date(2025, 1, 6)))
    equal([it.date for it in days], [date(2025, 1, 2), date(2025, 1, 3), date(2025, 1, 6)], "the days")
    equal((days[0].open.hour, days[0].open.minute, days[0].close.hour), (9, 30, 16), "hours")


@check("2.7 a calendar day says HH:MM for the session, HHMM for the long day, and when it settles")
def calendar_shape(desk):
    day = desk.raw.get("/calendar", {"start": "2025-01-02", "end": "2025-01-02"})
    expected = {
        "date": "2025-01-02",
        "open": "09:30",
        "close": "16:00",
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": "2025-01-03",
    }
    equal(day, [expected], "the day")


@check("2.7 the day after Thanksgiving closes at one")
def early_close(desk):
    days = desk.trading.get_calendar(GetCalendarRequest(start=date(2025, 11, 27), end=date(2025, 11, 28)))
    equal([(it.date.day, it.close.hour) for it in days], [(28, 13)], "the early close")


@check("2.7 the calendar covers 1970 to 2029")
def whole_calendar(desk):
    days = desk.trading.get_calendar()
    equal((days[0].date.year, days[-1].date.year), (1970, 2029), "first and last year")
    assert all(b.date - a.date <= timedelta(days=8) for a, b in zip(days, days[1:]))
    assert 60 * 250 < len(days) < 60 * 254, len(days)


@check("2.7 with date_type SETTLEMENT the range is of settlement days")
def settlement(desk):
    query = {"start": "2025-01-03", "end": "2025-01-03", "date_type": "SETTLEMENT"}
    equal([it["date"] for it in desk.raw.get("/calendar", query)], ["2025-01-02"], "days that settle then")
