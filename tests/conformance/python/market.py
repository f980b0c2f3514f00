"""The broker's controls: its clock stands still unless a check moves it, and prices are what checks say."""

import time
from contextlib import contextmanager
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import requests

BOUND_SECS = 10
LOOK_SECS = 0.01
NEW_YORK = ZoneInfo("America/New_York")


def until(what, look, found=lambda: ""):
    """Waits until `look` gives something true and returns it."""
    end = time.monotonic() + BOUND_SECS
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < end, f"waited {BOUND_SECS} s in vain for: {what}; now {found()}"
        time.sleep(LOOK_SECS)


class Market:
    def __init__(self, base):
        self.base = base
        self.session = requests.Session()
        self.standing = {}
        self.pause()

    def control(self, path, body):
        answer = self.session.post(f"{self.base}/sim/{path}", json=body, timeout=60)
        assert answer.ok, f"/sim/{path} {body}: {answer.status_code} {answer.text}"
        return answer.json() if answer.text else None

    def pause(self):
        self.control("clock", {"pause": True})

    def status(self):
        return self.session.get(f"{self.base}/sim/status", timeout=20).json()

    def now(self):
        """Market time."""
        text = self.status()["market_time"]
        return datetime.fromisoformat(text[:19]).replace(tzinfo=timezone.utc)

    def advance(self, secs):
        """Lets market time pass, at once."""
        self.control("clock", {"advance": f"{secs}s"})

    def advance_to(self, day, clock):
        """Lets market time pass until a moment in New York; never back."""
        to = datetime.fromisoformat(f"{day}T{clock.zfill(8)}").replace(tzinfo=NEW_YORK)
        if to > self.now():
            stamp = to.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
            self.control("clock", {"advance_to": stamp})

    def quote(self, symbol, bid, ask, size=1000):
        """The standing bid and offer from now on."""
        self.standing[symbol] = (bid, ask, size)
        quote = {"symbol": symbol, "bid": bid, "bid_size": size, "ask": ask, "ask_size": size}
        self.control("inject", {"quote": quote})

    def again(self, symbol):
        """The standing quote once more."""
        if symbol in self.standing:
            self.quote(symbol, *self.standing[symbol])

    def trade(self, symbol, price, size=100):
        """Somebody trades."""
        self.control("inject", {"trade": {"symbol": symbol, "price": price, "size": size}})

    def message(self, **fields):
        """A message of the data stream, as it is on the wire."""
        self.control("inject", {"message": fields})

    def order_event(self, order_id, event):
        """The exchange does something with an order."""
        self.control("inject", {"order": {"id": str(order_id), "event": event}})

    @contextmanager
    def fault(self, kind, **rule):
        """Something goes wrong for as long as this lasts."""
        number = self.control("faults", {"kind": kind, **rule})["id"]
        try:
            yield
        finally:
            self.session.delete(f"{self.base}/sim/faults/{number}", timeout=20)
