"""Market data as it happens: by the SDK's streams in MessagePack, and in JSON on bare connections."""

import json
from datetime import datetime, timezone

import msgpack
import websockets.sync.client as ws
from alpaca.data.models.bars import Bar
from alpaca.data.models.quotes import Quote
from alpaca.data.models.trades import Trade
from desk import KEY, SECRET, STAMP, check, equal, matches
from listen import Data
from market import BOUND_SECS, until

DAY = "2026-06-09"
CHANNELS = "trades quotes bars updatedBars dailyBars statuses lulds corrections cancelErrors".split()
KEPT = {}


class Socket:
    """A bare connection that speaks JSON."""

    def __init__(self, desk, path, **headers):
        self.connection = ws.connect(
            f"{desk.ws_base}{path}", proxy=None, open_timeout=BOUND_SECS, additional_headers=headers
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def say(self, **message):
        self.connection.send(json.dumps(message))

    def hear(self, bound=BOUND_SECS):
        frame = self.connection.recv(timeout=bound)
        assert isinstance(frame, str), "a binary frame"
        messages = json.loads(frame)
        assert isinstance(messages, list), f"no array: {frame}"
        return messages

    def control(self):
        """The next frame, which holds one control message."""
        messages = self.hear()
        equal(len(messages), 1, "messages in a control frame")
        return messages[0]

    def login(self):
        equal(self.control(), {"T": "success", "msg": "connected"}, "the welcome")
        self.say(action="auth", key=KEY, secret=SECRET)
        return self.control()

    def error(self, code, msg):
        equal(self.control(), {"T": "error", "code": code, "msg": msg}, "the answer")

    def data(self, kind):
        """The next message of a kind."""
        while True:
            for message in self.hear():
                if message["T"] == kind:
                    return message


def stock_socket(desk, path="/v2/sip"):
    """A bare connection on an endpoint of its own: one is allowed for each."""

    def attempt():
        socket = Socket(desk, path)
        answer = socket.login()
        if answer["T"] == "success":
            return socket
        socket.connection.close()
        return None

    return until(f"a place on {path}", attempt)


@check("4 a client that does not authenticate in time is told 404 auth timeout")
def late_start(desk):
    KEPT["silent"] = Socket(desk, "/v1beta1/news")
    equal(KEPT["silent"].control(), {"T": "success", "msg": "connected"}, "the welcome")


@check("4 a trade reaches the SDK at once, with id, exchange, conditions, tape and time")
def trade(desk):
    stream = KEPT["stream"] = Data(desk.ws_base, KEY, SECRET)
    stream.stream.subscribe_trades(stream.keep, "AAPL")
    stream.stream.subscribe_quotes(stream.keep, "AAPL")
    stream.stream.subscribe_bars(stream.keep, "AAPL")
    stream.stream.subscribe_daily_bars(stream.keep, "AAPL")
    stream.start()
    desk.market.quote("AAPL", 221.00, 221.04, 900)
    first_one(desk, stream)
    desk.market.trade("AAPL", 221.02, 77)
    found = stream.wait("the trade", lambda it: isinstance(it, Trade) and it.size == 77)
    equal((found.symbol, found.price, type(found.id)), ("AAPL", 221.02, int), "the trade")
    equal(found.timestamp.replace(microsecond=0), desk.market.now(), "its time")
    assert found.tape in ("A", "B", "C", "N", "O") and isinstance(found.conditions, list), found


def first_one(desk, stream):
    """The SDK does not wait for its subscription to be acknowledged: trades until one comes through."""

    def attempt():
        desk.market.trade("AAPL", 221.00, 1)
        return stream.seen

    until("the subscription", attempt)


@check("4 a quote reaches the SDK at once, with both sides in shares")
def quote(desk):
    desk.market.quote("AAPL", 222.00, 222.04, 700)
    found = KEPT["stream"].wait("the quote", lambda it: isinstance(it, Quote) and it.bid_price == 222.00)
    equal((found.bid_size, found.ask_price, found.ask_size), (700.0, 222.04, 700.0), "the quote")


@check("4 a minute's bar comes right after the minute, with n and vw")
def bar(desk):
    start = desk.market.now().replace(second=0)
    desk.market.advance(60)
    found = KEPT["stream"].wait("the bar", lambda it: isinstance(it, Bar) and it.timestamp == start)
    equal((found.close, found.high), (221.02, 221.02), "the bar")
    assert found.trade_count and found.vwap and found.low <= found.vwap <= found.high, found


@check("4 a day's bar comes with every minute, stamped with midnight in New York")
def daily_bar(desk):
    midnight = datetime.fromisoformat(f"{DAY}T04:00:00").replace(tzinfo=timezone.utc)
    desk.market.trade("AAPL", 223, 10)
    desk.market.advance(60)
    found = KEPT["stream"].wait(
        "the day's bar", lambda it: isinstance(it, Bar) and it.timestamp == midnight and it.close == 223
    )
    assert found.volume > 40_000, found


@check("4 a minute without a trade has no bar")
def no_bar(desk):
    desk.market.advance(60)
    start = desk.market.now().replace(second=0)
    desk.market.advance(60)
    desk.market.trade("AAPL", 223.5, 11)
    KEPT["stream"].wait("the trade after it", lambda it: isinstance(it, Trade) and it.size == 11)
    found = [it for it in KEPT["stream"].seen if isinstance(it, Bar) and it.timestamp == start]
    equal(found, [], "bars of a quiet minute")


@check("4 what is unsubscribed does not come any more")
def unsubscribe(desk):
    stream = KEPT["stream"]
    stream.stream.unsubscribe_quotes("AAPL")
    before = len([it for it in stream.seen if isinstance(it, Quote)])
    desk.market.quote("AAPL", 224.00, 224.04, 700)
    desk.market.trade("AAPL", 224.02, 12)
    stream.wait("the trade", lambda it: isinstance(it, Trade) and it.size == 12)
    equal(len([it for it in stream.seen if isinstance(it, Quote)]), before, "quotes")


@check(
    "4 a second connection to an endpoint is told 406 connection limit exceeded and stays open to try again"
)
def second(desk):
    with Socket(desk, "/v2/iex") as socket:
        for _ in range(2):
            if _ == 0:
                equal(
                    socket.login(),
                    {"T": "error", "code": 406, "msg": "connection limit exceeded"},
                    "the answer",
                )
            else:
                socket.say(action="auth", key=KEY, secret=SECRET)
                socket.error(406, "connection limit exceeded")


@check("4 a running SDK stream takes and leaves symbols without a new connection")
def more_symbols(desk):
    stream = KEPT["stream"]
    stream.stream.subscribe_trades(stream.keep, "MSFT")
    seen = until(
        "MSFT",
        lambda: (
            desk.market.trade("MSFT", 411, 13)
            or [it for it in stream.seen if isinstance(it, Trade) and it.symbol == "MSFT"]
        ),
    )
    equal(seen[0].price, 411.0, "price")


@check("4 the SDK sends a long subscription in continuation frames, which are put together")
def fragments(desk):
    stream = KEPT["stream"]
    stream.stream.subscribe_bars(stream.keep, *(f"S{n:06}" for n in range(8_000)))
    desk.market.trade("MSFT", 412, 14)
    stream.wait("a trade afterwards", lambda it: isinstance(it, Trade) and it.size == 14)
    assert stream.stream._running, "the connection was lost"
    stream.stream.stop()


@check("4 in MessagePack times are extension type -1, sizes and ids integers, prices floats")
def msgpack_types(desk):
    connection = ws.connect(
        f"{desk.ws_base}/v2/sip",
        proxy=None,
        open_timeout=BOUND_SECS,
        additional_headers={"Content-Type": "application/msgpack"},
    )
    with connection:
        hear = lambda: msgpack.unpackb(connection.recv(timeout=BOUND_SECS))
        equal(hear(), [{"T": "success", "msg": "connected"}], "the welcome")
        connection.send(msgpack.packb({"action": "auth", "key": KEY, "secret": SECRET}))
        equal(hear(), [{"T": "success", "msg": "authenticated"}], "the answer")
        connection.send(msgpack.packb({"action": "subscribe", "trades": ["AAPL"], "quotes": ["AAPL"]}))
        equal(hear()[0]["T"], "subscription", "the acknowledgement")
        desk.market.trade("AAPL", 224, 5)
        trade = hear()[0]
        assert isinstance(trade["t"], msgpack.Timestamp), trade
        equal([type(trade[key]) for key in ("p", "s", "i")], [float, int, int], "types of a trade")
        desk.market.quote("AAPL", 224.00, 225.00, 5)
        quote = hear()[0]
        equal(
            [type(quote[key]) for key in ("bp", "bs", "ap", "as")],
            [float, int, float, int],
            "types of a quote",
        )


@check("4 in JSON the handshake is welcome, authenticated, each alone in an array")
def handshake(desk):
    with Socket(desk, "/v2/sip") as socket:
        equal(socket.login(), {"T": "success", "msg": "authenticated"}, "the answer")


@check("4 a subscription is answered with the complete set; trades bring corrections and cancelErrors")
def subscription(desk):
    with stock_socket(desk) as socket:
        socket.say(action="subscribe", trades=["AAPL"], quotes=["MSFT"], bars=["*"])
        found = socket.control()
        expected = {
            "trades": ["AAPL"],
            "quotes": ["MSFT"],
            "bars": ["*"],
            "corrections": ["AAPL"],
            "cancelErrors": ["AAPL"],
        }
        equal(
            {key: found.get(key) for key in CHANNELS},
            {key: expected.get(key, []) for key in CHANNELS},
            "the set",
        )
        socket.say(action="subscribe", trades=["MSFT"], statuses=["*"])
        found = socket.control()
        equal((sorted(found["trades"]), found["statuses"]), (["AAPL", "MSFT"], ["*"]), "the set with more")
        socket.say(action="unsubscribe", trades=["AAPL"], bars=["*"])
        found = socket.control()
        equal(
            (found["trades"], found["bars"], found["quotes"]), (["MSFT"], [], ["MSFT"]), "the set with less"
        )


@check("4 in JSON times are RFC 3339 with nanoseconds; a trade has i x p s c t z")
def json_trade(desk):
    with stock_socket(desk) as socket:
        socket.say(action="subscribe", trades=["AAPL"])
        socket.control()
        desk.market.trade("AAPL", 225, 5)
        trade = socket.data("t")
        matches(STAMP, trade["t"])
        assert set("T S i x p s c t z".split()) <= set(trade), trade


@check("4 a star subscribes to every symbol")
def star(desk):
    with stock_socket(desk) as socket:
        socket.say(action="subscribe", trades=["*"])
        socket.control()
        for symbol in ("KO", "MSFT"):
            desk.market.trade(symbol, 70, 5)
            equal(socket.data("t")["S"], symbol, "symbol")


@check("4 subscribing before authentication is 401 not authenticated")
def not_authenticated(desk):
    with Socket(desk, "/v2/sip") as socket:
        socket.control()
        socket.say(action="subscribe", trades=["AAPL"])
        socket.error(401, "not authenticated")


@check("4 authenticating twice is 403 already authenticated")
def already(desk):
    with stock_socket(desk) as socket:
        socket.say(action="auth", key=KEY, secret=SECRET)
        socket.error(403, "already authenticated")


@check("4 what is malformed is 400 invalid syntax, and the connection goes on")
def syntax(desk):
    with stock_socket(desk) as socket:
        for message in ("{", "[]", '{"action": "dance"}', '{"action": "subscribe", "trades": "AAPL"}'):
            socket.connection.send(message)
            socket.error(400, "invalid syntax")
        socket.say(action="subscribe", trades=["AAPL"])
        equal(socket.control()["trades"], ["AAPL"], "afterwards")


@check("4 keys may come in the handshake's headers: then connected and authenticated follow by themselves")
def by_headers(desk):
    headers = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
    with Socket(desk, "/v2/sip", **headers) as socket:
        messages = [socket.control(), socket.control()]
        equal([it["msg"] for it in messages], ["connected", "authenticated"], "the messages")


@check("4 the test stream is always on: FAKEPACA trades and quotes without anybody's doing")
def test_stream(desk):
    with Socket(desk, "/v2/test") as socket:
        equal(socket.login(), {"T": "success", "msg": "authenticated"}, "the answer")
        socket.say(action="subscribe", trades=["FAKEPACA"], quotes=["FAKEPACA"])
        found = socket.control()
        equal((found["trades"], found["quotes"], found["bars"]), (["FAKEPACA"], ["FAKEPACA"], []), "the set")
        equal(socket.data("t")["S"], "FAKEPACA", "a trade's symbol")


@check("4 a news stream takes the news channel, star included, and acknowledges it")
def news(desk):
    error = KEPT["silent"].control()
    equal(error, {"T": "error", "code": 404, "msg": "auth timeout"}, "what the silent client hears")
    KEPT["silent"].connection.close()
    with stock_socket(desk, "/v1beta1/news") as socket:
        socket.say(action="subscribe", news=["*"])
        equal(socket.control()["news"], ["*"], "the set")


@check("4 a channel that a feed does not have is 410 invalid subscribe action for this feed")
def wrong_channel(desk):
    with stock_socket(desk, "/v1beta1/news") as socket:
        socket.say(action="subscribe", bars=["AAPL"])
        socket.error(410, "invalid subscribe action for this feed")
