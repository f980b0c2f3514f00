"""Writes one-minute bars of a made-up market as CSV: seeded, the same bytes on every machine. No dependency.

    bars.py --bars 100000 [--symbols SPY,IBM] [--start 2010-01-04] [--seed 1] [--out FILE]

The columns are those of the host's data files: timestamp,symbol,open,high,low,close,volume. A stamp is
the start of its minute, RFC 3339 in UTC. Every day has 390 minutes from 9:30 in New York; weekends,
holidays of NYSE and its short days are left out, so that the exchange's calendar has a whole session on
each of the days. --bars counts the minutes: each has a bar of every symbol, in the order of the symbols.
Closes are a geometric random walk between 20 and 500 USD, which is turned back at these ends; prices have
two decimals; volumes are 1,000 to 20,000 shares.

Only `random.Random.random` is drawn from, whose values are promised to stay the same in every version of
Python.
"""

import argparse
import datetime as dt
import random
import sys

MINUTES_A_DAY = 390
LEAST, MOST = 20.0, 500.0
# How far a close is from the one before it, at most, as a share of it; evenly spread.
STEP = 0.0012


def nth(year, month, n, weekday):
    """The n-th such weekday of a month (Monday is 0); -1 is the last."""
    if n > 0:
        first = dt.date(year, month, 1)
        return first + dt.timedelta((weekday - first.weekday()) % 7 + 7 * (n - 1))
    last = dt.date(year + month // 12, month % 12 + 1, 1) - dt.timedelta(1)
    return last - dt.timedelta((last.weekday() - weekday) % 7)


def good_friday(year):
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    l = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * l) // 451
    return dt.date(year, 3, 22) + dt.timedelta(h + l - 7 * m - 2)


# Days of mourning and disaster since 2001 on which nothing traded.
CLOSED_ONCE = {
    dt.date(*day)
    for day in [(2001, 9, 11), (2001, 9, 12), (2001, 9, 13), (2001, 9, 14), (2004, 6, 11), (2007, 1, 2),
                (2012, 10, 29), (2012, 10, 30), (2018, 12, 5), (2025, 1, 9)]
}


def is_whole_day(day):
    """Whether NYSE trades from 9:30 to 16:00. Days on which it may not, in some year, are left out always."""
    year, month_day = day.year, (day.month, day.day)
    if day.weekday() >= 5 or day in CLOSED_ONCE:
        return False
    fixed = {
        (1, 1), (1, 2), (6, 18), (6, 19), (6, 20), (7, 3), (7, 4), (7, 5),
        (12, 24), (12, 25), (12, 26), (12, 31),
    }
    thanksgiving = nth(year, 11, 4, 3)
    moving = {
        nth(year, 1, 3, 0), nth(year, 2, 3, 0), good_friday(year), nth(year, 5, -1, 0), nth(year, 9, 1, 0),
        thanksgiving, thanksgiving + dt.timedelta(1),
    }
    return month_day not in fixed and day not in moving


def opening(day):
    """9:30 in New York, in UTC, by the rule of the summer time since 2007."""
    summer = nth(day.year, 3, 2, 6) <= day < nth(day.year, 11, 1, 6)
    return dt.datetime(day.year, day.month, day.day, 13 if summer else 14, 30)


def sessions(start):
    day = start
    while True:
        if is_whole_day(day):
            yield day
        day += dt.timedelta(1)


def bars(draw, symbols, start, count):
    """The lines of the file, without the header."""
    closes = {symbol: 100.0 + 37.0 * place for place, symbol in enumerate(symbols)}
    minute = dt.timedelta(minutes=1)
    left = count
    for day in sessions(start):
        at = opening(day)
        for _ in range(min(left, MINUTES_A_DAY)):
            stamp = at.strftime("%Y-%m-%dT%H:%M:00Z")
            for symbol in symbols:
                first = closes[symbol]
                step = STEP * (2.0 * draw() - 1.0)
                last = first * (1.0 + step)
                if not LEAST <= last <= MOST:
                    last = first * (1.0 - step)
                wick = STEP / 2.0
                high = max(first, last) * (1.0 + wick * draw())
                low = min(first, last) * (1.0 - wick * draw())
                volume = 1_000 + int(19_001 * draw())
                closes[symbol] = last
                yield f"{stamp},{symbol},{first:.2f},{high:.2f},{low:.2f},{last:.2f},{volume}\n"
            at += minute
        left -= MINUTES_A_DAY
        if left <= 0:
            return


def main():
    parser = argparse.ArgumentParser(description="Writes one-minute bars of a made-up market as CSV.")
    parser.add_argument("--bars", type=int, required=True, help="minutes")
    parser.add_argument("--symbols", default="SPY", help="with commas between them")
    parser.add_argument("--start", type=dt.date.fromisoformat, default=dt.date(2010, 1, 4), help="since 2007")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", help="a file; the standard output if not said")
    said = parser.parse_args()
    if said.start.year < 2007 or said.bars < 1:
        parser.error("--start has to be since 2007, --bars above zero")
    lines = bars(random.Random(said.seed).random, said.symbols.split(","), said.start, said.bars)
    out = open(said.out, "w", newline="") if said.out else sys.stdout
    with out:
        out.write("timestamp,symbol,open,high,low,close,volume\n")
        out.writelines(lines)


if __name__ == "__main__":
    main()
