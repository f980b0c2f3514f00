"""Historical bars, against the file that the broker plays."""

import csv
from datetime import datetime, timezone
from pathlib import Path

from alpaca.common.enums import Sort
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.requests import StockBarsRequest
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from desk import STAMP, check, equal, matches

FIRST, SECOND = "2026-06-08", "2026-06-09"
MINUTE = TimeFrame.Minute
FILE = Path(__file__).parent.parent / "data" / "bars.csv"


def rows(symbol, day=None):
    """What the file holds."""
    with FILE.open() as file:
        found = [it for it in csv.DictReader(file) if it["symbol"] == symbol]
    return [it for it in found if day is None or it["timestamp"].startswith(day)]


def at(day, clock):
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=timezone.utc)


def ask(desk, symbols, timeframe=MINUTE, start=at(FIRST, "13:00:00"), **more):
    request = StockBarsRequest(symbol_or_symbols=symbols, timeframe=timeframe, start=start, **more)
    return desk.data.get_stock_bars(request).data


def figures(bar):
    return (bar.open, bar.high, bar.low, bar.close, bar.volume)


def of_row(row):
    return tuple(float(row[name]) for name in ("open", "high", "low", "close", "volume"))


def joined(found):
    """One bar of several rows."""
    return (
        float(found[0]["open"]),
        max(float(it["high"]) for it in found),
        min(float(it["low"]) for it in found),
        float(found[-1]["close"]),
        float(sum(int(it["volume"]) for it in found)),
    )


@check("5 minute bars are those of the market, each stamped with the start of its minute")
def minutes(desk):
    desk.market.advance_to(SECOND, "10:15:30")
    found = ask(desk, "AAPL")["AAPL"]
    expected = rows("AAPL")
    equal(
        [it.timestamp for it in found],
        [at(it["timestamp"][:10], it["timestamp"][11:19]) for it in expected],
        "stamps",
    )
    equal([figures(it) for it in found], [of_row(it) for it in expected], "bars")


@check("5 a bar has t, o, h, l, c, v, n and vw; vw lies between low and high")
def keys(desk):
    answer = desk.http(
        "GET", "/v2/stocks/AAPL/bars", params={"timeframe": "1Min", "start": FIRST, "limit": 3}
    )
    body = answer.json()
    equal(sorted(body), ["bars", "next_page_token", "symbol"], "keys of the answer")
    for bar in body["bars"]:
        equal(sorted(bar), sorted("t o h l c v n vw".split()), "keys of a bar")
        matches(STAMP, bar["t"])
        assert type(bar["v"]) is int and type(bar["n"]) is int and bar["l"] <= bar["vw"] <= bar["h"], bar


@check("5 start and end are both inclusive")
def inclusive(desk):
    found = ask(desk, "AAPL", start=at(FIRST, "13:35:00"), end=at(FIRST, "13:37:00"))["AAPL"]
    equal([it.timestamp.minute for it in found], [35, 36, 37], "minutes")


@check("5 several symbols come sorted by symbol; one without bars is absent")
def several(desk):
    found = ask(desk, ["MSFT", "AAPL", "KO", "ZZZZ"], end=at(FIRST, "13:32:00"))
    equal(
        {symbol: len(bars) for symbol, bars in found.items()},
        {"AAPL": 3, "KO": 1, "MSFT": 3},
        "bars by symbol",
    )


@check("5 limit is the total over all symbols: page one may hold the first symbol alone")
def limit(desk):
    query = {"symbols": "MSFT,AAPL", "timeframe": "1Min", "start": FIRST, "limit": 80}
    page = desk.http("GET", "/v2/stocks/bars", params=query).json()
    equal({symbol: len(bars) for symbol, bars in page["bars"].items()}, {"AAPL": 80}, "page one")
    page = desk.http("GET", "/v2/stocks/bars", params={**query, "page_token": page["next_page_token"]}).json()
    equal({symbol: len(bars) for symbol, bars in page["bars"].items()}, {"MSFT": 80}, "page two")
    equal(page["next_page_token"], None, "the last token")


@check("5 the SDK follows the page tokens itself, with nothing lost or doubled")
def pages(desk):
    query = {"symbols": "AAPL,MSFT", "timeframe": "1Min", "start": FIRST, "limit": 7}
    seen = []
    for _ in range(40):
        page = desk.http("GET", "/v2/stocks/bars", params=query).json()
        seen += [(symbol, bar["t"]) for symbol, bars in page["bars"].items() for bar in bars]
        if page["next_page_token"] is None:
            break
        query["page_token"] = page["next_page_token"]
    equal(len(seen), 160, "bars over all pages")
    equal(seen, sorted(set(seen)), "the order")
    equal(len(ask(desk, ["AAPL", "MSFT"], limit=100)["MSFT"]), 20, "what the SDK got of the second symbol")


@check("5 sort desc brings the newest first, within each symbol")
def descending(desk):
    found = ask(desk, "AAPL", sort=Sort.DESC, limit=3)["AAPL"]
    equal([it.timestamp for it in found], [at(SECOND, f"14:0{minute}:00") for minute in (9, 8, 7)], "stamps")


@check("5 five-minute bars are made of their minutes")
def five_minutes(desk):
    found = ask(desk, "AAPL", TimeFrame(5, TimeFrameUnit.Minute), end=at(FIRST, "13:44:00"))["AAPL"]
    equal([it.timestamp.minute for it in found], [30, 35, 40], "minutes")
    day = rows("AAPL", FIRST)
    equal([figures(it) for it in found], [joined(day[n : n + 5]) for n in (0, 5, 10)], "bars")


@check("5 hour bars begin at the full hour")
def hours(desk):
    found = ask(desk, "MSFT", TimeFrame.Hour, end=at(FIRST, "20:00:00"))["MSFT"]
    equal([it.timestamp for it in found], [at(FIRST, "13:00:00"), at(FIRST, "14:00:00")], "stamps")
    day = rows("MSFT", FIRST)
    equal([figures(it) for it in found], [joined(day[:30]), joined(day[30:])], "bars")


@check("5 a day's bar is stamped with midnight in New York, in UTC")
def days(desk):
    found = ask(desk, "AAPL", TimeFrame.Day, start=at(FIRST, "00:00:00"))["AAPL"]
    equal([it.timestamp for it in found], [at(FIRST, "04:00:00"), at(SECOND, "04:00:00")], "stamps")
    equal(figures(found[0]), joined(rows("AAPL", FIRST)), "the first day")


@check("5 a week and a month take in all their days")
def weeks_and_months(desk):
    whole = joined(rows("AAPL"))
    for timeframe in (TimeFrame.Week, TimeFrame.Month, TimeFrame(3, TimeFrameUnit.Month)):
        found = ask(desk, "AAPL", timeframe, start=at("2026-04-01", "00:00:00"))["AAPL"]
        equal([figures(it) for it in found], [whole], str(timeframe))


@check("5 long and short names of timeframes are both known")
def names(desk):
    for long, short in (("5Min", "5T"), ("1Hour", "1H"), ("1Day", "1D"), ("1Week", "1W"), ("1Month", "1M")):
        query = {"symbols": "AAPL", "start": "2026-06-01", "timeframe": long}
        expected = desk.http("GET", "/v2/stocks/bars", params=query).json()
        equal(
            desk.http("GET", "/v2/stocks/bars", params={**query, "timeframe": short}).json(), expected, short
        )


@check("5 timeframes that do not exist are 400")
def bad_timeframes(desk):
    for timeframe in ("60Min", "24Hour", "2Day", "2Week", "5Month", "0Min", "1Fortnight", ""):
        query = {"symbols": "AAPL", "timeframe": timeframe, "start": FIRST}
        answer = desk.http("GET", "/v2/stocks/bars", params=query)
        equal(answer.status_code, 400, f"status for {timeframe!r}")
        assert answer.json()["message"]


@check("5 the feeds iex and sip and every adjustment are known, others are 400")
def feeds(desk):
    end = at(FIRST, "13:40:00")
    for feed in (DataFeed.IEX, DataFeed.SIP):
        equal(len(ask(desk, "AAPL", end=end, feed=feed)["AAPL"]), 11, f"bars of {feed}")
    for adjustment in (Adjustment.RAW, Adjustment.SPLIT, Adjustment.DIVIDEND, Adjustment.ALL):
        equal(len(ask(desk, "AAPL", end=end, adjustment=adjustment)["AAPL"]), 11, f"bars with {adjustment}")
    for name, value in (
        ("feed", "nyse"),
        ("adjustment", "some"),
        ("sort", "up"),
        ("limit", "0"),
        ("limit", "10001"),
    ):
        query = {"symbols": "AAPL", "timeframe": "1Min", "start": FIRST, name: value}
        equal(
            desk.http("GET", "/v2/stocks/bars", params=query).status_code, 400, f"status for {name}={value}"
        )


@check("5 start may be a date; without start the bars are those of today")
def default_start(desk):
    found = desk.http("GET", "/v2/stocks/AAPL/bars", params={"timeframe": "1Min", "feed": "iex"}).json()[
        "bars"
    ]
    equal(found[0]["t"][:16], f"{SECOND}T13:30", "the first")


@check("5 nothing in the range is an empty object, not an error")
def empty(desk):
    query = {"symbols": "AAPL", "timeframe": "1Min", "start": "2026-06-01", "end": "2026-06-02"}
    expected = {"bars": {}, "next_page_token": None}
    equal(desk.http("GET", "/v2/stocks/bars", params=query).json(), expected, "the answer")
    equal(
        ask(desk, "AAPL", start=at("2026-06-01", "00:00:00"), end=at("2026-06-02", "00:00:00")),
        {},
        "by the SDK",
    )


@check("2.1 errors of market data are 400 with a message and need no code")
def errors(desk):
    for query in (
        {"timeframe": "1Min"},
        {"symbols": "AAPL", "timeframe": "1Min", "start": "yesterday"},
        {"symbols": "AAPL", "timeframe": "1Min", "page_token": "nonsense"},
    ):
        answer = desk.http("GET", "/v2/stocks/bars", params=query)
        equal(answer.status_code, 400, f"status for {query}")
        assert isinstance(answer.json()["message"], str)
