"""The latest trade, quote and bar, and snapshots."""

from alpaca.data.enums import DataFeed
from alpaca.data.requests import (
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockSnapshotRequest,
)
from bars import of_row
from bars import rows as bars_of_file
from desk import check, equal
from ticks import rows


@check("5 the latest trade by the SDK, for one symbol and for several")
def trade(desk):
    last = rows("trades.csv")[-1]
    found = desk.data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="SPY"))
    equal((found["SPY"].price, found["SPY"].size), (float(last["price"]), float(last["size"])), "the trade")
    body = desk.http("GET", "/v2/stocks/SPY/trades/latest").json()
    equal((body["symbol"], body["trade"]["t"]), ("SPY", last["timestamp"]), "the single one")


@check("5 the latest quote by the SDK, for one symbol and for several")
def quote(desk):
    last = rows("quotes.csv")[-1]
    found = desk.data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=["SPY", "AAPL"]))
    equal(
        (found["SPY"].bid_price, found["SPY"].ask_price),
        (float(last["bid_price"]), float(last["ask_price"])),
        "it",
    )
    assert found["AAPL"].bid_price < found["AAPL"].ask_price
    body = desk.http("GET", "/v2/stocks/SPY/quotes/latest").json()
    equal((body["symbol"], body["quote"]["t"]), ("SPY", last["timestamp"]), "the single one")


@check("5 the latest bar by the SDK, for one symbol and for several")
def bar(desk):
    last = bars_of_file("AAPL")[-1]
    found = desk.data.get_stock_latest_bar(
        StockLatestBarRequest(symbol_or_symbols=["AAPL"], feed=DataFeed.IEX)
    )["AAPL"]
    equal((found.open, found.high, found.low, found.close, found.volume), of_row(last), "the bar")
    body = desk.http("GET", "/v2/stocks/AAPL/bars/latest").json()
    equal((body["symbol"], body["bar"]["o"]), ("AAPL", float(last["open"])), "the single one")


@check("5 feeds of latest data include delayed_sip and overnight; others are 400")
def feeds(desk):
    for feed in ("iex", "sip", "delayed_sip", "overnight"):
        answer = desk.http("GET", "/v2/stocks/quotes/latest", params={"symbols": "SPY", "feed": feed})
        equal(answer.status_code, 200, f"status for {feed}")
    answer = desk.http("GET", "/v2/stocks/quotes/latest", params={"symbols": "SPY", "feed": "nyse"})
    equal(answer.status_code, 400, "status for an unknown feed")


@check("5 unknown symbols are simply absent")
def unknown(desk):
    for kind in ("trades", "quotes", "bars"):
        found = desk.http("GET", f"/v2/stocks/{kind}/latest", params={"symbols": "SPY,ZZZZ"}).json()
        equal(list(found[kind]), ["SPY"], f"symbols of {kind}")


@check("5 injected prices are the latest at once")
def at_once(desk):
    desk.market.quote("MSFT", 411.10, 411.12, 700)
    desk.market.trade("MSFT", 411.11, 50)
    found = desk.data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="MSFT"))["MSFT"]
    equal((found.bid_price, found.ask_price, found.ask_size), (411.10, 411.12, 700.0), "the quote")
    found = desk.data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="MSFT"))["MSFT"]
    equal((found.price, found.size), (411.11, 50.0), "the trade")


@check("5 snapshots have the symbols at the top level and five parts")
def snapshots(desk):
    body = desk.http("GET", "/v2/stocks/snapshots", params={"symbols": "SPY,AAPL,ZZZZ"}).json()
    equal(sorted(body), ["AAPL", "SPY"], "symbols")
    parts = {"latestTrade", "latestQuote", "minuteBar", "dailyBar", "prevDailyBar"}
    assert set(body["SPY"]) <= parts, body["SPY"]


@check("5 a snapshot's parts agree with the endpoints they come from")
def snapshot(desk):
    found = desk.data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="SPY"))["SPY"]
    last = rows("trades.csv")[-1]
    equal(found.latest_trade.price, float(last["price"]), "latest_trade")
    today, yesterday = (
        [it for it in rows("trades.csv") if it["timestamp"].startswith(day)]
        for day in ("2026-06-09", "2026-06-08")
    )
    equal(found.daily_bar.open, float(today[0]["price"]), "the day's open")
    equal(found.previous_daily_bar.close, float(yesterday[-1]["price"]), "the close of the day before")
    equal(found.daily_bar.volume, float(sum(int(it["size"]) for it in today)), "the day's volume")


@check("5 a single snapshot names its symbol beside the parts")
def single(desk):
    body = desk.http("GET", "/v2/stocks/SPY/snapshot").json()
    equal(body["symbol"], "SPY", "symbol")
    assert body["latestTrade"] and body["dailyBar"]
