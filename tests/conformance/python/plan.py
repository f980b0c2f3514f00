"""What the free data plan does not grant."""

import threading
from datetime import timedelta

from alpaca.data.enums import DataFeed
from alpaca.data.requests import StockBarsRequest, StockLatestQuoteRequest
from alpaca.data.timeframe import TimeFrame
from bars import FIRST, SECOND, at
from desk import KEY, SECRET, check, equal, refused
from listen import Data
from market import BOUND_SECS
from streams import Socket, stock_socket


@check("5 recent SIP data are 403 on the free plan: subscription does not permit querying recent SIP data")
def recent_sip(desk):
    desk.market.advance_to(SECOND, "10:15:30")
    says = "subscription does not permit querying recent SIP data"
    bars = StockBarsRequest(
        symbol_or_symbols="AAPL",
        timeframe=TimeFrame.Minute,
        start=at(SECOND, "13:30:00"),
        end=desk.market.now() - timedelta(minutes=5),
        feed=DataFeed.SIP,
    )
    refused(lambda: desk.data.get_stock_bars(bars), 403, None, says)
    latest = StockLatestQuoteRequest(symbol_or_symbols="SPY", feed=DataFeed.SIP)
    refused(lambda: desk.data.get_stock_latest_quote(latest), 403, None, says)


@check("5 SIP data older than fifteen minutes, and those of IEX, are granted")
def granted(desk):
    for feed, end in ((DataFeed.SIP, desk.market.now() - timedelta(minutes=16)), (DataFeed.IEX, None)):
        request = StockBarsRequest(
            symbol_or_symbols="AAPL",
            timeframe=TimeFrame.Minute,
            feed=feed,
            start=at(FIRST, "13:30:00"),
            end=end,
        )
        assert len(desk.data.get_stock_bars(request).data["AAPL"]) >= 60, feed


@check("4 the SIP stream is 409 insufficient subscription, and the SDK does not try again")
def no_sip_stream(desk):
    stream = Data(desk.ws_base, KEY, SECRET, "v2/sip")
    stream.stream.subscribe_trades(stream.keep, "AAPL")
    # Its own `run` would stop a loop that has ended; the coroutine is what it runs.
    thread = threading.Thread(target=swallow, args=(stream.stream.run,), daemon=True)
    thread.start()
    thread.join(timeout=BOUND_SECS)
    assert not thread.is_alive(), "the stream goes on"
    with Socket(desk, "/v2/sip") as socket:
        equal(socket.login(), {"T": "error", "code": 409, "msg": "insufficient subscription"}, "the answer")


def swallow(run):
    try:
        run()
    except Exception:
        pass


@check(
    "4 a stream of the free plan has thirty symbols of trades and quotes; beyond them 405 and nothing changes"
)
def symbol_limit(desk):
    with stock_socket(desk, "/v2/iex") as socket:
        symbols = [f"S{n}" for n in range(30)]
        socket.say(action="subscribe", trades=symbols)
        equal(len(socket.control()["trades"]), 30, "thirty symbols")
        socket.say(action="subscribe", trades=["AAPL"])
        socket.error(405, "symbol limit exceeded")
        socket.say(action="subscribe", bars=["*"])
        found = socket.control()
        equal((len(found["trades"]), found["bars"]), (30, ["*"]), "the set afterwards")


@check("2.1 the free plan grants 200 market-data requests a minute")
def quota(desk):
    headers = desk.http("GET", "/v2/stocks/quotes/latest?symbols=SPY").headers
    equal(headers["X-RateLimit-Limit"], "200", "the limit")
