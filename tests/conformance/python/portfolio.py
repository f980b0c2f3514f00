"""Portfolio history, on the second day."""

from datetime import datetime, timezone

from alpaca.trading.models import PortfolioHistory
from alpaca.trading.requests import GetPortfolioHistoryRequest
from desk import check, equal, refused


def history(desk, **query):
    return desk.trading.get_portfolio_history(GetPortfolioHistoryRequest(**query))


@check("2.4 the history is four arrays of one length, and the SDK's model takes it")
def shape(desk):
    found = history(desk)
    assert isinstance(found, PortfolioHistory)
    lengths = {len(it) for it in (found.timestamp, found.equity, found.profit_loss, found.profit_loss_pct)}
    equal(len(lengths), 1, "different lengths")
    equal(found.timeframe, "1D", "timeframe of a month")


@check("2.4 figures are JSON numbers, stamps UNIX seconds, cashflow an object")
def numbers(desk):
    raw = desk.raw.get("/account/portfolio/history", {"period": "1D", "timeframe": "5Min"})
    assert raw["equity"] and all(isinstance(it, (int, float)) for it in raw["equity"])
    assert all(type(it) is int for it in raw["timestamp"])
    assert isinstance(raw["base_value"], (int, float)) and isinstance(raw["cashflow"], dict)
    equal(raw["timeframe"], "5Min", "timeframe")


@check("2.4 a day's default timeframe is a minute; stamps are left labels that far apart")
def minutes(desk):
    found = history(desk, period="1D")
    equal(found.timeframe, "1Min", "timeframe")
    assert all((b - a) % 60 == 0 and b > a for a, b in zip(found.timestamp, found.timestamp[1:]))


@check("2.4 a week by the hour")
def hours(desk):
    found = history(desk, period="1W", timeframe="1H")
    equal(found.timeframe, "1H", "timeframe")
    assert found.timestamp


@check("2.4 profit and loss are what equity differs from the base value")
def profit(desk):
    found = history(desk, period="1M", timeframe="1D", pnl_reset="no_reset")
    for equity, gain in zip(found.equity, found.profit_loss):
        assert abs(equity - found.base_value - gain) < 0.01, (equity, gain, found.base_value)


@check("2.4 start and end bound the history")
def bounds(desk):
    at = lambda hour: datetime(2026, 6, 8, hour, tzinfo=timezone.utc)
    found = history(desk, start=at(15), end=at(17), timeframe="15Min")
    assert found.timestamp and at(15).timestamp() <= found.timestamp[0]
    assert found.timestamp[-1] <= at(17).timestamp()


@check("2.4 the extended hours of a day are more rows than its session, the whole day still more")
def reporting(desk):
    rows = lambda kind: len(history(desk, period="2D", timeframe="15Min", intraday_reporting=kind).timestamp)
    session, extended, continuous = (rows(it) for it in ("market_hours", "extended_hours", "continuous"))
    assert session < extended < continuous, (session, extended, continuous)


@check("2.4 start, end and period together are too many: 422")
def too_many(desk):
    at = lambda hour: datetime(2026, 6, 8, hour, tzinfo=timezone.utc)
    refused(lambda: history(desk, start=at(15), end=at(17), period="1D"), 422)


@check("2.4 more than thirty days have the timeframe 1D only; an unknown timeframe is 422")
def timeframes(desk):
    refused(lambda: history(desk, period="3M", timeframe="5Min"), 422)
    refused(lambda: history(desk, timeframe="7Min"), 422)
