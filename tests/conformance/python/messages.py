"""Every type of message on the data streams."""

from alpaca.data.models.bars import Bar
from alpaca.data.models.news import News as Article
from alpaca.data.models.trades import TradeCancel, TradeCorrection, TradingStatus
from desk import KEY, SECRET, STAMP, check, equal, matches
from listen import Data, News
from market import until
from streams import stock_socket

KEPT = {}


def at(desk):
    """Market time as the wire has it."""
    return desk.market.now().isoformat().replace("+00:00", "Z")


@check("4 a status tells halt and resumption: code, message, reason and tape")
def status(desk):
    stream = KEPT["stream"] = Data(desk.ws_base, KEY, SECRET)
    stream.stream.subscribe_trading_statuses(stream.keep, "AAPL")
    stream.stream.subscribe_trades(stream.keep, "AAPL")
    stream.stream.subscribe_updated_bars(stream.keep, "AAPL")
    stream.stream.register_trade_corrections(stream.keep)
    stream.stream.register_trade_cancels(stream.keep)
    # The place of a stream before this one is free when the broker has seen it go.
    stream.start()
    until("the subscription", lambda: desk.market.trade("AAPL", 221, 1) or stream.seen)
    desk.market.message(
        T="s", S="AAPL", sc="H", sm="Trading Halt", rc="T12", rm="Information requested", z="C"
    )
    found = stream.wait("the status", lambda it: isinstance(it, TradingStatus))
    equal(
        (found.symbol, found.status_code, found.reason_code, found.tape),
        ("AAPL", "H", "T12", "C"),
        "the status",
    )


@check("4 a halt of the venue is told as a status, and so is its end")
def halt(desk):
    stream = KEPT["stream"]
    count = lambda: len([it for it in stream.seen if isinstance(it, TradingStatus)])
    before = count()
    with desk.market.fault("halt", symbol="AAPL"):
        until("the halt's status", lambda: count() > before)
    until("the status of its end", lambda: count() > before + 1)
    codes = [it.status_code for it in stream.seen if isinstance(it, TradingStatus)][before:]
    assert codes[0] != codes[1], codes


@check("4 a correction has both versions of the trade")
def correction(desk):
    desk.market.message(
        T="c", S="AAPL", x="V", oi=7, op=221.0, os=100, oc=["@"], ci=8, cp=221.5, cs=90, cc=["@"]
    )
    found = KEPT["stream"].wait("the correction", lambda it: isinstance(it, TradeCorrection))
    equal((found.original_id, found.original_price, found.original_size), (7, 221.0, 100.0), "the original")
    equal(
        (found.corrected_id, found.corrected_price, found.corrected_size),
        (8, 221.5, 90.0),
        "the corrected one",
    )


@check("4 a cancel or error names the trade and which of both it is")
def cancel(desk):
    desk.market.message(T="x", S="AAPL", i=8, x="V", p=221.5, s=90, a="C")
    found = KEPT["stream"].wait("the cancel", lambda it: isinstance(it, TradeCancel))
    equal((found.id, found.price, found.size, found.action), (8, 221.5, 90.0, "C"), "the cancel")


@check("4 an updated bar comes again for its minute, on a channel of its own")
def updated_bar(desk):
    start = desk.market.now().replace(second=0)
    stamp = start.isoformat().replace("+00:00", "Z")
    desk.market.message(T="u", S="AAPL", o=221, h=223, l=220, c=222, v=999, n=9, vw=221.7, t=stamp)
    found = KEPT["stream"].wait("the updated bar", lambda it: isinstance(it, Bar) and it.volume == 999)
    equal((found.timestamp, found.high, found.trade_count, found.vwap), (start, 223.0, 9.0, 221.7), "the bar")
    KEPT["stream"].stream.stop()


@check("4 limit-up limit-down bands and imbalances, for which the SDK has no handler, have their fields")
def bands(desk):
    with stock_socket(desk) as socket:
        socket.say(action="subscribe", lulds=["AAPL"], imbalances=["AAPL"])
        found = socket.control()
        equal((found["lulds"], found["imbalances"]), (["AAPL"], ["AAPL"]), "the set")
        desk.market.message(T="l", S="AAPL", u=230.5, d=210.5, i="B", z="C")
        band = socket.data("l")
        equal((band["u"], band["d"], band["i"], band["z"]), (230.5, 210.5, "B", "C"), "the band")
        matches(STAMP, band["t"])
        desk.market.message(T="i", S="AAPL", p=220.25, z="C")
        equal(socket.data("i")["p"], 220.25, "the imbalance")


@check("4 news come with their times, symbols and an integer id, by symbol or by star")
def news(desk):
    stream = News(desk.ws_base, KEY, SECRET)
    stream.stream.subscribe_news(stream.keep, "*")
    stream.start()

    def attempt():
        desk.market.control("inject", {"news": {"headline": "Something happened", "symbols": ["AAPL", "KO"]}})
        return stream.seen

    until("news", attempt)
    article = stream.seen[0]
    assert isinstance(article, Article) and type(article.id) is int, article
    equal((article.headline, sorted(article.symbols)), ("Something happened", ["AAPL", "KO"]), "the article")
    equal(article.created_at, desk.market.now(), "its time")
    stream.stream.stop()


@check("5 what the news stream told can be asked for afterwards")
def news_kept(desk):
    newest = desk.http("GET", "/v1beta1/news", params={"symbols": "KO", "limit": 1}).json()["news"][0]
    equal(newest["headline"], "Something happened", "the newest")
