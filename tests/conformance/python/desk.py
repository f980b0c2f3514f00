"""What topics share: the SDK's clients, aimed at the broker, and the means to say what is expected."""

import json
import re
import uuid

import listen
import requests
from alpaca.common.exceptions import APIError
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.historical.news import NewsClient
from alpaca.data.historical.screener import ScreenerClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import (
    GetOrderByIdRequest,
    LimitOrderRequest,
    MarketOrderRequest,
)
from market import Market, until

# The keys of every suite: the one that looks at keys lets only these in.
KEY, SECRET = "PKCONFORM", "very-secret"

BUY, SELL = OrderSide.BUY, OrderSide.SELL
DAY, GTC = TimeInForce.DAY, TimeInForce.GTC


def check(fact):
    """Marks a check and the fact that it looks at: section, then our words."""

    def mark(function):
        function.fact = fact
        return function

    return mark


def checks_of(topic):
    """The checks of a topic, in the order in which they are written."""
    return [(name, it.fact, it) for name, it in vars(topic).items() if hasattr(it, "fact")]


def equal(found, expected, what="it"):
    assert found == expected, f"{what} is {found!r}, not {expected!r}"


def matches(pattern, text):
    assert isinstance(text, str) and re.fullmatch(pattern, text), f"{text!r} does not look like {pattern}"


DECIMAL = r"-?\d+(\.\d+)?"
# RFC 3339 in UTC with up to nanoseconds.
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"


def in_session(desk):
    """What most topics begin with: the first day's session, nothing working, nothing held."""
    desk.market.advance_to("2026-06-08", "10:00:00")
    desk.trading.cancel_orders()
    for symbol in {it["symbol"] for it in desk.raw.get("/positions")}:
        desk.flat(symbol)


class Refused:
    """How the broker refused, as the SDK tells it."""

    def __init__(self, error):
        self.status = error.status_code
        self.body = json.loads(str(error))
        self.message = self.body["message"]


def refused(call, status, code=None, says=""):
    """Asserts that a call is refused with this status, code (one or several) and words."""
    try:
        found = call()
    except APIError as error:
        refusal = Refused(error)
    else:
        raise AssertionError(f"not refused: {found!r}")
    equal(refusal.status, status, f"the status (with {refusal.body})")
    if code is not None:
        codes = code if isinstance(code, tuple) else (code,)
        assert refusal.body.get("code") in codes, f"the code is not {codes}: {refusal.body}"
    assert re.search(says, refusal.message), f"{refusal.message!r} does not say {says!r}"
    return refusal


def fresh(prefix="conf"):
    """A client order id that nobody has used."""
    return f"{prefix}-{uuid.uuid4()}"


class Desk:
    """The SDK's clients, aimed at one broker."""

    def __init__(self, address):
        self.http_base = f"http://{address}"
        self.ws_base = f"ws://{address}"
        self.trading = self.client()
        self.raw = self.client(raw_data=True)
        self.data = StockHistoricalDataClient(KEY, SECRET, url_override=self.http_base)
        self.raw_data = StockHistoricalDataClient(KEY, SECRET, raw_data=True, url_override=self.http_base)
        self.news = NewsClient(KEY, SECRET, url_override=self.http_base)
        self.screener = ScreenerClient(KEY, SECRET, url_override=self.http_base)
        self.corporate = CorporateActionsClient(KEY, SECRET, url_override=self.http_base)
        self.market = Market(self.http_base)
        self.session = requests.Session()
        self._updates = None

    def client(self, key=KEY, secret=SECRET, **more):
        return TradingClient(key, secret, paper=True, url_override=self.http_base, **more)

    def http(self, method, path, key=KEY, secret=SECRET, **more):
        """A plain request, for what no method of the SDK covers."""
        headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret, **more.pop("headers", {})}
        return self.session.request(method, self.http_base + path, headers=headers, timeout=20, **more)

    @property
    def updates(self):
        """The account's one trade-update stream, opened on first use."""
        if self._updates is None:
            self._updates = listen.Updates(f"{self.ws_base}/stream", KEY, SECRET)
            until("the stream delivers", self.probe)
        return self._updates

    def probe(self):
        """The SDK does not wait for the word that the broker listens: orders are made until one is told."""
        order = self.limit(BUY, "XOM", 1, extended_hours=True)
        self.trading.cancel_order_by_id(order.id)
        self.reaches(order.id, "canceled", lambda: self.market.advance(1))
        return self._updates.seen

    def close_updates(self):
        if self._updates is not None:
            self._updates.close()
            self._updates = None

    def close(self):
        self.close_updates()

    # Orders.

    def buy(self, symbol, qty=1, **more):
        """A market buy of the day."""
        return self.order(MarketOrderRequest, BUY, symbol, qty, **more)

    def sell(self, symbol, qty=1, **more):
        return self.order(MarketOrderRequest, SELL, symbol, qty, **more)

    def limit(self, side, symbol, price, qty=1, **more):
        return self.order(LimitOrderRequest, side, symbol, qty, limit_price=price, **more)

    def order(self, kind, side, symbol, qty, **more):
        more = {"time_in_force": DAY, **more}
        return self.trading.submit_order(kind(symbol=symbol, qty=qty, side=side, **more))

    def post(self, **fields):
        """An order as plain JSON, for what the SDK itself would refuse to send."""
        return self.raw.post("/orders", fields)

    def see(self, order_id):
        return self.trading.get_order_by_id(order_id)

    def group(self, order_id):
        """An order with its legs."""
        return self.trading.get_order_by_id(order_id, GetOrderByIdRequest(nested=True))

    def reaches(self, order_id, status, nudge=None):
        """Waits until an order has a status, and returns it; `nudge` is done before each further look."""

        def look():
            order = self.see(order_id)
            if order.status.value != status and nudge:
                nudge()
            return order if order.status.value == status else None

        return until(f"order {order_id} is {status}", look, lambda: self.see(order_id).status.value)

    def fills(self, order):
        """Waits until an order is filled. The paper engine may fill a part first and goes on at the
        next quote, which is why the standing quote is repeated."""
        return self.reaches(order.id, "filled", lambda: self.market.again(order.symbol))

    def hold(self, symbol, qty):
        """Makes sure that exactly this many shares are held."""
        self.flat(symbol)
        if qty:
            side = BUY if qty > 0 else SELL
            self.fills(self.order(MarketOrderRequest, side, symbol, abs(qty)))

    def flat(self, symbol):
        """No order of the symbol works and none of it is held."""
        for order in self.raw.get("/orders", {"status": "open", "symbols": symbol}):
            try:
                self.trading.cancel_order_by_id(order["id"])
            except APIError as error:
                if error.status_code != 422:  # ended meanwhile, with its group
                    raise
        held = [it for it in self.raw.get("/positions") if it["symbol"] == symbol]
        if held:
            self.fills(self.trading.close_position(symbol))

    def position(self, symbol):
        """A position as plain JSON."""
        return self.raw.get_open_position(symbol)
